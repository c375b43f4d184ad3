"""The alignment of an MEG, EEG or iEEG run as a picture: the response to word onset, and how far triggers lie from words."""

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from pipeline.report.figures import BLUE, DARK, GREY, LIGHTS, VERMILLION, new_figure, plain, title
from pipeline.report.meg_clock import JITTER_MS, Evoked, evoked, verdict
from pipeline.report.meg_parts import MEANS, SensedRun, unit_of
from pipeline.report.words import number, plural

_MOST_KINDS = 3
_BINS = 30


def clock_figure(run: SensedRun) -> Figure:
    """Butterflies with their GFP below, one per kind of channel; the histogram of jitter at the right."""
    found, jitter = evoked(run)[:_MOST_KINDS], _jitter_ms(run)
    n = len(found) + bool(jitter.size)
    figure, width = new_figure(3.5), 1 / max(n, 1)
    for i, one in enumerate(found):
        left, across = 0.07 + width * 0.98 * i, width * 0.98 - 0.085
        above = figure.add_axes((left, 0.42, across, 0.4))
        _butterfly(above, one)
        _gfp(figure.add_axes((left, 0.13, across, 0.22), sharex=above), one)
    if jitter.size:
        _histogram(figure.add_axes((0.07 + width * 0.98 * len(found), 0.13, width * 0.98 - 0.085, 0.69)), jitter)
    light, told = verdict(run)
    colour = LIGHTS.get(light or "", GREY)
    figure.text(0.012, 0.985, plain(f"Run {run.run}: {told}", 125), color=colour, weight="bold", fontsize=8, va="top", parse_math=False)  # fmt: skip
    return figure


def has_picture(run: SensedRun) -> bool:
    return bool(evoked(run) or _jitter_ms(run).size)


def clock_caption(run: SensedRun) -> str:
    told = [
        f"{MEANS.get(one.kind, one.kind)}: mean over words of each of {plural(len(one.values), 'channel')}, a straight line "
        "taken off each, and below the global field power (GFP, root mean square over channels)"
        for one in evoked(run)[:_MOST_KINDS]
    ]
    jitter = _jitter_ms(run)
    told += (
        [f"right: distance of {plural(len(jitter), 'trigger')} from their words after the clocks were matched"]
        if jitter.size
        else []
    )
    return f"Run {run.run}. {'; '.join(told)}. Vertical line: word onset."


def clock_in_words(run: SensedRun) -> str:
    """The alternative text: the verdict, the response and the jitter with their numbers."""
    light, told = verdict(run)
    parts = [f"Alignment of run {run.run}, {light or 'not judged'}: {told}"]
    parts += [
        f"GFP of {MEANS.get(one.kind, one.kind)} highest at {number(one.peak_s, 2)} s after onset, "
        f"{number(one.ratio, 1)} times its highest before"
        for one in evoked(run)[:_MOST_KINDS]
    ]
    jitter = _jitter_ms(run)
    if jitter.size:
        ends = np.percentile(jitter, (5, 95))
        parts.append(
            f"nine tenths of {plural(len(jitter), 'trigger')} lie {number(ends[0], 1)} to {number(ends[1], 1)} ms from their words"
        )
    return f"{'; '.join(parts)}."


def _butterfly(axes: Axes, one: Evoked) -> None:
    axes.plot(one.times_s, one.values.T, color=BLUE, lw=0.5, alpha=0.35)
    axes.axvline(0, color=DARK, lw=1)
    axes.axhline(0, color="#BBBBBB", lw=0.8, zorder=0)
    axes.set(ylabel=unit_of(one.kind), xlim=(one.times_s[0], one.times_s[-1]))
    axes.tick_params(labelbottom=False)
    title(axes, f"{MEANS.get(one.kind, one.kind)} ({len(one.values)})")


def _gfp(axes: Axes, one: Evoked) -> None:
    before = one.times_s < 0
    axes.axvspan(one.times_s[0], 0, color="#EEEEEE", lw=0, zorder=0)
    axes.plot(one.times_s, one.gfp, color=DARK, lw=1.5)
    axes.axvline(0, color=DARK, lw=1)
    if before.any():
        axes.axhline(float(one.gfp[before].max()), color=VERMILLION, lw=1, ls="--")
    if np.isfinite(one.peak_s):
        axes.plot([one.peak_s], [one.gfp[np.argmin(np.abs(one.times_s - one.peak_s))]], "D", ms=5, color=VERMILLION)
    axes.set(ylim=(0, 1.15 * float(one.gfp.max()) or 1.0), ylabel="GFP", xlabel="time after word onset (s)")


def _histogram(axes: Axes, jitter_ms: np.ndarray) -> None:
    reach = max(1.1 * JITTER_MS, 1.05 * float(np.abs(jitter_ms).max()))
    axes.hist(jitter_ms, bins=_BINS, range=(-reach, reach), color=BLUE, alpha=0.85)
    for side in (-JITTER_MS, JITTER_MS):
        axes.axvline(side, color=VERMILLION, lw=1, ls="--")
    axes.set(xlabel="trigger minus word (ms)", ylabel="triggers", xlim=(-reach, reach))
    title(axes, f"Jitter, median {number(float(np.median(np.abs(jitter_ms))), 1)} ms")


def _jitter_ms(run: SensedRun) -> np.ndarray:
    if run.jitter_s is None:
        return np.zeros(0)
    found = 1000 * np.asarray(run.jitter_s, float)
    return found[np.isfinite(found)]
