"""The methods text tells every kind of model with what was chosen."""

import pytest

from pipeline.models import MODELS
from pipeline.recordings import RECORDINGS
from pipeline.report.meg_text import meg_references
from pipeline.report.methods import methods_text
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


MEG_OTHER = {
    "form": "continuous", "picks": ("eeg",), "window": (-0.2, 0.8), "l_freq": None, "h_freq": 30.0, "notch": (50.0, 100.0), "sfreq": 200.0,
    "maxwell": "none", "calibration": "cal/other.dat", "cross_talk": "cal/ct.fif", "reference": ("TP9", "TP10"), "artifacts": "ica", "n_ica": 20,
    "bads": ("MEG0113",), "bad_channels": "interpolate", "most_bad": 0.1, "channels": "common", "previous_words": 2, "baseline": (-0.2, 0.0),
    "reject": {"mag": 4e-12}, "clip": None, "align": "affine", "trigger": ("STI101:7",), "jitter_ms": 3.0, "passive": ("static",),
    "beside": ("wordrate",), "source": {"forward": "fwd/{subject}-fwd.fif"},
}  # fmt: skip
MEG_BESIDE = {
    "n_ica": {"artifacts": "ica"}, "align": {"trigger": ("STI101:5",)},
    **{name: {"align": "triggers", "trigger": ("STI101:5",)} for name in ("trigger", "jitter_ms")},
}  # fmt: skip
SOURCE = {"forward": "b-fwd.fif", "noise_cov": "b-cov.fif", "snr": 2.0, "labels": ("lh.a.label",)}


@pytest.mark.parametrize("name", [n for n in RECORDINGS["meg"].model_fields if n != "kind"])
def test_each_setting_of_an_meg_recording_changes_the_text(name):
    base = MEG_BESIDE.get(name, {})
    before, after = (RECORDINGS["meg"](**settings).dump() for settings in (base, base | {name: MEG_OTHER[name]}))
    assert recording_text("meg", before) != recording_text("meg", after)


@pytest.mark.parametrize("name", SOURCE)
def test_each_setting_of_the_source_space_changes_the_text(name):
    base = {"forward": "a-fwd.fif"}
    before, after = (RECORDINGS["meg"](source=source).dump() for source in (base, base | {name: SOURCE[name]}))
    assert recording_text("meg", before) != recording_text("meg", after)


def test_only_what_is_used_is_cited():
    plain, sources = (RECORDINGS["meg"](**s).dump() for s in ({}, {"source": {"forward": "a-fwd.fif"}}))
    assert meg_references({"bold": RECORDINGS["fmri"]().dump()}) == ""
    assert "Gramfort" in meg_references({"meg": plain}) and "Dale" not in meg_references({"meg": plain})
    assert "Dale" in meg_references({"meg": sources})


def test_every_kind_of_recording_is_told():
    for kind, component in RECORDINGS.items():
        assert recording_text("bold", component(kind=kind).dump()).startswith("Recording `bold`: ")


def test_runs_that_were_left_out_are_told():
    from pipeline.config import Study

    study = {"study": "a", "recordings": {"bold": {"kind": "arrays"}}, "models": {"rate": {"kind": "wordrate"}}}
    texts = [
        methods_text(Study.model_validate(study | {"dataset": {"kind": "manifest", "root": "lab"} | chosen}).told())
        for chosen in ({}, {"splits": ["train"]})
    ]
    assert "Only the runs marked `train`" in texts[1] and "Only the runs" not in texts[0]
