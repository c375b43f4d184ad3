"""What every measure of a shape refuses, and which samples it compares."""

import numpy as np
from jaxtyping import Bool

FLAT = 1e-12  # of the largest value; what rounding leaves of a constant column


def checked_pair(X: np.ndarray, Z: np.ndarray, fewest: int) -> tuple[np.ndarray, np.ndarray]:
    if len(X) != len(Z):
        raise ValueError(f"X has {len(X)} samples and Z has {len(Z)}; they must be the same samples in the same order")
    return checked(X, "X", fewest), checked(Z, "Z", fewest)


def checked(X: np.ndarray, name: str, fewest: int) -> np.ndarray:
    X = np.asarray(X, float)
    if X.ndim != 2 or len(X) < fewest or not X.shape[1]:
        raise ValueError(f"{name} is of shape {X.shape}; it must be (sample, feature) with at least {fewest} samples")
    check_finite(X, name)
    return X


def check_finite(X: np.ndarray, name: str) -> None:
    if not np.isfinite(X).all():
        raise ValueError(f"{name} has {(~np.isfinite(X)).sum()} missing or infinite values; leave those samples out")


def about_mean(X: np.ndarray) -> np.ndarray:
    """Less the mean over samples; a constant feature is 0, whatever rounding leaves of it."""
    found = X - X.mean(axis=0)
    return found * (np.abs(found).max(axis=0) > FLAT * np.abs(X).max(axis=0))


def compared(n: int, apart: int, run: np.ndarray | None) -> Bool[np.ndarray, "sample sample"]:
    """Which samples are compared: no sample with itself, none of one run that are up to `apart` away."""
    if apart < 0:
        raise ValueError(f"apart is {apart}; it must be 0 or more samples")
    run = np.zeros(n, int) if run is None else np.asarray(run)
    if len(run) != n:
        raise ValueError(f"{n} samples, {len(run)} labels of runs: there must be one for each sample")
    row = np.arange(n)
    near = (np.abs(row[:, None] - row) <= apart) & (run[:, None] == run)
    return ~(near | np.eye(n, dtype=bool))
