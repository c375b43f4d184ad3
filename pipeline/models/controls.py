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
from jaxtyping import Float
from pydantic import Field, PositiveFloat, PositiveInt

from pipeline.models.base import Activations, Model, Words
from pipeline.problems import Problem, StudyError

_SETTLING_S = 20.0  # seconds in which the answer to the start of a story fades
_LARGEST_OASM = 100_000_000  # values of one run, 400 MB


class _Control(Model):
    """A model whose features are made of the words table alone."""

    def activations(self, words: Mapping[str, Words], *, study_dir: Path) -> Iterator[Activations]:
        """One "layer" per run, number 0."""
        for run, table in words.items():
            values = np.asarray(self._features(table), np.float32)
            yield Activations(run, values[:, None, :], (0,), facts={"n_words": len(table)})

    def _features(self, words: Words) -> Float[np.ndarray, "word feature"]:
        raise NotImplementedError


class WordRate(_Control):
    """1 for every word: summed onto the clock it is how many were heard."""

    version: ClassVar[int] = 1
    kind: Literal["wordrate"] = "wordrate"

    def _features(self, words: Words) -> Float[np.ndarray, "word feature"]:
        return np.ones((len(words), 1))


class WordLength(_Control):
    """Characters of each word; summed onto the clock, roughly how much was said."""

    version: ClassVar[int] = 1
    kind: Literal["wordlength"] = "wordlength"

    def _features(self, words: Words) -> Float[np.ndarray, "word feature"]:
        return np.array([[len(word.strip())] for word in words["word"]], float).reshape(-1, 1)


class Position(_Control):
    """Where in the story: share passed, its square, what is left of the start, and the logarithm of the time.

    Recordings drift and settle. On real stories these four columns reach a
    correlation of 0.2 that no language is needed for.
    """

    version: ClassVar[int] = 1
    sampled: ClassVar[Literal["event", "state"]] = "state"
    kind: Literal["position"] = "position"

    def _features(self, words: Words) -> Float[np.ndarray, "word feature"]:
        passed = np.maximum(_onsets(words) - _onsets(words)[:1], 0.0)
        share = passed / max(_length_s(words), np.finfo(float).tiny)
        return np.column_stack([share, share**2, np.exp(-passed / _SETTLING_S), np.log1p(passed)])


class Tokens(_Control):
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

    def _features(self, words: Words) -> Float[np.ndarray, "word feature"]:
        spoken = [word.strip().lower() for word in words["word"]]
        directions = {word: _direction(word, self.features) for word in set(spoken)}
        return np.array([directions[word] for word in spoken]).reshape(-1, self.features)


class Oasm(_Control):
    """Orthogonal, autocorrelated sequences without any knowledge of the stimulus.

    Bumps along the time of a run, each run with columns of its own. They score
    where test samples lie next to training samples and nowhere else: what they
    explain is a leak of the split.

    References
    ----------
    Hadidi et al. (2025): the orthogonal autocorrelated sequences model.
    """

    version: ClassVar[int] = 1
    sampled: ClassVar[Literal["event", "state"]] = "state"
    private: ClassVar[bool] = True
    kind: Literal["oasm"] = "oasm"
    width_s: PositiveFloat = Field(
        6.0, description="seconds; standard deviation of a bump and the distance to the next, as slow as blood flow"
    )

    def _features(self, words: Words) -> Float[np.ndarray, "word feature"]:
        start, length = float(_onsets(words)[:1].sum()), _length_s(words)
        n_bumps = int(length // self.width_s) + 1
        if n_bumps * len(words) > _LARGEST_OASM:
            raise StudyError(_too_many(n_bumps, len(words), self.width_s))
        centres = start + self.width_s * np.arange(n_bumps)
        return np.exp(-0.5 * ((_onsets(words)[:, None] - centres) / self.width_s) ** 2)


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


def _too_many(n_bumps: int, n_words: int, width_s: float) -> Problem:
    return Problem(
        "E-MODEL-13",
        "width_s does not fit the run",
        field="width_s",
        found=f"{width_s} s: {n_bumps} bumps for {n_words} words",
        expected=f"at most {_LARGEST_OASM} values",
        fix="choose wider bumps; are the onsets in seconds?",
    )
