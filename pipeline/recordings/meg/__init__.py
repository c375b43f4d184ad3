"""`kind: meg`: anything MNE reads; MEG, EEG and iEEG, resolved in time."""

from pipeline.recordings.meg.kind import Meg

__all__ = ["Meg"]
