"""People who listen to stories, with everything known: the forward model of the calibration.

Words of a Zipf vocabulary come at a changing rate; each has latent features,
in part its own (the same whenever it is said), in part a slow series over
words. Voxels follow weighted latents through a double gamma of their own,
and noise with a memory lies on top:

    s = sum_j sqrt(g_j) z(X_j W_j),  y = sqrt(rho) s + sqrt(1 - rho) n.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd
from scipy.signal import lfilter
from scipy.stats import gamma

from pipeline import timing
from pipeline.recordings.base import zscored

TR_S = 2.0
_VOCABULARY, _ZIPF = 400, 1.1
_WORD_S, _TEMPO_MEMORY, _TEMPO_SD = 0.35, 0.95, 0.3  # mean length of a word; speakers hurry and linger, log units
_PEAK_S, _JITTER_S, _SHAPES = (
    6.0,
    0.6,
    5,
)  # mean of the first gamma (SPM), its deviation over voxels, how many there are
_HRF_S = 32.0
_SETTLING_S = 20.0  # of the answer to the start of a story


class Story(NamedTuple):
    """One story as it is heard: `words` (onset, duration, word), `latents` (word, feature), `times_s` (sample)."""

    words: pd.DataFrame
    latents: np.ndarray
    times_s: np.ndarray

    @property
    def onsets(self) -> np.ndarray:
        return self.words["onset"].to_numpy(float)


class Voxels(NamedTuple):
    """How voxels answer: which of the shapes of the blood's answer each has, and how strong its signal is."""

    shape: np.ndarray
    rho: np.ndarray


def ar1(rng: np.random.Generator, n: int, columns: int, phi: float) -> np.ndarray:
    """(n, columns) of variance 1, each sample phi times the last one plus what is new; stationary from the start."""
    fresh = rng.standard_normal((n, columns)) * np.sqrt(1 - phi**2)
    fresh[0] /= np.sqrt(1 - phi**2)
    return lfilter([1.0], [1.0, -phi], fresh, axis=0)


def tell(
    rng: np.random.Generator, n_samples: int, n_latents: int, *, phi: float = 0.5, identity: float = 0.3, world: int = 0
) -> Story:
    """A story of that many volumes.

    Parameters
    ----------
    phi : memory of the slow part of the latents, from word to word.
    identity : share of the latents' variance that is the word's own.
    world : seed of what stories have in common: the words' own latents.
    """
    length_s, n_most = n_samples * TR_S, int(2 * n_samples * TR_S / _WORD_S)
    duration = _WORD_S * np.exp(_TEMPO_SD * ar1(rng, n_most, 1, _TEMPO_MEMORY)[:, 0])
    onset = 1.0 + np.cumsum(duration) - duration
    n = int(np.searchsorted(onset, length_s - 2.0))
    chance = 1.0 / np.arange(1, _VOCABULARY + 1) ** _ZIPF
    word = rng.choice(_VOCABULARY, n, p=chance / chance.sum())
    own = np.random.default_rng([world, n_latents]).standard_normal((_VOCABULARY, n_latents))
    latents = np.sqrt(identity) * own[word] + np.sqrt(1 - identity) * ar1(rng, n, n_latents, phi)
    words = pd.DataFrame({"onset": onset[:n], "duration": duration[:n], "word": [f"w{i}" for i in word]})
    return Story(words, latents, np.arange(n_samples) * TR_S)


def voxels(rng: np.random.Generator, n: int, rho: tuple[float, float]) -> Voxels:
    """Draw voxels whose signal is a share of their variance that is uniform between two ends."""
    return Voxels(rng.integers(_SHAPES, size=n), rng.uniform(*rho, n))


def blood(stories: Sequence[Story], drives: Sequence[np.ndarray], drawn: Voxels) -> list[np.ndarray]:
    """What each voxel's blood answers to its drive (word, voxel), per story; variance 1 over all stories together."""
    answers = [np.zeros((len(story.times_s), drives[0].shape[1])) for story in stories]
    for shape in range(_SHAPES):
        own = drawn.shape == shape
        for story, drive, answer in zip(stories, drives, answers, strict=True):
            answer[:, own] = timing.spread(drive[:, own], story.onsets, story.times_s + TR_S / 2, _hrf(shape), _HRF_S)
    whole = np.concatenate(answers)
    return [(answer - whole.mean(axis=0)) / whole.std(axis=0) for answer in answers]


def _hrf(shape: int) -> timing.Kernel:
    peak_s = _PEAK_S + _JITTER_S * (shape - (_SHAPES - 1) / 2) / (_SHAPES - 1) * 2
    return lambda lag: gamma.pdf(lag, peak_s) - gamma.pdf(lag, 16.0) / 6


def settling(story: Story) -> np.ndarray:
    """A ramp over the story and what is left of its start: signals that need no language; (sample, 2), variance 1."""
    share = story.times_s / story.times_s[-1]
    return zscored(np.column_stack([share, np.exp(-story.times_s / _SETTLING_S)]))


def noise(
    rng: np.random.Generator, n_samples: int, n_voxels: int, phi: float, *, common: float = 0.1, drift: float = 0.0
) -> np.ndarray:
    """Noise of one run, variance 1: AR(1), a share that all voxels have in common, and a slow wave."""
    fast = ar1(rng, n_samples, n_voxels + 1, phi)
    mixed = np.sqrt(1 - common) * fast[:, :-1] + np.sqrt(common) * fast[:, -1:]
    phase = rng.uniform(0, 2 * np.pi, n_voxels)
    wave = np.sqrt(2) * np.sin(np.pi * np.arange(n_samples)[:, None] / n_samples + phase)
    return np.sqrt(1 - drift) * mixed + np.sqrt(drift) * wave


def heard(signal: np.ndarray, noise: np.ndarray, rho: np.ndarray) -> np.ndarray:
    """One run's responses: a share rho of the variance is signal."""
    return np.sqrt(rho) * signal + np.sqrt(1 - rho) * noise
