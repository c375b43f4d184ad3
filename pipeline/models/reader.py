"""Networks made ready, measured and told apart; each reads every run before the next is made."""

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np
from jaxtyping import Float, Int

from pipeline.models.arrangement import Layout, Manner, layout_of
from pipeline.models.base import Activations, Words
from pipeline.models.identity import Register
from pipeline.models.orders import projection, shuffled_words
from pipeline.models.refusals import strange_ids
from pipeline.models.stretches import Unit, stretches
from pipeline.models.tokens import Alignment, align, pooled_tokens, run_text
from pipeline.models.weights import Network
from pipeline.models.windows import (
    Window,
    context_read,
    future_words,
    loss_per_token,
    windows_of_stretches,
    word_states,
)
from pipeline.problems import Problem, StudyError
from pipeline.scratch import room

_LOSS_TOKENS = 2000  # enough for two digits of the loss
_IN_MEMORY = 2**28  # bytes of states; more lie in a file until they are saved

Axis = Literal["", "seed", "step"]


class Reading(NamedTuple):
    """One network and what it reads.

    `kept`: its states are wanted; else it is only measured, to compare the
    others with. `order`: the seed by which the words are shuffled first.
    """

    name: str
    make: Callable[[], Network]
    kept: bool = True
    order: int | None = None


class Text(NamedTuple):
    """One run, cut into tokens; `stretch` of every word as it is read, and `back`, where shuffled words belong."""

    alignment: Alignment
    stretch: Int[np.ndarray, " word"]
    back: Int[np.ndarray, " word"]

    def windows(self, layout: Layout) -> list[Window]:
        # a token that is no word's stands before all words
        owner = np.maximum(self.alignment.word, 0)
        stretch = self.stretch[owner] if len(self.stretch) else owner
        return windows_of_stretches(stretch, size=layout.size, overlap=layout.overlap)


def read(
    readings: list[Reading],
    tokenizer: Any,
    words: Mapping[str, Words],
    manner: Manner,
    *,
    model: str,
    axis: Axis,
    ordered: bool = False,
    folder: Path | None = None,
) -> Iterator[Activations]:
    """The states of every run, those of all kept readings side by side along `axis`.

    Parameters
    ----------
    readings : each network is made once, measured, reads all runs, and is gone before the next.
    model : its name, for messages.
    ordered : they are checkpoints in the order of training, and refused if their weights say otherwise.
    folder : where states that are too large for memory wait.

    Raises
    ------
    StudyError : networks that should differ and do not, or states that are no numbers.
    """
    kept = [reading for reading in readings if reading.kept]
    heard = _texts(words, manner.reset, None, tokenizer)
    shown, register, facts = heard, Register(model), {}
    layout, values = None, {}
    for reading in readings:
        network = reading.make()
        if layout is None:
            layout = layout_of(network, tokenizer, manner, model)
            values = _rooms(words, len(kept), layout, folder)
        texts = heard if reading.order is None else _texts(words, manner.reset, reading.order, tokenizer)
        shown = texts if reading is kept[0] else shown
        facts |= _measured(network, layout, tokenizer, texts, f"_{reading.name}" if axis else "")
        if reading.order is None:
            register.add(reading.name, network, facts)
        for run, text in texts.items() if reading.kept else ():
            values[run][kept.index(reading)] = _pooled(network, text, manner, layout, model, run)
        del network
    register.check(ordered=ordered, chance=float(layout.facts["ln_vocabulary"]))
    for run, text in shown.items():
        answer = _answer(run, values.pop(run), text, kept, axis, layout)
        yield answer._replace(facts=layout.facts | facts | answer.facts | {"reset": manner.reset})


def _texts(words: Mapping[str, Words], reset: Unit, order: int | None, tokenizer: Any) -> dict[str, Text]:
    return {run: _text(run, table, reset, order, tokenizer) for run, table in words.items()}


def _text(run: str, table: Words, reset: Unit, order: int | None, tokenizer: Any) -> Text:
    unit, back = stretches(table, reset, run=run), np.arange(len(table))
    if order is not None:
        table, back = shuffled_words(table, unit, order, run)
    return Text(align(run_text(table), tokenizer, run=run), unit, back)


def _rooms(words: Mapping[str, Words], n: int, layout: Layout, folder: Path | None) -> dict[str, np.ndarray]:
    """Room for every run's states in one piece, which lies in a file where it is large."""
    lengths = [len(table) for table in words.values()]
    whole = room((n * sum(lengths), len(layout.layers), layout.width), np.float32, folder, _IN_MEMORY)
    edges = np.cumsum([0, *(n * length for length in lengths)])
    parts = zip(words, lengths, edges[:-1], edges[1:], strict=True)
    return {run: whole[a:b].reshape(n, length, *whole.shape[1:]) for run, length, a, b in parts}


def _measured(
    network: Network, layout: Layout, tokenizer: Any, texts: Mapping[str, Text], suffix: str
) -> dict[str, str | int | float]:
    """Hash of the weights, and the loss on the first run as it is read."""
    facts: dict[str, str | int | float] = {f"weights_sha256{suffix}": network.sha256}
    for text in texts.values():
        _check_ids(text.alignment.ids, network.rows, tokenizer.name_or_path)
    ids = next(iter(texts.values())).alignment.ids[:_LOSS_TOKENS]
    mask = tokenizer.mask_token_id if network.head == "masked" else None
    if network.head == "causal" or mask is not None:
        loss = loss_per_token(network.model, ids, frame=layout.frame, size=layout.size, mask=mask)
        facts |= {f"loss{suffix}": loss} if loss is not None else {}
    return facts


def _pooled(
    network: Network, text: Text, manner: Manner, layout: Layout, name: str, run: str
) -> Float[np.ndarray, "word layer feature"]:
    pairs, n_words = pooled_tokens(text.alignment, manner.pool), len(text.back)
    values = word_states(
        network.model, text.alignment.ids, text.windows(layout), pairs,
        frame=layout.frame, layers=layout.layers, n_words=n_words, states=manner.states,
    )  # fmt: skip
    if manner.pool == "mean":
        values /= np.maximum(np.bincount(pairs[1], minlength=n_words), 1)[:, None, None]
    _check_finite(values, layout.layers, name, run)
    values = values if manner.project is None else values @ projection(values.shape[-1], manner.project)
    return values[text.back]


def _answer(run: str, values: np.ndarray, text: Text, kept: list[Reading], axis: Axis, layout: Layout) -> Activations:
    alignment, shuffled = text.alignment, kept[0].order is not None
    plan = text.windows(layout)
    ahead = future_words(plan, alignment.word) if layout.both_ways else 0
    # any word of a shuffled stretch may stand before any other
    ahead = int(np.bincount(text.stretch).max(initial=1)) - 1 if shuffled else ahead
    return Activations(
        run=run,
        values=values if axis else values[0],
        layers=layout.layers,
        seeds=tuple(int(r.name.removeprefix("seed")) for r in kept) if axis == "seed" else (),
        steps=tuple(r.name for r in kept) if axis == "step" else (),
        facts=alignment.facts | {"max_future_words": ahead},
        alignment=() if shuffled else alignment.tokens,  # every order has one of its own
        context=_context(context_read(plan, len(alignment.ids)), alignment)[text.back],
    )


def _context(of_token: Int[np.ndarray, " token"], alignment: Alignment) -> Int[np.ndarray, " word"]:
    """Of each word's last token; an empty word has that of the word before it, or 0."""
    last = np.maximum.accumulate(alignment.last)
    return np.where(last >= 0, of_token[last], 0) if len(of_token) else np.zeros(len(last), np.int64)


def _check_ids(ids: Int[np.ndarray, " token"], rows: int, name: str) -> None:
    if len(ids) and ids.max() >= rows:
        raise StudyError(strange_ids(name, f"id {ids.max()} in the text", f"ids below {rows}, the embedding rows"))


def _check_finite(
    values: Float[np.ndarray, "word layer feature"], layers: tuple[int, ...], name: str, run: str
) -> None:
    shares = 1 - np.isfinite(values).mean(axis=(0, 2)) if len(values) else np.zeros(values.shape[1])
    if not shares.any():
        return
    worst = int(np.argmax(shares))
    raise StudyError(
        Problem(
            "E-MODEL-08",
            f"run {run}: states that are no numbers",
            file=name,
            field="dtype",
            found=f"{shares[worst]:.2%} NaN or infinite in layer {layers[worst]}; "
            f"layers {[layer for layer, share in zip(layers, shares, strict=True) if share]}",
            expected="finite numbers in every layer",
            why="sums beyond 65504 overflow in float16; in other precisions the weights themselves are broken",
            fix="set dtype: float32 or bfloat16; if it is, fetch the weights again",
        )
    )
