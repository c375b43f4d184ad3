"""Do the responses of a run follow its words? Word rate and response on one clock, and how far the one lags behind the other.

`pipeline.clock` holds the rule by which a run is judged.
"""

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Bool, Float

from pipeline import clock, followers
from pipeline.problems import Problem
from pipeline.report import AlignedRun, AlignedTogether
from pipeline.report.parts import OFF_CLOCK
from pipeline.report.tables import peak
from pipeline.runs import Run
from pipeline.timing import to_grid

if TYPE_CHECKING:
    import pandas as pd
    import xarray as xr

EXPECTED_S = {"fmri": (3.0, 8.0), "arrays": (3.0, 8.0)}  # where the blood's answer to words should peak
LEAST_TOGETHER = 3  # a sum over fewer runs says little more than they do

_MOST_TOLD = 8


def align(
    run: Run,
    ds: "xr.Dataset",
    words: "pd.DataFrame",
    expected_s: tuple[float, float] | None,
    show_text: str,
    *,
    roi: Bool[np.ndarray, " target"] | None = None,
    roi_name: str = "the region",
    envelope: Float[np.ndarray, " sample"] | None = None,
    weights: Float[np.ndarray, " target"] | None = None,
) -> AlignedRun:
    """Words and samples of one run on one clock, and how the responses lag behind the word rate.

    Parameters
    ----------
    expected_s : where the peak should lie; None: nothing is judged.
    show_text : "snippet" shows words as text; anything else only their onsets.
    roi : targets whose mean is the signal.
    weights : how much each target counts where no region is given (`followers.weights`);
        without either the signal are the strongest components.
    envelope : loudness of the stimulus in each sample (`envelope_of`).

    Samples marked in `ds["censored"]` and targets that are constant or hold
    missing values do not count.
    """
    times, tr_s, onsets, rate, keep = _on_one_clock(ds, words)
    signal = clock.signal_of(ds["responses"].values, keep, tr_s, roi, roi_name, weights)
    rates = [clock.without_drift(x, tr_s) for x in (rate, *([] if envelope is None else [envelope]))]
    steps = clock.lag_steps(tr_s, len(times))
    r, *louder = clock.follow(np.stack(rates), signal, steps)
    found = clock.beyond_chance(r, clock.follow(clock.by_chance(rate, tr_s), signal, steps))
    line = clock.mixture(rate, signal, int(steps[found.excess.argmax()]), tr_s)
    return AlignedRun(
        run=run.run, onsets=onsets - times[0], durations=words["duration"].to_numpy(float),
        words=list(words["word"]) if show_text == "snippet" else [""] * len(words), sample_times_s=times - times[0], tr_s=tr_s,
        word_rate=rate, signal=line, signal_name=signal.name, lags_s=steps * tr_s, xcorr=r if r.any() else r * np.nan,
        expected_s=expected_s, measure="r" if signal.signed else "multiple r", chance=found.limit, p=found.p,
        light=clock.judge(steps * tr_s, found.excess, found.p, expected_s, tr_s) if expected_s else None,
        envelope=louder[0] if louder else None, excess=found.excess,
    )  # fmt: skip


def followed(ds: "xr.Dataset", words: "pd.DataFrame") -> Float[np.ndarray, "lag target"]:
    """How every target of a run goes with its words at each lag, for `followers.weights` of the other runs."""
    times, tr_s, _, rate, keep = _on_one_clock(ds, words)
    return followers.profile(rate, ds["responses"].values, keep, tr_s, clock.lag_steps(tr_s, len(times)))


def _on_one_clock(
    ds: "xr.Dataset", words: "pd.DataFrame"
) -> tuple[np.ndarray, float, np.ndarray, np.ndarray, np.ndarray]:
    """Times of the samples, their spacing, onsets of the words, words per sample, and which samples count."""
    times, tr_s = ds["time"].values.astype(float), float(ds.attrs["tr_s"])
    onsets = words["onset"].to_numpy(float)
    rate = to_grid(np.ones((len(onsets), 1)), onsets, times, how="sum")[:, 0]
    keep = ~ds["censored"].values.astype(bool) if "censored" in ds else np.ones(len(times), bool)
    return times, tr_s, onsets, rate, keep


def together(runs: Sequence[AlignedRun]) -> AlignedTogether | None:
    """All runs at once: what lies above chance, summed. None for runs that are too few or have different samples.

    A wrong clock shared by all runs may be too weak to see in any of them.
    The sum is close to normal; p counts each lag as a trial of its own.
    """
    if len(runs) < LEAST_TOGETHER or any(r.excess is None or len(r.lags_s) != len(runs[0].lags_s) for r in runs):
        return None
    lags_s, expected_s = runs[0].lags_s, runs[0].expected_s
    excess = np.sum([r.excess for r in runs], axis=0) / np.sqrt(len(runs))
    p = min(1.0, len(lags_s) * 0.5 * math.erfc(float(excess.max()) / math.sqrt(2)))
    light = clock.judge(lags_s, excess, p, expected_s, runs[0].tr_s) if expected_s else None
    return AlignedTogether(len(runs), lags_s, excess, p, light, expected_s)


def timing_problems(aligned: AlignedRun | Sequence[AlignedRun], subject: str) -> list[Problem]:
    """Words of another run, or shifted ones, show as a peak in the wrong place; runs with the same verdict are told at once."""
    runs = [aligned] if isinstance(aligned, AlignedRun) else list(aligned)
    made = {"red": _off_clock, "amber": _unsure}
    found = {light: [run for run in runs if run.light == light] for light in made}
    return [make(found[light], len(runs), subject) for light, make in made.items() if found[light]]


def together_problems(found: AlignedTogether | None, subject: str) -> list[Problem]:
    """The same of all runs at once: only what is clearly wrong, since each run has told the rest."""
    if found is None or found.light != "red":
        return []
    peak = float(found.lags_s[found.excess.argmax()])
    return [_wrong_clock(f"the {found.n_runs} runs together", f"the responses follow the words most at {peak:g} s", found.expected_s, subject)]  # fmt: skip


def _off_clock(runs: list[AlignedRun], n: int, subject: str) -> Problem:
    names = _told([r.run for r in runs])
    return _wrong_clock(f"run {names}", f"peak at {_peaks(runs)}, of {n} runs checked", runs[0].expected_s, subject)


def _wrong_clock(where: str, found: str, expected_s: tuple[float, float] | None, subject: str) -> Problem:
    return Problem(
        OFF_CLOCK, f"words and responses of {where} do not lie on one clock", file=where, field="onset", found=found,
        expected=_band(expected_s), why="a response that comes before its words, or long after them, answers to something else",
        fix="correct the onsets (or start_s) by that shift, or give the run the words it heard; the alignment picture shows both",
        subject=subject,
    )  # fmt: skip


def _unsure(runs: list[AlignedRun], n: int, subject: str) -> Problem:
    names = _told([r.run for r in runs])
    return Problem(
        "W-WORDS-09", f"{len(runs)} of {n} runs do not show that responses follow the words", file=f"run {names}", field="onset",
        found=f"peak at {_peaks(runs)}", expected=f"{_band(runs[0].expected_s)}, above chance",
        why="a signal too weak to tell, words of another run, or a start_s that is a little off",
        fix="look at the alignment pictures; a region that hears or reads tells more than whole-brain components", subject=subject,
    )  # fmt: skip


def _peaks(runs: Sequence[AlignedRun]) -> str:
    return _told([f"{peak(run)[0]:g} s (p = {run.p:.3g})" for run in runs])


def _told(items: Sequence[str]) -> str:
    """The first few; hundreds of runs would fill the page."""
    more = f" and {len(items) - _MOST_TOLD} more" if len(items) > _MOST_TOLD else ""
    return ", ".join(items[:_MOST_TOLD]) + more


def _band(expected_s: tuple[float, float] | None) -> str:
    return f"{expected_s[0]:g} to {expected_s[1]:g} s" if expected_s else ""
