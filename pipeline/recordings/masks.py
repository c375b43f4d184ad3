"""Which voxels are brain: masks, on the voxels of the image, that say yes or no."""

from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np
from jaxtyping import Bool

from pipeline.problems import Problem, StudyError, shown
from pipeline.recordings.base import problem
from pipeline.recordings.images import grid, opened, voxels
from pipeline.runs import Run


class Masking(NamedTuple):
    """How voxels are chosen: one mask for all runs or each run's own (None), in which space, and what may be done to it.

    `parcels`: where no mask is known, the parcels say which voxels count.
    """

    mask: str | None = None
    space: Literal["run", "template"] = "run"
    resample: bool = False
    parcels: bool = False


def mask_of(run: Run, folder: Path, name: str, image: Any, *, resample: bool = False) -> Bool[np.ndarray, "x y z"]:
    """The voxels of a mask, which lies on the voxels of the image or is brought onto them.

    Raises `StudyError` for a mask that is missing, lies elsewhere, is empty or
    holds more than yes and no.
    """
    if not name:
        raise StudyError(
            problem("E-FMRI-07", "no mask says which voxels are brain", run, file="runs.tsv", field="mask",
                    found=f"nothing for run {run.run}", fix="name a mask image in column `mask`, or in the recording's setting `mask`")
        )  # fmt: skip
    mask = opened(folder, name, run)
    values = voxels(mask, folder, name, run)
    if not same_grid(mask, image):
        values = _resampled(mask, values, image, name, run, resample)
    return _said(values, name, run)


def same_grid(a: Any, b: Any) -> bool:
    """Do two images have the same voxels in the same places, to a thousandth of a millimetre?"""
    return tuple(a.shape[:3]) == tuple(b.shape[:3]) and np.allclose(a.affine, b.affine, atol=1e-3)


def _resampled(mask: Any, values: np.ndarray, image: Any, name: str, run: Run, resample: bool) -> np.ndarray:
    from nibabel import Nifti1Image
    from nilearn.image import resample_img

    if not resample or len(mask.shape) != 3:
        raise StudyError(
            problem("E-FMRI-08", "mask and image do not lie on the same voxels", run, file=name,
                    found=f"mask {grid(mask)}; {run.responses[0]} {grid(image)}", expected="the same shape and affine",
                    fix="say resample_mask: true, or use the mask that was written with the image")
        )  # fmt: skip
    given = Nifti1Image(values.astype(np.float32), mask.affine)
    moved = resample_img(
        given, image.affine, image.shape[:3], interpolation="nearest", copy_header=True, force_resample=True
    )
    found = np.asarray(moved.dataobj)
    if not found.any() and values.any():
        raise StudyError(
            problem("E-FMRI-07", "mask and image do not overlap", run, file=name,
                    found=f"mask {grid(mask)}; {run.responses[0]} {grid(image)}", fix="use a mask in the space of the images")
        )  # fmt: skip
    return found


def _said(values: np.ndarray, name: str, run: Run) -> np.ndarray:
    inside = values != 0
    found = np.unique(values[inside])
    if found.size != 1 or not np.isfinite(found[0]):
        empty = not found.size
        raise StudyError(
            problem("E-FMRI-07", "the mask is empty" if empty else "the mask does not say yes or no", run, file=name,
                    found="0 voxels" if empty else f"{found.size} values, such as {shown([float(v) for v in found[:3]])}",
                    expected="0 outside the brain, 1 inside", fix="name a brain mask, or cut this image at a threshold")
        )  # fmt: skip
    return np.asarray(inside)


def in_every_run(masks: dict[str, Bool[np.ndarray, "x y z"]], run: Run) -> tuple[np.ndarray, list[Problem]]:
    """The voxels that every run's mask holds, and how many are in some only; `masks` by the name of their file.

    fMRIPrep writes a mask for each run, and they differ at the edge of the
    brain: a voxel that one run lacks has no time series to be trained on.
    """
    first = next(iter(masks.values()))
    common = np.logical_and.reduce(list(masks.values()))
    some = int(np.logical_or.reduce(list(masks.values())).sum() - common.sum())
    if not common.any():
        raise StudyError(
            problem("E-FMRI-07", "the masks of the runs do not overlap", run, file=", ".join(masks),
                    found=f"0 of {int(first.sum())} voxels in every mask", fix="leave the odd run out, or name one `mask` for all")
        )  # fmt: skip
    told = f"{some} voxels are in some masks and not in all; {int(common.sum())} are in every one"
    return common, [
        problem("W-FMRI-17", "runs differ in their masks", run, file=", ".join(masks)[:200], found=told)
    ] * bool(some)
