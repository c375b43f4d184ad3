"""What a trajectory over training draws, taken out of the table: a score for each checkpoint, and the same in words."""

import re
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd

from pipeline.report.parts import Networks
from pipeline.report.rows import headline, layer_of
from pipeline.report.tables import Table
from pipeline.report.words import interval, is_number, number, plural

_MOST_TOLD = 12  # steps in an alternative text; the table under the figure has all
_NUMBERED = re.compile(r"^([0-9]+)([^0-9]*)$")


class Point(NamedTuple):
    """One checkpoint in one region: r at the layer chosen on inner folds for this step, nan where there is none."""

    step: str
    r: float
    low: float
    high: float
    layer: str


class Trajectory(NamedTuple):
    """One model in one region over its training; `thin` holds each subject's r, step by step."""

    model: str
    roi: str
    points: list[Point]
    thin: list[list[float]]


class Learning(NamedTuple):
    """Loss on the stimulus text at each of `steps` (nan where none was recorded); `ln_vocabulary` knows nothing."""

    steps: list[str]
    loss: list[float]
    ln_vocabulary: float


def models_in_training(layers: pd.DataFrame) -> list[str]:
    """Models that have checkpoints, in their order."""
    return list(dict.fromkeys(layers.loc[layers["step"] != "", "model"]))


def trajectory(layers: pd.DataFrame, model: str, roi: str, subjects: Mapping[str, pd.DataFrame]) -> Trajectory:
    """The scores of one model in one region, in the order of training."""
    points = _points(layers, model, roi)
    own = [{p.step: p.r for p in _points(table, model, roi)} for table in subjects.values()]
    return Trajectory(model, roi, points, [[r.get(p.step, np.nan) for p in points] for r in own])


def learning(steps: Sequence[str], model: str, networks: Sequence[Networks]) -> Learning | None:
    """The loss of each checkpoint; None where none was recorded."""
    known = next((n for n in networks if n.model == model), None)
    if known is None or not any(step in known.loss for step in steps):
        return None
    return Learning(list(steps), [float(known.loss.get(step, np.nan)) for step in steps], known.ln_vocabulary)


def tails(steps: Sequence[str]) -> list[str]:
    """Names of steps without the beginning that all share: "step10", "step20" differ in 10 and 20."""
    letters = zip(*steps, strict=False)  # to the end of the shortest
    alike = next((i for i, at in enumerate(letters) if len(set(at)) > 1), min(map(len, steps), default=0))
    shared = len("".join(steps[:1])[:alike].rstrip("0123456789"))
    return [step[shared:] for step in steps]


def places(steps: Sequence[str]) -> tuple[np.ndarray, bool]:
    """Where steps stand on the axis, and whether their numbers say so.

    Names that are the same but for one growing number stand at
    log2(1 + number / smallest positive number): training moves fastest at its
    start, and 0 has a place. All others stand evenly, in the order of training.
    """
    parts = [_NUMBERED.match(tail) for tail in tails(steps)]
    numbers = np.array([float(part[1]) for part in parts if part])
    alike = len({part[2] for part in parts if part}) == 1
    if len(numbers) < max(len(steps), 2) or not alike or (np.diff(numbers) <= 0).any():
        return np.arange(len(steps), dtype=float), False
    return np.log2(1 + numbers / numbers[numbers > 0].min()), True


def how_placed(steps: Sequence[str]) -> str:
    """The axis in words."""
    if places(steps)[1]:
        return "Steps are spaced by the logarithm of (1 + step / smallest step above 0), so that early ones can be told apart."
    return "Steps stand evenly, in the order of training, not to scale."


def trajectory_sentence(one: Trajectory, loss: Learning | None) -> str:
    """First, last and best step, how the layer was chosen, and what happened to the loss."""
    scored = [p for p in one.points if is_number(p.r)]
    if not scored:
        return f"No checkpoint of {one.model} has a score."
    first, last, best = scored[0], scored[-1], max(scored, key=lambda p: p.r)
    told = f"Over training ({plural(len(one.points), 'checkpoint')}), {one.model} goes from {_told(first)} to {_told(last)}, {_top(best, last)}"
    if len(scored) == 1:
        told = f"The one checkpoint of {one.model} with a score has {_told(first)}"
    return f"{told}; the layer is chosen on inner folds for each step.{_loss_told(loss)}"


def in_words(regions: Sequence[Trajectory], loss: Learning | None, leaky: str = "") -> str:
    """The alternative text: what is seen, with the numbers; of many steps the first, the last and the highest."""
    told = [f"Region {one.roi}: {_along(one.points, every=one is regions[0])}." for one in regions]
    if loss is not None:
        points = [Point(s, v, np.nan, np.nan, "") for s, v in zip(loss.steps, loss.loss, strict=True)]
        told.append(f"Loss: {_along(points, every=True)}. Dashed at ln(vocabulary) {number(loss.ln_vocabulary)}.")
    return f"{leaky}Trajectory of {regions[0].model}, score r against training step. {' '.join(told)}"


def trajectory_table(regions: Sequence[Trajectory], loss: Learning | None, caption: str) -> Table:
    """The numbers behind a trajectory: one row per region and step."""
    by_step = dict(zip(loss.steps, loss.loss, strict=True)) if loss else {}
    rows = [
        [p.step, one.roi, number(by_step.get(p.step)), number(p.r), interval(p.low, p.high), p.layer]
        for one in regions
        for p in one.points
    ]
    return Table(
        caption, ("step", "region", "loss (nats per token)", "r", "interval", "layer"), rows, frozenset({2, 3, 4})
    )


def _points(layers: pd.DataFrame, model: str, roi: str) -> list[Point]:
    rows = layers[(layers["model"] == model) & (layers["roi"] == roi) & (layers["step"] != "")]
    found = [(step, headline(group)) for step, group in rows.groupby("step", sort=False)]
    return [
        Point(step, row["r"], row["r_low"], row["r_high"], layer_of(row))
        if row is not None
        else Point(step, np.nan, np.nan, np.nan, "n/a")
        for step, row in found
    ]


def _told(p: Point) -> str:
    return f"r = {number(p.r)} {interval(p.low, p.high)} at {p.step}"


def _top(best: Point, last: Point) -> str:
    if best.step == last.step:
        return "its last and highest"
    return f"its last; highest {number(best.r)} at {best.step}, picked by the score it shows and so a little too high"


def _along(points: Sequence[Point], *, every: bool) -> str:
    scored = [p for p in points if is_number(p.r)]
    if not scored:
        return "no score"
    if not every or len(scored) > _MOST_TOLD:
        scored = list(dict.fromkeys((scored[0], max(scored, key=lambda p: p.r), scored[-1])))
    return ", ".join(f"{number(p.r)} at {p.step}" for p in scored)


def _loss_told(loss: Learning | None) -> str:
    known = [v for v in loss.loss if is_number(v)] if loss else []
    if not loss or not known:
        return ""
    ends = f"is {number(known[0])}" if len(known) == 1 else f"goes from {number(known[0])} to {number(known[-1])}"
    return f" Its loss on the stimulus text {ends} nats per token (knowing nothing: {number(loss.ln_vocabulary)})."
