"""B11: features that tell nothing seem to add nothing, however many they are."""

from functools import lru_cache

import numpy as np

from calibration.harness import at_most, cell, within
from pipeline import ridge
from pipeline.joint import N_ITER
from pipeline.ridge.partition import explained
from pipeline.splits import contiguous, inner_contiguous

_SAMPLES, _TRUE, _TARGETS = 400, 20, 20
_TOLD = 0.3  # of each target's variance is the true features'
_OPTIONS = {"alphas": np.logspace(0, 6, 13), "folds": contiguous(_SAMPLES, folds=4)}
_BOUND = within(0.005)


@lru_cache(2)
def _study(seed: int, n_null: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """True features, features that tell nothing, responses."""
    rng = np.random.default_rng([11, seed])
    true, null = rng.standard_normal((_SAMPLES, _TRUE)), rng.standard_normal((_SAMPLES, n_null))
    signal = true @ rng.standard_normal((_TRUE, _TARGETS)) / np.sqrt(_TRUE)
    return true, null, np.sqrt(_TOLD) * signal + np.sqrt(1 - _TOLD) * rng.standard_normal(signal.shape)


def _unique(seed: int, n_null: int) -> float:
    true, null, Y = _study(seed, n_null)
    joint = ridge.banded([true, null], Y, n_iter=N_ITER, **_OPTIONS).r2
    return float((joint - ridge.banded([true], Y, **_OPTIONS).r2).mean())


@cell("B11a", "unique R² of 10 features that tell nothing, beside 20 that tell 30 %", _BOUND, quick=1)
def few(seed: int) -> float:
    return _unique(seed, 10)


@cell("B11b", "the same of 200 features", _BOUND, quick=1)
def many(seed: int) -> float:
    return _unique(seed, 200)


@cell("B11c", "the same of 1000 features", _BOUND)
def more(seed: int) -> float:
    return _unique(seed, 1000)


@cell(
    "B11d", "unique R² of 200 features that tell nothing, with one penalty for all", at_most(-0.1), quick=1, naive=True
)
def single(seed: int) -> float:
    true, null, Y = _study(seed, 200)
    both, alone = (ridge.cross_validate(X, Y, **_OPTIONS).r2 for X in (np.hstack([true, null]), true))
    return float((both - alone).mean())


@cell("B11e", "unique R² of 200 telling features once they are rolled around their run, as on the page", _BOUND)
def rolled(seed: int) -> float:
    """What stands as "by chance" beside a part: the features tell (as much again as the others), their rolled copies do not."""
    true, told, Y = _study(seed, 200)
    rng = np.random.default_rng([112, seed])
    Y = Y + told @ rng.standard_normal((told.shape[1], _TARGETS)) * np.sqrt(_TOLD / told.shape[1])
    moved = np.roll(told, int(rng.integers(10, _SAMPLES - 10)), axis=0)
    fold = _OPTIONS["folds"][int(rng.integers(4))]
    found = [_r2(spaces, Y, fold) for spaces in ({"true": true, "moved": moved}, {"true": true})]
    return found[0] - found[1]


def _r2(spaces: dict[str, np.ndarray], Y: np.ndarray, fold: tuple[np.ndarray, np.ndarray]) -> float:
    pools, inner = np.ones((1, _TARGETS), bool), inner_contiguous(fold[0], 3, 0)
    one = explained(spaces, Y, fold=fold, inner=inner, pools=pools, alphas=_OPTIONS["alphas"], n_iter=N_ITER)
    return float(one.r2.sum())
