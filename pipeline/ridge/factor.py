"""The side of a ridge regression that knows nothing of targets: few features, or more of them than samples.

Both give, for any training rows inside a fold's, a symmetric matrix, the rows
to predict, and what of the targets the weights are solved from:

    prediction(alpha) = left @ inverse(matrix + alpha identity) @ moments + training mean

primal : matrix = X'X, left = X, moments = X'Y (feature x feature).
dual : matrix = XX', left = X_new X', moments = Y (sample x sample).
"""

from typing import Any, NamedTuple

import numpy as np

from pipeline.ridge.checks import Fold


class Part(NamedTuple):
    """Rows to fit and rows to predict, as positions in a fold's training rows."""

    rows: np.ndarray
    held_out: np.ndarray


class Fit(NamedTuple):
    """One training set: (row to predict, size), (size, size); `diagonal` instead of `matrix` where it is one.

    Directions whose eigenvalue is not above `floor` are rounding's alone, and get no weight.
    """

    left: Any
    matrix: Any = None
    diagonal: Any = None
    floor: float = -np.inf

    @property
    def size(self) -> int:
        """Unknowns: features or training rows."""
        return self.left.shape[1]


class Primal:
    """Few features. In the principal axes of the fold's training rows.

    There single precision rounds each direction by its own size; in the axes
    as given, the rounding of the largest would drown the smallest, which a
    small alpha magnifies. Directions in which the training rows do not vary
    get no weight and are left out.
    """

    name = "primal"

    def __init__(self, source: "Source", fold: Fold):
        train, test = fold
        self.ops = ops = source.ops
        gram, total = source.gram(train)
        mean = total / len(train)
        gram = gram - len(train) * mean[:, None] * mean[None, :]
        values, vectors = ops.eigh(gram)
        told = ops.get(values)
        first = int(np.searchsorted(told, max(told[-1:].max(initial=0), 0) * len(told) * np.finfo(float).eps, "right"))
        self.values, self.floor = values[first:], 10 * len(told) * np.finfo(float).eps * float(told[-1:].sum())
        self.train, self.test = ((source.X[ops.rows(rows)] - mean) @ vectors[:, first:] for rows in (train, test))
        self.low = ops.narrow(self.train)

    def trace(self) -> float:
        """Sum of the eigenvalues."""
        return float(self.values.sum())

    def final(self) -> Fit:
        """All training rows, to predict the test rows."""
        return Fit(self.test, diagonal=self.values)

    def inner(self, part: Part) -> Fit:
        """Some training rows, to predict others: downdated from all."""
        dropped = self.train[self.ops.rows(_rest(len(self.train), part.rows))]
        mean = -dropped.sum(0) / len(part.rows)  # the sum over all training rows is 0
        matrix = -(dropped.T @ dropped) - len(part.rows) * mean[:, None] * mean[None, :]
        size = len(matrix)
        matrix.reshape(-1)[:: size + 1] += self.values
        return Fit(self.train[self.ops.rows(part.held_out)] - mean, matrix, floor=self.floor)

    def moments(self, parts: list[Part]) -> "Crossproducts":
        """X'Y for each part, from one pass over the responses."""
        return Crossproducts(self, parts)


class Crossproducts:
    """X'Y of all training rows and, less what is left out, of each part; centred by each part's own means."""

    def __init__(self, primal: Primal, parts: list[Part]):
        self.X, self.ops = primal.low, primal.ops
        n = len(self.X)
        self.parts, self.rests = parts, [_rest(n, part.rows) for part in parts]
        self.sizes = [len(part.rows) for part in parts]
        # parts that leave out every row once between them need no pass of their own over all rows
        self.whole = sum(map(len, self.rests)) == n and len(np.unique(np.concatenate(self.rests))) == n
        self.sums = [self.X[self.ops.rows(rest)].sum(0) for rest in self.rests]

    def __call__(self, y: Any) -> tuple[Any, list[Any]]:
        """(feature, target) of all training rows, and of each part; y (training row, target) less its mean."""
        left_out = [self.X[rows].T @ y[rows] for rows in map(self.ops.rows, self.rests)]
        every = sum(left_out[1:], start=left_out[0]) if self.whole else self.X.T @ y
        return every, [self._of(i, every, left_out[i], y) for i in range(len(self.parts))]

    def _of(self, i: int, every: Any, left_out: Any, y: Any) -> Any:
        total = y[self.ops.rows(self.rests[i])].sum(0)
        found = every - left_out
        # sums over the part are minus those over the rest, on both sides
        found -= (self.sums[i] / self.sizes[i])[:, None] * total[None, :]
        return found


class Dual:
    """More features than samples: one sample x sample kernel serves every training set."""

    name = "dual"

    def __init__(self, source: "Source", fold: Fold):
        self.ops, self.kernel = source.ops, source.kernel()
        self.rows = fold

    def trace(self) -> float:
        """Sum of the eigenvalues."""
        return float(self.kernel.diagonal().sum())

    def final(self) -> Fit:
        """All training rows, to predict the test rows."""
        return self._centred(*self.rows)

    def inner(self, part: Part) -> Fit:
        """Some training rows, to predict others."""
        train = np.asarray(self.rows[0])
        return self._centred(train[part.rows], train[part.held_out])

    def _centred(self, rows: np.ndarray, new: np.ndarray) -> Fit:
        rows, new = (self.ops.rows(index) for index in (rows, new))
        within, across = self.kernel[rows][:, rows], self.kernel[new][:, rows]
        mean = within.mean(0)
        across = across - mean - (across.mean(1) - mean.mean())[:, None]
        return Fit(across, within - mean - mean[:, None] + mean.mean())

    def moments(self, parts: list[Part]) -> "Rows":
        """The responses of each part."""
        return Rows(self.ops, parts)


class Rows:
    """Y of all training rows, and of each part less its mean."""

    def __init__(self, ops: Any, parts: list[Part]):
        self.rows = [ops.rows(part.rows) for part in parts]

    def __call__(self, y: Any) -> tuple[Any, list[Any]]:
        parts = [y[rows] for rows in self.rows]
        return y, [part - part.mean(0) for part in parts]


class Source:
    """One layer on the device: its Gram or kernel, made once for all folds."""

    def __init__(self, X: np.ndarray, ops: Any):
        self.ops = ops
        self.X = ops.double(X)
        self.X = self.X - self.X.mean(0)  # the sums below then do not cancel
        self._kernel: Any = None
        self._gram: Any = None

    def kernel(self) -> Any:
        """X X'."""
        if self._kernel is None:
            self._kernel = self.X @ self.X.T
        return self._kernel

    def gram(self, rows: np.ndarray) -> tuple[Any, Any]:
        """X'X and the sum over some rows, downdated from all."""
        if self._gram is None:
            self._gram = self.X.T @ self.X, self.X.sum(0)
        gram, total = self._gram
        rest = _rest(len(self.X), rows)
        if 2 * len(rest) > len(self.X):
            kept = self.X[self.ops.rows(rows)]
            return kept.T @ kept, kept.sum(0)
        dropped = self.X[self.ops.rows(rest)]
        return gram - dropped.T @ dropped, total - dropped.sum(0)


def _rest(n: int, rows: np.ndarray) -> np.ndarray:
    return np.setdiff1d(np.arange(n), rows)
