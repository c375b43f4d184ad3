"""Names and places of files in a BIDS data set: read strictly, walked once, inherited as BIDS says."""

import os
import re
from collections.abc import Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import NamedTuple

from pipeline.problems import Problem, StudyError

ENDINGS = (".nii.gz", ".func.gii", ".dtseries.nii", ".nii", ".tsv", ".json")  # the longer ones first
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
    def subject(self) -> str:
        return self.entities.get("sub", "")

    @property
    def comparable(self) -> dict[str, str]:
        """The entities with the run as a number: BIDS counts runs, and some versions of fMRIPrep write run-1 for run-01."""
        run = self.entities.get("run", "")
        return self.entities | ({"run": str(int(run))} if run.isdecimal() else {})


def parse(path: str) -> File | None:
    """The parts of a BIDS name, or None for any other: nothing is guessed from a part of a name."""
    name = path.rpartition("/")[2]
    ending = next((end for end in ENDINGS if name.endswith(end)), "")
    if not ending:
        return None
    *pairs, suffix = name.removesuffix(ending).split("_")
    found = [_PAIR.fullmatch(pair) for pair in pairs]
    if not all(found) or not _WORD.fullmatch(suffix):
        return None
    entities = {match[1]: match[2] for match in found if match}
    return File(path, entities, suffix, ending) if len(entities) == len(pairs) else None


def walk(root: Path) -> list[File]:
    """Every file with a BIDS name in the places where functional images and their tables may lie.

    These are the top, `sub-*`, `sub-*/ses-*` and the `func` folders in them.
    What BIDS keeps apart (`derivatives`, `sourcedata`, `code`, `stimuli`) and
    hidden folders are never entered. Links count as files, whether or not
    their content was fetched.
    """
    found = [parse(path) for path in _paths(root, "", ("sub-",))]
    return sorted((file for file in found if file), key=_in_order)


def _paths(root: Path, folder: str, below: tuple[str, ...]) -> Iterator[str]:
    with _listed(root, folder) as entries:
        for entry in entries:
            path = f"{folder}/{entry.name}" if folder else entry.name
            if entry.name.startswith("."):
                continue
            if not entry.is_dir():
                yield path
            elif below and entry.name.startswith(below):
                yield from _paths(root, path, _BELOW[entry.name.partition("-")[0]])


def _listed(root: Path, folder: str) -> AbstractContextManager[Iterator[os.DirEntry[str]]]:
    try:
        return os.scandir(root / folder)
    except PermissionError as error:
        fix = "permit reading it, or take the person out of the data set"
        problem = Problem(
            "E-DATA-21", "a folder cannot be read", file=folder or ".", found=str(error.strerror), fix=fix
        )
        raise StudyError(problem) from None


_BELOW: dict[str, tuple[str, ...]] = {"sub": ("ses-", "func"), "ses": ("func",), "func": ()}


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

    def __init__(self, files: list[File], suffix: str, ending: str):
        self._by_folder: dict[str, list[File]] = {}
        for file in files:
            if (file.suffix, file.ending) == (suffix, ending):
                self._by_folder.setdefault(file.folder, []).append(file)

    def of(self, run: dict[str, str]) -> str:
        """The table of a run: the nearest one whose (comparable) entities are all the run's; empty where there is none."""
        for folder in reversed(_levels(run)):
            fitting = [f for f in self._by_folder.get(folder, ()) if f.comparable.items() <= run.items()]
            if fitting:
                return max(fitting, key=lambda f: len(f.entities)).path
        return ""


def _levels(run: dict[str, str]) -> list[str]:
    """The folders whose files apply to a run, from the top down."""
    levels = ["", f"sub-{run.get('sub', '')}"]
    if "ses" in run:
        levels.append(f"{levels[-1]}/ses-{run['ses']}")
    return [*levels, f"{levels[-1]}/func"]
