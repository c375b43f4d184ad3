"""Every token belongs to the word whose characters it covers."""

import unicodedata
from pathlib import Path

import numpy as np
import pytest

from pipeline.models.tokens import align, pooled_tokens, run_text
from pipeline.models.weights import load_tokenizer
from pipeline.problems import StudyError

STRANGE = {
    "emoji": ["the", "otter", "😀", "👩‍👩‍👧", "swims"],
    "composed": [unicodedata.normalize("NFC", w) for w in ["a", "café", "naïve", "word"]],
    "combining": [unicodedata.normalize("NFD", w) for w in ["a", "café", "naïve", "word"]],
    "right to left": ["שלום", "עולם", "مرحبا"],
    "chinese": ["你好", "世界", "the", "日本語"],
    "curly quotes": ["“the", "otter’s", "river”", "—", "and…"],
    "contractions as rows": ["do", "n't", "ca", "n't", "it", "'s"],
    "punctuation rows": ["the", "otter", ",", "swims", ".", "!?"],
    "missing-looking": ["null", "NA", "nan", "None", "NaN"],
    "special-looking": ["the", "<|end|>", "<s>", "[MASK]", "[UNK]", "river"],
    "long": ["the", "Pneumonoultramicroscopicsilicovolcanoconiosis" * 2, "river"],
    "quotes and tabs": ['say"ing', "a\tb", "c'd"],
}
KINDS = ("bpe", "wordpiece", "unigram", "suffix", "llama")


@pytest.fixture
def tokenizer(request, tokenizers, data):
    return load_tokenizer(data / "lm_stories260K" if request.param == "llama" else tokenizers[request.param])


def spelt(alignment, tokenizer, word):
    ids = alignment.ids[alignment.word == word].tolist()
    return tokenizer.backend_tokenizer.decode(ids, skip_special_tokens=False).strip()


@pytest.mark.parametrize("tokenizer", KINDS, indirect=True)
@pytest.mark.parametrize("words", STRANGE.values(), ids=STRANGE.keys())
def test_every_token_of_a_strange_text_has_one_word_and_every_word_a_token(words, tokenizer, table):
    known = [
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
        "and",
        "the",
        "otter",
        "in",
        "the",
        "mountains",
    ]
    alignment = align(run_text(table([*known, *words])), tokenizer, run="r")
    assert (np.diff(alignment.word) >= 0).all()
    assert set(alignment.word) == set(range(len(known) + len(words)))
    assert alignment.facts["n_tokens"] == len(alignment.ids) == len(alignment.tokens)


@pytest.mark.parametrize("tokenizer", ["bpe", "llama"], indirect=True)
@pytest.mark.parametrize("words", STRANGE.values(), ids=STRANGE.keys())
def test_the_tokens_of_a_word_spell_it(words, tokenizer, table):
    alignment = align(run_text(table(words)), tokenizer, run="r")
    assert [spelt(alignment, tokenizer, i) for i in range(len(words))] == words


@pytest.mark.parametrize("tokenizer", ["wordpiece"], indirect=True)
def test_a_lower_casing_tokenizer_is_compared_in_its_own_spelling(tokenizer, table):
    alignment = align(run_text(table(["The", "OTTER", "Café"])), tokenizer, run="r")
    assert [spelt(alignment, tokenizer, i) for i in range(3)] == ["the", "otter", "cafe"]


@pytest.mark.parametrize("tokenizer", ["bpe"], indirect=True)
def test_an_emoji_is_several_tokens_of_one_word_with_one_span(tokenizer, table):
    alignment = align(run_text(table(["river", "😀", "river"])), tokenizer, run="r")
    emoji = [t for t in alignment.tokens if t.word == 1]
    assert [(t.start, t.end) for t in emoji].count((6, 7)) == 4


@pytest.mark.parametrize("tokenizer", ["bpe"], indirect=True)
def test_a_long_word_is_one_row_of_twenty_tokens(tokenizer, table):
    alignment = align(run_text(table(STRANGE["long"])), tokenizer, run="r")
    assert np.bincount(alignment.word)[1] > 20
    assert alignment.last[1] == np.flatnonzero(alignment.word == 1)[-1]


@pytest.mark.parametrize("tokenizer", ["wordpiece"], indirect=True)
def test_unknown_characters_are_counted(tokenizer, table):
    known = ["the", "otter", "swims", "across", "the", "cold", "river"]
    alignment = align(run_text(table([*known, "你好", "Ω"])), tokenizer, run="r")
    assert alignment.facts["n_unknown_tokens"] == 3  # BERT cuts Chinese into characters


@pytest.mark.parametrize("tokenizer", ["wordpiece"], indirect=True)
def test_a_text_of_unknown_tokens_is_refused(tokenizer, table):
    with pytest.raises(StudyError, match="E-MODEL-10") as error:
        align(run_text(table(["你好", "世界"])), tokenizer, run="r")
    assert error.value.problems[0].field == "tokenizer"


@pytest.mark.parametrize("tokenizer", KINDS, indirect=True)
def test_an_empty_word_keeps_its_row_and_takes_the_token_before(tokenizer, table):
    alignment = align(run_text(table(["", "otter", "", "  ", "river", ""])), tokenizer, run="r")
    full = align(run_text(table(["otter", "river"])), tokenizer, run="r")
    assert alignment.facts["n_empty_words"] == 4
    assert (alignment.ids == full.ids).all()
    for pool in ("last", "mean", "sum"):
        tokens, words = pooled_tokens(alignment, pool)
        place = dict(zip(words, tokens, strict=True))
        assert set(words) == {1, 2, 3, 4, 5}
        assert place[2] == place[3] == alignment.last[1]
        assert place[5] == alignment.last[4]


def test_the_text_is_the_words_with_their_recorded_whitespace(table):
    words = table(["“", "Do", "n't", "”", ",", "she", "said"], whitespace=["", "", "", "", " ", "\n", ""])
    text = run_text(words)
    assert text.text == "“Don't”, she\nsaid"
    assert [text.text[a:b] for a, b in text.spans] == list(words["word"])


def test_without_recorded_whitespace_there_is_one_space(table):
    text = run_text(table(["null", "", "NA ", " x"]))
    assert text.text.split() == ["null", "NA", "x"]
    assert [text.text[a:b] for a, b in text.spans] == ["null", "", "NA", "x"]


@pytest.mark.parametrize("tokenizer", ["bpe", "wordpiece"], indirect=True)
def test_words_without_space_between_them_share_a_token_where_it_covers_both(tokenizer, table):
    words = table(["the", "peo", "ple", "and", "can", "not"], whitespace=[" ", "", " ", " ", "", ""])
    alignment = align(run_text(words), tokenizer, run="r")
    assert "people" in run_text(words).text
    assert (alignment.last >= 0).all()
    tokens, rows = pooled_tokens(alignment, "last")
    assert rows.tolist() == list(range(6))
    assert (np.diff(tokens) >= 0).all()
    lone = set(range(6)) - set(alignment.word)
    assert alignment.facts["n_words_inside_anothers_token"] == len(lone)


@pytest.mark.parametrize("tokenizer", ["wordpiece"], indirect=True)
def test_glued_pieces_that_only_decode_together_are_accepted(tokenizer, table):
    words = table(["un", "believable", "children"], whitespace=["", " ", ""])
    assert align(run_text(words), tokenizer, run="r").word[-1] == 2


def test_counting_the_tokens_of_each_word_alone_would_misalign(tokenizers, table):
    """'the' after a space is another token than 'the' alone, and counts drift."""
    tokenizer = load_tokenizer(tokenizers["bpe"])
    words = ["we", "cannot", "know", "what", "they", "would", "have", "said", "about", "the", "weather"]
    alignment = align(run_text(table(words)), tokenizer, run="r")
    counted = [len(tokenizer(word, add_special_tokens=False)["input_ids"]) for word in words]
    assert counted != np.bincount(alignment.word).tolist()
    assert [spelt(alignment, tokenizer, i) for i in range(len(words))] == words


def test_the_words_stay_the_same_when_the_tokenizer_is_swapped(tokenizers, table):
    words = ["she", "didn't", "say", "anything", "unhappily", "unbelievable"]
    for kind in ("bpe", "wordpiece"):
        tokenizer = load_tokenizer(tokenizers[kind])
        alignment = align(run_text(table(words)), tokenizer, run="r")
        assert [spelt(alignment, tokenizer, i).replace(" ", "") for i in range(len(words))] == words


class Lying:
    """A tokenizer whose spans are changed on the way out."""

    def __init__(self, tokenizer, lie):
        self._tokenizer, self._lie = tokenizer, lie

    def __getattr__(self, name):
        return getattr(self._tokenizer, name)

    def __call__(self, *args, **settings):
        encoded = self._tokenizer(*args, **settings)
        encoded["offset_mapping"] = self._lie(list(encoded["offset_mapping"]))
        return encoded


LIES = {
    "one token late": lambda spans: [spans[0], *spans[:-1]],
    "no length, as Llama 3's once": lambda spans: [(0, 0)] * len(spans),
    "beyond the text": lambda spans: [*spans[:-1], (spans[-1][0], 999)],
    "backwards": lambda spans: spans[::-1],
}


@pytest.mark.parametrize("lie", LIES.values(), ids=LIES.keys())
def test_wrong_spans_are_refused_with_the_word_and_its_tokens(lie, tokenizers, table):
    tokenizer = Lying(load_tokenizer(tokenizers["bpe"]), lie)
    with pytest.raises(StudyError, match="E-MODEL-11") as error:
        align(run_text(table("we cannot know what they would have said")), tokenizer, run="story7")
    (problem,) = error.value.problems
    assert "story7" in problem.summary and problem.field == "tokenizer"
    assert Path(problem.file) == tokenizers["bpe"]
    assert "word" in problem.found


def test_a_missing_value_is_no_word(table):
    with pytest.raises(StudyError, match="keep_default_na=False"):
        run_text(table(["the", float("nan")]))
