"""Between which bounds the best possible model's distances agree with people's."""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Shaped


class Bounds(NamedTuple):
    """Mean over people of the similarity of their distances with the group's.

    lower : the group without this person: what is surely shared.
    upper : the group with this person: no model can be nearer to all of them.
    n_pairs : pairs of items that at least two people have.
    """

    lower: float
    upper: float
    n_pairs: int


def bounds(rdms: Shaped[np.ndarray, "person pair"], *, similarity: str = "spearman") -> Bounds:
    """Noise ceiling of representational similarity analysis, from each person's distances.

    The upper bound is too high, as each person's noise is in the group's
    mean; the lower too low, as the mean of few people is noisy. The true
    model's expected similarity lies between them, and nothing is extrapolated.

    Parameters
    ----------
    rdms : one row of distances between pairs of items for each person; NaN
        where a person lacks one. Debiased (crossnobis) distances are best:
        the noise of others grows with what a recording's own noise adds.
    similarity : "spearman" compares ranks (the group is the mean of ranks),
        "cosine" the distances about zero (the group is the mean of rows of
        length 1). Each is taken over the pairs that both have.

    Returns
    -------
    NaN where a person has constant distances, or shares fewer than three with the others.

    References
    ----------
    Nili et al. (2014), PLoS Computational Biology 10, e1003553.
    """
    if similarity not in SIMILARITIES:
        raise ValueError(f"similarity={similarity!r} is not known; known: {', '.join(map(repr, SIMILARITIES))}")
    if len(rdms) < 2:
        raise ValueError(f"bounds of similarity need the distances of at least two people and got {len(rdms)}")
    scaled, compare = SIMILARITIES[similarity]
    rows = np.stack([scaled(row) for row in np.asarray(rdms, float)])
    people = range(len(rows))
    lower = np.mean([compare(rows[i], _mean(np.delete(rows, i, axis=0))) for i in people])
    upper = np.mean([compare(rows[i], _mean(rows)) for i in people])
    return Bounds(float(lower), float(upper), int((np.isfinite(rows).sum(axis=0) >= 2).sum()))


def _mean(rows: Float[np.ndarray, "person pair"]) -> Float[np.ndarray, " pair"]:
    """Over those who have a pair; NaN where nobody has it."""
    known = np.isfinite(rows)
    count = known.sum(axis=0)
    total = np.where(known, rows, 0).sum(axis=0)
    return np.divide(total, count, out=np.full(rows.shape[1], np.nan), where=count > 0)


def _ranks(row: Float[np.ndarray, " pair"]) -> Float[np.ndarray, " pair"]:
    from scipy.stats import rankdata

    return rankdata(row, nan_policy="omit")


def _unit(row: Float[np.ndarray, " pair"]) -> Float[np.ndarray, " pair"]:
    """Root mean square 1 over what there is."""
    size = np.sqrt(np.nanmean(row**2)) if np.isfinite(row).any() else np.nan
    return row / size if size > 0 else np.full_like(row, np.nan)


def _spearman(a: np.ndarray, b: np.ndarray) -> float:
    both = np.isfinite(a) & np.isfinite(b)
    a, b = _ranks(a[both]), _ranks(b[both])
    return _cosine(a - a.mean(), b - b.mean()) if both.any() else np.nan


def _cosine(a: np.ndarray, b: np.ndarray) -> float:
    both = np.isfinite(a) & np.isfinite(b)
    a, b = a[both], b[both]
    size = np.sqrt((a**2).sum() * (b**2).sum())
    return float(a @ b / size) if len(a) >= 3 and size > 0 else np.nan


SIMILARITIES = {"spearman": (_ranks, _spearman), "cosine": (_unit, _cosine)}
