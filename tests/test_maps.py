"""Maps: what was planted at a place of the brain is shown at that place, by every program that reads the files."""

import json
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
import xarray as xr
from nibabel.cifti2 import BrainModelAxis, Cifti2Image, SeriesAxis
from nilearn import datasets, surface

from pipeline import maps
from pipeline.painting import images
from pipeline.recordings.surfaces import opened_cifti, opened_surface
from pipeline.runs import Run
from pipeline.space import Space, from_told, grid, rows, told, vertex_names, vertices, voxel_names, voxels

RECORD = {"stage": "maps", "settings": {}, "inputs": {"sub-01/scores.nc": "0" * 64}}
N_FSAVERAGE5 = 10242
AFFINES = {
    "left-handed": np.array([[-2.0, 0, 0, 30], [0, 2, 0, -40], [0, 0, 2.5, -10], [0, 0, 0, 1]]),
    "right-handed": np.array([[3.0, 0, 0, -30], [0, 3, 0, -40], [0, 0, 3, -10], [0, 0, 0, 1]]),
    "oblique": np.array([[1.9, -0.4, 0.1, -20], [0.5, 1.9, -0.3, 5], [0.0, 0.4, 1.95, 7], [0, 0, 0, 1]]),
    "axes exchanged": np.array([[0, 0, 2.0, 3], [-2, 0, 0, 4], [0, 3, 0, 5], [0, 0, 0, 1]]),
    "sheared": np.array([[2, 0.7, 0, 1.0], [0, 2, 0, 2], [0, 0, 2, 3], [0, 0, 0, 1]]),
}
SHAPE = (6, 7, 5)


def one(values: np.ndarray, names: tuple[str, ...] = ("nested",)) -> maps.Maps:
    return maps.Maps("trained", "r", names, np.atleast_2d(values).astype(float), {"Model": "trained", "Units": "1"})


def written(folder: Path, found: maps.Maps, space: Space) -> list[Path]:
    return maps.write([found], folder, subject="01", recording="fmri", space=space, record=RECORD)


# ---- surfaces


@pytest.fixture(scope="module")
def pial():
    return datasets.load_fsaverage("fsaverage5")["pial"]


@pytest.fixture(scope="module")
def patches(pial) -> dict[str, np.ndarray]:
    """The vertices within 15 mm of the outermost one on the left and of the hindmost one on the right."""
    poles = {"L": (pial.parts["left"].coordinates, 0, -1), "R": (pial.parts["right"].coordinates, 1, -1)}
    found = {}
    for side, (coordinates, axis, sign) in poles.items():
        pole = coordinates[np.argmax(sign * coordinates[:, axis])]
        found[side] = np.flatnonzero(np.linalg.norm(coordinates - pole, axis=1) < 15)
    return found


def fsaverage5() -> Space:
    n_vertices = {"L": N_FSAVERAGE5, "R": N_FSAVERAGE5}
    places = tuple(place for side in n_vertices for place in vertex_names(side, np.arange(N_FSAVERAGE5)))
    return Space("surface", "fsaverage5", n_vertices=n_vertices, places=places)


def planted(patches: dict[str, np.ndarray]) -> np.ndarray:
    values = np.full(2 * N_FSAVERAGE5, 0.01)
    values[patches["L"]] = 0.5
    values[N_FSAVERAGE5 + patches["R"]] = -0.25
    return values


def test_a_patch_comes_out_at_exactly_its_vertices_in_both_hemispheres(tmp_path, patches):
    paths = written(tmp_path, one(planted(patches)), fsaverage5())
    left, right = (surface.load_surf_data(path) for path in paths if path.name.endswith(".gii"))
    np.testing.assert_array_equal(np.flatnonzero(left == np.float32(0.5)), patches["L"])
    np.testing.assert_array_equal(np.flatnonzero(right == np.float32(-0.25)), patches["R"])
    assert len(left) == len(right) == N_FSAVERAGE5


def test_nilearn_finds_the_patch_at_its_place_on_the_mesh(tmp_path, patches, pial):
    left, right = (path for path in written(tmp_path, one(planted(patches)), fsaverage5()) if path.suffix == ".gii")
    image = surface.SurfaceImage(pial, {"left": left, "right": right})
    outer = pial.parts["left"].coordinates[image.data.parts["left"].ravel() > 0.4]
    back = pial.parts["right"].coordinates[image.data.parts["right"].ravel() < -0.2]
    assert outer[:, 0].min() == pial.parts["left"].coordinates[:, 0].min() and np.ptp(outer, axis=0).max() < 31
    assert back[:, 1].min() == pial.parts["right"].coordinates[:, 1].min() and back[:, 0].mean() > 0


def test_a_recorded_patch_goes_through_files_and_back_to_its_vertices(tmp_path, patches):
    """A signal that only the patch carries is written as a recording, read, scored and painted."""
    signal = np.sin(np.arange(60))
    names = {side: f"sub-01_hemi-{side}_space-fsaverage5_bold.func.gii" for side in "LR"}
    for side, name in names.items():
        data = np.random.default_rng(ord(side)).normal(size=(60, N_FSAVERAGE5)).astype(np.float32)
        data[:, patches[side]] += 10 * signal[:, None]
        image = nib.GiftiImage(darrays=[nib.gifti.GiftiDataArray(row) for row in data])
        nib.save(image, tmp_path / name)
    found = opened_surface(tmp_path, names["L"], Run("01", "a", "fmri", (names["L"],), "words.tsv"))
    z = found.read() - found.read().mean(axis=0)
    r = (z * signal[:, None]).sum(axis=0) / np.linalg.norm(z, axis=0) / np.linalg.norm(signal)
    left, right = (path for path in written(tmp_path, one(r), found.space) if path.suffix == ".gii")
    np.testing.assert_array_equal(np.flatnonzero(surface.load_surf_data(left) > 0.9), patches["L"])
    np.testing.assert_array_equal(np.flatnonzero(surface.load_surf_data(right) > 0.9), patches["R"])


def test_a_hemisphere_alone_makes_one_file_and_places_that_are_no_target_are_nan():
    space = Space("surface", "fsnative", n_vertices={"R": 8}, places=("R2", "R7"))
    found = images(np.array([[0.1, -0.2]]), ["a"], space)
    assert list(found) == [("R", ".func.gii")]
    data = found["R", ".func.gii"].darrays[0].data
    np.testing.assert_array_equal(data, np.array([np.nan, np.nan, 0.1, *[np.nan] * 4, -0.2], np.float32))


def test_each_map_of_a_surface_is_named_and_the_file_says_which_hemisphere_it_is(tmp_path):
    space = Space("surface", "fsnative", n_vertices={"L": 4, "R": 4}, places=("L0", "R1"))
    paths = written(tmp_path, one(np.array([[1, 2], [3, 4], [5, 6]]), ("0", "1", "2")), space)
    image = nib.load(paths[0])
    assert [array.meta["Name"] for array in image.darrays] == ["0", "1", "2"]
    assert image.meta["AnatomicalStructurePrimary"] == "CortexLeft"
    assert surface.load_surf_data(paths[0]).shape == (4, 3)


# ---- volumes


@pytest.mark.parametrize("affine", AFFINES.values(), ids=AFFINES)
def test_a_voxel_comes_back_at_its_place_in_mm(tmp_path, affine):
    ijk = np.argwhere(np.random.default_rng(0).random(SHAPE) < 0.3)
    space = Space("volume", "T1w", SHAPE, rows(affine), places=voxel_names(ijk))
    values = np.random.default_rng(1).normal(size=len(ijk))
    values[17] = 9
    image = nib.load(written(tmp_path, one(values), space)[0])
    data = image.get_fdata()
    found = nib.affines.apply_affine(image.affine, np.argwhere(data == 9)[0])
    np.testing.assert_allclose(found, nib.affines.apply_affine(affine, ijk[17]), atol=1e-4)
    np.testing.assert_array_equal(np.argwhere(np.isfinite(data)), ijk)
    np.testing.assert_array_equal(data[tuple(ijk.T)], values.astype(np.float32))


@pytest.mark.parametrize("affine", AFFINES.values(), ids=AFFINES)
def test_no_program_finds_another_place_in_the_qform(affine):
    space = Space("volume", "T1w", SHAPE, rows(affine), places=("v0x0x0",))
    header = images(np.ones((1, 1)), ["a"], space)["", ".nii.gz"].header
    assert header["qform_code"] == 0 or np.allclose(header.get_qform(), affine, atol=1e-4)
    np.testing.assert_allclose(header.get_sform(), affine, atol=1e-5)


@pytest.mark.parametrize(
    ("name", "code"), [("MNI152NLin2009cAsym", 4), ("MNI305", 4), ("T1w", 2), ("boldref", 1), ("", 1)]
)
def test_the_header_says_what_its_coordinates_are(name, code):
    space = Space("volume", name, SHAPE, rows(np.diag([2.0, 2, 2, 1])), places=("v0x0x0",))
    header = images(np.ones((1, 1)), ["a"], space)["", ".nii.gz"].header
    assert (int(header["sform_code"]), int(header["qform_code"])) == (code, code)
    assert header.get_xyzt_units()[0] == "mm" and header.get_data_dtype() == np.float32


def test_several_maps_are_one_image_of_four_axes():
    space = Space("volume", "T1w", SHAPE, rows(np.eye(4)), places=("v1x2x3", "v0x0x0"))
    image = images(np.array([[1.0, 2], [3, 4], [5, 6]]), ["0", "1", "2"], space)["", ".nii.gz"]
    assert image.shape == (*SHAPE, 3)
    np.testing.assert_array_equal(image.dataobj[1, 2, 3], [1, 3, 5])


def test_parcels_are_painted_on_all_their_places_and_nowhere_else():
    places = ("v0x0x0", "v1x0x0", "v2x0x0", "v3x0x0")
    space = Space("volume", "T1w", SHAPE, rows(np.eye(4)), places=places, target_of=(1, 0, -1, 1))
    data = images(np.array([[0.25, -0.5]]), ["a"], space)["", ".nii.gz"].get_fdata()
    np.testing.assert_array_equal(data[:4, 0, 0], [-0.5, 0.25, np.nan, -0.5])
    assert np.isnan(data).sum() == data.size - 3


def test_a_missing_score_stays_missing_and_a_negative_one_negative():
    space = Space("volume", "T1w", SHAPE, rows(np.eye(4)), places=("v0x0x0", "v1x0x0", "v2x0x0"))
    data = images(np.array([[np.nan, -0.75, 1.5]]), ["a"], space)["", ".nii.gz"].get_fdata()
    np.testing.assert_array_equal(data[:3, 0, 0], [np.nan, -0.75, 1.5])


@pytest.mark.parametrize("values", [np.ones((1, 2)), np.ones((1, 4)), np.ones((2, 3))])
def test_values_that_do_not_fit_the_space_are_refused(values):
    space = Space("volume", "T1w", SHAPE, rows(np.eye(4)), places=("v0x0x0", "v1x0x0", "v2x0x0"))
    with pytest.raises(ValueError, match=r"do not fit|names"):
        images(values, ["a"], space)


def test_a_place_outside_the_grid_is_refused():
    space = Space("volume", "T1w", SHAPE, rows(np.eye(4)), places=("v0x0x9",))
    with pytest.raises(ValueError, match="outside"):
        images(np.ones((1, 1)), ["a"], space)


# ---- CIFTI


def test_grayordinates_come_back_under_the_brain_models_of_their_recording(tmp_path):
    mask = np.zeros(SHAPE, bool)
    mask[1, 2, 3] = mask[4, 0, 0] = True
    brain = (
        BrainModelAxis.from_surface(np.array([0, 2, 5]), 9, "CortexLeft")
        + BrainModelAxis.from_surface(np.array([8, 3]), 9, "CortexRight")
        + BrainModelAxis.from_mask(mask, affine=AFFINES["oblique"], name="thalamus_left")
    )
    name = "sub-01_space-fsLR_bold.dtseries.nii"
    series = np.random.default_rng(0).normal(size=(30, 7)).astype(np.float32)
    nib.save(Cifti2Image(series, (SeriesAxis(0, 2, 30), brain)), tmp_path / name)
    space = opened_cifti(tmp_path, name, Run("01", "a", "fmri", (name,), "words.tsv")).space
    path = written(tmp_path, one(series[[4, 9]], ("0", "1")), space)[0]
    image = nib.load(path)
    assert path.name.endswith(".dscalar.nii") and image.nifti_header.get_intent()[0] == "ConnDenseScalar"
    assert image.header.get_axis(1) == brain
    assert image.header.get_axis(0).name.tolist() == ["0", "1"]
    np.testing.assert_array_equal(image.get_fdata(), series[[4, 9]])


def test_cortex_without_voxels_needs_no_volume():
    space = Space(
        "cifti", "fsLR", n_vertices={"L": 9}, structures=(("CIFTI_STRUCTURE_CORTEX_LEFT", 2),), places=("L1", "L4")
    )
    image = images(np.array([[np.nan, 2.0]]), ["a"], space)["", ".dscalar.nii"]
    np.testing.assert_array_equal(image.get_fdata(), [[np.nan, 2]])
    assert image.header.get_axis(1).vertex.tolist() == [1, 4]


# ---- files


def test_names_follow_bids():
    name = maps.file_name("01", "fmri", "fsaverage5", "trained", "r", hemi="L", ending=".func.gii")
    assert name == "sub-01_hemi-L_space-fsaverage5_recording-fmri_desc-trained_stat-r_statmap.func.gii"
    assert maps.file_name("01", "fmri", "", "gpt-2_x", "r") == "sub-01_recording-fmri_desc-gpt2x_stat-r_statmap.nii.gz"


def spaces() -> dict[str, Space]:
    grid_of = {"shape": SHAPE, "affine": rows(AFFINES["oblique"])}
    return {
        "volume": Space("volume", "T1w", **grid_of, places=("v0x0x0", "v1x2x3")),
        "surface": Space("surface", "fsnative", n_vertices={"L": 4, "R": 5}, places=("L0", "R4")),
        "cifti": Space("cifti", "fsLR", **grid_of, n_vertices={"L": 4}, places=("L0", "v1x2x3"),
                       structures=(("CIFTI_STRUCTURE_CORTEX_LEFT", 1), ("CIFTI_STRUCTURE_THALAMUS_LEFT", 1))),
    }  # fmt: skip


@pytest.mark.parametrize("kind", spaces())
def test_the_same_map_is_the_same_bytes(tmp_path, kind):
    found = one(np.random.default_rng(0).normal(size=(3, 2)), ("0", "1", "2"))
    first, second = (written(tmp_path / folder, found, spaces()[kind]) for folder in ("a", "b"))
    assert [path.name for path in first] == [path.name for path in second]
    assert [path.read_bytes() for path in first] == [path.read_bytes() for path in second]


@pytest.mark.parametrize("kind", spaces())
def test_every_map_has_a_sidecar_and_a_record_and_nothing_else_is_left(tmp_path, kind):
    paths = written(tmp_path, one(np.array([0.5, np.nan])), spaces()[kind])
    assert {path.name for path in tmp_path.iterdir()} == {path.name for path in paths} | {".records"}
    images = [path for path in paths if path.suffix != ".json"]
    assert len(images) == (2 if kind == "surface" else 1)
    for path in images:
        told = json.loads((path.parent / f"{path.name.split('.')[0]}.json").read_text())
        assert told["NumberOfTargets"] == 2 and told["NumberOfTargetsWithoutValue"] == 1
        assert told["Sources"] == ["sub-01/scores.nc"] and told["Maps"] == ["nested"] and told["Units"] == "1"


@pytest.mark.parametrize("kind", spaces())
def test_a_space_is_told_in_json_and_comes_back(kind):
    space = spaces()[kind]._replace(target_of=(0, -1))
    back = from_told(json.loads(json.dumps(told(space))), space.places, space.target_of)
    assert back == space


def test_names_of_places_are_read_back_and_others_refused():
    assert voxels(["v12x3x40", "v0x0x1"]).tolist() == [[12, 3, 40], [0, 0, 1]]
    sides, numbers = vertices(["L123", "R0"])
    assert (sides.tolist(), numbers.tolist()) == (["L", "R"], [123, 0])
    assert voxels([]).shape == (0, 3)
    for reader, bad in ((voxels, "L12"), (voxels, "v1x2"), (vertices, "v1x2x3"), (vertices, "L-1")):
        with pytest.raises(ValueError, match=bad):
            reader([bad])


def test_a_grid_is_told_from_its_first_voxel_to_its_last():
    assert (
        grid((3, 4, 5), np.diag([2.0, 2, 3, 1]))
        == "(3, 4, 5) of [2.0, 2.0, 3.0] mm from [0.0, 0.0, 0.0] to [4.0, 6.0, 12.0] mm"
    )


# ---- scores


def scores(*, seeds: int = 0, steps: int = 0) -> xr.Dataset:
    """r of (network, layer, fold, target) counts up; inner folds prefer layer 1 in fold 0 and layer 2 in fold 1."""
    lead = {"seed": list(range(seeds))} if seeds else {"step": [f"s{i}" for i in range(steps)]} if steps else {}
    shape = (*(len(labels) for labels in lead.values()), 3, 2, 4)
    r = np.arange(np.prod(shape), dtype=float).reshape(shape) / 100 - 0.1
    r[..., 3] = np.nan
    inner = np.zeros(shape)
    inner[..., 1, 0, :] = inner[..., 2, 1, :] = 1
    dims = (*lead, "layer", "fold", "target")
    ds = xr.Dataset({"r": (dims, r), "r2": (dims, r), "inner": (dims, inner), "flat": (dims, np.zeros(shape))})
    ds["agreement"] = ((*dims[:-2], "roi", "sample"), np.zeros((*shape[:-2], 1, 10)))
    ds["member"] = (("roi", "target"), np.ones((1, 4), np.uint8))
    ds = ds.assign_coords({"roi": ["all"], "layer": ["0", "1", "2"], "target": list("abcd")} | lead)
    return ds.assign_coords(fold_of=("sample", np.repeat([0, 1], 5))).assign_attrs(model="gpt2")


def ceiling(*valid: int) -> xr.Dataset:
    ds = xr.Dataset(coords={"target": list("abcd")})
    ds["repeats"] = ("target", np.array([0.5, -0.2, 0.4, np.nan]), {"long_name": "repeats: ceiling"})
    ds["repeats_valid"] = ("target", np.array(valid, np.uint8))
    return ds


def test_every_layer_is_a_map_of_its_mean_over_folds():
    ds = scores()
    every = maps.of_scores(ds)[1]
    assert (every.desc, every.stat, every.names) == ("gpt2Layers", "r", ("0", "1", "2"))
    np.testing.assert_allclose(every.values, ds["r"].values.mean(axis=1))


def test_the_nested_map_takes_each_fold_at_the_layer_that_its_inner_folds_chose():
    ds = scores()
    nested = maps.of_scores(ds)[0]
    assert (nested.desc, nested.stat, nested.names) == ("gpt2", "r", ("nested",))
    np.testing.assert_allclose(nested.values[0], (ds["r"].values[1, 0] + ds["r"].values[2, 1]) / 2)
    assert nested.about["LayersChosen"] == ["1", "2"]


def test_negative_scores_and_missing_targets_stay_what_they_are():
    values = maps.of_scores(scores())[1].values
    assert values[0, 0] == pytest.approx(-0.08) and np.isnan(values[:, 3]).all()


def test_twins_are_shown_by_their_mean_and_checkpoints_by_the_last():
    twins, steps = scores(seeds=3), scores(steps=3)
    np.testing.assert_allclose(maps.of_scores(twins)[1].values, twins["r"].values.mean(axis=(0, 2)))
    np.testing.assert_allclose(maps.of_scores(steps)[1].values, steps["r"].values[-1].mean(axis=1))
    assert maps.of_scores(steps)[0].about["Checkpoint"] == "s2"
    assert maps.of_scores(twins)[0].about["Seeds"] == "mean over seeds"


def test_a_ceiling_is_shown_where_it_is_valid_and_told_beside_the_scores():
    nested, _, top = maps.of_scores(scores(), ceiling(1, 0, 1, 0))
    assert (top.desc, top.stat) == ("repeats", "ceiling")
    np.testing.assert_array_equal(top.values, [[0.5, np.nan, 0.4, np.nan]])
    assert nested.about["Ceilings"] == [{"Kind": "repeats", "MeanOverValidTargets": 0.45, "NumberOfValidTargets": 2}]


def test_a_ceiling_that_is_valid_nowhere_is_all_missing_and_says_why():
    top = ceiling(0, 0, 0, 0)
    top["repeats"].attrs["reason"] = "no tested run was presented more than once"
    nested, _, shown = maps.of_scores(scores(), top)
    assert np.isnan(shown.values).all() and "more than once" in shown.about["WhyNone"]
    assert nested.about["Ceilings"] == []


def test_no_ceiling_is_no_map():
    top = ceiling(0, 0, 0, 0).rename(repeats="none", repeats_valid="none_valid")
    assert len(maps.of_scores(scores(), top)) == 2


@pytest.mark.parametrize(
    ("response", "partner_exists"),
    [
        ("f/sub-01_space-T1w_bold.nii.gz", False),
        ("f/sub-01_hemi-L_space-fsnative_bold.func.gii", True),
        ("f/sub-01_hemi-L_space-fsnative_bold.func.gii", False),
        ("f/sub-01_hemi-R_space-fsnative_bold.func.gii", False),
        ("f/sub-01_space-fsLR_bold.dtseries.nii", False),
    ],
)
def test_the_names_are_known_before_anything_is_read(tmp_path, response, partner_exists):
    kind = "surface" if response.endswith(".gii") else "cifti" if "dtseries" in response else "volume"
    space = spaces()[kind]
    if kind == "surface":
        sides = "LR" if partner_exists else response.split("hemi-")[1][0]
        places = {"L": ("L0", "L1"), "R": ("R3", "R4"), "LR": ("L0", "R4")}[sides]
        space = space._replace(n_vertices={side: 5 for side in sides}, places=places)
    if partner_exists:
        (tmp_path / "f").mkdir()
        (tmp_path / response.replace("hemi-L", "hemi-R")).touch()
    found = [
        one_map._replace(values=one_map.values[:, :2]) for one_map in maps.of_scores(scores(), ceiling(1, 1, 0, 0))
    ]
    paths = maps.write(found, tmp_path / "out", subject="01", recording="fmri", space=space, record=RECORD)
    run = Run("01", "a", "fmri", (response,), "words.tsv")
    assert maps.names("01", "fmri", run, ["gpt2"], ["repeats", "none"], tmp_path) == [path.name for path in paths]
