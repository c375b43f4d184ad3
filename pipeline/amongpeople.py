"""Ceilings from what other people answered to the same stimuli."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from jaxtyping import Float, Integer

from pipeline.alike import Alike, ByRun, alike
from pipeline.ceilings import isc, schrimpf
from pipeline.ceilings.shared import HeldOut, held_out, of_held_out
from pipeline.encoding import Encoding, Folds, folds_of
from pipeline.estimates import Estimate, nothing, scattered
from pipeline.meaning import differing
from pipeline.metrics import pearson
from pipeline.samples import Samples, length_of_word
from pipeline.statistics.blocks import common_length

if TYPE_CHECKING:
    import xarray as xr

    from pipeline.recordings import Recording

LIMITS = {
    "isc": "what this person shares with all others, target by target",
    "shared_response": "what other people's responses predict of this person's by the study's own cross-validation; a lower bound",
    "schrimpf": "a published extrapolation over numbers of people that is known to be too low, for reproduction only",
}


class People(NamedTuple):
    """One person's recording beside the same of all others of a study.

    `recordings` is by person and run; whose ceiling it is stands first.
    `split` says which of that person's runs train and which test.
    """

    recordings: Mapping[str, ByRun]
    split: Mapping[str, str]
    kind: "Recording"
    label: str
    encoding: Encoding


def among_people(
    kind: str, people: People, tested: tuple[str, ...], trim_s: tuple[float, float], seed: int
) -> Estimate:
    """`isc`, `shared_response` or `schrimpf` of the first person, or why it cannot be had."""
    own = next(iter(people.recordings.values()))
    n_targets = next(iter(own.values())).sizes["target"]
    if len(people.recordings) < 2:
        return nothing(n_targets, LIMITS[kind], "there is no other person whose responses could be compared", tested)
    try:
        return _ESTIMATES[kind](people, tested, trim_s, seed)
    except ValueError as why:  # too few samples, runs or people: told, and no reason to stop the study
        return nothing(n_targets, LIMITS[kind], str(why), tested)


def _isc(people: People, tested: tuple[str, ...], trim_s: tuple[float, float], seed: int) -> Estimate:
    """Other people's responses to the same target, where targets mean the same."""
    found, told = _meaning_the_same(people)
    shared = alike({p: _only(found[p], tested) for p in found}, tested, trim_s)
    _check(shared, tested)
    Y, columns, n_targets = _by_target(shared, found)
    run, place = _runs(shared), np.full(n_targets, -1)
    place[columns] = np.arange(len(columns))
    top = isc(Y, person=0, run=run, seed=seed)

    def again(rows: np.ndarray, wanted: np.ndarray) -> np.ndarray:
        return isc(Y[:, rows][:, :, place[wanted]], person=0, run=run[rows], n=2, seed=seed, block=1).value

    told = [*told, *shared.told, *_repeated(shared, found), *_fewer(columns, n_targets)]
    told += ["of two people both are taken to share as much"] if len(shared.people) == 2 else []
    limits = f"{LIMITS['isc']} (N = {len(shared.people)} people)"
    block = common_length(Y.mean(axis=0), run)
    return Estimate(scattered(top, columns, n_targets), limits, _said(top, told), shared.runs, True, again, run, block)


def _schrimpf(people: People, tested: tuple[str, ...], trim_s: tuple[float, float], seed: int) -> Estimate:
    """As published: all targets of the others predict, so that targets need not mean the same."""
    shared = alike({p: _only(runs, tested) for p, runs in people.recordings.items()}, tested, trim_s)
    _check(shared, tested)
    own, others, columns = _designs(shared, people, same=False)
    n_targets = _first(people.recordings[shared.people[0]]).sizes["target"]
    top = schrimpf([own, *others], person=0, seed=seed)
    limits = f"{LIMITS['schrimpf']} (N = {len(shared.people)} people)"
    told = [*shared.told, *_fewer(columns, n_targets)]
    return Estimate(scattered(top, columns, n_targets), limits, _said(top, told), shared.runs, normalises=False)


def _shared_response(people: People, tested: tuple[str, ...], trim_s: tuple[float, float], seed: int) -> Estimate:
    """Other people's responses in the place of a model's features.

    Where targets mean the same, the mean of the others is the design
    (Caucheteux & King 2022); elsewhere all their targets side by side, from
    which the regression finds what is shared.
    """
    same = _same_for_all(people)
    shared = alike(people.recordings, tested, trim_s)
    _check(shared, tested)
    samples, n_targets = _samples(shared, people), _first(people.recordings[shared.people[0]]).sizes["target"]
    own, others, columns = _designs(shared, people, same)
    outer, inner = folds_of(samples, people.encoding, seed)
    of = people.encoding
    found = held_out(
        own, others, folds=outer, inner=inner, alphas=of.grid(), same=same, select=of.select, run=samples.run, precision=of.precision
    )  # fmt: skip
    top, place = of_held_out(found, seed=seed), np.full(n_targets, -1)
    place[columns] = np.arange(len(columns))

    def again(rows: np.ndarray, wanted: np.ndarray) -> np.ndarray:
        return _mean_r(found, rows, place[wanted])

    design = "the mean of the others" if same else "all targets of the others side by side"
    limits = f"{LIMITS['shared_response']} ({design}, N = {len(shared.people)} people)"
    told = [*shared.told, *_fewer(columns, n_targets)]
    runs = tuple(run for run in shared.runs if run in tested)
    block = common_length(found.pairs[0], found.run)
    return Estimate(scattered(top, columns, n_targets), limits, _said(top, told), runs, True, again, found.run, block)


def _mean_r(found: HeldOut, rows: np.ndarray, columns: np.ndarray) -> Float[np.ndarray, " target"]:
    """Mean over folds of the correlation on some of the tested samples; a fold without any of them does not count."""
    kept = [np.intersect1d(fold, rows) for fold in found.folds]
    y, predicted = found.pairs[:, :, columns]
    return np.mean([pearson(y[own], predicted[own]) for own in kept if len(own) > 1], axis=0)


def _said(top: Any, told: list[str]) -> str:
    return "; ".join(filter(None, [getattr(top, "reason", ""), *told]))


def _only(runs: ByRun, tested: tuple[str, ...]) -> ByRun:
    return {run: ds for run, ds in runs.items() if run in tested}


def _check(shared: Alike, tested: tuple[str, ...]) -> None:
    """
    Raises
    ------
    ValueError : nobody else has a tested run, or none remains.
    """
    told = "; ".join(shared.told)
    if len(shared.people) < 2:
        raise ValueError(f"nobody else has any of the tested runs: {told}")
    if not set(shared.runs) & set(tested):
        raise ValueError(f"no tested run is left that {', '.join(shared.people)} have in common: {told}")


def _meaning_the_same(people: People) -> tuple[dict[str, ByRun], list[str]]:
    """The people whose targets mean the same as the first one's, and why others are left out.

    Raises
    ------
    ValueError : there is nobody.
    """
    first, *others = people.recordings
    own = next(iter(people.recordings[first].values()))
    why = {other: _differs(people, own, other) for other in others}
    found = {p: runs for p, runs in people.recordings.items() if not why.get(p)}
    told = list(dict.fromkeys(filter(None, why.values())))
    if len(found) < 2:
        raise ValueError("; ".join(told))
    return found, told


def _differs(people: People, own: "xr.Dataset", other: str) -> str:
    runs = people.recordings[other].values()
    return next((differing(people.kind, people.label, own, ds) for ds in runs), f"{other} has no run")


def _same_for_all(people: People) -> bool:
    first, *others = people.recordings
    own = next(iter(people.recordings[first].values()))
    return not any(_differs(people, own, other) for other in others)


def _by_target(shared: Alike, found: Mapping[str, ByRun]) -> tuple[np.ndarray, Integer[np.ndarray, " known"], int]:
    """(person, sample, target) of the targets that everybody has, complete; which of the first person's these are."""
    names = {p: _first(found[p])["target"].values.astype(str) for p in shared.people}
    own = names[shared.people[0]]
    columns = np.flatnonzero(np.all([np.isin(own, names[p]) for p in shared.people], axis=0))
    parts = []
    for person in shared.people:
        order = np.argsort(names[person], kind="stable")
        taken = order[np.searchsorted(names[person][order], own[columns])]
        parts.append(_stacked(shared, found, person)[:, taken])
    Y = np.stack(parts)
    complete = np.isfinite(Y).all(axis=(0, 1))
    return Y[:, :, complete], columns[complete], len(own)


def _designs(
    shared: Alike, people: People, same: bool
) -> tuple[Float[np.ndarray, "sample known"], list[np.ndarray], Integer[np.ndarray, " known"]]:
    """The person's own complete targets, those of each other person, and which targets the own ones are.

    Where targets mean the same they are those that everybody has, in one order.
    """
    if same:
        Y, columns, _ = _by_target(shared, people.recordings)
        return Y[0], list(Y[1:]), columns
    own, *others = (_stacked(shared, people.recordings, person) for person in shared.people)
    columns = np.flatnonzero(np.isfinite(own).all(axis=0))
    return own[:, columns], [X[:, np.isfinite(X).all(axis=0)] for X in others], columns


def _samples(shared: Alike, people: People) -> Samples:
    """The first person's samples that everybody has, as folds are cut from them."""
    first = shared.people[0]
    own, rows = people.recordings[first], shared.rows[first]
    ds = own[shared.runs[0]]
    run = _runs(shared)
    times = np.concatenate([own[r]["time"].values[rows[r]] for r in shared.runs]).astype(float)
    split = np.array([people.split[r] for r in run])
    Y = _stacked(shared, people.recordings, first)
    return Samples(
        Y, run, split, times, float(ds.attrs["tr_s"]), rows, max(length_of_word(own[r]) for r in shared.runs)
    )


def _stacked(shared: Alike, found: Mapping[str, ByRun], person: str) -> Float[np.ndarray, "sample target"]:
    """The mean over presentations of one person, run after run."""
    rows = shared.rows[person]
    return np.concatenate([found[person][run]["responses"].values[rows[run]] for run in shared.runs])


def _runs(shared: Alike) -> np.ndarray:
    rows = shared.rows[shared.people[0]]
    return np.repeat(list(shared.runs), [len(rows[run]) for run in shared.runs])


def _first(runs: ByRun) -> "xr.Dataset":
    return next(iter(runs.values()))


def _repeated(shared: Alike, found: Mapping[str, ByRun]) -> list[str]:
    """Means over different numbers of presentations are not equally noisy."""
    often = {p: sorted({found[p][run].sizes.get("repeat", 1) for run in shared.runs}) for p in shared.people}
    if len({tuple(counts) for counts in often.values()}) == 1:
        return []
    each = ", ".join(f"{person} {' or '.join(map(str, counts))}" for person, counts in often.items())
    return [
        f"people did not hear the runs equally often ({each} times): the same signal is taken to stand in unlike noise"
    ]


def _fewer(columns: np.ndarray, n_targets: int) -> list[str]:
    left = n_targets - len(columns)
    return [f"{left} of {n_targets} targets are incomplete or not there in everybody"] if left else []


_ESTIMATES = {"isc": _isc, "shared_response": _shared_response, "schrimpf": _schrimpf}
__all__ = ["LIMITS", "Folds", "People", "among_people"]
