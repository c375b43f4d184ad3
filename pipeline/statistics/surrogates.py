"""Responses that know nothing of the stimulus, yet are as smooth and as alike each other as the measured ones.

Whatever finds something in them finds it in nothing. Three ways differ in
what they keep: phases keep each target's spectrum, and so its whole linear
smoothness, but make it Gaussian; rolling keeps the very values and their
neighbourhood, and breaks one pair of neighbours per run; runs in another
order keep each run's response whole, with its onset, beside another stimulus.
All targets are drawn alike, so that what relates them survives.
"""

from itertools import permutations
from math import factorial

import numpy as np
from jaxtyping import Complex, Float, Shaped

from pipeline.statistics.blocks import Run, check_shift, split_runs

_ORDERS = 1000  # orders of runs to choose from; up to six runs have fewer, and these are all tried


def phase_randomised(
    Y: Shaped[np.ndarray, "sample target"], *, run: Run = None, rng: np.random.Generator
) -> Float[np.ndarray, "sample target"]:
    """Each run's responses with random phases, the same for all targets.

    Mean, variance and spectrum of every target, and every correlation between
    two targets at every lag (around the run), stay as they are.

    Parameters
    ----------
    Y : measured responses; a target with a missing value in a run is missing in all of this run.
    run : run of each sample; each is drawn by itself. Fewer than three samples have no phase and are refused.

    References
    ----------
    Prichard & Theiler (1994), Physical Review Letters 73, 951-954.
    """
    from scipy import fft

    found = _floats(Y)
    runs = split_runs(run, len(found))
    check_phases(runs)
    for rows in runs:
        waves = fft.rfft(found[rows], axis=0)
        turns = random_turns(len(rows), 1, rng)[0][:, None].astype(waves.dtype)
        found[rows] = fft.irfft(waves * turns, len(rows), axis=0)
    return found


def rolled(
    Y: Shaped[np.ndarray, "sample target"], *, run: Run = None, least: int, rng: np.random.Generator
) -> Float[np.ndarray, "sample target"]:
    """Each run's responses rolled around their run, by a shift of its own.

    Parameters
    ----------
    Y : measured responses.
    run : run of each sample.
    least : smallest shift in samples, either way; a shorter one nearly leaves the responses where they were.
    """
    found = _floats(Y)
    runs = split_runs(run, len(found))
    check_shift(runs, least)
    for rows in runs:
        found[rows] = np.roll(found[rows], int(rng.integers(least, len(rows) - least + 1)), axis=0)
    return found


def reordered(
    Y: Shaped[np.ndarray, "sample target"],
    *,
    run: Shaped[np.ndarray, " sample"],
    least: int = 1,
    rng: np.random.Generator,
) -> Float[np.ndarray, "sample target"]:
    """The runs' responses laid end to end in another order, then cut at the borders of before.

    So that each run's stimulus meets the responses to others, also where runs
    are not equally long. No sample stays at its own time in its own run.

    Parameters
    ----------
    Y : measured responses.
    run : run of each sample; at least two.
    least : samples by which a response that comes to lie in its own run again
        must at least have moved; smooth responses tell of their stimulus for a while.
    """
    found = _floats(Y)
    runs = split_runs(run, len(found))
    lengths = np.array([len(rows) for rows in runs])
    if len(runs) < 2:
        raise ValueError(
            f"1 run of {lengths[0]} samples cannot change places with another: at least 2 are needed; roll it"
        )
    orders = [order for order in _orders(len(runs), rng) if _moved(lengths, order, least)]
    if not orders:
        raise ValueError(
            f"no order of {len(runs)} runs of {sorted(set(lengths.tolist()))} samples moves every response by at least "
            f"{least} or out of its run: give a smaller least, or roll the runs"
        )
    order = orders[int(rng.integers(len(orders)))]
    found[np.concatenate(runs)] = found[np.concatenate([runs[k] for k in order])]
    return found


def random_turns(n: int, draws: int, rng: np.random.Generator) -> Complex[np.ndarray, "draw frequency"]:
    """A factor of size 1 per frequency of n samples; the mean stays, and the fastest wave of an even n has a sign alone."""
    turns = np.exp(2j * np.pi * rng.random((draws, n // 2 + 1)))
    turns[:, 0] = 1
    if n % 2 == 0:
        turns[:, -1] = np.where(turns[:, -1].real > 0, 1, -1)
    return turns


def check_phases(runs: list[np.ndarray]) -> None:
    short = sorted({len(rows) for rows in runs if len(rows) < 3})
    if short:
        raise ValueError(f"runs of {short} samples have no phase that could be random: leave out runs shorter than 3")


def _orders(n: int, rng: np.random.Generator) -> list[np.ndarray]:
    """All orders of few runs, some of many."""
    if factorial(n) <= _ORDERS:
        return [np.array(order) for order in permutations(range(n))]
    return [rng.permutation(n) for _ in range(_ORDERS)]


def _moved(lengths: np.ndarray, order: np.ndarray, least: int) -> bool:
    """Is every run's response far enough from where it was, or out of its run?"""
    before = np.cumsum(lengths) - lengths
    after = np.empty_like(before)
    after[order] = np.cumsum(lengths[order]) - lengths[order]
    return bool((np.abs(after - before) >= np.minimum(least, lengths)).all())


def _floats(Y: np.ndarray) -> Float[np.ndarray, "sample target"]:
    """A copy, in the precision of its own where it has one."""
    return np.array(Y, dtype=Y.dtype if Y.dtype.kind == "f" else float)
