"""Do words and an MEG, EEG or iEEG recording lie on one clock? Triggers against words, and the response evoked by word onset."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float

from pipeline.report.meg_parts import MEANS, SensedRun
from pipeline.report.parts import Light
from pipeline.report.tables import Table
from pipeline.report.words import count, is_number, number, percent

JITTER_MS = 10.0  # a trigger that lies further from its word blurs what is read every 10 ms
MATCHED = 0.95  # share of words with a trigger from which their clock counts as known
MISMATCHED = 0.5  # share below which triggers and words are not of one stimulus
DRIFT_PPM = 1000.0  # quartz drifts by tens of ppm: 1 s in 17 min is another stimulus or another rate, no drift
ABOVE = 2.0  # GFP after onset over the highest before from which a response counts as seen; slow noise alone: 5 % with .4 s before onset, 8 % with .2 s
UNTIL_S = 0.6  # s after onset in which the response to a word is looked for

_RANK: tuple[Light | None, ...] = ("red", "amber", None, "green")


class Evoked(NamedTuple):
    """The mean over words of one kind of channel, detrended, and its global field power (GFP).

    `ratio` is the highest GFP after onset over the highest before it, nan
    where there is nothing before; `peak_s` is where the former lies.
    """

    kind: str
    times_s: Float[np.ndarray, " latency"]
    values: Float[np.ndarray, "channel latency"]
    gfp: Float[np.ndarray, " latency"]
    ratio: float
    peak_s: float


class Verdict(NamedTuple):
    light: Light | None
    told: str


def verdict(run: SensedRun) -> Verdict:
    """Green, amber or red, with the reason in words; without a light where nothing can be said.

    Triggers come first: they mark the words in the recording itself. Red: fewer
    than half of the words have one, clocks differ by more than any quartz
    drifts, or half of the triggers lie further than a step of the latencies
    from their words: they are of another stimulus. Green: (nearly) every word
    has one close by. Where there are none, or too few, the brain has to say:
    green when the response to word onset is clearly higher than what was there
    before it, amber when it is not. A weak response proves nothing wrong, so
    that alone is never red.
    """
    found = [of_triggers(facts) for facts in _triggers(run)]
    judged = min(found, key=lambda v: _RANK.index(v.light)) if found else Verdict(None, "no triggers were matched")
    if judged.light in ("red", "green"):
        return judged
    seen = of_evoked(run)
    light = seen.light or judged.light
    return Verdict(light, "; ".join(part for part in (judged.told, seen.told) if part))


def of_triggers(facts: Mapping[str, Any]) -> Verdict:
    """What the triggers of one file say."""
    share = _share(facts)
    jitter, ppm = facts.get("jitter_median_ms"), facts.get("slope_ppm")
    told = f"{percent(share)} % of words have a trigger, {number(jitter, 1)} ms from it (median), drift {number(ppm, 1)} ppm"
    if is_number(share) and share < MISMATCHED:
        return Verdict("red", f"{told}: triggers and words are not of one stimulus")
    if is_number(ppm) and abs(ppm) > DRIFT_PPM:
        return Verdict("red", f"{told}: no clock drifts so much")
    if is_number(jitter) and jitter > JITTER_MS:
        return Verdict("red", f"{told}: triggers do not follow the words")
    if is_number(share) and is_number(jitter) and share >= MATCHED:
        return Verdict("green", told)
    return Verdict("amber", f"{told}: not all words could be checked")


def of_evoked(run: SensedRun) -> Verdict:
    """What the response to word onset says."""
    found = [one for one in evoked(run) if is_number(one.ratio)]
    if not found:
        return Verdict(None, "no response around word onset to judge by")
    best = max(found, key=lambda one: one.ratio)
    told = (
        f"GFP ({best.kind}) after onset reaches {number(best.ratio, 1)} times its highest before, "
        f"at {number(best.peak_s, 2)} s"
    )
    if best.ratio >= ABOVE:
        return Verdict("green", told)
    return Verdict("amber", f"{told}: no response to word onset to be seen")


def evoked(run: SensedRun) -> list[Evoked]:
    """The response evoked by word onset, one for each kind of channel that has some.

    A straight line is taken off each channel over the whole epoch, onset or
    not: slow drift would favour one of its ends. `of_evoked` compares what is
    left before and after onset.
    """
    if run.evoked is None or run.evoked_s is None or run.sensors is None:
        return []
    kinds, times = np.array(run.sensors.kinds), np.asarray(run.evoked_s, float)
    from scipy.signal import detrend  # where it is used: pages without sensors start sooner

    found = []
    for kind in dict.fromkeys(run.sensors.kinds):
        own = np.asarray(run.evoked, float)[kinds == kind]
        own = own[np.isfinite(own).all(axis=1)]
        if own.size and own.shape[1] > 2:
            found.append(_evoked(kind, times, detrend(own, axis=1)))
    return found


def clock_table(runs: Sequence[SensedRun], caption: str) -> Table:
    """One row per run: the verdict and its reason."""
    found = [(run, verdict(run)) for run in runs]
    rows = [[str(run.run), judged.light or "", judged.told] for run, judged in found]
    return Table(caption, ("run", "verdict", "why"), rows, lights=frozenset({1}))


def triggers_table(runs: Sequence[SensedRun], caption: str) -> Table:
    """One row per file with triggers."""
    rows = [
        [str(run.run), *(count(facts.get(key)) for key in _COUNTS), *(number(facts.get(key), 1) for key in _NUMBERS)]
        for run in runs
        for facts in _triggers(run)
    ]
    return Table(caption, ("run", *_COUNTS.values(), *_NUMBERS.values()), rows, frozenset(range(1, 9)))


def evoked_table(run: SensedRun, caption: str) -> Table:
    """GFP at a few times, before and after onset, for each kind of channel."""
    found = evoked(run)
    rows = [
        [MEANS.get(one.kind, one.kind), number(one.times_s[i], 2), f"{one.gfp[i]:.3g}"]
        for one in found
        for i in _few(one.times_s)
    ]
    return Table(caption, ("channels", "time after onset (s)", "GFP"), rows, frozenset({1, 2}))


def worst(runs: Sequence[SensedRun]) -> list[SensedRun]:
    """Runs in the order in which a reader should look at them: red ones first."""
    return sorted(runs, key=lambda run: _RANK.index(verdict(run).light))


def _evoked(kind: str, times: np.ndarray, values: np.ndarray) -> Evoked:
    gfp = np.sqrt((values**2).mean(axis=0))
    before, after = times < 0, (times >= 0) & (times <= UNTIL_S)
    if not before.any() or not after.any() or not gfp[before].max() > 0:
        return Evoked(kind, times, values, gfp, np.nan, np.nan)
    ratio = float(gfp[after].max() / gfp[before].max())
    return Evoked(kind, times, values, gfp, ratio, float(times[after][gfp[after].argmax()]))


def _share(facts: Mapping[str, Any]) -> float:
    words, matched = facts.get("n_words"), facts.get("n_matched")
    return matched / words if is_number(words) and is_number(matched) and words > 0 else np.nan


def _triggers(run: SensedRun) -> list[Mapping[str, Any]]:
    return [facts for one in run.presentations if (facts := one.get("triggers"))]


def _few(times_s: np.ndarray, n: int = 16) -> list[int]:
    return np.unique(np.linspace(0, len(times_s) - 1, min(n, len(times_s))).round().astype(int)).tolist()


_COUNTS = {
    "n_words": "words",
    "n_triggers": "triggers",
    "n_matched": "matched",
    "n_missing": "words without",
    "n_extra": "too many",
}
_NUMBERS = {
    "slope_ppm": "drift (ppm)",
    "jitter_median_ms": "jitter, median (ms)",
    "jitter_max_ms": "largest (ms)",
}
