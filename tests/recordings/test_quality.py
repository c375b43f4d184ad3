"""Measures of quality say what was planted: noise, drifts, spikes, movement, and what was left out."""

import json
import tracemalloc

import numpy as np
import pytest

from pipeline.recordings.quality import CARPET_SD, carpet, df_left, dvars, summary, tsnr

N, TR = 400, 2.0


def noise(n_targets: int, *, ar: float = 0.0, n: int = N, seed: int = 0) -> np.ndarray:
    """Targets of deviation 1 whose samples correlate by `ar` with the one before."""
    steps = np.random.default_rng(seed).normal(size=(n + 200, n_targets))
    steps[1:] *= np.sqrt(1 - ar**2)
    for t in range(1, len(steps)):
        steps[t] += ar * steps[t - 1]
    return steps[200:]


def test_tsnr_is_the_baseline_over_the_noise_whatever_the_drift():
    drift = np.linspace(-50, 50, N)[:, None]
    found = tsnr((600 + drift + 10 * noise(5000)).astype(np.float32))
    assert np.mean(found) == pytest.approx(60, rel=0.01)


def test_tsnr_is_what_a_fit_of_a_line_leaves():
    signals = 100 + noise(7, ar=0.5)
    design = np.c_[np.ones(N), np.arange(N)]
    squares = np.linalg.lstsq(design, signals, rcond=None)[1]
    np.testing.assert_allclose(tsnr(signals), signals.mean(axis=0) / np.sqrt(squares / (N - 2)))


@pytest.mark.parametrize("value", [0.0, 812.5])
def test_a_constant_target_has_no_tsnr(value):
    assert np.isnan(tsnr(np.full((N, 1), value, np.float32))).all()


@pytest.mark.parametrize("hole", [np.nan, np.inf])
def test_a_hole_takes_its_own_target_only(hole):
    signals = 100 + noise(3)
    whole = tsnr(signals)
    signals[5, 1] = hole
    np.testing.assert_array_equal(tsnr(signals), [whole[0], np.nan, whole[2]])
    np.testing.assert_allclose(dvars(signals), dvars(signals[:, [0, 2]]))
    np.testing.assert_allclose(carpet(signals, rows=3)[1], 0)


@pytest.mark.parametrize("ar", [0.0, 0.4, 0.8])
def test_dvars_of_mere_noise_is_one(ar):
    found = dvars(500 + 7 * noise(3000, ar=ar))
    assert np.isnan(found[0])
    assert np.nanmean(found) == pytest.approx(1, abs=0.02)
    assert np.abs(found[1:] - 1).max() < 0.1


def test_a_spike_stands_out_of_dvars_by_its_size():
    signals = noise(3000)
    signals[200] += 5  # every target: a change of sqrt(2 + 25) where noise alone changes by sqrt(2)
    found = dvars(signals)
    np.testing.assert_allclose(found[[200, 201]], np.sqrt(27 / 2), rtol=0.03)
    assert np.delete(found, [0, 200, 201]).max() < 1.1


def test_dvars_is_nichols_formula_also_where_targets_differ_in_variance():
    """Root mean square of the change over the mean of sd sqrt(2 (1 - a)); the quartiles lie 1.349 SD apart."""
    signals = noise(50, ar=0.3) * np.linspace(1, 4, 50)
    sd = np.subtract(*np.percentile(signals, [75, 25], axis=0)) / 1.349
    centred = signals - signals.mean(axis=0)
    ar1 = (centred[1:] * centred[:-1]).sum(axis=0) / (centred**2).sum(axis=0)  # Yule-Walker of order 1
    expected = np.sqrt((np.diff(signals, axis=0) ** 2).mean(axis=1)) / (np.sqrt((1 - ar1) * 2) * sd).mean()
    np.testing.assert_allclose(dvars(signals)[1:], expected)


def test_dvars_of_nothing_that_changes_is_missing():
    assert np.isnan(dvars(np.full((N, 4), 3.0))).all()


def test_a_row_of_the_carpet_is_its_targets_on_one_scale():
    course = np.sin(np.arange(N) / 9)
    signals = np.repeat(noise(4), 50, axis=1) * 0.01 + np.outer(course, np.repeat([1.0, -1.0, 100.0, 0.05], 50))
    found = carpet(signals, rows=4)
    assert [np.corrcoef(row, course)[0, 1] > 0.7 for row in found] == [True, False, True, True]
    assert np.corrcoef(found[1], course)[0, 1] < -0.99


def test_a_carpet_keeps_the_order_of_targets_and_averages_neighbours():
    signals = noise(1000)
    z = signals - np.polynomial.polynomial.polyval(np.arange(N), np.polyfit(np.arange(N), signals, 1)[::-1]).T
    means = (z / z.std(axis=0)).reshape(N, 200, 5).mean(axis=2).T
    expected = np.clip(means / means.std(axis=1, keepdims=True), -CARPET_SD, CARPET_SD)
    np.testing.assert_allclose(carpet(signals), expected, atol=1e-5)


def test_a_carpet_of_few_targets_has_a_row_for_each():
    assert carpet(noise(7)).shape == (7, N)
    assert carpet(noise(10_001, n=30)).shape == (200, 30)


def test_degrees_of_freedom_are_those_of_the_design_that_is_taken_out():
    high_pass, confounds = 0.01, noise(24)
    cosines = np.cos(np.pi * np.outer(np.arange(N) + 0.5, np.arange(1, int(2 * high_pass * N * TR) + 1)) / N)
    design = np.c_[np.ones(N), np.arange(N), cosines, confounds]
    left = N - np.linalg.matrix_rank(design)
    assert df_left(N, 24, high_pass, TR) == pytest.approx(left, abs=1e-9)
    assert df_left(N, 24, high_pass, TR, n_censored=30) == pytest.approx(left - 30, abs=1e-9)


def test_without_a_filter_only_the_line_and_the_confounds_are_paid_for():
    assert df_left(100, 6, None, TR) == df_left(100, 6, 0.0, TR) == 92


def told(**changed):
    fd = np.array([[np.nan, 0.1, 0.7, 0.1], [np.nan, 0.2, 0.3, 0.4]])
    known = {
        "fd_mm": fd, "dvars": np.array([[np.nan, 1, 1, 4], [np.nan, 1, 1, 1.0]]), "tsnr": np.array([np.nan, 40, 60, 80.0]),
        "tr_s": TR, "high_pass": None, "n_confounds": 1, "censored": {"moved": 1}, "targets_dropped": {"constant": 3},
        "route": "raw, motion corrected here",
    }  # fmt: skip
    return summary(**known | changed)


def test_a_summary_is_of_all_presentations_and_leaves_what_is_missing_out():
    found = told()
    assert (found.n_volumes, found.fd_mean, found.fd_above, found.fd_max) == (4, pytest.approx(0.3), 1 / 6, 0.7)
    assert (found.dvars_mean, found.dvars_median, found.tsnr_median, found.df_left) == (1.5, 1, 60, 0)


def test_a_summary_comes_back_from_json_as_it_was():
    found = told(fd_mm=None, tsnr=np.full(4, np.nan))
    back = json.loads(json.dumps(found._asdict(), allow_nan=False))
    assert back == found._asdict() | {"limits": list(found.limits)}
    assert back["fd_mean"] is back["fd_above"] is back["fd_max"] is back["tsnr_median"] is None


def test_the_raw_route_says_what_it_did_not_do():
    assert any("slice-timing" in sentence for sentence in told().limits)
    assert any("fMRIPrep" in sentence for sentence in told().limits)
    assert told(route="fMRIPrep derivatives").limits == ()


@pytest.mark.parametrize("measure", [tsnr, dvars, carpet])
def test_a_large_run_is_measured_in_a_part_of_its_own_memory(measure):
    signals = noise(100).astype(np.float32).repeat(300, axis=1)
    tracemalloc.start()
    measure(signals)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 2 * signals.nbytes  # a float64 copy alone is twice the run
