"""What a few people, a few seeds and a few blocks allow to say."""

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from madeup import FOLDS, TARGETS, N, ceiling, row, scores
from scipy import stats

from pipeline import arrays
from pipeline.comparison import Comparison, compared, group

WEIGHTS = {"a": "trained", "b": ""}
QUICK = Comparison(permutations=200)


def person(label: str, found: dict, weights: dict | None = None, top: xr.Dataset | None = None, **changes):
    settings = Comparison(**{"permutations": 200} | changes)
    return compared(label, "fmri", found, weights or WEIGHTS, ceiling() if top is None else top, settings)


def study(everybody: list, settings: Comparison = QUICK) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The group tables of what `person` returned for each."""
    tables = [
        pd.concat([getattr(one, name) for one in everybody], ignore_index=True) for name in ("layers", "contrasts")
    ]
    blocks = {(one.layers["subject"].iloc[0], "fmri"): one.blocks for one in everybody}
    return group(*tables, settings, 0, blocks)


def nested(table: pd.DataFrame, **wanted: str) -> pd.Series:
    return row(table, **{"layer": "nested", "roi": "all", **wanted})


# the samples of each person, in blocks


def test_blocks_hold_every_score_of_the_table():
    found = {"a": scores([0.1, 0.3]), "t": scores([0.1, 0.0], seeds=3), "s": scores([0.1], steps=("x", "y"))}
    one = person("01", found, {"a": "trained", "t": "random", "s": "trained"})
    ds = one.blocks
    means = (ds["r"] * ds["samples"]).sum("block") / ds["samples"].sum()
    known = dict(
        zip(
            zip(*(ds[k].values.tolist() for k in ("model", "seed", "step", "layer", "roi")), strict=True),
            means.values,
            strict=True,
        )
    )
    assert len(known) == len(one.layers) and int(ds["samples"].sum()) == N
    for _, told in one.layers.iterrows():
        assert known[told["model"], told["seed"], told["step"], told["layer"], told["roi"]] == pytest.approx(
            told["r"], abs=1e-9
        )


def test_blocks_come_back_from_their_file(tmp_path):
    blocks = person("01", {"a": scores([0.1, 0.3]), "b": scores([0.1])}).blocks
    arrays.save(blocks, tmp_path / "blocks.nc", stage="compare", settings={}, inputs={})
    xr.testing.assert_equal(arrays.load(tmp_path / "blocks.nc", "score", "block").drop_attrs(), blocks.drop_attrs())


def test_people_who_do_not_differ_are_as_sure_as_all_their_blocks_together():
    """Four people with the same score and noise of their own: nothing is left of them but their samples."""
    everybody = []
    for i in range(4):
        found = {"a": scores([0.3], seed=i), "b": scores([0.0], seed=99)}
        found["a"]["agreement"] = found["a"]["agreement"] + 0.3 - found["a"]["agreement"].mean("sample")
        everybody.append(person(f"{i}", found))
    told = nested(study(everybody, Comparison(permutations=4000))[0], model="a")
    noise = np.concatenate([one.blocks["r"].values[one.blocks["model"] == "a"][0] for one in everybody])
    missed = (1 - (3 / 10) ** 2) / 6  # of the variance, by blocks of ten samples that are three autocorrelation times
    half = stats.t.ppf(0.975, 3) * noise.std(ddof=1) / np.sqrt(len(noise) * (1 - missed))
    assert (told["r_high"] - told["r_low"]) / 2 == pytest.approx(half, rel=0.08)


def test_intervals_over_people_and_their_blocks_hold_the_truth():
    """People differ by .05, blocks of ten samples by .2 / sqrt(10): 95 % intervals of the mean of six people."""
    inside = []
    for study_seed in range(25):
        rng = np.random.default_rng(study_seed)
        everybody = [
            person(f"{i}", {"a": scores([0.3 + rng.normal(0, 0.05)], seed=1000 * study_seed + i)}, {"a": "trained"})
            for i in range(6)
        ]
        told = nested(study(everybody)[0], model="a")
        inside.append(told["r_low"] < 0.3 < told["r_high"])
    assert 0.85 <= np.mean(inside) <= 1.0


def test_a_model_that_a_person_lacks_is_told_of_the_others():
    everybody = [person(f"{i}", {"a": scores([0.3], seed=i), "b": scores([0.2], seed=i + 9)}) for i in range(4)]
    everybody.append(person("9", {"a": scores([0.3], seed=5)}, {"a": "trained"}))
    layers, contrasts = study(everybody)
    assert nested(layers, model="a")["n_subjects"] == 5 and nested(layers, model="b")["n_subjects"] == 4
    assert row(contrasts, roi="all")["n_units"] == 4
    assert layers[["r_low", "r_high"]].notna().all(axis=None) and contrasts[["low", "high"]].notna().all(axis=None)


def test_below_three_people_there_is_a_count_and_nothing_else():
    found = {"a": scores([0.5], seed=1), "b": scores([0.1], seed=2)}
    layers, contrasts = study([person(f"{i}", found) for i in range(2)])
    one = row(contrasts, roi="all")
    nothing = [
        "low",
        "high",
        "p",
        "q",
        "p_equivalent",
        "p_prevalence",
        "prevalence",
        "prevalence_low",
        "p_everyone",
        "low_seeds",
    ]
    assert one[nothing].isna().all() and layers[["r_low", "r_high", "gap_low", "gap_high"]].isna().all(axis=None)
    assert (one["n_significant"], one["n_tested"], one["equivalent"]) == (2, 2, "n/a")
    assert one["test"] == "none: fewer than 3 subjects"


# tests over people


@pytest.mark.parametrize(("people", "smallest"), [(3, 2 / 2**3), (11, 2 / 2**11), (12, 2 / 2**12), (13, 1 / 201)])
def test_up_to_twelve_people_every_pattern_of_signs_is_tried(people, smallest):
    rng = np.random.default_rng(0)
    own = {"recording": "fmri", "roi": "all", "a": "a", "b": "b"}
    contrasts = pd.DataFrame([own | {"subject": f"{i}", "difference": 1 + 0.01 * rng.normal()} for i in range(people)])
    layers = pd.DataFrame(
        {
            "recording": ["fmri"],
            "model": ["a"],
            "seed": [""],
            "layer": ["nested"],
            "roi": ["all"],
            "subject": ["0"],
            "step": [""],
        }
    )
    one = row(group(layers, contrasts, QUICK)[1], a="a")
    assert one["smallest_p"] == pytest.approx(smallest) and one["p"] == pytest.approx(smallest)


def of_people(p: list[float], difference: list[float], smallest_p: float = 0.01) -> pd.Series:
    own = {"recording": "fmri", "roi": "all", "a": "a", "b": "b", "smallest_p": smallest_p}
    rows = [
        own | {"subject": f"{i}", "difference": d, "p": q} for i, (q, d) in enumerate(zip(p, difference, strict=True))
    ]
    layers = pd.DataFrame(
        {
            "recording": ["fmri"],
            "model": ["a"],
            "seed": [""],
            "layer": ["nested"],
            "roi": ["all"],
            "subject": ["0"],
            "step": [""],
        }
    )
    return row(group(layers, pd.DataFrame(rows), QUICK)[1], a="a")


def test_few_people_are_counted_one_by_one():
    one = of_people([0.01, 0.03, 0.2, 0.04], [0.1, 0.2, 0.1, -0.01])
    # the fourth differs the other way: two of four, of whom chance gives .05 each
    assert (one["n_significant"], one["n_tested"]) == (2, 4)
    assert one["p_prevalence"] == pytest.approx(stats.binom.sf(1, 4, 0.05))
    assert one["prevalence"] == pytest.approx((2 / 4 - 0.05) / 0.95)
    assert 0 <= one["prevalence_low"] < one["prevalence"] < one["prevalence_high"] <= 1
    assert one["p_everyone"] == 1.0


def test_people_whose_own_test_cannot_be_significant_are_not_counted_as_having_nothing():
    assert of_people([0.5, 0.5, 0.5], [0.1, 0.2, 0.1], smallest_p=0.25)["n_tested"] == 0
    one = of_people([0.01, 0.02, 0.03], [0.1, 0.2, 0.1])
    assert (one["n_significant"], one["n_tested"], one["p_everyone"]) == (3, 3, 0.03)


def test_counting_people_without_any_effect_finds_too_many_in_one_study_of_twenty_at_most():
    rng = np.random.default_rng(0)
    found = []
    for _ in range(60):
        p, difference = rng.random(5), rng.normal(size=5)
        found.append(of_people(p.tolist(), difference.tolist())["p_prevalence"] <= 0.05)
    assert np.mean(found) <= 0.05


# seeds


def crossed(n_people: int, n_seeds: int, seed: int, people_sd: float, seeds_sd: float, rest_sd: float):
    """Tables of people of whom each was scored with a twin of several seeds: trained .3, twins .2 on average."""
    rng = np.random.default_rng(seed)
    twins = 0.2 + rng.normal(0, seeds_sd, n_seeds) + rng.normal(0, rest_sd, (n_people, n_seeds))
    trained = 0.3 + rng.normal(0, people_sd, n_people)
    common = {"recording": "fmri", "roi": "all", "layer": "nested", "step": ""}
    rows = [
        common | {"subject": f"{i}", "model": "t", "weights": "random", "seed": str(s), "r": twins[i, s]}
        for i in range(n_people)
        for s in range(n_seeds)
    ]
    rows += [
        common | {"subject": f"{i}", "model": "m", "weights": "trained", "seed": "", "r": trained[i]}
        for i in range(n_people)
    ]
    means = twins.mean(axis=1)
    contrasts = [{"subject": f"{i}", "recording": "fmri", "roi": "all", "a": "m", "b": "t", "r_a": trained[i], "r_b": means[i],
                  "difference": trained[i] - means[i]} for i in range(n_people)]  # fmt: skip
    return pd.DataFrame(rows), pd.DataFrame(contrasts), trained[:, None] - twins


def test_people_and_seeds_vary_by_themselves():
    layers, contrasts, table = crossed(200, 60, 0, people_sd=0.04, seeds_sd=0.02, rest_sd=0.01)
    one = row(group(layers, contrasts, QUICK)[1], a="m")
    assert one["sd_subjects"] == pytest.approx(0.04, rel=0.15) and one["sd_seeds"] == pytest.approx(0.02, rel=0.25)
    half = 1.96 * np.sqrt(0.04**2 / 200 + 0.02**2 / 60)
    assert (one["high_seeds"] - one["low_seeds"]) / 2 == pytest.approx(half, rel=0.2)
    assert (one["low_seeds"] + one["high_seeds"]) / 2 == pytest.approx(table.mean())


def test_other_people_and_other_seeds_are_covered_where_people_alone_are_not():
    """Eight people, five seeds that differ twice as much as people do."""
    both, people = [], []
    for seed in range(60):
        layers, contrasts, _ = crossed(8, 5, seed, people_sd=0.01, seeds_sd=0.02, rest_sd=0.002)
        one = row(group(layers, contrasts, QUICK)[1], a="m")
        both.append(one["low_seeds"] < 0.1 < one["high_seeds"])
        people.append(one["low"] < 0.1 < one["high"])
    assert 0.9 <= np.mean(both) <= 0.995 and np.mean(people) < 0.7


def test_a_contrast_without_seeds_has_no_interval_for_others():
    _, contrasts = study(
        [person(f"{i}", {"a": scores([0.3], seed=i), "b": scores([0.2], seed=i + 9)}) for i in range(3)]
    )
    one = row(contrasts, roi="all")
    assert one[["sd_seeds", "low_seeds", "high_seeds"]].isna().all() and one["sd_subjects"] > 0


def test_in_one_person_the_interval_of_the_blocks_is_widened_by_the_spread_of_the_seeds():
    found = {"a": scores([0.3], seed=3), "t": scores([0.1], seeds=5, seed=4)}
    one = person("01", found, {"a": "trained", "t": "random"})
    told = row(one.contrasts, roi="all")
    seeds = one.layers[(one.layers["model"] == "t") & (one.layers["layer"] == "nested") & (one.layers["roi"] == "all")]
    r = seeds[seeds["seed"] != "mean"]["r"].to_numpy(float)
    reach = stats.t.ppf(0.975, 4) * r.std(ddof=1) / np.sqrt(5)
    assert told["sd_seeds"] == pytest.approx(r.std(ddof=1))
    for end, other in (("low", "low_seeds"), ("high", "high_seeds")):
        assert abs(told[other] - told["difference"]) == pytest.approx(np.hypot(told[end] - told["difference"], reach))
    twice = row(
        person(
            "01",
            {"a": scores([0.3], seeds=2), "t": found["t"]},
            {"a": "random", "t": "random"},
            contrasts=(("a", "t"),),
        ).contrasts,
        roi="all",
    )
    assert twice["high_seeds"] - twice["low_seeds"] > told["high_seeds"] - told["low_seeds"]


# equivalence and the ceiling


def test_equal_models_are_equivalent_and_unequal_ones_are_not():
    same = scores([0.3])
    found = {"a": same, "b": same.copy(), "c": scores([0.1], seed=2), "d": scores([0.3], seed=3)}
    one = person("01", found, {"a": "trained", "b": "", "c": "", "d": ""}).contrasts
    assert row(one, roi="all", b="b")["equivalent"] == "yes"
    assert row(one, roi="all", b="c")["equivalent"] == "no"
    assert row(one, roi="all", b="d")["equivalent"] == "undecided"  # blocks differ by more than .01
    assert row(one, roi="all", b="d")["p"] > 0.05  # and yet no difference is seen
    assert set(one["margin"]) == {0.01}
    wide = person("01", found, {"a": "trained", "d": ""} | {"b": "", "c": ""}, margin=0.1).contrasts
    assert row(wide, roi="all", b="d")["equivalent"] == "yes"


def top(value: float, reach: float, valid: int = TARGETS) -> xr.Dataset:
    ds = xr.Dataset(coords={"target": [f"t{i}" for i in range(TARGETS)]})
    for name, shift in (("repeats", 0.0), ("repeats_low", -reach), ("repeats_high", reach)):
        ds[name] = ("target", np.full(TARGETS, value + shift))
    ds["repeats_valid"] = ("target", (np.arange(TARGETS) < valid).astype(np.uint8))
    return ds


@pytest.mark.parametrize(
    ("ceiling_value", "reach", "reached"),
    [(0.25, 0.001, "yes"), (0.5, 0.02, "no"), (0.31, 0.001, "undecided"), (0.25, 0.2, "undecided")],
)
def test_a_ceiling_is_reached_only_where_the_whole_interval_of_the_gap_says_so(ceiling_value, reach, reached):
    one = person("01", {"a": scores([0.3])}, {"a": "trained"}, top(ceiling_value, reach))
    told = nested(one.layers)
    assert told["reached"] == reached
    assert told["gap"] == pytest.approx(ceiling_value - told["r"])  # negative above the ceiling
    below = np.hypot(reach, told["r_high"] - told["r"])
    assert told["gap"] - told["gap_low"] == pytest.approx(below, rel=1e-6)


def test_without_a_valid_ceiling_nothing_is_missing_to_it():
    told = nested(person("01", {"a": scores([0.3])}, {"a": "trained"}, top(0.5, 0.1, valid=0)).layers)
    assert told["reached"] == "n/a" and told[["gap", "gap_low", "gap_high"]].isna().all()


def test_over_people_the_gap_and_the_share_have_intervals_over_people():
    everybody = [
        person(f"{i}", {"a": scores([0.3], seed=i)}, {"a": "trained"}, top(0.5 + 0.01 * i, 0.02)) for i in range(6)
    ]
    told = nested(study(everybody)[0], model="a")
    gaps = [nested(one.layers)["gap"] for one in everybody]
    assert told["gap"] == pytest.approx(np.mean(gaps)) and told["gap_low"] < told["gap"] < told["gap_high"]
    assert told["reached"] == "no" and told["p_reached"] == 1.0
    shares = [nested(one.layers)["fraction"] for one in everybody]
    assert told["fraction"] == pytest.approx(np.mean(shares))
    assert min(shares) < told["fraction_low"] < told["fraction"] < told["fraction_high"] < max(shares)


# the choice of a layer


def test_what_the_best_layer_has_more_than_the_chosen_one_is_told():
    found = scores([0.1, 0.3, 0.5], inner=[0.9, 0.2, 0.1])
    one = person("01", {"a": found}, {"a": "trained"}).layers
    told, layers = nested(one), one[(one["roi"] == "all") & (one["layer"] != "nested")]
    assert told["optimism"] == pytest.approx(layers["r"].max() - told["r"]) and told["optimism"] > 0.3
    assert (told["stability"], told["relative_depth"]) == (1.0, 0.0)
    assert layers[["optimism", "stability", "relative_depth"]].isna().all(axis=None)


def test_a_choice_that_changes_from_fold_to_fold_is_told():
    found = scores([0.1, 0.1, 0.1])
    inner = np.zeros((3, FOLDS, TARGETS))
    inner[[2, 2, 2, 0], np.arange(FOLDS)] = 1.0
    found["inner"] = (("layer", "fold", "target"), inner)
    told = nested(person("01", {"a": found}, {"a": "trained"}).layers)
    assert (told["stability"], told["relative_depth"]) == (0.75, 0.75)


def test_of_seeds_the_mean_is_told_and_one_layer_leaves_no_choice():
    one = person("01", {"t": scores([0.1, 0.1], seeds=4), "b": scores([0.1])}, {"t": "random", "b": ""}).layers
    own = one[(one["model"] == "t") & (one["roi"] == "all") & (one["layer"] == "nested")].set_index("seed")["optimism"]
    assert own["mean"] == pytest.approx(own.drop("mean").mean()) and (own >= 0).all()
    assert np.isnan(nested(one, model="b")["optimism"])


# too little of something


def short(samples: int, r: float, seed: int) -> xr.Dataset:
    found = scores([r], seed=seed).isel(sample=slice(0, samples))
    return found.assign_coords(
        run=("sample", np.full(samples, "only")), fold_of=("sample", np.zeros(samples, int))
    ).isel(fold=slice(0, 1))


def test_one_short_run_says_how_small_its_p_could_be():
    one = row(person("01", {"a": short(40, 0.5, 1), "b": short(40, 0.0, 2)}).contrasts, roi="all")
    assert one["n_units"] == 4 and one["smallest_p"] == 2 / 2**4 and one["p"] >= 2 / 2**4
    assert np.isfinite(one[["low", "high"]].astype(float)).all()


def test_a_single_block_has_neither_interval_nor_test():
    one = row(person("01", {"a": short(15, 0.5, 1), "b": short(15, 0.0, 2)}).contrasts, roi="all")
    assert (one["n_units"], one["smallest_p"], one["p"], one["equivalent"]) == (1, 1.0, 1.0, "n/a")
    assert np.isnan(one["low"]) and np.isnan(one["high"])


def test_draws_that_cannot_reach_the_false_discovery_rate_are_refused():
    with pytest.raises(ValueError, match=r"100 sign-flips give no p below 0.0099.*set permutations to 1000 or more"):
        Comparison(permutations=100, fdr=0.001)
    assert Comparison(permutations=100, fdr=0.01).fdr == 0.01
