"""What can be chosen about comparisons, and what cannot."""

from math import ceil
from typing import ClassVar, Literal

from pydantic import Field, model_validator

from pipeline.settings import Label, Settings

SHORTEST_BLOCK = 10  # samples; 20 s at a TR of 2 s, the usual choice for BOLD; longer where the data ask for it
FEWEST_RUNS = 6  # below six units a two-sided exact sign-flip cannot reach .05
FEWEST_SUBJECTS = 3
ENOUGH_SUBJECTS = 6  # with five, a sign-flip cannot reach .05 either: then people are tested one by one, and counted
MOST_EXACT = 12  # units up to which every pattern of signs is tried, 4096 of them, however few draws are asked for
CERTIFYING = frozenset({"test", "surrogates", "certify"})  # settings of the stage `certify` alone
LEVEL = 0.05  # of the tests beside 95 % intervals, where people are counted one by one


class Comparison(Settings):
    """Which models are held against each other, and how sure one has to be."""

    version: ClassVar[int] = 4
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
    test: Literal["blocks", "shifts", "phases"] = Field(
        "phases",
        description="null of the test of each target: blocks of samples in another order, runs rolled around, or random phases, "
        "which keep the smoothness of the responses whole",
    )
    surrogates: int = Field(
        20,
        ge=0,
        le=1000,
        description="recordings without any effect, of each of three kinds, on which the study's own false positives are counted; "
        "0 makes no certificate",
    )
    certify: str = Field(
        "auto",
        description="model whose targets are tested and certified; by default the first network with trained weights, else the "
        "first model",
    )
    rois: tuple[str, ...] | None = Field(None, description="regions to tell about; all of them by default")
    margin: float = Field(
        0.01,
        gt=0,
        lt=1,
        description="smallest difference in r that matters: within it two models are called equivalent and a ceiling reached; "
        "0.01 is what picking the best of a dozen layers on the score itself adds to noise",
    )

    @model_validator(mode="after")
    def _can_be_reached(self) -> "Comparison":
        if 1 / (self.permutations + 1) > self.fdr:
            raise ValueError(
                f"{self.permutations} sign-flips give no p below {1 / (self.permutations + 1):.2g}, so nothing could be significant "
                f"at fdr {self.fdr:g}; set permutations to {ceil(1 / self.fdr)} or more, or a larger fdr"
            )
        return self
