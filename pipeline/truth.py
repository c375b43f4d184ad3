"""What was planted in a synthetic study, beside what the pipeline found."""

from typing import TYPE_CHECKING

import numpy as np

from pipeline import arrays
from pipeline.comparison import NESTED, at_last_step
from pipeline.config import Plan, Study
from pipeline.jobs import TABLE_TEXT
from pipeline.layout import Layout

if TYPE_CHECKING:
    import pandas as pd


def told(study: Study, paths: Layout) -> str:
    """A table per person, and one line about ceilings and noise voxels."""
    plan = study.plan(paths.root)
    truth = arrays.load_table(paths.root / "simulated" / "truth.tsv", text=("subject", "target", "roi"))
    layers = {which: at_last_step(arrays.load_table(paths.layers(*which), text=TABLE_TEXT)) for which in plan.runs}
    lines = [line for which in plan.runs for line in _person(which, layers[which], truth)]
    return "\n".join([*lines, *_ceilings(plan, paths, truth), *_noise(study, layers)])


def _person(which: tuple[str, str], layers: "pd.DataFrame", truth: "pd.DataFrame") -> list[str]:
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
    for subject, recording in plan.runs:
        found = arrays.load(paths.ceiling(subject, recording), "target")
        own = truth[(truth["subject"] == subject) & (truth["ceiling_r"] > 0)]
        low, high = (found[f"repeats_{end}"].sel(target=own["target"].to_numpy(str)).values for end in ("low", "high"))
        inside += int(((low <= own["ceiling_r"]) & (own["ceiling_r"] <= high)).sum())
        total += len(own)
    return inside, total


def _ceilings(plan: Plan, paths: Layout, truth: "pd.DataFrame") -> list[str]:
    inside, total = coverage(plan, paths, truth)
    return ["", f"true ceiling inside the 95 % interval: {inside} of {total} driven voxels ({inside / total:.1%})"]


def _noise(study: Study, layers: "dict[tuple[str, str], pd.DataFrame]") -> list[str]:
    """The mean r of noise voxels over people, model by model: it should be 0."""
    lines = []
    for model in study.models:
        of_model = [t[(t["model"] == model) & (t["roi"] == "noise") & (t["layer"] == NESTED)] for t in layers.values()]
        r = [float(t.loc[t["seed"].isin(["", "mean"]), "r"].iloc[0]) for t in of_model]
        lines.append(f"noise voxels, {model}: mean r {np.mean(r):+.4f}")
    return lines
