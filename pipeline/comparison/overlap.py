"""The targets of a region that have both a score and a ceiling, and what both are on these."""

from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float

from pipeline.ratios import widening


class Top(NamedTuple):
    """The ceiling of a region's targets: the first estimator asked for that is valid somewhere in it; empty `kind` for none.

    `region` is the mean over its valid targets with the interval of that mean.
    """

    kind: str
    value: Float[np.ndarray, " target"]
    low: Float[np.ndarray, " target"]
    high: Float[np.ndarray, " target"]
    valid: Bool[np.ndarray, " target"]
    region: tuple[float, float, float] = (np.nan, np.nan, np.nan)


class OverValid(NamedTuple):
    """Mean score and mean ceiling of the targets that have both, each with its 95 % interval, and the median of score / ceiling."""

    score: float
    score_ends: tuple[float, float]
    ceiling: float
    ceiling_ends: tuple[float, float]
    median: float


def over_valid(
    r: Float[np.ndarray, " target"], ends: tuple[float, float], region: float, top: Top, effective: float
) -> OverValid | None:
    """What a score and its ceiling are on the targets that have both; None where there is no such target.

    Targets are valid where the ceiling's interval lies above zero. The score's
    interval is known for the whole region only: its reach is carried over to
    the mean over valid targets, widened by what these vary more. The
    ceiling's interval is that of its regional mean; where nobody made one,
    targets are taken to err together.

    Parameters
    ----------
    r : score of each target of the region.
    ends, region : interval of the region's mean score, and the mean it belongs to.
    effective : independent samples that were tested; a single r has a standard error of about 1 / sqrt of it.
    """
    has, scored = top.valid & np.isfinite(r), np.isfinite(r)
    if not has.any():
        return None
    score, ceiling = float(r[has].mean()), float(top.value[has].mean())
    wider = _wider(int(has.sum()), int(scored.sum()), score, region, (ends[1] - ends[0]) / 2, 1 / np.sqrt(effective))
    mean, low, high = top.region
    if not np.isfinite(mean):
        mean, low, high = ceiling, float(top.low[has].mean()), float(top.high[has].mean())
    own = (score + wider * (ends[0] - region), score + wider * (ends[1] - region))
    return OverValid(
        score, own, ceiling, (ceiling + low - mean, ceiling + high - mean), float(np.median(r[has] / top.value[has]))
    )


def _wider(n: int, of: int, score: float, region: float, half: float, error: float) -> float:
    """How much farther the mean over n valid targets reaches than that over all.

    At least as far as fewer targets that are alike vary more. Valid targets
    are not like the others: they hold the signal, and what errs together is
    mostly in them. So the reach also grows as the score itself does (a score
    that may be 0 in the region may be 0 in its valid part), up to what it
    would be if all the region's error were theirs.
    """
    alike = widening(n, of, half, error)
    return max(alike, min(abs(score / region), of / n)) if region else max(alike, of / n)
