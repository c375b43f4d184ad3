"""A real recording of somebody else, all the way to scores: events explain it where they happened and nowhere else."""

from pathlib import Path

import mne
import numpy as np
import pandas as pd
import pytest
import xarray as xr
from laboratory import DATA, brainalign

from pipeline import arrays
from pipeline.config import Study
from pipeline.encoding import encode
from pipeline.layout import Layout
from pipeline.recordings.recorded import recorded
from pipeline.stages import _featured
from pipeline.words import read_events

EEG = DATA / "meg_eeg" / "EEGLAB" / "test_raw.set"
pytestmark = [
    pytest.mark.skipif(not EEG.exists(), reason="needs BRAINALIGN_DATA/meg_eeg"),
    pytest.mark.xdist_group("meg_real"),
]
STUDY = """\
study: eeg
dataset: {kind: manifest, root: lab}
recordings:
  eeg: {kind: meg, form: continuous, picks: eeg, window: [0.0, 0.7], l_freq: 0.5, h_freq: 20.0, sfreq: 64.0, reference: none}
models: {events: {kind: events}}
encoding: {split: contiguous, folds: 5, gap_s: 1.0, alphas: [1.0, 1.0e+6, 13], inner_folds: 4}
"""


@pytest.fixture(scope="module")
def root(tmp_path_factory) -> Path:
    """The recording, with its events where they happened, and a third of it later (around its end to its start)."""
    root = tmp_path_factory.mktemp("eeg")
    (root / "lab").mkdir()
    for file in (EEG, EEG.with_suffix(".fdt")):
        (root / "lab" / file.name).symlink_to(file)
    raw = mne.io.read_raw(EEG, verbose="ERROR")
    onset, length = raw.annotations.onset, raw.times[-1]
    rows = ["subject\trun\trecording\tresponses\twords\tevents"]
    for subject, shift in (("true", 0.0), ("moved", length / 3)):
        table = pd.DataFrame(
            {"onset": (onset + shift) % length, "duration": 0.0, "trial_type": raw.annotations.description}
        )
        table.sort_values("onset").to_csv(root / "lab" / f"{subject}.tsv", sep="\t", index=False)
        rows.append(f"{subject}\t{subject}\teeg\t{EEG.name}\t\t{subject}.tsv")
    (root / "lab" / "runs.tsv").write_text("\n".join(rows) + "\n")
    (root / "study.yaml").write_text(STUDY)
    return root


def judged(scores: dict[str, xr.Dataset]) -> None:
    r = {subject: float(ds["r"].mean()) for subject, ds in scores.items()}
    assert r["true"] >= 0.19 and abs(r["moved"]) <= 0.03
    assert scores["true"].sizes["fold"] == 5 and np.isfinite(scores["true"]["r"].values).all()
    assert scores["true"]["r"].mean(("layer", "target")).values.min() > 0.15  # every fold finds them


def test_events_explain_real_eeg_where_they_happened_and_nowhere_else(root: Path, monkeypatch):
    monkeypatch.chdir(root)  # a study names its data from where it is run
    study, scores = Study.from_yaml(root / "study.yaml"), {}
    for run in study.dataset.runs(root):
        ds = recorded(study.recordings["eeg"].clean(run, root / "lab", ()), run)
        events, _ = read_events(root / "lab" / run.events, name=run.events)
        (found,) = study.models["events"].activations({run.run: events}, study_dir=root)
        features = _featured(found, events, study.models["events"])
        own = {run.run: features}, {run.run: ds}, {run.run: ""}
        scores[run.subject] = encode(study.recordings["eeg"], *own, None, study.encoding)
    judged(scores)


@pytest.mark.slow
def test_and_so_does_the_whole_study(root: Path):
    done = brainalign("run", "study.yaml", "--cores", "1", cwd=root)
    assert done.returncode == 0, done.stdout + done.stderr
    out = Layout(root / "data" / "derivatives" / "eeg")
    judged({s: arrays.load(out.scores(s, "eeg", "events"), "layer", "fold", "target") for s in ("true", "moved")})
