"""The time course of the continuous form: one model at one delay at a time.

There a target is a channel, and one fit holds all delays. When the response
comes is seen by fitting each delay alone.
"""

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Float

from pipeline import clipping
from pipeline.comparison.networks import NESTED
from pipeline.encoding import Encoding, designs, folds_of
from pipeline.samples import Samples, gather
from pipeline.scores import leading
from pipeline.sensors import sensors_of
from pipeline.timecourse.courses import Course, Person, ceiling_of, chosen_layers

if TYPE_CHECKING:
    import xarray as xr

    from pipeline.recordings import Recording

MOST_DELAYS = 80  # of more, every second (third, ...) is fitted: each costs as much as a layer

Files = Mapping[str, "xr.Dataset"]  # run -> dataset


def person(
    subject: str,
    label: str,
    recording: "Recording",
    activations: Mapping[str, Files],
    recordings: Files,
    split: Mapping[str, str],
    scores: Mapping[str, "xr.Dataset"],
    weights: Mapping[str, str],
    ceiling: "xr.Dataset",
    settings: Encoding,
    seed: int = 0,
) -> Person:
    """The courses of one person over delays: nested layers only, of seeds the first and of steps the last.

    A model whose features are a state has no delays and no course.

    Parameters
    ----------
    activations : model -> run -> activations.
    scores : model -> the scores of all delays together, which say the layers.
    """
    sensors = sensors_of(next(iter(scores.values())))
    assert sensors is not None
    samples = gather(recordings, split, settings.trim_s)
    usable = np.isfinite(samples.Y).all(axis=0)
    samples = samples._replace(Y=np.where(usable, samples.Y, 0))
    moved = {m: found for m, found in activations.items() if _sampled(found) != "state"}
    steps = thinned(recording.delays)
    courses = {
        model: [_course(recording, found, recordings, samples, usable, scores[model], settings, seed, steps)]
        for model, found in moved.items()
    }
    top = ceiling_of(ceiling, len(usable))[:, None] + np.zeros(len(steps))
    kept = {model: weights[model] for model in moved}
    return Person(subject, label, sensors, np.array(steps) * samples.tr_s, courses, kept, top)


def thinned(delays: tuple[int, ...]) -> tuple[int, ...]:
    """Delays with an even step that are no more than `MOST_DELAYS`."""
    return delays[:: -(-len(delays) // MOST_DELAYS)]


def _sampled(activations: Files) -> str:
    return str(next(iter(activations.values())).attrs["sampled"])


def _course(
    recording: "Recording",
    activations: Files,
    recordings: Files,
    samples: Samples,
    usable: np.ndarray,
    scores: "xr.Dataset",
    settings: Encoding,
    seed: int,
    steps: tuple[int, ...],
) -> Course:
    axis = leading(scores)
    network = {"seed": 0, "step": scores.sizes.get("step", 1) - 1}.get(axis or "", 0)
    layers = chosen_layers(scores.isel({axis: network}) if axis else scores)
    outer, inner = folds_of(samples, settings, seed)
    limits = clipping.limits_of(samples.Y, outer, getattr(recording, "clip", None))
    r = np.full((len(outer), samples.Y.shape[1], len(steps)), np.nan, np.float32)
    for layer in np.unique(layers):
        folds = np.flatnonzero(layers == layer)
        index = int(layer) + network * scores.sizes["layer"]
        fits = clipping.each_layer(
            _at_each(recording, activations, recordings, samples, index, steps), samples.Y,
            limits and clipping.Limits(*(part[folds] for part in limits)), folds=[outer[k] for k in folds],
            inner=[inner[k] for k in folds], alphas=settings.grid(), select=settings.select,
            precision=settings.precision, device=settings.device,
        )  # fmt: skip
        for at, fit in enumerate(fits):
            r[folds, :, at] = np.where(usable, fit.r, np.nan)
    names = scores["layer"].values.astype(str)
    named = {axis: str(scores[axis].values[network])} if axis else {}
    return Course("", "", NESTED, r, tuple(names[layers].tolist()))._replace(**named)


def _at_each(
    recording: "Recording", activations: Files, recordings: Files, samples: Samples, index: int, steps: tuple[int, ...]
) -> Iterator[Float[np.ndarray, "sample feature"]]:
    """The design of one network and layer, each time with one delay only."""
    for step in steps:
        one = recording.model_copy(update={"window": (step * samples.tr_s, step * samples.tr_s)})
        yield from designs(one, activations, recordings, samples, [index])
