"""Many targets, one alpha each, chosen inside the training data."""

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Shaped

from pipeline.ridge import plan
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
from pipeline.ridge.factor import Dual, Part, Primal, Source
from pipeline.ridge.grid import COARSE, FINE, Grid, grid
from pipeline.ridge.predict import CHOLESKY_LIMIT, HOW, Norms, Sums, at_chosen
from pipeline.ridge.score import FLAT, SCORES, r, r2
from pipeline.ridge.targets import Chunk, Targets

TIES = 4  # units of rounding by which equal scores may differ: the larger alpha is then taken


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
        Where there are many alphas to a factor of ten, the score is measured
        at ten for every three (`grid.FINE`) and interpolated.
    precision : of what grows with the targets; what does not is float64.
        "mixed" chooses alpha by fewer measurements (`grid.COARSE`), in
        bfloat16 where the device is faster at it, and reports in float32.
    device : "cpu" (numpy) or "cuda" (torch, the targets' chunks on the GPU).
    targets_per_chunk : targets at a time; memory, not results.
    pools : groups of targets for `Scores.agreement`.

    Raises
    ------
    ValueError : missing values, lengths that differ, unknown options, alphas
        that are not positive, inner folds that leave the training rows.
    """
    check_option("precision", precision, PRECISIONS)
    check_option("device", device, tuple(BACKENDS))
    Y = checked_values(np.asanyarray(Y), "Y")
    check_folds(folds, len(Y))
    if inner is None:
        inner = [default_inner(folds, k) for k in range(len(folds))]
    task = _task(Y, folds, inner, alphas, select, precision, device, targets_per_chunk, pools)
    one = isinstance(X, np.ndarray) and X.ndim == 2
    found = [_one_layer(layer, task) for layer in ([X] if one else X)]
    if not found:
        raise ValueError("X holds no layers; there must be at least one")
    if one:
        return found[0]
    parts = [np.stack(part) if part[0] is not None else None for part in zip(*(f[:-1] for f in found), strict=True)]
    return Scores(*parts, path=tuple(p for f in found for p in f.path))


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


class _Task(NamedTuple):
    targets: Targets
    folds: list[Fold]
    inner: list[list[Fold]]
    grid: Grid
    select: str
    ops: Any
    chunk: int | None
    pools: np.ndarray | None

    @property
    def shape(self) -> tuple[int, int]:
        return self.targets.Y.shape


def _task(Y, folds, inner, alphas, select, precision, device, chunk, pools) -> _Task:
    check_option("select", select, tuple(SCORES))
    alphas, inner = checked_alphas(alphas), [list(pairs) for pairs in inner]
    check_inner(folds, inner, len(alphas))
    ops = backend(precision, device)
    nodes = grid(alphas, COARSE if precision == "mixed" else FINE)
    return _Task(Targets(Y, ops), list(folds), inner, nodes, select, ops, chunk, pools)


def _checked_layer(X: np.ndarray, task: _Task) -> np.ndarray:
    X = checked_values(np.asarray(X), "X")
    if len(X) != task.shape[0]:
        raise ValueError(f"X has {len(X)} samples and Y has {task.shape[0]}; they must be the same")
    return X


def _one_layer(X: np.ndarray, task: _Task) -> Scores:
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


def _folds(X: np.ndarray, task: _Task) -> Iterator[tuple[str, np.ndarray, np.ndarray, "_Tested"]]:
    """For each fold: how it was computed, alpha and inner score by target, and the test."""
    source = Source(X, task.ops)
    kind = Primal if X.shape[1] <= min(len(train) for train, _ in task.folds) else Dual
    for k in range(len(task.folds)):
        fold = _Fold(kind(source, task.folds[k]), k, task)
        yield fold.path, *fold.run()


class _Fold:
    """One layer in one fold: chunk by chunk, alphas chosen on the inner folds, then tested."""

    def __init__(self, factor: Primal | Dual, k: int, task: _Task):
        self.factor, self.k, self.task = factor, k, task
        self.parts = _positions(task.folds[k][0], task.inner[k]) if len(task.grid.alphas) > 1 else []
        self.ways = [self._way(part) for part in self.parts]

    @property
    def path(self) -> str:
        """How, in words."""
        nodes = f" at {len(self.task.grid.nodes)} nodes" if self.task.grid.weights is not None else ""
        ways = sorted({f"{way}{'' if way.how == Norms.name else nodes}" for way in self.ways})
        return " ".join([self.factor.name, *ways])

    def _way(self, part: Part) -> plan.Way:
        alphas, nodes = self.task.grid.alphas, self.task.grid.nodes
        return plan.inner_way(
            self.factor.size(part),
            len(part.held_out),
            self.task.shape[1],
            len(alphas),
            len(nodes),
            self._safe(nodes),
            self.task.ops,
        )

    def _safe(self, alphas: np.ndarray) -> bool:
        return bool(alphas[0] > CHOLESKY_LIMIT * self.factor.trace())

    def run(self) -> tuple[np.ndarray, np.ndarray, "_Tested"]:
        """All targets: index of the alpha, inner score, and test."""
        n_targets, tested = self.task.shape[1], _Tested(self.k, self.task)
        best, score = np.zeros(n_targets, int), np.full(n_targets, np.nan)
        sums: dict[int, _Mean] = {}  # by chunk; only those of operators that need several passes are kept
        *earlier, last = plan.passes([self._bytes(i) for i in range(len(self.parts))])
        for group in earlier:
            for chunk, _, scores in self._scored(group):
                sums.setdefault(chunk.columns.start, _Mean()).add(scores)
        final = self._final()
        for chunk, moments, scores in self._scored(last):
            own = sums.pop(chunk.columns.start, _Mean()).add(scores)
            best[chunk.columns], score[chunk.columns] = self._best(own, chunk)
            tested.add(final, moments, best[chunk.columns], chunk)
        return self.task.grid.alphas[best], score, tested

    def _scored(self, group: slice) -> Iterator[tuple[Chunk, Any, list[np.ndarray]]]:
        """Chunk, moments of all training rows, and each part's scores (alpha, target)."""
        fits, indices = [self._prepared(i) for i in range(len(self.parts))[group]], range(len(self.parts))[group]
        moments = self.factor.moments(self.parts[group])
        for chunk in self.task.targets.chunks(self.k, self.task.folds[self.k], self._targets_at_once()):
            every, each = moments(chunk.y)
            yield (
                chunk,
                every,
                [self._scores(i, fit, own, chunk) for i, fit, own in zip(indices, fits, each, strict=True)],
            )

    def _scores(self, i: int, fit: Any, moments: Any, chunk: Chunk) -> np.ndarray:
        y = chunk.y[self.task.ops.rows(self.parts[i].held_out)]
        held = self.task.targets.held((self.k, i), chunk, y, moments.mean)
        scores = SCORES[self.task.select](fit(moments.own, y, moments.held), held)
        return scores if self._alphas(i) is self.task.grid.alphas else self.task.grid.spread(scores)

    def _alphas(self, i: int) -> np.ndarray:
        return self.task.grid.alphas if self.ways[i].how == Norms.name else self.task.grid.nodes

    def _bytes(self, i: int) -> int:
        size = self.factor.size(self.parts[i])
        rows = size if self.ways[i].how == Norms.name else len(self._alphas(i)) * (len(self.parts[i].held_out) + 1)
        return 4 * rows * size

    def _targets_at_once(self) -> int:
        n_train = len(self.task.folds[self.k][0])
        size = max((self.factor.size(part) for part in self.parts), default=n_train)
        rows = max((len(self._alphas(i)) * len(part.held_out) for i, part in enumerate(self.parts)), default=1)
        return self.task.chunk or plan.targets_per_chunk(n_train, size, rows, len(self.parts), self.task.ops)

    def _prepared(self, i: int) -> Any:
        way = self.ways[i]
        return HOW[way.how](self.factor.inner(self.parts[i]), self._alphas(i), way.cholesky, self.task.ops)

    def _final(self) -> Any:
        fit, task = self.factor.final(), self.task
        n_rows, n_alphas, safe = len(fit.left), len(task.grid.alphas), self._safe(task.grid.alphas)
        way = plan.final_way(fit.size, n_rows, task.shape[1], n_alphas, fit.diagonal is not None, safe, task.ops)
        return at_chosen(fit, task.grid.alphas, way.how == "scaled", way.cholesky, task.ops)

    def _best(self, scores: "_Mean", chunk: Chunk) -> tuple[np.ndarray, np.ndarray]:
        """Index of the best alpha and its mean score; of equals, up to rounding, the larger alpha."""
        n_targets = chunk.columns.stop - chunk.columns.start
        if not self.parts:
            return np.zeros(n_targets, int), np.full(n_targets, np.nan)
        mean = scores.value()
        slack = TIES * np.finfo(np.float64 if self.task.ops.exact else np.float32).eps
        ranked = np.nan_to_num(mean, nan=-np.inf)
        equal = ranked >= ranked.max(axis=0) - slack
        best = len(mean) - 1 - np.argmax(equal[::-1], axis=0)
        return best, mean[best, np.arange(n_targets)]


class _Mean:
    """Mean score over inner folds; a target constant in one of them (NaN) is left out of its mean."""

    total: np.ndarray | float = 0.0
    count: np.ndarray | float = 0.0

    def add(self, scores: list[np.ndarray]) -> "_Mean":
        for one in scores:
            known = np.isfinite(one).all(axis=0)
            self.total, self.count = self.total + np.where(known, one, 0), self.count + known
        return self

    def value(self) -> np.ndarray:
        """(alpha, target); NaN where no inner fold tells."""
        return np.divide(self.total, self.count, out=np.full_like(self.total, np.nan), where=self.count > 0)


class _Tested:
    """Scores on the test rows, gathered chunk by chunk."""

    def __init__(self, k: int, task: _Task):
        n_targets, n_test = task.shape[1], len(task.folds[k][1])
        self.k, self.task = k, task
        self.r, self.r2 = np.full(n_targets, np.nan), np.full(n_targets, np.nan)
        self.flat = np.zeros(n_targets, bool)
        n_pools = 0 if task.pools is None else len(task.pools)
        self.summed, self.members = np.zeros((n_pools, n_test)), np.zeros(n_pools)

    def add(self, final: Any, moments: Any, best: np.ndarray, chunk: Chunk) -> None:
        """Predict and score one chunk, each target at its best alpha."""
        if not len(chunk.y_test):
            return
        ops, columns = self.task.ops, chunk.columns
        about, mean = final(moments, best)
        held = self.task.targets.held((self.k, "test"), chunk, chunk.y_test)
        sums = Sums(ops.dots(about, chunk.y_test), ops.dots(about, about), mean)
        flat = np.sqrt(np.maximum(sums.square, 0) / held.n) <= FLAT  # in units of the training deviation
        self.flat[columns] = flat
        self.r[columns] = np.where(flat & ~held.constant, 0.0, r(sums, held))
        self.r2[columns] = r2(sums, held)
        if len(self.members):
            self._agree(about, flat, sums, held, chunk)

    def _agree(self, about: Any, flat: np.ndarray, sums: Sums, held: Any, chunk: Chunk) -> None:
        """z(response) * z(prediction), 0 where either is constant, summed over each pool's targets."""
        ops = self.task.ops
        member = self.task.pools[:, chunk.columns] & np.isfinite(self.r[chunk.columns])
        size = np.sqrt(sums.square * held.square) / held.n
        scale = np.divide(1, size, out=np.zeros_like(size), where=(size > 0) & ~flat & ~held.constant)
        products = about * (chunk.y_test - chunk.y_test.mean(0))
        self.summed += ops.get(products @ ops.put((member * scale).T)).T
        self.members += member.sum(axis=1)

    def agreement(self) -> np.ndarray:
        """(pool, test row)."""
        members = self.members[:, None]
        return np.divide(self.summed, members, out=np.full_like(self.summed, np.nan), where=members > 0)


def _positions(train: np.ndarray, inner: Sequence[Fold]) -> list[Part]:
    """Row indices of X as positions among the training rows."""
    place = {int(row): i for i, row in enumerate(train)}
    return [Part(*(np.array([place[int(row)] for row in rows], int) for rows in pair)) for pair in inner]
