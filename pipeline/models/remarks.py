"""What an inspection says: its warnings, and its facts as a page of lines.

W-MODEL-20 hardly better than chance, -21 an untrained twin that is not at
chance, -22 a sentence that does not come back from its tokens.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from pipeline.problems import Problem, shown

Facts = dict[str, Any]

_SORTS = {
    "causal": "causal: predicts the next token",
    "masked": "masked: predicts hidden tokens",
    "none": "encoder without a head: predicts no tokens",
}


def untrained(folder: Path, loss: float, chance: float, most: float) -> Problem:
    """W-MODEL-20: hardly better than chance."""
    return Problem(
        "W-MODEL-20",
        "on plain English the weights are hardly better than chance",
        file=str(folder),
        field="name",
        found=f"loss {loss:.2f} nats per token",
        expected=f"below {most * chance:.2f}, {most:g} of {chance:.2f} (ln of the vocabulary)",
        why="a network that was not trained on this language, or reads another one's tokens, stands for no training",
        fix="name the tokenizer the model was trained with; if the model is of another language, go on",
    )


def odd_twin(folder: Path, loss: float, chance: float, near: float, seed: int) -> Problem:
    """W-MODEL-21: an untrained twin that is not at chance."""
    return Problem(
        "W-MODEL-21",
        "the untrained twin is not at chance",
        file=str(folder / "config.json"),
        field="seeds",
        found=f"loss {loss:.2f} nats per token with seed {seed}",
        expected=f"within {near:.0%} of {chance:.2f}, ln of the vocabulary",
        why="before training every token should be about equally likely, else the twin has a taste of its own",
        fix="look at initializer_range in the config",
    )


def lost_letters(folder: Path, decoded: str, text: str) -> Problem:
    """W-MODEL-22: a sentence that does not come back."""
    return Problem(
        "W-MODEL-22",
        "a plain English sentence does not come back from its tokens",
        file=str(folder),
        field="tokenizer",
        found=shown(decoded),
        expected=f"{shown(text)}, up to white space and case",
        why="letters the tokenizer does not know are lost to the model",
        fix="name the tokenizer the model was trained with; if the model is of another language, go on",
    )


def no_numbers(folder: Path, shares: list[float]) -> Problem:
    """E-MODEL-08: states that are no numbers, in float32."""
    layers = [layer for layer, share in enumerate(shares) if share]
    return Problem(
        "E-MODEL-08",
        "states that are no numbers",
        file=str(folder),
        field="name",
        found=f"NaN or infinite in layers {layers}, {max(shares):.2%} of the states at most",
        expected="finite numbers in every layer, in float32",
        why="the weights themselves are broken, or so large that sums overflow",
        fix="fetch the weights again",
    )


def page(facts: Facts, problems: list[Problem], verdict: str) -> str:
    """Facts line by line, then the problems, then the verdict."""
    rows = {label: text for label, write in _ROWS.items() if (text := _written(write, facts))}
    width = max(map(len, [*rows, "verdict"])) + 2
    lines = [f"{label + ':':<{width}}{text}" for label, text in rows.items()]
    return "\n".join([*lines, *map(str, problems), f"{'verdict:':<{width}}{verdict}"])


def _written(write: Callable[[Facts], str], facts: Facts) -> str:
    """Empty where a fact that the line needs could not be had."""
    try:
        return write(facts)
    except KeyError:
        return ""


def _family(facts: Facts) -> str:
    return f"{facts['family']}, {facts['class']} ({_SORTS[facts['head']]})" if "class" in facts else facts["family"]


def _weights(facts: Facts) -> str:
    names = facts["weights_files"]
    files = names[0] if len(names) == 1 else f"{len(names)} files"
    return f"{files}, {_size(facts['weights_bytes'])}" if names else ""


def _size(n_bytes: int) -> str:
    amount, unit = next((n_bytes / size, unit) for unit, size in _UNITS.items() if n_bytes >= size or size == 1)
    return f"{amount:.3g} {unit}"


def _layers(facts: Facts) -> str:
    widths = facts["widths"]
    wide = str(widths[0]) if len(set(widths)) == 1 else f"{widths} (layers of different widths cannot be read together)"
    return f"0 (the embedding) to {len(widths) - 1}; features: {wide}"


def _context(facts: Facts) -> str:
    longest = facts["context"]
    return f"{longest} tokens" if longest else "no limit of its own: say `context` in the study"


def _direction(facts: Facts) -> str:
    ahead = "both ways: a state depends on later words of its window too"
    return ahead if facts["looks_ahead"] else "backwards only: no state depends on a later word"


def _canary(facts: Facts) -> str:
    canary, ids = facts["canary"], facts["canary"]["ids"]
    end = "and back" if canary["comes_back"] else f"and back as {shown(canary['decoded'])}"
    return f"{shown(canary['text'])} into {len(ids)} ids ({', '.join(map(str, ids[:5]))}, …) {end}"


def _frame(facts: Facts) -> str:
    before, after = facts["special_tokens"]
    told = f"{' '.join(before)} before" + (f" and {' '.join(after)} after" if after else "") + " every window"
    return told if before else "none: the first token of a run takes the idle attention"


def _states(facts: Facts) -> str:
    largest, bad = facts["largest_state"], sum(share > 0 for share in facts["not_finite"])
    finite = (
        f"no numbers in {bad} of {len(largest)} layers" if bad else f"finite in all {len(largest)} layers (float32)"
    )
    return f"{finite}; largest {max(largest):.3g}, in layer {largest.index(max(largest))}"


def _losses(facts: Facts) -> str:
    rows = {"trained": facts["loss_trained"]}
    rows |= {f"untrained twin (seed {facts['twin_seed']})": facts["loss_twin"]} if "twin_seed" in facts else {}
    told = [f"{name} {loss:.2f}" for name, loss in rows.items() if loss is not None]
    chance = f"by chance {facts['ln_vocabulary']:.2f} (ln {facts['vocabulary']})"
    return f"{', '.join([*told, chance])}; nats per token" if told else "none: no tokens are predicted"


_UNITS = {"GB": 10**9, "MB": 10**6, "kB": 10**3, "bytes": 1}
_ROWS: dict[str, Callable[[Facts], str]] = {
    "model": lambda f: f["name"],
    "found in": lambda f: f["folder"],
    "family": _family,
    "weights": _weights,
    "complete": lambda f: f"every tensor of the network is there and no other ({f['precision']})",
    "parameters": lambda f: f"{f['parameters']:,}",
    "sha256": lambda f: f["weights_sha256"],
    "layers": _layers,
    "context": _context,
    "reads": _direction,
    "tokenizer": lambda f: f["tokenizer"],
    "vocabulary": lambda f: f"{f['entries']} entries for {f['vocabulary']} rows of the embedding",
    "canary": _canary,
    "special tokens": _frame,
    "paragraph": lambda f: "{words} words, {tokens} tokens, {unknown_tokens} unknown".format(**f["paragraph"]),
    "states": _states,
    "loss": _losses,
}
