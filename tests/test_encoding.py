import numpy as np
import pandas as pd
import pytest
import xarray as xr
from scipy.stats import pearsonr
from sklearn.linear_model import Ridge

from pipeline import arrays
from pipeline.encoding import Encoding, encode, folds_of, gather, regions
from pipeline.problems import StudyError
from pipeline.recordings import Arrays
from pipeline.scratch import Parts
from pipeline.timing import delay, to_grid

RUNS, N, TR = ("a", "b", "c", "d"), 80, 2.0
SPLIT = dict(zip(RUNS, ("train", "train", "train", "test"), strict=True))


def study(*, seed: int = 0, layers: int = 2, seeds: int = 0, sampled: str = "event", private: int = 0, **facts: float):
    """Four runs in which layer 1 drives targets 0-3 one and two volumes later; target 4 is noise."""
    rng = np.random.default_rng(seed)
    recordings, activations = {}, {}
    for run in RUNS:
        onsets = np.sort(rng.uniform(0, N * TR, 220))
        shape = (*([seeds] if seeds else []), len(onsets), layers, 3)
        values = rng.normal(size=shape).astype("f4")
        times = TR * np.arange(N)
        driving = values[0] if seeds else values
        X = to_grid(driving[:, layers - 1].astype(float), onsets, times + TR / 2)
        Y = rng.normal(size=(N, 5))
        Y[:, :4] += delay(X, (1, 2)) @ np.ones((6, 4))
        recordings[run] = xr.Dataset(
            {"responses": (("sample", "target"), Y.astype("f4"))},
            {"time": ("sample", times), "target": [f"t{i}" for i in range(5)]},
            {"tr_s": TR},
        )
        dims = ("seed", "word", "layer", "feature")[-len(shape) :]
        coords = {"onset": ("word", onsets), "layer": list(range(layers))} | (
            {"seed": list(range(seeds))} if seeds else {}
        )
        about = {"sampled": sampled, "private": private} | facts
        activations[run] = xr.Dataset({"activations": (dims, values)}, coords, about)
    return recordings, activations


def settings(**changes) -> Encoding:
    return Encoding(**{"alphas": (1.0, 1e4, 5), "split": "given", "inner_folds": 3, "precision": "float64"} | changes)


def fit(recordings, activations, table=None, **changes) -> xr.Dataset:
    return encode(Arrays(delays=(1, 2)), activations, recordings, SPLIT, table, settings(**changes))


def test_scores_are_those_of_scikit_learn_on_the_same_design():
    recordings, activations = study()
    found = fit(recordings, activations)
    designs = []
    for run in RUNS:
        values = activations[run]["activations"].values[:, 1].astype(float)
        X = to_grid(values, activations[run]["onset"].values, TR * np.arange(N) + TR / 2)
        designs.append(delay((X - X.mean(0)) / X.std(0), (1, 2)))
    X, Y = np.concatenate(designs), np.concatenate([recordings[r]["responses"].values for r in RUNS]).astype(float)
    train, test = np.arange(3 * N), np.arange(3 * N, 4 * N)
    for target in range(5):
        alpha = float(found["alpha"].values[1, 0, target])
        expected = Ridge(alpha=alpha).fit(X[train], Y[train, target]).predict(X[test])
        assert found["r"].values[1, 0, target] == pytest.approx(pearsonr(expected, Y[test, target])[0], abs=1e-6)


def test_the_driving_layer_wins_and_noise_stays_noise():
    found = fit(*study())["r"].values[:, 0]
    assert found[1, :4].min() > 0.5 > 0.35 > np.abs(found[:, 4]).max()
    assert np.abs(found[0]).max() < 0.35


def test_the_order_of_people_and_of_seeds_does_not_matter():
    recordings, activations = study(seeds=3)
    found = fit(recordings, activations)
    assert found["r"].dims == ("seed", "layer", "fold", "target")
    turned = {run: ds.isel(seed=[2, 1, 0]) for run, ds in activations.items()}
    np.testing.assert_allclose(fit(recordings, turned)["r"].values[::-1], found["r"].values, atol=1e-7)


def test_changing_the_test_run_changes_neither_alpha_nor_the_inner_scores():
    recordings, activations = study()
    before = fit(recordings, activations)
    recordings["d"] = recordings["d"].assign(responses=recordings["d"]["responses"] * -3 + 1)
    after = fit(recordings, activations)
    for name in ("alpha", "inner"):
        np.testing.assert_array_equal(after[name].values, before[name].values)
    np.testing.assert_allclose(after["r"].values[1, 0, :4], -before["r"].values[1, 0, :4], atol=1e-6)


def test_a_run_that_is_missing_a_target_takes_it_out_and_no_other():
    recordings, activations = study()
    before = fit(recordings, activations)
    values = recordings["b"]["responses"].values.copy()
    values[:, 2] = np.nan
    recordings["b"] = recordings["b"].assign(responses=(("sample", "target"), values))
    after = fit(recordings, activations)
    assert np.isnan(after["r"].values[:, :, 2]).all()
    rest = [0, 1, 3, 4]
    np.testing.assert_allclose(after["r"].values[..., rest], before["r"].values[..., rest], atol=1e-7)


def test_features_of_one_run_alone_explain_nothing_of_another_run():
    found = fit(*study(sampled="state", private=1))
    assert (found["r"].values == 0).all() and (found["flat"].values == 1).all()


def test_shuffled_samples_let_features_of_one_run_explain_noise():
    recordings, activations = study(sampled="state", private=1)
    rng = np.random.default_rng(1)
    for run, ds in recordings.items():
        smooth = np.apply_along_axis(lambda y: np.convolve(y, np.ones(8) / 8, "same"), 0, rng.normal(size=(N, 5)))
        recordings[run] = ds.assign(responses=(("sample", "target"), smooth.astype("f4")))
        onsets = activations[run]["onset"].values
        bumps = np.exp(-0.5 * ((onsets[:, None] - np.arange(0, N * TR, 8.0)) / 8.0) ** 2)
        values = np.repeat(bumps[:, None, :], 2, axis=1).astype("f4")
        activations[run] = xr.Dataset(
            {"activations": (("word", "layer", "feature"), values)},
            {"onset": ("word", onsets), "layer": [0, 1]},
            activations[run].attrs,
        )
    honest = fit(recordings, activations, split="leave_one_run_out")
    leaky = fit(recordings, activations, split="shuffled", allow_leaky=True)
    assert np.abs(honest["r"].values).max() == 0
    assert leaky["r"].values.mean() > 0.3


def test_a_state_is_laid_once_and_an_event_with_its_delays():
    features, onsets, times = np.random.default_rng(0).normal(size=(60, 2)), np.linspace(0, 100, 60), TR * np.arange(50)
    recording = Arrays(delays=(1, 2, 3))
    assert recording.design(features, onsets, times, "event").shape == (50, 6)
    state = recording.design(features, onsets, times, "state")
    line = np.interp(times + TR / 2, onsets, features[:, 0])
    np.testing.assert_allclose(state[:, 0], (line - line.mean()) / line.std(), atol=1e-12)


def test_negative_delays_read_the_future():
    features, onsets, times = (
        np.random.default_rng(0).normal(size=(50, 1)),
        TR * np.arange(50) + 0.1,
        TR * np.arange(50),
    )
    now = Arrays(delays=(0,), how="sum").design(features, onsets, times)
    later = Arrays(delays=(-2,), how="sum").design(features, onsets, times)
    np.testing.assert_array_equal(later[:-2], now[2:])
    assert (later[-2:] == 0).all()


def test_trimming_leaves_rows_out_and_not_the_delays_before_them():
    recordings, _ = study()
    samples = gather(recordings, SPLIT, (10.0, 4.0))
    assert len(samples.run) == 4 * (N - 5 - 2)
    assert samples.time_s[0] == 10.0


def test_inner_folds_keep_training_runs_whole():
    recordings, _ = study()
    samples = gather(recordings, SPLIT, (0.0, 0.0))
    outer, inner = folds_of(samples, settings(split="leave_one_run_out"))
    for (train, test), folds in zip(outer, inner, strict=True):
        for rows, held_out in folds:
            assert set(samples.run[rows]) & set(samples.run[held_out]) == set()
            assert set(rows) | set(held_out) <= set(train) and not set(held_out) & set(test)


def test_agreement_adds_up_to_the_mean_r_of_a_region():
    recordings, activations = study()
    table = pd.DataFrame({"target": ["t0", "t1", "t4", "t0"], "roi": ["driven", "driven", "noise", "both"]})
    found = fit(recordings, activations, table, split="leave_one_run_out")
    assert found["roi"].values.tolist() == ["all", "driven", "noise", "both"]
    for k in range(4):
        part = found["agreement"].values[:, :, found["fold_of"].values == k].mean(axis=2)
        np.testing.assert_allclose(part[1, 1], found["r"].values[1, k, [0, 1]].mean(), atol=1e-5)


def test_a_target_may_lie_in_several_regions_or_in_none():
    names, member = regions(
        ("a", "b", "c"), pd.DataFrame({"target": ["a", "a", "b", "zz"], "roi": ["x", "y", "y", "y"]})
    )
    assert names == ("all", "x", "y")
    np.testing.assert_array_equal(member, [[1, 1, 1], [1, 0, 0], [1, 1, 0]])


def test_runs_with_other_targets_or_another_order_of_them_are_refused():
    recordings, _ = study()
    recordings["c"] = recordings["c"].isel(target=[1, 0, 2, 3, 4])
    with pytest.raises(StudyError, match="runs a and c"):
        gather(recordings, SPLIT, (0.0, 0.0))


def test_z_scores_do_not_depend_on_the_unit():
    from pipeline.recordings.base import zscored

    X = np.random.default_rng(0).normal(size=(50, 3))
    np.testing.assert_allclose(zscored(X * 1e-13), zscored(X), atol=1e-9)
    assert (zscored(np.full((50, 2), 0.1)) == 0).all()


def test_runs_on_other_clocks_are_refused():
    recordings, _ = study()
    recordings["b"] = recordings["b"].assign_attrs(tr_s=1.5)
    with pytest.raises(StudyError, match=r"1\.5, 2\.0"):
        gather(recordings, SPLIT, (0.0, 0.0))


STEPS = ["step00000", "step00010", "step00100"]


def training(**facts: float):
    """The study with seeds, whose axis is that of checkpoints."""
    recordings, activations = study(seeds=3, **facts)
    return recordings, {run: ds.rename(seed="step").assign_coords(step=STEPS) for run, ds in activations.items()}


def test_checkpoints_stand_along_an_axis_of_their_own_and_score_as_alone():
    recordings, activations = training()
    found = fit(recordings, activations)
    assert found["r"].dims == ("step", "layer", "fold", "target")
    assert found["agreement"].dims == ("step", "layer", "roi", "sample")
    assert found["step"].values.tolist() == STEPS
    for i in range(3):
        alone = fit(recordings, {run: ds.isel(step=i, drop=True) for run, ds in activations.items()})
        for name in ("r", "alpha", "inner", "agreement"):
            np.testing.assert_array_equal(found[name].values[i], alone[name].values)


def test_an_interrupted_fit_of_checkpoints_goes_on_where_it_stopped(tmp_path, monkeypatch):
    recordings, activations = training()
    whole = fit(recordings, activations)
    arguments = (Arrays(delays=(1, 2)), activations, recordings, SPLIT, None, settings())
    record = {"stage": "encode", "settings": {}, "inputs": {}}
    write, written = Parts.write, []

    def interrupted(self, index, parts):
        write(self, index, parts)
        written.append(index)
        if written == [0, 1, 2]:
            raise KeyboardInterrupt

    monkeypatch.setattr(Parts, "write", interrupted)
    with pytest.raises(KeyboardInterrupt):
        encode(*arguments, parts=Parts(tmp_path / "scores.nc", record))
    resumed = encode(*arguments, parts=Parts(tmp_path / "scores.nc", record))
    assert written == [0, 1, 2, 3, 4, 5] and resumed.identical(whole)


def test_seeds_of_checkpoints_are_refused_by_name():
    recordings, activations = training()
    both = {run: ds.expand_dims(seed=[0, 1]) for run, ds in activations.items()}
    with pytest.raises(ValueError, match=r"axes seed \(2\), step \(3\)"):
        fit(recordings, both)


def test_what_is_known_of_the_networks_travels_with_their_scores():
    facts = {"loss_trained": 3.2, "loss_seed0": 6.1, "ln_vocabulary": 6.2, "parameters": 100}
    recordings, activations = study(seeds=1, **facts)
    activations["b"] = activations["b"].assign_attrs(loss_seed0=9.9)  # the first run speaks for all
    told = fit(recordings, activations).attrs
    assert {name: told[name] for name in facts if name in told} == {k: v for k, v in facts.items() if k != "parameters"}


def test_scores_with_steps_come_back_from_a_file_as_they_were(tmp_path):
    found = fit(*training(loss_step00000=6.2))
    arrays.save(found, tmp_path / "scores.nc", stage="encode", settings={}, inputs={})
    back = arrays.load(tmp_path / "scores.nc", "step", "layer", "fold", "target")
    assert back["step"].values.tolist() == STEPS and back.attrs["loss_step00000"] == 6.2
    np.testing.assert_array_equal(back["r"].values, found["r"].values)
