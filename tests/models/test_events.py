"""Types of events: one feature each, the same columns in every run."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from pydantic import ValidationError

from pipeline.models import MODELS
from pipeline.problems import StudyError


def events(*types, **columns):
    """A table as BIDS has it: an event every two seconds."""
    onset = [2.0 * i for i in range(len(types))]
    return pd.DataFrame({"onset": onset, "duration": 0.5, "trial_type": pd.Series(types, dtype=object)} | columns)


def read(runs, **settings):
    return list(MODELS["events"](**settings).activations(runs, study_dir=Path()))


def refusal(runs, **settings):
    with pytest.raises(StudyError) as caught:
        read(runs, **settings)
    (problem,) = caught.value.problems
    return problem


def test_each_event_is_one_at_its_type():
    (answer,) = read({"a": events("go", "stop", "go", "catch")})
    assert answer.values[:, 0].tolist() == [[0, 1, 0], [0, 0, 1], [0, 1, 0], [1, 0, 0]]  # catch, go, stop
    assert json.loads(answer.facts["types"]) == ["catch", "go", "stop"]


def test_every_run_has_the_columns_of_all_runs():
    first, second = read({"a": events("go", "go"), "b": events("stop")})
    assert first.values[:, 0].tolist() == [[1, 0], [1, 0]]
    assert second.values[:, 0].tolist() == [[0, 1]]


def test_columns_do_not_depend_on_the_order_of_runs_or_events():
    runs = {"a": events("x", "y"), "b": events("z", "x")}
    forth, back = read(runs), read(dict(reversed(runs.items())))
    assert [a.run for a in back] == ["b", "a"]
    assert all((a.values == b.values).all() for a, b in zip(forth, reversed(back), strict=True))


def test_chosen_types_become_features_and_the_others_are_counted():
    (answer,) = read({"a": events("go", "stop", "catch", "go")}, types=("stop", "go"))
    assert answer.values[:, 0].tolist() == [[1, 0], [0, 1], [0, 0], [1, 0]]
    assert answer.facts["n_left_out"] == 1 and answer.facts["n_words"] == 4


@pytest.mark.parametrize("blank", ["", " ", "n/a", None, float("nan")])
def test_an_event_without_a_type_is_zero_and_counted(blank):
    (answer,) = read({"a": events("go", blank)})
    assert answer.values[:, 0].tolist() == [[1], [0]]
    assert answer.facts["n_left_out"] == 1


def test_codes_read_as_numbers_are_the_types_that_stand_in_the_file():
    (answer,) = read({"a": pd.DataFrame({"onset": [0.0, 2, 4], "duration": 0.0, "trial_type": [3.0, np.nan, 10.0]})})
    assert json.loads(answer.facts["types"]) == ["10", "3"]
    assert answer.values[:, 0].tolist() == [[0, 1], [0, 0], [1, 0]]


def test_without_types_the_words_are_the_types(table):
    (answer,) = read({"a": table("go stop go")})
    assert answer.values[:, 0].tolist() == [[1, 0], [0, 1], [1, 0]]


@pytest.mark.parametrize("word", ["null", "NA", "nan", "None"])
def test_words_that_look_like_nothing_are_words(word, table):
    (answer,) = read({"a": table([word, "go"])})
    assert answer.facts["n_left_out"] == 0


def test_types_outrank_words(table):
    (answer,) = read({"a": table("he she", trial_type=["go", "go"])})
    assert answer.values[:, 0].tolist() == [[1], [1]]


def test_a_run_without_events_has_the_columns_and_no_rows():
    answers = read({"a": events("go", "stop"), "b": events()})
    assert answers[1].values.shape == (0, 1, 2) and answers[1].facts["n_words"] == 0


def test_an_unknown_type_is_refused_with_the_known():
    problem = refusal({"a": events("go", "stop")}, types=("go", "Stop", "start"))
    assert problem.code == "E-MODEL-18" and problem.field == "types"
    assert "'Stop'" in problem.found and "'start'" in problem.found and "'go'" not in problem.found
    assert "['go', 'stop']" in problem.expected


def test_events_that_all_lack_a_type_are_refused():
    problem = refusal({"a": events("", "n/a"), "b": events()})
    assert problem.code == "E-MODEL-18" and "no event has a type" in problem.summary


def test_a_type_for_every_event_of_very_many_is_refused(monkeypatch):
    monkeypatch.setattr("pipeline.models.events._LARGEST", 99)
    problem = refusal({"a": events(*map(str, range(10)))})
    assert problem.code == "E-MODEL-19" and "10 types of 10 events" in problem.found


def test_no_types_at_all_cannot_be_chosen():
    with pytest.raises(ValidationError):
        MODELS["events"](types=())


def test_events_alone_read_the_table_of_events():
    assert [kind for kind, model in MODELS.items() if model.reads == "events"] == ["events"]
    assert MODELS["events"].reads == "events" and MODELS["events"]().sampled == "event"
