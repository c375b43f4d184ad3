"""Files of images: opened, refused by name where they are damaged, and read to their end."""

import gzip
import math
import zlib
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Bool

from pipeline.problems import Problem, StudyError, shown
from pipeline.recordings.base import problem, told_of, why_unreadable
from pipeline.runs import Run
from pipeline.tables import missing_file

_CHUNK = 1 << 20
# what gzip, zlib and nibabel raise for bytes that are not what the header says
_BROKEN = (OSError, EOFError, ValueError, zlib.error)


def opened(folder: Path, name: str, run: Run) -> Any:
    """A NIfTI image whose header was read and whose file is as long as the header says; no voxel is read."""
    import nibabel as nib

    path = folder / name
    if not path.is_file():
        raise StudyError(missing_file(path, name, "FMRI", {"subject": run.subject}))
    try:
        image = nib.load(path)
    except (*_BROKEN, nib.filebasedimages.ImageFileError, nib.spatialimages.HeaderDataError) as error:
        raise StudyError(_torn(path, name, run) or _no_image(path, name, run, str(error))) from None
    if not isinstance(image, nib.Nifti1Image):
        raise StudyError(_no_image(path, name, run, f"a {type(image).__name__}"))
    if image.get_data_dtype().kind not in "fiu":
        raise StudyError(
            problem("E-FMRI-02", "voxels are no real numbers", run, file=name, found=str(image.get_data_dtype()),
                    expected="float or integer", fix="save the magnitude as float32")
        )  # fmt: skip
    _check_length(image, path, name, run)
    return image


def opened_over_time(folder: Path, name: str, run: Run) -> Any:
    image = opened(folder, name, run)
    if len(image.shape) != 4:
        raise StudyError(
            problem("E-FMRI-13", "an image over time is wanted", run, file=name, found=f"shape {image.shape}",
                    expected="(x, y, z, volume)", fix="name the 4-D image of the run, not one volume or a mean")
        )  # fmt: skip
    return image


def voxels(image: Any, folder: Path, name: str, run: Run) -> np.ndarray:
    """All values, in the image's own precision where it is a float, after the file was read to its end.

    nibabel stops at the last voxel and never sees the checksum behind it, so
    that a flipped bit would pass as data.
    """
    try:
        if name.endswith(".gz"):
            _length_unpacked(folder / name)
        values = np.asanyarray(image.dataobj)
    except _BROKEN as error:
        raise StudyError(_damaged(folder / name, name, run, error)) from error
    return values if values.dtype.kind == "f" else values.astype(np.float32)


def mask_of(run: Run, folder: Path, images: list[Any]) -> Bool[np.ndarray, "x y z"]:
    """The voxels of the mask, which lies on the voxels of every image."""
    if not run.mask:
        raise StudyError(
            problem("E-FMRI-07", "no mask says which voxels are brain", run, file="runs.tsv", field="mask",
                    found=f"nothing for run {run.run}", fix="name a mask image in column `mask`")
        )  # fmt: skip
    mask = opened(folder, run.mask, run)
    for image, name in zip(images, run.responses, strict=True):
        if mask.shape != image.shape[:3] or not np.allclose(mask.affine, image.affine, atol=1e-3):
            raise StudyError(
                problem("E-FMRI-08", "mask and image do not lie on the same voxels", run, file=run.mask,
                        found=f"mask {_grid(mask)}; {name} {_grid(image)}", expected="the same shape and affine",
                        fix="resample the mask onto the image first, nearest neighbour")
            )  # fmt: skip
    values = voxels(mask, folder, run.mask, run)
    inside = values != 0
    found = np.unique(values[inside])
    if found.size != 1 or not np.isfinite(found[0]):
        empty = not found.size
        raise StudyError(
            problem("E-FMRI-07", "the mask is empty" if empty else "the mask does not say yes or no", run, file=run.mask,
                    found="0 voxels" if empty else f"{found.size} values, such as {shown([float(v) for v in found[:3]])}",
                    expected="0 outside the brain, 1 inside", fix="name a brain mask, or cut this image at a threshold")
        )  # fmt: skip
    return np.asarray(inside)


def _grid(image: Any) -> str:
    corners = np.array([image.affine[:3, 3], (image.affine @ [*(n - 1 for n in image.shape[:3]), 1])[:3]])
    steps = np.abs(np.linalg.norm(image.affine[:3, :3], axis=0)).round(3).tolist()
    low, high = (corner.round(2).tolist() for corner in corners)
    return f"{image.shape[:3]} of {steps} mm from {low} to {high} mm"


def _check_length(image: Any, path: Path, name: str, run: Run) -> None:
    """Refuse a file that ends before its last voxel: by its size, or by the length that gzip wrote at its end."""
    wanted = image.dataobj.offset + math.prod(image.shape) * image.get_data_dtype().itemsize
    if not name.endswith(".gz"):
        length = path.stat().st_size
    else:
        with path.open("rb") as file:
            file.seek(-4, 2)
            length = int.from_bytes(file.read(4), "little")
        if length == wanted % 2**32:
            return
        # a stream of several members, or longer than its voxels, is rare and right: only reading it tells
        try:
            length = _length_unpacked(path)
        except _BROKEN as error:
            raise StudyError(_damaged(path, name, run, error)) from None
    if length < wanted:
        raise StudyError(_damaged(path, name, run, EOFError(f"{length} bytes of voxels and header, {wanted} promised")))


def _length_unpacked(path: Path) -> int:
    """Read a gzip stream to its end, which checks its CRC; only one chunk is held."""
    with gzip.open(path) as stream:
        return sum(len(chunk) for chunk in iter(lambda: stream.read(_CHUNK), b""))


def _torn(path: Path, name: str, run: Run) -> Problem | None:
    """What is wrong with a gzip stream that breaks off before or in the header; None for any other file."""
    with path.open("rb") as file:
        packed = file.read(2) == b"\x1f\x8b"
    try:
        packed and _length_unpacked(path)
    except _BROKEN as error:
        return _damaged(path, name, run, error)
    return None


def _damaged(path: Path, name: str, run: Run, error: Exception) -> Problem:
    found = told_of(path, name, str(error))
    if isinstance(error, EOFError):
        return problem("E-FMRI-01", "an image ends before its last voxel", run, file=name, found=found,
                       why="it was cut off while it was copied", fix=_AGAIN.format(name=name))  # fmt: skip
    return problem("E-FMRI-04", "an image is damaged inside", run, file=name, found=found,
                   why="bytes changed after it was written: its checksum does not fit", fix=_AGAIN.format(name=name))  # fmt: skip


def _no_image(path: Path, name: str, run: Run, found: str) -> Problem:
    return problem("E-FMRI-03", "this is no NIfTI image", run, file=name,
                   found=told_of(path, name, found), expected=".nii or .nii.gz",
                   why=why_unreadable(path), fix=_AGAIN.format(name=name))  # fmt: skip


_AGAIN = "copy the file again, or: datalad get {name}"
