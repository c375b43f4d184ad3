"""The score at each lag: the encoding score with the words shifted, and what all runs together say of their clock."""

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from pipeline.clock import RIVAL
from pipeline.report.figures import BLUE, DARK, GREEN, GREY, LIGHTS, legend, new_figure, title, write
from pipeline.report.parts import AlignedTogether, LagScan, Light
from pipeline.report.tables import Table, meaning
from pipeline.report.words import interval, is_number, number, shorten


def lag_figure(scan: LagScan) -> Figure:
    """The score over lags, the band where it should peak, and where it does."""
    figure = new_figure(3.3)
    axes = figure.add_axes((0.085, 0.16, 0.895, 0.66))
    lags_s, r = np.asarray(scan.lags_s, float), np.asarray(scan.r, float)
    if scan.low is not None and scan.high is not None:
        axes.fill_between(lags_s, scan.low, scan.high, color=BLUE, alpha=0.2, lw=0)
    axes.plot(lags_s, r, color=BLUE, lw=1.8, marker="o", ms=3.6)
    _frame(axes, scan.expected_s, lags_s)
    axes.set(ylabel="r", xlabel="lag of the response behind the words (s)")
    _name_peak(axes, scan, lag_light(scan))
    title(axes, f"Score of {scan.model}, layer {scan.layer}, {scan.roi}")
    _key(figure, [(_line(BLUE), "score"), *_bands(scan)])
    return figure


def together_figure(found: AlignedTogether) -> Figure:
    """What lies above chance at each lag, summed over runs."""
    figure = new_figure(2.9)
    axes = figure.add_axes((0.085, 0.18, 0.895, 0.66))
    axes.plot(found.lags_s, found.excess, color=DARK, lw=1.6)
    _frame(axes, found.expected_s, found.lags_s)
    axes.set(ylabel="sd above chance", xlabel="lag of the responses behind the words (s)")
    _mark(axes, found.lags_s, found.excess, found.light, "peak at {lag} s")
    title(axes, f"Word rate and responses, all {found.n_runs} runs together")
    return figure


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
        f"The score of {scan.model} (layer {scan.layer}, {scan.roi}) peaks at {_signed(lag)} s, r = {number(r)}{told}."
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
        f"lag, summed over runs, in standard deviations of that sum; peak at {_signed(lag)} s{_meaning(found, lag)}."
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


def _frame(axes: Axes, expected_s: tuple[float, float] | None, lags_s: np.ndarray) -> None:
    if expected_s is not None:
        axes.axvspan(*expected_s, color=GREEN, alpha=0.15, lw=0)
    axes.axhline(0, color="#BBBBBB", lw=0.8)
    axes.axvline(0, color="#BBBBBB", lw=0.8)
    low, high = axes.get_ylim()
    axes.set_ylim(low, high + 0.3 * (high - low))
    if len(lags_s):
        axes.set_xlim(min(lags_s) - 0.5, max(lags_s) + 0.5)


def _name_peak(axes: Axes, scan: LagScan, light: Light | None) -> None:
    if not is_number(lag_peak(scan)[1]):
        write(axes, 0.5, 0.5, "no score at any lag", transform=axes.transAxes, ha="center", color=GREY)
        return
    _mark(axes, scan.lags_s, scan.r, light, "peak r = {r} at {lag} s")


def _mark(axes: Axes, lags_s: np.ndarray, values: np.ndarray, light: Light | None, text: str) -> None:
    best = int(np.nanargmax(np.asarray(values, float)))
    lag, r = float(lags_s[best]), float(values[best])
    colour = LIGHTS.get(light or "", DARK)
    axes.plot([lag], [r], "o", color=colour, ms=6, clip_on=False)
    told = text.format(lag=_signed(lag), r=number(r)) + (f" ({light})" if light else "")
    right = lag > 0.4 * float(np.max(np.abs(lags_s)))
    above = r + 0.05 * float(np.ptp(axes.get_ylim()))
    write(axes, lag, above, told, ha="right" if right else "left", va="bottom", color=colour, weight="bold")


def _bands(scan: LagScan) -> list[tuple[Line2D | Patch, str]]:
    pieces: list[tuple[Line2D | Patch, str]] = []
    if scan.low is not None:
        pieces.append((Patch(color=BLUE, alpha=0.2, lw=0), f"interval over {shorten(scan.unit or 'n/a', 40)}"))
    if scan.expected_s is not None:
        ends = f"{number(scan.expected_s[0], 0)} to {number(scan.expected_s[1], 0)} s"
        pieces.append((Patch(color=GREEN, alpha=0.15, lw=0), f"expected: {ends}"))
    return pieces


def _line(colour: str) -> Line2D:
    return Line2D([], [], color=colour, lw=1.8)


def _key(figure: Figure, pieces: list[tuple[Line2D | Patch, str]]) -> None:
    place = {"loc": "upper left", "bbox_to_anchor": (0.075, 0.995), "borderaxespad": 0.2}
    legend(figure, [p[0] for p in pieces], [p[1] for p in pieces], ncols=4, columnspacing=1.8, **place)


def _highest(values: np.ndarray) -> float:
    finite = values[np.isfinite(values)]
    return float(finite.max(initial=0.0))


def _signed(lag: float) -> str:
    return f"+{number(lag, 1)}" if lag > 0 else number(lag, 1)
