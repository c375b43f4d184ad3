"""Words to text, text to tokens, and every token back to its word.

A language model reads text, a recording knows words. The bridge is the
characters: each word has its span in the text of the run, the tokenizer gives
the span of each token, and a token belongs to the word it overlaps most.
Counting the tokens of each word alone goes wrong wherever a word is cut
otherwise inside its sentence.
"""

from typing import Any, Literal, NamedTuple

import numpy as np
from jaxtyping import Int

from pipeline.models.base import Token, Words
from pipeline.models.spelling import Cut, check_spans, check_spelling
from pipeline.problems import Problem, StudyError, shown


class Text(NamedTuple):
    """The text of one run; the span of an empty word has no length."""

    text: str
    spans: Int[np.ndarray, "word 2"]


class Alignment(NamedTuple):
    """The tokens of one run, the word each belongs to, and what was unusual.

    `last` is the token that ends each word: its own, or where another word's
    token covers it ("can" + "not" read as "cannot") that one; -1 where the
    word has no characters.
    """

    ids: Int[np.ndarray, " token"]
    word: Int[np.ndarray, " token"]
    last: Int[np.ndarray, " word"]
    tokens: tuple[Token, ...]
    facts: dict[str, str | int | float]


def run_text(words: Words) -> Text:
    """Join the words of a run with the whitespace that was recorded between them.

    Without a `whitespace` column one space stands between words, and an empty
    word leaves no trace in the text. Spans do not count whitespace at the ends
    of a word.
    """
    given = "whitespace" in words
    spaces = words["whitespace"] if given else [" "] * len(words)
    parts: list[str] = []
    spans, place = np.zeros((len(words), 2), np.int64), 0
    for row, (word, space) in enumerate(zip(words["word"], spaces, strict=True)):
        _check_text(row, word=word, whitespace=space)
        bare = word.strip()
        start = place + (len(word) - len(word.lstrip()) if bare else 0)
        spans[row] = start, start + len(bare)
        parts.append(word + space if bare or given else "")
        place += len(parts[-1])
    return Text("".join(parts).rstrip(), spans)


def align(text: Text, tokenizer: Any, *, run: str) -> Alignment:
    """Cut the text into tokens and give each to the word it overlaps most.

    Tokens of whitespace alone go to the following word, at the end to the last
    one. What looks like a special token in the text (`<s>`, `[MASK]`) is read
    as plain text. Words that the tokenizer's own normaliser removes count as
    empty.

    Raises
    ------
    StudyError if the spans cannot be trusted (see `spelling`) or the
    vocabulary is not made for this text.
    """
    encoded = _encode(text.text, tokenizer)
    ids = np.asarray(encoded["input_ids"], np.int64)
    spans = np.asarray(encoded["offset_mapping"], np.int64).reshape(-1, 2)
    unknown = ids == (-1 if tokenizer.unk_token_id is None else tokenizer.unk_token_id)
    first, final = _touched(spans, text.spans)
    cut = Cut(text.text, text.spans, ids, spans, unknown, first, final, tokenizer, run)
    check_spans(cut)
    word = _owners(spans, text.spans, first, final)
    last = _last_tokens(spans, text.spans, word)
    check_spelling(cut, last)
    tokens = _rows(encoded.tokens(), spans, word)
    return Alignment(ids, word, last, tokens, _facts(unknown, word, last))


def pooled_tokens(
    alignment: Alignment, pool: Literal["last", "mean", "sum"]
) -> tuple[Int[np.ndarray, " pair"], Int[np.ndarray, " pair"]]:
    """Which tokens make up which word: pairs of (token, word), in order.

    A word without a token of its own takes the one that covers it; an empty
    word takes the token before it, for that is all that was read by then. An
    empty word at the very start has no pair.
    """
    known = np.maximum.accumulate(alignment.last)
    words = np.flatnonzero(known >= 0)
    if pool == "last":
        return known[words], words
    without = np.setdiff1d(words, alignment.word)
    tokens = np.concatenate([np.arange(len(alignment.word)), known[without]])
    words = np.concatenate([alignment.word, without])
    order = np.lexsort((tokens, words))
    return tokens[order], words[order]


def _encode(text: str, tokenizer: Any) -> Any:
    return tokenizer(
        text,
        add_special_tokens=False,
        return_offsets_mapping=True,
        split_special_tokens=True,
        truncation=False,
        verbose=False,
    )


def _touched(
    tokens: Int[np.ndarray, "token 2"], words: Int[np.ndarray, "word 2"]
) -> tuple[Int[np.ndarray, " token"], Int[np.ndarray, " token"]]:
    """First and last word that each token touches, among the words with characters (-1 if there are none)."""
    full = np.flatnonzero(words[:, 1] > words[:, 0])
    if not len(full):
        return np.full(len(tokens), -1), np.full(len(tokens), -1)
    first = np.minimum(np.searchsorted(words[full, 1], tokens[:, 0], side="right"), len(full) - 1)
    final = np.maximum(np.searchsorted(words[full, 0], tokens[:, 1], side="left") - 1, first)
    return full[first], full[final]


def _owners(
    tokens: Int[np.ndarray, "token 2"],
    words: Int[np.ndarray, "word 2"],
    first: Int[np.ndarray, " token"],
    final: Int[np.ndarray, " token"],
) -> Int[np.ndarray, " token"]:
    owner = first.copy()
    for token in np.flatnonzero(final > first):
        near = words[first[token] : final[token] + 1]
        shared = np.minimum(tokens[token, 1], near[:, 1]) - np.maximum(tokens[token, 0], near[:, 0])
        owner[token] += int(np.argmax(np.where(near[:, 1] > near[:, 0], shared, 0)))
    return owner


def _last_tokens(
    tokens: Int[np.ndarray, "token 2"], words: Int[np.ndarray, "word 2"], owner: Int[np.ndarray, " token"]
) -> Int[np.ndarray, " word"]:
    last = np.full(len(words), -1)
    owned = np.flatnonzero(owner >= 0)
    np.maximum.at(last, owner[owned], owned)
    for word in np.flatnonzero((last < 0) & (words[:, 1] > words[:, 0])):
        before = int(np.searchsorted(tokens[:, 0], words[word, 1], side="left")) - 1
        if before >= 0 and tokens[before, 1] > words[word, 0]:
            last[word] = before
    return last


def _rows(texts: list[str], spans: Int[np.ndarray, "token 2"], word: Int[np.ndarray, " token"]) -> tuple[Token, ...]:
    pieces = enumerate(zip(texts, spans.tolist(), word.tolist(), strict=True))
    return tuple(Token(i, text, *span, owner if owner >= 0 else None) for i, (text, span, owner) in pieces)


def _facts(
    unknown: np.ndarray, word: Int[np.ndarray, " token"], last: Int[np.ndarray, " word"]
) -> dict[str, str | int | float]:
    without = ~np.isin(np.arange(len(last)), word)
    return {
        "n_tokens": len(word),
        "n_unknown_tokens": int(unknown.sum()),
        "n_empty_words": int((last < 0).sum()),
        "n_words_inside_anothers_token": int((without & (last >= 0)).sum()),
    }


def _check_text(row: int, **cells: object) -> None:
    for field, value in cells.items():
        if not isinstance(value, str):
            raise StudyError(
                Problem(
                    "E-MODEL-14",
                    f"row {row} of the words table is no text",
                    field=field,
                    found=shown(value),
                    expected="text; an empty word is ''",
                    why="a table read with guessed types turns the words 'null', 'NA' and 'nan' into missing values",
                    fix="read the words table as text (pandas: dtype=str, keep_default_na=False)",
                )
            )
