"""Long texts in windows: which tokens are read together, and which states are kept.

A state is kept from the window in which at least `min_context` tokens were
read before it. Windows begin at places that only the start of the text fixes,
never its end, so no word changes when the story goes on otherwise.
"""

import math
from itertools import groupby
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float, Int

_BATCH_BYTES = 2**26  # states of all layers held at once; more is no faster on a CPU
_MASK_EVERY = 7  # 1 in 7 is about the 15 % that masked models are trained with


class Window(NamedTuple):
    """Tokens [start, stop) are read together, states are kept from `keep` on."""

    start: int
    stop: int
    keep: int


class Frame(NamedTuple):
    """Special tokens around every window: they take the attention that belongs to no word, and are never pooled."""

    prefix: tuple[int, ...] = ()
    suffix: tuple[int, ...] = ()

    @property
    def size(self) -> int:
        return len(self.prefix) + len(self.suffix)


def windows(n_tokens: int, *, size: int, overlap: int) -> list[Window]:
    """Cover `n_tokens` with windows of `size`, each beginning `overlap` tokens before the first it keeps."""
    if not 0 <= overlap < size:
        raise ValueError(f"an overlap of {overlap} tokens does not fit windows of {size}")
    found = [Window(0, min(size, n_tokens), 0)] if n_tokens else []
    while found and found[-1].stop < n_tokens:
        start = found[-1].stop - overlap
        found.append(Window(start, min(start + size, n_tokens), found[-1].stop))
    return found


def future_words(plan: list[Window], word: Int[np.ndarray, " token"]) -> int:
    """How many later words a network that looks both ways had before it, at most."""
    return max((int(word[w.stop - 1] - word[w.keep]) for w in plan), default=0)


def hidden_states(model: Any, ids: Int[np.ndarray, "window position"]) -> tuple[Any, ...]:
    """States of every layer in one pass, the embedding first; the output over the vocabulary is not computed."""
    import torch

    with torch.inference_mode():
        batch = torch.from_numpy(ids).to(model.device)
        return model.base_model(input_ids=batch, output_hidden_states=True).hidden_states


def state_sizes(model: Any) -> list[int]:
    """Features of each layer's states, the embedding first: tried out, for families name them differently."""
    return [state.shape[-1] for state in hidden_states(model, np.zeros((1, 1), np.int64))]


def looks_ahead(model: Any, rows: int) -> bool:
    """Whether a state changes with the token after it: measured, for names and configs may say otherwise."""
    ids = np.arange(8, dtype=np.int64)[None] % rows
    other = ids.copy()
    other[0, -1] = (ids[0, -1] + 1) % rows
    pairs = zip(hidden_states(model, ids), hidden_states(model, other), strict=True)
    return any(float((a - b)[:, :-1].abs().max()) > 1e-4 * float(a.abs().max()) for a, b in pairs)


def word_states(
    model: Any,
    ids: Int[np.ndarray, " token"],
    plan: list[Window],
    pairs: tuple[Int[np.ndarray, " pair"], Int[np.ndarray, " pair"]],
    *,
    frame: Frame,
    layers: tuple[int, ...],
    n_words: int,
    batch_bytes: int = _BATCH_BYTES,
) -> Float[np.ndarray, "word layer feature"]:
    """Sum the states of each word's tokens, layer by layer.

    Parameters
    ----------
    model : a network; its base is run, not its head.
    ids : the tokens of one run.
    plan : from `windows`; every token is kept once.
    pairs : tokens and the words they make up, both in ascending order.
    batch_bytes : windows of equal length are read together up to this size.

    Returns
    -------
    A row per word; zeros for words without a pair.
    """
    (tokens, words), width = pairs, state_sizes(model)[layers[0]]
    out = np.zeros((n_words, len(layers), width), np.float32)
    for batch in _batches(plan, frame, batch_bytes // (4 * width * (max(layers) + 1))):
        rows = slice(*np.searchsorted(tokens, [batch[0].keep, batch[-1].stop]))
        states = hidden_states(model, _framed(ids, batch, frame))
        window, position = _places(tokens[rows], batch, frame)
        found, counts = np.unique(words[rows], return_counts=True)
        for i, layer in enumerate(layers):
            out[found, i] += _summed(states[layer], window, position, counts)
    return out


def loss_per_token(
    model: Any, ids: Int[np.ndarray, " token"], *, frame: Frame, size: int, mask: int | None
) -> float | None:
    """Surprise at the text, in nats per token: a trained network is far below ln(vocabulary), a random one at it.

    With `mask`, every seventh token is hidden and guessed; otherwise each is
    guessed from those before it in its window. None if there is nothing to guess.
    """
    total, count = 0.0, 0
    for start in range(0, len(ids), size):
        piece = ids[start : start + size]
        hidden = np.arange(len(piece)) % _MASK_EVERY == _MASK_EVERY // 2 if mask is not None else None
        surprise = _surprises(model, piece, frame, hidden, mask)
        total, count = total + float(surprise.sum()), count + len(surprise)
    return total / count if count else None


def _surprises(
    model: Any, piece: Int[np.ndarray, " token"], frame: Frame, hidden: np.ndarray | None, mask: int | None
) -> np.ndarray:
    import torch

    shown = piece if hidden is None else np.where(hidden, mask, piece)
    framed = np.array([[*frame.prefix, *shown, *frame.suffix]], np.int64)
    if hidden is None:
        guessed = np.arange(0 if frame.prefix else 1, len(piece))
        places = guessed + len(frame.prefix) - 1
    else:
        guessed = np.flatnonzero(hidden)
        places = guessed + len(frame.prefix)
    with torch.inference_mode():
        logits = model(input_ids=torch.from_numpy(framed).to(model.device)).logits[0, places].float()
        targets = torch.from_numpy(piece[guessed]).to(model.device)
        return torch.nn.functional.cross_entropy(logits, targets, reduction="none").cpu().numpy()


def _batches(plan: list[Window], frame: Frame, most_tokens: int) -> list[list[Window]]:
    batches = []
    for length, group in groupby(plan, key=lambda w: w.stop - w.start):
        same, most = list(group), max(1, math.floor(most_tokens / (length + frame.size)))
        batches += [same[i : i + most] for i in range(0, len(same), most)]
    return batches


def _framed(ids: Int[np.ndarray, " token"], batch: list[Window], frame: Frame) -> Int[np.ndarray, "window position"]:
    return np.array([[*frame.prefix, *ids[w.start : w.stop], *frame.suffix] for w in batch], np.int64)


def _places(
    tokens: Int[np.ndarray, " pair"], batch: list[Window], frame: Frame
) -> tuple[Int[np.ndarray, " pair"], Int[np.ndarray, " pair"]]:
    window = np.searchsorted([w.stop for w in batch], tokens, side="right")
    return window, tokens - np.array([w.start for w in batch])[window] + len(frame.prefix)


def _summed(
    states: Any, window: Int[np.ndarray, " pair"], position: Int[np.ndarray, " pair"], counts: Int[np.ndarray, " found"]
) -> Float[np.ndarray, "found feature"]:
    """Pool on the device; a segmented sum is the same every time, an indexed one is not on a GPU."""
    import torch

    picked = states[torch.from_numpy(window), torch.from_numpy(position)].float()
    if len(counts) < len(window):
        picked = torch.segment_reduce(picked, "sum", lengths=torch.from_numpy(counts).to(picked.device), axis=0)
    return picked.cpu().numpy()
