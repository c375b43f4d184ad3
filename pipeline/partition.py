"""What a model explains that controls do not, what they share, and what is the controls' alone: one person's table."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from jaxtyping import Float

from pipeline import statistics
from pipeline.comparison.contrasts import Clock, clock_of
from pipeline.comparison.settings import FEWEST_SUBJECTS
from pipeline.encoding import Encoding
from pipeline.joint import Activations, Joint, inner_scores, lay
from pipeline.ridge.partition import Explained, Names, explained, omega, omega_unclipped, set_partition, unions

if TYPE_CHECKING:
    import pandas as pd
    import xarray as xr

    from pipeline.recordings import Recording

COLUMNS = (
    "subject", "recording", "model", "layer", "roi", "part", "value", "low", "high", "unit", "null", "p", "n_shifts",
    "n_targets", "of_targets", "n_blocks",
)  # fmt: skip
FEWEST_SHIFTS = 19  # below these no p can reach .05

Groups = Mapping[str, tuple[str, ...]]  # name -> labels of the features in it; the model's group stands first


class Partition(NamedTuple):
    """What every union of groups explains of one person's tested samples.

    fits : of each union of groups, and of each control alone, one per fold.
    shifted : group -> joint R2 with this group's features rolled around their runs, (shift, fold, pool).
    layers : the model's layer in each fold.
    rows : the tested samples of each fold.
    """

    groups: Groups
    fits: dict[Names, list[Explained]]
    shifted: dict[str, Float[np.ndarray, "shift fold pool"]]
    layers: tuple[str, ...]
    rows: list[np.ndarray]


def partition(
    recording: "Recording",
    model: Activations,
    controls: Mapping[str, Activations],
    groups: Groups,
    recordings: Mapping[str, "xr.Dataset"],
    split: Mapping[str, str],
    scores: "xr.Dataset",
    settings: Encoding,
    *,
    shifts: int = 3,
    seed: int = 0,
    folder: Path | None = None,
) -> Partition:
    """Banded ridge from every union of the groups, each model and control with a penalty of its own.

    Each union is fitted anew and chooses its own penalties inside the
    training rows. What a group seems to add by chance, and by the number and
    smoothness of its features, is measured by fitting all of them once more
    with this group's features rolled around each run, by shifts that differ
    between runs and are at least as long as the blocks of an interval.

    Parameters
    ----------
    model, controls, scores, folder : as in `joint.lay`, which chooses the model's layer and the targets.
    groups : two or three; the first holds the model's label, which is none of the controls'.
    shifts : how often features are rolled; 0 for no such measure.
    seed : of the weightings and the shifts that are drawn.
    """
    laid = lay(recording, model, controls, recordings, split, scores, settings, seed, folder)
    member = scores["member"].values.astype(bool)
    single = [frozenset({label}) for labels in groups.values() for label in labels if len(labels) > 1]
    keys = [*unions(tuple(groups)), *single]
    fits: dict[Names, list[Explained]] = {key: [] for key in keys}
    shifted = {name: np.empty((shifts, len(laid.outer), len(member))) for name in groups}
    least = _shortest_shift(laid, _clock(scores).block)
    for k in range(len(laid.outer)):
        spaces = {next(iter(groups.values()))[0]: laid.model(k)} | laid.controls
        for key in keys:
            fits[key].append(_fitted(laid, k, member, _of(key, groups, spaces)))
        for j, (name, labels) in enumerate(groups.items()):
            for i in range(shifts):
                rolled = _rolled(spaces, labels, laid.samples.run, least, [seed, i, j])
                one = _fitted(laid, k, member, _of(frozenset(groups), groups, rolled))
                shifted[name][i, k] = one.r2.sum(axis=(0, 2))
    return Partition(groups, fits, shifted, laid.layers, [test for _, test in laid.outer])


def _clock(scores: "xr.Dataset") -> Clock:
    """The block length of every interval of the recording's model."""
    return clock_of({"": scores}, scores["fold_of"].values >= 0)


def _shortest_shift(laid: Joint, block: int) -> int:
    """As long as a block, and in runs of less than two blocks half of the shortest."""
    _, sizes = np.unique(laid.samples.run, return_counts=True)
    return max(min(block, int(sizes.min()) // 2), 1)


def _of(key: Names, groups: Groups, spaces: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """The features of some groups, or of one control."""
    wanted = {label for name in key for label in groups.get(name, (name,))}
    return {label: X for label, X in spaces.items() if label in wanted}


def _rolled(
    spaces: Mapping[str, np.ndarray], labels: Sequence[str], run: np.ndarray, least: int, seed: list[int]
) -> dict[str, np.ndarray]:
    """Some features rolled around each run; those of one group together."""
    found = dict(spaces)
    for label in labels:
        rng = np.random.default_rng(seed)
        found[label] = statistics.rolled(spaces[label], run=run, least=least, rng=rng)
    return found


def _fitted(laid: Joint, k: int, member: np.ndarray, spaces: Mapping[str, np.ndarray]) -> Explained:
    columns, y = laid.targets(k)
    return explained(spaces, y, fold=laid.outer[k], inner=laid.inner[k], pools=member[:, columns], **laid.options)


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

    known, clock = np.isfinite(inner_scores(scores)).any(axis=(0, 1)), _clock(scores)
    member, names = scores["member"].values.astype(bool), scores["roi"].values.astype(str).tolist()
    whose = {
        "subject": subject, "recording": recording, "model": next(iter(found.groups.values()))[0],
        "layer": " ".join(dict.fromkeys(found.layers)),
    }  # fmt: skip
    rows = []
    for i, roi in enumerate(names):
        if rois is None or roi in rois or roi == "all":
            told = whose | {"roi": roi, "of_targets": int(known[member[i]].sum())}
            rows += [
                told | row for row in _region(found, i, scores["run"].values.astype(str), clock.block, draws, seed)
            ]
    return pd.DataFrame(rows, columns=list(COLUMNS))


def group(tables: "pd.DataFrame", draws: int = 1000, seed: int = 0) -> "pd.DataFrame":
    """Each part's mean over people, with a 95 % interval over people; none below three.

    Parameters
    ----------
    tables : those of every person, one below the other. A person without a
        value is in no mean and not counted.
    """
    import pandas as pd

    key = ["recording", "model", "roi", "part", "unit"]
    rows = [
        dict(zip(key, of, strict=True)) | _over_people(part, draws, seed)
        for of, part in tables.groupby(key, sort=False)
    ]
    return pd.DataFrame(rows, columns=[*key[:-1], "value", "low", "high", "unit", "null", "n_subjects", "n_targets"])


def _over_people(part: "pd.DataFrame", draws: int, seed: int) -> dict[str, Any]:
    known = part[np.isfinite(part["value"].to_numpy(float))]
    values = known["value"].to_numpy(float)
    told = {"value": values.mean() if len(values) else np.nan, "n_subjects": len(values)}
    told |= {name: known[name].mean() for name in ("null", "n_targets")}
    if len(values) < FEWEST_SUBJECTS:
        return told
    interval = statistics.bootstrap(values, block=1, n=draws, seed=seed)
    return told | {"low": float(interval.low), "high": float(interval.high)}


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
