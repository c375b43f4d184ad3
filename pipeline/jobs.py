"""A job of the workflow, and the files of a study that jobs read."""

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from pipeline import arrays
from pipeline.config import Study, component
from pipeline.layout import Layout
from pipeline.problems import Problem, StudyError
from pipeline.runs import Run

if TYPE_CHECKING:
    import pandas as pd
    import xarray as xr


class Job(NamedTuple):
    """What a rule hands to its stage: where the study lies, the stage's settings, and whose turn it is."""

    out: Layout
    settings: dict[str, Any]
    subject: str = ""
    recording: str = ""
    model: str = ""
    runs: tuple[str, ...] = ()
    left_out: tuple[str, ...] = ()
    subjects: tuple[str, ...] = ()

    @property
    def dataset(self) -> Any:
        return component("dataset", self.settings["dataset"])

    @property
    def folder(self) -> Path:
        return self.dataset.folder(self.out.root)

    def own_runs(self) -> list[Run]:
        """The subject's runs of this recording."""
        whose = (self.subject, self.recording)
        return [run for run in self.dataset.runs(self.out.root) if (run.subject, run.recording) == whose]

    def record(self, stage: str, *paths: Path, **named: Path | str) -> dict[str, Any]:
        """What `arrays.save` wants to know: outputs by their place in the study, inputs by their place in the data set."""
        inputs: dict[str, Path | str] = {self.out.name(path): path for path in paths}
        return {"stage": stage, "settings": self.settings, "inputs": inputs | named}

    def external(self, *names: str) -> dict[str, Path]:
        """Files of the data set, by their place in it."""
        return {f"dataset:{name}": self.folder / name for name in names if name}


def load_words(path: Path) -> "pd.DataFrame":
    """A table that `words` wrote."""
    from pipeline.datasets.words import TEXT

    return arrays.load_table(path, text=TEXT)


TABLE_TEXT = (
    "subject",
    "seed",
    "layer",
    "roi",
    "model",
    "weights",
    "chosen",
    "ceiling_kind",
    "a",
    "b",
    "layer_a",
    "layer_b",
    "recording",
)


def load_tables(job: Job, which: Iterable[tuple[str, str]]) -> tuple["pd.DataFrame", "pd.DataFrame", list[Path]]:
    """The layer tables and contrasts of several (subject, recording), one below the other."""
    import pandas as pd

    which = list(which)
    layers, contrasts = [job.out.layers(*w) for w in which], [job.out.comparison(*w) for w in which]
    tables = [
        pd.concat([arrays.load_table(p, text=TABLE_TEXT) for p in paths], ignore_index=True)
        for paths in (layers, contrasts)
    ]
    return tables[0], tables[1], layers + contrasts


def expected(study: Study, out: Layout, left_out: tuple[str, ...] = ()) -> list[Path]:
    """Every file that a finished study has."""
    plan = study.plan(out.root, left_out)
    made = [*study.dataset.recording_files(out.root), *study.dataset.model_files(out.root)]
    shared = [out.words(run) for run in plan.stimuli()]
    shared += [out.activations(model, run) for model in study.models for run in plan.stimuli()]
    own = []
    for which in plan.runs:
        own += [out.recording(*which, run) for run in plan.labels(*which)]
        own += [out.scores(*which, model) for model in study.models]
        own += [out.ceiling(*which), out.layers(*which), out.comparison(*which)]
    pages = [out.subject_page(subject) for subject in plan.subjects]
    return made + shared + own + pages + [out.top(name) for name in TOP_FILES]


TOP_FILES = (
    "group_layers.tsv", "group_comparison.tsv", "group.html", "index.html", "methods.md",
    "dataset_description.json", "manifest.json",
)  # fmt: skip


def states(study: Study, out: Layout) -> dict[str, str]:
    """Each file of a study: `done` (and verified), `missing`, or `changed` since it was written."""
    found = {}
    for path in expected(study, out):
        try:
            arrays.verify(path)
            found[out.name(path)] = "done"
        except StudyError:
            found[out.name(path)] = "changed" if path.exists() else "missing"
    return found


def warnings_of(ds: "xr.Dataset") -> list[Problem]:
    """The warnings that travelled with a clean recording."""
    return [Problem(**told) for told in arrays.attribute(ds, "warnings")]
