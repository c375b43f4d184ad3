"""B9: is a difference of two models over people called one where there is none, and found where there is?"""

import numpy as np

from calibration.forward import ar1
from calibration.harness import Bound, at_least, at_most, cell, within
from pipeline import ridge, splits, statistics

_PEOPLE, _EXPERIMENTS = 10, 200
_LATENTS, _NARROW, _WIDE, _SAMPLES, _VOXELS = 4, 10, 60, 240, 5
_ALPHAS = np.geomspace(1e-1, 1e4, 6)


def _views(rng: np.random.Generator, latents: np.ndarray) -> list[np.ndarray]:
    """Two noisy views of the same latents, one of 10 columns and one turned into 60: ridge sees no difference in that."""
    views = [
        latents @ rng.standard_normal((_LATENTS, _NARROW)) + 2 * rng.standard_normal((len(latents), _NARROW))
        for _ in "ab"
    ]
    turned = np.linalg.qr(rng.standard_normal((_WIDE, _NARROW)))[0].T
    return [views[0], views[1] @ turned]


def _difference(rng: np.random.Generator) -> float:
    """Of the mean r of both in one person."""
    latents = ar1(rng, _SAMPLES, _LATENTS, 0.5)
    Y = latents @ rng.standard_normal((_LATENTS, _VOXELS)) + 3 * ar1(rng, _SAMPLES, _VOXELS, 0.5)
    folds = splits.leave_one_run_out(np.arange(_SAMPLES) // (_SAMPLES // 3))
    r = [ridge.cross_validate(X, Y, folds=folds, alphas=_ALPHAS).r.mean() for X in _views(rng, latents)]
    return float(r[0] - r[1])


@cell(
    "B9",
    "false positives at .05 of trained less random, equally telling features of 10 and 60 columns, 10 people",
    at_most(0.07),
    seeds=40,
)
def no_difference(seed: int) -> float:
    rng = np.random.default_rng([9, seed])
    table = np.array([[_difference(rng) for _ in range(8)] for _ in range(_PEOPLE)])
    return float((statistics.sign_flip(table).p <= 0.05).mean())


@cell(
    "B9",
    "p ≤ .05 of a sign-flip over 6 people whose differences are symmetric and heavy-tailed: 2 of 64 patterns",
    Bound(0.025, 0.0375),
    quick=4,
)
def exact(seed: int) -> float:
    table = np.random.default_rng([9, seed]).standard_t(2, (6, 2000))
    return float((statistics.sign_flip(table).p <= 0.05).mean())


@cell("B9", "power for a difference of .02 that varies by .02: sign-flip over 11 people", at_least(0.8), quick=4)
def found(seed: int) -> float:
    return float((statistics.sign_flip(_planted(seed, 11)).p <= 0.05).mean())


@cell(
    "B9",
    "the same, 10 people: by how much Student's t, which knows the shape of the noise, finds more",
    within(0.03),
    quick=4,
)
def found_by_t(seed: int) -> float:
    from scipy import stats

    table = _planted(seed, _PEOPLE)
    by_t = stats.ttest_1samp(table, 0).pvalue <= 0.05
    return float(by_t.mean() - (statistics.sign_flip(table).p <= 0.05).mean())


def _planted(seed: int, people: int) -> np.ndarray:
    return 0.02 + 0.02 * np.random.default_rng([9, seed]).standard_normal((people, 2000))


@cell(
    "B9",
    "95 % intervals for other people and other seeds that hold the difference: 10 people, 5 seeds",
    Bound(0.92, 0.98),
    quick=2,
)
def over_seeds(seed: int) -> float:
    rng, held = np.random.default_rng([9, seed]), []
    for _ in range(_EXPERIMENTS):
        people, seeds = 0.02 * rng.standard_normal((_PEOPLE, 1)), 0.01 * rng.standard_normal((1, 5))
        one = statistics.seeds(people + seeds + 0.01 * rng.standard_normal((_PEOPLE, 5)), n=1)
        held.append(one.low <= 0 <= one.high)
    return float(np.mean(held))


@cell(
    "B9",
    "the same where people are resampled and seeds averaged as if others could not have been drawn (seeds differ more)",
    at_most(0.8),
    naive=True,
)
def seeds_as_given(seed: int) -> float:
    rng, held = np.random.default_rng([9, seed]), []
    for i in range(_EXPERIMENTS):
        people, seeds = 0.01 * rng.standard_normal((_PEOPLE, 1)), 0.03 * rng.standard_normal((1, 5))
        one = statistics.bootstrap((people + seeds).mean(axis=1), block=1, n=500, seed=i)
        held.append(one.low <= 0 <= one.high)
    return float(np.mean(held))
