"""Where on the head: scores of each sensor at chosen times and at the peak, for the layer chosen on inner folds."""

import re
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd
from jaxtyping import Bool, Float
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.figure import Figure

from pipeline.report.figures import new_figure, write
from pipeline.report.meg_parts import MEANS, ChannelScores, significant
from pipeline.report.meg_places import by_place, drawable_kinds, why_not
from pipeline.report.rows import NESTED
from pipeline.report.tables import Table
from pipeline.report.words import MISSING, count, number
from pipeline.sensors import Sensors, info_of

_LIKED_S = (-0.2, 0.0, 0.1, 0.2, 0.4, 0.6)  # where responses to words are known to differ (M100, N400, late)
_N_TIMES = len(_LIKED_S)
_MOST_KINDS = 3
_ROW_IN, _TOP_IN = 1.25, 0.3
_ROOM = 1.12  # of a head beside its axes
_MARK = {"marker": "o", "markerfacecolor": "white", "markeredgecolor": "black", "markersize": 4.5, "markeredgewidth": 1.1, "linewidth": 0}  # fmt: skip


class Heads(NamedTuple):
    """Heads to draw: r (channel, shown) of one model at the indices `shown` of the latencies, the peak last."""

    model: str
    sensors: Sensors
    kinds: Sequence[str]
    times_s: Float[np.ndarray, " shown"]
    r: Float[np.ndarray, "channel shown"]
    marked: Bool[np.ndarray, "channel shown"]
    clustered: bool


def heads(scores: ChannelScores, sensors: Sensors, clusters: pd.DataFrame) -> Heads:
    """The chosen times and the peak after onset; a recording without latencies has one head.

    Parameters
    ----------
    clusters : tidy; those of the nested layer against zero mark their channels between their start and end.
    """
    times = np.array(sensors.latencies_s or (np.nan,), float)
    shown = _shown(times, scores.r)
    found = significant(clusters)
    own = found[(found["a"] == scores.model) & (found["b"] == "") & found["layer"].isin([NESTED, ""])]
    marked = np.zeros((len(sensors.names), len(shown)), bool)
    for cluster in own.itertuples():
        inside = (times[shown] >= cluster.start_s - 1e-9) & (times[shown] <= cluster.end_s + 1e-9)
        marked |= np.outer(np.isin(sensors.names, members(cluster.channels, sensors.names)), inside)
    kinds = drawable_kinds(sensors)[:_MOST_KINDS]
    return Heads(scores.model, sensors, kinds, times[shown], scores.r[:, shown], marked, bool(len(own)))


def members(told: str, names: Sequence[str]) -> list[str]:
    """The channels that a cell of a table names: between commas or semicolons, or else between spaces."""
    known = set(names)
    parts = [part.strip() for part in re.split(r"[,;]", told)]
    if not known.intersection(parts):
        parts = told.split()
    return [part for part in parts if part in known]


def heads_figure(found: Heads) -> Figure:
    """A row per kind of channel, a column per time, one colour scale."""
    n_rows, n_columns = len(found.kinds), len(found.times_s)
    whole = _ROW_IN * n_rows + _TOP_IN
    figure, reach = new_figure(whole), _reach(found)
    across = 0.87 / max(n_columns, 4)
    for row, kind in enumerate(found.kinds):
        bottom = (whole - _TOP_IN - _ROW_IN * (row + 1) + 0.03) / whole
        name, middle = MEANS.get(kind, kind).replace(" ", "\n"), bottom + _ROW_IN / 2 / whole
        figure.text(0.022, middle, name, fontsize=8, va="center", ha="center", rotation=90, parse_math=False)
        for column in range(n_columns):
            axes = figure.add_axes((0.05 + across * column, bottom, across * 0.97, (_ROW_IN - 0.06) / whole))
            _head(axes, found, kind, column, reach)
            if row == 0:
                write(axes, 0.5, 1.02, _when(found, column), transform=axes.transAxes, ha="center", fontsize=8.5, weight="bold")  # fmt: skip
    bar = figure.add_axes((0.925, 0.15 / whole, 0.014, (_ROW_IN - 0.25) / whole))
    figure.colorbar(ScalarMappable(Normalize(-reach, reach), "RdBu_r"), cax=bar, label="r")
    return figure


def heads_table(found: Heads, caption: str) -> Table:
    """At each time and for each kind: the mean, the best channel, and how many lie in a significant cluster."""
    rows = []
    for i in range(len(found.times_s)):
        for kind in dict.fromkeys(found.sensors.kinds):
            own = np.flatnonzero(np.array(found.sensors.kinds) == kind)
            r, marked = found.r[own, i], found.marked[own, i]
            known = r[np.isfinite(r)]
            best = found.sensors.names[own[int(np.nanargmax(r))]] if known.size else MISSING
            numbers = [number(known.mean()), number(known.max())] if known.size else [MISSING, MISSING]
            rows.append([_when(found, i), kind, *numbers, best, count(len(known)), count(int(marked.sum()))])
    columns = ("time", "channels", "mean r", "highest r", "at", "n", "in a cluster")
    return Table(caption, columns, rows, frozenset({2, 3, 5, 6}))


def heads_in_words(found: Heads) -> str:
    """The alternative text: where the best channel lies at each time."""
    told = []
    for i in range(len(found.times_s)):
        r = found.r[:, i]
        if np.isfinite(r).any():
            best = int(np.nanargmax(r))
            told.append(
                f"{_when(found, i)}: mean {number(float(np.nanmean(r)))}, highest {number(r[best])} at {found.sensors.names[best]}"
                + (f", {int(found.marked[:, i].sum())} channels in a cluster" if found.clustered else "")
            )
    return f"Score r of each sensor for {found.model}, heads seen from above, nose up. {'; '.join(told)}."


def heads_caption(found: Heads) -> str:
    told = [f"r of {found.model} at the layer chosen on inner folds, on one colour scale; heads seen from above, nose up."]  # fmt: skip
    told += ["Last column: where the mean over channels is highest after onset."] if len(found.times_s) > 1 else []
    told += ["The two gradiometers of a place are averaged, with their signs."] if "grad" in found.kinds else []
    told += (
        ["White dots: sensors in a cluster at p ≤ 0.05."]
        if found.marked.any()
        else ["No sensor lies in a significant cluster at these times."]
        if found.clustered
        else ["No significant cluster, or none was looked for: no sensor is marked."]
    )
    return " ".join(told)


def not_drawn(sensors: Sensors, why_no_places: str = "") -> list[str]:
    """Which channels are on no head, and why."""
    kinds = list(dict.fromkeys(sensors.kinds))
    told = {kind: why_not(sensors, kind) for kind in kinds}
    left = [f"{MEANS.get(kind, kind)} are not drawn: {reason}" for kind, reason in told.items() if reason]
    end = f" ({why_no_places})" if why_no_places else ""
    return [f"{text[0].upper()}{text[1:]}{end}." for text in left]


def _shown(times: np.ndarray, r: np.ndarray) -> np.ndarray:
    if len(times) == 1:
        return np.zeros(1, int)
    liked = [t for t in _LIKED_S if times[0] - 1e-9 <= t <= times[-1] + 1e-9]
    wanted = liked if len(liked) == _N_TIMES else np.linspace(times[0], times[-1], _N_TIMES)
    chosen = sorted({int(np.abs(times - t).argmin()) for t in wanted})
    peak = peak_at(times, r)
    return np.array([*chosen, *([] if peak is None else [peak])])


def peak_at(times: np.ndarray, r: np.ndarray) -> int | None:
    """The latency after onset with the highest mean over channels; None where there is no score."""
    after = times >= 0
    known = np.isfinite(r).any(axis=0) & after
    if not known.any():
        return None
    mean = np.where(known, np.nansum(r, axis=0) / np.maximum(np.isfinite(r).sum(axis=0), 1), -np.inf)
    return int(mean.argmax())


def _when(found: Heads, i: int) -> str:
    if not np.isfinite(found.times_s[i]):
        return "whole response"
    peak = i == len(found.times_s) - 1 and len(found.times_s) > 1
    return f"{'peak, ' if peak else ''}{number(found.times_s[i], 2)} s"


def _reach(found: Heads) -> float:
    drawn = np.abs(found.r[np.isin(found.sensors.kinds, found.kinds)])
    known = drawn[np.isfinite(drawn)]
    return float(known.max(initial=0)) or 1e-3


def _whole(axes: Axes) -> None:
    """Sensors that lie lower than the brim of the head are drawn outside of it: show them too."""
    across = max(abs(v) for line in axes.lines for v in line.get_xdata())
    along = max(abs(v) for line in axes.lines for v in line.get_ydata())
    reach = _ROOM * max(across, along)
    axes.set(xlim=(-reach, reach), ylim=(-reach, reach))


def _head(axes: Axes, found: Heads, kind: str, column: int, reach: float) -> None:
    import mne

    sensors, values, place = by_place(found.sensors, kind, found.r[:, column])
    if len(values) < 4:
        axes.axis("off")
        write(axes, 0.5, 0.5, "no score", transform=axes.transAxes, ha="center")
        return
    marked = np.zeros(len(values), bool)
    marked[place[found.marked[:, column] & (place >= 0)]] = True
    info = info_of(sensors, sensors.kinds[0])
    mne.viz.plot_topomap(
        values, info, axes=axes, show=False, cmap="RdBu_r", vlim=(-reach, reach), contours=0, sensors="k.", mask=marked,
        mask_params=_MARK,
    )  # fmt: skip
    _whole(axes)
    for line in axes.lines:
        if line.get_marker() == ".":
            line.set(markersize=1.2, alpha=0.5)
