"""Surrogate responses: what each kind keeps exactly, and what it must not keep."""

import numpy as np
import pytest
from test_statistics import autoregressive

from pipeline import statistics

RUN = np.repeat(["a", "b", "c"], [40, 55, 25])


@pytest.fixture
def Y():
    return autoregressive(0.8, 120, 6) @ np.random.default_rng(1).normal(size=(6, 6)) + np.arange(6)


@pytest.mark.parametrize("run", [None, RUN], ids=["one run", "three runs"])
def test_random_phases_keep_mean_spectrum_and_what_relates_targets(Y, run):
    found = statistics.phase_randomised(Y, run=run, rng=np.random.default_rng(0))
    for rows in [np.arange(120)] if run is None else [np.flatnonzero(run == one) for one in "abc"]:
        before, after = np.fft.rfft(Y[rows], axis=0), np.fft.rfft(found[rows], axis=0)
        np.testing.assert_allclose(np.abs(after), np.abs(before), atol=1e-9)
        np.testing.assert_allclose(found[rows].mean(axis=0), Y[rows].mean(axis=0), atol=1e-12)
        np.testing.assert_allclose(np.cov(found[rows].T), np.cov(Y[rows].T), atol=1e-9)
        cross = before[:, :1] * np.conj(before)
        np.testing.assert_allclose(after[:, :1] * np.conj(after), cross, atol=1e-8)


def test_random_phases_are_uniform_and_drawn_anew_for_each_run(Y):
    run, twice = np.repeat([0, 1], 60), np.vstack([Y[:60], Y[:60]])
    found = statistics.phase_randomised(twice, run=run, rng=np.random.default_rng(0))
    assert np.abs(found[:60] - found[60:]).max() > 0.1
    rng, white = np.random.default_rng(0), autoregressive(0, 64, 1)
    r = [np.corrcoef(white[:, 0], statistics.phase_randomised(white, rng=rng)[:, 0])[0, 1] for _ in range(1000)]
    power = np.abs(np.fft.rfft(white[:, 0]))[1:] ** 2 * np.r_[np.full(31, 2), 1]
    share = (
        power / power.sum()
    )  # each frequency adds its share times the cosine of its turn: that of a sign at the last
    expected = np.sqrt((share**2 * np.r_[np.full(31, 0.5), 1]).sum())
    assert abs(np.mean(r)) < 3 * expected / np.sqrt(1000)
    assert np.std(r) == pytest.approx(expected, rel=0.07)


def test_rolled_runs_are_the_runs_rolled_by_enough_and_all_shifts_occur(Y):
    rng, shifts = np.random.default_rng(0), set()
    for _ in range(300):
        found = statistics.rolled(Y, run=RUN, least=10, rng=rng)
        for one in "abc":
            own, before = found[one == RUN], Y[one == RUN]
            shift = int(np.flatnonzero(own[:, 0] == before[0, 0])[0])
            np.testing.assert_array_equal(own, np.roll(before, shift, axis=0))
            shifts.add((one, shift))
    assert {shift for one, shift in shifts if one == "c"} == set(range(10, 16))
    assert min(shift for _, shift in shifts) == 10
    assert max(shift for one, shift in shifts if one == "b") == 45


@pytest.mark.parametrize("least", [1, 25])
def test_runs_in_another_order_leave_no_sample_at_its_time(least):
    marked = np.arange(120.0)[:, None]  # each sample says where it was
    for seed in range(50):
        found = statistics.reordered(marked, run=RUN, least=least, rng=np.random.default_rng(seed))[:, 0].astype(int)
        assert sorted(found) == list(range(120))
        own_run = RUN[found] == RUN
        assert (np.abs(found - np.arange(120))[own_run] >= least).all()
        assert (np.diff(found) == 1).sum() >= 117  # three runs, each whole


def test_many_runs_and_interleaved_ones_are_reordered_too():
    run, marked = np.arange(120) % 12, np.arange(120.0)[:, None]
    found = statistics.reordered(marked, run=run, rng=np.random.default_rng(0))[:, 0].astype(int)
    assert (run[found] != run).all()  # equally long: each meets another


def test_surrogates_repeat_with_their_seed_keep_the_type_and_leave_the_data_alone(Y):
    before = Y.copy()
    for one in (
        lambda Y, rng: statistics.phase_randomised(Y, rng=rng),
        lambda Y, rng: statistics.rolled(Y, least=5, rng=rng),
        lambda Y, rng: statistics.reordered(Y, run=RUN, rng=rng),
    ):
        first = one(Y, np.random.default_rng(3))
        np.testing.assert_array_equal(first, one(Y, np.random.default_rng(3)))
        assert any((first != one(Y, np.random.default_rng(seed))).any() for seed in (4, 5, 6))
        assert one(Y.astype(np.float32), np.random.default_rng(3)).dtype == np.float32
    np.testing.assert_array_equal(Y, before)


def test_what_cannot_be_a_surrogate_is_refused_with_the_numbers(Y):
    rng = np.random.default_rng(0)
    with pytest.raises(ValueError, match=r"runs of \[2\] samples have no phase"):
        statistics.phase_randomised(Y[:5], run=np.array([0, 0, 0, 1, 1]), rng=rng)
    with pytest.raises(
        ValueError, match=r"runs of \[25\] samples cannot be shifted by at least 13 both ways: at most 12"
    ):
        statistics.rolled(Y, run=RUN, least=13, rng=rng)
    with pytest.raises(ValueError, match="1 run of 120 samples cannot change places"):
        statistics.reordered(Y, run=np.zeros(120, int), rng=rng)
    with pytest.raises(ValueError, match=r"no order of 2 runs of \[2, 118\] samples .* at least 3"):
        statistics.reordered(Y, run=np.repeat([0, 1], [118, 2]), least=3, rng=rng)
