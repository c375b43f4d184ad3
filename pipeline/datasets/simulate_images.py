"""A small head to put simulated voxels into, and the images of what it does."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Bool, Float

from pipeline import arrays

_SHAPE, _VOXEL_MM = (12, 12, 8), 3.5
_BASELINE, _BASELINE_SD, _OUTSIDE, _OUTSIDE_SD = 1000.0, 60.0, 150.0, 8.0  # image units, as scanners give them


class Head(NamedTuple):
    """Which voxels are brain, and what each is named and belongs to, in the order in which a mask reads them."""

    inside: Bool[np.ndarray, "x y z"]
    names: list[str]
    rois: list[str]


def brain(voxels_per_roi: Mapping[str, int]) -> Head:
    """An ellipsoid of the wanted number of voxels, cut along x into one slab per region."""
    n = sum(voxels_per_roi.values())
    if not 0 < n <= np.prod(_SHAPE):
        raise ValueError(f"{n} voxels do not fit into an image of {_SHAPE}: there is room for 1 to {np.prod(_SHAPE)}")
    grid = np.stack(np.meshgrid(*(np.linspace(-1, 1, size) for size in _SHAPE), indexing="ij"))
    nearest = np.argsort((grid**2).sum(axis=0), axis=None, kind="stable")[:n]
    inside = np.isin(np.arange(np.prod(_SHAPE)), nearest).reshape(_SHAPE)
    names = [f"v{i}x{j}x{k}" for i, j, k in np.argwhere(inside)]
    return Head(inside, names, [roi for roi, count in voxels_per_roi.items() for _ in range(count)])


def save_mask(head: Head, path: Path, record: Mapping[str, Any]) -> None:
    """Write the brain mask, 0 or 1."""
    import nibabel as nib

    with arrays.writing(path, **record) as temp:
        nib.save(nib.Nifti1Image(head.inside.astype(np.uint8), _affine()), temp)


def save_image(
    head: Head,
    activity: Float[np.ndarray, "volume voxel"],
    path: Path,
    *,
    tr_s: float,
    rng: np.random.Generator,
    record: Mapping[str, Any],
) -> None:
    """Write `activity`, in image units around 0, on top of a baseline as a 4-D image of 16 bit, with its sidecar."""
    import nibabel as nib

    volumes = rng.normal(_OUTSIDE, _OUTSIDE_SD, (*_SHAPE, len(activity)))
    volumes[head.inside] = activity.T + _baseline(head)[:, None]
    image = nib.Nifti1Image(volumes, _affine())
    image.set_data_dtype(np.int16)  # scaled to the range of the data: steps of 0.02
    image.header.set_zooms((_VOXEL_MM,) * 3 + (tr_s,))
    image.header.set_xyzt_units("mm", "sec")
    with arrays.writing(path, **record) as temp:
        nib.save(image, temp)
    sidecar = json.dumps({"RepetitionTime": tr_s, "TaskName": "stories"}, indent=1) + "\n"
    arrays.save_text(sidecar, path.with_name(path.name.removesuffix(".nii.gz") + ".json"), **record)


def _baseline(head: Head) -> Float[np.ndarray, " voxel"]:
    """Grey and white differ: the same pattern in every image, for it is of the place."""
    return _BASELINE + _BASELINE_SD * np.random.default_rng(0).standard_normal(len(head.names))


def _affine() -> Float[np.ndarray, "4 4"]:
    affine = np.diag([_VOXEL_MM] * 3 + [1.0])
    affine[:3, 3] = [-_VOXEL_MM * (size - 1) / 2 for size in _SHAPE]  # the middle of the image is 0, 0, 0
    return affine
