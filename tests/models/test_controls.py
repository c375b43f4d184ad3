"""Controls: what can be known of a word without knowing language."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from pipeline.models import MODELS
from pipeline.problems import StudyError

CONTROLS = [kind for kind in MODELS if kind != "transformer"]
WORDS = ["the", "otter", "swims", "across", "The", "cold", "river", "null"]


def features(kind, words, **settings):
    (answer,) = MODELS[kind](**settings).activations({"run1": words}, study_dir=Path())
    return answer.values[:, 0]


@pytest.mark.parametrize("kind", CONTROLS)
def test_every_control_gives_one_layer_of_float32_for_every_word(kind, table):
    runs = {"b": table(WORDS), "a": table([]), "c": table(["", "x"])}
    answers = list(MODELS[kind]().activations(runs, study_dir=Path()))
    assert [a.run for a in answers] == ["b", "a", "c"]
    for answer in answers:
        assert answer.values.dtype == np.float32
        assert answer.values.shape[:2] == (len(runs[answer.run]), 1)
        assert answer.layers == (0,) and answer.seeds == ()
        assert np.isfinite(answer.values).all()


@pytest.mark.parametrize("kind", CONTROLS)
def test_controls_have_no_files_and_no_problems(kind):
    model = MODELS[kind]()
    assert model.files(Path()) == [] and model.problems(Path()) == []
    assert model.kind == kind


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
    assert MODELS["position"].sampled == "state"


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


def test_oasm_knows_nothing_but_the_time(table):
    other = ["x"] * len(WORDS)
    assert (features("oasm", table(WORDS)) == features("oasm", table(other))).all()


def test_oasm_bumps_are_one_width_apart_and_as_wide(table):
    words = table(["x"] * 61)
    words["onset"] = np.arange(61.0)
    values = features("oasm", words, width_s=6.0)
    assert values.shape == (61, 11)
    assert values.argmax(axis=0).tolist() == list(range(0, 61, 6))
    assert values[6, 0] == pytest.approx(np.exp(-0.5))
    assert MODELS["oasm"].private and MODELS["oasm"].sampled == "state"


def test_oasm_of_onsets_in_milliseconds_is_refused(table):
    words = table(["x"] * 5000)
    words["onset"] = np.arange(5000.0) * 400
    with pytest.raises(StudyError, match="are the onsets in seconds"):
        features("oasm", words)
