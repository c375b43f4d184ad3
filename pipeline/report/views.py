"""What the templates print of a recording: tables and pictures, made from its tables."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import pandas as pd

from pipeline.report import alignment
from pipeline.report.curves import in_words, panel
from pipeline.report.figures import LEAKY, Picture, picture
from pipeline.report.parts import AlignedRun, GroupPart, RecordingPart
from pipeline.report.profile import profile
from pipeline.report.result import Ceiling, ceiling_of, too_few
from pipeline.report.tables import (
    ALL,
    Table,
    alignment_table,
    comparison_table,
    edge_table,
    profile_table,
    regions,
    results_table,
    tidy_comparison,
    tidy_layers,
    used_table,
)
from pipeline.report.words import is_number, plural

_REGIONS_PER_FIGURE, _MOST_FIGURES, _MOST_STRIPS = 6, 4, 6
_WIDE_EDGE = 0.1


class Profile(NamedTuple):
    """A layer profile and the numbers in it."""

    picture: Picture
    table: Table


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
    profiles: Sequence[Profile]
    regions_left: int
    results: Table
    comparison: Table
    edges: Table
    edge_warning: str
    ceiling: Ceiling
    interval_unit: str


class GroupView(NamedTuple):
    """One recording over subjects, ready to print."""

    key: str
    label: str
    kind: str
    notes: Sequence[str]
    refused: str
    profiles: Sequence[Profile]
    regions_left: int
    results: Table
    comparison: Table
    per_subject: Table
    ceiling: Ceiling
    interval_unit: str


def recording_view(part: RecordingPart, i: int, *, subject: str, leaky: bool) -> RecordingView:
    """Everything the template shows of one recording of a subject."""
    layers, comparison = tidy_layers(part.layers), tidy_comparison(part.comparison)
    ceiling, where = ceiling_of(part, layers), f"sub-{subject}, {part.label}"
    who = f"{where}, N = {plural(part.n_targets, 'target')} in all" if part.n_targets else where
    profiles, left = _profiles(layers, who, part.interval_unit, ceiling, leaky, {})
    return RecordingView(
        key=f"rec{i}",
        label=part.label,
        kind=part.kind,
        notes=part.notes,
        used=used_table(part.used, f"Runs used, {where}, N = {plural(len(part.used), 'run')}"),
        strips=[_strip(run, where, leaky) for run in part.aligned[:_MOST_STRIPS]],
        strips_left=max(len(part.aligned) - _MOST_STRIPS, 0),
        aligned=alignment_table(
            part.aligned, f"Words against responses, {where}, N = {plural(len(part.aligned), 'run')}"
        ),
        profiles=profiles,
        regions_left=left,
        results=results_table(layers, f"Scores at the layer chosen on inner folds, {who}", ceiling=ceiling.valid),
        comparison=comparison_table(comparison, f"Comparisons, {where}"),
        edges=edge_table(part.edge_share, f"Alphas at an edge of the grid, {where}"),
        edge_warning=_edge_warning(part.edge_share),
        ceiling=ceiling,
        interval_unit=part.interval_unit,
    )


def group_view(part: GroupPart, i: int, *, leaky: bool) -> GroupView:
    """Everything the template shows of one recording over subjects."""
    layers, comparison = tidy_layers(part.layers), tidy_comparison(part.comparison)
    subjects = {subject: tidy_layers(table) for subject, table in part.subjects.items()}
    refused, n = too_few(part), len(subjects)
    if refused:
        layers = layers.assign(r_low=float("nan"), r_high=float("nan"))
    ceiling, who = ceiling_of(part, layers), f"{part.label}, N = {plural(n, 'subject')}"
    profiles, left = _profiles(layers, who, part.interval_unit, ceiling, leaky, subjects)
    return GroupView(
        key=f"rec{i}",
        label=part.label,
        kind=part.kind,
        notes=part.notes,
        refused=refused,
        profiles=profiles,
        regions_left=left,
        results=results_table(layers, f"Scores at the layer chosen on inner folds, {who}", ceiling=ceiling.valid),
        comparison=comparison_table(comparison, f"Comparisons, {who}", inference=not refused),
        per_subject=_per_subject(subjects, f"Each subject's own scores, whole recording, {who}", ceiling),
        ceiling=ceiling,
        interval_unit=part.interval_unit,
    )


def _profiles(
    layers: pd.DataFrame, who: str, unit: str, ceiling: Ceiling, leaky: bool, subjects: Mapping[str, pd.DataFrame]
) -> tuple[list[Profile], int]:
    rest = [roi for roi in regions(layers) if roi != ALL]
    sets = [[ALL]] if ALL in set(layers["roi"]) else []
    sets += [rest[i : i + _REGIONS_PER_FIGURE] for i in range(0, len(rest), _REGIONS_PER_FIGURE)]
    shown = sets[: _MOST_FIGURES + 1]
    made = [_profile(layers, rois, who, unit, ceiling, leaky, subjects) for rois in shown]
    return made, sum(map(len, sets[_MOST_FIGURES + 1 :]))


def _profile(
    layers: pd.DataFrame,
    rois: Sequence[str],
    who: str,
    unit: str,
    ceiling: Ceiling,
    leaky: bool,
    subjects: Mapping[str, pd.DataFrame],
) -> Profile:
    where = "whole recording" if list(rois) == [ALL] else f"{plural(len(rois), 'region')}"
    panels = [panel(layers, roi, ceiling=ceiling.valid, subjects=subjects) for roi in rois]
    drawn = picture(
        lambda: profile(panels, unit=unit, subjects=bool(subjects)),
        alt=in_words(panels, f"{LEAKY}. " if leaky else ""),
        caption=f"Layer profile, {where}: {who}. {_how_drawn(layers, unit, bool(subjects))}",
        leaky=leaky,
    )
    return Profile(drawn, profile_table(layers, rois, f"Numbers of the layer profile, {where}: {who}"))


def _how_drawn(layers: pd.DataFrame, unit: str, group: bool) -> str:
    weights = set(layers["weights"])
    banded = bool(layers.loc[layers["weights"] == "trained", "r_low"].notna().any())
    told = [
        "Solid: trained"
        + (f", band: interval over {unit or 'a unit that was not given'}." if banded else ", without interval.")
    ]
    told += ["Thin: each subject; thick: their mean."] if group else []
    told += ["Dashed: random twins, mean and range over seeds."] if "random" in weights else []
    told += ["Dotted: controls, which have no layers."] if "" in weights else []
    told += ["Diamond: score at the layer chosen on inner folds."] if layers["chosen"].astype(bool).any() else []
    return " ".join(told)


def _strip(run: AlignedRun, where: str, leaky: bool) -> Picture:
    note = f"{LEAKY}. " if leaky else ""
    told = picture(
        lambda: alignment.alignment(run),
        alt=alignment.in_words(run, note),
        caption=f"{where}. {alignment.caption(run)}",
        leaky=leaky,
    )
    return told


def _per_subject(subjects: Mapping[str, pd.DataFrame], caption: str, ceiling: Ceiling) -> Table:
    whole = [(s, results_table(t[t["roi"] == ALL], "", ceiling=ceiling.valid)) for s, t in subjects.items()]
    columns = ["subject", *(whole[0][1].columns[1:] if whole else ["model"])]
    rows = [[f"sub-{subject}", *row[1:]] for subject, table in whole for row in table.rows]
    return Table(caption, columns, rows, frozenset(range(4, len(columns))))


def _edge_warning(shares: Mapping[str, float]) -> str:
    wide = [model for model, share in shares.items() if is_number(share) and share > _WIDE_EDGE]
    if not wide:
        return ""
    return f"More than {_WIDE_EDGE:.0%} of the alphas of {', '.join(wide)} lie at an edge: a wider grid may change the scores."
