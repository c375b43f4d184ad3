import textwrap
from pathlib import Path
from typing import Literal

import pytest
from pydantic import Field, ValidationError

from pipeline.problems import StudyError
from pipeline.settings import Label, Settings, expand, explain, one_of, read_yaml


class Apple(Settings):
    kind: Literal["apple"] = "apple"
    delays: tuple[int, ...] = (1, 2)
    how: Literal["raw", "baked"] = "raw"


class Pear(Settings):
    kind: Literal["pear"] = "pear"
    rate: float = 1.0


class Basket(Settings):
    study: Label
    subjects: tuple[Label, ...] = ()
    fruit: dict[Label, one_of({"apple": Apple, "pear": Pear})] = Field(default_factory=dict)
    rate: float = 1.0


def problems(tmp_path: Path, text: str) -> list[str]:
    path = tmp_path / "basket.yaml"
    path.write_text(textwrap.dedent(text), encoding="utf-8")
    source = read_yaml(path)
    try:
        Basket.model_validate(source.data)
    except ValidationError as error:
        return explain(error, Basket, source)
    return []


def test_every_mistake_is_told_at_once_with_its_line_and_the_nearest_name(tmp_path):
    told = problems(
        tmp_path,
        """\
        study: x
        subjects: [057, "01"]
        fruit:
          one: {kind: apple, dleays: [1], how: bakd}
          two: {kind: pare}
        """,
    )
    assert told == [
        'subjects[0] (line 2): 057 is a number in YAML; quote it: "057"',
        "fruit.one.how (line 4): 'bakd' is not known; known: 'baked', 'raw'; did you mean 'baked'?",
        "fruit.one.dleays (line 4): unknown setting; did you mean 'delays'?",
        "fruit.two (line 5): kind 'pare' is not known; known: 'apple', 'pear'; did you mean 'pear'?",
    ]


def test_a_component_without_a_kind_is_told_the_known_ones(tmp_path):
    told = problems(tmp_path, "study: x\nfruit: {one: {rate: 2}}\n")
    assert told == ["fruit.one (line 2): has no 'kind'; known: 'apple', 'pear'"]


@pytest.mark.parametrize(
    ("written", "value"),
    [("1e-3", 0.001), ("1.0e+8", 1e8), ("010", 10.0), (".5", 0.5), ("-2", -2.0), ("1E5", 1e5)],
)
def test_numbers_are_read_as_yaml_1_2_has_them(tmp_path, written, value):
    path = tmp_path / "a.yaml"
    path.write_text(f"rate: {written}\n")
    assert read_yaml(path).data == {"rate": value}


@pytest.mark.parametrize("word", ["off", "on", "yes", "no", "1e", "0x1F", "12:30:45", "2001-01-01"])
def test_what_is_no_number_stays_text(tmp_path, word):
    path = tmp_path / "a.yaml"
    path.write_text(f"task: {word}\n")
    assert read_yaml(path).data == {"task": word}


def test_a_key_set_twice_is_refused_with_both_lines(tmp_path):
    path = tmp_path / "a.yaml"
    path.write_text("study: a\nmodels:\n  m: 1\nstudy: b\n")
    with pytest.raises(StudyError, match=r"study \(line 4\): set twice; the first is in line 1"):
        read_yaml(path)


@pytest.mark.parametrize("payload", ["!!python/object/apply:os.system ['true']", "!mine 3", "!!python/name:os.system"])
def test_tags_are_data_and_never_run(tmp_path, payload):
    path = tmp_path / "a.yaml"
    path.write_text(f"study: {payload}\n")
    with pytest.raises(StudyError, match=r"tag .* is not allowed"):
        read_yaml(path)


def test_aliases_that_expand_without_end_are_refused(tmp_path):
    lines = ["a: &a [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"{c}: &{c} [{', '.join([f'*{b}'] * 10)}]" for b, c in zip("abcdefg", "bcdefgh", strict=True)]
    path = tmp_path / "bomb.yaml"
    path.write_text("\n".join(lines))
    with pytest.raises(StudyError, match="no study file"):
        read_yaml(path)


@pytest.mark.parametrize("text", ["study: [1, 2", "\tstudy: a", "study: 'a"])
def test_broken_yaml_is_told_with_its_line(tmp_path, text):
    path = tmp_path / "a.yaml"
    path.write_text(text)
    with pytest.raises(StudyError, match="line 1"):
        read_yaml(path)


def test_paths_take_variables_defaults_and_the_study_folder(monkeypatch, tmp_path):
    monkeypatch.setenv("CORPUS", "here")
    monkeypatch.delenv("NOWHERE", raising=False)
    assert expand("${CORPUS}/x") == "here/x"
    assert expand("${NOWHERE:-data/raw}/x") == "data/raw/x"
    assert expand("${STUDY}/made", tmp_path) == f"{tmp_path}/made"
    with pytest.raises(StudyError, match="NOWHERE"):
        expand("${NOWHERE}/x")


def test_settings_are_frozen_and_their_dump_carries_the_version():
    apple = Apple()
    with pytest.raises(ValidationError):
        apple.how = "baked"
    assert apple.dump() == {"kind": "apple", "delays": [1, 2], "how": "raw", "version": 1}
