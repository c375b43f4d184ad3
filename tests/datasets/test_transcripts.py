"""Words from what aligners write, and tables of words and events that are not in order."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from laboratory import DATA

from pipeline.problems import StudyError
from pipeline.runs import Run
from pipeline.words import against_run, read_events, read_words, stimulus

SAID = [(0.5, 0.25, "so"), (0.75, 0.5, "don't"), (2.0, 0.125, 'a "quote"')]
FRAME = pd.DataFrame(SAID, columns=["onset", "duration", "word"])


def textgrid(intervals: list[tuple[float, float, str]], short: bool, tier: str = "words", phones: bool = True) -> str:
    """A TextGrid as Praat saves it, with a tier of phones before that of words."""

    def quoted(text: str) -> str:
        return '"' + text.replace('"', '""') + '"'

    tiers = [("IntervalTier", "phones", [(0.0, 3.0, "s")])] * phones + [("IntervalTier", tier, intervals)]
    if short:
        lines = ['File type = "ooTextFile"', 'Object class = "TextGrid"', "", "0", "3", "<exists>", str(len(tiers))]
        for kind, name, rows in tiers:
            lines += [quoted(kind), quoted(name), "0", "3", str(len(rows))]
            lines += [part for a, b, text in rows for part in (repr(a), repr(b), quoted(text))]
        return "\n".join(lines) + "\n"
    lines = ['File type = "ooTextFile"', 'Object class = "TextGrid"', "", "xmin = 0 ", "xmax = 3 ", "tiers? <exists> "]
    lines += [f"size = {len(tiers)} ", "item []: "]
    for i, (kind, name, rows) in enumerate(tiers, 1):
        lines += [
            f"    item [{i}]:",
            f"        class = {quoted(kind)} ",
            f"        name = {quoted(name)} ",
            "        xmin = 0 ",
        ]
        lines += ["        xmax = 3 ", f"        intervals: size = {len(rows)} "]
        for k, (a, b, text) in enumerate(rows, 1):
            lines += [
                f"        intervals [{k}]:",
                f"            xmin = {a} ",
                f"            xmax = {b} ",
                f"            text = {quoted(text)} ",
            ]
    return "\n".join(lines) + "\n"


def spans(silences: bool = True) -> list[tuple[float, float, str]]:
    words = [(a, a + d, w) for a, d, w in SAID]
    return sorted([*words, *[(0.0, 0.5, ""), (1.25, 2.0, "sil"), (2.125, 3.0, "<sil>")] * silences])


def gentle(path: Path) -> None:
    words = [{"word": w, "alignedWord": w, "case": "success", "start": a, "end": a + d} for a, d, w in SAID]
    path.write_text(json.dumps({"transcript": "", "words": words}))


def whisper(path: Path) -> None:
    words = [{"word": f" {w}", "start": a, "end": a + d} for a, d, w in SAID]
    path.write_text(json.dumps({"segments": [{"words": words[:1]}, {"words": words[1:]}]}))


def write(path: Path, text: str, encoding: str = "utf-8") -> None:
    path.write_bytes(text.encode(encoding))


FORMATS = {
    "plain.tsv": lambda p: write(p, "onset\tduration\tword\n" + "".join(f"{a}\t{d}\t{w}\n" for a, d, w in SAID)),
    "plain.csv": lambda p: FRAME.to_csv(p, index=False),
    "spans.csv": lambda p: FRAME.assign(end=FRAME["onset"] + FRAME["duration"])[["word", "onset", "end"]]
    .rename(columns={"onset": "start"}).to_csv(p, index=False),
    "alice.csv": lambda p: FRAME.assign(tmax=FRAME["onset"] + FRAME["duration"]).drop(columns="duration")
    .rename(columns={"onset": "tmin", "word": "AUDIOTEXT"}).to_csv(p, index=False),
    "spans.tsv": lambda p: write(p, "Word\tonset\toffset\n" + "".join(f"{w}\t{a}\t{a + d}\n" for a, d, w in SAID)),
    "headless.csv": lambda p: FRAME.assign(end=FRAME["onset"] + FRAME["duration"], match="<unk>")[["word", "match", "onset", "end"]]
    .to_csv(p, index=False, header=False),
    "long.TextGrid": lambda p: write(p, textgrid(spans(), short=False)),
    "short.TextGrid": lambda p: write(p, textgrid(spans(), short=True)),
    "utf16.TextGrid": lambda p: write(p, textgrid(spans(), short=False), "utf-16"),
    "bom.TextGrid": lambda p: write(p, textgrid(spans(), short=True), "utf-8-sig"),
    "speaker.TextGrid": lambda p: write(p, textgrid(spans(), short=False, tier="Anna - words")),
    "only.TextGrid": lambda p: write(p, textgrid(spans(), short=False, tier="ORT", phones=False)),
    "gentle.json": gentle,
    "whisper.json": whisper,
    "x_events.tsv": lambda p: write(
        p, "onset\tduration\ttrial_type\tword\n0.1\t1\tcue\tn/a\n" + "".join(f"{a}\t{d}\tWord\t{w}\n" for a, d, w in SAID)
    ),
    "value_events.tsv": lambda p: write(
        p, "onset\tduration\ttrial_type\tvalue\n0.1\t1\tcue\t7\n" + "".join(f"{a}\t{d}\tword\t{w}\n" for a, d, w in SAID)
    ),
    "sentence_events.tsv": lambda p: write(
        p, "onset\tduration\ttrial_type\tword\n0.1\t1\tcue\tn/a\n" + "".join(f"{a}\t{d}\tspeech\t{w}\n" for a, d, w in SAID)
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", FORMATS)
def test_the_same_words_come_out_of_every_format(tmp_path, name):
    FORMATS[name](tmp_path / name)
    frame, problems = read_words(tmp_path / name, name=name)
    pd.testing.assert_frame_equal(frame[["onset", "duration", "word"]], FRAME, check_dtype=False)
    assert [p.code for p in problems if p.level == "error"] == []


def codes(path: Path, read=read_words) -> dict[str, str]:
    try:
        _, problems = read(path, name=path.name)
    except StudyError as error:
        problems = error.problems
    return {p.code: str(p) for p in problems}


def test_silent_intervals_are_counted(tmp_path):
    write(tmp_path / "a.TextGrid", textgrid(spans(), short=False))
    assert "3 of 6 intervals are silences" in codes(tmp_path / "a.TextGrid")["W-WORDS-13"]


def test_the_tier_that_is_read_is_told_where_none_is_called_words(tmp_path):
    write(tmp_path / "a.TextGrid", textgrid(spans(), short=False, tier="ORT"))
    assert "'phones' is read" in codes(tmp_path / "a.TextGrid")["W-WORDS-12"]
    assert read_words(tmp_path / "a.TextGrid", name="a")[0]["word"].tolist() == ["s"]


def test_words_that_gentle_did_not_find_are_left_out_and_counted(tmp_path):
    words = [
        {"word": "so", "case": "success", "start": 1, "end": 2},
        {"word": "Frederik", "case": "not-found-in-audio"},
    ]
    (tmp_path / "a.json").write_text(json.dumps({"words": words}))
    message = codes(tmp_path / "a.json")["W-WORDS-11"]
    assert "1 of 2 words have no time" in message and "Frederik" in message


def test_overlapping_words_of_an_aligner_are_both_kept(tmp_path):
    (tmp_path / "a.csv").write_text("so,so,1.0,2.0\nthen,<unk>,1.5,2.5\n")
    frame, _ = read_words(tmp_path / "a.csv", name="a.csv")
    assert frame.to_dict("list") == {"onset": [1.0, 1.5], "duration": [1.0, 1.0], "word": ["so", "then"]}
    assert "1 words overlap" in codes(tmp_path / "a.csv")["W-WORDS-03"]


@pytest.mark.parametrize("word", ["null", "NA", "nan", "n/a", "😀", "שלום", "日本", "e\u0301", "don't"])
@pytest.mark.parametrize("ending", [".csv", ".json", ".TextGrid"])
def test_odd_words_of_an_aligner_are_words(tmp_path, word, ending):
    text = {
        ".csv": f"{word},<unk>,1,2\n",
        ".json": json.dumps([{"word": word, "start": 1, "end": 2}]),
        ".TextGrid": textgrid([(1.0, 2.0, word)], short=True),
    }[ending]
    write(tmp_path / f"a{ending}", text)
    assert read_words(tmp_path / f"a{ending}", name="a")[0]["word"].tolist() == [word]


BROKEN = {
    "no TextGrid": ("a.TextGrid", "<!doctype html>", "E-WORDS-26", "Praat"),
    "TextGrid cut short": ("a.TextGrid", textgrid(spans(), short=False)[:-160], "E-WORDS-26", "ends too early"),
    "TextGrid in Latin-1": (
        "a.TextGrid",
        textgrid([(0.0, 1.0, "é")], short=True).encode("latin-1"),
        "E-WORDS-22",
        "iconv",
    ),
    "no JSON": ("a.json", '{"words": [', "E-WORDS-26", "line 1, column 12"),
    "JSON of something else": ("a.json", '{"Name": "x"}', "E-WORDS-26", '\'{"Name"'),
    "no word aligned": ("a.json", '{"words": [{"word": "a", "case": "not-found-in-audio"}]}', "E-WORDS-07", "0 rows"),
    "a span that ends before it starts": ("a.csv", "word,start,end\na,2,1\n", "E-WORDS-04", "-1.0"),
    "a start that is text": ("a.csv", "word,start,end\na,2,3\nb,soon,4\n", "E-WORDS-02", "start, row 3"),
    "a headless row of five": ("a.csv", "a,a,1,2\n" * 60 + "b,b,3,4,5\n", "E-WORDS-25", "rows [61]"),
    "no such file": ("b.TextGrid", None, "E-WORDS-23", "a.TextGrid"),
}


@pytest.mark.parametrize("case", BROKEN)
def test_a_broken_transcript_is_refused_by_name(tmp_path, case):
    name, content, code, told = BROKEN[case]
    (tmp_path / "a.TextGrid").write_text("x")
    if content is not None:
        (tmp_path / name).write_bytes(content if isinstance(content, bytes) else content.encode())
    found = codes(tmp_path / name)
    assert code in found, found
    assert told in found[code] and name in found[code] and str(tmp_path) not in found[code]


@pytest.mark.parametrize("story", ["black", "lucy", "pieman", "tunnel"])
def test_real_alignments_keep_every_word_that_has_a_time(story):
    path = DATA / "narratives_align" / story / "align.csv"
    if not path.exists():
        pytest.skip("real recordings are not here")
    rows = [line.rsplit(",", 3) for line in path.read_text(encoding="utf-8").splitlines()]
    timed = [row for row in rows if row[2]]
    frame, problems = read_words(path, name="align.csv")
    assert len(frame) == len(timed) and sorted(frame["onset"]) == sorted(float(row[2]) for row in timed)
    lost = [p.summary for p in problems if p.code == "W-WORDS-11"]
    assert (
        lost
        == [f"{len(rows) - len(timed)} of {len(rows)} words have no time and are left out"][: len(rows) > len(timed)]
    )


@pytest.mark.parametrize(
    ("name", "n_words"), [("AliceChapterOne-EEG.csv", 2129), ("AliceChapterOne-Nodecounts.csv", 2130)]
)
def test_onsets_that_restart_in_every_segment_are_noticed(name, n_words):
    path = DATA / "alice_words" / name
    if not path.exists():
        pytest.skip("real recordings are not here")
    frame, problems = read_words(path, name=name)
    told = [p for p in problems if p.code == "W-WORDS-02"]
    assert len(frame) == n_words and "restart in every segment" in told[0].why
    assert told[0].field.endswith("and 6 more")  # eleven restarts, five rows told


EVENTS = "onset\tduration\ttrial_type\n"
UNFIT = {
    "17 no onset": ("start\tduration\ttrial_type\n1\t1\ta\n", "E-WORDS-01", "did you mean 'start'"),
    "17 no type": ("onset\tduration\ttrial\n1\t1\ta\n", "E-WORDS-01", "did you mean 'trial'"),
    "18 onset n/a": (EVENTS + "1\t1\ta\nn/a\t1\tb\n", "E-WORDS-02", "onset, row 3"),
    "22 negative duration": (EVENTS + "1\t1\ta\n2\t-1\tb\n", "E-WORDS-04", "an event ends before it starts"),
    "27 utf-16": ((EVENTS + "1\t1\té\n").encode("utf-16"), "E-WORDS-22", "iconv"),
    "34 no events": (EVENTS, "E-WORDS-07", "a run has no events"),
    "20 unsorted": (EVENTS + "2\t1\ta\n1\t1\tb\n", "W-WORDS-02", "onset, row 3"),
    "no type": (EVENTS + "1\t1\ta\n2\t1\tn/a\n", "W-WORDS-14", "1 of 2 events have no trial_type"),
}


@pytest.mark.parametrize("case", UNFIT)
def test_events_that_are_not_in_order_are_told_by_name(tmp_path, case):
    content, code, told = UNFIT[case]
    path = tmp_path / "x_events.tsv"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    found = codes(path, read_events)
    assert told in found[code] and "x_events.tsv" in found[code]


def test_events_are_sorted_and_may_overlap(tmp_path):
    (tmp_path / "e.tsv").write_text(EVENTS + "5\t9\tright\n1\t9\tleft\n")
    frame, problems = read_events(tmp_path / "e.tsv", name="e.tsv")
    assert frame.to_dict("list") == {"onset": [1.0, 5.0], "duration": [9.0, 9.0], "trial_type": ["left", "right"]}
    assert [p.code for p in problems] == ["W-WORDS-02"]


@pytest.mark.parametrize(
    ("onsets", "code"), [([0, 90], None), ([0, 9e4], "E-WORDS-05"), ([-30, 90], "E-WORDS-03"), ([-1, 50, 90], "W-WORDS-01")]
)  # fmt: skip
def test_events_are_held_against_their_run_as_words_are(tmp_path, onsets, code):
    (tmp_path / "e.tsv").write_text(EVENTS + "".join(f"{t}\t1\ta\n" for t in onsets))
    frame, _ = stimulus(tmp_path, Run("01", "a", "fmri", (), "", events="e.tsv"))
    found = {p.code for p in against_run(frame, start_s=0.0, length_s=100.0, tr_s=2.0, name="e.tsv")}
    assert found == ({code} if code else set())


def test_the_stimulus_of_a_run_without_words_is_its_types(tmp_path):
    (tmp_path / "e.tsv").write_text(EVENTS + "1\t2\tleft hand\n5\t2\tnull\n9\t2\tn/a\n")
    frame, problems = stimulus(tmp_path, Run("01", "a", "fmri", (), "", events="e.tsv"))
    assert frame["word"].tolist() == ["left hand", "null"] and [p.code for p in problems] == ["W-WORDS-14"]
    (tmp_path / "w.tsv").write_text("onset\tduration\tword\n1\t1\tso\n")
    assert stimulus(tmp_path, Run("01", "a", "fmri", (), "w.tsv", events="e.tsv"))[0]["word"].tolist() == ["so"]


def test_types_are_no_words_unless_that_is_asked_for(tmp_path):
    (tmp_path / "e.tsv").write_text(EVENTS + "1\t2\tleft\n")
    assert "E-WORDS-01" in codes(tmp_path / "e.tsv")


def test_unsorted_words_with_their_own_rows_are_told_by_the_rows_of_the_file(tmp_path):
    text = "onset\tduration\ttrial_type\tword\n0\t1\tcue\tn/a\n1\t1\tword\ta\n0\t1\tcue\tn/a\nsoon\t1\tword\tb\n"
    (tmp_path / "e.tsv").write_text(text)
    assert "onset, row 5" in codes(tmp_path / "e.tsv")["E-WORDS-02"]


def test_long_tables_keep_the_order_of_simultaneous_words(tmp_path):
    words = [f"w{i}" for i in range(100)]
    (tmp_path / "w.csv").write_text(
        "word,start,end\n" + "".join(f"{w},{i // 2},{i // 2 + 1}\n" for i, w in enumerate(words))
    )
    frame, _ = read_words(tmp_path / "w.csv", name="w.csv")
    assert frame["word"].tolist() == words
    np.testing.assert_array_equal(frame["onset"], np.arange(100) // 2)
