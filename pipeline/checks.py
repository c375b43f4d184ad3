"""Everything that can be seen to be wrong before the first heavy step: configuration, headers, tables."""

from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from pipeline import attainable, encoding
from pipeline.config import Plan, Study
from pipeline.demand import too_long
from pipeline.problems import Problem, StudyError, shown
from pipeline.recordings import Header
from pipeline.runs import Run
from pipeline.words import against_run, stimulus

if TYPE_CHECKING:
    import pandas as pd


def check(study: Study, study_dir: Path, left_out: tuple[str, ...] = ()) -> list[Problem]:
    """All problems of a study, errors first; `Problem.subject` or `.model` says whom each one stops."""
    found = kept_apart(study, study_dir) + _models(study, study_dir)
    try:
        found += study.dataset.problems(study_dir)
        plan = study.plan(study_dir, left_out)
    except StudyError as error:
        return list(dict.fromkeys([*error.problems, *found]))
    found += _absent(study, study_dir, plan)
    if study.dataset.made_here and not all(p.exists() for p in study.dataset.recording_files(study_dir)):
        return sorted(found, key=_errors_first)  # its recordings are simulated when the study runs
    found += _targets(study, study_dir) + attainable.over_people(len({subject for subject, _ in plan.runs}))
    stopped = {p.subject for p in found if p.level == "error"}
    if "" not in stopped:
        found += _recordings(study, study_dir, plan, stopped)
    return sorted(dict.fromkeys(found), key=_errors_first)


def _errors_first(problem: Problem) -> bool:
    return problem.level == "warning"


def kept_apart(study: Study, study_dir: Path) -> list[Problem]:
    """Inputs are never written to: the outputs must lie elsewhere, or in the place that BIDS has for them."""
    try:
        folder, place = study.dataset.folder(study_dir).resolve(), study_dir.resolve()
        inside = place.is_relative_to(folder) and not (
            study.dataset.kind == "bids" and place.is_relative_to(folder / "derivatives")
        )
    except StudyError as error:
        return list(error.problems)
    if study.dataset.made_here or not inside:
        return []
    fix = "choose another folder with --out"
    return [
        Problem(
            "E-CONFIG-20", "the outputs would lie inside the data set", field="--out", found=study_dir.name, fix=fix
        )
    ]


def _models(study: Study, study_dir: Path) -> list[Problem]:
    found = []
    for label, model in study.models.items():
        if study.trained_here(label, study_dir):
            continue  # trained when the study runs
        try:
            problems = model.problems(study_dir)
        except StudyError as error:
            problems = list(error.problems)
        found += [p._replace(model=label) for p in problems]
    return found


def _absent(study: Study, study_dir: Path, plan: Plan) -> list[Problem]:
    known = sorted({run.subject for run in study.dataset.runs(study_dir)})
    problems = [
        Problem(
            "E-DATA-30", f"subject {subject} has no runs", field="subjects", found=subject,
            expected=shown(", ".join(known), 200), fix="mend the label, or take it out of `subjects`", subject=subject,
        )
        for subject in study.subjects if subject not in known
    ]  # fmt: skip
    if not plan.runs and not problems:
        labels = sorted({run.recording for run in study.dataset.runs(study_dir)})
        fix = "name the recordings in the study as in column `recording`"
        problems.append(
            Problem(
                "E-DATA-31",
                "no run belongs to a recording of this study",
                field="recordings",
                found=shown(list(study.recordings)),
                expected=shown(labels),
                fix=fix,
            )
        )
    return problems


def _targets(study: Study, study_dir: Path) -> list[Problem]:
    """Is the table of targets readable, and does it hold the regions that were asked for?"""
    try:
        table = study.dataset.targets(study_dir)
    except StudyError as error:
        return list(error.problems)
    known = [] if table is None else sorted(set(table["roi"]) - {""})
    asked = {
        "comparison.rois": study.comparison.rois or (),
        "report.alignment_roi": (study.report.alignment_roi or encoding.ALL,),
    }
    fix = "name regions as in column `roi` of targets.tsv"
    return [
        Problem("E-CONFIG-21", "a region is not known", field=field, found=shown(unknown), expected=shown(known), fix=fix)
        for field, rois in asked.items() if (unknown := [roi for roi in rois if roi not in (*known, encoding.ALL)])
    ]  # fmt: skip


def _recordings(study: Study, study_dir: Path, plan: Plan, stopped: set[str]) -> list[Problem]:
    """Words, headers and folds, subject by subject; each file is read once."""
    folder = study.dataset.folder(study_dir)
    tables: dict[str, tuple[pd.DataFrame | None, tuple[Problem, ...]]] = {}
    found: list[Problem] = []
    for (subject, label), runs in plan.runs.items():
        if subject in stopped:
            continue
        headers: dict[str, Header] = {}
        for run in runs:
            name = run.words or run.events
            if name not in tables:
                tables[name] = _read(folder, run)
            words, problems = tables[name]
            found += [p._replace(subject=subject) for p in problems]
            if _still_to_come(study, study_dir, run):
                continue
            try:
                headers[run.run] = header = study.recordings[label].header(run, folder)
            except StudyError as error:
                found += error.problems
                continue
            found += too_long(run, header)
            if words is not None:
                found += against_run(
                    words, start_s=run.start_s, length_s=header.length_s, tr_s=header.tr_s, name=name, subject=subject
                )
        found += _uneven(runs, headers) + _folds(study, label, runs, headers)
        if len(headers) == len(runs):
            try:
                study.recordings[label].check_together(runs, folder)
            except StudyError as error:
                found += error.problems
    return found + _stimuli(study, plan, {name: table for name, (table, _) in tables.items()})


def _still_to_come(study: Study, study_dir: Path, run: Run) -> bool:
    """Are the images of this run made when the study runs, by fMRIPrep?"""
    folder = study.dataset.folder(study_dir)
    absent = {(folder / name).resolve() for name in run.responses if not (folder / name).exists()}
    return bool(absent) and absent <= {p.resolve() for p in study.dataset.made_by_fmriprep(study_dir, run.subject)}


def _read(folder: Path, run: Run) -> "tuple[pd.DataFrame | None, tuple[Problem, ...]]":
    try:
        words, problems = stimulus(folder, run)
        return words, tuple(problems)
    except StudyError as error:
        return None, error.problems


def _uneven(runs: list[Run], headers: dict[str, Header]) -> list[Problem]:
    # images may have a mask for each run; their targets are what all masks hold
    counts = {run: h.n_targets for run, h in headers.items() if not h.grid}
    grids = {run: h.grid for run, h in headers.items()}
    spacings = {run: h.tr_s for run, h in headers.items() if not h.word_s}
    problems = []
    for code, what, values in (
        ("E-ARRAY-08", "the number of targets", counts),
        ("E-FMRI-09", "the voxels or vertices of their images", grids),
        ("E-DATA-16", "the time between samples", spacings),
    ):
        if len(set(values.values())) > 1:
            usual = max(set(values.values()), key=list(values.values()).count)
            odd = {run: value for run, value in values.items() if value != usual}
            problems.append(
                Problem(
                    code, f"runs differ in {what}", file="runs.tsv", found=shown(odd), expected=f"{usual}, as in the other runs",
                    fix="choose images of one space and resolution, leave the odd runs out, or make them a recording of their own",
                    subject=runs[0].subject,
                )
            )  # fmt: skip
    return problems


def _folds(study: Study, label: str, runs: list[Run], headers: dict[str, Header]) -> list[Problem]:
    """Can the split be made at all? Tried on the headers, so before any heavy step."""
    subject, settings = runs[0].subject, study.encoding
    if len(headers) < len(runs) or len({h.tr_s for h in headers.values() if not h.word_s}) > 1:
        return []
    try:
        samples = _hollow(runs, headers, settings.trim_s)
        outer, _ = encoding.folds_of(samples, settings)
    except ValueError as error:
        fix = (
            "a single run: split: contiguous, which leaves gap_s between training and test"
            if len(runs) == 1
            else "change encoding.split, folds, gap_s or trim_s"
        )
        whose = f"{subject}, recording {label}: {len(runs)} run{'s' * (len(runs) != 1)}, split {settings.split}"
        return [
            Problem(
                "E-SPLIT-02",
                "the samples cannot be split as asked",
                field="encoding.split",
                found=whose,
                why=str(error),
                fix=fix,
                subject=subject,
            )
        ]
    shortest = min(len(test) for _, test in outer)
    reach = study.recordings[label].reach(next(iter(headers.values())).tr_s)
    run_length = min(h.n_samples for h in headers.values())
    if reach >= run_length:
        found = f"delays of up to {reach}, a run of {run_length} samples"
        fix = "use shorter delays, or leave the run out"
        return [
            Problem("E-SPLIT-03", "delays reach beyond a run", field="delays", found=found, fix=fix, subject=subject)
        ]
    if settings.split == "contiguous" and shortest <= reach:
        found = f"test blocks of {shortest} samples, delays of up to {reach}"
        return [
            Problem(
                "E-SPLIT-03",
                "test blocks are shorter than the delays reach",
                field="encoding.folds",
                found=found,
                fix="use fewer folds",
                subject=subject,
            )
        ]
    tested = np.unique(np.concatenate([test for _, test in outer]))
    return attainable.over_time(subject, label, len(set(samples.run[tested])), len(tested))


def _hollow(runs: list[Run], headers: dict[str, Header], trim_s: tuple[float, float]) -> "encoding.Samples":
    first = next(iter(headers.values()))
    tr_s = first.tr_s
    trim = sum(round(t / tr_s) for t in trim_s)
    lengths = [headers[run.run].n_samples - trim for run in runs]
    if min(lengths) <= 0:
        raise ValueError(f"trim_s {list(trim_s)} leaves nothing of a run of {min(lengths) + trim} samples")
    labels = np.repeat([run.run for run in runs], lengths)
    split = np.repeat([run.split for run in runs], lengths)
    n = len(labels)
    times = np.concatenate([np.arange(length) * tr_s for length in lengths])
    return encoding.Samples(np.empty((n, 0)), labels, split, times, tr_s, {}, first.word_s)


def _stimuli(study: Study, plan: Plan, tables: "dict[str, pd.DataFrame | None]") -> list[Problem]:
    """One run label is one stimulus, and no stimulus is both learnt from and tested on."""
    texts = {name: _text(table) for name, table in tables.items() if table is not None}
    problems = []
    of_label: dict[str, dict[str, str]] = defaultdict(dict)
    for (subject, _), runs in plan.runs.items():
        for run in runs:
            if run.words in texts:
                of_label[run.run].setdefault(_timed(tables[run.words]), f"{run.words} (subject {subject})")
        problems += _repeated(subject, runs, texts, study.encoding.split)
    for run, found in of_label.items():
        if len(found) > 1:
            why = "activations and their onsets are shared by everybody with this run label"
            problems.append(
                Problem(
                    "E-WORDS-08",
                    f"run {run} has other words, or other onsets, for other people",
                    file="runs.tsv",
                    field="words",
                    found=shown(sorted(found.values()), 200),
                    why=why,
                    fix="give different stimuli different run labels",
                )
            )
    return problems


def _text(table: "pd.DataFrame") -> str:
    return " ".join(table["word"])


def _timed(table: "pd.DataFrame") -> str:
    return " ".join(f"{onset:.3f}:{word}" for onset, word in zip(table["onset"], table["word"], strict=True))


def _repeated(subject: str, runs: list[Run], texts: dict[str, str], split: str) -> list[Problem]:
    seen: dict[str, Run] = {}
    problems = []
    for run in runs:
        if split == "given" and run.split not in ("train", "test"):
            continue
        first = seen.setdefault(texts.get(run.words, run.run), run)
        apart = split == "given" and first.split == run.split  # both only train, or both only test
        if first is run or apart:
            continue
        fix = "presentations of one stimulus share a run label and differ in column `repeat`"
        why = "what was learnt from one presentation is tested on the other: the score is inflated"
        problems.append(
            Problem(
                "E-SPLIT-01",
                "the same text stands in two runs that may train and test",
                file="runs.tsv",
                field="words",
                found=f"{first.run} and {run.run}",
                why=why,
                fix=fix,
                subject=subject,
            )
        )
    return problems


def grouped(problems: Iterable[Problem]) -> list[str]:
    """Problems as text; those that differ only in the subject are told once."""
    subjects: dict[Problem, list[str]] = {}
    for problem in problems:
        whose = f"model {problem.model}" if problem.model else problem.subject and f"subject {problem.subject}"
        subjects.setdefault(problem._replace(subject="", model=""), []).append(whose)
    return [
        f"{problem}" + (f"\n  {'concerns:':<10}{', '.join(filter(None, whose))}" if any(whose) else "")
        for problem, whose in subjects.items()
    ]
