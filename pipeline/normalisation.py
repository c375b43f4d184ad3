"""How well any model could do on one person's recordings: ceilings, target by target and region by region."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, ClassVar, Literal

import numpy as np
from jaxtyping import Bool
from pydantic import Field, field_validator

from pipeline.amongpeople import People, among_people
from pipeline.ceilings import CEILINGS
from pipeline.estimates import Estimate, nothing
from pipeline.ledger import BETWEEN
from pipeline.regional import regional
from pipeline.samples import kept_samples
from pipeline.settings import Settings
from pipeline.statistics.blocks import common_length

if TYPE_CHECKING:
    import xarray as xr

Regions = tuple[tuple[str, ...], Bool[np.ndarray, "roi target"]]


class Ceiling(Settings):
    """Which estimates of the noise ceiling to make."""

    version: ClassVar[int] = 2
    kinds: tuple[Literal["repeats", "splithalf", "nsd", "isc", "shared_response", "schrimpf", "none"], ...] = Field(
        ("repeats",),
        min_length=1,
        description="the first that is valid in a region divides its scores; `repeats`, `splithalf` and `nsd` need every tested run "
        "to be presented equally often, at least twice; `isc` and `shared_response` need other people who heard the same runs, "
        "`schrimpf` too (for reproduction only: no score is divided by it); `none` asks for no ceiling",
    )

    @field_validator("kinds")
    @classmethod
    def _each_once(cls, kinds: tuple[str, ...]) -> tuple[str, ...]:
        if len(set(kinds)) < len(kinds):
            raise ValueError(f"kinds {list(kinds)} name one twice")
        return kinds

    @property
    def between(self) -> bool:
        """Are other people's recordings needed?"""
        return bool(set(self.kinds) & set(BETWEEN))


def estimate(
    recordings: Mapping[str, "xr.Dataset"],
    tested: tuple[str, ...],
    kinds: tuple[str, ...],
    trim_s: tuple[float, float],
    seed: int,
    *,
    people: People | None = None,
    regions: Regions | None = None,
) -> "xr.Dataset":
    """Every estimator in `kinds`, per target and per region, with interval and validity; the reason where it cannot be had.

    Scores are means over the tested runs, so a ceiling of them needs all of
    these presented equally often: that of the repeated runs alone would be
    too high for runs that were heard once.

    Parameters
    ----------
    recordings : the tested runs of one person (others may be among them).
    people : that person first, and all others; for the kinds in `BETWEEN`.
    regions : names, and which targets each holds; by default none.
    """
    import xarray as xr

    targets = next(iter(recordings.values()))["target"].values.astype(str)
    rois, member = regions or ((), np.empty((0, len(targets)), bool))
    ds = xr.Dataset(coords={"target": targets, "roi": np.array(rois, str), "end": ["value", "low", "high"]})
    ds["member"] = (("roi", "target"), member.astype(np.uint8), _MEMBER)
    for kind in kinds:
        if kind in BETWEEN and people is not None:
            found = among_people(kind, people, tested, trim_s, seed)
        else:
            found = _within(kind, recordings, tested, trim_s, seed)
        ds = ds.assign(_variables(kind, found, member))
    return ds.assign_attrs(kinds=" ".join(kinds))


def _variables(kind: str, found: Estimate, member: np.ndarray) -> dict[str, tuple]:
    """The arrays of one estimator; its facts travel with each of them."""
    top = found.ceiling
    facts = {
        "units": top.unit, "long_name": f"{kind}: ceiling of the {found.limits}", "limits": found.limits, "reason": found.reason,
        "runs": " ".join(found.runs), "normalises": int(found.normalises),
    }  # fmt: skip
    parts = {"": top.value, "_low": top.low, "_high": top.high}
    told = {f"{kind}{end}": ("target", np.asarray(part, np.float32), facts) for end, part in parts.items()}
    told[f"{kind}_valid"] = ("target", np.asarray(top.valid).astype(np.uint8), facts)
    told[f"{kind}_region"] = (("roi", "end"), regional(found, member).astype(np.float32), facts)
    return told


def _within(
    kind: str, recordings: Mapping[str, "xr.Dataset"], tested: tuple[str, ...], trim_s: tuple[float, float], seed: int
) -> Estimate:
    """An estimator that needs repeated presentations to one person."""
    counts = {run: recordings[run].sizes.get("repeat", 1) for run in tested}
    n, n_targets = min(counts.values()), next(iter(recordings.values())).sizes["target"]
    limits = _limits(kind, max(counts.values()))
    reason = _reason(kind, counts)
    if kind == "none" or kind in BETWEEN or n < 2:
        return nothing(n_targets, limits, reason, tested)
    repeated, run = _stacked(recordings, tested, trim_s, n)
    try:
        top = CEILINGS[kind](repeated, run=run, seed=seed)
    except ValueError as why:  # too few samples: told, and no reason to stop the study
        return nothing(n_targets, limits, str(why), tested)

    def again(rows: np.ndarray, columns: np.ndarray) -> np.ndarray:
        return CEILINGS[kind](repeated[:, rows][:, :, columns], run=run[rows], n=2, seed=seed, block=1).value

    reason = "; ".join(filter(None, [reason, getattr(top, "reason", "")]))
    if uneven := len(set(counts.values())) > 1:  # what is limited is another mean than the one that is scored
        limits = _limits(kind, n)
        top = top._replace(valid=np.zeros(n_targets, bool))
    block = common_length(repeated.mean(axis=0), run)
    return Estimate(top, limits, reason, tested, not uneven, again, run, block)


def _stacked(
    recordings: Mapping[str, "xr.Dataset"], tested: tuple[str, ...], trim_s: tuple[float, float], n: int
) -> tuple[np.ndarray, np.ndarray]:
    """(repeat, sample, target) of the first n presentations of the tested runs end to end, and the run of each sample."""
    blocks = [_presentations(recordings[run], trim_s)[:n] for run in tested]
    return np.concatenate(blocks, axis=1), np.repeat(tested, [b.shape[1] for b in blocks])


def _presentations(ds: "xr.Dataset", trim_s: tuple[float, float]) -> np.ndarray:
    values = ds["presentations"].values if "presentations" in ds else ds["responses"].values[None]
    return values[:, kept_samples(ds, trim_s)].astype(np.float64)


def _reason(kind: str, presentations: Mapping[str, int]) -> str:
    """Why a ceiling cannot be had, or divides no score; empty where it does."""
    if kind == "none":
        return "no ceiling was asked for (ceiling.kinds: none)"
    if kind in BETWEEN:
        return "no other person's recording was handed over"
    counts = list(presentations.values())
    if max(counts) < 2:
        return f"no tested run was presented more than once ({_named(list(presentations))})"
    if len(set(counts)) == 1:
        return ""
    often = "; ".join(
        f"{_named([run for run, n in presentations.items() if n == count])} {count} {'times' if count > 1 else 'time'}"
        for count in sorted(set(counts))
    )
    least = min(counts)
    rest = f": a ceiling of the mean of {least} stands here, and no score is divided by it" if least > 1 else ""
    return f"the tested runs were not presented equally often ({often}){rest}"


def _limits(kind: str, n: int) -> str:
    return _LIMITS[kind].format(n=f"the mean of {n} presentations" if n > 1 else "a single presentation")


def _named(runs: list[str]) -> str:
    return ", ".join(runs[:3]) + ", …" * (len(runs) > 3)


_MEMBER = {"units": "1", "long_name": "1 where the region holds the target"}
_LIMITS = {
    "repeats": "correlation with {n}",
    "splithalf": "correlation with {n}, by halves of them",
    "nsd": "correlation with {n}, samples taken for independent trials",
    "none": "correlation",
} | dict.fromkeys(BETWEEN, "correlation with what people share")
