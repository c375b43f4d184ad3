"""Where the brain lies in images that no fMRIPrep has seen, and where the template's regions lie in them."""

from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Bool, Float, Shaped

from pipeline.problems import Problem, StudyError
from pipeline.recordings.motion import HEAD_MM
from pipeline.runs import Run

if TYPE_CHECKING:
    from nibabel import Nifti1Image

FEWEST_COMMON = 0.6  # Dice of the template's brain and the image's: wrong sides or another organ stay below
LEAST_BRAIN = 0.01  # of the image; a head fills about a quarter
_TEMPLATE_MM = 3  # as fine as most runs
_N_SAMPLES = 30_000  # points at which the two images are compared
_LEVELS = {"sigmas": [3, 1, 0], "factors": [4, 2, 1], "level_iters": [200, 100, 50]}  # voxels


def template_mask_in(
    reference: Float[np.ndarray, "x y z"],
    affine: Float[np.ndarray, "4 4"],
    mask_img: "Nifti1Image",
    run: Run | None = None,
) -> Shaped[np.ndarray, "x y z"]:
    """Bring a mask or labels in the template's space onto the run's own voxels.

    The run stays as it was measured and the regions come to it, so that no
    voxel is interpolated. Twelve numbers (shift, turn, scale, shear) lay the
    brain on nilearn's MNI152 template; folds are not matched, so borders may
    be off by some millimetres.

    Parameters
    ----------
    reference : mean of the run's volumes, after correction of motion.
    affine : voxel to mm.
    mask_img : in MNI152 space, on any voxels.
    run : whose problem it is, where the brain cannot be laid on the template.

    Returns
    -------
    For each voxel the value of the nearest place of `mask_img`; 0 beyond it.

    Raises
    ------
    StudyError : the image and the template share less than 60 % after all (E-FMRI-62).
    """
    from nilearn.datasets import load_mni152_brain_mask

    inside = epi_mask(reference, affine, run)
    to_template = _onto_template(np.where(inside, reference, 0), affine)
    brain = _brought(load_mni152_brain_mask(resolution=_TEMPLATE_MM), to_template, inside.shape) > 0
    common = 2 * (brain & inside).sum() / max(1, brain.sum() + inside.sum())
    if common < FEWEST_COMMON:
        raise StudyError(
            _told("E-FMRI-62", "the run could not be laid on the MNI152 template", run,
                  found=f"{common:.0%} of the brain in common (Dice)", expected=f"at least {FEWEST_COMMON:.0%}",
                  why="the image shows little of the brain, or its header names the wrong directions",
                  fix="name a mask on the run's own voxels, or run fMRIPrep")
        )  # fmt: skip
    return _brought(mask_img, to_template, inside.shape)


def epi_mask(
    reference: Float[np.ndarray, "x y z"], affine: Float[np.ndarray, "4 4"], run: Run | None = None
) -> Bool[np.ndarray, "x y z"]:
    """What looks like brain in the mean of a run: nilearn's histogram method, holes filled, the largest piece.

    Raises
    ------
    StudyError : nothing looks like a head, brighter than its ground and no mere speck (E-FMRI-07).
    """
    import warnings

    from nibabel import Nifti1Image
    from nilearn.exceptions import MaskWarning
    from nilearn.masking import compute_epi_mask

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", MaskWarning)  # an empty mask is refused below
        found = compute_epi_mask(Nifti1Image(reference.astype(np.float32), affine))
    inside = np.asarray(found.dataobj) > 0
    if not _like_a_head(reference, inside):
        raise StudyError(
            _told("E-FMRI-07", "no brain was found in the mean of the run", run, field="mask", found=f"{inside.sum()} of {inside.size} voxels",
                  why="it shows no bright head before a dark ground", fix="name a mask image in column `mask`")
        )  # fmt: skip
    return inside


def _like_a_head(reference: Float[np.ndarray, "x y z"], inside: Bool[np.ndarray, "x y z"]) -> bool:
    """nilearn's mask of an image of one value is most of it, and of noise a few specks."""
    enough = LEAST_BRAIN < inside.mean() < 1
    return bool(enough and np.median(reference[inside]) > np.median(reference[~inside]))


def _onto_template(brain: Float[np.ndarray, "x y z"], affine: Float[np.ndarray, "4 4"]) -> Float[np.ndarray, "4 4"]:
    """From a voxel of the run to mm of the template: centres of mass, then shifts, then turns, then all twelve."""
    from dipy.align.imaffine import AffineRegistration, MutualInformationMetric, transform_centers_of_mass
    from dipy.align.transforms import AffineTransform3D, RigidTransform3D, TranslationTransform3D
    from nilearn.datasets import load_mni152_template

    template = load_mni152_template(resolution=_TEMPLATE_MM)
    image, brain = template.get_fdata(), brain.astype(float)
    # in units of a head's radius, in which a shift and a turn of 1 move its surface alike
    units = np.diag([1 / HEAD_MM] * 3 + [1.0])
    grids = (units @ affine, units @ template.affine)
    metric = MutualInformationMetric(sampling_proportion=min(1.0, _N_SAMPLES / brain.size))
    moved = transform_centers_of_mass(brain, grids[0], image, grids[1]).affine
    for transform in (TranslationTransform3D(), RigidTransform3D(), AffineTransform3D()):
        search = AffineRegistration(metric=metric, verbosity=0, **_LEVELS)
        moved = search.optimize(
            brain, image, transform, None,
            static_grid2world=grids[0], moving_grid2world=grids[1], starting_affine=moved,
        ).affine  # fmt: skip
    return np.linalg.inv(units) @ moved @ units @ affine


def _brought(
    image: "Nifti1Image", to_template: Float[np.ndarray, "4 4"], shape: tuple[int, ...]
) -> Shaped[np.ndarray, "x y z"]:
    from scipy.ndimage import affine_transform

    pull = np.linalg.inv(image.affine) @ to_template
    return affine_transform(np.asarray(image.dataobj), pull[:3, :3], pull[:3, 3], output_shape=shape, order=0)


def _told(code: str, summary: str, run: Run | None, **told: Any) -> Problem:
    where = {"file": run.responses[0], "subject": run.subject} if run else {}
    return Problem(code, summary, **where, **told)
