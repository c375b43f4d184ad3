"""Any laboratory's files: one table names every run that exists."""

import difflib
import math
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Literal

from pydantic import Field

from pipeline.datasets.base import Dataset
from pipeline.datasets.bidsfiles import FOLDERS
from pipeline.problems import Problem, StudyError, shown
from pipeline.runs import Run
from pipeline.settings import expand
from pipeline.tables import lacking, missing_file, number, read_text_table, rows_told

if TYPE_CHECKING:
    import pandas as pd

REQUIRED = ("subject", "run", "recording", "responses", "words")
OPTIONAL = (
    "split", "session", "task", "tr_s", "repeat", "confounds", "mask", "events", "start_s", "raw", "space", "audio",
)  # fmt: skip
COLUMNS = REQUIRED + OPTIONAL
_LABEL = re.compile(r"^[A-Za-z0-9]{1,50}$")
_BLANK = ("", "n/a")
_RAW = {"yes": True, "true": True, "1": True, "no": False, "false": False, "0": False, "": False, "n/a": False}


class Manifest(Dataset):
    """A folder with `runs.tsv`: one row per run that exists, never a cartesian product.

    Rows that share subject, recording and run are presentations of one
    stimulus and differ in `repeat`. An optional `targets.tsv` (`target`,
    `roi`) names the targets; a target may be in several rows.
    """

    version: ClassVar[int] = 1
    kind: Literal["manifest"] = "manifest"
    root: str = Field(description="folder with runs.tsv; may use ${NAME} and ${NAME:-default}")
    splits: tuple[Literal["train", "test"], ...] = Field(
        (), description="take only the runs that the column `split` marks so; empty takes every run"
    )

    def folder(self, study_dir: Path) -> Path:
        return Path(expand(self.root, study_dir))

    def runs(self, study_dir: Path) -> list[Run]:
        rows = self.rows(study_dir)
        # labels become paths, also where nobody called `check` before
        if found := [p for p in _bad_cells(rows) + _twins(rows) if p.level == "error"]:
            raise StudyError(*found)
        return grouped(self._taken(rows))

    def rows(self, study_dir: Path) -> "pd.DataFrame":
        """`runs.tsv` as text with every known column, checked to be complete."""
        folder = self.folder(study_dir)
        if not folder.is_dir():
            raise StudyError(
                Problem(
                    "E-DATA-02", "the data set's folder is not there", field="dataset.root", found=shown(self.root),
                    expected="a folder with runs.tsv", why=f"searched from {Path.cwd().name}/",
                    fix="mend dataset.root, or set the environment variable it names",
                )
            )  # fmt: skip
        frame = read_text_table(folder / "runs.tsv", name="runs.tsv")
        # events alone will do where nothing was said or read
        required = [c for c in REQUIRED if c != "words" or "events" not in frame.columns]
        if problems := lacking(frame, tuple(required), name="runs.tsv", area="DATA"):
            raise StudyError(*problems)
        return frame.assign(**{c: "" for c in COLUMNS if c not in frame.columns}).apply(
            lambda column: column.str.strip()
        )

    def _taken(self, frame: "pd.DataFrame") -> "pd.DataFrame":
        """The rows of runs that `splits` takes."""
        taken = frame[frame["split"].isin(self.splits)] if self.splits else frame
        if self.splits and taken.empty:
            raise StudyError(
                Problem(
                    "E-DATA-10", "no run is left", file="runs.tsv", field="split", found=shown(sorted(set(frame["split"]))),
                    expected=f"runs marked {' or '.join(self.splits)}", fix="mark runs in the column `split`, or take `dataset.splits` out",
                )
            )  # fmt: skip
        return taken

    def targets(self, study_dir: Path) -> "pd.DataFrame | None":
        return read_targets(self.targets_file(study_dir))

    def problems(self, study_dir: Path) -> list[Problem]:
        frame = self.rows(study_dir)
        found = _unknown_columns(frame) + _bad_cells(frame) + _twins(frame) + _uneven_repeats(frame)
        return (
            found
            + uneven_confounds(frame.to_dict("records"))
            + _absent_files(self._taken(frame), self.folder(study_dir))
        )


def read_targets(path: Path | None) -> "pd.DataFrame | None":
    """The table of targets and their regions, where there is one."""
    if path is None:
        return None
    frame = read_text_table(path, name="targets.tsv")
    if problems := lacking(frame, ("target", "roi"), name="targets.tsv", area="DATA"):
        raise StudyError(*problems)
    return frame


def grouped(table: "pd.DataFrame | list[dict[str, str]]") -> list[Run]:
    """Rows of `runs.tsv` as runs; presentations of one stimulus become one run with several files."""
    rows = table if isinstance(table, list) else table.to_dict("records")
    presentations: dict[tuple[str, str, str], list[dict[str, str]]] = {}
    for row in rows:
        presentations.setdefault((row["subject"], row["recording"], row["run"]), []).append(row)
    return [_run(sorted(same, key=_turn)) for same in presentations.values()]


def _turn(row: dict[str, str]) -> float:
    turn = number(row["repeat"])
    return turn if turn == turn else math.inf


def _run(rows: list[dict[str, str]]) -> Run:
    """One run from its presentations, in their order."""
    first = {column: "" if value in _BLANK else value for column, value in rows[0].items()}
    tr_s, starts = number(first["tr_s"]), [_start(row) for row in rows]
    return Run(
        subject=first["subject"], run=first["run"], recording=first["recording"],
        responses=tuple(row["responses"] for row in rows), words=first["words"], split=first["split"],
        tr_s=None if tr_s != tr_s else tr_s, start_s=starts[0], mask=first["mask"],
        confounds=tuple(row["confounds"] for row in rows if row["confounds"] not in _BLANK), events=first["events"],
        audio=first["audio"], raw=_RAW.get(first["raw"].lower(), False), space=first["space"],
        starts_s=tuple(starts) if len(set(starts)) > 1 else (),
    )  # fmt: skip


def _start(row: dict[str, str]) -> float:
    start_s = number(row["start_s"])
    return start_s if start_s == start_s else 0.0


def _unknown_columns(frame: "pd.DataFrame") -> list[Problem]:
    problems = []
    for column in frame.columns.difference(COLUMNS):
        near = difflib.get_close_matches(column, COLUMNS, n=1)
        fix = f"did you mean {near[0]!r}?" if near else f"known columns: {', '.join(COLUMNS)}"
        problems.append(Problem("W-DATA-04", f"column {column!r} is not used", file="runs.tsv", field=column, fix=fix))
    return problems


def _bad_cells(frame: "pd.DataFrame") -> list[Problem]:
    label = "a label of letters and digits"
    rules = [
        *((c, lambda v: bool(_LABEL.match(v)), label, "E-DATA-05") for c in ("subject", "run", "recording")),
        ("split", lambda v: v in ("train", "test", *_BLANK), "'train', 'test' or empty", "E-DATA-07"),
        ("raw", lambda v: v.lower() in _RAW, "'yes', 'no' or empty", "E-DATA-07"),
        ("tr_s", lambda v: v in _BLANK or 0 < number(v) <= 100, "seconds between samples, such as 2.0", "E-DATA-08"),
        ("start_s", lambda v: v in _BLANK or number(v) == number(v), "seconds, such as 12.0", "E-DATA-08"),
        (
            "repeat",
            lambda v: v in _BLANK or number(v) == number(v),
            "the number of the presentation: 1, 2, ...",
            "E-DATA-08",
        ),
    ]
    problems = []
    for column, fits, expected, code in rules:
        bad = [i for i, value in enumerate(frame[column]) if not fits(value)]
        if bad:
            value = frame[column].iloc[bad[0]]
            in_ms = column == "tr_s" and number(value) > 100
            fix = f"{value} looks like milliseconds: write {number(value) / 1000:g}" if in_ms else f"write {expected}"
            field = f"{column}, {rows_told(bad)}"
            problems.append(
                Problem(
                    code,
                    f"{column} cannot be used",
                    file="runs.tsv",
                    field=field,
                    found=shown(value),
                    expected=expected,
                    fix=fix,
                )
            )
    return problems


def _twins(frame: "pd.DataFrame") -> list[Problem]:
    problems = []
    key = ["subject", "recording", "run", "repeat"]
    for values, rows in frame.groupby(key, sort=False):
        if len(rows) > 1:
            where, found = rows_told(rows.index.tolist()), dict(zip(key, values, strict=True))
            fix = "number presentations of one stimulus in `repeat` (1, 2, ...), or delete the row that is there twice"
            problems.append(
                Problem(
                    "E-DATA-09",
                    "a run is listed twice",
                    file="runs.tsv",
                    field=where,
                    found=shown(found),
                    fix=fix,
                    subject=values[0],
                )
            )
    return problems + alike_but_for_case({column: frame[column] for column in ("subject", "run")})


def alike_but_for_case(labels: Mapping[str, Iterable[str]]) -> list[Problem]:
    """Labels of one column that some file systems hold for the same."""
    problems = []
    for column, names in labels.items():
        first: dict[str, str] = {}
        same = [(first[n.lower()], n) for n in sorted(set(names)) if first.setdefault(n.lower(), n) != n]
        if same:
            problems.append(
                Problem(
                    "E-DATA-06", f"{column} labels differ in case only", file="runs.tsv", field=column,
                    found=shown(same[0]), why="on many file systems their outputs would overwrite each other",
                    fix="rename one of them",
                )
            )  # fmt: skip
    return problems


def _uneven_repeats(frame: "pd.DataFrame") -> list[Problem]:
    problems = []
    for (subject, _, run), rows in frame.groupby(["subject", "recording", "run"], sort=False):
        for column in ("words", "split", "tr_s", "start_s", "mask", "events", "raw", "space", "audio"):
            if len(set(rows[column])) > 1:
                field = f"{column}, {rows_told(rows.index.tolist())}"
                summary = f"presentations of run {run} differ in {column!r}"
                fix = "give them the same value; other words are another run, with a label of its own"
                problems.append(
                    Problem(
                        "E-DATA-11",
                        summary,
                        file="runs.tsv",
                        field=field,
                        found=shown(sorted(set(rows[column]))),
                        fix=fix,
                        subject=subject,
                    )
                )
    return problems


def uneven_confounds(rows: list[dict[str, str]]) -> list[Problem]:
    """Each presentation is cleaned by its own table: all have one, or none."""
    presentations: dict[tuple[str, str, str], list[int]] = {}
    for i, row in enumerate(rows):
        presentations.setdefault((row["subject"], row["recording"], row["run"]), []).append(i)
    problems = []
    for (subject, _, run), same in presentations.items():
        without = [i for i in same if rows[i]["confounds"] in _BLANK]
        if 0 < len(without) < len(same):
            problems.append(
                Problem(
                    "E-DATA-13", f"some presentations of run {run} have confounds and others none", file="runs.tsv",
                    field=f"confounds, {rows_told(without)}", found=f"none with {shown(rows[without[0]]['responses'], 200)}",
                    expected="a table for each presentation, or for none", fix="add the missing tables, or leave out all of them",
                    subject=subject,
                )
            )  # fmt: skip
    return problems


def _absent_files(frame: "pd.DataFrame", folder: Path) -> list[Problem]:
    problems = []
    for column in ("responses", "words", "mask", "confounds", "events", "audio"):
        for (subject, name), rows in frame.groupby(["subject", column], sort=False):
            if name not in _BLANK:
                if not _is_there(folder / name, column):
                    problems.append(missing_file(folder / name, name, "DATA", {"subject": subject}))
            elif column == "responses" or (column == "words" and rows["events"].isin(_BLANK).any()):
                fix = "name a file" if column == "responses" else "name a file, or one of event types in `events`"
                summary = f"no file is named in {column!r}"
                problems.append(Problem("E-DATA-12", summary, file="runs.tsv", field=column, fix=fix, subject=subject))
    return problems


def _is_there(path: Path, column: str) -> bool:
    """Is it a file, or a recording that some makers write as a folder?"""
    return path.is_file() or (column == "responses" and path.suffix in FOLDERS and path.is_dir())
