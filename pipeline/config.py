"""One study, whole: read, checked, and cut into the settings of each stage."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

import yaml
from pydantic import BeforeValidator, Field, NonNegativeInt, ValidationError, model_validator

from pipeline.analyses import Analyses, Partition
from pipeline.comparison import CERTIFYING, Comparison
from pipeline.datasets import DATASETS, Dataset
from pipeline.encoding import Encoding
from pipeline.models import MODELS, Model
from pipeline.normalisation import Ceiling
from pipeline.plan import Plan
from pipeline.problems import StudyError
from pipeline.recordings import RECORDINGS, Recording
from pipeline.runs import Run
from pipeline.settings import (
    Label,
    Settings,
    Source,
    build,
    dotted,
    expand,
    explain,
    one_of,
    plain,
    read_yaml,
    told,
)

SECTIONS = {"encoding": Encoding, "ceiling": Ceiling, "comparison": Comparison}


def _bare(subject: Any) -> Any:
    return subject.removeprefix("sub-") if isinstance(subject, str) else subject


def _subjects(value: Any) -> Any:
    return [] if value == "all" else value


Subject = Annotated[Label, BeforeValidator(_bare)]


class Report(Settings):
    """What the pages show."""

    version: ClassVar[int] = 4
    lag_scan: str = Field(
        "auto",
        description="model whose score is shown at every single lag from -20 to +20 s, or `none`; by default the first "
        "network with trained weights, else the first model",
    )
    alignment_roi: str | None = Field(
        None, description="region whose mean response is held against the words; by default the strongest components"
    )
    show_text: Literal["none", "snippet"] = Field(
        "snippet", description="words of the stimulus on the pages: none, or the first 15 s of one run"
    )


class Study(Settings):
    """How much of what these recordings say about language do these models explain?"""

    version: ClassVar[int] = 1
    study: Label = Field(description="label of the study; names its output folder")
    on_error: Literal["continue", "stop"] = Field("continue", description="whether other subjects go on when one fails")
    allow_download: bool = Field(
        False, description="permit fetching models from the hub; refused for now: fetch them yourself"
    )
    dataset: one_of(DATASETS) = Field(description="where words and recordings come from")  # type: ignore[valid-type]
    subjects: Annotated[tuple[Subject, ...], BeforeValidator(_subjects)] = Field(
        (), description="labels of the people to analyse, or `all`"
    )
    recordings: dict[Label, one_of(RECORDINGS)] = Field(
        min_length=1, description="label in runs.tsv -> how it is cleaned and laid beside the words"
    )  # type: ignore[valid-type]
    models: dict[Label, one_of(MODELS)] = Field(min_length=1, description="label -> language model or control")  # type: ignore[valid-type]
    encoding: Encoding = Field(default_factory=Encoding, description="how the linear maps are fitted and tested")
    ceiling: Ceiling = Field(default_factory=Ceiling, description="how well any model could do")
    comparison: Comparison = Field(default_factory=Comparison, description="what is held against what")
    analyses: Analyses = Field(default_factory=Analyses, description="what is asked beyond the scores")
    report: Report = Field(default_factory=Report, description="what the pages show")
    seed: NonNegativeInt = Field(0, description="of the draws of ceilings, intervals, tests and shuffled splits")

    @model_validator(mode="after")
    def _consistent(self) -> "Study":
        if self.allow_download:
            raise ValueError(
                "allow_download: nothing is fetched yet; fetch the model yourself (hf download NAME) and leave this out"
            )
        for pair in self.comparison.contrasts or ():
            if unknown := [m for m in pair if m not in self.models]:
                raise ValueError(
                    f"comparison.contrasts name {unknown[0]!r}, which is not among the models: {', '.join(self.models)}"
                )
        for label, model in self.models.items():
            if self.encoding.split == "contiguous" and _reads_across(model):
                raise ValueError(
                    f"models.{label}: split 'contiguous' tests parts of a run, and this model's context reaches across "
                    "their borders; split by runs, reset the context (reset: sentence), or say across_folds: true"
                )
        for label in self.recordings:
            if unknown := [m for m in self.passive_of(label) if m not in self.models]:
                raise ValueError(
                    f"recordings.{label}.passive names {unknown[0]!r}, which is not among the models: {', '.join(self.models)}"
                )
            if self.passive_of(label) and self.by_delay(label):
                raise ValueError(
                    f"recordings.{label}.passive is for epochs around words: moments of the continuous form are before one "
                    "word and after another; say form: epochs, or leave it out"
                )
            if self.passive_of(label) and not self.predicting(label):
                raise ValueError(
                    f"recordings.{label}.passive names every model, and none is left to predict them; name fewer"
                )
            if unknown := [m for m in self.beside_of(label) if m not in self.models or m in self.trained()]:
                raise ValueError(
                    f"recordings.{label}.beside names {unknown[0]!r}, which is no control among the models: "
                    f"{', '.join(m for m in self.models if m not in self.trained())}"
                )
            if self.beside_of(label) and not self.trained():
                raise ValueError(f"recordings.{label}.beside: there is no trained model for controls to stand beside")
        self.partitioned()
        if self.report.lag_scan not in ("auto", "none", *self.models):
            raise ValueError(
                f"report.lag_scan names {self.report.lag_scan!r}; known: auto, none, {', '.join(self.models)}"
            )
        if self.comparison.certify not in ("auto", *self.models):
            raise ValueError(
                f"comparison.certify names {self.comparison.certify!r}; known: auto, {', '.join(self.models)}"
            )
        for what, labels in (("subjects", self.subjects), ("models", self.models), ("recordings", self.recordings)):
            lower = [label.lower() for label in labels]
            if len(set(lower)) < len(lower):
                twice = sorted(label for label in labels if lower.count(label.lower()) > 1)
                raise ValueError(f"{what} {twice} are the same label but for case, or twice; rename one")
        return self

    @classmethod
    def from_yaml(cls, path: Path, changes: tuple[str, ...] = ()) -> "Study":
        """Read and check a study; `changes` are `key.of.it=value` and win over the file."""
        source = _with_base(path, ())
        for change in changes:
            _apply(change, source)
        try:
            return cls.model_validate(source.data)
        except ValidationError as error:
            raise StudyError(told(path, explain(error, cls, source))) from None

    @classmethod
    def from_told(cls, told: dict[str, Any]) -> "Study":
        """The study that `told` wrote down."""
        return cls.model_validate(without_versions(told))

    def for_stage(
        self, stage: str, *, recording: str = "", model: str = "", people: Sequence[str] = ()
    ) -> dict[str, Any]:
        """The settings that change the results of a stage, and no others.

        `people` are those whose recording of the same label exists.
        """
        found: dict[str, Any] = {"seed": self.seed} if stage in ("ceiling", "compare", "group") else {}
        if stage in (*_FITTING, "simulate", "words", "events", "clean", "ceiling", "report"):
            found["dataset"] = self.dataset.dump()
        if stage == "clean":
            found["recording"] = self.recordings[recording].for_clean()
        if stage in _FITTING:
            found["seed"] = self.seed if self.leaky() else 0  # only a shuffled split draws
            found |= {"recording": self.recordings[recording].for_design(), "encoding": self.encoding.dump()}
        if stage == "lags":
            found["model"] = self.scanned()
        if stage in ("latencies", "passive", "beside"):
            found |= {"comparison": self.comparison.dump(without=CERTIFYING), "weights": list(self.weights().items())}
            found["draws"] = self.seed  # of intervals and tests; the fits have their own
        if stage == "passive":
            found |= {"passive": list(self.passive_of(recording)), "models": list(self.predicting(recording))}
        if stage == "beside":
            found |= {"beside": list(self.beside_of(recording)), "models": list(self.trained())}
        if stage == "certify":
            own = {*CERTIFYING, "permutations", "fdr", "version"}
            found["comparison"] = {key: value for key, value in self.comparison.dump().items() if key in own}
            found["draws"] = self.seed  # of surrogates, nulls and intervals
            found |= {"model": self.certified(), "lags": self.scans(recording)}
        if stage == "partition" and self.analyses.partition:
            found |= {
                "partition": self.analyses.partition.dump(),
                "groups": [[name, list(labels)] for name, labels in self.partitioned().items()],
                "draws": self.seed,
            }
            found |= {"permutations": self.comparison.permutations, "rois": self.comparison.rois}
        if stage == "activate":
            found["model"] = self.models[model].dump()
            found |= {"dataset": self.dataset.dump()} if self.models[model].reads != "words" else {}
        if stage == "ceiling":
            found |= {
                "ceiling": self.ceiling.dump(),
                "trim_s": list(self.encoding.trim_s),
                "split": self.encoding.split,
            }
        if stage == "ceiling" and self.ceiling.between:
            found |= {"recording": self.recordings[recording].for_people(), "encoding": self.encoding.dump()}
            found["people"] = list(people)
        if stage == "maps":
            found |= {"dataset": self.dataset.dump(), "weights": list(self.weights().items())}
        if stage in ("compare", "group"):
            found |= {"comparison": self.comparison.dump(without=CERTIFYING), "weights": list(self.weights().items())}
        if stage in ("report", "group", "finish"):
            found["study"] = self.told()
        return found

    def plan(self, study_dir: Path, left_out: tuple[str, ...] = ()) -> Plan:
        """The runs of the study's people and recordings that exist, without the people left out."""
        runs = self.dataset.runs(study_dir)
        wanted = self.subjects or tuple(run.subject for run in runs)
        found: dict[tuple[str, str], list[Run]] = {}
        for subject in sorted(set(wanted) - set(left_out)):
            for recording in self.recordings:
                if mine := [run for run in runs if (run.subject, run.recording) == (subject, recording)]:
                    found[subject, recording] = mine
        return Plan(found)

    def trained_here(self, model: str, study_dir: Path) -> list[Path]:
        """The files of a model that the study itself trains; none where it lies there already."""
        names = getattr(self.models[model], "name", "") or ()
        folders = {Path(expand(name, study_dir)) for name in ([names] if isinstance(names, str) else names)}
        made = self.dataset.model_files(study_dir) if folders else []
        return [path for path in made if path.parent in folders]

    def maps_of(self, recording: str) -> bool:
        """Do the targets of a recording lie in the brain, so that maps can be drawn?"""
        return self.recordings[recording].has_places

    def reads_events(self) -> bool:
        """Does any model read events?"""
        return any(model.reads == "events" for model in self.models.values())

    def realigns(self, plan: Plan) -> bool:
        """Are images realigned here, volume by volume?"""
        return any(self.recordings[label].realigned(runs[0]) for (_, label), runs in plan.runs.items())

    def scanned(self) -> str:
        """The model of the lag scan; empty where there is none."""
        if self.report.lag_scan != "auto":
            return "" if self.report.lag_scan == "none" else self.report.lag_scan
        # a state is laid beside the samples without delays: it has no lag to scan
        moved = {label: w for label, w in self.weights().items() if self.models[label].sampled == "event"}
        return next((label for label, w in moved.items() if w == "trained"), next(iter(moved), ""))

    def certified(self) -> str:
        """The model whose targets are tested one by one, and with which the study certifies itself."""
        if self.comparison.certify != "auto":
            return self.comparison.certify
        return next(iter((*self.trained(), *self.models)))

    def scans(self, recording: str) -> bool:
        """Is there a lag scan of this recording? Not where every lag is a target of its own."""
        return bool(self.scanned()) and self.recordings[recording].scans_lags

    def in_time(self, recording: str) -> bool:
        """Is a recording resolved in time, so that its scores have a time course?"""
        return not self.recordings[recording].scans_lags

    def by_delay(self, recording: str) -> bool:
        """Is the time course of a recording one over delays, for which models are fitted again?"""
        return self.in_time(recording) and getattr(self.recordings[recording], "form", "") == "continuous"

    def passive_of(self, recording: str) -> tuple[str, ...]:
        """The models whose features also stand in the place of the brain."""
        return tuple(getattr(self.recordings[recording], "passive", ()))

    def beside_of(self, recording: str) -> tuple[str, ...]:
        """The controls that stand beside each trained model of a recording."""
        return tuple(getattr(self.recordings[recording], "beside", ()))

    def trained(self) -> tuple[str, ...]:
        """The models with trained weights."""
        return tuple(label for label, w in self.weights().items() if w == "trained")

    def partitioned(self) -> dict[str, tuple[str, ...]]:
        """The groups of features whose parts are told, the model's own first; none where it is not asked."""
        asked = self.analyses.partition
        return asked.groups_of(self.weights(), {label: m.kind for label, m in self.models.items()}) if asked else {}

    def predicting(self, recording: str) -> tuple[str, ...]:
        """The models that a passive target is predicted from: the trained ones, else all others."""
        return self.trained() or tuple(label for label in self.models if label not in self.passive_of(recording))

    def weights(self) -> dict[str, str]:
        """Model -> trained, random, shuffled, spectrum, shuffledwords, or empty for a control."""
        return {label: _weights_of(model) for label, model in self.models.items()}

    def told(self) -> dict[str, Any]:
        """The whole study as JSON, defaults filled in, each component with its version."""
        whole = self.dump()
        whole["dataset"] = self.dataset.dump()
        for name in ("recordings", "models"):
            whole[name] = {label: part.dump() for label, part in getattr(self, name).items()}
        return whole | {name: getattr(self, name).dump() for name in (*SECTIONS, "analyses", "report")}

    def leaky(self) -> bool:
        """Do neighbouring samples stand in training and test?"""
        return self.encoding.leaky


# stages that lay designs beside recordings
_FITTING = ("encode", "lags", "latencies", "passive", "beside", "certify", "partition")


def _reads_across(model: Model) -> bool:
    """Does what a word's features hold come from all of a run?"""
    return getattr(model, "reset", "") == "run" and not getattr(model, "across_folds", False)


def _weights_of(model: Model) -> str:
    if model.kind != "transformer":
        return ""
    return "shuffledwords" if getattr(model, "order", "") == "shuffled" else str(getattr(model, "weights", ""))


def without_versions(told: Any) -> Any:
    """Settings as a study file has them: without the versions of their components."""
    if isinstance(told, dict):
        return {key: without_versions(value) for key, value in told.items() if key != "version"}
    return told


def _with_base(path: Path, seen: tuple[Path, ...]) -> Source:
    """The file's data, over those of the study it `extends`."""
    if path.resolve() in seen:
        raise StudyError(told(path, [f"extends (line 1): {path.name} extends itself"]))
    source = read_yaml(path)
    base = source.data.pop("extends", None)
    if base is None:
        return source
    if not isinstance(base, str):
        raise StudyError(told(path, [f"extends (line {source.lines[('extends',)]}): {base!r} is no file name"]))
    below = _with_base(path.parent / base, (*seen, path.resolve()))
    return Source(_merged(below.data, source.data), below.lines | source.lines, below.texts | source.texts)


def _merged(below: dict[str, Any], above: dict[str, Any]) -> dict[str, Any]:
    result = dict(below)
    for key, value in above.items():
        under = below.get(key)
        if value is None and isinstance(under, dict) and "kind" in under:
            del result[key]  # `oasm: null` is all of the other study's models but this one
            continue
        # another kind is another component: its settings do not mix with the old one's
        mixes = (
            isinstance(under, dict)
            and isinstance(value, dict)
            and value.get("kind", under.get("kind")) == under.get("kind")
        )
        result[key] = _merged(under, value) if mixes else value
    return result


def _apply(change: str, source: Source) -> None:
    key, sign, text = change.partition("=")
    try:
        node = yaml.compose(text, Loader=yaml.SafeLoader)
        data, steps = source.data, tuple(key.strip().split("."))
        for step in steps[:-1]:
            data = data.setdefault(step, {})
        if not sign or not key.strip() or not isinstance(data, dict):
            raise ValueError("it must read KEY=VALUE, such as encoding.folds=4")
        value = plain(node, steps, source) if node is not None else None
        data[steps[-1]] = value
    except (ValueError, AttributeError, yaml.YAMLError) as error:
        raise StudyError(told("--set", [f"{dotted((change,))}: {error}"])) from None


def component(section: str, settings: dict[str, Any]) -> Any:
    """The component that travelled as JSON in a job's settings."""
    tables: dict[str, dict[str, Any]] = {"dataset": DATASETS, "recording": RECORDINGS, "model": MODELS}
    if section in tables:
        return build(tables[section], settings)
    return {**SECTIONS, "partition": Partition}[section].model_validate(
        {k: v for k, v in settings.items() if k != "version"}
    )


def schema() -> str:
    """The JSON schema of a study, for editors."""
    described = Study.model_json_schema()
    described["properties"]["extends"] = {
        "type": "string",
        "description": "another study whose settings this one starts from",
    }
    described["properties"]["subjects"] = {
        "anyOf": [{"const": "all"}, described["properties"]["subjects"]],
        "description": "labels of the people to analyse, or `all`",
    }
    return (
        json.dumps(
            {"$schema": "https://json-schema.org/draft/2020-12/schema"} | described, indent=1, ensure_ascii=False
        )
        + "\n"
    )


__all__ = ["Dataset", "Model", "Plan", "Recording", "Study", "component", "schema"]
