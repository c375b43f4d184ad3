"""Many targets, one alpha each, chosen inside the training data."""

from pipeline.ridge.crossval import PRECISIONS, Scores, cross_validate

__all__ = ["PRECISIONS", "Scores", "cross_validate"]
