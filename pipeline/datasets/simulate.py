"""Recordings of which the truth is known: simulated listeners of stories in a made-up language.

Every voxel is driven by hidden states of the grammar that told the story
(what it is about, where in a sentence it stands, how much of a surprise each
word is), and by no network. The files are a data set as a laboratory would
hand it over: `runs.tsv`, words, 4-D images, a mask; and beside them `truth.tsv`,
which an analysis may compare itself with and never reads. Others may hear the
same stories in a MEG scanner, see `simulate_meg`.
"""

from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
import pandas as pd
from jaxtyping import Float

from pipeline import arrays
from pipeline.datasets import simulate_meg
from pipeline.datasets.simulate_images import Head, brain, save_image, save_mask
from pipeline.datasets.simulate_signals import Noise, cleaning, noise_variance, noises, respond, scaled, voxels
from pipeline.datasets.simulate_stories import Telling, stream, tell

VOXELS = MappingProxyType({"topic": 60, "syntax": 60, "wordrate": 40, "noise": 60})
RECORDING = "fmri"


def simulate(
    folder: Path,
    *,
    subjects: tuple[str, ...] = ("01", "02"),
    stories: int = 7,
    story_s: float = 270.0,
    test_repeats: int = 5,
    tr_s: float = 2.0,
    voxels_per_roi: Mapping[str, int] = VOXELS,
    signal_share: tuple[float, float] = (0.15, 0.4),
    high_pass_hz: float = 0.008,
    seed: int = 0,
    language_seed: int = 0,
    meg: simulate_meg.Listeners = simulate_meg.NOBODY,
) -> None:
    """Write a manifest data set into `folder`.

    Parameters
    ----------
    subjects : labels. Each has random numbers of its own, so one more subject
        changes nothing in the files of the others.
    stories, story_s : training stories, heard once, and how long (s) each and
        the test story lasts.
    test_repeats : times that everybody hears the test story, which is run
        `story<stories + 1>`; its signal is the same in all, its noise is not.
    tr_s : seconds between volumes.
    voxels_per_roi : how many voxels are driven by what (`topic`, `syntax`,
        `wordrate`) or by nothing (`noise`).
    signal_share : lowest and highest share of a voxel's variance, in one
        presentation of the test story, that is signal; uniform in between.
    high_pass_hz : of the cleaning for which the shares hold, see `truth`.
    seed, language_seed : of everything here; of the language, which the model
        that `tinymodel.train` trains must share.
    meg : who hears them in a MEG scanner; nobody by default. The truth about
        them is `truth_meg.tsv`.
    """
    if stories < 1 or test_repeats < 1:
        raise ValueError(f"{stories} stories and {test_repeats} repeats: there must be at least one of each")
    settings = {name: value for name, value in locals().items() if name not in ("folder", "meg")}
    settings |= {"meg": meg._asdict()} if meg.subjects else {}
    record = {"stage": "simulate", "settings": settings | {"voxels_per_roi": dict(voxels_per_roi)}, "inputs": {}}
    head, noise = brain(voxels_per_roi), Noise()
    tellings = _tell_all(folder, stories, story_s, seed, language_seed, record)
    times = np.arange(int(story_s / tr_s)) * tr_s
    clean = cleaning(len(times), tr_s, high_pass_hz)
    variance = noise_variance(clean, noise, tr_s)
    runs, truths = rows_of(list(tellings), subjects, test_repeats, tr_s, meg), []
    for subject in subjects:
        drawn = voxels(stream(seed, "subject", subject), head.rois, signal_share, list(tellings.values()))
        signals = {run: respond(drawn, telling, times) for run, telling in tellings.items()}
        signals = scaled(signals, drawn.share, clean, variance, test=f"story{stories + 1}")
        _save_subject(folder, subject, head, signals, _own(runs, subject, RECORDING), noise, seed, record)
        truths.append(truth(subject, head, drawn.share, test_repeats))
    if meg.subjects:
        _simulate_meg(folder, runs, meg, tellings, story_s, seed, record)
    arrays.save_table(pd.DataFrame({"target": head.names, "roi": head.rois}), folder / "targets.tsv", **record)
    arrays.save_table(pd.concat(truths), folder / "truth.tsv", **record)
    arrays.save_table(runs, folder / "runs.tsv", **record)  # last: it says that the rest is there


def _simulate_meg(
    folder: Path,
    runs: pd.DataFrame,
    meg: simulate_meg.Listeners,
    tellings: Mapping[str, Telling],
    story_s: float,
    seed: int,
    record: Mapping[str, Any],
) -> None:
    """Write what the listeners in the MEG scanner show, and the truth about it."""
    rows = [_own(runs, subject, simulate_meg.RECORDING) for subject in meg.subjects]
    stories = {run: simulate_meg.spoken(tellings[run], story_s) for run in dict.fromkeys(rows[0]["run"])}
    truths = [simulate_meg.listen(folder, own, stories, meg.scanner, seed, record) for own in rows]
    arrays.save_table(pd.concat(truths), folder / "truth_meg.tsv", **record)


def _own(runs: pd.DataFrame, subject: str, recording: str) -> pd.DataFrame:
    return runs[(runs["subject"] == subject) & (runs["recording"] == recording)]


def truth(subject: str, head: Head, share: Float[np.ndarray, " voxel"], n_repeats: int) -> pd.DataFrame:
    """What the best of all models could reach on the test story: `ceiling_r` per target.

    `signal_share` p is the variance of the signal, as realised in the test
    story, over that plus the expected variance of the noise, both after the
    cleaning (detrending and high-pass of `nilearn.signal.clean`, which is a
    matrix, so both are exact and not simulated). The mean over R repeats keeps
    the signal and 1/R of the noise, so the signal correlates with it by
    sqrt(R p / (1 + (R - 1) p)). Noise voxels have 0.
    """
    ceiling = np.sqrt(n_repeats * share / (1 + (n_repeats - 1) * share))
    columns = {"subject": subject, "target": head.names, "roi": head.rois, "ceiling_r": ceiling, "signal_share": share}
    return pd.DataFrame(columns)


def _tell_all(
    folder: Path, stories: int, story_s: float, seed: int, language_seed: int, record: Mapping[str, Any]
) -> dict[str, Telling]:
    """The stories, in order; the last is the test story. Their words are written."""
    runs = [f"story{i + 1}" for i in range(stories + 1)]
    tellings = {run: tell(run, story_s=story_s, seed=seed, language_seed=language_seed) for run in runs}
    for run, telling in tellings.items():
        arrays.save_table(telling.words, folder / _words_name(run), **record)
    return tellings


def _words_name(run: str) -> str:
    return f"words/{run}.tsv"


def rows_of(
    runs: list[str], subjects: tuple[str, ...], test_repeats: int, tr_s: float, meg: simulate_meg.Listeners
) -> pd.DataFrame:
    """`runs.tsv`, whole; `runs` are all stories, the last is the test story."""
    frames = [presentations(subject, runs, test_repeats, tr_s) for subject in subjects]
    if meg.subjects and not 1 <= meg.stories < len(runs):
        raise ValueError(f"{meg.stories} stories in the MEG scanner: there are 1 to {len(runs) - 1} training stories")
    words = {run: _words_name(run) for run in [*runs[: meg.stories], runs[-1]]}
    frames += [simulate_meg.presentations(subject, words, meg) for subject in meg.subjects]
    return pd.concat(frames, ignore_index=True)


def presentations(subject: str, runs: list[str], test_repeats: int, tr_s: float) -> pd.DataFrame:
    """The subject's rows of `runs.tsv`: every story once, the last one `test_repeats` times."""
    heard = [(run, "train", 1) for run in runs[:-1]] + [(runs[-1], "test", k + 1) for k in range(test_repeats)]
    return pd.DataFrame(
        {
            "subject": subject,
            "run": run,
            "recording": RECORDING,
            "responses": f"sub-{subject}/{run}{f'_repeat-{repeat}' if split == 'test' else ''}.nii.gz",
            "words": _words_name(run),
            "split": split,
            "tr_s": tr_s,
            "repeat": repeat,
            "mask": f"sub-{subject}/mask.nii.gz",
        }
        for run, split, repeat in heard
    )


def _save_subject(
    folder: Path,
    subject: str,
    head: Head,
    signals: Mapping[str, Float[np.ndarray, "volume voxel"]],
    rows: pd.DataFrame,
    noise: Noise,
    seed: int,
    record: Mapping[str, Any],
) -> None:
    save_mask(head, folder / f"sub-{subject}" / "mask.nii.gz", record)
    for row in rows.itertuples():
        rng, signal = stream(seed, "noise", subject, row.run, str(row.repeat)), signals[row.run]
        activity = signal + noises(rng, signal.shape, noise, row.tr_s)
        save_image(head, activity, folder / row.responses, tr_s=row.tr_s, rng=rng, record=record)
