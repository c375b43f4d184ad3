"""How well any model could do: the noise of the recording sets the limit, not the model.

What differs between two presentations of the same stimulus cannot be
predicted from the stimulus. A score is only given as a share of what can,
and only where that is more than nothing.
"""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Shaped

_CELLS = 2**19  # numbers per array held at once: 4 MB, so that resampling stays near the processor
_LEAST = 1e-12  # share of the other below which signal or noise is rounding; keeps a logarithm finite


class Ceiling(NamedTuple):
    """One number per target, each NaN where nothing can be known.

    value : the best correlation possible with the mean over repeats; negative
        where repeats agree less than chance (half of the targets that hold no
        signal), for clipping them would make a ceiling out of noise.
    low, high : 95 % interval of `value`.
    unit : what `value` limits: "r".
    valid : whether `low` is above 0; nothing may be divided by the others.
    explainable : share of the variance of the mean over repeats that is
        signal: the limit for R2, unclipped. `value` is its signed root.
    """

    value: np.ndarray
    low: np.ndarray
    high: np.ndarray
    unit: str
    valid: np.ndarray
    explainable: np.ndarray


def repeats(
    Y: Shaped[np.ndarray, "repeat sample target"],
    *,
    run: Shaped[np.ndarray, " sample"] | None = None,
    n: int = 1000,
    seed: int = 0,
    block: int | None = None,
) -> Ceiling:
    """Ceiling from repeated presentations: variance that comes back is signal.

    The signal power SP = [Var(sum of repeats) - sum of Var(repeat)] / R(R-1)
    is unbiased, with autocorrelated noise too, as long as repeats share
    nothing but the stimulus (a drift common to all of them counts as signal).

    The interval resamples blocks of time. Quantiles of the resampled ceilings
    themselves cover too rarely (84-95 % where 95 % is claimed): the ceiling
    is skewed and bounded, and its spread grows as it falls. So the
    bootstrap works on log F, F = variance between samples over variance
    within, of which the ceiling is a function (explainable = 1 - 1/F) and
    whose spread hardly depends on its size, and it is studentised: each
    resample is measured in its own standard error, which also mends the
    skew. Two known shortfalls of block sums are added: there are only so
    many blocks (B / (B - 1)), and blocks of three autocorrelation times miss
    up to a sixth of the variance.

    Parameters
    ----------
    Y : the same stimulus two times or more. float32 stays float32; only a
        few targets at a time are computed with, in float64.
    run : run of each sample; every run of every repeat is centred by itself,
        and no block spans two runs.
    n : resamples.
    block : samples per block; by default three autocorrelation times of what
        is summed, the upper quartile over (some of) the targets, because too
        short a block claims too much and too long a block little too little.

    Returns
    -------
    For targets that are constant or incomplete NaN, and `valid` False.

    References
    ----------
    Sahani & Linden (2003), NIPS 15. Schoppe et al. (2016), Front. Comput.
    Neurosci. 10:10. Davison & Hinkley (1997), Bootstrap Methods, 5.2 and 8.2.
    """
    if len(Y) < 2:
        raise ValueError(
            f"a ceiling from repeats needs at least two presentations of the same stimulus and got {len(Y)}: "
            "without a second one, signal and noise cannot be told apart; choose ceiling kind `none`"
        )
    runs = _runs(run, Y.shape[1])
    block = _block(Y, runs) if block is None else block
    starts = _starts(runs, block)
    counts = _counts(len(starts), n, seed)
    order = np.concatenate(runs)
    parts = [
        _some(Y[:, :, part], runs, order, starts, counts, block)
        for part in _chunks(Y.shape[2], max(n, Y.shape[0] * Y.shape[1]))
    ]
    explainable, low, high = np.concatenate(parts, axis=1) if parts else np.empty((3, 0))
    return Ceiling(_signed_root(explainable), _signed_root(low), _signed_root(high), "r", low > 0, explainable)


def none(Y: Shaped[np.ndarray, "repeat sample target"]) -> Ceiling:
    """No ceiling: scores stand as they are, and nothing is called a share of what is possible."""
    unknown = np.full(Y.shape[2], np.nan)
    return Ceiling(unknown, unknown.copy(), unknown.copy(), "r", np.zeros(Y.shape[2], bool), unknown.copy())


def _some(
    Y: np.ndarray, runs: list[np.ndarray], order: np.ndarray, starts: np.ndarray, counts: np.ndarray, block: int
) -> Float[np.ndarray, "three target"]:
    """Explainable variance and both ends of its interval, for a few targets."""
    with np.errstate(all="ignore"):  # targets without variance become NaN below
        between, within = (np.add.reduceat(part[order], starts, axis=0) for part in _powers(Y, runs))
        noise = within.sum(axis=0) / between.sum(axis=0)  # share of the variance of the mean over repeats, 1 / F
        smaller, larger = _factors(between, within, counts, block)
    return np.where(_unknown(Y), np.nan, 1 - noise * np.stack([np.ones_like(noise), larger, smaller]))


def _powers(Y: np.ndarray, runs: list[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """What each sample adds to the variance between samples and to that within samples (between repeats)."""
    Y = np.array(Y, dtype=float)
    for rows in runs:
        Y[:, rows] -= Y[:, rows].mean(axis=1, keepdims=True)
    mean = Y.mean(axis=0)
    return len(Y) * mean**2, ((Y - mean) ** 2).sum(axis=0) / (len(Y) - 1)


def _factors(between: np.ndarray, within: np.ndarray, counts: np.ndarray, block: int) -> tuple[np.ndarray, np.ndarray]:
    """What 1 / F is multiplied by at the ends of the studentised interval of log F."""
    between, within = (
        np.maximum(between, _LEAST * within.mean(axis=0)),
        np.maximum(within, _LEAST * between.mean(axis=0)),
    )
    between, within = between / between.sum(axis=0), within / within.sum(axis=0)  # so that log F of the data is 0
    top, bottom = counts @ between, counts @ within
    error = (
        (counts @ between**2) / top**2
        + (counts @ within**2) / bottom**2
        - 2 * (counts @ (between * within)) / (top * bottom)
    )
    t = np.log(top / bottom) / np.sqrt(np.maximum(error, _LEAST))
    own = _widening(len(between), block) * np.sqrt(((between - within) ** 2).sum(axis=0))
    ends = np.quantile(t, [0.025, 0.975], axis=0, overwrite_input=True)
    smaller, larger = np.exp(ends * own)
    return smaller, larger


def _widening(n_blocks: int, block: int) -> float:
    """What sums of few, short blocks leave out of a standard error.

    Where the autocorrelation falls off exponentially, blocks of b samples
    miss (tau^2 - 1) / (2 tau b) of the variance; b is three times tau.
    """
    tau = max(block / 3, 1.0)
    return float(np.sqrt(n_blocks / (n_blocks - 1) / (1 - (1 - 1 / tau**2) / 6)))


def _unknown(Y: np.ndarray) -> np.ndarray:
    """Targets that are incomplete, or constant (up to rounding) in every repeat."""
    eps = np.finfo(Y.dtype if Y.dtype.kind == "f" else float).eps
    still = np.ptp(Y, axis=1) <= 8 * eps * np.abs(Y).max(axis=1, initial=0)
    return still.all(axis=0) | ~np.isfinite(Y).all(axis=(0, 1))


def _block(Y: np.ndarray, runs: list[np.ndarray], most: int = 200) -> int:
    """Three autocorrelation times of each sample's pull on log F; fewer where four blocks would not remain."""
    some = Y[:, :, :: max(Y.shape[2] // most, 1)]
    between, within = _powers(some[:, :, ~_unknown(some)], runs)
    with np.errstate(all="ignore"):
        pull = between / between.sum(axis=0) - within / within.sum(axis=0)
    lengths = _lengths(pull[:, np.isfinite(pull).all(axis=0)])
    wanted = int(np.ceil(np.quantile(lengths, 0.75))) if len(lengths) else 1
    return next((b for b in range(wanted, 1, -1) if sum(max(len(rows) // b, 1) for rows in runs) >= 4), 1)


def _lengths(series: Float[np.ndarray, "sample column"]) -> np.ndarray:
    """As `pipeline.statistics.block_length`, for many series at once."""
    from scipy import fft

    n, columns = series.shape
    size = fft.next_fast_len(2 * n, real=True)
    power = np.abs(fft.rfft(series - series.mean(axis=0), size, axis=0)) ** 2
    covariance = fft.irfft(power, size, axis=0)[:n]
    tau = 2 * np.cumsum(covariance / np.maximum(covariance[0], np.finfo(float).tiny), axis=0) - 1
    window = np.argmax(np.arange(n)[:, None] >= 2.5 * tau, axis=0)
    return np.clip(np.ceil(3 * tau[window, np.arange(columns)]), 1, max(n // 4, 1))


def _runs(run: np.ndarray | None, n: int) -> list[np.ndarray]:
    return [np.arange(n)] if run is None else [np.flatnonzero(run == one) for one in dict.fromkeys(run.tolist())]


def _starts(runs: list[np.ndarray], block: int) -> np.ndarray:
    """First row of each block, runs laid end to end; a rest is shared out among the blocks of its run."""
    if block < 1:
        raise ValueError(f"a block of {block} samples is none: it must be 1 or more")
    sizes = [len(part) for rows in runs for part in np.array_split(rows, max(len(rows) // block, 1))]
    if len(sizes) < 4:
        raise ValueError(
            f"{sum(sizes)} samples in {len(runs)} run(s) hold {len(sizes)} block(s) of {block}: "
            "an interval needs at least 4 blocks; give more samples or a smaller block"
        )
    return np.concatenate([[0], np.cumsum(sizes)[:-1]])


def _counts(n_blocks: int, n: int, seed: int) -> Float[np.ndarray, "n block"]:
    """How often each resample draws each block."""
    draws = np.random.default_rng(seed).integers(n_blocks, size=(n, n_blocks)) + n_blocks * np.arange(n)[:, None]
    return np.bincount(draws.ravel(), minlength=n * n_blocks).reshape(n, n_blocks).astype(float)


def _chunks(n_targets: int, rows: int) -> list[slice]:
    step = max(_CELLS // rows, 1)
    return [slice(start, start + step) for start in range(0, n_targets, step)]


def _signed_root(share: np.ndarray) -> np.ndarray:
    return np.sign(share) * np.sqrt(np.abs(share))


CEILINGS = {"repeats": repeats, "none": none}
