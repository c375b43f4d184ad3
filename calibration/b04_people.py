"""The ceiling across people needs no exponential, which levels off too early."""

import numpy as np

from calibration.b01_ceilings import presented
from calibration.harness import Bound, cell, within
from pipeline.ceilings import isc, isc_curve
from pipeline.ceilings.schrimpf import fitted


def _asymptote(rho: float, n_people: int):
    def simulate(seed: int) -> float:
        Y = presented(seed, rho, n_people, 0.5)[1]
        return float(np.sqrt(isc(Y, n=2).explainable.mean() / rho))

    return simulate


def _exponential(rho: float, n_people: int):
    def simulate(seed: int) -> float:
        Y = presented(seed, rho, n_people, 0.0, n_samples=2000, n_targets=50)[1]
        return fitted(range(2, n_people + 1), isc_curve(Y)[0].mean(axis=1))[0]

    return simulate


for _rho in (0.05, 0.2):
    for _n in (5, 10):
        cell("B4", f"{_n} people, mean correlation {_rho:g}: ceiling over the true one", Bound(0.95, 1.05), quick=1)(
            _asymptote(_rho, _n)
        )

for _rho, _n, _v0 in ((0.05, 5, 0.136), (0.1, 10, 0.236)):
    cell(
        "B4",
        f"{_n} people, mean correlation {_rho:g}: asymptote of the exponential, where {np.sqrt(_rho):.3f} is true",
        within(0.005, _v0),
        naive=True,
    )(_exponential(_rho, _n))
