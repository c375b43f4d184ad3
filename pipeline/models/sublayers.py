"""What attention and feed-forward parts add to the stream of states, caught on their way.

Every family builds its layers of the same two parts under names of its own;
the names are listed here, and a family whose parts are not found is refused.
"""

import re
from typing import Any, Literal

from pipeline.models.refusals import unfit
from pipeline.problems import Problem, StudyError

States = Literal["residual", "attention", "mlp"]

_LAYER = r"(?:^|\.)(?:layers?|h|blocks?)\.(\d+)\."
# tried in this order: BERT adds the stream inside `attention` and `output`, and what comes before is their `dense`
_PARTS = {
    "attention": ("attention.output.dense", "self_attn", "self_attention", "attn", "attention"),
    "mlp": ("mlp", "feed_forward", "ffn", "output.dense", "fc2"),
}


def outputs(model: Any, batch: Any, states: States) -> tuple[Any, ...]:
    """What one part of every layer adds, (window, position, feature) each; None for the embedding, which has no parts."""
    found: dict[int, Any] = {}

    def catch(layer: int) -> Any:
        def hook(module: Any, arguments: Any, output: Any) -> None:
            value = output[0] if isinstance(output, tuple) else output
            found[layer] = value.reshape(*batch.shape, value.shape[-1])  # OPT's feed-forward part works on a flat list

        return hook

    handles = [module.register_forward_hook(catch(layer)) for layer, module in _parts(model, states).items()]
    try:
        model.base_model(input_ids=batch)
    finally:
        for handle in handles:
            handle.remove()
    return (None, *(found[layer] for layer in sorted(found)))


def _parts(model: Any, states: States) -> dict[int, Any]:
    """Layer, from 1 on, and its part."""
    depth = model.config.get_text_config().num_hidden_layers
    for name in _PARTS[states]:
        pattern = re.compile(_LAYER + re.escape(name) + "$")
        named = ((pattern.search(path), module) for path, module in model.base_model.named_modules())
        parts = {int(match[1]) + 1: module for match, module in named if match}
        if sorted(parts) == list(range(1, depth + 1)):
            return parts
    raise StudyError(_unknown(model, states))


def _unknown(model: Any, states: States) -> Problem:
    tried = f"none of {', '.join(_PARTS[states])} in every layer of a {model.config.model_type}"
    return unfit("states", states, "residual", f"{tried}: this family names its parts otherwise")
