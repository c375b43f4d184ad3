"""Refitted null distributions against scikit-learn, planted signal and noise of known smoothness."""

import tracemalloc
from types import SimpleNamespace

import numpy as np
import pytest
from sklearn.linear_model import Ridge
from test_statistics import autoregressive

from pipeline import ridge, splits, statistics
from pipeline.ridge import refit
from pipeline.ridge.refit import Refit
from pipeline.statistics import refitted
from pipeline.statistics.blocks import Moves, split_runs

ALPHAS = np.geomspace(1, 1e3, 4)


def by_hand(X, Y, folds, order, alpha):
    """Mean over folds of r, one scikit-learn fit per fold and target."""
    Y, r = Y[order], np.zeros((len(folds), Y.shape[1]))
    for k, (train, test) in enumerate(folds):
        for t in range(Y.shape[1]):
            predicted = Ridge(alpha[k, t]).fit(X[train], Y[train, t]).predict(X[test])
            r[k, t] = np.corrcoef(Y[test, t], predicted)[0, 1]
    return r.mean(axis=0)


def predictions(X, Y, folds, alpha):
    """Cross-validated, side by side."""
    found = np.zeros_like(Y)
    for k, (train, test) in enumerate(folds):
        for one in np.unique(alpha[k]):
            own = np.flatnonzero(alpha[k] == one)
            found[np.ix_(test, own)] = (
                Ridge(one).fit(X[train], Y[np.ix_(train, own)]).predict(X[test]).reshape(-1, len(own))
            )
    return found


@pytest.mark.parametrize("n_features", [4, 90])
def test_held_out_predictions_are_those_of_scikit_learn(n_features):
    rng = np.random.default_rng(0)
    X, Y = rng.normal(size=(60, n_features)) + 5, rng.normal(size=(60, 5)) + 30
    X[:40, 0] = 2.0  # constant where the last fold trains
    folds = splits.contiguous(60, folds=3, gap=2)[1:]
    alpha = rng.choice([0.1, 10, 1000], size=(2, 5))
    found = ridge.held_out(X, Y, folds=folds, alpha=alpha, precision="float64")
    tested = np.concatenate([test for _, test in folds])
    np.testing.assert_allclose(found[tested], predictions(X, Y, folds, alpha)[tested], rtol=1e-10)
    assert np.isnan(np.delete(found, tested, axis=0)).all()


@pytest.fixture(params=list(refit._PATHS))
def path(request, monkeypatch):
    monkeypatch.setattr(refit, "_PATHS", {request.param: refit._PATHS[request.param]})
    return request.param


@pytest.mark.parametrize("precision", ["float32", "float64"])
@pytest.mark.parametrize("n_features", [4, 15, 90])
@pytest.mark.parametrize("gap", [0, 3])
def test_a_refit_is_that_of_scikit_learn(path, precision, n_features, gap):
    rng = np.random.default_rng(0)
    X = rng.normal(size=(60, n_features)) + 5
    X[:, 0], X[:40, 1] = 2.0, 1.0  # constant everywhere; constant where the last fold trains
    Y = (rng.normal(size=(60, 5)) + 30) * 1e-13  # teslas, far from zero
    folds, orders = splits.contiguous(60, folds=3, gap=gap), np.stack([rng.permutation(60) for _ in range(4)])
    alpha = rng.choice([0.1, 10, 1000], size=(3, 5))
    found = Refit(X, folds, precision)(Y, orders, alpha)
    expected = [by_hand(X, Y, folds, order, alpha) for order in orders]
    np.testing.assert_allclose(found, expected, atol=2e-6 if precision == "float32" else 1e-11)


def test_batches_and_rare_smoothers_change_nothing(path, monkeypatch):
    X, Y = autoregressive(0.5, 80, 30), autoregressive(0.5, 80, 9, seed=1)
    folds, rng = splits.contiguous(80, folds=4, gap=0), np.random.default_rng(0)
    orders, alpha = np.stack([rng.permutation(80) for _ in range(7)]), rng.choice(ALPHAS, size=(4, 9))
    expected = Refit(X, folds, "float64")(Y, orders, alpha)
    for name, value in {"_CELLS": 500, "_COLUMNS": 2, "_KEPT_BYTES": 1}.items():
        monkeypatch.setattr(refit, name, value)
    np.testing.assert_allclose(Refit(X, folds, "float64")(Y, orders, alpha), expected, atol=1e-12)


@pytest.mark.parametrize(("n_features", "cheaper"), [(5, "moments"), (200, "smoother")])
def test_the_path_of_fewer_products_is_taken(n_features, cheaper):
    assert Refit(autoregressive(0, 100, n_features), splits.contiguous(100, folds=5, gap=0)).path == cheaper


def test_what_does_not_vary_scores_zero(path):
    X, Y = autoregressive(0, 60, 6), autoregressive(0, 60, 3, seed=1) + 7
    Y[30:, 1] = 7.3  # one fold learns from nothing, the other has nothing to explain
    folds, order, alpha = splits.contiguous(60, folds=2, gap=0), np.arange(60)[None], np.full((2, 3), 10.0)
    assert (Refit(X, folds)(Y, order, alpha) != 0).tolist() == [[True, False, True]]
    X[30:] = X[30]  # one fold learns from features that are constant, the other predicts one constant
    assert (Refit(X, folds)(Y, order, alpha) == 0).all()


@pytest.mark.parametrize("n_features", [3, 40])
@pytest.mark.parametrize("select", ["r", "r2"])
def test_p_is_the_share_of_refits_that_score_as_well(n_features, select):
    X, Y = autoregressive(0.5, 90, n_features), autoregressive(0.5, 90, 6, seed=1)
    Y[:, 0] += 0.4 * X[:, 0]
    run = np.repeat([0, 1, 2], [40, 27, 23])
    folds = splits.leave_one_run_out(run)
    alpha = ridge.cross_validate(X, Y, folds=folds, alphas=ALPHAS, select=select).alpha
    p = statistics.permute_refit(X, Y, folds=folds, alphas=ALPHAS, run=run, block=6, n=30, seed=2, select=select)
    orders = Moves(split_runs(run, 90), 6, 30, 2).orders(0, 30)
    null = [by_hand(X, Y, folds, order, alpha) for order in orders]
    expected = (np.array(null) >= by_hand(X, Y, folds, np.arange(90), alpha) - 1e-6).sum(axis=0)
    np.testing.assert_array_equal(p, (expected + 1) / 31)


def noise(seed: int):
    """Unrelated features and responses, in folds of one run."""
    X, Y = autoregressive(0.8, 240, 40, seed), autoregressive(0.8, 240, 120, seed + 500)
    return X, Y, splits.contiguous(240, folds=4, gap=0)


@pytest.mark.parametrize("select", ["r", "r2"])
def test_refitted_blocks_find_little_in_smooth_noise(select):
    found = [
        statistics.permute_refit(X, Y, folds=folds, alphas=ALPHAS, n=199, select=select)
        for X, Y, folds in map(noise, range(8))
    ]
    assert np.mean(np.array(found) <= 0.05) <= 0.07


def test_without_refits_cross_validated_noise_looks_significant():
    found = []
    for X, Y, folds in map(noise, range(8)):
        alpha = ridge.cross_validate(X, Y, folds=folds, alphas=ALPHAS, select="r").alpha
        fold = np.concatenate([np.full(len(test), k) for k, (_, test) in enumerate(folds)])
        found.append(statistics.permute_blocks(Y, predictions(X, Y, folds, alpha), run=fold, n=199))
    assert np.mean(np.array(found) <= 0.05) > 0.08


def test_planted_signal_reaches_the_smallest_p_which_is_not_zero():
    X, noise = autoregressive(0.5, 300, 8), autoregressive(0.5, 300, 3, seed=1)
    p = statistics.permute_refit(X, X[:, :3] + noise, folds=splits.contiguous(300, folds=3, gap=0), alphas=ALPHAS, n=49)
    np.testing.assert_allclose(p, 1 / 50)


@pytest.fixture
def study():
    X, Y = autoregressive(0.5, 120, 10), autoregressive(0.5, 120, 12, seed=1)
    Y[:, :4] += 0.2 * X[:, :1]
    return {"X": X, "Y": Y, "folds": splits.contiguous(120, folds=3, gap=2), "alphas": ALPHAS, "block": 8, "n": 60}


def test_a_seed_gives_the_same_p_again_and_another_seed_another(study):
    first = statistics.permute_refit(**study)
    np.testing.assert_array_equal(first, statistics.permute_refit(**study))
    assert (first != statistics.permute_refit(**study, seed=1)).any()


def test_chunks_and_neighbours_and_memory_maps_change_nothing(study, monkeypatch, tmp_path):
    whole = statistics.permute_refit(**study)
    np.testing.assert_array_equal(whole, statistics.permute_refit(**study, targets_per_chunk=5))
    monkeypatch.setattr(refitted, "_ORDERS", 7)
    np.testing.assert_array_equal(whole, statistics.permute_refit(**study))
    np.save(tmp_path / "Y.npy", study["Y"])
    study["Y"] = np.load(tmp_path / "Y.npy", mmap_mode="r")
    np.testing.assert_array_equal(whole, statistics.permute_refit(**study))
    np.testing.assert_array_equal(whole[::-1], statistics.permute_refit(**study | {"Y": study["Y"][:, ::-1].copy()}))


def test_a_constant_target_has_no_p_and_constant_features_have_one(study):
    study["Y"][:, 3] = 0.1
    p = statistics.permute_refit(**study)
    assert np.flatnonzero(np.isnan(p)).tolist() == [3]
    study["X"][:] = 2.0
    p = statistics.permute_refit(**study)
    assert np.isnan(p[3])
    assert (np.delete(p, 3) == 1).all()


def test_memory_grows_with_neither_targets_nor_permutations(monkeypatch):
    X, folds = autoregressive(0.5, 200, 150), splits.contiguous(200, folds=4, gap=0)
    # choosing alpha is the engine's, and tested there
    monkeypatch.setattr(ridge, "cross_validate", lambda X, Y, **_: only_alpha(Y))
    monkeypatch.setattr(refitted, "_CELLS", 2**15)
    monkeypatch.setattr(refitted, "_ORDERS", 50)

    def peak(n_targets, n):
        Y = autoregressive(0.5, 200, n_targets, seed=1)
        tracemalloc.start()
        statistics.permute_refit(X, Y, folds=folds, alphas=[10.0], block=10, n=n)
        found = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return found

    peak(50, 5)
    assert peak(4000, 50) < 1.2 * peak(1000, 50)
    assert peak(500, 200) < 1.2 * peak(500, 50)


def only_alpha(Y):
    return SimpleNamespace(alpha=np.full((4, Y.shape[1]), 10.0))


def test_what_cannot_be_fitted_is_refused_with_the_value(study):
    with pytest.raises(ValueError, match="precision='half'"):
        Refit(study["X"], study["folds"], "half")
    with pytest.raises(ValueError, match="0 permutations is none"):
        statistics.permute_refit(**study | {"n": 0})
    with pytest.raises(ValueError, match="holds two blocks of 100"):
        statistics.permute_refit(**study | {"block": 100})
    study["Y"][4, 2] = np.nan
    with pytest.raises(ValueError, match="Y"):
        statistics.permute_refit(**study)


def test_the_score_of_the_measured_order_is_that_of_cross_validation(study):
    found = ridge.cross_validate(study["X"], study["Y"], folds=study["folds"], alphas=ALPHAS)
    r = Refit(study["X"], study["folds"])(study["Y"], np.arange(120)[None], found.alpha)
    np.testing.assert_allclose(r[0], found.r.mean(axis=0), atol=1e-6)
