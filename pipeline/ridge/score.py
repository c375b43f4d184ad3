"""From sums over rows to r and R2."""

import numpy as np

from pipeline.ridge.predict import Sums
from pipeline.ridge.targets import Held

FLAT = 1e-10  # a prediction that varies less than this share of its target does not vary: rounding


def r(sums: Sums, held: Held) -> np.ndarray:
    """Pearson: 0 for a prediction that does not vary, NaN for a target that does not."""
    size, size_y = np.sqrt(np.maximum(sums.square, 0)), np.sqrt(held.square)
    varies = (size > FLAT * size_y) & (size_y > 0)
    found = np.divide(sums.cross, size * size_y, out=np.zeros_like(sums.cross), where=varies)
    return np.where(held.constant, np.nan, found)


def r2(sums: Sums, held: Held) -> np.ndarray:
    """Share of the squared distance from the training mean that the prediction takes away."""
    null = held.square + held.n * held.offset**2
    gained = 2 * (sums.cross + held.n * held.offset * sums.mean) - sums.square - held.n * sums.mean**2
    known = ~held.constant & (null > 0)
    return np.divide(gained, null, out=np.full(np.broadcast(gained, null).shape, np.nan), where=known)


SCORES = {"r2": r2, "r": r}
