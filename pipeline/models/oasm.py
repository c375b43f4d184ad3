"""Sequences that are as slow as blood flow and hold nothing of the stimulus."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, ClassVar, Literal, NamedTuple

import numpy as np
from jaxtyping import Float
from pydantic import Field, field_validator

from pipeline.models.base import Activations, Model, Words
from pipeline.models.stretches import stretches
from pipeline.problems import Problem, StudyError

_LARGEST = 100_000_000  # values of one run, 400 MB
_Width = Annotated[float, Field(ge=0.01, le=3600)]


class Oasm(Model):
    """Orthogonal, autocorrelated sequences without any knowledge of the stimulus.

    Bumps along the time of a block, each run with columns of its own. They
    score where test samples lie next to training samples and nowhere else:
    what they explain is a leak of the split. The published model smooths an
    identity matrix inside each block, with zeros between blocks; bumps one
    width apart span nearly the same sequences with fewer columns.

    References
    ----------
    Hadidi et al. (2025): the orthogonal autocorrelated sequences model.
    """

    version: ClassVar[int] = 2
    sampled: ClassVar[Literal["event", "state"]] = "state"
    private: ClassVar[bool] = True
    kind: Literal["oasm"] = "oasm"
    width_s: _Width | tuple[_Width, ...] = Field(
        (6.0, 12.0, 24.0),
        description="seconds; standard deviation of a bump and the distance to the next, around what blood flow has; "
        "of several, each is a layer, for the width is chosen as layers are",
    )
    block: Literal["run", "passage", "sentence"] = Field(
        "run", description="stretch that a bump does not leave; for splits by passage or sentence, that one"
    )

    @field_validator("width_s")
    @classmethod
    def _distinct(cls, width_s: float | tuple[float, ...]) -> float | tuple[float, ...]:
        if isinstance(width_s, tuple) and (not width_s or len(set(width_s)) < len(width_s)):
            raise ValueError(f"width_s {list(width_s)}: name each width once, and at least one")
        return width_s

    def activations(self, words: Mapping[str, Words], *, study_dir: Path) -> Iterator[Activations]:
        """One layer per width, in the order of the widths; columns that a width does not need are 0."""
        widths = self.width_s if isinstance(self.width_s, tuple) else (self.width_s,)
        for run, table in words.items():
            blocks = _blocks(table, stretches(table, self.block, run=run))
            n_bumps = [sum(_n_bumps(block, width) for block in blocks) for width in widths]
            if max(n_bumps) * len(widths) * len(table) > _LARGEST:
                raise StudyError(_too_many(max(n_bumps), len(table), min(widths)))
            values = np.zeros((len(table), len(widths), max(n_bumps)), np.float32)
            for layer, width in enumerate(widths):
                values[:, layer, : n_bumps[layer]] = _diagonal([_bumps(block, width) for block in blocks])
            facts = {"n_words": len(table), "block": self.block} | _told(widths, n_bumps)
            yield Activations(run, values, tuple(range(len(widths))), facts=facts)


class _Block(NamedTuple):
    """Words between which bumps live; `length_s` is from the first onset to the end of the last word."""

    onsets: Float[np.ndarray, " word"]
    length_s: float


def _blocks(words: Words, stretch: np.ndarray) -> list[_Block]:
    onsets = np.asarray(words["onset"], float)
    ends = onsets + np.asarray(words["duration"], float)
    borders = np.flatnonzero(np.diff(stretch)) + 1
    parts = zip(np.split(onsets, borders), np.split(ends, borders), strict=True)
    return [_Block(own, float(until.max() - own[0]) if len(own) else 0.0) for own, until in parts]


def _n_bumps(block: _Block, width_s: float) -> int:
    return int(block.length_s // width_s) + 1


def _bumps(block: _Block, width_s: float) -> Float[np.ndarray, "word bump"]:
    """The first is at the first word, the next one width later, to the end of the block."""
    centres = block.onsets[:1].sum() + width_s * np.arange(_n_bumps(block, width_s))
    return np.exp(-0.5 * ((block.onsets[:, None] - centres) / width_s) ** 2)


def _diagonal(blocks: list[np.ndarray]) -> Float[np.ndarray, "word bump"]:
    """Each block's bumps at its own words, 0 at all others."""
    from scipy.linalg import block_diag

    return block_diag(*blocks)


def _told(widths: tuple[float, ...], n_bumps: list[int]) -> dict[str, str | int | float]:
    """Which width is which layer, and how many columns of it are no filling."""
    facts: dict[str, str | int | float] = {f"width_s_layer{layer}": float(w) for layer, w in enumerate(widths)}
    return facts | {f"n_bumps_layer{layer}": n for layer, n in enumerate(n_bumps)}


def _too_many(n_bumps: int, n_words: int, width_s: float) -> Problem:
    """E-MODEL-13: more bumps than anyone can want."""
    return Problem(
        "E-MODEL-13",
        "width_s does not fit the run",
        field="width_s",
        found=f"{width_s} s: {n_bumps} bumps for {n_words} words",
        expected=f"at most {_LARGEST} values",
        fix="choose wider bumps; are the onsets in seconds?",
    )
