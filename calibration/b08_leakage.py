"""B8: features that know nothing of the stimulus score nothing, unless samples are shuffled into folds."""

from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path

import numpy as np
from scipy.linalg import block_diag
from scipy.ndimage import gaussian_filter1d

from calibration import forward
from calibration.harness import at_least, cell, within
from pipeline import ridge
from pipeline.datasets.simulate_signals import cleaning
from pipeline.encoding import Encoding, folds_of
from pipeline.models import MODELS
from pipeline.recordings import RECORDINGS
from pipeline.recordings.base import zscored
from pipeline.samples import Samples

_RUNS, _SAMPLES, _VOXELS = 5, 150, 40
_CLEAN = cleaning(_SAMPLES, forward.TR_S, 0.008)  # detrending and a high-pass of 128 s
_SPLITS = {
    "leave one run out": Encoding(),
    "four contiguous blocks 20 s apart": Encoding(split="contiguous", folds=4),
    "one run held out as given": Encoding(split="given"),
}
_LEAKY = Encoding(split="shuffled", allow_leaky=True)


@lru_cache(1)
def _recorded(seed: int, phi: float) -> tuple[Samples, np.ndarray, np.ndarray, np.ndarray]:
    """Responses without a stimulus, cleaned as images are; columns of `oasm`; of smooth noise; the responses uncleaned."""
    rng = np.random.default_rng([8, seed])
    stories = [forward.tell(rng, _SAMPLES, 1) for _ in range(_RUNS)]
    noises = [forward.noise(rng, _SAMPLES, _VOXELS, phi, drift=0.1) for _ in stories]
    Y, uncleaned = (
        np.concatenate([zscored(part) for part in parts]) for parts in ([_CLEAN @ n for n in noises], noises)
    )
    run = np.repeat([str(i) for i in range(_RUNS)], _SAMPLES)
    times = np.concatenate([s.times_s for s in stories])
    split = np.where(run == str(_RUNS - 1), "test", "train")
    kept = {str(i): np.arange(_SAMPLES) for i in range(_RUNS)}
    oasm = block_diag(*_oasm(stories))
    smooth = np.concatenate(
        [zscored(gaussian_filter1d(rng.standard_normal((_SAMPLES, 400)), 1.5, axis=0)) for _ in stories]
    )
    return Samples(Y, run, split, times, forward.TR_S, kept), oasm, smooth, uncleaned


def _oasm(stories: list[forward.Story]) -> Iterator[np.ndarray]:
    model, recording = MODELS["oasm"](width_s=3.0), RECORDINGS["arrays"]()
    words = {str(i): story.words for i, story in enumerate(stories)}
    for story, found in zip(stories, model.activations(words, study_dir=Path()), strict=True):
        values = found.values[:, 0].astype(float)
        yield recording.design(values[:, values.any(axis=0)], story.onsets, story.times_s, model.sampled)


def _r(samples: Samples, X: np.ndarray, settings: Encoding, seed: int) -> float:
    outer, inner = folds_of(samples, settings, seed)
    return float(ridge.cross_validate(X, samples.Y, folds=outer, inner=inner, alphas=settings.grid()).r.mean())


for _name, _settings in _SPLITS.items():

    @cell("B8", f"r of oasm, responses without a stimulus (memory .8), {_name}", within(0.03), quick=1)
    def oasm(seed: int, settings: Encoding = _settings) -> float:
        samples, X, _, _ = _recorded(seed, 0.8)
        return _r(samples, X, settings, seed)

    @cell("B8", f"r of smooth noise, the same responses, {_name}", within(0.03), quick=1)
    def smooth(seed: int, settings: Encoding = _settings) -> float:
        samples, _, X, _ = _recorded(seed, 0.8)
        return _r(samples, X, settings, seed)


@cell(
    "B8",
    "r of oasm, the same responses only z-scored by run, not high-passed: four blocks cut runs, "
    "and the rest of a run tells the mean of the block",
    at_least(0.03),
    quick=1,
    naive=True,
)
def uncleaned(seed: int) -> float:
    samples, X, _, Y = _recorded(seed, 0.8)
    return _r(samples._replace(Y=Y), X, _SPLITS["four contiguous blocks 20 s apart"], seed)


for _phi in (0.8, 0.5):

    @cell(
        "B8",
        f"r of oasm, such responses (memory {_phi}), samples shuffled into folds",
        at_least(0.3),
        quick=1,
        naive=True,
    )
    def shuffled(seed: int, phi: float = _phi) -> float:
        samples, X, _, _ = _recorded(seed, phi)
        return _r(samples, X, _LEAKY, seed)

    @cell(
        "B8",
        f"r of smooth noise, such responses (memory {_phi}), samples shuffled into folds",
        at_least(0.3),
        quick=1,
        naive=True,
    )
    def smooth_shuffled(seed: int, phi: float = _phi) -> float:
        samples, _, X, _ = _recorded(seed, phi)
        return _r(samples, X, _LEAKY, seed)
