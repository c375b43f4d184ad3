"""The estimator against scikit-learn's own, its checks of estimators, and a grid search for each target."""

import pickle

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.linear_model import Ridge
from sklearn.model_selection import GridSearchCV, GroupKFold, KFold, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import parametrize_with_checks

from pipeline.ridge.crossval import choose_alpha
from pipeline.ridge.encoder import RidgeEncoder
from pipeline.splits import contiguous

ALPHAS = np.logspace(-1, 4, 6)
N = 60
FEW_AND_MANY = [5, 90]


def planted(n_features: int = 5, n_targets: int = 6, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Targets from pure signal to pure noise, with means and units of their own."""
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(N, n_features)) + rng.normal(size=n_features)
    signal = X @ rng.normal(size=(n_features, n_targets)) / np.sqrt(n_features)
    Y = signal + rng.normal(size=signal.shape) * np.linspace(0.1, 5, n_targets)
    return X, Y * np.logspace(-1, 1, n_targets) + np.arange(n_targets)


@parametrize_with_checks([RidgeEncoder(), RidgeEncoder(cv=2, select="r", precision="float32")])
def test_scikit_learn_takes_it_for_one_of_its_own(estimator, check):
    check(estimator)


# --- against scikit-learn ---


@pytest.mark.parametrize("n_features", FEW_AND_MANY)
def test_alphas_are_those_of_a_grid_search_for_each_target(n_features):
    """Its r2 has the test mean as null: given a scorer with the training mean's, the alphas are the same."""
    X, Y = planted(n_features)
    found = RidgeEncoder(ALPHAS, cv=4).fit(X, Y)

    def r2(model, X_test, y_test):
        return 1 - np.mean((y_test - model.predict(X_test)) ** 2) / np.mean((y_test - model.train_mean_) ** 2)

    for t, y in enumerate(Y.T):
        search = GridSearchCV(MeanRidge(), {"alpha": ALPHAS[::-1]}, scoring=r2, cv=KFold(4)).fit(X, y)
        assert found.alpha_[t] == search.best_params_["alpha"]
        assert np.isclose(found.cv_scores_[t], search.best_score_, rtol=0, atol=1e-10)


class MeanRidge(Ridge):
    """Ridge that remembers the mean of what it was trained on."""

    def fit(self, X, y):
        self.train_mean_ = y.mean()
        return super().fit(X, y)


@pytest.mark.parametrize("n_features", FEW_AND_MANY)
def test_predictions_and_weights_are_ridges_at_the_chosen_alphas(n_features):
    X, Y = planted(n_features)
    found = RidgeEncoder(ALPHAS).fit(X[:40], Y[:40])
    expected = Ridge(alpha=found.alpha_).fit(X[:40], Y[:40])
    assert len(set(found.alpha_)) > 1
    assert np.abs(found.predict(X[40:]) - expected.predict(X[40:])).max() < 1e-8
    assert np.abs(found.coef_ - expected.coef_).max() < 1e-8
    assert np.abs(found.intercept_ - expected.intercept_).max() < 1e-8


def test_one_target_given_flat_is_that_target_in_a_column():
    X, Y = planted()
    flat, column = RidgeEncoder().fit(X, Y[:, 0]), RidgeEncoder().fit(X, Y[:, :1])
    assert (flat.coef_.shape, column.coef_.shape) == ((5,), (1, 5))
    assert (np.ndim(flat.alpha_), column.alpha_.shape) == (0, (1,))
    assert np.array_equal(flat.predict(X), column.predict(X)[:, 0])
    assert flat.score(X, Y[:, 0]) == column.score(X, Y[:, :1])


def test_single_precision_chooses_as_double_does():
    X, Y = planted()
    assert np.array_equal(RidgeEncoder(precision="float32").fit(X, Y).alpha_, RidgeEncoder().fit(X, Y).alpha_)


# --- what alpha is chosen on ---


def test_a_number_of_folds_is_as_many_unshuffled_blocks():
    X, Y = planted()
    by_number, by_rows = RidgeEncoder(cv=4).fit(X, Y), RidgeEncoder(cv=contiguous(N, folds=4)).fit(X, Y)
    assert np.array_equal(by_number.cv_scores_, by_rows.cv_scores_)


def test_a_splitter_chooses_as_its_rows_do():
    X, Y = planted()
    splitter = KFold(3, shuffle=True, random_state=0)
    found = RidgeEncoder(cv=splitter).fit(X, Y)
    assert np.array_equal(found.cv_scores_, RidgeEncoder(cv=list(splitter.split(X))).fit(X, Y).cv_scores_)
    assert not np.array_equal(found.cv_scores_, RidgeEncoder(cv=3).fit(X, Y).cv_scores_)


def test_folds_of_runs_are_given_as_rows():
    X, Y = planted()
    run = np.repeat(np.arange(4), [10, 20, 14, 16])
    found = RidgeEncoder(cv=list(GroupKFold(4).split(X, groups=run))).fit(X, Y)
    assert np.isfinite(found.cv_scores_).all()


def test_of_equal_alphas_the_largest_is_taken():
    """Features that say nothing predict the training mean, whatever alpha is."""
    found = RidgeEncoder(ALPHAS[::-1].copy()).fit(np.ones((N, 3)), planted()[1])
    assert np.array_equal(found.alpha_, np.full(6, ALPHAS[-1]))
    assert np.array_equal(found.coef_, np.zeros((6, 3)))


def test_a_constant_target_has_no_score_and_is_predicted():
    X, Y = planted()
    Y[:, 2] = 7.0
    found = RidgeEncoder().fit(X, Y)
    assert np.flatnonzero(np.isnan(found.cv_scores_)).tolist() == [2]
    assert np.array_equal(found.predict(X)[:, 2], np.full(N, 7.0))


def test_a_target_constant_in_one_fold_is_chosen_on_the_others():
    X, Y = planted(n_targets=1)
    folds = contiguous(N, folds=4)
    Y[folds[0][1]] = 3.0
    found, expected = (
        choose_alpha(X, Y, inner=inner, alphas=ALPHAS, select="r2", precision="float64") for inner in (folds, folds[1:])
    )
    assert np.array_equal(found[0], expected[0])
    assert np.allclose(found[1], expected[1], rtol=0, atol=1e-12)


# --- among other estimators ---


def test_in_a_pipeline_it_is_fitted_to_what_comes_before():
    X, Y = planted()
    pipeline = make_pipeline(StandardScaler(), RidgeEncoder(ALPHAS)).fit(X * np.logspace(-3, 3, 5), Y)
    z = (X - X.mean(axis=0)) / X.std(axis=0)
    assert np.allclose(
        pipeline.predict(X * np.logspace(-3, 3, 5)), RidgeEncoder(ALPHAS).fit(z, Y).predict(z), rtol=0, atol=1e-8
    )


def test_a_study_by_scikit_learns_cross_validation_is_possible():
    X, Y = planted(n_targets=1)
    assert cross_val_score(RidgeEncoder(), X, Y[:, 0], cv=KFold(4)).mean() > 0.9


def test_a_clone_is_the_same_unfitted():
    X, Y = planted()
    fitted = RidgeEncoder(ALPHAS, cv=3, select="r").fit(X, Y)
    copy = clone(fitted)
    assert not hasattr(copy, "coef_")
    assert np.array_equal(copy.fit(X, Y).coef_, fitted.coef_)


def test_a_fitted_one_survives_pickling():
    X, Y = planted()
    fitted = RidgeEncoder().fit(X, Y)
    assert np.array_equal(pickle.loads(pickle.dumps(fitted)).predict(X), fitted.predict(X))


# --- refusals ---


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"alphas": (0.0, 1.0)}, "all positive"),
        ({"select": "mse"}, "select='mse'"),
        ({"precision": "half"}, "precision='half'"),
        ({"cv": 100}, "n_splits=100"),
        ({"cv": [(np.arange(30), np.arange(20, 40))]}, "same 10 rows"),
    ],
)
def test_what_makes_no_sense_is_refused(options, message):
    with pytest.raises(ValueError, match=message):
        RidgeEncoder(**options).fit(*planted())
