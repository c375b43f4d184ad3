"""What the pages are made of, gathered from a study's saved files."""

import platform
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import pandas as pd
import yaml

from pipeline import __version__, arrays, fits, losses, sensing, signs
from pipeline.comparison import NESTED, at_last_step
from pipeline.config import Study, without_versions
from pipeline.jobs import GROUP_PARTITION, PARTITION_TEXT, Job, load_tables, load_words, warnings_of
from pipeline.ledger import NONE_ABOVE_ZERO, dividing, kinds_of
from pipeline.ledger import TEXT as LEDGER_TEXT
from pipeline.problems import Problem, StudyError
from pipeline.report import (
    AlignedRun,
    Fits,
    GroupPage,
    GroupPart,
    IndexEntry,
    IndexPage,
    MegPart,
    Networks,
    QualityPart,
    RecordingPart,
    SensedRun,
    SubjectPage,
    UsedRun,
)
from pipeline.report.certificate import TEXT as CERTIFICATE_TEXT
from pipeline.report.meg_parts import NO_ROWS
from pipeline.runs import Run
from pipeline.samples import length_of_word
from pipeline.sensors import sensors_of
from pipeline.words import against_run, stimulus

if TYPE_CHECKING:
    import xarray as xr

MAPS_ARE = "as NIfTI, GIFTI or CIFTI like the recording"


def of_subject(job: Job) -> tuple[SubjectPage, list[Path]]:
    """A subject's page, and the files it was made from."""
    study = Study.from_told(job.settings["study"])
    plan = study.plan(job.out.root)
    parts, found, inputs, networks = [], [], [], {}
    for recording in plan.recordings(job.subject):
        part = _recording(job._replace(recording=recording), study, plan.runs[job.subject, recording])
        parts.append(part.part)
        found += part.problems
        inputs += part.inputs
        networks = part.networks | networks  # they read the same words in every recording
    known = losses.told_of([*networks.values()])
    page = SubjectPage(
        study=study.study, subject=job.subject, recordings=parts, warnings=list(dict.fromkeys([*found, *losses.problems(known)])),
        provenance=provenance(study, inputs, job), settings_yaml=settings_yaml(study), leaky=study.leaky(), tool_version=__version__,
        networks=known,
    )  # fmt: skip
    return page, inputs


class _Part(NamedTuple):
    """What one recording has for a subject's page, and the files it was made from; networks by model."""

    part: RecordingPart
    networks: dict[str, Networks]
    problems: list[Problem]
    inputs: list[Path]


def _recording(job: Job, study: Study, runs: list[Run]) -> _Part:
    layers, contrasts, inputs = load_tables(job, [(job.subject, job.recording)])
    top = job.out.ceiling(job.subject, job.recording)
    ceiling = arrays.load(top, "target")
    words = {r.run: load_words(job.out.words(r.run)) for r in runs}
    fitted, networks = _facts(job, study)
    settings = study.recordings[job.recording]
    kind = dividing(ceiling, np.ones(ceiling.sizes["target"], bool))
    valid = int(ceiling[f"{kind}_valid"].sum()) if kind else 0
    parts = [job.out.partition(job.subject, job.recording)] if study.partitioned() else []
    ledger, proof = (place(job.subject, job.recording) for place in (job.out.ledger, job.out.certificate))
    paths = [job.out.recording(job.subject, job.recording, r.run) for r in runs]
    in_time = study.in_time(job.recording)
    weights = [None] * len(runs) if in_time else signs.weights_of(study, paths, [words[r.run] for r in runs])
    seen = [_seen(job, study, r, p, words[r.run], w) for r, p, w in zip(runs, paths, weights, strict=True)]
    aligned = [one.aligned for one in seen if one.aligned]
    timing = signs.timing(job, study, aligned)
    meg, found = _in_time(job, study, seen) if in_time else (None, [])
    part = RecordingPart(
        label=job.recording, kind=settings.kind, layers=layers, comparison=contrasts, aligned=aligned, fits=fitted, meg=meg,
        used=[one.used for one in seen], quality=[one.quality for one in seen if one.quality], lag_scans=timing.scans,
        together=timing.together,
        ceiling_note="" if valid else _reason(ceiling), n_ceiling_valid=valid, n_targets=ceiling.sizes["target"],
        interval_unit=str(layers["interval_unit"].iloc[0]) + " of the tested runs", notes=_notes(study, job.recording),
        ledger=arrays.load_table(ledger, text=LEDGER_TEXT), certificate=arrays.load_table(proof, text=CERTIFICATE_TEXT),
        partition=_parts(job, parts),
    )  # fmt: skip
    problems = [p for one in seen for p in one.problems] + timing.problems + fits.problems(fitted, job.subject)
    paths = [*inputs, top, ledger, proof, *parts, *(job.out.words(r.run) for r in runs), *paths, *timing.inputs, *found]
    paths += [job.out.scores(job.subject, job.recording, model) for model in study.models]
    return _Part(part, networks, problems, paths)


def _in_time(job: Job, study: Study, seen: "list[_Seen]") -> tuple[MegPart, list[Path]]:
    return sensing.of_subject(job, study.weights(), [one.sensed for one in seen if one.sensed])


class _Seen(NamedTuple):
    """What one run has for a page."""

    used: UsedRun
    aligned: AlignedRun | None
    quality: QualityPart | None
    problems: list[Problem]
    sensed: SensedRun | None = None


def _seen(job: Job, study: Study, run: Run, path: Path, words: pd.DataFrame, weights: np.ndarray | None) -> _Seen:
    """Look at one run; its responses are read from the file and let go."""
    with arrays.opened(path, "sample", "target") as ds:
        if study.in_time(job.recording):
            problems = warnings_of(ds) + _words_warnings(job, run, ds)
            return _Seen(sensing.used(run, ds, words), None, None, problems, sensing.sensed(run, ds))
        aligned, unheard = signs.aligned(job, study, run, ds, words, weights)
        quality = signs.quality_of(run, ds)
        problems = warnings_of(ds) + _words_warnings(job, run, ds) + unheard
        return _Seen(sensing.used(run, ds, words), aligned, quality, problems)


def _facts(job: Job, study: Study) -> tuple[list[Fits], dict[str, Networks]]:
    """Of each model how its maps were fitted, and what its networks know of the text."""
    fitted, networks, weights = [], {}, study.weights()
    for model in study.models:  # one is held at a time
        scores = arrays.load(job.out.scores(job.subject, job.recording, model))
        fitted.append(fits.fits_of(model, scores, study.encoding.grid()))
        networks[model] = losses.networks_of(model, scores, weights[model])
    return fitted, networks


def _reason(ceiling: "xr.Dataset") -> str:
    """Why there is no valid ceiling, estimator by estimator."""
    kinds = kinds_of(ceiling)
    reasons = {kind: str(ceiling[kind].attrs.get("reason", "")) or NONE_ABOVE_ZERO for kind in kinds}
    return "; ".join(f"{kind}: {why}" if len(kinds) > 1 else why for kind, why in reasons.items()) or NONE_ABOVE_ZERO


def _notes(study: Study, recording: str) -> list[str]:
    settings = study.recordings[recording]
    if study.in_time(recording):
        return _notes_in_time(settings)
    future = [d for d in settings.delays if d < 0]
    notes = [f"Maps of the scores lie in sub-…/func, {MAPS_ARE}."] if settings.has_places else []
    notes += [f"Delays {future} read the FUTURE of the words: a control, no result."] if future else []
    if settings.how == "lanczos":
        reach = f"{3 / settings.cutoff_hz:g} s" if settings.cutoff_hz else "three samples"
        notes.append(
            f"The Lanczos filter looks {reach} to both sides, so a feature may hold that much of the words to come."
        )
    return notes


def _notes_in_time(settings: Any) -> list[str]:
    if settings.form != "continuous" or settings.window[0] >= 0:
        return []
    return [
        f"Delays from {settings.window[0]:g} s: those below 0 read the words to come; what they add is no answer to them."
    ]


def _words_warnings(job: Job, run: Run, ds: "xr.Dataset") -> list[Problem]:
    try:
        words, found = stimulus(job.folder, run)
    except StudyError as error:
        return list(error.problems)
    told = [p._replace(subject=job.subject) for p in found]
    if length_of_word(ds):  # its samples are words: cleaning counted and told those whose epochs leave the recording
        return told
    length, name = ds.sizes["sample"] * float(ds.attrs["tr_s"]), run.words or run.events
    start_s = float(ds["time"].values[0]) if sensors_of(ds) else run.start_s
    return told + against_run(
        words, start_s=start_s, length_s=length, tr_s=float(ds.attrs["tr_s"]), name=name, subject=job.subject
    )


def of_group(
    job: Job, study: Study, layers: pd.DataFrame, table: pd.DataFrame, contrasts: pd.DataFrame, inputs: list[Path]
) -> GroupPage:
    """The page of the whole study."""
    plan = study.plan(job.out.root, job.left_out)
    asked = study.subjects or study.plan(job.out.root).subjects
    parts = []
    for label in dict.fromkeys(recording for _, recording in plan.runs):
        own = layers[layers["recording"] == label]
        of_label = [t[t["recording"] == label].reset_index(drop=True) for t in (table, contrasts)]
        subjects = {str(s): part.reset_index(drop=True) for s, part in own.groupby("subject", sort=False)}
        courses = sensing.of_people(job, label, [*subjects]) if study.in_time(label) else (NO_ROWS, NO_ROWS, [])
        latencies, clusters, found = courses
        inputs = [*inputs, *(path for path in found if path not in inputs)]
        note = "" if own["ceiling"].notna().any() else "no subject has a valid ceiling"
        parts.append(
            GroupPart(
                label,
                study.recordings[label].kind,
                *of_label,
                subjects,
                note,
                interval_unit="subjects",
                latencies=latencies,
                clusters=clusters,
                certificates=_certificates(job, label, [*subjects]),
                partition=_parts(job, [job.out.top(GROUP_PARTITION)] if study.partitioned() else [], label),
            )
        )
        inputs = [*inputs, *(job.out.certificate(s, label) for s in subjects)]
    excluded = {s: "a problem stopped this subject; see the messages of the run" for s in job.left_out}
    networks, scores = _known_in_group(job, study, [*plan.runs])
    return GroupPage(
        study=study.study, asked=[*asked], used=plan.subjects, excluded=excluded, recordings=parts,
        links={s: job.out.subject_page(s).name for s in plan.subjects}, warnings=losses.problems(networks),
        provenance=provenance(study, [*inputs, *scores], job), settings_yaml=settings_yaml(study), leaky=study.leaky(),
        tool_version=__version__, networks=networks,
    )  # fmt: skip


def _certificates(job: Job, recording: str, subjects: list[str]) -> pd.DataFrame:
    """Those of all subjects, one below the other."""
    paths = [job.out.certificate(subject, recording) for subject in subjects]
    return pd.concat([arrays.load_table(path, text=CERTIFICATE_TEXT) for path in paths], ignore_index=True)


def _parts(job: Job, paths: list[Path], recording: str = "") -> pd.DataFrame:
    """What a model and controls explain apart, of one recording; no row where nobody asked."""
    if not paths:
        return NO_ROWS
    table = arrays.load_table(paths[0], text=PARTITION_TEXT)
    return table[table["recording"] == (recording or job.recording)].reset_index(drop=True)


def _known_in_group(job: Job, study: Study, which: list[tuple[str, str]]) -> tuple[list[Networks], list[Path]]:
    """What the networks know, from the first person's scores (they read the same words for everyone), and those files."""
    paths, found = {model: job.out.scores(*which[0], model) for model in study.models} if which else {}, []
    for model, path in paths.items():
        with arrays.opened(path) as scores:
            found.append(losses.networks_of(model, scores, study.weights()[model]))
    return losses.told_of(found), [*paths.values()]


def index(page: GroupPage, layers: pd.DataFrame) -> IndexPage:
    """The first page: where everything is, with each subject's result in a line."""
    entries = [IndexEntry("Group", "group.html", f"{len(page.used)} of {len(page.asked)} subjects", None)]
    for subject, href in page.links.items():
        entries.append(IndexEntry(f"Subject {subject}", href, _line(layers[layers["subject"] == subject]), None))
    return IndexPage(page.study, entries, page.warnings, page.leaky, page.tool_version)


def _line(layers: pd.DataFrame) -> str:
    """The nested scores of every model with layers, over all targets."""
    last = at_last_step(layers)
    rows = last[
        (last["roi"] == "all") & (last["layer"] == NESTED) & (last["weights"] != "") & last["seed"].isin(["", "mean"])
    ]
    return (
        "; ".join(f"{r.recording}: {r.model} r = {r.r:.3f} [{r.r_low:.3f}, {r.r_high:.3f}]" for r in rows.itertuples())
        or "controls only"
    )


def provenance(study: Study, inputs: list[Path], job: Job) -> dict[str, Any]:
    """Versions, inputs and the command, without anything of the machine."""
    record = arrays.made_by("report", {}, {})
    return {
        "brainalign": __version__,
        "commit": record["commit"],
        "python": platform.python_version(),
        "packages": record["packages"],
        "inputs": {job.out.name(path): arrays.checksum(path) for path in inputs},
        "command": "brainalign run study.yaml  # the settings of this page, saved as study.yaml",
    }


def settings_yaml(study: Study) -> str:
    """The whole study as YAML; absolute paths lose their folders, which are nobody's business."""
    return yaml.safe_dump(_private(without_versions(study.told())), sort_keys=False, allow_unicode=True)


def _private(told: Any) -> Any:
    if isinstance(told, dict):
        return {key: _private(value) for key, value in told.items()}
    if isinstance(told, list):
        return [_private(value) for value in told]
    if isinstance(told, str) and re.match(r"^(/|~|[A-Za-z]:\\)", told):
        return f"<…>/{Path(told).name}"
    return told
