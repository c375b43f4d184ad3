"""Scores by latency and their peaks, against planted ones and closed forms."""

import re

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from courses_lab import LATENCIES, bump, ceiling, scored, sensors

from pipeline import arrays, stages, timecourse
from pipeline.comparison import Comparison
from pipeline.config import Plan, Study
from pipeline.jobs import Job, expected
from pipeline.layout import Layout
from pipeline.problems import StudyError

SETTINGS = Comparison(permutations=200)
TIMES = np.array(LATENCIES)


def whose(ds: xr.Dataset, where, weights: str = "trained", top: xr.Dataset | None = None) -> timecourse.Person:
    return timecourse.person("01", "meg", {"net": ds}, {"net": weights}, top)


def planted(seed: int = 0, *, folds: int = 5, layers: int = 3, peak_s: float = 0.153, noise: float = 0.01, n: int = 6):
    """Every layer has a bump at `peak_s`, the later the layer the larger; inner scores say so too."""
    rng, where = np.random.default_rng(seed), sensors(n)
    shape = (layers, folds, n, len(LATENCIES))
    r = np.arange(1, layers + 1)[:, None, None, None] * 0.1 * bump(peak_s) + noise * rng.normal(size=shape)
    return scored(r, r + noise * rng.normal(size=shape), where), where, r


def test_a_row_is_the_mean_over_channels_and_folds():
    ds, where, r = planted()
    table = timecourse.latencies(whose(ds, where), SETTINGS)
    for layer in range(3):
        rows = table[(table["layer"] == str(layer)) & (table["kind"] == "all")]
        assert np.allclose(rows["latency"], TIMES) and np.allclose(rows["r"], r[layer].mean(axis=(0, 1)), atol=1e-6)
    assert set(table["n_channels"]) == {6} and set(table["n_parts"]) == {5}
    assert list(table.columns) == timecourse.LATENCY_COLUMNS


def test_the_interval_holds_the_mean_and_is_missing_below_three_folds():
    ds, where, _ = planted()
    table = timecourse.latencies(whose(ds, where), SETTINGS)
    assert (table["r_low"] < table["r"]).all() and (table["r"] < table["r_high"]).all()
    few, where, _ = planted(folds=2)
    table = timecourse.latencies(whose(few, where), SETTINGS)
    assert (
        table["r"].notna().all() and table[["r_low", "r_high"]].isna().all(axis=None) and set(table["n_parts"]) == {2}
    )


def test_the_interval_over_folds_covers_the_true_score():
    rng, where, hits = np.random.default_rng(1), sensors(1), []
    for _ in range(40):
        fold = rng.normal(size=(1, 5, 1, len(LATENCIES)))
        table = timecourse.latencies(whose(scored(fold, fold, where), where), SETTINGS)
        rows = table[(table["layer"] == "0") & (table["kind"] == "all")]
        hits.append(((rows["r_low"] < 0) & (rows["r_high"] > 0)).mean())
    assert 0.90 < np.mean(hits) < 0.99  # 40 x 71 intervals of 95 %


def test_a_missing_channel_is_left_out_and_counted():
    _, where, r = planted()
    values = r.copy()
    values[:, :, 2] = np.nan
    table = timecourse.latencies(whose(scored(values, values, where), where), SETTINGS)
    rows = table[(table["layer"] == "1") & (table["kind"] == "all")]
    assert set(table["n_channels"]) == {5}
    assert np.allclose(rows["r"], np.delete(r[1], 2, axis=1).mean(axis=(0, 1)), atol=1e-6)


def test_each_kind_of_channel_has_rows_of_its_own():
    where = sensors(6, ("mag", "grad"))
    r = np.tile(np.array([0.1, 0.3] * 3)[:, None], (1, 3, 1, len(LATENCIES)))
    table = timecourse.latencies(whose(scored(r, r, where), where), SETTINGS)
    means = table[table["layer"] == "0"].groupby("kind")["r"].mean()
    assert means.to_dict() == pytest.approx({"mag": 0.1, "grad": 0.3, "all": 0.2})


def test_the_nested_layer_is_chosen_fold_by_fold_after_onset_and_never_on_test_scores():
    where, rng = sensors(4), np.random.default_rng(0)
    shape = (3, 4, 4, len(LATENCIES))
    inner, best = np.zeros(shape), [2, 0, 1, 1]
    for fold, layer in enumerate(best):
        inner[layer, fold] = 0.1
    inner[0, :, :, TIMES < 0] = 5.0  # before onset nothing is chosen
    r = rng.normal(size=shape)
    expected = np.mean([r[layer, fold].mean(axis=0) for fold, layer in enumerate(best)], axis=0)
    for test in (r, np.where(np.arange(3)[:, None, None, None] == 1, r + 7, r)):
        course = timecourse.representative(list(timecourse.courses(scored(test, inner, where))))
        assert course.chosen == ("2", "0", "1", "1")
    rows = timecourse.latencies(whose(scored(r, inner, where), where), SETTINGS)
    nested = rows[(rows["layer"] == "nested") & (rows["kind"] == "all")]
    assert np.allclose(nested["r"], expected, atol=1e-6)


def test_noise_does_not_gain_from_the_choice_of_layers():
    where, found = sensors(2), []
    for seed in range(40):
        r, inner = np.random.default_rng(seed).normal(size=(2, 12, 5, 2, len(LATENCIES)))
        found.append(timecourse.representative(list(timecourse.courses(scored(r, inner, where)))).r.mean())
    assert abs(np.mean(found)) < 3 * np.std(found) / np.sqrt(len(found))


def test_the_order_of_channels_changes_nothing():
    _, where, r = planted()
    order = np.array([3, 0, 5, 1, 4, 2])
    turned = where._replace(names=tuple(where.names[i] for i in order), loc=where.loc[order])
    other = scored(r[:, :, order], r[:, :, order], turned)
    one, two = (timecourse.latencies(whose(d, w), SETTINGS) for d, w in ((scored(r, r, where), where), (other, turned)))
    assert np.allclose(one[["r", "r_low", "r_high"]], two[["r", "r_low", "r_high"]], atol=1e-6)
    assert one.drop(columns=["r", "r_low", "r_high"]).equals(two.drop(columns=["r", "r_low", "r_high"]))


def test_seeds_have_a_nested_course_each_and_a_mean_of_every_layer():
    where = sensors(2)
    r = np.arange(3.0)[:, None, None, None, None] + np.zeros((3, 2, 4, 2, len(LATENCIES)))
    table = timecourse.latencies(whose(scored(r, r, where, ("seed", [0, 1, 2])), where, "random"), SETTINGS)
    told = table[table["kind"] == "all"].groupby(["seed", "layer"])["r"].mean().to_dict()
    assert told == {("0", "nested"): 0, ("1", "nested"): 1, ("2", "nested"): 2,
                    ("mean", "nested"): 1, ("mean", "0"): 1, ("mean", "1"): 1}  # fmt: skip


def test_steps_of_training_have_no_mean_and_the_last_one_stands_for_the_model():
    where = sensors(2)
    r = np.arange(3.0)[:, None, None, None, None] + np.zeros((3, 2, 4, 2, len(LATENCIES)))
    found = list(timecourse.courses(scored(r, r, where, ("step", ["s1", "s2", "s3"]))))
    assert [(c.step, c.layer) for c in found] == [
        ("s1", "nested"),
        ("s2", "nested"),
        ("s3", "0"),
        ("s3", "1"),
        ("s3", "nested"),
    ]
    assert timecourse.representative(found).r.mean() == 2


def test_the_ceiling_is_the_mean_over_the_same_channels_those_below_chance_too():
    ds, where, r = planted()
    top = np.tile(np.array([0.6, 0.4, -0.2, 0.0, 0.3, 0.1])[:, None], (1, len(LATENCIES)))
    r = r.copy()
    r[:, :, 0] = np.nan
    table = timecourse.latencies(whose(scored(r, r, where), where, top=ceiling(top, where)), SETTINGS)
    assert table["ceiling"].to_numpy() == pytest.approx(0.12, abs=1e-6)
    none = timecourse.latencies(whose(ds, where, top=ceiling(top * np.nan, where)), SETTINGS)
    assert none["ceiling"].isna().all()


def test_a_planted_peak_is_found_between_the_steps_of_the_grid():
    found = timecourse.peak(np.tile(bump(0.1534), (5, 1)), TIMES)
    assert found.peak_s == pytest.approx(0.1534, abs=2e-4) and found.r == pytest.approx(1, abs=1e-3)
    assert found.low_s == pytest.approx(found.high_s) == pytest.approx(found.peak_s)


def test_peaks_before_onset_are_not_looked_at():
    values = np.tile(bump(-0.1) + 0.5 * bump(0.3), (4, 1))
    assert timecourse.peak(values, TIMES).peak_s == pytest.approx(0.3, abs=1e-3)


def test_a_peak_at_the_end_of_the_window_is_told_as_its_end():
    found = timecourse.peak(np.tile(TIMES, (4, 1)), TIMES)
    assert found.peak_s == found.high_s == TIMES[-1]


def test_no_interval_of_a_peak_below_three_parts_and_none_at_all_where_nothing_is_known():
    found = timecourse.peak(np.tile(bump(0.2), (2, 1)), TIMES)
    assert found.peak_s == pytest.approx(0.2, abs=1e-3) and np.isnan([found.low_s, found.high_s]).all()
    assert np.isnan(timecourse.peak(np.full((4, len(TIMES)), np.nan), TIMES)).all()


@pytest.mark.parametrize("parts", [4, 8])
def test_the_interval_of_a_peak_covers_the_planted_one(parts):
    """Each part has a top of its own around 0.2 s and noise that is smooth in time."""
    hits = []
    for seed in range(100):
        rng = np.random.default_rng(seed)
        smooth = np.exp(-0.5 * (np.arange(-15, 16) / 5) ** 2)
        noise = [np.convolve(rng.normal(size=len(TIMES) + 30), smooth, "valid") for _ in range(parts)]
        values = np.stack([bump(0.2 + 0.02 * rng.normal()) for _ in range(parts)]) + 0.05 * np.stack(noise)
        found = timecourse.peak(values, TIMES, n=200, seed=seed)
        hits.append(found.low_s <= 0.2 <= found.high_s)
    assert np.mean(hits) >= 0.88  # a nominal 95 % from so few parts


def test_the_table_of_peaks_tells_the_nested_layer_of_each_kind():
    ds, where, _ = planted(peak_s=0.2)
    table = timecourse.peaks(whose(ds, where), SETTINGS)
    assert list(table.columns) == timecourse.PEAK_COLUMNS and list(table["kind"]) == ["all", "eeg"]
    assert table["peak_s"].to_numpy() == pytest.approx(0.2, abs=0.01) and set(table["layer"]) == {"nested"}
    assert (table["low_s"] <= table["peak_s"]).all() and (table["peak_s"] <= table["high_s"]).all()


def test_the_same_seed_gives_the_same_tables():
    ds, where, _ = planted()
    for table in (timecourse.latencies, timecourse.peaks):
        assert table(whose(ds, where), SETTINGS, 3).equals(table(whose(ds, where), SETTINGS, 3))


def test_what_is_saved_of_a_person_comes_back():
    ds, where, r = planted()
    found = timecourse.member(timecourse.saved(whose(ds, where)))
    assert found.subject == "01" and found.sensors.names == where.names and found.sensors.kinds == where.kinds
    assert np.allclose(found.sensors.loc, where.loc) and np.allclose(found.latencies_s, TIMES)
    assert np.allclose(found.r["net"], r[2].mean(axis=0), atol=1e-6)


def people(n: int, peak_s: float = 0.2):
    """A table and a member for each of several people with a bump of their own height."""
    tables, members = [], []
    for k in range(n):
        ds, _, _ = planted(k, layers=1, peak_s=peak_s)
        one = timecourse.person(f"{k:02}", "meg", {"net": ds}, {"net": "trained"})
        tables.append(timecourse.latencies(one, SETTINGS))
        members.append(timecourse.member(timecourse.saved(one)))
    return pd.concat(tables, ignore_index=True), members


def test_over_people_the_mean_counts_people_and_has_an_interval_from_three_on():
    table, _ = people(3)
    found = timecourse.group_latencies(table, SETTINGS)
    assert list(found.columns) == timecourse.GROUP_LATENCY_COLUMNS and set(found["layer"]) == {"nested"}
    one = table[(table["layer"] == "nested") & (table["kind"] == "all")].groupby("latency")["r"].mean()
    rows = found[found["kind"] == "all"]
    assert np.allclose(rows["r"], one) and set(rows["n_subjects"]) == {3}
    assert (rows["r_low"] <= rows["r"]).all() and (rows["r"] <= rows["r_high"]).all()
    two = timecourse.group_latencies(people(2)[0], SETTINGS)
    assert two["r"].notna().all() and two[["r_low", "r_high"]].isna().all(axis=None)


def test_a_time_course_of_targets_without_latencies_is_refused():
    where = sensors(4, latencies=())
    r = np.zeros((2, 3, 4, 1))
    with pytest.raises(ValueError, match="no channels at latencies"):
        whose(scored(r, r, where), where)


MEG = "{bold: {kind: meg, picks: eeg, passive: length}}"


@pytest.fixture
def laboratory(laboratory, monkeypatch):
    monkeypatch.chdir(laboratory.root)  # a study names its data from where it is run
    return laboratory


def study_of(laboratory, recordings: str = MEG, **sections: str) -> Study:
    laboratory.write_study(recordings=recordings, report="{lag_scan: rate}", **sections)
    return Study.from_yaml(laboratory.study)


def test_a_recording_resolved_in_time_has_courses_and_no_lag_scan(laboratory):
    study, out = study_of(laboratory), Layout(laboratory.root / "out" / "lab")
    names = {out.name(path) for path in expected(study, out)}
    own = {
        f"sub-01/sub-01_recording-bold_{what}"
        for what in ("latencies.tsv", "peaks.tsv", "clusters.tsv", "courses.nc", "passive.tsv")
    }
    assert own | {"group_latencies.tsv", "group_clusters.tsv"} <= names
    assert not any("lags" in name for name in names)


def test_a_recording_without_times_of_its_own_has_a_lag_scan_and_no_courses(laboratory):
    study, out = study_of(laboratory, "{bold: {kind: arrays}}"), Layout(laboratory.root / "out" / "lab")
    names = {out.name(path) for path in expected(study, out)}
    assert "sub-01/sub-01_recording-bold_lags.tsv" in names
    assert not any(what in name for name in names for what in ("latencies", "peaks", "clusters", "courses", "passive"))


@pytest.mark.parametrize(
    ("recordings", "said"),
    [
        ("{bold: {kind: meg, passive: lenght}}", "passive names 'lenght', which is not among the models: rate, length"),
        ("{bold: {kind: meg, passive: [rate, length]}}", "names every model"),
        ("{bold: {kind: meg, form: continuous, window: [0, 0.5], passive: length}}", "is for epochs around words"),
    ],
)
def test_a_passive_target_that_cannot_be_is_refused(laboratory, recordings, said):
    with pytest.raises(StudyError, match=re.escape(said)):
        study_of(laboratory, recordings)


def test_settings_of_intervals_and_of_passive_targets_reach_their_stages(laboratory):
    study = study_of(laboratory, seed="7")
    told = study.for_stage("latencies", recording="bold")
    assert told["draws"] == 7 and told["seed"] == 0 and told["comparison"]["permutations"] == 200
    heard = study.for_stage("passive", recording="bold")
    assert heard["passive"] == ["length"] and heard["models"] == ["rate"]


def test_the_stage_writes_the_tables_and_the_group_those_of_all_people(laboratory, tmp_path):
    study, out = study_of(laboratory), Layout(tmp_path / "out")
    settings, record = study.for_stage("latencies", recording="bold"), {"stage": "encode", "settings": {}, "inputs": {}}
    for k, subject in enumerate(laboratory.subjects):
        for model in study.models:
            ds, where, _ = planted(k, layers=1)
            arrays.save(ds, out.scores(subject, "bold", model), **record)
        top = ceiling(np.full((6, len(LATENCIES)), 0.5), where)
        arrays.save(top, out.ceiling(subject, "bold"), **record)
        stages.latencies(Job(out, settings, subject, "bold"))
    which = "01", "bold"
    first = {
        path: arrays.checksum(path)
        for path in (out.latencies(*which), out.peaks(*which), out.clusters(*which), out.courses(*which))
    }
    stages.latencies(Job(out, settings, *which))
    assert first == {path: arrays.checksum(path) for path in first}  # byte for byte
    table = arrays.load_table(out.latencies(*which), text=("subject", "seed", "step", "layer"))
    assert set(table["layer"]) == {"0", "nested"} and table["ceiling"].to_numpy() == pytest.approx(0.5)
    plan = Plan({(subject, "bold"): [] for subject in laboratory.subjects})
    stages._group_courses(Job(out, study.for_stage("group")), study, plan)
    over = arrays.load_table(out.top("group_latencies.tsv"), text=("seed", "step"))
    assert set(over["n_subjects"]) == {2} and over["r_low"].isna().all() and set(over["kind"]) == {"all", "eeg"}
    tests = arrays.load_table(out.top("group_clusters.tsv"), text=("b",))
    assert set(tests["unit"]) == {"subjects"} and tests["p"].isna().all()


def test_a_model_that_predicts_nothing_has_no_peak():
    _, where, r = planted()
    nothing = scored(0 * r, 0 * r, where)
    (row,) = timecourse.peaks(whose(nothing, where), SETTINGS).query("kind == 'all'").to_dict("records")
    assert np.isnan([row["peak_s"], row["low_s"], row["high_s"]]).all() and row["r"] == 0
