"""Two representations by who is near whom."""

import numpy as np
from jaxtyping import Bool, Shaped

from pipeline.geometry.checks import checked_pair, compared


def mutual_knn(
    X: Shaped[np.ndarray, "sample feature"],
    Z: Shaped[np.ndarray, "_ other"],
    k: int = 10,
    *,
    apart: int = 0,
    run: Shaped[np.ndarray, " sample"] | None = None,
) -> float:
    """Share of the k nearest neighbours of a sample that two representations have in common, mean over samples.

    Near is what points in the same direction from the origin (cosine). Of
    equally near samples the earlier ones are taken. `mutual_knn_chance` says
    what unrelated representations score.

    Parameters
    ----------
    k : neighbours of each sample.
    apart, run : samples of the same run up to `apart` samples away are no
        neighbours; all samples are one run where `run` is None.

    Raises
    ------
    ValueError : as `cka`; a sample that is 0, which has no direction; fewer
        than k samples to choose from.

    References
    ----------
    Huh et al. (2024), ICML: the platonic representation hypothesis.
    """
    X, Z = checked_pair(X, Z, fewest=2)
    allowed = compared(len(X), apart, run)
    _check_k(k, allowed)
    near = [_nearest(A, k, allowed) for A in (X, Z)]
    return float((near[0] & near[1]).sum(axis=1).mean() / k)


def mutual_knn_chance(
    n: int, k: int = 10, *, apart: int = 0, run: Shaped[np.ndarray, " sample"] | None = None
) -> float:
    """What `mutual_knn` of unrelated representations of n samples is on average: k / (n - 1), with `apart` a little more."""
    allowed = compared(n, apart, run)
    _check_k(k, allowed)
    return float((k / allowed.sum(axis=1)).mean())


def _nearest(X: np.ndarray, k: int, allowed: np.ndarray) -> Bool[np.ndarray, "sample sample"]:
    size = np.linalg.norm(X, axis=1)
    if not size.all():
        raise ValueError(f"{(size == 0).sum()} samples are 0 in all features and have no direction; leave them out")
    unit = X / size[:, None]
    order = np.argsort(np.where(allowed, -(unit @ unit.T), np.inf), axis=1, kind="stable")
    near = np.zeros(allowed.shape, bool)
    np.put_along_axis(near, order[:, :k], True, axis=1)
    return near


def _check_k(k: int, allowed: np.ndarray) -> None:
    fewest = int(allowed.sum(axis=1).min())
    if not 1 <= k <= fewest:
        raise ValueError(f"k is {k}; of {len(allowed)} samples one has only {fewest} that may be its neighbours")
