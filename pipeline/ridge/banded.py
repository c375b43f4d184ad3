"""Ridge with a penalty for each feature space and target: what a claim "this adds to that" needs."""

from collections.abc import Callable, Iterator, Mapping, Sequence
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

FLAT = 1e-10  # a prediction that varies less than this share of its target does not vary: rounding
PRECISIONS = {"float32": np.float32, "float64": np.float64}
DECADES = np.linspace(-4, 4, 17)  # log10 of the ratio of two spaces' gammas; scores hardly move within half a decade
ABSENT = 1e-6  # a drawn gamma below this is 0: the space is dropped
TARGETS_AT_ONCE = 512  # predictions of one chunk stay in the cache
ROWS = 256  # summed in single precision at most

Spaces = Sequence[Shaped[np.ndarray, "..."]] | Mapping[str, Shaped[np.ndarray, "..."]]


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
    tried = _candidates(len(parts), n_iter, seed) if gammas is None else _checked_gammas(gammas, len(parts))
    check_inner(folds, inner, len(alphas) * len(tried))
    task = _Task(
        checked_values(Y, "Y"), alphas, _scaled(tried), _SCORES[select], PRECISIONS[precision], targets_per_chunk
    )
    few = sum(x.shape[1] for x in parts) <= min(len(train) for train, _ in folds)
    solver = (_Primal if few else _Dual)(parts, task)
    found = [_one_fold(solver, fold, inner[k], task) for k, fold in enumerate(folds)]
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


class _Task(NamedTuple):
    Y: np.ndarray
    alphas: np.ndarray  # the largest first
    scales: Float[np.ndarray, "candidate space"]  # the simplest first; alpha_j = alpha / scale_j
    score: Callable[[np.ndarray], Callable[[np.ndarray], np.ndarray]]  # of responses, of predictions
    dtype: type
    chunk: int | None

    def chunks(self, columns: np.ndarray) -> Iterator[np.ndarray]:
        step = self.chunk or TARGETS_AT_ONCE
        return (columns[start : start + step] for start in range(0, len(columns), step))

    def all_chunks(self) -> Iterator[np.ndarray]:
        return self.chunks(np.arange(self.Y.shape[1]))


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


# --- candidates ---


def _candidates(n_spaces: int, n_iter: int, seed: int) -> Float[np.ndarray, "candidate space"]:
    """All alike, each alone, all but one, then what lies between; `n_iter` of them at most."""
    if n_iter < 1:
        raise ValueError(f"n_iter is {n_iter}; at least 1 candidate must be tried")
    if n_spaces == 1:
        return np.ones((1, 1))
    alone = np.eye(n_spaces)
    without = (1 - alone) / (n_spaces - 1) if n_spaces > 2 else alone[:0]
    fixed = np.vstack([np.full((1, n_spaces), 1 / n_spaces), alone, without])
    n_more = max(n_iter - len(fixed), 0)
    more = _ratios(n_more) if n_spaces == 2 else _draws(n_spaces, n_more, seed)
    return np.vstack([fixed, more])[:n_iter]


def _ratios(n: int) -> Float[np.ndarray, "candidate 2"]:
    decades = np.linspace(DECADES[0], DECADES[-1], min(n, len(DECADES)) // 2 * 2 + 1)
    first = 1 / (1 + 10.0 ** -decades[decades != 0])  # all alike is there already
    return np.stack([first, 1 - first], axis=1)


def _draws(n_spaces: int, n: int, seed: int) -> Float[np.ndarray, "candidate space"]:
    rng = np.random.default_rng(seed)
    drawn = np.array([rng.dirichlet(np.full(n_spaces, (1.0, 0.1)[i % 2])) for i in range(n)]).reshape(n, n_spaces)
    drawn[drawn < ABSENT] = 0
    drawn = drawn[(drawn > 0).sum(axis=1) > 1]  # each alone is there already
    return drawn / drawn.sum(axis=1, keepdims=True)


def _checked_gammas(gammas: np.ndarray, n_spaces: int) -> np.ndarray:
    gammas = np.asarray(gammas, float)
    if gammas.ndim != 2 or gammas.shape[1] != n_spaces or not len(gammas):
        raise ValueError(
            f"gammas are of shape {gammas.shape}; they must be (candidate, {n_spaces}), one for each space"
        )
    off = ~(np.isfinite(gammas) & (gammas >= 0)).all(axis=1) | ~np.isclose(gammas.sum(axis=1), 1)
    if off.any():
        raise ValueError(f"gammas {gammas[off][0].tolist()} are not on the simplex: none negative, their sum 1")
    return gammas


def _scaled(gammas: np.ndarray) -> Float[np.ndarray, "candidate space"]:
    """gamma times the number of spaces kept, which makes those kept alike 1; the fewest spaces first."""
    kept = (gammas > 0).sum(axis=1)
    return (gammas * kept[:, None])[np.argsort(kept, kind="stable")]


# --- a training set and its factorisations ---


class _System(NamedTuple):
    """One training set at one gamma, factorised for every alpha and target.

    prediction of space j = left_j @ (basis' side / (values + alpha)) + training mean.
    """

    values: Float[np.ndarray, " rank"]
    basis: Float[np.ndarray, "row rank"]
    left: Float[np.ndarray, "space test rank"]  # one for all spaces together where they are not split
    rows: Any  # of `side`, which the basis spans


class _Set(NamedTuple):
    """A training set and its held-out rows: all that does not depend on gamma."""

    factorise: Callable[..., _System]  # (scale, split)
    side: Float[np.ndarray, "row target"]  # what the targets bring in: X'Y, or Y itself
    y: Float[np.ndarray, "test target"]  # held out, less the training mean
    known: Bool[np.ndarray, " target"]  # not constant where held out
    spread: Float[np.ndarray, " target"]  # standard deviation in training


class _Responses(NamedTuple):
    mean: Float[np.ndarray, " target"]
    spread: Float[np.ndarray, " target"]  # 0 for a target that is constant in training, exactly


def _responses(task: _Task, train: np.ndarray) -> _Responses:
    mean, spread = np.empty((2, task.Y.shape[1]))
    for columns in task.all_chunks():
        y = task.Y[np.ix_(train, columns)].astype(np.float64)
        mean[columns] = y.mean(axis=0)
        y -= mean[columns]
        spread[columns] = np.where(_constant(y, mean[columns]), 0, y.std(axis=0))
    return _Responses(mean, spread)


def _held_out(task: _Task, test: np.ndarray, mean: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    held, known = np.empty((len(test), len(mean)), task.dtype), np.empty(len(mean), bool)
    for columns in task.all_chunks():
        y = task.Y[np.ix_(test, columns)].astype(np.float64) - mean[columns]
        held[:, columns], known[columns] = y, ~_constant(y, mean[columns])
    return held, known


class _Primal:
    """Few features: the Gram of all spaces and its products with the targets, downdated to each inner training set."""

    name = "primal"

    def __init__(self, spaces: list[np.ndarray], task: _Task):
        self.X = np.hstack(spaces).astype(np.float64)
        self.X -= self.X.mean(axis=0)  # the sums below then do not cancel
        self.low = self.X.astype(task.dtype)
        self.space = np.repeat(np.arange(len(spaces)), [x.shape[1] for x in spaces])
        self.size = np.abs(self.X).max(axis=0) + 1e-300
        self.task = task

    def open(self, outer: np.ndarray) -> None:
        """Make the sums of an outer training set, from which its inner ones are downdated."""
        self.outer, self.centre = outer, _responses(self.task, outer).mean
        self.sums = self._sums(outer)

    def _sums(self, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        X, low = self.X[rows], self.low[rows]
        cross = np.empty((X.shape[1], self.task.Y.shape[1]), self.task.dtype)
        for columns in self.task.all_chunks():
            y = self.task.Y[np.ix_(rows, columns)] - self.centre[columns]
            cross[:, columns] = low.T @ y.astype(self.task.dtype)
        return X.T @ X, X.sum(axis=0), cross

    def _sums_of(self, train: np.ndarray) -> Sequence[np.ndarray]:
        dropped = np.setdiff1d(self.outer, train)
        if len(dropped) > len(train):  # of a large sum a small one is left inexactly
            return self._sums(train)
        return [a - b for a, b in zip(self.sums, self._sums(dropped), strict=True)] if len(dropped) else self.sums

    def on(self, train: np.ndarray, test: np.ndarray) -> _Set:
        responses = _responses(self.task, train)
        gram, total, cross = self._sums_of(train)
        mean = total / len(train)
        shift = np.outer(total, responses.mean - self.centre).astype(self.task.dtype)
        side = np.where(responses.spread > 0, cross - shift, 0).astype(self.task.dtype)
        gram = gram - len(train) * np.outer(mean, mean)
        # a column that is constant in training gets weight 0, exactly
        varies = np.ptp(self.X[train], axis=0) > 1e-12 * self.size
        moments = _Moments(gram, self.X[test] - mean, self.space, varies)
        return _Set(
            partial(_primal_system, moments), side, *_held_out(self.task, test, responses.mean), responses.spread
        )


class _Moments(NamedTuple):
    """Of one training set, about its means."""

    gram: Float[np.ndarray, "column column"]
    test: Float[np.ndarray, "test column"]
    space: np.ndarray  # of each column
    varies: np.ndarray


def _primal_system(moments: _Moments, scale: np.ndarray, split: bool = False) -> _System:
    kept = np.flatnonzero(moments.varies & (scale[moments.space] > 0))
    space = moments.space[kept]
    root = np.sqrt(scale[space])
    values, vectors = np.linalg.eigh(moments.gram[np.ix_(kept, kept)] * np.outer(root, root))
    basis = root[:, None] * vectors
    own = [space == j for j in range(len(scale))] if split else [np.ones(len(kept), bool)]
    left = np.stack([moments.test[:, kept[part]] @ basis[part] for part in own])
    return _System(np.maximum(values, 0), basis, left, kept)


class _Dual:
    """More features than samples: one sample x sample kernel of each space serves every training set."""

    name = "dual"

    def __init__(self, spaces: list[np.ndarray], task: _Task):
        centred = (x - x.mean(axis=0, dtype=np.float64) for x in spaces)
        self.kernels = np.stack([x @ x.T for x in centred])
        self.task = task

    def open(self, outer: np.ndarray) -> None:
        """Nothing to make: a training set's kernels are rows and columns of the whole."""

    def on(self, train: np.ndarray, test: np.ndarray) -> _Set:
        responses = _responses(self.task, train)
        within = self.kernels[:, train[:, None], train]
        across = self.kernels[:, test[:, None], train]
        mean = within.mean(axis=1, keepdims=True)
        middle = mean.mean(axis=2, keepdims=True)
        across = across - mean - (across.mean(axis=2, keepdims=True) - middle)
        within = within - mean - mean.transpose(0, 2, 1) + middle
        side = np.empty((len(train), self.task.Y.shape[1]), self.task.dtype)
        for columns in self.task.all_chunks():
            y = self.task.Y[np.ix_(train, columns)] - responses.mean[columns]
            side[:, columns] = np.where(responses.spread[columns] > 0, y, 0)

        factorise = partial(_dual_system, within, across)
        return _Set(factorise, side, *_held_out(self.task, test, responses.mean), responses.spread)


def _dual_system(within: np.ndarray, across: np.ndarray, scale: np.ndarray, split: bool = False) -> _System:
    values, vectors = np.linalg.eigh(np.tensordot(scale, within, axes=1))
    parts = scale[:, None, None] * across
    left = (parts if split else parts.sum(axis=0, keepdims=True)) @ vectors
    return _System(np.maximum(values, 0), vectors, left, slice(None))


# --- choosing and testing ---


def _one_fold(solver: Any, fold: Fold, inner: list[Fold], task: _Task) -> dict[str, np.ndarray]:
    train, test = (np.asarray(rows) for rows in fold)
    solver.open(train)
    gamma, alpha, score = _choose(solver, inner, task)
    found = _tested(solver.on(train, test), gamma, alpha, task)
    scale = task.scales[gamma].T
    chosen = task.alphas[alpha]
    found["alpha"] = np.divide(chosen, scale, out=np.full(scale.shape, np.inf), where=scale > 0)
    ends = task.alphas[[0, -1]] if len(task.alphas) > 1 else []  # a grid of one has no edge
    return found | {"inner": score, "edge_share": np.isin(chosen, ends).astype(float)}


def _choose(solver: Any, inner: list[Fold], task: _Task) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
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


def _inner_scores(system: _System, own: _Set, columns: np.ndarray, task: _Task) -> Float[np.ndarray, "alpha target"]:
    weights, score = _weights(system, own, columns, task), task.score(own.y[:, columns])
    left = _split(system.left[0], task.dtype)
    penalties = [(system.values + alpha).astype(task.dtype)[:, None] for alpha in task.alphas]
    return np.stack([score(_times(left, weights / penalty)) for penalty in penalties])


def _weights(system: _System, own: _Set, columns: np.ndarray, task: _Task) -> np.ndarray:
    return system.basis.astype(task.dtype).T @ own.side[:, columns][system.rows]


def _split(left: np.ndarray, dtype: type) -> tuple[np.ndarray, np.ndarray]:
    """Rows about their mean, and the mean: equal rows then predict exactly the same, in float32 too."""
    mean = left.mean(axis=0)
    return (left - mean).astype(dtype), mean.astype(dtype)


def _times(left: tuple[np.ndarray, np.ndarray], weights: np.ndarray) -> np.ndarray:
    return left[0] @ weights + left[1] @ weights


def _tested(own: _Set, gamma: np.ndarray, alpha: np.ndarray, task: _Task) -> dict[str, np.ndarray]:
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
            for name, values in _scores(parts, own, columns).items():
                found[name][..., columns] = values
    return found


def _scores(parts: Float[np.ndarray, "space test target"], own: _Set, columns: np.ndarray) -> dict[str, np.ndarray]:
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


def _constant(y: np.ndarray, mean: np.ndarray) -> np.ndarray:
    # the magnitude is that of the target before its mean was taken off
    return np.ptp(y, axis=0) <= 8 * np.finfo(np.float64).eps * (np.abs(y).max(axis=0) + np.abs(mean))


_SCORES = {"r2": _r2, "r": _r}
