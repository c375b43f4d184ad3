"""Peak memory above the inputs, with the targets in a file, at V and 2 V targets.

Each size runs in a process of its own, which stops after its imports and after
opening its inputs; from there on `watch` reads what it holds. What is compared
is the growth of RssAnon, the memory the process itself has written; VmHWM, the
peak of everything with the pages of the targets' file, is printed beside it.
Libraries that are first loaded during the fit, and the buffers of the BLAS, do
count.
"""

import subprocess
import sys
import tempfile
from functools import partial
from pathlib import Path

import numpy as np
import watch
from common import Goal, digits, hidden, make, parser, report, skipped, threads
from workloads import N_INNER, WORKLOADS, blocks, penalties, splits

SHAPE = WORKLOADS["W1s"]
GOALS = (
    Goal("W1s: peak memory above the inputs, MiB", "above_inputs_mib", at_most=150),
    Goal("W1s: times that at twice the targets", "growth", at_most=1.1),
)


def main() -> int:
    options = parser(__doc__, reps=1)
    options.add_argument("--precision", default="float32")
    options.add_argument("--step", choices=("make", "measure"), help=hidden())
    options.add_argument("--folder", type=Path, help=hidden())
    options.add_argument("--targets", type=int, help=hidden())
    chosen = options.parse_args()
    threads(chosen.threads)
    if chosen.step == "make":
        return make_inputs(chosen.folder, chosen.targets)
    if chosen.step == "measure":
        return measure(chosen.folder, chosen.precision)
    if not watch.supported():
        return skipped("memory is read from /proc, which this system does not have")

    V = SHAPE.V // chosen.scale
    sizes = {n: [watched(n, chosen) for _ in range(chosen.reps)] for n in (V, 2 * V)}
    peak = {n: float(np.median([run["anonymous"] for run in runs])) for n, runs in sizes.items()}
    fields = {
        "workload": "W1s",
        "precision": chosen.precision,
        "reps": chosen.reps,
        "compared": "growth of RssAnon; all in MiB",
        "sizes": {str(n): {name: digits(value) for name, value in runs[-1].items()} for n, runs in sizes.items()},
        "above_inputs_mib": digits(peak[V]),
        "growth": digits(peak[2 * V] / peak[V]),
    }
    return report(fields, GOALS, chosen.scale)


def watched(n_targets: int, chosen) -> dict[str, float]:
    """Peaks in MiB above what the process held before the fit."""
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, __file__, "--threads", str(chosen.threads), "--precision", chosen.precision]
        command += ["--folder", folder, "--targets", str(n_targets), "--step"]
        subprocess.run([*command, "make"], check=True)
        return watch.peaks([*command, "measure"])


def make_inputs(folder: Path, n_targets: int) -> int:
    """In a process of its own: its memory is none of the fit's."""
    rows = SHAPE.T + SHAPE.T_test
    Y = np.lib.format.open_memmap(folder / "Y.npy", "w+", np.float32, (rows, n_targets))
    X, _ = make(SHAPE.T, SHAPE.T_test, SHAPE.p, SHAPE.delays, n_targets, out=Y)
    Y.flush()
    np.save(folder / "X.npy", X)
    return 0


def measure(folder: Path, precision: str) -> int:
    """Open the inputs, say so, wait for the word, fit, say so."""
    from pipeline.ridge import cross_validate

    X, Y = np.load(folder / "X.npy"), np.lib.format.open_memmap(folder / "Y.npy", "r")
    folds = splits(SHAPE)
    inner = [blocks(train, N_INNER) for train, _ in folds]
    settings = {"folds": folds, "inner": inner, "alphas": penalties(), "select": "r", "precision": precision}
    found = watch.watched(partial(cross_validate, X, Y, **settings))
    return int(not np.isfinite(found.r).all())


if __name__ == "__main__":
    sys.exit(main())
