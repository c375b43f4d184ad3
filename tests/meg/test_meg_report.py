"""What the page of a recording resolved in time is made of comes from the study's saved files, and lacks what was not saved."""

import numpy as np
import pandas as pd
import pytest

from pipeline import arrays, sensing, signs
from pipeline.jobs import Job
from pipeline.layout import Layout
from pipeline.recordings.base import Cleaned, Sensed
from pipeline.recordings.recorded import recorded
from pipeline.runs import Run
from pipeline.sensors import Sensors
from pipeline.timecourse import Person, saved
from pipeline.timecourse.courses import Course

RECORD = {"stage": "test", "settings": {}, "inputs": {}}
LATENCIES = (-0.1, 0.0, 0.1)
RUN = Run("01", "1", "meg", ("1_meg.fif",), "1.tsv")
WORDS = pd.DataFrame({"onset": [0.5, 1.0, 1.5, 99.0], "duration": 0.2, "word": list("abcd")})


def sensors(latencies=LATENCIES) -> Sensors:
    loc = np.tile(np.arange(12.0), (2, 1)) / 100
    return Sensors(("MEG 0111", "MEG 0112"), ("mag", "grad"), loc, latencies)


def summary(**epochs) -> dict:
    told = {
        "file": "1_meg.fif",
        "duration_s": 61.5,
        "steps": [],
        "bads": {},
        "triggers": None,
        "epochs": epochs or None,
    }
    return {"kind": "meg", "form": "epochs", "presentations": [told, told | {"duration_s": 60.0}]}


def clean(measured: Sensed, in_words: bool = True):
    own = sensors() if in_words else sensors(())
    n, times = (4, WORDS["onset"].to_numpy()) if in_words else (200, np.arange(200) / 100 - 0.5)
    cleaned = Cleaned(
        np.zeros((1, n, len(own.targets)), np.float32), times, 0.01, own.targets, [], sensors=own, measured=measured,
        word_s=(-0.1, 0.1) if in_words else None, unit="unit",
    )  # fmt: skip
    return recorded(cleaned, RUN)


@pytest.fixture
def job(tmp_path) -> Job:
    return Job(Layout(tmp_path), {}, subject="01", recording="meg")


WEIGHTS = {"gpt2": "trained", "rate": ""}


def test_what_cleaning_saved_comes_back(tmp_path):
    psd, evoked = np.full((2, 3), 4.0), np.arange(6.0).reshape(2, 3)
    measured = Sensed(summary(), np.arange(3.0), psd, psd / 2, evoked, np.array(LATENCIES), np.array([0.001, -0.002]))
    arrays.save(clean(measured), tmp_path / "a.nc", **RECORD)
    found = sensing.sensed(RUN, arrays.load(tmp_path / "a.nc", "sample", "target"))
    assert found.summary == summary() and found.sensors.names == sensors().names
    assert np.allclose(found.psd_after, 2.0) and np.allclose(found.evoked, evoked)
    assert np.allclose(found.jitter_s, [0.001, -0.002])


def test_what_nobody_measured_is_none():
    found = sensing.sensed(RUN, clean(Sensed(summary())))
    assert found.psd_before is None and found.evoked is None and found.jitter_s is None


def test_of_words_the_files_tell_how_long_the_run_is_and_which_lie_outside():
    used = sensing.used(RUN, clean(Sensed(summary(n_words=4, n_outside=1))), WORDS)
    assert (used.n_samples, used.duration_s, used.n_words, used.words_outside) == (4, 61.5, 4, 1)
    assert np.isnan(used.tr_s)


def test_of_moments_the_samples_tell_it():
    used = sensing.used(RUN, clean(Sensed(summary()), in_words=False), WORDS)
    assert (used.n_samples, used.tr_s, used.duration_s) == (200, 0.01, 2.0)
    assert used.words_outside == 2  # the clock runs from -0.5 to 1.5 s


def test_its_quality_is_not_taken_for_that_of_volumes():
    assert signs.quality_of(RUN, clean(Sensed(summary()))) is None


def test_a_study_cut_short_has_a_page_without_time_courses(job):
    part, paths = sensing.of_subject(job, WEIGHTS, [sensing.sensed(RUN, clean(Sensed(summary())))])
    assert part.latencies.empty and part.clusters.empty and not part.scores and paths == []
    assert part.sensors.names == sensors().names


def test_scores_by_channel_are_means_over_folds_of_trained_models(job):
    folds = np.stack([np.full((2, 3), 0.1), np.full((2, 3), 0.3)])
    folds[1, 1] = np.nan
    courses = {"gpt2": [Course("", "", "nested", folds)], "rate": [Course("", "", "nested", 0 * folds)]}
    whose = Person("01", "meg", sensors(), np.array(LATENCIES), courses, WEIGHTS, np.zeros((2, 3)))
    arrays.save(saved(whose), job.out.courses("01", "meg"), **RECORD)
    part, paths = sensing.of_subject(job, WEIGHTS, [])
    assert [one.model for one in part.scores] == ["gpt2"] and paths == [job.out.courses("01", "meg")]
    assert np.allclose(part.scores[0].r, [[0.2] * 3, [0.1] * 3])
    assert part.sensors.latencies_s == LATENCIES


def rows(subject, r, layer="1"):
    told = {"subject": subject, "recording": "meg", "model": "gpt2", "weights": "trained", "seed": "", "step": ""}
    return pd.DataFrame(told | {"layer": layer, "kind": "all", "latency": LATENCIES, "r": r, "ceiling": np.nan})


def test_over_people_each_layer_is_a_mean_and_the_chosen_one_that_of_the_group(job):
    for subject, r in (("01", 0.1), ("02", 0.3)):
        both = pd.concat([rows(subject, r), rows(subject, 0.9, "nested")])
        arrays.save_table(both, job.out.latencies(subject, "meg"), **RECORD)
    arrays.save_table(rows("", 0.7, "nested"), job.out.top("group_latencies.tsv"), **RECORD)
    latencies, clusters, paths = sensing.of_people(job, "meg", ["01", "02"])
    assert np.allclose(latencies[latencies["layer"] == "1"]["r"], 0.2)
    assert np.allclose(latencies[latencies["layer"] == "nested"]["r"], 0.7)
    assert clusters.empty and len(paths) == 3
