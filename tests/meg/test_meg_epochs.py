"""Windows around words: cut where MNE cuts them, and every word that is left out counted with its reason."""

import mne
import numpy as np
import pandas as pd
import pytest

from pipeline.problems import Problem, StudyError
from pipeline.recordings.meg import Meg
from pipeline.recordings.meg.channels import Channels
from pipeline.recordings.meg.epochs import Cut, beside, cut, latencies
from pipeline.recordings.meg.signal import Signal
from pipeline.recordings.meg.triggers import Clock
from pipeline.runs import Run

RUN = Run("01", "a", "meg", ("a_raw.fif",), "words.tsv")
SFREQ, N, LENGTH_S = 100.0, 60, 80.0
CHANNELS = Channels(("MEG0111", "MEG0112", "MEG0113"), ("mag", "grad", "grad"), np.zeros((3, 12)), "not digitised")
HERE = 0  # the magnetometer
DRIFTING = dict(slope=1 + 500e-6, offset_s=2.0)


def values(seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(0, 100, (3, round(LENGTH_S * SFREQ))).astype(np.float32)


def signal_of(data: np.ndarray | None = None, *, bad: tuple[int, ...] = (), bad_spans: list | None = None) -> Signal:
    data = values() if data is None else data
    freqs, psd = np.arange(3.0), np.ones((3, 3))
    return Signal(data, SFREQ, np.isin(np.arange(3), bad), bad_spans or [], freqs, psd, psd, [], {}, [])


def clock_of(n: int = N, *, slope: float = 1.0, offset_s: float = 0.0, jitter: int = 0) -> Clock:
    return Clock(slope, offset_s, np.ones(n, bool), np.zeros(jitter), {}, [])


def words_of(onsets: np.ndarray | None = None) -> pd.DataFrame:
    onsets = 2 + np.arange(N) * 1.13 if onsets is None else onsets
    return pd.DataFrame({"onset": onsets, "duration": 0.1, "word": "a"})


def made(signal: Signal | None = None, words: pd.DataFrame | None = None, clock: Clock | None = None, **how) -> Cut:
    words = words_of() if words is None else words
    return cut(Meg(**how), signal or signal_of(), clock or clock_of(len(words)), words, CHANNELS, RUN, "a_raw.fif")


def refused(*given, **how) -> Problem:
    with pytest.raises(StudyError) as told:
        made(*given, **how)
    (problem,) = told.value.problems
    assert (problem.file, problem.subject, problem.level) == ("a_raw.fif", "01", "error")
    assert problem.found and problem.expected and problem.fix
    return problem


def by_channel(answer: Cut) -> np.ndarray:
    return answer.responses.reshape(len(answer.responses), 3, -1)


def by_mne(words: pd.DataFrame, clock: Clock, **how) -> np.ndarray:
    """What MNE cuts at the samples nearest to the words."""
    raw = mne.io.RawArray(values().astype(float), mne.create_info(3, SFREQ, "mag"), verbose="ERROR")
    at = np.round((clock.offset_s + clock.slope * words["onset"]) * SFREQ).astype(int)
    events = np.stack([at, np.zeros_like(at), np.ones_like(at)], axis=1)
    how = {"tmin": -0.5, "tmax": 1.0, "baseline": None} | how
    return mne.Epochs(raw, events, picks="all", preload=True, verbose="ERROR", **how).get_data()


# ---- where windows lie


def test_windows_are_those_that_mne_cuts():
    answer = made()
    np.testing.assert_array_equal(by_channel(answer), by_mne(words_of(), clock_of()).astype(np.float32))
    assert not answer.censored.any() and answer.warnings == []
    np.testing.assert_allclose(latencies(Meg()), np.arange(-50, 101) / 100, atol=1e-12)


def test_words_lie_where_the_clock_puts_them():
    words, clock = words_of(np.arange(N) * 1.2), clock_of(**DRIFTING)
    np.testing.assert_array_equal(by_channel(made(None, words, clock)), by_mne(words, clock).astype(np.float32))


@pytest.mark.parametrize("baseline", [(-0.2, 0.0), (-0.9, -0.6)])
def test_the_baseline_is_subtracted_as_mne_does_even_before_the_window(baseline):
    whole = by_mne(words_of(), clock_of(), tmin=-1.0, baseline=baseline)
    np.testing.assert_allclose(by_channel(made(baseline=baseline)), whole[:, :, 50:], atol=1e-4)


def test_targets_stand_channel_by_channel_and_in_each_latency_by_latency():
    ramp = np.arange(LENGTH_S * SFREQ, dtype=np.float32)
    answer = made(signal_of(np.stack([ramp, ramp + 1e4, ramp + 2e4])))
    row = answer.responses[0]
    np.testing.assert_array_equal(np.diff(row[:151]), 1)
    assert row[151] - row[0] == row[302] - row[151] == 1e4
    assert row[50] == 200  # the word's onset, 2 s, at latency 0


def test_a_planted_response_comes_out_at_its_latency():
    data = np.zeros((3, round(LENGTH_S * SFREQ)), np.float32)
    data[HERE, np.round((words_of()["onset"] + 0.15) * SFREQ).astype(int)] = 7
    evoked = made(signal_of(data)).evoked
    assert latencies(Meg())[evoked[HERE].argmax()] == pytest.approx(0.15) and evoked[HERE].max() == pytest.approx(7)


def test_the_mean_is_that_of_kept_words():
    answer = made(signal_of(bad_spans=[(10.0, 20.0)]))
    mean = by_channel(answer)[~answer.censored].astype(float).mean(axis=0)
    np.testing.assert_allclose(answer.evoked, mean, atol=1e-4)


def test_a_longer_recording_changes_no_window():
    longer = np.concatenate([values(), values(1)], axis=1)
    np.testing.assert_array_equal(made(signal_of(longer)).responses, made().responses)


# ---- row 60: windows that leave the recording


def test_words_outside_the_recording_keep_their_row_and_are_told():
    onsets = np.concatenate([[0.2], 2 + np.arange(N - 3) * 1.13, [79.5, 90.0]])
    answer = made(None, words_of(onsets))
    np.testing.assert_array_equal(np.flatnonzero(answer.censored), [0, N - 2, N - 1])
    assert len(answer.responses) == N and (answer.responses[answer.censored] == 0).all()
    assert answer.facts["n_outside"] == 3 and answer.facts["n_kept"] == N - 3
    (warning,) = answer.warnings
    assert warning.code == "W-MEG-42" and f"3 of {N} words" in warning.found
    assert "word 1 at 0.200 s, word 59 at 79.500 s" in warning.found


@pytest.mark.parametrize(("onset", "inside"), [(0.5, True), (0.49, False), (78.99, True), (79.0, False)])
def test_a_window_that_just_fits_is_kept(onset, inside):
    words = words_of(np.sort(np.append(2 + np.arange(N) * 1.13, onset)))
    answer = made(None, words, clock_of(len(words)))
    assert answer.censored[np.flatnonzero(words["onset"] == onset)[0]] != inside


def test_a_baseline_outside_the_recording_censors_the_word():
    words = words_of(np.append(0.6, 2 + np.arange(N) * 1.13))
    answer = made(None, words, clock_of(len(words)), baseline=(-0.8, -0.5))
    assert answer.facts["n_outside"] == 1 and answer.censored[0]


# ---- bad stretches, amplitudes, channels


def test_words_whose_windows_meet_a_bad_stretch_are_censored():
    answer = made(signal_of(bad_spans=[(20.0, 25.0)]))
    onsets = words_of()["onset"]
    np.testing.assert_array_equal(answer.censored, (onsets + 1.0 >= 20.0 - 0.005) & (onsets - 0.5 <= 25.0 + 0.005))
    assert answer.facts["n_annotated"] == answer.censored.sum() == answer.facts["n_words"] - answer.facts["n_kept"]
    (warning,) = answer.warnings
    assert warning.code == "W-MEG-40" and f"{answer.censored.sum()} in bad stretches" in warning.found


def spoiled(word: int, channel: int, by: float) -> np.ndarray:
    data = np.zeros((3, round(LENGTH_S * SFREQ)), np.float32)
    data[channel, round(words_of()["onset"][word] * SFREQ) + 20] = by
    return data


@pytest.mark.parametrize(
    ("kind", "channel", "threshold"), [("mag", 0, 4e-12), ("grad", 1, 4000e-13), ("grad", 2, 4000e-13)]
)
def test_thresholds_are_in_tesla_and_count_peak_to_peak_of_their_type(kind, channel, threshold):
    # 4e-12 T are 4000 fT; 4000e-13 T/m are 4000 fT/cm
    for by, rejected in ((3999, False), (4001, True), (-4001, True)):
        answer = made(signal_of(spoiled(7, channel, by)), reject={kind: threshold})
        np.testing.assert_array_equal(np.flatnonzero(answer.censored), [7] if rejected else [])
        assert answer.facts["by_channel"] == ({CHANNELS.names[channel]: 1} if rejected else {})


def test_thresholds_of_one_type_leave_the_others_alone():
    assert not made(signal_of(spoiled(7, HERE, 1e6)), reject={"grad": 4000e-13}).censored.any()


def test_rejected_words_are_counted_by_channel_and_told():
    data = spoiled(7, 0, 9000) + spoiled(8, 0, 9000) + spoiled(8, 1, 9000)
    answer = made(signal_of(data), reject={"mag": 4e-12, "grad": 4000e-13})
    assert answer.facts["n_rejected"] == 2 and answer.facts["by_channel"] == {"MEG0111": 2, "MEG0112": 1}
    assert "2 rejected; most often for MEG0111 (2 words), MEG0112 (1 words)" in answer.warnings[0].found


def test_bad_channels_are_missing_throughout_and_reject_nothing():
    data = values()
    data[HERE] *= 1000
    answer = made(signal_of(data, bad=(HERE,), bad_spans=[(20.0, 25.0)]), reject={"mag": 4e-12})
    assert np.isnan(by_channel(answer)[:, HERE]).all() and np.isnan(answer.evoked[HERE]).all()
    assert np.isfinite(by_channel(answer)[:, 1:]).all() and answer.facts["n_rejected"] == 0


def test_each_word_is_counted_once():
    data = values()
    data[HERE, 2000:3000] *= 1000
    onsets = np.append(2 + np.arange(N - 1) * 1.13, 95.0)
    known = np.arange(N) != 3
    clock = clock_of()._replace(known=known)
    answer = made(signal_of(data, bad_spans=[(19.0, 22.0)]), words_of(onsets), clock, reject={"mag": 4e-12})
    facts = answer.facts
    reasons = [facts[k] for k in ("n_kept", "n_outside", "n_annotated", "n_rejected", "n_unmarked")]
    assert sum(reasons) == facts["n_words"] == N and min(reasons) > 0
    assert facts["n_kept"] == (~answer.censored).sum() and answer.censored[3]


# ---- row 59: nothing is left


def test_a_threshold_that_rejects_every_epoch_is_refused_with_the_distribution_and_a_better_one():
    problem = refused(reject={"mag": 1e-15})
    amplitude = np.ptp(by_channel(made())[:, HERE], axis=1)
    low, middle, high = (f"{q:.4g}" for q in np.percentile(amplitude, [5, 50, 95]))
    assert problem.code == "E-MEG-40" and problem.field == "reject.mag"
    assert (
        f"0 of {N} epochs stay below 1e-15 (1 fT)" in problem.found
        and f"{low}, {middle} and {high} fT" in problem.found
    )
    better = float(problem.fix.split("{mag: ")[1].split("}")[0])
    assert 0.9 * N < made(reject={"mag": better}).facts["n_kept"] < N + 1


def test_a_threshold_that_leaves_too_few_is_refused_alike():
    amplitude = np.sort(np.ptp(by_channel(made())[:, HERE], axis=1))
    assert made(reject={"mag": (amplitude[30] - 0.01) * 1e-15}).facts["n_kept"] == 30
    problem = refused(reject={"mag": (amplitude[29] - 0.01) * 1e-15})
    assert problem.code == "E-MEG-40" and f"29 of {N} epochs" in problem.found


def test_fewer_than_thirty_words_are_refused_with_what_became_of_the_others():
    problem = refused(signal_of(bad_spans=[(0.0, 45.0)]))
    assert problem.code == "E-MEG-41" and "in bad stretches" in problem.found and "at least 30" in problem.expected
    problem = refused(None, words_of(np.linspace(60, 120, N)))
    assert problem.code == "E-MEG-41" and "outside the recording" in problem.found


def test_a_threshold_for_a_type_that_is_not_used_is_refused():
    problem = refused(reject={"eeg": 1e-4})
    assert problem.code == "E-MEG-44" and problem.found == "eeg" and problem.expected == "mag, grad"


# ---- two presentations


def test_two_presentations_at_other_places_give_the_same_words():
    data = values()
    later = np.concatenate([np.zeros((3, 300), np.float32), data], axis=1)
    first, second = made(signal_of(data)), made(signal_of(later), clock=clock_of(offset_s=3.0))
    np.testing.assert_array_equal(first.responses, second.responses)


# ---- the continuous form


def continuous(signal: Signal | None = None, words: pd.DataFrame | None = None, clock: Clock | None = None, **how):
    words = words_of() if words is None else words
    meg = Meg(form="continuous", **how)
    return beside(meg, signal or signal_of(), clock or clock_of(len(words)), words, CHANNELS, RUN, "a_raw.fif")


def test_the_continuous_signal_keeps_its_samples_and_tells_them_on_the_words_clock():
    answer, times_s = continuous(clock=clock_of(offset_s=-4.0))
    np.testing.assert_array_equal(answer.responses, values().T)
    np.testing.assert_allclose(times_s, 4 + np.arange(len(times_s)) / SFREQ)
    assert answer.facts["n_kept"] + answer.facts["n_outside"] == N


def test_with_triggers_moments_are_shared_between_presentations_and_drift_does_not_add_up():
    for slope, offset_s in ((1 + 800e-6, 2.004), (1 - 800e-6, -0.013)):
        _, times_s = continuous(clock=clock_of(slope=slope, offset_s=offset_s, jitter=N))
        np.testing.assert_allclose(times_s * SFREQ, np.round(times_s * SFREQ), atol=1e-6)
        np.testing.assert_allclose(np.diff(times_s), 1 / SFREQ, atol=1e-9)
        # a signal that tells its own time in the file
        clock_s = np.tile(np.arange(LENGTH_S * SFREQ, dtype=np.float32) / SFREQ, (3, 1))
        read, times_s = continuous(signal_of(clock_s), clock=clock_of(slope=slope, offset_s=offset_s, jitter=N))
        assert np.abs(read.responses[:, 0] - offset_s - slope * times_s).max() <= 0.5 / SFREQ + 1e-5
        assert len(times_s) == pytest.approx(LENGTH_S * SFREQ / slope, abs=2)


def test_bad_stretches_of_the_continuous_signal_are_censored():
    answer, times_s = continuous(signal_of(bad=(1,), bad_spans=[(20.0, 25.0)]))
    np.testing.assert_array_equal(answer.censored, (times_s >= 20) & (times_s <= 25))
    assert np.isnan(answer.responses[:, 1]).all() and (answer.responses[answer.censored][:, [0, 2]] == 0).all()


def test_the_mean_around_words_is_that_of_epochs():
    np.testing.assert_allclose(continuous()[0].evoked, made().evoked, atol=1e-3)


def test_a_continuous_recording_without_a_good_word_is_refused():
    with pytest.raises(StudyError, match="E-MEG-41"):
        continuous(signal_of(bad_spans=[(0.0, LENGTH_S)]))
