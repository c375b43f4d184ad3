"""Ceiling across people: what one person's response has in common with those of others."""

import numpy as np
from jaxtyping import Float, Shaped

from pipeline.ceilings.answer import Ceiling, Presentations, of_correlations, of_shares, still, together, unknown
from pipeline.ceilings.repeats import centred
from pipeline.ceilings.resampling import LEAST, Cut, Draws, chunks, draws, estimated, wanted
from pipeline.statistics.blocks import Run, split_runs


def isc(
    Y: Presentations,
    *,
    person: int | None = None,
    run: Shaped[np.ndarray, " sample"] | None = None,
    n: int = 1000,
    seed: int = 0,
    block: int | None = None,
) -> Ceiling:
    """Ceiling from other people's responses to the same stimulus, leaving one person out.

    If all have the same share rho of signal in common, a person correlates
    with the mean of k others by r_k = rho / sqrt(rho + (1 - rho) / k), which
    rises to sqrt(rho) for a mean without noise. rho is the mean correlation
    of two people, so sqrt(rho) needs no fit of a curve over k.

    It limits what can be shared: signal of one person alone is not in it, and
    a target must mean the same in all (the same place of aligned brains).
    What people share beyond the stimulus (onset of the scan, a common drift)
    counts as signal.

    Parameters
    ----------
    Y : (person, sample, target), two people or more; three or more for `person`,
        otherwise both are taken to have as much signal.
    person : None for the group: the ceiling of one person's response,
        everybody having as much signal. A number for this person's own
        ceiling, which may have more or less of it: the correlation with the
        mean of the (standardised) others over the square root of the
        reliability of that mean, by Spearman-Brown from the others' mean
        correlation. Where that is not positive, there is no value: NaN.
    run, n, seed, block : as for `repeats`. The interval is about other
        moments of such a stimulus for these people, not about other people.

    Returns
    -------
    Of the correlation with one person's response to one presentation. NaN
    also where a person's target is constant.

    References
    ----------
    Nastase et al. (2019), Social Cognitive and Affective Neuroscience 14, 667-685.
    Lord & Novick (1968), Statistical Theories of Mental Test Scores, 5.10.
    """
    Y = _people(Y, person)
    if person is not None and len(Y) > 2:
        return _own(np.concatenate([Y[person : person + 1], np.delete(Y, person, axis=0)]), run, n, seed, block)
    ratio, reason = estimated(Y, _agreement, run=run, n=n, seed=seed, block=block)
    share = (1 - ratio) / (1 + (len(Y) - 1) * ratio)
    return of_shares(*np.where(still(Y).any(axis=0), np.nan, share), reason)


def isc_curve(
    Y: Presentations, *, run: Shaped[np.ndarray, " sample"] | None = None
) -> tuple[Float[np.ndarray, "k target"], Float[np.ndarray, "k target"]]:
    """Mean correlation of a person with the mean of k others, k = 1 to N - 1: measured, and the closed form.

    Each person meets as many sets of k others as there are others: those who
    follow each other around the circle of the rest.
    """
    Y = _people(Y, None)
    z = _standardised(Y, split_runs(run, Y.shape[1]))
    measured = []
    for k in range(1, len(z)):
        found = []
        for person in range(len(z)):
            others = np.delete(z, person, axis=0)
            for first in range(len(others)):
                mean = np.take(others, range(first, first + k), axis=0, mode="wrap").mean(axis=0)
                found.append((z[person] * mean).mean(axis=0) / mean.std(axis=0))
        measured.append(np.mean(found, axis=0))
    rho, k = np.asarray(measured[0]), np.arange(1, len(z))[:, None]
    with np.errstate(all="ignore"):
        closed = rho / np.sqrt(rho + (1 - rho) / k)
    return np.stack(measured), closed


def _people(Y: Presentations, person: int | None) -> Shaped[np.ndarray, "person sample target"]:
    if len(Y) < 2:
        raise ValueError(
            f"a ceiling across people needs at least two of them with the same stimulus and got {len(Y)}: "
            "without others nothing is known to be shared; choose `repeats` or `none`"
        )
    if person is not None and not 0 <= person < len(Y):
        raise ValueError(f"person {person} is not among the {len(Y)} people, counted from 0")
    return together(Y, "person")


def _standardised(Y: np.ndarray, runs: list[np.ndarray]) -> np.ndarray:
    """Each run of each person about its mean; variance 1 over all of them."""
    Y = centred(Y, runs)
    with np.errstate(all="ignore"):
        return Y / Y.std(axis=1, keepdims=True)


def _agreement(Y: np.ndarray, runs: list[np.ndarray], cut: Cut) -> tuple[np.ndarray, np.ndarray]:
    """What each block adds to 1 + (N - 1) rho and to 1 - rho, rho the mean correlation of two people.

    Beside the product of two people's responses a correlation depends on
    their variances, each as much as it correlates with the others: the
    second term, nothing in sum, has it in each block.
    """
    z = _standardised(Y, runs)
    total, others = z.sum(axis=0), len(z) - 1
    with_others = (z * (total - z)).mean(axis=1, keepdims=True) / others
    own = (z**2).mean(axis=0)
    shared = (total**2 - (z**2).sum(axis=0)) / (len(z) * others)
    shared = shared - ((with_others - with_others.mean(axis=0)) * z**2).mean(axis=0)
    return cut(own + others * shared), cut(own - shared)


def _own(Y: np.ndarray, run: Run, n: int, seed: int, block: int | None) -> Ceiling:
    """The first person's ceiling."""
    runs = split_runs(run, Y.shape[1])
    drawn = draws(runs, wanted(Y, _agreement, runs, block), n, seed)
    parts = [_some(Y[:, :, part], drawn) for part in chunks(Y.shape[2], max(n, Y.shape[0] * Y.shape[1]))]
    return of_correlations(*(np.concatenate(parts, axis=1) if parts else np.empty((3, 0))), drawn.reason)


def _some(Y: np.ndarray, drawn: Draws) -> Float[np.ndarray, "three target"]:
    with np.errstate(all="ignore"):
        z = _standardised(Y, drawn.runs)
        mean, k = z[1:].mean(axis=0), len(z) - 1
        signal = (k * mean**2 - (z[1:] ** 2).mean(axis=0)) / (k - 1)
        cross, own, signal = drawn.cut(z[0] * mean), drawn.cut(z[0] ** 2), drawn.cut(signal)
        value = cross.sum(axis=0) / np.sqrt(own.sum(axis=0) * signal.sum(axis=0))
        low, high = _ends(value, cross, own, signal, drawn)
    return np.where(unknown(Y) | still(Y).any(axis=0), np.nan, np.stack([value, low, high]))


def _ends(value, cross, own, signal, drawn: Draws) -> tuple[np.ndarray, np.ndarray]:
    if drawn.reason:
        return np.full_like(value, np.nan), np.full_like(value, np.nan)
    top = value * cross / cross.sum(axis=0)
    bottom = (own / own.sum(axis=0) + signal / signal.sum(axis=0)) / 2
    above, below = drawn.counts @ top, drawn.counts @ bottom
    ratio = above / below
    error = (
        drawn.counts @ top**2 - 2 * ratio * (drawn.counts @ (top * bottom)) + ratio**2 * (drawn.counts @ bottom**2)
    ) / below**2
    t = (ratio - value) / np.sqrt(np.maximum(error, LEAST))
    se = drawn.widening * np.sqrt(((top - value * bottom) ** 2).sum(axis=0))
    low, high = np.quantile(t, [0.025, 0.975], axis=0)
    return value - high * se, value - low * se
