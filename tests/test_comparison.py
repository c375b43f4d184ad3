import numpy as np
import pandas as pd
import pytest
import xarray as xr
from madeup import FOLDS, TARGETS, N, ceiling, row, scores

from pipeline import statistics
from pipeline.comparison import (
    COMPARISON_COLUMNS,
    LAYER_COLUMNS,
    Comparison,
    at_last_step,
    choose_layer,
    compare,
    group,
    pairs,
    rank_among,
)
from pipeline.normalisation import estimate


def tables(found: dict, weights: dict, top: xr.Dataset | None = None, **changes) -> tuple[pd.DataFrame, pd.DataFrame]:
    return compare("01", "fmri", found, weights, ceiling() if top is None else top, Comparison(**changes))


def test_the_layer_is_chosen_by_inner_scores_and_not_by_the_score_that_is_shown():
    found = scores([0.1, 0.3, 0.5], inner=[0.9, 0.2, 0.1])
    layers, _ = tables({"m": found}, {"m": "trained"})
    nested = row(layers, layer="nested", roi="all")
    assert nested["chosen"] == "0" and nested["r"] == pytest.approx(0.1, abs=0.05)


def test_choosing_a_layer_ignores_targets_without_a_score():
    inner = np.full((3, 2, 4), np.nan)
    inner[:, 0, :2] = [[0.1], [0.3], [0.2]]
    inner[:, 1, :2] = [[0.5], [0.3], [0.2]]
    np.testing.assert_array_equal(choose_layer(inner), [1, 0])


def test_nested_choice_on_noise_is_not_optimistic():
    means = []
    for seed in range(60):
        rng = np.random.default_rng(seed)
        test, inner = rng.normal(0, 0.02, (13, 5)), rng.normal(0, 0.02, (13, 5))
        best = choose_layer(inner[:, :, None])
        means.append((test[best, np.arange(5)].mean(), test.mean(axis=1).max()))
    nested, picked = np.mean(means, axis=0)
    assert abs(nested) < 0.003 < 0.01 < picked  # picking the best on the test itself gains about .015


def test_twins_come_as_every_seed_and_their_mean():
    layers, _ = tables(
        {"m": scores([0.1, 0.2]), "twin": scores([0.05, 0.04], seeds=5)}, {"m": "trained", "twin": "random"}
    )
    twin = layers[(layers["model"] == "twin") & (layers["roi"] == "all") & (layers["layer"] == "nested")]
    assert twin["seed"].tolist() == ["0", "1", "2", "3", "4", "mean"]
    assert twin["r"].iloc[-1] == pytest.approx(twin["r"].iloc[:-1].mean())


def test_a_real_difference_is_found_and_none_is_not():
    found = {"a": scores([0.3], seed=1), "b": scores([0.2], seed=2), "same": scores([0.3], seed=3)}
    _, contrasts = tables(found, {"a": "trained", "b": "", "same": ""})
    real, none = row(contrasts, b="b", roi="all"), row(contrasts, b="same", roi="all")
    assert real["p"] < 0.01 and real["low"] > 0 and real["significant"] == "yes"
    assert none["p"] > 0.05 and none["low"] < 0 < none["high"] and none["significant"] == "no"
    assert real["unit"].startswith("blocks of") and real["n_units"] == N // int(real["unit"].split()[2])


def test_scores_are_never_clipped_or_made_absolute():
    layers, contrasts = tables({"a": scores([-0.4]), "b": scores([0.1])}, {"a": "trained", "b": ""})
    assert row(layers, model="a", layer="nested", roi="all")["r"] == pytest.approx(-0.4, abs=0.05)
    assert row(contrasts, roi="all")["difference"] == pytest.approx(-0.5, abs=0.05)


def test_a_fraction_of_the_ceiling_needs_a_valid_ceiling():
    layers, _ = tables({"m": scores([0.6])}, {"m": "trained"})
    nested = row(layers, layer="nested", roi="all")
    assert (nested["ceiling"], nested["n_ceiling"]) == (0.5, 3)
    assert nested["fraction"] == pytest.approx(1.2, abs=0.1)  # above one is shown, not clipped
    layers, _ = tables({"m": scores([0.6])}, {"m": "trained"}, ceiling(valid=False))
    assert np.isnan(row(layers, layer="nested", roi="all")["fraction"]) and (layers["ceiling_kind"] == "").all()


def test_a_missing_target_is_counted_and_left_out_of_the_mean():
    found = scores([0.3])
    found["r"][..., 0] = np.nan
    layers, _ = tables({"m": found}, {"m": "trained"})
    nested = row(layers, layer="nested", roi="all")
    assert nested["n_missing"] == 1 and nested["r"] == pytest.approx(0.3, abs=0.05)


def people(n: int, difference: float = 0.1) -> tuple[pd.DataFrame, pd.DataFrame]:
    parts = []
    for i in range(n):
        found = {"a": scores([0.2 + difference], seed=2 * i), "b": scores([0.2], seed=2 * i + 1)}
        layers, contrasts = compare(
            f"{i:02}", "fmri", found, {"a": "trained", "b": ""}, ceiling(), Comparison(permutations=200)
        )
        parts.append((layers, contrasts))
    return tuple(pd.concat(tables, ignore_index=True) for tables in zip(*parts, strict=True))


def test_two_people_allow_no_inference_over_people():
    layers, contrasts = group(*people(2), Comparison())
    assert layers["r_low"].isna().all() and contrasts["p"].isna().all()
    assert set(contrasts["test"]) == {"none: fewer than 3 subjects"} and set(contrasts["n_units"]) == {2}


def test_the_smallest_attainable_p_over_people_is_told():
    _, contrasts = group(*people(6), Comparison())
    first = row(contrasts, roi="all")
    assert first["smallest_p"] == pytest.approx(2 / 2**6) and first["p"] == pytest.approx(2 / 2**6)
    assert first["unit"] == "subjects"


def recording(presentations: int, n: int = 200, share: float = 0.4, seed: int = 0) -> xr.Dataset:
    rng = np.random.default_rng(seed)
    signal = rng.normal(size=(n, 8)) * np.sqrt(share)
    Y = signal + np.sqrt(1 - share) * rng.normal(size=(presentations, n, 8))
    ds = xr.Dataset(
        {"responses": (("sample", "target"), Y.mean(axis=0))}, {"target": [f"t{i}" for i in range(8)]}, {"tr_s": 2.0}
    )
    return ds if presentations == 1 else ds.assign(presentations=(("repeat", "sample", "target"), Y))


def test_a_ceiling_needs_every_tested_run_to_be_repeated_equally_often():
    runs = {"a": recording(1), "b": recording(3, seed=1), "c": recording(3, seed=2)}
    none = estimate(runs, ("a",), ("repeats",), (0.0, 0.0), 0)
    assert np.isnan(none["repeats"]).all() and not none["repeats_valid"].any()
    assert none["repeats"].attrs["reason"] == "no tested run was presented more than once (a)"
    # a perfect model scores lower on the run that was heard once than the ceiling of the others says
    mixed = estimate(runs, ("a", "b"), ("repeats",), (0.0, 0.0), 0)
    assert mixed["repeats"].attrs["reason"] == "the tested runs were not presented equally often (a 1 time; b 3 times)"
    both = estimate(runs, ("b", "c"), ("repeats",), (0.0, 0.0), 0)
    assert both["repeats_valid"].all() and both["repeats"].attrs["reason"] == ""
    assert float(both["repeats"].mean()) == pytest.approx(np.sqrt(3 * 0.4 / (1 + 2 * 0.4)), abs=0.05)


def test_runs_of_unequal_length_count_the_same_in_a_test_over_runs():
    lengths = [400, *[50] * 6]
    r = [0.3, *[-0.05] * 6]  # their mean is 0
    run = np.repeat([f"run{i}" for i in range(7)], lengths)
    fold = np.repeat(np.arange(7), lengths)
    noise = np.random.default_rng(0).normal(size=len(run))
    noise -= np.array([noise[fold == k].mean() for k in range(7)])[fold]

    def of(values):
        series = np.asarray(values)[fold] + noise * 0.01
        ds = scores([0.0]).isel(sample=0, drop=True).drop_vars(["run", "fold_of"], errors="ignore")
        full = {
            n: (("layer", "fold", "target"), np.broadcast_to(np.asarray(values)[None, :, None], (1, 7, TARGETS)).copy())
            for n in ("r", "r2", "inner")
        }
        full["flat"] = (("layer", "fold", "target"), np.zeros((1, 7, TARGETS)))
        full["agreement"] = (("layer", "roi", "sample"), np.broadcast_to(series, (1, 2, len(run))).copy())
        made = xr.Dataset(full).assign(member=(("roi", "target"), np.ones((2, TARGETS), np.uint8)))
        made = made.assign_coords(roi=["all", "front"], layer=[0], target=ds["target"].values)
        return made.assign_coords(run=("sample", run), fold_of=("sample", fold))

    _, contrasts = tables({"a": of(r), "b": of([0.0] * 7)}, {"a": "trained", "b": ""})
    one = row(contrasts, roi="all")
    assert one["unit"] == "runs" and one["n_units"] == 7
    assert abs(one["difference"]) < 1e-9 and one["p"] > 0.9


PROMISED = "subject recording model weights seed layer roi n_targets r r_low r_high r2 ceiling ceiling_kind fraction n_missing n_flat"
PROMISED_CONTRASTS = "subject recording roi a b layer_a layer_b r_a r_b difference low high p q unit n_units test"


def test_promised_columns_come_first_and_new_ones_behind():
    layers, contrasts = tables({"m": scores([0.3]), "b": scores([0.1])}, {"m": "trained", "b": ""})
    assert list(layers) == LAYER_COLUMNS and list(contrasts) == COMPARISON_COLUMNS
    assert LAYER_COLUMNS[:17] == PROMISED.split() and LAYER_COLUMNS[20] == "step"
    assert COMPARISON_COLUMNS[:17] == PROMISED_CONTRASTS.split()
    assert COMPARISON_COLUMNS[18:22] == ["percentile", "seed_low", "seed_high", "n_seeds"]


STEPS = ("step00000", "step00010", "step01000")


def test_checkpoints_come_one_after_another_each_with_its_layers_and_without_a_mean():
    layers, _ = tables({"m": scores([0.02, 0.05], steps=STEPS)}, {"m": "trained"})
    whole = layers[layers["roi"] == "all"]
    assert whole["step"].tolist() == [step for step in STEPS for _ in range(3)]
    assert whole["layer"].tolist() == ["0", "1", "nested"] * 3
    assert set(layers["seed"]) == {""} and set(layers["weights"]) == {"trained"}
    nested = whole[whole["layer"] == "nested"]["r"].to_numpy()
    assert nested == pytest.approx([0.05, 0.10, 0.15], abs=0.03)


def test_each_checkpoint_chooses_its_own_layer():
    found = scores([0.1, 0.1], steps=STEPS[:2])
    found["inner"] = found["inner"].copy(
        data=np.array([[0.1, 0.9], [0.9, 0.1]])[:, :, None, None] * np.ones((1, 1, FOLDS, TARGETS))
    )
    layers, _ = tables({"m": found}, {"m": "trained"})
    nested = layers[(layers["layer"] == "nested") & (layers["roi"] == "all")]
    assert nested["chosen"].tolist() == ["1", "0"]


def test_a_checkpoint_scores_as_it_does_alone():
    found = {"m": scores([0.02, 0.05], steps=STEPS), "b": scores([0.0], seed=5)}
    every, _ = tables(found, {"m": "trained", "b": ""})
    alone, _ = tables(found | {"m": found["m"].isel(step=1, drop=True)}, {"m": "trained", "b": ""})
    of_step = every[(every["model"] == "m") & (every["step"] == STEPS[1])].drop(columns="step").reset_index(drop=True)
    pd.testing.assert_frame_equal(of_step, alone[alone["model"] == "m"].drop(columns="step").reset_index(drop=True))


def test_contrasts_are_made_at_the_last_checkpoint():
    found, weights = {"m": scores([0.05], steps=STEPS), "b": scores([0.1], seed=9)}, {"m": "trained", "b": ""}
    _, contrasts = tables(found, weights)
    _, alone = tables(found | {"m": found["m"].isel(step=2, drop=True)}, weights)
    assert row(contrasts, roi="all")["r_a"] == pytest.approx(0.15, abs=0.03)
    pd.testing.assert_frame_equal(contrasts, alone)


def test_only_the_last_checkpoint_stays_and_what_has_none_stays_whole():
    layers, _ = tables({"m": scores([0.05, 0.02], steps=STEPS), "b": scores([0.1])}, {"m": "trained", "b": ""})
    last = at_last_step(layers)
    assert set(last.loc[last["model"] == "m", "step"]) == {STEPS[-1]} and (last["model"] == "m").sum() == 2 * 3
    pd.testing.assert_frame_equal(last[last["model"] == "b"], layers[layers["model"] == "b"])
    without = layers.assign(step=np.nan)
    assert len(at_last_step(without)) == len(without) == len(at_last_step(layers.drop(columns="step")))


@pytest.mark.parametrize(
    ("r", "seeds", "percentile"),
    [
        (0.9, [0.1, 0.2, 0.3, 0.4, 0.5], 100),
        (0.35, [0.1, 0.2, 0.3, 0.4, 0.5], 60),
        (0.3, [0.1, 0.2, 0.3, 0.4, 0.5], 40),  # a tie is not below
        (0.2, [0.2] * 5, 0),
        (-0.1, [-0.3, -0.2], 100),
        (0.5, [0.1, np.nan, 0.7], 50),  # a seed without a score is no seed
    ],
)
def test_the_percentile_counts_the_seeds_that_lie_below(r, seeds, percentile):
    found = rank_among(r, np.array(seeds))
    assert found.percentile == percentile
    assert (found.seed_low, found.seed_high) == (np.nanmin(seeds), np.nanmax(seeds))
    assert found.n_seeds == np.isfinite(seeds).sum()


def test_one_seed_has_no_range_and_none_has_no_percentile():
    one = rank_among(0.2, np.array([0.1]))
    assert (one.percentile, one.n_seeds) == (100, 1) and np.isnan([one.seed_low, one.seed_high]).all()
    assert np.isnan(rank_among(0.2, np.array([]))).all() and np.isnan(rank_among(0.2, np.array([np.nan]))).all()
    missing = rank_among(float("nan"), np.array([0.1, 0.3]))
    assert np.isnan(missing.percentile) and missing[1:] == (0.1, 0.3, 2)


def test_a_contrast_with_twins_ranks_the_nested_score_among_those_of_their_seeds():
    found = {"m": scores([0.05], seed=3), "twin": scores([0.05, 0.04], seeds=7), "rate": scores([0.05], seed=4)}
    layers, contrasts = tables(found, {"m": "trained", "twin": "random", "rate": ""})
    for roi in ("all", "front"):
        own = layers[(layers["roi"] == roi) & (layers["layer"] == "nested")].set_index(["model", "seed"])["r"]
        seeds = own["twin"].drop("mean")
        one = row(contrasts, roi=roi, b="twin")
        assert one["percentile"] == 100 * (seeds < own["m", ""]).mean() and 0 < one["percentile"] < 100
        assert (one["seed_low"], one["seed_high"], one["n_seeds"]) == (seeds.min(), seeds.max(), 7)
        assert row(contrasts, roi=roi, b="rate")[["percentile", "seed_low", "seed_high", "n_seeds"]].isna().all()


def test_a_control_that_is_drawn_by_seed_has_a_percentile_too():
    found = {"m": scores([0.3]), "vectors": scores([0.1], seeds=5)}
    _, contrasts = tables(found, {"m": "trained", "vectors": ""})
    assert row(contrasts, roi="all")["percentile"] == 100


def test_a_trained_model_is_held_against_twins_of_every_kind_and_controls():
    weights = {"m": "trained", "a": "random", "b": "shuffled", "c": "spectrum", "d": "shuffledwords", "e": ""}
    assert pairs(Comparison(), weights) == tuple(("m", other) for other in "abcde")
    assert pairs(Comparison(contrasts=(("a", "b"), ("a", "x"))), weights) == (("a", "b"),)


def of_people(twins: dict[str, list[float]], trained: list[float]) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Tables of as many people as there are trained scores; `twins` has each person's r by seed."""
    rows, contrasts = [], []
    for i, r in enumerate(trained):
        common = {"subject": f"{i:02}", "recording": "fmri", "roi": "all", "layer": "nested", "step": "", "seed": ""}
        common |= dict.fromkeys(("n_targets", "r2", "ceiling", "fraction", "n_missing", "n_flat", "n_ceiling"), 1.0)
        seeds = {seed: values[i] for seed, values in twins.items()}
        rows.append(common | {"model": "m", "weights": "trained", "r": r})
        rows += [common | {"model": "t", "weights": "random", "seed": s, "r": v} for s, v in seeds.items()]
        mean = float(np.mean([*seeds.values()]))
        rows.append(common | {"model": "t", "weights": "random", "seed": "mean", "r": mean})
        ends = {
            "r_a": r,
            "r_b": mean,
            "difference": r - mean,
            "percentile": 100 * np.mean(np.array([*seeds.values()]) < r),
        }
        contrasts.append({"subject": f"{i:02}", "recording": "fmri", "roi": "all", "a": "m", "b": "t"} | ends)
    return pd.DataFrame(rows), pd.DataFrame(contrasts)


def test_over_people_the_mean_is_ranked_among_the_means_of_the_same_seeds():
    # means of seeds .2, .3, .4; the mean of m is .35: above two of three, though above all of them in one person of four
    twins = {"0": [0.1, 0.1, 0.3, 0.3], "1": [0.3] * 4, "2": [0.5, 0.5, 0.3, 0.3]}
    layers, contrasts = group(*of_people(twins, [0.4, 0.2, 0.5, 0.3]), Comparison())
    one = row(contrasts, a="m")
    assert one["percentile"] == pytest.approx(200 / 3) and one["n_seeds"] == 3
    assert (one["seed_low"], one["seed_high"]) == pytest.approx((0.2, 0.4))
    assert one["n_above_all"] == 1 and one["n_units"] == 4
    seeds = layers[(layers["model"] == "t")].set_index("seed")["r"]
    assert seeds.to_dict() == pytest.approx({"0": 0.2, "1": 0.3, "2": 0.4, "mean": 0.3})


def test_a_person_without_a_score_takes_no_part_in_the_rank():
    twins = {"0": [0.1, 0.9], "1": [0.2, 0.9]}
    _, contrasts = group(*of_people(twins, [0.3, float("nan")]), Comparison())
    one = row(contrasts, a="m")
    assert (one["percentile"], one["seed_high"], one["n_above_all"]) == (100, 0.2, 1)


def test_the_group_table_keeps_checkpoints_apart_and_in_order():
    parts = [
        compare(f"{i}", "fmri", {"m": scores([0.05], steps=STEPS, seed=i), "b": scores([0.1], seed=i + 9)},
                {"m": "trained", "b": ""}, ceiling(), Comparison(permutations=100))
        for i in range(3)
    ]  # fmt: skip
    layers, contrasts = group(*(pd.concat(t, ignore_index=True) for t in zip(*parts, strict=True)), Comparison())
    nested = layers[(layers["model"] == "m") & (layers["roi"] == "all") & (layers["layer"] == "nested")]
    assert nested["step"].tolist() == list(STEPS) and set(nested["n_subjects"]) == {3}
    assert nested["r"].is_monotonic_increasing
    assert contrasts[["percentile", "n_above_all"]].isna().all(axis=None)


def test_interval_and_test_count_the_same_units():
    """Each run's difference is .05, though a wave within each makes its blocks differ twenty times as much."""
    a, b = scores([0.3]), scores([0.25])
    wave, runs = np.sin(2 * np.pi * np.arange(50) / 50), np.repeat([f"run{i}" for i in range(8)], 50)
    noise = np.random.default_rng(0).normal(0, 0.02, 8).repeat(50)
    a["agreement"].values[:], b["agreement"].values[:] = 0.3 + noise + np.tile(wave, 8), 0.25
    told = row(tables({"a": in_runs(a, runs), "b": in_runs(b, runs)}, {"a": "trained", "b": ""})[1], roi="all")
    assert told["unit"] == "runs" and told["p"] == 2 / 2**8
    expected = statistics.bootstrap(0.05 + noise[::50], block=1, n=1000)
    assert told[["low", "high"]].tolist() == pytest.approx([expected.low, expected.high]) and told["low"] > 0


def in_runs(ds, runs):
    return ds.assign_coords(run=("sample", runs), fold_of=("sample", np.unique(runs, return_inverse=True)[1] // 2))
