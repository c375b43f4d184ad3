"""Tiny models of five families, made on the spot, and real ones where they are."""

import json
import os
import shutil
from pathlib import Path

import pandas as pd
import pytest

from pipeline.models import MODELS

ROOT = Path(__file__).parents[2]
CORPUS = [
    "the otter swims across the cold river and the happy children watch it",
    "she didn't say anything unhappily unbelievable because nobody had asked her",
    "we cannot know what they would have said about the weather in the mountains",
    "null values and NA values are words like any other word in this story",
    "a café is a place where people drink coffee and talk about other people",
] * 20
SIZES = {
    "llama": dict(hidden_size=32, intermediate_size=64, num_hidden_layers=2, num_attention_heads=4),
    "gpt2": dict(n_embd=32, n_layer=2, n_head=4, n_positions=64),
    "gpt_neox": dict(hidden_size=32, intermediate_size=64, num_hidden_layers=2, num_attention_heads=4),
    "opt": dict(hidden_size=32, ffn_dim=64, num_hidden_layers=2, num_attention_heads=4, word_embed_proj_dim=32),
    "bert": dict(hidden_size=32, intermediate_size=64, num_hidden_layers=2, num_attention_heads=4),
}
CLASSES = {
    "llama": "LlamaForCausalLM",
    "gpt2": "GPT2LMHeadModel",
    "gpt_neox": "GPTNeoXForCausalLM",
    "opt": "OPTForCausalLM",
    "bert": "BertForMaskedLM",
}
FAMILIES = tuple(SIZES)


@pytest.fixture(scope="session", params=FAMILIES)
def family(request):
    return request.param


@pytest.fixture(scope="session")
def tokenizers(tmp_path_factory):
    """One of each kind, trained on a few sentences: as GPT-2's, BERT's (lower case), T5's, and the first GPT's."""
    makers = {"bpe": _byte_level, "wordpiece": _wordpiece, "unigram": _unigram, "suffix": _suffix}
    return {kind: make(tmp_path_factory.mktemp(kind)) for kind, make in makers.items()}


@pytest.fixture(scope="session")
def made(tmp_path_factory, tokenizers):
    """A function from the family's name to a folder with config, weights and tokenizer; not to be changed."""
    folders: dict[str, Path] = {}

    def make(family: str) -> Path:
        if family not in folders:
            folders[family] = _model(family, tmp_path_factory.mktemp(family), tokenizers)
        return folders[family]

    return make


@pytest.fixture
def broken(made, tmp_path):
    """A copy of the tiny GPT-2 for breaking."""
    return Path(shutil.copytree(made("gpt2"), tmp_path / "model"))


@pytest.fixture(scope="session")
def data():
    """Real weights and real stories."""
    folder = Path(os.environ.get("BRAINALIGN_DATA") or ROOT / "../shared/data")
    if not (folder / "lm_stories260K").is_dir():
        pytest.skip(f"no real data in {folder}; set BRAINALIGN_DATA")
    return folder.resolve()


@pytest.fixture(scope="session")
def table():
    """Words as a table: one every 0.4 s."""

    def make(words, **columns) -> pd.DataFrame:
        words = words.split() if isinstance(words, str) else list(words)
        onset = [0.4 * i for i in range(len(words))]
        return pd.DataFrame({"onset": onset, "duration": 0.3, "word": pd.Series(words, dtype=object)} | columns)

    return make


@pytest.fixture(scope="session")
def read(table):
    """The activations of one run of words."""

    def run(folder, words, **settings):
        name = [str(one) for one in folder] if isinstance(folder, list) else str(folder)
        model = MODELS["transformer"](name=name, **settings)
        words = table(words) if not isinstance(words, pd.DataFrame) else words
        (answer,) = model.activations({"run1": words}, study_dir=Path())
        return answer

    return run


def _byte_level(folder: Path) -> Path:
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=400,
        special_tokens=["<|end|>"],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(CORPUS, trainer)
    return _saved(folder, tokenizer, bos_token="<|end|>", eos_token="<|end|>")


def _wordpiece(folder: Path) -> Path:
    from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers

    tokenizer = Tokenizer(models.WordPiece(unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=True)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.decoder = decoders.WordPiece()
    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    trainer = trainers.WordPieceTrainer(vocab_size=300, special_tokens=special, show_progress=False)
    tokenizer.train_from_iterator(CORPUS, trainer)
    names = dict(zip(["pad", "unk", "cls", "sep", "mask"], special, strict=True))
    return _saved(folder, tokenizer, **{f"{name}_token": text for name, text in names.items()})


def _unigram(folder: Path) -> Path:
    from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers

    tokenizer = Tokenizer(models.Unigram())
    tokenizer.normalizer = normalizers.NFKC()
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
    tokenizer.decoder = decoders.Metaspace()
    special = ["<unk>", "</s>"]
    trainer = trainers.UnigramTrainer(vocab_size=200, special_tokens=special, unk_token="<unk>", show_progress=False)
    tokenizer.train_from_iterator(CORPUS, trainer)
    return _saved(folder, tokenizer, unk_token="<unk>", eos_token="</s>")


def _suffix(folder: Path) -> Path:
    from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers

    tokenizer = Tokenizer(models.BPE(unk_token="<unk>", end_of_word_suffix="</w>"))
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=True)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.decoder = decoders.BPEDecoder(suffix="</w>")
    trainer = trainers.BpeTrainer(
        vocab_size=300, special_tokens=["<unk>"], end_of_word_suffix="</w>", show_progress=False
    )
    tokenizer.train_from_iterator(CORPUS, trainer)
    return _saved(folder, tokenizer, unk_token="<unk>")


def _saved(folder: Path, tokenizer, **special: str) -> Path:
    from transformers import PreTrainedTokenizerFast

    PreTrainedTokenizerFast(tokenizer_object=tokenizer, **special).save_pretrained(folder)
    return folder


def _model(family: str, folder: Path, tokenizers: dict[str, Path]) -> Path:
    import torch
    import transformers

    source = tokenizers["wordpiece" if family == "bert" else "bpe"]
    rows = len(json.loads((source / "tokenizer.json").read_text())["model"]["vocab"])
    config = transformers.AutoConfig.for_model(
        family,
        **{"max_position_embeddings": 64, "vocab_size": rows, "architectures": [CLASSES[family]]} | SIZES[family],
    )
    with torch.random.fork_rng():
        torch.manual_seed(99)
        model = getattr(transformers, CLASSES[family])(config)
        for parameter in model.parameters():  # larger than the initialisation, so that differences show
            parameter.data += 0.05 * torch.randn_like(parameter)
    model.save_pretrained(folder)
    for path in source.iterdir():
        shutil.copy(path, folder)
    return folder
