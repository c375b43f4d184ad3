"""What a model adds to controls, on a page: a sentence, a picture of the parts of each region, and the numbers."""

from collections.abc import Sequence
from typing import NamedTuple

import pandas as pd

from pipeline.report import drawn
from pipeline.report.drawn import Drawn
from pipeline.report.figures import BLUE, LEAKY, ORANGE, PURPLE, VERMILLION
from pipeline.report.partition_figure import Part, partition_figure
from pipeline.report.rows import ALL, tidied
from pipeline.report.tables import Table
from pipeline.report.words import count, is_number, number, plural

_TEXT = ("model", "roi", "part", "unit")
_NUMBERS = ("value", "low", "high", "null", "p", "n_shifts", "n_targets", "of_targets", "n_blocks", "n_subjects")
_MOST_REGIONS = 6  # in the picture; the tables hold all
_OTHERS = (ORANGE, VERMILLION)  # of the groups of controls


class PartitionView(NamedTuple):
    """The parts of one recording, ready to print."""

    sentences: Sequence[str]
    picture: Drawn | None
    parts: Table
    omegas: Table
    regions_left: int


def partition_view(table: pd.DataFrame, where: str, *, unit: str, leaky: bool = False) -> PartitionView | None:
    """What a page shows of `partition.tsv` or `group_partition.tsv`; None where there is no table.

    Parameters
    ----------
    where : whose, and which recording.
    unit : what intervals are over, in words; empty where none was inferred.
    """
    if table.empty:
        return None
    rows = tidied(table, _TEXT, _NUMBERS)
    rows = rows[rows["value"].notna()]
    regions = list(dict.fromkeys(rows["roi"]))
    who = f"{where}{_counted(rows)}"
    return PartitionView(
        [f"{LEAKY}. {told}" if leaky else told for told in sentences(rows)],
        _drawn(rows, regions[:_MOST_REGIONS], who, unit, leaky) if regions else None,
        parts_table(rows, f"Parts of what the model and the controls explain, {who}"),
        omega_table(rows, f"How much of what the model explains simple features account for{_averaged(rows)}, {who}"),
        max(len(regions) - _MOST_REGIONS, 0),
    )


def sentences(rows: pd.DataFrame) -> list[str]:
    """Of the whole: what is accounted for, what the model adds beyond it, and what rolled features add."""
    whole = rows[rows["roi"] == ALL]
    if whole.empty:
        return ["No target has a score, so nothing was taken apart."]
    model, controls = str(whole["model"].iloc[0]), named_controls(whole)
    found = [_accounted(whole, model, name, controls) for name in _groups(whole)[1:]]
    unique = _row(whole, f"unique:{model}", "R2")
    by_chance = (
        f"; its features rolled around their runs add {_r2(unique['null'])}" if is_number(unique["null"]) else ""
    )
    adds = f"Beyond the controls {model} adds R² = {_with(unique, _r2)}{by_chance}{_p(unique['p'])}."
    return [*found, adds]


def _accounted(whole: pd.DataFrame, model: str, group: str, controls: dict[str, str]) -> str:
    alone, share = _row(whole, f"alone:{model}", "R2"), _row(whole, f"omega:{group}", "%")
    who, own = controls[group], _row(whole, f"alone:{group}", "R2")
    many = " and " in who
    told = f"alone {'they explain' if many else 'it explains'} R² = {_with(own, _r2)}"
    if alone["value"] <= 0:
        return (
            f"In the whole recording {model} alone explains nothing (R² = {_with(alone, _r2)}), so there is nothing that {who} could "
            f"account for; {told}."
        )
    return (
        f"In the whole recording {who} account{'' if many else 's'} for {_with(share, _percent)} % of what {model} explains "
        f"(Ω; R² = {_with(alone, _r2)}); {told}."
    )


def named_controls(whole: pd.DataFrame) -> dict[str, str]:
    """Group -> its controls in words where the table tells them, else its name."""
    names = _groups(whole)
    model, groups = (names[0], names[1:]) if names else ("", [])
    bands = dict.fromkeys(part.removeprefix("product:") for part in whole["part"] if part.startswith("product:"))
    own = [band for band in bands if band != model]
    together = ", ".join(own[:-1]) + f" and {own[-1]}" if len(own) > 1 else "".join(own)
    return {group: together if len(groups) == 1 else group for group in groups}


def parts_table(rows: pd.DataFrame, caption: str) -> Table:
    """One row per region and part."""
    cells = [
        [roi, one.name, _ends(one.value, one.low, one.high, _r2), _r2(one.null) if is_number(one.null) else "",
         number(one.p) if is_number(one.p) else "", _ends(*one.r, number) if is_number(one.r[0]) else "", *_of(here)]
        for roi, here in rows.groupby("roi", sort=False)
        for one in [*fits(here), *parts(here), *shares(here)]
    ]  # fmt: skip
    columns = ["region", "part", "R² [interval]", "by chance", "p", "r [interval]", "targets"]
    keep = [i for i, name in enumerate(columns) if name not in ("by chance", "p") or any(cell[i] for cell in cells)]
    numeric = frozenset(keep.index(i) for i in keep if i > 1)
    return Table(caption, [columns[i] for i in keep], [[cell[i] for i in keep] for cell in cells], numeric)


def omega_table(rows: pd.DataFrame, caption: str) -> Table:
    """One row per region and group of controls."""
    controls = named_controls(rows)
    cells = [
        [roi, controls.get(name, name.replace("+", " and ")), _ends(row["value"], row["low"], row["high"], _percent),
         _percent(_row(here, f"omega_unclipped:{name}", "%")["value"])]
        for roi, here in rows.groupby("roi", sort=False)
        for name, row in ((r["part"].removeprefix("omega:"), r) for _, r in here.iterrows() if r["part"].startswith("omega:"))
    ]  # fmt: skip
    return Table(
        caption, ("region", "accounted for by", "Ω (%) [interval]", "without its limits (%)"), cells, frozenset({2, 3})
    )


def fits(here: pd.DataFrame) -> list[Part]:
    """What each fit explains: of groups and controls alone, of pairs, of all."""
    names = [p for p in dict.fromkeys(here["part"]) if p.startswith(("alone:", "union:"))]
    controls = named_controls(here)
    words = {p: p.split(":")[1] for p in names}
    words = {p: controls.get(name, name).replace("+", ", ") for p, name in words.items()}
    return [_part(here, p, f"{words[p]} {'alone' if p.startswith('alone') else 'together'}", p) for p in names] + [
        _part(here, "joint", "all together", "joint")
    ]


def parts(here: pd.DataFrame) -> list[Part]:
    """The parts that sum to what all together explain."""
    names = [p for p in here["part"] if p.startswith(("unique:", "shared:"))]
    controls = named_controls(here)
    return [_part(here, p, _in_words(p, controls)) for p in names]


def shares(here: pd.DataFrame) -> list[Part]:
    """What goes with each prediction of the joint fit; these too sum to what it explains."""
    names = [p for p in here["part"] if p.startswith("product:")]
    return [_part(here, p, f"share of {p[8:]} (product measure)", f"r_share:{p[8:]}") for p in names]


def colours(rows: pd.DataFrame) -> dict[str, str]:
    """The model's own blue, each group's own, and what is shared purple."""
    model, *groups = _groups(rows)
    controls = named_controls(rows)
    own = {f"unique:{name}": c for name, c in zip((model, *groups), (BLUE, *_OTHERS), strict=False)}
    return {_in_words(p, controls): own.get(p, PURPLE) for p in rows["part"] if p.startswith(("unique:", "shared:"))}


def _drawn(rows: pd.DataFrame, regions: Sequence[str], who: str, unit: str, leaky: bool) -> Drawn:
    over = f"Lines: 95 % interval over {unit}." if unit else "Without intervals."
    caption = f"What the model adds, {who}. Unique and shared parts of R² sum to what all together explain. {over}"
    alt = " ".join(_panel_in_words(roi, rows[rows["roi"] == roi]) for roi in regions)
    made = drawn.picture(
        lambda: partition_figure({roi: parts(rows[rows["roi"] == roi]) for roi in regions}, colours(rows)),
        alt=f"{LEAKY}. {alt}" if leaky else alt,
        caption=caption,
        leaky=leaky,
    )
    return Drawn(made, Table("", (), ()))


def _panel_in_words(roi: str, here: pd.DataFrame) -> str:
    told = [
        f"{one.name} {_ends(one.value, one.low, one.high, _r2)}"
        + (f", by chance {_r2(one.null)}" if is_number(one.null) else "")
        for one in parts(here)
    ]
    return f"Region {roi}, R²: {'; '.join(told)}."


def _in_words(part: str, controls: dict[str, str]) -> str:
    kind, names = part.split(":")
    told = [controls.get(name, name) for name in names.split("+")]
    return f"shared ({' | '.join(told)})" if kind == "shared" else f"unique to {told[0]}"


def _groups(rows: pd.DataFrame) -> list[str]:
    """Names of the groups, the model's first."""
    return list(dict.fromkeys(p.removeprefix("unique:") for p in rows["part"] if p.startswith("unique:")))


def _part(here: pd.DataFrame, part: str, words: str, r: str = "") -> Part:
    row, of_r = _row(here, part, "R2"), _row(here, r, "r")
    ends = row["value"], row["low"], row["high"], row["null"], row["p"]
    return Part(words, *ends, (of_r["value"], of_r["low"], of_r["high"]))


def _row(here: pd.DataFrame, part: str, unit: str) -> pd.Series:
    """The one row; missing numbers where there is none."""
    found = here[(here["part"] == part) & (here["unit"] == unit)]
    return found.iloc[0] if len(found) else pd.Series(dict.fromkeys(_NUMBERS, float("nan")))


def _of(here: pd.DataFrame) -> list[str]:
    first = here.iloc[0]
    return [
        f"{count(first['n_targets'])} of {count(first['of_targets'])}"
        if is_number(first["of_targets"])
        else count(first["n_targets"])
    ]


def _counted(rows: pd.DataFrame) -> str:
    """How many targets and blocks of samples, or how many people."""
    whole = rows[rows["roi"] == ALL]
    if whole.empty:
        return ""
    first = whole.iloc[0]
    if is_number(first["n_subjects"]):
        return f", N = {plural(int(first['n_subjects']), 'subject')}"
    targets = f"{count(first['n_targets'])} of {plural(int(first['of_targets']), 'target')}"
    return f", N = {targets}, {plural(int(first['n_blocks']), 'block')} of tested samples"


def _averaged(rows: pd.DataFrame) -> str:
    return " (mean of each person's)" if rows["n_subjects"].notna().any() else ""


def _with(row: pd.Series, told) -> str:
    return _ends(row["value"], row["low"], row["high"], told)


def _ends(value: float, low: float, high: float, told) -> str:
    known = is_number(low) and is_number(high)
    return f"{told(value)} [{told(low)}, {told(high)}]" if known else told(value)


def _p(p: float) -> str:
    return f" (p = {number(p)})" if is_number(p) else ""


def _r2(value: float) -> str:
    return number(value, 4)


def _percent(value: float) -> str:
    return number(value, 0)
