"""What every estimate of a ceiling answers, and how its input is checked."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Shaped

Presentations = Shaped[np.ndarray, "repeat sample target"] | Sequence[Shaped[np.ndarray, "_ _"]]


class Ceiling(NamedTuple):
    """One number per target, each NaN where nothing can be known.

    value : the best correlation possible; negative where repeats (or people)
        agree less than chance (half of the targets that hold no signal), for
        clipping them would make a ceiling out of noise.
    low, high : 95 % interval of `value`.
    unit : what `value` limits: "r".
    valid : whether `low` is above 0; nothing may be divided by the others.
    explainable : the share of variance that is signal: the limit for R2,
        unclipped. `value` is its signed root.
    reason : why there is no interval (or nothing at all); empty where all
        could be estimated.
    """

    value: np.ndarray
    low: np.ndarray
    high: np.ndarray
    unit: str
    valid: np.ndarray
    explainable: np.ndarray
    reason: str = ""


def none(Y: Shaped[np.ndarray, "repeat sample target"]) -> Ceiling:
    """No ceiling: scores stand as they are, and nothing is called a share of what is possible."""
    unknown = np.full(Y.shape[2], np.nan)
    return Ceiling(unknown, unknown.copy(), unknown.copy(), "r", np.zeros(Y.shape[2], bool), unknown.copy())


def of_shares(explainable: np.ndarray, low: np.ndarray, high: np.ndarray, reason: str) -> Ceiling:
    """A ceiling of r from the share of variance that it explains, and both ends of that."""
    return Ceiling(
        signed_root(explainable), signed_root(low), signed_root(high), "r", low > 0, explainable, reason
    )  # fmt: skip


def of_correlations(value: np.ndarray, low: np.ndarray, high: np.ndarray, reason: str) -> Ceiling:
    """A ceiling of r that was estimated as a correlation."""
    return Ceiling(value, low, high, "r", low > 0, value * np.abs(value), reason)


def signed_root(share: np.ndarray) -> np.ndarray:
    return np.sign(share) * np.sqrt(np.abs(share))


def together(Y: Presentations, what: str) -> Shaped[np.ndarray, "repeat sample target"]:
    """All presentations (or people) in one array; a list of such that differ in shape is refused with the numbers.

    Cutting the longer ones would lay moments of the stimulus beside others.
    """
    shapes = [part.shape for part in Y]
    for axis, name in enumerate(("sample", "target")):
        sizes = [shape[axis] for shape in shapes]
        if len(set(sizes)) > 1:
            raise ValueError(
                f"the {len(Y)} {what}s have {', '.join(map(str, sizes))} {name}s; all must have the same ones: "
                f"leave out what is not in every {what}, or the {what} that lacks it"
            )
    return Y if isinstance(Y, np.ndarray) else np.stack(Y)


def unknown(Y: Shaped[np.ndarray, "repeat sample target"]) -> Bool[np.ndarray, " target"]:
    """Targets that are incomplete, or constant (up to rounding) in every repeat."""
    return still(Y).all(axis=0) | ~np.isfinite(Y).all(axis=(0, 1))


def still(Y: Shaped[np.ndarray, "repeat sample target"]) -> Bool[np.ndarray, "repeat target"]:
    """What does not vary, up to the rounding of its own magnitude and type."""
    eps = np.finfo(Y.dtype if Y.dtype.kind == "f" else float).eps
    return np.ptp(Y, axis=1) <= 8 * eps * np.abs(Y).max(axis=1, initial=0)
