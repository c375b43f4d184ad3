"""Intervals and tests against closed forms, scipy and noise of known smoothness."""

import tracemalloc
from itertools import product

import numpy as np
import pytest
from scipy import stats
from scipy.signal import lfilter

from pipeline import metrics, statistics
from pipeline.statistics import against, permutations
from pipeline.statistics.blocks import Moves, Shifts, split_runs


def autoregressive(phi: float, n_samples: int, n_series: int, seed: int = 0) -> np.ndarray:
    """Columns of AR(1) noise of variance 1."""
    white = np.random.default_rng(seed).normal(size=(n_samples + 200, n_series))
    return lfilter([np.sqrt(1 - phi**2)], [1, -phi], white, axis=0)[200:]


@pytest.mark.parametrize("phi", [0, 0.5, 0.8])
def test_a_block_is_three_autocorrelation_times(phi):
    series = autoregressive(phi, 20000, 5)
    expected = 3 * (1 + phi) / (1 - phi)
    lengths = [statistics.block_length(column) for column in series.T]
    assert np.median(lengths) == pytest.approx(expected, rel=0.15, abs=1)


def test_a_block_is_never_longer_than_a_quarter_nor_shorter_than_one():
    assert statistics.block_length(np.arange(40.0)) <= 10
    assert statistics.block_length(np.tile([1.0, -1.0], 50)) == 1
    assert statistics.block_length(np.full(50, 0.1)) == 1
    assert statistics.block_length(np.array([1.0, 2.0])) == 1


def test_a_block_length_of_incomplete_numbers_is_refused():
    with pytest.raises(ValueError, match="1 of 3 samples"):
        statistics.block_length(np.array([1.0, np.nan, 2.0]))


@pytest.mark.parametrize("phi", [0, 0.5, 0.8])
def test_nineteen_of_twenty_bootstrap_intervals_hold_the_mean(phi):
    series = autoregressive(phi, 300, 400)
    found = [statistics.bootstrap(column, n=400) for column in series.T]
    assert 0.90 <= np.mean([one.low <= 0 <= one.high for one in found]) <= 0.98


def test_a_bootstrap_of_single_samples_would_miss_the_mean_of_smooth_series():
    found = statistics.bootstrap(autoregressive(0.8, 300, 400), n=400, block=1)
    assert ((found.low <= 0) & (found.high >= 0)).mean() < 0.75


def test_an_interval_of_independent_numbers_is_that_of_students_t():
    values = np.random.default_rng(0).normal(size=12)
    found = statistics.bootstrap(values, block=1, n=20000)
    low, high = stats.t.interval(0.95, 11, values.mean(), stats.sem(values))
    np.testing.assert_allclose(found, (values.mean(), low, high), atol=0.06)


def test_columns_are_resampled_alike_and_as_if_alone():
    series = autoregressive(0.5, 200, 3)
    together = statistics.bootstrap(series, block=8)
    alone = statistics.bootstrap(series[:, 1], block=8)
    assert isinstance(alone.low, float)
    np.testing.assert_allclose([part[1] for part in together], alone)


def test_a_block_never_spans_two_runs():
    run, values = np.repeat([0, 1, 2, 3], 25), np.repeat([0.0, 1.0, 2.0, 3.0], 25)
    found = statistics.bootstrap(values, run=run, block=40, n=4000)  # one block per run: its mean is the run's
    expected = statistics.bootstrap(np.arange(4.0), block=1, n=4000)
    assert found.mean == expected.mean == 1.5
    assert found.high - found.low >= expected.high - expected.low


def test_one_block_has_a_mean_and_no_interval():
    found = statistics.bootstrap(np.array([0.3]))
    assert found.mean == 0.3
    assert np.isnan([found.low, found.high]).all()


def test_a_missing_sample_makes_its_own_column_missing():
    series = autoregressive(0.5, 100, 2)
    series[3, 0] = np.nan
    found = statistics.bootstrap(series)
    assert np.isnan([part[0] for part in found]).all()
    assert np.isfinite([part[1] for part in found]).all()


def test_a_run_label_may_be_a_word():
    series = autoregressive(0.5, 100, 1)[:, 0]
    words = statistics.bootstrap(series, run=np.repeat(["a", "b"], 50), block=5)
    assert words == statistics.bootstrap(series, run=np.repeat([0, 1], 50), block=5)


def test_a_long_series_of_many_columns_keeps_their_shape():
    found = statistics.bootstrap(autoregressive(0.5, 120, 6).reshape(120, 2, 3), n=50)
    assert found.low.shape == found.mean.shape == (2, 3)


def test_no_samples_and_empty_blocks_are_refused():
    with pytest.raises(ValueError, match="0 samples"):
        statistics.bootstrap(np.zeros(0), block=1)
    with pytest.raises(ValueError, match="block of 0"):
        statistics.bootstrap(np.zeros(5), block=0)


@pytest.mark.parametrize(("units", "smallest"), [(1, 1.0), (3, 0.25), (5, 0.0625), (6, 0.03125)])
def test_the_smallest_p_of_few_units_is_known(units, smallest):
    found = statistics.sign_flip(np.linspace(1, 2, units))
    assert (found.p, found.smallest_p, found.n_units) == (smallest, smallest, units)


def test_a_sign_flip_counts_every_pattern():
    values = np.array([0.5, 1.5, -0.2, 0.9, -0.4, 1.1])
    means = [abs(np.mean(values * signs)) for signs in product([1, -1], repeat=6)]
    assert statistics.sign_flip(values).p == np.mean(np.array(means) >= abs(values.mean()) - 1e-12)


def test_a_sign_flip_agrees_with_scipy():
    values = np.random.default_rng(2).normal(0.4, 1, 9)
    oracle = stats.permutation_test((values,), np.mean, permutation_type="samples", n_resamples=np.inf)
    assert statistics.sign_flip(values).p == pytest.approx(oracle.pvalue)


def test_drawn_patterns_agree_with_all_patterns_and_never_reach_zero():
    values = np.random.default_rng(1).normal(0.3, 1, 12)
    exact, drawn = statistics.sign_flip(values), statistics.sign_flip(values, n=4000)
    assert drawn.p == pytest.approx(exact.p, abs=0.02)
    sure = statistics.sign_flip(np.full(40, 1.0), n=99)
    assert sure.p == sure.smallest_p == 0.01


def test_a_sign_flip_of_columns_is_that_of_each():
    values = np.random.default_rng(1).normal(0.3, 1, (6, 3))
    values[0, 2] = np.nan
    found = statistics.sign_flip(values)
    np.testing.assert_allclose(found.p[:2], [statistics.sign_flip(values[:, k]).p for k in range(2)])
    assert np.isnan(found.p[2])
    with pytest.raises(ValueError, match="got 0"):
        statistics.sign_flip(np.zeros(0))


def test_no_effect_at_all_is_never_significant():
    assert statistics.sign_flip(np.zeros(5)).p == 1


def test_q_values_are_those_of_benjamini_and_hochberg():
    p = np.array([0.01, np.nan, 0.04, 0.03, 0.8])
    np.testing.assert_allclose(statistics.fdr(p), [0.04, np.nan, 0.16 / 3, 0.16 / 3, 0.8])
    assert np.isnan(statistics.fdr(np.full(3, np.nan))).all()


def found_in_noise(test, phi: float = 0.8, **options) -> float:
    """Share of unrelated pairs of smooth series that a test calls related at 5 %."""
    shares = []
    for seed in range(4):
        Y, Y_hat = autoregressive(phi, 250, 300, seed), autoregressive(phi, 250, 300, seed + 100)
        shares.append((test(Y, Y_hat, **options) <= 0.05).mean())
    return float(np.mean(shares))


def test_permuted_blocks_find_little_in_smooth_noise_where_permuted_samples_find_much():
    assert found_in_noise(statistics.permute_blocks, n=199) <= 0.08
    assert found_in_noise(statistics.permute_blocks, n=199, block=1) > 0.15


def test_circular_shifts_find_little_in_smooth_noise():
    assert found_in_noise(statistics.circular_shifts) <= 0.08


def test_a_parametric_p_is_wrong_on_smooth_noise():
    def parametric(Y, Y_hat):
        return np.array([stats.pearsonr(y, p, alternative="greater").pvalue for y, p in zip(Y.T, Y_hat.T, strict=True)])

    assert found_in_noise(parametric) > 0.15


EVERY = pytest.mark.parametrize("test", [statistics.permute_blocks, statistics.circular_shifts, statistics.phases])


@EVERY
def test_a_good_prediction_reaches_the_smallest_p_which_is_not_zero(test):
    Y = autoregressive(0.5, 300, 4)
    p = test(Y, Y + autoregressive(0.5, 300, 4, seed=1), n=99)
    np.testing.assert_allclose(p, 0.01)


@EVERY
def test_a_prediction_of_the_opposite_is_never_good(test):
    Y = autoregressive(0.5, 300, 4)
    assert (test(Y, -Y, n=99) == 1).all()


@EVERY
def test_a_constant_prediction_has_p_one_and_an_unusable_target_none(test):
    Y = autoregressive(0.5, 200, 5)
    Y_hat = Y.copy()
    Y_hat[:, 1], Y[3, 2], Y[:, 3], Y_hat[7, 4] = 0.1, np.nan, 0.1, np.nan
    p = test(Y, Y_hat, n=99)
    assert p[0] == 0.01
    assert p[1] == 1
    assert np.isnan(p[2:]).all()


@EVERY
def test_scale_type_and_place_of_a_target_change_nothing(test):
    Y, Y_hat = autoregressive(0.5, 200, 6), autoregressive(0.5, 200, 6, seed=1)
    p = test(Y, Y_hat, n=99)
    np.testing.assert_array_equal(test(Y[:, ::-1] * 50 + 3, Y_hat[:, ::-1] * 0.1 - 8, n=99), p[::-1])


@EVERY
def test_differences_between_runs_are_no_evidence(test):
    run = np.repeat([0, 1], 100)
    Y, Y_hat = autoregressive(0, 200, 300), autoregressive(0, 200, 300, seed=1)
    p = test(Y + 20.0 * run[:, None], Y_hat + 20.0 * run[:, None], run=run, n=199)
    assert (p <= 0.05).mean() <= 0.08


def test_responses_and_predictions_must_match():
    with pytest.raises(ValueError, match=r"\(10, 2\) and predictions \(9, 2\)"):
        against.check(np.zeros((10, 2)), np.zeros((9, 2)))


def test_blocks_change_places_only_within_their_run():
    run = np.array([0, 0, 0, 1, 1, 1, 1])
    orders = Moves(split_runs(run, 7), 2, 20, 0).orders(0, 20)
    assert (np.sort(orders, axis=1) == np.arange(7)).all()
    assert (run[orders] == run).all()
    assert len({tuple(order) for order in orders}) == 2  # the first run is one block, the second two


def test_blocks_are_alike_and_what_they_do_not_fill_stays_at_the_end_of_its_run():
    run = np.repeat([0, 1, 2], [23, 31, 9])  # 23 = 4 x 5 + 3, 31 = 6 x 5 + 1, 9 is one block
    found = Moves(split_runs(run, 63), 5, 50, 0)
    assert [places.shape for places in found.places] == [(4, 5), (6, 5)]
    np.testing.assert_array_equal(found.still, [20, 21, 22, 53, *range(54, 63)])
    orders = found.orders(0, 50)
    assert (orders[:, found.still] == found.still).all()
    assert (np.diff(orders[:, found.places[1]], axis=2) == 1).all()  # neighbours in a block stay neighbours


def test_every_block_comes_to_every_place_equally_often():
    found = Moves([np.arange(12)], 3, 4000, 0)
    share = [np.bincount(places, minlength=4) / 4000 for places in found.draws[0].T]
    np.testing.assert_allclose(share, 0.25, atol=0.03)


RUNS = {"one": np.zeros(120, int), "unequal": np.repeat([0, 1, 2], [57, 43, 20]), "mixed": np.arange(120) % 2}


@pytest.mark.parametrize("block", [1, 6, 7])
@pytest.mark.parametrize("run", RUNS.values(), ids=RUNS)
def test_p_is_the_share_of_permutations_that_correlate_as_well(run, block):
    Y, Y_hat = autoregressive(0.5, 120, 20), autoregressive(0.5, 120, 20, seed=1)
    Y_hat[:, 0] = Y[:, 0]
    p = statistics.permute_blocks(Y, Y_hat, run=run, block=block, n=80, seed=3)
    orders = Moves(split_runs(run, 120), block, 80, 3).orders(0, 80)
    null = np.array([metrics.pearson(Y, Y_hat[order]) for order in orders])
    np.testing.assert_array_equal(p, ((null >= metrics.pearson(Y, Y_hat) - 1e-9).sum(axis=0) + 1) / 81)


def test_the_table_of_blocks_and_moving_every_sample_give_the_same_p(monkeypatch):
    Y, Y_hat = autoregressive(0.5, 233, 30).astype(np.float32), autoregressive(0.5, 233, 30, seed=1)
    run = np.repeat([0, 1], [120, 113])
    assert permutations._few_blocks(Moves(split_runs(run, 233), 9, 200, 0))
    table = statistics.permute_blocks(Y, Y_hat, run=run, block=9, n=200)
    monkeypatch.setattr(permutations, "_few_blocks", lambda found: False)
    np.testing.assert_array_equal(table, statistics.permute_blocks(Y, Y_hat, run=run, block=9, n=200))


def test_of_two_blocks_every_other_permutation_is_a_tie():
    Y = autoregressive(0.5, 40, 5)
    p = statistics.permute_blocks(Y, Y, block=20, n=400)
    np.testing.assert_allclose(p, 0.5, atol=0.08)


def test_memory_does_not_grow_with_the_targets():
    def peak(n_targets):
        Y, Y_hat = autoregressive(0.5, 200, n_targets), autoregressive(0.5, 200, n_targets, seed=1)
        tracemalloc.start()
        statistics.permute_blocks(Y, Y_hat, block=10, n=50)
        found = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return found

    peak(100)  # what is imported on the way
    assert peak(8000) < 1.2 * peak(2000)


def test_every_circular_shift_of_a_single_run_is_taken_once():
    Y, Y_hat = autoregressive(0, 40, 3), autoregressive(0, 40, 3, seed=1)
    p = statistics.circular_shifts(Y, Y_hat, least=5)
    for k in range(3):
        observed = np.corrcoef(Y[:, k], Y_hat[:, k])[0, 1]
        null = [np.corrcoef(Y[:, k], np.roll(Y_hat[:, k], s))[0, 1] for s in range(5, 36)]
        assert p[k] == pytest.approx((np.sum(np.array(null) >= observed) + 1) / 32)


def test_each_run_is_rolled_by_a_shift_of_its_own():
    shifts = Shifts([np.arange(40), np.arange(40, 100)], 5, 500, 0).shifts
    assert shifts.shape == (500, 2)
    assert (shifts.min(axis=0) == 5).all()
    assert (shifts.max(axis=0) == [35, 55]).all()
    y, p = autoregressive(0, 40, 2), autoregressive(0, 40, 2, seed=1)
    np.testing.assert_allclose(permutations._rolled(y, p)[7], (y * np.roll(p, 7, axis=0)).sum(axis=0))


def test_what_cannot_be_moved_is_refused_with_the_numbers():
    Y = autoregressive(0, 40, 2)
    with pytest.raises(ValueError, match=r"\[40\] samples holds two blocks of 30"):
        statistics.permute_blocks(Y, Y, block=30)
    with pytest.raises(ValueError, match=r"\[40\] samples cannot be shifted by at least 21"):
        statistics.circular_shifts(Y, Y, least=21)
    with pytest.raises(ValueError, match="a block of 0 samples is none"):
        statistics.permute_blocks(Y, Y, block=0)
    with pytest.raises(ValueError, match="0 permutations is none"):
        statistics.permute_blocks(Y, Y, n=0)
