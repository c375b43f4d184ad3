"""What was planted in a synthetic study, beside what the pipeline found."""

from collections.abc import Iterable
from typing import TYPE_CHECKING

import numpy as np

from pipeline import arrays
from pipeline.comparison import NESTED, at_last_step
from pipeline.config import Plan, Study
from pipeline.datasets.simulate import RECORDING
from pipeline.jobs import TABLE_TEXT
from pipeline.layout import Layout

if TYPE_CHECKING:
    import pandas as pd

Which = tuple[str, str]  # subject, recording
_ANSWER = ("subject", "response", "channel", "kind", "unit")  # columns of truth_meg.tsv that are text


def told(study: Study, paths: Layout) -> str:
    """A table per person, and one line about ceilings and noise voxels."""
    plan = study.plan(paths.root)
    truth = arrays.load_table(paths.root / "simulated" / "truth.tsv", text=("subject", "target", "roi"))
    layers = {
        which: at_last_step(arrays.load_table(paths.layers(*which), text=TABLE_TEXT)) for which in _imaged(plan, truth)
    }
    lines = [line for which in layers for line in _person(which, layers[which], truth)]
    lines += _ceilings(plan, paths, truth) + _noise(study, layers) + _false(paths, truth, layers) if layers else []
    answers = [line for which in plan.runs if study.in_time(which[1]) for line in _listener(which, paths)]
    return "\n".join([*lines, *answers])


def _imaged(plan: Plan, truth: "pd.DataFrame") -> list[Which]:
    """The people and recordings whose targets are voxels of which the truth is known."""
    return [which for which in plan.runs if which[0] in set(truth["subject"]) and which[1] == RECORDING]


def _person(which: Which, layers: "pd.DataFrame", truth: "pd.DataFrame") -> list[str]:
    subject, recording = which
    nested = layers[(layers["layer"] == NESTED) & layers["seed"].isin(["", "mean"])]
    models = list(dict.fromkeys(nested["model"]))
    lines = [f"\nsub-{subject} {recording}: r at the nested layer (ceiling: planted -> found, in voxels that have one)"]
    lines.append(f"  {'driven by':<10}{'ceiling':>22}" + "".join(f"{m:>12}" for m in models))
    own = truth[truth["subject"] == subject]
    for roi in dict.fromkeys(own["roi"]):
        rows = nested[nested["roi"] == roi].set_index("model")
        planted, row = own.loc[own["roi"] == roi, "ceiling_r"].mean(), rows.iloc[0]
        found = "none" if np.isnan(row["ceiling"]) else format(row["ceiling"], ".2f")
        ceiling = f"{planted:.2f} -> {found} ({row['n_ceiling']:.0f}/{row['n_targets']:.0f})"
        lines.append(f"  {roi:<10}{ceiling:>22}" + "".join(f"{rows.loc[m, 'r']:>12.3f}" for m in models))
    return lines


def coverage(plan: Plan, paths: Layout, truth: "pd.DataFrame") -> tuple[int, int]:
    """Driven voxels whose true ceiling lies inside the estimated interval, of how many."""
    inside = total = 0
    for subject, recording in _imaged(plan, truth):
        found = arrays.load(paths.ceiling(subject, recording), "target")
        own = truth[(truth["subject"] == subject) & (truth["ceiling_r"] > 0)]
        low, high = (found[f"repeats_{end}"].sel(target=own["target"].to_numpy(str)).values for end in ("low", "high"))
        inside += int(((low <= own["ceiling_r"]) & (own["ceiling_r"] <= high)).sum())
        total += len(own)
    return inside, total


def _ceilings(plan: Plan, paths: Layout, truth: "pd.DataFrame") -> list[str]:
    inside, total = coverage(plan, paths, truth)
    return ["", f"true ceiling inside the 95 % interval: {inside} of {total} driven voxels ({inside / total:.1%})"]


def _noise(study: Study, layers: "dict[Which, pd.DataFrame]") -> list[str]:
    """The mean r of noise voxels over people, model by model: it should be 0."""
    lines = []
    for model in study.models:
        of_model = [t[(t["model"] == model) & (t["roi"] == "noise") & (t["layer"] == NESTED)] for t in layers.values()]
        r = [float(t.loc[t["seed"].isin(["", "mean"]), "r"].iloc[0]) for t in of_model]
        lines.append(f"noise voxels, {model}: mean r {np.mean(r):+.4f}")
    return lines


def false_positives(paths: Layout, truth: "pd.DataFrame", which: Iterable[Which]) -> tuple[int, int]:
    """Noise voxels with p <= 0.05, of how many that were tested."""
    hits = total = 0
    for subject, recording in which:
        noise = truth.loc[(truth["subject"] == subject) & (truth["roi"] == "noise"), "target"].to_numpy(str)
        p = arrays.load(paths.tests(subject, recording), "target")["p"].sel(target=noise).values
        hits, total = hits + int((p <= 0.05).sum()), total + int(np.isfinite(p).sum())
    return hits, total


def _false(paths: Layout, truth: "pd.DataFrame", which: Iterable[Which]) -> list[str]:
    hits, total = false_positives(paths, truth, which)
    return [f"noise voxels called significant at 5 %: {hits} of {total} ({hits / max(total, 1):.1%})"]


def _listener(which: Which, paths: Layout) -> list[str]:
    """r of every model at the latencies of the planted answers, when it is highest, and whether that is the right place."""
    subject, recording = which
    found = arrays.load_table(paths.latencies(*which), text=(*TABLE_TEXT, "kind"))
    found = found[(found["layer"] == NESTED) & found["seed"].isin(["", "mean"]) & (found["kind"] == "all")]
    models, truth = list(dict.fromkeys(found["model"])), answers(paths, subject)
    lines = [f"\nsub-{subject} {recording}: r at the nested layer, mean over channels (ceiling: planted -> found)"]
    lines.append(f"  {'answered to':<16}{'ceiling':>16}" + "".join(f"{m:>12}" for m in models))
    for response, own in truth.items():
        latency = own["latency_s"].iloc[0]
        rows = found[np.isclose(found["latency"], _nearest(found["latency"].to_numpy(), latency))].set_index("model")
        ceiling = f"{own['ceiling_r'].mean():.2f} -> {rows['ceiling'].iloc[0]:.2f}"
        name = f"{response}, {1000 * latency:.0f} ms"
        lines.append(f"  {name:<16}{ceiling:>16}" + "".join(f"{rows.loc[m, 'r']:>12.3f}" for m in models))
    return [*lines, *_peaks(which, paths, truth, models)]


def _peaks(which: Which, paths: Layout, truth: "dict[str, pd.DataFrame]", models: list[str]) -> list[str]:
    peaks = arrays.load_table(paths.peaks(*which), text=(*TABLE_TEXT, "kind"))
    peak_s = peaks[peaks["kind"] == "all"].set_index("model")["peak_s"]
    maps = [topography(which, paths, truth, model, peak_s[model]) for model in models]
    # what is the same at every latency has no peak
    top_ms = [1000 * peak_s[model] if np.isfinite(like) else np.nan for model, like in zip(models, maps, strict=True)]
    shown = (("highest at, ms", top_ms, ".0f"), ("map ~ planted", maps, ".2f"))
    return [
        f"  {name:<32}" + "".join(f"{'n/a' if np.isnan(v) else format(v, form):>12}" for v in values)
        for name, values, form in shown
    ]


def topography(which: Which, paths: Layout, truth: "dict[str, pd.DataFrame]", model: str, peak_s: float) -> float:
    """Correlation over channels of a model's r at its peak with the size of the answer planted nearest in time."""
    if np.isnan(peak_s):
        return float("nan")
    ds = arrays.load(paths.courses(*which), "model", "channel", "latency")
    r = ds["r"].sel(model=model).sel(latency=peak_s, method="nearest").mean("fold")
    own = min(truth.values(), key=lambda answer: abs(answer["latency_s"].iloc[0] - peak_s)).set_index("channel")
    planted = own.loc[ds["channel"].values.astype(str), "topography"].abs().to_numpy()
    known = np.isfinite(r.values)
    if not known.any() or not np.ptp(r.values[known]):
        return float("nan")
    return float(np.corrcoef(r.values[known], planted[known])[0, 1])


def answers(paths: Layout, subject: str) -> "dict[str, pd.DataFrame]":
    """The planted answers of one listener in the MEG scanner."""
    truth = arrays.load_table(paths.root / "simulated" / "truth_meg.tsv", text=_ANSWER)
    own = truth[truth["subject"] == subject]
    return {str(response): rows for response, rows in own.groupby("response", sort=False)}


def _nearest(values: np.ndarray, to: float) -> float:
    return float(values[np.abs(values - to).argmin()])
