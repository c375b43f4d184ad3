"""Scores against scipy and scikit-learn; what is constant, opposite or badly scaled."""

import inspect

import numpy as np
import pytest
from scipy.stats import pearsonr
from sklearn.metrics import r2_score

from pipeline.metrics import METRICS, flat, pearson, r2

RNG = np.random.default_rng(0)
Y = RNG.normal(size=(50, 4)) * [1, 10, 0.01, 3] + [0, 5, -2, 100]
Y_HAT = Y + RNG.normal(size=Y.shape) * [1, 30, 0.001, 9]
TRAIN_MEAN = Y.mean(axis=0) + np.array([0.3, -2, 0.004, 1])


def score(metric: str, Y: np.ndarray, Y_hat: np.ndarray) -> np.ndarray:
    """Either metric; the training mean is what the test samples' own mean is."""
    return METRICS[metric](Y, Y_hat, *([Y.mean(axis=0)] if metric == "r2" else []))


def test_r_is_that_of_scipy():
    expected = [pearsonr(y, p).statistic for y, p in zip(Y.T, Y_HAT.T, strict=True)]
    assert np.allclose(pearson(Y, Y_HAT), expected, rtol=0, atol=1e-12)


def test_r2_about_the_test_mean_is_that_of_sklearn():
    expected = r2_score(Y, Y_HAT, multioutput="raw_values")
    assert np.allclose(r2(Y, Y_HAT, Y.mean(axis=0)), expected, rtol=0, atol=1e-12)


def test_the_null_of_r2_is_the_training_mean():
    """sklearn scores against the test mean: 1 - (1 - R2) times the ratio of the two nulls is ours."""
    against_test = r2_score(Y, Y_HAT, multioutput="raw_values")
    ratio = ((Y - Y.mean(axis=0)) ** 2).sum(axis=0) / ((Y - TRAIN_MEAN) ** 2).sum(axis=0)
    assert np.allclose(r2(Y, Y_HAT, TRAIN_MEAN), 1 - (1 - against_test) * ratio, rtol=0, atol=1e-12)


def test_predicting_the_training_mean_explains_exactly_nothing():
    assert np.array_equal(r2(Y, np.broadcast_to(TRAIN_MEAN, Y.shape), TRAIN_MEAN), np.zeros(4))


@pytest.mark.parametrize("metric", METRICS)
def test_a_prediction_of_the_opposite_is_never_good(metric):
    opposite = 2 * Y.mean(axis=0) - Y_HAT
    assert score(metric, Y, Y_HAT)[2] > 0.9
    assert (score(metric, Y, opposite) < 0).all()


@pytest.mark.parametrize(("metric", "worst"), [("r", -1), ("r2", -3)])
def test_the_exact_opposite_scores_the_closed_form(metric, worst):
    """r(y, -y) = -1; 1 - sum (2 y)^2 / sum y^2 = -3."""
    assert np.allclose(score(metric, Y, 2 * Y.mean(axis=0) - Y), worst, rtol=0, atol=1e-10)


@pytest.mark.parametrize("metric", METRICS)
def test_a_perfect_prediction_scores_one(metric):
    assert np.allclose(score(metric, Y, Y), 1, rtol=0, atol=1e-12)


def test_r2_is_not_clipped_from_below():
    assert (r2(Y, 10 * Y_HAT, TRAIN_MEAN) < -1).all()


@pytest.mark.parametrize("metric", METRICS)
def test_a_constant_target_has_no_score_and_leaves_the_others_alone(metric):
    constant = Y.copy()
    constant[:, 1] = 0.1
    found = score(metric, constant, Y_HAT)
    assert np.isnan(found).tolist() == [False, True, False, False]
    assert np.array_equal(found[[0, 2, 3]], score(metric, Y, Y_HAT)[[0, 2, 3]])


def test_a_constant_prediction_correlates_exactly_zero():
    constant = Y_HAT.copy()
    constant[:, 2] = 0.1
    assert pearson(Y, constant)[2] == 0


@pytest.mark.parametrize("mean", [0.1, 1e3, 1e6, -3e7])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_constants_with_a_large_mean_are_still_constant(dtype, mean):
    constant = np.full((50, 4), mean, dtype)
    assert np.isnan(pearson(constant, Y_HAT.astype(dtype))).all()
    assert np.array_equal(pearson(Y.astype(dtype), constant), np.zeros(4))


def test_a_constant_that_trembles_by_rounding_is_constant():
    """1000 in float32 has neighbours 6e-5 away; that is no signal."""
    trembling = np.full((50, 1), 1000, np.float32)
    trembling[::3] = np.nextafter(np.float32(1000), np.float32(2000))
    assert flat(trembling).all()
    assert pearson(Y[:, :1].astype(np.float32), trembling)[0] == 0


def test_a_small_signal_on_a_large_mean_is_no_constant():
    signal = 1000 + 0.1 * Y[:, :1]
    assert not flat(signal.astype(np.float32)).any()
    assert pearson(Y[:, :1].astype(np.float32), signal.astype(np.float32))[0] > 0.999


def test_constants_of_integers_are_constant():
    assert flat(np.array([[3, 1], [3, 2]])).tolist() == [True, False]


@pytest.mark.parametrize("scale", [1e-13, 1e-3, 1e6])
@pytest.mark.parametrize("shift", [0.0, 10.0])
def test_r_does_not_depend_on_the_scale_of_a_prediction(scale, shift):
    """MEG is measured in 1e-13 T."""
    assert np.allclose(pearson(Y, scale * (Y_HAT + shift)), pearson(Y, Y_HAT), rtol=0, atol=1e-10)


@pytest.mark.parametrize("scale", [1e-13, 1e-3, 1e6])
def test_r2_does_not_depend_on_the_unit_of_measurement(scale):
    found = r2(scale * Y, scale * Y_HAT, scale * TRAIN_MEAN)
    assert np.allclose(found, r2(Y, Y_HAT, TRAIN_MEAN), rtol=0, atol=1e-10)


def test_r2_does_depend_on_the_scale_of_a_prediction():
    assert (r2(Y, 2 * Y_HAT, TRAIN_MEAN) < r2(Y, Y_HAT, TRAIN_MEAN)).all()


@pytest.mark.parametrize("metric", METRICS)
def test_targets_are_scored_each_on_its_own(metric):
    order = np.array([2, 0, 3, 1])
    assert np.allclose(score(metric, Y[:, order], Y_HAT[:, order]), score(metric, Y, Y_HAT)[order], rtol=0, atol=1e-12)


@pytest.mark.parametrize("metric", METRICS)
def test_the_order_of_samples_does_not_matter(metric):
    order = np.random.default_rng(1).permutation(len(Y))
    assert np.allclose(score(metric, Y[order], Y_HAT[order]), score(metric, Y, Y_HAT), rtol=0, atol=1e-12)


@pytest.mark.parametrize("metric", METRICS)
def test_shapes_that_differ_are_refused_with_both(metric):
    unchecked = inspect.unwrap(METRICS[metric])  # as users run it, without the shape checks of tests
    with pytest.raises(ValueError, match=r"responses are \(50, 4\) and predictions \(49, 4\)"):
        unchecked(Y, Y_HAT[:-1], *([TRAIN_MEAN] if metric == "r2" else []))
