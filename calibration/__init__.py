"""What the estimators and tests of `pipeline` find where the truth is known.

Each module holds some cells of the table: a simulation that is run for many
seeds, and what its mean must be. `python -m calibration` runs them all and
writes docs/calibration.md; tests/test_calibration.py runs a few seeds of
those that are quick.
"""
