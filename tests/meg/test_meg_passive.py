"""The passive target, and the time course of the continuous form, on words and responses made for it."""

import numpy as np
import pytest
import xarray as xr
from courses_lab import sensors

from pipeline import timecourse
from pipeline.comparison import Comparison
from pipeline.encoding import Encoding, encode, folds_of, gather
from pipeline.recordings import RECORDINGS
from pipeline.sensors import placed
from pipeline.timecourse import delays, passive

RUNS, WORDS, GAP_S = ("a", "b", "c", "d"), 250, 0.4
LATENCIES = tuple(np.round(np.arange(-10, 21) * 0.05, 3).tolist())  # s
EPOCHS = RECORDINGS["meg"](window=(-0.5, 1.0), sfreq=20.0, h_freq=8.0)
BESIDE = RECORDINGS["meg"](form="continuous", window=(0.0, 0.4), sfreq=20.0, h_freq=8.0)
SETTINGS = Encoding(alphas=(1.0, 1e4, 5), gap_s=2.0)
SPLIT = dict.fromkeys(RUNS, "")


def onsets() -> np.ndarray:
    return 1.0 + GAP_S * np.arange(WORDS)


def features(kind: str, n: int = 3, seed: int = 0) -> dict[str, np.ndarray]:
    """White from word to word, or a chain in which each word resembles the one before it."""
    found = {}
    for i, run in enumerate(RUNS):
        white, chain = np.random.default_rng([seed, i]).normal(size=(WORDS, n)), np.zeros((WORDS, n))
        for k in range(1, WORDS):
            chain[k] = 0.9 * chain[k - 1] + white[k]
        found[run] = white if kind == "white" else chain
    return found


def activations(
    of: dict[str, np.ndarray], at_s: np.ndarray | None = None, sampled: str = "event"
) -> dict[str, xr.Dataset]:
    found = {}
    for run, values in of.items():
        ds = xr.Dataset({"activations": (("word", "layer", "feature"), values[:, None])}, coords={"layer": [0]})
        ds = ds.assign_coords(onset=("word", onsets() if at_s is None else at_s))
        found[run] = ds.assign_attrs(sampled=sampled, private=0)
    return found


def epochs(of: dict[str, np.ndarray], seed: int = 5) -> dict[str, xr.Dataset]:
    """Two channels that follow the first feature 0.25 s after word onset; noise everywhere."""
    where, found = sensors(2, latencies=LATENCIES), {}
    for i, run in enumerate(RUNS):
        Y = np.random.default_rng([seed, i]).normal(size=(WORDS, 2, len(LATENCIES)))
        Y[:, :, LATENCIES.index(0.25)] += 2 * of[run][:, :1] / of[run][:, 0].std()
        ds = xr.Dataset({"responses": (("sample", "target"), Y.reshape(WORDS, -1).astype(np.float32))})
        ds = ds.assign_coords(time=("sample", onsets()), target=list(where.targets))
        ds = ds.assign_attrs(tr_s=0.05, word_start_s=-0.5, word_end_s=1.0, subject="01")
        found[run] = placed(ds, where)
    return found


def listened(kind: str, **changes) -> passive.Heard:
    of = features(kind)
    recordings = changes.get("recordings") or epochs(of)
    target = changes.get("target") or activations(of)
    scores = encode(EPOCHS, activations(of), epochs(of), SPLIT, None, SETTINGS)
    return passive.encoded(EPOCHS, ("net", activations(of)), ("same", target), recordings, SPLIT, scores, SETTINGS)


def samples(of: dict[str, np.ndarray]):
    return gather(epochs(of), SPLIT, (0.0, 0.0))


def test_white_features_tell_nothing_before_onset_and_everything_while_the_word_is_heard():
    found, before = listened("white"), np.array(LATENCIES) < 0
    r = found.r.mean(axis=0)
    assert np.abs(r[before]).max() < 0.08
    assert r[LATENCIES.index(0.0)] > 0.99 and r[LATENCIES.index(0.35)] > 0.99  # until the next word begins
    assert np.abs(r[LATENCIES.index(0.45)]) < 0.08


def test_features_that_neighbours_share_are_found_before_onset_where_nothing_foresees():
    r = listened("chain").r.mean(axis=0)
    assert r[LATENCIES.index(-0.05)] > 0.7 and r[LATENCIES.index(-0.5)] > 0.5
    assert r[LATENCIES.index(-0.05)] > r[LATENCIES.index(-0.5)]  # two words earlier


@pytest.mark.parametrize("kind", ["white", "chain"])
def test_the_brain_of_the_same_words_stands_beside_it(kind):
    found = listened(kind)
    peak = LATENCIES.index(0.25)
    assert found.brain_r[peak] > 0.6 and np.abs(np.delete(found.brain_r, peak)).max() < 0.15
    table = passive.table([found], "01", "meg", Comparison(permutations=100))
    assert list(table.columns) == timecourse.PASSIVE_COLUMNS and np.allclose(table["latency"], LATENCIES)
    assert (table["r_low"] <= table["r"]).all() and (table["r"] <= table["r_high"]).all()


def test_no_response_is_read():
    of = features("white")
    silent = {run: ds.assign(responses=ds["responses"] * np.nan) for run, ds in epochs(of).items()}
    assert np.array_equal(listened("white", recordings=silent).r, listened("white").r)


def test_what_is_heard_is_held_to_the_next_word_and_zero_outside():
    of = features("white", n=2)
    Y = passive.heard(activations(of), samples(of), np.array([-1.5, -0.05, 0.0, 0.39, 0.4, 1.5]), np.arange(WORDS))
    own, previous, following = Y[1:-1, :, 2], Y[:-2, :, 2], Y[2:, :, 2]
    inside = np.arange(1, WORDS - 1)
    assert np.array_equal(Y[inside, :, 3], own[inside - 1])
    assert np.array_equal(Y[inside, :, 1], previous[inside - 1])
    assert np.array_equal(Y[inside, :, 4], following[inside - 1])
    assert (Y[0, :, [0, 1]] == 0).all() and (Y[WORDS - 1, :, [4, 5]] == 0).all()


def test_a_signal_is_read_between_its_moments():
    at_s = np.arange(0, 110, 0.5)
    ramp = activations({run: at_s[:, None] for run in RUNS}, at_s, sampled="signal")
    Y = passive.heard(ramp, samples(features("white")), np.array([-0.25, 0.0, 0.3]), np.arange(WORDS))
    assert np.abs(np.diff(Y[:, 0], axis=1)) == pytest.approx(np.tile([0.25, 0.3], (len(Y), 1)))


def test_components_are_those_of_the_training_words():
    of, train = features("white", n=15), np.arange(2 * WORDS)
    other = of | {"d": 50 * features("white", n=15, seed=9)["d"]}
    one, two = (passive.heard(activations(f), samples(of), np.zeros(1), train) for f in (of, other))
    assert one.shape == (4 * WORDS, passive.MOST_COMPONENTS, 1)
    assert np.array_equal(one[train], two[train]) and not np.allclose(one, two)
    values = np.concatenate([of["a"], of["b"]])
    size = np.linalg.svd(values - values.mean(axis=0), compute_uv=False)
    assert np.linalg.norm(one[train, :, 0], axis=0) == pytest.approx(size[: passive.MOST_COMPONENTS])


def test_the_folds_are_those_of_the_brain():
    of = features("white")
    without = passive._without_responses(epochs(of), SPLIT, SETTINGS)
    for own, brains in zip(folds_of(without, SETTINGS)[0], folds_of(samples(of), SETTINGS)[0], strict=True):
        assert np.array_equal(own[0], brains[0]) and np.array_equal(own[1], brains[1])


def beside(of: dict[str, np.ndarray], late_s: float) -> dict[str, xr.Dataset]:
    """Two channels at 20 Hz that answer the first feature of each word once, `late_s` after its onset."""
    where, found, n = sensors(2, latencies=()), {}, 2080
    for i, run in enumerate(RUNS):
        Y = np.random.default_rng([3, i]).normal(size=(n, 2))
        Y[np.round((onsets() + late_s) * 20).astype(int)] += 4 * of[run][:, :1]
        ds = xr.Dataset({"responses": (("sample", "target"), Y.astype(np.float32))})
        ds = ds.assign_coords(time=("sample", np.arange(n) / 20), target=list(where.targets))
        found[run] = placed(ds.assign_attrs(tr_s=0.05, subject="01"), where)
    return found


def continuous(late_s: float, weights: str = "trained") -> timecourse.Person:
    of = features("white", n=2)
    found, recordings = activations(of), beside(of, late_s)
    scores = encode(BESIDE, found, recordings, SPLIT, None, SETTINGS)
    top = xr.Dataset({"repeats": ("target", [0.9, 0.8]), "repeats_valid": ("target", [1, 1])})
    return delays.person(
        "01", "eeg", BESIDE, {"net": found}, recordings, SPLIT, {"net": scores}, {"net": weights}, top, SETTINGS
    )


def test_the_continuous_form_has_its_course_over_single_delays():
    whose = continuous(0.2)
    assert np.allclose(whose.latencies_s, np.arange(9) * 0.05)
    peaks = timecourse.peaks(whose, Comparison(permutations=100))
    assert peaks["peak_s"].to_numpy() == pytest.approx(0.2, abs=0.01)
    table = timecourse.latencies(whose, Comparison(permutations=100))
    assert set(table["layer"]) == {"nested"} and table["ceiling"].to_numpy() == pytest.approx(0.85, abs=1e-6)
    elsewhere = table[np.abs(table["latency"] - 0.2) > 0.06]
    assert elsewhere["r"].abs().max() < 0.1 < table["r"].max()


def test_a_state_has_no_delay_and_no_course():
    of = features("white", n=2)
    recordings = beside(of, 0.1)
    found = {"net": activations(of), "place": activations(of, sampled="state")}
    scores = {model: encode(BESIDE, one, recordings, SPLIT, None, SETTINGS) for model, one in found.items()}
    whose = delays.person(
        "01", "eeg", BESIDE, found, recordings, SPLIT, scores, {"net": "trained", "place": ""}, xr.Dataset(), SETTINGS
    )
    assert list(whose.courses) == list(whose.weights) == ["net"] and np.isnan(whose.ceiling).all()


def test_many_delays_are_thinned_evenly():
    assert delays.thinned(tuple(range(-50, 101))) == tuple(range(-50, 101, 2))
    assert delays.thinned(tuple(range(36))) == tuple(range(36))
