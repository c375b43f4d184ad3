"""Language models as features: trained, at checkpoints, or in forms that lost what training gave them."""

import re
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import ClassVar, Literal

from pydantic import Field, NonNegativeInt, PositiveInt, model_validator

from pipeline.models import folder as folders
from pipeline.models import nulls
from pipeline.models import weights as nets
from pipeline.models.arrangement import Manner
from pipeline.models.base import Activations, Words
from pipeline.models.pretrained import Contextual
from pipeline.models.reader import Axis, Reading, read
from pipeline.models.refusals import unfit
from pipeline.models.sublayers import States
from pipeline.problems import Problem, StudyError

_MADE = {"random": nets.fresh, "shuffled": nulls.shuffled, "spectrum": nulls.spectrum}


class Transformer(Contextual):
    """The states of a language model, layer by layer, read off at every word."""

    version: ClassVar[int] = 2
    kind: Literal["transformer"] = "transformer"
    name: str | tuple[str, ...] = Field(
        min_length=1,
        description="hub id in the local cache, or a directory; may hold ${NAME}; a list of directories: checkpoints",
    )
    revision: str | tuple[str, ...] = Field(
        "",
        description="commit, tag or branch of a hub id, empty: the one that was fetched last; a list: checkpoints",
    )
    ordered: bool = Field(
        True, description="whether checkpoints are listed as they were trained, which is then checked"
    )
    weights: Literal["trained", "random", "shuffled", "spectrum"] = Field(
        "trained",
        description="random: before training; shuffled: each tensor in random order; spectrum: random singular vectors",
    )
    order: Literal["heard", "shuffled"] = Field(
        "heard", description="shuffled: trained weights read the words in random order, one for each seed"
    )
    seeds: tuple[NonNegativeInt, ...] = Field(
        (), description="one twin (or order) for each; several (5), for a single one may be lucky"
    )
    layers: Literal["all"] | tuple[NonNegativeInt, ...] = Field(
        "all", description="0 is the embedding, 1 the first layer; all come from one pass"
    )
    states: States = Field(
        "residual", description="the stream after each layer, or what its attention or feed-forward part adds to it"
    )
    windows: Literal["strided", "exact"] = Field(
        "strided", description="exact: every token is read with exactly the context before it; many times slower"
    )
    pool: Literal["last", "mean", "sum"] = Field(
        "last", description="which of a word's tokens speak for it; the last has read them all"
    )
    project: PositiveInt | None = Field(
        None, description="random orthonormal projection of each layer to so many columns; null: as wide as the model"
    )

    @model_validator(mode="after")
    def _fits(self) -> "Transformer":
        for wrong in (*self._wrong_seeds(), *self._wrong_steps(), *self._wrong_windows()):
            raise ValueError(wrong)
        return self

    def _wrong_seeds(self) -> Iterator[str]:
        drawn = "order: shuffled" if self.order == "shuffled" else f"weights: {self.weights}"
        if self.order == "shuffled" and self.weights != "trained":
            yield f"order: shuffled and weights: {self.weights} each take something away; make them two models"
        if self.weights == "trained" and self.order == "heard" and self.seeds:
            yield f"seeds {list(self.seeds)} go with weights: random; trained weights have none"
        if (self.weights, self.order) != ("trained", "heard") and not self.seeds:
            yield f"{drawn} needs seeds, e.g. seeds: [0, 1, 2, 3, 4]"
        if len(set(self.seeds)) < len(self.seeds):
            yield f"seeds {list(self.seeds)}: one stands twice"

    def _wrong_steps(self) -> Iterator[str]:
        steps = self._steps()
        if isinstance(self.name, tuple) and isinstance(self.revision, tuple):
            yield "name and revision are both lists; checkpoints are one or the other"
        if len(set(steps)) < len(steps):
            yield f"checkpoints {list(steps)}: one stands twice"
        numbers = [int(found[-1]) for step in steps if (found := re.findall(r"\d+", step))]
        if self.ordered and len(numbers) == len(steps) and numbers != sorted(numbers):
            yield f"checkpoints {list(steps)}: list them in the order of training, or say ordered: false"
        if steps and self.seeds:
            yield "checkpoints are trained; give their random or shuffled twins a model of their own, at one checkpoint"
        if steps and self.sha256:
            yield "sha256 is that of one network; a list of checkpoints has many"

    def _wrong_windows(self) -> Iterator[str]:
        if self.layers != "all" and (not self.layers or len(set(self.layers)) < len(self.layers)):
            yield f"layers {list(self.layers)}: name each once, or write all"
        if self.context and self.min_context is not None and self.min_context >= self.context:
            yield f"min_context {self.min_context} leaves no room in a context of {self.context} tokens"
        if self.windows == "exact" and self.min_context is not None:
            yield "windows: exact reads the whole context before every token; leave out min_context"

    def activations(self, words: Mapping[str, Words], *, study_dir: Path) -> Iterator[Activations]:
        """States of every layer at every word, run by run; the context never crosses runs."""
        if problems := self.problems(study_dir):
            raise StudyError(*problems)
        if not words:
            return
        folder = self._folder(study_dir)
        tokenizer, told = self._load_tokenizer(study_dir), self._told(folder)
        found = read(
            self._readings(study_dir), tokenizer, words, self._manner(folder),
            model=str(told["model"]), axis=self._axis(), ordered=self.ordered and bool(self._steps()), folder=study_dir / ".scratch",
        )  # fmt: skip
        for answer in found:
            yield answer._replace(facts=told | answer.facts)

    def _told(self, folder: Path) -> dict[str, str | int | float]:
        name = self.name if isinstance(self.name, str) else ", ".join(self.name)
        family = folders.read_config(folder)["model_type"]
        return {"model": name, "family": family, "pool": self.pool, "dtype": self.dtype, "states": self.states}

    def _steps(self) -> tuple[str, ...]:
        """Names of the checkpoints: revisions, or last parts of directories; none for a single network."""
        if isinstance(self.name, tuple):
            return tuple(Path(name).name for name in self.name)
        return self.revision if isinstance(self.revision, tuple) else ()

    def _axis(self) -> Axis:
        return "step" if self._steps() else "seed" if self.seeds else ""

    def _folders(self, study_dir: Path) -> list[Path]:
        names = self.name if isinstance(self.name, tuple) else (self.name,)
        revisions = self.revision if isinstance(self.revision, tuple) else (self.revision,)
        return [folders.locate(name, study_dir, revision=revision) for name in names for revision in revisions]

    def _needs_weights(self) -> bool:
        return self.weights != "random"

    def _numbers(self, folder: Path) -> list[Problem]:
        """Do context and layers fit the config?"""
        depth = folders.n_layers_of(folders.read_config(folder))
        above = [layer for layer in self.layers if depth is not None and layer > depth] if self.layers != "all" else []
        wrong = unfit("layers", above, f"0 (the embedding) to {depth}", "there are no such layers")
        found = super()._numbers(folder)
        return [*found, wrong._replace(file=str(folder / "config.json"))] if above else found

    def _manner(self, folder: Path) -> Manner:
        return Manner(
            layers=self.layers,
            states=self.states,
            context=self._window(folder),
            min_context=self.min_context,
            exact=self.windows == "exact",
            reset=self.reset,
            pool=self.pool,
            project=self.project,
        )

    def _readings(self, study_dir: Path) -> list[Reading]:
        """Every network by name; the trained one is only measured where twins are asked for."""
        paths = self._folders(study_dir)
        if steps := self._steps():
            return [Reading(step, self._maker(nets.trained, path)) for step, path in zip(steps, paths, strict=True)]
        trained = Reading("trained", self._maker(self._trained, paths[0]), kept=not self.seeds)
        if self.order == "shuffled":
            own = [Reading(f"seed{seed}", trained.make, order=seed) for seed in self.seeds]
        else:
            own = [Reading(f"seed{s}", self._maker(_MADE[self.weights], paths[0], s)) for s in self.seeds]
        return [trained, *own] if folders.weight_files(paths[0]) else own

    def _trained(self, folder: Path) -> nets.Network:
        return nets.check_expected(nets.trained(folder), self.sha256, folder)

    def _maker(self, make: Callable[..., nets.Network], *arguments: Path | int) -> Callable[[], nets.Network]:
        place = partial(nets.place, dtype=self.dtype, device=self.device)
        return lambda: place(make(*arguments))
