"""What people of a BIDS data set heard or read, and when; the same stimulus is recognised by its words."""

import hashlib
import os
import re
from functools import lru_cache
from pathlib import Path, PurePosixPath
from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from pipeline.datasets.bidsfiles import File, Inherited
from pipeline.problems import Problem, StudyError, shown
from pipeline.tables import missing_file, number
from pipeline.transcripts import ENDINGS
from pipeline.words import BLANK, read_words, words_among

SAME_TIME_S = 0.01  # onsets of one stimulus differ by less between log files
PLACES = ("subject", "session", "task", "run", "stim")  # what a pattern of words may name
_ALSO_OF_EVENTS = ("proc", "split")  # entities that tell no runs apart and may stand in the names of their tables
_LONGEST = 50  # characters of a label


class Told(NamedTuple):
    """What an events table says: words or types with their times (s), and when which stimulus file starts."""

    kind: str  # "words", "types" or nothing
    text: tuple[str, ...] = ()
    onsets: Float[np.ndarray, " row"] = np.empty(0)
    durations: Float[np.ndarray, " row"] = np.empty(0)
    starts: tuple[tuple[str, float], ...] = ()  # stimulus file as written, s in the run


class Heard(NamedTuple):
    """What somebody met in a run; `start_s` is the time of the first sample on the clock of the table."""

    words: str
    events: str
    text: tuple[str, ...]
    onsets: Float[np.ndarray, " row"]
    durations: Float[np.ndarray, " row"]
    label: str
    task: str
    start_s: float
    audio: str = ""


class Stimuli:
    """Finds the words of each run: named by a pattern, in its events, or in `stimuli/`."""

    def __init__(
        self, root: Path, files: list[File], pattern: str | None, offset_s: float, strict: bool = False,
        datatype: str = "func",
    ):  # fmt: skip
        self.root, self.pattern, self.offset_s, self.strict = root, pattern, offset_s, strict
        self._events = Inherited(files, "events", ".tsv", datatype)
        self._files = _stimulus_files(root)
        self._read: dict[str, tuple[tuple[str, ...], np.ndarray, np.ndarray]] = {}

    def of(self, run: dict[str, str], written: dict[str, str]) -> tuple[Heard | None, list[Problem]]:
        """What was met in a run, None where nothing is known; `written` are the entities as file names have them."""
        name = self._events.of(run | {key: written[key] for key in _ALSO_OF_EVENTS if key in written})
        told = _told_of((self.root / name).read_bytes()) if name and (self.root / name).is_file() else Told("")
        task = run.get("task", "")
        label = f"{task}{'run' * ('run' in run)}{run.get('run', '')}"
        if self.pattern:
            return self._by_pattern(told, label, written)
        if told.kind == "words":
            audio = next((a for stem, at in told.starts if at == 0 and (a := self._sound(stem))), "")
            return Heard(name, "", *told[1:4], label, task, _clock(0.0, self.offset_s), audio), []
        aligned = {stem: at for stem, at in told.starts if self._transcripts(stem)}
        if len(aligned) > 1:
            return None, [_several(name, aligned, run.get("sub", ""))]
        if aligned:
            (stem, at), *_ = aligned.items()
            return self._by_stimulus(stem, at, run)
        if told.kind == "types":
            return Heard("", name, *told[1:4], label, task, _clock(0.0, self.offset_s)), []
        return None, []

    def _by_pattern(self, told: Told, label: str, written: dict[str, str]) -> tuple[Heard | None, list[Problem]]:
        """The table a pattern names. One of its own for each person is on the run's clock, a shared one on the stimulus'."""
        stem, at = told.starts[0] if told.starts else ("", 0.0)
        values = {"subject": "sub", "session": "ses", "task": "task", "run": "run"}
        filled = {place: written.get(key, "") for place, key in values.items()} | {"stim": PurePosixPath(stem).stem}
        pattern = str(self.pattern)
        name = re.sub(r"\{(\w+)\}", lambda match: filled[match[1]], pattern)
        if not (self.root / name).is_file():
            return None, [self._missing(name, written.get("sub", ""))]
        shared = "{subject}" not in pattern and bool(stem)
        label = _sanitised(filled["stim"]) or label if "{stim}" in pattern else label
        start_s = _clock(at if shared else 0.0, self.offset_s)
        audio = self._sound(stem) if shared or at == 0 else ""
        return Heard(name, "", *self._table(name), label, filled["task"], start_s, audio), []

    def _missing(self, name: str, subject: str) -> Problem:
        """A run without the table of words its pattern names: an error only where its task was asked for by name."""
        problem = missing_file(self.root / name, name, "WORDS", {"subject": subject})
        if self.strict:
            return problem
        return problem._replace(
            code="W-WORDS-23", summary="a run has no words where dataset.words says; it is left out"
        )

    def _by_stimulus(self, stem: str, at: float, run: dict[str, str]) -> tuple[Heard | None, list[Problem]]:
        names = self._transcripts(stem)
        name = next((n for n in names if self._table(n)[1].size), names[0])
        label = _sanitised(PurePosixPath(stem).stem) or "stimulus"
        problems = []
        if len(names) > 1:
            summary = "a stimulus has several tables of words; the first that can be read is taken"
            problems.append(Problem("W-WORDS-15", summary, file=name, found=shown(names, 200), subject=run["sub"]))
        start_s = _clock(at, self.offset_s)
        return Heard(name, "", *self._table(name), label, run.get("task", ""), start_s, self._sound(stem)), problems

    def _table(self, name: str) -> tuple[tuple[str, ...], np.ndarray, np.ndarray]:
        """Words, onsets and durations; of a table that cannot be read its name, so that its reader tells why."""
        if name not in self._read:
            try:
                frame, _ = read_words(self.root / name, name=name)
                values = tuple(frame["word"]), frame["onset"].to_numpy(float), frame["duration"].to_numpy(float)
            except StudyError:
                values = (f"unreadable {name}",), np.empty(0), np.empty(0)
            self._read[name] = values
        return self._read[name]

    def _transcripts(self, stem: str) -> list[str]:
        return self._of_stem(stem, ENDINGS)

    def _sound(self, stem: str) -> str:
        return next(iter(self._of_stem(stem, (".wav",))), "")

    def _of_stem(self, stem: str, endings: tuple[str, ...]) -> list[str]:
        """Files of that name but for the ending: in the folder that is named if there are any, else anywhere."""
        wanted = PurePosixPath(stem.removeprefix("stimuli/"))
        names = [n for end in endings for n in self._files.get(wanted.stem, ()) if n.lower().endswith(end.lower())]
        here = [name for name in names if PurePosixPath(name).parent == PurePosixPath("stimuli") / wanted.parent]
        return here or names


class Known:
    """The stimuli that were met so far, each with its label and the table that stands for it."""

    def __init__(self) -> None:
        self._of_text: dict[tuple[str | None, tuple[str, ...]], list[tuple[str, Heard]]] = {}
        self._taken: set[str] = set()

    def recognised(self, heard: Heard) -> tuple[str, Heard, float]:
        """Label, the first one heard of the same text, and the start of the run on that one's clock.

        A text is known by its words. Types of events are not: "left" of one
        task is not that of another, and the same blocks at other times are
        another design, so these must agree in task and time.
        """
        same = self._of_text.setdefault((None if heard.words else heard.task, heard.text), [])
        for label, first in same:
            shift = _shift(first, heard)
            if shift is not None and (heard.words or abs(shift) <= SAME_TIME_S):
                return label, first, round(heard.start_s - shift, 6) + 0.0
        label = self._new_label(heard)
        same.append((label, heard))
        return label, heard, heard.start_s

    def _new_label(self, heard: Heard) -> str:
        base = heard.label[:_LONGEST] or "run"
        if base.lower() in self._taken:
            told = repr((heard.text, np.round(heard.onsets - heard.onsets[:1], 3).tolist(), heard.durations.tolist()))
            base = f"{base[: _LONGEST - 6]}{hashlib.sha256(told.encode()).hexdigest()[:6]}"
        while base.lower() in self._taken:  # one text may have many timings that round to the same
            base = (
                f"{base[: _LONGEST - 1]}x" if len(base) < _LONGEST else hashlib.sha256(base.encode()).hexdigest()[:12]
            )
        self._taken.add(base.lower())
        return base


def _shift(first: Heard, heard: Heard) -> float | None:
    """How much later (s) the table of `heard` has the same rows; None where the times differ otherwise."""
    if first.words == heard.words and first.events == heard.events:
        return 0.0
    if first.onsets.shape != heard.onsets.shape or not first.onsets.size:
        return None
    later = heard.onsets - first.onsets
    shift = float(np.median(later))
    apart = np.abs(later - shift).max()
    lasting = np.allclose(first.durations, heard.durations, rtol=0, atol=SAME_TIME_S, equal_nan=True)
    return round(shift, 6) if apart <= SAME_TIME_S and lasting else None


def _clock(at: float, offset_s: float) -> float:
    return round(-at - offset_s, 6) + 0.0


def _sanitised(text: str) -> str:
    return re.sub(r"[^A-Za-z0-9]", "", text)[:_LONGEST]


def _several(name: str, aligned: dict[str, float], subject: str) -> Problem:
    return Problem(
        "E-WORDS-11", "several stimuli with words of their own in one run", file=name, field="stim_file",
        found=shown(sorted(aligned), 200), expected="one", why="a run label stands for one text", subject=subject,
        fix="write the words themselves into events.tsv: trial_type 'word' and a column `word`",
    )  # fmt: skip


def _stimulus_files(root: Path) -> dict[str, list[str]]:
    """Files below `stimuli/` by their name without the ending."""
    found: dict[str, list[str]] = {}
    for folder, folders, names in os.walk(root / "stimuli"):
        folders[:] = sorted(f for f in folders if not f.startswith("."))
        for name in sorted(names):
            path = (Path(folder) / name).relative_to(root).as_posix()
            found.setdefault(PurePosixPath(name).stem, []).append(path)
    return found


@lru_cache(maxsize=512)
def _told_of(data: bytes) -> Told:
    """Read an events table quickly; one that is not in order is told by its bytes and by its reader later."""
    try:
        columns = _columns(data)
        onsets = np.array([number(cell) for cell in columns["onset"]])
    except (UnicodeDecodeError, ValueError, KeyError):
        return Told("types", (hashlib.sha256(data).hexdigest(),), np.zeros(1), np.zeros(1))
    durations = np.array([number(cell) for cell in columns.get("duration", ["n/a"] * len(onsets))])
    kinds = [kind.strip() for kind in columns.get("trial_type", [""] * len(onsets))]
    starts = _starts(columns.get("stim_file", []), onsets)
    word, rows = words_among(kinds, columns)
    text = columns[word] if any(rows) else kinds
    kept = np.flatnonzero(rows if any(rows) else [kind not in BLANK for kind in kinds])
    kept = kept[np.argsort(onsets[kept], kind="stable")]
    kind = ("words" if any(rows) else "types") if kept.size else ""
    return Told(kind, tuple(text[i] for i in kept), onsets[kept], durations[kept], starts)


def _starts(files: list[str], onsets: Float[np.ndarray, " row"]) -> tuple[tuple[str, float], ...]:
    """Each stimulus file with the time (s) it is first named at, the earliest first."""
    found: dict[str, float] = {}
    for i in np.argsort(onsets, kind="stable") if files else ():
        name = files[i].strip()
        if name not in BLANK and onsets[i] == onsets[i]:
            found.setdefault(name, float(onsets[i]))
    return tuple(found.items())


def _columns(data: bytes) -> dict[str, list[str]]:
    lines = [line for line in data.decode("utf-8-sig").replace("\r\n", "\n").split("\n") if line]
    header, *rows = [line.split("\t") for line in lines] or [[]]
    if any(len(row) != len(header) for row in rows) or len(set(header)) < len(header):
        raise ValueError("rows of different lengths")
    cells = list(map(list, zip(*rows, strict=True))) or [[] for _ in header]
    return {name.strip(): column for name, column in zip(header, cells, strict=True)}
