"""A helmet of MEG sensors, what dipoles in a head show to it, and the noise that lies on top.

The layout is that of a real device and the physics are MNE's: currents in a
sphere that conducts as a head does. A topography is what the sensors show of
one pair of dipoles and does not change, so it is computed once and known.
"""

import struct
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from jaxtyping import Float

from pipeline import arrays

if TYPE_CHECKING:
    import mne

_HEAD_M = (0.0, 0.0, 0.04)  # middle of the conducting sphere, head coordinates; where MNE puts it, too
_NAM = 1e-9  # A m
_NOISE_DEPTH_M = (0.03, 0.07)  # distances of the brain's other sources from the middle
# left and right, m from the middle of the head, and the direction of the current
DIPOLES = {
    "rate": (((-0.05, 0.005, 0.03), (0.0, -0.3, 1.0)), ((0.05, 0.005, 0.03), (0.0, -0.3, 1.0))),
    "meaning": (((-0.055, 0.02, 0.01), (0.0, 1.0, 0.3)), ((0.055, 0.02, 0.01), (0.0, 1.0, 0.3))),
}
_TAG, _ID = struct.Struct(">iIii"), 31  # FIF: what each part of a file begins with; the type of a part that is an id
_FIDUCIALS_M = {"nasion": (0.0, 0.1, 0.0), "lpa": (-0.08, 0.0, 0.0), "rpa": (0.08, 0.0, 0.0)}


class Noise(NamedTuple):
    """What the sensors show besides the answers to words.

    The brain's other sources have a power of 1/f and are common to many
    sensors; each sensor has white noise of its own, with the variance of
    MNE's ad hoc covariance; the mains are a field that is the same everywhere.
    """

    sources: int = 80  # dipoles somewhere in the head
    source_nam: float = 15.0  # nAm, SD of each
    corner_hz: float = 0.5  # below it the spectrum is flat
    line_hz: float = 50.0
    line_t: float = 2e-13  # amplitude of the mains' field


def helmet(kinds: tuple[str, ...], every: int, sfreq: float, digitised: bool = True) -> "mne.Info":
    """Every so manyth sensor of each kind ("mag", "grad") of a helmet with 102 magnetometers and 204 gradiometers."""
    import mne

    whole = mne.channels.read_meg_canonical_info("neuromag")
    picks = [mne.pick_types(whole, meg=kind)[::every] for kind in kinds]
    info = mne.pick_info(whole, np.sort(np.concatenate(picks)))
    with info._unlock():
        info["sfreq"], info["lowpass"] = sfreq, sfreq / 2
        info["dev_head_t"] = mne.transforms.Transform("meg", "head", mne.transforms.translation(*_HEAD_M))
        info["dig"] = mne.channels.make_dig_montage(**_points()).dig if digitised else None
    return info


def _points() -> dict[str, object]:
    """Fiducials, and points on the scalp as a pen would touch them."""
    around = np.linspace(0, 2 * np.pi, 12, endpoint=False)
    up = np.linspace(0.1, 1.3, 4)
    scalp = [(np.cos(a) * np.cos(u), np.sin(a) * np.cos(u), np.sin(u)) for u in up for a in around]
    points = {name: np.array(place) for name, place in _FIDUCIALS_M.items()}
    return points | {"hsp": 0.095 * np.array(scalp) + _HEAD_M, "coord_frame": "head"}


def topographies(info: "mne.Info") -> Float[np.ndarray, "channel response"]:
    """T (T/m) that each sensor shows per nAm in both dipoles of a pair, in the order of `DIPOLES`."""
    pairs = [[shown(info, *map(np.array, one)) for one in pair] for pair in DIPOLES.values()]
    return np.stack([np.sum(pair, axis=0)[:, 0] for pair in pairs], axis=1)


def sources(info: "mne.Info", n: int, rng: np.random.Generator) -> Float[np.ndarray, "channel source"]:
    """What n dipoles show per nAm; they lie anywhere in the head and point along its surface."""
    away = _unit(rng.standard_normal((n, 3)))
    current = np.cross(away, rng.standard_normal((n, 3)))
    return shown(info, away * rng.uniform(*_NOISE_DEPTH_M, (n, 1)), current)


def shown(
    info: "mne.Info", place_m: Float[np.ndarray, "*source 3"], current: Float[np.ndarray, "*source 3"]
) -> Float[np.ndarray, "channel source"]:
    """T (T/m) per nAm of dipoles at m from the middle of the head; only the direction of `current` counts."""
    import mne

    place, current = np.atleast_2d(place_m) + _HEAD_M, np.atleast_2d(current)
    ones = np.ones(len(place))
    dipoles = mne.Dipole(np.arange(len(place)), place, _NAM * ones, _unit(current), 100 * ones)
    sphere = mne.make_sphere_model(_HEAD_M, head_radius=None, verbose="ERROR")
    forward, _ = mne.make_forward_dipole(dipoles, sphere, info, n_jobs=1, verbose="ERROR")
    return forward["sol"]["data"] * _NAM


def _unit(v: Float[np.ndarray, "n 3"]) -> Float[np.ndarray, "n 3"]:
    return v / np.linalg.norm(v, axis=1, keepdims=True)


def noises(
    rng: np.random.Generator, info: "mne.Info", brain: Float[np.ndarray, "channel source"], noise: Noise, n: int
) -> Float[np.ndarray, "channel time"]:
    """Noise of one presentation (T, T/m); `brain` is what `sources` said."""
    waves = pink(rng, brain.shape[1], n, info["sfreq"], noise.corner_hz)
    own = _own_sd(info)[:, None] * rng.standard_normal((len(brain), n))
    phase = rng.uniform(0, 2 * np.pi)
    mains = np.sin(2 * np.pi * noise.line_hz * np.arange(n) / info["sfreq"] + phase)
    return noise.source_nam * brain @ waves + own + noise.line_t * _homogeneous(info)[:, None] * mains


def _own_sd(info: "mne.Info") -> Float[np.ndarray, " channel"]:
    import mne

    return np.sqrt(mne.make_ad_hoc_cov(info, verbose="ERROR")["data"])


def _homogeneous(info: "mne.Info") -> Float[np.ndarray, " channel"]:
    """What a field of 1 along the room's x and z does to each sensor: nothing to a perfect gradiometer."""
    import mne

    field = np.array([1.0, 0.0, 1.0]) / np.sqrt(2)
    mags = set(mne.pick_types(info, meg="mag"))
    return np.array([field @ ch["loc"][9:12] if i in mags else 0.0 for i, ch in enumerate(info["chs"])])


def pink(rng: np.random.Generator, rows: int, n: int, sfreq: float, corner_hz: float) -> Float[np.ndarray, "rows n"]:
    """Noise of variance 1 whose power falls with 1/f above a corner and is flat below; no mean."""
    size = np.sqrt(_shares(n, sfreq, corner_hz) / 2)
    wave = (rng.standard_normal((rows, len(size))) + 1j * rng.standard_normal((rows, len(size)))) * size
    return np.fft.irfft(wave, n, axis=1) * n / np.sqrt(2)


def _shares(n: int, sfreq: float, corner_hz: float) -> Float[np.ndarray, " bin"]:
    """The share of the variance in each bin of the spectrum."""
    power = 1 / np.maximum(np.fft.rfftfreq(n, 1 / sfreq), corner_hz)
    power[0] = 0.0
    power[-1] = 0.0 if n % 2 == 0 else power[-1]  # the last bin of an even number has no phase
    return power / power.sum()


def variance(
    info: "mne.Info",
    brain: Float[np.ndarray, "channel source"],
    noise: Noise,
    n: int,
    band_hz: tuple[float, float],
) -> Float[np.ndarray, " channel"]:
    """Expected variance, without the mains, of what `noises` draws, after MNE's band-pass."""
    power = gain(n, info["sfreq"], band_hz) ** 2
    share = power @ _shares(n, info["sfreq"], noise.corner_hz)
    return noise.source_nam**2 * (brain**2).sum(axis=1) * share + _own_sd(info) ** 2 * power.mean()


def gain(n: int, sfreq: float, band_hz: tuple[float, float]) -> Float[np.ndarray, " bin"]:
    """What MNE's band-pass lets through of each bin of a spectrum of n samples."""
    import mne

    return np.abs(np.fft.rfft(mne.filter.create_filter(None, sfreq, *band_hz, verbose="ERROR"), n))


def save_raw(raw: "mne.io.RawArray", path: Path, record: Mapping[str, Any]) -> None:
    """Write a raw file; a name that ends in `_meg.fif` is what MNE expects."""
    with arrays.writing(path, **record) as temp:
        raw.save(temp, fmt="single", verbose="ERROR")
        _nameless(temp)


def _nameless(path: Path) -> None:
    """Blank this computer's number, which MNE writes into every id of a file: the same work, the same bytes everywhere."""
    with path.open("r+b") as file:
        while len(header := file.read(_TAG.size)) == _TAG.size:
            _, of, size, following = _TAG.unpack(header)
            start = file.tell()
            if of == _ID:
                file.seek(start + 4)  # behind the version
                file.write(bytes(8))
            if following < 0:
                return
            file.seek(following or start + size)
