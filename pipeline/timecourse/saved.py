"""The nested courses of one person as a file, small enough to be read for everybody at once."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from jaxtyping import Float

from pipeline.comparison import pairs
from pipeline.comparison.settings import Comparison
from pipeline.sensors import LOC, Sensors
from pipeline.timecourse.courses import Person, mean, representative

if TYPE_CHECKING:
    import xarray as xr


class Member(NamedTuple):
    """One of several people: the mean over folds of each model's nested r."""

    subject: str
    sensors: Sensors
    latencies_s: Float[np.ndarray, " latency"]
    r: Mapping[str, Float[np.ndarray, "channel latency"]]


def saved(whose: Person) -> "xr.Dataset":
    """r (model, fold, channel, latency) of what stands for each model, at the layers chosen on inner folds."""
    import xarray as xr

    found = {model: representative(courses) for model, courses in whose.courses.items()}
    about = {"units": "1", "long_name": "Pearson correlation on the test samples, layer chosen on inner folds"}
    r = np.stack([course.r for course in found.values()]).astype(np.float32)
    ds = xr.Dataset({"r": (("model", "fold", "channel", "latency"), r, about)})
    chosen = np.array([" ".join(dict.fromkeys(course.chosen)) for course in found.values()], str)
    ds["chosen"] = ("model", chosen, {"units": "", "long_name": "layers chosen, over folds"})
    kinds = np.array(whose.sensors.kinds, str)
    ds["channel_kind"] = ("channel", kinds, {"units": "", "long_name": "what it measures"})
    about = {"units": "m, 1", "long_name": "place and orientation as MNE gives them, head coordinates"}
    ds["channel_loc"] = (("channel", "loc"), np.asarray(whose.sensors.loc, float).reshape(-1, LOC), about)
    ds = ds.assign_coords(model=list(found), channel=list(whose.sensors.names))
    ds["latency"] = ("latency", whose.latencies_s, {"units": "s", "long_name": "time after word onset"})
    return ds.assign_attrs(subject=whose.subject, recording=whose.recording)


def member(ds: "xr.Dataset") -> Member:
    """What `saved` wrote, as one of several people."""
    text = {name: tuple(ds[name].values.astype(str).tolist()) for name in ("channel", "channel_kind")}
    sensors = Sensors(text["channel"], text["channel_kind"], ds["channel_loc"].values.astype(float))
    r = {str(model): mean(ds["r"].sel(model=model).values, axis=0) for model in ds["model"].values}
    return Member(str(ds.attrs["subject"]), sensors, ds["latency"].values.astype(float), r)


def asked(settings: Comparison, weights: Mapping[str, str]) -> list[tuple[str, str]]:
    """What is tested: (model, "") against zero for the trained models (for all where none is), then the pairs (a, b)."""
    trained = [model for model, w in weights.items() if w == "trained"]
    return [(model, "") for model in trained or weights] + [*pairs(settings, weights)]
