"""Do words and responses lie on one clock? A picture that shows an error in five seconds."""

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from pipeline.report.figures import (
    BLUE,
    DARK,
    GREEN,
    GREY,
    LIGHTS,
    ORANGE,
    VERMILLION,
    drawable,
    new_figure,
    spread,
    title,
    write,
)
from pipeline.report.parts import AlignedRun
from pipeline.report.tables import light_of, peak, verdict
from pipeline.report.words import is_number, number, shorten

STRIP_S, TEXT_S, MOST_WORDS = 60.0, 15.0, 20  # stimuli may be under copyright: a snippet is enough to check by ear
_LATE_START_S = 12.0
_MOST_GRID_LINES = 150


def alignment(run: AlignedRun) -> Figure:
    """Words, their number per volume and the response for a minute and for the run, and how the two go together at each lag."""
    figure, start = new_figure(9.0), strip_start(run)
    text, rate, signal, whole, lags = (figure.add_axes((0.075, y, 0.905, h)) for y, h in _PLACES)
    _words(text, run, start)
    _rate(rate, run, start)
    _signal(signal, run, start)
    _whole(whole, run)
    _lags(lags, run)
    return figure


def strip_start(run: AlignedRun) -> float:
    """0, or two seconds before the first word when a run begins with a long silence."""
    onsets = np.asarray(run.onsets, float)
    first = onsets[onsets >= 0].min(initial=np.inf)
    return float(np.floor(first - 2)) if np.isfinite(first) and first > _LATE_START_S else 0.0


def written(run: AlignedRun) -> tuple[list[int], int]:
    """Which words' text is drawn, and how many of them the figure's font cannot show."""
    start, onsets = strip_start(run), np.asarray(run.onsets, float)
    inside = np.flatnonzero((onsets >= start) & (onsets < start + TEXT_S))[:MOST_WORDS].tolist()
    return inside, sum(not drawable(str(run.words[i])) for i in inside)


def caption(run: AlignedRun) -> str:
    shown, unknown = written(run)
    lag, r = peak(run)
    found = f"peak r = {number(r)} at {_signed(lag)} s" if is_number(r) else "no peak"
    boxes = f" {unknown} of them are in a script the figure's font lacks and appear as boxes." if unknown else ""
    return (
        f"Run {run.run}, seconds {strip_start(run):.0f} to {strip_start(run) + STRIP_S:.0f}: the first {len(shown)} words as text, "
        f"all word onsets as ticks, words per volume, and {run.signal_name} (z). Vertical lines: volumes, "
        f"one every {number(run.tr_s, 2)} s.{boxes} Below, the whole run (dotted: its end). Bottom, over the whole run: {_MEASURES.get(run.measure, 'correlation')} of "
        f"words per volume with the response a lag later; {found}; {_judged(run)}.{_chance(run)}"
    )


def in_words(run: AlignedRun, leaky: str = "") -> str:
    lag, r = peak(run)
    return (
        f"{leaky}Alignment of run {run.run}: {len(run.onsets)} words against {len(run.signal)} volumes of {run.signal_name}. "
        f"Cross-correlation of word rate and response peaks at r = {number(r)}, lag {_signed(lag)} s: {_judged(run)}."
    )


_PLACES = ((0.832, 0.133), (0.662, 0.1), (0.518, 0.1), (0.333, 0.105), (0.055, 0.19))


_MEASURES = {
    "r": "correlation",
    "multiple r": "multiple correlation (that with the best mixture of the components at each lag)",
}


def _judged(run: AlignedRun) -> str:
    """The verdict, with the colour it has on the page where the run was judged."""
    return f"{run.light}, {verdict(run)}" if run.light else verdict(run)


def _chance(run: AlignedRun) -> str:
    if run.chance is None:
        return ""
    return f" Dashed: words of the same rhythm that know nothing of the responses stay below it at all lags in 95 % of cases (p = {number(run.p)})."


def _words(axes: Axes, run: AlignedRun, start: float) -> None:
    onsets, durations = np.asarray(run.onsets, float), np.asarray(run.durations, float)
    inside = np.flatnonzero((onsets >= start) & (onsets < start + TEXT_S))
    _grid(axes, run, start, TEXT_S)
    axes.hlines(
        np.full(len(inside), 0.12), onsets[inside], onsets[inside] + durations[inside], color=BLUE, lw=5, alpha=0.35
    )
    axes.vlines(onsets[inside], 0.02, 0.22, color=BLUE, lw=1)
    shown, _ = written(run)
    places = spread(onsets[shown], 0.26, start, start + TEXT_S)
    axes.vlines(onsets[shown], 0.22, 0.25, color=GREY, lw=0.6)
    axes.plot([onsets[shown], places], [[0.25] * len(shown), [0.34] * len(shown)], color=GREY, lw=0.6)
    for i, place in zip(shown, places, strict=True):
        style = {"rotation": 55, "rotation_mode": "anchor", "size": 8, "va": "center", "clip_on": True}
        write(axes, float(place), 0.38, shorten(str(run.words[i]), 18), color=DARK, **style)
    axes.set(xlim=(start, start + TEXT_S), ylim=(0, 1), yticks=[])
    axes.spines["left"].set_visible(False)
    title(axes, f"Words: the first {len(shown)} as text, {len(inside)} onsets in {TEXT_S:.0f} s")


def _rate(axes: Axes, run: AlignedRun, start: float) -> None:
    onsets = np.asarray(run.onsets, float)
    _grid(axes, run, start, STRIP_S)
    _steps(axes, run, np.asarray(run.word_rate, float), alpha=0.45)
    top = 1.25 * max(_largest(run.word_rate), 0.5)
    axes.vlines(onsets[(onsets >= start) & (onsets < start + STRIP_S)], 0.9 * top, top, color=DARK, lw=0.7)
    axes.set(xlim=(start, start + STRIP_S), ylim=(min(0.0, -_largest(-np.asarray(run.word_rate, float))), top))
    axes.tick_params(labelbottom=False)
    title(axes, "Words per volume (steps) and word onsets (ticks)")


def _signal(axes: Axes, run: AlignedRun, start: float) -> None:
    _grid(axes, run, start, STRIP_S)
    axes.axhline(0, color="#BBBBBB", lw=0.8)
    axes.plot(run.sample_times_s, run.signal, color=VERMILLION, lw=1.5, marker="." if run.tr_s > 0.4 else "")
    times, signal = np.asarray(run.sample_times_s, float), np.asarray(run.signal, float)
    inside = signal[(times >= start) & (times < start + STRIP_S)]
    _left_out(axes, run)
    reach = 1.1 * max(_largest(np.abs(inside)), 0.5)
    axes.set(xlim=(start, start + STRIP_S), ylim=(-reach, reach), xlabel="time in the run (s)")
    title(axes, f"Response: {run.signal_name} (z)")


def _whole(axes: Axes, run: AlignedRun) -> None:
    """The whole run at a glance: words that end early, or a run that does, show here."""
    times, rate = np.asarray(run.sample_times_s, float), np.asarray(run.word_rate, float)
    reach = 1.1 * max(_largest(np.abs(np.asarray(run.signal, float))), 0.5)
    top = max(_largest(rate), 0.5)
    _steps(axes, run, -reach + 2 * reach * rate / top, foot=-reach, alpha=0.3)
    axes.plot(times, run.signal, color=VERMILLION, lw=0.9)
    _left_out(axes, run)
    end = float(times[-1] + run.tr_s) if len(times) else 1.0
    onsets = np.asarray(run.onsets, float)
    axes.axvspan(*_minute(run), color=GREY, alpha=0.15, lw=0)
    axes.set(
        xlim=(min(0.0, _first(onsets)), max(end, _last(onsets))), ylim=(-reach, reach), xlabel="time in the run (s)"
    )
    axes.axvline(end, color=DARK, lw=1, ls=":")
    title(
        axes,
        "Whole run: words per volume (steps, scaled) and response (z); grey: the minute above",
    )


def _steps(axes: Axes, run: AlignedRun, height: np.ndarray, *, alpha: float, foot: float = 0.0) -> None:
    """One step per volume, from its start to the start of the next: the words it counts lie in it."""
    times = np.asarray(run.sample_times_s, float)
    if len(times):
        ends, tops = np.append(times, times[-1] + run.tr_s), np.append(height, height[-1])
        axes.fill_between(ends, foot, tops, step="post", color=BLUE, alpha=alpha, lw=0)


def _minute(run: AlignedRun) -> tuple[float, float]:
    return strip_start(run), strip_start(run) + STRIP_S


def _left_out(axes: Axes, run: AlignedRun) -> None:
    """Ticks at the foot where volumes do not count."""
    times, gone = np.asarray(run.sample_times_s, float), ~np.isfinite(np.asarray(run.signal, float))
    if 0 < gone.sum() < len(gone):
        axes.plot(times[gone], np.full(gone.sum(), 0.03), "|", transform=axes.get_xaxis_transform(), color=DARK, ms=5)


def _lags(axes: Axes, run: AlignedRun) -> None:
    if run.expected_s is not None:
        axes.axvspan(*run.expected_s, color=GREEN, alpha=0.15, lw=0)
    axes.axhline(0, color="#BBBBBB", lw=0.8)
    axes.axvline(0, color="#BBBBBB", lw=0.8)
    xcorr = np.asarray(run.xcorr, float)
    drawn = [xcorr, *([] if run.envelope is None else [run.envelope]), *([] if run.chance is None else [run.chance])]
    every = np.concatenate([np.asarray(line, float) for line in drawn])
    low, high = min(-_largest(-every), 0.0), max(_largest(every), 0.0)
    room = max(high - low, 0.02)
    reach = max(_largest(np.abs(run.lags_s)), 1.0)
    axes.set(
        xlim=(-reach, reach),
        ylim=(low - 0.1 * room, high + 0.45 * room),
        ylabel=run.measure,
        xlabel="lag of the response behind the words (s)",
    )
    _lines(axes, run)
    _name_peak(axes, run, *peak(run))
    title(axes, "Words per volume and response at each lag, whole run")


def _lines(axes: Axes, run: AlignedRun) -> None:
    """Words, and where they were had the loudness of the sound and what chance reaches; named when there are several."""
    axes.plot(run.lags_s, run.xcorr, color=DARK, lw=1.6, label="words per volume")
    if run.envelope is not None:
        axes.plot(run.lags_s, run.envelope, color=ORANGE, lw=1, label="loudness of the sound")
    if run.chance is not None:
        axes.plot(run.lags_s, run.chance, color=GREY, lw=1, ls="--", label="95 % of chance")
    if run.envelope is not None or run.chance is not None:
        axes.legend(loc="upper left", ncols=3, borderaxespad=0.1, handlelength=1.6, columnspacing=1.4)


def _name_peak(axes: Axes, run: AlignedRun, lag: float, r: float) -> None:
    if run.expected_s is not None:
        band = f"expected {run.expected_s[0]:.0f} to {run.expected_s[1]:.0f} s"
        write(axes, run.expected_s[1] + 0.3, axes.get_ylim()[1], band, color=LIGHTS["green"], size=8, va="top")
        _say(axes, light_of(run))
    if not is_number(r):
        write(axes, 0.5, 0.5, "no cross-correlation", transform=axes.transAxes, ha="center", color=GREY)
        return
    colour = LIGHTS.get(light_of(run) or "", DARK)
    axes.plot([lag], [r], "o", color=colour, ms=6, clip_on=False)
    side, step = ("right", -0.4) if lag > 8 else ("left", 0.4)
    text, above = f"peak r = {number(r)} at {_signed(lag)} s", r + 0.05 * float(np.ptp(axes.get_ylim()))
    write(axes, lag + step, above, text, ha=side, va="bottom", color=colour, weight="bold")


def _say(axes: Axes, light: str | None) -> None:
    """The verdict where the eye looks first: one coloured word beside the curve's name."""
    if light:
        style = {"facecolor": LIGHTS[light], "edgecolor": "none", "pad": 3}
        write(axes, 1.0, 1.05, light.upper(), transform=axes.transAxes, ha="right", va="bottom", color="white", weight="bold", bbox=style)  # fmt: skip


def _grid(axes: Axes, run: AlignedRun, start: float, length: float) -> None:
    """One line per volume; so many that they would fill the axis are left out."""
    times = np.asarray(run.sample_times_s, float)
    times = times[(times >= start) & (times < start + length)]
    if len(times) <= _MOST_GRID_LINES:
        axes.vlines(times, 0, 1, transform=axes.get_xaxis_transform(), color="#DDDDDD", lw=0.7, zorder=0)


def _largest(values: np.ndarray) -> float:
    finite = np.asarray(values, float)
    return float(finite[np.isfinite(finite)].max(initial=0.0))


def _first(onsets: np.ndarray) -> float:
    return float(onsets[np.isfinite(onsets)].min(initial=0.0))


def _last(onsets: np.ndarray) -> float:
    return float(onsets[np.isfinite(onsets)].max(initial=0.0))


def _signed(lag: float) -> str:
    return f"+{number(lag, 1)}" if is_number(lag) and lag > 0 else number(lag, 1)
