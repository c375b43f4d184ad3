"""How well a prediction matches, one number per target: unclipped, never absolute."""

import numpy as np
from jaxtyping import Bool, Float, Shaped


def flat(Y: Shaped[np.ndarray, "sample target"]) -> Bool[np.ndarray, " target"]:
    """Which targets are constant, up to the rounding of their own magnitude and type."""
    Y = np.asarray(Y)
    eps = np.finfo(Y.dtype if Y.dtype.kind == "f" else np.float64).eps
    return np.ptp(Y, axis=0) <= 8 * eps * np.abs(Y).max(axis=0, initial=0)


def pearson(
    Y: Shaped[np.ndarray, "sample target"], Y_hat: Shaped[np.ndarray, "sample target"]
) -> Float[np.ndarray, " target"]:
    """Correlation over samples.

    A constant target has no score: NaN. A constant prediction explains
    nothing: 0. The mean over targets then neither dilutes nor breaks.
    """
    _check(Y, Y_hat)
    y, p = _centred(Y), _centred(Y_hat)
    scale = np.sqrt((y**2).sum(axis=0) * (p**2).sum(axis=0))
    r = np.divide((y * p).sum(axis=0), scale, out=np.zeros(y.shape[1]), where=scale > 0)
    return np.where(flat(Y), np.nan, np.where(flat(Y_hat), 0.0, r))


def r2(
    Y: Shaped[np.ndarray, "sample target"],
    Y_hat: Shaped[np.ndarray, "sample target"],
    Y_train_mean: Shaped[np.ndarray, " target"],
) -> Float[np.ndarray, " target"]:
    """Out-of-sample R2: one minus squared error over that of the TRAINING mean.

    The test mean is not known when one predicts; taking it as the null would
    flatter nothing and punish honest predictions. NaN for a constant target.
    """
    _check(Y, Y_hat)
    Y = np.asarray(Y, float)
    error = ((Y - Y_hat) ** 2).sum(axis=0)
    null = ((Y - Y_train_mean) ** 2).sum(axis=0)
    score = 1 - np.divide(error, null, out=np.full(len(null), np.nan), where=null > 0)
    return np.where(flat(Y), np.nan, score)


def _centred(Y: np.ndarray) -> np.ndarray:
    Y = np.asarray(Y, float)
    return Y - Y.mean(axis=0)


def _check(Y: np.ndarray, Y_hat: np.ndarray) -> None:
    if Y.shape != Y_hat.shape:
        raise ValueError(
            f"responses are {Y.shape} and predictions {Y_hat.shape}; they must have the same samples and targets"
        )


METRICS = {"r": pearson, "r2": r2}
