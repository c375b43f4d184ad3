"""Stories as they are heard: which word is said when, and the grammar's state at each."""

import hashlib
from typing import NamedTuple

import numpy as np
import pandas as pd
from jaxtyping import Float

from pipeline.datasets import language

SYNTAX = ("order", "number", "depth", "verb", "surprise")
_SILENCE_S = 2.0  # before the first word, and at least as long after the last
_TEMPO_MEMORY, _TEMPO_SD = 0.9, 0.4  # speakers hurry and linger for some seconds: AR(1) over words, log units
_WORD_S, _LETTER_S = 0.1, 0.06  # a word of four letters takes 0.34 s
_PAUSE_S = (0.3, 1.5)  # after each sentence


class Telling(NamedTuple):
    """One story, told once: words with their times, and what the listeners' voxels will follow."""

    words: pd.DataFrame  # onset (s), duration (s), word
    topic: Float[np.ndarray, "word topic"]  # one-hot, less its mean over topics
    syntax: Float[np.ndarray, "word state"]  # in the order of SYNTAX
    wordrate: Float[np.ndarray, "word 1"]  # 1 for every word


def stream(seed: int, *names: str) -> np.random.Generator:
    """Random numbers of their own for everything that has a name, whatever else is drawn."""
    digest = hashlib.sha256("/".join(names).encode()).digest()
    return np.random.default_rng(np.random.SeedSequence(seed, spawn_key=tuple(digest)))


def tell(run: str, *, story_s: float, seed: int, language_seed: int = 0) -> Telling:
    """Tell a story named `run` of `story_s` seconds; it ends with the last word that fits."""
    rng = stream(seed, "story", run)
    n_most = int(story_s / (_WORD_S / 2)) + 1
    story = language.generate(n_most, int(rng.integers(2**63)), language_seed)
    onset, duration = _times(story, rng)
    n = int(np.searchsorted(onset + duration, story_s - _SILENCE_S))
    if n == 0:
        raise ValueError(f"no word fits into a story of {story_s:g} s: it must last longer than {2 * _SILENCE_S:g} s")
    words = pd.DataFrame({"onset": onset, "duration": duration, "word": story.words})[:n].round(3)
    return Telling(words, _topic(story)[:n], _syntax(story)[:n], np.ones((n, 1)))


def _times(story: language.Story, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    n = len(story.words)
    tempo, innovation = np.zeros(n), rng.standard_normal(n) * _TEMPO_SD * np.sqrt(1 - _TEMPO_MEMORY**2)
    for i in range(1, n):
        tempo[i] = _TEMPO_MEMORY * tempo[i - 1] + innovation[i]
    duration = (_WORD_S + _LETTER_S * np.array([len(word) for word in story.words])) * np.exp(tempo)
    pause = rng.uniform(*_PAUSE_S, n) * np.append(np.diff(story.sentence) > 0, False)
    after = np.cumsum(duration + pause)
    return _SILENCE_S + np.append(0.0, after[:-1]), duration


def _topic(story: language.Story) -> Float[np.ndarray, "word topic"]:
    return np.eye(language.N_TOPICS)[story.topic] - 1 / language.N_TOPICS


def _syntax(story: language.Story) -> Float[np.ndarray, "word state"]:
    """Each state less its mean over the story: what follows the mean follows the word rate."""
    verb = story.expected[:, language.CLASSES.index("verb")]
    states = np.stack([story.order, story.number, story.depth, verb, story.surprise], axis=1).astype(float)
    return states - states.mean(axis=0)
