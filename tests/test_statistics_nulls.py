"""Random phases and the largest statistic over targets, against plain loops and noise of known smoothness."""

import numpy as np
import pytest
from test_statistics import autoregressive, found_in_noise

from pipeline import metrics, ridge, splits, statistics
from pipeline.ridge.refit import Refit
from pipeline.statistics import refitted
from pipeline.statistics.blocks import Moves, Shifts, split_runs
from pipeline.statistics.phases import Turns

RUN = np.repeat([0, 1, 2], [57, 44, 19])
ALPHAS = np.geomspace(1, 1e3, 4)


@pytest.mark.parametrize("run", [None, RUN], ids=["one run", "three runs"])
def test_p_is_the_share_of_phases_that_correlate_as_well(run):
    Y, Y_hat = autoregressive(0.5, 120, 20) + 3, autoregressive(0.5, 120, 20, seed=1)
    p = statistics.phases(Y, Y_hat, run=run, n=80, seed=3)
    drawn = Turns(split_runs(run, 120), 80, 3).of(Y_hat, 0, 80)
    null = np.array([metrics.pearson(Y, one) for one in drawn])
    np.testing.assert_array_equal(p, ((null >= metrics.pearson(Y, Y_hat) - 1e-9).sum(axis=0) + 1) / 81)


def test_random_phases_find_little_in_smooth_noise():
    assert found_in_noise(statistics.phases, n=199) <= 0.07


@pytest.mark.parametrize("how", ["blocks", "shifts", "phases"])
def test_p_is_the_share_of_refits_that_score_as_well(how, monkeypatch):
    monkeypatch.setattr(refitted, "_STACKED", 2000)
    X, Y = autoregressive(0.5, 120, 5), autoregressive(0.5, 120, 6, seed=1)
    folds, block = splits.leave_one_run_out(RUN), None if how == "phases" else 6
    p = statistics.permute_refit(X, Y, folds=folds, alphas=ALPHAS, run=RUN, block=block, n=30, how=how)
    alpha, model = ridge.cross_validate(X, Y, folds=folds, alphas=ALPHAS).alpha, Refit(X, folds)
    runs, measured = split_runs(RUN, 120), np.arange(120)[None]
    if how == "phases":
        responses = Turns(runs, 30, 0).of(Y, 0, 30)
    else:
        responses = Y[{"blocks": Moves, "shifts": Shifts}[how](runs, 6, 30, 0).orders(0, 30)]
    null = np.array([model(one, measured, alpha)[0] for one in responses])
    expected = (null >= model(Y, measured, alpha)[0] - 1e-6).sum(axis=0)
    np.testing.assert_array_equal(p, (expected + 1) / 31)


def test_the_corrected_p_is_the_share_of_permutations_whose_best_target_does_as_well(monkeypatch):
    Y, Y_hat = autoregressive(0.5, 120, 30), autoregressive(0.5, 120, 30, seed=1)
    Y_hat[:, 0] += 0.5 * Y[:, 0]
    Y_hat[:, 4], Y[3, 5] = 1.0, np.nan
    found = statistics.permute_blocks(Y, Y_hat, block=3, n=80, max_statistic=True)
    np.testing.assert_array_equal(found.p, statistics.permute_blocks(Y, Y_hat, block=3, n=80))
    usable = [k for k in range(30) if k not in (4, 5)]
    orders = np.vstack([np.arange(120), Moves([np.arange(120)], 3, 80, 0).orders(0, 80)])
    r = np.array([metrics.pearson(Y[:, usable], Y_hat[order][:, usable]) for order in orders])
    z = (r - r.mean(axis=0)) / r.std(axis=0)
    expected = ((z[1:].max(axis=1)[:, None] >= z[0] - 1e-6).sum(axis=0) + 1) / 81
    np.testing.assert_array_equal(found.corrected[usable], expected)
    assert found.corrected[4] == 1
    assert np.isnan(found.corrected[5])
    assert (found.corrected[usable] >= found.p[usable]).all()


def test_what_blocks_miss_is_that_of_products_of_two_smooth_series():
    """Blocks of 9 are meant for a memory of .5; the products of two such series have one of .25."""
    lags = np.arange(-8, 9)
    in_blocks, whole = ((1 - np.abs(lags) / 9) * 0.25 ** np.abs(lags)).sum(), 1 + 2 * 0.25 / (1 - 0.25)
    assert Moves([np.arange(120)], 9, 5, 0).missed == pytest.approx(1 - in_blocks / whole, abs=1e-5)


@pytest.mark.parametrize("test", [statistics.circular_shifts, statistics.phases])
def test_of_one_target_the_corrected_p_is_its_own(test):
    Y = autoregressive(0.5, 120, 1)
    found = test(Y, autoregressive(0.5, 120, 1, seed=1), n=99, max_statistic=True)
    np.testing.assert_array_equal(found.p, found.corrected)


def test_what_a_refit_cannot_do_is_refused():
    X, Y = autoregressive(0.5, 60, 3), autoregressive(0.5, 60, 2, seed=1)
    options = {"folds": splits.contiguous(60, folds=3, gap=0), "alphas": ALPHAS, "n": 5}
    with pytest.raises(ValueError, match=r"how='rolls' is not known; known: 'blocks', 'shifts', 'phases'"):
        statistics.permute_refit(X, Y, how="rolls", **options)
    with pytest.raises(ValueError, match="random phases have no blocks: leave out block=5"):
        statistics.permute_refit(X, Y, how="phases", block=5, **options)
