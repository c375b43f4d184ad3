"""Text files of word vectors, as GloVe (`.txt`), word2vec and fastText (`.vec`) write them, plain or `.gz`.

A word and its numbers in each line, separated by single blanks; a first line
of two whole numbers tells how many words and numbers follow. Files have
millions of lines, a study needs thousands: the file is read line by line, and
only what is wanted is kept.
"""

import gzip
import re
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from pipeline.models.headers import LFS
from pipeline.problems import Problem, StudyError, shown

_HEADER = re.compile(rb"([0-9]+) ([0-9]+)")
_LONGEST_LINE = 1_000_000  # bytes; 4096 numbers take 50,000
_CUT_WORD = 90  # bytes; word2vec cuts longer words off, amid a character if need be
_LARGEST = float(np.finfo(np.float32).max)


class Vectors(NamedTuple):
    """The wanted words that a file has, how many words it has in all, and mean and deviation of each column."""

    found: dict[str, Float[np.ndarray, " feature"]]
    n_words: int
    mean: Float[np.ndarray, " feature"]
    deviation: Float[np.ndarray, " feature"]


class _Line(NamedTuple):
    """A line that has as many numbers as it should: its place in the file from 1, and the numbers as written."""

    place: int
    features: int
    word: str
    written: bytes


def read_vectors(path: Path, wanted: set[str], *, moments: bool = False) -> Vectors:
    """Read the vectors of `wanted`; of a word that stands twice, the first counts.

    Parameters
    ----------
    moments : read every number of the file, for mean and deviation of each
        column over all words; else they are 0 and 1.

    Raises
    ------
    StudyError (E-MODEL-15) with file, line and value: rows of other lengths,
    a value that is no finite number, what is not UTF-8, another number of
    words than the first line tells, a file that is empty, cut off or no text.
    """
    found: dict[str, np.ndarray] = {}
    n, sums, squares = 0, np.zeros(1), np.zeros(1)
    for line in _lines(path):
        n += 1
        new = line.word in wanted and line.word not in found
        if new or moments:
            numbers = _numbers(line, path)
            sums, squares = sums + numbers, squares + numbers**2
        if new:
            found[line.word] = numbers.astype(np.float32)
    if not moments:
        return Vectors(found, n, np.zeros(line.features), np.ones(line.features))
    # rounding can leave a constant column a little below zero
    return Vectors(found, n, sums / n, np.sqrt(np.maximum(squares / n - (sums / n) ** 2, 0.0)))


def vectors_problems(path: Path) -> list[Problem]:
    """What the first two lines tell: is it there, and such a file?"""
    try:
        for _, line in zip(range(2), _lines(path), strict=False):
            _numbers(line, path)
    except StudyError as error:
        return list(error.problems)
    return []


def _lines(path: Path) -> Iterator[_Line]:
    """Every word's line; the first says how many numbers all others have."""
    told, features, n = None, 0, 0
    for place, text in _texts(path):
        if place == 1 and (header := _HEADER.fullmatch(text)):
            told, features = int(header[1]), int(header[2])
            continue
        n += 1
        features = features or text.count(b" ")
        word, written = _cut(text, features) or _ragged(path, place, text, features)
        yield _Line(place, features, _decoded(word, path, place), written)
    if not n:
        raise _unusable(path, "no vectors in it", "a word and its numbers in each line")
    if told not in (None, n):
        raise _unusable(
            path, f"{n} words", f"{told}, as its first line tells", why="a file that was cut off lacks words"
        )


def _texts(path: Path) -> Iterator[tuple[int, bytes]]:
    """Every line and its place, without the blanks and line breaks at its end."""
    place = 0
    try:
        with gzip.open(path) if path.suffix == ".gz" else path.open("rb") as file:
            while text := file.readline(_LONGEST_LINE):
                place += 1
                if place == 1 and text.startswith(LFS):
                    raise _unusable(path, "a git-LFS pointer", "the file itself", fix="run `git lfs pull`")
                if len(text) == _LONGEST_LINE:
                    raise _unusable(path, f"more than {_LONGEST_LINE} bytes", "a word and its numbers", place)
                yield place, text.removeprefix(b"\xef\xbb\xbf" if place == 1 else b"").rstrip(b" \r\n")
    except FileNotFoundError:
        where = f"looked in: {path.parent.absolute()}"
        raise _unusable(path, "no such file", "a file", why=where, fix="correct the path") from None
    except (OSError, EOFError, zlib.error) as error:
        raise _unusable(path, f"{type(error).__name__}: {error}", "a whole file", place + 1) from None


def _cut(text: bytes, features: int) -> tuple[bytes, bytes] | None:
    """Word and numbers; None where there are too few or too many.

    Some words of the large GloVe files have blanks in them. A number before
    the last ones is no part of a word but one too many.
    """
    if features and text.count(b" ") == features:
        word, _, written = text.partition(b" ")
        return word, written
    fields = text.split(b" ")
    size = len(fields) - features
    if not features or size < 1 or any(not field or _is_number(field) for field in fields[1:size]):
        return None
    return b" ".join(fields[:size]), b" ".join(fields[size:])


def _decoded(word: bytes, path: Path, place: int) -> str:
    try:
        return word.decode(errors="ignore" if len(word) > _CUT_WORD else "strict")
    except UnicodeDecodeError:
        fix = "write it as UTF-8; word vectors in another format (.bin, .zip) have to be unpacked first"
        raise _unusable(path, shown(word), "text in UTF-8", place, fix=fix) from None


def _numbers(line: _Line, path: Path) -> Float[np.ndarray, " feature"]:
    fields = line.written.split(b" ")
    try:
        numbers = np.fromiter(map(float, fields), np.float64, count=line.features)
        if (np.abs(numbers) <= _LARGEST).all():
            return numbers
    except ValueError:
        pass  # which one it is, is told below
    wrong = next(field for field in fields if not _is_number(field))
    found = f"{shown(wrong.decode(errors='replace'))} in the vector of {shown(line.word)}"
    raise _unusable(path, found, f"{line.features} finite numbers", line.place)


def _is_number(field: bytes) -> bool:
    try:
        return abs(float(field)) <= _LARGEST
    except ValueError:
        return False


def _ragged(path: Path, place: int, text: bytes, features: int) -> tuple[bytes, bytes]:
    found = f"{shown(text[:40].decode(errors='replace'))}, {text.count(b' ')} numbers"
    expected = f"a word and {features} numbers, as in the first line" if features else "a word and its numbers"
    raise _unusable(path, found, f"{expected}, separated by single blanks", place)


def _unusable(path: Path, found: str, expected: str, place: int = 0, *, why: str = "", fix: str = "") -> StudyError:
    """E-MODEL-15: a file that is no text file of word vectors, or not a whole one."""
    return StudyError(
        Problem(
            "E-MODEL-15",
            "the file of word vectors cannot be used",
            file=str(path),
            field=f"line {place}" if place else "file",
            found=found,
            expected=expected,
            why=why,
            fix=fix or "fetch the file again; it must be text: GloVe .txt, word2vec or fastText .vec, plain or .gz",
        )
    )
