"""Planted motion is found and undone, and becomes the regressors and displacements that fMRIPrep would write."""

from typing import NamedTuple

import numpy as np
import pytest

from pipeline.datasets import simulate_heads
from pipeline.problems import StudyError
from pipeline.recordings.motion import Corrected, correct, expanded, framewise_displacement, matrix

pytestmark = pytest.mark.xdist_group("motion")  # one worker: the head in the fixture is scanned once

SHAPE, AFFINE = (64, 64, 36), np.array([[-3, 0, 0, 96.5], [0, 3, 0, -97.0], [0, 0, 3.6, -61.0], [0, 0, 0, 1.0]])
CENTRE = AFFINE[:3, :3] @ ((np.array(SHAPE) - 1) / 2) + AFFINE[:3, 3]
BRAIN, TSNR = 300, 60.0
PLANTED = np.array(
    [
        [0.3, 0, 0, 0, 0, 0],  # a tenth of a voxel
        [0.0, 0, 0, 0.3, 0, -0.3],
        [-1.2, 0.7, 0.4, 0.0, 0, 0],
        [0.0, 0, 0, 0, 0, 0],  # the middle volume, on which the first pass lays the others
        [0.0, 0, 0, 1.5, -2.0, 1.0],
        [2.0, -2.0, 2.0, 2.0, 2.0, -2.0],
        [-2.0, 1.1, -1.7, -0.4, 1.2, 2.0],
    ]
)


class Scanned(NamedTuple):
    volumes: np.ndarray
    brain: np.ndarray
    corrected: Corrected


def scan(motion: np.ndarray, shape: tuple[int, int, int] = SHAPE, affine: np.ndarray = AFFINE) -> np.ndarray:
    """A head that moves under coils that see one side better, with noise and a drift of 2 %."""
    rng, n = np.random.default_rng(1), len(motion)
    where, head = simulate_heads.Grid(shape, affine), simulate_heads.head()
    still = np.zeros((n, len(simulate_heads.PATCHES)))
    volumes = simulate_heads.volumes(head, where, simulate_heads.placement(rng), still, motion)
    coil = 1 + 0.3 * np.sin(simulate_heads.places(where)[..., 1] / 90)
    drift = np.linspace(1, 1.02, n)[:, None, None, None]
    sd = np.median(volumes[volumes > BRAIN]) / TSNR
    noisy = np.hypot(volumes * coil * drift + rng.normal(0, sd, volumes.shape), rng.normal(0, sd, volumes.shape))
    return np.moveaxis(noisy, 0, -1).astype(np.float32)


@pytest.fixture(scope="module")
def scanned() -> Scanned:
    volumes = scan(PLANTED)
    return Scanned(volumes, volumes.min(axis=3) > BRAIN, correct(volumes, AFFINE))


def test_planted_motion_is_found_within_a_tenth_of_a_millimetre_and_of_a_degree(scanned):
    assert np.abs(scanned.corrected.motion - PLANTED).max() < 0.1


def test_the_corrected_run_is_as_steady_as_its_noise(scanned):
    def steadiness(volumes: np.ndarray) -> float:
        brain = volumes[scanned.brain] / volumes[scanned.brain].mean(axis=0)
        return float(np.median(1 / brain.std(axis=1, ddof=1)))

    assert steadiness(scanned.volumes) < 0.6 * TSNR
    assert steadiness(scanned.corrected.volumes) > 0.9 * TSNR


def test_volumes_lie_on_the_reference(scanned):
    reference = scanned.corrected.reference[scanned.brain]
    before, after = (
        np.corrcoef(reference, v[scanned.brain].T)[0, 1:] for v in (scanned.volumes, scanned.corrected.volumes)
    )
    assert after.min() > 0.98 > 0.9 > before.min()
    assert scanned.corrected.volumes.dtype == np.float32


def test_a_place_beyond_the_edge_is_counted(scanned):
    """The middle of the top slice, half a voxel (1.8 mm) deep, leaves in the volume whose head moved up by 2 mm."""
    outside = scanned.corrected.outside
    assert outside[5:-5, 5:-5, 5:-5].max() == 0
    assert (outside[32, 32, -1], outside[32, 32, 0]) == (1, 0)


def coarse(motion: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Volumes of few voxels, for what does not hang on precision."""
    affine, shape = np.diag([7.0, 7.0, 7.0, 1.0]), (24, 28, 20)
    affine[:3, 3] = -3.5 * (np.array(shape) - 1)
    return scan(motion, shape, affine), affine


@pytest.mark.slow
def test_the_answer_is_the_same_however_many_share_the_work():
    volumes, affine = coarse(PLANTED[3:6])
    alone, shared = (correct(volumes, affine, workers=n) for n in (1, 2))
    for one, other in zip(alone, shared, strict=True):
        np.testing.assert_array_equal(one, other)


def test_a_given_reference_is_what_volumes_are_laid_on():
    """A run of another day: what lies 1 mm to the right of the reference is found there, in every volume."""
    volumes, affine = coarse(np.array([[0.0] * 6, [1.0, 0, 0, 0, 0, 0], [1.0, 0, 0, 0, 0, 0]]))
    found = correct(volumes[..., 1:], affine, reference=volumes[..., 0])
    np.testing.assert_allclose(found.motion[:, 0], 1, atol=0.1)
    np.testing.assert_array_equal(found.reference, volumes[..., 0])


def test_numbers_of_motion_mean_what_they_say():
    """Against scipy's rotations about fixed axes, x first; the centre itself is only shifted."""
    motion = np.array([1.0, -2.0, 3.0, 10.0, -20.0, 30.0])
    found = matrix(motion, AFFINE, SHAPE)
    np.testing.assert_allclose(found, simulate_heads.pose(motion, CENTRE), atol=1e-12)
    np.testing.assert_allclose(found @ [*CENTRE, 1], [*(CENTRE + motion[:3]), 1])


def test_displacement_is_the_sum_of_shifts_and_arcs():
    motion = np.array([[0.0] * 6, [1.0, -2.0, 0, 0, 0, 0], [1.0, -2.0, 0, 0, 0, np.rad2deg(0.01)]])
    np.testing.assert_allclose(framewise_displacement(motion), [np.nan, 3, 0.5])


@pytest.mark.parametrize(("terms", "strategy"), [(6, "basic"), (12, "derivatives"), (24, "full")])
def test_regressors_are_those_that_nilearn_makes_of_an_fmriprep_table(terms, strategy, tmp_path):
    from nilearn.interfaces.fmriprep import load_confounds

    motion = np.random.default_rng(0).normal(size=(30, 6))
    table = expanded(motion, 24)
    table.loc[0, [name for name in table if "derivative1" in name]] = np.nan  # n/a in fMRIPrep's files
    image = tmp_path / "sub-1_task-rest_desc-preproc_bold.nii.gz"
    image.touch()
    table.to_csv(tmp_path / "sub-1_task-rest_desc-confounds_timeseries.tsv", sep="\t", na_rep="n/a", index=False)
    image.with_name("sub-1_task-rest_desc-confounds_timeseries.json").write_text("{}")
    wanted, _ = load_confounds(str(image), strategy=("motion",), motion=strategy, demean=False)
    found = expanded(motion, terms)
    assert set(found) == set(wanted) and found.shape == (30, terms)
    np.testing.assert_allclose(found[list(wanted)], wanted, atol=1e-12)


def test_regressors_are_in_millimetres_and_radians():
    found = expanded(np.array([[0.0] * 6, [1.0, 2.0, 3.0, 180.0, 90.0, 45.0]]))
    np.testing.assert_allclose(found.loc[1, ["trans_z", "rot_x", "rot_x_power2"]], [3, np.pi, np.pi**2])
    np.testing.assert_allclose(found["trans_y_derivative1"], [2, 2])
    np.testing.assert_allclose(found["trans_y_derivative1_power2"], [4, 4])


@pytest.mark.parametrize(
    ("value", "code", "told"),
    [
        (np.nan, "E-FMRI-05", "1 of 4 volumes, such as number [3]"),
        (0, "E-FMRI-60", "1 of 4 volumes, such as number [3]"),
    ],
)
def test_a_volume_that_holds_no_head_is_named(value, code, told):
    volumes = np.random.default_rng(0).random((10, 10, 10, 4), np.float32)
    volumes[..., 2] = value
    with pytest.raises(StudyError) as error:
        correct(volumes, np.eye(4), file="bold.nii", subject="01")
    assert [(p.code, p.found, p.file, p.subject) for p in error.value.problems] == [(code, told, "bold.nii", "01")]


def test_a_slab_too_thin_for_rotations_is_refused():
    with pytest.raises(StudyError, match="E-FMRI-61"):
        correct(np.ones((64, 64, 3, 4), np.float32), np.eye(4))
