"""What a job keeps only while it works: room larger than memory, and the layers already done."""

import hashlib
import mmap
import os
import shutil
import tempfile
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from pipeline import arrays
from pipeline.settings import as_json

IN_MEMORY = 2**30  # bytes; larger arrays lie in a file, of which only what is being used is in memory


def room(shape: tuple[int, ...], dtype: Any, folder: Path | None, in_memory: int | None = None) -> np.ndarray:
    """An array of zeros; where it is larger than `in_memory` bytes (1 GiB), in a file in `folder` that vanishes with the array.

    Without a folder it is in memory whatever its size.

    Raises
    ------
    OSError : the disk is too full for it, said now and not by a crash when it is filled.
    """
    size = int(np.prod(shape)) * np.dtype(dtype).itemsize
    if folder is None or size <= (IN_MEMORY if in_memory is None else in_memory):
        return np.zeros(shape, dtype)
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryFile(dir=folder, prefix=".room-") as file:
        if hasattr(os, "posix_fallocate"):  # not on macOS
            os.posix_fallocate(file.fileno(), 0, size)
        else:
            file.truncate(size)
        return np.frombuffer(mmap.mmap(file.fileno(), size), dtype).reshape(shape)


class Parts:
    """Layers of one output that an interrupted job had already fitted.

    They lie beside the output under a digest of all it is made from, so that
    layers of other settings, data or versions are never taken for these.
    """

    def __init__(self, output: Path, record: Mapping[str, Any]):
        made_by = arrays.made_by(record["stage"], record["settings"], record["inputs"])
        key = hashlib.sha256(as_json(made_by).encode()).hexdigest()[:16]
        self.folder = output.parent / ".parts" / f"{output.name}-{key}"
        for other in self.folder.parent.glob(f"{output.name}-*"):
            if other != self.folder:
                shutil.rmtree(other, ignore_errors=True)

    def read(self, index: int) -> dict[str, np.ndarray] | None:
        """The arrays of one layer; None where they are not there whole."""
        try:
            with np.load(self._path(index), allow_pickle=False) as found:
                return {name: found[name] for name in found.files}  # each is checked against its sum
        except (OSError, ValueError, EOFError, zipfile.BadZipFile):
            return None

    def write(self, index: int, parts: Mapping[str, np.ndarray]) -> None:
        """Keep one layer; it is there whole or not at all."""
        self.folder.mkdir(parents=True, exist_ok=True)
        temp = self._path(index).with_suffix(f".{os.getpid()}.npz")
        np.savez(temp, **parts)
        os.replace(temp, self._path(index))

    def clear(self) -> None:
        """The output is written: what it was put together from may go."""
        shutil.rmtree(self.folder, ignore_errors=True)
        if self.folder.parent.is_dir() and not any(self.folder.parent.iterdir()):
            self.folder.parent.rmdir()

    def _path(self, index: int) -> Path:
        return self.folder / f"layer-{index:04d}.npz"
