"""What a model explains that controls do not: closed forms, planted truth, and what cannot be taken apart."""

import json

import numpy as np
import pandas as pd
import pytest
import xarray as xr

from pipeline import arrays, jobs, joint, ridge, stages, statistics
from pipeline.analyses import Analyses, Partition
from pipeline.config import Study
from pipeline.encoding import Encoding, encode
from pipeline.jobs import Job
from pipeline.layout import Layout
from pipeline.partition import COLUMNS, group, partition, table
from pipeline.problems import StudyError
from pipeline.recordings.matrix import Arrays
from pipeline.ridge.partition import explained, omega, omega_unclipped, set_partition, unions
from pipeline.settings import as_json
from pipeline.splits import contiguous, inner_contiguous

# --- maths ---

OPTIONS = {"alphas": np.logspace(-1, 5, 7), "precision": "float64", "n_iter": 9}


def planted(n: int = 600, n_targets: int = 12, seed: int = 0):
    """Two spaces with 8 features in common and 8 of their own; each of these three tells 20 % of every target."""
    rng = np.random.default_rng(seed)
    of = {name: rng.normal(size=(n, 8)) for name in ("a", "b", "both")}
    told = {name: x @ rng.normal(size=(8, n_targets)) for name, x in of.items()}
    signal = sum(np.sqrt(0.2) * s / s.std(axis=0) for s in told.values())
    Y = signal + np.sqrt(0.4) * rng.normal(size=signal.shape)
    return {name: np.hstack([of[name], of["both"]]) for name in ("a", "b")}, Y


def one_fold(n: int):
    fold = contiguous(n, folds=3)[1]
    return fold, inner_contiguous(fold[0], 3, 0)


def test_what_is_explained_sample_by_sample_sums_to_the_scores_of_the_fit():
    spaces, Y = planted(200)
    Y[:, 4] = 3.0  # constant: in no mean
    fold, inner = one_fold(200)
    pools = np.zeros((3, 12), bool)
    pools[0], pools[1, 2:5], pools[2, 4] = True, True, True
    found = explained(spaces, Y, fold=fold, inner=inner, pools=pools, **OPTIONS)
    fit = ridge.banded(spaces, Y, folds=[fold], inner=[inner], **OPTIONS)
    assert found.n.tolist() == [11, 2, 0] and found.names == ("a", "b")
    for i in (0, 1):
        assert np.allclose(found.r2[:, i].sum(axis=1), np.nanmean(fit.shares[:, 0, pools[i]], axis=1), atol=1e-12)
        assert np.allclose(found.r2[:, i].sum(), np.nanmean(fit.r2[0, pools[i]]), atol=1e-12)
        assert np.allclose(found.r[:, i].sum(), np.nanmean(fit.r[0, pools[i]]), atol=1e-12)
        assert np.allclose(found.null[i].sum(), 1, atol=1e-12)
    assert np.isnan(found.r2[:, 2]).all() and np.isnan(found.null[2]).all()


def test_a_prediction_that_never_changes_agrees_with_nothing():
    spaces, Y = planted(200)
    fold, inner = one_fold(200)
    nothing = {name: np.zeros_like(x) for name, x in spaces.items()}
    found = explained(nothing, Y, fold=fold, inner=inner, pools=np.ones((1, 12), bool), **OPTIONS)
    assert not found.r.any() and not found.r2.any()


def sets(**r2: float) -> dict:
    return {frozenset(name): value for name, value in r2.items()}


def test_three_groups_are_taken_apart_as_de_heer_et_al_did():
    r2 = sets(a=0.2, b=0.25, c=0.1, ab=0.3, ac=0.24, bc=0.28, abc=0.33)
    found = {"".join(sorted(key)): value for key, value in set_partition(r2).items()}
    by_hand = {
        "a": 0.33 - 0.28, "b": 0.33 - 0.24, "c": 0.33 - 0.3, "ab": 0.24 + 0.28 - 0.1 - 0.33, "ac": 0.3 + 0.28 - 0.25 - 0.33,
        "bc": 0.3 + 0.24 - 0.2 - 0.33, "abc": 0.2 + 0.25 + 0.1 - 0.3 - 0.24 - 0.28 + 0.33,
    }  # fmt: skip
    assert found == pytest.approx(by_hand, abs=1e-12)
    assert sum(found.values()) == pytest.approx(0.33, abs=1e-12)


def test_of_disjoint_sets_every_part_is_its_own_size():
    """An exact oracle: R2 of a union is the measure of a union of sets."""
    sizes = dict(zip(unions(("a", "b", "c")), (0.11, 0.02, 0.05, 0.07, 0.01, 0.03, 0.13), strict=True))
    r2 = {key: sum(size for part, size in sizes.items() if part & key) for key in sizes}
    assert set_partition(r2) == {key: pytest.approx(size, abs=1e-12) for key, size in sizes.items()}


def test_parts_may_be_negative_and_still_sum_to_the_joint_r2():
    r2 = sets(a=-0.02, b=0.3, ab=0.27)
    found = set_partition(r2)
    assert found[frozenset("a")] == pytest.approx(-0.03) and found[frozenset("ab")] == pytest.approx(0.01)
    assert sum(found.values()) == pytest.approx(0.27)


@pytest.mark.parametrize("names", [("a",), ("a", "b", "c", "d")])
def test_one_group_and_four_groups_are_not_partitioned(names):
    with pytest.raises(ValueError, match=rf"{len(names)} groups of features \({', '.join(names)}\).*give 2 to 3"):
        list(unions(names))


def test_a_partition_wants_every_union():
    with pytest.raises(ValueError, match=r"R2 of \[\['a', 'c'\]\] is missing"):
        set_partition(sets(a=0.2, b=0.2, c=0.1, ab=0.3, bc=0.3, abc=0.4))


@pytest.mark.parametrize(
    ("model", "simple", "both", "clipped", "free"),
    [
        (0.2, 0.2, 0.2, 100, 100),  # the simple features are all that the model explains
        (0.2, 0.0, 0.2, 0, 0),  # or nothing of it
        (0.2, 0.1, 0.2, 50, 50),
        (0.2, 0.3, 0.3, 100, 100),
        (0.2, 0.1, 0.15, 50, 75),  # fitted together they explain less than the model: taken as the model's own
        (0.2, -0.05, 0.2, 0, -25),  # simple features that harm: limits at 0
        (0.2, 0.25, 0.22, 100, 115),
        (0.0, 0.1, 0.1, 100, np.nan),  # nothing to account for
        (-0.01, 0.1, 0.1, 100, np.nan),
        (0.2, np.nan, 0.2, np.nan, np.nan),
    ],
)
def test_omega_of_known_cases(model, simple, both, clipped, free):
    assert omega(model, simple, both) == pytest.approx(clipped, nan_ok=True)
    assert omega_unclipped(model, simple, both) == pytest.approx(free, nan_ok=True)


def test_planted_parts_are_found():
    """20 % for each alone and 20 % for what they have in common."""
    spaces, Y = planted(3000)
    fold, inner = one_fold(3000)
    r2 = {
        key: explained({n: spaces[n] for n in key}, Y, fold=fold, inner=inner, pools=np.ones((1, 12), bool), **OPTIONS).r2.sum()
        for key in unions(("a", "b"))
    }  # fmt: skip
    assert [*set_partition(r2).values()] == pytest.approx([0.2, 0.2, 0.2], abs=0.02)


def test_resampled_ratios_have_the_interval_of_a_mean_where_the_ratio_is_over_1():
    values = np.random.default_rng(0).normal(size=(240, 3))
    run = np.repeat(np.arange(4), 60)
    plain = statistics.bootstrap(values, run=run, block=10, n=500, seed=3)
    for over in (None, np.ones(240)):
        draws = statistics.resampled(values, over=over, run=run, block=10, n=500, seed=3)
        assert np.allclose(np.quantile(draws, [0.025, 0.975], axis=0), [plain.low, plain.high], atol=1e-12)
    assert statistics.n_blocks(240, run=run, block=10) == 24


# --- one person ---

RUNS, N = ("a", "b", "d"), 120
SPLIT = dict.fromkeys(RUNS, "")
RECORDING = Arrays(kind="arrays", delays=(0,))
SETTINGS = Encoding(alphas=(1.0, 1e4, 5), inner_folds=2, precision="float64")
MEMBER = pd.DataFrame({"target": ["t0", "t1", "t2", "t3", "t5"], "roi": ["rate", "rate", "net", "net", "still"]})


def features(values: np.ndarray) -> xr.Dataset:
    coords = {"onset": ("word", np.arange(N) + 0.0), "layer": list(range(values.shape[1]))}
    return xr.Dataset(
        {"activations": (("word", "layer", "feature"), values.astype("f4"))}, coords, {"sampled": "event", "private": 0}
    )


@pytest.fixture(scope="module")
def person():
    """Targets 0, 1 follow the rate, 2, 3 the network's layer 1, 4 nothing, 5 is constant. `place` tells nothing."""
    rng = np.random.default_rng(0)
    found = {name: {} for name in ("recordings", "net", "rate", "place")}
    for run in RUNS:
        layers, rate, place = rng.normal(size=(N, 2, 4)), rng.normal(size=(N, 1, 2)), rng.normal(size=(N, 1, 3))
        Y = rng.normal(size=(N, 6))
        Y[:, :2] += rate[:, 0].sum(axis=1)[:, None]
        Y[:, 2:4] += layers[:, 1].sum(axis=1)[:, None]
        Y[:, 5] = 1.0
        found["recordings"][run] = xr.Dataset(
            {"responses": (("sample", "target"), Y.astype("f4"))},
            {"time": ("sample", np.arange(N) + 0.0), "target": [f"t{i}" for i in range(6)]},
            {"tr_s": 1.0},
        )
        for name, values in (("net", layers), ("rate", rate), ("place", place)):
            found[name][run] = features(values)
    found["scores"] = encode(RECORDING, found["net"], found["recordings"], SPLIT, MEMBER, SETTINGS)
    return found


def told(person, groups, shifts: int = 0, recordings=None, scores=None, **options) -> pd.DataFrame:
    """The table, by region and part; R2 and r of one fit are told apart by their unit."""
    labels = [label for of in groups.values() for label in of][1:]
    recordings, scores = recordings or person["recordings"], person["scores"] if scores is None else scores
    found = partition(
        RECORDING, person["net"], {c: person[c] for c in labels}, groups, recordings, SPLIT, scores, SETTINGS, shifts=shifts
    )  # fmt: skip
    frame = table(found, scores, "01", "bold", **options)
    assert list(frame.columns) == list(COLUMNS)
    return frame.set_index(["roi", "part", "unit"])


TWO, THREE = {"net": ("net",), "rate": ("rate",)}, {"net": ("net",), "rate": ("rate",), "place": ("place",)}
ONE_GROUP = {"net": ("net",), "controls": ("rate", "place")}


@pytest.fixture(scope="module")
def two(person):
    return told(person, TWO, shifts=3)


@pytest.fixture(scope="module")
def three(person):
    return told(person, THREE)


def test_the_model_alone_scores_as_in_the_encoding(person, two):
    """Another road to the same number: the nested score of the layer table."""
    scores, member = person["scores"], person["scores"]["member"].sel(roi="all").values.astype(bool)
    for unit, name in (("r", "r"), ("R2", "r2")):
        nested = np.nanmean(scores[name].sel(layer=1).values[:, member], axis=1).mean()
        assert two.loc[("all", "alone:net", unit), "value"] == pytest.approx(nested, abs=1e-6)
    assert set(two["layer"]) == {"1"} and set(two["model"]) == {"net"}


def test_each_part_lies_where_it_was_planted(two, three):
    for frame in (two, three):
        value = frame["value"]
        assert value["rate", "unique:rate", "R2"] > 0.25 and abs(value["rate", "unique:net", "R2"]) < 0.03
        assert value["net", "unique:net", "R2"] > 0.3 and abs(value["net", "unique:rate", "R2"]) < 0.03
        assert abs(value["all", "shared:net+rate", "R2"]) < 0.03
        assert value["net", "omega:rate", "%"] < 10
    assert abs(three["value"]["all", "unique:place", "R2"]) < 0.02


@pytest.mark.parametrize("which", ["two", "three"])
def test_parts_and_shares_sum_to_the_joint_fit(which, request):
    frame = request.getfixturevalue(which).reset_index()
    for roi in ("all", "rate", "net"):
        rows = frame[frame["roi"] == roi]
        for unit, kinds in (("R2", ("unique:", "shared:")), ("R2", ("product:",)), ("r", ("r_share:",))):
            of = rows[rows["part"].str.startswith(kinds) & (rows["unit"] == unit)]
            whole = rows[(rows["part"] == "joint") & (rows["unit"] == unit)]["value"].item()
            assert of["value"].sum() == pytest.approx(whole, abs=1e-10)


def test_intervals_hold_the_value_and_count_their_blocks(two):
    rows = two.loc["all"].drop(index=["omega:rate", "omega_unclipped:rate"], level="part")
    assert ((rows["low"] < rows["value"]) & (rows["value"] < rows["high"])).all()
    assert (two.loc["all"]["n_blocks"] == len(RUNS) * (N // 10)).all()
    assert two.loc[("net", "unique:net", "R2"), "low"] > 0.2
    assert two.loc[("rate", "unique:net", "R2"), "low"] < 0.02
    assert (two.loc["all"].loc["omega:rate"]["low"] >= 0).all() and (
        two.loc["all"].loc["omega:rate"]["high"] <= 100
    ).all()


def test_features_that_are_rolled_add_nothing_and_three_shifts_have_no_p(two):
    of = two.loc["all"]
    assert of.loc[("unique:net", "R2"), "null"] == pytest.approx(0, abs=0.01)
    assert of.loc[("unique:rate", "R2"), "null"] == pytest.approx(0, abs=0.01)
    assert of.loc[("unique:net", "R2"), "n_shifts"] == 3 and two["p"].isna().all()
    assert two["null"].notna().sum() == 2 * 3  # of two groups in the regions that have targets


def test_with_nineteen_shifts_there_is_a_p(person):
    found = partition(
        RECORDING, person["net"], {"rate": person["rate"]}, TWO, person["recordings"], SPLIT, person["scores"], SETTINGS, shifts=0
    )  # fmt: skip
    joint_r2, regions = fits_of(found, "net", "rate"), 4
    adds = np.linspace(-0.01, 0.01, 19)[:, None, None] + np.zeros((19, len(RUNS), regions))
    shifted = {name: fits_of(found, *set(TWO) - {name}) + adds for name in TWO}
    of = table(found._replace(shifted=shifted), person["scores"], "01", "bold").set_index(["roi", "part"])
    assert of.loc[("net", "unique:net"), "p"] == pytest.approx(1 / 20)
    unique = (joint_r2 - fits_of(found, "net")).mean(axis=0)[2]  # of the rate, where it tells nothing
    b = (np.linspace(-0.01, 0.01, 19) >= unique).sum()
    assert of.loc[("net", "unique:rate"), "p"] == pytest.approx((b + 1) / 20)
    assert of.loc[("net", "unique:rate"), "null"] == pytest.approx(0, abs=1e-12)


def fits_of(found, *names: str) -> np.ndarray:
    """(fold, region) R2 of one union."""
    return np.stack([one.r2.sum(axis=(0, 2)) for one in found.fits[frozenset(names)]])


def test_a_constant_target_is_left_out_and_counted(two):
    assert (two.loc["all"]["n_targets"] == 5).all() and (two.loc["all"]["of_targets"] == 5).all()
    still = two.loc["still"]
    assert still["value"].isna().all() and (still["n_targets"] == 0).all() and (still["of_targets"] == 0).all()
    assert list(still.index) == list(two.loc["all"].index)


def test_several_controls_are_one_group_with_a_penalty_each(person, three):
    frame = told(person, ONE_GROUP).loc["all"]
    value = frame["value"]
    assert value["alone:rate", "R2"] == pytest.approx(three.loc[("all", "alone:rate", "R2"), "value"], abs=1e-9)
    assert value["unique:net", "R2"] == pytest.approx(three.loc[("all", "unique:net", "R2"), "value"], abs=1e-9)
    assert value["omega:controls", "%"] == pytest.approx(three.loc[("all", "omega:rate+place", "%"), "value"], abs=1e-6)
    assert {"product:net", "product:rate", "product:place"} <= set(frame.index.get_level_values(0))
    assert "unique:rate" not in frame.index.get_level_values(0)


def test_of_too_many_targets_each_fold_keeps_the_best_of_its_inner_folds(person, monkeypatch):
    monkeypatch.setattr(joint, "MOST_TARGETS", 4)
    monkeypatch.setattr(joint, "BEST", 2)
    frame = told(person, TWO)
    assert (frame.loc["all"]["n_targets"] == 2).all() and (frame.loc["all"]["of_targets"] == 5).all()
    assert frame.loc["rate"]["value"].isna().all()  # the network predicts those of the other region best


def test_one_tested_block_has_no_interval(person):
    """Ten samples per run that is tested, of one run: nothing to resample."""
    short = {run: ds.isel(sample=slice(0, 10)) if run == "d" else ds for run, ds in person["recordings"].items()}
    split = {run: "test" if run == "d" else "train" for run in RUNS}
    settings = SETTINGS.model_copy(update={"split": "given"})
    scores = encode(RECORDING, person["net"], short, split, MEMBER, settings)
    found = partition(RECORDING, person["net"], {"rate": person["rate"]}, TWO, short, split, scores, settings, shifts=1)
    frame = table(found, scores, "01", "bold").set_index(["roi", "part", "unit"]).loc["all"]
    assert (frame["n_blocks"] == 1).all() and frame[["low", "high"]].isna().all(axis=None)
    assert np.isfinite(frame["value"]).all()


def test_of_one_run_blocks_are_taken_apart_and_leaving_it_out_is_refused(person):
    one = {"a": person["recordings"]["a"]}
    arguments = RECORDING, person["net"], {"rate": person["rate"]}, TWO, one, {"a": ""}
    with pytest.raises(ValueError, match="leaving one run out needs two runs; there is 1"):
        partition(*arguments, person["scores"], SETTINGS)
    settings = SETTINGS.model_copy(update={"split": "contiguous", "folds": 2, "gap_s": 5.0})
    scores = encode(RECORDING, {"a": person["net"]["a"]}, one, {"a": ""}, MEMBER, settings)
    frame = table(partition(*arguments, scores, settings, shifts=1), scores, "01", "bold").set_index(
        ["roi", "part", "unit"]
    )
    assert frame.loc[("net", "unique:net", "R2"), "value"] > 0.2
    assert abs(frame.loc[("net", "unique:net", "R2"), "null"]) < 0.1


def test_the_same_again_is_the_same_and_regions_may_be_chosen(person, three):
    again = told(person, THREE, rois=("net",))
    pd.testing.assert_frame_equal(again, three.loc[["all", "net"]])


# --- people ---


def test_over_people_the_subject_is_the_unit_and_below_three_there_is_no_interval(two):
    rows = two.reset_index()
    people = [rows.assign(subject=str(i), value=rows["value"] + 0.01 * i) for i in range(3)]
    of = group(pd.concat(people)).set_index(["roi", "part", "unit"]).loc["all"]
    assert (of["n_subjects"] == 3).all()
    assert np.allclose(of["value"] - two.loc["all"]["value"], 0.01)
    assert ((of["low"] < of["value"]) & (of["value"] < of["high"])).all()
    few = group(pd.concat(people[:2])).set_index(["roi", "part", "unit"])
    assert few[["low", "high"]].isna().all(axis=None) and np.isnan(few.loc[("still", "joint", "R2"), "value"])


# --- settings ---

WEIGHTS = {"net": "trained", "twin": "random", "rate": "", "place": "", "oasm": ""}
KINDS = {"net": "transformer", "twin": "transformer", "rate": "wordrate", "place": "position", "oasm": "oasm"}


def test_by_default_all_controls_that_can_tell_of_an_unseen_run_are_one_group():
    assert Partition().groups_of(WEIGHTS, KINDS) == {"net": ("net",), "controls": ("rate", "place")}
    assert Partition(controls=("place",)).groups_of(WEIGHTS, KINDS) == {"net": ("net",), "place": ("place",)}
    assert list(Partition(model="twin", groups={"z": ("place",), "y": ("rate",)}).groups_of(WEIGHTS, KINDS)) == [
        "twin",
        "z",
        "y",
    ]


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"model": "nett"}, "'nett', which is not among the models: net, twin"),
        ({"controls": ("rat",)}, "'rat', which is not among the models"),
        ({"controls": ("net",)}, "'net' is the model and one of its own controls"),
        ({"controls": ()}, "needs 2 groups and has 1, the model 'net'"),
        ({"controls": ("rate", "rate")}, "'rate' twice"),
        ({"groups": {"x": ("rate",), "y": ("rate", "place")}}, "'rate' twice"),
        ({"groups": {"rate": ("place",)}}, "a group 'rate', which is a model's label too"),
        ({"groups": {"x": ("rate",), "y": ("place",), "z": ("oasm",)}}, "are 4 groups.*3 at most"),
        ({"groups": {"x": ()}}, "a group without controls"),
        ({"groups": {"x": ("rate",)}, "controls": ("rate",)}, "two ways to say the same"),
    ],
)  # fmt: skip
def test_what_cannot_be_taken_apart_is_refused_by_name(settings, said):
    with pytest.raises(ValueError, match=said):
        Partition(**settings).groups_of(WEIGHTS, KINDS)


def test_without_a_trained_network_the_model_must_be_said():
    controls = {"rate": "", "place": ""}
    with pytest.raises(ValueError, match="no network with trained weights; say which model"):
        Partition().groups_of(controls, KINDS)
    assert Partition(model="rate").groups_of(controls, KINDS) == {"rate": ("rate",), "place": ("place",)}


def test_every_setting_of_an_analysis_is_described():
    assert all(info.description for info in Partition.model_fields.values())


# --- the stage ---

STUDY = """\
study: words
dataset: {kind: manifest, root: lab}
recordings: {bold: {kind: arrays, delays: [0]}}
models: {net: {kind: transformer, name: net}, rate: {kind: wordrate}, place: {kind: position}}
encoding: {alphas: [1, 1.0e+4, 5], inner_folds: 2, precision: float64}
analyses: {partition: {model: net, controls: [rate], shifts: 1}}
"""


def written(tmp_path, monkeypatch, text: str = STUDY) -> Study:
    monkeypatch.chdir(tmp_path)  # a study names its data from where it is run
    (tmp_path / "study.yaml").write_text(text)
    return Study.from_yaml(tmp_path / "study.yaml")


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ("controls: [rat]", "'rat', which is not among the models"),
        ("control: [rate]", "unknown setting; did you mean 'controls'"),
        ("controls: [net]", "'net' is the model and one of its own controls"),
        ("groups: {a: [rate], b: [place], c: [net]}", "are 4 groups"),
    ],
)
def test_a_study_tells_what_is_wrong_with_its_partition(tmp_path, monkeypatch, change, said):
    with pytest.raises(StudyError, match=said):
        written(tmp_path, monkeypatch, STUDY.replace("controls: [rate]", change))


def test_an_analysis_that_nobody_knows_is_refused_with_the_nearest(tmp_path, monkeypatch):
    with pytest.raises(StudyError, match="did you mean 'partition'"):
        written(tmp_path, monkeypatch, STUDY.replace("{partition:", "{partitions:"))


def test_the_stage_writes_what_the_function_finds(person, tmp_path, monkeypatch):
    study, out = written(tmp_path, monkeypatch), Layout(tmp_path / "out")
    (tmp_path / "lab").mkdir()
    rows = [f"01\t{run}\tbold\t{run}.npy\t{run}.tsv" for run in RUNS]
    (tmp_path / "lab" / "runs.tsv").write_text("\n".join(["subject\trun\trecording\tresponses\twords", *rows]) + "\n")
    record = {"stage": "test", "settings": {}, "inputs": {}}
    for run in RUNS:
        arrays.save(described(person["recordings"][run]), out.recording("01", "bold", run), **record)
        for name in ("net", "rate"):
            arrays.save(described(person[name][run]), out.activations(name, run), **record)
    arrays.save(person["scores"], out.scores("01", "bold", "net"), **record)
    # settings travel as JSON, which keeps no order of keys: the model must still be the model
    settings = json.loads(as_json(study.for_stage("partition", recording="bold")))
    stages.partition(Job(out, settings, "01", "bold"))
    found = arrays.load_table(out.partition("01", "bold"), text=jobs.PARTITION_TEXT)
    expected = told(person, TWO, shifts=1)
    np.testing.assert_allclose(found["value"], expected["value"], atol=1e-6)
    np.testing.assert_allclose(found["null"], expected["null"], atol=1e-6)
    assert set(found["model"]) == {"net"}
    assert out.partition("01", "bold") in jobs.expected(study, out)
    assert out.top("group_partition.tsv") in jobs.expected(study, out)
    assert out.partition("01", "bold") not in jobs.stale(study, out)
    changed = study.model_copy(update={"analyses": Analyses(partition=Partition(controls=("rate",), shifts=2))})
    assert out.partition("01", "bold") in jobs.stale(changed, out)


def test_a_study_that_does_not_ask_has_none(tmp_path, monkeypatch):
    study, out = written(tmp_path, monkeypatch, STUDY.replace("{partition: {model", "{} #")), Layout(tmp_path / "out")
    (tmp_path / "lab").mkdir()
    (tmp_path / "lab" / "runs.tsv").write_text("subject\trun\trecording\tresponses\twords\n01\ta\tbold\ta.npy\ta.tsv\n")
    assert study.partitioned() == {}
    assert not [path for path in jobs.expected(study, out) if "partition" in path.name]


def described(ds: xr.Dataset) -> xr.Dataset:
    """With what a file must say of every array."""
    ds = ds.copy()
    for array in ds.variables.values():
        array.attrs |= {"units": "1", "long_name": "made up"}
    return ds
