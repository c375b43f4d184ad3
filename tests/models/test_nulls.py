"""Twins that keep something of the trained network, and words in another order."""

import numpy as np
import pytest
import torch

from pipeline.models import MODELS
from pipeline.models.nulls import shuffled, spectrum
from pipeline.models.weights import trained

Transformer = MODELS["transformer"]
WORDS = [
    "she",
    "said",
    "that",
    "nobody",
    "had",
    "asked",
    "her",
    "about",
    "the",
    "weather",
    "in",
    "the",
    "mountains",
    "and",
    "we",
    "cannot",
    "know",
    "what",
    "they",
    "would",
    "have",
    "said",
    "because",
    "the",
    "happy",
    "children",
    "watch",
    "the",
    "otter",
    "across",
    "the",
    "cold",
    "river",
]


def tensors(network):
    return {name: p.detach() for name, p in network.model.named_parameters()}


def test_shuffled_weights_keep_every_tensors_numbers_and_lose_their_places(family, made):
    before, after = tensors(trained(made(family))), tensors(shuffled(made(family), 0))
    for name, tensor in before.items():
        assert torch.equal(tensor.flatten().sort().values, after[name].flatten().sort().values)
    moved = np.mean(
        [float((tensor != after[name]).float().mean()) for name, tensor in before.items() if tensor.ndim > 1]
    )
    assert moved > 0.99


def test_a_spectrum_twin_keeps_singular_values_and_nothing_of_their_vectors(family, made):
    before, after = tensors(trained(made(family))), tensors(spectrum(made(family), 0))
    for name, tensor in before.items():
        if tensor.ndim == 2:
            values = torch.linalg.svdvals(tensor)
            assert torch.allclose(values, torch.linalg.svdvals(after[name]), atol=1e-5 * float(values[0]))
            overlap = float((tensor * after[name]).sum() / (tensor.norm() * after[name].norm()))
            assert min(tensor.shape) < 8 or abs(overlap) < 0.2
        else:
            assert torch.equal(tensor.sort().values, after[name].sort().values)


@pytest.mark.parametrize("make", (shuffled, spectrum))
def test_the_same_seed_gives_the_same_twin_and_another_another(make, made):
    hashes = [make(made("gpt2"), seed).sha256 for seed in (0, 0, 1)]
    assert hashes[0] == hashes[1] != hashes[2]
    assert trained(made("gpt2")).sha256 not in hashes


@pytest.mark.parametrize("weights", ("shuffled", "spectrum"))
def test_twins_of_trained_weights_are_seeds_like_random_ones(weights, made, read):
    answer = read(made("opt"), WORDS, weights=weights, seeds=(3, 5))
    assert answer.seeds == (3, 5) and answer.values.shape[0] == 2
    hashes = {v for k, v in answer.facts.items() if k.startswith("weights_sha256")}
    assert len(hashes) == 3  # the trained one is measured beside them


@pytest.mark.parametrize("weights", ("random", "shuffled", "spectrum"))
def test_real_twins_know_nothing_of_english(weights, data, read):
    words = (data / "corpora/gutenberg_11_alice.txt").read_text(encoding="utf-8-sig").split()[500:1500]
    facts = read(data / "lm_stories260K", words, weights=weights, seeds=(0, 1)).facts
    assert facts["loss_trained"] < 0.75 * facts["ln_vocabulary"]
    for seed in (0, 1):
        if weights == "random":
            assert facts[f"loss_seed{seed}"] == pytest.approx(facts["ln_vocabulary"], rel=0.05)
        assert facts[f"loss_seed{seed}"] > 0.95 * facts["ln_vocabulary"]


def test_shuffled_words_keep_their_identity_and_lose_their_context(made, read, table):
    heard = read(made("llama"), WORDS)
    answer = read(made("llama"), WORDS, order="shuffled", seeds=(0, 1, 2))
    assert answer.values.shape == (3, *heard.values.shape)
    assert answer.alignment == () and answer.facts["max_future_words"] == len(WORDS) - 1
    for values in answer.values:
        # a Llama's embedding knows no place; only a word at the start of a text is spelt without its space
        same = (values[:, 0] == heard.values[:, 0]).all(axis=1)
        assert same.sum() >= len(WORDS) - 2
        assert (np.abs(values[:, 2] - heard.values[:, 2]).max(axis=1) > 1e-3).mean() > 0.9
    assert len({values.tobytes() for values in answer.values}) == 3


def test_words_are_shuffled_inside_their_sentence_only(table):
    from pipeline.models.orders import shuffled_words

    frame = table(WORDS)
    stretch = np.repeat([0, 1], [10, len(WORDS) - 10])
    moved, back = shuffled_words(frame, stretch, 0, "run1")
    assert sorted(moved["word"][:10]) == sorted(WORDS[:10]) and list(moved["word"][:10]) != WORDS[:10]
    assert list(moved["word"].to_numpy()[back]) == WORDS
    other, _ = shuffled_words(frame, stretch, 0, "run2")
    assert list(other["word"]) != list(moved["word"])


@pytest.mark.parametrize(
    "settings, told",
    [
        (dict(order="shuffled"), "order: shuffled needs seeds"),
        (dict(weights="spectrum"), "weights: spectrum needs seeds"),
        (dict(order="shuffled", weights="random", seeds=[0]), "make them two models"),
    ],
)
def test_settings_of_twins_that_contradict_each_other_are_told(settings, told):
    with pytest.raises(ValueError, match=told):
        Transformer(name="gpt2", **settings)
