"""The signs by which a page judges a recording: timing of words and responses, and the quality of each run."""

from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from jaxtyping import Bool

from pipeline import arrays
from pipeline.aligning import (
    EXPECTED_S,
    align,
    followed,
    timing_problems,
    together,
    together_problems,
)
from pipeline.config import Study
from pipeline.followers import FEWEST_OTHERS, weights
from pipeline.jobs import Job
from pipeline.problems import Problem, StudyError
from pipeline.report import AlignedRun, AlignedTogether, LagScan, QualityPart
from pipeline.runs import Run
from pipeline.sound import envelope_of

if TYPE_CHECKING:
    import pandas as pd
    import xarray as xr


class Timing(NamedTuple):
    """All runs of a recording together, the lag scan, what is wrong, and the files behind it."""

    together: AlignedTogether | None
    scans: list[LagScan]
    problems: list[Problem]
    inputs: list[Path]


def aligned(
    job: Job, study: Study, run: Run, ds: "xr.Dataset", words: "pd.DataFrame", weighted: np.ndarray | None
) -> tuple[AlignedRun, list[Problem]]:
    """Words and responses of one run on one clock, and what is wrong with the sound of its story."""
    kind, roi = study.recordings[job.recording].kind, study.report.alignment_roi
    envelope, problems = _envelope(job, run, ds)
    found = align(
        run, ds, words, EXPECTED_S.get(kind), study.report.show_text, roi=_members(job, ds, roi), roi_name=roi or "",
        envelope=envelope, weights=weighted,
    )  # fmt: skip
    return found, problems


def weights_of(study: Study, paths: list[Path], words: list["pd.DataFrame"]) -> list[np.ndarray | None]:
    """For each run, how much each target counts by what the other runs tell; None where a region was named."""
    if study.report.alignment_roi or len(paths) <= FEWEST_OTHERS:
        return [None] * len(paths)
    profiles = []
    for path, table in zip(paths, words, strict=True):
        with arrays.opened(path, "sample", "target") as ds:
            profiles.append(followed(ds, table).astype(np.float16))  # a lag and a target each: 12 MB for a whole brain
    return [weights(profiles, run) for run in range(len(paths))]


def timing(job: Job, study: Study, runs: list[AlignedRun]) -> Timing:
    """What all runs say of the clock, and where the score itself peaks."""
    found = together(runs)
    problems = timing_problems(runs, job.subject) + together_problems(found, job.subject)
    path = job.out.lags(job.subject, job.recording)
    if not study.scans(job.recording):
        return Timing(found, [], problems, [])
    return Timing(found, [scan_of(path, study.recordings[job.recording].kind)], problems, [path])


def scan_of(path: Path, kind: str) -> LagScan:
    """The lag scan of a recording of this kind, from its table."""
    table = arrays.load_table(path, text=("subject", "recording", "model", "layer"))
    first, (r, low, high) = table.iloc[0], (table[c].to_numpy(float) for c in ("r", "r_low", "r_high"))
    one_fold = bool((low == high).all())  # no spread to judge by
    return LagScan(
        first["model"], first["layer"], f"the {int(first['n_targets'])} targets that inner folds like best", table["lag_s"].to_numpy(float), r,
        None if one_fold else low, None if one_fold else high, EXPECTED_S.get(kind), "folds",
    )  # fmt: skip


def _members(job: Job, ds: "xr.Dataset", roi: str | None) -> Bool[np.ndarray, " target"] | None:
    table = job.dataset.targets(job.out.root) if roi else None
    if table is None:
        return None
    names = set(table.loc[table["roi"] == roi, "target"])
    member = np.array([str(target) in names for target in ds["target"].values])
    return member if member.any() else None


def _envelope(job: Job, run: Run, ds: "xr.Dataset") -> tuple[np.ndarray | None, list[Problem]]:
    """Loudness of the stimulus in each sample; a sound that cannot be read is told, and the words are shown without it."""
    if not run.audio:
        return None, []
    times, tr_s = ds["time"].values.astype(float), float(ds.attrs["tr_s"])
    try:
        return envelope_of(job.folder / run.audio, times, tr_s, 0.0, run.audio), []
    except StudyError as error:
        return None, [p._replace(code=p.code.replace("E-", "W-", 1), subject=job.subject) for p in error.problems]


def quality_of(run: Run, ds: "xr.Dataset") -> QualityPart | None:
    """The quality of one run as it was measured when it was cleaned."""
    if "quality" not in ds.attrs:
        return None
    told = arrays.attribute(ds, "quality")
    if told.get("kind") == "meg":  # `sensing.sensed` reads it
        return None
    arrays_of = {name: ds[name].values for name in ("fd_mm", "dvars", "motion", "carpet", "tsnr") if name in ds}
    return QualityPart(
        run=run.run, tr_s=float(ds.attrs["tr_s"]), n_volumes=ds.sizes["sample"], route=told["route"],
        **{name: _number(told.get(key)) for name, key in _FIELDS.items()},
        censored=told["censored"], dropped=told["targets_dropped"], limits=told["limits"],
        fd=arrays_of.get("fd_mm"), dvars=arrays_of.get("dvars"), carpet=arrays_of.get("carpet"), tsnr=arrays_of.get("tsnr"),
        motion=arrays_of["motion"][0] if "motion" in arrays_of else None,
        left_out=ds["censored"].values.astype(bool) if "censored" in ds else None,
    )  # fmt: skip


def _number(value: float | None) -> float:
    return float("nan") if value is None else float(value)


_FIELDS = {
    "fd_mean": "fd_mean", "fd_max": "fd_max", "fd_share": "fd_above", "dvars_median": "dvars_median",
    "tsnr_median": "tsnr_median", "df_left": "df_left", "n_confounds": "n_confounds",
}  # fmt: skip
