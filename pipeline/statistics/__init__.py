"""How sure one may be: intervals and tests that know brain signals to be autocorrelated.

Neighbouring samples tell nearly the same, so anything that treats them as
independent finds too much: at an autocorrelation of 0.8, shuffling single
samples calls a quarter of pure noise significant at 5 %. Everything here
therefore moves blocks of neighbouring samples, never single ones, and never
across the border of a run.
"""

from pipeline.statistics.blocks import block_length
from pipeline.statistics.intervals import Interval, Test, bootstrap, fdr, sign_flip
from pipeline.statistics.permutations import circular_shifts, permute_blocks
from pipeline.statistics.refitted import permute_refit
from pipeline.statistics.surrogates import phase_randomised, reordered, rolled

__all__ = [
    "Interval",
    "Test",
    "block_length",
    "bootstrap",
    "circular_shifts",
    "fdr",
    "permute_blocks",
    "permute_refit",
    "phase_randomised",
    "reordered",
    "rolled",
    "sign_flip",
]
