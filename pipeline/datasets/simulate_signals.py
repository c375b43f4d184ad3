"""From the grammar's states to what a voxel shows: blood answers late, and noise lies on top."""

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from pipeline.datasets.simulate_stories import SYNTAX, Telling

_STEP_S = 0.1  # of the grid on which words meet the answer of the blood
_HRF_S = 32.0
_PEAK_S, _PEAK_JITTER_S, _UNDERSHOOT_S, _UNDERSHOOT = 6.0, 0.6, 16.0, 1 / 6  # SPM's double gamma, peak around 5 s


class Noise(NamedTuple):
    """What moves a voxel besides the story; in image units, where the baseline is 1000."""

    sd: float = 15.0  # of the fast part: 1.5 % of the baseline
    memory: float = 0.4  # correlation of the fast part from volume to volume, AR(1)
    common: float = 0.03  # share of the fast part's variance that all voxels of a presentation have in common
    drift_sd: float = 12.0  # of each slow wave
    drift_s: tuple[float, ...] = (1200.0, 600.0, 300.0)  # their periods: slower than the high-pass


class Voxels(NamedTuple):
    """How the voxels of one subject answer."""

    weights: dict[str, Float[np.ndarray, "voxel state"]]  # per field of Telling
    peak_s: Float[np.ndarray, " voxel"]  # mean of the first gamma of the voxel's answer
    share: Float[np.ndarray, " voxel"]  # of signal in one presentation; 0 in noise voxels


def voxels(rng: np.random.Generator, rois: list[str], share: tuple[float, float], tellings: list[Telling]) -> Voxels:
    """Draw a subject: what each voxel follows, how fast its blood answers, how strong its signal is.

    A topic voxel has a normal weight for every topic. A syntax voxel mixes the
    five states at shares drawn from a flat Dirichlet and signs by chance; each
    state counts in units of its SD in the signal of the tellings.
    """
    n, roi = len(rois), np.array(rois)[:, None]
    n_topics = tellings[0].topic.shape[1]
    mix = np.sqrt(rng.dirichlet(np.ones(len(SYNTAX)), n)) * rng.choice([-1.0, 1.0], (n, len(SYNTAX)))
    weights = {
        "topic": rng.standard_normal((n, n_topics)) * (roi == "topic"),
        "syntax": mix / _sizes(tellings) * (roi == "syntax"),
        "wordrate": np.ones((n, 1)) * (roi == "wordrate"),
    }
    peak_s = _PEAK_S + _PEAK_JITTER_S * rng.standard_normal(n).clip(-2, 2)
    return Voxels(weights, peak_s, rng.uniform(*share, n) * (roi[:, 0] != "noise"))


def _sizes(tellings: list[Telling]) -> Float[np.ndarray, " state"]:
    n = len(SYNTAX)
    one_each = Voxels({"syntax": np.eye(n)}, np.full(n, _PEAK_S), np.ones(n))
    answers = [respond(one_each, telling, np.arange(0, telling.words["onset"].iloc[-1])) for telling in tellings]
    return np.concatenate(answers).std(axis=0)


def respond(drawn: Voxels, telling: Telling, times: Float[np.ndarray, " volume"]) -> Float[np.ndarray, "volume voxel"]:
    """The noiseless answer of every voxel at `times` (s), in no unit yet.

    Every word is an impulse of the size of its state, in the middle of the
    word; the blood answers to each with the voxel's own double gamma.
    """
    drive = sum(getattr(telling, name) @ weights.T for name, weights in drawn.weights.items())
    middle = (telling.words["onset"] + telling.words["duration"] / 2).to_numpy()
    n_fine = int(times[-1] / _STEP_S) + 2
    place = np.round(middle / _STEP_S).astype(int)
    fine = np.zeros((n_fine, drive.shape[1]))
    heard = place < n_fine
    np.add.at(fine, place[heard], drive[heard])
    answers = hrf(drawn.peak_s)
    size = n_fine + len(answers) - 1
    blood = np.fft.irfft(np.fft.rfft(fine, size, axis=0) * np.fft.rfft(answers, size, axis=0), size, axis=0)
    return blood[np.round(times / _STEP_S).astype(int)]


def hrf(peak_s: Float[np.ndarray, " voxel"]) -> Float[np.ndarray, "lag voxel"]:
    """Double-gamma answers to an impulse, every 0.1 s for 32 s, each with a sum of 1.

    `peak_s` is the mean of the first gamma (SPM: 6 s); its maximum lies 1 s
    earlier. The undershoot is SPM's: a sixth as large, at 16 s.
    """
    from scipy.stats import gamma

    lag = np.arange(0, _HRF_S, _STEP_S)[:, None]
    answer = gamma.pdf(lag, peak_s) - _UNDERSHOOT * gamma.pdf(lag, _UNDERSHOOT_S)
    return answer / answer.sum(axis=0)


def noises(
    rng: np.random.Generator, shape: tuple[int, int], noise: Noise, tr_s: float
) -> Float[np.ndarray, "volume voxel"]:
    """Noise of one presentation: AR(1), in part common to all voxels, and slow waves; stationary from the start."""
    from scipy.signal import lfilter

    n_volumes, n_voxels = shape
    fresh = rng.standard_normal((n_volumes, n_voxels + 1)) * np.sqrt(1 - noise.memory**2)
    fresh[0] /= np.sqrt(1 - noise.memory**2)
    fast = lfilter([1.0], [1.0, -noise.memory], fresh, axis=0)
    mixed = np.sqrt(1 - noise.common) * fast[:, :-1] + np.sqrt(noise.common) * fast[:, -1:]
    waves = _waves(n_volumes, noise, tr_s)
    return noise.sd * mixed + noise.drift_sd * waves @ rng.standard_normal((waves.shape[1], n_voxels))


def _waves(n_volumes: int, noise: Noise, tr_s: float) -> Float[np.ndarray, "volume wave"]:
    times = np.arange(n_volumes)[:, None] * tr_s
    return np.cos(2 * np.pi * times / np.array(noise.drift_s))


def cleaning(n_volumes: int, tr_s: float, high_pass_hz: float) -> Float[np.ndarray, "volume volume"]:
    """What the analysis does to a run before it z-scores it, as a matrix: detrending and a high-pass are linear."""
    from nilearn.signal import clean

    matrix = clean(
        np.eye(n_volumes), detrend=True, standardize=None, standardize_confounds=False, high_pass=high_pass_hz, t_r=tr_s,
        filter="cosine",
    )  # fmt: skip
    return matrix - matrix.mean(axis=0)


def noise_variance(clean: Float[np.ndarray, "volume volume"], noise: Noise, tr_s: float) -> float:
    """Expected variance over a cleaned run of the noise that `noises` draws: exact, tr(C S C') / n."""
    from scipy.linalg import toeplitz

    n = len(clean)
    fast = np.einsum("ij,jk,ik->", clean, toeplitz(noise.memory ** np.arange(n)), clean, optimize=True)
    slow = np.sum((clean @ _waves(n, noise, tr_s)) ** 2)
    return float(noise.sd**2 * fast + noise.drift_sd**2 * slow) / n


def scaled(
    signals: Mapping[str, Float[np.ndarray, "volume voxel"]],
    share: Float[np.ndarray, " voxel"],
    clean: Float[np.ndarray, "volume volume"],
    noise_var: float,
    *,
    test: str,
) -> dict[str, Float[np.ndarray, "volume voxel"]]:
    """Give every voxel's signal the size that makes `share` true of the cleaned run `test`; the same in all runs."""
    have = (clean @ signals[test]).var(axis=0)
    size = np.sqrt(share / (1 - share) * noise_var / np.where(share > 0, have, 1.0))
    return {run: signal * size for run, signal in signals.items()}
