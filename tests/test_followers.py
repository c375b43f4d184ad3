"""Held against the targets that follow the words in the other runs, one run's wrong clock is plain."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from laboratory import DATA

from pipeline.aligning import align, followed
from pipeline.followers import MOST_TARGETS, weights
from pipeline.runs import Run

TR, N, BAND = 2.0, 150, (3.0, 8.0)


def heard(seed: int, *, targets: int = 2000, driven: int = 60, late_s: float = 0.0) -> tuple[xr.Dataset, pd.DataFrame]:
    """A run in which some targets follow the word rate two volumes later, and its words, late by so much."""
    rng = np.random.default_rng(seed)
    onsets = np.sort(rng.uniform(0, N * TR, 500))
    onsets = onsets[np.sin(onsets / 9 + seed) + rng.normal(size=500) * 0.5 > -0.3]
    rate = np.histogram(onsets, np.arange(N + 1) * TR)[0]
    Y = rng.normal(size=(N, targets))
    Y[2:, :driven] += 0.8 * ((rate - rate.mean()) / rate.std())[:-2, None]
    ds = xr.Dataset(
        {"responses": (("sample", "target"), Y.astype(np.float32))},
        coords={"time": ("sample", np.arange(N) * TR), "target": [f"t{i}" for i in range(targets)]}, attrs={"tr_s": TR},
    )  # fmt: skip
    return ds, pd.DataFrame({"onset": onsets + late_s, "duration": 0.1, "word": "w"})


def verdicts(runs: list[tuple[xr.Dataset, pd.DataFrame]]) -> list[tuple[str, float]]:
    profiles = [followed(*run) for run in runs]
    found = [
        align(Run("01", str(i), "fmri", ("a",), "w"), *run, BAND, "none", weights=weights(profiles, i))
        for i, run in enumerate(runs)
    ]
    return [(run.light, float(run.lags_s[run.excess.argmax()])) for run in found]


def test_of_four_runs_the_one_with_late_words_is_red_and_the_others_green():
    found = verdicts([heard(0), heard(1), heard(2, late_s=20.0), heard(3)])
    assert [light for light, _ in found] == ["green", "green", "red", "green"]
    assert found[2][1] == pytest.approx(-16.0)


def test_a_clock_that_is_wrong_in_every_run_is_red_in_every_run():
    found = verdicts([heard(seed, late_s=-14.0) for seed in range(3)])
    assert found == [("red", 18.0)] * 3


def test_runs_that_follow_no_words_are_hardly_ever_red():
    lights = [light for k in range(14) for light, _ in verdicts([heard(100 + 3 * k + i, driven=0) for i in range(3)])]
    assert lights.count("red") <= 1 and lights.count("green") <= 0.12 * len(lights)


def test_the_targets_are_those_that_follow_in_the_other_runs_alone():
    runs = [heard(seed) for seed in range(3)]
    spoilt = runs[0][0].copy(deep=True)
    spoilt["responses"].values[:, 1000:] = spoilt["responses"].values[:, :1]  # this run would choose others
    profiles = [followed(spoilt, runs[0][1]), followed(*runs[1]), followed(*runs[2])]
    chosen = np.flatnonzero(weights(profiles, 0))
    assert len(chosen) == MOST_TARGETS and set(range(60)) <= set(chosen.tolist())


def test_two_runs_are_too_few_to_tell_which_is_wrong():
    profiles = [followed(*heard(seed)) for seed in range(2)]
    assert weights(profiles, 0) is None


def test_a_missing_target_counts_nothing():
    ds, words = heard(0)
    ds["responses"].values[:, 0] = np.nan
    assert (followed(ds, words)[:, 0] == 0).all()


@pytest.mark.skipif(not (DATA / "lebel").is_dir(), reason="needs BRAINALIGN_DATA/lebel")
def test_in_real_recordings_a_run_whose_words_are_20_s_late_is_red_and_none_is_as_they_are():
    from pipeline.datasets.manifest import Manifest
    from pipeline.recordings.matrix import Arrays
    from pipeline.recordings.recorded import recorded
    from pipeline.words import stimulus

    source = Manifest(root=str(DATA / "lebel"))
    folder = source.folder(Path())
    mine = [run for run in source.runs(Path()) if run.subject == "uts02"][:10]
    runs = [(recorded(Arrays().clean(run, folder, ()), run), stimulus(folder, run)[0]) for run in mine]
    profiles = [followed(*run) for run in runs]
    lights = {
        late: [
            align(run, ds, words.assign(onset=words["onset"] + late), BAND, "none", weights=weights(profiles, i)).light
            for i, (run, (ds, words)) in enumerate(zip(mine, runs, strict=True))
        ]
        for late in (0.0, 20.0, -20.0)
    }
    assert lights[0.0].count("red") == 0
    assert lights[20.0].count("red") >= 9 and lights[-20.0].count("red") >= 9
