"""Cross-validated scores of one set of features for many orders of the same responses.

A permutation test fits thousands of times. Nothing that depends on the
features alone changes from one fit to the next, and an intercept cannot
change a correlation, so what is left of each fit are one or two matrix
products: of the held-out predictions, centred over the test rows,

    few features  : left @ ((right @ Y_train) / (values + alpha)),
    few samples   : (left / (values + alpha) @ right) @ Y_train,

with left, values and right from the principal axes of the training rows.
"""

from collections.abc import Callable, Iterator, Sequence
from functools import lru_cache
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int, Shaped

from pipeline.ridge.backends import PRECISIONS
from pipeline.ridge.score import FLAT

Fold = tuple[np.ndarray, np.ndarray]


_CELLS = 2**20  # numbers gathered at once: 4 or 8 MB, which stay in the cache
_COLUMNS = 128  # targets at a time: wide enough for a fast product
_KEPT_BYTES = 2**27  # of smoothers; a rarer one is made again when it is needed


class Axes(NamedTuple):
    """One fold's features in the principal axes of its training rows.

    Predictions, centred over the test rows, are
    left @ ((right @ (Y_train - mean)) / (values + alpha)).
    """

    left: Float[np.ndarray, "test axis"]
    values: Float[np.ndarray, " axis"]
    right: Float[np.ndarray, "axis other"]


class Refit:
    """Fits all folds again for responses in other orders, with the X side done once.

    Two ways cost differently, and the cheaper is taken (`path`): "smoother",
    one test x train matrix per fold and alpha, or "moments", the product of
    features and responses, once for all folds, and each fold's axes.

    Parameters
    ----------
    X : features; a column that is constant in training gets weight zero.
    folds : (train, test) row indices.
    precision : of what grows with the targets; the X side is float64.
    """

    def __init__(self, X: Shaped[np.ndarray, "sample feature"], folds: Sequence[Fold], precision: str = "float32"):
        if precision not in PRECISIONS:
            raise ValueError(f"precision={precision!r} is not known; known: {', '.join(map(repr, PRECISIONS))}")
        self.dtype = np.float64 if precision == "float64" else np.float32
        folds = [(np.asarray(train), np.asarray(test)) for train, test in folds]
        X = X - X.mean(axis=0, dtype=np.float64)  # sums of products then do not cancel
        costs = {name: path.products(X.shape, folds) for name, path in _PATHS.items()}
        self.path = min(costs, key=costs.__getitem__)
        self._fits = _PATHS[self.path](X, folds, self.dtype)
        self.n_folds = len(folds)

    def __call__(
        self,
        Y: Shaped[np.ndarray, "sample target"],
        orders: Int[np.ndarray, "order place"],
        alpha: Shaped[np.ndarray, "fold target"],
    ) -> Float[np.ndarray, "order target"]:
        """Mean over folds of the correlation of Y[order] with its held-out prediction.

        A constant prediction explains nothing, and of responses that are
        constant over a fold's test rows nothing can be explained: both score 0.
        """
        y = Y - Y.mean(axis=0, dtype=np.float64)
        y = np.divide(y, y.std(axis=0), out=y, where=y.any(axis=0)).astype(self.dtype)  # squared teslas are too small
        total = np.zeros((len(orders), Y.shape[1]))
        for some, columns, r in self._fits(y, orders, np.asarray(alpha, np.float64)):
            total[some, columns] += r
        return total / self.n_folds


Scored = Iterator[tuple[slice, np.ndarray | slice, np.ndarray]]


class _Smoothers:
    """Few samples: predictions are one matrix times the training responses."""

    @staticmethod
    def products(shape: tuple[int, ...], folds: list[Fold]) -> int:
        """Multiplications per target and fit."""
        return sum(len(train) * len(test) for train, test in folds)

    def __init__(self, X: np.ndarray, folds: list[Fold], dtype: type):
        self.folds, self.dtype = folds, dtype
        self.axes = [_axes(X, fold) for fold in folds]
        largest = max(len(train) * len(test) for train, test in folds) * np.dtype(dtype).itemsize
        self.smoother: Callable[[int, float], np.ndarray] = lru_cache(max(_KEPT_BYTES // largest, 1))(self._smoother)

    def _smoother(self, k: int, alpha: float) -> Float[np.ndarray, "test train"]:
        left, values, right = self.axes[k]
        return ((left / (values + alpha)) @ right).astype(self.dtype)

    def __call__(self, y: np.ndarray, orders: np.ndarray, alpha: np.ndarray) -> Scored:
        for k, (train, test) in enumerate(self.folds):
            for one, columns in _alike(alpha[k]):
                smoother, own = self.smoother(k, one), y[:, columns]
                for some in _batches(orders, own.size):
                    prediction = smoother @ _centred(_gathered(own, orders[some, train]))
                    r = _correlation(prediction, _gathered(own, orders[some, test]))
                    yield some, columns, r.reshape(-1, len(columns))


def _alike(alpha: np.ndarray) -> Iterator[tuple[float, np.ndarray]]:
    """Targets that share an alpha, some at a time."""
    for one in np.unique(alpha):
        columns = np.flatnonzero(alpha == one)
        for start in range(0, len(columns), _COLUMNS):
            yield float(one), columns[start : start + _COLUMNS]


class _Moments:
    """Few features: X'Y of rows that train in the same folds is made once and summed for each fold."""

    @staticmethod
    def products(shape: tuple[int, ...], folds: list[Fold]) -> int:
        """Multiplications per target and fit."""
        n, p = shape
        return n * p + sum(p * (p + len(test)) for _, test in folds)

    def __init__(self, X: np.ndarray, folds: list[Fold], dtype: type):
        self.folds = folds
        # in principal axes single precision rounds each direction by its own size, not by that of the largest
        basis = np.linalg.eigh(X.T @ X)[1]
        self.axes = [_narrow(_turned(X, fold, basis), dtype) for fold in folds]
        trains = np.stack([np.isin(np.arange(len(X)), train) for train, _ in folds])
        patterns, pattern = np.unique(trains, axis=1, return_inverse=True)
        self.members = [np.flatnonzero(own) for own in patterns]
        self.rows = [np.flatnonzero(pattern == i) for i in range(patterns.shape[1])]
        turned = np.hstack([X @ basis, np.ones((len(X), 1))]).astype(dtype)
        self.features = [np.ascontiguousarray(turned[rows].T) for rows in self.rows]

    def __call__(self, y: np.ndarray, orders: np.ndarray, alpha: np.ndarray) -> Scored:
        for start in range(0, y.shape[1], _COLUMNS):
            columns = slice(start, min(start + _COLUMNS, y.shape[1]))
            own = np.ascontiguousarray(y[:, columns])
            for some in _batches(orders, own.size):
                penalties = np.tile(alpha[:, columns], len(orders[some])).astype(y.dtype)
                for r in self._folds(own, orders[some], penalties):
                    yield some, columns, r.reshape(-1, own.shape[1])

    def _folds(self, y: np.ndarray, orders: np.ndarray, alpha: np.ndarray) -> Iterator[np.ndarray]:
        parts = [_gathered(y, orders[:, rows]) for rows in self.rows]
        moments = [features @ part for features, part in zip(self.features, parts, strict=True)]
        squares = [_squares(part) for part in parts]
        for k, (train, test) in enumerate(self.folds):
            left, values, right = self.axes[k]
            own, square = (sum(sums[i] for i in self.members[k]) for sums in (moments, squares))
            weights = right @ own
            weights /= values[:, None] + alpha[k]
            # what rounding leaves of responses that are constant in training teaches nothing
            weights *= square - own[-1] ** 2 / len(train) > 100 * np.finfo(y.dtype).eps * square
            yield _correlation(left @ weights, _gathered(y, orders[:, test]))


_PATHS = {"smoother": _Smoothers, "moments": _Moments}


def _axes(X: np.ndarray, fold: Fold) -> Axes:
    train, test, _ = _centred_parts(X, fold)
    return principal(train, test)


def principal(train: Shaped[np.ndarray, "train feature"], test: Shaped[np.ndarray, "test feature"]) -> Axes:
    """Axes of centred training rows; `right` takes the training responses."""
    if len(train) >= train.shape[1]:
        values, vectors = _spectrum(train.T @ train)
        return Axes(test @ vectors, values, (train @ vectors).T)
    values, vectors = _spectrum(train @ train.T)
    return Axes((test @ train.T) @ vectors, values, vectors.T)


def _turned(X: np.ndarray, fold: Fold, basis: np.ndarray) -> Axes:
    """`right` takes (X @ basis)'Y and, under it, the sum of Y, both over the training rows."""
    train, test, mean = _centred_parts(X, fold)
    values, vectors = _spectrum(train.T @ train)
    return Axes(test @ vectors, values, np.hstack([vectors.T @ basis, -vectors.T @ mean[:, None]]))


def _centred_parts(X: np.ndarray, fold: Fold) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    train, test = (X[rows] for rows in fold)
    mean = train.mean(axis=0)
    varies = varying(X, fold[0])
    train, test = (train - mean) * varies, test * varies
    return train, test - test.mean(axis=0), mean


def varying(X: Shaped[np.ndarray, "sample feature"], train: np.ndarray) -> Shaped[np.ndarray, " feature"]:
    """Whether a column is other than constant over the training rows."""
    return np.ptp(X[train], axis=0) > 1e-12 * np.abs(X).max(axis=0, initial=0)


def _spectrum(gram: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Without directions in which the training rows do not vary: they get no weight, but would get a rounding's."""
    values, vectors = np.linalg.eigh(gram)
    kept = values > max(values[-1], 0) * len(values) * np.finfo(np.float64).eps
    return values[kept], vectors[:, kept]


def _narrow(axes: Axes, dtype: type) -> Axes:
    return Axes(*(part.astype(dtype) for part in axes))


def _batches(orders: np.ndarray, cells: int) -> Iterator[slice]:
    step = max(_CELLS // max(cells, 1), 1)
    return (slice(start, min(start + step, len(orders))) for start in range(0, len(orders), step))


def _gathered(y: np.ndarray, rows: Int[np.ndarray, "order sample"]) -> Shaped[np.ndarray, "sample column"]:
    """Columns order by order: all targets in the first order, then in the next."""
    return y.take(rows.T, axis=0).reshape(rows.shape[1], -1)


def _centred(y: np.ndarray) -> np.ndarray:
    """In place, so that constant responses become zeros."""
    y -= np.full(len(y), 1 / len(y), y.dtype) @ y
    return y


def _squares(y: np.ndarray) -> Shaped[np.ndarray, " column"]:
    return np.einsum("ij,ij->j", y, y)


def _correlation(prediction: np.ndarray, y: np.ndarray) -> Shaped[np.ndarray, " column"]:
    """`prediction` has mean 0 over the rows; what rounding leaves of a constant y does not vary."""
    before = _squares(y)
    size, size_y = _squares(prediction), _squares(_centred(y))
    varies = (size > FLAT**2 * size_y) & (size_y > (100 * np.finfo(y.dtype).eps) ** 2 * before)
    shared = np.einsum("ij,ij->j", prediction, y)
    return np.divide(shared, np.sqrt(size * size_y), out=np.zeros_like(shared), where=varies)
