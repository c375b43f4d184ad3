"""What a model adds to the controls of a recording: both fitted together, each with a penalty of its own, and the controls alone."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from jaxtyping import Float

from pipeline import ridge, statistics
from pipeline.comparison.networks import mean
from pipeline.encoding import Encoding
from pipeline.joint import Activations, inner_scores, lay

if TYPE_CHECKING:
    import pandas as pd
    import xarray as xr

    from pipeline.recordings import Recording

FEWEST_PARTS = 3
COLUMNS = (
    "subject", "recording", "model", "layer", "controls", "roi", "n_targets", "of_targets", "r_joint", "r_controls", "adds",
    "low", "high", "n_parts",
)  # fmt: skip


class Added(NamedTuple):
    """r on the test samples of each fold, of model and controls together and of the controls alone; NaN where not fitted.

    `layers` is the model's layer in each fold.
    """

    joint: Float[np.ndarray, "fold target"]
    controls: Float[np.ndarray, "fold target"]
    layers: tuple[str, ...]


def added(
    recording: "Recording",
    model: Activations,
    controls: Mapping[str, Activations],
    recordings: Mapping[str, "xr.Dataset"],
    split: Mapping[str, str],
    scores: "xr.Dataset",
    settings: Encoding,
    seed: int = 0,
    folder: Path | None = None,
) -> Added:
    """Banded ridge from a model and every control to the recording, and from the controls without the model.

    Each control has a band: a penalty that is its own. The fit of the controls
    chooses anew. Layers and targets are chosen as `joint.lay` tells; its
    arguments are those of this function.
    """
    laid = lay(recording, model, controls, recordings, split, scores, settings, seed, folder)
    joint, alone = np.full((2, len(laid.outer), laid.samples.Y.shape[1]), np.nan)
    beside = list(laid.controls.values())
    for k, fold in enumerate(laid.outer):
        columns, y = laid.targets(k)
        options = laid.options | {"folds": [fold], "inner": [laid.inner[k]]}
        joint[k, columns] = ridge.banded([laid.model(k), *beside], y, **options).r[0]
        alone[k, columns] = ridge.banded(beside, y, **options).r[0]
    return Added(joint, alone, laid.layers)


def table(
    found: Added,
    scores: "xr.Dataset",
    subject: str,
    recording: str,
    model: str,
    controls: tuple[str, ...],
    draws: int = 1000,
    seed: int = 0,
) -> "pd.DataFrame":
    """One row per region: mean over its fitted targets, then over folds; what the model adds with a bootstrap interval over folds.

    Below three folds with a score there is no interval. `n_targets` were
    fitted (in the mean fold) of the `of_targets` that have a score.
    """
    import pandas as pd

    whose = {"subject": subject, "recording": recording, "model": model, "controls": " ".join(controls)}
    whose["layer"] = " ".join(dict.fromkeys(found.layers))
    known = np.isfinite(inner_scores(scores)).any(axis=(0, 1))
    rows = []
    for roi, member in zip(scores["roi"].values.astype(str), scores["member"].values.astype(bool), strict=True):
        fitted = np.isfinite(found.joint[:, member])
        told = {
            "roi": roi,
            "n_targets": round(float(fitted.sum(axis=1).mean())),
            "of_targets": int(known[member].sum()),
        }
        rows.append(whose | told | _summary(found.joint[:, member], found.controls[:, member], draws, seed))
    return pd.DataFrame(rows, columns=list(COLUMNS))


def _summary(joint: np.ndarray, controls: np.ndarray, draws: int, seed: int) -> dict[str, float]:
    """Over folds in which the region has a target."""
    by_part = np.stack([mean(joint, 1), mean(controls, 1), mean(joint - controls, 1)], axis=1)
    by_part = by_part[np.isfinite(by_part).all(axis=1)]
    ends = (np.nan, np.nan)
    if len(by_part) >= FEWEST_PARTS:
        interval = statistics.bootstrap(by_part[:, 2], block=1, n=draws, seed=seed)
        ends = float(interval.low), float(interval.high)
    r_joint, r_controls, adds = (float(v) for v in mean(by_part, 0))
    return {
        "r_joint": r_joint, "r_controls": r_controls, "adds": adds, "low": ends[0], "high": ends[1], "n_parts": len(by_part),
    }  # fmt: skip
