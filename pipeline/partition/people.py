"""Parts over people, with the person as the unit."""

from typing import TYPE_CHECKING, Any

import numpy as np

from pipeline import statistics
from pipeline.comparison.settings import FEWEST_SUBJECTS

if TYPE_CHECKING:
    import pandas as pd


def group(tables: "pd.DataFrame", draws: int = 1000, seed: int = 0) -> "pd.DataFrame":
    """Each part's mean over people, with a 95 % interval over people; none below three.

    Parameters
    ----------
    tables : those of every person, one below the other. A person without a
        value is in no mean and not counted.
    """
    import pandas as pd

    key = ["recording", "model", "roi", "part", "unit"]
    rows = [
        dict(zip(key, of, strict=True)) | _over_people(part, draws, seed)
        for of, part in tables.groupby(key, sort=False)
    ]
    return pd.DataFrame(rows, columns=[*key[:-1], "value", "low", "high", "unit", "null", "n_subjects", "n_targets"])


def _over_people(part: "pd.DataFrame", draws: int, seed: int) -> dict[str, Any]:
    known = part[np.isfinite(part["value"].to_numpy(float))]
    values = known["value"].to_numpy(float)
    told = {"value": values.mean() if len(values) else np.nan, "n_subjects": len(values)}
    told |= {name: known[name].mean() for name in ("null", "n_targets")}
    if len(values) < FEWEST_SUBJECTS:
        return told
    interval = statistics.bootstrap(values, block=1, n=draws, seed=seed)
    return told | {"low": float(interval.low), "high": float(interval.high)}
