"""Is the tokenizer's word for where its tokens lie to be trusted?

Tokenizers have given wrong spans (huggingface/tokenizers #1688). So none is
used before the tokens of every word were decoded and found to spell that word,
up to whitespace and to what the tokenizer's own normaliser does to text.
"""

import re
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Bool, Int

from pipeline.problems import Problem, StudyError, shown

_NO_LETTER = re.compile(r"[\s▁]+")  # ▁ is SentencePiece's space
_MOST_UNKNOWN = 0.5


class Cut(NamedTuple):
    """How a tokenizer read the text of one run; `first` and `final` word touched by each token."""

    text: str
    words: Int[np.ndarray, "word 2"]
    ids: Int[np.ndarray, " token"]
    spans: Int[np.ndarray, "token 2"]
    unknown: Bool[np.ndarray, " token"]
    first: Int[np.ndarray, " token"]
    final: Int[np.ndarray, " token"]
    tokenizer: Any
    run: str

    @property
    def full(self) -> Int[np.ndarray, " full"]:
        """The words that have characters."""
        return np.flatnonzero(self.words[:, 1] > self.words[:, 0])


def check_spans(cut: Cut) -> None:
    """Refuse spans outside the text or going backwards, and a text of mostly unknown tokens."""
    spans = cut.spans
    back = (np.diff(spans, axis=0, prepend=spans[:1]) < 0).any(axis=1)
    wrong = back | (spans[:, 0] > spans[:, 1]) | (spans[:, 0] < 0) | (spans[:, 1] > len(cut.text))
    if wrong.any():
        token = int(np.argmax(wrong))
        word = int(cut.first[max(token - 1, 0)])
        found = f"token {token} covers characters {spans[token].tolist()} of {len(cut.text)}"
        near = f"; near word {word}, {shown(_written(cut, word, word))}" if word >= 0 else ""
        raise _untrusted(cut, found + near, "spans that lie in the text and never go back")
    if len(cut.ids) and cut.unknown.mean() > _MOST_UNKNOWN:
        raise StudyError(_strange(cut))


def check_spelling(cut: Cut, last: Int[np.ndarray, " word"]) -> None:
    """Decode the tokens of every word and compare with the word, then the whole with the whole.

    Words that share a token are compared together. Some decoders need the
    token before ("un" + "##happy"), so a group that does not match is tried
    again together with all that stands next to it without whitespace. A group
    with an unknown token cannot be compared; `n_unknown_tokens` counts them.
    """
    full = cut.full
    for word in full[last[full] < 0]:
        if _expected(cut, int(word), int(word)):
            raise _misread(cut, int(word))
    if not len(full):
        return
    groups = _groups(cut)
    wrong = _misspelt(cut, groups)
    if len(wrong):
        glued = _glued(cut, groups)
        wrong = wrong[np.isin(glued[wrong], glued[_misspelt(cut, glued)])]
    if len(wrong):
        raise _misread(cut, int(full[wrong[0]]))
    _check_whole(cut)


def _check_whole(cut: Cut) -> None:
    if cut.unknown.any():
        return
    decoded, expected = _decode(cut, [cut.ids])[0], _expected(cut, 0, len(cut.words) - 1)
    if decoded != expected:
        same = next((i for i, (a, b) in enumerate(zip(decoded, expected, strict=False)) if a != b), 0)
        found = f"decoded {shown(decoded[same : same + 30])} where the text has {shown(expected[same : same + 30])}"
        raise _untrusted(cut, found, "all tokens together spell the text")


def _groups(cut: Cut) -> Int[np.ndarray, " full"]:
    """A number per word with characters; words touched by one token have the same."""
    full, apart = cut.full, np.ones(len(cut.full), bool)
    for token in np.flatnonzero(cut.final > cut.first):
        first, final = np.searchsorted(full, [cut.first[token], cut.final[token]])
        apart[first + 1 : final + 1] = False
    return np.cumsum(apart) - 1


def _glued(cut: Cut, groups: Int[np.ndarray, " full"]) -> Int[np.ndarray, " full"]:
    spans = cut.words[cut.full]
    touching = spans[:, 0] == np.append(-1, spans[:-1, 1])
    same = np.diff(groups, prepend=-1) == 0
    return np.cumsum(~(same | touching)) - 1


def _misspelt(cut: Cut, groups: Int[np.ndarray, " full"]) -> Int[np.ndarray, " wrong"]:
    """Places among the words with characters that begin a group whose tokens spell something else."""
    full = cut.full
    begins = np.flatnonzero(np.diff(groups, prepend=-1))
    ends = np.append(begins[1:], len(full))
    of_token = groups[np.searchsorted(full, cut.first)]
    edges = np.searchsorted(of_token, np.arange(len(begins) + 1))
    decoded = _decode(cut, [cut.ids[a:b] for a, b in pairwise(edges)])
    written = zip(full[begins].tolist(), full[ends - 1].tolist(), strict=True)
    wrong = [
        begins[group]
        for group, (first, final) in enumerate(written)
        if not cut.unknown[edges[group] : edges[group + 1]].any() and decoded[group] != _expected(cut, first, final)
    ]
    return np.asarray(wrong, np.int64)


def _decode(cut: Cut, pieces: list[np.ndarray]) -> list[str]:
    backend = cut.tokenizer.backend_tokenizer
    return [_letters(t) for t in backend.decode_batch([p.tolist() for p in pieces], skip_special_tokens=False)]


def _expected(cut: Cut, first: int, final: int) -> str:
    """The letters of these words as the tokenizer's own normaliser leaves them (lower case, no accents, NFC)."""
    normalizer = cut.tokenizer.backend_tokenizer.normalizer
    text = _written(cut, first, final)
    return _letters(normalizer.normalize_str(text) if normalizer is not None else text)


def _written(cut: Cut, first: int, final: int) -> str:
    return cut.text[cut.words[first, 0] : cut.words[final, 1]]


def _letters(text: str) -> str:
    return _NO_LETTER.sub("", text)


def _misread(cut: Cut, word: int) -> StudyError:
    tokens = cut.ids[(cut.first <= word) & (cut.final >= word)]
    names = cut.tokenizer.convert_ids_to_tokens(tokens.tolist())
    found = f"word {word} is {shown(_written(cut, word, word))}, its tokens are {shown(names)}"
    return _untrusted(cut, found, "tokens that spell the word they lie on")


def _untrusted(cut: Cut, found: str, expected: str) -> StudyError:
    return StudyError(
        Problem(
            "E-MODEL-11",
            f"run {cut.run}: the tokenizer's character positions are wrong",
            file=cut.tokenizer.name_or_path,
            field="tokenizer",
            found=found,
            expected=expected,
            why="features would belong to other words than the ones they are given for",
            fix="use the tokenizer.json of the model's authors, or a newer `tokenizers`",
        )
    )


def _strange(cut: Cut) -> Problem:
    return Problem(
        "E-MODEL-10",
        f"run {cut.run}: the tokenizer does not know this text",
        file=cut.tokenizer.name_or_path,
        field="tokenizer",
        found=f"{cut.unknown.sum()} of {len(cut.ids)} tokens are {cut.tokenizer.unk_token}",
        expected=f"at most {_MOST_UNKNOWN:.0%} unknown",
        why="a model that reads unknown tokens has nothing to say about the words",
        fix="name the tokenizer the model was trained with, or a model made for the language of the words",
    )
