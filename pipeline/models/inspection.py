"""Is a model what it is called, and does it read? Tried on plain English before a study is built on it.

Everything that is wrong is listed at once: what headers tell, what loading
tells, and what the numbers tell once a paragraph was read. It is read as a
study reads its words: the same tokenizer, the same special tokens around a
window, the same states.
"""

import math
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Int

from pipeline.models import folder as folders
from pipeline.models import remarks
from pipeline.models import weights as nets
from pipeline.models.arrangement import frame_of
from pipeline.models.refusals import same_network, strange_ids
from pipeline.models.tokens import Alignment, align, run_text
from pipeline.models.windows import Frame, hidden_states, looks_ahead, loss_per_token, state_sizes
from pipeline.problems import Problem, StudyError

SENTENCE = "The little dog ran across the wet grass."
PARAGRAPH = (
    "On the first warm morning of spring, Anna opened her window and looked down into the garden. The snow was gone, "
    "and a small brown bird sat on the wall with a piece of dry grass in its mouth. It was building a nest in the old "
    "apple tree. Anna ran to find her brother. She told him to come and see, but to walk slowly, or the bird would fly "
    "away. They stood under the tree for a long time and didn't say a word. The bird came and went, and each time it "
    "brought something new. When it began to rain, their mother called them into the house. In the kitchen there was "
    "hot soup and fresh bread on the table. They told her about the nest, and she smiled. Now we must keep the cat "
    "inside for a few weeks, she said, because soon there will be eggs, and then there will be young birds to feed."
)
SEED = 0
_OWN_CONTEXT = 512  # tokens, for a family that has no limit of its own
_LEARNT = 0.9  # of ln(vocabulary): a loss above it is hardly better than chance
_NEAR = 0.05  # of ln(vocabulary): how far from it an untrained network may be


class Inspection:
    """What was found out about a model, as plain numbers and texts, and everything that is wrong with it.

    A fact that could not be had, because of a problem that stands there, is
    left out: each fault is told once.
    """

    def __init__(self) -> None:
        self.facts: dict[str, Any] = {}
        self.problems: list[Problem] = []

    @property
    def verdict(self) -> str:
        if any(problem.level == "error" for problem in self.problems):
            return "not usable"
        return "usable with warnings" if self.problems else "usable"

    def tell(self, *problems: Problem) -> None:
        self.problems += [problem for problem in problems if problem not in self.problems]

    def tried(self, call: Callable[..., Any], *arguments: Any, **settings: Any) -> Any:
        """The answer; None where it was refused, and then the reasons are told."""
        try:
            return call(*arguments, **settings)
        except StudyError as error:
            self.tell(*error.problems)
            return None


class Text(NamedTuple):
    """The paragraph as one network reads it: `size` tokens in a window, special ones not counted."""

    ids: Int[np.ndarray, " token"]
    frame: Frame
    size: int
    mask: int | None
    predicts: bool


def inspect(name: str, *, tokenizer: str = "", revision: str = "") -> Inspection:
    """Look at headers, load, read a paragraph, and compare with an untrained twin; nothing is downloaded.

    Parameters
    ----------
    name : a directory, or a hub id in the local cache.
    tokenizer : the same, for the tokenizer; empty: beside the weights.
    revision : of a hub id; empty: the one that was fetched last.
    """
    seen = Inspection()
    seen.facts["name"] = name
    folder = seen.tried(folders.locate, name, Path(), revision=revision)
    beside = seen.tried(folders.locate, tokenizer, Path(), field="tokenizer") if tokenizer else folder
    if folder is None:
        return seen
    network = _network(seen, folder)
    words = _words(seen, beside, folder) if beside else None
    text = seen.tried(_text, seen, folder, network, *words) if network and words else None
    if text:
        _read(seen, folder, network, text)
        del network  # two large ones at a time might not fit
        _compare(seen, folder, text)
    return seen


def _network(seen: Inspection, folder: Path) -> nets.Network | None:
    """The trained network in float32, unless its headers are wrong already."""
    wrong = folders.folder_problems(folder, needs_weights=True)
    seen.tell(*wrong)
    seen.facts |= {"folder": str(folder.absolute())} | (seen.tried(_headers, folder) or {})
    network = None if wrong else seen.tried(nets.trained, folder)
    if network is None:
        return None
    seen.facts |= {
        "class": type(network.model).__name__,
        "head": network.head,
        "precision": str(next(network.model.parameters()).dtype).removeprefix("torch."),
        "parameters": network.parameters,
        "weights_sha256": network.sha256,
        "vocabulary": network.rows,
        "ln_vocabulary": math.log(network.rows),
    }
    nets.place(network, dtype="float32", device="cpu")
    ahead = looks_ahead(network.model, network.rows)
    seen.facts |= {"widths": state_sizes(network.model), "looks_ahead": ahead}
    return network


def _headers(folder: Path) -> dict[str, Any]:
    config = folders.read_config(folder)
    files = [path for path in folders.weight_files(folder) if path.suffix != ".json" and path.exists()]
    return {
        "family": config["model_type"],
        "context": folders.longest_context(config),
        "weights_files": [path.name for path in files],
        "weights_bytes": sum(path.stat().st_size for path in files),
    }


def _words(seen: Inspection, folder: Path, model: Path) -> tuple[Any, Alignment] | None:
    """The tokenizer and the paragraph as it cuts it, unless headers tell that it is none or another model's."""
    wrong = seen.tried(folders.tokenizer_problems, folder, model)
    seen.facts["tokenizer"] = str(folder.absolute())
    if wrong is None or wrong:
        seen.tell(*(wrong or ()))
        return None
    tokenizer = seen.tried(nets.load_tokenizer, folder)
    if tokenizer is None:
        return None
    canary = _canary(tokenizer)
    seen.facts |= {"entries": len(tokenizer), "canary": canary}
    if not canary["comes_back"]:
        seen.tell(remarks.lost_letters(folder, canary["decoded"], SENTENCE))
    alignment = seen.tried(_aligned, tokenizer)
    if alignment is None:
        return None
    unknown = alignment.facts["n_unknown_tokens"]
    seen.facts["paragraph"] = {"words": len(alignment.last), "tokens": len(alignment.ids), "unknown_tokens": unknown}
    return tokenizer, alignment


def _canary(tokenizer: Any) -> dict[str, Any]:
    """A sentence into ids and back, but for white space and case: many tokenizers change these, and may."""
    ids = tokenizer(SENTENCE, add_special_tokens=False)["input_ids"]
    decoded = tokenizer.decode(ids, skip_special_tokens=False, clean_up_tokenization_spaces=False)
    bare, sought = (re.sub(r"\s+", "", text).casefold() for text in (decoded, SENTENCE))
    return {"text": SENTENCE, "ids": list(ids), "decoded": decoded, "comes_back": bare == sought}


def _aligned(tokenizer: Any) -> Alignment:
    from pandas import DataFrame

    return align(run_text(DataFrame({"word": PARAGRAPH.split()})), tokenizer, run="(built-in paragraph)")


def _text(seen: Inspection, folder: Path, network: nets.Network, tokenizer: Any, alignment: Alignment) -> Text:
    ids, frame = alignment.ids, frame_of(network, tokenizer)
    seen.facts["special_tokens"] = [tokenizer.convert_ids_to_tokens(list(part)) for part in frame]
    if ids.max() >= network.rows:
        raise StudyError(strange_ids(folder, f"id {ids.max()} in plain English", f"ids below {network.rows}"))
    size = (folders.longest_context(folders.read_config(folder)) or _OWN_CONTEXT) - frame.size
    mask = tokenizer.mask_token_id if network.head == "masked" else None
    return Text(ids, frame, size, mask, network.head == "causal" or mask is not None)


def _read(seen: Inspection, folder: Path, network: nets.Network, text: Text) -> None:
    """States and loss of the trained network."""
    shares, largest = _states(network, text)
    loss, chance = _loss(network, text), seen.facts["ln_vocabulary"]
    seen.facts |= {"not_finite": shares, "largest_state": largest, "loss_trained": loss}
    if any(shares):
        seen.tell(remarks.no_numbers(folder, shares))
    elif loss is not None and not loss < _LEARNT * chance:
        seen.tell(remarks.untrained(folder, loss, chance, _LEARNT))


def _compare(seen: Inspection, folder: Path, text: Text) -> None:
    """The same network before training: another hash, and no better than chance."""
    twin = seen.tried(nets.fresh, folder, SEED)
    if twin is None:
        return
    if twin.sha256 == seen.facts["weights_sha256"]:
        seen.tell(same_network(str(folder), "trained", f"seed{SEED}", twin.sha256))
    loss, chance = _loss(nets.place(twin, dtype="float32", device="cpu"), text), seen.facts["ln_vocabulary"]
    seen.facts |= {"twin_seed": SEED, "twin_sha256": twin.sha256, "loss_twin": loss}
    if loss is not None and not abs(loss - chance) <= _NEAR * chance:
        seen.tell(remarks.odd_twin(folder, loss, chance, _NEAR, SEED))


def _states(network: nets.Network, text: Text) -> tuple[list[float], list[float]]:
    """Layer by layer, the share of states that are no numbers, and the largest size of those that are."""
    import torch

    shares, largest = [], []
    for start in range(0, len(text.ids), text.size):
        piece = text.ids[start : start + text.size]
        framed = np.array([[*text.frame.prefix, *piece, *text.frame.suffix]], np.int64)
        states = [state.float() for state in hidden_states(network.model, framed)]
        shares.append([1 - float(torch.isfinite(state).float().mean()) for state in states])
        largest.append([float(state.nan_to_num(0, 0, 0).abs().max()) for state in states])
    return np.mean(shares, axis=0).tolist(), np.max(largest, axis=0).tolist()


def _loss(network: nets.Network, text: Text) -> float | None:
    """Nats per token; None where nothing is predicted, or where the answer is no number."""
    if not text.predicts:
        return None
    loss = loss_per_token(network.model, text.ids, frame=text.frame, size=text.size, mask=text.mask)
    return loss if loss is not None and math.isfinite(loss) else None
