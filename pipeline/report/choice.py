"""What the choice of a layer cost, and what is missing to the ceiling, in a table and in words."""

import pandas as pd

from pipeline.report.kinds import named
from pipeline.report.rows import ALL, entries, headline, of, regions
from pipeline.report.tables import Table
from pipeline.report.words import interval, is_number, number, percent


def choice_table(layers: pd.DataFrame, caption: str) -> Table:
    """One row per region and model that had several layers to choose from; of seeds the mean."""
    columns = ("region", "model", "weights", "r at the layer chosen", "r of the best layer", "optimism of the best")
    columns += ("folds that agree (%)", "relative depth")
    pairs = [(roi, entry) for roi in regions(layers) for entry in entries(layers)]
    found = [(roi, entry, headline(of(layers, entry, roi))) for roi, entry in pairs]
    rows = [
        [roi, entry[0], named(entry[1], row["step"]), number(row["r"]), number(row["r"] + row["optimism"]),
         number(row["optimism"]), percent(row["stability"]), number(row["relative_depth"], 2)]
        for roi, entry, row in found if row is not None and is_number(row["optimism"])
    ]  # fmt: skip
    return Table(caption, columns, rows, frozenset(range(3, len(columns))))


def gap_sentences(layers: pd.DataFrame) -> list[str]:
    """Of each trained model over all targets: does it reach its ceiling?"""
    rows = [(entry[0], headline(of(layers, entry, ALL))) for entry in entries(layers, "trained")]
    return [_gap(model, row) for model, row in rows if row is not None and is_number(row["gap"])]


def _gap(model: str, row: pd.Series) -> str:
    told, margin = f"{number(row['gap'])} {interval(row['gap_low'], row['gap_high'])}", number(row["margin"])
    top = f"the ceiling ({row['ceiling_kind']})" if row["ceiling_kind"] else "the ceiling"
    if row["reached"] == "yes":
        return f"{model} reaches {top}: what is missing to it, {told}, is less than {margin}."
    if row["reached"] == "no":
        return f"{model} falls short of {top} by {told}, more than {margin}."
    if not is_number(row["gap_low"]):
        return f"{model} lies {number(row['gap'])} below {top}; without an interval it cannot be told whether it reaches it."
    return f"Whether {model} reaches {top} cannot be told: {told} is missing to it, and {margin} would not matter."
