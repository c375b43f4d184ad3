"""What the pages say of the certificate and the canaries."""

import pandas as pd
import pytest

from pipeline.report import group_light, group_page, subject_light, subject_page
from pipeline.report.certificate import certificate_view, group_table
from pipeline.report.trust_text import certificate_text

from .examples import group, page, part

KINDS = ("phases", "rolled", "reordered", "all")
WHOSE = {"subject": "01", "recording": "fmri", "model": "net", "layer": "4", "reason": ""}


def certificate(rate: float = 0.052, canaries: dict[str, str] | None = None, **changes) -> pd.DataFrame:
    """As the stage writes it: the rate and its interval of +- 1 %, and a verdict per canary."""
    verdict = "green" if abs(rate - 0.05) <= 0.01 else "amber"
    rows = [
        {
            "section": "tests",
            "name": "all",
            "measure": "significant targets",
            "value": 40,
            "bound": 2,
            "verdict": "none",
            "n": 1000,
            "n_targets": 200,
        }
    ]
    for name in KINDS:
        own = {"section": "certificate", "name": name, "n": 60 if name == "all" else 20, "n_targets": 30}
        rows.append(
            own
            | {
                "measure": "false positives",
                "value": rate,
                "low": rate - 0.01,
                "high": rate + 0.01,
                "bound": 0.05,
                "verdict": verdict,
            }
        )
        rows.append(
            own
            | {
                "measure": "noise score",
                "value": 0.001,
                "low": -0.004,
                "high": 0.006,
                "bound": 0.01,
                "verdict": "green",
            }
        )
    for name, light in (canaries or {"oasm": "green", "future": "green", "story": "green"}).items():
        rows.append(
            {
                "section": "canary",
                "name": name,
                "measure": "r",
                "value": 0.2,
                "low": 0.1,
                "high": 0.3,
                "bound": 0.03,
                "verdict": light,
                "n_targets": 30,
            }
        )
    return pd.DataFrame([WHOSE | row for row in rows]).assign(**changes)  # fmt: skip


def page_with(table: pd.DataFrame, **changes):
    return page(part(certificate=table), **changes)


def test_one_sentence_can_be_quoted():
    view = certificate_view(certificate(), "sub-01, fmri", False)
    assert view is not None and view.light == "green" and not view.advice
    assert "On 60 surrogate recordings made from this person's own data" in view.sentence
    assert "5.2\u00a0% of targets were called significant at 5\u00a0% [4.2, 6.2]" in view.sentence
    assert "mean score was 0.001 [−0.004, 0.006]" in view.sentence
    assert "all 40 of 200 targets (2.0 expected to be false)" in view.tests


@pytest.mark.parametrize(("rate", "said"), [(0.09, "finds too much"), (0.02, "cautious")])
def test_a_rate_beside_its_level_is_amber_and_says_what_to_change(rate, said, undrawn):
    view = certificate_view(certificate(rate), "sub-01, fmri", False)
    assert view is not None and view.light == "amber" and said in view.advice[0]
    light, reason = subject_light(page_with(certificate(rate), warnings=()))
    assert light == "amber" and "the certificate is not clear (false positives)" in reason


def test_a_singing_canary_is_red_and_says_that_scores_are_no_evidence(undrawn):
    table = certificate(canaries={"oasm": "red", "story": "green"})
    shown = page_with(table)
    assert subject_light(shown)[0] == "red" and "the canary oasm sings" in subject_light(shown)[1]
    html = str(subject_page(shown))
    assert "Certificate and canaries" in html and "SINGS" in html and "no evidence until it is silent" in html


def test_where_the_split_is_meant_to_leak_canaries_sing_as_they_must():
    view = certificate_view(certificate(canaries={"oasm": "red"}), "sub-01, fmri", True)
    assert view is not None and view.light == "red" and "as it must" in view.advice[0]


def test_what_could_not_be_made_is_said_with_its_reason():
    table = certificate()
    table = table[(table["section"] != "certificate")]
    row = {
        "section": "certificate",
        "name": "all",
        "measure": "false positives",
        "verdict": "none",
        "n": 0,
        "reason": "comparison.surrogates is 0",
    }
    nothing = [WHOSE | row, WHOSE | row | {"measure": "noise score"}]
    view = certificate_view(pd.concat([table, pd.DataFrame(nothing)], ignore_index=True), "sub-01, fmri", False)
    assert view is not None and view.sentence == "No certificate: comparison.surrogates is 0."


def test_a_page_without_a_certificate_has_no_section(undrawn):
    assert certificate_view(pd.DataFrame(), "sub-01", False) is None
    assert "Certificate and canaries" not in str(subject_page(page(part())))


def test_the_group_sees_every_verdict_and_the_worst(undrawn):
    tables = [certificate(), certificate(0.09, subject="02"), certificate(subject="03")]
    table = group_table(pd.concat(tables, ignore_index=True), "fmri, N = 3 subjects")
    assert table is not None and [row[:2] for row in table.rows] == [
        ["sub-01", "green"],
        ["sub-02", "amber"],
        ["sub-03", "green"],
    ]
    assert "worst verdict: amber" in table.caption
    shown = group()
    first, *others = shown.recordings
    shown = shown._replace(
        recordings=[first._replace(certificates=pd.concat(tables, ignore_index=True)), *others], warnings=()
    )
    assert group_light(shown)[0] == "amber" and "Certificates" in str(group_page(shown))


TOLD = {
    "models": {"rate": {"kind": "wordrate"}, "net": {"kind": "transformer", "weights": "trained", "name": "net"}},
    "encoding": {"split": "given"},
    "comparison": {"test": "phases", "surrogates": 20, "certify": "auto", "permutations": 1000, "fdr": 0.05},
}


@pytest.mark.parametrize(
    ("section", "changed", "said"),
    [
        ("comparison", {}, "`net`"),
        ("comparison", {"certify": "rate"}, "`rate`"),
        ("comparison", {"test": "shifts"}, "rolled around itself"),
        ("comparison", {"test": "blocks"}, "changed places within runs"),
        ("comparison", {"surrogates": 7}, "7 surrogate recordings of each of three kinds"),
        ("comparison", {"surrogates": 0}, "No certificate"),
        ("comparison", {"permutations": 321}, "321 draws"),
        ("encoding", {"split": "leave_one_run_out"}, "every fold was fitted again"),
    ],
)
def test_the_methods_tell_what_was_chosen(section, changed, said):
    assert said in certificate_text(TOLD | {section: TOLD[section] | changed})
