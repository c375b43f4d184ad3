"""Pages and figures: data in, HTML text out; the caller writes the file."""

from typing import Any

from pipeline.report.meg_parts import ChannelScores, MegPart, SensedRun
from pipeline.report.parts import (
    AlignedRun,
    AlignedTogether,
    Fits,
    GroupPage,
    GroupPart,
    IndexEntry,
    IndexPage,
    LagScan,
    Networks,
    QualityPart,
    RecordingPart,
    SubjectPage,
    UsedRun,
)
from pipeline.report.result import group_light, group_sentence, subject_light, subject_sentence

__all__ = [
    "AlignedRun",
    "AlignedTogether",
    "ChannelScores",
    "Fits",
    "GroupPage",
    "GroupPart",
    "IndexEntry",
    "IndexPage",
    "LagScan",
    "MegPart",
    "Networks",
    "QualityPart",
    "RecordingPart",
    "SensedRun",
    "SubjectPage",
    "UsedRun",
    "group_light",
    "group_page",
    "group_sentence",
    "index_page",
    "subject_light",
    "subject_page",
    "subject_sentence",
]


def __getattr__(name: str) -> Any:
    """What draws pages takes half a second to import, and most stages draw none: it comes with the first page."""
    if name in ("group_page", "index_page", "subject_page"):
        from pipeline.report import pages

        return getattr(pages, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
