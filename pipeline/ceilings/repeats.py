"""Ceiling from repeated presentations: variance that comes back is signal."""

import numpy as np
from jaxtyping import Shaped

from pipeline.ceilings.answer import Ceiling, Presentations, of_shares, together
from pipeline.ceilings.resampling import Cut, estimated


def repeats(
    Y: Presentations,
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

    The interval is studentised (`ceilings.resampling`), on the logarithm of
    F = variance between samples over variance within: explainable = 1 - 1/F.

    Parameters
    ----------
    Y : the same stimulus two times or more. float32 stays float32; only a
        few targets at a time are computed with, in float64.
    run : run of each sample; every run of every repeat is centred by itself,
        and no block spans two runs.
    n : resamples.
    block : samples per block; by default three autocorrelation times of what
        is summed, the upper quartile over (some of) the targets.

    Returns
    -------
    Of the correlation with the mean over repeats. For targets that are
    constant or incomplete NaN, and `valid` False. With fewer than four blocks
    the value stands without an interval, and `reason` says so.

    References
    ----------
    Sahani & Linden (2003), NIPS 15. Schoppe et al. (2016), Front. Comput.
    Neurosci. 10:10. Davison & Hinkley (1997), Bootstrap Methods, 5.2 and 8.2.
    """
    Y = presented(Y)
    noise, reason = estimated(Y, powers, run=run, n=n, seed=seed, block=block)
    return of_shares(*(1 - noise), reason)


def presented(Y: Presentations) -> Shaped[np.ndarray, "repeat sample target"]:
    """Two presentations or more, of one length."""
    if len(Y) < 2:
        raise ValueError(
            f"a ceiling from repeats needs at least two presentations of the same stimulus and got {len(Y)}: "
            "without a second one, signal and noise cannot be told apart; choose ceiling kind `none`"
        )
    return together(Y, "presentation")


def centred(Y: Shaped[np.ndarray, "repeat sample target"], runs: list[np.ndarray]) -> np.ndarray:
    """A copy in double precision, every run of every repeat about its own mean."""
    Y = np.array(Y, dtype=float)
    for rows in runs:
        Y[:, rows] -= Y[:, rows].mean(axis=1, keepdims=True)
    return Y


def powers(Y: np.ndarray, runs: list[np.ndarray], cut: Cut) -> tuple[np.ndarray, np.ndarray]:
    """What each block adds to the variance between samples and to that within samples (between repeats)."""
    Y = centred(Y, runs)
    mean = Y.mean(axis=0)
    return cut(len(Y) * mean**2), cut(((Y - mean) ** 2).sum(axis=0) / (len(Y) - 1))
