"""The workloads: whose shapes they have, which rows train and test, and the arithmetic that they need at least."""

from typing import NamedTuple

import numpy as np
from common import make

Fold = tuple[np.ndarray, np.ndarray]

N_INNER = 5
N_ALPHAS = 10


class Problem(NamedTuple):
    """What every method gets: the same rows, folds and penalties; the score is Pearson's r throughout."""

    X: np.ndarray
    Y: np.ndarray
    folds: list[Fold]
    inner: list[list[Fold]]
    alphas: np.ndarray

    def first(self, n_targets: int, n_folds: int | None = None) -> "Problem":
        """The same problem with fewer targets and, where given, fewer outer folds."""
        folds, inner = self.folds[:n_folds], self.inner[:n_folds]
        return Problem(self.X, np.ascontiguousarray(self.Y[:, :n_targets]), folds, inner, self.alphas)


class Shape(NamedTuple):
    """T training and T_test further rows, p features at `delays` delays, V targets, `outer` blocks where nested."""

    T: int
    T_test: int
    p: int
    delays: int
    V: int
    outer: int = 1


def penalties(n: int = N_ALPHAS) -> np.ndarray:
    """n penalties over three decades; for features of variance 1 the best ones lie well inside."""
    return np.logspace(1, 4, n)


def load(name: str, scale: int = 1, n_alphas: int = N_ALPHAS, seed: int = 0) -> Problem:
    """The named workload with its targets divided by `scale`."""
    shape = WORKLOADS[name]
    X, Y = make(shape.T, shape.T_test, shape.p, shape.delays, max(shape.V // scale, 1), seed)
    folds = splits(shape)
    return Problem(X, Y, folds, [blocks(train, N_INNER) for train, _ in folds], penalties(n_alphas))


def splits(shape: Shape) -> list[Fold]:
    """One split into training and later test rows, or contiguous blocks each tested once."""
    rows = np.arange(shape.T + shape.T_test)
    return blocks(rows, shape.outer) if shape.outer > 1 else [(rows[: shape.T], rows[shape.T :])]


def blocks(rows: np.ndarray, n: int) -> list[Fold]:
    """Contiguous blocks, as scikit-learn's KFold without shuffling cuts them."""
    return [(np.setdiff1d(rows, held), held) for held in np.array_split(rows, n)]


def flops(problem: Problem, least: bool = False) -> dict[str, float]:
    """Multiplications and additions of an exact answer, by part.

    With T training rows, P features, V targets, A penalties, T_val rows in an
    inner fold, T_test in an outer one:

    primal (P <= T)  gram  T P^2                     half of the symmetric product, shared by all folds
                     xty   2 T P V                   cross-products, shared by all folds
                     operators  A (P^3/3 + 2 P^2 T_val) per inner and A (P^3/3 + 2 P^2 T_test) per outer fold:
                                a Cholesky factor and a solve for each penalty; float64, counted like float32
                     val   A 2 T_val P V             per inner fold: predictions for every penalty
                     test  2 T_test P V              per outer fold: each target with its own penalty only
    norms            where T_val > P, `val` may be replaced: <y, prediction> and |prediction|^2 per penalty follow
                     from P x P products, 4 P^2 V + A 1.25 P^2 V per inner fold, after one eigendecomposition
                     (9 P^3) and its products (13/3 P^3). The smaller of the two is counted.
    dual (P > T)     kernel T^2 P, and operators, val and test with the training rows of the fold in place of P;
                     no cross-products.

    That is the count the goals are written in. With `least`, an inner fold may
    also be scored by `pipeline.ridge.predict.Norms`, where one product
    serves all penalties: 6 P^2 V + 6 A P V, whatever the rows.
    """
    n, P = problem.X.shape
    V, A = problem.Y.shape[1], len(problem.alphas)
    primal = min(len(train) for train, _ in problem.folds) >= P
    T = len(np.unique(np.concatenate([train for train, _ in problem.folds])))
    size = (lambda train: P) if primal else len
    inner = [
        min(_inner_ways(size(rows), len(held), V, A, primal, least), key=sum)
        for folds in problem.inner
        for rows, held in folds
    ]
    outer = [(_operators(size(train), len(test), A), 2 * len(test) * size(train) * V) for train, test in problem.folds]
    return {
        "gram": float(T * P**2 if primal else n**2 * P),
        "xty": float(2 * T * P * V if primal else 0),
        "operators": float(sum(own for own, _ in inner + outer)),
        "val": float(sum(own for _, own in inner)),
        "test": float(sum(own for _, own in outer)),
    }


def _inner_ways(size: int, rows: int, V: int, A: int, primal: bool, least: bool) -> list[tuple[float, float]]:
    """What does not grow with the targets and what does, for each way to score an inner fold."""
    ways = [(_operators(size, rows, A), A * 2 * rows * size * V)]
    once = (9 + 13 / 3) * size**3
    if primal and rows > size:
        ways.append((once, (4 + 1.25 * A) * size**2 * V))
    if least:
        ways.append((once, 6 * size**2 * V + 6 * A * size * V))
    return ways


def _operators(rank: int, rows: int, n_alphas: int) -> float:
    return n_alphas * (rank**3 / 3 + 2 * rank**2 * rows)


WORKLOADS = {
    "W1": Shape(8000, 800, 768, 4, 40_000),  # stories in the scanner, voxels, four delays
    "W1s": Shape(2000, 200, 192, 4, 10_000),  # a quarter of it in every direction
    "W2": Shape(627, 0, 768, 1, 10_000, outer=10),  # sentences: fewer rows than features, nested folds
    "W3s": Shape(2000, 200, 192, 1, 10_000),  # words in the MEG: many more rows than features
}
