"""Each target's correlation held against its null: target by target, and against the best of all targets."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Shaped

Null = Callable[[np.ndarray, np.ndarray], np.ndarray]

_TIE = 1e-6  # standard deviations; of the refitted null, in single precision, rounding makes less


class Corrected(NamedTuple):
    """p of each target by itself, and corrected for having looked at all of them.

    Attributes
    ----------
    p : (b + 1) / (n + 1) per target.
    corrected : (b + 1) / (n + 1), where in b permutations ANY target stood
        out as much. The chance that a single target of those at most 0.05 is
        a false finding is at most 5 %.
    """

    p: Float[np.ndarray, " target"]
    corrected: Float[np.ndarray, " target"]


class Tally:
    """Counts, some targets at a time, how often a null does as well as what was observed.

    Correlations of smooth targets spread more by chance than those of rough
    ones. So for the maximum over targets each is told in standard deviations
    of its own null, the observed one included: it may have been any of them.

    Parameters
    ----------
    n : permutations, the same ones for all targets.
    n_targets : one that is never counted has NaN.
    max_statistic : also keep the largest of each permutation.
    missed : share of the variance that the null lacks, as blocks do. One target's p hardly
        suffers; the largest of many lies far out, where it decides.

    References
    ----------
    Westfall & Young (1993), Resampling-Based Multiple Testing, section 2.5.
    Nichols & Holmes (2002), Human Brain Mapping 15, 1-25: the maximum over voxels.
    """

    def __init__(self, n: int, n_targets: int, max_statistic: bool, missed: float = 0.0):
        self.n, self.max_statistic, self.missed = n, max_statistic, missed
        self.p = np.full(n_targets, np.nan)
        self._height = np.full(n_targets, np.nan)
        self._largest = np.full(n, -np.inf)

    def count(self, targets: np.ndarray, observed: np.ndarray, null: np.ndarray, slack: np.ndarray | float) -> None:
        """Some targets: (target,) observed, (permutation, target) null; `slack` lets a tie be a tie."""
        self.p[targets] = ((null >= observed - slack).sum(axis=0) + 1) / (self.n + 1)
        if self.max_statistic:
            self._keep_largest(targets, observed, null, slack)

    def _keep_largest(
        self, targets: np.ndarray, observed: np.ndarray, null: np.ndarray, slack: np.ndarray | float
    ) -> None:
        mean = (null.sum(axis=0) + observed) / (self.n + 1)
        null, observed = null - mean, observed - mean
        spread = np.sqrt((np.einsum("pt,pt->t", null, null) + observed**2) / (self.n + 1))
        varies = spread > slack  # of a constant null nothing stands out
        if varies.any():
            heights = null[:, varies] / spread[varies]
            np.maximum(self._largest, heights.max(axis=1), out=self._largest)
            self._height[targets[varies]] = observed[varies] / spread[varies] * np.sqrt(1 - self.missed)

    def found(self) -> Float[np.ndarray, " target"] | Corrected:
        if not self.max_statistic:
            return self.p
        as_large = self.n - np.searchsorted(np.sort(self._largest), self._height - _TIE)
        corrected = np.where(np.isnan(self._height), 1.0, (as_large + 1) / (self.n + 1))
        return Corrected(self.p, np.where(np.isnan(self.p), np.nan, corrected))


def against(
    Y: np.ndarray, Y_hat: np.ndarray, n: int, null: Null, step: int, max_statistic: bool, missed: float = 0.0
) -> Float[np.ndarray, " target"] | Corrected:
    """Counts for predictions, `step` targets at a time.

    Moving samples about changes neither mean nor variance, so the sums of
    products order the correlations.
    """
    tally = Tally(n, Y.shape[1], max_statistic, missed)
    for start in range(0, Y.shape[1], step):
        y, y_hat = Y[:, start : start + step], Y_hat[:, start : start + step]
        missing, still = flat(y) | np.isnan(y_hat).any(axis=0), flat(y_hat)
        tally.p[start : start + y.shape[1]] = np.where(missing, np.nan, 1.0)
        own = np.flatnonzero(~missing & ~still)
        if len(own):
            y, y_hat = (part[:, own].astype(float) for part in (y, y_hat))
            tally.count(start + own, *_sums(y - y.mean(axis=0), y_hat - y_hat.mean(axis=0), null))
    return tally.found()


def _sums(y: np.ndarray, p: np.ndarray, null: Null) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    size = np.sqrt((y**2).sum(axis=0) * (p**2).sum(axis=0))
    return (y * p).sum(axis=0), null(y, p), 1e-9 * size


def check(Y: np.ndarray, Y_hat: np.ndarray) -> None:
    if Y.shape != Y_hat.shape:
        raise ValueError(
            f"responses are {Y.shape} and predictions {Y_hat.shape}; they must have the same samples and targets"
        )


def flat(Y: Shaped[np.ndarray, "sample target"]) -> Shaped[np.ndarray, " target"]:
    """Constant up to rounding, or incomplete."""
    eps = np.finfo(Y.dtype if Y.dtype.kind == "f" else float).eps
    return ~(np.ptp(Y, axis=0) > 8 * eps * np.abs(Y).max(axis=0))
