import numpy as np
import pandas as pd
import pytest
import xarray as xr

from pipeline.comparison import Comparison, choose_layer, compare, group
from pipeline.normalisation import estimate

N, FOLDS, TARGETS = 400, 4, 6
RUN = np.repeat([f"run{i}" for i in range(FOLDS)], N // FOLDS)


def scores(r: list[float], *, inner: list[float] | None = None, seeds: int = 0, seed: int = 0) -> xr.Dataset:
    """Scores as `encode` leaves them: `r[layer]` with a little noise, agreement that adds up to it."""
    rng = np.random.default_rng(seed)
    lead = (seeds,) if seeds else ()
    agreement = np.zeros((*lead, len(r), 2, N))
    for i, value in enumerate(r):
        agreement[..., i, :, :] = value + 0.2 * rng.normal(size=(*lead, 1, N))
    fold = np.repeat(np.arange(FOLDS), N // FOLDS)
    of_fold = np.stack([agreement[..., 0, fold == k].mean(axis=-1) for k in range(FOLDS)], axis=-1)
    values = np.repeat(of_fold[..., None], TARGETS, axis=-1)
    chosen_by = np.broadcast_to(np.asarray(inner if inner is not None else r)[:, None, None], values.shape)
    dims = (*(["seed"] if seeds else []), "layer", "fold", "target")
    ds = xr.Dataset(
        {
            "r": (dims, values),
            "r2": (dims, values**2),
            "inner": (dims, chosen_by),
            "flat": (dims, np.zeros_like(values)),
        }
    )
    ds["agreement"] = ((*dims[:-2], "roi", "sample"), agreement)
    ds["member"] = (("roi", "target"), np.array([[1] * 6, [1, 1, 1, 0, 0, 0]], np.uint8))
    coords = {"roi": ["all", "front"], "layer": list(range(len(r))), "target": [f"t{i}" for i in range(TARGETS)]}
    ds = ds.assign_coords(coords | ({"seed": list(range(seeds))} if seeds else {}))
    return ds.assign_coords(run=("sample", RUN), fold_of=("sample", fold))


def ceiling(valid: bool = True) -> xr.Dataset:
    ds = xr.Dataset(coords={"target": [f"t{i}" for i in range(TARGETS)]})
    ds["repeats"] = ("target", np.full(TARGETS, 0.5))
    ds["repeats_valid"] = ("target", np.array([valid] * 3 + [False] * 3).astype(np.uint8))
    return ds


def tables(found: dict, weights: dict, top: xr.Dataset | None = None, **changes) -> tuple[pd.DataFrame, pd.DataFrame]:
    return compare("01", "fmri", found, weights, ceiling() if top is None else top, Comparison(**changes))


def row(table: pd.DataFrame, **wanted: str) -> pd.Series:
    for column, value in wanted.items():
        table = table[table[column] == value]
    assert len(table) == 1
    return table.iloc[0]


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
    assert mixed["repeats"].attrs["reason"] == "the tested runs were not presented equally often (1, 3 times)"
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
