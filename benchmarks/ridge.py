"""Ours against its peers on one workload: time, share of a plain matrix product, agreement, regret.

The share of the yardstick is flops / (time x yardstick). `workloads.flops`
gives the formula: predictions of every held-out row for every penalty, each
counted once. It is the same number whatever a method really does, so one that
needs fewer operations can exceed 1; `yardstick_share_least` counts the fewest
that we know, and says how much of the machine is used.
"""

import sys
from functools import partial
from typing import Any

import numpy as np
from common import Goal, Timing, TorchYardstick, Yardstick, digits, interleaved, parser, report, threads, where
from peers import METHODS, SLOW, Answer
from reference import inner_scores, nearest, regret, test_scores
from workloads import Problem, flops, load

OURS = ("float32", "mixed")
WARM_UP = 64  # targets of a first round that does not count: imports and compilation happen there
DEFAULT_PEERS = {
    "W1s": "himalaya_torch,himalaya_torch_batched,himalaya_numpy,sklearn_loop,sklearn_loo,fracridge,huth",
    "W2": "kernel_torch,himalaya_torch",
    "W3s": "himalaya_torch,himalaya_torch_batched,himalaya_numpy,sklearn_loo,huth",
}
JUDGE = {"W1s": "himalaya_torch", "W2": "kernel_torch", "W3s": "himalaya_torch"}  # the peer that answers the same
SLOW_HERE = {"W2": ("himalaya_torch",)}
GOALS = {
    "W1s": (
        Goal("W1s, float32: times faster than himalaya RidgeCV (torch)", "speedup.float32.himalaya_torch", at_least=5),
        Goal("W1s, float32: share of a plain float32 product", "yardstick_share.float32", at_least=0.75),
        Goal("W1s, mixed: times faster than himalaya RidgeCV (torch)", "speedup.mixed.himalaya_torch", at_least=9),
        Goal("W1s, mixed: times faster than a scikit-learn loop", "speedup.mixed.sklearn_loop", at_least=30),
        Goal("W1s, mixed: largest regret in inner r", "regret.mixed.max", at_most=5e-4),
    ),
    "W2": (
        Goal(
            "W2, float32: times faster than himalaya KernelRidgeCV (torch)", "speedup.float32.kernel_torch", at_least=6
        ),
    ),
    "W3s": (
        Goal("W3s, float32: times faster than himalaya RidgeCV (torch)", "speedup.float32.himalaya_torch", at_least=30),
    ),
}


def main() -> int:
    options = parser(__doc__)
    options.add_argument("--workload", choices=DEFAULT_PEERS, default="W1s")
    options.add_argument("--peers", help="comma-separated; by default those that suit the workload")
    options.add_argument("--slow-reps", type=int, default=1, help=f"rounds of {', '.join(SLOW)}")
    options.add_argument("--exact", type=int, default=2000, help="targets whose inner scores are computed in float64")
    chosen = options.parse_args()
    threads(chosen.threads)

    problem = load(chosen.workload, chosen.scale)
    peers = (DEFAULT_PEERS[chosen.workload] if chosen.peers is None else chosen.peers).split(",")
    names, missing = usable([*OURS, *filter(None, peers)], problem)
    yardstick, product = Yardstick(), TorchYardstick()
    methods = {name: partial(METHODS[name], problem) for name in names}
    slow = [name for name in names if name in (*SLOW, *SLOW_HERE.get(chosen.workload, ()))]
    timings = interleaved(
        {"yardstick": yardstick, "torch_yardstick": product} | methods, chosen.reps, slow, chosen.slow_reps
    )
    fields = {
        "workload": chosen.workload,
        "shape": {"rows": len(problem.X), "features": problem.X.shape[1], "targets": problem.Y.shape[1]},
        "reps": chosen.reps,
        "slow": {"methods": slow, "reps": chosen.slow_reps},
        "missing": missing,
        "yardstick_gflops": digits(yardstick.gflops),
        "torch_yardstick_gflops": digits(product.gflops),
        "methods": {name: timings[name].fields() for name in names},
        "speedup": speedups(timings, names),
    }
    fields |= shares(problem, timings, names, yardstick.gflops)
    fields |= answers(problem, {name: timings[name].result for name in names}, chosen)
    fields["paths"] = {name: sorted(set(timings[name].result.path)) for name in OURS if name in names}
    fields["where"] = {name: where(methods[name]) for name in OURS if name in names}
    return report(fields, GOALS[chosen.workload], chosen.scale)


def usable(names: list[str], problem: Problem) -> tuple[list[str], dict[str, str]]:
    """Those that are installed, warmed up on a few targets; the others with the reason."""
    good, missing = [], {}
    for name in names:
        try:
            METHODS[name](problem.first(WARM_UP, n_folds=1))
        except ImportError as reason:
            missing[name] = str(reason)
        except ValueError as reason:  # an engine without this precision
            if name not in OURS:
                raise
            missing[name] = str(reason)
        else:
            good.append(name)
    return good, missing


def speedups(timings: dict[str, Timing], names: list[str]) -> dict[str, Any]:
    """How many times longer each peer takes."""
    peers = [name for name in names if name not in OURS]
    return {
        own: {peer: digits(timings[peer].seconds / timings[own].seconds) for peer in peers}
        for own in OURS
        if own in names
    }


def shares(problem: Problem, timings: dict[str, Timing], names: list[str], gflops: float) -> dict[str, Any]:
    counted, least = flops(problem), flops(problem, least=True)

    def share(name: str, count: dict[str, float]) -> float:
        return digits(sum(count.values()) / (timings[name].seconds * gflops * 1e9))

    return {
        "gflop": {part: digits(count / 1e9) for part, count in counted.items()},
        "gflop_least": {part: digits(count / 1e9) for part, count in least.items()},
        "yardstick_share": {name: share(name, counted) for name in names},
        "yardstick_share_least": {name: share(name, least) for name in names},
    }


def answers(problem: Problem, results: dict[str, Answer], chosen: Any) -> dict[str, Any]:
    """Do we say the same as the peer, and what does a choice in lower precision cost?"""
    own = {name: results[name] for name in OURS if name in results}
    peer = results.get(JUDGE[chosen.workload])
    exact_part = problem.first(chosen.exact)
    exact = inner_scores(exact_part)
    fields: dict[str, Any] = {
        "regret": {name: regret(exact, problem.alphas, answer.alpha) for name, answer in own.items()},
        "against_float64": {
            name: against_exact(exact_part, answer)
            for name, answer in results.items()
            if name in (*own, JUDGE[chosen.workload])
        },
    }
    if peer is not None:
        fields["agreement"] = {"with": JUDGE[chosen.workload]} | {
            name: agreement(problem, answer, peer) for name, answer in own.items()
        }
    if "mixed" in own and "float32" in own:
        fields["mixed_against_float32"] = agreement(problem, own["mixed"], own["float32"])
    return fields


def against_exact(part: Problem, answer: Answer) -> float:
    """Largest difference to r in float64 at the penalty that was chosen."""
    n = part.Y.shape[1]
    return digits(np.abs(answer.r[:, :n] - test_scores(part, answer.alpha[:, :n])).max())


def agreement(problem: Problem, one: Answer, other: Answer) -> dict[str, float]:
    """Share of equal penalties, and the largest difference in r where they are equal."""
    equal = nearest(problem.alphas, one.alpha) == nearest(problem.alphas, other.alpha)
    difference = np.abs(one.r - other.r)[equal]
    return {"equal_share": digits(equal.mean()), "max_dr": digits(difference.max()) if equal.any() else None}


if __name__ == "__main__":
    sys.exit(main())
