"""A tiny causal language model, trained from scratch on the made-up language in seconds.

The demo compares a network that learned its language with twins that did not,
and may download neither. So it trains one, shaped like GPT-2, and keeps it at
several moments of its training. Every checkpoint is a folder that
`AutoModelForCausalLM.from_pretrained` and `AutoTokenizer.from_pretrained` read.
"""

import math
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Int

from pipeline import arrays
from pipeline.datasets import language

if TYPE_CHECKING:
    import torch
    from tokenizers import Tokenizer
    from transformers import GPT2LMHeadModel

BOS = "<s>"
FOLDER = "language_model"
_TEXT, _BATCHES = 1, 2  # streams of random numbers: what is read, and in which order
_WARM_UP = 0.1  # of the steps
_LARGEST_GRADIENT, _MOMENTUM = 1.0, 0.95
_MATRIX_RATE = 0.02


def train(
    folder: Path,
    *,
    seed: int,
    n_words: int = 200_000,
    steps: int = 600,
    keep: tuple[int, ...] = (0, 50, 200),
    batch: int = 8,
    learning_rate: float = 1e-2,
    n_layers: int = 3,
    width: int = 64,
    n_heads: int = 4,
    context: int = 64,
    vocabulary: int = 512,
    language_seed: int = 0,
    threads: int = 1,
) -> list[Path]:
    """Train a model on `n_words` of the language; save it after the steps `keep` and at the end.

    Parameters
    ----------
    folder : the data set; its `language_model` gets a folder per checkpoint:
        step0, step50, ... and final.
    seed : of the text, the first weights and the order of the batches. The same
        seed and number of threads give the same bytes.
    steps, batch, learning_rate : steps of training, sequences per step, and the
        highest rate of AdamW, which trains all but the matrices inside layers
        (see `Muon`); rates warm up and then fall to zero like a cosine.
    width, context, vocabulary : features per layer, tokens that a model sees at
        once, entries of the tokenizer (256 bytes, one start token, the rest
        merges: few, so that many words have several tokens).
    threads : of torch. One by default: the matrices are so small that a second
        gains little, and on a busy machine each waits for the other.

    Returns
    -------
    The checkpoints' folders, earliest first.
    """
    settings = {name: value for name, value in locals().items() if name not in ("folder", "threads")}
    late = [step for step in keep if not 0 <= step < steps]
    if late:
        raise ValueError(f"checkpoints {late} do not fit a training of {steps} steps: each must be 0 to {steps - 1}")
    text = " ".join(language.generate(n_words, np.random.SeedSequence([seed, _TEXT]), language_seed).words)
    tokenizer = learn_tokenizer(text, vocabulary)
    ids = np.array(tokenizer.encode(text).ids)
    saved = []
    with _deterministic(seed, threads):
        model = _fresh(tokenizer, n_layer=n_layers, n_embd=width, n_head=n_heads, n_positions=context)
        batches = _batches(ids, np.random.default_rng([seed, _BATCHES]), size=batch, context=context)
        for step in _steps(model, batches, steps, learning_rate):
            if step in keep or step == steps:
                saved.append(folder / FOLDER / ("final" if step == steps else f"step{step}"))
                _save(model, tokenizer, saved[-1], settings | {"step": step})
    return saved


def learn_tokenizer(text: str, vocabulary: int) -> "Tokenizer":
    """A byte-level BPE tokenizer with `vocabulary` entries, the first of which is the start token."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

    alphabet = pre_tokenizers.ByteLevel.alphabet()
    smallest = len(alphabet) + 1
    if vocabulary < smallest:
        raise ValueError(f"a vocabulary of {vocabulary} has no room for the bytes and {BOS}: it needs {smallest}")
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocabulary, special_tokens=[BOS], initial_alphabet=sorted(alphabet), show_progress=False
    )
    tokenizer.train_from_iterator([text], trainer)
    return tokenizer


@contextmanager
def _deterministic(seed: int, threads: int) -> Iterator[None]:
    """Sums of floats depend on how many threads share them, so their number is fixed; all is restored at the end."""
    import torch

    before = torch.get_num_threads(), torch.are_deterministic_algorithms_enabled()
    torch.set_num_threads(threads)
    torch.use_deterministic_algorithms(True)
    try:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            yield
    finally:
        torch.set_num_threads(before[0])
        torch.use_deterministic_algorithms(before[1])


def _fresh(tokenizer: "Tokenizer", **shape: int) -> "GPT2LMHeadModel":
    from transformers import GPT2Config, GPT2LMHeadModel

    start = tokenizer.token_to_id(BOS)
    none = dict.fromkeys(("resid_pdrop", "embd_pdrop", "attn_pdrop"), 0.0)  # hardly any text is read twice
    return GPT2LMHeadModel(
        GPT2Config(
            vocab_size=tokenizer.get_vocab_size(),
            bos_token_id=start,
            eos_token_id=start,
            n_inner=2 * shape["n_embd"],  # GPT-2 has 4 times as many, and GELU: neither is worth its time here
            activation_function="relu",
            use_cache=False,
            **none,
            **shape,
        )
    ).train()


def _batches(
    ids: Int[np.ndarray, " token"], rng: np.random.Generator, *, size: int, context: int
) -> Iterator[Int[np.ndarray, "sequence position"]]:
    """Sequences from random places of the text, each with the start token before it, as they are read later."""
    length = context - 1
    if len(ids) < length:
        raise ValueError(f"a text of {len(ids)} tokens is shorter than one sequence of {length}: raise n_words")
    while True:
        starts = rng.integers(0, len(ids) - length + 1, size)
        rows = ids[starts[:, None] + np.arange(length)]
        yield np.concatenate([np.zeros((size, 1), ids.dtype), rows], axis=1)  # the start token is entry 0


def _steps(model: "GPT2LMHeadModel", batches: Iterator[np.ndarray], steps: int, learning_rate: float) -> Iterator[int]:
    """Train in place; yields the number of finished steps, from 0 to `steps`."""
    import torch

    matrices = [p for name, p in model.named_parameters() if ".h." in name and p.ndim == 2]
    chosen = {id(p) for p in matrices}
    others = [p for p in model.parameters() if id(p) not in chosen]
    adam, muon = torch.optim.AdamW(others, betas=(0.9, 0.98), weight_decay=0.0), Muon(matrices)
    for step in range(steps):
        yield step
        share = _share_of_rate((step + 1) / steps)
        adam.param_groups[0]["lr"] = learning_rate * share
        _loss(model, torch.from_numpy(next(batches))).backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), _LARGEST_GRADIENT)
        adam.step()
        muon.step(_MATRIX_RATE * share)
        model.zero_grad()
    yield steps


class Muon:
    """Steps along the momentum of a matrix with its singular values made equal.

    In the few hundred steps there are, Adam learns which words there are, and
    this which word follows which. torch has it, too, but in bfloat16, which
    takes ten times as long on a CPU. Matrices of one shape are treated at once.

    References
    ----------
    Jordan et al. (2024), https://kellerjordan.github.io/posts/muon/
    """

    def __init__(self, matrices: "list[torch.Tensor]"):
        import torch

        shapes = dict.fromkeys(matrix.shape for matrix in matrices)
        self.groups = [[matrix for matrix in matrices if matrix.shape == shape] for shape in shapes]
        self.momenta = [torch.zeros(len(group), *group[0].shape) for group in self.groups]

    def step(self, rate: float) -> None:
        """Move every matrix by `rate`, the size of the step's singular values (more for wide matrices)."""
        import torch

        with torch.no_grad():
            for group, momentum in zip(self.groups, self.momenta, strict=True):
                gradient = torch.stack([matrix.grad for matrix in group])
                momentum.lerp_(gradient, 1 - _MOMENTUM)
                direction = _orthogonal(gradient.lerp(momentum, _MOMENTUM))
                n_in, n_out = group[0].shape  # GPT-2 keeps its matrices this way round
                for matrix, move in zip(group, direction, strict=True):
                    matrix.sub_(move, alpha=rate * max(1.0, n_out / n_in) ** 0.5)


def _orthogonal(matrices: "torch.Tensor") -> "torch.Tensor":
    """Matrices with all singular values near 1 and the same singular vectors: five Newton-Schulz steps."""
    if matrices.shape[1] > matrices.shape[2]:
        return _orthogonal(matrices.mT).mT
    X = matrices / matrices.norm(dim=(1, 2), keepdim=True).clamp(min=1e-7)
    a, b, c = 3.4445, -4.7750, 2.0315  # Jordan's: fast rather than exact
    for _ in range(5):
        S = X @ X.mT
        X = a * X + (b * S + c * S @ S) @ X
    return X


def _share_of_rate(done: float) -> float:
    return min(done / _WARM_UP, 0.5 + 0.5 * math.cos(math.pi * (done - _WARM_UP) / (1 - _WARM_UP)))


def _loss(model: "GPT2LMHeadModel", ids: "torch.Tensor") -> "torch.Tensor":
    import torch

    logits = model(input_ids=ids).logits
    return torch.nn.functional.cross_entropy(logits[:, :-1].flatten(0, 1), ids[:, 1:].flatten())


def _save(model: "GPT2LMHeadModel", tokenizer: "Tokenizer", folder: Path, settings: Mapping[str, Any]) -> None:
    """Hugging Face writes the folder elsewhere; each of its files then goes to its place whole, with a record."""
    from transformers import PreTrainedTokenizerFast
    from transformers.utils import logging

    reader = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, bos_token=BOS, eos_token=BOS, model_max_length=model.config.n_positions
    )
    logging.disable_progress_bar()
    with tempfile.TemporaryDirectory() as temp:
        model.save_pretrained(temp)
        reader.save_pretrained(temp)
        for file in sorted(Path(temp).iterdir()):
            with arrays.writing(folder / file.name, stage="train", settings=settings, inputs={}) as partial:
                shutil.copyfile(file, partial)
    logging.enable_progress_bar()
