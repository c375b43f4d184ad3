"""Trained, untrained, control and ceiling in one table, with honest errors."""

import warnings
from collections.abc import Mapping
from itertools import product
from typing import TYPE_CHECKING, ClassVar, NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int
from pydantic import Field

from pipeline import statistics
from pipeline.settings import Label, Settings

if TYPE_CHECKING:
    import pandas as pd
    import xarray as xr

NESTED = "nested"
SHORTEST_BLOCK = 10  # samples; 20 s at a TR of 2 s, the usual choice for BOLD; longer where the data ask for it
FEWEST_RUNS = 6  # below six units a two-sided exact sign-flip cannot reach .05
FEWEST_SUBJECTS = 3

LAYER_COLUMNS = [
    "subject",
    "recording",
    "model",
    "weights",
    "seed",
    "layer",
    "roi",
    "n_targets",
    "r",
    "r_low",
    "r_high",
    "r2",
    "ceiling",
    "ceiling_kind",
    "fraction",
    "n_missing",
    "n_flat",
    "chosen",
    "n_ceiling",
    "interval_unit",
]
COMPARISON_COLUMNS = [
    "subject",
    "recording",
    "roi",
    "a",
    "b",
    "layer_a",
    "layer_b",
    "r_a",
    "r_b",
    "difference",
    "low",
    "high",
    "p",
    "q",
    "unit",
    "n_units",
    "test",
    "significant",
]


class Comparison(Settings):
    """Which models are held against each other, and how sure one has to be."""

    version: ClassVar[int] = 1
    contrasts: tuple[tuple[Label, Label], ...] | None = Field(
        None, description="pairs of models [a, b]; by default every trained model against each other model"
    )
    permutations: int = Field(
        1000,
        ge=100,
        description="sign-flips of a test and draws of an interval; the smallest p is one over this plus one",
    )
    fdr: float = Field(
        0.05,
        gt=0,
        lt=1,
        description="false discovery rate at which a difference is called significant (Benjamini-Hochberg)",
    )
    rois: tuple[str, ...] | None = Field(None, description="regions to tell about; all of them by default")


class Scored(NamedTuple):
    """One way of scoring a model in one region: a layer, or the nested choice.

    `r`, `r2` per target (means over folds), `series` the contribution of every
    tested sample to the region's mean r.
    """

    seed: str
    layer: str
    r: Float[np.ndarray, " target"]
    r2: Float[np.ndarray, " target"]
    flat: Bool[np.ndarray, " target"]
    series: Float[np.ndarray, " sample"]
    chosen: str


class Clock(NamedTuple):
    """Which fold and run each tested sample belongs to, and how long a block of them must be."""

    fold: Int[np.ndarray, " sample"]
    run: np.ndarray
    block: int


def choose_layer(inner: Float[np.ndarray, "layer fold target"]) -> Int[np.ndarray, " fold"]:
    """The layer with the best mean inner-fold score over targets, fold by fold.

    Inner scores never see a fold's test samples, so the score at this layer
    is free of the optimism of picking the best of many.
    """
    return np.argmax(np.nan_to_num(_mean(inner, axis=2), nan=-np.inf), axis=0)


def compare(
    subject: str,
    recording: str,
    scores: Mapping[str, "xr.Dataset"],
    weights: Mapping[str, str],
    ceiling: "xr.Dataset",
    settings: Comparison,
    seed: int = 0,
) -> tuple["pd.DataFrame", "pd.DataFrame"]:
    """The layer table and the contrasts of one person's recording.

    Parameters
    ----------
    scores : model -> what `encoding.encode` returned.
    weights : model -> "trained", "random", or "" for a control.
    ceiling : what `normalisation.estimate` returned.
    """
    import pandas as pd

    first = next(iter(scores.values()))
    tested = first["fold_of"].values >= 0
    clock = Clock(first["fold_of"].values[tested], first["run"].values[tested].astype(str), 1)
    clock = clock._replace(block=_block(scores, tested))
    rows, contrasts = [], []
    for roi in _rois(first, settings):
        found = {model: _scored(ds, roi, tested) for model, ds in scores.items()}
        for model in scores:
            rows += _layer_rows(model, weights[model], found[model], ceiling, first, roi, clock, settings, seed)
        for a, b in pairs(settings, weights):
            contrasts.append(_contrast(a, b, roi, found, clock, settings, seed))
    for row in rows + contrasts:
        row |= {"subject": subject, "recording": recording}
    return pd.DataFrame(rows, columns=LAYER_COLUMNS), _with_q(
        pd.DataFrame(contrasts, columns=COMPARISON_COLUMNS), settings.fdr
    )


def pairs(settings: Comparison, weights: Mapping[str, str]) -> tuple[tuple[str, str], ...]:
    """The contrasts asked for, or every trained model against each other model."""
    if settings.contrasts is not None:
        return tuple(pair for pair in settings.contrasts if set(pair) <= set(weights))
    trained = [m for m, w in weights.items() if w == "trained"]
    return tuple((a, b) for a, b in product(trained, weights) if weights[b] != "trained")


def _rois(first: "xr.Dataset", settings: Comparison) -> list[str]:
    known = first["roi"].values.astype(str).tolist()
    return known if settings.rois is None else [r for r in known if r in settings.rois or r == "all"]


def _scored(ds: "xr.Dataset", roi: str, tested: np.ndarray) -> list[Scored]:
    """Every seed and layer of a model in one region, then the nested choice, then the mean over seeds."""
    seeds = ds["seed"].values.tolist() if "seed" in ds.dims else [""]
    found = [
        s
        for i, seed in enumerate(seeds)
        for s in _of_seed(ds.isel(seed=i) if "seed" in ds.dims else ds, str(seed), roi, tested)
    ]
    layers = list(dict.fromkeys(s.layer for s in found))
    return found + (
        [_over_seeds([s for s in found if s.layer == layer]) for layer in layers] if "seed" in ds.dims else []
    )


def _of_seed(ds: "xr.Dataset", seed: str, roi: str, tested: np.ndarray) -> list[Scored]:
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
        Scored(seed, names[i], _mean(r[i], 0), _mean(r2[i], 0), (flat[i] > 0).any(axis=0), series[i], "")
        for i in range(len(names))
    ]
    nested = Scored(
        seed, NESTED, _mean(r[best, folds], 0), _mean(r2[best, folds], 0), (flat[best, folds] > 0).any(axis=0),
        series[best[fold], np.arange(len(fold))], chosen,
    )  # fmt: skip
    return [*found, nested]


def _over_seeds(seeds: list[Scored]) -> Scored:
    r, r2, series = (np.mean([getattr(s, name) for s in seeds], axis=0) for name in ("r", "r2", "series"))
    flat = np.any([s.flat for s in seeds], axis=0)
    return Scored(
        "mean", seeds[0].layer, r, r2, flat, series, " ".join(dict.fromkeys(" ".join(s.chosen for s in seeds).split()))
    )


def _layer_rows(model, weights, found, ceiling, first, roi, clock, settings, seed) -> list[dict]:
    interval = statistics.bootstrap(
        np.stack([s.series for s in found], axis=1),
        run=clock.run,
        block=clock.block,
        n=settings.permutations,
        seed=seed,
    )
    member = first["member"].sel(roi=roi).values.astype(bool)
    kind, value, valid = _ceiling_of(ceiling, member)
    rows = []
    for i, s in enumerate(found):
        has = valid & np.isfinite(s.r)
        top = float(value[has].mean()) if has.any() else np.nan
        rows.append(
            {
                "model": model, "weights": weights, "seed": s.seed, "layer": s.layer, "roi": roi, "n_targets": int(member.sum()),
                "r": _mean(s.r, 0), "r_low": interval.low[i], "r_high": interval.high[i], "r2": _mean(s.r2, 0),
                "ceiling": top, "ceiling_kind": kind if has.any() else "", "fraction": _mean(s.r[has], 0) / top if has.any() else np.nan,
                "n_missing": int(np.isnan(s.r).sum()), "n_flat": int(s.flat.sum()), "chosen": s.chosen, "n_ceiling": int(has.sum()), "interval_unit": f"blocks of {clock.block} samples",
            }
        )  # fmt: skip
    return rows


def _ceiling_of(ceiling: "xr.Dataset", member: np.ndarray) -> tuple[str, np.ndarray, np.ndarray]:
    """The first estimator asked for that is valid somewhere in the region."""
    kinds = [str(name) for name in ceiling.data_vars if f"{name}_valid" in ceiling]
    for kind in kinds:
        valid = ceiling[f"{kind}_valid"].values[member] > 0
        if valid.any():
            return kind, ceiling[kind].values[member].astype(float), valid
    return "", np.full(member.sum(), np.nan), np.zeros(member.sum(), bool)


def _contrast(
    a: str, b: str, roi: str, found: Mapping[str, list[Scored]], clock: Clock, settings: Comparison, seed: int
) -> dict:
    """Nested score of a minus nested score of b, with a paired test over runs, or over blocks where runs are few."""
    one, other = (_nested(found[model]) for model in (a, b))
    difference = one.series - other.series
    values, unit = _units(difference, clock)
    interval = statistics.bootstrap(difference, run=clock.run, block=clock.block, n=settings.permutations, seed=seed)
    tested = statistics.sign_flip(values, n=settings.permutations, seed=seed)
    r_a, r_b = _mean(one.r, 0), _mean(other.r, 0)
    return {
        "roi": roi, "a": a, "b": b, "layer_a": one.chosen, "layer_b": other.chosen, "r_a": r_a, "r_b": r_b,
        "difference": r_a - r_b, "low": float(interval.low), "high": float(interval.high), "p": float(tested.p),
        "unit": unit, "n_units": tested.n_units, "test": "sign-flip, two-sided",
    }  # fmt: skip


def _nested(found: list[Scored]) -> Scored:
    """The nested choice; of a model with seeds, their mean."""
    return [s for s in found if s.layer == NESTED][-1]


def _units(series: np.ndarray, clock: Clock) -> tuple[np.ndarray, str]:
    runs = list(dict.fromkeys(clock.run))
    if len(runs) >= FEWEST_RUNS:
        # the sum: samples are weighted so that each fold counts the same, however long its run
        return np.array([series[clock.run == run].sum() for run in runs]), "runs"
    sums = []
    for run in runs:
        part = series[clock.run == run]
        sums += [chunk.sum() for chunk in np.array_split(part, max(len(part) // clock.block, 1))]
    return np.array(sums), f"blocks of {clock.block} samples"


def _block(scores: Mapping[str, "xr.Dataset"], tested: np.ndarray) -> int:
    """One block length for every interval and test of a recording, from the data's own autocorrelation."""
    series = [ds["agreement"].sel(roi="all").values[..., tested].reshape(-1, tested.sum()) for ds in scores.values()]
    lengths = [statistics.block_length(s.astype(float)) for rows in series for s in rows if np.ptp(s) > 0]
    return max([SHORTEST_BLOCK, round(float(np.median(lengths)))] if lengths else [SHORTEST_BLOCK])


def _with_q(frame: "pd.DataFrame", fdr: float) -> "pd.DataFrame":
    if frame.empty:
        return frame
    q = statistics.fdr(frame["p"].to_numpy(float))
    return frame.assign(q=q, significant=np.where(np.isnan(q), "n/a", np.where(q <= fdr, "yes", "no")))


def _mean(values: np.ndarray, axis: int) -> np.ndarray | np.floating:
    """Mean without the missing; missing where there is nothing."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # "mean of empty slice" is the missing value that is wanted
        return np.nanmean(values, axis=axis)


def group(
    layers: "pd.DataFrame", comparisons: "pd.DataFrame", settings: Comparison, seed: int = 0
) -> tuple["pd.DataFrame", "pd.DataFrame"]:
    """Means over people and tests over people; no interval and no test below three."""
    import pandas as pd

    keys = ["recording", "model", "weights", "seed", "layer", "roi"]
    means = ["n_targets", "r2", "ceiling", "fraction", "n_missing", "n_flat", "n_ceiling"]
    rows = [
        dict(zip(keys, key, strict=True))
        | _over_people(part["r"].to_numpy(float), settings, seed)
        | {name: part[name].mean() for name in means}
        for key, part in layers.groupby(keys, sort=False, dropna=False)
    ]
    contrasts = [
        dict(zip(("recording", "roi", "a", "b"), key, strict=True)) | _tested_over_people(part, settings, seed)
        for key, part in comparisons.groupby(["recording", "roi", "a", "b"], sort=False)
    ]
    own = ("subject", "layer_a", "layer_b", "significant")  # what a group has none of, or has last
    columns = [*(c for c in COMPARISON_COLUMNS if c not in own), "smallest_p", "significant"]
    table = pd.DataFrame(rows, columns=[*keys, "n_subjects", "r", "r_low", "r_high", *means])
    return table, _with_q(pd.DataFrame(contrasts, columns=columns), settings.fdr)


def _over_people(values: np.ndarray, settings: Comparison, seed: int) -> dict:
    values = values[np.isfinite(values)]
    told = {"n_subjects": len(values), "r": values.mean() if len(values) else np.nan, "r_low": np.nan, "r_high": np.nan}
    if len(values) >= FEWEST_SUBJECTS:
        interval = statistics.bootstrap(values, block=1, n=settings.permutations, seed=seed)
        told |= {"r_low": float(interval.low), "r_high": float(interval.high)}
    return told


def _tested_over_people(part: "pd.DataFrame", settings: Comparison, seed: int) -> dict:
    values = part["difference"].to_numpy(float)
    values = values[np.isfinite(values)]
    told = {
        "r_a": part["r_a"].mean(), "r_b": part["r_b"].mean(), "difference": values.mean() if len(values) else np.nan,
        "unit": "subjects", "n_units": len(values), "smallest_p": 2.0 ** (1 - len(values)) if len(values) else np.nan,
        "test": "sign-flip, two-sided" if len(values) >= FEWEST_SUBJECTS else f"none: fewer than {FEWEST_SUBJECTS} subjects",
    }  # fmt: skip
    if len(values) < FEWEST_SUBJECTS:
        return told
    interval = statistics.bootstrap(values, block=1, n=settings.permutations, seed=seed)
    return told | {
        "low": float(interval.low),
        "high": float(interval.high),
        "p": float(statistics.sign_flip(values, n=settings.permutations, seed=seed).p),
    }
