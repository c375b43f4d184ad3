"""MEG, EEG and iEEG of a BIDS data set: recordings as they were taken, and what mne-bids-pipeline made of them."""

from collections import Counter
from pathlib import Path, PurePosixPath

from pipeline.datasets.bidsfiles import SENSED, SIGNALS, UNREAD, File, misplaced
from pipeline.datasets.bidsruns import Image, beside, identity, unprepared
from pipeline.problems import Problem, StudyError, shown

EMPTY_ROOM = "emptyroom"  # BIDS' name for the noise of the room, which is nobody's brain
_PROCESSED = ("raw", "epo")  # what mne-bids-pipeline writes of a run: continuous and cut
_NOT_OF_A_RUN = ("proc", "split")
_CALIBRATION = ("calibration", "crosstalk")  # acq- labels of files for the Maxwell filter
_OTHERS = ("markers", "headshape")  # what lies beside recordings and may end as they do
_LONGEST = 400  # characters of a list in a message


def only_datatype(files: list[File], sensed: bool = False) -> str:
    """The only kind of recordings there is, images beside MEG, EEG and iEEG; E-DATA-60 where there are several.

    With `sensed` images do not count. Empty where there are no recordings.
    """
    found = Counter(f.datatype for f in files if _is_recording(f, (f.datatype, *_PROCESSED)))
    images = 0 if sensed else sum(f.suffix == "bold" for f in files)
    found += Counter(func=images)
    if len(found) > 1:
        raise StudyError(_several(found))
    return next(iter(found), "")


def raw_signals(files: list[File], strays: list[str], datatype: str) -> tuple[list[Image], list[Problem]]:
    """Recordings as they were taken, one for each run and processing (`proc-sss`, as the maker's software writes it)."""
    there = [f for f in files if f.datatype == datatype and f.ending in (*SIGNALS, *UNREAD)]
    there = [f for f in there if f.subject != EMPTY_ROOM and f.suffix not in _OTHERS and not _is_calibration(f)]
    found, problems = _usable(there, (datatype,))
    wrong = [_left_out(path, _not_bids(datatype), _RENAME) for path in strays if path.split("/")[-2] == datatype]
    return found, problems + wrong


def signals(
    raw: list[Image], prepared: list[File], datatype: str, proc: str | None, derivatives: tuple[Path, str] | None
) -> tuple[list[Image], list[Problem]]:
    """One recording for each run: as it was taken, or what mne-bids-pipeline made of it.

    Parameters
    ----------
    proc : kind that is asked for; None if there is only one.
    derivatives : the folder of `prepared` and how the study writes it; None to read `raw`.

    Raises
    ------
    StudyError : E-DATA-61 where the kind is not clear or not there, E-DATA-62
        where one file stands for several runs, E-DATA-63 where nothing is prepared.
    """
    if derivatives is None:
        return _of_one_kind(raw, proc), []
    there = [f for f in prepared if f.datatype == datatype and _is_recording(f, _PROCESSED)]
    images, problems = _usable(there, _PROCESSED)
    if not images:
        raise StudyError(_no_signals(*derivatives))
    found = _with_runs(_of_one_kind(images, proc), raw)
    keys = {image.key for image in found}
    absent = {image.key: image for image in raw if image.key not in keys}
    return found, problems + unprepared(list(absent.values()), "mne-bids-pipeline")


def _of_one_kind(images: list[Image], proc: str | None) -> list[Image]:
    """The images of the kind that is asked for, one for each run."""
    fitting = [image for image in images if proc in (None, image.proc, image.proc.rpartition("_")[0] or None)]
    kinds = Counter(image.proc for image in fitting)
    if images and len(kinds) != 1:
        raise StudyError(_unclear(images, kinds, proc))
    return fitting


def _with_runs(images: list[Image], raw: list[Image]) -> list[Image]:
    """Prepared images with the runs they were made of.

    mne-bids-pipeline joins the epochs of a task's runs in one file, whose name
    has no `run`.
    """
    known = {image.key for image in raw}
    found, joined = [], {}
    for image in images:
        parts = [] if image.key in known or "run" in image.run else [r for r in raw if _without_run(r) == image.run]
        if len(parts) > 1:
            joined[image.path] = len(parts)
        found.append(image._replace(run=parts[0].run, source=parts[0].path) if parts else image)
    if joined:
        raise StudyError(_joined(joined))
    return found


def _no_signals(derived: Path, as_written: str) -> Problem:
    """Nothing of mne-bids-pipeline is in the folder: says what was looked for, and where such files may be instead."""
    told, inside = beside(derived)
    return Problem(
        "E-DATA-63", "no files of mne-bids-pipeline are in the derivatives folder", field="dataset.derivatives",
        found=shown(as_written) + told, expected="sub-*/[ses-*/](meg|eeg|ieeg)/*_proc-filt_raw.fif, *_proc-clean_raw.fif or *_proc-clean_epo.fif",
        why="task, session and datatype must be those of the study",
        fix=f"did you mean {inside!r}?" if inside else "name the folder that holds sub-*, or leave dataset.derivatives out",
    )  # fmt: skip


def _several(found: Counter[str]) -> Problem:
    """The data set holds more than one kind of measurement, and the study does not say which it means."""
    listed = ", ".join(f"{datatype} ({n} files)" for datatype, n in sorted(found.items()))
    return Problem(
        "E-DATA-60", "the data set holds several kinds of recordings", field="dataset.datatype", found=listed,
        expected="one kind", why="a study reads one of them from a data set",
        fix=f"set dataset.datatype to one of: {', '.join(sorted(found))}",
    )  # fmt: skip


def _is_recording(file: File, suffixes: tuple[str, ...]) -> bool:
    of_somebody = file.datatype in SENSED and file.subject not in ("", EMPTY_ROOM)
    return of_somebody and file.ending in SIGNALS and file.suffix in suffixes and not _is_calibration(file)


def _is_calibration(file: File) -> bool:
    return file.entities.get("acq") in _CALIBRATION and "task" not in file.entities


def _usable(files: list[File], suffixes: tuple[str, ...]) -> tuple[list[Image], list[Problem]]:
    """One image for each run and kind: of split recordings the first part, of several forms the first; the rest is told."""
    found: dict[tuple[object, ...], Image] = {}
    problems = []
    for file in sorted(files, key=lambda f: (f.ending not in SIGNALS, _part(f), (*SIGNALS, *UNREAD).index(f.ending))):
        image = _image(file)
        key = (image.key, image.proc)
        reason, fix = _unusable(file, suffixes)
        if not reason and _part(file) > 1:
            problems += _part_missing(file, files)
            continue
        if not reason and key in found:
            reason, fix = f"the same recording is there as {found[key].path}", "delete one of them"
        if reason:
            problems.append(_left_out(file.path, reason, fix, file.subject))
        else:
            found[key] = image
    return list(found.values()), problems


def _image(file: File) -> Image:
    run = {key: value for key, value in identity(file).items() if key not in _NOT_OF_A_RUN}
    return Image(run, file.path, "signals", proc="_".join(filter(None, (file.entities.get("proc"), file.suffix))))


def _part(file: File) -> int:
    split = file.entities.get("split", "")
    return int(split) if split.isdecimal() else 1


def _unusable(file: File, suffixes: tuple[str, ...]) -> tuple[str, str]:
    """Why a recording cannot be read, and what would mend it."""
    if misplaced(file):
        return "its name and its folders name other subjects or sessions", "move, rename or delete it"
    if file.suffix not in suffixes:
        return _not_bids(file.datatype), _RENAME
    if file.ending in UNREAD:
        return f"MNE reads no recordings that end in {file.ending}", f"convert it to {_SAFE[file.datatype]}"
    return "", ""


def _part_missing(file: File, files: list[File]) -> list[Problem]:
    """The part before this one, where it is not there: what comes after it would be read at a wrong time, or never."""
    split = file.entities["split"]
    before = file.path.replace(f"_split-{split}_", f"_split-{_part(file) - 1:0{len(split)}}_")
    if any(f.path == before for f in files):
        return []
    return [
        Problem(
            "E-DATA-64", "a part of a split recording is missing", file=before, found=f"{PurePosixPath(file.path).name} is there",
            expected="all parts, counted from split-01", why="the recording goes on from part to part",
            fix="copy the missing part, or delete the other ones", subject=file.subject,
        )
    ]  # fmt: skip


def _left_out(path: str, reason: str, fix: str, subject: str = "") -> Problem:
    subject = subject or path.split("/")[0].removeprefix("sub-")
    return Problem("W-DATA-60", "a recording is left out", file=path, why=reason, fix=fix, subject=subject)


def _not_bids(datatype: str) -> str:
    return f"BIDS calls recordings of this folder sub-<label>_[ses-<label>_]task-<label>_[run-<number>_]{datatype} and one of {', '.join(SIGNALS)}"


def _without_run(image: Image) -> dict[str, str]:
    return {key: value for key, value in image.run.items() if key != "run"}


def _unclear(images: list[Image], kinds: Counter[str], proc: str | None) -> Problem:
    there = kinds or Counter(image.proc for image in images)
    return Problem(
        "E-DATA-61", "recordings are there in several kinds" if kinds else "no recording is of the kind that is asked for",
        field="dataset.proc", found="; ".join(f"{kind} ({n} runs)" for kind, n in sorted(there.items()))[:_LONGEST],
        expected="recordings of all runs of one kind" + ("" if kinds else f"; asked for {proc}"),
        why="what was filtered, cleaned or cut differently is not the same signal",
        fix=f"set dataset.proc to one of: {', '.join(sorted(there))}",
    )  # fmt: skip


def _joined(joined: dict[str, int]) -> Problem:
    return Problem(
        "E-DATA-62", "epochs of several runs stand in one file", field="dataset.proc", file=next(iter(joined)),
        found=f"{len(joined)} such files; this one is of {next(iter(joined.values()))} runs", expected="a file for each run",
        why="every run has words and a clock of its own, and which epoch is of which run is not told",
        fix="read the continuous recordings: proc: clean_raw or filt_raw; or make epochs with one run for each task",
    )  # fmt: skip


_RENAME = "rename it if it is a recording of a run, or move it elsewhere"
_SAFE = {"meg": "FIF", "eeg": "BrainVision", "ieeg": "BrainVision"}
