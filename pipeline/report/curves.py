"""What a layer profile draws, taken out of the table: curves, levels, and the same in words."""

import re
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd

from pipeline.report.kinds import is_twin, kind_of
from pipeline.report.rows import at_choice, entries, headline, of, twins
from pipeline.report.words import count, interval, is_number, number


class Curve(NamedTuple):
    """Score against layer. `low` and `high`: interval of a trained model, range over seeds of twins.

    `step` names the checkpoint that is drawn, of a model that has some.
    """

    key: str
    label: str
    weights: str
    step: str
    x: np.ndarray
    y: np.ndarray
    low: np.ndarray
    high: np.ndarray
    chosen: list[float]
    nested: float
    n_seeds: int
    thin: list[tuple[np.ndarray, np.ndarray]]

    @property
    def twin(self) -> bool:
        return is_twin(self.weights)

    @property
    def name(self) -> str:
        """What a legend calls it."""
        who = kind_of(self.weights).many if self.twin else self.weights
        return f"{who} {self.label}" + (f" ({self.step})" if self.step else "")


class Level(NamedTuple):
    """A horizontal line with its name."""

    label: str
    value: float
    ceiling: bool = False


class Panel(NamedTuple):
    """One region; `n_ceiling` where its ceiling is the mean over fewer targets than its scores are."""

    roi: str
    n_targets: str
    curves: list[Curve]
    controls: list[Level]
    ceilings: list[Level]
    n_ceiling: str = ""

    @property
    def name(self) -> str:
        """How many targets speak."""
        return f"{self.n_targets} targets" + (f"; ceiling: {self.n_ceiling}" if self.n_ceiling else "")


def panel(layers: pd.DataFrame, roi: str, *, ceiling: bool, subjects: Mapping[str, pd.DataFrame]) -> Panel:
    """All that is drawn of one region; the ceiling only if it is valid."""
    here = layers[layers["roi"] == roi]
    networks = sorted((e for e in entries(here) if e[1]), key=lambda entry: is_twin(entry[1]))  # trained ones first
    curves = [curve(layers, entry, roi, subjects) for entry in networks]
    known = here["n_targets"].dropna()
    n_targets = count(known.max()) if len(known) else "n/a"
    drawn = [c for c in curves if np.isfinite(c.y).any()]
    levels = ceilings(here) if ceiling else []
    return Panel(roi, n_targets, drawn, controls(layers, roi), levels, _fewer(here, bool(subjects)) if levels else "")


def _fewer(here: pd.DataFrame, people: bool) -> str:
    """On how many targets the ceiling stands, where these are not all; of several people the mean number."""
    known = here[["n_ceiling", "n_targets"]].dropna()
    fewer = known[known["n_ceiling"] < known["n_targets"]]
    of_them = "of them on average" if people else "of them"
    return f"{count(fewer['n_ceiling'].max())} {of_them}" if len(fewer) else ""


def curve(layers: pd.DataFrame, entry: tuple[str, str], roi: str, subjects: Mapping[str, pd.DataFrame]) -> Curve:
    rows, twin = of(layers, entry, roi), is_twin(entry[1])
    points = [_point(group, twin) for _, group in rows.dropna(subset="depth").groupby("depth")]
    x, y, low, high = np.array(points, float).reshape(-1, 4).T
    row, seeds = headline(rows), twins(at_choice(rows))
    nested = seeds.mean if twin else row["r"] if row is not None else np.nan
    chosen = [] if row is None else [d for d in _layers_in(row["chosen"]) if d in x]
    thin = [] if twin else [_line(of(table, entry, roi)) for table in subjects.values()]
    step = "" if row is None else row["step"]
    numbers = (x, y, low, high, chosen, float(nested), seeds.n_seeds)
    return Curve(f"{entry[1]} {entry[0]}", entry[0], entry[1], step, *numbers, thin)


def controls(layers: pd.DataFrame, roi: str) -> list[Level]:
    """Controls that have a score here."""
    rows = [(entry[0], headline(of(layers, entry, roi))) for entry in entries(layers, "")]
    return [Level(label, float(row["r"])) for label, row in rows if row is not None and is_number(row["r"])]


def ceilings(here: pd.DataFrame) -> list[Level]:
    """Each estimator's ceiling where a score was related to it; two lines when it differs between rows."""
    related = here[here["ceiling"].notna() & here["fraction"].notna()]
    groups = related.groupby("ceiling_kind", sort=False)["ceiling"]
    ends = [(kind, sorted({float(values.min()), float(values.max())})) for kind, values in groups]
    return [Level(f"ceiling, {kind}" if kind else "ceiling", value, True) for kind, values in ends for value in values]


def in_words(panels: Sequence[Panel], leaky: str = "") -> str:
    """The alternative text: what is seen, with the numbers."""
    told = [_panel_in_words(one, short=len(panels) > 1) for one in panels]
    return f"{leaky}Layer profile, score r against layer. " + " ".join(told)


def _panel_in_words(one: Panel, *, short: bool) -> str:
    lines = [_curve_in_words(c, short) for c in one.curves] or ["no model with layers"]
    lines += [f"control {c.label} {number(c.value)}" for c in one.controls]
    lines += [f"{c.label} {number(c.value)}" for c in one.ceilings]
    return f"Region {one.roi} ({one.name}): {'; '.join(lines)}."


def _curve_in_words(c: Curve, short: bool) -> str:
    score = f"{number(c.nested)} at the chosen layer"
    ends = f"{number(c.y[0])} at layer {count(c.x[0])}, {number(c.y[-1])} at layer {count(c.x[-1])}"
    top = int(np.nanargmax(c.y))
    peak = f"highest {number(c.y[top])} {interval(c.low[top], c.high[top])} at layer {count(c.x[top])}"
    return f"{c.name} {score}" if short else f"{c.name} {ends}, {peak}, {score}"


def _point(group: pd.DataFrame, twin: bool) -> tuple[float, float, float, float]:
    depth = float(group["depth"].iloc[0])
    if twin:
        seeds = twins(group)
        return depth, seeds.mean, seeds.low, seeds.high
    row = headline(group)
    if row is None:
        return depth, np.nan, np.nan, np.nan
    return depth, row["r"], row["r_low"], row["r_high"]


def _line(rows: pd.DataFrame) -> tuple[np.ndarray, np.ndarray]:
    points = rows.dropna(subset="depth").sort_values("depth", kind="stable")
    return points["depth"].to_numpy(float), points["r"].to_numpy(float)


def _layers_in(chosen: str) -> list[float]:
    """The layers a text names, when it names nothing else: "8", or "7, 8" when folds chose differently."""
    if not re.fullmatch(r"[0-9]+([ ,;/|]+[0-9]+)*", chosen):
        return []
    return sorted({float(number) for number in re.findall(r"[0-9]+", chosen)})
