"""B10: the layer chosen on inner folds scores what it is worth; the best on the test folds scores more."""

from functools import lru_cache

import numpy as np

from calibration import forward
from calibration.harness import at_least, cell, within
from pipeline import ridge, splits
from pipeline.comparison import choose_layer

_LAYERS, _FEATURES, _RUNS, _SAMPLES, _VOXELS = 13, 12, 5, 160, 20
_ALPHAS = np.geomspace(1, 1e4, 5)
_BEST = 8


@lru_cache(1)
def _profile(seed: int, gap: bool) -> tuple[np.ndarray, np.ndarray]:
    """Inner score (layer, fold, target) and r (layer, fold): layers alike, or one less noisy than the others.

    The voxels share a fifth of their noise, so that a region's mean differs from
    layer to layer by chance as much as a single person's does.
    """
    rng = np.random.default_rng([10, seed])
    n = _RUNS * _SAMPLES
    latent = forward.ar1(rng, n, _FEATURES, 0.5)
    weights = rng.standard_normal((_FEATURES, 1)) + 0.5 * rng.standard_normal((_FEATURES, _VOXELS))
    signal = latent @ weights
    noises = [forward.noise(rng, _SAMPLES, _VOXELS, 0.5, common=0.2) for _ in range(_RUNS)]
    Y = forward.heard(signal / signal.std(axis=0), np.concatenate(noises), np.full(_VOXELS, 0.3))
    blur = np.full(_LAYERS, 0.4)
    blur[_BEST] -= 0.35 * gap
    X = np.stack([latent + b * rng.standard_normal(latent.shape) for b in blur])
    folds = splits.leave_one_run_out(np.repeat(np.arange(_RUNS), _SAMPLES))
    found = ridge.cross_validate(X, Y, folds=folds, alphas=_ALPHAS)
    return found.inner, found.r.mean(axis=2)


@cell(
    "B10",
    "13 layers alike: r at the layer chosen on inner folds less the mean of all layers",
    within(0.003),
    seeds=120,
)
def nested(seed: int) -> float:
    inner, r = _profile(seed, False)
    return float(r[choose_layer(inner), np.arange(_RUNS)].mean() - r.mean())


@cell(
    "B10",
    "13 layers alike: r at the layer that scores best on the test folds, less that mean",
    at_least(0.008),
    naive=True,
    quick=2,
)
def best_on_test(seed: int) -> float:
    _, r = _profile(seed, False)
    return float(r.mean(axis=1).max() - r.mean())


@cell("B10", "one layer better than the others: by how much, r", at_least(0.03), quick=2)
def gap(seed: int) -> float:
    _, r = _profile(seed, True)
    return float(r[_BEST].mean() - np.delete(r, _BEST, axis=0).mean())


@cell("B10", "the same, share of folds that choose it", at_least(0.8), quick=2)
def recovered(seed: int) -> float:
    inner, _ = _profile(seed, True)
    return float((choose_layer(inner) == _BEST).mean())
