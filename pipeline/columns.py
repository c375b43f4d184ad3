"""Columns of a design that add nothing: constant ones, and copies of others."""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float

_SAME = 1e-9  # relative; a copied feature gives the same numbers but for the order of sums


class Columns(NamedTuple):
    """How many columns a design has, how many of them are constant, and how many repeat an earlier one."""

    total: int
    constant: int
    repeated: int


def columns_of(X: Float[np.ndarray, "sample column"]) -> Columns:
    """Count the columns of a design whose columns are z-scored, so that a constant one is 0.

    A column repeats another where both are the same up to their sign. They
    are told apart by their products with two random vectors, which for
    different columns agree to nine digits by chance once in 10^18 pairs.
    """
    weights = np.random.default_rng(0).normal(size=(len(X), 2))
    constant = ~np.any(X, axis=0)
    marks = X.T[~constant] @ weights
    if len(marks) == 0:
        return Columns(X.shape[1], int(constant.sum()), 0)
    marks *= np.where(marks[:, :1] < 0, -1.0, 1.0)
    scale = np.sqrt(np.mean(marks**2))
    marks = marks[np.argsort(marks[:, 0], kind="stable")]
    repeated = (np.abs(np.diff(marks, axis=0)) <= _SAME * scale).all(axis=1)
    return Columns(X.shape[1], int(constant.sum()), int(repeated.sum()))
