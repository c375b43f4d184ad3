"""Every sample of one person that is fitted or tested, and the regions its targets lie in."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Integer

from pipeline import scratch
from pipeline.problems import Problem, StudyError

if TYPE_CHECKING:
    import pandas as pd
    import xarray as xr

ALL = "all"  # the region of every target


class Samples(NamedTuple):
    """Every kept sample of one person, run after run.

    `Y` (sample, target); `run`, `split` and `time_s` label its rows; `kept`
    says for each run which of its samples are rows here.
    """

    Y: Float[np.ndarray, "sample target"]
    run: np.ndarray
    split: np.ndarray
    time_s: Float[np.ndarray, " sample"]
    tr_s: float
    kept: dict[str, np.ndarray]


def gather(
    recordings: Mapping[str, "xr.Dataset"],
    split: Mapping[str, str],
    trim_s: tuple[float, float],
    folder: Path | None = None,
) -> Samples:
    """Lay the runs of one person end to end, without trimmed and censored samples; in a file in `folder` where that is large."""
    spacings = {float(ds.attrs["tr_s"]) for ds in recordings.values()}
    if len(spacings) > 1:
        raise StudyError(
            Problem(
                "E-DATA-16",
                "runs of one recording differ in the time between samples",
                found=f"{sorted(spacings)} s",
                fix="make them recordings of their own, or resample them",
            )
        )
    tr_s = spacings.pop()
    _same_targets(recordings)
    kept = {run: kept_samples(ds, trim_s) for run, ds in recordings.items()}
    run = np.repeat(list(kept), [len(rows) for rows in kept.values()])
    times = np.concatenate([ds["time"].values[kept[r]] for r, ds in recordings.items()])
    return Samples(_stacked(recordings, kept, folder), run, np.array([split[r] for r in run]), times, tr_s, kept)


def kept_samples(ds: "xr.Dataset", trim_s: tuple[float, float]) -> Integer[np.ndarray, " kept"]:
    """Indices of the samples of a run that are neither trimmed at its ends nor censored."""
    start, end = (round(t / float(ds.attrs["tr_s"])) for t in trim_s)
    rows = np.arange(start, ds.sizes["sample"] - end)
    return rows[ds["censored"].values[rows] == 0] if "censored" in ds else rows


def regions(
    targets: tuple[str, ...], table: "pd.DataFrame | None"
) -> tuple[tuple[str, ...], Bool[np.ndarray, "roi target"]]:
    """Names of regions and which targets they hold; the first, `all`, holds every one."""
    member: dict[str, np.ndarray] = {ALL: np.ones(len(targets), bool)}
    if table is not None:
        index = {target: i for i, target in enumerate(targets)}
        for target, roi in zip(table["target"], table["roi"], strict=True):
            if roi and target in index:
                member.setdefault(roi, np.zeros(len(targets), bool))[index[target]] = True
    return tuple(member), np.stack(list(member.values()))


def _stacked(recordings: Mapping[str, "xr.Dataset"], kept: dict[str, np.ndarray], folder: Path | None) -> np.ndarray:
    first = next(iter(recordings.values()))["responses"]
    Y = scratch.room((sum(map(len, kept.values())), first.sizes["target"]), first.dtype, folder)
    start = 0
    for run, ds in recordings.items():
        Y[start : start + len(kept[run])] = ds["responses"].values[kept[run]]
        start += len(kept[run])
    return Y


def _same_targets(recordings: Mapping[str, "xr.Dataset"]) -> None:
    first, *others = recordings
    names = recordings[first]["target"].values.tolist()
    for run in others:
        if recordings[run]["target"].values.tolist() != names:
            raise StudyError(
                Problem(
                    "E-ARRAY-08", "runs differ in their targets or in the order of them", found=f"runs {first} and {run}",
                    fix="give every run the same columns (or mask) in the same order", subject=recordings[run].attrs.get("subject", ""),
                )
            )  # fmt: skip
