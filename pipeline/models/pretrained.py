"""What every model made of someone's weights has in common: where they are, and whether they can be trusted."""

from pathlib import Path
from typing import Any

from pydantic import Field

from pipeline.models import folder as folders
from pipeline.models.base import Model
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
            folder = self._folder(study_dir)
            found += folders.folder_problems(folder, needs_weights=self._needs_weights())
            tokenizer = self._tokenizer(study_dir)
        except StudyError as error:
            return [*found, *error.problems]
        unreadable = any(problem.code == "E-MODEL-12" for problem in found)
        return found if unreadable else [*found, *self._numbers(folder), *folders.tokenizer_problems(tokenizer, folder)]

    def files(self, study_dir: Path) -> list[Path]:
        """Config, weights and tokenizer."""
        folder = self._folder(study_dir)
        tokenizer = folders.tokenizer_files(self._tokenizer(study_dir))
        return [folder / "config.json", *folders.weight_files(folder), *tokenizer]

    def _folder(self, study_dir: Path) -> Path:
        return folders.locate(self.name, study_dir, revision=self.revision)

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
