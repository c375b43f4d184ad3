"""From a file to a clean signal: planted faults are found, told and do no harm; time stays what it was."""

import json
from pathlib import Path

import mne
import numpy as np
import pytest
from laboratory import DATA

from pipeline.problems import StudyError
from pipeline.recordings.meg import files, filtering
from pipeline.recordings.meg.channels import Channels, channels_of
from pipeline.recordings.meg.kind import Meg
from pipeline.recordings.meg.signal import UNITS, Signal, check_rates, filtered
from pipeline.runs import Run

REAL = DATA / "meg_eeg"
needs_real = pytest.mark.skipif(not REAL.is_dir(), reason="the real recordings are not here (BRAINALIGN_DATA)")
RUN = Run("01", "story", "meg", ("story_raw.fif",), "words.tsv")
SIZE = {"mag": 3e-13, "grad": 5e-12, "eeg": 1e-5, "eog": 5e-5, "ecg": 1e-4, "seeg": 5e-5}  # of noise, in T, T/m and V
FAST = {"l_freq": None, "h_freq": 20, "sfreq": 50}  # short filters


def made(
    kinds: dict[str, int], seconds: float = 20.0, sfreq: float = 200.0, seed: int = 0, montage: str = "biosemi64"
) -> mne.io.RawArray:
    """White noise of plausible size on a part of a real helmet and of a standard cap."""
    helmet, rng = mne.channels.read_meg_canonical_info("neuromag"), np.random.default_rng(seed)
    cap = mne.channels.make_standard_montage(montage)
    picks = np.sort(
        np.concatenate(
            [mne.pick_types(helmet, meg=kind)[:n] for kind, n in kinds.items() if kind in ("mag", "grad")] or [[]]
        )
    ).astype(int)
    names = [helmet["ch_names"][i] for i in picks] + cap.ch_names[: kinds.get("eeg", 0)]
    names += [f"{kind}{i}" for kind in ("seeg", "eog", "ecg", "stim") for i in range(kinds.get(kind, 0))]
    types = helmet.get_channel_types(picks) if len(picks) else []
    types = [
        *types,
        *["eeg"] * kinds.get("eeg", 0),
        *(kind for kind in ("seeg", "eog", "ecg", "stim") for _ in range(kinds.get(kind, 0))),
    ]
    info = mne.create_info(names, sfreq, types)
    for channel, i in zip(info["chs"], picks, strict=False):
        channel["loc"], channel["coil_type"] = helmet["chs"][i]["loc"].copy(), helmet["chs"][i]["coil_type"]
    if kinds.get("eeg"):
        info.set_montage(cap, on_missing="ignore")
    values = (
        rng.normal(size=(len(names), round(seconds * sfreq)))
        * np.array([SIZE.get(kind, 0.0) for kind in types])[:, None]
    )
    return mne.io.RawArray(values, info, verbose="ERROR")


def changed(raw: mne.io.BaseRaw, row: int | slice, start: int, stop: int, value) -> mne.io.BaseRaw:
    """The same recording with other values in some samples."""
    values = raw.get_data()
    values[row, start:stop] = value
    other = mne.io.RawArray(values, raw.info, verbose="ERROR")
    return other.set_annotations(raw.annotations)


def result(raw: mne.io.BaseRaw, folder: Path = Path(), **settings) -> Signal:
    """What is left of the picked channels."""
    meg = Meg(**(FAST | settings))
    return filtered(meg, raw, channels(raw, *meg.picks), RUN, folder, "story_raw.fif")


def channels(raw: mne.io.BaseRaw, *picks: str) -> Channels:
    kinds = raw.get_channel_types()
    brain = next(group for group in (("mag", "grad"), ("eeg",), ("seeg",)) if set(group) & set(kinds))
    wanted = brain if picks == ("data",) else picks
    which = [i for i, kind in enumerate(kinds) if kind in wanted]
    loc = np.array([raw.info["chs"][i]["loc"] for i in which])
    return Channels(tuple(raw.ch_names[i] for i in which), tuple(kinds[i] for i in which), loc, "")


def refusal(raw: mne.io.BaseRaw, folder: Path = Path(), **settings):
    with pytest.raises(StudyError) as caught:
        result(raw, folder, **settings)
    return caught.value.problems


def told(signal: Signal, name: str) -> tuple[bool, str]:
    (step,) = [step for step in signal.steps if step["step"] == name]
    return step["done"], step["told"]


def codes(signal: Signal) -> set[str]:
    return {warning.code for warning in signal.warnings}


# --- real files


@needs_real
@pytest.mark.parametrize(
    ("name", "settings", "shape"),
    [
        ("MEG/141027_cropped_90Hz_raw.fif", {"sfreq": 90}, (306, 900)),
        ("MEG/neuromag122_test_file-raw.fif", {}, (122, 101)),
        ("MEG/sample_audvis_trunc_raw_sss.fif", {}, (306, 100)),
        ("MEG/sample_audvis_trunc_raw_sss.fif", {"picks": "eeg"}, (60, 100)),
        ("EEGLAB/test_raw.set", {}, (32, 23831)),
        ("tiny_bids/sub-01/ses-eeg/eeg/sub-01_ses-eeg_task-rest_eeg.vhdr", {}, (64, 200)),
    ],
)
def test_real_recordings_go_through_and_every_step_is_told(name, settings, shape):
    meg, run = Meg(**settings), RUN._replace(responses=(name,))
    found = filtered(meg, files.opened(meg, REAL, name, run), channels_of(meg, [run], REAL), run, REAL, name)
    assert found.values.shape == shape
    assert found.values.dtype == np.float32
    assert np.isfinite(found.values).all()
    assert 0.01 < np.median(np.abs(found.values)) < 1000  # fT, fT/cm, uV
    assert [s["step"] for s in found.steps] == [
        "filters of the file", "missing samples", "notch filter", "band-pass", "resampling", "projectors of the file",
        "Maxwell filter", "eyes and heart", "interpolation of bad channels", "EEG reference",
    ]  # fmt: skip
    assert all(step["told"] for step in found.steps)
    assert json.loads(json.dumps(found.facts)) == found.facts


@needs_real
def test_a_real_recording_is_what_mne_makes_of_it():
    name, meg = "MEG/141027_cropped_90Hz_raw.fif", Meg(sfreq=90, l_freq=1, h_freq=30)
    run = RUN._replace(responses=(name,))
    found = filtered(meg, files.opened(meg, REAL, name, run), channels_of(meg, [run], REAL), run, REAL, name)
    direct = mne.io.read_raw(REAL / name, preload=True, verbose="ERROR").filter(1, 30, verbose="ERROR")
    scale = np.array([UNITS[kind][1] for kind in direct.get_channel_types()])[:, None]
    np.testing.assert_allclose(found.values, direct.get_data() * scale, rtol=1e-5, atol=1e-3)


@needs_real
def test_flat_channels_of_a_real_recording_are_those_that_never_change():
    name, meg = "MEG/neuromag122_test_file-raw.fif", Meg()
    run = RUN._replace(responses=(name,))
    raw, chosen = files.opened(meg, REAL, name, run), channels_of(meg, [run], REAL)
    found = filtered(meg, raw, chosen, run, REAL, name)
    still = [channel for channel in chosen.names if np.ptp(raw.get_data([channel])) == 0]
    assert found.facts["bads"]["flat"] == still != []
    assert [n for n, bad in zip(chosen.names, found.bad, strict=True) if bad] == still
    assert "W-MEG-01" in codes(found)


# --- time


@pytest.mark.parametrize(
    ("sfreq", "seconds"),
    [
        (1000.0, 60.001),
        (512.0, 61.3),
        (300.3074951171875, 100.0),
        (600.614990234375, 60.0),
        (128.0, 238.3125),
        (250.0, 2.0),
    ],
)
def test_resampling_moves_nothing_in_time(sfreq, seconds):
    raw = made({"eeg": 2}, seconds, sfreq)
    at_s, f_hz = np.arange(raw.n_times) / sfreq, 3.0
    raw = changed(raw, slice(None), 0, raw.n_times, 1e-5 * np.sin(2 * np.pi * f_hz * at_s))
    found = result(raw, sfreq=100, h_freq=None, reference="none")
    moments = np.arange(found.values.shape[1]) / found.sfreq
    assert moments[-1] <= at_s[-1] < moments[-1] + 1 / found.sfreq + 1e-9
    for part in np.array_split(np.arange(len(moments))[10:-10], 3):
        waves = np.stack([np.sin(2 * np.pi * f_hz * moments[part]), np.cos(2 * np.pi * f_hz * moments[part])], axis=1)
        sine, cosine = np.linalg.lstsq(waves, found.values[0, part], rcond=None)[0]
        assert abs(np.arctan2(cosine, sine) / (2 * np.pi * f_hz)) < 1e-4  # s; MNE's own rounding comes to 5e-3
        assert np.hypot(sine, cosine) == pytest.approx(10, rel=1e-3)


def test_an_impulse_stays_at_its_place_through_filter_and_resampling():
    raw = made({"eeg": 3}, 30, 1000)
    raw = changed(raw, 1, 12_345, 12_346, 1e-2)
    found = result(raw, sfreq=100, h_freq=30, reference="none")
    peak = np.abs(found.values[1]).argmax()
    assert abs(peak / found.sfreq - 12.345) <= 0.5 / found.sfreq + 1e-9


def test_what_lies_in_the_pass_band_stays_and_what_lies_outside_goes():
    raw = made({"eeg": 3}, 30, 500)
    at_s = np.arange(raw.n_times) / 500
    waves = [np.sin(2 * np.pi * f * at_s) for f in (0.2, 8.0, 60.0)]
    raw = changed(raw, slice(None), 0, raw.n_times, 1e-5 * np.array(waves))
    found = result(raw, l_freq=5, h_freq=30, sfreq=100, reference="none").values[:, 300:-300]
    np.testing.assert_allclose(found.std(axis=1), [0, 10 / np.sqrt(2), 0], atol=0.05)


def test_a_file_that_has_the_rate_already_is_not_resampled():
    found = result(made({"eeg": 3}, sfreq=50), h_freq=None, reference="none")
    assert told(found, "resampling") == (False, "the file has 50 Hz already")
    assert told(found, "band-pass")[0] is False


def test_the_recording_that_came_in_is_left_as_it_was():
    raw = made({"mag": 4, "eeg": 4, "stim": 1})
    raw.info["bads"], before, names = [raw.ch_names[0]], raw.get_data(), list(raw.ch_names)
    result(raw)
    np.testing.assert_array_equal(raw.get_data(), before)
    assert (raw.ch_names, raw.info["bads"], raw.info["sfreq"]) == (names, [names[0]], 200)


def test_channels_held_a_few_at_a_time_come_out_the_same(monkeypatch):
    raw = made({"mag": 5, "grad": 4})
    raw = changed(raw, 3, 100, 110, np.nan)
    raw = changed(raw, 6, 0, raw.n_times, 0.0)
    whole = result(raw)
    monkeypatch.setattr(filtering, "_HELD", 2 * 8 * raw.n_times)
    parts = result(raw)
    np.testing.assert_array_equal(parts.values, whole.values)
    assert (parts.facts, parts.bad_spans) == (whole.facts, whole.bad_spans)


def test_the_same_twice_is_the_same_to_the_byte():
    raw = made({"mag": 12, "eog": 1}, 20)
    first, second = (result(raw, artifacts="ica", n_ica=5) for _ in range(2))
    assert first.values.tobytes() == second.values.tobytes()
    assert first.facts == second.facts


# --- what cannot be used


def test_one_missing_sample_is_bridged_counted_and_marked_and_poisons_nothing():
    raw = made({"mag": 5})
    clean, found = result(raw), result(changed(raw, 2, 1000, 1001, np.nan))
    poisoned = mne.filter.filter_data(changed(raw, 2, 1000, 1001, np.nan).get_data()[2], 200, 0.1, 20, verbose="ERROR")
    assert not np.isfinite(poisoned).any()
    assert np.isfinite(found.values).all()
    np.testing.assert_array_equal(found.values[[0, 1, 3, 4]], clean.values[[0, 1, 3, 4]])
    away = np.abs(np.arange(clean.values.shape[1]) / 50 - 5) > 0.5  # s; longer than the filter
    np.testing.assert_allclose(found.values[2, away], clean.values[2, away], atol=0.5)  # fT, of 300
    assert found.facts["nan_samples"] == 1
    assert found.bad_spans == [(5.0, 5.005)]
    assert not found.bad.any()
    assert "W-MEG-02" in codes(found)
    assert told(found, "missing samples")[0] is True


def test_a_channel_that_lacks_more_than_a_twentieth_is_bad_and_marks_no_stretch():
    raw = made({"mag": 5})
    found = result(changed(raw, 2, 0, raw.n_times // 10, np.inf))
    assert found.facts["bads"]["nan"] == [raw.ch_names[2]]
    assert found.bad.tolist() == [False, False, True, False, False]
    assert found.bad_spans == []
    assert found.facts["nan_samples"] == raw.n_times // 10


@pytest.mark.parametrize(
    ("kind", "factor", "unit"),
    [
        ("mag", 1e15, "fT"),
        ("mag", 1e12, "pT"),
        ("grad", 1e13, "fT/cm"),
        ("eeg", 1e6, "uV"),
        ("seeg", 1e6, "uV"),
        ("mag", 1e-6, ""),
    ],
)
def test_values_in_another_unit_are_refused_with_the_factor(kind, factor, unit):
    raw = made({kind: 5})
    raw = changed(raw, slice(None), 0, raw.n_times, raw.get_data() * factor)
    (problem,) = refusal(raw)
    assert (problem.code, problem.field) == ("E-MEG-13", f"{kind} channels")
    median = np.median(np.abs(raw.get_data()))
    assert float(problem.found.split()[2]) == pytest.approx(median, rel=0.05)
    assert (f"look like {unit}: multiply them by {1 / factor:g}" in problem.fix) if unit else ("unit" in problem.fix)


def test_an_amplifiers_offset_is_no_wrong_unit():
    raw = made({"eeg": 5})
    offset = changed(raw, slice(None), 0, raw.n_times, raw.get_data() + 0.3)  # V
    np.testing.assert_allclose(
        result(offset, l_freq=1).values[:, 100:-100], result(raw, l_freq=1).values[:, 100:-100], atol=0.01
    )


def test_flat_channels_are_bad_and_named():
    raw = made({"mag": 5, "grad": 5})
    raw = changed(raw, 1, 0, raw.n_times, 0.0)
    raw = changed(raw, 4, 500, raw.n_times, 3e-12)  # stuck for most of the time
    found = result(raw)
    assert found.facts["bads"] == {"named": [], "flat": [raw.ch_names[1], raw.ch_names[4]], "nan": [], "noisy": []}
    assert np.flatnonzero(found.bad).tolist() == [1, 4]


def test_a_channel_that_stands_still_for_a_while_marks_that_while():
    raw = made({"mag": 5}, 100)
    found = result(changed(raw, 1, 2000, 2600, 0.0))
    ((start, end),) = found.bad_spans
    assert (start, end) == pytest.approx((10, 13), abs=0.011)
    assert not found.bad.any()
    assert found.facts["annotated_s"] == pytest.approx(3, abs=0.011)


def test_a_run_with_too_many_bad_channels_is_refused_with_their_list():
    raw = made({"mag": 8})
    raw.info["bads"] = [raw.ch_names[0], raw.ch_names[3]]
    assert result(raw).bad.sum() == 2
    raw = changed(raw, 5, 0, raw.n_times, 0.0)
    (problem,) = refusal(raw)
    assert problem.code == "E-MEG-09"
    assert all(raw.ch_names[i] in problem.found for i in (0, 3, 5))
    assert problem.found.startswith("3 of 8")
    assert result(raw, most_bad=0.38).bad.sum() == 3
    assert "0.38" in problem.fix


def test_a_channel_louder_than_the_others_is_told_and_stays():
    raw = made({"mag": 20})
    raw = changed(raw, 7, 0, raw.n_times, raw.get_data()[7] * 30)
    found = result(raw)
    assert found.facts["bads"]["noisy"] == [raw.ch_names[7]]
    assert not found.bad.any()
    assert "W-MEG-03" in codes(found)
    assert result(made({"mag": 20})).facts["bads"]["noisy"] == []


@pytest.mark.parametrize(("first", "date"), [(0, None), (3000, None), (3000, 10**9)])
def test_bad_stretches_are_told_in_seconds_of_the_file(first, date):
    raw = made({"mag": 4})
    raw = mne.io.RawArray(raw.get_data(), raw.info, first_samp=first, verbose="ERROR")
    raw.set_meas_date(date)
    raw.set_annotations(
        mne.Annotations(
            [1, 2, 2.5, 6, 8, 12],
            [0.5, 1, 1, 1, 0, 0],
            ["word", "BAD_blink", "bad door", "word", "EDGE boundary", "boundary"],
        )
    )
    found = result(raw)
    np.testing.assert_allclose(found.bad_spans, [(2, 3.5), (8, 8), (12, 12)], atol=1e-9)
    assert found.facts["annotated_s"] == pytest.approx(1.5)


def test_a_recording_that_is_bad_throughout_goes_through_and_is_marked_as_a_whole():
    raw = made({"mag": 4}).set_annotations(mne.Annotations(0, 20, "BAD"))
    found = result(raw)
    assert found.bad_spans == [(0, 20)]
    assert np.isfinite(found.psd_before).all()


# --- filters


@pytest.mark.parametrize(
    ("settings", "code"),
    [
        ({"h_freq": 25}, "E-MEG-12"),
        ({"sfreq": 60, "h_freq": 20}, "E-MEG-10"),
        ({"notch": [25.0], "h_freq": 20}, "E-MEG-12"),
    ],
)
def test_rates_that_do_not_allow_what_is_asked_for_are_refused(settings, code):
    meg = Meg(**({"sfreq": 50} | settings))
    with pytest.raises(StudyError) as caught:
        check_rates(meg, 50.0, RUN, "story_raw.fif")
    assert [p.code for p in caught.value.problems] == [code]
    check_rates(meg, 200.0, RUN, "story_raw.fif")


def with_line(line_hz: float, said: float | None) -> mne.io.RawArray:
    raw = made({"mag": 6}, 40, 500)
    at_s = np.arange(raw.n_times) / 500
    raw = changed(raw, slice(None), 0, raw.n_times, raw.get_data() + 3e-13 * np.sin(2 * np.pi * line_hz * at_s))
    raw.info["line_freq"] = said
    return raw


def test_the_line_and_its_multiples_go_where_the_low_pass_leaves_them():
    wide = {"h_freq": 120, "sfreq": 250, "l_freq": None}
    left, taken = result(with_line(50, 50), notch=(77,), **wide), result(with_line(50, 50), **wide)
    at = np.abs(taken.freqs_hz - 50).argmin()
    assert (left.psd_after[:, at] > 20 * left.psd_after[:, at - 20]).all()
    assert (taken.psd_after[:, at] < taken.psd_after[:, at - 20]).all()
    assert told(taken, "notch filter") == (True, "50, 100 Hz (MNE's FIR, zero phase)")


@pytest.mark.parametrize(("said", "words"), [(50, "above what the low-pass leaves"), (None, "not known")])
def test_a_notch_that_is_not_needed_or_not_possible_is_said_to_be_skipped(said, words):
    done, why = told(result(with_line(50, said)), "notch filter")
    assert not done
    assert words in why
    assert ("peak at 50 Hz" in why) == (said is None)


@pytest.mark.parametrize(
    ("line", "said", "warned"), [(50, 60, True), (60, 50, True), (50, 50, False), (60, 60, False), (50, None, False)]
)
def test_a_line_frequency_that_the_spectrum_contradicts_is_told(line, said, warned):
    found = result(with_line(line, said))
    assert ("W-MEG-04" in codes(found)) == warned
    if warned:
        (warning,) = [w for w in found.warnings if w.code == "W-MEG-04"]
        assert f"peak at {line} Hz" in warning.found


def test_what_was_filtered_before_is_told():
    raw = made({"mag": 4}).filter(0.5, 30, verbose="ERROR")
    assert told(result(raw), "filters of the file") == (
        True,
        "the file was high-passed at 0.5 Hz and low-passed at 30 Hz",
    )
    assert told(result(made({"mag": 4})), "filters of the file")[0] is False


def test_a_filter_longer_than_the_recording_is_told():
    assert "W-MEG-06" in codes(result(made({"mag": 4}, 20), l_freq=0.1))
    assert "W-MEG-06" not in codes(result(made({"mag": 4}, 20), l_freq=1))


def test_missing_places_are_told_and_the_signal_goes_on():
    raw, meg = made({"eeg": 4}), Meg(**FAST)
    found = filtered(
        meg, raw, channels(raw, "eeg")._replace(why_no_places="nobody digitised them"), RUN, Path(), "story_raw.fif"
    )
    assert "W-MEG-05" in codes(found)
    assert np.isfinite(found.values).all()


# --- spectra


def test_the_spectrum_of_white_noise_is_flat_and_in_the_units_of_the_values():
    raw = made({"mag": 6}, 100, 400)
    found = result(raw, l_freq=None, h_freq=60, sfreq=150)
    wanted = 2 * (300.0**2) / 400  # fT^2/Hz, one side
    assert len(found.freqs_hz) <= 200
    assert found.freqs_hz[-1] == pytest.approx(90, abs=1)
    inside = (found.freqs_hz > 5) & (found.freqs_hz < 50)
    for psd in (found.psd_before, found.psd_after):
        np.testing.assert_allclose(psd[:, inside].mean(axis=1), wanted, rtol=0.03)
    assert np.isnan(found.psd_after[:, found.freqs_hz > 75.5]).all()
    assert np.isfinite(found.psd_before).all()


# --- over channels


@pytest.mark.parametrize(
    ("kinds", "settings", "why"),
    [
        ({"eeg": 4}, {}, "there is no MEG"),
        ({"mag": 4}, {"maxwell": "none"}, "not asked for"),
        ({"mag": 4}, {}, "no calibration and no cross_talk given"),
        ({"mag": 4}, {"calibration": "cal.dat"}, "no cross_talk given"),
    ],
)
def test_why_there_was_no_maxwell_filter_is_told(kinds, settings, why):
    done, said = told(result(made(kinds), **settings), "Maxwell filter")
    assert not done
    assert why in said


def system_files(folder: Path, info: mne.Info) -> dict[str, str]:
    """A calibration and a cross-talk file of a system that needs neither."""
    from mne._fiff import write
    from mne._fiff.constants import FIFF
    from scipy.sparse import eye_array

    names = [info["ch_names"][i].replace(" ", "") for i in mne.pick_types(info, meg=True, exclude=())]
    locs = [info["chs"][i]["loc"] for i in mne.pick_types(info, meg=True, exclude=())]
    gains = [
        [1.0] if kind == "mag" else [0.0, 0.0, 0.0]
        for kind in info.get_channel_types(mne.pick_types(info, meg=True, exclude=()))
    ]
    mne.preprocessing.write_fine_calibration(folder / "cal.dat", {"ch_names": names, "locs": locs, "imb_cals": gains})
    with write.start_and_end_file(folder / "ct.fif") as fid:
        write.start_block(fid, FIFF.FIFFB_DATA_CORRECTION)
        write.write_string(fid, FIFF.FIFF_COMMENT, "cross-talk compensation matrix")
        write.write_string(fid, FIFF.FIFF_CREATOR, "test")
        write.write_int(fid, FIFF.FIFF_MEAS_DATE, [0, 0])
        write.start_block(fid, FIFF.FIFFB_CHANNEL_DECOUPLER)
        write.write_float_sparse(fid, FIFF.FIFF_DECOUPLER_MATRIX, eye_array(len(names), format="csc", dtype=np.float32))
        write.write_name_list(fid, FIFF.FIFF_PROJ_ITEM_CH_NAME_LIST, names)
        write.end_block(fid, FIFF.FIFFB_CHANNEL_DECOUPLER)
        write.end_block(fid, FIFF.FIFFB_DATA_CORRECTION)
    return {"calibration": "cal.dat", "cross_talk": "ct.fif"}


def helmet_with_fields() -> tuple[mne.io.RawArray, np.ndarray, int]:
    """A whole helmet that sees one source inside and a stronger one far away; the coil that saw most of it sees neither."""
    info = mne.channels.read_meg_canonical_info("neuromag")
    with info._unlock():
        info["sfreq"], info["lowpass"] = 100.0, 50.0
        info["dev_head_t"] = mne.transforms.Transform("meg", "head", np.eye(4))
    rng = np.random.default_rng(0)
    coils = mne.forward._create_meg_coils(info["chs"], "normal", None)
    fields = [mne.forward._magnetic_dipole_field_vec(np.array([place]), coils, too_close="ignore").T @ moment
              for place, moment in (([0.0, 0.05, 0.06], [1, 0, 0.5]), ([0.0, 3.0, 1.0], [1.0, 0, 0]))]  # fmt: skip
    inside, outside = (field / np.abs(field[2::3]).max() for field in fields)
    courses = rng.normal(size=(2, 1500))
    signal = 1e-12 * np.outer(inside, courses[0])
    values = signal + 2e-11 * np.outer(outside, courses[1]) + 1e-15 * rng.normal(size=signal.shape)
    bad = 2 + 3 * int(np.abs(inside[2::3]).argmax())
    values[bad] = 5e-13 * rng.normal(size=1500)
    return mne.io.RawArray(values, info, verbose="ERROR"), signal, bad


@pytest.mark.slow
def test_a_maxwell_filter_takes_out_what_comes_from_far_away_and_rebuilds_bad_channels(tmp_path):
    raw, signal, bad = helmet_with_fields()
    raw.info["bads"] = [raw.ch_names[bad]]
    files_of_it = system_files(tmp_path, raw.info)
    plain = {"l_freq": None, "h_freq": None, "sfreq": 100, "notch": "auto"}
    before, after = result(raw, **plain), result(raw, tmp_path, **plain, **files_of_it)
    mags = np.arange(2, 306, 3)
    truth = signal[mags] * 1e15
    assert np.corrcoef(before.values[mags].ravel(), truth.ravel())[0, 1] < 0.5
    assert np.corrcoef(after.values[mags].ravel(), truth.ravel())[0, 1] > 0.98
    assert np.corrcoef(after.values[bad], signal[bad])[0, 1] > 0.9
    assert (before.bad[bad], after.bad.any()) == (True, False)
    done, said = told(after, "Maxwell filter")
    assert done
    assert raw.ch_names[bad] in said
    only = result(raw, tmp_path, **plain, **files_of_it, picks="mag")
    np.testing.assert_allclose(only.values, after.values[mags], rtol=1e-5, atol=1e-2)  # all coils help, picked or not


def test_calibration_that_is_missing_or_none_is_refused(tmp_path):
    raw, _, _ = helmet_with_fields()
    settings = {"l_freq": None, "h_freq": None, "sfreq": 100} | system_files(tmp_path, raw.info)
    assert [p.code for p in refusal(raw, tmp_path, **settings | {"calibration": "other.dat"})] == ["E-MEG-23"]
    (tmp_path / "ct.fif").write_bytes(b"<html></html>")
    (problem,) = refusal(raw, tmp_path, **settings)
    assert problem.code == "E-MEG-16"
    assert str(tmp_path) not in str(problem)


def test_active_shielding_without_a_maxwell_filter_is_refused():
    raw = made({"mag": 4})
    with raw.info._unlock():
        raw.info["maxshield"] = True
    (problem,) = refusal(raw)
    assert problem.code == "E-MEG-14"


def test_the_average_reference_is_of_all_good_eeg_channels_picked_or_not():
    raw = made({"eeg": 8})
    raw.info["bads"] = [raw.ch_names[3]]
    found = result(raw)
    np.testing.assert_allclose(found.values[~found.bad].mean(axis=0), 0, atol=1e-5)
    meg, few = Meg(**FAST), channels(raw, "eeg")
    few = Channels(few.names[:2], few.kinds[:2], few.loc[:2], "")
    np.testing.assert_array_equal(filtered(meg, raw, few, RUN, Path(), "x_raw.fif").values, found.values[:2])
    assert told(found, "EEG reference") == (True, "mean of 7 good channels")


def test_other_references():
    raw = made({"eeg": 6})
    plain = result(raw, reference="none")
    named = result(raw, reference=raw.ch_names[1:3])
    np.testing.assert_allclose(named.values, plain.values - plain.values[1:3].mean(axis=0), atol=1e-4)
    assert told(plain, "EEG reference")[0] is False
    (problem,) = refusal(raw, reference=["Fpl"])
    assert (problem.code, problem.fix) == ("E-MEG-15", "did you mean 'Fp1'?")
    raw.info["bads"] = ["Fp1"]
    (problem,) = refusal(raw, reference=["Fp1"])
    assert "is bad" in problem.found


def with_blinks() -> tuple[mne.io.RawArray, np.ndarray, np.ndarray]:
    """EEG with blinks on its front and in EOG, heart beats on one side and in ECG."""
    raw = made({"eeg": 16, "eog": 1, "ecg": 1}, 60, 200)
    raw = changed(raw, slice(None), 0, raw.n_times, raw.get_data() / 10)
    rng, at_s, values = np.random.default_rng(1), np.arange(12_000) / 200, raw.get_data()
    blinks = np.exp(-((at_s[:, None] - np.arange(2.3, 58, 3.7)) ** 2) / 2 / 0.08**2).sum(axis=1)
    beats = np.exp(-((at_s[:, None] - np.arange(1, 59, 0.83)) ** 2) / 2 / 0.02**2).sum(axis=1)
    values[:16] += np.outer(rng.uniform(0.5, 1, 16), 2e-4 * blinks) + np.outer(rng.uniform(0, 1, 16), 4e-5 * beats)
    values[16] += 5e-4 * blinks
    values[17] += 2e-3 * beats
    return changed(raw, slice(None), 0, raw.n_times, values), blinks, beats


@pytest.mark.parametrize("how", ["projectors", "ica"])
def test_blinks_and_heart_beats_that_eog_and_ecg_record_are_taken_out(how):
    raw, blinks, beats = with_blinks()
    settings = {"l_freq": 0.5, "h_freq": 40, "sfreq": 100, "reference": "none", "n_ica": 5}
    before, after = result(raw, **settings), result(raw, artifacts=how, **settings)
    for course in (blinks, beats):
        course = course[::2] - course.mean()
        left = [np.abs(signal.values @ course).mean() for signal in (before, after)]
        assert left[1] < 0.2 * left[0]
    assert told(after, "eyes (EOG)")[0]
    assert told(after, "heart (ECG)")[0]
    assert told(before, "eyes and heart") == (False, "not asked for (artifacts: none)")


def test_independent_components_that_are_not_found_are_told():
    """Of normal noise there are none: whichever way it is turned, it stays normal."""
    raw = made({"mag": 40, "eog": 1}, 20)
    found = result(raw, artifacts="ica", n_ica=40)
    (warning,) = [w for w in found.warnings if w.code == "W-MEG-07"]
    assert warning.level == "warning" and warning.field.endswith("n_ica") and "iterations" in warning.found


@pytest.mark.parametrize("how", ["projectors", "ica"])
def test_without_eog_and_ecg_nothing_is_taken_out_and_that_is_told(how):
    raw = made({"mag": 6})
    found = result(raw, artifacts=how)
    np.testing.assert_array_equal(found.values, result(raw).values)
    assert told(found, "eyes (EOG)") == (False, "there is no EOG channel")
    assert told(found, "heart (ECG)") == (False, "there is no ECG channel")


def smooth() -> tuple[mne.io.RawArray, np.ndarray]:
    """EEG whose pattern is smooth over the head, one channel of it lost."""
    raw = made({"eeg": 64}, 20, 200)
    places = np.array([channel["loc"][:3] for channel in raw.info["chs"]])
    courses = np.random.default_rng(2).normal(size=(3, raw.n_times))
    truth = 1e-4 * places @ courses / np.abs(places).max()
    values = truth.copy()
    values[20] = 1e-5 * np.random.default_rng(3).normal(size=raw.n_times)
    raw = changed(raw, slice(None), 0, raw.n_times, values)
    raw.info["bads"] = [raw.ch_names[20]]
    return raw, truth


def test_bad_channels_are_missing_or_come_from_their_neighbours_as_asked():
    raw, truth = smooth()
    missing, filled = (result(raw, reference="none", bad_channels=how) for how in ("missing", "interpolate"))
    wanted = filtered(
        Meg(**FAST, reference="none"),
        changed(raw, slice(None), 0, raw.n_times, truth),
        channels(raw, "eeg"),
        RUN,
        Path(),
        "x",
    ).values[20]
    assert (missing.bad[20], filled.bad.any()) == (True, False)
    assert np.corrcoef(filled.values[20], wanted)[0, 1] > 0.98
    assert filled.facts["bads"]["named"] == [raw.ch_names[20]]
    assert told(filled, "interpolation of bad channels") == (True, raw.ch_names[20])


def test_without_places_a_bad_channel_cannot_be_interpolated_and_stays_missing():
    raw, _ = smooth()
    raw.set_montage(None)
    found = result(raw, bad_channels="interpolate")
    assert found.bad[20]
    done, why = told(found, "interpolation of bad channels")
    assert not done
    assert raw.ch_names[20] in why


def test_projectors_of_the_file_are_not_used_and_counted():
    raw = made({"mag": 6})
    raw.add_proj(mne.compute_proj_raw(raw, n_mag=1, n_grad=0, n_eeg=0, verbose="ERROR"), verbose="ERROR")
    found = result(raw)
    assert told(found, "projectors of the file") == (False, "1 in the file, 0 applied before, the others not used")
    np.testing.assert_array_equal(found.values, result(made({"mag": 6})).values)
