"""What a model adds to the controls of a recording: both fitted together, each with a penalty of its own, and the controls alone."""

from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from jaxtyping import Float

from pipeline import clipping, ridge, statistics
from pipeline.comparison.networks import choose_layer, mean
from pipeline.encoding import Encoding, designs, folds_of
from pipeline.samples import Samples, gather
from pipeline.scores import leading
from pipeline.sensors import sensors_of

if TYPE_CHECKING:
    import pandas as pd
    import xarray as xr

    from pipeline.recordings import Recording

MOST_TARGETS = 1000  # all of them are fitted; a banded fit of more takes longer than all that it is to explain
BEST = 500
FEWEST_PARTS = 3
N_ITER = 12  # weightings of the spaces that are tried
COLUMNS = (
    "subject", "recording", "model", "layer", "controls", "roi", "n_targets", "of_targets", "r_joint", "r_controls", "adds",
    "low", "high", "n_parts",
)  # fmt: skip

Activations = Mapping[str, "xr.Dataset"]  # of one model, by run


class Added(NamedTuple):
    """r on the test samples of each fold, of model and controls together and of the controls alone; NaN where not fitted.

    `layers` is the model's layer in each fold.
    """

    joint: Float[np.ndarray, "fold target"]
    controls: Float[np.ndarray, "fold target"]
    layers: tuple[str, ...]


def added(
    recording: "Recording",
    model: Activations,
    controls: Mapping[str, Activations],
    recordings: Mapping[str, "xr.Dataset"],
    split: Mapping[str, str],
    scores: "xr.Dataset",
    settings: Encoding,
    seed: int = 0,
    folder: Path | None = None,
) -> Added:
    """Banded ridge from a model and every control to the recording, and from the controls without the model.

    In each fold the model stands with the layer that it chose on the fold's
    inner folds, and each control has a band: a penalty that is its own. The
    fit of the controls chooses anew. A control of several layers stands with
    all of them side by side. Where there are more than 1,000 targets
    only 500 are fitted in each fold, those that the model predicts best on
    the fold's inner folds, so that no test sample has a say in it.

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
    beside = [_design(recording, found, recordings, samples) for found in controls.values()]
    score = _inner(scores)
    chosen = choose_layer(score).tolist()
    own = {layer: _design(recording, model, recordings, samples, [layer]) for layer in sorted(set(chosen))}
    fit = partial(
        ridge.banded, alphas=settings.grid(), select=settings.select, n_iter=N_ITER, seed=seed,
        precision="float64" if settings.precision == "float64" else "float32",
    )  # fmt: skip
    joint, alone = np.full((2, len(outer), samples.Y.shape[1]), np.nan)
    for k, layer in enumerate(chosen):
        columns = _best(score[layer, k])
        y = clipping.within(samples.Y, limits, k, columns)
        joint[k, columns] = fit([own[layer], *beside], y, folds=[outer[k]], inner=[inner[k]]).r[0]
        alone[k, columns] = fit(beside, y, folds=[outer[k]], inner=[inner[k]]).r[0]
    return Added(joint, alone, tuple(str(scores["layer"].values[layer]) for layer in chosen))


def table(
    found: Added,
    scores: "xr.Dataset",
    subject: str,
    recording: str,
    model: str,
    controls: tuple[str, ...],
    draws: int = 1000,
    seed: int = 0,
) -> "pd.DataFrame":
    """One row per region: mean over its fitted targets, then over folds; what the model adds with a bootstrap interval over folds.

    Below three folds with a score there is no interval. `n_targets` were
    fitted (in the mean fold) of the `of_targets` that have a score.
    """
    import pandas as pd

    whose = {"subject": subject, "recording": recording, "model": model, "controls": " ".join(controls)}
    whose["layer"] = " ".join(dict.fromkeys(found.layers))
    known = np.isfinite(_inner(scores)).any(axis=(0, 1))
    rows = []
    for roi, member in zip(scores["roi"].values.astype(str), scores["member"].values.astype(bool), strict=True):
        fitted = np.isfinite(found.joint[:, member])
        told = {
            "roi": roi,
            "n_targets": round(float(fitted.sum(axis=1).mean())),
            "of_targets": int(known[member].sum()),
        }
        rows.append(whose | told | _summary(found.joint[:, member], found.controls[:, member], draws, seed))
    return pd.DataFrame(rows, columns=list(COLUMNS))


def _summary(joint: np.ndarray, controls: np.ndarray, draws: int, seed: int) -> dict[str, float]:
    """Over folds in which the region has a target."""
    by_part = np.stack([mean(joint, 1), mean(controls, 1), mean(joint - controls, 1)], axis=1)
    by_part = by_part[np.isfinite(by_part).all(axis=1)]
    ends = (np.nan, np.nan)
    if len(by_part) >= FEWEST_PARTS:
        interval = statistics.bootstrap(by_part[:, 2], block=1, n=draws, seed=seed)
        ends = float(interval.low), float(interval.high)
    r_joint, r_controls, adds = (float(v) for v in mean(by_part, 0))
    return {
        "r_joint": r_joint, "r_controls": r_controls, "adds": adds, "low": ends[0], "high": ends[1], "n_parts": len(by_part),
    }  # fmt: skip


def _inner(scores: "xr.Dataset") -> Float[np.ndarray, "layer fold target"]:
    """Of the last network."""
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
