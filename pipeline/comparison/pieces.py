"""What each block of a person's tested samples adds to every score: what intervals over people and blocks within are made of."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from pipeline.comparison.contrasts import Clock
from pipeline.comparison.networks import Scored
from pipeline.statistics.blocks import split_blocks, split_runs

if TYPE_CHECKING:
    import xarray as xr

KEY = ("model", "seed", "step", "layer", "roi")  # what tells one score from another


def pieces(found: Mapping[str, Mapping[str, list[Scored]]], clock: Clock) -> "xr.Dataset":
    """The scores of one person's recording, cut into blocks.

    Blocks of one length for all scores, none across the border of two runs:
    those over which the person's own intervals are taken. They are all that
    an interval over people needs to know of a person.

    Parameters
    ----------
    found : region -> model -> its networks and layers.

    Returns
    -------
    `r` (score, block): the block's mean contribution, so that the mean over
    blocks, weighted with `samples` (block), is the score. `run` of each block.
    """
    import xarray as xr

    every = [(model, s, roi) for roi, models in found.items() for model, scores in models.items() for s in scores]
    blocks = split_blocks(split_runs(clock.run, len(clock.run)), clock.block)
    r = np.array([[s.series[rows].mean() for rows in blocks] for _, s, _ in every])
    labels = [(model, s.seed, s.step, s.layer, roi) for model, s, roi in every]
    about = {"units": "1", "long_name": "mean contribution of the block's samples to the score"}
    size = {"units": "1", "long_name": "samples of the block"}
    return xr.Dataset(
        {"r": (("score", "block"), r, about), "samples": ("block", [len(rows) for rows in blocks], size)},
        {name: ("score", [str(label[i]) for label in labels]) for i, name in enumerate(KEY)}
        | {"run": ("block", [str(clock.run[rows[0]]) for rows in blocks])},
    )


def rows_of(ds: "xr.Dataset") -> dict[tuple[str, ...], int]:
    """Score -> its row in what `pieces` returned."""
    labels = zip(*(ds[name].values.astype(str).tolist() for name in KEY), strict=True)
    return {key: row for row, key in enumerate(labels)}
