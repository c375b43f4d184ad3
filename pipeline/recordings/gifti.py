"""GIFTI files: parsed by nibabel under guard, and refused by name where they are damaged."""

import base64
import binascii
import math
import os
import warnings
import zlib
from functools import cache
from pathlib import Path
from typing import Any
from xml.parsers import expat

from pipeline.problems import Problem, StudyError
from pipeline.recordings.base import problem, told_of, why_unreadable
from pipeline.runs import Run
from pipeline.tables import missing_file

MOST_VALUES = 2**30  # in one file; 4 GB as float32, three times an hour of both whole fsaverage meshes
_HEAD = 1 << 18  # bytes in which the first array is announced
_TAIL = 64


def head(folder: Path, name: str, run: Run) -> tuple[Any, int]:
    """What the first 256 KiB tell, without the values, and the number of arrays; the file's end is looked at too."""
    path = _there(folder, name, run)
    if path.stat().st_size <= _HEAD or not _ends_well(path):
        image = read(folder, name, run)
        return image, len(image.darrays)
    parser = _parser()(buffer_size=_HEAD)
    with path.open("rb") as file:
        start = file.read(_HEAD)
    try:
        parser.parse(string=start)
    except expat.ExpatError as error:  # the cut itself; an array that was announced before it stands
        if parser.img is None or not parser.img.darrays:
            raise StudyError(_refused(path, name, run, error)) from None
    except _BROKEN as error:
        raise StudyError(_refused(path, name, run, error)) from None
    return parser.img, int(getattr(parser, "expected_numDA", len(parser.img.darrays)))


def read(folder: Path, name: str, run: Run) -> Any:
    """The whole file as nibabel's image."""
    path = _there(folder, name, run)
    parser = _parser()()
    try:
        with path.open("rb") as file, warnings.catch_warnings():
            warnings.simplefilter("ignore")  # another number of arrays than announced: refused below
            parser.parse(fptr=file)
        if parser.img is None:
            raise expat.ExpatError("no GIFTI element")
        if (found := len(parser.img.darrays)) != getattr(parser, "expected_numDA", found):
            raise ValueError(f"{found} arrays, {parser.expected_numDA} announced")
        if any(array.data is None for array in parser.img.darrays):
            raise ValueError("an array has no values")
    except _BROKEN as error:
        raise StudyError(_refused(path, name, run, error)) from None
    return parser.img


class Unsafe(Exception):
    """A file asks for something that no recording needs."""


@cache
def _parser() -> type:
    """nibabel's parser, which by itself opens any file that a GIFTI names and unpacks without a limit."""
    from nibabel.gifti.parse_gifti_fast import GiftiImageParser

    class Guarded(GiftiImageParser):
        n_values = 0

        def _create_parser(self) -> Any:
            parser = super()._create_parser()
            parser.EntityDeclHandler = _no_entities
            return parser

        def flush_chardata(self) -> None:
            if self.write_to == "Data":
                self.n_values += math.prod(self.da.dims)
                _check_data(self.da, "".join(self._char_blocks or ()), self.n_values)
            super().flush_chardata()

    return Guarded


def _no_entities(*_: object) -> None:
    raise Unsafe("it declares XML entities, which can unfold without end or name other files")


def _check_data(array: Any, text: str, n_values: int) -> None:
    from nibabel.gifti.util import gifti_encoding_codes
    from nibabel.nifti1 import data_type_codes

    encoding = gifti_encoding_codes.label[array.encoding]
    if encoding == "External":
        raise Unsafe("its values lie in another file")
    if n_values > MOST_VALUES or min(array.dims, default=0) < 0:
        raise Unsafe(f"it announces {n_values} values or more; at most {MOST_VALUES} are read")
    if encoding == "B64GZ":
        wanted = math.prod(array.dims) * data_type_codes.dtype[array.datatype].itemsize
        unpacker = zlib.decompressobj()
        found = len(unpacker.decompress(base64.b64decode(text), wanted + 1))
        if found != wanted or not unpacker.eof:
            raise ValueError(f"an array of {wanted} bytes holds {'more' if found > wanted else found}")


def _there(folder: Path, name: str, run: Run) -> Path:
    path = folder / name
    if not path.is_file():
        raise StudyError(missing_file(path, name, "FMRI", {"subject": run.subject}))
    return path


def _ends_well(path: Path) -> bool:
    with path.open("rb") as file:
        file.seek(-_TAIL, os.SEEK_END)
        return file.read().rstrip().endswith(b"</GIFTI>")


def _refused(path: Path, name: str, run: Run, error: Exception) -> Problem:
    found = told_of(path, name, str(error) or type(error).__name__)
    with path.open("rb") as file:
        is_gifti = b"<GIFTI" in file.read(_HEAD)
    if isinstance(error, Unsafe):
        return problem("E-FMRI-03", "a GIFTI file is not safe to read", run, file=name, found=found,
                       expected="values inside the file, and no entities", fix="write it anew with nibabel or wb_command")  # fmt: skip
    if is_gifti and getattr(error, "code", None) in _CUT:
        return problem("E-FMRI-01", "a surface file ends before its last value", run, file=name, found=found,
                       why="it was cut off while it was copied", fix=AGAIN.format(name=name))  # fmt: skip
    if is_gifti:
        return problem("E-FMRI-04", "a surface file is damaged inside", run, file=name, found=found,
                       why="bytes changed after it was written", fix=AGAIN.format(name=name))  # fmt: skip
    return problem("E-FMRI-03", "this is no GIFTI file", run, file=name, found=found, expected=".func.gii or .label.gii",
                   why=why_unreadable(path), fix=AGAIN.format(name=name))  # fmt: skip


AGAIN = "copy the file again, or: datalad get {name}"
# what expat says of a text that simply stops: no element, an unclosed token, half a character
_CUT = {expat.errors.codes[getattr(expat.errors, f"XML_ERROR_{n}")] for n in ("NO_ELEMENTS", "UNCLOSED_TOKEN", "PARTIAL_CHAR")}  # fmt: skip
# what nibabel's parser raises for a text that is no GIFTI, or values that are not as announced
_BROKEN = (
    Unsafe, expat.ExpatError, zlib.error, binascii.Error, ValueError, TypeError, KeyError, AttributeError, AssertionError,
    OverflowError, IndexError,
)  # fmt: skip
