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


class Moments(NamedTuple):
    """Of some training rows' responses: what weights are solved from, (size, target), and their mean, (target).

    `held` are the held-out rows' cross-products, centred by their own means, where they cost nothing.
    """

    own: Any
    mean: Any
    held: Any = None


class Primal:
    """Few features. In the principal axes of the fold's training rows, where these are quickly found.

    There single precision rounds each direction by its own size; in the axes
    as given, the rounding of the largest drowns the smallest, which a small
    alpha magnifies. Directions in which the training rows do not vary get no
    weight and are left out.
    """

    name = "primal"

    def __init__(self, source: "Source", fold: Fold):
        train, test = fold
        self.ops = ops = source.ops
        gram, total = source.gram(train)
        mean = total / len(train)
        self.gram = gram - len(train) * mean[:, None] * mean[None, :]
        self.train, self.test = (source.X[ops.rows(rows)] - mean for rows in (train, test))
        self.rounding = 10 * len(gram) * np.finfo(float).eps
        self.floor = self.rounding * float(ops.get(self.gram.diagonal()).sum())
        self.values: Any = None
        if ops.turns:
            self._turn()
        self.low = ops.narrow(self.train)

    def _turn(self) -> None:
        values, vectors = self.ops.axes(self.gram)
        first = 0
        if values is None:
            self.gram = vectors.T @ self.gram @ vectors
        else:
            told = self.ops.get(values)
            first = int(np.searchsorted(told, told[-1:].sum() * len(told) * np.finfo(float).eps, "right"))
            self.floor, self.values = self.rounding * float(told[-1:].sum()), values[first:]
        self.train, self.test = self.train @ vectors[:, first:], self.test @ vectors[:, first:]

    def trace(self) -> float:
        """Sum of the eigenvalues."""
        return float(self.gram.diagonal().sum())

    def size(self, part: Part) -> int:
        """Unknowns of a fit."""
        return self.train.shape[1]

    def final(self) -> Fit:
        """All training rows, to predict the test rows."""
        return Fit(self.test, self.gram if self.values is None else None, self.values, self.floor)

    def inner(self, part: Part) -> Fit:
        """Some training rows, to predict others: downdated from all."""
        dropped = self.train[self.ops.rows(_rest(len(self.train), part.rows))]
        mean = -dropped.sum(0) / len(part.rows)  # the sum over all training rows is 0
        matrix = -(dropped.T @ dropped) - len(part.rows) * mean[:, None] * mean[None, :]
        if self.values is None:
            matrix += self.gram
        else:
            matrix.reshape(-1)[:: len(matrix) + 1] += self.values
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
        # many held-out rows that are all that is left out: their products are at hand
        few = [len(part.held_out) <= self.X.shape[1] for part in parts]
        same = [np.array_equal(np.sort(p.held_out), rest) for p, rest in zip(parts, self.rests, strict=True)]
        self.held = [not f and s for f, s in zip(few, same, strict=True)]

    def __call__(self, y: Any) -> tuple[Any, list[Moments]]:
        """(feature, target) of all training rows, and of each part; y (training row, target) less its mean."""
        left_out = [self.X[rows].T @ y[rows] for rows in map(self.ops.rows, self.rests)]
        every = sum(left_out[1:], start=left_out[0]) if self.whole else self.X.T @ y
        return every, [self._of(i, every, left_out[i], y) for i in range(len(self.parts))]

    def _of(self, i: int, every: Any, left_out: Any, y: Any) -> Moments:
        total = y[self.ops.rows(self.rests[i])].sum(0)
        found = every - left_out
        # sums over the part are minus those over the rest, on both sides, for both are 0 over all
        found -= (self.sums[i] / self.sizes[i])[:, None] * total[None, :]
        if self.held[i]:
            left_out -= self.sums[i][:, None] * (total / len(self.rests[i]))[None, :]
        return Moments(found, -total / self.sizes[i], left_out if self.held[i] else None)


class Dual:
    """More features than samples: one sample x sample kernel serves every training set."""

    name = "dual"

    def __init__(self, source: "Source", fold: Fold):
        self.ops, self.kernel = source.ops, source.kernel()
        self.rows = fold

    def trace(self) -> float:
        """Sum of the eigenvalues."""
        return float(self.kernel.diagonal().sum())

    def size(self, part: Part) -> int:
        """Unknowns of a fit."""
        return len(part.rows)

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

    def __call__(self, y: Any) -> tuple[Any, list[Moments]]:
        """(training row, target), and of each part; y less its mean."""
        return y, [self._of(y[rows]) for rows in self.rows]

    def _of(self, own: Any) -> Moments:
        mean = own.mean(0)
        return Moments(own - mean, mean)


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
    left = np.ones(n, bool)
    left[rows] = False
    return np.flatnonzero(left)
