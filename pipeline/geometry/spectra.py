"""One representation by how many directions it fills."""

import numpy as np
from jaxtyping import Float, Int, Shaped

from pipeline.geometry.checks import FLAT, about_mean, checked


def spectrum(X: Shaped[np.ndarray, "sample feature"], *, centred: bool = True) -> Float[np.ndarray, " direction"]:
    """Singular values, the largest first: how much of a representation lies along each of its directions.

    Parameters
    ----------
    centred : about the mean over samples, which tells no two samples apart
        and in networks is often the largest direction; False for a matrix of weights.
    """
    X = checked(X, "X", fewest=1)
    return np.linalg.svd(about_mean(X) if centred else X, compute_uv=False)


def effective_rank(X: Shaped[np.ndarray, "sample feature"], *, centred: bool = True) -> float:
    """Along how many directions a representation is spread: exp of the entropy of its shares of variance.

    k where k directions hold the same variance; NaN for a constant representation.

    References
    ----------
    Roy & Vetterli (2007), EUSIPCO, there of singular values; here of their squares, which are shares of variance.
    """
    share = _shares(X, centred)
    return float(np.exp(-(share * np.log(share)).sum())) if len(share) else float("nan")


def participation_ratio(X: Shaped[np.ndarray, "sample feature"], *, centred: bool = True) -> float:
    """As `effective_rank`, by (sum of variances)^2 / sum of squared variances: led by the largest directions."""
    share = _shares(X, centred)
    return float(1 / (share**2).sum()) if len(share) else float("nan")


def truncate(
    X: Shaped[np.ndarray, "sample feature"], rank: int, *, centred: bool = False
) -> Float[np.ndarray, "sample feature"]:
    """The matrix of that rank which is nearest to X (Eckart & Young 1936).

    Parameters
    ----------
    rank : directions that are kept, 1 or more; from the rank of X on, X itself.
    centred : keep the mean over samples as it is and cut what lies around it.
    """
    X = checked(X, "X", fewest=1)
    if rank < 1:
        raise ValueError(f"rank is {rank}; at least one direction must be kept")
    mean = X.mean(axis=0) if centred else np.zeros(X.shape[1])
    left, values, right = np.linalg.svd(X - mean, full_matrices=False)
    return (left[:, :rank] * values[:rank]) @ right[:rank] + mean


def projected(
    X: Shaped[np.ndarray, "sample feature"], rank: int, *, train: Int[np.ndarray, " row"] | None = None
) -> Float[np.ndarray, "sample component"]:
    """Coordinates of every sample along the first principal axes of the training samples.

    Representations of as many components can be compared without the one with
    more features winning, or losing, by their number alone.

    Parameters
    ----------
    rank : components; no more than the training samples less one, or the features.
    train : rows from which mean and axes are learnt; all by default.

    Returns
    -------
    Each axis with the sign that makes its largest loading positive.
    """
    X = checked(X, "X", fewest=2)
    own = X if train is None else X[train]
    most = min(len(own) - 1, X.shape[1])
    if not 1 <= rank <= most:
        raise ValueError(f"rank is {rank}; {len(own)} samples of {X.shape[1]} features have 1 to {most} components")
    axes = np.linalg.svd(own - own.mean(axis=0), full_matrices=False)[2][:rank]
    largest = np.take_along_axis(axes, np.abs(axes).argmax(axis=1)[:, None], axis=1)
    return (X - own.mean(axis=0)) @ (axes * np.sign(largest)).T


def _shares(X: np.ndarray, centred: bool) -> Float[np.ndarray, " direction"]:
    """Shares of variance that are more than rounding; none for a constant matrix."""
    values = spectrum(X, centred=centred)
    values = values[values > FLAT * values[0]]
    return values**2 / (values**2).sum() if len(values) else values
