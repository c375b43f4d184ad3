"""Words found in a table of vectors: by their tokens, or by how they are spelt."""

import unicodedata
from collections.abc import Collection
from pathlib import Path
from typing import Literal, NamedTuple

import numpy as np
from jaxtyping import Float, Int

from pipeline.models.base import Token, Words
from pipeline.models.embedding import Table, take
from pipeline.models.tokens import Alignment, pooled_tokens
from pipeline.models.vectors import Vectors
from pipeline.problems import Problem, StudyError, shown

_MOST_UNKNOWN = 0.5


class LookUp(NamedTuple):
    """What one run needs of a table: entries, their vectors, and pairs of (entry, word) that say what a word is made of."""

    names: list[str]
    vectors: Float[np.ndarray, "entry feature"]
    entry: Int[np.ndarray, " pair"]
    word: Int[np.ndarray, " pair"]
    n_words: int
    facts: dict[str, str | int | float]
    alignment: tuple[Token, ...] = ()


def by_tokens(alignment: Alignment, table: Table, pool: Literal["mean", "sum", "last"]) -> LookUp:
    """Each word's tokens in a network's table; an empty word has none, whatever was read before it."""
    ids, which = np.unique(alignment.ids, return_inverse=True)
    tokens, words = pooled_tokens(alignment, pool)
    full = alignment.last[words] >= 0
    return LookUp(
        names=[f"token {i}" for i in ids],
        vectors=take(table, ids),
        entry=which[tokens[full]],
        word=words[full],
        n_words=len(alignment.last),
        facts=alignment.facts,
        alignment=alignment.tokens,
    )


def by_spelling(words: Words, vectors: Vectors, path: Path, *, run: str) -> LookUp:
    """Each word in the vectors of a file; one that is not there has no entry and is counted.

    Raises
    ------
    StudyError (E-MODEL-15) if more than half of the words are not there.
    """
    spoken = [word for word in words["word"] if word.strip()]
    found = [_spelt(word, vectors.found) for word in words["word"]]
    unknown = [word for word in spoken if not _spelt(word, vectors.found)]
    if len(unknown) > _MOST_UNKNOWN * len(spoken):
        raise StudyError(_foreign(unknown, len(spoken), path, run))
    names = sorted(set(found) - {""})
    place = {name: i for i, name in enumerate(names)}
    return LookUp(
        names=[f"word {name}" for name in names],
        vectors=np.array([vectors.found[name] for name in names], np.float32).reshape(-1, len(vectors.mean)),
        entry=np.array([place[name] for name in found if name], np.int64),
        word=np.flatnonzero([bool(name) for name in found]),
        n_words=len(words),
        facts={"n_empty_words": len(words) - len(spoken), "n_unknown_words": len(unknown)},
    )


def spellings(word: str) -> list[str]:
    """How a word may stand in a file, best first: as it is, in lower case, without punctuation around it, both."""
    bare = _bare(word)
    ways = (word.strip(), word.strip().lower(), bare, bare.lower())
    return [way for way in dict.fromkeys(ways) if way]


def _spelt(word: str, known: Collection[str]) -> str:
    return next((way for way in spellings(word) if way in known), "")


def _bare(word: str) -> str:
    """Without punctuation, symbols and blanks at its ends; an accent that is a character of its own stays."""
    kept = [i for i, letter in enumerate(word) if unicodedata.category(letter)[0] not in "PSZ"]
    return word[kept[0] : kept[-1] + 1] if kept else ""


def _foreign(unknown: list[str], n_spoken: int, path: Path, run: str) -> Problem:
    """E-MODEL-15: vectors of other words than these."""
    return Problem(
        "E-MODEL-15",
        f"run {run}: the file of word vectors does not know these words",
        file=str(path),
        field="file",
        found=f"{len(unknown)} of {n_spoken} words are not in it: {shown(list(dict.fromkeys(unknown))[:5])}",
        expected=f"at most {_MOST_UNKNOWN:.0%} unknown",
        why="features that are 0 for most words say when something was known, not what",
        fix="name vectors of the language of the words; those trained on cut words ('do', \"n't\") need words cut so",
    )
