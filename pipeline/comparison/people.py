"""Tables over people: means, intervals and tests that count people."""

from typing import TYPE_CHECKING

import numpy as np

from pipeline import statistics
from pipeline.comparison.contrasts import COMPARISON_COLUMNS, Rank, rank_among, with_q
from pipeline.comparison.networks import MEAN, NESTED
from pipeline.comparison.settings import FEWEST_SUBJECTS, Comparison

if TYPE_CHECKING:
    import pandas as pd

_OF_LAYERS = ["recording", "model", "weights", "seed", "layer", "roi", "step"]
_OF_CONTRASTS = ["recording", "roi", "a", "b"]
_MEANS = ["n_targets", "r2", "ceiling", "fraction", "n_missing", "n_flat", "n_ceiling"]


def group(
    layers: "pd.DataFrame", comparisons: "pd.DataFrame", settings: Comparison, seed: int = 0
) -> tuple["pd.DataFrame", "pd.DataFrame"]:
    """Means over people and tests over people; no interval and no test below three."""
    import pandas as pd

    rows = [
        dict(zip(_OF_LAYERS, key, strict=True))
        | _over_people(part["r"].to_numpy(float), settings, seed)
        | {name: part[name].mean() for name in _MEANS}
        for key, part in layers.groupby(_OF_LAYERS, sort=False, dropna=False)
    ]
    contrasts = [
        dict(zip(_OF_CONTRASTS, key, strict=True))
        | _tested_over_people(part, settings, seed)
        | _among_seeds(part, layers)
        for key, part in comparisons.groupby(_OF_CONTRASTS, sort=False)
    ]
    columns = [*_OF_LAYERS[:-1], "n_subjects", "r", "r_low", "r_high", *_MEANS, "step"]
    table = with_q(pd.DataFrame(contrasts, columns=_contrast_columns()), settings.fdr)
    return pd.DataFrame(rows, columns=columns), table


def _contrast_columns() -> list[str]:
    """Those of one person, without what a group has none of; `smallest_p` stands before what is made of p."""
    ranked = ["significant", *Rank._fields]
    own = {"subject", "layer_a", "layer_b", *ranked}
    return [*(c for c in COMPARISON_COLUMNS if c not in own), "smallest_p", *ranked, "n_above_all"]


def _over_people(values: np.ndarray, settings: Comparison, seed: int) -> dict:
    values = values[np.isfinite(values)]
    told = {"n_subjects": len(values), "r": values.mean() if len(values) else np.nan, "r_low": np.nan, "r_high": np.nan}
    if len(values) >= FEWEST_SUBJECTS:
        interval = statistics.bootstrap(values, block=1, n=settings.permutations, seed=seed)
        told |= {"r_low": float(interval.low), "r_high": float(interval.high)}
    return told


def _tested_over_people(part: "pd.DataFrame", settings: Comparison, seed: int) -> dict:
    values = part["difference"].to_numpy(float)
    values = values[np.isfinite(values)]
    told = {
        "r_a": part["r_a"].mean(), "r_b": part["r_b"].mean(), "difference": values.mean() if len(values) else np.nan,
        "unit": "subjects", "n_units": len(values), "smallest_p": 2.0 ** (1 - len(values)) if len(values) else np.nan,
        "test": "sign-flip, two-sided" if len(values) >= FEWEST_SUBJECTS else f"none: fewer than {FEWEST_SUBJECTS} subjects",
    }  # fmt: skip
    if len(values) < FEWEST_SUBJECTS:
        return told
    interval = statistics.bootstrap(values, block=1, n=settings.permutations, seed=seed)
    return told | {
        "low": float(interval.low),
        "high": float(interval.high),
        "p": float(statistics.sign_flip(values, n=settings.permutations, seed=seed).p),
    }


def _among_seeds(part: "pd.DataFrame", layers: "pd.DataFrame") -> dict:
    """The rank of a's mean over people among each seed's mean over the same people, and how many people are above all.

    A seed is the same network in everyone, so that its mean over people is a
    score of its own; a mean of people's percentiles would count the few seeds
    once for each person, as if they had been drawn anew.
    """
    import pandas as pd

    known = part[np.isfinite(part["difference"].to_numpy(float))]
    row = part.iloc[0]
    of_b = layers[
        (layers["recording"] == row["recording"]) & (layers["roi"] == row["roi"]) & (layers["model"] == row["b"])
    ]
    seeds = of_b[(of_b["layer"] == NESTED) & ~of_b["seed"].isin(["", MEAN])]
    table = pd.pivot_table(seeds, index="subject", columns="seed", values="r").reindex(known["subject"])
    rank = rank_among(float(known["r_a"].mean()), table.mean(axis=0, skipna=False).to_numpy(float))
    ranked = part["percentile"].dropna()
    return rank._asdict() | {"n_above_all": int((ranked == 100).sum()) if len(ranked) else np.nan}
