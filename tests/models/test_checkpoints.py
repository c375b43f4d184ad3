"""Checkpoints of one training, side by side, and never in an order that their weights contradict."""

import shutil
from pathlib import Path

import numpy as np
import pytest
from safetensors.torch import load_file, save_file

from pipeline.models import MODELS
from pipeline.problems import StudyError

Transformer = MODELS["transformer"]
WORDS = "the otter swims across the cold river and the children watch it"


@pytest.fixture
def trajectory(made, tmp_path):
    """Four folders on a straight way: the tiny Llama, moved a little further each time."""
    folders = []
    for step in (1, 10, 100, 1000):
        folder = Path(shutil.copytree(made("llama"), tmp_path / f"step{step}"))
        tensors = load_file(folder / "model.safetensors")
        moved = {name: tensor * (1 + 0.1 * np.log10(step)) for name, tensor in tensors.items()}
        save_file(moved, folder / "model.safetensors", metadata={"format": "pt"})
        folders.append(folder)
    return folders


def exchange(one, other):
    """Give two checkpoints each other's weights."""
    first, second = (folder / "model.safetensors" for folder in (one, other))
    kept = first.read_bytes()
    first.write_bytes(second.read_bytes())
    second.write_bytes(kept)


def refusal(read, folders, **settings):
    with pytest.raises(StudyError) as error:
        read_all(read, folders, **settings)
    return error.value.problems[0]


def read_all(read, folders, **settings):
    return read(list(folders), WORDS, **settings)


def test_checkpoints_stand_side_by_side_under_their_names(trajectory, read):
    answer = read_all(read, trajectory)
    assert answer.steps == ("step1", "step10", "step100", "step1000") and answer.seeds == ()
    for i, folder in enumerate(trajectory):
        alone = read(str(folder), WORDS)
        assert (answer.values[i] == alone.values).all()
        assert answer.facts[f"weights_sha256_{folder.name}"] == alone.facts["weights_sha256"]
        assert answer.facts[f"loss_{folder.name}"] == alone.facts["loss"]


def test_a_checkpoint_under_two_names_is_refused(trajectory, read):
    shutil.copy(trajectory[3] / "model.safetensors", trajectory[0])
    problem = refusal(read, trajectory)
    assert problem.code == "E-MODEL-09" and problem.field == "revision"
    assert "step1 and step1000 are the same network" in problem.summary


@pytest.mark.parametrize("first, second", [(0, 1), (1, 2), (2, 3), (0, 2), (1, 3), (0, 3)])
def test_checkpoints_that_changed_places_are_refused(first, second, trajectory, read):
    exchange(trajectory[first], trajectory[second])
    problem = refusal(read, trajectory)
    assert problem.code == "E-MODEL-17" and "order" in problem.summary
    assert read_all(read, trajectory, ordered=False).steps == tuple(folder.name for folder in trajectory)


def test_checkpoints_are_listed_in_the_order_of_training(trajectory):
    names = [str(folder) for folder in reversed(trajectory)]
    with pytest.raises(ValueError, match="in the order of training"):
        Transformer(name=names)
    Transformer(name=names, ordered=False)


def test_checkpoints_of_different_networks_are_refused(trajectory, made, read):
    other = trajectory[1].with_name("other")
    shutil.copytree(made("gpt2"), other)
    problem = refusal(read, [trajectory[0], other])
    assert problem.code == "E-MODEL-17" and "other parameters than step1" in problem.found


@pytest.mark.parametrize(
    "settings, told",
    [
        (dict(name=["a", "b"], revision=["x", "y"]), "both lists"),
        (dict(name=["a/step1", "b/step1"]), "one stands twice"),
        (dict(name="a", revision=["x", "x"]), "one stands twice"),
        (dict(name=["a", "b"], weights="random", seeds=[0]), "at one checkpoint"),
        (dict(name=["a", "b"], sha256="0" * 64), "has many"),
    ],
)
def test_settings_of_checkpoints_that_contradict_each_other_are_told(settings, told):
    with pytest.raises(ValueError, match=told):
        Transformer(**settings)


def test_all_problems_of_all_checkpoints_are_told_at_once(trajectory):
    for folder in trajectory[1:3]:
        (folder / "model.safetensors").unlink()
    found = Transformer(name=[str(folder) for folder in trajectory]).problems(Path())
    assert [Path(p.file).name for p in found] == ["step10", "step100"]


def checkpoints(data, *steps):
    return [data / "lm_checkpoints" / f"step{step:05d}" for step in steps]


def test_a_real_training_is_a_trajectory_of_falling_loss(data, read):
    folders = checkpoints(data, 0, 10, 25, 50, 100, 200, 400, 800, 1600)
    facts = read_all(read, folders, tokenizer=str(data / "lm_checkpoints/tokenizer")).facts
    losses = [facts[f"loss_{folder.name}"] for folder in folders]
    assert losses[0] == pytest.approx(facts["ln_vocabulary"], rel=0.05)
    assert losses[-1] < losses[4] < losses[0]


@pytest.mark.parametrize("steps", [(0, 10, 25), (25, 50, 100), (800, 1600), (10, 100, 1600), (0, 1600)])
def test_any_part_of_a_real_training_is_accepted(steps, data, read):
    answer = read_all(read, checkpoints(data, *steps), tokenizer=str(data / "lm_checkpoints/tokenizer"))
    assert len(answer.steps) == len(steps)


@pytest.mark.parametrize(
    "steps, contents",
    [
        ((0, 10, 25), (0, 25, 10)),
        ((100, 400, 1600), (100, 1600, 400)),
        ((0, 1600), (1600, 0)),
        ((0, 800, 1600), (1600, 800, 0)),
    ],
)
def test_real_checkpoints_that_changed_places_are_refused(steps, contents, data, read, tmp_path):
    for step, content in zip(checkpoints(data, *steps), checkpoints(data, *contents), strict=True):
        shutil.copytree(content, tmp_path / step.name)
    folders = [tmp_path / step.name for step in checkpoints(data, *steps)]
    assert refusal(read, folders, tokenizer=str(data / "lm_checkpoints/tokenizer")).code == "E-MODEL-17"


def test_a_real_checkpoint_copied_under_another_steps_name_is_caught(data, read, tmp_path):
    early = shutil.copytree(checkpoints(data, 1600)[0], tmp_path / "step00010")
    tokenizer = str(data / "lm_checkpoints/tokenizer")
    assert refusal(read, [early, *checkpoints(data, 100, 1600)], tokenizer=tokenizer).code == "E-MODEL-09"
    assert refusal(read, [early, *checkpoints(data, 100, 400)], tokenizer=tokenizer).code == "E-MODEL-17"
