"""A cell of the calibration table: a simulation, how often it is run, and what it must find."""

import re
from collections.abc import Callable
from typing import NamedTuple

import numpy as np

Simulation = Callable[[int], float]

FEWEST_SEEDS = 20
WHOLE_STUDIES = {"B20"}  # a seed of these is a whole study and takes minutes
_ID = re.compile(r"B([1-9]\d*)([a-z]|-\w+)?")


class Bound(NamedTuple):
    """What a mean over seeds must lie between."""

    low: float
    high: float

    def __str__(self) -> str:
        if np.isinf(self.low):
            return f"≤ {self.high:g}"
        return f"≥ {self.low:g}" if np.isinf(self.high) else f"{self.low:g} to {self.high:g}"

    def holds(self, value: float) -> bool:
        return self.low <= value <= self.high


def at_most(high: float) -> Bound:
    return Bound(-np.inf, high)


def at_least(low: float) -> Bound:
    return Bound(low, np.inf)


def within(tolerance: float, around: float = 0.0) -> Bound:
    return Bound(around - tolerance, around + tolerance)


class Cell(NamedTuple):
    """One row of the table.

    Attributes
    ----------
    id : the test's number, such as "B6".
    name : what is simulated and measured, in words.
    simulate : seed -> one number.
    bound : of the mean over seeds.
    seeds : how many seeds the table is made from.
    quick : how many seeds the quick tests run; 0 for a cell too slow for them.
    naive : whether it shows how a method fails that the pipeline does not use.
    """

    id: str
    name: str
    simulate: Simulation
    bound: Bound
    seeds: int
    quick: int
    naive: bool

    @property
    def number(self) -> int:
        """The number in the id: cells of one test stand together."""
        return int(_ID.fullmatch(self.id)[1])


class Measured(NamedTuple):
    """Mean over seeds, its standard error (NaN for one seed), and whether the mean lies where it must."""

    mean: float
    error: float
    n: int
    met: bool


CELLS: list[Cell] = []


def cell(
    id: str, name: str, bound: Bound, *, seeds: int = FEWEST_SEEDS, quick: int = 0, naive: bool = False
) -> Callable[[Simulation], Simulation]:
    """Put a simulation into the table.

    Raises
    ------
    ValueError : an id that is none, a row that stands there already, a name
        with a |, too few seeds, or a bound that holds whatever is found.
    """
    if not _ID.fullmatch(id):
        raise ValueError(f"id {id!r}: it must be B and a number, such as 'B6' or 'B6-iid'")
    if "|" in name:
        raise ValueError(f"{id}: {name!r} holds a |, which would end a column of the table")
    if np.isinf(bound.low) and np.isinf(bound.high):
        raise ValueError(f"{id}: a bound without ends cannot be missed")
    if (id, name) in {(one.id, one.name) for one in CELLS}:
        raise ValueError(f"{id} {name!r} stands in the table twice")
    if seeds < FEWEST_SEEDS and id not in WHOLE_STUDIES:
        raise ValueError(f"{id}: {seeds} seeds; a row is the mean of at least {FEWEST_SEEDS}")

    def added(simulate: Simulation) -> Simulation:
        CELLS.append(Cell(id, name, simulate, bound, seeds, quick, naive))
        return simulate

    return added


def measure(one: Cell, seeds: int) -> Measured:
    """Run a cell; a seed without a number (NaN) fails it."""
    return summary(one, [float(one.simulate(seed)) for seed in range(seeds)])


def summary(one: Cell, values: list[float]) -> Measured:
    """Mean and standard error of what a cell found, seed by seed, beside its bound."""
    found = np.array(values)
    error = found.std(ddof=1) / np.sqrt(len(found)) if len(found) > 1 else np.nan
    return Measured(float(found.mean()), float(error), len(found), one.bound.holds(float(found.mean())))
