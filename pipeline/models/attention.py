"""Causal attention on a CPU in half the time: the same sums, without the ones that are thrown away.

For windows of up to 512 tokens torch's CPU kernel computes every pair of
tokens and discards the future half, and it is slow for heads narrower than a
vector register. Measured on lm_stories260K (8 heads of 8, windows of 512): 7.8
s becomes 3.8 s for seven stories; states differ by 2e-5 at most.
"""

from functools import lru_cache
from typing import Any

_NAME = "causal_in_blocks"
_BLOCK = 128  # queries at a time: (1 + 2 + 3 + 4) / 16 of the pairs for 512 tokens
_NARROWEST = 16  # features of a head, one vector register of float32


def quicken(model: Any) -> None:
    """Let a network on a CPU attend in blocks, where its family goes through torch's kernel anyway."""
    _fuse(model)
    from transformers import AttentionInterface
    from transformers.masking_utils import AttentionMaskInterface, sdpa_mask

    if model.config._attn_implementation != "sdpa" or not model._can_set_attn_implementation():
        return
    AttentionInterface.register(_NAME, _attend)
    AttentionMaskInterface.register(_NAME, sdpa_mask)
    model.set_attn_implementation(_NAME)


def _fuse(model: Any) -> None:
    """GPT-2's activation, which its library computes in six steps, in one: the same formula."""
    import torch
    from transformers.activations import NewGELUActivation

    for module in list(model.modules()):
        for name, child in module.named_children():
            if isinstance(child, NewGELUActivation):
                setattr(module, name, torch.nn.GELU(approximate="tanh"))


def _attend(module: Any, query: Any, key: Any, value: Any, attention_mask: Any, **settings: Any) -> tuple[Any, None]:
    """The library's own attention for everything but plain causal attention over a long window."""
    from transformers.integrations.sdpa_attention import sdpa_attention_forward

    causal = settings.get("is_causal")
    causal = getattr(module, "is_causal", True) if causal is None else causal
    special = attention_mask is not None or any(settings.get(name) is not None for name in ("position_bias", "cache"))
    if special or not causal or not 2 * _BLOCK <= query.shape[2] == key.shape[2]:
        return sdpa_attention_forward(module, query, key, value, attention_mask, **settings)
    scale = settings.get("scaling") or query.shape[-1] ** -0.5
    return _in_blocks(query, key, value, scale).transpose(1, 2).contiguous(), None


def _in_blocks(query: Any, key: Any, value: Any, scale: float) -> Any:
    import torch

    groups, width, n = query.shape[1] // key.shape[1], value.shape[-1], query.shape[2]
    key, value = (x.repeat_interleave(groups, dim=1) if groups > 1 else x for x in (key, value))
    query, key, value = (_widened(x) for x in (query, key, value))
    outputs = []
    for start in range(0, n, _BLOCK):
        stop = min(start + _BLOCK, n)
        past = _past(start, stop)
        block = query[:, :, start:stop], key[:, :, :stop], value[:, :, :stop]
        outputs.append(torch.nn.functional.scaled_dot_product_attention(*block, attn_mask=past, scale=scale))
    return torch.cat(outputs, dim=2)[..., :width]


@lru_cache(64)
def _past(start: int, stop: int) -> Any:
    """Which of the first `stop` tokens each of [start, stop) has read."""
    import torch

    with torch.inference_mode(False):  # it outlives the pass
        return torch.ones(stop - start, stop, dtype=torch.bool).tril(start)


def _widened(states: Any) -> Any:
    """Zeros add nothing to a product, so a padded head gives the same answer."""
    import torch

    missing = _NARROWEST - states.shape[-1]
    return torch.nn.functional.pad(states, (0, missing)) if missing > 0 else states
