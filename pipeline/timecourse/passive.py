"""The same analysis on something that listens and predicts nothing: what word features tell of the words around them.

A word's features also tell of its neighbours, because words of a text depend
on each other. So a model's features "encode" a recording before the word
begins even where the brain foresees nothing. How much that amounts to is
measured on a target that cannot foresee: the features of the word that is
being heard at each moment (or the loudness of the sound), in the place of the
brain.

References
----------
Schönmann et al. (2026), eLife: pre-onset encoding in passive control systems.
"""

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from jaxtyping import Float, Shaped

from pipeline import ridge
from pipeline.comparison import Comparison
from pipeline.encoding import Encoding, designs, folds_of
from pipeline.samples import Samples, gather
from pipeline.scores import leading
from pipeline.sensors import sensors_of
from pipeline.timecourse.courses import chosen_layers, courses, mean, representative
from pipeline.timecourse.tables import ends

if TYPE_CHECKING:
    import pandas as pd
    import xarray as xr

    from pipeline.recordings import Recording

PASSIVE_COLUMNS = ["subject", "recording", "model", "passive", "latency", "r", "r_low", "r_high", "brain_r"]
MOST_COMPONENTS = 10  # principal components of the passive features: most of what word vectors hold
_SAME_S = 1e-6  # s; a word is heard from its own onset on, whatever rounding says

Files = Mapping[str, "xr.Dataset"]  # run -> dataset


class Heard(NamedTuple):
    """r of one model with a passive target and with the brain, at each latency."""

    model: str
    passive: str
    latencies_s: Float[np.ndarray, " latency"]
    r: Float[np.ndarray, "fold latency"]
    brain_r: Float[np.ndarray, " latency"]


def encoded(
    recording: "Recording",
    model: tuple[str, Files],
    passive: tuple[str, Files],
    recordings: Files,
    split: Mapping[str, str],
    scores: "xr.Dataset",
    settings: Encoding,
    seed: int = 0,
) -> Heard:
    """Encode a passive target from one model, with the folds and at the layers of the brain's own scores.

    Parameters
    ----------
    recording : how features are laid beside words.
    model, passive : label and activations of each run: of the model that
        predicts, and of the one whose features are predicted.
    recordings : the brain's; only onsets and what is censored are read.
    scores : the brain's scores of the model, which say the layers and the latencies.

    Returns
    -------
    r is the mean over the passive target's components, `brain_r` over folds and channels.
    """
    sensors = sensors_of(scores)
    assert sensors is not None
    latencies_s, samples = np.array(sensors.latencies_s), _without_responses(recordings, split, settings)
    outer, inner = folds_of(samples, settings, seed)
    axis = leading(scores)
    layers = chosen_layers(scores.isel({axis: -1}) if axis else scores)
    r = np.full((len(outer), len(latencies_s)), np.nan)
    for layer, X in _by_layer(recording, model[1], recordings, samples, layers):
        for k in np.flatnonzero(layers == layer):
            Y = heard(passive[1], samples, latencies_s, outer[k][0])
            found = ridge.cross_validate(
                X, Y.reshape(len(Y), -1), folds=[outer[k]], inner=[inner[k]], alphas=settings.grid(), select=settings.select,
                precision=settings.precision, device=settings.device,
            )  # fmt: skip
            r[k] = mean(np.asarray(found.r[0], float).reshape(Y.shape[1:]), axis=0)
    brain = mean(mean(representative(list(courses(scores))).r, axis=1), axis=0)
    return Heard(model[0], passive[0], latencies_s, r, brain)


def heard(
    activations: Files,
    samples: Samples,
    latencies_s: Float[np.ndarray, " latency"],
    train: Shaped[np.ndarray, " row"],
) -> Float[np.ndarray, "word component latency"]:
    """What is being heard around each word: features held from one onset to the next, as principal components.

    The features of the first layer (of the last network) at latency 0 of the
    training words say what the components are: centred, so that 0, which
    stands before the first word and after the last one ended, is their mean.
    The last word of a run ends after the usual time between words. A signal
    (the loudness) and a state are read between their samples.
    """
    values = {run: _features(ds) for run, ds in activations.items()}
    at_onset = _read_all(activations, values, samples, np.zeros(1))[:, :, 0]
    middle, axes = _components(at_onset[train])
    values = {run: (features - middle) @ axes for run, features in values.items()}
    return _read_all(activations, values, samples, latencies_s)


def table(found: list[Heard], subject: str, recording: str, settings: Comparison, seed: int = 0) -> "pd.DataFrame":
    """One row per model, passive target and latency; the interval is over folds."""
    import pandas as pd

    parts = []
    for one in found:
        low, high = ends(one.r, settings, seed)
        told = {"subject": subject, "recording": recording, "model": one.model, "passive": one.passive}
        rows = {"latency": one.latencies_s, "r": mean(one.r, axis=0), "r_low": low, "r_high": high}
        parts.append(pd.DataFrame(told | rows | {"brain_r": one.brain_r}, columns=PASSIVE_COLUMNS))
    return pd.concat(parts, ignore_index=True)


def _without_responses(recordings: Files, split: Mapping[str, str], settings: Encoding) -> Samples:
    """The samples of the fits, without reading a response."""
    thin = {}
    for run, ds in recordings.items():
        nothing = ("sample", "target"), np.zeros((ds.sizes["sample"], 1), np.float32)
        thin[run] = ds.drop_dims("target").assign(responses=nothing).assign_coords(target=["none"])
    return gather(thin, split, settings.trim_s)


def _by_layer(
    recording: "Recording", activations: Files, recordings: Files, samples: Samples, layers: np.ndarray
) -> Iterator[tuple[int, Float[np.ndarray, "word column"]]]:
    """The design of each layer that some fold chose, of the last network."""
    first = next(iter(activations.values()))
    axis, which = leading(first), [int(layer) for layer in np.unique(layers)]
    skipped = (first.sizes[axis] - 1) * first.sizes["layer"] if axis else 0
    wanted = [layer + skipped for layer in which]
    yield from zip(which, designs(recording, activations, recordings, samples, wanted), strict=True)


def _features(ds: "xr.Dataset") -> Float[np.ndarray, "row feature"]:
    axis = leading(ds)
    return ds["activations"].isel({"layer": 0} | ({axis: -1} if axis else {})).values.astype(float)


def _components(features: Float[np.ndarray, "word feature"]) -> tuple[np.ndarray, np.ndarray]:
    """Mean and first axes of the features; axes along which nothing varies are left out."""
    middle = features.mean(axis=0)
    _, size, axes = np.linalg.svd(features - middle, full_matrices=False)
    varies = size > len(features) * np.finfo(float).eps * size.max(initial=0)
    return middle, axes[varies][:MOST_COMPONENTS].T


def _read_all(
    activations: Files, values: Mapping[str, np.ndarray], samples: Samples, latencies_s: np.ndarray
) -> Float[np.ndarray, "word column latency"]:
    parts = []
    for run, kept in samples.kept.items():
        ds = activations[run]
        at_s = samples.time_s[samples.run == run][:, None] + latencies_s
        assert len(at_s) == len(kept)
        read = _held if ds.attrs["sampled"] == "event" else _between
        parts.append(read(values[run], ds["onset"].values.astype(float), at_s))
    return np.concatenate(parts)


def _held(values: np.ndarray, onsets: np.ndarray, at_s: np.ndarray) -> np.ndarray:
    """The row that began last, until the next one begins; (moment, column, latency)."""
    row = np.searchsorted(onsets, at_s + _SAME_S, side="right") - 1
    gap_s = float(np.median(np.diff(onsets))) if len(onsets) > 1 else np.inf
    inside = (row >= 0) & (at_s < onsets[-1] + gap_s)
    return np.where(inside[..., None], values[np.maximum(row, 0)], 0.0).transpose(0, 2, 1)


def _between(values: np.ndarray, onsets: np.ndarray, at_s: np.ndarray) -> np.ndarray:
    return np.stack([np.interp(at_s, onsets, column, left=0.0, right=0.0) for column in values.T], axis=1)


__all__ = ["MOST_COMPONENTS", "PASSIVE_COLUMNS", "Heard", "encoded", "heard", "table"]
