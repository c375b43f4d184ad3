"""Parcels: places that share a label are averaged into one target."""

from pathlib import Path

import numpy as np
from jaxtyping import Bool, Float, Int

from pipeline.problems import StudyError, shown
from pipeline.recordings.base import problem
from pipeline.recordings.labels import Labels, is_parcel, of_cifti, of_surface, of_volume
from pipeline.runs import Run
from pipeline.space import Space

_ENDINGS = {"cifti": (".dlabel.nii",), "surface": (".label.gii", ".annot"), "volume": (".nii.gz", ".nii")}
_NONE = -1


def parcels(
    folder: Path, name: str, space: Space, inside: Bool[np.ndarray, "x y z"] | None, run: Run
) -> tuple[tuple[str, ...], tuple[int, ...]]:
    """The parcels of a label image, in the order of their numbers, and which of them each place belongs to (-1: none).

    0 is no parcel, nor is what an atlas calls unknown or the medial wall. A
    parcel of the image that has no place among `space.places` stays a target,
    so that people with other masks have the same ones.

    Parameters
    ----------
    name : `.nii.gz` for volumes; `.label.gii` or `.annot` for surfaces, the
        other hemisphere is brought along; `.dlabel.nii` for CIFTI.
    inside : of a volume, the voxels that are places, in the order of
        `space.places`; None for any other kind.
    """
    kind = next((kind for kind, endings in _ENDINGS.items() if name.endswith(endings)), "")
    if kind != space.kind:
        raise StudyError(
            problem("E-FMRI-54", "parcels and images are not of the same kind", run, file=name,
                    found=f"parcels of a {kind}" if kind else "an ending that no parcels have", expected=" or ".join(_ENDINGS[space.kind]),
                    fix="name the atlas in the space of the images")
        )  # fmt: skip
    names, target_of = _in_order(_read(folder, name, space, inside, run))
    _check(names, target_of, name, run)
    return names, tuple(target_of.tolist())


def averaged(
    values: Float[np.ndarray, "sample place"],
    target_of: tuple[int, ...],
    usable: Bool[np.ndarray, " place"],
    n_parcels: int | None = None,
) -> Float[np.ndarray, "sample parcel"]:
    """Mean of each parcel over its usable places; nan for a parcel without one.

    `n_parcels` is to be told where the last parcels may have no place at all.
    """
    of_place = np.where(usable, np.array(target_of, dtype=int), _NONE)
    n_parcels = max(target_of, default=_NONE) + 1 if n_parcels is None else n_parcels
    order = np.argsort(of_place, kind="stable")
    ends = np.searchsorted(of_place[order], np.arange(n_parcels + 1))
    means = np.full((len(values), n_parcels), np.nan, values.dtype)
    for parcel in np.flatnonzero(np.diff(ends)):
        means[:, parcel] = values[:, order[ends[parcel] : ends[parcel + 1]]].mean(axis=1, dtype=float)
    return means


def _read(folder: Path, name: str, space: Space, inside: Bool[np.ndarray, "x y z"] | None, run: Run) -> Labels:
    if space.kind != "volume":
        return (of_surface if space.kind == "surface" else of_cifti)(folder, name, space, run)
    if inside is None:
        raise ValueError("parcels of a volume need to know which voxels are places: give inside")
    return of_volume(folder, name, space, inside, run)


def _in_order(labels: Labels) -> tuple[tuple[str, ...], Int[np.ndarray, " place"]]:
    numbers = sorted(number for number, name in labels.names.items() if is_parcel(number, name))
    index = {number: i for i, number in enumerate(numbers)}
    found, where = np.unique(labels.of_place, return_inverse=True)
    target = np.array([index.get(int(number), _NONE) for number in found], dtype=int)
    return tuple(labels.names[number] for number in numbers), target[where.reshape(-1)]


def _check(names: tuple[str, ...], target_of: Int[np.ndarray, " place"], name: str, run: Run) -> None:
    if twice := sorted({label for label in names if names.count(label) > 1}):
        raise StudyError(
            problem("E-FMRI-53", "two parcels have one name", run, file=name, found=shown(twice), expected="a name for each number",
                    fix="give them names of their own, or one number")
        )  # fmt: skip
    if not (target_of >= 0).any():
        raise StudyError(
            problem("E-FMRI-55", "no place lies in any parcel", run, file=name, found=f"{len(names)} parcels, {len(target_of)} places",
                    expected="parcels that overlap with what was measured", fix="check that atlas, mask and images belong together")
        )  # fmt: skip
