"""The trajectory: how a score, and the loss on the stimulus text, move while a network is trained."""

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from pipeline.report.figures import BLUE, DARK, GREY, VERMILLION, legend, new_figure, plain, title, write
from pipeline.report.steps import Learning, Trajectory, places, tails
from pipeline.report.words import number, shorten

_AXIS = "r (mean over targets)"
_COLUMNS = 3
_TOP_IN, _LARGE_IN, _SMALL_IN = 0.62, 2.5, 1.35  # legend and title, then heights of the panels
_LABELS_IN, _GAP_IN = 0.92, 0.36  # tilted names of steps below a panel; title above the next
_APART_IN = 0.2  # between tilted labels
_LONGEST_LABEL = 12


def trajectory_figure(regions: Sequence[Trajectory], loss: Learning | None, *, unit: str, subjects: bool) -> Figure:
    """The first region large, the loss beside it where it is known, the other regions small below.

    Parameters
    ----------
    regions : one model in each region; the first is drawn large.
    unit : what the intervals were taken over.
    subjects : whether thin lines are single subjects.
    """
    small = regions[1:]
    n_rows = -(-len(small) // _COLUMNS)
    height = _TOP_IN + _LARGE_IN + _LABELS_IN + n_rows * (_SMALL_IN + _GAP_IN) + (_LABELS_IN if small else 0)
    figure = new_figure(height)
    bottom = height - _TOP_IN - _LARGE_IN
    left = figure.add_axes((0.075, bottom / height, 0.405 if loss else 0.905, _LARGE_IN / height))
    _score(left, regions[0], large=True)
    if loss:
        _loss(figure.add_axes((0.575, bottom / height, 0.405, _LARGE_IN / height)), loss)
    for i, one in enumerate(small):
        row, column = divmod(i, _COLUMNS)
        low = bottom - _LABELS_IN - (row + 1) * (_SMALL_IN + _GAP_IN)
        axes = figure.add_axes((0.075 + 0.325 * column, low / height, 0.255, _SMALL_IN / height))
        _score(axes, one, large=False, named=i + _COLUMNS >= len(small))
    _key(figure, regions, unit, subjects)
    return figure


def _score(axes: Axes, one: Trajectory, *, large: bool, named: bool = True) -> None:
    steps = [p.step for p in one.points]
    x, _ = places(steps)
    for line in one.thin:
        axes.plot(x, line, color=BLUE, lw=0.7, alpha=0.4, zorder=1)
    axes.axhline(0, color="#BBBBBB", lw=0.8, zorder=0)
    y, low, high = np.array([(p.r, p.low, p.high) for p in one.points], float).reshape(-1, 3).T
    axes.fill_between(x, low, high, color=BLUE, alpha=0.18, lw=0, zorder=1)
    if len(x) == 1:
        axes.vlines(x, low, high, color=BLUE, lw=1.2)
    axes.plot(x, y, color=BLUE, lw=1.8, marker="o" if len(x) <= 40 else "", ms=3.6 if large else 2.6, zorder=3)
    title(axes, f"Score, {one.roi}" if large else shorten(one.roi, 30))
    if large:
        axes.set_ylabel(_AXIS)
    if not np.isfinite(y).any():
        write(axes, 0.5, 0.5, "no score", transform=axes.transAxes, ha="center", color=GREY)
    _steps(axes, steps, x, named=named)


def _loss(axes: Axes, loss: Learning) -> None:
    x, _ = places(loss.steps)
    axes.plot(x, loss.loss, color=VERMILLION, lw=1.8, marker="s" if len(x) <= 40 else "", ms=3.4, zorder=3)
    axes.axhline(loss.ln_vocabulary, color=DARK, lw=1.2, ls="--", zorder=2)
    known = [v for v in (*loss.loss, loss.ln_vocabulary) if np.isfinite(v)]
    low, high = min(known), max(known)
    room = max(high - low, 1.0)
    axes.set_ylim(low - 0.08 * room, high + 0.16 * room)
    across = axes.get_yaxis_transform()
    told = f"ln(vocabulary) {number(loss.ln_vocabulary)}: knows nothing"
    write(
        axes,
        0.99,
        loss.ln_vocabulary + 0.02 * room,
        told,
        transform=across,
        ha="right",
        va="bottom",
        size=8,
        color=DARK,
    )
    title(axes, "Loss on the stimulus text")
    axes.set_ylabel("nats per token")
    _steps(axes, loss.steps, x, named=True)


def _steps(axes: Axes, steps: Sequence[str], x: np.ndarray, *, named: bool) -> None:
    """A tick for each step; names are tilted, and left out where they would touch."""
    room = max(0.03 * float(np.ptp(x)), 0.2)
    axes.set_xlim(x.min(initial=0) - room, x.max(initial=0) + room)
    axes.set_xticks(x, labels=[""] * len(x), minor=True)
    shown = _apart(x, _APART_IN * np.ptp(axes.get_xlim()) / (axes.get_position().width * axes.figure.get_figwidth()))
    names = steps if max(map(len, steps), default=0) <= _LONGEST_LABEL else [f"…{tail}" for tail in tails(steps)]
    labels = [plain(names[i], _LONGEST_LABEL) if named else "" for i in shown]
    axes.set_xticks(
        x[shown], labels=labels, rotation=45, ha="right", rotation_mode="anchor", size=7.5, parse_math=False
    )
    if named:
        axes.set_xlabel("training step")


def _apart(x: np.ndarray, gap: float) -> list[int]:
    """Which steps have their names written: the last, the first, and as many between as keep their distance."""
    if len(x) < 2:
        return list(range(len(x)))
    kept = [0]
    for i in range(1, len(x) - 1):
        if x[i] - x[kept[-1]] >= gap and x[-1] - x[i] >= gap:
            kept.append(i)
    return [*kept, len(x) - 1]


def _key(figure: Figure, regions: Sequence[Trajectory], unit: str, subjects: bool) -> None:
    line = Line2D([], [], color=BLUE, lw=1.8, marker="o", ms=3.6)
    pieces = [(line, f"{shorten(regions[0].model, 26)}, layer chosen on inner folds for each step")]
    if any(np.isfinite(p.low + p.high) for one in regions for p in one.points):
        pieces.append((Patch(color=BLUE, alpha=0.2, lw=0), f"interval over {shorten(unit or 'n/a', 44)}"))
    if subjects:
        pieces.append((Line2D([], [], color=BLUE, lw=0.7, alpha=0.5), "one subject"))
    place = {"loc": "upper left", "bbox_to_anchor": (0.065, 0.995), "borderaxespad": 0.2}
    legend(figure, [p[0] for p in pieces], [p[1] for p in pieces], ncols=3, columnspacing=1.8, **place)
