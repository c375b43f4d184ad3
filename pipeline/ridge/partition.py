"""What several groups of features explain each by itself and what they share, from fits of all their unions."""

from collections.abc import Iterator, Mapping
from itertools import combinations
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Shaped

from pipeline.ridge.banded import banded
from pipeline.ridge.checks import Fold
from pipeline.ridge.score import FLAT

MOST_GROUPS = 3  # of four groups there are fifteen parts, and nobody reads them

Names = frozenset[str]
R2 = float | Shaped[np.ndarray, "..."]


class Explained(NamedTuple):
    """What one fit explains of each tested sample, mean over each pool's targets; NaN for a pool without any.

    r2 : its sum over samples and spaces is the pool's mean R2, its sum over
        samples each space's product-measure share of it.
    r : the same for the correlation, cov(y, its prediction) / (sd y, sd of the whole prediction).
    null : what the training mean leaves unexplained; 1 in sum.
    n : targets with a score in each pool.
    """

    names: tuple[str, ...]
    r2: Float[np.ndarray, "space pool sample"]
    r: Float[np.ndarray, "space pool sample"]
    null: Float[np.ndarray, "pool sample"]
    n: Shaped[np.ndarray, " pool"]


def explained(
    spaces: Mapping[str, Shaped[np.ndarray, "sample feature"]],
    Y: Shaped[np.ndarray, "sample target"],
    *,
    fold: Fold,
    inner: list[Fold],
    pools: Bool[np.ndarray, "pool target"],
    **options: Any,
) -> Explained:
    """Banded ridge from some feature spaces, and what it explains sample by sample.

    R2 = 1 - sum_t (y - p)^2 / sum_t y^2 = sum_t sum_j (2 y p_j - p_j p) / sum_t y^2,
    with p the sum of the spaces' predictions p_j and y less its training mean:
    a sum over samples, so that an interval is had from resampled blocks of it
    without keeping a prediction of any target.

    Parameters
    ----------
    fold, inner : one pair of training and test rows, and the pairs within its training rows.
    pools : which targets a mean is taken over. A constant target is in no mean.
    options : of `banded`.

    References
    ----------
    Dupré la Tour et al. (2022), NeuroImage 264, 119728 (product measure).
    """
    shape = len(spaces), len(pools), len(fold[1])
    r2, r, null, n = np.zeros(shape), np.zeros(shape), np.zeros(shape[1:]), np.zeros(len(pools), int)

    def add(_: int, columns: np.ndarray, y: np.ndarray, parts: np.ndarray) -> None:
        known = np.isfinite(y).all(axis=0)
        own, y, parts = pools[:, columns[known]].astype(float), y[:, known], parts[..., known]
        whole, size = parts.sum(axis=0), np.einsum("ij,ij->j", y, y)
        null[:] += own @ (y**2 / size).T
        n[:] += own.sum(axis=1).astype(int)
        agreed = _agreed(y, whole)
        for j, part in enumerate(parts):
            r2[j] += own @ (part * (2 * y - whole) / size).T
            r[j] += own @ ((part - part.mean(axis=0)) * agreed).T

    banded(spaces, Y, folds=[fold], inner=[inner], visit=add, **options)
    count = np.where(n > 0, n, np.nan)[:, None]
    return Explained(tuple(spaces), r2 / count, r / count, null / count, n)


def _agreed(y: np.ndarray, whole: np.ndarray) -> Float[np.ndarray, "sample target"]:
    """z(y) / (n sd(prediction)); 0 for a constant prediction, which agrees with nothing."""
    about = y - y.mean(axis=0)
    size_y, size_p = about.std(axis=0), whole.std(axis=0)
    scale = len(y) * size_y * size_p
    return about * np.divide(1, scale, out=np.zeros_like(scale), where=(size_p > FLAT * size_y) & (scale > 0))


def unions(names: tuple[str, ...]) -> Iterator[Names]:
    """Every group alone, every pair, and so on to all of them."""
    if not 2 <= len(names) <= MOST_GROUPS:
        raise ValueError(
            f"{len(names)} groups of features ({', '.join(names)}) cannot be partitioned: "
            f"give 2 to {MOST_GROUPS}; several controls can be one group"
        )
    for size in range(1, len(names) + 1):
        yield from map(frozenset, combinations(names, size))


def set_partition(r2: Mapping[Names, R2]) -> dict[Names, R2]:
    """Which part of the joint R2 goes with each set of groups: unique to one, or shared by exactly these.

    What a set S shares exclusively is the alternating sum over its subsets T of
    R2(all the others and T). The parts sum to the joint R2. A part can be
    negative, where groups explain together what neither does alone or where
    fitting costs more than it gains, and stays so: clipped parts would be
    positive in the mean over targets that hold nothing.

    Parameters
    ----------
    r2 : of every union of two or three groups (`unions`), numbers or arrays of one shape.

    References
    ----------
    de Heer et al. (2017), Journal of Neuroscience 37, 6539-6557.
    """
    every = max(r2, key=len)
    if missing := set(unions(tuple(sorted(every)))) - set(r2):
        raise ValueError(f"R2 of {sorted(map(sorted, missing))} is missing: a partition needs that of every union")
    return {own: _exclusive(own, every, r2) for own in r2}


def _exclusive(own: Names, every: Names, r2: Mapping[Names, R2]) -> R2:
    subsets = [frozenset(one) for size in range(len(own) + 1) for one in combinations(sorted(own), size)]
    # of no group at all nothing is explained
    return sum((-1) ** (len(one) + 1) * r2[(every - own) | one] for one in subsets if (every - own) | one)


def omega(model: R2, simple: R2, both: R2) -> R2:
    """Percentage of what a model explains that simple features account for.

    100 (1 - clip((R2 of both - R2 of simple) / R2 of the model, 0, 1)), with
    the R2 of both taken as at least that of the model. The metric is defined
    with these limits; `omega_unclipped` has none. A model that explains
    nothing leaves nothing to account for: 100.

    Parameters
    ----------
    model, simple, both : R2 of the model alone, of the simple features alone, and of both fitted together.

    References
    ----------
    Hadidi, Feghhi et al. (2025), "Illusions of alignment between large language models and brains".
    """
    model, simple, both = np.broadcast_arrays(*(np.asarray(v, float) for v in (model, simple, both)))
    adds = np.divide(np.maximum(both, model) - simple, model, out=np.zeros(model.shape), where=model > 0)
    return np.where(np.isnan(model + simple + both), np.nan, 100 * (1 - np.clip(adds, 0, 1)))


def omega_unclipped(model: R2, simple: R2, both: R2) -> R2:
    """100 (1 - (R2 of both - R2 of simple) / R2 of the model) as it comes out; NaN where the model explains nothing."""
    model, simple, both = np.broadcast_arrays(*(np.asarray(v, float) for v in (model, simple, both)))
    adds = np.divide(both - simple, model, out=np.full(model.shape, np.nan), where=model > 0)
    return 100 * (1 - adds)
