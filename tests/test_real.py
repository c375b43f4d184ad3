"""A cut of real fMRI and a real language model through the whole workflow."""

import shutil

import pandas as pd
import pytest
from laboratory import REPOSITORY, brainalign

from pipeline import arrays
from pipeline.layout import Layout

STORIES = ("tetris", "forgettingfear", "wheretheressmoke")  # two that train, the one that tests

pytestmark = pytest.mark.xdist_group("real")  # one worker: the study in the fixture runs once


@pytest.fixture(scope="module")
def cut(tmp_path_factory) -> Layout:
    from laboratory import DATA

    if not (DATA / "lebel" / "runs.tsv").exists():
        pytest.skip("no real recordings: set BRAINALIGN_DATA to the folder that holds lebel/ and lm_stories260K/")
    root = tmp_path_factory.mktemp("real")
    data = root / "data" / "lebel"
    runs = pd.read_csv(DATA / "lebel" / "runs.tsv", sep="\t", dtype=str, keep_default_na=False)
    runs = runs[runs["run"].isin(STORIES)]
    for name in {*runs["responses"], *runs["words"], "targets.tsv"}:
        (data / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(DATA / "lebel" / name, data / name)
    runs.to_csv(data / "runs.tsv", sep="\t", index=False)
    (root / "data" / "lm_stories260K").symlink_to(DATA / "lm_stories260K")
    study = root / "cut.yaml"
    study.write_text(
        f"extends: {REPOSITORY / 'configs' / 'lebel_components.yaml'}\nstudy: cut\nencoding: {{inner_folds: 2}}\n"
        "models: {storiesuntrained: {seeds: [0, 1]}}\n"
    )
    done = brainalign("run", study, "--cores", 2, "--out", root / "out", cwd=root, BRAINALIGN_DATA=str(root / "data"))
    assert done.returncode == 0, done.stderr + done.stdout
    return Layout(root / "out" / "cut")


def layers(cut: Layout, subject: str) -> pd.DataFrame:
    return arrays.load_table(cut.layers(subject, "fmri"), text=("seed", "layer", "roi", "model"))


@pytest.mark.parametrize("subject", ["uts01", "uts02"])
def test_a_blind_model_explains_nothing_of_an_unseen_story(cut, subject):
    table = layers(cut, subject)
    oasm = table[table["model"] == "oasm"]
    assert oasm["r"].abs().max() <= 0.03 and (oasm["n_flat"] == oasm["n_targets"]).all()


@pytest.mark.parametrize("subject", ["uts01", "uts02"])
def test_every_layer_seed_and_region_has_its_row(cut, subject):
    table = layers(cut, subject)
    assert set(table["roi"]) == {"all", "PC0to9", "allPCs"}
    twins = table[(table["model"] == "storiesuntrained") & (table["roi"] == "all")]
    assert len(twins) == 3 * 7  # two seeds and their mean, six layers and the nested choice
    assert table["r"].between(-1, 1).all() and table["n_missing"].max() == 0


def test_the_weights_are_what_they_claim_to_be(cut):
    trained = arrays.load(cut.activations("stories", "tetris")).attrs
    twins = arrays.load(cut.activations("storiesuntrained", "tetris")).attrs
    assert trained["loss"] < 0.7 * trained["ln_vocabulary"]
    assert all(abs(twins[f"loss_seed{i}"] / twins["ln_vocabulary"] - 1) < 0.05 for i in range(2))


@pytest.mark.parametrize("page", ["sub-uts01.html", "sub-uts02.html", "group.html", "index.html"])
def test_without_a_ceiling_no_page_speaks_of_a_share_of_it(cut, page):
    text = cut.top(page).read_text(encoding="utf-8")
    assert "% of ceiling" not in text and "% of the ceiling" not in text
    assert page == "index.html" or "ceiling" in text
