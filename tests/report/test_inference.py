"""What pages say of few people, few blocks, other seeds, equivalence, the ceiling and the choice of a layer."""

import pytest

from pipeline.config import Study
from pipeline.report import group_page, subject_page
from pipeline.report.choice import choice_table, gap_sentences
from pipeline.report.inference import inference_sentences
from pipeline.report.methods import methods_text
from pipeline.report.rows import tidy_comparison, tidy_layers
from pipeline.report.tables import comparison_table

from . import examples
from .test_pages import text_of


def compared(**changes):
    table = examples.comparison(rois=("all",), twin_families={})
    return tidy_comparison(table.assign(**changes))


def concluded(**changes) -> str:
    return " ".join(inference_sentences(compared(**changes)))


def test_too_few_blocks_for_any_test_are_told_once():
    told = concluded(unit="blocks of 10 samples", n_units=3, smallest_p=0.25, p=0.25)
    assert told.startswith(
        "With 3 blocks of 10 samples no test can give a p below 0.250: nothing here can be significant"
    )
    alone = concluded(
        unit="blocks of 10 samples", n_units=1, smallest_p=1.0, p=1.0, low=float("nan"), high=float("nan")
    )
    assert alone.startswith("With 1 block of 10 samples no test") and "without intervals" in alone
    assert "no test" not in concluded(smallest_p=0.001)


def test_below_six_people_those_who_show_it_are_counted():
    many = {"unit": "subjects", "n_units": 4, "smallest_p": 0.125, "n_tested": 4, "n_significant": 3, "p_everyone": 0.2}
    told = concluded(**many, p_prevalence=0.00048, prevalence=0.74, prevalence_low=0.28, prevalence_high=0.96)
    assert "With 4 subjects no test can give a p below 0.125" in told
    assert "3 of 4 subjects with p < 0.05 of their own, in the direction of the mean" in told
    assert "probability < 0.001" in told and "74 % of people [28, 96] have it" in told
    assert "say nothing about other people" in concluded(unit="subjects", n_units=2, n_tested=2, n_significant=1)
    assert "with p <" not in concluded(**many | {"n_units": 6})


def test_what_other_seeds_would_change_is_told():
    seeds = {"low_seeds": 0.01, "high_seeds": 0.11, "sd_seeds": 0.004, "n_seeds": 5}
    assert "[0.010, 0.110] for other samples and other seeds; standard deviation over 5 seeds 0.004." in concluded(
        **seeds
    )
    assert "other subjects and other seeds; standard deviation over 5 seeds 0.004, over subjects 0.020." in concluded(
        **seeds, sd_subjects=0.02
    )


def test_equivalence_is_told_and_has_a_column_with_its_margin():
    assert "are equivalent: their difference is shown to be less than 0.010 (p = 0.020)" in concluded(
        equivalent="yes", p_equivalent=0.02, margin=0.01
    )
    assert "equivalent" not in concluded(equivalent="undecided", p_equivalent=0.3, margin=0.01)
    table = comparison_table(compared(equivalent="undecided", p_equivalent=0.3, margin=0.01), "")
    assert (table.columns[-1], table.rows[0][-1]) == ("equal within 0.010 (p)", "cannot be told (0.300)")


def layers(**changes):
    return tidy_layers(examples.layers(rois=("all",)).assign(**changes))


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"gap": 0.002, "gap_low": -0.01, "gap_high": 0.008, "reached": "yes"}, "gpt2 reaches the ceiling (repeats)"),
        ({"gap": 0.2, "gap_low": 0.1, "gap_high": 0.3, "reached": "no"}, "falls short of the ceiling (repeats) by 0.200 [0.100, 0.300]"),
        ({"gap": 0.02, "gap_low": -0.1, "gap_high": 0.1, "reached": "undecided"}, "cannot be told: 0.020 [−0.100, 0.100] is missing"),
        ({"gap": 0.02, "reached": "n/a"}, "without an interval it cannot be told"),
    ],
)  # fmt: skip
def test_a_page_says_whether_the_ceiling_is_reached(changes, said):
    (told,) = gap_sentences(layers(margin=0.01, **changes))
    assert said in told


def test_without_a_ceiling_nothing_is_said_of_reaching_it():
    assert gap_sentences(tidy_layers(examples.layers(ceiling=False))) == []


def test_the_choice_of_a_layer_stands_beside_what_the_best_would_have_had():
    table = choice_table(layers(optimism=0.012, stability=0.8, relative_depth=0.5), "")
    row = next(row for row in table.rows if row[1] == "gpt2")
    assert float(row[4]) == pytest.approx(float(row[3]) + 0.012, abs=0.0011)
    assert row[5:] == ["0.012", "80", "0.50"]
    assert choice_table(layers(), "").rows == []


def test_pages_hold_all_of_it(undrawn):
    one = examples.comparison(rois=("all",)).assign(equivalent="yes", p_equivalent=0.01, margin=0.01)
    own = examples.layers().assign(
        optimism=0.01, stability=1.0, relative_depth=0.5, gap=0.1, gap_low=0.05, gap_high=0.2, reached="no", margin=0.01
    )
    page = text_of(subject_page(examples.page(examples.part(layers=own, comparison=one))))
    assert "falls short of the ceiling" in page and "are equivalent" in page and "optimism of the best" in page
    assert "N = 8 subjects" in text_of(group_page(examples.group(8)))


@pytest.mark.parametrize(("name", "value"), [("margin", 0.03), ("permutations", 300), ("fdr", 0.1)])
def test_what_is_chosen_of_a_comparison_is_in_the_methods(name, value):
    study = {
        "study": "s",
        "dataset": {"kind": "synthetic"},
        "recordings": {"b": {"kind": "arrays"}},
        "models": {"m": {"kind": "wordrate"}},
    }
    before, after = (
        methods_text(Study.model_validate(study | {"comparison": of}).told()) for of in ({}, {name: value})
    )
    assert before != after
