"""What a data set must tell: which recordings exist, and which words go with them."""

from abc import abstractmethod
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from pipeline.problems import Problem
from pipeline.runs import Run
from pipeline.settings import Settings

if TYPE_CHECKING:
    import pandas as pd


class Dataset(Settings):
    """Where recordings and words come from. Paths in a `Run` are relative to `folder`."""

    made_here: ClassVar[bool] = False  # True where the workflow itself simulates the files

    @abstractmethod
    def folder(self, study_dir: Path) -> Path:
        """The folder that holds the data."""

    @abstractmethod
    def runs(self, study_dir: Path) -> list[Run]:
        """Every run that exists, in the order of the data set."""

    def refresh(self, study_dir: Path) -> None:
        """Write down which runs exist, where finding them takes a while; nothing where a table tells it."""
        return None

    @abstractmethod
    def targets(self, study_dir: Path) -> "pd.DataFrame | None":
        """Names of the targets and their regions: columns `target` and `roi`; None where nobody named them."""

    def targets_file(self, study_dir: Path) -> Path | None:
        """The file behind `targets`, when there is one."""
        path = self.folder(study_dir) / "targets.tsv"
        return path if path.exists() else None

    def problems(self, study_dir: Path) -> list[Problem]:
        """What is wrong with the data set's own tables; the words and recordings are checked by their readers."""
        return []

    def made_by_fmriprep(self, study_dir: Path, subject: str) -> list[Path]:
        """The files of a person that the workflow lets fMRIPrep make; nothing unless the data set says how."""
        return []

    def recording_files(self, study_dir: Path) -> list[Path]:
        """What the workflow makes of recordings, words and tables before anything else; nothing for real data."""
        return []

    def model_files(self, study_dir: Path) -> list[Path]:
        """The language model that the workflow trains; nothing for real data."""
        return []
