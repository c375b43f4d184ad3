"""Files of MEG and EEG: opened with what lies beside them, refused by name where something is missing."""

import shutil
import struct
from pathlib import Path

import mne
import numpy as np
import pytest
from laboratory import DATA

from pipeline.problems import StudyError
from pipeline.recordings.meg import files
from pipeline.recordings.meg.kind import Meg
from pipeline.runs import Run

REAL = DATA / "meg_eeg"
needs_real = pytest.mark.skipif(not REAL.is_dir(), reason="the real recordings are not here (BRAINALIGN_DATA)")
FIF = ("141027_cropped_90Hz_raw.fif", "neuromag122_test_file-raw.fif", "sample_audvis_trunc_raw_sss.fif")
TINY = "sub-01/ses-eeg/eeg/sub-01_ses-eeg_task-rest_eeg.vhdr"


def run_of(*names: str) -> Run:
    return Run("01", "story", "meg", names, "words.tsv")


def simulated(path: Path, n_channels: int = 12, seconds: float = 5.0, sfreq: float = 200.0, **saved) -> mne.io.RawArray:
    """A few channels of a real helmet with noise of a plausible size, saved."""
    info = mne.pick_info(mne.channels.read_meg_canonical_info("neuromag"), np.arange(n_channels))
    with info._unlock():
        info["sfreq"] = sfreq
        info["lowpass"] = sfreq / 2
    values = np.random.default_rng(0).normal(scale=1e-12, size=(n_channels, round(seconds * sfreq)))
    raw = mne.io.RawArray(values, info, verbose="ERROR")
    raw.save(path, overwrite=True, verbose="ERROR", **saved)
    return raw


def refusal(folder: Path, name: str, meg: Meg | None = None) -> StudyError:
    with pytest.raises(StudyError) as caught:
        files.opened(meg or Meg(), folder, name, run_of(name))
    return caught.value


@pytest.fixture
def tiny(tmp_path: Path) -> Path:
    """A copy of the small BIDS data set, to be spoilt."""
    if not REAL.is_dir():
        pytest.skip("the real recordings are not here (BRAINALIGN_DATA)")
    shutil.copytree(REAL / "tiny_bids", tmp_path / "bids")
    for path in (tmp_path / "bids").rglob("*"):
        path.chmod(0o755)
    return tmp_path / "bids"


@needs_real
@pytest.mark.parametrize("name", [f"MEG/{name}" for name in FIF] + ["EEGLAB/test_raw.set", f"tiny_bids/{TINY}"])
def test_real_files_open_with_the_samples_that_mne_reads(name):
    raw = files.opened(Meg(), REAL, name, run_of(name))
    direct = mne.io.read_raw(REAL / name, verbose="ERROR")
    assert not raw.preload
    assert raw.ch_names == direct.ch_names
    np.testing.assert_array_equal(raw.get_data(stop=100), direct.get_data(stop=100))


@needs_real
def test_every_file_that_a_run_needs_is_named_and_exists():
    name = f"tiny_bids/{TINY}"
    found = files.files_of(Meg(calibration="cal.dat"), run_of(name), REAL)
    assert {"words.tsv", "cal.dat"} == {file for file in found if not (REAL / file).exists()}
    endings = {file.rsplit("_", 1)[-1] for file in found}
    assert {"eeg.vhdr", "eeg.eeg", "eeg.vmrk", "channels.tsv", "events.tsv", "eeg.json", "electrodes.tsv"} <= endings


def test_files_of_a_source_model_and_of_the_system_are_named_for_the_subject():
    meg = Meg(
        calibration="cal.dat",
        cross_talk="ct.fif",
        source={"forward": "sub-{subject}-fwd.fif", "labels": ["lh.a.label"]},
    )
    assert files.files_of(meg, run_of("a_raw.fif"), Path("nowhere"))[1:] == [
        "words.tsv", "cal.dat", "ct.fif", "sub-01-fwd.fif", "lh.a.label"
    ]  # fmt: skip


@pytest.mark.parametrize("name", ["sub-01_task-a_proc-clean_epo.fif", "words-epo.fif", "words_epo.fif.gz"])
def test_epochs_are_known_by_their_name(name):
    assert files.is_epochs(name)
    assert not files.is_epochs(name.replace("epo", "raw"))


@needs_real
@pytest.mark.parametrize("name", FIF)
@pytest.mark.parametrize("kept", [0.3, 0.7, 0.999])
def test_a_cut_off_fif_file_is_refused_with_both_lengths(name, kept, tmp_path):
    whole = (REAL / "MEG" / name).read_bytes()
    n = int(kept * len(whole))
    (tmp_path / name).write_bytes(whole[:n])
    (problem,) = refusal(tmp_path, name).problems
    assert problem.code == "E-MEG-02"
    assert problem.file == name
    assert f"{n} bytes" in problem.found
    assert n < int(problem.expected.split()[-2]) <= len(whole)


def test_a_fif_file_that_ends_between_two_tags_is_refused_too(tmp_path):
    simulated(tmp_path / "whole_raw.fif")
    data, position, ends = (tmp_path / "whole_raw.fif").read_bytes(), 0, []
    while position < len(data):
        kind, _, size, following = struct.unpack(">iIii", data[position : position + 16])
        if following == -1:
            break
        position = position + 16 + size if following == 0 else following
        ends += [position] if kind == 300 else []  # buffers of samples
    assert len(ends) > 3
    (tmp_path / "cut_raw.fif").write_bytes(data[: ends[2]])
    assert refusal(tmp_path, "cut_raw.fif").problems[0].code == "E-MEG-02"


@pytest.mark.parametrize(
    ("naming", "name", "part"),
    [
        ("neuromag", "story_raw.fif", "story_raw-1.fif"),
        ("bids", "sub-01_task-a_meg.fif", "sub-01_task-a_split-02_meg.fif"),
    ],
)
def test_a_missing_or_cut_part_of_a_split_file_is_named(naming, name, part, tmp_path):
    simulated(tmp_path / name, seconds=300, split_size="2MB", split_naming=naming)
    name = name if naming == "neuromag" else "sub-01_task-a_split-01_meg.fif"
    run = run_of(name)
    assert part in files.files_of(Meg(), run, tmp_path)
    assert files.opened(Meg(), tmp_path, name, run).n_times == 300 * 200
    whole = (tmp_path / part).read_bytes()
    (tmp_path / part).write_bytes(whole[: len(whole) // 2])
    (problem,) = refusal(tmp_path, name).problems
    assert (problem.code, problem.file) == ("E-MEG-02", part)
    (tmp_path / part).unlink()
    (problem,) = refusal(tmp_path, name).problems
    assert (problem.code, problem.file) == ("E-MEG-03", part)
    assert part in files.files_of(Meg(), run, tmp_path)


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"", "empty"),
        (b"<!DOCTYPE html>\n<html><body>not found</body></html>", "web page"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:12\nsize 12\n", "pointer"),
        (b"no recording at all, though somewhat long" * 9, "damaged"),
    ],
)
@pytest.mark.parametrize("ending", ["_raw.fif", ".set", ".edf", ".vhdr"])
def test_what_is_no_recording_is_refused_and_told_what_it_is_instead(content, why, ending, tmp_path):
    (tmp_path / f"story{ending}").write_bytes(content)
    (problem,) = refusal(tmp_path, f"story{ending}").problems
    assert problem.code == "E-MEG-01"
    assert why in problem.why
    assert str(tmp_path) not in str(problem)


def test_an_unknown_ending_is_refused_with_the_endings_that_can_be_read(tmp_path):
    (tmp_path / "story.xyz").write_bytes(b"123")
    (problem,) = refusal(tmp_path, "story.xyz").problems
    assert (problem.code, problem.found) == ("E-MEG-04", ".xyz")
    assert {".fif", ".vhdr", ".set", ".edf", ".ds", ".con"} <= set(problem.expected.split())


def test_a_missing_file_is_told_with_the_nearest_name(tmp_path):
    simulated(tmp_path / "story_raw.fif")
    (problem,) = refusal(tmp_path, "stroy_raw.fif").problems
    assert problem.code == "E-MEG-23"
    assert "story_raw.fif" in problem.fix


@needs_real
def test_eeglab_data_that_are_missing_or_cut_off_are_told(tmp_path):
    shutil.copy(REAL / "EEGLAB" / "test_raw.set", tmp_path / "test_raw.set")
    (problem,) = refusal(tmp_path, "test_raw.set").problems
    assert (problem.code, problem.found) == ("E-MEG-05", "no test_raw.fdt")
    data = (REAL / "EEGLAB" / "test_raw.fdt").read_bytes()
    (tmp_path / "test_raw.fdt").write_bytes(data[:-4])
    (problem,) = refusal(tmp_path, "test_raw.set").problems
    assert (problem.code, problem.found, problem.expected) == (
        "E-MEG-02",
        f"{len(data) - 4} bytes",
        f"{len(data)} bytes",
    )


@pytest.mark.parametrize("ending", [".eeg", ".vmrk"])
def test_a_companion_of_brainvision_that_is_missing_is_named(tiny, ending):
    (tiny / TINY).with_suffix(ending).unlink()
    (problem,) = refusal(tiny, TINY).problems
    assert problem.code == "E-MEG-05"
    assert problem.found == f"no {TINY.removesuffix('.vhdr')}{ending}"


def test_brainvision_that_is_shorter_than_it_says_is_refused(tiny):
    text = (tiny / TINY).read_text(encoding="utf-8")
    (tiny / TINY).write_text(
        text.replace("NumberOfChannels=69", "NumberOfChannels=69\nDataPoints=10001"), encoding="utf-8"
    )
    (problem,) = refusal(tiny, TINY).problems
    assert (problem.code, problem.expected) == ("E-MEG-02", f"{10001 * 69 * 2} bytes")


def edf(path: Path, n_records: int = 4) -> None:
    """Two channels of EDF at 100 Hz, a record a second."""
    fields = ["0".ljust(8), "X".ljust(80), "X".ljust(80), "01.01.20", "00.00.00", str(256 * 3).ljust(8), " " * 44]
    fields += [str(n_records).ljust(8), "1".ljust(8), "2".ljust(4)]
    for values, width in (("C3 C4", 16), ("x x", 80), ("uV uV", 8), ("-100 -100", 8), ("100 100", 8), ("-32768 -32768", 8),
                          ("32767 32767", 8), ("x x", 80), ("100 100", 8), ("x x", 32)):  # fmt: skip
        fields += [value.ljust(width) for value in values.split()]
    values = np.random.default_rng(0).integers(-9000, 9000, n_records * 200).astype("<i2")
    path.write_bytes("".join(fields).encode("ascii") + values.tobytes())


def test_an_edf_file_that_was_cut_off_is_refused_though_mne_would_read_it(tmp_path):
    edf(tmp_path / "night.edf")
    assert files.opened(Meg(), tmp_path, "night.edf", run_of("night.edf")).n_times == 400
    data = (tmp_path / "night.edf").read_bytes()
    (tmp_path / "night.edf").write_bytes(data[:-400])
    assert mne.io.read_raw(tmp_path / "night.edf", verbose="ERROR").n_times == 300
    (problem,) = refusal(tmp_path, "night.edf").problems
    assert (problem.code, problem.found, problem.expected) == (
        "E-MEG-02",
        f"{len(data) - 400} bytes",
        f"{len(data)} bytes",
    )


def test_a_half_copied_ctf_folder_is_refused_with_what_it_lacks(tmp_path):
    (tmp_path / "story.ds").mkdir()
    (tmp_path / "story.ds" / "story.res4").write_bytes(b"MEG41RS\0" + bytes(2000))
    (problem,) = refusal(tmp_path, "story.ds").problems
    assert (problem.code, problem.found) == ("E-MEG-05", "no story.ds/story.meg4")
    assert files.files_of(Meg(), run_of("story.ds"), tmp_path)[:2] == ["story.ds/story.res4", "story.ds/story.meg4"]


def test_bad_channels_come_from_the_file_the_table_beside_it_and_the_study(tmp_path):
    name = "sub-01_task-a_run-1_proc-filt_raw.fif"
    raw = simulated(tmp_path / name)
    raw.info["bads"] = [raw.ch_names[0]]
    raw.save(tmp_path / name, overwrite=True, verbose="ERROR")
    table = f"name\ttype\tstatus\n{raw.ch_names[1]}\tMEGMAG\tbad\n{raw.ch_names[2]}\tMEGMAG\tgood\n"
    (tmp_path / "sub-01_task-a_channels.tsv").write_text(table)
    (tmp_path / "sub-01_task-b_channels.tsv").write_text(table.replace("good", "bad"))  # of another task
    found = files.opened(Meg(bads=(raw.ch_names[3],)), tmp_path, name, run_of(name))
    assert found.info["bads"] == [raw.ch_names[i] for i in (0, 1, 3)]
    assert "sub-01_task-a_channels.tsv" in files.files_of(Meg(), run_of(name), tmp_path)


def test_bad_channels_that_do_not_exist_are_refused_with_where_they_are_named(tmp_path):
    name = "sub-01_task-a_raw.fif"
    simulated(tmp_path / name)
    (tmp_path / "sub-01_task-a_channels.tsv").write_text("name\tstatus\nMEG9999\tbad\n")
    problems = refusal(tmp_path, name, Meg(bads=("MEG 0113 ",))).problems
    assert [(p.code, p.found) for p in problems] == [("E-MEG-08", "MEG9999"), ("E-MEG-08", "MEG 0113 ")]
    assert "sub-01_task-a_channels.tsv" in problems[0].field
    assert "study" in problems[1].field


def test_bids_sidecars_say_which_channels_are_bad_and_what_the_line_is(tiny):
    raw = files.opened(Meg(), tiny, TINY, run_of(TINY))
    assert raw.info["bads"] == ["PO10"]
    assert raw.info["line_freq"] == files.line_hz(tiny, TINY) == 60
    assert "show_stimulus" in set(raw.annotations.description)  # from events.tsv
    assert {"eog", "ecg"} <= set(raw.get_channel_types())  # the file itself calls them eeg


def test_a_table_of_channels_that_does_not_fit_its_file_is_refused(tiny):
    table = (tiny / TINY).with_name("sub-01_ses-eeg_task-rest_channels.tsv")
    table.write_text(table.read_text(encoding="utf-8").replace("Fp1", "Fpl"), encoding="utf-8")
    (problem,) = refusal(tiny, TINY).problems
    assert problem.code == "E-MEG-06"
    assert problem.file.endswith("channels.tsv")


def test_bad_stretches_that_the_file_marks_outlive_the_table_of_events(tmp_path):
    name = "sub-01/meg/sub-01_task-a_meg.fif"
    (tmp_path / "sub-01" / "meg").mkdir(parents=True)
    (tmp_path / "dataset_description.json").write_text('{"Name": "x", "BIDSVersion": "1.9.0"}')
    raw = simulated(tmp_path / name)
    raw.set_annotations(mne.Annotations([1.0, 2.0], [0.5, 0.1], ["bad_door", "old"]))
    raw.save(tmp_path / name, overwrite=True, verbose="ERROR")
    (tmp_path / name).with_name("sub-01_task-a_events.tsv").write_text("onset\tduration\ttrial_type\n3.0\t0.2\tword\n")
    found = files.opened(Meg(), tmp_path, name, run_of(name)).annotations
    assert [(a["onset"], a["description"]) for a in found] == [(1.0, "bad_door"), (3.0, "word")]
