"""A BIDS data set as it comes from the scanner, of which the truth is known: heads that move, patches that hear words.

`simulate_raw` writes runs, events and sidecars as a laboratory has them before
any preprocessing; `simulate_derivatives`, in the module of that name, what
fMRIPrep would make of them. The truth lies in `sourcedata/truth`, where readers
of BIDS do not look:

* `runs.tsv`: subject, session, run, story (`story<N>`; the last is the test
  story), repeat, and by how many seconds the events are wrong (`shift_s`).
* `<run>_motion.tsv`: where the head is in every volume, relative to the first:
  mm and degrees; what they mean exactly is said in `simulate_heads.pose`.
* `<run>_response.tsv`: the noiseless answer of each patch, per volume.
* `sub-<label>_patch.tsv`: the voxels that answer, in mm of the scanner, and the
  share of their variance that is signal, after perfect correction of motion.
* `sub-<label>_placement.tsv`: the matrix from mm of the MNI template to mm of
  the scanner, at the first volume of every run.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
import pandas as pd
from jaxtyping import Float, Float32

from pipeline import arrays
from pipeline.datasets.simulate_heads import Grid, grid, head, placement, places, sampled, volumes
from pipeline.datasets.simulate_listening import (
    NOISE,
    TASK,
    TRUTH,
    Listening,
    Plan,
    courses,
    listenings,
    moved,
    patch_table,
    save_truth,
    tell_all,
    times,
)
from pipeline.datasets.simulate_signals import noises
from pipeline.datasets.simulate_spaces import SLOPE, packed
from pipeline.datasets.simulate_stories import Telling, stream

_INSIDE = 300.0  # image units: brighter is head
_OUTSIDE_SD = 8.0


def simulate_raw(
    folder: Path,
    *,
    subjects: tuple[str, ...] = ("01",),
    stories: int = 4,
    story_s: float = 240.0,
    test_repeats: int = 2,
    tr_s: float = 2.0,
    shape: tuple[int, int, int] = (40, 48, 40),
    voxel_mm: float = 4.0,
    signal_share: float = 0.5,
    seed: int = 0,
    language_seed: int = 0,
    sessions: bool = False,
    missing: tuple[tuple[str, str], ...] = (),
    shift_words_s: Mapping[str, float] = MappingProxyType({}),
    images: bool = True,
) -> None:
    """Write raw BIDS into `folder`.

    Parameters
    ----------
    subjects : labels; each has random numbers of its own.
    stories, test_repeats : runs 1 to `stories` are stories heard once; the
        runs after them are one further story, `test_repeats` times.
    story_s, tr_s : how long (s) each run lasts; seconds between volumes, the
        first of which is the picture of second 0.
    shape, voxel_mm : of the volumes; less cuts the head off.
    signal_share : share of the variance that is signal in the middle of a patch.
    seed, language_seed : as for `simulate.simulate`.
    sessions : the runs lie in two sessions.
    missing : (subject, run number) of runs that do not exist.
    shift_words_s : run number, as "3" or "run-3" -> seconds by which the onsets
        in the events files, and they alone, are late.
    images : False leaves the images out: words and truth for derivatives.
    """
    plan = Plan(subjects, stories, story_s, test_repeats, tr_s, signal_share, seed, language_seed, sessions, missing)
    where, runs = grid(shape, voxel_mm), listenings(plan)
    shifts = _shifts(shift_words_s, runs)
    record = {"stage": "simulate", "settings": plan._asdict() | {"shift_words_s": shifts}, "inputs": {}}
    tellings, at = tell_all(plan), times(plan, 0.0)
    for subject in subjects:
        course = courses(plan, tellings, subject, at)
        placed = placement(stream(seed, "placement", subject))
        _save_place(folder, plan, subject, where, placed, record)
        for one in [run for run in runs if run.subject == subject]:
            movement = moved(plan, one, len(at))
            save_truth(folder, one, movement, course[one.story], record)
            _save_events(folder, one, tellings[one.story], story_s, shifts.get(str(one.run), 0.0), record)
            if images:
                rng = stream(seed, "raw", subject, str(one.run))
                scanned = _scanned(rng, volumes(head(), where, placed, course[one.story], movement), tr_s)
                _save_volumes(scanned, where, folder / one.folder / f"{one.stem}_bold.nii.gz", tr_s, record)
    _save_tables(folder, plan, runs, shifts, record)


def _shifts(asked: Mapping[str, float], runs: list[Listening]) -> dict[str, float]:
    shifts = {run.removeprefix("run-"): float(shift) for run, shift in asked.items()}
    unknown = sorted(set(shifts) - {str(one.run) for one in runs})
    if unknown:
        raise ValueError(
            f"words of runs {unknown} cannot be shifted: there are runs {sorted({one.run for one in runs})}"
        )
    return shifts


def _scanned(
    rng: np.random.Generator, scanned: Float32[np.ndarray, "volume x y z"], tr_s: float
) -> Float32[np.ndarray, "volume x y z"]:
    """Noise and drifts, which belong to the scanner and stay where they are; magnitudes are never negative."""
    inside = scanned.mean(axis=0) > _INSIDE
    noise = rng.standard_normal(scanned.shape, dtype=np.float32)
    noise *= _OUTSIDE_SD
    noise[:, inside] = noises(rng, (len(scanned), int(inside.sum())), NOISE, tr_s)
    return np.abs(np.add(noise, scanned, out=noise), out=noise)


def _save_volumes(
    data: Float32[np.ndarray, "volume x y z"], where: Grid, path: Path, tr_s: float, record: Mapping[str, Any]
) -> None:
    import nibabel as nib

    with arrays.writing(path, **record) as temp:
        nib.save(packed(np.round(data / SLOPE).astype(np.int16), where, tr_s), temp)


def _save_events(
    folder: Path, one: Listening, telling: Telling, story_s: float, shift_s: float, record: Mapping[str, Any]
) -> None:
    """One row per word, and one of another type for the whole story, which has no word."""
    words = telling.words.assign(trial_type="word", onset=(telling.words["onset"] + shift_s).round(3))
    words = words[words["onset"].between(0, story_s, inclusive="left")]  # as a log that ends with the scan
    story = pd.DataFrame({"onset": [shift_s], "duration": [story_s], "trial_type": ["story"]})
    rows = pd.concat([story, words])[["onset", "duration", "trial_type", "word"]]
    arrays.save_table(rows, folder / one.folder / f"{one.stem}_events.tsv", **record)


def _save_place(
    folder: Path, plan: Plan, subject: str, where: Grid, placed: Float[np.ndarray, "4 4"], record: Mapping[str, Any]
) -> None:
    """Where the person's head lies, and which voxels of the first volume answer."""
    truth = folder / TRUTH
    profile = np.stack([sampled(patch, head(), where, placed) for patch in head().patches], axis=-1)
    names = [f"v{i}x{j}x{k}" for i, j, k in np.ndindex(where.shape)]
    table = patch_table(plan, names, places(where).reshape(-1, 3), profile.reshape(len(names), -1).astype(float))
    arrays.save_table(table, truth / f"sub-{subject}_patch.tsv", **record)
    matrix = pd.DataFrame(placed[:3], columns=["x", "y", "z", "shift"])
    arrays.save_table(matrix, truth / f"sub-{subject}_placement.tsv", **record)


def _save_tables(
    folder: Path, plan: Plan, runs: list[Listening], shifts: Mapping[str, float], record: Mapping[str, Any]
) -> None:
    save_json({"RepetitionTime": plan.tr_s, "TaskName": TASK}, folder / f"task-{TASK}_bold.json", record)
    columns = {"word": {"Description": "the word that is said"}}
    columns["trial_type"] = {"Levels": {"word": "one word", "story": "the whole story"}}
    save_json(columns, folder / f"task-{TASK}_events.json", record)
    people = pd.DataFrame({"participant_id": [f"sub-{subject}" for subject in plan.subjects]})
    arrays.save_table(people, folder / "participants.tsv", **record)
    truth = pd.DataFrame([one._asdict() for one in runs])
    truth["shift_s"] = [shifts.get(str(one.run), 0.0) for one in runs]
    arrays.save_table(truth, folder / TRUTH / "runs.tsv", **record)
    described = {"Name": "Simulated listeners of stories", "BIDSVersion": "1.9.0", "DatasetType": "raw"}
    save_json(described, folder / "dataset_description.json", record)  # last: it says that the rest is there


def save_json(content: Mapping[str, Any], path: Path, record: Mapping[str, Any]) -> None:
    """Write a sidecar."""
    arrays.save_text(json.dumps(content, indent=1) + "\n", path, **record)
