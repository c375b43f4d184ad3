"""Files of images: opened, refused by name where they are damaged, and read to their end."""

import gzip
import math
import zlib
from collections.abc import Iterator
from io import BufferedIOBase
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Bool, Shaped

from pipeline.problems import Problem, StudyError
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


def inside_of(
    image: Any, folder: Path, name: str, inside: Bool[np.ndarray, "x y z"], run: Run
) -> Shaped[np.ndarray, "sample voxel"]:
    """The time series of the voxels of a mask, in the order in which `np.argwhere` lists them.

    In the image's own precision where it is a float. One volume is held at a
    time, and only the voxels of the mask are scaled.
    """
    where = np.ravel_multi_index(np.nonzero(inside), inside.shape, order="F")
    signals = np.empty((image.shape[3], len(where)), _precision(image))
    for row, volume in enumerate(_volumes(image, folder, name, run)):
        signals[row] = _scaled(volume[where], image)
    return signals


def voxels(image: Any, folder: Path, name: str, run: Run) -> Shaped[np.ndarray, "..."]:
    """All values of an image, in its own precision where it is a float."""
    whole = np.empty(image.shape, _precision(image), order="F")
    flat = whole.reshape(-1, math.prod(image.shape[3:]), order="F")
    for row, volume in enumerate(_volumes(image, folder, name, run)):
        flat[:, row] = _scaled(volume, image)
    return whole


def _volumes(image: Any, folder: Path, name: str, run: Run) -> Iterator[np.ndarray]:
    """Volume by volume, flat and as it lies in the file, which is read to its end.

    nibabel stops at the last voxel and never sees the checksum behind it, so
    that a flipped bit would pass as data.
    """
    kind, n = image.get_data_dtype(), math.prod(image.shape[:3])
    try:
        with gzip.open(folder / name) if name.endswith(".gz") else (folder / name).open("rb") as stream:
            stream.seek(image.dataobj.offset)
            for _ in range(math.prod(image.shape[3:])):
                yield np.frombuffer(_whole(stream, n * kind.itemsize), kind)
            while stream.read(_CHUNK):
                pass
    except _BROKEN as error:
        raise StudyError(_damaged(folder / name, name, run, error)) from error


def _whole(stream: BufferedIOBase, length: int) -> bytes:
    found = stream.read(length)
    if len(found) < length:
        raise EOFError(f"{len(found)} bytes of a volume of {length}")
    return found


def _precision(image: Any) -> np.dtype:
    kind = image.get_data_dtype()
    return np.dtype(np.float64 if kind.kind == "f" and kind.itemsize > 4 else np.float32)


def _scaled(values: np.ndarray, image: Any) -> np.ndarray:
    wide, slope, intercept = _precision(image), image.dataobj.slope, image.dataobj.inter
    # scaled in double: a large intercept would eat the digits of a float32
    return values.astype(wide) if (slope, intercept) == (1, 0) else (values * float(slope) + intercept).astype(wide)


def grid(image: Any) -> str:
    """Shape, voxel size and place of an image, in words."""
    corners = np.array([image.affine[:3, 3], (image.affine @ [*(n - 1 for n in image.shape[:3]), 1])[:3]])
    steps = np.abs(np.linalg.norm(image.affine[:3, :3], axis=0)).round(3).tolist()
    low, high = (corner.round(2).tolist() for corner in corners)
    return f"{tuple(image.shape[:3])} of {steps} mm from {low} to {high} mm"


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
