"""Language models as features: trained, at a checkpoint, or freshly initialised."""

from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any, ClassVar, Literal

import numpy as np
from jaxtyping import Int
from pydantic import Field, NonNegativeInt, PositiveInt, model_validator

from pipeline.models import folder as folders
from pipeline.models import weights as nets
from pipeline.models.base import Activations, Words
from pipeline.models.pretrained import Pretrained
from pipeline.models.reader import Makers, Reader, open_reader, read_run
from pipeline.models.refusals import unfit
from pipeline.models.tokens import align, run_text
from pipeline.problems import Problem, StudyError


class Transformer(Pretrained):
    """The states of a language model, layer by layer, read off at every word."""

    version: ClassVar[int] = 1
    kind: Literal["transformer"] = "transformer"
    weights: Literal["trained", "random"] = Field(
        "trained", description="random: the same architecture before training, what it owes to training is the rest"
    )
    seeds: tuple[NonNegativeInt, ...] = Field(
        (), description="one random twin for each; several (5), for a single one may be lucky"
    )
    layers: Literal["all"] | tuple[NonNegativeInt, ...] = Field(
        "all", description="0 is the embedding, 1 the first layer; all come from one pass"
    )
    context: PositiveInt | None = Field(
        None, description="tokens in a window, special ones included; null: as many as the model can read"
    )
    min_context: NonNegativeInt | None = Field(
        None, description="tokens read before a word in all but the first window; null: half the context"
    )
    pool: Literal["last", "mean", "sum"] = Field(
        "last", description="which of a word's tokens speak for it; the last has read them all"
    )
    dtype: Literal["float32", "bfloat16", "float16"] = Field(
        "float32", description="precision of the pass; float16 overflows in some models, features are stored as float32"
    )
    device: Literal["cpu", "cuda"] = Field("cpu", description="where the pass runs")

    @model_validator(mode="after")
    def _fits(self) -> "Transformer":
        if self.weights == "random" and not self.seeds:
            raise ValueError("weights: random needs seeds, e.g. seeds: [0, 1, 2, 3, 4]")
        if self.weights == "trained" and self.seeds:
            raise ValueError(f"seeds {list(self.seeds)} go with weights: random; trained weights have none")
        if len(set(self.seeds)) < len(self.seeds):
            raise ValueError(f"seeds {list(self.seeds)}: one stands twice")
        if self.layers != "all" and (not self.layers or len(set(self.layers)) < len(self.layers)):
            raise ValueError(f"layers {list(self.layers)}: name each once, or write all")
        if self.context and self.min_context is not None and self.min_context >= self.context:
            raise ValueError(f"min_context {self.min_context} leaves no room in a context of {self.context} tokens")
        return self

    def activations(self, words: Mapping[str, Words], *, study_dir: Path) -> Iterator[Activations]:
        """States of every layer at every word, run by run; the context never crosses runs."""
        if problems := self.problems(study_dir):
            raise StudyError(*problems)
        reader: Reader | None = None
        folder = self._folder(study_dir)
        tokenizer = self._load_tokenizer(study_dir)
        for run, table in words.items():
            alignment = align(run_text(table), tokenizer, run=run)
            reader = reader or self._open(folder, tokenizer, alignment.ids)
            yield read_run(reader, alignment, run=run, pool=self.pool)

    def _needs_weights(self) -> bool:
        return self.weights == "trained"

    def _numbers(self, folder: Path) -> list[Problem]:
        """Do context and layers fit the config?"""
        config = folders.read_config(folder)
        longest, depth = folders.longest_context(config), folders.n_layers_of(config)
        found = []
        if self.context is None and longest is None:
            found.append(unfit("context", "null", "a number", "this family has no limit of its own: choose one"))
        if self.context and longest and self.context > longest:
            found.append(unfit("context", self.context, f"at most {longest}", "positions beyond were never trained"))
        above = [layer for layer in self.layers if depth is not None and layer > depth] if self.layers != "all" else []
        if above:
            found.append(unfit("layers", above, f"0 (the embedding) to {depth}", "there are no such layers"))
        return [problem._replace(file=str(folder / "config.json")) for problem in found]

    def _open(self, folder: Path, tokenizer: Any, ids: Int[np.ndarray, " token"]) -> Reader:
        reader = open_reader(
            self._makers(folder),
            tokenizer,
            ids,
            seeds=self.seeds,
            layers=self.layers,
            context=self.context or folders.longest_context(folders.read_config(folder)) or 0,
            min_context=self.min_context,
        )
        facts = {"model": self.name, "family": folders.read_config(folder)["model_type"], "pool": self.pool}
        return reader._replace(facts=facts | {"dtype": self.dtype} | reader.facts)

    def _makers(self, folder: Path) -> Makers:
        """How to make each network, by name; the trained one is only compared with where twins are asked for."""
        place = partial(nets.place, dtype=self.dtype, device=self.device)
        makers: Makers = {f"seed{seed}": lambda seed=seed: place(nets.fresh(folder, seed)) for seed in self.seeds}
        if not folders.weight_files(folder):
            return makers
        return {"trained": lambda: place(nets.check_expected(nets.trained(folder), self.sha256, folder))} | makers
