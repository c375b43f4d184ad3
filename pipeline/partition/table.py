"""The parts of one person's recording: values, intervals, and what rolled features add."""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from jaxtyping import Float

from pipeline import statistics
from pipeline.joint import inner_scores
from pipeline.partition.fits import Groups, Partition, clock
from pipeline.ridge.partition import Explained, Names, omega, omega_unclipped, set_partition, unions

if TYPE_CHECKING:
    import pandas as pd
    import xarray as xr

COLUMNS = (
    "subject", "recording", "model", "layer", "roi", "part", "value", "low", "high", "unit", "null", "p", "n_shifts",
    "n_targets", "of_targets", "n_blocks",
)  # fmt: skip
FEWEST_SHIFTS = 19  # below these no p can reach .05


def table(
    found: Partition,
    scores: "xr.Dataset",
    subject: str,
    recording: str,
    rois: Sequence[str] | None = None,
    draws: int = 1000,
    seed: int = 0,
) -> "pd.DataFrame":
    """One row per region and part, with a 95 % interval over resampled blocks of tested samples.

    `joint`, `alone:<group or control>` and `union:<a>+<b>` are the R2 and r of
    fits; `unique:` and `shared:` parts sum to the joint R2, and so do the
    `product:` shares; the `r_share:` sum to the joint r. `omega:<group>` is
    the percentage of what the model explains that the group accounts for, and
    `omega_unclipped:` the same without its limits. All are means over the
    region's fitted targets, then over folds. `null` is the mean of a unique
    part over shifts of its features, `p` the share of shifts that reach it.

    Parameters
    ----------
    scores : of the model; they say which regions hold which targets.
    rois : regions to tell about; all of them by default.
    """
    import pandas as pd

    known, block = np.isfinite(inner_scores(scores)).any(axis=(0, 1)), clock(scores).block
    member, names = scores["member"].values.astype(bool), scores["roi"].values.astype(str).tolist()
    whose = {
        "subject": subject, "recording": recording, "model": next(iter(found.groups.values()))[0],
        "layer": " ".join(dict.fromkeys(found.layers)),
    }  # fmt: skip
    rows = []
    for i, roi in enumerate(names):
        if rois is None or roi in rois or roi == "all":
            told = whose | {"roi": roi, "of_targets": int(known[member[i]].sum())}
            rows += [told | row for row in _region(found, i, scores["run"].values.astype(str), block, draws, seed)]
    return pd.DataFrame(rows, columns=list(COLUMNS))


class _Series(NamedTuple):
    """Columns that are summed over a region's tested samples, in the folds that have a target there."""

    r2: dict[Names, Any]
    r: dict[Names, Any]
    product: dict[str, Any]
    r_share: dict[str, Any]


def _region(found: Partition, i: int, run: np.ndarray, block: int, draws: int, seed: int) -> list[dict]:
    every = frozenset(found.groups)
    folds = [k for k, one in enumerate(found.fits[every]) if one.n[i] > 0]
    if not folds:
        nothing = {"n_targets": 0, "n_blocks": 0}
        points = _parts(_Series(*({key: np.nan for key in keys} for keys in _keys(found))), found.groups)
        return [{"part": part, "unit": unit, "value": np.nan} | nothing for (part, unit) in points]
    series, null = _series(found, i, folds)
    rows = np.concatenate([found.rows[k] for k in folds])
    points = _parts(_made(series, lambda values: values.sum(axis=0)), found.groups)
    own = {"run": run[rows], "block": block, "n": draws, "seed": seed}
    at_random = _parts(_resampled(series, null, own), found.groups)
    about = {
        "n_targets": round(float(np.mean([found.fits[every][k].n[i] for k in folds]))),
        "n_blocks": statistics.n_blocks(len(rows), run=own["run"], block=block),
    }
    return [
        {"part": part, "unit": unit, "value": float(value)} | _ends(at_random[part, unit]) | _by_chance(found, i, folds, part, value) | about
        for (part, unit), value in points.items()
    ]  # fmt: skip


def _keys(found: Partition) -> tuple[list, list, list, list]:
    joint = found.fits[frozenset(found.groups)]
    bands = list(joint[0].names)
    return [*found.fits], [*found.fits], bands, bands


def _series(found: Partition, i: int, folds: list[int]) -> tuple[_Series, Float[np.ndarray, " sample"]]:
    """A region's columns, each fold with the same weight; and what the training mean leaves unexplained."""

    def along(of: list[Explained], name: str) -> np.ndarray:
        return np.concatenate([getattr(of[k], name)[..., i, :] for k in folds], axis=-1) / len(folds)

    joint = found.fits[frozenset(found.groups)]
    bands = joint[0].names
    return _Series(
        {key: along(of, "r2").sum(axis=0) for key, of in found.fits.items()},
        {key: along(of, "r").sum(axis=0) for key, of in found.fits.items()},
        dict(zip(bands, along(joint, "r2"), strict=True)),
        dict(zip(bands, along(joint, "r"), strict=True)),
    ), along(joint, "null")


def _made(series: _Series, of: Callable[[np.ndarray], Any]) -> _Series:
    return _Series(*({key: of(values) for key, values in part.items()} for part in series))


def _resampled(series: _Series, null: np.ndarray, options: dict) -> _Series:
    """The same in every draw of blocks; R2 is a ratio of sums, r a sum."""
    found = []
    for part, over in zip(series, (null, None, null, None), strict=True):
        columns = np.stack([*part.values()], axis=1)
        drawn = statistics.resampled(columns if over is not None else columns * len(columns), over=over, **options)
        found.append(dict(zip(part, drawn.T, strict=True)))
    return _Series(*found)


def _parts(of: _Series, groups: Groups) -> dict[tuple[str, str], Any]:
    """Every part that is told, by its name and unit, from numbers or from draws of them."""
    every, (model, *controls) = frozenset(groups), groups
    found = {("joint", "R2"): of.r2[every], ("joint", "r"): of.r[every]}
    for key in of.r2:
        if key != every:
            name = f"{'alone' if len(key) == 1 else 'union'}:{_joined(key, groups)}"
            found |= {(name, "R2"): of.r2[key], (name, "r"): of.r[key]}
    for key, value in set_partition({key: of.r2[key] for key in unions(tuple(groups))}).items():
        found[f"{'unique' if len(key) == 1 else 'shared'}:{_joined(key, groups)}", "R2"] = value
    found |= {(f"product:{label}", "R2"): value for label, value in of.product.items()}
    found |= {(f"r_share:{label}", "r"): value for label, value in of.r_share.items()}
    simple = [frozenset({name}) for name in controls] + ([frozenset(controls)] if len(controls) > 1 else [])
    for key in simple:
        three = of.r2[frozenset({model})], of.r2[key], of.r2[key | {model}]
        found[f"omega:{_joined(key, groups)}", "%"] = omega(*three)
        found[f"omega_unclipped:{_joined(key, groups)}", "%"] = omega_unclipped(*three)
    return found


def _joined(key: Names, groups: Groups) -> str:
    return "+".join(sorted(key, key=lambda name: [*groups, name].index(name)))


def _ends(draws: np.ndarray) -> dict[str, float]:
    """NaN where there is one block, or a draw has no value."""
    known = np.isfinite(draws).all()
    low, high = np.quantile(draws, [0.025, 0.975]) if known else (np.nan, np.nan)
    return {"low": float(low), "high": float(high)}


def _by_chance(found: Partition, i: int, folds: list[int], part: str, value: Any) -> dict[str, Any]:
    """What the features of a unique part add when they are rolled: their mean, and a p where shifts are many enough."""
    name = part.removeprefix("unique:")
    if name == part:
        return {}
    rest = found.fits[frozenset(found.groups) - {name}]
    without = np.array([rest[k].r2[:, i].sum() for k in folds])
    added = (found.shifted[name][:, folds, i] - without).mean(axis=1)
    told = {"n_shifts": len(added), "null": float(added.mean()) if len(added) else np.nan}
    return told | ({"p": (int((added >= value).sum()) + 1) / (len(added) + 1)} if len(added) >= FEWEST_SHIFTS else {})
