"""B7: how many of the findings among many targets are false."""

import numpy as np

from calibration.forward import ar1
from calibration.harness import at_least, at_most, cell
from pipeline import statistics

_SAMPLES, _TARGETS, _TRUE, _R, _MEMORY = 1000, 500, 100, 0.25, 0.5


def _found(seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Which targets are called significant at q = .05, and which are predicted in truth."""
    rng = np.random.default_rng([7, seed])
    Y_hat, noise = ar1(rng, _SAMPLES, _TARGETS, _MEMORY), ar1(rng, _SAMPLES, _TARGETS, _MEMORY)
    true = np.arange(_TARGETS) < _TRUE
    Y = np.where(true, _R * Y_hat + np.sqrt(1 - _R**2) * noise, noise)
    q = statistics.fdr(statistics.permute_blocks(Y, Y_hat, n=1000, seed=seed))
    return q <= 0.05, true


@cell(
    "B7",
    "share of false ones among targets at q = .05, a fifth of 500 predicted with r = .25 in 1,000 samples",
    at_most(0.07),
    quick=4,
)
def false_discoveries(seed: int) -> float:
    found, true = _found(seed)
    return float((found & ~true).sum() / max(found.sum(), 1))


@cell("B7", "share of the predicted targets that are found there", at_least(0.8), quick=4)
def power(seed: int) -> float:
    found, true = _found(seed)
    return float(found[true].mean())


@cell(
    "B7",
    "recordings in which any of 100 targets without signal has a corrected p ≤ .05 (largest statistic), memory .5",
    at_most(0.07),
)
def any_at_all(seed: int) -> float:
    rng, hits = np.random.default_rng([7, seed]), []
    for i in range(20):
        Y, Y_hat = ar1(rng, 300, 100, _MEMORY), ar1(rng, 300, 100, _MEMORY)
        corrected = statistics.permute_blocks(Y, Y_hat, n=199, seed=i, max_statistic=True).corrected
        hits.append(bool((corrected <= 0.05).any()))
    return float(np.mean(hits))
