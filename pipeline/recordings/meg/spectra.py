"""Spectra of a recording, and whether line noise stands where it is said to."""

from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Bool, Float

from pipeline.recordings.meg.kind import Meg

if TYPE_CHECKING:
    import mne

_FREQUENCIES = 190  # of a spectrum
_TOP_HZ = 120.0  # of a spectrum where there is no low-pass; else half as high again as that
LINES_HZ = (50.0, 60.0)  # of the world's grids
_NEAR_HZ, _FAR_HZ = 2.0, 8.0  # from the line to where its surroundings begin and end
STANDS_OUT = 4.0  # times the power around it: then it is line noise
_LINE_S = 60.0  # s of the recording in which line noise is looked for


def spectra(
    raw: "mne.io.BaseRaw", meg: Meg, at_hz: Float[np.ndarray, " frequency"] | None = None
) -> tuple[Float[np.ndarray, " frequency"], Float[np.ndarray, "channel frequency"]]:
    """Welch's power spectral density of every channel, without bad stretches; at given frequencies, NaN beyond half of the rate."""
    from mne.time_frequency import psd_array_welch

    sfreq = raw.info["sfreq"]
    top = min(sfreq / 2, 1.5 * meg.h_freq if meg.h_freq else _TOP_HZ) if at_hz is None else sfreq / 2
    step = top / _FREQUENCIES if at_hz is None else at_hz[1] - at_hz[0]
    n_fft = int(np.clip(round(sfreq / step), 8, raw.n_times))
    values = raw.get_data()
    values[:, ~_usable(raw, n_fft)] = np.nan  # MNE leaves such stretches out
    psd, freqs = psd_array_welch(values, sfreq, fmax=top, n_fft=n_fft, verbose="ERROR")
    if at_hz is None:
        return freqs, psd
    return at_hz, np.array([np.interp(at_hz, freqs, one, right=np.nan) for one in psd])


def line_noise(raw: "mne.io.BaseRaw") -> dict[float, float]:
    """Of each line frequency, how many times its power exceeds that around it, median over channels; empty below 68 Hz."""
    from mne.time_frequency import psd_array_welch

    sfreq = raw.info["sfreq"]
    n_fft, n = round(sfreq), min(raw.n_times, round(_LINE_S * sfreq))  # 1 Hz wide
    low, high = LINES_HZ[0] - _FAR_HZ, LINES_HZ[-1] + _FAR_HZ
    if min(sfreq / 2, raw.info["lowpass"]) < high or n < n_fft:
        return {}
    psd, freqs = psd_array_welch(raw.get_data(stop=n), sfreq, fmin=low, fmax=high, n_fft=n_fft, verbose="ERROR")
    psd = psd[(psd > 0).all(axis=1)]
    away = {line: np.abs(freqs - line) for line in LINES_HZ}
    around = np.all([far > _NEAR_HZ for far in away.values()], axis=0)
    return {} if not len(psd) else {
        line: float(np.median(psd[:, far < _NEAR_HZ].max(axis=1) / np.median(psd[:, around & (far <= _FAR_HZ)], axis=1)))
        for line, far in away.items()
    }  # fmt: skip


def _usable(raw: "mne.io.BaseRaw", n_fft: int) -> Bool[np.ndarray, " time"]:
    """Good stretches that are long enough for one spectrum; all of the recording where there is none."""
    good, sfreq = np.ones(raw.n_times, bool), raw.info["sfreq"]
    for one in raw.annotations:
        if one["description"].upper().startswith("BAD"):
            start = (one["onset"] - raw.first_time) * sfreq
            good[max(int(start), 0) : max(int(np.ceil(start + one["duration"] * sfreq)), 0)] = False
    edges = np.flatnonzero(np.diff(np.concatenate([[0], good.astype(np.int8), [0]]))).reshape(-1, 2)
    for start, end in edges[np.diff(edges, axis=1)[:, 0] < n_fft]:
        good[start:end] = False
    return good if good.any() else ~good
