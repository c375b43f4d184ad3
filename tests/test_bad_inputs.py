"""Bad words, tables, arrays and studies: each is told by file, field, value and fix, before any heavy step."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from laboratory import Laboratory

from pipeline.checks import check
from pipeline.config import Study
from pipeline.problems import Problem, StudyError


@pytest.fixture(autouse=True)
def _here(laboratory: Laboratory, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(laboratory.root)


def problems(laboratory: Laboratory) -> list[Problem]:
    try:
        study = Study.from_yaml(laboratory.study)
        return check(study, Path("out") / study.study)
    except StudyError as error:
        return list(error.problems)


def rows(laboratory: Laboratory, story: str = "a") -> list[list[str]]:
    return [line.split("\t") for line in (laboratory.data / "words" / f"{story}.tsv").read_text().splitlines()[1:]]


def spoil_words(
    change: Callable[[list[list[str]]], object], header: str = "onset\tduration\tword"
) -> Callable[[Laboratory], None]:
    def spoil(laboratory: Laboratory) -> None:
        table = rows(laboratory)
        change(table)
        laboratory.words("a", table, header)

    return spoil


def cell(row: int, column: int, value: str) -> Callable[[list[list[str]]], object]:
    return lambda table: table[row].__setitem__(column, value)


def raw_words(data: bytes) -> Callable[[Laboratory], None]:
    return lambda laboratory: (laboratory.data / "words" / "a.tsv").write_bytes(data)


def array(change: Callable[[np.ndarray], np.ndarray], subject: str = "01") -> Callable[[Laboratory], None]:
    def spoil(laboratory: Laboratory) -> None:
        path = laboratory.data / f"sub-{subject}" / "a.npy"
        np.save(path, change(np.load(path)))

    return spoil


def raw_array(data: bytes) -> Callable[[Laboratory], None]:
    return lambda laboratory: (laboratory.data / "sub-01" / "a.npy").write_bytes(data)


def table(old: str, new: str, count: int = 1) -> Callable[[Laboratory], None]:
    def spoil(laboratory: Laboratory) -> None:
        text = laboratory.runs_text()
        assert old in text
        laboratory.runs(text.replace(old, new, count))

    return spoil


def study(**sections: str) -> Callable[[Laboratory], None]:
    return lambda laboratory: laboratory.write_study(**sections)


def shift(ms: float) -> Callable[[list[list[str]]], object]:
    def change(table: list[list[str]]) -> None:
        for row in table:
            row[0] = f"{float(row[0]) * ms:.1f}"

    return change


def targets(text: str) -> Callable[[Laboratory], None]:
    return lambda laboratory: (laboratory.data / "targets.tsv").write_text(text)


def other_onsets(laboratory: Laboratory) -> None:
    late = [[f"{float(t) + 0.5:.3f}", d, w] for t, d, w in rows(laboratory)]
    laboratory.words("late", late)
    table("02\ta\tbold\tsub-02/a.npy\twords/a.tsv", "02\ta\tbold\tsub-02/a.npy\twords/late.tsv")(laboratory)


def start_in_ms(laboratory: Laboratory) -> None:
    lines = laboratory.runs_text().splitlines()
    laboratory.runs("\n".join([lines[0] + "\tstart_s", *(line + "\t10000" for line in lines[1:])]))


def quoted_csv(laboratory: Laboratory) -> None:
    text = "onset,duration,word\n" + "\n".join(",".join(row) for row in rows(laboratory))
    (laboratory.data / "words" / "a.csv").write_text(text.replace(",word1\n", ',"wo\nrd"\n', 1))
    table("words/a.tsv", "words/a.csv", 9)(laboratory)


def headerless(laboratory: Laboratory) -> None:
    np.savetxt(laboratory.data / "sub-01" / "a.tsv", np.load(laboratory.data / "sub-01" / "a.npy"), delimiter="\t")
    table("sub-01/a.npy", "sub-01/a.tsv")(laboratory)


# row of the specification, how it is spoilt, the code, and what the message must hold
REFUSED = {
    "17 no onset": (spoil_words(lambda t: None, "start\tduration\tword"), "E-WORDS-01", ["words/a.tsv", "onset", "'start'"]),
    "17 no word": (spoil_words(lambda t: None, "onset\tduration\ttext"), "E-WORDS-01", ["words/a.tsv", "'text'"]),
    "18 onset n/a": (spoil_words(cell(4, 0, "n/a")), "E-WORDS-02", ["words/a.tsv", "row 6", "'n/a'", "seconds"]),
    "18 onset text": (spoil_words(cell(0, 0, "soon")), "E-WORDS-02", ["onset, row 2", "'soon'"]),
    "18 onset infinite": (spoil_words(cell(0, 0, "inf")), "E-WORDS-02", ["onset, row 2", "'inf'"]),
    "19 negative onset": (spoil_words(cell(0, 0, "-30")), "E-WORDS-03", ["words/a.tsv", "row 2", "-30", "start_s"]),
    "22 negative duration": (spoil_words(cell(2, 1, "-0.5")), "E-WORDS-04", ["duration, row 4", "-0.5", "0 s or more"]),
    "23 milliseconds": (spoil_words(shift(1000)), "E-WORDS-05", ["words/a.tsv", "240 s", "milliseconds", "1000"]),
    "24 beyond the run": (spoil_words(shift(1.5)), "E-WORDS-05", ["words/a.tsv", "240 s", "outside"]),
    "27 utf-16": (raw_words("onset\tduration\tword\n1\t1\té\n".encode("utf-16")), "E-WORDS-22", ["byte 0", "UTF-16", "iconv"]),
    "27 latin-1": (raw_words("onset\tduration\tword\n1\t1\té\n".encode("latin-1")), "E-WORDS-22", ["byte 24", "Latin-1", "iconv"]),
    "27 tab in a word": (spoil_words(cell(1, 2, "a\tb")), "E-WORDS-25", ["words/a.tsv", "rows [3]", "3 cells"]),
    "34 no words": (raw_words(b"onset\tduration\tword\n"), "E-WORDS-07", ["words/a.tsv", "0 rows", "runs.tsv"]),
    "34 empty file": (raw_words(b""), "E-WORDS-20", ["words/a.tsv", "empty"]),
    "35 other text for one": (
        table("02\ta\tbold\tsub-02/a.npy\twords/a.tsv", "02\ta\tbold\tsub-02/a.npy\twords/b.tsv"),
        "E-WORDS-08", ["run a", "words/a.tsv (subject 01)", "words/b.tsv (subject 02)", "run labels"],
    ),
    "35 other onsets for one": (other_onsets, "E-WORDS-08", ["run a", "words/a.tsv (subject 01)", "words/late.tsv (subject 02)"]),
    "19 start_s in milliseconds": (start_in_ms, "E-WORDS-03", ["words/a.tsv", "start_s", "words, the first at"]),
    "27 a line break in a word": (quoted_csv, "E-WORDS-09", ["words/a.csv", "row 3", "one word"]),
    "no target column": (targets("name\troi\nt0\tx\n"), "E-DATA-01", ["targets.tsv", "'target'"]),
    "an unknown region": (study(comparison="{rois: [nowhere]}"), "E-CONFIG-21", ["nowhere", "driven", "noise"]),
    "delays beyond a run": (study(recordings="{bold: {kind: arrays, delays: [130]}}"), "E-SPLIT-03", ["130", "120 samples"]),
    "numbers for names": (headerless, "E-ARRAY-02", ["a.tsv", "first line"]),
    "36 a stimulus trains and tests": (table("sub-01/c.npy\twords/c.tsv", "sub-01/c.npy\twords/a.tsv"), "E-SPLIT-01", ["a and c", "repeat"]),
    "44 one run": (study(encoding="{split: leave_one_run_out}") , "E-SPLIT-02", ["subject 01", "1 run", "contiguous"]),
    "44 nothing tests": (table("\ttest\t", "\ttrain\t", 9), "E-SPLIT-02", ["given", "['train']"]),
    "45 blocks shorter than delays": (
        study(encoding="{split: contiguous, folds: 120, gap_s: 0}", recordings="{bold: {kind: arrays, delays: [1, 4]}}"), "E-SPLIT-03", ["delays of up to 4", "fewer folds"],
    ),
    "77 absent subject": (study(subjects='["01", "09"]'), "E-DATA-30", ["09", "01, 02"]),
    "78 label with a path": (table("01\ta\tbold", "../01\ta\tbold"), "E-DATA-05", ["runs.tsv", "subject, row 2", "'../01'", "letters and digits"]),
    "78 label with a shell": (table("\ta\tbold", "\t$(touch x)\tbold"), "E-DATA-05", ["run, row", "'$(touch x)'"]),
    "77 labels differ in case": (table("02\tb\tbold", "02\tA\tbold"), "E-DATA-06", ["('A', 'a')", "rename"]),
    "a run twice": (table("01\tb\tbold\tsub-01/b.npy\twords/b.tsv", "01\ta\tbold\tsub-01/a.npy\twords/a.tsv"), "E-DATA-09", ["runs.tsv", "rows 2, 4", "repeat"]),
    "no responses column": (table("responses", "response"), "E-DATA-01", ["'responses'", "did you mean 'response'"]),
    "a missing file": (table("sub-01/a.npy", "sub-01/aa.npy"), "E-DATA-23", ["sub-01/aa.npy", "did you mean 'a.npy'"]),
    "a missing words file": (table("words/a.tsv", "words/a.csv", 9), "E-DATA-23", ["words/a.csv", "looked in words/"]),
    "no folder": (study(dataset="{kind: manifest, root: nowhere}"), "E-DATA-02", ["dataset.root", "'nowhere'", "searched from"]),
    "no variable": (study(dataset='{kind: manifest, root: "${NO_SUCH_PLACE}/x"}'), "E-CONFIG-03", ["NO_SUCH_PLACE", "export"]),
    "unknown split": (table("\ttest\t", "\ttset\t"), "E-DATA-07", ["runs.tsv", "split, row", "'tset'", "'train', 'test' or empty"]),
    "TR in milliseconds": (table("\t2.0", "\t2000", 9), "E-DATA-08", ["tr_s", "'2000'", "looks like milliseconds: write 2"]),
    "no TR": (table("\t2.0", "\t", 9), "E-DATA-14", ["tr_s", "runs.tsv", "seconds"]),
    "TRs differ": (table("b.tsv\ttrain\t2.0", "b.tsv\ttrain\t1.5"), "E-DATA-16", ["{'b': 1.5}", "2.0"]),
    "unknown recording": (study(recordings="{meg: {kind: arrays}}"), "E-DATA-31", ["['meg']", "['bold']"]),
    "array of objects": (array(lambda Y: Y.astype(object)), "E-ARRAY-07", ["sub-01/a.npy"]),
    "array of text": (array(lambda Y: Y.astype(str)), "E-ARRAY-02", ["sub-01/a.npy", "<U", "float"]),
    "array of one dimension": (array(lambda Y: Y[:, 0]), "E-ARRAY-02", ["sub-01/a.npy", "(120,)", "(sample, target)"]),
    "truncated array": (raw_array(b"\x93NUMPY\x01\x00"), "E-ARRAY-07", ["sub-01/a.npy", "8 bytes", "copy or fetch"]),
    "empty array": (raw_array(b""), "E-ARRAY-07", ["sub-01/a.npy", "empty"]),
    "web page for an array": (raw_array(b"<!doctype html><html>404"), "E-ARRAY-07", ["web page", "download"]),
    "LFS pointer for an array": (raw_array(b"version https://git-lfs.github.com/spec/v1\n"), "E-ARRAY-07", ["pointer", "git lfs pull"]),
    "too short a run": (array(lambda Y: Y[:12]), "E-ARRAY-06", ["12 samples", "at least 30"]),
    "targets differ between runs": (array(lambda Y: Y[:, :4]), "E-ARRAY-08", ["{'a': 4}", "6, as in the other runs"]),
    "an image for an array": (table("sub-01/a.npy", "sub-01/a.nii.gz"), "E-DATA-23", ["sub-01/a.nii.gz"]),
}  # fmt: skip


def only_one_run(laboratory: Laboratory) -> None:
    laboratory.runs(
        "\n".join(line for line in laboratory.runs_text().splitlines() if "\tb\t" not in line and "\tc\t" not in line)
    )


def two_runs(laboratory: Laboratory) -> None:
    laboratory.runs("\n".join(line for line in laboratory.runs_text().splitlines() if "\tc\t" not in line))


def short_runs(laboratory: Laboratory) -> None:
    for path in laboratory.data.glob("sub-*/*.npy"):
        np.save(path, np.load(path)[:50])
    for story in "abc":
        own = [
            [*cells[:-1], cells[-1] + story] for cells in rows(laboratory, story)[:20]
        ]  # the same words would be refused
        laboratory.words(story, own, "onset\tduration\tword")


def nothing(laboratory: Laboratory) -> None:
    """The laboratory as it is: two people, of whose three runs one is tested."""


@pytest.mark.parametrize("name", REFUSED)
def test_bad_input_is_refused_by_name(laboratory, name):
    spoil, code, words = REFUSED[name]
    spoil(laboratory)
    if name == "44 one run":
        only_one_run(laboratory)
    found = [p for p in problems(laboratory) if p.code == code]
    assert found, [str(p) for p in problems(laboratory)]
    message = f"{found[0]} subject {found[0].subject}"
    assert [word for word in words if word not in message] == []
    assert found[0].level == "error" and found[0].exit_code in (2, 3)


WARNED = {
    "19 a word just before the scan": (spoil_words(cell(0, 0, "-0.5")), "W-WORDS-01", ["row 2", "-0.5"]),
    "20 unsorted": (spoil_words(lambda t: t.insert(0, t.pop(5))), "W-WORDS-02", ["words/a.tsv", "row 3", "sorted"]),
    "21 overlapping": (spoil_words(cell(3, 1, "30")), "W-WORDS-03", ["1 words overlap", "word3"]),
    "24 a few words late": (spoil_words(cell(-1, 0, "250")), "W-WORDS-04", ["250 s", "240 s", "1 of"]),
    "25 words end early": (
        spoil_words(lambda t: t.__delitem__(slice(40, None))),
        "W-WORDS-05",
        ["words/a.tsv", "% of the run"],
    ),
    "30 empty words": (spoil_words(cell(3, 2, "")), "W-WORDS-06", ["1 words are empty"]),
    "34 a single word": (spoil_words(lambda t: t.__delitem__(slice(1, None))), "W-WORDS-08", ["single word"]),
    "74 unknown column": (table("split", "splti"), "W-DATA-04", ["splti", "did you mean 'split'"]),
}


@pytest.mark.parametrize("name", WARNED)
def test_doubtful_input_goes_on_with_a_warning(laboratory, name):
    spoil, code, words = WARNED[name]
    spoil(laboratory)
    found = [p for p in problems(laboratory) if p.code == code]
    assert found, [str(p) for p in problems(laboratory)]
    assert [word for word in words if word not in str(found[0])] == []
    assert found[0].level == "warning"


FEW = {
    "one person": (
        study(subjects='["01"]'),
        "W-STAT-01",
        ["no interval", "1 person", "3 for an interval", "own tests"],
    ),
    "two people": (nothing, "W-STAT-01", ["no interval", "2 people"]),
    "one run": (only_one_run, "W-STAT-02", ["1 run tested", "blocks", "6 runs"]),
    "one tested run of three": (nothing, "W-STAT-02", ["recording bold: 1 run tested"]),
    "two runs": (two_runs, "W-STAT-02", ["2 runs tested"]),
    "short runs": (short_runs, "W-STAT-03", ["50 samples tested, at most 5 blocks of 10", "6 blocks or more"]),
}


@pytest.mark.parametrize("name", FEW)
def test_too_little_for_a_test_is_said_before_any_work_with_what_remains(laboratory, name):
    spoil, code, words = FEW[name]
    spoil(laboratory)
    if name == "one run":
        study(encoding="{split: contiguous, folds: 3}")(laboratory)
    if name == "two runs":
        study(encoding="{split: leave_one_run_out}")(laboratory)
    found = problems(laboratory)
    assert [str(p) for p in found if p.level == "error"] == []
    told = [p for p in found if p.code == code]
    assert told, [str(p) for p in found]
    assert [word for word in words if word not in str(told[0])] == []


def test_with_six_people_nothing_is_said_of_their_number(laboratory):
    more = [
        line.replace("02\t", f"{i:02d}\t", 1) for line in laboratory.runs_text().splitlines()[-3:] for i in range(3, 7)
    ]
    laboratory.runs("\n".join([laboratory.runs_text().rstrip(), *more]))
    assert [p.code for p in problems(laboratory) if p.code == "W-STAT-01"] == []


def test_a_clean_laboratory_has_no_problem(laboratory):
    assert [str(p) for p in problems(laboratory) if p.level == "error"] == []


def test_outputs_inside_the_data_set_are_refused(laboratory):
    study_ = Study.from_yaml(laboratory.study)
    found = check(study_, laboratory.data / "derivatives" / "lab")
    assert [p.code for p in found if p.level == "error"] == ["E-CONFIG-20"]
    assert "--out" in found[0].fix


def test_all_problems_of_a_data_set_are_listed_at_once(laboratory):
    spoil_words(cell(4, 0, "n/a"))(laboratory)
    array(lambda Y: Y[:12], "02")(laboratory)
    table("b.tsv\ttrain", "b.tsv\ttran", 1)(laboratory)
    found = {p.code for p in problems(laboratory)}
    assert {"E-DATA-07"} <= found
    table("b.tsv\ttran", "b.tsv\ttrain", 1)(laboratory)
    assert {"E-WORDS-02", "E-ARRAY-06"} <= {p.code for p in problems(laboratory)}


@pytest.mark.parametrize(
    "word", ["null", "NA", "nan", "None", "1", "true", '"', "naïve", "😀", "don't", "“so”", "ﬁ", "שלום", "日本"]
)
def test_odd_words_are_words(laboratory, word):
    from pipeline.words import read_words

    spoil_words(cell(4, 2, word))(laboratory)
    frame, _ = read_words(laboratory.data / "words" / "a.tsv", name="a.tsv")
    assert frame["word"].iloc[4] == word


def test_a_byte_order_mark_and_windows_line_ends_change_nothing(laboratory):
    from pipeline.words import read_words

    path = laboratory.data / "words" / "a.tsv"
    plain, _ = read_words(path, name="a.tsv")
    path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes().replace(b"\n", b"\r\n"))
    assert read_words(path, name="a.tsv")[0].equals(plain)


def test_unsorted_words_give_the_same_table_as_sorted_ones(laboratory):
    from pipeline.words import read_words

    path = laboratory.data / "words" / "a.tsv"
    plain, _ = read_words(path, name="a.tsv")
    spoil_words(lambda t: t.reverse())(laboratory)
    assert read_words(path, name="a.tsv")[0].equals(plain)


def test_missing_samples_take_out_their_target_and_not_the_others(laboratory):
    from pipeline.recordings import Arrays

    study_ = Study.from_yaml(laboratory.study)
    run = study_.dataset.runs(Path())[0]
    whole = Arrays().clean(run, laboratory.data, ())
    path = laboratory.data / "sub-01" / "a.npy"
    Y = np.pad(np.load(path), ((0, 0), (0, 30)), mode="wrap")
    np.save(path, Y)
    wide = Arrays().clean(run, laboratory.data, ())
    Y[7, 2] = np.nan
    np.save(path, Y)
    spoilt = Arrays().clean(run, laboratory.data, ())
    assert np.isnan(spoilt.responses[:, :, 2]).all() and spoilt.warnings[0].code == "W-ARRAY-03"
    np.testing.assert_array_equal(np.delete(spoilt.responses, 2, axis=2), np.delete(wide.responses, 2, axis=2))
    np.testing.assert_array_equal(wide.responses[:, :, :6], whole.responses)
