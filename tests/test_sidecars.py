"""Sidecars: BIDS lets a JSON file above an image speak of it."""

from pathlib import Path

import pytest
from laboratory import DATA

from pipeline.sidecars import own_sidecar, sidecars

IMAGE = "sub-01/ses-a/func/sub-01_ses-a_task-story_run-1_bold.nii.gz"


def tree(folder: Path, *names: str) -> Path:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text("{}")
    return folder


def test_files_above_apply_outermost_first_and_the_images_own_last(tmp_path):
    own = "sub-01/ses-a/func/sub-01_ses-a_task-story_run-1_bold.json"
    names = ["task-story_bold.json", "sub-01/sub-01_task-story_bold.json", own]
    tree(tmp_path, "dataset_description.json", *names)
    assert sidecars(tmp_path, IMAGE) == names


@pytest.mark.parametrize(
    "other", ["task-other_bold.json", "task-story_events.json", "sub-01/sub-02_task-story_bold.json",
              "sub-01/ses-a/func/sub-01_ses-a_task-story_run-2_bold.json", "task-story_acq-fast_bold.json"],
)  # fmt: skip
def test_a_file_with_another_entity_or_suffix_does_not_apply(tmp_path, other):
    tree(tmp_path, "dataset_description.json", other)
    assert sidecars(tmp_path, IMAGE) == []


def test_the_search_ends_at_the_root_of_the_data_set(tmp_path):
    tree(tmp_path, "task-story_bold.json", "data/dataset_description.json", "data/bold.json")
    assert sidecars(tmp_path, f"data/{IMAGE}") == ["data/bold.json"]


def test_an_image_with_a_plain_name_has_its_own_sidecar_only(tmp_path):
    tree(tmp_path, "a.json", "b.json", "bold.json")
    assert sidecars(tmp_path, "a.nii.gz") == ["a.json"]


@pytest.mark.parametrize("ending", [".nii", ".nii.gz", ".func.gii", ".dtseries.nii"])
def test_a_sidecar_bears_the_name_of_its_image(ending):
    assert own_sidecar(f"sub-01/sub-01_bold{ending}") == "sub-01/sub-01_bold.json"


@pytest.mark.skipif(not (DATA / "bids_skeletons").is_dir(), reason="needs BRAINALIGN_DATA/bids_skeletons")
def test_a_real_data_set_is_read_by_inheritance():
    image = "sub-01/ses-test/func/sub-01_ses-test_task-linebisection_bold.nii.gz"
    assert sidecars(DATA / "bids_skeletons" / "ds114", image) == ["task-linebisection_bold.json"]
