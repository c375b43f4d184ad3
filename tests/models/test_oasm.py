"""Sequences that hold nothing of the stimulus: bumps in time, one layer per width."""

from pathlib import Path

import numpy as np
import pytest
from pydantic import ValidationError
from scipy.ndimage import gaussian_filter1d

from pipeline.models import MODELS
from pipeline.problems import StudyError


def oasm(words, **settings):
    (answer,) = MODELS["oasm"](**settings).activations({"run1": words}, study_dir=Path())
    return answer


@pytest.fixture
def seconds(table):
    """A word each second, without duration."""

    def make(n, **columns):
        return table(["x"] * n, **columns).assign(onset=np.arange(float(n)), duration=0.0)

    return make


def test_it_knows_nothing_but_the_time(table):
    one, other = (oasm(table(["the", w, "swims"])).values for w in ("otter", "badger"))
    assert (one == other).all()


def test_bumps_are_one_width_apart_and_as_wide(seconds):
    values = oasm(seconds(61), width_s=6.0).values
    assert values.shape == (61, 1, 11)
    assert values[:, 0].argmax(axis=0).tolist() == list(range(0, 61, 6))
    assert values[6, 0, 0] == pytest.approx(np.exp(-0.5))
    assert MODELS["oasm"]().private and MODELS["oasm"]().sampled == "state"


def test_it_is_an_identity_matrix_smoothed_with_a_gaussian_in_each_block_and_zeros_between(seconds):
    blocks = [7, 5, 9]
    words = seconds(21, passage=np.repeat(["a", "b", "a"], blocks))
    smoothed = np.zeros((21, 21))
    for start, length in zip([0, 7, 12], blocks, strict=True):
        inside = slice(start, start + length)
        smoothed[inside, inside] = gaussian_filter1d(np.eye(length), 1.0, axis=1, mode="constant", truncate=10)
    values = oasm(words, width_s=1.0, block="passage").values[:, 0]
    np.testing.assert_allclose(values / np.sqrt(2 * np.pi), smoothed, atol=1e-6)


@pytest.mark.parametrize("block", ["passage", "sentence"])
def test_a_block_is_like_a_run_of_its_own(block, table):
    words = table(["x"] * 60, **{block: ["a"] * 25 + ["b"] * 35})
    whole = oasm(words, width_s=3.0, block=block).values[:, 0]
    parts = [oasm(part, width_s=3.0).values[:, 0] for part in (words[:25], words[25:])]
    np.testing.assert_allclose(whole[:25, : parts[0].shape[1]], parts[0], atol=1e-6)
    np.testing.assert_allclose(whole[25:, parts[0].shape[1] :], parts[1], atol=1e-6)
    assert not whole[:25, parts[0].shape[1] :].any() and not whole[25:, : parts[0].shape[1]].any()


def test_a_run_that_is_one_passage_needs_no_block(table):
    words = table(["x"] * 60, passage=["a"] * 60)
    assert (oasm(words, block="passage").values == oasm(words).values).all()


def test_each_width_is_a_layer_filled_up_with_zeros(table):
    words = table(["x"] * 100)
    answer = oasm(words, width_s=[12.0, 3.0, 6.0])
    assert answer.layers == (0, 1, 2) and answer.values.shape == (100, 3, 14)
    for layer, width in enumerate([12.0, 3.0, 6.0]):
        alone = oasm(words, width_s=width).values[:, 0]
        assert (answer.values[:, layer, : alone.shape[1]] == alone).all()
        assert not answer.values[:, layer, alone.shape[1] :].any()
        assert answer.facts[f"width_s_layer{layer}"] == width
        assert answer.facts[f"n_bumps_layer{layer}"] == alone.shape[1]


def test_a_number_and_a_list_of_it_are_the_same(table):
    words = table(["x"] * 50)
    assert (oasm(words, width_s=6).values == oasm(words, width_s=[6.0]).values).all()


def test_a_single_width_gives_what_it_always_gave(table):
    words = table(["x"] * 5)  # onsets 0 to 1.6 s, the last word ends at 1.9 s
    expected = np.exp(-0.5 * np.array([[0, 0.8], [0.4, 0.4], [0.8, 0], [1.2, 0.4], [1.6, 0.8]]) ** 2 / 0.8**2)
    expected = np.column_stack([expected, np.exp(-0.5 * (np.array([1.6, 1.2, 0.8, 0.4, 0]) / 0.8) ** 2)])
    np.testing.assert_allclose(oasm(words, width_s=0.8).values[:, 0], expected, rtol=1e-6)


def test_the_width_is_chosen_among_three_unless_one_is_given():
    assert MODELS["oasm"]().width_s == (6.0, 12.0, 24.0)


@pytest.mark.parametrize("widths", [[], [3.0, 6.0, 3.0], 0.0, -1.0, [3.0, float("inf")], float("nan")])
def test_widths_that_cannot_be_chosen_among_are_refused(widths):
    with pytest.raises(ValidationError, match="width"):
        MODELS["oasm"](width_s=widths)


@pytest.mark.parametrize("width_s", [6.0, (3.0, 6.0, 12.0)])
def test_onsets_in_milliseconds_are_refused(width_s, table):
    words = table(["x"] * 5000).assign(onset=np.arange(5000.0) * 400)
    with pytest.raises(StudyError, match="are the onsets in seconds") as caught:
        oasm(words, width_s=width_s)
    assert caught.value.problems[0].code == "E-MODEL-13"


def test_passages_that_nobody_marked_are_refused(table):
    with pytest.raises(StudyError) as caught:
        oasm(table(["x"] * 5), block="passage")
    assert caught.value.problems[0].code == "E-WORDS-10"
