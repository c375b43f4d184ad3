"""Time courses over people: means with intervals over subjects, and clusters that count subjects."""

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Float

from pipeline.comparison import FEWEST_SUBJECTS, NESTED, Comparison
from pipeline.timecourse.clusters import CLUSTER_COLUMNS, Contrast, tested
from pipeline.timecourse.courses import ALL, kinds, mean
from pipeline.timecourse.saved import Member, asked
from pipeline.timecourse.tables import ends

if TYPE_CHECKING:
    import pandas as pd

_OF = ["recording", "model", "weights", "seed", "step", "layer", "kind"]
GROUP_LATENCY_COLUMNS = [*_OF, "latency", "n_subjects", "r", "r_low", "r_high", "ceiling"]
GROUP_CLUSTER_COLUMNS = [column for column in CLUSTER_COLUMNS if column != "subject"]
UNIT = "subjects"
MEAN_OF_OWN = "mean of each subject's own"


def group_latencies(table: "pd.DataFrame", settings: Comparison, seed: int = 0) -> "pd.DataFrame":
    """Nested scores by latency over people; no interval below three.

    Parameters
    ----------
    table : the tables of all people, one below the other.
    """
    import pandas as pd

    nested = table[table["layer"] == NESTED]
    parts = [
        pd.DataFrame(dict(zip(_OF, key, strict=True)) | _over_people(part, settings, seed))
        for key, part in nested.groupby(_OF, sort=False, dropna=False)
    ]
    return pd.concat(parts, ignore_index=True)[GROUP_LATENCY_COLUMNS]


def _over_people(part: "pd.DataFrame", settings: Comparison, seed: int) -> dict[str, Any]:
    wide = part.pivot(index="subject", columns="latency", values="r")
    known = wide[np.isfinite(wide.to_numpy(float)).all(axis=1)]
    few = len(known) < FEWEST_SUBJECTS
    low, high = (np.nan, np.nan) if few else ends(known.to_numpy(float), settings, seed)
    return {
        "latency": wide.columns.to_numpy(float), "n_subjects": len(known), "r": mean(known.to_numpy(float), axis=0),
        "r_low": low, "r_high": high, "ceiling": part.groupby("latency")["ceiling"].mean().to_numpy(float),
    }  # fmt: skip


def group_clusters(
    recording: str, members: list[Member], weights: Mapping[str, str], settings: Comparison, seed: int = 0
) -> "pd.DataFrame":
    """Clusters over people, kind by kind, of each model's nested score against zero and of pairs of models.

    Over channels and latencies where all people have the same channels of the
    kind (neighbours are those of the first person's head); else over the
    latencies of the mean over each person's channels, and `channels` says so.
    """
    import pandas as pd

    known = {model: w for model, w in weights.items() if all(model in one.r for one in members)}
    rows = [
        {"recording": recording} | row
        for a, b in asked(settings, known)
        for kind in _kinds(members)
        for row in _tested(members, a, b, kind, settings, seed)
    ]
    return pd.DataFrame(rows, columns=GROUP_CLUSTER_COLUMNS)


def _tested(
    members: list[Member], a: str, b: str, kind: str, settings: Comparison, seed: int
) -> Iterator[dict[str, Any]]:
    having = [one for one in members if kind in one.sensors.kinds]
    own = [_difference(one, a, b)[kinds(one.sensors)[kind]] for one in having]
    names = [[one.sensors.names[i] for i in kinds(one.sensors)[kind]] for one in having]
    shared = all(name == names[0] for name in names) and np.isfinite(own).all(axis=(0, 2)).any()
    values = np.stack(own if shared else [mean(one, axis=0)[None] for one in own])
    sensors = having[0].sensors if shared else None
    mean_of = {} if shared else {"mean_of": MEAN_OF_OWN}
    contrast = Contrast(a, b, NESTED, kind, UNIT, having[0].latencies_s, sensors, **mean_of)
    yield from tested(values, contrast, n=settings.permutations, seed=seed)


def _difference(one: Member, a: str, b: str) -> Float[np.ndarray, "channel latency"]:
    return one.r[a] - one.r[b] if b else one.r[a]


def _kinds(members: list[Member]) -> list[str]:
    return [kind for kind in dict.fromkeys(k for one in members for k in kinds(one.sensors)) if kind != ALL]
