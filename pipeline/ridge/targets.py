"""The target side: read a chunk at a time, its moments reduced once for all layers, models and seeds."""

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np

from pipeline.ridge.checks import Fold

ROWS = 256  # squared at a time, to stay in the cache
SUSPECT = 1e-6  # of a target's magnitude: whoever varies more is no constant and needs no closer look
CENTRED = 16  # magnitude up to which single precision takes off the mean without harm: it rounds to 1e-6 deviations


class Held(NamedTuple):
    """Moments of the responses in held-out rows, by target: what scores need beside the predictions' own."""

    n: int
    square: np.ndarray  # sum of squares about the rows' own mean
    offset: np.ndarray  # that mean less the training mean
    constant: np.ndarray


class Chunk(NamedTuple):
    """Some targets of one fold, less their training means and in units of their training standard deviations."""

    columns: slice
    y: Any  # (training row, target)
    y_test: Any  # (test row, target)
    magnitude: np.ndarray  # of the responses as they came, in the same units: what rounding is measured by


class Targets:
    """Responses that may lie in a file larger than memory.

    Training moments make each target of mean 0 and variance 1 (exactly 0
    where it is constant, up to rounding, for what rounding leaves teaches
    nothing), so that single precision suffices whatever its unit and origin.
    """

    def __init__(self, Y: np.ndarray, ops: Any):
        self.Y, self.ops = Y, ops
        self._moments: dict[tuple, tuple[np.ndarray, np.ndarray, np.ndarray]] = {}
        self._held: dict[tuple, Held] = {}
        self._resident: dict[tuple, Chunk] = {}
        self._left = ops.room()

    def chunks(self, k: int, fold: Fold, size: int) -> Iterator[Chunk]:
        """All targets, `size` at a time; `k` names the fold, whose moments are kept."""
        train, test = (self._rows(rows) for rows in fold)
        for start in range(0, self.Y.shape[1], size):
            columns = slice(start, min(start + size, self.Y.shape[1]))
            key = (k, columns.start, columns.stop)
            yield self._resident.get(key) or self._kept(key, self._read(key, columns, train, test))

    def _read(self, key: tuple, columns: slice, train: Any, test: Any) -> Chunk:
        low = not self.ops.exact and key in self._moments and bool(self._moments[key][2].max() <= CENTRED)
        y, y_test = (self.ops.fresh(self.Y[rows, columns], low) for rows in (train, test))
        if key not in self._moments:
            self._moments[key] = _moments(y, self.ops)
        mean, inverse, magnitude = self._moments[key]
        unit = np.where(inverse > 0, inverse, 1)
        return Chunk(columns, self._standardised(y, mean, inverse), self._standardised(y_test, mean, unit), magnitude)

    def _kept(self, key: tuple, chunk: Chunk) -> Chunk:
        """On a device with room of its own, for all layers."""
        size = 8 * (len(chunk.y) + len(chunk.y_test)) * len(chunk.magnitude)
        if size <= self._left:
            self._resident[key], self._left = chunk, self._left - size
        return chunk

    def _rows(self, rows: np.ndarray) -> Any:
        rows = np.asarray(rows)
        return slice(int(rows[0]), int(rows[-1]) + 1) if len(rows) and (np.diff(rows) == 1).all() else rows

    def _standardised(self, y: Any, mean: np.ndarray, inverse: np.ndarray) -> Any:
        y -= self.ops.like(mean, y)
        y *= self.ops.like(inverse, y)
        return self.ops.put(y)

    def held(self, name: tuple, chunk: Chunk, y: Any, training_mean: Any = 0.0) -> Held:
        """Moments of some held-out rows of a chunk; `name` says which, `training_mean` is that of the fit's rows."""
        key = (*name, chunk.columns.start, chunk.columns.stop)
        if key not in self._held:
            self._held[key] = self._reduced(chunk, y, training_mean)
        return self._held[key]

    def _reduced(self, chunk: Chunk, y: Any, training_mean: Any) -> Held:
        mean = y.mean(0)
        centred = y - mean
        square = self.ops.dots(centred, centred)
        constant = np.zeros(len(square), bool)
        near = np.sqrt(square / len(y)) <= SUSPECT * (1 + chunk.magnitude)
        if near.any():
            constant = near & _constant(*self.ops.spread(y), chunk.magnitude)
        return Held(len(y), square, self.ops.get(mean - training_mean), constant)


def _moments(y: Any, ops: Any) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Mean, one over the standard deviation (0 for a constant), and magnitude in the unit that gives."""
    centre = y.mean(0)
    squares = sum(((y[start : start + ROWS] - centre) ** 2).sum(0) for start in range(0, len(y), ROWS))
    mean, deviation = ops.get(centre), np.sqrt(ops.get(squares) / len(y))
    size = np.abs(mean) + deviation
    constant = deviation <= SUSPECT * size
    if constant.any():
        low, high = ops.spread(y)
        constant &= _constant(low - mean, high - mean, np.abs(mean))
    inverse = np.divide(1, deviation, out=np.zeros_like(mean), where=~constant)
    return mean, inverse, size * np.where(constant, 1, inverse)


def _constant(low: np.ndarray, high: np.ndarray, magnitude: np.ndarray) -> np.ndarray:
    return high - low <= 8 * np.finfo(np.float64).eps * (np.maximum(np.abs(low), np.abs(high)) + magnitude)
