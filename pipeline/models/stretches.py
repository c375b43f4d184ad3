"""Stretches of a story: whole runs, or the sentences, passages or items that the words table names."""

from typing import Literal

import numpy as np
from jaxtyping import Int

from pipeline.models.base import Words
from pipeline.problems import Problem, StudyError

Unit = Literal["run", "passage", "sentence", "item"]


def stretches(words: Words, unit: Unit, *, run: str) -> Int[np.ndarray, " word"]:
    """Number of the stretch each word is in: 0, 1, 2, … in order of time.

    A new one begins where the column named `unit` changes from one word to
    the next; a run is one stretch whatever the table says.

    Raises
    ------
    StudyError if the words table has no such column.
    """
    if unit == "run":
        return np.zeros(len(words), np.int64)
    if unit not in words:
        raise StudyError(_no_column(unit, list(map(str, words)), run))
    names = words[unit].to_numpy(object)
    return np.concatenate([[0], np.cumsum(names[1:] != names[:-1])]).astype(np.int64)[: len(words)]


def _no_column(unit: str, columns: list[str], run: str) -> Problem:
    return Problem(
        "E-WORDS-10",
        f"the words of run {run} are not divided into {unit}s",
        field=unit,
        found=f"columns {', '.join(columns)}",
        expected=f"a column {unit!r}",
        why=f"the study asks for {unit}s, and only the words table knows where they begin",
        fix=f"add a column {unit!r} to the words table (the same value on every word of a {unit}), or choose `run`",
    )
