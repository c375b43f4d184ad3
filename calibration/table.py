"""All cells, run on all cores, and the page that shows what they found."""

import os
from collections.abc import Iterable
from concurrent.futures import ProcessPoolExecutor
from importlib import import_module
from pathlib import Path

from calibration.harness import CELLS, Cell, Measured, summary

FOLDER = Path(__file__).parent
PAGE = FOLDER.parent / "docs" / "calibration.md"
HEAD = """# Calibration

What the estimators and tests find where the truth is known: simulated recordings, each row the mean over that many
seeds ± its standard error. Rows in *italics* are methods that the pipeline does not use; they must fail as told, or the
simulation could not have shown it. Made by `make calibrate`; the ids are those of the calibration plan.

| id | what is simulated and measured | must be | measured | seeds | met |
|---|---|---|---|---|---|
"""

Found = tuple[Cell, Measured, float]  # a cell, what it found, and its seconds of one core


def load() -> list[Cell]:
    """Every cell of every module of this folder, by number, in the order in which they are written."""
    for path in sorted(FOLDER.glob("b*.py")):
        import_module(f"calibration.{path.stem}")
    return sorted(CELLS, key=lambda one: one.number)


def chosen(cells: Iterable[Cell], ids: str) -> list[Cell]:
    """Those of the ids or numbers named, with commas between; all where none is named.

    Raises
    ------
    ValueError : an id that no cell has.
    """
    cells, wanted = list(cells), list(filter(None, ids.split(",")))
    known = {one.id for one in cells} | {f"B{one.number}" for one in cells}
    if unknown := [name for name in wanted if name not in known]:
        raise ValueError(f"no cell is called {', '.join(unknown)}; known: {', '.join(sorted(known))}")
    return [one for one in cells if not wanted or {one.id, f"B{one.number}"} & set(wanted)]


def run(cells: list[Cell], processes: int | None = None) -> list[Found]:
    """Every seed of every cell, on all cores by default.

    Cells of one number and seed run one after the other in one process, so
    that a module may keep what it has simulated for the next of its cells.
    Those of few seeds, which are long, begin first.
    """
    places = {(one.id, one.name): i for i, one in enumerate(load())}
    together: dict[tuple[int, int], list[int]] = {}
    for one in sorted(cells, key=lambda one: one.seeds):
        for seed in range(one.seeds):
            together.setdefault((one.number, seed), []).append(places[one.id, one.name])
    values: dict[int, list[tuple[float, float]]] = {}
    with ProcessPoolExecutor(processes) as pool:
        for found in pool.map(_one_seed, [(indices, seed) for (_, seed), indices in together.items()]):
            for index, value in found.items():
                values.setdefault(index, []).append(value)  # in the order of the seeds
    own = [values[places[one.id, one.name]] for one in cells]
    return [
        (one, summary(one, [v for v, _ in found]), sum(s for _, s in found))
        for one, found in zip(cells, own, strict=True)
    ]


def _one_seed(which: tuple[list[int], int]) -> dict[int, tuple[float, float]]:
    """What some cells find in one seed, and their seconds of a core, also those of programs that they call."""
    indices, seed = which
    found = {}
    for index in indices:
        start = sum(os.times()[:4])
        found[index] = (float(load()[index].simulate(seed)), sum(os.times()[:4]) - start)
    return found


def labels(one: Cell) -> str:
    """The part of a row that is known before anything is run."""
    name = f"*{one.name}*" if one.naive else one.name
    return f"| {one.id} | {name} | {one.bound} |"


def row(one: Cell, measured: Measured) -> str:
    """A line of the page."""
    error = f" ± {measured.error:.2g}" if measured.n > 1 else ""
    met = "yes" if measured.met else "**no**"
    return f"{labels(one)} {measured.mean:.4g}{error} | {measured.n} | {met} |"


def page(found: Iterable[Found]) -> str:
    """The whole page."""
    return HEAD + "".join(row(one, measured) + "\n" for one, measured, _ in found)
