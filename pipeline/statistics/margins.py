"""Is a difference too small to matter, and is a ceiling reached? Tests against a margin, not against zero.

A difference that is not significant is no evidence of no difference. So the
margin below which a difference would not matter is named beforehand, and the
test must show the mean to lie within it. All tests here flip signs of units
(people, runs), which are independent, and never look at single samples.
"""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Shaped

LEVEL = 0.05  # of each one-sided test; an interval of both holds 90 %


class Equivalence(NamedTuple):
    """Whether a mean is shown to lie within a margin of zero.

    Attributes
    ----------
    mean : over units.
    low, high : ends of the 90 % interval that the tests themselves imply; NaN where these units allow none.
    p : the larger of the two one-sided p; at most 0.05 shows equivalence.
    smallest_p : what so many units could reach at best.
    n_units : units with a value.
    verdict : "equivalent", "beyond" (the whole interval is outside of the margin), "undecided" or "too few units".
    """

    mean: float
    low: float
    high: float
    p: float
    smallest_p: float
    n_units: int
    verdict: str


class Reached(NamedTuple):
    """Whether the gap to a ceiling is shown to be smaller than a margin.

    Attributes
    ----------
    gap : mean over units of ceiling less score; negative above the ceiling.
    low, high : one-sided 95 % bounds of the gap; NaN where these units allow none.
    p : of the test that the gap is smaller than the margin.
    smallest_p : what so many units could reach at best.
    n_units : units with a value.
    verdict : "reached", "not reached" (the gap is shown to exceed the margin), "undecided" or "too few units".
    """

    gap: float
    low: float
    high: float
    p: float
    smallest_p: float
    n_units: int
    verdict: str


def equivalence(values: Shaped[np.ndarray, " unit"], margin: float, *, n: int = 10000, seed: int = 0) -> Equivalence:
    """Is the mean over units within `margin` of zero? Two one-sided sign-flip tests.

    If the mean were at a margin, each unit would lie above it or below with
    even chance. Both margins must be rejected at 5 %, which is the case just
    where the 90 % interval lies between them: its ends are the margins that
    would not be rejected, and these are means of subsets of the units.

    Parameters
    ----------
    values : one difference per unit; missing ones are left out and not counted.
    margin : the smallest difference that would matter, in the units of the
        values; to be named before looking.
    n : most patterns of signs to try; drawn where there are more.

    References
    ----------
    Schuirmann (1987), Journal of Pharmacokinetics and Biopharmaceutics 15, 657-680: two one-sided tests.
    Hartigan (1969), Journal of the American Statistical Association 64, 1303-1317: means of subsets.
    """
    if not margin > 0:
        raise ValueError(
            f"a margin of {margin} leaves no room: it must be above 0, the smallest difference that matters"
        )
    known = _known(values)
    subsets = _subset_means(known, n, seed)
    low, high = _ends(subsets)
    p = max(_p_below(subsets, margin), _p_above(subsets, -margin))
    beyond = low >= margin or high <= -margin
    verdict = _verdict(len(subsets), "equivalent" if p <= LEVEL else "beyond" if beyond else "undecided")
    return Equivalence(float(known.mean()), low, high, p, 1 / (len(subsets) + 1), len(known), verdict)


def reached(gap: Shaped[np.ndarray, " unit"], margin: float, *, n: int = 10000, seed: int = 0) -> Reached:
    """Is the mean gap between a ceiling and a score smaller than `margin`? A one-sided sign-flip test.

    Parameters
    ----------
    gap : ceiling less score, per unit; missing ones are left out and not counted.
    margin : the largest gap that would still be called reached, in the units of the score. With 0 the
        score must be shown to be above the ceiling.
    n : most patterns of signs to try; drawn where there are more.
    """
    if not margin >= 0:
        raise ValueError(f"a margin of {margin} asks for more than the ceiling: it must be 0 or above")
    known = _known(gap)
    subsets = _subset_means(known, n, seed)
    low, high = _ends(subsets)
    p = _p_below(subsets, margin)
    short = _p_above(subsets, margin) <= LEVEL
    verdict = _verdict(len(subsets), "reached" if p <= LEVEL else "not reached" if short else "undecided")
    return Reached(float(known.mean()), low, high, p, 1 / (len(subsets) + 1), len(known), verdict)


def _known(values: np.ndarray) -> Float[np.ndarray, " unit"]:
    known = np.asarray(values, float)
    known = known[np.isfinite(known)]
    if not len(known):
        raise ValueError(f"none of {len(values)} units has a value: nothing can be tested")
    return known


def _subset_means(values: np.ndarray, n: int, seed: int) -> Float[np.ndarray, " subset"]:
    """Means of all subsets of the units but the empty one, or of some, ascending.

    Flipping the units of a subset makes a sum larger just where the mean of
    the subset is below the tested value: so these means are the whole test.
    """
    if 2 ** len(values) <= n:
        members = np.arange(1, 2 ** len(values))[:, None] >> np.arange(len(values)) & 1
    else:
        members = np.random.default_rng(seed).integers(2, size=(n, len(values)))
        members[~members.any(axis=1)] = 1
    return np.sort(members @ values / members.sum(axis=1))


def _p_above(subsets: np.ndarray, at: float) -> float:
    """p of a mean above `at`."""
    return float((1 + (subsets <= at + _slack(subsets)).sum()) / (len(subsets) + 1))


def _p_below(subsets: np.ndarray, at: float) -> float:
    return float((1 + (subsets >= at - _slack(subsets)).sum()) / (len(subsets) + 1))


def _slack(subsets: np.ndarray) -> float:
    return 1e-9 * float(np.abs(subsets).max())


def _ends(subsets: np.ndarray) -> tuple[float, float]:
    """The values that one-sided tests at 5 % just do not reject."""
    rank = int(np.floor(LEVEL * (len(subsets) + 1) + 1e-9))
    return (float(subsets[rank - 1]), float(subsets[-rank])) if rank else (np.nan, np.nan)


def _verdict(n_subsets: int, found: str) -> str:
    return found if (n_subsets + 1) * LEVEL >= 1 else "too few units"
