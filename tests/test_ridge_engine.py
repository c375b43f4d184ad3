"""However the engine goes about it, the answer is the same: ways, precisions, devices, chunks, passes, files."""

import subprocess
import sys

import numpy as np
import pytest
from himalaya.ridge import RidgeCV
from himalaya.scoring import correlation_score
from sklearn.linear_model import Ridge

from pipeline.metrics import pearson
from pipeline.ridge import Scores, backends, choose_alpha, cross_validate, each_layer, fold, plan
from pipeline.ridge.grid import COARSE, FINE, grid
from pipeline.splits import contiguous

N = 240
FOLDS = contiguous(N, folds=4)
GRIDS = {"wide": np.logspace(-3, 8, 23), "usual": np.logspace(1, 4, 10)}


def noisy(X: np.ndarray, n_targets: int = 60, seed: int = 1) -> np.ndarray:
    rng = np.random.default_rng(seed)
    signal = X @ rng.normal(size=(X.shape[1], n_targets))
    return signal / (signal.std(axis=0) + 1e-12) + rng.normal(size=signal.shape) * np.logspace(-2, 1, n_targets)


def spectra() -> dict[str, np.ndarray]:
    """Features whose eigenvalues are alike, equal in pairs, spread over 14 decades, few, or belong to one fold alone."""
    rng = np.random.default_rng(0)
    white = rng.normal(size=(N, 40))
    private = np.zeros((N, 40))
    for k, (_, test) in enumerate(FOLDS):
        private[test, 10 * k : 10 * k + 10] = rng.normal(size=(len(test), 10))
    return {
        "alike": white,
        "given twice": np.hstack([white, white]),
        "spread": white * np.logspace(-4, 3, 40),
        "smooth and few": np.cumsum(rng.normal(size=(N, 8)), axis=0) @ rng.normal(size=(8, 40)),
        "of one fold alone": np.hstack([private, white[:, :5]]),
        "more than samples": rng.normal(size=(N, 400)),
        "one": white[:, :1],
    }


def by(way: str, monkeypatch: pytest.MonkeyPatch, cholesky: bool = False) -> None:
    monkeypatch.setattr(plan, "inner_way", lambda *_, **__: plan.Way(way, cholesky))


def assert_same_but_for_ties(found: Scores, exact: Scores, tie: float = 1e-6, atol: float = 2e-6) -> None:
    """Scores agree; where another alpha was chosen, it was as good."""
    scale = 1 + np.abs(exact.inner)  # an R2 far below zero has fewer digits left of the point
    assert np.nanmax(np.abs(found.inner - exact.inner) / scale) < tie + atol
    same = found.alpha == exact.alpha
    assert np.nanmax(np.abs(found.r - exact.r)[same], initial=0) < 1e-5
    assert np.nanmax((np.abs(found.r2 - exact.r2) / (1 + np.abs(exact.r2)))[same], initial=0) < 1e-5


# --- the ways of predicting held-out rows ---


@pytest.mark.parametrize("select", ["r", "r2"])
@pytest.mark.parametrize("alphas", GRIDS.values(), ids=GRIDS)
@pytest.mark.parametrize("name", spectra())
@pytest.mark.parametrize("way", ["norms", "turned", "predictions"])
def test_every_way_is_as_exact_as_double_precision(way, name, alphas, select, monkeypatch):
    """`norms` divides by differences of eigenvalues: the spectra are those that could make it lose digits."""
    X = spectra()[name]
    Y, options = noisy(X), {"folds": FOLDS, "alphas": alphas, "select": select}
    exact = cross_validate(X, Y, precision="float64", **options)
    by(way, monkeypatch)
    found = cross_validate(X, Y, precision="float32", **options)
    assert all(way in path for path in found.path)
    interpolated = "nodes" in found.path[0]
    assert_same_but_for_ties(found, exact, atol=5e-3 if interpolated else 5e-6)


@pytest.mark.parametrize("n_features", [20, 400])
@pytest.mark.parametrize("precision", ["float32", "float64"])
def test_cholesky_factors_and_eigenvectors_agree(n_features, precision, monkeypatch):
    X = np.random.default_rng(0).normal(size=(N, n_features))
    Y, options = noisy(X), {"folds": FOLDS, "alphas": GRIDS["usual"], "precision": precision}
    by("predictions", monkeypatch)
    expected = cross_validate(X, Y, **options)
    by("predictions", monkeypatch, cholesky=True)
    found = cross_validate(X, Y, **options)
    assert "Cholesky" in found.path[0] and "Cholesky" not in expected.path[0]
    assert np.allclose(found.inner, expected.inner, rtol=0, atol=1e-10 if precision == "float64" else 1e-6)


def test_the_cheapest_way_depends_on_the_sizes():
    ops = backends.Numpy("float32")
    many_targets = plan.inner_way(768, 1600, 40_000, 10, 10, True, ops)
    few_targets = plan.inner_way(768, 300, 50, 10, 10, False, ops)
    few_rows = plan.inner_way(768, 20, 40_000, 10, 10, True, ops)
    assert (many_targets.how, few_rows.how) == ("norms", "predictions")
    assert few_targets.how in ("norms", "turned")
    assert plan.inner_way(768, 400, 10_000, 10, 10, True, backends.Numpy("float64")).how == "predictions"


def test_what_was_chosen_is_told():
    X = np.random.default_rng(0).normal(size=(N, 5))
    assert cross_validate(X, noisy(X), folds=FOLDS, alphas=GRIDS["usual"]).path == ("primal norms",) * 4
    assert cross_validate(X, noisy(X), folds=FOLDS, alphas=[1.0]).path == ("primal",) * 4


# --- against himalaya, in single precision on both sides ---


def test_alphas_by_r_are_himalayas_but_for_ties():
    rng = np.random.default_rng(0)
    X = (rng.normal(size=(N, 60)) * np.arange(1, 61) ** -0.6).astype(np.float32)
    Y = noisy(X, 200).astype(np.float32)
    train, test = np.arange(180), np.arange(180, N)
    inner = contiguous(180, folds=5)
    found = cross_validate(X, Y, folds=[(train, test)], inner=[inner], alphas=GRIDS["usual"], select="r")
    model = RidgeCV(
        alphas=GRIDS["usual"], fit_intercept=True, cv=inner, solver_params={"score_func": correlation_score}
    )
    model.fit(X[train], Y[train])
    same = np.isclose(found.alpha[0], model.best_alphas_, rtol=1e-4)
    # another alpha is another only where both are equally good
    assert np.abs(found.inner[0] - model.cv_scores_).max() < 2e-6
    assert same.mean() > 0.98
    assert np.abs(found.r[0] - pearson(Y[test], model.predict(X[test])))[same].max() < 1e-5


# --- many alphas ---


def test_scores_between_nodes_are_interpolated():
    """Ten nodes for three decades tell a hundred alphas' scores; the sharpest bend is that of equal eigenvalues."""
    alphas = np.logspace(1, 4, 100)
    nodes = grid(alphas, FINE)
    assert (len(nodes.nodes), nodes.nodes[0], nodes.nodes[-1]) == (10, pytest.approx(10), pytest.approx(1e4))

    def bend(a: np.ndarray) -> np.ndarray:
        return np.stack([1 / (1 + a / s) for s in (20.0, 300.0, 5000.0)], axis=1)

    assert np.abs(nodes.spread(bend(nodes.nodes)) - bend(alphas)).max() < 2e-3
    assert np.allclose(nodes.spread(np.full((10, 3), 0.25)), 0.25, rtol=0, atol=1e-14)


@pytest.mark.parametrize("alphas", [[3.0], [1.0, 1.0], np.logspace(0, 8, 17)], ids=["one", "equal", "few to a decade"])
def test_where_nodes_would_save_little_every_alpha_is_measured(alphas):
    assert grid(np.asarray(alphas), COARSE).weights is None


@pytest.mark.parametrize("way", ["norms", "predictions"])
def test_a_hundred_alphas_choose_as_well_as_one_by_one(way, monkeypatch):
    rng = np.random.default_rng(0)
    X = rng.normal(size=(N, 60)) * np.arange(1, 61) ** -0.6
    Y, alphas = noisy(X), np.logspace(0, 3, 100)
    exact = cross_validate(X, Y, folds=FOLDS, alphas=alphas, precision="float64")
    by(way, monkeypatch)
    found = cross_validate(X, Y, folds=FOLDS, alphas=alphas)
    truth = np.stack([cross_validate(X, Y, folds=inner, alphas=[a], inner=[[]] * 3, precision="float64").r2.mean(axis=0)
                      for a in alphas for inner in [_inner(0)]])  # fmt: skip
    chosen = truth[np.searchsorted(alphas, found.alpha[0]), np.arange(Y.shape[1])]
    assert (exact.inner[0] - chosen).max() < 5e-4
    assert "nodes" in found.path[0] or way == "norms"


def _inner(k: int) -> list[tuple[np.ndarray, np.ndarray]]:
    train = FOLDS[k][0]
    return [(np.setdiff1d(train, test), test) for j, (_, test) in enumerate(FOLDS) if j != k]


@pytest.mark.parametrize("n_features", [60, 400])
def test_mixed_precision_chooses_nearly_as_well_and_reports_as_exactly(n_features):
    X = np.random.default_rng(0).normal(size=(N, n_features)) * np.arange(1, n_features + 1) ** -0.6
    Y, alphas = noisy(X), np.logspace(0, 3, 31)
    exact = cross_validate(X, Y, folds=FOLDS, alphas=alphas, precision="float64", select="r")
    found = cross_validate(X, Y, folds=FOLDS, alphas=alphas, precision="mixed", select="r")
    assert np.abs(found.inner - exact.inner).max() < 5e-3
    same = found.alpha == exact.alpha
    assert same.mean() > 0.5
    assert np.abs(found.r - exact.r)[same].max() < 1e-5


# --- where and in which pieces ---


@pytest.fixture
def torch_on_the_processor(monkeypatch):
    """What runs on a GPU, without one."""
    monkeypatch.setitem(backends.BACKENDS, "cuda", lambda precision: backends.Torch(precision, "cpu"))


@pytest.mark.parametrize("precision", ["float32", "float64"])
@pytest.mark.parametrize("select", ["r", "r2"])
@pytest.mark.parametrize("name", ["alike", "of one fold alone", "more than samples"])
@pytest.mark.usefixtures("torch_on_the_processor")
def test_torch_finds_what_numpy_finds(name, select, precision):
    X = spectra()[name]
    Y, options = noisy(X), {"folds": FOLDS, "alphas": GRIDS["usual"], "select": select, "pools": np.ones((1, 60), bool)}
    exact = cross_validate(X, Y, precision="float64", **options)
    found = cross_validate(X, Y, precision=precision, device="cuda", **options)
    assert_same_but_for_ties(found, exact)
    assert np.allclose(found.agreement, exact.agreement, rtol=0, atol=1e-3)


@pytest.mark.usefixtures("torch_on_the_processor")
def test_half_precision_chooses_and_single_precision_reports():
    X = np.random.default_rng(0).normal(size=(N, 60)) * np.arange(1, 61) ** -0.6
    Y, alphas = noisy(X), np.logspace(0, 3, 10)
    exact = cross_validate(X, Y, folds=FOLDS, alphas=alphas, precision="float64", select="r")
    found = cross_validate(X, Y, folds=FOLDS, alphas=alphas, precision="mixed", device="cuda", select="r")
    assert np.abs(found.inner - exact.inner).max() < 5e-3
    same = found.alpha == exact.alpha
    assert same.mean() > 0.7
    assert np.abs(found.r - exact.r)[same].max() < 1e-5


class Counted(np.ndarray):
    """Responses that count how often a block of them is read."""

    reads = 0

    def __getitem__(self, place):
        Counted.reads += isinstance(place, tuple)
        return super().__getitem__(place)


@pytest.mark.usefixtures("torch_on_the_processor")
@pytest.mark.parametrize(("room", "reads"), [(2**30, 2), (0, 6)], ids=["room for all", "no room"])
def test_a_gpu_with_room_reads_the_responses_once_for_all_layers(room, reads, monkeypatch):
    monkeypatch.setattr(backends.Torch, "room", lambda _: room)
    monkeypatch.setattr(Counted, "reads", 0)
    layers = np.random.default_rng(0).normal(size=(3, N, 5))
    Y = noisy(layers[0]).view(Counted)
    cross_validate(layers, Y, folds=FOLDS[:1], alphas=[1.0, 10.0], device="cuda")
    assert Counted.reads == reads  # training and test rows


@pytest.mark.parametrize(("unit", "origin"), [(1e-25, 0.0), (1e-13, 5e-13), (1.0, 3e4), (1e6, -1e8)])
def test_neither_unit_nor_origin_of_a_target_costs_single_precision_a_digit(unit, origin):
    X = np.random.default_rng(0).normal(size=(N, 20))
    Y = noisy(X)
    found = cross_validate(X, Y * unit + origin, folds=FOLDS, alphas=GRIDS["usual"])
    expected = cross_validate(X, Y, folds=FOLDS, alphas=GRIDS["usual"], precision="float64")
    assert np.array_equal(found.alpha, expected.alpha)
    assert np.abs(found.r - expected.r).max() < 1e-6


def test_a_gpu_that_is_not_there_is_refused():
    torch = pytest.importorskip("torch")
    if torch.cuda.is_available():
        pytest.skip("this machine has a GPU")
    X = np.random.default_rng(0).normal(size=(N, 5))
    with pytest.raises(ValueError, match="device='cuda' needs a GPU that torch can use, and it finds none"):
        cross_validate(X, noisy(X), folds=FOLDS, alphas=[1.0], device="cuda")


@pytest.mark.parametrize("way", ["norms", "predictions"])
@pytest.mark.parametrize("n_features", [20, 400])
def test_operators_that_do_not_fit_into_memory_take_several_passes(n_features, way, monkeypatch):
    X = np.random.default_rng(0).normal(size=(N, n_features))
    Y, options = noisy(X), {"folds": FOLDS, "alphas": GRIDS["usual"], "targets_per_chunk": 7}
    by(way, monkeypatch)
    at_once = cross_validate(X, Y, **options)
    monkeypatch.setattr(plan, "STACKS", 1)
    found = cross_validate(X, Y, **options)
    assert np.array_equal(found.alpha, at_once.alpha)
    assert np.allclose(found.inner, at_once.inner, rtol=0, atol=1e-6)
    assert np.allclose(found.r, at_once.r, rtol=0, atol=1e-6)


def test_responses_may_lie_in_a_file(tmp_path):
    X = np.random.default_rng(0).normal(size=(N, 20))
    Y = noisy(X).astype(np.float32)
    np.save(tmp_path / "Y.npy", Y)
    mapped = np.load(tmp_path / "Y.npy", mmap_mode="r")
    options = {"folds": FOLDS, "alphas": GRIDS["usual"], "targets_per_chunk": 16}
    found, expected = cross_validate(X, mapped, **options), cross_validate(X, Y, **options)
    for name in ("r", "r2", "alpha", "inner"):
        assert np.array_equal(getattr(found, name), getattr(expected, name))


@pytest.mark.parametrize("mean", [0.0, 10.0, 1000.0])
def test_a_layer_scores_the_same_whenever_it_comes(mean):
    """The first is fitted to responses centred in double precision, those after it in single where that is as good."""
    X = spectra()["alike"]
    Y = (noisy(X) / noisy(X).std(axis=0) + mean).astype(np.float32)
    first, second = each_layer([X, X], Y, folds=FOLDS, alphas=GRIDS["usual"])
    exact = cross_validate(X, Y, folds=FOLDS, alphas=GRIDS["usual"], precision="float64")
    for found in (first, second):
        assert_same_but_for_ties(found, exact)


def test_layers_come_one_by_one():
    """The first is done before the second is made, so that an interrupted job has kept it."""
    made = []

    def layers():
        for i in range(3):
            made.append(i)
            yield np.random.default_rng(i).normal(size=(N, 5))

    first = next(each_layer(layers(), noisy(np.ones((N, 1))), folds=FOLDS, alphas=[1.0, 10.0]))
    assert made == [0]
    assert first.r.shape == (4, 60)


PROBE = """
import sys, numpy as np
from pipeline.ridge import cross_validate
rng = np.random.default_rng(0)
X = rng.normal(size=(200, 64)); Y = X @ rng.normal(size=(64, 300)) + 8 * rng.normal(size=(200, 300))
folds = [(np.arange(150), np.arange(150, 200))]
np.save(sys.argv[1], cross_validate(X, Y, folds=folds, alphas=np.logspace(0, 4, 9)).r)
print(*sorted({name.split('.')[0] for name in sys.modules}))
"""


def probe(path, threads: int) -> tuple[np.ndarray, set[str]]:
    environment = {"OMP_NUM_THREADS": str(threads), "OPENBLAS_NUM_THREADS": str(threads), "PATH": ""}
    done = subprocess.run(
        [sys.executable, "-c", PROBE, path], capture_output=True, text=True, check=True, env=environment
    )
    return np.load(path), set(done.stdout.split())


def test_the_number_of_threads_changes_nothing_and_a_fit_imports_only_what_it_needs(tmp_path):
    one, loaded = probe(tmp_path / "one.npy", 1)
    two, _ = probe(tmp_path / "two.npy", 2)
    assert np.abs(one - two).max() < 1e-5
    assert not loaded & {"torch", "sklearn", "pandas", "xarray", "mne", "nilearn", "transformers", "matplotlib"}


# --- choosing alone ---


@pytest.mark.parametrize("n_features", [5, 400])
def test_an_alpha_is_chosen_without_testing_anything(n_features):
    X = np.random.default_rng(0).normal(size=(N, n_features))
    Y, alphas = noisy(X, 10), np.logspace(-1, 5, 7)
    alpha, score = choose_alpha(X, Y, inner=FOLDS, alphas=alphas, select="r", precision="float64")

    def mean_r(a: float) -> np.ndarray:
        return np.mean([pearson(Y[t], Ridge(alpha=a).fit(X[s], Y[s]).predict(X[t])) for s, t in FOLDS], axis=0)

    scores = np.stack([mean_r(a) for a in alphas])
    assert np.array_equal(alpha, alphas[scores.argmax(axis=0)])
    assert np.allclose(score, scores.max(axis=0), rtol=0, atol=1e-10)


def test_of_scores_that_differ_by_rounding_the_larger_alpha_is_taken():
    """With one feature r is the same for every alpha."""
    X = np.random.default_rng(0).normal(size=(N, 1))
    for precision in ("float32", "float64"):
        found = cross_validate(X, noisy(X), folds=FOLDS, alphas=GRIDS["usual"], select="r", precision=precision)
        assert (found.alpha == 1e4).all(), precision
    assert fold.TIES * np.finfo(np.float32).eps < 1e-6  # what may pass for a tie
