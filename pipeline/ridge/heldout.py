"""What each fold predicts of the rows it tests, at penalties that are known already."""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Shaped

from pipeline.ridge.backends import PRECISIONS
from pipeline.ridge.checks import Fold, check_option
from pipeline.ridge.refit import principal, varying

_COLUMNS = 1024  # targets at a time


def held_out(
    X: Shaped[np.ndarray, "sample feature"],
    Y: Shaped[np.ndarray, "sample target"],
    *,
    folds: Sequence[Fold],
    alpha: Shaped[np.ndarray, "fold target"],
    precision: str = "float32",
) -> Shaped[np.ndarray, "sample target"]:
    """Predictions of the tested rows, each by the fold that tests it.

    Scores need no predictions, and `cross_validate` never forms them; tests
    that move them about, and intervals of their correlation, do.

    Parameters
    ----------
    X, Y, folds : as in `cross_validate`; Y without missing values.
    alpha : penalty of each fold and target, such as `cross_validate` chose.
    precision : of what is returned; inside all is float64.

    Returns
    -------
    NaN in rows that no fold tests; a row that several test is the last one's.
    """
    check_option("precision", precision, tuple(PRECISIONS))
    found = np.full(Y.shape, np.nan, np.float64 if precision == "float64" else np.float32)
    for (train, test), penalties in zip(folds, alpha, strict=True):
        mean = X[train].mean(axis=0, dtype=np.float64)
        axes = principal((X[train] - mean) * varying(X, train), X[test] - mean)
        for start in range(0, Y.shape[1], _COLUMNS):
            own = slice(start, start + _COLUMNS)
            y = Y[train, own].astype(np.float64)
            weights = (axes.right @ (y - y.mean(axis=0))) / (axes.values[:, None] + penalties[own])
            found[test, own] = axes.left @ weights + y.mean(axis=0)
    return found
