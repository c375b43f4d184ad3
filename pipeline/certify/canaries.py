"""Features that cannot know what is tested, on the real responses: if one of them scores, the study leaks.

Each is fitted as the study fits its model: the same folds, penalties and
targets. A score above its bound means that something reaches the test samples
on another way than through the stimulus.
"""

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from pipeline.certify.fitting import AsFitted, Designs, Fit, fit, laid, over, spread
from pipeline.encoding import designs
from pipeline.hrf import HRFS, LENGTH_S
from pipeline.models.oasm import Oasm
from pipeline.statistics.blocks import split_runs
from pipeline.timing import FILTERS

MOST_R = 0.03  # of sequences that are as slow as blood flow and know nothing: no split without a leak gives more
WIDTH_S = 12.0  # the middle one of the model `oasm`
EACH_S = 1.0  # between the moments at which a slow sequence is read
WINDOW = 3  # lobes of the filters, as `timing.to_grid` has them


class Canary(NamedTuple):
    """What a canary scored: `r` with its 95 % interval over blocks of tested samples, and the verdict.

    `verdict` is green (silent), red (it sings) or none, with the `reason`.
    `measure` says what `r` is: the canary's mean correlation, or its
    difference from the model's.
    """

    name: str
    measure: str
    r: float
    low: float
    high: float
    bound: float
    verdict: str
    n_targets: int = 0
    reason: str = ""


def sung(found: AsFitted, *, draws: int, seed: int, n_targets: int | None = None) -> list[Canary]:
    """Every canary that features can make, on an even spread of the real targets.

    Parameters
    ----------
    draws : of the intervals, over blocks of tested samples.
    """
    some = spread(found.usable, n_targets)
    if not some.size:
        return [_silent(name, "no target could be fitted") for name in CANARIES]
    Y = np.ascontiguousarray(found.samples.Y[:, some])
    told = []
    for name, canary in CANARIES.items():
        try:
            told.append(canary(found, Y, draws, seed)._replace(n_targets=len(some)))
        except ValueError as error:
            told.append(_silent(name, str(error)))
    return told


def oasm(found: AsFitted, Y: np.ndarray, draws: int, seed: int) -> Canary:
    """Slow bumps along the time of each run: they score where test samples lie next to training samples, and nowhere else."""
    one = fit(found, Y, dict.fromkeys(found.X, _bumps(found)))
    r, low, high = _score(found, one, draws, seed)
    return Canary("oasm", "r", r, low, high, MOST_R, "red" if abs(r) > MOST_R else "green")


def future(found: AsFitted, Y: np.ndarray, draws: int, seed: int) -> Canary:
    """The model's features of words that the listener has not heard yet: they must not beat those of words heard."""
    one, other = fit(found, Y), fit(found, Y, _to_come(found))
    r = float(np.nanmean(other.r) - np.nanmean(one.r))
    ends = over(found, other.series - one.series, draws, seed)
    sings = r > 0 and float(ends.low) > 0
    return Canary("future", "difference", r, float(ends.low), float(ends.high), 0.0, "red" if sings else "green")


def story(found: AsFitted, Y: np.ndarray, draws: int, seed: int) -> Canary:
    """The model's features of another run, begun somewhere in it: they know words, but not these."""
    one = fit(found, Y, {layer: exchanged(X, found.samples.run, seed) for layer, X in found.X.items()})
    r, low, high = _score(found, one, draws, seed)
    return Canary("story", "r", r, low, high, MOST_R, "red" if r > MOST_R and low > MOST_R else "green")


def exchanged(X: Float[np.ndarray, "sample column"], run: np.ndarray, seed: int) -> Float[np.ndarray, "sample column"]:
    """Each run with the design of the next one, rolled by a shift that is drawn, cut or begun again at its end.

    Rolled, because beginnings of stories are alike: what they share with each
    other is their place in the run.
    """
    rng = np.random.default_rng(seed)
    runs = split_runs(run, len(run))
    if len(runs) < 2:
        raise ValueError("there is one run: no other story's words can be laid on it")
    laid_on = np.empty_like(X)
    for own, other in zip(runs, [*runs[1:], runs[0]], strict=True):
        shift = int(rng.integers(len(other) // 4, len(other) - len(other) // 4))
        laid_on[own] = X[other[(np.arange(len(own)) + shift) % len(other)]]
    return laid_on


def _score(found: AsFitted, one: Fit, draws: int, seed: int) -> tuple[float, float, float]:
    ends = over(found, one.series, draws, seed)
    return float(np.nanmean(one.r)) if np.isfinite(one.r).any() else np.nan, float(ends.low), float(ends.high)


def _silent(name: str, reason: str) -> Canary:
    return Canary(name, "r", np.nan, np.nan, np.nan, np.nan, "none", 0, reason)


def _bumps(found: AsFitted) -> Float[np.ndarray, "sample column"]:
    """`models.oasm` at one width, read once a second."""
    import pandas as pd
    import xarray as xr

    tables = {}
    for run, ds in found.recordings.items():
        time = ds["time"].values.astype(float)
        onset = np.arange(time.min(), time.max() + EACH_S, EACH_S)
        tables[run] = pd.DataFrame({"onset": onset, "duration": EACH_S, "word": ""})
    made = {}
    for one in Oasm(width_s=WIDTH_S).activations(tables, study_dir=Path()):
        coords = {"onset": ("word", tables[one.run]["onset"].to_numpy()), "layer": [0]}
        features = (("word", "layer", "feature"), one.values)
        made[one.run] = xr.Dataset({"activations": features}, coords, {"sampled": Oasm.sampled, "private": 1})
    (X,) = designs(found.recording, made, found.recordings, found.samples)
    return X


def _to_come(found: AsFitted) -> Designs:
    """The designs of words that come later than anything the study's own design reads."""
    first = next(iter(found.activations.values()))
    if first.attrs["sampled"] == "state":
        raise ValueError("the model's features are a state, which has no words to come")
    if found.samples.word_s:
        return _next_words(found)
    recording = found.recording.model_copy(update=_later(found))
    moved = _laid(found, recording, found.activations)
    if not all(X.any() for X in moved.values()):
        raise ValueError("the runs are too short to lay words beside responses that come before them")
    return moved


def _later(found: AsFitted) -> dict:
    """Delays as many as the study's, from the first at which no word is read that has begun."""
    recording, tr_s = found.recording, found.samples.tr_s
    if getattr(recording, "form", "") == "continuous":
        start, end = recording.window
        return {"window": (start - end - tr_s, -tr_s)}
    reach = _reach_back(recording, tr_s)
    return {"delays": tuple(-(reach + 1 + i) for i in range(len(recording.delays)))}


def _reach_back(recording, tr_s: float) -> int:
    """Samples before its place on the clock from which a column still reads words."""
    if recording.how in HRFS:
        return round(LENGTH_S / tr_s)
    if recording.how not in FILTERS:
        return 0
    _, _, lobes = FILTERS[recording.how](WINDOW)
    return int(np.ceil(lobes / ((recording.cutoff_hz or 1 / tr_s) * tr_s)))


def _next_words(found: AsFitted) -> Designs:
    """Where samples are words: each with the features of the first word that begins when its epoch is over."""
    end_s = float(next(iter(found.recordings.values())).attrs["word_end_s"])
    moved = {}
    for run, ds in found.activations.items():
        onset = ds["onset"].values.astype(float)
        later = np.minimum(np.searchsorted(onset, onset + max(end_s, 0), side="right"), len(onset) - 1)
        moved[run] = ds.isel(word=later).assign_coords(onset=("word", onset))
    return _laid(found, found.recording, moved)


def _laid(found: AsFitted, recording, activations) -> Designs:
    n_layers = next(iter(activations.values())).sizes["layer"]
    return laid(recording, activations, found.recordings, found.samples, found.layers, found.network, n_layers)


CANARIES: dict[str, Callable[[AsFitted, np.ndarray, int, int], Canary]] = {
    "oasm": oasm,
    "future": future,
    "story": story,
}
