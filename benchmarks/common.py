"""What every benchmark shares: the data, the clock, the yardstick, the line it prints.

A benchmark backs one claim. It times our engine and its peers in one process,
in turn, and prints one JSON line. Absolute times drift by a factor of two on
shared machines; ratios to a peer, or to a plain matrix product, hold.
"""

import argparse
import cProfile
import json
import os
import platform
import pstats
import statistics
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import partial
from importlib import metadata
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

THREAD_VARIABLES = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMEXPR_NUM_THREADS")
YARDSTICK = (4000, 768, 2048)  # rows, inner, columns: the shape of most of the work in W1
SNR_MAX = 0.3  # of the best target; the others lie evenly between it and 0
LIBRARIES = ("numpy", "scipy", "torch", "transformers", "scikit-learn", "himalaya", "fracridge")
CHUNK = 2048  # targets made at a time


# --- the clock


class Timing(NamedTuple):
    """One entry per repetition; `result` is what the last one returned."""

    cpu: list[float]
    wall: list[float]
    result: Any

    @property
    def cpu_s(self) -> float:
        return statistics.median(self.cpu)

    @property
    def wall_s(self) -> float:
        return statistics.median(self.wall)

    @property
    def seconds(self) -> float:
        """What is compared: CPU time at one thread, which neighbours on the machine disturb least; else wall time."""
        return self.cpu_s if single() else self.wall_s

    def fields(self) -> dict[str, Any]:
        return {"cpu_s": digits(self.cpu_s), "wall_s": digits(self.wall_s), "reps": len(self.cpu)}


def threads(n: int) -> None:
    """Let every math library use n threads. Call it first, before anything is computed.

    The libraries read these variables once, when they are loaded. A script
    that has already imported numpy is therefore started again, with the same
    arguments; that happens only once.
    """
    wanted = dict.fromkeys(THREAD_VARIABLES, str(n))
    if all(os.environ.get(name) == value for name, value in wanted.items()):
        return
    os.environ.update(wanted)
    sys.stdout.flush()
    os.execv(sys.executable, [sys.executable, *sys.orig_argv[1:]])  # noqa: S606  the same program, no shell


def single() -> bool:
    return os.environ.get(THREAD_VARIABLES[0]) == "1"


def interleaved(
    methods: Mapping[str, Callable[[], Any]], reps: int, slow: Iterable[str] = (), slow_reps: int = 1
) -> dict[str, Timing]:
    """Run the methods in turn, round after round, so that a busy spell of the machine meets them all.

    Methods named in `slow` take part in the first `slow_reps` rounds only.
    """
    slow = set(slow)
    cpu: dict[str, list[float]] = {name: [] for name in methods}
    wall: dict[str, list[float]] = {name: [] for name in methods}
    results: dict[str, Any] = {}
    for round_ in range(max(reps, slow_reps)):
        for name, method in methods.items():
            if round_ >= (slow_reps if name in slow else reps):
                continue
            results.pop(name, None)  # the memory of the last round is free again
            start_cpu, start_wall = time.process_time(), time.perf_counter()
            results[name] = method()
            cpu[name].append(time.process_time() - start_cpu)
            wall[name].append(time.perf_counter() - start_wall)
    return {name: Timing(cpu[name], wall[name], results[name]) for name in methods}


class Yardstick:
    """A plain float32 product of the shape most work has: what the machine can do at best, just now."""

    flops = 2 * YARDSTICK[0] * YARDSTICK[1] * YARDSTICK[2]

    def __init__(self, repeats: int = 3):
        rows, inner, columns = YARDSTICK
        rng = np.random.default_rng(0)
        self.left = rng.standard_normal((rows, inner), np.float32)
        self.right = rng.standard_normal((inner, columns), np.float32)
        self.out = np.empty((rows, columns), np.float32)  # no page faults within the timing
        self.product: Callable[[], Any] = partial(np.matmul, self.left, self.right, out=self.out)
        self.repeats = repeats
        self.rates: list[float] = []

    def __call__(self) -> None:
        """To be one of the interleaved methods; each call adds to `rates`."""
        clock = time.process_time if single() else time.perf_counter
        for _ in range(self.repeats):
            start = clock()
            self.product()
            self.rates.append(self.flops / (clock() - start) / 1e9)

    @property
    def gflops(self) -> float:
        """Median over the run, by the same clock as the methods."""
        return statistics.median(self.rates)


class TorchYardstick(Yardstick):
    """The same product by torch, whose library may be another and faster one; also in bfloat16, or on a GPU."""

    def __init__(self, repeats: int = 3, dtype: str = "float32", device: str = "cpu"):
        import torch

        super().__init__(repeats)
        parts = (torch.from_numpy(part).to(device, getattr(torch, dtype)) for part in (self.left, self.right, self.out))
        left, right, out = parts

        def product() -> None:
            torch.matmul(left, right, out=out)
            if device == "cuda":
                torch.cuda.synchronize()

        self.product = product


def yardstick(repeats: int = 7) -> float:
    """GFLOP/s of the float32 product right now, median of several."""
    measure = Yardstick(repeats)
    measure()
    measure.rates.clear()
    measure()
    return measure.gflops


def where(method: Callable[[], Any], n: int = 5) -> dict[str, float]:
    """Share of the time in the functions that take most of it; products count for the function that asks for them."""
    profile = cProfile.Profile()
    profile.runcall(method)
    own: dict[str, float] = {}
    for (file, _, name), (_, _, seconds, _, _) in pstats.Stats(profile).stats.items():  # type: ignore[attr-defined]
        label = (
            f"{Path(file).stem}.{name}" if file not in ("~", "") else name.strip("<>").removeprefix("built-in method ")
        )
        own[label] = own.get(label, 0.0) + seconds
    total = sum(own.values())
    ranked = sorted(own.items(), key=lambda item: -item[1])[:n]
    return {label: round(seconds / total, 3) for label, seconds in ranked}


# --- the data


def make(
    T: int, T_test: int, p: int, delays: int, V: int, seed: int = 0, decay: float = 0.6, out: np.ndarray | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """Features with a power-law spectrum and targets that follow them a little; float32.

    The first T rows are for training, the last T_test for testing. Targets
    are a random mixture of the delayed features plus white noise, with a share
    of signal that lies evenly between 0 and 0.3 over targets: what a good and
    a bad voxel have. They are made some at a time, into `out` where it is given
    (a memory map, say).
    """
    X = features(T + T_test, p, delays, seed, decay)
    Y = np.empty((len(X), V), np.float32) if out is None else out
    for start, part in targets(X, V, seed):
        Y[:, start : start + part.shape[1]] = part
    return X, Y


def features(n: int, p: int, delays: int, seed: int = 0, decay: float = 0.6) -> np.ndarray:
    """(n, p * delays): principal components falling as i^-decay, smooth in time, z-scored, at delays 1 to `delays`."""
    rng = np.random.default_rng((seed, 0))
    latent = rng.standard_normal((n + 2, p)) * np.arange(1, p + 1) ** -decay
    rotation, _ = np.linalg.qr(rng.standard_normal((p, p)))
    X = latent @ rotation
    X = 0.25 * X[:-2] + 0.5 * X[1:-1] + 0.25 * X[2:]
    X = (X - X.mean(axis=0)) / X.std(axis=0)
    delayed = np.zeros((n, p * delays), np.float32)
    for d in range(1, delays + 1):
        delayed[d:, (d - 1) * p : d * p] = X[:-d]
    return delayed


def targets(X: np.ndarray, V: int, seed: int = 0) -> Iterator[tuple[int, np.ndarray]]:
    """Column where each chunk starts, and the chunk; a target is the same however many others there are."""
    for start in range(0, V, CHUNK):
        rng = np.random.default_rng((seed, 1, start))
        weights = rng.standard_normal((X.shape[1], CHUNK), np.float32)
        snr = SNR_MAX * rng.random(CHUNK, np.float32)
        signal = X @ weights
        signal *= np.sqrt(snr) / signal.std(axis=0)
        signal += np.sqrt(1 - snr) * rng.standard_normal(signal.shape, np.float32)
        yield start, signal[:, : V - start]


# --- the line


class Goal(NamedTuple):
    """`field` is a key of the reported fields; dots lead into what is nested."""

    claim: str
    field: str
    at_least: float | None = None
    at_most: float | None = None

    def judged(self, fields: Mapping[str, Any]) -> dict[str, Any]:
        """Met, short of it, or below half of it (then the script fails); None where it was not measured."""
        value: Any = fields
        for key in self.field.split("."):
            value = value.get(key) if isinstance(value, Mapping) else None
        answer: dict[str, Any] = {"claim": self.claim, "field": self.field, "measured": value}
        if self.at_least is not None:
            answer |= {"at_least": self.at_least, "reached": None if value is None else value / self.at_least}
        if self.at_most is not None:
            answer |= {"at_most": self.at_most, "reached": None if value is None else self.at_most / max(value, 1e-12)}
        if answer["reached"] is not None:
            answer["reached"] = digits(answer["reached"])
        return answer


def report(fields: Mapping[str, Any], goals: Iterable[Goal] = (), scale: int = 1) -> int:
    """Print the JSON line; the answer is the exit status, 1 below half of a goal.

    `scale` other than 1 marks a reduced problem: shown, never judged.
    """
    judged = [goal.judged(fields) for goal in goals]
    line = {"script": Path(sys.argv[0]).stem} | dict(fields) | {"scale": scale, "goals": judged, "machine": machine()}
    print(json.dumps(line), flush=True)
    return int(scale == 1 and any(g["reached"] is not None and g["reached"] < 0.5 for g in judged))


def skipped(reason: str, **fields: Any) -> int:
    """Nothing to measure here: that is an answer, not a failure."""
    print(json.dumps({"script": Path(sys.argv[0]).stem} | fields | {"skipped": reason}), flush=True)
    return 0


def machine() -> dict[str, Any]:
    """What a reader needs to place the figures; no names of hosts or paths."""
    return {
        "cpu": _cpu(),
        "threads": int(os.environ.get(THREAD_VARIABLES[0], 0)),
        "cores": os.cpu_count(),
        "load": round(os.getloadavg()[0], 1),
        "python": platform.python_version(),
        "versions": versions(),
        "blas": _blas(),
    }


def versions() -> dict[str, str]:
    found = {}
    for name in LIBRARIES:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return found


def digits(value: float, n: int = 4) -> float:
    """n significant digits."""
    return float(f"{value:.{n}g}")


def parser(about: str | None, reps: int = 5) -> argparse.ArgumentParser:
    """The options that all scripts have."""
    options = argparse.ArgumentParser(description=(about or "").split("\n")[0])
    options.add_argument("--threads", type=int, default=1, help="of every math library; CPU time is compared at 1")
    options.add_argument("--reps", type=int, default=reps, help="rounds; the median counts")
    options.add_argument("--scale", type=int, default=1, help="divide the number of targets, to try things out")
    return options


def hidden() -> str:
    """Help of an option by which a script starts itself again for one step."""
    return argparse.SUPPRESS


def _cpu() -> str:
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.exists() else []
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()


def _blas() -> list[str]:
    try:
        from threadpoolctl import threadpool_info
    except ImportError:
        return []
    keys = ("internal_api", "version", "architecture")
    pools = [pool for pool in threadpool_info() if pool.get("user_api") == "blas"]
    return sorted({" ".join(str(pool[key]) for key in keys if pool.get(key)) for pool in pools})
