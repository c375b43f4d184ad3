"""Which trigger belongs to which word, when some are missing, some are too many and two clocks disagree.

A trigger comes at `offset + slope * onset`, the slope within a thousandth of
1, with a jitter of a few milliseconds. Stretches of words are slid along the
triggers (a cross-correlation by FFT) until many meet one; from the best places
the match grows outwards, the line refitted at every doubling, so that a drift
of seconds over a session is followed. The line under which most words meet a
trigger wins. About n log n for n words.
"""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int

MOST_DRIFT = 1e-3  # clocks of two devices differ by less than a tenth of this
_STRETCH = 40  # words that are slid along the triggers
_STRETCHES = 9  # how many stretches, spread over the run
_PLACES = 4  # the best places of each stretch
_FOLLOWED = 6  # places that are followed over the whole run
_MOST_BINS = 2**21  # a day in steps of 50 ms


class Match(NamedTuple):
    """Pairs of words and triggers (positions in ascending order), and the line between their clocks.

    `second` is the best match at another place: it tells how far to trust this
    one. None where there is no other.
    """

    words: Int[np.ndarray, " pair"]
    triggers: Int[np.ndarray, " pair"]
    slope: float
    offset_s: float
    second: "Match | None" = None


def matched(onsets: Float[np.ndarray, " word"], triggers: Float[np.ndarray, " trigger"], tolerance_s: float) -> Match:
    """The one-to-one match under which most words have a trigger within the tolerance.

    Parameters
    ----------
    onsets : s, increasing, on the words' clock.
    triggers : s, increasing, in the file.
    tolerance_s : s between a trigger and where the line expects it; larger
        than the jitter, and well below the time between two words.
    """
    if not len(onsets) or not len(triggers):
        return _line(onsets, triggers, 1.0, 0.0, tolerance_s)
    found: list[Match] = []
    for place in _places(onsets, triggers, tolerance_s):
        # the same place seen from another stretch grows into the same match
        if len(found) < _FOLLOWED and all(abs(_at(m, place.onset) - place.at_s) > 2 * tolerance_s for m in found):
            found.append(_grown(onsets, triggers, place, tolerance_s))
    found.sort(key=lambda match: _worth(match, onsets, triggers))
    found += _elsewhere(onsets, triggers, found[0].slope, tolerance_s)
    found.sort(key=lambda match: _worth(match, onsets, triggers))
    best, middle = found[0], onsets.mean()
    others = [m for m in found[1:] if abs(_at(m, middle) - _at(best, middle)) > 2 * tolerance_s]
    return best._replace(second=others[0] if others else None)


def line(x: Float[np.ndarray, " pair"], y: Float[np.ndarray, " pair"]) -> tuple[float, float]:
    """Slope and offset by least squares, pairs beyond three robust deviations left out; one pair keeps slope 1."""
    kept = np.ones(len(x), bool)
    slope, offset = _fit(x, y)
    for _ in range(20):
        off = np.abs(y - offset - slope * x)
        now = off <= max(3 * 1.4826 * np.median(off), 1e-9)
        if (now == kept).all() or now.sum() < 2:
            break
        kept = now
        slope, offset = _fit(x[kept], y[kept])
    return slope, offset


def longest(match: Match) -> slice:
    """The longest stretch of pairs in which neither a word nor a trigger is passed over."""
    if not len(match.words):
        return slice(0, 0)
    breaks = np.flatnonzero((np.diff(match.words) != 1) | (np.diff(match.triggers) != 1)) + 1
    edges = np.concatenate([[0], breaks, [len(match.words)]])
    i = int(np.argmax(np.diff(edges)))
    return slice(int(edges[i]), int(edges[i + 1]))


def _at(match: Match, onset: float) -> float:
    return match.offset_s + match.slope * onset


def _worth(match: Match, onsets: np.ndarray, triggers: np.ndarray) -> tuple[int, float, float]:
    """Smallest for the best: most pairs, then least jitter, then earliest."""
    off = triggers[match.triggers] - match.offset_s - match.slope * onsets[match.words]
    return -len(off), round(float(np.sqrt(np.mean(off**2))), 9) if len(off) else 0.0, match.offset_s


def _fit(x: np.ndarray, y: np.ndarray) -> tuple[float, float]:
    middle = x.mean()
    moment = ((x - middle) ** 2).sum()
    slope = float(((x - middle) * (y - y.mean())).sum() / moment) if moment > 0 else 1.0
    return slope, float(y.mean() - slope * middle)


def _stretches(n: int) -> list[tuple[int, int]]:
    """Stretches of words spread over the run; the whole run where it is short."""
    if n <= _STRETCH:
        return [(0, n)]
    firsts = np.unique(np.linspace(0, n - _STRETCH, _STRETCHES).round().astype(int))
    return [(int(first), int(first) + _STRETCH) for first in firsts]


class _Place(NamedTuple):
    """Where a stretch of words may lie: its first word (at `onset`) at `at_s` in the file, `n` words meeting a trigger."""

    n: int
    first: int
    last: int
    onset: float
    at_s: float
    slope: float


def _places(onsets: np.ndarray, triggers: np.ndarray, tolerance_s: float) -> list[_Place]:
    """The places of all stretches, those at which most words meet a trigger first."""
    found = []
    for first, last in _stretches(len(onsets)):
        words = onsets[first:last] - onsets[first]
        width = _width(words, triggers, 2 * tolerance_s + MOST_DRIFT * words[-1])  # jitter, and drift in the stretch
        counts, first_s = _slid(words, triggers, width)
        for i in _tops(counts, _PLACES):
            n, slope, at_s = _sharpened(
                words, triggers, first_s + i * width, width, _slopes(words[-1], tolerance_s), tolerance_s
            )
            found.append(_Place(n, first, last, float(onsets[first]), at_s, slope))
    return sorted(found, key=lambda place: -place.n)


def _elsewhere(onsets: np.ndarray, triggers: np.ndarray, slope: float, tolerance_s: float) -> list[Match]:
    """The best places of all words together, now that the slope is known.

    Words at even intervals fit a stretch anywhere; only the whole run tells.
    """
    words = onsets - onsets[0]
    width = _width(words, triggers, 2 * tolerance_s)
    counts, first_s = _slid(words * slope, triggers, width)
    found = [
        _sharpened(words, triggers, first_s + i * width, width, [slope], tolerance_s) for i in _tops(counts, _FOLLOWED)
    ]
    return [_line(onsets, triggers, slope, at_s - slope * onsets[0], tolerance_s) for _, _, at_s in found]


def _width(words: np.ndarray, triggers: np.ndarray, wanted_s: float) -> float:
    """Width of the bins; wider than wanted where times in another unit would make too many of them."""
    return max(wanted_s, float(words[-1] + np.ptp(triggers)) / _MOST_BINS)


def _tops(counts: np.ndarray, n: int) -> list[int]:
    """The highest bins, none beside another; `counts` is overwritten."""
    found = []
    for _ in range(min(n, len(counts))):
        found.append(int(np.argmax(counts)))
        counts[max(found[-1] - 1, 0) : found[-1] + 2] = -1
    return found


def _slid(onsets: np.ndarray, triggers: np.ndarray, width: float) -> tuple[np.ndarray, float]:
    """How many words meet a trigger within about a bin at every offset: bins of triggers against bins of words."""
    from scipy.signal import fftconvolve

    word, trigger = np.round(onsets / width).astype(int), np.round((triggers - triggers[0]) / width).astype(int)
    words, there = np.zeros(word[-1] + 1), np.zeros(trigger[-1] + 3)
    words[word] = 1
    for beside in range(3):
        there[trigger + beside] = 1
    # bin 0 lies one before the first trigger, and the last word meets it first
    return np.round(fftconvolve(there, words[::-1])), triggers[0] - (word[-1] + 1) * width


def _slopes(length_s: float, tolerance_s: float) -> list[float]:
    """Slopes that a stretch of this length can tell apart, those nearest to 1 first."""
    n_steps = int(np.ceil(MOST_DRIFT * length_s / tolerance_s)) + 1
    return [1 + MOST_DRIFT * step / n_steps for step in sorted(range(-n_steps, n_steps + 1), key=abs)]


def _sharpened(
    onsets: np.ndarray, triggers: np.ndarray, about_s: float, width: float, slopes: list[float], tolerance_s: float
) -> tuple[int, float, float]:
    """Of the slopes and the offsets near `about_s` those that leave most pairs inside the tolerance, and how many."""
    since, until = (np.searchsorted(triggers, onsets + about_s + side * width) for side in (-2, 2))
    word = np.repeat(np.arange(len(onsets)), until - since)
    x, y = onsets[word], triggers[np.arange(len(word)) - np.repeat(np.cumsum(until - since) - until, until - since)]
    best = (0, 1.0, about_s)
    for slope in slopes:
        off = np.sort(y - slope * x)
        n_inside = np.searchsorted(off, off + tolerance_s, "right") - np.arange(len(off))
        i = int(np.argmax(n_inside)) if len(off) else 0
        if len(off) and n_inside[i] > best[0]:
            best = (int(n_inside[i]), slope, float(np.median(off[i : i + n_inside[i]])))
    return best


def _grown(onsets: np.ndarray, triggers: np.ndarray, place: _Place, tolerance_s: float) -> Match:
    """The match from a stretch outwards: twice as many words each time, the line refitted at each step."""
    n, first, last = len(onsets), place.first, place.last
    slope, offset_s = place.slope, place.at_s - place.slope * place.onset
    while (first, last) != (0, n):
        _, _, slope, offset_s, _ = _line(onsets[first:last], triggers, slope, offset_s, tolerance_s)
        more = (last - first + 1) // 2
        first, last = max(first - more, 0), min(last + more, n)
    return _line(onsets, triggers, slope, offset_s, tolerance_s)


def _line(onsets: np.ndarray, triggers: np.ndarray, slope: float, offset_s: float, tolerance_s: float) -> Match:
    """Pairs near a line, and the line through them, in turn until nothing changes."""
    words, hits = _pairs(onsets, triggers, slope, offset_s, tolerance_s)
    for _ in range(20):
        if not len(words):
            break
        slope, offset_s = _held(*line(onsets[words], triggers[hits]), onsets[words], triggers[hits])
        now = _pairs(onsets, triggers, slope, offset_s, tolerance_s)
        if np.array_equal(now[0], words) and np.array_equal(now[1], hits):
            break
        words, hits = now
    return Match(words, hits, slope, offset_s)


def _held(slope: float, offset_s: float, x: np.ndarray, y: np.ndarray) -> tuple[float, float]:
    """Few pairs fix a slope badly: no further from 1 than clocks are."""
    if abs(slope - 1) <= MOST_DRIFT:
        return slope, offset_s
    held = float(np.clip(slope, 1 - MOST_DRIFT, 1 + MOST_DRIFT))
    return held, float(np.median(y - held * x))


def _pairs(
    onsets: np.ndarray, triggers: np.ndarray, slope: float, offset_s: float, tolerance_s: float
) -> tuple[np.ndarray, np.ndarray]:
    """Words and triggers that are each other's nearest, within the tolerance."""
    if not len(onsets) or not len(triggers):
        return np.zeros(0, int), np.zeros(0, int)
    expected = offset_s + slope * onsets
    hit = _nearest(triggers, expected)
    mutual = _nearest(expected, triggers[hit]) == np.arange(len(onsets))
    words = np.flatnonzero(mutual & (np.abs(triggers[hit] - expected) <= tolerance_s))
    return words, hit[words]


def _nearest(places: np.ndarray, of: np.ndarray) -> np.ndarray:
    """Position of the nearest of `places` (increasing) to each value."""
    right = np.clip(np.searchsorted(places, of), 1, max(len(places) - 1, 1))
    if len(places) == 1:
        return np.zeros(len(of), int)
    return np.where(of - places[right - 1] <= places[right] - of, right - 1, right)
