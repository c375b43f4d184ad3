"""The columns of `runs.tsv` that say how images were made and what was heard in them."""

from pathlib import Path

import pytest

from pipeline.datasets.manifest import Manifest
from pipeline.problems import Problem, StudyError
from pipeline.runs import Run

STUDY = Path("study")
HEADER = "subject\trun\trecording\tresponses\twords\trepeat\tconfounds\tevents\traw\tspace\taudio"
FILES = ("r1.nii.gz", "r2.nii.gz", "w.tsv", "c1.tsv", "c2.tsv", "e.tsv", "a.wav")


@pytest.fixture
def lab(tmp_path: Path) -> Path:
    for name in FILES:
        (tmp_path / name).touch()
    return tmp_path


def manifest(lab: Path, *rows: str, header: str = HEADER) -> Manifest:
    lines = [header, *(row.replace(" ", "\t") for row in rows)]
    (lab / "runs.tsv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    return Manifest(root=str(lab))


def told(dataset: Manifest) -> dict[str, Problem]:
    try:
        return {p.code: p for p in dataset.problems(STUDY)}
    except StudyError as error:
        return {p.code: p for p in error.problems}


def test_every_column_reaches_the_run(lab):
    dataset = manifest(lab, "01 a fmri r1.nii.gz w.tsv 1 c1.tsv e.tsv yes T1w a.wav")
    run = Run(
        "01", "a", "fmri", ("r1.nii.gz",), "w.tsv", confounds=("c1.tsv",), events="e.tsv", audio="a.wav", raw=True, space="T1w"
    )  # fmt: skip
    assert dataset.runs(STUDY) == [run] and told(dataset) == {}


def test_columns_that_are_not_there_say_nothing(lab):
    header = "subject\trun\trecording\tresponses\twords"
    assert manifest(lab, "01 a fmri r1.nii.gz w.tsv", header=header).runs(STUDY) == [
        Run("01", "a", "fmri", ("r1.nii.gz",), "w.tsv")
    ]


def test_blank_cells_say_nothing(lab):
    dataset = manifest(lab, "01 a fmri r1.nii.gz w.tsv n/a n/a n/a n/a n/a n/a")
    assert dataset.runs(STUDY) == [Run("01", "a", "fmri", ("r1.nii.gz",), "w.tsv")] and told(dataset) == {}


def test_confounds_stand_in_the_order_of_presentations(lab):
    dataset = manifest(
        lab, "01 a fmri r2.nii.gz w.tsv 10 c2.tsv n/a no MNI n/a", "01 a fmri r1.nii.gz w.tsv 2 c1.tsv n/a no MNI n/a"
    )
    (run,) = dataset.runs(STUDY)
    assert run.responses == ("r1.nii.gz", "r2.nii.gz") and run.confounds == ("c1.tsv", "c2.tsv")


def test_confounds_of_some_presentations_only_are_refused(lab):
    dataset = manifest(
        lab, "01 a fmri r1.nii.gz w.tsv 1 c1.tsv n/a no MNI n/a", "01 a fmri r2.nii.gz w.tsv 2 n/a n/a no MNI n/a"
    )
    problem = told(dataset)["E-DATA-13"]
    assert problem.field == "confounds, row 3" and problem.subject == "01" and "r2.nii.gz" in problem.found


@pytest.mark.parametrize("words", ["n/a", ""])
def test_events_alone_will_do(lab, words):
    dataset = manifest(lab, f"01 a fmri r1.nii.gz {words} 1 n/a e.tsv no MNI n/a")
    assert dataset.runs(STUDY)[0].words == "" and dataset.runs(STUDY)[0].events == "e.tsv" and told(dataset) == {}


def test_a_manifest_of_events_needs_no_column_of_words(lab):
    dataset = manifest(lab, "01 a fmri r1.nii.gz e.tsv", header="subject\trun\trecording\tresponses\tevents")
    assert dataset.runs(STUDY)[0].words == "" and told(dataset) == {}
    missing = manifest(lab, "01 a fmri r1.nii.gz", header="subject\trun\trecording\tresponses")
    assert told(missing)["E-DATA-01"].field == "words"


def test_neither_words_nor_events_is_refused(lab):
    problem = told(manifest(lab, "01 a fmri r1.nii.gz n/a 1 n/a n/a no MNI n/a"))["E-DATA-12"]
    assert problem.field == "words" and "events" in problem.fix


@pytest.mark.parametrize("name", ["c1.tsv", "e.tsv", "a.wav"])
def test_a_file_that_is_not_there_is_told_with_the_nearest(lab, name):
    dataset = manifest(lab, "01 a fmri r1.nii.gz w.tsv 1 c1.tsv e.tsv no T1w a.wav".replace(name, f"x{name}"))
    problem = told(dataset)["E-DATA-23"]
    assert problem.file == f"x{name}" and problem.subject == "01" and "did you mean" in problem.fix


def test_raw_is_yes_or_no(lab):
    dataset = manifest(lab, "01 a fmri r1.nii.gz w.tsv 1 n/a n/a perhaps MNI n/a")
    problem = told(dataset)["E-DATA-07"]
    assert problem.field == "raw, row 2" and "'perhaps'" in problem.found
    with pytest.raises(StudyError):
        dataset.runs(STUDY)


@pytest.mark.parametrize(("column", "other"), [(7, "w.tsv"), (8, "yes"), (9, "T1w"), (10, "r1.nii.gz")])
def test_presentations_differ_in_nothing_but_their_files(lab, column, other):
    first = ["01", "a", "fmri", "r1.nii.gz", "w.tsv", "1", "c1.tsv", "e.tsv", "no", "MNI", "a.wav"]
    second = [*first[:3], "r2.nii.gz", "w.tsv", "2", "c2.tsv", *first[7:]]
    assert told(manifest(lab, " ".join(first), " ".join(second))) == {}
    second[column] = other
    problem = told(manifest(lab, " ".join(first), " ".join(second)))["E-DATA-11"]
    assert problem.field == f"{HEADER.split(chr(9))[column]}, rows 2, 3"


def test_an_unknown_column_is_told_with_the_nearest_known(lab):
    header = HEADER.replace("confounds", "confound")
    assert (
        told(manifest(lab, "01 a fmri r1.nii.gz w.tsv 1 c1.tsv e.tsv no T1w a.wav", header=header))["W-DATA-04"].fix
        == "did you mean 'confounds'?"
    )


def test_a_thousand_runs_are_read_in_a_second(lab):
    import time

    rows = [f"s{s} r{r} fmri r1.nii.gz w.tsv 1 c1.tsv n/a no MNI n/a" for s in range(50) for r in range(20)]
    dataset = manifest(lab, *rows)
    start = time.perf_counter()
    assert len(dataset.runs(STUDY)) == 1000
    assert time.perf_counter() - start < 1.0 * 5  # five times what it should take: the machine may be busy


def test_only_runs_of_the_chosen_split_are_taken(lab):
    header = "subject\trun\trecording\tresponses\twords\tsplit"
    whole = manifest(lab, "01 a fmri r1.nii.gz w.tsv train", "01 b fmri r2.nii.gz w.tsv test", header=header)
    assert [run.run for run in whole.runs(STUDY)] == ["a", "b"]
    assert [run.run for run in whole.model_copy(update={"splits": ("train",)}).runs(STUDY)] == ["a"]


def test_a_split_that_no_run_has_is_told(lab):
    manifest(lab, "01 a fmri r1.nii.gz w.tsv n/a n/a n/a n/a n/a n/a")
    problem = told(Manifest(root=str(lab), splits=("test",)))["E-DATA-10"]
    assert "test" in problem.expected and "dataset.splits" in problem.fix
