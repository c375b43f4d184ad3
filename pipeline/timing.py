"""Things that happen at irregular times, onto a regular clock."""

from collections.abc import Callable

import numpy as np
from jaxtyping import Float, Shaped

Kernel = Callable[[np.ndarray], np.ndarray]  # what a word weighs, from the time since it happened


def to_grid(
    values: Shaped[np.ndarray, "word feature"],
    onsets: Shaped[np.ndarray, " word"],
    times: Shaped[np.ndarray, " time"],
    how: str = "lanczos",
    cutoff_hz: float | None = None,
    window: int = 3,
) -> Float[np.ndarray, "time feature"]:
    """Bring features of words onto a regular clock.

    Words come several to a sample, or none. What a sample holds is a choice:
    a low-pass filter (`lanczos`, or `causal`, which never looks ahead), the
    words that start in it (`sum`, `mean`, `last`), or, for what is a state and
    no event, the value in between (`linear`). The order of the words does not
    matter.

    `causal` is the Lanczos filter one lobe later, without the lobes that would
    then still lie before the word, and scaled so that a constant stream of
    words keeps its level. It costs a delay of one lobe (`1 / cutoff_hz`, one
    sample by default) and is a little less sharp (at 1.5 times the highest
    frequency that samples can hold, 4 % pass instead of 1 %). Cut in half at
    its peak it would cost no delay, but 55 % would pass there, and a word count
    twice or not at all by where in its sample it falls.

    Parameters
    ----------
    values : one row per word.
    onsets : s, when each word happens.
    times : s, evenly spaced. The filter and the line are read AT these times;
        the bins of `sum`, `mean` and `last` BEGIN at them and are one spacing long.
    how : `lanczos`, `causal`, `sum`, `mean`, `last` or `linear`.
    cutoff_hz : cut-off of the filter; by default one over the spacing.
    window : lobes of the filter on each side. `lanczos` looks `window /
        cutoff_hz` seconds into the future as well as into the past, `causal`
        one lobe further into the past only.

    Returns
    -------
    One row per time. A sample without words is 0; words beyond the clock are
    left out (`outside` counts them).

    Raises
    ------
    ValueError : times not evenly spaced, lengths that differ, missing values,
        an unknown `how`, a cut-off or window that is not positive, a line
        through no words.

    References
    ----------
    Huth et al. (2016), Nature 532, 453-458, Methods; the filter after
    Duchon (1979), J. Appl. Meteorology 18, 1016-1022.
    """
    values, onsets, times = np.asarray(values, float), np.asarray(onsets, float), np.asarray(times, float)
    spacing = _spacing(times)
    if how not in GRIDS:
        raise ValueError(f"how={how!r} is not known; known: {', '.join(map(repr, GRIDS))}")
    _check_words(values, onsets)
    order = np.argsort(onsets, kind="stable")
    values, onsets = values[order], onsets[order]
    if how in BINS:
        return BINS[how](values, onsets, times, spacing)
    cutoff_hz = 1 / spacing if cutoff_hz is None else cutoff_hz
    if not (cutoff_hz > 0 and window >= 1):
        raise ValueError(f"cutoff_hz is {cutoff_hz:g}, window is {window}; both must be positive")
    kernel, before, after = FILTERS[how](window)
    return _spread(values, onsets, times, lambda lag: kernel(lag * cutoff_hz), before / cutoff_hz, after / cutoff_hz)


def spread(
    values: Shaped[np.ndarray, "word feature"],
    onsets: Shaped[np.ndarray, " word"],
    times: Shaped[np.ndarray, " time"],
    kernel: Kernel,
    after_s: float,
) -> Float[np.ndarray, "time feature"]:
    """Let every word weigh by a curve on what comes after it: the sum over words of `kernel(t - onset)`.

    The weights of all words at all times are one sparse matrix, so that many
    features cost one product and no convolution each.

    Parameters
    ----------
    values : one row per word.
    onsets : s.
    times : s, evenly spaced; the curve is read AT these times.
    kernel : weights from lags in s.
    after_s : s; the curve is 0 before the word and from here on.

    Raises
    ------
    ValueError : as `to_grid`.
    """
    values, onsets, times = np.asarray(values, float), np.asarray(onsets, float), np.asarray(times, float)
    _spacing(times)
    _check_words(values, onsets)
    return _spread(values, onsets, times, kernel, 0.0, after_s)


def _spacing(times: np.ndarray) -> float:
    steps = np.diff(times)
    # written so that a missing time, which compares as false, is refused
    if len(times) < 2 or not (steps.min() > 0 and np.ptp(steps) <= 1e-6 * steps.mean()):
        found = f"steps from {steps.min():g} to {steps.max():g} s" if len(steps) else f"{len(times)} times"
        raise ValueError(f"times must be at least two, increasing and evenly spaced; found {found}")
    return float(steps.mean())


def _check_words(values: np.ndarray, onsets: np.ndarray) -> None:
    if len(values) != len(onsets):
        raise ValueError(f"{len(values)} rows of values, {len(onsets)} onsets: there must be one onset per word")
    bad = np.flatnonzero(~(np.isfinite(values).all(axis=1) & np.isfinite(onsets)))
    if bad.size:
        raise ValueError(
            f"{bad.size} words have a missing or infinite value or onset; the first rows: {bad[:5].tolist()}"
        )


def _spread(
    values: np.ndarray, onsets: np.ndarray, times: np.ndarray, kernel: Kernel, before_s: float, after_s: float
) -> np.ndarray:
    """Sum over words of kernel(t - onset); each word reaches a few times only."""
    from scipy import sparse  # only the filters need it

    first, last = np.searchsorted(times, onsets - before_s, "left"), np.searchsorted(times, onsets + after_s, "right")
    word = np.repeat(np.arange(len(onsets)), last - first)
    time = np.arange(len(word)) - np.repeat(np.cumsum(last - first) - last, last - first)
    weights = kernel(times[time] - onsets[word])
    return sparse.csr_array((weights, (time, word)), shape=(len(times), len(onsets))) @ values


def _lanczos(window: int) -> tuple[Kernel, int, int]:
    """The filter over lobes since the word, and how many lobes it reaches before and after it."""
    return lambda x: np.where(np.abs(x) <= window, np.sinc(x) * np.sinc(x / window), 0.0), window, window


def _causal(window: int) -> tuple[Kernel, int, int]:
    """One lobe later and 0 before the word; the area under it is that of the whole filter."""
    whole, _, _ = _lanczos(window)
    # the middles of a thousand steps a lobe: the area to a millionth
    area = whole((np.arange(-1000 * window, 1000 * window) + 0.5) / 1000).reshape(2 * window, 1000).sum(axis=1)
    gain = area.sum() / area[window - 1 :].sum()
    return lambda x: np.where(x >= 0, gain * whole(x - 1), 0.0), 0, window + 1


def _bins(onsets: np.ndarray, times: np.ndarray, spacing: float) -> np.ndarray:
    """The sample in which each word starts; -1 where there is none.

    Positions within a billionth of a border count as on it: 0.1 * 3 / 0.1 is
    a hair below 3.
    """
    position = (onsets - times[0]) / spacing
    sample = np.floor(position + 1e-9).astype(int)
    return np.where((sample >= 0) & (sample < len(times)), sample, -1)


def _sum(values: np.ndarray, onsets: np.ndarray, times: np.ndarray, spacing: float) -> np.ndarray:
    sample = _bins(onsets, times, spacing)
    out = np.zeros((len(times), values.shape[1]))
    np.add.at(out, sample[sample >= 0], values[sample >= 0])
    return out


def _mean(values: np.ndarray, onsets: np.ndarray, times: np.ndarray, spacing: float) -> np.ndarray:
    sample = _bins(onsets, times, spacing)
    count = np.bincount(sample[sample >= 0], minlength=len(times))
    return _sum(values, onsets, times, spacing) / np.maximum(count, 1)[:, None]


def _last(values: np.ndarray, onsets: np.ndarray, times: np.ndarray, spacing: float) -> np.ndarray:
    sample = _bins(onsets, times, spacing)
    out = np.zeros((len(times), values.shape[1]))
    out[sample[sample >= 0]] = values[sample >= 0]  # words are in order: the last one stays
    return out


def _linear(values: np.ndarray, onsets: np.ndarray, times: np.ndarray, spacing: float) -> np.ndarray:
    """Between words a straight line, before the first and after the last their own values."""
    if not len(onsets):
        raise ValueError("how='linear' needs at least one word; there is none")
    return np.stack([np.interp(times, onsets, column) for column in values.T], axis=1)


def outside(onsets: Shaped[np.ndarray, " word"], times: Shaped[np.ndarray, " time"]) -> int:
    """How many words start before the first or after the last sample of a clock."""
    times = np.asarray(times, float)
    return int((_bins(np.asarray(onsets, float), times, _spacing(times)) < 0).sum())


def delay(X: Shaped[np.ndarray, "sample feature"], delays: tuple[int, ...]) -> Shaped[np.ndarray, "sample delayed"]:
    """Place copies of each feature a few samples later, side by side.

    A word is heard now and the blood answers seconds later. Giving the
    regression the features of 1, 2, 3 and 4 volumes ago lets it learn the
    shape of that answer for every voxel (a finite impulse response).

    Parameters
    ----------
    X : features of ONE run, one row per volume.
    delays : shifts in volumes; 0 keeps the row where it is.

    Returns
    -------
    Columns ordered delay by delay: all features at delays[0], then at
    delays[1], ... Rows with no past are 0, the mean of a z-scored feature.

    References
    ----------
    Huth et al. (2016), Nature 532, 453-458, Methods.
    """
    late = [d for d in delays if not 0 <= d < len(X)]
    if late:
        raise ValueError(
            f"delays {late} do not fit a run of {len(X)} volumes: each delay must lie between 0 and {len(X) - 1}"
        )
    out = np.zeros((len(X), len(delays), X.shape[1]), X.dtype)
    for i, d in enumerate(delays):
        out[d:, i] = X[: len(X) - d]
    return out.reshape(len(X), -1)


def epochs(
    signal: Float[np.ndarray, "channel time"],
    sfreq: float,
    onsets: Shaped[np.ndarray, " word"],
    window: tuple[float, float],
) -> Float[np.ndarray, "word channel latency"]:
    """Cut a window around every word out of a continuous signal.

    Parameters
    ----------
    signal : one row per channel, the first sample at time 0.
    sfreq : Hz.
    onsets : s.
    window : s relative to onset, both ends included, as MNE counts them.

    Returns
    -------
    One row per word, none dropped: where the window leaves the recording the
    word's row is NaN throughout, to be counted by the caller.
    """
    start_s, end_s = window
    if not start_s < end_s:
        raise ValueError(f"the window runs from {start_s:g} to {end_s:g} s; it must end after it starts")
    latency = np.arange(round((end_s - start_s) * sfreq) + 1)
    onsets = np.asarray(onsets, float)
    bad = np.flatnonzero(~np.isfinite(onsets))
    if bad.size:
        raise ValueError(f"{bad.size} onsets are missing or infinite, the first at {bad[:5].tolist()}")
    first = np.round((onsets + start_s) * sfreq).astype(int)
    inside = (first >= 0) & (first + latency[-1] < signal.shape[1])
    out = np.full((len(first), len(signal), len(latency)), np.nan, signal.dtype)
    out[inside] = signal[:, first[inside, None] + latency].transpose(1, 0, 2)
    return out


FILTERS = {"lanczos": _lanczos, "causal": _causal}
BINS = {"sum": _sum, "mean": _mean, "last": _last, "linear": _linear}
GRIDS = (*FILTERS, *BINS)
