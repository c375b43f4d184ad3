"""States of a language model at every word: the right ones, and never from the future."""

import itertools
import math
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from pydantic import ValidationError
from transformers import AutoModelForCausalLM, AutoTokenizer

from pipeline.models import MODELS
from pipeline.models.tokens import align, pooled_tokens, run_text
from pipeline.models.weights import load_tokenizer
from pipeline.models.windows import Frame, Window, looks_ahead, windows, word_states
from pipeline.problems import StudyError

WORDS = [
    "the",
    "otter",
    "swims",
    "across",
    "the",
    "cold",
    "river",
    "and",
    "the",
    "happy",
    "children",
    "watch",
    "it",
    "while",
    "she",
    "didn't",
    "say",
    "anything",
    "unbelievable",
    "because",
    "nobody",
    "had",
    "asked",
    "her",
    "and",
    "we",
    "cannot",
    "know",
    "what",
    "they",
    "would",
    "have",
    "said",
    "about",
    "the",
    "weather",
]
CAUSAL = ("llama", "gpt2", "gpt_neox", "opt")
Transformer = MODELS["transformer"]


def test_every_family_gives_all_layers_at_every_word(family, made, read):
    answer = read(made(family), WORDS)
    assert answer.values.shape == (len(WORDS), 3, 32)
    assert answer.values.dtype == np.float32
    assert answer.layers == (0, 1, 2)
    assert answer.seeds == ()
    assert {t.word for t in answer.alignment} == set(range(len(WORDS)))


def test_every_family_has_untrained_twins_that_differ(family, made, read):
    answer = read(made(family), WORDS, weights="random", seeds=(3, 5))
    assert answer.values.shape == (2, len(WORDS), 3, 32)
    assert answer.seeds == (3, 5)
    names = ("weights_sha256_trained", "weights_sha256_seed3", "weights_sha256_seed5")
    assert len({answer.facts[name] for name in names}) == 3
    assert np.abs(answer.values[0] - answer.values[1]).max() > 0.01


def test_the_loss_of_untrained_twins_is_the_logarithm_of_the_vocabulary(family, made, read):
    facts = read(made(family), WORDS, weights="random", seeds=(0, 1)).facts
    for seed in (0, 1):
        assert facts[f"loss_seed{seed}"] == pytest.approx(facts["ln_vocabulary"], rel=0.05)


def test_facts_are_numbers_and_texts_only(made, read):
    facts = read(made("gpt2"), WORDS, weights="random", seeds=(0,)).facts
    assert {type(value) for value in facts.values()} <= {int, float, str}


@pytest.mark.parametrize("family", CAUSAL)
def test_one_window_is_a_plain_forward_of_the_text(family, made, read):
    folder = made(family)
    tokenizer, model = AutoTokenizer.from_pretrained(folder), AutoModelForCausalLM.from_pretrained(folder)
    words = WORDS[:12]
    encoded = tokenizer(" ".join(words), add_special_tokens=False, return_offsets_mapping=True)
    ends = np.cumsum([len(w) + 1 for w in words]) - 1
    last = [max(i for i, (_, b) in enumerate(encoded["offset_mapping"]) if b <= end) for end in ends]
    ids = torch.tensor([[tokenizer.bos_token_id, *encoded["input_ids"]]])
    with torch.no_grad():
        states = torch.stack(model(ids, output_hidden_states=True).hidden_states)[:, 0]
    expected = states[:, np.array(last) + 1].transpose(0, 1).numpy()
    assert np.abs(read(folder, words).values - expected).max() < 1e-5


@pytest.mark.parametrize("family", CAUSAL)
def test_a_state_in_a_long_text_is_a_plain_forward_of_its_window(family, made, read):
    folder, context, before = made(family), 24, 8
    answer = read(folder, WORDS * 3, context=context, min_context=before)
    ids = align(run_text(pd.DataFrame({"word": WORDS * 3})), load_tokenizer(folder), run="r").ids
    model = AutoModelForCausalLM.from_pretrained(folder)
    size, step, n = context - 1, context - 1 - before, len(ids)
    last = {t.word: t.token for t in answer.alignment}
    for word in (40, 77, len(WORDS) * 3 - 1):
        k = max(0, math.ceil((last[word] + 1 - size) / step))
        piece = ids[k * step : min(k * step + size, n)]
        assert last[word] - k * step >= before
        with torch.no_grad():
            states = model(torch.tensor([[0, *piece]]), output_hidden_states=True).hidden_states
        expected = torch.stack(states)[:, 0, last[word] - k * step + 1].numpy()
        assert np.abs(answer.values[word] - expected).max() < 1e-5


@pytest.mark.parametrize("n, size, overlap", list(itertools.product((1, 7, 8, 9, 40, 101), (8, 9), (0, 1, 4, 7))))
def test_windows_keep_every_token_once_with_enough_before_it(n, size, overlap):
    plan = windows(n, size=size, overlap=overlap)
    assert [t for w in plan for t in range(w.keep, w.stop)] == list(range(n))
    assert all(w.stop - w.start <= size for w in plan)
    assert all(w.keep - w.start >= overlap for w in plan[1:])


def test_windows_begin_where_the_end_of_the_text_has_no_say():
    assert windows(100, size=16, overlap=8)[:5] == windows(60, size=16, overlap=8)[:5]


def rolled(vectors, length):
    """The peers' way: the context of each word by rolling the story's words."""
    return np.stack([np.roll(vectors, shift, axis=0) for shift in range(length)]).sum(axis=0)


@pytest.mark.parametrize("family", CAUSAL)
@pytest.mark.parametrize("context", (None, 16))
def test_no_word_changes_with_the_words_after_it(family, context, made, read):
    other = [*WORDS[:-5], "completely", "otherwise", "unhappily", "it", "was", "unbelievable"]
    same = len(WORDS) - 5
    first, second = (read(made(family), w, context=context).values[:same] for w in (WORDS, other))
    assert np.abs(first - second).max() < 1e-5


def test_rolled_contexts_would_change_the_first_words():
    vectors = np.random.default_rng(0).normal(size=(20, 4))
    other = vectors.copy()
    other[-1] += 1
    assert np.abs(rolled(vectors, 5) - rolled(other, 5))[:4].min() > 0.5


def test_a_word_in_the_middle_changes_itself_and_later_ones_only(made, read):
    other = [*WORDS[:20], "weather", *WORDS[21:]]
    changed = np.abs(read(made("gpt2"), WORDS).values - read(made("gpt2"), other).values).max(axis=(1, 2))
    assert changed[:20].max() < 1e-5
    assert changed[20:].min() > 1e-3


def test_the_context_starts_anew_with_each_run(made, table):
    model = Transformer(name=str(made("gpt2")))
    runs = {"a": table(WORDS), "b": table(WORDS[::-1]), "c": table(WORDS)}
    first, _, third = model.activations(runs, study_dir=Path())
    assert (first.values == third.values).all()
    assert [a.run for a in (first, third)] == ["a", "c"]


def test_future_words_are_counted_for_networks_that_read_both_ways(made, read):
    assert read(made("gpt2"), WORDS, context=16).facts["max_future_words"] == 0
    both = read(made("bert"), WORDS).facts["max_future_words"]
    assert both == len(WORDS) - 1
    assert 0 < read(made("bert"), WORDS, context=12).facts["max_future_words"] < 10


def test_looking_ahead_is_measured(family, made):
    from pipeline.models.weights import trained

    network = trained(made(family))
    assert looks_ahead(network.model, network.rows) == (family == "bert")


def test_pooling_is_the_last_the_sum_and_the_mean_of_the_tokens(made, read):
    folder, words = made("gpt2"), ["unbelievable", "x", "unhappily"]
    answers = {pool: read(folder, words, pool=pool).values for pool in ("last", "mean", "sum")}
    counts = np.bincount([t.word for t in read(folder, words).alignment])
    assert counts.max() > 1
    np.testing.assert_allclose(answers["sum"], answers["mean"] * counts[:, None, None], atol=1e-5)
    one = int(np.argmin(counts))
    if counts[one] == 1:
        np.testing.assert_allclose(answers["last"][one], answers["sum"][one], atol=1e-6)


@pytest.mark.parametrize("pool", ("last", "mean", "sum"))
@pytest.mark.parametrize("batch_bytes", (1, 50_000, 2**26))
def test_batches_do_not_change_the_states(pool, batch_bytes, made):
    from pipeline.models.weights import trained

    folder = made("llama")
    alignment = align(run_text(pd.DataFrame({"word": WORDS * 4})), load_tokenizer(folder), run="r")
    plan, pairs = windows(len(alignment.ids), size=16, overlap=6), pooled_tokens(alignment, pool)
    network = trained(folder)
    settings = dict(frame=Frame((0,)), layers=(0, 2), n_words=len(WORDS) * 4)
    one = word_states(network.model, alignment.ids, plan, pairs, **settings, batch_bytes=batch_bytes)
    whole = word_states(network.model, alignment.ids, plan, pairs, **settings)
    assert np.abs(one - whole).max() < 1e-5


def test_words_cut_by_the_end_of_a_window_are_pooled_whole(made):
    from pipeline.models.weights import trained

    model = trained(made("gpt2")).model
    ids, pairs = np.arange(6) + 1, (np.arange(6), np.array([0, 0, 0, 1, 1, 1]))
    plan = [Window(0, 4, 0), Window(2, 6, 4)]
    summed = word_states(model, ids, plan, pairs, frame=Frame(), layers=(1,), n_words=2)
    alone = word_states(model, ids, plan, (pairs[0], pairs[0]), frame=Frame(), layers=(1,), n_words=6)
    np.testing.assert_allclose(summed[:, 0], alone[:, 0].reshape(2, 3, -1).sum(axis=1), atol=1e-5)


def test_layers_come_in_the_order_they_are_asked_for(made, read):
    every = read(made("gpt2"), WORDS).values
    assert (read(made("gpt2"), WORDS, layers=[2, 0]).values == every[:, [2, 0]]).all()


def test_an_empty_word_has_the_state_of_the_token_before_it(made, read):
    values = read(made("gpt2"), ["", "the", "otter", "", "swims", " "]).values
    plain = read(made("gpt2"), ["the", "otter", "swims"]).values
    assert (values[0] == 0).all()
    np.testing.assert_allclose(values[1:], plain[[0, 1, 1, 2, 2]], atol=1e-6)


def test_a_run_without_words_has_no_rows(made, read, table):
    assert read(made("gpt2"), table([])).values.shape == (0, 3, 32)


def test_bos_stands_before_every_window_and_is_never_a_word(made, read):
    facts = read(made("gpt2"), WORDS, context=16).facts
    assert facts["first_token_is_a_word"] == 0
    assert all(t.text != "<|end|>" for t in read(made("gpt2"), WORDS).alignment)


def test_without_bos_the_first_token_of_later_windows_is_never_pooled(broken, read):
    config = broken / "tokenizer_config.json"
    config.write_text(config.read_text().replace('"bos_token"', '"pad_token"').replace('"eos_token"', '"cls_token"'))
    facts = read(broken, WORDS, context=16, min_context=0).facts
    assert facts["first_token_is_a_word"] == 1
    assert facts["min_context"] == 1


def test_the_same_seed_gives_the_same_bytes_whatever_was_drawn_before(made, read):
    settings = dict(weights="random", seeds=(7,))
    torch.manual_seed(1)
    first = read(made("gpt2"), WORDS, **settings).values
    drawn = torch.rand(1000).sum()
    second = read(made("gpt2"), WORDS, **settings).values
    assert first.tobytes() == second.tobytes()
    torch.manual_seed(1)
    assert torch.rand(1000).sum() == drawn  # nobody's generator was moved


def test_twins_and_the_trained_network_read_the_same_tokens(made, read, monkeypatch):
    loaded = []
    from pipeline.models import transformer

    original = transformer.nets.load_tokenizer
    monkeypatch.setattr(
        transformer.nets, "load_tokenizer", lambda folder: loaded.append(original(folder)) or loaded[-1]
    )
    twins = read(made("gpt2"), WORDS, weights="random", seeds=(0, 1, 2))
    assert len(loaded) == 1  # one object for the trained network and three twins
    assert twins.alignment == read(made("gpt2"), WORDS).alignment


@pytest.mark.parametrize("dtype", ("bfloat16", "float16"))
def test_half_precision_is_near_and_stored_as_float32(dtype, made, read):
    full, half = read(made("llama"), WORDS).values, read(made("llama"), WORDS, dtype=dtype)
    assert half.values.dtype == np.float32
    assert np.abs(half.values - full).max() < 0.05 * np.abs(full).max()
    assert half.facts["weights_sha256"] == read(made("llama"), WORDS).facts["weights_sha256"]


@pytest.mark.parametrize(
    "settings, told",
    [
        (dict(weights="random"), "needs seeds"),
        (dict(seeds=[1]), "weights: random"),
        (dict(weights="random", seeds=[1, 1]), "twice"),
        (dict(layers=[]), "write all"),
        (dict(context=8, min_context=8), "no room"),
        (dict(contxt=8), "contxt"),
        (dict(trust_remote_code=True), "trust_remote_code"),
    ],
)
def test_settings_that_contradict_each_other_are_told(settings, told):
    with pytest.raises(ValidationError, match=told):
        Transformer(name="gpt2", **settings)


def test_every_setting_says_what_it_is():
    assert all(field.description for name, field in Transformer.model_fields.items() if name != "kind")


@pytest.mark.parametrize(
    "settings, field, expected",
    [(dict(context=65), "context", "at most 64"), (dict(layers=[0, 3]), "layers", "to 2")],
)
def test_numbers_beyond_the_model_are_seen_without_loading(settings, field, expected, made):
    (problem,) = Transformer(name=str(made("gpt2")), **settings).problems(Path())
    assert (problem.code, problem.field) == ("E-MODEL-13", field)
    assert expected in problem.expected
    assert problem.file.endswith("config.json")


def test_the_context_is_the_models_own_where_none_is_given(family, made, read):
    assert read(made(family), WORDS * 4).facts["context"] == 64


def test_no_gpu_is_an_environment_problem(made, read):
    if torch.cuda.is_available():
        pytest.skip("there is a GPU here")
    with pytest.raises(StudyError, match="E-ENV-20") as error:
        read(made("gpt2"), WORDS, device="cuda")
    assert error.value.exit_code == 5


@pytest.fixture(scope="module")
def story(data):
    path = data / "lebel" / "words" / "wheretheressmoke.tsv"
    return pd.read_csv(path, sep="\t", dtype={"word": str}, keep_default_na=False)


def test_real_weights_know_english_and_their_twins_do_not(data, story, read):
    facts = read(data / "lm_stories260K", story, weights="random", seeds=(0, 1, 2, 3, 4)).facts
    assert facts["ln_vocabulary"] == pytest.approx(math.log(512))
    assert facts["loss_trained"] < 4.0  # 1.5 on children's stories; this is speech of grown-ups
    for seed in range(5):
        assert facts[f"loss_seed{seed}"] == pytest.approx(math.log(512), rel=0.05)


def test_real_states_are_those_of_a_plain_forward(data, story, read):
    folder = data / "lm_stories260K"
    answer = read(folder, story[:200])
    ids = [AutoTokenizer.from_pretrained(folder).convert_tokens_to_ids(t.text) for t in answer.alignment]
    with torch.no_grad():
        model = AutoModelForCausalLM.from_pretrained(folder)
        states = torch.stack(model(torch.tensor([[1, *ids[:511]]]), output_hidden_states=True).hidden_states)
    last = {t.word: t.token for t in answer.alignment if t.token < 511}
    words = sorted(last)[:-1]
    expected = states[:, 0, [last[w] + 1 for w in words]].transpose(0, 1).numpy()
    assert np.abs(answer.values[words] - expected).max() < 1e-4


def test_checkpoints_without_a_tokenizer_take_the_one_that_is_named(data, story, read, monkeypatch):
    monkeypatch.setenv("CHECKPOINTS", str(data / "lm_checkpoints"))
    named = dict(tokenizer="${CHECKPOINTS}/tokenizer")
    losses = [
        read(f"${{CHECKPOINTS}}/{step}", story[:300], **named).facts["loss"] for step in ("step00000", "step01600")
    ]
    assert losses[0] == pytest.approx(math.log(512), rel=0.05)
    assert losses[1] < losses[0] - 1
    (problem,) = Transformer(name=str(data / "lm_checkpoints/step00000")).problems(Path())
    assert problem.code == "E-MODEL-01"
