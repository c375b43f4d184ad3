"""What several tests stand on: one thread, the right Python, and a small study."""

import gc
import os
import sys
from pathlib import Path

# one thread each, said before numpy is imported: pytest runs on all cores already
for _variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(_variable, "1")
os.environ["PATH"] = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")])

gc.disable()  # thousands of tests are made and none thrown away: to look for garbage is a fifth of that time

import pytest  # noqa: E402
from laboratory import Laboratory  # noqa: E402


def pytest_collection_finish() -> None:
    gc.freeze()  # what stays to the end is not looked through again and again
    gc.enable()


@pytest.fixture
def laboratory(tmp_path: Path) -> Laboratory:
    return Laboratory(tmp_path)
