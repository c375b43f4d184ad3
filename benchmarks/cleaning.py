"""Cleaning one large fMRIPrep run, 90 x 104 x 72 voxels x 400 volumes: wall time, and peak memory in sizes of the run.

The run is written first (int16, packed; a mask of a third of the voxels; 24
motion regressors and two tissue means), then read, cleaned and labelled in a
process of its own. The yardstick is a plain `nilearn.maskers.NiftiMasker`
with the same steps, in another process. Memory is the growth of RssAnon from
after the imports on; the size of the run is that of its voxels in float32.
"""

import subprocess
import sys
import tempfile
import time
from functools import partial
from pathlib import Path

import numpy as np
import watch
from common import Goal, digits, hidden, parser, report, skipped, threads

SHAPE, VOLUMES, TR_S = (90, 104, 72), 400, 2.0
NAME = "sub-01_task-story_space-MNI152NLin2009cAsym_res-2_desc-preproc_bold.nii.gz"
MASK, TABLE = "mask.nii.gz", "sub-01_task-story_desc-confounds_timeseries.tsv"
GOALS = (
    Goal("one large run: seconds", "seconds", at_most=60),
    Goal("one large run: peak memory, sizes of the run", "sizes", at_most=3),
)


def main() -> int:
    options = parser(__doc__, reps=1)
    options.add_argument("--step", choices=("make", "ours", "nilearn"), help=hidden())
    options.add_argument("--folder", type=Path, help=hidden())
    chosen = options.parse_args()
    threads(chosen.threads)
    if chosen.step:
        return {"make": make, "ours": ours, "nilearn": nilearn}[chosen.step](chosen.folder, chosen.scale)
    if not watch.supported():
        return skipped("memory is read from /proc, which this system does not have")
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, __file__, "--threads", str(chosen.threads), "--folder", folder]
        command += ["--scale", str(chosen.scale), "--step"]
        subprocess.run([*command, "make"], check=True)
        found = {step: timed([*command, step]) for step in ("ours", "nilearn")}
    size = np.prod(SHAPE) * (VOLUMES // chosen.scale) * 4 / 2**20
    fields = {
        "workload": f"{'x'.join(map(str, SHAPE))}x{VOLUMES}",
        "run_mib": digits(size),
        "seconds": digits(found["ours"]["seconds"]),
        "sizes": digits(found["ours"]["anonymous"] / size),
        "nilearn": {
            "seconds": digits(found["nilearn"]["seconds"]),
            "sizes": digits(found["nilearn"]["anonymous"] / size),
        },
    }
    fields["butterworth_over_cosine"] = digits(filters())
    return report(fields, GOALS, chosen.scale)


def filters() -> float:
    """nilearn's Butterworth over its cosines, on 4,000 time series of 400 volumes."""
    from nilearn.signal import clean

    series = np.random.default_rng(0).normal(size=(VOLUMES, 4000))
    seconds = []
    for name in ("butterworth", "cosine"):
        start = time.perf_counter()
        clean(series, t_r=TR_S, high_pass=0.008, filter=name, standardize="zscore_sample")
        seconds.append(time.perf_counter() - start)
    return seconds[0] / seconds[1]


def timed(command: list[str]) -> dict[str, float]:
    start = time.perf_counter()
    return watch.peaks(command) | {"seconds": time.perf_counter() - start}


def make(folder: Path, scale: int) -> int:
    """Noise on a baseline, as int16 with a slope; written volume by volume."""
    import nibabel as nib
    import pandas as pd

    rng, n = np.random.default_rng(0), VOLUMES // scale
    data = np.empty((*SHAPE, n), np.int16, order="F")
    for k in range(n):
        data[..., k] = rng.integers(9000, 11000, SHAPE, dtype=np.int16)
    image = nib.Nifti1Image(data, np.diag([2.0, 2, 2, 1]))
    image.header.set_zooms((2, 2, 2, TR_S))
    image.header.set_slope_inter(0.1, 0)
    nib.openers.Opener.default_compresslevel = 1
    nib.save(image, folder / NAME)
    inside = np.zeros(SHAPE, np.uint8)
    inside[14:76, 16:88, 10:62] = 1
    nib.save(nib.Nifti1Image(inside, image.affine), folder / MASK)
    axes = [f"{kind}_{axis}" for kind in ("trans", "rot") for axis in "xyz"]
    table = pd.DataFrame(rng.normal(size=(n, 8)) / 100, columns=[*axes, "csf", "white_matter"])
    for name in axes:
        table[f"{name}_derivative1"] = table[name].diff()
        table[f"{name}_power2"], table[f"{name}_derivative1_power2"] = (
            table[name] ** 2,
            table[f"{name}_derivative1"] ** 2,
        )
    table.to_csv(folder / TABLE, sep="\t", index=False, na_rep="n/a")
    return 0


def ours(folder: Path, scale: int) -> int:
    from pipeline.recordings.fmri import Fmri
    from pipeline.recordings.recorded import recorded
    from pipeline.runs import Run

    run = Run("01", "story", "fmri", (NAME,), "words.tsv", tr_s=TR_S, mask=MASK, confounds=(TABLE,))
    ds = watch.watched(lambda: recorded(Fmri().clean(run, folder, ()), run))
    return int(not np.isfinite(ds["responses"].values).all())


def nilearn(folder: Path, scale: int) -> int:
    from nilearn.interfaces.fmriprep import load_confounds
    from nilearn.maskers import NiftiMasker

    confounds, _ = load_confounds(str(folder / NAME), strategy=("motion", "wm_csf"))
    steps = {
        "detrend": True,
        "high_pass": 0.008,
        "t_r": TR_S,
        "standardize": "zscore_sample",
        "clean_args": {"filter": "cosine"},
    }
    masker = NiftiMasker(str(folder / MASK), **steps)
    found = watch.watched(partial(masker.fit_transform, str(folder / NAME), confounds=confounds))
    return int(not np.isfinite(found).all())


if __name__ == "__main__":
    sys.exit(main())
