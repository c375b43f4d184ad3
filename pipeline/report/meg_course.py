"""Scores over time after word onset: the trained model with its interval, twins, controls, ceiling, and a passive target."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd
from jaxtyping import Float

from pipeline.report.kinds import is_twin, kind_of
from pipeline.report.meg_parts import ALL_KINDS, MEANS, NO_ONSETS, significant
from pipeline.report.rows import NESTED
from pipeline.report.tables import Table
from pipeline.report.words import interval, is_number, number

PREONSET = (
    "Shaded: before the word begins. Scores there come from earlier words and from how well words predict each other; "
    "they also appear in passive systems that predict nothing (Schönmann et al.)."
)

_MOST_PANELS, _MOST_CONTROLS = 4, 4


class Line(NamedTuple):
    """r by latency; `low` and `high` bound an interval or the range over seeds, nan where there is none."""

    label: str
    r: Float[np.ndarray, " latency"]
    low: Float[np.ndarray, " latency"]
    high: Float[np.ndarray, " latency"]
    n_seeds: int = 0


class Peak(NamedTuple):
    at_s: float
    low_s: float
    high_s: float
    r: float


class Course(NamedTuple):
    """One kind of channel: what is drawn over `times_s`. `spans` are significant clusters (start, end, against)."""

    kind: str
    times_s: Float[np.ndarray, " latency"]
    trained: Line
    twins: Line | None
    controls: Sequence[Line]
    ceiling: Float[np.ndarray, " latency"]
    peak: Peak | None
    spans: Sequence[tuple[float, float, str]]


class Passive(NamedTuple):
    """The same analysis on a target that knows nothing of the words to come, beside the brain's."""

    name: str
    times_s: Float[np.ndarray, " latency"]
    line: Line
    brain: Float[np.ndarray, " latency"]


def courses(
    latencies: pd.DataFrame, peaks: pd.DataFrame, clusters: pd.DataFrame, model: str, *, ceiling: bool
) -> list[Course]:
    """Of one model all channels, then each kind; tables are tidy and of the last checkpoint. `ceiling`: there is a valid one."""
    at_choice = latencies[_chosen(latencies)]
    own = at_choice[at_choice["model"] == model]
    kinds = sorted(dict.fromkeys(own["kind"]), key=lambda kind: kind != ALL_KINDS)
    kinds = kinds[1:] if len(kinds) == 2 and kinds[0] == ALL_KINDS else kinds  # one kind is all there is
    return [_course(at_choice, peaks, clusters, model, kind, ceiling) for kind in kinds[:_MOST_PANELS]]


def passives(passive: pd.DataFrame, model: str) -> list[Passive]:
    found = []
    for name, rows in passive[passive["model"] == model].groupby("passive", sort=False):
        rows = rows.sort_values("latency", kind="stable")
        columns = (rows[c].to_numpy(float) for c in ("latency", "r", "r_low", "r_high", "brain_r"))
        times, r, low, high, brain = columns
        found.append(Passive(str(name), times, Line(str(name), r, low, high), brain))
    return found


def course_table(found: Sequence[Course], passive: Sequence[Passive], caption: str) -> Table:
    """r at a few times for each kind of channel, with intervals, the range over seeds, controls and ceiling."""
    labels = list(dict.fromkeys(line.label for one in found for line in one.controls))
    rows = [_row(one, i, labels) for one in found for i in _few(one.times_s)]
    rows += [[f"passive: {p.name}", number(p.times_s[i], 2), number(p.line.r[i]), interval(p.line.low[i], p.line.high[i]), *[""] * (2 + len(labels))] for p in passive for i in _few(p.times_s)]  # fmt: skip
    columns = ("channels", "time (s)", "r", "interval", "twins, lowest to highest seed", *labels, "ceiling")
    return Table(caption, columns, rows, frozenset(range(1, len(columns))))


def course_in_words(found: Sequence[Course], passive: Sequence[Passive]) -> str:
    """The alternative text: each line's highest value, before and after onset."""
    told = [f"{MEANS.get(one.kind, one.kind)}: {_course_in_words(one)}" for one in found]
    told += [f"passive target {p.name}: {_in_words(p.line, p.times_s)}" for p in passive]
    return f"Score r by time after word onset. {'. '.join(told)}."


def course_caption(found: Sequence[Course], passive: Sequence[Passive], unit: str) -> str:
    banded = any(np.isfinite(one.trained.low).any() for one in found)
    told = ["r, mean over channels, at the layer chosen on inner folds."]
    told += [f"Band: interval over {unit or 'the tested parts'}." if banded else "Without interval: too few parts."]
    told += ["Grey: mean and range over the seeds of the twins."] if any(one.twins for one in found) else []
    peaks = [one.peak for one in found if one.peak]
    sure = " with its bootstrap interval" if any(is_number(peak.low_s) for peak in peaks) else ", without an interval"
    told += [f"Diamond: peak after onset{sure}."] if peaks else []
    told += ["Dash-dotted: noise ceiling as estimated, mean over channels."] if any(np.isfinite(one.ceiling).any() for one in found) else []  # fmt: skip
    told += [f"Bars at the foot: clusters at p ≤ 0.05. {NO_ONSETS}"] if any(one.spans for one in found) else [NO_ONSETS]
    told += ["Below, on a scale of their own: the same analysis with a passive target in place of the brain, and the brain again."] if passive else []  # fmt: skip
    return " ".join([*told, PREONSET])


def course_sentence(found: Sequence[Course]) -> str:
    """Where the score peaks, with its uncertainty, and what it is before onset."""
    one = found[0]
    before = _highest(one.trained.r, one.times_s, one.times_s < 0)
    early = f"; before word onset it reaches {before[0]}" if before else ""
    if one.peak is None:
        after = _highest(one.trained.r, one.times_s, one.times_s >= 0)
        told = (
            f"is highest after word onset at {after[1]} s (r = {after[0]})"
            if after
            else "has no score after word onset"
        )
        return f"{one.trained.label} {told}, without an interval{early}."
    ends = f"{number(one.peak.low_s, 2)}, {number(one.peak.high_s, 2)}"
    ends = f"[{ends}]" if is_number(one.peak.low_s) and is_number(one.peak.high_s) else "[no interval]"
    return f"{one.trained.label} predicts best {number(one.peak.at_s, 2)} s {ends} after word onset (r = {number(one.peak.r)}){early}."


def _chosen(latencies: pd.DataFrame) -> pd.Series:
    """Rows at the layer chosen on inner folds, or at the only layer of a model that chose none."""
    who = [latencies["model"], latencies["weights"]]
    nested = latencies["layer"] == NESTED
    return nested | (~nested.groupby(who).transform("any") & (latencies["layer"].groupby(who).transform("nunique") == 1))  # fmt: skip


def _course(
    rows: pd.DataFrame, peaks: pd.DataFrame, clusters: pd.DataFrame, model: str, kind: str, ceiling: bool
) -> Course:
    here = rows[rows["kind"] == kind]
    own, here = here[here["model"] == model], here[here["model"] != model]
    times = np.unique(own["latency"])
    twin = next((k for k in _networks(here) if is_twin(k[1])), None)
    controls = [_line(_of(here, key), key[0], times) for key in _networks(here) if key[1] == ""][:_MOST_CONTROLS]
    tops = own.groupby("latency")["ceiling"].mean().reindex(times).to_numpy(float)
    return Course(
        kind, times, _line(own, model, times), _twins(_of(here, twin), twin, times) if twin else None, controls,
        tops if ceiling else np.full(len(times), np.nan), _peak(peaks, model, kind), _spans(clusters, model, kind),
    )  # fmt: skip


def _networks(here: pd.DataFrame) -> list[tuple[str, str]]:
    """(model, weights), random twins before other twins."""
    found = dict.fromkeys(zip(here["model"], here["weights"], strict=True))
    return sorted(found, key=lambda key: key[1] != "random")


def _of(here: pd.DataFrame, key: tuple[str, str]) -> pd.DataFrame:
    return here[(here["model"] == key[0]) & (here["weights"] == key[1])]


def _line(rows: pd.DataFrame, label: str, times: np.ndarray) -> Line:
    means = rows.groupby("latency")[["r", "r_low", "r_high"]].mean().reindex(times)
    return Line(label, *(means[c].to_numpy(float) for c in ("r", "r_low", "r_high")))


def _twins(rows: pd.DataFrame, key: tuple[str, str], times: np.ndarray) -> Line:
    """Mean and range over seeds."""
    seeds = rows[rows["seed"] != "mean"]
    seeds = seeds if len(seeds) else rows
    table = seeds.groupby("latency")["r"].agg(["mean", "min", "max"]).reindex(times)
    label = f"{kind_of(key[1]).many} {key[0]}"
    return Line(label, *(table[c].to_numpy(float) for c in ("mean", "min", "max")), seeds["seed"].nunique())


def _peak(peaks: pd.DataFrame, model: str, kind: str) -> Peak | None:
    rows = peaks[(peaks["model"] == model) & (peaks["kind"] == kind) & peaks["layer"].isin([NESTED, ""])]
    rows = rows[rows["weights"].isin(["trained", ""])].dropna(subset="peak_s")
    return None if rows.empty else Peak(*(float(rows.iloc[0][c]) for c in ("peak_s", "low_s", "high_s", "r")))


def _spans(clusters: pd.DataFrame, model: str, kind: str) -> list[tuple[float, float, str]]:
    found = significant(clusters)
    own = found[(found["a"] == model) & (found["kind"] == kind) & found["layer"].isin([NESTED, ""])]
    return [(float(c.start_s), float(c.end_s), str(c.b)) for c in own.dropna(subset=["start_s", "end_s"]).itertuples()]


def _row(one: Course, i: int, labels: Sequence[str]) -> list[str]:
    controls = {line.label: line.r[i] for line in one.controls}
    twins = f"{number(one.twins.low[i])} to {number(one.twins.high[i])}" if one.twins else ""
    cells = [number(one.trained.r[i]), interval(one.trained.low[i], one.trained.high[i]), twins]
    cells += [number(controls[label]) if label in controls else "" for label in labels]
    return [one.kind, number(one.times_s[i], 2), *cells, number(one.ceiling[i])]


def _course_in_words(one: Course) -> str:
    lines = [one.trained, *([one.twins] if one.twins else []), *one.controls]
    return "; ".join(f"{line.label} {_in_words(line, one.times_s)}" for line in lines)


def _in_words(line: Line, times: np.ndarray) -> str:
    after, before = _highest(line.r, times, times >= 0), _highest(line.r, times, times < 0)
    told = f"highest {after[0]} at {after[1]} s" if after else "no score after onset"
    return told + (f", {before[0]} at most before onset" if before else "")


def _highest(r: np.ndarray, times: np.ndarray, where: np.ndarray) -> tuple[str, str] | None:
    known = where & np.isfinite(r)
    if not known.any():
        return None
    at = int(np.where(known, r, -np.inf).argmax())
    return number(r[at]), number(times[at], 2)


def _few(times: np.ndarray, n: int = 12) -> list[int]:
    return np.unique(np.linspace(0, len(times) - 1, min(n, len(times))).round().astype(int)).tolist()
