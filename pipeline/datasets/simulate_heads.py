"""A head as a scanner sees it: shaped like a brain, moved as people move, with patches that answer to words."""

from functools import cache
from types import MappingProxyType
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Float32

# centre (mm of the template) and radius (mm) of what answers to words
PATCHES = MappingProxyType({"temporal": ((-54.0, -24.0, 2.0), 13.0), "frontal": ((-46.0, 24.0, 8.0), 11.0)})
AXES = ("trans_x", "trans_y", "trans_z", "rot_x", "rot_y", "rot_z")  # mm, mm, mm, degrees, degrees, degrees
MIDDLE_MM = (0.0, -17.0, 5.0)  # of the template's brain
_EDGE_MM, _FADED = 1.5, 1e-4  # over which a patch fades; to less than a quantum of the image
_FINE_MM = 2  # of the head from which volumes are drawn: half a voxel of theirs
_BLUR = 0.85  # fine voxels: 4 mm at half height, so that a voxel of 4 mm neither jags nor aliases
_ORDER = 2  # of the splines: 1 would blur more between the fine voxels than on them, and so favour some positions
_BRAIN, _GREY, _GREY_VALUE, _CONTRAST = (
    0.2,
    0.68,
    1000.0,
    1200.0,
)  # from the template's T1: fluid bright, white matter dark
_AIR = 1.0  # image units
_WALK_VOLUMES, _WALK, _JUMP, _JUMPS, _JITTER = 4.0, 0.6, 0.4, 3, 0.03  # of a motion whose largest value is about 1
_LARGEST = (0.5, 1.5)  # mm and degrees, drawn per axis
_SHIFT_MM, _TURN_DEG, _SIZE = 5.0, 4.0, (0.92, 0.98)  # people lie differently, and their heads are not the template


class Grid(NamedTuple):
    """Where voxels lie: `affine` takes indices to mm."""

    shape: tuple[int, int, int]
    affine: Float[np.ndarray, "4 4"]


class Head(NamedTuple):
    """Spline coefficients of an image of the head, and of its patches (0 to 1), in template space."""

    anatomy: Float32[np.ndarray, "x y z"]
    patches: Float32[np.ndarray, "patch x y z"]
    affine: Float[np.ndarray, "4 4"]
    box: tuple[slice, slice, slice]  # around all patches


def grid(shape: tuple[int, int, int], voxel_mm: float, middle: tuple[float, float, float] = (0.0, 0.0, 0.0)) -> Grid:
    """Voxels around a point (mm), axes towards right, front and top."""
    affine = np.diag([voxel_mm] * 3 + [1.0])
    affine[:3, 3] = np.array(middle) - voxel_mm * (np.array(shape) - 1) / 2
    return Grid(shape, affine)


def places(where: Grid) -> Float[np.ndarray, "x y z axis"]:
    """mm of every voxel's middle."""
    index = np.stack(np.indices(where.shape), axis=-1)
    return index @ where.affine[:3, :3].T + where.affine[:3, 3]


@cache
def head() -> Head:
    """nilearn's MNI152 template with the contrast of an EPI; it comes with nilearn, so nothing is fetched."""
    from nilearn.datasets import load_mni152_template
    from scipy.ndimage import find_objects, gaussian_filter

    template = load_mni152_template(resolution=_FINE_MM)
    t1 = template.get_fdata()
    brain = gaussian_filter((t1 > _BRAIN).astype(float), _BLUR)
    anatomy = gaussian_filter((t1 > _BRAIN) * (_GREY_VALUE + _CONTRAST * (_GREY - t1)), _BLUR)
    patches = brain[..., None] * profiles(places(Grid(t1.shape, template.affine)))
    box = find_objects((patches.max(axis=-1) > _FADED).astype(int))[0]
    return Head(_spline(anatomy), np.stack([_spline(p) for p in np.moveaxis(patches, -1, 0)]), template.affine, box)


def _spline(image: Float[np.ndarray, "x y z"]) -> Float32[np.ndarray, "x y z"]:
    from scipy.ndimage import spline_filter

    return spline_filter(image, _ORDER).astype(np.float32)


def profiles(mm: Float[np.ndarray, "*place axis"]) -> Float[np.ndarray, "*place patch"]:
    """How much of each patch is at a place of the template: 1 inside its sphere, 0 outside, a soft edge between."""
    distance = [np.linalg.norm(mm - np.array(centre), axis=-1) - radius for centre, radius in PATCHES.values()]
    return 1 / (1 + np.exp(np.clip(np.stack(distance, axis=-1) / _EDGE_MM, -50, 50)))


def sampled(
    image: Float32[np.ndarray, "x y z"], of: Head, where: Grid, world: Float[np.ndarray, "4 4"]
) -> Float32[np.ndarray, "i j k"]:
    """An image of the head on a grid, where `world` takes mm of the template to mm of the grid."""
    from scipy.ndimage import affine_transform

    index = np.linalg.inv(of.affine) @ np.linalg.inv(world) @ where.affine
    return affine_transform(image, index[:3, :3], index[:3, 3], where.shape, order=_ORDER, prefilter=False)


def volumes(
    of: Head,
    where: Grid,
    placed: Float[np.ndarray, "4 4"],
    courses: Float[np.ndarray, "volume patch"],
    motion: Float[np.ndarray, "volume 6"],
) -> Float32[np.ndarray, "volume x y z"]:
    """What is scanned: the head, its patches as bright as `courses` says, at its place in every volume.

    Each volume is sampled once from the fine head: neither the anatomy nor
    what the patches do is interpolated twice.
    """
    about = places(where).reshape(-1, 3).mean(axis=0)
    near = _near(of, where, placed)
    mm = places(where)[near].T
    out, image = np.zeros((len(motion), *where.shape), np.float32), of.anatomy.copy()
    for volume, course, moved in zip(out, courses.astype(np.float32), motion, strict=True):
        image[of.box] = of.anatomy[of.box] + np.tensordot(course, of.patches[:, *of.box], axes=1)
        volume[near] = _at(image, of, np.linalg.inv(pose(moved, about) @ placed), mm)
    return out


def _near(of: Head, where: Grid, placed: Float[np.ndarray, "4 4"]) -> Bool[np.ndarray, "i j k"]:
    """Where the head can come to be: outside of it, air need not be computed."""
    from scipy.ndimage import binary_dilation

    return binary_dilation(sampled(of.anatomy, of, where, placed) > _AIR, iterations=1)


def _at(
    image: Float32[np.ndarray, "x y z"], of: Head, world: Float[np.ndarray, "4 4"], mm: Float[np.ndarray, "3 place"]
) -> Float32[np.ndarray, " place"]:
    from scipy.ndimage import map_coordinates

    index = np.linalg.inv(of.affine) @ world
    return map_coordinates(image, index[:3, :3] @ mm + index[:3, 3:], order=_ORDER, prefilter=False)


def pose(moved: Float[np.ndarray, " 6"], about: Float[np.ndarray, " 3"]) -> Float[np.ndarray, "4 4"]:
    """Six numbers as a matrix of mm: what lay at x in the first volume lies at c + R (x - c) + t in this one.

    `moved` is in the order of AXES. R turns about the x axis first, then y,
    then z, axes that stay where they are (R = Rz Ry Rx), by the right-hand
    rule; `about`, c, is the middle of the image's bounding box.
    """
    from scipy.spatial.transform import Rotation

    matrix = np.eye(4)
    matrix[:3, :3] = Rotation.from_euler("xyz", moved[3:], degrees=True).as_matrix()
    matrix[:3, 3] = about + moved[:3] - matrix[:3, :3] @ about
    return matrix


def motion(rng: np.random.Generator, n_volumes: int) -> Float[np.ndarray, "volume 6"]:
    """How a head moves during a run, in the order of AXES: it drifts, trembles and jumps; 0 in the first volume."""
    from scipy.ndimage import gaussian_filter1d

    walk = gaussian_filter1d(np.cumsum(rng.standard_normal((n_volumes, 6)), axis=0), _WALK_VOLUMES, axis=0)
    walk *= _WALK / np.ptp(walk, axis=0)
    at = rng.integers(n_volumes // 8, n_volumes, _JUMPS)
    jumps = (np.arange(n_volumes)[:, None] >= at) @ (_JUMP * rng.choice([-1.0, 1.0], (_JUMPS, 6)))
    path = walk + jumps + _JITTER * rng.standard_normal((n_volumes, 6))
    path -= path[0]
    return path * rng.uniform(*_LARGEST, 6) / np.abs(path).max(axis=0)


def placement(rng: np.random.Generator) -> Float[np.ndarray, "4 4"]:
    """From mm of the template to mm of a scanner whose middle is 0, for one person: shifted, turned, a little smaller."""
    turn = pose(np.r_[rng.uniform(-_SHIFT_MM, _SHIFT_MM, 3), rng.uniform(-_TURN_DEG, _TURN_DEG, 3)], np.zeros(3))
    size = np.diag(np.append(rng.uniform(*_SIZE, 3), 1.0))
    middle = np.eye(4)
    middle[:3, 3] = -np.array(MIDDLE_MM)
    return turn @ size @ middle
