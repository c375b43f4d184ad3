"""The demo, whole: what was planted is found."""

import re

import numpy as np
import pandas as pd
import pytest
from laboratory import REPOSITORY, brainalign, read_alike

from pipeline import arrays
from pipeline.config import Study
from pipeline.layout import Layout
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


def test_the_true_ceiling_lies_in_the_interval_of_nine_in_ten_driven_voxels(demo):
    study = Study.from_yaml(REPOSITORY / "configs" / "demo.yaml")
    truth = arrays.load_table(demo[0].root / "simulated" / "truth.tsv", text=("subject", "target", "roi"))
    inside, total = coverage(study.plan(demo[0].root), demo[0], truth)
    assert total == 320 and inside / total >= 0.9


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
