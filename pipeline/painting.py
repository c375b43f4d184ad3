"""Values of targets as images of the brain: each on its voxel, its vertex, or all places of its parcel."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from jaxtyping import Float

from pipeline.space import HEMISPHERES, Space, vertices, voxels

VOLUME, SURFACE, GRAYORDINATES = ".nii.gz", ".func.gii", ".dscalar.nii"
_UNKNOWN, _SCANNER, _ALIGNED, _MNI = 0, 1, 2, 4  # NIfTI's codes of what coordinates are
_ANATOMY = {"L": "CortexLeft", "R": "CortexRight"}
_CORTEX = {"L": "CIFTI_STRUCTURE_CORTEX_LEFT", "R": "CIFTI_STRUCTURE_CORTEX_RIGHT"}


def images(values: Float[np.ndarray, "map target"], names: Sequence[str], space: Space) -> dict[tuple[str, str], Any]:
    """The maps as nibabel images, float32 and nan where there is no target: (hemisphere, ending) -> image.

    Volumes have one image, of three axes for one map; surfaces one for each
    hemisphere; CIFTI one of (map, grayordinate), in the order of the
    recording's own file.
    """
    if len(values) != len(names):
        raise ValueError(f"{len(values)} maps and {len(names)} names")
    places = painted(values, space).astype(np.float32)
    if space.kind == "surface":
        sides = [side for side in HEMISPHERES if side in space.n_vertices]
        return {(side, SURFACE): _mesh(places, names, space, side) for side in sides}
    if space.kind == "cifti":
        return {("", GRAYORDINATES): _grayordinates(places, names, space)}
    return {("", VOLUME): _volume(places, space)}


def painted(values: Float[np.ndarray, "map target"], space: Space) -> Float[np.ndarray, "map place"]:
    """What each place shows: its target's value, nan where it has none."""
    n_targets = max(space.target_of, default=-1) + 1 if space.target_of else len(space.places)
    if values.shape[1] < n_targets or (not space.target_of and values.shape[1] != n_targets):
        raise ValueError(f"{values.shape[1]} values do not fit a space of {n_targets} targets")
    if not space.target_of:
        return values
    target = np.array(space.target_of)
    return np.where(target >= 0, values[:, np.maximum(target, 0)], np.nan)


def _volume(places: Float[np.ndarray, "map place"], space: Space) -> Any:
    import nibabel as nib

    data = np.full((*_shape(space), len(places)), np.nan, np.float32)
    i, j, k = _inside(voxels(space.places), _shape(space)).T
    data[i, j, k] = places.T
    image = nib.Nifti1Image(data[..., 0] if len(places) == 1 else data, np.array(space.affine))
    code = _MNI if space.name.startswith("MNI") else _ALIGNED if space.name not in ("", "boldref", "func") else _SCANNER
    image.set_sform(image.affine, code)
    image.set_qform(image.affine, code)
    # a qform holds no shear: where the affine has some, only the sform tells the truth
    if not np.allclose(image.get_qform(), image.affine, atol=1e-3):
        image.set_qform(None, _UNKNOWN)
    image.header.set_xyzt_units("mm")
    return image


def _mesh(places: Float[np.ndarray, "map place"], names: Sequence[str], space: Space, side: str) -> Any:
    from nibabel.gifti import GiftiDataArray, GiftiImage, GiftiMetaData

    sides, numbers = vertices(space.places)
    here = sides == side
    data = np.full((len(places), space.n_vertices[side]), np.nan, np.float32)
    data[:, _inside(numbers[here, None], (space.n_vertices[side],))[:, 0]] = places[:, here]
    anatomy = {"AnatomicalStructurePrimary": _ANATOMY[side]}
    darrays = [
        GiftiDataArray(row, intent="NIFTI_INTENT_NONE", datatype="NIFTI_TYPE_FLOAT32", meta=GiftiMetaData(anatomy | {"Name": name}))
        for row, name in zip(data, names, strict=True)
    ]  # fmt: skip
    return GiftiImage(darrays=darrays, meta=GiftiMetaData(anatomy))


def _grayordinates(places: Float[np.ndarray, "map place"], names: Sequence[str], space: Space) -> Any:
    from nibabel.cifti2 import Cifti2Image, ScalarAxis

    image = Cifti2Image(places, (ScalarAxis(list(names)), _brain_models(space)))
    image.nifti_header.set_intent("NIFTI_INTENT_CONNECTIVITY_DENSE_SCALARS")
    return image


def _brain_models(space: Space) -> Any:
    """The brain models of the recording's own file, out of the names of its places."""
    from nibabel.cifti2 import BrainModelAxis

    structures = np.repeat([name for name, _ in space.structures], [n for _, n in space.structures])
    is_voxel = np.array([place.startswith("v") for place in space.places])
    voxel, vertex = np.full((len(is_voxel), 3), -1), np.full(len(is_voxel), -1)
    below = [place for place in space.places if place.startswith("v")]
    voxel[is_voxel] = voxels(below)
    vertex[~is_voxel] = vertices(place for place in space.places if not place.startswith("v"))[1]
    n_vertices = {_CORTEX[side]: n for side, n in space.n_vertices.items()}
    return BrainModelAxis(
        structures, voxel=voxel, vertex=vertex, nvertices=n_vertices,
        affine=np.array(space.affine) if below else None, volume_shape=_shape(space) if below else None,
    )  # fmt: skip


def _shape(space: Space) -> tuple[int, int, int]:
    if space.shape is None:
        raise ValueError("a space with voxels needs the shape of their grid")
    return space.shape


def _inside(indices: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    if (indices >= np.array(shape)).any():
        raise ValueError(f"places up to {indices.max(axis=0).tolist()} lie outside a grid or mesh of {shape}")
    return indices
