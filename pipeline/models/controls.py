"""Features that know little or nothing of language.

What a network's states explain beyond these is what is worth talking about:
position in the story and the rate of words are hard to beat, and features that
know nothing of the stimulus may explain nothing at all.
"""

import hashlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import ClassVar, Literal

import numpy as np
from jaxtyping import Float, Int
from pydantic import Field, PositiveFloat, PositiveInt

from pipeline.models.base import Activations, Model, Words
from pipeline.models.stretches import stretches

_SETTLING_S = 20.0  # seconds in which the answer to the start of a story fades
_SAME_S = 1e-6  # s; rounding of an onset


class Control(Model):
    """A model whose features are made of the words table alone."""

    def activations(self, words: Mapping[str, Words], *, study_dir: Path) -> Iterator[Activations]:
        """One "layer" per run, number 0."""
        for run, table in words.items():
            values = np.asarray(self._features(table, run), np.float32)
            yield Activations(run, values[:, None, :], (0,), facts={"n_words": len(table)} | self._facts(table, values))

    def _features(self, words: Words, run: str) -> Float[np.ndarray, "word feature"]:
        raise NotImplementedError

    def _facts(self, words: Words, values: Float[np.ndarray, "word feature"]) -> dict[str, str | int | float]:
        """What is worth telling of this run beside the number of its words."""
        return {}


class WordRate(Control):
    """1 for every word: summed onto the clock it is how many were heard.

    Where a sample is a word (epochs around words) 1 for each says nothing.
    With `neighbours_s` the two features are instead how many words begin
    within that time before a word's onset, and how many after it.
    """

    version: ClassVar[int] = 1
    kind: Literal["wordrate"] = "wordrate"
    neighbours_s: PositiveFloat | None = Field(
        None, description="s before and after each word in which others are counted; null: 1 for every word"
    )

    def _features(self, words: Words, run: str) -> Float[np.ndarray, "word feature"]:
        if self.neighbours_s is None:
            return np.ones((len(words), 1))
        return _neighbours(_onsets(words), self.neighbours_s)


class Duration(Control):
    """How long each word lasts, and how long it is silent between its end and the next word's onset; s.

    Two features. The pause is 0 where the next word begins before the end,
    and for the last word of a run, after which nobody knows.
    """

    version: ClassVar[int] = 1
    kind: Literal["duration"] = "duration"

    def _features(self, words: Words, run: str) -> Float[np.ndarray, "word feature"]:
        onsets, durations = _onsets(words), np.asarray(words["duration"], float)
        pauses = np.append(onsets[1:] - (onsets + durations)[:-1], np.zeros(min(len(onsets), 1)))
        return np.column_stack([durations, np.maximum(pauses, 0.0)])


class WordLength(Control):
    """Characters of each word; summed onto the clock, roughly how much was said."""

    version: ClassVar[int] = 1
    kind: Literal["wordlength"] = "wordlength"

    def _features(self, words: Words, run: str) -> Float[np.ndarray, "word feature"]:
        return np.array([[len(word.strip())] for word in words["word"]], float).reshape(-1, 1)


class Position(Control):
    """Where in the story, or where in its passage or sentence, a word stands.

    Recordings drift and settle. In the story these are a state: share passed,
    its square, what is left of the start, and the logarithm of the time; on
    real stories these four columns reach a correlation of 0.2 that no language
    is needed for. In a passage or sentence they are facts of each word: its
    place counted in words from 1, the logarithm of it, the share of the words
    up to and with it, and 1 for the first and for the last.

    References
    ----------
    Hadidi et al. (2025): position and word rate explain most of what networks
    do on passages and on single sentences.
    """

    version: ClassVar[int] = 1
    kind: Literal["position"] = "position"
    within: Literal["story", "passage", "sentence"] = Field(
        "story", description="what the place is counted in: the time of the story, or words of a passage or sentence"
    )

    @property
    def sampled(self) -> Literal["event", "state"]:  # type: ignore[override]
        """The place in a story is always there; the place in a sentence is a word's own."""
        return "state" if self.within == "story" else "event"

    def _features(self, words: Words, run: str) -> Float[np.ndarray, "word feature"]:
        if self.within != "story":
            return _places(stretches(words, self.within, run=run))
        passed = np.maximum(_onsets(words) - _onsets(words)[:1], 0.0)
        share = passed / max(_length_s(words), np.finfo(float).tiny)
        return np.column_stack([share, share**2, np.exp(-passed / _SETTLING_S), np.log1p(passed)])


class Tokens(Control):
    """Which word it was, and nothing else: a fixed random direction for every word.

    A random network keeps the identity of its words, so this is what its score
    has to be compared with. The directions come from a hash of the lower-case
    word and are the same on every machine.
    """

    version: ClassVar[int] = 1
    kind: Literal["tokens"] = "tokens"
    features: PositiveInt = Field(
        512, description="columns, each +-1/sqrt(features); many enough that words hardly overlap"
    )

    def _features(self, words: Words, run: str) -> Float[np.ndarray, "word feature"]:
        spoken = [word.strip().lower() for word in words["word"]]
        directions = {word: _direction(word, self.features) for word in set(spoken)}
        return np.array([directions[word] for word in spoken]).reshape(-1, self.features)


def _neighbours(onsets: Float[np.ndarray, " word"], reach_s: float) -> Float[np.ndarray, "word 2"]:
    """Words whose onset lies up to `reach_s` before each word's, and after it; those at the same time are neither."""
    ordered, reach_s = np.sort(onsets), reach_s + _SAME_S
    first, here = np.searchsorted(ordered, onsets - reach_s), np.searchsorted(ordered, onsets - _SAME_S)
    beyond, last = np.searchsorted(ordered, onsets + _SAME_S), np.searchsorted(ordered, onsets + reach_s)
    return np.column_stack([here - first, last - beyond]).astype(float)


def _places(stretch: Int[np.ndarray, " word"]) -> Float[np.ndarray, "word 5"]:
    """Place, its logarithm, share passed, first and last, of words whose stretches are numbered in order."""
    starts = np.flatnonzero(np.diff(stretch, prepend=-1))
    place = np.arange(len(stretch)) - starts[stretch] + 1
    length = np.bincount(stretch)[stretch]
    return np.column_stack([place, np.log(place), place / length, place == 1, place == length])


def _onsets(words: Words) -> Float[np.ndarray, " word"]:
    return np.asarray(words["onset"], float)


def _length_s(words: Words) -> float:
    """From the first onset to the end of the last word."""
    ends = _onsets(words) + np.asarray(words["duration"], float)
    return float(ends.max() - _onsets(words)[0]) if len(words) else 0.0


def _direction(word: str, features: int) -> Float[np.ndarray, " feature"]:
    """+-1/sqrt(features) from the bits of a hash; an empty word has no identity and is 0."""
    if not word:
        return np.zeros(features)
    bits = np.unpackbits(np.frombuffer(hashlib.shake_256(word.encode()).digest(-(-features // 8)), np.uint8))
    return (2.0 * bits[:features] - 1.0) / np.sqrt(features)
