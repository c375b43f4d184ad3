"""A clean run as labelled arrays, with all that was measured on the way."""

import json
from typing import TYPE_CHECKING, Any

import numpy as np

from pipeline.recordings.base import Cleaned, Measured, Sensed
from pipeline.runs import Run
from pipeline.sensors import placed
from pipeline.settings import as_json
from pipeline.space import Space, from_told, told

if TYPE_CHECKING:
    import xarray as xr


def recorded(cleaned: Cleaned, run: Run) -> "xr.Dataset":
    """The recording file of one run: responses (sample, target), each presentation, quality, and where targets lie."""
    import xarray as xr

    responses = cleaned.responses
    facts = {"units": cleaned.unit, "long_name": "response, mean over presentations"}
    mean = responses.mean(axis=0) if len(responses) > 1 else responses[0]
    ds = xr.Dataset({"responses": (("sample", "target"), mean, facts)})
    if len(responses) > 1:
        about = {"units": cleaned.unit, "long_name": "response to each presentation"}
        ds["presentations"] = (("repeat", "sample", "target"), responses, about)
    times = ("sample", cleaned.times_s, {"units": "s", "long_name": "start of the sample on the words' clock"})
    ds = ds.assign_coords(time=times, target=np.array(cleaned.targets, dtype=str))
    warnings = as_json([problem._asdict() for problem in cleaned.warnings])
    ds = ds.assign_attrs(subject=run.subject, run=run.run, tr_s=cleaned.tr_s, warnings=warnings)
    if cleaned.censored is not None:
        about = {"units": "1", "long_name": "1 where no fit and no score uses the sample"}
        ds["censored"] = ("sample", cleaned.censored.astype(np.uint8), about)
    if cleaned.word_s is not None:
        ds = ds.assign_attrs(word_start_s=cleaned.word_s[0], word_end_s=cleaned.word_s[1])
    if cleaned.sensors is not None:
        ds = placed(ds, cleaned.sensors)
    return _in_space(_with_quality(ds, cleaned.measured), cleaned)


def space_of(ds: "xr.Dataset") -> Space:
    """Where the targets of a recording file lie."""
    targets = [str(target) for target in ds["target"].values]
    parcels = "place_target" in ds
    places = [str(place) for place in ds["place"].values] if parcels else targets
    return from_told(json.loads(ds.attrs["space"]), places, ds["place_target"].values.tolist() if parcels else ())


def _with_quality(ds: "xr.Dataset", measured: Measured | Sensed | None) -> "xr.Dataset":
    if measured is None:
        return ds
    for name, (dims, units, long_name) in _MEASURES.items():
        values = getattr(measured, name, None)
        if values is not None:
            ds[name] = (dims, np.asarray(values, np.float32), {"units": units, "long_name": long_name})
    return ds.assign_attrs(quality=as_json(measured.summary))


_MEASURES: dict[str, tuple[Any, str, str]] = {
    "fd_mm": (("repeat", "sample"), "mm", "framewise displacement (Power et al. 2012)"),
    "dvars": (("repeat", "sample"), "1", "standardised DVARS"),
    "motion": (("repeat", "sample", "axis"), "mm, degrees", "where the head was: x y z, rotations about x y z"),
    "tsnr": ("target", "1", "mean over standard deviation, after a straight line was taken away"),
    "carpet": (("row", "sample"), "z", "mean of neighbouring targets, before cleaning"),
    "freqs_hz": ("frequency", "Hz", "frequencies of the spectra"),
    "psd_before": (("channel", "frequency"), "unit^2/Hz", "power spectrum of each channel as it was recorded"),
    "psd_after": (("channel", "frequency"), "unit^2/Hz", "power spectrum of each channel after cleaning"),
    "evoked": (("channel", "latency"), "unit", "mean over words"),
    "evoked_s": ("latency", "s", "time after word onset"),
    "jitter_s": ("trigger", "s", "what is left of each trigger after the clocks were matched"),
}


def _in_space(ds: "xr.Dataset", cleaned: Cleaned) -> "xr.Dataset":
    """How to go back to the brain: the space, and of parcels also their places."""
    space = cleaned.space
    if space is None:
        return ds
    if space.target_of:
        ds = ds.assign_coords(place=np.array(space.places, dtype=str))
        about = {"units": "1", "long_name": "the target that a place belongs to, -1 for none"}
        ds["place_target"] = ("place", np.array(space.target_of, np.int32), about)
    return ds.assign_attrs(space=as_json(told(space)))
