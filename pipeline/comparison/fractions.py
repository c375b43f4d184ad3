"""A region's score as a share of its ceiling, with an interval."""

import numpy as np
from jaxtyping import Float

from pipeline.comparison.gaps import Top
from pipeline.ratios import share, widening

COLUMNS = ("fraction", "fraction_low", "fraction_high", "fraction_median")


def fraction(
    r: Float[np.ndarray, " target"],
    ends: tuple[float, float],
    region: float,
    top: Top,
    effective: float,
) -> dict[str, float]:
    """Mean score over mean ceiling of the valid targets, never clipped; its interval; and the median of r / ceiling.

    Targets are valid where the ceiling's interval lies above zero. The score's
    interval is known for the whole region only: its reach is carried over to
    the mean over valid targets, widened by what fewer targets vary more
    (`ratios.widening`). The ceiling's interval is that of its regional mean.

    Parameters
    ----------
    r : score of each target of the region.
    ends, region : interval of the region's mean score, and the mean it belongs to.
    effective : independent samples that were tested; a single r has a standard error of about 1 / sqrt of it.

    Returns
    -------
    NaN throughout without a valid target; ends NaN where one of the intervals is not known.
    """
    has, scored = top.valid & np.isfinite(r), np.isfinite(r)
    if not has.any():
        return dict.fromkeys(COLUMNS, np.nan)
    value, ceiling = float(r[has].mean()), float(top.value[has].mean())
    wider = _wider(int(has.sum()), int(scored.sum()), value, region, (ends[1] - ends[0]) / 2, 1 / np.sqrt(effective))
    own = value + wider * (ends[0] - region), value + wider * (ends[1] - region)
    mean, low, high = top.region
    found = share(value, own, ceiling, (ceiling + low - mean, ceiling + high - mean))
    return dict(zip(COLUMNS, (*found, float(np.median(r[has] / top.value[has]))), strict=True))


def _wider(n: int, of: int, value: float, region: float, half: float, error: float) -> float:
    """How much farther the mean over n valid targets reaches than that over all.

    At least as far as fewer targets that are alike vary more. Valid targets
    are not like the others: they hold the signal, and what errs together is
    mostly in them. So the reach also grows as the score itself does (a score
    that may be 0 in the region may be 0 in its valid part), up to what it
    would be if all the region's error were theirs.
    """
    alike = widening(n, of, half, error)
    return max(alike, min(abs(value / region), of / n)) if region else max(alike, of / n)
