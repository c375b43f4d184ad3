"""The true signal scores the ceiling, no more and no less."""

import numpy as np

from calibration.b01_ceilings import presented
from calibration.harness import Bound, at_most, cell
from pipeline.ceilings import repeats
from pipeline.metrics import pearson


def _scored(rho: float, n_repeats: int, seed: int):
    signal, Y = presented(seed, rho, n_repeats, 0.5)
    return pearson(Y.mean(axis=0), signal), repeats(Y)


def _of_all(rho: float, n_repeats: int):
    def simulate(seed: int) -> float:
        r, found = _scored(rho, n_repeats, seed)
        return float(r.mean() / np.sqrt(found.explainable.mean()))

    return simulate


for _rho in (0.05, 0.2):
    for _n in (5, 10):
        cell(
            "B3",
            f"the true signal's r over its ceiling, means over targets, {_n} repeats, {_rho:g} of the variance signal, "
            "noise AR(1) 0.5",
            Bound(0.97, 1.03),
            quick=1,
        )(_of_all(_rho, _n))


@cell(
    "B3",
    "the same target by target where the ceiling is valid, 5 repeats, 0.05: those are chosen whose ceiling came out high",
    at_most(0.95),
    naive=True,
)
def chosen(seed: int) -> float:
    r, found = _scored(0.05, 5, seed)
    return float((r / found.value)[found.valid].mean())
