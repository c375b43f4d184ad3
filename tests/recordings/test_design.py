"""One run's features beside its samples: when they are read, what stands where, what is refused."""

from typing import ClassVar, Literal

import numpy as np
import pytest
from nilearn.glm.first_level import compute_regressor
from pydantic import ValidationError

from pipeline.recordings.base import lagged, zscored
from pipeline.recordings.matrix import Arrays
from pipeline.timing import to_grid

TR = 2.0
TIMES = TR * np.arange(60)  # s, starts of samples
MIDDLE = TIMES + TR / 2


def words(n: int = 200, n_features: int = 3) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    return rng.normal(size=(n, n_features)), np.sort(rng.uniform(0, 120, n))


def r(a: np.ndarray, b: np.ndarray) -> float:
    return float(np.corrcoef(a, b)[0, 1])


# --- the blood's answer ---


@pytest.mark.parametrize("how", ["glover", "spm"])
def test_the_answer_is_that_of_nilearn_in_the_middle_of_each_sample(how):
    features, onsets = words()
    X = Arrays(how=how).design(features, onsets, TIMES)
    for column, amplitudes in zip(X.T, features.T, strict=True):
        events = (onsets, np.zeros(len(onsets)), amplitudes)
        middle, start = (compute_regressor(events, how, times, oversampling=100)[0] for times in (MIDDLE, TIMES))
        assert r(column, middle[:, 0]) > 0.9995 > 0.98 > r(column, start[:, 0])


def test_derivatives_stand_beside_the_features():
    features, onsets = words()
    none, both = (Arrays(how="spm", derivatives=n).design(features, onsets, TIMES) for n in (0, 2))
    assert none.shape == (60, 3) and both.shape == (60, 9)
    assert np.array_equal(none, both[:, :3])
    derivative = compute_regressor((onsets, np.zeros(200), features[:, 1]), "spm + derivative", MIDDLE)[0][:, 1]
    on_both = np.column_stack([none[:, 1], derivative, np.ones(60)])  # nilearn's is orthogonal to the answer
    left = both[:, 4] - on_both @ np.linalg.lstsq(on_both, both[:, 4])[0]
    assert left.std() < 0.05


def test_an_answer_has_no_delays_of_its_own_unless_told_none():
    assert Arrays(how="glover").delays == (0,)
    assert Arrays(how="glover", delays=(0,)).delays == (0,)
    assert Arrays(how="lanczos").delays == Arrays().delays == (1, 2, 3, 4)


def test_settings_that_travelled_as_text_are_the_same_settings():
    told = Arrays(how="spm", derivatives=1)
    assert Arrays.model_validate({k: v for k, v in told.dump().items() if k != "version"}) == told


@pytest.mark.parametrize("delays", [(1, 2, 3, 4), (0, 1), (-1,)])
def test_delays_of_an_answer_are_refused(delays):
    with pytest.raises(ValidationError, match=r"how 'glover': the answer would be modelled twice.*delays: \[0\]"):
        Arrays(how="glover", delays=delays)


def test_derivatives_of_what_is_no_curve_are_refused():
    with pytest.raises(ValidationError, match="derivatives 1 with how 'lanczos': only glover and spm"):
        Arrays(derivatives=1)


@pytest.mark.parametrize("derivatives", [-1, 3])
def test_there_are_two_derivatives(derivatives):
    with pytest.raises(ValidationError):
        Arrays(how="spm", derivatives=derivatives)


# --- the filter that never looks ahead ---


def test_the_causal_filter_is_read_in_the_middle_of_each_sample():
    features, onsets = words()
    expected = zscored(to_grid(features, onsets, MIDDLE, how="causal", cutoff_hz=0.2))
    assert np.array_equal(Arrays(how="causal", cutoff_hz=0.2, delays=(0,)).design(features, onsets, TIMES), expected)


@pytest.mark.parametrize(("how", "is_told"), [("causal", False), ("glover", False), ("sum", False), ("lanczos", True)])
def test_only_lanczos_is_told_the_future(how, is_told):
    """A word at 60 s changes what the samples before know of one another; z-scoring alone moves and scales them."""
    features, onsets = words()
    other = np.where(onsets[:, None] > 60, np.random.default_rng(1).normal(size=features.shape), features)
    was, is_now = (Arrays(how=how, delays=(0,)).design(x, onsets, TIMES)[:30] for x in (features, other))
    same = [r(a, b) > 1 - 1e-9 for a, b in zip(was.T, is_now.T, strict=True)]
    assert not any(same) if is_told else all(same)


# --- whatever the way ---

WAYS = ("lanczos", "causal", "mean", "sum", "last", "glover", "spm")


@pytest.mark.parametrize("how", WAYS)
def test_a_feature_that_is_always_zero_stays_zero(how):
    features, onsets = words()
    features[:, 1] = 0
    X = Arrays(how=how).design(features, onsets, TIMES)
    assert (X[:, 1::3] == 0).all() and np.isfinite(X).all()
    assert X[:, ::3].any(axis=0).all()


@pytest.mark.parametrize("how", WAYS)
def test_columns_are_z_scored_in_the_run_before_they_are_delayed(how):
    X = Arrays(how=how).design(*words(), TIMES)[:, :3]
    whole = X if how in ("glover", "spm") else Arrays(how=how, delays=(0,)).design(*words(), TIMES)
    np.testing.assert_allclose(whole.mean(axis=0), 0, atol=1e-12)
    np.testing.assert_allclose(whole.std(axis=0), 1, atol=1e-12)


@pytest.mark.parametrize("how", WAYS)
def test_a_state_is_laid_once_and_the_same_in_every_way(how):
    features, onsets = words()
    settings = {"derivatives": 2} if how in ("glover", "spm") else {}
    X = Arrays(how=how, **settings).design(features, onsets, TIMES, "state")
    assert np.array_equal(X, Arrays().design(features, onsets, TIMES, "state"))
    assert X.shape == (60, 3)


def test_the_ways_change_the_design_and_not_the_clean_recording():
    changed = Arrays(how="spm", derivatives=2, cutoff_hz=0.1)
    assert changed.for_clean() == Arrays().for_clean()
    assert {k for k, v in changed.for_design().items() if v != Arrays().for_design()[k]} == {
        "how",
        "delays",
        "derivatives",
        "cutoff_hz",
    }


class Smoothed(Arrays):
    """A recording whose features are differenced on the clock."""

    kind: Literal["smoothed"] = "smoothed"
    seen: ClassVar[list[float]] = []

    def filtered(self, X: np.ndarray, tr_s: float) -> np.ndarray:
        self.seen.append(tr_s)
        return np.diff(X, axis=0, prepend=0)


def test_a_recording_may_filter_features_before_they_are_z_scored_and_delayed():
    features, onsets = words()
    X = Smoothed(how="sum", delays=(0, 2)).design(features, onsets, TIMES)
    plain = to_grid(features, onsets, TIMES, how="sum")
    assert np.array_equal(X, lagged(zscored(np.diff(plain, axis=0, prepend=0)), (0, 2)))
    assert Smoothed.seen == [TR]
