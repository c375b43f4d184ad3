"""Simulated recordings hold what their truth says, and the tiny model is one that Hugging Face reads."""

import hashlib
import json

import nibabel as nib
import numpy as np
import pandas as pd
import pytest

from pipeline.datasets import simulate_signals, simulate_stories, tinymodel
from pipeline.datasets.simulate import simulate

SMALL = {"stories": 2, "story_s": 60.0, "test_repeats": 3}
VOXELS = {"topic": 6, "syntax": 5, "wordrate": 4, "noise": 3}


@pytest.fixture(scope="module")
def dataset(tmp_path_factory):
    folder = tmp_path_factory.mktemp("simulated")
    simulate(folder, subjects=("01", "02"), voxels_per_roi=VOXELS, seed=1, **SMALL)
    return folder


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    folder = tmp_path_factory.mktemp("trained")
    return tinymodel.train(folder, seed=1, n_words=8_000, steps=12, keep=(0, 4), threads=1)


def table(folder, name):
    return pd.read_csv(folder / name, sep="\t", dtype={"subject": str}, keep_default_na=False)


def contents(folder):
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in folder.rglob("*")
        if path.is_file() and ".records" not in path.parts
    }


def test_every_presentation_has_a_row_and_every_row_its_files(dataset):
    runs = table(dataset, "runs.tsv")
    assert len(runs) == 2 * (2 + 3)
    assert set(runs["run"]) == {"story1", "story2", "story3"}
    test = runs[runs["split"] == "test"]
    assert set(test["run"]) == {"story3"} and sorted(test["repeat"]) == [1, 1, 2, 2, 3, 3]
    assert all((dataset / name).is_file() for c in ("responses", "words", "mask") for name in runs[c])


def test_images_have_the_tr_in_header_and_sidecar(dataset):
    for name in table(dataset, "runs.tsv")["responses"]:
        image = nib.load(dataset / name)
        sidecar = json.loads((dataset / name.replace(".nii.gz", ".json")).read_text())
        assert image.shape == (12, 12, 8, 30)
        assert image.header.get_zooms()[3] == sidecar["RepetitionTime"] == 2.0


def test_targets_name_the_voxels_of_the_mask_in_its_order(dataset):
    mask = nib.load(dataset / "sub-01" / "mask.nii.gz").get_fdata() > 0
    targets = table(dataset, "targets.tsv")
    assert list(targets["target"]) == [f"v{i}x{j}x{k}" for i, j, k in np.argwhere(mask)]
    assert targets["roi"].value_counts().to_dict() == VOXELS


def test_words_lie_inside_their_story_one_after_the_other(dataset):
    words = table(dataset, "words/story1.tsv")
    end = words["onset"] + words["duration"]
    assert np.all(end[:-1] <= words["onset"][1:].to_numpy() + 2e-3)
    assert words["onset"].iloc[0] >= 2 and end.iloc[-1] <= 58
    assert len(words) > 100


def test_the_same_seed_writes_the_same_bytes(dataset, tmp_path):
    simulate(tmp_path, subjects=("01", "02"), voxels_per_roi=VOXELS, seed=1, **SMALL)
    assert contents(tmp_path) == contents(dataset)


def test_another_set_of_subjects_changes_no_file_of_a_subject(dataset, tmp_path):
    simulate(tmp_path, subjects=("09", "02"), voxels_per_roi=VOXELS, seed=1, **SMALL)
    before, after = contents(dataset), contents(tmp_path)
    shared = [name for name in before if name.startswith(("sub-02", "words"))]
    assert len(shared) == 1 + 2 * 5 + 3
    assert all(before[name] == after[name] for name in shared)


def test_another_seed_changes_every_image(dataset, tmp_path):
    simulate(tmp_path, subjects=("01",), voxels_per_roi=VOXELS, seed=2, **SMALL)
    before, after = contents(dataset), contents(tmp_path)
    images = [name for name in after if "story" in name and name.endswith(".nii.gz")]
    assert images and all(before[name] != after[name] for name in images)


def test_ceilings_follow_from_the_share_of_signal_and_noise_has_none(dataset):
    truth = table(dataset, "truth.tsv")
    p = truth["signal_share"]
    assert np.allclose(truth["ceiling_r"], np.sqrt(3 * p / (1 + 2 * p)), atol=1e-6)
    assert (truth["ceiling_r"] == 0).tolist() == (truth["roi"] == "noise").tolist()
    assert p[truth["roi"] != "noise"].between(0.15, 0.4).all()


def test_the_true_ceiling_is_what_many_listeners_give():
    """300 times five noisy presentations, cleaned by nilearn: their mean against the cleaned signal."""
    from nilearn.signal import clean

    rois, times, noise = ["topic", "syntax", "wordrate", "noise"], np.arange(135) * 2.0, simulate_signals.Noise()
    tellings = [simulate_stories.tell("story1", story_s=270.0, seed=3)]
    rng = np.random.default_rng(0)
    drawn = simulate_signals.voxels(rng, rois, (0.15, 0.4), tellings)
    matrix = simulate_signals.cleaning(135, 2.0, 0.008)
    variance = simulate_signals.noise_variance(matrix, noise, 2.0)
    raw = {"story1": simulate_signals.respond(drawn, tellings[0], times)}
    signal = simulate_signals.scaled(raw, drawn.share, matrix, variance, test="story1")["story1"]

    def cleaned(recording):
        return clean(recording, detrend=True, standardize="zscore_sample", high_pass=0.008, t_r=2.0, filter="cosine")

    def correlated():
        noises = [simulate_signals.noises(rng, signal.shape, noise, 2.0) for _ in range(5)]
        heard = np.mean([cleaned(signal + each) for each in noises], axis=0)
        return [np.corrcoef(heard[:, v], (matrix @ signal)[:, v])[0, 1] for v in range(3)]

    found = np.mean([correlated() for _ in range(300)], axis=0)
    p = drawn.share[:3]
    assert found == pytest.approx(np.sqrt(5 * p / (1 + 4 * p)), abs=0.012)
    assert np.all(signal[:, 3] == 0)


def test_the_variance_of_cleaned_noise_is_the_predicted_one():
    noise, rng = simulate_signals.Noise(), np.random.default_rng(1)
    matrix = simulate_signals.cleaning(135, 2.0, 0.008)
    found = (matrix @ simulate_signals.noises(rng, (135, 4_000), noise._replace(common=0.0), 2.0)).var(axis=0).mean()
    assert found == pytest.approx(simulate_signals.noise_variance(matrix, noise, 2.0), rel=0.01)


def test_blood_answers_a_word_five_seconds_later():
    answer = simulate_signals.hrf(np.array([6.0]))[:, 0]
    assert answer.argmax() * 0.1 == pytest.approx(5, abs=0.2)
    assert answer.sum() == pytest.approx(1)
    assert answer.min() < 0


def test_a_story_too_short_for_a_word_is_refused(tmp_path):
    with pytest.raises(ValueError, match="no word fits"):
        simulate(tmp_path, story_s=3.0)


def test_every_checkpoint_is_a_model_with_its_tokenizer(models):
    from transformers import AutoModelForCausalLM, AutoTokenizer

    assert [folder.name for folder in models] == ["step0", "step4", "final"]
    for folder in models:
        assert {"config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json"} <= {
            path.name for path in folder.iterdir()
        }
        model, tokenizer = AutoModelForCausalLM.from_pretrained(folder), AutoTokenizer.from_pretrained(folder)
        assert tokenizer.bos_token == "<s>" and model.config.bos_token_id == tokenizer.bos_token_id == 0
        assert tokenizer.decode(tokenizer("ka lo mi")["input_ids"]) == "ka lo mi"


def test_training_lowers_the_loss(models):
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    from pipeline.datasets import language

    text = " ".join(language.generate(60, seed=77).words)
    ids = torch.tensor([AutoTokenizer.from_pretrained(models[0])(text)["input_ids"][:60]])
    with torch.no_grad():
        losses = [float(AutoModelForCausalLM.from_pretrained(m)(ids, labels=ids).loss) for m in models]
    assert losses[0] == pytest.approx(np.log(512), abs=0.3)  # it knows nothing yet
    assert losses[2] < losses[1] < losses[0] - 0.3


def test_training_twice_with_one_thread_gives_the_same_bytes(models, tmp_path):
    again = tinymodel.train(tmp_path, seed=1, n_words=8_000, steps=12, keep=(0, 4), threads=1)
    for first, second in zip(models, again, strict=True):
        assert contents(first) == contents(second)


def test_a_step_of_the_matrices_has_equal_singular_values():
    import torch

    matrices = torch.from_numpy(np.random.default_rng(0).standard_normal((2, 64, 192))).float()
    singular = torch.linalg.svdvals(tinymodel._orthogonal(matrices))
    assert singular.min() > 0.6 and singular.max() < 1.3


def test_a_checkpoint_after_the_end_is_refused(tmp_path):
    with pytest.raises(ValueError, match=r"checkpoints \[500\] do not fit a training of 12 steps"):
        tinymodel.train(tmp_path, seed=1, steps=12, keep=(0, 500))
