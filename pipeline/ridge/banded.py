"""Ridge with a penalty for each feature space and target: what a claim "this adds to that" needs."""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Shaped

from pipeline.ridge.checks import (
    Fold,
    check_folds,
    check_inner,
    check_option,
    checked_alphas,
    checked_values,
    default_inner,
)
from pipeline.ridge.gammas import candidates, checked_gammas, scaled
from pipeline.ridge.score import FLAT
from pipeline.ridge.spaces import Dual, Primal, Set, System, Task

PRECISIONS = {"float32": np.float32, "float64": np.float64}
ROWS = 256  # summed in single precision at most

Spaces = Sequence[Shaped[np.ndarray, "..."]] | Mapping[str, Shaped[np.ndarray, "..."]]
Visit = Callable[[int, np.ndarray, np.ndarray, np.ndarray], None]


class Banded(NamedTuple):
    """What a banded fit found.

    r, r2 : (fold, target) on the test rows; NaN for a constant target, r = 0
        for a constant prediction, neither clipped.
    alpha : (space, fold, target), the penalty of each space; inf where it was dropped.
    shares : (space, fold, target), the part of r2 that goes with each space's
        own prediction; they sum to r2. Negative where a space harms.
    inner : mean inner-fold score of what was chosen.
    flat : the prediction is constant.
    edge_share : 1.0 where the alpha chosen is the first or last of the grid.
    names : of the spaces, in their order.
    path : "primal" or "dual".
    """

    r: Float[np.ndarray, "fold target"]
    r2: Float[np.ndarray, "fold target"]
    alpha: Float[np.ndarray, "space fold target"]
    shares: Float[np.ndarray, "space fold target"]
    inner: Float[np.ndarray, "fold target"]
    flat: Bool[np.ndarray, "fold target"]
    edge_share: Float[np.ndarray, "fold target"]
    names: tuple[str, ...]
    path: str


class Unique(NamedTuple):
    """What each space adds to the others: r2 (space, fold, target), the joint fit, and its shares."""

    r2: Float[np.ndarray, "space fold target"]
    joint: Banded
    shares: Float[np.ndarray, "space fold target"]


def banded(
    spaces: Spaces,
    Y: Shaped[np.ndarray, "sample target"],
    *,
    folds: Sequence[Fold],
    alphas: Shaped[np.ndarray, " alpha"] | Sequence[float],
    inner: Sequence[Sequence[Fold]] | None = None,
    select: str = "r2",
    precision: str = "float32",
    n_iter: int = 100,
    seed: int = 0,
    gammas: Shaped[np.ndarray, "candidate space"] | None = None,
    targets_per_chunk: int | None = None,
    visit: Visit | None = None,
) -> Banded:
    """Ridge from several feature spaces to every target, each space with a penalty of its own.

    With one penalty for all, features that say nothing spend what the others
    need: 200 of them beside 20 that tell take the R2 from .25 to .10, and
    "what the space adds" is negative. Here b minimises
    ||Y - sum_j X_j b_j||^2 + sum_j alpha_j ||b_j||^2, and a space may be dropped.

    alpha_j = alpha / (n gamma_j): gamma lies on the simplex and n counts the
    spaces that it keeps, so that where they are kept alike this is single
    ridge on the same grid of `alphas`. Candidates for gamma: all alike, each
    space alone, all but one, and between them ratios of .5 decade over eight
    (two spaces: surer than chance) or draws from Dirichlet distributions of
    concentration 1 and .1 by turns (more spaces), of which many drop one.
    Gamma and alpha are chosen per target by the mean inner score; of equals
    the one that keeps fewer spaces, then the larger alpha. Spaces should have
    features of like variance (z-scored in training): a penalty has units.

    Parameters
    ----------
    spaces : (sample, feature) each, in a list or by name.
    folds, alphas, inner, select, precision : as in `cross_validate`.
    n_iter : candidates for gamma, at most; with 1 only "all alike".
    seed : of the draws.
    gammas : candidates to try instead, each row on the simplex.
    targets_per_chunk : targets at a time; memory, not results.
    visit : called with (fold, targets, y, parts) for what is tested, some
        targets at a time: y (test row, target) less the training mean, NaN
        for a constant target, parts
        (space, test row, target) each space's own prediction of it, whose sum
        is the prediction. Nothing of these is kept otherwise.

    Give at least two alphas to a factor of ten: gamma puts penalties between
    those of the grid, and a joint fit with a finer grid than the fit without
    a space gains a little by that alone (.001 to .003 of R2 at one a decade).

    Memory beside X and Y: twice the smaller of X'Y and Y, and a score for
    every target, candidate and alpha.

    References
    ----------
    Nunez-Elizalde, Huth & Gallant (2019), NeuroImage 197, 482-492; Dupré la
    Tour et al. (2022), NeuroImage 264, 119728.
    """
    names, parts = _named(spaces, len(Y))
    check_option("select", select, tuple(_SCORES))
    check_option("precision", precision, tuple(PRECISIONS))
    alphas = checked_alphas(alphas)[::-1]
    check_folds(folds, len(Y))
    inner = [default_inner(folds, k) for k in range(len(folds))] if inner is None else [list(i) for i in inner]
    tried = candidates(len(parts), n_iter, seed) if gammas is None else checked_gammas(gammas, len(parts))
    check_inner(folds, inner, len(alphas) * len(tried))
    task = Task(
        checked_values(Y, "Y"), alphas, scaled(tried), _SCORES[select], PRECISIONS[precision], targets_per_chunk
    )
    few = sum(x.shape[1] for x in parts) <= min(len(train) for train, _ in folds)
    solver = (Primal if few else Dual)(parts, task)
    visits = [partial(visit, k) if visit else _unseen for k in range(len(folds))]
    found = [_one_fold(solver, fold, inner[k], task, visits[k]) for k, fold in enumerate(folds)]
    stacked = {name: np.stack([one[name] for one in found], axis=-2) for name in found[0]}
    return Banded(**stacked, names=names, path=solver.name)


def unique(spaces: Spaces, Y: Shaped[np.ndarray, "sample target"], **options: Any) -> Unique:
    """What each space adds: the joint R2 less that of a fit without it.

    The fit without it is made anew and chooses its own penalties inside the
    training rows, so a space that says nothing adds about 0, a little above
    or below. Never clipped: the mean over targets would be positive by
    chance. One space alone adds its R2.

    Parameters
    ----------
    options : of `banded`, except `gammas`, which belong to one number of spaces.
    """
    if options.get("gammas") is not None:
        raise ValueError("unique fits the spaces with and without each other; gammas would fit only one of these")
    names, parts = _named(spaces, len(Y))
    joint = banded(dict(zip(names, parts, strict=True)), Y, **options)
    without = [
        banded([x for i, x in enumerate(parts) if i != j], Y, **options).r2 if len(parts) > 1 else 0 * joint.r2
        for j in range(len(parts))
    ]
    return Unique(joint.r2 - np.stack(without), joint, joint.shares)


def _named(spaces: Spaces, n_samples: int) -> tuple[tuple[str, ...], list[np.ndarray]]:
    by_name = spaces if isinstance(spaces, Mapping) else {str(i): x for i, x in enumerate(spaces)}
    if not by_name:
        raise ValueError("there are no feature spaces; give at least one (sample, feature) array")
    for name, x in by_name.items():
        if np.ndim(x) != 2 or np.shape(x)[1] == 0 or len(x) != n_samples:
            raise ValueError(
                f"space {name!r} is of shape {np.shape(x)}; it must be ({n_samples}, features), a row for each of Y"
            )
    return tuple(by_name), [checked_values(np.asarray(x), f"space {name!r}") for name, x in by_name.items()]


def _unseen(columns: np.ndarray, y: np.ndarray, parts: np.ndarray) -> None:
    """Nobody wants to see the predictions."""


def _one_fold(
    solver: Any, fold: Fold, inner: list[Fold], task: Task, visit: Callable[..., None]
) -> dict[str, np.ndarray]:
    train, test = (np.asarray(rows) for rows in fold)
    solver.open(train)
    gamma, alpha, score = _choose(solver, inner, task)
    found = _tested(solver.on(train, test), gamma, alpha, task, visit)
    scale = task.scales[gamma].T
    chosen = task.alphas[alpha]
    found["alpha"] = np.divide(chosen, scale, out=np.full(scale.shape, np.inf), where=scale > 0)
    ends = task.alphas[[0, -1]] if len(task.alphas) > 1 else []  # a grid of one has no edge
    return found | {"inner": score, "edge_share": np.isin(chosen, ends).astype(float)}


def _choose(solver: Any, inner: list[Fold], task: Task) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Indices of the best gamma and alpha for each target, and their mean inner score."""
    n_targets = task.Y.shape[1]
    total, count = np.zeros((len(task.scales), len(task.alphas), n_targets)), np.zeros(n_targets)
    for train, held_out in inner:
        own = solver.on(np.asarray(train), np.asarray(held_out))
        count += own.known
        for scores, scale in zip(total, task.scales, strict=True):
            system = own.factorise(scale)
            for columns in task.chunks(np.flatnonzero(own.known)):  # of a target constant here nothing is learnt
                scores[:, columns] += _inner_scores(system, own, columns, task)
    total = np.divide(total, count, out=total, where=count > 0).reshape(-1, n_targets)
    best = total.argmax(axis=0)  # of equals the first: the fewest spaces, the largest alpha
    score = np.where(count > 0, total[best, np.arange(n_targets)], np.nan)
    return *np.divmod(best, len(task.alphas)), score


def _inner_scores(system: System, own: Set, columns: np.ndarray, task: Task) -> Float[np.ndarray, "alpha target"]:
    weights, score = _weights(system, own, columns, task), task.score(own.y[:, columns])
    left = _split(system.left[0], task.dtype)
    penalties = [(system.values + alpha).astype(task.dtype)[:, None] for alpha in task.alphas]
    return np.stack([score(_times(left, weights / penalty)) for penalty in penalties])


def _weights(system: System, own: Set, columns: np.ndarray, task: Task) -> np.ndarray:
    return system.basis.astype(task.dtype).T @ own.side[:, columns][system.rows]


def _split(left: np.ndarray, dtype: type) -> tuple[np.ndarray, np.ndarray]:
    """Rows about their mean, and the mean: equal rows then predict exactly the same, in float32 too."""
    mean = left.mean(axis=0)
    return (left - mean).astype(dtype), mean.astype(dtype)


def _times(left: tuple[np.ndarray, np.ndarray], weights: np.ndarray) -> np.ndarray:
    return left[0] @ weights + left[1] @ weights


def _tested(
    own: Set, gamma: np.ndarray, alpha: np.ndarray, task: Task, visit: Callable[..., None]
) -> dict[str, np.ndarray]:
    """Scores on the held-out rows; targets that chose the same gamma share its factorisation."""
    n_spaces, n_targets = task.scales.shape[1], len(gamma)
    found = {name: np.full(n_targets, np.nan) for name in ("r", "r2")}
    found |= {"shares": np.full((n_spaces, n_targets), np.nan), "flat": np.zeros(n_targets, bool)}
    for g in np.unique(gamma):
        system = own.factorise(task.scales[g], split=True)
        lefts = [_split(left, task.dtype) for left in system.left]
        for columns in task.chunks(np.flatnonzero(gamma == g)):
            penalty = (system.values[:, None] + task.alphas[alpha[columns]]).astype(task.dtype)
            weights = _weights(system, own, columns, task) / penalty
            parts = np.stack([_times(left, weights) for left in lefts]).astype(np.float64)
            visit(columns, np.where(own.known[columns], own.y[:, columns].astype(np.float64), np.nan), parts)
            for name, values in _scores(parts, own, columns).items():
                found[name][..., columns] = values
    return found


def _scores(parts: Float[np.ndarray, "space test target"], own: Set, columns: np.ndarray) -> dict[str, np.ndarray]:
    """R2 and its product-measure shares, sum_t (2 y p_j - p_j p) / sum_t y^2, which sum to R2 exactly; r."""
    y, known = own.y[:, columns].astype(np.float64), own.known[columns]
    prediction = parts.sum(axis=0)
    null = np.einsum("ij,ij->j", y, y)
    explained = np.einsum("sij,ij->sj", parts, 2 * y - prediction)
    shares = np.divide(explained, null, out=np.full(explained.shape, np.nan), where=known)
    flat = prediction.std(axis=0) <= FLAT * own.spread[columns]
    r = np.where(known, np.where(flat, 0.0, _r(y)(prediction)), np.nan)
    return {"r": r, "r2": np.where(known, _r2(y)(prediction), np.nan), "shares": shares, "flat": flat}


def _r2(y: np.ndarray) -> Callable[[np.ndarray], np.ndarray]:
    """y is less its training mean, which is then the null: predicting 0 scores 0, exactly."""
    null, twice = _dots(y, y), 2 * y
    return lambda prediction: _ratio(_dots(prediction, twice - prediction), null, null > 0)


def _r(y: np.ndarray) -> Callable[[np.ndarray], np.ndarray]:
    y = y - y.mean(axis=0, dtype=np.float64)
    return partial(_correlation, y, np.sqrt(_dots(y, y)))


def _correlation(y: np.ndarray, size_y: np.ndarray, prediction: np.ndarray) -> np.ndarray:
    p = prediction - prediction.mean(axis=0, dtype=np.float64)
    size = np.sqrt(_dots(p, p))
    return _ratio(_dots(p, y), size * size_y, (size > FLAT * size_y) & (size_y > 0))


def _dots(a: np.ndarray, b: np.ndarray) -> Float[np.ndarray, " target"]:
    """Columns' products, in double precision beyond a few rows."""
    parts = (slice(start, start + ROWS) for start in range(0, len(a), ROWS))
    return sum(np.einsum("ij,ij->j", a[rows], b[rows]).astype(np.float64) for rows in parts)


def _ratio(a: np.ndarray, b: np.ndarray, known: np.ndarray) -> np.ndarray:
    return np.divide(a, b, out=np.zeros(len(a)), where=known)


_SCORES = {"r2": _r2, "r": _r}
