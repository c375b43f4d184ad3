"""One model held against another in one person: a paired test over time, and a rank among the other's seeds."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from jaxtyping import Float, Int

from pipeline import statistics
from pipeline.comparison.networks import Scored, mean, of_seeds, representative
from pipeline.comparison.settings import FEWEST_RUNS, SHORTEST_BLOCK, Comparison

if TYPE_CHECKING:
    import pandas as pd
    import xarray as xr

COMPARISON_COLUMNS = [
    "subject",
    "recording",
    "roi",
    "a",
    "b",
    "layer_a",
    "layer_b",
    "r_a",
    "r_b",
    "difference",
    "low",
    "high",
    "p",
    "q",
    "unit",
    "n_units",
    "test",
    "significant",
    "percentile",
    "seed_low",
    "seed_high",
    "n_seeds",
]
FEWEST_SEEDS = 2  # one seed has no range


class Clock(NamedTuple):
    """Which fold and run each tested sample belongs to, and how long a block of them must be."""

    fold: Int[np.ndarray, " sample"]
    run: np.ndarray
    block: int


class Rank(NamedTuple):
    """Where a score stands among seeds, named like the columns it fills; all NaN where there are no seeds."""

    percentile: float
    seed_low: float
    seed_high: float
    n_seeds: float


def rank_among(r: float, seeds: Float[np.ndarray, " seed"]) -> Rank:
    """Where a score stands among those of a model's seeds.

    The paired test asks whether the mean over seeds would stay below with
    other samples of the recording. It does not ask whether one lucky
    initialisation would have done as well: that is seen here.

    Parameters
    ----------
    r : the score that is placed.
    seeds : one score for each seed; missing ones are left out and not counted.

    Returns
    -------
    `percentile`: the percentage of seeds strictly below (a tie is not below).
    It moves in steps of 100 / n_seeds, so five seeds tell no finer than 20.
    `seed_low`, `seed_high`: smallest and largest seed, where there are two.
    """
    known = seeds[np.isfinite(seeds)]
    if not len(known):
        return Rank(np.nan, np.nan, np.nan, np.nan)
    below = 100 * float((known < r).mean()) if np.isfinite(r) else np.nan
    low, high = (known.min(), known.max()) if len(known) >= FEWEST_SEEDS else (np.nan, np.nan)
    return Rank(below, float(low), float(high), float(len(known)))


def clock_of(scores: Mapping[str, "xr.Dataset"], tested: np.ndarray) -> Clock:
    """One block length for every interval and test of a recording, from the data's own autocorrelation."""
    first = next(iter(scores.values()))
    series = [ds["agreement"].sel(roi="all").values[..., tested].reshape(-1, tested.sum()) for ds in scores.values()]
    lengths = [statistics.block_length(s.astype(float)) for rows in series for s in rows if np.ptp(s) > 0]
    block = max([SHORTEST_BLOCK, round(float(np.median(lengths)))] if lengths else [SHORTEST_BLOCK])
    return Clock(first["fold_of"].values[tested], first["run"].values[tested].astype(str), block)


def contrast(
    a: str, b: str, roi: str, found: Mapping[str, list[Scored]], clock: Clock, settings: Comparison, seed: int
) -> dict:
    """Nested score of a minus nested score of b, with a paired test over runs, or over blocks where runs are few."""
    one, other = (representative(found[model]) for model in (a, b))
    difference = one.series - other.series
    values, unit = _units(difference, clock)
    interval = statistics.bootstrap(difference, run=clock.run, block=clock.block, n=settings.permutations, seed=seed)
    tested = statistics.sign_flip(values, n=settings.permutations, seed=seed)
    r_a, r_b = mean(one.r, 0), mean(other.r, 0)
    return {
        "roi": roi, "a": a, "b": b, "layer_a": one.chosen, "layer_b": other.chosen, "r_a": r_a, "r_b": r_b,
        "difference": r_a - r_b, "low": float(interval.low), "high": float(interval.high), "p": float(tested.p),
        "unit": unit, "n_units": tested.n_units, "test": "sign-flip, two-sided",
    } | rank_among(float(r_a), of_seeds(found[b]))._asdict()  # fmt: skip


def with_q(frame: "pd.DataFrame", fdr: float) -> "pd.DataFrame":
    """The contrasts with p corrected for their number, and which of them are significant."""
    if frame.empty:
        return frame
    q = statistics.fdr(frame["p"].to_numpy(float))
    return frame.assign(q=q, significant=np.where(np.isnan(q), "n/a", np.where(q <= fdr, "yes", "no")))


def _units(series: np.ndarray, clock: Clock) -> tuple[np.ndarray, str]:
    runs = list(dict.fromkeys(clock.run))
    if len(runs) >= FEWEST_RUNS:
        # the sum: samples are weighted so that each fold counts the same, however long its run
        return np.array([series[clock.run == run].sum() for run in runs]), "runs"
    sums = []
    for run in runs:
        part = series[clock.run == run]
        sums += [chunk.sum() for chunk in np.array_split(part, max(len(part) // clock.block, 1))]
    return np.array(sums), f"blocks of {clock.block} samples"
