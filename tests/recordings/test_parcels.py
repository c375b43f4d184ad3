"""Parcels: every place finds its label, whatever form the atlas has, and means are taken over what can be used."""

from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from nibabel.cifti2 import BrainModelAxis, Cifti2Image, LabelAxis
from nibabel.gifti import GiftiDataArray, GiftiImage, GiftiLabel, GiftiLabelTable

from pipeline.problems import Problem, StudyError
from pipeline.recordings.parcels import averaged, parcels
from pipeline.runs import Run
from pipeline.space import Space, rows, vertex_names, voxel_names, voxels

RUN = Run("01", "a", "bold", ("a.nii.gz",), "words.tsv")
AFFINE = np.array([[-3.0, 0, 0, 9], [0, 3, 0, -6], [0, 0, 3, 0], [0, 0, 0, 1]])
ATLAS, SHAPE = "atlas.nii.gz", (4, 4, 3)
VOXELS = np.array([[0, 0, 0], [1, 1, 1], [1, 2, 1], [3, 3, 2]])


def volume(places: np.ndarray = VOXELS) -> Space:
    return Space("volume", "T1w", SHAPE, rows(AFFINE), places=voxel_names(places))


def inside(space: Space) -> np.ndarray | None:
    if space.kind != "volume":
        return None
    mask = np.zeros(SHAPE, bool)
    mask[tuple(voxels(space.places).T)] = True
    return mask


def labels() -> np.ndarray:
    """7 at two of the places, 3 at one, 12 at none of them, 0 elsewhere."""
    data = np.zeros(SHAPE, np.int16)
    data[1, 1, 1] = data[1, 2, 1] = 7
    data[3, 3, 2], data[2, 0, 0] = 3, 12
    return data


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    nib.save(nib.Nifti1Image(labels(), AFFINE), tmp_path / ATLAS)
    return tmp_path


def refused(folder: Path, name: str, space: Space) -> Problem:
    with pytest.raises(StudyError) as told:
        parcels(folder, name, space, inside(space), RUN)
    (problem,) = told.value.problems
    assert problem.subject == "01" and problem.file and problem.found and problem.fix
    assert str(folder) not in str(problem)
    return problem


# ---- means


def test_a_parcel_is_the_mean_of_its_usable_places():
    values = np.array([[1, 10, 2, 5, np.nan], [3, 30, 4, 7, np.nan]], np.float32)
    means = averaged(values, (0, 1, 0, -1, 1), np.array([True, True, True, True, False]))
    np.testing.assert_array_equal(means, [[1.5, 10], [3.5, 30]])
    assert means.dtype == np.float32


def test_a_parcel_without_a_usable_place_is_nan():
    means = averaged(np.ones((2, 3), np.float32), (0, 1, 0), np.array([True, False, True]), n_parcels=3)
    np.testing.assert_array_equal(means, [[1, np.nan, np.nan]] * 2)


def test_means_of_large_values_keep_their_digits():
    values = np.random.default_rng(0).integers(16_000_000, 16_700_000, (2, 100_001)).astype(np.float32)
    means = averaged(values, (0,) * 100_001, np.ones(100_001, bool))[:, 0]
    np.testing.assert_array_equal(means, values.astype(float).mean(axis=1).astype(np.float32))


# ---- volumes


def test_labels_become_parcels_in_the_order_of_their_numbers(folder):
    assert parcels(folder, ATLAS, volume(), inside(volume()), RUN) == (("p3", "p7", "p12"), (-1, 1, 1, 0))


def test_a_parcel_outside_the_mask_stays_a_target(folder):
    names, target_of = parcels(folder, ATLAS, volume(VOXELS[1:2]), inside(volume(VOXELS[1:2])), RUN)
    assert names == ("p3", "p7", "p12") and target_of == (1,)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("atlas.tsv", "index\tname\n7\tIFG orb\n3\tMTG\n99\tnowhere\n"),
        ("atlas.txt", "# a table\n7 IFG_orb 255 0 0\n3 MTG 0 0 255\n"),
    ],
)
def test_a_table_beside_the_image_names_its_parcels(folder, name, text):
    (folder / name).write_text(text)
    names, _ = parcels(folder, ATLAS, volume(), inside(volume()), RUN)
    assert names == ("MTG", "IFG orb" if name.endswith("tsv") else "IFG_orb", "p12")


def test_labels_that_are_written_as_floats_are_labels(folder):
    nib.save(nib.Nifti1Image(labels().astype(np.float64), AFFINE), folder / ATLAS)
    assert parcels(folder, ATLAS, volume(), inside(volume()), RUN)[1] == (-1, 1, 1, 0)


@pytest.mark.parametrize("bad", [0.25, -3.0, np.nan])
def test_a_map_of_probabilities_is_no_image_of_labels(folder, bad):
    data = labels().astype(np.float32)
    data[2, 2, 2] = bad
    nib.save(nib.Nifti1Image(data, AFFINE), folder / ATLAS)
    assert refused(folder, ATLAS, volume()).code == "E-FMRI-52"


def test_parcels_on_another_grid_are_refused_with_both_grids(folder):
    moved = AFFINE.copy()
    moved[0, 3] += 3
    nib.save(nib.Nifti1Image(labels(), moved), folder / ATLAS)
    problem = refused(folder, ATLAS, volume())
    assert problem.code == "E-FMRI-08"
    assert "[9.0, -6.0, 0.0]" in problem.found and "[12.0, -6.0, 0.0]" in problem.found


def test_parcels_of_another_shape_are_refused(folder):
    nib.save(nib.Nifti1Image(labels()[:3], AFFINE), folder / ATLAS)
    assert refused(folder, ATLAS, volume()).code == "E-FMRI-08"


def test_two_parcels_of_one_name_are_refused(folder):
    (folder / "atlas.tsv").write_text("index\tname\n7\tMTG\n3\tMTG\n")
    assert refused(folder, ATLAS, volume()).code == "E-FMRI-53"


@pytest.mark.parametrize("text", ["index\tname\nseven\tMTG\n", "index\tname\n7\t\n"])
def test_a_table_line_without_number_or_name_is_refused(folder, text):
    (folder / "atlas.tsv").write_text(text)
    assert refused(folder, ATLAS, volume()).code == "E-FMRI-52"


def test_parcels_that_hold_no_place_are_refused(folder):
    assert refused(folder, ATLAS, volume(VOXELS[:1])).code == "E-FMRI-55"


def test_parcels_of_another_kind_than_the_images_are_refused(folder):
    assert refused(folder, "lh.aparc.annot", volume()).code == "E-FMRI-54"
    assert refused(folder, ATLAS, mesh()).code == "E-FMRI-54"


def test_a_truncated_atlas_is_refused_by_name(folder):
    data = (folder / ATLAS).read_bytes()
    (folder / ATLAS).write_bytes(data[: len(data) // 2])
    problem = refused(folder, ATLAS, volume())
    assert (problem.code, problem.file) == ("E-FMRI-01", ATLAS)


# ---- surfaces


def mesh(**n_vertices: int) -> Space:
    n_vertices = n_vertices or {"L": 6, "R": 5}
    places = tuple(place for side, n in n_vertices.items() for place in vertex_names(side, np.arange(n)))
    return Space("surface", "fsnative", n_vertices=n_vertices, places=places)


def save_labels(path: Path, data: list[int], names: dict[int, str]) -> str:
    table = GiftiLabelTable()
    for key, name in names.items():
        entry = GiftiLabel(key, 1, 0, 0, 1)
        entry.label = name
        table.labels.append(entry)
    array = GiftiDataArray(np.array(data, np.int32), intent="NIFTI_INTENT_LABEL")
    nib.save(GiftiImage(darrays=[array], labeltable=table), path)
    return path.name


def save_annot(path: Path, data: list[int], names: list[str]) -> str:
    ctab = np.array([[10 * i + 1, 20, 30, 0, 0] for i in range(len(names))])
    nib.freesurfer.write_annot(path, np.array(data), ctab, names, fill_ctab=True)
    return path.name


NAMES = {0: "???", 4: "IFG", 9: "MTG", 2: "Medial_Wall"}


def test_labels_of_both_hemispheres_become_parcels_of_their_own(tmp_path):
    name = save_labels(tmp_path / "hemi-L_atlas.label.gii", [0, 4, 4, 9, 2, -1], NAMES)
    save_labels(tmp_path / "hemi-R_atlas.label.gii", [2, 9, 9, 0, 4], NAMES)
    names, target_of = parcels(tmp_path, name, mesh(), None, RUN)
    assert names == ("L_IFG", "L_MTG", "R_IFG", "R_MTG")
    assert target_of == (-1, 0, 0, 1, -1, -1, -1, 3, 3, -1, 2)


def test_names_that_tell_the_hemisphere_stay_as_they_are(tmp_path):
    name = save_labels(tmp_path / "hemi-L_atlas.label.gii", [0, 4, 4, 0, 0, 0], {0: "???", 4: "lh_IFG"})
    save_labels(tmp_path / "hemi-R_atlas.label.gii", [0, 4, 0, 0, 0], {0: "???", 4: "rh_IFG"})
    assert parcels(tmp_path, name, mesh(), None, RUN)[0] == ("lh_IFG", "rh_IFG")


def test_labels_of_one_hemisphere_leave_the_other_without_parcels(tmp_path):
    name = save_labels(tmp_path / "hemi-R_atlas.label.gii", [0, 4, 4, 9, 0], NAMES)
    assert parcels(tmp_path, name, mesh(), None, RUN) == (("IFG", "MTG"), (-1,) * 6 + (-1, 0, 0, 1, -1))


def test_a_label_without_a_name_is_named_by_its_number(tmp_path):
    name = save_labels(tmp_path / "hemi-L_atlas.label.gii", [0, 4, 5, 0, 0, 0], {0: "???", 4: "IFG"})
    assert parcels(tmp_path, name, mesh(L=6), None, RUN)[0] == ("IFG", "p5")


def test_a_freesurfer_annotation_gives_the_same_parcels(tmp_path):
    name = save_annot(tmp_path / "lh.aparc.annot", [0, 1, 1, 2, -1, 0], ["unknown", "bankssts", "insula"])
    save_annot(tmp_path / "rh.aparc.annot", [2, 2, 1, 0, 0], ["unknown", "bankssts", "insula"])
    names, target_of = parcels(tmp_path, name, mesh(), None, RUN)
    assert names == ("L_bankssts", "L_insula", "R_bankssts", "R_insula")
    assert target_of == (-1, 0, 0, 1, -1, -1, 3, 3, 2, -1, -1)


def test_the_first_row_of_an_annotation_may_be_a_parcel(tmp_path):
    name = save_annot(tmp_path / "lh.rois.annot", [0, 1, 1, 0, -1, -1], ["IFG", "MTG"])
    assert parcels(tmp_path, name, mesh(L=6), None, RUN) == (("IFG", "MTG"), (0, 1, 1, 0, -1, -1))


@pytest.mark.parametrize("content", [b"", b"\xff" * 40, b"\x7f\xff\xff\xff" + bytes(100), b"<html>"])
def test_what_is_no_annotation_is_refused_by_name(tmp_path, content):
    (tmp_path / "lh.aparc.annot").write_bytes(content)
    assert refused(tmp_path, "lh.aparc.annot", mesh()).code == "E-FMRI-03"


def test_a_truncated_annotation_is_refused(tmp_path):
    save_annot(tmp_path / "lh.aparc.annot", [0, 1, 1, 2, -1, 0], ["unknown", "bankssts", "insula"])
    data = (tmp_path / "lh.aparc.annot").read_bytes()
    (tmp_path / "lh.aparc.annot").write_bytes(data[:-20])
    assert refused(tmp_path, "lh.aparc.annot", mesh()).code == "E-FMRI-03"


def test_labels_of_another_mesh_are_refused(tmp_path):
    name = save_labels(tmp_path / "hemi-L_atlas.label.gii", [0, 4, 4], NAMES)
    problem = refused(tmp_path, name, mesh())
    assert problem.code == "E-FMRI-51" and "3 " in problem.found and "6 " in problem.expected


def test_labels_of_a_hemisphere_that_nothing_tells_are_refused(tmp_path):
    name = save_labels(tmp_path / "atlas.label.gii", [0, 4, 4, 0, 0, 0], NAMES)
    assert refused(tmp_path, name, mesh()).code == "E-FMRI-50"


def test_a_missing_atlas_is_told(tmp_path):
    assert refused(tmp_path, "hemi-L_atlas.label.gii", mesh()).code == "E-FMRI-23"


# ---- CIFTI

MASK = np.zeros(SHAPE, bool)
MASK[1, 1, 1] = MASK[2, 2, 2] = True


def models(left: list[int], n_vertices: int = 8, affine: np.ndarray = AFFINE) -> BrainModelAxis:
    cortex = BrainModelAxis.from_surface(np.array(left), n_vertices, "CortexLeft")
    return cortex + BrainModelAxis.from_mask(MASK, affine=affine, name="thalamus_left")


def save_dlabel(path: Path, axis: BrainModelAxis, data: list[list[int]]) -> str:
    table = {0: ("???", (1, 1, 1, 0)), 1: ("IFG", (1, 0, 0, 1)), 2: ("Thal", (0, 0, 1, 1))}
    labels = LabelAxis([f"map {i}" for i in range(len(data))], [table] * len(data))
    nib.save(Cifti2Image(np.array(data, np.int32), (labels, axis)), path)
    return path.name


def grayordinates() -> Space:
    places = ("L1", "L3", "L6", "v1x1x1", "v2x2x2")
    return Space("cifti", "fsLR", SHAPE, rows(AFFINE), {"L": 8}, (("CORTEX_LEFT", 3), ("THALAMUS", 2)), places)


def test_labels_of_grayordinates_are_found_by_the_place_and_not_by_the_column(tmp_path):
    name = save_dlabel(tmp_path / "atlas.dlabel.nii", models([0, 1, 6]), [[0, 1, 1, 2, 0]])
    assert parcels(tmp_path, name, grayordinates(), None, RUN) == (("IFG", "Thal"), (0, -1, 0, 1, -1))


@pytest.mark.parametrize(
    "axis", [models([0, 1, 6], n_vertices=9), models([0, 1, 6], affine=AFFINE + np.eye(4)[[3, 1, 2, 0]])]
)
def test_labels_on_other_grayordinates_are_refused(tmp_path, axis):
    name = save_dlabel(tmp_path / "atlas.dlabel.nii", axis, [[0, 1, 1, 2, 0]])
    assert refused(tmp_path, name, grayordinates()).code == "E-FMRI-08"


def test_several_maps_of_labels_are_refused(tmp_path):
    name = save_dlabel(tmp_path / "atlas.dlabel.nii", models([0, 1, 6]), [[0, 1, 1, 2, 0]] * 2)
    assert refused(tmp_path, name, grayordinates()).code == "E-FMRI-54"
