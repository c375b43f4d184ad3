"""A BIDS data set, as it was recorded or as fMRIPrep or mne-bids-pipeline prepared it."""

import re
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal, NamedTuple

from pydantic import (
    BeforeValidator,
    Field,
    PositiveFloat,
    PositiveInt,
    StringConstraints,
    WithJsonSchema,
    field_validator,
    model_validator,
)

from pipeline import arrays
from pipeline.datasets.base import Dataset
from pipeline.datasets.bidsfiles import SENSED, File, Walked, look, walk
from pipeline.datasets.bidsmeg import only_datatype, raw_signals, signals
from pipeline.datasets.bidsrows import nothing, rows_of, splits
from pipeline.datasets.bidsruns import (
    Image,
    asked,
    chosen,
    files_of,
    from_root,
    no_derivatives,
    predicted,
    prepared_images,
    raw_images,
    unprepared,
)
from pipeline.datasets.bidsstimuli import PLACES, Stimuli
from pipeline.datasets.manifest import COLUMNS, alike_but_for_case, grouped, read_targets, uneven_confounds
from pipeline.problems import Problem, StudyError
from pipeline.runs import Run
from pipeline.settings import Label, Settings, as_json, expand

if TYPE_CHECKING:
    import pandas as pd


def _several(value: Any) -> Any:
    """One label stands for a list of one, and `task-story` for `story`."""
    values = [value] if isinstance(value, str) else value
    return (
        [re.sub("^(task|ses)-", "", v) if isinstance(v, str) else v for v in values]
        if isinstance(values, list)
        else values
    )


_OF_LABELS = {"anyOf": [{"type": "string"}, {"type": "array", "items": {"type": "string"}}]}
Labels = Annotated[tuple[Label, ...], BeforeValidator(_several), WithJsonSchema(_OF_LABELS)]

Datatype = Literal["func", "meg", "eeg", "ieeg"]
Proc = Annotated[str, StringConstraints(pattern=r"^(proc-)?[A-Za-z0-9]+(_[A-Za-z0-9]+)?$", max_length=50)]

_PLACE = re.compile(r"\{(.*?)\}")


class Scan(NamedTuple):
    """What a look at the data set found."""

    rows: list[dict[str, str]]  # as runs.tsv has them
    problems: list[Problem]


class Fmriprep(Settings):
    """How the workflow calls fMRIPrep's container."""

    container: str = Field(description="path of fMRIPrep's Apptainer image; may use ${NAME}")
    licence: str = Field(description="path of FreeSurfer's licence file; may use ${NAME}")
    output_spaces: tuple[str, ...] = Field(
        ("MNI152NLin2009cAsym:res-2",), min_length=1, description="as fMRIPrep's --output-spaces takes them"
    )
    options: tuple[str, ...] = Field((), description="further options of fMRIPrep, word by word")
    threads: PositiveInt = Field(8, description="processors of one person's job")
    mem_gb: PositiveFloat = Field(24.0, description="GB; memory of one person's job")


class Bids(Dataset):
    """A folder in BIDS form; runs are found by the entities in their names.

    With `derivatives`, recordings are those that fMRIPrep prepared, with their
    masks and confounds, or that mne-bids-pipeline filtered or cleaned; without,
    those that were taken. They are of one kind: that of `datatype`, or the only
    one there is. Words come from `events.tsv`, from `stimuli/`, or from where
    `words` says. One run label is one stimulus, recognised by its words
    wherever it was presented.
    """

    version: ClassVar[int] = 1
    kind: Literal["bids"] = "bids"
    root: str = Field(description="folder of the data set; may use ${NAME} and ${NAME:-default}")
    derivatives: str | None = Field(
        None,
        description="folder of the outputs of fMRIPrep or mne-bids-pipeline; none: images and signals as they were taken; may use ${NAME}",
    )
    datatype: Datatype | None = Field(None, description="kind of the recordings; none: the only one that is there")
    task: Labels = Field((), description="label or labels of the tasks; empty: every task with words or events")
    session: Labels = Field((), description="label or labels of the sessions; empty: all")
    space: Label | None = Field(
        None, description="space of the prepared images: MNI152NLin2009cAsym, T1w, fsaverage5, fsLR; func: their own"
    )
    res: Label | None = Field(None, description="res- or den- label of the prepared images; native: without one")
    proc: Proc | None = Field(
        None,
        description="processing of MEG, EEG or iEEG: a proc- label (clean, filt, sss), if need be with the kind (clean_epo, clean_raw, filt_raw)",
    )
    words: str | None = Field(
        None, description="where words are, below root, with {subject} {session} {task} {run} {stim}; none: found"
    )
    offset_s: float = Field(0.0, description="s; by how much words come later than the tables say")
    test: Labels = Field((), description="labels of runs or tasks that test, the others train; empty: unsaid")
    recording: Label | None = Field(
        None, description="label of the recording in the study; none: fmri, or the datatype (meg, eeg, ieeg)"
    )
    fmriprep: Fmriprep | None = Field(None, description="how fMRIPrep makes the derivatives that are not there yet")

    @field_validator("proc")
    @classmethod
    def _label(cls, proc: str | None) -> str | None:
        return proc and proc.removeprefix("proc-")

    @field_validator("words")
    @classmethod
    def _pattern(cls, words: str | None) -> str | None:
        unknown = [place for place in _PLACE.findall(words or "") if place not in PLACES]
        if unknown:
            raise ValueError(f"{{{unknown[0]}}} is not known; known: {', '.join(f'{{{p}}}' for p in PLACES)}")
        if words is not None and (PurePosixPath(words).is_absolute() or ".." in PurePosixPath(words).parts):
            raise ValueError("words lie below root: write the path as seen from there")
        return words

    @model_validator(mode="after")
    def _somewhere(self) -> "Bids":
        if self.fmriprep is not None and not self.derivatives:
            raise ValueError("fmriprep needs `derivatives`: the folder its outputs go to")
        of_images = next((name for name in ("space", "res", "fmriprep") if getattr(self, name) is not None), None)
        if of_images and self.datatype in SENSED:
            raise ValueError(f"{of_images} is for images, and datatype is {self.datatype}")
        if self.proc and (of_images or self.datatype == "func"):
            raise ValueError("proc is for MEG, EEG and iEEG; images are chosen by `space` and `res`")
        return self

    def dump(self, *, without: frozenset[str] = frozenset()) -> dict[str, Any]:
        """As always, without what the container may use of the machine: that changes no result."""
        told = super().dump(without=without)
        if told.get("fmriprep"):
            told["fmriprep"] = {k: v for k, v in told["fmriprep"].items() if k not in ("threads", "mem_gb")}
        return told

    def folder(self, study_dir: Path) -> Path:
        return Path(expand(self.root, study_dir))

    def derived(self, study_dir: Path) -> Path | None:
        """The folder of the prepared images."""
        return Path(expand(self.derivatives, study_dir)) if self.derivatives else None

    def runs(self, study_dir: Path) -> list[Run]:
        """The runs that exist: from the look that was taken in this process, from `runs.tsv`, or from a new look."""
        known = _SCANS.get(self._key(study_dir))
        table = None if known else self._written(study_dir)
        return grouped((known or self._scan(study_dir)).rows if table is None else table)

    def refresh(self, study_dir: Path) -> None:
        """Look at the data set anew and write `runs.tsv` where it is not what was found."""
        import pandas as pd

        rows = self._look(study_dir).rows
        if rows == self._written(study_dir):
            return
        frame = pd.DataFrame(rows, columns=list(COLUMNS))
        arrays.save_table(frame, study_dir / "runs.tsv", stage="runs", settings=self.dump(), inputs={})

    def targets(self, study_dir: Path) -> "pd.DataFrame | None":
        return read_targets(self.targets_file(study_dir))

    def problems(self, study_dir: Path) -> list[Problem]:
        return self._look(study_dir).problems

    def made_by_fmriprep(self, study_dir: Path, subject: str) -> list[Path]:
        """The files of a person that the study reads and fMRIPrep's container makes."""
        derived = self.derived(study_dir)
        if self.fmriprep is None or derived is None:
            return []
        files = asked(look(self.folder(study_dir), self.root).files, self.task, self.session)
        raw, _ = raw_images([f for f in files if f.subject == subject], combined=True)
        images, _ = self._images(study_dir, files, self._prepared(study_dir))
        read = [image for image in images if image.key in {r.key for r in raw}]
        return [derived / name for image in read for name in files_of(image)]

    def _predicted(self, image: Image) -> Image:
        spaces = self.fmriprep.output_spaces if self.fmriprep else ()
        space = next((s for s in spaces if self.space in (None, s.partition(":")[0])), self.space or "")
        return predicted(image, space, self.res)

    def _key(self, study_dir: Path) -> str:
        derived = self.derived(study_dir)
        return as_json([self.dump(), str(self.folder(study_dir).absolute()), str(derived and derived.absolute())])

    def _written(self, study_dir: Path) -> list[dict[str, str]] | None:
        """The rows of `runs.tsv` if it was written under these settings and is whole."""
        path = study_dir / "runs.tsv"
        made_by = arrays.read_record(path).get("made_by", {})
        if as_json(made_by.get("settings", {})) != as_json(self.dump()):
            return None
        try:
            return arrays.load_table(path, text=COLUMNS).to_dict("records")
        except StudyError:
            return None  # changed since: the data set itself is the truth

    def _look(self, study_dir: Path) -> Scan:
        _SCANS.pop(self._key(study_dir), None)
        return self._scan(study_dir)

    def _scan(self, study_dir: Path) -> Scan:
        root = self.folder(study_dir)
        walked = look(root, self.root)
        datatype, images, problems = self._found(study_dir, walked)
        stimuli = Stimuli(root, walked.files, self.words, self.offset_s, strict=bool(self.task), datatype=datatype)
        found, told = rows_of(images, stimuli, self._common(study_dir, datatype))
        rows, misnamed = splits(found, self.test)
        problems += told + misnamed + uneven_confounds(rows)
        problems += alike_but_for_case({c: [row[c] for row in rows] for c in ("subject", "run")})
        if not rows:
            problems.append(nothing(walked.files, images, datatype))
        stopping = [p for p in problems if p.level == "error" and not p.subject]
        if stopping:
            raise StudyError(*dict.fromkeys([*stopping, *problems]))
        return _SCANS.setdefault(self._key(study_dir), Scan(rows, problems))

    def _found(self, study_dir: Path, walked: Walked) -> tuple[str, list[Image], list[Problem]]:
        """The kind of the recordings, one of them for each run, and what is told of them."""
        files, prepared = asked(walked.files, self.task, self.session), self._prepared(study_dir)
        datatype = self._meant(files, prepared)
        if datatype == "func":
            return datatype, *self._images(study_dir, files, prepared)
        raw, problems = raw_signals(files, walked.strays, datatype)
        derived = self.derived(study_dir)
        where = (derived, str(self.derivatives)) if derived else None
        images, told = signals(raw, prepared, datatype, self.proc, where)
        return datatype, images, problems + told

    def _common(self, study_dir: Path, datatype: str) -> dict[str, str]:
        derived = self.derived(study_dir)
        where = from_root(derived, self.folder(study_dir)) if derived else ""
        label = self.recording or ("fmri" if datatype == "func" else datatype)
        return {"recording": label, "raw": "" if derived else "yes", "where": where}

    def _meant(self, files: list[File], prepared: list[File]) -> str:
        """The kind of recordings that is said, that other settings are about, or that alone is there."""
        if self.datatype or self.space or self.res or self.fmriprep:
            return self.datatype or "func"
        sensed = self.proc is not None
        return only_datatype(prepared, sensed) or only_datatype(files, sensed) or "func"

    def _prepared(self, study_dir: Path) -> list[File]:
        """The files of the derivatives, of the tasks and sessions that are asked for."""
        derived = self.derived(study_dir)
        return asked(walk(derived), self.task, self.session) if derived and derived.is_dir() else []

    def _images(self, study_dir: Path, files: list[File], prepared: list[File]) -> tuple[list[Image], list[Problem]]:
        """One image for each run."""
        raw, problems = raw_images(files, combined=self.fmriprep is not None)
        derived = self.derived(study_dir)
        if derived is None:
            return raw, problems
        images, told = prepared_images(prepared)
        if not images and self.fmriprep is None:
            raise StudyError(no_derivatives(derived, str(self.derivatives)))
        if self.fmriprep is None:
            there = {image.key: image for image in chosen(images, self.space, self.res)}
            return list(there.values()), told + unprepared([image for image in raw if image.key not in there])
        # what is there already counts only if it is what the container would make: nothing changes when it has run
        there = {image.key: image for image in images if image.kind == self._predicted(image).kind}
        return list(({image.key: self._predicted(image) for image in raw} | there).values()), told


_SCANS: dict[str, Scan] = {}  # one look at the data set for each process and settings
