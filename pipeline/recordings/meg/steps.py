"""One run of MEG, EEG or iEEG from its files to responses: opened, filtered, matched with its words, cut."""

from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from pipeline.problems import Problem, StudyError
from pipeline.recordings.base import Cleaned, Header, Sensed, problem
from pipeline.recordings.meg import channels as chosen
from pipeline.recordings.meg import epoched, epochs, files, signal, triggers
from pipeline.recordings.meg.channels import Channels
from pipeline.runs import Run
from pipeline.sensors import Sensors
from pipeline.words import read_events, stimulus

if TYPE_CHECKING:
    import pandas as pd

    from pipeline.recordings.meg.kind import Meg

FEWEST_WORDS = 30
_SENSORS = "sensors"  # whether runs have the same ones is asked of all together, see `channels_of`


class Presented(NamedTuple):
    """One presentation of a run: what was cut, where its samples lie, and what was measured on the way."""

    cut: epochs.Cut
    channels: Channels
    times_s: np.ndarray
    facts: dict[str, Any]
    jitter_s: np.ndarray
    signal: signal.Signal | None
    warnings: list[Problem]


def header(meg: "Meg", run: Run, folder: Path) -> Header:
    """Words and channels, or samples and channels; refuses files that cannot be what they are said to be."""
    found = chosen.channels_of(meg, [run], folder)
    words, _ = words_of(run, folder)
    if meg.form == "epochs":
        n, n_targets = len(words), len(found.names) * len(epochs.latencies(meg))
        if n < FEWEST_WORDS:
            raise StudyError(
                problem("E-MEG-70", "a run has too few words to be scored", run, file=run.words or run.events,
                        found=f"{n} words", expected=f"at least {FEWEST_WORDS}", fix="leave the run out")
            )  # fmt: skip
        # samples are words: as far apart as words are
        spacing_s = float(np.median(np.diff(words["onset"].to_numpy(float)))) or 1 / meg.sfreq
        word_s, recorded_s = meg.window[1] - meg.window[0], _recorded_s(meg, run, folder)
        return Header(n, n_targets, spacing_s, _SENSORS, word_s=word_s, recorded_s=recorded_s)
    return Header(round(_recorded_s(meg, run, folder) * meg.sfreq), len(found.names), 1 / meg.sfreq, _SENSORS)


def _recorded_s(meg: "Meg", run: Run, folder: Path) -> float:
    """Length of the shortest presentation; epochs that somebody cut are read where they lie, so their words count as inside."""
    if any(map(files.is_epochs, run.responses)):
        words, _ = words_of(run, folder)
        return float((words["onset"] + words["duration"]).max()) - run.start_s + meg.window[1]
    return min(float(files.opened(meg, folder, name, run).times[-1]) for name in run.responses)


def words_of(run: Run, folder: Path) -> tuple["pd.DataFrame", list[Problem]]:
    """The words that epochs lie around; events where the run has no words."""
    return stimulus(folder, run) if run.words else read_events(folder / run.events, name=run.events)


def channels_of(meg: "Meg", runs: list[Run], folder: Path) -> Channels:
    """The channels that all runs of a person have."""
    return chosen.channels_of(meg, runs, folder)


def cleaned(meg: "Meg", run: Run, folder: Path, channels: Channels) -> Cleaned:
    """Every presentation of one run, on the same words or samples."""
    words, _ = words_of(run, folder)
    found = [_presented(meg, one, folder, one.responses[0], words, channels) for one in run.presentations]
    found = found if meg.form == "epochs" else _together(found, run, meg.sfreq)
    first = found[0]
    responses = np.stack([one.cut.responses for one in found])
    sensors = Sensors(first.channels.names, first.channels.kinds, first.channels.loc,
                      tuple(epochs.latencies(meg).tolist()) if meg.form == "epochs" else ())  # fmt: skip
    return Cleaned(
        responses=responses, times_s=first.times_s, tr_s=1 / meg.sfreq, targets=sensors.targets,
        warnings=list(dict.fromkeys(w for one in found for w in one.warnings)),
        censored=np.any([one.cut.censored for one in found], axis=0), measured=_sensed(meg, first.channels, found),
        sensors=sensors, word_s=meg.window if meg.form == "epochs" else None, unit=_unit(first.channels),
    )  # fmt: skip


def _presented(meg: "Meg", run: Run, folder: Path, name: str, words: "pd.DataFrame", channels: Channels) -> Presented:
    onsets = words["onset"].to_numpy(float)
    if files.is_epochs(name):
        cut = epoched.from_epochs(meg, name, words, channels, run, folder)
        return Presented(cut, channels, onsets, dict(cut.facts), np.empty(0), None, list(cut.warnings))
    raw = files.opened(meg, folder, name, run)
    clock = triggers.clock_of(meg, raw, words, run, name)
    cleared = signal.filtered(meg, raw, channels, run, folder, name)
    if meg.source is not None:
        from pipeline.recordings.meg import source  # few studies have one

        cleared, channels = source.projected(meg, cleared, channels, raw.info, run, folder)
    warnings = [*clock.warnings, *cleared.warnings]
    facts = cleared.facts | {"triggers": clock.facts or None}
    if meg.form == "epochs":
        cut = epochs.cut(meg, cleared, clock, words, channels, run, name)
        times_s = onsets
    else:
        cut, times_s = epochs.beside(meg, cleared, clock, words, channels, run, name)
    facts |= {"epochs": cut.facts or None}
    return Presented(cut, channels, times_s, facts, clock.jitter_s, cleared, [*warnings, *cut.warnings])


def _together(found: list[Presented], run: Run, sfreq: float) -> list[Presented]:
    """Presentations of the continuous form at the moments of the words' clock that all of them have."""
    starts = [round(float(one.times_s[0]) * sfreq) for one in found]
    ends = [start + len(one.times_s) for start, one in zip(starts, found, strict=True)]
    if max(starts) >= min(ends):
        raise StudyError(
            problem("E-MEG-71", f"presentations of run {run.run} share no moments of the words' clock", run,
                    file=", ".join(run.responses), found=f"first moments {[round(s / sfreq, 1) for s in starts]} s",
                    fix="mend start_s or the triggers, or give them run labels of their own")
        )  # fmt: skip
    kept = [slice(max(starts) - start, min(ends) - start) for start in starts]
    return [_at(one, k) for one, k in zip(found, kept, strict=True)]


def _at(one: Presented, kept: slice) -> Presented:
    cut = one.cut._replace(responses=one.cut.responses[kept], censored=one.cut.censored[kept])
    return one._replace(times_s=one.times_s[kept], cut=cut)


def _sensed(meg: "Meg", channels: Channels, found: list[Presented]) -> Sensed:
    """The quality of the run; pictures are of the first presentation."""
    first = found[0]
    summary = {
        "kind": "meg", "form": meg.form, "picks": list(meg.picks), "digitised": not channels.why_no_places,
        "why_no_places": channels.why_no_places, "presentations": [one.facts for one in found],
    }  # fmt: skip
    spectra = first.signal
    return Sensed(
        summary,
        freqs_hz=None if spectra is None else spectra.freqs_hz,
        psd_before=None if spectra is None else spectra.psd_before,
        psd_after=None if spectra is None else spectra.psd_after,
        evoked=first.cut.evoked,
        evoked_s=epochs.latencies(meg),
        jitter_s=np.concatenate([one.jitter_s for one in found]) if any(len(one.jitter_s) for one in found) else None,
    )


def _unit(channels: Channels) -> str:
    return ", ".join(dict.fromkeys(signal.UNITS[kind][0] for kind in channels.kinds if kind in signal.UNITS)) or "a.u."
