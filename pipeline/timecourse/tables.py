"""The tables of one person: scores by latency, peaks, and clusters."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Float, Shaped

from pipeline import statistics
from pipeline.comparison import Comparison
from pipeline.comparison.networks import NESTED
from pipeline.timecourse.clusters import CLUSTER_COLUMNS, Contrast, tested
from pipeline.timecourse.courses import ALL, FEWEST_PARTS, Course, Person, kinds, mean, representative
from pipeline.timecourse.peak import peak
from pipeline.timecourse.saved import asked

if TYPE_CHECKING:
    import pandas as pd

LATENCY_COLUMNS = [
    "subject", "recording", "model", "weights", "seed", "step", "layer", "kind", "latency", "r", "r_low", "r_high",
    "n_channels", "n_parts", "ceiling",
]  # fmt: skip
PEAK_COLUMNS = [
    "subject", "recording", "model", "weights", "layer", "kind", "peak_s", "low_s", "high_s", "r", "n_parts",
]  # fmt: skip
UNIT = "folds"


def latencies(whose: Person, settings: Comparison, seed: int = 0) -> "pd.DataFrame":
    """Scores by latency: every network at its nested layer, every layer of what stands for a model.

    r is the mean over folds of the mean over channels, missing ones left out;
    its interval is over folds (`statistics.bootstrap`), and missing below
    three. The ceiling is the mean over the same channels.
    """
    import pandas as pd

    parts = [
        _of_course(whose, model, course, kind, channels, settings, seed)
        for model, found in whose.courses.items()
        for course in found
        for kind, channels in kinds(whose.sensors).items()
    ]
    return pd.concat([pd.DataFrame(part, columns=LATENCY_COLUMNS) for part in parts], ignore_index=True)


def peaks(whose: Person, settings: Comparison, seed: int = 0) -> "pd.DataFrame":
    """When after word onset each model's nested score is highest; its interval is over folds (`peak`)."""
    import pandas as pd

    rows = []
    for model, found in whose.courses.items():
        course = representative(found)
        for kind, channels in kinds(whose.sensors).items():
            values = mean(course.r[:, channels], axis=1)
            at = peak(values, whose.latencies_s, n=settings.permutations, seed=seed)
            rows.append(_told(whose, model) | {"layer": NESTED, "kind": kind} | at._asdict() | {"n_parts": len(values)})
    return pd.DataFrame(rows, columns=PEAK_COLUMNS)


def clusters(whose: Person, settings: Comparison, seed: int = 0) -> "pd.DataFrame":
    """Clusters of channels and latencies, kind by kind, in which scores leave zero, or two models' scores differ.

    The trained models are held against zero (all models where none is
    trained), and the pairs of the study against each other. Units are folds.
    """
    import pandas as pd

    rows = [
        {"subject": whose.subject, "recording": whose.recording} | row
        for a, b in asked(settings, whose.weights)
        for row in _tested_kinds(whose, a, b, settings, seed)
    ]
    return pd.DataFrame(rows, columns=CLUSTER_COLUMNS)


def _tested_kinds(whose: Person, a: str, b: str, settings: Comparison, seed: int) -> Iterator[dict[str, Any]]:
    r = representative(whose.courses[a]).r
    r = r - representative(whose.courses[b]).r if b else r
    for kind, channels in kinds(whose.sensors).items():
        if kind != ALL:
            test = Contrast(a, b, NESTED, kind, UNIT, whose.latencies_s, whose.sensors)
            yield from tested(r[:, channels], test, n=settings.permutations, seed=seed)


def _of_course(
    whose: Person, model: str, course: Course, kind: str, channels: np.ndarray, settings: Comparison, seed: int
) -> dict[str, Any]:
    values = mean(course.r[:, channels], axis=1).astype(float)
    low, high = ends(values, settings, seed)
    known = np.isfinite(mean(course.r[:, channels], axis=0))
    top = np.where(known, whose.ceiling[channels], np.nan)
    return _told(whose, model) | {
        "seed": course.seed, "step": course.step, "layer": course.layer, "kind": kind, "latency": whose.latencies_s,
        "r": mean(values, axis=0), "r_low": low, "r_high": high, "n_channels": known.sum(axis=0), "n_parts": len(values),
        "ceiling": mean(top, axis=0),
    }  # fmt: skip


def ends(
    values: Shaped[np.ndarray, "part latency"], settings: Comparison, seed: int
) -> tuple[Float[np.ndarray, " latency"], Float[np.ndarray, " latency"]]:
    """The ends of the interval over parts; missing where there are fewer than three."""
    if len(values) < FEWEST_PARTS:
        return np.full(values.shape[1], np.nan), np.full(values.shape[1], np.nan)
    found = statistics.bootstrap(values.astype(float), block=1, n=settings.permutations, seed=seed)
    return np.asarray(found.low), np.asarray(found.high)


def _told(whose: Person, model: str) -> dict[str, Any]:
    return {
        "subject": whose.subject, "recording": whose.recording, "model": model, "weights": whose.weights[model],
    }  # fmt: skip
