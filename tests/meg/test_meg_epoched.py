"""Clean epochs from a file: each is given to its word, whatever was dropped, and brought to the study's latencies."""

from pathlib import Path

import mne
import numpy as np
import pandas as pd
import pytest

from pipeline.problems import Problem, StudyError
from pipeline.recordings.meg import Meg
from pipeline.recordings.meg.channels import Channels
from pipeline.recordings.meg.epoched import from_epochs
from pipeline.recordings.meg.epochs import Cut, latencies
from pipeline.runs import Run

NAME, SFREQ, N = "sub-01_proc-clean_epo.fif", 500.0, 60
NAMES = ("EEG001", "EEG002", "EEG003", "EEG004")
CHANNELS = Channels(NAMES, ("eeg",) * 4, np.zeros((4, 12)), "not digitised")
RUN = Run("01", "a", "meg", (NAME,), "words.tsv")
OFFSET_S = 12.3
STUDY = dict(sfreq=100.0, h_freq=30.0)


def onsets_of(n: int = N, seed: int = 0) -> np.ndarray:
    return 3 + np.cumsum(np.random.default_rng(seed).uniform(0.3, 0.9, n)).round(3)


def words_of(onsets: np.ndarray | None = None) -> pd.DataFrame:
    return pd.DataFrame({"onset": onsets_of() if onsets is None else onsets, "duration": 0.1, "word": "a"})


def raw_of(onsets: np.ndarray, seed: int = 0) -> mne.io.RawArray:
    """Slow noise in volts at 500 Hz, the words 12.3 s later than their clock says, the first sample not 0."""
    n = round((onsets[-1] + OFFSET_S + 4) * SFREQ)
    info = mne.create_info(["x", *NAMES[::-1]], SFREQ, ["misc"] + ["eeg"] * 4)
    noise = np.random.default_rng(seed).normal(0, 1e-5, (5, n))
    raw = mne.io.RawArray(noise, info, first_samp=2500, verbose="ERROR")
    return raw.filter(None, 30, picks="eeg", verbose="ERROR")


def epochs_of(
    onsets: np.ndarray | None = None, *, drop: tuple[int, ...] = (), window: tuple[float, float] = (-0.6, 1.2)
):
    """What mne-bids-pipeline writes, at the rate of the raw file."""
    onsets = onsets_of() if onsets is None else onsets
    raw = raw_of(onsets)
    at = raw.first_samp + np.round((onsets + OFFSET_S) * SFREQ).astype(int)
    events = np.stack([at, np.zeros_like(at), np.ones_like(at)], axis=1)
    epochs = mne.Epochs(raw, events, {"word": 1}, *window, baseline=None, preload=True, verbose="ERROR")
    return epochs.drop(list(drop), verbose="ERROR")


def saved(epochs: mne.BaseEpochs, folder: Path) -> Path:
    epochs.save(folder / NAME, fmt="double", overwrite=True, verbose="ERROR")
    return folder


def read(folder: Path, words: pd.DataFrame | None = None, **how) -> Cut:
    return from_epochs(Meg(**STUDY | how), NAME, words_of() if words is None else words, CHANNELS, RUN, folder)


def refused(folder: Path, words: pd.DataFrame | None = None, **how) -> Problem:
    with pytest.raises(StudyError) as told:
        read(folder, words, **how)
    (problem,) = told.value.problems
    assert (problem.file, problem.subject, problem.level) == (NAME, "01", "error")
    assert problem.found and problem.fix and str(folder) not in str(problem)
    return problem


def expected(epochs: mne.BaseEpochs, **how) -> np.ndarray:
    """uV at the study's latencies, at 100 Hz every fifth sample."""
    at = np.round((latencies(Meg(**STUDY | how)) - epochs.times[0]) * SFREQ).astype(int)
    return epochs.get_data(picks=list(NAMES))[:, :, at] * 1e6


def test_epochs_of_all_words_are_read_in_microvolts_at_the_studys_latencies(tmp_path):
    epochs = epochs_of()
    answer = read(saved(epochs, tmp_path))
    np.testing.assert_allclose(answer.responses.reshape(N, 4, -1), expected(epochs), rtol=1e-5, atol=1e-5)
    assert not answer.censored.any() and answer.warnings == []
    assert answer.facts["epochs"]["n_kept"] == N and answer.facts["sfreq_hz"] == SFREQ
    assert answer.facts["triggers"]["offset_s"] == pytest.approx(
        OFFSET_S + 5, abs=2e-3
    )  # with the first sample's number


def test_words_whose_epochs_were_dropped_are_censored_and_counted(tmp_path):
    dropped = (4, 5, 40)
    epochs = epochs_of(drop=dropped)
    answer = read(saved(epochs, tmp_path))
    np.testing.assert_array_equal(np.flatnonzero(answer.censored), dropped)
    np.testing.assert_allclose(
        answer.responses[~answer.censored].reshape(N - 3, 4, -1), expected(epochs), rtol=1e-5, atol=1e-5
    )
    assert (answer.responses[answer.censored] == 0).all()
    assert answer.facts["epochs"]["n_unmarked"] == 3 and answer.facts["triggers"]["n_missing"] == 3
    (warning,) = answer.warnings
    assert warning.code == "W-MEG-43" and f"word 5 at {onsets_of()[4]:.3f} s" in warning.found


def test_epochs_that_were_resampled_keep_their_events_and_are_matched(tmp_path):
    epochs = epochs_of(drop=(7,)).resample(250, verbose="ERROR")
    answer = read(saved(epochs, tmp_path))
    np.testing.assert_array_equal(np.flatnonzero(answer.censored), [7])


def test_rates_that_are_no_multiple_are_resampled_as_mne_does(tmp_path):
    epochs = epochs_of()
    answer = read(saved(epochs, tmp_path), sfreq=120.0)
    again = epochs.copy().resample(120, verbose="ERROR")
    at = np.round((latencies(Meg(sfreq=120.0)) - again.times[0]) * 120).astype(int)
    np.testing.assert_allclose(
        answer.responses.reshape(N, 4, -1), again.get_data(picks=list(NAMES))[:, :, at] * 1e6, atol=1e-3
    )


def test_a_low_pass_too_high_to_leave_samples_out_is_resampled(tmp_path):
    epochs = epochs_of()
    with epochs.info._unlock():
        epochs.info["lowpass"] = 45.0
    answer = read(saved(epochs, tmp_path))
    again = epochs.copy().resample(100, verbose="ERROR").get_data(picks=list(NAMES)) * 1e6
    np.testing.assert_allclose(answer.responses.reshape(N, 4, -1), again[:, :, 10:161], atol=1e-3)


def test_several_runs_in_one_file_are_told_apart_by_their_words(tmp_path):
    first, second = epochs_of(), epochs_of(onsets_of(seed=4), drop=(2,))
    together = mne.concatenate_epochs([first, second], verbose="ERROR")
    saved(together, tmp_path)
    np.testing.assert_allclose(read(tmp_path).responses.reshape(N, 4, -1), expected(first), rtol=1e-5, atol=1e-5)
    answer = read(tmp_path, words_of(onsets_of(seed=4)))
    np.testing.assert_array_equal(np.flatnonzero(answer.censored), [2])


def test_the_baseline_is_mnes_and_may_lie_before_the_window(tmp_path):
    epochs = epochs_of()
    answer = read(saved(epochs, tmp_path), window=(0.0, 1.0), baseline=(-0.5, -0.1))
    again = epochs.copy().decimate(5, verbose="ERROR").apply_baseline((-0.5, -0.1), verbose="ERROR")
    at = np.round((latencies(Meg(window=(0.0, 1.0))) - again.times[0]) * 100).astype(int)
    np.testing.assert_allclose(
        answer.responses.reshape(N, 4, -1), again.get_data(picks=list(NAMES))[:, :, at] * 1e6, atol=1e-3
    )


def test_bad_and_broken_channels_are_missing_throughout(tmp_path):
    epochs = epochs_of()
    epochs.info["bads"] = ["EEG002"]
    epochs._data[3, epochs.ch_names.index("EEG003"), 400] = np.nan
    epochs._data[:, epochs.ch_names.index("EEG004")] = 1e-6
    answer = read(saved(epochs, tmp_path), most_bad=0.75)
    assert np.isnan(answer.responses.reshape(N, 4, -1)[:, 1:]).all()
    assert np.isfinite(answer.responses.reshape(N, 4, -1)[:, 0]).all()
    assert answer.facts["bads"] == {"named": ["EEG002"], "flat": ["EEG004"], "nan": ["EEG003"], "noisy": []}
    assert answer.warnings[0].code == "W-MEG-44" and answer.facts["nan_samples"] == 1
    assert refused(tmp_path).field == "most_bad"


def test_large_amplitudes_are_rejected_here_too(tmp_path):
    epochs = epochs_of()
    epochs._data[[8, 30], epochs.ch_names.index("EEG001"), 400:430] += 1e-3
    answer = read(saved(epochs, tmp_path), reject={"eeg": 4e-4})
    np.testing.assert_array_equal(np.flatnonzero(answer.censored), [8, 30])
    assert answer.facts["epochs"]["by_channel"] == {"EEG001": 2}


# ---- refused


@pytest.mark.parametrize(
    ("window", "how"),
    [((-0.3, 1.2), {}), ((-0.6, 0.8), {}), ((-0.6, 1.2), {"baseline": (-0.8, 0.0)})],
)  # fmt: skip
def test_epochs_shorter_than_the_window_are_refused_with_both(tmp_path, window, how):
    problem = refused(saved(epochs_of(window=window), tmp_path), **how)
    assert problem.code == "E-MEG-45" and f"epochs from {window[0]:g} to {window[1]:g} s" in problem.found
    assert f"at least {-0.8 if how else -0.5:g} to 1 s" in problem.expected


def test_epochs_at_a_lower_rate_are_refused(tmp_path):
    problem = refused(saved(epochs_of().resample(80, verbose="ERROR"), tmp_path))
    assert problem.code == "E-MEG-46" and "80 Hz" in problem.found and "sfreq: 80" in problem.fix


def test_epochs_of_other_words_are_refused(tmp_path):
    problem = refused(saved(epochs_of(), tmp_path), words_of(onsets_of(seed=9)))
    assert problem.code == "E-MEG-34" and problem.field == "events of the epochs, as triggers"


def test_epochs_have_no_continuous_form(tmp_path):
    assert refused(saved(epochs_of(), tmp_path), form="continuous").code == "E-MEG-48"


def test_a_truncated_file_is_refused_by_name(tmp_path):
    path = saved(epochs_of(), tmp_path) / NAME
    path.write_bytes(path.read_bytes()[:5000])
    problem = refused(tmp_path)
    assert problem.code == "E-MEG-02" and "5000 bytes" in problem.found


def test_a_file_without_epochs_is_refused(tmp_path):
    empty = epochs_of()[:0]
    problem = refused(saved(empty, tmp_path))
    assert problem.code == "E-MEG-43" and problem.found == "0 epochs"
