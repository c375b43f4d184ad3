"""Values far outside what a channel does in training, cut off before they are fitted or tested.

A jump of a sensor is a thousand times its signal and would be the whole fit.
Where it is cut must not depend on what is tested: every fold has limits of its
own, from its training rows.
"""

from collections.abc import Iterable, Iterator, Sequence
from copy import copy
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Integer, Shaped

from pipeline import ridge
from pipeline.ridge import crossval
from pipeline.ridge.checks import Fold, check_folds, checked_values
from pipeline.ridge.targets import Chunk, Targets
from pipeline.sensors import Sensors

if TYPE_CHECKING:
    import xarray as xr

NORMAL = 1.349  # interquartile range of a normal distribution of deviation 1
_CELLS = 2**21  # values looked at together


class Limits(NamedTuple):
    """Between which values each target stays in each fold, and how many of its training and test rows are cut there."""

    low: Shaped[np.ndarray, "fold target"]
    high: Shaped[np.ndarray, "fold target"]
    n_cut: Integer[np.ndarray, "fold target"]


def limits_of(
    Y: Shaped[np.ndarray, "sample target"], folds: Sequence[Fold], clip: float | None, sensors: Sensors | None = None
) -> Limits | None:
    """Median and `clip` robust deviations to both sides, of each channel's training rows; None where nothing lies beyond.

    A robust deviation is the interquartile range over 1.349, the deviation of
    a normal distribution. All latencies of a channel count together, for they
    are one signal read at several moments; without channels each target is
    its own. A channel half of whose values are the same has none and is not
    cut. Inner folds stay within the limits of the outer fold's training rows:
    they choose alpha on what the fit will see.

    Parameters
    ----------
    Y : not changed; may lie in a file, of which a few channels are read at a time.
    clip : robust deviations; None cuts nothing.
    """
    if clip is None:
        return None
    width = max(len(sensors.latencies_s), 1) if sensors else 1
    shape = (len(folds), Y.shape[1])
    found = Limits(np.full(shape, -np.inf, Y.dtype), np.full(shape, np.inf, Y.dtype), np.zeros(shape, np.uint32))
    step = max(_CELLS // max(len(Y) * width, 1), 1) * width
    for start in range(0, Y.shape[1], step):
        columns = slice(start, min(start + step, Y.shape[1]))
        _fill(found, columns, np.array(Y[:, columns]), folds, clip, width)
    return found if found.n_cut.any() else None


def each_layer(
    layers: Iterable[np.ndarray],
    Y: Shaped[np.ndarray, "sample target"],
    limits: Limits | None,
    *,
    folds: Sequence[Fold],
    inner: Sequence[Sequence[Fold]],
    alphas: Shaped[np.ndarray, " alpha"] | Sequence[float],
    select: str = "r2",
    precision: str = "float32",
    device: str = "cpu",
    pools: Bool[np.ndarray, "pool target"] | None = None,
) -> Iterator[ridge.Scores]:
    """`ridge.each_layer` with each fold's responses, of training and test rows alike, within that fold's limits.

    They are cut as they are read, so that Y stays as it is and has no copy.
    """
    if limits is None:
        return ridge.each_layer(
            layers, Y, folds=folds, inner=inner, alphas=alphas, select=select, precision=precision, device=device, pools=pools
        )  # fmt: skip
    check_folds(folds, len(Y))
    task = crossval._task(checked_values(Y, "Y"), folds, inner, alphas, select, precision, device, None, pools)
    task = task._replace(targets=_Cut(Y, task.ops, limits))
    return (crossval._one_layer(layer, task) for layer in layers)


def within(
    Y: Shaped[np.ndarray, "sample target"], limits: Limits | None, fold: int, columns: np.ndarray | slice = slice(None)
) -> Shaped[np.ndarray, "sample column"]:
    """Some targets' responses, all samples, within one fold's limits."""
    return Y[:, columns] if limits is None else np.clip(Y[:, columns], *(end[fold, columns] for end in limits[:2]))


def counted(ds: "xr.Dataset", limits: Limits | None) -> "xr.Dataset":
    """Scores, and how many values of each target were cut off in each fold; unchanged where none was."""
    about = {"units": "1", "long_name": "values of the fold's training and test samples cut off at its limits"}
    return ds if limits is None else ds.assign(clipped=(("fold", "target"), limits.n_cut, about))


class _Cut(Targets):
    """Responses read through the limits of the fold they are read for."""

    def __init__(self, Y: np.ndarray, ops: Any, limits: Limits):
        super().__init__(Y, ops)
        self.limits = limits

    def _read(self, key: tuple, columns: slice, train: Any, test: Any) -> Chunk:
        own = copy(self)  # which shares the moments
        own.Y = _Window(self.Y, self.limits.low[key[0]], self.limits.high[key[0]])  # type: ignore[assignment]
        return super(_Cut, own)._read(key, columns, train, test)


class _Window(NamedTuple):
    """What `Targets` reads of its responses: some rows of some targets."""

    Y: np.ndarray
    low: np.ndarray
    high: np.ndarray

    def __getitem__(self, at: Any) -> np.ndarray:  # type: ignore[override]
        return np.clip(self.Y[at], self.low[at[1]], self.high[at[1]])


def _fill(found: Limits, columns: slice, y: np.ndarray, folds: Sequence[Fold], clip: float, width: int) -> None:
    """The limits of some channels in each fold, and what lies beyond them."""
    near = _surely_within(y, min(len(train) for train, _ in folds), clip, width)
    some = np.flatnonzero(np.repeat(~near, width))
    if not some.size:
        return
    y, at = y[:, some], columns.start + some
    for k, (train, test) in enumerate(folds):
        lower, median, upper = (np.repeat(q, width) for q in _quartiles(_by_channel(y[train], width)))
        reach = np.where(upper > lower, clip * (upper - lower) / NORMAL, np.inf)
        found.low[k, at], found.high[k, at] = median - reach, median + reach
        rows = y[np.concatenate([train, test])]
        found.n_cut[k, at] = ((rows < found.low[k, at]) | (rows > found.high[k, at])).sum(axis=0)


def _surely_within(y: np.ndarray, n_train: int, clip: float, width: int) -> Bool[np.ndarray, " channel"]:
    """Channels of which no value is beyond the limits that any `n_train` of the rows could set.

    A quartile of some of the values lies between two of all of them: at its
    own place counted from below, and as many places higher as values are
    left out. One sort of all rows then serves where each fold would need one.
    """
    values = np.sort(_by_channel(y, width), axis=1)
    n, left = values.shape[1], values.shape[1] - n_train * width
    place = (n_train * width - 1) * np.array([0.25, 0.5, 0.75])
    low = values[:, np.floor(place).astype(int)]
    high = values[:, np.minimum(np.ceil(place).astype(int) + left, n - 1)]
    reach = clip * np.maximum(low[:, 2] - high[:, 0], 0) / NORMAL
    return (values[:, 0] >= high[:, 1] - reach) & (values[:, -1] <= low[:, 1] + reach)


def _quartiles(values: Float[np.ndarray, "channel value"]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """As `np.quantile` has them; one sort is several times as fast as its selection of three."""
    values = np.sort(values, axis=1)
    place = (values.shape[1] - 1) * np.array([0.25, 0.5, 0.75])
    below = np.floor(place).astype(int)
    above = np.ceil(place).astype(int)
    low, high = values[:, below].astype(float), values[:, above].astype(float)
    return tuple((low + (high - low) * (place - below)).T)


def _by_channel(y: np.ndarray, width: int) -> np.ndarray:
    """(sample, target) as (channel, all its samples and latencies)."""
    return y.reshape(len(y), -1, width).transpose(1, 0, 2).reshape(y.shape[1] // width, -1)
