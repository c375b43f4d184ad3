"""One representation by how unlike its samples are."""

import numpy as np
from jaxtyping import Float, Int, Shaped

from pipeline.geometry.checks import FLAT, check_finite, compared


def rdm(
    X: Shaped[np.ndarray, "..."],
    *,
    distance: str = "correlation",
    apart: int = 0,
    run: Shaped[np.ndarray, " sample"] | None = None,
) -> Float[np.ndarray, " pair"]:
    """How unlike every two samples are: the pairs of `pairs(n, apart=, run=)`, in that order.

    Parameters
    ----------
    X : (sample, feature); for `crossnobis` (repeat, sample, feature).
    distance : `correlation` (1 - r over features), `euclidean` (squared, per
        feature), or `crossnobis`: squared, per feature, each factor of the
        product from another repeat, so that noise adds nothing on average and
        a pair that does not differ is negative as often as positive. Divide
        features by their noise before, for none is estimated here.
    apart, run : pairs of the same run up to `apart` samples away are left out.

    Raises
    ------
    ValueError : an unknown distance, a shape that it cannot take, missing
        values, and for `correlation` a sample that is the same in all features.

    References
    ----------
    Kriegeskorte et al. (2008), Front. Syst. Neurosci. 2, 4; Walther et al.
    (2016), NeuroImage 137, 188-200.
    """
    if distance not in DISTANCES:
        raise ValueError(f"distance {distance!r} is not known; known: {', '.join(map(repr, DISTANCES))}")
    X, n_axes = np.asarray(X, float), 3 if distance == "crossnobis" else 2
    if X.ndim != n_axes or (n_axes == 3 and len(X) < 2):
        wanted = "(repeat, sample, feature) with two repeats or more" if n_axes == 3 else "(sample, feature)"
        raise ValueError(f"X is of shape {X.shape}; distance {distance!r} takes {wanted}")
    check_finite(X, "X")
    one, other = pairs(X.shape[-2], apart=apart, run=run)
    return DISTANCES[distance](X)[one, other]


def pairs(
    n: int, *, apart: int = 0, run: Shaped[np.ndarray, " sample"] | None = None
) -> tuple[Int[np.ndarray, " pair"], Int[np.ndarray, " pair"]]:
    """Indices of the samples that are compared, each pair once, the earlier first: (0, 1), (0, 2), ..., (1, 2), ..."""
    one, other = np.nonzero(np.triu(compared(n, apart, run), 1))
    return one, other


def _correlation(X: np.ndarray) -> np.ndarray:
    deviation = X.std(axis=1)
    flat = np.flatnonzero(deviation <= FLAT * np.abs(X).max(axis=1))
    if flat.size:
        raise ValueError(
            f"{flat.size} samples are the same in all features, the first at {flat[:5].tolist()}; they correlate with "
            "none: leave them out, or choose distance 'euclidean'"
        )
    Z = (X - X.mean(axis=1, keepdims=True)) / deviation[:, None]
    return 1 - Z @ Z.T / X.shape[1]


def _euclidean(X: np.ndarray) -> np.ndarray:
    return _differences(X @ X.T) / X.shape[1]


def _crossnobis(X: np.ndarray) -> np.ndarray:
    """Mean over pairs of different repeats: that of all pairs of repeats less that of each with itself."""
    n_repeats, total = len(X), X.sum(axis=0)
    inner = total @ total.T - np.einsum("rif,rjf->ij", X, X)
    return _differences(inner) / (n_repeats * (n_repeats - 1) * X.shape[2])


def _differences(inner: np.ndarray) -> np.ndarray:
    own = np.diag(inner)
    return own[:, None] + own - 2 * inner


DISTANCES = {"correlation": _correlation, "euclidean": _euclidean, "crossnobis": _crossnobis}
