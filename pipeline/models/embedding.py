"""The table from which a network takes each token's vector, read without building the network."""

import hashlib
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float, Int

from pipeline.models import folder as folders
from pipeline.models.headers import tensor_shapes
from pipeline.models.refusals import strange_ids
from pipeline.problems import Problem, StudyError

_ROWS = 8192  # of the table at a time; more would be copied whole into double precision


class Table(NamedTuple):
    """(token, feature), a torch tensor that lies in the file; `sha256` is over its bytes alone."""

    tensor: Any
    sha256: str
    folder: Path

    @property
    def rows(self) -> int:
        return self.tensor.shape[0]

    @property
    def features(self) -> int:
        return self.tensor.shape[1]


def embedding_problems(folder: Path) -> list[Problem]:
    """Is there one such table in the weights, and only one? Only headers are read."""
    names = [name for _, name in _tensors(folder)]
    return [] if len(names) == 1 else [_no_table(folder, ", ".join(names[:5]) or "no such tensor")]


def read_embedding(folder: Path) -> Table:
    """The table of a folder without `embedding_problems`; nothing is copied before it is asked for."""
    import torch
    from safetensors import safe_open

    ((path, name),) = _tensors(folder)
    with safe_open(path, framework="pt") as file:
        tensor = file.get_tensor(name)
    if not tensor.is_floating_point():
        raise StudyError(_no_table(folder, f"{name} in {tensor.dtype}"))
    data = tensor.contiguous().reshape(-1).view(torch.uint8).numpy()
    return Table(tensor, hashlib.sha256(data).hexdigest(), folder)


def take(table: Table, ids: Int[np.ndarray, " token"]) -> Float[np.ndarray, "token feature"]:
    """The vectors of these tokens in float32."""
    if len(ids) and ids.max() >= table.rows:
        expected = f"ids below {table.rows}, the embedding rows"
        raise StudyError(strange_ids(table.folder, f"id {ids.max()} in the text", expected))
    return _finite(table.tensor[ids].float().numpy(), table)


def moments(table: Table) -> tuple[Float[np.ndarray, " feature"], Float[np.ndarray, " feature"]]:
    """Mean and standard deviation of each column over all tokens."""
    mean = sum(part.double().sum(0) for part in table.tensor.split(_ROWS)) / table.rows
    squares = sum(((part.double() - mean) ** 2).sum(0) for part in table.tensor.split(_ROWS))
    return _finite(mean.numpy(), table), np.sqrt(squares.numpy() / table.rows)


def _tensors(folder: Path) -> list[tuple[Path, str]]:
    """File and name of every table of two axes that is called as embeddings of tokens are."""
    files = [path for path in folders.weight_files(folder) if path.suffix != ".json"]
    named = [(path, name, shape) for path in files for name, shape in tensor_shapes([path])[0].items()]
    return [(path, name) for path, name, shape in named if len(shape) == 2 and folders.EMBEDDING.search(name)]


def _finite(values: np.ndarray, table: Table) -> np.ndarray:
    if np.isfinite(values).all():
        return values
    raise StudyError(
        Problem(
            "E-MODEL-08",
            "vectors of words that are no numbers",
            file=str(table.folder),
            field="name",
            found=f"{1 - np.isfinite(values).mean():.2%} NaN or infinite in the embedding",
            expected="finite numbers",
            fix="fetch the weights again",
        )
    )


def _no_table(folder: Path, found: str) -> Problem:
    """E-MODEL-15: weights without the vectors of words, or with several."""
    return Problem(
        "E-MODEL-15",
        "the weights have no one table of word vectors",
        file=str(folder),
        field="name",
        found=found,
        expected="one of floating numbers, called embed_tokens, wte, embed_in, word_embeddings or tokens_embed",
        why="the vectors of tokens are found by the name that model families give them",
        fix="choose another model, or a `file` of vectors",
    )
