"""Channels of a person: picked, the same in every run, in head coordinates."""

from pathlib import Path

import mne
import numpy as np
import pytest
from laboratory import DATA

from pipeline.problems import StudyError
from pipeline.recordings.meg.channels import channels_of
from pipeline.recordings.meg.kind import Meg
from pipeline.runs import Run

REAL = DATA / "meg_eeg"
needs_real = pytest.mark.skipif(not REAL.is_dir(), reason="the real recordings are not here (BRAINALIGN_DATA)")
TURN = mne.transforms.rotation3d(0.1, -0.2, 0.3)
SHIFT = np.array([0.001, -0.004, 0.05])


def run_of(*names: str) -> Run:
    return Run("01", names[0], "meg", names, "words.tsv")


def save(
    path: Path, kinds: list[str], names: list[str] | None = None, sfreq: float = 200.0, placed: bool = True
) -> mne.Info:
    """One second of noise; MEG channels get the layout of a real helmet, EEG ones a standard montage."""
    helmet = mne.channels.read_meg_canonical_info("neuromag")
    names = names or [f"{kind}{i}" for i, kind in enumerate(kinds)]
    info = mne.create_info(names, sfreq, kinds)
    of_kind = {kind: iter(mne.pick_types(helmet, meg=kind)) for kind in ("mag", "grad")}
    places = iter(mne.channels.make_standard_montage("biosemi64").get_positions()["ch_pos"].values())
    for channel, kind in zip(info["chs"], kinds, strict=True):
        if kind in of_kind:
            source = helmet["chs"][next(of_kind[kind])]
            channel["loc"], channel["coil_type"] = source["loc"].copy(), source["coil_type"]
        elif placed:
            channel["loc"][:3] = next(places)
    if placed:
        with info._unlock():
            trans = np.eye(4)
            trans[:3, :3], trans[:3, 3] = TURN[:3, :3], SHIFT
            info["dev_head_t"] = mne.transforms.Transform("meg", "head", trans)
    values = np.random.default_rng(0).normal(size=(len(names), round(sfreq)))
    raw = mne.io.RawArray(values * 1e-12, info, verbose="ERROR")
    raw.save(path, overwrite=True, verbose="ERROR")
    return raw.info


def problems(meg: Meg, runs: list[Run], folder: Path) -> list:
    with pytest.raises(StudyError) as caught:
        channels_of(meg, runs, folder)
    return list(caught.value.problems)


MIXED = ["stim", "mag", "grad", "grad", "eeg", "eeg", "eog", "seeg"]


@pytest.mark.parametrize(
    ("picks", "kinds"),
    [
        ("data", ["mag", "grad", "grad"]),
        ("meg", ["mag", "grad", "grad"]),
        ("grad", ["grad", "grad"]),
        (["eeg", "mag"], ["mag", "eeg", "eeg"]),
        (["eeg5", "seeg"], ["eeg", "seeg"]),
    ],
)
def test_picks_are_types_names_or_what_there_is_of_the_brain_in_the_order_of_the_file(picks, kinds, tmp_path):
    save(tmp_path / "a_raw.fif", MIXED)
    found = channels_of(Meg(picks=picks), [run_of("a_raw.fif")], tmp_path)
    assert list(found.kinds) == kinds
    assert found.names == tuple(name for name in (f"{k}{i}" for i, k in enumerate(MIXED)) if name in found.names)


@pytest.mark.parametrize(
    ("kinds", "taken"), [(["eog", "eeg", "seeg"], "eeg"), (["eog", "seeg", "stim"], "seeg"), (["ecog"], "ecog")]
)
def test_without_meg_the_data_are_eeg_and_without_eeg_they_are_intracranial(kinds, taken, tmp_path):
    save(tmp_path / "a_raw.fif", kinds)
    assert set(channels_of(Meg(), [run_of("a_raw.fif")], tmp_path).kinds) == {taken}


@pytest.mark.parametrize(("pick", "fix"), [("eegg4", "eeg4"), ("gard", "grad"), ("eog6", ""), ("ecog", "")])
def test_unknown_picks_are_refused_with_the_nearest_that_is_there(pick, fix, tmp_path):
    save(tmp_path / "a_raw.fif", MIXED)
    (problem,) = problems(Meg(picks=(pick, "mag")), [run_of("a_raw.fif")], tmp_path)
    assert (problem.code, problem.field) == ("E-MEG-07", "picks")
    assert fix in problem.fix
    assert "mag, grad, eeg, seeg" in problem.expected


def test_a_file_without_any_brain_signal_is_refused(tmp_path):
    save(tmp_path / "a_raw.fif", ["stim", "eog"])
    (problem,) = problems(Meg(), [run_of("a_raw.fif")], tmp_path)
    assert "no MEG, EEG or iEEG" in problem.expected


def test_places_and_directions_of_coils_go_into_head_coordinates_and_electrodes_stay(tmp_path):
    info = save(tmp_path / "a_raw.fif", MIXED)
    found = channels_of(Meg(picks=("meg", "eeg")), [run_of("a_raw.fif")], tmp_path)
    assert found.why_no_places == ""
    for name, kind, loc in zip(found.names, found.kinds, found.loc, strict=True):
        own = info["chs"][info["ch_names"].index(name)]["loc"]
        # another way round: a coil's own transform, after the device's
        if kind != "eeg":
            coil = mne._fiff.tag._loc_to_coil_trans(own)
            head = mne.transforms.combine_transforms(
                mne.transforms.Transform("ctf_meg", "meg", coil), info["dev_head_t"], "ctf_meg", "head"
            )["trans"]
            own = np.concatenate([head[:3, 3], head[:3, :3].T.ravel()])
        np.testing.assert_allclose(loc[: 12 if kind != "eeg" else 3], own[: 12 if kind != "eeg" else 3], atol=1e-7)


@needs_real
def test_places_of_a_real_helmet_are_those_that_mne_draws():
    name = "MEG/sample_audvis_trunc_raw_sss.fif"
    found = channels_of(Meg(picks="mag"), [run_of(name)], REAL)
    info = mne.io.read_info(REAL / name, verbose="ERROR")
    coils = mne.forward._create_meg_coils(
        [info["chs"][i] for i in mne.pick_types(info, meg="mag")], "normal", info["dev_head_t"]
    )
    np.testing.assert_allclose(found.loc[:, :3], [coil["r0"] for coil in coils], atol=1e-6)
    assert found.loc[:, 2].max() > 0.1  # above the head, which the origin lies in


@needs_real
def test_where_nobody_measured_the_head_coils_stay_in_the_device():
    name = "MEG/neuromag122_test_file-raw.fif"
    found = channels_of(Meg(), [run_of(name)], REAL)
    raw = mne.io.read_raw(REAL / name, verbose="ERROR")
    np.testing.assert_array_equal(found.loc[0], raw.info["chs"][0]["loc"])
    assert (len(found.names), set(found.kinds), found.why_no_places) == (122, {"grad"}, "")


@needs_real
def test_electrodes_that_were_not_digitised_have_no_place_and_it_is_said_why():
    found = channels_of(Meg(), [run_of("EEGLAB/test_raw.set")], REAL)
    assert np.isnan(found.loc).all()
    assert "digitised" in found.why_no_places


def test_one_electrode_without_a_place_is_named(tmp_path):
    raw = mne.io.RawArray(np.zeros((3, 100)), mne.create_info(["Fz", "Cz", "X7"], 100.0, "eeg"), verbose="ERROR")
    places = mne.channels.make_standard_montage("biosemi64").get_positions()["ch_pos"]
    raw.set_montage(
        mne.channels.make_dig_montage({k: places[k] for k in ("Fz", "Cz")}, coord_frame="head"), on_missing="ignore"
    )
    raw.save(tmp_path / "a_raw.fif", verbose="ERROR")
    found = channels_of(Meg(sfreq=100), [run_of("a_raw.fif")], tmp_path)
    assert "X7" in found.why_no_places
    assert "Fz" not in found.why_no_places


def test_channels_stand_in_the_first_files_order_in_every_run(tmp_path):
    save(tmp_path / "a_raw.fif", ["eeg"] * 3, ["A", "B", "C"])
    save(tmp_path / "b_raw.fif", ["eeg"] * 3, ["C", "A", "B"])
    assert channels_of(Meg(), [run_of("a_raw.fif"), run_of("b_raw.fif")], tmp_path).names == ("A", "B", "C")
    assert channels_of(Meg(), [run_of("b_raw.fif", "a_raw.fif")], tmp_path).names == ("C", "A", "B")


def test_runs_with_different_channels_are_refused_with_a_table_unless_the_common_ones_are_wanted(tmp_path):
    save(tmp_path / "a_raw.fif", ["eeg"] * 3, ["A", "B", "C"])
    save(tmp_path / "b_raw.fif", ["eeg"] * 3, ["B", "A", "D"])
    runs = [run_of("a_raw.fif"), run_of("b_raw.fif")]
    (problem,) = problems(Meg(), runs, tmp_path)
    assert problem.code == "E-MEG-11"
    assert "a_raw.fif: 3 channels, lacks D; b_raw.fif: 3 channels, lacks C" in problem.found
    assert "channels: common" in problem.fix
    assert channels_of(Meg(channels="common"), runs, tmp_path).names == ("A", "B")


def test_runs_without_any_channel_in_common_are_refused_even_then(tmp_path):
    save(tmp_path / "a_raw.fif", ["eeg"] * 2, ["A", "B"])
    save(tmp_path / "b_raw.fif", ["eeg"] * 2, ["C", "D"])
    (problem,) = problems(Meg(channels="common"), [run_of("a_raw.fif"), run_of("b_raw.fif")], tmp_path)
    assert "no channel is in all of them" in problem.fix


def test_a_name_that_means_another_type_in_another_run_is_refused(tmp_path):
    save(tmp_path / "a_raw.fif", ["eeg", "eeg"], ["A", "B"])
    save(tmp_path / "b_raw.fif", ["eeg", "seeg"], ["A", "B"])
    (problem,) = problems(Meg(picks=("A", "B")), [run_of("a_raw.fif"), run_of("b_raw.fif")], tmp_path)
    assert "B is seeg, not eeg" in problem.found


def test_rates_may_differ_but_none_may_be_below_the_one_wanted(tmp_path):
    for name, sfreq in (("a", 200.0), ("b", 128.0), ("c", 90.0)):
        save(tmp_path / f"{name}_raw.fif", ["eeg"] * 2, sfreq=sfreq)
    assert len(channels_of(Meg(), [run_of("a_raw.fif"), run_of("b_raw.fif")], tmp_path).names) == 2
    (problem,) = problems(Meg(), [run_of(f"{name}_raw.fif") for name in "abc"], tmp_path)
    assert (problem.code, problem.file) == ("E-MEG-10", "c_raw.fif")
    assert problem.found == "a_raw.fif: 200 Hz; b_raw.fif: 128 Hz; c_raw.fif: 90 Hz"
    assert "sfreq: 90" in problem.fix


@pytest.mark.parametrize(
    ("settings", "field"),
    [
        ({"h_freq": 70, "sfreq": 140}, "h_freq"),
        ({"h_freq": None, "l_freq": 64}, "l_freq"),
        ({"notch": (50, 100), "h_freq": 30}, "notch"),
    ],
)
def test_filters_above_half_of_the_files_rate_are_refused_from_the_header(settings, field, tmp_path):
    save(tmp_path / "a_raw.fif", ["eeg"] * 2, sfreq=128.0)
    found = [p for p in problems(Meg(**settings), [run_of("a_raw.fif")], tmp_path) if p.code == "E-MEG-12"]
    assert [p.field for p in found] == [field]
    assert found[0].expected == "below 64 Hz"


def test_what_is_wrong_with_several_files_is_told_at_once(tmp_path):
    save(tmp_path / "a_raw.fif", ["eeg"] * 2)
    save(tmp_path / "b_raw.fif", ["seeg"] * 2)
    found = problems(Meg(picks="eeg"), [run_of("a_raw.fif"), run_of("b_raw.fif", "none_raw.fif")], tmp_path)
    assert [p.code for p in found] == ["E-MEG-07", "E-MEG-23"]


def test_channels_of_epochs_are_read_from_their_header(tmp_path):
    info = save(tmp_path / "a_raw.fif", ["mag", "eeg", "eeg"])
    values = np.zeros((4, 3, 50))
    mne.EpochsArray(values, info, verbose="ERROR").save(tmp_path / "a_epo.fif", verbose="ERROR")
    runs = [run_of("a_raw.fif"), run_of("a_epo.fif")]
    assert channels_of(Meg(picks="eeg"), runs, tmp_path).names == ("eeg1", "eeg2")
