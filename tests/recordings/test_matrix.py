"""`kind: arrays`: one matrix in any format is the same recording, and what is no matrix is refused by name."""

import os
import pickle
from pathlib import Path

import h5netcdf
import h5py
import numpy as np
import pytest
import xarray as xr

from pipeline.problems import Problem, StudyError
from pipeline.recordings import Cleaned
from pipeline.recordings.matrix import Arrays
from pipeline.runs import Run

NAMES = ("left", "right", "middle")
ENDINGS = (".npy", ".h5", ".hf5", ".nc", ".tsv", ".csv")


@pytest.fixture
def Y() -> np.ndarray:
    # few binary digits, so that text holds the same numbers
    return np.random.default_rng(0).integers(-400, 400, (40, 3)) / 64 + 5


def write(path: Path, Y: np.ndarray, names: tuple[str, ...] = NAMES) -> str:
    if path.suffix == ".npy":
        np.save(path, Y)
    elif path.suffix in (".h5", ".hf5"):
        with h5py.File(path, "w") as file:
            file["data"] = Y
    elif path.suffix == ".nc":
        matrix = xr.DataArray(Y, dims=("sample", "target"), coords={"target": list(names)}, name="responses")
        # the axes the other way round: they are read by name
        matrix.T.to_dataset().to_netcdf(path, engine="h5netcdf")
    else:
        comma = "," if path.suffix == ".csv" else "\t"
        rows = [comma.join(names), *(comma.join(map(repr, row)) for row in Y.tolist())]
        path.write_text("\n".join(rows) + "\n")
    return path.name


def run_of(*responses: str, tr_s: float | None = 2.0, start_s: float = 0.0) -> Run:
    return Run("01", "a", "bold", responses, "words.tsv", tr_s=tr_s, start_s=start_s)


def cleaned(
    folder: Path, *responses: str, names: tuple[str, ...] = NAMES, start_s: float = 0.0, **how: bool
) -> Cleaned:
    return Arrays(**how).clean(run_of(*responses, start_s=start_s), folder, names)


def refused(folder: Path, *responses: str, names: tuple[str, ...] = NAMES) -> Problem:
    with pytest.raises(StudyError) as told:
        cleaned(folder, *responses, names=names)
    (problem,) = told.value.problems
    assert (problem.subject, problem.level) == ("01", "error")
    assert problem.file and problem.found and str(folder) not in str(problem)
    return problem


@pytest.mark.parametrize("ending", ENDINGS)
def test_every_format_gives_the_same_recording(tmp_path, Y, ending):
    answer = cleaned(tmp_path, write(tmp_path / f"a{ending}", Y))
    by_hand = (Y - Y.mean(axis=0)) / Y.std(axis=0)
    np.testing.assert_allclose(answer.responses, by_hand[None], rtol=1e-6, atol=1e-6)
    np.testing.assert_array_equal(answer.times_s, 2.0 * np.arange(40))
    assert (answer.targets, answer.tr_s, answer.warnings) == (NAMES, 2.0, [])


@pytest.mark.parametrize("ending", ENDINGS)
def test_the_header_tells_what_is_read_later(tmp_path, Y, ending):
    assert Arrays().header(run_of(write(tmp_path / f"a{ending}", Y)), tmp_path)[:3] == (40, 3, 2.0)


@pytest.mark.parametrize("ending", [".nc", ".tsv", ".csv"])
def test_a_file_that_names_its_targets_needs_no_table_of_them(tmp_path, Y, ending):
    assert cleaned(tmp_path, write(tmp_path / f"a{ending}", Y), names=()).targets == NAMES


def test_targets_that_nobody_named_are_numbered(tmp_path, Y):
    assert cleaned(tmp_path, write(tmp_path / "a.npy", Y), names=()).targets == ("t0", "t1", "t2")


@pytest.mark.parametrize("dtype", ["<f4", ">f4", "<i2", "u1", "<f8"])
def test_numbers_of_any_width_are_the_same_recording(tmp_path, dtype):
    whole = np.random.default_rng(1).integers(0, 200, (40, 3))
    answer = cleaned(tmp_path, write(tmp_path / "a.npy", whole.astype(dtype)))
    np.testing.assert_array_equal(
        answer.responses, cleaned(tmp_path, write(tmp_path / "b.npy", whole.astype(float))).responses
    )


def test_columns_before_rows_on_disk_are_the_same_matrix(tmp_path, Y):
    answer = cleaned(tmp_path, write(tmp_path / "a.npy", np.asfortranarray(Y)), standardize=False)
    np.testing.assert_array_equal(answer.responses[0], Y)


# ---- standardize


def test_each_presentation_is_z_scored_by_itself(tmp_path, Y):
    files = [write(tmp_path / "a.npy", Y), write(tmp_path / "b.npy", 7 * Y[::-1] + 100)]
    answer = cleaned(tmp_path, *files)
    np.testing.assert_allclose(answer.responses.mean(axis=1), 0, atol=1e-6)
    np.testing.assert_allclose(answer.responses.std(axis=1), 1, atol=1e-6)
    np.testing.assert_allclose(answer.responses[1], answer.responses[0, ::-1], atol=1e-5)


@pytest.mark.parametrize("value", [0.0, 0.1, 1234.567, -1e9])
def test_a_constant_target_stays_constant(tmp_path, Y, value):
    Y[:, 1] = value
    answer = cleaned(tmp_path, write(tmp_path / "a.npy", Y.astype(np.float32)))
    np.testing.assert_array_equal(answer.responses[0, :, 1], 0)
    np.testing.assert_allclose(answer.responses[0, :, [0, 2]].std(axis=1), 1, atol=1e-6)


def test_values_stay_as_they_are_where_they_are_not_standardized(tmp_path, Y):
    np.testing.assert_array_equal(
        cleaned(tmp_path, write(tmp_path / "a.npy", Y), standardize=False).responses, Y[None].astype(np.float32)
    )


# ---- presentations and time


def test_presentations_stand_one_behind_the_other_in_the_order_of_the_files(tmp_path, Y):
    files = [write(tmp_path / f"{i}.npy", Y + i) for i in range(3)]
    answer = cleaned(tmp_path, *files, standardize=False)
    np.testing.assert_array_equal(answer.responses, np.stack([Y, Y + 1, Y + 2]).astype(np.float32))


@pytest.mark.parametrize("change", [lambda Y: Y[:-1], lambda Y: Y[:, :2]], ids=["a sample less", "a target less"])
def test_unequal_presentations_are_refused_with_their_shapes(tmp_path, Y, change):
    files = [write(tmp_path / "a.npy", Y), write(tmp_path / "b.npy", change(Y))]
    problem = refused(tmp_path, *files)
    assert (problem.code, problem.file) == ("E-ARRAY-05", "a.npy, b.npy")
    assert "(40, 3)" in problem.found and str(change(Y).shape) in problem.found


def test_unequal_presentations_are_compared_without_room_for_them(tmp_path, Y):
    with h5py.File(tmp_path / "b.h5", "w") as file:
        file.create_dataset("data", shape=(10**9, 10**9), chunks=(64, 64), dtype="f4")  # nothing is written
    assert refused(tmp_path, write(tmp_path / "a.npy", Y), "b.h5").code == "E-ARRAY-05"


def test_presentations_with_columns_in_another_order_are_refused(tmp_path, Y):
    files = [write(tmp_path / "a.tsv", Y), write(tmp_path / "b.tsv", Y, NAMES[::-1])]
    problem = refused(tmp_path, *files)
    assert (problem.code, problem.file) == ("E-ARRAY-05", "a.tsv, b.tsv")
    assert "middle" in problem.found


def test_start_s_shifts_the_times_and_nothing_else(tmp_path, Y):
    name = write(tmp_path / "a.npy", Y)
    early, late = cleaned(tmp_path, name), cleaned(tmp_path, name, start_s=-6.5)
    np.testing.assert_array_equal(late.times_s, early.times_s - 6.5)
    np.testing.assert_array_equal(late.responses, early.responses)


def test_a_matrix_without_a_known_spacing_is_refused(tmp_path, Y):
    with pytest.raises(StudyError, match="E-DATA-14"):
        Arrays().header(run_of(write(tmp_path / "a.npy", Y), tr_s=None), tmp_path)


# ---- missing values


def test_one_missing_value_makes_its_target_missing_in_every_presentation(tmp_path):
    Y = np.random.default_rng(2).normal(size=(2, 40, 30))
    whole = cleaned(tmp_path, *[write(tmp_path / f"{i}.npy", y) for i, y in enumerate(Y)], names=())
    Y[1, 7, 4] = np.inf
    holed = cleaned(tmp_path, *[write(tmp_path / f"{i}.npy", y) for i, y in enumerate(Y)], names=())
    others = np.arange(30) != 4
    assert np.isnan(holed.responses[:, :, 4]).all()
    np.testing.assert_array_equal(holed.responses[:, :, others], whole.responses[:, :, others])
    (warning,) = holed.warnings
    assert (warning.code, warning.level, warning.subject) == ("W-ARRAY-03", "warning", "01")
    assert "1 of 30 targets" in warning.found and "'t4'" in warning.found


def test_too_many_missing_targets_are_refused(tmp_path, Y):
    Y[3, 1] = np.nan
    problem = refused(tmp_path, write(tmp_path / "a.npy", Y))
    assert problem.code == "E-ARRAY-03"
    assert "1 of 3 targets" in problem.found and problem.expected == "at most 5%"


# ---- what is no matrix


@pytest.mark.parametrize("n", [2, 4])
def test_a_wrong_number_of_names_is_refused_with_both_numbers(tmp_path, Y, n):
    problem = refused(tmp_path, write(tmp_path / "a.npy", Y), names=("x",) * n)
    assert (problem.code, problem.found) == ("E-ARRAY-04", f"{n} names, 3 columns")


def test_text_in_a_table_is_refused_with_row_and_column(tmp_path, Y):
    write(tmp_path / "a.tsv", Y)
    lines = (tmp_path / "a.tsv").read_text().splitlines()
    lines[4] = lines[4].split("\t")[0] + "\thigh\t1.0"
    (tmp_path / "a.tsv").write_text("\n".join(lines))
    problem = refused(tmp_path, "a.tsv")
    assert (problem.code, problem.field, problem.found) == ("E-ARRAY-02", "right, row 5", "'high'")


class Payload:
    """An object whose unpickling writes a file."""

    def __init__(self, path: Path):
        self.path = path

    def __reduce__(self) -> tuple:
        return os.mkdir, (str(self.path),)


@pytest.mark.parametrize("how", ["header", "clean"])
def test_a_pickle_inside_an_array_is_never_executed(tmp_path, how):
    np.save(tmp_path / "a.npy", np.full((40, 3), Payload(tmp_path / "executed")), allow_pickle=True)
    with pytest.raises(StudyError, match="E-ARRAY-07"):
        Arrays().header(run_of("a.npy"), tmp_path) if how == "header" else cleaned(tmp_path, "a.npy")
    assert not (tmp_path / "executed").exists()


def test_a_bare_pickle_named_npy_is_never_executed(tmp_path):
    (tmp_path / "a.npy").write_bytes(pickle.dumps(Payload(tmp_path / "executed")))
    assert refused(tmp_path, "a.npy").code == "E-ARRAY-07"
    assert not (tmp_path / "executed").exists()


@pytest.mark.parametrize("shape", ["(1000000000000, 3)", "(9223372036854775807, 9223372036854775807)", "(-5, 3)"])
def test_an_array_that_promises_more_than_it_holds_is_refused(tmp_path, shape):
    text = f"{{'descr': '<f8', 'fortran_order': False, 'shape': {shape}, }}".ljust(117) + "\n"
    (tmp_path / "a.npy").write_bytes(b"\x93NUMPY\x01\x00" + len(text).to_bytes(2, "little") + text.encode())
    problem = refused(tmp_path, "a.npy")
    assert (problem.code, problem.file) == ("E-ARRAY-07", "a.npy")
    assert problem.found.startswith("128 bytes") and problem.fix


@pytest.mark.parametrize("ending", [".npy", ".h5", ".nc"])
def test_a_truncated_file_is_refused_by_its_header_alone(tmp_path, ending):
    path = tmp_path / f"a{ending}"
    write(path, np.zeros((400, 3)))
    path.write_bytes(path.read_bytes()[:-4000])
    with pytest.raises(StudyError, match=r"E-ARRAY-07(.|\n)*copy or fetch"):
        Arrays().header(run_of(path.name), tmp_path)


@pytest.mark.parametrize("ending", [".npy", ".h5", ".nc"])
def test_the_header_reads_no_data(tmp_path, ending):
    """320 GB that were never written are described at once; reading them would end this machine."""
    path, shape = tmp_path / f"a{ending}", (40, 10**9)
    if ending == ".npy":
        with path.open("wb") as file:
            np.lib.format.write_array_header_1_0(file, {"descr": "<f8", "fortran_order": False, "shape": shape})
            file.truncate(file.tell() + 8 * shape[0] * shape[1])
    elif ending == ".h5":
        with h5py.File(path, "w") as file:
            file.create_dataset("data", shape=shape, chunks=(40, 1000), dtype="f8")
    else:
        with h5netcdf.File(path, "w") as file:
            file.dimensions = {"sample": shape[0], "target": shape[1]}
            file.create_variable("data", ("sample", "target"), "f8", chunks=(40, 1000))
    assert Arrays().header(run_of(path.name), tmp_path)[:3] == (*shape, 2.0)


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"", "empty"),
        (b"<!DOCTYPE html><html>404</html>", "web page"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n", "git lfs pull"),
        (b"/annex/objects/MD5E-s1--0.npy\n", "datalad get"),
        (b"PK\x03\x04 an archive", "damaged"),
    ],
    ids=["empty", "html", "lfs", "annex", "zip"],
)
@pytest.mark.parametrize("ending", [".npy", ".h5", ".nc"])
def test_what_is_no_array_is_told_for_what_it_is(tmp_path, ending, content, why):
    (tmp_path / f"a{ending}").write_bytes(content)
    problem = refused(tmp_path, f"a{ending}")
    assert problem.code == "E-ARRAY-07" and why in problem.why and problem.fix


def test_several_arrays_in_one_npz_named_npy_are_refused(tmp_path, Y):
    np.savez(tmp_path / "a.npz", Y=Y)
    (tmp_path / "a.npz").rename(tmp_path / "a.npy")
    assert refused(tmp_path, "a.npy").code == "E-ARRAY-07"


@pytest.mark.parametrize("ending", ENDINGS)
def test_a_file_that_is_not_there_is_called_missing(tmp_path, Y, ending):
    write(tmp_path / f"story1{ending}", Y)
    problem = refused(tmp_path, f"story2{ending}")
    assert (problem.code, problem.file) == ("E-ARRAY-23", f"story2{ending}")
    assert f"story1{ending}" in problem.fix


def test_two_matrices_in_one_file_are_refused_by_name(tmp_path, Y):
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["left"], file["right"] = Y, Y
    problem = refused(tmp_path, "a.h5")
    assert problem.code == "E-ARRAY-02" and "left" in problem.found and "right" in problem.found


def test_an_image_is_sent_to_its_own_kind(tmp_path):
    problem = refused(tmp_path, "a.nii.gz")
    assert problem.code == "E-ARRAY-01" and "kind: fmri" in problem.fix


def test_a_run_of_thirty_samples_is_the_shortest(tmp_path, Y):
    assert cleaned(tmp_path, write(tmp_path / "a.npy", Y[:30])).responses.shape == (1, 30, 3)
    problem = refused(tmp_path, write(tmp_path / "b.npy", Y[:29]))
    assert (problem.code, problem.found, problem.expected) == ("E-ARRAY-06", "29 samples", "at least 30")
