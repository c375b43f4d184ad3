"""Ceilings against closed forms and planted truth."""

import re

import numpy as np
import pytest
from scipy.signal import lfilter

from pipeline.ceilings import none, repeats


def autoregressive(rng: np.random.Generator, phi: float, *shape: int) -> np.ndarray:
    """AR(1) of variance 1 along the second axis."""
    white = rng.normal(size=(shape[0], shape[1] + 100, shape[2]))
    return lfilter([np.sqrt(1 - phi**2)], [1, -phi], white, axis=1)[:, 100:]


def planted(rho: float, n_repeats: int, n_samples: int, phi: float, n_targets: int, seed: int = 0) -> np.ndarray:
    """Repeats of one AR(1) signal that makes up `rho` of the variance, in AR(1) noise."""
    rng = np.random.default_rng(seed)
    signal = autoregressive(rng, 0.6, 1, n_samples, n_targets)
    return np.sqrt(rho) * signal + np.sqrt(1 - rho) * autoregressive(rng, phi, n_repeats, n_samples, n_targets)


def explainable_of(rho: float, n_repeats: int) -> float:
    return n_repeats * rho / (1 + (n_repeats - 1) * rho)


def test_signal_power_is_that_of_sahani_and_linden():
    Y = planted(0.3, 4, 200, 0.5, 7)
    power = (Y.sum(axis=0).var(axis=0) - Y.var(axis=1).sum(axis=0)) / (4 * 3)
    np.testing.assert_allclose(repeats(Y, n=10).explainable, power / Y.mean(axis=0).var(axis=0), atol=1e-12)


@pytest.mark.parametrize("n_repeats", [2, 3, 5])
def test_the_ceiling_of_one_z_scored_repeat_is_the_mean_correlation_between_repeats(n_repeats):
    Y = planted(0.2, n_repeats, 200, 0.5, 6)
    Y = (Y - Y.mean(axis=1, keepdims=True)) / Y.std(axis=1, keepdims=True)
    share = repeats(Y, n=10).explainable
    pairs = np.triu_indices(n_repeats, 1)
    pairwise = [np.corrcoef(Y[:, :, k])[pairs].mean() for k in range(6)]
    np.testing.assert_allclose(share / (n_repeats - (n_repeats - 1) * share), pairwise, atol=1e-10)


def test_bias_corrected_explained_variance_is_the_mean_correlation_between_repeats():
    Y = planted(0.2, 4, 200, 0.5, 6)
    Y = (Y - Y.mean(axis=1, keepdims=True)) / Y.std(axis=1, keepdims=True)
    explained = Y.mean(axis=0).var(axis=0)
    corrected = explained - (1 - explained) / 3
    share = repeats(Y, n=10).explainable
    np.testing.assert_allclose(share * explained, corrected, atol=1e-10)  # SP of repeats of variance 1


@pytest.mark.parametrize("rho", [0.05, 0.2, 0.5])
@pytest.mark.parametrize("n_repeats", [2, 5])
@pytest.mark.parametrize("n_samples", [130, 250])
@pytest.mark.parametrize("phi", [0, 0.5])
def test_nineteen_of_twenty_intervals_hold_the_truth(rho, n_repeats, n_samples, phi):
    found = repeats(planted(rho, n_repeats, n_samples, phi, 600))
    truth = np.sqrt(explainable_of(rho, n_repeats))
    assert 0.90 <= ((found.low <= truth) & (truth <= found.high)).mean() <= 0.98


@pytest.mark.parametrize("phi", [0, 0.5])
def test_a_target_without_signal_has_a_ceiling_of_nothing_and_half_of_them_are_negative(phi):
    found = repeats(planted(0, 5, 250, phi, 2000), n=500)
    assert -0.03 <= found.explainable.mean() <= 0.01
    assert 0.45 <= (found.value < 0).mean() <= 0.58
    assert found.valid.mean() <= 0.05  # 2.5 % is what one end of a 95 % interval promises


@pytest.mark.parametrize(("rho", "n_repeats"), [(0.05, 5), (0.2, 2), (0.2, 5), (0.5, 2)])
def test_on_average_the_ceiling_is_the_planted_one(rho, n_repeats):
    found = repeats(planted(rho, n_repeats, 600, 0.5, 1500), n=10)
    assert abs(found.explainable.mean() - explainable_of(rho, n_repeats)) < 0.02


def test_the_true_signal_reaches_the_ceiling():
    rng = np.random.default_rng(3)
    signal = autoregressive(rng, 0.6, 1, 400, 800)
    Y = np.sqrt(0.2) * signal + np.sqrt(0.8) * autoregressive(rng, 0.5, 5, 400, 800)
    s, m = (A - A.mean(axis=0) for A in (signal[0], Y.mean(axis=0)))
    r = (s * m).sum(axis=0) / np.sqrt((s**2).sum(axis=0) * (m**2).sum(axis=0))
    assert 0.97 < r.mean() / repeats(Y, n=10).value.mean() < 1.03


def test_the_value_is_the_root_of_the_explainable_share_and_keeps_its_sign():
    found = repeats(planted(0, 3, 130, 0, 50), n=50)
    assert (found.explainable < 0).any()
    np.testing.assert_allclose(found.value * np.abs(found.value), found.explainable)
    assert found.unit == "r"
    assert (found.low <= found.value).all()
    assert (found.value <= found.high).all()
    np.testing.assert_array_equal(found.valid, found.low > 0)


@pytest.mark.parametrize("spoil", [np.nan, np.inf, 3.3])
def test_a_constant_or_incomplete_target_has_no_ceiling_and_spoils_no_other(spoil):
    Y = planted(0.5, 3, 200, 0.5, 5).astype(np.float32)
    whole = repeats(Y, block=6)
    Y[:, 10 if not np.isfinite(spoil) else slice(None), 2] = spoil
    found = repeats(Y, block=6)
    others = [0, 1, 3, 4]
    assert np.isnan([found.value[2], found.low[2], found.high[2], found.explainable[2]]).all()
    assert not found.valid[2]
    assert found.valid[others].all()
    np.testing.assert_allclose(found.low[others], whole.low[others])


def test_a_level_that_differs_between_runs_and_repeats_changes_nothing():
    Y, run = planted(0.3, 3, 240, 0.5, 5), np.repeat([2, 0, 1], 80)
    level = np.random.default_rng(0).normal(size=(3, 3, 1)) * 50
    np.testing.assert_allclose(repeats(Y + level[:, run], run=run).low, repeats(Y, run=run).low, atol=1e-8)


def test_runs_need_not_lie_together():
    Y, run = planted(0.3, 2, 240, 0.5, 5), np.repeat([0, 1], 120)
    mixed = np.argsort(np.tile([0, 1], 120), kind="stable")
    back = np.argsort(mixed)
    for a, b in zip(repeats(Y, run=run, block=5), repeats(Y[:, back], run=run[back], block=5), strict=True):
        if not isinstance(a, str):
            np.testing.assert_allclose(a, b)


def test_scale_and_order_of_targets_change_nothing():
    Y = planted(0.3, 3, 200, 0.5, 6)
    found, turned = repeats(Y), repeats(1000 * Y[:, :, ::-1] + 7)
    np.testing.assert_allclose(found.low, turned.low[::-1], atol=1e-9)


def test_identical_repeats_have_a_ceiling_of_one():
    found = repeats(np.repeat(planted(0.5, 1, 100, 0.5, 3), 3, axis=0))
    np.testing.assert_allclose([found.value, found.low, found.high], 1, atol=1e-6)


def test_many_targets_are_worked_through_in_parts_with_the_same_result():
    Y = planted(0.3, 2, 130, 0, 1300)
    few = repeats(Y[:, :, 1200:], block=4)
    np.testing.assert_allclose(repeats(Y, block=4).low[1200:], few.low)


def test_the_same_seed_gives_the_same_interval():
    Y = planted(0.3, 2, 130, 0, 5)
    np.testing.assert_array_equal(repeats(Y, seed=4).low, repeats(Y, seed=4).low)
    assert (repeats(Y, seed=4).low != repeats(Y, seed=5).low).all()


def test_many_short_runs_still_have_an_interval():
    found = repeats(planted(0.5, 3, 30, 0.9, 20), run=np.repeat([0, 1, 2], 10))
    assert np.isfinite(found.low).all()


def test_one_presentation_is_refused():
    with pytest.raises(ValueError, match=r"two presentations .* got 1"):
        repeats(np.zeros((1, 50, 3)))


def test_too_few_blocks_leave_the_value_without_an_interval_and_say_so_with_the_numbers():
    Y = planted(0.5, 2, 100, 0, 3)
    found = repeats(Y, block=50)
    assert re.search(r"100 samples in 1 run\(s\) hold 2 block\(s\) of 50", found.reason)
    np.testing.assert_allclose(found.value, repeats(Y).value)
    assert np.isnan([found.low, found.high]).all()
    assert not found.valid.any()
    assert repeats(Y).reason == ""


def test_a_block_that_does_not_fit_is_refused_with_one_that_does():
    Y, run = planted(0.5, 2, 100, 0, 3), np.repeat([0, 1], [70, 30])
    with pytest.raises(ValueError, match=r"longer than the shortest run, of 30.* blocks of 23"):
        repeats(Y, run=run, block=31)
    with pytest.raises(ValueError, match="block of 0 samples"):
        repeats(Y, block=0)
    assert repeats(Y, run=run, block=23).reason == ""
    assert repeats(Y, run=run, block=24).reason


def test_presentations_of_unequal_length_are_told_with_the_numbers():
    Y = planted(0.5, 3, 100, 0, 3)
    with pytest.raises(ValueError, match="3 presentations have 100, 97, 100 samples"):
        repeats([Y[0], Y[1, :97], Y[2]])
    with pytest.raises(ValueError, match="2 presentations have 3, 2 targets"):
        repeats([Y[0], Y[1, :, :2]])
    np.testing.assert_array_equal(repeats(list(Y)).low, repeats(Y).low)


def test_no_resamples_are_no_interval():
    with pytest.raises(ValueError, match="0 resamples"):
        repeats(planted(0.5, 2, 100, 0, 3), n=0)


def test_no_ceiling_is_missing_everywhere():
    found = none(np.zeros((1, 50, 3)))
    assert np.isnan([found.value, found.low, found.high, found.explainable]).all()
    assert not found.valid.any()
