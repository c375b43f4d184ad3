"""A study of simulated MEG, from raw files to the report: what was planted is found, when and where it was planted."""

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import pytest
from laboratory import brainalign

from pipeline import arrays
from pipeline.datasets import simulate_meg
from pipeline.datasets.simulate_meg import LATENCY_S, Listeners, Scanner, Spoken
from pipeline.datasets.simulate_sensors import Noise
from pipeline.encoding import Encoding, encode
from pipeline.layout import Layout
from pipeline.models import Model
from pipeline.models.controls import Tokens
from pipeline.models.oasm import Oasm
from pipeline.normalisation import estimate
from pipeline.recordings.meg.kind import Meg
from pipeline.recordings.recorded import recorded
from pipeline.runs import Run
from pipeline.stages import _featured

if TYPE_CHECKING:
    import xarray as xr

pytestmark = pytest.mark.xdist_group("meg")  # one worker: the study in the fixture runs once

STORY_S, VOCABULARY, SEED = 180.0, 30, 7
SPOILT = {"flat": ("MEG 0111",), "noisy": ("MEG 0311",)}
SCANNER = Scanner(every=4, dropped=4, drift_ppm=150.0, signal_share=0.4, **SPOILT)
RECORD = {"stage": "simulate", "settings": {}, "inputs": {}}
MEG = {
    "kind": "meg", "window": [-0.2, 0.6], "l_freq": 0.5, "h_freq": 15.0, "sfreq": 40.0, "align": "affine", "trigger": "STI101",
    "passive": "rate",
}  # fmt: skip


def told(run: str, times_each: int = 1, apart_s: tuple[float, float] = (0.2, 0.6)) -> Spoken:
    """Words drawn at random, each said `times_each` times in a row; what a word means is a fact of its form.

    The early answer grows with the time since the word before.
    """
    rng = np.random.default_rng([SEED, *run.encode()])
    onset = np.round(np.cumsum(rng.uniform(*apart_s, int(STORY_S / np.mean(apart_s)))), 3)
    onset = onset[onset < STORY_S - 2]
    word = np.repeat(rng.integers(VOCABULARY, size=len(onset)), times_each)[: len(onset)]
    meaning = np.random.default_rng(SEED).uniform(size=VOCABULARY)
    rate = np.append(1.0, (np.diff(onset) - apart_s[0]) / np.ptp(apart_s))
    words = pd.DataFrame({"onset": onset, "duration": 0.15, "word": [f"word{i}" for i in word]})
    return Spoken(words, np.column_stack([rate, meaning[word]]), STORY_S)


def laid_out(folder: Path, stories: dict[str, Spoken], subject: str, scanner: Scanner = SCANNER) -> pd.DataFrame:
    """A manifest data set of one listener; its truth."""
    names = {run: f"words/{run}.tsv" for run in stories}
    rows = simulate_meg.presentations(subject, names, Listeners(test_repeats=2, scanner=scanner))
    truth = simulate_meg.listen(folder, rows, stories, scanner, SEED, RECORD)
    for run, name in names.items():
        arrays.save_table(stories[run].words, folder / name, **RECORD)
    arrays.save_table(rows, folder / "runs.tsv", **RECORD)
    return truth


STUDY = f"""study: meg
dataset: {{kind: manifest, root: lab}}
recordings: {{meg: {MEG}}}
models:
  meaning: {{kind: tokens, features: 64}}
  rate: {{kind: wordrate, neighbours_s: 0.4}}
encoding: {{alphas: [1, 1.0e+6, 7], split: leave_one_run_out, inner_folds: 2}}
comparison: {{contrasts: [[meaning, rate]], permutations: 200}}
report: {{lag_scan: none}}
"""


@pytest.fixture(scope="module")
def study(tmp_path_factory) -> tuple[Layout, pd.DataFrame]:
    root = tmp_path_factory.mktemp("meg")
    truth = laid_out(root / "lab", {run: told(run) for run in ("a", "b", "c")}, "01")
    (root / "study.yaml").write_text(STUDY)
    done = brainalign("run", "study.yaml", "--out", root, "--cores", 1, cwd=root)
    assert done.returncode == 0, done.stderr + done.stdout
    return Layout(root / "meg"), truth


def planted(truth: pd.DataFrame, response: str, column: str) -> pd.Series:
    """A column of the truth of one answer, by channel; good channels only."""
    own = truth[(truth["response"] == response) & ~truth["channel"].isin([*SPOILT["flat"], *SPOILT["noisy"]])]
    return own.set_index("channel")[column]


def courses(study: tuple[Layout, pd.DataFrame], model: str):
    ds = arrays.load(study[0].courses("01", "meg"), "model", "fold", "channel", "latency")
    return ds["r"].sel(model=model).mean("fold")


@pytest.mark.slow
@pytest.mark.parametrize("response", LATENCY_S)
def test_scores_are_highest_when_the_answer_was_planted(study, response):
    peaks = arrays.load_table(study[0].peaks("01", "meg"), text=("subject", "layer"))
    peak_s = peaks[(peaks["model"] == response) & (peaks["kind"] == "all")]["peak_s"].item()
    assert peak_s == pytest.approx(LATENCY_S[response], abs=0.025)


@pytest.mark.slow
@pytest.mark.parametrize("response", LATENCY_S)
def test_scores_lie_over_the_sensors_that_show_the_dipoles(study, response):
    truth = planted(study[1], response, "topography").abs()
    r = np.abs(
        courses(study, response).sel(latency=LATENCY_S[response], method="nearest").sel(channel=list(truth.index))
    )
    assert (
        np.corrcoef(r, truth / planted(study[1], response, "noise_sd"))[0, 1] > 0.9
    )  # noise is not the same everywhere
    assert np.corrcoef(r, truth)[0, 1] > 0.75
    other = planted(study[1], next(name for name in LATENCY_S if name != response), "topography").abs()
    assert np.corrcoef(r, other)[0, 1] < 0.5


@pytest.mark.slow
def test_words_drawn_at_random_tell_nothing_before_they_begin(study):
    before = courses(study, "meaning").sel(latency=slice(None, -0.01))
    at_peak = courses(study, "meaning").sel(latency=0.4, method="nearest").mean()
    assert abs(float(before.mean())) < 0.02 and float(at_peak) > 0.1


@pytest.mark.slow
def test_the_two_presentations_give_the_planted_ceiling(study):
    test = arrays.load(study[0].recording("01", "meg", "c"), "repeat", "sample", "target")
    top = estimate({"c": test}, ("c",), ("repeats",), (0.0, 0.0), 0)["repeats"]
    for response, latency in LATENCY_S.items():
        truth = planted(study[1], response, "ceiling_r")
        found = top.sel(target=[f"{name}@{1000 * latency:+.0f}ms" for name in truth.index]).values
        assert np.nanmean(found) == pytest.approx(truth.mean(), abs=0.06)
        clear = truth > 0.5  # where three standard errors of what 450 words give are 0.2
        assert clear.sum() >= 2 and found[clear] == pytest.approx(truth[clear].to_numpy(), abs=0.2)


@pytest.mark.slow
def test_triggers_are_matched_and_spoilt_channels_marked(study):
    ds = arrays.load(study[0].recording("01", "meg", "c"), "sample", "target")
    quality = arrays.attribute(ds, "quality")
    assert len(quality["presentations"]) == 2
    for one in quality["presentations"]:
        found = one["triggers"]
        assert found["n_missing"] == SCANNER.dropped and found["n_extra"] == 0
        assert found["slope_ppm"] == pytest.approx(SCANNER.drift_ppm, abs=30)
        assert one["bads"]["flat"] == [*SPOILT["flat"]] and one["bads"]["noisy"] == [*SPOILT["noisy"]]
    missing = np.isnan(ds["responses"].values).all(axis=0)
    channel = ds["channel"].values[ds["target_channel"].values]
    assert set(channel[missing]) == {*SPOILT["flat"]}  # the noisy one is told, and used


@pytest.mark.slow
def test_the_same_analysis_of_what_no_brain_foresees_stands_beside_it(study):
    """When words come is drawn at random, and so is what they mean: neither tells of the other before onset or after."""
    table = arrays.load_table(study[0].passive("01", "meg"), text=("subject",))
    assert (
        set(zip(table["model"], table["passive"], strict=True)) == {("meaning", "rate")}
        and table["r"].abs().max() < 0.2
    )
    assert table.set_index("latency")["brain_r"].idxmax() == pytest.approx(0.4, abs=0.026)


@pytest.mark.slow
def test_the_pages_tell_of_the_recording(study):
    page = study[0].subject_page("01").read_text()
    assert "MEG 0111" in page and "MEG 0311" in page
    assert study[0].top("group.html").is_file() and "MEG" in study[0].top("methods.md").read_text()


STEADY_S = (0.47, 0.53)  # the answer to a word, after 400 ms, meets the time just before the next word
QUICK_S = (0.15, 0.25)
SLOW_HZ = 0.1  # noise of real recordings is as slow, and this is where analyses of language usually cut it off


def heard(folder: Path, stories: dict[str, Spoken], l_freq: float) -> "dict[str, xr.Dataset]":
    """Clean recordings, one presentation of each story."""
    scanner = SCANNER._replace(flat=(), noisy=(), dropped=0, noise=Noise(corner_hz=l_freq), band_hz=(l_freq, 15.0))
    laid_out(folder, stories, "01", scanner)
    meg, names = Meg(**MEG | {"l_freq": l_freq}), dict.fromkeys(stories, "") | {list(stories)[-1]: "_repeat-1"}
    runs = [
        Run("01", name, "meg", (f"sub-01/{name}{end}_meg.fif",), f"words/{name}.tsv", start_s=-scanner.lead_s)
        for name, end in names.items()
    ]
    shared = meg.prepare(runs, folder)
    return {run.run: recorded(meg.clean(run, folder, (), shared), run) for run in runs}


def scores(
    recordings: "dict[str, xr.Dataset]", stories: dict[str, Spoken], model: Model, **encoding: object
) -> tuple[np.ndarray, np.ndarray]:
    """r of a model that reads the words, mean over folds, and the latency, of each target."""
    tables = {run: story.words for run, story in stories.items()}
    features = {a.run: _featured(a, tables[a.run], model) for a in model.activations(tables, study_dir=Path())}
    settings = Encoding(alphas=(1.0, 1e6, 7), inner_folds=3, gap_s=2.0, **encoding)
    found = encode(Meg(**MEG), features, recordings, dict.fromkeys(recordings, ""), None, settings)
    return found["r"].isel(layer=0).mean("fold").values, found["target_latency"].values


def just_before(folder: Path, times_each: int) -> float:
    """Mean r of what words mean, 75 to 125 ms before their onset."""
    stories = {run: told(run, times_each, STEADY_S) for run in ("a", "b", "c")}
    r, latency = scores(heard(folder, stories, 0.5), stories, Tokens(features=64), split="leave_one_run_out")
    return float(r[(latency > -0.13) & (latency < -0.07)].mean())


def test_words_that_resemble_the_one_before_seem_to_be_foreseen(tmp_path):
    """The confound that a passive target shows: nothing was planted before onset."""
    assert abs(just_before(tmp_path / "once", 1)) < 0.02
    assert just_before(tmp_path / "thrice", 3) > 0.06


def test_shuffled_folds_reward_features_that_know_nothing(tmp_path):
    """Neighbouring epochs share samples: in training and in test they tell of one another."""
    stories = {"a": told("a", 1, QUICK_S)}
    recordings, bumps = heard(tmp_path, stories, SLOW_HZ), Oasm(width_s=0.4)
    honest, _ = scores(recordings, stories, bumps, split="contiguous", folds=4)
    leaky, _ = scores(recordings, stories, bumps, split="shuffled", folds=4, allow_leaky=True)
    assert abs(honest.mean()) < 0.02 and leaky.mean() > 0.15
