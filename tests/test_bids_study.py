"""A whole study of a BIDS data set: what was planted is found where it was put, and a wrong clock is seen.

The data set is the project's own (`simulate_bids`, `simulate_derivatives`): two
people, the second without run 2, whose words are 20 s late. The slow tier runs
the other spaces and the raw images.
"""

import json
from pathlib import Path

import nibabel as nib
import numpy as np
import pandas as pd
import pytest
from laboratory import brainalign

from pipeline import arrays
from pipeline.datasets.simulate_bids import simulate_raw
from pipeline.datasets.simulate_derivatives import simulate_derivatives

pytestmark = pytest.mark.xdist_group("bids")
PLAN = {
    "subjects": ("01", "02"),
    "stories": 2,
    "story_s": 400.0,
    "test_repeats": 2,
    "signal_share": 0.8,
    "missing": (("02", "2"),),
}


def study(name: str, dataset: str, ceiling: str) -> str:
    return f"""study: {name}
dataset: {{kind: bids, root: ds, {dataset} test: [storyrun3]}}
subjects: all
recordings: {{fmri: {{kind: fmri}}}}
models: {{wordrate: {{kind: wordrate}}, length: {{kind: wordlength}}}}
encoding: {{alphas: [1, 1.0e+6, 7], split: given, inner_folds: 2}}
ceiling: {{kinds: [{ceiling}]}}
comparison: {{contrasts: [[wordrate, length]], permutations: 200, surrogates: 0}}
report: {{alignment_roi: temporal}}
"""


def patch(folder: Path, space: str, place: str = "ds/derivatives/fmriprep/sourcedata/truth") -> pd.DataFrame:
    name = f"sub-01_space-{space}_patch.tsv" if space else "sub-01_patch.tsv"
    return pd.read_csv(folder / place / name, sep="\t")


def prepared(folder: Path, space: str) -> Path:
    """The data set with images in one space, and a table of the region that was planted."""
    simulate_raw(folder / "ds", **PLAN, shift_words_s={"2": 20.0}, images=False)
    simulate_derivatives(folder / "ds" / "derivatives" / "fmriprep", spaces=(space,), **PLAN)
    return with_targets(folder, patch(folder, space))


def with_targets(folder: Path, truth: pd.DataFrame) -> Path:
    rows = truth.assign(roi=truth["patch"])[["target", "roi"]]
    rows.to_csv(folder / "ds" / "targets.tsv", sep="\t", index=False)
    return folder


def run(folder: Path, name: str, dataset: str, ceiling: str = "repeats") -> Path:
    (folder / f"{name}.yaml").write_text(study(name, dataset, ceiling))
    done = brainalign("run", f"{name}.yaml", "--cores", "2", cwd=folder)
    assert done.returncode == 0, done.stderr
    return folder / "data" / "derivatives" / name


def r_of(out: Path, subject: str, target: pd.Series) -> tuple[np.ndarray, np.ndarray]:
    """Scores of word rate in some targets, and in all others that have one."""
    ds = arrays.load(out / f"sub-{subject}" / f"sub-{subject}_recording-fmri_model-wordrate_scores.nc")
    r = ds["r"].values.mean(axis=(0, 1))
    inside = np.isin(ds["target"].values.astype(str), target.to_numpy(str))
    return r[inside & np.isfinite(r)], r[~inside & np.isfinite(r)]


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    return prepared(tmp_path_factory.mktemp("bids"), "fsaverage5")


@pytest.fixture(scope="module")
def out(folder) -> Path:
    return run(folder, "surface", "derivatives: ds/derivatives/fmriprep, space: fsaverage5,", ceiling="none")


def test_runs_that_are_not_there_are_not_asked_for(out):
    runs = arrays.load_table(out / "runs.tsv", text=("subject", "run"))
    found = {s: list(dict.fromkeys(rows["run"])) for s, rows in runs.groupby("subject")}
    assert found == {"01": ["storyrun1", "storyrun2", "storyrun3"], "02": ["storyrun1", "storyrun3"]}
    assert not (out / "sub-02" / "sub-02_recording-fmri_run-storyrun2_recording.nc").exists()


def test_a_story_heard_twice_is_one_run_with_two_presentations(out):
    ds = arrays.load(out / "sub-01" / "sub-01_recording-fmri_run-storyrun3_recording.nc")
    assert ds.sizes["repeat"] == 2


def test_the_planted_response_is_found_where_it_was_put(folder, out):
    truth = patch(folder, "fsaverage5")
    inside, outside = r_of(out, "02", truth[truth["patch"] == "temporal"]["target"])
    assert inside.mean() > 0.3 and abs(outside.mean()) < 0.02


def test_the_map_shows_the_patch_at_its_vertices_and_nowhere_else(folder, out):
    name = "sub-02_hemi-{}_space-fsaverage5_recording-fmri_desc-wordrate_stat-r_statmap.func.gii"
    left, right = (nib.load(out / "sub-02" / "func" / name.format(side)).darrays[0].data for side in "LR")
    truth = patch(folder, "fsaverage5")
    planted = {int(t[1:]) for t in truth[truth["patch"] == "temporal"]["target"]}
    highest = np.argsort(-np.nan_to_num(left, nan=-1))[: len(planted) // 2]
    assert np.mean([v in planted for v in highest]) > 0.95
    assert np.nanmax(right) < np.nanmean(left[sorted(planted)]) + 0.15 and len(left) == len(right) == 10242


def test_each_map_has_a_sidecar_that_says_what_it_is(out):
    found = sorted((out / "sub-01" / "func").glob("*.json"))
    told = [json.loads(path.read_text()) for path in found]
    assert {t["Model"] for t in told if "Model" in t} == {"wordrate", "length"}
    assert all(t["Space"] == "fsaverage5" and t["Sources"] for t in told)


def test_late_words_turn_the_page_red_and_name_the_run(out):
    late, well = ((out / f"sub-{s}.html").read_text() for s in ("01", "02"))
    assert "W-WORDS-10" in late and "run storyrun2 do not lie on one clock" in late
    assert "W-WORDS-10" not in well


def test_the_score_itself_peaks_where_the_blood_answers(out):
    lags = arrays.load_table(out / "sub-02" / "sub-02_recording-fmri_lags.tsv")
    best = lags.loc[lags["r"].idxmax()]
    assert 3 <= best["lag_s"] <= 8 and best["r"] > 0.3
    assert lags.loc[lags["lag_s"] < 0, "r"].max() < 0.6 * best["r"]


def test_the_page_tells_the_quality_of_the_runs(out):
    page = (out / "sub-01.html").read_text()
    assert "fMRIPrep" in page and "Data quality" in page and "not steady yet" in page


def test_a_second_run_finds_nothing_to_do(folder, out):
    assert brainalign("plan", "surface.yaml", cwd=folder).stdout.strip() == "nothing to do"


# ---- the other ways in


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "space"), [("volumes", "MNI152NLin2009cAsym"), ("grayordinates", "fsLR")], ids=["volumes", "CIFTI"]
)
def test_a_planted_response_is_found_in_every_space(tmp_path, name, space):
    folder = prepared(tmp_path, space)
    out = run(folder, name, f"derivatives: ds/derivatives/fmriprep, space: {space},")
    truth = patch(folder, space)
    inside, outside = r_of(out, "02", truth[truth["patch"] == "temporal"]["target"])
    assert inside.mean() > 0.25 and abs(outside.mean()) < 0.02
    assert "W-WORDS-10" in (out / "sub-01.html").read_text()


@pytest.mark.slow
def test_raw_images_go_the_whole_way(tmp_path):
    plan = PLAN | {"subjects": ("01",), "missing": (), "story_s": 260.0}
    simulate_raw(tmp_path / "ds", **plan)
    truth = patch(tmp_path, "", "ds/sourcedata/truth")
    out = run(with_targets(tmp_path, truth), "raw", "")
    for number in (1, 2, 3):
        ds = arrays.load(out / "sub-01" / f"sub-01_recording-fmri_run-storyrun{number}_recording.nc")
        planted = pd.read_csv(
            tmp_path / "ds" / "sourcedata" / "truth" / f"sub-01_task-story_run-{number}_motion.tsv", sep="\t"
        )
        wrong = ds["motion"].values[0] - planted.to_numpy()
        wrong -= np.median(wrong, axis=0)  # the reference lies where the head was on average
        assert np.abs(wrong).max() < 0.1, np.abs(wrong).max(axis=0)
    inside, outside = r_of(out, "01", truth[truth["patch"] == "temporal"]["target"])
    assert inside.mean() > 0.2 and abs(outside.mean()) < 0.02
    page = (out / "sub-01.html").read_text()
    assert "No slice-timing correction" in page and "fMRIPrep" in page and "W-WORDS-10" not in page
