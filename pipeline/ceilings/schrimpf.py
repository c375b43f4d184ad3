"""The ceiling of Schrimpf et al. (2021), extrapolated over people: to reproduce published numbers, not to divide by."""

from collections.abc import Callable, Sequence
from itertools import combinations

import numpy as np
from jaxtyping import Float

from pipeline import splits
from pipeline.ceilings.answer import Ceiling, Presentations, of_correlations
from pipeline.metrics import pearson

Fold = tuple[np.ndarray, np.ndarray]
Regression = Callable[[np.ndarray, np.ndarray, np.ndarray], np.ndarray]  # X train, Y train, X test -> predictions

REASON = (
    "for reproduction only: the exponential levels off below the ceiling (.136 instead of .224 for five people who "
    "correlate by .05), and the samples of its folds are shuffled; use `isc` or `shared_response`"
)
_FLAT = 0.0005  # rise from one more person below which the published curve has levelled off


def least_squares(X: np.ndarray, Y: np.ndarray, X_test: np.ndarray) -> np.ndarray:
    """Ordinary least squares with an intercept, of smallest norm where there are fewer samples than features."""
    mean, level = X.mean(axis=0), Y.mean(axis=0)
    return (X_test - mean) @ np.linalg.lstsq(X - mean, Y - level, rcond=None)[0] + level


def schrimpf(
    Y: Presentations,
    *,
    person: int = 0,
    folds: Sequence[Fold] | None = None,
    regression: Regression = least_squares,
    n: int = 100,
    seed: int = 0,
) -> Ceiling:
    """Ceiling of one person by a curve over how many people there are, as published and with its bias.

    For every set of 2 to N people with this person in it, the person's
    targets are predicted from all targets of the others in the set; r by
    target and fold. v(x) = v0 (1 - exp(-x / tau0)) is fitted, x people in the
    set, to the mean r of resampled (set, fold) scores, and v0 is the ceiling.

    With equal signal in all, r rises as rho / sqrt(rho + (1 - rho) / k), much
    more slowly than an exponential: v0 is too small, and scores are told to
    reach "100 %" of it early. So `valid` is False everywhere. It is also slow:
    one fit by target and resample, some milliseconds each.

    Parameters
    ----------
    Y : (person, sample, target), or one (sample, target) for each person.
    person : whose targets, counted from 0.
    folds : (train, test) rows; by default five of shuffled samples, as
        published, which leaks where neighbouring samples are alike.
    regression : published is ordinary least squares.
    n : resamples of the scores; the median of their v0 is the value.
    seed : of the resamples, the same for all targets, and of the default folds.

    Returns
    -------
    `low` and `high` are the 2.5 and 97.5 % quantiles over resamples of the
    fitted curve where its median rises by less than .0005 per person. (The
    published code takes 99.975 % for the upper one by a missing bracket.)
    NaN where no curve could be fitted.

    References
    ----------
    Schrimpf et al. (2021), PNAS 118, e2105646118, SI Methods.
    """
    if len(Y) < 3:
        raise ValueError(f"a curve over people needs sets of 2 and of 3 of them, and there are {len(Y)}; choose `isc`")
    if not 0 <= person < len(Y):
        raise ValueError(f"person {person} is not among the {len(Y)} people, counted from 0")
    if len({len(part) for part in Y}) > 1:
        raise ValueError(f"people have {', '.join(str(len(part)) for part in Y)} samples; all must have the same ones")
    folds = splits.shuffled(len(Y[person]), folds=5, seed=seed) if folds is None else folds
    scores = subset_scores(Y, person, folds, regression)
    return of_correlations(*extrapolated(scores, n, seed), REASON)._replace(valid=np.zeros(Y[person].shape[1], bool))


def subset_scores(
    Y: Presentations, person: int, folds: Sequence[Fold], regression: Regression
) -> dict[int, Float[np.ndarray, "score target"]]:
    """r by (set, fold) for each number of people in a set."""
    others = [i for i in range(len(Y)) if i != person]
    return {
        size + 1: np.stack([
            pearson(Y[person][test], regression(X[train], Y[person][train], X[test]))
            for pool in combinations(others, size)
            for X in [np.concatenate([Y[i] for i in pool], axis=1)]
            for train, test in folds
        ])
        for size in range(1, len(Y))
    }  # fmt: skip


def extrapolated(
    scores: dict[int, Float[np.ndarray, "score target"]], n: int, seed: int
) -> Float[np.ndarray, "three target"]:
    """v0, and the ends of its interval, from scores by number of people."""
    rng = np.random.default_rng(seed)
    draws = [{size: rng.integers(len(r), size=len(r)) for size, r in scores.items()} for _ in range(n)]
    means = np.array([[r[draw[size]].mean(axis=0) for size, r in scores.items()] for draw in draws])
    return np.stack(
        [_summary(np.array([fitted(list(scores), one) for one in target])) for target in means.T.swapaxes(1, 2)], axis=1
    )


def curve(x: np.ndarray, v0: float | np.ndarray, tau0: float | np.ndarray) -> np.ndarray:
    return v0 * (1 - np.exp(-x / tau0))


def fitted(x: Sequence[int], r: Float[np.ndarray, " size"]) -> tuple[float, float]:
    """v0 (between 0 and 1) and tau0; NaN where the fit does not end."""
    from warnings import catch_warnings, simplefilter

    from scipy.optimize import OptimizeWarning, curve_fit

    if not np.isfinite(r).all():
        return np.nan, np.nan
    try:
        with np.errstate(all="ignore"), catch_warnings():  # a negative tau0 on the way overflows
            simplefilter("ignore", OptimizeWarning)  # about a covariance that nobody asked for
            v0, tau0 = curve_fit(curve, np.asarray(x, float), r, bounds=([0, -np.inf], [1, np.inf]))[0]
    except RuntimeError:  # the published code leaves these out, too
        return np.nan, np.nan
    return float(v0), float(tau0)


def _summary(found: Float[np.ndarray, "draw 2"]) -> tuple[float, float, float]:
    """Median v0, and quantiles of the curves where the median one has levelled off."""
    found = found[np.isfinite(found).all(axis=1)]
    if not len(found):
        return np.nan, np.nan, np.nan
    with np.errstate(all="ignore"):
        ys = curve(np.arange(1000), *found.T[:, :, None])
        end = np.flatnonzero(np.diff(np.median(ys, axis=0)) < _FLAT)
    low, high = np.quantile(ys[:, end[0]], [0.025, 0.975]) if len(end) else (np.nan, np.nan)
    return float(np.median(found[:, 0])), float(low), float(high)
