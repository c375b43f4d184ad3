"""The blood's answer to words: nilearn's regressors, for many features at once."""

import numpy as np
import pytest
from nilearn.glm import first_level

from pipeline.hrf import HRFS, LENGTH_S, answered, kernels

CLOCK = 1.5 * np.arange(40)  # s
CURVES = ("hrf", "time_derivative", "dispersion_derivative")
PAIRS = [(how, k) for how in HRFS for k in range(3)]


def words(n: int = 60, n_features: int = 3) -> tuple[np.ndarray, np.ndarray]:
    """Before, in and after the run, to a hundredth of a second, in no order."""
    rng = np.random.default_rng(0)
    return rng.normal(size=(n, n_features)), rng.uniform(-10, 65, n).round(2)


def of_nilearn(how: str, curve: int, amplitudes: np.ndarray, onsets: np.ndarray, times: np.ndarray) -> np.ndarray:
    """What nilearn comes to with ever finer steps, per second.

    It lays words on a grid and each a step too late, so it is wrong by a
    multiple of the step: twice the answer at half the step, less the answer,
    is free of it. A hair earlier, each word falls on the grid and not behind.
    """
    kernel = getattr(first_level, f"{how}_{CURVES[curve]}")
    events = (onsets - 1e-6, np.zeros(len(onsets)), amplitudes)

    def at(oversampling: int) -> np.ndarray:
        found, _ = first_level.compute_regressor(events, kernel, times, oversampling=oversampling)
        return found[:, 0] * oversampling / (times[1] - times[0])

    return 2 * at(300) - at(150)


@pytest.mark.parametrize(("how", "curve"), PAIRS)
def test_each_feature_is_the_regressor_of_nilearn(how, curve):
    values, onsets = words()
    found = answered(values, onsets, CLOCK, how, 2)[:, 3 * curve + 1]
    expected = of_nilearn(how, curve, values[:, 1], onsets, CLOCK)
    assert np.abs(found - expected).max() < 1e-3 * np.abs(expected).max()


@pytest.mark.parametrize("how", HRFS)
def test_derivatives_stand_beside_what_is_there_without_them(how):
    values, onsets = words()
    none, one, two = (answered(values, onsets, CLOCK, how, n) for n in (0, 1, 2))
    assert [X.shape[1] for X in (none, one, two)] == [3, 6, 9]
    assert np.array_equal(none, one[:, :3]) and np.array_equal(one, two[:, :6])


@pytest.mark.parametrize("how", HRFS)
def test_the_first_derivative_is_what_an_earlier_answer_adds(how):
    values, onsets = np.ones((1, 1)), np.array([3.0])
    now, derivative = answered(values, onsets, CLOCK, how, 1).T
    earlier = answered(values, onsets - 0.2, CLOCK, how)[:, 0]
    taken_apart = now + 0.2 * derivative
    assert np.abs(earlier - taken_apart).max() < 0.2 * np.abs(earlier - now).max()


@pytest.mark.parametrize("how", HRFS)
def test_the_answer_has_area_one_and_its_peak_at_five_seconds(how):
    (kernel,) = kernels(how)
    lags = np.arange(-5, 50, 0.01)
    assert kernel(lags).sum() * 0.01 == pytest.approx(1, abs=1e-4)
    assert 4.5 < lags[kernel(lags).argmax()] < 5.5


@pytest.mark.parametrize(("how", "curve"), PAIRS)
def test_no_answer_comes_before_the_word_or_after_its_end(how, curve):
    kernel = kernels(how, 2)[curve]
    assert (kernel(np.array([-1e9, -1.0, -1e-9, LENGTH_S + 1e-9, 1e9])) == 0).all()
    assert kernel(np.array([0.0])) == pytest.approx(0, abs=1e-9)


def test_a_word_before_the_run_still_weighs_in_it():
    found = answered(np.ones((1, 1)), np.array([-4.0]), CLOCK, "glover")
    assert found.argmax() == 1  # 5.5 s after the word


def test_a_run_without_words_is_zero():
    assert np.array_equal(answered(np.zeros((0, 2)), np.zeros(0), CLOCK, "spm", 1), np.zeros((40, 4)))


def test_an_unknown_answer_is_refused_with_the_known():
    with pytest.raises(ValueError, match=r"'flobs' with 0 derivatives is not known; known: 'glover', 'spm'"):
        kernels("flobs")
    with pytest.raises(ValueError, match=r"with 3 derivatives"):
        kernels("spm", 3)
