"""B14: the same information in 100 features and in 4096 scores alike, or matched dimensions tell why it does not."""

from functools import lru_cache

import numpy as np
from scipy.fft import dct

from calibration import forward
from calibration.harness import at_most, cell, within
from pipeline import geometry, ridge, splits

_FEW, _MANY, _RUNS, _SAMPLES, _VOXELS = 100, 4096, 3, 200, 30
_ALPHAS = np.geomspace(1, 1e7, 8)


@lru_cache(1)
def _brain(seed: int) -> tuple[np.ndarray, np.ndarray, list]:
    rng = np.random.default_rng([14, seed])
    n = _RUNS * _SAMPLES
    X = forward.ar1(rng, n, _FEW, 0.5) * np.geomspace(3, 0.5, _FEW)  # networks' states lie along some directions more
    signal = X @ rng.standard_normal((_FEW, _VOXELS))
    noise = forward.noise(rng, n, _VOXELS, 0.5)
    Y = forward.heard(signal / signal.std(axis=0), noise, np.full(_VOXELS, 0.4))
    return X, Y, splits.leave_one_run_out(np.repeat(np.arange(_RUNS), _SAMPLES))


def _wide(seed: int, size: float) -> np.ndarray:
    """The same features among independent ones of that deviation, all turned: no column holds any of them alone."""
    rng = np.random.default_rng([14, seed, 1])
    X, _, _ = _brain(seed)
    extra = size * rng.standard_normal((len(X), _MANY - _FEW))
    return dct(np.hstack([X, extra]) * rng.choice([-1.0, 1.0], _MANY), axis=1, norm="ortho")


def _r(X: np.ndarray, seed: int) -> float:
    _, Y, folds = _brain(seed)
    return float(ridge.cross_validate(X, Y, folds=folds, alphas=_ALPHAS).r.mean())


@lru_cache(1)
def _few(seed: int) -> float:
    return _r(_brain(seed)[0], seed)


def _matched(X: np.ndarray, rank: int, seed: int) -> float:
    """r from as many components, their axes learnt in each fold's training rows."""
    _, Y, folds = _brain(seed)
    parts = [
        ridge.cross_validate(geometry.projected(X, rank, train=train), Y, folds=[(train, test)], alphas=_ALPHAS).r
        for train, test in folds
    ]
    return float(np.mean(parts))


@cell("B14", "r of 4096 features that hold 100 turned, and nothing else, less r of the 100", within(0.02), quick=1)
def turned(seed: int) -> float:
    return _r(_wide(seed, 0.0), seed) - _few(seed)


@cell("B14", "the same, the others with a tenth of the variance of the 100 together", within(0.02))
def little(seed: int) -> float:
    variance = _brain(seed)[0].var(axis=0).sum() / 10
    return _r(_wide(seed, float(np.sqrt(variance / (_MANY - _FEW)))), seed) - _few(seed)


@lru_cache(1)
def _drowned(seed: int) -> np.ndarray:
    variance = 3 * _brain(seed)[0].var(axis=0).sum()
    return _wide(seed, float(np.sqrt(variance / (_MANY - _FEW))))


@cell(
    "B14",
    "the same, the others with three times that variance: the number of features costs",
    at_most(-0.02),
    naive=True,
)
def much(seed: int) -> float:
    return _r(_drowned(seed), seed) - _few(seed)


@cell("B14", "the last, both in 20 components learnt in training: r of the 4096 less r of the 100", within(0.02))
def matched(seed: int) -> float:
    return _matched(_drowned(seed), 20, seed) - _matched(_brain(seed)[0], 20, seed)
