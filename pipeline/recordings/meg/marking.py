"""What of a recording cannot be used: implausible units, missing samples, flat and noisy channels, bad stretches."""

import math
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from jaxtyping import Bool, Float

from pipeline.problems import Problem, StudyError
from pipeline.recordings.base import problem
from pipeline.recordings.meg.channels import Channels
from pipeline.recordings.meg.files import BAD_SPAN
from pipeline.runs import Run

if TYPE_CHECKING:
    import mne

Spans = list[tuple[float, float]]  # s in the file: start and end

# median absolute deviation that a head can give; T, T/m and V, as MNE holds them
PLAUSIBLE = {
    "mag": (1e-15, 1e-10), "grad": (1e-14, 1e-9),
    "eeg": (1e-8, 1e-2), "seeg": (1e-8, 1e-2), "ecog": (1e-8, 1e-2), "dbs": (1e-8, 1e-2),
}  # fmt: skip
SI = {"mag": "T", "grad": "T/m", "eeg": "V", "seeg": "V", "ecog": "V", "dbs": "V"}
_WRITTEN = {"T": {"fT": 1e-15, "pT": 1e-12, "nT": 1e-9}, "T/m": {"fT/cm": 1e-13, "fT/m": 1e-15, "pT/m": 1e-12},
            "V": {"uV": 1e-6, "mV": 1e-3, "nV": 1e-9}}  # fmt: skip
_LOOKS, _LOOK_S = 20, 1.0  # stretches of the recording that units are judged by
MOST_MISSING = 0.05  # share of samples; a channel that lacks more is bad
_FLAT_S, _FLAT_PERCENT = 1.0, 5.0  # a channel that stands still for so long is flat then; for so much of the time, bad
_STILL = 1e-6  # of the usual step from one sample to the next; smaller ones are rounding
NOISY_Z = 5.0  # robust deviations of the logarithm of the variance
_MAD = 1.4826  # makes the median absolute deviation the standard deviation of a normal distribution


def check_units(raw: "mne.io.BaseRaw", channels: Channels, run: Run, name: str) -> None:
    """Refuse values that no head gives: femtotesla that were stored as tesla, microvolts as volts.

    Each channel's median in each stretch is taken away first, for amplifiers
    have offsets that are larger than any signal.
    """
    problems = []
    deviation = _deviations(raw, channels.names)
    usable = np.isin(channels.names, raw.info["bads"], invert=True) & (deviation > 0)
    for kind, (low, high) in PLAUSIBLE.items():
        of_kind = deviation[usable & (np.array(channels.kinds) == kind)]
        if len(of_kind) and not low <= (found := float(np.median(of_kind))) <= high:
            problems.append(_implausible(kind, found, low, high, run, name))
    if problems:
        raise StudyError(*problems)


def fill(values: Float[np.ndarray, "channel time"]) -> Bool[np.ndarray, "channel time"]:
    """Put straight lines where samples are missing (NaN or infinite), in place; tells where they were.

    One missing sample would make the whole channel missing when it is
    filtered. A channel without any sample becomes 0.
    """
    missing = ~np.isfinite(values)
    for row in np.flatnonzero(missing.any(axis=1)):
        lost, signal = missing[row], values[row]
        known = np.flatnonzero(~lost)
        signal[lost] = np.interp(np.flatnonzero(lost), known, signal[known]) if len(known) else 0.0
    return missing


def flat(part: "mne.io.BaseRaw") -> tuple[list[str], Spans]:
    """Channels that stand still for more than 5 % of the time, and when others do for a second or more."""
    import mne

    values, kinds = part.get_data(), np.array(part.get_channel_types())
    step = np.array([np.abs(np.diff(signal)).mean() for signal in values])
    still = {kind: _STILL * float(np.median(step[kinds == kind])) for kind in set(kinds) & set(PLAUSIBLE)}
    if not still or part.n_times < 3:
        return [], []
    found, bads = mne.preprocessing.annotate_amplitude(
        part, flat=still, bad_percent=_FLAT_PERCENT, min_duration=min(_FLAT_S, part.times[-1] / 2), verbose="ERROR"
    )
    return list(bads), _spans(found, part.first_time)


def noisy(
    values: Float[np.ndarray, "channel time"],
    names: Sequence[str],
    kinds: Sequence[str],
    good: Bool[np.ndarray, " channel"],
) -> list[str]:
    """Good channels much louder or quieter than the others of their kind: these are told, not taken out."""
    variance = values.var(axis=1)
    found = []
    for kind in dict.fromkeys(kinds):
        which = np.flatnonzero((np.array(kinds) == kind) & (variance > 0) & good)
        if len(which) < 3:
            continue
        log = np.log(variance[which])
        spread = _MAD * np.median(np.abs(log - np.median(log)))
        found += [names[i] for i in which[np.abs(log - np.median(log)) > NOISY_Z * max(spread, np.finfo(float).tiny)]]
    return [name for name in names if name in found]


def marked_spans(raw: "mne.io.BaseRaw") -> Spans:
    """Stretches that annotations call bad, and the places where recordings were joined (of length 0)."""
    bad = [i for i, text in enumerate(raw.annotations.description) if BAD_SPAN.match(text)]
    return _spans(raw.annotations[bad], raw.first_time)


def stretches(missing: Bool[np.ndarray, " time"], sfreq: float) -> Spans:
    """From when to when something is missing."""
    edges = np.flatnonzero(np.diff(np.concatenate([[0], missing.astype(np.int8), [0]])))
    return [(start / sfreq, end / sfreq) for start, end in edges.reshape(-1, 2).tolist()]


def joined(spans: Iterable[tuple[float, float]]) -> Spans:
    """The same stretches in order, those that touch as one."""
    found: Spans = []
    for start, end in sorted(spans):
        if found and start <= found[-1][1]:
            found[-1] = (found[-1][0], max(end, found[-1][1]))
        else:
            found.append((start, end))
    return found


def annotations(raw: "mne.io.BaseRaw") -> "mne.Annotations":
    """The recording's annotations on a clock that starts with its first sample."""
    import mne

    own = raw.annotations
    return mne.Annotations(own.onset - raw.first_time, own.duration, own.description)


class Marks(NamedTuple):
    """Bad channels of a recording by reason, and how many samples were missing."""

    named: list[str]
    flat: list[str]
    nan: list[str]
    n_missing: int

    @property
    def bad(self) -> set[str]:
        return {*self.named, *self.flat, *self.nan}


def check_share(marks: Marks, names: Sequence[str], most: float, run: Run, name: str) -> None:
    """Refuse a run in which too many of its channels are bad."""
    by = {"named": marks.named, "flat": marks.flat, "missing samples": marks.nan}
    bad = [channel for channel in names if channel in marks.bad]
    if len(bad) > most * len(names):
        told = "; ".join(f"{why}: {', '.join(found)}" for why, found in by.items() if found)
        raise StudyError(
            problem("E-MEG-09", "too many channels are bad", run, file=name, field="most_bad", found=f"{len(bad)} of {len(names)} ({told})",
                    expected=f"at most {100 * most:g} %", why="what is left may no longer stand for the recording",
                    fix=f"leave the run out, mend its list of bad channels, or say most_bad: {math.ceil(100 * len(bad) / len(names)) / 100:g}")
        )  # fmt: skip


def warnings_of(marks: Marks, loud: Sequence[str], spans: Spans, run: Run, name: str) -> list[Problem]:
    """What was found and goes on: flat channels, missing samples, channels unlike the others."""
    found = []
    if marks.flat:
        found.append(problem("W-MEG-01", "flat channels are taken as bad", run, file=name, found=", ".join(marks.flat),
                             why="they stand still for more than 5 % of the time", fix="look at them; name them as bad if they are"))  # fmt: skip
    if marks.n_missing:
        shown = f", bad throughout: {', '.join(marks.nan)}" if marks.nan else ""
        lost = sum(end - start for start, end in spans)
        found.append(problem("W-MEG-02", "samples are missing (NaN)", run, file=name, found=f"{marks.n_missing} samples{shown}",
                             why=f"{lost:.3g} s are marked as bad; a straight line stands there while filtering"))  # fmt: skip
    if loud:
        found.append(problem("W-MEG-03", "channels are much louder or quieter than the others", run, file=name, found=", ".join(loud),
                             why="the logarithm of their variance lies beyond 5 robust deviations; they are used",
                             fix="look at them; name them under bads if they are"))  # fmt: skip
    return found


def _deviations(raw: "mne.io.BaseRaw", names: Sequence[str]) -> Float[np.ndarray, " channel"]:
    length = max(round(_LOOK_S * raw.info["sfreq"]), 1)
    starts = np.unique(np.linspace(0, max(raw.n_times - length, 0), _LOOKS).astype(int))
    looks = []
    for start in starts.tolist():
        look = raw.get_data(picks=list(names), start=start, stop=min(start + length, raw.n_times))
        look[~np.isfinite(look)] = np.nan
        known = np.isfinite(look).any(axis=1)
        away = np.zeros_like(look)
        away[known] = np.abs(look[known] - np.nanmedian(look[known], axis=1, keepdims=True))
        away[~known] = np.nan
        looks.append(away)
    every = np.concatenate(looks, axis=1)
    found = np.zeros(len(every))
    known = np.isfinite(every).any(axis=1)
    found[known] = np.nanmedian(every[known], axis=1)
    return found


def _implausible(kind: str, found: float, low: float, high: float, run: Run, name: str) -> Problem:
    unit, typical = SI[kind], math.sqrt(low * high)
    away = round(math.log10(found / typical))
    fits = {said: factor for said, factor in _WRITTEN[unit].items() if low <= found * factor <= high}
    said = min(fits, key=lambda one: abs(math.log10(found * fits[one] / typical)), default="")
    looks = (
        f"the values look like {said}: multiply them by {fits[said]:g}, or mend the unit in the file"
        if said
        else "find out the unit of the file"
    )
    return problem("E-MEG-13", "values are not in the unit that the file says", run, file=name, field=f"{kind} channels",
                   found=f"median deviation {found:.3g} {unit}, about 1e{away:d} times what is usual",
                   expected=f"{low:g} to {high:g} {unit}", why=f"no head gives this in {unit}", fix=looks)  # fmt: skip


def _spans(found: "mne.Annotations", first_s: float) -> Spans:
    starts = np.asarray(found.onset, dtype=float) - first_s
    return list(zip(starts.tolist(), (starts + np.asarray(found.duration, dtype=float)).tolist(), strict=True))
