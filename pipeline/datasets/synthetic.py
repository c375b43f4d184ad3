"""A study with known truth, made by the workflow itself: simulated listeners and a model trained on their language."""

from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Literal

from pydantic import Field, PositiveFloat, PositiveInt

from pipeline.datasets.base import Dataset
from pipeline.datasets.manifest import OPTIONAL, grouped
from pipeline.runs import Run
from pipeline.settings import Label

if TYPE_CHECKING:
    import pandas as pd

    from pipeline.datasets.simulate_meg import Listeners

_OF_A_CHECKPOINT = (
    "config.json",
    "generation_config.json",
    "model.safetensors",
    "tokenizer.json",
    "tokenizer_config.json",
)


class Synthetic(Dataset):
    """People who heard stories in a made-up language, and a small language model trained on it.

    The files lie in `${STUDY}/simulated`; checkpoints of the model in
    `${STUDY}/simulated/language_model/step0` ... `final`.
    """

    version: ClassVar[int] = 2
    made_here: ClassVar[bool] = True
    kind: Literal["synthetic"] = "synthetic"
    people: tuple[Label, ...] = Field(("01", "02"), min_length=1, description="labels of the simulated listeners")
    stories: PositiveInt = Field(7, description="training stories, heard once")
    story_s: PositiveFloat = Field(270.0, description="s; length of each story")
    test_repeats: PositiveInt = Field(5, description="presentations of the test story")
    meg_people: tuple[Label, ...] = Field(
        (), description="labels of the listeners in the simulated MEG scanner, recording `meg`"
    )
    meg_stories: PositiveInt = Field(4, description="training stories heard there, the first ones; and the test story")
    meg_test_repeats: PositiveInt = Field(2, description="presentations of the test story there")
    meg_every: PositiveInt = Field(2, description="every so manyth of the 102 magnetometers is recorded")
    tr_s: PositiveFloat = Field(2.0, description="s between volumes")
    train_steps: PositiveInt = Field(600, description="training steps of the language model")
    checkpoints: tuple[int, ...] = Field(
        (0, 50, 200), description="steps after which the model is kept, besides the last"
    )
    seed: int = Field(0, ge=0, description="of the stories, the listeners and the model")

    def folder(self, study_dir: Path) -> Path:
        return study_dir / "simulated"

    def runs(self, study_dir: Path) -> list[Run]:
        return grouped(self._rows())

    def _rows(self) -> "pd.DataFrame":
        from pipeline.datasets.simulate import rows_of

        labels = [f"story{i + 1}" for i in range(self.stories + 1)]
        frame = rows_of(labels, self.people, self.test_repeats, self.tr_s, self._in_meg()).astype(object)
        return frame.where(frame.notna(), "").assign(**{c: "" for c in OPTIONAL if c not in frame.columns})

    def _in_meg(self) -> "Listeners":
        from pipeline.datasets.simulate_meg import Listeners, Scanner

        return Listeners(self.meg_people, self.meg_stories, self.meg_test_repeats, Scanner(every=self.meg_every))

    def targets_file(self, study_dir: Path) -> Path:
        return self.folder(study_dir) / "targets.tsv"  # there once the workflow has made it

    def targets(self, study_dir: Path) -> "pd.DataFrame":
        from pipeline.tables import read_text_table

        return read_text_table(self.targets_file(study_dir), name="targets.tsv")

    def recording_files(self, study_dir: Path) -> list[Path]:
        folder, rows = self.folder(study_dir), self._rows()
        recorded = [*rows["responses"], *filter(None, rows["mask"])]
        sidecars = [name.replace(".nii.gz", ".json") for name in rows["responses"] if name.endswith(".nii.gz")]
        tables = ["runs.tsv", "targets.tsv", "truth.tsv", *rows["words"]]
        tables += ["truth_meg.tsv"] if self.meg_people else []
        return [folder / name for name in dict.fromkeys([*tables, *recorded, *sidecars])]

    def model_files(self, study_dir: Path) -> list[Path]:
        folders = [*(f"step{step}" for step in self.checkpoints), "final"]
        return [self.folder(study_dir) / "language_model" / f / name for f in folders for name in _OF_A_CHECKPOINT]

    def simulate(self, study_dir: Path) -> None:
        """Write the recordings, words and tables."""
        from pipeline.datasets.simulate import simulate

        simulate(
            self.folder(study_dir), subjects=self.people, stories=self.stories, story_s=self.story_s,
            test_repeats=self.test_repeats, tr_s=self.tr_s, seed=self.seed, meg=self._in_meg(),
        )  # fmt: skip

    def train(self, study_dir: Path) -> None:
        """Train the language model and keep its checkpoints."""
        from pipeline.datasets.tinymodel import train

        train(self.folder(study_dir), seed=self.seed, steps=self.train_steps, keep=self.checkpoints)
