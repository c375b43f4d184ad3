"""Surfaces and CIFTI: every vertex comes out under its own name, and every damaged file is told by name."""

import base64
import zlib
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from nibabel.cifti2 import BrainModelAxis, Cifti2Image, ScalarAxis, SeriesAxis
from nibabel.gifti import GiftiDataArray, GiftiImage, GiftiMetaData

from pipeline.problems import Problem, StudyError
from pipeline.recordings.surfaces import Surface, on_side, opened_cifti, opened_surface, partner
from pipeline.runs import Run

N, V = 40, 30
LEFT, RIGHT = "sub-01_hemi-L_space-fsnative_bold.func.gii", "sub-01_hemi-R_space-fsnative_bold.func.gii"
SERIES = "sub-01_bold.dtseries.nii"
ANATOMY = {"L": "CortexLeft", "R": "CortexRight"}


def run_of(name: str, space: str = "") -> Run:
    return Run("01", "a", "bold", (name,), "words.tsv", space=space)


def values(seed: int = 0, n_vertices: int = V) -> np.ndarray:
    return np.random.default_rng(seed).normal(100, 5, size=(N, n_vertices)).astype(np.float32)


def save_gii(path: Path, data: np.ndarray, *, side: str = "", step: str = "", wide: bool = False, **how) -> str:
    rows = [np.ascontiguousarray(data.T)] if wide else list(data)
    meta = {"TimeStep": step} if step else {}
    arrays = [
        GiftiDataArray(row, meta=GiftiMetaData(meta), **({"intent": "NIFTI_INTENT_TIME_SERIES"} | how)) for row in rows
    ]
    nib.save(
        GiftiImage(darrays=arrays, meta=GiftiMetaData({"AnatomicalStructurePrimary": ANATOMY[side]} if side else {})),
        path,
    )
    return path.name


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Both hemispheres, whose meshes differ as a person's own do."""
    save_gii(tmp_path / LEFT, values(0), side="L")
    save_gii(tmp_path / RIGHT, values(1, V + 4), side="R")
    return tmp_path


def surface(folder: Path, name: str = LEFT, space: str = "") -> Surface:
    return opened_surface(folder, name, run_of(name, space))


def refused(folder: Path, name: str = LEFT, space: str = "", *, reading: bool = False) -> Problem:
    opener = opened_cifti if name == SERIES else opened_surface
    with pytest.raises(StudyError) as told:
        found = opener(folder, name, run_of(name, space))
        if reading:
            found.read()
    (problem,) = told.value.problems
    assert problem.subject == "01" and problem.level == "error"
    assert problem.file and problem.found and problem.fix
    assert str(folder) not in str(problem)
    return problem


# ---- what is read


def test_a_left_hemisphere_brings_the_right_one_along_and_stands_first(folder):
    found = surface(folder)
    assert found.files == (LEFT, RIGHT) and found.warnings == ()
    assert (found.n_samples, dict(found.space.n_vertices)) == (N, {"L": V, "R": V + 4})
    data = found.read()
    assert data.dtype == np.float32
    np.testing.assert_array_equal(data[:, found.space.places.index("L7")], values(0)[:, 7])
    np.testing.assert_array_equal(data[:, found.space.places.index("R33")], values(1, V + 4)[:, 33])


def test_the_header_alone_tells_shape_and_places(folder):
    found = surface(folder)
    assert found.space.places == (*(f"L{i}" for i in range(V)), *(f"R{i}" for i in range(V + 4)))
    assert (found.space.kind, found.space.name) == ("surface", "fsnative")


@pytest.mark.parametrize("name", [LEFT, RIGHT])
def test_one_hemisphere_alone_is_read_and_said(folder, name):
    (folder / (RIGHT if name == LEFT else LEFT)).unlink()
    found = surface(folder, name)
    assert found.files == (name,) and set(found.space.n_vertices) == {"L" if name == LEFT else "R"}
    (warning,) = found.warnings
    assert warning.code == "W-FMRI-50"


def test_one_array_of_vertices_by_volumes_is_the_same_as_one_array_per_volume(folder):
    save_gii(folder / LEFT, values(0), side="L", wide=True)
    np.testing.assert_array_equal(surface(folder).read()[:, :V], values(0))


@pytest.mark.parametrize("encoding", ["GIFTI_ENCODING_ASCII", "GIFTI_ENCODING_B64BIN", "GIFTI_ENCODING_B64GZ"])
@pytest.mark.parametrize("endian", ["little", "big"])
@pytest.mark.parametrize("dtype", [np.int32, np.float32])
def test_every_way_of_writing_is_read_alike(folder, encoding, endian, dtype):
    data = np.round(values(0)).astype(dtype)
    save_gii(folder / LEFT, data, side="L", encoding=encoding, endian=f"GIFTI_ENDIAN_{endian.upper()}")
    np.testing.assert_array_equal(surface(folder).read()[:, :V], data)


def test_arrays_in_column_order_are_read_as_they_are_meant(folder):
    save_gii(folder / LEFT, values(0), side="L", wide=True, ordering="ColumnMajorOrder")
    np.testing.assert_array_equal(surface(folder).read()[:, :V], values(0))


def test_vertices_that_were_not_measured_stay_nan(folder):
    data = values(0)
    data[:, [3, 9]] = np.nan
    save_gii(folder / LEFT, data, side="L")
    assert np.flatnonzero(np.isnan(surface(folder).read()).any(axis=0)).tolist() == [3, 9]


@pytest.mark.parametrize(
    ("step", "tr_s"), [("2000.000000", 2.0), ("1.5", 1.5), ("0.000000", None), ("n/a", None), ("", None)]
)
def test_the_time_step_is_read_in_milliseconds_and_in_seconds(folder, step, tr_s):
    save_gii(folder / LEFT, values(0), side="L", step=step)
    assert surface(folder).tr_s == tr_s


def test_partners_are_named_by_bids_and_by_freesurfer():
    assert partner(LEFT) == RIGHT and partner(RIGHT) == ""
    assert on_side("hemi-L/lh.aparc.annot", "R") == "hemi-L/rh.aparc.annot"


def test_a_large_file_is_opened_without_its_values(folder):
    big = np.random.default_rng(0).normal(size=(40, 10242)).astype(np.float32)
    save_gii(folder / LEFT, big, side="L")
    (folder / RIGHT).unlink()
    text = bytearray((folder / LEFT).read_bytes())
    text[len(text) // 2] = ord("*")
    (folder / LEFT).write_bytes(text)
    assert surface(folder, space="fsaverage5").n_samples == 40
    assert refused(folder, space="fsaverage5", reading=True).code == "E-FMRI-04"


def test_a_real_file_of_another_laboratory_is_read_as_nibabel_reads_it(tmp_path):
    real = Path(nib.__file__).parent / "gifti" / "tests" / "data" / "task.func.gii"
    if not real.is_file():
        pytest.skip("this nibabel comes without its example files")
    (tmp_path / LEFT).write_bytes(real.read_bytes())
    expected = np.stack([array.data for array in nib.load(real).darrays])
    np.testing.assert_array_equal(surface(tmp_path, LEFT, "fsaverage3").read(), expected)


# ---- what is refused


def broken(data: bytes, how: str) -> bytes:
    return {
        "cut": data[: len(data) // 2], "cut at the end": data[:-20], "empty": b"",
        "html": b"<html><body>404</body></html>", "pointer": b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n",
        "noise": bytes(range(256)) * 8,
    }[how]  # fmt: skip


BROKEN = {
    "cut": "E-FMRI-01", "cut at the end": "E-FMRI-01", "empty": "E-FMRI-03", "html": "E-FMRI-03", "pointer": "E-FMRI-03", "noise": "E-FMRI-03",
}  # fmt: skip


@pytest.mark.parametrize(("how", "code"), BROKEN.items())
def test_a_broken_surface_is_refused_when_it_is_opened(folder, how, code):
    (folder / LEFT).write_bytes(broken((folder / LEFT).read_bytes(), how))
    problem = refused(folder)
    assert (problem.code, problem.file) == (code, LEFT)
    assert {"html": "web page", "pointer": "git lfs pull", "empty": "empty"}.get(how, "") in problem.why


def test_a_broken_partner_is_told_by_its_own_name(folder):
    (folder / RIGHT).write_bytes(b"<html>")
    assert refused(folder).file == RIGHT


def test_a_large_file_that_was_cut_is_refused_when_it_is_opened(folder):
    save_gii(folder / LEFT, np.random.default_rng(0).normal(size=(40, 10242)).astype(np.float32), side="L")
    data = (folder / LEFT).read_bytes()
    (folder / LEFT).write_bytes(data[: len(data) * 3 // 4])
    assert refused(folder).code == "E-FMRI-01"


def test_a_missing_file_is_told(folder):
    assert refused(folder, "sub-02_hemi-L_bold.func.gii").code == "E-FMRI-23"


def altered(folder: Path, old: str, new: str, name: str = LEFT, count: int = -1) -> None:
    text = (folder / name).read_bytes().decode()
    assert old in text
    (folder / name).write_bytes(text.replace(old, new, count).encode())


DOCTYPE = '<!DOCTYPE GIFTI SYSTEM "http://www.nitrc.org/frs/download.php/115/gifti.dtd">'


def test_entities_that_unfold_without_end_are_refused(folder):
    bomb = "".join(f'<!ENTITY a{i} "{f"&a{i - 1};" * 10}">' for i in range(1, 10))
    altered(folder, DOCTYPE, f'<!DOCTYPE GIFTI [<!ENTITY a0 "ha">{bomb}]>')
    altered(folder, "CortexLeft", "&a9;", count=1)
    problem = refused(folder)
    assert problem.code == "E-FMRI-03" and "entities" in problem.found


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16"])
def test_entities_that_name_other_files_are_refused(folder, encoding):
    (folder / "secret.txt").write_text("secret")
    altered(folder, DOCTYPE, '<!DOCTYPE GIFTI [<!ENTITY a SYSTEM "secret.txt">]>')
    text = (folder / LEFT).read_text().replace("UTF-8", encoding)
    (folder / LEFT).write_bytes(text.encode(encoding))
    assert refused(folder).code == "E-FMRI-03"


def test_values_in_another_file_are_not_fetched(folder):
    (folder / "elsewhere.dat").write_bytes(bytes(4 * V))
    altered(folder, 'Encoding="GZipBase64Binary"', 'Encoding="ExternalFileBinary"')
    altered(folder, 'ExternalFileName=""', 'ExternalFileName="elsewhere.dat"')
    assert "another file" in refused(folder).found


def test_more_values_than_any_recording_has_are_refused_before_room_is_made(folder):
    altered(folder, f'Dim0="{V}"', 'Dim0="90000000000"')
    assert refused(folder).code == "E-FMRI-03"


def test_an_array_that_unpacks_to_more_than_it_announces_is_refused(folder):
    text = (folder / LEFT).read_text()
    start, end = text.index("<Data>") + 6, text.index("</Data>")
    bomb = base64.b64encode(zlib.compress(bytes(10**7))).decode()
    (folder / LEFT).write_text(text[:start] + bomb + text[end:])
    problem = refused(folder)
    assert problem.code == "E-FMRI-04" and "more" in problem.found


def test_fewer_arrays_than_announced_are_refused(folder):
    altered(folder, f'NumberOfDataArrays="{N}"', f'NumberOfDataArrays="{N + 1}"')
    assert refused(folder).code == "E-FMRI-04"


def test_volumes_of_different_sizes_are_refused(folder):
    image = nib.load(folder / LEFT)
    image.darrays[5] = GiftiDataArray(np.zeros(V - 1, np.float32))
    nib.save(image, folder / LEFT)
    problem = refused(folder, reading=True)
    assert problem.code == "E-FMRI-04" and str(V - 1) in problem.found


def test_hemispheres_of_different_lengths_are_refused(folder):
    save_gii(folder / RIGHT, values(1)[:-3], side="R")
    problem = refused(folder)
    assert problem.code == "E-FMRI-09" and f"{N} and {N - 3}" in problem.found


def test_a_hemisphere_under_the_name_of_the_other_is_refused(folder):
    save_gii(folder / LEFT, values(0), side="R")
    assert refused(folder).code == "E-FMRI-50"


def test_a_hemisphere_that_the_name_does_not_tell_is_refused(folder):
    save_gii(folder / "bold.func.gii", values(0), side="R")
    assert refused(folder, "bold.func.gii").code == "E-FMRI-50"


def test_a_known_mesh_with_another_number_of_vertices_is_refused(folder):
    problem = refused(folder, space="fsaverage5")
    assert problem.code == "E-FMRI-51" and "10242" in problem.expected and str(V) in problem.found


@pytest.mark.parametrize("intent", ["NIFTI_INTENT_POINTSET", "NIFTI_INTENT_LABEL"])
def test_a_mesh_or_labels_are_no_time_series(folder, intent):
    save_gii(folder / LEFT, values(0), side="L", intent=intent)
    assert refused(folder).code == "E-FMRI-13"


def test_one_map_is_no_time_series(folder):
    save_gii(folder / LEFT, values(0)[:1], side="L")
    assert refused(folder).code == "E-FMRI-13"


def test_complex_values_are_refused(folder):
    save_gii(folder / LEFT, values(0), side="L")
    altered(folder, "NIFTI_TYPE_FLOAT32", "NIFTI_TYPE_COMPLEX64")
    altered(folder, f'Dim0="{V}"', f'Dim0="{V // 2}"')
    assert refused(folder).code == "E-FMRI-02"


# ---- CIFTI


def brain(n_vertices: int = 12) -> BrainModelAxis:
    """Cortex without its medial wall, and the thalamus of the left side in an oblique, left-handed grid."""
    left = BrainModelAxis.from_surface(np.array([0, 2, 5]), n_vertices, "CortexLeft")
    right = BrainModelAxis.from_surface(np.array([1, 11]), n_vertices, "CortexRight")
    mask = np.zeros((4, 5, 6), bool)
    mask[1, 2, 3] = mask[3, 4, 5] = True
    affine = np.array([[-2.0, 0.3, 0, 10], [0.3, 2, 0, -20], [0, 0, 2, 5], [0, 0, 0, 1]])
    return left + right + BrainModelAxis.from_mask(mask, affine=affine, name="thalamus_left")


def save_cifti(
    path: Path, data: np.ndarray, *, step: float = 1.5, unit: str = "SECOND", dtype: type = np.float32
) -> str:
    axes = (SeriesAxis(0, step, len(data), unit=unit), brain())
    nib.save(Cifti2Image(data.astype(dtype), axes), path)
    return path.name


def cifti_values() -> np.ndarray:
    return np.random.default_rng(3).normal(size=(N, 7)).astype(np.float32)


@pytest.fixture
def series(tmp_path: Path) -> Path:
    save_cifti(tmp_path / SERIES, cifti_values())
    return tmp_path


def test_grayordinates_are_vertices_and_voxels_under_their_names(series):
    found = opened_cifti(series, SERIES, run_of(SERIES))
    assert found.space.places == ("L0", "L2", "L5", "R1", "R11", "v1x2x3", "v3x4x5")
    np.testing.assert_array_equal(found.read(), cifti_values())
    assert found.read().dtype == np.float32
    assert (found.n_samples, found.tr_s, found.files) == (N, 1.5, (SERIES,))


def test_the_space_of_a_cifti_holds_all_that_its_maps_need(series):
    space = opened_cifti(series, SERIES, run_of(SERIES, "fsLR")).space
    assert (space.kind, space.name, space.shape) == ("cifti", "fsLR", (4, 5, 6))
    assert dict(space.n_vertices) == {"L": 12, "R": 12}
    assert [n for _, n in space.structures] == [3, 2, 2]
    np.testing.assert_array_equal(space.affine, brain().affine)


@pytest.mark.parametrize("dtype", [np.int16, np.float64])
def test_other_numbers_than_float32_are_read_as_float32(series, dtype):
    save_cifti(series / SERIES, np.round(cifti_values() * 100), dtype=dtype)
    np.testing.assert_array_equal(opened_cifti(series, SERIES, run_of(SERIES)).read(), np.round(cifti_values() * 100))


def test_a_step_of_zero_says_that_nobody_knows(series):
    save_cifti(series / SERIES, cifti_values(), step=0)
    assert opened_cifti(series, SERIES, run_of(SERIES)).tr_s is None


@pytest.mark.parametrize(("how", "code"), BROKEN.items())
def test_a_broken_cifti_is_refused_when_it_is_opened(series, how, code):
    (series / SERIES).write_bytes(broken((series / SERIES).read_bytes(), how))
    assert refused(series, SERIES).code == code


def test_a_plain_image_under_the_name_of_a_cifti_is_refused(series):
    nib.save(nib.Nifti1Image(np.zeros((3, 3, 3, 40), np.float32), np.eye(4)), series / SERIES)
    assert refused(series, SERIES).code == "E-FMRI-03"


def test_maps_are_no_series(series):
    nib.save(Cifti2Image(cifti_values()[:2], (ScalarAxis(["a", "b"]), brain())), series / SERIES)
    assert refused(series, SERIES).code == "E-FMRI-13"


def test_a_series_over_frequency_is_refused(series):
    save_cifti(series / SERIES, cifti_values(), unit="HERTZ")
    problem = refused(series, SERIES)
    assert problem.code == "E-FMRI-13" and problem.found == "HERTZ"


def test_a_garbled_cifti_header_is_refused(series):
    data = (series / SERIES).read_bytes()
    (series / SERIES).write_bytes(data.replace(b"<BrainModel ", b"<BrainMadel ", 1))
    assert refused(series, SERIES).code == "E-FMRI-04"


def test_a_cifti_with_entities_is_refused(series):
    data = (series / SERIES).read_bytes()
    (series / SERIES).write_bytes(data.replace(b"<CIFTI ", b"<!ENTITY ", 1))
    assert "entities" in refused(series, SERIES).found


def test_places_outside_the_mesh_are_refused(series):
    data = (series / SERIES).read_bytes()
    (series / SERIES).write_bytes(data.replace(b'SurfaceNumberOfVertices="12"', b'SurfaceNumberOfVertices="05"'))
    assert "outside" in refused(series, SERIES).found
