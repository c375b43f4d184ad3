"""The methods text tells every kind of model with what was chosen."""

import pytest

from pipeline.models import MODELS
from pipeline.report.modelling import model_text

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
