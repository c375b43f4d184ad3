"""When a course is highest, and how sure that is."""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Shaped

from pipeline.timecourse.courses import FEWEST_PARTS, mean


class Peak(NamedTuple):
    """The latency (s) of the highest mean r after onset, its 95 % interval over parts, and the height; NaN where unknown."""

    peak_s: float
    low_s: float
    high_s: float
    r: float


def peak(
    values: Shaped[np.ndarray, "part latency"],
    latencies_s: Float[np.ndarray, " latency"],
    *,
    n: int = 1000,
    seed: int = 0,
) -> Peak:
    """The latency at which the mean over parts is highest, from word onset on.

    Between the latencies of the grid a parabola through the highest point and
    its neighbours says where the top is. For the interval parts are drawn with
    replacement, and the top of each drawn mean is found in the same way. Its
    percentiles are widened about the peak as those of a mean of few parts are
    (`statistics.bootstrap`), and end where the window ends.

    Parameters
    ----------
    values : one course for each part (fold, person).
    latencies_s : evenly spaced; those below 0 are not looked at.
    n : draws.

    References
    ----------
    Hesterberg (2015), American Statistician 69, 371-386, section 5.
    """
    after = latencies_s >= -_NOTHING_S
    times, known = latencies_s[after], values[:, after].astype(float)
    known = known[np.isfinite(known).all(axis=1)]
    if not known.size:
        return Peak(np.nan, np.nan, np.nan, np.nan)
    if np.ptp(mean(known, axis=0)) == 0:  # a model that predicts nothing has no peak
        return Peak(np.nan, np.nan, np.nan, float(known.mean()))
    at, height = (float(part[0]) for part in _tops(mean(known, axis=0)[None], times))
    if len(known) < FEWEST_PARTS:
        return Peak(at, np.nan, np.nan, height)
    drawn = np.random.default_rng(seed).integers(len(known), size=(n, len(known)))
    weights = np.stack([(drawn == part).mean(axis=1) for part in range(len(known))], axis=1)
    found = np.quantile(_tops(weights @ known, times)[0], [0.025, 0.975])
    low, high = np.clip(at + _widening(len(known)) * (found - at), times[0], times[-1])
    return Peak(at, float(low), float(high), height)


def _tops(curves: Float[np.ndarray, "curve latency"], times: Float[np.ndarray, " latency"]) -> tuple[np.ndarray, ...]:
    """Latency and height of the top of each curve; at the ends of the window that of the grid."""
    rows, best = np.arange(len(curves)), np.argmax(curves, axis=1)
    inside = (best > 0) & (best < len(times) - 1)
    middle = np.where(inside, best, 1) if len(times) > 2 else best
    if not inside.any():
        return times[best], curves[rows, best]
    before, top, after = (curves[rows, middle + step] for step in (-1, 0, 1))
    bend = before - 2 * top + after
    shift = np.where(inside & (bend < 0), 0.5 * (before - after) / np.where(bend < 0, bend, -1.0), 0.0)
    step_s = times[1] - times[0]
    return times[best] + shift * step_s, curves[rows, best] - 0.25 * (before - after) * shift


def _widening(n_parts: int) -> float:
    """How much too narrow percentiles of few parts are: by Student's t, and by the n of their variance."""
    from scipy import special

    return float(np.sqrt(n_parts / (n_parts - 1)) * special.stdtrit(n_parts - 1, 0.975) / special.ndtri(0.975))


_NOTHING_S = 1e-9  # s; a latency of 0 may be a rounding below it
