"""The methods text tells every kind of model with what was chosen."""

import pytest

from pipeline.models import MODELS
from pipeline.recordings import RECORDINGS
from pipeline.report.modelling import model_text
from pipeline.report.recording_text import recording_text

NEEDED = {
    "transformer": {"name": "folder/gpt2"},
    "surprisal": {"name": "folder/gpt2"},
    "static": {"name": "folder/gpt2"},
}
TRANSFORMER = MODELS["transformer"]


def told(kind: str, **settings) -> str:
    return model_text(MODELS[kind](**NEEDED.get(kind, {}) | settings).dump())


@pytest.mark.parametrize("kind", MODELS)
def test_every_kind_of_model_is_told(kind):
    text = told(kind)
    assert text.endswith(".") and "the control `" not in text and "folder/" not in text


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"weights": "random", "seeds": (3, 4)}, "freshly initialised, seeds 3, 4"),
        ({"weights": "shuffled", "seeds": (3,)}, "each tensor in random order, seeds 3"),
        (
            {"weights": "spectrum", "seeds": (3,)},
            "random singular vectors with the singular values of the trained weights",
        ),
        ({"order": "shuffled", "seeds": (3,)}, "read the words of each stretch in random order, seeds 3"),
        ({"name": ("a/step1", "a/step20")}, "step1, step20, checkpoints of one training"),
        ({"revision": ("step1", "step20")}, "gpt2, revision step1, step20, checkpoints of one training"),
        ({"layers": (3, 5)}, "layers 3, 5"),
        ({"context": 77, "min_context": 11}, "windows of 77 tokens, each word with at least 11 tokens"),
        ({"pool": "sum"}, "the sum over its tokens"),
    ],
)
def test_what_is_chosen_is_said(settings, said):
    assert said in told("transformer", **settings)


def test_a_kind_that_nobody_described_is_told_setting_by_setting():
    assert model_text({"kind": "new", "version": 1, "width": 3}) == "the control `new` (width 3)."


OTHER = {
    "how": "glover", "derivatives": 1, "cutoff_hz": 0.2, "delays": (2, 3), "high_pass": 0.01, "smoothing_mm": 4.0, "confounds": ("motion",),
    "motion": "basic", "wm_csf": "full", "global_signal": "full", "n_compcor": 6, "fd_threshold_mm": 0.4, "std_dvars_threshold": 2.0,
    "shortest_stretch": 3, "mask": "masks/language.nii.gz", "mask_space": "template", "resample_mask": True, "parcels": "atlas.nii.gz",
    "correct_motion": True, "filter_features": True,
}  # fmt: skip
# what only counts beside another setting
BESIDE = {
    "derivatives": {"how": "spm"}, "global_signal": {"confounds": ("global_signal",)}, "n_compcor": {"confounds": ("compcor",)},
    **{name: {"confounds": ("scrub",)} for name in ("fd_threshold_mm", "std_dvars_threshold", "shortest_stretch")},
    "mask_space": {"mask": "a.nii.gz"},
}  # fmt: skip


@pytest.mark.parametrize("name", [n for n in RECORDINGS["fmri"].model_fields if n != "kind"])
def test_each_setting_of_an_fmri_recording_changes_the_text(name):
    base = BESIDE.get(name, {})
    before, after = (RECORDINGS["fmri"](**settings).dump() for settings in (base, base | {name: OTHER[name]}))
    assert recording_text("fmri", before) != recording_text("fmri", after)


def test_every_kind_of_recording_is_told():
    for kind, component in RECORDINGS.items():
        assert recording_text("bold", component(kind=kind).dump()).startswith("Recording `bold`: ")
