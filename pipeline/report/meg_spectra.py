"""Spectra of a recording before and after cleaning, and where its bad channels lie: pictures with their words."""

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from pipeline.report.figures import BLUE, GREY, VERMILLION, legend, new_figure, plain, title
from pipeline.report.meg_data import Presented
from pipeline.report.meg_parts import MEANS, SensedRun, unit_of
from pipeline.report.meg_places import drawable_kinds
from pipeline.report.tables import Table
from pipeline.report.words import number, plural
from pipeline.sensors import Sensors, info_of

_BAND = (5, 95)  # % of channels
_MOST_NAMED = 12  # bad channels whose names are written on a picture
_BANDS_HZ = ((0.0, 1.0), (1.0, 4.0), (4.0, 8.0), (8.0, 13.0), (13.0, 30.0), (30.0, 45.0), (45.0, 65.0), (65.0, 130.0))
_MOST_ACROSS = 3


def spectra_figure(run: SensedRun) -> Figure:
    """One panel per kind of channel: the median channel and the middle nine tenths, before and after."""
    kinds = _kinds(run)
    figure = new_figure(2.9)
    for i, kind in enumerate(kinds):
        _spectrum(figure.add_axes((0.085 + 0.92 / len(kinds) * i, 0.17, 0.92 / len(kinds) - 0.105, 0.58)), run, kind)
    lines = [Line2D([], [], color=GREY, lw=1.4, ls="--"), Line2D([], [], color=BLUE, lw=1.6)]
    lines.append(Patch(color=GREY, alpha=0.25, lw=0))
    told = ["as recorded (median channel)", "after cleaning", "5 to 95 % of channels"]
    legend(figure, lines, told, ncols=3, loc="upper left", bbox_to_anchor=(0.07, 1.0), borderaxespad=0.3)
    return figure


def spectra_table(run: SensedRun, caption: str) -> Table:
    """Power of the median channel in the usual bands, before and after."""
    rows = []
    for kind in _kinds(run):
        for low, high in _BANDS_HZ:
            cells = [_power(run, values, kind, low, high) for values in (run.psd_before, run.psd_after)]
            if any(np.isfinite(cells)):
                told = [_scientific(v) for v in cells]
                rows.append([kind, f"{number(low, 0)} to {number(high, 0)}", *told, _decibel(*cells)])
    unit = ", ".join(f"{kind}: ({unit_of(kind)})²/Hz" for kind in _kinds(run))
    return Table(f"{caption} ({unit})", ("kind", "Hz", "before", "after", "change (dB)"), rows, frozenset({1, 2, 3, 4}))


def spectra_in_words(run: SensedRun) -> str:
    told = [
        f"{MEANS.get(kind, kind)}: {_decibel(*(_power(run, v, kind, 1.0, 30.0) for v in (run.psd_before, run.psd_after)))} dB "
        f"from before to after cleaning between 1 and 30 Hz, {_decibel(*(_power(run, v, kind, 45.0, 65.0) for v in (run.psd_before, run.psd_after)))} dB "
        "between 45 and 65 Hz"
        for kind in _kinds(run)
    ]
    return f"Power spectra of run {run.run}. {'; '.join(told)}."


def has_spectra(run: SensedRun) -> bool:
    return bool(run.freqs_hz is not None and run.sensors is not None and _kinds(run))


def bads_figure(sensors: Sensors, files: Sequence[Presented]) -> Figure:
    """Where the channels lie; those that were bad in any file are filled, and named where they are few."""
    import mne

    bad = {name for one in files for names in one.bads.values() for name in names}
    kinds = drawable_kinds(sensors)[:_MOST_ACROSS]
    figure = new_figure(3.1)
    for i, kind in enumerate(kinds):
        axes = figure.add_axes((0.02 + 0.96 / len(kinds) * i, 0.03, 0.96 / len(kinds), 0.84))
        info = info_of(sensors, kind)
        info["bads"] = [name for name in info["ch_names"] if name in bad]
        named = info["bads"] if len(info["bads"]) <= _MOST_NAMED else []
        mne.viz.plot_sensors(info, axes=axes, show=False, show_names=named, title="", pointsize=14, verbose="ERROR")
        _as_ours(axes, len(info["bads"]))
        title(axes, f"{MEANS.get(kind, kind)}: {len(info['bads'])} bad of {len(info['ch_names'])}")
    return figure


def bads_in_words(sensors: Sensors, files: Sequence[Presented]) -> str:
    bad = {name for one in files for names in one.bads.values() for name in names}
    told = [
        f"{plural(sum(n in bad for n in own), 'bad channel')} of {len(own)} {MEANS.get(kind, kind)}"
        for kind in drawable_kinds(sensors)
        if (own := [n for n, k in zip(sensors.names, sensors.kinds, strict=True) if k == kind])
    ]
    return f"Places of the sensors seen from above, nose up: {'; '.join(told)}. Their names are in the table."


def _as_ours(axes: Axes, n_bad: int) -> None:
    """Good channels as grey rings, bad ones filled: told apart without colour; names are never mathematics."""
    for points in axes.collections:
        fills = points.get_facecolors()
        bad = np.zeros(len(fills), bool) if not n_bad else np.array([tuple(c[:3]) == (1.0, 0.0, 0.0) for c in fills])
        points.set_facecolor([VERMILLION if b else "white" for b in bad])
        points.set_edgecolor([VERMILLION if b else GREY for b in bad])
        points.set_sizes([46.0 if b else 12.0 for b in bad])
        points.set_linewidth(0.8)
    for text in axes.texts:
        text.set_parse_math(False)
        text.set(text=plain(text.get_text(), 20), fontsize=7.5, color="black")


def _kinds(run: SensedRun) -> list[str]:
    """Kinds of channel whose spectra are known."""
    if run.sensors is None or run.freqs_hz is None:
        return []
    kinds = np.array(run.sensors.kinds)
    found = [v for v in (run.psd_before, run.psd_after) if v is not None]
    known = [k for k in dict.fromkeys(run.sensors.kinds) if any(np.isfinite(v[kinds == k]).any() for v in found)]
    return known[:_MOST_ACROSS]


def _spectrum(axes: Axes, run: SensedRun, kind: str) -> None:
    for values, colour, dash in ((run.psd_before, GREY, "--"), (run.psd_after, BLUE, "-")):
        own = _of_kind(run, values, kind)
        if own is not None:
            known = np.isfinite(own).any(axis=0)
            low, middle, high = np.nanpercentile(own[:, known], (_BAND[0], 50, _BAND[1]), axis=0)
            axes.fill_between(_hz(run)[known], low, high, color=colour, alpha=0.2, lw=0)
            axes.plot(_hz(run)[known], middle, color=colour, ls=dash, lw=1.5)
    axes.set(yscale="log", xlabel="frequency (Hz)", ylabel=f"power (({unit_of(kind)})²/Hz)", xlim=(0, _hz(run)[-1]))
    n = run.sensors.kinds.count(kind) if run.sensors else 0
    title(axes, f"{MEANS.get(kind, kind)} ({n})")


def _of_kind(run: SensedRun, values: np.ndarray | None, kind: str) -> np.ndarray | None:
    """(channel, frequency) of the channels of one kind that have a spectrum, without powers of 0, which have no logarithm."""
    if values is None or run.sensors is None:
        return None
    own = values[np.array(run.sensors.kinds) == kind][:, _shown(run)].astype(float)
    own = np.where(own > 0, own, np.nan)[(own > 0).any(axis=1)]
    return own if own.size else None


def _shown(run: SensedRun) -> np.ndarray:
    """Frequencies above 0: the constant part is no rhythm."""
    return np.asarray(run.freqs_hz) > 0


def _hz(run: SensedRun) -> np.ndarray:
    return np.asarray(run.freqs_hz, float)[_shown(run)]


def _power(run: SensedRun, values: np.ndarray | None, kind: str, low: float, high: float) -> float:
    """Mean over the band of the median channel."""
    own = _of_kind(run, values, kind)
    inside = (_hz(run) >= low) & (_hz(run) < high)
    if own is None or not inside.any():
        return np.nan
    middle = [float(np.median(column[np.isfinite(column)])) for column in own[:, inside].T if np.isfinite(column).any()]
    return float(np.mean(middle)) if middle else np.nan


def _decibel(before: float, after: float) -> str:
    with np.errstate(divide="ignore", invalid="ignore"):
        return number(10 * np.log10(after / before), 1)


def _scientific(value: float) -> str:
    return f"{value:.3g}" if np.isfinite(value) else number(value)
