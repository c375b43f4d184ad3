"""Presentations of a run, opened: volumes, surfaces or CIFTI, with one face."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Bool, Shaped

from pipeline.problems import Problem, StudyError
from pipeline.recordings.base import problem
from pipeline.recordings.images import grid, inside_of, opened_over_time
from pipeline.recordings.spacing import Spacing, spacing_of
from pipeline.recordings.surfaces import opened_cifti, opened_surface, space_label
from pipeline.runs import Run
from pipeline.space import Space

FEWEST_VOLUMES = 30


class Scan(NamedTuple):
    """One presentation of which the header was read and no value.

    `image` is the nibabel image of a volume and None for surfaces; `read`
    gives the time series of the places in `inside` (of all, for surfaces).
    """

    name: str
    n_samples: int
    spacing: Spacing
    grid: str
    space: Space
    image: Any
    warnings: tuple[Problem, ...]
    read: Callable[[Bool[np.ndarray, "x y z"] | None], Shaped[np.ndarray, "sample place"]]


def kind_of(name: str) -> str:
    """How the places of a file lie: volume, surface or cifti."""
    return "surface" if name.endswith(".gii") else "cifti" if name.endswith(".dtseries.nii") else "volume"


def scans_of(run: Run, folder: Path) -> list[Scan]:
    """Open every presentation of a run; they must have the same length, places and spacing."""
    scans = [_OPENED[kind_of(name)](folder, name, run) for name in run.responses]
    together = ", ".join(run.responses)
    if len({(scan.grid, scan.n_samples) for scan in scans}) > 1:
        found = "; ".join(f"{scan.n_samples} volumes on {scan.grid}" for scan in scans)
        raise StudyError(
            problem("E-FMRI-09", f"presentations of run {run.run} differ in shape or place", run, file=together, found=found,
                    expected="the same voxels and volumes", fix="trim them alike, or give them run labels of their own")
        )  # fmt: skip
    if scans[0].n_samples < FEWEST_VOLUMES:
        raise StudyError(
            problem("E-FMRI-16", "a run is too short to be scored", run, found=f"{scans[0].n_samples} volumes",
                    expected=f"at least {FEWEST_VOLUMES}", fix="leave the run out")
        )  # fmt: skip
    spacings = [scan.spacing.tr_s for scan in scans]
    if max(spacings) - min(spacings) > 1e-3:
        raise StudyError(
            problem("E-FMRI-10", f"presentations of run {run.run} differ in TR", run, file=together,
                    found=f"{spacings} s", expected="one TR", fix="give them run labels of their own")
        )  # fmt: skip
    return scans


def _volume(folder: Path, name: str, run: Run) -> Scan:
    image = opened_over_time(folder, name, run)
    affine = tuple(tuple(row) for row in np.asarray(image.affine, float).tolist())
    return Scan(
        name, image.shape[3], spacing_of(_header_tr(image), folder, name, run), grid(image),
        Space("volume", space_label(name, run), tuple(int(n) for n in image.shape[:3]), affine), image, (),
        lambda inside: inside_of(image, folder, name, inside, run),
    )  # fmt: skip


def _header_tr(image: Any) -> float | None:
    """0 is how NIfTI says "not known"; the header is float32, so 0.72 is 0.7200000286 without rounding."""
    unit = {"msec": 1e-3, "usec": 1e-6}.get(image.header.get_xyzt_units()[1], 1.0)
    return round(float(image.header.get_zooms()[3]) * unit, 6) or None


def _surface(folder: Path, name: str, run: Run) -> Scan:
    return _placed(opened_surface(folder, name, run), folder, name, run)


def _cifti(folder: Path, name: str, run: Run) -> Scan:
    return _placed(opened_cifti(folder, name, run), folder, name, run)


def _placed(found: Any, folder: Path, name: str, run: Run) -> Scan:
    where = f"{len(found.space.places)} places of {found.space.kind} {found.space.name}".strip()
    spacing = spacing_of(found.tr_s, folder, name, run)
    return Scan(name, found.n_samples, spacing, where, found.space, None, found.warnings, lambda inside: found.read())


_OPENED: dict[str, Callable[[Path, str, Run], Scan]] = {"volume": _volume, "surface": _surface, "cifti": _cifti}
