"""A study's fit of one model, ready to be made again with other responses or other features."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int, Shaped

from pipeline import clipping, statistics
from pipeline.comparison.networks import choose_layer
from pipeline.comparison.settings import SHORTEST_BLOCK
from pipeline.encoding import Encoding, Folds, designs, folds_of
from pipeline.samples import Samples, gather
from pipeline.scores import leading
from pipeline.statistics.blocks import common_length, split_runs

if TYPE_CHECKING:
    import xarray as xr

    from pipeline.recordings import Recording

Files = Mapping[str, "xr.Dataset"]  # run -> dataset
Designs = Mapping[int, Float[np.ndarray, "sample column"]]  # layer -> design
MOST_TARGETS, FEWEST_TARGETS, SHARE = 100, 30, 16  # of the certificate: one in sixteen, at least 30 and at most 100


class AsFitted(NamedTuple):
    """What the fit of one model to one person's recording was made of.

    `layers` is the layer (its place) that each fold chose on its inner folds,
    and `alpha` the penalty of each fold and target there; `X` holds the
    designs of these layers. `usable` marks targets that were fitted. `block`
    is how many samples the study's tests leave together.
    """

    recording: "Recording"
    activations: Files
    recordings: Files
    samples: Samples
    X: Designs
    layers: Int[np.ndarray, " fold"]
    names: tuple[str, ...]
    alpha: Float[np.ndarray, "fold target"]
    usable: Bool[np.ndarray, " target"]
    folds: Folds
    inner: list[Folds]
    settings: Encoding
    network: int
    block: int

    @property
    def held_out(self) -> bool:
        """Is there one test set that is in no training set?"""
        return self.settings.split == "given"

    @property
    def test(self) -> Int[np.ndarray, " row"]:
        """Rows that are tested, in their order."""
        return np.unique(np.concatenate([test for _, test in self.folds]))


class Fit(NamedTuple):
    """A fit with the study's layers: scores and penalties by fold and target, and each sample's share in the mean score.

    `series` is weighted so that every fold counts the same: its mean over the
    tested samples is the mean over folds of r; NaN for samples that are never tested.
    """

    r: Float[np.ndarray, "fold target"]
    alpha: Float[np.ndarray, "fold target"]
    series: Float[np.ndarray, " sample"]


def as_fitted(
    recording: "Recording",
    activations: Files,
    recordings: Files,
    split: Mapping[str, str],
    scores: "xr.Dataset",
    settings: Encoding,
    seed: int = 0,
    folder: Path | None = None,
) -> AsFitted:
    """The fit behind `scores`, which `encoding.encode` returned with the same arguments; of seeds or steps the last.

    Parameters
    ----------
    seed : of a shuffled split.
    folder : for responses that are larger than memory should hold (`samples.gather`).
    """
    samples = gather(recordings, split, settings.trim_s, folder)
    outer, inner = folds_of(samples, settings, seed)
    axis = leading(scores)
    own = scores.isel({axis: -1} if axis else {})
    layers = choose_layer(own["inner"].transpose("layer", "fold", "target").values.astype(float))
    alpha = own["alpha"].transpose("layer", "fold", "target").values[layers, np.arange(len(layers))].astype(float)
    network = scores.sizes[axis] - 1 if axis else 0
    usable = np.isfinite(alpha).all(axis=0)
    missing = np.flatnonzero(~usable)
    if missing.size:
        samples.Y[:, missing] = 0
    return AsFitted(
        recording, activations, recordings, samples,
        laid(recording, activations, recordings, samples, layers, network, scores.sizes["layer"]), layers,
        tuple(str(scores["layer"].values[i]) for i in layers), alpha, usable, outer, inner, settings, network,
        block_of(samples, outer),
    )  # fmt: skip


def laid(
    recording: "Recording",
    activations: Files,
    recordings: Files,
    samples: Samples,
    layers: Int[np.ndarray, " fold"],
    network: int,
    n_layers: int,
) -> Designs:
    """The design of each layer that some fold chose."""
    which = sorted(set(layers.tolist()))
    places = [network * n_layers + layer for layer in which]
    return dict(zip(which, designs(recording, activations, recordings, samples, places), strict=True))


def block_of(samples: Samples, folds: Folds) -> int:
    """Samples that stay together: as many as the tested responses' smoothness wants, at least ten, at most a quarter of the longest run."""
    rows = np.unique(np.concatenate([test for _, test in folds]))
    runs = split_runs(samples.run[rows], len(rows))
    some = samples.Y[:, :: max(samples.Y.shape[1] // 200, 1)][rows]
    return min(max(common_length(some, samples.run[rows]), SHORTEST_BLOCK), max(max(map(len, runs)) // 4, 1))


def fit(
    found: AsFitted,
    Y: Shaped[np.ndarray, "sample target"],
    X: Designs | None = None,
    pool: Bool[np.ndarray, " target"] | None = None,
) -> Fit:
    """Fit other responses (or other features) as the study was fitted: its folds, layers, grid of penalties and limits.

    Each fold keeps the layer that it chose on the study's own responses, and
    chooses every target's penalty anew. A layer is chosen over all targets on
    inner folds; chosen anew it would be any layer where nothing is to be found.

    Parameters
    ----------
    Y : responses, the samples of the study.
    X : designs, those of the study by default.
    pool : targets whose mean score `series` tells of; all by default.
    """
    X = found.X if X is None else X
    limits = clipping.limits_of(Y, found.folds, getattr(found.recording, "clip", None))
    r, alpha = np.full((2, len(found.folds), Y.shape[1]), np.nan)
    series = np.full(len(Y), np.nan)
    pools = (np.ones(Y.shape[1], bool) if pool is None else pool)[None]
    for layer in np.unique(found.layers):
        own = np.flatnonzero(found.layers == layer)
        (one,) = clipping.each_layer(
            [X[int(layer)]], Y, limits and clipping.Limits(*(part[own] for part in limits)),
            folds=[found.folds[k] for k in own], inner=[found.inner[k] for k in own], alphas=found.settings.grid(),
            select=found.settings.select, precision=found.settings.precision, device=found.settings.device, pools=pools,
        )  # fmt: skip
        r[own], alpha[own] = one.r, one.alpha
        series = np.where(np.isfinite(one.agreement[0]), one.agreement[0], series)
    return Fit(r, alpha, series * _weights(found.folds, len(Y)))


def _weights(folds: Folds, n: int) -> Float[np.ndarray, " sample"]:
    """A fold weighs as much as any other, however many samples it tests."""
    weight, n_tested = np.ones(n), sum(len(test) for _, test in folds)
    for _, test in folds:
        weight[test] = n_tested / (len(folds) * len(test))
    return weight


def over(found: AsFitted, series: Float[np.ndarray, " sample"], n: int, seed: int) -> statistics.Interval:
    """Mean over the tested samples and its 95 % interval over blocks of them."""
    rows = found.test[np.isfinite(series[found.test])]
    if not rows.size:
        return statistics.Interval(np.nan, np.nan, np.nan)
    return statistics.bootstrap(series[rows], run=found.samples.run[rows], block=found.block, n=n, seed=seed)


def spread(usable: Bool[np.ndarray, " target"], n: int | None = None) -> Int[np.ndarray, " some"]:
    """Some of the targets that were fitted, evenly spaced, whatever their scores: one in sixteen, 30 to 100 (or `n`)."""
    known = np.flatnonzero(usable)
    most = int(np.clip(len(known) // SHARE, FEWEST_TARGETS, MOST_TARGETS)) if n is None else n
    if len(known) <= most:
        return known
    return known[np.linspace(0, len(known) - 1, most).round().astype(int)]
