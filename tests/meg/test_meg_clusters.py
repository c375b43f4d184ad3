"""Cluster tests over time and space: what is planted, what noise does, what few units can reach."""

import mne
import numpy as np
import pytest
from courses_lab import LATENCIES, bump, scored, sensors

from pipeline import timecourse
from pipeline.comparison import Comparison
from pipeline.sensors import Sensors
from pipeline.timecourse.clusters import neighbours

TIMES = np.array(LATENCIES)
FEW = TIMES[::4]


def asked(where: Sensors | None, times: np.ndarray = TIMES, kind: str = "eeg") -> timecourse.Contrast:
    return timecourse.Contrast("net", "", "nested", kind, "folds", times, where)


def null(seed: int, units: int, channels: int, times: int = len(FEW)) -> np.ndarray:
    """Noise that neighbouring latencies share."""
    noise = np.random.default_rng(seed).normal(size=(units, channels, times + 4))
    return np.lib.stride_tricks.sliding_window_view(noise, 5, axis=2).mean(axis=3)


def planted(seed: int, units: int, channels: int = 12) -> np.ndarray:
    """A bump at 0.2 s in the first half of the channels."""
    noise = 0.3 * null(seed, units, channels, len(TIMES))
    noise[:, : channels // 2] += bump(0.2)
    return noise


def test_a_planted_effect_is_found_where_and_when_it_is():
    where = sensors(12)
    rows = list(timecourse.tested(planted(0, 8), asked(where), n=500))
    best = rows[0]
    assert best["p"] == pytest.approx(2 / 2**8) and best["mass"] > 0 and best["peak_s"] == pytest.approx(0.2, abs=0.02)
    assert best["start_s"] < 0.2 < best["end_s"]
    found = set(best["channels"].split(","))
    assert {f"C{i}" for i in range(6)} <= found and len(found) <= 8 and best["n_channels"] == len(found)


def test_an_opposite_effect_has_negative_mass_and_the_same_p():
    where, values = sensors(12), planted(0, 8)
    up, down = (list(timecourse.tested(sign * values, asked(where), n=500)) for sign in (1, -1))
    assert [r["mass"] for r in up] == pytest.approx([-r["mass"] for r in down])
    assert [r["p"] for r in up] == [r["p"] for r in down]


@pytest.mark.parametrize("space", [True, False])
def test_noise_is_called_significant_as_rarely_as_was_said(space):
    where = sensors(6) if space else None
    level = 4 / 2**6  # six units reach 1/32, 2/32, ...
    p = [min(r["p"] for r in timecourse.tested(null(seed, 6, 6), asked(where, FEW))) for seed in range(80)]
    share = np.mean(np.nan_to_num(p, nan=1.0) <= level)
    assert share <= level + 3 * np.sqrt(level * (1 - level) / len(p))
    assert share > 0  # a test that never says yes would pass, too


@pytest.mark.parametrize("units", [3, 5, 6])
def test_p_is_never_below_what_the_units_can_reach(units):
    rows = list(timecourse.tested(planted(1, units), asked(sensors(12))))
    assert {r["smallest_p"] for r in rows} == {2 / 2**units}
    assert min(r["p"] for r in rows) == pytest.approx(2 / 2**units)  # the planted effect reaches it


def test_with_many_units_the_smallest_p_is_one_over_the_patterns_tried():
    rows = list(timecourse.tested(planted(1, 15), asked(None), n=100))
    assert rows[0]["smallest_p"] == 0.01 and rows[0]["p"] == pytest.approx(0.01)


def test_below_three_units_nothing_is_tested_and_a_row_says_so():
    (row,) = timecourse.tested(planted(0, 2), asked(sensors(12)))
    assert np.isnan(row["p"]) and row["n_units"] == 2 and row["n_clusters"] == 0


def test_a_test_without_clusters_has_a_row():
    flat = np.tile([1.0, -1.0], (1, 3))[0][:, None, None] * np.ones((6, 4, len(FEW)))
    (row,) = timecourse.tested(flat, asked(sensors(4), FEW))
    assert row["n_clusters"] == 0 and np.isnan(row["p"]) and row["n_tested"] == 4 and row["smallest_p"] == 2 / 2**6


def test_a_missing_channel_is_left_out_and_counted():
    values = planted(0, 8)
    values[3, 1] = np.nan
    rows = list(timecourse.tested(values, asked(sensors(12))))
    assert {r["n_tested"] for r in rows} == {11} and all("C1" not in r["channels"].split(",") for r in rows)


def test_the_order_of_channels_changes_nothing():
    where, values = sensors(12), planted(0, 8)
    order = np.random.default_rng(0).permutation(12)
    turned = where._replace(names=tuple(where.names[i] for i in order), loc=where.loc[order])
    one = list(timecourse.tested(values, asked(where)))
    two = list(timecourse.tested(values[:, order], asked(turned)))
    assert [set(r["channels"].split(",")) for r in one] == [set(r["channels"].split(",")) for r in two]
    for name in ("mass", "p", "start_s", "end_s", "peak_s", "n_clusters"):
        assert [r[name] for r in one] == pytest.approx([r[name] for r in two])


@pytest.mark.parametrize("kind", ["seeg", "label"])
def test_channels_without_a_layout_are_tested_as_their_mean(kind):
    where = sensors(12, (kind,))
    rows = list(timecourse.tested(planted(0, 8), asked(where, kind=kind)))
    assert rows[0]["channels"] == "mean of all" and rows[0]["n_channels"] == 12
    by_hand = list(timecourse.tested(planted(0, 8).mean(axis=1, keepdims=True), asked(None)))
    assert rows[0]["mass"] == pytest.approx(by_hand[0]["mass"]) and rows[0]["p"] == by_hand[0]["p"]


def test_channels_whose_places_nobody_knows_are_tested_as_their_mean():
    where = sensors(12)
    lost = where._replace(loc=np.full((12, 12), np.nan))
    assert next(timecourse.tested(planted(0, 8), asked(lost)))["channels"] == "mean of all"


def test_neighbours_of_known_systems_are_those_of_mne():
    for kind, table in (("mag", "neuromag306mag"), ("grad", "neuromag306planar")):
        matrix, known = mne.channels.read_ch_adjacency(table)
        order = np.random.default_rng(0).permutation(len(known))[:80]
        for space in ("", " "):  # older systems write MEG 0113
            names = tuple(known[i].replace("MEG", "MEG" + space) for i in order)
            where = Sensors(names, (kind,) * 80, np.ones((80, 12)))
            found = neighbours(where, kind, np.arange(80)).toarray()
            assert (found == matrix.toarray()[np.ix_(order, order)]).all()


def test_the_two_planar_gradiometers_of_a_place_are_neighbours():
    where = Sensors(("MEG0112", "MEG0113", "MEG0122", "MEG2642"), ("grad",) * 4, np.ones((4, 12)))
    near = neighbours(where, "grad", np.arange(4)).toarray()
    assert near[0, 1] and not near[0, 3]


def test_neighbours_of_other_sensors_come_from_their_places():
    where = sensors(40, ("mag",))
    near = neighbours(where, "mag", np.arange(40)).toarray().astype(bool)
    assert (near == near.T).all() and near.diagonal().all()
    apart = np.linalg.norm(where.loc[:, None, :3] - where.loc[None, :, :3], axis=2)
    assert apart[near].mean() < 0.6 * apart.mean()
    nearest = np.argsort(apart, axis=1)[:, 1]
    assert near[np.arange(40), nearest].all()  # a triangulation joins each point with its nearest


def test_the_table_holds_trained_models_against_zero_and_the_pairs_of_the_study():
    where = sensors(12)
    r = planted(0, 6)[None]
    scores = {"net": scored(r, r, where), "twin": scored(0 * r, r, where), "rate": scored(r, r, where)}
    whose = timecourse.person("01", "meg", scores, {"net": "trained", "twin": "random", "rate": ""})
    table = timecourse.clusters(whose, Comparison(permutations=100))
    assert list(table.columns)[:15] == [
        "subject", "recording", "a", "b", "layer", "kind", "start_s", "end_s", "n_channels", "channels", "mass", "p", "unit",
        "n_units", "peak_s",
    ]  # fmt: skip
    assert list(dict.fromkeys(zip(table["a"], table["b"], strict=True))) == [
        ("net", ""),
        ("net", "twin"),
        ("net", "rate"),
    ]
    same = table[table["b"] == "rate"]
    assert len(same) == 1 and same["n_clusters"].item() == 0  # equal scores do not differ
    zero, twin = (table.loc[table["b"] == b, ["mass", "p", "channels"]].reset_index(drop=True) for b in ("", "twin"))
    assert zero.equals(twin)  # against nothing
    assert set(table["kind"]) == {"eeg"} and set(table["unit"]) == {"folds"}


def test_where_no_model_is_trained_all_are_held_against_zero():
    assert timecourse.asked(Comparison(), {"rate": "", "length": ""}) == [("rate", ""), ("length", "")]


def member(subject: str, values: np.ndarray, where: Sensors) -> timecourse.Member:
    return timecourse.Member(subject, where, TIMES, {"net": values})


def test_over_people_channels_that_all_share_are_tested_in_space():
    where, values = sensors(12), planted(0, 8)
    table = timecourse.group_clusters(
        "meg", [member(str(i), v, where) for i, v in enumerate(values)], {"net": "trained"}, Comparison()
    )
    by_hand = list(timecourse.tested(values, asked(where), n=1000))
    assert np.allclose(table["mass"], [r["mass"] for r in by_hand]) and table["p"].tolist() == [r["p"] for r in by_hand]
    assert set(table["unit"]) == {"subjects"} and set(table["n_units"]) == {8} and "subject" not in table


def test_over_people_with_other_channels_the_mean_of_each_is_tested_and_said():
    values = planted(0, 6)
    others = [sensors(12)._replace(names=tuple(f"S{i}_{k}" for k in range(12))) for i in range(6)]
    table = timecourse.group_clusters(
        "meg",
        [member(str(i), v, w) for i, (v, w) in enumerate(zip(values, others, strict=True))],
        {"net": "trained"},
        Comparison(),
    )
    assert set(table["channels"]) == {"mean of each subject's own"}
    best = table.iloc[0]
    assert best["peak_s"] == pytest.approx(0.2, abs=0.02) and best["p"] == pytest.approx(2 / 2**6)


def test_two_people_are_no_group():
    where, values = sensors(12), planted(0, 2)
    table = timecourse.group_clusters(
        "meg", [member(str(i), v, where) for i, v in enumerate(values)], {"net": "trained"}, Comparison()
    )
    assert len(table) == 1 and np.isnan(table["p"].item()) and table["n_units"].item() == 2
