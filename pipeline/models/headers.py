"""The headers of safetensors files: names, shapes and whether the file is whole."""

import json
from pathlib import Path

from pipeline.problems import Problem, shown

LFS = b"version https://git-lfs"
_LARGEST_HEADER = 100_000_000  # bytes, the format's own limit

Shapes = dict[str, tuple[int, ...]]


def tensor_shapes(paths: list[Path]) -> tuple[Shapes, list[Problem]]:
    """Every tensor's shape, and every file that is missing, a pointer, cut off or no safetensors.

    An index (`.json`) among the paths is checked against the shards beside it.
    """
    shapes: Shapes = {}
    broken: list[Problem] = []
    for path in (p for p in paths if p.suffix != ".json"):
        try:
            shapes |= _shapes(path)
        except (OSError, ValueError) as error:
            broken.append(_broken(path, error))
    for index in (p for p in paths if p.suffix == ".json"):
        if not broken and (lost := _lost(index, shapes)):
            broken.append(_broken(index, ValueError(lost)))
    return shapes, broken


def _shapes(path: Path) -> Shapes:
    size = path.stat().st_size
    with path.open("rb") as file:
        start = file.read(len(LFS))
        if start == LFS:
            raise ValueError("this is a git-LFS pointer: run `git lfs pull`")
        length = int.from_bytes(start[:8], "little")
        if size < 8 or not 2 <= length <= min(_LARGEST_HEADER, size - 8):
            raise ValueError(f"{size} bytes, too few for its header of {length} bytes, or no safetensors file")
        file.seek(8)
        header = json.loads(file.read(length))
    tensors = {name: entry for name, entry in header.items() if name != "__metadata__"}
    whole = 8 + length + max((entry["data_offsets"][1] for entry in tensors.values()), default=0)
    if whole != size:
        raise ValueError(f"{size} bytes where the header tells of {whole}")
    return {name: tuple(entry["shape"]) for name, entry in tensors.items()}


def _lost(index: Path, shapes: Shapes) -> str:
    try:
        shards = json.loads(index.read_text(encoding="utf-8"))["weight_map"]
        outside = sorted({name for name in shards.values() if Path(name).name != name})
    except (OSError, ValueError, KeyError, TypeError) as error:
        return f"no index of shards: {shown(str(error))}"
    if outside:
        return f"shards outside the model's folder: {shown(outside)}"
    lost = sorted(set(shards) - set(shapes))
    return f"{len(lost)} tensors are in no shard: {shown(lost)}" if lost else ""


def _broken(path: Path, error: Exception) -> Problem:
    return Problem(
        "E-MODEL-03",
        "a weights file is not whole",
        file=str(path),
        field="name",
        found="no such file" if isinstance(error, FileNotFoundError) else str(error),
        expected="a complete safetensors file",
        why="weights that were cut off or never fetched are no model",
        fix="fetch the file again; in a git clone run `git lfs pull`",
    )
