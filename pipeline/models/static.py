"""Vectors of words without any context."""

import hashlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import ClassVar, Literal

import numpy as np
from jaxtyping import Float
from pydantic import Field, NonNegativeInt, model_validator

from pipeline.models.base import Activations, Words
from pipeline.models.embedding import embedding_problems, moments, read_embedding
from pipeline.models.folder import check_download
from pipeline.models.lookup import LookUp, by_spelling, by_tokens, spellings
from pipeline.models.pretrained import Pretrained
from pipeline.models.refusals import changed
from pipeline.models.tokens import align, run_text
from pipeline.models.vectors import read_vectors, vectors_problems
from pipeline.problems import Problem, StudyError
from pipeline.settings import expand

Moments = tuple[Float[np.ndarray, " feature"], Float[np.ndarray, " feature"]]


class Static(Pretrained):
    """The vector of each word, whatever stands around it.

    What a network's states explain beyond this is owed to context. The vectors
    are a network's own input embeddings, pooled over the tokens of a word, or
    those of a file (GloVe, word2vec, fastText). With `weights: random` each
    token, or word of the file, has a Gaussian vector instead, of the table's
    width and with each column's mean and deviation: the identity of words
    alone, in as many features. They come from a hash of seed and token, so
    neither the order of words nor the machine matters. An empty word is 0.
    """

    version: ClassVar[int] = 1
    kind: Literal["static"] = "static"
    name: str = Field("", description="hub id in the local cache, or a directory; may hold ${NAME}; or give a file")
    file: str = Field(
        "", description="text file of vectors (GloVe .txt, word2vec or fastText .vec, also .gz); may hold ${NAME}"
    )
    pool: Literal["mean", "sum", "last"] = Field(
        "mean", description="what a word's tokens become; the words of a file have one vector each"
    )
    weights: Literal["trained", "random"] = Field(
        "trained", description="random: as many features that know a word by its identity alone"
    )
    seeds: tuple[NonNegativeInt, ...] = Field(
        (), description="one set of random vectors for each; several (5), for a single one may be lucky"
    )

    @model_validator(mode="after")
    def _fits(self) -> "Static":
        if bool(self.name) == bool(self.file):
            raise ValueError("give a name (of a language model) or a file (of word vectors), one of the two")
        of_networks = {"tokenizer": self.tokenizer, "revision": self.revision, "pool": self.pool.replace("mean", "")}
        if self.file and (idle := [setting for setting, value in of_networks.items() if value]):
            raise ValueError(f"{' and '.join(idle)} can go with a name only, not with a file")
        if (self.weights == "random") != bool(self.seeds):
            raise ValueError("weights: random needs seeds, e.g. seeds: [0, 1, 2, 3, 4]; trained vectors have none")
        if len(set(self.seeds)) < len(self.seeds):
            raise ValueError(f"seeds {list(self.seeds)}: one stands twice")
        return self

    def problems(self, study_dir: Path) -> list[Problem]:
        """A folder's files and headers, or the first lines of a file of vectors."""
        return vectors_problems(self._path(study_dir)) if self.file else super().problems(study_dir)

    def files(self, study_dir: Path) -> list[Path]:
        """Config, weights and tokenizer, or the file of vectors."""
        return [self._path(study_dir)] if self.file else super().files(study_dir)

    def activations(self, words: Mapping[str, Words], *, study_dir: Path) -> Iterator[Activations]:
        """One layer, number 0; one set of vectors for each seed."""
        if problems := self.problems(study_dir):
            raise StudyError(*problems)
        return self._of_file(words, study_dir) if self.file else self._of_network(words, study_dir)

    def _path(self, study_dir: Path) -> Path:
        return Path(expand(self.file, study_dir)).expanduser()

    def _numbers(self, folder: Path) -> list[Problem]:
        """Do the weights hold a table of vectors?"""
        return embedding_problems(folder)

    def _of_network(self, words: Mapping[str, Words], study_dir: Path) -> Iterator[Activations]:
        folder, tokenizer = self._folder(study_dir), self._load_tokenizer(study_dir)
        check_download(folder)
        table = read_embedding(folder)
        self._check_hash(table.sha256, folder)
        facts = {"model": self.name, "pool": self.pool, "vocabulary": table.rows, "weights_sha256": table.sha256}
        about = moments(table) if self.seeds else None
        for run, own in words.items():
            found = by_tokens(align(run_text(own), tokenizer, run=run), table, self.pool)
            yield self._answer(run, found, about, facts)

    def _of_file(self, words: Mapping[str, Words], study_dir: Path) -> Iterator[Activations]:
        path = self._path(study_dir)
        with path.open("rb") as file:
            sha256 = hashlib.file_digest(file, "sha256").hexdigest()
        self._check_hash(sha256, path)
        wanted = {way for own in words.values() for word in own["word"] for way in spellings(word)}
        vectors = read_vectors(path, wanted, moments=bool(self.seeds))
        facts = {"file": self.file, "vocabulary": vectors.n_words, "weights_sha256": sha256}
        for run, own in words.items():
            found = by_spelling(own, vectors, path, run=run)
            yield self._answer(run, found, (vectors.mean, vectors.deviation), facts)

    def _check_hash(self, found: str, path: Path) -> None:
        if self.sha256 and found != self.sha256:
            raise StudyError(changed(path, found, self.sha256))

    def _answer(
        self, run: str, found: LookUp, about: Moments | None, facts: dict[str, str | int | float]
    ) -> Activations:
        sets = [drawn(found.names, seed, about) for seed in self.seeds] if about and self.seeds else [found.vectors]
        values = np.stack([_made(vectors, found, mean=self.pool == "mean") for vectors in sets])
        told = facts | {"n_words": found.n_words, "features": found.vectors.shape[1]} | found.facts
        values = values[:, :, None] if self.seeds else values[0][:, None]
        return Activations(run, values, (0,), self.seeds, facts=told, alignment=found.alignment)


def drawn(names: list[str], seed: int, moments: Moments) -> Float[np.ndarray, "name feature"]:
    """A Gaussian vector for each name, the same for the same name and seed wherever and whenever it is asked for.

    Parameters
    ----------
    moments : mean and standard deviation of each column.
    """
    from scipy.special import ndtri

    mean, deviation = moments
    uniform = [_uniform(f"seed {seed}, {name}", len(mean)) for name in names]
    return (mean + deviation * ndtri(np.reshape(uniform, (len(names), len(mean))))).astype(np.float32)


def _uniform(name: str, n: int) -> Float[np.ndarray, " n"]:
    """Numbers between 0 and 1, neither of them among them, from the bits of a hash."""
    bits = np.frombuffer(hashlib.shake_256(name.encode()).digest(4 * n), "<u4")
    return (bits + 0.5) / 2**32


def _made(
    vectors: Float[np.ndarray, "entry feature"], found: LookUp, *, mean: bool
) -> Float[np.ndarray, "word feature"]:
    """The sum or mean of each word's entries; 0 where it has none."""
    values = np.zeros((found.n_words, vectors.shape[1]), np.float32)
    np.add.at(values, found.word, vectors[found.entry])
    if mean:
        values /= np.maximum(np.bincount(found.word, minlength=found.n_words), 1)[:, None]
    return values
