"""What a word's state has read, and which part of the network it comes from."""

import numpy as np
import pytest
import torch

from pipeline.models import MODELS
from pipeline.models.orders import projection
from pipeline.models.weights import trained
from pipeline.models.windows import hidden_states, windows, windows_of_stretches
from pipeline.problems import StudyError

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
SENTENCE = ["one"] * 13 + ["two"] * 4 + ["three"] * (len(WORDS) - 17)


def plain(folder, ids, prefix):
    """All layers' states at the last token, from the library's own call."""
    model = trained(folder).model
    with torch.inference_mode():
        out = model(torch.tensor([[*prefix, *ids]]), output_hidden_states=True)
    return np.stack([state[0, -1].numpy() for state in out.hidden_states])


def tokens_of(read, folder):
    from pipeline.models.weights import load_tokenizer

    tokenizer = load_tokenizer(folder)
    return tokenizer, tokenizer(" ".join(WORDS), add_special_tokens=False)["input_ids"]


@pytest.mark.parametrize("family", ("gpt2", "llama", "gpt_neox", "opt"))
def test_a_context_that_is_reset_is_the_sentence_read_alone(family, made, read, table):
    folder = made(family)
    answer = read(folder, table(WORDS, sentence=SENTENCE), reset="sentence")
    tokenizer, ids = tokens_of(read, folder)
    first = next(t.token for t in answer.alignment if t.word == 13)
    for word in (13, 16):
        last = max(t.token for t in answer.alignment if t.word == word)
        expected = plain(folder, ids[first : last + 1], [tokenizer.bos_token_id])
        assert np.abs(answer.values[word] - expected).max() < 1e-5 * np.abs(expected).max()
        assert answer.context[word] == last - first + 1
    assert answer.facts["reset"] == "sentence"


def test_nothing_of_another_sentence_reaches_a_word(family, made, read, table):
    before = read(made(family), table(WORDS, sentence=SENTENCE), reset="sentence").values
    changed = [*["river"] * 13, *WORDS[13:]]
    after = read(made(family), table(changed, sentence=SENTENCE), reset="sentence").values
    assert np.abs(after[13:] - before[13:]).max() < 1e-5 * np.abs(before).max()
    assert np.abs(after[:13] - before[:13]).max() > 1e-2 * np.abs(before).max()


def test_a_table_without_sentences_cannot_be_reset_at_them(made, read):
    with pytest.raises(StudyError) as error:
        read(made("gpt2"), WORDS, reset="sentence")
    problem = error.value.problems[0]
    assert problem.code == "E-WORDS-10" and problem.field == "sentence" and "run1" in problem.summary


@pytest.mark.parametrize("family", ("gpt2", "llama"))
def test_exact_windows_give_every_word_the_same_number_of_tokens(family, made, read):
    folder, size = made(family), 12
    answer = read(folder, WORDS, context=size + 1, windows="exact")
    tokenizer, ids = tokens_of(read, folder)
    for word in (len(WORDS) - 1, len(WORDS) - 9):
        last = max(t.token for t in answer.alignment if t.word == word)
        expected = plain(folder, ids[last - size + 1 : last + 1], [tokenizer.bos_token_id])
        assert np.abs(answer.values[word] - expected).max() < 1e-5 * np.abs(expected).max()
    lasts = [max(t.token for t in answer.alignment if t.word == word) for word in range(len(WORDS))]
    assert answer.context.tolist() == [min(last + 1, size) for last in lasts]


def test_strided_windows_keep_at_least_the_context_that_is_asked_for(made, read):
    answer = read(made("gpt2"), WORDS, context=20, min_context=8)
    lasts = [max(t.token for t in answer.alignment if t.word == word) for word in range(len(WORDS))]
    assert all(read >= min(last + 1, 9) for read, last in zip(answer.context.tolist(), lasts, strict=True))
    assert answer.context.max() <= 19


def test_windows_that_keep_no_words_last_token_are_not_read(made, monkeypatch):
    from pipeline.models import windows as module

    read = []
    original = module.hidden_states
    monkeypatch.setattr(
        module, "hidden_states", lambda model, ids, *a: read.append(len(ids)) or original(model, ids, *a)
    )
    network, ids = trained(made("gpt2")), np.arange(60) % 50
    plan = windows(60, size=10, overlap=9)
    pairs = np.array([9, 30, 59]), np.array([0, 1, 2])
    module.word_states(network.model, ids, plan, pairs, frame=module.Frame(), layers=(2,), n_words=3)
    assert sum(read) == 1 + 3  # one to learn the width


def test_windows_of_stretches_are_those_of_each_stretch_alone():
    stretch = np.repeat([0, 1, 2], [7, 1, 12])
    plan = windows_of_stretches(stretch, size=5, overlap=2)
    assert all(len(set(stretch[w.start : w.stop])) == 1 for w in plan)
    assert [t for w in plan for t in range(w.keep, w.stop)] == list(range(20))


@pytest.mark.parametrize("family", ("gpt2", "llama", "opt", "gpt_neox"))
def test_a_layer_adds_what_its_attention_and_its_feed_forward_part_give(family, made, read):
    stream, attention, mlp = (
        read(made(family), WORDS, states=states, layers=layers).values
        for states, layers in (("residual", (0, 1)), ("attention", (1,)), ("mlp", (1,)))
    )
    added = stream[:, 1] - stream[:, 0]
    assert np.abs(added - attention[:, 0] - mlp[:, 0]).max() < 1e-5 * np.abs(stream).max()


def test_in_bert_the_stream_is_normalised_after_each_part(made, read):
    model = trained(made("bert")).model
    ids = np.array([[5, 9, 30, 7]])
    residual, attention, mlp = (hidden_states(model, ids, states) for states in ("residual", "attention", "mlp"))
    block = model.base_model.encoder.layer[0]
    with torch.inference_mode():
        middle = block.attention.output.LayerNorm(attention[1] + residual[0])
        assert torch.allclose(block.output.LayerNorm(mlp[1] + middle), residual[1], atol=1e-5)


def test_parts_begin_at_layer_one(made, read):
    assert read(made("gpt2"), WORDS, states="mlp").layers == (1, 2)
    with pytest.raises(StudyError) as error:
        read(made("gpt2"), WORDS, states="mlp", layers=[0])
    assert error.value.problems[0].expected == "1 to 2"


def test_a_projection_keeps_distances_and_is_the_same_for_every_layer(made, read):
    whole, few = (read(made("gpt2"), WORDS, project=project).values for project in (32, 8))
    original = read(made("gpt2"), WORDS).values
    # 32 columns of 32 are a rotation
    assert np.allclose(np.linalg.norm(whole, axis=2), np.linalg.norm(original, axis=2), rtol=1e-4)
    assert few.shape[-1] == 8
    for layer in range(3):
        assert np.allclose(original[:, layer] @ projection(32, 8), few[:, layer], atol=1e-5)
    with pytest.raises(StudyError) as error:
        read(made("gpt2"), WORDS, project=33)
    assert error.value.problems[0].field == "project"


def test_answers_are_the_same_in_memory_and_in_a_file(made, table, tmp_path, monkeypatch):
    from pipeline.models import reader

    model = Transformer(name=str(made("gpt2")), weights="random", seeds=(0, 1))
    runs = {"a": table(WORDS), "b": table(WORDS[:9]), "c": table([])}
    held = [a.values.copy() for a in model.activations(runs, study_dir=tmp_path)]
    monkeypatch.setattr(reader, "_IN_MEMORY", 100)
    filed = [a.values.copy() for a in model.activations(runs, study_dir=tmp_path)]
    assert all((a == b).all() for a, b in zip(held, filed, strict=True))
    assert (tmp_path / ".scratch").is_dir() and not list((tmp_path / ".scratch").iterdir())


def test_a_context_across_test_blocks_must_be_asked_for():
    from pipeline.config import Study

    study = {
        "study": "s", "dataset": {"kind": "manifest", "root": "r"}, "recordings": {"x": {"kind": "arrays"}},
        "models": {"m": {"kind": "transformer", "name": "gpt2"}}, "encoding": {"split": "contiguous"},
    }  # fmt: skip
    with pytest.raises(ValueError, match=r"models\.m: split 'contiguous'.*across_folds: true"):
        Study.model_validate(study)
    for allowed in ({"across_folds": True}, {"reset": "sentence"}):
        Study.model_validate(study | {"models": {"m": study["models"]["m"] | allowed}})


def test_the_first_token_of_a_text_is_no_word_where_eos_can_stand_before_it(broken, read):
    config = broken / "tokenizer_config.json"
    config.write_text(config.read_text().replace('"bos_token"', '"pad_token"'))
    assert read(broken, WORDS).facts["first_token_is_a_word"] == 0
