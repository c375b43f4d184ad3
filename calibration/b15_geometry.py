"""B15: unrelated representations share no shape, the same one turned shares all of it."""

import numpy as np

from calibration.harness import FEWEST_SEEDS, at_least, at_most, cell, within
from pipeline import geometry

_N, _K = 200, 10


def _error(n_pairs: int) -> float:
    """Standard error of the share of common neighbours over pairs: how many of k a draw of k of the others hits."""
    p, others = _K / (_N - 1), _N - 1
    return float(np.sqrt(p * (1 - p) * (others - _K) / (others - 1) / _K / _N / n_pairs))


def _clouds(seed: int, p: int, q: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng([15, seed, p, q])
    return rng.standard_normal((_N, p)), rng.standard_normal((_N, q))


for _p, _q in ((20, 20), (200, 200), (2000, 200)):

    @cell(
        "B15",
        f"alignment (CKA) of unrelated clouds of 200 samples, {_p} and {_q} features",
        within(0.005),
        seeds=60,
        quick=15,
    )
    def null(seed: int, p: int = _p, q: int = _q) -> float:
        return geometry.cka(*_clouds(seed, p, q))


@cell("B15", "its deviation over ten pairs of clouds, 200 features", at_most(0.01), quick=5)
def deviation(seed: int) -> float:
    return float(np.std([geometry.cka(*_clouds(10 * seed + i, 200, 200)) for i in range(10)], ddof=1))


for _p, _usual in ((20, 0.09), (200, 0.50), (4000, 0.95)):

    @cell("B15", f"the usual, biased alignment of the same, {_p} features", within(0.01, _usual), quick=2, naive=True)
    def biased(seed: int, p: int = _p) -> float:
        return geometry.cka(*_clouds(seed, p, p), biased=True)


@cell(
    "B15",
    "alignment of 20 features with a turned copy, among 200 that add a tenth of its variance",
    at_least(0.95),
    quick=5,
)
def mapped(seed: int) -> float:
    X, extra = _clouds(seed, 20, 200)
    turned = np.linalg.qr(np.random.default_rng([15, seed]).standard_normal((20, 20)))[0]
    return geometry.cka(X, np.hstack([X @ turned, extra * np.sqrt(0.1 * 20 / 200)]))


@cell(
    "B15",
    "share of 10 nearest neighbours in common, unrelated clouds, 30 pairs: k / (n - 1) give or take three standard errors",
    within(round(3 * _error(30 * FEWEST_SEEDS), 5), round(_K / (_N - 1), 5)),
)
def neighbours(seed: int) -> float:
    return float(np.mean([geometry.mutual_knn(*_clouds(30 * seed + i, 20, 40), _K) for i in range(30)]))


@cell(
    "B15",
    "the same, slow series that have nothing in common, neighbours in time left in, times chance",
    at_least(2),
    quick=2,
    naive=True,
)
def in_time(seed: int) -> float:
    X, Z = (np.cumsum(cloud, axis=0) for cloud in _clouds(seed, 20, 40))
    return geometry.mutual_knn(X, Z) / geometry.mutual_knn_chance(_N)
