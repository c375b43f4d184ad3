"""Tests of cross-validated scores, in which every sample both trained and was tested on."""

from collections.abc import Iterator, Sequence

import numpy as np
from jaxtyping import Float, Shaped

from pipeline import ridge
from pipeline.metrics import flat
from pipeline.ridge.refit import Refit
from pipeline.statistics.against import Corrected, Tally
from pipeline.statistics.blocks import Moves, Run, Shifts, moves, shifts, split_runs
from pipeline.statistics.phases import Turns

_CELLS = 2**20  # scores held at once
_ORDERS = 1000  # permutations at a time: of more, the rows to be read would need memory

_STACKED = 2**22  # responses of some permutations with random phases, end to end: 32 MB

Fold = tuple[np.ndarray, np.ndarray]
Draws = Moves | Shifts | Turns


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
    how: str = "blocks",
    max_statistic: bool = False,
) -> Float[np.ndarray, " target"] | Corrected:
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
        autocorrelation, as in `permute_blocks`; with shifts, the smallest.
    n : permutations.
    targets_per_chunk : targets at a time; memory, not results.
    how : "blocks" of responses change places, or each run's responses are
        rolled by "shifts", or they get random "phases", as in `circular_shifts`
        and `phases`.
    max_statistic : also correct for all targets, as in `permute_blocks`.

    Returns
    -------
    (b + 1) / (n + 1), where b permutations scored as well: never 0. A
    constant target has NaN; responses with missing values are refused.
    """
    if how not in NULLS:
        raise ValueError(f"how={how!r} is not known; known: {', '.join(map(repr, NULLS))}")
    if how == "phases" and block is not None:
        raise ValueError(f"random phases have no blocks: leave out block={block}")
    found = NULLS[how](Y, run, block, n, seed)
    alpha = np.asarray(
        ridge.cross_validate(X, Y, folds=folds, alphas=alphas, inner=inner, select=select, precision=precision).alpha
    )
    refit = Refit(X, folds, precision)
    slack = 1e-9 if refit.dtype is np.float64 else 1e-6
    tally = Tally(found.n, Y.shape[1], max_statistic, found.missed)
    for columns in chunks(alpha, targets_per_chunk or n_at_once(found)):
        y = np.asarray(Y[:, columns])
        columns, y = columns[~flat(y)], y[:, ~flat(y)]
        scores = scores_of(refit, y, alpha[:, columns], found)
        known = np.isfinite(scores[0])
        tally.count(columns[known], scores[0, known], scores[1:, known], slack)
    return tally.found()


def n_at_once(found: Draws) -> int:
    """Targets whose responses and scores fit into memory at once."""
    return max(_CELLS // max(found.n, found.n_samples // 2), 1)


def chunks(alpha: np.ndarray, step: int) -> Iterator[np.ndarray]:
    """Targets with like alphas stand together: they share a matrix product."""
    ranked = np.lexsort(alpha[::-1])
    return (np.sort(ranked[start : start + step]) for start in range(0, len(ranked), step))


def scores_of(refit: Refit, y: np.ndarray, alpha: np.ndarray, found: Draws) -> Float[np.ndarray, "score target"]:
    """Of the responses as measured, which go through the same products, and under these of every permutation."""
    scores = np.empty((1 + found.n, y.shape[1]))
    step = _ORDERS if not isinstance(found, Turns) else max(_STACKED // max(y.size, 1), 1)
    scores[0] = refit(y, np.arange(found.n_samples)[None], alpha)[0]
    for start in range(0, found.n, step):
        stop = min(start + step, found.n)
        if isinstance(found, Turns):  # new responses rather than an order of the measured ones: they stand end to end
            drawn = found.of(y, start, stop)
            stacked, orders = drawn.reshape(-1, y.shape[1]), np.arange(drawn.shape[0] * drawn.shape[1])
            scores[1 + start : 1 + stop] = refit(stacked, orders.reshape(drawn.shape[:2]), alpha)
        else:
            scores[1 + start : 1 + stop] = refit(y, found.orders(start, stop), alpha)
    return scores


def _turns(Y: np.ndarray, run: Run, block: None, n: int, seed: int) -> Turns:
    return Turns(split_runs(run, len(Y)), n, seed)


NULLS = {"blocks": moves, "shifts": shifts, "phases": _turns}
