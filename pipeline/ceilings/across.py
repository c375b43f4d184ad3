"""Ceiling across people: what one person's response has in common with those of others."""

import numpy as np
from jaxtyping import Float, Shaped

from pipeline.ceilings.answer import Ceiling, Presentations, of_correlations, of_shares, still, together, unknown
from pipeline.ceilings.repeats import centred
from pipeline.ceilings.resampling import LEAST, Cut, Draws, chunks, draws, estimated, wanted
from pipeline.statistics.blocks import Run, split_runs
from pipeline.statistics.intervals import students_t

_ANGLES = np.linspace(0, 2 * np.pi, 180, endpoint=False)[:, None]
_COSINE, _SINE = np.cos(_ANGLES), np.sin(_ANGLES)


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
        correlation; that is, mean correlation with the others over the root
        of the mean correlation among them. Where the others do not correlate,
        there is no value (NaN), and where they might not, no upper end (inf)
        and `valid` is False.
    run, n, seed, block : as for `repeats`; nothing is drawn for one person's
        interval, which follows from the blocks' spread. It is about other
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
    """What each block adds to 1 + (N - 1) rho and to 1 - rho, rho the mean correlation of two people."""
    z = _standardised(Y, runs)
    rho = _shared(z)
    own = (z**2).mean(axis=0)
    shared = rho + rho.mean(axis=0) * (own - 1)  # of this and `own` the ratio is taken, which counts `own` again
    return cut(own + (len(z) - 1) * shared), cut(own - shared)


def _shared(z: np.ndarray) -> Float[np.ndarray, "sample target"]:
    """What each sample adds to the mean correlation of two people.

    Beside the product of two responses a correlation depends on their
    variances, each as much as it correlates with the others: the second term,
    nothing in sum.
    """
    others, total = len(z) - 1, z.sum(axis=0)
    r = (z * (total - z)).mean(axis=1, keepdims=True) / others
    product = (total**2 - (z**2).sum(axis=0)) / (len(z) * others)
    return product - (r * (z**2 - 1)).mean(axis=0)


def _own(Y: np.ndarray, run: Run, n: int, seed: int, block: int | None) -> Ceiling:
    """The first person's ceiling."""
    runs = split_runs(run, Y.shape[1])
    drawn = draws(runs, wanted(Y, _agreement, runs, block), n, seed)
    parts = [_some(Y[:, :, part], drawn) for part in chunks(Y.shape[2], Y.shape[0] * Y.shape[1])]
    value, low, high = np.concatenate(parts, axis=1) if parts else np.empty((3, 0))
    found = of_correlations(value, low, high, drawn.reason)
    return found._replace(valid=found.valid & np.isfinite(high) & np.isfinite(value))


def _some(Y: np.ndarray, drawn: Draws) -> Float[np.ndarray, "three target"]:
    with np.errstate(all="ignore"):  # targets without variance become NaN below
        z = _standardised(Y, drawn.runs)
        own, others = _with_others(z)
        value, low, high = _root_ratio(own, others, drawn)
    missing = unknown(Y) | still(Y).any(axis=0)
    return np.where(missing, np.nan, np.stack([value, low, high]))


def _with_others(z: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """What each sample adds to the first person's mean correlation with the others, and to theirs with each other."""
    first, rest = z[0], z[1:]
    r = (first * rest).mean(axis=1, keepdims=True)
    own = first * rest.mean(axis=0) - (r * ((first**2 + rest**2) / 2 - 1)).mean(axis=0)
    return own, _shared(rest)


def _root_ratio(own: np.ndarray, others: np.ndarray, drawn: Draws) -> Float[np.ndarray, "three target"]:
    """x / sqrt(rho), the means of both, and its least and largest value over the ellipse of what x and rho may be.

    Where rho may be nothing, the ratio has no largest value. An interval from
    resampled ratios does not know this, and holds the truth in three of four
    cases only; one that is drawn through the ellipse does (Fieller).
    """
    x, rho = own.mean(axis=0), others.mean(axis=0)
    value = np.where(rho > 0, x / np.sqrt(np.maximum(rho, LEAST)), np.nan)
    if drawn.reason:
        return np.stack([value, np.full_like(value, np.nan), np.full_like(value, np.nan)])
    a, b = drawn.cut(own - x) / len(own), drawn.cut(others - rho) / len(own)
    spread = students_t(float(len(drawn.starts) - 1)) * drawn.widening
    side = np.sqrt((a**2).sum(axis=0))
    slope = (a * b).sum(axis=0) / side
    rest = np.sqrt(np.maximum((b**2).sum(axis=0) - slope**2, 0))
    x = x + spread * side * _COSINE
    rho = rho + spread * (slope * _COSINE + rest * _SINE)
    edge = np.where(rho > 0, x / np.sqrt(np.maximum(rho, LEAST)), np.sign(x) * np.inf)
    return np.stack([value, edge.min(axis=0), edge.max(axis=0)])
