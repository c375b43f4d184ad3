"""How well any model could do on one person's recordings: ceilings, target by target."""

from collections import Counter
from collections.abc import Mapping
from typing import TYPE_CHECKING, ClassVar, Literal

import numpy as np
from pydantic import Field

from pipeline.ceilings import CEILINGS
from pipeline.settings import Settings

if TYPE_CHECKING:
    import xarray as xr


class Ceiling(Settings):
    """Which estimates of the noise ceiling to make."""

    version: ClassVar[int] = 1
    kinds: tuple[Literal["repeats", "none"], ...] = Field(
        ("repeats",),
        min_length=1,
        description="`repeats` needs two presentations of a test run; `none` asks for no ceiling",
    )


def estimate(
    recordings: Mapping[str, "xr.Dataset"],
    tested: tuple[str, ...],
    kinds: tuple[str, ...],
    trim_s: tuple[float, float],
    seed: int,
) -> "xr.Dataset":
    """Every estimator in `kinds`, per target, with interval and validity; the reason where it cannot be had.

    Only runs that are tested count, because the ceiling is one of the test
    score; of those, the ones that were presented equally often.
    """
    import xarray as xr

    first = next(iter(recordings.values()))
    targets = first["target"].values.astype(str)
    repeated, run, used = _repeats(recordings, tested, trim_s)
    ds = xr.Dataset(coords={"target": targets})
    for kind in kinds:
        estimator = CEILINGS[kind] if kind == "none" or repeated.shape[0] > 1 else CEILINGS["none"]
        found = estimator(repeated, run=run, seed=seed) if estimator is CEILINGS["repeats"] else estimator(repeated)
        reason = "" if estimator is CEILINGS[kind] and kind != "none" else _reason(kind, tested)
        long_name = f"{kind}: ceiling of the correlation with the mean of {repeated.shape[0]} presentations"
        facts = {
            "units": found.unit,
            "long_name": long_name,
            "reason": reason,
            "runs": " ".join(used),
            "presentations": repeated.shape[0],
        }
        for name, value in (("", found.value), ("_low", found.low), ("_high", found.high), ("_valid", found.valid)):
            dtype = np.uint8 if name == "_valid" else np.float32
            ds[f"{kind}{name}"] = ("target", np.asarray(value).astype(dtype), facts)
    return ds


def _repeats(
    recordings: Mapping[str, "xr.Dataset"], tested: tuple[str, ...], trim_s: tuple[float, float]
) -> tuple[np.ndarray, np.ndarray, list[str]]:
    """(repeat, sample, target) of the tested runs with the commonest number of presentations above one."""
    counts = Counter(n for run in tested if (n := recordings[run].sizes.get("repeat", 1)) > 1)
    wanted = counts.most_common(1)[0][0] if counts else 1
    used = [run for run in tested if recordings[run].sizes.get("repeat", 1) == wanted]
    blocks = [_presentations(recordings[run], trim_s) for run in used]
    run = np.repeat(used, [b.shape[1] for b in blocks])
    return np.concatenate(blocks, axis=1), run, used


def _presentations(ds: "xr.Dataset", trim_s: tuple[float, float]) -> np.ndarray:
    values = ds["presentations"].values if "presentations" in ds else ds["responses"].values[None]
    start, end = (round(t / float(ds.attrs["tr_s"])) for t in trim_s)
    return values[:, start : values.shape[1] - end].astype(np.float64)


def _reason(kind: str, tested: tuple[str, ...]) -> str:
    if kind == "none":
        return "no ceiling was asked for (ceiling.kinds: none)"
    return f"no tested run was presented more than once ({', '.join(tested[:3])}{', …' * (len(tested) > 3)})"
