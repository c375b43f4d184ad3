"""What the methods text says of each model, from its settings."""

from collections.abc import Mapping
from typing import Any

_CONTROLS = {
    "wordlength": "the number of letters",
    "duration": "the duration of each word and of the pause after it",
    "audio": "the acoustic envelope of the sound (root mean square, {sfreq:g} Hz)",
    "frequency": "how common each word is (Zipf frequency, wordfreq, language {language})",
    "tokens": "the identity of the word (hashed to {features} random features)",
}
_BORN = {
    "trained": "trained weights",
    "random": "freshly initialised",
    "shuffled": "trained weights, the entries of each tensor in random order",
    "spectrum": "random singular vectors with the singular values of the trained weights",
}
_POOLED = {"last": "the state at its last token", "mean": "the mean over its tokens", "sum": "the sum over its tokens"}
_STATES = {
    "attention": ", as the attention of each layer added it to the stream",
    "mlp": ", as the feed-forward part of each layer added it to the stream",
}


def model_text(of: Mapping[str, Any]) -> str:
    """One model in words.

    Parameters
    ----------
    of : its settings, defaults filled in; a kind that nobody described is told setting by setting.
    """
    if of["kind"] in _CONTROLS:
        return _CONTROLS[of["kind"]].format(**of) + "."
    if of["kind"] in _DESCRIBED:
        return _DESCRIBED[of["kind"]](of)
    told = ", ".join(f"{key} {value}" for key, value in of.items() if key not in ("kind", "version"))
    return f"the control `{of['kind']}`" + (f" ({told})." if told else ".")


def _transformer(of: Mapping[str, Any]) -> str:
    layers = "all layers" if of["layers"] == "all" else f"layers {_listed(of['layers'])}"
    projected = f", projected to {of['project']} random orthonormal axes" if of.get("project") else ""
    state = f"{_POOLED[of['pool']]}{_STATES.get(of.get('states', ''), '')}{projected}"
    return (
        f"the transformer {_source(of)} ({_born(of)}; {of['dtype']}); {layers}; for each word {state}, {_windows(of)}."
    )


def _surprisal(of: Mapping[str, Any]) -> str:
    return (
        "the surprisal of each word (minus the logarithm of its probability, summed over its tokens) under the trained "
        f"transformer {_source(of)} ({of['dtype']}), {_windows(of)}."
    )


def _static(of: Mapping[str, Any]) -> str:
    where = of["file"].rsplit("/", 1)[-1] if of.get("file") else f"the input embeddings of {_source(of)}"
    seeds = f", replaced by Gaussian ones of the same moments, seeds {_listed(of['seeds'])}" if of["seeds"] else ""
    return f"the vector of each word without context, from {where} (tokens of a word: {of['pool']}{seeds})."


def _position(of: Mapping[str, Any]) -> str:
    within = of.get("within", "story")
    return "the position in the run." if within == "story" else f"the place of each word in its {within}."


def _wordrate(of: Mapping[str, Any]) -> str:
    near = of.get("neighbours_s")
    return "the number of words" + (f" that begin within {near:g} s before each word, and after it." if near else ".")


def _events(of: Mapping[str, Any]) -> str:
    which = _listed(of["types"]) if of["types"] else "every type that occurs"
    return f"the types of events, one feature for each ({which})."


def _oasm(of: Mapping[str, Any]) -> str:
    widths = of["width_s"] if isinstance(of["width_s"], list | tuple) else [of["width_s"]]
    chosen = ", the width chosen like a layer" if len(widths) > 1 else ""
    return (
        "orthogonal autocorrelated sequences, which hold nothing of the stimulus (bumps "
        f"{', '.join(f'{w:g}' for w in widths)} s wide within each {of.get('block', 'run')}{chosen})."
    )


def _source(of: Mapping[str, Any]) -> str:
    """Name without its folders, and revision; of checkpoints every one of them."""
    names, revisions = (value if isinstance(value, list | tuple) else [value] for value in (of["name"], of["revision"]))
    told = _listed(name.rsplit("/", 1)[-1] for name in names)
    told += f", revision {_listed(revisions)}" if any(revisions) else ""
    return told + (", checkpoints of one training" if len(names) * len(revisions) > 1 else "")


def _born(of: Mapping[str, Any]) -> str:
    born = _BORN.get(of["weights"], of["weights"])
    if of.get("order", "heard") == "shuffled":
        born = "trained weights that read the words of each stretch in random order"
    return born + (f", seeds {_listed(of['seeds'])}" if of["seeds"] else "")


def _windows(of: Mapping[str, Any]) -> str:
    context = f"{of['context']} tokens" if of["context"] else "the model's whole context"
    if of.get("windows", "strided") == "exact":
        read = f"each token read with exactly the {context} before it"
    else:
        least = f"{of['min_context']} tokens" if of["min_context"] is not None else "half of it"
        read = f"in windows of {context}, each word with at least {least} before it where there were so many"
    across = ", across the borders of folds" if of.get("across_folds") else ""
    return f"{read}; context started anew with each {of.get('reset', 'run')}{across}"


def _listed(values: Any) -> str:
    return ", ".join(map(str, values))


_DESCRIBED = {
    "transformer": _transformer,
    "surprisal": _surprisal,
    "static": _static,
    "wordrate": _wordrate,
    "position": _position,
    "oasm": _oasm,
    "events": _events,
}
