"""The scores of one model in one region: every network of it at every layer, and at the layer it chose for itself."""

import warnings
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int

if TYPE_CHECKING:
    import pandas as pd
    import xarray as xr

NESTED = "nested"
MEAN = "mean"  # the seed of the mean over seeds


class Scored(NamedTuple):
    """One network of a model in one region, at a layer or at the nested choice.

    `seed` names a twin or is "mean", `step` names a checkpoint; both are empty
    for a network that stands alone. `r`, `r2` per target (means over folds),
    `series` the contribution of every tested sample to the region's mean r.
    Of a nested choice, `optimism` is how much higher the best layer of the
    score on show stands, `stability` the share of folds that chose the layer
    chosen most often, and `depth` where the chosen layers lie on average
    (0: the first of those fitted, 1: the last); missing where there is nothing to choose, or one fold alone that agrees with itself.
    """

    seed: str
    step: str
    layer: str
    r: Float[np.ndarray, " target"]
    r2: Float[np.ndarray, " target"]
    flat: Bool[np.ndarray, " target"]
    series: Float[np.ndarray, " sample"]
    chosen: str
    optimism: float = np.nan
    stability: float = np.nan
    depth: float = np.nan


def choose_layer(inner: Float[np.ndarray, "layer fold target"]) -> Int[np.ndarray, " fold"]:
    """The layer with the best mean inner-fold score over targets, fold by fold.

    Inner scores never see a fold's test samples, so the score at this layer
    is free of the optimism of picking the best of many.
    """
    return np.argmax(np.nan_to_num(mean(inner, axis=2), nan=-np.inf), axis=0)


def at_last_step(layers: "pd.DataFrame") -> "pd.DataFrame":
    """A layer table with the last checkpoint only of each model that has some.

    The last is the one that stands last: tables keep the order of training.
    """
    if "step" not in layers or layers.empty:
        return layers
    steps = layers["step"].astype(object).fillna("")
    return layers[steps == steps.groupby(layers["model"], sort=False).transform("last")]


def scored(ds: "xr.Dataset", roi: str, tested: Bool[np.ndarray, " sample"]) -> list[Scored]:
    """Every network and layer of a model in one region and its nested choice; then the mean over seeds, never over steps.

    Seeds are draws of one thing and have a mean; steps of training are not.
    """
    if "step" in ds.dims:
        steps = ds["step"].values.astype(str)
        return [s for i, step in enumerate(steps) for s in _layers(ds.isel(step=i), roi, tested, step=str(step))]
    if "seed" not in ds.dims:
        return _layers(ds, roi, tested)
    seeds = ds["seed"].values.tolist()
    found = [s for i, seed in enumerate(seeds) for s in _layers(ds.isel(seed=i), roi, tested, seed=str(seed))]
    layers = dict.fromkeys(s.layer for s in found)
    return found + [_over_seeds([s for s in found if s.layer == layer]) for layer in layers]


def representative(found: list[Scored]) -> Scored:
    """What stands for a model in a contrast: its nested choice, of seeds their mean, of checkpoints the last."""
    return [s for s in found if s.layer == NESTED][-1]


def of_seeds(found: list[Scored]) -> Float[np.ndarray, " seed"]:
    """The nested r of each seed; empty for a model without seeds."""
    nested = [s for s in found if s.layer == NESTED and s.seed not in ("", MEAN)]
    return np.array([float(mean(s.r, 0)) for s in nested])


def mean(values: np.ndarray, axis: int) -> np.ndarray | np.floating:
    """Mean without the missing; missing where there is nothing."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # "mean of empty slice" is the missing value that is wanted
        return np.nanmean(values, axis=axis)


def _layers(ds: "xr.Dataset", roi: str, tested: np.ndarray, *, seed: str = "", step: str = "") -> list[Scored]:
    """One network: each of its layers, then the nested choice."""
    member = ds["member"].sel(roi=roi).values.astype(bool)
    fold = ds["fold_of"].values[tested]
    # a fold weighs as much as any other, however many samples it tests
    weight = len(fold) / (len(np.unique(fold)) * np.bincount(fold)[fold])
    series = ds["agreement"].sel(roi=roi).values[:, tested].astype(float) * weight
    r, r2, flat = (ds[name].values[..., member].astype(float) for name in ("r", "r2", "flat"))
    names = [str(layer) for layer in ds["layer"].values]
    best = choose_layer(ds["inner"].values[..., member].astype(float))
    folds = np.arange(len(best))
    chosen = " ".join(dict.fromkeys(names[i] for i in best))
    found = [
        Scored(seed, step, names[i], mean(r[i], 0), mean(r2[i], 0), (flat[i] > 0).any(axis=0), series[i], "")
        for i in range(len(names))
    ]
    nested = Scored(
        seed, step, NESTED, mean(r[best, folds], 0), mean(r2[best, folds], 0), (flat[best, folds] > 0).any(axis=0),
        series[best[fold], np.arange(len(fold))], chosen,
    )  # fmt: skip
    return [*found, nested._replace(**_choice(found, nested, best))]


def _choice(found: list[Scored], nested: Scored, best: Int[np.ndarray, " fold"]) -> dict[str, float]:
    """What the choice of a layer cost, how firm it was and how deep it lies."""
    if len(found) < 2:
        return {}
    shown = [float(mean(s.r, 0)) for s in found]
    highest = max((r for r in shown if np.isfinite(r)), default=np.nan)
    return {
        "optimism": highest - float(mean(nested.r, 0)),
        "stability": float(np.bincount(best).max() / len(best)) if len(best) > 1 else np.nan,
        "depth": float(best.mean() / (len(found) - 1)),
    }


def _over_seeds(seeds: list[Scored]) -> Scored:
    r, r2, series = (np.mean([getattr(s, name) for s in seeds], axis=0) for name in ("r", "r2", "series"))
    flat = np.any([s.flat for s in seeds], axis=0)
    chosen = " ".join(dict.fromkeys(" ".join(s.chosen for s in seeds).split()))
    choices = (float(np.mean([getattr(s, name) for s in seeds])) for name in ("optimism", "stability", "depth"))
    return Scored(MEAN, "", seeds[0].layer, r, r2, flat, series, chosen, *choices)
