"""Halves, items, people and distances: ceilings against closed forms, other libraries and planted truth."""

import numpy as np
import pytest
from scipy.optimize import curve_fit
from scipy.stats import spearmanr
from test_ceilings import autoregressive, explainable_of, planted

from pipeline import ridge, splits
from pipeline.ceilings import (
    CEILINGS,
    isc,
    isc_curve,
    nsd,
    repeats,
    rsa,
    schrimpf,
    shared_response,
    splithalf,
)
from pipeline.ceilings.nsd import powers
from pipeline.ceilings.schrimpf import fitted
from pipeline.ceilings.splithalf import splits as halves_of

ACROSS_TIME = [repeats, splithalf, nsd, isc]


def coverage(found, truth):
    return ((found.low <= truth) & (truth <= found.high)).mean()


@pytest.mark.parametrize("estimator", ACROSS_TIME)
@pytest.mark.parametrize("rho", [0.05, 0.3])
def test_nineteen_of_twenty_intervals_hold_the_truth(estimator, rho):
    found = estimator(planted(rho, 4, 200, 0.4, 600, seed=1), n=400)
    truth = np.sqrt(rho if estimator is isc else explainable_of(rho, 4))
    assert 0.92 <= coverage(found, truth) <= 0.98


@pytest.mark.parametrize("n_repeats", [2, 3, 4, 5])
def test_halves_and_signal_power_agree(n_repeats):
    Y = planted(0.2, n_repeats, 300, 0.3, 300)
    assert abs((splithalf(Y, n=2).value - repeats(Y, n=2).value).mean()) < 0.01


def test_four_repeats_have_the_stepped_up_correlation_of_their_three_splits():
    Y = planted(0.3, 4, 150, 0.3, 5)
    z = [
        [np.arctanh(np.corrcoef(Y[list(a), :, k].mean(axis=0), Y[list(b), :, k].mean(axis=0))[0, 1]) for k in range(5)]
        for a, b in (((0, 1), (2, 3)), ((0, 2), (1, 3)), ((0, 3), (1, 2)))
    ]
    r = np.tanh(np.mean(z, axis=0))
    np.testing.assert_allclose(splithalf(Y, n=2).explainable, 2 * r / (1 + r), atol=1e-12)


def test_three_repeats_have_the_stepped_up_correlation_of_their_pairs():
    Y = planted(0.3, 3, 150, 0.3, 5)
    r = np.tanh([np.arctanh(np.corrcoef(Y[:, :, k])[np.triu_indices(3, 1)]).mean() for k in range(5)])
    np.testing.assert_allclose(splithalf(Y, n=2).explainable, 3 * r / (1 + 2 * r), atol=1e-12)


@pytest.mark.parametrize(("n_repeats", "n_splits"), [(2, 1), (3, 3), (4, 3), (5, 15), (8, 35), (10, 126), (12, 126)])
def test_every_split_is_taken_once_and_its_halves_share_nothing(n_repeats, n_splits):
    found = halves_of(n_repeats)
    assert found.shape == (n_splits, 2, n_repeats)
    assert not found.all(axis=1).any()
    assert (found.sum(axis=2) == n_repeats // 2).all()
    assert len({frozenset(map(bytes, pair)) for pair in found}) == n_splits


def test_the_interval_of_two_repeats_is_that_of_their_signal_power_where_both_vary_alike():
    Y = planted(0.3, 2, 300, 0.3, 20)
    Y = (Y - Y.mean(axis=1, keepdims=True)) / Y.std(axis=1, keepdims=True)
    np.testing.assert_allclose(splithalf(Y).low, repeats(Y).low, atol=1e-9)


def test_items_have_the_noise_ceiling_of_the_natural_scenes_dataset():
    Y = planted(0.3, 3, 100, 0, 6)
    noise = Y.var(axis=0, ddof=1).mean(axis=0)
    signal = Y.mean(axis=0).var(axis=0, ddof=1) - noise / 3
    np.testing.assert_allclose(nsd(Y, n=2).explainable, signal / (signal + noise / 3), atol=1e-12)
    found = powers(Y)
    np.testing.assert_allclose(found.ncsnr**2 / (found.ncsnr**2 + 1 / 3), nsd(Y, n=2).explainable, atol=1e-12)


def test_a_trial_s_own_level_is_noise_among_items_and_none_within_sessions():
    Y = planted(0.3, 3, 100, 0, 6)
    level = np.array([0, 3, -3])[:, None, None]
    assert (nsd(Y + level, n=2).explainable < nsd(Y, n=2).explainable - 0.5).all()
    session = np.zeros(100, int)
    np.testing.assert_allclose(nsd(Y + level, run=session, n=2).explainable, nsd(Y, run=session, n=2).explainable)


def test_people_s_ceiling_is_the_root_of_their_mean_correlation():
    Y = planted(0.2, 5, 200, 0.3, 8)
    rho = [np.corrcoef(Y[:, :, k])[np.triu_indices(5, 1)].mean() for k in range(8)]
    np.testing.assert_allclose(isc(Y, n=2).explainable, rho, atol=1e-12)


def test_one_person_s_ceiling_is_corrected_for_the_reliability_of_the_others_mean():
    Y = planted(0.4, 5, 300, 0.3, 8)
    z = (Y - Y.mean(axis=1, keepdims=True)) / Y.std(axis=1, keepdims=True)
    others = np.delete(z, 2, axis=0)
    for k in range(8):
        rho = np.corrcoef(others[:, :, k])[np.triu_indices(4, 1)].mean()
        r = np.corrcoef(z[2, :, k], others[:, :, k].mean(axis=0))[0, 1]
        np.testing.assert_allclose(isc(Y, person=2, n=2).value[k], r / np.sqrt(4 * rho / (1 + 3 * rho)), atol=1e-12)


def test_two_people_are_taken_to_have_as_much_signal():
    Y = planted(0.4, 2, 300, 0.3, 8)
    np.testing.assert_array_equal(isc(Y, person=1).low, isc(Y).low)


@pytest.mark.parametrize("own_share", [0.1, 0.5])
def test_a_person_with_more_signal_than_the_others_has_a_higher_ceiling(own_share):
    rng = np.random.default_rng(4)
    signal, noise = autoregressive(rng, 0.6, 1, 300, 600), autoregressive(rng, 0.3, 5, 300, 600)
    share = np.array([own_share, 0.2, 0.2, 0.2, 0.2])[:, None, None]
    found = isc(np.sqrt(share) * signal + np.sqrt(1 - share) * noise, person=0)
    assert abs(np.median(found.value) - np.sqrt(own_share)) < 0.02
    assert 0.92 <= coverage(found, np.sqrt(own_share)) <= 0.98


def test_where_the_others_may_share_nothing_one_person_s_ceiling_has_no_upper_end():
    found = isc(planted(0, 4, 200, 0.3, 600), person=0)
    assert np.isinf(found.high).mean() > 0.8
    assert found.valid.mean() < 0.02
    assert 0.92 <= ((found.low <= 0) & (found.high >= 0)).mean() <= 0.98


def test_the_curve_over_people_is_the_closed_one():
    measured, closed = isc_curve(planted(0.2, 6, 400, 0.3, 300))
    np.testing.assert_allclose(measured.mean(axis=1), closed.mean(axis=1), atol=0.005)
    assert (np.diff(measured.mean(axis=1)) > 0).all()


def people(own_share=0.4, n_targets=30, n_samples=240, seed=0):
    rng = np.random.default_rng(seed)
    signal = autoregressive(rng, 0.5, 1, n_samples, 4)[0] @ rng.normal(size=(4, n_targets)) / 2
    noise = rng.normal(size=(4, n_samples, n_targets))
    return np.sqrt(own_share) * signal + np.sqrt(1 - own_share) * noise


def test_shared_responses_score_as_the_same_ridge_does():
    Y, run = people(), np.repeat([0, 1, 2], 80)
    z = np.concatenate([Y[1:, run == k] - Y[1:, run == k].mean(axis=1, keepdims=True) for k in range(3)], axis=1)
    size = np.concatenate([Y[1:, run == k].std(axis=1, keepdims=True).repeat(80, 1) for k in range(3)], axis=1)
    folds, alphas = splits.leave_one_run_out(run), np.geomspace(1, 1e4, 5)
    for same, X in ((True, (z / size).mean(axis=0)), (False, np.concatenate(list(z / size), axis=1))):
        scores = ridge.cross_validate(X, Y[0], folds=folds, alphas=alphas, precision="float64")
        found = shared_response(
            Y[0], list(Y[1:]), folds=folds, alphas=alphas, same=same, run=run, precision="float64", n=50
        )
        np.testing.assert_allclose(found.value, scores.r.mean(axis=0), atol=1e-9)
        assert (found.low < found.value).all() and (found.value < found.high).all()


def test_shared_responses_are_a_lower_bound_also_where_targets_differ_in_meaning():
    Y = people(n_targets=40)
    turned = [
        person @ np.linalg.qr(np.random.default_rng(k).normal(size=(40, 40)))[0][:, : 30 + k]
        for k, person in enumerate(Y[1:])
    ]
    found = CEILINGS["shared_response"]([Y[0], *turned], n=50)
    assert 0.2 < found.value.mean() < np.sqrt(0.4)
    assert found.valid.mean() > 0.5


def test_a_target_that_is_constant_in_a_fold_has_no_shared_ceiling_and_spoils_no_other():
    Y = people()
    whole = CEILINGS["shared_response"](Y, n=20, block=4)
    Y[0, :20, 3] = 1.0
    Y[0, 20:48, 3] = 1.0
    found = CEILINGS["shared_response"](Y, n=20, block=4)
    assert np.isnan(found.value[3]) and not found.valid[3]
    np.testing.assert_allclose(np.delete(found.value, 3), np.delete(whole.value, 3))


def test_the_published_curve_is_fitted_as_scipy_does_and_its_asymptote_is_too_low():
    k = np.arange(1, 5)
    r = 0.05 / np.sqrt(0.05 + 0.95 / k)
    v0, _ = fitted([2, 3, 4, 5], r)
    expected = curve_fit(lambda x, v, t: v * (1 - np.exp(-x / t)), k + 1, r, bounds=([0, -np.inf], [1, np.inf]))[0][0]
    assert v0 == pytest.approx(expected)
    assert v0 == pytest.approx(0.136, abs=0.001) and v0 < np.sqrt(0.05)


def test_the_published_ceiling_is_never_valid_and_says_why():
    found = schrimpf(people(own_share=0.8, n_targets=2, n_samples=100)[:3], n=4)
    assert not found.valid.any() and "reproduction" in found.reason
    assert (found.value > 0).all()


def test_bounds_of_rank_correlation_are_those_written_out():
    rdms = np.random.default_rng(0).random((1, 45)) + np.random.default_rng(1).random((5, 45))
    ranks = np.argsort(np.argsort(rdms, axis=1), axis=1)
    lower = np.mean([spearmanr(rdms[i], np.delete(ranks, i, axis=0).mean(axis=0))[0] for i in range(5)])
    upper = np.mean([spearmanr(row, ranks.mean(axis=0))[0] for row in rdms])
    np.testing.assert_allclose(rsa.bounds(rdms)[:2], (lower, upper))


def test_bounds_of_cosine_are_those_written_out_and_missing_pairs_are_left_out():
    rdms = np.random.default_rng(0).random((4, 30)) + 0.5
    unit = rdms / np.linalg.norm(rdms, axis=1, keepdims=True)
    mean = unit.mean(axis=0)
    upper = np.mean([row @ mean / np.linalg.norm(mean) for row in unit])
    whole = rsa.bounds(rdms, similarity="cosine")
    np.testing.assert_allclose(whole.upper, upper)
    more = np.concatenate([rdms, np.full((4, 3), np.nan)], axis=1)
    assert rsa.bounds(more, similarity="cosine") == pytest.approx(whole)
    more[1, 5] = np.nan
    assert np.isfinite(rsa.bounds(more)).all()


def test_the_true_distances_lie_between_the_bounds():
    rng = np.random.default_rng(0)
    inside = []
    for _ in range(20):
        truth = rng.random(190)
        rdms = truth + 0.4 * rng.normal(size=(6, 190))
        lower, upper, _ = rsa.bounds(rdms)
        inside.append((lower, np.mean([spearmanr(truth, row)[0] for row in rdms]), upper))
    lower, mean, upper = np.mean(inside, axis=0)
    assert lower < mean < upper


def test_constant_distances_have_no_bounds_and_one_person_none():
    assert np.isnan(rsa.bounds(np.ones((3, 10))).lower)
    with pytest.raises(ValueError, match="at least two people and got 1"):
        rsa.bounds(np.ones((1, 10)))
    with pytest.raises(ValueError, match="'kendall' is not known"):
        rsa.bounds(np.ones((3, 10)), similarity="kendall")


@pytest.mark.parametrize("estimator", [splithalf, nsd, isc])
def test_what_cannot_be_estimated_is_said_by_name(estimator):
    Y = planted(0.5, 3, 100, 0.3, 4)
    with pytest.raises(ValueError, match=r"at least two .* got 1"):
        estimator(Y[:1])
    with pytest.raises(ValueError, match="have 100, 90, 100 samples"):
        estimator([Y[0], Y[1, :90], Y[2]])
    with pytest.raises(ValueError, match="longer than the shortest run, of 100"):
        estimator(Y, block=101)
    found = estimator(Y, block=40)
    assert np.isfinite(found.value).all() and np.isnan(found.low).all() and "at least 4 blocks" in found.reason
    Y[:, :, 1] = 2.0
    Y[0, 3, 2] = np.nan
    found = estimator(Y, n=20)
    np.testing.assert_array_equal(np.isnan(found.low), [False, True, True, False])
    assert not found.valid[[1, 2]].any()


def test_people_who_are_not_there_are_refused():
    Y = planted(0.5, 3, 100, 0.3, 4)
    for estimator in (isc, CEILINGS["shared_response"], schrimpf):
        with pytest.raises(ValueError, match="person 3 is not among the 3 people"):
            estimator(Y, person=3)
    with pytest.raises(ValueError, match="at least two people"):
        CEILINGS["shared_response"](Y[:1])
    with pytest.raises(ValueError, match="there are 2; choose `isc`"):
        schrimpf(Y[:2])
    with pytest.raises(ValueError, match=r"\[3, 4\] targets"):
        shared_response(Y[0], [Y[1, :, :3]], folds=splits.contiguous(100, folds=2), same=True)
