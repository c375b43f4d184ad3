"""Words with their times: read one table, say what is wrong, hand on what is sure."""

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from pipeline.problems import Problem, StudyError, shown
from pipeline.tables import lacking, number, read_text_table, rows_told

if TYPE_CHECKING:
    import pandas as pd

TEXT = ("word", "sentence", "passage", "item", "whitespace")  # columns that are never numbers, whatever they hold
MOST_OUTSIDE = 0.05  # share of words beyond the run from which the times themselves are in doubt


def read_words(path: Path, *, name: str, **whose: str) -> tuple["pd.DataFrame", list[Problem]]:
    """Read `onset` (s), `duration` (s) and `word`, sorted by onset.

    Returns the table and the warnings; what makes it unusable is raised as a
    `StudyError` with all of it at once. An empty word keeps its row.
    """
    frame = read_text_table(path, name=name, area="WORDS", **whose)
    if problems := lacking(frame, ("onset", "duration", "word"), name=name, area="WORDS", **whose):
        raise StudyError(*problems)
    frame = frame[[c for c in ("onset", "duration", *TEXT) if c in frame.columns]].copy()
    problems = _unusable(frame, name, whose)
    if any(p.level == "error" for p in problems):
        raise StudyError(*problems)
    times = {c: frame[c].map(number).astype(float) for c in ("onset", "duration")}
    frame = frame.assign(**times)
    ordered = frame.sort_values("onset", kind="stable", ignore_index=True)
    return ordered, problems + _doubtful(frame, ordered, name, whose)


def _unusable(frame: "pd.DataFrame", name: str, whose: dict[str, str]) -> list[Problem]:
    if frame.empty:
        fix = "leave the run out of runs.tsv if nothing was heard or read in it"
        return [Problem("E-WORDS-07", "a run has no words", file=name, found="0 rows", fix=fix, **whose)]
    problems = []
    for column in ("onset", "duration"):
        values = frame[column].map(number).to_numpy(float)
        if (bad := np.flatnonzero(np.isnan(values))).size:
            problems.append(
                Problem(
                    "E-WORDS-02", f"{column} is not a number", file=name, field=f"{column}, {rows_told(bad.tolist())}",
                    found=shown(frame[column].iloc[bad[0]]), expected="seconds, such as 12.34", **whose,
                    fix="fill in the times, or delete the rows of words that were not aligned",
                )
            )  # fmt: skip
    broken = [i for i, word in enumerate(frame["word"]) if not _in_one_cell(word)]
    if broken:
        problems.append(
            Problem(
                "E-WORDS-09", "a word holds a tab or a line break", file=name, field=f"word, {rows_told(broken)}",
                found=shown(frame["word"].iloc[broken[0]]), expected="one word", fix="take the white space out", **whose,
            )
        )  # fmt: skip
    durations = frame["duration"].map(number).to_numpy(float)
    if (bad := np.flatnonzero(durations < 0)).size:
        problems.append(
            Problem(
                "E-WORDS-04", "a word ends before it starts", file=name, field=f"duration, {rows_told(bad.tolist())}",
                found=str(durations[bad[0]]), expected="0 s or more", fix="is the column an end time? duration = end - onset", **whose,
            )
        )  # fmt: skip
    return problems


def _in_one_cell(word: str) -> bool:
    return not any(c in word for c in "\t\r\n")


def _doubtful(frame: "pd.DataFrame", ordered: "pd.DataFrame", name: str, whose: dict[str, str]) -> list[Problem]:
    warnings = []
    back = np.flatnonzero(np.diff(frame["onset"]) < 0)
    if back.size:
        first = int(back[0])
        warnings.append(
            Problem(
                "W-WORDS-02", "words are not in order of time; they were sorted", file=name,
                field=f"onset, {rows_told((back + 1).tolist())}",
                found=f"{frame['onset'].iloc[first]} s, then {frame['onset'].iloc[first + 1]} s",
                why="if onsets restart in every segment, the segments are runs of their own", **whose,
            )
        )  # fmt: skip
    ends, onsets = (ordered["onset"] + ordered["duration"]).to_numpy(), ordered["onset"].to_numpy()
    over = np.flatnonzero(ends[:-1] > onsets[1:] + 2e-3)
    if over.size:
        words = [f"{ordered['word'].iloc[i]!r} at {onsets[i]:g} s" for i in over[:5]]
        warnings.append(
            Problem(
                "W-WORDS-03",
                f"{over.size} words overlap the next one; both are kept",
                file=name,
                found=shown(", ".join(words), 200),
                **whose,
            )
        )
    empty = int((ordered["word"].str.strip() == "").sum())
    if empty:
        summary = f"{empty} words are empty; they keep their row and take the context before them"
        warnings.append(Problem("W-WORDS-06", summary, file=name, **whose))
    return warnings


def against_run(
    words: "pd.DataFrame", *, start_s: float, length_s: float, tr_s: float, name: str, **whose: str
) -> list[Problem]:
    """Do the words lie inside the run? `start_s` is the time of the first sample on the words' clock."""
    onsets = words["onset"].to_numpy(float) - start_s
    problems = _before(onsets, start_s, tr_s, name, whose)
    late = np.flatnonzero(onsets >= length_s)
    if late.size:
        share = late.size / len(words)
        milliseconds = onsets.max() > 20 * length_s
        found = f"last onset {onsets.max():g} s, the run lasts {length_s:g} s; {late.size} of {len(words)} words ({share:.1%}) outside"
        fix = (
            "onsets look like milliseconds: divide them by 1000"
            if milliseconds
            else "check that words and recording belong together, and `start_s`"
        )
        code, summary = (
            ("E-WORDS-05", "words lie beyond the end of the run")
            if share > MOST_OUTSIDE
            else ("W-WORDS-04", "some words lie beyond the end of the run; their samples do not exist")
        )
        problems.append(
            Problem(
                code,
                summary,
                file=name,
                field="onset",
                found=found,
                expected=f"onsets in seconds below {length_s:g}",
                fix=fix,
                **whose,
            )
        )
    elif onsets.max() < 0.8 * length_s:
        found = f"last word at {onsets.max():g} s of {length_s:g} s ({onsets.max() / length_s:.0%} of the run)"
        problems.append(
            Problem(
                "W-WORDS-05", "the words end long before the run does", file=name, field="onset", found=found, **whose
            )
        )
    if len(words) == 1:
        problems.append(
            Problem("W-WORDS-08", "the run has a single word", file=name, found=shown(words["word"].iloc[0]), **whose)
        )
    return problems


def _before(onsets: np.ndarray, start_s: float, tr_s: float, name: str, whose: dict[str, str]) -> list[Problem]:
    early = np.flatnonzero(onsets < 0)
    if not early.size:
        return []
    # trimmed recordings start late on the words' clock; a time below zero is another matter
    lowest = onsets.min() + start_s
    found = f"{lowest:g} s"
    most = early.size > len(onsets) / 2
    if lowest >= -tr_s and not most:
        summary = f"{early.size} words start before the first sample"
        return [
            Problem("W-WORDS-01", summary, file=name, field=f"onset, {rows_told(early.tolist())}", found=found, **whose)
        ]
    return [
        Problem(
            "E-WORDS-03", "words start before the recording", file=name, field=f"onset, {rows_told(early.tolist())}", found=f"{early.size} of {len(onsets)} words, the first at {found}",
            expected="0 s or later", fix="set `start_s` in runs.tsv to the time of the first sample on the words' clock", **whose,
        )
    ]  # fmt: skip
