"""Intervals of ceilings: blocks of time are drawn again, and each draw is measured in its own standard error.

Each estimate here is a function of F = top / bottom, two sums over samples.
Quantiles of the resampled ceilings themselves cover too rarely (84-95 %
where 95 % is claimed): a ceiling is skewed and bounded, and its spread grows
as it falls. That of log F hardly depends on its size; studentising mends the
skew that is left. Two known shortfalls of block sums are added: there are
only so many blocks (B / (B - 1), or less where more than a mean is taken from
them), and short ones miss a part of the variance.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Shaped

from pipeline.ceilings.answer import unknown
from pipeline.statistics.blocks import Run, block_lengths, missed, split_runs
from pipeline.statistics.intervals import counts

LEAST = 1e-12  # share of the other below which signal or noise is rounding; keeps a logarithm finite
_CELLS = 2**19  # numbers per array held at once: 4 MB, so that resampling stays near the processor

Cut = Callable[[np.ndarray], np.ndarray]
Sums = Callable[[np.ndarray, list[np.ndarray], Cut], tuple[np.ndarray, np.ndarray]]


class Draws(NamedTuple):
    """Blocks of neighbouring samples, none across two runs, and how often each is drawn.

    Attributes
    ----------
    runs : rows of each run.
    starts : first row of each block, runs laid end to end.
    counts : (draw, block).
    block : samples per block.
    reason : why there can be no interval; empty where there can.
    taken : numbers that were taken from the same samples, such as their mean.
    """

    runs: list[np.ndarray]
    starts: np.ndarray
    counts: Float[np.ndarray, "draw block"]
    block: int
    reason: str
    taken: int = 1

    def cut(self, values: Shaped[np.ndarray, "*part sample target"]) -> Float[np.ndarray, "*part block target"]:
        """Sums over each block."""
        return np.add.reduceat(np.take(values, np.concatenate(self.runs), axis=-2), self.starts, axis=-2)

    @property
    def widening(self) -> float:
        """What sums of few, short blocks leave out of a standard error."""
        left = max(len(self.starts) - self.taken, 1)
        return float(np.sqrt(len(self.starts) / left / (1 - missed(self.block))))


def estimated(
    Y: Shaped[np.ndarray, "repeat sample target"],
    sums: Sums,
    *,
    run: Run,
    n: int,
    seed: int,
    block: int | None,
    pull: Sums | None = None,
    taken: int = 1,
) -> tuple[Float[np.ndarray, "three target"], str]:
    """1 / F of each target and both ends of its interval (the larger first), and why there is none.

    Parameters
    ----------
    sums : of some targets' responses, the rows of each run, and what sums over blocks: what each block adds
        to the top and to the bottom of F.
    pull : other sums to choose the length of blocks by, where those take long.
    taken : numbers that `sums` takes from the samples, such as a mean and a size of each fold.
    """
    runs = split_runs(run, Y.shape[1])
    drawn = draws(runs, wanted(Y, pull or sums, runs, block), n, seed)._replace(taken=taken)
    parts = [_some(Y[:, :, part], sums, drawn) for part in chunks(Y.shape[2], max(n, Y.shape[0] * Y.shape[1]))]
    return np.concatenate(parts, axis=1) if parts else np.empty((3, 0)), drawn.reason


def draws(runs: list[np.ndarray], block: int, n: int, seed: int) -> Draws:
    """Cut the runs and draw; a rest shorter than a block is shared out among the blocks of its run."""
    if n < 1:
        raise ValueError(f"an interval of {n} resamples is none: n must be 1 or more")
    sizes = [len(part) for rows in runs for part in np.array_split(rows, max(len(rows) // block, 1))]
    few = (
        f"{sum(sizes)} samples in {len(runs)} run(s) hold {len(sizes)} block(s) of {block}: "
        "an interval needs at least 4 blocks; give more samples or a smaller block"
    )
    starts = np.concatenate([[0], np.cumsum(sizes)[:-1]])
    drawn = counts(len(sizes), n, np.random.default_rng(seed))
    return Draws(runs, starts, drawn, block, few if len(sizes) < 4 else "")


def checked_block(block: int, runs: Sequence[np.ndarray]) -> int:
    """Refuse a block that no sample fits into, or that does not fit into every run."""
    if block < 1:
        raise ValueError(f"a block of {block} samples is none: it must be 1 or more")
    shortest = min(map(len, runs))
    if block > shortest:
        raise ValueError(
            f"a block of {block} samples is longer than the shortest run, of {shortest}: give a block of at most "
            f"{shortest}; at least 4 blocks, which an interval needs, are had with blocks of {_fitting(runs, shortest)}"
        )
    return block


def ends(top: np.ndarray, bottom: np.ndarray, drawn: Draws) -> tuple[np.ndarray, np.ndarray]:
    """What 1 / F is multiplied by at the ends of the studentised interval of log F; NaN with too few blocks."""
    if drawn.reason:
        return np.full(top.shape[1], np.nan), np.full(top.shape[1], np.nan)
    top, bottom = np.maximum(top, LEAST * bottom.mean(axis=0)), np.maximum(bottom, LEAST * top.mean(axis=0))
    top, bottom = top / top.sum(axis=0), bottom / bottom.sum(axis=0)  # so that log F of the data is 0
    above, below = drawn.counts @ top, drawn.counts @ bottom
    error = (
        (drawn.counts @ top**2) / above**2
        + (drawn.counts @ bottom**2) / below**2
        - 2 * (drawn.counts @ (top * bottom)) / (above * below)
    )
    t = np.log(above / below) / np.sqrt(np.maximum(error, LEAST))
    own = drawn.widening * np.sqrt(((top - bottom) ** 2).sum(axis=0))
    low, high = np.quantile(t, [0.025, 0.975], axis=0, overwrite_input=True)
    return np.exp(low * own), np.exp(high * own)


def chunks(n_targets: int, rows: int) -> list[slice]:
    """Targets that are computed with at a time."""
    step = max(_CELLS // rows, 1)
    return [slice(start, start + step) for start in range(0, n_targets, step)]


def length(pull: Float[np.ndarray, "sample column"], runs: Sequence[np.ndarray]) -> int:
    """Samples per block: three autocorrelation times of each sample's pull on log F.

    The upper quartile over columns, because too short a block claims too much
    and too long a block little too little; fewer where four blocks would not remain.
    """
    lengths = block_lengths(pull[:, np.isfinite(pull).all(axis=0)])
    return _fitting(runs, int(np.ceil(np.quantile(lengths, 0.75))) if len(lengths) else 1)


def _some(Y: np.ndarray, sums: Sums, drawn: Draws) -> Float[np.ndarray, "three target"]:
    with np.errstate(all="ignore"):  # targets without variance become NaN below
        top, bottom = sums(Y, drawn.runs, drawn.cut)
        share = bottom.sum(axis=0) / top.sum(axis=0)
        smaller, larger = ends(top, bottom, drawn)
    return np.where(unknown(Y), np.nan, share * np.stack([np.ones_like(share), larger, smaller]))


def wanted(Y: np.ndarray, sums: Sums, runs: list[np.ndarray], block: int | None, most: int = 200) -> int:
    if block is not None:
        return checked_block(block, runs)
    some = Y[:, :, :: max(Y.shape[2] // most, 1)]
    with np.errstate(all="ignore"):
        top, bottom = sums(some[:, :, ~unknown(some)], runs, np.asarray)
        pull = top / top.sum(axis=0) - bottom / bottom.sum(axis=0)
    return length(pull, runs)


def _fitting(runs: Sequence[np.ndarray], block: int) -> int:
    """The longest block up to `block` of which the runs hold four; 1 where there is none."""
    return next((b for b in range(block, 1, -1) if sum(max(len(rows) // b, 1) for rows in runs) >= 4), 1)
