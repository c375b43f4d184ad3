"""The tables of one person's recording: every layer of every network, and the contrasts of models."""

from collections.abc import Mapping
from itertools import product
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from pipeline import statistics
from pipeline.comparison.contrasts import COMPARISON_COLUMNS, Clock, clock_of, contrast, with_q
from pipeline.comparison.fractions import fraction
from pipeline.comparison.gaps import gap
from pipeline.comparison.networks import Scored, mean, scored
from pipeline.comparison.overlap import Top, over_valid
from pipeline.comparison.pieces import pieces
from pipeline.comparison.settings import Comparison
from pipeline.ledger import dividing, named, regional_of

if TYPE_CHECKING:
    import pandas as pd
    import xarray as xr

LAYER_COLUMNS = [
    "subject",
    "recording",
    "model",
    "weights",
    "seed",
    "layer",
    "roi",
    "n_targets",
    "r",
    "r_low",
    "r_high",
    "r2",
    "ceiling",
    "ceiling_kind",
    "fraction",
    "n_missing",
    "n_flat",
    "chosen",
    "n_ceiling",
    "interval_unit",
    "step",
    "optimism",
    "stability",
    "relative_depth",
    "gap",
    "gap_low",
    "gap_high",
    "reached",
    "margin",
    "fraction_low",
    "fraction_high",
    "fraction_median",
]


class Compared(NamedTuple):
    """What is known of one person's recording: two tables, and the scores cut into blocks (`pieces`)."""

    layers: "pd.DataFrame"
    contrasts: "pd.DataFrame"
    blocks: "xr.Dataset"


def compare(*args: Any, **named: Any) -> tuple["pd.DataFrame", "pd.DataFrame"]:
    """The two tables that `compared` makes."""
    return compared(*args, **named)[:2]


def compared(
    subject: str,
    recording: str,
    scores: Mapping[str, "xr.Dataset"],
    weights: Mapping[str, str],
    ceiling: "xr.Dataset",
    settings: Comparison,
    seed: int = 0,
) -> Compared:
    """The layer table and the contrasts of one person's recording, and what each block adds to the scores.

    Parameters
    ----------
    scores : model -> what `encoding.encode` returned.
    weights : model -> "trained", "random" or another kind of twin, or "" for a control.
    ceiling : what `normalisation.estimate` returned.
    """
    import pandas as pd

    first = next(iter(scores.values()))
    tested = first["fold_of"].values >= 0
    clock = clock_of(scores, tested)
    rows, contrasts, every = [], [], {}
    for roi in _rois(first, settings):
        member = first["member"].sel(roi=roi).values.astype(bool)
        every[roi] = found = {model: scored(ds, roi, tested) for model, ds in scores.items()}
        for model in scores:
            told = {"subject": subject, "recording": recording, "model": model, "weights": weights[model], "roi": roi}
            rows += [
                told | row
                for row in _layer_rows(found[model], _ceiling_of(ceiling, member, roi), clock, settings, seed)
            ]
        for a, b in pairs(settings, weights):
            row = contrast(a, b, roi, found, clock, settings, seed)
            contrasts.append(row | {"subject": subject, "recording": recording})
    table = with_q(pd.DataFrame(contrasts, columns=COMPARISON_COLUMNS), settings.fdr)
    return Compared(pd.DataFrame(rows, columns=LAYER_COLUMNS), table, pieces(every, clock))


def pairs(settings: Comparison, weights: Mapping[str, str]) -> tuple[tuple[str, str], ...]:
    """The contrasts asked for, or every trained model against each twin (of any kind) and control."""
    if settings.contrasts is not None:
        return tuple(pair for pair in settings.contrasts if set(pair) <= set(weights))
    trained = [m for m, w in weights.items() if w == "trained"]
    return tuple((a, b) for a, b in product(trained, weights) if weights[b] != "trained")


def _rois(first: "xr.Dataset", settings: Comparison) -> list[str]:
    known = first["roi"].values.astype(str).tolist()
    return known if settings.rois is None else [r for r in known if r in settings.rois or r == "all"]


def _layer_rows(
    found: list[Scored],
    top: Top,
    clock: Clock,
    settings: Comparison,
    seed: int,
) -> list[dict]:
    series = np.stack([s.series for s in found], axis=1)
    ends = statistics.bootstrap(series, run=clock.run, block=clock.block, n=settings.permutations, seed=seed)
    told = {"interval_unit": f"blocks of {clock.block} samples", "margin": settings.margin}
    rows, effective = [], 3 * len(series) / clock.block  # blocks are three autocorrelation times
    for s, mean_of, low, high in zip(found, *ends, strict=True):
        both = over_valid(s.r, (float(low), float(high)), float(mean_of), top, effective)
        rows.append(
            _layer_row(s, top) | {"r_low": low, "r_high": high} | told | gap(both, settings.margin) | fraction(both)
        )
    return rows


def _layer_row(s: Scored, top_of: Top) -> dict:
    kind, value, valid = top_of.kind, top_of.value, top_of.valid
    has = valid & np.isfinite(s.r)
    top = float(value[has].mean()) if has.any() else np.nan
    return {
        "seed": s.seed, "step": s.step, "layer": s.layer, "n_targets": len(s.r), "r": mean(s.r, 0), "r2": mean(s.r2, 0),
        "ceiling": top, "ceiling_kind": kind if has.any() else "",
        "n_missing": int(np.isnan(s.r).sum()), "n_flat": int(s.flat.sum()), "chosen": s.chosen, "n_ceiling": int(has.sum()),
        "optimism": s.optimism, "stability": s.stability, "relative_depth": s.depth,
    }  # fmt: skip


def _ceiling_of(ceiling: "xr.Dataset", member: np.ndarray, roi: str) -> Top:
    """The first estimator asked for that may divide scores and is valid somewhere in the region."""
    unknown, kind = np.full(member.sum(), np.nan), dividing(ceiling, member)
    if not kind:
        return Top("", unknown, unknown, unknown, np.zeros(member.sum(), bool))
    names = (kind, f"{kind}_low", f"{kind}_high")
    parts = [ceiling[name].values[member].astype(float) if name in ceiling else unknown for name in names]
    mean, low, high = regional_of(ceiling, kind, roi)
    return Top(named(kind), *parts, ceiling[f"{kind}_valid"].values[member] > 0, (mean, low, high))
