"""What a comparison allows to conclude, in words: how few units there are, what other seeds would change, how many people show it."""

from collections.abc import Sequence

import pandas as pd

from pipeline.comparison import ENOUGH_SUBJECTS, LEVEL
from pipeline.report.rows import ALL
from pipeline.report.words import count, interval, is_number, number, percent, plural, probability

_SUBJECTS = "subjects"
_EQUIVALENT = {"yes": "yes", "no": "no", "undecided": "cannot be told"}


def inference_columns(comparison: pd.DataFrame) -> list[str]:
    """Columns that a table of comparisons needs to tell what is equivalent and what seeds change; none where nothing is known."""
    tested = comparison[comparison["equivalent"].isin(list(_EQUIVALENT))]
    margins = tested["margin"].dropna()
    columns = [f"equal within {number(margins.iloc[0])} (p)"] if len(margins) else []
    columns += ["interval with other seeds"] if comparison["low_seeds"].notna().any() else []
    counted = comparison["n_tested"].notna().any()
    return columns + (["subjects with p < 0.05"] if counted else [])


def inference_cells(row: pd.Series, columns: Sequence[str]) -> list[str]:
    """The cells of these columns."""
    cells = []
    for column in columns:
        if column.startswith("equal"):
            known = is_number(row["p_equivalent"]) and row["equivalent"] in _EQUIVALENT
            told = f"{_EQUIVALENT.get(row['equivalent'], 'n/a')} ({probability(row['p_equivalent'])})"
            cells.append(told if known else "n/a")
        elif column.startswith("interval"):
            cells.append(interval(row["low_seeds"], row["high_seeds"]) if is_number(row["low_seeds"]) else "")
        else:
            cells.append(f"{count(row['n_significant'])} of {count(row['n_tested'])}" if row["n_tested"] > 0 else "n/a")
    return cells


def inference_sentences(comparison: pd.DataFrame) -> list[str]:
    """What the comparisons over all targets allow to conclude, and what they do not."""
    whole = [row for _, row in comparison[comparison["roi"] == ALL].iterrows()]
    told = [_few(row) for row in whole]
    told += [text for row in whole for text in (_seeds(row), _people(row), _equal(row))]
    return list(dict.fromkeys(text for text in told if text))


def _few(row: pd.Series) -> str:
    """What so few units cannot show."""
    smallest, n = row["smallest_p"], row["n_units"]
    if not is_number(smallest) or smallest <= LEVEL or not is_number(row["p"]):
        return ""
    units = (
        plural(int(n), row["unit"].removesuffix("s"))
        if row["unit"] in (_SUBJECTS, "runs")
        else _blocks(int(n), row["unit"])
    )
    stays = "differences and their intervals" if is_number(row["low"]) else "differences, without intervals,"
    return (
        f"With {units} no test can give a p below {probability(smallest)}: nothing here can be significant at {LEVEL:g}, "
        f"whatever the effect; {stays} and ranks among seeds are what can be told."
    )  # fmt: skip


def _blocks(n: int, unit: str) -> str:
    return f"{n} {unit}" if n != 1 else f"1 {unit.replace('blocks', 'block', 1)}"


def _seeds(row: pd.Series) -> str:
    if not is_number(row["low_seeds"]):
        return ""
    seeds = plural(int(row["n_seeds"]), "seed") if is_number(row["n_seeds"]) else "seeds"
    over = f"over {seeds} {number(row['sd_seeds'])}"
    people = f", over {_SUBJECTS} {number(row['sd_subjects'])}" if is_number(row["sd_subjects"]) else ""
    others = f"other {_SUBJECTS} and other seeds" if people else "other samples and other seeds"
    return (
        f"{row['a']} − {row['b']} = {number(row['difference'])}, {interval(row['low_seeds'], row['high_seeds'])} for {others}; "
        f"standard deviation {over}{people}."
    )  # fmt: skip


def _people(row: pd.Series) -> str:
    """Below six people: in how many of them it is found, one by one."""
    n = row["n_tested"]
    if row["unit"] != _SUBJECTS or not is_number(n) or row["n_units"] >= ENOUGH_SUBJECTS:
        return ""
    if not n:
        return f"{row['a']} − {row['b']}: no subject has runs or blocks enough for a test of its own."
    many = f"{count(row['n_significant'])} of {plural(int(n), 'subject')}"
    found = f"{row['a']} − {row['b']}: {many} with p < {LEVEL:g} of their own, in the direction of the mean"
    if not is_number(row["prevalence"]):
        return f"{found}; so few say nothing about other people."
    shares = f"{percent(row['prevalence'])} % of people [{percent(row['prevalence_low'])}, {percent(row['prevalence_high'])}]"
    return (
        f"{found} (without any effect so many or more have probability {probability(row['p_prevalence'])}); "
        f"if no test missed it, {shares} have it; that all of these do, p = {probability(row['p_everyone'])} (conjunction)."
    )  # fmt: skip


def _equal(row: pd.Series) -> str:
    if row["equivalent"] != "yes":
        return ""
    told = probability(row["p_equivalent"])
    shown = f"their difference is shown to be less than {number(row['margin'])}"
    return f"{row['a']} and {row['b']} are equivalent: {shown} (p {told if told.startswith('<') else f'= {told}'})."
