"""B12: what belongs to whom is found where it was put, sums to the whole, and has an interval that holds it."""

from functools import lru_cache

import numpy as np
from scipy.signal import lfilter

from calibration.harness import Bound, at_most, cell, within
from pipeline import ridge, statistics
from pipeline.comparison.settings import SHORTEST_BLOCK
from pipeline.joint import N_ITER
from pipeline.ridge.partition import Names, explained, omega, set_partition, unions
from pipeline.splits import contiguous, inner_contiguous

_ALPHAS = np.logspace(0, 5, 11)
_SAMPLES, _TARGETS, _OWN = 2000, 20, 8  # features of each source


def _told(
    rng: np.random.Generator, sources: dict[str, float], n: int, noise: float
) -> tuple[dict[str, np.ndarray], np.ndarray]:
    """Features of each source, and targets of whose variance each source tells its share."""
    features = {name: rng.standard_normal((n, _OWN)) for name in sources}
    signals = {name: x @ rng.standard_normal((_OWN, _TARGETS)) for name, x in features.items()}
    signal = sum(np.sqrt(sources[name]) * s / s.std(axis=0) for name, s in signals.items())
    return features, signal + np.sqrt(noise) * rng.standard_normal(signal.shape)


def _parts(spaces: dict[str, np.ndarray], Y: np.ndarray) -> dict[Names, float]:
    """R2 of every union over two folds, mean over targets."""
    folds, pools, found = contiguous(len(Y), folds=2), np.ones((1, Y.shape[1]), bool), {}
    for key in unions(tuple(spaces)):
        found[key] = np.mean([
            explained(
                {name: spaces[name] for name in key}, Y, fold=fold, inner=inner_contiguous(fold[0], 3, 0), pools=pools,
                alphas=_ALPHAS, n_iter=N_ITER,
            ).r2.sum()
            for fold in folds
        ])  # fmt: skip
    return found


@cell(
    "B12a",
    "product-measure shares of two sets of features, largest distance of their sum from R²",
    at_most(1e-10),
    quick=2,
)
def summed(seed: int) -> float:
    features, Y = _told(np.random.default_rng([12, seed]), {"a": 0.4, "b": 0.2}, 300, 0.4)
    found = ridge.banded(
        features, Y, folds=contiguous(300, folds=3), alphas=_ALPHAS, precision="float64", n_iter=N_ITER
    )
    return float(np.abs(found.shares.sum(axis=0) - found.r2).max())


@cell("B12b", "product-measure shares of features that tell 40 % and 20 %, largest error", at_most(0.03), quick=1)
def shares(seed: int) -> float:
    features, Y = _told(np.random.default_rng([13, seed]), {"a": 0.4, "b": 0.2}, _SAMPLES, 0.4)
    found = ridge.banded(features, Y, folds=contiguous(_SAMPLES, folds=2), alphas=_ALPHAS, n_iter=N_ITER)
    return float(np.abs(found.shares.mean(axis=(1, 2)) - [0.4, 0.2]).max())


@lru_cache(1)
def _two(seed: int) -> dict[Names, float]:
    """Model and control tell 10 % each for themselves and 20 % in common."""
    features, Y = _told(np.random.default_rng([14, seed]), {"m": 0.1, "s": 0.1, "both": 0.2}, _SAMPLES, 0.6)
    return _parts({name: np.hstack([features[name], features["both"]]) for name in ("m", "s")}, Y)


@cell("B12c", "set partition of two groups (10 % each alone, 20 % in common), largest error", at_most(0.03), quick=1)
def two(seed: int) -> float:
    return float(np.abs(np.array([*set_partition(_two(seed)).values()]) - [0.1, 0.1, 0.2]).max())


@cell("B12d", "set partition of three groups (all seven parts 7 %), largest error", at_most(0.03))
def three(seed: int) -> float:
    names = ("a", "b", "c", "ab", "ac", "bc", "abc")
    features, Y = _told(np.random.default_rng([15, seed]), dict.fromkeys(names, 0.07), _SAMPLES, 0.51)
    spaces = {name: np.hstack([x for source, x in features.items() if name in source]) for name in "abc"}
    return float(np.abs(np.array([*set_partition(_parts(spaces, Y)).values()]) - 0.07).max())


@cell("B12e", "Ω where simple features hold two thirds of what the model tells (%)", within(4, 66.7), quick=1)
def accounted(seed: int) -> float:
    r2 = _two(seed)
    return float(omega(r2[frozenset("m")], r2[frozenset("s")], r2[frozenset("ms")]))


@cell("B12f", "Ω where the model's features hold nothing that simple ones do not (%)", Bound(95, 100))
def all_of_it(seed: int) -> float:
    features, Y = _told(np.random.default_rng([16, seed]), {"both": 0.3, "more": 0.1}, _SAMPLES, 0.6)
    spaces = {
        "m": features["both"] @ np.random.default_rng(seed).standard_normal((_OWN, 3 * _OWN)),
        "s": np.hstack([*features.values()]),
    }
    r2 = _parts(spaces, Y)
    return float(omega(r2[frozenset("m")], r2[frozenset("s")], r2[frozenset("ms")]))


_SEGMENTS, _LONG, _PHI = 40, 200, 0.5  # tested stretches, each with an interval of its own; samples in each; memory


@cell(
    "B12g",
    "95 % intervals of unique R² over 200 tested samples that hold what endless ones would give (share)",
    Bound(0.92, 0.98),
)
def covered(seed: int) -> float:
    """Noise and features remember (φ = .5), and blocks are as long as the pipeline would take them."""
    rng, train = np.random.default_rng([17, seed]), 600
    n, n_targets = train + _SEGMENTS * _LONG, 6
    features = {name: _smooth(rng, n, _OWN) for name in "ms"}
    signal = sum(x @ rng.standard_normal((_OWN, n_targets)) / np.sqrt(_OWN) for x in features.values())
    Y = np.sqrt(0.15) * signal + np.sqrt(0.7) * _smooth(rng, n, n_targets)
    fold = np.arange(train), np.arange(train, n)
    options = {
        "fold": fold,
        "inner": inner_contiguous(fold[0], 3, 0),
        "pools": np.eye(n_targets, dtype=bool),
        "alphas": _ALPHAS,
    }
    joint, alone = (explained(spaces, Y, n_iter=N_ITER, **options) for spaces in (features, {"s": features["s"]}))
    adds, null = joint.r2.sum(axis=0) - alone.r2.sum(axis=0), joint.null
    truth = adds.sum(axis=1) / null.sum(axis=1)
    held = [
        _holds(truth[v], *(x[v, start : start + _LONG] for x in (adds, null, joint.r.sum(axis=0))), seed)
        for v in range(n_targets)
        for start in range(0, _SEGMENTS * _LONG, _LONG)
    ]
    return float(np.mean(held))


def _holds(truth: float, adds: np.ndarray, null: np.ndarray, agreed: np.ndarray, seed: int) -> bool:
    block = max(SHORTEST_BLOCK, statistics.block_length(agreed))
    draws = statistics.resampled(adds[:, None], over=null, block=block, n=500, seed=seed)
    low, high = np.quantile(draws, [0.025, 0.975])
    return bool(low <= truth <= high)


def _smooth(rng: np.random.Generator, n: int, columns: int) -> np.ndarray:
    """Standard normal with an autocorrelation of φ."""
    return lfilter([np.sqrt(1 - _PHI**2)], [1, -_PHI], rng.standard_normal((n + 50, columns)), axis=0)[50:]
