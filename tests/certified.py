"""A person who hears stories, in arrays: some targets follow the words, others are smooth noise."""

import numpy as np
import xarray as xr
from scipy.signal import lfilter

from pipeline.certify import AsFitted, as_fitted
from pipeline.encoding import Encoding, encode
from pipeline.recordings import Arrays
from pipeline.timing import delay, to_grid

TR, FEATURES = 2.0, 3
RECORDING = Arrays(delays=(1, 2))


def study(
    *, runs: int = 5, n: int = 120, driven: int = 4, noise: int = 6, phi: float = 0.0, ahead: int = 0, slow: float = 0.0, layers: int = 2,
    seed: int = 0,
):  # fmt: skip
    """Recordings and activations by run. Layer 1 drives the first targets one and two volumes later, `ahead` volumes earlier than that; `slow` features change little from word to word."""
    rng = np.random.default_rng(seed)
    recordings, activations = {}, {}
    for run in (f"r{i}" for i in range(runs)):
        onsets = np.sort(rng.uniform(0, n * TR, 3 * n))
        values = lfilter([1], [1, -slow], rng.normal(size=(len(onsets), layers, FEATURES)), axis=0).astype("f4")
        X = to_grid(values[:, -1].astype(float), onsets, TR * (np.arange(n) + 0.5))
        Y = lfilter([1], [1, -phi], rng.normal(size=(n + 50, driven + noise)), axis=0)[50:]
        signal = delay(X, (1, 2)) @ np.ones((2 * FEATURES, driven))
        Y[:, :driven] += np.roll(signal, -ahead, axis=0)
        recordings[run] = recorded(Y)
        coords = {"onset": ("word", onsets), "layer": list(range(layers))}
        features = (("word", "layer", "feature"), values)
        activations[run] = xr.Dataset({"activations": features}, coords, {"sampled": "event", "private": 0})
    return recordings, activations


def recorded(Y: np.ndarray) -> xr.Dataset:
    coords = {"time": ("sample", TR * np.arange(len(Y))), "target": [f"t{i}" for i in range(Y.shape[1])]}
    return xr.Dataset({"responses": (("sample", "target"), Y.astype("f4"))}, coords, {"tr_s": TR})


def split_of(recordings) -> dict[str, str]:
    *train, test = recordings
    return dict.fromkeys(train, "train") | {test: "test"}


def settings(**changes) -> Encoding:
    return Encoding(**{"alphas": (1.0, 1e4, 5), "split": "given", "inner_folds": 3, "precision": "float64"} | changes)


def fitted(recordings, activations, recording=RECORDING, **changes) -> AsFitted:
    return whole(recordings, activations, recording, **changes)[0]


def whole(recordings, activations, recording=RECORDING, **changes) -> tuple[AsFitted, xr.Dataset]:
    """The fit, and the scores it belongs to."""
    of = settings(**changes)
    scores = encode(recording, activations, recordings, split_of(recordings), None, of)
    return as_fitted(recording, activations, recordings, split_of(recordings), scores, of), scores
