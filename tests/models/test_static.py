"""Vectors of words without context: a network's own embeddings, or those of a file, trained or random."""

import hashlib
import shutil
from pathlib import Path

import numpy as np
import pytest
from pydantic import ValidationError
from safetensors.numpy import load_file, save_file
from scipy.stats import kstest, norm

from pipeline.models import MODELS
from pipeline.models.embedding import read_embedding, take
from pipeline.models.lookup import spellings
from pipeline.models.static import drawn
from pipeline.problems import StudyError

WORDS = ["the", "otter", "swims", "across", "swimmingly", "the", "cold", "river", "the", "otter"]
GLOVE = ["the 0.1 0.2", "otter 1 2", "Otter 3 4", "river 5 6", "n't 7 8"]


def static(words, **settings):
    (answer,) = MODELS["static"](**settings).activations({"run1": words}, study_dir=Path())
    return answer


def embedding(folder):
    """Name and numbers of the tiny networks' table, found by another way."""
    tensors = load_file(folder / "model.safetensors")
    (name,) = [name for name in tensors if name.split(".")[-2] in ("embed_tokens", "wte")]
    return name, tensors[name]


@pytest.fixture
def glove(tmp_path):
    def make(rows=GLOVE, name="vectors.txt"):
        path = tmp_path / name
        path.write_text("\n".join(rows) + "\n", encoding="utf-8")
        return str(path)

    return make


@pytest.fixture
def random(made):
    return dict(name=str(made("gpt2")), weights="random", seeds=[0, 7])


def test_a_word_is_the_mean_of_its_tokens_vectors_in_the_network(family, made, table):
    from transformers import AutoModel, AutoTokenizer

    folder = made(family)
    weight = AutoModel.from_pretrained(folder).get_input_embeddings().weight.detach().numpy()
    encoded = AutoTokenizer.from_pretrained(folder)(
        " ".join(WORDS), add_special_tokens=False, return_offsets_mapping=True
    )
    ends = np.cumsum([len(word) + 1 for word in WORDS])  # of each word and the blank after it
    owner = np.array([np.searchsorted(ends, end, side="left") for _, end in encoded["offset_mapping"]])
    expected = [weight[np.array(encoded["input_ids"])[owner == i]].mean(axis=0) for i in range(len(WORDS))]
    answer = static(table(WORDS), name=str(folder))
    assert answer.layers == (0,) and answer.seeds == () and (np.bincount(owner) > 1).any()
    np.testing.assert_allclose(answer.values[:, 0], expected, rtol=1e-5, atol=1e-7)


def test_sum_is_the_mean_times_the_number_of_tokens_and_last_is_the_last(made, table):
    from transformers import AutoTokenizer

    words, folder = table(WORDS), made("gpt2")
    mean, total, last = (static(words, name=str(folder), pool=pool) for pool in ("mean", "sum", "last"))
    counts = np.bincount([token.word for token in mean.alignment])
    assert counts[4] > 1
    np.testing.assert_allclose(total.values, mean.values * counts[:, None, None], rtol=1e-5)
    ids = AutoTokenizer.from_pretrained(folder)(" ".join(WORDS[:5]))["input_ids"]
    assert (last.values[4, 0] == embedding(folder)[1][ids[-1]]).all()


def test_what_stands_around_a_word_does_not_matter(made, table):
    name = str(made("llama"))
    one = static(table("the otter swims across the river"), name=name).values
    other = static(table("the river across swims the otter"), name=name).values
    assert (one[[1, 2, 3, 5]] == other[[5, 3, 2, 1]]).all()


@pytest.mark.parametrize("weights", [{}, {"weights": "random", "seeds": [3]}])
def test_an_empty_word_is_zero_wherever_it_stands(weights, made, table):
    values = static(table(["", "the", "", "otter", " "]), name=str(made("gpt2")), **weights).values
    assert values.any(axis=-1).ravel().tolist() == [False, True, False, True, False]


def test_a_run_without_words_has_no_rows(made, table, glove):
    assert static(table([]), name=str(made("gpt2"))).values.shape == (0, 1, 32)
    assert static(table([]), file=glove()).values.shape == (0, 1, 2)


def test_facts_tell_the_table_and_its_hash(made, table):
    _, weight = embedding(made("gpt2"))
    facts = static(table(WORDS), name=str(made("gpt2"))).facts
    assert facts["weights_sha256"] == hashlib.sha256(weight.tobytes()).hexdigest()
    assert (facts["vocabulary"], facts["features"], facts["n_words"]) == (*weight.shape, len(WORDS))
    assert facts["pool"] == "mean" and facts["n_tokens"] > len(WORDS)
    assert all(type(value) in (str, int, float) for value in facts.values())


def test_other_weights_than_those_of_the_record_are_refused(made, table, glove):
    for source in ({"name": str(made("gpt2"))}, {"file": glove()}):
        words = table(["the", "otter", "river"])
        sha256 = static(words, **source).facts["weights_sha256"]
        assert static(words, **source, sha256=sha256).facts["weights_sha256"] == sha256
        with pytest.raises(StudyError) as caught:
            static(words, **source, sha256="0" * 64)
        assert caught.value.problems[0].code == "E-MODEL-04" and caught.value.problems[0].found == sha256


@pytest.fixture
def saved(made, tmp_path):
    """The tiny Llama, written again in other ways."""
    import torch
    from transformers import AutoModelForCausalLM

    def make(dtype, size):
        folder = Path(shutil.copytree(made("llama"), tmp_path / size, ignore=lambda *_: ["model.safetensors"]))
        model = AutoModelForCausalLM.from_pretrained(made("llama"))
        model.to(getattr(torch, dtype)).save_pretrained(folder, max_shard_size=size)
        return folder

    return make


def test_vectors_are_found_in_shards(made, saved, table):
    folder = saved("float32", "30KB")
    assert (folder / "model.safetensors.index.json").exists()
    expected = static(table(WORDS), name=str(made("llama"))).values
    assert (static(table(WORDS), name=str(folder)).values == expected).all()


def test_vectors_in_half_precision_are_read_as_they_are(made, saved, table):
    expected = static(table(WORDS), name=str(made("llama"))).values
    values = static(table(WORDS), name=str(saved("bfloat16", "1GB"))).values
    largest = np.abs(embedding(made("llama"))[1]).max()
    np.testing.assert_allclose(values, expected, rtol=0, atol=largest * 2**-8)  # bfloat16 has 8 bits


def test_no_network_is_built(made, table, monkeypatch):
    import transformers

    def refuse(*args, **kwargs):
        raise AssertionError("a network was built")

    monkeypatch.setattr(transformers.PreTrainedModel, "__init__", refuse)
    assert static(table(WORDS), name=str(made("gpt2"))).values.any()


def test_random_vectors_have_the_width_and_the_columns_of_the_table():
    mean, deviation = np.array([3.0, -2.0, 0.0]), np.array([0.5, 2.0, 0.0])
    values = drawn([f"token {i}" for i in range(4000)], 0, (mean, deviation))
    np.testing.assert_allclose(values.mean(0), mean, atol=5 * 2 / np.sqrt(4000))
    np.testing.assert_allclose(values.std(0), deviation, rtol=5 / np.sqrt(2 * 4000))
    assert kstest((values[:, :2] - mean[:2]) / deviation[:2] @ [0.6, 0.8], "norm").pvalue > 0.01


def test_random_vectors_are_drawn_for_tokens_with_the_moments_of_the_trained_table(random, table, made):
    from transformers import AutoTokenizer

    weight = embedding(made("gpt2"))[1].astype(float)
    ids = AutoTokenizer.from_pretrained(made("gpt2"))("the otter")["input_ids"]
    answer = static(table("the otter"), **random, pool="last")
    expected = drawn([f"token {ids[-1]}"], 7, (weight.mean(0), weight.std(0)))[0]
    np.testing.assert_allclose(answer.values[1, 1, 0], expected, rtol=1e-5)


def test_random_vectors_are_the_same_everywhere_and_always():
    values = drawn(["token 3", "word otter"], 1, (np.zeros(3), np.ones(3)))
    assert values[0].tolist() == pytest.approx([-0.32887747, -0.97283070, 0.42738922])
    bits = hashlib.shake_256(b"seed 1, word otter").digest(12)
    shares = [(int.from_bytes(bits[i : i + 4], "little") + 0.5) / 2**32 for i in (0, 4, 8)]
    assert values[1].tolist() == pytest.approx(norm.ppf(shares))


def test_random_vectors_know_a_word_by_its_identity_alone(random, table):
    words = ["the", "otter", "swims", "across", "the", "river"]
    one, other = static(table(words), **random), static(table(["the", *words[:0:-1]]), **random)
    assert one.values.shape == (2, 6, 1, 32) and one.seeds == (0, 7)
    assert (one.values[:, 1:] == other.values[:, :0:-1]).all()
    assert not np.allclose(one.values[0], one.values[1])
    alone = static(table(words), **random | {"seeds": [7]})
    assert (alone.values[0] == one.values[1]).all()


def test_random_vectors_of_a_file_are_one_for_each_word_it_has(glove, table):
    words = table(["otter", "the", "otter", "(The)", "badger"])
    answer = static(words, file=glove(), weights="random", seeds=[0, 1])
    values = answer.values[:, :, 0]
    assert values.shape == (2, 5, 2) and answer.facts["n_unknown_words"] == 1
    assert (values[:, 0] == values[:, 2]).all() and (values[:, 1] == values[:, 3]).all()
    assert not values[:, 4].any() and values[:, :4].all() and not np.allclose(values[0], values[1])
    numbers = np.array([row.split()[1:] for row in GLOVE], float)
    expected = drawn(["word otter"], 1, (numbers.mean(0), numbers.std(0)))[0]
    np.testing.assert_allclose(values[1, 0], expected, rtol=1e-6)


def test_a_word_is_looked_up_as_it_is_then_in_lower_case_then_without_punctuation():
    assert spellings("“Otter’s,”") == ["“Otter’s,”", "“otter’s,”", "Otter’s", "otter’s"]
    assert spellings(" the ") == ["the"]
    assert spellings("--") == ["--"] and spellings("  ") == []
    assert spellings("की।") == ["की।", "की"]  # the vowel sign stays


def test_vectors_of_a_file_are_those_of_its_words(glove, table):
    answer = static(table(["otter", "Otter", "OTTER", "(river)", "The", "n't", "badger", ""]), file=glove())
    expected = [[1, 2], [3, 4], [1, 2], [5, 6], [0.1, 0.2], [7, 8], [0, 0], [0, 0]]
    np.testing.assert_allclose(answer.values[:, 0], expected, rtol=1e-6)
    told = {name: answer.facts[name] for name in ("n_words", "n_unknown_words", "n_empty_words", "vocabulary")}
    assert told == {"n_words": 8, "n_unknown_words": 1, "n_empty_words": 1, "vocabulary": 5}
    assert answer.facts["features"] == 2 and answer.alignment == ()


def test_a_files_hash_is_that_of_the_file(glove, table):
    path = glove()
    facts = static(table(["the", "otter"]), file=path).facts
    assert facts["weights_sha256"] == hashlib.sha256(Path(path).read_bytes()).hexdigest()
    assert MODELS["static"](file=path).files(Path()) == [Path(path)]


def test_a_path_may_hold_variables(glove, table, monkeypatch, tmp_path):
    glove()
    monkeypatch.setenv("VECTORS", str(tmp_path))
    answer = static(table(["the", "otter"]), file="${VECTORS}/vectors.txt")
    assert answer.values.any() and answer.facts["file"] == "${VECTORS}/vectors.txt"


def test_a_file_that_knows_half_of_the_words_is_used_and_one_that_knows_fewer_is_refused(glove, table):
    path = glove()
    assert static(table(["the", "Fluss", "otter", "kalt"]), file=path).facts["n_unknown_words"] == 2
    with pytest.raises(StudyError) as caught:
        static(table(["der", "Fluss", "ist", "the", "kalt", ""]), file=path)
    (problem,) = caught.value.problems
    assert (problem.code, problem.file, problem.field) == ("E-MODEL-15", path, "file")
    assert "run1" in problem.summary and problem.found.startswith("4 of 5 words are not in it: ['der', 'Fluss'")


def test_an_unusable_file_is_a_problem_before_a_job_starts(glove, table):
    model = MODELS["static"](file=glove(["the 1 2", "otter 1 x"]))
    (problem,) = model.problems(Path())
    assert (problem.code, problem.field) == ("E-MODEL-15", "line 2")
    with pytest.raises(StudyError) as caught:
        list(model.activations({"run1": table(WORDS)}, study_dir=Path()))
    assert caught.value.problems == (problem,)


def test_weights_without_a_table_of_vectors_are_refused(broken, table):
    name, weight = embedding(broken)
    tensors = load_file(broken / "model.safetensors")
    del tensors[name]
    save_file(tensors | {"unusual.weight": weight}, broken / "model.safetensors")
    (problem,) = MODELS["static"](name=str(broken)).problems(Path())
    assert (problem.code, problem.field, problem.found) == ("E-MODEL-15", "name", "no such tensor")


def test_weights_with_two_tables_are_refused(broken):
    name, weight = embedding(broken)
    tensors = load_file(broken / "model.safetensors")
    save_file(tensors | {"decoder.embed_tokens.weight": weight}, broken / "model.safetensors")
    (problem,) = MODELS["static"](name=str(broken)).problems(Path())
    assert problem.code == "E-MODEL-15" and name in problem.found and "decoder.embed_tokens" in problem.found


def test_whole_numbers_are_no_vectors(broken, table):
    name, weight = embedding(broken)
    tensors = load_file(broken / "model.safetensors")
    save_file(tensors | {name: (100 * weight).astype(np.int8)}, broken / "model.safetensors")
    with pytest.raises(StudyError) as caught:
        static(table(WORDS), name=str(broken))
    assert caught.value.problems[0].code == "E-MODEL-15" and "torch.int8" in caught.value.problems[0].found


@pytest.mark.parametrize("weights", [{}, {"weights": "random", "seeds": [3]}])
def test_vectors_that_are_no_numbers_are_refused(weights, broken, table):
    name, weight = embedding(broken)
    weight[:, 3] = np.nan
    save_file(load_file(broken / "model.safetensors") | {name: weight}, broken / "model.safetensors")
    with pytest.raises(StudyError) as caught:
        static(table(WORDS), name=str(broken), **weights)
    assert caught.value.problems[0].code == "E-MODEL-08"


def test_ids_beyond_the_table_are_refused(made):
    table = read_embedding(made("gpt2"))
    with pytest.raises(StudyError) as caught:
        take(table, np.array([0, table.rows]))
    assert caught.value.problems[0].code == "E-MODEL-10"


@pytest.mark.parametrize("weights", [{}, {"weights": "random", "seeds": [3]}])
def test_weights_are_needed_for_random_vectors_too(weights, broken):
    (broken / "model.safetensors").unlink()
    codes = [problem.code for problem in MODELS["static"](name=str(broken), **weights).problems(Path())]
    assert "E-MODEL-03" in codes


def test_a_missing_tokenizer_is_told(broken):
    (broken / "tokenizer.json").unlink()
    codes = [problem.code for problem in MODELS["static"](name=str(broken)).problems(Path())]
    assert codes == ["E-MODEL-01"]


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        ({}, "one of the two"),
        ({"name": "gpt2", "file": "glove.txt"}, "one of the two"),
        ({"file": "glove.txt", "tokenizer": "gpt2"}, "tokenizer can go with a name only"),
        ({"file": "glove.txt", "pool": "sum", "revision": "main"}, "revision and pool can go with a name only"),
        ({"name": "gpt2", "weights": "random"}, "needs seeds"),
        ({"name": "gpt2", "seeds": [1]}, "trained vectors have none"),
        ({"name": "gpt2", "weights": "random", "seeds": [1, 1]}, "one stands twice"),
    ],
)
def test_settings_that_contradict_each_other_are_refused(settings, told):
    with pytest.raises(ValidationError, match=told):
        MODELS["static"](**settings)


def test_settings_survive_the_way_to_a_job():
    model = MODELS["static"](file="${HOME}/glove.txt", weights="random", seeds=[0, 1])
    told = {name: value for name, value in model.dump().items() if name != "version"}
    assert MODELS["static"].model_validate(told) == model


def test_real_vectors_of_a_real_network_are_read_as_they_are(data, table):
    from transformers import AutoTokenizer

    folder = data / "lm_stories260K"
    weight = load_file(folder / "model.safetensors")["model.embed_tokens.weight"]
    ids = AutoTokenizer.from_pretrained(folder)("she was happy", add_special_tokens=False)["input_ids"]
    answer = static(table("she was happy"), name=str(folder), pool="last")
    assert (answer.values[2, 0] == weight[ids[-1]]).all()
    assert answer.facts["weights_sha256"] == hashlib.sha256(weight.tobytes()).hexdigest()
