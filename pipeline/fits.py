"""How the maps of a model were fitted: where the chosen alphas lie, and what columns its designs have."""

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Float

from pipeline.problems import Problem
from pipeline.report import Fits

if TYPE_CHECKING:
    import xarray as xr

MOST_AT_EDGE = 0.05  # share of fits at an end of the alpha grid from which it is worth a warning
MOST_CLIPPED = 0.01  # share of a target's values beyond its limits; artefacts are fewer
_WIDER = 1e3  # by how much the grid suggested reaches further


def fits_of(model: str, scores: "xr.Dataset", grid: Float[np.ndarray, " alpha"]) -> Fits:
    """What a page says of the fits of one model on one person.

    A constant prediction is the same at every alpha and is not counted, nor
    is a target without a score.

    Parameters
    ----------
    scores : what `encoding.encode` returned.
    grid : the penalties there were to choose from, ascending.
    """
    real = (scores["flat"] == 0) & scores["alpha"].notnull()
    alpha = scores["alpha"].values[real.values].astype(float)
    # float32 alphas lie beside the grid's by a rounding
    nearest = np.searchsorted(np.sqrt(grid[1:] * grid[:-1]), alpha)
    counts = np.bincount(nearest, minlength=len(grid))
    at_edge = float(np.nan_to_num(scores["edge_share"].where(real).mean()))
    columns = scores["columns"].max([dim for dim in scores["columns"].dims if dim != "column"])
    total, constant, repeated = (int(columns.sel(column=name)) for name in ("total", "constant", "repeated"))
    return Fits(
        model, at_edge, tuple(float(a) for a in grid), tuple(counts / max(counts.sum(), 1)),
        n_samples=scores.sizes["sample"], n_columns=total, n_constant=constant, n_repeated=repeated,
        clipped=_clipped(scores),
    )  # fmt: skip


def _clipped(scores: "xr.Dataset") -> float:
    """The largest share of a target's values that lay beyond the robust limits of a fold."""
    return float(scores["clipped"].max()) / scores.sizes["sample"] if "clipped" in scores else 0.0


def problems(found: Iterable[Fits], subject: str) -> list[Problem]:
    """Grids that end too early, and designs with columns that add nothing."""
    every = list(found)
    at_edge = [_at_edge(fits, subject) for fits in every if fits.edge_share > MOST_AT_EDGE]
    clipped = [_cut_off(fits, subject) for fits in every[:1] if fits.clipped > MOST_CLIPPED]  # the same for every model
    return at_edge + [_idle(fits, subject) for fits in every if fits.n_constant or fits.n_repeated] + clipped


def _at_edge(fits: Fits, subject: str) -> Problem:
    return Problem(
        "W-ENCODE-01", f"alphas of {fits.model} lie at the edge of the grid", field="encoding.alphas",
        found=f"{fits.edge_share:.0%} of fits, {fits.share[-1]:.0%} at the largest", expected=f"at most {MOST_AT_EDGE:.0%}",
        why="a model that explains nothing ends at the largest alpha", fix=f"alphas: {_wider(fits)}, and see whether scores move",
        subject=subject, model=fits.model,
    )  # fmt: skip


def _wider(fits: Fits) -> str:
    """A grid with the same steps that goes on beyond the ends where many alphas lie."""
    low, high, n = fits.alphas[0], fits.alphas[-1], len(fits.alphas)
    below, above = (_WIDER if share > MOST_AT_EDGE / 2 else 1.0 for share in (fits.share[0], fits.share[-1]))
    step = np.log(high / low) / max(n - 1, 1) or np.log(10.0)
    more = int(np.ceil(np.log(below * above) / step))
    return f"[{low / below:.3g}, {high * above:.3g}, {n + more}]"


def _idle(fits: Fits, subject: str) -> Problem:
    return Problem(
        "W-ENCODE-02", f"the design of {fits.model} has columns that add nothing", found=told(fits), subject=subject, model=fits.model,
        why="they are harmless to ridge, but features that never change or stand twice are often a mistake",
        fix="look at the features; twice the same feature is penalised half as much",
    )  # fmt: skip


def _cut_off(fits: Fits, subject: str) -> Problem:
    return Problem(
        "W-ENCODE-03", "many values were cut off at the robust limits of their channel", field="clip", found=f"up to {fits.clipped:.1%} of a target's",
        expected=f"at most {MOST_CLIPPED:.0%}", why="a response that is always that large becomes a constant and has no score",
        fix="mark the bad stretches by annotations or reject them, or say clip: null", subject=subject,
    )  # fmt: skip


def told(fits: Fits) -> str:
    """The columns in words."""
    parts: Sequence[tuple[int, str]] = ((fits.n_constant, "constant"), (fits.n_repeated, "the same as another"))
    return f"of {fits.n_columns:,} columns " + " and ".join(f"{n:,} {what}" for n, what in parts if n)
