"""What is done to each channel alone: gaps filled, notch, band-pass, another rate, and the spectrum before.

Only some channels at a time are held at the rate of the file, for ten minutes
of a whole helmet at 1 kHz are 1.5 GB; all of them are held at the new rate.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from jaxtyping import Float

from pipeline.recordings.meg import marking
from pipeline.recordings.meg.artifacts import Step, step
from pipeline.recordings.meg.files import line_hz, refused
from pipeline.recordings.meg.kind import Meg
from pipeline.recordings.meg.marking import Marks, Spans
from pipeline.recordings.meg.rates import filter_s, notches, resampled
from pipeline.recordings.meg.spectra import STANDS_OUT, line_noise, spectra
from pipeline.runs import Run

if TYPE_CHECKING:
    import mne

_HELD = 1e8  # bytes of channels at the rate of the file; a few times as much is used for a while
_JOINTS = ("edge", "bad_acq_skip", "boundary")  # no filter runs across them


class InTime(NamedTuple):
    """All channels at the new rate, and what was found on the way; `psd` is that of the file, in MNE's units.

    `spans` are bad, for whatever reason; in `lost` samples are missing.
    `line` is how far the line's frequencies stand out of the spectrum.
    """

    raw: "mne.io.BaseRaw"
    marks: Marks
    spans: Spans
    lost: Spans
    freqs_hz: Float[np.ndarray, " frequency"]
    psd: Float[np.ndarray, "channel frequency"]
    line: dict[float, float]
    steps: list[Step]


class _Part(NamedTuple):
    """Some of the channels."""

    values: Float[np.ndarray, "channel moment"]
    flat: list[str]
    nan: list[str]
    n_missing: int
    spans: Spans
    lost: Spans
    freqs_hz: Float[np.ndarray, " frequency"]
    psd: Float[np.ndarray, "channel frequency"]
    line: dict[float, float]


def in_time(meg: Meg, raw: "mne.io.BaseRaw", names: Sequence[str], folder: Path, run: Run, name: str) -> InTime:
    """The named channels of a recording, filtered and at the rate that was asked for."""
    line = raw.info["line_freq"] or line_hz(folder, name)
    notch, n = notches(meg, line), max(int(_HELD / (8 * raw.n_times)), 1)
    parts = []
    for some in (names[i : i + n] for i in range(0, len(names), n)):
        with refused(folder / name, name, run):
            values = raw.get_data(picks=list(some))
        parts.append(_part(meg, raw, some, values, notch))
    lost = marking.joined(span for part in parts for span in part.lost)
    spans = marking.joined([*marking.marked_spans(raw), *lost, *(span for part in parts for span in part.spans)])
    named = [c for c in names if c in raw.info["bads"]]
    flat, nan = ([c for part in parts for c in getattr(part, why) if c not in named] for why in ("flat", "nan"))
    marks = Marks(named, flat, nan, sum(part.n_missing for part in parts))
    whole = _together(raw, [part.values for part in parts], names, meg)
    whole.set_annotations(_bad(spans), verbose="ERROR")
    whole.info["bads"] = [c for c in names if c in marks.bad]
    psd = np.concatenate([part.psd for part in parts])
    steps = [_before(raw), _gaps(marks, lost), *_steps(meg, raw, notch, line, parts[0].line)]
    return InTime(whole, marks, spans, lost, parts[0].freqs_hz, psd, parts[0].line, steps)


def _part(
    meg: Meg,
    raw: "mne.io.BaseRaw",
    names: Sequence[str],
    values: Float[np.ndarray, "channel time"],
    notch: tuple[float, ...],
) -> _Part:
    """Some channels, of which all is done in place of the `values` that were read."""
    import mne

    sfreq, info = raw.info["sfreq"], mne.pick_info(raw.info, [raw.ch_names.index(name) for name in names])
    missing = marking.fill(values)
    gone = missing.mean(axis=1) > marking.MOST_MISSING
    nan = [names[i] for i in np.flatnonzero(gone)]
    lost = marking.stretches(missing[~gone].any(axis=0), sfreq)
    part = mne.io.RawArray(values, info, copy=None, verbose="ERROR")
    part.set_annotations(marking.annotations(raw) + _bad(lost), verbose="ERROR")
    part.info["bads"] = [c for c in names if c in raw.info["bads"] or c in nan]
    flat, spans = marking.flat(part)
    freqs, psd = spectra(part, meg)
    line = line_noise(part)
    if notch:
        part.notch_filter(notch, picks="all", skip_by_annotation=_JOINTS, verbose="ERROR")
    if meg.l_freq or meg.h_freq:
        part.filter(meg.l_freq, meg.h_freq, picks="all", skip_by_annotation=_JOINTS, verbose="ERROR")
    if sfreq != meg.sfreq:
        values = resampled(values, sfreq, meg.sfreq)
    return _Part(values, flat, nan, int(missing.sum()), spans, lost, freqs, psd, line)


def _together(raw: "mne.io.BaseRaw", values: list[np.ndarray], names: Sequence[str], meg: Meg) -> "mne.io.BaseRaw":
    """All channels at the new rate; projectors of the file that nobody applied are left out."""
    import mne

    info = mne.pick_info(raw.info, [raw.ch_names.index(name) for name in names])
    with info._unlock():  # MNE sets these where it filters and resamples itself
        info["sfreq"] = meg.sfreq
        info["highpass"] = max(info["highpass"], meg.l_freq or 0.0)
        info["lowpass"] = min(info["lowpass"], meg.h_freq or meg.sfreq / 2, meg.sfreq / 2)
    whole = mne.io.RawArray(np.concatenate(values), info, copy=None, verbose="ERROR")
    idle = [i for i, projector in enumerate(whole.info["projs"]) if not projector["active"]]
    return whole.del_proj(idle) if idle else whole


def _bad(spans: Spans) -> "mne.Annotations":
    import mne

    return mne.Annotations([start for start, _ in spans], [end - start for start, end in spans], "BAD")


def _before(raw: "mne.io.BaseRaw") -> Step:
    """What somebody did to the file before."""
    low, high, half = raw.info["highpass"], raw.info["lowpass"], raw.info["sfreq"] / 2
    told = [f"high-passed at {low:.3g} Hz"] * (low > 0) + [f"low-passed at {high:.3g} Hz"] * (high < half)
    return step(
        "filters of the file", bool(told), f"the file was {' and '.join(told)}" if told else "none that it tells"
    )


def _gaps(marks: Marks, lost: Spans) -> Step:
    if not marks.n_missing:
        return step("missing samples", False, "none is missing")
    told = f"{marks.n_missing} samples bridged by straight lines before filtering, {sum(e - s for s, e in lost):.3g} s marked as bad"
    return step("missing samples", True, told)


def _steps(
    meg: Meg, raw: "mne.io.BaseRaw", notch: tuple[float, ...], line: float | None, peaks: dict[float, float]
) -> list[Step]:
    sfreq = raw.info["sfreq"]
    stands = (
        f"; the spectrum has a peak at {max(peaks, key=peaks.__getitem__):g} Hz"
        if peaks and max(peaks.values()) > STANDS_OUT
        else ""
    )
    why_no_notch = (
        "not asked for" if meg.notch != "auto"
        else f"the line frequency is not known (neither the file nor a sidecar tells it){stands}" if not line
        else f"{line:g} Hz of the line lie above what the low-pass leaves"
    )  # fmt: skip
    found = [
        step(
            "notch filter",
            bool(notch),
            f"{', '.join(f'{f:g}' for f in notch)} Hz (MNE's FIR, zero phase)" if notch else why_no_notch,
        )
    ]
    if meg.l_freq or meg.h_freq:
        low, high = (f"{f:g}" if f else end for f, end in ((meg.l_freq, "0"), (meg.h_freq, f"{sfreq / 2:g}")))
        length = filter_s(meg, sfreq)
        told = f"{low} to {high} Hz (MNE's FIR of {length:.3g} s, zero phase: not causal, what follows a word reaches up to {length / 2:.3g} s before it)"
        found.append(step("band-pass", True, told))
    else:
        found.append(step("band-pass", False, "not asked for"))
    same = sfreq == meg.sfreq
    found.append(
        step(
            "resampling",
            not same,
            f"the file has {sfreq:g} Hz already" if same else f"{sfreq:g} to {meg.sfreq:g} Hz (FFT), after filtering",
        )
    )
    own = [projector["desc"] for projector in raw.info["projs"]]
    active = sum(bool(projector["active"]) for projector in raw.info["projs"])
    told = (
        f"{len(own)} in the file, {active} applied before, the others not used"
        if own
        else "there are none, as from an empty room"
    )
    found.append(step("projectors of the file", active > 0, told))
    return found
