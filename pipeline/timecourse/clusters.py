"""Cluster permutation tests over time and space, by MNE."""

import warnings
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from jaxtyping import Float, Integer, Shaped

from pipeline.sensors import Sensors, info_of
from pipeline.timecourse.courses import FEWEST_PARTS, mean

if TYPE_CHECKING:
    from scipy import sparse

CLUSTER_COLUMNS = [
    "subject", "recording", "a", "b", "layer", "kind", "start_s", "end_s", "n_channels", "channels", "mass", "p", "unit",
    "n_units", "peak_s", "smallest_p", "n_clusters", "n_tested",
]  # fmt: skip
MOST_ROWS = 10  # the largest clusters of a test; how many there were is told in each row
MEAN_OF = "mean of all"  # what stands for names of channels where the test is of their mean
_FEWEST_NEIGHBOURS = 4  # channels: fewer span no area


class Contrast(NamedTuple):
    """What is tested: a against zero (b empty) or against b, in the channels of one kind.

    Without `sensors` the values are means over channels already, of which
    `mean_of` tells.
    """

    a: str
    b: str
    layer: str
    kind: str
    unit: str
    latencies_s: Float[np.ndarray, " latency"]
    sensors: Sensors | None
    mean_of: str = MEAN_OF


def tested(
    values: Shaped[np.ndarray, "unit channel latency"], test: Contrast, *, n: int = 1000, seed: int = 0
) -> Iterator[dict[str, Any]]:
    """The largest clusters of one test, a row each; one row without a cluster where there is none.

    Signs of units are flipped (all patterns where there are fewer than `n`),
    points beyond the t of p = 0.05 (two-sided, MNE's default) form clusters
    over neighbouring latencies and channels, and a cluster's p is the share of
    patterns whose largest one has as much mass (the sum of t). Neighbours of
    magnetometers and planar gradiometers are MNE's for the system (the two of
    a pair are neighbours), those of other sensors with known places come from a
    triangulation; without places the mean over channels is tested over time.

    A cluster says that scores differ somewhere in it, never from when to when:
    its edges depend on noise and threshold (Sassenhagen & Draschkow 2019).

    Parameters
    ----------
    values : one value per unit (fold, person), in the order of the kind's
        channels. Channels with missing values are left out; `n_tested` tells
        how many took part.
    n : most patterns of signs.

    Returns
    -------
    `smallest_p` is what these units can reach at best: 2 / 2^units, or 1 / n.
    Below three units nothing is tested and p is missing.
    """
    told = {
        "a": test.a, "b": test.b, "layer": test.layer, "kind": test.kind, "unit": test.unit, "n_units": len(values),
        "smallest_p": np.nan, "n_clusters": 0, "p": np.nan, "channels": "",
    }  # fmt: skip
    known = np.flatnonzero(np.isfinite(values).all(axis=(0, 2)))
    told["n_tested"] = len(known)
    if len(values) < FEWEST_PARTS or not len(known):
        yield told
        return
    yield from _rows(values[:, known].astype(float), known, test, told, n, seed)


def _rows(
    values: np.ndarray, known: np.ndarray, test: Contrast, told: dict[str, Any], n: int, seed: int
) -> Iterator[dict[str, Any]]:
    near, names = _space(test, known)
    values = values if near is not None else values.mean(axis=1, keepdims=True)
    t, members, p = _permuted(values, near, n, seed)
    told = told | {"smallest_p": max(2.0 ** (1 - len(values)), 1 / n), "n_clusters": len(members)}
    masses = np.array([t[at].sum() for at in members])
    for i in np.argsort(-np.abs(masses), kind="stable")[:MOST_ROWS]:
        of_mean = {"n_channels": told["n_tested"]} if near is None else {}
        extent = _extent(*members[i], mean(values, axis=0), test.latencies_s, names)
        yield told | {"mass": masses[i], "p": p[i]} | extent | of_mean
    if not members:
        yield told


def _space(test: Contrast, known: np.ndarray) -> "tuple[sparse.sparray | None, list[str]]":
    """Neighbours among the known channels and their names; no neighbours where their mean is tested."""
    if test.sensors is None:
        return None, [test.mean_of]
    own = np.flatnonzero(np.array(test.sensors.kinds) == test.kind)[known]
    near = neighbours(test.sensors, test.kind, own)
    return near, [test.mean_of] if near is None else [test.sensors.names[i] for i in own]


def _extent(
    rows: np.ndarray, columns: np.ndarray, middle: np.ndarray, latencies_s: np.ndarray, names: list[str]
) -> dict[str, Any]:
    """From when to when, in which channels, and when their summed mean over units is furthest from zero.

    `rows` are the cluster's latencies, `columns` its channels, `middle` the
    mean over units (channel, latency).
    """
    channels = np.unique(columns)
    size = np.abs(np.bincount(rows, middle[columns, rows], minlength=len(latencies_s)))
    return {
        "start_s": latencies_s[rows.min()], "end_s": latencies_s[rows.max()], "peak_s": latencies_s[size.argmax()],
        "n_channels": len(channels), "channels": ",".join(names[i] for i in channels),
    }  # fmt: skip


def _permuted(
    values: Float[np.ndarray, "unit channel latency"], near: "sparse.sparray | None", n: int, seed: int
) -> tuple[np.ndarray, list[tuple[np.ndarray, np.ndarray]], np.ndarray]:
    """t (latency, channel), the indices of each cluster, and its p."""
    from mne.stats import permutation_cluster_1samp_test, spatio_temporal_cluster_1samp_test

    X = np.ascontiguousarray(values.transpose(0, 2, 1))
    options = {"n_permutations": n, "tail": 0, "out_type": "indices", "rng": np.random.default_rng(seed)}
    with warnings.catch_warnings(), np.errstate(invalid="ignore"):  # where nothing differs at all, t is 0 / 0
        warnings.filterwarnings("ignore", "No clusters found")  # a test may find none, and its row says so
        if near is None:
            t, found, p, _ = permutation_cluster_1samp_test(X[:, :, 0], adjacency=None, verbose="ERROR", **options)
            return t[:, None], [(at[0], np.zeros(len(at[0]), int)) for at in found], p
        t, found, p, _ = spatio_temporal_cluster_1samp_test(X, adjacency=near, verbose="ERROR", **options)
    return t, [(at[0], at[1]) for at in found], p


def neighbours(sensors: Sensors, kind: str, own: Integer[np.ndarray, " channel"]) -> "sparse.sparray | None":
    """Which of the channels `own`, all of one kind, lie side by side; None where nobody knows.

    MNE's table of the system where it names all of them; else a triangulation
    of their places on the flattened head.
    """
    from mne import use_log_level
    from mne.channels import find_ch_adjacency

    if kind not in ("mag", "grad", "eeg") or len(own) < _FEWEST_NEIGHBOURS or not sensors.has_places:
        return None
    some = Sensors(
        tuple(sensors.names[i] for i in own), tuple(sensors.kinds[i] for i in own), np.asarray(sensors.loc)[own]
    )
    with use_log_level("ERROR"):
        table, names = find_ch_adjacency(info_of(some, kind), kind)
        if not set(some.names) <= set(names):  # the table of another system
            places = some._replace(kinds=("eeg",) * len(own))
            table, names = find_ch_adjacency(info_of(places, "eeg"), "eeg")
    order = [names.index(name) for name in some.names]
    return table.tocsr()[order][:, order].tocoo()
