"""How unexpected each word was to a language model: the control that knows of prediction and of nothing else."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, ClassVar, Literal

import numpy as np
from jaxtyping import Float

from pipeline.models import weights as nets
from pipeline.models.arrangement import Layout, Manner, layout_of
from pipeline.models.base import Activations, Words
from pipeline.models.pretrained import Contextual
from pipeline.models.refusals import unfit
from pipeline.models.stretches import stretches
from pipeline.models.tokens import Alignment, align, run_text
from pipeline.models.windows import surprises, windows_of_stretches
from pipeline.problems import Problem, StudyError


class Surprisal(Contextual):
    """Minus the logarithm of the probability of each word after those before it, in nats.

    A word of several tokens has the sum of theirs. Only causal models tell it:
    one that reads both ways has seen the word.
    """

    version: ClassVar[int] = 1
    kind: Literal["surprisal"] = "surprisal"

    def activations(self, words: Mapping[str, Words], *, study_dir: Path) -> Iterator[Activations]:
        """One feature per word, run by run; the context never crosses runs."""
        if problems := self.problems(study_dir):
            raise StudyError(*problems)
        folder, tokenizer = self._folder(study_dir), self._load_tokenizer(study_dir)
        network = nets.check_expected(nets.trained(folder), self.sha256, folder)
        network = nets.place(network, dtype=self.dtype, device=self.device)
        layout = layout_of(network, tokenizer, self._manner(folder), str(self.name))
        if network.head != "causal" or layout.both_ways:
            raise StudyError(_not_causal(folder, network.head))
        facts = layout.facts | {"model": str(self.name), "weights_sha256": network.sha256, "reset": self.reset}
        for run, table in words.items():
            answer = self._of_run(run, table, network, layout, tokenizer)
            yield answer._replace(facts=facts | answer.facts)

    def _of_run(self, run: str, table: Words, network: nets.Network, layout: Layout, tokenizer: Any) -> Activations:
        alignment = align(run_text(table), tokenizer, run=run)
        unit = stretches(table, self.reset, run=run)
        stretch = unit[np.maximum(alignment.word, 0)] if len(unit) else np.zeros(len(alignment.ids), np.int64)
        plan = windows_of_stretches(stretch, size=layout.size, overlap=layout.overlap)
        values = surprises(network.model, alignment.ids, plan, layout.frame)
        unguessed = int(np.isnan(values).sum())
        facts = alignment.facts | {"loss": float(np.nanmean(values)) if len(values) > unguessed else 0.0}
        return Activations(
            run=run,
            values=_by_word(np.nan_to_num(values), alignment)[:, None, None].astype(np.float32),
            layers=(0,),
            facts=facts | {"n_unguessed_tokens": unguessed},
            alignment=alignment.tokens,
        )

    def _manner(self, folder: Path) -> Manner:
        return Manner("all", "residual", self._window(folder), self.min_context, False, self.reset, "last", None)


def _by_word(values: Float[np.ndarray, " token"], alignment: Alignment) -> Float[np.ndarray, " word"]:
    """Sum over the tokens of each word; 0 for a word without a token of its own."""
    own = alignment.word >= 0
    return np.bincount(alignment.word[own], values[own], minlength=len(alignment.last))


def _not_causal(folder: Path, head: str) -> Problem:
    found = f"a model that reads both ways ({head})" if head != "none" else "a model without an output over words"
    problem = unfit("name", found, "a causal language model", "it must not have seen the word it is surprised by")
    return problem._replace(file=str(folder / "config.json"))
