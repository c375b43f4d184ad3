"""Names and places of files in a BIDS data set: read strictly, walked once, inherited as BIDS says."""

import os
import re
from collections.abc import Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import NamedTuple

from pipeline.problems import Problem, StudyError, shown

SENSED = ("meg", "eeg", "ieeg")  # datatypes of signals, each in a folder of its name
DATATYPES = ("func", *SENSED)
ENDINGS = (".nii.gz", ".func.gii", ".dtseries.nii", ".nii", ".tsv", ".json")  # the longer ones first
# recordings that MNE reads; of one that is there in several forms, the first is read
SIGNALS = (".fif", ".ds", ".sqd", ".con", ".vhdr", ".set", ".edf", ".bdf", ".mff", ".cdt", ".cnt", ".mefd")
UNREAD = (".nwb", ".kdf", ".mhd", ".raw")  # and those that it does not
FOLDERS = (".ds", ".mff", ".mefd")  # recordings that are folders
_ENDINGS = {datatype: (*SIGNALS, *UNREAD, ".tsv", ".json") for datatype in SENSED}
_PAIR = re.compile(r"([a-zA-Z]+)-([a-zA-Z0-9]+)")
_WORD = re.compile(r"[a-zA-Z0-9]+")


class File(NamedTuple):
    """A file with a BIDS name; `path` is relative to the folder that was walked."""

    path: str
    entities: dict[str, str]  # in the order they are written: {"sub": "01", "task": "story"}
    suffix: str
    ending: str

    @property
    def folder(self) -> str:
        return self.path.rpartition("/")[0]

    @property
    def datatype(self) -> str:
        """The kind of measurement that its folder is for; empty further up."""
        last = self.folder.rpartition("/")[2]
        return last if last in DATATYPES else ""

    @property
    def subject(self) -> str:
        return self.entities.get("sub", "")

    @property
    def comparable(self) -> dict[str, str]:
        """The entities with the run as a number: BIDS counts runs, and some versions of fMRIPrep write run-1 for run-01."""
        run = self.entities.get("run", "")
        return self.entities | ({"run": str(int(run))} if run.isdecimal() else {})


class Walked(NamedTuple):
    """What lies in a data set."""

    files: list[File]
    strays: list[str]  # recordings by their ending and place, which have other names than BIDS gives


def parse(path: str) -> File | None:
    """The parts of a BIDS name, or None for any other: nothing is guessed from a part of a name."""
    folder, _, name = path.rpartition("/")
    endings = _ENDINGS.get(folder.rpartition("/")[2], ENDINGS)
    ending = next((end for end in endings if name.endswith(end)), "")
    if not ending:
        return None
    *pairs, suffix = name.removesuffix(ending).split("_")
    found = [_PAIR.fullmatch(pair) for pair in pairs]
    if not all(found) or not _WORD.fullmatch(suffix):
        return None
    entities = {match[1]: match[2] for match in found if match}
    return File(path, entities, suffix, ending) if len(entities) == len(pairs) else None


def walk(root: Path) -> list[File]:
    """Every file with a BIDS name in the places where recordings and their tables may lie.

    These are the top, `sub-*`, `sub-*/ses-*` and the folders `func`, `meg`,
    `eeg` and `ieeg` in them. What BIDS keeps apart (`derivatives`,
    `sourcedata`, `code`, `stimuli`) and hidden folders are never entered, nor
    are recordings that are folders. Links count as files, whether or not their
    content was fetched.
    """
    return _sorted(root).files


def look(root: Path, as_written: str) -> Walked:
    """What lies in a data set; refuses a folder that is none."""
    if not root.is_dir():
        raise StudyError(
            Problem(
                "E-DATA-02", "the data set's folder is not there", field="dataset.root", found=shown(as_written),
                expected="a folder in BIDS form", why=f"searched from {Path.cwd().name}/",
                fix="mend dataset.root, or set the environment variable it names",
            )
        )  # fmt: skip
    walked = _sorted(root)
    if not any(file.subject for file in walked.files):
        there = sorted(path.name for path in root.iterdir())[:8]
        raise StudyError(
            Problem(
                "E-DATA-50", "no BIDS data set: nobody's files are there", field="dataset.root", found=shown(there, 200),
                expected="folders sub-*/func or sub-*/ses-*/func with *_bold.nii.gz; or meg, eeg, ieeg with recordings",
                fix="name the folder that holds sub-*",
            )
        )  # fmt: skip
    return walked


def _sorted(root: Path) -> Walked:
    found = {path: parse(path) for path in _paths(root, "", ("sub-",))}
    strays = [path for path, file in found.items() if not (file and file.subject) and _is_signal(path)]
    return Walked(sorted((file for file in found.values() if file), key=_in_order), sorted(strays, key=natural))


def _is_signal(path: str) -> bool:
    """Does a file (or folder) look like a recording by where it lies and how it ends?"""
    folder, _, name = path.rpartition("/")
    datatype = folder.rpartition("/")[2]
    return datatype in SENSED and name.lower().endswith((*SIGNALS, *UNREAD, ".fif.gz", f"_{datatype}"))


def _paths(root: Path, folder: str, below: tuple[str, ...]) -> Iterator[str]:
    with _listed(root, folder) as entries:
        for entry in entries:
            path = f"{folder}/{entry.name}" if folder else entry.name
            if entry.name.startswith("."):
                continue
            if (not below and entry.name.endswith(_AS_ONE)) or not entry.is_dir():
                yield path
            elif (kind := _kind(entry.name)) in below:
                yield from _paths(root, path, _BELOW[kind])


def _listed(root: Path, folder: str) -> AbstractContextManager[Iterator[os.DirEntry[str]]]:
    try:
        return os.scandir(root / folder)
    except PermissionError as error:
        fix = "permit reading it, or take the person out of the data set"
        problem = Problem(
            "E-DATA-21", "a folder cannot be read", file=folder or ".", found=str(error.strerror), fix=fix
        )
        raise StudyError(problem) from None


def _kind(folder: str) -> str:
    """What a folder is by its name: that of a person, of a session, or of a kind of measurement."""
    return next((prefix for prefix in ("sub-", "ses-") if folder.startswith(prefix)), folder)


_BELOW: dict[str, tuple[str, ...]] = {
    "sub-": ("ses-", *DATATYPES),
    "ses-": DATATYPES,
    **dict.fromkeys(DATATYPES, ()),
}
_AS_ONE = (*FOLDERS, *(f"_{datatype}" for datatype in SENSED))  # 4D and KIT folders have no ending


def _in_order(file: File) -> tuple[object, ...]:
    return natural(file.path)


def natural(text: str) -> tuple[object, ...]:
    """Sorts run-2 before run-10, and text by its letters."""
    parts = re.split(r"([0-9]+)", text)
    return tuple((int(part), part) if i % 2 else part for i, part in enumerate(parts))


def misplaced(file: File) -> bool:
    """Does a file name another subject or session than the folders it lies in?"""
    folders = dict(part.split("-", 1) for part in file.folder.split("/") if part.startswith(("sub-", "ses-")))
    return any(file.entities.get(key) != value for key, value in folders.items())


class Inherited:
    """Tables that may stand further up: `events.tsv` at the top serves every run it fits."""

    def __init__(self, files: list[File], suffix: str, ending: str, datatype: str = "func"):
        self._datatype = datatype
        self._by_folder: dict[str, list[File]] = {}
        for file in files:
            if (file.suffix, file.ending) == (suffix, ending):
                self._by_folder.setdefault(file.folder, []).append(file)

    def of(self, run: dict[str, str]) -> str:
        """The table of a run: the nearest one whose (comparable) entities are all the run's; empty where there is none."""
        for folder in reversed(_levels(run, self._datatype)):
            fitting = [f for f in self._by_folder.get(folder, ()) if f.comparable.items() <= run.items()]
            if fitting:
                return max(fitting, key=lambda f: len(f.entities)).path
        return ""


def _levels(run: dict[str, str], datatype: str) -> list[str]:
    """The folders whose files apply to a run, from the top down."""
    levels = ["", f"sub-{run.get('sub', '')}"]
    if "ses" in run:
        levels.append(f"{levels[-1]}/ses-{run['ses']}")
    return [*levels, f"{levels[-1]}/{datatype}"]
