"""Where values are cut off: by the training rows of each fold, channel by channel, and without a second copy."""

import tracemalloc

import numpy as np
import pytest
import xarray as xr

from pipeline import clipping, ridge
from pipeline.clipping import limits_of, within
from pipeline.encoding import Encoding, encode
from pipeline.recordings.meg.kind import Meg
from pipeline.sensors import Sensors, placed

N, CHANNELS, LATENCIES, CLIP = 240, 4, 5, 8.0
SENSORS = Sensors(tuple("abcd"), ("mag",) * CHANNELS, np.zeros((CHANNELS, 12)), (-0.1, 0.0, 0.1, 0.2, 0.3))
ALPHAS = np.geomspace(1, 1e4, 9)
BY_TARGET = ("r", "r2", "alpha", "inner", "flat", "edge_share")


def data(seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Channels of different unit and origin that follow six features."""
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(N, 6))
    Y = X @ rng.normal(size=(6, CHANNELS * LATENCIES)) + 2 * rng.normal(size=(N, CHANNELS * LATENCIES))
    return X, (Y * np.repeat([1, 50, 1e3, 1e-3], LATENCIES) + np.repeat([0, 9, -4e4, 0], LATENCIES)).astype(np.float32)


def folds(n: int = 4) -> list[tuple[np.ndarray, np.ndarray]]:
    return [(np.setdiff1d(np.arange(N), test), test) for test in np.array_split(np.arange(N), n)]


def fitted(layers, Y, limits, outer, *, pools=None):
    inner = [[(np.setdiff1d(train, part), part) for part in np.array_split(train, 3)] for train, _ in outer]
    return list(clipping.each_layer(layers, Y, limits, folds=outer, inner=inner, alphas=ALPHAS, pools=pools))


def test_limits_are_the_median_and_robust_deviations_of_each_channels_training_rows():
    _, Y = data()
    Y[7, 3] = 1e6  # so that something is cut
    limits = limits_of(Y, folds(), CLIP, SENSORS)
    for k, (train, _) in enumerate(folds()):
        own = Y[train, :LATENCIES].astype(float).ravel()
        lower, median, upper = np.quantile(own, [0.25, 0.5, 0.75])
        reach = CLIP * (upper - lower) / 1.349
        np.testing.assert_allclose(limits.low[k, :LATENCIES], median - reach, rtol=1e-6)
        np.testing.assert_allclose(limits.high[k, :LATENCIES], median + reach, rtol=1e-6)


def test_without_channels_each_target_has_limits_of_its_own():
    _, Y = data()
    Y[7, 3] = 1e6
    limits = limits_of(Y, folds(), CLIP)
    train, _ = folds()[2]
    lower, median, upper = np.quantile(Y[train, 3].astype(float), [0.25, 0.5, 0.75])
    assert limits.high[2, 3] == pytest.approx(median + CLIP * (upper - lower) / 1.349)
    assert limits.n_cut.sum(axis=1).tolist() == [1, 1, 1, 1] and (limits.n_cut[:, 3] == 1).all()


def test_nothing_is_cut_where_nothing_lies_beyond_and_scores_are_those_without_limits_bit_for_bit():
    X, Y = data()
    assert limits_of(Y, folds(), 20.0, SENSORS) is None
    Y[7, 3] = 1e6
    limits = limits_of(Y, folds(), 20.0, SENSORS)
    plain, cut = fitted([X], Y, None, folds())[0], fitted([X], Y, limits, folds())[0]
    elsewhere = np.arange(Y.shape[1]) != 3
    for name in BY_TARGET:
        np.testing.assert_array_equal(getattr(cut, name)[:, elsewhere], getattr(plain, name)[:, elsewhere])
    assert (cut.r[:, 3] != plain.r[:, 3]).all() and cut.path == plain.path


def test_no_setting_cuts_nothing_however_wild_the_values():
    _, Y = data()
    Y[7, 3] = 1e9
    assert limits_of(Y, folds(), None, SENSORS) is None


@pytest.mark.parametrize("seed", range(5))
def test_no_value_that_lies_beyond_is_missed(seed):
    """One sort of all rows says which channels need a closer look; it must never spare one that does."""
    rng = np.random.default_rng(seed)
    Y = rng.standard_t(3, size=(N, CHANNELS * LATENCIES)).astype(np.float32)
    Y[:60] *= 0.05  # a quiet part: folds differ in their limits
    outer = [*folds(), (np.arange(100, 200), np.arange(0, 90))]  # and one with a wide gap
    for clip in (2.0, 4.0, 8.0, 16.0):
        found = limits_of(Y, outer, clip, SENSORS)
        expected = []
        for train, test in outer:
            by_channel = Y[train].reshape(len(train), CHANNELS, LATENCIES)
            lower, median, upper = np.quantile(by_channel.astype(float), [0.25, 0.5, 0.75], axis=(0, 2))
            reach = clip * (upper - lower) / 1.349
            rows = Y[np.r_[train, test]].reshape(-1, CHANNELS, LATENCIES)
            beyond = (rows < (median - reach)[:, None]) | (rows > (median + reach)[:, None])
            expected.append(beyond.sum(axis=0).ravel())
        assert np.array_equal(np.zeros_like(expected) if found is None else found.n_cut, expected)


def test_an_artefact_in_a_test_row_does_not_move_the_limits_of_its_fold():
    _, Y = data()
    Y[7, 3] = 1e6  # in the test rows of fold 0
    before = limits_of(Y, folds(), CLIP, SENSORS)
    Y[8:40, :LATENCIES] = -1e7
    after = limits_of(Y, folds(), CLIP, SENSORS)
    np.testing.assert_array_equal(after.low[0, :LATENCIES], before.low[0, :LATENCIES])
    np.testing.assert_array_equal(after.high[0, :LATENCIES], before.high[0, :LATENCIES])
    assert (after.high[1, :LATENCIES] != before.high[1, :LATENCIES]).all()  # which trains on them
    assert after.n_cut[0, 3] == 33 and after.n_cut[0, 0] == 32 and (after.n_cut[:, LATENCIES:] == 0).all()


def test_a_channel_most_of_whose_values_are_the_same_is_left_alone():
    _, Y = data()
    Y[:, :LATENCIES] = 0
    Y[::10, :LATENCIES] = 5
    Y[7, 12] = 1e9
    limits = limits_of(Y, folds(), CLIP, SENSORS)
    assert (limits.n_cut[:, :LATENCIES] == 0).all() and (limits.n_cut[:, 12] == 1).all()


def artefacts() -> tuple[list[np.ndarray], np.ndarray]:
    X, Y = data()
    rng = np.random.default_rng(5)
    Y[rng.integers(0, N, 9), rng.integers(0, Y.shape[1] - LATENCIES, 9)] += 3e5
    return [X, X[:, :2]], Y


def test_scores_are_those_of_a_fit_of_each_fold_with_the_values_cut_beforehand():
    layers, Y = artefacts()
    outer, pools = folds(), np.stack([np.ones(Y.shape[1], bool), np.arange(Y.shape[1]) < 7])
    limits = limits_of(Y, outer, CLIP, SENSORS)
    found = fitted(layers, Y, limits, outer, pools=pools)
    for k, fold in enumerate(outer):
        cut = np.clip(Y, limits.low[k], limits.high[k])
        np.testing.assert_array_equal(within(Y, limits, k), cut)
        inner = [(np.setdiff1d(fold[0], part), part) for part in np.array_split(fold[0], 3)]
        for layer, one in zip(layers, found, strict=True):
            alone = ridge.cross_validate(layer, cut, folds=[fold], inner=[inner], alphas=ALPHAS, pools=pools)
            for name in BY_TARGET:
                np.testing.assert_array_equal(getattr(one, name)[k], getattr(alone, name)[0])
            np.testing.assert_array_equal(one.agreement[:, fold[1]], alone.agreement[:, fold[1]])


def test_a_cut_artefact_in_training_no_longer_is_the_whole_fit():
    X, clean = data()
    Y = clean.copy()
    Y[7, 3] = 1e6
    told, limits = fitted([X], clean, None, folds())[0].r[:, 3], limits_of(Y, folds(), CLIP, SENSORS)
    spoilt, cut = (fitted([X], Y, limit, folds())[0].r[:, 3] for limit in (None, limits))
    assert np.abs(cut - told)[1:].max() < 0.05 < 0.1 < np.abs(spoilt - told)[1:].min()
    assert abs(cut[0] - told[0]) < abs(spoilt[0] - told[0])  # where it is tested


def test_mean_agreement_over_a_folds_rows_is_the_mean_r_of_the_pool():
    (X, _), Y = artefacts()
    pools = np.ones((1, Y.shape[1]), bool)
    (found,) = fitted([X], Y, limits_of(Y, folds(), CLIP, SENSORS), folds(), pools=pools)
    for k, (_, test) in enumerate(folds()):
        assert found.agreement[0, test].mean() == pytest.approx(found.r[k].mean(), abs=1e-6)


def test_responses_stay_as_they_are_and_have_no_second_copy():
    rng = np.random.default_rng(0)
    Y = rng.normal(size=(600, 24_000)).astype(np.float32)  # 58 MB
    Y[rng.integers(0, 600, 500), rng.integers(0, Y.shape[1], 500)] = 1e4
    Y.flags.writeable = False
    outer = [(np.arange(300), np.arange(300, 600)), (np.arange(300, 600), np.arange(300))]
    tracemalloc.start()
    limits = limits_of(Y, outer, 20.0)
    fits = clipping.each_layer(
        [rng.normal(size=(600, 3))], Y, limits, folds=outer, alphas=[1.0],
        inner=[[(train[:150], train[150:])] for train, _ in outer],
    )  # fmt: skip
    assert np.isfinite(next(fits).r).all() and limits.n_cut.sum() >= 900
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 0.75 * Y.nbytes  # 44 MB


def study() -> tuple[dict[str, xr.Dataset], dict[str, xr.Dataset]]:
    """Three continuous runs of two channels, one of which jumps."""
    rng = np.random.default_rng(1)
    recordings, activations = {}, {}
    sensors = Sensors(("a", "b"), ("eeg", "eeg"), np.zeros((2, 12)))
    for run in "xyz":
        Y, times = rng.normal(size=(300, 2)).astype(np.float32), np.arange(300) / 50
        ds = xr.Dataset({"responses": (("sample", "target"), Y)}, {"time": ("sample", times), "target": ["a", "b"]})
        recordings[run] = placed(ds.assign_attrs(tr_s=0.02), sensors)
        features = (("word", "layer", "feature"), rng.normal(size=(40, 1, 2)).astype(np.float32))
        coords = {"onset": ("word", np.sort(rng.uniform(0, 5.9, 40))), "layer": [0]}
        activations[run] = xr.Dataset({"activations": features}, coords, {"sampled": "event", "private": 0})
    recordings["x"]["responses"].values[100:103, 1] = 500.0
    return recordings, activations


def test_a_study_counts_what_it_cut_and_one_that_cuts_nothing_counts_nothing():
    recordings, activations = study()
    settings = Encoding(alphas=(1.0, 1e3, 4), inner_folds=2)

    def scores(clip):
        meg = Meg(form="continuous", window=(0.0, 0.1), sfreq=50, h_freq=20, clip=clip)
        return encode(meg, activations, recordings, dict.fromkeys("xyz", ""), None, settings)

    cut, plain = scores(20.0), scores(None)
    assert cut["clipped"].dims == ("fold", "target") and cut["clipped"].values.tolist() == [[0, 3]] * 3
    assert "clipped" not in plain
    np.testing.assert_array_equal(cut["r"].values[..., 0], plain["r"].values[..., 0])
    assert (cut["r"].values[..., 1] != plain["r"].values[..., 1]).all()
