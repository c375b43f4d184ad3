"""Tests of cross-validated scores, in which every sample both trained and was tested on."""

from collections.abc import Iterator, Sequence

import numpy as np
from jaxtyping import Float, Shaped

from pipeline import ridge
from pipeline.metrics import flat
from pipeline.ridge.refit import Refit
from pipeline.statistics.blocks import Moves, Run, moves

_CELLS = 2**20  # scores held at once
_ORDERS = 1000  # permutations at a time: of more, the rows to be read would need memory

Fold = tuple[np.ndarray, np.ndarray]


def permute_refit(
    X: Shaped[np.ndarray, "sample feature"],
    Y: Shaped[np.ndarray, "sample target"],
    *,
    folds: Sequence[Fold],
    alphas: Shaped[np.ndarray, " alpha"] | Sequence[float],
    inner: Sequence[Sequence[Fold]] | None = None,
    run: Run = None,
    block: int | None = None,
    n: int = 1000,
    seed: int = 0,
    select: str = "r2",
    precision: str = "float32",
    targets_per_chunk: int | None = None,
) -> Float[np.ndarray, " target"]:
    """p of each target's cross-validated correlation; one-sided, larger is better.

    In cross-validation a sample is predicted by a model that its neighbours in
    time trained, and trains the model that predicts these: two predictions of
    noise are then related, and moving them about calls 10-20 % of noise
    significant at 5 %. So blocks of the RESPONSES change places within runs,
    the same for all targets, and every fold is fitted again.

    The score is the mean over folds of the correlation on the test rows, with
    alpha as chosen on the responses as measured, for each fold and target. A
    fold with a constant prediction, or whose test responses are constant, scores 0.

    Parameters
    ----------
    X, Y : features and measured responses; Y may be a memory map.
    folds, alphas, inner, select, precision : as in `ridge.cross_validate`.
    run : run of each sample; blocks stay within theirs.
    block : least samples per block, by default from the responses' own
        autocorrelation, as in `permute_blocks`.
    n : permutations.
    targets_per_chunk : targets at a time; memory, not results.

    Returns
    -------
    (b + 1) / (n + 1), where b permutations scored as well: never 0. A
    constant target has NaN; responses with missing values are refused.
    """
    found = moves(Y, run, block, n, seed)
    alpha = np.asarray(
        ridge.cross_validate(X, Y, folds=folds, alphas=alphas, inner=inner, select=select, precision=precision).alpha
    )
    refit = Refit(X, folds, precision)
    p = np.full(Y.shape[1], np.nan)
    for columns in _chunks(alpha, targets_per_chunk or _fitting(found)):
        y = np.asarray(Y[:, columns])
        varies = ~flat(y)
        p[columns[varies]] = _p(refit, y[:, varies], alpha[:, columns[varies]], found)
    return p


def _fitting(found: Moves) -> int:
    """Targets whose responses and scores fit into memory at once."""
    return max(_CELLS // max(min(found.n, _ORDERS), found.n_samples // 2), 1)


def _chunks(alpha: np.ndarray, step: int) -> Iterator[np.ndarray]:
    """Targets with like alphas stand together: they share a matrix product."""
    ranked = np.lexsort(alpha[::-1])
    return (np.sort(ranked[start : start + step]) for start in range(0, len(ranked), step))


def _p(refit: Refit, y: np.ndarray, alpha: np.ndarray, found: Moves) -> np.ndarray:
    """Share of permutations that score as well; slack lets a tie be a tie."""
    slack = 1e-9 if refit.dtype is np.float64 else 1e-6
    observed, as_large = np.zeros(0), np.zeros(y.shape[1])
    for start in range(0, found.n, _ORDERS):
        orders = found.orders(start, start + _ORDERS)
        if not start:  # the order as measured goes the same way, through the same products
            orders = np.vstack([np.arange(found.n_samples), orders])
        null = refit(y, orders, alpha)
        if not start:
            observed, null = null[0], null[1:]
        as_large += (null >= observed - slack).sum(axis=0)
    return np.where(np.isfinite(observed), (as_large + 1) / (found.n + 1), np.nan)
