"""A BIDS data set, as the scanner left it or as fMRIPrep prepared it."""

import re
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal, NamedTuple

from pydantic import (
    BeforeValidator,
    Field,
    PositiveFloat,
    PositiveInt,
    WithJsonSchema,
    field_validator,
    model_validator,
)

from pipeline import arrays
from pipeline.datasets.base import Dataset
from pipeline.datasets.bidsfiles import File, walk
from pipeline.datasets.bidsrows import rows_of, splits
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
from pipeline.problems import Problem, StudyError, shown
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

    With `derivatives`, the images are those that fMRIPrep prepared, with their
    masks and confounds; without, those the scanner wrote. Words come from
    `events.tsv`, from `stimuli/`, or from where `words` says. One run label is
    one stimulus, recognised by its words wherever it was presented.
    """

    version: ClassVar[int] = 1
    kind: Literal["bids"] = "bids"
    root: str = Field(description="folder of the data set; may use ${NAME} and ${NAME:-default}")
    derivatives: str | None = Field(
        None, description="folder of fMRIPrep's outputs; none: images as the scanner wrote them; may use ${NAME}"
    )
    task: Labels = Field((), description="label or labels of the tasks; empty: every task with words or events")
    session: Labels = Field((), description="label or labels of the sessions; empty: all")
    space: Label | None = Field(
        None, description="space of the prepared images: MNI152NLin2009cAsym, T1w, fsaverage5, fsLR; func: their own"
    )
    res: Label | None = Field(None, description="res- or den- label of the prepared images; native: without one")
    words: str | None = Field(
        None, description="where words are, below root, with {subject} {session} {task} {run} {stim}; none: found"
    )
    offset_s: float = Field(0.0, description="s; by how much words come later than the tables say")
    test: Labels = Field((), description="labels of runs or tasks that test, the others train; empty: unsaid")
    recording: Label = Field("fmri", description="label of the recording in the study")
    fmriprep: Fmriprep | None = Field(None, description="how fMRIPrep makes the derivatives that are not there yet")

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
        files = asked(_walked(self.folder(study_dir), self.root), self.task, self.session)
        raw, _ = raw_images([f for f in files if f.subject == subject], combined=True)
        images, _ = self._images(study_dir, files)
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
        files = _walked(root, self.root)
        images, problems = self._images(study_dir, asked(files, self.task, self.session))
        stimuli = Stimuli(root, files, self.words, self.offset_s, strict=bool(self.task))
        found, told = rows_of(images, stimuli, self._common(study_dir))
        rows, misnamed = splits(found, self.test)
        problems += told + misnamed + uneven_confounds(rows)
        problems += alike_but_for_case({c: [row[c] for row in rows] for c in ("subject", "run")})
        if not rows:
            problems.append(self._nothing(files, images))
        stopping = [p for p in problems if p.level == "error" and not p.subject]
        if stopping:
            raise StudyError(*dict.fromkeys([*stopping, *problems]))
        return _SCANS.setdefault(self._key(study_dir), Scan(rows, problems))

    def _common(self, study_dir: Path) -> dict[str, str]:
        derived = self.derived(study_dir)
        where = from_root(derived, self.folder(study_dir)) if derived else ""
        return {"recording": self.recording, "raw": "" if derived else "yes", "where": where}

    def _images(self, study_dir: Path, files: list[File]) -> tuple[list[Image], list[Problem]]:
        """One image for each run."""
        raw, problems = raw_images(files, combined=self.fmriprep is not None)
        derived = self.derived(study_dir)
        if derived is None:
            return raw, problems
        prepared, told = self._prepared(derived)
        if self.fmriprep is None:
            there = {image.key: image for image in chosen(prepared, self.space, self.res)}
            return list(there.values()), told + unprepared([image for image in raw if image.key not in there])
        # what is there already counts only if it is what the container would make: nothing changes when it has run
        there = {image.key: image for image in prepared if image.kind == self._predicted(image).kind}
        return list(({image.key: self._predicted(image) for image in raw} | there).values()), told

    def _prepared(self, derived: Path) -> tuple[list[Image], list[Problem]]:
        files = asked(walk(derived), self.task, self.session) if derived.is_dir() else []
        images, problems = prepared_images(files)
        if not images and self.fmriprep is None:
            raise StudyError(no_derivatives(derived, str(self.derivatives)))
        return images, problems

    def _nothing(self, files: list[File], images: list[Image]) -> Problem:
        tasks = sorted({f.entities["task"] for f in files if f.suffix == "bold" and "task" in f.entities})
        sessions = sorted({f.entities["ses"] for f in files if "ses" in f.entities})
        found = f"{len(images)} images; tasks {shown(tasks)}" + (f"; sessions {shown(sessions)}" if sessions else "")
        return Problem(
            "E-DATA-51", "no run of the data set has both images and words or events", field="dataset.task, dataset.session",
            found=found, expected="*_bold images in sub-*/[ses-*/]func, and words in *_events.tsv, stimuli/ or where dataset.words says",
            fix="mend dataset.task and dataset.session, or say in dataset.words where the words are",
        )  # fmt: skip


_SCANS: dict[str, Scan] = {}  # one look at the data set for each process and settings


def _walked(root: Path, as_written: str) -> list[File]:
    if not root.is_dir():
        raise StudyError(
            Problem(
                "E-DATA-02", "the data set's folder is not there", field="dataset.root", found=shown(as_written),
                expected="a folder in BIDS form", why=f"searched from {Path.cwd().name}/",
                fix="mend dataset.root, or set the environment variable it names",
            )
        )  # fmt: skip
    files = walk(root)
    if not any(file.subject for file in files):
        there = sorted(path.name for path in root.iterdir())[:8]
        raise StudyError(
            Problem(
                "E-DATA-50", "no BIDS data set: nobody's files are there", field="dataset.root", found=shown(there, 200),
                expected="folders sub-*/func or sub-*/ses-*/func with *_bold.nii.gz", fix="name the folder that holds sub-*",
            )
        )  # fmt: skip
    return files
