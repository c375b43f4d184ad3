"""Small parts of the figures and texts that are easy to get wrong."""

import base64
import io

import numpy as np
import pytest
from PIL import Image

from pipeline.report import drawn as pictures
from pipeline.report import views
from pipeline.report.curves import controls, curve
from pipeline.report.figures import LARGEST_BYTES, Picture, spread
from pipeline.report.rows import headline, regions, tidy_layers, twins
from pipeline.report.tables import peak
from pipeline.report.words import count, interval, number, percent, probability, shorten, without_folders

from . import examples


@pytest.mark.parametrize("n", [0, 1, 2, 7, 40])
def test_labels_keep_their_distance_their_order_and_inside(n):
    values = np.random.default_rng(0).normal(0.5, 0.05, n)
    places = spread(values, 0.05, 0.0, 1.0)
    assert len(places) == n
    assert np.all(np.diff(np.sort(places)) >= min(0.05, 1 / max(n - 1, 1)) - 1e-9)
    assert np.array_equal(np.argsort(places), np.argsort(values))
    assert n == 0 or (places.min() >= -1e-9 and places.max() <= 1 + 1e-9)


def test_labels_that_do_not_touch_stay_where_they_are():
    assert spread([0.9, 0.1, 0.5], 0.05, 0.0, 1.0) == pytest.approx([0.9, 0.1, 0.5])


def test_two_labels_at_one_place_move_apart_by_the_same_way():
    assert spread([0.5, 0.5], 0.1, 0.0, 1.0) == pytest.approx([0.45, 0.55])


@pytest.mark.parametrize("value", [None, float("nan"), float("inf"), "n/a", ""])
def test_a_missing_number_is_na(value):
    assert {number(value), count(value), percent(value), probability(value)} == {"n/a"}


def test_numbers_keep_sign_and_size():
    assert (number(-0.0314), number(-0.0), number(np.float32(0.5)), count(np.int64(7))) == (
        "−0.031",
        "0.000",
        "0.500",
        "7",
    )
    assert (percent(1.04), probability(0.0002), interval(-0.1, 0.2)) == ("104", "< 0.001", "[−0.100, 0.200]")


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ("/srv/data/raw/a.tsv", "…/a.tsv"),
        ("at C:\\Users\\jane\\a.tsv", "at …/a.tsv"),
        ("data/raw/a.tsv and/or km/h/s", "data/raw/a.tsv and/or km/h/s"),
        ("</b></i>", "</b></i>"),
    ],
)
def test_only_folders_of_absolute_paths_are_cut(text, left):
    assert without_folders(text) == left


def test_shortening_is_visible():
    assert shorten("abcdef\n", 5) == "abcd…"


def test_twins_are_summed_up_over_seeds_not_over_their_mean():
    layers = tidy_layers(examples.layers(rois=("all",), seeds=(0, 1)))
    rows = layers[(layers["weights"] == "random") & (layers["layer"] == "3")]
    seeds = rows.loc[rows["seed"] != "mean", "r"]
    found = twins(rows)
    assert (found.n_seeds, found.low, found.high) == (2, seeds.min(), seeds.max())
    assert found.mean == pytest.approx(seeds.mean())


def test_a_curve_holds_the_numbers_of_the_table():
    layers = tidy_layers(examples.layers())
    rows = layers[(layers["model"] == "gpt2") & (layers["roi"] == "IFG") & layers["depth"].notna()]
    drawn = curve(layers, ("gpt2", "trained"), "IFG", {})
    assert np.array_equal(drawn.y, rows["r"])
    assert np.array_equal(drawn.low, rows["r_low"])
    assert drawn.x.tolist() == list(range(13))
    assert drawn.chosen == [float(rows["r"].to_numpy().argmax())]


def test_layers_stand_in_numerical_order():
    layers = tidy_layers(examples.layers(rois=("all",)).sample(frac=1, random_state=0))
    assert curve(layers, ("gpt2", "trained"), "all", {}).x.tolist() == list(range(13))


def test_a_control_without_a_score_has_no_line():
    layers = examples.layers(rois=("all",))
    layers.loc[layers["model"] == "oasm", "r"] = np.nan
    assert [level.label for level in controls(tidy_layers(layers), "all")] == [
        "wordrate",
        "position",
        "static",
        "surprisal",
    ]


def test_the_whole_comes_before_its_regions():
    assert regions(tidy_layers(examples.layers(rois=("IFG", "all", "V1")))) == ["all", "IFG", "V1"]


def test_the_peak_is_where_the_response_follows_the_words():
    assert peak(examples.aligned(delay_s=6.0, tr_s=1.0))[0] == pytest.approx(6.0, abs=1.0)


def test_figures_stay_small_and_carry_no_record_of_when_or_where():
    view = views.recording_view(examples.part(aligned=[examples.aligned()]), 0, subject="01", leaky=False)
    for shown in [*view.strips, *(p.picture for p in view.profiles)]:
        data = base64.b64decode(shown.src.partition(",")[2])
        image = Image.open(io.BytesIO(data))
        assert len(data) <= LARGEST_BYTES
        assert image.info == {} and image.size == (shown.width, shown.height)


def test_many_regions_are_drawn_up_to_a_limit_that_is_told(monkeypatch):
    monkeypatch.setattr(pictures, "picture", lambda build, **words: Picture("", words["alt"], words["caption"]))
    layers = examples.layers(rois=("all", *(f"roi{i}" for i in range(30))), n_layers=2, seeds=(0,), controls=())
    view = views.recording_view(examples.part(layers=layers, aligned=()), 0, subject="01", leaky=False)
    assert (len(view.profiles), view.regions_left) == (5, 6)


def test_without_a_written_mean_the_seeds_are_averaged_and_no_interval_is_made_up():
    layers = tidy_layers(examples.layers(rois=("all",), seeds=(0, 1)))
    rows = layers[(layers["weights"] == "random") & (layers["seed"] != "mean")]
    row = headline(rows)
    assert row["r"] == pytest.approx(rows.loc[rows["layer"] == "nested", "r"].mean())
    assert np.isnan(row["r_low"]) and np.isnan(row["r_high"])
