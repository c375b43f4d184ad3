"""Kinds of recordings: one file each; to add one, add a file and a line of the table."""

from pipeline.recordings.base import Cleaned, Header, Recording
from pipeline.recordings.fmri import Fmri
from pipeline.recordings.matrix import Arrays
from pipeline.recordings.meg import Meg

RECORDINGS: dict[str, type[Recording]] = {"arrays": Arrays, "fmri": Fmri, "meg": Meg}

__all__ = ["RECORDINGS", "Cleaned", "Header", "Recording"]
