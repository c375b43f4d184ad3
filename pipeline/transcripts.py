"""Words that were aligned with sound: Praat's TextGrid, Gentle's and Whisper's JSON, tables of starts and ends."""

import csv
import io
import json
import re
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from pipeline.problems import Problem, StudyError, shown
from pipeline.tables import missing_file, number, read_text_table, rows_told

if TYPE_CHECKING:
    import pandas as pd

ENDINGS = (".TextGrid", ".json", ".csv", ".tsv")  # in the order of preference where a stimulus has several
# names of the same column in tables of starts and ends; the first that is there counts
STARTS, STOPS, WORDS = ("onset", "start", "tmin"), ("offset", "end", "tmax"), ("word", "Word", "AUDIOTEXT")
_SILENCES = frozenset(("", "sil", "sp", "<sil>", "<sp>", "<eps>"))
_UNTIMED = frozenset(("", "n/a", "na", "nan", "none"))  # what aligners write for a time they did not find
_TOKEN = re.compile(r'"((?:[^"]|"")*)"|(?<!\S)(-?[0-9]+(?:\.[0-9]*)?(?:[eE][-+]?[0-9]+)?)(?!\S)|(<exists>|<absent>)')
_MOST_BYTES = 200 * 2**20  # ten hours of speech, aligned phone by phone, are a tenth of it


class Spoken(NamedTuple):
    """One word as an aligner tells it; a time it did not find is nan."""

    word: str
    start_s: float
    end_s: float


def read_transcript(path: Path, name: str, **whose: str) -> "tuple[pd.DataFrame, list[Problem]]":
    """Read `onset` (s), `duration` (s) and `word` as aligned, in the order of the file.

    Words that were not found in the sound have no time; they are left out,
    counted and told. Overlapping words are kept.
    """
    import pandas as pd

    said, problems = _read(path, name, whose)
    timed = [w for w in said if w.start_s == w.start_s and w.end_s == w.end_s]
    if lost := [w for w in said if w.start_s != w.start_s or w.end_s != w.end_s]:
        summary = f"{len(lost)} of {len(said)} words have no time and are left out"
        why = "the aligner did not find them in the sound"
        found = shown(", ".join(w.word for w in lost[:5]), 200)
        problems.append(Problem("W-WORDS-11", summary, file=name, found=found, why=why, **whose))
    rows = [(w.start_s, round(w.end_s - w.start_s, 6), w.word) for w in timed]
    return pd.DataFrame(rows, columns=["onset", "duration", "word"]), problems


def is_transcript(path: Path) -> bool:
    """Is the file no plain table of words with onsets and durations?"""
    return path.suffix.lower() in (".textgrid", ".json") or _layout(path) != "plain"


def _read(path: Path, name: str, whose: dict[str, str]) -> tuple[list[Spoken], list[Problem]]:
    kind = path.suffix.lower()
    if kind == ".textgrid":
        return _textgrid(_decoded(path, name, whose), name, whose)
    if kind == ".json":
        return _aligned(_decoded(path, name, whose), name, whose), []
    if _layout(path) == "headless":
        return _headless(_decoded(path, name, whose), path.suffix.lower(), name, whose), []
    return _with_header(read_text_table(path, name=name, area="WORDS", **whose), name, whose), []


def _decoded(path: Path, name: str, whose: dict[str, str]) -> str:
    """The text of a file in UTF-8, or in UTF-16 with a byte-order mark as Praat saves it."""
    if not path.is_file():
        raise StudyError(missing_file(path, name, "WORDS", whose))
    if path.stat().st_size > _MOST_BYTES:
        found = f"{path.stat().st_size / 2**20:.0f} MiB"
        raise StudyError(Problem("E-WORDS-24", "a transcript is too large", file=name, found=found, **whose))
    raw = path.read_bytes()
    wide = raw[:2] in (b"\xff\xfe", b"\xfe\xff") and path.suffix.lower() == ".textgrid"
    try:
        return raw.decode("utf-16" if wide else "utf-8-sig")
    except UnicodeDecodeError as error:
        problem = Problem(
            "E-WORDS-22", "a transcript is not UTF-8 text", file=name, field=f"byte {error.start}",
            found=shown(raw[error.start : error.start + 8]), expected="UTF-8",
            fix=f"iconv -f LATIN1 -t UTF-8 {path.name} > fixed{path.suffix}", **whose,
        )  # fmt: skip
        raise StudyError(problem) from None


def _textgrid(text: str, name: str, whose: dict[str, str]) -> tuple[list[Spoken], list[Problem]]:
    tiers = _tiers(text, name, whose)
    named = [tier for tier in tiers if re.search(r"\bwords?$", tier[0].strip().lower())]
    chosen, said = (named or tiers)[0]
    problems = []
    if not named and len(tiers) > 1:
        found = f"tiers {', '.join(repr(tier[0]) for tier in tiers)}; {chosen!r} is read"
        fix = "name the tier of words 'words'"
        problems.append(Problem("W-WORDS-12", "no tier is called 'words'", file=name, found=found, fix=fix, **whose))
    words = [w for w in said if w.word.lower() not in _SILENCES]
    if silent := len(said) - len(words):
        summary = f"{silent} of {len(said)} intervals are silences and no words; they are left out"
        problems.append(Problem("W-WORDS-13", summary, file=name, field=f"tier {chosen!r}", **whose))
    return words, problems


def _tiers(text: str, name: str, whose: dict[str, str]) -> list[tuple[str, list[Spoken]]]:
    """The interval tiers of a TextGrid.

    Long and short format hold the same strings and numbers in the same order;
    Praat itself reads only those and takes whatever is between for comments.
    """
    tokens = iter(_TOKEN.findall(text))
    try:
        if (_string(tokens)[:10], _string(tokens)) != ("ooTextFile", "TextGrid"):
            raise ValueError("it does not begin as one")
        _number(tokens), _number(tokens), next(tokens)  # xmin, xmax, <exists>
        tiers = [_tier(tokens) for _ in range(int(_number(tokens)))]
    except (ValueError, StopIteration) as error:
        why = str(error) or "it ends too early"
        expected = "a TextGrid as Praat saves it as text"
        problem = Problem(
            "E-WORDS-26", "a TextGrid cannot be read", file=name, found=shown(text[:40]), expected=expected,
            why=why, fix="open it in Praat and save it as text file", **whose,
        )  # fmt: skip
        raise StudyError(problem) from None
    if intervals := [tier for tier in tiers if tier[1] is not None]:
        return intervals
    found = f"tiers {', '.join(repr(tier[0]) for tier in tiers)}"
    raise StudyError(
        Problem("E-WORDS-27", "a TextGrid has no tier of intervals", file=name, found=found, fix="add one", **whose)
    )


def _tier(tokens: "Iterable[tuple[str, str, str]]") -> tuple[str, Any]:
    tokens = iter(tokens)
    kind, name = _string(tokens), _string(tokens)
    _number(tokens), _number(tokens)  # xmin, xmax
    n = int(_number(tokens))
    if kind == "TextTier":
        for _ in range(n):
            _number(tokens), _string(tokens)
        return name, None
    rows = [(_number(tokens), _number(tokens), _string(tokens)) for _ in range(n)]
    return name, [Spoken(" ".join(word.split()), start, end) for start, end, word in rows]


def _string(tokens: Any) -> str:
    text, digits, flag = next(tokens)
    if digits or flag:
        raise ValueError(f"text was expected where {digits or flag} stands")
    return text.replace('""', '"')


def _number(tokens: Any) -> float:
    text, digits, _ = next(tokens)
    if not digits:
        raise ValueError(f"a number was expected where {text!r} stands")
    return float(digits)


def _aligned(text: str, name: str, whose: dict[str, str]) -> list[Spoken]:
    try:
        items = _items(json.loads(text))
    except json.JSONDecodeError as error:
        field = f"line {error.lineno}, column {error.colno}"
        problem = Problem("E-WORDS-26", "a transcript is no JSON", file=name, field=field, found=error.msg, **whose)
        raise StudyError(problem) from None
    if items is None:
        expected = '{"words": [{"word": ..., "start": ..., "end": ...}, ...]}'
        problem = Problem(
            "E-WORDS-26", "a transcript holds no list of words", file=name, found=shown(text[:60]),
            expected=expected, fix="export it from the aligner as JSON with word times", **whose,
        )  # fmt: skip
        raise StudyError(problem)
    return [_spoken(item) for item in items]


def _items(data: Any) -> list[dict[str, Any]] | None:
    """Gentle has `words`; Whisper has them in `segments`; others write the bare list."""
    if isinstance(data, dict) and isinstance(data.get("segments"), list) and "words" not in data:
        data = [w for segment in data["segments"] if isinstance(segment, dict) for w in segment.get("words", ())]
    elif isinstance(data, dict):
        data = data.get("words")
    return data if isinstance(data, list) and all(isinstance(item, dict) for item in data) else None


def _spoken(item: dict[str, Any]) -> Spoken:
    word = next((str(item[key]) for key in (*WORDS, "text") if item.get(key) is not None), "")
    times = [next((number(item[key]) for key in keys if key in item), float("nan")) for keys in (STARTS, STOPS)]
    if item.get("case", "success") != "success":  # what Gentle says of a word it did not find
        times = [float("nan")] * 2
    return Spoken(" ".join(word.split()), *times)


def _layout(path: Path) -> str:
    """`plain` (onset, duration, word), `spans` (a start and an end), or `headless` (word, match, start, end)."""
    try:
        with path.open(encoding="utf-8-sig", errors="replace", newline="") as handle:
            rows = [row for _, row in zip(range(50), _cells(handle, path.suffix.lower()), strict=False) if row]
    except OSError:
        return "plain"  # its reader says what is wrong
    if not rows:
        return "plain"
    if all(len(row) == 4 and all(number(c) == number(c) or not c.strip() for c in row[2:]) for row in rows):
        return "headless" if any(number(row[2]) == number(row[2]) for row in rows) else "plain"
    header = {cell.strip() for cell in rows[0]}
    spans = header & set(STARTS) and header & set(STOPS) and header & set(WORDS)
    return "spans" if spans and "duration" not in header else "plain"


def _cells(lines: Iterable[str], ending: str) -> Iterable[list[str]]:
    comma = ending == ".csv"
    quoting = csv.QUOTE_MINIMAL if comma else csv.QUOTE_NONE
    return csv.reader(lines, delimiter="," if comma else "\t", quoting=quoting)


def _headless(text: str, ending: str, name: str, whose: dict[str, str]) -> list[Spoken]:
    rows = [row for row in _cells(io.StringIO(text, newline=""), ending) if row]
    if odd := [i for i, row in enumerate(rows, 1) if len(row) != 4 or not all(map(_is_time, row[2:]))]:
        problem = Problem(
            "E-WORDS-25", "rows of an alignment cannot be read", file=name, field=f"rows {odd[:5]}",
            found=shown(rows[odd[0] - 1]), expected="word, matched word, start and end in seconds", **whose,
            fix="mend the row, or give the table a line of column names: onset, duration, word",
        )  # fmt: skip
        raise StudyError(problem)
    return [Spoken(row[0], number(row[2]), number(row[3])) for row in rows]


def _with_header(frame: "pd.DataFrame", name: str, whose: dict[str, str]) -> list[Spoken]:
    """A table of starts and ends; blank times are words the aligner did not find."""
    start, stop, word = (next(c for c in names if c in frame.columns) for names in (STARTS, STOPS, WORDS))
    problems = []
    for column in (start, stop):
        if bad := [i for i, cell in enumerate(frame[column]) if not _is_time(cell)]:
            problems.append(
                Problem(
                    "E-WORDS-02", f"{column} is not a number", file=name, field=f"{column}, {rows_told(bad)}",
                    found=shown(frame[column].iloc[bad[0]]), expected="seconds, such as 12.34", **whose,
                    fix="fill in the times, or leave the cells of words that were not aligned empty",
                )
            )  # fmt: skip
    if problems:
        raise StudyError(*problems)
    return [
        Spoken(text, number(a), number(b)) for text, a, b in zip(frame[word], frame[start], frame[stop], strict=True)
    ]


def _is_time(cell: str) -> bool:
    return cell.strip().lower() in _UNTIMED or number(cell) == number(cell)
