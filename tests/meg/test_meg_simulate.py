"""Simulated MEG shows what its truth says, by MNE's own reading, averaging and filtering."""

import hashlib
from functools import cache
from pathlib import Path

import mne
import numpy as np
import pandas as pd
import pytest

from pipeline.datasets import simulate_meg, simulate_sensors
from pipeline.datasets.simulate import simulate
from pipeline.datasets.simulate_meg import LATENCY_S, Listeners, Scanner
from pipeline.datasets.simulate_stories import tell
from pipeline.datasets.synthetic import Synthetic

STORY_S = 150.0
SCANNER = Scanner(every=4, dropped=3, drift_ppm=200.0, flat=("MEG 0111",), noisy=("MEG 0311",))
PLAN = Listeners(("01",), stories=2, test_repeats=2, scanner=SCANNER)
RECORD = {"stage": "simulate", "settings": {}, "inputs": {}}


@cache
def stories() -> dict[str, simulate_meg.Spoken]:
    return {f"s{i}": simulate_meg.spoken(tell(f"s{i}", story_s=STORY_S, seed=5), STORY_S) for i in range(3)}


def listen(folder: Path, subject: str = "01", seed: int = 5) -> pd.DataFrame:
    rows = simulate_meg.presentations(subject, {run: f"words/{run}.tsv" for run in stories()}, PLAN)
    return simulate_meg.listen(folder, rows, stories(), SCANNER, seed, RECORD)


@pytest.fixture(scope="module")
def heard(tmp_path_factory) -> tuple[Path, pd.DataFrame]:
    folder = tmp_path_factory.mktemp("heard")
    return folder, listen(folder)


def opened(folder: Path, name: str) -> mne.io.BaseRaw:
    return mne.io.read_raw_fif(folder / "sub-01" / f"{name}_meg.fif", preload=True, verbose="ERROR")


def hashes(folder: Path) -> dict[str, str]:
    return {p.name: hashlib.sha256(p.read_bytes()).hexdigest() for p in folder.rglob("*.fif")}


def onsets_in_file(run: str) -> np.ndarray:
    return (SCANNER.lead_s + stories()[run].words["onset"].to_numpy()) * (1 + 1e-6 * SCANNER.drift_ppm)


def epochs(raw: mne.io.BaseRaw, run: str) -> mne.Epochs:
    """Around every word, in fT; the band is the one for which the truth holds."""
    raw = raw.copy().pick("mag").filter(*SCANNER.band_hz, verbose="ERROR")
    samples = np.round(onsets_in_file(run) * raw.info["sfreq"]).astype(int) + raw.first_samp
    events = np.column_stack([samples, np.zeros_like(samples), np.ones_like(samples)])
    return mne.Epochs(raw, events, tmin=-0.1, tmax=0.6, baseline=None, preload=True, verbose="ERROR")


@pytest.fixture(scope="module")
def slopes(heard) -> dict[str, mne.EvokedArray]:
    """MNE's regression of the epochs of all training stories on how strongly each word is answered."""
    one = [epochs(opened(heard[0], run), run) for run in ("s0", "s1")]
    sizes = np.concatenate([stories()[run].sizes[e.selection] for run, e in zip(("s0", "s1"), one, strict=True)])
    design = np.column_stack([np.ones(len(sizes)), sizes - sizes.mean(axis=0)])
    together = mne.concatenate_epochs(one, verbose="ERROR")
    fits = mne.stats.linear_regression(together, design, names=["mean", *LATENCY_S])
    return {name: fits[name].beta for name in LATENCY_S}


def of(truth: pd.DataFrame, response: str) -> pd.DataFrame:
    return truth[truth["response"] == response].set_index("channel")


@pytest.mark.parametrize("response", LATENCY_S)
def test_an_answer_is_largest_at_its_latency(slopes, response):
    strength = np.linalg.norm(slopes[response].data, axis=0)
    peak = slopes[response].times[strength.argmax()]
    assert peak == pytest.approx(LATENCY_S[response], abs=0.0101)  # two samples: there is noise


@pytest.mark.parametrize("response", LATENCY_S)
def test_the_topography_is_the_planted_one_in_shape_and_size(heard, slopes, response):
    good = [c for c in slopes[response].ch_names if c not in SCANNER.flat + SCANNER.noisy]
    evoked = slopes[response].copy().pick(good)
    found = evoked.data[:, evoked.time_as_index(LATENCY_S[response], use_rounding=True)[0]] * 1e15
    mean_size = stories()["s2"].sizes[:, list(LATENCY_S).index(response)].mean()
    planted = of(heard[1], response)["topography"][good].to_numpy() / mean_size
    assert np.corrcoef(found, planted)[0, 1] > 0.98
    # the band takes a part of an answer that lasts 80 ms
    assert found @ planted / (planted @ planted) == pytest.approx(1.0, abs=0.15)


def test_the_two_topographies_are_different(heard):
    rate, meaning = (of(heard[1], response)["topography"] for response in LATENCY_S)
    assert abs(np.corrcoef(rate, meaning)[0, 1]) < 0.3


def test_the_share_of_signal_is_what_two_presentations_have_in_common(heard):
    first, second = (epochs(opened(heard[0], f"s2_repeat-{k}"), "s2") for k in (1, 2))
    for response, latency in LATENCY_S.items():
        truth = of(heard[1], response)
        best = truth["signal_share"].idxmax()
        at = first.time_as_index(latency, use_rounding=True)[0]
        x, y = (e.get_data(picks=[best])[:, 0, at] for e in (first, second))
        # an interval of three standard errors around what 350 words give
        assert np.corrcoef(x, y)[0, 1] == pytest.approx(truth["signal_share"][best], abs=3 / np.sqrt(len(x)))
        assert truth["signal_share"][best] > SCANNER.signal_share - 0.02


def test_ceilings_follow_from_shares_and_spoilt_channels_have_none(heard):
    p = heard[1]["signal_share"]
    assert np.allclose(heard[1]["ceiling_r"], np.sqrt(2 * p / (1 + p)), equal_nan=True)
    without = set(heard[1]["channel"][p.isna()])
    assert without == {*SCANNER.flat, *SCANNER.noisy}


def test_the_variance_of_filtered_noise_is_the_predicted_one():
    noise = simulate_sensors.Noise()
    info = simulate_sensors.helmet(("mag", "grad"), 12, 200.0)
    brain = simulate_sensors.sources(info, noise.sources, np.random.default_rng(0))
    drawn = simulate_sensors.noises(np.random.default_rng(1), info, brain, noise._replace(line_t=0.0), 60_000)
    found = mne.filter.filter_data(drawn, 200.0, 0.5, 30.0, verbose="ERROR").var(axis=1)
    ratio = found / simulate_sensors.variance(info, brain, noise, 60_000, (0.5, 30.0))
    # waves of some seconds are few in five minutes
    assert ratio == pytest.approx(1, abs=0.1) and ratio.mean() == pytest.approx(1, abs=0.02)


def test_a_sphere_hides_radial_currents():
    info = simulate_sensors.helmet(("mag",), 6, 200.0)
    place = np.array([0.03, 0.02, 0.05])
    radial, tangential = (
        np.abs(simulate_sensors.shown(info, place, v)).max() for v in (place, np.array([0.0, 5.0, -2.0]))
    )
    assert radial < 1e-6 * tangential


def test_every_word_has_a_trigger_but_for_those_dropped(heard):
    raw = opened(heard[0], "s0")
    events = mne.find_events(raw, simulate_meg.TRIGGER, verbose="ERROR")
    found, expected = (events[:, 0] - raw.first_samp) / raw.info["sfreq"], onsets_in_file("s0")
    assert len(found) == len(expected) - SCANNER.dropped and set(events[:, 2]) == {simulate_meg.CODE}
    nearest = np.abs(found[:, None] - expected).min(axis=1)
    assert nearest.max() <= 0.5 / SCANNER.sfreq + 1e-9


def test_a_fast_clock_counts_more_seconds_than_the_words(heard):
    raw = opened(heard[0], "s0")
    found = (mne.find_events(raw, simulate_meg.TRIGGER, verbose="ERROR")[:, 0] - raw.first_samp) / raw.info["sfreq"]
    words = SCANNER.lead_s + stories()["s0"].words["onset"].to_numpy()
    matched = words[np.abs(found[:, None] - words * (1 + 2e-4)).argmin(axis=1)]
    assert np.polyfit(matched, found, 1)[0] - 1 == pytest.approx(2e-4, abs=2e-5)


def test_flat_and_noisy_channels_are_so(heard):
    raw = opened(heard[0], "s1")
    sd = dict(zip(raw.ch_names, raw.get_data().std(axis=1), strict=True))
    magnetometers = [sd[name] for name in raw.copy().pick("mag").ch_names]
    assert sd["MEG 0111"] == 0 and sd["MEG 0311"] > 5 * np.median(magnetometers)


def test_the_mains_are_seen_at_their_frequency(heard):
    spectrum = opened(heard[0], "s0").compute_psd(picks="mag", fmin=40, fmax=60, verbose="ERROR")
    power, hz = np.median(spectrum.get_data(), axis=0), spectrum.freqs
    assert hz[power.argmax()] == pytest.approx(50, abs=0.2) and power.max() > 10 * np.median(power)


def test_a_raw_file_is_one_as_scanners_write_it(heard):
    raw = opened(heard[0], "s2_repeat-1")
    assert raw.orig_format == "single" and raw.first_samp > 0 and raw.info["line_freq"] == 50
    assert len(raw.info["dig"]) > 3 and raw.get_channel_types(unique=True) == ["mag", "stim"]
    assert raw.times[-1] == pytest.approx(STORY_S + 2 * SCANNER.lead_s, abs=0.01)


def test_the_same_seed_writes_the_same_bytes_on_every_computer(heard, tmp_path, monkeypatch):
    monkeypatch.setattr("uuid.getnode", lambda: 123_456_789)
    assert listen(tmp_path).equals(heard[1])
    assert hashes(tmp_path) == hashes(heard[0]) and len(hashes(tmp_path)) == 4


def test_another_seed_or_listener_has_other_noise(heard, tmp_path):
    listen(tmp_path / "seed", seed=6)
    listen(tmp_path / "listener", subject="02")
    for folder in ("seed", "listener"):
        other = hashes(tmp_path / folder)
        assert len(other) == 4 and all(other[name] != old for name, old in hashes(heard[0]).items())


def test_what_tires_answers_the_second_of_two_close_words_less():
    rate, onset = stories()["s0"].sizes[:, 0], stories()["s0"].words["onset"].to_numpy()
    gap = np.diff(onset)
    assert np.all(np.diff(rate[1:][np.argsort(gap)]) >= 0) and rate.max() <= 1
    assert rate[1:] == pytest.approx(1 - np.exp(-gap / 0.5))


def test_words_are_answered_by_their_meaning_in_a_way_that_neighbours_do_not_share():
    """Otherwise the answers to the words around would tell of a word as well, and no latency could be read off."""
    meaning = np.concatenate([story.sizes[:, 1] for story in stories().values()])
    assert meaning.min() == 0 and meaning.std() > 0.5 * meaning.mean()
    assert abs(np.corrcoef(meaning[1:], meaning[:-1])[0, 1]) < 0.15


@pytest.fixture(scope="module")
def both(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("both")
    simulate(folder, meg=Listeners(("01", "03"), 1, 2, Scanner(every=10)), **SMALL)
    return folder


SMALL = {
    "subjects": ("01",), "stories": 2, "story_s": 60.0, "test_repeats": 2, "seed": 1,
    "voxels_per_roi": {"topic": 4, "syntax": 4, "wordrate": 4, "noise": 4},
}  # fmt: skip


def test_listeners_in_the_meg_scanner_change_no_file_of_the_others(both, tmp_path):
    simulate(tmp_path, **SMALL)
    alone, with_meg = (
        {p.relative_to(f): p.read_bytes() for p in f.rglob("*.*") if p.is_file()} for f in (tmp_path, both)
    )
    same = [name for name in alone if name.name != "runs.tsv" and ".records" not in name.parts]
    assert len(same) > 10 and all(alone[name] == with_meg[name] for name in same)


def test_the_table_of_runs_names_the_files_of_both_scanners(both):
    runs = pd.read_csv(both / "runs.tsv", sep="\t", dtype=str, keep_default_na=False)
    meg = runs[runs["recording"] == "meg"]
    assert list(meg["subject"]) == ["01"] * 3 + ["03"] * 3 and set(meg["run"]) == {"story1", "story3"}
    assert set(meg["start_s"].astype(float)) == {-1.0} and set(runs["start_s"][runs["recording"] == "fmri"]) == {"n/a"}
    assert all((both / name).is_file() for name in [*runs["responses"], *runs["words"]])


def test_the_data_set_knows_its_files_before_they_are_there(both):
    dataset = Synthetic(
        people=("01",), stories=2, story_s=60.0, test_repeats=2, meg_people=("01", "03"), meg_stories=1, meg_every=10
    )
    named = {p.relative_to(both / "simulated").as_posix() for p in dataset.recording_files(both)}
    written = {p.relative_to(both).as_posix() for p in both.rglob("*.*") if p.is_file() and ".records" not in p.parts}
    assert named == written
    runs = {(run.subject, run.recording, run.run): run for run in dataset.runs(both)}
    assert len(runs) == 3 + 2 + 2
    test = runs["03", "meg", "story3"]
    assert len(test.responses) == 2 and test.start_s == -1.0 and test.tr_s is None and not test.mask


def test_more_stories_than_there_are_cannot_be_heard(tmp_path):
    with pytest.raises(ValueError, match="5 stories in the MEG scanner: there are 1 to 2"):
        simulate(tmp_path, meg=Listeners(("03",), stories=5), **SMALL)
