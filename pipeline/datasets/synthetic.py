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
        import pandas as pd

        from pipeline.datasets.simulate import presentations

        labels = [f"story{i + 1}" for i in range(self.stories + 1)]
        frame = pd.concat(
            [presentations(p, labels, self.test_repeats, self.tr_s) for p in self.people], ignore_index=True
        )
        return frame.assign(**{c: "" for c in OPTIONAL if c not in frame.columns})

    def targets_file(self, study_dir: Path) -> Path:
        return self.folder(study_dir) / "targets.tsv"  # there once the workflow has made it

    def targets(self, study_dir: Path) -> "pd.DataFrame":
        from pipeline.tables import read_text_table

        return read_text_table(self.targets_file(study_dir), name="targets.tsv")

    def recording_files(self, study_dir: Path) -> list[Path]:
        folder, rows = self.folder(study_dir), self._rows()
        images = [*rows["responses"], *rows["mask"]]
        sidecars = [name.replace(".nii.gz", ".json") for name in rows["responses"]]
        tables = ["runs.tsv", "targets.tsv", "truth.tsv", *rows["words"]]
        return [folder / name for name in dict.fromkeys([*tables, *images, *sidecars])]

    def model_files(self, study_dir: Path) -> list[Path]:
        folders = [*(f"step{step}" for step in self.checkpoints), "final"]
        return [self.folder(study_dir) / "language_model" / f / name for f in folders for name in _OF_A_CHECKPOINT]

    def simulate(self, study_dir: Path) -> None:
        """Write the recordings, words and tables."""
        from pipeline.datasets.simulate import simulate

        simulate(
            self.folder(study_dir), subjects=self.people, stories=self.stories, story_s=self.story_s,
            test_repeats=self.test_repeats, tr_s=self.tr_s, seed=self.seed,
        )  # fmt: skip

    def train(self, study_dir: Path) -> None:
        """Train the language model and keep its checkpoints."""
        from pipeline.datasets.tinymodel import train

        train(self.folder(study_dir), seed=self.seed, steps=self.train_steps, keep=self.checkpoints)
