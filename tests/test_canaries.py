"""Features that cannot know what is tested: silent where nothing leaks, and singing where something does."""

import numpy as np
import pytest
import xarray as xr
from certified import RECORDING, TR, fitted, study

from pipeline import arrays, certify
from pipeline.certify.canaries import exchanged
from pipeline.config import Study
from pipeline.layout import Layout
from pipeline.problems import StudyError
from pipeline.recordings.meg.kind import Meg
from pipeline.truststages import refuse_singing


def sung(found):
    return {canary.name: canary for canary in certify.sung(found, draws=200, seed=0)}


def test_where_nothing_leaks_all_are_silent():
    found = sung(fitted(*study(n=240, driven=6, noise=24, phi=0.5)))
    assert {name: canary.verdict for name, canary in found.items()} == dict.fromkeys(
        ("oasm", "future", "story"), "green"
    )
    assert found["oasm"].r == 0 and found["future"].high < 0


def test_shuffled_samples_make_slow_sequences_sing():
    found = sung(fitted(*study(noise=20, phi=0.9), split="shuffled", allow_leaky=True, folds=4))
    assert found["oasm"].verdict == "red" and found["oasm"].r > 0.3 and found["oasm"].low > found["oasm"].bound


def test_responses_that_come_before_their_words_are_heard_by_the_future_canary():
    found = sung(fitted(*study(driven=10, noise=0, ahead=7)))
    assert found["future"].verdict == "red" and found["future"].r > 0.2 and found["future"].low > 0


def test_another_run_begun_elsewhere_is_laid_on_each_run():
    run = np.repeat([0, 1, 2], [60, 40, 50])
    X = np.column_stack([run, np.concatenate([np.arange(n) for n in (60, 40, 50)])]).astype(float)
    laid = exchanged(X, run, seed=3)
    assert [set(laid[run == r, 0]) for r in range(3)] == [{1.0}, {2.0}, {0.0}]
    assert all(laid[run == r, 1][0] > 0 for r in range(3))  # beginnings do not meet beginnings
    steps = np.diff(laid[run == 2, 1])
    assert set(steps) <= {1.0, -59.0}
    with pytest.raises(ValueError, match="there is one run"):
        exchanged(X, np.zeros(150), seed=0)


def test_the_future_lies_beyond_what_the_filter_reads():
    """A single word at 100 s: the canary's design sees it only in volumes that are over by then."""
    recordings, activations = study(runs=3)
    at = {run: int(np.argmin(np.abs(ds["onset"].values - 100))) for run, ds in activations.items()}
    found = fitted(recordings, activations)
    alone = {run: ds.copy(deep=True) for run, ds in activations.items()}
    for run, ds in alone.items():
        ds["activations"].values[:] = 0
        ds["activations"].values[at[run]] = 1
    from pipeline.certify.canaries import _laid, _to_come

    now = _laid(found, RECORDING, alone)[1]
    later = _to_come(found._replace(activations=alone))[1]
    time = np.concatenate([ds["time"].values for ds in recordings.values()])
    seen = [np.abs(X - np.median(X, axis=0)).max(axis=1) > 0.2 for X in (now, later)]
    assert seen[0].any() and seen[1].any()
    assert time[seen[1]].max() + TR <= 100 < time[seen[0]].max()


def test_a_state_has_no_words_to_come():
    recordings, activations = study()
    for ds in activations.values():
        ds.attrs["sampled"] = "state"
    canary = sung(fitted(recordings, activations))["future"]
    assert canary.verdict == "none" and "state" in canary.reason


def test_of_epochs_the_future_is_the_first_word_after_the_epoch():
    from pipeline.certify.canaries import _next_words

    onsets = np.array([0.0, 0.4, 0.8, 1.5, 3.0])
    features = xr.Dataset(
        {"activations": (("word", "layer", "feature"), np.arange(5.0)[:, None, None])},
        {"onset": ("word", onsets), "layer": [0]},
        {"sampled": "event", "private": 0},
    )
    recording = {"a": xr.Dataset(coords={"time": ("sample", onsets)}, attrs={"word_end_s": 0.6})}
    found = fitted(*study())
    samples = found.samples._replace(kept={"a": np.arange(5)}, run=np.repeat("a", 5), word_s=0.8)
    X = _next_words(found._replace(
        recording=Meg(window=(-0.2, 0.6)), activations={"a": features}, recordings=recording, samples=samples,
        layers=np.array([0]),
    ))[0]  # fmt: skip
    expected = np.array([2, 3, 3, 4, 4.0])
    np.testing.assert_allclose(X[:, 0], (expected - expected.mean()) / expected.std())


# --- what a singing canary does to a study

LAB = {
    "study": "lab", "dataset": {"kind": "manifest", "root": "lab"}, "recordings": {"bold": {"kind": "arrays"}},
    "models": {"rate": {"kind": "wordrate"}},
}  # fmt: skip


def refused(tmp_path, canary, **encoding):
    out = Layout(tmp_path / "lab")
    found = fitted(*study())
    tests = certify.saved(
        certify.TargetTests(np.arange(0), None, "phases", "for a test"), found, *_scores(), "net", 0.05
    )
    table = certify.table(tests, [certify.nothing("all", "for a test")], [canary], "01", "bold")
    arrays.save_table(table, out.certificate("01", "bold"), stage="certify", settings={}, inputs={})
    refuse_singing(Study.model_validate(LAB | {"encoding": encoding}), out, [("01", "bold")])


def _scores():
    from certified import whole

    return (whole(*study())[1],)


RED = certify.Canary("oasm", "r", 0.21, 0.12, 0.3, 0.03, "red")


def test_a_singing_canary_ends_the_study_with_all_that_is_known(tmp_path):
    with pytest.raises(StudyError) as error:
        refused(tmp_path, RED)
    (problem,) = error.value.problems
    assert (problem.code, problem.subject, error.value.exit_code) == ("E-CANARY-01", "01", 3)
    assert "canary oasm sings in bold" in problem.summary and problem.found == "r = 0.210 [0.120, 0.300]"
    assert problem.expected == "at most 0.03" and "leave_one_run_out" in problem.fix and "sub-01.html" in problem.fix


def test_a_silent_canary_and_a_split_that_is_meant_to_leak_end_nothing(tmp_path):
    refused(tmp_path, RED._replace(verdict="green"))
    refused(tmp_path, RED, split="shuffled", allow_leaky=True)


def test_a_shifted_clock_is_told_in_seconds(tmp_path):
    with pytest.raises(StudyError) as error:
        refused(tmp_path, certify.Canary("lag", "peak (s)", -12.0, 3.0, 8.0, np.nan, "red"))
    (problem,) = error.value.problems
    assert problem.found == "the score peaks at -12 s" and problem.expected == "3 to 8 s"
