"""The images of simulated derivatives: where their places lie, and how volumes, surfaces and CIFTI are written.

Files are small: volumes have voxels of 4 mm, whatever `res-2` is elsewhere
(the sidecar says so), and CIFTI holds every 32nd vertex of its mesh.
"""

from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int, Int16

from pipeline import arrays
from pipeline.datasets.simulate_heads import MIDDLE_MM, PATCHES, Grid, grid, head, places, profiles, sampled

if TYPE_CHECKING:
    import nibabel as nib

SLOPE = 4.0  # image units per step of the 16 bits: a quarter of the noise's SD, so that files pack well
_SHAPE, _VOXEL_MM, _BRAIN = (40, 48, 40), 4.0, 400.0
_SURFACE_BASELINE = 1000.0
_MESH_32K, _EVERY = 32492, 32  # vertices of a hemisphere of fsLR; which of them are in the file
_CIFTI_PATCHES = MappingProxyType(
    {"temporal": slice(300, 340), "frontal": slice(600, 620)}
)  # of the left vertices there
_DEEP = {"THALAMUS_LEFT": slice(49, 54), "THALAMUS_RIGHT": slice(37, 42)}  # along x of CIFTI's grid of 2 mm
_DEEP_Y, _DEEP_Z, _CIFTI_SHAPE = slice(51, 57), slice(38, 44), (91, 109, 91)


class Cover(NamedTuple):
    """One image per run: what its places are called, where they lie, what is there, and who writes it."""

    ending: str  # of the file's name, after the run
    targets: list[str]
    mm: Float[np.ndarray, "place 3"]  # NaN where only a mesh would say
    profile: Float[np.ndarray, "place patch"]
    baseline: Float[np.ndarray, " place"]  # image units; NaN where there is no cortex
    sidecar: Mapping[str, Any]
    image: Callable[[Float[np.ndarray, "volume place"], float, float], Any]  # data, tr_s, start_s -> nibabel's


@cache
def volume() -> Cover:
    """Voxels of the template's brain."""
    where, mask = _brain()
    mm = places(where)[mask]
    baseline = sampled(head().anatomy, head(), where, np.eye(4))[mask].astype(float)
    names = [f"v{i}x{j}x{k}" for i, j, k in np.argwhere(mask)]
    told = {"SkullStripped": False, "Resolution": f"{_VOXEL_MM:g} mm isotropic: coarse, so that files are small"}
    ending = "space-MNI152NLin2009cAsym_res-2_desc-preproc_bold.nii.gz"
    return Cover(ending, names, mm, profiles(mm), baseline, told, _volume_image)


@cache
def _brain() -> tuple[Grid, Bool[np.ndarray, "x y z"]]:
    where = grid(_SHAPE, _VOXEL_MM, MIDDLE_MM)
    return where, sampled(head().anatomy, head(), where, np.eye(4)) > _BRAIN


def _volume_image(data: Float[np.ndarray, "volume place"], tr_s: float, start_s: float) -> "nib.Nifti1Image":
    where, mask = _brain()
    out = np.zeros((len(data), *where.shape), np.int16)
    out[:, mask] = np.round(data / SLOPE)
    return packed(out, where, tr_s)


def packed(steps: Int16[np.ndarray, "volume x y z"], where: Grid, tr_s: float) -> "nib.Nifti1Image":
    """A 4-D image of 16 bit out of whole numbers of SLOPE."""
    import nibabel as nib

    image = nib.Nifti1Image(np.moveaxis(steps, 0, -1), where.affine)
    image.header.set_slope_inter(SLOPE, 0.0)
    image.header.set_zooms((*np.diag(where.affine)[:3], tr_s))
    image.header.set_xyzt_units("mm", "sec")
    return image


def save_mask(path: Path, record: Mapping[str, Any]) -> None:
    """The brain mask of `volume`."""
    import nibabel as nib

    where, mask = _brain()
    with arrays.writing(path, **record) as temp:
        nib.save(nib.Nifti1Image(mask.astype(np.uint8), where.affine), temp)


@cache
def surface(side: str) -> Cover:
    """Vertices of fsaverage5, which comes with nilearn; where its cortex has no thickness there is nothing."""
    from nilearn.datasets import load_fsaverage, load_fsaverage_data

    name = {"L": "left", "R": "right"}[side]
    mm = load_fsaverage("fsaverage5")["pial"].parts[name].coordinates.astype(float)
    thick = load_fsaverage_data(mesh="fsaverage5", data_type="thickness").data.parts[name]
    baseline = np.where(np.ravel(thick) > 0, _SURFACE_BASELINE, np.nan)
    names = [f"{side}{i}" for i in range(len(mm))]
    ending = f"hemi-{side}_space-fsaverage5_bold.func.gii"

    def image(data: Float[np.ndarray, "volume place"], tr_s: float, start_s: float) -> "nib.GiftiImage":
        return _surface_image(data, f"Cortex{name.title()}", tr_s)

    return Cover(ending, names, mm, profiles(mm), baseline, {}, image)


def _surface_image(data: Float[np.ndarray, "volume place"], structure: str, tr_s: float) -> "nib.GiftiImage":
    from nibabel import gifti

    meta = gifti.GiftiMetaData({"AnatomicalStructurePrimary": structure, "TimeStep": f"{1000 * tr_s:g}"})
    volumes = [
        gifti.GiftiDataArray(row, intent="NIFTI_INTENT_TIME_SERIES", datatype="NIFTI_TYPE_FLOAT32")
        for row in np.round(data / SLOPE).astype(np.float32) * np.float32(SLOPE)  # as volumes are
    ]
    return gifti.GiftiImage(meta=meta, darrays=volumes)


@cache
def grayordinates() -> Cover:
    """Some vertices of both hemispheres of fsLR and some voxels of the thalamus, in CIFTI's order."""
    n, deep = len(range(0, _MESH_32K, _EVERY)), [f"v{i}x{j}x{k}" for x in _DEEP.values() for i, j, k in _voxels(x)]
    names = [f"{side}{i * _EVERY}" for side in "LR" for i in range(n)] + deep
    profile = np.zeros((len(names), len(PATCHES)))
    for column, patch in enumerate(PATCHES):
        profile[_CIFTI_PATCHES[patch], column] = 1.0
    told = {"grayordinates": "91k", "Density": f"every {_EVERY}th vertex of 32k, so that files are small"}
    nowhere, baseline = np.full((len(names), 3), np.nan), np.full(len(names), _SURFACE_BASELINE)
    return Cover("space-fsLR_den-91k_bold.dtseries.nii", names, nowhere, profile, baseline, told, _cifti_image)


def _voxels(x: slice) -> Int[np.ndarray, "place 3"]:
    mask = np.zeros(_CIFTI_SHAPE)
    mask[x, _DEEP_Y, _DEEP_Z] = 1
    return np.argwhere(mask)


def _cifti_image(data: Float[np.ndarray, "volume place"], tr_s: float, start_s: float) -> "nib.Cifti2Image":
    import nibabel as nib

    series = nib.cifti2.SeriesAxis(start_s, tr_s, len(data), "SECOND")
    image = nib.Cifti2Image(data.astype(np.float32), (series, _cifti_places()))
    image.nifti_header.set_intent("NIFTI_INTENT_CONNECTIVITY_DENSE_SERIES")
    return image


def _cifti_places() -> "nib.cifti2.BrainModelAxis":
    from nibabel.cifti2 import BrainModelAxis

    vertices = np.arange(0, _MESH_32K, _EVERY)
    axis = BrainModelAxis.from_surface(vertices, _MESH_32K, "CortexLeft")
    axis += BrainModelAxis.from_surface(vertices, _MESH_32K, "CortexRight")
    affine = np.array([[-2.0, 0, 0, 90], [0, 2, 0, -126], [0, 0, 2, -72], [0, 0, 0, 1]])  # MNI152NLin6Asym, 2 mm
    for structure, x in _DEEP.items():
        mask = np.zeros(_CIFTI_SHAPE)
        mask[x, _DEEP_Y, _DEEP_Z] = 1
        axis += BrainModelAxis.from_mask(mask, structure, affine)
    return axis


SPACES: dict[str, Callable[[], list[Cover]]] = {
    "MNI152NLin2009cAsym": lambda: [volume()],
    "fsaverage5": lambda: [surface("L"), surface("R")],
    "fsLR": lambda: [grayordinates()],
}
