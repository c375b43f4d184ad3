"""A score among the seeds of its twins: what pages say of it."""

import re

import pytest

from pipeline.report import group_page, group_sentence, subject_page, subject_sentence
from pipeline.report.kinds import kind_of
from pipeline.report.ranks import rank_sentences
from pipeline.report.rows import tidy_comparison
from pipeline.report.tables import comparison_table

from . import examples
from .test_pages import text_of

WEIGHTS = {"gpt2": "trained", "wordrate": ""} | examples.FAMILIES


def told(**changes) -> list[str]:
    return rank_sentences(tidy_comparison(examples.comparison(**changes)), WEIGHTS)


@pytest.mark.parametrize(
    ("n_seeds", "n_below", "sentence"),
    [
        (5, 5, "above 5 of 5 random twins gpt2untrained (percentile 100; 5 seeds can tell no finer than 20)."),
        (5, 3, "above 3 of 5 random twins gpt2untrained (percentile 60; 5 seeds can tell no finer than 20)."),
        (3, 1, "above 1 of 3 random twins gpt2untrained (percentile 33; 3 seeds can tell no finer than 33.3)."),
        (1, 0, "above 0 of 1 random twin gpt2untrained (percentile 0; 1 seed can tell no finer than 100)."),
    ],
)
def test_a_sentence_says_above_how_many_seeds_and_how_finely_they_tell(n_seeds, n_below, sentence):
    assert told(n_seeds=n_seeds, n_below=n_below) == [f"gpt2 lies {sentence}"]


def test_every_kind_of_twin_has_a_sentence_and_a_name_of_its_own():
    sentences = told(twin_families=examples.FAMILIES)
    names = [kind_of(w).many for w in examples.FAMILIES.values()]
    assert len(set(names)) == 4
    assert all(name in sentence for name, sentence in zip(names, sentences, strict=True))
    assert kind_of("pruned").many == "pruned twins"


def test_over_subjects_the_sentence_counts_the_people_above_all_seeds():
    (sentence,) = told(n=8, n_above_all=7)
    assert sentence.startswith(
        "The mean of gpt2 over subjects lies above 5 of 5 random twins gpt2untrained (percentile 100;"
    )
    assert sentence.endswith("gpt2 above all of them in 7 of 8 subjects.")
    assert "in 7 of 8 subjects" in group_sentence(examples.group(8))


def test_neither_controls_nor_missing_ranks_have_a_sentence():
    missing = examples.comparison().assign(percentile=float("nan"))
    assert rank_sentences(tidy_comparison(missing), WEIGHTS) == []
    assert "percentile" not in examples.comparison(twin_families={})
    assert rank_sentences(tidy_comparison(examples.comparison(twin_families={})), WEIGHTS) == []


def test_the_table_has_ranks_and_ranges_and_only_where_there_are_seeds():
    table = comparison_table(tidy_comparison(examples.comparison(rois=("all",), n_below=3)), "")
    assert table.columns[-3:] == ["seeds of b below a", "percentile", "range of b's seeds"]
    assert [row[-3:] for row in table.rows] == [["3 of 5", "60", "0.044 to 0.057"], ["", "", ""]]
    without = comparison_table(tidy_comparison(examples.comparison(twin_families={})), "")
    assert without.columns[-1] == "test"
    people = comparison_table(tidy_comparison(examples.comparison(n=8, n_above_all=7)), "")
    assert (people.columns[-1], people.rows[0][-1]) == ("subjects above all seeds", "7 of 8")


def test_the_result_holds_the_rank_of_every_family(undrawn):
    part = examples.part(
        layers=examples.layers(twin_families=examples.FAMILIES),
        comparison=examples.comparison(twin_families=examples.FAMILIES, n_below=4),
    )
    page = examples.page(part)
    for name, weights in examples.FAMILIES.items():
        kind = kind_of(weights)
        assert re.search(
            rf"{kind.many} {name} 0\.\d+ on average, 0\.\d+ to 0\.\d+ over 5 seeds", subject_sentence(page)
        )
        assert f"gpt2 lies above 4 of 5 {kind.many} {name} (percentile 80;" in subject_sentence(page)
        assert kind.meaning in text_of(subject_page(page))


def test_pages_without_twins_explain_none(undrawn):
    part = examples.part(layers=examples.layers(seeds=()), comparison=examples.comparison(twin_families={}))
    page = text_of(subject_page(examples.page(part)))
    assert "Percentile" not in page and "Random twins" not in page and "Networks" not in page


def test_below_three_subjects_ranks_still_describe_them(undrawn):
    page = text_of(group_page(examples.group(2)))
    assert "gpt2 above all of them in 1 of 2 subjects" in page
