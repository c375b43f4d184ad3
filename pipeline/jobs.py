"""A job of the workflow, and the files of a study that jobs read."""

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from pipeline import arrays, maps
from pipeline.config import Plan, Study, component
from pipeline.layout import Layout
from pipeline.problems import Problem, StudyError
from pipeline.runs import Run
from pipeline.settings import as_json

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
    tables: tuple[str, ...] = ()
    left_out: tuple[str, ...] = ()
    subjects: tuple[str, ...] = ()
    threads: int = 1

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

    def targets_file(self) -> list[str]:
        """The name of the table of targets, where there is one."""
        path = self.dataset.targets_file(self.out.root)
        return [path.relative_to(self.folder).as_posix()] if path else []

    def record(self, stage: str, *paths: Path, **named: Path | str) -> dict[str, Any]:
        """What `arrays.save` wants to know: outputs by their place in the study, inputs by their place in the data set."""
        inputs: dict[str, Path | str] = {self.out.name(path): path for path in paths}
        return {"stage": stage, "settings": self.settings, "inputs": inputs | named}

    def external(self, *names: str) -> dict[str, Path]:
        """Files of the data set, by their place in it."""
        return {f"dataset:{name}": self.folder / name for name in names if (self.folder / name).is_file()}


def load_words(path: Path) -> "pd.DataFrame":
    """A table that `words` or `events` wrote."""
    from pipeline.words import TEXT

    return arrays.load_table(path, text=(*TEXT, "trial_type"))


TABLE_TEXT = (
    "subject",
    "seed",
    "step",
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
    shared += [out.events(label) for label, run in plan.stimuli().items() if run.events and study.reads_events()]
    shared += [out.activations(model, run) for model in study.models for run in plan.stimuli()]
    own = []
    for which in plan.runs:
        own += [out.recording(*which, run) for run in plan.labels(*which)]
        own += [out.scores(*which, model) for model in study.models]
        own += [out.ceiling(*which), out.layers(*which), out.comparison(*which), out.blocks(*which)]
        own += [out.lags(*which)] if study.scans(which[1]) else []
        own += [out.ledger(*which)]
        own += [out.tests(*which), out.certificate(*which)]
        own += [out.partition(*which)] if study.partitioned() else []
        own += courses_of(study, out, which)
        own += maps_of(study, out, which, plan.runs[which][0])
    pages = [out.subject_page(subject) for subject in plan.subjects]
    grouped = GROUP_COURSES if in_time(study, plan) else ()
    grouped += (GROUP_PARTITION,) if study.partitioned() else ()
    return made + shared + own + pages + [out.top(name) for name in (*TOP_FILES, *grouped)]


def courses_of(study: Study, out: Layout, which: tuple[str, str]) -> list[Path]:
    """The time courses of one subject's recording and what is made of them; none where it is not resolved in time."""
    if not study.in_time(which[1]):
        return []
    found = [out.latencies(*which), out.peaks(*which), out.clusters(*which), out.courses(*which)]
    found += [out.passive(*which)] if study.passive_of(which[1]) else []
    return found + ([out.beside(*which)] if study.beside_of(which[1]) else [])


def in_time(study: Study, plan: Plan) -> list[tuple[str, str]]:
    """The subjects and recordings that have time courses."""
    return [which for which in plan.runs if study.in_time(which[1])]


def maps_of(study: Study, out: Layout, which: tuple[str, str], run: Run) -> list[Path]:
    """The maps of one subject's recording, and their sidecars; none where targets have no place in the brain."""
    subject, recording = which
    ceilings = [kind for kind in study.ceiling.kinds if kind != "none"]
    folder = study.dataset.folder(out.root)
    names = (
        maps.names(subject, recording, run, list(study.models), ceilings, folder) if study.maps_of(recording) else []
    )
    return [out.map(subject, name) for name in names]


GROUP_PARTITION = "group_partition.tsv"
PARTITION_TEXT = (*TABLE_TEXT, "part", "unit")
GROUP_COURSES = ("group_latencies.tsv", "group_clusters.tsv")
TOP_FILES = (
    "group_layers.tsv", "group_comparison.tsv", "group.html", "index.html", "methods.md",
    "dataset_description.json", "manifest.json",
)  # fmt: skip


def stale(study: Study, out: Layout, left_out: tuple[str, ...] = ()) -> tuple[Path, ...]:
    """Outputs that were made under other settings than the study's now, by their own records.

    Snakemake remembers settings in the folder it was started in; started
    elsewhere it would take old files for current ones.
    """
    plan = study.plan(out.root, left_out)
    wanted = [(out.words(run), study.for_stage("words")) for run in plan.stimuli()]
    for model in study.models:
        settings = study.for_stage("activate", model=model)
        wanted += [(out.activations(model, run), settings) for run in plan.stimuli()]
    for subject, recording in plan.runs:
        wanted += _wanted_of(study, plan, out, subject, recording)
    return tuple(path for path, settings in wanted if path.exists() and _other_settings(path, settings))


def _wanted_of(
    study: Study, plan: Plan, out: Layout, subject: str, recording: str
) -> list[tuple[Path, dict[str, Any]]]:
    whose = subject, recording
    of_stage = {
        stage: study.for_stage(stage, recording=recording) for stage in ("clean", "encode", "ceiling", "compare")
    }
    of_stage["ceiling"] = study.for_stage("ceiling", recording=recording, people=plan.people(recording))
    found = [(out.recording(*whose, run), of_stage["clean"]) for run in plan.labels(*whose)]
    found += [(out.ledger(*whose), of_stage["ceiling"])]
    found += [(out.scores(*whose, model), of_stage["encode"]) for model in study.models]
    found += [(out.lags(*whose), study.for_stage("lags", recording=recording))] if study.scans(recording) else []
    settings = study.for_stage("certify", recording=recording)
    found += [(path, settings) for path in (out.tests(*whose), out.certificate(*whose))]
    settings = study.for_stage("partition", recording=recording)
    found += [(out.partition(*whose), settings)] if study.partitioned() else []
    for path in courses_of(study, out, whose):
        stage = {out.passive(*whose): "passive", out.beside(*whose): "beside"}.get(path, "latencies")
        found.append((path, study.for_stage(stage, recording=recording)))
    settings = study.for_stage("maps", recording=recording)
    found += [(path, settings) for path in maps_of(study, out, whose, plan.runs[whose][0])]
    return [*found, (out.ceiling(*whose), of_stage["ceiling"]), (out.layers(*whose), of_stage["compare"])]


def _other_settings(path: Path, settings: dict[str, Any]) -> bool:
    made_by = arrays.read_record(path).get("made_by", {})
    return as_json(made_by.get("settings", {})) != as_json(settings)


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
