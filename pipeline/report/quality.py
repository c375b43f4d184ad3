"""How good the data of each run are: movement, DVARS, carpet, signal to noise, and what was left out and why."""

from collections.abc import Callable, Iterable, Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from pipeline.report.figures import BLUE, COLOURS, DARK, GREY, VERMILLION, new_figure, title, write
from pipeline.report.parts import QualityPart
from pipeline.report.tables import Table
from pipeline.report.words import MISSING, count, is_number, number, percent, plural

FD_MM = 0.5  # movement between volumes from which one speaks of an outlier (Power et al. 2012)
CARPET_Z = 2.0

_LEFT, _ACROSS, _SIDE = 0.075, 0.68, 0.15  # of the figure's width: time axes, and beside them the histogram
_TOP_IN, _FOOT_IN, _GAP_IN = 0.35, 0.5, 0.42
_HEIGHTS_IN = {"motion": 1.1, "turns": 1.1, "fd": 1.1, "dvars": 0.9, "carpet": 1.9}
_MOST_ROWS, _MOST_COLUMNS = 400, 600  # of a carpet: more than its pixels would only weigh
_BINS = 30


def quality_figure(part: QualityPart) -> Figure:
    """Traces over one time axis, above the carpet; the histogram of tSNR beside them. What was not measured is left out."""
    rows = [name for name in _HEIGHTS_IN if _measured(part, name)] or ["nothing"]
    heights = [_HEIGHTS_IN.get(name, 1.6) for name in rows]
    whole = _TOP_IN + _FOOT_IN + sum(heights) + _GAP_IN * (len(rows) - 1)
    figure, top = new_figure(whole), whole - _TOP_IN
    for name, height in zip(rows, heights, strict=True):
        axes = figure.add_axes((_LEFT, (top - height) / whole, _ACROSS, height / whole))
        _DRAWN[name](axes, part)
        _on_clock(axes, part, last=name == rows[-1])
        top -= height + _GAP_IN
    if has_values(part.tsnr):
        high = min(1.6, whole - _TOP_IN - _FOOT_IN)
        _histogram(figure.add_axes((1 - _SIDE - 0.02, (whole - _TOP_IN - high) / whole, _SIDE, high / whole)), part)
    return figure


def quality_table(parts: Iterable[QualityPart], caption: str) -> Table:
    """One row per run; columns that no run can fill are left out."""
    columns = ("run", *_COLUMNS)
    rows = [[str(part.run), *(cell(part) for cell in _COLUMNS.values())] for part in parts]
    known = [i for i in range(len(columns)) if i < 1 or any(row[i] not in ("", MISSING) for row in rows)]
    text = {"run", "way in", "volumes left out", "targets left out"}
    numeric = frozenset(new for new, old in enumerate(known) if columns[old] not in text)
    return Table(caption, [columns[i] for i in known], [[row[i] for i in known] for row in rows], numeric)


def limits(parts: Sequence[QualityPart]) -> list[str]:
    """What was not done to the data, each sentence once, with its runs when it does not hold for all."""
    return _told_once(parts, lambda part: part.limits)


def absences(parts: Sequence[QualityPart]) -> list[str]:
    """What nobody measured, and why."""
    return _told_once(parts, lambda part: [f"No {what}: {why}." for what, why in part.absent.items()])


def has_traces(part: QualityPart) -> bool:
    """True when there is something to draw."""
    return any(_measured(part, name) for name in _HEIGHTS_IN) or has_values(part.tsnr)


def has_values(values: np.ndarray | None) -> bool:
    return values is not None and np.asarray(values).size > 0 and bool(np.isfinite(np.asarray(values, float)).any())


def caption(part: QualityPart) -> str:
    told = [
        f"Data quality of run {part.run}, N = {plural(int(part.n_volumes), 'volume') if is_number(part.n_volumes) else 'unknown'}."
    ]
    told += [_EXPLAINED[name] for name in _HEIGHTS_IN if _measured(part, name) and name in _EXPLAINED]
    told += (
        [f"Carpet: z in {plural(len(part.carpet), 'row')} of targets."]
        if part.carpet is not None and _measured(part, "carpet")
        else []
    )
    told += (
        [f"tSNR: N = {plural(int(np.isfinite(part.tsnr).sum()), 'target')}."]
        if part.tsnr is not None and has_values(part.tsnr)
        else []
    )
    gone = _n_left_out(part)
    return " ".join([*told, *([f"Orange: {plural(gone, 'volume')} left out of every fit."] if gone else [])])


def in_words(part: QualityPart) -> str:
    told = (
        [f"framewise displacement {number(part.fd_mean, 2)} mm on average, {number(part.fd_max, 2)} mm at most"]
        if is_number(part.fd_mean)
        else []
    )
    told += [f"{percent(part.fd_share)} % of volumes above {FD_MM} mm"] if is_number(part.fd_share) else []
    told += [f"DVARS {number(part.dvars_median, 2)}"] if is_number(part.dvars_median) else []
    told += [f"median tSNR {number(part.tsnr_median, 1)}"] if is_number(part.tsnr_median) else []
    return f"Data quality of run {part.run}: {', '.join(told) or 'no summary'}; {plural(_n_left_out(part), 'volume')} left out."


def _told_once(parts: Sequence[QualityPart], sentences: Callable[[QualityPart], Iterable[str]]) -> list[str]:
    runs: dict[str, list[str]] = {}
    for part in parts:
        for sentence in dict.fromkeys(sentences(part)):
            runs.setdefault(sentence, []).append(str(part.run))
    return [text if len(of) == len(parts) else f"Run {', '.join(of)}: {text}" for text, of in runs.items()]


def _reasons(counts: Mapping[str, int]) -> str:
    """How many in all, and for what; nothing was left out: 0."""
    known = {reason: n for reason, n in counts.items() if n}
    parts = "; ".join(f"{reason} {count(n)}" for reason, n in known.items())
    return f"{count(sum(known.values()))} ({parts})" if known else "0" if counts else ""


def _n_left_out(part: QualityPart) -> int:
    return int(np.asarray(part.left_out, bool).sum()) if part.left_out is not None else 0


def _measured(part: QualityPart, name: str) -> bool:
    return has_values(part.motion if name == "turns" else getattr(part, name))


def _motion(axes: Axes, part: QualityPart) -> None:
    _axes_of_motion(axes, part, 0, ("x", "y", "z"), "mm", "Head position (mm)")


def _turns(axes: Axes, part: QualityPart) -> None:
    _axes_of_motion(axes, part, 3, ("about x", "about y", "about z"), "degrees", "Head rotation (degrees)")


def _axes_of_motion(axes: Axes, part: QualityPart, first: int, names: Sequence[str], unit: str, name: str) -> None:
    moved = np.asarray(part.motion, float)[:, first : first + 3]
    for values, label, colour in zip(moved.T, names, COLOURS, strict=False):
        axes.plot(_times(part, len(moved)), values, color=colour, lw=1, label=label)
    axes.legend(loc="lower right", bbox_to_anchor=(1.0, 1.0), ncols=3, borderaxespad=0.1, handlelength=1.2)
    axes.set_ylabel(unit)
    title(axes, name)


def _fd(axes: Axes, part: QualityPart) -> None:
    traces = _rows(part.fd)
    _traces(axes, part, traces, VERMILLION)
    axes.axhline(FD_MM, color=DARK, lw=0.9, ls="--")
    top = 1.15 * max(float(np.nanmax(traces)), 1.2 * FD_MM)
    axes.set(ylim=(0, top), ylabel="mm")
    title(axes, f"Framewise displacement (mm); dashed: {FD_MM} mm")


def _dvars(axes: Axes, part: QualityPart) -> None:
    _traces(axes, part, _rows(part.dvars), BLUE)
    axes.set_ylabel("DVARS")
    title(axes, "DVARS: change of the image from volume to volume")


def _traces(axes: Axes, part: QualityPart, traces: np.ndarray, colour: str) -> None:
    """One line per presentation."""
    for row in traces:
        axes.plot(_times(part, len(row)), row, color=colour, lw=1, alpha=1.0 if len(traces) == 1 else 0.6)


def _carpet(axes: Axes, part: QualityPart) -> None:
    shown = _thinned(np.asarray(part.carpet, float))
    end = part.tr_s * np.asarray(part.carpet).shape[1]
    style = {"cmap": "gray", "vmin": -CARPET_Z, "vmax": CARPET_Z, "interpolation": "nearest", "aspect": "auto"}
    axes.imshow(shown, extent=(0, end, len(np.asarray(part.carpet)), 0), **style)
    axes.set(ylabel="targets (rows)", yticks=[])
    title(axes, f"Carpet: z of targets, black −{CARPET_Z:g}, white +{CARPET_Z:g}")


def _thinned(carpet: np.ndarray) -> np.ndarray:
    """At most as many rows and columns as can be seen."""
    steps = (max(1, -(-size // most)) for size, most in zip(carpet.shape, (_MOST_ROWS, _MOST_COLUMNS), strict=True))
    rows, columns = steps
    return np.nan_to_num(carpet[::rows, ::columns])


def _nothing(axes: Axes, part: QualityPart) -> None:
    write(axes, 0.5, 0.5, "nothing was measured over time", transform=axes.transAxes, ha="center", color=GREY)
    axes.set_yticks([])


def _on_clock(axes: Axes, part: QualityPart, *, last: bool) -> None:
    """The same seconds under every trace, volumes that were left out marked in all."""
    n = int(part.n_volumes) if is_number(part.n_volumes) else 1
    axes.set_xlim(0, max(n, 1) * part.tr_s)
    for start, length in _stretches(part.left_out):
        axes.axvspan(start * part.tr_s, (start + length) * part.tr_s, color="#E69F00", alpha=0.35, lw=0)
    axes.tick_params(labelbottom=last)
    if last:
        axes.set_xlabel("time in the run (s)")


def _stretches(left_out: np.ndarray | None) -> list[tuple[int, int]]:
    """(first volume, how many) of each stretch that was left out."""
    if left_out is None:
        return []
    edges = np.flatnonzero(np.diff(np.concatenate([[0], np.asarray(left_out, bool).astype(int), [0]])))
    return [(int(a), int(b - a)) for a, b in edges.reshape(-1, 2)]


def _histogram(axes: Axes, part: QualityPart) -> None:
    values = np.asarray(part.tsnr, float)
    values = values[np.isfinite(values)]
    axes.hist(values, bins=_BINS, color=BLUE, alpha=0.8)
    axes.axvline(float(np.median(values)), color=DARK, lw=1, ls="--")
    axes.set_ylabel("targets")
    title(axes, f"tSNR, median {number(np.median(values), 1)}")


def _times(part: QualityPart, n: int) -> np.ndarray:
    """Middle of each volume, s."""
    return (np.arange(n) + 0.5) * part.tr_s


def _rows(values: np.ndarray | None) -> np.ndarray:
    return np.atleast_2d(np.asarray(values, float))


_DRAWN = {"motion": _motion, "turns": _turns, "fd": _fd, "dvars": _dvars, "carpet": _carpet, "nothing": _nothing}
_EXPLAINED = {
    "motion": "Head position and rotation relative to the reference volume.",
    "fd": "Framewise displacement: movement since the volume before, rotations on a sphere of 50 mm.",
    "dvars": "DVARS: root mean square over targets of the change since the volume before.",
}
_COLUMNS = {
    "way in": lambda p: p.route,
    "volumes": lambda p: count(p.n_volumes),
    "TR (s)": lambda p: number(p.tr_s, 2),
    "FD mean (mm)": lambda p: number(p.fd_mean),
    "FD max (mm)": lambda p: number(p.fd_max, 2),
    "FD > .5 mm (%)": lambda p: percent(p.fd_share),
    "DVARS": lambda p: number(p.dvars_median, 2),
    "tSNR": lambda p: number(p.tsnr_median, 1),
    "confounds": lambda p: count(p.n_confounds) if is_number(p.n_confounds) else MISSING,
    "degrees of freedom left": lambda p: count(p.df_left) if is_number(p.df_left) else MISSING,
    "volumes left out": lambda p: _reasons(p.censored),
    "targets left out": lambda p: _reasons(p.dropped),
}
