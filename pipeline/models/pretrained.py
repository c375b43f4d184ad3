"""What every model made of someone's weights has in common: where they are, and whether they can be trusted."""

from pathlib import Path
from typing import Any, Literal

from pydantic import Field, NonNegativeInt, PositiveInt

from pipeline.models import folder as folders
from pipeline.models.base import Model
from pipeline.models.refusals import unfit
from pipeline.models.stretches import Unit
from pipeline.problems import Problem, StudyError


class Pretrained(Model):
    """A model whose config, weights and tokenizer lie in a folder, or in the hub's local cache."""

    name: str = Field(min_length=1, description="hub id in the local cache, or a directory; may hold ${NAME}")
    tokenizer: str = Field("", description="hub id or directory; empty: beside the weights")
    revision: str = Field("", description="commit, tag or branch of a hub id; empty: the one that was fetched last")
    sha256: str = Field("", description="hash the trained weights must have (fact weights_sha256); empty: any")

    def problems(self, study_dir: Path) -> list[Problem]:
        """Files, headers and numbers that do not fit; nothing is loaded."""
        found: list[Problem] = []
        try:
            paths = self._folders(study_dir)
            for folder in paths:
                found += folders.folder_problems(folder, needs_weights=self._needs_weights())
            tokenizer = self._tokenizer(study_dir)
        except StudyError as error:
            return [*found, *error.problems]
        if any(problem.code == "E-MODEL-12" for problem in found):  # an unreadable config
            return found
        for folder in paths:
            found += [*self._numbers(folder), *folders.tokenizer_problems(tokenizer, folder)]
        return list(dict.fromkeys(found))

    def files(self, study_dir: Path) -> list[Path]:
        """Config, weights and tokenizer."""
        found: list[Path] = []
        for folder in self._folders(study_dir):
            found += [folder / "config.json", *folders.weight_files(folder)]
        return [*found, *folders.tokenizer_files(self._tokenizer(study_dir))]

    def _folders(self, study_dir: Path) -> list[Path]:
        """Where the networks lie: one, or one for every checkpoint."""
        return [folders.locate(self.name, study_dir, revision=self.revision)]

    def _folder(self, study_dir: Path) -> Path:
        return self._folders(study_dir)[0]

    def _tokenizer(self, study_dir: Path) -> Path:
        if not self.tokenizer:
            return self._folder(study_dir)
        return folders.locate(self.tokenizer, study_dir, field="tokenizer")

    def _needs_weights(self) -> bool:
        """Does it read weights, or make its own from the config alone?"""
        return True

    def _numbers(self, folder: Path) -> list[Problem]:
        """Settings that do not fit the config."""
        return []

    def _load_tokenizer(self, study_dir: Path) -> Any:
        from pipeline.models.weights import load_tokenizer

        return load_tokenizer(self._tokenizer(study_dir))


class Contextual(Pretrained):
    """One that reads each word after the words before it."""

    context: PositiveInt | None = Field(
        None, description="tokens in a window, special ones included; null: as many as the model can read"
    )
    min_context: NonNegativeInt | None = Field(
        None, description="tokens read before a word in all but the first window; null: half the context"
    )
    reset: Unit = Field("run", description="where the context starts anew; a column of the words table, or the run")
    across_folds: bool = Field(
        False,
        description="permit a context that reaches from training into test samples of one run (split: contiguous)",
    )
    dtype: Literal["float32", "bfloat16", "float16"] = Field(
        "float32", description="precision of the pass; float16 overflows in some models, features are stored as float32"
    )
    device: Literal["cpu", "cuda"] = Field("cpu", description="where the pass runs")

    def _numbers(self, folder: Path) -> list[Problem]:
        """Does the context fit the config?"""
        longest = folders.longest_context(folders.read_config(folder))
        found = []
        if self.context is None and longest is None:
            found.append(unfit("context", "null", "a number", "this family has no limit of its own: choose one"))
        if self.context and longest and self.context > longest:
            found.append(unfit("context", self.context, f"at most {longest}", "positions beyond were never trained"))
        return [problem._replace(file=str(folder / "config.json")) for problem in found]

    def _window(self, folder: Path) -> int:
        """Tokens read together."""
        return self.context or folders.longest_context(folders.read_config(folder)) or 0
