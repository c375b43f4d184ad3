"""Label images and their names: of voxels, of vertices and of grayordinates."""

import re
import struct
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Int, Shaped

from pipeline.problems import Problem, StudyError, shown
from pipeline.recordings import cifti, gifti
from pipeline.recordings.base import problem, told_of, why_unreadable
from pipeline.recordings.images import opened, voxels
from pipeline.recordings.surfaces import on_side, side_of
from pipeline.runs import Run
from pipeline.space import HEMISPHERES, Space, grid, vertices
from pipeline.tables import lacking, missing_file, read_text_table

_NOWHERE = re.compile(r"\?+|unknown|none|background.*|.*medial[ _-]?wall", re.IGNORECASE)
_NONE = -1
_MOST_LABEL = 2**24  # up to which float32, as which images are read, tells whole numbers apart


class Labels(NamedTuple):
    """The label of each place, 0 for none, and the names of all labels of the image, those of other places too."""

    of_place: Int[np.ndarray, " place"]
    names: Mapping[int, str]


def is_parcel(number: int, name: str) -> bool:
    """0 is no parcel, nor is what an atlas calls unknown or the medial wall."""
    return bool(number) and not _NOWHERE.fullmatch(name)


# ---- volumes


def of_volume(folder: Path, name: str, space: Space, inside: Bool[np.ndarray, "x y z"], run: Run) -> Labels:
    image = opened(folder, name, run)
    affine = np.array(space.affine)
    if tuple(image.shape) != space.shape or not np.allclose(image.affine, affine, atol=1e-3):
        raise StudyError(
            problem("E-FMRI-08", "parcels and images do not lie on the same voxels", run, file=name,
                    found=f"parcels {grid(image.shape, image.affine)}; images {grid(space.shape or (), affine)}",
                    expected="the same shape and affine", fix="resample the parcels onto the images first, nearest neighbour")
        )  # fmt: skip
    values = _whole(voxels(image, folder, name, run), name, run)
    present = [int(number) for number in np.unique(values)]
    told = _names_beside(folder, name, run)
    return Labels(values[inside], {number: told.get(number, f"p{number}") for number in present})


def _whole(values: Shaped[np.ndarray, "*shape"], name: str, run: Run) -> Int[np.ndarray, "*shape"]:
    """Labels as integers; what is no label image has other values."""
    bad = ~np.isfinite(values) | (values < 0) | (values != np.round(values)) | (values > _MOST_LABEL)
    if bad.any():
        raise StudyError(
            problem("E-FMRI-52", "this is no image of labels", run, file=name, found=f"{bad.sum()} values such as {values[bad][0]:g}",
                    expected="0 for none, and a whole number for each parcel", fix="name the discrete atlas (dseg), not a map of probabilities")
        )  # fmt: skip
    return values.astype(np.int32)


def _names_beside(folder: Path, name: str, run: Run) -> dict[int, str]:
    """Names from a table of the same name: `.tsv` with columns index and name, or `.txt` with both in each line."""
    stem = name.removesuffix(".gz").removesuffix(".nii")
    table, text = f"{stem}.tsv", f"{stem}.txt"
    if (folder / table).is_file():
        frame = read_text_table(folder / table, name=table, area="FMRI", subject=run.subject)
        if absent := lacking(frame, ("index", "name"), name=table, area="FMRI", subject=run.subject):
            raise StudyError(*absent)
        return _numbered(list(zip(frame["index"], frame["name"], strict=True)), table, run)
    if not (folder / text).is_file():
        return {}
    lines = (folder / text).read_text(encoding="utf-8-sig", errors="replace").splitlines()
    cells = [(*line.split(), "", "")[:2] for line in lines if line.strip() and not line.startswith("#")]
    return _numbered([(index, label) for index, label in cells], text, run)


def _numbered(lines: list[tuple[str, str]], name: str, run: Run) -> dict[int, str]:
    bad = [i for i, (index, label) in enumerate(lines) if not index.strip().isdecimal() or not label.strip()]
    if bad:
        raise StudyError(
            problem("E-FMRI-52", "a table of parcels has a line without number and name", run, file=name, field=f"line {bad[0] + 1} of the values",
                    found=shown(lines[bad[0]]), expected="index and name, such as: 12 IFGorb", fix="mend the line")
        )  # fmt: skip
    return {int(index): _tidy(label) for index, label in lines}


# ---- surfaces


def of_surface(folder: Path, name: str, space: Space, run: Run) -> Labels:
    """Labels of every hemisphere that has places; the file that was named must be there, its partner may be."""
    files = {side: on_side(name, side) for side in space.n_vertices} if side_of(name) else {}
    if not side_of(name):
        raise StudyError(
            problem("E-FMRI-50", "nothing says which hemisphere these labels are of", run, file=name, found=shown(Path(name).name),
                    expected="hemi-L or hemi-R, lh or rh in the name", fix="rename the file")
        )  # fmt: skip
    found = {
        side: _hemisphere(folder, file, space.n_vertices[side], run)
        for side, file in files.items()
        if file == name or (folder / file).is_file()
    }
    if not found:
        raise StudyError(missing_file(folder / name, name, "FMRI", {"subject": run.subject}))
    return _joined(found, space)


def _joined(found: Mapping[str, Labels], space: Space) -> Labels:
    """Both hemispheres under one set of numbers; where they share a name, all are told apart by L_ and R_."""
    named = [{label for n, label in labels.names.items() if is_parcel(n, label)} for labels in found.values()]
    shared = len(named) > 1 and bool(set.intersection(*named))
    sides, numbers = vertices(space.places)
    of_place, told = np.zeros(len(sides), dtype=int), {0: ""}
    for side, labels in found.items():
        shift = max(told)
        parcels = {
            n: f"{side}_{label}" if shared else label for n, label in labels.names.items() if is_parcel(n, label)
        }
        told |= {n + shift: label for n, label in parcels.items()}
        here = labels.of_place[numbers[sides == side]]
        of_place[sides == side] = np.where(np.isin(here, list(parcels)), here + shift, 0)
    return Labels(of_place, told)


def _hemisphere(folder: Path, name: str, n_vertices: int, run: Run) -> Labels:
    labels = _annotation(folder, name, run) if name.endswith(".annot") else _label_gifti(folder, name, run)
    if len(labels.of_place) != n_vertices:
        raise StudyError(
            problem("E-FMRI-51", "labels and images do not lie on the same mesh", run, file=name, found=f"{len(labels.of_place)} vertices",
                    expected=f"{n_vertices} vertices", fix="name the atlas of the space that the images are in")
        )  # fmt: skip
    return labels


def _label_gifti(folder: Path, name: str, run: Run) -> Labels:
    image = gifti.read(folder, name, run)
    if len(image.darrays) != 1:
        raise StudyError(_several(name, len(image.darrays), run))
    values = _whole(np.where(image.darrays[0].data == _NONE, 0, image.darrays[0].data).reshape(-1), name, run)
    told = {int(label.key): _tidy(label.label or "") for label in image.labeltable.labels}
    return Labels(values, {int(n): told.get(int(n)) or f"p{n}" for n in np.unique(values)})


def _annotation(folder: Path, name: str, run: Run) -> Labels:
    """FreeSurfer's annotation: the number of a label is its row in the table, and -1 none."""
    from nibabel.freesurfer import read_annot

    path = folder / name
    if not path.is_file():
        raise StudyError(missing_file(path, name, "FMRI", {"subject": run.subject}))
    try:
        with path.open("rb") as file:
            (announced,) = struct.unpack(">i", file.read(4))
        if not 0 < announced * 8 < path.stat().st_size:
            raise ValueError(f"{announced} vertices announced")
        rows, _, names = read_annot(path)
    except (struct.error, OSError, ValueError, IndexError, OverflowError, MemoryError, TypeError) as error:
        raise StudyError(_no_annotation(path, name, run, error)) from None
    told = [_tidy(label.decode("utf-8", "replace")) for label in names]
    # one is added, for row 0 may be a parcel and 0 is none
    return Labels(rows.astype(int) + 1, {row + 1: label for row, label in enumerate(told) if (rows == row).any()})


# ---- CIFTI


def of_cifti(folder: Path, name: str, space: Space, run: Run) -> Labels:
    image = cifti.opened(folder, name, run)
    labels, models = cifti.axes(image, ("LabelAxis", "BrainModelAxis"), name, run)
    if len(labels) != 1:
        raise StudyError(_several(name, len(labels), run))
    there = cifti.space(models, space.name, name, run)
    _check_grids(there, space, name, run)
    values = _whole(np.asarray(image.dataobj).reshape(-1), name, run)
    of_place = dict(zip(there.places, values.tolist(), strict=True))
    told = {int(key): _tidy(str(label)) for key, (label, _) in labels.label[0].items()}
    present = {int(n): told.get(int(n)) or f"p{n}" for n in np.unique(values)}
    return Labels(np.array([of_place.get(place, 0) for place in space.places], dtype=int), present)


def _check_grids(there: Space, space: Space, name: str, run: Run) -> None:
    """Vertices and voxels are matched by their numbers, which mean the same on the same mesh and grid only."""
    sides = [s for s in HEMISPHERES if s in there.n_vertices and s in space.n_vertices]
    off = [f"{there.n_vertices[s]} and {space.n_vertices[s]} vertices ({s})" for s in sides if there.n_vertices[s] != space.n_vertices[s]]  # fmt: skip
    if there.shape and space.shape:
        here, wanted = np.array(there.affine), np.array(space.affine)
        if there.shape != space.shape or not np.allclose(here, wanted, atol=1e-3):
            off.append(f"parcels {grid(there.shape, here)}; images {grid(space.shape, wanted)}")
    if off:
        raise StudyError(
            problem("E-FMRI-08", "parcels and images do not lie on the same grayordinates", run, file=name, found="; ".join(off),
                    expected="the same meshes and voxels", fix="name the atlas of the space that the images are in")
        )  # fmt: skip


def _several(name: str, n: int, run: Run) -> Problem:
    return problem("E-FMRI-54", "one map of labels is wanted", run, file=name, found=f"{n} maps", expected="1",
                   fix="keep one: wb_command -cifti-merge or -metric-merge with -column")  # fmt: skip


def _no_annotation(path: Path, name: str, run: Run, error: Exception) -> Problem:
    return problem("E-FMRI-03", "this is no FreeSurfer annotation", run, file=name, found=told_of(path, name, str(error)),
                   expected=".annot", why=why_unreadable(path), fix=gifti.AGAIN.format(name=name))  # fmt: skip


def _tidy(label: str) -> str:
    return " ".join(label.split())
