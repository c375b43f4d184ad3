"""Controls: what can be known of a word without knowing language."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from pydantic import ValidationError

from pipeline.models import MODELS
from pipeline.problems import StudyError

WORDS = ["the", "otter", "swims", "across", "The", "cold", "river", "null"]


def needs_nothing(kind):
    try:
        MODELS[kind]()
    except ValidationError:
        return False
    return True


CONTROLS = [kind for kind in MODELS if needs_nothing(kind) and MODELS[kind].reads != "audio"]


def features(kind, words, **settings):
    (answer,) = MODELS[kind](**settings).activations({"run1": words}, study_dir=Path())
    return answer.values[:, 0]


def test_a_word_rate_needs_no_settings_and_a_network_does():
    assert {"wordrate", "wordlength", "frequency", "position", "tokens", "oasm"} <= set(CONTROLS)
    assert not {"transformer", "static"} & set(CONTROLS)


@pytest.mark.parametrize("kind", CONTROLS)
def test_every_control_gives_layers_of_float32_for_every_word(kind, table):
    runs = {"b": table(WORDS), "a": table([]), "c": table(["", "x"])}
    answers = list(MODELS[kind]().activations(runs, study_dir=Path()))
    assert [a.run for a in answers] == ["b", "a", "c"]
    for answer in answers:
        assert answer.values.dtype == np.float32 and answer.values.ndim == 3
        assert answer.values.shape[:2] == (len(runs[answer.run]), len(answers[0].layers))
        assert answer.layers == tuple(range(len(answer.layers))) and answer.seeds == ()
        assert np.isfinite(answer.values).all()
        assert answer.facts["n_words"] == len(runs[answer.run])


@pytest.mark.parametrize("kind", CONTROLS)
def test_controls_have_no_files_and_no_problems(kind):
    model = MODELS[kind]()
    assert model.files(Path()) == [] and model.problems(Path()) == []
    assert model.kind == kind


@pytest.mark.parametrize("kind", CONTROLS)
def test_every_fact_is_a_number_or_a_text(kind, table):
    (answer,) = MODELS[kind]().activations({"run1": table(WORDS)}, study_dir=Path())
    assert all(type(value) in (str, int, float) for value in answer.facts.values())


def test_word_rate_is_one_for_every_word(table):
    assert features("wordrate", table(WORDS)).tolist() == [[1.0]] * 8


def test_word_length_counts_characters(table):
    assert features("wordlength", table(["otter", "I", "", "café"])).ravel().tolist() == [5, 1, 0, 4]


def test_position_is_a_function_of_time_alone(table):
    words = table(["a"] * 101)
    words["onset"] = np.linspace(5.0, 105.0, 101)
    words["duration"] = 0.0
    share, square, settling, log = features("position", words).T
    np.testing.assert_allclose(share, np.linspace(0, 1, 101), atol=1e-6)
    np.testing.assert_allclose(square, share**2, atol=1e-6)
    assert settling[20] == pytest.approx(np.exp(-1))
    assert log[100] == pytest.approx(np.log(101))
    assert MODELS["position"]().sampled == "state"


@pytest.mark.parametrize("within", ["sentence", "passage"])
def test_position_within_a_stretch_counts_words_and_begins_anew(within, table):
    words = table(WORDS[:6], **{within: ["a", "a", "a", "b", "a", "a"]})
    log2, log3, third = np.log(2), np.log(3), 1 / 3
    expected = [
        [1, 0, third, 1, 0],
        [2, log2, 2 * third, 0, 0],
        [3, log3, 1, 0, 1],
        [1, 0, 1, 1, 1],
        [1, 0, 0.5, 1, 0],
        [2, log2, 1, 0, 1],
    ]
    np.testing.assert_allclose(features("position", words, within=within), expected, rtol=1e-6)


def test_position_within_a_stretch_does_not_know_the_time(table):
    words = table(WORDS, sentence=list("aaabbbcc"))
    late = words.assign(onset=words["onset"] ** 2 + 7)
    assert (features("position", words, within="sentence") == features("position", late, within="sentence")).all()


def test_position_in_the_story_does_not_know_its_sentences(table):
    cut = table(WORDS, sentence=list("aaabbbcc"))
    assert (features("position", cut) == features("position", table(WORDS))).all()


def test_position_is_a_state_in_the_story_and_an_event_in_a_sentence():
    assert [MODELS["position"](within=w).sampled for w in ("story", "passage", "sentence")] == [
        "state",
        "event",
        "event",
    ]


def test_position_in_sentences_that_nobody_marked_is_refused(table):
    with pytest.raises(StudyError) as caught:
        features("position", table(WORDS), within="sentence")
    (problem,) = caught.value.problems
    assert problem.code == "E-WORDS-10" and problem.field == "sentence" and "run1" in problem.summary


def test_the_same_word_has_the_same_direction_in_any_case_and_other_words_hardly_overlap(table):
    values = features("tokens", table(WORDS))
    overlap = values @ values.T
    np.testing.assert_allclose(np.diag(overlap), 1.0, rtol=1e-5)
    assert (values[0] == values[4]).all()
    apart = overlap[~(np.eye(8, dtype=bool) | np.isclose(overlap, 1))]
    assert np.abs(apart).max() < 5 / np.sqrt(512)


def test_directions_do_not_depend_on_the_process(table):
    code = "from pipeline.models.controls import _direction; print((_direction('otter', 20) > 0).astype(int).tolist())"
    told = {
        subprocess.run(
            [sys.executable, "-c", code], env={"PYTHONHASHSEED": seed}, capture_output=True, text=True
        ).stdout
        for seed in ("1", "2")
    }
    assert told == {"[0, 1, 0, 0, 1, 0, 1, 1, 0, 1, 1, 0, 1, 1, 1, 1, 1, 1, 1, 0]\n"}
