"""From sensors to sources: dSPM with a given forward solution, and the means of labels (Dale et al. 2000, Neuron 26, 55-67)."""

from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from jaxtyping import Bool, Float

from pipeline.problems import Problem, StudyError, shown
from pipeline.recordings.base import problem, why_unreadable
from pipeline.recordings.meg.channels import Channels
from pipeline.recordings.meg.kind import Meg, Source
from pipeline.recordings.meg.signal import UNITS, Signal
from pipeline.runs import Run

if TYPE_CHECKING:
    import mne

KIND = "label"
NO_PLACES = "targets are sources in the brain, which have no place among the sensors"
_MODELLED = ("mag", "grad", "eeg")  # what a forward solution is made for
_CELLS = 2**24  # values of all orientations held at a time


class Operator(NamedTuple):
    """What makes sources of sensors: sources = |matrix @ sensors|, the length over orientations where there are three.

    `matrix` is (source, sensor) or, without a surface that says which way a
    source points, (source, orientation, sensor), for signals in the units of
    `signal.UNITS`; `sensors` are their names. `silent` sources reach none of
    them (the middle of a sphere has no magnetic field) and are 0 in it.
    """

    matrix: Float[np.ndarray, "source sensor"] | Float[np.ndarray, "source 3 sensor"]
    sensors: tuple[str, ...]
    names: tuple[str, ...]
    silent: Bool[np.ndarray, " source"]


def projected(
    meg: Meg, signal: Signal, channels: Channels, raw_info: "mne.Info", run: Run, folder: Path
) -> tuple[Signal, Channels]:
    """The signal of every source or label in the place of the sensors'.

    Sources on a surface are signed: what flows out of it along its normal. A
    label is the mean over its sources, those that point the other way turned
    first (MNE's `mean_flip`). Sources in a volume point nowhere and have the
    length of their three orientations. Bad sensors are left out; bad are only
    sources that no sensor sees. Values are dSPM's, in units of the noise.

    Raises
    ------
    StudyError : E-MEG-60, a file that is missing or cannot be read; E-MEG-61,
        a forward solution of none of the sensors; E-MEG-62, a noise covariance
        that lacks some; E-MEG-63, labels without a surface or without sources.
    """
    found = operator(meg, signal, channels, raw_info, run, folder)
    told = f"dSPM, SNR {_source(meg).snr:g}, {len(found.sensors)} sensors to {_counted(meg, found)}"
    steps = [*signal.steps, {"step": "source projection", "done": True, "told": told}]
    values = _applied(found, signal, channels)
    after = _spectra(values, signal)
    facts = signal.facts | {"steps": steps, "n_channels": len(found.names), "kinds": {KIND: len(found.names)}}
    whole = signal._replace(
        values=values, bad=found.silent, psd_before=np.full_like(after, np.nan), psd_after=after, steps=steps, facts=facts,
        warnings=[*signal.warnings, *_unseen(found, meg, run)],
    )  # fmt: skip
    loc = np.full((len(found.names), 12), np.nan)
    return whole, Channels(found.names, (KIND,) * len(found.names), loc, NO_PLACES)


def operator(meg: Meg, signal: Signal, channels: Channels, raw_info: "mne.Info", run: Run, folder: Path) -> Operator:
    """MNE's inverse applied to the identity: one sensor at a time says what it gives to every source."""
    import mne

    info = _info(signal, channels, raw_info)
    forward = _forward(meg, info, run, folder)
    inverse = _inverse(meg, info, forward, run, folder)
    sensors = tuple(inverse["info"]["ch_names"])
    one_each = mne.io.RawArray(np.eye(len(sensors)), mne.pick_info(info, [info["ch_names"].index(n) for n in sensors]), verbose="ERROR")  # fmt: skip
    surface = forward["src"].kind == "surface"
    free = not mne.forward.is_fixed_orient(forward)
    how = ("normal" if surface else "vector") if free else None
    with np.errstate(divide="ignore", invalid="ignore"):  # of silent sources
        stc = mne.minimum_norm.apply_inverse_raw(
            one_each, inverse, lambda2=_source(meg).snr ** -2, method="dSPM", pick_ori=how, verbose="ERROR"
        )
    matrix, names = stc.data, _names(forward["src"])
    if _source(meg).labels:
        matrix, names = _labelled(meg, stc, forward["src"], run, folder)
    kinds = dict(zip(channels.names, channels.kinds, strict=True))
    units = np.array([UNITS[kinds[name]][1] for name in sensors])
    silent = ~np.isfinite(matrix).reshape(len(matrix), -1).all(axis=1)
    matrix[silent] = 0
    return Operator(matrix / units, sensors, names, silent)


def _applied(found: Operator, signal: Signal, channels: Channels) -> Float[np.ndarray, "source time"]:
    place = {name: i for i, name in enumerate(channels.names)}
    rows = [place[name] for name in found.sensors]
    out = np.empty((len(found.names), signal.values.shape[1]), np.float32)
    matrix = found.matrix.astype(np.float32)
    step = max(_CELLS // max(matrix[..., 0].size, 1), 1)
    for start in range(0, out.shape[1], step):
        times = slice(start, start + step)
        part = np.tensordot(matrix, signal.values[rows, times], axes=1)
        out[:, times] = part if matrix.ndim == 2 else np.linalg.norm(part, axis=1)
    return out


def _spectra(values: np.ndarray, signal: Signal) -> Float[np.ndarray, "source frequency"]:
    """At the frequencies of the sensors' spectra."""
    import mne

    if not len(signal.freqs_hz):
        return np.empty((len(values), 0))
    n_fft = min(values.shape[1], max(2 * len(signal.freqs_hz), 256))
    found, freqs = mne.time_frequency.psd_array_welch(values.astype(float), signal.sfreq, n_fft=n_fft, verbose="ERROR")
    return np.stack([np.interp(signal.freqs_hz, freqs, one, right=np.nan) for one in found])


def _info(signal: Signal, channels: Channels, raw_info: "mne.Info") -> "mne.Info":
    """Of the good sensors that a forward solution can model; the reference is the average again, by projection."""
    import mne

    good = [n for n, kind, bad in zip(channels.names, channels.kinds, signal.bad, strict=True) if kind in _MODELLED and not bad]  # fmt: skip
    info = mne.pick_info(raw_info, mne.pick_channels(raw_info["ch_names"], good, ordered=True), copy=True)
    info["bads"] = []
    with info._unlock():
        info["custom_ref_applied"] = mne.io.constants.FIFF.FIFFV_MNE_CUSTOM_REF_OFF
    if "eeg" in info.get_channel_types():
        blank = mne.io.RawArray(np.zeros((len(info["ch_names"]), 1)), info, verbose="ERROR")
        info = blank.set_eeg_reference(projection=True, verbose="ERROR").info
    return info


def _forward(meg: Meg, info: "mne.Info", run: Run, folder: Path) -> "mne.Forward":
    import mne

    name = _named(_source(meg).forward, run)
    forward = _read(mne.read_forward_solution, folder, name, "source.forward", run)
    shared = [n for n in info["ch_names"] if n in forward["sol"]["row_names"]]
    if not shared:
        raise StudyError(
            problem(
                "E-MEG-61", "the forward solution is of none of the sensors that are used", run, file=name, field="source.forward",
                found=f"sensors {shown(forward['sol']['row_names'][:4])}", expected=f"such as {shown(info['ch_names'][:4])}",
                why="it says how sources reach the sensors, and knows other ones", fix="name the forward solution of this person and system, or pick the sensors that it knows",
            )
        )  # fmt: skip
    return forward


def _inverse(meg: Meg, info: "mne.Info", forward: "mne.Forward", run: Run, folder: Path) -> Any:
    import mne

    name = _named(_source(meg).noise_cov or "", run)
    noise = mne.make_ad_hoc_cov(info, verbose="ERROR") if not name else _read(mne.read_cov, folder, name, "source.noise_cov", run)  # fmt: skip
    lacking = [n for n in info["ch_names"] if n in forward["sol"]["row_names"] and n not in noise.ch_names]
    if lacking:
        raise StudyError(
            problem(
                "E-MEG-62", "the noise covariance lacks sensors that are used", run, file=name, field="source.noise_cov",
                found=f"{len(lacking)} missing: {shown(lacking[:5])}", expected="every good sensor that the forward solution knows",
                fix="compute it from all sensors (mne.compute_raw_covariance), or leave noise_cov out for MNE's ad hoc one",
            )
        )  # fmt: skip
    noise["data"] = noise["data"].astype(
        float
    )  # a diagonal one is read in the file's byte order, which MNE then refuses
    with np.errstate(divide="ignore"):  # of silent sources
        return mne.minimum_norm.make_inverse_operator(info, forward, noise, verbose="ERROR")


def _labelled(
    meg: Meg, stc: Any, src: "mne.SourceSpaces", run: Run, folder: Path
) -> tuple[np.ndarray, tuple[str, ...]]:
    import mne

    names = [_named(name, run) for name in _source(meg).labels]
    labels = [_read(mne.read_label, folder, name, "source.labels", run) for name in names]
    surface = src.kind == "surface"
    empty = [n for n, label in zip(names, labels, strict=True) if not surface or not _holds(label, src)]
    if empty:
        raise StudyError(
            problem(
                "E-MEG-63", "labels hold no source of the forward solution", run, file=empty[0], field="source.labels",
                found=f"{len(empty)} of {len(names)}: {shown(empty[:5])}; source space: {src.kind}",
                expected="labels of the surface that the sources lie on", fix="leave them out, or name labels and forward solution of one surface",
            )
        )  # fmt: skip
    means = mne.extract_label_time_course(stc, labels, src, mode="mean_flip", verbose="ERROR")
    return means, tuple(label.name for label in labels)


def _holds(label: "mne.Label", src: "mne.SourceSpaces") -> bool:
    return bool(np.isin(src[0 if label.hemi == "lh" else 1]["vertno"], label.vertices).any())


def _read(read: Any, folder: Path, name: str, field: str, run: Run) -> Any:
    """What MNE reads; whatever goes wrong in it is the file's."""
    path = folder / name
    try:
        return read(path, verbose="ERROR") if read.__name__ != "read_label" else read(path)
    except (OSError, ValueError, KeyError, IndexError, RuntimeError, TypeError) as error:
        found = why_unreadable(path) if not path.is_file() else shown(str(error).replace(str(path), name))
        raise StudyError(
            problem(
                "E-MEG-60", "a file of the source space cannot be read", run, file=name, field=field, found=found,
                expected="a file that MNE wrote (-fwd.fif, -cov.fif) or a FreeSurfer label", fix="name one, or leave `source` out",
            )
        ) from error  # fmt: skip


def _unseen(found: Operator, meg: Meg, run: Run) -> list[Problem]:
    names = [name for name, silent in zip(found.names, found.silent, strict=True) if silent]
    if not names:
        return []
    return [
        problem(
            "W-MEG-60", "no sensor sees some of the sources, which are missing", run, file=_named(_source(meg).forward, run),
            field="source.forward", found=f"{len(names)} of {len(found.names)}: {shown(names[:5])}",
            why="their gain is 0, as in the middle of a sphere, and nothing divided by nothing is no source",
            fix="leave them out of the source space",
        )
    ]  # fmt: skip


def _names(src: "mne.SourceSpaces") -> tuple[str, ...]:
    """Hemisphere, or number of the volume, and vertex."""
    spaces = ("lh", "rh") if src.kind == "surface" else [f"vol{i}" for i in range(len(src))]
    vertices = [s["vertno"] for s in src]
    return tuple(f"{space}-{vertex}" for space, own in zip(spaces, vertices, strict=True) for vertex in own)


def _named(name: str, run: Run) -> str:
    return name.replace("{subject}", run.subject)


def _counted(meg: Meg, found: Operator) -> str:
    return f"{len(found.names)} {'labels (mean_flip)' if _source(meg).labels else 'sources'}"


def _source(meg: Meg) -> Source:
    assert meg.source is not None
    return meg.source
