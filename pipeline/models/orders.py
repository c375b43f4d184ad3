"""Draws that are the same on every machine: words in another order, and random axes."""

import hashlib

import numpy as np
from jaxtyping import Float, Int

from pipeline.models.base import Words


def shuffled_words(
    table: Words, stretch: Int[np.ndarray, " word"], seed: int, run: str
) -> tuple[Words, Int[np.ndarray, " word"]]:
    """The words of every stretch in random order, one space between them.

    Returns
    -------
    The table, and for each word of the original its row there: the same
    words, each with another context.
    """
    order = np.lexsort((_stream("order", seed, run).random(len(table)), stretch))
    shuffled = table.iloc[order].reset_index(drop=True)
    # white space belongs to its neighbours, which are others now
    return shuffled.drop(columns="whitespace", errors="ignore"), np.argsort(order)


def projection(width: int, columns: int) -> Float[np.ndarray, "feature column"]:
    """Random orthonormal axes, for comparing networks of different width at one number of features."""
    axes, signs = np.linalg.qr(_stream("projection", width, columns).standard_normal((width, columns)))
    return (axes * np.sign(np.diag(signs))).astype(np.float32)


def _stream(*names: object) -> np.random.Generator:
    """A stream of its own for every name."""
    digest = hashlib.sha256(" ".join(map(str, names)).encode()).digest()
    return np.random.default_rng(int.from_bytes(digest[:16], "big"))
