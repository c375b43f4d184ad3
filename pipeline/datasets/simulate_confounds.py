"""What disturbs a simulated preprocessed run besides thermal noise, and the table in which fMRIPrep tells of it.

Heads that moved and pulse and breath leave their traces in every place of the
brain, each with a weight of its own. The table's columns are computed as
fMRIPrep computes them, from small samples of fluid, white and grey matter that
are disturbed in the same way; so a regression on them takes the traces away.
"""

from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from jaxtyping import Float

from pipeline.datasets.simulate_heads import AXES
from pipeline.datasets.simulate_signals import Noise, noises

FIRST_GAIN = 1.15  # the first volume is brighter: the magnetisation is not in its steady state yet
_MOTION_SD = 14.0  # image units for each of six courses, slow for the most part; thermal noise is 15
# of pulse and breath, six courses: what the mean of fluid or of white matter shows is strongest everywhere
_PHYSIOLOGY_SD = np.array([12.0, 8.0, 8.0, 12.0, 8.0, 8.0])
_MEMORY = 0.85  # of a physiological course from volume to volume, AR(1)
_TISSUES = {"csf": (1400.0, 40), "white_matter": (820.0, 40), "grey_matter": (1000.0, 400)}  # baseline, sampled places
_OWN = {"csf": slice(0, 3), "white_matter": slice(3, 6), "grey_matter": slice(0)}  # courses that are strong in a tissue
_OWN_MEAN, _OWN_SD = np.array([20.0, 0.0, 0.0]), 25.0  # of their weights: the mean over the tissue shows the first
_RADIUS_MM = 50.0  # of the head, where Power's framewise displacement turns degrees into mm
_COSINE_S = 128.0  # the longest wave that fMRIPrep's high-pass leaves
_VARIANCE = 0.5  # explained by the components that fMRIPrep keeps
_FD_MM, _STD_DVARS = 0.5, 1.5  # fMRIPrep's limits for motion outliers


class Disturbance(NamedTuple):
    """What happened during one run, each course with mean 0 and SD 1."""

    motion: Float[np.ndarray, "volume 6"]
    physiology: Float[np.ndarray, "volume course"]


def disturbance(rng: np.random.Generator, motion: Float[np.ndarray, "volume 6"]) -> Disturbance:
    """Draw pulse and breath for a run in which the head moved so."""
    from scipy.signal import lfilter

    courses = lfilter([1.0], [1.0, -_MEMORY], rng.standard_normal((len(motion), len(_PHYSIOLOGY_SD))), axis=0)
    return Disturbance(_standard(motion), _standard(courses))


def _standard(courses: Float[np.ndarray, "volume course"]) -> Float[np.ndarray, "volume course"]:
    return (courses - courses.mean(axis=0)) / courses.std(axis=0)


def disturbed(
    rng: np.random.Generator,
    signal: Float[np.ndarray, "volume place"],
    baseline: Float[np.ndarray, " place"],
    by: Disturbance,
    noise: Noise,
    tr_s: float,
) -> Float[np.ndarray, "volume place"]:
    """A preprocessed run: baseline, signal, noise, and a mixture of its own of all disturbances in every place."""
    n = signal.shape[1]
    data = baseline + signal + noises(rng, signal.shape, noise, tr_s)
    data += _MOTION_SD * by.motion @ rng.standard_normal((by.motion.shape[1], n))
    data += by.physiology * _PHYSIOLOGY_SD @ rng.standard_normal((by.physiology.shape[1], n))
    data[0] += (FIRST_GAIN - 1) * baseline
    return data


def confounds(
    rng: np.random.Generator, motion: Float[np.ndarray, "volume 6"], by: Disturbance, noise: Noise, tr_s: float
) -> tuple[pd.DataFrame, dict[str, dict[str, Any]]]:
    """fMRIPrep's table of confounds (from version 21 on) and what its JSON says of the columns."""
    samples = {tissue: _sample(rng, tissue, by, noise, tr_s) for tissue in _TISSUES}
    everywhere = np.concatenate(list(samples.values()), axis=1)
    table = _expanded(_means(samples, everywhere))
    table = table.assign(**_dvars(everywhere), framewise_displacement=_displacement(motion))
    waves = _cosines(len(motion), tr_s)
    components, meta = _all_components(samples, waves)
    table = table.assign(**components, **{f"cosine{k:02d}": wave for k, wave in enumerate(waves.T)})
    table["non_steady_state_outlier00"] = np.eye(1, len(motion))[0]
    turned = motion * np.repeat([1.0, np.pi / 180], 3)  # fMRIPrep writes radians
    table = pd.concat([table, _expanded(pd.DataFrame(turned, columns=AXES)), _outliers(table)], axis=1)
    return table, meta


def _sample(
    rng: np.random.Generator, tissue: str, by: Disturbance, noise: Noise, tr_s: float
) -> Float[np.ndarray, "volume place"]:
    baseline, n = _TISSUES[tissue]
    own = by.physiology[:, _OWN[tissue]]
    shared = own @ (_OWN_MEAN[: own.shape[1], None] + _OWN_SD * rng.standard_normal((own.shape[1], n)))
    return disturbed(rng, shared, np.full(n, baseline), by, noise, tr_s)


def _means(
    samples: dict[str, Float[np.ndarray, "volume _"]], everywhere: Float[np.ndarray, "volume place"]
) -> pd.DataFrame:
    means = {"global_signal": everywhere.mean(axis=1)}
    return pd.DataFrame(means | {tissue: samples[tissue].mean(axis=1) for tissue in ("csf", "white_matter")})


def _expanded(table: pd.DataFrame) -> pd.DataFrame:
    """Each column with its difference from volume to volume (none in the first row) and the squares of both."""
    columns = {}
    for name in table.columns:
        difference = table[name].diff()
        columns |= {name: table[name], f"{name}_derivative1": difference}
        columns |= {f"{name}_power2": table[name] ** 2, f"{name}_derivative1_power2": difference**2}
    return pd.DataFrame(columns)


def _dvars(everywhere: Float[np.ndarray, "volume place"]) -> dict[str, Float[np.ndarray, " volume"]]:
    """Root mean square of the change from volume to volume; standardised: 1 where nothing special happens."""
    change = np.sqrt(np.mean(np.diff(everywhere, axis=0) ** 2, axis=1))
    return {
        name: np.append(np.nan, values)
        for name, values in (("std_dvars", change / np.median(change)), ("dvars", change))
    }


def _displacement(motion: Float[np.ndarray, "volume 6"]) -> Float[np.ndarray, " volume"]:
    """Power's: the sum of what six numbers change, degrees as mm on a sphere the size of a head."""
    change = np.abs(np.diff(motion, axis=0))
    return np.append(np.nan, change[:, :3].sum(axis=1) + _RADIUS_MM * np.radians(change[:, 3:]).sum(axis=1))


def _cosines(n_volumes: int, tr_s: float) -> Float[np.ndarray, "volume wave"]:
    """The slow waves of a discrete cosine transform, over the volumes in steady state; 0 before them."""
    n = n_volumes - 1
    orders = np.arange(1, int(2 * n * tr_s / _COSINE_S) + 1)
    waves = np.sqrt(2 / n) * np.cos(np.pi * (2 * np.arange(n)[:, None] + 1) * orders / (2 * n))
    return np.concatenate([np.zeros((1, len(orders))), waves])


def _all_components(
    samples: dict[str, Float[np.ndarray, "volume _"]], waves: Float[np.ndarray, "volume wave"]
) -> tuple[dict[str, Float[np.ndarray, " volume"]], dict[str, dict[str, Any]]]:
    """aCompCor of fluid, white matter and both."""
    fluid, white = samples["csf"], samples["white_matter"]
    masks = {"c": ("CSF", fluid), "w": ("WM", white), "a": ("combined", np.concatenate([fluid, white], axis=1))}
    columns, meta = {}, {name: {"Method": "Mean"} for name in ("csf", "white_matter", "global_signal")}
    for prefix, (mask, sample) in masks.items():
        courses, told = _components(sample, waves, mask)
        names = [f"{prefix}_comp_cor_{k:02d}" for k in range(len(told))]
        columns |= dict(zip(names, courses.T, strict=True))
        meta |= dict(zip(names, told, strict=True))
    return columns, meta


def _components(
    sample: Float[np.ndarray, "volume place"], waves: Float[np.ndarray, "volume wave"], mask: str
) -> tuple[Float[np.ndarray, "volume component"], list[dict[str, Any]]]:
    """Principal components of what a high-pass leaves of a tissue in steady state, until they explain half of it."""
    steady = sample[1:] - sample[1:].mean(axis=0)
    slow = waves[1:]
    left = steady - slow @ (slow.T @ steady)  # the waves are orthonormal there
    courses, sizes, _ = np.linalg.svd(left / left.std(axis=0), full_matrices=False)
    explained = sizes**2 / np.sum(sizes**2)
    n = int(np.searchsorted(np.cumsum(explained), _VARIANCE)) + 1
    told = [
        {
            "CumulativeVarianceExplained": float(explained[: k + 1].sum()),
            "Mask": mask,
            "Method": "aCompCor",
            "Retained": True,
            "SingularValue": float(sizes[k]),
            "VarianceExplained": float(explained[k]),
        }
        for k in range(n)
    ]
    return np.concatenate([np.zeros((1, n)), courses[:, :n]]), told


def _outliers(table: pd.DataFrame) -> pd.DataFrame:
    """One column for every volume that moved or flickered too much."""
    over = (table["framewise_displacement"] > _FD_MM) | (table["std_dvars"] > _STD_DVARS)
    at = np.flatnonzero(over)
    return pd.DataFrame(np.eye(len(table))[:, at], columns=[f"motion_outlier{k:02d}" for k in range(len(at))])
