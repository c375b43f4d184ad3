"""Networks made ready, told apart and measured; then run after run is read by them."""

import math
from collections.abc import Callable
from typing import Any, Literal, NamedTuple

import numpy as np
from jaxtyping import Float, Int

from pipeline.models.base import Activations
from pipeline.models.refusals import strange_ids, unfit
from pipeline.models.tokens import Alignment, pooled_tokens
from pipeline.models.weights import Network, check_distinct
from pipeline.models.windows import (
    Frame,
    Window,
    future_words,
    looks_ahead,
    loss_per_token,
    state_sizes,
    windows,
    word_states,
)
from pipeline.problems import Problem, StudyError

Makers = dict[str, Callable[[], Network]]

_LOSS_TOKENS = 2000  # enough for two digits of the loss
_HELD_PARAMETERS = 10**9  # more than that is not held between runs but made anew, for a seed makes the same again


class Reader(NamedTuple):
    """What it takes to read a run: networks (one per seed), where windows begin, which layers are kept."""

    networks: tuple[Callable[[], Network], ...]
    seeds: tuple[int, ...]
    layers: tuple[int, ...]
    frame: Frame
    context: int
    min_context: int
    both_ways: bool
    facts: dict[str, str | int | float]


def open_reader(
    makers: Makers,
    tokenizer: Any,
    ids: Int[np.ndarray, " token"],
    *,
    seeds: tuple[int, ...],
    layers: Literal["all"] | tuple[int, ...],
    context: int,
    min_context: int | None,
) -> Reader:
    """Make every network once, refuse twins that are no twins, and measure the loss.

    Parameters
    ----------
    makers : "trained" (where there are weights), then "seed0" and so on.
    ids : tokens of the first run; the loss is taken on the first 2000.
    seeds : empty: the trained network is read; else the twins are, and the
        trained one is only measured beside them.
    """
    wanted = [name for name in makers if name != "trained" or not seeds]
    networks, hashes, facts, reader = [], {}, {}, None
    for name, make in makers.items():
        network = make()
        reader = reader or _layout(network, tokenizer, layers, context, min_context)
        facts |= _measured(network, reader, tokenizer, ids, suffix=f"_{name}" if seeds else "")
        hashes[name] = network.sha256
        if name in wanted:
            small = network.parameters * len(wanted) <= _HELD_PARAMETERS or not seeds
            networks.append((lambda network=network: network) if small else make)
        del network
    check_distinct(hashes, tokenizer.name_or_path)
    return reader._replace(networks=tuple(networks), seeds=seeds, facts=reader.facts | facts)


def read_run(reader: Reader, alignment: Alignment, *, run: str, pool: Literal["last", "mean", "sum"]) -> Activations:
    """The states of one run, every seed's side by side."""
    _check_ids(alignment.ids, int(reader.facts["vocabulary"]), str(reader.facts.get("model", "")))
    size = reader.context - reader.frame.size
    plan = windows(len(alignment.ids), size=size, overlap=reader.min_context)
    values = [_pooled(make(), reader, alignment, plan, pool, run) for make in reader.networks]
    ahead = future_words(plan, alignment.word) if reader.both_ways else 0
    return Activations(
        run=run,
        values=np.stack(values) if reader.seeds else values[0],
        layers=reader.layers,
        seeds=reader.seeds,
        facts=reader.facts | alignment.facts | {"max_future_words": ahead},
        alignment=alignment.tokens,
    )


def _layout(
    network: Network, tokenizer: Any, layers: Literal["all"] | tuple[int, ...], context: int, min_context: int | None
) -> Reader:
    """The same for all twins: they differ in their numbers alone."""
    sizes, frame = state_sizes(network.model), _frame(network, tokenizer)
    chosen = tuple(range(len(sizes))) if layers == "all" else layers
    overlap = context // 2 if min_context is None else min_context
    if not frame.prefix:
        overlap = max(overlap, 1)  # else a window's first token, which takes the idle attention, would be a word
    _check_layout(sizes, chosen, overlap, context - frame.size, tokenizer.name_or_path)
    facts = {
        "parameters": network.parameters,
        "vocabulary": network.rows,
        "ln_vocabulary": math.log(network.rows),
        "context": context,
        "min_context": overlap,
        "first_token_is_a_word": int(not frame.prefix),
    }
    return Reader((), (), chosen, frame, context, overlap, looks_ahead(network.model, network.rows), facts)


def _frame(network: Network, tokenizer: Any) -> Frame:
    """Networks that read both ways know sentences as [CLS] ... [SEP], the others as BOS ..."""
    cls, sep = tokenizer.cls_token_id, tokenizer.sep_token_id
    if network.head != "causal" and cls is not None and sep is not None:
        return Frame((cls,), (sep,))
    bos = tokenizer.bos_token_id
    return Frame((bos,)) if bos is not None and bos < network.rows else Frame()


def _measured(
    network: Network, reader: Reader, tokenizer: Any, ids: Int[np.ndarray, " token"], *, suffix: str
) -> dict[str, str | int | float]:
    facts: dict[str, str | int | float] = {f"weights_sha256{suffix}": network.sha256}
    _check_ids(ids, network.rows, tokenizer.name_or_path)
    mask = tokenizer.mask_token_id if network.head == "masked" else None
    if network.head == "causal" or mask is not None:
        size = reader.context - reader.frame.size
        loss = loss_per_token(network.model, ids[:_LOSS_TOKENS], frame=reader.frame, size=size, mask=mask)
        facts |= {f"loss{suffix}": loss} if loss is not None else {}
    return facts


def _pooled(
    network: Network,
    reader: Reader,
    alignment: Alignment,
    plan: list[Window],
    pool: Literal["last", "mean", "sum"],
    run: str,
) -> Float[np.ndarray, "word layer feature"]:
    pairs, n_words = pooled_tokens(alignment, pool), len(alignment.last)
    values = word_states(
        network.model, alignment.ids, plan, pairs, frame=reader.frame, layers=reader.layers, n_words=n_words
    )
    if pool == "mean":
        values /= np.maximum(np.bincount(pairs[1], minlength=n_words), 1)[:, None, None]
    _check_finite(values, reader, run)
    return values


def _check_ids(ids: Int[np.ndarray, " token"], rows: int, name: str) -> None:
    if len(ids) and ids.max() >= rows:
        raise StudyError(strange_ids(name, f"id {ids.max()} in the text", f"ids below {rows}, the embedding rows"))


def _check_finite(values: Float[np.ndarray, "word layer feature"], reader: Reader, run: str) -> None:
    shares = 1 - np.isfinite(values).mean(axis=(0, 2)) if len(values) else np.zeros(values.shape[1])
    if not shares.any():
        return
    worst = int(np.argmax(shares))
    raise StudyError(
        Problem(
            "E-MODEL-08",
            f"run {run}: states that are no numbers",
            file=str(reader.facts.get("model", "")),
            field="dtype",
            found=f"{shares[worst]:.2%} NaN or infinite in layer {reader.layers[worst]}; "
            f"layers {[layer for layer, share in zip(reader.layers, shares, strict=True) if share]}",
            expected="finite numbers in every layer",
            why="sums beyond 65504 overflow in float16; in other precisions the weights themselves are broken",
            fix="set dtype: float32 or bfloat16; if it is, fetch the weights again",
        )
    )


def _check_layout(sizes: list[int], layers: tuple[int, ...], overlap: int, room: int, file: str) -> None:
    found = []
    if max(layers) >= len(sizes):
        found.append(unfit("layers", layers, f"0 (the embedding) to {len(sizes) - 1}", file=file))
    elif len({sizes[layer] for layer in layers}) > 1:
        found.append(unfit("layers", layers, f"layers of one width; theirs are {sizes}", file=file))
    if overlap >= room:
        found.append(unfit("min_context", overlap, f"below {room}, the context without special tokens", file=file))
    if found:
        raise StudyError(*found)
