"""Shapes of representations against closed forms, other libraries, planted truth and invariances."""

import numpy as np
import pytest
from scipy.spatial.distance import pdist, squareform
from scipy.stats import ortho_group

from pipeline import geometry

RNG = np.random.default_rng(0)
X, Z = RNG.normal(size=(40, 12)), RNG.normal(size=(40, 7))
WIDE = RNG.normal(size=(40, 300))


def song(X: np.ndarray, Z: np.ndarray) -> float:
    """HSIC without bias, as Song et al. write it, from the Gram matrices."""
    n, one = len(X), np.ones(len(X))
    K, L = (A @ A.T * (1 - np.eye(n)) for A in (X, Z))
    inside = np.trace(K @ L) + one @ K @ one * (one @ L @ one) / ((n - 1) * (n - 2)) - 2 / (n - 2) * one @ K @ L @ one
    return float(inside / (n * (n - 3)))


@pytest.mark.parametrize("other", [X, Z, WIDE, X @ RNG.normal(size=(12, 5)) + 3], ids=["same", "few", "wide", "mapped"])
@pytest.mark.parametrize("offset", [0.0, 50.0])
def test_alignment_without_bias_is_that_of_song(other, offset):
    one = X + offset
    expected = song(one, other) / np.sqrt(song(one, one) * song(other, other))
    assert geometry.cka(one, other) == pytest.approx(expected, abs=1e-6)  # the formula itself rounds far from 0


def test_alignment_with_bias_is_that_of_centred_gram_matrices():
    centring = np.eye(40) - 1 / 40
    K, L = (centring @ A @ A.T @ centring for A in (X, WIDE))
    expected = (K * L).sum() / np.sqrt((K * K).sum() * (L * L).sum())
    assert geometry.cka(X, WIDE, biased=True) == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("biased", [False, True])
def test_alignment_ignores_turns_shifts_and_scale(biased):
    turned = 3.0 * X @ ortho_group.rvs(12, random_state=1) + RNG.normal(size=12)
    assert geometry.cka(X, turned, biased=biased) == pytest.approx(1, abs=1e-12)
    assert geometry.cka(turned, Z, biased=biased) == pytest.approx(geometry.cka(X, Z, biased=biased), abs=1e-10)


@pytest.mark.parametrize(("p", "usual"), [(20, 0.09), (200, 0.50), (4000, 0.95)])
def test_unrelated_clouds_align_only_where_bias_is_left_in(p, usual):
    drawn = [[np.random.default_rng([s, p, k]).normal(size=(200, p)) for k in range(2)] for s in range(4)]
    assert abs(np.mean([geometry.cka(a, b) for a, b in drawn])) < 0.015  # deviation .008 each
    assert np.mean([geometry.cka(a, b, biased=True) for a, b in drawn]) == pytest.approx(usual, abs=0.01)


def test_a_constant_representation_aligns_with_nothing():
    assert np.isnan(geometry.cka(X, np.full((40, 3), 0.1))) and np.isnan(geometry.cka(np.full((40, 3), 1e9), X))


def brute(X: np.ndarray, k: int, allowed: np.ndarray) -> list[set[int]]:
    unit = X / np.linalg.norm(X, axis=1, keepdims=True)
    return [set(sorted(np.flatnonzero(allowed[i]), key=lambda j: -unit[i] @ unit[j])[:k]) for i in range(len(X))]


@pytest.mark.parametrize("apart", [0, 3])
def test_common_neighbours_are_those_of_a_search_by_hand(apart):
    run = np.repeat([0, 1], 20)
    row = np.arange(40)
    allowed = ~((np.abs(row[:, None] - row) <= apart) & (run[:, None] == run))
    np.fill_diagonal(allowed, False)
    shared = [len(a & b) / 5 for a, b in zip(brute(X, 5, allowed), brute(Z, 5, allowed), strict=True)]
    assert geometry.mutual_knn(X, Z, 5, apart=apart, run=run) == pytest.approx(np.mean(shared))


def test_the_same_directions_have_the_same_neighbours():
    assert geometry.mutual_knn(X, X * RNG.uniform(1, 2, (40, 1)), k=10) == 1.0


@pytest.mark.parametrize("apart", [0, 8])
def test_unrelated_representations_share_as_many_neighbours_as_chance_says(apart):
    found = []
    for seed in range(60):
        rng = np.random.default_rng(seed)
        found.append(geometry.mutual_knn(rng.normal(size=(100, 6)), rng.normal(size=(100, 9)), apart=apart))
    chance = geometry.mutual_knn_chance(100, apart=apart)
    assert abs(np.mean(found) - chance) < 3 * np.std(found) / np.sqrt(60)


def test_chance_is_k_of_all_others():
    assert geometry.mutual_knn_chance(200, 10) == pytest.approx(10 / 199)
    assert geometry.mutual_knn_chance(5, 1, apart=1) == pytest.approx(np.mean([1 / 3, 1 / 2, 1 / 2, 1 / 2, 1 / 3]))


def test_slow_series_look_alike_until_neighbours_in_time_are_left_out():
    def slow(seed: int) -> np.ndarray:
        return np.cumsum(np.random.default_rng(seed).normal(size=(300, 40)), axis=0)

    close = geometry.mutual_knn(slow(1), slow(2))
    assert close > 0.4
    far = geometry.mutual_knn(slow(1), slow(2), apart=100) / geometry.mutual_knn_chance(300, apart=100)
    assert far < 0.5 * close / geometry.mutual_knn_chance(300)


@pytest.mark.parametrize(("distance", "scipy_name"), [("correlation", "correlation"), ("euclidean", "sqeuclidean")])
def test_distances_are_those_of_scipy(distance, scipy_name):
    expected = pdist(X, scipy_name) / (12 if distance == "euclidean" else 1)
    np.testing.assert_allclose(geometry.rdm(X, distance=distance), expected, atol=1e-12)


def test_crossnobis_is_the_mean_over_pairs_of_repeats():
    R = RNG.normal(size=(3, 6, 10))
    expected = []
    for i, j in zip(*geometry.pairs(6), strict=True):
        d = R[:, i] - R[:, j]
        expected.append(np.mean([d[a] @ d[b] / 10 for a in range(3) for b in range(3) if a != b]))
    np.testing.assert_allclose(geometry.rdm(R, distance="crossnobis"), expected, atol=1e-12)


def test_crossnobis_of_what_does_not_differ_is_as_often_negative():
    drawn = [np.random.default_rng(seed).normal(size=(4, 60, 50)) for seed in range(20)]
    found = np.stack([geometry.rdm(R, distance="crossnobis") for R in drawn])
    assert abs(found.mean()) < 4 * found.mean(axis=1).std() / np.sqrt(20)
    assert 0.45 < (found < 0).mean() < 0.55


def test_pairs_of_neighbours_in_time_are_left_out_inside_runs_only():
    run = np.repeat(["a", "b"], 20)
    one, other = geometry.pairs(40, apart=2, run=run)
    kept = squareform(np.arange(780))[one, other]
    np.testing.assert_allclose(geometry.rdm(X, apart=2, run=run), pdist(X, "correlation")[kept], atol=1e-12)
    left_out = set(zip(*np.triu_indices(40, 1), strict=True)) - set(zip(one, other, strict=True))
    assert left_out == {(i, j) for i in range(40) for j in (i + 1, i + 2) if j < 40 and run[i] == run[j]}


def spread(variances: list[float], n: int = 50) -> np.ndarray:
    """Samples whose principal variances are exactly those, in turned axes, about a mean that is far away."""
    left = np.linalg.svd(RNG.normal(size=(n, 8)) @ np.eye(8), full_matrices=False)[0]
    left = np.linalg.qr(left - left.mean(axis=0))[0][:, : len(variances)]
    return left * np.sqrt(variances) @ ortho_group.rvs(8, random_state=2)[: len(variances)] + 100


def test_the_spectrum_is_what_was_planted():
    np.testing.assert_allclose(geometry.spectrum(spread([9.0, 4.0, 1.0]))[:4], [3, 2, 1, 0], atol=1e-10)


@pytest.mark.parametrize("measure", [geometry.effective_rank, geometry.participation_ratio])
@pytest.mark.parametrize("k", [1, 3, 8])
def test_k_directions_alike_are_k(measure, k):
    assert measure(spread([2.0] * k)) == pytest.approx(k)
    assert np.isnan(measure(np.full((9, 3), 0.1)))


def test_unequal_directions_count_by_entropy_and_by_squares():
    share = np.array([0.7, 0.2, 0.1])
    assert geometry.effective_rank(spread([7.0, 2.0, 1.0])) == pytest.approx(np.exp(-(share * np.log(share)).sum()))
    assert geometry.participation_ratio(spread([7.0, 2.0, 1.0])) == pytest.approx(1 / (share**2).sum())


def test_no_matrix_of_the_rank_is_nearer_than_the_truncated_one():
    cut = geometry.truncate(X, 4)
    assert np.linalg.matrix_rank(cut) == 4
    np.testing.assert_allclose(((X - cut) ** 2).sum(), (np.linalg.svd(X)[1][4:] ** 2).sum())
    np.testing.assert_allclose(geometry.truncate(X, 12), X, atol=1e-12)


def test_truncated_about_its_mean_a_representation_keeps_the_mean():
    cut = geometry.truncate(X + 10, 2, centred=True)
    np.testing.assert_allclose(cut.mean(axis=0), (X + 10).mean(axis=0))
    np.testing.assert_allclose(geometry.spectrum(cut)[:3], [*geometry.spectrum(X)[:2], 0], atol=1e-10)


def test_components_are_those_of_scikit_learn_fitted_to_training_rows():
    from sklearn.decomposition import PCA

    train = np.arange(0, 40, 2)
    expected = PCA(3, svd_solver="full").fit(X[train]).transform(X)
    found = geometry.projected(X, 3, train=train)
    np.testing.assert_allclose(found * np.sign((found * expected).sum(axis=0)), expected, atol=1e-10)


def test_components_do_not_change_with_rows_that_are_no_training():
    train = np.arange(30)
    other = np.vstack([X[:30], 7 * X[30:] + 1])
    assert np.array_equal(geometry.projected(X, 3, train=train)[:30], geometry.projected(other, 3, train=train)[:30])


BAD = {
    "lengths": (lambda: geometry.cka(X, Z[:30]), "X has 40 samples and Z has 30"),
    "few": (lambda: geometry.cka(X[:3], Z[:3]), "at least 4 samples"),
    "missing": (lambda: geometry.cka(X * np.nan, Z), "480 missing"),
    "k": (lambda: geometry.mutual_knn(X, Z, 40), "only 39 that may be its neighbours"),
    "k apart": (lambda: geometry.mutual_knn_chance(30, 10, apart=12), "only 5 that"),
    "no direction": (lambda: geometry.mutual_knn(X * 0, Z), "40 samples are 0"),
    "runs": (lambda: geometry.pairs(5, run=np.zeros(4)), "5 samples, 4 labels"),
    "apart": (lambda: geometry.pairs(5, apart=-1), "apart is -1"),
    "distance": (lambda: geometry.rdm(X, distance="cosine"), "'cosine' is not known; known: 'correlation'"),
    "repeats": (lambda: geometry.rdm(X, distance="crossnobis"), r"\(40, 12\); distance 'crossnobis' takes \(repeat"),
    "flat": (lambda: geometry.rdm(np.ones((4, 3))), "4 samples are the same in all features"),
    "rank": (lambda: geometry.truncate(X, 0), "rank is 0"),
    "components": (lambda: geometry.projected(X, 20), "have 1 to 12 components"),
}


@pytest.mark.parametrize("name", BAD)
def test_what_has_no_answer_is_refused_with_the_numbers(name):
    call, told = BAD[name]
    with pytest.raises(ValueError, match=told):
        call()
