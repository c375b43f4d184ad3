"""B13: what coming words add: nothing where the brain follows the words heard, and most at the distance that is planted.

Words heard and windows are laid through the blood's answer (for the words
heard with its derivative in time, so that a voxel whose blood is early is no
forecast). Free delays for both would let every window slide by whole volumes,
six words each, and tell no distance.
"""

from functools import lru_cache

import numpy as np

from calibration import forward
from calibration.harness import at_least, cell, within
from pipeline import forecast, geometry, splits, statistics
from pipeline.hrf import answered
from pipeline.recordings.base import zscored

DISTANCES, PLANTED = (2, 4, 6, 8, 10, 12), 8
_STORIES, _TESTED, _SAMPLES, _LATENTS, _VOXELS = 8, 2, 250, 6, 30
_REACH_S = 32.0  # of the blood's answer
_ALPHAS = np.geomspace(1, 1e5, 11)


def _listened(seed: int, *, phi: float, share: float, **options: int) -> tuple[forecast.Forecast, np.ndarray]:
    """A brain of whose signal a share follows the mean of the window at PLANTED; and the run of every sample."""
    rng = np.random.default_rng([13, seed])
    stories = [forward.tell(rng, _SAMPLES, _LATENTS, phi=phi, identity=0.2) for _ in range(_STORIES)]
    drawn = forward.voxels(rng, _VOXELS, (0.4, 0.4))
    kept = [
        forecast.reached(forecast.known(len(s.words), DISTANCES), s.onsets, s.times_s, _REACH_S, forward.TR_S)
        for s in stories
    ]
    signals = _signals(rng, stories, drawn, share)
    Y = [
        zscored(forward.heard(s, forward.noise(rng, _SAMPLES, _VOXELS, 0.4), drawn.rho)[rows])
        for s, rows in zip(signals, kept, strict=True)
    ]
    run = np.repeat(np.arange(_STORIES), [rows.sum() for rows in kept])
    folds = splits.given(np.where(run < _STORIES - _TESTED, "train", "test"))
    present = np.concatenate([_laid(s.latents, s, 1)[rows] for s, rows in zip(stories, kept, strict=True)])
    futures, controls = (
        [_windows(stories, kept, distance, moved) for distance in DISTANCES] for moved in (False, True)
    )
    inner = [splits.inner_by_run(folds[0][0], run, 4)]
    fit = {"folds": folds, "inner": inner, "alphas": _ALPHAS, "precision": "float64", "n_iter": 7} | options
    return forecast.gains(present, futures, controls, np.concatenate(Y), **fit), run


def _signals(rng: np.random.Generator, stories: list, drawn: forward.Voxels, share: float) -> list[np.ndarray]:
    now, ahead = (rng.standard_normal((_LATENTS, _VOXELS)) for _ in range(2))
    follows = forward.blood(stories, [s.latents @ now for s in stories], drawn)
    coming = [forecast.window(s.latents, PLANTED).reshape(len(s.words), -1, _LATENTS).mean(axis=1) for s in stories]
    expects = forward.blood(stories, [mean @ ahead for mean in coming], drawn)
    return [np.sqrt(1 - share) * a + np.sqrt(share) * b for a, b in zip(follows, expects, strict=True)]


def _windows(stories: list, kept: list, distance: int, moved: bool) -> np.ndarray:
    """Windows of all stories in as many components as the words heard have features, laid on the samples kept."""
    heard = [forecast.other_half(s.latents) if moved else s.latents for s in stories]
    windows = [forecast.window(X, distance) for X in heard]
    n_words = [len(X) for X in windows]
    parts = geometry.projected(np.concatenate(windows), _LATENTS, train=np.arange(sum(n_words[:-_TESTED])))
    parts = np.split(parts, np.cumsum(n_words)[:-1])
    return np.concatenate([_laid(X, s, 0)[rows] for X, s, rows in zip(parts, stories, kept, strict=True)])


def _laid(X: np.ndarray, story: forward.Story, derivatives: int) -> np.ndarray:
    return zscored(answered(X, story.onsets, story.times_s + forward.TR_S / 2, "spm", derivatives))


@lru_cache(1)
def _present(seed: int) -> tuple[forecast.Forecast, np.ndarray]:
    return _listened(seed, phi=0.5, share=0.0)


@cell(
    "B13",
    "brain without forecast: F less F of the other half of the story, mean over distances",
    within(0.003),
    quick=1,
)
def nothing(seed: int) -> float:
    return float(_present(seed)[0].beyond.mean())


@cell("B13", "the same, share of distances whose 95 % interval over blocks covers 0", at_least(0.9))
def covered(seed: int) -> float:
    found, run = _present(seed)
    tested = np.isfinite(found.series[0])
    interval = statistics.bootstrap(found.series[:, tested].T, run=run[tested], n=500, seed=seed)
    return float(((interval.low <= 0) & (interval.high >= 0)).mean())


@cell("B13", "the same where a word's features hardly change to the next (memory .8)", within(0.003))
def slow(seed: int) -> float:
    return float(_listened(seed, phi=0.8, share=0.0)[0].beyond.mean())


@cell(
    "B13",
    "forecast planted 8 words ahead: share of seeds with the largest F above 0 and within 2 words of it",
    at_least(0.9),
)
def planted(seed: int) -> float:
    profile = _listened(seed, phi=0.5, share=0.5)[0].beyond.mean(axis=(1, 2))
    return float(profile.max() > 0 and abs(DISTANCES[int(profile.argmax())] - PLANTED) <= 2)
