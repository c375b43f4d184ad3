"""From a factorised training set and a chunk of targets to the sums every score is made of.

What does not scale with targets is formed once, in double precision, for all
alphas. What does is one product in single precision per chunk. Neither
weights for every alpha nor predictions for all targets are ever formed.
"""

from typing import Any, NamedTuple

import numpy as np

from pipeline.ridge.factor import Fit

NEAR = 0.01  # of eigenvalue + alpha: at that distance both forms of h_p h_q are good to single precision
BLOCK = 64  # rows of near pairs taken together
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

    def __call__(self, moments: Any, y: Any, held: Any = None) -> Sums:
        """`moments` (size, target), `y` (held-out row, target); `held` is not needed."""
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

    def __call__(self, moments: Any, y: Any, held: Any = None) -> Sums:
        """`moments` (size, target), `y` (held-out row, target); `held` is not needed."""
        turned = self.back @ moments
        found = []
        for shrink in self.shrink:
            weights = turned * shrink
            about = self.left @ weights
            found.append((self.ops.dots(about, y), self.ops.dots(about, about), self.ops.get(self.mean @ weights)[0]))
        return Sums(*(np.stack(part) for part in zip(*found, strict=True)))


class Norms:
    """Without predictions, and with every alpha for the price of one.

    In the training set's axes the weights are h_p z_p, with h = 1 / (s + alpha)
    and z the moments. What a score needs of the predictions is then
    sum_p h_p z_p b_p, where b are the held-out rows' products with the
    response, and w'Mw for the held-out rows' own products M. The latter too
    is linear in h, because of

        h_p h_q = (h_p - h_q) / (s_q - s_p),

    so that one product with N_pq = M_pq / (s_q - s_p) serves all alphas:
    w'Mw = 2 sum_p h_p z_p (N z)_p. Where two eigenvalues are so near that the
    difference would lose digits, h_p h_q is (h_p^2 + h_q^2) / 2 but for half
    the squared relative difference of h.
    """

    name = "norms"

    def __init__(self, fit: Fit, alphas: np.ndarray, cholesky: bool, ops: Any):
        self.ops = ops
        values, vectors = ops.eigh(fit.matrix)
        values = values.clip(0)
        left = fit.left @ vectors
        mean = left.mean(0)
        left = (left - mean) * (values > fit.floor)
        shrink = (values > fit.floor) / (values + ops.double(alphas)[:, None])
        self.shrink, self.means, self.squared = (ops.narrow(x) for x in (shrink, shrink * mean, shrink**2))
        # N is antisymmetric: z'Nz is 0, and what all h have in common may go before it is rounded
        common = (shrink @ values**2) / (values**2).sum() if len(values) else shrink.sum(1)
        self.apart = ops.narrow(1 / (values + ops.double(alphas)[:, None]) - common[:, None])
        self.back, self.left = ops.narrow(vectors.T), ops.narrow(left.T)
        self.far, self.near = _far_and_near(left.T @ left, ops.get(values), float(alphas[0]), ops)

    def __call__(self, moments: Any, y: Any, held: Any = None) -> Sums:
        """`moments` (size, target), `y` (held-out row, target); `held`, their cross-products, if these are at hand."""
        turned, shrink, get = self.back @ moments, self.shrink, self.ops.get
        products = self.left @ y if held is None else self.back @ held
        products *= turned
        far, near = self.far @ turned, self.ops.empty_like(turned)
        for rows, columns, block in self.near:
            near[rows] = block @ turned[columns]
        far *= turned
        near *= turned
        square = 2 * get(self.apart @ far) + get(self.squared @ near)
        return Sums(get(shrink @ products), square, get(self.means @ turned))


def _far_and_near(products: Any, values: np.ndarray, alpha: float, ops: Any) -> tuple[Any, list]:
    """N of the pairs that are apart, and blocks (rows, columns, M) that hold the others; eigenvalues ascend."""
    reach = NEAR * (values + alpha)
    step = values[None, :] - values[:, None]
    close = np.abs(step) <= np.maximum(reach[None, :], reach[:, None])
    far = products * ops.double(np.where(close, 0, 1 / np.where(close, 1, step)))
    blocks = []
    for start in range(0, len(values), BLOCK):
        rows = slice(start, start + BLOCK)
        columns = np.flatnonzero(close[rows].any(axis=0))
        columns = slice(int(columns[0]), int(columns[-1]) + 1)
        blocks.append((rows, columns, ops.narrow(products[rows, columns] * ops.double(close[rows, columns]))))
    return ops.narrow(far), blocks


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
