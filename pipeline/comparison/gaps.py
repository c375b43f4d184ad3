"""How far a score stays below its ceiling, and whether it reaches it."""

from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Bool, Float

from pipeline.ratios import widening

REACHED, SHORT, UNTOLD = "yes", "no", "undecided"


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
    """Mean score and mean ceiling of the targets that have both, each with its 95 % interval."""

    score: float
    score_ends: tuple[float, float]
    ceiling: float
    ceiling_ends: tuple[float, float]


def over_valid(
    r: Float[np.ndarray, " target"], ends: tuple[float, float], region: float, top: Top, effective: float
) -> OverValid | None:
    """What a score and its ceiling are on the targets that have both; None where there is no such target.

    The score's interval is known for the whole region only: its reach is
    carried over to the mean over fewer targets, widened by what these vary
    more (`ratios.widening`). The ceiling's interval is that of its regional
    mean; where nobody made one, targets are taken to err together.

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
    wider = widening(int(has.sum()), int(scored.sum()), (ends[1] - ends[0]) / 2, 1 / np.sqrt(effective))
    mean, low, high = top.region
    if not np.isfinite(mean):
        mean, low, high = ceiling, float(top.low[has].mean()), float(top.high[has].mean())
    own = (score + wider * (ends[0] - region), score + wider * (ends[1] - region))
    return OverValid(score, own, ceiling, (ceiling + low - mean, ceiling + high - mean))


def gap(found: OverValid | None, margin: float) -> dict[str, Any]:
    """Ceiling less score, its 95 % interval, and what follows from it.

    That a score does not differ from its ceiling is no evidence that it is as
    high: a short recording never differs. So the ceiling counts as reached
    only where the whole interval of the gap lies below the margin, and as
    missed only where the whole interval lies above it. Both are uncertain;
    their reaches on either side are joined by their squares, as if they
    varied by themselves.

    Parameters
    ----------
    margin : the largest gap that would not matter, in r.

    Returns
    -------
    `gap`, `gap_low`, `gap_high` (negative above the ceiling, never clipped) and `reached`: yes, no,
    undecided, or n/a without a valid ceiling or an interval.

    References
    ----------
    Zou & Donner (2008), Statistics in Medicine 27, 1693-1702.
    """
    if found is None:
        return {"gap": np.nan, "gap_low": np.nan, "gap_high": np.nan, "reached": "n/a"}
    missing = found.ceiling - found.score
    low = missing - float(np.hypot(found.ceiling - found.ceiling_ends[0], found.score_ends[1] - found.score))
    high = missing + float(np.hypot(found.ceiling_ends[1] - found.ceiling, found.score - found.score_ends[0]))
    return {"gap": missing, "gap_low": low, "gap_high": high, "reached": verdict(low, high, margin)}


def verdict(low: float, high: float, margin: float) -> str:
    """Whether a ceiling is reached, from the interval of what is missing to it."""
    if not np.isfinite([low, high]).all():
        return "n/a"
    return REACHED if high <= margin else SHORT if low > margin else UNTOLD
