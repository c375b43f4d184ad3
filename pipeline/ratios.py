"""A score as a share of its ceiling, with an interval that knows both to be uncertain."""

import math


def share(
    value: float, ends: tuple[float, float], top: float, top_ends: tuple[float, float]
) -> tuple[float, float, float]:
    """value / top, never clipped, and its 95 % interval from the intervals of both.

    A quotient q is covered where value - q top may be 0. With the reach of
    each on its own side (u - value, top - low, ...) joined by their squares,
    the ends solve (value - q top)^2 = (value - end)^2 + q^2 (top - end)^2:
    for ends that lie symmetrically this is Fieller's interval. Score and
    ceiling are taken to vary by themselves. They share the noise of one
    recording, which moves both alike, so that the interval is rather too wide.

    Parameters
    ----------
    value, ends : a score and its interval; it may be negative.
    top, top_ends : its ceiling.

    Returns
    -------
    All NaN where the ceiling is not above 0; an end that nothing bounds is
    NaN (the ceiling's interval reaches 0).

    References
    ----------
    Donner & Zou (2012), Statistical Methods in Medical Research 21, 347-359.
    Newcombe (2016), Statistical Methods in Medical Research 25, 1774-1786.
    """
    if not top > 0:
        return math.nan, math.nan, math.nan
    return value / top, _end(value, ends[0], top, top_ends, -1), _end(value, ends[1], top, top_ends, 1)


def _end(value: float, end: float, top: float, top_ends: tuple[float, float], side: int) -> float:
    """One end of the quotient; the ceiling's low end makes it larger in size, the high one smaller."""
    away = top_ends[0] if side * end > 0 else top_ends[1]
    if not math.isfinite(end + away) or away <= 0:
        return math.nan
    a, b, c = away * (2 * top - away), value * top, end * (2 * value - end)
    root = math.sqrt(max(b * b - a * c, 0.0))
    return (b + side * root) / a if side * b > 0 else c / (b - side * root) if b - side * root else 0.0


def widening(n: int, of: int, half: float, error: float) -> float:
    """By how much the interval of a mean over `of` targets must be wider for the mean of `n` of them.

    Were all errors shared, it would be the same; were none, the root of of / n
    wider. How much is shared follows from the interval itself: the variance of
    a mean over k targets is that of one times (rho + (1 - rho) / k).

    Parameters
    ----------
    half : half the width of the interval of the mean over all of them.
    error : standard error of a single target's score.
    """
    if n >= of or not half > 0:
        return 1.0
    ratio = max((1.96 * error / half) ** 2, 1.0)  # variance of one target over that of the mean of all
    return math.sqrt(1 + (ratio - 1) * (1 / n - 1 / of) / (1 - 1 / of))
