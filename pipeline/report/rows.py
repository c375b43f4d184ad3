"""From the tables of a run to the rows a page speaks about."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd

from pipeline.report.words import name

NESTED, ALL = "nested", "all"

_LAYER_TEXT = ("model", "weights", "seed", "step", "layer", "roi", "ceiling_kind", "chosen", "reached")
_LAYER_NUMBERS = ("n_targets", "r", "r_low", "r_high", "r2", "ceiling", "fraction", "n_missing", "n_flat", "n_ceiling")
_OF_SHARE = ("fraction_low", "fraction_high", "fraction_median")
_OF_CHOICE = ("optimism", "stability", "relative_depth")
_OF_GAP = ("gap", "gap_low", "gap_high", "margin")
_COMPARISON_TEXT = ("roi", "a", "b", "layer_a", "layer_b", "unit", "test", "equivalent")
_COMPARISON_NUMBERS = (
    *("r_a", "r_b", "difference", "low", "high", "p", "q", "n_units"),
    *("percentile", "seed_low", "seed_high", "n_seeds", "n_above_all"),
    *("smallest_p", "p_equivalent", "margin", "sd_subjects", "sd_seeds", "low_seeds", "high_seeds"),
    *("n_tested", "n_significant", "p_prevalence", "prevalence", "prevalence_low", "prevalence_high", "p_everyone"),
)


class Twins(NamedTuple):
    """Twins at one layer: mean over seeds, lowest, highest, how many seeds have a score."""

    mean: float
    low: float
    high: float
    n_seeds: int


def tidy_layers(table: pd.DataFrame) -> pd.DataFrame:
    """`layers.tsv` with text as text, numbers as numbers, and `depth`: the layer's number (nan for nested)."""
    tidy = tidied(table, _LAYER_TEXT, (*_LAYER_NUMBERS, *_OF_SHARE, *_OF_CHOICE, *_OF_GAP))
    return tidy.assign(depth=pd.to_numeric(tidy["layer"], errors="coerce").astype(float))


def tidy_comparison(table: pd.DataFrame) -> pd.DataFrame:
    """`comparison.tsv` with text as text and numbers as numbers."""
    return tidied(table, _COMPARISON_TEXT, _COMPARISON_NUMBERS)


def regions(layers: pd.DataFrame) -> list[str]:
    """Regions in their order, the whole first."""
    return sorted(dict.fromkeys(layers["roi"]), key=lambda roi: roi != ALL)


def entries(layers: pd.DataFrame, weights: str | None = None) -> list[tuple[str, str]]:
    """(model, weights) in their order; only those with these weights if given ("" are the controls)."""
    found = dict.fromkeys(zip(layers["model"], layers["weights"], strict=True))
    return [entry for entry in found if weights is None or entry[1] == weights]


def of(layers: pd.DataFrame, entry: tuple[str, str], roi: str) -> pd.DataFrame:
    """The rows of one model with these weights in one region."""
    model, weights = entry
    return layers[(layers["model"] == model) & (layers["weights"] == weights) & (layers["roi"] == roi)]


def at_choice(rows: pd.DataFrame) -> pd.DataFrame:
    """Rows at the layer chosen on inner folds; a model with one layer has nothing to choose.

    Never the best layer of the scores on show: that would be chosen on what it is judged by.
    """
    nested = rows[rows["layer"] == NESTED]
    return nested if len(nested) or rows["layer"].nunique() > 1 else rows


def headline(rows: pd.DataFrame) -> pd.Series | None:
    """The one row that stands for a model in a region; None when there is none."""
    chosen = at_choice(rows)
    means = chosen[chosen["seed"] == "mean"]
    chosen = means if len(means) else chosen
    return _over_seeds(chosen) if len(chosen) > 1 else chosen.iloc[0] if len(chosen) else None


def twins(rows: pd.DataFrame) -> Twins:
    """Mean and range over seeds of rows at one layer; the written mean goes before our own."""
    r, is_mean = rows["r"].to_numpy(float), rows["seed"].to_numpy() == "mean"
    values, means = r[~is_mean & np.isfinite(r)], r[is_mean & np.isfinite(r)]
    if not len(values):
        return Twins(float(means[0]) if len(means) else np.nan, np.nan, np.nan, 0)
    return Twins(
        float(means[0] if len(means) else values.mean()), float(values.min()), float(values.max()), len(values)
    )


def layer_of(row: pd.Series) -> str:
    """The layer a row speaks of: the one that was chosen, or its own."""
    own = row.get("layer") or "n/a"
    per_seed = own == NESTED and row.get("seed") == "mean"
    return str(row.get("chosen") or ("per seed" if per_seed else own))


def tidied(table: pd.DataFrame, text: Sequence[str], numbers: Sequence[str]) -> pd.DataFrame:
    """These columns of a table that was written, text as text and numbers as numbers; columns it lacks are missing."""
    tidy = table.reindex(columns=[*text, *numbers]).reset_index(drop=True)
    as_text = {c: pd.Series([name(v) for v in tidy[c]], dtype=object) for c in text}
    finite = {
        c: pd.to_numeric(tidy[c], errors="coerce").astype(float).replace([np.inf, -np.inf], np.nan) for c in numbers
    }
    return pd.DataFrame(as_text | finite)


def _over_seeds(rows: pd.DataFrame) -> pd.Series:
    """One row for several seeds when the table has no mean of its own; an interval for it nobody computed."""
    row = rows.iloc[0].copy()
    for column in ("r", "r2", "fraction"):
        row[column] = rows[column].mean()
    row["r_low"] = row["r_high"] = row["fraction_low"] = row["fraction_high"] = np.nan
    row["seed"], row["chosen"] = "mean", ""
    return row
