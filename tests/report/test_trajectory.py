"""A model with checkpoints: the last stands for it, and a picture of its own shows them all."""

import html
import re

import numpy as np
import pytest

from pipeline.comparison import at_last_step
from pipeline.report import group_page, steps, subject_page, subject_sentence
from pipeline.report.curves import curve
from pipeline.report.rows import ALL, tidy_layers
from pipeline.report.tables import results_table
from pipeline.report.trajectory import trajectory_figure
from pipeline.report.views import recording_view

from . import examples
from .test_pages import text_of

STEPS = ("step0", "step10", "step100")


def made(steps_=STEPS, **changes):
    return examples.layers(steps=steps_, rois=changes.pop("rois", ("all", "IFG")), **changes)


def test_a_trajectory_holds_the_nested_scores_of_the_table_in_the_order_of_training():
    layers = tidy_layers(made())
    found = steps.trajectory(layers, "gpt2", "IFG", {})
    rows = layers[(layers["model"] == "gpt2") & (layers["roi"] == "IFG") & (layers["layer"] == "nested")]
    assert [p.step for p in found.points] == list(STEPS)
    np.testing.assert_array_equal([(p.r, p.low, p.high) for p in found.points], rows[["r", "r_low", "r_high"]])
    assert [p.layer for p in found.points] == rows["chosen"].tolist()


def test_everything_else_on_the_page_speaks_of_the_last_step():
    every = made()
    layers = tidy_layers(every)
    last = at_last_step(layers)
    drawn = curve(last, ("gpt2", "trained"), ALL, {})
    of_last = layers[(layers["step"] == "step100") & (layers["roi"] == ALL) & layers["depth"].notna()]
    assert np.array_equal(drawn.y, of_last["r"]) and drawn.name == "trained gpt2 (step100)"
    row = results_table(last, "", ceiling=False).rows[0]
    assert row[1:3] == ["gpt2", "trained (step100)"]
    sentence = subject_sentence(examples.page(examples.part(layers=every)))
    assert f"gpt2 at step100, its last checkpoint, scores r = {drawn.nested:.3f}" in sentence


@pytest.mark.parametrize(
    ("names", "places"),
    [
        (("step0", "step10", "step20", "step70"), [0, 1, np.log2(3), 3]),
        (("step000010", "step000030"), [1, 2]),
        (("1M", "3M", "7M"), [1, 2, 3]),
        (("stage1-step5", "stage1-step15"), [1, 2]),
    ],
)
def test_numbered_steps_are_spaced_by_their_logarithm_and_0_has_a_place(names, places):
    found, by_number = steps.places(names)
    assert by_number and found == pytest.approx(places)


@pytest.mark.parametrize(
    "names",
    [
        ("early", "late"),
        ("step20", "step10"),
        ("1M", "10M", "1B"),
        ("a1", "b2"),
        ("step5",),
        ("step1", "step1a"),
        ("main", "step9"),
    ],
)
def test_other_names_stand_evenly_in_the_order_of_training(names):
    found, by_number = steps.places(names)
    assert not by_number and found.tolist() == list(range(len(names)))
    assert "evenly" in steps.how_placed(names)


def points(*r: float) -> steps.Trajectory:
    return steps.Trajectory(
        "m", "all", [steps.Point(f"step{i}", v, v - 0.01, v + 0.01, "3") for i, v in enumerate(r)], []
    )


def test_the_sentence_tells_first_last_and_best_and_how_the_layer_was_chosen():
    told = steps.trajectory_sentence(points(0.01, 0.2, 0.15), steps.Learning([], [7.6, 5.0, 3.1], 7.62))
    assert told == (
        "Over training (3 checkpoints), m goes from r = 0.010 [0.000, 0.020] at step0 to r = 0.150 [0.140, 0.160] at step2, "
        "its last; highest 0.200 at step1, picked by the score it shows and so a little too high; the layer is chosen on "
        "inner folds for each step. Its loss on the stimulus text goes from 7.600 to 3.100 nats per token (knowing nothing: 7.620)."
    )
    assert "at step1, its last and highest;" in steps.trajectory_sentence(points(0.01, 0.2), None)
    assert steps.trajectory_sentence(points(0.1), None).startswith("The one checkpoint of m with a score has r = 0.100")
    assert steps.trajectory_sentence(points(np.nan), None) == "No checkpoint of m has a score."


def test_the_loss_stands_beside_each_step_and_is_missing_where_it_was_not_recorded():
    networks = examples.networks(STEPS)
    networks[0] = networks[0]._replace(loss={"step0": 10.8, "step100": 4.0})
    found = steps.learning(STEPS, "gpt2", networks)
    np.testing.assert_array_equal(found.loss, [10.8, np.nan, 4.0])
    assert steps.learning(STEPS, "gpt2", []) is None and steps.learning(("x",), "gpt2", networks) is None
    one = steps.trajectory(tidy_layers(made()), "gpt2", ALL, {})
    rows = steps.trajectory_table([one], found, "").rows
    assert [(row[0], row[2]) for row in rows] == [("step0", "10.800"), ("step10", "n/a"), ("step100", "4.000")]


def view_of(layers, networks=()):
    return recording_view(examples.part(layers=layers, aligned=()), 0, subject="01", leaky=False, networks=networks)


def test_the_figure_has_a_panel_for_the_whole_the_loss_and_six_regions_and_tells_of_more(undrawn):
    rois = ("all", *(f"roi{i}" for i in range(8)))
    layers = tidy_layers(made(rois=rois, n_layers=2, controls=(), seeds=()))
    found = [steps.trajectory(layers, "gpt2", roi, {}) for roi in rois[:7]]
    loss = steps.learning(STEPS, "gpt2", examples.networks(STEPS))
    assert len(trajectory_figure(found, loss, unit="runs", subjects=False).axes) == 8
    assert len(trajectory_figure(found, None, unit="runs", subjects=False).axes) == 7
    (drawn,) = view_of(made(rois=rois, n_layers=2, controls=(), seeds=())).trajectories
    assert "2 more regions in layers.tsv only." in drawn.picture.caption
    assert {row[1] for row in drawn.table.rows} == set(rois[:7])


def test_names_of_steps_that_would_touch_are_left_out_and_ends_are_kept():
    names = tuple(f"step{n}" for n in [0, *range(1000, 144000, 1000)])
    found = [
        steps.trajectory(tidy_layers(made(names, rois=("all",), n_layers=1, controls=(), seeds=())), "gpt2", ALL, {})
    ]
    axes = trajectory_figure(found, None, unit="", subjects=False).axes[0]
    shown = [label.get_text() for label in axes.get_xticklabels()]
    assert (shown[0], shown[-1]) == ("step0", "step143000") and 5 < len(shown) < 50
    inches = axes.get_position().width * axes.figure.get_figwidth() / np.ptp(axes.get_xlim())
    assert (np.diff(axes.get_xticks()) * inches).min() >= 0.2 - 1e-9


def test_the_loss_panel_has_the_line_of_knowing_nothing():
    found = [steps.trajectory(tidy_layers(made(rois=("all",))), "gpt2", ALL, {})]
    loss = steps.learning(STEPS, "gpt2", examples.networks(STEPS))
    axes = trajectory_figure(found, loss, unit="runs", subjects=False).axes[1]
    dashed = [line for line in axes.get_lines() if line.get_linestyle() == "--"]
    assert [line.get_ydata()[0] for line in dashed] == [examples.LN_V]
    assert axes.get_ylim()[1] > examples.LN_V


def test_a_page_shows_the_trajectory_with_its_numbers_and_words():
    part = examples.part(layers=made(), aligned=())
    page = subject_page(examples.page(part, networks=examples.networks(STEPS)))
    assert "could not be drawn" not in page
    assert page.count('id="rec0-trajectory"') == 1 and 'href="#rec0-trajectory"' in page
    alts = [html.unescape(alt) for alt in re.findall(r'<img [^>]*alt="([^"]*)"', page)]
    assert re.search(r"Region all: 0\.\d{3} at step0, 0\.\d{3} at step10, 0\.\d{3} at step100\.", alts[-1])
    assert f"Dashed at ln(vocabulary) {examples.LN_V:.3f}." in alts[-1]
    text = text_of(page)
    assert "Numbers of the trajectory of gpt2" in text and "There is no mean over checkpoints." in text
    assert "Of models with checkpoints: the last one." in text


def test_a_study_without_checkpoints_has_no_such_section(undrawn):
    page = subject_page(examples.page())
    assert "rec0-trajectory" not in page and "checkpoint" not in text_of(page)


def test_a_group_draws_every_subject_and_the_mean():
    group = examples.group(4, steps=STEPS)
    page = group_page(group)
    assert "could not be drawn" not in page and 'id="rec0-trajectory"' in page
    tables = {s: tidy_layers(t) for s, t in group.recordings[0].subjects.items()}
    one = steps.trajectory(tidy_layers(group.recordings[0].layers), "gpt2", ALL, tables)
    assert np.mean(one.thin, axis=0) == pytest.approx([p.r for p in one.points])
    each = page[page.index('id="rec0-each"') :]
    assert each.count("trained (step100)") == 4 and "step10)" not in text_of(each)


def test_a_leaky_split_is_told_beside_the_trajectory(undrawn):
    view = recording_view(examples.part(layers=made(), aligned=()), 0, subject="01", leaky=True)
    assert view.trajectories[0].sentence.startswith("LEAKY SPLIT")
    assert view.trajectories[0].picture.caption.startswith("LEAKY SPLIT")


@pytest.mark.parametrize(
    "layers",
    [
        made(("only",)),
        made(rois=("IFG",), n_layers=1),
        made().assign(r=np.nan, r_low=np.nan, r_high=np.nan),
        made(("$\\frac{1}{$", "<script>" * 20, "狐狸")),
    ],
)
def test_what_is_absent_or_odd_breaks_no_trajectory(layers):
    drawn = view_of(layers, examples.networks(tuple(dict.fromkeys(layers["step"]))[:-1])).trajectories[0]
    assert drawn.picture.problem == ""
