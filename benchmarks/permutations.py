"""Permutation tests: of a held-out prediction without fitting, and of a cross-validated score with refits.

heldout (W5: 600 samples, blocks of 10, 4,000 targets, 1,000 permutations)
against the plain way (z-score and correlate for every permutation) and lean
ones (z-scored once, then one sum of products per permutation).

layers (a whole brain: 300 samples, blocks of 10, 40,000 targets, 12 layers,
1,000 permutations): seconds, for the null by blocks and for random phases.

refit (W1s: 2,000 samples, 768 features, 10,000 targets, 10 alphas, 5 folds)
against calling `cross_validate` for every permutation. A thousand refits take
a quarter of an hour, so the cost of one more is measured: that of scoring
1 + MORE orders of the responses less that of scoring 1, divided by MORE. The
alphas and the X side, both made once, are timed by themselves.
"""

import sys
import tracemalloc
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
from common import Goal, Yardstick, digits, interleaved, make, parser, report, threads
from workloads import WORKLOADS, blocks, penalties

from pipeline import ridge, statistics
from pipeline.ridge.refit import Refit
from pipeline.statistics import refitted
from pipeline.statistics.blocks import Moves, split_runs

N, BLOCK = 1000, 10
SAMPLES, TARGETS = 600, 4000
MORE = 8  # permutations between the two timings of a refit
BRAIN = (300, 40_000, 12)  # samples, targets, layers
N_FOLDS = 5
TIE = 1e-12  # share of the largest possible sum of products; rounding makes no difference larger
GOALS = {
    "heldout": (
        Goal("1,000 block permutations: times faster than correlating anew", "ratio.naive", at_least=50),
        Goal("1,000 block permutations: times faster than lean sums of products", "ratio.lean", at_least=6),
        Goal("largest difference between their p", "difference_in_p.lean", at_most=1e-12),
        Goal("peak memory at twice the targets, times that at once", "memory.growth", at_most=1.1),
    ),
    "layers": (
        Goal("1,000 block permutations of 40,000 targets in 12 layers, s", "methods.blocks.wall_s", at_most=120),
        Goal("1,000 random phases of the same, s", "methods.phases.wall_s", at_most=120),
    ),
    "refit": (
        Goal("a refit in a permutation test: times cheaper than cross-validating", "ratio.cross_validate", at_least=10),
        Goal("largest difference to the r of cross_validate", "difference_in_r", at_most=1e-5),
        Goal("peak memory at twice the targets, times that at once", "memory.growth", at_most=1.1),
    ),
}


def main() -> int:
    options = parser(__doc__)
    options.add_argument("--workload", choices=GOALS, help="by default both, a line each")
    chosen = options.parse_args()
    threads(chosen.threads)
    chosen_ones = [chosen.workload] if chosen.workload else list(GOALS)
    return max(report(RUNS[name](chosen), GOALS[name], chosen.scale) for name in chosen_ones)


# --- held-out predictions


def heldout(chosen: Any) -> dict[str, Any]:
    n_targets = max(TARGETS // chosen.scale, 1)
    rng = np.random.default_rng(0)
    Y = rng.standard_normal((SAMPLES, n_targets))
    Y_hat = 0.05 * Y + rng.standard_normal(Y.shape)
    orders = Moves(split_runs(None, SAMPLES), BLOCK, N, 0).orders(0, N)
    yardstick = Yardstick()
    ours = partial(statistics.permute_blocks, block=BLOCK, n=N)
    methods = {
        "ours": partial(ours, Y, Y_hat),
        "lean": partial(lean, Y, Y_hat, orders),
        "lean_chunked": partial(lean, Y, Y_hat, orders, chunk=64),
        "lean_float32": partial(lean, Y, Y_hat, orders, dtype=np.float32),
        "naive": partial(naive, Y, Y_hat, orders),
    }
    ours(Y[:, :8], Y_hat[:, :8])  # imports
    timings = interleaved({"yardstick": yardstick} | methods, chosen.reps, ["naive"])
    p = {name: timings[name].result for name in methods}
    others = [name for name in methods if name != "ours"]
    return {
        "workload": "heldout",
        "shape": {"samples": SAMPLES, "block": BLOCK, "targets": n_targets, "permutations": N},
        "reps": chosen.reps,
        "slow": {"methods": ["naive"], "reps": 1},
        "yardstick_gflops": digits(yardstick.gflops),
        "methods": {name: timings[name].fields() for name in methods},
        "ratio": {name: digits(timings[name].seconds / timings["ours"].seconds) for name in others},
        "difference_in_p": {name: digits(np.abs(p[name] - p["ours"]).max()) for name in others},
        "memory": growth(lambda part: ours(Y[:, :part], Y_hat[:, :part]), n_targets),
    }


def naive(Y: np.ndarray, Y_hat: np.ndarray, orders: np.ndarray) -> np.ndarray:
    """z-score both and correlate, for every permutation."""
    observed = (zscored(Y) * zscored(Y_hat)).mean(axis=0)
    as_large = sum((zscored(Y) * zscored(Y_hat[order])).mean(axis=0) >= observed - TIE for order in orders)
    return (as_large + 1) / (len(orders) + 1)


def lean(
    Y: np.ndarray, Y_hat: np.ndarray, orders: np.ndarray, chunk: int | None = None, dtype: type = np.float64
) -> np.ndarray:
    """z-score once; a chunk of targets fits into the cache."""
    y, p = zscored(Y).astype(dtype), zscored(Y_hat).astype(dtype)
    step = chunk or Y.shape[1]
    parts = (slice(start, start + step) for start in range(0, Y.shape[1], step))
    as_large = [_lean(np.ascontiguousarray(y[:, part]), np.ascontiguousarray(p[:, part]), orders) for part in parts]
    return (np.concatenate(as_large) + 1) / (len(orders) + 1)


def _lean(y: np.ndarray, p: np.ndarray, orders: np.ndarray) -> np.ndarray:
    observed = np.einsum("st,st->t", y, p) - TIE * len(y)
    return sum(np.einsum("st,st->t", y, p[order]) >= observed for order in orders).astype(float)


def zscored(Y: np.ndarray) -> np.ndarray:
    return (Y - Y.mean(axis=0)) / Y.std(axis=0)


def layers(chosen: Any) -> dict[str, Any]:
    """Layers one after the other, as they come."""
    n_samples, n_targets, n_layers = BRAIN
    n_targets = max(n_targets // chosen.scale, 1)
    rng = np.random.default_rng(0)
    Y = rng.standard_normal((n_samples, n_targets), np.float32)
    Y_hat = 0.05 * Y + rng.standard_normal(Y.shape, np.float32)
    nulls = {"blocks": partial(statistics.permute_blocks, block=BLOCK), "phases": statistics.phases}
    methods = {name: partial(_each_layer, null, Y, Y_hat, n_layers) for name, null in nulls.items()}
    for null in nulls.values():
        null(Y[:, :8], Y_hat[:, :8], n=N)  # imports
    timings = interleaved(methods, chosen.reps)
    return {
        "workload": "layers",
        "shape": {"samples": n_samples, "targets": n_targets, "layers": n_layers, "permutations": N},
        "reps": chosen.reps,
        "methods": {name: timings[name].fields() for name in methods},
    }


def _each_layer(null: Callable, Y: np.ndarray, Y_hat: np.ndarray, n_layers: int) -> int:
    return sum(int((null(Y, Y_hat, n=N, seed=layer) <= 0.05).sum()) for layer in range(n_layers))


# --- cross-validated scores


def refit(chosen: Any) -> dict[str, Any]:
    shape = WORKLOADS["W1s"]
    n_targets = max(shape.V // chosen.scale, 1)
    X, Y = make(shape.T, 0, shape.p, shape.delays, n_targets)
    folds = blocks(np.arange(len(X)), N_FOLDS)
    cross_validate = partial(ridge.cross_validate, X, Y, folds=folds, alphas=penalties(), select="r")
    found, model = cross_validate(), Refit(X, folds)
    score = partial(scored, model, Y, found.alpha)
    score(0)  # makes the smoothers
    yardstick = Yardstick()
    methods = {
        "cross_validate": cross_validate,
        "x_side": partial(Refit, X, folds),
        "score_1": partial(score, 0),
        f"score_{1 + MORE}": partial(score, MORE),
    }
    timings = interleaved({"yardstick": yardstick} | methods, chosen.reps)
    more = (timings[f"score_{1 + MORE}"].seconds - timings["score_1"].seconds) / MORE
    r = timings["score_1"].result[0]
    return {
        "workload": "refit",
        "shape": {"samples": len(X), "features": X.shape[1], "targets": n_targets, "folds": N_FOLDS, "alphas": len(penalties())},
        "reps": chosen.reps,
        "path": model.path,
        "yardstick_gflops": digits(yardstick.gflops),
        "methods": {name: timings[name].fields() for name in methods},
        "how": f"one refit = (score_{1 + MORE} - score_1) / {MORE}, of medians",
        "one_refit_s": digits(more),
        "thousand_s": digits(1000 * more + timings["cross_validate"].seconds + timings["x_side"].seconds),
        "yardstick_share": digits(products(folds) * 2 * n_targets / (more * yardstick.gflops * 1e9)),
        "ratio": {"cross_validate": digits(timings["cross_validate"].seconds / more)},
        "difference_in_r": digits(np.abs(r - found.r.mean(axis=0)).max()),
        "memory": growth(lambda part: scored(model, Y[:, :part], found.alpha[:, :part], MORE), n_targets)
        | {"with_x_side_mib": digits(peak(lambda: scored(Refit(X, folds), Y, found.alpha, MORE)) / 2**20)},
    }  # fmt: skip


def scored(model: Refit, Y: np.ndarray, alpha: np.ndarray, n: int) -> np.ndarray:
    """The responses as measured and n permutations of them, in the chunks that a test of a thousand takes."""
    found = Moves(split_runs(None, len(Y)), BLOCK, N, 0)
    orders = np.vstack([np.arange(len(Y)), found.orders(0, n)])
    r = np.empty((len(orders), Y.shape[1]))
    for columns in refitted.chunks(alpha, refitted.n_at_once(found)):
        r[:, columns] = model(Y[:, columns], orders, alpha[:, columns])
    return r


def products(folds: list) -> int:
    """Per target: a test x train matrix for each fold."""
    return sum(len(train) * len(test) for train, test in folds)


# --- memory


def growth(method: Callable[[int], Any], n_targets: int) -> dict[str, float]:
    """Peak of what numpy and Python allocate, beside the answer's own few numbers, at half the targets and at all."""
    half, whole = (peak(partial(method, part)) / 2**20 for part in (n_targets // 2, n_targets))
    return {"half_mib": digits(half), "whole_mib": digits(whole), "growth": digits(whole / half)}


def peak(method: Callable[[], Any]) -> int:
    tracemalloc.start()
    method()
    found = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return found


RUNS = {"heldout": heldout, "layers": layers, "refit": refit}

if __name__ == "__main__":
    sys.exit(main())
