"""One run of one person: what a data set hands to those who read its files."""

import hashlib
import json
from typing import NamedTuple


class Run(NamedTuple):
    """One run of one person: the files of a recording that exists.

    `run` names the stimulus, the same for everybody who met it; presentations
    of one stimulus to one person are the several files in `responses`.
    `start_s` is the time of the first sample on the words' clock; `starts_s`
    are those of the presentations where they differ, as in MEG. `confounds`
    holds one table per presentation, or none; `events` a table of event types,
    `audio` the sound that was heard. `raw`: images as the scanner wrote them,
    in which the head still moves. `space` is the BIDS label of where the
    images lie, empty where nobody said.
    """

    subject: str
    run: str
    recording: str
    responses: tuple[str, ...]
    words: str
    split: str = ""
    tr_s: float | None = None
    start_s: float = 0.0
    mask: str = ""
    confounds: tuple[str, ...] = ()
    events: str = ""
    audio: str = ""
    raw: bool = False
    space: str = ""
    starts_s: tuple[float, ...] = ()

    @property
    def presentations(self) -> "list[Run]":
        """One run for each presentation, with the start that is its own."""
        starts = self.starts_s or (self.start_s,) * len(self.responses)
        return [
            self._replace(responses=(name,), start_s=start, starts_s=())
            for name, start in zip(self.responses, starts, strict=True)
        ]


def digest(*runs: Run) -> str:
    """sha256 of what the table of runs says: changes when any cell of a row does."""
    told = [{k: v for k, v in run._asdict().items() if k != "starts_s" or v} for run in runs]
    return hashlib.sha256(json.dumps(told, sort_keys=True).encode()).hexdigest()
