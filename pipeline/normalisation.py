"""How well any model could do on one person's recordings: ceilings, target by target."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, ClassVar, Literal

import numpy as np
from pydantic import Field

from pipeline.ceilings import CEILINGS
from pipeline.samples import kept_samples
from pipeline.settings import Settings

if TYPE_CHECKING:
    import xarray as xr


class Ceiling(Settings):
    """Which estimates of the noise ceiling to make."""

    version: ClassVar[int] = 1
    kinds: tuple[Literal["repeats", "none"], ...] = Field(
        ("repeats",),
        min_length=1,
        description="`repeats` needs every tested run to be presented equally often, at least twice; `none` asks for no ceiling",
    )


def estimate(
    recordings: Mapping[str, "xr.Dataset"],
    tested: tuple[str, ...],
    kinds: tuple[str, ...],
    trim_s: tuple[float, float],
    seed: int,
) -> "xr.Dataset":
    """Every estimator in `kinds`, per target, with interval and validity; the reason where it cannot be had.

    Scores are means over the tested runs, so a ceiling of them needs all of
    these presented equally often: that of the repeated runs alone would be
    too high for runs that were heard once.
    """
    import xarray as xr

    first = next(iter(recordings.values()))
    ds = xr.Dataset(coords={"target": first["target"].values.astype(str)})
    counts = {run: recordings[run].sizes.get("repeat", 1) for run in tested}
    for kind in kinds:
        reason = _reason(kind, counts)
        repeated, run = _stacked(recordings, tested, trim_s) if not reason else (first["responses"].values[None], None)
        found = CEILINGS["none"](repeated) if reason else CEILINGS[kind](repeated, run=run, seed=seed)
        long_name = f"{kind}: ceiling of the correlation with the mean of {len(repeated)} presentations"
        facts = {"units": found.unit, "long_name": long_name, "reason": reason, "runs": " ".join(tested)}
        for name, value in (("", found.value), ("_low", found.low), ("_high", found.high), ("_valid", found.valid)):
            dtype = np.uint8 if name == "_valid" else np.float32
            ds[f"{kind}{name}"] = ("target", np.asarray(value).astype(dtype), facts)
    return ds


def _stacked(
    recordings: Mapping[str, "xr.Dataset"], tested: tuple[str, ...], trim_s: tuple[float, float]
) -> tuple[np.ndarray, np.ndarray]:
    """(repeat, sample, target) of the tested runs end to end, and the run of each sample."""
    blocks = [_presentations(recordings[run], trim_s) for run in tested]
    return np.concatenate(blocks, axis=1), np.repeat(tested, [b.shape[1] for b in blocks])


def _presentations(ds: "xr.Dataset", trim_s: tuple[float, float]) -> np.ndarray:
    values = ds["presentations"].values if "presentations" in ds else ds["responses"].values[None]
    return values[:, kept_samples(ds, trim_s)].astype(np.float64)


def _reason(kind: str, presentations: Mapping[str, int]) -> str:
    """Why a ceiling cannot be had; empty where it can."""
    if kind == "none":
        return "no ceiling was asked for (ceiling.kinds: none)"
    if max(presentations.values()) < 2:
        runs = list(presentations)
        return f"no tested run was presented more than once ({', '.join(runs[:3])}{', …' * (len(runs) > 3)})"
    if len(set(presentations.values())) > 1:
        often = sorted(set(presentations.values()))
        return f"the tested runs were not presented equally often ({', '.join(map(str, often))} times)"
    return ""
