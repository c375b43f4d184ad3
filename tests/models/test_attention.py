"""Attention in blocks is attention."""

import numpy as np
import pytest
import torch
import transformers

from pipeline.models.attention import _attend, quicken
from pipeline.models.windows import hidden_states

LONG = {
    "llama": dict(
        hidden_size=32, intermediate_size=64, num_hidden_layers=2, num_attention_heads=4, num_key_value_heads=2
    ),
    "gpt2": dict(n_embd=128, n_layer=2, n_head=2),
    "gpt_neox": dict(hidden_size=32, intermediate_size=64, num_hidden_layers=2, num_attention_heads=4),
    "opt": dict(hidden_size=32, ffn_dim=64, num_hidden_layers=2, num_attention_heads=4, word_embed_proj_dim=32),
    "bert": dict(hidden_size=32, intermediate_size=64, num_hidden_layers=2, num_attention_heads=4),
    "mistral": dict(
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        sliding_window=50,
    ),
}


@pytest.mark.parametrize("family", LONG)
@pytest.mark.parametrize("length", (255, 256, 300, 512))
def test_states_are_those_of_the_library(family, length):
    torch.manual_seed(0)
    settings = {"vocab_size": 99, "max_position_embeddings": 512, "initializer_range": 0.2, "bos_token_id": 1}
    settings |= {"eos_token_id": 1, "pad_token_id": 0} | LONG[family]
    model = transformers.AutoModel.from_config(transformers.AutoConfig.for_model(family, **settings)).eval()
    ids = np.random.default_rng(0).integers(0, 99, (2, length))
    plain = hidden_states(model, ids)
    quicken(model)
    assert model.config._attn_implementation == "causal_in_blocks"
    for a, b in zip(plain, hidden_states(model, ids), strict=True):
        assert float((a - b).abs().max()) < 1e-4 * float(a.abs().max())


@pytest.mark.parametrize("width", (5, 8, 16, 40))
def test_blocks_give_the_sums_of_the_definition(width):
    torch.manual_seed(0)
    query, key, value = (torch.randn(1, 2, 300, width, dtype=torch.float64) for _ in range(3))
    scores = (query @ key.transpose(2, 3) / width**0.5).masked_fill(~torch.ones(300, 300).tril().bool(), -torch.inf)
    expected = (scores.softmax(-1) @ value).transpose(1, 2)
    found, _ = _attend(torch.nn.Identity(), query, key, value, None)
    assert float((found - expected).abs().max()) < 1e-12
