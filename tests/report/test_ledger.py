"""The ledger of ceilings on a page and in the methods text."""

import numpy as np
import pandas as pd
import pytest

from pipeline.ledger import COLUMNS
from pipeline.normalisation import Ceiling
from pipeline.report import subject_page
from pipeline.report.ceiling_text import ceiling_references, ceiling_text
from pipeline.report.ledger import ledger_figure, ledger_view
from pipeline.report.rows import tidied

from . import examples
from .test_pages import text_of

REFUSED = "the targets of 01 and 02 do not mean the same"


def row(kind: str, roi: str = "all", value: float = 0.4, n_valid: int = 8, **told) -> dict:
    has = n_valid > 0
    values = {"value": value, "low": value - 0.1, "high": value + 0.15, "median": value + 0.01}
    made = {
        "subject": "01", "recording": "fmri", "roi": roi, "kind": kind, "unit": "r", "limits": f"what {kind} limits", "n_valid": n_valid,
        "n_targets": 12, "n_estimated": 12 if has else 0, "mean_all": value - 0.07 if has else np.nan, "divides": "no",
        "consistency": "", "runs": "c", "reason": "",
    }  # fmt: skip
    return made | {name: v if has else np.nan for name, v in values.items()} | told


def table(*rows: dict) -> pd.DataFrame:
    return pd.DataFrame(list(rows), columns=list(COLUMNS))


LEDGER = table(
    row("repeats", divides="yes"),
    row("splithalf", value=0.41, consistency="+0.010 from repeats in 12 targets, r = 0.99"),
    row("isc", n_valid=0, reason=REFUSED),
    row("repeats", "language", value=0.5),
)


def test_the_ledger_names_every_estimator_with_its_reach_and_its_reason(undrawn):
    text = text_of(subject_page(examples.page(examples.part(ledger=LEDGER))))
    for said in (
        "what repeats limits",
        "0.400 [0.300, 0.550]",
        "8 of 12",
        "+0.010 from repeats in 12 targets",
        f"isc: what isc limits. T{REFUSED[1:]}.",
    ):
        assert said in text
    assert "Ceilings side by side, sub-" in text and "Ceilings of regions" in text


def test_the_picture_is_there_for_two_estimators_and_has_words_with_how_many_targets(undrawn):
    found = ledger_view(LEDGER, "sub-01, fmri, N = 12 targets in all")
    alt = found.picture.picture.alt
    assert "repeats 0.400 [0.300, 0.550] in 8 of 12 targets" in alt and "isc" not in alt
    assert "N = 12 targets" in found.picture.picture.caption
    assert ledger_view(table(row("repeats")), "sub-01").picture is None
    leaky = ledger_view(LEDGER, "sub-01", leaky=True).picture.picture
    assert leaky.alt.startswith("LEAKY SPLIT") and leaky.caption.startswith("LEAKY SPLIT")


def test_the_picture_can_be_drawn():
    rows = tidied(LEDGER.head(2), ("kind",), ("value", "low", "high", "mean_all", "n_valid", "n_targets"))
    figure = examples.drawn(lambda: ledger_figure(rows))
    assert [label.get_text() for label in figure.axes[0].get_yticklabels()] == ["repeats", "splithalf"]


def test_a_page_without_a_ledger_has_no_section_of_it(undrawn):
    assert "Ceilings side by side" not in subject_page(examples.page(examples.part()))


def test_an_interval_of_the_share_stands_beside_it(undrawn):
    layers = examples.layers()
    layers = layers.assign(fraction_low=layers["fraction"] - 0.1, fraction_high=layers["fraction"] + 0.2)
    text = text_of(subject_page(examples.page(examples.part(layers=layers))))
    row_of = layers[(layers["layer"] == "nested") & (layers["weights"] == "trained") & (layers["roi"] == "all")].iloc[0]
    share = 100 * row_of["fraction"]
    assert f"{share:.0f} [{share - 10:.0f}, {share + 20:.0f}]" in text


KINDS = [kind for kind in Ceiling.model_json_schema()["properties"]["kinds"]["items"]["enum"] if kind != "none"]


@pytest.mark.parametrize("kind", KINDS)
def test_every_estimator_is_told_in_the_methods_with_its_paper(kind):
    text, papers = ceiling_text([kind]), ceiling_references([kind])
    assert text != ceiling_text([k for k in KINDS if k != kind]) and len(text) > len(ceiling_text([]))
    year = {
        "repeats": "2003",
        "splithalf": "1910",
        "nsd": "2022",
        "isc": "2019",
        "shared_response": "2022",
        "schrimpf": "2021",
    }[kind]
    assert year in text and (kind == "repeats" or f"({year})" in papers)
    others = [k for k in KINDS if k != kind]
    assert ceiling_references(others) != ceiling_references(KINDS) or kind == "repeats"


def test_without_estimators_none_is_cited():
    assert ceiling_text(["none"]) == "No noise ceiling was estimated." and ceiling_references(["none"]) == ""
