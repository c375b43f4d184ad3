"""Long texts in windows: which tokens are read together, and which states are kept.

A state is kept from the window in which at least `min_context` tokens were
read before it. Windows begin at places that only the start of the text (or of
its sentence or passage) fixes, never its end, so no word changes when the
story goes on otherwise.
"""

import math
from itertools import groupby, pairwise
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float, Int

from pipeline.models.sublayers import States, outputs

# states of all layers held at once: what a processor's cache holds, what keeps a GPU busy
_BATCH_BYTES = {"cpu": 2**22, "cuda": 2**28}
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


def windows(n_tokens: int, *, size: int, overlap: int, start: int = 0) -> list[Window]:
    """Cover `n_tokens` from `start` on with windows of `size`, each beginning `overlap` tokens before the first it keeps.

    With an overlap of size - 1, every window but the first keeps one token:
    each is read with exactly `size` tokens.
    """
    if not 0 <= overlap < size:
        raise ValueError(f"an overlap of {overlap} tokens does not fit windows of {size}")
    end = start + n_tokens
    found = [Window(start, min(start + size, end), start)] if n_tokens else []
    while found and found[-1].stop < end:
        begin = found[-1].stop - overlap
        found.append(Window(begin, min(begin + size, end), found[-1].stop))
    return found


def windows_of_stretches(stretch: Int[np.ndarray, " token"], *, size: int, overlap: int) -> list[Window]:
    """Windows that never reach from one stretch of the text into another; `stretch` numbers them, token by token."""
    edges = [0, *(np.flatnonzero(np.diff(stretch)) + 1).tolist(), len(stretch)]
    lengths = pairwise(edges)
    return [w for start, end in lengths for w in windows(end - start, size=size, overlap=overlap, start=start)]


def context_read(plan: list[Window], n_tokens: int) -> Int[np.ndarray, " token"]:
    """Tokens of the text up to and with each token in the window that keeps it."""
    read = np.zeros(n_tokens, np.int64)
    for window in plan:
        read[window.keep : window.stop] = np.arange(window.keep, window.stop) - window.start + 1
    return read


def future_words(plan: list[Window], word: Int[np.ndarray, " token"]) -> int:
    """How many later words a network that looks both ways had before it, at most."""
    return max((int(word[w.stop - 1] - word[w.keep]) for w in plan), default=0)


def hidden_states(model: Any, ids: Int[np.ndarray, "window position"], states: States = "residual") -> tuple[Any, ...]:
    """States of every layer in one pass, the embedding first; the output over the vocabulary is not computed."""
    import torch

    with torch.inference_mode():
        batch = torch.from_numpy(ids).to(model.device)
        if states == "residual":
            return model.base_model(input_ids=batch, output_hidden_states=True).hidden_states
        return outputs(model, batch, states)


def state_sizes(model: Any, states: States = "residual") -> list[int]:
    """Features of each layer's states, the embedding first: tried out, for families name them differently.

    0 where there are none: no attention comes before the first layer.
    """
    found = hidden_states(model, np.zeros((1, 1), np.int64), states)
    return [0 if state is None else state.shape[-1] for state in found]


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
    states: States = "residual",
    batch_bytes: int | None = None,
) -> Float[np.ndarray, "word layer feature"]:
    """Sum the states of each word's tokens, layer by layer.

    Parameters
    ----------
    model : a network; its base is run, not its head.
    ids : the tokens of one run.
    plan : every token is kept once; windows that keep none of a word's tokens are not read.
    pairs : tokens and the words they make up, both in ascending order.
    batch_bytes : windows of equal length are read together up to this size; by default what suits the device.

    Returns
    -------
    A row per word; zeros for words without a pair.
    """
    (tokens, words), width = pairs, state_sizes(model, states)[layers[0]]
    out = np.zeros((n_words, len(layers), width), np.float32)
    plan = [w for w in plan if np.diff(np.searchsorted(tokens, [w.keep, w.stop]))[0]]
    most = _BATCH_BYTES[model.device.type] if batch_bytes is None else batch_bytes
    for batch in _batches(plan, frame, most // (4 * width * (max(layers) + 1))):
        rows = _rows(tokens, batch)
        found_states = hidden_states(model, _framed(ids, batch, frame), states)
        window, position = _places(tokens[rows], batch, frame)
        found, counts = np.unique(words[rows], return_counts=True)
        for i, layer in enumerate(layers):
            out[found, i] += _summed(found_states[layer], window, position, counts)
        del found_states  # before the next batch makes its own
    return out


def surprises(
    model: Any, ids: Int[np.ndarray, " token"], plan: list[Window], frame: Frame
) -> Float[np.ndarray, " token"]:
    """-ln of the probability of each token after those before it in its window; NaN where nothing is before it."""
    found = np.full(len(ids), np.nan)
    for window in plan:
        guessed = np.arange(max(window.keep, window.start + (not frame.prefix)), window.stop)
        framed = _framed(ids, [window], frame)
        found[guessed] = _surprise(model, framed, guessed - window.start + len(frame.prefix) - 1, ids[guessed])
    return found


def loss_per_token(
    model: Any, ids: Int[np.ndarray, " token"], *, frame: Frame, size: int, mask: int | None
) -> float | None:
    """Mean surprise at the text, in nats: a trained network is far below ln(vocabulary), a random one at it.

    With `mask`, every seventh token is hidden and guessed; otherwise each is
    guessed from those before it in its window. None if there is nothing to guess.
    """
    plan = windows(len(ids), size=size, overlap=0)
    found = surprises(model, ids, plan, frame) if mask is None else _masked(model, ids, plan, frame, mask)
    known = found[np.isfinite(found)]
    return float(known.mean()) if len(known) else None


def _masked(
    model: Any, ids: Int[np.ndarray, " token"], plan: list[Window], frame: Frame, mask: int
) -> Float[np.ndarray, " token"]:
    """Surprise at every seventh token, hidden; NaN at the others."""
    found = np.full(len(ids), np.nan)
    for window in plan:
        hidden = np.arange(window.start + _MASK_EVERY // 2, window.stop, _MASK_EVERY)
        shown = ids.copy()
        shown[hidden] = mask
        framed = _framed(shown, [window], frame)
        found[hidden] = _surprise(model, framed, hidden - window.start + len(frame.prefix), ids[hidden])
    return found


def _surprise(
    model: Any, framed: Int[np.ndarray, "window position"], places: Int[np.ndarray, " guess"], truth: np.ndarray
) -> Float[np.ndarray, " guess"]:
    import torch

    with torch.inference_mode():
        logits = model(input_ids=torch.from_numpy(framed).to(model.device)).logits[0, places].float()
        targets = torch.from_numpy(truth).to(model.device)
        return torch.nn.functional.cross_entropy(logits, targets, reduction="none").double().cpu().numpy()


def _batches(plan: list[Window], frame: Frame, most_tokens: int) -> list[list[Window]]:
    """Windows of one length together, in the order of the text."""
    batches = []
    for length, group in groupby(sorted(plan, key=_length), key=_length):
        same, most = list(group), max(1, math.floor(most_tokens / (length + frame.size)))
        batches += [same[i : i + most] for i in range(0, len(same), most)]
    return batches


def _length(window: Window) -> int:
    return window.stop - window.start


def _rows(tokens: Int[np.ndarray, " pair"], batch: list[Window]) -> Int[np.ndarray, " row"]:
    """Pairs whose token the batch keeps, in the order of the text."""
    edges = np.searchsorted(tokens, [(w.keep, w.stop) for w in batch])
    return np.concatenate([np.arange(start, stop) for start, stop in edges])


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
