"""Peak memory above the inputs, with the targets in a file, at V and 2 V targets.

Each size runs in a process of its own, which stops after its imports and after
opening its inputs; from there on this script reads its /proc/PID/status every
two milliseconds. What is compared is the growth of RssAnon, the memory the
process itself has written. Pages of the targets' file are not in it: the
kernel takes them back when it needs them. VmHWM, the peak of everything with
those pages, is printed beside it. Libraries that are first loaded during the
fit, and the buffers of the BLAS, do count.
"""

import json
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import numpy as np
from common import Goal, digits, make, parser, report, skipped, threads
from workloads import N_INNER, WORKLOADS, blocks, penalties, splits

INTERVAL_S = 0.002
MIB = 1024  # /proc counts in KiB
SHAPE = WORKLOADS["W1s"]
GOALS = (
    Goal("W1s: peak memory above the inputs, MiB", "above_inputs_mib", at_most=150),
    Goal("W1s: times that at twice the targets", "growth", at_most=1.1),
)


def main() -> int:
    options = parser(__doc__, reps=1)
    options.add_argument("--precision", default="float32")
    options.add_argument("--step", choices=("make", "measure"), help=_hidden())
    options.add_argument("--folder", type=Path, help=_hidden())
    options.add_argument("--targets", type=int, help=_hidden())
    chosen = options.parse_args()
    threads(chosen.threads)
    if chosen.step == "make":
        return make_inputs(chosen.folder, chosen.targets)
    if chosen.step == "measure":
        return measure(chosen.folder, chosen.precision)
    if not Path("/proc/self/status").exists():
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
        with subprocess.Popen([*command, "measure"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as run:
            before = json.loads(run.stdout.readline())
            peak, done = dict(before), threading.Event()
            watcher = threading.Thread(target=_watch, args=(run.pid, peak, done))
            watcher.start()
            print("go", file=run.stdin, flush=True)
            after = json.loads(run.stdout.readline())
            done.set()
            watcher.join()
    above = {name: (max(peak[name], after[name]) - before[name]) / MIB for name in ("RssAnon", "RssFile", "VmRSS")}
    return {
        "anonymous": above["RssAnon"],
        "file": above["RssFile"],
        "resident": above["VmRSS"],
        "high_water": (after["VmHWM"] - before["VmRSS"]) / MIB,
        "before": before["VmRSS"] / MIB,
    }


def _watch(pid: int, peak: dict[str, int], done: threading.Event) -> None:
    while not done.is_set():
        for name, value in status(pid).items():
            peak[name] = max(peak[name], value)
        time.sleep(INTERVAL_S)


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
    print(json.dumps(status("self")), flush=True)
    sys.stdin.readline()
    found = cross_validate(X, Y, folds=folds, inner=inner, alphas=penalties(), select="r", precision=precision)
    print(json.dumps(status("self")), flush=True)
    return int(not np.isfinite(found.r).all())


def status(pid: int | str) -> dict[str, int]:
    """KiB."""
    wanted = ("VmRSS", "VmHWM", "RssAnon", "RssFile")
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except OSError:  # it has just ended
        return {}
    pairs = (line.split(":", 1) for line in lines if ":" in line)
    return {name: int(value.split()[0]) for name, value in pairs if name in wanted}


def _hidden() -> str:
    from argparse import SUPPRESS

    return SUPPRESS  # steps that the script asks of itself


if __name__ == "__main__":
    sys.exit(main())
