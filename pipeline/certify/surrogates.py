"""Responses in which there is nothing to be found, made from the study's own."""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Shaped

from pipeline import statistics


class Surrogates(NamedTuple):
    """Draws of one kind side by side, draw after draw; none, and the reason, where the kind cannot be made."""

    kind: str
    Y: Float[np.ndarray, "sample column"] | None
    reason: str = ""


def surrogates(
    Y: Shaped[np.ndarray, "sample target"],
    run: Shaped[np.ndarray, " sample"],
    *,
    kind: str,
    n: int,
    least: int,
    seed: int,
) -> Surrogates:
    """`n` draws of one kind of surrogate recording.

    "phases": each run with random phases. "rolled": each run rolled around
    itself. "reordered": the responses to other runs, each begun at another
    place. Responses to two stories share what the stories share: how they
    settle at the start, or the rhythm of trials. Laid on each other beginning
    by beginning, a model whose features know these would predict one from the
    other, and rightly so; rolled, beginnings no longer meet.

    Parameters
    ----------
    least : samples by which a response must at least move.
    """
    rng = np.random.default_rng([seed, list(KINDS).index(kind)])
    y = np.asarray(Y, np.float32)
    try:
        return Surrogates(kind, np.hstack([KINDS[kind](y, run, least, rng) for _ in range(n)]))
    except ValueError as error:
        return Surrogates(kind, None, str(error))


def _phases(Y: np.ndarray, run: np.ndarray, least: int, rng: np.random.Generator) -> np.ndarray:
    return statistics.phase_randomised(Y, run=run, rng=rng)


def _rolled(Y: np.ndarray, run: np.ndarray, least: int, rng: np.random.Generator) -> np.ndarray:
    return statistics.rolled(Y, run=run, least=least, rng=rng)


def _reordered(Y: np.ndarray, run: np.ndarray, least: int, rng: np.random.Generator) -> np.ndarray:
    return _rolled(statistics.reordered(Y, run=run, least=least, rng=rng), run, least, rng)


KINDS = {"phases": _phases, "rolled": _rolled, "reordered": _reordered}
