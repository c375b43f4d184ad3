"""The mean ceiling of a region, with an interval that knows its targets to err together."""

import numpy as np
from jaxtyping import Bool, Float

from pipeline.estimates import Estimate
from pipeline.statistics.blocks import missed, split_blocks, split_runs
from pipeline.statistics.intervals import students_t

_MOST = 24  # parts left out in turn: more of them hardly sharpen a standard error
_FEWEST = 4


def regional(found: Estimate, member: Bool[np.ndarray, "roi target"]) -> Float[np.ndarray, "roi 3"]:
    """Mean over the valid targets of each region, and its 95 % interval.

    Targets share their noise, so the interval of their mean is neither the
    mean of their intervals nor narrower by the root of their number. Blocks
    of time are left out in turn, the same for all targets, and the region's
    mean is made anew each time (delete-a-group jackknife; as a smooth mean of
    targets it needs no skewed interval). A region with one valid target has
    the interval of that.

    Parameters
    ----------
    member : which targets each region holds.

    Returns
    -------
    value, low, high; NaN for a region without a valid target, and ends of NaN
    where fewer than four blocks remain.

    References
    ----------
    Künsch (1989), Annals of Statistics 17, 1217-1241 (blockwise jackknife).
    """
    top = found.ceiling
    inside = member & np.asarray(top.valid, bool)
    columns = np.flatnonzero(inside.any(axis=0))
    result = np.full((len(member), 3), np.nan)
    error = _errors(found, inside, columns) if len(columns) else result[:, 0]
    for i, own in enumerate(inside):
        if own.sum() == 1:
            result[i] = [part[own][0] for part in (top.value, top.low, top.high)]
        elif own.any():
            value = top.value[own].mean()
            result[i] = value, value - error[i], value + error[i]
    return result


def _errors(found: Estimate, inside: np.ndarray, columns: np.ndarray) -> Float[np.ndarray, " roi"]:
    """Half the width of each region's interval."""
    blocks = _blocks(found) if found.again is not None else []
    if len(blocks) < _FEWEST:
        return np.full(len(inside), np.nan)
    weights = inside[:, columns] / np.maximum(inside.sum(axis=1, keepdims=True), 1)
    every = np.arange(len(found.run))
    means = np.stack([weights @ found.again(np.setdiff1d(every, block), columns) for block in blocks])
    n = len(blocks)
    spread = np.sqrt((n - 1) / n * ((means - means.mean(axis=0)) ** 2).sum(axis=0))
    return _widening(found, n) * spread


def _blocks(found: Estimate) -> list[np.ndarray]:
    """At most 24 stretches, each of three autocorrelation times or more; the last ones of short runs go together."""
    least = max(-(-len(found.run) // _MOST), found.block)
    blocks = split_blocks(split_runs(found.run, len(found.run)), least)
    groups = np.array_split(np.arange(len(blocks)), min(len(blocks), _MOST))
    return [np.concatenate([blocks[i] for i in group]) for group in groups]


def _widening(found: Estimate, n: int) -> float:
    """From a standard error of n blocks to half an interval."""
    return float(students_t(n - 1.0) / np.sqrt(1 - missed(found.block, len(found.run) / n)))
