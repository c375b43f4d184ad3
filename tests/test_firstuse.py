"""Weights are remembered, and a change under the same name stops the model before anything is made of it."""

import json

import pytest

from pipeline import firstuse
from pipeline.jobs import Job
from pipeline.layout import Layout
from pipeline.problems import StudyError

SETTINGS = {"kind": "transformer", "name": "some/model", "revision": "", "sha256": ""}


def job(folder, **settings):
    return Job(Layout(folder), {"model": SETTINGS | settings}, model="m")


def test_the_same_weights_pass_and_others_are_refused(tmp_path):
    for _ in range(2):
        firstuse.compare(job(tmp_path), {"weights_sha256": "a" * 64, "loss": 3.0})
    with pytest.raises(StudyError) as error:
        firstuse.compare(job(tmp_path), {"weights_sha256": "b" * 64})
    problem = error.value.problems[0]
    assert problem.code == "E-MODEL-04" and problem.exit_code == 4
    assert "b" * 64 in problem.found and "a" * 64 in problem.expected and "weights.json" in problem.fix


def test_a_hash_in_the_study_permits_the_change(tmp_path):
    firstuse.compare(job(tmp_path), {"weights_sha256": "a"})
    firstuse.compare(job(tmp_path, sha256="b"), {"weights_sha256": "b"})
    firstuse.compare(job(tmp_path), {"weights_sha256": "b"})


def test_every_checkpoint_and_revision_is_remembered_by_itself(tmp_path):
    firstuse.compare(job(tmp_path, revision=["x", "y"]), {"weights_sha256_x": "a", "weights_sha256_y": "b"})
    firstuse.compare(job(tmp_path, revision="z"), {"weights_sha256": "c"})
    with pytest.raises(StudyError, match="weights_sha256_y"):
        firstuse.compare(job(tmp_path, revision=["x", "y"]), {"weights_sha256_x": "a", "weights_sha256_y": "d"})
    assert len(json.loads(Layout(tmp_path).weights("m").read_text())) == 2


@pytest.mark.parametrize(
    "settings, facts",
    [
        ({}, {"weights_sha256_seed0": "a"}),
        ({"name": "${STUDY}/model"}, {"weights_sha256": "a"}),
        ({}, {"n_words": 3}),
    ],
)
def test_what_is_made_anew_each_time_is_not_remembered(settings, facts, tmp_path):
    firstuse.compare(job(tmp_path, **settings), facts)
    assert not Layout(tmp_path).weights("m").exists()
