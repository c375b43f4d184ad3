"""Networks and tokenizers that are what they are called.

`trained` loads weights and refuses every key that is missing or left over,
for a missing one would be random. `fresh` makes the untrained twin: the same
config, the family's own initialisation, nothing else in the process disturbed.
`fingerprint` tells them apart.
"""

import hashlib
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal, NamedTuple

from pipeline.models.attention import quicken
from pipeline.models.folder import check_download
from pipeline.models.refusals import changed, incomplete, no_gpu, no_tokenizer, unsupported
from pipeline.problems import StudyError, shown

Head = Literal["causal", "masked", "none"]

_CANARY = "the cat sat on the mat"
# buffers that older releases saved and newer ones compute, and heads that no state passes through
_HARMLESS = re.compile(
    r"(attn|attention)\.(masked_)?bias$|rotary_emb\.inv_freq$|position_ids$|(^|\.)pooler\.|^cls\.seq_relationship\."
)


class Network(NamedTuple):
    """A network; `head` says what its output predicts: the next word, a masked one, or nothing.

    `sha256` is over the parameters as they were in the file or initialised,
    before any change of precision.
    """

    model: Any
    head: Head
    sha256: str

    @property
    def rows(self) -> int:
        """Rows of the embedding: ids must be smaller."""
        return self.model.get_input_embeddings().weight.shape[0]

    @property
    def parameters(self) -> int:
        return sum(p.numel() for p in self.model.parameters())


def load_tokenizer(folder: Path) -> Any:
    """A tokenizer with character positions, tried on a sentence: the library returns empty ones without a word."""
    from transformers import AutoTokenizer

    try:
        with _quiet():
            tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
    except Exception as error:  # every family's tokenizer fails in its own way
        raise StudyError(no_tokenizer(folder, shown(_line(error)))) from error
    if not tokenizer.is_fast:
        raise StudyError(no_tokenizer(folder, f"{type(tokenizer).__name__} tells no character positions"))
    _check_canary(tokenizer, folder)
    return tokenizer


def trained(folder: Path) -> Network:
    """The network with its own weights, in the precision of the file."""
    check_download(folder)
    config = _config(folder)
    wrong: dict[str, list[str]] = {}
    for head in _heads(config):
        model, info = _load(folder, head)
        wrong = _wrong_keys(info)
        if not wrong:
            return Network(model.eval(), head, fingerprint(model))
    raise StudyError(incomplete(folder, wrong))


def fresh(folder: Path, seed: int) -> Network:
    """The untrained twin: initialised as its family is before training, the same for the same seed on every device."""
    import torch

    config = _config(folder)
    head = _heads(config)[0]
    with torch.random.fork_rng(), _quiet():
        torch.manual_seed(seed)
        model = _auto(head).from_config(config, dtype=torch.float32, trust_remote_code=False)
    return Network(model.eval(), head, fingerprint(model))


def place(network: Network, *, dtype: str, device: str) -> Network:
    """Bring the parameters into a precision and onto a device.

    Buffers keep theirs: rotary frequencies in half precision would turn the
    positions of long texts into one another.
    """
    import torch

    if device == "cuda" and not torch.cuda.is_available():
        raise StudyError(no_gpu())
    for parameter in network.model.parameters():
        parameter.data = parameter.data.to(getattr(torch, dtype))
    network.model.to(device)
    if device == "cpu":
        quicken(network.model)
    return network


def fingerprint(model: Any) -> str:
    """sha256 over name, shape, precision and bytes of every parameter, by name."""
    digest = hashlib.sha256()
    for name, tensor in sorted(model.named_parameters()):
        digest.update(f"{name} {tuple(tensor.shape)} {tensor.dtype}\n".encode())
        digest.update(_bytes(tensor))
    return digest.hexdigest()


def check_expected(network: Network, expected: str, folder: Path) -> Network:
    """Compare with the hash that the study recorded: a flipped bit loads without an error."""
    if expected and network.sha256 != expected:
        raise StudyError(changed(folder, network.sha256, expected))
    return network


def _bytes(tensor: Any) -> memoryview:
    import torch

    return memoryview(tensor.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy())


def _config(folder: Path) -> Any:
    from transformers import AutoConfig

    try:
        with _quiet():
            config = AutoConfig.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
    except Exception as error:  # unknown families, wrong values: each release tells them otherwise
        raise StudyError(unsupported(folder, _line(error))) from error
    if config.is_encoder_decoder:
        raise StudyError(unsupported(folder, f"{config.model_type} has an encoder and a decoder"))
    config.use_cache = False
    return config


def _heads(config: Any) -> tuple[Head, ...]:
    """What to load it as, best first: as its architecture says, else as its family is used."""
    from transformers.models.auto import modeling_auto as auto

    names = " ".join(config.architectures or ())
    if re.search(r"CausalLM|LMHeadModel", names):
        return ("causal",)
    if re.search(r"MaskedLM|PreTraining", names) and config.model_type in auto.MODEL_FOR_MASKED_LM_MAPPING_NAMES:
        return ("masked",)
    if config.model_type in auto.MODEL_FOR_MASKED_LM_MAPPING_NAMES:
        return ("masked", "none")
    return ("causal", "none") if config.model_type in auto.MODEL_FOR_CAUSAL_LM_MAPPING_NAMES else ("none",)


def _auto(head: Head) -> Any:
    import transformers

    names = {"causal": "AutoModelForCausalLM", "masked": "AutoModelForMaskedLM", "none": "AutoModel"}
    return getattr(transformers, names[head])


def _load(folder: Path, head: Head) -> tuple[Any, dict[str, Any]]:
    import transformers

    try:
        with _quiet():
            return _auto(head).from_pretrained(
                folder,
                config=_config(folder),
                dtype="auto",
                use_safetensors=True,
                trust_remote_code=False,
                local_files_only=True,
                output_loading_info=True,
            )
    except Exception as error:  # widths that do not fit, files that are not whole: many kinds, one meaning
        release = f" (transformers {transformers.__version__})"
        raise StudyError(incomplete(folder, {"error": [_line(error) + release]})) from error


def _wrong_keys(info: dict[str, Any]) -> dict[str, list[str]]:
    kinds = {"missing": "missing_keys", "unexpected": "unexpected_keys", "mismatched": "mismatched_keys"}
    keys = {kind: sorted(str(k) for k in info.get(name) or ()) for kind, name in kinds.items()}
    keys = {kind: [k for k in found if not _HARMLESS.search(k)] for kind, found in keys.items()}
    return {kind: found for kind, found in keys.items() if found}


def _check_canary(tokenizer: Any, folder: Path) -> None:
    ids = tokenizer(_CANARY, add_special_tokens=False)["input_ids"]
    if not ids or all(i == tokenizer.unk_token_id for i in ids):
        raise StudyError(no_tokenizer(folder, f"{_CANARY!r} gives the ids {shown(ids)}"))


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep the library's tables and bars off the screen: what matters in them is told as a problem."""
    from transformers.utils import logging

    level, bars = logging.get_verbosity(), logging.is_progress_bar_enabled()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        logging.set_verbosity(level)
        if bars:
            logging.enable_progress_bar()


def _line(error: Exception) -> str:
    return f"{type(error).__name__}: {' '.join(str(error).split())[:200]}"
