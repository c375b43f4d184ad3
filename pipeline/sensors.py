"""Where the channels of a recording lie and what they measure, and which channel and latency each target is."""

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from jaxtyping import Float, Shaped

if TYPE_CHECKING:
    import mne
    import xarray as xr

LOC = 12  # numbers by which MNE says where a coil is and how it is turned
_CARRIED = ("channel_kind", "channel_loc", "target_channel", "target_latency")


class Sensors(NamedTuple):
    """Channels of a recording and, where words have epochs, the latencies at which they are read.

    Targets stand channel by channel, and in each channel latency by latency:
    target i is channel i // n_latencies at latency i % n_latencies. Without
    latencies a target is a channel.

    `kinds` are MNE's channel types ("mag", "grad", "eeg", "seeg", "ecog", ...,
    or "label" for a region of the source space). `loc` is MNE's, in head
    coordinates; NaN where nobody knows.
    """

    names: tuple[str, ...]
    kinds: tuple[str, ...]
    loc: Float[np.ndarray, "channel 12"]
    latencies_s: tuple[float, ...] = ()

    @property
    def targets(self) -> tuple[str, ...]:
        """The names of the targets: `MEG0113`, or `MEG0113@+150ms` at a latency."""
        if not self.latencies_s:
            return self.names
        return tuple(f"{name}@{1000 * t:+.0f}ms" for name in self.names for t in self.latencies_s)

    @property
    def has_places(self) -> bool:
        """Is it known where every channel is?"""
        return bool(np.isfinite(self.loc[:, :3]).all() and self.loc[:, :3].any(axis=1).all())


def placed(ds: "xr.Dataset", sensors: Sensors) -> "xr.Dataset":
    """A dataset with an axis `target`, and beside it the channels and what each target is."""
    n = max(len(sensors.latencies_s), 1)
    target = np.arange(len(sensors.names) * n)
    latency = np.array(sensors.latencies_s)[target % n] if sensors.latencies_s else np.full(len(target), np.nan)
    ds = ds.assign_coords(channel=np.array(sensors.names, dtype=str))
    ds["channel_kind"] = ("channel", np.array(sensors.kinds, dtype=str), {"units": "", "long_name": "what it measures"})
    about = {"units": "m, 1", "long_name": "place and orientation as MNE gives them, head coordinates"}
    ds["channel_loc"] = (("channel", "loc"), np.asarray(sensors.loc, np.float64), about)
    ds["target_channel"] = (
        "target",
        (target // n).astype(np.int32),
        {"units": "1", "long_name": "channel of the target"},
    )
    about = {"units": "s", "long_name": "latency of the target after word onset"}
    ds["target_latency"] = ("target", latency, about)
    return ds


def sensors_of(ds: "xr.Dataset") -> Sensors | None:
    """What `placed` wrote; None where targets are no channels."""
    if "target_channel" not in ds:
        return None
    n_channels = ds.sizes["channel"]
    latency = ds["target_latency"].values.astype(float)[: ds.sizes["target"] // n_channels]
    latencies = tuple(latency.tolist()) if np.isfinite(latency).all() else ()
    return Sensors(
        tuple(ds["channel"].values.astype(str).tolist()), tuple(ds["channel_kind"].values.astype(str).tolist()),
        ds["channel_loc"].values.astype(float), latencies,
    )  # fmt: skip


def carried(source: "xr.Dataset", ds: "xr.Dataset") -> "xr.Dataset":
    """`ds`, which has the targets of `source`, with the channels of `source` where that has some."""
    found = sensors_of(source)
    return ds if found is None else placed(ds, found)


def by_latency(values: Shaped[np.ndarray, "..."], sensors: Sensors) -> Shaped[np.ndarray, "..."]:
    """(..., target) as (..., channel, latency); one latency where there are none."""
    return values.reshape(*values.shape[:-1], len(sensors.names), max(len(sensors.latencies_s), 1))


def info_of(sensors: Sensors, kind: str) -> "mne.Info":
    """MNE's description of the channels of one kind, for its drawings and adjacencies."""
    import mne

    which = [i for i, k in enumerate(sensors.kinds) if k == kind]
    info = mne.create_info([sensors.names[i] for i in which], 1000.0, kind)
    for channel, i in zip(info["chs"], which, strict=True):
        channel["loc"] = sensors.loc[i].copy()
        channel["coord_frame"] = mne.io.constants.FIFF.FIFFV_COORD_HEAD
        if kind in _COILS:
            channel["coil_type"] = _COILS[kind]
    return info


_COILS: dict[str, Any] = {"mag": 3024, "grad": 3012}  # Vectorview's T3 magnetometer and T1 planar gradiometer
