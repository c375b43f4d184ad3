"""Many targets, one alpha each, chosen inside the training data."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Shaped

Fold = tuple[np.ndarray, np.ndarray]

INNER_FOLDS = 5  # of the training rows, where the caller gives no inner folds and one or two outer ones
FLAT = 1e-10  # a prediction that varies less than this share of its target does not vary: rounding
PRECISIONS = {"float32": np.float32, "float64": np.float64}


class Scores(NamedTuple):
    """What a cross-validated fit found; a leading layer axis where X has one.

    r, r2 : (fold, target) on the test rows; NaN for a constant target, r = 0
        for a constant prediction, neither clipped.
    alpha : the penalty chosen on the inner folds.
    edge_share : 1.0 where alpha is the first or last of the grid, else 0.0;
        its mean is the share of fits at the edge.
    inner : mean inner-fold score of the chosen alpha, for choosing layers.
    flat : the prediction is constant.
    agreement : (pool, sample), mean over a pool's targets of z(response) *
        z(prediction), z over the fold's test rows, so that its mean over
        them is the pool's mean r; NaN for samples never tested; None without pools.
    path : "primal" or "dual", one per layer and fold.
    """

    r: Any
    r2: Any
    alpha: Any
    edge_share: Any
    inner: Any
    flat: Any
    agreement: Any
    path: tuple[str, ...]


def cross_validate(
    X: Shaped[np.ndarray, "..."] | Iterable[np.ndarray],
    Y: Shaped[np.ndarray, "sample target"],
    *,
    folds: Sequence[Fold],
    alphas: Shaped[np.ndarray, " alpha"] | Sequence[float],
    inner: Sequence[Sequence[Fold]] | None = None,
    select: str = "r2",
    precision: str = "float32",
    device: str = "cpu",
    targets_per_chunk: int | None = None,
    pools: Bool[np.ndarray, "pool target"] | None = None,
) -> Scores:
    """Ridge from X to every target, tested on each fold, alpha chosen inside its training rows.

    The fit is scikit-learn's `Ridge` with an intercept: features and targets
    centred by their training means, alpha in the same units.

    Parameters
    ----------
    X : (sample, feature), or (layer, sample, feature), or an iterable of
        layers, read once, which may differ in the number of features.
    folds : (train, test) row indices.
    inner : for each fold, the (train, test) row indices on which alpha is
        chosen, all inside the training rows; by default the other folds' test
        blocks, or five contiguous blocks where that leaves none (one or two folds).
    select : alpha maximises the mean over inner folds of "r2" (null: the
        inner training mean) or "r"; of equals the larger alpha is taken.
    precision : of the products that grow with the targets; what does not is float64.
    targets_per_chunk : targets at a time; memory, not results.
    pools : groups of targets for `Scores.agreement`.

    Raises
    ------
    ValueError : missing values, lengths that differ, unknown options, alphas
        that are not positive, inner folds that leave the training rows.
    """
    _check_options(select, precision, device)
    alphas = _checked_alphas(np.sort(np.asarray(alphas, float)))
    Y = _checked(np.asarray(Y), "Y")
    _check_folds(folds, len(Y))
    inner = [_default_inner(folds, k) for k in range(len(folds))] if inner is None else [list(i) for i in inner]
    _check_inner(folds, inner, alphas)
    one = isinstance(X, np.ndarray) and X.ndim == 2
    task = _Task(
        Y,
        list(folds),
        inner,
        alphas,
        select,
        PRECISIONS[precision],
        targets_per_chunk or 4096,
        pools,
    )
    found = [_one_layer(_checked(np.asarray(layer), "X"), task) for layer in ([X] if one else X)]
    path = tuple(p for f in found for p in f.path)
    if not found:
        raise ValueError("X holds no layers; there must be at least one")
    if one:
        return found[0]
    parts = [np.stack(part) if part[0] is not None else None for part in zip(*(f[:-1] for f in found), strict=True)]
    return Scores(*parts, path=path)


class _Task(NamedTuple):
    Y: np.ndarray
    folds: list[Fold]
    inner: list[list[Fold]]
    alphas: np.ndarray
    select: str
    dtype: type
    chunk: int
    pools: np.ndarray | None


class _System(NamedTuple):
    """A training set, factorised once for every alpha and target.

    prediction(alpha) = left @ (project(Y) / (values + alpha)) + training mean.
    """

    values: Float[np.ndarray, " rank"]
    left: Float[np.ndarray, "test rank"]
    project: Callable[[np.ndarray], np.ndarray]


def _check_options(select: str, precision: str, device: str) -> None:
    for name, value, known in (
        ("select", select, _SCORES),
        ("precision", precision, PRECISIONS),
        ("device", device, ("cpu",)),
    ):
        if value not in known:
            raise ValueError(f"{name}={value!r} is not known; known: {', '.join(map(repr, known))}")


def _checked(values: np.ndarray, name: str) -> np.ndarray:
    bad = ~np.isfinite(values)
    if bad.any():
        raise ValueError(
            f"{name} holds {bad.sum()} missing or infinite values, the first at {tuple(map(int, np.argwhere(bad)[0]))}"
        )
    return values


def _checked_alphas(alphas: np.ndarray) -> np.ndarray:
    if not (alphas.size and np.isfinite(alphas).all() and alphas[0] > 0):
        raise ValueError(f"alphas are {alphas.tolist()}; there must be at least one, all positive and finite")
    return alphas


def _check_folds(folds: Sequence[Fold], n_samples: int) -> None:
    for k, (train, test) in enumerate(folds):
        shared = np.intersect1d(train, test)
        if shared.size:
            raise ValueError(f"fold {k} trains and tests on the same {shared.size} rows, the first is {shared[0]}")
        rows = np.concatenate([np.asarray(train), np.asarray(test)])
        if not len(train) or not len(test) or rows.min() < 0 or rows.max() >= n_samples:
            raise ValueError(
                f"fold {k} trains on {len(train)} and tests on {len(test)} rows; rows must lie in 0 to {n_samples - 1}"
            )


def _check_inner(folds: Sequence[Fold], inner: Sequence[Sequence[Fold]], alphas: np.ndarray) -> None:
    if len(inner) != len(folds):
        raise ValueError(f"{len(inner)} sets of inner folds for {len(folds)} folds; there must be one for each")
    for k, (train, _) in enumerate(folds):
        if len(alphas) > 1 and not inner[k]:
            raise ValueError(f"fold {k} has no inner folds to choose among {len(alphas)} alphas")
        for rows in (np.asarray(part) for pair in inner[k] for part in pair):
            foreign = np.setdiff1d(rows, train)
            if foreign.size:  # alpha would be chosen on test rows
                raise ValueError(
                    f"inner folds of fold {k} hold {foreign.size} rows outside its training rows, the first is "
                    f"{foreign[0]}; give row indices of X, as in folds"
                )
            if not rows.size or len(np.unique(rows)) < len(rows):
                raise ValueError(f"inner folds of fold {k} hold a part that is empty or names a row twice")


def _default_inner(folds: Sequence[Fold], k: int) -> list[Fold]:
    train = np.asarray(folds[k][0])
    others = [fold for i, fold in enumerate(folds) if i != k]
    # training rows of both folds: a gap that the other fold leaves around its test block is kept
    inner = [(np.intersect1d(train, rows), np.intersect1d(train, test)) for rows, test in others]
    inner = [(rows, test) for rows, test in inner if len(rows) and len(test)]
    return inner or [(np.setdiff1d(train, test), test) for test in np.array_split(train, INNER_FOLDS) if len(test)]


def _one_layer(X: np.ndarray, task: _Task) -> Scores:
    if len(X) != len(task.Y):
        raise ValueError(f"X has {len(X)} samples and Y has {len(task.Y)}; they must be the same")
    n_targets, n_folds = task.Y.shape[1], len(task.folds)
    parts = {name: np.full((n_folds, n_targets), np.nan) for name in ("r", "r2", "alpha", "inner", "flat")}
    agreement = None if task.pools is None else np.full((len(task.pools), len(X)), np.nan)
    factorise = _Primal(X) if X.shape[1] <= min(len(train) for train, _ in task.folds) else _Dual(X)
    for k, (train, test) in enumerate(task.folds):
        best, parts["inner"][k] = _choose(factorise, train, task, k)
        parts["alpha"][k] = task.alphas[best]
        scored = _test(factorise(train, test, train), train, test, best, task)
        for name, values in scored.items():
            if name in parts:
                parts[name][k] = values
        if agreement is not None:
            agreement[:, test] = scored["agreement"]
    ends = task.alphas[[0, -1]] if len(task.alphas) > 1 else []  # a grid of one has no edge
    edge = np.isin(parts["alpha"], ends).astype(float)
    return Scores(
        parts["r"],
        parts["r2"],
        parts["alpha"],
        edge,
        parts["inner"],
        parts["flat"] > 0,
        agreement,
        (factorise.name,) * n_folds,
    )


class _Primal:
    """Few features: the feature x feature Gram, downdated from one training set to the next."""

    name = "primal"

    def __init__(self, X: np.ndarray):
        self.X = X.astype(np.float64)
        self.X -= self.X.mean(axis=0)  # the sums below then do not cancel
        self.outer: tuple[bytes, np.ndarray, np.ndarray] = (b"", np.empty(0), np.empty(0))

    def __call__(self, train: np.ndarray, test: np.ndarray, outer: np.ndarray) -> _System:
        """`outer` is the training set that holds `train`; its Gram is made once and downdated."""
        gram, total = self._moments(train, outer)
        mean = total / len(train)
        gram = gram - len(train) * np.outer(mean, mean)
        # a column that is constant in training gets weight 0, exactly
        kept = np.ptp(self.X[train], axis=0) > 1e-12 * (np.abs(self.X).max(axis=0, initial=0) + 1e-300)
        values, vectors = np.linalg.eigh(gram[np.ix_(kept, kept)])
        left = (self.X[test][:, kept] - mean[kept]) @ vectors
        rows = self.X[train][:, kept]
        return _System(np.maximum(values, 0), left, lambda Y: vectors.T @ (rows.T @ Y))

    def _moments(self, train: np.ndarray, outer: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        key = np.asarray(outer).tobytes()
        if self.outer[0] != key:
            self.outer = (key, self.X[outer].T @ self.X[outer], self.X[outer].sum(axis=0))
        _, gram, total = self.outer
        dropped = self.X[np.setdiff1d(outer, train)]
        return (gram - dropped.T @ dropped, total - dropped.sum(axis=0)) if len(dropped) else (gram, total)


class _Dual:
    """More features than samples: one sample x sample kernel serves every training set."""

    name = "dual"

    def __init__(self, X: np.ndarray):
        X = X - X.mean(axis=0, dtype=np.float64)
        self.kernel = X @ X.T

    def __call__(self, train: np.ndarray, test: np.ndarray, outer: np.ndarray) -> _System:
        within, across = self.kernel[np.ix_(train, train)], self.kernel[np.ix_(test, train)]
        mean = within.mean(axis=0)
        across = across - mean - (across.mean(axis=1) - mean.mean())[:, None]
        within = within - mean - mean[:, None] + mean.mean()
        values, vectors = np.linalg.eigh(within)
        return _System(np.maximum(values, 0), across @ vectors, lambda Y: vectors.T @ Y)


def _choose(factorise: Any, train: np.ndarray, task: _Task, k: int) -> tuple[np.ndarray, np.ndarray]:
    """Index of the best alpha for each target and its mean inner score."""
    total = np.zeros((len(task.alphas), task.Y.shape[1]))
    count = np.zeros(task.Y.shape[1])
    for rows, held_out in task.inner[k]:
        system = factorise(rows, held_out, train)
        for columns, y, targets, mean in _chunks(task, rows, held_out):
            weights = system.project(y)
            # NaN (a target constant in this fold) is left out of the mean
            scores = np.stack([_SCORES[task.select](p, targets, mean) for p in _predictions(system, weights, task)])
            known = np.isfinite(scores).all(axis=0)
            total[:, columns] += np.where(known, scores, 0)
            count[columns] += known
    mean_score = np.divide(total, count, out=np.full_like(total, np.nan), where=count > 0)
    ranked = np.nan_to_num(mean_score, nan=-np.inf)
    best = len(task.alphas) - 1 - np.argmax(ranked[::-1], axis=0)  # of equals the larger
    return best, mean_score[best, np.arange(len(best))]


def _chunks(
    task: _Task, train: np.ndarray, test: np.ndarray
) -> Iterator[tuple[slice, np.ndarray, np.ndarray, np.ndarray]]:
    """Targets some at a time: centred training rows, centred test rows, and the training mean."""
    for start in range(0, task.Y.shape[1], task.chunk):
        columns = slice(start, start + task.chunk)
        y = task.Y[train, columns].astype(np.float64)
        mean = y.mean(axis=0)
        y -= mean
        y[:, _constant(y, mean)] = 0  # what rounding leaves of a target that is constant in training teaches nothing
        yield columns, y, task.Y[test, columns] - mean, mean


def _predictions(system: _System, weights: np.ndarray, task: _Task) -> Iterator[np.ndarray]:
    left, mean = _split(system.left, task.dtype)
    for alpha in task.alphas:
        scaled = (weights / (system.values + alpha)[:, None]).astype(task.dtype)
        yield left @ scaled + mean @ scaled


def _split(left: np.ndarray, dtype: type) -> tuple[np.ndarray, np.ndarray]:
    """Rows about their mean, and the mean: equal rows then predict exactly the same, in float32 too."""
    mean = left.mean(axis=0)
    return (left - mean).astype(dtype), mean.astype(dtype)


def _r2(prediction: np.ndarray, y: np.ndarray, mean: np.ndarray) -> np.ndarray:
    """y is centred by the training mean, which is then the null."""
    null = np.einsum("ij,ij->j", y, y)
    error = np.einsum("ij,ij->j", y - prediction, y - prediction, dtype=np.float64)
    return 1 - np.divide(error, null, out=np.full(len(null), np.nan), where=~_constant(y, mean))


def _r(prediction: np.ndarray, y: np.ndarray, mean: np.ndarray) -> np.ndarray:
    p = prediction - prediction.mean(axis=0, dtype=np.float64)
    y_c = y - y.mean(axis=0)
    size, size_y = np.sqrt(np.einsum("ij,ij->j", p, p)), np.sqrt(np.einsum("ij,ij->j", y_c, y_c))
    varies = (size > FLAT * size_y) & (size_y > 0)
    r = np.divide(np.einsum("ij,ij->j", p, y_c), size * size_y, out=np.zeros(len(size)), where=varies)
    return np.where(_constant(y, mean), np.nan, r)


_SCORES = {"r2": _r2, "r": _r}


def _constant(y: np.ndarray, mean: np.ndarray) -> np.ndarray:
    # the magnitude is that of the target before its mean was taken off
    return np.ptp(y, axis=0) <= 8 * np.finfo(np.float64).eps * (np.abs(y).max(axis=0) + np.abs(mean))


def _test(system: _System, train: np.ndarray, test: np.ndarray, best: np.ndarray, task: _Task) -> dict[str, np.ndarray]:
    parts: dict[str, list[np.ndarray]] = {"r": [], "r2": [], "flat": []}
    pools = np.zeros((0, len(best)), bool) if task.pools is None else task.pools
    summed, members = np.zeros((len(pools), len(test))), np.zeros(len(pools))
    for columns, y, targets, mean in _chunks(task, train, test):
        prediction = _at_best(system, system.project(y), best[columns], task)
        flat = prediction.std(axis=0, dtype=np.float64) <= FLAT * y.std(axis=0)
        r = np.where(flat, np.where(_constant(targets, mean), np.nan, 0.0), _r(prediction, targets, mean))
        parts["r"].append(r)
        parts["r2"].append(_r2(prediction, targets, mean))
        parts["flat"].append(flat)
        scorable = pools[:, columns] & np.isfinite(r)
        summed += scorable.astype(float) @ _products(prediction, targets, flat).T
        members += scorable.sum(axis=1)
    agreement = np.divide(summed, members[:, None], out=np.full_like(summed, np.nan), where=members[:, None] > 0)
    return {name: np.concatenate(part) for name, part in parts.items()} | {"agreement": agreement}


def _at_best(system: _System, weights: np.ndarray, best: np.ndarray, task: _Task) -> np.ndarray:
    left, mean = _split(system.left, task.dtype)
    prediction = np.empty((len(left), len(best)), task.dtype)
    for a in np.unique(best):
        own = best == a
        scaled = (weights[:, own] / (system.values + task.alphas[a])[:, None]).astype(task.dtype)
        prediction[:, own] = left @ scaled + mean @ scaled
    return prediction


def _products(prediction: np.ndarray, y: np.ndarray, flat: np.ndarray) -> Float[np.ndarray, "test target"]:
    """z(response) * z(prediction); 0 where either is constant."""
    z = []
    for values in (prediction.astype(np.float64), y):
        centred = values - values.mean(axis=0)
        deviation = centred.std(axis=0)
        z.append(np.divide(centred, deviation, out=np.zeros_like(centred), where=deviation > 0))
    return np.where(flat, 0.0, z[0] * z[1])
