"""A hundred penalties over three decades against ten: what the finer grid costs, and what it loses.

The shrinkage factors of neighbouring penalties are so alike that a handful of
them spans the whole grid; more penalties then cost little. What that
approximation loses is the regret: exact inner r at the exact choice among the
hundred less that of what was chosen.
"""

import sys

from common import Goal, Yardstick, digits, interleaved, parser, report, threads, where
from peers import ours
from reference import inner_scores, regret
from workloads import load

PRECISIONS = ("float32", "mixed")
GOALS = (
    Goal("100 penalties, float32: times the time of 10", "ratio.float32", at_most=1.3),
    Goal("100 penalties, float32: largest regret in inner r", "regret.float32.max", at_most=5e-4),
    Goal("100 penalties, mixed: times the time of 10", "ratio.mixed", at_most=1.3),
    Goal("100 penalties, mixed: largest regret in inner r", "regret.mixed.max", at_most=5e-4),
)


def main() -> int:
    options = parser(__doc__)
    options.add_argument("--exact", type=int, default=1000, help="targets whose inner scores are computed in float64")
    chosen = options.parse_args()
    threads(chosen.threads)

    ten, hundred = load("W1s", chosen.scale, 10), load("W1s", chosen.scale, 100)
    known = [p for p in PRECISIONS if _runs(hundred, p)]
    methods = {
        f"{p}_{n}": lambda problem=problem, p=p: ours(problem, p)
        for p in known
        for n, problem in ((10, ten), (100, hundred))
    }
    yardstick = Yardstick()
    timings = interleaved({"yardstick": yardstick} | methods, chosen.reps)
    exact = inner_scores(hundred.first(chosen.exact))
    fields = {
        "workload": "W1s",
        "reps": chosen.reps,
        "yardstick_gflops": digits(yardstick.gflops),
        "methods": {name: timings[name].fields() for name in methods},
        "ratio": {p: digits(timings[f"{p}_100"].seconds / timings[f"{p}_10"].seconds) for p in known},
        "regret": {p: regret(exact, hundred.alphas, timings[f"{p}_100"].result.alpha) for p in known},
        "where": {p: where(methods[f"{p}_100"]) for p in known},
    }
    return report(fields, GOALS, chosen.scale)


def _runs(problem, precision: str) -> bool:
    """Whether the engine knows this precision; it is warm afterwards."""
    try:
        ours(problem.first(64), precision)
    except ValueError:
        return False
    return True


if __name__ == "__main__":
    sys.exit(main())
