"""Memory that a large run needs is told before anything is read."""

import numpy as np
import pytest
from laboratory import Laboratory

from pipeline.demand import too_long
from pipeline.recordings import Header
from pipeline.runs import Run


def test_a_very_long_run_is_told_with_the_memory_it_needs(tmp_path):
    laboratory = Laboratory(tmp_path)
    np.save(laboratory.data / "sub-01" / "a.npy", np.zeros((50_000, 6), np.float32))
    done = laboratory.run("check")
    assert "W-DATA-53" in done.stdout + done.stderr
    told = " ".join((done.stdout + done.stderr).split())
    assert "sub-01/a.npy" in told and "50,000 samples" in told and "about 0.0 GB for 6 targets" in told


@pytest.mark.parametrize(
    ("n_samples", "n_targets", "tr_s", "told"),
    [
        (50_000, None, 2.0, "0.24 GB for every 1,000 voxels"),
        (50_000, 100_000, 2.0, "24.0 GB for 100,000 targets"),
        (1_000, 4_000_000, 2.0, "19.2 GB for 4,000,000 targets"),
        (1_000, 100_000, 2.0, None),
        (50_000, 300, 0.01, None),  # eight minutes at 100 Hz
    ],
)
def test_the_estimate_is_a_fifth_more_than_the_run(n_samples, n_targets, tr_s, told):
    found = too_long(
        Run("01", "a", "bold", ("sub-01/a.npy",), "words/a.tsv"), Header(n_samples, n_targets, tr_s), memory=16e9
    )
    assert [told in p.found for p in found] == ([True] if told else [])
