"""How the head moved during a run, and the run as if it had not; for images that no fMRIPrep has seen.

A volume is laid on a reference by DIPY, whose mutual information survives the
drift of a scanner and the shading of its coils. Neither slice timing nor the
bending of the field is corrected here.
"""

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from functools import partial
from multiprocessing import get_context
from typing import TYPE_CHECKING, Literal, NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int

from pipeline.problems import Problem, StudyError, shown

if TYPE_CHECKING:
    from pandas import DataFrame

HEAD_MM = 50.0  # from the middle of the head to its surface; Power et al. turn rotations into mm with it
AXES = ("trans_x", "trans_y", "trans_z", "rot_x", "rot_y", "rot_z")
TERMS = {6: ("",), 12: ("", "_derivative1"), 24: ("", "_derivative1", "_derivative1_power2", "_power2")}

_N_REFERENCE = 10  # volumes of the mean; one that was taken during a movement then weighs a tenth
_N_SAMPLES = 30_000  # points at which two volumes are compared: more cost time and find no more
_SMOOTHING = 0.7  # voxels; noise otherwise hides a tenth of a millimetre
_LEVELS = {"sigmas": [2, 0], "factors": [2, 1], "level_iters": [50, 50]}  # voxels; half the grid, then all of it
_PADDING = 3  # voxels; DIPY takes what lies outside an image for black
_FEWEST_VOXELS = 8  # along an axis; fewer do not tell a rotation from noise


class Corrected(NamedTuple):
    """A run laid on one reference.

    `motion` is where the head was in each volume against the reference: x, y, z
    in mm along the scanner's axes (right, front, top positive), then the
    rotations about them in degrees, right-handed. The head turns about the
    centre of the image's box, first about x, then y, then z, and then shifts;
    `matrix` writes this as a 4 x 4. About another point the same rotation
    would come with another shift.
    `outside` counts for each voxel the volumes in which its place lay beyond
    the image's edge; such values are the nearest voxel's.
    """

    volumes: Float[np.ndarray, "x y z volume"]
    motion: Float[np.ndarray, "volume 6"]
    reference: Float[np.ndarray, "x y z"]
    outside: Int[np.ndarray, "x y z"]


def correct(
    volumes: Float[np.ndarray, "x y z volume"],
    affine: Float[np.ndarray, "4 4"],
    *,
    reference: Float[np.ndarray, "x y z"] | None = None,
    workers: int = 1,
    file: str = "",
    subject: str = "",
) -> Corrected:
    """Find how the head moved, and resample every volume onto one reference.

    Without a reference it is the mean of ten volumes from all over the run,
    each laid on the middle one first: less noisy than any single volume, and
    not spoilt by a movement in one. Every volume starts from no motion, so that
    the answer does not depend on its neighbours, or on how many processes share
    the work. Beside the run only its corrected copy is held.

    Parameters
    ----------
    volumes : as the scanner wrote them; any float precision, memory-mapped or not.
    affine : voxel to mm.
    reference : a head on the same voxels, where several runs are to be laid on one.
    workers : processes, each with one thread; more than one needs a main
        module that can be imported without starting the work again.
    file, subject : whose image it is, for what is told of it.

    Returns
    -------
    Volumes in float32, by cubic splines: lines would blur a volume the more
    the further it lies off the grid, which looks like a signal that follows the motion.

    Raises
    ------
    StudyError : values that are not finite (E-FMRI-05), volumes without
        contrast (E-FMRI-60), images too thin (E-FMRI-61).
    """
    _check(volumes, {"file": file, "subject": subject})
    grid = _centred(affine, volumes.shape[:3])
    with _mapping(workers) as each:
        if reference is None:
            reference = _reference(volumes, grid, each)
        n = volumes.shape[3]
        # volume by volume in memory, as nibabel reads them: each is written in one piece
        out = np.empty(volumes.shape, np.float32, order="F")
        motion, outside = np.empty((n, 6)), np.zeros(volumes.shape[:3], np.int64)
        for i, laid in enumerate(each(partial(_laid, _aim(reference, grid)), _each_of(volumes, range(n)))):
            out[..., i], motion[i] = laid.volume, laid.motion
            outside += laid.outside
    return Corrected(out, motion, reference, outside)


def matrix(
    motion: Float[np.ndarray, " 6"], affine: Float[np.ndarray, "4 4"], shape: tuple[int, int, int]
) -> Float[np.ndarray, "4 4"]:
    """Where a point of the head (mm) lies after it moved by these six numbers: see `Corrected`."""
    centre = _centre(affine, shape)
    moved = np.eye(4)
    for axis, angle in enumerate(np.deg2rad(motion[3:])):
        moved[:3, :3] = _turn(axis, angle) @ moved[:3, :3]
    moved[:3, 3] = centre + motion[:3] - moved[:3, :3] @ centre
    return moved


def framewise_displacement(motion: Float[np.ndarray, "volume 6"]) -> Float[np.ndarray, " volume"]:
    """mm that the head moved since the volume before: shifts, and rotations as arcs on a sphere of 50 mm, summed.

    The first volume has none before it and is NaN, as in fMRIPrep's tables.

    References
    ----------
    Power et al. (2012), NeuroImage 59, 2142-2154.
    """
    steps = np.abs(np.diff(motion, axis=0))
    moved = steps[:, :3].sum(axis=1) + HEAD_MM * np.deg2rad(steps[:, 3:]).sum(axis=1)
    return np.concatenate([[np.nan], moved])


def expanded(motion: Float[np.ndarray, "volume 6"], terms: Literal[6, 12, 24] = 24) -> "DataFrame":
    """Regressors under fMRIPrep's names (mm and radians), so that one choice of confounds fits both routes.

    6 are the parameters, 12 also their differences from volume to volume, 24
    also the squares of both. The first difference, which is not known, repeats
    the second, as nilearn fills it.

    References
    ----------
    Friston et al. (1996), Magnetic Resonance in Medicine 35, 346-355; Satterthwaite et al. (2013), NeuroImage 64, 240-256.
    """
    import pandas as pd

    values = np.hstack([motion[:, :3], np.deg2rad(motion[:, 3:])])
    steps = np.diff(values, axis=0)
    steps = np.vstack([steps[:1], steps])
    known = {"": values, "_derivative1": steps, "_derivative1_power2": steps**2, "_power2": values**2}
    return pd.DataFrame({axis + term: known[term][:, i] for i, axis in enumerate(AXES) for term in TERMS[terms]})


# --- one volume


class _Aim(NamedTuple):
    """What every volume is laid on; worlds are centred and one unit is 50 mm, see `_centred`."""

    static: Float[np.ndarray, "x y z"]
    static_grid: Float[np.ndarray, "4 4"]
    grid: Float[np.ndarray, "4 4"]
    at_rest: Float[np.ndarray, "4 4"]  # what is found where nothing moved


class _Laid(NamedTuple):
    volume: Float[np.ndarray, "x y z"]
    motion: Float[np.ndarray, " 6"]
    outside: Bool[np.ndarray, "x y z"]


def _aim(reference: Float[np.ndarray, "x y z"], grid: Float[np.ndarray, "4 4"]) -> _Aim:
    """Without its outermost voxels, which a moved head soon has no values for.

    The search errs a little towards one side, always the same (some hundredths
    of a millimetre and of a degree). What it finds for the reference itself,
    which did not move, is this error, and is taken off every volume.
    """
    from scipy.ndimage import gaussian_filter

    reference = reference.astype(np.float32, copy=False)
    edge = np.minimum(2, np.array(reference.shape) // 16)
    static_grid = grid.copy()
    static_grid[:3, 3] += grid[:3, :3] @ edge
    inner = tuple(slice(k, n - k) for k, n in zip(edge, reference.shape, strict=True))
    aim = _Aim(gaussian_filter(reference, _SMOOTHING)[inner], static_grid, grid, np.eye(4))
    return aim._replace(at_rest=_found(aim, reference))


def _laid(aim: _Aim, volume: Float[np.ndarray, "x y z"]) -> _Laid:
    from scipy.ndimage import affine_transform

    volume = volume.astype(np.float32, copy=False)
    moved = _found(aim, volume) @ np.linalg.inv(aim.at_rest)
    pull = np.linalg.inv(aim.grid) @ moved @ aim.grid  # a voxel of the reference to its place in this volume
    laid = affine_transform(volume, pull[:3, :3], pull[:3, 3], output=np.float32, order=3, mode="nearest")
    places = np.tensordot(pull[:3, :3], np.indices(volume.shape), axes=1) + pull[:3, 3].reshape(3, 1, 1, 1)
    last = np.array(volume.shape).reshape(3, 1, 1, 1) - 1
    # a voxel was measured as far as its border, half a voxel beyond its centre
    outside = ((places < -0.5) | (places > last + 0.5)).any(axis=0)
    return _Laid(laid, _parameters(moved), outside)


def _found(aim: _Aim, volume: Float[np.ndarray, "x y z"]) -> Float[np.ndarray, "4 4"]:
    """Where a point of the reference lies in this volume, from twice coarse to fine.

    Points between the voxels are compared: on the voxels themselves mutual
    information is drawn to shifts that fit the grid.
    """
    from dipy.align.imaffine import AffineRegistration, MutualInformationMetric
    from dipy.align.transforms import RigidTransform3D
    from scipy.ndimage import gaussian_filter

    moving = np.pad(gaussian_filter(volume, _SMOOTHING), _PADDING, mode="edge")
    moving_grid = aim.grid.copy()
    moving_grid[:3, 3] -= aim.grid[:3, :3] @ np.full(3, _PADDING)
    metric = MutualInformationMetric(sampling_proportion=min(1.0, _N_SAMPLES / aim.static.size))
    search = AffineRegistration(metric=metric, verbosity=0, **_LEVELS)
    return search.optimize(
        aim.static, moving, RigidTransform3D(), None, static_grid2world=aim.static_grid, moving_grid2world=moving_grid
    ).affine


def _centred(affine: Float[np.ndarray, "4 4"], shape: tuple[int, ...]) -> Float[np.ndarray, "4 4"]:
    """The voxels' places around the box's centre in units of 50 mm: a radian then moves the head as far as a unit does.

    The search needs both to be alike in size; in mm from the scanner's centre
    it takes longer and ends further off.
    """
    grid = np.array(affine, float)
    grid[:3, 3] -= _centre(affine, shape)
    grid[:3] /= HEAD_MM
    return grid


def _centre(affine: Float[np.ndarray, "4 4"], shape: tuple[int, ...]) -> Float[np.ndarray, " 3"]:
    return affine[:3, :3] @ ((np.array(shape) - 1) / 2) + affine[:3, 3]


def _parameters(moved: Float[np.ndarray, "4 4"]) -> Float[np.ndarray, " 6"]:
    turns = [np.arctan2(moved[2, 1], moved[2, 2]), -np.arcsin(moved[2, 0]), np.arctan2(moved[1, 0], moved[0, 0])]
    return np.concatenate([HEAD_MM * moved[:3, 3], np.rad2deg(turns)])


def _turn(axis: int, angle: float) -> Float[np.ndarray, "3 3"]:
    turn = np.eye(3)
    a, b = (axis + 1) % 3, (axis + 2) % 3
    turn[a, a] = turn[b, b] = np.cos(angle)
    turn[b, a], turn[a, b] = np.sin(angle), -np.sin(angle)
    return turn


# --- the run


def _reference(
    volumes: Float[np.ndarray, "x y z volume"], grid: Float[np.ndarray, "4 4"], each: Callable[..., Iterable[_Laid]]
) -> Float[np.ndarray, "x y z"]:
    n = volumes.shape[3]
    chosen = np.linspace(0, n - 1, min(n, _N_REFERENCE)).round().astype(int).tolist()
    (middle,) = _each_of(volumes, [n // 2])
    total = np.zeros(middle.shape)
    for laid in each(partial(_laid, _aim(middle, grid)), _each_of(volumes, chosen)):
        total += laid.volume
    return (total / len(chosen)).astype(np.float32)


def _each_of(volumes: Float[np.ndarray, "x y z volume"], chosen: Iterable[int]) -> Iterator[np.ndarray]:
    """Views: a queue of them takes no memory, as converted volumes would."""
    return (volumes[..., i] for i in chosen)


@contextmanager
def _mapping(workers: int) -> Iterator[Callable[..., Iterable[_Laid]]]:
    """`map`, in this process or over several; one thread each, for the volumes fill the cores."""
    from threadpoolctl import threadpool_limits

    if workers == 1:
        with threadpool_limits(1):
            yield map
        return
    # fork would copy locks that other threads of this process hold
    with ProcessPoolExecutor(workers, get_context("spawn"), initializer=_one_thread) as pool:
        yield pool.map


def _one_thread() -> None:
    import dipy.align.imaffine  # noqa: F401  loads the libraries that the limit is for
    from threadpoolctl import threadpool_limits

    threadpool_limits(1)


def _check(volumes: Float[np.ndarray, "x y z volume"], whose: dict[str, str]) -> None:
    if min(volumes.shape[:3]) < _FEWEST_VOXELS:
        raise StudyError(
            Problem("E-FMRI-61", "images are too thin for motion to be found", found=f"shape {volumes.shape}",
                    expected=f"at least {_FEWEST_VOXELS} voxels along each axis", fix="give images whose motion was corrected", **whose)
        )  # fmt: skip
    # NaN and infinity reach the sum of a volume; no copy of it is made
    spread = np.array([[float(v.sum(dtype=float)), float(np.ptp(v))] for v in np.moveaxis(volumes, 3, 0)])
    holes, flat = ~np.isfinite(spread).all(axis=1), spread[:, 1] == 0
    if holes.any():
        raise StudyError(
            Problem("E-FMRI-05", "images hold NaN or infinite values, across which no motion can be corrected",
                    found=_some(holes), expected="what the scanner wrote", fix="export the images again", **whose)
        )  # fmt: skip
    if flat.any():
        raise StudyError(
            Problem("E-FMRI-60", "volumes hold one value throughout", found=_some(flat), expected="a head in each",
                    why="a scan that was broken off ends in empty volumes", fix="cut these volumes off the image", **whose)
        )  # fmt: skip


def _some(bad: Bool[np.ndarray, " volume"]) -> str:
    return f"{bad.sum()} of {bad.size} volumes, such as number {shown((np.flatnonzero(bad)[:3] + 1).tolist())}"
