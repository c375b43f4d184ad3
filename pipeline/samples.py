"""Every sample of one person that is fitted or tested, and the regions its targets lie in."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Integer

from pipeline import scratch
from pipeline.problems import Problem, StudyError
from pipeline.sensors import Sensors

if TYPE_CHECKING:
    import pandas as pd
    import xarray as xr

ALL = "all"  # the region of every target


class Samples(NamedTuple):
    """Every kept sample of one person, run after run.

    `Y` (sample, target); `run`, `split` and `time_s` label its rows; `kept`
    says for each run which of its samples are rows here. Where samples are
    words, `word_s` is how many seconds of the recording each of them holds:
    neighbours share these, and `time_s` may be uneven.
    """

    Y: Float[np.ndarray, "sample target"]
    run: np.ndarray
    split: np.ndarray
    time_s: Float[np.ndarray, " sample"]
    tr_s: float
    kept: dict[str, np.ndarray]
    word_s: float = 0.0


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
    word_s = max(map(length_of_word, recordings.values()))
    return Samples(
        _stacked(recordings, kept, folder), run, np.array([split[r] for r in run]), times, tr_s, kept, word_s
    )


def length_of_word(ds: "xr.Dataset") -> float:
    """s of the recording that belong to one sample where samples are words; else 0."""
    return float(ds.attrs["word_end_s"] - ds.attrs["word_start_s"]) if "word_end_s" in ds.attrs else 0.0


def kept_samples(ds: "xr.Dataset", trim_s: tuple[float, float]) -> Integer[np.ndarray, " kept"]:
    """Indices of the samples of a run that are neither trimmed at its ends nor censored."""
    if length_of_word(ds):  # samples are words: they lie where their onsets lie
        time = ds["time"].values.astype(float)
        rows = np.flatnonzero((time >= time[:1] + trim_s[0]) & (time <= time[-1:] - trim_s[1]))
    else:
        start, end = (round(t / float(ds.attrs["tr_s"])) for t in trim_s)
        rows = np.arange(start, ds.sizes["sample"] - end)
    return rows[ds["censored"].values[rows] == 0] if "censored" in ds else rows


def regions(
    targets: tuple[str, ...], table: "pd.DataFrame | None", sensors: Sensors | None = None
) -> tuple[tuple[str, ...], Bool[np.ndarray, "roi target"]]:
    """Names of regions and which targets they hold; the first, `all`, holds every one.

    Channels with latencies also have the regions before and after word onset,
    channels of several types one for each type. The table may name a channel,
    which is all its targets, or a single target.
    """
    member: dict[str, np.ndarray] = {ALL: np.ones(len(targets), bool)} | _of_sensors(sensors)
    if table is not None:
        index: dict[str, Any] = {target: i for i, target in enumerate(targets)}
        if sensors is not None:
            n = max(len(sensors.latencies_s), 1)
            index |= {name: slice(i * n, (i + 1) * n) for i, name in enumerate(sensors.names)}
        for target, roi in zip(table["target"], table["roi"], strict=True):
            if roi and target in index:
                member.setdefault(roi, np.zeros(len(targets), bool))[index[target]] = True
    return tuple(member), np.stack(list(member.values()))


def _of_sensors(sensors: Sensors | None) -> dict[str, np.ndarray]:
    if sensors is None:
        return {}
    n, kinds = max(len(sensors.latencies_s), 1), np.array(sensors.kinds)
    latency = np.tile(np.array(sensors.latencies_s), len(kinds))
    found = {"preonset": latency < 0, "postonset": latency >= 0} if sensors.latencies_s else {}
    if len(set(sensors.kinds)) > 1:
        found |= {kind: np.repeat(kinds == kind, n) for kind in dict.fromkeys(sensors.kinds)}
    return {name: member for name, member in found.items() if member.any()}


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
