"""How sure one may be: intervals and tests that know brain signals to be autocorrelated.

Neighbouring samples tell nearly the same, so anything that treats them as
independent finds too much: at an autocorrelation of 0.8, shuffling single
samples calls a quarter of pure noise significant at 5 %. Everything here
therefore moves blocks of neighbouring samples, never single ones, and never
across the border of a run.
"""

from pipeline.statistics.against import Corrected
from pipeline.statistics.blocks import block_length
from pipeline.statistics.intervals import Interval, Test, bootstrap, fdr, n_blocks, resampled, sign_flip
from pipeline.statistics.margins import Equivalence, Reached, equivalence, reached
from pipeline.statistics.people import Prevalence, Seeds, bootstrap_people, prevalence, seeds
from pipeline.statistics.permutations import circular_shifts, permute_blocks
from pipeline.statistics.phases import phases
from pipeline.statistics.refitted import permute_refit
from pipeline.statistics.surrogates import phase_randomised, reordered, rolled

__all__ = [
    "Corrected",
    "Equivalence",
    "Interval",
    "Prevalence",
    "Reached",
    "Seeds",
    "Test",
    "block_length",
    "bootstrap",
    "bootstrap_people",
    "circular_shifts",
    "equivalence",
    "fdr",
    "n_blocks",
    "permute_blocks",
    "permute_refit",
    "phase_randomised",
    "phases",
    "prevalence",
    "reached",
    "reordered",
    "resampled",
    "rolled",
    "seeds",
    "sign_flip",
]
