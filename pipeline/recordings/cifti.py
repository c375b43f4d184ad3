"""CIFTI files: grayordinates, which are vertices of the cortex and voxels of what lies below it."""

import struct
from pathlib import Path
from typing import Any

import numpy as np

from pipeline.problems import Problem, StudyError, shown
from pipeline.recordings.base import problem, told_of, why_unreadable
from pipeline.recordings.gifti import AGAIN
from pipeline.runs import Run
from pipeline.space import Space, rows, vertex_names, voxel_names
from pipeline.tables import missing_file

CORTEX = {"CIFTI_STRUCTURE_CORTEX_LEFT": "L", "CIFTI_STRUCTURE_CORTEX_RIGHT": "R"}
_HEADER = 540  # bytes of a NIfTI-2 header, which begins with this number
_OFFSET_AT = 168  # where it tells at which byte the values begin
_MOST_XML = 2**28  # bytes; the grayordinates of 91,282 places take one or two million


def opened(folder: Path, name: str, run: Run) -> Any:
    """A CIFTI-2 image whose header was read and whose file is as long as it says; no value is read."""
    import nibabel as nib

    path = folder / name
    if not path.is_file():
        raise StudyError(missing_file(path, name, "FMRI", {"subject": run.subject}))
    offset = _offset(path, name, run)
    try:
        image = nib.load(path)
    except _broken() as error:
        raise StudyError(_unreadable(path, name, run, str(error), offset)) from None
    if not isinstance(image, nib.Cifti2Image):
        raise StudyError(_unreadable(path, name, run, f"a {type(image).__name__}", 0))
    if image.get_data_dtype().kind not in "fiu":
        raise StudyError(
            problem("E-FMRI-02", "values are no real numbers", run, file=name, found=str(image.get_data_dtype()),
                    expected="float or integer", fix="save the magnitude as float32")
        )  # fmt: skip
    wanted = (
        image.dataobj.offset
        + int(np.prod([int(n) for n in image.shape], dtype=object)) * image.get_data_dtype().itemsize
    )
    if path.stat().st_size < wanted:
        raise StudyError(_cut(path, name, run, f"{wanted} bytes promised"))
    return image


def axes(image: Any, kinds: tuple[str, str], name: str, run: Run) -> tuple[Any, Any]:
    """Both axes of a matrix, of the kinds that are wanted, such as `SeriesAxis` and `BrainModelAxis`."""
    try:
        found = [image.header.get_axis(i) for i in range(len(image.shape))]
    except _broken() as error:
        raise StudyError(_strange(name, run, shown(str(error)))) from None
    if (
        tuple(type(axis).__name__ for axis in found) != kinds
        or tuple(map(len, found)) != tuple(image.shape)
        or 0 in image.shape
    ):
        told = " × ".join(f"{type(axis).__name__} ({len(axis)})" for axis in found)
        raise StudyError(
            problem("E-FMRI-13", "a CIFTI file is not of the kind that is wanted", run, file=name, found=f"{told}, values {image.shape}",
                    expected=" × ".join(kinds), fix="name the .dtseries.nii of a run, or the .dlabel.nii of its parcels")
        )  # fmt: skip
    return found[0], found[1]


def space(models: Any, label: str, name: str, run: Run) -> Space:
    """Where the places of a `BrainModelAxis` lie."""
    structures = [(structure, where) for structure, where, _ in models.iter_structures()]
    surfaces = set(map(str, models.nvertices))
    if strange := sorted(surfaces - set(CORTEX)):
        raise StudyError(_strange(name, run, f"surfaces {strange}"))
    n_vertices = {CORTEX[structure]: int(n) for structure, n in models.nvertices.items()}
    named = [
        vertex_names(CORTEX[str(structure)], models.vertex[where]) if structure in surfaces else voxel_names(models.voxel[where])
        for structure, where in structures
    ]  # fmt: skip
    places = tuple(place for names in named for place in names)
    _check_inside(models, name, run)
    if len(set(places)) < len(places):
        raise StudyError(_strange(name, run, f"{len(places) - len(set(places))} places appear twice"))
    has_voxels = not models.surface_mask.all()
    return Space(
        "cifti", label, shape=tuple(int(n) for n in models.volume_shape) if has_voxels else None,
        affine=rows(models.affine) if has_voxels else None, n_vertices=n_vertices,
        structures=tuple((str(structure), len(names)) for (structure, _), names in zip(structures, named, strict=True)), places=places,
    )  # fmt: skip


def _check_inside(models: Any, name: str, run: Run) -> None:
    """Places lie on the mesh and in the volume that the file announces."""
    surface = models.surface_mask
    sizes = np.array([models.nvertices.get(structure, 0) for structure in models.name[surface]], dtype=float)
    outside = int(np.sum((models.vertex[surface] >= sizes) | (models.vertex[surface] < 0)))
    if not surface.all():
        voxels = models.voxel[~surface]
        outside += int(np.sum((voxels < 0).any(axis=1) | (voxels >= np.array(models.volume_shape)).any(axis=1)))
    if outside:
        raise StudyError(_strange(name, run, f"{outside} places outside the mesh or the volume"))


def _offset(path: Path, name: str, run: Run) -> int:
    """Where the values begin; 0 for what is no NIfTI-2. What lies before them must be there and declare no entity."""
    with path.open("rb") as file:
        start = file.read(_HEADER)
        order = next((o for o in "<>" if len(start) >= 4 and struct.unpack(f"{o}i", start[:4])[0] == _HEADER), "")
        if not order:
            return 0
        (offset,) = (
            struct.unpack(f"{order}q", start[_OFFSET_AT : _OFFSET_AT + 8]) if len(start) == _HEADER else (_HEADER,)
        )
        if path.stat().st_size < max(offset, _HEADER):
            raise StudyError(_cut(path, name, run, f"the header alone has {offset} bytes"))
        if not _HEADER <= offset <= _MOST_XML:
            raise StudyError(_strange(name, run, f"values begin at byte {offset}"))
        # expat opens no other file and limits what entities unfold to; no CIFTI has any
        if b"<!ENTITY" in file.read(offset - _HEADER):
            raise StudyError(_strange(name, run, "XML entities are declared"))
    return offset


def _broken() -> tuple[type[Exception], ...]:
    """What nibabel raises for headers that are not what they should be."""
    from xml.parsers.expat import ExpatError

    from nibabel.cifti2 import Cifti2HeaderError
    from nibabel.filebasedimages import ImageFileError
    from nibabel.spatialimages import HeaderDataError

    return (
        ImageFileError, HeaderDataError, Cifti2HeaderError, ExpatError, OSError, EOFError, ValueError, TypeError, KeyError,
        AttributeError, IndexError, AssertionError, OverflowError,
    )  # fmt: skip


def _unreadable(path: Path, name: str, run: Run, found: str, offset: int) -> Problem:
    if offset:
        return problem("E-FMRI-04", "a CIFTI file is damaged inside", run, file=name, found=told_of(path, name, found),
                       why="its header tells of no CIFTI matrix that can be read", fix=AGAIN.format(name=name))  # fmt: skip
    return problem("E-FMRI-03", "this is no CIFTI file", run, file=name, found=told_of(path, name, found),
                   expected=".dtseries.nii or .dlabel.nii", why=why_unreadable(path), fix=AGAIN.format(name=name))  # fmt: skip


def _cut(path: Path, name: str, run: Run, found: str) -> Problem:
    return problem("E-FMRI-01", "a CIFTI file ends before its last value", run, file=name, found=told_of(path, name, found),
                   why="it was cut off while it was copied", fix=AGAIN.format(name=name))  # fmt: skip


def _strange(name: str, run: Run, found: str) -> Problem:
    return problem("E-FMRI-04", "a CIFTI header tells of something that is not read", run, file=name, found=found,
                   expected="vertices of the cortex and voxels, each once, inside the mesh and the volume",
                   fix="write it anew with wb_command or nibabel")  # fmt: skip
