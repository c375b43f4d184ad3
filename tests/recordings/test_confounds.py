"""Confounds: nilearn's choice of columns, and by name everything that it passes over in silence."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from laboratory import DATA
from nilearn.interfaces.fmriprep import load_confounds

from pipeline.problems import Problem, StudyError
from pipeline.recordings import confounds
from pipeline.recordings.confounds import Strategy
from pipeline.runs import Run

N = 60
RUN = Run("01", "story", "fmri", ("sub-01_bold.nii.gz",), "words.tsv")
DEFAULT = Strategy(("motion", "wm_csf", "non_steady_state"), "full", "basic", "basic", 5, 0.5, 1.5, 5)
MOTION = ["trans_x", "trans_y", "trans_z", "rot_x", "rot_y", "rot_z"]


def table(seed: int = 0) -> pd.DataFrame:
    """A table as fMRIPrep 21 and later writes it: the first row of derivatives is n/a."""
    rng = np.random.default_rng(seed)
    frame = pd.DataFrame({name: rng.normal(size=N) for name in (*MOTION, "csf", "white_matter", "global_signal")})
    frame[MOTION[3:]] /= 100
    for name in list(frame):
        frame[f"{name}_derivative1"] = frame[name].diff()
        frame[f"{name}_power2"] = frame[name] ** 2
        frame[f"{name}_derivative1_power2"] = frame[f"{name}_derivative1"] ** 2
    frame["framewise_displacement"] = np.r_[np.nan, np.full(N - 1, 0.1)]
    frame["std_dvars"] = np.r_[np.nan, np.full(N - 1, 1.0)]
    for i in range(7):
        frame[f"a_comp_cor_{i:02d}"] = rng.normal(size=N)
    for i in range(2):
        frame[f"cosine{i:02d}"] = np.cos(np.pi * (np.arange(N) + 0.5) * (i + 1) / N)
    return frame


NAME = "sub-01_task-story_desc-confounds_timeseries.tsv"


def write(folder: Path, frame: pd.DataFrame, name: str = NAME) -> str:
    frame.to_csv(folder / name, sep="\t", index=False, na_rep="n/a")
    about = {f"a_comp_cor_{i:02d}": {"Mask": "combined", "Retained": True, "Method": "aCompCor"} for i in range(7)}
    (folder / name).with_suffix(".json").write_text(json.dumps(about))
    return name


def read(folder: Path, frame: pd.DataFrame, n: int = N, name: str = NAME, **how: object) -> confounds.Confounds:
    return confounds.read(folder, write(folder, frame, name), DEFAULT._replace(**how), n, RUN)


def refused(folder: Path, frame: pd.DataFrame, n: int = N, **how: object) -> Problem:
    with pytest.raises(StudyError) as told:
        read(folder, frame, n, **how)
    (problem,) = told.value.problems
    assert problem.level == "error" and problem.subject == "01" and problem.fix
    assert str(folder) not in str(problem)
    return problem


@pytest.mark.parametrize(
    ("components", "how"),
    [
        (("motion",), {"motion": "basic"}),
        (("motion", "wm_csf"), {}),
        (("motion", "wm_csf", "global_signal"), {"wm_csf": "full", "global_signal": "derivatives"}),
        (("high_pass",), {}),
    ],
)
def test_the_columns_are_those_that_nilearn_chooses(tmp_path, components, how):
    found = read(tmp_path, table(), components=components, **how)
    image = tmp_path / "sub-01_task-story_space-T1w_desc-preproc_bold.nii.gz"
    image.touch()
    wanted, _ = load_confounds(str(image), strategy=components, **how)
    assert found.names == tuple(wanted.columns)
    np.testing.assert_allclose(found.values, wanted.to_numpy())


def test_compcor_comes_without_the_cosines_that_nilearn_wants_beside_it(tmp_path):
    found = read(tmp_path, table(), components=("compcor",), n_compcor=3)
    assert found.names == ("a_comp_cor_00", "a_comp_cor_01", "a_comp_cor_02")
    both = read(tmp_path, table(), components=("compcor", "high_pass"), n_compcor=3)
    assert set(both.names) - set(found.names) == {"cosine00", "cosine01"}


def test_a_table_may_have_any_name(tmp_path):
    assert read(tmp_path, table(), name="nuisance.tsv").values.shape == (N, 26)


def test_na_in_the_first_row_is_filled_and_fine(tmp_path):
    found = read(tmp_path, table())
    assert np.isfinite(found.values).all() and found.values.shape == (N, 26)


def test_na_in_a_middle_row_is_told_with_column_and_row(tmp_path):
    frame = table()
    frame.loc[17, "trans_y"] = np.nan
    problem = refused(tmp_path, frame)
    assert (problem.code, problem.field) == ("E-FMRI-39", "trans_y, row 19")


@pytest.mark.parametrize(
    ("components", "column"), [(("wm_csf",), "csf"), (("motion",), "rot_z_derivative1"), (("scrub",), "std_dvars"),
                               (("compcor",), "cosine00"), (("high_pass",), "cosine00")],
)  # fmt: skip
def test_a_column_that_is_not_there_is_told_with_the_version_that_wrote_the_table(tmp_path, components, column):
    by = {"GeneratedBy": [{"Name": "fMRIPrep", "Version": "23.1.0"}]}
    (tmp_path / "dataset_description.json").write_text(json.dumps(by))
    problem = refused(tmp_path, table().drop(columns=column), components=components)
    assert (problem.code, problem.field) == ("E-FMRI-40", column)
    assert "fMRIPrep 23.1.0" in problem.found


@pytest.mark.parametrize("n", [N - 1, N + 1])
def test_another_number_of_rows_than_volumes_is_told_with_both_files(tmp_path, n):
    problem = refused(tmp_path, table(), n)
    assert problem.code == "E-FMRI-12"
    assert f"{N} rows, {n} volumes" in problem.found and "sub-01_bold.nii.gz" in problem.file and NAME in problem.file


def test_a_table_of_an_old_fmriprep_is_told_as_such(tmp_path):
    problem = refused(tmp_path, table().rename(columns={"framewise_displacement": "FramewiseDisplacement"}))
    assert problem.code == "E-FMRI-43" and "1.2" in problem.expected


def test_a_table_that_is_not_there_is_missing(tmp_path):
    with pytest.raises(StudyError) as told:
        confounds.read(tmp_path, NAME, DEFAULT, N, RUN)
    assert told.value.problems[0].code == "E-FMRI-23"


def test_unsteady_volumes_and_jumps_are_left_out_each_for_its_own_reason(tmp_path):
    frame = table()
    frame["non_steady_state_outlier00"] = (np.arange(N) == 0).astype(int)
    frame["non_steady_state_outlier01"] = (np.arange(N) == 1).astype(int)
    frame.loc[[20, 23], "framewise_displacement"] = 2.0  # 21 and 22 between them are too short a stretch
    found = read(tmp_path, frame, components=("motion", "non_steady_state", "scrub"))
    left = {reason: np.flatnonzero(v).tolist() for reason, v in found.left_out.items()}
    assert left == {"not steady yet": [0, 1], "head moved (scrubbed)": [20, 21, 22, 23]}
    assert np.flatnonzero(found.censored).tolist() == [0, 1, 20, 21, 22, 23]


def test_motion_is_handed_on_in_millimetres_and_degrees(tmp_path):
    frame = table()
    found = read(tmp_path, frame)
    np.testing.assert_allclose(found.motion[:, :3], frame[MOTION[:3]])
    np.testing.assert_allclose(found.motion[:, 3:], np.degrees(frame[MOTION[3:]]))
    assert found.fd_mm[5] == 0.1 and np.isnan(found.fd_mm[0])


def freedom(n_columns: int, dropped: int, df_left: float) -> list[Problem]:
    left_out = {"head moved (scrubbed)": np.arange(N) < dropped} if dropped else {}
    return confounds.check_freedom(confounds.Confounds(np.zeros((N, n_columns)), (), left_out), df_left, "c.tsv", RUN)


@pytest.mark.parametrize(
    ("columns", "dropped", "left", "codes"),
    [
        (6, 0, 50.0, []),
        (30, 0, 25.0, ["W-FMRI-41"]),
        (70, 0, -10.0, ["E-FMRI-41"]),
        (6, 10, 40.0, ["W-FMRI-42"]),
        (6, 31, 20.0, ["E-FMRI-42"]),
    ],
)
def test_what_is_left_of_a_run_is_weighed(columns, dropped, left, codes):
    problems = freedom(columns, dropped, left)
    assert [p.code for p in problems] == codes
    assert all(f"{columns} confounds" in p.found for p in problems if p.code.endswith("41"))


@pytest.mark.skipif(not (DATA / "fmriprep_confounds").is_dir(), reason="needs BRAINALIGN_DATA/fmriprep_confounds")
@pytest.mark.parametrize("name", ["test-v21_desc-confounds_timeseries.tsv", "test_desc-confounds_regressors.tsv"])
def test_real_tables_of_both_namings_are_read(name):
    found = confounds.read(DATA / "fmriprep_confounds", name, DEFAULT, 30, RUN)
    assert found.values.shape == (30, 26) and found.censored.sum() >= 1
    compcor = confounds.read(DATA / "fmriprep_confounds", name, DEFAULT._replace(components=("compcor",)), 30, RUN)
    assert compcor.values.shape == (30, 5)


@pytest.mark.parametrize(
    ("written", "meant"), [("none", ()), ("motion", ("motion",)), (["motion", "compcor"], ("motion", "compcor"))]
)
def test_one_component_or_none_may_be_said_plainly(written, meant):
    from pipeline.recordings.fmri import Fmri

    assert Fmri(confounds=written).confounds == meant
