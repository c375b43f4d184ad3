"""Clean epochs, as mne-bids-pipeline leaves them: each epoch given to its word, on the study's latencies."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Bool, Float, Int

from pipeline.problems import Problem, StudyError
from pipeline.recordings.base import problem
from pipeline.recordings.meg.agreement import Line
from pipeline.recordings.meg.channels import Channels
from pipeline.recordings.meg.epochs import latencies
from pipeline.recordings.meg.files import mark, refused, there
from pipeline.recordings.meg.kept import Cut, finished
from pipeline.recordings.meg.kind import Meg
from pipeline.recordings.meg.marking import Marks, check_share
from pipeline.recordings.meg.signal import UNITS
from pipeline.recordings.meg.triggers import facts_of, some_missing
from pipeline.runs import Run

if TYPE_CHECKING:
    import mne
    import pandas as pd

_TOLD = 5  # words that a message names
_AT_ONCE = 200  # epochs in memory at their full rate
_ALIAS = 3  # lowpass times this must lie below the new rate for samples to be simply left out, as MNE holds


def epochs_of(folder: Path, name: str, run: Run) -> "mne.BaseEpochs":
    """Open a file of epochs without reading its data; refuses what is cut off, is none, or holds none."""
    import mne

    path = there(folder, name, run)
    with refused(path, name, run):
        epochs = mne.read_epochs(path, preload=False, verbose="ERROR")
    if not len(epochs):
        raise StudyError(
            problem("E-MEG-43", "the file holds no epochs", run, file=name, found="0 epochs",
                    expected="epochs around words", fix="look at why all were dropped where the file was made")
        )  # fmt: skip
    return epochs


def from_epochs(meg: Meg, name: str, words: "pd.DataFrame", channels: Channels, run: Run, folder: Path) -> Cut:
    """The epochs of a run's words; a word without one keeps its row, is censored and counted.

    The samples of the epochs' events are matched with the onsets of the words
    as triggers are that may be missing or too many: dropped epochs, and those
    of other runs in the same file, are no hindrance. Signals are taken as they
    are, brought to the study's rate; filters, references and artefacts are
    those of whoever made the epochs. `facts` are those of the presentation.

    Raises
    ------
    StudyError : no epochs, a window or a rate that does not reach the study's,
        epochs that fit too few words.
    """
    epochs = epochs_of(folder, name, run)
    mark(meg, epochs.info, folder, name, run)
    _refuse_form(meg, run, name)
    _refuse_short(meg, epochs, run, name)
    line, row = _matched(meg, epochs, words, run, name)
    values = _on_latencies(meg, epochs, channels, row)
    marks = _marked(values, epochs.info["bads"], row >= 0, channels)
    check_share(marks, channels.names, meg.most_bad, run, name)
    bad = np.isin(channels.names, sorted(marks.bad))
    values[:, bad] = 0
    here = np.ones(len(words), bool)
    cut = finished(
        meg, values, None, bad, channels, words, known=row >= 0, inside=here, annotated=~here, run=run, name=name
    )
    facts = _facts(epochs, channels, marks, name) | {"triggers": facts_of(line, len(words)), "epochs": cut.facts}
    told = [*_unmarked_told(words, row < 0, run, name), *_bad_told(marks, run, name)]
    return cut._replace(facts=facts, warnings=[*told, *cut.warnings])


def _marked(values: np.ndarray, named: list[str], known: np.ndarray, channels: Channels) -> Marks:
    """Bad channels: those that the file or the study names, that never move, or that miss samples."""
    missing = (~np.isfinite(values)).sum(axis=(0, 2))
    still = ~missing.astype(bool) & ~np.ptp(values[known], axis=2).any(axis=0)
    picked = {
        why: [n for n, x in zip(channels.names, which, strict=True) if x]
        for why, which in (("flat", still), ("nan", missing))
    }
    return Marks([n for n in channels.names if n in named], picked["flat"], picked["nan"], int(missing.sum()))


def _bad_told(marks: Marks, run: Run, name: str) -> list[Problem]:
    told = [f"{', '.join(marks.flat)} never move"] if marks.flat else []
    told += [f"{', '.join(marks.nan)} miss {marks.n_missing} samples"] if marks.nan else []
    if not told:
        return []
    return [problem("W-MEG-44", "channels of the epochs are taken as bad", run, file=name, found="; ".join(told), why="they are missing throughout the run",
                    fix="mend them where the epochs were made")]  # fmt: skip


def _refuse_form(meg: Meg, run: Run, name: str) -> None:
    if meg.form == "continuous":
        raise StudyError(
            problem("E-MEG-48", "epochs have no continuous signal", run, file=name, field="form", found="continuous", expected="epochs",
                    fix="say form: epochs, or give the filtered recording (-raw.fif)")
        )  # fmt: skip


def _matched(
    meg: Meg, epochs: "mne.BaseEpochs", words: "pd.DataFrame", run: Run, name: str
) -> tuple[Line, Int[np.ndarray, " word"]]:
    """The line between the clocks, and for each word the row of its epoch, -1 without one."""
    # events keep the samples of the raw file whatever the rate of the epochs is now
    rate = float(np.ravel(epochs._raw_sfreq)[0])
    times_s = epochs.events[:, 0] / rate
    order = np.argsort(times_s, kind="stable")
    onsets = words["onset"].to_numpy(float)
    try:
        line = some_missing(meg, times_s[order], onsets, run, name)
    except StudyError as error:
        raise StudyError(*(p._replace(field="events of the epochs, as triggers") for p in error.problems)) from None
    row = np.full(len(line.moments_s), -1)
    row[line.match.words] = order[line.match.triggers]
    return line, row[np.searchsorted(line.moments_s, onsets)]


def _refuse_short(meg: Meg, epochs: "mne.BaseEpochs", run: Run, name: str) -> None:
    """The file's window must hold the study's (and the baseline) within half a sample, and its rate the study's."""
    half_s = 0.5 / meg.sfreq
    start, end = (f(f(pair) for pair in (meg.window, meg.baseline or meg.window)) for f in (min, max))
    if epochs.tmin > start + half_s or epochs.tmax < end - half_s:
        raise StudyError(
            problem("E-MEG-45", "epochs are shorter than the study's window", run, file=name, field="window",
                    found=f"epochs from {epochs.tmin:g} to {epochs.tmax:g} s", expected=f"at least {start:g} to {end:g} s (window and baseline)",
                    fix=f"say window: [{max(epochs.tmin, meg.window[0]):g}, {min(epochs.tmax, meg.window[1]):g}], or make longer epochs")
        )  # fmt: skip
    if epochs.info["sfreq"] < meg.sfreq * (1 - 1e-6):
        raise StudyError(
            problem("E-MEG-46", "epochs have a lower rate than the study", run, file=name, field="sfreq",
                    found=f"{epochs.info['sfreq']:g} Hz", expected=f"{meg.sfreq:g} Hz or more", why="latencies between the samples would be made up",
                    fix=f"say sfreq: {epochs.info['sfreq']:g}, and h_freq at most half of it")
        )  # fmt: skip


def _on_latencies(
    meg: Meg, epochs: "mne.BaseEpochs", channels: Channels, row: np.ndarray
) -> Float[np.ndarray, "word channel latency"]:
    """Epochs of the words in the study's units at its latencies; 0 for a word without one."""
    factors = np.array([UNITS[kind][1] if kind in UNITS else 1.0 for kind in channels.kinds])
    out = np.zeros((len(row), len(channels.names), len(latencies(meg))), np.float32)
    words = np.flatnonzero(row >= 0)
    for first in range(0, len(words), _AT_ONCE):
        some = words[first : first + _AT_ONCE]
        # of one epoch for two words at one moment MNE reads one
        rows, place = np.unique(row[some], return_inverse=True)
        part = _slower(meg, epochs[rows].load_data())
        if meg.baseline:
            part.apply_baseline(meg.baseline, verbose="ERROR")
        at = np.round((latencies(meg) - part.times[0]) * meg.sfreq).astype(int).clip(0, len(part.times) - 1)
        values = part.get_data(picks=list(channels.names), copy=False)[:, :, at]
        out[some] = (values * factors[:, None])[place]
    return out


def _slower(meg: Meg, epochs: "mne.BaseEpochs") -> "mne.BaseEpochs":
    """At the study's rate: samples left out where the low-pass allows it, else MNE's resampling."""
    ratio = epochs.info["sfreq"] / meg.sfreq
    if abs(ratio - round(ratio)) < 1e-6 and _ALIAS * epochs.info["lowpass"] <= meg.sfreq:
        return epochs.decimate(round(ratio), verbose="ERROR")
    return epochs.resample(meg.sfreq, verbose="ERROR") if abs(ratio - 1) > 1e-6 else epochs


def _facts(epochs: "mne.BaseEpochs", channels: Channels, marks: Marks, name: str) -> dict[str, Any]:
    """What the report tells of the file; steps are those that its header knows of."""
    info = epochs.info
    bands = f"{info['highpass']:g} to {info['lowpass']:g} Hz by the file's header"
    told = {
        "band-pass": bands,
        "projectors": ", ".join(p["desc"] for p in info["projs"] if p["active"]) or "none active",
    }
    return {
        "file": name, "sfreq_hz": float(info["sfreq"]), "duration_s": float(len(epochs) * len(epochs.times) / info["sfreq"]),
        "n_channels": len(channels.names), "kinds": {k: channels.kinds.count(k) for k in dict.fromkeys(channels.kinds)},
        "steps": [{"step": step, "done": False, "told": f"epochs as given: {what}"} for step, what in told.items()],
        "bads": {"named": marks.named, "flat": marks.flat, "nan": marks.nan, "noisy": []}, "annotated_s": 0.0,
        "nan_samples": marks.n_missing,
    }  # fmt: skip


def _unmarked_told(words: "pd.DataFrame", unmarked: Bool[np.ndarray, " word"], run: Run, name: str) -> list[Problem]:
    rows = np.flatnonzero(unmarked)
    if not len(rows):
        return []
    first = ", ".join(f"word {i + 1} at {words['onset'].iloc[i]:.3f} s" for i in rows[:_TOLD])
    return [
        problem("W-MEG-43", f"{len(rows)} words have no epoch", run, file=name, found=f"{len(rows)} of {len(words)} words; the first: {first}",
                why="they were dropped where the epochs were made, and are used nowhere")
    ]  # fmt: skip
