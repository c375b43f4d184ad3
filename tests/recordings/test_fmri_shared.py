"""`kind: fmri` over several runs: one mask for all, confounds, censoring, parcels, and when a volume was measured."""

import json
from pathlib import Path

import nibabel as nib
import numpy as np
import pandas as pd
import pytest
from nilearn.signal import clean as nilearn_clean

from pipeline.encoding import designs, gather
from pipeline.problems import Problem, StudyError
from pipeline.recordings.fmri import Fmri
from pipeline.recordings.recorded import recorded, space_of
from pipeline.runs import Run

SHAPE, N, TR = (6, 6, 5), 60, 2.0
AFFINE = np.diag([3.0, 3.0, 3.0, 1.0])
MOTION = ["trans_x", "trans_y", "trans_z", "rot_x", "rot_y", "rot_z"]


def save(path: Path, data: np.ndarray, affine: np.ndarray = AFFINE) -> None:
    image = nib.Nifti1Image(data, affine)
    if data.ndim == 4:
        image.header.set_zooms((*image.header.get_zooms()[:3], TR))
    nib.save(image, path)


def box(*slices: slice) -> np.ndarray:
    mask = np.zeros(SHAPE, np.uint8)
    mask[slices] = 1
    return mask


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Two runs, each with a mask of its own that the other's overlaps, and a table of confounds."""
    for seed, run in enumerate("ab"):
        rng = np.random.default_rng(seed)
        table = pd.DataFrame(rng.normal(size=(N, 6)), columns=MOTION)
        table[MOTION[3:]] /= 100
        table["framewise_displacement"], table["std_dvars"] = 0.1, 1.0
        data = 1000 + 10 * rng.normal(size=(*SHAPE, N)) + 30 * table["trans_y"].to_numpy()
        save(tmp_path / f"{run}.nii.gz", data.astype(np.float32))
        table.to_csv(tmp_path / f"{run}_confounds.tsv", sep="\t", index=False)
    save(tmp_path / "mask_a.nii.gz", box(slice(1, 5), slice(1, 5), slice(1, 4)))
    save(tmp_path / "mask_b.nii.gz", box(slice(2, 6), slice(1, 5), slice(1, 4)))
    return tmp_path


def run_of(name: str = "a", confounds: bool = True, mask: str = "", **other: object) -> Run:
    table = (f"{name}_confounds.tsv",) if confounds else ()
    return Run(
        "01", name, "fmri", (f"{name}.nii.gz",), "w.tsv", mask=mask or f"mask_{name}.nii.gz", confounds=table, **other
    )


def refused(call) -> Problem:
    with pytest.raises(StudyError) as told:
        call()
    (problem,) = told.value.problems
    assert problem.level == "error" and problem.subject == "01" and problem.fix
    return problem


BASIC = Fmri(confounds=("motion",), motion="basic")


# ---- what the runs of a person share


def test_targets_are_the_voxels_that_every_runs_mask_holds(folder):
    runs = [run_of("a"), run_of("b")]
    shared = BASIC.prepare(runs, folder)
    found = [BASIC.clean(run, folder, (), shared) for run in runs]
    assert found[0].targets == found[1].targets
    assert len(found[0].targets) == 3 * 4 * 3 and all(t.startswith(("v2x", "v3x", "v4x")) for t in found[0].targets)
    (told,) = [w for w in found[0].warnings if w.code == "W-FMRI-17"]
    assert "24 voxels are in some masks and not in all; 36" in told.found


def test_a_mask_in_the_settings_wins_over_those_of_the_runs(folder):
    save(folder / "language.nii.gz", box(slice(0, 2), slice(0, 2), slice(0, 2)))
    found = BASIC.model_copy(update={"mask": "language.nii.gz"}).clean(run_of(), folder, ())
    assert len(found.targets) == 8


def test_masks_without_a_common_voxel_are_refused_with_their_names(folder):
    save(folder / "mask_b.nii.gz", box(slice(5, 6), slice(5, 6), slice(4, 5)))
    problem = refused(lambda: BASIC.prepare([run_of("a"), run_of("b")], folder))
    assert problem.code == "E-FMRI-07" and "mask_a.nii.gz" in problem.file and "mask_b.nii.gz" in problem.file


def test_a_run_that_lies_elsewhere_is_named_with_both_grids(folder):
    moved = AFFINE.copy()
    moved[0, 3] = 30
    save(folder / "b.nii.gz", np.ones((*SHAPE, N), np.float32), moved)
    save(folder / "c.nii.gz", np.ones((*SHAPE, N), np.float32))
    problem = refused(lambda: BASIC.prepare([run_of("a"), run_of("b"), run_of("c", mask="mask_a.nii.gz")], folder))
    assert (problem.code, problem.file) == ("E-FMRI-09", "b.nii.gz")
    assert "from [30.0, 0.0, 0.0]" in problem.found and "from [0.0, 0.0, 0.0]" in problem.expected


def test_a_mask_on_other_voxels_is_resampled_only_if_permitted(folder):
    coarse = nib.Nifti1Image(np.ones((4, 4, 4), np.uint8), np.diag([6.0, 6.0, 6.0, 1.0]))
    nib.save(coarse, folder / "coarse.nii.gz")
    settings = BASIC.model_copy(update={"mask": "coarse.nii.gz"})
    problem = refused(lambda: settings.clean(run_of(), folder, ()))
    assert problem.code == "E-FMRI-08" and "resample_mask: true" in problem.fix
    found = settings.model_copy(update={"resample_mask": True}).clean(run_of(), folder, ())
    assert len(found.targets) == 6 * 6 * 5


def test_a_mask_beside_the_image_is_told_with_both_places(folder):
    far = nib.Nifti1Image(
        np.ones((3, 3, 3), np.uint8), np.array([[3, 0, 0, 500], [0, 3, 0, 0], [0, 0, 3, 0], [0, 0, 0, 1.0]])
    )
    nib.save(far, folder / "far.nii.gz")
    settings = Fmri(mask="far.nii.gz", resample_mask=True, confounds=())
    problem = refused(lambda: settings.clean(run_of(), folder, ()))
    assert problem.code == "E-FMRI-07" and "500.0" in problem.found and "do not overlap" in problem.summary


# ---- confounds and volumes that are left out


def test_confounds_leave_in_the_same_step_as_drifts(folder):
    found = BASIC.clean(run_of(), folder, ())
    inside = nib.load(folder / "mask_a.nii.gz").get_fdata() > 0
    table = pd.read_csv(folder / "a_confounds.tsv", sep="\t")[MOTION].to_numpy()
    wanted = nilearn_clean(
        nib.load(folder / "a.nii.gz").get_fdata()[inside].T, confounds=table, detrend=True, standardize="zscore_sample",
        high_pass=0.008, t_r=TR, filter="cosine",
    )  # fmt: skip
    np.testing.assert_allclose(found.responses[0], wanted, atol=1e-5)
    untouched = BASIC.clean(run_of(confounds=False), folder, ())
    driven = [abs(np.corrcoef(r.responses[0].mean(axis=1), table[:, 1])[0, 1]) for r in (found, untouched)]
    assert driven[0] < 0.05 and driven[1] > 0.9


def test_the_order_in_which_targets_are_cleaned_is_of_no_consequence(folder, monkeypatch):
    from pipeline.recordings import cleaning

    whole = BASIC.clean(run_of(), folder, ()).responses
    monkeypatch.setattr(cleaning, "_CELLS", 7 * N)
    np.testing.assert_allclose(BASIC.clean(run_of(), folder, ()).responses, whole, atol=1e-5)


def jump(folder: Path, *volumes: int) -> None:
    table = pd.read_csv(folder / "a_confounds.tsv", sep="\t")
    table.loc[list(volumes), "framewise_displacement"] = 3.0
    table.to_csv(folder / "a_confounds.tsv", sep="\t", index=False)


SCRUB = Fmri(confounds=("motion", "scrub"), motion="basic", shortest_stretch=0)


def test_a_scrubbed_volume_moves_no_other_and_is_no_sample(folder):
    jump(folder, 20, 21)
    before = recorded(SCRUB.clean(run_of(), folder, ()), run_of())
    image = nib.load(folder / "a.nii.gz")
    data = np.asarray(image.dataobj).copy()
    data[..., 20:22] += 5000
    save(folder / "a.nii.gz", data)
    after = recorded(SCRUB.clean(run_of(), folder, ()), run_of())
    np.testing.assert_allclose(after["responses"], before["responses"], atol=1e-5)
    samples = gather({"a": after}, {"a": ""}, (0.0, 0.0))
    assert len(samples.run) == N - 2 and 20 not in samples.kept["a"] and 21 not in samples.kept["a"]
    told = [w for w in SCRUB.clean(run_of(), folder, ()).warnings if w.code == "W-FMRI-42"]
    assert "2 head moved" in told[0].found


def test_features_are_delayed_before_volumes_are_left_out(folder):
    import xarray as xr

    jump(folder, 20)
    ds = recorded(SCRUB.clean(run_of(), folder, ()), run_of())
    values = np.random.default_rng(0).normal(size=(30, 1, 2)).astype(np.float32)
    words = xr.Dataset(
        {"activations": (("word", "layer", "feature"), values)}, coords={"onset": ("word", np.arange(30) * 4.0 + 0.1)}
    )
    words.attrs.update(sampled="event", private=0)
    settings = SCRUB.model_copy(update={"how": "sum", "delays": (1,)})
    X = next(designs(settings, {"a": words}, {"a": ds}, gather({"a": ds}, {"a": ""}, (0.0, 0.0))))
    whole = settings.design(values[:, 0].astype(float), np.arange(30) * 4.0 + 0.1, ds["time"].values)
    np.testing.assert_allclose(X, np.delete(whole, 20, axis=0))


def test_a_run_of_which_most_is_left_out_is_refused(folder):
    jump(folder, *range(10, 45))
    assert refused(lambda: SCRUB.header(run_of(), folder)).code == "E-FMRI-42"
    assert refused(lambda: SCRUB.clean(run_of(), folder, ())).code == "E-FMRI-42"


def test_more_confounds_than_a_run_can_bear_are_refused(folder):
    table = pd.read_csv(folder / "a_confounds.tsv", sep="\t")
    for i in range(60):
        table[f"a_comp_cor_{i:02d}"] = np.random.default_rng(i).normal(size=N)
    table["cosine00"] = 0.0
    table.to_csv(folder / "a_confounds.tsv", sep="\t", index=False)
    about = {f"a_comp_cor_{i:02d}": {"Mask": "combined", "Retained": True, "Method": "aCompCor"} for i in range(60)}
    (folder / "a_confounds.json").write_text(json.dumps(about))
    problem = refused(lambda: Fmri(confounds=("compcor",), n_compcor=60).clean(run_of(), folder, ()))
    assert problem.code == "E-FMRI-41" and "60 confounds" in problem.found


def test_the_header_already_tells_of_confounds_of_another_length(folder):
    pd.read_csv(folder / "a_confounds.tsv", sep="\t").iloc[:-2].to_csv(
        folder / "a_confounds.tsv", sep="\t", index=False
    )
    assert refused(lambda: BASIC.header(run_of(), folder)).code == "E-FMRI-12"


# ---- parcels, clocks, quality


def test_parcels_are_the_means_of_their_voxels(folder):
    labels = np.zeros(SHAPE, np.int16)
    labels[1:3, 1:5, 1:4], labels[3:5, 1:5, 1:4] = 1, 2
    save(folder / "atlas.nii.gz", labels)
    settings = Fmri(parcels="atlas.nii.gz", confounds=())
    found = settings.clean(run_of(), folder, ())
    data = nib.load(folder / "a.nii.gz").get_fdata()
    wanted = nilearn_clean(
        np.stack([data[labels == 1].mean(axis=0), data[labels == 2].mean(axis=0)], axis=1), detrend=True,
        standardize="zscore_sample", high_pass=0.008, t_r=TR, filter="cosine",
    )  # fmt: skip
    np.testing.assert_allclose(found.responses[0], wanted, atol=1e-4)
    space = space_of(recorded(found, run_of()))
    assert len(space.places) == 4 * 4 * 3 and set(space.target_of) == {0, 1}


@pytest.mark.parametrize(("start_s", "shift_s"), [(1.0, 0.0), (0.0, -1.0), (2.0, 1.0)])
def test_slice_timing_correction_moves_the_clock(folder, start_s, shift_s):
    about = {"RepetitionTime": TR, "SliceTimingCorrected": True, "StartTime": start_s}
    (folder / "a.json").write_text(json.dumps(about))
    times = BASIC.clean(run_of(start_s=7.0), folder, ()).times_s
    np.testing.assert_allclose(times, 7.0 + shift_s + TR * np.arange(N))


def test_features_may_be_filtered_as_the_responses_were():
    times = TR * np.arange(200)
    slow = np.cos(2 * np.pi * times / 400)[:, None]
    fast = np.cos(2 * np.pi * times / 20)[:, None]
    filtered = Fmri(filter_features=True).filtered(slow + fast, TR)
    assert np.corrcoef(filtered[:, 0], fast[:, 0])[0, 1] > 0.99
    assert Fmri().filtered(slow, TR) is slow
    assert Fmri(filter_features=True, high_pass=0.02).for_design()["high_pass"] == 0.02


def test_the_quality_of_a_run_is_kept_with_it(folder):
    ds = recorded(BASIC.clean(run_of(), folder, ()), run_of())
    told = json.loads(ds.attrs["quality"])
    assert told["route"] == "fMRIPrep derivatives" and told["n_confounds"] == 6 and told["fd_max"] == pytest.approx(0.1)
    assert told["df_left"] == pytest.approx(N - 2 - 6 - 2 * 0.008 * N * TR)
    assert ds["tsnr"].dims == ("target",) and ds["carpet"].sizes["sample"] == N
    assert float(ds["tsnr"].median()) == pytest.approx(1000 / np.hypot(10, 30), rel=0.15)


def test_surfaces_are_not_smoothed_here(folder):
    from nibabel.gifti import GiftiDataArray, GiftiImage

    series = np.random.default_rng(0).normal(size=(N, 642)).astype(np.float32)
    name = "sub-01_hemi-L_space-fsaverage3_bold.func.gii"
    nib.save(GiftiImage(darrays=[GiftiDataArray(row, "NIFTI_INTENT_TIME_SERIES") for row in series]), folder / name)
    run = Run("01", "a", "fmri", (name,), "w.tsv", tr_s=TR)
    assert refused(lambda: Fmri(smoothing_mm=4.0).header(run, folder)).code == "E-FMRI-18"
    assert refused(lambda: Fmri(smoothing_mm=4.0).clean(run, folder, ())).code == "E-FMRI-18"
    assert Fmri().header(run, folder).n_targets == 642
    assert len(Fmri().clean(run, folder, ()).targets) == 642
