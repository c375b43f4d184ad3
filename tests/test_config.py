from pathlib import Path

import pytest
from laboratory import REPOSITORY, Laboratory

from pipeline.config import Study, schema
from pipeline.problems import StudyError


@pytest.mark.parametrize("path", sorted((REPOSITORY / "configs").glob("*.yaml")), ids=lambda p: p.name)
def test_every_study_that_ships_is_valid(path: Path):
    study = Study.from_yaml(path)
    assert Study.from_told(study.told()) == study


def test_the_schema_for_editors_is_in_step():
    assert (REPOSITORY / "configs" / "schema.json").read_text(encoding="utf-8") == schema()


def told(laboratory: Laboratory, *changes: str) -> str:
    with pytest.raises(StudyError) as error:
        Study.from_yaml(laboratory.study, changes)
    assert error.value.exit_code == 2
    return str(error.value)


def test_all_mistakes_of_a_study_come_in_one_list(laboratory):
    laboratory.write_study(
        subjects="[010, a b]", recordings="{bold: {kind: arrays, dleays: [1]}}", encoding="{split: loro}", modles="{}"
    )
    message = told(laboratory)
    assert "5 problems" in message
    assert 'subjects[0] (line 8): 010 is a number in YAML; quote it: "010"' in message
    assert "recordings.bold.dleays (line 3): unknown setting; did you mean 'delays'?" in message
    assert (
        "encoding.split (line 5): 'loro' is not known; known: 'contiguous', 'given', 'leave_one_run_out', 'shuffled'"
        in message
    )
    assert "modles (line 9): unknown setting; did you mean 'models'?" in message


@pytest.mark.parametrize(
    "label",
    [
        "../x",
        "$(touch pwned)",
        "a b",
        "a/b",
        "",
        "x" * 300,
        "a\x00b",
        "<script>",
        "a;b",
        "é",
        "-rf",
        "sub-",
        "~",
        "a.b",
        "a_b",
        "*",
    ],
)
def test_hostile_labels_never_become_paths(laboratory, label):
    import json

    laboratory.write_study(study=json.dumps(label))
    assert "is no label" in told(laboratory) or "characters" in told(laboratory)


def test_a_subject_may_carry_its_bids_prefix(laboratory):
    laboratory.write_study(subjects='["sub-01"]')
    assert Study.from_yaml(laboratory.study).subjects == ("01",)


def test_subjects_that_differ_in_case_only_are_refused(laboratory):
    laboratory.write_study(subjects='["S1", "s1"]')
    assert "same label but for case" in told(laboratory)


def test_a_shuffled_split_must_be_asked_for_twice(laboratory):
    laboratory.write_study(encoding="{split: shuffled}")
    assert "allow_leaky" in told(laboratory)
    laboratory.write_study(encoding="{split: shuffled, allow_leaky: true}")
    assert Study.from_yaml(laboratory.study).leaky()


def test_a_contrast_names_models_that_exist(laboratory):
    assert "'gpt9', which is not among the models: rate, length" in told(
        laboratory, "comparison.contrasts=[[rate, gpt9]]"
    )


def test_changes_on_the_command_line_are_merged_before_they_are_checked(laboratory):
    study = Study.from_yaml(laboratory.study, ("encoding.inner_folds=3", "seed=7"))
    assert (study.encoding.inner_folds, study.seed) == (3, 7)
    assert "encoding.fold: " not in told(laboratory, "encoding.fold=4")
    assert "did you mean 'folds'" in told(laboratory, "encoding.fold=4")
    assert "KEY=VALUE" in told(laboratory, "nonsense")


def test_a_study_that_extends_another_may_leave_models_out_and_no_whole_section(laboratory):
    child = laboratory.root / "child.yaml"
    child.write_text("extends: study.yaml\nmodels: {length: null}\ncomparison: {contrasts: null}\n")
    assert list(Study.from_yaml(child).models) == ["rate"]
    child.write_text("extends: study.yaml\nencoding:\n")
    with pytest.raises(StudyError, match="encoding"):
        Study.from_yaml(child)


def test_a_study_may_extend_another(laboratory):
    child = laboratory.root / "child.yaml"
    child.write_text("extends: study.yaml\nstudy: child\ncomparison: {fdr: 0.01}\n")
    study = Study.from_yaml(child)
    assert (study.study, study.comparison.fdr, study.comparison.permutations) == ("child", 0.01, 200)
    child.write_text("extends: child.yaml\n")
    with pytest.raises(StudyError, match="extends itself"):
        Study.from_yaml(child)


def test_a_component_of_another_kind_does_not_inherit_settings_of_the_old_one(laboratory):
    child = laboratory.root / "child.yaml"
    child.write_text("extends: study.yaml\nrecordings: {bold: {kind: fmri}}\n")
    assert Study.from_yaml(child).recordings["bold"].delays == (1, 2, 3, 4)


def test_subjects_of_a_stage_setting_do_not_tie_people_to_each_other(laboratory):
    one = Study.from_yaml(laboratory.study, ('subjects=["01"]',))
    both = Study.from_yaml(laboratory.study, ('subjects=["01", "02"]',))
    for stage in ("words", "clean", "encode", "ceiling", "compare"):
        assert one.for_stage(stage, recording="bold", model="rate") == both.for_stage(
            stage, recording="bold", model="rate"
        )


def test_no_setting_of_a_stage_holds_the_place_of_the_data(laboratory, monkeypatch):
    laboratory.write_study(dataset='{kind: manifest, root: "${LAB:-lab}"}')
    before = Study.from_yaml(laboratory.study).for_stage("clean", recording="bold")
    monkeypatch.setenv("LAB", str(laboratory.data))
    assert Study.from_yaml(laboratory.study).for_stage("clean", recording="bold") == before


@pytest.mark.parametrize(
    ("models", "scanned"),
    [
        ("{place: {kind: position}}", ""),
        ("{place: {kind: position}, rate: {kind: wordrate}}", "rate"),
        ("{rate: {kind: wordrate}, net: {kind: transformer, name: x}}", "net"),
    ],
)
def test_the_lag_scan_is_of_the_first_network_and_never_of_a_state(laboratory, models, scanned):
    laboratory.write_study(models=models, comparison="{}", report="{}")
    assert Study.from_yaml(laboratory.study).scanned() == scanned
