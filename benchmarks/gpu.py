"""W1 with 40,000 voxels and 12 layers on a GPU, against himalaya on the same GPU.

The data are on the device before the clock starts where our engine takes
arrays that lie there ("resident"); himalaya then gets them there too. Where it
does not, both get host arrays, and the copying counts for both. himalaya runs
a few layers only and is scaled up; its layers do not share anything.
"""

import sys
import time
from collections.abc import Callable
from typing import Any

import numpy as np
from common import Goal, digits, parser, report, skipped, threads
from layers import others
from peers import himalaya_settings
from workloads import Problem, flops, load

from pipeline.ridge import cross_validate

PRECISIONS = ("mixed", "float32")
GOALS = (
    Goal("W1, 12 layers on a GPU, mixed: seconds", "seconds.mixed", at_most=5),
    Goal("W1, 12 layers on a GPU, mixed: times faster than himalaya there", "speedup.mixed", at_least=10),
)


def main() -> int:
    options = parser(__doc__, reps=3)
    options.set_defaults(threads=8)
    options.add_argument("--layers", type=int, default=12)
    options.add_argument("--peer-layers", type=int, default=1, help="layers that himalaya runs; scaled up to all")
    chosen = options.parse_args()
    threads(chosen.threads)
    import torch

    if not torch.cuda.is_available():
        return skipped("torch finds no GPU here")

    problem = load("W1", chosen.scale)
    layers = [problem.X, *others(problem.X, chosen.layers - 1, "W1")]
    to_device, known = settle(problem)
    if not known:
        return skipped("the engine has no device='cuda'")
    X, Y = [to_device(layer) for layer in layers], to_device(problem.Y)
    methods = {p: lambda p=p: fit(X, Y, problem, p) for p in known}
    methods["himalaya"] = lambda: [himalaya(layer, Y, problem) for layer in X[: chosen.peer_layers]]
    walls, results = clocked(methods, chosen.reps)
    seconds = {name: float(np.median(wall)) for name, wall in walls.items()}
    seconds["himalaya"] *= chosen.layers / chosen.peer_layers
    total = sum(flops(problem).values()) * chosen.layers
    fields = {
        "workload": "W1",
        "layers": chosen.layers,
        "peer_layers": chosen.peer_layers,
        "reps": chosen.reps,
        "gpu": torch.cuda.get_device_name(),
        "resident": to_device is not _host,
        "yardstick_tflops": digits(yardstick(torch)),
        "seconds": {name: digits(value) for name, value in seconds.items()},
        "speedup": {p: digits(seconds["himalaya"] / seconds[p]) for p in known},
        "tflops": {p: digits(total / seconds[p] / 1e12) for p in known},
        "peak_gib": digits(torch.cuda.max_memory_allocated() / 2**30),
        "max_dr": {p: digits(_difference(results[p], results["himalaya"][0])) for p in known},
    }
    return report(fields, GOALS, chosen.scale)


def settle(problem: Problem) -> tuple[Callable[[np.ndarray], Any], list[str]]:
    """Where the data may lie, and the precisions that run there; all is warm afterwards."""
    part = problem.first(256)
    for place in (_device, _host):
        known = []
        for precision in PRECISIONS:
            try:
                fit([place(part.X)], place(part.Y), part, precision)
            except (TypeError, ValueError):
                continue
            known.append(precision)
        if known:
            himalaya(place(part.X), place(part.Y), part)
            return place, known
    return _host, []


def fit(layers: list[Any], Y: Any, problem: Problem, precision: str) -> Any:
    settings = {name: getattr(problem, name) for name in ("folds", "inner", "alphas")}
    return cross_validate(iter(layers), Y, select="r", precision=precision, device="cuda", **settings)


def himalaya(X: Any, Y: Any, problem: Problem, backend: str = "torch_cuda") -> tuple[np.ndarray, np.ndarray]:
    """r and the penalties of one layer; its own `predict` would run on the host, so the product is made here."""
    from himalaya.backend import set_backend
    from himalaya.ridge import RidgeCV
    from himalaya.scoring import correlation_score

    library = set_backend(backend)
    (train, test), inner = problem.folds[0], problem.inner[0]
    settings = himalaya_settings(problem, len(inner))
    settings["solver_params"] |= {"warn": False}
    model = RidgeCV(fit_intercept=True, **settings).fit(X[train], Y[train])
    prediction = library.asarray(X[test]) @ library.asarray(model.coef_)  # r does not see the intercept
    r = correlation_score(library.asarray(Y[test]), prediction)
    return library.to_numpy(r), library.to_numpy(model.best_alphas_)


def clocked(methods: dict[str, Callable[[], Any]], reps: int) -> tuple[dict[str, list[float]], dict[str, Any]]:
    """Wall time in turn, with the device idle before and after."""
    import torch

    walls: dict[str, list[float]] = {name: [] for name in methods}
    results: dict[str, Any] = {}
    for _ in range(reps):
        for name, method in methods.items():
            results.pop(name, None)
            torch.cuda.synchronize()
            start = time.perf_counter()
            results[name] = method()
            torch.cuda.synchronize()
            walls[name].append(time.perf_counter() - start)
    return walls, results


def yardstick(torch: Any, size: int = 8192) -> float:
    """TFLOP/s of a float32 product on the device, median of several."""
    left, right = torch.randn(2, size, size, device="cuda")
    walls, _ = clocked({"product": lambda: left @ right}, 8)
    return 2 * size**3 / float(np.median(walls["product"][1:])) / 1e12


def _device(values: np.ndarray) -> Any:
    import torch

    return torch.from_numpy(values).to("cuda")


def _host(values: np.ndarray) -> np.ndarray:
    return values


def _difference(found: Any, peer: tuple[np.ndarray, np.ndarray]) -> float:
    """Largest difference in r of the first layer, where the penalties are equal."""
    r, alpha = peer
    equal = np.isclose(np.asarray(found.alpha)[0, 0], alpha, rtol=1e-3)
    return float(np.abs(np.asarray(found.r)[0, 0] - r)[equal].max())


if __name__ == "__main__":
    sys.exit(main())
