"""The parts of R2 as a picture."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from pipeline.report.figures import DARK, GREY, legend, new_figure, title, write
from pipeline.report.words import is_number

_ROW_IN, _HEAD_IN, _FOOT_IN, _GAP_IN, _KEY_IN = 0.3, 0.3, 0.55, 0.2, 0.45


class Part(NamedTuple):
    """One row: a part of R2 with its interval, what rolled features have of it, and the r that belongs to it."""

    name: str
    value: float
    low: float
    high: float
    null: float
    p: float
    r: tuple[float, float, float]


def partition_figure(found: Mapping[str, Sequence[Part]], colours: Mapping[str, str]) -> Figure:
    """A panel for each region on one scale: the parts as dots with intervals, and diamonds for what rolled features add.

    Parameters
    ----------
    found : region -> its parts.
    colours : name of a part -> its colour.
    """
    heights = [_HEAD_IN + _ROW_IN * len(own) for own in found.values()]
    whole = _KEY_IN + sum(heights) + _GAP_IN * (len(found) - 1) + _FOOT_IN
    figure, top, first = new_figure(whole), whole - _KEY_IN, None
    for (roi, own), height in zip(found.items(), heights, strict=True):
        inside = height - _HEAD_IN
        place = (0.3, (top - height) / whole, 0.64, inside / whole)
        axes = figure.add_axes(place, sharex=first)
        _panel(axes, roi, own, colours)
        first, top = first or axes, top - height - _GAP_IN
        axes.tick_params(labelbottom=False)
    axes.tick_params(labelbottom=True)
    axes.set_xlabel("R²")
    dot = Line2D([], [], color=DARK, marker="o", lw=2, ms=6)
    ring = Line2D([], [], color=GREY, marker="D", mfc="white", lw=0, ms=6)
    rolled = any(is_number(one.null) for own in found.values() for one in own)
    sure = any(is_number(one.low) for own in found.values() for one in own)
    key = [
        (dot, "part and its interval" if sure else "part"),
        *([(ring, "by chance: features rolled around their runs")] if rolled else []),
    ]
    legend(figure, *zip(*key, strict=True), ncols=2, loc="upper left", bbox_to_anchor=(0.29, 1.0), borderaxespad=0.2)
    return figure


def _panel(axes: Axes, roi: str, own: Sequence[Part], colours: Mapping[str, str]) -> None:
    for i, one in enumerate(own):
        colour = colours[one.name]
        axes.plot([one.low, one.high], [-i, -i], color=colour, lw=2.2, solid_capstyle="butt")
        axes.plot(one.value, -i, "o", color=colour, ms=7)
        axes.plot(one.null, -i, "D", mfc="white", mec=GREY, ms=5.5, zorder=3)
        write(axes, -0.015, float(-i), one.name, transform=axes.get_yaxis_transform(), ha="right", va="center", size=8)
    axes.axvline(0, color=GREY, lw=0.8, zorder=0)
    axes.set_ylim(-len(own) + 0.4, 0.6)
    axes.set_yticks([])
    axes.spines["left"].set_visible(False)
    title(axes, roi)
