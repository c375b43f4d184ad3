"""Is a file of a recording all there? Told from headers and sizes, before any sample is read.

A file that was cut off while it was copied often opens without complaint and
is just shorter. FIF, EDF, BrainVision and EEGLAB say themselves how long they
are; a FIF file also says which part goes on where it ends.
"""

import re
import struct
import zlib
from pathlib import Path, PurePosixPath
from typing import NamedTuple

from pipeline.problems import Problem
from pipeline.recordings.base import problem
from pipeline.runs import Run

# tags of FIF (mne._fiff.constants): kind, type, size of the data, position of the next tag
_TAG = struct.Struct(">iIii")
_DIRECTORY, _BLOCK_START, _BLOCK_END = 101, 104, 105
_ROLE, _NUMBER, _NAME, _NEXT_FILE = 115, 117, 118, 2
_SEQUENTIAL, _LAST = 0, -1
_BYTES = {"INT_16": 2, "IEEE_FLOAT_32": 4}  # of a value of BrainVision
_CTF = ("res4", "meg4")  # members of a .ds folder without which nothing can be read
_AGAIN = "copy the file again, or: datalad get {name}"


def check_whole(folder: Path, name: str, run: Run) -> list[Problem]:
    """What is missing of a file that exists, or of the files that belong to it."""
    path = folder / name
    if absent := [kin for kin in companions(folder, name) if not (folder / kin).exists()]:
        return [
            problem("E-MEG-05", "a part of a recording is missing", run, file=name, found=f"no {', '.join(absent)}",
                    expected="all files of the recording side by side", why="it was copied by half, or renamed",
                    fix=f"copy {absent[0]} too")
        ]  # fmt: skip
    problems = [
        problem("E-MEG-02", "a file ends before its data do", run, file=kin, found=f"{found} bytes",
                expected=f"{'at least ' if kin.endswith('.fif') else ''}{wanted} bytes",
                why="it was cut off while it was copied", fix=_AGAIN.format(name=kin))
        for kin in (name, *parts(folder, name)) if (folder / kin).is_file()
        for found, wanted in [_lengths(folder / kin)] if found < wanted
    ]  # fmt: skip
    return problems or ([] if path.is_dir() else _missing_part(folder, name, run))


def companions(folder: Path, name: str) -> list[str]:
    """Names of the files without which this one cannot be read, those of a folder included; they may be absent."""
    path, ending = folder / name, PurePosixPath(name).suffix.lower()
    if path.is_dir():
        inside = [p.relative_to(folder).as_posix() for p in sorted(path.rglob("*")) if p.is_file()]
        wanted = [f"{name}/{path.stem}.{end}" for end in _CTF] if ending == ".ds" else []
        return list(dict.fromkeys([*inside, *wanted]))
    beside = PurePosixPath(name)
    if ending in (".vhdr", ".ahdr"):
        said = _brainvision(path)
        return [str(beside.with_name(said[key])) for key in ("DataFile", "MarkerFile") if key in said]
    if ending == ".set" and (path.with_suffix(".fdt").exists() or _outside(path)):
        return [str(beside.with_suffix(".fdt"))]
    return []


def parts(folder: Path, name: str) -> list[str]:
    """Names of the parts with which a FIF file goes on; the last may be absent."""
    found: list[str] = []
    while name.endswith(".fif") and (folder / name).is_file():
        following = _walked(folder / name).following
        if not following or following in found:
            break
        name = str(PurePosixPath(name).with_name(following))
        found.append(name)
    return found


class _Walk(NamedTuple):
    """`promised`: bytes that the tags of a FIF file speak of; `following`: the name of its next part."""

    promised: int
    following: str


def _walked(path: Path) -> _Walk:
    """From tag to tag through a FIF file; the data in them are skipped.

    Blocks that were opened must be closed again: this tells a file that ends
    just where a tag does.
    """
    length, position, promised, depth = path.stat().st_size, 0, 0, 0
    role, following = None, ""
    with path.open("rb") as file:
        while len(head := file.read(_TAG.size)) == _TAG.size:
            kind, _, size, after = _TAG.unpack(head)
            if size < 0 or (not position and kind != 100):  # no FIF file: MNE says so better
                return _Walk(0, "")
            promised = max(promised, position + _TAG.size + size)
            depth += (kind == _BLOCK_START) - (kind == _BLOCK_END)
            if kind == _DIRECTORY:
                promised = max(promised, _number(file.read(4)) + _TAG.size)
            elif kind == _ROLE:
                role = _number(file.read(4))
            elif kind == _NAME and role == _NEXT_FILE:
                following = file.read(size).decode("latin-1")
            elif kind == _NUMBER and role == _NEXT_FILE and not following:
                following = _numbered(path.name, _number(file.read(4)))
            if after == _LAST:
                break
            onward = position + _TAG.size + size if after == _SEQUENTIAL else after
            if onward <= position:  # a damaged tag leads back: MNE says so better
                return _Walk(0, "")
            position = onward
            file.seek(position)
        else:
            if depth or position > length or len(head):  # it stops inside a block, or inside a tag
                promised = max(promised, length + _TAG.size)
    return _Walk(promised, following)


def _number(data: bytes) -> int:
    return struct.unpack(">i", data)[0] if len(data) == 4 else 0


def _numbered(name: str, number: int) -> str:
    """raw.fif goes on as raw-1.fif, and that as raw-2.fif."""
    stem = name.removesuffix(".fif")
    return re.sub(r"-\d+$", "", stem) + f"-{number}.fif"


def _missing_part(folder: Path, name: str, run: Run) -> list[Problem]:
    return [
        problem("E-MEG-03", "a part of a split recording is missing", run, file=part, found=f"{name} goes on in it",
                expected="all parts side by side, with the names they were written with",
                why="it was not copied, or it was renamed", fix=f"copy {PurePosixPath(part).name} too")
        for part in parts(folder, name) if not (folder / part).exists()
    ]  # fmt: skip


def _lengths(path: Path) -> tuple[int, int]:
    """Bytes that are there, and those that the file's own header promises; 0 where it does not say."""
    told, ending = {".edf": _edf, ".bdf": _edf, ".vhdr": _points, ".ahdr": _points, ".set": _fdt}, path.suffix.lower()
    if ending == ".fif":
        return path.stat().st_size, _walked(path).promised
    holds = path
    if ending in (".vhdr", ".ahdr"):
        holds = path.with_name(_brainvision(path).get("DataFile", path.name))
    elif ending == ".set" and path.with_suffix(".fdt").exists():
        holds = path.with_suffix(".fdt")
    return holds.stat().st_size, told.get(ending, lambda _: 0)(path)


def _edf(path: Path) -> int:
    """Bytes of the header and of the records it counts, 16 bits a value in EDF and 24 in BDF."""
    with path.open("rb") as file:
        head = file.read(256)
        try:
            of_header, n_records, n_signals = int(head[184:192]), int(head[236:244]), int(head[252:256])
            file.seek(256 + 216 * n_signals)
            n_values = sum(int(file.read(8)) for _ in range(n_signals))
        except ValueError:  # no header of EDF: MNE says so better
            return 0
    return of_header + n_records * n_values * (3 if path.suffix.lower() == ".bdf" else 2) if n_records > 0 else 0


def _points(path: Path) -> int:
    said = _brainvision(path)
    try:
        return int(said["DataPoints"]) * int(said["NumberOfChannels"]) * _BYTES[said["BinaryFormat"]]
    except (KeyError, ValueError):  # DataPoints is optional
        return 0


def _brainvision(path: Path) -> dict[str, str]:
    """Fields of a BrainVision header."""
    text = path.read_text(encoding="utf-8", errors="replace") if path.is_file() else ""
    said = dict(re.findall(r"^(\w+)=(.*?)\s*$", text.split("[Channel Infos]")[0] + "\n", re.MULTILINE))
    return {key: value.replace("$b", path.stem) for key, value in said.items()}


def _eeglab(path: Path) -> dict[str, object]:
    """Number of channels and samples of a .set file, and the name of the file that holds the data."""
    from scipy.io import loadmat
    from scipy.io.matlab import MatReadError

    try:
        found = loadmat(path, squeeze_me=True, variable_names=["EEG", "nbchan", "pnts", "trials", "data", "datfile"])
    except (
        MatReadError,
        NotImplementedError,
        ValueError,
        TypeError,
        IndexError,
        OSError,
        zlib.error,
    ):  # HDF5 or no .set file: MNE says so better
        return {}
    of = found["EEG"].item() if "EEG" in found else None
    names = found["EEG"].dtype.names if of else ()
    return dict(zip(names, of, strict=True)) if of else found


def _outside(path: Path) -> bool:
    return path.is_file() and isinstance(_eeglab(path).get("data"), str)


def _fdt(path: Path) -> int:
    said = _eeglab(path) if path.with_suffix(".fdt").exists() else {}
    try:
        return int(said["nbchan"]) * int(said["pnts"]) * max(int(said["trials"]), 1) * 4  # float32
    except (KeyError, TypeError, ValueError):
        return 0
