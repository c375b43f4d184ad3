"""Scores over time after word onset as a picture: a panel for each kind of channel, and passive targets below."""

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from pipeline.report.figures import BLUE, COLOURS, DARK, GREY, PURPLE, VERMILLION, legend, new_figure, plain, title
from pipeline.report.meg_course import Course, Passive
from pipeline.report.meg_parts import MEANS
from pipeline.report.words import is_number

_PANEL_IN, _TOP_IN, _GAP_IN, _FOOT_IN = 1.55, 0.75, 0.42, 0.5
_DASHES = ((0, (1, 1.2)), (0, (3, 1, 1, 1)), (0, (1, 2.5)), (0, (4, 2)))  # of controls, told apart without colour


def course_figure(found: Sequence[Course], passive: Sequence[Passive]) -> Figure:
    """A panel per kind of channel on one time axis, and the passive targets below on their own scale."""
    n = len(found) + bool(passive)
    whole = _TOP_IN + _PANEL_IN * n + _GAP_IN * (n - 1) + _FOOT_IN
    figure, top, ends = new_figure(whole), whole - _TOP_IN, _ends(found)
    for i in range(n):
        axes = figure.add_axes((0.085, (top - _PANEL_IN) / whole, 0.88, _PANEL_IN / whole))
        if i < len(found):
            _panel(axes, found[i])
        else:
            _passive(axes, passive)
        _on_clock(axes, ends, last=i == n - 1)
        top -= _PANEL_IN + _GAP_IN
    handles, labels = _key(found)
    legend(figure, handles, labels, ncols=4, loc="upper left", bbox_to_anchor=(0.075, 1.0), borderaxespad=0.3)
    return figure


def _panel(axes: Axes, one: Course) -> None:
    times = one.times_s
    if one.twins:
        axes.fill_between(times, one.twins.low, one.twins.high, color=GREY, alpha=0.3, lw=0)
        axes.plot(times, one.twins.r, color=GREY, ls="--", lw=1.4)
    for line, colour, dash in zip(one.controls, COLOURS[1:], _DASHES, strict=False):
        axes.plot(times, line.r, color=colour, ls=dash, lw=1.2)
    axes.fill_between(times, one.trained.low, one.trained.high, color=BLUE, alpha=0.2, lw=0)
    axes.plot(times, one.trained.r, color=BLUE, lw=1.9)
    if np.isfinite(one.ceiling).any():
        axes.plot(times, one.ceiling, color="black", ls="-.", lw=1.2)
    _limits(axes, one)
    if one.peak:
        ends = (one.peak.low_s, one.peak.high_s)
        if all(map(is_number, ends)):
            axes.hlines(one.peak.r, *ends, color=BLUE, lw=2.4)
        axes.plot([one.peak.at_s], [one.peak.r], "D", ms=6, mfc="white", mec=BLUE, mew=1.6)
    for start, end, against in one.spans:
        axes.axvspan(start, end, ymin=0.0 if against else 0.05, ymax=0.04 if against else 0.09, color=VERMILLION if against else DARK, lw=0)  # fmt: skip
    axes.set_ylabel("r")
    title(axes, MEANS.get(one.kind, one.kind))


def _limits(axes: Axes, one: Course) -> None:
    """All lines; a ceiling far above them leaves the picture instead of flattening them."""
    lines = [one.trained, *([one.twins] if one.twins else []), *one.controls]
    known = np.concatenate([v[np.isfinite(v)] for line in lines for v in (line.r, line.low, line.high)] + [np.zeros(1)])
    low, high = float(known.min()), float(known.max())
    tops = one.ceiling[np.isfinite(one.ceiling)]
    high = max(high, float(tops[tops <= 3 * max(high, 0.01)].max(initial=high)))
    room = (high - low) or 0.05
    axes.set_ylim(low - 0.14 * room, high + 0.08 * room)


def _passive(axes: Axes, passive: Sequence[Passive]) -> None:
    lines = []
    for one, colour in zip(passive, (PURPLE, *COLOURS[1:]), strict=False):
        axes.fill_between(one.times_s, one.line.low, one.line.high, color=colour, alpha=0.2, lw=0)
        lines += axes.plot(one.times_s, one.line.r, color=colour, lw=1.6)
    lines += axes.plot(passive[0].times_s, passive[0].brain, color=BLUE, lw=1.6)
    names = [*(plain(one.name, 24) for one in passive[: len(lines) - 1]), "brain"]
    drawn = axes.legend(lines, names, loc="upper right", ncols=4, borderaxespad=0.1)
    for text in drawn.get_texts():
        text.set_parse_math(False)
    axes.set_ylabel("r")
    title(axes, "Passive target in place of the brain")


def _on_clock(axes: Axes, ends: tuple[float, float], *, last: bool) -> None:
    axes.set_xlim(*ends)
    if ends[0] < 0:
        axes.axvspan(ends[0], min(0.0, ends[1]), color="#EEEEEE", lw=0, zorder=-1)
    axes.axvline(0, color=DARK, lw=1)
    axes.axhline(0, color="#BBBBBB", lw=0.8, zorder=0)
    axes.tick_params(labelbottom=last)
    if last:
        axes.set_xlabel("time after word onset (s)")


def _ends(found: Sequence[Course]) -> tuple[float, float]:
    times = np.concatenate([one.times_s for one in found])
    return float(times.min()), float(times.max()) if times.max() > times.min() else float(times.min()) + 0.01


def _key(found: Sequence[Course]) -> tuple[list, list[str]]:
    one = found[0]
    entries: list[tuple] = [(Line2D([], [], color=BLUE, lw=1.9), one.trained.label)]
    if one.twins:
        entries.append((Line2D([], [], color=GREY, ls="--", lw=1.4), one.twins.label))
        entries += [(Patch(color=GREY, alpha=0.3, lw=0), "lowest to highest seed")] if one.twins.n_seeds > 1 else []
    for line, colour, dash in zip(one.controls, COLOURS[1:], _DASHES, strict=False):
        entries.append((Line2D([], [], color=colour, ls=dash, lw=1.2), line.label))
    spans = [against for c in found for _, _, against in c.spans]
    entries += [(Patch(color=DARK, lw=0), "cluster, against 0")] if "" in spans else []
    entries += [(Patch(color=VERMILLION, lw=0), "cluster, against another model")] if any(spans) else []
    if any(np.isfinite(c.ceiling).any() for c in found):
        entries.append((Line2D([], [], color="black", ls="-.", lw=1.2), "ceiling"))
    return [e[0] for e in entries], [e[1] for e in entries]
