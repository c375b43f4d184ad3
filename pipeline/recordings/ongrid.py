"""Recordings sampled at a fixed rate: how features of words reach the clock."""

from typing import Any, ClassVar, Literal

import numpy as np
from jaxtyping import Float
from pydantic import Field, PositiveFloat, field_validator, model_validator

from pipeline.hrf import HRFS, LENGTH_S, answered
from pipeline.recordings.base import Recording, lagged, zscored
from pipeline.timing import FILTERS, to_grid


class OnGrid(Recording):
    """A recording sampled at a fixed rate, and how words meet its clock."""

    design_settings: ClassVar[frozenset[str]] = frozenset({"how", "cutoff_hz", "delays", "derivatives"})

    how: Literal["lanczos", "causal", "mean", "sum", "last", "glover", "spm"] = Field(
        "lanczos",
        description="how features of words become features of samples; lanczos looks 3 samples around, causal is the "
        "same a sample later and never looks ahead; glover and spm lay the blood's answer at every word",
    )
    cutoff_hz: PositiveFloat | None = Field(
        None, description="Hz; cut-off of the filters lanczos and causal; by default one over the sample spacing"
    )
    delays: tuple[int, ...] = Field(
        (1, 2, 3, 4),
        min_length=1,
        description="samples between a word and its effect; negative ones read the future, as a control only; "
        "with glover or spm 0, for the answer holds its own delay",
    )
    derivatives: int = Field(
        0,
        ge=0,
        le=2,
        description="with glover or spm: 1 adds the answer's derivative in time, 2 that in dispersion too",
    )

    @model_validator(mode="before")
    @classmethod
    def _answer_holds_its_delay(cls, told: Any) -> Any:
        if isinstance(told, dict) and told.get("how") in HRFS and "delays" not in told:
            return told | {"delays": (0,)}
        return told

    @field_validator("delays")
    @classmethod
    def _each_once(cls, delays: tuple[int, ...]) -> tuple[int, ...]:
        if len(set(delays)) < len(delays):
            raise ValueError(f"delays {list(delays)} name a delay twice")
        return delays

    @model_validator(mode="after")
    def _answered_once(self) -> "Recording":
        if self.how in HRFS and self.delays != (0,):
            raise ValueError(
                f"delays {list(self.delays)} with how {self.how!r}: the answer would be modelled twice, by its curve and by "
                "the delays; say delays: [0], or a how without a curve, such as lanczos"
            )
        if self.derivatives and self.how not in HRFS:
            raise ValueError(
                f"derivatives {self.derivatives} with how {self.how!r}: only glover and spm have derivatives"
            )
        return self

    def reach(self, tr_s: float) -> int:
        """How many samples away a word still counts: the longest delay, or the length of the blood's answer."""
        return max(map(abs, self.delays)) + (round(LENGTH_S / tr_s) if self.how in HRFS else 0)

    def design(
        self,
        features: Float[np.ndarray, "word feature"],
        onsets: Float[np.ndarray, " word"],
        times_s: Float[np.ndarray, " sample"],
        sampled: Literal["event", "state", "signal"] = "event",
    ) -> Float[np.ndarray, "sample delayed"]:
        """Lay one run's features beside its samples: onto the clock, z-scored, delayed.

        z-scored inside the run, so that no other run's words enter; a feature
        that is constant in the run is 0. Delays never leave the run.

        Parameters
        ----------
        features : one row per word.
        onsets : s, on the words' clock.
        times_s : s, start of each sample.
        sampled : an event (a word happened) is filtered, summed or answered on
            the clock and delayed; a state (how far the story is) is interpolated
            and laid once, for it hardly changes from one sample to the next.

        Returns
        -------
        Events: all features at the first delay, then at the next; with
        derivatives, all features by the answer, then by each derivative of it.
        """
        spacing_s = float(np.diff(times_s[:2]).sum())
        X = zscored(self.filtered(self._on_clock(features, onsets, times_s, sampled), spacing_s))
        return X if sampled == "state" else lagged(X, self.delays)

    def filtered(self, X: Float[np.ndarray, "sample column"], tr_s: float) -> Float[np.ndarray, "sample column"]:
        """What else is done to one run's features on the clock, before they are z-scored and delayed: here nothing."""
        return X

    def _on_clock(
        self, features: np.ndarray, onsets: np.ndarray, times_s: np.ndarray, sampled: str
    ) -> Float[np.ndarray, "sample column"]:
        """Filters, answers and lines are read in the middle of a sample; bins begin where the sample begins."""
        how = self.how if sampled == "event" else "linear"
        middle = times_s + np.diff(times_s[:2]).sum() / 2
        if how in HRFS:
            return answered(features, onsets, middle, how, self.derivatives)
        cutoff = self.cutoff_hz if how in FILTERS else None
        return to_grid(features, onsets, middle if how in (*FILTERS, "linear") else times_s, how=how, cutoff_hz=cutoff)
