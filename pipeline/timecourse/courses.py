"""Scores by channel and latency: every layer of a model, and the layer that each network chose on inner folds."""

import warnings
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int, Integer, Shaped

from pipeline.comparison.networks import MEAN, NESTED, choose_layer
from pipeline.scores import leading
from pipeline.sensors import Sensors, by_latency, sensors_of

if TYPE_CHECKING:
    import xarray as xr

ALL = "all"  # the kind that holds every channel
FEWEST_PARTS = 3  # below it there is no interval and no test, as with people


class Course(NamedTuple):
    """One network of a model at a layer, or at the nested choice: r of every fold, channel and latency.

    `seed` names a twin or is "mean", `step` names a checkpoint; both are empty
    for a network that stands alone. `chosen` are the layers of the folds.
    """

    seed: str
    step: str
    layer: str
    r: Float[np.ndarray, "fold channel latency"]
    chosen: tuple[str, ...] = ()


class Person(NamedTuple):
    """Every model's courses of one recording of one person, on the same channels and latencies.

    `ceiling` is the ceiling of each channel and latency, as estimated, below
    chance too; NaN where there is none.
    """

    subject: str
    recording: str
    sensors: Sensors
    latencies_s: Float[np.ndarray, " latency"]
    courses: Mapping[str, list[Course]]
    weights: Mapping[str, str]
    ceiling: Float[np.ndarray, "channel latency"]


def person(
    subject: str,
    recording: str,
    scores: Mapping[str, "xr.Dataset"],
    weights: Mapping[str, str],
    ceiling: "xr.Dataset | None" = None,
) -> Person:
    """The courses of one person whose targets are channels at latencies.

    Parameters
    ----------
    scores : model -> what `encoding.encode` returned.
    weights : model -> "trained", "random" or another kind of twin, or "" for a control.
    ceiling : what `normalisation.estimate` returned.
    """
    sensors = sensors_of(next(iter(scores.values())))
    if sensors is None or not sensors.latencies_s:
        raise ValueError("targets are no channels at latencies: time courses need a recording with epochs")
    found = {model: list(courses(ds)) for model, ds in scores.items()}
    top = ceiling_of(ceiling, len(sensors.targets)) if ceiling is not None else np.full(len(sensors.targets), np.nan)
    return Person(subject, recording, sensors, np.array(sensors.latencies_s), found, weights, by_latency(top, sensors))


def courses(ds: "xr.Dataset") -> Iterator[Course]:
    """The nested choice of every network, and every layer of what stands for the model.

    What stands for it is the network itself, the mean over its seeds, or its
    last step of training. The layer is chosen fold by fold, by the mean inner
    score over all channels after word onset: no test sample takes part, and
    what comes before onset (where a model should predict nothing) has no say.
    """
    axis = leading(ds)
    if axis is None:
        yield from _layers(ds)
        return
    names = [str(name) for name in ds[axis].values]
    for i, name in enumerate(names[:-1] if axis == "step" else names):
        yield _nested(ds.isel({axis: i}))._replace(**{axis: name})
    if axis == "step":
        yield from (course._replace(step=names[-1]) for course in _layers(ds.isel(step=-1)))
    else:
        yield from _over_seeds([list(_layers(ds.isel(seed=i))) for i in range(len(names))])


def representative(found: list[Course]) -> Course:
    """What stands for a model: its nested choice, of seeds their mean, of checkpoints the last."""
    return [course for course in found if course.layer == NESTED][-1]


def kinds(sensors: Sensors) -> dict[str, Integer[np.ndarray, " channel"]]:
    """The channels of all kinds together (`all`), then those of each kind."""
    of = np.array(sensors.kinds)
    return {ALL: np.arange(len(of))} | {str(kind): np.flatnonzero(of == kind) for kind in dict.fromkeys(sensors.kinds)}


def mean(values: Shaped[np.ndarray, "..."], axis: int) -> Shaped[np.ndarray, "..."]:
    """Mean without the missing; missing where there is nothing."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # "mean of empty slice" is the missing value that is wanted
        return np.nanmean(values, axis=axis)


def chosen_layers(ds: "xr.Dataset") -> Int[np.ndarray, " fold"]:
    """The layer of each fold that one network chose on inner folds, over channels after word onset."""
    inner = ds["inner"].transpose("layer", "fold", "target").values
    return choose_layer(inner[..., _after_onset(ds)].astype(float))


def ceiling_of(ceiling: "xr.Dataset", n_targets: int) -> Float[np.ndarray, " target"]:
    """The first estimator that says anything, valid or not: a mean over valid ones alone would be too high."""
    kinds_of = [str(name) for name in ceiling.data_vars if f"{name}_valid" in ceiling]
    found = (ceiling[kind].values.astype(float) for kind in kinds_of if ceiling[kind].attrs.get("normalises", 1))
    return next((values for values in found if np.isfinite(values).any()), np.full(n_targets, np.nan))


def _after_onset(ds: "xr.Dataset") -> Bool[np.ndarray, " target"]:
    latency = ds["target_latency"].values.astype(float)
    return ~(latency < 0)  # all of them where there are no latencies


def _layers(ds: "xr.Dataset") -> Iterator[Course]:
    """Every layer of one network, and its nested choice."""
    sensors = sensors_of(ds)
    assert sensors is not None
    r = by_latency(ds["r"].transpose("layer", "fold", "target").values, sensors)
    best, names = chosen_layers(ds), [str(layer) for layer in ds["layer"].values]
    yield from (Course("", "", name, r[i]) for i, name in enumerate(names))
    yield Course("", "", NESTED, r[best, np.arange(len(best))], tuple(names[i] for i in best))


def _nested(ds: "xr.Dataset") -> Course:
    return list(_layers(ds))[-1]


def _over_seeds(seeds: list[list[Course]]) -> Iterator[Course]:
    for same in zip(*seeds, strict=True):
        chosen = tuple(dict.fromkeys(layer for course in same for layer in course.chosen))
        yield Course(MEAN, "", same[0].layer, np.mean([course.r for course in same], axis=0), chosen)
