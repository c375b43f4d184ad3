"""One layer in one fold: alphas chosen on the inner folds, then tested, a chunk of targets at a time."""

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np

from pipeline.ridge import plan
from pipeline.ridge.checks import Fold
from pipeline.ridge.factor import Dual, Part, Primal
from pipeline.ridge.grid import Grid
from pipeline.ridge.predict import CHOLESKY_LIMIT, HOW, Norms, Sums, at_chosen
from pipeline.ridge.score import FLAT, SCORES, r, r2
from pipeline.ridge.targets import Chunk, Targets

TIES = 8  # units of rounding, of the score's own size, by which equal scores may differ: the larger alpha is taken


class Task(NamedTuple):
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


class OneFold:
    """One layer in one fold: chunk by chunk, alphas chosen on the inner folds, then tested."""

    def __init__(self, factor: Primal | Dual, k: int, task: Task):
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

    def run(self) -> tuple[np.ndarray, np.ndarray, "Tested"]:
        """All targets: index of the alpha, inner score, and test."""
        n_targets, tested = self.task.shape[1], Tested(self.k, self.task)
        best, score = np.zeros(n_targets, int), np.full(n_targets, np.nan)
        sums: dict[int, Mean] = {}  # by chunk; only those of operators that need several passes are kept
        *earlier, last = plan.passes([self._bytes(i) for i in range(len(self.parts))])
        for group in earlier:
            for chunk, _, scores in self._scored(group):
                sums.setdefault(chunk.columns.start, Mean()).add(scores)
        final = self._final() if len(self.task.folds[self.k][1]) else None
        for chunk, moments, scores in self._scored(last):
            own = sums.pop(chunk.columns.start, Mean()).add(scores)
            best[chunk.columns], score[chunk.columns] = self._best(own, chunk)
            if final is not None:
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

    def _best(self, scores: "Mean", chunk: Chunk) -> tuple[np.ndarray, np.ndarray]:
        """Index of the best alpha and its mean score; of equals, up to rounding, the larger alpha."""
        n_targets = chunk.columns.stop - chunk.columns.start
        if not self.parts:
            return np.zeros(n_targets, int), np.full(n_targets, np.nan)
        mean = scores.value()
        slack = TIES * np.finfo(np.float64 if self.task.ops.exact else np.float32).eps
        ranked = np.nan_to_num(mean, nan=-np.inf)
        top = ranked.max(axis=0)
        equal = ranked >= top - slack * np.abs(top, out=np.zeros_like(top), where=np.isfinite(top))
        best = len(mean) - 1 - np.argmax(equal[::-1], axis=0)
        return best, mean[best, np.arange(n_targets)]


class Mean:
    """Mean score over inner folds; a target constant in one of them (NaN) is left out of its mean."""

    total: np.ndarray | float = 0.0
    count: np.ndarray | float = 0.0

    def add(self, scores: list[np.ndarray]) -> "Mean":
        for one in scores:
            known = np.isfinite(one).all(axis=0)
            self.total, self.count = self.total + np.where(known, one, 0), self.count + known
        return self

    def value(self) -> np.ndarray:
        """(alpha, target); NaN where no inner fold tells."""
        return np.divide(self.total, self.count, out=np.full_like(self.total, np.nan), where=self.count > 0)


class Tested:
    """Scores on the test rows, gathered chunk by chunk."""

    def __init__(self, k: int, task: Task):
        n_targets, n_test = task.shape[1], len(task.folds[k][1])
        self.k, self.task = k, task
        self.r, self.r2 = np.full(n_targets, np.nan), np.full(n_targets, np.nan)
        self.flat = np.zeros(n_targets, bool)
        n_pools = 0 if task.pools is None else len(task.pools)
        self.summed, self.members = np.zeros((n_pools, n_test)), np.zeros(n_pools)

    def add(self, final: Any, moments: Any, best: np.ndarray, chunk: Chunk) -> None:
        """Predict and score one chunk, each target at its best alpha."""
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
