"""One model held against another in one person: a paired test over time, and a rank among the other's seeds."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from jaxtyping import Float, Int

from pipeline import statistics
from pipeline.comparison.networks import Scored, mean, of_seeds, representative
from pipeline.comparison.settings import FEWEST_RUNS, MOST_EXACT, SHORTEST_BLOCK, Comparison
from pipeline.statistics.blocks import split_blocks, split_runs

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
    "smallest_p",
    "equivalent",
    "p_equivalent",
    "margin",
    "sd_seeds",
    "low_seeds",
    "high_seeds",
]
FEWEST_SEEDS = 2  # one seed has no range
RUNS = "runs"  # the unit of tests and intervals where enough of them are tested


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
    """Nested score of a minus nested score of b, with a paired test and an interval over runs, or over blocks where runs are few."""
    one, other = (representative(found[model]) for model in (a, b))
    difference = one.series - other.series
    values, unit = _units(difference, clock)
    interval = _interval(difference, values, unit, clock, settings, seed)
    n = patterns(len(values), settings)
    tested = statistics.sign_flip(values, n=n, seed=seed)
    r_a, r_b = mean(one.r, 0), mean(other.r, 0)
    ends = (float(interval.low), float(interval.high))
    return {
        "roi": roi, "a": a, "b": b, "layer_a": one.chosen, "layer_b": other.chosen, "r_a": r_a, "r_b": r_b,
        "difference": r_a - r_b, "low": ends[0], "high": ends[1], "p": float(tested.p),
        "unit": unit, "n_units": tested.n_units, "test": "sign-flip, two-sided", "smallest_p": tested.smallest_p,
        **rank_among(float(r_a), of_seeds(found[b]))._asdict(),
        **with_seeds(float(r_a - r_b), ends, of_seeds(found[a]), of_seeds(found[b])), **within_margin(values, n, settings, seed),
    }  # fmt: skip


def patterns(units: int, settings: Comparison) -> int:
    """How many patterns of signs a test tries: all of them for up to twelve units, however few draws were asked for."""
    return max(settings.permutations, 2**units if units <= MOST_EXACT else 0)


def within_margin(values: Float[np.ndarray, " unit"], n: int, settings: Comparison, seed: int) -> dict:
    """Are two models equivalent, so far as these units can tell? See `statistics.equivalence`."""
    told = {"equivalent": "n/a", "p_equivalent": np.nan, "margin": settings.margin}
    if not np.isfinite(values).any():
        return told
    found = statistics.equivalence(values, settings.margin, n=n, seed=seed)
    return told | {"equivalent": _VERDICTS[found.verdict], "p_equivalent": found.p}


def with_seeds(
    difference: float,
    ends: tuple[float, float],
    seeds_a: Float[np.ndarray, " seed_a"],
    seeds_b: Float[np.ndarray, " seed_b"],
) -> dict:
    """The interval of a difference widened by what other seeds would change.

    The block interval takes the seeds that were drawn for all there are. Of
    K seeds the mean itself has the variance sd^2 / K; its own interval is
    joined to the other by the squares of their reaches on either side (Zou &
    Donner, 2008), for samples and seeds vary by themselves.

    Parameters
    ----------
    ends : the interval over samples.
    seeds_a, seeds_b : nested r of each seed; empty for a network that stands alone. Fewer than two of
        either of the two models tell no spread: then there is no such interval.

    Returns
    -------
    `sd_seeds` : standard deviation over the seeds of b, or of a where only a has some. `low_seeds`, `high_seeds`.

    References
    ----------
    Zou & Donner (2008), Statistics in Medicine 27, 1693-1702.
    """
    drawn = [known[np.isfinite(known)] for known in (seeds_b, seeds_a) if len(known)]
    if not drawn or min(map(len, drawn)) < FEWEST_SEEDS:
        return {"sd_seeds": np.nan, "low_seeds": np.nan, "high_seeds": np.nan}
    reach = float(np.sqrt(sum(_reach(known) ** 2 for known in drawn)))
    low, high = (float(np.hypot(end - difference, reach)) for end in ends)
    return {"sd_seeds": float(drawn[0].std(ddof=1)), "low_seeds": difference - low, "high_seeds": difference + high}


def _reach(known: Float[np.ndarray, " seed"]) -> float:
    """Half of the 95 % interval of a mean over seeds: they are drawn apart from each other, so Student's t holds."""
    from scipy import special

    return float(special.stdtrit(len(known) - 1, 0.975) * known.std(ddof=1) / np.sqrt(len(known)))


def with_q(frame: "pd.DataFrame", fdr: float) -> "pd.DataFrame":
    """The contrasts with p corrected for their number, and which of them are significant."""
    if frame.empty:
        return frame
    q, q_equivalent = (statistics.fdr(frame[name].to_numpy(float)) for name in ("p", "p_equivalent"))
    # one of many equivalences found by chance is a false finding like any other
    undecided = (frame["equivalent"] == "yes") & ~(q_equivalent <= fdr)
    return frame.assign(
        q=q,
        significant=np.where(np.isnan(q), "n/a", np.where(q <= fdr, "yes", "no")),
        equivalent=frame["equivalent"].mask(undecided, UNDECIDED),
    )


def _interval(
    difference: np.ndarray, values: np.ndarray, unit: str, clock: Clock, settings: Comparison, seed: int
) -> statistics.Interval:
    """Over what the test counts: where runs differ less than their blocks would, an interval over blocks contradicts the test."""
    draws = {"n": settings.permutations, "seed": seed}
    if unit == RUNS:
        return statistics.bootstrap(values, block=1, **draws)
    return statistics.bootstrap(difference, run=clock.run, block=clock.block, **draws)


def _units(series: np.ndarray, clock: Clock) -> tuple[np.ndarray, str]:
    """What each run or block adds to the difference, times their number: their mean is the difference."""
    runs = list(dict.fromkeys(clock.run))
    if len(runs) >= FEWEST_RUNS:
        # the sum: samples are weighted so that each fold counts the same, however long its run
        rows, unit = [np.flatnonzero(clock.run == run) for run in runs], RUNS
    else:
        rows = split_blocks(split_runs(clock.run, len(series)), clock.block)
        unit = f"blocks of {clock.block} samples"
    return np.array([series[part].sum() for part in rows]) * len(rows) / len(series), unit


UNDECIDED = "undecided"
_VERDICTS = {"equivalent": "yes", "beyond": "no", "undecided": UNDECIDED, "too few units": "n/a"}
