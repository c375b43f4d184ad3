"""What every model is: something that turns the words of a run into features."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal, NamedTuple

import numpy as np

from pipeline.problems import Problem
from pipeline.settings import Settings

if TYPE_CHECKING:
    from pandas import DataFrame as Words
else:
    Words = Any  # planning a study reads this module and must not pay for pandas


class Token(NamedTuple):
    """One piece of a run's text, and the word it belongs to.

    `token` counts from 0 in its run, `start` and `end` are characters of the
    run's text, `word` is the row of the words table (None where there is none).
    """

    token: int
    text: str
    start: int
    end: int
    word: int | None


class Activations(NamedTuple):
    """The features of one run, word by word.

    `values` is (word, layer, feature), with a leading axis of seeds or of steps
    (training checkpoints, by name) for a model that has some; float32. `facts`
    are plain numbers and texts, for they go to the attributes of a file.
    `alignment` is empty where nothing is tokenised. `context` is how many tokens
    of the text were read up to and with each word's last one.
    """

    run: str
    values: np.ndarray
    layers: tuple[int, ...]
    seeds: tuple[int, ...] = ()
    steps: tuple[str, ...] = ()
    facts: dict[str, str | int | float] = {}  # noqa: RUF012  never changed in place
    alignment: tuple[Token, ...] = ()
    context: np.ndarray | None = None


class Model(Settings):
    """Something whose features may explain a recording.

    `sampled` says what a row is: an "event" happens once and is summed or
    filtered onto the clock of the recording, a "state" (the position in the
    story) is always there and is interpolated, a "signal" (the loudness) is
    always there and changes: its rows are samples. With `private`, the columns of
    each run are features of that run alone. `reads` says what of a run it is
    given: the table of its words, that of the events of the experiment, or the
    sound that was heard.
    """

    sampled: ClassVar[Literal["event", "state", "signal"]] = "event"
    private: ClassVar[bool] = False
    reads: ClassVar[Literal["words", "events", "audio"]] = "words"
    kind: str

    def activations(self, words: Mapping[str, Words], *, study_dir: Path) -> Iterator[Activations]:
        """One answer per run, in the order of `words`; only one run is held at a time.

        Parameters
        ----------
        words : per run a table with `onset` (s), `duration` (s), `word` (text,
            may be empty) and, where recorded, `whitespace`, the text between a
            word and the next; for a model that reads events, `onset`,
            `duration` and `trial_type`.
        study_dir : the study's own folder, `${STUDY}` in paths.
        """
        raise NotImplementedError

    def problems(self, study_dir: Path) -> list[Problem]:
        """What can be seen to be wrong from headers and tables alone, without torch."""
        return []

    def files(self, study_dir: Path) -> list[Path]:
        """The files whose change makes the features another thing."""
        return []
