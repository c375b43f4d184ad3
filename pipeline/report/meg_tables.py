"""Peaks and clusters of scores over time, as tables of a page."""

import pandas as pd

from pipeline.report.meg_parts import ALL_KINDS, CLUSTER_P, NO_ONSETS
from pipeline.report.tables import Table
from pipeline.report.words import count, interval, is_number, number, plural, probability

_MOST_NAMES = 3  # names of channels in a cell; the file has all


def peaks_table(peaks: pd.DataFrame, caption: str) -> Table:
    """One row per model and kind of channel: where the score peaks after word onset."""
    kinds = set(peaks["kind"]) - {ALL_KINDS}
    shown = peaks[peaks["kind"] != ALL_KINDS] if len(kinds) == 1 else peaks  # one kind is all there is
    rows = [
        [p.model, p.weights, p.kind, number(p.peak_s, 3), _seconds(p.low_s, p.high_s), number(p.r), count(p.n_parts)]
        for p in shown.itertuples()
    ]
    columns = ("model", "weights", "channels", "peak (s)", "interval (s)", "r there", "parts")
    return Table(caption, columns, rows, frozenset({3, 4, 5, 6}))


def clusters_table(clusters: pd.DataFrame, caption: str) -> Table:
    """Significant clusters and the least likely one of each test; tests that found none at the end."""
    ordered = clusters.sort_values("p", kind="stable", na_position="last")
    shown = ordered[(ordered["p"] <= CLUSTER_P) | ~ordered.duplicated(["a", "b", "layer", "kind"])]
    left = len(ordered) - len(shown)
    caption += f" ({plural(left, 'more cluster')}, none significant, in the file only)" if left else ""
    rows = [
        [c.a, c.b or "0", c.layer, c.kind, _span(c), _time(c.peak_s), probability(c.p), probability(c.smallest_p),
         f"{count(c.n_units)} {c.unit}".strip(), count(c.n_channels) if is_number(c.n_channels) else "", _short(c.channels)]
        for c in shown.itertuples()
    ]  # fmt: skip
    columns = ("a", "against", "layer", "channels", "from, to (s)", "peak (s)", "p", "smallest p possible", "units")
    return Table(caption, (*columns, "n channels", "which"), rows, frozenset({4, 5, 6, 7, 9}))


def beside_table(beside: pd.DataFrame, caption: str) -> Table:
    """One row per model and region: model and controls together, the controls alone, and what the model adds."""
    rows = [
        [b.roi, b.model, b.layer, b.controls, number(b.r_joint), number(b.r_controls), number(b.adds), interval(b.low, b.high),
         f"{count(b.n_targets)} of {count(b.of_targets)}", count(b.n_parts)]
        for b in beside.itertuples()
    ]  # fmt: skip
    columns = (
        "region",
        "model",
        "layer",
        "controls",
        "r together",
        "r of controls",
        "adds",
        "interval",
        "targets",
        "parts",
    )
    return Table(caption, columns, rows, frozenset({4, 5, 6, 7, 8, 9}))


def clusters_told(clusters: pd.DataFrame) -> list[str]:
    """What the units cannot show, and what a cluster does not."""
    if clusters.empty:
        return []
    reach = clusters["smallest_p"].dropna()
    out_of_reach = [
        f"{count(row.n_units)} {row.unit} can reach no p below {number(row.smallest_p)}, so no cluster can be significant at {CLUSTER_P}."
        for row in clusters.loc[reach.index[reach > CLUSTER_P]].drop_duplicates(["unit", "n_units"]).itertuples()
    ]
    few = clusters[clusters["smallest_p"].isna() & clusters["p"].isna()].drop_duplicates(["unit", "n_units"])
    too_few = [f"{count(row.n_units)} {row.unit} are too few for a test." for row in few.itertuples()]
    return [*out_of_reach, *too_few, NO_ONSETS]


def _seconds(low: float, high: float) -> str:
    return f"[{number(low, 3)}, {number(high, 3)}]" if is_number(low) or is_number(high) else interval(low, high)


def _time(value: float) -> str:
    return number(value, 2) if is_number(value) else ""


def _span(cluster) -> str:
    if not is_number(cluster.start_s):
        return "no cluster"
    return f"{number(cluster.start_s, 2)} to {number(cluster.end_s, 2)}"


def _short(channels: str) -> str:
    names = channels.split(",")
    return ", ".join(names[:_MOST_NAMES]) + ("…" if len(names) > _MOST_NAMES else "")
