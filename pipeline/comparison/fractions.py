"""A region's score as a share of its ceiling, with an interval."""

import numpy as np

from pipeline.comparison.overlap import OverValid
from pipeline.ratios import share

COLUMNS = ("fraction", "fraction_low", "fraction_high", "fraction_median")


def fraction(found: OverValid | None) -> dict[str, float]:
    """Mean score over mean ceiling of the valid targets, never clipped; its interval; and the median of r / ceiling.

    Returns
    -------
    NaN throughout without a valid target; ends NaN where one of the intervals is not known.
    """
    if found is None:
        return dict.fromkeys(COLUMNS, np.nan)
    shares = share(found.score, found.score_ends, found.ceiling, found.ceiling_ends)
    return dict(zip(COLUMNS, (*shares, found.median), strict=True))
