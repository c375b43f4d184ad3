"""Does the encoding score itself peak where the blood answers? One model, one layer, one delay at a time."""

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from jaxtyping import Float

from pipeline import ridge
from pipeline.encoding import Encoding, designs, folds_of
from pipeline.samples import Samples, gather
from pipeline.scores import leading

if TYPE_CHECKING:
    import pandas as pd
    import xarray as xr

    from pipeline.recordings import Recording

REACH_S = 20.0
MOST_TARGETS = 100  # those that the model predicts best on inner folds: enough to see where the score peaks
COLUMNS = ("subject", "recording", "model", "layer", "lag_s", "r", "r_low", "r_high", "n_targets")


class Scanned(NamedTuple):
    """Mean test score of the chosen targets at each lag, and its range over folds."""

    lags_s: Float[np.ndarray, " lag"]
    r: Float[np.ndarray, "lag fold"]
    layer: str
    n_targets: int


def scan(
    recording: "Recording",
    activations: Mapping[str, "xr.Dataset"],
    recordings: Mapping[str, "xr.Dataset"],
    split: Mapping[str, str],
    scores: "xr.Dataset",
    settings: Encoding,
) -> Scanned:
    """Fit the layer that inner folds like best at every single delay from -20 to +20 s.

    A negative delay lets the words predict the past: where it scores as well
    as a positive one, words and responses do not lie on one clock. Layer and
    targets are chosen on inner folds of the training data, at the study's own
    delays.
    """
    layer, targets = _best(scores)
    samples = gather(recordings, split, settings.trim_s)
    samples = samples._replace(Y=np.ascontiguousarray(samples.Y[:, targets]))
    outer, inner = folds_of(samples, settings)
    reach = int(REACH_S // samples.tr_s)
    steps = [step for step in range(-reach, reach + 1) if abs(step) < min(map(len, samples.kept.values()))]
    found = [
        ridge.cross_validate(
            X, samples.Y, folds=outer, inner=inner, alphas=settings.grid(), select=settings.select,
            precision=settings.precision, device=settings.device,
        ).r
        for X in _at_each(recording, activations, recordings, samples, layer, steps)
    ]  # fmt: skip
    r = np.stack([np.nanmean(np.asarray(one, float), axis=-1) for one in found])
    return Scanned(np.array(steps) * samples.tr_s, r, str(scores["layer"].values[layer]), len(targets))


def _best(scores: "xr.Dataset") -> tuple[int, np.ndarray]:
    """The layer with the best mean inner score, and the targets that it predicts best; of the last network."""
    axis = leading(scores)
    inner = scores["inner"].isel({axis: -1} if axis else {}).mean("fold").transpose("layer", "target").values
    layer = int(np.nanargmax(np.nanmean(inner, axis=1)))
    known = np.flatnonzero(np.isfinite(inner[layer]))
    order = known[np.argsort(-inner[layer, known], kind="stable")]
    return layer, np.sort(order[:MOST_TARGETS])


def _at_each(
    recording: "Recording",
    activations: Mapping[str, "xr.Dataset"],
    recordings: Mapping[str, "xr.Dataset"],
    samples: Samples,
    layer: int,
    steps: list[int],
) -> Iterator[Float[np.ndarray, "sample feature"]]:
    """The design of one layer, each time with one delay only."""
    first = next(iter(activations.values()))
    axis = leading(first)
    index = layer + (first.sizes[axis] - 1) * first.sizes["layer"] if axis else layer
    for step in steps:
        yield from designs(recording.model_copy(update={"delays": (step,)}), activations, recordings, samples, [index])


def table(found: Scanned, subject: str, recording: str, model: str) -> "pd.DataFrame":
    """One row per lag; low and high are the lowest and highest fold."""
    import pandas as pd

    rows = {
        "subject": subject, "recording": recording, "model": model, "layer": found.layer, "lag_s": found.lags_s,
        "r": found.r.mean(axis=1), "r_low": found.r.min(axis=1), "r_high": found.r.max(axis=1), "n_targets": found.n_targets,
    }  # fmt: skip
    return pd.DataFrame(rows, columns=list(COLUMNS))
