"""What the templates print of an MEG, EEG or iEEG recording: its tables and pictures, and why one is not there."""

from collections.abc import Sequence
from typing import NamedTuple

import pandas as pd

from pipeline.comparison import at_last_step
from pipeline.report import drawn as pictures
from pipeline.report.drawn import Drawn
from pipeline.report.figures import LEAKY, Picture
from pipeline.report.meg_clock import clock_table, evoked_table, triggers_table, worst
from pipeline.report.meg_clock_figure import clock_caption, clock_figure, clock_in_words, has_picture
from pipeline.report.meg_course import (
    course_caption,
    course_in_words,
    course_sentence,
    course_table,
    courses,
    passives,
)
from pipeline.report.meg_course_figure import course_figure
from pipeline.report.meg_data import (
    Presented,
    bads_table,
    epochs_table,
    in_short,
    presented,
    recorded_table,
    steps_table,
)
from pipeline.report.meg_heat import heat_caption, heat_figure, heat_in_words, heat_table, heats
from pipeline.report.meg_parts import (
    NO_ROWS,
    MegPart,
    SensedRun,
    tidy_beside,
    tidy_clusters,
    tidy_latencies,
    tidy_passive,
    tidy_peaks,
)
from pipeline.report.meg_places import drawable_kinds
from pipeline.report.meg_spectra import (
    bads_figure,
    bads_in_words,
    has_spectra,
    spectra_figure,
    spectra_in_words,
    spectra_table,
)
from pipeline.report.meg_tables import beside_table, clusters_table, clusters_told, peaks_table
from pipeline.report.meg_topo import heads, heads_caption, heads_figure, heads_in_words, heads_table, not_drawn
from pipeline.report.tables import Table

_MOST_RUNS, _MOST_MODELS = 2, 2  # a picture takes a second to draw; the tables hold the rest


class MegView(NamedTuple):
    """The sections of a recording that is resolved in time, ready to print. `absent` says what is not shown and why, by section."""

    short: Sequence[str]
    files: Table
    steps: Table
    bads: Table
    epochs: Table
    spectra: Sequence[Drawn]
    places: Picture | None
    clock: Table
    triggers: Table
    clocks: Sequence[Drawn]
    heats: Sequence[Drawn]
    heads: Sequence[Drawn]
    courses: Sequence[Drawn]
    peaks: Table
    clusters: Table
    clusters_told: Sequence[str]
    beside: Table
    absent: dict[str, Sequence[str]]


class GroupCourses(NamedTuple):
    """When, over subjects, ready to print."""

    heats: Sequence[Drawn]
    courses: Sequence[Drawn]
    clusters: Table
    clusters_told: Sequence[str]


class _Page(NamedTuple):
    """What all pictures share."""

    where: str
    leaky: bool
    ceiling: bool
    unit: str = "folds"

    @property
    def warning(self) -> str:
        return f"{LEAKY}. " if self.leaky else ""


def meg_view(part: MegPart, *, where: str, leaky: bool, ceiling: bool) -> MegView:
    """Everything the template shows beside what every recording has. `ceiling`: there is a valid one."""
    page, files = _Page(where, leaky, ceiling), presented(part.runs)
    latencies = at_last_step(tidy_latencies(part.latencies))
    peaks, clusters, passive = tidy_peaks(part.peaks), tidy_clusters(part.clusters), tidy_passive(part.passive)
    heat = _heats(latencies, clusters, page)
    course = _courses(latencies, peaks, clusters, passive, page)
    head = _heads(part, clusters, page)
    return MegView(
        short=in_short(part.runs), files=recorded_table(files, f"What was recorded, {where}"),
        steps=steps_table(files, f"Steps of cleaning, {where}"), bads=bads_table(files, f"Bad channels, {where}"),
        epochs=epochs_table(files, f"Epochs around words, {where}"), spectra=_spectra(part.runs, page),
        places=_places(part, files, page), clock=clock_table(part.runs, f"Words against the recording, {where}"),
        triggers=triggers_table(part.runs, f"Triggers against words, {where}"), clocks=_clocks(part.runs, page), heats=heat, heads=head, courses=course,
        peaks=peaks_table(peaks, f"Peaks after word onset, {where}"), clusters=clusters_table(clusters, f"Clusters, {where}"),
        clusters_told=clusters_told(clusters),
        beside=beside_table(tidy_beside(part.beside), f"What models add to controls, each with a penalty of its own, {where}"), absent=_absent(part, latencies, head, heat, course),
    )  # fmt: skip


def group_courses(
    latencies: pd.DataFrame, clusters: pd.DataFrame, *, who: str, leaky: bool, ceiling: bool
) -> GroupCourses | None:
    """When over subjects; None where the recording is not resolved in time."""
    if latencies.empty:
        return None
    page, own = _Page(who, leaky, ceiling, "subjects"), at_last_step(tidy_latencies(latencies))
    found = tidy_clusters(clusters)
    nothing = tidy_peaks(NO_ROWS), found, tidy_passive(NO_ROWS)
    return GroupCourses(
        _heats(own, found, page),
        _courses(own, *nothing, page),
        clusters_table(found, f"Clusters over subjects, {who}"),
        clusters_told(found),
    )


def _spectra(runs: Sequence[SensedRun], page: _Page) -> list[Drawn]:
    """Runs with most bad channels first."""
    known = sorted((run for run in runs if has_spectra(run)), key=lambda run: -_n_bad(run))
    return [_spectrum(run, page) for run in known[:_MOST_RUNS]]


def _spectrum(run: SensedRun, page: _Page) -> Drawn:
    told = "Broken grey: as recorded; blue: after cleaning; bands: the middle nine tenths of the channels."
    picture = pictures.picture(
        lambda: spectra_figure(run),
        alt=page.warning + spectra_in_words(run),
        caption=f"{page.where}. Power spectra of run {run.run}. {told}",
        leaky=page.leaky,
    )
    return Drawn(picture, spectra_table(run, f"Numbers of the spectra of run {run.run}"))


def _places(part: MegPart, files: Sequence[Presented], page: _Page) -> Picture | None:
    sensors = part.sensors
    if sensors is None or not drawable_kinds(sensors):
        return None
    return pictures.picture(
        lambda: bads_figure(sensors, files),
        alt=page.warning + bads_in_words(sensors, files),
        caption=f"{page.where}. Filled: channels that are bad in any file; rings: the others. Seen from above, nose up.",
        leaky=page.leaky,
    )


def _clocks(runs: Sequence[SensedRun], page: _Page) -> list[Drawn]:
    known = [run for run in worst(runs) if has_picture(run)]
    return [_clock(run, page) for run in known[:_MOST_RUNS]]


def _clock(run: SensedRun, page: _Page) -> Drawn:
    picture = pictures.picture(
        lambda: clock_figure(run),
        alt=page.warning + clock_in_words(run),
        caption=f"{page.where}. {clock_caption(run)}",
        leaky=page.leaky,
    )
    return Drawn(picture, evoked_table(run, f"Global field power around word onset, run {run.run}"))


def _heats(latencies: pd.DataFrame, clusters: pd.DataFrame, page: _Page) -> list[Drawn]:
    return [
        Drawn(
            pictures.picture(
                lambda heat=heat: heat_figure(heat),
                alt=page.warning + heat_in_words(heat),
                caption=f"{page.where}. {heat_caption(heat)}",
                leaky=page.leaky,
            ),
            heat_table(heat, f"Numbers of time by layer, {heat.model}: {page.where}"),
            page.warning + heat_in_words(heat),
        )
        for heat in heats(latencies, clusters, ceiling=page.ceiling)[:_MOST_MODELS]
    ]


def _heads(part: MegPart, clusters: pd.DataFrame, page: _Page) -> list[Drawn]:
    if part.sensors is None or not drawable_kinds(part.sensors):
        return []
    found = [heads(scores, part.sensors, clusters) for scores in part.scores[:_MOST_MODELS]]
    return [
        Drawn(
            pictures.picture(
                lambda one=one: heads_figure(one),
                alt=page.warning + heads_in_words(one),
                caption=f"{page.where}. {heads_caption(one)}",
                leaky=page.leaky,
            ),
            heads_table(one, f"Numbers of the topographies of {one.model}: {page.where}"),
        )
        for one in found
    ]


def _courses(
    latencies: pd.DataFrame, peaks: pd.DataFrame, clusters: pd.DataFrame, passive: pd.DataFrame, page: _Page
) -> list[Drawn]:
    trained = list(dict.fromkeys(latencies.loc[latencies["weights"] == "trained", "model"]))[:_MOST_MODELS]
    models = trained or list(dict.fromkeys(latencies["model"]))[:1]
    made = []
    for model in models:
        found, targets = courses(latencies, peaks, clusters, model, ceiling=page.ceiling), passives(passive, model)
        if found:
            picture = pictures.picture(
                lambda found=found, targets=targets: course_figure(found, targets),
                alt=page.warning + course_in_words(found, targets),
                caption=f"{page.where}. {course_caption(found, targets, page.unit)}",
                leaky=page.leaky,
            )
            table = course_table(found, targets, f"Numbers of the time course of {model}: {page.where}")
            made.append(Drawn(picture, table, page.warning + course_sentence(found)))
    return made


def _absent(
    part: MegPart, latencies: pd.DataFrame, head: Sequence[Drawn], heat: Sequence[Drawn], course: Sequence[Drawn]
) -> dict[str, Sequence[str]]:
    """Why a section has no picture, in sentences."""
    no_rows = "No scores by latency were saved for this recording."
    trained = bool((latencies["weights"] == "trained").any())
    why = no_rows if latencies.empty else "No trained model has scores by latency." if not trained else ""
    told = {str(run.summary.get("why_no_places") or "") for run in part.runs}
    places = not_drawn(part.sensors, "; ".join(sorted(told - {""}))) if part.sensors else ["No channels were saved with the recording."]  # fmt: skip
    spectra = [] if any(has_spectra(run) for run in part.runs) else ["No spectra were saved with the recording."]
    clocks = [] if any(map(has_picture, part.runs)) else ["Nothing to draw: neither triggers nor epochs were saved."]
    heads_told = [*places, *([] if head or places else ["No trained model has scores by channel."])]
    return {
        "spectra": spectra,
        "places": places,
        "clocks": clocks,
        "heats": [] if heat else [why or "No layer of a trained model has scores by latency."],
        "heads": heads_told,
        "courses": [] if course else [why or "No layer was chosen on inner folds."],
    }


def _n_bad(run: SensedRun) -> int:
    return sum(len(names) for facts in run.presentations for names in (facts.get("bads") or {}).values())
