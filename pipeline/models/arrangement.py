"""How texts are read, whoever reads them: windows, special tokens, layers, and what does not fit a network."""

import math
from typing import Any, Literal, NamedTuple

from pipeline.models.refusals import unfit
from pipeline.models.stretches import Unit
from pipeline.models.sublayers import States
from pipeline.models.weights import Network
from pipeline.models.windows import Frame, looks_ahead, state_sizes
from pipeline.problems import StudyError


class Manner(NamedTuple):
    """How texts are read, as the settings of `Transformer` say it."""

    layers: Literal["all"] | tuple[int, ...]
    states: States
    context: int
    min_context: int | None
    exact: bool
    reset: Unit
    pool: Literal["last", "mean", "sum"]
    project: int | None


class Layout(NamedTuple):
    """What follows for the networks at hand: layers, windows, and how many columns are stored.

    `size` are the tokens of the text in a window, `overlap` those that it
    shares with the one before.
    """

    layers: tuple[int, ...]
    frame: Frame
    size: int
    overlap: int
    both_ways: bool
    width: int
    facts: dict[str, str | int | float]


def layout_of(network: Network, tokenizer: Any, manner: Manner, model: str) -> Layout:
    """The same for all of a model's networks: they differ in their numbers alone."""
    sizes, frame = state_sizes(network.model, manner.states), frame_of(network, tokenizer)
    chosen = tuple(i for i, size in enumerate(sizes) if size) if manner.layers == "all" else manner.layers
    size = manner.context - frame.size
    overlap = _overlap(manner, frame, size)
    _check_layout(sizes, chosen, overlap, size, manner.project, model)
    facts = {
        "parameters": network.parameters,
        "vocabulary": network.rows,
        "ln_vocabulary": math.log(network.rows),
        "context": manner.context,
        "min_context": overlap,
        "first_token_is_a_word": int(not frame.prefix),
    }
    width = manner.project or sizes[chosen[0]]
    return Layout(chosen, frame, size, overlap, looks_ahead(network.model, network.rows), width, facts)


def _overlap(manner: Manner, frame: Frame, size: int) -> int:
    if manner.exact:
        return size - 1
    overlap = manner.context // 2 if manner.min_context is None else manner.min_context
    # without a special token the first of a window takes the idle attention: of later windows it is no word
    return overlap if frame.prefix else max(overlap, 1)


def frame_of(network: Network, tokenizer: Any) -> Frame:
    """Networks that read both ways know sentences as [CLS] ... [SEP], the others as BOS ..., or EOS between texts."""
    cls, sep = tokenizer.cls_token_id, tokenizer.sep_token_id
    if network.head != "causal" and cls is not None and sep is not None:
        return Frame((cls,), (sep,))
    first = next((i for i in (tokenizer.bos_token_id, tokenizer.eos_token_id) if i is not None), None)
    return Frame((first,)) if first is not None and first < network.rows else Frame()


def _check_layout(
    sizes: list[int], layers: tuple[int, ...], overlap: int, room: int, project: int | None, file: str
) -> None:
    found = []
    known = [i for i, size in enumerate(sizes) if size]
    if not set(layers) <= set(known):
        found.append(unfit("layers", layers, f"{known[0]} to {known[-1]}", file=file))
    elif len({sizes[layer] for layer in layers}) > 1:
        found.append(unfit("layers", layers, f"layers of one width; theirs are {sizes}", file=file))
    elif project and project > sizes[layers[0]]:
        found.append(unfit("project", project, f"at most {sizes[layers[0]]}, the width of a layer", file=file))
    if not 0 <= overlap < room:
        found.append(unfit("min_context", overlap, f"below {room}, the context without special tokens", file=file))
    if found:
        raise StudyError(*found)
