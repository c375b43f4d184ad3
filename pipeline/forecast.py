"""Does the brain's answer to a word hold what comes after it?

The score of a forecast (Caucheteux, Gramfort & King 2023) is what a window of
coming words adds to the words heard: F(d) = R(X + window at d) - R(X). Two
things add without any forecast. More features cost a fit with one penalty,
so each space has its own here (`ridge.banded`). And words resemble those
around them, so a window says again, and with less noise, what X says: the
same gain from a window of the other half of the story, which holds nothing of
the words to come, is taken off.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Shaped

from pipeline.ridge import banded

FLAT = 1e-10  # of responses of variance 1: a prediction that varies less is constant


class Forecast(NamedTuple):
    """What windows of coming words add.

    present : r without a window, (fold, target).
    gain : r with the window at each distance less `present`, (distance, fold, target).
    control : the same for windows of the other half of the story.
    series : what each sample adds to the mean over targets of gain less
        control, (distance, sample), NaN where it is never tested; the mean
        over a fold's samples is that fold's, so intervals are made of it.
    """

    present: Float[np.ndarray, "fold target"]
    gain: Float[np.ndarray, "distance fold target"]
    control: Float[np.ndarray, "distance fold target"]
    series: Float[np.ndarray, "distance sample"]

    @property
    def beyond(self) -> Float[np.ndarray, "distance fold target"]:
        """What the coming words add beyond any words: the score to report."""
        return self.gain - self.control


def window(X: Shaped[np.ndarray, "word feature"], distance: int, width: int = 7) -> Shaped[np.ndarray, "word wide"]:
    """For each word the features of the words up to `distance` after it, side by side, the nearest first.

    Parameters
    ----------
    X : features of ONE run, one row per word.
    distance : words from a word to the last of its window; negative ones lie in the past.
    width : words in a window.

    Returns
    -------
    Row n holds rows n + distance - width + 1 to n + distance of X. Words
    beyond the run are 0, never those of its other end; `known` says where.
    """
    if width < 1:
        raise ValueError(f"width is {width}; a window must hold at least one word")
    out = np.zeros((len(X), width, X.shape[1]), X.dtype)
    for i, shift in enumerate(range(distance - width + 1, distance + 1)):
        rows = np.arange(max(-shift, 0), min(len(X) - shift, len(X)))
        out[rows, i] = X[rows + shift]
    return out.reshape(len(X), -1)


def known(n: int, distances: Sequence[int], width: int = 7) -> Bool[np.ndarray, " word"]:
    """Which of a run's n words have a whole window at every distance, so that all are scored on the same samples."""
    first, last = max(width - 1 - min(distances), 0), n - max(max(distances), 0)
    if first >= last:
        raise ValueError(
            f"a run of {n} words holds no word with windows of {width} words at distances {min(distances)} to {max(distances)}"
        )
    row = np.arange(n)
    return (row >= first) & (row < last)


def reached(
    known: Bool[np.ndarray, " word"],
    onsets: Shaped[np.ndarray, " word"],
    times: Shaped[np.ndarray, " sample"],
    before_s: float,
    after_s: float,
) -> Bool[np.ndarray, " sample"]:
    """Which samples are reached by words with whole windows only.

    Parameters
    ----------
    times : s, start of each sample of the run.
    before_s, after_s : how far before and after its start a sample takes words
        in: the longest delay and the filter's lobes, and the sample's own length.
    """
    missing = np.sort(np.asarray(onsets, float)[~known])
    first, last = np.searchsorted(missing, times - before_s), np.searchsorted(missing, times + after_s)
    return first == last


def other_half(X: Shaped[np.ndarray, "word feature"]) -> Shaped[np.ndarray, "word feature"]:
    """The run's words moved by half its length: as slow and as many, but not those to come."""
    return np.roll(X, len(X) // 2, axis=0)


def gains(
    present: Shaped[np.ndarray, "sample column"],
    futures: Sequence[Shaped[np.ndarray, "sample _"]],
    controls: Sequence[Shaped[np.ndarray, "sample _"]],
    Y: Shaped[np.ndarray, "sample target"],
    **options: Any,
) -> Forecast:
    """Fit the words heard alone, and with each window; everything laid on samples already.

    Parameters
    ----------
    present : design of the words heard.
    futures, controls : for each distance the design of its windows, and of
        those of `other_half`, alike in columns.
    options : of `ridge.banded`, such as folds and alphas.
    """
    if len(futures) != len(controls) or not futures:
        raise ValueError(f"{len(futures)} windows and {len(controls)} controls: there must be one control for each")
    alone, _ = _fit([present], Y, options)
    ahead, beside = ([_fit([present, space], Y, options) for space in spaces] for spaces in (futures, controls))
    gain, control = (np.stack([r for r, _ in fits]) - alone for fits in (ahead, beside))
    series = np.stack([one - other for (_, one), (_, other) in zip(ahead, beside, strict=True)])
    return Forecast(alone, gain, control, series)


def _fit(spaces: list[np.ndarray], Y: np.ndarray, options: dict[str, Any]) -> tuple[np.ndarray, np.ndarray]:
    """r of each fold and target, and what each tested sample adds to its mean over targets."""
    tests = [test for _, test in options["folds"]]
    total, count = np.full(len(Y), np.nan), np.zeros(len(tests))
    for test in tests:
        total[test] = 0.0

    def visit(fold: int, targets: np.ndarray, y: np.ndarray, parts: np.ndarray) -> None:
        product = _z(y) * _z(parts.sum(axis=0))
        total[tests[fold]] += np.nansum(product, axis=1)
        count[fold] += np.isfinite(y).all(axis=0).sum()

    r = banded(spaces, Y, visit=visit, **options).r
    for test, n in zip(tests, count, strict=True):
        total[test] /= n if n else np.nan
    return r, total


def _z(values: np.ndarray) -> np.ndarray:
    """Mean 0 and deviation 1 over samples; what does not vary is 0."""
    values = values - values.mean(axis=0)
    deviation = values.std(axis=0)
    return np.divide(values, deviation, out=np.zeros_like(values), where=~(deviation <= FLAT))
