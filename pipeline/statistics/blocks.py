"""Stretches of neighbouring samples: how long they must be, and how they change places."""

import numpy as np
from jaxtyping import Int, Shaped

Run = Shaped[np.ndarray, " sample"] | None


class Moves:
    """Permutations of blocks, the same for all targets, that leave every run to itself.

    A permutation test is exact only if what changes places is alike. So all
    blocks of a run have one length: the longest of which as many fit as of
    the asked one. The rest, less than one sample per block, stays at the end
    of the run in every permutation: it adds the same to the observed sum and
    to each permuted one, and decides nothing.

    Attributes
    ----------
    places : (block, length) rows, for each run of two blocks or more.
    draws : for each of these runs, (permutation, block): the block to be read at each place.
    missed : share of the variance of a sum of products that blocks of this
        length miss, as neighbouring ones still share something.
    """

    def __init__(self, runs: list[np.ndarray], block: int, n: int, seed: int):
        if n < 1:
            raise ValueError(f"a test of {n} permutations is none: n must be 1 or more")
        self.places = [places for places in (_places(rows, block) for rows in runs) if len(places) > 1]
        if not self.places:
            raise ValueError(
                f"no run of {sorted({len(rows) for rows in runs})} samples holds two blocks of {block}: "
                f"nothing can change places; at most {max(map(len, runs)) // 2} fits"
            )
        rng = np.random.default_rng(seed)
        self.draws = [
            rng.permuted(np.tile(np.arange(len(places), dtype=np.int32), (n, 1)), axis=1) for places in self.places
        ]
        self.n, self.n_samples = n, sum(map(len, runs))
        self.missed = _missed_of_products(block)

    @property
    def still(self) -> Int[np.ndarray, " still"]:
        """Rows that never move."""
        return np.setdiff1d(np.arange(self.n_samples), np.concatenate([places.ravel() for places in self.places]))

    def orders(self, start: int, stop: int) -> Int[np.ndarray, "permutation sample"]:
        """Row to be read at each row, in some of the permutations."""
        rows = np.tile(np.arange(self.n_samples), (min(stop, self.n) - start, 1))
        for places, draws in zip(self.places, self.draws, strict=True):
            rows[:, places.ravel()] = places[draws[start:stop]].reshape(len(rows), places.size)
        return rows


class Shifts:
    """Rolls of every run around itself, the same for all targets.

    Attributes
    ----------
    runs : rows of each run.
    shifts : (permutation, run) samples by which each is rolled, at least `least` either way.
    n : how many there are. A single run has only len - 2 least + 1: if these
        are no more than asked for, each is taken once.
    """

    missed = 0.0  # no border is broken

    def __init__(self, runs: list[np.ndarray], least: int, n: int, seed: int):
        check_shift(runs, least)
        lengths, rng = [len(rows) for rows in runs], np.random.default_rng(seed)
        if len(runs) == 1:
            every = np.arange(least, lengths[0] - least + 1)
            self.shifts = (every if len(every) <= n else np.sort(rng.choice(every, n, replace=False)))[:, None]
        else:
            self.shifts = np.stack([rng.integers(least, length - least + 1, size=n) for length in lengths], axis=1)
        self.runs, self.n, self.n_samples = runs, len(self.shifts), sum(lengths)

    def orders(self, start: int, stop: int) -> Int[np.ndarray, "permutation sample"]:
        """Row to be read at each row, in some of the permutations."""
        some = self.shifts[start:stop]
        orders = np.empty((len(some), self.n_samples), int)
        for rows, shift in zip(self.runs, some.T, strict=True):
            orders[:, rows] = rows[(np.arange(len(rows)) - shift[:, None]) % len(rows)]
        return orders


def shifts(Y: Shaped[np.ndarray, "sample target"], run: Run, least: int | None, n: int, seed: int) -> Shifts:
    """Rolls by as much as asked, or by an autocorrelation time of the responses.

    Where nothing is to be found all shifts are alike, and those near 0 are as
    high or low as the observed one. Left out, they are missing where it is
    high: so no more of them are than a response that is found would need.
    """
    runs = split_runs(run, len(Y))
    if least is None:
        least = min(-(-common_length(Y, run) // 3), max(min(map(len, runs)) // 4, 1))  # so that half of all remain
    return Shifts(runs, least, n, seed)


def missed(block: float | int, length: float | int | None = None) -> float:
    """Share of the variance that blocks miss, as neighbouring ones still share something.

    Where the autocorrelation falls off exponentially, blocks of b samples
    miss (tau^2 - 1) / (2 tau b) of the variance.

    Parameters
    ----------
    block : the length found from the data, three times tau.
    length : b, where the blocks have another length.
    """
    tau = max(block / 3, 1.0)
    return min((tau**2 - 1) / (2 * tau * (3 * tau if length is None else length)), 0.5)


def _missed_of_products(block: int) -> float:
    """As `missed`, for products of two series that are both as smooth as the block is long for.

    If each follows its own past by phi, their product does by phi squared,
    and so has a shorter memory than either.
    """
    tau = max(block / 3, 1.0)
    phi = (tau - 1) / (tau + 1)
    both = (1 + phi**2) / (1 - phi**2)
    return missed(3 * both, block)


def check_shift(runs: list[np.ndarray], least: int) -> None:
    if least < 1:
        raise ValueError(f"a smallest shift of {least} samples leaves a series where it is; it must be 1 or more")
    short = sorted({len(rows) for rows in runs if len(rows) < 2 * least})
    if short:
        raise ValueError(
            f"runs of {short} samples cannot be shifted by at least {least} both ways: at most {short[0] // 2} fits"
        )


def moves(Y: Shaped[np.ndarray, "sample target"], run: Run, block: int | None, n: int, seed: int) -> Moves:
    """Blocks as long as asked, or as the responses' own smoothness wants them."""
    runs = split_runs(run, len(Y))
    if block is None:
        block = min(common_length(Y, run), max(max(map(len, runs)) // 4, 1))  # or nothing could change places
    return Moves(runs, block, n, seed)


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
    return int(block_lengths(np.asarray(series, float)[:, None])[0])


def block_lengths(series: Shaped[np.ndarray, "sample column"]) -> np.ndarray:
    """`block_length` of each column."""
    from scipy import fft

    n, columns = series.shape
    centred = series - series.mean(axis=0)
    power = np.abs(fft.rfft(centred, fft.next_fast_len(2 * n, real=True), axis=0)) ** 2
    covariance = fft.irfft(power, fft.next_fast_len(2 * n, real=True), axis=0)[:n]
    still = covariance[0] <= n * (8 * np.finfo(float).eps * np.abs(series).max(axis=0)) ** 2
    tau = 2 * np.cumsum(covariance / np.where(still, 1, covariance[0]), axis=0) - 1
    window = np.argmax(np.arange(n)[:, None] >= 2.5 * tau, axis=0)
    lengths = np.ceil(3 * tau[window, np.arange(columns)])
    return np.where(still, 1, np.clip(lengths, 1, max(n // 4, 1))).astype(int)


def common_length(series: np.ndarray, run: np.ndarray | None, most: int = 200) -> int:
    """The median over columns (a spread of them where there are many), each centred within its runs."""
    some = np.asarray(series[:, :: max(series.shape[1] // most, 1)], float)
    some = some[:, np.isfinite(some).all(axis=0)]
    runs = split_runs(run, len(some))
    for rows in runs:
        some[rows] -= some[rows].mean(axis=0)
    some = some[:, np.ptp(some, axis=0) > 0]
    return round(float(np.median(block_lengths(some)))) if some.shape[1] else 1


def split_runs(run: np.ndarray | None, n: int) -> list[np.ndarray]:
    if n == 0:
        raise ValueError("there are 0 samples; at least 1 is needed")
    return [np.arange(n)] if run is None else [np.flatnonzero(run == one) for one in dict.fromkeys(run.tolist())]


def split_blocks(runs: list[np.ndarray], block: int) -> list[np.ndarray]:
    """Rows of each block; a rest shorter than a block is shared out, so no block is shorter than asked unless its run is."""
    _check_block(block)
    return [part for rows in runs for part in np.array_split(rows, max(len(rows) // block, 1))]


def _places(rows: np.ndarray, block: int) -> Int[np.ndarray, "block length"]:
    _check_block(block)
    n_blocks = max(len(rows) // block, 1)
    length = len(rows) // n_blocks
    return rows[: n_blocks * length].reshape(n_blocks, length)


def _check_block(block: int) -> None:
    if block < 1:
        raise ValueError(f"a block of {block} samples is none: it must be 1 or more")
