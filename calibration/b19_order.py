"""B19: names and order change nothing, and the same input gives the same bytes."""

import numpy as np

from calibration import forward
from calibration.harness import at_most, cell
from pipeline import geometry, ridge, splits, statistics

_RUNS, _SAMPLES, _FEATURES, _VOXELS = 5, 60, 20, 24
_ALPHAS = np.geomspace(1, 1e5, 11)


def _recorded(seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.random.Generator]:
    rng = np.random.default_rng([19, seed])
    X = forward.ar1(rng, _RUNS * _SAMPLES, _FEATURES, 0.5)
    Y = X @ rng.standard_normal((_FEATURES, _VOXELS)) + 6 * rng.standard_normal((len(X), _VOXELS))
    return X, Y, np.repeat([f"run{i}" for i in range(_RUNS)], _SAMPLES), rng


def _fit(X: np.ndarray, Y: np.ndarray, run: np.ndarray) -> tuple[np.ndarray, ...]:
    """r and penalty of each run and target, what is predicted, and p of each target, in the order of the runs' names."""
    folds = splits.leave_one_run_out(run)
    scores = ridge.cross_validate(X, Y, folds=folds, alphas=_ALPHAS, precision="float64")
    predicted = ridge.held_out(X, Y, folds=folds, alpha=scores.alpha, precision="float64")
    order = np.argsort(list(dict.fromkeys(run.tolist())))
    rows = np.argsort(run, kind="stable")
    p = statistics.permute_blocks(Y[rows], predicted[rows], run=run[rows], block=10, n=99, seed=1)
    return scores.r[order], np.log10(scores.alpha[order]), predicted[rows], np.asarray(p)


def _largest(one: tuple[np.ndarray, ...], other: tuple[np.ndarray, ...]) -> float:
    return float(max(np.abs(a - b).max() for a, b in zip(one, other, strict=True)))


@cell("B19", "targets in another order: largest change of r, penalties, predictions and p", at_most(1e-10), quick=1)
def targets(seed: int) -> float:
    X, Y, run, rng = _recorded(seed)
    order = rng.permutation(_VOXELS)
    one, other = _fit(X, Y, run), _fit(X, Y[:, order], run)
    return _largest(tuple(part[..., order] for part in one), other)


@cell("B19", "runs in another order: largest change of r, penalties, predictions and p", at_most(1e-10), quick=1)
def runs(seed: int) -> float:
    X, Y, run, rng = _recorded(seed)
    rows = np.concatenate([np.flatnonzero(run == name) for name in rng.permutation(np.unique(run))])
    return _largest(_fit(X, Y, run), _fit(X[rows], Y[rows], run[rows]))


@cell(
    "B19", "features turned about the origin: largest change of r, penalties, predictions and p", at_most(1e-8), quick=1
)
def turned(seed: int) -> float:
    X, Y, run, rng = _recorded(seed)
    return _largest(_fit(X, Y, run), _fit(X @ np.linalg.qr(rng.standard_normal((_FEATURES,) * 2))[0], Y, run))


@cell(
    "B19", "people in another order: largest change of the mean, p of the sign-flip test and q", at_most(1e-12), quick=1
)
def people(seed: int) -> float:
    rng = np.random.default_rng([19, seed])
    values = rng.normal(0.02, 0.03, (9, 12))
    order = rng.permutation(9)
    one, other = (statistics.sign_flip(v) for v in (values, values[order]))
    found = [(np.asarray(t.mean), np.asarray(t.p), statistics.fdr(np.asarray(t.p))) for t in (one, other)]
    return _largest(*found)


@cell(
    "B19",
    "the same input again: bytes that differ, of fits, banded fits, tests, intervals and geometry",
    at_most(0),
    quick=1,
)
def again(seed: int) -> float:
    return float(sum(a != b for a, b in zip(*(_bytes(seed) for _ in range(2)), strict=True)))


def _bytes(seed: int) -> bytes:
    X, Y, run, _ = _recorded(seed)
    folds = splits.leave_one_run_out(run)
    bands = ridge.banded([X[:, :5], X[:, 5:]], Y, folds=folds[:1], alphas=_ALPHAS, n_iter=5, seed=seed)
    ends = statistics.bootstrap(Y, run=run, block=10, n=100, seed=seed)
    shape = np.array([geometry.cka(X, Y), geometry.mutual_knn(X, Y), geometry.effective_rank(X)])
    parts = [*_fit(X, Y, run), bands.r, bands.alpha, bands.shares, np.asarray(ends.low), np.asarray(ends.high), shape]
    return b"".join(np.ascontiguousarray(part).tobytes() for part in parts)
