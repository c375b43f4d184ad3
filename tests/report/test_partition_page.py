"""What the page says of the parts: from the table alone, with N, and nothing inferred from too few people."""

import re

import numpy as np
import pandas as pd
import pytest

from pipeline.analyses import Partition
from pipeline.partition import group
from pipeline.report import GroupPage, SubjectPage, figures, group_page, subject_page
from pipeline.report.partition import colours, partition_view, parts, sentences
from pipeline.report.partition_figure import partition_figure
from pipeline.report.partition_text import partition_references, partition_text
from pipeline.report.rows import tidied

from . import examples

R2 = {
    "joint": 0.0102, "alone:net": 0.0063, "alone:controls": 0.0077, "alone:place": 0.0051, "alone:rate": 0.0024, "unique:net": 0.0025,
    "unique:controls": 0.0039, "shared:net+controls": 0.0038, "product:net": 0.0042, "product:place": 0.0047, "product:rate": 0.0013,
}  # fmt: skip


def made(subject: str = "01", omega: float = 61.0, p: float = np.nan, shift: float = 0.0, **changes: float):
    """A table of two regions as the stage writes it."""
    rows = []
    for roi, gain in (("all", 1.0), ("IFG", 2.0)):
        told = {
            "subject": subject,
            "recording": "fmri",
            "model": "net",
            "layer": "4",
            "roi": roi,
            "n_targets": 180,
            "of_targets": 200,
            "n_blocks": 29,
        }
        for part, value in (R2 | changes).items():
            value = gain * value + shift
            null = {"null": -0.0004, "p": p, "n_shifts": 3} if part.startswith("unique") else {}
            rows.append(
                told | {"part": part, "value": value, "low": value - 0.002, "high": value + 0.003, "unit": "R2"} | null
            )
            if part.startswith(("joint", "alone")):
                rows.append(told | {"part": part, "value": 0.07, "low": 0.05, "high": 0.09, "unit": "r"})
        rows += [
            told | {"part": f"r_share:{name}", "value": 0.03, "low": 0.02, "high": 0.04, "unit": "r"}
            for name in ("net", "place", "rate")
        ]
        rows.append(told | {"part": "omega:controls", "value": omega, "low": 30.0, "high": 81.0, "unit": "%"})
        rows.append(
            told | {"part": "omega_unclipped:controls", "value": 112.0, "low": 30.0, "high": 140.0, "unit": "%"}
        )
    return pd.DataFrame(rows)


def view(table: pd.DataFrame, unit: str = "blocks", **options):
    return partition_view(table, "sub-01, fmri", unit=unit, **options)


def test_what_is_accounted_for_and_what_is_added_is_said_with_intervals(undrawn):
    first, second = view(made()).sentences
    assert "place and rate account for 61 [30, 81] % of what net explains" in first
    assert "R² = 0.0063 [0.0043, 0.0093]" in first and "alone they explain R² = 0.0077" in first
    assert "net adds R² = 0.0025 [0.0005, 0.0055]; its features rolled around their runs add −0.0004." in second
    assert "(p = 0.050)" in view(made(p=0.05)).sentences[1]


def test_a_model_that_explains_nothing_leaves_nothing_to_account_for(undrawn):
    (first, _) = view(made(**{"alone:net": -0.001})).sentences
    assert "net alone explains nothing (R² = −0.0010" in first and "%" not in first


def test_every_part_is_in_the_table_and_in_the_words_of_the_picture(undrawn):
    found = view(made())
    assert "N = 180 of 200 targets, 29 blocks of tested samples" in found.parts.caption
    assert found.picture.picture.caption.startswith(
        "What the model adds, sub-01, fmri, N = 180 of 200 targets, 29 blocks"
    )
    names = [row[1] for row in found.parts.rows if row[0] == "all"]
    assert names == [
        "net alone", "place and rate alone", "place alone", "rate alone", "all together", "unique to net", "unique to place and rate",
        "shared (net | place and rate)", "share of net (product measure)", "share of place (product measure)",
        "share of rate (product measure)",
    ]  # fmt: skip
    assert "unique to net 0.0025 [0.0005, 0.0055], by chance −0.0004" in found.picture.picture.alt
    assert found.omegas.rows == [
        ["all", "place and rate", "61 [30, 81]", "112"],
        ["IFG", "place and rate", "61 [30, 81]", "112"],
    ]


def test_the_picture_shows_each_part_where_the_table_has_it():
    rows = tidied(
        made(),
        ("model", "roi", "part", "unit"),
        ("value", "low", "high", "null", "p", "n_targets", "of_targets", "n_blocks", "n_subjects"),
    )
    found = {roi: parts(rows[rows["roi"] == roi]) for roi in ("all", "IFG")}
    figure = examples.drawn(lambda: partition_figure(found, colours(rows)))
    for axes, roi in zip(figure.axes, ("all", "IFG"), strict=True):
        dots = [line.get_xdata()[0] for line in axes.lines if line.get_marker() == "o"]
        rings = [line.get_xdata()[0] for line in axes.lines if line.get_marker() == "D"]
        expected = found[roi]
        assert dots == [one.value for one in expected]
        assert np.array_equal(rings, [one.null for one in expected], equal_nan=True)
        used = {line.get_color() for line in axes.lines if line.get_marker() == "o"}
        assert used == {figures.BLUE, figures.ORANGE, figures.PURPLE}


def test_without_a_target_the_page_says_so(undrawn):
    found = view(made().assign(value=np.nan))
    assert found.sentences == ["No target has a score, so nothing was taken apart."]
    assert view(pd.DataFrame()) is None


def test_two_groups_are_told_apart(undrawn):
    groups = {
        "unique:net": 0.002,
        "unique:sound": 0.001,
        "unique:text": 0.003,
        "shared:net+sound": 0.001,
        "shared:net+sound+text": 0.002,
    }
    rows = [{"model": "net", "roi": "all", "part": part, "value": v, "unit": "R2"} for part, v in groups.items()]
    rows += [
        {"model": "net", "roi": "all", "part": f"alone:{g}", "value": 0.01, "unit": "R2"}
        for g in ("net", "sound", "text")
    ]
    rows += [
        {"model": "net", "roi": "all", "part": f"omega:{g}", "value": 40, "unit": "%"}
        for g in ("sound", "text", "sound+text")
    ]
    told = sentences(
        tidied(pd.DataFrame(rows), ("model", "roi", "part", "unit"), ("value", "low", "high", "null", "p"))
    )
    assert [told[0].split(" account")[0], told[1].split(" account")[0]] == [
        "In the whole recording sound",
        "In the whole recording text",
    ]


def page_of(table: pd.DataFrame, **changes) -> str:
    return subject_page(SubjectPage("s", "01", [examples.part(partition=table)], **changes))


def test_a_subjects_page_has_the_section_only_where_it_was_asked_for(undrawn):
    assert 'id="rec0-partition"' in page_of(made()) and "#rec0-partition" in page_of(made())
    assert "rec0-partition" not in page_of(pd.DataFrame())
    assert len(re.findall("LEAKY SPLIT: NOT EVIDENCE. In the whole", page_of(made(), leaky=True))) == 1


@pytest.mark.parametrize(("n", "refused"), [(3, False), (2, True)])
def test_over_people_n_is_in_the_caption_and_below_three_nothing_is_inferred(undrawn, n, refused):
    table = group(pd.concat([made(str(i), shift=0.001 * i) for i in range(n)]))
    whole: GroupPage = examples.group(n=n)
    page = group_page(whole._replace(recordings=[whole.recordings[0]._replace(partition=table)]))
    section = page[page.index('<h3 id="rec0-partition"') : page.index('<h3 id="rec0-each"')]
    assert f"N = {n} subjects" in section
    assert ("Without intervals." in section) == refused
    assert f"adds R² = {0.0025 + 0.0005 * (n - 1):.4f}" in section
    assert bool(re.search(r"adds R² = 0\.\d{4} \[", section)) != refused


TOLD = {
    "models": {
        "net": {"kind": "transformer", "weights": "trained", "order": "heard"}, "rate": {"kind": "wordrate"}, "place": {"kind": "position"},
        "other": {"kind": "transformer", "weights": "trained", "order": "heard"},
    }
}  # fmt: skip


def methods(**settings) -> str:
    return partition_text(TOLD | {"analyses": {"partition": Partition(**settings).dump()}})


@pytest.mark.parametrize(
    "settings",
    [
        {"model": "other"},
        {"controls": ("rate",)},
        {"groups": {"a": ("rate",), "b": ("place",)}},
        {"shifts": 0},
        {"shifts": 19},
    ],
)
def test_each_setting_changes_the_methods_text(settings):
    assert methods(**settings) != methods()


def test_the_methods_text_names_what_was_done_and_whom_to_cite():
    text = methods()
    assert (
        "`net`" in text
        and "controls (`rate`, `place`)" in text
        and "3 times" in text
        and "None" not in text
        and "12 weightings" in text
        and "{" not in text
    )
    cited = partition_references(TOLD | {"analyses": {"partition": Partition().dump()}})
    assert (
        partition_references(TOLD | {"analyses": {"version": 1}})
        == ""
        == partition_text(TOLD | {"analyses": {"version": 1}})
    )
    for name in ("Nunez-Elizalde", "de Heer", "Dupré la Tour"):
        assert name in text and name in cited
