"""What the templates print of a recording: tables and pictures, made from its tables."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd

from pipeline.comparison import at_last_step
from pipeline.report.certificate import CertificateView, certificate_view, group_table
from pipeline.report.choice import choice_table, gap_sentences
from pipeline.report.drawn import Drawn, Manner, lag_scan, profiles, quality, strip, together, trajectories
from pipeline.report.figures import Picture
from pipeline.report.inference import inference_sentences
from pipeline.report.ledger import LedgerView, ledger_view
from pipeline.report.meg_views import GroupCourses, MegView, group_courses, meg_view
from pipeline.report.partition import PartitionView, partition_view
from pipeline.report.parts import AlignedRun, GroupPart, Networks, QualityPart, RecordingPart
from pipeline.report.quality import absences, has_traces, limits, quality_table
from pipeline.report.result import Ceiling, ceiling_of, too_few
from pipeline.report.rows import ALL, tidy_comparison, tidy_layers
from pipeline.report.tables import (
    Table,
    alignment_table,
    comparison_table,
    fits_table,
    results_table,
    used_table,
)
from pipeline.report.words import plural

_MOST_STRIPS, _MOST_GREEN, _MOST_QUALITY = 4, 2, 2  # a picture takes a second to draw; the tables hold every run


class QualityView(NamedTuple):
    """How good the runs of a recording are, ready to print."""

    table: Table
    pictures: Sequence[Picture]
    left: int
    limits: Sequence[str]
    absent: Sequence[str]


class RecordingView(NamedTuple):
    """One recording of a subject, ready to print."""

    key: str
    label: str
    kind: str
    notes: Sequence[str]
    used: Table
    strips: Sequence[Picture]
    strips_left: int
    aligned: Table
    together: Picture | None
    lag_scans: Sequence[Drawn]
    quality: QualityView
    profiles: Sequence[Drawn]
    regions_left: int
    trajectories: Sequence[Drawn]
    weights: Sequence[str]
    results: Table
    choice: Table
    gaps: Sequence[str]
    comparison: Table
    concluded: Sequence[str]
    fits: Table
    ceiling: Ceiling
    interval_unit: str
    meg: MegView | None
    certificate: CertificateView | None
    ledger: LedgerView | None
    partition: PartitionView | None


class GroupView(NamedTuple):
    """One recording over subjects, ready to print."""

    key: str
    label: str
    kind: str
    notes: Sequence[str]
    refused: str
    profiles: Sequence[Drawn]
    regions_left: int
    trajectories: Sequence[Drawn]
    weights: Sequence[str]
    results: Table
    choice: Table
    gaps: Sequence[str]
    comparison: Table
    concluded: Sequence[str]
    per_subject: Table
    ceiling: Ceiling
    interval_unit: str
    courses: GroupCourses | None
    certificates: Table | None
    partition: PartitionView | None


def recording_view(
    part: RecordingPart, i: int, *, subject: str, leaky: bool, networks: Sequence[Networks] = ()
) -> RecordingView:
    """Everything the template shows of one recording of a subject."""
    every, comparison = tidy_layers(part.layers), tidy_comparison(part.comparison)
    layers = at_last_step(every)
    ceiling, where = ceiling_of(part, layers), f"sub-{subject}, {part.label}"
    who = f"{where}, N = {plural(part.n_targets, 'target')} in all" if part.n_targets else where
    manner = Manner(who, part.interval_unit, leaky, {})
    drawn, left = profiles(layers, ceiling.valid, manner)
    return RecordingView(
        key=f"rec{i}",
        label=part.label,
        kind=part.kind,
        notes=part.notes,
        used=used_table(part.used, f"Runs used, {where}, N = {plural(len(part.used), 'run')}"),
        strips=[strip(run, where, leaky) for run in worst_clocks(part.aligned)],
        strips_left=len(part.aligned) - len(worst_clocks(part.aligned)),
        aligned=alignment_table(
            part.aligned, f"Words against responses, {where}, N = {plural(len(part.aligned), 'run')}", part.together
        ),
        together=together(part.together, where, leaky) if part.together else None,
        lag_scans=[lag_scan(scan, where, leaky) for scan in part.lag_scans],
        quality=quality_view(part.quality, where, leaky),
        profiles=drawn,
        regions_left=left,
        trajectories=trajectories(every, networks, manner),
        weights=tuple(dict.fromkeys(layers["weights"])),
        results=results_table(layers, f"Scores at the layer chosen on inner folds, {who}", ceiling=ceiling.valid),
        choice=choice_table(layers, f"The choice of layers, {who}"),
        gaps=gap_sentences(layers) if ceiling.valid else [],
        comparison=comparison_table(comparison, f"Comparisons, {where}"),
        concluded=inference_sentences(comparison),
        fits=fits_table(part.fits, f"Alphas chosen from the grid and columns of the designs, {where}"),
        ceiling=ceiling,
        interval_unit=part.interval_unit,
        meg=meg_view(part.meg, where=where, leaky=leaky, ceiling=ceiling.valid) if part.meg else None,
        certificate=certificate_view(part.certificate, where, leaky),
        ledger=ledger_view(part.ledger, who, leaky=leaky),
        partition=partition_view(part.partition, where, unit="blocks of the tested samples", leaky=leaky),
    )


def worst_clocks(runs: Sequence[AlignedRun]) -> list[AlignedRun]:
    """What is drawn: red runs first, then amber ones, and a few that are well."""
    order = ("red", "amber", None, "green")
    found = sorted(runs, key=lambda run: order.index(run.light))
    unsure = sum(run.light != "green" for run in found)
    return found[: min(_MOST_STRIPS, max(unsure, _MOST_GREEN))]


def quality_view(parts: Sequence[QualityPart], where: str, leaky: bool) -> QualityView:
    """The table of all runs, pictures of those that moved most, and what was not done or not had."""
    drawable = sorted((part for part in parts if has_traces(part)), key=lambda part: -np.nan_to_num(part.fd_max))
    return QualityView(
        quality_table(parts, f"Data quality, {where}, N = {plural(len(parts), 'run')}"),
        [quality(part, where, leaky) for part in drawable[:_MOST_QUALITY]],
        max(len(drawable) - _MOST_QUALITY, 0),
        limits(parts),
        absences(parts),
    )


def group_view(part: GroupPart, i: int, *, leaky: bool, networks: Sequence[Networks] = ()) -> GroupView:
    """Everything the template shows of one recording over subjects."""
    every, comparison = tidy_layers(part.layers), tidy_comparison(part.comparison)
    subjects = {subject: tidy_layers(table) for subject, table in part.subjects.items()}
    refused, n = too_few(part), len(subjects)
    if refused:
        every = every.assign(r_low=float("nan"), r_high=float("nan"))
    layers = at_last_step(every)
    ceiling, who = ceiling_of(part, layers), f"{part.label}, N = {plural(n, 'subject')}"
    manner = Manner(who, part.interval_unit, leaky, subjects)
    drawn, left = profiles(layers, ceiling.valid, manner)
    return GroupView(
        key=f"rec{i}",
        label=part.label,
        kind=part.kind,
        notes=part.notes,
        refused=refused,
        profiles=drawn,
        regions_left=left,
        trajectories=trajectories(every, networks, manner),
        weights=tuple(dict.fromkeys(layers["weights"])),
        results=results_table(layers, f"Scores at the layer chosen on inner folds, {who}", ceiling=ceiling.valid),
        choice=choice_table(layers, f"The choice of layers, {who}"),
        gaps=gap_sentences(layers) if ceiling.valid else [],
        comparison=comparison_table(comparison, f"Comparisons, {who}", inference=not refused),
        concluded=inference_sentences(comparison),
        per_subject=_per_subject(subjects, f"Each subject's own scores, whole recording, {who}", ceiling),
        ceiling=ceiling,
        interval_unit=part.interval_unit,
        courses=group_courses(part.latencies, part.clusters, who=who, leaky=leaky, ceiling=ceiling.valid),
        certificates=group_table(part.certificates, who),
        partition=partition_view(part.partition, part.label, unit="" if refused else part.interval_unit, leaky=leaky),
    )


def _per_subject(subjects: Mapping[str, pd.DataFrame], caption: str, ceiling: Ceiling) -> Table:
    last = {subject: at_last_step(table) for subject, table in subjects.items()}
    whole = [(s, results_table(t[t["roi"] == ALL], "", ceiling=ceiling.valid)) for s, t in last.items()]
    columns = ["subject", *(whole[0][1].columns[1:] if whole else ["model"])]
    rows = [[f"sub-{subject}", *row[1:]] for subject, table in whole for row in table.rows]
    return Table(caption, columns, rows, frozenset(range(4, len(columns))))
