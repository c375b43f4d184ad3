"""A p for every target, at the layers that inner folds chose: without a new fit on held-out runs, with one elsewhere."""

from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float, Shaped

from pipeline import clipping, statistics
from pipeline.certify.fitting import AsFitted
from pipeline.metrics import pearson
from pipeline.ridge.refit import Refit, principal, varying
from pipeline.statistics import refitted
from pipeline.statistics.against import Corrected, Tally, flat

_COLUMNS = 1024  # targets at a time


class Tested(NamedTuple):
    """One-sided p of each target's score `r`, and p corrected for looking at all of them (`p_max`); NaN for a constant target.

    `n` draws were made of the null; `smallest_p` could be reached at best.
    """

    p: Float[np.ndarray, " target"]
    p_max: Float[np.ndarray, " target"]
    r: Float[np.ndarray, " target"]
    n: int
    smallest_p: float


def tested(
    found: AsFitted,
    Y: Shaped[np.ndarray, "sample target"],
    alpha: Float[np.ndarray, "fold target"],
    *,
    how: str,
    n: int,
    seed: int,
) -> Tested:
    """Is the score of each target more than two unrelated but equally smooth series would have?

    Where test samples are in no training set (`split: given`) the held-out
    prediction is set against the responses in `n` wrong orders. Where folds
    take turns such a null would call 10-20 % of noise significant: there the
    responses change and every fold is fitted again, with the layer it chose and at
    the penalties chosen on the responses as they are. All targets are moved
    alike, so that the best of them in each draw gives `p_max`.

    Parameters
    ----------
    Y, alpha : responses, and the penalties that their fit chose.
    how : "blocks" of samples change places, runs are rolled by "shifts" (both never across
        the border of a run), or get random "phases".
    n : draws of the null.
    """
    if how not in NULLS:
        raise ValueError(f"how={how!r} is not known; known: {', '.join(map(repr, NULLS))}")
    alpha = np.nan_to_num(alpha, nan=1.0)  # a target without a penalty is constant, whatever its penalty
    return (_held_out if found.held_out else _refitted)(found, np.asarray(Y), alpha, how, n, seed)


def _held_out(found: AsFitted, Y: np.ndarray, alpha: np.ndarray, how: str, n: int, seed: int) -> Tested:
    y, y_hat = predicted(found, Y, alpha)
    run = found.samples.run[found.folds[0][1]]
    one: Any = NULLS[how](y, y_hat, run=run, n=n, seed=seed, max_statistic=True, **_stretch(how, run, found.block))
    varies = ~flat(y)
    r = np.full(Y.shape[1], np.nan)
    r[varies] = pearson(y[:, varies], y_hat[:, varies])
    return _told(one, r, _n_draws(how, run, found.block, n))


def predicted(
    found: AsFitted, Y: Shaped[np.ndarray, "sample target"], alpha: Float[np.ndarray, "fold target"]
) -> tuple[Float[np.ndarray, "test target"], Float[np.ndarray, "test target"]]:
    """Responses and predictions of the one test set, as `ridge.held_out` has them, some targets at a time.

    What a target does in training is never copied for all of them, for there may be more than memory holds.
    """
    ((train, test),), X = found.folds, found.X[int(found.layers[0])]
    limits = clipping.limits_of(Y, found.folds, getattr(found.recording, "clip", None))
    mean = X[train].mean(axis=0)
    axes = principal((X[train] - mean) * varying(X, train), X[test] - mean)
    measured, y_hat = np.empty((2, len(test), Y.shape[1]), np.float32)
    for start in range(0, Y.shape[1], _COLUMNS):
        own = np.arange(start, min(start + _COLUMNS, Y.shape[1]))
        y = clipping.within(Y, limits, 0, own).astype(float)
        centred = y[train] - y[train].mean(axis=0)
        y_hat[:, own] = axes.left @ ((axes.right @ centred) / (axes.values[:, None] + alpha[0, own]))
        measured[:, own] = y[test]
    return measured, y_hat


def _refitted(found: AsFitted, Y: np.ndarray, alpha: np.ndarray, how: str, n: int, seed: int) -> Tested:
    """Every fold at its own layer, in one null."""
    limits = clipping.limits_of(Y, found.folds, getattr(found.recording, "clip", None))
    Y = clipping.within(Y, limits, 0)  # a null mixes the rows of all folds: the limits of the first stand for all
    block = None if how == "phases" else _stretch(how, found.samples.run, found.block).popitem()[1]
    draws = refitted.NULLS[how](Y, found.samples.run, block, n, seed)
    precision = "float64" if found.settings.precision == "float64" else "float32"
    layers = [(int(layer), np.flatnonzero(found.layers == layer)) for layer in np.unique(found.layers)]
    refits = [(Refit(found.X[layer], [found.folds[k] for k in own], precision), own) for layer, own in layers]
    tally, r = Tally(draws.n, Y.shape[1], max_statistic=True, missed=draws.missed), np.full(Y.shape[1], np.nan)
    for columns in refitted.chunks(alpha, refitted.n_at_once(draws)):
        columns = columns[~flat(Y[:, columns])]
        y, penalty = Y[:, columns], alpha[:, columns]
        parts = [refitted.scores_of(refit, y, penalty[own], draws) * len(own) for refit, own in refits]
        scores = np.sum(parts, axis=0) / len(found.folds)
        r[columns] = scores[0]
        tally.count(columns, scores[0], scores[1:], 1e-6)
    return _told(tally.found(), r, draws.n)


def _stretch(how: str, run: np.ndarray, block: int) -> dict[str, int]:
    """How far samples stay together. A shift is as long as their memory, a third of a block; half of all must remain."""
    if how == "phases":
        return {}
    if how == "blocks":
        return {"block": block}
    shortest = min(np.unique(run, return_counts=True)[1])
    return {"least": min(-(-block // 3), max(int(shortest) // 4, 1))}


def _n_draws(how: str, run: np.ndarray, block: int, n: int) -> int:
    """A single run has few shifts: each is then taken once."""
    if how != "shifts" or len(set(run.tolist())) > 1:
        return n
    return min(n, len(run) - 2 * _stretch(how, run, block)["least"] + 1)


def _told(one: Corrected, r: np.ndarray, n: int) -> Tested:
    return Tested(one.p, one.corrected, r, n, 1 / (n + 1))


NULLS = {
    "blocks": statistics.permute_blocks,
    "shifts": statistics.circular_shifts,
    "phases": statistics.phases,
}
