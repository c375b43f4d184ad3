"""Surprisal against the library's own probabilities."""

from pathlib import Path

import numpy as np
import pytest
import torch

from pipeline.models import MODELS
from pipeline.models.weights import load_tokenizer, trained
from pipeline.problems import StudyError

WORDS = ["she", "said", "that", "nobody", "had", "asked", "her", "about", "the", "weather", "in", "the", "mountains"]


def surprisal(folder, words, **settings):
    (answer,) = MODELS["surprisal"](name=str(folder), **settings).activations({"run1": words}, study_dir=Path())
    return answer


@pytest.mark.parametrize("family", ("gpt2", "llama", "gpt_neox", "opt"))
def test_a_words_surprisal_is_the_sum_over_its_tokens(family, made, table):
    folder = made(family)
    answer = surprisal(folder, table(WORDS))
    tokenizer, model = load_tokenizer(folder), trained(folder).model
    ids = tokenizer(" ".join(WORDS), add_special_tokens=False)["input_ids"]
    with torch.inference_mode():
        logits = model(torch.tensor([[tokenizer.bos_token_id, *ids]])).logits[0, :-1]
    each = -torch.log_softmax(logits.double(), -1)[np.arange(len(ids)), ids].numpy()
    expected = [sum(each[t.token] for t in answer.alignment if t.word == word) for word in range(len(WORDS))]
    assert answer.values.shape == (len(WORDS), 1, 1)
    assert np.allclose(answer.values[:, 0, 0], expected, rtol=1e-4)
    assert answer.facts["loss"] == pytest.approx(each.mean(), rel=1e-5)


def test_an_empty_word_is_no_surprise(made, table):
    assert surprisal(made("gpt2"), table(["the", "", "otter"])).values[1, 0, 0] == 0


def test_surprisal_starts_anew_where_the_context_does(made, table):
    words, sentence = WORDS + WORDS, ["a"] * len(WORDS) + ["b"] * len(WORDS)
    values = surprisal(made("gpt2"), table(words, sentence=sentence), reset="sentence").values[:, 0, 0]
    # all but the first word, which has no space before it at the start of the text
    assert np.allclose(values[1 : len(WORDS)], values[len(WORDS) + 1 :], rtol=0.2)
    assert not np.allclose(surprisal(made("gpt2"), table(words)).values[13:, 0, 0], values[13:], rtol=1e-3)


def test_a_model_that_reads_both_ways_has_no_surprisal(made, table):
    with pytest.raises(StudyError) as error:
        surprisal(made("bert"), table(WORDS))
    assert error.value.problems[0].code == "E-MODEL-13"


def test_long_texts_are_read_in_windows(made, table):
    answer = surprisal(made("gpt2"), table(WORDS * 12), context=16)
    assert np.isfinite(answer.values).all() and (answer.values[1:] > 0).all()
    assert answer.facts["n_unguessed_tokens"] == 0


def test_real_surprisal_is_lower_for_likely_words(data, table):
    words = [
        "once",
        "upon",
        "a",
        "time",
        "there",
        "was",
        "a",
        "little",
        "girl",
        "who",
        "loved",
        "to",
        "zxq",
        "in",
        "the",
        "park",
    ]
    values = surprisal(data / "lm_stories260K", table(words)).values[:, 0, 0]
    assert values[words.index("zxq")] == values.max()
