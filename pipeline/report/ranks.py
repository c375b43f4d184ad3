"""Where a score stands among the seeds of a twin, in words: a distribution is more than its mean."""

from collections.abc import Mapping

import pandas as pd

from pipeline.report.kinds import is_twin, kind_of
from pipeline.report.rows import ALL
from pipeline.report.words import MISSING, count, is_number, number, plural


def rank_sentences(comparison: pd.DataFrame, weights: Mapping[str, str]) -> list[str]:
    """One sentence for each trained model against each family of twins, over all targets; `weights` by model."""
    whole = comparison[comparison["roi"] == ALL]
    against = [
        row for _, row in whole.iterrows() if weights.get(row["a"]) == "trained" and is_twin(_kind(row, weights))
    ]
    return [_sentence(row, _kind(row, weights)) for row in against if is_number(row["percentile"])]


def rank_columns(comparison: pd.DataFrame) -> list[str]:
    """Columns that a table of comparisons needs to tell the ranks; none where no model has seeds."""
    if not comparison["n_seeds"].notna().any():
        return []
    people = ["subjects above all seeds"] if comparison["n_above_all"].notna().any() else []
    return ["seeds of b below a", "percentile", "range of b's seeds", *people]


def rank_cells(row: pd.Series, columns: list[str]) -> list[str]:
    """The cells of these columns; empty for a model without seeds."""
    if not columns or not is_number(row["n_seeds"]):
        return [""] * len(columns)
    ends = f"{number(row['seed_low'])} to {number(row['seed_high'])}" if is_number(row["seed_low"]) else "one seed"
    cells = [_below(row), number(row["percentile"], 0), ends]
    return [*cells, f"{count(row['n_above_all'])} of {count(row['n_units'])}"][: len(columns)]


def _kind(row: pd.Series, weights: Mapping[str, str]) -> str:
    return weights.get(row["b"], "")


def _below(row: pd.Series) -> str:
    if not is_number(row["percentile"]):
        return MISSING
    return f"{round(row['percentile'] * row['n_seeds'] / 100)} of {count(row['n_seeds'])}"


def _sentence(row: pd.Series, weights: str) -> str:
    kind, n = kind_of(weights), int(row["n_seeds"])
    twins = f"{kind.one if n == 1 else kind.many} {row['b']}"
    finer = f"{plural(n, 'seed')} can tell no finer than {count(100 / n)}"
    told = f"{_below(row)} {twins} (percentile {number(row['percentile'], 0)}; {finer})"
    if not is_number(row["n_above_all"]):
        return f"{row['a']} lies above {told}."
    people = f"{count(row['n_above_all'])} of {count(row['n_units'])} subjects"
    return f"The mean of {row['a']} over subjects lies above {told}, and {row['a']} above all of them in {people}."
