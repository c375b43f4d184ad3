"""Inner scores in float64, straightforwardly: what a choice of penalty costs, measured against exact arithmetic."""

from typing import Any

import numpy as np
from workloads import Problem


def correlation(prediction: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Pearson's r of each column; 0 where either is constant."""
    p = prediction - prediction.mean(axis=0)
    y = y - y.mean(axis=0)
    size = np.sqrt(np.einsum("ij,ij->j", p, p) * np.einsum("ij,ij->j", y, y))
    return np.divide(np.einsum("ij,ij->j", p, y), size, out=np.zeros_like(size), where=size > 0)


def inner_scores(problem: Problem) -> np.ndarray:
    """(fold, alpha, target): mean r over the inner folds, by one SVD per fold, all in float64."""
    X, Y = problem.X.astype(np.float64), problem.Y.astype(np.float64)
    scores = np.zeros((len(problem.folds), len(problem.alphas), Y.shape[1]))
    for k, folds in enumerate(problem.inner):
        for rows, held in folds:
            left, s, right = decomposed(X, Y, rows, held)
            for a, alpha in enumerate(problem.alphas):
                scores[k, a] += correlation((left * (s / (s**2 + alpha))) @ right, Y[held])
        scores[k] /= len(folds)
    return scores


def test_scores(problem: Problem, chosen: np.ndarray) -> np.ndarray:
    """(fold, target): r on the test rows at the penalties `chosen`, in float64."""
    X, Y = problem.X.astype(np.float64), problem.Y.astype(np.float64)
    index = nearest(problem.alphas, chosen)
    r = np.empty(index.shape)
    for k, (train, test) in enumerate(problem.folds):
        left, s, right = decomposed(X, Y, train, test)
        for a in np.unique(index[k]):
            own = index[k] == a
            r[k, own] = correlation((left * (s / (s**2 + problem.alphas[a]))) @ right[:, own], Y[np.ix_(test, own)])
    return r


def decomposed(
    X: np.ndarray, Y: np.ndarray, train: np.ndarray, test: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Test rows and training targets in the basis of the training rows, with its singular values; all centred."""
    mean = X[train].mean(axis=0)
    U, values, Vt = np.linalg.svd(X[train] - mean, full_matrices=False)
    return (X[test] - mean) @ Vt.T, values, U.T @ (Y[train] - Y[train].mean(axis=0))


def regret(exact: np.ndarray, alphas: np.ndarray, chosen: np.ndarray) -> dict[str, Any]:
    """What the choice lost: the exact score of the exact choice less the exact score of what was chosen.

    `chosen` (fold, target) holds penalties; only the targets of `exact`, the first ones, are looked at.
    """
    index = nearest(alphas, chosen[:, : exact.shape[2]])
    lost = exact.max(axis=1) - np.take_along_axis(exact, index[:, None], axis=1)[:, 0]
    equal = exact.argmax(axis=1) == index
    return {
        "max": float(lost.max()),
        "mean": float(lost.mean()),
        "equal_share": float(equal.mean()),
        "targets": exact.shape[2],
    }


def nearest(alphas: np.ndarray, chosen: np.ndarray) -> np.ndarray:
    """Index in the grid; what comes back in float32 is not equal to the digit."""
    return np.abs(np.log(np.asarray(chosen, float))[..., None] - np.log(alphas)).argmin(axis=-1)
