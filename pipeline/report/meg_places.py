"""Where sensors lie, for drawings: which kinds can be drawn on a head, and one value for each place."""

import numpy as np
from jaxtyping import Float

from pipeline.sensors import Sensors

ON_A_HEAD = ("mag", "grad", "eeg", "csd")
_FEWEST = 4  # places below which nothing can be interpolated between them
_SAME_M = 1e-3  # coils closer than this share a place: the two gradiometers of one chip


def drawable_kinds(sensors: Sensors | None) -> list[str]:
    """Kinds of channel that can be drawn on a head: around it, each in a known place, and enough of them."""
    return [] if sensors is None else [k for k in dict.fromkeys(sensors.kinds) if not why_not(sensors, k)]


def why_not(sensors: Sensors, kind: str) -> str:
    """Why channels of a kind cannot be drawn on a head; empty when they can."""
    own = sensors.loc[np.array(sensors.kinds) == kind, :3]
    known = np.isfinite(own).all(axis=1) & (own != 0).any(axis=1) if len(own) else np.zeros(0, bool)
    if kind not in ON_A_HEAD:
        return f"channels of type {kind} do not lie around the head"
    if not known.all():
        return f"{len(known) - int(known.sum())} of {len(known)} {kind} channels have no known place"
    if len(np.unique(_places(own), axis=0)) < _FEWEST:
        return f"fewer than {_FEWEST} places of {kind} channels are known"
    return ""


def by_place(
    sensors: Sensors, kind: str, values: Float[np.ndarray, " channel"]
) -> tuple[Sensors, Float[np.ndarray, " place"], np.ndarray]:
    """One value for each place, the place of each channel among them, and sensors that stand for them.

    The two planar gradiometers of one place are averaged. MNE would take their
    root mean square, which is right for fields and wrong for scores: it has no
    sign, so that noise around 0 would look like a score above it.
    Places without any value are left out. Those that stand for pairs are drawn
    as magnetometers, which have one value each.
    """
    which = np.flatnonzero(np.array(sensors.kinds) == kind)
    _, first, place = np.unique(_places(sensors.loc[which, :3]), axis=0, return_index=True, return_inverse=True)
    place = place.reshape(-1)
    known = np.isfinite(values[which])
    total = np.bincount(place, np.where(known, values[which], 0.0), len(first))
    n = np.bincount(place, known, len(first))
    kept = np.flatnonzero(n > 0)
    of_channel = np.full(len(sensors.names), -1)
    of_channel[which] = np.where(np.isin(place, kept), np.searchsorted(kept, place), -1)
    stands = which[first[kept]]
    names = tuple(sensors.names[i] for i in stands)
    drawn = Sensors(names, (("mag" if kind == "grad" else kind),) * len(names), sensors.loc[stands])
    return drawn, total[kept] / n[kept], of_channel


def _places(loc: np.ndarray) -> np.ndarray:
    return np.round(loc / _SAME_M).astype(int)
