"""Which targets follow the words, as the other runs tell: what to hold a run's words against.

A few hundred voxels of a whole brain hear a story; its strongest components
may be anything. The targets that follow the words most in all other runs are a
signal that this run had no part in choosing, so that its lag remains a test. A
clock that is wrong in every run alike is still seen: the lag at which the
other runs are read is theirs, wherever it lies.
"""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Bool, Float, Int

from pipeline import clock

FEWEST_OTHERS = 2  # one other run may be the wrong one
MOST_TARGETS = 100  # the strongest; more of them bring mostly noise
_CHUNK = 8192  # targets at a time


def profile(
    rate: Float[np.ndarray, " sample"],
    Y: Float[np.ndarray, "sample target"],
    keep: Bool[np.ndarray, " sample"],
    tr_s: float,
    steps: Int[np.ndarray, " lag"],
) -> Float[np.ndarray, "lag target"]:
    """Correlation of the word rate with every target `steps` samples later; 0 for one that lacks a value or never changes."""
    drifting = clock.without_drift(rate, tr_s)
    parts = [_correlated(drifting, Y[:, i : i + _CHUNK], keep, steps) for i in range(0, Y.shape[1], _CHUNK)]
    return np.concatenate(parts, axis=1) if parts else np.zeros((len(steps), 0), np.float32)


def weights(profiles: Sequence[Float[np.ndarray, "lag target"]], run: int) -> Float[np.ndarray, " target"] | None:
    """How much each target counts in this run: its mean correlation in the others, at the lag where they follow most.

    All but the strongest are 0. None where there are too few other runs, or
    they have other lags.
    """
    others = [one for i, one in enumerate(profiles) if i != run]
    if len(others) < FEWEST_OTHERS or len({one.shape for one in profiles}) > 1:
        return None
    mean = np.mean(others, axis=0)
    n = min(MOST_TARGETS, mean.shape[1])
    strongest = np.sort(np.abs(mean), axis=1)[:, mean.shape[1] - n :].sum(axis=1)
    at = mean[strongest.argmax()]
    chosen = np.argsort(-np.abs(at), kind="stable")[:n]
    found = np.zeros(len(at))
    found[chosen] = at[chosen]
    return found if found.any() else None


def _correlated(rate: np.ndarray, Y: np.ndarray, keep: np.ndarray, steps: np.ndarray) -> np.ndarray:
    usable = np.isfinite(Y[keep]).all(axis=0)
    z = np.where(usable, Y, 0).astype(np.float32)
    r = np.zeros((len(steps), Y.shape[1]), np.float32)
    for i, step in enumerate(steps):
        later = np.flatnonzero(keep)
        later = later[(later >= step) & (later < len(keep) + step)]
        x, y = rate[later - step], z[later]
        x, y = (x - x.mean()).astype(np.float32), y - y.mean(axis=0)
        scale = np.sqrt((x**2).sum() * (y**2).sum(axis=0))
        np.divide(x @ y, scale, out=r[i], where=scale > 0)
    return r
