"""An estimate of the ceiling with what it limits, or the reason why there is none."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from jaxtyping import Integer, Shaped

from pipeline.ceilings import CEILINGS, Ceiling

# values of some targets (columns) from some samples (rows): what is resampled for intervals of a region's mean
Again = Callable[[np.ndarray, np.ndarray], np.ndarray]


class Estimate(NamedTuple):
    """One estimator on one person's recording.

    `limits` says in words what it is a ceiling of. `reason` says what could
    not be had or was left out, and may stand beside values. `normalises`:
    scores may be divided by it. `again` makes the estimate anew from some of
    the samples, whose runs are `run`; None where it cannot be had. Blocks of
    `block` samples are nearly independent.
    """

    ceiling: Ceiling
    limits: str
    reason: str = ""
    runs: tuple[str, ...] = ()
    normalises: bool = True
    again: Again | None = None
    run: Shaped[np.ndarray, " sample"] | None = None
    block: int = 1


def nothing(n_targets: int, limits: str, reason: str, runs: tuple[str, ...] = ()) -> Estimate:
    """No ceiling, and why."""
    unknown = CEILINGS["none"](np.empty((1, 1, n_targets)))
    return Estimate(unknown, limits, reason, runs, normalises=False)


def scattered(found: Ceiling, columns: Integer[np.ndarray, " known"], n_targets: int) -> Ceiling:
    """The ceilings of some targets among all: unknown and not valid elsewhere."""

    def among(part: np.ndarray) -> np.ndarray:
        whole = np.full(n_targets, False if part.dtype == bool else np.nan)
        whole[columns] = part
        return whole

    names = ("value", "low", "high", "valid", "explainable")
    return found._replace(**{name: among(np.asarray(getattr(found, name))) for name in names})
