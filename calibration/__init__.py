"""What the estimators and tests of `pipeline` find where the truth is known.

Each module `b<number>_<word>.py` holds some cells of the table: a simulation
that is run for many seeds, and what its mean must be. `python -m calibration`
runs them all and writes docs/calibration.md; tests/test_calibration.py runs a
few seeds of those that are quick.
"""

import os

# every core has a process of its own; said here, before any module imports numpy
for _variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[_variable] = "1"
