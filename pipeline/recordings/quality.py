"""How good a run is: steadiness, sudden changes, movement, what was left out and why, and what is left to fit with."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Literal, NamedTuple

import numpy as np
from jaxtyping import Float, Shaped

Route = Literal["fMRIPrep derivatives", "raw, motion corrected here", "as given"]

MOVED_MM = 0.5  # of framewise displacement: a volume above it is commonly called bad (Power et al. 2012)
CARPET_SD = 3.0  # beyond, a carpet is drawn black or white
FLAT = 1e-6  # deviation over magnitude; a float32 that changes in its last digit is constant

_CHUNK = 4096  # targets turned to float64 at a time
_IQR_OF_NORMAL = 1.349  # quartiles of a normal distribution, apart by so many SD


class Quality(NamedTuple):
    """What is told of a run; every field can be written as JSON, None is what was not measured.

    `fd_above` is the share of volumes that moved more than .5 mm, `df_left` what
    `df_left` counts, `censored` and `targets_dropped` count by reason, `limits`
    are sentences on what was not done.
    """

    n_volumes: int
    tr_s: float
    fd_mean: float | None
    fd_above: float | None
    fd_max: float | None
    dvars_mean: float | None
    dvars_median: float | None
    tsnr_median: float | None
    df_left: float
    n_confounds: int
    censored: dict[str, int]
    targets_dropped: dict[str, int]
    route: Route
    limits: tuple[str, ...]


def tsnr(signals: Float[np.ndarray, "sample target"]) -> Float[np.ndarray, " target"]:
    """Mean over standard deviation of each target, after a straight line was taken away.

    The deviation has two degrees of freedom less than samples: the line's. A
    target that is constant, or missing anywhere, is NaN.
    """
    n, out = len(signals), np.full(signals.shape[1], np.nan)
    for here, Y in _chunks(signals):
        mean, left = Y.mean(axis=0), _without_line(Y)
        deviation = np.sqrt((left**2).sum(axis=0) / (n - 2))
        moving = deviation > FLAT * np.abs(Y).max(axis=0)  # False where a value is missing
        out[here] = np.where(moving, mean / np.where(moving, deviation, 1.0), np.nan)
    return out


def dvars(signals: Float[np.ndarray, "sample target"]) -> Float[np.ndarray, " sample"]:
    """How much all targets change from one sample to the next, over what their noise alone would change: about 1.

        sqrt(mean over targets of (y[t] - y[t-1])^2)  /  mean over targets of sd sqrt(2 (1 - a))

    where sd is a target's deviation by its quartiles, which spikes do not
    widen, and a its correlation with itself one sample before. This is
    `std_dvars` of fMRIPrep. Targets that differ much in variance lift it above
    1. The first sample has none before it and is NaN; targets that are constant
    or have a missing value are left out; without any all is NaN.

    References
    ----------
    Nichols (2013), Notes on creating a standardized version of DVARS; Power et al. (2012), NeuroImage 59, 2142-2154.
    """
    squares, expected, n_targets = np.zeros(len(signals) - 1), 0.0, 0
    for _, Y in _chunks(signals):
        Y = _moving(Y)
        low, high = np.percentile(Y, [25, 75], axis=0)
        Y -= Y.mean(axis=0)
        before = (Y[1:] * Y[:-1]).sum(axis=0) / (Y**2).sum(axis=0)
        expected += ((high - low) / _IQR_OF_NORMAL * np.sqrt(2 * (1 - before))).sum()
        squares += (np.diff(Y, axis=0) ** 2).sum(axis=1)
        n_targets += Y.shape[1]
    if not expected:
        return np.full(len(signals), np.nan)
    return np.concatenate([[np.nan], np.sqrt(squares / n_targets) / (expected / n_targets)])


def carpet(signals: Float[np.ndarray, "sample target"], rows: int = 200) -> Float[np.ndarray, "row sample"]:
    """The run at a glance: each row the mean of neighbouring targets over time, z-scored, cut at 3 SD for display only.

    Targets lose a straight line and are z-scored before they are averaged, so
    that bright ones do not hide the others; their order is kept. With fewer
    targets than rows each has a row of its own. A row without a target that
    changes is 0. float32.
    """
    rows = min(rows, signals.shape[1])
    row_of = np.arange(signals.shape[1]) * rows // max(1, signals.shape[1])
    total = np.zeros((rows, len(signals)))
    for here, Y in _chunks(signals):
        left = _without_line(Y)
        deviation = left.std(axis=0)
        moving = deviation > FLAT * np.abs(Y).max(axis=0)
        found, first = np.unique(row_of[here][moving], return_index=True)
        if len(found):
            total[found] += np.add.reduceat(left[:, moving] / deviation[moving], first, axis=1).T
    deviation = total.std(axis=1, keepdims=True)
    z = np.divide(total, deviation, out=np.zeros_like(total), where=deviation > FLAT)
    return np.clip(z, -CARPET_SD, CARPET_SD).astype(np.float32)


def df_left(n_volumes: int, n_confounds: int, high_pass: float | None, tr_s: float, n_censored: int = 0) -> float:
    """Degrees of freedom that a fit has left after cleaning.

        n_volumes - n_censored - 2 - n_confounds - 2 high_pass (n_volumes tr_s)

    2 is the line of detrending; a filter takes a sine and a cosine for every
    cycle below its edge that fits into the run. What line, filter and
    confounds share is counted more than once, so that the answer is on the
    careful side; 0 or less means that cleaning leaves nothing to explain.
    """
    return n_volumes - n_censored - 2 - n_confounds - 2 * (high_pass or 0.0) * n_volumes * tr_s


def summary(
    *,
    fd_mm: Float[np.ndarray, "*repeat sample"] | None,
    dvars: Float[np.ndarray, "*repeat sample"],
    tsnr: Float[np.ndarray, " target"],
    tr_s: float,
    high_pass: float | None,
    n_confounds: int,
    censored: Mapping[str, int],
    targets_dropped: Mapping[str, int],
    route: Route,
    limits: Sequence[str] | None = None,
) -> Quality:
    """Put together what was measured of one run, over all its presentations.

    Parameters
    ----------
    fd_mm : framewise displacement; None where the motion is not known.
    censored : volumes left out by reason; one that has several reasons counts
        in each, so that `df_left` is on the careful side.
    limits : sentences; by default those of the route.
    """
    n = dvars.shape[-1]
    # the share is of steps between volumes: the first volume has none
    steps = np.array([]) if fd_mm is None else fd_mm[np.isfinite(fd_mm)]
    return Quality(
        n_volumes=n, tr_s=float(tr_s),
        fd_mean=_mean(steps), fd_above=_mean(steps > MOVED_MM), fd_max=float(steps.max()) if steps.size else None,
        dvars_mean=_mean(dvars[np.isfinite(dvars)]), dvars_median=_median(dvars[np.isfinite(dvars)]),
        tsnr_median=_median(tsnr[np.isfinite(tsnr)]),
        df_left=float(df_left(n, n_confounds, high_pass, tr_s, sum(censored.values()))), n_confounds=n_confounds,
        censored=dict(censored), targets_dropped=dict(targets_dropped), route=route,
        limits=LIMITS[route] if limits is None else tuple(limits),
    )  # fmt: skip


def _mean(values: Shaped[np.ndarray, " some"]) -> float | None:
    return float(values.mean()) if values.size else None


def _median(values: Float[np.ndarray, " some"]) -> float | None:
    return float(np.median(values)) if values.size else None


def _chunks(signals: Float[np.ndarray, "sample target"]) -> Iterator[tuple[slice, Float[np.ndarray, "sample some"]]]:
    """Some targets at a time, as float64 of their own; the whole run in float64 would take twice its memory again."""
    for start in range(0, signals.shape[1], _CHUNK):
        here = slice(start, start + _CHUNK)
        yield here, np.array(signals[:, here], np.float64)


def _without_line(Y: Float[np.ndarray, "sample some"]) -> Float[np.ndarray, "sample some"]:
    """Residuals of the straight line through each target; its mean is 0."""
    time = np.arange(len(Y)) - (len(Y) - 1) / 2
    with np.errstate(invalid="ignore"):  # an infinite value makes its target missing
        left = Y - Y.mean(axis=0)
        left -= np.outer(time, time @ left / (time @ time))
    return left


def _moving(Y: Float[np.ndarray, "sample some"]) -> Float[np.ndarray, "sample moving"]:
    """The targets that change and have no missing value."""
    with np.errstate(invalid="ignore"):
        return Y[:, np.isfinite(Y).all(axis=0) & (np.ptp(Y, axis=0) > FLAT * np.abs(Y).max(axis=0))]


LIMITS: dict[Route, tuple[str, ...]] = {
    "fMRIPrep derivatives": (),
    "raw, motion corrected here": (
        "No slice-timing correction was done.",
        "No correction of susceptibility distortion was done.",
        "Motion was corrected here, rigidly; fMRIPrep does more and is recommended.",
    ),
    "as given": ("What was done to the images before, motion correction for one, is not known here.",),
}
