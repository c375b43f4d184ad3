"""Inference about people: margins, prevalence, seeds and intervals, against closed forms, other libraries and simulation."""

from itertools import product

import numpy as np
import pytest
from scipy import stats
from test_statistics import autoregressive

from pipeline import statistics

VALUES = np.array([0.010, -0.020, 0.005, 0.001, 0.012, 0.003])


def one_sided(values, at):
    """p of a mean above `at`, every pattern of signs tried."""
    sums = [np.dot(values - at, signs) for signs in product([1, -1], repeat=len(values))]
    return np.mean(np.array(sums) >= (values - at).sum() - 1e-12)


@pytest.mark.parametrize("margin", [0.004, 0.01, 0.013, 0.03])
def test_equivalence_is_two_one_sided_sign_flip_tests(margin):
    found = statistics.equivalence(VALUES, margin)
    assert found.p == pytest.approx(max(one_sided(VALUES, -margin), one_sided(-VALUES, -margin)))
    assert (found.verdict == "equivalent") == (found.p <= 0.05) == (-margin < found.low and found.high < margin)


def test_the_ends_of_the_interval_are_where_a_one_sided_test_turns():
    found = statistics.equivalence(VALUES, 0.03)
    assert one_sided(VALUES, found.low - 1e-6) <= 0.05 < one_sided(VALUES, found.low + 1e-6)
    assert one_sided(-VALUES, -found.high - 1e-6) <= 0.05 < one_sided(-VALUES, -found.high + 1e-6)


def test_the_interval_holds_the_mean_nine_times_in_ten():
    rng = np.random.default_rng(0)
    found = [statistics.equivalence(rng.normal(0, 1, 8), 1.0) for _ in range(600)]
    assert np.mean([one.low <= 0 <= one.high for one in found]) == pytest.approx(0.9, abs=0.02)


def test_drawn_subsets_agree_with_all_of_them():
    values = np.random.default_rng(1).normal(0.2, 1, 12)
    exact, drawn = statistics.equivalence(values, 0.9), statistics.equivalence(values, 0.9, n=4000)
    np.testing.assert_allclose(drawn[1:4], exact[1:4], atol=0.03)


def test_no_difference_is_not_equivalence_and_a_large_one_is_beyond():
    wide = statistics.equivalence(VALUES * 100, 0.03)
    assert wide.verdict == "undecided"
    assert statistics.equivalence(VALUES + 1, 0.5).verdict == "beyond"
    assert statistics.equivalence(-VALUES - 1, 0.5).verdict == "beyond"


def test_four_units_can_show_nothing_and_five_can():
    few, enough = statistics.equivalence(np.zeros(4), 0.1), statistics.equivalence(np.zeros(5), 0.1)
    assert (few.verdict, few.smallest_p) == ("too few units", 1 / 16)
    assert np.isnan([few.low, few.high]).all()
    assert (enough.verdict, enough.p, enough.smallest_p) == ("equivalent", 1 / 32, 1 / 32)


def test_a_ceiling_is_reached_where_the_gap_is_shown_to_be_small():
    gap = np.array([0.01, 0.02, 0.005, 0.0, 0.012, 0.003])
    found = statistics.reached(gap, 0.03)
    assert (found.verdict, found.p) == ("reached", one_sided(-gap, -0.03))
    assert statistics.reached(gap + 0.1, 0.03).verdict == "not reached"
    assert statistics.reached(gap, 0.01).verdict == "undecided"
    assert statistics.reached(gap[:4], 0.03).verdict == "too few units"
    assert statistics.reached(np.append(gap, np.nan), 0.03) == found


@pytest.mark.parametrize(("k", "n"), [(0, 3), (3, 3), (14, 20), (1, 10), (2, 40)])
def test_prevalence_is_the_posterior_under_an_even_prior(k, n):
    found = statistics.prevalence(np.r_[np.full(k, 0.01), np.full(n - k, 0.5)])
    share = np.linspace(0, 1, 200001)
    density = stats.binom.pmf(k, n, 0.05 + 0.95 * share)
    density /= density.sum()
    highest = np.sort(np.argsort(-density)[: np.searchsorted(np.cumsum(np.sort(density)[::-1]), 0.95) + 1])
    np.testing.assert_allclose(found[3:6], [share[density.argmax()], share[highest[0]], share[highest[-1]]], atol=2e-3)
    assert found.p == pytest.approx(stats.binomtest(k, n, 0.05, alternative="greater").pvalue)


def test_prevalence_counts_who_has_a_p_and_everyone_is_the_conjunction():
    found = statistics.prevalence(np.array([0.01, np.nan, 0.05, 0.2]), 0.05)
    assert (found.n_people, found.n_significant, found.p_everyone) == (3, 2, 0.2)


def test_with_one_seed_the_interval_is_students():
    values = np.random.default_rng(0).normal(0.02, 0.02, (8, 1))
    found = statistics.seeds(values)
    expected = stats.t.interval(0.95, 7, values.mean(), stats.sem(values[:, 0]))
    np.testing.assert_allclose([found.low, found.high], expected)
    assert np.isnan(found.seed_sd)
    assert found.p == statistics.sign_flip(values[:, 0]).p
    assert (found.smallest_p, found.n_subjects, found.n_seeds) == (2 / 2**8, 8, 1)


def test_the_spreads_of_people_and_seeds_are_recovered():
    rng = np.random.default_rng(0)
    table = rng.normal(0, 3, (400, 1)) + rng.normal(0, 2, (1, 400)) + rng.normal(0, 1, (400, 400))
    found = statistics.seeds(table)
    np.testing.assert_allclose([found.subject_sd, found.seed_sd, found.rest_sd], [3, 2, 1], rtol=0.1)
    assert found.standard_error == pytest.approx(np.sqrt((9 + 4) / 400), rel=0.1)


@pytest.mark.parametrize("sds", [(1, 1, 1), (1, 0.3, 0.5), (0.1, 1, 0.5), (1, 0, 1)])
def test_the_interval_holds_for_other_people_and_other_seeds(sds):
    rng = np.random.default_rng(0)
    tables = [
        sum(rng.normal(0, sd, size) for sd, size in zip(sds, [(8, 1), (1, 5), (8, 5)], strict=True))
        for _ in range(1500)
    ]
    found = [statistics.seeds(table, n=1) for table in tables]
    assert 0.92 <= np.mean([one.low <= 0 <= one.high for one in found]) <= 0.98


def test_people_alone_miss_what_seeds_add():
    rng = np.random.default_rng(0)
    tables = [rng.normal(0, 0.3, (8, 1)) + rng.normal(0, 1, (1, 5)) + rng.normal(0, 0.3, (8, 5)) for _ in range(500)]
    plain = [stats.ttest_1samp(table.mean(axis=1), 0).pvalue <= 0.05 for table in tables]
    assert np.mean(plain) > 0.4


@pytest.mark.parametrize("people", [3, 8])
def test_an_interval_over_people_who_differ_holds_nineteen_times_in_twenty(people):
    rng, held = np.random.default_rng(0), []
    for seed in range(150):
        noise = autoregressive(0.5, 80, people, seed).T
        found = statistics.bootstrap_people(list(noise + rng.normal(0, 1, (people, 1))), n=200, seed=seed)
        held.append(found.low <= 0 <= found.high)
    assert 0.91 <= np.mean(held) <= 0.99


def test_an_interval_over_people_is_students_where_samples_tell_all():
    rng = np.random.default_rng(0)
    means, noise = rng.normal(size=7), rng.normal(size=(7, 50)) * 1e-3
    noise -= noise.mean(axis=1, keepdims=True)
    found = statistics.bootstrap_people(list(means[:, None] + noise), block=1, n=20000)
    expected = stats.t.interval(0.95, 6, means.mean(), stats.sem(means))
    np.testing.assert_allclose(found, (means.mean(), *expected), atol=0.02)


def test_people_who_are_alike_by_chance_are_no_surer_than_their_samples():
    rng = np.random.default_rng(0)
    series = [one - one.mean() for one in rng.normal(size=(5, 60))]
    found = statistics.bootstrap_people(series, block=1, n=4000)
    assert found.high == pytest.approx(stats.t.ppf(0.975, 4) / np.sqrt(5 * 60), rel=0.1)


def test_series_may_be_of_any_length_and_columns_are_as_if_alone():
    series = [autoregressive(0.5, n, 2, n) for n in (60, 75, 90, 40)]
    run = [np.repeat(["a", "b"], [n // 2, n - n // 2]) for n in (60, 75, 90, 40)]
    both = statistics.bootstrap_people(series, run=run, block=8)
    alone = statistics.bootstrap_people([one[:, 1] for one in series], run=run, block=8)
    np.testing.assert_allclose([part[1] for part in both], alone)
    assert both.low.shape == (2,)
    assert both.mean == pytest.approx(np.mean([one.mean(axis=0) for one in series], axis=0))


def test_what_cannot_be_inferred_is_refused_with_the_numbers():
    with pytest.raises(ValueError, match="2 people say nothing about others: inference needs at least 3"):
        statistics.bootstrap_people([np.zeros(9), np.zeros(9)])
    with pytest.raises(ValueError, match="2 people"):
        statistics.seeds(np.zeros((2, 5)))
    with pytest.raises(ValueError, match=r"\(1, 2\)"):
        statistics.seeds(np.where(np.arange(12).reshape(4, 3) == 5, np.nan, 1.0))
    with pytest.raises(ValueError, match="0 seeds"):
        statistics.seeds(np.zeros((4, 0)))
    with pytest.raises(ValueError, match="none of 2 units"):
        statistics.equivalence(np.full(2, np.nan), 0.1)
    with pytest.raises(ValueError, match=r"margin of 0\.0"):
        statistics.equivalence(VALUES, 0.0)
    with pytest.raises(ValueError, match=r"margin of -0\.1"):
        statistics.reached(VALUES, -0.1)
    with pytest.raises(ValueError, match="none of 2 people has a p"):
        statistics.prevalence(np.full(2, np.nan))
    with pytest.raises(ValueError, match=r"alpha=1\.5"):
        statistics.prevalence(np.array([0.1]), 1.5)
