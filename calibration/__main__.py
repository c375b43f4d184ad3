"""Run the whole calibration and write its table.

python -m calibration                  all cells, on all cores; writes docs/calibration.md
python -m calibration --only B6,B7     some of them; prints, writes nothing
"""

import argparse
import sys
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


def load() -> list[Cell]:
    """Every cell of every module of this folder."""
    for path in sorted(FOLDER.glob("b*.py")):
        import_module(f"calibration.{path.stem}")
    return sorted(CELLS, key=lambda one: int(one.id.lstrip("B").split("-")[0]))


def _one(which: tuple[int, int]) -> float:
    index, seed = which
    return float((CELLS_LOADED[index]).simulate(seed))


CELLS_LOADED: list[Cell] = []


def _start() -> None:
    CELLS_LOADED[:] = load()


def main(argv: list[str]) -> int:
    options = argparse.ArgumentParser(prog="python -m calibration", description="Run the calibration.")
    options.add_argument("--only", default="", help="ids of some cells, such as B6,B7")
    options.add_argument("--processes", type=int, default=None, help="all cores by default")
    chosen = options.parse_args(argv)
    wanted = set(filter(None, chosen.only.split(",")))
    found = run(wanted, chosen.processes)
    lines = [row(one, measured) for one, measured in found]
    print("\n".join(lines))
    if not wanted:
        PAGE.write_text(HEAD + "\n".join(lines) + "\n")
    return int(not all(measured.met for _, measured in found))


def run(wanted: set[str], processes: int | None) -> list[tuple[Cell, Measured]]:
    cells = load()
    CELLS_LOADED[:] = cells
    own = [i for i, one in enumerate(cells) if not wanted or one.id in wanted]
    jobs = [(i, seed) for i in own for seed in range(cells[i].seeds)]
    with ProcessPoolExecutor(processes, initializer=_start) as pool:
        values = dict(zip(jobs, pool.map(_one, jobs), strict=True))
    return [(cells[i], summary(cells[i], [values[i, seed] for seed in range(cells[i].seeds)])) for i in own]


def row(one: Cell, measured: Measured) -> str:
    name = f"*{one.name}*" if one.naive else one.name
    value = f"{measured.mean:.4g} ± {measured.error:.2g}"
    return f"| {one.id} | {name} | {one.bound} | {value} | {measured.n} | {'yes' if measured.met else '**no**'} |"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
