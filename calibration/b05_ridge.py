"""B5: ridge finds what a linear map can explain, as well as the best penalty could know."""

from functools import lru_cache

import numpy as np
from sklearn.linear_model import Ridge

from calibration import forward
from calibration.harness import at_least, at_most, cell, within
from pipeline import ridge, splits
from pipeline.recordings import RECORDINGS

_STORIES, _SAMPLES, _LATENTS, _VOXELS = 5, 200, 12, 40
_TOLD = 30  # stories more, without noise, that stand for all that could be told
_ALPHAS = np.geomspace(1, 1e6, 13)


@lru_cache(1)
def _found(seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """R2 and r of every voxel (means over folds), and the R2 over all that could be told at the best penalty."""
    rng = np.random.default_rng([5, seed])
    stories = [forward.tell(rng, _SAMPLES, _LATENTS, world=seed) for _ in range(_STORIES + _TOLD)]
    drawn = forward.voxels(rng, _VOXELS, (0.02, 0.5))
    weights = rng.standard_normal((_LATENTS, _VOXELS))
    signals = forward.blood(stories, [story.latents @ weights for story in stories], drawn)
    recording = RECORDINGS["arrays"]()
    designs = [recording.design(s.latents, s.onsets, s.times_s) for s in stories]
    noises = [forward.noise(rng, _SAMPLES, _VOXELS, 0.5) for _ in range(_STORIES)]
    Y = np.concatenate([forward.heard(s, n, drawn.rho) for s, n in zip(signals, noises, strict=False)])
    X = np.concatenate(designs[:_STORIES])
    folds = splits.leave_one_run_out(np.repeat(np.arange(_STORIES), _SAMPLES))
    scores = ridge.cross_validate(X, Y, folds=folds, alphas=_ALPHAS)
    far, truth = np.concatenate(designs[_STORIES:]), np.sqrt(drawn.rho) * np.concatenate(signals[_STORIES:])
    best = [_best(X[train], Y[train], far, truth, 1 - drawn.rho) for train, _ in folds]
    return scores.r2.mean(axis=0), scores.r.mean(axis=0), np.mean(best, axis=0)


def _best(X: np.ndarray, Y: np.ndarray, far: np.ndarray, truth: np.ndarray, noise: np.ndarray) -> np.ndarray:
    """R2 of each voxel's best penalty over what could be told, its noise added exactly; by normal equations."""
    x, y = X.mean(axis=0), Y.mean(axis=0)
    gram, side = (X - x).T @ (X - x), (X - x).T @ (Y - y)
    null = ((truth - y) ** 2).mean(axis=0) + noise
    explained = []
    for alpha in _ALPHAS:
        predicted = (far - x) @ np.linalg.solve(gram + alpha * np.eye(len(gram)), side) + y
        explained.append(1 - (((truth - predicted) ** 2).mean(axis=0) + noise) / null)
    return np.max(explained, axis=0)


@cell(
    "B5",
    "R² of leave-one-run-out less that of the best penalty over endless stories, mean over voxels",
    within(0.02),
    quick=2,
)
def r2(seed: int) -> float:
    found, _, best = _found(seed)
    return float((found - best).mean())


@cell("B5", "correlation over voxels of r found and of r over endless stories", at_least(0.95), quick=2)
def order(seed: int) -> float:
    _, found, best = _found(seed)
    return float(np.corrcoef(found, np.sqrt(np.maximum(best, 0)))[0, 1])


@cell(
    "B5",
    "largest difference of a prediction from scikit-learn's at the same penalty, and from Huth's at its root",
    at_most(1e-8),
    quick=2,
)
def same_penalty(seed: int) -> float:
    rng = np.random.default_rng([5, seed])
    X, Y = forward.ar1(rng, 120, 30, 0.5), rng.standard_normal((120, 8))
    alpha = float(10 ** rng.uniform(0, 4))
    train, test = np.arange(90), np.arange(90, 120)
    found = ridge.held_out(X, Y, folds=[(train, test)], alpha=np.full((1, 8), alpha), precision="float64")[test]
    theirs = Ridge(alpha).fit(X[train], Y[train]).predict(X[test])
    return float(max(np.abs(found - theirs).max(), np.abs(found - _huth(X, Y, train, test, np.sqrt(alpha))).max()))


def _huth(X: np.ndarray, Y: np.ndarray, train: np.ndarray, test: np.ndarray, root: float) -> np.ndarray:
    """The ridge of the Huth laboratory, whose alpha is the root of scikit-learn's; about the training means."""
    x, y = X[train].mean(axis=0), Y[train].mean(axis=0)
    left, s, right = np.linalg.svd(X[train] - x, full_matrices=False)
    return (X[test] - x) @ (right.T * (s / (s**2 + root**2))) @ (left.T @ (Y[train] - y)) + y
