"""How loud the stimulus is: what any ear follows, with or without language."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Literal

import numpy as np
from pydantic import Field, PositiveFloat

from pipeline import sound
from pipeline.models.base import Activations, Model, Words
from pipeline.problems import Problem, StudyError

if TYPE_CHECKING:
    import pandas as pd

_COLUMN = "envelope"


class Audio(Model):
    """The acoustic envelope of the sound that a run played (column `audio` of runs.tsv), which begins at second 0.

    Each row is a moment of the sound and holds its root mean square over one
    step around that moment, in the unit of the file. Recordings interpolate
    it, and lay it beside their samples at their delays or, with epochs, every
    50 ms of the window. What predicts a brain beyond it is not the loudness.
    """

    version: ClassVar[int] = 1
    sampled: ClassVar[Literal["event", "state", "signal"]] = "signal"
    reads: ClassVar[Literal["words", "events", "audio"]] = "audio"
    kind: Literal["audio"] = "audio"
    sfreq: PositiveFloat = Field(50.0, description="Hz; moments at which the loudness is read")

    def table(self, path: Path, name: str, *, run: str) -> "pd.DataFrame":
        """The moments of a run's sound: `onset` (s), `duration` (s), `word` (empty) and `envelope`.

        Parameters
        ----------
        path : of the sound.
        name : as the user wrote it; empty where the run has none.

        Raises
        ------
        StudyError : E-MODEL-20, no sound is named; E-DATA-40, it cannot be read.
        """
        import pandas as pd

        if not name:
            raise StudyError(_silent(run))
        rate_hz, values = sound.read(path, name)
        step = 1 / self.sfreq
        onset = np.arange(int(len(values) * self.sfreq / rate_hz) + 1) / self.sfreq
        envelope = sound.loudness(rate_hz, values, onset - step / 2, step)
        return pd.DataFrame({"onset": onset, "duration": step, "word": "", _COLUMN: envelope})

    def activations(self, words: Mapping[str, Words], *, study_dir: Path) -> Iterator[Activations]:
        """One "layer" per run, number 0; `words` are the tables that `table` made."""
        for run, moments in words.items():
            if _COLUMN not in moments:
                raise StudyError(_silent(run))
            values = moments[_COLUMN].to_numpy(np.float32)
            facts = {"n_moments": len(values), "sfreq_hz": self.sfreq, "silent_share": float((values == 0).mean())}
            yield Activations(run, values[:, None, None], (0,), facts=facts)


def _silent(run: str) -> Problem:
    """E-MODEL-20: a run without sound."""
    return Problem(
        "E-MODEL-20",
        f"run {run} has no sound whose loudness could be a feature",
        file="runs.tsv",
        field="audio",
        found="no file is named",
        expected="the WAV file that the run played, which begins at second 0 of its words",
        why="loudness is measured in the sound; words alone do not tell it",
        fix="name the sound in column `audio` on every run, or take the model out of the study",
    )
