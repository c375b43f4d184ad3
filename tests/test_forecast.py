"""Windows of coming words: closed forms, no wrap, and what they add to a planted brain."""

import numpy as np
import pytest

from pipeline import forecast, splits

X = np.arange(1.0, 13.0)[:, None] * [1.0, 100.0]  # twelve words


@pytest.mark.parametrize("distance", [-3, 0, 2, 9])
def test_a_window_holds_the_words_up_to_its_distance_and_nothing_of_the_other_end(distance):
    expected = np.zeros((12, 3, 2))
    for n in range(12):
        for i, word in enumerate(range(n + distance - 2, n + distance + 1)):
            if 0 <= word < 12:
                expected[n, i] = X[word]
    np.testing.assert_array_equal(forecast.window(X, distance, 3), expected.reshape(12, 6))


def test_known_are_the_words_whose_windows_lie_in_the_run_at_every_distance():
    distances = (0, 2, 5)
    whole = [np.all([forecast.window(X, d, 3).reshape(12, 3, 2)[n].all() for d in distances]) for n in range(12)]
    np.testing.assert_array_equal(forecast.known(12, distances, 3), whole)


def test_samples_that_a_word_without_a_window_reaches_are_left_out():
    onsets, times = np.arange(12) * 1.0, np.arange(0, 14, 2.0)
    whole = forecast.known(12, (2,), 3)  # all but the last two, whose onsets are 10 and 11 s
    np.testing.assert_array_equal(forecast.reached(whole, onsets, times, 4.0, 2.0), times < 9)
    whole = forecast.known(12, (0,), 3)  # all but the first two, whose onsets are 0 and 1 s
    np.testing.assert_array_equal(forecast.reached(whole, onsets, times, 4.0, 2.0), times > 5)


def test_the_control_has_the_same_words_half_a_run_away():
    moved = forecast.other_half(X)
    np.testing.assert_array_equal(moved[6:], X[:6])
    np.testing.assert_array_equal(np.sort(moved, axis=0), X)


def brain(share: float) -> forecast.Forecast:
    """Samples are words; targets follow the word heard, and a share of them the fourth word to come."""
    rng = np.random.default_rng(0)
    words = rng.standard_normal((4, 150, 5))
    now, ahead = rng.standard_normal((2, 5, 20))
    coming = [forecast.window(w, 4, 1) for w in words]
    Y = [np.sqrt(1 - share) * w @ now + np.sqrt(share) * c @ ahead for w, c in zip(words, coming, strict=True)]
    Y = np.concatenate(Y) + 2 * rng.standard_normal((600, 20))
    designs = [
        [np.concatenate([forecast.window(f(w), d, 2) for w in words]) for d in (1, 4, 8)]
        for f in (lambda w: w, forecast.other_half)
    ]
    folds = splits.leave_one_run_out(np.repeat(np.arange(4), 150))
    alphas = np.geomspace(1, 1e4, 9)
    return forecast.gains(np.concatenate(words), *designs, Y, folds=folds, alphas=alphas, n_iter=7)


def test_what_is_planted_four_words_ahead_is_found_there_only():
    found = brain(0.4).beyond.mean(axis=(1, 2))
    assert found[1] > 0.1 and abs(found[0]) < 0.01 and abs(found[2]) < 0.01


def test_a_brain_that_follows_the_words_heard_gains_nothing():
    assert np.abs(brain(0.0).beyond.mean(axis=(1, 2))).max() < 0.01


def test_the_mean_over_a_folds_samples_is_its_gain_less_that_of_the_control():
    found = brain(0.4)
    for k in range(4):
        series = found.series[:, 150 * k : 150 * (k + 1)].mean(axis=1)
        np.testing.assert_allclose(series, found.beyond[:, k].mean(axis=1), atol=1e-5)


@pytest.mark.parametrize(
    ("call", "told"),
    [
        (lambda: forecast.window(X, 2, 0), "width is 0"),
        (lambda: forecast.known(12, (-4, 6), 3), "a run of 12 words holds no word with windows of 3"),
        (lambda: forecast.gains(X, [X], [], X, folds=[]), "1 windows and 0 controls"),
    ],
    ids=["width", "short run", "controls"],
)
def test_what_has_no_answer_is_refused_with_the_numbers(call, told):
    with pytest.raises(ValueError, match=told):
        call()
