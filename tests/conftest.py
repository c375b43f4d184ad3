"""What several tests stand on: a small study, and the real recordings where they lie."""

import os
import sys
from pathlib import Path

# one thread each, said before numpy is imported: pytest runs on all cores already
for _variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(_variable, "1")
os.environ["PATH"] = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")])

import pytest  # noqa: E402
from laboratory import DATA, Laboratory  # noqa: E402


@pytest.fixture
def real_data() -> Path:
    """Recordings and weights that nobody here made; they are no part of the project."""
    if not (DATA / "lebel" / "runs.tsv").exists():
        pytest.skip("no real recordings: set BRAINALIGN_DATA to the folder that holds lebel/ and lm_stories260K/")
    return DATA


@pytest.fixture
def laboratory(tmp_path: Path) -> Laboratory:
    return Laboratory(tmp_path)
