"""How far a score stays below its ceiling, and whether it reaches it."""

from typing import Any

import numpy as np

from pipeline.comparison.overlap import OverValid

REACHED, SHORT, UNTOLD = "yes", "no", "undecided"


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
