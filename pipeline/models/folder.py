"""A model's folder: where it is, and what is wrong with it, seen without torch.

Loading is where libraries are silent: a config with more layers than the
weights gives random layers, a folder without a tokenizer gives an empty one.
Headers are enough to see most of it in milliseconds, before a job is queued.
"""

import hashlib
import json
import re
from pathlib import Path
from typing import Any

from pipeline.models.headers import LFS, Shapes, tensor_shapes
from pipeline.models.refusals import bad_config, changed, no_folder, no_revision, no_tokenizer, not_cached, strange_ids
from pipeline.problems import Problem, StudyError, shown
from pipeline.settings import expand

_PICKLES = ("*.bin", "*.pt", "*.pth", "*.ckpt", "*.pkl")
_TOKENIZERS = (
    "tokenizer.json",
    "vocab.txt",
    "vocab.json",
    "tokenizer.model",
    "spiece.model",
    "sentencepiece.bpe.model",
)
_ABOUT_TOKENS = (*_TOKENIZERS, "merges.txt", "tokenizer_config.json", "special_tokens_map.json", "added_tokens.json")
_SHA256 = re.compile(r"^[0-9a-f]{64}$")
_HUB_ID = re.compile(r"^[A-Za-z0-9][\w.-]*(/[\w.-]+)?$")
_LAYER = re.compile(r"(?:^|\.)(?:layers?|h|blocks?)\.(\d+)\.")
EMBEDDING = re.compile(r"(?:^|\.)(?:embed_tokens|wte|embed_in|word_embeddings|tokens_embed)\.weight$")
_SMALLEST_VOCABULARY = 0.9  # of the embedding rows; rows are padded to round numbers, hardly ever by more


def locate(name: str, study_dir: Path, *, revision: str = "", field: str = "name") -> Path:
    """The folder of a model: a directory, or the snapshot of a hub id in the local cache. Never asks the network."""
    path = Path(expand(name, study_dir)).expanduser()
    if path.is_dir():
        if revision:
            raise StudyError(no_revision(path, revision))
        return path
    if not _HUB_ID.match(str(path)) or path.exists():
        raise StudyError(no_folder(name, path, field))
    from huggingface_hub import snapshot_download

    try:
        return Path(snapshot_download(str(path), revision=revision or None, local_files_only=True))
    except (OSError, ValueError):
        raise StudyError(not_cached(name, path, revision, field)) from None


def read_config(folder: Path) -> dict[str, Any]:
    """`config.json` as plain data; of a model with several parts, the part that reads text."""
    path = folder / "config.json"
    try:
        config = json.loads(path.read_text(encoding="utf-8"))
        if not isinstance(config, dict) or "model_type" not in config:
            raise ValueError("no 'model_type' in it")
    except (OSError, ValueError) as error:
        raise StudyError(bad_config(path, error)) from None
    return config | config.get("text_config", {})


def n_layers_of(config: dict[str, Any]) -> int | None:
    """Hidden layers, without the embedding; None where the family calls them otherwise."""
    return _first_number(config, "num_hidden_layers", "n_layer", "n_layers", "num_layers")


def longest_context(config: dict[str, Any]) -> int | None:
    """Tokens that fit into one window; None for families without a limit of their own.

    A tokenizer's `model_max_length` is often 10^30 (OPT), so it is not asked.
    RoBERTa and its kin count positions from the padding index on.
    """
    longest = _first_number(config, "max_position_embeddings", "n_positions", "n_ctx", "max_seq_len")
    if longest and re.search("roberta|camembert|mpnet|longformer", config["model_type"]):
        return longest - int(config.get("pad_token_id") or 0) - 1
    return longest


def folder_problems(folder: Path, *, needs_weights: bool) -> list[Problem]:
    """All that headers tell about config and weights."""
    try:
        config = read_config(folder)
    except StudyError as error:
        return list(error.problems)
    found = _remote_code(folder)
    paths = weight_files(folder)
    if not paths:
        return [*found, _no_weights(folder)] if needs_weights else found
    shapes, broken = tensor_shapes(paths)
    return [*found, *broken, *([] if broken else _wrong_depth(folder, config, shapes))]


def tokenizer_problems(folder: Path, model: Path) -> list[Problem]:
    """Is there a tokenizer, and does its vocabulary fit the embedding of the model?"""
    named = [folder / name for name in _TOKENIZERS if (folder / name).exists()]
    if not named:
        return [no_tokenizer(folder, f"none of {', '.join(_TOKENIZERS)}")]
    pointers = [path for path in named if path.read_bytes()[: len(LFS)] == LFS]
    if pointers:
        return [no_tokenizer(pointers[0], "a git-LFS pointer: run `git lfs pull`")]
    try:
        highest = _highest_id(folder)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        return [no_tokenizer(folder / "tokenizer.json", f"not a tokenizer: {shown(str(error))}")]
    if highest is not None and highest < 0:
        return [no_tokenizer(folder, "an empty vocabulary")]
    return _wrong_vocabulary(folder, highest, embedding_rows(model))


def embedding_rows(folder: Path) -> int | None:
    """Rows of the embedding: of the weights where there are some, else as the config says."""
    shapes, broken = tensor_shapes(weight_files(folder))
    rows = [shape[0] for name, shape in shapes.items() if EMBEDDING.search(name) and not broken]
    return rows[0] if rows else _first_number(read_config(folder), "vocab_size")


def weight_files(folder: Path) -> list[Path]:
    """The safetensors files; of a sharded model the index and every shard it names."""
    index = folder / "model.safetensors.index.json"
    if index.exists():
        try:
            names = sorted(set(json.loads(index.read_text(encoding="utf-8"))["weight_map"].values()))
        except (ValueError, KeyError, AttributeError):
            names = []
        return [index, *(folder / name for name in names)]
    single = folder / "model.safetensors"
    return [single] if single.exists() else []


def check_download(folder: Path) -> None:
    """Refuse a file of the hub's cache whose content is not what its name there says: large ones are named by sha256."""
    for path in weight_files(folder):
        blob = path.resolve()
        if blob.parent.name == "blobs" and _SHA256.match(blob.name):
            with blob.open("rb") as file:
                found = hashlib.file_digest(file, "sha256").hexdigest()
            if found != blob.name:
                raise StudyError(changed(path, found, f"{blob.name}, as the hub names it"))


def tokenizer_files(folder: Path) -> list[Path]:
    return [folder / name for name in _ABOUT_TOKENS if (folder / name).exists()]


def _wrong_vocabulary(folder: Path, highest: int | None, rows: int | None) -> list[Problem]:
    if highest is None or rows is None or _SMALLEST_VOCABULARY * rows <= highest + 1 <= rows:
        return []
    expected = f"at most {rows} entries, the rows of the embedding, and not far fewer"
    return [strange_ids(folder, f"a vocabulary of {highest + 1}", expected)]


def _highest_id(folder: Path) -> int | None:
    """Highest id of the vocabulary; None where only the tokenizer's own library can tell.

    Special tokens that were added later are left out: many published models
    add some for which there is no row, and never use them.
    """
    if (folder / "tokenizer.json").exists():
        return _highest_plain(json.loads((folder / "tokenizer.json").read_text(encoding="utf-8")))
    if (folder / "vocab.txt").exists():
        return len((folder / "vocab.txt").read_text(encoding="utf-8").splitlines()) - 1
    if (folder / "vocab.json").exists():
        return max(json.loads((folder / "vocab.json").read_text(encoding="utf-8")).values(), default=-1)
    return None


def _highest_plain(tokenizer: dict[str, Any]) -> int:
    vocabulary, added = tokenizer["model"]["vocab"], tokenizer.get("added_tokens") or []
    ids = vocabulary.values() if isinstance(vocabulary, dict) else range(len(vocabulary))
    special = {token["id"] for token in added if token.get("special")}
    return max((i for i in (*ids, *(token["id"] for token in added)) if i not in special), default=-1)


def _first_number(config: dict[str, Any], *names: str) -> int | None:
    return next((int(config[name]) for name in names if isinstance(config.get(name), int)), None)


def _remote_code(folder: Path) -> list[Problem]:
    wanting = [p for p in (folder / "config.json", folder / "tokenizer_config.json") if p.exists()]
    wanting = [p for p in wanting if re.search(r'"auto_map"\s*:', p.read_text(encoding="utf-8", errors="replace"))]
    return [
        Problem(
            "E-MODEL-06",
            "the model wants to run code of its own",
            file=str(path),
            field="name",
            found="auto_map",
            expected="a family that is built into transformers",
            why="code that comes with weights can do anything with your files; there is no setting that allows it",
            fix="use a model of a built-in family; if this one is, delete `auto_map` from the file",
        )
        for path in wanting
    ]


def _wrong_depth(folder: Path, config: dict[str, Any], shapes: Shapes) -> list[Problem]:
    told = n_layers_of(config)
    found = 1 + max((int(match[1]) for name in shapes if (match := _LAYER.search(name))), default=-1)
    if told is None or not found or told == found:
        return []
    return [
        Problem(
            "E-MODEL-02",
            "config and weights have different numbers of layers",
            file=str(folder / "config.json"),
            field="num_hidden_layers",
            found=str(told),
            expected=f"{found}, as in the weights",
            why="missing layers would be random, surplus ones dropped, both without an error",
            fix="restore the config.json that belongs to these weights",
        )
    ]


def _no_weights(folder: Path) -> Problem:
    pickles = sorted(path.name for pattern in _PICKLES for path in folder.glob(pattern))
    return Problem(
        "E-MODEL-05" if pickles else "E-MODEL-03",
        "the weights are a pickle" if pickles else "no weights",
        file=str(folder / pickles[0] if pickles else folder),
        field="name",
        found=", ".join(pickles[:5]) or "no model.safetensors and no model.safetensors.index.json",
        expected="model.safetensors",
        why="a pickle can run any code when it is opened, so it never is" if pickles else "",
        fix="take the safetensors files of the model's page, or have them written where you trust the pickle",
    )
