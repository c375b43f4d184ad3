"""The honest minimal route for images that no fMRIPrep has seen: heads held still, and what that leaves undone."""

from pathlib import Path
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float

from pipeline.problems import Problem
from pipeline.recordings import motion, registration
from pipeline.recordings.base import problem
from pipeline.recordings.confounds import MOVED, SUFFIXES, Confounds, Strategy
from pipeline.recordings.images import opened, voxels
from pipeline.recordings.masks import Masking, mask_of
from pipeline.recordings.scans import Scan
from pipeline.runs import Run

_REFERENCE_VOLUMES = 10  # enough to average the noise away; from all over the run, for the first are not steady yet


class Moved(NamedTuple):
    """A presentation with the head held still, and where it had been: x y z in mm, rotations in degrees."""

    volumes: Float[np.ndarray, "x y z sample"]
    motion: Float[np.ndarray, "sample 6"]


def reference_of(scan: Scan, folder: Path, run: Run, workers: int) -> Float[np.ndarray, "x y z"]:
    """The head that every run of a person is moved onto: the mean of some volumes of one run, laid on each other."""
    whole = voxels(scan.image, folder, scan.name, run)
    some = whole[..., np.unique(np.linspace(0, scan.n_samples - 1, _REFERENCE_VOLUMES).round().astype(int))]
    return motion.correct(some, scan.image.affine, workers=workers, file=scan.name, subject=run.subject).reference


def moved(scan: Scan, reference: Float[np.ndarray, "x y z"], folder: Path, run: Run, workers: int) -> Moved:
    """Move every volume of a presentation onto the reference."""
    found = motion.correct(
        voxels(scan.image, folder, scan.name, run), scan.image.affine, reference=reference, workers=workers,
        file=scan.name, subject=run.subject,
    )  # fmt: skip
    return Moved(found.volumes, found.motion)


def inside_of(
    reference: Float[np.ndarray, "x y z"], scan: Scan, folder: Path, masking: Masking, run: Run
) -> Bool[np.ndarray, "x y z"]:
    """The mask that was named, brought from template space where it lies there; else what looks like brain."""
    name = masking.mask or run.mask
    if name and masking.space == "template":
        return registration.template_mask_in(reference, scan.image.affine, opened(folder, name, run), run) > 0
    if name:
        return mask_of(run, folder, name, scan.image, resample=masking.resample)
    return registration.epi_mask(reference, scan.image.affine, run)


def confounds_of(found: Moved, strategy: Strategy, inside: Bool[np.ndarray, "x y z"]) -> Confounds:
    """The same components as from an fMRIPrep table, as far as they can be had without tissue maps.

    `motion` as there; `compcor` from the voxels of highest variance; `scrub`
    by framewise displacement. White matter, fluid and the cosines are absent.
    """
    from nilearn.signal import high_variance_confounds

    n = len(found.motion)
    columns, names = [np.zeros((n, 0))], []
    if "motion" in strategy.components:
        chosen = [axis + suffix for suffix in SUFFIXES[strategy.motion] for axis in motion.AXES]
        columns, names = [*columns, motion.expanded(found.motion)[chosen].to_numpy(float)], [*names, *chosen]
    if "compcor" in strategy.components:
        columns.append(high_variance_confounds(found.volumes[inside].T, n_confounds=strategy.n_compcor))
        names += [f"high_variance_{i:02d}" for i in range(strategy.n_compcor)]
    signal = found.volumes[inside].mean(axis=0)
    if "global_signal" in strategy.components:
        columns, names = [*columns, signal[:, None]], [*names, "global_signal"]
    fd = motion.framewise_displacement(found.motion)
    dropped = {MOVED: _scrubbed(fd, strategy)} if "scrub" in strategy.components else {}
    return Confounds(
        np.hstack(columns),
        tuple(names),
        {reason: v for reason, v in dropped.items() if v.any()},
        fd,
        None,
        found.motion,
    )


def _scrubbed(fd_mm: Float[np.ndarray, " sample"], strategy: Strategy) -> Bool[np.ndarray, " sample"]:
    """Volumes in which the head moved too far, and what is left in short pieces between them."""
    out = np.nan_to_num(fd_mm) > strategy.fd_threshold_mm
    edges = np.flatnonzero(np.diff(np.r_[True, out, True]))
    for start, stop in zip(edges[::2], edges[1::2], strict=True):
        out[start:stop] |= stop - start < strategy.shortest_stretch
    return out


def no_tissue(strategy: Strategy, run: Run) -> list[Problem]:
    """What the strategy asks for and only fMRIPrep can give."""
    asked = [c for c in strategy.components if c in ("wm_csf", "high_pass")]
    if not asked:
        return []
    return [
        problem("W-FMRI-44", "some confounds need fMRIPrep and are left out", run, field="confounds", found=", ".join(asked),
                why="there are no maps of white matter and fluid for raw images", fix="leave them out, or run fMRIPrep")
    ]  # fmt: skip
