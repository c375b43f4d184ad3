"""One run of one person: what a data set hands to those who read its files."""

import hashlib
import json
from typing import NamedTuple


class Run(NamedTuple):
    """One run of one person: the files of a recording that exists.

    `run` names the stimulus, the same for everybody who met it; presentations
    of one stimulus to one person are the several files in `responses`.
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


def digest(*runs: Run) -> str:
    """sha256 of what the table of runs says: changes when any cell of a row does."""
    return hashlib.sha256(json.dumps([run._asdict() for run in runs], sort_keys=True).encode()).hexdigest()
