"""The pictures of a recording, each with its words and its numbers: alignment, layer profiles, trajectories."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import pandas as pd

from pipeline.comparison import at_last_step
from pipeline.report import alignment, lag_figure, lags, steps
from pipeline.report import quality as traces
from pipeline.report.curves import Panel, in_words, panel
from pipeline.report.figures import LEAKY, Picture, picture
from pipeline.report.kinds import is_twin, kind_of
from pipeline.report.parts import AlignedRun, AlignedTogether, LagScan, Networks, QualityPart
from pipeline.report.profile import profile
from pipeline.report.rows import ALL, regions
from pipeline.report.tables import Table, profile_table
from pipeline.report.trajectory import trajectory_figure
from pipeline.report.words import plural

_REGIONS_PER_FIGURE, _MOST_FIGURES = 6, 4


class Drawn(NamedTuple):
    """A picture, the numbers in it, and what it says in a sentence (empty where the page says it elsewhere)."""

    picture: Picture
    table: Table
    sentence: str = ""


class Manner(NamedTuple):
    """What all pictures of a recording share: whose they are, what intervals are over, and each subject's own table."""

    who: str
    unit: str
    leaky: bool
    subjects: Mapping[str, pd.DataFrame]

    @property
    def warning(self) -> str:
        return f"{LEAKY}. " if self.leaky else ""


def strip(run: AlignedRun, where: str, leaky: bool) -> Picture:
    """Words and responses of one run on one clock."""
    return picture(
        lambda: alignment.alignment(run),
        alt=alignment.in_words(run, f"{LEAKY}. " if leaky else ""),
        caption=f"{where}. {alignment.caption(run)}",
        leaky=leaky,
    )


def together(found: AlignedTogether, where: str, leaky: bool) -> Picture:
    """What all runs say of their clock."""
    told = lags.together_caption(found)
    return picture(
        lambda: lag_figure.together_figure(found),
        alt=f"{LEAKY}. {told}" if leaky else told,
        caption=f"{where}. {told}",
        leaky=leaky,
    )


def lag_scan(scan: LagScan, where: str, leaky: bool) -> Drawn:
    """The encoding score with the words shifted."""
    sentence = (f"{LEAKY}. " if leaky else "") + lags.lag_sentence(scan)
    drawn = picture(
        lambda: lag_figure.lag_figure(scan), alt=sentence, caption=f"{where}. {lags.lag_caption(scan)}", leaky=leaky
    )
    return Drawn(drawn, lags.lag_table(scan, f"Numbers of the lag scan of {scan.model}: {where}"), sentence)


def quality(part: QualityPart, where: str, leaky: bool) -> Picture:
    """Movement, DVARS and the carpet of one run on one clock."""
    return picture(
        lambda: traces.quality_figure(part),
        alt=(f"{LEAKY}. " if leaky else "") + traces.in_words(part),
        caption=f"{where}. {traces.caption(part)}",
        leaky=leaky,
    )


def profiles(layers: pd.DataFrame, ceiling: bool, manner: Manner) -> tuple[list[Drawn], int]:
    """The whole, then regions by six; and how many regions are not drawn. `ceiling`: there is a valid one."""
    rest = [roi for roi in regions(layers) if roi != ALL]
    sets = [[ALL]] if ALL in set(layers["roi"]) else []
    sets += [rest[i : i + _REGIONS_PER_FIGURE] for i in range(0, len(rest), _REGIONS_PER_FIGURE)]
    last = manner._replace(subjects={subject: at_last_step(table) for subject, table in manner.subjects.items()})
    made = [_profile(layers, rois, ceiling, last) for rois in sets[: _MOST_FIGURES + 1]]
    return made, sum(map(len, sets[_MOST_FIGURES + 1 :]))


def trajectories(every: pd.DataFrame, networks: Sequence[Networks], manner: Manner) -> list[Drawn]:
    """One for each model with checkpoints; `every`: the table with all of them."""
    return [_trajectory(every, model, networks, manner) for model in steps.models_in_training(every)]


def _profile(layers: pd.DataFrame, rois: Sequence[str], ceiling: bool, manner: Manner) -> Drawn:
    where = "whole recording" if list(rois) == [ALL] else f"{plural(len(rois), 'region')}"
    panels = [panel(layers, roi, ceiling=ceiling, subjects=manner.subjects) for roi in rois]
    drawn = picture(
        lambda: profile(panels, unit=manner.unit, subjects=bool(manner.subjects)),
        alt=in_words(panels, manner.warning),
        caption=f"Layer profile, {where}: {manner.who}. {_how_drawn(layers, manner)}{_of_fewer(panels)}",
        leaky=manner.leaky,
    )
    return Drawn(drawn, profile_table(layers, rois, f"Numbers of the layer profile, {where}: {manner.who}"))


def _of_fewer(panels: Sequence[Panel]) -> str:
    """A warning to whoever reads a share of the ceiling off the figure."""
    if not any(one.n_ceiling for one in panels):
        return ""
    return " The ceiling is the mean over the targets where it is valid, scores are means over all: their shares are in the table of scores."


def _how_drawn(layers: pd.DataFrame, manner: Manner) -> str:
    weights = dict.fromkeys(layers["weights"])
    banded = bool(layers.loc[layers["weights"] == "trained", "r_low"].notna().any())
    told = [
        "Solid: trained"
        + (f", band: interval over {manner.unit or 'a unit that was not given'}." if banded else ", without interval.")
    ]
    told += ["Thin: each subject; thick: their mean."] if manner.subjects else []
    kinds = [kind_of(w).many for w in weights if is_twin(w)]
    told += [f"Broken: {', '.join(kinds)}, mean and range over seeds."] if kinds else []
    told += ["Dotted: controls, at their only layer or the one chosen on inner folds."] if "" in weights else []
    told += ["Diamond: score at the layer chosen on inner folds."] if layers["chosen"].astype(bool).any() else []
    told += ["Of models with checkpoints: the last one."] if layers["step"].astype(bool).any() else []
    return " ".join(told)


def _trajectory(every: pd.DataFrame, model: str, networks: Sequence[Networks], manner: Manner) -> Drawn:
    rois = regions(every[every["model"] == model])
    found = [steps.trajectory(every, model, roi, manner.subjects) for roi in rois[: _REGIONS_PER_FIGURE + 1]]
    loss = steps.learning([p.step for p in found[0].points], model, networks)
    drawn = picture(
        lambda: trajectory_figure(found, loss, unit=manner.unit, subjects=bool(manner.subjects)),
        alt=steps.in_words(found, loss, manner.warning),
        caption=f"Trajectory of {model} over training: {manner.who}. {_how_followed(found, loss, manner)}"
        + (f" {plural(len(rois) - len(found), 'more region')} in layers.tsv only." if len(rois) > len(found) else ""),
        leaky=manner.leaky,
    )
    table = steps.trajectory_table(found, loss, f"Numbers of the trajectory of {model}: {manner.who}")
    return Drawn(drawn, table, manner.warning + steps.trajectory_sentence(found[0], loss))


def _how_followed(found: Sequence[steps.Trajectory], loss: steps.Learning | None, manner: Manner) -> str:
    told = [
        f"r at the layer chosen on inner folds for each step anew. {steps.how_placed([p.step for p in found[0].points])}"
    ]
    told += [f"Band: interval over {manner.unit}."] if any(p.low == p.low for one in found for p in one.points) else []
    told += ["Thin: each subject."] if manner.subjects else []
    told += (
        ["Right: loss on the stimulus text; dashed: ln(vocabulary), that of a network that knows nothing."]
        if loss
        else []
    )
    return " ".join(told)
