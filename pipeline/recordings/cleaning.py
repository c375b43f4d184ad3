"""Drifts and confounds out of many time series in one step, a part of the targets at a time."""

import numpy as np
from jaxtyping import Bool, Float, Shaped

from pipeline.recordings.base import zscored

FILTER = "cosine"  # regressed out beside the confounds, as SPM and fMRIPrep filter
FLAT = 1e-6  # range over magnitude; a float32 voxel that moves by its last digit only is constant
_CELLS = 2**22  # values cleaned together: nilearn works in several float64 copies of them


def cleaned(
    signals: Shaped[np.ndarray, "sample target"],
    tr_s: float,
    *,
    high_pass: float | None,
    confounds: Float[np.ndarray, "sample column"],
    censored: Bool[np.ndarray, " sample"],
) -> Float[np.ndarray, "sample target"]:
    """Detrend, filter and regress out in one `nilearn.signal.clean`, then z-score; float32.

    The filter is a set of cosines (`FILTER`): nilearn's Butterworth takes
    volumes apart voxel by voxel, a hundred times slower.

    One call, so that the confounds are filtered as the signals are: regressing
    after filtering, or filtering after regressing, would bring back what the
    other step took away (Lindquist et al. 2019, Hum. Brain Mapp. 40, 2358).
    Censored samples take no part; they come back as 0.
    """
    from nilearn.signal import clean

    kept = np.flatnonzero(~censored)
    regressors = zscored(confounds) if confounds.shape[1] else None
    out = np.zeros(signals.shape, np.float32)
    step = max(_CELLS // len(signals), 1)
    for start in range(0, signals.shape[1], step):
        part = slice(start, start + step)
        out[kept, part] = clean(
            np.asarray(signals[:, part]), detrend=True, standardize="zscore_sample", t_r=tr_s, high_pass=high_pass,
            standardize_confounds=False, filter=FILTER if high_pass else False, confounds=regressors, sample_mask=kept if len(kept) < len(signals) else None,
        )  # fmt: skip
    return out


def high_passed(
    X: Float[np.ndarray, "sample feature"], tr_s: float, high_pass: float
) -> Float[np.ndarray, "sample feature"]:
    """Features without their drifts, filtered as `cleaned` filters responses; their means go as well."""
    from nilearn.signal import clean

    return clean(
        X, detrend=True, standardize=None, standardize_confounds=False, t_r=tr_s, high_pass=high_pass, filter=FILTER
    )


def flat(signals: Shaped[np.ndarray, "sample target"]) -> Bool[np.ndarray, " target"]:
    """Targets that do not move: nilearn would divide the rounding that detrending leaves by itself, noise of deviation 1."""
    return np.ptp(signals, axis=0) <= FLAT * np.abs(signals).max(axis=0, initial=0)


def broken(signals: Shaped[np.ndarray, "sample target"]) -> Shaped[np.ndarray, " target"]:
    """How many values of each target are not finite."""
    counts = np.zeros(signals.shape[1], int)
    step = max(_CELLS // len(signals), 1)
    for start in range(0, signals.shape[1], step):
        part = slice(start, start + step)
        counts[part] = np.count_nonzero(~np.isfinite(signals[:, part]), axis=0)
    return counts
