"""What is said of an MEG study before anything heavy."""

import mne
import numpy as np
import pytest

from pipeline.checks import check
from pipeline.config import Study

STUDY = """\
study: meg
dataset: {{kind: manifest, root: lab}}
recordings: {{meg: {{kind: meg, picks: mag, window: [-0.1, 0.2], sfreq: 50, h_freq: 20, form: {form}, channels: {channels}}}}}
models: {{length: {{kind: wordlength}}}}
encoding: {{split: leave_one_run_out, inner_folds: 2, gap_s: 1}}
"""


@pytest.fixture
def codes(tmp_path, monkeypatch):
    """The codes of all errors in a study of two runs, the second without the first one's last channel."""
    monkeypatch.chdir(tmp_path)  # a study names its data from where it is run
    (tmp_path / "lab").mkdir()

    def of(form: str = "epochs", channels: str = "same", n_words: int = 40) -> list[str]:
        rows = ["subject\trun\trecording\tresponses\twords"]
        for run, names in (("a", ["MEG1", "MEG2", "MEG3"]), ("b", ["MEG1", "MEG2"])):
            values = np.random.default_rng(0).normal(scale=1e-13, size=(len(names), 4000))
            raw = mne.io.RawArray(values, mne.create_info(names, 100.0, "mag"), verbose="ERROR")
            raw.save(tmp_path / "lab" / f"{run}_raw.fif", overwrite=True, verbose="ERROR")
            words = [f"{1 + 0.7 * i:.2f}\t0.1\t{run}{i}" for i in range(n_words)]
            (tmp_path / "lab" / f"{run}.tsv").write_text("\n".join(["onset\tduration\tword", *words]) + "\n")
            rows.append(f"01\t{run}\tmeg\t{run}_raw.fif\t{run}.tsv")
        (tmp_path / "lab" / "runs.tsv").write_text("\n".join(rows) + "\n")
        (tmp_path / "study.yaml").write_text(STUDY.format(form=form, channels=channels))
        found = check(Study.from_yaml(tmp_path / "study.yaml"), tmp_path)
        return [problem.code for problem in found if problem.level == "error"]

    return of


@pytest.mark.parametrize("form", ["epochs", "continuous"])
def test_runs_with_other_channels_are_refused_unless_the_common_ones_are_wanted(codes, form):
    assert codes(form) == ["E-MEG-11"]
    assert codes(form, "common") == []


def test_a_run_of_few_words_is_refused(codes):
    assert codes(channels="common", n_words=29) == ["E-MEG-70", "E-MEG-70"]
