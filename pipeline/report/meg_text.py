"""What the methods text says of an MEG, EEG or iEEG recording. What was done to each file, or skipped, is on the page of its subject."""

from collections.abc import Mapping
from typing import Any

MEG_REFERENCES = """\
- Gramfort, A., et al. (2013). MEG and EEG data analysis with MNE-Python. Frontiers in Neuroscience, 7, 267.
- Taulu, S., & Simola, J. (2006). Spatiotemporal signal space separation method for rejecting nearby interference in MEG measurements. Physics in Medicine and Biology, 51, 1759-1768.
- Maris, E., & Oostenveld, R. (2007). Nonparametric statistical testing of EEG- and MEG-data. Journal of Neuroscience Methods, 164, 177-190.
- Sassenhagen, J., & Draschkow, D. (2019). Cluster-based permutation tests of MEG/EEG data do not establish significance of effect latency or location. Psychophysiology, 56, e13335.
- Schönmann, I., et al. (2026). Stimulus dependencies—rather than next-word prediction—can explain pre-onset brain encoding in naturalistic listening designs. eLife, 14, RP106543.
"""
SOURCE_REFERENCE = """\
- Dale, A. M., et al. (2000). Dynamic statistical parametric mapping: combining fMRI and MEG for high-resolution imaging of cortical activity. Neuron, 26, 55-67.
"""
_PICKS = {
    "data": "MEG channels (else those of EEG, else those of iEEG)",
    "meg": "magnetometers and gradiometers",
    "mag": "magnetometers",
    "grad": "gradiometers",
    "eeg": "EEG channels",
    "seeg": "depth electrodes",
    "ecog": "cortical electrodes",
}
_ARTIFACTS = {
    "none": "Signals of eye and heart were not removed.",
    "projectors": "Signals of eye and heart were projected out, where there were EOG and ECG channels.",
    "ica": "Independent components ({n}) that followed EOG or ECG were taken out, where there were such channels.",
}
_ALIGN = {
    "onsets": "Words lay where the table of words and the start of the recording say.",
    "triggers": "Words lay where their triggers ({trigger}) say, one trigger for each word",
    "affine": "Triggers ({trigger}) were matched to words, some missing or too many, by the longest matching stretch and a shift and drift between both clocks",
}


def meg_text(of: Mapping[str, Any]) -> str:
    """One recording in words, after its name.

    Parameters
    ----------
    of : its settings, defaults filled in.
    """
    epochs = of["form"] == "epochs"
    parts = [_signal(of), _filters(of), _bads(of), _artifacts(of), _clock(of)]
    parts += [_epochs(of) if epochs else _continuous(of), _clip(of), _source(of), _beside(of), _statistics(epochs)]
    return " ".join(part for part in parts if part)


def meg_references(recordings: Mapping[str, Mapping[str, Any]]) -> str:
    """What the recordings of a study that are resolved in time cite; empty without any."""
    own = [of for of in recordings.values() if of["kind"] == "meg"]
    return (MEG_REFERENCES if own else "") + (SOURCE_REFERENCE if any(of["source"] for of in own) else "")


def _signal(of: Mapping[str, Any]) -> str:
    picks = ", ".join(_PICKS.get(pick, pick) for pick in of["picks"])
    shared = (
        "All runs of a person had the same channels."
        if of["channels"] == "same"
        else "Channels that all runs of a person have were used."
    )
    return f"{picks[0].upper()}{picks[1:]} were read and cleaned with MNE-Python (Gramfort et al., 2013). {shared} {_maxwell(of)}"


def _maxwell(of: Mapping[str, Any]) -> str:
    if of["maxwell"] == "none":
        return "No Maxwell filter was applied."
    files = [("fine calibration", of["calibration"]), ("cross-talk compensation", of["cross_talk"])]
    given = " and ".join(f"{name} {_name(path)}" for name, path in files if path)
    told = f" ({given})" if given else ""
    return f"A Maxwell filter (Taulu & Simola, 2006) was applied where calibration and cross-talk{told} were there and the file was not filtered yet."


def _filters(of: Mapping[str, Any]) -> str:
    notch = of["notch"]
    line = (
        "at the line frequency of the file and its multiples below the low-pass"
        if notch == "auto"
        else f"at {_list(notch)} Hz"
    )
    told = f"Line noise was removed {line}" if notch else "No notch filter was applied"
    low, high = of["l_freq"], of["h_freq"]
    band = [f"high-passed at {low:g} Hz"] if low else ["not high-passed"]
    band += [f"low-passed at {high:g} Hz"] if high else ["not low-passed"]
    return f"{told}; signals were {' and '.join(band)} (FIR, zero phase) and then resampled to {of['sfreq']:g} Hz. {_reference(of)}"


def _reference(of: Mapping[str, Any]) -> str:
    whose = [*of["reference"]]
    if whose == ["none"]:
        return "The reference of EEG was left as recorded."
    return f"EEG was referenced to {'the average' if whose == ['average'] else ', '.join(whose)}."


def _bads(of: Mapping[str, Any]) -> str:
    named = f"named by the file, its channels table or the study ({', '.join(of['bads'])})" if of["bads"] else "named by the file or its channels table"  # fmt: skip
    fate = "had no response in that run" if of["bad_channels"] == "missing" else "were interpolated from their neighbours"  # fmt: skip
    return (
        f"Channels that were {named}, flat, or noisy counted as bad and {fate}; a run with more than "
        f"{100 * of['most_bad']:g} % of them was refused. Stretches annotated as bad were used in no fit and no score."
    )


def _artifacts(of: Mapping[str, Any]) -> str:
    n = of["n_ica"]
    many = f"of {n:g}" if n >= 1 else f"of as many as explain {100 * n:g} % of the variance"
    return _ARTIFACTS[of["artifacts"]].format(n=many)


def _clock(of: Mapping[str, Any]) -> str:
    told = _ALIGN[of["align"]].format(trigger=", ".join(of["trigger"]))
    if of["align"] == "onsets":
        return told
    return f"{told}; a run whose triggers lay further than {of['jitter_ms']:g} ms (median) from its words was refused."


def _epochs(of: Mapping[str, Any]) -> str:
    start, end = of["window"]
    baseline = f"the mean from {of['baseline'][0]:g} to {of['baseline'][1]:g} s was taken off each" if of["baseline"] else "no baseline was taken off"  # fmt: skip
    limits = ", ".join(f"{kind} {limit:g} {_SI.get(kind, 'V')}" for kind, limit in of["reject"].items())
    reject = f" Epochs with a peak-to-peak amplitude above {limits} were rejected." if limits else ""
    before = of["previous_words"]
    words = f"those of the {before} words before it beside them" if before else "without those of the words before it"
    return (
        f"Epochs reached from {start:g} to {end:g} s around word onset; {baseline}.{reject} Each target was a channel at a latency, predicted from the features of "
        f"the word, z-scored within each run, {words}. Training words whose epochs share samples with that of a test word were left out."
    )


def _continuous(of: Mapping[str, Any]) -> str:
    start, end = of["window"]
    return (
        "The signal stayed continuous: each target was a channel. Features were summed within each sample (states interpolated), z-scored within each run, and "
        f"entered at all delays from {start:g} to {end:g} s, within each run only (temporal response function)."
    )


def _clip(of: Mapping[str, Any]) -> str:
    if not of["clip"]:
        return "No value was cut off."
    return f"Values beyond {of['clip']:g} robust deviations from the median of a channel's training data were cut off there."


def _source(of: Mapping[str, Any]) -> str:
    if not of["source"]:
        return ""
    source = of["source"]
    noise = _name(source["noise_cov"]) if source["noise_cov"] else "MNE's ad hoc values"
    labels = f"means of the labels {', '.join(map(_name, source['labels']))}" if source["labels"] else "all sources"
    return (
        f"Signals were projected to sources (dSPM; Dale et al., 2000) with the forward solution {_name(source['forward'])}, the noise covariance {noise} and an assumed "
        f"signal-to-noise ratio of {source['snr']:g}; targets were {labels}."
    )


def _beside(of: Mapping[str, Any]) -> str:
    passive, beside = of["passive"], of["beside"]
    told = [f"To see what scores before onset are worth, the features of {', '.join(passive)} also took the place of the brain (Schönmann et al., 2026)."] if passive else []  # fmt: skip
    told += [f"Each trained model was also fitted beside {', '.join(beside)}, each with a penalty of its own."] if beside else []  # fmt: skip
    return " ".join(told)


def _statistics(epochs: bool) -> str:
    places = "channels and latencies" if epochs else "channels and delays"
    return (
        f"Over {places}, clusters were tested by permutation of signs, over folds within a person and over subjects in the group (Maris & Oostenveld, 2007); they "
        "do not prove when or where an effect begins (Sassenhagen & Draschkow, 2019). Peaks after word onset have bootstrap intervals over folds."
    )


def _list(values: Any) -> str:
    return ", ".join(f"{v:g}" for v in values)


def _name(path: str) -> str:
    return path.rsplit("/", 1)[-1]


_SI = {"mag": "T", "grad": "T/m"}
