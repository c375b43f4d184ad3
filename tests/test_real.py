"""A cut of real fMRI and a real language model through the whole workflow."""

import json
import shutil

import pandas as pd
import pytest
from laboratory import REPOSITORY, brainalign

from pipeline import arrays
from pipeline.layout import Layout

LISTENER = "uts02"
STORIES = ("tetris", "forgettingfear", "wheretheressmoke")  # two that train, the one that tests

CHECKPOINTS = "${BRAINALIGN_DATA}/lm_checkpoints"
STEPS = [f'"{CHECKPOINTS}/step{step:05d}"' for step in (0, 100, 1600)]

pytestmark = pytest.mark.xdist_group("real")  # one worker: the study in the fixture runs once


@pytest.fixture(scope="module")
def cut(tmp_path_factory) -> Layout:
    from laboratory import DATA

    if not (DATA / "lebel" / "runs.tsv").exists():
        pytest.skip("no real recordings: set BRAINALIGN_DATA to the folder that holds lebel/ and lm_stories260K/")
    root = tmp_path_factory.mktemp("real")
    data = root / "data" / "lebel"
    runs = pd.read_csv(DATA / "lebel" / "runs.tsv", sep="\t", dtype=str, keep_default_na=False)
    runs = runs[runs["run"].isin(STORIES) & (runs["subject"] == LISTENER)]
    for name in {*runs["responses"], *runs["words"], "targets.tsv"}:
        (data / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(DATA / "lebel" / name, data / name)
    runs.to_csv(data / "runs.tsv", sep="\t", index=False)
    for name in ("lm_stories260K", "lm_checkpoints"):
        (root / "data" / name).symlink_to(DATA / name)
    study = root / "cut.yaml"
    study.write_text(
        f"extends: {REPOSITORY / 'configs' / 'lebel_components.yaml'}\nstudy: cut\nencoding: {{inner_folds: 2}}\nreport: {{lag_scan: none}}\n"
        "comparison: {surrogates: 4}\nanalyses: {partition: null}\n"  # both are looked at where the truth is known
        "models:\n"
        "  storiesuntrained: {seeds: [0, 1]}\n"
        "  tokens: null\n  wordlength: null\n"
        f'  growing: {{kind: transformer, name: [{", ".join(STEPS)}], tokenizer: "{CHECKPOINTS}/tokenizer"}}\n'
    )
    done = brainalign("run", study, "--cores", 2, "--out", root / "out", cwd=root, BRAINALIGN_DATA=str(root / "data"))
    assert done.returncode == 0, done.stderr + done.stdout
    return Layout(root / "out" / "cut")


def layers(cut: Layout) -> pd.DataFrame:
    return arrays.load_table(cut.layers(LISTENER, "fmri"), text=("seed", "layer", "roi", "model", "step"))


def test_a_blind_model_explains_nothing_of_an_unseen_story(cut):
    table = layers(cut)
    oasm = table[table["model"] == "oasm"]
    assert oasm["r"].abs().max() <= 0.03 and (oasm["n_flat"] == oasm["n_targets"]).all()


def test_every_layer_seed_and_region_has_its_row(cut):
    table = layers(cut)
    assert set(table["roi"]) == {"all", "PC0to9", "allPCs"}
    twins = table[(table["model"] == "storiesuntrained") & (table["roi"] == "all")]
    assert len(twins) == 3 * 7  # two seeds and their mean, six layers and the nested choice
    assert table["r"].between(-1, 1).all() and table["n_missing"].max() == 0


def test_the_weights_are_what_they_claim_to_be(cut):
    trained = arrays.load(cut.activations("stories", "tetris")).attrs
    twins = arrays.load(cut.activations("storiesuntrained", "tetris")).attrs
    assert trained["loss"] < 0.7 * trained["ln_vocabulary"]
    assert all(abs(twins[f"loss_seed{i}"] / twins["ln_vocabulary"] - 1) < 0.05 for i in range(2))


def test_a_training_gives_a_trajectory_of_loss_and_score(cut):
    steps = ["step00000", "step00100", "step01600"]
    table = layers(cut)
    growing = table[(table["model"] == "growing") & (table["roi"] == "all")]
    assert list(dict.fromkeys(growing["step"])) == steps and len(growing) == 3 * 7
    assert growing["r"].notna().all()
    facts = arrays.load(cut.scores(LISTENER, "fmri", "growing")).attrs
    losses = [facts[f"loss_{step}"] for step in steps]
    assert losses[0] == pytest.approx(facts["ln_vocabulary"], rel=0.05)
    assert max(losses[1:]) < 0.75 * losses[0]


def test_activations_tell_which_token_is_whose_and_what_was_read(cut):
    ds = arrays.load(cut.activations("stories", "tetris"))
    assert ds["context"].sizes["word"] == ds.sizes["word"] and 1 <= ds["context"].min() <= ds["context"].max() <= 511
    pieces = [
        "".join(ds["token_text"].values[ds["token_word"].values == word].astype(str)).replace("\u2581", "")
        for word in range(50)
    ]
    assert pieces == [word.strip() for word in ds["text"].values[:50].astype(str)]
    assert (ds["token_end"] > ds["token_start"]).all()


def test_weights_are_remembered_at_first_use(cut):
    known = json.loads(cut.weights("growing").read_text())
    (hashes,) = known.values()
    assert len(set(hashes.values())) == 3 and cut.weights("stories").exists()


@pytest.mark.parametrize("page", ["sub-uts02.html", "group.html", "index.html"])
def test_without_a_ceiling_no_page_speaks_of_a_share_of_it(cut, page):
    text = cut.top(page).read_text(encoding="utf-8")
    assert "% of ceiling" not in text and "% of the ceiling" not in text
    assert page == "index.html" or "ceiling" in text
