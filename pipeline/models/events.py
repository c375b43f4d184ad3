"""What kind of thing happened: the events of an experiment, one feature for each type."""

from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, ClassVar, Literal

import numpy as np
from pydantic import Field

from pipeline.models.base import Activations, Model, Words
from pipeline.problems import Problem, StudyError, shown
from pipeline.settings import as_json

_LARGEST = 100_000_000  # values of one run, 400 MB
_NO_TYPE = "n/a"  # as BIDS writes a cell without a value


class Events(Model):
    """1 for the type of each event, 0 for all others: the design of a classic experiment.

    Reads the table of events of each run (`onset`, `duration`, `trial_type`,
    as BIDS has it); in one without `trial_type` the words are the types. Every
    run has the same columns, sorted by name; a type that does not occur in a
    run is 0 there. An event without a type, or of a type that was not chosen,
    is 0 throughout and counted. Events are moments: their durations are not used.
    """

    version: ClassVar[int] = 1
    reads: ClassVar[Literal["words", "events"]] = "events"
    kind: Literal["events"] = "events"
    types: tuple[str, ...] | None = Field(
        None, min_length=1, description="types of events that become features; by default every one that occurs"
    )

    def activations(self, words: Mapping[str, Words], *, study_dir: Path) -> Iterator[Activations]:
        """One "layer" per run, number 0, one feature per type."""
        named = {run: _types(table) for run, table in words.items()}
        known = Counter(name for names in named.values() for name in names if name)
        chosen = self._chosen(known)
        if max(map(len, named.values()), default=0) * len(chosen) > _LARGEST:
            raise StudyError(_too_many(known))
        for run, names in named.items():
            values = (np.array(names, str)[:, None] == np.array(chosen, str)).astype(np.float32)
            left_out = len(names) - int(values.sum())
            facts = {"n_words": len(names), "types": as_json(chosen), "n_left_out": left_out}
            yield Activations(run, values[:, None], (0,), facts=facts)

    def _chosen(self, known: Mapping[str, int]) -> list[str]:
        unknown = sorted(set(self.types or ()) - set(known))
        if unknown or not known:
            raise StudyError(_unknown(unknown, known))
        return sorted(set(self.types or known))


def _types(table: Words) -> list[str]:
    """The type of every event as text, empty where there is none."""
    column = table["trial_type"] if "trial_type" in table.columns else table["word"]
    return ["" if missing else _named(value) for value, missing in zip(column, column.isna(), strict=True)]


def _named(value: Any) -> str:
    """Codes may have been read as numbers: 3.0 is the type "3"."""
    coded = isinstance(value, float | np.floating) and value.is_integer()
    text = str(int(value) if coded else value).strip()
    return "" if text == _NO_TYPE else text


def _unknown(unknown: list[str], known: Mapping[str, int]) -> Problem:
    """E-MODEL-18: types of events that nothing has."""
    return Problem(
        "E-MODEL-18",
        "types of events do not occur in any run" if unknown else "no event has a type",
        field="types",
        found=shown(unknown) if unknown else "only empty cells in `trial_type`",
        expected=f"some of {shown(sorted(known), 200)}" if known else "a type for every event",
        why="their feature would be 0 throughout" if unknown else "there is nothing to make features of",
        fix="write the types as in column `trial_type` of the events" if known else "fill in column `trial_type`",
    )


def _too_many(known: Mapping[str, int]) -> Problem:
    """E-MODEL-19: the types are no types."""
    return Problem(
        "E-MODEL-19",
        "too many types of events",
        field="types",
        found=f"{len(known)} types of {sum(known.values())} events, such as {shown(next(iter(known)))}",
        expected=f"at most {_LARGEST} values in a run",
        fix="choose some with `types`; for the identity of words use `kind: tokens`",
    )
