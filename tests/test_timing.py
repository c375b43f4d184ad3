"""Words onto a clock: the filter against its formula, the bins by hand, delays and windows that never wrap."""

import inspect

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.timing import GRIDS, delay, epochs, outside, spread, to_grid

CLOCK = np.arange(8) * 2.0  # s: eight volumes of 2 s


def words(n: int = 40, n_features: int = 3, seed: int = 0, end_s: float = 16.0) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    return rng.normal(size=(n, n_features)), np.sort(rng.uniform(0, end_s, n))


def lanczos_by_hand(
    values: np.ndarray, onsets: np.ndarray, times: np.ndarray, cutoff_hz: float, window: int
) -> np.ndarray:
    """sinc(x) sinc(x / a) for |x| <= a, x = cutoff (t - onset), written out word by word."""
    out = np.zeros((len(times), values.shape[1]))
    for i, t in enumerate(times):
        for value, onset in zip(values, onsets, strict=True):
            x = np.pi * cutoff_hz * (t - onset)
            if x == 0:
                weight = 1.0
            elif abs(x) <= window * np.pi:
                weight = window * np.sin(x) * np.sin(x / window) / x**2
            else:
                weight = 0.0
            out[i] += weight * value
    return out


# --- the filter ---


def test_the_filter_cuts_off_at_one_over_the_spacing_and_has_three_lobes_unless_told():
    values, onsets = words()
    expected = lanczos_by_hand(values, onsets, CLOCK, cutoff_hz=0.5, window=3)
    assert np.allclose(to_grid(values, onsets, CLOCK), expected, rtol=0, atol=1e-12)


@pytest.mark.parametrize("cutoff_hz", [0.1, 0.25, 0.73, 2.0])
@pytest.mark.parametrize("window", [1, 2, 3, 5])
def test_the_filter_is_the_written_out_formula(cutoff_hz, window):
    values, onsets = words()
    expected = lanczos_by_hand(values, onsets, CLOCK, cutoff_hz, window)
    found = to_grid(values, onsets, CLOCK, cutoff_hz=cutoff_hz, window=window)
    assert np.allclose(found, expected, rtol=0, atol=1e-12)


def test_a_word_at_a_sample_is_that_sample_alone():
    """At the default cut-off the kernel is 1 at its own sample and 0 at all others."""
    found = to_grid(np.array([[7.0]]), np.array([6.0]), CLOCK)[:, 0]
    assert np.allclose(found, [0, 0, 0, 7, 0, 0, 0, 0], rtol=0, atol=1e-12)


def test_the_filter_looks_three_samples_ahead_and_no_further():
    late = np.array([11.0])
    reached = to_grid(np.ones((1, 1)), late, CLOCK)[:, 0] != 0
    assert np.array_equal(CLOCK[reached], [6, 8, 10, 12, 14])  # |t - 11| <= 3 / 0.5 s


def test_a_long_run_in_blocks_equals_short_pieces():
    values, onsets = words(n=900, end_s=1400.0)
    times = np.arange(700) * 2.0 + 0.3
    whole = to_grid(values, onsets, times, cutoff_hz=0.5)
    pieces = [to_grid(values, onsets, times[i : i + 50], cutoff_hz=0.5) for i in range(0, 700, 50)]
    assert np.allclose(whole, np.concatenate(pieces), rtol=0, atol=1e-12)


def test_a_long_run_in_blocks_is_the_written_out_formula():
    values, onsets = words(n=60, end_s=600.0)
    times = np.arange(300) * 2.0
    expected = lanczos_by_hand(values, onsets, times, cutoff_hz=0.5, window=3)
    assert np.allclose(to_grid(values, onsets, times), expected, rtol=0, atol=1e-12)


# --- the filter that never looks ahead ---


def lobes(x: float) -> float:
    return float(np.sinc(x) * np.sinc(x / 3)) if abs(x) <= 3 else 0.0


def test_the_causal_filter_is_the_other_a_lobe_later_without_what_lies_before_the_word():
    """Written out, with the areas by quadrature."""
    from scipy.integrate import quad

    gain = quad(lobes, -3, 3, limit=200)[0] / quad(lobes, -1, 3, limit=200)[0]
    values, onsets = words()
    late = np.subtract.outer(CLOCK, onsets) * 0.5
    weights = [[gain * lobes(x - 1) if x >= 0 else 0.0 for x in row] for row in late]
    assert np.allclose(to_grid(values, onsets, CLOCK, how="causal"), weights @ values, rtol=0, atol=1e-5)


@pytest.mark.parametrize("cutoff_hz", [0.2, 0.5])
def test_of_one_lobe_both_filters_are_the_same_one_lobe_apart(cutoff_hz):
    values, onsets = words()
    causal = to_grid(values, onsets, CLOCK, how="causal", cutoff_hz=cutoff_hz, window=1)
    other = to_grid(values, onsets + 1 / cutoff_hz, CLOCK, cutoff_hz=cutoff_hz, window=1)
    assert np.allclose(causal, other, rtol=0, atol=1e-12)


@given(st.floats(-20, 40), st.sampled_from([None, 0.1, 0.73]), st.integers(1, 5))
@settings(max_examples=60, deadline=None)
def test_a_word_reaches_no_sample_before_it(onset, cutoff_hz, window):
    found = to_grid(np.ones((1, 1)), np.array([onset]), CLOCK, how="causal", cutoff_hz=cutoff_hz, window=window)[:, 0]
    assert (found[onset > CLOCK] == 0).all()


def test_a_word_at_a_sample_is_the_next_sample_alone():
    found = to_grid(np.array([[7.0]]), np.array([6.0]), CLOCK, how="causal")[:, 0]
    assert np.allclose(found / found[4], [0, 0, 0, 0, 1, 0, 0, 0], rtol=0, atol=1e-12)


@given(st.floats(0, 16))
@settings(max_examples=30, deadline=None)
def test_the_future_changes_nothing_that_was(moment):
    values, onsets = words(n=200)
    other = np.where(onsets[:, None] > moment, np.random.default_rng(1).normal(size=values.shape), values)
    was, is_now = (to_grid(v, onsets, CLOCK, how="causal")[moment >= CLOCK] for v in (values, other))
    assert np.array_equal(was, is_now)


def test_the_future_enters_the_filter_that_looks_ahead():
    values, onsets = words(n=200)
    other = np.where(onsets[:, None] > 8, 0, values)
    was, is_now = (to_grid(v, onsets, CLOCK)[CLOCK <= 8] for v in (values, other))
    assert np.abs(was - is_now).max() > 0.1


@pytest.mark.parametrize("window", [1, 2, 3, 5])
def test_a_constant_stream_of_words_keeps_its_level(window):
    onsets, times = np.arange(0, 200, 0.05), np.arange(20, 180) * 1.0
    levels = [to_grid(np.ones((4000, 1)), onsets, times, how=how, window=window) for how in ("causal", "lanczos")]
    assert np.ptp(levels[0]) < 1e-4
    np.testing.assert_allclose(*levels, rtol=5e-4)


def test_the_causal_filter_cuts_off_nearly_as_sharply():
    """At 1.5 times the highest frequency of the samples: 1 % of a wave passes, 4 %, and of half a filter 55 %."""
    onsets, times = np.arange(0, 600, 0.02), np.arange(20, 580) * 1.0
    angle = 2 * np.pi * 0.75 * onsets
    wave = np.column_stack([np.cos(angle), np.sin(angle)]) * 0.02

    def passed(grid: np.ndarray) -> float:
        return float(np.hypot(*grid.T).mean())

    halved = spread(wave, onsets, times, lambda x: 2 * np.sinc(x) * np.sinc(x / 3) * (x <= 3), 3.0)
    found = [passed(to_grid(wave, onsets, times, how=how)) for how in ("lanczos", "causal")]
    np.testing.assert_allclose([*found, passed(halved)], [0.009, 0.045, 0.55], atol=0.002)


# --- any curve ---


def test_a_curve_is_laid_at_every_word():
    values, onsets = words()
    lags = np.subtract.outer(CLOCK, onsets)
    expected = np.where((lags >= 0) & (lags <= 5), np.exp(-lags), 0) @ values
    found = spread(values, onsets, CLOCK, lambda lag: np.exp(-lag), 5.0)
    assert np.allclose(found, expected, rtol=0, atol=1e-12)


def test_a_curve_at_words_without_times_is_refused():
    with pytest.raises(ValueError, match=r"1 words have a missing.*first rows: \[2\]"):
        spread(FEW, np.array([0.0, 1.0, np.nan]), CLOCK, np.exp, 5.0)
    with pytest.raises(ValueError, match="found steps from 1 to 3 s"):
        spread(FEW, FEW_ONSETS, np.array([0.0, 1.0, 4.0]), np.exp, 5.0)


# --- the bins ---

FEW = np.array([[1.0, 10.0], [2.0, 20.0], [4.0, 40.0]])  # two words in the second volume, one in the fourth
FEW_ONSETS = np.array([2.5, 3.9, 6.1])


@pytest.mark.parametrize(
    ("how", "second", "fourth"), [("sum", [3, 30], [4, 40]), ("mean", [1.5, 15], [4, 40]), ("last", [2, 20], [4, 40])]
)
def test_the_bins_are_those_counted_by_hand(how, second, fourth):
    expected = np.zeros((8, 2))
    expected[1], expected[3] = second, fourth
    assert np.array_equal(to_grid(FEW, FEW_ONSETS, CLOCK, how=how), expected)


@pytest.mark.parametrize("how", ["sum", "mean", "last"])
def test_a_word_on_a_border_belongs_to_the_sample_that_begins(how):
    found = to_grid(np.ones((1, 1)), np.array([4.0]), CLOCK, how=how)[:, 0]
    assert np.array_equal(np.flatnonzero(found), [2])


def test_every_border_of_a_tenth_of_a_second_clock_is_met():
    """0.1 * 3 / 0.1 is a hair below 3 in floating point: no word may slip into the sample before."""
    times = np.arange(2000) * 0.1
    borders = np.array([round(0.1 * k, 1) for k in range(2000)])  # as a table of onsets writes them
    assert np.array_equal(to_grid(np.ones((2000, 1)), borders, times, how="sum")[:, 0], np.ones(2000))


def test_the_last_bin_is_one_spacing_long():
    onsets = np.array([15.999, 16.0])
    assert to_grid(np.array([[1.0], [100.0]]), onsets, CLOCK, how="sum").sum() == 1


@given(st.lists(st.floats(0.01, 15.99), min_size=1, max_size=30), st.floats(-50, 50))
@settings(max_examples=50, deadline=None)
def test_the_sum_keeps_the_mass_of_the_words_inside(onsets, start_s):
    """Whatever the clock's origin: what goes in comes out."""
    values = np.arange(1.0, len(onsets) + 1)[:, None]
    assert to_grid(values, np.array(onsets) + start_s, CLOCK + start_s, how="sum").sum() == values.sum()


@given(st.lists(st.floats(-30, 60), min_size=1, max_size=30))
@settings(max_examples=50, deadline=None)
def test_every_word_is_either_in_a_bin_or_outside(onsets):
    onsets = np.array(onsets)
    assert to_grid(np.ones((len(onsets), 1)), onsets, CLOCK, how="sum").sum() + outside(onsets, CLOCK) == len(onsets)


# --- the line ---


def test_the_line_runs_straight_between_words_and_level_beyond_them():
    found = to_grid(np.array([[0.0], [8.0]]), np.array([4.0, 12.0]), CLOCK, how="linear")[:, 0]
    assert np.allclose(found, [0, 0, 0, 2, 4, 6, 8, 8], rtol=0, atol=1e-12)


# --- all of them ---


@pytest.mark.parametrize("how", GRIDS)
def test_words_out_of_order_give_the_same_result(how):
    values, onsets = words()
    order = np.random.default_rng(1).permutation(len(onsets))
    shuffled = to_grid(values[order], onsets[order], CLOCK, how=how)
    assert np.allclose(shuffled, to_grid(values, onsets, CLOCK, how=how), rtol=0, atol=1e-12)


@pytest.mark.parametrize("how", GRIDS)
def test_the_origin_of_time_does_not_matter(how):
    values, onsets = words()
    moved = to_grid(values, onsets + 64, CLOCK + 64, how=how)
    assert np.allclose(moved, to_grid(values, onsets, CLOCK, how=how), rtol=0, atol=1e-9)


@pytest.mark.parametrize("how", GRIDS)
def test_twice_the_values_are_twice_the_result(how):
    values, onsets = words()
    twice = to_grid(2 * values, onsets, CLOCK, how=how)
    assert np.allclose(twice, 2 * to_grid(values, onsets, CLOCK, how=how), rtol=0, atol=1e-12)


@pytest.mark.parametrize("how", ["lanczos", "causal", "sum", "mean", "last"])
def test_a_run_without_words_is_zero(how):
    assert np.array_equal(to_grid(np.zeros((0, 2)), np.zeros(0), CLOCK, how=how), np.zeros((8, 2)))


@pytest.mark.parametrize("how", ["sum", "mean", "last"])
def test_the_last_word_changes_no_earlier_sample(how):
    values, onsets = words()
    changed = values.copy()
    changed[-1] += 100
    sample = int(onsets[-1] // 2)
    before, after = to_grid(values, onsets, CLOCK, how=how), to_grid(changed, onsets, CLOCK, how=how)
    assert np.array_equal(before[:sample], after[:sample])
    assert not np.array_equal(before[sample], after[sample])


# --- outside ---


def test_words_before_and_after_the_clock_are_counted():
    onsets = np.array([-0.1, 0.0, 15.9, 16.0, 99.0])
    assert outside(onsets, CLOCK) == 3


# --- refusals ---


def test_lengths_that_differ_are_refused_with_both():
    unchecked = inspect.unwrap(to_grid)  # as users run it, without the shape checks of tests
    with pytest.raises(ValueError, match="3 rows of values, 2 onsets"):
        unchecked(FEW, FEW_ONSETS[:2], CLOCK)


def test_an_unknown_way_is_refused_with_the_known():
    with pytest.raises(
        ValueError, match=r"how='median' is not known; known: 'lanczos', 'causal', 'sum', 'mean', 'last', 'linear'"
    ):
        to_grid(FEW, FEW_ONSETS, CLOCK, how="median")


def test_uneven_times_are_refused_with_their_steps():
    with pytest.raises(ValueError, match="found steps from 1 to 3 s"):
        to_grid(FEW, FEW_ONSETS, np.array([0.0, 1.0, 4.0]))


def test_times_running_backwards_are_refused():
    with pytest.raises(ValueError, match="found steps from -2 to -2 s"):
        to_grid(FEW, FEW_ONSETS, CLOCK[::-1])


def test_a_missing_time_is_refused():
    with pytest.raises(ValueError, match="found steps from nan"):
        to_grid(FEW, FEW_ONSETS, np.array([0.0, np.nan, 4.0]))


def test_a_single_time_is_refused():
    with pytest.raises(ValueError, match="found 1 times"):
        to_grid(FEW, FEW_ONSETS, CLOCK[:1])


def test_missing_values_are_refused_with_their_count_and_rows():
    values, onsets = words(6)
    values[1, 2], onsets[4] = np.nan, np.inf
    with pytest.raises(ValueError, match=r"2 words have a missing.*first rows: \[1, 4\]"):
        to_grid(values, onsets, CLOCK)


@pytest.mark.parametrize("cutoff_hz", [0.0, -1.0])
def test_a_cutoff_that_is_no_frequency_is_refused(cutoff_hz):
    with pytest.raises(ValueError, match=f"cutoff_hz is {cutoff_hz:g}"):
        to_grid(FEW, FEW_ONSETS, CLOCK, cutoff_hz=cutoff_hz)


def test_a_filter_without_lobes_is_refused():
    with pytest.raises(ValueError, match="window is 0"):
        to_grid(FEW, FEW_ONSETS, CLOCK, window=0)


def test_a_line_through_no_words_is_refused():
    with pytest.raises(ValueError, match="how='linear' needs at least one word"):
        to_grid(np.zeros((0, 2)), np.zeros(0), CLOCK, how="linear")


# --- delays ---


def test_an_impulse_comes_out_once_at_every_delay():
    impulse = np.zeros((10, 1))
    impulse[3] = 1
    delays = (0, 1, 2, 5)
    assert np.argwhere(delay(impulse, delays)).tolist() == [[3, 0], [4, 1], [5, 2], [8, 3]]


def test_columns_are_ordered_delay_by_delay():
    X = np.arange(8.0).reshape(4, 2)
    found = delay(X, (1, 0))
    assert np.array_equal(found[1:, :2], X[:-1])
    assert np.array_equal(found[:, 2:], X)


def test_the_end_of_a_run_is_not_rolled_into_its_start():
    """charlottecaucheteux/brainscore `brain/fir.py` delays by np.roll: its first row is the story's end."""
    X = np.arange(1.0, 7.0)[:, None]
    peer = np.hstack([np.roll(X, d, axis=0) for d in (1, 2)])
    assert peer[0].tolist() == [6, 5]
    assert delay(X, (1, 2))[0].tolist() == [0, 0]


def test_delaying_after_joining_runs_bleeds_and_run_by_run_does_not():
    """HuthLab `apply_zscore_and_hrf` and Gallant's `Delayer` delay the concatenated stories."""
    first, second = np.full((4, 1), 5.0), np.full((4, 1), 7.0)
    joined = delay(np.concatenate([first, second]), (1, 2))
    apart = np.concatenate([delay(first, (1, 2)), delay(second, (1, 2))])
    assert joined[4].tolist() == [5, 5]
    assert apart[4].tolist() == [0, 0]


@given(st.integers(2, 12), st.integers(0, 11), st.data())
@settings(max_examples=60, deadline=None)
def test_a_row_changes_only_the_rows_its_delays_later(n, row, data):
    row = row % n
    delays = tuple(data.draw(st.lists(st.integers(0, n - 1), min_size=1, max_size=4, unique=True)))
    X = np.random.default_rng(n).normal(size=(n, 2))
    changed = X.copy()
    changed[row] += 1
    differs = (delay(X, delays) != delay(changed, delays)).any(axis=1)
    assert set(np.flatnonzero(differs)) == {row + d for d in delays if row + d < n}


def test_the_last_row_changes_no_earlier_row():
    X = np.random.default_rng(0).normal(size=(9, 2))
    changed = X.copy()
    changed[-1] += 1
    before, after = delay(X, (0, 1, 4)), delay(changed, (0, 1, 4))
    assert np.array_equal(before[:-1], after[:-1])
    assert not np.array_equal(before[-1], after[-1])


def test_delaying_keeps_the_precision():
    assert delay(np.ones((4, 1), np.float32), (1,)).dtype == np.float32


@pytest.mark.parametrize("delays", [(1, 6, 9), (-1,)])
def test_delays_that_leave_the_run_are_refused_with_its_length(delays):
    wrong = [d for d in delays if not 0 <= d < 6]
    with pytest.raises(ValueError) as refusal:
        delay(np.ones((6, 1)), delays)
    assert str(wrong) in str(refusal.value)
    assert "run of 6 volumes: each delay must lie between 0 and 5" in str(refusal.value)


# --- windows around words ---

SFREQ = 50.0


def recording(n_times: int = 400) -> np.ndarray:
    return np.random.default_rng(0).normal(size=(3, n_times))


def test_windows_are_those_that_mne_cuts():
    mne = pytest.importorskip("mne")
    onsets = np.array([1.0, 2.5, 4.24])
    raw = mne.io.RawArray(recording(), mne.create_info(3, SFREQ), verbose=False)
    events = np.column_stack([np.round(onsets * SFREQ).astype(int), [0] * 3, [1] * 3])
    expected = mne.Epochs(raw, events, tmin=-0.2, tmax=0.6, baseline=None, preload=True, verbose=False).get_data()
    assert np.array_equal(epochs(recording(), SFREQ, onsets, (-0.2, 0.6)), expected)


def test_windows_are_those_sliced_by_hand():
    signal, onsets = recording(), np.array([1.0, 2.5, 4.24])
    expected = np.stack([signal[:, s - 10 : s + 31] for s in (50, 125, 212)])  # both ends included
    assert np.array_equal(epochs(signal, SFREQ, onsets, (-0.2, 0.6)), expected)


def test_words_at_the_edge_are_rows_of_nan_and_none_is_dropped():
    onsets = np.array([0.19, 0.2, 4.0, 7.38, 7.4])  # a window of -0.2 ... 0.6 s in 8 s: 0.2 and 7.38 just fit
    found = epochs(recording(), SFREQ, onsets, (-0.2, 0.6))
    missing = np.isnan(found)
    assert found.shape == (5, 3, 41)
    assert missing.all(axis=(1, 2)).tolist() == [True, False, False, False, True]
    assert missing.any(axis=(1, 2)).sum() == 2


def test_a_window_that_starts_before_the_recording_does_not_wrap_to_its_end():
    signal = recording()
    signal[:, -1] = 1e6
    assert np.isnan(epochs(signal, SFREQ, np.array([0.0]), (-0.02, 0.1))).all()


def test_the_word_stands_at_latency_zero():
    signal = np.zeros((1, 400))
    signal[0, 100] = 1  # at 2 s
    found = epochs(signal, SFREQ, np.array([2.0]), (-0.2, 0.6))[0, 0]
    assert np.flatnonzero(found).tolist() == [10]


def test_a_missing_onset_is_refused_with_its_place():
    with pytest.raises(ValueError, match=r"1 onsets are missing or infinite, the first at \[1\]"):
        epochs(recording(), SFREQ, np.array([1.0, np.nan]), (-0.2, 0.6))


def test_a_window_that_ends_before_it_starts_is_refused():
    with pytest.raises(ValueError, match=r"from 0.6 to -0.2 s"):
        epochs(recording(), SFREQ, np.array([1.0]), (0.6, -0.2))
