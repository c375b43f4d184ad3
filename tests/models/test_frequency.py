"""How common words are: the list's own answer for each, and the languages it has none for."""

from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
import wordfreq

from pipeline.models import MODELS
from pipeline.problems import StudyError


def frequency(words, **settings):
    (answer,) = MODELS["frequency"](**settings).activations({"run1": words}, study_dir=Path())
    return answer


def test_the_frequency_of_a_word_is_the_lists(table):
    words = ["the", "otter", "swims", "unbelievable", "null"]
    expected = [[[wordfreq.zipf_frequency(word, "en")]] for word in words]
    np.testing.assert_allclose(frequency(table(words)).values, expected, rtol=1e-6)


def test_the_is_among_the_commonest_words_of_english(table):
    # Zipf 7.7 is 5 in a hundred words
    assert frequency(table(["the"])).values.item() == pytest.approx(np.log10(0.053 * 1e9), abs=0.05)


@pytest.mark.parametrize("written", ["otter,", "“Otter”", " otter ", "OTTER!", "(otter)", "—otter"])
def test_case_and_punctuation_do_not_matter(written, table):
    assert frequency(table([written])).values.item() == frequency(table(["otter"])).values.item() > 3


def test_unknown_words_are_zero_and_counted_and_empty_ones_are_not_counted(table):
    answer = frequency(table(["the", "xqzjkv", "", "  ", "otter", "gnrfl"]))
    assert (answer.values.ravel() == 0).tolist() == [False, True, True, True, False, True]
    assert answer.facts["n_unknown_words"] == 2
    assert answer.facts["language"] == "en" and answer.facts["wordfreq"] == version("wordfreq")


def test_another_language_has_another_list(table):
    french = frequency(table(["le", "loutre"]), language="fr").values.ravel()
    assert french.tolist() == pytest.approx([wordfreq.zipf_frequency(w, "fr") for w in ("le", "loutre")])
    assert french[0] > 7 > frequency(table(["le"])).values.item()


@pytest.mark.parametrize("language", ["", "xx", "english", "en-GB", "EN"])
def test_an_unknown_language_is_refused_with_those_known(language, table):
    (problem,) = MODELS["frequency"](language=language).problems(Path())
    assert (problem.code, problem.field, problem.found) == ("E-MODEL-16", "language", repr(language))
    assert "en, es" in problem.expected and "fr" in problem.expected
    with pytest.raises(StudyError) as caught:
        frequency(table(["the"]), language=language)
    assert caught.value.problems == (problem,)


@pytest.mark.parametrize(
    ("language", "package", "extra"), [("zh", "jieba", "jieba"), ("ja", "MeCab", "mecab"), ("ko", "MeCab", "mecab")]
)
def test_languages_without_blanks_say_what_to_install(language, package, extra):
    if find_spec(package):
        pytest.skip(f"{package} is installed here")
    (problem,) = MODELS["frequency"](language=language).problems(Path())
    assert problem.code == "E-MODEL-16" and package in problem.found
    assert problem.fix == f"pip install 'wordfreq[{extra}]'"
