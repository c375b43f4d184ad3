"""The template's regions are found in a head that lies elsewhere, is turned, smaller, and of another contrast."""

import nibabel as nib
import numpy as np
import pytest
from nilearn.datasets import load_mni152_brain_mask, load_mni152_template
from scipy.ndimage import affine_transform, gaussian_filter

from pipeline.datasets.simulate_heads import pose
from pipeline.problems import StudyError
from pipeline.recordings.registration import epi_mask, template_mask_in
from pipeline.runs import Run

pytestmark = pytest.mark.xdist_group("registration")  # one worker: the head in the fixture is laid on the template once

SHAPE, AFFINE = (48, 56, 40), np.diag([4.0, 4.0, 4.0, 1.0])
AFFINE[:3, 3] = -2.0 * (np.array(SHAPE) - 1)  # the middle of the box is 0
RUN = Run("01", "story1", "fmri", ("sub-01/func/bold.nii.gz",), "words.tsv")
# mm of the template to mm of the run: smaller, turned, its middle moved from (0, -17, 10) to (12, -9, 5)
WORLD = pose(np.array([12.0, -9, 5, 7.0, -5, 6]), np.zeros(3)) @ np.diag([0.94, 0.9, 1.05, 1])
WORLD[:3, 3] -= WORLD[:3, :3] @ [0, -17, 10]
LABELS = nib.Nifti1Image(
    np.where(load_mni152_brain_mask(resolution=2).get_fdata() > 0, 1 + (np.arange(99) > 49)[:, None, None], 0).astype(
        np.int16
    ),
    load_mni152_brain_mask(resolution=2).affine,
)


def in_the_run(values: np.ndarray, order: int) -> np.ndarray:
    """What lies on the template's voxels of 2 mm, where the planted shift, turn and scale put it."""
    pull = np.linalg.inv(LABELS.affine) @ np.linalg.inv(WORLD) @ AFFINE
    return affine_transform(values, pull[:3, :3], pull[:3, 3], output_shape=SHAPE, order=order)


@pytest.fixture(scope="module")
def reference() -> np.ndarray:
    """Fluid bright, white matter dark, as in an EPI; blurred, with noise and a little scalp."""
    t1, brain = load_mni152_template(resolution=2).get_fdata(), LABELS.get_fdata() > 0
    contrast = gaussian_filter(np.where(brain, 1.35 - 0.8 * t1 / t1[brain].max(), 0.1), 0.85)
    rng = np.random.default_rng(0)
    return np.hypot(in_the_run(1000 * contrast, 1) + rng.normal(0, 15, SHAPE), rng.normal(0, 15, SHAPE))


@pytest.fixture(scope="module")
def found(reference) -> np.ndarray:
    return template_mask_in(reference, AFFINE, LABELS, RUN)


def dice(a: np.ndarray, b: np.ndarray) -> float:
    return 2 * (a & b).sum() / (a.sum() + b.sum())


def test_the_brain_of_the_template_is_found_where_it_was_put(found):
    truth = in_the_run(LABELS.get_fdata(), 0)
    assert dice(truth > 0, LABELS.get_fdata()[: SHAPE[0], : SHAPE[1], : SHAPE[2]] > 0) < 0.8  # it did move
    assert dice(found > 0, truth > 0) >= 0.98


@pytest.mark.parametrize("label", [1, 2])
def test_left_stays_left_and_labels_stay_whole(found, label):
    assert set(np.unique(found)) == {0, 1, 2}
    assert dice(found == label, in_the_run(LABELS.get_fdata(), 0) == label) >= 0.97


def test_the_mask_of_an_epi_is_its_brain(reference):
    assert dice(epi_mask(reference, AFFINE), in_the_run(LABELS.get_fdata(), 0) > 0) >= 0.95


@pytest.mark.parametrize("image", [np.zeros(SHAPE), np.full(SHAPE, 7.0), np.random.default_rng(0).random(SHAPE)])
def test_an_image_without_a_head_is_refused_by_name(image):
    with pytest.raises(StudyError) as error:
        epi_mask(image, AFFINE, RUN)
    assert [(p.code, p.file, p.subject) for p in error.value.problems] == [("E-FMRI-07", RUN.responses[0], "01")]


def test_what_is_no_brain_is_not_laid_on_the_template():
    rod = np.zeros(SHAPE)
    rod[21:27, 25:31] = 1000
    noise = np.random.default_rng(0).normal(0, 10, SHAPE)
    with pytest.raises(StudyError, match="E-FMRI-62"):
        template_mask_in(rod + noise, AFFINE, LABELS, RUN)
