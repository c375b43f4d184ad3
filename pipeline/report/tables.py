"""From the tables of a run to the tables of a page, and the rows a page speaks about."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from pipeline.report.parts import AlignedRun, UsedRun
from pipeline.report.words import MISSING, count, interval, is_number, name, number, percent, probability

NESTED, ALL = "nested", "all"

_LAYER_TEXT = ("model", "weights", "seed", "layer", "roi", "ceiling_kind", "chosen")
_LAYER_NUMBERS = ("n_targets", "r", "r_low", "r_high", "r2", "ceiling", "fraction", "n_missing", "n_flat", "n_ceiling")
_COMPARISON_TEXT = ("roi", "a", "b", "layer_a", "layer_b", "unit", "test")
_COMPARISON_NUMBERS = ("r_a", "r_b", "difference", "low", "high", "p", "q", "n_units")


class Table(NamedTuple):
    """A table of a page: the first column names the row; `numeric` columns stand right-aligned."""

    caption: str
    columns: Sequence[str]
    rows: Sequence[Sequence[str]]
    numeric: frozenset[int] = frozenset()


class Twins(NamedTuple):
    """Random twins at one layer: mean over seeds, lowest, highest, how many seeds have a score."""

    mean: float
    low: float
    high: float
    n_seeds: int


def tidy_layers(table: pd.DataFrame) -> pd.DataFrame:
    """`layers.tsv` with text as text, numbers as numbers, and `depth`: the layer's number (nan for nested)."""
    tidy = _tidy(table, _LAYER_TEXT, _LAYER_NUMBERS)
    return tidy.assign(depth=pd.to_numeric(tidy["layer"], errors="coerce").astype(float))


def tidy_comparison(table: pd.DataFrame) -> pd.DataFrame:
    """`comparison.tsv` with text as text and numbers as numbers."""
    return _tidy(table, _COMPARISON_TEXT, _COMPARISON_NUMBERS)


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


def span(seeds: Twins) -> str:
    """The range over seeds in words."""
    return f"{number(seeds.low)} to {number(seeds.high)} ({seeds.n_seeds})" if seeds.n_seeds else ""


def used_table(runs: Iterable[UsedRun], caption: str) -> Table:
    columns = ("run", "split", "samples", "TR (s)", "duration (s)", "words", "words outside the run", "presentations")
    rows = [
        [str(u.run), str(u.split), count(u.n_samples), number(u.tr_s, 2), number(u.duration_s, 1)]
        + [count(value) for value in (u.n_words, u.words_outside, u.presentations)]
        for u in runs
    ]
    return Table(caption, columns, rows, frozenset(range(2, 8)))


def results_table(layers: pd.DataFrame, caption: str, *, ceiling: bool) -> Table:
    """One row per region and model at the chosen layer; columns of the ceiling only when it is valid."""
    columns = ["region", "model", "weights", "layer", "r [interval]", *(["% of ceiling", "ceiling"] if ceiling else [])]
    columns += ["over seeds (n)", "r²", "targets", "missing", "flat"]
    pairs = [(roi, entry) for roi in regions(layers) for entry in entries(layers)]
    rows = [_result(of(layers, entry, roi), roi, entry, ceiling) for roi, entry in pairs if len(of(layers, entry, roi))]
    return Table(caption, columns, rows, frozenset(range(4, len(columns))))


def comparison_table(comparison: pd.DataFrame, caption: str, *, inference: bool = True) -> Table:
    """One row per region and contrast; without inference neither interval nor p nor q."""
    columns = ["region", "a (layer)", "b (layer)", "r of a", "r of b", "a − b"]
    columns += ["interval", "p", "q", "unit", "n", "test"] if inference else []
    rows = [_contrast(row, inference) for _, row in comparison.iterrows()]
    return Table(caption, columns, rows, frozenset({3, 4, 5, 6, 7, 8, 10}))


def profile_table(layers: pd.DataFrame, rois: Sequence[str], caption: str) -> Table:
    """The numbers behind a layer profile: one row per region, model and layer; seeds are summed up."""
    rows = [
        [roi, model, _weights(weights), str(layer), *_scores(group)]
        for roi in rois
        for model, weights in entries(layers)
        for layer, group in of(layers, (model, weights), roi).groupby("layer", sort=False)
    ]
    return Table(
        caption, ("region", "model", "weights", "layer", "r", "interval", "over seeds (n)"), rows, frozenset({4, 5, 6})
    )


def alignment_table(runs: Iterable[AlignedRun], caption: str) -> Table:
    rows = [[str(r.run), count(len(r.onsets)), *_peak_cells(peak(r)), verdict(r)] for r in runs]
    return Table(caption, ("run", "words", "peak at (s)", "peak r", "verdict"), rows, frozenset({1, 2, 3}))


def edge_table(shares: Mapping[str, float], caption: str) -> Table:
    rows = [[str(model), percent(share)] for model, share in shares.items()]
    return Table(caption, ("model", "alphas at an edge (%)"), rows, frozenset({1}))


def peak(run: AlignedRun) -> tuple[float, float]:
    """(lag in s, r) of the highest cross-correlation; nan when there is none."""
    xcorr = np.asarray(run.xcorr, float)
    if not np.isfinite(xcorr).any():
        return np.nan, np.nan
    best = int(np.nanargmax(xcorr))
    return float(run.lags_s[best]), float(xcorr[best])


def outside(run: AlignedRun) -> bool:
    """True when the peak lies outside the band where it should."""
    lag, r = peak(run)
    return run.expected_s is not None and not (r > 0 and run.expected_s[0] <= lag <= run.expected_s[1])


def verdict(run: AlignedRun) -> str:
    if run.expected_s is None:
        return "no expectation for this kind of recording"
    band = f"{number(run.expected_s[0], 0)} to {number(run.expected_s[1], 0)} s"
    if not is_number(peak(run)[1]):
        return "no cross-correlation: cannot be judged"
    return f"outside {band}: check onsets and delay" if outside(run) else f"inside {band}"


def _peak_cells(found: tuple[float, float]) -> list[str]:
    return [number(found[0], 1), number(found[1])]


def _tidy(table: pd.DataFrame, text: Sequence[str], numbers: Sequence[str]) -> pd.DataFrame:
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
    row["r_low"] = row["r_high"] = np.nan
    row["seed"], row["chosen"] = "mean", ""
    return row


def _weights(weights: str) -> str:
    return weights or "control"


def _result(rows: pd.DataFrame, roi: str, entry: tuple[str, str], ceiling: bool) -> list[str]:
    row, seeds = headline(rows), twins(at_choice(rows))
    if row is None:
        row = pd.Series(dtype=object)
    get: Any = row.get
    cells = [roi, entry[0], _weights(entry[1]), layer_of(row), _score(row)]
    cells += [percent(get("fraction")), _ceiling(row)] if ceiling else []
    cells += [span(seeds) if entry[1] == "random" else "", number(get("r2"))]
    return cells + [count(get(c)) for c in ("n_targets", "n_missing", "n_flat")]


def layer_of(row: pd.Series) -> str:
    """The layer a row speaks of: the one that was chosen, or its own."""
    own = row.get("layer") or "n/a"
    per_seed = own == NESTED and row.get("seed") == "mean"
    return str(row.get("chosen") or ("per seed" if per_seed else own))


def _score(row: pd.Series) -> str:
    return f"{number(row.get('r'))} {interval(row.get('r_low'), row.get('r_high'))}"


def _ceiling(row: pd.Series) -> str:
    """The mean ceiling, its estimator, and in how many targets it could be had: two of sixty say little."""
    if not is_number(row.get("ceiling")):
        return number(row.get("ceiling"))
    some = f"{count(row.get('n_ceiling'))} of {count(row.get('n_targets'))}" if is_number(row.get("n_ceiling")) else ""
    told = ", ".join(part for part in (row.get("ceiling_kind"), some) if part)
    return number(row["ceiling"]) + (f" ({told})" if told else "")


def _scores(group: pd.DataFrame) -> list[str]:
    row, seeds = headline(group), twins(group)
    several = seeds.n_seeds > 1 or (group["seed"] == "mean").any()
    ends = interval(row["r_low"], row["r_high"]) if row is not None else MISSING
    return [number(seeds.mean), ends, span(seeds) if several else ""]


def _contrast(row: pd.Series, inference: bool) -> list[str]:
    sides = [f"{row[s]} ({row[f'layer_{s}'] or 'n/a'})" for s in ("a", "b")]
    cells = [row["roi"], *sides, number(row["r_a"]), number(row["r_b"]), number(row["difference"])]
    if not inference:
        return cells
    cells += [interval(row["low"], row["high"]), probability(row["p"]), probability(row["q"])]
    return [*cells, row["unit"] or "n/a", count(row["n_units"]), row["test"] or "n/a"]
