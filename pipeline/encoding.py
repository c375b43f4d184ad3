"""Fit one person with one model, every layer, and say how well."""

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Literal, NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Shaped
from pydantic import Field, NonNegativeFloat, PositiveFloat, PositiveInt, model_validator

from pipeline import ridge, scratch, splits
from pipeline.problems import Problem, StudyError
from pipeline.settings import Settings

if TYPE_CHECKING:
    import pandas as pd
    import xarray as xr

    from pipeline.recordings import Recording

ALL = "all"  # the region of every target

Folds = list[tuple[np.ndarray, np.ndarray]]


class Encoding(Settings):
    """How the linear maps are fitted and tested."""

    version: ClassVar[int] = 2

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


class Samples(NamedTuple):
    """Every kept sample of one person, run after run.

    `Y` (sample, target); `run`, `split` and `time_s` label its rows; `kept`
    says for each run which of its samples are rows here.
    """

    Y: Float[np.ndarray, "sample target"]
    run: np.ndarray
    split: np.ndarray
    time_s: Float[np.ndarray, " sample"]
    tr_s: float
    kept: dict[str, np.ndarray]


def gather(
    recordings: Mapping[str, "xr.Dataset"],
    split: Mapping[str, str],
    trim_s: tuple[float, float],
    folder: Path | None = None,
) -> Samples:
    """Lay the runs of one person end to end, without the trimmed samples; in a file in `folder` where that is large."""
    spacings = {float(ds.attrs["tr_s"]) for ds in recordings.values()}
    if len(spacings) > 1:
        raise StudyError(
            Problem(
                "E-DATA-16",
                "runs of one recording differ in the time between samples",
                found=f"{sorted(spacings)} s",
                fix="make them recordings of their own, or resample them",
            )
        )
    tr_s = spacings.pop()
    _same_targets(recordings)
    start, end = (round(t / tr_s) for t in trim_s)
    kept = {run: np.arange(start, ds.sizes["sample"] - end) for run, ds in recordings.items()}
    run = np.repeat(list(kept), [len(rows) for rows in kept.values()])
    times = np.concatenate([ds["time"].values[kept[r]] for r, ds in recordings.items()])
    return Samples(_stacked(recordings, kept, folder), run, np.array([split[r] for r in run]), times, tr_s, kept)


def _stacked(recordings: Mapping[str, "xr.Dataset"], kept: dict[str, np.ndarray], folder: Path | None) -> np.ndarray:
    first = next(iter(recordings.values()))["responses"]
    Y = scratch.room((sum(map(len, kept.values())), first.sizes["target"]), first.dtype, folder)
    start = 0
    for run, ds in recordings.items():
        Y[start : start + len(kept[run])] = ds["responses"].values[kept[run]]
        start += len(kept[run])
    return Y


def _same_targets(recordings: Mapping[str, "xr.Dataset"]) -> None:
    first, *others = recordings
    names = recordings[first]["target"].values.tolist()
    for run in others:
        if recordings[run]["target"].values.tolist() != names:
            raise StudyError(
                Problem(
                    "E-ARRAY-08", "runs differ in their targets or in the order of them", found=f"runs {first} and {run}",
                    fix="give every run the same columns (or mask) in the same order", subject=recordings[run].attrs.get("subject", ""),
                )
            )  # fmt: skip


def folds_of(samples: Samples, settings: Encoding, seed: int = 0) -> tuple[Folds, list[Folds]]:
    """Outer folds, and for each the inner folds on its training rows."""
    gap = int(np.ceil(settings.gap_s / samples.tr_s))
    n = len(samples.run)
    if settings.split == "given":
        outer = splits.given(samples.split)
    elif settings.split == "leave_one_run_out":
        outer = splits.leave_one_run_out(samples.run)
    elif settings.split == "contiguous":
        outer = splits.contiguous(n, folds=settings.folds, gap=gap)
    else:
        outer = splits.shuffled(n, folds=settings.folds, seed=seed)
    return outer, [_inner(train, samples.run, settings, gap) for train, _ in outer]


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
    """The design of each seed and layer in turn (or `which` of them), runs end to end in the order of `samples`."""
    first = next(iter(activations.values()))
    n_layers = first.sizes["layer"]
    for index in range(first.sizes.get("seed", 1) * n_layers) if which is None else which:
        seed, layer = divmod(index, n_layers)
        blocks = [
            _block(recording, activations[run], recordings[run], seed, layer)[samples.kept[run]] for run in samples.kept
        ]
        yield _diagonal(blocks) if first.attrs["private"] else np.concatenate(blocks)


def _block(recording: "Recording", activations: "xr.Dataset", ds: "xr.Dataset", seed: int, layer: int) -> np.ndarray:
    values = activations["activations"].isel(layer=layer)
    values = values.isel(seed=seed) if "seed" in values.dims else values
    onsets, times = activations["onset"].values.astype(float), ds["time"].values.astype(float)
    return recording.design(values.values.astype(np.float64), onsets, times, activations.attrs["sampled"])


def _diagonal(blocks: list[np.ndarray]) -> np.ndarray:
    """Columns that belong to one run: blocks down the diagonal, zeros elsewhere."""
    from scipy.linalg import block_diag

    return block_diag(*blocks)


def regions(
    targets: tuple[str, ...], table: "pd.DataFrame | None"
) -> tuple[tuple[str, ...], Bool[np.ndarray, "roi target"]]:
    """Names of regions and which targets they hold; the first, `all`, holds every one."""
    member: dict[str, np.ndarray] = {ALL: np.ones(len(targets), bool)}
    if table is not None:
        index = {target: i for i, target in enumerate(targets)}
        for target, roi in zip(table["target"], table["roi"], strict=True):
            if roi and target in index:
                member.setdefault(roi, np.zeros(len(targets), bool))[index[target]] = True
    return tuple(member), np.stack(list(member.values()))


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
    """Scores of one model on one person: (seed,) layer, fold, target.

    A target that is missing in any run is left out of the fit and comes back
    as missing. `agreement` is the share each tested sample has in a region's
    mean correlation (z of the response times z of the prediction), from which
    intervals and paired tests are made without keeping any prediction.
    `parts` keeps each layer as soon as it is done, and gives those that an
    interrupted run had done.
    """
    samples = gather(recordings, split, settings.trim_s, parts and parts.folder)
    targets = tuple(map(str, next(iter(recordings.values()))["target"].values))
    usable = _usable(samples.Y)
    rois, member = regions(targets, regions_table)
    outer, inner = folds_of(samples, settings, seed)
    first = next(iter(activations.values()))
    n_layers = first.sizes.get("seed", 1) * first.sizes["layer"]
    done = {} if parts is None else {i: part for i in range(n_layers) if (part := parts.read(i)) is not None}
    missing = [i for i in range(n_layers) if i not in done]
    fits = ridge.each_layer(
        designs(recording, activations, recordings, samples, missing),
        samples.Y,
        folds=outer,
        inner=inner,
        alphas=settings.grid(),
        select=settings.select,
        precision=settings.precision,
        device=settings.device,
        pools=member & usable,
    )
    for i, fit in zip(missing, fits, strict=True):
        done[i] = _kept(fit, usable)
        if parts is not None:
            parts.write(i, done[i])
    return _labelled([done[i] for i in range(n_layers)], first, samples, outer, targets, rois, member)


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
        name: np.where(usable, np.asarray(getattr(fit, name), np.float32), np.float32(np.nan)) for name in _BY_TARGET
    }
    return parts | {"agreement": np.asarray(fit.agreement, np.float32), "path": np.array(sorted(set(fit.path)))}


def _labelled(layers, first, samples, outer, targets, rois, member) -> "xr.Dataset":
    import xarray as xr

    lead = {d: first.sizes[d] for d in ("seed", "layer") if d in first.dims}

    def stacked(name: str) -> np.ndarray:
        values = np.stack([layer[name] for layer in layers])
        return values.reshape(*lead.values(), *values.shape[1:])

    fold = np.full(len(samples.run), -1)
    for k, (_, test) in enumerate(outer):
        fold[test] = k
    dims = dict.fromkeys(_BY_TARGET, (*lead, "fold", "target")) | {"agreement": (*lead, "roi", "sample")}
    ds = xr.Dataset(
        {name: (dim, stacked(name), {"units": "1", "long_name": _LONG[name]}) for name, dim in dims.items()}
    )
    ds["member"] = (
        ("roi", "target"),
        member.astype(np.uint8),
        {"units": "1", "long_name": "1 where the region holds the target"},
    )
    ds["test_runs"] = (
        "fold",
        [" ".join(dict.fromkeys(samples.run[test])) for _, test in outer],
        {"units": "", "long_name": "runs tested in the fold"},
    )
    labels = {"target": list(targets), "roi": list(rois), "layer": first["layer"].values}
    if "seed" in lead:
        labels["seed"] = first["seed"].values
    ds = ds.assign_coords(labels).assign_coords(
        run=("sample", samples.run.astype(str)), time=("sample", samples.time_s), fold_of=("sample", fold)
    )
    path = ", ".join(sorted({str(path) for layer in layers for path in layer["path"]}))
    return ds.assign_attrs(tr_s=samples.tr_s, ridge_path=path)


_BY_TARGET = ("r", "r2", "alpha", "inner", "flat", "edge_share")

_CELLS = 2**24  # values looked at together

_LONG = {
    "r": "Pearson correlation of response and prediction on the test samples, 0 for a constant prediction",
    "r2": "out-of-sample R2 against the training mean, unclipped",
    "alpha": "ridge penalty chosen on inner folds",
    "inner": "score of the chosen penalty on inner folds",
    "flat": "1 where the prediction is constant",
    "edge_share": "1 where the chosen penalty is the first or last of the grid",
    "agreement": "z(response) * z(prediction), mean over the region's targets; its mean over a fold's test samples is r",
}
