"""The score at each lag, drawn."""

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from pipeline.report.figures import BLUE, DARK, GREEN, GREY, LIGHTS, legend, new_figure, title, write
from pipeline.report.lags import lag_light, lag_peak, signed
from pipeline.report.parts import AlignedTogether, LagScan, Light
from pipeline.report.words import is_number, number, shorten


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
    told = text.format(lag=signed(lag), r=number(r)) + (f" ({light})" if light else "")
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
