"""Where a response lies on the clock of its words: correlation at each lag, its like by chance, and a verdict.

The rule. The responses are summed up by a region that the user named (its
mean), by the targets that follow the words most in the other runs, or, where
there are not two of these, by the strongest principal components of the run. At each lag the
word rate is correlated with them; the highest point beyond chance over -30 to
+30 s is compared with that of word rates of the same spectrum but random
phases, which know nothing of the responses:

* green: the peak lies where the blood's answer should, and 95 % of the
  random peaks are lower;
* red: it lies further outside than one sample, at most 5 of 1,000 random
  ones are as high, and no lag inside the band is 70 % as far beyond chance;
* amber: anything else: too weak to tell, or just outside.

Random phases rather than circular shifts: a run of 100 volumes has fewer than
40 shifts that leave the range of lags behind, and their peaks are nearly the same.
"""

from collections.abc import Iterator
from typing import Literal, NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int, Shaped

Verdict = Literal["green", "amber", "red"]

LAGS_S = 30.0  # words shifted by 20 s, either way, still have their peak in view
N_RANDOM = 999  # word rates of random phases: p can be .001
GREEN_P, RED_P = 0.05, 0.005
RIVAL = 0.7  # a peak outside is no proof where the band holds one nearly as high
MOST_COMPONENTS, SAMPLES_EACH = 20, 10  # 20 show a lag in more real stories than 10 do; in short runs they fit noise

_LEAST_OVERLAP = 20  # samples that a correlation needs
_FINEST_LAG_S = 0.5
_NOTHING = 1e-9
_SLOW_S = 128.0  # slower than this, scanners drift: cleaned responses hold nothing there
_CHUNK = 8192  # targets at a time: 400 volumes of 200,000 targets take 13 MB at once


class Signal(NamedTuple):
    """What stands for the responses of a run: columns over samples, which samples count, and its name.

    `signed`: one signal that should RISE with the words. Components may have
    either sign, and are judged together.
    """

    columns: Float[np.ndarray, "sample component"]
    keep: Bool[np.ndarray, " sample"]
    name: str
    signed: bool


class Beyond(NamedTuple):
    """What lies beyond chance: `excess` in standard deviations, the `limit` that 95 % of random peaks stay below, and `p`.

    `p` is the share of random word rates whose peak, at whatever lag, is as
    high as this one, which is counted among them.
    """

    excess: Float[np.ndarray, " lag"]
    limit: Float[np.ndarray, " lag"]
    p: float


def signal_of(
    Y: Float[np.ndarray, "sample target"],
    keep: Bool[np.ndarray, " sample"],
    tr_s: float,
    roi: Bool[np.ndarray, " target"] | None = None,
    roi_name: str = "the region",
    weights: Float[np.ndarray, " target"] | None = None,
) -> Signal:
    """The mean of a region, targets weighted as the other runs tell, or the run's strongest components.

    Of those targets that vary and lack nothing.

    Components come from the sample-by-sample products, so that 200,000
    targets need no more room than a few thousand at a time.
    """
    usable = _usable(Y, keep)
    asked = roi if roi is not None else weights != 0 if weights is not None else np.ones(Y.shape[1], bool)
    which = np.flatnonzero(usable & asked)
    of = f"{len(which)} target{'' if len(which) == 1 else 's'}"
    parts, n = _standardised(Y, keep, which), int(keep.sum())
    if roi is not None:
        column = sum((z.sum(axis=1, dtype=float) for z in parts), np.zeros(n))
        return Signal(_whole(column[:, None], keep, tr_s), keep, f"mean of {roi_name} ({of})", signed=True)
    if weights is not None:
        of_parts = np.split(weights[which], range(_CHUNK, len(which), _CHUNK))
        column = sum((z @ w for z, w in zip(parts, of_parts, strict=True)), np.zeros(n)) if len(which) else np.zeros(n)
        name = f"the {of} that follow the words most in the other runs"
        return Signal(_whole(column[:, None], keep, tr_s), keep, name, signed=True)
    gram = sum((z @ z.T for z in parts), np.zeros((n, n)))
    k = max(0, min(MOST_COMPONENTS, len(which), n // SAMPLES_EACH))
    name = f"the best mixture of the {k} strongest components of {of}"
    return Signal(_whole(np.linalg.eigh(gram)[1][:, ::-1][:, :k], keep, tr_s), keep, name, signed=False)


def lag_steps(tr_s: float, n_samples: int) -> Int[np.ndarray, " lag"]:
    """Lags in samples, both ways, no finer than half a second and never more than half the run."""
    every = max(1, round(_FINEST_LAG_S / tr_s))
    most = min(int(LAGS_S / tr_s + 1e-9), n_samples // 2) // every
    return np.arange(-most, most + 1) * every


def follow(
    X: Float[np.ndarray, "row sample"], signal: Signal, steps: Int[np.ndarray, " lag"]
) -> Float[np.ndarray, "row lag"]:
    """How each row of X goes with the signal `steps` samples later; 0 where too few samples overlap.

    One signal: Pearson's r. Several: the multiple correlation, that of a row
    with the best mixture of them at this lag, which is never negative.
    """
    r, squares = np.zeros((len(X), len(steps))), X**2
    for i, step in enumerate(steps):
        at, later = _overlap(signal.keep, int(step))
        if len(at) < max(_LEAST_OVERLAP, 2 * signal.columns.shape[1]):
            continue
        y, inside = np.zeros(signal.columns.shape), np.zeros(len(signal.keep))
        y[at] = _orthonormal(signal.columns[later] - signal.columns[later].mean(axis=0))
        inside[at] = 1.0
        norm = np.sqrt(np.maximum(squares @ inside - (X @ inside) ** 2 / len(at), 0.0))
        dots = X @ y  # columns of y sum to 0, so that the mean of x does not matter
        shared = dots.sum(axis=1) if signal.signed else np.linalg.norm(dots, axis=1)
        r[:, i] = np.divide(shared, norm, out=np.zeros(len(X)), where=norm > _NOTHING)
    return r


def by_chance(rate: Float[np.ndarray, " sample"], tr_s: float) -> Float[np.ndarray, "random sample"]:
    """Rates with the spectrum of this one and random phases (Theiler et al. 1992, Physica D 58, 77-94); always the same."""
    spectrum = np.abs(np.fft.rfft(without_drift(rate, tr_s)))
    phases = np.random.default_rng(0).random((N_RANDOM, len(spectrum)))
    return np.fft.irfft(spectrum * np.exp(2j * np.pi * phases), n=len(rate))


def beyond_chance(r: Float[np.ndarray, " lag"], random: Float[np.ndarray, "random lag"]) -> Beyond:
    """Standardised lag by lag, since fewer samples overlap at the far ones and chance is higher there."""
    mean, spread = random.mean(axis=0), random.std(axis=0)
    excess, others = (np.divide(x - mean, spread, out=np.zeros(x.shape), where=spread > _NOTHING) for x in (r, random))
    peaks = others.max(axis=1)
    p = (1 + int((peaks >= excess.max()).sum())) / (1 + len(peaks))
    return Beyond(excess, mean + np.quantile(peaks, 1 - GREEN_P) * spread, p)


def judge(
    lags_s: Float[np.ndarray, " lag"],
    excess: Float[np.ndarray, " lag"],
    p: float,
    expected_s: tuple[float, float],
    tr_s: float,
) -> Verdict:
    """The verdict by the rule above."""
    (low, high), peak = expected_s, excess.argmax()
    inside, near = _between(lags_s, low, high), _between(lags_s, low - tr_s, high + tr_s)
    if inside[peak]:
        return "green" if p <= GREEN_P else "amber"
    clear = p <= RED_P and excess[inside].max(initial=0.0) < RIVAL * excess[peak]
    return "red" if clear and not near[peak] else "amber"


def mixture(rate: Float[np.ndarray, " sample"], signal: Signal, step: int, tr_s: float) -> Float[np.ndarray, " sample"]:
    """One line to draw, z-scored: the region, or the components as they follow best at this lag. Samples that do not count: NaN."""
    at, later = _overlap(signal.keep, step)
    y, x = signal.columns[later], without_drift(rate, tr_s)[at]
    weights = np.ones(1) if signal.signed else np.linalg.lstsq(y - y.mean(axis=0), x - x.mean(), rcond=None)[0]
    line = signal.columns @ weights
    kept = line[signal.keep]
    return np.where(signal.keep, (line - kept.mean()) / (kept.std() or 1.0), np.nan)


def without_drift(
    X: Shaped[np.ndarray, "sample ..."], tr_s: float, keep: Bool[np.ndarray, " sample"] | None = None
) -> Float[np.ndarray, "sample ..."]:
    """Mean and slow cosines taken out, as cleaning has done with most responses; fitted to the samples that count."""
    n = len(X)
    order = np.arange(int(2 * n * tr_s / _SLOW_S) + 1)
    slow = np.cos(np.pi * (np.arange(n)[:, None] + 0.5) * order / n)
    keep = np.ones(n, bool) if keep is None else keep
    return X - slow @ np.linalg.lstsq(slow[keep], X[keep], rcond=None)[0]


def _overlap(keep: np.ndarray, step: int) -> tuple[np.ndarray, np.ndarray]:
    """Samples of the words, and those `step` later that exist and count."""
    later = np.flatnonzero(keep)
    inside = (later >= step) & (later < len(keep) + step)
    return later[inside] - step, later[inside]


def _orthonormal(y: np.ndarray) -> np.ndarray:
    """The same space in columns of length 1; one column keeps its sign, a constant one becomes 0."""
    if y.shape[1] != 1:
        return np.linalg.qr(y)[0]
    length = np.linalg.norm(y)
    return y / length if length > _NOTHING else y * 0


def _between(lags_s: np.ndarray, low: float, high: float) -> np.ndarray:
    return (lags_s >= low - _NOTHING) & (lags_s <= high + _NOTHING)


def _usable(Y: np.ndarray, keep: np.ndarray) -> np.ndarray:
    parts = [Y[keep, i : i + _CHUNK] for i in range(0, Y.shape[1], _CHUNK)] if keep.any() else []
    found = [np.isfinite(part).all(axis=0) & (np.ptp(part, axis=0) > 0) for part in parts]
    return np.concatenate(found) if found else np.zeros(Y.shape[1], bool)


def _standardised(Y: np.ndarray, keep: np.ndarray, which: np.ndarray) -> Iterator[np.ndarray]:
    """Usable targets with mean 0 and deviation 1, some at a time, in single precision: products of 200,000 are what takes time."""
    for i in range(0, len(which), _CHUNK):
        part = Y[:, which[i : i + _CHUNK]][keep].astype(np.float32)
        part -= part.mean(axis=0)
        yield part / np.maximum(part.std(axis=0), np.finfo(np.float32).tiny)


def _whole(columns: np.ndarray, keep: np.ndarray, tr_s: float) -> np.ndarray:
    """Columns over all samples, without drift, 0 in those that do not count."""
    whole = np.zeros((len(keep), columns.shape[1]))
    whole[keep] = columns
    return np.where(keep[:, None], without_drift(whole, tr_s, keep), 0.0)
