"""Real recordings of other people, all the way to scores."""

import mne
import numpy as np
import pandas as pd
import pytest
import xarray as xr
from laboratory import DATA, brainalign

from pipeline import arrays
from pipeline.layout import Layout

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
def scores(tmp_path_factory):
    """Scores of the events where they happened, and a third of the recording later (around its end to its start)."""
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
    done = brainalign("run", "study.yaml", "--cores", "1", cwd=root)
    assert done.returncode == 0, done.stdout + done.stderr
    out = Layout(root / "data" / "derivatives" / "eeg")
    return {s: arrays.load(out.scores(s, "eeg", "events"), "layer", "fold", "target") for s in ("true", "moved")}


def test_events_explain_real_eeg_where_they_happened_and_nowhere_else(scores: dict[str, xr.Dataset]):
    r = {subject: float(ds["r"].mean()) for subject, ds in scores.items()}
    assert r["true"] >= 0.19 and abs(r["moved"]) <= 0.03
    assert scores["true"].sizes["fold"] == 5 and np.isfinite(scores["true"]["r"].values).all()


def test_every_fold_finds_them(scores: dict[str, xr.Dataset]):
    assert scores["true"]["r"].mean(("layer", "target")).values.min() > 0.15
