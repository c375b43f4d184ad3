"""Tables that people wrote: read as text, every mistake told with file, row and value."""

import csv
import difflib
import io
import math
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipeline.problems import Problem, StudyError, shown

if TYPE_CHECKING:
    import pandas as pd

_MOST_ROWS = 10_000_000


def read_text_table(path: Path, *, name: str, area: str = "DATA", **whose: str) -> "pd.DataFrame":
    """A TSV or CSV as text, cell by cell as written: "null", "NA" and "010" stay what they are.

    A byte-order mark and Windows line ends are taken away; any other encoding
    than UTF-8 is refused with the place of the first bad byte.
    """
    import pandas as pd

    text = _decoded(path, name, area, whose)
    comma = path.suffix.lower() == ".csv"
    # a tab-separated table has no quoting: a word may be a quotation mark
    reader = csv.reader(
        io.StringIO(text, newline=""),
        delimiter="," if comma else "\t",
        quoting=csv.QUOTE_MINIMAL if comma else csv.QUOTE_NONE,
    )
    rows = [row for row in reader if row]
    if not rows:
        raise StudyError(
            Problem(f"E-{area}-20", "a table is empty", file=name, expected="a line of column names", **whose)
        )
    header = [cell.strip() for cell in rows[0]]
    _check_shape(rows, header, name, area, whose)
    return pd.DataFrame(rows[1:], columns=header, dtype=object).astype("str")


def _decoded(path: Path, name: str, area: str, whose: dict[str, str]) -> str:
    try:
        raw = path.read_bytes()
    except FileNotFoundError:
        raise StudyError(missing_file(path, name, area, whose)) from None
    except OSError as error:
        raise StudyError(
            Problem(f"E-{area}-21", "a table cannot be read", file=name, found=str(error.strerror), **whose)
        ) from None
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        wide = raw[:2] in (b"\xff\xfe", b"\xfe\xff")
        problem = Problem(
            f"E-{area}-22",
            "a table is not UTF-8 text",
            file=name,
            field=f"byte {error.start}",
            found=shown(raw[error.start : error.start + 8]),
            expected="UTF-8",
            why="it looks like UTF-16" if wide else "perhaps Latin-1, as older spreadsheets save it",
            fix=f"iconv -f {'UTF-16' if wide else 'LATIN1'} -t UTF-8 {path.name} > fixed{path.suffix}",
            **whose,
        )
        raise StudyError(problem) from None


def missing_file(path: Path, name: str, area: str, whose: dict[str, str]) -> Problem:
    """A file that is named somewhere and is not there; says where was looked, and what is there instead."""
    pointer = path.is_symlink()
    names = sorted(p.name for p in path.parent.iterdir()) if path.parent.is_dir() else []
    near = difflib.get_close_matches(path.name, names, n=1)
    where = (
        f"looked in {path.parent.name or '.'}/" if names else f"the folder {path.parent.name}/ is not there or empty"
    )
    return Problem(
        f"E-{area}-23",
        "a file is missing",
        file=name,
        found="a link that points to nothing" if pointer else where,
        why="the content was not fetched (git-annex)" if pointer else "",
        fix=f"datalad get {name}"
        if pointer
        else f"did you mean {near[0]!r}?"
        if near
        else "put the file there, or mend its name in the table",
        **whose,
    )


def _check_shape(rows: list[list[str]], header: list[str], name: str, area: str, whose: dict[str, str]) -> None:
    if len(rows) > _MOST_ROWS:
        raise StudyError(Problem(f"E-{area}-24", f"a table has more than {_MOST_ROWS} rows", file=name, **whose))
    twice = sorted({cell for cell in header if header.count(cell) > 1})
    ragged = [i for i, row in enumerate(rows, 1) if len(row) != len(header)]
    if twice or ragged:
        problem = Problem(
            f"E-{area}-25",
            "columns appear twice" if twice else "rows have another number of cells than the header",
            file=name,
            field=f"columns {twice}" if twice else f"rows {ragged[:5]}",
            found=shown(rows[0] if twice else rows[ragged[0] - 1]),
            expected="each column once" if twice else f"{len(header)} cells",
            fix="rename or remove one"
            if twice
            else "separate cells by one tab (TSV) or comma (CSV), and nothing inside them",
            **whose,
        )
        raise StudyError(problem)


def lacking(frame: "pd.DataFrame", columns: tuple[str, ...], *, name: str, area: str, **whose: str) -> list[Problem]:
    """One problem for each column that is not there, with the nearest one that is."""
    found = list(frame.columns)
    problems = []
    for column in columns:
        if column in found:
            continue
        near = difflib.get_close_matches(column, found, n=1, cutoff=0.5) or [
            c for c in found if c in _ALSO_CALLED.get(column, ())
        ]
        fix = f"did you mean {near[0]!r}? rename it to {column!r}" if near else f"add a column {column!r}"
        summary = f"a table has no column {column!r}"
        problems.append(Problem(f"E-{area}-01", summary, file=name, field=column, found=shown(found), fix=fix, **whose))
    return problems


_ALSO_CALLED = {
    "onset": ("start", "begin", "time", "onset_s", "tmin"),
    "duration": ("dur", "length", "duration_s"),
    "word": ("text", "token", "value", "label"),
}


def number(cell: Any) -> float:
    """A finite number, or nan for anything else ("n/a", text, infinities)."""
    try:
        value = float(cell)
    except (TypeError, ValueError):
        return math.nan
    return value if math.isfinite(value) else math.nan


def rows_told(rows: list[int], limit: int = 5) -> str:
    """Row numbers as a spreadsheet counts them: the header is row 1."""
    told = ", ".join(str(r + 2) for r in rows[:limit])
    return f"row{'s' * (len(rows) != 1)} {told}" + (f" and {len(rows) - limit} more" if len(rows) > limit else "")
