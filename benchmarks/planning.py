"""Looking before leaping: `check` of 30 people x 10 fMRIPrep runs, and `plan` of 1,000 runs.

Images are links to one file of 90 x 104 x 72 x 400 voxels, masks to one mask;
words and confounds (400 rows x 200 columns) are files of their own. `check`
reads headers, masks and tables; `plan` finds the runs, writes them down and
lets Snakemake plan every job. Wall time, a process each; the yardstick is a
`snakemake --dry-run` of a Snakefile with the same number of jobs and no study.
"""

import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from common import Goal, digits, parser, report, threads

SHAPE, VOLUMES, TR_S, N_COLUMNS = (90, 104, 72), 400, 2.0, 200
SPACE = "space-MNI152NLin2009cAsym_res-2"
GOALS = (
    Goal("check of 300 runs: seconds", "check_s", at_most=60),
    Goal("plan of 1,000 runs: seconds", "plan_s", at_most=10),
)
STUDY = """study: planning
dataset: {kind: bids, root: ds, derivatives: ds/derivatives/fmriprep, space: MNI152NLin2009cAsym}
subjects: all
recordings: {fmri: {kind: fmri}}
models: {wordrate: {kind: wordrate}}
"""


def main() -> int:
    options = parser(__doc__, reps=1)
    chosen = options.parse_args()
    threads(chosen.threads)
    with tempfile.TemporaryDirectory() as place:
        shared = originals(Path(place))
        small = data_set(Path(place) / "small", 30, 10 // chosen.scale, shared)
        large = data_set(Path(place) / "large", 100, 10 // chosen.scale, shared)
        fields = {
            "workload": "30 x 10 and 100 x 10 runs",
            "check_s": timed(small, "-m", "pipeline", "check", "study.yaml"),
            "plan_s": timed(large, "-m", "pipeline", "plan", "study.yaml"),
            "plan_again_s": timed(large, "-m", "pipeline", "plan", "study.yaml"),
            "snakemake_alone_s": timed(
                bare(Path(place) / "bare", 100), "-m", "snakemake", "--dry-run", "--quiet", "all"
            ),
        }
    return report(fields, GOALS, chosen.scale)


def timed(folder: Path, *command: str) -> float:
    start = time.perf_counter()
    subprocess.run(
        [sys.executable, *command], cwd=folder, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    return digits(time.perf_counter() - start)


def originals(place: Path) -> dict[str, Path]:
    """The one image, mask and table of which all others are links or copies."""
    import nibabel as nib

    affine = np.diag([2.0, 2, 2, 1])
    image = nib.Nifti1Image(np.zeros((*SHAPE, VOLUMES), np.int16), affine)
    image.header.set_zooms((2, 2, 2, TR_S))
    inside = np.zeros(SHAPE, np.uint8)
    inside[14:76, 16:88, 10:62] = 1
    nib.save(image, place / "bold.nii.gz")
    nib.save(nib.Nifti1Image(inside, affine), place / "mask.nii.gz")
    rng = np.random.default_rng(0)
    axes = [f"{kind}_{axis}" for kind in ("trans", "rot") for axis in "xyz"]
    terms = [a + t for a in axes for t in ("", "_derivative1", "_power2", "_derivative1_power2")] + [
        "csf",
        "white_matter",
    ]
    columns = [*terms, *(f"other{i}" for i in range(N_COLUMNS - len(terms)))]
    rows = ["\t".join(columns), *("\t".join(f"{v:.6f}" for v in row) for row in rng.normal(size=(VOLUMES, N_COLUMNS)))]
    (place / "confounds.tsv").write_text("\n".join(rows) + "\n")
    return {name: place / name for name in ("bold.nii.gz", "mask.nii.gz", "confounds.tsv")}


def data_set(root: Path, people: int, runs: int, shared: dict[str, Path]) -> Path:
    ds, derived = root / "ds", root / "ds" / "derivatives" / "fmriprep"
    for folder, kind in ((ds, "raw"), (derived, "derivative")):
        folder.mkdir(parents=True)
        about = {
            "Name": "planning",
            "BIDSVersion": "1.8.0",
            "DatasetType": kind,
            "GeneratedBy": [{"Name": "fMRIPrep", "Version": "24.0.0"}],
        }
        (folder / "dataset_description.json").write_text(json.dumps(about))
    (ds / "task-story_bold.json").write_text(json.dumps({"RepetitionTime": TR_S, "TaskName": "story"}))
    (derived / "task-story_bold.json").write_text(json.dumps({"RepetitionTime": TR_S}))
    events = {run: words(run) for run in range(1, runs + 1)}
    for person in range(1, people + 1):
        for run in events:
            _run(ds, derived, f"sub-{person:02d}", f"task-story_run-{run}", events[run], shared)
    (root / "study.yaml").write_text(STUDY)
    return root


def _run(ds: Path, derived: Path, subject: str, run: str, events: str, shared: dict[str, Path]) -> None:
    raw, made = ds / subject / "func", derived / subject / "func"
    raw.mkdir(parents=True, exist_ok=True)
    made.mkdir(parents=True, exist_ok=True)
    (raw / f"{subject}_{run}_bold.nii.gz").symlink_to(shared["bold.nii.gz"])
    (raw / f"{subject}_{run}_events.tsv").write_text(events)
    (made / f"{subject}_{run}_{SPACE}_desc-preproc_bold.nii.gz").symlink_to(shared["bold.nii.gz"])
    (made / f"{subject}_{run}_{SPACE}_desc-brain_mask.nii.gz").symlink_to(shared["mask.nii.gz"])
    (made / f"{subject}_{run}_desc-confounds_timeseries.tsv").write_bytes(shared["confounds.tsv"].read_bytes())


def words(run: int) -> str:
    """300 words of a story of its own."""
    rows = [f"{k * 2.6 + 5:.2f}\t0.4\tword\tw{run}x{k}" for k in range(300)]
    return "\n".join(["onset\tduration\ttrial_type\tword", *rows]) + "\n"


def bare(root: Path, people: int) -> Path:
    """As many jobs as the study has for 100 people, that ask for nothing."""
    root.mkdir()
    rules = [f'rule {name}:\n    output: "{name}/{{s}}"\n    shell: "touch {{output}}"\n' for name in ("clean", "encode", "lags", "ceiling", "maps", "compare", "report")]  # fmt: skip
    wanted = [
        f'expand("{name}/{{s}}", s=range({people}))'
        for name in ("clean", "encode", "lags", "ceiling", "maps", "compare", "report")
    ]
    (root / "Snakefile").write_text(f"rule all:\n    input: {', '.join(wanted)}\n\n" + "\n".join(rules))
    return root


if __name__ == "__main__":
    sys.exit(main())
