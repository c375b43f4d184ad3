"""The layer profile: how well each layer predicts, beside twins, controls and the ceiling."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.ticker import MaxNLocator

from pipeline.report.curves import Curve, Level, Panel
from pipeline.report.figures import COLOURS, DARK, GREY, legend, new_figure, spread, title, write
from pipeline.report.words import number, shorten

_AXIS = "r (mean over targets)"
_MARKERS = "osD^vPX"
_LEGEND_COLUMNS = 2
_DASHES = {"shuffled": (0, (6, 1.5, 1, 1.5)), "spectrum": (0, (2, 1)), "shuffledwords": (0, (6, 1, 1, 1, 1, 1))}


class Look(NamedTuple):
    """How the profile of one figure is told: shared by its panels."""

    colours: Mapping[str, str]
    unit: str
    subjects: bool = False


def profile(panels: Sequence[Panel], *, unit: str, subjects: bool) -> Figure:
    """One panel per region; a single one is drawn large. `unit` is what the intervals were taken over."""
    look = Look(_colours(panels), unit, subjects)
    handles, labels = _key(panels, look)
    return _single(panels[0], look, handles, labels) if len(panels) == 1 else _grid(panels, look, handles, labels)


def _single(one: Panel, look: Look, handles: list, labels: list[str]) -> Figure:
    top = 0.185 * -(-len(labels) // _LEGEND_COLUMNS) + 0.42
    height = 3.7 + top
    figure = new_figure(height)
    axes = figure.add_axes((0.075, 0.5 / height, 0.735, 3.2 / height))
    _draw(axes, one, look, limit=28)
    axes.set_ylabel(_AXIS)
    axes.set_xlabel("layer (0 = embeddings)")
    _legend(figure, handles, labels, 0.065)
    return figure


def _grid(panels: Sequence[Panel], look: Look, handles: list, labels: list[str]) -> Figure:
    n_rows = -(-len(panels) // 2)
    top = 0.185 * -(-len(labels) // _LEGEND_COLUMNS) + 0.22
    height = 2.45 * n_rows + top + 0.2
    figure = new_figure(height)
    for i, one in enumerate(panels):
        bottom = height - top - 2.45 * (i // 2 + 1) + 0.45
        axes = figure.add_axes((0.075 + 0.5 * (i % 2), bottom / height, 0.305, 1.75 / height))
        _draw(axes, one, look, limit=15)
        if i % 2 == 0:
            axes.set_ylabel(_AXIS)
        if i >= len(panels) - 2:
            axes.set_xlabel("layer (0 = embeddings)")
    _legend(figure, handles, labels, 0.065)
    return figure


def _legend(figure: Figure, handles: list, labels: list[str], left: float) -> None:
    place = {"loc": "upper left", "bbox_to_anchor": (left, 0.995), "borderaxespad": 0.2}
    if handles:
        legend(figure, handles, labels, ncols=_LEGEND_COLUMNS, handlelength=2.4, columnspacing=1.8, **place)


def _draw(axes: Axes, one: Panel, look: Look, limit: int) -> None:
    title(axes, f"{shorten(one.roi, 34)} ({one.name})")
    axes.axhline(0, color="#BBBBBB", lw=0.8, zorder=0)
    for curve in one.curves:
        _curve(axes, curve, look)
    _limits(axes, one)
    _levels(axes, one, limit)
    if not one.curves:
        write(axes, 0.5, 0.5, "no model has layers here", transform=axes.transAxes, ha="center", color=GREY)


def _curve(axes: Axes, curve: Curve, look: Look) -> None:
    colour, dash = look.colours[curve.key], _dash(curve)
    for line in curve.thin:
        axes.plot(line[0], line[1], color=colour, lw=0.7, alpha=0.4, zorder=1)
    axes.fill_between(curve.x, curve.low, curve.high, color=colour, alpha=0.18, lw=0, zorder=1)
    axes.plot(
        curve.x,
        curve.y,
        ls=dash,
        color=colour,
        lw=2.4 if look.subjects else 1.8,
        marker=_marker(curve),
        ms=3.2,
        zorder=3,
    )
    if len(curve.x) == 1 and np.isfinite(curve.low[0] + curve.high[0]):
        axes.vlines(curve.x, curve.low, curve.high, color=colour, lw=1.2, zorder=2)
    if curve.chosen and np.isfinite(curve.nested):
        style = {
            "marker": "D",
            "ms": 8,
            "mfc": "white",
            "mec": colour,
            "mew": 1.8,
            "ls": ":",
            "color": colour,
            "zorder": 4,
        }
        axes.plot(curve.chosen, [curve.nested] * len(curve.chosen), **style)


def _dash(curve: Curve) -> str | tuple:
    """Solid is trained; kinds of twin differ without colour too."""
    return _DASHES.get(curve.weights, "--") if curve.twin else "-"


def _marker(curve: Curve) -> str:
    return _MARKERS[0] if len(curve.x) <= 30 else ""


def _limits(axes: Axes, one: Panel) -> None:
    values = [
        v for c in one.curves for v in (*c.y, *c.low, *c.high, c.nested, *(t for line in c.thin for t in line[1]))
    ]
    values = [v for v in [*values, *(level.value for level in one.controls), 0.0] if np.isfinite(v)]
    low, high = min(values), max(values)
    high = max([high, *(level.value for level in one.ceilings if level.value <= 3 * max(high, 0.01))])
    room = 0.07 * (high - low) or 0.05
    axes.set_ylim(low - room, high + room)
    depths = [x for c in one.curves for x in c.x] or [0.0]
    wide = max(0.03 * (max(depths) - min(depths)), 0.4)
    axes.set_xlim(min(depths) - wide, max(depths) + wide)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))


def _levels(axes: Axes, one: Panel, limit: int) -> None:
    """Horizontal lines, each with its name at the right; names that would touch are moved apart."""
    low, high = axes.get_ylim()
    levels = [*one.controls, *one.ceilings]
    shown = [min(level.value, high) for level in levels]
    inches = axes.get_position().height * axes.figure.get_figheight()
    places = spread(shown, 0.155 * (high - low) / inches, low, high)
    for level, value, place in zip(levels, shown, places, strict=True):
        _level(axes, level, value, float(place), limit)


def _level(axes: Axes, level: Level, value: float, place: float, limit: int) -> None:
    inside, colour = value == level.value, "#000000" if level.ceiling else "#555555"
    if inside:
        axes.axhline(value, color=colour, lw=1.3, ls="-." if level.ceiling else ":", zorder=2)
    across = axes.get_yaxis_transform()
    axes.plot([1.0, 1.03], [value, place], transform=across, color=colour, lw=0.7, clip_on=False)
    above = "" if inside else " ↑"
    label = "ceiling" if level.ceiling and len(level.label) > limit - 6 else shorten(level.label, limit - 6)
    text = f"{label} {number(level.value)}{above}"
    write(axes, 1.035, place, text, transform=across, va="center", size=7.5, color=colour)


def _colours(panels: Sequence[Panel]) -> dict[str, str]:
    """Each trained model its hue; of as many families of twins each shares one, else they start at grey."""
    curves = [curve for one in panels for curve in one.curves]
    trained = list(dict.fromkeys(c.key for c in curves if not c.twin))
    families = list(dict.fromkeys(c.key for c in curves if c.twin))
    hues = {key: COLOURS[i % len(COLOURS)] for i, key in enumerate(trained)}
    if len(families) == len(trained) > 1:
        return hues | dict(zip(families, hues.values(), strict=True))
    rest = [GREY, *(COLOURS[(len(trained) + i) % len(COLOURS)] for i in range(len(families)))]
    return hues | dict(zip(families, rest, strict=False))


def _key(panels: Sequence[Panel], look: Look) -> tuple[list, list[str]]:
    curves = list({c.key: c for one in panels for c in one.curves}.values())
    handles = [Line2D([], [], color=look.colours[c.key], ls=_dash(c), lw=1.8) for c in curves]
    labels = [shorten(c.name, 56) + (", mean of seeds" if c.twin else "") for c in curves]
    pieces = [*_bands(panels, look), *_marks(panels, look)]
    return handles + [p[0] for p in pieces], labels + [p[1] for p in pieces]


def _bands(panels: Sequence[Panel], look: Look) -> list[tuple[Patch, str]]:
    def banded(twin: bool) -> bool:
        return any(c.twin == twin and np.isfinite(c.low + c.high).any() for one in panels for c in one.curves)

    found = (
        [(Patch(color="#0072B2", alpha=0.2, lw=0), f"interval over {shorten(look.unit or 'n/a', 44)}")]
        if banded(False)
        else []
    )
    return found + ([(Patch(color=GREY, alpha=0.2, lw=0), "lowest to highest seed")] if banded(True) else [])


def _marks(panels: Sequence[Panel], look: Look) -> list[tuple[Line2D, str]]:
    chosen = any(c.chosen for one in panels for c in one.curves)
    diamond = Line2D([], [], marker="D", ms=7, mfc="white", mec=DARK, mew=1.6, ls="")
    thin = Line2D([], [], color=DARK, lw=0.7, alpha=0.5)
    found = [(diamond, "score at the layer chosen on inner folds")] if chosen else []
    return found + ([(thin, "one subject")] if look.subjects else [])
