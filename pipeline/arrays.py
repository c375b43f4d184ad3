"""Names of axes, checks on them, and the one way a file is written or read back.

Every output is written beside its place under a temporary name, checked,
flushed to disk and renamed, so a file with its final name is always whole.
What it was made of lies in `.records/<name>.json` in the same folder, with
the file's checksum; reading verifies it, because a truncated or swapped
intermediate would otherwise be used without a word.
"""

import errno
import hashlib
import json
import os
import shutil
import subprocess
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, nullcontext
from functools import cache, lru_cache
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipeline import __version__, netcdf
from pipeline.problems import Problem, StudyError, shown
from pipeline.settings import as_json

if TYPE_CHECKING:
    import pandas as pd
    import xarray as xr

_SMALL = 2**24  # bytes of a file that is read whole

MISSING = "n/a"  # BIDS writes a missing value of a table so

_PACKAGES = (
    "h5netcdf",
    "mne",
    "nibabel",
    "nilearn",
    "numpy",
    "pandas",
    "scipy",
    "tokenizers",
    "torch",
    "transformers",
    "xarray",
)


def require(ds: "xr.Dataset", *dims: str) -> None:
    """Refuse a dataset that lacks one of the named axes."""
    absent = [dim for dim in dims if dim not in ds.dims]
    if absent:
        raise ValueError(f"axes {absent} are missing; there are {list(ds.dims)}")


def save(
    ds: "xr.Dataset", path: Path, *, stage: str, settings: Mapping[str, Any], inputs: Mapping[str, Path | str]
) -> None:
    """Write labelled arrays as one netCDF-4 file with checksums per chunk.

    Parameters
    ----------
    ds : every array needs the attributes `units` and `long_name`.
    stage, settings : what made it, as `Settings.dump` tells it.
    inputs : name (relative to the study or data set) -> file, or its sha256.
    """
    for name, array in ds.data_vars.items():
        if not {"units", "long_name"} <= set(array.attrs):
            raise ValueError(f"array {name!r} has no units or no long_name")
    record = made_by(stage, settings, inputs)
    ds = ds.assign_attrs(made_by=as_json(record))
    encoding = {
        name: _chunks(array) for name, array in ds.data_vars.items() if array.dtype.kind in "fiu" and array.size
    }
    with _renamed(path, record) as temp:
        ds.to_netcdf(temp, engine="h5netcdf", encoding=encoding)
        _check_reopens(temp, dict(ds.sizes))


def _chunks(array: "xr.DataArray") -> dict[str, Any]:
    if not array.ndim:
        return {}
    # what is looped over is read one at a time; everything else lies in one piece
    looped = {"seed", "step", "layer", "fold", "repeat"}
    return {"fletcher32": True, "chunksizes": tuple(1 if d in looped else n for d, n in array.sizes.items())}


def _check_reopens(temp: Path, sizes: dict[Any, int]) -> None:
    if (back := netcdf.sizes(temp)) != sizes:
        raise OSError(f"{temp.name} was written with axes {sizes} and reads back as {back}")


def load(path: Path, *dims: str) -> "xr.Dataset":
    """Read arrays that `save` wrote; refuse a file that changed since, or lacks an axis."""
    verify(path)
    ds = netcdf.read(path)
    require(ds, *dims)
    return ds


@contextmanager
def opened(path: Path, *dims: str) -> Iterator["xr.Dataset"]:
    """As `load`, but of a large file values are read only when they are asked for, each time anew."""
    import xarray as xr

    verify(path)
    large = path.stat().st_size > _SMALL
    with xr.open_dataset(path, engine="h5netcdf", cache=False) if large else nullcontext(netcdf.read(path)) as ds:
        require(ds, *dims)
        yield ds


def save_table(
    frame: "pd.DataFrame",
    path: Path,
    *,
    stage: str,
    settings: Mapping[str, Any],
    inputs: Mapping[str, Path | str],
) -> None:
    """Write a table as TSV the BIDS way: UTF-8, `n/a` for missing, seven digits."""
    import csv

    with writing(path, stage=stage, settings=settings, inputs=inputs) as temp:
        # no quoting: a word may be a quotation mark, and readers take the columns as they are
        frame.to_csv(
            temp, sep="\t", index=False, na_rep=MISSING, float_format="%.7g", lineterminator="\n",
            quoting=csv.QUOTE_NONE, quotechar=None,
        )  # fmt: skip


def load_table(path: Path, *, text: tuple[str, ...] = ()) -> "pd.DataFrame":
    """Read a table that `save_table` wrote; columns in `text` stay text ("null" is a word)."""
    import pandas as pd

    verify(path)
    frame = pd.read_csv(path, sep="\t", dtype=str, keep_default_na=False, quoting=3, encoding="utf-8")
    for name in frame.columns.difference(text):
        numbers = pd.to_numeric(frame[name].replace(MISSING, "nan"), errors="coerce")
        if numbers.notna().eq(frame[name] != MISSING).all():
            frame[name] = numbers
    return frame


def save_text(
    text: str, path: Path, *, stage: str, settings: Mapping[str, Any], inputs: Mapping[str, Path | str]
) -> None:
    """Write a page or a JSON document."""
    with writing(path, stage=stage, settings=settings, inputs=inputs) as temp:
        temp.write_text(text, encoding="utf-8", newline="\n")


def load_text(path: Path) -> str:
    """Read what `save_text` wrote; refuse a file that changed since."""
    verify(path)
    return path.read_text(encoding="utf-8")


@contextmanager
def writing(path: Path, *, stage: str, settings: Mapping[str, Any], inputs: Mapping[str, Path | str]) -> Iterator[Path]:
    """Let any library write `path`: yields a temporary file in the same folder, renamed when whole."""
    with _renamed(path, made_by(stage, settings, inputs)) as temp:
        yield temp


def made_by(stage: str, settings: Mapping[str, Any], inputs: Mapping[str, Path | str]) -> dict[str, Any]:
    """The record of one output: what made it, out of what, with which versions.

    Holds no time, host or absolute path, so the same work gives the same bytes.
    """
    return {
        "stage": stage,
        "version": __version__,
        "settings": dict(settings),
        "inputs": {name: of if isinstance(of, str) else checksum(of) for name, of in sorted(inputs.items())},
        "packages": _package_versions(),
        "commit": _commit(),
    }


@contextmanager
def _renamed(path: Path, record: dict[str, Any]) -> Iterator[Path]:
    path.parent.mkdir(parents=True, exist_ok=True)
    # the ending stays: libraries choose the format by it
    temp = path.with_name(f".partial-{os.getpid()}-{uuid.uuid4().hex[:8]}-{path.name}")
    try:
        yield temp
        _flush(temp)
        record = {"sha256": _digest(temp), "bytes": temp.stat().st_size, "made_by": record}
        os.replace(temp, path)
        _write_record(path, record)
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EACCES, errno.EROFS):
            raise StudyError(_no_room(path, error)) from error
        raise
    finally:
        temp.unlink(missing_ok=True)


def _write_record(path: Path, record: dict[str, Any]) -> None:
    target = record_path(path)
    target.parent.mkdir(exist_ok=True)
    temp = target.with_name(f".partial-{os.getpid()}-{uuid.uuid4().hex[:8]}")
    temp.write_text(json.dumps(record, indent=1, sort_keys=True, ensure_ascii=False) + "\n", encoding="utf-8")
    _flush(temp)
    os.replace(temp, target)
    _flush(path.parent)


def _flush(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _no_room(path: Path, error: OSError) -> Problem:
    free = shutil.disk_usage(path.parent).free
    return Problem(
        "E-ENV-01",
        "an output cannot be written",
        file=path.name,
        found=f"{error.strerror}; {free / 2**20:.0f} MiB free",
        fix="free some space or permit writing there, then start the same command again: it goes on where it stopped",
    )


def record_path(path: Path) -> Path:
    """Where the record of an output lies."""
    return path.parent / ".records" / f"{path.name}.json"


def read_record(path: Path) -> dict[str, Any]:
    """The checksum and `made_by` of an output; empty when there is none to read."""
    try:
        record = json.loads(record_path(path).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return record if isinstance(record, dict) else {}


def verify(path: Path) -> None:
    """Refuse an output whose bytes are not those that were recorded."""
    if not path.exists():
        raise StudyError(_stale(path, "nothing there"))
    record = read_record(path)
    if not record:
        raise StudyError(_stale(path, "no record of how it was made"))
    if (found := checksum(path)) != record.get("sha256"):
        raise StudyError(_stale(path, f"sha256 {found[:12]}…, {path.stat().st_size} bytes", record))


def _stale(path: Path, found: str, record: Mapping[str, Any] | None = None) -> Problem:
    expected = f"sha256 {record['sha256'][:12]}…, {record['bytes']} bytes" if record else "the file and its record"
    return Problem(
        "E-DATA-01",
        "an intermediate file is not the one that was written",
        file=path.name,
        found=found,
        expected=expected,
        why="it was changed, truncated or swapped after it was made",
        fix=f"delete {path.name} and run again: it is computed anew, with what depends on it",
    )


def checksum(path: Path) -> str:
    """sha256 of a file, read once per process and state of the file."""
    state = path.stat()
    return _checksum_of_state(path, state.st_mtime_ns, state.st_size, state.st_ino)


@lru_cache(maxsize=4096)
def _checksum_of_state(path: Path, mtime_ns: int, size: int, inode: int) -> str:
    return _digest(path)


def _digest(path: Path) -> str:
    with path.open("rb") as handle:
        return hashlib.file_digest(handle, "sha256").hexdigest()


@cache
def _package_versions() -> dict[str, str]:
    return {name: metadata.version(name).split("+")[0] for name in _PACKAGES}


@cache
def _commit() -> str:
    """The commit of a checkout, empty for an installed release."""
    root = Path(__file__).parent.parent
    if not (root / ".git").exists() or not (git := shutil.which("git")):
        return ""
    done = subprocess.run([git, "-C", str(root), "rev-parse", "HEAD"], capture_output=True, text=True, check=False)
    return done.stdout.strip()


def attribute(ds: "xr.Dataset", name: str) -> dict[str, Any]:
    """A JSON attribute of a saved dataset as data."""
    try:
        return json.loads(ds.attrs[name])
    except (KeyError, ValueError):
        raise ValueError(f"attribute {name!r} is missing or no JSON: {shown(ds.attrs.get(name))}") from None
