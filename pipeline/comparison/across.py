"""Intervals over people, and over the blocks of each person's samples."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from jaxtyping import Float, Int

from pipeline import statistics
from pipeline.comparison.networks import NESTED
from pipeline.comparison.pieces import rows_of
from pipeline.comparison.settings import FEWEST_SUBJECTS, Comparison

if TYPE_CHECKING:
    import xarray as xr

_COLUMNS = 64  # scores resampled together: with 40 people and 1000 draws, 20 MB at each step


class Pieces(NamedTuple):
    """One person's scores, block by block (what `pieces` made), as arrays; `rows` finds a score by its key."""

    r: Float[np.ndarray, "score block"]
    samples: Int[np.ndarray, " block"]
    rows: Mapping[tuple[str, ...], int]

    def series(self, key: tuple[str, ...]) -> Float[np.ndarray, " block"]:
        """Mean contribution of each block to a score; missing where the person has no such score."""
        return self.r[self.rows[key]] if key in self.rows else np.full(len(self.samples), np.nan)

    def nested(self, model: str, roi: str) -> Float[np.ndarray, " block"]:
        """What stands for a model in a contrast: the last of its nested rows (`networks.representative`)."""
        own = [row for key, row in self.rows.items() if (key[0], key[3], key[4]) == (model, NESTED, roi)]
        return self.r[own[-1]] if own else np.full(len(self.samples), np.nan)


def opened(blocks: Mapping[tuple[str, str], "xr.Dataset"], recording: str) -> dict[str, Pieces]:
    """The pieces of every person who has the recording."""
    of_recording = {subject: ds for (subject, label), ds in blocks.items() if label == recording}
    return {s: Pieces(ds["r"].values, ds["samples"].values, rows_of(ds)) for s, ds in of_recording.items()}


def ends(
    people: Mapping[str, Pieces],
    series: Mapping[str, Sequence[Float[np.ndarray, " block"]]],
    settings: Comparison,
    seed: int,
) -> Float[np.ndarray, "score two"]:
    """Ends of the 95 % interval of each score's mean over people; missing where fewer than three have it.

    Parameters
    ----------
    people, series : by subject; the pieces of all, and of each score the person's series (missing: no score).
    """
    tables = {s: np.stack(own, axis=1) for s, own in series.items()}
    has = np.stack([np.isfinite(table).all(axis=0) for table in tables.values()], axis=1)
    found = np.full((len(has), 2), np.nan)
    for who in np.unique(has, axis=0):
        columns = np.flatnonzero((has == who).all(axis=1))
        if who.sum() >= FEWEST_SUBJECTS:
            chosen = [s for s, one in zip(tables, who, strict=True) if one]
            for some in np.array_split(columns, -(-len(columns) // _COLUMNS)):
                found[some] = _of_these([(tables[s][:, some], people[s].samples) for s in chosen], settings, seed)
    return found


def _of_these(
    own: Sequence[tuple[Float[np.ndarray, "block score"], Int[np.ndarray, " block"]]], settings: Comparison, seed: int
) -> Float[np.ndarray, "score two"]:
    """Every block is laid out as so many equal samples of a run of its own, so that it stays whole."""
    values = [np.repeat(table, samples, axis=0) for table, samples in own]
    run = [np.repeat(np.arange(len(samples)), samples) for _, samples in own]
    longest = int(max(samples.max() for _, samples in own))
    interval = statistics.bootstrap_people(values, run=run, block=longest, n=settings.permutations, seed=seed)
    return np.stack([interval.low, interval.high], axis=1)
