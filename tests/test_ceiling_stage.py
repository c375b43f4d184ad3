"""Ceilings of a study: from one person's runs and from everybody's, region by region, and scores as a share of them."""

import json

import numpy as np
import pytest
import xarray as xr

from pipeline import statistics
from pipeline.alike import alike
from pipeline.amongpeople import People
from pipeline.ceilings import CEILINGS, shared_response
from pipeline.comparison.fractions import fraction
from pipeline.comparison.gaps import gap
from pipeline.comparison.overlap import Top, over_valid
from pipeline.encoding import Encoding
from pipeline.estimates import Estimate
from pipeline.ledger import COLUMNS, dividing, ledger
from pipeline.meaning import differing
from pipeline.normalisation import Ceiling, estimate
from pipeline.ratios import share, widening
from pipeline.recordings.fmri import Fmri
from pipeline.recordings.matrix import Arrays
from pipeline.recordings.meg.kind import Meg
from pipeline.regional import regional
from pipeline.sensors import Sensors, placed
from pipeline.space import Space, told

NO_TRIM = (0.0, 0.0)


def clean(Y: np.ndarray, subject: str = "01", names: list[str] | None = None, start_s: float = 0.0) -> xr.Dataset:
    """A clean run as the stage reads it; Y is (sample, target), or with a leading axis of presentations."""
    several = Y.ndim == 3
    ds = xr.Dataset({"responses": (("sample", "target"), Y.mean(axis=0) if several else Y)})
    if several:
        ds["presentations"] = (("repeat", "sample", "target"), Y)
    n_samples, n_targets = Y.shape[-2:]
    ds = ds.assign_coords(
        time=("sample", start_s + 2.0 * np.arange(n_samples)), target=names or [f"t{i}" for i in range(n_targets)]
    )
    return ds.assign_attrs(subject=subject, tr_s=2.0)


def repeated(n_repeats: int = 4, n_samples: int = 160, n_targets: int = 5, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return rng.normal(size=(n_samples, n_targets)) + 0.8 * rng.normal(size=(n_repeats, n_samples, n_targets))


def crowd(n_people: int = 3, runs: str = "abc", seed: int = 0, n_targets: int = 5) -> dict[str, dict[str, xr.Dataset]]:
    """People who share a signal of three quarters of each target's variance."""
    rng = np.random.default_rng(seed)
    signal = {run: rng.normal(size=(120, n_targets)) for run in runs}
    return {
        f"{p:02}": {run: clean(s + rng.normal(size=s.shape) / np.sqrt(3), f"{p:02}") for run, s in signal.items()}
        for p in range(1, n_people + 1)
    }


def people(recordings, *, common: bool = True, split: str = "leave_one_run_out") -> People:
    own = next(iter(recordings.values()))
    which = {run: "test" if run == "c" else "train" for run in own}
    encoding = Encoding(alphas=(1.0, 1e4, 5), split=split, inner_folds=2)
    return People(recordings, which, Arrays(common_targets=common), "bold", encoding)


def between(kind: str, recordings, tested: tuple[str, ...] = ("a", "b", "c"), **options) -> xr.Dataset:
    first = next(iter(recordings))
    own = {run: ds for run, ds in recordings[first].items() if run in tested}
    return estimate(own, tested, (kind,), NO_TRIM, 0, people=people(recordings, **options))


@pytest.mark.parametrize("kind", ["repeats", "splithalf", "nsd"])
def test_an_estimator_within_a_person_is_the_one_of_the_stacked_presentations(kind):
    Y = {"a": repeated(seed=1), "b": repeated(seed=2)}
    ds = estimate({run: clean(y) for run, y in Y.items()}, ("a", "b"), (kind,), NO_TRIM, 3)
    found = CEILINGS[kind](np.concatenate([*Y.values()], axis=1), run=np.repeat(["a", "b"], 160), seed=3)
    for name, part in (("", found.value), ("_low", found.low), ("_high", found.high), ("_valid", found.valid)):
        np.testing.assert_allclose(ds[f"{kind}{name}"], part.astype(np.float32), rtol=1e-6)
    assert "mean of 4 presentations" in ds[kind].attrs["limits"] and ds[kind].attrs["reason"] == ""


def test_runs_that_were_not_repeated_equally_often_are_named_and_divide_no_score():
    runs = {"a": clean(repeated(4)), "b": clean(repeated(2, seed=1)), "c": clean(repeated(2, seed=2))}
    ds = estimate(runs, ("a", "b", "c"), ("repeats",), NO_TRIM, 0)
    assert "(b, c 2 times; a 4 times)" in ds["repeats"].attrs["reason"]
    assert "mean of 2 presentations" in ds["repeats"].attrs["limits"]
    assert np.isfinite(ds["repeats"]).all() and not ds["repeats_valid"].any()
    once = estimate(runs | {"c": clean(repeated(1)[0])}, ("a", "b", "c"), ("repeats",), NO_TRIM, 0)
    assert "c 1 time;" in once["repeats"].attrs["reason"] and once["repeats"].isnull().all()


def test_what_people_share_is_found_target_by_target_whatever_their_order():
    recordings = crowd()
    order = [3, 0, 4, 1, 2]
    mixed = {run: ds.isel(target=order) for run, ds in recordings["02"].items()}
    ds = between("isc", recordings | {"02": mixed})
    Y = np.stack([np.concatenate([own[run]["responses"].values for run in "abc"]) for own in recordings.values()])
    found = CEILINGS["isc"](Y, person=0, run=np.repeat(list("abc"), 120), seed=0)
    np.testing.assert_allclose(ds["isc"], found.value, rtol=1e-5)
    assert (abs(ds["isc"] - np.sqrt(0.75)) < 0.1).all() and ds["isc_valid"].all()


def test_targets_that_not_everybody_has_are_missing_and_counted():
    recordings = crowd()
    recordings["03"] = {run: ds.isel(target=[0, 1, 2]) for run, ds in recordings["03"].items()}
    ds = between("isc", recordings)
    assert np.isfinite(ds["isc"]).values.tolist() == [True, True, True, False, False]
    assert "2 of 5 targets are incomplete or not there in everybody" in ds["isc"].attrs["reason"]


def test_components_of_each_persons_own_are_refused_with_the_setting_that_permits_them():
    ds = between("isc", crowd(2), common=False)
    reason = ds["isc"].attrs["reason"]
    assert "the targets of 01 and 02 do not mean the same" in reason and "decomposition" in reason
    assert "recordings.bold.common_targets: true" in reason and ds["isc"].isnull().all()


def rotated(recordings, seed: int = 5):
    """The same people, each in components of their own."""
    rng = np.random.default_rng(seed)
    turned = {}
    for person, own in recordings.items():
        basis = np.linalg.qr(rng.normal(size=(5, 5)))[0]
        turned[person] = {run: clean(ds["responses"].values @ basis, person) for run, ds in own.items()}
    return turned


def test_shared_responses_survive_that_components_are_each_persons_own():
    as_parcels, as_components = (
        between("shared_response", who, common=common)["shared_response"].mean().item()
        for who, common in ((crowd(2), True), (rotated(crowd(2)), False))
    )
    # two people: the correlation of one response with the other, the share of signal
    assert as_parcels == pytest.approx(0.75, abs=0.05) and as_components == pytest.approx(0.75, abs=0.05)


def test_shared_responses_have_the_folds_of_the_study():
    recordings = crowd(3)
    ds = between("shared_response", recordings, tested=("c",), common=False, split="given")
    own, *others = (np.concatenate([runs[run]["responses"].values for run in "abc"]) for runs in recordings.values())
    train, test = np.arange(240), np.arange(240, 360)
    halves = [(np.arange(120, 240), np.arange(120)), (np.arange(120), np.arange(120, 240))]
    found = shared_response(
        own, others, folds=[(train, test)], inner=[halves], alphas=np.geomspace(1, 1e4, 5), same=False,
        run=np.repeat(list("abc"), 120),
    )  # fmt: skip
    np.testing.assert_allclose(ds["shared_response"], found.value, atol=1e-5)
    assert ds["shared_response"].attrs["runs"] == "c" and "N = 3 people" in ds["shared_response"].attrs["limits"]


def lacking(recordings, person: str, run: str):
    return recordings | {person: {r: ds for r, ds in recordings[person].items() if r != run}}


def shorter(recordings, person: str, run: str):
    return recordings | {person: recordings[person] | {run: recordings[person][run].isel(sample=slice(0, 110))}}


def later(recordings, person: str, run: str):
    y = recordings[person][run]["responses"].values
    return recordings | {person: recordings[person] | {run: clean(y, person, start_s=4.0)}}


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (lacking, "run b is left out: 02 does not have it"),
        (shorter, "120 samples from 0 s every 2 s in 01; 110 samples from 0 s every 2 s in 02"),
        (later, "120 samples from 0 s every 2 s in 01; 120 samples from 4 s every 2 s in 02"),
    ],
)
@pytest.mark.parametrize("kind", ["isc", "shared_response"])
def test_a_run_that_is_not_the_same_in_everybody_is_named_and_the_others_remain(kind, spoil, said):
    ds = between(kind, spoil(crowd(3), "02", "b"))
    assert said in ds[kind].attrs["reason"] and ds[kind].attrs["runs"] == "a c"
    assert np.isfinite(ds[kind]).all()


@pytest.mark.parametrize(
    ("kind", "recordings", "said"),
    [
        ("isc", crowd(1), "there is no other person"),
        ("shared_response", crowd(1), "there is no other person"),
        ("shared_response", crowd(2, "a"), "run"),
        ("isc", {"01": crowd(1)["01"], "02": crowd(1, "xyz")["01"]}, "nobody else has any of the tested runs"),
    ],
)
def test_what_cannot_be_had_between_people_is_told(kind, recordings, said):
    ds = between(kind, recordings, tested=tuple(recordings["01"]))
    assert said in ds[kind].attrs["reason"] and ds[kind].isnull().all() and not ds[kind].attrs["normalises"]


def test_censored_samples_of_anybody_are_left_out_for_everybody():
    recordings = crowd(2, "a")
    censored = np.zeros(120, np.uint8)
    censored[:7] = 1
    recordings["02"]["a"]["censored"] = ("sample", censored)
    found = alike(recordings, ("a",), (0.0, 10.0))
    assert found.rows["01"]["a"].tolist() == found.rows["02"]["a"].tolist() == list(range(7, 115))


def test_words_are_matched_by_their_onsets():
    recordings = crowd(2, "a")
    for person, gone in (("01", [3]), ("02", [5, 6])):
        left = np.setdiff1d(np.arange(120), gone)
        recordings[person]["a"] = (
            recordings[person]["a"].isel(sample=left).assign_attrs(word_start_s=0.0, word_end_s=0.4)
        )
    found = alike(recordings, ("a",), NO_TRIM)
    times = [recordings[p]["a"]["time"].values[found.rows[p]["a"]] for p in recordings]
    assert times[0].tolist() == times[1].tolist() and len(times[0]) == 117


def in_space(name: str, subject: str, **changes) -> xr.Dataset:
    space = Space("volume", name, (2, 2, 2), tuple(map(tuple, np.eye(4))))._replace(**changes)
    return clean(np.zeros((3, 2)), subject).assign_attrs(space=json.dumps(told(space)))


def sensed(kind: str, subject: str) -> xr.Dataset:
    return placed(clean(np.zeros((3, 2)), subject), Sensors(("a", "b"), (kind, kind), np.zeros((2, 12))))


@pytest.mark.parametrize(
    ("recording", "own", "other", "said"),
    [
        (Fmri(), in_space("MNI152NLin2009cAsym", "01"), in_space("MNI152NLin2009cAsym", "02"), ""),
        (Fmri(), in_space("T1w", "01"), in_space("T1w", "02"), "space T1w, each person's own"),
        (Fmri(), in_space("", "01"), in_space("", "02"), "a space that nobody named"),
        (Fmri(), in_space("MNI152Lin", "01"), in_space("MNI152Lin", "02", shape=(3, 2, 2)), "different grids"),
        (Meg(), sensed("mag", "01"), sensed("mag", "02"), "each head lies differently under the sensors (mag)"),
        (Meg(), sensed("ecog", "01"), sensed("ecog", "02"), "electrodes (ecog) lie in places of their own"),
        (Meg(), sensed("eeg", "01"), sensed("eeg", "02"), ""),
        (Arrays(common_targets=True), clean(np.zeros((3, 2))), clean(np.zeros((3, 2)), "02", ["x", "y"]), "no name of one"),
    ],
)  # fmt: skip
def test_whether_targets_mean_the_same_follows_from_where_they_lie(recording, own, other, said):
    found = differing(recording, "bold", own, other)
    assert said in found and bool(found) == bool(said)


def planted(n_studies: int, driven: float = 1.0, n_repeats: int = 4) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Signal, repeats and regions of ten targets each, whose noise is half shared within a region; a part of them is driven."""
    rng = np.random.default_rng(0)
    signal = rng.normal(size=(200, 10 * n_studies))
    shared = np.repeat(rng.normal(size=(n_repeats, 200, n_studies)), 10, axis=2)
    noise = (shared + rng.normal(size=(n_repeats, *signal.shape))) * np.sqrt(1.5 / 2)
    has = np.arange(10 * n_studies) % 10 < 10 * driven
    return signal, signal * has + noise, np.repeat(np.eye(n_studies, dtype=bool), 10, axis=1)


def of_regions(Y: np.ndarray, member: np.ndarray) -> xr.Dataset:
    return estimate(
        {"a": clean(Y)}, ("a",), ("repeats",), NO_TRIM, 0, regions=(tuple(f"r{i}" for i in range(len(member))), member)
    )


def of_region(Y: np.ndarray) -> np.ndarray:
    return of_regions(Y, np.ones((1, Y.shape[2]), bool))["repeats_region"].values[0]


def test_the_interval_of_a_regions_mean_covers_the_truth():
    _, Y, member = planted(150)
    found = of_regions(Y, member)["repeats_region"].values
    truth = np.sqrt(4 * 0.4 / (1 + 3 * 0.4))
    inside = ((found[:, 1] <= truth) & (truth <= found[:, 2])).mean()
    assert 0.90 <= inside <= 0.99


def test_targets_that_err_together_do_not_sharpen_the_mean_of_a_region():
    Y = planted(1)[1][:, :, :1]
    alone, copies = of_region(Y), of_region(np.repeat(Y, 12, axis=2))
    ds = estimate({"a": clean(Y)}, ("a",), ("repeats",), NO_TRIM, 0)
    own = [ds[name].item() for name in ("repeats", "repeats_low", "repeats_high")]
    np.testing.assert_allclose(alone, own, rtol=1e-6)  # one target: its own interval
    assert copies[0] == pytest.approx(alone[0]) and 0.6 < (copies[2] - copies[1]) / (alone[2] - alone[1]) < 1.6


def test_a_region_without_a_valid_target_has_no_mean():
    top = CEILINGS["none"](np.zeros((1, 1, 3)))
    assert np.isnan(regional(Estimate(top, ""), np.ones((2, 3), bool))).all()


def test_the_ledger_has_a_row_for_every_region_and_kind_and_tells_which_divides():
    Y = repeated(4, 200, 6)
    Y[:, :, 4:] = np.random.default_rng(9).normal(size=(4, 200, 2))  # noise
    member = np.array([[True] * 6, [True] * 4 + [False] * 2, [False] * 4 + [True] * 2])
    ds = estimate(
        {"a": clean(Y)},
        ("a",),
        ("schrimpf", "repeats", "splithalf", "isc"),
        NO_TRIM,
        0,
        regions=(("all", "driven", "noise"), member),
    )
    table = ledger(ds, "01", "bold")
    assert list(table.columns) == list(COLUMNS) and len(table) == 12
    rows = table.set_index(["roi", "kind"])
    valid = ds["repeats_valid"].values > 0
    assert rows.loc[("all", "repeats"), "value"] == pytest.approx(ds["repeats"].values[valid].mean(), rel=1e-5)
    assert rows.loc[("all", "repeats"), "mean_all"] == pytest.approx(ds["repeats"].values.mean(), rel=1e-5)
    assert rows.loc["driven", "divides"].to_dict() == {
        "schrimpf": "no",
        "repeats": "yes",
        "splithalf": "no",
        "isc": "no",
    }
    assert "from repeats in 6 targets, r = " in rows.loc[("all", "splithalf"), "consistency"]
    assert rows.loc[("all", "isc"), "reason"] == "no other person's recording was handed over"
    if not valid[4:].any():
        assert "no target's interval lies above zero (of 2)" in rows.loc[("noise", "repeats"), "reason"]


def test_schrimpf_never_divides_a_score():
    ds = between("schrimpf", crowd(3, n_targets=2))
    assert np.isfinite(ds["schrimpf"]).all() and dividing(ds, np.ones(2, bool)) == "" and not ds["schrimpf_valid"].any()


def test_people_and_folds_are_settings_of_the_stage_only_where_others_are_needed(tmp_path):
    from laboratory import Laboratory

    from pipeline.config import Study

    file = Laboratory(tmp_path).study
    alone = Study.from_yaml(file).for_stage("ceiling", recording="bold", people=["01", "02"])
    assert not {"people", "encoding", "recording"} & set(alone)
    study = Study.from_yaml(file, ("ceiling.kinds=[repeats, isc]", "recordings.bold.common_targets=true"))
    together = study.for_stage("ceiling", recording="bold", people=["01", "02"])
    assert together["people"] == ["01", "02"] and together["recording"]["common_targets"] is True
    assert "common_targets" not in {
        **study.for_stage("clean", recording="bold")["recording"],
        **study.for_stage("encode", recording="bold")["recording"],
    }
    with pytest.raises(ValueError, match="name one twice"):
        Ceiling(kinds=("isc", "isc"))


def test_a_share_of_a_ceiling_that_is_known_is_the_scores_own_interval():
    assert share(0.3, (0.2, 0.45), 0.6, (0.6, 0.6)) == pytest.approx((0.5, 1 / 3, 0.75))
    assert share(-0.3, (-0.45, -0.2), 0.6, (0.6, 0.6)) == pytest.approx((-0.5, -0.75, -1 / 3))
    assert share(0.9, (0.8, 1.0), 0.6, (0.6, 0.6))[0] == pytest.approx(1.5)  # never clipped


def test_with_symmetric_ends_a_share_has_fiellers_interval():
    low, high = share(0.3, (0.2, 0.4), 0.6, (0.45, 0.75))[1:]
    # (value - q top)^2 = (1.96 se)^2 + q^2 (1.96 se of the ceiling)^2
    roots = np.roots([0.6**2 - 0.15**2, -2 * 0.3 * 0.6, 0.3**2 - 0.1**2])
    assert (low, high) == pytest.approx(tuple(sorted(roots)))


def test_a_ceiling_that_may_be_zero_bounds_no_share_from_above():
    value, low, high = share(0.3, (0.2, 0.4), 0.2, (-0.05, 0.45))
    assert value == pytest.approx(1.5) and 0 < low < 1.5 and np.isnan(high)
    assert np.isnan(share(0.3, (0.2, 0.4), -0.1, (-0.2, 0.0))).all()


@pytest.mark.parametrize(("rho", "wider"), [(1.0, 1.0), (0.0, np.sqrt(10))])
def test_fewer_targets_vary_more_by_what_they_do_not_share(rho, wider):
    error, n, of = 0.06, 4, 40
    half = 1.96 * error * np.sqrt(rho + (1 - rho) / of)
    assert widening(n, of, half, error) == pytest.approx(wider, rel=1e-6)


@pytest.mark.parametrize("driven", [1.0, 0.5])
def test_the_intervals_of_a_share_and_of_what_is_missing_cover_them(driven):
    """A model that knows two thirds of the signal, in regions all or half of which have it."""
    signal, Y, member = planted(100, driven)
    known = np.sqrt(2 / 3) * signal + np.sqrt(1 / 3) * np.random.default_rng(1).normal(size=signal.shape)
    ds = of_regions(Y, member)
    z = [(part - part.mean(axis=0)) / part.std(axis=0) for part in (known, Y.mean(axis=0))]
    top = [ds[name].values.astype(float) for name in ("repeats", "repeats_low", "repeats_high")]
    found, missing, truth = [], [], np.sqrt(2 / 3)
    for i, own in enumerate(member):
        series = (z[0] * z[1])[:, own]
        ends = statistics.bootstrap(series.mean(axis=1), block=5, n=300, seed=i)
        region = tuple(ds["repeats_region"].values[i].astype(float))
        of = Top("repeats", *(part[own] for part in top), ds["repeats_valid"].values[own] > 0, region)
        both = over_valid(series.mean(axis=0), (ends.low, ends.high), ends.mean, of, 200.0)
        found.append(fraction(both))
        missing.append(gap(both, 0.01))
    inside = np.mean([one["fraction_low"] <= truth <= one["fraction_high"] for one in found])
    assert 0.92 <= inside <= 1  # score and ceiling share their noise: rather too wide
    gap_of = (1 - truth) * np.sqrt(4 * 0.4 / (1 + 3 * 0.4))
    inside = np.mean([one["gap_low"] <= gap_of <= one["gap_high"] for one in missing])
    assert 0.92 <= inside <= 1
    # one in forty targets without signal has a ceiling by chance, which a median hardly notices
    assert np.mean([one["fraction"] for one in found]) == pytest.approx(truth, abs=0.01 if driven == 1 else 0.03)
    assert np.mean([one["fraction_median"] for one in found]) == pytest.approx(truth, abs=0.015)


def test_without_a_valid_target_there_is_no_share():
    top = Top("repeats", *np.full((3, 2), 0.4), np.zeros(2, bool))
    assert np.isnan(list(fraction(over_valid(np.array([0.2, 0.3]), (0.1, 0.3), 0.25, top, 50.0)).values())).all()
