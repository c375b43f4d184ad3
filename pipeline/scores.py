"""Scores as labelled arrays: the axes of what was fitted, and what is known of the networks behind it."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Bool

from pipeline.columns import Columns
from pipeline.samples import Samples

if TYPE_CHECKING:
    import xarray as xr

BY_TARGET = ("r", "r2", "alpha", "inner", "flat", "edge_share")
LEADING = ("seed", "step")  # axes of several networks under one label: twins, or one network while it is trained


def leading(ds: "xr.Dataset") -> str | None:
    """The axis along which the networks of one model stand, None where there is one network only.

    Raises
    ------
    ValueError : there are both: twins of checkpoints would need a name for each pair.
    """
    found = [axis for axis in LEADING if axis in ds.dims]
    if len(found) > 1:
        sizes = ", ".join(f"{axis} ({ds.sizes[axis]})" for axis in found)
        raise ValueError(f"activations have the axes {sizes}; a model has seeds or steps, not both: make it two models")
    return found[0] if found else None


def labelled(
    fits: Sequence[Mapping[str, np.ndarray]],
    first: "xr.Dataset",
    samples: Samples,
    outer: list[tuple[np.ndarray, np.ndarray]],
    targets: tuple[str, ...],
    rois: tuple[str, ...],
    member: Bool[np.ndarray, "roi target"],
) -> "xr.Dataset":
    """Every fit of one model in one dataset.

    Parameters
    ----------
    fits : the arrays of each network and layer, networks outermost.
    first : activations of the first run, whose labels and facts the scores inherit.
    """
    import xarray as xr

    ds = xr.Dataset(_stacked(fits, first))
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
    axes = {axis: first[axis].values for axis in (leading(first), "layer") if axis}
    ds = ds.assign_coords(
        {"target": list(targets), "roi": list(rois), "column": list(Columns._fields)}
        | axes
        | _of_samples(samples, outer)
    )
    path = ", ".join(sorted({str(path) for fit in fits for path in fit["path"]}))
    return ds.assign_attrs(tr_s=samples.tr_s, ridge_path=path, **_known(first))


def _stacked(fits: Sequence[Mapping[str, np.ndarray]], first: "xr.Dataset") -> dict[str, tuple]:
    lead = {axis: first.sizes[axis] for axis in (leading(first), "layer") if axis}
    dims = dict.fromkeys(BY_TARGET, (*lead, "fold", "target")) | {
        "agreement": (*lead, "roi", "sample"),
        "columns": (*lead, "column"),
    }
    found = {}
    for name, dim in dims.items():
        values = np.stack([fit[name] for fit in fits])
        found[name] = (
            dim,
            values.reshape(*lead.values(), *values.shape[1:]),
            {"units": "1", "long_name": _LONG[name]},
        )
    return found


def _of_samples(samples: Samples, outer: list[tuple[np.ndarray, np.ndarray]]) -> dict[str, tuple[str, np.ndarray]]:
    fold = np.full(len(samples.run), -1)
    for k, (_, test) in enumerate(outer):
        fold[test] = k
    return {
        "run": ("sample", samples.run.astype(str)),
        "time": ("sample", samples.time_s),
        "fold_of": ("sample", fold),
    }


def _known(activations: "xr.Dataset") -> dict[str, Any]:
    """Loss of each network on the stimulus text, and that of one that knows nothing (ln of the vocabulary); nats per token."""
    return {
        name: value
        for name, value in activations.attrs.items()
        if name == "ln_vocabulary" or str(name).startswith("loss")
    }


_LONG = {
    "r": "Pearson correlation of response and prediction on the test samples, 0 for a constant prediction",
    "r2": "out-of-sample R2 against the training mean, unclipped",
    "alpha": "ridge penalty chosen on inner folds",
    "inner": "score of the chosen penalty on inner folds",
    "flat": "1 where the prediction is constant",
    "edge_share": "1 where the chosen penalty is the first or last of the grid",
    "columns": "columns of the design: in all, constant ones, and those that repeat another",
    "agreement": "z(response) * z(prediction), mean over the region's targets; its mean over a fold's test samples is r",
}
