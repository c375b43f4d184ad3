"""A classic experiment: one series from a real scanner and six types of events (nitime's example data)."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from laboratory import DATA, brainalign

from pipeline import ridge, splits
from pipeline.datasets.manifest import Manifest
from pipeline.encoding import Encoding
from pipeline.models import MODELS
from pipeline.recordings.matrix import Arrays

SOURCE = DATA / "fmri_small" / "nitime_event_related_fmri.csv"
TR = 2.0
GAP = 10  # volumes: 20 s on both sides of a test block, as a study has it

pytestmark = pytest.mark.skipif(not SOURCE.is_file(), reason=f"{SOURCE.name} is not there; set BRAINALIGN_DATA")


def write_study(root: Path, rolled: int = 0) -> Path:
    """A manifest data set: a column `bold`, and an event at the start of every volume with a code."""
    source = pd.read_csv(SOURCE)
    codes = np.roll(source["events"].to_numpy(int), rolled)
    rows = np.flatnonzero(codes)
    events = pd.DataFrame({"onset": rows * TR, "duration": 0.0, "trial_type": codes[rows], "word": codes[rows]})
    root.mkdir()
    source[["bold"]].to_csv(root / "bold.csv", index=False)
    events.to_csv(root / "events.tsv", sep="\t", index=False)
    runs = "subject\trun\trecording\tresponses\twords\tevents\ttr_s\n01\tone\tbold\tbold.csv\tevents.tsv\tevents.tsv\t2.0\n"
    (root / "runs.tsv").write_text(runs)
    return root


def score(root: Path, **settings) -> float:
    """Mean correlation over contiguous folds, as the study's settings have them."""
    recording, encoding = Arrays(**settings), Encoding(split="contiguous")
    (run,) = Manifest(root=str(root)).runs(root)
    cleaned = recording.clean(run, root, ())
    table = pd.read_csv(root / "events.tsv", sep="\t", dtype={"trial_type": str})
    (answer,) = MODELS["events"]().activations({run.run: table}, study_dir=root)
    X = recording.design(answer.values[:, 0].astype(float), table["onset"].to_numpy(), cleaned.times_s, "event")
    folds = splits.contiguous(len(X), folds=encoding.folds, gap=GAP)
    inner = [splits.inner_contiguous(train, encoding.inner_folds, GAP) for train, _ in folds]
    found = ridge.cross_validate(X, cleaned.responses[0], folds=folds, inner=inner, alphas=encoding.grid())
    return float(found.r.mean())


@pytest.mark.parametrize("how", ["sum", "lanczos", "causal"])
def test_six_types_of_events_explain_the_series_and_rolled_ones_do_not(how, tmp_path):
    delays = tuple(range(12))
    assert score(write_study(tmp_path / "true"), how=how, delays=delays) >= 0.45
    assert score(write_study(tmp_path / "rolled", 1000), how=how, delays=delays) <= 0.03


def test_a_curve_that_may_move_and_widen_explains_more_than_one_that_may_not(tmp_path):
    """The answer of this series comes later and is wider than Glover's curve."""
    root = write_study(tmp_path / "true")
    fixed, free = (score(root, how="glover", derivatives=n) for n in (0, 2))
    assert 0.3 < fixed < free - 0.05


@pytest.mark.slow
def test_a_study_of_it_says_the_same(tmp_path):
    for name, rolled in (("asitwas", 0), ("rolled", 1000)):
        write_study(tmp_path / f"lab{name}", rolled)
        (tmp_path / f"{name}.yaml").write_text(
            f"study: {name}\ndataset: {{kind: manifest, root: lab{name}}}\nsubjects: all\n"
            f"recordings: {{bold: {{kind: arrays, how: sum, delays: {list(range(12))}}}}}\n"
            "models: {events: {kind: events}}\nencoding: {split: contiguous}\n"
        )
        done = brainalign("run", f"{name}.yaml", cwd=tmp_path)
        assert done.returncode == 0, done.stderr
    found = {
        name: pd.read_csv(tmp_path / f"data/derivatives/{name}/sub-01/sub-01_recording-bold_layers.tsv", sep="\t")[
            "r"
        ].iloc[0]
        for name in ("asitwas", "rolled")
    }
    assert found["asitwas"] >= 0.45 and found["rolled"] <= 0.03
