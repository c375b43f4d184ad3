"""The check of words against responses: what it calls green, amber and red, with the answer planted or absent."""

import struct
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from laboratory import DATA
from report import examples
from scipy.io import wavfile

from pipeline import clock
from pipeline.aligning import align, timing_problems, together, together_problems
from pipeline.problems import StudyError
from pipeline.report.tables import peak
from pipeline.runs import Run
from pipeline.sound import envelope_of

LENGTHS = ((150, 2.0), (200, 1.5), (300, 2.0), (400, 1.5))
SEEDS = range(5)  # 20 runs


def lights(roi: bool, **planted) -> list:
    return [
        examples.judged(n=n, tr_s=tr_s, seed=100 * seed + n, roi=roi, text="", **planted).light
        for n, tr_s in LENGTHS
        for seed in SEEDS
    ]


def aligned(Y: np.ndarray, onsets: np.ndarray, tr_s: float = 2.0, **options):
    times = {"time": ("sample", np.arange(len(Y)) * tr_s)}
    ds = xr.Dataset({"responses": (("sample", "target"), Y)}, times, {"tr_s": tr_s})
    if "censored" in options:
        ds["censored"] = ("sample", options.pop("censored").astype(np.uint8))
    words = pd.DataFrame({"onset": onsets, "duration": 0.1, "word": "w"})
    return align(Run("01", "a", "fmri", ("a.npy",), "a.tsv"), ds, words, (3.0, 8.0), "", **options)


@pytest.mark.parametrize("roi", [False, True], ids=["components", "region"])
def test_words_at_the_right_time_are_green(roi):
    assert lights(roi).count("green") >= 0.9 * len(LENGTHS) * len(SEEDS)


@pytest.mark.parametrize("roi", [False, True], ids=["components", "region"])
@pytest.mark.parametrize("shift_s", [20.0, -20.0])
def test_words_20_seconds_off_are_red(roi, shift_s):
    found = lights(roi, shift_s=shift_s)
    assert found.count("red") >= 0.95 * len(found)


@pytest.mark.parametrize("roi", [False, True], ids=["components", "region"])
def test_noise_is_not_red(roi):
    """At most one run in 100 may be; of these 20 none is."""
    assert lights(roi, effect=0.0).count("red") == 0


def test_by_chance_p_is_as_small_as_it_says():
    p = np.array([examples.judged(n=160, seed=seed, effect=0.0, roi=True, text="").p for seed in range(60)])
    assert np.mean(p <= 0.2) == pytest.approx(0.2, abs=0.15)
    assert np.mean(p <= 0.05) <= 0.15


@pytest.mark.parametrize("shift_s", [20.0, -20.0])
def test_the_peak_lies_where_the_shift_puts_it(shift_s):
    """Onsets too late by 20 s: the answer comes 20 s earlier on their clock."""
    there = peak(examples.judged(roi=True))[0]
    assert peak(examples.judged(roi=True, shift_s=shift_s))[0] == pytest.approx(there - shift_s, abs=2.0)


def test_the_single_voxel_that_goes_best_with_the_words_by_chance_is_not_believed():
    """40,000 targets of noise: some voxel correlates with anything, at any lag."""
    _, words, _ = examples.answering(200, 2.0, effect=0.0)
    noise = np.random.default_rng(1).normal(size=(200, 40_000)).astype(np.float32)
    found = aligned(noise, words["onset"].to_numpy())
    assert found.light == "amber" and found.p > 0.005


def test_components_are_those_of_a_singular_value_decomposition():
    ds, _, _ = examples.answering(120, 2.0)
    Y = ds["responses"].values.astype(float)
    found = clock.signal_of(Y, np.ones(120, bool), 2.0)
    Z = (Y - Y.mean(axis=0)) / Y.std(axis=0)
    wanted = clock.without_drift(np.linalg.svd(Z)[0][:, : found.columns.shape[1]], 2.0)
    shared = np.linalg.svd(np.linalg.qr(wanted)[0].T @ np.linalg.qr(found.columns)[0])[1]
    assert found.columns.shape == (120, 12) and shared == pytest.approx(1, abs=1e-3)


@pytest.mark.parametrize("shape", [(4,), (4, 3)], ids=["one signal", "components"])
def test_the_correlation_at_a_lag_is_numpys(shape):
    rng, keep = np.random.default_rng(0), np.ones(90, bool)
    keep[[7, 30, 31]] = False
    x, Y = rng.normal(size=90), rng.normal(size=(90, shape[-1] if len(shape) > 1 else 1))
    signal = clock.Signal(np.where(keep[:, None], Y, 0), keep, "", len(shape) == 1)
    for step in (-6, 0, 11):
        later = np.array([t for t in range(90) if keep[t] and 0 <= t - step < 90])
        design = np.column_stack([np.ones(len(later)), Y[later]])
        fitted = design @ np.linalg.lstsq(design, x[later - step], rcond=None)[0]
        wanted = np.corrcoef(x[later - step], Y[later, 0] if len(shape) == 1 else fitted)[0, 1]
        assert clock.follow(x[None], signal, np.array([step]))[0, 0] == pytest.approx(wanted, abs=1e-9)


def test_a_target_that_is_constant_or_lacks_values_changes_nothing():
    ds, words, answers = examples.answering(150, 2.0)
    Y, onsets = ds["responses"].values, words["onset"].to_numpy()
    spoilt = np.column_stack([np.full(150, np.nan), Y, np.full(150, 7.0)]).astype(np.float32)
    clean, found = (
        aligned(Y, onsets, roi=answers),
        aligned(spoilt, onsets, roi=np.pad(answers, 1, constant_values=True)),
    )
    assert np.array_equal(clean.xcorr, found.xcorr) and "24 targets" in found.signal_name


def test_volumes_left_out_do_not_count():
    """Spikes in them would drown everything."""
    ds, words, answers = examples.answering(150, 2.0)
    spiked, gone = ds["responses"].values.copy(), np.isin(np.arange(150), [12, 80, 81])
    spiked[gone] = 1e4
    onsets = words["onset"].to_numpy()
    kept, blind = aligned(spiked, onsets, roi=answers, censored=gone), aligned(spiked, onsets, roi=answers)
    assert kept.light == "green" and blind.light == "amber"
    assert np.isnan(kept.signal[gone]).all() and np.isfinite(kept.signal[~gone]).all()


def test_a_region_that_falls_with_the_words_is_not_green():
    ds, words, answers = examples.answering(200, 2.0)
    assert aligned(-ds["responses"].values, words["onset"].to_numpy(), roi=answers).light != "green"


def test_without_a_response_or_words_nothing_is_claimed():
    silent = aligned(np.zeros((120, 5), np.float32), np.arange(1.0, 200, 0.7))
    wordless = aligned(np.random.default_rng(0).normal(size=(120, 5)).astype(np.float32), np.array([]))
    for found in (silent, wordless):
        assert found.light == "amber" and np.isnan(found.xcorr).all() and np.isnan(peak(found)[0])


def test_what_is_too_weak_in_each_run_is_plain_in_all():
    runs = [examples.judged(str(i), n=150, seed=i, effect=0.1, roi=True, shift_s=-20.0) for i in range(12)]
    assert [run.light for run in runs].count("red") <= 6
    found = together(runs)
    assert found.light == "red" and found.lags_s[found.excess.argmax()] == pytest.approx(25, abs=2)
    assert [p.code for p in together_problems(found, "01")] == ["W-WORDS-10"]


def test_runs_of_noise_together_are_no_more_than_noise():
    found = [
        together([examples.judged(n=120, seed=10 * i + j, effect=0.0, text="") for j in range(5)]) for i in range(6)
    ]
    assert [f.light for f in found].count("red") == 0 and np.median([f.p for f in found]) > 0.05
    assert together([examples.judged(n=120)] * 2) is None


def test_runs_with_one_verdict_are_told_in_one_warning():
    late = examples.judged("b", roi=True, shift_s=-20.0)
    weak = [examples.judged(name, n=120, effect=0.0, seed=3) for name in ("c", "d")]
    found = timing_problems([examples.judged("a", roi=True), late, *weak], "01")
    assert [(p.code, p.file) for p in found] == [("W-WORDS-10", "run b"), ("W-WORDS-09", "run c, d")]
    assert all(p.level == "warning" and p.fix and p.found and p.subject == "01" for p in found)
    assert timing_problems(examples.judged(roi=True), "01") == []


def test_a_recording_of_which_nothing_is_expected_is_not_judged():
    ds, words, _ = examples.answering(120, 2.0)
    found = align(Run("01", "a", "meg", ("a",), "a"), ds, words, None, "")
    assert found.light is None and timing_problems([found], "01") == []


def test_the_loudness_of_a_sound_lies_in_the_volumes_that_heard_it(tmp_path: Path):
    """A tone from 4 to 6 s, both channels: root mean square .5 / sqrt 2 in that volume, 0 elsewhere."""
    seconds = np.arange(8 * 800) / 800
    tone = 0.5 * np.sin(2 * np.pi * 50 * seconds) * ((seconds >= 4) & (seconds < 6))
    wavfile.write(tmp_path / "a.wav", 800, np.stack([tone, tone], axis=1).astype(np.float32))
    heard = envelope_of(tmp_path / "a.wav", np.arange(-2.0, 12, 2), 2.0)
    assert heard == pytest.approx([0, 0, 0, 0.5 / np.sqrt(2), 0, 0, 0], abs=1e-6)
    late = envelope_of(tmp_path / "a.wav", np.arange(0.0, 12, 2), 2.0, start_s=2.0)
    assert late.argmax() == 3


def test_loudness_follows_the_words_like_their_rate():
    assert peak(found := examples.judged(sound=True, roi=True))[0] == found.lags_s[found.envelope.argmax()]


@pytest.mark.parametrize("spoil", ["missing", "empty", "html", "cut", "silent"])
def test_a_sound_that_cannot_be_read_is_refused_by_name(tmp_path: Path, spoil):
    path = tmp_path / "story.wav"
    wavfile.write(path, 800, np.zeros(0 if spoil == "silent" else 8000, np.int16))
    whole = path.read_bytes()
    if spoil == "missing":
        path.unlink()
    elif spoil != "silent":
        path.write_bytes({"empty": b"", "html": b"<!DOCTYPE html><html>", "cut": whole[: len(whole) // 2]}[spoil])
    with pytest.raises(StudyError) as refused:
        envelope_of(path, np.arange(0.0, 4, 2), 2.0, name="stimuli/story.wav")
    (problem,) = refused.value.problems
    assert (problem.code, problem.file) == ("E-DATA-40", "stimuli/story.wav")
    assert str(tmp_path) not in str(problem)


def test_a_header_that_lies_about_its_rate_is_refused(tmp_path: Path):
    path = tmp_path / "a.wav"
    wavfile.write(path, 800, np.zeros(100, np.int16))
    whole = bytearray(path.read_bytes())
    whole[24:28] = struct.pack("<I", 0)
    path.write_bytes(whole)
    with pytest.raises(StudyError, match="E-DATA-40"):
        envelope_of(path, np.arange(0.0, 4, 2), 2.0)


def test_a_large_run_needs_no_more_room_than_its_targets():
    """Components of 100 samples by 60,000 targets through 100 by 100 products; a product of targets would take 14 GB."""
    import tracemalloc

    Y = np.random.default_rng(0).normal(size=(100, 60_000)).astype(np.float32)
    tracemalloc.start()
    clock.signal_of(Y, np.ones(100, bool), 2.0)
    assert tracemalloc.get_traced_memory()[1] < 1.5 * Y.nbytes
    tracemalloc.stop()


@pytest.fixture(scope="module")
def stories() -> list[tuple[np.ndarray, np.ndarray]]:
    """Responses and word onsets of a real person's first stories."""
    folder = DATA / "lebel"
    if not (folder / "runs.tsv").exists():
        pytest.skip("no real recordings: set BRAINALIGN_DATA to the folder that holds lebel/")
    runs = pd.read_csv(folder / "runs.tsv", sep="\t").query("subject == 'uts02'").head(10)
    return [
        (np.load(folder / r.responses), pd.read_csv(folder / r.words, sep="\t")["onset"].to_numpy())
        for r in runs.itertuples()
    ]


def test_real_stories_follow_their_words_and_none_is_called_wrong(stories):
    """Their words carry the time of a volume only and peak at 2 s: just outside, which is no proof of a wrong clock."""
    runs = [aligned(Y, onsets) for Y, onsets in stories]
    found = together(runs)
    assert [run.light for run in runs].count("red") == 0
    assert (found.light, found.lags_s[found.excess.argmax()]) == ("amber", 2.0) and found.p < 1e-6


@pytest.mark.parametrize(("shift_s", "peak_s"), [(20.0, -18.0), (-20.0, 22.0)])
def test_real_stories_with_words_20_seconds_off_are_red_together(stories, shift_s, peak_s):
    found = together([aligned(Y, onsets + shift_s) for Y, onsets in stories])
    assert found.light == "red" and found.lags_s[found.excess.argmax()] == pytest.approx(peak_s, abs=2.0)
