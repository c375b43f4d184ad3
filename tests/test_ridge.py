"""Many ridge regressions at once, against scikit-learn and himalaya one at a time, closed forms and planted truth."""

import numpy as np
import pytest
from himalaya.ridge import RidgeCV
from sklearn.linear_model import Ridge
from sklearn.metrics import make_scorer
from sklearn.model_selection import GridSearchCV

from pipeline.metrics import pearson, r2
from pipeline.ridge import PRECISIONS, Scores, cross_validate
from pipeline.splits import contiguous, inner_by_run, leave_one_run_out, shuffled

ALPHAS = np.logspace(-1, 4, 6)
RUN = np.repeat(np.arange(4), [12, 15, 19, 14])  # unequal folds
N = len(RUN)
FOLDS = leave_one_run_out(RUN)
INNER = [inner_by_run(train, RUN, 3) for train, _ in FOLDS]
WIDTHS = {"few features": 5, "more than an inner training set": 40, "more than samples": 90, "many more": 300}
PATHS = {5: "primal", 300: "dual"}
COMPARED = ("r", "r2", "alpha", "inner")


def planted(n_features: int, n_targets: int = 6, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Targets from pure signal to pure noise, with means and units of their own."""
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(N, n_features)) + rng.normal(size=n_features)
    signal = X @ rng.normal(size=(n_features, n_targets)) / np.sqrt(n_features)
    Y = signal + rng.normal(size=signal.shape) * np.linspace(0.1, 5, n_targets)
    return X, Y * np.logspace(-1, 1, n_targets) + np.arange(n_targets)


def exact(X, Y, folds=FOLDS, alphas=ALPHAS, **options) -> Scores:
    return cross_validate(X, Y, folds=folds, alphas=alphas, precision="float64", **options)


def assert_same(found: Scores, expected: Scores, atol: float = 1e-10) -> None:
    assert np.array_equal(found.alpha, expected.alpha)
    for name in ("r", "r2", "inner"):
        assert np.allclose(getattr(found, name), getattr(expected, name), rtol=0, atol=atol, equal_nan=True), name


def sides(found: Scores) -> tuple[str, ...]:
    """Features or samples: which of them each fold of each layer was solved in."""
    return tuple(path.split()[0] for path in found.path)


def by_sklearn(X: np.ndarray, Y: np.ndarray, select: str) -> dict[str, np.ndarray]:
    """The same study, one fit at a time: `Ridge` for every alpha, inner fold and fold."""

    def scores(train, test, alpha):
        prediction = Ridge(alpha=alpha).fit(X[train], Y[train]).predict(X[test])
        return {"r": pearson(Y[test], prediction), "r2": r2(Y[test], prediction, Y[train].mean(axis=0))}

    parts: dict[str, list] = {name: [] for name in COMPARED}
    for (train, test), inner in zip(FOLDS, INNER, strict=True):
        grid = np.array([np.mean([scores(a, b, alpha)[select] for a, b in inner], axis=0) for alpha in ALPHAS])
        best = grid.argmax(axis=0)
        tested = [scores(train, test, alpha) for alpha in ALPHAS]
        for name in ("r", "r2"):
            parts[name].append([tested[b][name][t] for t, b in enumerate(best)])
        parts["alpha"].append(ALPHAS[best])
        parts["inner"].append(grid.max(axis=0))
    return {name: np.array(values) for name, values in parts.items()}


# --- against other libraries ---


@pytest.mark.parametrize("n_features", WIDTHS.values(), ids=WIDTHS)
@pytest.mark.parametrize("select", ["r2", "r"])
def test_scores_and_alphas_are_those_of_sklearn_one_fit_at_a_time(n_features, select):
    X, Y = planted(n_features)
    found, expected = exact(X, Y, inner=INNER, select=select), by_sklearn(X, Y, select)
    assert np.array_equal(found.alpha, expected["alpha"])
    for name in ("r", "r2", "inner"):
        assert np.abs(getattr(found, name) - expected[name]).max() < 1e-8, name


@pytest.mark.parametrize("n_features", [5, 90])
def test_alphas_by_r_are_those_of_sklearn_grid_search(n_features):
    X, Y = planted(n_features, n_targets=3)
    found = exact(X, Y, inner=INNER, select="r").alpha
    r = make_scorer(lambda y, p: np.corrcoef(y, p)[0, 1])
    for k, inner in enumerate(INNER):
        for t in range(Y.shape[1]):
            search = GridSearchCV(Ridge(), {"alpha": ALPHAS}, scoring=r, cv=inner, refit=False).fit(X, Y[:, t])
            assert found[k, t] == ALPHAS[search.cv_results_["rank_test_score"].argmin()]


def null_r2(Y: np.ndarray, prediction: np.ndarray) -> np.ndarray:
    """himalaya hands over responses less their inner training mean, which is our null."""
    return 1 - ((Y - prediction) ** 2).sum(axis=-2) / (Y**2).sum(axis=-2)


@pytest.mark.filterwarnings("ignore:Solving ridge is slower")
@pytest.mark.parametrize("n_features", WIDTHS.values(), ids=WIDTHS)
def test_alphas_are_those_of_himalaya(n_features):
    X, Y = planted(n_features, n_targets=30)
    found = exact(X, Y, inner=INNER)
    for k, (train, test) in enumerate(FOLDS):
        place = np.full(N, -1)
        place[train] = np.arange(len(train))
        model = RidgeCV(
            alphas=ALPHAS,
            fit_intercept=True,
            cv=[(place[a], place[b]) for a, b in INNER[k]],
            solver_params={"score_func": null_r2},
        ).fit(X[train], Y[train])
        assert np.allclose(found.alpha[k], model.best_alphas_, rtol=1e-10)
        assert np.allclose(found.inner[k], model.cv_scores_, rtol=0, atol=1e-8)
        assert np.allclose(found.r[k], pearson(Y[test], model.predict(X[test])), rtol=0, atol=1e-8)


# --- closed forms ---


def test_one_feature_and_one_target_are_the_closed_form():
    """slope = sum x y / (sum x^2 + alpha), both centred by their training means."""
    X, Y = planted(1, 1)
    alpha, (train, test) = 7.0, FOLDS[0]
    x, y = X[:, 0] - X[train, 0].mean(), Y[:, 0] - Y[train, 0].mean()
    residual = y[test] - x[test] * (x[train] @ y[train]) / (x[train] @ x[train] + alpha)
    found = exact(X, Y, alphas=[alpha])
    assert np.isclose(found.r2[0, 0], 1 - residual @ residual / (y[test] @ y[test]), rtol=0, atol=1e-12)


def test_a_feature_given_twice_is_that_feature_at_half_alpha():
    X, Y = planted(5)
    once, twice = exact(X, Y, inner=INNER), exact(np.hstack([X, X]), Y, inner=INNER, alphas=2 * ALPHAS)
    assert_same(twice._replace(alpha=twice.alpha / 2), once)


@pytest.mark.parametrize("n_features", [5, 300])
@pytest.mark.parametrize("value", [0.0, 0.1, 1e6])
def test_a_constant_column_changes_nothing(n_features, value):
    X, Y = planted(n_features)
    assert_same(exact(np.hstack([X, np.full((N, 1), value)]), Y), exact(X, Y))


def test_the_two_paths_agree():
    """Empty columns make few features many without changing the fit."""
    X, Y = planted(5)
    primal, dual = exact(X, Y), exact(np.hstack([X, np.zeros((N, 100))]), Y)
    assert (sides(primal)[0], sides(dual)[0]) == ("primal", "dual")
    assert_same(dual, primal)


@pytest.mark.parametrize("n_features", [5, 300])
@pytest.mark.parametrize("select", ["r2", "r"])
@pytest.mark.parametrize("precision", PRECISIONS)
def test_of_equal_alphas_the_largest_is_taken(n_features, select, precision):
    """Features that say nothing predict the training mean, whatever alpha is."""
    Y = planted(5)[1]
    found = cross_validate(np.zeros((N, n_features)), Y, folds=FOLDS, alphas=ALPHAS, select=select, precision=precision)
    assert np.array_equal(found.alpha, np.full((4, 6), ALPHAS[-1]))
    assert found.flat.all()
    assert np.array_equal(found.r, np.zeros((4, 6)))
    assert np.array_equal(found.r2, np.zeros((4, 6)))


def test_a_hopeless_fit_is_not_clipped():
    X, Y = planted(40)
    assert exact(X, Y, alphas=[1e-6]).r2.min() < -1


# --- planted truth ---


def test_one_alpha_for_all_targets_loses_against_one_for_each():
    """Net2Brain fits one alpha per region. Even the common alpha that is best in hindsight is worse."""
    rng = np.random.default_rng(0)
    X, folds = rng.normal(size=(200, 80)), contiguous(200, folds=4)
    signal = X @ rng.normal(size=(80, 40)) / np.sqrt(80)
    Y = signal + rng.normal(size=signal.shape) * np.repeat([0.05, 5.0], 20)
    grid = np.logspace(-2, 5, 15)
    own = exact(X, Y, folds=folds, alphas=grid).r2.mean()
    common = max(exact(X, Y, folds=folds, alphas=[alpha], inner=[[]] * 4).r2.mean() for alpha in grid)
    assert own - common > 0.02


def test_noisier_targets_get_larger_alphas():
    rng = np.random.default_rng(0)
    X, folds = rng.normal(size=(200, 80)), contiguous(200, folds=4)
    signal = X @ rng.normal(size=(80, 40)) / np.sqrt(80)
    Y = signal + rng.normal(size=signal.shape) * np.repeat([0.05, 5.0], 20)
    alpha = np.log10(exact(X, Y, folds=folds, alphas=np.logspace(-2, 5, 15)).alpha)
    assert alpha[:, 20:].mean() - alpha[:, :20].mean() > 2


def private(n_features: int, seed: int = 0) -> np.ndarray:
    """Features of which each is zero outside one run, as OASM's are."""
    return np.random.default_rng(seed).normal(size=(N, n_features)) * (np.arange(n_features) % 4 == RUN[:, None])


@pytest.mark.parametrize("precision", PRECISIONS)
@pytest.mark.parametrize("select", ["r2", "r"])
@pytest.mark.parametrize("n_features", PATHS)
def test_features_private_to_each_run_score_exactly_zero(n_features, select, precision):
    """They say nothing about an unseen run; rounding must not pass for a prediction."""
    Y = planted(5)[1]
    found = cross_validate(
        private(n_features), Y, folds=FOLDS, alphas=ALPHAS, inner=INNER, select=select, precision=precision
    )
    assert sides(found) == (PATHS[n_features],) * 4
    assert found.flat.all()
    assert np.array_equal(found.r, np.zeros((4, 6)))


@pytest.mark.parametrize("precision", PRECISIONS)
@pytest.mark.parametrize("n_features", PATHS)
def test_features_private_to_each_run_do_not_choose_alpha_by_rounding(n_features, precision):
    Y = planted(5)[1]
    found = cross_validate(
        private(n_features), Y, folds=FOLDS, alphas=ALPHAS, inner=INNER, select="r", precision=precision
    )
    assert np.array_equal(found.inner, np.zeros((4, 6)))
    assert np.array_equal(found.alpha, np.full((4, 6), ALPHAS[-1]))


def test_features_private_to_each_run_do_score_where_samples_are_shuffled():
    """The same features, smooth in time, tell of neighbours: the leak that whole runs close."""
    rng = np.random.default_rng(0)
    smooth = np.cumsum(rng.normal(size=(N, 6)), axis=0)
    X = np.exp(-0.5 * (np.subtract.outer(np.arange(N), np.arange(N)) / 2) ** 2) * (RUN[:, None] == RUN)
    assert np.mean(exact(X, smooth, folds=shuffled(N, folds=4, seed=0)).r) > 0.8
    assert np.array_equal(exact(X, smooth).r, np.zeros((4, 6)))


# --- invariance ---


@pytest.mark.parametrize("n_features", [5, 90])
def test_rotating_the_features_changes_nothing(n_features):
    X, Y = planted(n_features)
    rotation = np.linalg.qr(np.random.default_rng(1).normal(size=(n_features, n_features)))[0]
    assert_same(exact(X @ rotation, Y), exact(X, Y))


@pytest.mark.parametrize("n_features", [5, 90])
def test_moving_the_features_changes_nothing(n_features):
    X, Y = planted(n_features)
    assert_same(exact(X + 1000, Y), exact(X, Y), atol=1e-8)


@pytest.mark.parametrize("n_features", [5, 90])
@pytest.mark.parametrize("scale", [1e-13, 1e4])
def test_the_unit_and_origin_of_a_target_do_not_matter(n_features, scale):
    X, Y = planted(n_features)
    assert_same(exact(X, scale * (Y + 3)), exact(X, Y), atol=1e-8)


@pytest.mark.parametrize("n_features", [5, 90])
def test_permuting_targets_permutes_their_scores(n_features):
    X, Y = planted(n_features)
    order = np.random.default_rng(1).permutation(6)
    whole = exact(X, Y)
    assert_same(exact(X, Y[:, order]), whole._replace(**{name: getattr(whole, name)[:, order] for name in COMPARED}))


def test_one_target_alone_scores_as_among_others():
    X, Y = planted(5)
    whole = exact(X, Y)
    assert_same(exact(X, Y[:, 2:3]), whole._replace(**{name: getattr(whole, name)[:, 2:3] for name in COMPARED}))


@pytest.mark.parametrize(("precision", "atol"), [("float64", 1e-10), ("float32", 1e-5)])
@pytest.mark.parametrize("targets_per_chunk", [1, 4, 100])
@pytest.mark.parametrize("n_features", [5, 90])
def test_targets_may_be_taken_some_at_a_time(n_features, targets_per_chunk, precision, atol):
    X, Y = planted(n_features)
    options = {"folds": FOLDS, "alphas": ALPHAS, "precision": precision}
    chunked = cross_validate(X, Y, targets_per_chunk=targets_per_chunk, **options)
    assert_same(chunked, cross_validate(X, Y, **options), atol)


def test_a_stack_of_layers_is_each_layer_alone():
    layers = [planted(5, seed=s)[0] for s in range(3)]
    Y = planted(5)[1]
    stacked = exact(np.stack(layers), Y)
    assert stacked.r.shape == (3, 4, 6)
    for i, layer in enumerate(layers):
        assert_same(Scores(*(part[i] if part is not None else None for part in stacked[:-1]), path=()), exact(layer, Y))


def test_layers_may_come_one_by_one_with_widths_of_their_own():
    Y = planted(5)[1]
    found = exact((planted(width)[0] for width in (5, 90, 1)), Y)
    assert sides(found) == ("primal",) * 4 + ("dual",) * 4 + ("primal",) * 4
    for i, width in enumerate((5, 90, 1)):
        assert_same(
            Scores(*(part[i] if part is not None else None for part in found[:-1]), path=()),
            exact(planted(width)[0], Y),
        )


@pytest.mark.parametrize("alpha", [0.1, 10.0, 1e4])
@pytest.mark.parametrize("n_features", WIDTHS.values(), ids=WIDTHS)
def test_single_precision_is_within_1e_5_of_double(n_features, alpha):
    X, Y = planted(n_features)
    single = cross_validate(X.astype(np.float32), Y.astype(np.float32), folds=FOLDS, alphas=[alpha])
    double = exact(X.astype(np.float32).astype(float), Y.astype(np.float32).astype(float), alphas=[alpha])
    assert np.abs(single.r - double.r).max() < 1e-5
    assert np.abs(single.r2 - double.r2).max() < 1e-5


def test_the_order_of_alphas_does_not_matter():
    X, Y = planted(5)
    assert_same(exact(X, Y, alphas=ALPHAS[::-1].copy()), exact(X, Y))


# --- nothing of the test rows goes into the fit ---


@pytest.mark.parametrize("n_features", [5, 90])
@pytest.mark.parametrize("select", ["r2", "r"])
def test_what_is_tested_on_chooses_neither_alpha_nor_layer(n_features, select):
    X, Y = planted(n_features)
    changed = Y.copy()
    changed[FOLDS[1][1]] = np.random.default_rng(9).normal(size=(len(FOLDS[1][1]), 6)) * 100
    before, after = exact(X, Y, inner=INNER, select=select), exact(X, changed, inner=INNER, select=select)
    assert np.array_equal(before.alpha[1], after.alpha[1])
    assert np.array_equal(before.inner[1], after.inner[1])
    assert not np.allclose(before.r[1], after.r[1], atol=0.01)


def test_rows_in_neither_part_of_a_fold_do_not_matter():
    X, Y = planted(5)
    fold = [(np.arange(0, 35), np.arange(45, 60))]
    changed = Y.copy()
    changed[35:45] = 1e3
    assert_same(exact(X, changed, folds=fold), exact(X, Y, folds=fold))


# --- inner folds when none are given ---


def test_the_other_folds_test_blocks_choose_alpha():
    X, Y = planted(5)
    inner = [
        [(np.setdiff1d(train, test), test) for j, (_, test) in enumerate(FOLDS) if j != k]
        for k, (train, _) in enumerate(FOLDS)
    ]
    assert_same(exact(X, Y), exact(X, Y, inner=inner))


@pytest.mark.parametrize("folds", [contiguous(N, folds=3, gap=4)[:1], contiguous(N, folds=2)], ids=["one", "two"])
def test_five_blocks_of_the_training_rows_choose_alpha_where_no_other_fold_can(folds):
    """Of two folds the other's test block is all of training: nothing would be left to fit."""
    X, Y = planted(5)
    inner = [[(np.setdiff1d(train, test), test) for test in np.array_split(train, 5)] for train, _ in folds]
    found = exact(X, Y, folds=folds)
    assert np.isfinite(found.inner).all()
    assert_same(found, exact(X, Y, folds=folds, inner=inner))


# --- what has no score ---


@pytest.mark.parametrize("precision", PRECISIONS)
@pytest.mark.parametrize("value", [0.0, 0.1, 1e6])
def test_a_constant_target_has_no_score_and_leaves_the_others_alone(value, precision):
    X, Y = planted(5)
    constant = Y.copy()
    constant[:, 3] = value
    options = {"folds": FOLDS, "alphas": ALPHAS, "precision": precision}
    found, before = cross_validate(X, constant, **options), cross_validate(X, Y, **options)
    others = [0, 1, 2, 4, 5]
    assert np.isnan(found.r[:, 3]).all() and np.isnan(found.r2[:, 3]).all()
    assert np.array_equal(found.alpha[:, others], before.alpha[:, others])
    assert np.allclose(found.r[:, others], before.r[:, others], rtol=0, atol=1e-6)
    assert np.allclose(found.r2[:, others], before.r2[:, others], rtol=0, atol=1e-6)


def test_a_target_constant_in_one_inner_fold_is_chosen_on_the_others():
    X, Y = planted(5)
    silent = Y.copy()
    silent[FOLDS[3][1], 0] = 2.0
    rest = [[pair for pair in inner if RUN[pair[1][0]] != 3] for inner in INNER[:3]]
    found, expected = exact(X, silent, inner=INNER), exact(X, silent, folds=FOLDS[:3], inner=rest)
    assert np.array_equal(found.alpha[:3, 0], expected.alpha[:, 0])
    assert np.allclose(found.inner[:3, 0], expected.inner[:, 0], rtol=0, atol=1e-12)


# --- the parts of the answer ---


@pytest.mark.parametrize("targets_per_chunk", [None, 2])
def test_the_mean_agreement_over_a_fold_is_the_pools_mean_r(targets_per_chunk):
    X, Y = planted(5)
    Y[:, 4] = 1.0  # constant: in no mean
    pools = np.array([[1, 1, 0, 0, 0, 0], [0, 0, 1, 1, 1, 1], [1, 1, 1, 1, 1, 1]], bool)
    found = exact(X, Y, pools=pools, targets_per_chunk=targets_per_chunk)
    for k, (_, test) in enumerate(FOLDS):
        expected = [np.nanmean(found.r[k, pool]) for pool in pools]
        assert np.allclose(found.agreement[:, test].mean(axis=1), expected, rtol=0, atol=1e-12)


def test_a_flat_prediction_counts_as_zero_agreement():
    Y = planted(5)[1]
    found = exact(private(40), Y, pools=np.ones((1, 6), bool))
    assert np.array_equal(found.agreement, np.zeros((1, N)))


def test_samples_never_tested_have_no_agreement():
    X, Y = planted(5)
    found = exact(X, Y, folds=FOLDS[:1], pools=np.ones((1, 6), bool))
    assert np.isnan(found.agreement[0]).tolist() == (RUN != 0).tolist()


def test_a_pool_of_constant_targets_has_no_agreement():
    X = planted(5)[0]
    assert np.isnan(exact(X, np.ones((N, 2)), pools=np.ones((1, 2), bool)).agreement).all()


def test_without_pools_there_is_no_agreement():
    assert exact(*planted(5)).agreement is None


def test_edges_are_the_first_and_last_alpha():
    """The noisy targets run to the last alpha, clean ones to the first: either is an edge."""
    X, Y = planted(5)
    found = exact(X, Y, alphas=[0.1, 1.0, 10.0])
    assert 0 < found.edge_share.mean() < 1
    assert np.array_equal(found.edge_share, found.alpha != 1.0)


# --- refusals ---


@pytest.mark.parametrize("name", ["X", "Y"])
@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_missing_values_are_refused_with_their_count_and_place(name, value):
    data = dict(zip("XY", planted(5), strict=True))
    data[name][3, 2] = data[name][7, 1] = value
    with pytest.raises(ValueError, match=rf"{name} holds 2 missing or infinite values, the first at \(3, 2\)"):
        exact(data["X"], data["Y"])


@pytest.mark.parametrize(
    ("option", "known"), [("select", "'r2', 'r'"), ("precision", "'float32', 'float64'"), ("device", "'cpu'")]
)
def test_unknown_options_are_refused_with_the_known(option, known):
    X, Y = planted(5)
    with pytest.raises(ValueError, match=f"{option}='other' is not known; known: {known}"):
        cross_validate(X, Y, folds=FOLDS, alphas=ALPHAS, **{option: "other"})


def test_lengths_that_differ_are_refused_with_both():
    X, Y = planted(5)
    with pytest.raises(ValueError, match="X has 59 samples and Y has 60"):
        exact(X[:-1], Y)


def test_no_layers_are_refused():
    with pytest.raises(ValueError, match="no layers"):
        exact(iter([]), planted(5)[1])


@pytest.mark.parametrize(
    "alphas", [[], [-1.0, 1.0], [0.0, 1.0], [1.0, np.nan]], ids=["none", "negative", "zero", "nan"]
)
def test_alphas_that_are_no_penalties_are_refused(alphas):
    with pytest.raises(ValueError, match=r"alphas are \[.*; there must be at least one, all positive and finite"):
        exact(*planted(5), alphas=alphas)


def test_inner_folds_on_test_rows_are_refused_with_their_count():
    """Counted from the start of training instead of X, they would choose alpha on what is tested."""
    inner = [[(np.arange(20), np.arange(20, 48))], *INNER[1:]]
    with pytest.raises(
        ValueError, match="inner folds of fold 0 hold 12 rows outside its training rows, the first is 0"
    ):
        exact(*planted(5), inner=inner)


def test_too_few_sets_of_inner_folds_are_refused():
    with pytest.raises(ValueError, match="1 sets of inner folds for 4 folds"):
        exact(*planted(5), inner=INNER[:1])


def test_a_choice_without_inner_folds_is_refused():
    with pytest.raises(ValueError, match="fold 2 has no inner folds to choose among 6 alphas"):
        exact(*planted(5), inner=[*INNER[:2], [], INNER[3]])


def test_a_row_named_twice_is_refused():
    inner = [[(np.array([20, 20, 21, 22]), np.arange(30, 40))], *INNER[1:]]
    with pytest.raises(ValueError, match="fold 0 hold a part that is empty or names a row twice"):
        exact(*planted(5), inner=inner)


def test_a_single_alpha_needs_no_inner_folds():
    X, Y = planted(5)
    assert np.array_equal(exact(X, Y, alphas=[3.0], inner=[[]] * 4).r, exact(X, Y, alphas=[3.0]).r)


@pytest.mark.parametrize("constant", [0.0, 0.1, -1234.5])
def test_a_target_that_is_constant_in_training_only_is_predicted_flat(constant):
    X, Y = planted(5)
    train, _ = FOLDS[0]
    Y[train, 4] = constant
    found = cross_validate(X, Y, folds=FOLDS[:1], alphas=ALPHAS)
    assert found.r[0, 4] == 0 and found.flat[0, 4]


def test_default_inner_folds_keep_the_gap_of_the_outer_ones():
    X, Y = planted(5)
    folds = contiguous(N, folds=4, gap=5)
    inner = [
        [(np.intersect1d(train, a), np.intersect1d(train, b)) for i, (a, b) in enumerate(folds) if i != k]
        for k, (train, _) in enumerate(folds)
    ]
    assert_same(exact(X, Y, folds), exact(X, Y, folds, inner=inner))


@pytest.mark.parametrize(
    ("fold", "told"),
    [
        ((np.arange(40), np.arange(35, 60)), "same 5 rows, the first is 35"),
        ((np.arange(40), np.arange(50, 70)), "0 to 59"),
        ((np.arange(40), np.array([], int)), "tests on 0 rows"),
    ],
)
def test_folds_that_leak_or_leave_the_data_are_refused(fold, told):
    X, Y = planted(5)
    with pytest.raises(ValueError, match=told):
        cross_validate(X, Y, folds=[fold], alphas=ALPHAS)
