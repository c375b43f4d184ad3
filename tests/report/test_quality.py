"""Data quality on the page: numbers, pictures, and what is absent."""

import re

import numpy as np
import pytest

from pipeline.report import subject_page
from pipeline.report.quality import absences, caption, in_words, limits, quality_figure, quality_table

from . import examples
from .test_pages import OUR_TAGS, PAYLOADS, Seen, text_of


def page_of(*quality):
    return subject_page(examples.page(examples.part(aligned=[], quality=list(quality))))


def drawn(part):
    return examples.drawn(lambda: quality_figure(part))


def titles(figure):
    return [axes._left_title.get_text() for axes in figure.axes]


NOTHING = {name: None for name in ("fd", "dvars", "motion", "carpet", "tsnr", "left_out")}


def test_the_table_has_a_row_per_run_with_every_number_and_reason():
    table = quality_table([examples.measured("a"), examples.measured("b", seed=1)], "N = 2 runs")
    told = dict(zip(table.columns, table.rows[0], strict=True))
    assert told["volumes"] == "282" and told["TR (s)"] == "2.00" and told["way in"] == "raw images"
    assert told["degrees of freedom left"] == "236" and told["confounds"] == "24"
    assert told["volumes left out"] == "2 (moved more than 0.5 mm 2)"
    assert told["targets left out"] == "17 (constant 14; holds missing values 3)"
    assert len(table.rows) == 2


def test_what_no_run_has_is_no_column_and_never_0():
    nan = float("nan")
    bare = examples.measured(
        "a", fd_mean=nan, fd_max=nan, fd_share=nan, df_left=nan, n_confounds=nan, censored={}, route=""
    )
    columns = quality_table([bare], "").columns
    assert not {
        "FD mean (mm)",
        "FD max (mm)",
        "FD > .5 mm (%)",
        "degrees of freedom left",
        "volumes left out",
        "way in",
    } & set(columns)
    assert {"run", "volumes", "DVARS", "tSNR"} <= set(columns)


def test_all_traces_share_one_clock_in_seconds():
    figure = drawn(examples.measured())
    over_time = [axes for axes in figure.axes if not axes._left_title.get_text().startswith("tSNR")]
    assert len(over_time) == 5 and {axes.get_xlim() for axes in over_time} == {(0.0, 564.0)}
    assert [axes.get_xlabel() for axes in over_time] == ["", "", "", "", "time in the run (s)"]


def test_the_line_of_half_a_millimetre_and_every_volume_left_out_are_marked():
    part = examples.measured()
    axes = next(a for a in drawn(part).axes if a._left_title.get_text().startswith("Framewise"))
    assert any(np.allclose(line.get_ydata(), 0.5) for line in axes.lines)
    marked = [(patch.get_x(), patch.get_width()) for patch in axes.patches]
    assert marked == [(2.0 * i, 2.0) for i in np.flatnonzero(part.left_out)] and len(marked) == 2


def test_the_carpet_is_grey_between_minus_two_and_two():
    axes = next(a for a in drawn(examples.measured()).axes if a._left_title.get_text().startswith("Carpet"))
    (image,) = axes.images
    assert (image.get_cmap().name, image.get_clim()) == ("gray", (-2.0, 2.0))
    assert image.get_extent()[:2] == [0, 564.0]


def test_no_text_of_the_picture_lies_on_another():
    figure = drawn(examples.measured())
    boxes = [axes._left_title.get_window_extent() for axes in figure.axes]
    boxes += [
        text.get_window_extent() for axes in figure.axes if axes.get_legend() for text in axes.get_legend().get_texts()
    ]
    boxes += [axes.xaxis.label.get_window_extent() for axes in figure.axes if axes.get_xlabel()]
    assert len(boxes) == 6 + 6 + 1
    assert not [(i, j) for i in range(len(boxes)) for j in range(i) if boxes[i].overlaps(boxes[j])]
    edge = figure.bbox
    assert all(edge.x0 <= box.x0 and box.x1 <= edge.x1 and edge.y0 <= box.y0 and box.y1 <= edge.y1 for box in boxes)


@pytest.mark.parametrize("gone", ["fd", "dvars", "motion", "carpet", "tsnr", "left_out"])
def test_what_was_not_measured_is_left_out_and_the_rest_drawn(gone):
    names = {"fd": "Framewise", "dvars": "DVARS", "motion": "Head", "carpet": "Carpet", "tsnr": "tSNR"}
    found = titles(drawn(examples.measured(**{gone: None})))
    assert not [t for t in found if t.startswith(names.get(gone, "nothing"))]
    assert len(found) == 6 - {"motion": 2, "left_out": 0}.get(gone, 1)


@pytest.mark.parametrize(
    "change",
    [
        {"fd": np.full((1, 282), np.nan)},
        {"repeats": 3},
        {"n": 2000, "tr_s": 0.8},
        {"n": 3, "left_out": np.ones(3, bool)},
        {"carpet": np.full((5, 282), np.nan)},
        {"tsnr": np.full(10, 7.0)},
        {"tsnr": np.array([np.nan, np.inf, 3.0])},
        {"run": "$x_{ 狐狸" * 20},
    ],
)
def test_odd_measurements_draw_without_a_warning(change):
    drawn(examples.measured(**change))


def test_captions_say_n_and_what_orange_is():
    told = caption(examples.measured("a"))
    assert all(part in told for part in ("N = 282 volumes", "N = 5000 targets", "Orange: 2 volumes left out"))
    assert re.search(r"displacement 0\.\d\d mm on average, 1\.\d\d mm at most", in_words(examples.measured()))


def test_limits_of_a_way_in_are_told_once_and_with_their_runs_when_not_of_all():
    raw, other = examples.measured("a"), examples.measured("b", limits=[])
    assert limits([raw, raw._replace(run="c")]) == list(raw.limits)
    assert limits([raw, other]) == [f"Run a: {raw.limits[0]}"]


def test_the_limits_of_raw_images_are_a_notice_on_the_page(undrawn):
    notices = re.findall(r'<p class="notice">([^<]*)</p>', page_of(examples.measured()))
    assert "Raw images: no slice-timing correction, no distortion correction; fMRIPrep is recommended." in notices


def test_a_recording_without_measurements_has_no_section_or_says_why(undrawn):
    assert 'id="rec0-quality"' not in page_of()
    bare = examples.measured(**NOTHING, absent={"movement": "the arrays came without any"})
    page = page_of(bare)
    assert 'id="rec0-quality"' in page and 'href="#rec0-quality"' in page
    assert "No movement: the arrays came without any." in text_of(page)
    assert absences([bare, bare._replace(run="2")]) == ["No movement: the arrays came without any."]


def test_two_runs_are_drawn_and_the_rest_counted():
    page = page_of(*[examples.measured(str(i), n=60) for i in range(8)])
    assert "6 more runs in the table only" in text_of(page) and "could not be drawn" not in page
    assert len(page.encode()) < 5_000_000


@pytest.mark.parametrize("payload", PAYLOADS)
def test_hostile_text_in_a_measurement_comes_out_as_text(undrawn, payload):
    part = examples.measured(
        payload, route=payload, censored={payload: 3}, dropped={payload: 1}, limits=[payload], absent={payload: payload}
    )
    seen = Seen(page_of(part))
    assert seen.tags <= OUR_TAGS and not [name for name in seen.attributes if name.startswith("on")]
    assert seen.text.count(payload) >= 5
