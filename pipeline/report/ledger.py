"""The ledger of ceilings on a page: what each limits, how high it lies, in how many targets, and why it is not there."""

from collections.abc import Sequence
from typing import NamedTuple

import pandas as pd

from pipeline.report import drawn
from pipeline.report.drawn import Drawn
from pipeline.report.figures import BLUE, GREY, LEAKY, Figure, new_figure, write
from pipeline.report.rows import ALL, tidied
from pipeline.report.tables import Table
from pipeline.report.words import count, interval, is_number, number, plural

_TEXT = ("roi", "kind", "unit", "limits", "divides", "consistency", "reason")
_NUMBERS = ("value", "low", "high", "n_valid", "n_targets", "n_estimated", "median", "mean_all")
_MOST_REGIONS = 12


class LedgerView(NamedTuple):
    """The whole recording first, then its regions; a picture where two estimators or more have a value."""

    whole: Table
    regions: Table
    regions_left: int
    picture: Drawn | None
    sentences: Sequence[str]


def ledger_view(ledger: pd.DataFrame, who: str, *, leaky: bool = False) -> LedgerView | None:
    """What a page shows of `ceilings.tsv`; None where there is no table.

    Parameters
    ----------
    who : whose, which recording, and how many targets.
    """
    if ledger.empty:
        return None
    rows = tidied(ledger, _TEXT, _NUMBERS)
    rows = rows[rows["kind"] != "none"]
    whole, rest = rows[rows["roi"] == ALL], rows[rows["roi"] != ALL]
    shown = list(dict.fromkeys(rest["roi"]))
    some = rest[rest["roi"].isin(shown[:_MOST_REGIONS])]
    return LedgerView(
        ledger_table(whole, f"Ceilings side by side, {who}", regions=False),
        ledger_table(some, f"Ceilings of regions, {who}", regions=True),
        max(len(shown) - _MOST_REGIONS, 0),
        _drawn(whole, who, leaky) if (whole["n_valid"] > 0).sum() > 1 else None,
        sentences(whole),
    )


def ledger_table(rows: pd.DataFrame, caption: str, *, regions: bool) -> Table:
    """One row per estimator (and region), those that could not be had too."""
    columns = [
        "ceiling",
        *(["region"] if regions else []),
        "mean where valid [interval]",
        "median",
        "valid in",
        "mean of all",
    ]
    columns += ["divides scores", "against the first"]
    first = 2 if regions else 1
    return Table(
        caption, columns, [_cells(row, regions) for _, row in rows.iterrows()], frozenset(range(first, first + 4))
    )


def sentences(rows: pd.DataFrame) -> list[str]:
    """What each estimator limits, and why it is not there or what was left out of it."""
    return [
        f"{row.kind}: {row.limits}.{f' {_capital(row.reason)}.' if row.reason else ''}" for row in rows.itertuples()
    ]


def ledger_figure(rows: pd.DataFrame) -> Figure:
    """A dot and an interval for each estimator, mean over its valid targets; a ring for the mean over all."""
    figure = new_figure(0.7 + 0.36 * len(rows))
    axes = figure.add_axes((0.2, 0.5 / (0.7 + 0.36 * len(rows)), 0.66, 0.36 * len(rows) / (0.7 + 0.36 * len(rows))))
    places = [float(i) for i in range(len(rows))][::-1]
    for place, (_, row) in zip(places, rows.iterrows(), strict=True):
        axes.plot([row["low"], row["high"]], [place, place], color=BLUE, lw=2, solid_capstyle="butt")
        axes.plot(row["value"], place, "o", color=BLUE, ms=6)
        axes.plot(row["mean_all"], place, "o", mfc="white", mec=GREY, ms=5)
        write(
            axes,
            1.02,
            place,
            f"{count(row['n_valid'])} of {count(row['n_targets'])}",
            transform=axes.get_yaxis_transform(),
            va="center",
        )
    axes.axvline(0, color=GREY, lw=0.8)
    axes.set_yticks(places, list(rows["kind"]), parse_math=False)
    axes.set_ylim(-0.6, len(rows) - 0.4)
    axes.set_xlabel("ceiling of r")
    return figure


def in_words(rows: pd.DataFrame) -> str:
    """The picture for those who do not see it."""
    each = [
        f"{row.kind} {number(row.value)} {interval(row.low, row.high)} in {count(row.n_valid)} of {plural(int(row.n_targets), 'target')}"
        for row in rows.itertuples()
        if row.n_valid > 0
    ]
    return f"Ceilings of r over valid targets: {'; '.join(each)}."


def _drawn(whole: pd.DataFrame, who: str, leaky: bool) -> Drawn:
    has = whole[whole["n_estimated"] > 0]
    told = in_words(has)
    made = drawn.picture(
        lambda: ledger_figure(has), alt=f"{LEAKY}. {told}" if leaky else told,
        caption=f"Estimates of the ceiling: {who}. Dot and bar: mean over the targets in which it is valid (how many of all: right), "
        "95 % interval over blocks of samples. Ring: mean over all targets, valid or not. They limit different things: see the table.",
        leaky=leaky,
    )  # fmt: skip
    return Drawn(made, Table("", (), ()))


def _cells(row: pd.Series, regions: bool) -> list[str]:
    value = number(row["value"]) + (f" {interval(row['low'], row['high'])}" if is_number(row["value"]) else "")
    valid = f"{count(row['n_valid'])} of {count(row['n_targets'])}"
    cells = [
        row["kind"],
        *([row["roi"]] if regions else []),
        value,
        number(row["median"]),
        valid,
        number(row["mean_all"]),
    ]
    return [*cells, row["divides"], row["consistency"]]


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]
