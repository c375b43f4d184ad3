"""A training set of several feature spaces, factorised for any weighting of them."""

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Bool, Float

TARGETS_AT_ONCE = 512  # predictions of one chunk stay in the cache


class Task(NamedTuple):
    Y: np.ndarray
    alphas: np.ndarray  # the largest first
    scales: Float[np.ndarray, "candidate space"]  # the simplest first; alpha_j = alpha / scale_j
    score: Callable[[np.ndarray], Callable[[np.ndarray], np.ndarray]]  # of responses, of predictions
    dtype: type
    chunk: int | None

    def chunks(self, columns: np.ndarray) -> Iterator[np.ndarray]:
        step = self.chunk or TARGETS_AT_ONCE
        return (columns[start : start + step] for start in range(0, len(columns), step))

    def all_chunks(self) -> Iterator[np.ndarray]:
        return self.chunks(np.arange(self.Y.shape[1]))


class System(NamedTuple):
    """One training set at one gamma, factorised for every alpha and target.

    prediction of space j = left_j @ (basis' side / (values + alpha)) + training mean.
    """

    values: Float[np.ndarray, " rank"]
    basis: Float[np.ndarray, "row rank"]
    left: Float[np.ndarray, "space test rank"]  # one for all spaces together where they are not split
    rows: Any  # of `side`, which the basis spans


class Set(NamedTuple):
    """A training set and its held-out rows: all that does not depend on gamma."""

    factorise: Callable[..., System]  # (scale, split)
    side: Float[np.ndarray, "row target"]  # what the targets bring in: X'Y, or Y itself
    y: Float[np.ndarray, "test target"]  # held out, less the training mean
    known: Bool[np.ndarray, " target"]  # not constant where held out
    spread: Float[np.ndarray, " target"]  # standard deviation in training


class _Responses(NamedTuple):
    mean: Float[np.ndarray, " target"]
    spread: Float[np.ndarray, " target"]  # 0 for a target that is constant in training, exactly


def _responses(task: Task, train: np.ndarray) -> _Responses:
    mean, spread = np.empty((2, task.Y.shape[1]))
    for columns in task.all_chunks():
        y = task.Y[np.ix_(train, columns)].astype(np.float64)
        mean[columns] = y.mean(axis=0)
        y -= mean[columns]
        spread[columns] = np.where(_constant(y, mean[columns]), 0, y.std(axis=0))
    return _Responses(mean, spread)


def _held_out(task: Task, test: np.ndarray, mean: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    held, known = np.empty((len(test), len(mean)), task.dtype), np.empty(len(mean), bool)
    for columns in task.all_chunks():
        y = task.Y[np.ix_(test, columns)].astype(np.float64) - mean[columns]
        held[:, columns], known[columns] = y, ~_constant(y, mean[columns])
    return held, known


class Primal:
    """Few features: the Gram of all spaces and its products with the targets, downdated to each inner training set."""

    name = "primal"

    def __init__(self, spaces: list[np.ndarray], task: Task):
        self.X = np.hstack(spaces).astype(np.float64)
        self.X -= self.X.mean(axis=0)  # the sums below then do not cancel
        self.low = self.X.astype(task.dtype)
        self.space = np.repeat(np.arange(len(spaces)), [x.shape[1] for x in spaces])
        self.size = np.abs(self.X).max(axis=0) + 1e-300
        self.task = task

    def open(self, outer: np.ndarray) -> None:
        """Make the sums of an outer training set, from which its inner ones are downdated."""
        self.outer, self.centre = outer, _responses(self.task, outer).mean
        self.sums = self._sums(outer)

    def _sums(self, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        X, low = self.X[rows], self.low[rows]
        cross = np.empty((X.shape[1], self.task.Y.shape[1]), self.task.dtype)
        for columns in self.task.all_chunks():
            y = self.task.Y[np.ix_(rows, columns)] - self.centre[columns]
            cross[:, columns] = low.T @ y.astype(self.task.dtype)
        return X.T @ X, X.sum(axis=0), cross

    def _sums_of(self, train: np.ndarray) -> Sequence[np.ndarray]:
        dropped = np.setdiff1d(self.outer, train)
        if len(dropped) > len(train):  # of a large sum a small one is left inexactly
            return self._sums(train)
        return [a - b for a, b in zip(self.sums, self._sums(dropped), strict=True)] if len(dropped) else self.sums

    def on(self, train: np.ndarray, test: np.ndarray) -> Set:
        """A training set and the rows it is to predict."""
        responses = _responses(self.task, train)
        gram, total, cross = self._sums_of(train)
        mean = total / len(train)
        shift = np.outer(total, responses.mean - self.centre).astype(self.task.dtype)
        side = np.where(responses.spread > 0, cross - shift, 0).astype(self.task.dtype)
        gram = gram - len(train) * np.outer(mean, mean)
        # a column that is constant in training gets weight 0, exactly
        varies = np.ptp(self.X[train], axis=0) > 1e-12 * self.size
        moments = _Moments(gram, self.X[test] - mean, self.space, varies)
        return Set(
            partial(_primal_system, moments), side, *_held_out(self.task, test, responses.mean), responses.spread
        )


class _Moments(NamedTuple):
    """Of one training set, about its means."""

    gram: Float[np.ndarray, "column column"]
    test: Float[np.ndarray, "test column"]
    space: np.ndarray  # of each column
    varies: np.ndarray


def _primal_system(moments: _Moments, scale: np.ndarray, split: bool = False) -> System:
    kept = np.flatnonzero(moments.varies & (scale[moments.space] > 0))
    space = moments.space[kept]
    root = np.sqrt(scale[space])
    values, vectors = np.linalg.eigh(moments.gram[np.ix_(kept, kept)] * np.outer(root, root))
    basis = root[:, None] * vectors
    own = [space == j for j in range(len(scale))] if split else [np.ones(len(kept), bool)]
    left = np.stack([moments.test[:, kept[part]] @ basis[part] for part in own])
    return System(np.maximum(values, 0), basis, left, kept)


class Dual:
    """More features than samples: one sample x sample kernel of each space serves every training set."""

    name = "dual"

    def __init__(self, spaces: list[np.ndarray], task: Task):
        centred = (x - x.mean(axis=0, dtype=np.float64) for x in spaces)
        self.kernels = np.stack([x @ x.T for x in centred])
        self.task = task

    def open(self, outer: np.ndarray) -> None:
        """Nothing to make: a training set's kernels are rows and columns of the whole."""

    def on(self, train: np.ndarray, test: np.ndarray) -> Set:
        """A training set and the rows it is to predict."""
        responses = _responses(self.task, train)
        within = self.kernels[:, train[:, None], train]
        across = self.kernels[:, test[:, None], train]
        mean = within.mean(axis=1, keepdims=True)
        middle = mean.mean(axis=2, keepdims=True)
        across = across - mean - (across.mean(axis=2, keepdims=True) - middle)
        within = within - mean - mean.transpose(0, 2, 1) + middle
        side = np.empty((len(train), self.task.Y.shape[1]), self.task.dtype)
        for columns in self.task.all_chunks():
            y = self.task.Y[np.ix_(train, columns)] - responses.mean[columns]
            side[:, columns] = np.where(responses.spread[columns] > 0, y, 0)

        factorise = partial(_dual_system, within, across)
        return Set(factorise, side, *_held_out(self.task, test, responses.mean), responses.spread)


def _dual_system(within: np.ndarray, across: np.ndarray, scale: np.ndarray, split: bool = False) -> System:
    values, vectors = np.linalg.eigh(np.tensordot(scale, within, axes=1))
    parts = scale[:, None, None] * across
    left = (parts if split else parts.sum(axis=0, keepdims=True)) @ vectors
    return System(np.maximum(values, 0), vectors, left, slice(None))


def _constant(y: np.ndarray, mean: np.ndarray) -> np.ndarray:
    # the magnitude is that of the target before its mean was taken off
    return np.ptp(y, axis=0) <= 8 * np.finfo(np.float64).eps * (np.abs(y).max(axis=0) + np.abs(mean))
