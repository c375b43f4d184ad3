"""The triggers of a recording: pulses of a channel, or annotations."""

from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Float, Int

from pipeline.problems import StudyError, shown
from pipeline.recordings.base import problem
from pipeline.runs import Run

if TYPE_CHECKING:
    import mne

_TOLD = 5  # triggers that a message names
_LISTED = 12  # names that a message lists


def marks_of(wanted: tuple[str, ...], raw: "mne.io.BaseRaw", run: Run, name: str) -> Float[np.ndarray, " trigger"]:
    """When the triggers come, in s after the file's first sample, in order.

    Parameters
    ----------
    wanted : channels, each with its codes behind a colon where only some count
        (`STI101:5,6`), or descriptions of annotations.

    Raises
    ------
    StudyError : a name that is neither, codes that never come, no trigger at
        all, two triggers at one sample.
    """
    samples = [_samples(entry, raw, run, name) for entry in wanted]
    _refuse_twice(wanted, samples, raw, run, name)
    return (np.sort(np.concatenate(samples)) - raw.first_samp) / raw.info["sfreq"]


def _samples(entry: str, raw: "mne.io.BaseRaw", run: Run, name: str) -> Int[np.ndarray, " trigger"]:
    channel, _, codes = entry.rpartition(":")
    if entry in raw.ch_names:
        return _pulses(entry, "", raw, run, name)
    if entry in raw.annotations.description:
        return _annotated(entry, raw)
    if channel in raw.ch_names:
        return _pulses(channel, codes, raw, run, name)
    raise StudyError(
        problem(
            "E-MEG-30", "a trigger is neither a channel nor an annotation", run, file=name, field="trigger",
            found=shown(entry), expected=_existing(raw), fix="name one of these; codes stand behind a colon: STI101:5,6",
        )
    )  # fmt: skip


def _annotated(description: str, raw: "mne.io.BaseRaw") -> np.ndarray:
    import mne

    events, _ = mne.events_from_annotations(raw, {description: 1}, regexp=None, verbose="ERROR")
    return events[:, 0]


def _events(channel: str, raw: "mne.io.BaseRaw") -> np.ndarray:
    """(sample, value before, value) of each pulse; those of a single sample count, as short ones do at low rates."""
    import mne

    return mne.find_events(raw, channel, shortest_event=1, verbose="ERROR")


def _pulses(channel: str, codes: str, raw: "mne.io.BaseRaw", run: Run, name: str) -> np.ndarray:
    events = _events(channel, raw)
    numbers = [part.strip() for part in codes.split(",")] if codes else []
    absent = [n for n in numbers if not n.isdigit() or int(n) not in events[:, 2]]
    if absent or not len(events):
        raise StudyError(
            problem(
                "E-MEG-31", "triggers never come", run, file=name, field="trigger",
                found=f"codes {', '.join(map(shown, absent))} of {channel}" if absent else f"no pulse in {channel}",
                expected=_codes(channel, events) if len(events) else _existing(raw), fix="name codes that mark words",
            )
        )  # fmt: skip
    return events[np.isin(events[:, 2], [int(n) for n in numbers]), 0] if numbers else events[:, 0]


def _refuse_twice(
    wanted: tuple[str, ...], samples: list[np.ndarray], raw: "mne.io.BaseRaw", run: Run, name: str
) -> None:
    """Two triggers at one sample: MNE refuses them later, and which word is meant nobody can say."""
    sample = np.concatenate(samples)
    entry = np.repeat(np.arange(len(wanted)), [len(s) for s in samples])
    number = np.concatenate([np.arange(1, len(s) + 1) for s in samples])
    at, counts = np.unique(sample, return_counts=True)
    twice = at[counts > 1]
    if not len(twice):
        return
    told = []
    for here in twice[:_TOLD]:
        rows = " and ".join(f"{wanted[entry[i]]} no. {number[i]}" for i in np.flatnonzero(sample == here))
        told.append(f"sample {here - raw.first_samp} ({(here - raw.first_samp) / raw.info['sfreq']:.3f} s): {rows}")
    raise StudyError(
        problem(
            "E-MEG-32", f"{len(twice)} samples hold more than one trigger", run, file=name, field="trigger",
            found="; ".join(told) + ("; …" if len(twice) > _TOLD else ""), expected="one trigger at a sample",
            fix="take the double ones out of the file, or name in `trigger` only what marks words",
        )
    )  # fmt: skip


def _existing(raw: "mne.io.BaseRaw") -> str:
    """The channels that may carry triggers, with their codes, and the annotations, with their counts."""
    stim = [n for n, kind in zip(raw.ch_names, raw.get_channel_types(), strict=True) if kind == "stim"]
    descriptions, counts = np.unique(raw.annotations.description, return_counts=True)
    channels = "; ".join(_codes(n, _events(n, raw)) for n in stim[:_LISTED]) or "no trigger channels"
    told = ", ".join(f"{shown(str(d))} ({n} times)" for d, n in list(zip(descriptions, counts, strict=True))[:_LISTED])
    return f"{channels}; {'annotations ' + told if told else 'no annotations'}"


def _codes(channel: str, events: np.ndarray) -> str:
    codes, counts = np.unique(events[:, 2], return_counts=True)
    order = np.argsort(-counts, kind="stable")[:_LISTED]
    told = ", ".join(f"{codes[i]} ({counts[i]} times)" for i in order)
    return f"{channel} with codes {told}" if told else f"{channel} without a pulse"
