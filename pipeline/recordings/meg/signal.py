"""From a file to a signal in time: checked, filtered and resampled by MNE, every step done or skipped told."""

from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from jaxtyping import Bool, Float

from pipeline.problems import Problem
from pipeline.recordings.base import problem
from pipeline.recordings.meg import artifacts, marking
from pipeline.recordings.meg.artifacts import Spatial, Step
from pipeline.recordings.meg.channels import Channels
from pipeline.recordings.meg.files import line_hz
from pipeline.recordings.meg.filtering import InTime, in_time
from pipeline.recordings.meg.kind import Meg
from pipeline.recordings.meg.marking import Spans
from pipeline.recordings.meg.rates import check_rates, filter_s
from pipeline.recordings.meg.spectra import LINES_HZ, STANDS_OUT, spectra
from pipeline.runs import Run

if TYPE_CHECKING:
    import mne

__all__ = ["UNITS", "Signal", "check_rates", "filtered"]

# of the values that leave this module, and how many of them make one of MNE's
UNITS = {
    "mag": ("fT", 1e15), "grad": ("fT/cm", 1e13), "eeg": ("uV", 1e6), "seeg": ("uV", 1e6), "ecog": ("uV", 1e6),
    "dbs": ("uV", 1e6),
}  # fmt: skip


class Signal(NamedTuple):
    """One presentation, clean, in the order of `Channels.names`.

    `values` are in UNITS; sample i lies i / `sfreq` s after the file's first.
    `bad` channels hold no brain signal. `bad_spans` are s in the file; those
    of length 0 are joints. The spectra are in unit^2/Hz at `freqs_hz`, NaN
    where the clean signal has no such frequencies. `facts` is what JSON holds.
    """

    values: Float[np.ndarray, "channel time"]
    sfreq: float
    bad: Bool[np.ndarray, " channel"]
    bad_spans: Spans
    freqs_hz: Float[np.ndarray, " frequency"]
    psd_before: Float[np.ndarray, "channel frequency"]
    psd_after: Float[np.ndarray, "channel frequency"]
    steps: list[Step]
    facts: dict[str, Any]
    warnings: list[Problem]


def filtered(meg: Meg, raw: "mne.io.BaseRaw", channels: Channels, run: Run, folder: Path, name: str) -> Signal:
    """The picked channels of one opened recording, which itself is left as it is.

    Raises
    ------
    StudyError
        Filters above half of the sampling rate, values in another unit than
        the file says, too many bad channels, data that cannot be read.
    """
    check_rates(meg, raw.info["sfreq"], run, name)
    artifacts.check_shielding(meg, raw.info, run, name)
    helpers = _helpers(meg, raw, channels, artifacts.check_reference(meg, raw, run, name))
    marking.check_units(raw, channels, run, name)
    found = in_time(meg, raw, [*channels.names, *helpers], folder, run, name)
    marking.check_share(found.marks, channels.names, meg.most_bad, run, name)
    clean = _over_channels(meg, found.raw, folder, run, name)
    values = clean.raw.get_data(picks=list(channels.names))
    bad = np.isin(channels.names, clean.raw.info["bads"])
    loud = marking.noisy(values, channels.names, channels.kinds, ~bad)
    scale = np.array([UNITS[kind][1] for kind in channels.kinds])[:, None]
    _, after = spectra(clean.raw.copy().pick(list(channels.names)), meg, found.freqs_hz)
    notes = marking.warnings_of(found.marks, loud, found.lost, run, name)
    notes += [*_told(meg, raw, channels, found, folder, run, name), *clean.warnings]
    steps = [*found.steps, *clean.steps]
    return Signal(
        values=(values * scale).astype(np.float32), sfreq=meg.sfreq, bad=bad, bad_spans=found.spans, freqs_hz=found.freqs_hz,
        psd_before=found.psd[: len(channels.names)] * scale**2, psd_after=after * scale**2, steps=steps,
        facts=_facts(raw, channels, found, [*clean.noisy, *loud], steps, name), warnings=notes,
    )  # fmt: skip


def _helpers(meg: Meg, raw: "mne.io.BaseRaw", channels: Channels, reference: list[str]) -> list[str]:
    """Channels that are not picked, and without which the picked ones cannot be cleaned."""
    kinds = dict(zip(raw.ch_names, raw.get_channel_types(), strict=True))
    types: set[str] = set()
    if not artifacts.why_no_maxwell(meg, raw.info):
        types |= {"mag", "grad"}
    if "eeg" in channels.kinds and meg.reference == ("average",):
        types |= {"eeg"}
    if meg.artifacts != "none":
        types |= {"eog", "ecg"}
    wanted = {name for name, kind in kinds.items() if kind in types} | set(reference)
    return [name for name in raw.ch_names if name in wanted and name not in channels.names]


def _over_channels(meg: Meg, raw: "mne.io.BaseRaw", folder: Path, run: Run, name: str) -> Spatial:
    """Maxwell filter, eyes and heart, interpolation, reference."""
    first = artifacts.maxwell_filtered(meg, raw, folder, run, name)
    second = artifacts.without_eyes_and_heart(meg, first.raw, run, name)
    third = artifacts.interpolated(meg, second.raw)
    last = artifacts.referenced(meg, third.raw)
    every = (first, second, third, last)
    return Spatial(
        last.raw, [step for one in every for step in one.steps], [note for one in every for note in one.warnings],
        first.noisy,
    )  # fmt: skip


def _facts(
    raw: "mne.io.BaseRaw", channels: Channels, found: InTime, noisy: list[str], steps: list[Step], name: str
) -> dict[str, Any]:
    bads = {why: [c for c in getattr(found.marks, why) if c in channels.names] for why in ("named", "flat", "nan")}
    end = raw.n_times / raw.info["sfreq"]
    return {
        "file": name,
        "sfreq_hz": float(raw.info["sfreq"]),
        "duration_s": float(end),
        "n_channels": len(channels.names),
        "kinds": {kind: channels.kinds.count(kind) for kind in dict.fromkeys(channels.kinds)},
        "steps": steps,
        "bads": bads | {"noisy": [c for c in channels.names if c in noisy]},
        "annotated_s": float(sum(max(min(stop, end) - max(start, 0.0), 0.0) for start, stop in found.spans)),
        "nan_samples": found.marks.n_missing,
    }


def _told(
    meg: Meg, raw: "mne.io.BaseRaw", channels: Channels, found: InTime, folder: Path, run: Run, name: str
) -> list[Problem]:
    """Warnings about the whole recording."""
    notes = []
    said = raw.info["line_freq"] or line_hz(folder, name)
    strongest = max(found.line, key=found.line.__getitem__, default=None)
    if said in LINES_HZ and strongest not in (None, said) and found.line[strongest] > STANDS_OUT > found.line[said]:
        notes.append(problem("W-MEG-04", "line noise stands at another frequency than is said", run, file=name, field="PowerLineFrequency",
                             found=f"a peak at {strongest:g} Hz, none at {said:g} Hz", expected=f"{said:g} Hz, by the file or its sidecar",
                             fix=f"mend the sidecar, or say notch: [{strongest:g}]"))  # fmt: skip
    if channels.why_no_places:
        notes.append(problem("W-MEG-05", "places of channels are missing: there will be no topographies", run, file=name,
                             found=channels.why_no_places, why="the fit needs no places and goes on",
                             fix="add electrodes.tsv and coordsystem.json, or a montage"))  # fmt: skip
    if (meg.l_freq or meg.h_freq) and (length := filter_s(meg, raw.info["sfreq"])) > raw.n_times / raw.info["sfreq"]:
        notes.append(problem("W-MEG-06", "the filter is longer than the recording", run, file=name, field="l_freq",
                             found=f"{length:.3g} s, the recording has {raw.n_times / raw.info['sfreq']:.3g} s",
                             why="its ends reach every sample", fix="raise l_freq, or set it to null"))  # fmt: skip
    return notes
