"""Scores as a fit leaves them, made up, and a look into the tables that are made of them."""

import numpy as np
import pandas as pd
import xarray as xr

N, FOLDS, TARGETS = 400, 4, 6
RUN = np.repeat([f"run{i}" for i in range(FOLDS)], N // FOLDS)


def scores(
    r: list[float], *, inner: list[float] | None = None, seeds: int = 0, steps: tuple[str, ...] = (), seed: int = 0
) -> xr.Dataset:
    """Scores as `encode` leaves them: `r[layer]` with a little noise, agreement that adds up to it.

    Of several steps the k-th (from 0) scores k + 1 times as much as is said.
    """
    rng = np.random.default_rng(seed)
    lead = {"seed": list(range(seeds))} if seeds else {"step": list(steps)} if steps else {}
    shape = tuple(len(labels) for labels in lead.values())
    gain = 1.0 + np.arange(len(steps))[:, None, None] if steps else 1.0
    agreement = np.zeros((*shape, len(r), 2, N))
    for i, value in enumerate(r):
        agreement[..., i, :, :] = gain * value + 0.2 * rng.normal(size=(*shape, 1, N))
    fold = np.repeat(np.arange(FOLDS), N // FOLDS)
    of_fold = np.stack([agreement[..., 0, fold == k].mean(axis=-1) for k in range(FOLDS)], axis=-1)
    values = np.repeat(of_fold[..., None], TARGETS, axis=-1)
    chosen_by = np.broadcast_to(np.asarray(inner if inner is not None else r)[:, None, None], values.shape)
    dims = (*lead, "layer", "fold", "target")
    ds = xr.Dataset(
        {
            "r": (dims, values),
            "r2": (dims, values**2),
            "inner": (dims, chosen_by),
            "flat": (dims, np.zeros_like(values)),
        }
    )
    ds["agreement"] = ((*dims[:-2], "roi", "sample"), agreement)
    ds["member"] = (("roi", "target"), np.array([[1] * 6, [1, 1, 1, 0, 0, 0]], np.uint8))
    coords = {"roi": ["all", "front"], "layer": list(range(len(r))), "target": [f"t{i}" for i in range(TARGETS)]}
    return ds.assign_coords(coords | lead).assign_coords(run=("sample", RUN), fold_of=("sample", fold))


def ceiling(valid: bool = True) -> xr.Dataset:
    ds = xr.Dataset(coords={"target": [f"t{i}" for i in range(TARGETS)]})
    ds["repeats"] = ("target", np.full(TARGETS, 0.5))
    ds["repeats_valid"] = ("target", np.array([valid] * 3 + [False] * 3).astype(np.uint8))
    return ds


def row(table: pd.DataFrame, **wanted: str) -> pd.Series:
    for column, value in wanted.items():
        table = table[table[column] == value]
    assert len(table) == 1
    return table.iloc[0]
