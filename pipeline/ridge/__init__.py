"""Many targets, one alpha each, chosen inside the training data."""

from typing import Any

from pipeline.ridge.backends import PRECISIONS
from pipeline.ridge.banded import banded, unique
from pipeline.ridge.crossval import Scores, choose_alpha, cross_validate, each_layer
from pipeline.ridge.heldout import held_out

__all__ = [
    "PRECISIONS",
    "RidgeEncoder",
    "Scores",
    "banded",
    "choose_alpha",
    "cross_validate",
    "each_layer",
    "held_out",
    "unique",
]


def __getattr__(name: str) -> Any:
    if name == "RidgeEncoder":  # its base classes cost a second to import, which no fit needs
        from pipeline.ridge.encoder import RidgeEncoder

        return RidgeEncoder
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
