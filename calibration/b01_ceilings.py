"""Ceilings from repeats are right on average, also where there is nothing: negative ones must stay negative."""

import numpy as np

from calibration.forward import ar1
from calibration.harness import Bound, at_least, at_most, cell
from pipeline.ceilings import isc, nsd, repeats, splithalf

N_SAMPLES, N_TARGETS = 250, 300


def presented(
    seed: int, rho: float, n_repeats: int, phi: float, *, n_samples: int = N_SAMPLES, n_targets: int = N_TARGETS
) -> tuple[np.ndarray, np.ndarray]:
    """A signal (sample, target), and (repeat, sample, target): the signal, a share rho of the variance, in AR(1) noise."""
    rng = np.random.default_rng([1, seed])
    signal = ar1(rng, n_samples, n_targets, 0.6)
    noise = np.stack([ar1(rng, n_samples, n_targets, phi) for _ in range(n_repeats)])
    return signal, np.sqrt(rho) * signal + np.sqrt(1 - rho) * noise


def share_of(rho: float, n_repeats: int) -> float:
    """Of the variance of the mean over repeats."""
    return n_repeats * rho / (1 + (n_repeats - 1) * rho)


def _bias(estimator, rho: float, n_repeats: int, phi: float):
    def simulate(seed: int) -> float:
        _, Y = presented(seed, rho, n_repeats, phi)
        return float(estimator(Y, n=2).explainable.mean() - share_of(rho, n_repeats))

    return simulate


for _estimator, _label in ((repeats, "signal power"), (splithalf, "split halves")):
    for _rho in (0.05, 0.2):
        for _phi in (0.0, 0.5):
            for _n in (2, 5, 10):
                cell(
                    "B1",
                    f"{_label}, {_n} repeats, {_rho:g} of the variance signal, noise AR(1) {_phi:g}: "
                    "explainable share less the true one",
                    Bound(-0.02, 0.02),
                    quick=2 if (_n, _phi) == (5, 0.5) else 0,
                )(_bias(_estimator, _rho, _n, _phi))

for _estimator, _label in ((repeats, "signal power"), (splithalf, "split halves"), (nsd, "trials of items")):
    cell("B1", f"{_label}, 5 repeats, no signal, noise AR(1) 0.5: explainable share", Bound(-0.03, 0.01), quick=2)(
        _bias(_estimator, 0.0, 5, 0.5)
    )


@cell("B1", "trials of items, 5 repeats, no signal: negative shares set to zero", at_least(0.03), naive=True)
def clipped(seed: int) -> float:
    return float(np.maximum(nsd(presented(seed, 0.0, 5, 0.5)[1], n=2).explainable, 0).mean())


@cell(
    "B1",
    "corrected explained variance against the mean correlation of two repeats: difference",
    at_most(1e-10),
    quick=1,
)
def identity(seed: int) -> float:
    Y = presented(seed, 0.2, 4, 0.5, n_targets=20)[1]
    Y = (Y - Y.mean(axis=1, keepdims=True)) / Y.std(axis=1, keepdims=True)
    explained = Y.mean(axis=0).var(axis=0)
    return float(np.abs(explained - (1 - explained) / 3 - isc(Y, n=2).explainable).max())
