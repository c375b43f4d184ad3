"""From a factorised training set and a chunk of targets to the sums every score is made of.

What does not scale with targets is formed once, in double precision, for all
alphas. What does is one product in single precision per chunk. Neither
weights for every alpha nor predictions for all targets are ever formed.
"""

from typing import Any, NamedTuple

import numpy as np

from pipeline.ridge.factor import Fit

CHOLESKY_LIMIT = 1e-7  # of the matrix' trace: below, an alpha is left to the eigendecomposition, which loses no digits


class Sums(NamedTuple):
    """Of one training set's predictions of held-out rows, for each alpha and target.

    `cross` and `square` are sums over rows of the prediction about its mean,
    times the response and squared; `mean` is that mean, about the training mean.
    """

    cross: np.ndarray
    square: np.ndarray
    mean: np.ndarray


def operators(fit: Fit, alphas: np.ndarray, cholesky: bool, ops: Any) -> Any:
    """Predictions from moments: all alphas' rows about their mean over the rows, then the means; (alpha * row + alpha, size)."""
    n_rows, mean = len(fit.left), fit.left.mean(0)
    # equal rows predict exactly the same only where the mean is taken off before rounding
    rows = ops.concatenate([fit.left - mean, mean[None, :]])
    stack = ops.empty_low(len(alphas) * (n_rows + 1), fit.size)
    apply = _by_cholesky if cholesky and ops.full_rank(fit.matrix, fit.floor) else _by_eigenvectors
    for a, found in enumerate(apply(fit, rows, alphas, ops)):
        stack[a * n_rows : (a + 1) * n_rows] = found[:-1]
        stack[len(alphas) * n_rows + a] = found[-1]
    return stack


def _by_cholesky(fit: Fit, rows: Any, alphas: np.ndarray, ops: Any) -> Any:
    for alpha in alphas:
        yield ops.solver(fit.matrix, float(alpha))(rows)


def _by_eigenvectors(fit: Fit, rows: Any, alphas: np.ndarray, ops: Any) -> Any:
    shrink, vectors = spectrum(fit, alphas, ops)
    rows, back = rows @ vectors, ops.narrow(vectors.T)
    for own in shrink:
        # turning back is orthogonal and so does no harm in single precision
        yield ops.narrow(rows * own) @ back


def spectrum(fit: Fit, alphas: np.ndarray, ops: Any) -> tuple[Any, Any]:
    """1 / (eigenvalue + alpha) for each alpha, 0 where the eigenvalue is rounding's; and the eigenvectors."""
    values, vectors = (fit.diagonal, None) if fit.matrix is None else ops.eigh(fit.matrix)
    return (values > fit.floor) / (values.clip(0) + ops.double(alphas)[:, None]), vectors


class Predictions:
    """By way of the predictions themselves: few held-out rows."""

    name = "predictions"

    def __init__(self, fit: Fit, alphas: np.ndarray, cholesky: bool, ops: Any):
        self.ops, self.n_alphas, self.n_rows = ops, len(alphas), len(fit.left)
        self.stack = ops.halved(operators(fit, alphas, cholesky, ops))

    def __call__(self, moments: Any, y: Any) -> Sums:
        """`moments` (size, target), `y` (held-out row, target)."""
        found = self.ops.halved_product(self.stack, moments)
        split = self.n_alphas * self.n_rows
        about = found[:split].reshape(self.n_alphas, self.n_rows, -1)
        return Sums(self.ops.dots(about, y), self.ops.dots(about, about), self.ops.get(found[split:]).copy())


class Turned:
    """Predictions from moments turned into the training set's own axes: few targets."""

    name = "turned"

    def __init__(self, fit: Fit, alphas: np.ndarray, cholesky: bool, ops: Any):
        shrink, vectors = spectrum(fit, alphas, ops)
        left = fit.left @ vectors
        mean = left.mean(0)
        self.ops = ops
        self.back, self.left, self.mean = ops.narrow(vectors.T), ops.narrow(left - mean), ops.narrow(mean[None, :])
        self.shrink = ops.narrow(shrink)[:, :, None]

    def __call__(self, moments: Any, y: Any) -> Sums:
        """`moments` (size, target), `y` (held-out row, target)."""
        turned = self.back @ moments
        found = []
        for shrink in self.shrink:
            weights = turned * shrink
            about = self.left @ weights
            found.append((self.ops.dots(about, y), self.ops.dots(about, about), self.ops.get(self.mean @ weights)[0]))
        return Sums(*(np.stack(part) for part in zip(*found, strict=True)))


class Norms:
    """Without predictions: more held-out rows than unknowns.

    The sum of products with the response needs only the held-out rows'
    cross-products; the sum of squares is the squared norm of R w, where
    R'R = left'left and R is triangular.
    """

    name = "norms"

    def __init__(self, fit: Fit, alphas: np.ndarray, cholesky: bool, ops: Any):
        shrink, vectors = spectrum(fit, alphas, ops)
        left = fit.left @ vectors
        mean = left.mean(0)
        self.ops, self.back, self.left = ops, ops.narrow(vectors.T), ops.narrow((left - mean).T)
        self.shrink, self.means = ops.narrow(shrink), ops.narrow(shrink * mean)
        triangle = ops.triangle(left - mean)
        self.bands = [
            (slice(start, None), ops.narrow(ops.concatenate([triangle[start:end, start:] * own[start:] for own in shrink])))
            for start, end in _bands(len(triangle), fit.size)
        ]
        self.n_alphas = len(alphas)

    def __call__(self, moments: Any, y: Any) -> Sums:
        """`moments` (size, target), `y` (held-out row, target)."""
        turned = self.back @ moments
        cross = self.shrink @ (turned * (self.left @ y))
        square = 0
        for columns, band in self.bands:
            found = (band @ turned[columns]).reshape(self.n_alphas, -1, turned.shape[1])
            square = square + self.ops.dots(found, found)
        return Sums(self.ops.get(cross), square, self.ops.get(self.means @ turned))


def _bands(n_rows: int, size: int, n: int = 4) -> list[tuple[int, int]]:
    """A triangle cut into a few bands of rows, each without the zeros left of it: 5/8 of the square's work."""
    edges = np.linspace(0, min(n_rows, size), n + 1).astype(int)
    return [(int(a), int(b)) for a, b in zip(edges, edges[1:], strict=False) if b > a]


def at_chosen(fit: Fit, alphas: np.ndarray, turn: bool, cholesky: bool, ops: Any) -> "Scaled | Grouped":
    """Predictions of the test rows, each target at its own alpha."""
    return Scaled(fit, alphas, ops) if turn else Grouped(fit, alphas, cholesky, ops)


class Scaled:
    """In the training set's own axes, where an alpha is a factor for each: one product for all targets."""

    def __init__(self, fit: Fit, alphas: np.ndarray, ops: Any):
        shrink, vectors = spectrum(fit, alphas, ops)
        left = fit.left if vectors is None else fit.left @ vectors
        self.back = None if vectors is None else ops.narrow(vectors.T)
        mean = left.mean(0)
        self.left, self.mean = ops.narrow(left - mean), ops.narrow(mean[None, :])
        self.shrink, self.ops = ops.narrow(shrink.T), ops

    def __call__(self, moments: Any, best: np.ndarray) -> tuple[Any, np.ndarray]:
        """(test row, target) about its mean, and the mean."""
        turned = moments if self.back is None else self.back @ moments
        weights = turned * self.shrink[:, self.ops.rows(best)]
        return self.left @ weights, self.ops.get(self.mean @ weights)[0]


class Grouped:
    """Targets of one alpha together, each group by its operator."""

    def __init__(self, fit: Fit, alphas: np.ndarray, cholesky: bool, ops: Any):
        self.stack, self.ops = operators(fit, alphas, cholesky, ops), ops
        self.n_alphas, self.n_rows = len(alphas), len(fit.left)

    def __call__(self, moments: Any, best: np.ndarray) -> tuple[Any, np.ndarray]:
        """(test row, target) about its mean, and the mean."""
        found, mean = self.ops.empty_low(self.n_rows, len(best)), np.empty(len(best))
        for a in np.unique(best):
            own = self.ops.rows(np.flatnonzero(best == a))
            columns = moments[:, own]
            found[:, own] = self.stack[a * self.n_rows : (a + 1) * self.n_rows] @ columns
            mean[best == a] = self.ops.get(self.stack[self.n_alphas * self.n_rows + a] @ columns)
        return found, mean


HOW = {how.name: how for how in (Predictions, Turned, Norms)}
