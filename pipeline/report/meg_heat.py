"""When and in which layer: score by latency and layer of a trained model, its twins, and their difference."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd
from jaxtyping import Float
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Rectangle
from matplotlib.ticker import MaxNLocator

from pipeline.report.figures import BLUE, DARK, GREY, legend, new_figure, title
from pipeline.report.kinds import is_twin, kind_of
from pipeline.report.meg_parts import ALL_KINDS, significant
from pipeline.report.tables import Table
from pipeline.report.words import is_number, number

_TOP_IN, _HEAT_IN, _GAP_IN, _MARGIN_IN, _FOOT_IN = 0.42, 2.15, 0.95, 1.55, 0.55


class Grid(NamedTuple):
    """Score (layer, latency) of one model, nan where there is none."""

    label: str
    r: Float[np.ndarray, "layer latency"]


class Heat(NamedTuple):
    """What one picture shows: the trained model, and where there are twins these and the difference, on the same axes.

    `ceiling` is by latency, nan where none is valid. `clusters` are those of
    the trained model: against zero (b empty) and against its twins.
    """

    model: str
    layers: Float[np.ndarray, " layer"]
    times_s: Float[np.ndarray, " latency"]
    grids: Sequence[Grid]
    ceiling: Float[np.ndarray, " latency"]
    clusters: pd.DataFrame
    twin: str = ""


def heats(latencies: pd.DataFrame, clusters: pd.DataFrame, *, ceiling: bool) -> list[Heat]:
    """One for each trained model with layers; each beside the random twins, or the first kind of twin there is.

    Parameters
    ----------
    latencies, clusters : tidy, of the last checkpoint only.
    ceiling : there is a valid one.
    """
    rows = latencies[(latencies["kind"] == ALL_KINDS) & latencies["depth"].notna()]
    networks = list(dict.fromkeys(zip(rows["model"], rows["weights"], strict=True)))
    twins = sorted((n for n in networks if is_twin(n[1])), key=lambda n: n[1] != "random")
    trained = [model for model, weights in networks if weights == "trained"]
    return [_heat(rows, model, _twin_of(i, twins), clusters, ceiling) for i, model in enumerate(trained)]


def heat_figure(heat: Heat) -> Figure:
    """The grids side by side on one scale, and below them the best layer at each time and the best time of each layer."""
    whole = _TOP_IN + _HEAT_IN + _GAP_IN + _MARGIN_IN + _FOOT_IN
    figure, n, reach = new_figure(whole), len(heat.grids), _reach(heat)
    width = 0.83 / n
    for i, grid in enumerate(heat.grids):
        bottom = (whole - _TOP_IN - _HEAT_IN) / whole
        axes = figure.add_axes((0.07 + width * i, bottom, width - 0.035, _HEAT_IN / whole))
        image = _grid(axes, heat, grid, reach)
        axes.set_ylabel("layer (0 = embeddings)" if i == 0 else "")
        axes.tick_params(labelleft=i == 0)
    bar = figure.add_axes((0.905, (whole - _TOP_IN - _HEAT_IN) / whole, 0.016, _HEAT_IN / whole))
    figure.colorbar(image, cax=bar, label="r (mean over channels)")
    below = _FOOT_IN / whole
    _over_layers(figure.add_axes((0.07, below, 0.5, _MARGIN_IN / whole)), heat)
    _over_times(figure.add_axes((0.66, below, 0.3, _MARGIN_IN / whole)), heat)
    lines = [Line2D([], [], color=c, ls=ls, lw=1.6) for c, ls in ((BLUE, "-"), (GREY, "--"))][: 1 + bool(heat.twin)]
    names = [heat.model, *([heat.grids[1].label] if heat.twin else [])]
    if np.isfinite(heat.ceiling).any():
        lines, names = [*lines, Line2D([], [], color="black", ls="-.", lw=1.2)], [*names, "ceiling"]
    place = {"loc": "upper left", "bbox_to_anchor": (0.065, (_FOOT_IN + _MARGIN_IN + 0.52) / whole)}
    legend(figure, lines, names, ncols=3, **place)
    return figure


def heat_table(heat: Heat, caption: str) -> Table:
    """For each layer where its score is highest, and the same of its twins; the full grid is in the file of latencies."""
    columns = ["layer", "highest r", "at (s)", "highest r before onset"]
    columns += ["twins there", "difference"] if heat.twin else []
    rows = [[number(layer, 0), *_best(heat, i)] for i, layer in enumerate(heat.layers)]
    return Table(f"{caption}. All latencies: the file of latencies", columns, rows, frozenset(range(1, len(columns))))


def heat_in_words(heat: Heat) -> str:
    """The alternative text: where the scores are highest, with their numbers."""
    told = [f"{grid.label} {_highest(heat, grid.r)}" for grid in heat.grids if np.isfinite(grid.r).any()]
    marked = significant(heat.clusters)
    told += [f"{len(marked)} clusters outlined" if len(marked) != 1 else "1 cluster outlined"] if len(marked) else []
    return f"Score r by time after word onset and layer. {'; '.join(told)}."


def heat_caption(heat: Heat) -> str:
    told = ["Time by layer: r, mean over channels, on one colour scale (blue below 0, red above)."]
    told += [f"Difference: {heat.model} minus {heat.grids[1].label}."] if heat.twin else []
    told += ["Vertical line: word onset. Below: the highest of all layers at each time, and of all times in each layer, both picked by what they show."]  # fmt: skip
    told += ["Dash-dotted: noise ceiling as estimated, mean over channels."] if np.isfinite(heat.ceiling).any() else []
    outlined = any(len(_outlined(heat, against)) for against in {"", heat.twin})
    told += ["Outlines: from when to when clusters at p ≤ 0.05 reach in any kind of channel; broken: of the layer chosen on inner folds, drawn over all layers."] if outlined else []  # fmt: skip
    return " ".join(told)


def _heat(rows: pd.DataFrame, model: str, twin: tuple[str, str] | None, clusters: pd.DataFrame, ceiling: bool) -> Heat:
    own = rows[(rows["model"] == model) & (rows["weights"] == "trained")]
    layers, times = np.unique(own["depth"]), np.unique(own["latency"])
    grids = [Grid(model, _values(own, layers, times))]
    if twin:
        seeds = rows[(rows["model"] == twin[0]) & (rows["weights"] == twin[1])]
        means = seeds[seeds["seed"] == "mean"]
        other = _values(means if len(means) else seeds, layers, times)
        grids += [Grid(f"{kind_of(twin[1]).many} {twin[0]}", other), Grid("difference", grids[0].r - other)]
    top = own.groupby("latency")["ceiling"].mean().reindex(times).to_numpy(float)
    mine = clusters[clusters["a"] == model]
    top = top if ceiling else np.full(len(times), np.nan)
    return Heat(model, layers, times, grids, top, mine, twin[0] if twin else "")


def _twin_of(i: int, twins: Sequence[tuple[str, str]]) -> tuple[str, str] | None:
    """As many models as random twins stand in the same order; else all are compared with the first."""
    return twins[min(i, len(twins) - 1)] if twins else None


def _values(rows: pd.DataFrame, layers: np.ndarray, times: np.ndarray) -> np.ndarray:
    table = rows.pivot_table(index="depth", columns="latency", values="r", aggfunc="mean", dropna=False)
    return table.reindex(index=layers, columns=times).to_numpy(float)


def _reach(heat: Heat) -> float:
    """Where colours end, the same for all grids and on both sides of 0."""
    known = np.abs(np.concatenate([grid.r[np.isfinite(grid.r)] for grid in heat.grids]))
    return float(known.max(initial=0)) or 1e-3


def _grid(axes: Axes, heat: Heat, grid: Grid, reach: float):
    x, y = _edges(heat.times_s), np.arange(len(heat.layers) + 1) - 0.5
    axes.set_facecolor("#DDDDDD")  # no score
    image = axes.pcolormesh(x, y, np.ma.masked_invalid(grid.r), cmap="RdBu_r", vmin=-reach, vmax=reach, rasterized=True)
    axes.axvline(0, color=DARK, lw=1)
    step = max(1, -(-len(heat.layers) // 7))
    axes.set_yticks(range(0, len(heat.layers), step), [number(v, 0) for v in heat.layers[::step]])
    axes.set(xlabel="time after word onset (s)", xlim=(x[0], x[-1]), ylim=(y[0], y[-1]))
    title(axes, grid.label if len(grid.label) < 34 else grid.label[:33] + "…")
    against = {heat.model: "", "difference": heat.twin}.get(grid.label)
    for bottom, high, start, end in _outlines(heat, against) if against is not None else ():
        style = {"fill": False, "edgecolor": "black", "lw": 1.4, "ls": "-" if high == 1 else "--"}
        axes.add_patch(Rectangle((start, bottom), end - start, high, **style))
    return image


def _outlines(heat: Heat, against: str) -> list[tuple[float, float, float, float]]:
    """(bottom, height, start, end) of clusters: around their layer, or around all layers where the nested choice was tested."""
    half, found = (heat.times_s[1] - heat.times_s[0]) / 2 if len(heat.times_s) > 1 else 0.01, []
    for layer, rows in _outlined(heat, against).groupby("layer", sort=False):
        at = np.flatnonzero([number(v, 0) == layer for v in heat.layers])
        place = (float(at[0]) - 0.5, 1.0) if len(at) else (-0.5, float(len(heat.layers)))
        ends = zip(rows["start_s"] - half, rows["end_s"] + half, strict=True)
        found += [(*place, *span) for span in _joined(sorted(ends))]
    return found


def _joined(spans: Sequence[tuple[float, float]]) -> list[tuple[float, float]]:
    """Spans that overlap as one: clusters of several kinds of channel cover the same times."""
    found: list[tuple[float, float]] = []
    for start, end in spans:
        if found and start <= found[-1][1]:
            found[-1] = (found[-1][0], max(found[-1][1], end))
        else:
            found.append((start, end))
    return found


def _outlined(heat: Heat, against: str) -> pd.DataFrame:
    found = significant(heat.clusters)
    return found[(found["b"] == against) & found["start_s"].notna() & found["end_s"].notna()]


def _over_layers(axes: Axes, heat: Heat) -> None:
    _lines(axes, heat.times_s, [_highest_along(grid.r, 0) for grid in heat.grids[:2]])
    if np.isfinite(heat.ceiling).any():
        axes.plot(heat.times_s, heat.ceiling, color="black", ls="-.", lw=1.2)
    axes.axvline(0, color=DARK, lw=1)
    axes.set(xlabel="time after word onset (s)", ylabel="highest r over layers")
    axes.set_xlim(heat.times_s[0], heat.times_s[-1] if len(heat.times_s) > 1 else heat.times_s[0] + 0.01)


def _over_times(axes: Axes, heat: Heat) -> None:
    _lines(axes, heat.layers, [_highest_along(grid.r, 1) for grid in heat.grids[:2]], marker="o")
    axes.set(xlabel="layer (0 = embeddings)", ylabel="highest r over times")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))


def _lines(axes: Axes, x: np.ndarray, lines: Sequence[np.ndarray], **options: str) -> None:
    axes.axhline(0, color="#BBBBBB", lw=0.8, zorder=0)
    for y, colour, dash in zip(lines, (BLUE, GREY), ("-", "--"), strict=False):
        axes.plot(x, y, color=colour, ls=dash, lw=1.6, ms=3, **options)


def _highest_along(r: np.ndarray, axis: int) -> np.ndarray:
    return np.where(
        np.isfinite(r).any(axis=axis), np.max(np.where(np.isfinite(r), r, -np.inf), axis=axis, initial=-np.inf), np.nan
    )


def _edges(times: np.ndarray) -> np.ndarray:
    if len(times) < 2:
        return np.array([times[0] - 0.005, times[0] + 0.005])
    middle = (times[1:] + times[:-1]) / 2
    return np.concatenate([[2 * times[0] - middle[0]], middle, [2 * times[-1] - middle[-1]]])


def _best(heat: Heat, i: int) -> list[str]:
    row, before = heat.grids[0].r[i], heat.times_s < 0
    if not np.isfinite(row).any():
        return ["n/a"] * (5 if heat.twin else 3)
    at = int(np.nanargmax(row))
    early = row[before][np.isfinite(row[before])]
    told = [number(row[at]), number(heat.times_s[at], 2), number(early.max()) if early.size else "n/a"]
    return told + ([number(heat.grids[1].r[i, at]), number(heat.grids[2].r[i, at])] if heat.twin else [])


def _highest(heat: Heat, r: np.ndarray) -> str:
    layer, at = np.unravel_index(int(np.nanargmax(r)), r.shape)
    early = r[:, heat.times_s < 0]
    early = early[np.isfinite(early)]
    before = f", {number(early.max())} at most before onset" if early.size and is_number(float(early.max())) else ""
    return f"highest {number(r[layer, at])} at {number(heat.times_s[at], 2)} s in layer {number(heat.layers[layer], 0)}{before}"
