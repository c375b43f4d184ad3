"""Tables over people: means, intervals and tests that count people."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from pipeline import statistics
from pipeline.comparison import across
from pipeline.comparison.contrasts import (
    COMPARISON_COLUMNS,
    FEWEST_SEEDS,
    Rank,
    patterns,
    rank_among,
    with_q,
    within_margin,
)
from pipeline.comparison.gaps import verdict
from pipeline.comparison.networks import MEAN, NESTED
from pipeline.comparison.person import LAYER_COLUMNS
from pipeline.comparison.pieces import KEY
from pipeline.comparison.settings import FEWEST_SUBJECTS, LEVEL, Comparison

if TYPE_CHECKING:
    import pandas as pd
    import xarray as xr

    Blocks = Mapping[tuple[str, str], xr.Dataset]

_OF_LAYERS = ["recording", "model", "weights", "seed", "layer", "roi", "step"]
_OF_CONTRASTS = ["recording", "roi", "a", "b"]
_MEANS = ["n_targets", "r2", "ceiling", "fraction", "n_missing", "n_flat", "n_ceiling"]
_CHOICE = ["optimism", "stability", "relative_depth"]
_GAP = ["gap", "gap_low", "gap_high", "reached", "margin", "p_reached"]
_SHARE = ["fraction_low", "fraction_high"]
_SPREADS = ["sd_subjects", "sd_seeds", "low_seeds", "high_seeds"]
_COUNTS = ["n_tested", "n_significant", "p_prevalence", "prevalence", "prevalence_low", "prevalence_high", "p_everyone"]


def group(
    layers: "pd.DataFrame",
    comparisons: "pd.DataFrame",
    settings: Comparison,
    seed: int = 0,
    blocks: "Blocks | None" = None,
) -> tuple["pd.DataFrame", "pd.DataFrame"]:
    """Means over people and tests over people; no interval and no test below three.

    Parameters
    ----------
    layers, comparisons : the tables of all people, one below the other.
    blocks : (subject, recording) -> what `compared` left of the person's samples. Intervals are then over
        people and over the blocks within each, otherwise over people alone.
    """
    import pandas as pd

    rows, contrasts = [], []
    layers = layers.reindex(columns=LAYER_COLUMNS)
    comparisons = comparisons.reindex(columns=COMPARISON_COLUMNS)
    for recording, own in layers.groupby("recording", sort=False):
        people = across.opened(blocks or {}, str(recording))
        rows += _layer_rows(own, people, settings, seed)
        of_recording = comparisons[comparisons["recording"] == recording]
        contrasts += _contrast_rows(of_recording, own, people, settings, seed)
    columns = [*_OF_LAYERS[:-1], "n_subjects", "r", "r_low", "r_high", *_MEANS, "step", *_CHOICE, *_GAP, *_SHARE]
    table = with_q(pd.DataFrame(contrasts, columns=_contrast_columns()), settings.fdr)
    return pd.DataFrame(rows, columns=columns), table


def _contrast_columns() -> list[str]:
    """Those of one person, without what a group has none of; `smallest_p` stands before what is made of p."""
    ranked, margin = ["significant", *Rank._fields], ["equivalent", "p_equivalent", "margin"]
    own = {"subject", "layer_a", "layer_b", "smallest_p", *ranked, *margin, *_SPREADS}
    own_columns = [c for c in COMPARISON_COLUMNS if c not in own]
    return [*own_columns, "smallest_p", *ranked, "n_above_all", *margin, *_SPREADS, *_COUNTS]


def _layer_rows(
    layers: "pd.DataFrame", people: Mapping[str, across.Pieces], settings: Comparison, seed: int
) -> list[dict[str, Any]]:
    parts = [(dict(zip(_OF_LAYERS, key, strict=True)), part) for key, part in _by(layers, _OF_LAYERS)]
    keys = [tuple(str(told[name]) for name in KEY) for told, _ in parts]
    known = [set(part.loc[np.isfinite(part["r"].to_numpy(float)), "subject"]) for _, part in parts]
    series = {
        s: [one.series(key) if s in who else _none(one) for key, who in zip(keys, known, strict=True)]
        for s, one in people.items()
    }
    found = _ends_of([part["r"].to_numpy(float) for _, part in parts], people, series, settings, seed)
    return [
        told
        | _mean_of(part["r"].to_numpy(float))
        | {"r_low": low, "r_high": high}
        | {name: part[name].mean() for name in (*_MEANS, *_CHOICE)}
        | _fraction_ends(part, settings, seed)
        | _gap_of(part, settings, seed)
        for (told, part), (low, high) in zip(parts, found, strict=True)
    ]


def _contrast_rows(
    comparisons: "pd.DataFrame",
    layers: "pd.DataFrame",
    people: Mapping[str, across.Pieces],
    settings: Comparison,
    seed: int,
) -> list[dict[str, Any]]:
    parts = [(dict(zip(_OF_CONTRASTS, key, strict=True)), part) for key, part in _by(comparisons, _OF_CONTRASTS)]
    values = [part["difference"].to_numpy(float) for _, part in parts]
    known = [set(part.loc[np.isfinite(v), "subject"]) for (_, part), v in zip(parts, values, strict=True)]
    series = {
        s: [
            one.nested(told["a"], told["roi"]) - one.nested(told["b"], told["roi"]) if s in who else _none(one)
            for (told, _), who in zip(parts, known, strict=True)
        ]
        for s, one in people.items()
    }
    found = _ends_of(values, people, series, settings, seed)
    return [
        told
        | {"r_a": part["r_a"].mean(), "r_b": part["r_b"].mean(), "low": low, "high": high}
        | _tested(part["difference"].to_numpy(float), settings, seed)
        | _among_seeds(part, layers, settings, seed)
        | _counted(part)
        for (told, part), (low, high) in zip(parts, found, strict=True)
    ]


def _by(table: "pd.DataFrame", columns: list[str]) -> Any:
    return table.groupby(columns, sort=False, dropna=False)


def _none(one: across.Pieces) -> np.ndarray:
    return np.full(len(one.samples), np.nan)


def _ends_of(
    values: list[np.ndarray],
    people: Mapping[str, across.Pieces],
    series: Mapping[str, list[np.ndarray]],
    settings: Comparison,
    seed: int,
) -> np.ndarray:
    """(score, 2) ends of intervals over people and their blocks, or over people alone where their blocks are not known."""
    if not values:
        return np.empty((0, 2))
    if people:
        return across.ends(people, series, settings, seed)
    return np.array([_over_people(v[np.isfinite(v)], settings, seed) for v in values])


def _over_people(values: np.ndarray, settings: Comparison, seed: int) -> tuple[float, float]:
    if len(values) < FEWEST_SUBJECTS:
        return np.nan, np.nan
    interval = statistics.bootstrap(values, block=1, n=settings.permutations, seed=seed)
    return float(interval.low), float(interval.high)


def _mean_of(values: np.ndarray) -> dict[str, Any]:
    known = values[np.isfinite(values)]
    return {"n_subjects": len(known), "r": known.mean() if len(known) else np.nan}


def _fraction_ends(part: "pd.DataFrame", settings: Comparison, seed: int) -> dict[str, float]:
    """The interval over people of the mean of their shares of the ceiling."""
    known = part["fraction"].to_numpy(float)
    low, high = _over_people(known[np.isfinite(known)], settings, seed)
    return {"fraction_low": low, "fraction_high": high}


def _gap_of(part: "pd.DataFrame", settings: Comparison, seed: int) -> dict[str, Any]:
    """What is missing to the ceiling on average over people, and whether the interval over people lies below the margin."""
    gaps = part["gap"].to_numpy(float)
    gaps = gaps[np.isfinite(gaps)]
    told = {"gap": gaps.mean() if len(gaps) else np.nan, "reached": "n/a", "margin": settings.margin}
    if len(gaps) < FEWEST_SUBJECTS:
        return told
    low, high = _over_people(gaps, settings, seed)
    tested = statistics.reached(gaps, settings.margin, n=patterns(len(gaps), settings), seed=seed)
    told |= {"gap_low": low, "gap_high": high, "reached": verdict(low, high, settings.margin)}
    return told | ({"p_reached": tested.p} if tested.smallest_p <= LEVEL else {})


def _tested(values: np.ndarray, settings: Comparison, seed: int) -> dict[str, Any]:
    values = values[np.isfinite(values)]
    told = {
        "difference": values.mean() if len(values) else np.nan, "unit": "subjects", "n_units": len(values), "margin": settings.margin,
        "equivalent": "n/a", "test": f"none: fewer than {FEWEST_SUBJECTS} subjects",
    }  # fmt: skip
    if not len(values):
        return told
    n = patterns(len(values), settings)
    tested = statistics.sign_flip(values, n=n, seed=seed)
    told |= {"smallest_p": tested.smallest_p}
    if len(values) < FEWEST_SUBJECTS:
        return told
    return told | within_margin(values, n, settings, seed) | {"test": "sign-flip, two-sided", "p": float(tested.p)}


def _counted(part: "pd.DataFrame") -> dict[str, Any]:
    """In how many people the difference of the mean's sign is found by each one's own test, and in how many it may be.

    Only people are counted whose own runs or blocks can give a p of .05. A
    difference of the other sign is none of those that are counted; to look
    at the mean for the sign is paid for by the two sides of each test.
    """
    difference = part["difference"].to_numpy(float)
    able = np.isfinite(part["p"].to_numpy(float)) & (part["smallest_p"].to_numpy(float) <= LEVEL)
    n_able = int(able.sum())
    if not n_able:
        return {"n_tested": 0}
    along = np.sign(difference) == np.sign(np.nanmean(difference))
    found = statistics.prevalence(np.where(along, part["p"].to_numpy(float), 1.0)[able], LEVEL)
    told = {"n_tested": n_able, "n_significant": found.n_significant}
    if n_able < FEWEST_SUBJECTS:
        return told
    return told | {
        "p_prevalence": found.p, "prevalence": found.share, "prevalence_low": found.low, "prevalence_high": found.high,
        "p_everyone": found.p_everyone,
    }  # fmt: skip


def _among_seeds(part: "pd.DataFrame", layers: "pd.DataFrame", settings: Comparison, seed: int) -> dict[str, Any]:
    """The rank of a's mean over people among each seed's mean over the same people, and how many people are above all.

    A seed is the same network in everyone, so that its mean over people is a
    score of its own; a mean of people's percentiles would count the few seeds
    once for each person, as if they had been drawn anew.
    """
    known = part[np.isfinite(part["difference"].to_numpy(float))]
    table = _seeds_of(part.iloc[0]["b"], known, layers)
    rank = rank_among(float(known["r_a"].mean()), table.mean(axis=0, skipna=False).to_numpy(float))
    ranked = part["percentile"].dropna()
    above = int((ranked == 100).sum()) if len(ranked) else np.nan
    return rank._asdict() | {"n_above_all": above} | _spread(known, layers, settings, seed)


def _seeds_of(model: str, known: "pd.DataFrame", layers: "pd.DataFrame") -> "pd.DataFrame":
    """Nested r of a model by subject (those of `known`) and seed, whole recording or the region of `known`."""
    import pandas as pd

    rois = known["roi"].iloc[:1] if len(known) else []
    of_model = layers[(layers["model"] == model) & layers["roi"].isin(rois)]
    seeds = of_model[(of_model["layer"] == NESTED) & ~of_model["seed"].isin(["", MEAN])]
    return pd.pivot_table(seeds, index="subject", columns="seed", values="r").reindex(known["subject"])


def _spread(known: "pd.DataFrame", layers: "pd.DataFrame", settings: Comparison, seed: int) -> dict[str, Any]:
    """How much people differ and how much seeds do, and the interval for other people and other seeds."""
    values = known["difference"].to_numpy(float)
    if len(values) < FEWEST_SUBJECTS:
        return {}
    tables = {side: _seeds_of(known.iloc[0][side], known, layers).dropna(axis=1) for side in "ab"}
    drawn = [side for side in "ba" if tables[side].shape[1]]
    told = {"sd_subjects": float(values.std(ddof=1))}
    if not drawn or min(tables[side].shape[1] for side in drawn) < FEWEST_SEEDS:
        return told
    found = [statistics.seeds(_differences(side, tables[side], known), n=1, seed=seed) for side in drawn]
    first, error = found[0], sum(one.seed_sd**2 / one.n_seeds for one in found[1:])
    scale = np.sqrt(1 + error / first.standard_error**2) if first.standard_error else 1.0
    low, high = (first.mean + scale * (end - first.mean) for end in (first.low, first.high))
    return told | {"sd_subjects": first.subject_sd, "sd_seeds": first.seed_sd, "low_seeds": low, "high_seeds": high}


def _differences(side: str, table: "pd.DataFrame", known: "pd.DataFrame") -> np.ndarray:
    """(person, seed) a less b, for the seeds of one side against the mean over seeds of the other."""
    if side == "b":
        return known["r_a"].to_numpy(float)[:, None] - table.to_numpy(float)
    return table.to_numpy(float) - known["r_b"].to_numpy(float)[:, None]
