"""Twelve layers against one: what the targets need is done once, so twelve cost no more than twelve times one."""

import sys
from collections.abc import Iterator

import numpy as np
from common import Goal, Yardstick, digits, features, interleaved, parser, report, threads, where
from peers import ours
from workloads import WORKLOADS, load

from pipeline.ridge import cross_validate

N_LAYERS = 12
GOALS = (Goal(f"{N_LAYERS} layers of W1s: times the time of one", "ratio", at_most=12.2),)


def main() -> int:
    options = parser(__doc__)
    options.add_argument("--precision", default="float32")
    chosen = options.parse_args()
    threads(chosen.threads)

    problem = load("W1s", chosen.scale)
    layers = [problem.X, *others(problem.X, N_LAYERS - 1)]
    settings = {name: getattr(problem, name) for name in ("folds", "inner", "alphas")}

    def one() -> None:
        cross_validate(problem.X, problem.Y, select="r", precision=chosen.precision, **settings)

    def twelve() -> None:
        cross_validate(iter(layers), problem.Y, select="r", precision=chosen.precision, **settings)

    ours(problem.first(64), chosen.precision)
    yardstick = Yardstick()
    timings = interleaved({"yardstick": yardstick, "one": one, "twelve": twelve}, chosen.reps)
    fields = {
        "workload": "W1s",
        "precision": chosen.precision,
        "reps": chosen.reps,
        "yardstick_gflops": digits(yardstick.gflops),
        "methods": {name: timings[name].fields() for name in ("one", "twelve")},
        "ratio": digits(timings["twelve"].seconds / timings["one"].seconds),
        "where": {chosen.precision: where(twelve)},
    }
    return report(fields, GOALS, chosen.scale)


def others(X: np.ndarray, n: int, workload: str = "W1s") -> Iterator[np.ndarray]:
    """Layers that share half their variance with the first: penalties then are chosen from the middle of the grid."""
    shape = WORKLOADS[workload]
    for seed in range(1, n + 1):
        yield (X + features(len(X), shape.p, shape.delays, seed)) / np.float32(np.sqrt(2))


if __name__ == "__main__":
    sys.exit(main())
