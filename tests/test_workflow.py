"""The workflow as people use it: one command that resumes, re-runs just what depends on a change, and isolates failures."""

import hashlib
import json
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
from laboratory import REPOSITORY, Laboratory, brainalign

from pipeline import arrays

pytestmark = pytest.mark.xdist_group("workflow")  # one worker: the study in the fixture runs once


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Laboratory:
    """A study that ran to its end; tests copy it before they harm it."""
    laboratory = Laboratory(tmp_path_factory.mktemp("finished"))
    done = laboratory.run("run", "--cores", 2)
    assert done.returncode == 0, done.stderr + done.stdout
    return laboratory


@pytest.fixture
def copy(finished: Laboratory, tmp_path: Path) -> Laboratory:
    root = tmp_path / "copy"
    shutil.copytree(finished.root, root, symlinks=True, copy_function=shutil.copy2)
    laboratory = Laboratory.__new__(Laboratory)
    laboratory.root, laboratory.data, laboratory.study = root, root / "lab", root / "study.yaml"
    return laboratory


def outputs(laboratory: Laboratory) -> Path:
    return laboratory.root / "data" / "derivatives" / "lab"


def planned(laboratory: Laboratory, *options: str) -> dict[str, int]:
    done = laboratory.run("plan", *options)
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    return (
        {} if lines == ["nothing to do"] else {rule: int(n) for rule, n, *_ in (line.split("\t") for line in lines[1:])}
    )


def hashes(folder: Path) -> dict[str, str]:
    files = [
        p for p in folder.rglob("*") if p.is_file() and not {"logs", "benchmarks"} & set(p.relative_to(folder).parts)
    ]
    return {p.relative_to(folder).as_posix(): hashlib.sha256(p.read_bytes()).hexdigest() for p in files}


def test_a_run_leaves_what_the_interface_promises(finished):
    folder = outputs(finished)
    names = {
        "dataset_description.json", "manifest.json", "sub-01.html", "sub-02.html", "group.html", "index.html", "group_layers.tsv",
        "group_comparison.tsv", "methods.md", "words/run-a_words.tsv", "models/rate/run-a_activations.nc",
        "sub-01/sub-01_recording-bold_run-a_recording.nc", "sub-01/sub-01_recording-bold_model-rate_scores.nc",
        "sub-01/sub-01_recording-bold_ceiling.nc", "sub-01/sub-01_recording-bold_layers.tsv", "sub-01/sub-01_recording-bold_comparison.tsv",
        "sub-01/sub-01_recording-bold_tests.nc", "sub-01/sub-01_recording-bold_certificate.tsv",
    }  # fmt: skip
    assert {name for name in names if not (folder / name).is_file()} == set()
    told = json.loads((folder / "manifest.json").read_text())
    found = hashes(folder)
    assert {name: found[name] for name in told} == told
    assert set(told) == {n for n in found if ".records" not in n and n != "manifest.json"}


def test_a_finished_study_has_nothing_to_do_and_is_verified(finished):
    assert finished.run("plan").stdout == "nothing to do\n"
    again = finished.run("run")
    assert again.returncode == 0 and "[" not in again.stdout
    status = finished.run("status")
    assert status.returncode == 0 and status.stdout.splitlines()[1:] == ["missing\t0", "changed\t0"]


BOTH = 2  # subjects
CHANGES = {
    "comparison.fdr=0.01": {"compare": BOTH, "certify": BOTH, "report": BOTH, "group": 1, "finish": 1},
    "comparison.permutations=300": {"compare": BOTH, "certify": BOTH, "report": BOTH, "group": 1, "finish": 1},
    "report.show_text=none": {"report": BOTH, "group": 1, "finish": 1},
    "comparison.surrogates=3": {"certify": BOTH, "report": BOTH, "group": 1, "finish": 1},
    "report.lag_scan=rate": {"lags": BOTH, "certify": BOTH, "report": BOTH, "group": 1, "finish": 1},
    "encoding.inner_folds=3": {"encode": 4, "certify": BOTH, "compare": BOTH, "report": BOTH, "group": 1, "finish": 1},
    "recordings.bold.delays=[1, 2]": {"encode": 4, "certify": BOTH, "compare": BOTH, "report": BOTH, "group": 1, "finish": 1},
    "recordings.bold.standardize=false": {"clean": BOTH, "ceiling": BOTH, "encode": 4, "certify": BOTH, "compare": BOTH, "report": BOTH, "group": 1, "finish": 1},
    "models.length={kind: position}": {"activate": 1, "encode": 2, "compare": BOTH, "report": BOTH, "group": 1, "finish": 1},
    "ceiling.kinds=[none]": {"ceiling": BOTH, "compare": BOTH, "report": BOTH, "group": 1, "finish": 1},
}  # fmt: skip


# of two settings of one stage one is enough for every day
SLOW = ("comparison.permutations=300", "encoding.inner_folds=3", "ceiling.kinds=[none]")


@pytest.mark.parametrize("change", [pytest.param(c, marks=pytest.mark.slow if c in SLOW else ()) for c in CHANGES])
def test_a_changed_setting_runs_just_what_depends_on_it(finished, change):
    assert planned(finished, "--set", change) == CHANGES[change]


def test_a_row_of_the_table_concerns_its_subject_only(copy):
    copy.runs(
        copy.runs_text().replace(
            "01\tb\tbold\tsub-01/b.npy\twords/b.tsv\ttrain", "01\tb\tbold\tsub-01/b.npy\twords/b.tsv\t"
        )
    )
    # subject 02 is told about in the group only
    assert planned(copy) == {
        "clean": 1,
        "ceiling": 1,
        "encode": 2,
        "certify": 1,
        "compare": 1,
        "report": 1,
        "group": 1,
        "finish": 1,
    }


def test_a_change_is_seen_from_another_folder_too(copy):
    shutil.rmtree(copy.root / ".snakemake")  # where Snakemake keeps what it remembers
    assert planned(copy) == {}
    assert planned(copy, "--set", "comparison.fdr=0.01") == CHANGES["comparison.fdr=0.01"]


def plain_snakemake(laboratory: Laboratory) -> tuple[int, str]:
    """A dry run as somebody who does not know the command would start it: exit code and all it says."""
    command = ["snakemake", "--snakefile", str(REPOSITORY / "Snakefile"), "--configfile", "study.yaml", "--cores", "1"]
    command += ["--dry-run", "--rerun-triggers", "mtime", "params", "input"]
    done = subprocess.run(command, cwd=laboratory.root, capture_output=True, text=True, check=False)
    return done.returncode, done.stdout + done.stderr


def test_plain_snakemake_refuses_a_label_that_is_a_path(copy):
    copy.runs(copy.runs_text().replace("01\ta\t", "01\t../../../evil\t"))
    code, said = plain_snakemake(copy)
    assert code != 0 and "E-DATA-05" in said


def test_plain_snakemake_does_the_same_work(finished):
    code, said = plain_snakemake(finished)
    assert code == 0 and "Nothing to be done" in said


def test_one_persons_bad_file_leaves_the_others_as_they_are(finished, copy):
    (copy.data / "sub-02" / "b.npy").write_bytes(b"")
    done = copy.run("run", "--cores", 2)
    assert done.returncode == 6
    assert (
        "E-ARRAY-07" in done.stderr and "sub-02/b.npy" in done.stderr and "left out, 1 of 2 subjects: 02" in done.stderr
    )
    whole, part = hashes(outputs(finished)), hashes(outputs(copy))
    own = [name for name in whole if name.startswith(("sub-01/", "words/", "models/"))]
    assert own and {n: part[n] for n in own} == {n: whole[n] for n in own}
    assert "1 of 2" in (outputs(copy) / "group.html").read_text()


@pytest.mark.slow
def test_once_a_file_is_mended_the_same_command_ends_as_a_clean_run_does(finished, copy):
    shutil.rmtree(copy.root / "data")
    (copy.data / "sub-02" / "b.npy").write_bytes(b"")
    assert copy.run("run", "--cores", 2).returncode == 6
    whole, part = hashes(outputs(finished)), hashes(outputs(copy))
    own = [name for name in whole if name.startswith(("sub-01/", "words/", "models/"))]
    assert own and {n: part[n] for n in own} == {n: whole[n] for n in own}
    shutil.copy2(finished.data / "sub-02" / "b.npy", copy.data / "sub-02" / "b.npy")
    assert copy.run("run", "--cores", 2).returncode == 0
    assert hashes(outputs(copy)) == hashes(outputs(finished))


@pytest.mark.slow
def test_a_failure_inside_a_stage_leaves_the_others_too(copy):
    shutil.rmtree(copy.root / "data")
    path = copy.data / "sub-02" / "b.npy"
    values = np.load(path)
    values[5, :3] = np.nan  # the header looks fine: only cleaning sees it
    np.save(path, values)
    done = copy.run("run", "--cores", 2)
    assert done.returncode == 6, done.stderr
    assert "E-ARRAY-03" in done.stderr and "left out, 1 of 2 subjects: 02" in done.stderr
    assert (outputs(copy) / "sub-01.html").exists() and (outputs(copy) / "manifest.json").exists()
    assert not (outputs(copy) / "sub-02.html").exists()


def test_on_error_stop_starts_nothing(copy):
    shutil.rmtree(copy.root / "data")
    (copy.data / "sub-02" / "b.npy").write_bytes(b"")
    done = copy.run("run", "--set", "on_error=stop")
    assert done.returncode == 3 and not (outputs(copy) / "sub-01").exists()


def test_a_harmed_intermediate_is_seen_and_never_used(copy):
    path = outputs(copy) / "sub-01" / "sub-01_recording-bold_model-rate_scores.nc"
    raw = bytearray(path.read_bytes())
    raw[len(raw) // 2] ^= 1
    path.write_bytes(raw)
    status = copy.run("status")
    assert status.returncode == 6 and "changed\t1" in status.stdout and path.name in status.stdout
    done = copy.run("run", "--subject", "01", "--set", "comparison.fdr=0.01")
    assert done.returncode != 0 and "E-DATA-01" in done.stderr and path.name in done.stderr


def test_a_second_run_at_the_same_time_is_refused_and_a_dead_lock_is_not(copy):
    import os
    import socket

    lock = outputs(copy) / ".lock"
    lock.write_text(json.dumps({"pid": os.getpid(), "host": socket.gethostname(), "start": "now"}))
    done = copy.run("run")
    assert done.returncode == 5 and f"process {os.getpid()}" in done.stderr
    lock.write_text(json.dumps({"pid": 2**22 + 1, "host": socket.gethostname(), "start": "then"}))
    assert copy.run("run").returncode == 0 and not lock.exists()


@pytest.mark.slow
def test_a_subject_more_and_another_folder_change_no_byte(finished, copy):
    shutil.rmtree(copy.root / "data")
    elsewhere = ("--out", copy.root / "elsewhere", "--cores", 1)
    for options in (("--subject", "01"), ()):
        done = brainalign("run", copy.study, *elsewhere, *options, cwd=copy.root)
        assert done.returncode == 0, done.stderr
    assert hashes(copy.root / "elsewhere" / "lab") == hashes(outputs(finished))


def test_what_drives_a_target_is_found_and_noise_is_not(finished):
    import pandas as pd

    table = pd.read_csv(outputs(finished) / "sub-01" / "sub-01_recording-bold_layers.tsv", sep="\t", na_values="n/a")
    r = table[(table["model"] == "rate") & (table["layer"] == "nested")].set_index("roi")["r"]
    assert r["driven"] > 0.6 and abs(r["noise"]) < 0.15


def test_a_run_without_a_subject_is_data_and_a_typo_is_usage(copy):
    assert copy.run("check", "--subject", "09").returncode == 3
    typo = copy.run("run", "--set", "encoding.fold=3")
    assert typo.returncode == 2 and "did you mean 'folds'" in typo.stderr and "Traceback" not in typo.stderr
    missing = brainalign("check", "no.yaml", cwd=copy.root)
    assert missing.returncode == 2 and "no.yaml" in missing.stdout and "looked in" in missing.stdout


def test_check_as_json_tells_a_broken_study_as_json_too(copy):
    done = copy.run("check", "--json", "--set", "encoding.fold=3")
    assert done.returncode == 2 and "did you mean 'folds'" in json.loads(done.stdout)[0]["summary"]


def test_a_place_that_may_not_be_written_is_the_environment(copy):
    done = copy.run("run", "--out", "/proc/nowhere")
    assert done.returncode == 5 and "E-ENV-05" in done.stderr and "--out" in done.stderr


def test_check_as_json_holds_every_part_of_a_problem(copy):
    np.save(copy.data / "sub-01" / "a.npy", np.zeros((12, 6)))
    found = json.loads(copy.run("check", "--json").stdout)
    (error,) = [p for p in found if p["level"] == "error"]
    assert (error["code"], error["subject"], error["file"]) == ("E-ARRAY-06", "01", "sub-01/a.npy")


@pytest.mark.slow
def test_a_shuffled_split_is_stamped_on_every_page(copy):
    done = copy.run("run", "--set", "encoding.split=shuffled", "--set", "encoding.allow_leaky=true", "--cores", 2)
    assert done.returncode == 0, done.stderr
    for page in ("sub-01.html", "sub-02.html", "group.html", "index.html"):
        assert "leak" in (outputs(copy) / page).read_text().lower()


@pytest.mark.slow
def test_words_that_come_late_make_a_canary_sing_and_the_study_fail(tmp_path):
    laboratory = Laboratory(tmp_path)
    for story in laboratory.stories:
        table = [line.split("\t") for line in (laboratory.data / "words" / f"{story}.tsv").read_text().splitlines()[1:]]
        late = [(f"{float(onset) + 14:.3f}", *rest) for onset, *rest in table if float(onset) + 14 < 239]
        laboratory.words(story, late)  # the responses now come ten seconds before their words
    laboratory.write_study(comparison="{contrasts: [[rate, length]], permutations: 200, surrogates: 0}")
    done = laboratory.run("run", "--cores", 2)
    assert done.returncode == 3, done.stderr
    assert "E-CANARY-01 canary future sings" in done.stderr and "shift between words and responses" in done.stderr
    assert "future" in (outputs(laboratory) / "sub-01.html").read_text()  # the pages are there, and say so
    assert laboratory.run("status").returncode == 6


@pytest.mark.slow
def test_a_ceiling_between_people_goes_on_without_the_one_whose_file_is_bad(tmp_path):
    laboratory = Laboratory.__new__(Laboratory)
    laboratory.subjects = ("01", "02", "03")
    laboratory.__init__(tmp_path)
    laboratory.write_study(
        recordings="{bold: {kind: arrays, delays: [1, 2, 3], common_targets: true}}",
        ceiling="{kinds: [isc, shared_response]}", comparison="{contrasts: [[rate, length]], permutations: 200, surrogates: 0}",
    )  # fmt: skip
    values = np.load(laboratory.data / "sub-03" / "a.npy")
    values[5, :3] = np.nan  # the header looks fine: only cleaning sees it
    np.save(laboratory.data / "sub-03" / "a.npy", values)
    done = laboratory.run("run", "--cores", 2)
    assert done.returncode == 6 and "left out, 1 of 3 subjects: 03" in done.stderr, done.stderr
    for subject in ("01", "02"):
        path = outputs(laboratory) / f"sub-{subject}" / f"sub-{subject}_recording-bold_ceilings.tsv"
        told = arrays.load_table(path, text=("roi", "kind")).set_index(["roi", "kind"])
        driven = told.loc["driven"]
        assert driven.loc["isc", "n_valid"] == 4 and driven.loc["isc", "low"] > 0.3  # both follow one word rate
        assert (
            driven.loc["shared_response", "n_valid"] == 4 and "N = 2 people" in driven.loc["shared_response", "limits"]
        )
