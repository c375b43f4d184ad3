"""The ceiling of the Natural Scenes Dataset: noise from trials of the same item."""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Shaped

from pipeline.ceilings.answer import Ceiling, Presentations, of_shares, unknown
from pipeline.ceilings.repeats import centred, presented
from pipeline.ceilings.resampling import Cut, estimated


class Powers(NamedTuple):
    """Variance over trials of one item, variance of items without it (unclipped), and the signed root of their ratio."""

    noise: Float[np.ndarray, " target"]
    signal: Float[np.ndarray, " target"]
    ncsnr: Float[np.ndarray, " target"]


def nsd(
    Y: Presentations,
    *,
    run: Shaped[np.ndarray, " sample"] | None = None,
    n: int = 1000,
    seed: int = 0,
    block: int | None = None,
) -> Ceiling:
    """Ceiling of the mean over all trials of an item, as the Natural Scenes Dataset has it.

    With noise = mean over items of Var(trials) and signal = Var(items'
    means) - noise / R, the limit for R2 is signal / (signal + noise / R).
    It differs from `repeats` by what presentations have in common beyond
    items: here a presentation's own level is noise, and items are taken for
    independent. So it is meant for items in random order, one sample each;
    a time series has its level taken out run by run (`run`), and its slow
    noise is better judged by `repeats`.

    The original sets negative signal to zero, which lifts the mean ceiling of
    targets without any signal above zero. Here it stays negative.

    Parameters
    ----------
    Y : (trial, item, target), two trials or more of every item.
    run, n, seed, block : as for `repeats`; `run` is the session of each item,
        if responses were standardised by session.

    References
    ----------
    Allen et al. (2022), Nature Neuroscience 25, 116-126, Methods.
    """
    Y = presented(Y)
    noise, reason = estimated(Y, _sums(run is not None), run=run, n=n, seed=seed, block=block)
    return of_shares(*(1 - noise), reason)


def powers(Y: Presentations) -> Powers:
    """Variance of noise and of signal for one trial of each item, and the noise ceiling's signal-to-noise ratio."""
    Y = presented(Y)
    noise = Y.var(axis=0, ddof=1, dtype=float).mean(axis=0)
    signal = Y.mean(axis=0, dtype=float).var(axis=0, ddof=1) - noise / len(Y)
    with np.errstate(all="ignore"):
        ratio = np.sign(signal) * np.sqrt(np.abs(signal) / noise)
    return Powers(*np.where(unknown(Y), np.nan, [noise, signal, ratio]))


def _sums(standardised: bool):
    def sums(Y: np.ndarray, runs: list[np.ndarray], cut: Cut) -> tuple[np.ndarray, np.ndarray]:
        """What each block adds to the variance of items' means and to that of trials over R, one degree of freedom lost."""
        Y = centred(Y, runs) if standardised else np.array(Y, dtype=float)
        means = Y.mean(axis=0)
        level = means.mean(axis=0)
        within = ((Y - means) ** 2).sum(axis=0) / (len(Y) - 1) / len(Y)
        return cut((means - level) ** 2), cut(within) * (Y.shape[1] - 1) / Y.shape[1]

    return sums
