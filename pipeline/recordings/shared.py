"""What all runs of one person share: the voxels that every mask holds, and the place that heads are moved to."""

from pathlib import Path
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Shaped

from pipeline.problems import Problem, StudyError
from pipeline.recordings import raw
from pipeline.recordings.base import problem
from pipeline.recordings.images import voxels
from pipeline.recordings.masks import Masking, in_every_run, mask_of
from pipeline.recordings.scans import Scan, kind_of, scans_of
from pipeline.runs import Run
from pipeline.space import Space


class Shared(NamedTuple):
    """`inside`: the voxels that are targets, None for surfaces; `reference`: the head that raw volumes are moved onto."""

    inside: Bool[np.ndarray, "x y z"] | None
    reference: Float[np.ndarray, "x y z"] | None = None
    told: tuple[Problem, ...] = ()

    def places(self, scan: Scan) -> Space:
        """Where the targets of a scan lie, place by place."""
        if self.inside is None:
            return scan.space
        return scan.space._replace(places=tuple(f"v{i}x{j}x{k}" for i, j, k in np.argwhere(self.inside)))


def shared_of(
    runs: list[Run], folder: Path, masking: Masking, *, realigned: bool, workers: int = 1, header_only: bool = False
) -> Shared:
    """Find it, from headers and masks; of raw images also from a first run's voxels, unless `header_only`."""
    if kind_of(runs[0].responses[0]) != "volume":
        return Shared(None)
    opened = {run.run: scans_of(run, folder)[0] for run in runs}
    _refuse_odd(opened, runs)
    first = opened[runs[0].run]
    if not realigned:
        inside, notes = _inside(runs, folder, masking, first)
        return Shared(inside, None, tuple(notes))
    if header_only:
        return Shared(None)
    reference = raw.reference_of(first, folder, runs[0], workers)
    return Shared(raw.inside_of(reference, first, folder, masking, runs[0]), reference)


def _refuse_odd(opened: dict[str, Scan], runs: list[Run]) -> None:
    grids = {run: scan.grid for run, scan in opened.items()}
    usual = max(set(grids.values()), key=list(grids.values()).count)
    odd = {run: grid for run, grid in grids.items() if grid != usual}
    if odd:
        found = "; ".join(f"{run}: {grid}" for run, grid in odd.items())
        raise StudyError(
            problem("E-FMRI-09", "runs differ in their voxels", runs[0], file=", ".join(opened[run].name for run in odd),
                    found=found, expected=f"{usual}, as in the other runs",
                    fix="choose images of one space and resolution (dataset.space, dataset.res), or leave the odd runs out")
        )  # fmt: skip


def _inside(
    runs: list[Run], folder: Path, masking: Masking, first: Scan
) -> tuple[Bool[np.ndarray, "x y z"], list[Problem]]:
    """The mask of the study, or the voxels that the masks of all runs hold."""
    if masking.parcels and not (masking.mask or any(run.mask for run in runs)):
        return np.ones(first.image.shape[:3], bool), []  # the parcels say which voxels count
    names = {masking.mask or run.mask: run for run in runs}
    masks = {name: mask_of(run, folder, name, first.image, resample=masking.resample) for name, run in names.items()}
    return in_every_run(masks, runs[0])


def smoothed(
    scan: Scan, volumes: Float[np.ndarray, "x y z sample"], inside: Bool[np.ndarray, "x y z"], fwhm_mm: float
) -> Shaped[np.ndarray, "sample voxel"]:
    """Smooth volume by volume, then take the voxels of the mask.

    A voxel with holes is 0 all the time, so that no neighbour sees it come
    and go; it keeps its holes.
    """
    from nibabel import Nifti1Image
    from nilearn.image import smooth_img

    whole = np.isfinite(volumes).all(axis=3)
    signals = np.empty((volumes.shape[3], int(inside.sum())), volumes.dtype)
    for row in range(volumes.shape[3]):
        image = Nifti1Image(np.where(whole, volumes[..., row], 0), scan.image.affine)
        signals[row] = np.asarray(smooth_img(image, fwhm_mm).dataobj)[inside]
    signals[:, ~whole[inside]] = np.nan
    return signals


def volumes_of(scan: Scan, folder: Path, run: Run) -> Float[np.ndarray, "x y z sample"]:
    """Every voxel of a presentation."""
    return voxels(scan.image, folder, scan.name, run)
