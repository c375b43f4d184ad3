"""What can be chosen about comparisons, and what cannot."""

from typing import ClassVar

from pydantic import Field

from pipeline.settings import Label, Settings

SHORTEST_BLOCK = 10  # samples; 20 s at a TR of 2 s, the usual choice for BOLD; longer where the data ask for it
FEWEST_RUNS = 6  # below six units a two-sided exact sign-flip cannot reach .05
FEWEST_SUBJECTS = 3


class Comparison(Settings):
    """Which models are held against each other, and how sure one has to be."""

    version: ClassVar[int] = 2
    contrasts: tuple[tuple[Label, Label], ...] | None = Field(
        None, description="pairs of models [a, b]; by default every trained model against each other model"
    )
    permutations: int = Field(
        1000,
        ge=100,
        description="sign-flips of a test and draws of an interval; the smallest p is one over this plus one",
    )
    fdr: float = Field(
        0.05,
        gt=0,
        lt=1,
        description="false discovery rate at which a difference is called significant (Benjamini-Hochberg)",
    )
    rois: tuple[str, ...] | None = Field(None, description="regions to tell about; all of them by default")
