"""Fit one person with one model, every layer, and say how well."""

from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, ClassVar, Literal

import numpy as np
from jaxtyping import Bool, Float, Shaped
from pydantic import Field, NonNegativeFloat, PositiveFloat, PositiveInt, model_validator

from pipeline import clipping, ridge, scratch, splits
from pipeline.columns import Columns, columns_of
from pipeline.samples import ALL, Samples, gather, regions
from pipeline.scores import BY_TARGET, labelled, leading
from pipeline.sensors import carried, sensors_of
from pipeline.settings import Settings

if TYPE_CHECKING:
    import pandas as pd
    import xarray as xr

    from pipeline.recordings import Recording

Folds = list[tuple[np.ndarray, np.ndarray]]


class Encoding(Settings):
    """How the linear maps are fitted and tested."""

    version: ClassVar[int] = 4

    alphas: tuple[PositiveFloat, PositiveFloat, PositiveInt] = Field(
        (1.0, 1e8, 17),
        description="ridge penalties: from, to, how many, spaced evenly in the logarithm (scikit-learn's convention)",
    )
    split: Literal["leave_one_run_out", "contiguous", "given", "shuffled"] = Field(
        "leave_one_run_out", description="which samples test; `given` follows the column `split` of the data set"
    )
    allow_leaky: bool = Field(
        False, description="permit `split: shuffled`, whose scores are inflated by neighbouring samples"
    )
    folds: int = Field(5, ge=2, description="test blocks of `contiguous` and `shuffled`")
    gap_s: NonNegativeFloat = Field(
        20.0, description="s left out on both sides of a test block inside a run (ten volumes of 2 s)"
    )
    inner_folds: int = Field(5, ge=2, description="folds of the training samples on which alpha and layer are chosen")
    select: Literal["r2", "r"] = Field("r2", description="score by which alpha and layer are chosen")
    trim_s: tuple[NonNegativeFloat, NonNegativeFloat] = Field(
        (0.0, 0.0), description="s left out at the start and the end of every run"
    )
    precision: Literal["float32", "float64", "mixed"] = Field(
        "float32",
        description="of what grows with the targets; the rest is float64. `mixed` chooses alpha from fewer measurements "
        "(in bfloat16 where the device is faster at it) and reports in float32",
    )
    device: Literal["cpu", "cuda"] = Field(
        "cpu", description="where the maps are fitted; `cuda` is a GPU through torch"
    )

    @model_validator(mode="after")
    def _consistent(self) -> "Encoding":
        if self.split == "shuffled" and not self.allow_leaky:
            raise ValueError(
                "split 'shuffled' puts neighbouring samples into training and test, and scores of noise rise to .5 and more; "
                "use 'leave_one_run_out' or 'contiguous', or say allow_leaky: true to show the leak"
            )
        if self.alphas[0] > self.alphas[1]:
            raise ValueError(f"alphas run from {self.alphas[0]:g} down to {self.alphas[1]:g}; give the smaller first")
        return self

    def grid(self) -> Float[np.ndarray, " alpha"]:
        """The penalties to choose from."""
        return np.geomspace(*self.alphas)

    @property
    def leaky(self) -> bool:
        """Do neighbouring samples stand in training and test?"""
        return self.split == "shuffled"


def folds_of(samples: Samples, settings: Encoding, seed: int = 0) -> tuple[Folds, list[Folds]]:
    """Outer folds, and for each the inner folds on its training rows."""
    gap = 0 if samples.word_s else int(np.ceil(settings.gap_s / samples.tr_s))
    n = len(samples.run)
    if settings.split == "given":
        outer = splits.given(samples.split)
    elif settings.split == "leave_one_run_out":
        outer = splits.leave_one_run_out(samples.run)
    elif settings.split == "contiguous":
        outer = splits.contiguous(n, folds=settings.folds, gap=gap)
    else:
        outer = splits.shuffled(n, folds=settings.folds, seed=seed)
    outer = _apart(outer, samples, settings)
    return outer, [_apart(_inner(train, samples.run, settings, gap), samples, settings) for train, _ in outer]


def _apart(folds: Folds, samples: Samples, settings: Encoding) -> Folds:
    """Words share the recording around them with their neighbours: as much of it as an epoch holds leaves training."""
    if not samples.word_s or settings.leaky:
        return folds
    apart = splits.purged(folds, samples.run, samples.time_s, max(settings.gap_s, samples.word_s))
    if not all(train.size for train, _ in apart):
        raise ValueError(f"{max(settings.gap_s, samples.word_s):g} s around each test block leave no words to train on")
    return apart


def _inner(train: np.ndarray, run: np.ndarray, settings: Encoding, gap: int) -> Folds:
    whole_runs = settings.split in ("given", "leave_one_run_out") and len(set(run[train])) > 1
    if whole_runs:
        return splits.inner_by_run(train, run, settings.inner_folds)
    return splits.inner_contiguous(train, settings.inner_folds, 0 if settings.leaky else gap)


def designs(
    recording: "Recording",
    activations: Mapping[str, "xr.Dataset"],
    recordings: Mapping[str, "xr.Dataset"],
    samples: Samples,
    which: Iterable[int] | None = None,
) -> Iterator[Float[np.ndarray, "sample delayed"]]:
    """The design of each network and layer in turn (or `which` of them), runs end to end in the order of `samples`.

    Seeds and steps of training are networks: each has all layers, and the
    layers of one come before those of the next.
    """
    first = next(iter(activations.values()))
    n_layers = first.sizes["layer"]
    for index in range(_n_fits(first)) if which is None else which:
        network, layer = divmod(index, n_layers)
        blocks = [
            _block(recording, activations[run], recordings[run], network, layer)[samples.kept[run]]
            for run in samples.kept
        ]
        yield _diagonal(blocks) if first.attrs["private"] else np.concatenate(blocks)


def _n_fits(activations: "xr.Dataset") -> int:
    axis = leading(activations)
    return activations.sizes["layer"] * (activations.sizes[axis] if axis else 1)


def _block(recording: "Recording", activations: "xr.Dataset", ds: "xr.Dataset", network: int, layer: int) -> np.ndarray:
    axis = leading(activations)
    values = activations["activations"].isel({"layer": layer} | ({axis: network} if axis else {}))
    onsets, times = activations["onset"].values.astype(float), ds["time"].values.astype(float)
    return recording.design(values.values.astype(np.float64), onsets, times, activations.attrs["sampled"])


def _diagonal(blocks: list[np.ndarray]) -> np.ndarray:
    """Columns that belong to one run: blocks down the diagonal, zeros elsewhere; empty columns are left out."""
    from scipy.linalg import block_diag

    return block_diag(*(block[:, block.any(axis=0)] for block in blocks))


def encode(
    recording: "Recording",
    activations: Mapping[str, "xr.Dataset"],
    recordings: Mapping[str, "xr.Dataset"],
    split: Mapping[str, str],
    regions_table: "pd.DataFrame | None",
    settings: Encoding,
    seed: int = 0,
    parts: "scratch.Parts | None" = None,
) -> "xr.Dataset":
    """Scores of one model on one person: (seed or step,) layer, fold, target.

    Random twins stand along `seed`, checkpoints of one training along `step`.
    What the activations know of the networks (their loss) travels along.
    A target that is missing in any run is left out of the fit and comes back
    as missing. `agreement` is the share each tested sample has in a region's
    mean correlation (z of the response times z of the prediction), from which
    intervals and paired tests are made without keeping any prediction.
    Where a recording says where values are cut off, `clipped` counts those
    that were (`pipeline.clipping`). `parts` keeps each layer as soon as it is done, and gives those that an
    interrupted run had done.
    """
    samples = gather(recordings, split, settings.trim_s, parts and parts.folder)
    targets = tuple(map(str, next(iter(recordings.values()))["target"].values))
    usable = _usable(samples.Y)
    sensors = sensors_of(next(iter(recordings.values())))
    rois, member = regions(targets, regions_table, sensors)
    outer, inner = folds_of(samples, settings, seed)
    limits = clipping.limits_of(samples.Y, outer, getattr(recording, "clip", None), sensors)
    first = next(iter(activations.values()))
    n_fits = _n_fits(first)
    done = {} if parts is None else {i: part for i in range(n_fits) if (part := parts.read(i)) is not None}
    missing = [i for i in range(n_fits) if i not in done]
    counts: list[Columns] = []
    fits = clipping.each_layer(
        _counted(designs(recording, activations, recordings, samples, missing), counts),
        samples.Y,
        limits,
        folds=outer,
        inner=inner,
        alphas=settings.grid(),
        select=settings.select,
        precision=settings.precision,
        device=settings.device,
        pools=member & usable,
    )
    for k, (i, fit) in enumerate(zip(missing, fits, strict=True)):
        done[i] = _kept(fit, usable) | {"columns": np.array(counts[k])}
        if parts is not None:
            parts.write(i, done[i])
    found = labelled([done[i] for i in range(n_fits)], first, samples, outer, targets, rois, member)
    return carried(next(iter(recordings.values())), clipping.counted(found, limits))


def _counted(designs: Iterable[np.ndarray], counts: list[Columns]) -> Iterator[np.ndarray]:
    """Designs as they pass by, each one's columns counted."""
    for X in designs:
        counts.append(columns_of(X))
        yield X


def _usable(Y: Shaped[np.ndarray, "sample target"]) -> Bool[np.ndarray, " target"]:
    """Targets without missing values; the others are made 0 in place, which as constants have no score."""
    usable = np.ones(Y.shape[1], bool)
    for rows in np.array_split(Y, max(Y.size // _CELLS, 1)):  # parts of Y itself, which may lie in a file
        usable &= np.isfinite(rows).all(axis=0)
    for rows in np.array_split(Y, max(Y.size // _CELLS, 1)) if not usable.all() else ():
        rows[:, ~usable] = 0
    return usable


def _kept(fit: ridge.Scores, usable: np.ndarray) -> dict[str, np.ndarray]:
    parts = {
        name: np.where(usable, np.asarray(getattr(fit, name), np.float32), np.float32(np.nan)) for name in BY_TARGET
    }
    return parts | {"agreement": np.asarray(fit.agreement, np.float32), "path": np.array(sorted(set(fit.path)))}


_CELLS = 2**24  # values looked at together

__all__ = ["ALL", "Encoding", "Folds", "Samples", "designs", "encode", "folds_of", "gather", "regions"]
