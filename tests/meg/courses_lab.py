"""Scores with planted time courses, as `encoding.encode` writes them."""

import numpy as np
import xarray as xr

from pipeline.sensors import Sensors, placed

ABOUT = {"units": "1", "long_name": "made for a test"}
LATENCIES = tuple(np.round(np.arange(-20, 51) * 0.01, 3).tolist())  # s, 10 ms apart


def sensors(n: int = 6, kinds: tuple[str, ...] = ("eeg",), latencies: tuple[float, ...] = LATENCIES) -> Sensors:
    """Channels on a half sphere of 9 cm, kinds taking turns."""
    angle, height = np.arange(n) * 2.4, np.linspace(0.1, 0.9, n)  # a spiral: no two are in one place
    radius = np.sqrt(1 - height**2)
    loc = np.zeros((n, 12))
    loc[:, :3] = 0.09 * np.stack([radius * np.cos(angle), radius * np.sin(angle), height], axis=1)
    return Sensors(tuple(f"C{i}" for i in range(n)), tuple(kinds[i % len(kinds)] for i in range(n)), loc, latencies)


def bump(peak_s: float, latencies: tuple[float, ...] = LATENCIES, width_s: float = 0.05) -> np.ndarray:
    return np.exp(-0.5 * ((np.array(latencies) - peak_s) / width_s) ** 2)


def scored(r: np.ndarray, inner: np.ndarray, where: Sensors, lead: tuple[str, list] | None = None) -> xr.Dataset:
    """Scores of given r and inner scores, (network,) layer, fold, channel, latency."""
    dims = (*((lead[0],) if lead else ()), "layer", "fold", "target")
    flat = [np.asarray(part, np.float32).reshape(*part.shape[:-2], -1) for part in (r, inner)]
    ds = xr.Dataset({name: (dims, part, ABOUT) for name, part in zip(("r", "inner"), flat, strict=True)})
    ds = ds.assign_coords(layer=np.arange(flat[0].shape[-3]), target=list(where.targets))
    if lead:
        ds = ds.assign_coords({lead[0]: lead[1]})
    return placed(ds, where)


def ceiling(values: np.ndarray, where: Sensors) -> xr.Dataset:
    flat = np.asarray(values, np.float32).reshape(-1)
    found = {"repeats": ("target", flat, ABOUT), "repeats_valid": ("target", (flat > 0).astype(np.uint8), ABOUT)}
    return xr.Dataset(found, coords={"target": list(where.targets)})
