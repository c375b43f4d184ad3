"""How the blood answers a short event: nilearn's curves, read at any time after it."""

from functools import cache, partial

import numpy as np
from jaxtyping import Float

from pipeline.timing import Kernel, spread

HRFS = ("glover", "spm")
LENGTH_S = 32.0  # nilearn's curves end here
_STEP_S = 0.01  # between the points that are kept; the line between them is true to a millionth


def answered(
    values: Float[np.ndarray, "word feature"],
    onsets: Float[np.ndarray, " word"],
    times: Float[np.ndarray, " time"],
    how: str,
    derivatives: int = 0,
) -> Float[np.ndarray, "time column"]:
    """What each feature would do to the blood if every word were a short event of that strength.

    As nilearn's `compute_regressor`, but for all features at once, with onsets
    that are not rounded, and derivatives that are not made orthogonal (ridge
    does not need it, and what is orthogonal in one run is not in the next).

    Parameters
    ----------
    values : one row per word.
    onsets : s; words up to 32 s before the first time still weigh.
    times : s, evenly spaced, at which the answer is read.
    how : `glover` or `spm`.
    derivatives : 1 adds the answer's derivative in time (it comes earlier or
        later than thought), 2 also that in dispersion (it is narrower or wider).

    Returns
    -------
    All features by the answer (per second: a word's answer has area 1), then
    all by its derivative in time, then all by that in dispersion.

    Raises
    ------
    ValueError : an unknown `how` or number of derivatives; as `timing.to_grid`.

    References
    ----------
    Glover (1999), NeuroImage 9, 416-429. Friston et al. (1998), NeuroImage 7,
    30-40: SPM's curve and its derivatives.
    """
    return np.hstack([spread(values, onsets, times, kernel, LENGTH_S) for kernel in kernels(how, derivatives)])


@cache
def kernels(how: str, derivatives: int = 0) -> tuple[Kernel, ...]:
    """The answer and its first `derivatives` derivatives, each a function of the seconds since the event."""
    if how not in HRFS or derivatives not in (0, 1, 2):
        raise ValueError(
            f"how={how!r} with {derivatives} derivatives is not known; known: 'glover', 'spm' with 0, 1 or 2"
        )
    from nilearn.glm import first_level

    names = (f"{how}_hrf", f"{how}_time_derivative", f"{how}_dispersion_derivative")
    # nilearn lays an event at the end of its first step; without that step the curve begins at the event
    curves = [
        getattr(first_level, name)(1.0, round(1 / _STEP_S), LENGTH_S, -_STEP_S) for name in names[: 1 + derivatives]
    ]
    lags = np.linspace(0, LENGTH_S, len(curves[0]))
    return tuple(partial(np.interp, xp=lags, fp=curve / lags[1], left=0.0, right=0.0) for curve in curves)
