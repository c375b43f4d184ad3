"""A penalty for each feature space: against scikit-learn and himalaya, closed forms, and planted truth."""

from functools import cache

import numpy as np
import pytest
from himalaya.ridge import GroupRidgeCV
from himalaya.scoring import r2_score_split
from sklearn.linear_model import Ridge

from pipeline.metrics import pearson, r2
from pipeline.ridge import cross_validate
from pipeline.ridge.banded import PRECISIONS, Banded, banded, unique
from pipeline.ridge.gammas import candidates
from pipeline.splits import contiguous, inner_by_run, leave_one_run_out

ALPHAS = np.logspace(-1, 4, 6)
RUN = np.repeat(np.arange(4), [12, 15, 19, 14])  # unequal folds
N = len(RUN)
FOLDS = leave_one_run_out(RUN)
INNER = [inner_by_run(train, RUN, 3) for train, _ in FOLDS]
WIDTHS = {"primal": (3, 5), "dual": (40, 60)}
both_paths = pytest.mark.parametrize("path", WIDTHS)


def planted(path: str = "primal", n_targets: int = 6, seed: int = 0) -> tuple[list[np.ndarray], np.ndarray]:
    """Two spaces; targets from pure signal to pure noise, with means and units of their own."""
    rng = np.random.default_rng(seed)
    spaces = [rng.normal(size=(N, width)) + rng.normal(size=width) for width in WIDTHS[path]]
    signal = sum(x @ rng.normal(size=(x.shape[1], n_targets)) / np.sqrt(x.shape[1]) for x in spaces)
    Y = signal + rng.normal(size=signal.shape) * np.linspace(0.1, 5, n_targets)
    return spaces, Y * np.logspace(-1, 1, n_targets) + np.arange(n_targets)


def exact(spaces, Y, folds=FOLDS, alphas=ALPHAS, **options) -> Banded:
    return banded(spaces, Y, **{"folds": folds, "alphas": alphas, "precision": "float64", "n_iter": 5} | options)


def assert_same(found: Banded, expected: Banded, atol: float = 1e-9) -> None:
    assert np.allclose(found.alpha, expected.alpha, rtol=1e-12)
    for name in ("r", "r2", "inner", "shares"):
        assert np.allclose(getattr(found, name), getattr(expected, name), rtol=0, atol=atol, equal_nan=True), name


def picked(found: Banded, targets) -> Banded:
    arrays = ("r", "r2", "alpha", "shares", "inner", "flat", "edge_share")
    return found._replace(**{name: getattr(found, name)[..., targets] for name in arrays})


# --- against other libraries ---


@both_paths
@pytest.mark.parametrize("gamma", [0.5, 0.7, 0.01])
def test_it_is_sklearns_ridge_on_spaces_scaled_by_the_root_of_gamma(path, gamma):
    spaces, Y = planted(path)
    gammas = np.array([[gamma, 1 - gamma]])
    found = exact(spaces, Y, alphas=[3.0], gammas=gammas)
    X = np.hstack([np.sqrt(2 * g) * x for g, x in zip(gammas[0], spaces, strict=True)])
    assert found.path == path
    assert np.allclose(found.alpha[:, 0, 0], 3 / (2 * gammas[0]), rtol=1e-12)
    for k, (train, test) in enumerate(FOLDS):
        prediction = Ridge(alpha=3.0).fit(X[train], Y[train]).predict(X[test])
        assert np.allclose(found.r[k], pearson(Y[test], prediction), rtol=0, atol=1e-9)
        assert np.allclose(found.r2[k], r2(Y[test], prediction, Y[train].mean(axis=0)), rtol=0, atol=1e-9)


def null_r2(Y: np.ndarray, prediction: np.ndarray) -> np.ndarray:
    """himalaya hands over responses less their inner training mean, which is our null."""
    return 1 - ((Y - prediction) ** 2).sum(axis=-2) / (Y**2).sum(axis=-2)


@pytest.mark.filterwarnings("ignore:y_true has to be zero-mean")
@both_paths
def test_choices_scores_and_shares_are_those_of_himalaya(path):
    """Its alpha is ours over the number of spaces kept; the null of shares is the training mean in both."""
    spaces, Y = planted(path, n_targets=12)
    gammas = np.random.default_rng(0).dirichlet([1, 1], size=15)
    found = exact(spaces, Y, inner=INNER, gammas=gammas)
    for k, (train, test) in enumerate(FOLDS):
        place = np.full(N, -1)
        place[train] = np.arange(len(train))
        model = GroupRidgeCV(
            groups="input",
            fit_intercept=True,
            cv=[(place[a], place[b]) for a, b in INNER[k]],
            solver_params={
                "n_iter": gammas,
                "alphas": ALPHAS / 2,
                "score_func": null_r2,
                "progress_bar": False,
                "warn": False,
            },
        ).fit([x[train] for x in spaces], Y[train])
        assert np.allclose(found.alpha[:, k], np.exp(-model.deltas_), rtol=1e-6)
        assert np.allclose(found.inner[k], model.cv_scores_.max(axis=0), rtol=0, atol=1e-8)
        # predictions of the spaces, each about its training mean
        weights = np.split(model.coef_, np.cumsum(WIDTHS[path])[:-1])
        parts = np.stack([(x[test] - x[train].mean(axis=0)) @ w for x, w in zip(spaces, weights, strict=True)])
        assert np.allclose(found.shares[:, k], r2_score_split(Y[test] - Y[train].mean(axis=0), parts), atol=1e-7)


# --- what it must reduce to ---


@both_paths
@pytest.mark.parametrize("select", ["r2", "r"])
@pytest.mark.parametrize("precision", PRECISIONS)
def test_all_alike_is_single_ridge_on_the_same_grid(path, select, precision):
    spaces, Y = planted(path)
    options = {"folds": FOLDS, "alphas": ALPHAS, "inner": INNER, "select": select, "precision": precision}
    found = banded(spaces, Y, n_iter=1, **options)
    single = cross_validate(np.hstack(spaces), Y, **options)
    assert all(np.array_equal(alpha, single.alpha) for alpha in found.alpha)
    assert np.array_equal(found.edge_share, single.edge_share)
    for name in ("r", "r2", "inner"):
        atol = 1e-9 if precision == "float64" else 2e-5
        assert np.allclose(getattr(found, name), getattr(single, name), rtol=0, atol=atol), name


@both_paths
def test_one_space_is_single_ridge(path):
    X, Y = np.hstack(planted(path)[0]), planted(path)[1]
    found, single = exact([X], Y), cross_validate(X, Y, folds=FOLDS, alphas=ALPHAS, precision="float64")
    assert np.array_equal(found.alpha[0], single.alpha)
    assert np.allclose(found.r2, single.r2, rtol=0, atol=1e-9)
    assert np.allclose(found.shares[0], single.r2, rtol=0, atol=1e-9)


@both_paths
def test_a_space_alone_is_single_ridge_of_it_on_the_same_grid(path):
    spaces, Y = planted(path)
    found = exact(spaces, Y, gammas=np.array([[0.0, 1.0]]))
    single = cross_validate(spaces[1], Y, folds=FOLDS, alphas=ALPHAS, precision="float64")
    assert np.array_equal(found.alpha[1], single.alpha)
    assert np.isinf(found.alpha[0]).all()
    assert np.array_equal(found.shares[0], np.zeros((4, 6)))
    assert np.allclose(found.r2, single.r2, rtol=0, atol=1e-9)


@both_paths
def test_unique_is_the_joint_fit_less_the_fit_without(path):
    spaces, Y = planted(path)
    options = {"folds": FOLDS, "alphas": ALPHAS, "inner": INNER, "precision": "float64"}
    found = unique({"sound": spaces[0], "meaning": spaces[1]}, Y, n_iter=5, **options)
    assert found.joint.names == ("sound", "meaning")
    assert_same(found.joint, exact(spaces, Y, inner=INNER))
    for j, other in enumerate(spaces[::-1]):
        without = cross_validate(other, Y, **options).r2
        assert np.allclose(found.r2[j], found.joint.r2 - without, rtol=0, atol=1e-9)


def test_one_space_alone_adds_its_r2():
    spaces, Y = planted()
    found = unique(spaces[:1], Y, folds=FOLDS, alphas=ALPHAS)
    assert np.array_equal(found.r2[0], found.joint.r2)


# --- planted truth ---

SIMULATED = {"alphas": np.logspace(0, 6, 13), "folds": contiguous(400, folds=4)}


def null_band(n_null: int, seed: int, n_targets: int = 40) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """20 features that tell 30 % of each target, and a band that tells nothing."""
    rng = np.random.default_rng(seed)
    true, null = rng.normal(size=(400, 20)), rng.normal(size=(400, n_null))
    signal = true @ rng.normal(size=(20, n_targets)) / np.sqrt(20)
    return true, null, np.sqrt(0.3) * signal + np.sqrt(0.7) * rng.normal(size=signal.shape)


@cache
def joint_with_null(n_null: int, seed: int) -> Banded:
    true, null, Y = null_band(n_null, seed)
    return banded([true, null], Y, **SIMULATED)


@pytest.mark.parametrize(("n_null", "seeds"), [(10, 3), (200, 2), (1000, 2)])
def test_a_band_that_tells_nothing_adds_nothing(n_null, seeds):
    """B11: within .005 of 0 on average, however many features it has."""
    found = []
    for seed in range(seeds):
        true, _, Y = null_band(n_null, seed)
        found.append((joint_with_null(n_null, seed).r2 - cross_validate(true, Y, **SIMULATED).r2).mean())
    assert abs(np.mean(found)) <= 0.005


def test_with_one_penalty_for_all_it_seems_to_take_away():
    """The test above can fail: single alpha loses about .155 of .255."""
    lost = []
    for seed in range(3):
        true, null, Y = null_band(200, seed)
        alone, both = (cross_validate(X, Y, **SIMULATED).r2.mean() for X in (true, np.hstack([true, null])))
        lost.append((alone, alone - both))
    assert np.allclose(np.mean(lost, axis=0), [0.255, 0.155], atol=0.02)


def test_of_three_bands_the_two_that_tell_nothing_add_nothing():
    true, null, Y = null_band(100, seed=5)
    found = unique([true, null[:, :40], null[:, 40:]], Y, n_iter=9, **SIMULATED)
    assert np.abs(found.r2.mean(axis=(1, 2))[1:]).max() <= 0.005
    assert found.r2[0].mean() > 0.2


@both_paths
@pytest.mark.parametrize("n_iter", [1, 100])
def test_shares_sum_to_the_joint_r2(path, n_iter):
    """B12, exactly, far from any good fit too."""
    spaces, Y = planted(path)
    for alphas in (ALPHAS, [1e-6]):
        found = exact(spaces, Y, alphas=alphas, n_iter=n_iter)
        assert np.abs(found.shares.sum(axis=0) - found.r2).max() < 1e-10 * max(1, np.abs(found.r2).max())


def test_planted_shares_are_found():
    """B12: two independent spaces of 10 and 60 features that tell 40 % and 20 %."""
    rng = np.random.default_rng(0)
    spaces = [rng.normal(size=(1500, width)) for width in (10, 60)]
    signals = [x @ rng.normal(size=(x.shape[1], 40)) for x in spaces]
    z = [s / s.std(axis=0) for s in signals]
    Y = np.sqrt(0.4) * z[0] + np.sqrt(0.2) * z[1] + np.sqrt(0.4) * rng.normal(size=(1500, 40))
    found = banded(spaces, Y, folds=contiguous(1500, folds=4), alphas=np.logspace(0, 5, 6), n_iter=9)
    assert np.allclose(found.shares.mean(axis=(1, 2)), [0.4, 0.2], atol=0.03)


def test_the_null_band_is_dropped_and_the_telling_one_is_not():
    found = joint_with_null(200, 0)
    assert np.isfinite(found.alpha[0]).all()
    assert np.isinf(found.alpha[1]).mean() > 0.2
    assert (found.alpha[1] > 10 * found.alpha[0]).mean() > 0.95


def test_what_takes_away_is_not_clipped():
    true, null, Y = null_band(200, seed=0)
    options = SIMULATED | {"alphas": [1.0]}
    assert unique([true, null], Y, n_iter=1, **options).r2[1].mean() < -0.5


# --- invariance ---


@both_paths
def test_rotating_within_a_space_changes_nothing(path):
    spaces, Y = planted(path)
    rotated = []
    for i, x in enumerate(spaces):
        shape = (x.shape[1], x.shape[1])
        rotated.append(x @ np.linalg.qr(np.random.default_rng(i).normal(size=shape))[0])
    assert_same(exact(rotated, Y), exact(spaces, Y))


@both_paths
def test_permuting_targets_permutes_their_scores(path):
    spaces, Y = planted(path)
    order = np.random.default_rng(1).permutation(6)
    assert_same(exact(spaces, Y[:, order]), picked(exact(spaces, Y), order))


@both_paths
@pytest.mark.parametrize(("precision", "atol"), [("float64", 1e-10), ("float32", 1e-5)])
@pytest.mark.parametrize("targets_per_chunk", [1, 4])
def test_targets_may_be_taken_some_at_a_time(path, precision, atol, targets_per_chunk):
    spaces, Y = planted(path)
    options = {"folds": FOLDS, "alphas": ALPHAS, "precision": precision, "n_iter": 3}
    assert_same(banded(spaces, Y, targets_per_chunk=targets_per_chunk, **options), banded(spaces, Y, **options), atol)


@both_paths
def test_swapping_two_spaces_swaps_what_is_found(path):
    spaces, Y = planted(path)
    found, swapped = exact(spaces, Y), exact(spaces[::-1], Y)
    assert_same(swapped._replace(alpha=swapped.alpha[::-1], shares=swapped.shares[::-1]), found)


@both_paths
@pytest.mark.parametrize("scale", [1e-13, 1e4])
def test_the_unit_and_origin_of_a_target_do_not_matter(path, scale):
    spaces, Y = planted(path)
    assert_same(exact(spaces, scale * (Y + 3)), exact(spaces, Y), atol=1e-8)


@both_paths
def test_moving_the_features_changes_nothing(path):
    spaces, Y = planted(path)
    assert_same(exact([x + 1000 for x in spaces], Y), exact(spaces, Y), atol=1e-7)


def test_the_two_paths_agree():
    """Empty columns make few features many without changing the fit."""
    spaces, Y = planted()
    assert_same(exact([spaces[0], np.hstack([spaces[1], np.zeros((N, 100))])], Y), exact(spaces, Y))


@both_paths
@pytest.mark.parametrize("value", [0.1, 1e6])
def test_a_constant_column_changes_nothing(path, value):
    spaces, Y = planted(path)
    assert_same(exact([np.hstack([spaces[0], np.full((N, 1), value)]), spaces[1]], Y), exact(spaces, Y))


@both_paths
def test_single_precision_is_within_2e_5_of_double(path):
    spaces, Y = planted(path)
    spaces, Y = [x.astype(np.float32) for x in spaces], Y.astype(np.float32)
    for alpha in ([0.1], [10.0], [1e4]):
        single = banded(spaces, Y, folds=FOLDS, alphas=alpha, n_iter=1)
        double = exact([x.astype(float) for x in spaces], Y.astype(float), alphas=alpha, n_iter=1)
        assert np.abs(single.r - double.r).max() < 2e-5
        assert np.abs(single.shares - double.shares).max() < 2e-5


@both_paths
def test_the_same_call_gives_the_same_answer_and_another_seed_another_search(path):
    spaces, Y = planted(path)
    spaces = [spaces[0], spaces[1][:, :2], spaces[1][:, 2:]]
    first, again, other = (exact(spaces, Y, n_iter=12, seed=seed) for seed in (0, 0, 1))
    assert np.array_equal(first.r2, again.r2)
    assert not np.array_equal(first.alpha, other.alpha)


# --- spaces that share what they tell ---


def test_a_space_given_twice_adds_nothing_and_scores_as_once():
    true, _, Y = null_band(1, seed=0)
    found = unique([true, true], Y, n_iter=9, **SIMULATED)
    assert np.abs(found.r2.mean(axis=(1, 2))).max() < 0.002
    assert found.joint.r2.mean() > 0.2


def test_a_space_given_twice_and_kept_alike_shares_evenly():
    spaces, Y = planted()
    found = exact([spaces[1], spaces[1]], Y, n_iter=1)
    once = exact([spaces[1]], Y, alphas=ALPHAS / 2)
    assert np.allclose(found.shares[0], found.shares[1], rtol=0, atol=1e-10)
    assert np.allclose(found.r2, once.r2, rtol=0, atol=1e-9)


# --- nothing of the test rows goes into the fit ---


@both_paths
@pytest.mark.parametrize("select", ["r2", "r"])
def test_what_is_tested_on_chooses_nothing(path, select):
    spaces, Y = planted(path)
    changed = Y.copy()
    changed[FOLDS[1][1]] = np.random.default_rng(9).normal(size=(len(FOLDS[1][1]), 6)) * 100
    before, after = (exact(spaces, y, inner=INNER, select=select) for y in (Y, changed))
    assert np.array_equal(before.alpha[:, 1], after.alpha[:, 1])
    assert np.array_equal(before.inner[1], after.inner[1])
    assert not np.allclose(before.r[1], after.r[1], atol=0.01)


@both_paths
def test_rows_in_neither_part_of_a_fold_do_not_matter(path):
    spaces, Y = planted(path)
    fold = [(np.arange(0, 35), np.arange(45, 60))]
    changed = Y.copy()
    changed[35:45] = 1e3
    assert_same(exact(spaces, changed, folds=fold), exact(spaces, Y, folds=fold))


def test_inner_folds_may_leave_a_gap():
    spaces, Y = planted()
    inner = [[(train[5:20], train[25:])] for train, _ in FOLDS]
    found = exact(spaces, Y, inner=inner, alphas=[1.0], n_iter=1)
    for k, ((train, test),) in enumerate(inner):
        assert np.allclose(found.inner[k], exact(spaces, Y, folds=[(train, test)], alphas=[1.0], n_iter=1).r2[0])


# --- what has no score, and what says nothing ---


@both_paths
@pytest.mark.parametrize("precision", PRECISIONS)
@pytest.mark.parametrize("value", [0.1, 1e6])
def test_a_constant_target_has_no_score_and_leaves_the_others_alone(path, value, precision):
    spaces, Y = planted(path)
    constant = Y.copy()
    constant[:, 3] = value
    found, before = (
        banded(spaces, y, folds=FOLDS, alphas=ALPHAS, precision=precision, n_iter=5) for y in (constant, Y)
    )
    for part in (found.r, found.r2, found.inner, found.shares):
        assert np.isnan(part[..., 3]).all()
    others = [0, 1, 2, 4, 5]
    assert_same(picked(found, others), picked(before, others), atol=1e-6)


def test_a_target_constant_in_one_inner_fold_is_chosen_on_the_others():
    spaces, Y = planted()
    silent = Y.copy()
    silent[FOLDS[3][1], 0] = 2.0
    rest = [[pair for pair in inner if RUN[pair[1][0]] != 3] for inner in INNER[:3]]
    found, expected = exact(spaces, silent, inner=INNER), exact(spaces, silent, folds=FOLDS[:3], inner=rest)
    assert np.allclose(found.alpha[:, :3, 0], expected.alpha[..., 0], rtol=1e-12)
    assert np.allclose(found.inner[:3, 0], expected.inner[:, 0], rtol=0, atol=1e-12)


@both_paths
@pytest.mark.parametrize("select", ["r2", "r"])
@pytest.mark.parametrize("precision", PRECISIONS)
def test_of_equals_the_fewest_spaces_and_the_largest_alpha_are_taken(path, select, precision):
    """Features that say nothing predict the training mean, whatever the penalties are."""
    spaces, Y = planted(path)
    nothing = [np.zeros_like(x) for x in spaces]
    found = banded(nothing, Y, folds=FOLDS, alphas=ALPHAS, select=select, precision=precision, n_iter=5)
    assert np.array_equal(found.alpha[0], np.full((4, 6), ALPHAS[-1]))
    assert np.isinf(found.alpha[1]).all()
    assert found.flat.all()
    for part in (found.r, found.r2, found.shares):
        assert not part.any()


@both_paths
@pytest.mark.parametrize("precision", PRECISIONS)
@pytest.mark.parametrize("select", ["r2", "r"])
def test_features_private_to_each_run_score_exactly_zero(path, select, precision):
    """They say nothing about an unseen run; rounding must not pass for a prediction."""
    spaces, Y = planted(path)
    private = [x * (np.arange(x.shape[1]) % 4 == RUN[:, None]) for x in spaces]
    found = banded(private, Y, folds=FOLDS, alphas=ALPHAS, inner=INNER, select=select, precision=precision, n_iter=5)
    assert found.flat.all()
    assert np.array_equal(found.r, np.zeros((4, 6)))


# --- candidates ---


@pytest.mark.parametrize("n_spaces", [1, 2, 3, 5])
@pytest.mark.parametrize("n_iter", [1, 2, 8, 100])
def test_candidates_lie_on_the_simplex_the_even_one_first_and_none_twice(n_spaces, n_iter):
    found = candidates(n_spaces, n_iter, seed=0)
    assert len(found) <= n_iter
    assert (found >= 0).all() and np.allclose(found.sum(axis=1), 1)
    assert np.allclose(found[0], 1 / n_spaces)
    assert len(np.unique(found.round(9), axis=0)) == len(found)


@pytest.mark.parametrize("n_spaces", [2, 3, 5])
def test_each_space_may_be_kept_alone_and_each_dropped(n_spaces):
    kept = candidates(n_spaces, 100, seed=0) > 0
    patterns = {tuple(row) for row in kept.tolist()}
    assert all({tuple(row), tuple(not v for v in row)} <= patterns for row in np.eye(n_spaces, dtype=bool).tolist())


def test_ratios_of_two_spaces_are_symmetric_steps_of_half_a_decade():
    decades = np.sort(np.diff(np.log10(candidates(2, 100, seed=0)[3:])).ravel())
    assert np.allclose(decades, np.delete(np.linspace(-4, 4, 17), 8))


# --- refusals ---


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"spaces": []}, "no feature spaces"),
        ({"spaces": {"word rate": np.zeros((N - 1, 3))}}, r"space 'word rate' is of shape \(59, 3\); it must be \(60"),
        ({"spaces": [np.zeros((N, 0))]}, r"shape \(60, 0\)"),
        ({"spaces": [np.zeros(N)]}, r"shape \(60,\)"),
        ({"spaces": [np.full((N, 2), np.nan)]}, "space '0' holds 120 missing"),
        ({"alphas": [0.0, 1.0]}, "all positive"),
        ({"n_iter": 0}, "n_iter is 0"),
        ({"select": "mse"}, "select='mse'"),
        ({"precision": "half"}, "precision='half'"),
        ({"gammas": np.array([[0.5, 0.6]])}, r"gammas \[0.5, 0.6\] are not on the simplex"),
        ({"gammas": np.array([[1.5, -0.5]])}, "not on the simplex"),
        ({"gammas": np.ones((1, 3)) / 3}, r"must be \(candidate, 2\)"),
        ({"inner": [[]] * 4}, "no inner folds"),
        ({"alphas": [1.0], "inner": [[]] * 4}, "no inner folds"),
        ({"inner": [[FOLDS[0]]] * 4}, "outside its training rows"),
        ({"folds": [(np.arange(40), np.arange(30, 60))]}, "same 10 rows"),
    ],
)
def test_what_makes_no_sense_is_refused(options, message):
    spaces, Y = planted()
    with pytest.raises(ValueError, match=message):
        banded(**{"spaces": spaces, "Y": Y, "folds": FOLDS, "alphas": ALPHAS} | options)


def test_missing_responses_are_refused():
    spaces, Y = planted()
    Y[3, 1] = np.nan
    with pytest.raises(ValueError, match=r"Y holds 1 missing or infinite values, the first at \(3, 1\)"):
        exact(spaces, Y)


def test_candidates_of_one_number_of_spaces_are_not_taken_for_unique():
    spaces, Y = planted()
    with pytest.raises(ValueError, match="gammas would fit only one"):
        unique(spaces, Y, folds=FOLDS, alphas=ALPHAS, gammas=np.eye(2))
