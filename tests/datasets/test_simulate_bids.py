"""Simulated BIDS data sets show what their truth says, and the field's own readers read them."""

import hashlib
import json
from functools import cache
from typing import NamedTuple

import nibabel as nib
import numpy as np
import pandas as pd
import pytest
from nilearn.interfaces.fmriprep import load_confounds
from nilearn.signal import clean
from scipy.ndimage import affine_transform

from pipeline.datasets import simulate_confounds, simulate_heads, simulate_signals
from pipeline.datasets.simulate_bids import simulate_raw
from pipeline.datasets.simulate_derivatives import simulate_derivatives
from pipeline.datasets.simulate_stories import stream

pytestmark = pytest.mark.xdist_group("simulate_bids")  # one worker: the data sets in the fixtures are written once

PLAN = {
    "subjects": ("01", "02"),
    "stories": 2,
    "story_s": 120.0,
    "seed": 3,
    "missing": (("02", "1"), ("02", "3"), ("02", "4")),
}
DERIVED = {"stories": 1, "story_s": 240.0, "test_repeats": 1, "seed": 3}
TRUTH = "sourcedata/truth"
MNI = "space-MNI152NLin2009cAsym_res-2_desc-preproc_bold.nii.gz"


@pytest.fixture(scope="module")
def raw(tmp_path_factory):
    folder = tmp_path_factory.mktemp("raw")
    simulate_raw(folder, **PLAN, shift_words_s={"run-2": 20.0})
    return folder


@pytest.fixture(scope="module")
def derived(tmp_path_factory):
    folder = tmp_path_factory.mktemp("derived")
    simulate_derivatives(folder, **DERIVED)
    return folder


@pytest.fixture(scope="module")
def sessions(tmp_path_factory):
    """Words and truth alone, in two sessions."""
    folder = tmp_path_factory.mktemp("sessions")
    simulate_raw(folder, **PLAN | {"missing": ()}, sessions=True, images=False)
    return folder


def table(path):
    return pd.read_csv(path, sep="\t", dtype={"subject": str, "session": str}, na_values=["n/a"], keep_default_na=False)


def func(folder, name, subject="01"):
    return folder / f"sub-{subject}" / "func" / f"sub-{subject}_task-story_{name}"


def words(folder, run):
    events = table(func(folder, f"run-{run}_events.tsv"))
    return events[events["trial_type"] == "word"]


def truth(folder, name):
    return table(folder / TRUTH / name)


def voxels(path, targets):
    index = targets.str[1:].str.split("x", expand=True).astype(int).to_numpy()
    return loaded(path)[tuple(index.T)].T


@cache
def loaded(path):
    return nib.load(path).get_fdata(dtype=np.float32)


def cleaned(series, **options):
    return clean(np.asarray(series), detrend=True, standardize="zscore_sample", **options)


def correlation(series, predicted):
    return (cleaned(series, high_pass=0.008, t_r=2.0) * cleaned(predicted, high_pass=0.008, t_r=2.0)).mean(axis=0)


def patch_mean(folder, run, patch):
    patches = truth(folder, "sub-01_patch.tsv").query("patch == @patch")
    return voxels(func(folder, f"run-{run}_bold.nii.gz"), patches["target"]).mean(axis=1, keepdims=True)


def differs(scanned, volume, matrix):
    """SD inside the head between the first volume and another, resampled to where the head was in the first."""
    index = np.linalg.inv(scanned.affine) @ matrix @ scanned.affine
    back = affine_transform(scanned.data[..., volume], index[:3, :3], index[:3, 3])
    return (back - scanned.data[..., 0])[scanned.data[..., 0] > 700].std()


def contents(folder):
    files = [path for path in folder.rglob("*") if path.is_file() and ".records" not in path.parts]
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


class Scanned(NamedTuple):
    """One raw run and its truth."""

    data: np.ndarray
    affine: np.ndarray
    middle: np.ndarray  # mm
    motion: np.ndarray


@pytest.fixture(scope="module")
def scanned(raw):
    image = nib.load(func(raw, "run-1_bold.nii.gz"))
    middle = nib.affines.apply_affine(image.affine, (np.array(image.shape[:3]) - 1) / 2)
    motion = truth(raw, "sub-01_task-story_run-1_motion.tsv").to_numpy()
    return Scanned(loaded(func(raw, "run-1_bold.nii.gz")), image.affine, middle, motion)


# the raw form


def test_every_run_that_exists_has_an_image_and_events_and_no_other_has(raw):
    found = sorted(path.name for path in raw.rglob("func/*") if path.is_file())
    runs = [("01", run) for run in (1, 2, 3, 4)] + [("02", 2)]
    assert found == sorted(
        f"sub-{s}_task-story_run-{r}_{end}" for s, r in runs for end in ("bold.nii.gz", "events.tsv")
    )
    rows = truth(raw, "runs.tsv")
    assert list(zip(rows["subject"], rows["run"], strict=True)) == runs


def test_raw_images_are_of_16_bit_with_a_slope_and_the_tr_of_the_inherited_sidecar(raw):
    image = nib.load(func(raw, "run-1_bold.nii.gz"))
    tr_s = json.loads((raw / "task-story_bold.json").read_text())["RepetitionTime"]
    assert image.shape == (40, 48, 40, 60) and image.get_data_dtype() == np.int16
    assert image.dataobj.slope == 4 and image.header.get_zooms()[3] == tr_s == 2
    assert image.header.get_xyzt_units() == ("mm", "sec")


def test_moving_the_head_back_finds_the_first_volume_again(scanned):
    """What remains is the noise of two images, less what interpolation takes of one; the other way round is worse."""
    farthest = int(np.abs(scanned.motion).sum(axis=1).argmax())
    matrix = simulate_heads.pose(scanned.motion[farthest], scanned.middle)
    assert differs(scanned, farthest, matrix) < 40
    assert differs(scanned, farthest, np.eye(4)) > 1.5 * differs(scanned, farthest, matrix)
    assert differs(scanned, farthest, np.linalg.inv(matrix)) > 2 * differs(scanned, farthest, matrix)


@pytest.mark.parametrize("axis", range(6), ids=simulate_heads.AXES)
def test_half_a_mm_or_degree_from_the_true_motion_is_farther_from_the_first_volume(scanned, axis):
    off = 0.5 * np.eye(6)[axis]
    error = [
        differs(scanned, 40, simulate_heads.pose(scanned.motion[40] + by, scanned.middle)) for by in (-off, 0, off)
    ]
    assert error[1] < min(error[0], error[2])


def test_dipy_finds_the_motion_within_a_tenth_of_a_mm_and_a_degree(scanned):
    from dipy.align import affine_registration
    from scipy.spatial.transform import Rotation

    both = {"moving_affine": scanned.affine, "static_affine": scanned.affine, "pipeline": ["translation", "rigid"]}
    _, found = affine_registration(scanned.data[..., 50], scanned.data[..., 0], **both)
    shift = found[:3, 3] + found[:3, :3] @ scanned.middle - scanned.middle
    angles = Rotation.from_matrix(found[:3, :3]).as_euler("xyz", degrees=True)
    assert np.abs(scanned.motion[50]).max() > 0.3
    assert np.r_[shift, angles] == pytest.approx(scanned.motion[50], abs=0.1)


def test_motion_starts_at_nothing_and_stays_within_a_mm_and_a_half(raw):
    for path in (raw / TRUTH).glob("*_motion.tsv"):
        motion = table(path)
        assert list(motion.columns) == list(simulate_heads.AXES)
        assert (motion.iloc[0] == 0).all() and 0.5 <= motion.abs().to_numpy().max() <= 1.5


def test_a_pose_turns_about_the_middle_by_the_right_hand_rule():
    x, y, z = about = np.array([10.0, 20.0, 30.0])
    matrix = simulate_heads.pose(np.array([1.0, 2.0, 3.0, 0.0, 0.0, 90.0]), about)
    assert nib.affines.apply_affine(matrix, about) == pytest.approx([x + 1, y + 2, z + 3])
    assert nib.affines.apply_affine(matrix, [x + 5, y, z]) == pytest.approx([x + 1, y + 7, z + 3])


@pytest.mark.parametrize("patch", simulate_heads.PATCHES)
def test_the_patch_follows_its_predicted_response_and_its_mirror_image_does_not(raw, patch):
    """`mirrored` lies as far to the right as the patch lies to the left."""
    response = truth(raw, "sub-01_task-story_run-3_response.tsv")[[patch]]
    patches = truth(raw, "sub-01_patch.tsv").query("patch == @patch")
    x = patches["target"].str[1:].str.split("x", expand=True).astype(int)
    mirrored = "v" + (39 - x[0]).astype(str) + "x" + x[1].astype(str) + "x" + x[2].astype(str)
    elsewhere = voxels(func(raw, "run-3_bold.nii.gz"), mirrored).mean(axis=1, keepdims=True)
    assert correlation(patch_mean(raw, 3, patch), response) > 0.75
    assert abs(correlation(elsewhere, response)) < 0.4


def test_patches_lie_where_they_were_put_in_the_template(raw):
    placed = np.vstack([truth(raw, "sub-01_placement.tsv").to_numpy(), [0, 0, 0, 1]])
    patches = truth(raw, "sub-01_patch.tsv")
    in_template = nib.affines.apply_affine(np.linalg.inv(placed), patches[["x", "y", "z"]])
    image = nib.load(func(raw, "run-1_bold.nii.gz"))
    index = patches["target"].str[1:].str.split("x", expand=True).astype(int)
    assert nib.affines.apply_affine(image.affine, index) == pytest.approx(patches[["x", "y", "z"]].to_numpy())
    for patch, (centre, radius) in simulate_heads.PATCHES.items():
        distance = np.linalg.norm(in_template[patches["patch"] == patch] - centre, axis=1)
        assert len(distance) > 40 and distance.max() < radius + 2


def test_the_placement_lays_the_template_onto_the_first_volume(raw):
    """Voxels of the image are bright where the template has brain, and dark elsewhere."""
    from nilearn.datasets import load_mni152_brain_mask
    from scipy.ndimage import map_coordinates

    image, mask = nib.load(func(raw, "run-1_bold.nii.gz")), load_mni152_brain_mask(resolution=4)
    placed = np.vstack([truth(raw, "sub-01_placement.tsv").to_numpy(), [0, 0, 0, 1]])
    index = np.linalg.inv(mask.affine) @ np.linalg.inv(placed) @ image.affine
    where = index[:3, :3] @ np.indices(image.shape[:3]).reshape(3, -1) + index[:3, 3:]
    expected = map_coordinates(mask.get_fdata(), where, order=1).reshape(image.shape[:3]) > 0.5
    bright = loaded(func(raw, "run-1_bold.nii.gz"))[..., 0] > 400
    assert 2 * (bright & expected).sum() / (bright.sum() + expected.sum()) > 0.95


# words


def test_words_of_one_run_alone_are_late_by_what_was_asked(raw, sessions):
    on_time = [table(path)["onset"] for path in sorted((sessions / "sub-01").rglob("*_events.tsv"))]
    asked = [table(func(raw, f"run-{run}_events.tsv"))["onset"] for run in (1, 2, 3, 4)]
    for run, (there, here) in enumerate(zip(on_time, asked, strict=True), 1):
        kept = there[: len(here)]
        assert np.allclose(here - kept, 20 if run == 2 else 0)
        assert len(here) == (there + (20 if run == 2 else 0) < PLAN["story_s"]).sum()
    assert truth(raw, "runs.tsv").query("subject == '01'")["shift_s"].tolist() == [0, 20, 0, 0]


def test_events_hold_words_and_rows_of_another_type_without_one(raw):
    events = table(func(raw, "run-1_events.tsv"))
    assert list(events.columns) == ["onset", "duration", "trial_type", "word"]
    assert events["trial_type"].value_counts()["story"] == 1 and len(events) > 200
    assert events["word"].isna().tolist() == (events["trial_type"] == "story").tolist()
    assert events["onset"].is_monotonic_increasing


def test_the_test_story_is_told_again_and_no_other(raw):
    texts = [" ".join(words(raw, run)["word"]) for run in (1, 2, 3, 4)]
    assert texts[2] == texts[3] and len(set(texts)) == 3
    assert truth(raw, "runs.tsv").query("subject == '01'")["repeat"].tolist() == [1, 1, 1, 2]


@pytest.mark.parametrize(("run", "late_s"), [(3, 0), (2, 20)])
def test_the_patch_answers_five_seconds_after_the_words_and_earlier_where_they_are_late(raw, run, late_s):
    """Where events are 20 s late, the brain seems to answer 15 s ahead of them."""
    onsets = words(raw, run)["onset"]
    heard = cleaned(np.histogram(onsets, np.arange(61) * 2.0)[0][:, None].astype(float))[:, 0]
    shown = cleaned(patch_mean(raw, run, "temporal"), high_pass=0.008, t_r=2.0)[:, 0]
    lags = np.arange(-12, 13)  # volumes
    match = [np.mean(np.roll(heard, lag)[12:-12] * shown[12:-12]) for lag in lags]
    assert 3 <= lags[int(np.argmax(match))] * 2 + late_s <= 8


def test_sessions_part_the_runs_and_their_folders(sessions):
    rows = truth(sessions, "runs.tsv").query("subject == '02'")
    assert rows["session"].tolist() == ["01", "01", "02", "02"] and rows["run"].tolist() == [1, 2, 3, 4]
    assert (sessions / "sub-02/ses-02/func/sub-02_ses-02_task-story_run-4_events.tsv").is_file()


def test_without_images_words_and_truth_are_the_same(raw, sessions):
    assert not list(sessions.rglob("*.nii.gz"))
    together = truth(sessions, "sub-01_ses-01_task-story_run-1_motion.tsv")
    assert together.equals(truth(raw, "sub-01_task-story_run-1_motion.tsv"))


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        ({"missing": (("01", "9"),)}, "would not be there anyway"),
        ({"missing": (("7", "1"),)}, "would not be there anyway"),
        ({"shift_words_s": {"run-9": 2.0}}, r"\['9'\] cannot be shifted"),
        ({"stories": 0}, "at least one of each"),
    ],
)
def test_a_plan_that_cannot_be_is_refused(tmp_path, wrong, told):
    with pytest.raises(ValueError, match=told):
        simulate_raw(tmp_path, images=False, **wrong)


def test_an_unknown_space_is_refused(tmp_path):
    with pytest.raises(ValueError, match="'T1w'"):
        simulate_derivatives(tmp_path, spaces=("T1w",))


# the derivatives


def test_both_forms_tell_of_the_same_runs_and_the_same_motion(derived, tmp_path):
    simulate_raw(tmp_path, **DERIVED, images=False)
    assert truth(tmp_path, "runs.tsv").equals(truth(derived, "runs.tsv"))
    for run in (1, 2):
        name = f"sub-01_task-story_run-{run}_motion.tsv"
        assert truth(tmp_path, name).equals(truth(derived, name))


def test_derived_volumes_are_taken_half_a_tr_later(derived, tmp_path):
    """The same answer on a grid one second later: between two raw volumes lies one of the derivatives."""
    simulate_raw(tmp_path, **DERIVED, images=False)
    name = "sub-01_task-story_run-1_response.tsv"
    early, late = truth(tmp_path, name)["temporal"].to_numpy(), truth(derived, name)["temporal"].to_numpy()
    between = (early[1:] + early[:-1]) / 2
    assert np.corrcoef(between, late[:-1])[0, 1] > 0.98 > np.corrcoef(early[:-1], late[:-1])[0, 1]
    told = json.loads(func(derived, f"run-1_{MNI.replace('.nii.gz', '.json')}").read_text())
    assert (told["RepetitionTime"], told["StartTime"], told["SliceTimingCorrected"]) == (2.0, 1.0, True)


def test_a_run_that_is_missing_is_missing_in_both_forms(raw, tmp_path):
    simulate_derivatives(tmp_path, **PLAN, spaces=("fsLR",))
    columns = ["subject", "session", "run", "story", "repeat"]
    assert truth(raw, "runs.tsv")[columns].equals(truth(tmp_path, "runs.tsv")[columns])
    found = sorted(path.name.split("_space")[0] for path in tmp_path.rglob("*.dtseries.nii"))
    assert found == [path.name.removesuffix("_bold.nii.gz") for path in sorted(raw.rglob("*_bold.nii.gz"))]


STRATEGIES = {
    ("motion",): 24,
    ("wm_csf",): 2,
    ("high_pass",): 3,
    ("high_pass", "compcor"): 3 + 2,
    ("motion", "scrub"): 24,
    ("high_pass", "non_steady_state"): 3,
}


@pytest.mark.filterwarnings("ignore:Non-steady-state")
@pytest.mark.parametrize("strategy", STRATEGIES)
def test_nilearn_reads_the_confounds_of_every_image(derived, strategy):
    surfaces = [str(func(derived, f"run-1_hemi-{side}_space-fsaverage5_bold.func.gii")) for side in "LR"]
    cifti = str(func(derived, "run-1_space-fsLR_den-91k_bold.dtseries.nii"))
    for image in (str(func(derived, f"run-1_{MNI}")), surfaces, cifti):
        columns, kept = load_confounds(image, strategy=strategy)
        assert len(columns) == 120 and columns.shape[1] >= STRATEGIES[strategy]
        assert columns.notna().all(axis=None) and 0 not in kept
        assert (len(kept) < 119) == ("scrub" in strategy)


def score(derived, patch, run, strategy):
    """Mean correlation of a patch's voxels with what was planted, both cleaned of the columns."""
    path = func(derived, f"run-{run}_{MNI}")
    planted = truth(derived, "sub-01_space-MNI152NLin2009cAsym_patch.tsv").query("patch == @patch")
    columns, kept = load_confounds(str(path), strategy=strategy, motion="basic")
    options = {"confounds": columns, "sample_mask": kept}
    response = cleaned(truth(derived, f"sub-01_task-story_run-{run}_response.tsv")[[patch]], **options)
    return np.mean(cleaned(voxels(path, planted["target"]), **options) * response)


@pytest.mark.parametrize("patch", simulate_heads.PATCHES)
def test_each_further_group_of_confounds_brings_the_planted_response_out(derived, patch):
    groups = [
        ("high_pass",),
        ("motion", "high_pass"),
        ("motion", "wm_csf", "high_pass"),
        ("motion", "high_pass", "compcor"),
    ]
    scores = [np.mean([score(derived, patch, run, group) for run in (1, 2)]) for group in groups]
    assert scores[0] < scores[1] < min(scores[2:]) and scores[2] > scores[0] + 0.05


def test_signal_has_the_promised_share_of_the_variance_once_the_traces_are_gone(derived):
    """In the test story: by how much the response goes up in each voxel, and what neither it nor the traces explain."""
    motion = truth(derived, "sub-01_task-story_run-2_motion.tsv").to_numpy()
    by = simulate_confounds.disturbance(stream(3, "disturbance", "01", "2"), motion)
    response = truth(derived, "sub-01_task-story_run-2_response.tsv")[["temporal"]].to_numpy()
    planted = truth(derived, "sub-01_space-MNI152NLin2009cAsym_patch.tsv").query("patch == 'temporal'")
    series = voxels(func(derived, f"run-2_{MNI}"), planted["target"])
    # filtered alike, so what is left of the slow waves costs nothing
    matrix = simulate_signals.cleaning(120, 2.0, 0.008)
    X = matrix @ np.column_stack([response, np.eye(120)[0], by.motion, by.physiology])
    weights, rest, _, _ = np.linalg.lstsq(X, matrix @ series, rcond=None)
    signal, left = (X[:, 0] ** 2).sum() * weights[0] ** 2, rest / (1 - X.shape[1] / np.linalg.matrix_rank(matrix))
    assert np.mean(signal / (signal + left)) == pytest.approx(planted["signal_share"].mean(), abs=0.05)


def test_the_table_of_confounds_says_what_the_head_did(derived):
    columns = table(func(derived, "run-1_desc-confounds_timeseries.tsv"))
    motion = truth(derived, "sub-01_task-story_run-1_motion.tsv")
    assert columns["trans_y"].to_numpy() == pytest.approx(motion["trans_y"].to_numpy(), abs=1e-6)
    assert np.degrees(columns["rot_x"]).to_numpy() == pytest.approx(motion["rot_x"].to_numpy(), abs=1e-5)
    change = motion.diff().abs().to_numpy()[1:] @ np.r_[np.ones(3), np.full(3, 50 * np.pi / 180)]
    assert columns["framewise_displacement"].to_numpy()[1:] == pytest.approx(change, abs=1e-5)
    assert columns.loc[0, columns.isna().any()].isna().all() and columns[1:].notna().all(axis=None)
    over = (columns["framewise_displacement"] > 0.5) | (columns["std_dvars"] > 1.5)
    assert columns.filter(like="motion_outlier").sum(axis=1).tolist() == over.astype(float).tolist()


def test_components_are_orthonormal_and_explain_half_of_their_tissue(derived):
    path = func(derived, "run-1_desc-confounds_timeseries.tsv")
    told = json.loads(path.with_suffix(".json").read_text())
    for prefix, mask in (("a", "combined"), ("c", "CSF"), ("w", "WM")):
        components = table(path).filter(regex=f"^{prefix}_comp_cor_").to_numpy()
        meta = [told[f"{prefix}_comp_cor_{k:02d}"] for k in range(components.shape[1])]
        assert components.T @ components == pytest.approx(np.eye(len(meta)), abs=1e-5)
        assert {each["Mask"] for each in meta} == {mask}
        assert meta[-1]["CumulativeVarianceExplained"] >= 0.5 > sum(each["VarianceExplained"] for each in meta[:-1])


def test_a_patch_of_vertices_answers_on_the_left_and_the_right_is_noise(derived):
    patches = truth(derived, "sub-01_space-fsaverage5_patch.tsv")
    response = truth(derived, "sub-01_task-story_run-2_response.tsv")["temporal"].to_numpy()
    assert set(patches["target"].str[0]) == {"L"}
    series = {s: nib.load(func(derived, f"run-2_hemi-{s}_space-fsaverage5_bold.func.gii")).agg_data() for s in "LR"}
    vertices = patches.query("patch == 'temporal'")["target"].str[1:].astype(int)
    columns, _ = load_confounds(str(func(derived, f"run-2_{MNI}")), ("motion", "wm_csf", "high_pass"), motion="basic")
    found = {s: np.nanmean(series[s][vertices], axis=0) for s in "LR"}
    kept = {s: cleaned(found[s][1:, None], confounds=columns[1:])[:, 0] for s in "LR"}
    assert np.corrcoef(kept["L"], response[1:])[0, 1] > 0.8
    assert abs(np.corrcoef(kept["R"], response[1:])[0, 1]) < 0.4


def test_surfaces_have_all_vertices_of_fsaverage5_and_nothing_on_the_medial_wall(derived):
    from nilearn.datasets import load_fsaverage

    for side, name in (("L", "left"), ("R", "right")):
        image = nib.load(func(derived, f"run-1_hemi-{side}_space-fsaverage5_bold.func.gii"))
        series, mesh = image.agg_data(), load_fsaverage("fsaverage5")["pial"].parts[name].coordinates
        empty = np.isnan(series).all(axis=1)
        assert series.shape == (10242, 120) and 100 < empty.sum() < 1000
        assert np.isnan(series).any(axis=1).tolist() == empty.tolist()
        assert np.median(np.abs(mesh[empty, 0])) < 10 < np.median(np.abs(mesh[~empty, 0]))
        assert {array.intent for array in image.darrays} == {2001}  # time series
        assert image.meta["AnatomicalStructurePrimary"] == f"Cortex{name.title()}"


def test_cifti_names_its_structures_and_its_times(derived):
    image = nib.load(func(derived, "run-1_space-fsLR_den-91k_bold.dtseries.nii"))
    series, places = image.header.get_axis(0), image.header.get_axis(1)
    assert (series.start, series.step, series.unit, series.size) == (1.0, 2.0, "SECOND", 120)
    names = [str(name).removeprefix("CIFTI_STRUCTURE_") for name, _, _ in places.iter_structures()]
    assert names == ["CORTEX_LEFT", "CORTEX_RIGHT", "THALAMUS_LEFT", "THALAMUS_RIGHT"]
    assert set(places.nvertices.values()) == {32492} and image.shape == (120, len(places))
    mm = nib.affines.apply_affine(places.affine, places.voxel[places.name == "CIFTI_STRUCTURE_THALAMUS_LEFT"])
    assert mm[:, 0].max() < 0 and np.isfinite(image.get_fdata()).all()


def test_the_patch_of_cifti_answers_at_its_vertices(derived):
    image = nib.load(func(derived, "run-2_space-fsLR_den-91k_bold.dtseries.nii"))
    places, patches = image.header.get_axis(1), truth(derived, "sub-01_space-fsLR_patch.tsv")
    left = places.name == "CIFTI_STRUCTURE_CORTEX_LEFT"
    planted = np.isin(places.vertex, patches.query("patch == 'temporal'")["target"].str[1:].astype(int)) & left
    response = truth(derived, "sub-01_task-story_run-2_response.tsv")["temporal"].to_numpy()[1:]
    columns, _ = load_confounds(str(func(derived, f"run-2_{MNI}")), ("motion", "wm_csf", "high_pass"), motion="basic")
    series = cleaned(image.get_fdata()[1:], confounds=columns[1:])
    scores = np.mean(series * cleaned(response[:, None]), axis=0)
    assert planted.sum() == 40
    assert scores[planted].mean() > 0.45 > 0.1 > abs(scores[~planted].mean())


def test_the_mask_covers_the_brain_and_the_image_is_empty_outside(derived):
    data = loaded(func(derived, f"run-1_{MNI}"))
    mask = nib.load(func(derived, f"run-1_{MNI}".replace("desc-preproc_bold", "desc-brain_mask"))).get_fdata() > 0
    assert np.array_equal(data.any(axis=-1), mask)
    assert mask.sum() * 64 / 1e6 == pytest.approx(1.8, abs=0.2)  # litres


def test_the_description_names_fmriprep_and_says_that_it_did_not_run(derived):
    told = json.loads((derived / "dataset_description.json").read_text())
    assert told["DatasetType"] == "derivative"
    assert told["GeneratedBy"][0]["Name"] == "fMRIPrep" and "simulated" in told["GeneratedBy"][0]["Description"]


def test_the_first_volume_is_not_in_its_steady_state(derived):
    mean = loaded(func(derived, f"run-1_{MNI}")).mean(axis=(0, 1, 2))
    assert mean[0] > 1.1 * mean[1:].max()
    assert table(func(derived, "run-1_desc-confounds_timeseries.tsv"))["non_steady_state_outlier00"].sum() == 1


def test_the_same_seed_writes_the_same_bytes_and_another_subject_changes_none(tmp_path):
    short = {"stories": 1, "story_s": 66.0, "test_repeats": 1, "seed": 3}
    simulate_raw(tmp_path / "raw_a", **short, subjects=("02",))
    simulate_raw(tmp_path / "raw_b", **short, subjects=("05", "02"), images=False)
    simulate_raw(tmp_path / "raw_c", **short, subjects=("02",))
    spaces = ("MNI152NLin2009cAsym", "fsLR")
    simulate_derivatives(tmp_path / "a", **short, subjects=("02",), spaces=spaces)
    simulate_derivatives(tmp_path / "b", **short, subjects=("05", "02"), spaces=spaces)
    raw, derived = contents(tmp_path / "raw_a"), contents(tmp_path / "a")
    assert raw == contents(tmp_path / "raw_c")
    for before, after in ((raw, contents(tmp_path / "raw_b")), (derived, contents(tmp_path / "b"))):
        shared = [name for name in before if "sub-02" in name and name in after]
        assert len(shared) > 6 and all(before[name] == after[name] for name in shared)


def test_the_blood_of_every_patch_is_slow_by_five_seconds():
    assert simulate_signals.hrf(np.array([6.0]))[:, 0].argmax() * 0.1 == pytest.approx(5, abs=0.2)
