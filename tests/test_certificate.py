"""Tests of every target, and what the study's own test finds in responses that hold nothing."""

import numpy as np
import pytest
from certified import fitted, recorded, split_of, study, whole
from scipy import stats

from pipeline import certify, ridge, statistics
from pipeline.certify.certificate import binomial, interval, noise_verdict, rate_verdict

NULLS = ("blocks", "shifts", "phases")


@pytest.fixture(scope="module")
def held_out():
    return whole(*study(phi=0.5))


@pytest.fixture(scope="module")
def crossed():
    return fitted(*study(runs=3, n=80, phi=0.5), split="leave_one_run_out")


def p_of(found, how: str, n: int = 199, seed: int = 0):
    return certify.tested(found, found.samples.Y, found.alpha, how=how, n=n, seed=seed)


@pytest.mark.parametrize("how", NULLS)
def test_on_a_held_out_run_p_is_that_of_the_null_on_ridges_own_predictions(held_out, how):
    found, _ = held_out
    y_hat = ridge.held_out(found.X[1], found.samples.Y, folds=found.folds, alpha=found.alpha, precision="float64")
    (_, test), = found.folds  # fmt: skip
    null = {
        "blocks": lambda *of: statistics.permute_blocks(*of, block=found.block, n=199),
        "shifts": lambda *of: statistics.circular_shifts(*of, least=-(-found.block // 3), n=199),
        "phases": lambda *of: statistics.phases(*of, n=199),
    }[how]
    np.testing.assert_array_equal(p_of(found, how).p, null(found.samples.Y[test], y_hat[test].astype("f4")))


@pytest.mark.parametrize("how", NULLS)
def test_where_folds_take_turns_p_is_that_of_a_refitted_null(crossed, how):
    assert set(crossed.layers) == {1}  # one layer in all folds, which is all that `permute_refit` knows
    block = {"phases": {}, "blocks": {"block": crossed.block}, "shifts": {"block": -(-crossed.block // 3)}}[how]
    expected = statistics.permute_refit(
        crossed.X[1], crossed.samples.Y, folds=crossed.folds, inner=crossed.inner, alphas=crossed.settings.grid(),
        run=crossed.samples.run, n=99, how=how, precision="float64", **block,
    )  # fmt: skip
    np.testing.assert_array_equal(p_of(crossed, how, 99).p, expected)


def test_folds_with_layers_of_their_own_are_tested_together(crossed):
    """Two layers that are the same design give what one gives."""
    twice = crossed._replace(layers=np.array([0, 1, 1]), X={0: crossed.X[1], 1: crossed.X[1]})
    one, two = p_of(crossed, "blocks", 49), p_of(twice, "blocks", 49)
    np.testing.assert_allclose(two.r, one.r)
    np.testing.assert_array_equal(two.p, one.p)


def test_what_follows_the_words_is_significant_also_among_all_targets(held_out):
    found, scores = held_out
    one = p_of(found, "phases")
    assert (one.p[:4] == 1 / 200).all() and (one.p_max[:4] <= 0.05).all() and (one.p_max >= one.p).all()
    np.testing.assert_allclose(one.r, scores["r"].values[1, 0], atol=1e-5)
    assert one.smallest_p == 1 / 200


def test_a_constant_target_has_no_p(held_out):
    found, _ = held_out
    Y = found.samples.Y.copy()
    Y[:, 2] = 1
    one = certify.tested(found, Y, found.alpha, how="phases", n=99, seed=0)
    assert np.isnan([one.p[2], one.p_max[2], one.r[2]]).all() and np.isfinite(np.delete(one.p, 2)).all()


def test_an_unknown_null_is_refused(held_out):
    with pytest.raises(ValueError, match="'iid' is not known; known: 'blocks', 'shifts', 'phases'"):
        p_of(held_out[0], "iid")


# --- the certificate


def rates(found, n: int = 20, how: str = "phases", n_null: int = 199):
    return {rate.kind: rate for rate in certify.certified(found, n=n, how=how, n_null=n_null, seed=0)}


@pytest.fixture(scope="module")
def smooth():
    return fitted(*study(n=240, driven=10, noise=30, phi=0.8, slow=0.9))


def test_a_study_that_keeps_its_level_is_certified_although_much_is_to_be_found_in_it(smooth):
    found = rates(smooth)
    assert [*found] == ["phases", "rolled", "reordered", "all"]
    assert found["all"].n == 60 and found["all"].n_targets == 30
    assert all(rate_verdict(rate) == "green" and noise_verdict(rate) == "green" for rate in found.values())
    assert 0.03 < found["all"].rate < 0.07 and abs(found["all"].noise) < 0.02


def test_a_test_that_takes_samples_for_independent_is_found_out(smooth):
    rate = rates(smooth._replace(block=1), how="blocks")["all"]
    assert rate.rate > 0.1 and rate.rate_low > 0.05 and rate_verdict(rate) == "amber"


def test_cross_validated_scores_are_certified_by_fits_of_every_null(crossed):
    rate = rates(crossed, n=10)["all"]
    assert rate.n_null == 19 and rate_verdict(rate) == "green"


def test_what_all_stories_share_is_no_false_positive():
    """Responses and features both settle at each start: other stories' responses are then predicted, and rightly so."""
    recordings, activations = study(runs=6, driven=0, noise=30)
    for run, ds in recordings.items():
        settling = np.exp(-ds["time"].values / 20.0)
        recordings[run] = recorded(ds["responses"].values + 2 * settling[:, None])
        start = np.exp(-activations[run]["onset"].values / 20.0)
        activations[run]["activations"].values[:, 1, 0] = 5 * start
    found = fitted(recordings, activations)
    Y = statistics.reordered(found.samples.Y, run=found.samples.run, rng=np.random.default_rng(0))
    beginning_on_beginning = certify.tested(found, Y, certify.fit(found, Y).alpha, how="phases", n=199, seed=0)
    assert (beginning_on_beginning.p <= 0.05).mean() > 0.3
    assert rate_verdict(rates(found, n=10)["reordered"]) == "green"


def test_a_kind_that_cannot_be_made_is_told_and_the_others_are(smooth):
    run = smooth.samples.run
    one = smooth._replace(samples=smooth.samples._replace(run=np.full(len(run), "a")))
    found = rates(one, n=2)
    assert "1 run of 1200 samples cannot change places" in found["reordered"].reason
    assert rate_verdict(found["reordered"]) == "none" and found["all"].n == 4


def test_one_surrogate_has_no_interval_and_no_verdict(smooth):
    found = rates(smooth, n=1)
    assert rate_verdict(found["phases"]) == "none" and np.isfinite(found["phases"].rate)


def test_draws_are_the_units_of_the_interval():
    values = np.random.default_rng(0).normal(size=12)
    expected = stats.t.interval(0.99, 11, values.mean(), stats.sem(values))
    np.testing.assert_allclose(interval(values, 0.01), expected)


@pytest.mark.parametrize(("hits", "n"), [(0, 40), (3, 40), (40, 40)])
def test_draws_that_agree_leave_the_exact_interval_of_a_share(hits, n):
    expected = stats.binomtest(hits, n).proportion_ci(0.9875)
    np.testing.assert_allclose(binomial(hits, n, 0.0125), expected, atol=1e-12)


def test_targets_are_spread_evenly_whatever_they_score():
    usable = np.ones(4001, bool)
    usable[7] = False
    some = certify.spread(usable)
    assert len(some) == 100 and 7 not in some and np.ptp(np.diff(some)) <= 1
    assert certify.spread(usable[:20]).tolist() == [i for i in range(20) if i != 7]
    assert len(certify.spread(np.ones(200, bool))) == 30


def test_the_same_study_is_certified_with_the_same_numbers(smooth):
    assert rates(smooth, n=2) == rates(smooth, n=2)


# --- what is saved


@pytest.fixture(scope="module")
def written(held_out):
    found, scores = held_out
    tests = certify.TargetTests(np.arange(10), p_of(found, "phases"), "phases")
    saved = certify.saved(tests, found, scores, "net", 0.05)
    made = certify.certified(found, n=2, how="phases", n_null=99, seed=0)
    return saved, certify.table(saved, made, certify.sung(found, draws=100, seed=0), "01", "bold")


def test_p_by_target_is_saved_with_q_and_what_it_was_made_of(written):
    saved, _ = written
    np.testing.assert_allclose(saved["q"].values, stats.false_discovery_control(saved["p"].values))
    assert saved.attrs["test"] == "phases" and saved.attrs["n"] == 199 and saved.attrs["smallest_p"] == 1 / 200
    assert saved.attrs["layer"] == "1" and saved.attrs["refitted"] == 0


def test_rows_tell_regions_kinds_and_canaries(written):
    _, table = written
    assert tuple(table.columns) == certify.COLUMNS
    counts = table.groupby(["section", "measure"], sort=False).size().to_dict()
    assert counts == {
        ("tests", "significant targets"): 1, ("certificate", "false positives"): 4, ("certificate", "noise score"): 4,
        ("canary", "r"): 2, ("canary", "difference"): 1,
    }  # fmt: skip
    row = table.iloc[0]
    assert row["value"] >= 4 and row["bound"] == 0.05 * row["value"] and row["n_targets"] == 10


def test_targets_that_were_not_tested_have_no_p(held_out):
    found, scores = held_out
    part = certify.tested(found, found.samples.Y[:, [1, 5]], found.alpha[:, [1, 5]], how="phases", n=99, seed=0)
    saved = certify.saved(certify.TargetTests(np.array([1, 5]), part, "phases"), found, scores, "net", 0.05)
    assert np.flatnonzero(np.isfinite(saved["p"].values)).tolist() == [1, 5]


def test_a_target_that_is_missing_somewhere_is_not_tested():
    recordings, activations = study()
    recordings["r1"]["responses"].values[:, 3] = np.nan
    found = fitted(recordings, activations)
    assert found.usable.tolist() == [i != 3 for i in range(10)] and 3 not in certify.spread(found.usable)
    assert split_of(recordings)["r4"] == "test" and len(found.test) == 120
