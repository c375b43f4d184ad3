"""The tables of a page, made of the tables of a run."""

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from pipeline.clock import GREEN_P
from pipeline.report.inference import inference_cells, inference_columns
from pipeline.report.kinds import named
from pipeline.report.parts import AlignedRun, AlignedTogether, Fits, Light, UsedRun
from pipeline.report.ranks import rank_cells, rank_columns
from pipeline.report.rows import Twins, at_choice, entries, headline, layer_of, of, regions, twins
from pipeline.report.words import MISSING, count, interval, is_number, number, percent, probability

_BARS = "▁▂▃▄▅▆▇█"


class Table(NamedTuple):
    """A table of a page: the first column names the row; `numeric` columns stand right-aligned.

    The cells of the columns in `lights` are green, amber, red or empty, and are printed in that colour.
    """

    caption: str
    columns: Sequence[str]
    rows: Sequence[Sequence[str]]
    numeric: frozenset[int] = frozenset()
    lights: frozenset[int] = frozenset()


def span(seeds: Twins) -> str:
    """The range over seeds in words."""
    return f"{number(seeds.low)} to {number(seeds.high)} ({seeds.n_seeds})" if seeds.n_seeds else ""


def used_table(runs: Iterable[UsedRun], caption: str) -> Table:
    columns = (
        "run",
        "split",
        "samples",
        "TR (s)",
        "duration (s)",
        "words in the table",
        "in the run",
        "outside",
        "outside (%)",
    )
    rows = [
        [str(u.run), str(u.split), count(u.n_samples), number(u.tr_s, 2), number(u.duration_s, 1), *_words_told(u)]
        for u in runs
    ]
    return Table(caption, (*columns, "presentations"), rows, frozenset(range(2, 10)))


def results_table(layers: pd.DataFrame, caption: str, *, ceiling: bool) -> Table:
    """One row per region and model at the chosen layer; columns of the ceiling only when it is valid."""
    columns = ["region", "model", "weights", "layer", "r [interval]", *(["% of ceiling", "ceiling"] if ceiling else [])]
    columns += ["over seeds (n)", "r²", "targets", "missing", "flat"]
    pairs = [(roi, entry) for roi in regions(layers) for entry in entries(layers)]
    rows = [_result(of(layers, entry, roi), roi, entry, ceiling) for roi, entry in pairs if len(of(layers, entry, roi))]
    return Table(caption, columns, rows, frozenset(range(4, len(columns))))


def comparison_table(comparison: pd.DataFrame, caption: str, *, inference: bool = True) -> Table:
    """One row per region and contrast; without inference neither interval nor p nor q.

    Ranks among seeds describe these seeds and stay either way.
    """
    columns = ["region", "a (layer)", "b (layer)", "r of a", "r of b", "a − b"]
    columns += ["interval", "p", "q", "unit", "n", "test"] if inference else []
    ranks, more = rank_columns(comparison), inference_columns(comparison)
    rows = [
        [*_contrast(row, inference), *rank_cells(row, ranks), *inference_cells(row, more)]
        for _, row in comparison.iterrows()
    ]
    text, columns = {"region", "a (layer)", "b (layer)", "unit", "test"}, [*columns, *ranks, *more]
    return Table(caption, columns, rows, frozenset(i for i, column in enumerate(columns) if column not in text))


def profile_table(layers: pd.DataFrame, rois: Sequence[str], caption: str) -> Table:
    """The numbers behind a layer profile: one row per region, model and layer; seeds are summed up."""
    rows = [
        [roi, model, named(weights, group["step"].iloc[0]), str(layer), *_scores(group)]
        for roi in rois
        for model, weights in entries(layers)
        for layer, group in of(layers, (model, weights), roi).groupby("layer", sort=False)
    ]
    return Table(
        caption, ("region", "model", "weights", "layer", "r", "interval", "over seeds (n)"), rows, frozenset({4, 5, 6})
    )


def alignment_table(runs: Iterable[AlignedRun], caption: str, together: AlignedTogether | None = None) -> Table:
    """One row per run, and one for all of them where they were judged at once."""
    rows = [
        [str(r.run), count(len(r.onsets)), *_peak_cells(peak(r)), probability(r.p), light_of(r) or "", verdict(r)]
        for r in runs
    ]
    rows += [_together_row(together)] if together else []
    columns = ("run", "words", "peak at (s)", "peak r", "p", "verdict", "the peak lies")
    return Table(caption, columns, rows, frozenset({1, 2, 3, 4}), frozenset({5}))


def fits_table(fits: Iterable[Fits], caption: str) -> Table:
    """One row per model: where its alphas lie, as a histogram of bars, and what columns its designs have."""
    rows = [
        [f.model, percent(f.edge_share), _bars(f.share), count(f.n_columns), count(f.n_constant), count(f.n_repeated)]
        for f in fits
    ]
    columns = ("model", "alphas at an edge (%)", "alphas, small to large", "columns", "constant", "repeated")
    return Table(caption, columns, rows, frozenset({1, 3, 4, 5}))


def _bars(share: Sequence[float]) -> str:
    """A histogram in one line: the tallest bar is the most frequent, and a dot is none at all."""
    top = max(share, default=0.0)
    return "".join("·" if s == 0 else _BARS[min(int(s / top * len(_BARS)), len(_BARS) - 1)] for s in share)


def peak(run: AlignedRun) -> tuple[float, float]:
    """(lag in s, r) of the highest cross-correlation, or the one furthest beyond chance; nan when there is none."""
    xcorr = np.asarray(run.xcorr, float)
    if not np.isfinite(xcorr).any():
        return np.nan, np.nan
    best = int(np.nanargmax(xcorr if run.excess is None else run.excess))
    return float(run.lags_s[best]), float(xcorr[best])


def outside(run: AlignedRun) -> bool:
    """True when the peak lies outside the band where it should."""
    lag, r = peak(run)
    return run.expected_s is not None and not (r > 0 and run.expected_s[0] <= lag <= run.expected_s[1])


def light_of(run: AlignedRun) -> Light | None:
    """The verdict; for a run that was never judged, amber when its peak lies outside the band."""
    if run.expected_s is None or run.light is not None:
        return run.light
    return "amber" if outside(run) else "green"


def verdict(run: AlignedRun) -> str:
    """Where the peak lies, and what that means."""
    if run.expected_s is None:
        return "no expectation for this kind of recording"
    if not is_number(peak(run)[1]):
        return "no cross-correlation: cannot be judged"
    return meaning(light_of(run), outside(run), run.expected_s, run.p)


def meaning(light: Light | None, beyond: bool, expected_s: tuple[float, float], p: float = np.nan) -> str:
    """A verdict in words. `beyond`: the peak lies outside the band; `p`: how often chance peaks as high."""
    band = f"{number(expected_s[0], 0)} to {number(expected_s[1], 0)} s"
    if light == "red":
        return f"far outside {band}: words and responses do not lie on one clock"
    if light == "amber" and p > GREEN_P:
        return f"{'outside' if beyond else 'inside'} {band}, but no higher than chance: too weak to tell"
    return f"outside {band}: check onsets and delay" if beyond else f"inside {band}"


def _words_told(run: UsedRun) -> list[str]:
    """Words in the table, in the run and outside it, their share outside (that of their features too), presentations."""
    share = run.words_outside / run.n_words if is_number(run.n_words) and run.n_words > 0 else np.nan
    counts = [count(value) for value in (run.n_words, run.n_words - run.words_outside, run.words_outside)]
    return [*counts, number(100 * share, 1), count(run.presentations)]


def _together_row(found: AlignedTogether) -> list[str]:
    lag, excess = float(found.lags_s[found.excess.argmax()]), float(found.excess.max())
    name = f"{found.n_runs} runs together"
    if found.expected_s is None:
        return [name, "", number(lag, 1), f"{number(excess, 1)} sd", probability(found.p), "", ""]
    beyond = not found.expected_s[0] <= lag <= found.expected_s[1]
    told = meaning(found.light, beyond, found.expected_s, found.p)
    return [name, "", number(lag, 1), f"{number(excess, 1)} sd", probability(found.p), found.light or "", told]


def _peak_cells(found: tuple[float, float]) -> list[str]:
    return [number(found[0], 1), number(found[1])]


def _result(rows: pd.DataFrame, roi: str, entry: tuple[str, str], ceiling: bool) -> list[str]:
    row, seeds = headline(rows), twins(at_choice(rows))
    if row is None:
        row = pd.Series(dtype=object)
    get: Any = row.get
    cells = [roi, entry[0], named(entry[1], get("step") or ""), layer_of(row), _score(row)]
    cells += [_share(row), _ceiling(row)] if ceiling else []
    cells += [span(seeds) if (rows["seed"] != "").any() else "", number(get("r2"))]
    return cells + [count(get(c)) for c in ("n_targets", "n_missing", "n_flat")]


def _score(row: pd.Series) -> str:
    return f"{number(row.get('r'))} {interval(row.get('r_low'), row.get('r_high'))}"


def _share(row: pd.Series) -> str:
    """The share of the ceiling, with its interval where both ends are known."""
    low, high = row.get("fraction_low"), row.get("fraction_high")
    ends = f" [{percent(low)}, {percent(high)}]" if is_number(low) and is_number(high) else ""
    return percent(row.get("fraction")) + ends


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
