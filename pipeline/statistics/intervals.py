"""Intervals of a mean and tests of a sign, and how many findings are false among many."""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Shaped

from pipeline.statistics.blocks import Run, common_length, missed, split_blocks, split_runs

_CELLS = 2**20  # numbers held at once by a test over many targets: 8 MB


class Interval(NamedTuple):
    """A mean and its 95 % interval: floats for one series, arrays for several; NaN ends where one block is all there is."""

    mean: float | np.ndarray
    low: float | np.ndarray
    high: float | np.ndarray


class Test(NamedTuple):
    """A p-value beside what it could at best have been; with three units not even a perfect effect reaches 0.05."""

    p: float | np.ndarray
    mean: float | np.ndarray
    n_units: int
    smallest_p: float


def bootstrap(
    values: Shaped[np.ndarray, "sample ..."],
    *,
    run: Run = None,
    block: int | None = None,
    n: int = 1000,
    seed: int = 0,
) -> Interval:
    """The mean over samples and its 95 % interval over resampled blocks.

    The percentile interval of few blocks is too narrow: by the factor that
    separates the normal from Student's t and the n from the n - 1 variance
    (Hesterberg's expanded percentile interval), and by what neighbouring
    blocks still share. It is widened about the mean by just these.

    Parameters
    ----------
    values : one series, or several as columns; all are resampled alike, so
        that differences between columns keep their pairing.
    run : run of each sample; no block spans two runs.
    block : samples per block, by default from the data (the median over columns).
    n : resamples.

    References
    ----------
    Künsch (1989), Annals of Statistics 17, 1217-1241.
    Hesterberg (2015), American Statistician 69, 371-386, section 5.
    """
    series = table_of(values)
    block = common_length(series, run) if block is None else block
    means, n_blocks = _means(series, run, block, n, seed)
    mean = series.mean(axis=0)
    ends = mean + _widening(n_blocks, block) * (np.quantile(means, [0.025, 0.975], axis=0) - mean)
    return Interval(*(like(values, part) for part in (mean, *ends)))


def resampled(
    values: Shaped[np.ndarray, "sample column"],
    *,
    over: Shaped[np.ndarray, " sample"] | None = None,
    run: Run = None,
    block: int,
    n: int = 1000,
    seed: int = 0,
) -> Float[np.ndarray, "draw column"]:
    """Means of several columns over resampled blocks, for the interval of what is made of several means.

    A share that is held within limits, or a sum of means, is formed in every
    draw; its interval lies between the 2.5 and 97.5 % quantiles. Draws are
    widened about the mean as in `bootstrap`, whose interval they give where a
    column is told as it is. The same seed draws the same blocks.

    Parameters
    ----------
    over : a series whose mean, over the same blocks, divides that of each column.

    Returns
    -------
    One row per draw; NaN where one block is all there is.
    """
    columns = table_of(values) if over is None else np.column_stack([table_of(values), over])
    means, n_blocks = _means(columns, run, block, n, seed)
    mean = columns.mean(axis=0)
    if over is not None:
        means, mean = means[:, :-1] / means[:, -1:], mean[:-1] / mean[-1]
    return mean + _widening(n_blocks, block) * (means - mean)


def n_blocks(n_samples: int, *, run: Run = None, block: int) -> int:
    """How many blocks there are to resample."""
    return len(split_blocks(split_runs(run, n_samples), block))


def sign_flip(values: Shaped[np.ndarray, "unit ..."], *, n: int = 10000, seed: int = 0) -> Test:
    """Is the mean over units (subjects, runs) other than zero? Two-sided.

    If nothing is there, each unit's sign was a coin's. All patterns of signs
    are tried where there are no more than `n` (p is then their share, the
    observed one included); otherwise `n` are drawn and p = (b + 1) / (n + 1).

    Parameters
    ----------
    values : one number per unit, or several as columns, flipped alike. A
        column with a missing unit has no p: NaN.
    n : most patterns to try.

    Returns
    -------
    `smallest_p` is what these units could reach at best: 0.25 for three.
    """
    table = table_of(values)
    if not len(table):
        raise ValueError("a sign-flip test needs at least 1 unit and got 0")
    exact = 2 ** len(table) <= n
    signs = _all_signs(len(table)) if exact else np.random.default_rng(seed).choice([-1.0, 1.0], (n, len(table)))
    extra = 0 if exact else 1  # the observed pattern is one of all patterns, but none of those drawn
    p = np.empty(table.shape[1])
    for part in _chunks(table.shape[1], len(signs)):
        sums, slack = np.abs(signs @ table[:, part]), 1e-9 * np.abs(table[:, part]).sum(axis=0)
        p[part] = ((sums >= np.abs(table[:, part].sum(axis=0)) - slack).sum(axis=0) + extra) / (len(signs) + extra)
    mean = table.mean(axis=0)
    p[np.isnan(mean)] = np.nan
    smallest = min(1.0, 2 / len(signs)) if exact else 1 / (n + 1)
    return Test(like(values, p), like(values, mean), len(table), smallest)


def fdr(p: Shaped[np.ndarray, "*test"]) -> Float[np.ndarray, "*test"]:
    """Benjamini-Hochberg q-values: below 0.05, one in twenty of the findings is expected to be false.

    A missing p (NaN) stays missing and is not counted among the tests.
    """
    p = np.asarray(p, float)
    q, told = np.full(p.shape, np.nan), ~np.isnan(p)
    if told.any():
        from scipy import stats  # heavy, and only this needs it

        q[told] = stats.false_discovery_control(p[told])
    return q


def _means(series: np.ndarray, run: Run, block: int, n: int, seed: int) -> tuple[np.ndarray, int]:
    """(draw, column) means of resampled blocks, and how many blocks there are."""
    blocks = split_blocks(split_runs(run, len(series)), block)
    sums, sizes = np.stack([series[b].sum(axis=0) for b in blocks]), np.array([len(b) for b in blocks], float)
    drawn = counts(len(blocks), n, np.random.default_rng(seed))
    return drawn @ sums / (drawn @ sizes)[:, None], len(blocks)


def counts(n_blocks: int, n: int, rng: np.random.Generator) -> Float[np.ndarray, "n block"]:
    """How often each resample draws each block."""
    draws = rng.integers(n_blocks, size=(n, n_blocks)) + n_blocks * np.arange(n)[:, None]
    return np.bincount(draws.ravel(), minlength=n * n_blocks).reshape(n, n_blocks).astype(float)


def _widening(n_blocks: int, block: int) -> float:
    """By how much resampled means of few, short blocks spread too little."""
    if n_blocks < 2:
        return np.nan
    few = np.sqrt(n_blocks / (n_blocks - 1)) * students_t(n_blocks - 1.0) / students_t(np.inf)
    return float(few / np.sqrt(1 - missed(block)))


def students_t(df: float) -> float:
    """The end of an interval of 95 %, in standard errors."""
    from scipy import special

    return float(special.stdtrit(min(df, 1e9), 0.975))  # of infinitely many it has none, and the normal's is this


def table_of(values: np.ndarray) -> Float[np.ndarray, "row column"]:
    return np.asarray(values, float).reshape(len(values), int(np.prod(values.shape[1:])))


def like(values: np.ndarray, part: np.ndarray) -> float | np.ndarray:
    return float(part[0]) if values.ndim == 1 else part.reshape(values.shape[1:])


def _all_signs(units: int) -> Float[np.ndarray, "pattern unit"]:
    return 1.0 - 2.0 * (np.arange(2**units)[:, None] >> np.arange(units) & 1)


def _chunks(n_targets: int, rows: int) -> Iterator[slice]:
    step = max(_CELLS // max(rows, 1), 1)
    return (slice(start, start + step) for start in range(0, n_targets, step))
