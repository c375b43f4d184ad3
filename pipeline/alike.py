"""What several people heard alike: the runs and samples of which everyone has a response."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from jaxtyping import Integer

from pipeline.samples import kept_samples, length_of_word

if TYPE_CHECKING:
    import xarray as xr

ByRun = Mapping[str, "xr.Dataset"]
_SAME_S = 1e-3  # clocks that differ by less are the same


class Alike(NamedTuple):
    """Samples that all of `people` have.

    `rows` holds for each person and run the samples to be taken, in the same
    order for everybody. `told` says what was left out and why.
    """

    people: tuple[str, ...]
    runs: tuple[str, ...]
    rows: dict[str, dict[str, Integer[np.ndarray, " sample"]]]
    told: tuple[str, ...]


def alike(people: Mapping[str, ByRun], tested: tuple[str, ...], trim_s: tuple[float, float]) -> Alike:
    """The runs that the first person shares with others, without samples that are trimmed or censored in anybody.

    Others without any tested run are left out, then runs that one of the rest
    lacks. A run whose clocks or lengths differ is left out and never cut to
    the shorter: nobody knows at which end it is longer. Where samples are
    words they are matched by their onsets instead.
    """
    first, *others = people
    own = people[first]
    told = [f"{other} has none of the tested runs" for other in others if not set(people[other]) & set(tested)]
    among = (first, *(other for other in others if set(people[other]) & set(tested)))
    runs, rows = [], {person: {} for person in among}
    for run in own:
        why = _without(run, among, people)
        matched = {} if why else _matched({person: people[person][run] for person in among}, trim_s)
        if matched and len(matched[first]):
            runs.append(run)
            for person, taken in matched.items():
                rows[person][run] = taken
        elif len(among) > 1:
            told.append(f"run {run} is left out: {why or _differ(run, among, people)}")
    return Alike(among, tuple(runs), rows, tuple(told))


def _without(run: str, among: tuple[str, ...], people: Mapping[str, ByRun]) -> str:
    lacking = [person for person in among if run not in people[person]]
    return f"{', '.join(lacking)} {'does' if len(lacking) == 1 else 'do'} not have it" if lacking else ""


def _matched(ds_of: Mapping[str, "xr.Dataset"], trim_s: tuple[float, float]) -> dict[str, np.ndarray]:
    """The samples of one run that everybody has; nothing where they are not the same samples."""
    kept = {person: kept_samples(ds, trim_s) for person, ds in ds_of.items()}
    times = {person: ds["time"].values.astype(float) for person, ds in ds_of.items()}
    first, *others = ds_of
    if length_of_word(ds_of[first]):
        ticks = {person: np.round(times[person][kept[person]] / _SAME_S).astype(int) for person in ds_of}
        common = ticks[first][np.all([np.isin(ticks[first], ticks[other]) for other in ds_of], axis=0)]
        return {person: kept[person][np.searchsorted(ticks[person], common)] for person in ds_of}
    same = all(
        len(times[o]) == len(times[first]) and np.allclose(times[o], times[first], rtol=0, atol=_SAME_S) for o in others
    )
    common = kept[first][np.all([np.isin(kept[first], kept[other]) for other in ds_of], axis=0)] if same else []
    return {person: common for person in ds_of} if same else {}


def _differ(run: str, among: tuple[str, ...], people: Mapping[str, ByRun]) -> str:
    def clock(person: str) -> str:
        ds = people[person][run]
        start = f" from {float(ds['time'].values[0]):g} s" if ds.sizes["sample"] else ""
        return f"{ds.sizes['sample']} samples{start} every {float(ds.attrs['tr_s']):g} s in {person}"

    first = people[among[0]][run]["time"].values
    odd = [p for p in among[1:] if len(people[p][run]["time"]) != len(first) or not np.allclose(people[p][run]["time"].values, first, rtol=0, atol=_SAME_S)]  # fmt: skip
    if not odd:
        return "no sample of it is kept in everybody"
    return f"its samples are not the same ({'; '.join(map(clock, (among[0], *odd)))})"
