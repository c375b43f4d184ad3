"""Trained, untrained, control and ceiling in one table, with honest errors."""

from pipeline.comparison.contrasts import COMPARISON_COLUMNS, Rank, rank_among
from pipeline.comparison.networks import NESTED, at_last_step, choose_layer
from pipeline.comparison.people import group
from pipeline.comparison.person import LAYER_COLUMNS, Compared, compare, compared, pairs
from pipeline.comparison.settings import (
    CERTIFYING,
    ENOUGH_SUBJECTS,
    FEWEST_RUNS,
    FEWEST_SUBJECTS,
    LEVEL,
    SHORTEST_BLOCK,
    Comparison,
)

__all__ = [
    "CERTIFYING",
    "COMPARISON_COLUMNS",
    "ENOUGH_SUBJECTS",
    "FEWEST_RUNS",
    "FEWEST_SUBJECTS",
    "LAYER_COLUMNS",
    "LEVEL",
    "NESTED",
    "SHORTEST_BLOCK",
    "Compared",
    "Comparison",
    "Rank",
    "at_last_step",
    "choose_layer",
    "compare",
    "compared",
    "group",
    "pairs",
    "rank_among",
]
