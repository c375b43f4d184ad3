"""What the pages are made of, gathered from a study's saved files."""

import platform
import re
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import yaml

from pipeline import __version__, arrays
from pipeline.config import Study, without_versions
from pipeline.datasets.words import against_run, read_words
from pipeline.jobs import Job, load_tables, load_words, warnings_of
from pipeline.problems import Problem, StudyError
from pipeline.report import AlignedRun, GroupPage, GroupPart, IndexEntry, IndexPage, RecordingPart, SubjectPage, UsedRun
from pipeline.runs import Run
from pipeline.timing import outside, to_grid

if TYPE_CHECKING:
    import xarray as xr

LAGS_S = 20.0
EXPECTED_S = {"fmri": (3.0, 8.0), "arrays": (3.0, 8.0)}  # where the blood's answer to words should peak
MOST_AT_EDGE = 0.05  # share of targets at the end of the alpha grid from which it is worth a warning


def of_subject(job: Job) -> tuple[SubjectPage, list[Path]]:
    """A subject's page, and the files it was made from."""
    study = Study.from_told(job.settings["study"])
    plan = study.plan(job.out.root)
    parts, found, inputs = [], [], []
    for recording in plan.recordings(job.subject):
        part, problems, paths = _recording(job._replace(recording=recording), study, plan.runs[job.subject, recording])
        parts.append(part)
        found += problems
        inputs += paths
    page = SubjectPage(
        study=study.study, subject=job.subject, recordings=parts, warnings=list(dict.fromkeys(found)),
        provenance=provenance(study, inputs, job), settings_yaml=settings_yaml(study), leaky=study.leaky(), tool_version=__version__,
    )  # fmt: skip
    return page, inputs


def _recording(job: Job, study: Study, runs: list[Run]) -> tuple[RecordingPart, list[Problem], list[Path]]:
    layers, contrasts, inputs = load_tables(job, [(job.subject, job.recording)])
    top = job.out.ceiling(job.subject, job.recording)
    ceiling = arrays.load(top, "target")
    recordings = {r.run: arrays.load(job.out.recording(job.subject, job.recording, r.run)) for r in runs}
    words = {r.run: load_words(job.out.words(r.run)) for r in runs}
    edges = {m: _edge(arrays.load(job.out.scores(job.subject, job.recording, m))) for m in study.models}
    shown = next((r for r in runs if r.split == "test"), runs[0])
    settings = study.recordings[job.recording]
    kinds = [str(name) for name in ceiling.data_vars if f"{name}_valid" in ceiling]
    valid = max((int(ceiling[f"{kind}_valid"].sum()) for kind in kinds), default=0)
    aligned = align(
        shown, recordings[shown.run], words[shown.run], EXPECTED_S.get(settings.kind), study.report.show_text
    )
    part = RecordingPart(
        label=job.recording, kind=settings.kind, layers=layers, comparison=contrasts, aligned=[aligned], edge_share=edges,
        used=[_used(r, recordings[r.run], words[r.run]) for r in runs],
        ceiling_note="" if valid else _reason(ceiling, kinds), n_ceiling_valid=valid, n_targets=ceiling.sizes["target"],
        interval_unit=str(layers["interval_unit"].iloc[0]) + " of the tested runs", notes=_notes(study, job.recording),
    )  # fmt: skip
    problems = [p for ds in recordings.values() for p in warnings_of(ds)]
    problems += [p for r in runs for p in _words_warnings(job, r, recordings[r.run])]
    paths = [*inputs, top, *(job.out.words(r.run) for r in runs)]
    paths += [job.out.recording(job.subject, job.recording, r.run) for r in runs]
    paths += [job.out.scores(job.subject, job.recording, model) for model in study.models]
    return part, problems + _timing(aligned, job) + _edges(edges, job), paths


def _used(run: Run, ds: "xr.Dataset", words: pd.DataFrame) -> UsedRun:
    tr_s, n = float(ds.attrs["tr_s"]), ds.sizes["sample"]
    out = outside(words["onset"].to_numpy(float), ds["time"].values)
    return UsedRun(run.run, run.split, n, tr_s, n * tr_s, len(words), out, ds.sizes.get("repeat", 1))


def _edge(ds: "xr.Dataset") -> float:
    """Share of fits at the edge of the grid; a constant prediction is the same at every alpha and does not count."""
    return float(np.nan_to_num(ds["edge_share"].where(ds["flat"] == 0).mean()))


def _reason(ceiling: "xr.Dataset", kinds: list[str]) -> str:
    reasons = [str(ceiling[kind].attrs.get("reason", "")) for kind in kinds]
    return next(filter(None, reasons), "no target's interval lies above zero")


def _notes(study: Study, recording: str) -> list[str]:
    settings = study.recordings[recording]
    future = [d for d in settings.delays if d < 0]
    notes = [f"Delays {future} read the FUTURE of the words: a control, no result."] if future else []
    if settings.how == "lanczos":
        reach = f"{3 / settings.cutoff_hz:g} s" if settings.cutoff_hz else "three samples"
        notes.append(
            f"The Lanczos filter looks {reach} to both sides, so a feature may hold that much of the words to come."
        )
    return notes


def align(
    run: Run, ds: "xr.Dataset", words: pd.DataFrame, expected_s: tuple[float, float] | None, show_text: str
) -> AlignedRun:
    """Words and samples of one run on one clock, and how the strongest follower of the word rate lags behind it.

    The signal is the target with the largest correlation, of either sign, at
    any lag: picked for its strength and not for its lag, so the lag is a check.
    """
    times, tr_s = ds["time"].values.astype(float), float(ds.attrs["tr_s"])
    onsets = words["onset"].to_numpy(float)
    rate = to_grid(np.ones((len(onsets), 1)), onsets, times, how="sum")[:, 0]
    Y = np.nan_to_num(ds["responses"].values.astype(float))
    steps = np.arange(-round(LAGS_S / tr_s), round(LAGS_S / tr_s) + 1)
    table = np.stack([_lagged_r(rate, Y, step) for step in steps])
    best = int(np.argmax(np.abs(table).max(axis=0)))
    sign = np.sign(table[np.abs(table[:, best]).argmax(), best]) or 1.0
    name = f"{ds['target'].values[best]}{' (sign turned)' if sign < 0 else ''}"
    return AlignedRun(
        run=run.run, onsets=onsets - times[0], durations=words["duration"].to_numpy(float),
        words=list(words["word"]) if show_text == "snippet" else [""] * len(words), sample_times_s=times - times[0], tr_s=tr_s,
        word_rate=rate, signal=sign * Y[:, best], signal_name=name, lags_s=steps * tr_s, xcorr=sign * table[:, best], expected_s=expected_s,
    )  # fmt: skip


def _lagged_r(rate: np.ndarray, Y: np.ndarray, step: int) -> np.ndarray:
    """Correlation of the word rate with every target `step` samples later."""
    n = len(rate) - abs(step)
    if n < 10:
        return np.zeros(Y.shape[1])
    x, y = rate[max(-step, 0) :][:n], Y[max(step, 0) :][:n]
    x, y = x - x.mean(), y - y.mean(axis=0)
    scale = np.sqrt((x**2).sum() * (y**2).sum(axis=0))
    return np.divide(x @ y, scale, out=np.zeros(Y.shape[1]), where=scale > 0)


def _timing(aligned: AlignedRun, job: Job) -> list[Problem]:
    """Row 26: words of another run, or shifted ones, show as a peak in the wrong place."""
    peak = float(aligned.lags_s[np.argmax(np.abs(aligned.xcorr))])
    if aligned.expected_s is None or aligned.expected_s[0] <= peak <= aligned.expected_s[1]:
        return []
    low, high = aligned.expected_s
    return [
        Problem(
            "W-WORDS-09", "responses do not follow the words when they should", file=f"run {aligned.run}", field=aligned.signal_name,
            found=f"the word rate correlates most at a lag of {peak:g} s", expected=f"{low:g} to {high:g} s",
            why="words of another run, a wrong start_s, or a signal too weak to tell", fix="look at the alignment picture", subject=job.subject,
        )
    ]  # fmt: skip


def _words_warnings(job: Job, run: Run, ds: "xr.Dataset") -> list[Problem]:
    try:
        words, found = read_words(job.folder / run.words, name=run.words, subject=job.subject)
    except StudyError as error:
        return list(error.problems)
    length = ds.sizes["sample"] * float(ds.attrs["tr_s"])
    return found + against_run(
        words, start_s=run.start_s, length_s=length, tr_s=float(ds.attrs["tr_s"]), name=run.words, subject=job.subject
    )


def _edges(edges: Mapping[str, float], job: Job) -> list[Problem]:
    fix = "widen encoding.alphas towards that end, and see whether scores move"
    return [
        Problem(
            "W-ENCODE-01", f"alphas of {model} lie at the edge of the grid", field="encoding.alphas", found=f"{share:.0%} of fits",
            expected=f"at most {MOST_AT_EDGE:.0%}", why="a model that explains nothing ends at the largest alpha", fix=fix, subject=job.subject,
        )
        for model, share in edges.items() if share > MOST_AT_EDGE
    ]  # fmt: skip


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
        note = "" if own["ceiling"].notna().any() else "no subject has a valid ceiling"
        parts.append(
            GroupPart(label, study.recordings[label].kind, *of_label, subjects, note, interval_unit="subjects")
        )
    excluded = {s: "a problem stopped this subject; see the messages of the run" for s in job.left_out}
    return GroupPage(
        study=study.study, asked=[*asked], used=plan.subjects, excluded=excluded, recordings=parts,
        links={s: job.out.subject_page(s).name for s in plan.subjects}, provenance=provenance(study, inputs, job),
        settings_yaml=settings_yaml(study), leaky=study.leaky(), tool_version=__version__,
    )  # fmt: skip


def index(page: GroupPage, layers: pd.DataFrame) -> IndexPage:
    """The first page: where everything is, with each subject's result in a line."""
    entries = [IndexEntry("Group", "group.html", f"{len(page.used)} of {len(page.asked)} subjects", None)]
    for subject, href in page.links.items():
        entries.append(IndexEntry(f"Subject {subject}", href, _line(layers[layers["subject"] == subject]), None))
    return IndexPage(page.study, entries, page.warnings, page.leaky, page.tool_version)


def _line(layers: pd.DataFrame) -> str:
    """The nested scores of every model with layers, over all targets."""
    rows = layers[
        (layers["roi"] == "all")
        & (layers["layer"] == "nested")
        & (layers["weights"] != "")
        & layers["seed"].isin(["", "mean"])
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
