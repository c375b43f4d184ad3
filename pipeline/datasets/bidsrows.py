"""Runs of a BIDS data set as rows of a table: stimuli get their labels, presentations their numbers."""

import difflib
from typing import NamedTuple

from pipeline.datasets.bidsfiles import SENSED, File, natural
from pipeline.datasets.bidsruns import Image
from pipeline.datasets.bidsstimuli import Known, Stimuli
from pipeline.datasets.manifest import COLUMNS
from pipeline.problems import Problem, shown

MOST_APART_S = 0.1  # presentations share one start; a log file is not exact, and volumes take seconds
_NOTHING = "n/a"


class _First(NamedTuple):
    """The first presentation of a stimulus to a person."""

    start_s: float
    path: str


def rows_of(
    images: list[Image], stimuli: Stimuli, common: dict[str, str]
) -> tuple[list[dict[str, str]], list[Problem]]:
    """One row for each image of which is known what was heard, in the order of people, sessions and runs.

    Parameters
    ----------
    images : one of each run; paths are relative to `common["where"]`.
    common : `recording`, `raw` ("yes" or empty), and `where` the images are as seen from the data set.
    """
    known, firsts = Known(), {}
    rows: list[dict[str, str]] = []
    problems: list[Problem] = []
    silent: list[Image] = []
    for image in sorted(images, key=lambda i: natural(i.path)):
        heard, told = stimuli.of(image.run, _written(image))
        problems += told
        if heard is None:
            silent += [] if told else [image]
            continue
        label, canonical, start_s = known.recognised(heard)
        first = firsts.setdefault((image.run["sub"], label), _First(start_s, image.path))
        if image.form != "signals" and abs(first.start_s - start_s) > MOST_APART_S:
            problems.append(_apart(image, label, first, start_s))
            continue
        sources = {"words": canonical.words, "events": canonical.events, "audio": canonical.audio}
        rows.append(_row(image, common) | sources | {"run": label, "start_s": repr(start_s)})
    return _numbered(rows), problems + _without_words(silent)


def splits(rows: list[dict[str, str]], test: tuple[str, ...]) -> tuple[list[dict[str, str]], list[Problem]]:
    """Rows with their `split`: `test` names labels of runs or tasks, all others train."""
    known = sorted({row[c] for row in rows for c in ("run", "task")})
    problems = []
    for label in [label for label in test if label not in known]:
        near = difflib.get_close_matches(label, known, n=1)
        fix = f"did you mean {near[0]!r}?" if near else "name labels of runs or tasks"
        problems.append(
            Problem(
                "E-DATA-52", "no run is called as `test` says", field="dataset.test", found=shown(label),
                expected=shown(known, 200), fix=fix,
            )
        )  # fmt: skip
    sides = {True: "test", False: "train"}
    found = [row | {"split": sides[bool({row["run"], row["task"]} & set(test))] if test else _NOTHING} for row in rows]
    return found, problems


def nothing(files: list[File], images: list[Image], datatype: str) -> Problem:
    """No run can be used: says which tasks and sessions there are."""
    of_runs = [f for f in files if f.suffix in ("bold", *SENSED)]
    tasks = sorted({f.entities["task"] for f in of_runs if "task" in f.entities})
    sessions = sorted({f.entities["ses"] for f in files if "ses" in f.entities})
    what = "images" if datatype == "func" else "recordings"
    where = (
        "*_bold images in sub-*/[ses-*/]func"
        if datatype == "func"
        else f"*_{datatype} recordings in sub-*/[ses-*/]{datatype}"
    )
    found = f"{len(images)} {what}; tasks {shown(tasks)}" + (f"; sessions {shown(sessions)}" if sessions else "")
    return Problem(
        "E-DATA-51", f"no run of the data set has both {what} and words or events", field="dataset.task, dataset.session",
        found=found, expected=f"{where}, and words in *_events.tsv, stimuli/ or where dataset.words says",
        fix="mend dataset.task and dataset.session, or say in dataset.words where the words are",
    )  # fmt: skip


def _written(image: Image) -> dict[str, str]:
    """The entities as the file's name has them: a pattern of words means run-01 and not run-1."""
    name = (image.source or image.path).rpartition("/")[2]
    return dict(pair.split("-", 1) for pair in name.split("_") if "-" in pair)


def _row(image: Image, common: dict[str, str]) -> dict[str, str]:
    def placed(path: str) -> str:
        return f"{common['where']}/{path}" if path and common["where"] not in ("", ".") else path

    return {
        "subject": image.run["sub"], "session": image.run.get("ses", ""), "task": image.run.get("task", ""),
        "recording": common["recording"], "responses": placed(image.path), "mask": placed(image.mask),
        "confounds": placed(image.confounds), "raw": common["raw"], "space": image.space.partition(":")[0],
    }  # fmt: skip


def _numbered(rows: list[dict[str, str]]) -> list[dict[str, str]]:
    """Presentations of a stimulus to a person are counted; what is not known is written as BIDS does."""
    seen: dict[tuple[str, str], int] = {}
    found = []
    for row in rows:
        whose = row["subject"], row["run"]
        seen[whose] = seen.get(whose, 0) + 1
        whole = row | {"repeat": str(seen[whose])}
        found.append({column: whole.get(column) or _NOTHING for column in COLUMNS})
    return found


def _apart(image: Image, label: str, first: _First, start_s: float) -> Problem:
    later = first.start_s - start_s
    return Problem(
        "W-DATA-52", f"a presentation of run {label} is left out: it does not start when the first one does",
        file=image.path, found=f"words come {abs(later):g} s {'later' if later > 0 else 'earlier'} than in {first.path}",
        expected=f"less than {MOST_APART_S:g} s apart", why="the samples of presentations are laid over one another",
        fix="cut what comes before the stimulus from one of them, or make it a recording of its own",
        subject=image.run["sub"],
    )  # fmt: skip


def _without_words(images: list[Image]) -> list[Problem]:
    """Runs of which nothing tells what was heard or shown, task by task."""
    by_task: dict[str, list[str]] = {}
    for image in images:
        by_task.setdefault(image.run.get("task", ""), []).append(image.path)
    fix = "say in dataset.words where their words are, or leave them out with dataset.task"
    return [
        Problem(
            "W-DATA-51", f"{len(paths)} runs of task {task or '(none)'} have neither words nor events and are left out",
            field="dataset.words", found=shown(paths, 200), expected="events.tsv with `word`, `trial_type` or `stim_file`",
            fix=fix,
        ) for task, paths in by_task.items()
    ]  # fmt: skip
