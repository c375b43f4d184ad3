"""Which way is cheapest: counted in single-precision multiply-adds, with rates measured once per kind of operation."""

from typing import Any, NamedTuple

from pipeline.ridge.predict import BLOCK, Norms, Predictions, Turned

DOUBLE = 2.0  # single-precision multiply-adds in the time of one in double precision
FACTOR, SOLVE = 0.42, 1.6  # of size^3 and of size^2 rows: a Cholesky factor and its solution, slower than products
SCALE = 8.0  # a product of single numbers, in memory's time, against one inside a matrix product
STACKS = 2**30  # bytes of operators held at a time; what is beyond is another pass over the targets
CHUNK = 2**27  # bytes of responses, moments and predictions at a time


class Way(NamedTuple):
    """How a training set predicts: one of `predict.HOW`, and by which factorisation."""

    how: str
    cholesky: bool

    def __str__(self) -> str:
        return self.how + (" by Cholesky" if self.cholesky else "")


def inner_way(size: int, n_rows: int, n_targets: int, n_alphas: int, n_nodes: int, safe: bool, ops: Any) -> Way:
    """For the scores of all alphas on held-out rows.

    `n_nodes` stand for `n_alphas` where each costs products of its own; `safe`: alphas are large enough for
    Cholesky factors.
    """
    every = n_nodes * n_rows * size
    eigh = DOUBLE * (ops.eigh_cost * size**3 + size**2 * n_rows)
    costs = {
        Way(Predictions.name, False): eigh + every * size + n_targets * every,
        Way(Turned.name, False): eigh + n_targets * (size**2 + every + SCALE * n_nodes * size),
    }
    if safe:
        costs[Way(Predictions.name, True)] = _cholesky(size, n_rows, n_nodes) + n_targets * every
    if not ops.exact:
        each = size * (2 * size + min(n_rows, size) + 1.5 * BLOCK + 3 * n_alphas + 4 * SCALE)
        costs[Way(Norms.name, False)] = eigh + DOUBLE * size**2 * (n_rows + SCALE) + n_targets * each
    return min(costs, key=costs.__getitem__)


def final_way(size: int, n_rows: int, n_targets: int, n_alphas: int, diagonal: bool, safe: bool, ops: Any) -> Way:
    """For the predictions of test rows, each target at its own alpha."""
    if diagonal:
        return Way("scaled", False)
    eigh = DOUBLE * (ops.eigh_cost * size**3 + size**2 * n_rows)
    costs = {
        Way("scaled", False): eigh + n_targets * size**2,
        Way("grouped", False): eigh + n_alphas * n_rows * size**2,
    }
    if safe:
        costs[Way("grouped", True)] = _cholesky(size, n_rows, n_alphas)
    return min(costs, key=costs.__getitem__)


def _cholesky(size: int, n_rows: int, n_alphas: int) -> float:
    return DOUBLE * n_alphas * (FACTOR * size**3 + SOLVE * size**2 * n_rows)


def targets_per_chunk(n_train: int, size: int, n_rows: int, n_parts: int, ops: Any) -> int:
    """As many as fit into `CHUNK` bytes; never more than is good for the device."""
    each = 4 * (5 * n_train + (2 * n_parts + 6) * size + n_rows)
    return int(min(max(CHUNK // max(each, 1), 16), ops.targets_at_once))


def passes(bytes_each: list[int]) -> list[slice]:
    """Inner folds whose operators fit into memory together."""
    found, start, total = [], 0, 0
    for i, size in enumerate(bytes_each):
        if i > start and total + size > STACKS:
            found.append(slice(start, i))
            start, total = i, 0
        total += size
    return [*found, slice(start, len(bytes_each))]
