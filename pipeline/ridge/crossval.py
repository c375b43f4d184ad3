"""Many targets, one alpha each, chosen inside the training data."""

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Shaped

from pipeline.ridge.backends import BACKENDS, PRECISIONS, backend
from pipeline.ridge.checks import (
    Fold,
    check_folds,
    check_inner,
    check_option,
    checked_alphas,
    checked_values,
    default_inner,
)
from pipeline.ridge.factor import Dual, Primal, Source
from pipeline.ridge.fold import OneFold, Task, Tested
from pipeline.ridge.grid import COARSE, FINE, grid
from pipeline.ridge.score import SCORES
from pipeline.ridge.targets import Targets


class Scores(NamedTuple):
    """What a cross-validated fit found; a leading layer axis where X has one.

    r, r2 : (fold, target) on the test rows; NaN for a constant target, r = 0
        for a constant prediction, neither clipped.
    alpha : the penalty chosen on the inner folds.
    edge_share : 1.0 where alpha is the first or last of the grid, else 0.0;
        its mean is the share of fits at the edge.
    inner : mean inner-fold score of the chosen alpha, for choosing layers.
    flat : the prediction is constant.
    agreement : (pool, sample), mean over a pool's targets of z(response) *
        z(prediction), z over the fold's test rows, so that its mean over
        them is the pool's mean r; NaN for samples never tested; None without pools.
    path : how it was computed, one per layer and fold: "primal" or "dual",
        then what the cost model chose for the inner folds.
    """

    r: Any
    r2: Any
    alpha: Any
    edge_share: Any
    inner: Any
    flat: Any
    agreement: Any
    path: tuple[str, ...]


def cross_validate(
    X: Shaped[np.ndarray, "..."] | Iterable[np.ndarray],
    Y: Shaped[np.ndarray, "sample target"],
    *,
    folds: Sequence[Fold],
    alphas: Shaped[np.ndarray, " alpha"] | Sequence[float],
    inner: Sequence[Sequence[Fold]] | None = None,
    select: str = "r2",
    precision: str = "float32",
    device: str = "cpu",
    targets_per_chunk: int | None = None,
    pools: Bool[np.ndarray, "pool target"] | None = None,
) -> Scores:
    """Ridge from X to every target, tested on each fold, alpha chosen inside its training rows.

    The fit is scikit-learn's `Ridge` with an intercept: features and targets
    centred by their training means, alpha in the same units.

    Parameters
    ----------
    X : (sample, feature), or (layer, sample, feature), or an iterable of
        layers, read once, which may differ in the number of features.
    Y : may be memory-mapped: it is read some targets at a time.
    folds : (train, test) row indices.
    inner : for each fold, the (train, test) row indices on which alpha is
        chosen, all inside the training rows; by default the other folds' test
        blocks, or five contiguous blocks where that leaves none (one or two folds).
    select : alpha maximises the mean over inner folds of "r2" (null: the
        inner training mean) or "r"; of equals the larger alpha is taken.
    precision : of what grows with the targets; what does not is float64.
        In float32, where each alpha costs products of its own and there are
        many to a factor of ten, scores between `grid.FINE` nodes are
        interpolated. "mixed" takes fewer nodes (`grid.COARSE`), in bfloat16
        where the device is faster at it, and reports in float32.
    device : "cpu" (numpy) or "cuda" (torch, the targets' chunks on the GPU).
    targets_per_chunk : targets at a time; memory, not results.
    pools : groups of targets for `Scores.agreement`.

    Raises
    ------
    ValueError : missing values, lengths that differ, unknown options, alphas
        that are not positive, inner folds that leave the training rows.
    """
    one = isinstance(X, np.ndarray) and X.ndim == 2
    found = list(
        each_layer(
            [X] if one else X, Y, folds=folds, alphas=alphas, inner=inner, select=select, precision=precision,
            device=device, targets_per_chunk=targets_per_chunk, pools=pools,
        )
    )  # fmt: skip
    if not found:
        raise ValueError("X holds no layers; there must be at least one")
    if one:
        return found[0]
    parts = [np.stack(part) if part[0] is not None else None for part in zip(*(f[:-1] for f in found), strict=True)]
    return Scores(*parts, path=tuple(p for f in found for p in f.path))


def each_layer(
    layers: Iterable[np.ndarray],
    Y: Shaped[np.ndarray, "sample target"],
    *,
    folds: Sequence[Fold],
    alphas: Shaped[np.ndarray, " alpha"] | Sequence[float],
    inner: Sequence[Sequence[Fold]] | None = None,
    select: str = "r2",
    precision: str = "float32",
    device: str = "cpu",
    targets_per_chunk: int | None = None,
    pools: Bool[np.ndarray, "pool target"] | None = None,
) -> Iterator[Scores]:
    """`cross_validate`, layer by layer, so that each can be kept as soon as it is done."""
    check_option("precision", precision, PRECISIONS)
    check_option("device", device, tuple(BACKENDS))
    Y = checked_values(np.asanyarray(Y), "Y")
    check_folds(folds, len(Y))
    if inner is None:
        inner = [default_inner(folds, k) for k in range(len(folds))]
    task = _task(Y, folds, inner, alphas, select, precision, device, targets_per_chunk, pools)
    return (_one_layer(layer, task) for layer in layers)


def choose_alpha(
    X: Shaped[np.ndarray, "sample feature"],
    Y: Shaped[np.ndarray, "sample target"],
    *,
    inner: Sequence[Fold],
    alphas: Shaped[np.ndarray, " alpha"] | Sequence[float],
    select: str = "r2",
    precision: str = "float32",
) -> tuple[Float[np.ndarray, " target"], Float[np.ndarray, " target"]]:
    """The alpha of each target with the best mean score over the folds, and that score; nothing is tested."""
    fold = (np.arange(len(X)), np.arange(0))
    task = _task(checked_values(Y, "Y"), [fold], [inner], alphas, select, precision, "cpu", None, None)
    ((_, alpha, score, _),) = _folds(_checked_layer(X, task), task)
    return alpha, score


def _task(Y, folds, inner, alphas, select, precision, device, chunk, pools) -> Task:
    check_option("select", select, tuple(SCORES))
    alphas, inner = checked_alphas(alphas), [list(pairs) for pairs in inner]
    check_inner(folds, inner, len(alphas))
    ops = backend(precision, device)
    per_decade = {"float64": np.inf, "float32": FINE, "mixed": COARSE}[precision]
    return Task(Targets(Y, ops), list(folds), inner, grid(alphas, per_decade), select, ops, chunk, pools)


def _checked_layer(X: np.ndarray, task: Task) -> np.ndarray:
    X = checked_values(np.asarray(X), "X")
    if len(X) != task.shape[0]:
        raise ValueError(f"X has {len(X)} samples and Y has {task.shape[0]}; they must be the same")
    return X


def _one_layer(X: np.ndarray, task: Task) -> Scores:
    n_samples, n_targets = task.shape
    parts = {name: np.full((len(task.folds), n_targets), np.nan) for name in ("r", "r2", "alpha", "inner", "flat")}
    agreement = None if task.pools is None else np.full((len(task.pools), n_samples), np.nan)
    paths = []
    for k, (path, alpha, score, tested) in enumerate(_folds(_checked_layer(X, task), task)):
        parts["alpha"][k], parts["inner"][k] = alpha, score
        parts["r"][k], parts["r2"][k], parts["flat"][k] = tested.r, tested.r2, tested.flat
        paths.append(path)
        if agreement is not None:
            agreement[:, task.folds[k][1]] = tested.agreement()
    ends = task.grid.alphas[[0, -1]] if len(task.grid.alphas) > 1 else []  # a grid of one has no edge
    edge = np.isin(parts["alpha"], ends).astype(float)
    return Scores(
        parts["r"], parts["r2"], parts["alpha"], edge, parts["inner"], parts["flat"] > 0, agreement, tuple(paths)
    )


def _folds(X: np.ndarray, task: Task) -> Iterator[tuple[str, np.ndarray, np.ndarray, Tested]]:
    """For each fold: how it was computed, alpha and inner score by target, and the test."""
    source = Source(X, task.ops)
    kind = Primal if X.shape[1] <= min(len(train) for train, _ in task.folds) else Dual
    for k in range(len(task.folds)):
        fold = OneFold(kind(source, task.folds[k]), k, task)
        yield fold.path, *fold.run()
