"""What fMRIPrep would make of the people of `simulate_raw`: volumes, surfaces, CIFTI and confounds, with known truth.

The same plan and seed give the same stories, answers and motion as
`simulate_raw` gives. Heads lie still here, but motion, pulse and breath have
left traces in every place, which the table of confounds explains. The truth
lies in `sourcedata/truth`: `runs.tsv`, and of each run `_motion.tsv` and
`_response.tsv` as there; `sub-<label>_space-<space>_patch.tsv` says which
voxels (`v<i>x<j>x<k>`) and vertices (`L<n>`, `R<n>`) answer to words.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from jaxtyping import Float

from pipeline import arrays
from pipeline.datasets.simulate_bids import save_json
from pipeline.datasets.simulate_confounds import Disturbance, confounds, disturbance, disturbed
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
from pipeline.datasets.simulate_spaces import SPACES, Cover, save_mask
from pipeline.datasets.simulate_stories import stream

_VERSION = "23.2.1"  # of the fMRIPrep whose names and columns these are


def simulate_derivatives(
    folder: Path,
    *,
    raw_folder: str = "../..",
    subjects: tuple[str, ...] = ("01",),
    spaces: tuple[str, ...] = ("MNI152NLin2009cAsym", "fsaverage5", "fsLR"),
    stories: int = 4,
    story_s: float = 240.0,
    test_repeats: int = 2,
    tr_s: float = 2.0,
    signal_share: float = 0.5,
    seed: int = 0,
    language_seed: int = 0,
    sessions: bool = False,
    missing: tuple[tuple[str, str], ...] = (),
) -> None:
    """Write derivatives as fMRIPrep names them into `folder`.

    Volumes are pictures of the middle of each `tr_s` (`StartTime` in the
    sidecars), as after slice timing correction. The first is brighter and
    marked as not steady.

    Parameters
    ----------
    raw_folder : the raw data set as seen from `folder`; named in the description and not read. Its events files,
        which hold the words, are written by `simulate_raw` with the same plan and, if only they are wanted,
        `images=False`.
    spaces : which images; see SPACES of `simulate_spaces`.

    The rest as in `simulate_raw`; `signal_share` holds after a perfect regression on the confounds.
    """
    unknown = sorted(set(spaces) - set(SPACES))
    if unknown:
        raise ValueError(f"spaces {unknown} are not simulated: there are {list(SPACES)}")
    plan = Plan(subjects, stories, story_s, test_repeats, tr_s, signal_share, seed, language_seed, sessions, missing)
    record = {"stage": "simulate", "settings": plan._asdict() | {"spaces": spaces}, "inputs": {}}
    start_s, tellings, runs = tr_s / 2, tell_all(plan), listenings(plan)
    at = times(plan, start_s)
    for subject in subjects:
        course = courses(plan, tellings, subject, at)
        for space in spaces:
            _save_patches(folder, plan, subject, space, record)
        for one in [run for run in runs if run.subject == subject]:
            motion = moved(plan, one, len(at))
            save_truth(folder, one, motion, course[one.story], record)
            by = disturbance(stream(seed, "disturbance", subject, str(one.run)), motion)
            _save_confounds(folder, plan, one, motion, by, record)
            for space in spaces:
                _save_space(folder, plan, one, space, course[one.story], by, start_s, record)
    _save_tables(folder, raw_folder, runs, record)


def _save_patches(folder: Path, plan: Plan, subject: str, space: str, record: Mapping[str, Any]) -> None:
    tables = [patch_table(plan, each.targets, each.mm, each.profile) for each in SPACES[space]()]
    arrays.save_table(pd.concat(tables), folder / TRUTH / f"sub-{subject}_space-{space}_patch.tsv", **record)


def _save_confounds(
    folder: Path,
    plan: Plan,
    one: Listening,
    motion: Float[np.ndarray, "volume 6"],
    by: Disturbance,
    record: Mapping[str, Any],
) -> None:
    rng = stream(plan.seed, "confounds", one.subject, str(one.run))
    table, meta = confounds(rng, motion, by, NOISE, plan.tr_s)
    path = folder / one.folder / f"{one.stem}_desc-confounds_timeseries.tsv"
    arrays.save_table(table, path, **record)
    save_json(meta, path.with_suffix(".json"), record)


def _save_space(
    folder: Path,
    plan: Plan,
    one: Listening,
    space: str,
    course: Float[np.ndarray, "volume patch"],
    by: Disturbance,
    start_s: float,
    record: Mapping[str, Any],
) -> None:
    timing = {"RepetitionTime": plan.tr_s, "StartTime": start_s, "SliceTimingCorrected": True, "TaskName": TASK}
    for cover in SPACES[space]():
        rng = stream(plan.seed, "derivative", cover.ending, one.subject, str(one.run))
        data = disturbed(rng, course @ cover.profile.T, cover.baseline, by, NOISE, plan.tr_s)
        path = folder / one.folder / f"{one.stem}_{cover.ending}"
        _save_image(cover, data, path, plan.tr_s, start_s, record)
        save_json(timing | dict(cover.sidecar), path.with_name(path.name.split(".")[0] + ".json"), record)
        if path.name.endswith("_desc-preproc_bold.nii.gz"):
            save_mask(path.with_name(path.name.replace("_desc-preproc_bold", "_desc-brain_mask")), record)


def _save_image(
    cover: Cover,
    data: Float[np.ndarray, "volume place"],
    path: Path,
    tr_s: float,
    start_s: float,
    record: Mapping[str, Any],
) -> None:
    import nibabel as nib

    with arrays.writing(path, **record) as temp:
        nib.save(cover.image(data, tr_s, start_s), temp)


def _save_tables(folder: Path, raw_folder: str, runs: list[Listening], record: Mapping[str, Any]) -> None:
    truth = pd.DataFrame([one._asdict() for one in runs]).assign(shift_s=0.0)
    arrays.save_table(truth, folder / TRUTH / "runs.tsv", **record)
    described = {
        "Name": "Simulated listeners of stories, as fMRIPrep would hand them over",
        "BIDSVersion": "1.9.0",
        "DatasetType": "derivative",
        "GeneratedBy": [{"Name": "fMRIPrep", "Version": _VERSION, "Description": "simulated: fMRIPrep did not run"}],
        "DatasetLinks": {"raw": raw_folder},
    }
    save_json(described, folder / "dataset_description.json", record)  # last: it says that the rest is there
