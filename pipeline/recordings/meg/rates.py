"""Sampling rates and filters: is what is asked for possible, and resampling that keeps time."""

import math
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Float

from pipeline.problems import StudyError
from pipeline.recordings.base import problem
from pipeline.recordings.meg.kind import Meg
from pipeline.runs import Run

if TYPE_CHECKING:
    pass

_EDGE_S = 1.0  # recorded signal mirrored at both ends before resampling
_SAME = 1e-3  # samples; a shift in time smaller than this is none


def check_rates(meg: Meg, sfreq: float, run: Run, name: str) -> None:
    """Refuse filters that lie above half of the file's sampling rate, and a rate below the one wanted.

    The study file alone cannot tell: only the header knows how fast was sampled.
    """
    half = sfreq / 2
    asked = {"h_freq": (meg.h_freq,), "l_freq": (meg.l_freq,), "notch": () if meg.notch == "auto" else meg.notch}
    problems = [
        problem("E-MEG-12", "a filter lies above half of the sampling rate", run, file=name, field=field, found=f"{edge:g} Hz, sampled at {sfreq:g} Hz",
                expected=f"below {half:g} Hz", why="a file holds nothing above half of its sampling rate (Nyquist)",
                fix=f"say {field}: {0.8 * half:g} or less, or null" if field != "notch" else f"leave {edge:g} Hz out")
        for field, edges in asked.items() for edge in edges if edge is not None and edge >= half
    ]  # fmt: skip
    if sfreq < meg.sfreq * (1 - 1e-9):
        problems.append(
            problem("E-MEG-10", "a recording is sampled more slowly than is asked for", run, file=name, field="sfreq", found=f"{sfreq:g} Hz",
                    expected=f"at least {meg.sfreq:g} Hz", fix=f"say sfreq: {sfreq:g}, and h_freq below {half:g}")
        )  # fmt: skip
    if problems:
        raise StudyError(*problems)


def notches(meg: Meg, line_hz: float | None) -> tuple[float, ...]:
    """Hz; the frequencies to remove: those that were asked for, or the line's and its multiples in what is left."""
    if meg.notch != "auto":
        return tuple(meg.notch)
    top = min(meg.h_freq or math.inf, meg.sfreq / 2)
    return tuple(np.arange(line_hz, top, line_hz).tolist()) if line_hz else ()


def filter_s(meg: Meg, sfreq: float) -> float:
    """s; how long the band-pass is: MNE's FIR, whose steepest edge decides."""
    from mne.filter import create_filter

    return len(create_filter(None, sfreq, meg.l_freq, meg.h_freq, verbose="ERROR")) / sfreq


def resampled(
    values: Float[np.ndarray, "channel time"], sfreq: float, wanted: float
) -> Float[np.ndarray, "channel moment"]:
    """The same signals at another rate; moment i lies i / `wanted` s after the first sample.

    MNE resamples by FFT, which rounds lengths to whole samples: the signal
    comes out shifted by up to half a new sample (5 ms at 100 Hz), and a little
    stretched. Lengths are therefore chosen here such that nothing is left to
    round; the mirrored ends are cut off again.
    """
    from mne.filter import resample

    n, ratio = values.shape[1], wanted / sfreq
    left = _whole_number(min(round(_EDGE_S * sfreq), n - 1), n - 1, ratio)
    total = _length(n + 2 * left, ratio)
    out = np.empty((len(values), int((n - 1) * ratio + _SAME) + 1))
    start = round(left * ratio)
    for signal, moments in zip(values, out, strict=True):
        longer = np.pad(signal, (left, total - n - left), mode="reflect", reflect_type="odd")
        moments[:] = resample(longer, wanted, sfreq, npad=0, method="fft", verbose="ERROR")[
            start : start + len(moments)
        ]
    return out


def _whole_number(least: int, most: int, ratio: float) -> int:
    """The first number of old samples from `least` on that is a whole number of new ones, or the one nearest to it."""
    numbers = np.arange(least, max(most, least) + 1)[: max(4 * least, 1)]
    off = np.abs(numbers * ratio - np.round(numbers * ratio))
    return int(numbers[np.argmax(off < _SAME) if (off < _SAME).any() else np.argmin(off)])


def _length(least: int, ratio: float) -> int:
    """A length that an FFT is fast at and that becomes a whole number of new samples, or nearly."""
    from scipy.fft import next_fast_len

    best, off, n = least, math.inf, least
    while n < 1.2 * least + 100 and off > _SAME:
        n = next_fast_len(n)
        if (away := abs(n * ratio - round(n * ratio))) < off:
            best, off = n, away
        n += 1
    return best
