"""Trained, untrained, control and ceiling in one table, with honest errors."""

from pipeline.comparison.contrasts import COMPARISON_COLUMNS, Rank, rank_among
from pipeline.comparison.networks import NESTED, at_last_step, choose_layer
from pipeline.comparison.people import group
from pipeline.comparison.person import LAYER_COLUMNS, compare, pairs
from pipeline.comparison.settings import FEWEST_RUNS, FEWEST_SUBJECTS, SHORTEST_BLOCK, Comparison

__all__ = [
    "COMPARISON_COLUMNS",
    "FEWEST_RUNS",
    "FEWEST_SUBJECTS",
    "LAYER_COLUMNS",
    "NESTED",
    "SHORTEST_BLOCK",
    "Comparison",
    "Rank",
    "at_last_step",
    "choose_layer",
    "compare",
    "group",
    "pairs",
    "rank_among",
]
