"""The scikit-learn face of the engine: an estimator for pipelines and searches, one alpha per target."""

from typing import Any

import numpy as np
from jaxtyping import Float, Shaped
from sklearn.base import BaseEstimator, MultiOutputMixin, RegressorMixin
from sklearn.model_selection import check_cv
from sklearn.utils.validation import check_is_fitted, validate_data

from pipeline.ridge.backends import PRECISIONS
from pipeline.ridge.checks import check_folds, check_option
from pipeline.ridge.crossval import choose_alpha

ALPHAS = tuple(10.0**power for power in range(-1, 8))


class RidgeEncoder(MultiOutputMixin, RegressorMixin, BaseEstimator):
    """Ridge from features to many targets, an alpha for each, chosen by cross-validation.

    `cross_validate` tests a study fold by fold; this is one fit of it, for
    whoever wants the weights or has a scikit-learn pipeline. It differs from
    scikit-learn's `RidgeCV` in that alpha maximises the mean held-out score
    over blocks of neighbouring samples: leaving out one at a time rewards
    features that only know their neighbours in time.

    Parameters
    ----------
    alphas : penalties to choose from, in the units of `sklearn.linear_model.Ridge`.
    cv : number of contiguous blocks, unshuffled; or a splitter, or (train,
        test) row indices, as scikit-learn takes them. None is 5 blocks.
    select : alpha maximises the mean over `cv` of "r2" (null: the training
        mean) or "r"; of equals the larger alpha is taken.
    precision : of the choice among alphas, as in `cross_validate`; the weights are float64.

    Attributes
    ----------
    coef_ : (target, feature), or (feature,) for a y of one dimension.
    intercept_, alpha_, cv_scores_ : (target,), or a number. `cv_scores_` is
        the mean held-out score of the chosen alpha: NaN for a constant
        target, and too high for a result, for it was chosen.
    n_features_in_ : features seen in fit.
    """

    def __init__(self, alphas: Any = ALPHAS, *, cv: Any = 5, select: Any = "r2", precision: Any = "float64"):
        # as scikit-learn has it, nothing is looked at before fit
        self.alphas = alphas
        self.cv = cv
        self.select = select
        self.precision = precision

    def fit(self, X: Any, y: Any) -> "RidgeEncoder":
        """Choose alpha for each target, then fit all samples with it."""
        X, y = validate_data(self, X, y, dtype=np.float64, multi_output=True, y_numeric=True, ensure_min_samples=2)
        Y = y.reshape(len(y), -1).astype(np.float64)
        inner = [(np.asarray(train), np.asarray(test)) for train, test in check_cv(self.cv).split(X, Y)]
        check_option("precision", self.precision, PRECISIONS)
        check_folds(inner, len(X))
        alpha, score = choose_alpha(
            X, Y, inner=inner, alphas=np.asarray(self.alphas, float), select=self.select, precision=self.precision
        )
        coef, intercept = _weights(X, Y, alpha)
        if y.ndim == 1:
            coef, intercept, alpha, score = coef[0], intercept[0], alpha[0], score[0]
        self.coef_, self.intercept_, self.alpha_, self.cv_scores_ = coef, intercept, alpha, score
        return self

    def predict(self, X: Any) -> Shaped[np.ndarray, "..."]:
        """Predictions, (sample, target), or (sample,) where y had one dimension."""
        check_is_fitted(self)
        X = validate_data(self, X, dtype=np.float64, reset=False)
        return X @ self.coef_.T + self.intercept_


def _weights(
    X: Float[np.ndarray, "sample feature"], Y: Float[np.ndarray, "sample target"], alpha: Float[np.ndarray, " target"]
) -> tuple[Float[np.ndarray, "target feature"], Float[np.ndarray, " target"]]:
    """One decomposition of X for all targets and alphas: w = V (s / (s^2 + alpha)) U'y, both centred."""
    mean_x, mean_y = X.mean(axis=0), Y.mean(axis=0)
    left, values, right = np.linalg.svd(X - mean_x, full_matrices=False)
    shrunk = values[:, None] / (values[:, None] ** 2 + alpha) * (left.T @ (Y - mean_y))
    coef = (right.T @ shrunk).T
    return coef, mean_y - coef @ mean_x
