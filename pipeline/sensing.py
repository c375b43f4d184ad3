"""What the pages show of a recording that is resolved in time, gathered from a study's saved files."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from pipeline import arrays
from pipeline.comparison.networks import mean
from pipeline.jobs import TABLE_TEXT, Job
from pipeline.report import ChannelScores, MegPart, SensedRun, UsedRun
from pipeline.report.meg_parts import NO_ROWS
from pipeline.runs import Run
from pipeline.samples import length_of_word
from pipeline.sensors import Sensors, sensors_of
from pipeline.timing import outside

if TYPE_CHECKING:
    import pandas as pd
    import xarray as xr

_TEXT = (*TABLE_TEXT, "kind", "channels", "unit", "passive", "controls")
_DRAWN = ("freqs_hz", "psd_before", "psd_after", "evoked", "evoked_s", "jitter_s")
_OVER_PEOPLE = ["model", "weights", "seed", "step", "layer", "kind", "latency"]


def sensed(run: Run, ds: "xr.Dataset") -> SensedRun:
    """What the cleaning of one run saved beside the responses."""
    summary = arrays.attribute(ds, "quality") if "quality" in ds.attrs else {}
    return SensedRun(run.run, summary, sensors_of(ds), **{name: ds[name].values for name in _DRAWN if name in ds})


def used(run: Run, ds: "xr.Dataset", words: "pd.DataFrame") -> UsedRun:
    """How much of a run was used; where samples are words, the files tell how long it is and which epochs leave it."""
    n, repeats = ds.sizes["sample"], ds.sizes.get("repeat", 1)
    if not length_of_word(ds):
        tr_s = float(ds.attrs["tr_s"])
        out = outside(words["onset"].to_numpy(float), ds["time"].values)
        return UsedRun(run.run, run.split, n, tr_s, n * tr_s, len(words), out, repeats)
    facts = sensed(run, ds).presentations
    lengths = [float(f["duration_s"]) for f in facts if f.get("duration_s") is not None]
    out = max((int((f.get("epochs") or {}).get("n_outside") or 0) for f in facts), default=0)
    return UsedRun(run.run, run.split, n, np.nan, max(lengths, default=np.nan), len(words), out, repeats)


def of_subject(job: Job, weights: Mapping[str, str], runs: list[SensedRun]) -> tuple[MegPart, list[Path]]:
    """One person's time courses, and the files they come from; what was not made is left empty. `weights`: of each model."""
    whose = (job.subject, job.recording)
    paths = [job.out.latencies(*whose), job.out.peaks(*whose), job.out.clusters(*whose), job.out.passive(*whose)]
    paths.append(job.out.beside(*whose))
    latencies, peaks, clusters, passive, beside = map(_table, paths)
    top = job.out.courses(*whose)
    sensors, scores = _scores(top, weights) if top.exists() else (_first_sensors(runs), [])
    part = MegPart(runs, sensors, latencies, peaks, clusters, passive, scores, beside)
    return part, [path for path in [*paths, top] if path.exists()]


def of_people(job: Job, recording: str, subjects: list[str]) -> tuple["pd.DataFrame", "pd.DataFrame", list[Path]]:  # fmt: skip
    """Scores by latency over people and their clusters, and the files they come from.

    The tables of the group hold the layer chosen on inner folds; the mean over
    people of every layer, for the picture of time and layer, is taken here.
    """
    import pandas as pd

    tops = [job.out.top("group_latencies.tsv"), job.out.top("group_clusters.tsv")]
    own = [job.out.latencies(subject, recording) for subject in subjects]
    nested, clusters = (t[t["recording"] == recording] if len(t) else t for t in map(_table, tops))
    tables = [table for table in map(_table, own) if len(table)]
    layers = [_layers(pd.concat(tables))] if tables else []
    found = [table for table in [nested, *layers] if len(table)]
    latencies = pd.concat(found, ignore_index=True) if found else NO_ROWS
    return latencies, clusters.reset_index(drop=True), [path for path in [*tops, *own] if path.exists()]


def _layers(tables: "pd.DataFrame") -> "pd.DataFrame":
    """The mean over people of each layer; without an interval, which the table of the group has for what was chosen."""
    numbered = tables[tables["layer"] != "nested"]
    return numbered.groupby(_OVER_PEOPLE, sort=False, dropna=False)[["r", "ceiling"]].mean().reset_index()


def _table(path: Path) -> "pd.DataFrame":
    return arrays.load_table(path, text=_TEXT) if path.exists() else NO_ROWS


def _scores(path: Path, weights: Mapping[str, str]) -> tuple[Sensors, list[ChannelScores]]:
    """r of each trained model (the first model, where none is trained) for every channel and latency: the mean over folds."""
    with arrays.opened(path, "model", "channel") as ds:
        text = (tuple(ds[name].values.astype(str).tolist()) for name in ("channel", "channel_kind"))
        latencies = tuple(ds["latency"].values.astype(float).tolist())
        sensors = Sensors(*text, ds["channel_loc"].values.astype(float), latencies)
        known = [str(model) for model in ds["model"].values]
        shown = [model for model in known if weights.get(model) == "trained"] or known[:1]
        return sensors, [ChannelScores(m, mean(ds["r"].sel(model=m).values.astype(float), 0)) for m in shown]


def _first_sensors(runs: list[SensedRun]) -> Sensors | None:
    return next((run.sensors for run in runs if run.sensors is not None), None)
