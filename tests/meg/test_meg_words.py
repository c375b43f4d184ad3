"""Words as samples: what trains never shares a part of the recording with what is tested."""

import numpy as np
import pytest
import xarray as xr
from hypothesis import given
from hypothesis import strategies as st
from scipy.signal import lfilter

from pipeline import splits
from pipeline.config import component
from pipeline.encoding import Encoding, encode, folds_of
from pipeline.recordings.meg import Meg
from pipeline.samples import ALL, gather, regions
from pipeline.sensors import Sensors, by_latency, info_of, placed, sensors_of

WINDOW, LATENCIES = (-0.2, 0.6), np.arange(-2, 7) / 10
KINDS = ("mag", "mag", "grad")


def sensors(n: int = 3) -> Sensors:
    return Sensors(tuple(f"C{i}" for i in range(n)), KINDS[:n], np.ones((n, 12)), tuple(LATENCIES))


def recordings(n_runs: int = 2, n: int = 200, seed: int = 0, signal: float = 1.0):
    """Words about every 250 ms whose first feature drives channel 0 at 400 ms; the epochs of neighbours overlap."""
    rng, found, features = np.random.default_rng(seed), {}, {}
    for r in range(n_runs):
        onsets = np.cumsum(rng.uniform(0.15, 0.35, n)) + 1
        values = rng.normal(size=(n, 4))
        noise = np.convolve(rng.normal(size=int(onsets[-1] * 10) + 40), np.ones(8) / np.sqrt(8), "same")
        at = np.round(onsets * 10).astype(int)
        Y = np.zeros((n, 3, len(LATENCIES)))
        for i in range(3):
            Y[:, i] = np.roll(noise, i)[at[:, None] + np.arange(-2, 7)]
        Y[:, 0, 6] += signal * values[:, 0]
        ds = xr.Dataset({"responses": (("sample", "target"), Y.reshape(n, -1).astype("f4"))})
        ds = ds.assign_coords(time=("sample", onsets), target=list(sensors().targets))
        about = {"tr_s": 0.1, "word_start_s": WINDOW[0], "word_end_s": WINDOW[1]}
        found[f"r{r}"] = placed(ds.assign_attrs(about), sensors())
        features[f"r{r}"] = xr.Dataset(
            {"activations": (("word", "layer", "feature"), values[:, None].astype("f4"))},
            {"onset": ("word", onsets), "layer": [0]}, {"sampled": "event", "private": 0},
        )  # fmt: skip
    return found, features


def settings(**changes) -> Encoding:
    return Encoding(
        **{"alphas": (1, 1e4, 5), "split": "contiguous", "folds": 4, "gap_s": 0, "inner_folds": 3} | changes
    )


@given(st.integers(0, 1000), st.floats(0.1, 5))
def test_nothing_that_trains_lies_closer_to_a_tested_word_than_the_gap(seed, gap_s):
    rng = np.random.default_rng(seed)
    run = np.repeat(["a", "b"], 40)
    time = np.concatenate([np.sort(rng.uniform(0, 20, 40)) for _ in "ab"])
    for (train, test), (before, _) in zip(
        splits.purged(splits.contiguous(80, folds=4), run, time, gap_s), splits.contiguous(80, folds=4), strict=True
    ):
        apart = np.abs(time[before][:, None] - time[test]) >= gap_s
        other = run[before][:, None] != run[test]
        assert np.array_equal(train, before[(apart | other).all(axis=1)])


def test_every_fold_is_purged_by_at_least_an_epoch_and_inner_folds_too():
    found, _ = recordings()
    samples = gather(found, dict.fromkeys(found, ""), (0.0, 0.0))
    assert samples.word_s == pytest.approx(0.8)
    outer, inner = folds_of(samples, settings())
    for pairs in (outer, *inner):
        for train, test in pairs:
            same = samples.run[train][:, None] == samples.run[test]
            distance = np.abs(samples.time_s[train][:, None] - samples.time_s[test])
            assert distance[same].min() >= 0.8
    wider, _ = folds_of(samples, settings(gap_s=3))
    assert sum(len(train) for train, _ in wider) < sum(len(train) for train, _ in outer)


def test_runs_that_are_left_out_whole_lose_no_word():
    found, _ = recordings()
    samples = gather(found, dict.fromkeys(found, ""), (0.0, 0.0))
    outer, _ = folds_of(samples, settings(split="leave_one_run_out"))
    assert [len(train) + len(test) for train, test in outer] == [400, 400]


def test_a_gap_that_leaves_no_words_is_refused():
    found, _ = recordings(n_runs=1)
    with pytest.raises(ValueError, match="leave no words to train on"):
        folds_of(gather(found, {"r0": ""}, (0.0, 0.0)), settings(gap_s=1000))


def test_trimming_words_is_in_seconds_of_their_onsets():
    found, _ = recordings(n_runs=1)
    time = found["r0"]["time"].values
    samples = gather(found, {"r0": ""}, (5.0, 10.0))
    assert np.array_equal(samples.time_s, time[(time >= time[0] + 5) & (time <= time[-1] - 10)])


def test_the_planted_channel_and_latency_are_found_and_nothing_else():
    found, features = recordings()
    scores = encode(Meg(window=WINDOW, sfreq=10, h_freq=4), features, found, dict.fromkeys(found, ""), None, settings())
    r = by_latency(scores["r"].mean(("layer", "fold")).values, sensors_of(scores))
    assert np.unravel_index(r.argmax(), r.shape) == (0, 6) and r[0, 6] > 0.5
    r[0, 6] = 0
    assert np.abs(r).max() < 0.25
    assert list(scores["roi"].values) == ["all", "preonset", "postonset", "mag", "grad"]


def smooth(rng: np.random.Generator, n: int, columns: int) -> np.ndarray:
    """Noise that lasts about twenty words."""
    return lfilter([1], [1, -0.95], rng.normal(size=(n + 200, columns)), axis=0)[200:]


def test_shuffled_words_leak_and_purged_blocks_do_not():
    """Features and responses are smooth and know nothing of each other: neighbours tell a shuffled fold what is tested."""
    leaky, honest = [], []
    for seed in range(5):
        found, features = recordings(n=400, signal=0.0, seed=seed)
        for k, run in enumerate(found):
            rng = np.random.default_rng([seed, k])
            values = smooth(rng, 400, 40)[:, None].astype("f4")
            slow = (smooth(rng, 400, 1) * np.ones(27)).astype("f4")
            of = features[run].drop_vars("activations").assign(activations=(("word", "layer", "feature"), values))
            features[run] = of.assign_attrs(features[run].attrs)
            found[run] = found[run].assign(responses=found[run]["responses"] + slow).assign_attrs(found[run].attrs)
        meg, split = Meg(window=WINDOW, sfreq=10, h_freq=4), dict.fromkeys(found, "")
        for scores, ask in ((leaky, {"split": "shuffled", "allow_leaky": True}), (honest, {"gap_s": 20})):
            scores.append(float(encode(meg, features, found, split, None, settings(**ask))["r"].mean()))
    assert min(leaky) > 0.3
    assert abs(np.mean(honest)) < 0.1


def test_features_of_earlier_words_stand_beside_each_words_own():
    meg, onsets = Meg(previous_words=1), np.array([1.0, 2.0, 3.5, 4.0])
    X = meg.design(np.arange(4.0)[:, None], onsets, onsets)
    z = (np.arange(4) - 1.5) / np.arange(4).std()
    assert np.allclose(X, np.column_stack([z, [0, *z[:-1]]]))


def test_an_event_model_has_rows_of_zeros_for_words_without_an_event():
    X = Meg().design(np.array([[1.0], [2.0]]), np.array([2.0, 3.0]), np.array([1.0, 2.0, 3.0, 4.0]))
    raw = np.array([0, 1, 2, 0.0])
    assert np.allclose(X[:, 0], (raw - raw.mean()) / raw.std())


def test_a_signal_is_read_every_50_ms_after_the_word_and_a_state_at_its_onset():
    times, onsets = np.arange(0, 10, 0.01), np.arange(1.0, 8.0, 0.5)
    loud = np.sin(times)[:, None]
    read = Meg(window=(-0.1, 0.2)).design(loud, times, onsets, "signal")
    expected = np.column_stack([np.sin(onsets + lag) for lag in (0, 0.05, 0.1, 0.15)])
    assert np.allclose(read, (expected - expected.mean(0)) / expected.std(0), atol=1e-3)
    assert Meg().design(loud, times, onsets, "state").shape == (14, 1)


def test_the_continuous_form_delays_by_the_window():
    meg = Meg(form="continuous", window=(0, 0.3), sfreq=10, h_freq=4, l_freq=None)
    assert meg.delays == (0, 1, 2, 3)
    times = np.arange(0, 5, 0.1)
    X = meg.design(np.ones((1, 1)), np.array([1.0]), times)
    assert [int(column.argmax()) for column in X.T] == [10, 11, 12, 13]


@pytest.mark.parametrize(
    ("told", "found"),
    [
        ({"window": (0.5, 0.1)}, "must end after"), ({"window": (0.1, 0.5)}, "must hold word onset"),
        ({"h_freq": 80.0, "sfreq": 100.0}, "sfreq: 200"), ({"l_freq": 40.0, "h_freq": 30.0}, "must lie below"),
        ({"align": "triggers"}, "needs `trigger`"), ({"form": "continuous", "previous_words": 1}, "previous_words is for epochs"),
        ({"form": "continuous", "reject": {"mag": 1e-12}}, "are for epochs"),
    ],
)  # fmt: skip
def test_settings_that_contradict_each_other_are_refused(told, found):
    with pytest.raises(ValueError, match=found):
        Meg(**told)


def test_what_travels_to_the_fit_lays_the_same_design():
    meg = Meg(form="continuous", window=(0, 0.3), sfreq=10, h_freq=4, l_freq=None)
    again = component("recording", meg.for_design())
    assert (again.form, again.delays, again.sfreq) == (meg.form, meg.delays, meg.sfreq)


def test_sensors_come_back_from_the_file_and_regions_follow_them():
    ds = xr.Dataset({"x": ("target", np.arange(27))})
    back = sensors_of(placed(ds, sensors()))
    assert back.names == ("C0", "C1", "C2") and back.kinds == KINDS and back.latencies_s == tuple(LATENCIES)
    names, member = regions(sensors().targets, None, sensors())
    of = dict(zip(names, member, strict=True))
    assert of[ALL].all() and of["preonset"].sum() == 6 and of["postonset"].sum() == 21
    assert np.array_equal(of["grad"], np.arange(27) >= 18)
    assert list(info_of(sensors(), "mag").ch_names) == ["C0", "C1"]
    import pandas as pd

    names, member = regions(
        sensors().targets, pd.DataFrame({"target": ["C1", "C2@+100ms"], "roi": ["here", "here"]}), sensors()
    )
    assert np.flatnonzero(dict(zip(names, member, strict=True))["here"]).tolist() == [*range(9, 18), 18 + 3]
