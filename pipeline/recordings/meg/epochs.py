"""Responses around words: windows cut out of a run, those that cannot be used counted by reason."""

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Shaped

from pipeline.recordings.meg.channels import Channels
from pipeline.recordings.meg.kept import FEWEST, Cut, counted, finished, left_out_told, outside_told, refuse_few
from pipeline.recordings.meg.kind import Meg
from pipeline.recordings.meg.signal import Signal
from pipeline.recordings.meg.triggers import Clock
from pipeline.runs import Run

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["FEWEST", "Cut", "beside", "cut", "latencies"]


class Windows(NamedTuple):
    """Samples around words: the first of each window, the sample of the word, and whether all of it was recorded."""

    first: Shaped[np.ndarray, " word"]
    word: Shaped[np.ndarray, " word"]
    inside: Bool[np.ndarray, " word"]


def latencies(meg: Meg) -> Float[np.ndarray, " latency"]:
    """s after word onset, both ends of the window included."""
    start, end = meg.window
    return start + np.arange(round((end - start) * meg.sfreq) + 1) / meg.sfreq


def cut(meg: Meg, signal: Signal, clock: Clock, words: "pd.DataFrame", channels: Channels, run: Run, name: str) -> Cut:
    """Cut a window around every word; a word that cannot be used keeps its row.

    A word is read at the sample nearest to it, as MNE does: up to half a sample
    early or late. It is censored where its time is not known, its window leaves
    the recording or meets a bad stretch, or where a good channel's peak-to-peak
    amplitude exceeds `reject`.

    Raises
    ------
    StudyError : all words, or all but a few, are rejected; fewer than 30 are
        left; `reject` names a type that is not used.
    """
    values = np.asarray(signal.values, np.float32)
    found = _windows(meg, clock, words["onset"].to_numpy(float), values.shape[1])
    n_latencies = len(latencies(meg))
    epochs = np.zeros((len(words), len(values), n_latencies), np.float32)
    for word in np.flatnonzero(found.inside):
        epochs[word] = values[:, found.first[word] : found.first[word] + n_latencies]
    annotated = found.inside & _meets(signal, found.first, n_latencies)
    level = _level(meg, values, found)
    return finished(
        meg, epochs, level, signal.bad, channels, words, known=clock.known, inside=found.inside, annotated=annotated, run=run,
        name=name,
    )  # fmt: skip


def beside(
    meg: Meg, signal: Signal, clock: Clock, words: "pd.DataFrame", channels: Channels, run: Run, name: str
) -> tuple[Cut, Float[np.ndarray, " sample"]]:
    """The continuous signal at moments of the words' clock, and these moments (s); bad stretches are censored.

    Where onsets are trusted the moments are the samples themselves. Where
    triggers say how two clocks run, the moments are multiples of the sampling
    interval on the words' clock, each read at the sample nearest to it, so
    that presentations share them and a drift does not add up. `evoked` is the
    mean around words whose window is recorded and good, for the picture of the
    alignment; words are counted as in epochs, none is rejected.

    Raises
    ------
    StudyError : no word's window is recorded and good.
    """
    values = np.asarray(signal.values, np.float32)
    sample, times_s = _moments(clock, signal.sfreq, values.shape[1])
    censored = _meets(signal, sample, 1)
    responses = values[:, sample].T.copy()
    responses[censored] = 0
    responses[:, signal.bad] = np.nan
    found = _windows(meg, clock, words["onset"].to_numpy(float), values.shape[1])
    annotated = found.inside & _meets(signal, found.first, len(latencies(meg)))
    facts = counted(clock.known, found.inside, annotated, np.zeros(len(words), bool), {})
    refuse_few(facts, 1, run, name)
    evoked = _mean(values, found.first[found.inside & ~annotated], len(latencies(meg)))
    evoked[signal.bad] = np.nan
    told = [*outside_told(meg, words, ~found.inside, run, name), *left_out_told(facts, run, name)]
    return Cut(responses, censored, facts, told, evoked), times_s


def _moments(clock: Clock, sfreq: float, n_samples: int) -> tuple[np.ndarray, np.ndarray]:
    """Samples, and when they are on the words' clock (s, evenly spaced)."""
    sample = np.arange(n_samples)
    if not len(clock.jitter_s):
        return sample, sample / sfreq - clock.offset_s
    ends = (np.array([0, n_samples - 1]) / sfreq - clock.offset_s) / clock.slope * sfreq
    moment = np.arange(np.ceil(ends[0] - 0.5), np.floor(ends[1] + 0.5) + 1)
    sample = np.round((clock.offset_s + clock.slope * moment / sfreq) * sfreq).astype(int)
    inside = (sample >= 0) & (sample < n_samples)
    return sample[inside], moment[inside] / sfreq


def _mean(values: np.ndarray, first: np.ndarray, n: int) -> Float[np.ndarray, "channel latency"]:
    total = np.zeros((len(values), n))
    for i in first:
        total += values[:, i : i + n]
    return (total / len(first)).astype(np.float32)


def _windows(meg: Meg, clock: Clock, onsets: np.ndarray, n_samples: int) -> Windows:
    at = (clock.offset_s + clock.slope * onsets) * meg.sfreq
    word, first = (np.round(at + shift).astype(int) for shift in (0, meg.window[0] * meg.sfreq))
    last = first + len(latencies(meg)) - 1
    since, until = _baseline_samples(meg)
    inside = (np.minimum(first, word + since) >= 0) & (np.maximum(last, word + until) < n_samples)
    return Windows(first, word, inside)


def _baseline_samples(meg: Meg) -> tuple[int, int]:
    """First and last sample of the baseline from the word's on; the word's own without one."""
    since, until = (round(t * meg.sfreq) for t in meg.baseline or (0, 0))
    return since, until


def _meets(signal: Signal, first: np.ndarray, n: int) -> np.ndarray:
    """Which windows of `n` samples meet a bad stretch."""
    start, end = first / signal.sfreq, (first + n - 1) / signal.sfreq
    met = np.zeros(len(first), bool)
    for since, until in signal.bad_spans:
        met |= (start <= until) & (end >= since)
    return met


def _level(meg: Meg, values: np.ndarray, found: Windows) -> np.ndarray | None:
    """(word, channel) the mean over the baseline of each word."""
    if meg.baseline is None:
        return None
    since, until = _baseline_samples(meg)
    level = np.zeros((len(found.word), len(values)), np.float32)
    for word in np.flatnonzero(found.inside):
        level[word] = values[:, found.word[word] + since : found.word[word] + until + 1].mean(axis=1)
    return level
