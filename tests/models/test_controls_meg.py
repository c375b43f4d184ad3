"""Controls that epochs around words ask for: duration, neighbours, and the loudness of the sound."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from laboratory import Laboratory
from scipy.io import wavfile

from pipeline import arrays, stages
from pipeline.jobs import Job
from pipeline.layout import Layout
from pipeline.models import MODELS
from pipeline.problems import StudyError
from pipeline.recordings.base import zscored
from pipeline.recordings.meg.kind import Meg
from pipeline.report.modelling import model_text

RATE = 8000


def words(*rows: tuple[float, float]) -> pd.DataFrame:
    return pd.DataFrame({"onset": [r[0] for r in rows], "duration": [r[1] for r in rows], "word": "x"})


def features(kind: str, table: pd.DataFrame, **settings) -> np.ndarray:
    (answer,) = MODELS[kind](**settings).activations({"a": table}, study_dir=Path())
    return answer.values[:, 0]


def sound(path: Path, values: np.ndarray) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    wavfile.write(path, RATE, values.astype(np.float32))
    return path


def told_of(problem_of) -> str:
    with pytest.raises(StudyError) as caught:
        problem_of()
    return str(caught.value)


def test_duration_is_that_of_the_word_and_of_the_pause_after_it():
    found = features("duration", words((1.0, 0.3), (1.5, 0.4), (1.8, 0.2), (4.0, 0.5)))
    np.testing.assert_allclose(found, [[0.3, 0.2], [0.4, 0.0], [0.2, 2.0], [0.5, 0.0]], atol=1e-6)
    assert features("duration", words()).shape == (0, 2)


def test_a_clock_that_starts_later_changes_no_duration_and_no_count():
    rng = np.random.default_rng(0)
    onsets = np.cumsum(rng.uniform(0.1, 0.6, 50)).round(3)
    table = words(*((t, 0.1) for t in onsets))
    later = table.assign(onset=table["onset"] + 1234.5)
    np.testing.assert_allclose(features("duration", later), features("duration", table), atol=1e-6)
    near = dict(neighbours_s=0.5)
    assert (features("wordrate", later, **near) == features("wordrate", table, **near)).all()


@pytest.mark.parametrize("reach_s", [0.2, 0.5, 1.0, 3.0])
def test_neighbours_are_counted_before_and_after_each_word(reach_s):
    onsets = np.cumsum(np.random.default_rng(1).uniform(0.05, 0.7, 80)).round(3)
    found = features("wordrate", words(*((t, 0.1) for t in onsets)), neighbours_s=reach_s)
    apart = onsets[None, :] - onsets[:, None]  # to each other word
    before = ((apart < -1e-6) & (apart > -reach_s - 1e-6)).sum(axis=1)
    after = ((apart > 1e-6) & (apart < reach_s + 1e-6)).sum(axis=1)
    assert found.tolist() == np.stack([before, after], axis=1).tolist()


def test_a_word_exactly_as_far_away_counts_whatever_rounding_says():
    onsets = [0.1 * i for i in range(30)]  # 0.1 * 3 is a hair above 0.3
    found = features("wordrate", words(*((t, 0.05) for t in onsets)), neighbours_s=0.3)
    assert (found[5:25] == 3).all()


def test_one_for_every_word_says_nothing_in_epochs_and_neighbours_do():
    onsets = np.cumsum(np.random.default_rng(2).uniform(0.1, 0.7, 40))
    table, meg = words(*((t, 0.1) for t in onsets)), Meg(window=(-0.1, 0.4))
    plain = meg.design(features("wordrate", table).astype(float), onsets, onsets)
    near = meg.design(features("wordrate", table, neighbours_s=1.0).astype(float), onsets, onsets)
    assert not plain.any() and near.any(axis=0).all()


def test_loudness_is_the_root_mean_square_around_each_moment(tmp_path):
    """A tone of amplitude a has a / sqrt(2); it steps from .8 to .2 after one second."""
    t = np.arange(2 * RATE) / RATE
    path = sound(tmp_path / "a.wav", np.where(t < 1, 0.8, 0.2) * np.sin(2 * np.pi * 200 * t))
    table = MODELS["audio"](sfreq=50.0).table(path, "a.wav", run="a")
    assert table["onset"].tolist() == [i / 50 for i in range(101)]
    envelope = table["envelope"].to_numpy()
    np.testing.assert_allclose(envelope[2:49], 0.8 / np.sqrt(2), rtol=0.01)
    np.testing.assert_allclose(envelope[52:99], 0.2 / np.sqrt(2), rtol=0.01)
    assert envelope[50] == pytest.approx(np.sqrt((0.8**2 + 0.2**2) / 4), rel=0.01)  # half of each: no delay
    (answer,) = MODELS["audio"]().activations({"a": table}, study_dir=Path())
    assert answer.values.shape == (101, 1, 1) and answer.values.dtype == np.float32 and answer.layers == (0,)


def test_moments_do_not_depend_on_the_rate_of_the_file(tmp_path):
    t = np.arange(3 * RATE) / RATE
    power = np.abs(np.sin(2 * np.pi * 1.5 * t)) * np.sin(2 * np.pi * 300 * t)
    fast = sound(tmp_path / "fast.wav", power)
    wavfile.write(tmp_path / "slow.wav", RATE // 2, np.stack([power[::2]] * 2, axis=1).astype(np.float32))
    one, two = (MODELS["audio"]().table(path, path.name, run="a") for path in (fast, tmp_path / "slow.wav"))
    assert len(one) == len(two)
    np.testing.assert_allclose(one["envelope"], two["envelope"], atol=0.01)


def test_a_run_without_sound_is_refused_by_name(tmp_path):
    model = MODELS["audio"]()
    for said in (
        told_of(lambda: model.table(tmp_path, "", run="story7")),
        told_of(lambda: list(model.activations({"story7": words((0, 1))}, study_dir=Path()))),
    ):
        assert "E-MODEL-20" in said and "story7" in said and "audio" in said and "runs.tsv" in said


def test_a_sound_that_is_cut_short_is_refused_by_name(tmp_path):
    path = sound(tmp_path / "a.wav", np.zeros(RATE))
    path.write_bytes(path.read_bytes()[:-1000])
    said = told_of(lambda: MODELS["audio"]().table(path, "sounds/a.wav", run="a"))
    assert "E-DATA-40" in said and "sounds/a.wav" in said and str(tmp_path) not in said


def test_a_response_that_follows_the_loudness_is_in_the_span_of_its_design():
    """Continuous: the envelope 100 ms ago. Epochs: the envelope 200 ms after each word's onset."""
    rng = np.random.default_rng(3)
    moments, envelope = np.arange(3001) / 50, np.abs(rng.normal(size=3001))
    times = np.arange(5000) / 100
    meg = Meg(form="continuous", window=(0.0, 0.2))
    X = meg.design(envelope[:, None], moments, times, "signal")
    assert X.shape == (5000, 21)
    read = zscored(np.interp(times, moments, envelope)[:, None])[:, 0]
    np.testing.assert_allclose(X[10:, 10], read[:-10])
    onsets = np.sort(rng.uniform(1, 50, 100))
    X = Meg(window=(-0.1, 0.4)).design(envelope[:, None], moments, onsets, "signal")
    np.testing.assert_allclose(X[:, 4], zscored(np.interp(onsets + 0.2, moments, envelope)[:, None])[:, 0])


@pytest.fixture
def heard(tmp_path: Path) -> Laboratory:
    """The small study with a sound for each story."""
    made = Laboratory(tmp_path)
    for k, story in enumerate(made.stories):
        sound(made.data / "sounds" / f"{story}.wav", np.random.default_rng(k).normal(size=RATE))
    rows = [line.split("\t") for line in made.runs_text().splitlines()]
    column = ["audio", *(f"sounds/{row[1]}.wav" for row in rows[1:])]
    made.runs("\n".join("\t".join([*row, cell]) for row, cell in zip(rows, column, strict=True)))
    return made


def job(lab: Laboratory, *runs: str, **model) -> Job:
    settings = {"dataset": {"kind": "manifest", "root": str(lab.data)}, "model": model}
    return Job(Layout(lab.root / "out"), settings, model="loud", runs=runs)


def test_the_stage_reads_the_sound_and_records_which(heard):
    stages.activate(job(heard, "a", "b", kind="audio", sfreq=100))
    path = Layout(heard.root / "out").activations("loud", "b")
    ds = arrays.load(path, "word", "layer", "feature")
    assert ds.attrs["sampled"] == "signal" and ds.sizes["word"] == 101
    noise = wavfile.read(heard.data / "sounds" / "b.wav")[1]
    assert ds["activations"].values[50, 0, 0] == pytest.approx(np.sqrt((noise[3960:4040] ** 2).mean()), rel=1e-6)
    assert list(arrays.read_record(path)["made_by"]["inputs"]) == ["dataset:sounds/b.wav"]


def test_the_stage_refuses_a_study_some_of_whose_runs_have_no_sound(heard):
    heard.runs(heard.runs_text().replace("sounds/c.wav", ""))
    said = told_of(lambda: stages.activate(job(heard, "a", "b", "c", kind="audio")))
    assert "E-MODEL-20" in said and "run c" in said


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        (dict(kind="duration"), "the duration of each word and of the pause after it"),
        (dict(kind="wordrate"), "the number of words."),
        (dict(kind="wordrate", neighbours_s=1.5), "begin within 1.5 s before each word, and after it"),
        (dict(kind="audio", sfreq=64), "envelope of the sound (root mean square, 64 Hz)"),
    ],
)
def test_the_methods_text_tells_each_control_and_its_setting(settings, told):
    assert told in model_text(MODELS[settings["kind"]](**settings).dump())
