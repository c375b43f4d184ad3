"""Where targets lie in the brain: voxels of a grid, vertices of a mesh, or both as CIFTI orders them."""

import re
from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Any, Literal, NamedTuple

import numpy as np
from jaxtyping import Int, Num, Shaped

HEMISPHERES = ("L", "R")  # in this order wherever both are there


class Space(NamedTuple):
    """Where the targets of a recording lie.

    Places are named as targets are: `v12x3x40` a voxel by its indices,
    `L123` or `R123` a vertex of a hemisphere. Where places are averaged into
    parcels, `target_of` gives the target of each place, -1 for none; empty
    says that place i is target i.

    `name` is the BIDS label; `shape` and `affine` (mm) are those of the voxel
    grid; `n_vertices` of each hemisphere counts the whole mesh, measured or
    not; `structures` are CIFTI's brain models in the file's order, each with
    its number of places.
    """

    kind: Literal["volume", "surface", "cifti"]
    name: str = ""
    shape: tuple[int, int, int] | None = None
    affine: tuple[tuple[float, ...], ...] | None = None
    n_vertices: Mapping[str, int] = MappingProxyType({})
    structures: tuple[tuple[str, int], ...] = ()
    places: tuple[str, ...] = ()
    target_of: tuple[int, ...] = ()


def told(space: Space) -> dict[str, Any]:
    """The space as JSON can hold it; places and what became of them are told by the arrays beside it."""
    return {
        "kind": space.kind,
        "name": space.name,
        "shape": None if space.shape is None else list(space.shape),
        "affine": None if space.affine is None else [list(row) for row in space.affine],
        "n_vertices": dict(space.n_vertices),
        "structures": [list(structure) for structure in space.structures],
    }


def from_told(told: Mapping[str, Any], places: Iterable[str], target_of: Iterable[int] = ()) -> Space:
    """The space that `told` told."""
    shape, affine = told["shape"], told["affine"]
    return Space(
        kind=told["kind"],
        name=told["name"],
        shape=None if shape is None else (int(shape[0]), int(shape[1]), int(shape[2])),
        affine=None if affine is None else rows(np.asarray(affine, float)),
        n_vertices={str(side): int(n) for side, n in told["n_vertices"].items()},
        structures=tuple((str(name), int(n)) for name, n in told["structures"]),
        places=tuple(map(str, places)),
        target_of=tuple(map(int, target_of)),
    )


def rows(affine: Num[np.ndarray, "4 4"]) -> tuple[tuple[float, ...], ...]:
    """An affine as a `Space` holds it."""
    return tuple(tuple(float(value) for value in row) for row in affine)


def voxel_names(ijk: Int[np.ndarray, "place 3"]) -> tuple[str, ...]:
    return tuple(f"v{i}x{j}x{k}" for i, j, k in ijk.tolist())


def vertex_names(side: str, vertices: Int[np.ndarray, " place"]) -> tuple[str, ...]:
    return tuple(f"{side}{vertex}" for vertex in vertices.tolist())


def voxels(places: Iterable[str]) -> Int[np.ndarray, "place 3"]:
    """The indices in the names of voxels.

    Raises
    ------
    ValueError : a name is no voxel's.
    """
    found = [_VOXEL.fullmatch(place) or _no_place(place, "a voxel such as v12x3x40") for place in places]
    return np.array([match.groups() for match in found], dtype=int).reshape(-1, 3)


def vertices(places: Iterable[str]) -> tuple[Shaped[np.ndarray, " place"], Int[np.ndarray, " place"]]:
    """The hemisphere ("L" or "R") and the number in the names of vertices.

    Raises
    ------
    ValueError : a name is no vertex's.
    """
    found = [_VERTEX.fullmatch(place) or _no_place(place, "a vertex such as L123") for place in places]
    return np.array([match[1] for match in found], dtype=str), np.array([match[2] for match in found], dtype=int)


def grid(shape: tuple[int, ...], affine: Num[np.ndarray, "4 4"]) -> str:
    """A voxel grid in one line: its shape, the size of its voxels and the mm of its first and last."""
    first, last = affine[:3, 3], (affine @ [*(n - 1 for n in shape[:3]), 1])[:3]
    steps = np.linalg.norm(affine[:3, :3], axis=0).round(3).tolist()
    return f"{tuple(shape[:3])} of {steps} mm from {first.round(2).tolist()} to {last.round(2).tolist()} mm"


def _no_place(place: str, wanted: str) -> re.Match[str]:
    raise ValueError(f"{place!r} is not the name of {wanted}")


_VOXEL = re.compile(r"v(\d+)x(\d+)x(\d+)")
_VERTEX = re.compile(r"([LR])(\d+)")
