"""What sensors share and should not: the field around the head, eyes and heart, the reference; by MNE.

All of it mixes channels and leaves time alone, so that it gives the same
after filtering and resampling as before, on a tenth of the samples.
"""

import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from pipeline.problems import Problem, StudyError
from pipeline.recordings.base import problem, told_of
from pipeline.recordings.meg.kind import Meg
from pipeline.runs import Run
from pipeline.tables import missing_file

if TYPE_CHECKING:
    import mne

Step = dict[str, Any]  # "step", "done", "told"

SEED = 0  # of the ICA
_ICA_HZ = 1.0  # slower drifts spoil an ICA (Winkler et al. 2015); it is fitted without them
_HEART_HZ, _EYE_HZ = (8.0, 16.0), (1.0, 10.0)  # bands in which MNE looks for heart beats and blinks
# correlation of a component with EOG from which on it is one of the eyes; a z-score, MNE's default, cannot reach its
# limit of 3 among fewer than 11 components
_EYE_R = 0.6
_BAND_HZ = (1.0, 35.0)  # of the epochs that projectors are computed from (MNE's default)
_PER_TYPE = 1  # projectors for each type of channel, for the eyes and for the heart
_CHUNK_S = 5.0  # in which Maxwell filtering looks for noisy channels (MNE's default)


class Spatial(NamedTuple):
    """A recording after one step over its channels."""

    raw: "mne.io.BaseRaw"
    steps: list[Step]
    warnings: list[Problem]
    noisy: list[str]


def step(name: str, done: bool, told: str) -> Step:
    return {"step": name, "done": done, "told": told}


def why_no_maxwell(meg: Meg, info: "mne.Info") -> str:
    """Why this recording is not Maxwell filtered; empty where it is."""
    if not {"mag", "grad"} & set(info.get_channel_types()):
        return "there is no MEG"
    if meg.maxwell == "none":
        return "not asked for (maxwell: none)"
    if any((past.get("max_info") or {}).get("sss_info") for past in info["proc_history"] or ()):
        return "the file was Maxwell filtered before"
    lacking = [name for name in ("calibration", "cross_talk") if getattr(meg, name) is None]
    return f"no {' and no '.join(lacking)} given" if lacking else ""


def check_shielding(meg: Meg, info: "mne.Info", run: Run, name: str) -> None:
    """Refuse a recording with active shielding that nobody takes out."""
    if info.get("maxshield") and (why := why_no_maxwell(meg, info)):
        raise StudyError(
            problem("E-MEG-14", "recorded with active shielding, which only Maxwell filtering takes out", run, file=name,
                    field="maxwell", found=why, fix="give calibration and cross_talk, or a file that MaxFilter went over")
        )  # fmt: skip


def maxwell_filtered(meg: Meg, raw: "mne.io.BaseRaw", folder: Path, run: Run, name: str) -> Spatial:
    """What lies outside the head taken away; bad coils come back as the field that the others saw."""
    from mne.preprocessing import find_bad_channels_maxwell, maxwell_filter

    if why := why_no_maxwell(meg, raw.info):
        return Spatial(raw, [step("Maxwell filter", False, why)], [], [])
    files = {key: getattr(meg, key).replace("{subject}", run.subject) for key in ("calibration", "cross_talk")}
    problems = [
        missing_file(folder / file, file, "MEG", {"subject": run.subject})
        for file in files.values()
        if not (folder / file).is_file()
    ]
    if problems:
        raise StudyError(*problems)
    measured = raw.info["dev_head_t"] is not None
    how = {key: folder / file for key, file in files.items()} | {
        "origin": "auto" if measured and raw.info["dig"] else (0.0, 0.0, 0.04),
        "coord_frame": "head" if measured else "meg", "verbose": "ERROR",
    }  # fmt: skip
    try:
        noisy, still = find_bad_channels_maxwell(raw, duration=min(_CHUNK_S, raw.times[-1]), **how)
        raw.info["bads"] = list(dict.fromkeys([*raw.info["bads"], *noisy, *still]))
        lost = [bad for bad in raw.info["bads"] if raw.get_channel_types([bad])[0] in ("mag", "grad")]
        raw = maxwell_filter(raw, **how)
    except MemoryError:
        raise
    except Exception as error:  # MNE's readers raise whatever their parsers do
        raise StudyError(
            problem("E-MEG-16", "Maxwell filtering is not possible", run, file=", ".join(files.values()), field="calibration, cross_talk",
                    found=told_of(folder / files["calibration"], files["calibration"], str(error)),
                    fix=f"give the files of the system that recorded {name}, or say maxwell: none")
        ) from error  # fmt: skip
    raw.info["bads"] = [bad for bad in raw.info["bads"] if bad not in lost]
    told = "signal space separation, fine calibration and cross-talk compensation"
    told += f"; bad channels rebuilt from the others: {', '.join(lost)}" if lost else ""
    return Spatial(raw, [step("Maxwell filter", True, told)], [], [*noisy, *still])


def without_eyes_and_heart(meg: Meg, raw: "mne.io.BaseRaw", run: Run, name: str) -> Spatial:
    """Blinks and heart beats taken out, as far as there are channels that record them."""
    if meg.artifacts == "none":
        return Spatial(raw, [step("eyes and heart", False, "not asked for (artifacts: none)")], [], [])
    kinds = raw.get_channel_types()
    tops = {"eog": _EYE_HZ[1], "ecg": _HEART_HZ[1]}
    why = {
        kind: f"there is no {kind.upper()} channel" if kind not in kinds else
        f"at {raw.info['sfreq']:g} Hz it cannot be found" if raw.info["sfreq"] < 2.5 * tops[kind] else ""
        for kind in tops
    }  # fmt: skip
    skipped = [step(_WHOSE[kind], False, reason) for kind, reason in why.items() if reason]
    found = [kind for kind, reason in why.items() if not reason]
    if not found:
        return Spatial(raw, skipped, [], [])
    done = (_projected if meg.artifacts == "projectors" else _unmixed)(meg, raw, found, run, name)
    return done._replace(steps=[*done.steps, *skipped])


def interpolated(meg: Meg, raw: "mne.io.BaseRaw") -> Spatial:
    """Bad channels from their neighbours, where that was asked for and places are known."""
    import numpy as np

    bads = list(raw.info["bads"])
    if meg.bad_channels != "interpolate" or not bads:
        why = "no channel is bad" if not bads else "not asked for: bad channels are missing"
        return Spatial(raw, [step("interpolation of bad channels", False, why)], [], [])
    kinds = dict(zip(raw.ch_names, raw.get_channel_types(), strict=True))
    places = {c["ch_name"]: bool(np.isfinite(c["loc"][:3]).all() and c["loc"][:3].any()) for c in raw.info["chs"]}
    ready = {kind: all(places[n] for n, k in kinds.items() if k == kind) for kind in ("mag", "grad", "eeg")}
    able = [bad for bad in bads if ready.get(kinds[bad], False)]
    steps = []
    if able:
        raw.info["bads"] = able
        raw.interpolate_bads(reset_bads=True, verbose="ERROR")
        raw.info["bads"] = [bad for bad in bads if bad not in able]
        steps.append(step("interpolation of bad channels", True, ", ".join(able)))
    if raw.info["bads"]:
        told = f"{', '.join(raw.info['bads'])}: missing, for places are not known or it is no MEG and no EEG"
        steps.append(step("interpolation of bad channels", False, told))
    return Spatial(raw, steps, [], [])


def check_reference(meg: Meg, raw: "mne.io.BaseRaw", run: Run, name: str) -> list[str]:
    """The channels that a reference is made of, by name; refuses those that do not exist or are bad."""
    import difflib

    if meg.reference in (("average",), ("none",)) or "eeg" not in raw.get_channel_types():
        return []
    problems = [
        problem("E-MEG-15", "a reference channel cannot be used", run, file=name, field="reference",
                found=f"{channel!r} is bad" if channel in raw.ch_names else f"no channel {channel!r}", expected="good channels, average or none",
                fix=f"did you mean {near[0]!r}?" if (near := difflib.get_close_matches(channel, raw.ch_names, n=1)) and near[0] != channel else "name another")
        for channel in meg.reference if channel not in raw.ch_names or channel in raw.info["bads"]
    ]  # fmt: skip
    if problems:
        raise StudyError(*problems)
    return list(meg.reference)


def referenced(meg: Meg, raw: "mne.io.BaseRaw") -> Spatial:
    """EEG against the mean of its good channels, or of those that were named."""
    kinds = raw.get_channel_types()
    good = [n for n, kind in zip(raw.ch_names, kinds, strict=True) if kind == "eeg" and n not in raw.info["bads"]]
    why = (
        "there is no EEG" if "eeg" not in kinds else "not asked for (reference: none)" if meg.reference == ("none",)
        else "fewer than two good EEG channels" if meg.reference == ("average",) and len(good) < 2 else ""
    )  # fmt: skip
    if why:
        return Spatial(raw, [step("EEG reference", False, why)], [], [])
    average = meg.reference == ("average",)
    raw.set_eeg_reference("average" if average else list(meg.reference), ch_type="eeg", verbose="ERROR")
    told = f"mean of {len(good)} good channels" if average else f"mean of {', '.join(meg.reference)}"
    return Spatial(raw, [step("EEG reference", True, told)], [], [])


_WHOSE = {"eog": "eyes (EOG)", "ecg": "heart (ECG)"}


def _projected(meg: Meg, raw: "mne.io.BaseRaw", found: list[str], run: Run, name: str) -> Spatial:
    """Signal space projection: the pattern of the mean blink and heart beat."""
    from mne.preprocessing import compute_proj_ecg, compute_proj_eog

    steps = []
    n = {f"n_{kind}": _PER_TYPE if kind in raw.get_channel_types() else 0 for kind in ("mag", "grad", "eeg")}
    top = min(_BAND_HZ[1], 0.4 * raw.info["sfreq"])
    for kind in found:
        compute = {"eog": compute_proj_eog, "ecg": compute_proj_ecg}[kind]
        projectors, events = compute(
            raw, **n, l_freq=_BAND_HZ[0], h_freq=top, no_proj=True, reject=None, flat=None, verbose="ERROR"
        )
        if projectors:
            raw.add_proj(projectors, verbose="ERROR")
        told = (
            f"{len(projectors)} projectors from {len(events)} events"
            if projectors
            else f"{len(events)} events, too few"
        )
        steps.append(step(_WHOSE[kind], bool(projectors), told))
    raw.apply_proj(verbose="ERROR")
    return Spatial(raw, steps, [], [])


def _unmixed(meg: Meg, raw: "mne.io.BaseRaw", found: list[str], run: Run, name: str) -> Spatial:
    """Independent components that follow EOG or ECG, set to 0."""
    from mne.preprocessing import ICA

    n = int(meg.n_ica) if meg.n_ica >= 1 else meg.n_ica
    ica = ICA(n_components=n, method="fastica", random_state=SEED, max_iter="auto", verbose="ERROR")
    slow = meg.l_freq is None or meg.l_freq < _ICA_HZ
    fitted = raw.copy().filter(_ICA_HZ, None, verbose="ERROR") if slow else raw
    notes = []
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        ica.fit(fitted, verbose="ERROR")
    if any("converge" in str(one.message).lower() for one in caught):
        notes.append(problem("W-MEG-07", "the ICA did not converge", run, file=name, field="n_ica", found=f"{ica.n_iter_} iterations",
                             fix="ask for fewer components, or for projectors"))  # fmt: skip
    steps = []
    for kind in found:
        if kind == "eog":
            which, _ = ica.find_bads_eog(fitted, measure="correlation", threshold=_EYE_R, verbose="ERROR")
        else:
            which, _ = ica.find_bads_ecg(fitted, verbose="ERROR")
        ica.exclude += [int(i) for i in which if i not in ica.exclude]
        told = f"{len(which)} of {ica.n_components_} independent components (FastICA, seed {SEED}) follow it and are taken out"
        steps.append(step(_WHOSE[kind], bool(which), told))
    ica.apply(raw, verbose="ERROR")
    return Spatial(raw, steps, notes, [])
