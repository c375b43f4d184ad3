"""The demo, whole: what was planted is found."""

import re

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from laboratory import REPOSITORY, brainalign, read_alike

from pipeline import arrays
from pipeline.config import Study
from pipeline.datasets.simulate import truth
from pipeline.datasets.simulate_images import brain
from pipeline.datasets.simulate_signals import Noise, cleaning, noise_variance, noises, respond, voxels
from pipeline.datasets.simulate_stories import Telling, stream, tell
from pipeline.layout import Layout
from pipeline.normalisation import estimate
from pipeline.truth import answers, coverage, topography

pytestmark = pytest.mark.xdist_group("demo")  # one worker: the study in the fixture runs once


@pytest.fixture(scope="module")
def demo(tmp_path_factory) -> tuple[Layout, str]:
    out = tmp_path_factory.mktemp("demo")
    done = brainalign("demo", "--out", out, "--cores", 2, cwd=out)
    assert done.returncode == 0, done.stderr + done.stdout
    return Layout(out / "demo"), done.stdout


@pytest.fixture(scope="module")
def nested(demo) -> pd.DataFrame:
    """Nested scores by subject, region and model; twins as their mean over seeds."""
    table = pd.concat(
        [
            arrays.load_table(demo[0].layers(s, "fmri"), text=("subject", "seed", "layer", "roi", "model"))
            for s in ("01", "02")
        ]
    )
    table = table[(table["layer"] == "nested") & table["seed"].isin(["", "mean"])]
    return table.set_index(["subject", "roi", "model"]).sort_index()


def test_there_is_nothing_left_to_do(demo):
    out = demo[0].root.parent
    assert brainalign("plan", REPOSITORY / "configs" / "demo.yaml", "--out", out, cwd=out).stdout == "nothing to do\n"


def test_the_true_ceiling_lies_in_the_interval_of_nineteen_in_twenty_driven_voxels(demo):
    study = Study.from_yaml(REPOSITORY / "configs" / "demo.yaml")
    planted = arrays.load_table(demo[0].root / "simulated" / "truth.tsv", text=("subject", "target", "roi"))
    inside, total = coverage(study.plan(demo[0].root), demo[0], planted)
    # planted is what this very story holds; the interval allows for other moments too, and holds it a little too often
    assert total == 320 and inside / total >= 0.92


TR_S, N_REPEATS = 2.0, 5
TIMES = np.arange(135) * TR_S


def listener(seed: int, stories: list[Telling], clean: np.ndarray) -> tuple[xr.Dataset, np.ndarray]:
    """One more person of the demo, who heard one of the stories five times: ceilings found, and those of endless stories."""
    head, noise = brain({"topic": 8, "syntax": 8, "wordrate": 8}), Noise()
    drawn = voxels(stream(seed, "subject", "01"), head.rois, (0.15, 0.4), stories)
    signals = [respond(drawn, story, TIMES) for story in stories]
    power = np.mean([(clean @ signal).var(axis=0) for signal in signals], axis=0)
    odds = drawn.share / (1 - drawn.share)
    signal = signals[seed % len(signals)] * np.sqrt(odds * noise_variance(clean, noise, TR_S) / power)
    rng = stream(seed, "noise")
    Y = np.stack([clean @ (signal + noises(rng, signal.shape, noise, TR_S)) for _ in range(N_REPEATS)])
    ds = xr.Dataset(
        {"presentations": (("repeat", "sample", "target"), Y), "censored": ("sample", np.zeros(len(TIMES), "u1"))},
        {"time": ("sample", TIMES), "target": list(head.names)},
        {"tr_s": TR_S},
    )
    found = estimate({"story": ds}, ("story",), ("repeats",), (0.0, 0.0), seed)
    return found, truth("01", head, drawn.share, N_REPEATS)["ceiling_r"].to_numpy()


def test_intervals_of_ceilings_hold_the_planted_ones_as_often_as_they_say():
    stories = [tell(f"story{i}", story_s=270.0, seed=0, language_seed=0) for i in range(6)]
    clean, inside = cleaning(len(TIMES), TR_S, 0.008), []
    for found, planted in (listener(seed, stories, clean) for seed in range(12)):
        inside += list((found["repeats_low"] <= planted) & (planted <= found["repeats_high"]))
    assert len(inside) == 288 and 0.92 <= np.mean(inside) <= 0.98


def test_noise_voxels_are_called_significant_no_oftener_than_the_level_says(demo):
    p = []
    for subject in ("01", "02"):
        ds = arrays.load(demo[0].tests(subject, "fmri"), "roi", "target")
        p += list(ds["p"].values[ds["member"].sel(roi="noise").values.astype(bool)])
    assert len(p) == 120 and np.isfinite(p).all() and np.mean(np.array(p) <= 0.05) <= 0.07


def test_every_kind_of_file_is_read_as_xarray_reads_it(demo):
    files = {re.sub(r"(sub|run|model)-[A-Za-z0-9]+", "", path.name): path for path in demo[0].root.rglob("*.nc")}
    assert len(files) >= 7  # recordings, scores and ceilings of both scanners, activations, courses
    for path in files.values():
        read_alike(path)


@pytest.mark.parametrize("model", ["trained", "untrained", "wordrate", "position"])
def test_noise_voxels_are_not_explained(nested, model):
    assert abs(np.mean([nested.loc[(s, "noise", model), "r"] for s in ("01", "02")])) <= 0.02


@pytest.mark.parametrize("subject", ["01", "02"])
@pytest.mark.parametrize("roi", ["topic", "syntax"])
def test_training_explains_what_has_to_be_inferred(demo, nested, subject, roi):
    assert nested.loc[(subject, roi, "trained"), "r"] > nested.loc[(subject, roi, "untrained"), "r"] + 0.15
    contrasts = arrays.load_table(demo[0].comparison(subject, "fmri"), text=("roi", "a", "b", "layer_a", "layer_b"))
    one = contrasts[(contrasts["roi"] == roi) & (contrasts["b"] == "untrained")].iloc[0]
    assert one["low"] > 0 and one["significant"] == "yes"


@pytest.mark.parametrize("subject", ["01", "02"])
def test_voxels_driven_by_word_rate_need_no_training(nested, subject):
    rate = nested.loc[(subject, "wordrate")]["r"]
    assert rate["wordrate"] > 0.5
    assert abs(rate["trained"] - rate["untrained"]) < 0.1
    assert abs(nested.loc[(subject, "topic", "wordrate"), "r"]) < 0.15


def test_no_score_passes_its_ceiling_by_chance(nested):
    driven = nested[nested.index.get_level_values("roi").isin(["topic", "syntax", "wordrate"])]
    assert driven["fraction"].max() < 1


@pytest.fixture(scope="module")
def latencies(demo) -> pd.DataFrame:
    """Nested scores of the listener in the MEG scanner, by latency in ms and model."""
    table = arrays.load_table(
        demo[0].latencies("03", "meg"), text=("subject", "seed", "step", "layer", "kind", "model")
    )
    table = table[(table["layer"] == "nested") & table["seed"].isin(["", "mean"]) & (table["kind"] == "all")]
    return table.assign(ms=(1000 * table["latency"]).round().astype(int)).pivot(index="ms", columns="model", values="r")


@pytest.mark.parametrize(("model", "latency_s"), [("trained", 0.4), ("wordrate", 0.15)])
def test_meg_is_explained_when_and_where_words_were_answered(demo, model, latency_s):
    peaks = arrays.load_table(demo[0].peaks("03", "meg"), text=("subject", "layer"))
    peak_s = peaks[(peaks["model"] == model) & (peaks["kind"] == "all")]["peak_s"].item()
    assert peak_s == pytest.approx(latency_s, abs=0.025)
    assert topography(("03", "meg"), demo[0], answers(demo[0], "03"), model, peak_s) > 0.8


def test_training_explains_the_late_answer_and_the_rate_of_words_the_early_one(latencies):
    late, early = latencies.loc[400], latencies.loc[150]
    assert late["trained"] > late["untrained"] + 0.05 and late["trained"] > late["wordrate"] + 0.05
    assert early["wordrate"] > early["trained"] and early["wordrate"] > late["wordrate"] + 0.05


def test_the_demo_prints_planted_beside_found(demo):
    assert "planted -> found" in demo[1] and "true ceiling inside the 95 % interval" in demo[1]
    assert "index.html" in demo[1]


def test_the_language_model_learnt_and_its_twins_did_not(demo):
    trained = arrays.load(demo[0].activations("trained", "story1")).attrs
    twins = arrays.load(demo[0].activations("untrained", "story1")).attrs
    assert trained["loss"] < 0.6 * trained["ln_vocabulary"]
    losses = [twins[f"loss_seed{i}"] for i in range(5)]
    assert all(abs(loss / twins["ln_vocabulary"] - 1) < 0.05 for loss in losses)
    hashes = {trained["weights_sha256"], *(twins[f"weights_sha256_seed{i}"] for i in range(5))}
    assert len(hashes) == 6 and twins["weights_sha256_trained"] == trained["weights_sha256"]
