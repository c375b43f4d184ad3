"""Do words and triggers agree? What a straight line between two clocks leaves over, refused or told."""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int

from pipeline.problems import Problem, StudyError
from pipeline.recordings.base import problem
from pipeline.recordings.meg import matching
from pipeline.recordings.meg.kind import Meg
from pipeline.recordings.meg.matching import MOST_DRIFT, Match
from pipeline.runs import Run

_REACH = 5  # times the jitter that is allowed: a trigger further away belongs to no word
_FEWEST = 0.5  # share of the words that must have a trigger
_TOLD = 5  # words that a message names
_LEAST_ELSEWHERE = 10  # words that must agree before a break in the recording is told


class Line(NamedTuple):
    """Triggers matched with moments (the times, on the words' clock, at which words begin)."""

    moments_s: Float[np.ndarray, " moment"]
    triggers_s: Float[np.ndarray, " trigger"]
    match: Match

    @property
    def jitter_s(self) -> Float[np.ndarray, " pair"]:
        expected = self.match.offset_s + self.match.slope * self.moments_s[self.match.words]
        return self.triggers_s[self.match.triggers] - expected

    @property
    def missing(self) -> Int[np.ndarray, " word"]:
        return np.setdiff1d(np.arange(len(self.moments_s)), self.match.words)

    @property
    def extra(self) -> Int[np.ndarray, " trigger"]:
        return np.setdiff1d(np.arange(len(self.triggers_s)), self.match.triggers)


def refuse_few(line: Line, run: Run, name: str) -> None:
    """Refuse a match that fewer than half of the words share."""
    n = len(line.match.words)
    if n < _FEWEST * len(line.moments_s):
        raise StudyError(
            problem(
                "E-MEG-34", "too few words have a trigger", run, file=name, field="align: affine",
                found=f"{_counts(line)}; at the best place {n} words ({n / len(line.moments_s):.0%}) meet one; {_stretch(line)}; {_rates(line)}",
                expected=f"at least {_FEWEST:.0%} of the words",
                fix="check that the table and the recording belong together, that onsets are in seconds, and the codes in `trigger`",
            )
        )  # fmt: skip


def unequal(line: Line, run: Run, name: str) -> Problem:
    """There is not one trigger for each word; `line` is the best match of those that there are."""
    return problem(
        "E-MEG-33", "there is not one trigger for each word", run, file=name, field="align: triggers",
        found=f"{_counts(line)}; {_stretch(line)}", expected="as many triggers as words",
        fix="name the codes of words only in `trigger`; where triggers are missing or too many, say `align: affine`",
    )  # fmt: skip


def fitted(meg: Meg, triggers_s: Float[np.ndarray, " trigger"], onsets: Float[np.ndarray, " word"]) -> Line:
    """The match under which most words have a trigger, whatever it is worth."""
    moments_s = np.unique(onsets)
    between_s = float(np.median(np.diff(moments_s))) if len(moments_s) > 1 else np.inf
    tolerance_s = min(_REACH * meg.jitter_ms / 1e3, between_s / 3)  # never as far as the next word
    return Line(moments_s, triggers_s, matching.matched(moments_s, triggers_s, tolerance_s))


def refuse_ambiguous(line: Line, run: Run, name: str) -> None:
    """Refuse where the triggers fit the words as well somewhere else."""
    second = line.match.second
    if second is None or _decided(line):
        return
    shift_s = (second.offset_s - line.match.offset_s) + (second.slope - line.match.slope) * line.moments_s.mean()
    raise StudyError(
        problem(
            "E-MEG-37", "the triggers fit the words in more than one way", run, file=name, field="align: affine",
            found=f"{_counts(line)}; {len(line.match.words)} words meet one, and {len(second.words)} with all words {shift_s:+.3f} s later",
            expected="one place at which clearly more words meet a trigger",
            why="words at even intervals, or many triggers that mark no word, fit in several places",
            fix="name the codes of words only in `trigger`, mend the missing triggers and say `align: triggers`, or say `align: onsets` and `start_s`",
        )
    )  # fmt: skip


def _decided(line: Line) -> bool:
    """Do clearly more words meet a trigger here than at the second best place?

    Words that meet one at both places say nothing; of the others clearly more
    must meet one only here (McNemar's test, three deviations). Where every
    trigger, or every word, has its partner here, one more is enough: words at
    even intervals lose only those at the ends when they are shifted.
    """
    best, second = line.match.words, line.match.second.words
    here, there = len(np.setdiff1d(best, second)), len(np.setdiff1d(second, best))
    if not len(line.extra) or not len(line.missing):
        return here > there
    return here - there > 3 * (here + there) ** 0.5


def refuse_break(meg: Meg, line: Line, run: Run, name: str) -> None:
    """Refuse a recording that was paused: words left over fit triggers left over, at another offset."""
    missing, extra = line.missing, line.extra
    if len(missing) < _LEAST_ELSEWHERE or len(extra) < _LEAST_ELSEWHERE:
        return
    rest = fitted(meg, line.triggers_s[extra], line.moments_s[missing])
    n = len(rest.match.words)
    if n < max(_LEAST_ELSEWHERE, _FEWEST * len(missing)) or (rest.match.second is not None and not _decided(rest)):
        return
    here = np.concatenate([np.zeros(len(line.match.words)), np.ones(n)])
    order = np.argsort(np.concatenate([line.match.words, missing[rest.match.words]]), kind="stable")
    if np.count_nonzero(np.diff(here[order])) > n / 4:  # side by side, not one after the other: that is jitter
        return
    first, last = missing[rest.match.words[[0, -1]]]
    raise StudyError(
        problem(
            "E-MEG-38", "the recording has a break: two parts of the words need two offsets", run, file=name, field="align: affine",
            found=f"{len(line.match.words)} words meet a trigger with an offset of {line.match.offset_s:.3f} s, {n} others (words {first + 1} to {last + 1}, "
            f"from {line.moments_s[first]:.3f} s) with one of {rest.match.offset_s:.3f} s",
            expected="one line between the clocks",
            why="recording or presentation was paused, or a part of the file is lost",
            fix="cut the file and the table of words at the break and give the parts as runs of their own",
        )
    )  # fmt: skip


def refuse_drift(meg: Meg, line: Line, run: Run, name: str) -> None:
    slope, length_s = line.match.slope, float(np.ptp(line.moments_s)) if len(line.moments_s) else 0.0
    # few words in a short time fix a slope badly, and a wrong one does no harm there
    if abs(slope - 1) < MOST_DRIFT * (1 - 1e-9) or abs(slope - 1) * length_s < meg.jitter_ms / 1e3:
        return
    raise StudyError(
        problem(
            "E-MEG-36", "the words' clock and the recording's run at different speeds", run, file=name, field="onset",
            found=f"{slope:.6g} s of the recording for each second of the words ({1e6 * (slope - 1):+.0f} ppm); {_rates(line)}",
            expected=f"1 within {1e6 * MOST_DRIFT:.0f} ppm, as two clocks differ",
            why="onsets in another unit, the sampling rate of another file, or sound that was stretched",
            fix="give onsets in seconds of what was presented; or check that the table and the recording belong together",
        )
    )  # fmt: skip


def refuse_jitter(meg: Meg, line: Line, run: Run, name: str) -> None:
    left_ms = 1e3 * np.abs(line.jitter_s)
    if np.median(left_ms) <= meg.jitter_ms:
        return
    raise StudyError(
        problem(
            "E-MEG-35", "triggers lie too far from the words", run, file=name, field="jitter_ms",
            found=f"{np.median(left_ms):.1f} ms (median), {left_ms.max():.1f} ms (most) after the clocks were matched; {_stretch(fitted(meg, line.triggers_s, line.moments_s))}",
            expected=f"at most {meg.jitter_ms:g} ms (median)",
            why="responses are smeared by as much; a trigger missing here and one too many there shift all words between",
            fix="check which event the triggers mark, mend the onsets, or say `align: affine`; a larger jitter_ms accepts the smear",
        )
    )  # fmt: skip


def jitter_told(meg: Meg, line: Line, run: Run, name: str) -> list[Problem]:
    left_ms = 1e3 * np.abs(line.jitter_s)
    far = np.flatnonzero(left_ms > meg.jitter_ms)
    if not far.size:
        return []
    worst = far[np.argsort(-left_ms[far], kind="stable")][:_TOLD]
    told = ", ".join(f"word {line.match.words[i] + 1} ({1e3 * line.jitter_s[i]:+.1f} ms)" for i in worst)
    return [
        problem(
            "W-MEG-35", f"{far.size} triggers lie further than {meg.jitter_ms:g} ms from their words", run, file=name, field="jitter_ms",
            found=f"median {np.median(left_ms):.1f} ms, most {left_ms.max():.1f} ms; the worst: {told}",
            why="words are placed by the line through all triggers, not by their own",
            fix="look at these triggers and at the onsets of these words",
        )
    ]  # fmt: skip


def extra_told(line: Line, run: Run, name: str) -> list[Problem]:
    missing, extra = line.missing, line.extra
    if not len(missing) and not len(extra):
        return []
    told = [f"{len(missing)} words without a trigger{_first(missing, line.moments_s, 'word')}"] if len(missing) else []
    told += [f"{len(extra)} triggers without a word{_first(extra, line.triggers_s, 'trigger')}"] if len(extra) else []
    return [
        problem(
            "W-MEG-39", "triggers are missing or too many", run, file=name, field="trigger", found="; ".join(told),
            why="words without a trigger are placed by the line through the others; triggers without a word are not used",
            fix="check these places in the presentation's log",
        )
    ]  # fmt: skip


def _first(which: np.ndarray, times_s: np.ndarray, noun: str) -> str:
    told = ", ".join(f"{noun} {i + 1} at {times_s[i]:.3f} s" for i in which[:_TOLD])
    return f" ({told}{', …' if len(which) > _TOLD else ''})"


def _counts(line: Line) -> str:
    return f"{len(line.triggers_s)} triggers, {len(line.moments_s)} words"


def _rates(line: Line) -> str:
    """How far apart triggers and words are: shows onsets in another unit."""
    if min(len(line.triggers_s), len(line.moments_s)) < 2:
        return "too few to say how far apart they are"
    between = [float(np.median(np.diff(times))) for times in (line.triggers_s, line.moments_s)]
    return f"a trigger every {between[0]:.3g} s, a word every {between[1]:.3g} s (median)"


def _stretch(line: Line) -> str:
    """The longest stretch in which words and triggers follow each other one to one."""
    pairs = matching.longest(line.match)
    words, hits = line.match.words[pairs], line.match.triggers[pairs]
    if len(words) < 2:
        return "no stretch of words matches the triggers"
    w, t = line.moments_s, line.triggers_s
    return (
        f"longest matching stretch: words {words[0] + 1} to {words[-1] + 1} ({w[words[0]]:.3f} to {w[words[-1]]:.3f} s) with triggers "
        f"{hits[0] + 1} to {hits[-1] + 1} ({t[hits[0]]:.3f} to {t[hits[-1]]:.3f} s)"
    )
