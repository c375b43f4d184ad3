"""What the pages say of a recording resolved in time, and when they say that something is not known."""

import html
import re

import numpy as np
import pandas as pd
import pytest
from scipy.signal import lfilter

from pipeline.report import MegPart, SensedRun, group_page, subject_light, subject_page
from pipeline.report.meg_clock import ABOVE, evoked, verdict
from pipeline.report.meg_clock_figure import clock_figure
from pipeline.report.meg_course import courses, passives
from pipeline.report.meg_course_figure import course_figure
from pipeline.report.meg_data import bads_table, epochs_table, presented, steps_table
from pipeline.report.meg_heat import _joined, heat_caption, heat_figure, heat_table, heats
from pipeline.report.meg_parts import tidy_clusters, tidy_latencies, tidy_passive, tidy_peaks
from pipeline.report.meg_places import by_place, drawable_kinds, why_not
from pipeline.report.meg_spectra import bads_figure, spectra_figure, spectra_table
from pipeline.report.meg_tables import clusters_table, clusters_told
from pipeline.report.meg_topo import heads, heads_caption, heads_figure, members, peak_at
from pipeline.sensors import Sensors

from . import examples
from . import meg_examples as made

pytestmark = pytest.mark.xdist_group("meg_pages")  # one worker: the page in the fixture is made once

TIMES = made.TIMES


def text_of(page: str) -> str:
    body = re.sub(r"<style>.*?</style>", "", page, flags=re.S)
    return re.sub(r"\s+", " ", html.unescape(re.sub(r"<[^>]+>", " ", body)))


def with_triggers(**facts) -> SensedRun:
    """A run without any response, whose triggers are as told."""
    run = made.sensed(sensors=made.vectorview(6), response=0.0)
    told = made.summary()["presentations"][0]["triggers"] | facts
    return run._replace(summary=made.summary(triggers=told))


@pytest.mark.parametrize(
    ("facts", "light"),
    [
        ({}, "green"),
        ({"n_matched": 700}, "red"),
        ({"slope_ppm": -1200.0}, "red"),
        ({"jitter_median_ms": 11.0}, "red"),
        ({"n_matched": 1300}, "amber"),
        ({"jitter_median_ms": None}, "amber"),
    ],
)
def test_triggers_of_another_stimulus_are_red_and_too_few_of_them_leave_doubt(facts, light):
    assert verdict(with_triggers(**facts)).light == light


def test_a_response_to_words_speaks_for_a_clock_that_triggers_leave_open():
    seen = made.sensed(sensors=made.vectorview(6), triggers=False)
    assert verdict(seen).light == "green"
    assert verdict(made.sensed(sensors=made.vectorview(6), triggers=False, response=0.0)).light == "amber"
    few = seen._replace(summary=made.summary(triggers=with_triggers(n_matched=1300).presentations[0]["triggers"]))
    assert verdict(few).light == "green"


def test_without_triggers_and_epochs_nothing_is_judged():
    run = SensedRun("1", made.summary(triggers=False, form="continuous"), made.vectorview(6))
    assert verdict(run) == (None, "no triggers were matched; no response around word onset to judge by")


@pytest.mark.parametrize(("n_sources", "n_channels"), [(5, 60), (20, 102)])
def test_slow_noise_looks_like_a_response_in_fewer_than_one_case_in_twenty(n_sources, n_channels):
    rng = np.random.default_rng(7)
    sensors = Sensors(tuple(map(str, range(n_channels))), ("mag",) * n_channels, np.zeros((n_channels, 12)))
    times, seen = np.arange(-0.5, 1.001, 0.01), 0
    for _ in range(400):
        noise = lfilter([1], [1, -0.95], rng.normal(size=(n_sources, len(times) + 300)), axis=1)[:, 300:]
        run = SensedRun("1", {}, sensors, evoked=rng.normal(size=(n_channels, n_sources)) @ noise, evoked_s=times)
        seen += evoked(run)[0].ratio >= ABOVE
    assert seen / 400 < 0.05


def test_drift_over_the_epoch_is_no_response():
    """A straight line is taken off; without that the end of the epoch would stand high above its start."""
    sensors = Sensors(("a", "b"), ("mag", "mag"), np.zeros((2, 12)))
    still = np.random.default_rng(0).normal(size=(2, len(TIMES)))
    drifting = SensedRun("1", {}, sensors, evoked=still + 400 * TIMES, evoked_s=TIMES)
    assert evoked(drifting)[0].ratio == pytest.approx(evoked(drifting._replace(evoked=still))[0].ratio)


def test_a_mismatch_turns_the_page_red():
    off = made.part(meg=MegPart([with_triggers(n_matched=10)], made.vectorview(6)))
    light, reason = subject_light(examples.page(off, warnings=[]))
    assert light == "red" and "words and responses of 1 run do not lie on one clock" in reason
    fine = made.part(meg=MegPart([with_triggers()], made.vectorview(6)))
    assert subject_light(examples.page(fine, warnings=[])) == ("green", "no warnings")


def test_the_two_gradiometers_of_a_place_are_averaged_with_their_signs():
    sensors = made.vectorview()
    grads = np.flatnonzero(np.array(sensors.kinds) == "grad")
    sign = np.zeros(len(sensors.names))
    sign[grads] = np.where(np.arange(len(grads)) % 2, 0.3, -0.3)
    drawn, values, place = by_place(sensors, "grad", sign)
    assert len(values) == 102 and np.abs(values).max() < 1e-12
    assert set(drawn.kinds) == {"mag"} and len(drawn.names) == 102
    assert (np.bincount(place[place >= 0]) == 2).all()
    for i in grads[:10]:
        assert np.linalg.norm(drawn.loc[place[i], :3] - sensors.loc[i, :3]) < 1e-3


def test_a_place_with_one_channel_left_has_its_value_and_one_without_any_is_left_out():
    sensors = made.vectorview(6)
    grads = np.flatnonzero(np.array(sensors.kinds) == "grad")
    r = np.full(len(sensors.names), 0.2)
    r[grads[:3]] = np.nan
    _, values, place = by_place(sensors, "grad", r)
    assert len(values) == len(grads) // 2 - 1 and np.allclose(values, 0.2)
    assert (place[grads[:2]] == -1).all() and place[grads[3]] >= 0 and place[grads[2]] == place[grads[3]]


def test_what_has_no_place_on_a_head_is_told_and_not_drawn():
    nowhere = Sensors(("a", "b"), ("eeg", "seeg"), np.full((2, 12), np.nan))
    assert drawable_kinds(nowhere) == []
    assert why_not(nowhere, "eeg") == "1 of 1 eeg channels have no known place"
    assert "do not lie around the head" in why_not(nowhere, "seeg")


def test_heads_show_the_planted_peak_and_mark_clusters_only_while_they_last():
    sensors = made.vectorview(3)
    r = np.zeros((len(sensors.names), len(TIMES)))
    r[:, np.abs(TIMES - 0.3).argmin()] = 0.1
    r[:, np.abs(TIMES + 0.3).argmin()] = 0.5
    found = heads(made.scores(sensors)._replace(r=r), sensors, tidy_clusters(made.clusters(sensors)))
    assert found.times_s.tolist() == [-0.2, 0.0, 0.1, 0.2, 0.4, 0.6, 0.3]
    assert found.marked.any(axis=0).tolist() == [False, False, False, False, True, False, True]
    assert "White dots" in heads_caption(found)
    none = heads(made.scores(sensors), sensors, tidy_clusters(made.clusters(sensors, p=0.2)))
    assert not none.marked.any() and "no sensor is marked" in heads_caption(none)


def test_without_a_score_after_onset_there_is_no_peak():
    assert peak_at(TIMES, np.where(TIMES < 0, 0.1, np.nan)[None]) is None


def test_names_of_channels_may_hold_spaces():
    names = ("MEG 0111", "MEG 0112", "Cz")
    assert members("MEG 0111,MEG 0112", names) == ["MEG 0111", "MEG 0112"]
    assert members("Cz; MEG 0112", names) == ["Cz", "MEG 0112"]
    assert members("mean of all", names) == []


def test_time_by_layer_holds_the_table_and_the_difference_to_the_twins():
    table = made.latencies(n_layers=3)
    found = heats(tidy_latencies(table), tidy_clusters(made.clusters(made.vectorview(6))), ceiling=True)[0]
    of = table[(table["kind"] == "all") & (table["layer"] == "1")]
    trained, twin = (of[of["model"] == m]["r"].to_numpy() for m in ("gpt2", "gpt2untrained"))
    assert np.allclose(found.grids[0].r[1], trained) and np.allclose(found.grids[1].r[1], twin)
    assert np.allclose(found.grids[2].r[1], trained - twin)
    assert found.layers.tolist() == [0, 1, 2] and np.isfinite(found.ceiling).all()
    assert np.isnan(heats(tidy_latencies(table), tidy_clusters(pd.DataFrame()), ceiling=False)[0].ceiling).all()


def test_seeds_without_a_mean_are_averaged_and_a_missing_layer_stays_missing():
    table = made.latencies(kinds=("all",), n_layers=2)
    two = [table[(table["seed"] == "mean") & (table["layer"] == "0")].assign(seed=s) for s in "01"]
    two[0]["r"] = two[0]["r"] + 0.1
    table = pd.concat([table[table["seed"] != "mean"], *two])
    found = heats(tidy_latencies(table), tidy_clusters(pd.DataFrame()), ceiling=True)[0]
    assert np.allclose(found.grids[1].r[0], two[1]["r"] + 0.05)
    assert np.isnan(found.grids[1].r[1]).all() and np.isnan(found.grids[2].r[1]).all()


def test_spans_that_overlap_are_outlined_as_one():
    assert _joined([(0.1, 0.3), (0.2, 0.5), (0.6, 0.7)]) == [(0.1, 0.5), (0.6, 0.7)]


def test_the_band_of_the_twins_is_their_range_over_seeds():
    course = courses(*tables(), "gpt2", ceiling=True)[0]
    table = made.latencies()
    seeds = table[(table["kind"] == "all") & table["seed"].isin(["0", "1", "2"]) & (table["layer"] == "nested")]
    r = seeds.pivot(index="seed", columns="latency", values="r").to_numpy()
    assert np.allclose(course.twins.low, r.min(axis=0)) and np.allclose(course.twins.high, r.max(axis=0))
    assert course.twins.n_seeds == 3 and course.peak.at_s == 0.4 and course.kind == "all"
    assert [c.kind for c in courses(*tables(), "gpt2", ceiling=True)] == ["all", "mag", "grad"]


def test_a_control_with_one_layer_and_no_choice_is_drawn():
    table = made.latencies(kinds=("all",))
    table.loc[table["model"] == "wordrate", "layer"] = "0"
    found = courses(tidy_latencies(table), *tables()[1:], "gpt2", ceiling=True)
    assert [line.label for line in found[0].controls] == ["wordrate"]


def tables():
    small = made.vectorview(6)
    return tidy_latencies(made.latencies()), tidy_peaks(made.peaks()), tidy_clusters(made.clusters(small))


@pytest.mark.parametrize(
    "change",
    [
        {"n_layers": 1, "seeds": (), "controls": ()},
        {"times": np.array([0.1]), "n_layers": 2},
        {"times": np.arange(0.0, 0.31, 0.02), "ceiling": False, "intervals": False, "n_layers": 2},
    ],
)
def test_what_is_missing_leaves_gaps_and_breaks_no_picture(change):
    latencies = tidy_latencies(made.latencies(kinds=("all",), **change))
    nothing = tidy_peaks(pd.DataFrame()), tidy_clusters(pd.DataFrame())
    found = courses(latencies, *nothing, "gpt2", ceiling=True)
    heat = heats(latencies, nothing[1], ceiling=True)[0]
    examples.drawn(lambda: course_figure(found, passives(tidy_passive(made.passive()), "gpt2")))
    examples.drawn(lambda: heat_figure(heat))
    assert heat_table(heat, "").rows and "Outlines" not in heat_caption(heat)


def test_scores_that_are_missing_throughout_are_drawn_as_missing():
    latencies = tidy_latencies(made.latencies(kinds=("all",), n_layers=2).assign(r=np.nan, r_low=np.nan, r_high=np.nan))
    nothing = tidy_peaks(pd.DataFrame()), tidy_clusters(pd.DataFrame())
    heat = heats(latencies, nothing[1], ceiling=False)[0]
    examples.drawn(lambda: heat_figure(heat))
    examples.drawn(lambda: course_figure(courses(latencies, *nothing, "gpt2", ceiling=False), []))
    assert heat_table(heat, "").rows[0][1:] == ["n/a"] * 5
    sensors = made.vectorview(6)
    empty = made.scores(sensors)._replace(r=np.full((len(sensors.names), len(TIMES)), np.nan))
    examples.drawn(lambda: heads_figure(heads(empty, sensors, nothing[1])))


def test_spectra_tell_the_change_in_decibels():
    run = made.sensed(sensors=made.vectorview(6))
    quiet = run._replace(psd_after=run.psd_before / 100)
    rows = spectra_table(quiet, "").rows
    assert rows and all(row[-1] == "−20.0" for row in rows)
    examples.drawn(lambda: spectra_figure(run))


def test_a_run_with_triggers_only_is_drawn():
    run = made.sensed(sensors=made.vectorview(6))
    examples.drawn(lambda: clock_figure(run._replace(evoked=None)))
    examples.drawn(lambda: clock_figure(run._replace(jitter_s=None)))


def test_a_step_is_told_once_for_all_files_that_tell_the_same():
    runs = [made.sensed(str(i), made.vectorview(12)) for i in (1, 2)]
    one = runs[1].summary["presentations"][0]
    changed = [{"step": "maxwell", "done": True, "told": "given"}, *one["steps"][1:]]
    runs[1] = runs[1]._replace(summary=made.summary("2", steps=changed))
    rows = steps_table(presented(runs), "").rows
    assert rows[:2] == [["maxwell", "skipped", "no calibration and cross_talk given", "1"], ["maxwell", "done", "given", "2"]]  # fmt: skip
    assert [row[3] for row in rows[2:]] == ["all"] * 4


def test_bad_channels_and_epochs_are_counted_by_reason():
    files = presented([made.sensed("1", made.vectorview(12))])
    assert bads_table(files, "").rows[0] == ["named by the file or the study", "1", "MEG2443", "all"]
    row = epochs_table(files, "").rows[0]
    assert row == ["1", "1510", "1402", "3", "74", "31", "0", "93", "MEG0121 (22), MEG1411 (9)"]


def test_as_many_sensors_are_filled_as_are_bad_and_they_are_named():
    sensors = made.vectorview()
    files = presented([made.sensed("1", sensors)])
    figure = examples.drawn(lambda: bads_figure(sensors, files))
    filled = [
        sum(tuple(c[:3]) != (1.0, 1.0, 1.0) for c in axes.collections[0].get_facecolors()) for axes in figure.axes
    ]
    assert dict(zip(drawable_kinds(sensors), filled, strict=True)) == {"grad": 3, "mag": 1}
    assert {t.get_text() for axes in figure.axes for t in axes.texts if t.get_text()} == {
        "MEG2443",
        "MEG0112",
        "MEG1732",
        "MEG2211",
    }


def test_too_few_folds_for_any_significance_are_said_to_be():
    few = tidy_clusters(made.clusters(made.vectorview(6), smallest_p=0.0625).assign(n_units=5))
    assert "5 folds can reach no p below 0.062" in clusters_told(few)[0]
    assert len(clusters_told(tidy_clusters(made.clusters(made.vectorview(6))))) == 1
    none = tidy_clusters(pd.DataFrame([{"a": "gpt2", "b": "", "kind": "mag", "unit": "folds", "n_units": 2}]))
    assert clusters_told(none)[0] == "2 folds are too few for a test."


def test_of_each_test_the_least_likely_cluster_is_listed_and_every_significant_one():
    one = made.clusters(made.vectorview(6)).iloc[:1]
    many = pd.concat([one.assign(p=p) for p in (0.3, 0.02, 0.7, 0.01)] + [one.assign(b="x", p=p) for p in (0.9, 0.4)])
    table = clusters_table(tidy_clusters(many), "Clusters")
    assert [row[6] for row in table.rows] == ["0.010", "0.020", "0.400"]
    assert table.caption == "Clusters (3 more clusters, none significant, in the file only)"


def test_without_a_trained_model_the_first_one_is_shown():
    table = made.latencies(kinds=("all",))
    table = table[table["model"] == "wordrate"]
    two = tidy_latencies(pd.concat([table, table.assign(model="length", r=table["r"] + 0.1)]))
    nothing = tidy_peaks(pd.DataFrame()), tidy_clusters(pd.DataFrame())
    found = courses(two, *nothing, "wordrate", ceiling=False)[0]
    assert found.trained.label == "wordrate" and [line.label for line in found.controls] == ["length"]


@pytest.fixture(scope="module")
def page():
    small = made.vectorview(3)
    layers = examples.layers(recording="meg", rois=("all",))
    return subject_page(examples.page(made.part(layers=layers, meg=made.meg(small))))


@pytest.mark.parametrize("section", ["quality", "alignment", "heat", "courses", "heads", "profile", "scores"])
def test_every_section_is_there_and_in_the_contents(page, section):
    assert page.count(f'id="rec0-{section}"') == 1 and f'href="#rec0-{section}"' in page


def test_every_figure_is_drawn_has_its_numbers_in_words_and_in_a_table(page):
    assert "could not be drawn" not in page
    alts = [html.unescape(alt) for alt in re.findall(r'<img [^>]*alt="([^"]*)"', page)]
    assert len(alts) == 9 and all(re.search(r"\d", alt) for alt in alts)
    assert page.count("The numbers in this figure") == 8  # the places of bad channels have a table of their own above
    assert max(len(src) for src in re.findall(r'src="data:image/png;base64,([^"]*)"', page)) < 200_000  # 150 kB


def test_what_only_holds_for_volumes_is_not_there(page):
    told = text_of(page[page.index('id="rec0"') : page.index('id="warnings"')])
    for word in ("framewise", "tSNR", "lag scan", "peaks as high", "volume"):
        assert word not in told


def test_captions_say_what_a_reader_must_not_conclude(page):
    told = text_of(page)
    assert "Clusters do not prove onsets" in told and "passive systems that predict nothing" in told
    assert "gpt2 predicts best 0.40 s [0.36, 0.44] after word onset" in told


def test_a_page_of_which_little_was_saved_says_why(undrawn):
    told = text_of(subject_page(examples.page(made.bare())))
    for reason in (
        "2 of 2 eeg channels have no known place (the file has no digitisation)",
        "No spectra were saved",
        "neither triggers nor epochs were saved",
        "No scores by latency were saved",
        "No cluster was looked for",
    ):
        assert reason in told


def test_a_leaky_split_is_on_every_picture(undrawn):
    leaky = subject_page(examples.page(made.part(meg=made.meg(made.vectorview(12))), leaky=True))
    captions = re.findall(r"<figcaption>(.*?)</figcaption>", leaky, re.S)
    assert len(captions) >= 9 and all(caption.startswith("LEAKY SPLIT") for caption in captions)


def test_the_group_shows_time_and_layer(undrawn):
    told = group_page(examples.group(4)._replace(recordings=[made.group_part()]))
    assert 'id="rec0-heat"' in told and 'href="#rec0-heat"' in told
    assert "4 subjects can reach no p below 0.125" in text_of(told)


def test_what_a_model_adds_to_controls_is_a_table_where_it_was_asked_for():
    page = subject_page(examples.page(made.part()))
    assert "What models add to controls" in page and "wordrate,duration" in page and "0.032" in page
    assert "What models add to controls" not in subject_page(examples.page(made.bare()))
