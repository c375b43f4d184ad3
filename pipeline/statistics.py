"""How sure one may be: intervals and tests that know brain signals to be autocorrelated.

Neighbouring samples tell nearly the same, so anything that treats them as
independent finds too much: at an autocorrelation of 0.8, shuffling single
samples calls a quarter of pure noise significant at 5 %. Everything here
therefore moves blocks of neighbouring samples, never single ones, and never
across the border of a run.
"""

from collections.abc import Callable, Iterator
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Shaped
from scipy import fft, special

Run = Shaped[np.ndarray, " sample"] | None

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


def block_length(series: Shaped[np.ndarray, " sample"]) -> int:
    """Samples per block, such that neighbouring blocks are nearly independent.

    Three times the integrated autocorrelation time tau = 1 + 2 sum(rho_k).
    The sum ends at the first lag beyond 2.5 tau (Sokal's window of five times
    his tau, which is half of this one): later lags add noise alone.

    Parameters
    ----------
    series : one number per sample. A constant series has blocks of 1.

    Returns
    -------
    At least 1 and at most a quarter of the series, for fewer than four
    blocks say nothing about their spread.

    References
    ----------
    Sokal (1997), Monte Carlo Methods in Statistical Mechanics, section 3.
    """
    if len(series) == 0 or not np.isfinite(series).all():
        bad = len(series) - int(np.isfinite(series).sum())
        raise ValueError(f"a block length needs finite numbers: {bad} of {len(series)} samples are not")
    return int(_lengths(np.asarray(series, float)[:, None])[0])


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
    series = _table(values)
    block = _common_length(series, run) if block is None else block
    blocks = _blocks(_runs(run, len(series)), block)
    sums, sizes = np.stack([series[b].sum(axis=0) for b in blocks]), np.array([len(b) for b in blocks], float)
    counts = _counts(len(blocks), n, seed)
    means = counts @ sums / (counts @ sizes)[:, None]
    mean = series.mean(axis=0)
    ends = mean + _widening(len(blocks), block) * (np.quantile(means, [0.025, 0.975], axis=0) - mean)
    return Interval(*(_like(values, part) for part in (mean, *ends)))


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
    table = _table(values)
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
    return Test(_like(values, p), _like(values, mean), len(table), smallest)


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


def permute_blocks(
    Y: Shaped[np.ndarray, "sample target"],
    Y_hat: Shaped[np.ndarray, "sample target"],
    *,
    run: Run = None,
    block: int | None = None,
    n: int = 1000,
    seed: int = 0,
) -> Float[np.ndarray, " target"]:
    """p of each target's correlation with its prediction; one-sided, larger is better.

    Blocks of the prediction change places within runs, the same for all
    targets: what remains is the correlation two unrelated but equally smooth
    series would have.

    ONLY for held-out predictions: one test set that is in no training set.
    In a cross-validated score each pair of folds enters twice, and this null
    calls 10-20 % of noise significant at 5 %; such a score needs a null that
    fits again on permuted responses.

    Parameters
    ----------
    Y, Y_hat : measured and predicted responses.
    run : run of each sample; blocks stay within theirs.
    block : samples per block, by default from the responses' own
        autocorrelation (the median over targets; at most a quarter of the
        longest run).
    n : permutations.

    Returns
    -------
    (b + 1) / (n + 1), where b permutations did as well: never 0. A constant
    prediction has p = 1; a constant or incomplete target has NaN.
    """
    runs = _checked(Y, Y_hat, run)
    if block is None:
        block = min(_common_length(Y, run), max(max(map(len, runs)) // 4, 1))  # or nothing could change places
    blocks = [_blocks([rows], block) for rows in runs]
    if all(len(own) < 2 for own in blocks):
        raise ValueError(
            f"no run of {sorted({len(rows) for rows in runs})} samples holds two blocks of {block}: "
            "nothing can change places; give a smaller block"
        )
    rng = np.random.default_rng(seed)
    orders = np.stack([_order(blocks, rng) for _ in range(n)])
    return _p(Y, Y_hat, n, lambda y, p: np.stack([np.einsum("st,st->t", y, p[order]) for order in orders]))


def circular_shifts(
    Y: Shaped[np.ndarray, "sample target"],
    Y_hat: Shaped[np.ndarray, "sample target"],
    *,
    run: Run = None,
    least: int | None = None,
    n: int = 1000,
    seed: int = 0,
) -> Float[np.ndarray, " target"]:
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

    Returns
    -------
    (b + 1) / (number of shifts + 1); NaN and 1 as in `permute_blocks`.
    """
    runs = _checked(Y, Y_hat, run)
    if least is None:
        least = min(_common_length(Y, run), max(min(map(len, runs)) // 4, 1))  # so that half of all shifts remain
    if least < 1:
        raise ValueError(f"a smallest shift of {least} samples leaves the prediction where it is; it must be 1 or more")
    short = sorted({len(rows) for rows in runs if len(rows) < 2 * least})
    if short:
        raise ValueError(
            f"runs of {short} samples cannot be shifted by at least {least} both ways: at most {short[0] // 2} fits"
        )
    shifts = _shifts([len(rows) for rows in runs], least, n, seed)
    return _p(
        Y,
        Y_hat,
        len(shifts),
        lambda y, p: sum(_rolled(y[rows], p[rows])[own] for rows, own in zip(runs, shifts.T, strict=True)),
    )


def _lengths(series: Float[np.ndarray, "sample column"]) -> np.ndarray:
    n, columns = series.shape
    centred = series - series.mean(axis=0)
    power = np.abs(fft.rfft(centred, fft.next_fast_len(2 * n, real=True), axis=0)) ** 2
    covariance = fft.irfft(power, fft.next_fast_len(2 * n, real=True), axis=0)[:n]
    still = covariance[0] <= n * (8 * np.finfo(float).eps * np.abs(series).max(axis=0)) ** 2
    tau = 2 * np.cumsum(covariance / np.where(still, 1, covariance[0]), axis=0) - 1
    window = np.argmax(np.arange(n)[:, None] >= 2.5 * tau, axis=0)
    lengths = np.ceil(3 * tau[window, np.arange(columns)])
    return np.where(still, 1, np.clip(lengths, 1, max(n // 4, 1))).astype(int)


def _common_length(series: np.ndarray, run: np.ndarray | None, most: int = 200) -> int:
    """The median over columns (a spread of them where there are many), each centred within its runs."""
    some = np.asarray(series[:, :: max(series.shape[1] // most, 1)], float)
    some = some[:, np.isfinite(some).all(axis=0)]
    runs = _runs(run, len(some))
    for rows in runs:
        some[rows] -= some[rows].mean(axis=0)
    some = some[:, np.ptp(some, axis=0) > 0]
    return round(float(np.median(_lengths(some)))) if some.shape[1] else 1


def _runs(run: np.ndarray | None, n: int) -> list[np.ndarray]:
    if n == 0:
        raise ValueError("there are 0 samples; at least 1 is needed")
    return [np.arange(n)] if run is None else [np.flatnonzero(run == one) for one in dict.fromkeys(run.tolist())]


def _blocks(runs: list[np.ndarray], block: int) -> list[np.ndarray]:
    """Rows of each block; a rest shorter than a block is shared out, so no block is shorter than asked unless its run is."""
    if block < 1:
        raise ValueError(f"a block of {block} samples is none: it must be 1 or more")
    return [part for rows in runs for part in np.array_split(rows, max(len(rows) // block, 1))]


def _counts(n_blocks: int, n: int, seed: int) -> Float[np.ndarray, "n block"]:
    """How often each resample draws each block."""
    draws = np.random.default_rng(seed).integers(n_blocks, size=(n, n_blocks)) + n_blocks * np.arange(n)[:, None]
    return np.bincount(draws.ravel(), minlength=n * n_blocks).reshape(n, n_blocks).astype(float)


def _widening(n_blocks: int, block: int) -> float:
    """By how much resampled means of few, short blocks spread too little.

    Where the autocorrelation falls off exponentially, blocks of b samples
    miss (tau^2 - 1) / (2 tau b) of the variance; b is three times tau.
    """
    if n_blocks < 2:
        return np.nan
    tau = max(block / 3, 1.0)
    missed = (1 - 1 / tau**2) / 6
    few = np.sqrt(n_blocks / (n_blocks - 1)) * special.stdtrit(n_blocks - 1, 0.975) / special.ndtri(0.975)
    return float(few / np.sqrt(1 - missed))


def _table(values: np.ndarray) -> Float[np.ndarray, "row column"]:
    return np.asarray(values, float).reshape(len(values), int(np.prod(values.shape[1:])))


def _like(values: np.ndarray, part: np.ndarray) -> float | np.ndarray:
    return float(part[0]) if values.ndim == 1 else part.reshape(values.shape[1:])


def _all_signs(units: int) -> Float[np.ndarray, "pattern unit"]:
    return 1.0 - 2.0 * (np.arange(2**units)[:, None] >> np.arange(units) & 1)


def _chunks(n_targets: int, rows: int) -> Iterator[slice]:
    step = max(_CELLS // max(rows, 1), 1)
    return (slice(start, start + step) for start in range(0, n_targets, step))


def _checked(Y: np.ndarray, Y_hat: np.ndarray, run: np.ndarray | None) -> list[np.ndarray]:
    if Y.shape != Y_hat.shape:
        raise ValueError(
            f"responses are {Y.shape} and predictions {Y_hat.shape}; they must have the same samples and targets"
        )
    return _runs(run, len(Y))


def _order(blocks: list[list[np.ndarray]], rng: np.random.Generator) -> np.ndarray:
    """Rows of the prediction to be read for each row of the response, after blocks changed places within each run."""
    order = np.empty(sum(len(part) for own in blocks for part in own), int)
    for own in blocks:
        order[np.concatenate(own)] = np.concatenate([own[i] for i in rng.permutation(len(own))])
    return order


def _shifts(lengths: list[int], least: int, n: int, seed: int) -> np.ndarray:
    """One row per shift, one column per run."""
    rng = np.random.default_rng(seed)
    if len(lengths) == 1:
        every = np.arange(least, lengths[0] - least + 1)
        return (every if len(every) <= n else np.sort(rng.choice(every, n, replace=False)))[:, None]
    return np.stack([rng.integers(least, length - least + 1, size=n) for length in lengths], axis=1)


def _rolled(y: np.ndarray, p: np.ndarray) -> np.ndarray:
    """Sum of products for every circular shift of p, at once: row k is for p rolled k samples later."""
    return fft.irfft(fft.rfft(y, axis=0) * np.conj(fft.rfft(p, axis=0)), len(y), axis=0)


def _p(
    Y: np.ndarray, Y_hat: np.ndarray, n: int, null: Callable[[np.ndarray, np.ndarray], np.ndarray]
) -> Float[np.ndarray, " target"]:
    """Share of the null that is as large, target by target.

    Moving samples about changes neither mean nor variance, so the sums of
    products order the correlations; slack lets a tie be a tie.
    """
    p = np.empty(Y.shape[1])
    for part in _chunks(Y.shape[1], n + len(Y)):
        y, y_hat = (np.asarray(A[:, part], float) for A in (Y, Y_hat))
        y, y_hat = y - y.mean(axis=0), y_hat - y_hat.mean(axis=0)
        size = np.sqrt((y**2).sum(axis=0) * (y_hat**2).sum(axis=0))
        as_large = null(y, y_hat) >= (y * y_hat).sum(axis=0) - 1e-9 * size
        p[part] = (as_large.sum(axis=0) + 1) / (n + 1)
        p[part] = np.where(_flat(Y_hat[:, part]), 1.0, p[part])
    return np.where(_flat(Y) | np.isnan(Y_hat).any(axis=0), np.nan, p)


def _flat(Y: np.ndarray) -> np.ndarray:
    """Constant up to rounding, or incomplete."""
    eps = np.finfo(Y.dtype if Y.dtype.kind == "f" else float).eps
    return ~(np.ptp(Y, axis=0) > 8 * eps * np.abs(Y).max(axis=0))
