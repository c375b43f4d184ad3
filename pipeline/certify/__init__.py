"""Numbers that a study proves about itself: tests of every target, its own false positives, and canaries that must not sing.

The certificate runs the study's pipeline on responses in which there is
nothing to be found, made from the study's own; the canaries are features that
cannot know the stimulus, on the real responses. Both go through the very
folds, penalties and tests of the study.
"""

from pipeline.certify.canaries import CANARIES, Canary, sung
from pipeline.certify.certificate import Rate, certified, nothing
from pipeline.certify.fitting import AsFitted, Fit, as_fitted, fit, spread
from pipeline.certify.surrogates import KINDS, Surrogates, surrogates
from pipeline.certify.tables import COLUMNS, TargetTests, saved, table
from pipeline.certify.targetwise import NULLS, Tested, tested

__all__ = [
    "CANARIES",
    "COLUMNS",
    "KINDS",
    "NULLS",
    "AsFitted",
    "Canary",
    "Fit",
    "Rate",
    "Surrogates",
    "TargetTests",
    "Tested",
    "as_fitted",
    "certified",
    "fit",
    "nothing",
    "saved",
    "spread",
    "sung",
    "surrogates",
    "table",
    "tested",
]
