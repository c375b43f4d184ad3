"""Images of a BIDS data set: which belong to one run, in which space they lie, and which of them are asked for."""

import difflib
import os
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Literal, NamedTuple

from pipeline.datasets.bidsfiles import File, misplaced
from pipeline.problems import Problem, StudyError, shown

Form = Literal["volume", "surface", "cifti", "signals"]
OWN_SPACE = "func"  # fMRIPrep's name for images that stay where they were taken
_DERIVED = ("space", "cohort", "res", "den", "desc", "hemi")  # what tells images of one run apart
_VOLUMES, _SURFACE, _CIFTI = (".nii", ".nii.gz"), ".func.gii", ".dtseries.nii"
_REFUSED = {"echo": "single echoes", "part": "parts of complex images"}
_LONGEST = 400  # characters of a list in a message
_ON_SURFACES = ("fsaverage", "fsnative")


class Image(NamedTuple):
    """The images of one run in one space; paths are relative to the folder that was walked."""

    run: dict[str, str]  # entities that tell runs apart, run numbers without leading zeros
    path: str
    form: Form
    space: str = ""
    res: str = ""
    mask: str = ""
    confounds: str = ""
    proc: str = ""  # of signals: what was done to them and what they are: "meg", "filt_raw", "clean_epo"
    source: str = ""  # what it was made of, where its own name does not tell the run

    @property
    def key(self) -> tuple[tuple[str, str], ...]:
        return key_of(self.run)

    @property
    def kind(self) -> str:
        """Space, resolution and form, as they are told."""
        res = f" res {self.res}" if self.res else ""
        return f"{self.space or f'{OWN_SPACE} (the own space of each run)'}{res}, {self.form}"


def key_of(run: dict[str, str]) -> tuple[tuple[str, str], ...]:
    return tuple(sorted(run.items()))


def identity(file: File) -> dict[str, str]:
    """What tells a run apart."""
    return {key: value for key, value in file.comparable.items() if key not in _DERIVED}


def asked(files: Iterable[File], task: tuple[str, ...], session: tuple[str, ...]) -> list[File]:
    """Files of people, of the tasks and sessions that are asked for; empty asks for all."""
    return [
        f for f in files
        if f.subject and (not task or f.entities.get("task") in task) and (not session or f.entities.get("ses") in session)
    ]  # fmt: skip


def raw_images(files: list[File], combined: bool = False) -> tuple[list[Image], list[Problem]]:
    """The images as the scanner wrote them; with `combined`, the echoes of a run as the one image made of them."""
    images = [f for f in files if f.suffix == "bold" and f.ending in _VOLUMES]
    if combined:
        images = list({without.path: without for without in map(_without_echo, images)}.values())
    usable, problems = _usable(images)
    return [Image(identity(f), f.path, "volume") for f in usable], problems


def _without_echo(file: File) -> File:
    echo = f"_echo-{file.entities['echo']}" if "echo" in file.entities else ""
    rest = {key: value for key, value in file.entities.items() if key != "echo"}
    return file._replace(path=file.path.replace(echo, "") if echo else file.path, entities=rest)


def prepared_images(files: list[File]) -> tuple[list[Image], list[Problem]]:
    """The images that fMRIPrep wrote, in every space, with their masks and confounds."""
    images = [f for f in files if f.suffix == "bold" and _form(f)]
    usable, problems = _usable(images)
    masks = {_place(f): f.path for f in files if (f.suffix, f.entities.get("desc")) == ("mask", "brain")}
    confounds = {key_of(identity(f)): f.path for f in files if _is_confounds(f)}
    found: dict[tuple[object, ...], Image] = {}
    for file in usable:  # in order of their names, so a left hemisphere comes before its right one
        run, form = identity(file), _form(file)
        space, res = _space(file), file.entities.get("res") or file.entities.get("den", "")
        mask = masks.get(_place(file), "") if form == "volume" else ""
        image = Image(run, file.path, form, space, res, mask, confounds.get(key_of(run), ""))
        found.setdefault((image.key, form, space, res), image)
    return list(found.values()), problems


def _form(file: File) -> Form | None:
    if file.ending in _VOLUMES:
        return "volume" if file.entities.get("desc") == "preproc" else None
    if file.entities.get("desc", "preproc") != "preproc":
        return None
    if file.ending == _SURFACE and file.entities.get("hemi") in ("L", "R"):
        return "surface"
    return "cifti" if file.ending == _CIFTI else None


def _space(file: File) -> str:
    return file.entities.get("space", "") + "".join(f":cohort-{c}" for c in [file.entities.get("cohort")] if c)


def _place(file: File) -> tuple[object, ...]:
    return key_of(identity(file)), _space(file), file.entities.get("res", "")


def _is_confounds(file: File) -> bool:
    kind = (file.entities.get("desc"), file.suffix)  # `regressors` until fMRIPrep 20.0
    return file.ending == ".tsv" and kind in (("confounds", "timeseries"), ("confounds", "regressors"))


def _usable(images: list[File]) -> tuple[list[File], list[Problem]]:
    """Without single echoes, parts of complex images and what lies in somebody else's folder; all of it told."""
    problems, usable, taken = [], [], set()
    for file in images:
        reason = next((f"{what} are not combined here" for key, what in _REFUSED.items() if key in file.entities), "")
        whole = file.path.removesuffix(".gz")
        if misplaced(file):
            reason = "its name and its folders name other subjects or sessions"
        elif whole in taken:
            reason = "the same image is there compressed and as it is"
        if not reason:
            taken.add(whole)
            usable.append(file)
            continue
        fix = "combine them first, as fMRIPrep does" if "combined" in reason else "move, rename or delete it"
        problems.append(
            Problem("W-FMRI-14", "an image is left out", file=file.path, why=reason, fix=fix, subject=file.subject)
        )
    return usable, problems


def chosen(images: list[Image], space: str | None, res: str | None) -> list[Image]:
    """The images in the space and resolution that are asked for, one for each run; E-FMRI-14 where it is not clear."""
    fitting = [image for image in images if _fits(image, space, res)]
    if any(image.form == "cifti" for image in fitting) and space and not res:
        fitting = [image for image in fitting if image.form != "surface"]  # the whole cortex and what is below it
    kinds = Counter(image.kind for image in fitting)
    if images and len(kinds) != 1:
        raise StudyError(_unclear(images, kinds, space, res))
    return fitting


def _fits(image: Image, space: str | None, res: str | None) -> bool:
    here = space is None or image.space.partition(":")[0] == ("" if space == OWN_SPACE else space)
    return here and (res is None or image.res == ("" if res == "native" else res))


def _unclear(images: list[Image], kinds: Counter[str], space: str | None, res: str | None) -> Problem:
    there = kinds or Counter(image.kind for image in images)
    summary = "images lie in several spaces or resolutions" if kinds else "no image lies in the space that is asked for"
    one_space = len({image.space for image in images if _fits(image, space, None)}) == 1
    field = "dataset.res" if one_space and (space or kinds) else "dataset.space"
    listed = "; ".join(f"{kind} ({n} runs)" for kind, n in sorted(there.items()))
    near = [i for i in images if _fits(i, space, None)] or images
    choices = sorted({(i.res or "native") if field.endswith("res") else (i.space or OWN_SPACE) for i in near})
    return Problem(
        "E-FMRI-14", summary, field=field, found=listed[:_LONGEST],
        expected="images of all runs in one space and resolution" + (f"; asked for {space or ''} {res or ''}".rstrip() if not kinds else ""),
        why="voxels of different spaces are not the same places", fix=f"set {field} to one of: {', '.join(choices)}",
    )  # fmt: skip


def predicted(image: Image, output_space: str, res: str | None) -> Image:
    """What fMRIPrep will call the prepared images of a raw run; `output_space` as its option takes it (NAME:res-2)."""
    space, *modifiers = output_space.split(":")
    extra = dict(m.split("-", 1) for m in modifiers if "-" in m)
    res = res or extra.get("res")
    stem = image.path.removesuffix(".gz").removesuffix("_bold.nii")
    cohort = f"cohort-{extra['cohort']}" if "cohort" in extra else ""
    label = "" if space == OWN_SPACE else "_".join(filter(None, (f"_space-{space}", cohort)))
    whole = label and ":".join(filter(None, (space, cohort)))
    common = {"run": image.run, "space": whole, "confounds": f"{stem}_desc-confounds_timeseries.tsv"}
    if space.startswith(_ON_SURFACES):
        return Image(path=f"{stem}_hemi-L{label}_bold.func.gii", form="surface", **common)
    if space == "fsLR":
        den = res or "91k"
        return Image(path=f"{stem}{label}_den-{den}_bold.dtseries.nii", form="cifti", res=den, **common)
    res = "" if res in (None, "native") else res
    place = f"{stem}{label}" + (f"_res-{res}" if res else "")
    mask = f"{place}_desc-brain_mask.nii.gz"
    return Image(path=f"{place}_desc-preproc_bold.nii.gz", form="volume", res=res, mask=mask, **common)


def files_of(image: Image) -> list[str]:
    """The image, its other hemisphere, its mask and its confounds."""
    other = image.path.replace("_hemi-L_", "_hemi-R_") if image.form == "surface" else image.path
    return list(dict.fromkeys(name for name in (image.path, other, image.mask, image.confounds) if name))


def from_root(folder: Path, root: Path) -> str:
    """A folder as seen from the data set: below it as written, elsewhere by the way that links do not mislead."""
    if folder.absolute().is_relative_to(root.absolute()):
        return folder.absolute().relative_to(root.absolute()).as_posix()
    return Path(os.path.relpath(folder.resolve(), root.resolve())).as_posix()


def unprepared(absent: list[Image], tool: str = "fMRIPrep") -> list[Problem]:
    """Raw runs of which there are no prepared images of the space or kind that was chosen, person by person."""
    by_subject: dict[str, list[str]] = {}
    for image in absent:
        by_subject.setdefault(image.run["sub"], []).append(image.path)
    fix = f"run {tool} on them if they should count"
    return [
        Problem(
            "W-DATA-50", f"{len(paths)} runs have no prepared images and are left out", field="dataset.derivatives",
            found=shown(paths, 200), fix=fix, subject=subject,
        ) for subject, paths in by_subject.items()
    ]  # fmt: skip


def no_derivatives(derived: Path, as_written: str) -> Problem:
    """No prepared images in the folder: says what was looked for, and where such images are instead."""
    told, inside = beside(derived)
    return Problem(
        "E-FMRI-15", "no images of fMRIPrep are in the derivatives folder", field="dataset.derivatives", found=shown(as_written) + told,
        expected="sub-*/[ses-*/]func/*_desc-preproc_bold.nii.gz, *_hemi-L_space-*_bold.func.gii or *_bold.dtseries.nii",
        why="names are read as fMRIPrep writes them since 1.2; task and session must be those of the study",
        fix=f"did you mean {inside!r}?" if inside else "name the folder that holds sub-*, or leave dataset.derivatives out",
    )  # fmt: skip


def beside(derived: Path) -> tuple[str, str]:
    """What a folder of derivatives holds, and the folder in or beside it that may be meant."""
    near = [p for p in (derived, derived.parent) if p.is_dir()]
    folders = sorted(d.name + "/" for p in near[:1] for d in p.iterdir() if d.is_dir() and not d.name.startswith("."))
    holding = [d for d in folders if any((near[0] / d).glob("sub-*"))]
    close = difflib.get_close_matches(derived.name + "/", holding, n=1, cutoff=0.3) or holding[:1]
    inside = f"{near[0].name}/{close[0]}".rstrip("/") if close and not close[0].startswith("sub-") else ""
    return f", which holds {shown(folders[:6], 200)}" if derived.is_dir() else ", which is not there", inside
