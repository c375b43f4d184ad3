"""Words and triggers: where on a recording's clock each word lies, and how sure that is."""

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from jaxtyping import Bool, Float

from pipeline.problems import Problem, StudyError
from pipeline.recordings.meg import matching
from pipeline.recordings.meg.agreement import (
    Line,
    extra_told,
    fitted,
    jitter_told,
    refuse_ambiguous,
    refuse_break,
    refuse_drift,
    refuse_few,
    refuse_jitter,
    unequal,
)
from pipeline.recordings.meg.kind import Meg
from pipeline.recordings.meg.marks import marks_of
from pipeline.recordings.meg.matching import Match
from pipeline.runs import Run

if TYPE_CHECKING:
    import mne
    import pandas as pd


class Clock(NamedTuple):
    """The words' clock on the recording's: a word lies `offset_s + slope * onset` s after the file's first sample.

    `known` marks words whose time is known: all of them where the line holds,
    for a missing trigger does not move its word. `jitter_s` is what is left of
    each trigger after the line was taken away, empty where onsets are trusted.
    """

    slope: float
    offset_s: float
    known: Bool[np.ndarray, " word"]
    jitter_s: Float[np.ndarray, " trigger"]
    facts: dict[str, Any]
    warnings: list[Problem]


def clock_of(meg: Meg, raw: "mne.io.BaseRaw", words: "pd.DataFrame", run: Run, name: str) -> Clock:
    """Where each word lies in the file, by the onsets and `start_s`, or by triggers.

    With `align: triggers` there is exactly one trigger for each word; with
    `affine` some may be missing or too many (see `matching`). In both the
    words' clock is laid on the recording's by a straight line through all
    matched pairs, so that the jitter of single triggers and a drift of the
    clocks do no harm; what is left is measured.

    Parameters
    ----------
    raw : as opened, before resampling: triggers are read at their full rate.
    words : onset in s on the words' clock, sorted.

    Raises
    ------
    StudyError : triggers that do not exist or coincide, that are not one for
        each word, fit too few words or several ways, jump, drift or jitter too far.
    """
    onsets = words["onset"].to_numpy(float)
    if meg.align == "onsets":
        return Clock(1.0, -run.start_s, np.ones(len(onsets), bool), np.zeros(0), {}, [])
    triggers_s = marks_of(meg.trigger, raw, run, name)
    if meg.align == "triggers":
        line = one_each(meg, triggers_s, onsets, run, name)
    else:
        line = some_missing(meg, triggers_s, onsets, run, name)
    warnings = [*extra_told(line, run, name), *jitter_told(meg, line, run, name)]
    known = np.ones(len(onsets), bool)
    return Clock(line.match.slope, line.match.offset_s, known, line.jitter_s, facts_of(line, len(onsets)), warnings)


def one_each(
    meg: Meg, triggers_s: Float[np.ndarray, " trigger"], onsets: Float[np.ndarray, " word"], run: Run, name: str
) -> Line:
    """One trigger for each word, or for each moment at which words begin; refuses other counts."""
    moments_s = onsets if len(triggers_s) == len(onsets) else np.unique(onsets)
    if len(triggers_s) != len(moments_s):
        raise StudyError(unequal(fitted(meg, triggers_s, onsets), run, name))
    pair = np.arange(len(moments_s))
    line = Line(moments_s, triggers_s, Match(pair, pair, *matching.line(moments_s, triggers_s)))
    refuse_jitter(meg, line, run, name)
    refuse_drift(meg, line, run, name)
    return line


def some_missing(
    meg: Meg, triggers_s: Float[np.ndarray, " trigger"], onsets: Float[np.ndarray, " word"], run: Run, name: str
) -> Line:
    """The match under which most words have a trigger; refuses one that few words share, or that is not the only one."""
    line = fitted(meg, triggers_s, onsets)
    refuse_few(line, run, name)
    refuse_break(meg, line, run, name)
    refuse_ambiguous(line, run, name)
    refuse_jitter(meg, line, run, name)
    refuse_drift(meg, line, run, name)
    return line


def facts_of(line: Line, n_words: int) -> dict[str, Any]:
    """Counts, the line between the clocks and what is left of the triggers, for JSON."""
    left = np.abs(line.jitter_s)
    return {
        "n_triggers": len(line.triggers_s), "n_words": n_words, "n_matched": len(line.match.words),
        "n_extra": len(line.extra), "n_missing": len(line.missing), "slope_ppm": 1e6 * (line.match.slope - 1),
        "offset_s": line.match.offset_s, "jitter_median_ms": 1e3 * float(np.median(left)), "jitter_max_ms": 1e3 * float(left.max()),
    }  # fmt: skip
