"""Correction of motion: CPU seconds per volume of 64 x 64 x 36, and how near it comes to the motion that was planted.

The yardstick is a plain call of DIPY's `register_series`, translation then
rigid with its own settings, on some of the same volumes. A head shaped like a
brain moves by up to 2 mm and 2 degrees, in noise (tSNR 60) and a drift of 2 %.
"""

import logging
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import watch
from common import Goal, digits, interleaved, parser, report, threads

SHAPE, AFFINE = (64, 64, 36), np.diag([3.0, 3.0, 3.6, 1.0])
AFFINE[:3, 3] = -AFFINE[:3, :3] @ ((np.array(SHAPE) - 1) / 2)
LARGEST, TSNR, DRIFT, N_PLAIN = 2.0, 60.0, 0.02, 3
GOALS = (
    Goal("motion: CPU seconds per volume", "seconds_per_volume", at_most=2.0),
    Goal("motion: largest error of a shift, mm", "error.ours.mm", at_most=0.1),
    Goal("motion: largest error of a rotation, degrees", "error.ours.degrees", at_most=0.1),
    Goal("motion: times the time of DIPY's own settings", "ratio", at_most=1.0),
    Goal("motion: peak memory over the run's size", "memory", at_most=3.0),
)


def main() -> int:
    options = parser(__doc__, reps=1)
    options.add_argument("--volumes", type=int, default=30)
    chosen = options.parse_args()
    threads(chosen.threads)
    import dipy.align  # noqa: F401  it sets its own level when it is loaded

    logging.getLogger("dipy").setLevel(logging.WARNING)  # else it tells every step
    motion = planted(max(2 * N_PLAIN + 2, chosen.volumes // chosen.scale))
    volumes = scanned(motion)
    timings = interleaved({"ours": lambda: ours(volumes), "plain": lambda: plain(volumes)}, chosen.reps)
    n = len(motion)
    seconds = {"ours": timings["ours"].seconds / n, "plain": timings["plain"].seconds / N_PLAIN}
    found = {"ours": timings["ours"].result.motion, "plain": timings["plain"].result}
    fields = {
        "volumes": n,
        "methods": {name: timings[name].fields() for name in timings},
        "seconds_per_volume": digits(seconds["ours"]),
        "ratio": digits(seconds["ours"] / seconds["plain"]),
        "error": {"ours": error(found["ours"], motion), "plain": error(found["plain"], motion[1 : N_PLAIN + 1])},
        "memory": memory(),
        "two_workers": two_workers(volumes, timings["ours"].result.volumes),
    }
    return report(fields, GOALS, chosen.scale)


def ours(volumes: np.ndarray):
    from pipeline.recordings.motion import correct

    return correct(volumes, AFFINE)


def plain(volumes: np.ndarray) -> np.ndarray:
    """Six numbers of the second and following volumes against the middle one."""
    from dipy.align import register_series
    from scipy.spatial.transform import Rotation

    middle = volumes[..., volumes.shape[3] // 2]
    # DIPY 1.12 takes the first volume for the reference, whatever the reference is, and leaves it as it was
    _, affines = register_series(
        volumes[..., : N_PLAIN + 1], middle, pipeline=["translation", "rigid"], series_affine=AFFINE, ref_affine=AFFINE
    )
    moved = np.moveaxis(affines, 2, 0)[1:]
    turns = Rotation.from_matrix(moved[:, :3, :3]).as_euler("xyz", degrees=True)
    return np.hstack([moved[:, :3, 3], turns])  # the box's middle is at 0: nothing is to be shifted for it


def error(found: np.ndarray, motion: np.ndarray) -> dict[str, float]:
    off = np.abs(found - motion)
    named = {"mm": off[:, :3], "degrees": off[:, 3:]}
    return {k: digits(float(v.max()), 2) for k, v in named.items()} | {
        f"{k}_mean": digits(float(v.mean()), 2) for k, v in named.items()
    }


def memory() -> float:
    """What a longer run adds to the peak, over its size: libraries and one volume's work do not grow with it."""
    sizes = []
    for n in (4, 12):
        code = f"import motion; motion.peak({n})"
        done = subprocess.run([sys.executable, "-c", code], cwd=Path(__file__).parent, capture_output=True, check=True)
        sizes.append(float(done.stdout))
    return digits((sizes[1] - sizes[0]) / (np.prod(SHAPE) * 8 * 8 * 4), 3)


def peak(n: int) -> None:
    """Bytes at most while a run of 8 n volumes is corrected; noise for heads, whose making would take more, and a short search."""
    from pipeline.recordings import motion

    motion._LEVELS["level_iters"] = [1, 1]
    run = np.empty((*SHAPE, 8 * n), np.float32)
    for i in range(8 * n):
        run[..., i] = np.random.default_rng(i % 2).random(SHAPE, np.float32)
    motion.correct(run, AFFINE)
    # not ru_maxrss: a child begins with what its parent held
    print(watch.status("self")["VmHWM"] * 1024)


def two_workers(volumes: np.ndarray, alone: np.ndarray) -> dict[str, object]:
    """Wall seconds with two processes, and whether the answer is the same."""
    from pipeline.recordings.motion import correct

    start = time.perf_counter()
    found = correct(volumes, AFFINE, workers=2)
    return {"wall_s": digits(time.perf_counter() - start), "same": bool(np.array_equal(found.volumes, alone))}


# --- the data


def planted(n: int) -> np.ndarray:
    """Shifts and rotations all over the range; none in the middle volume, to which the errors refer."""
    motion = np.random.default_rng(0).uniform(-LARGEST, LARGEST, (n, 6))
    motion[n // 2] = 0
    return motion


def scanned(motion: np.ndarray) -> np.ndarray:
    from pipeline.datasets import simulate_heads as heads

    rng, n = np.random.default_rng(1), len(motion)
    where, still = heads.Grid(SHAPE, AFFINE), np.zeros((n, len(heads.PATCHES)))
    volumes = heads.volumes(heads.head(), where, heads.placement(rng), still, motion)
    volumes *= np.linspace(1, 1 + DRIFT, n, dtype=np.float32)[:, None, None, None]
    volumes *= (1 + 0.3 * np.sin(heads.places(where)[..., 1] / 90)).astype(np.float32)  # coils see one side better
    sd = np.median(volumes[volumes > volumes.max() / 4]) / TSNR
    noisy = np.hypot(volumes + rng.normal(0, sd, volumes.shape), rng.normal(0, sd, volumes.shape))
    return np.moveaxis(noisy, 0, -1).astype(np.float32)


if __name__ == "__main__":
    sys.exit(main())
