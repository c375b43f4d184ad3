"""Tests of a prediction that was made without the samples it is tested on."""

import numpy as np
from jaxtyping import Float, Shaped

from pipeline.statistics.against import Corrected, against, check
from pipeline.statistics.blocks import Moves, Run, Shifts, moves, shifts

_CELLS = 2**20  # numbers held at once: 8 MB
_TABLE_CELLS = 2**18  # the products of all blocks are read again and again: they must stay in the cache


def permute_blocks(
    Y: Shaped[np.ndarray, "sample target"],
    Y_hat: Shaped[np.ndarray, "sample target"],
    *,
    run: Run = None,
    block: int | None = None,
    n: int = 1000,
    seed: int = 0,
    max_statistic: bool = False,
) -> Float[np.ndarray, " target"] | Corrected:
    """p of each target's correlation with its prediction; one-sided, larger is better.

    Blocks of the prediction change places within runs, the same for all
    targets: what remains is the correlation two unrelated but equally smooth
    series would have. The blocks of a run are equally long; of a run that
    they do not fill the last samples, fewer than there are blocks, stay where
    they are (see `Moves`).

    ONLY for held-out predictions: one test set that is in no training set.
    In a cross-validated score each pair of folds enters twice, and this null
    calls 10-20 % of noise significant at 5 %; such a score needs a null that
    fits again on permuted responses.

    Parameters
    ----------
    Y, Y_hat : measured and predicted responses.
    run : run of each sample; blocks stay within theirs.
    block : least samples per block, by default from the responses' own
        autocorrelation (the median over targets; at most a quarter of the
        longest run).
    n : permutations.
    max_statistic : also correct for all targets, by the permutations' largest
        statistic over targets, and return both (`Corrected`).

    Returns
    -------
    (b + 1) / (n + 1), where b permutations did as well: never 0. A constant
    prediction has p = 1; a constant or incomplete target has NaN. Memory
    grows with neither targets nor (but for 16 bytes per block) permutations.
    """
    check(Y, Y_hat)
    found = moves(Y, run, block, n, seed)
    if _few_blocks(found):
        table = _Table(found)
        step = max(_TABLE_CELLS // (table.cells + n + len(Y)), 1)
        return against(Y, Y_hat, n, table, step, max_statistic, found.missed)
    return against(Y, Y_hat, n, lambda y, p: _moved_whole(y, p, found), _step(n + len(Y)), max_statistic, found.missed)


def circular_shifts(
    Y: Shaped[np.ndarray, "sample target"],
    Y_hat: Shaped[np.ndarray, "sample target"],
    *,
    run: Run = None,
    least: int | None = None,
    n: int = 1000,
    seed: int = 0,
    max_statistic: bool = False,
) -> Float[np.ndarray, " target"] | Corrected:
    """p of each target's correlation with its prediction, against the prediction at the wrong time.

    Each run's prediction is rolled around its run, so that its smoothness
    survives whole (blocks break it at every border). For held-out
    predictions only, as `permute_blocks`.

    Parameters
    ----------
    Y, Y_hat : measured and predicted responses.
    run : run of each sample; each run is rolled by a shift of its own.
    least : smallest shift in samples, either way; by default the block
        length of the responses (at most a quarter of the shortest run). Shorter shifts are nearly the observed one.
    n : most shifts. A single run has only len - 2 least + 1 of them: if these
        are no more than `n`, each is taken once.
    max_statistic : also correct for all targets, as in `permute_blocks`.

    Returns
    -------
    (b + 1) / (number of shifts + 1); NaN and 1 as in `permute_blocks`.
    """
    check(Y, Y_hat)
    found = shifts(Y, run, least, n, seed)
    return against(Y, Y_hat, found.n, lambda y, p: _rolled_all(y, p, found), _step(found.n + len(Y)), max_statistic)


class _Table:
    """Sums of products under every permutation, from those of each block of y with each block of p.

    A permutation brings each block of y together with some block of p, so its
    sum is that of one entry per block: for blocks of ten samples a tenth of
    the work, and each permutation is a row of a sparse matrix of ones.
    """

    def __init__(self, found: Moves):
        from scipy import sparse  # heavy, and only this needs it

        self.places, self.still = found.places, found.still
        sizes = [len(places) for places in self.places]
        ends = np.cumsum([size**2 for size in sizes])
        self.cells = int(ends[-1]) + 1
        reads = [
            end - size**2 + size * np.arange(size) + drawn
            for end, size, drawn in zip(ends, sizes, found.draws, strict=True)
        ]
        # all permutations also read the last entry: the samples that never move
        columns = np.hstack([*reads, np.full((found.n, 1), self.cells - 1)]).astype(np.int32)
        rows = np.arange(0, columns.size + 1, columns.shape[1], dtype=np.int32)
        self.reads = sparse.csr_array((np.ones(columns.size), columns.ravel(), rows), shape=(found.n, self.cells))

    def __call__(self, y: np.ndarray, p: np.ndarray) -> np.ndarray:
        table = np.empty((self.cells, y.shape[1]))
        end = 0
        for places in self.places:
            start, end = end, end + len(places) ** 2
            products = _in_blocks(y, places) @ _in_blocks(p, places).transpose(0, 2, 1)
            table[start:end] = products.reshape(y.shape[1], end - start).T
        table[-1] = np.einsum("st,st->t", y[self.still], p[self.still])
        return self.reads @ table


def _in_blocks(y: np.ndarray, places: np.ndarray) -> Float[np.ndarray, "target block length"]:
    return np.ascontiguousarray(y[places.ravel()].T).reshape(-1, *places.shape)


def _few_blocks(found: Moves) -> bool:
    """Is a table cheaper than moving all samples? The weights are those of measured times, in products."""
    n_blocks = sum(map(len, found.places))
    pairs = sum(len(places) ** 2 for places in found.places)
    return 8 * pairs + 3 * found.n * n_blocks <= found.n * found.n_samples


def _moved_whole(y: np.ndarray, p: np.ndarray, found: Moves) -> np.ndarray:
    orders = (found.orders(i, i + 1)[0] for i in range(found.n))
    return np.stack([np.einsum("st,st->t", y, p[order]) for order in orders])


def _rolled_all(y: np.ndarray, p: np.ndarray, found: Shifts) -> np.ndarray:
    return sum(_rolled(y[rows], p[rows])[own] for rows, own in zip(found.runs, found.shifts.T, strict=True))


def _rolled(y: np.ndarray, p: np.ndarray) -> np.ndarray:
    """Sum of products for every circular shift of p, at once: row k is for p rolled k samples later."""
    from scipy import fft

    return fft.irfft(fft.rfft(y, axis=0) * np.conj(fft.rfft(p, axis=0)), len(y), axis=0)


def _step(rows: int) -> int:
    """Targets at a time."""
    return max(_CELLS // rows, 1)
