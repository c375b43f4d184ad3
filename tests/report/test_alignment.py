"""The pictures of the clock, and what the page makes of them."""

import html
import re

import numpy as np
import pytest
from matplotlib.colors import to_hex
from matplotlib.figure import Figure

from pipeline.aligning import together
from pipeline.problems import Problem
from pipeline.report import UsedRun, alignment, lag_figure, lags, subject_light, subject_page
from pipeline.report.figures import LIGHTS
from pipeline.report.tables import alignment_table, used_table

from . import examples
from .test_pages import OUR_TAGS, PAYLOADS, Seen, text_of


@pytest.fixture(scope="module")
def green():
    return examples.judged("a", sound=True, censored=(10, 11))


@pytest.fixture(scope="module")
def red():
    return examples.judged("b", roi=True, shift_s=-20.0)


@pytest.fixture(scope="module")
def weak():
    return examples.judged("c", n=160, effect=0.0)


def page_of(*runs, **changes):
    return examples.page(examples.part(aligned=list(runs), **changes), warnings=[])


def words_in(figure: Figure) -> list:
    return [text for axes in figure.axes for text in axes.texts if text.get_text()]


def test_one_run_on_another_clock_makes_the_page_red(undrawn, green, red):
    page = page_of(green, red)
    assert subject_light(page)[0] == "red"
    assert "words and responses of 1 run do not lie on one clock" in text_of(subject_page(page))


def test_a_run_too_weak_to_tell_makes_it_amber_and_a_good_one_green(green, weak):
    assert subject_light(page_of(green, weak)) == ("amber", "alignment to check in 1 run")
    assert subject_light(page_of(green)) == ("green", "no warnings")


def test_a_warning_that_clocks_differ_makes_the_page_red_without_its_run(green):
    warned = page_of(green)._replace(
        warnings=[Problem("W-WORDS-10", "words and responses of run z do not lie on one clock")]
    )
    assert subject_light(warned)[0] == "red"


def test_all_runs_together_and_the_lag_scan_count_too(green):
    late = [examples.judged(str(i), n=120, roi=True, shift_s=-20.0, seed=i) for i in range(3)]
    assert subject_light(page_of(green, together=together(late)))[0] == "red"
    assert subject_light(page_of(green, lag_scans=[examples.scanned(16.0)]))[0] == "red"
    assert subject_light(page_of(green, lag_scans=[examples.scanned(4.0)]))[0] == "green"


def test_the_table_gives_peak_chance_and_verdict_of_every_run(green, red, weak):
    table = alignment_table([green, red, weak], "N = 3 runs")
    assert [row[5] for row in table.rows] == ["green", "red", "amber"]
    assert table.rows[1][2] == "26.0" and "do not lie on one clock" in table.rows[1][6]
    assert "too weak to tell" in table.rows[2][6] and all(len(row) == len(table.columns) for row in table.rows)


def test_the_verdict_stands_on_the_page_in_its_colour(undrawn, green, red):
    page = subject_page(page_of(green, red))
    assert '<strong class="green">green</strong>' in page and '<strong class="red">red</strong>' in page


@pytest.mark.parametrize("which", ["green", "red", "weak"])
def test_the_picture_says_the_verdict_in_its_colour_and_draws_without_a_warning(which, request):
    run = request.getfixturevalue(which)
    figure = examples.drawn(lambda: alignment.alignment(run))
    (said,) = [text for text in words_in(figure) if text.get_text() == run.light.upper()]
    assert to_hex(said.get_bbox_patch().get_facecolor()) == LIGHTS[run.light].lower()


@pytest.mark.parametrize("which", ["green", "red", "weak"])
def test_no_text_of_the_lag_panel_lies_on_another(which, request):
    figure = examples.drawn(lambda: alignment.alignment(request.getfixturevalue(which)))
    axes = figure.axes[-1]
    texts = [t for t in [*axes.texts, axes._left_title, *axes.get_legend().get_texts()] if t.get_text()]
    boxes = [text.get_window_extent() for text in texts]
    assert len(boxes) >= 6
    assert not [(i, j) for i in range(len(boxes)) for j in range(i) if boxes[i].overlaps(boxes[j])]


def test_a_step_spans_its_own_volume():
    """Words from 4 to 6 s and no others: the step lies there and not half a volume before."""
    run = examples.aligned()
    rate = np.where(run.sample_times_s == 4, 5.0, 0.0)
    axes = examples.drawn(lambda: alignment.alignment(run._replace(word_rate=rate, onsets=np.array([4.5])))).axes[1]
    corners = axes.collections[1].get_paths()[0].vertices if len(axes.collections) > 1 else None
    high = corners[corners[:, 1] > 4]
    assert (high[:, 0].min(), high[:, 0].max()) == (4.0, 6.0)


def test_the_whole_run_is_drawn_with_words_beyond_its_end():
    run = examples.aligned(seconds=400.0)
    late = run._replace(
        onsets=np.append(run.onsets, 460.0), durations=np.append(run.durations, 0.1), words=[*run.words, "x"]
    )
    assert examples.drawn(lambda: alignment.alignment(late)).axes[3].get_xlim() == (0.0, 460.0)


def test_the_loudness_of_the_sound_is_a_line_with_its_name(green, red):
    names = [[line.get_label() for line in alignment.alignment(run).axes[-1].lines] for run in (green, red)]
    assert "loudness of the sound" in names[0] and "loudness of the sound" not in names[1]


def test_caption_and_words_tell_n_lag_and_verdict(green):
    assert re.search(
        r"peak r = 0\.\d{3} at \+\d\.0 s; green, inside 3 to 8 s\..*\(p = 0\.001\)", alignment.caption(green)
    )
    assert "words against 240 volumes" in alignment.in_words(green)


def test_words_inside_and_outside_are_counted_with_their_share():
    table = used_table([UsedRun("1", "train", 100, 2.0, 200.0, 400, 10, 1)], "N = 1 run")
    told = dict(zip(table.columns, table.rows[0], strict=True))
    assert [told[c] for c in ("words in the table", "in the run", "outside", "outside (%)")] == [
        "400",
        "390",
        "10",
        "2.5",
    ]


@pytest.mark.parametrize(
    ("peak_s", "clear", "light"),
    [
        (4.0, True, "green"),
        (4.0, False, "amber"),
        (2.0, True, "amber"),
        (16.0, True, "red"),
        (-12.0, True, "red"),
        (16.0, False, "amber"),
    ],
)
def test_a_lag_scan_is_judged_by_where_its_score_peaks_and_how_clearly(peak_s, clear, light):
    scan = examples.scanned(peak_s, clear)
    assert lags.lag_light(scan) == light
    assert re.search(rf"peaks at [+−]{abs(peak_s)} s", lags.lag_sentence(scan))


def test_without_an_interval_no_lag_scan_is_red():
    assert lags.lag_light(examples.scanned(16.0, low=None, high=None)) == "amber"
    assert lags.lag_light(examples.scanned(r=np.full(21, np.nan))) is None
    assert lags.lag_light(examples.scanned(4.0, r=np.linspace(-0.2, -0.1, 21), low=None, high=None)) == "amber"


@pytest.mark.parametrize(
    "scan",
    [
        examples.scanned(),
        examples.scanned(-20.0, low=None, high=None),
        examples.scanned(20.0, expected_s=None),
        examples.scanned(r=np.full(21, np.nan)),
        examples.scanned(r=np.zeros(21), model="$x_{" * 20, layer="$", roi="狐"),
    ],
)
def test_every_lag_scan_draws_without_a_warning_and_has_its_numbers(scan):
    examples.drawn(lambda: lag_figure.lag_figure(scan))
    table = lags.lag_table(scan, "N = 21 lags")
    assert len(table.rows) == 21 and "N = 21 lags" in lags.lag_caption(scan)


def test_the_page_shows_the_lag_scan_with_sentence_picture_and_numbers(green):
    page = subject_page(page_of(green, lag_scans=[examples.scanned()]))
    assert "could not be drawn" not in page
    assert "The score of gpt2 (layer 7, all) peaks at +4.0 s" in text_of(page)
    assert "Numbers of the lag scan of gpt2" in text_of(page)


def test_all_runs_together_are_a_row_and_a_picture(green):
    found = together([examples.judged(str(i), n=120, seed=i) for i in range(4)])
    page = subject_page(page_of(green, together=found))
    assert "4 runs together" in text_of(page) and "could not be drawn" not in page
    examples.drawn(lambda: lag_figure.together_figure(found))


@pytest.mark.parametrize("payload", PAYLOADS)
def test_hostile_names_in_the_check_come_out_as_text(undrawn, green, payload):
    scan = examples.scanned(model=payload, layer=payload, roi=payload, unit=payload)
    page = subject_page(page_of(green._replace(run=payload, signal_name=payload), lag_scans=[scan]))
    seen = Seen(page)
    assert seen.tags <= OUR_TAGS and not [a for a in seen.attributes if a.startswith("on")]
    assert seen.text.count(payload) >= 4 and html.escape(payload)[:1] != "<"


def test_twenty_runs_make_a_page_of_less_than_five_megabytes(green):
    page = subject_page(page_of(*[green._replace(run=str(i)) for i in range(20)]))
    assert page.count("data:image/png") <= 12 and len(page.encode()) < 5_000_000
    assert "18 more runs in the table only" in text_of(page)


def test_what_is_drawn_is_what_should_be_looked_at():
    from pipeline.report.views import worst_clocks

    run = examples.judged("1")
    runs = [
        run._replace(run=str(i), light=light) for i, light in enumerate(["green", "green", "red", "green", "amber"])
    ]
    assert [one.run for one in worst_clocks(runs)] == ["2", "4"]
    assert [one.run for one in worst_clocks([one._replace(light="green") for one in runs])] == ["0", "1"]
    assert len(worst_clocks([one._replace(light="red") for one in runs])) == 4
