"""What a model adds to controls fitted beside it."""

import numpy as np
import pytest
import xarray as xr

from pipeline import arrays, jobs, joint, ridge, stages
from pipeline.beside import added, table
from pipeline.clipping import limits_of
from pipeline.config import Study
from pipeline.encoding import Encoding, encode, folds_of
from pipeline.jobs import Job
from pipeline.layout import Layout
from pipeline.problems import StudyError
from pipeline.recordings.meg.kind import Meg
from pipeline.samples import gather
from pipeline.sensors import Sensors, placed

RUNS, N = ("a", "b", "c", "d"), 150
LATENCIES = (-0.1, 0.0, 0.1, 0.2)
SENSORS = Sensors(("MEG1", "MEG2", "MEG3"), ("mag", "mag", "grad"), np.zeros((3, 12)), LATENCIES)
SPLIT = dict.fromkeys(RUNS, "")
MEG = Meg(window=(-0.1, 0.2), sfreq=10, h_freq=4)
SETTINGS = Encoding(alphas=(1.0, 1e4, 9), inner_folds=3, gap_s=0, precision="float64")


def study(seed: int = 0):
    """Four runs of words. Channel 1 follows the control, channel 2 the model's layer 1, channel 3 nothing."""
    rng = np.random.default_rng(seed)
    recordings, model, control, copied = {}, {}, {}, {}
    for run in RUNS:
        onsets = 2.0 * np.arange(N) + rng.uniform(0, 0.5, N)
        layers, rate = rng.normal(size=(N, 2, 4)), rng.normal(size=(N, 2))
        Y = rng.normal(size=(N, 3, len(LATENCIES)))
        Y[:, 0, 2:] += rate.sum(axis=1)[:, None]
        Y[:, 1, 2:] += layers[:, 1].sum(axis=1)[:, None] * 0.7
        ds = xr.Dataset(
            {"responses": (("sample", "target"), Y.reshape(N, -1).astype("f4"))},
            {"time": ("sample", onsets), "target": list(SENSORS.targets)},
            {"tr_s": 0.1, "word_start_s": -0.1, "word_end_s": 0.2},
        )
        recordings[run] = placed(ds, SENSORS)
        model[run], control[run], copied[run] = (features(v, onsets) for v in (layers, rate[:, None], layers[:, 1:]))
    return recordings, model, control, copied


def features(values: np.ndarray, onsets: np.ndarray) -> xr.Dataset:
    coords = {"onset": ("word", onsets), "layer": list(range(values.shape[1]))}
    values = (("word", "layer", "feature"), values.astype("f4"))
    return xr.Dataset({"activations": values}, coords, {"sampled": "event", "private": 0})


@pytest.fixture(scope="module")
def fitted():
    recordings, model, control, copied = study()
    scores = encode(MEG, model, recordings, SPLIT, None, SETTINGS)
    return recordings, model, control, copied, scores


def rows(fitted, controls, **changes):
    recordings, model, _, _, scores = fitted
    found = added(MEG, model, controls, recordings, SPLIT, scores, SETTINGS)
    return table(found, scores, "01", "meg", "net", tuple(controls), **changes).set_index("roi")


def by_channel(found, name: str) -> np.ndarray:
    """(channel, latency), mean over folds."""
    return getattr(found, name).mean(axis=0).reshape(3, len(LATENCIES))


def test_a_model_adds_where_it_alone_explains_and_nothing_where_the_control_does(fitted):
    recordings, model, control, _, scores = fitted
    found = added(MEG, model, {"rate": control}, recordings, SPLIT, scores, SETTINGS)
    both, alone = by_channel(found, "joint"), by_channel(found, "controls")
    assert (alone[0, 2:] > 0.7).all() and np.abs(both - alone)[0, 2:].max() < 0.02
    assert np.abs(alone[1, 2:]).max() < 0.15 and (both[1, 2:] > 0.7).all()
    assert found.layers == ("1",) * 4


def test_a_model_that_is_the_control_adds_nothing(fitted):
    told = rows(fitted, {"copy": fitted[3]})
    assert told.loc["all", "r_controls"] > 0.1
    assert abs(told.loc["all", "adds"]) < 0.005


def test_the_fit_is_banded_ridge_of_the_same_designs_in_the_same_folds(fitted):
    recordings, model, control, _, scores = fitted
    found = added(MEG, model, {"rate": control}, recordings, SPLIT, scores, SETTINGS, seed=3)
    samples = gather(recordings, SPLIT, (0.0, 0.0))
    outer, inner = folds_of(samples, SETTINGS)
    zscored = lambda v: (v - v.mean(axis=0)) / v.std(axis=0)  # noqa: E731
    X, C = (
        np.vstack([zscored(of[run]["activations"].values[:, layer].astype(float)) for run in RUNS])
        for of, layer in ((model, 1), (control, 0))
    )
    options = dict(folds=outer, inner=inner, alphas=SETTINGS.grid(), precision="float64", n_iter=joint.N_ITER, seed=3)
    np.testing.assert_allclose(found.joint, ridge.banded([X, C], samples.Y, **options).r, atol=1e-9)
    np.testing.assert_allclose(found.controls, ridge.banded([C], samples.Y, **options).r, atol=1e-9)


def test_what_is_added_is_the_difference_and_its_interval_holds_it_over_folds(fitted):
    told = rows(fitted, {"rate": fitted[2]})
    assert list(told.index) == ["all", "preonset", "postonset", "mag", "grad"]
    np.testing.assert_allclose(told["adds"], told["r_joint"] - told["r_controls"])
    assert ((told["low"] < told["adds"]) & (told["adds"] < told["high"])).all() and (told["n_parts"] == 4).all()
    assert told.loc["mag", "low"] > 0 and told.loc["grad", "low"] < 0 < told.loc["grad", "high"]
    assert told["n_targets"].tolist() == told["of_targets"].tolist() == [12, 3, 9, 8, 4]
    assert set(told["controls"]) == {"rate"} and set(told["layer"]) == {"1"}


def test_two_controls_have_a_penalty_each(fitted):
    """Beside 30 features of noise the one that tells keeps its score."""
    recordings, _, control, _, _ = fitted
    rng = np.random.default_rng(9)
    noise = {run: features(rng.normal(size=(N, 1, 30)), ds["time"].values) for run, ds in recordings.items()}
    both, alone = rows(fitted, {"rate": control, "noise": noise}), rows(fitted, {"rate": control})
    assert set(both["controls"]) == {"rate noise"}
    assert both.loc["mag", "r_controls"] > 0.9 * alone.loc["mag", "r_controls"]


def test_below_three_folds_there_is_no_interval(fitted):
    recordings, model, control, _, _ = fitted
    two = {run: recordings[run] for run in "ab"}
    activations = [{run: of[run] for run in two} for of in (model, control)]
    scores = encode(MEG, activations[0], two, SPLIT, None, SETTINGS)
    found = added(MEG, activations[0], {"rate": activations[1]}, two, SPLIT, scores, SETTINGS)
    told = table(found, scores, "01", "meg", "net", ("rate",))
    assert (told["n_parts"] == 2).all() and told[["low", "high"]].isna().all(axis=None)
    assert np.isfinite(told["adds"]).all()


def test_of_too_many_targets_each_fold_keeps_those_that_its_own_inner_folds_predict_best(fitted, monkeypatch):
    recordings, model, control, _, scores = fitted
    monkeypatch.setattr(joint, "MOST_TARGETS", 11)
    monkeypatch.setattr(joint, "BEST", 5)
    found = added(MEG, model, {"rate": control}, recordings, SPLIT, scores, SETTINGS)
    inner = scores["inner"].values[1]
    for k in range(4):
        best = set(np.argsort(-inner[k])[:5])
        assert set(np.flatnonzero(np.isfinite(found.joint[k]))) == best
    told = table(found, scores, "01", "meg", "net", ("rate",)).set_index("roi")
    assert told.loc["all", "n_targets"] == 5 and told.loc["all", "of_targets"] == 12


def test_a_missing_channel_is_left_out_and_counted(fitted):
    recordings, model, control, _, _ = fitted
    spoilt = {run: ds.copy(deep=True) for run, ds in recordings.items()}
    spoilt["b"]["responses"].values[:, 8:] = np.nan  # the only gradiometer
    scores = encode(MEG, model, spoilt, SPLIT, None, SETTINGS)
    found = added(MEG, model, {"rate": control}, spoilt, SPLIT, scores, SETTINGS)
    told = table(found, scores, "01", "meg", "net", ("rate",)).set_index("roi")
    assert (
        told.loc["grad", "of_targets"] == 0 and np.isnan(told.loc["grad", "adds"]) and told.loc["grad", "n_parts"] == 0
    )
    whole = rows(fitted, {"rate": control})
    assert told.loc["mag", "r_joint"] == pytest.approx(whole.loc["mag", "r_joint"])


def test_values_are_cut_as_in_the_encoding(fitted):
    recordings, model, control, _, _ = fitted
    spoilt = {run: ds.copy(deep=True) for run, ds in recordings.items()}
    spoilt["b"]["responses"].values[20, :4] = 1e5
    samples = gather(spoilt, SPLIT, (0.0, 0.0))
    assert limits_of(samples.Y, folds_of(samples, SETTINGS)[0], MEG.clip, SENSORS).n_cut.sum() == 16
    scores = encode(MEG, model, spoilt, SPLIT, None, SETTINGS)
    cut, wild = (
        added(meg, model, {"rate": control}, spoilt, SPLIT, scores, SETTINGS).controls[:, 2:4].mean()
        for meg in (MEG, Meg(window=(-0.1, 0.2), sfreq=10, h_freq=4, clip=None))
    )
    assert wild + 0.1 < cut


def test_the_same_again_is_the_same(fitted):
    one, two = (rows(fitted, {"rate": fitted[2]}) for _ in range(2))
    assert one.equals(two)


STUDY = """\
study: words
dataset: {{kind: manifest, root: lab}}
recordings: {{meg: {{kind: meg, window: [-0.1, 0.2], sfreq: 10, h_freq: 4, beside: {beside}}}}}
models: {{net: {{kind: transformer, name: net}}, rate: {{kind: wordrate}}}}
encoding: {{alphas: [1, 1.0e+4, 9], inner_folds: 3, gap_s: 0, precision: float64}}
"""


def written(tmp_path, monkeypatch, controls: str) -> Study:
    monkeypatch.chdir(tmp_path)  # a study names its data from where it is run
    (tmp_path / "study.yaml").write_text(STUDY.format(beside=controls))
    return Study.from_yaml(tmp_path / "study.yaml")


@pytest.mark.parametrize(
    ("controls", "said"), [("rat", "'rat', which is no control"), ("net", "'net', which is no control")]
)
def test_only_controls_can_stand_beside_a_model(tmp_path, monkeypatch, controls, said):
    with pytest.raises(StudyError, match=said):
        written(tmp_path, monkeypatch, controls)


def test_the_stage_writes_what_the_function_finds(fitted, tmp_path, monkeypatch):
    study, out = written(tmp_path, monkeypatch, "rate"), Layout(tmp_path / "out")
    (tmp_path / "lab").mkdir()
    rows = [f"01\t{run}\tmeg\t{run}.fif\t{run}.tsv" for run in RUNS]
    (tmp_path / "lab" / "runs.tsv").write_text("\n".join(["subject\trun\trecording\tresponses\twords", *rows]) + "\n")
    recordings, model, control, _, scores = fitted
    record = {"stage": "test", "settings": {}, "inputs": {}}
    for run in RUNS:
        arrays.save(described(recordings[run]), out.recording("01", "meg", run), **record)
        arrays.save(described(model[run]), out.activations("net", run), **record)
        arrays.save(described(control[run]), out.activations("rate", run), **record)
    arrays.save(scores, out.scores("01", "meg", "net"), **record)
    settings = study.for_stage("beside", recording="meg")
    assert (settings["beside"], settings["models"]) == (["rate"], ["net"])
    stages.beside(Job(out, settings, "01", "meg"))
    found = arrays.load_table(out.beside("01", "meg"), text=("subject", "layer")).set_index("roi")
    expected = rows_of(fitted, {"rate": control}, study)
    assert list(found["adds"]) == pytest.approx(list(expected["adds"]), abs=1e-6)
    assert out.beside("01", "meg") in jobs.courses_of(study, out, ("01", "meg"))


def rows_of(fitted, controls, study: Study):
    recordings, model, _, _, scores = fitted
    found = added(study.recordings["meg"], model, controls, recordings, SPLIT, scores, study.encoding)
    return table(found, scores, "01", "meg", "net", tuple(controls)).set_index("roi")


def described(ds: xr.Dataset) -> xr.Dataset:
    """With what a file must say of every array."""
    for array in ds.variables.values():
        array.attrs |= {"units": "1", "long_name": "made up"}
    return ds
