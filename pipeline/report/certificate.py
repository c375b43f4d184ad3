"""What a study proves about itself: how often it finds something in nothing, and whether canaries sing."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd

from pipeline.report.parts import Light
from pipeline.report.rows import tidied
from pipeline.report.tables import Table
from pipeline.report.words import is_number, number, plural

TEXT = ("subject", "recording", "section", "name", "measure", "verdict", "model", "layer", "reason")
_NUMBERS = ("value", "low", "high", "bound", "n", "n_targets")

KINDS = {
    "phases": "the responses with random phases",
    "rolled": "each run rolled around itself",
    "reordered": "the responses to other runs, begun at another place",
    "all": "all together",
}
CANARIES = {
    "oasm": "slow sequences that hold nothing of the stimulus",
    "future": "the model's features of words that nobody has heard yet, beside those of words heard",
    "story": "the model's features of another run",
    "lag": "the lag at which the score is highest",
}
_TOO_MANY = (
    "the test finds too much in responses that hold nothing: test by random phases (comparison.test: phases), leave out more of "
    "the start and end of runs (encoding.trim_s), or have longer runs"
)
_TOO_FEW = "the test is cautious with these responses: what it finds stands, and some of what is there it misses"
_NOISE = "a mean score of responses that hold nothing should be 0: look for what features and responses share beside the stimulus"


class CertificateView(NamedTuple):
    """A recording's certificate, ready to print: sentences, tables, and what to change."""

    sentence: str
    tests: str
    certificate: Table
    canaries: Table
    advice: Sequence[str]
    light: Light | None


def certificate_view(rows: pd.DataFrame, where: str, leaky: bool) -> CertificateView | None:
    """The certificate of one subject's recording; None where none was made.

    Parameters
    ----------
    rows : `…_certificate.tsv` as it was written.
    where : whose, for captions.
    """
    if rows.empty:
        return None
    table = tidied(rows, TEXT, _NUMBERS)
    return CertificateView(
        sentence(table),
        _tests(table),
        _certificate(table, where),
        _canaries(table, where),
        advice(table, leaky),
        light(table),
    )


def light(table: pd.DataFrame) -> Light | None:
    """Red: a canary sings. Amber: false positives or the score of noise are not what they should be."""
    canaries, rates = _section(table, "canary"), _section(table, "certificate")
    if (canaries["verdict"] == "red").any():
        return "red"
    if (rates["verdict"] == "amber").any():
        return "amber"
    known = [*rates["verdict"], *canaries["verdict"]]
    return "green" if "green" in known else None


def verdicts(rows: pd.DataFrame) -> tuple[list[str], list[str]]:
    """What is red and what is amber in a certificate, for the light of a page."""
    if rows.empty:
        return [], []
    table = tidied(rows, TEXT, _NUMBERS)
    singing = _section(table, "canary").query("verdict == 'red'")["name"].tolist()
    off = list(dict.fromkeys(_section(table, "certificate").query("verdict == 'amber'")["measure"]))
    red = [f"the canary {', '.join(singing)} sings"] if singing else []
    return red, [f"the certificate is not clear ({' and '.join(off)})"] if off else []


def sentence(table: pd.DataFrame) -> str:
    """The one that a reviewer may quote."""
    rows = _section(table, "certificate")
    all_of = rows[rows["name"] == "all"].set_index("measure", drop=False)
    if all_of.empty or not is_number(all_of.loc["false positives", "value"]):
        reason = next((r for r in rows["reason"] if r), "no surrogate recording could be made")
        return f"No certificate: {reason}."
    rate, noise = all_of.loc["false positives"], all_of.loc["noise score"]
    return (
        f"On {int(rate['n'])} surrogate recordings made from this person's own data, in which there is nothing to find, "
        f"{_percent(rate['value'])}\u00a0% of targets were called significant at 5\u00a0% [{_percent(rate['low'])}, {_percent(rate['high'])}]; "
        f"their mean score was {number(noise['value'])} [{number(noise['low'])}, {number(noise['high'])}]."
    )


def _tests(table: pd.DataFrame) -> str:
    """How many of the study's own targets are significant."""
    rows = _section(table, "tests")
    if rows.empty or not is_number(rows.iloc[0]["value"]):
        return f"No target was tested: {rows.iloc[0]['reason']}." if len(rows) else ""
    parts = [
        f"{row.region} {int(row.value)} of {plural(int(row.n_targets), 'target')} ({number(row.bound, 1)} expected to be false)"
        for row in rows.rename(columns={"name": "region"}).itertuples()
        if is_number(row.value)
    ]
    return f"Targets that {rows.iloc[0]['model']} predicts, false discovery rate held: {'; '.join(parts)}."


def _certificate(table: pd.DataFrame, where: str) -> Table:
    rows, found = _section(table, "certificate"), []
    for name in dict.fromkeys(rows["name"]):
        own = rows[rows["name"] == name].set_index("measure", drop=False)
        rate, noise = own.loc["false positives"], own.loc["noise score"]
        found.append([
            KINDS.get(name, name), number(rate["n"], 0), number(rate["n_targets"], 0), _share(rate), f"{_words(rate)}",
            _score(noise), f"{_words(noise)}", rate["reason"] or "",
        ])  # fmt: skip
    caption = (
        f"False positives and noise scores on surrogate recordings, {where}, N = {_n(rows)} surrogate recordings; intervals over "
        "these, which hold for all rows at once in 95 of 100 studies"
    )
    columns = ("surrogate", "recordings", "targets each", "called significant at 5\u00a0%", "verdict", "mean r", "verdict of r", "why not")  # fmt: skip
    return Table(caption, columns, found, frozenset({1, 2, 3, 5}))


def _canaries(table: pd.DataFrame, where: str) -> Table:
    rows = _section(table, "canary")
    found = [
        [row["name"], CANARIES.get(row["name"], ""), _sung(row), _bound(row), _words(row), row["reason"]]
        for _, row in rows.iterrows()
    ]
    caption = f"Canaries, {where}, N = {len(found)} features that cannot know what is tested; intervals over blocks of tested samples"
    return Table(caption, ("canary", "what it is", "found", "bound", "verdict", "note"), found, frozenset({2, 3}))


def group_table(rows: pd.DataFrame, who: str) -> Table | None:
    """The verdicts of every subject, and what is worst."""
    if rows.empty:
        return None
    found = []
    for subject, part in rows.groupby("subject", sort=False):
        table = tidied(part, TEXT, _NUMBERS)
        rates, canaries = _section(table, "certificate"), _section(table, "canary")
        all_of = rates[rates["name"] == "all"].set_index("measure", drop=False)
        told = (
            [_share(all_of.loc["false positives"]), _score(all_of.loc["noise score"])] if len(all_of) else ["n/a"] * 2
        )
        singing = ", ".join(canaries.query("verdict == 'red'")["name"]) or "none"
        found.append([f"sub-{subject}", light(table) or "none", *told, singing])
    order = ("red", "amber", "none", "green")
    worst = min((row[1] for row in found), key=order.index)
    columns = (
        "subject",
        "verdict",
        "called significant at 5\u00a0% on surrogates",
        "mean r on surrogates",
        "canaries that sing",
    )
    caption = f"Certificates, {who}; worst verdict: {worst}"
    return Table(caption, columns, found, frozenset({2, 3}))


def advice(table: pd.DataFrame, leaky: bool) -> list[str]:
    """What to change where something is not as it should be."""
    rates, told = _section(table, "certificate"), []
    off = rates[(rates["verdict"] == "amber") & (rates["measure"] == "false positives")]
    told += [_TOO_MANY] if (off["value"] > off["bound"]).any() else []
    told += [_TOO_FEW] if (off["value"] < off["bound"]).any() else []
    told += [_NOISE] if (rates[rates["measure"] == "noise score"]["verdict"] == "amber").any() else []
    red = _section(table, "canary").query("verdict == 'red'")["name"].tolist()
    if red and leaky:
        told.append(
            f"the canary {', '.join(red)} sings, as it must where neighbouring samples stand in training and test"
        )
    elif red:
        told.append(f"the canary {', '.join(red)} sings: the scores of this study are no evidence until it is silent")
    return told


def _section(table: pd.DataFrame, name: str) -> pd.DataFrame:
    return table[table["section"] == name]


def _percent(value: float) -> str:
    """With a digit behind the point: 5 and 5.4 % are not the same certificate."""
    return number(100 * value, 1) if is_number(value) else "n/a"


def _words(row: pd.Series) -> str:
    if row["section"] == "canary":
        return {"green": "silent", "red": "SINGS"}.get(row["verdict"], "not judged")
    if row["verdict"] == "amber" and row["measure"] == "false positives":
        return "too many" if row["value"] > row["bound"] else "too few"
    green = "holds" if row["measure"] == "false positives" else "about 0"
    return {"green": green, "amber": "not 0"}.get(row["verdict"], "not judged")


def _share(row: pd.Series) -> str:
    if not is_number(row["value"]):
        return "n/a"
    ends = f" [{_percent(row['low'])}, {_percent(row['high'])}]" if is_number(row["low"]) else ""
    return f"{_percent(row['value'])}\u00a0%{ends}"


def _score(row: pd.Series) -> str:
    if not is_number(row["value"]):
        return "n/a"
    ends = f" [{number(row['low'])}, {number(row['high'])}]" if is_number(row["low"]) else ""
    return f"{number(row['value'])}{ends}"


def _sung(row: pd.Series) -> str:
    if row["name"] == "lag":
        return f"{number(row['value'], 1)} s" if is_number(row["value"]) else "n/a"
    what = "difference " if row["measure"] == "difference" else ""
    return f"{what}{_score(row)}"


def _bound(row: pd.Series) -> str:
    if row["name"] == "lag":
        return f"{number(row['low'], 0)} to {number(row['high'], 0)} s" if is_number(row["low"]) else "n/a"
    return f"at most {number(row['bound'])}" if is_number(row["bound"]) else "n/a"


def _n(rows: pd.DataFrame) -> str:
    n = rows.loc[rows["name"] == "all", "n"]
    return number(float(n.iloc[0]), 0) if len(n) and np.isfinite(n.iloc[0]) else "0"
