"""Words and events with their times: read one table, say what is wrong, hand on what is sure."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from pipeline.problems import Problem, StudyError, shown
from pipeline.runs import Run
from pipeline.tables import lacking, number, read_text_table, rows_told
from pipeline.transcripts import is_transcript, read_transcript

if TYPE_CHECKING:
    import pandas as pd

TEXT = ("word", "sentence", "passage", "item", "whitespace")  # columns that are never numbers, whatever they hold
WORD_TYPE = "word"  # the trial type of rows that are words
MOST_OUTSIDE = 0.05  # share of words beyond the run from which the times themselves are in doubt
_WORD_COLUMNS = ("Word", "value", "stim_text", "text", "token")  # where data sets put words besides `word`
BLANK = ("", "n/a")  # cells that say nothing


def read_words(
    path: Path, *, name: str, types_as_words: bool = False, **whose: str
) -> tuple["pd.DataFrame", list[Problem]]:
    """Read `onset` (s), `duration` (s) and `word`, sorted by onset.

    The ending and the first lines say what the file is: a plain table; an
    `events.tsv`, of which the rows of words are taken; or what an aligner
    wrote (see `transcripts`). With `types_as_words`, a table that has
    `trial_type` and no words gives the types as words.

    Returns the table and the warnings; what makes it unusable is raised as a
    `StudyError` with all of it at once. An empty word keeps its row.
    """
    if is_transcript(path):
        frame, problems = read_transcript(path, name, **whose)
    else:
        frame, problems = _plain(path, name, types_as_words, whose)
    frame = frame[[c for c in ("onset", "duration", *TEXT) if c in frame.columns]]
    ordered, found = _checked(frame, "word", name, whose)
    return ordered, problems + found + _doubtful(ordered, name, whose)


def read_events(path: Path, *, name: str, **whose: str) -> tuple["pd.DataFrame", list[Problem]]:
    """Read `onset` (s), `duration` (s) and `trial_type`, sorted by onset, checked as words are.

    Events may overlap. Those without a type are left out, counted and told.
    """
    frame = read_text_table(path, name=name, area="WORDS", **whose)
    if problems := lacking(frame, ("onset", "duration", "trial_type"), name=name, area="WORDS", **whose):
        raise StudyError(*problems)
    typed = ~frame["trial_type"].str.strip().isin(BLANK)
    problems = _left_out(frame, typed, "events have no trial_type", name, whose)
    frame = frame.loc[typed, ["onset", "duration", "trial_type"]]
    ordered, found = _checked(frame, "trial_type", name, whose)
    return ordered, problems + found


def stimulus(folder: Path, run: Run, **whose: str) -> tuple["pd.DataFrame", list[Problem]]:
    """What a person met in a run: its words, or the types of its events where it has no words."""
    if run.words or not run.events:
        return read_words(folder / run.words, name=run.words, **whose)
    return read_words(folder / run.events, name=run.events, types_as_words=True, **whose)


def _plain(path: Path, name: str, types_as_words: bool, whose: dict[str, str]) -> tuple["pd.DataFrame", list[Problem]]:
    """A table whose first line names its columns; of mixed events only the words."""
    frame = read_text_table(path, name=name, area="WORDS", **whose)
    types = frame["trial_type"].str.strip() if "trial_type" in frame.columns else None
    if types is not None:
        found, kept = words_among(list(types), {c: list(frame[c]) for c in frame.columns})
        if types_as_words and not any(kept):
            typed = ~types.isin(BLANK)
            return frame.assign(word=types)[typed], _left_out(frame, typed, "events have no trial_type", name, whose)
        frame = frame.rename(columns={found: "word"} if found else {})
    if problems := lacking(frame, ("onset", "duration", "word"), name=name, area="WORDS", **whose):
        raise StudyError(*problems)
    if types is None:
        return frame, []
    keep = frame["word"].notna() & np.array(kept, bool)
    spoken = (types.str.lower() == WORD_TYPE).any()  # then other events are no words, and nothing is lost
    return frame[keep], [] if spoken else _left_out(frame, keep, "events have no word", name, whose)


def words_among(types: list[str], columns: Mapping[str, Sequence[str]]) -> tuple[str, list[bool]]:
    """The column of an events table that holds words, and which of its rows are words.

    Where a trial type says "word", those rows are, and the column may have
    another name than `word`; else every row is whose cell in `word` is filled.
    """
    spoken = [kind.strip().lower() == WORD_TYPE for kind in types]
    names = ("word", *_WORD_COLUMNS) if any(spoken) else ("word",)
    found = next((c for c in names if c in columns), "")
    if not found:
        return "", [False] * len(types)
    if any(spoken):
        return found, spoken
    filled = [cell != "n/a" for cell in columns[found]]
    return found, filled if any(c.strip() not in BLANK for c in columns[found]) else [False] * len(types)


def _left_out(frame: "pd.DataFrame", kept: "pd.Series", what: str, name: str, whose: dict[str, str]) -> list[Problem]:
    if not (lost := int((~kept).sum())):
        return []
    field = rows_told(np.flatnonzero(~kept).tolist())
    return [Problem("W-WORDS-14", f"{lost} of {len(frame)} {what}; they are left out", file=name, field=field, **whose)]


def _checked(
    frame: "pd.DataFrame", column: str, name: str, whose: dict[str, str]
) -> tuple["pd.DataFrame", list[Problem]]:
    """Times as numbers, rows in order of time; raises what makes the table unusable."""
    if problems := _unusable(frame, column, name, whose):
        raise StudyError(*problems)
    frame = frame.assign(**{c: frame[c].map(number).astype(float) for c in ("onset", "duration")})
    ordered = frame.sort_values("onset", kind="stable", ignore_index=True)
    return ordered, _unsorted(frame, f"{_NOUN[column]}s", name, whose)


_NOUN = {"word": "word", "trial_type": "event"}


def _unusable(frame: "pd.DataFrame", column: str, name: str, whose: dict[str, str]) -> list[Problem]:
    noun = _NOUN[column]
    if frame.empty:
        fix = "leave the run out of runs.tsv if nothing was heard or read in it"
        return [Problem("E-WORDS-07", f"a run has no {noun}s", file=name, found="0 rows", fix=fix, **whose)]
    problems = [p for c in ("onset", "duration") for p in _no_number(frame, c, noun, name, whose)]
    if broken := [i for i, word in zip(frame.index, frame[column], strict=True) if not _in_one_cell(word)]:
        problems.append(
            Problem(
                "E-WORDS-09", f"a {_CELL[column]} holds a tab or a line break", file=name, field=f"{column}, {rows_told(broken)}",
                found=shown(frame[column].loc[broken[0]]), expected=f"one {_CELL[column]}", fix="take the white space out", **whose,
            )
        )  # fmt: skip
    durations = frame["duration"].map(number).to_numpy(float)
    if (bad := np.flatnonzero(durations < 0)).size:
        article = "an" if noun == "event" else "a"
        problems.append(
            Problem(
                "E-WORDS-04", f"{article} {noun} ends before it starts", file=name,
                field=f"duration, {rows_told(frame.index[bad].tolist())}", found=str(durations[bad[0]]),
                expected="0 s or more", fix="is the column an end time? duration = end - onset", **whose,
            )
        )  # fmt: skip
    return problems


_CELL = {"word": "word", "trial_type": "trial type"}


def _no_number(frame: "pd.DataFrame", column: str, noun: str, name: str, whose: dict[str, str]) -> list[Problem]:
    bad = np.flatnonzero(np.isnan(frame[column].map(number).to_numpy(float)))
    if not bad.size:
        return []
    return [
        Problem(
            "E-WORDS-02", f"{column} is not a number", file=name, field=f"{column}, {rows_told(frame.index[bad].tolist())}",
            found=shown(frame[column].iloc[bad[0]]), expected="seconds, such as 12.34", **whose,
            fix=f"fill in the times, or delete the rows of {noun}s that {'were not aligned' if noun == 'word' else 'have none'}",
        )
    ]  # fmt: skip


def _in_one_cell(word: str) -> bool:
    return not any(c in word for c in "\t\r\n")


def _unsorted(frame: "pd.DataFrame", nouns: str, name: str, whose: dict[str, str]) -> list[Problem]:
    back = np.flatnonzero(np.diff(frame["onset"]) < 0)
    if not back.size:
        return []
    first = int(back[0])
    return [
        Problem(
            "W-WORDS-02", f"{nouns} are not in order of time; they were sorted", file=name,
            field=f"onset, {rows_told(frame.index[back + 1].tolist())}",
            found=f"{frame['onset'].iloc[first]} s, then {frame['onset'].iloc[first + 1]} s",
            why="if onsets restart in every segment, the segments are runs of their own", **whose,
        )
    ]  # fmt: skip


def _doubtful(ordered: "pd.DataFrame", name: str, whose: dict[str, str]) -> list[Problem]:
    warnings = []
    ends, onsets = (ordered["onset"] + ordered["duration"]).to_numpy(), ordered["onset"].to_numpy()
    over = np.flatnonzero(ends[:-1] > onsets[1:] + 2e-3)
    if over.size:
        words = [f"{ordered['word'].iloc[i]!r} at {onsets[i]:g} s" for i in over[:5]]
        summary = f"{over.size} words overlap the next one; both are kept"
        warnings.append(Problem("W-WORDS-03", summary, file=name, found=shown(", ".join(words), 200), **whose))
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
