"""Recordings on the cortical surface: GIFTI time series of one or both hemispheres, and CIFTI's grayordinates."""

import math
import re
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float

from pipeline.problems import Problem, StudyError, shown
from pipeline.recordings import cifti, gifti
from pipeline.recordings.base import problem
from pipeline.runs import Run
from pipeline.space import HEMISPHERES, Space, vertex_names

_LONGEST_TR_S = 60.0  # more is told in milliseconds
_MESHES = {"fsaverage": 163842, "fsaverage7": 163842, "fsaverage6": 40962, "fsaverage5": 10242, "fsaverage4": 2562, "fsaverage3": 642}  # fmt: skip
_SIDE = re.compile(r"(?<![A-Za-z0-9])(?:hemi-([LR])|([lr])h)(?![A-Za-z0-9])")
_ANATOMY = {"CortexLeft": "L", "CortexRight": "R"}
_NO_SERIES = ("NIFTI_INTENT_POINTSET", "NIFTI_INTENT_TRIANGLE", "NIFTI_INTENT_LABEL")


class Surface(NamedTuple):
    """One presentation, of which only the head was read; `read` brings (sample, place) as float32.

    Every vertex of the mesh is a place, measured or not, so that runs have
    the same ones. `files` are all files it is made of, `tr_s` is None where
    no file tells it.
    """

    n_samples: int
    tr_s: float | None
    space: Space
    files: tuple[str, ...]
    read: Callable[[], np.ndarray]
    warnings: tuple[Problem, ...] = ()


def opened_surface(folder: Path, name: str, run: Run) -> Surface:
    """A GIFTI time series: one array per volume, or one of vertices by volumes.

    A left hemisphere brings the right one along where that file exists; one
    alone is read and said.
    """
    files = (name, other) if (other := partner(name)) and (folder / other).is_file() else (name,)
    heads = [_head(folder, file, run) for file in files]
    if len({head.n_samples for head in heads}) > 1:
        raise StudyError(
            problem("E-FMRI-09", "the hemispheres differ in their number of volumes", run, file=", ".join(files),
                    found=" and ".join(str(head.n_samples) for head in heads), expected="the same", fix="project both from the same image")
        )  # fmt: skip
    n_vertices = {head.side: head.n_vertices for head in heads}
    names = [vertex_names(side, np.arange(n)) for side, n in n_vertices.items()]
    places = tuple(place for side in names for place in side)
    space = Space("surface", space_label(name, run), n_vertices=n_vertices, places=places)
    _check_mesh(space, files, run)
    read = partial(_values, folder, files, run, heads)
    steps = [head.tr_s for head in heads if head.tr_s is not None]
    return Surface(heads[0].n_samples, steps[0] if steps else None, space, files, read, _alone(files, heads, run))


def opened_cifti(folder: Path, name: str, run: Run) -> Surface:
    """A CIFTI dense series: (time, grayordinate), its step told by the file."""
    image = cifti.opened(folder, name, run)
    series, models = cifti.axes(image, ("SeriesAxis", "BrainModelAxis"), name, run)
    space = cifti.space(models, space_label(name, run), name, run)
    if series.unit != "SECOND":
        raise StudyError(
            problem("E-FMRI-13", "a series is not one over time", run, file=name, field="SeriesUnit", found=str(series.unit),
                    expected="SECOND", fix="name the time series of the run")
        )  # fmt: skip
    tr_s = round(float(series.step), 6) if series.step > 0 else None
    return Surface(len(series), tr_s, space, (name,), partial(_matrix, folder, name, run))


def side_of(name: str) -> str:
    """The hemisphere that a file's name tells ("L", "R"), empty where it tells none."""
    found = _SIDE.search(Path(name).name)
    return (found[1] or found[2]).upper() if found else ""


def on_side(name: str, side: str) -> str:
    """The name of the same file of this hemisphere: `hemi-L` and `lh` become `hemi-R` and `rh`."""
    path = Path(name)
    there = _SIDE.sub(lambda found: f"hemi-{side}" if found[1] else f"{side.lower()}h", path.name)
    return name.removesuffix(path.name) + there


def partner(name: str) -> str:
    """The right hemisphere that a left one brings along, whether or not it exists; empty for any other file."""
    return on_side(name, "R") if side_of(name) == "L" else ""


def space_label(name: str, run: Run) -> str:
    """The BIDS label of the space: the run's, or what the file's name tells."""
    found = re.search(r"(?:^|_)space-([A-Za-z0-9]+)", Path(name).name)
    return run.space or (found[1] if found else "")


class _Head(NamedTuple):
    """What a GIFTI time series says of itself."""

    side: str
    n_vertices: int
    n_samples: int
    tr_s: float | None


def _head(folder: Path, name: str, run: Run) -> _Head:
    from nibabel.nifti1 import data_type_codes, intent_codes

    image, n_arrays = gifti.head(folder, name, run)
    first = image.darrays[0] if image.darrays else None
    intent = intent_codes.niistring[first.intent] if first else "no array"
    dims = tuple(first.dims) if first else ()
    n_vertices, n_samples = (dims[0], math.prod(dims[1:])) if n_arrays == 1 and dims else (math.prod(dims), n_arrays)
    wide = len(dims) > 2 or (n_arrays > 1 and math.prod(dims[1:]) != 1)
    if intent in _NO_SERIES or n_samples < 2 or wide or not n_vertices:
        raise StudyError(
            problem("E-FMRI-13", "a surface over time is wanted", run, file=name, found=f"{n_arrays} arrays, {intent}, {dims}",
                    expected="one array per volume, or one (vertex, volume)", fix="name the time series, not the mesh or one map")
        )  # fmt: skip
    if (dtype := data_type_codes.dtype[first.datatype]).kind not in "fiu":
        raise StudyError(
            problem("E-FMRI-02", "values are no real numbers", run, file=name, found=str(dtype), expected="float or integer",
                    fix="save the magnitude as float32")
        )  # fmt: skip
    _check_size(n_vertices * n_samples, name, run)
    told = first.meta.get("TimeStep") or image.meta.get("TimeStep")
    return _Head(_side(image, name, run), n_vertices, n_samples, _seconds(told))


def _side(image: Any, name: str, run: Run) -> str:
    """The hemisphere that the file's name tells, which its metadata must not contradict."""
    anatomy = (
        image.meta.get("AnatomicalStructurePrimary") or image.darrays[0].meta.get("AnatomicalStructurePrimary") or ""
    )
    named, inside = side_of(name), _ANATOMY.get(anatomy, "")
    if not named or inside not in ("", named):
        raise StudyError(
            problem("E-FMRI-50", "name and content of a surface file contradict each other" if named else "nothing in the name says which hemisphere this is",
                    run, file=name, field="AnatomicalStructurePrimary", found=anatomy or "nothing", expected="hemi-L and CortexLeft, or hemi-R and CortexRight",
                    fix="rename the file, or write the structure into it: wb_command -set-structure")
        )  # fmt: skip
    return named


def _check_mesh(space: Space, files: tuple[str, ...], run: Run) -> None:
    """A mesh that everybody knows has the vertices that everybody knows; a person's own may differ between sides."""
    wanted = _MESHES.get(space.name)
    if wanted and set(space.n_vertices.values()) != {wanted}:
        raise StudyError(
            problem("E-FMRI-51", f"this is not the mesh {space.name}", run, file=", ".join(files),
                    found=", ".join(f"{n} vertices ({side})" for side, n in space.n_vertices.items()), expected=f"{wanted} vertices",
                    fix="mend the label `space`, or name the files of that space")
        )  # fmt: skip


def _check_size(n_values: int, name: str, run: Run) -> None:
    if not 0 < n_values <= gifti.MOST_VALUES:
        raise StudyError(
            problem("E-FMRI-03", "a file announces more values than any recording has", run, file=name, found=f"{n_values} values",
                    expected=f"at most {gifti.MOST_VALUES}", fix=gifti.AGAIN.format(name=name))
        )  # fmt: skip


def _alone(files: tuple[str, ...], heads: list[_Head], run: Run) -> tuple[Problem, ...]:
    if len(files) == len(HEMISPHERES):
        return ()
    missing = partner(files[0])
    said = {"L": "left", "R": "right"}[heads[0].side]
    return (problem("W-FMRI-50", f"only the {said} hemisphere is read", run, file=files[0],
                    found=f"no {missing}" if missing else "this file by itself",
                    fix="" if missing else "name the file hemi-L to read both"),)  # fmt: skip


def _values(folder: Path, files: tuple[str, ...], run: Run, heads: list[_Head]) -> Float[np.ndarray, "sample place"]:
    values = np.empty((heads[0].n_samples, sum(head.n_vertices for head in heads)), np.float32)
    start = 0
    for file, head in zip(files, heads, strict=True):
        _fill(values[:, start : start + head.n_vertices], gifti.read(folder, file, run).darrays, file, run)
        start += head.n_vertices
    return values


def _fill(values: Float[np.ndarray, "sample place"], arrays: list[Any], name: str, run: Run) -> None:
    """Write each volume into its row; what does not fit is told, not broadcast."""
    rows = [arrays[0].data.reshape(values.shape[1], -1).T] if len(arrays) == 1 else [array.data for array in arrays]
    sizes = {row.size for row in rows} if len(arrays) > 1 else {values.shape[1]}
    if sizes != {values.shape[1]}:
        raise StudyError(
            problem("E-FMRI-04", "volumes of a surface differ in their number of vertices", run, file=name, found=shown(sorted(sizes)),
                    expected=str(values.shape[1]), fix=gifti.AGAIN.format(name=name))
        )  # fmt: skip
    if len(arrays) == 1:
        values[:] = rows[0]
        return
    for t, row in enumerate(rows):
        values[t] = row.ravel()


def _matrix(folder: Path, name: str, run: Run) -> Float[np.ndarray, "sample place"]:
    return np.asarray(cifti.opened(folder, name, run).dataobj).astype(np.float32, order="C")


def _seconds(told: str | None) -> float | None:
    """FreeSurfer writes milliseconds, others seconds, and 0 stands for "not known"."""
    try:
        value = float(told or "nan")
    except ValueError:
        return None
    if not (math.isfinite(value) and value > 0):
        return None
    return round(value / 1000 if value > _LONGEST_TR_S else value, 6)
