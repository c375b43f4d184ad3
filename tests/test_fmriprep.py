"""fMRIPrep as a rule: planned person by person, called with the study's settings, never started here."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from laboratory import REPOSITORY, brainalign

STUDY = """study: prep
dataset:
  kind: bids
  root: ds
  derivatives: out/fmriprep
  space: MNI152NLin2009cAsym
  fmriprep: {container: "${SIF:-fmriprep.sif}", licence: licence.txt, output_spaces: ["MNI152NLin2009cAsym:res-2"], options: [--fs-no-reconall], threads: 4, mem_gb: 12}
subjects: all
recordings: {fmri: {kind: fmri}}
models: {wordrate: {kind: wordrate}}
"""
WORDS = "onset\tduration\ttrial_type\tword\n" + "".join(f"{i}.0\t0.4\tword\tword{i}\n" for i in range(1, 60))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Two people with raw runs; the second has one run only. The images are empty: nobody reads them to plan."""
    (tmp_path / "ds").mkdir()
    (tmp_path / "ds" / "dataset_description.json").write_text(json.dumps({"Name": "d", "BIDSVersion": "1.8.0"}))
    (tmp_path / "licence.txt").write_text("x")
    for subject, runs in (("01", (1, 2)), ("02", (1,))):
        func = tmp_path / "ds" / f"sub-{subject}" / "func"
        func.mkdir(parents=True)
        for run in runs:
            (func / f"sub-{subject}_task-story_run-{run}_bold.nii.gz").touch()
            (func / f"sub-{subject}_task-story_run-{run}_events.tsv").write_text(
                WORDS.replace("word1\n", f"other{run}\n")
            )
    (tmp_path / "prep.yaml").write_text(STUDY)
    return tmp_path


def dry(folder: Path) -> str:
    command = [sys.executable, "-m", "snakemake", "--snakefile", str(REPOSITORY / "Snakefile"), "--configfile", "prep.yaml",
               "--cores", "8", "--dry-run", "--printshellcmds", "--nocolor"]  # fmt: skip
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_each_person_whose_images_are_not_there_has_one_job(folder):
    done = brainalign("plan", "prep.yaml", cwd=folder)
    rows = {line.split("\t")[0]: line.split("\t")[1] for line in done.stdout.splitlines()[1:]}
    assert rows["fmriprep"] == "2" and rows["clean"] == "2", done.stdout + done.stderr


def test_the_container_is_called_with_the_settings_of_the_study(folder):
    command = next(
        line for line in dry(folder).splitlines() if "apptainer run" in line and "--participant-label 02" in line
    )
    for part in ("fmriprep.sif", ":/data:ro", ":/licence.txt:ro", "--output-spaces MNI152NLin2009cAsym:res-2", "--fs-no-reconall",
                 "--nthreads 4", "--mem-mb 12000", "participant"):  # fmt: skip
        assert part in command, part


def test_the_images_that_it_will_make_are_what_cleaning_waits_for(folder):
    name = "out/fmriprep/sub-02/func/sub-02_task-story_run-1_space-MNI152NLin2009cAsym_res-2_desc-preproc_bold.nii.gz"
    jobs = dry(folder).split("rule ")
    (clean,) = [job for job in jobs if job.startswith("clean") and "subject=02" in job]
    (prep,) = [job for job in jobs if job.startswith("fmriprep") and "--participant-label 02" in job]
    assert name in clean[: clean.index("output:")] and name in prep[prep.index("output:") :]


def test_images_that_are_still_to_come_are_no_problem(folder):
    done = brainalign("check", "prep.yaml", cwd=folder)
    assert done.returncode == 0 and "0 errors" in done.stdout, done.stdout


def test_without_its_section_the_images_are_asked_for(folder):
    text = STUDY.replace(STUDY[STUDY.index("  fmriprep:") : STUDY.index("subjects:")], "")
    (folder / "prep.yaml").write_text(text)
    done = brainalign("check", "prep.yaml", cwd=folder)
    assert done.returncode == 3 and "E-FMRI-15" in done.stdout and "out/fmriprep" in done.stdout
