"""A model and controls laid side by side: the designs, the folds and the targets of fits in which each has a penalty of its own."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from jaxtyping import Float, Shaped

from pipeline import clipping
from pipeline.comparison.networks import choose_layer
from pipeline.encoding import Encoding, Folds, designs, folds_of
from pipeline.samples import Samples, gather
from pipeline.scores import leading
from pipeline.sensors import sensors_of

if TYPE_CHECKING:
    import xarray as xr

    from pipeline.recordings import Recording

MOST_TARGETS = 1000  # all of them are fitted; a banded fit of more takes longer than all that it is to explain
BEST = 500
N_ITER = 12  # weightings of the spaces that are tried

Activations = Mapping[str, "xr.Dataset"]  # of one model, by run


class Joint(NamedTuple):
    """What stands beside what.

    outer, inner : folds, and for each the pairs on its training rows.
    inner_scores : of the model, (layer, fold, target), by which layers and targets are chosen.
    chosen : the model's layer in each fold, by its number and by its name.
    own : the model's design at each layer that some fold chose.
    controls : label -> design.
    options : of `ridge.banded`.
    """

    samples: Samples
    outer: Folds
    inner: list[Folds]
    limits: clipping.Limits | None
    inner_scores: Float[np.ndarray, "layer fold target"]
    chosen: tuple[int, ...]
    layers: tuple[str, ...]
    own: dict[int, np.ndarray]
    controls: dict[str, np.ndarray]
    options: dict[str, Any]

    def model(self, k: int) -> Float[np.ndarray, "sample column"]:
        """The model's design in fold k."""
        return self.own[self.chosen[k]]

    def targets(self, k: int) -> tuple[np.ndarray, Shaped[np.ndarray, "sample target"]]:
        """Which targets are fitted in fold k, and their responses in all samples."""
        columns = _best(self.inner_scores[self.chosen[k], k])
        return columns, clipping.within(self.samples.Y, self.limits, k, columns)


def lay(
    recording: "Recording",
    model: Activations,
    controls: Mapping[str, Activations],
    recordings: Mapping[str, "xr.Dataset"],
    split: Mapping[str, str],
    scores: "xr.Dataset",
    settings: Encoding,
    seed: int = 0,
    folder: Path | None = None,
) -> Joint:
    """Lay a model and controls side by side.

    In each fold the model stands with the layer that it chose on the fold's
    inner folds. A control of several layers stands with all of them side by
    side. Where there are more than 1,000 targets only 500 are fitted in each
    fold, those that the model predicts best on the fold's inner folds, so
    that no test sample has a say in it.

    Parameters
    ----------
    model : its activations; of seeds or steps the last.
    controls : label -> activations.
    scores : what `encoding.encode` returned for the model.
    seed : of the weightings that are drawn.
    folder : for responses that are larger than memory should hold (`samples.gather`).
    """
    samples = gather(recordings, split, settings.trim_s, folder)
    outer, inner = folds_of(samples, settings, seed)
    sensors = sensors_of(next(iter(recordings.values())))
    limits = clipping.limits_of(samples.Y, outer, getattr(recording, "clip", None), sensors)
    score = inner_scores(scores)
    chosen = tuple(choose_layer(score).tolist())
    options = {
        "alphas": settings.grid(), "select": settings.select, "n_iter": N_ITER, "seed": seed,
        "precision": "float64" if settings.precision == "float64" else "float32",
    }  # fmt: skip
    return Joint(
        samples, outer, inner, limits, score, chosen, tuple(str(scores["layer"].values[layer]) for layer in chosen),
        {layer: _design(recording, model, recordings, samples, [layer]) for layer in sorted(set(chosen))},
        {label: _design(recording, found, recordings, samples) for label, found in controls.items()}, options,
    )  # fmt: skip


def inner_scores(scores: "xr.Dataset") -> Float[np.ndarray, "layer fold target"]:
    """Mean scores on inner folds; of the last network."""
    axis = leading(scores)
    inner = scores["inner"].isel({axis: -1} if axis else {})
    return inner.transpose("layer", "fold", "target").values.astype(float)


def _best(inner: Float[np.ndarray, " target"]) -> np.ndarray:
    """All targets that have a score, or the best of them."""
    known = np.flatnonzero(np.isfinite(inner))
    if len(known) <= MOST_TARGETS:
        return known
    return np.sort(known[np.argsort(-inner[known], kind="stable")][:BEST])


def _design(
    recording: "Recording",
    activations: Activations,
    recordings: Mapping[str, "xr.Dataset"],
    samples: Samples,
    layers: Sequence[int] | None = None,
) -> Float[np.ndarray, "sample column"]:
    """Some layers (all by default) of the last network, side by side."""
    first = next(iter(activations.values()))
    axis, n_layers = leading(first), first.sizes["layer"]
    start = (first.sizes[axis] - 1) * n_layers if axis else 0
    which = [start + layer for layer in (range(n_layers) if layers is None else layers)]
    return np.hstack(list(designs(recording, activations, recordings, samples, which)))
