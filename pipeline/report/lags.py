"""The score at each lag in words: the encoding score with the words shifted, and what all runs together say of their clock."""

import numpy as np

from pipeline.clock import RIVAL
from pipeline.report.parts import AlignedTogether, LagScan, Light
from pipeline.report.tables import Table, meaning
from pipeline.report.words import interval, is_number, number


def lag_light(scan: LagScan) -> Light | None:
    """Red: a clear peak further outside than one lag. Without an interval above 0 nothing is clear, and amber the worst."""
    lag, r = lag_peak(scan)
    if scan.expected_s is None or not is_number(r):
        return None
    lags_s, (low, high) = np.asarray(scan.lags_s, float), scan.expected_s
    if r > 0 and low <= lag <= high:
        return "green" if _clear(scan) else "amber"
    inside = np.asarray(scan.r, float)[(lags_s >= low) & (lags_s <= high)]
    step = float(np.diff(lags_s).min(initial=np.inf)) if len(lags_s) > 1 else 0.0
    far = not low - step <= lag <= high + step
    return "red" if far and scan.low is not None and _clear(scan) and _highest(inside) < RIVAL * r else "amber"


def lag_peak(scan: LagScan) -> tuple[float, float]:
    """(lag in s, score) of the highest score; nan when there is none."""
    r = np.asarray(scan.r, float)
    if not np.isfinite(r).any():
        return np.nan, np.nan
    best = int(np.nanargmax(r))
    return float(scan.lags_s[best]), float(r[best])


def lag_sentence(scan: LagScan) -> str:
    """Where the score peaks, and what that means."""
    lag, r = lag_peak(scan)
    if not is_number(r):
        return f"The lag scan of {scan.model} has no score at any lag."
    told = _judged(scan, lag)
    return (
        f"The score of {scan.model} (layer {scan.layer}, {scan.roi}) peaks at {signed(lag)} s, r = {number(r)}{told}."
    )


def lag_caption(scan: LagScan) -> str:
    n, ends = (
        len(scan.lags_s),
        f"{number(min(scan.lags_s), 0)} to {number(max(scan.lags_s), 0)} s" if len(scan.lags_s) else "",
    )
    band = (
        f" Band: interval over {scan.unit or 'a unit that was not given'}."
        if scan.low is not None
        else " Without interval."
    )
    return (
        f"Lag scan of the encoding score: {scan.model}, layer {scan.layer}, {scan.roi}, N = {n} lags, {ends}. Each point is "
        f"a fit of its own, with the responses read that much after the words; below 0 they come before them.{band}"
    )  # fmt: skip


def lag_table(scan: LagScan, caption: str) -> Table:
    r = np.asarray(scan.r, float)
    nothing = np.full(len(r), np.nan)
    ends = zip(nothing if scan.low is None else scan.low, nothing if scan.high is None else scan.high, strict=True)
    rows = [[number(t, 1), number(v), interval(*e)] for t, v, e in zip(scan.lags_s, r, ends, strict=True)]
    return Table(caption, ("lag (s)", "r", "interval"), rows, frozenset({0, 1, 2}))


def together_caption(found: AlignedTogether) -> str:
    lag = float(found.lags_s[np.argmax(found.excess)])
    return (
        f"All runs at once, N = {found.n_runs} runs: how far the correlation of words per volume and responses lies above chance at each "
        f"lag, summed over runs, in standard deviations of that sum; peak at {signed(lag)} s{_meaning(found, lag)}."
    )


def _meaning(found: AlignedTogether, lag: float) -> str:
    if found.expected_s is None:
        return ""
    return f": {meaning(found.light, not found.expected_s[0] <= lag <= found.expected_s[1], found.expected_s, found.p)}"


def _judged(scan: LagScan, lag: float) -> str:
    if scan.expected_s is None:
        return ""
    low, high = scan.expected_s
    beyond, weak = not low <= lag <= high, scan.low is not None and not _clear(scan)
    return f": {meaning(lag_light(scan), beyond, scan.expected_s, 1.0 if weak else np.nan)}"


def _clear(scan: LagScan) -> bool:
    """The interval of the highest score lies above 0; without intervals a score above 0 does."""
    r = np.asarray(scan.r, float)
    ends = r if scan.low is None else np.asarray(scan.low, float)
    return bool(ends[int(np.nanargmax(r))] > 0)


def _highest(values: np.ndarray) -> float:
    finite = values[np.isfinite(values)]
    return float(finite.max(initial=0.0))


def signed(lag: float) -> str:
    return f"+{number(lag, 1)}" if lag > 0 else number(lag, 1)
