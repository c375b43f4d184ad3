"""What every kind of recording does: clean one run, and lay a design beside it."""

from abc import abstractmethod
from pathlib import Path
from typing import Any, ClassVar, Literal, NamedTuple

import numpy as np
from jaxtyping import Float
from pydantic import Field, PositiveFloat, field_validator

from pipeline.problems import Problem, StudyError, shown
from pipeline.runs import Run
from pipeline.settings import Settings
from pipeline.timing import delay, to_grid


class Header(NamedTuple):
    """What a recording's header tells without reading the data."""

    n_samples: int
    n_targets: int | None
    tr_s: float


class Cleaned(NamedTuple):
    """One run, clean: (presentation, sample, target), z-scored in time unless said otherwise.

    `times_s` is the start of each sample on the words' clock. A target that
    cannot be used is NaN throughout and told in `warnings`.
    """

    responses: Float[np.ndarray, "repeat sample target"]
    times_s: Float[np.ndarray, " sample"]
    tr_s: float
    targets: tuple[str, ...]
    warnings: list[Problem]


class Recording(Settings):
    """A kind of recording sampled at a fixed rate, and how words meet its clock."""

    design_settings: ClassVar[frozenset[str]] = frozenset({"how", "cutoff_hz", "delays"})

    how: Literal["lanczos", "mean", "sum", "last"] = Field(
        "lanczos", description="how features of words become features of samples; lanczos looks 3 samples around"
    )
    cutoff_hz: PositiveFloat | None = Field(
        None, description="Hz; cut-off of the Lanczos filter; by default one over the sample spacing"
    )
    delays: tuple[int, ...] = Field(
        (1, 2, 3, 4),
        min_length=1,
        description="samples between a word and its effect; negative ones read the future, as a control only",
    )

    @field_validator("delays")
    @classmethod
    def _each_once(cls, delays: tuple[int, ...]) -> tuple[int, ...]:
        if len(set(delays)) < len(delays):
            raise ValueError(f"delays {list(delays)} name a delay twice")
        return delays

    @abstractmethod
    def header(self, run: Run, folder: Path) -> Header:
        """Read the header of each presentation; refuse what cannot be a recording."""

    @abstractmethod
    def clean(self, run: Run, folder: Path, names: tuple[str, ...]) -> Cleaned:
        """Read and clean every presentation of one run; `names` are the targets', where the data set has them."""

    def files(self, run: Run) -> list[str]:
        """Names of the files that a run is made of, in the data set; some may be absent (sidecars)."""
        return [*run.responses, *([run.mask] if run.mask else [])]

    def for_clean(self) -> dict[str, Any]:
        """The settings that change the clean recording."""
        return self.dump(without=self.design_settings)

    def for_design(self) -> dict[str, Any]:
        """The settings that change how words are laid beside it."""
        return {k: v for k, v in self.dump().items() if k in self.design_settings or k in ("kind", "version")}

    def design(
        self,
        features: Float[np.ndarray, "word feature"],
        onsets: Float[np.ndarray, " word"],
        times_s: Float[np.ndarray, " sample"],
        sampled: Literal["event", "state"] = "event",
    ) -> Float[np.ndarray, "sample delayed"]:
        """Lay one run's features beside its samples: onto the clock, z-scored, delayed.

        z-scored inside the run, so that no other run's words enter; a feature
        that is constant in the run is 0. Delays never leave the run.

        Parameters
        ----------
        features : one row per word.
        onsets : s, on the words' clock.
        times_s : s, start of each sample.
        sampled : an event (a word happened) is filtered or summed onto the
            clock and delayed; a state (how far the story is) is interpolated
            and laid once, for it hardly changes from one sample to the next.
        """
        how = "linear" if sampled == "state" else self.how
        half = np.diff(times_s[:2]).sum() / 2
        # filters and lines are read in the middle of a sample; bins begin where the sample begins
        clock = times_s + half if how in ("lanczos", "linear") else times_s
        cutoff = self.cutoff_hz if how == "lanczos" else None
        X = zscored(to_grid(features, onsets, clock, how=how, cutoff_hz=cutoff))
        return X if sampled == "state" else lagged(X, self.delays)


def zscored(X: Float[np.ndarray, "sample column"]) -> Float[np.ndarray, "sample column"]:
    """Mean 0 and deviation 1 in time; a constant column becomes 0."""
    magnitude = np.abs(X).max(axis=0, initial=0)
    X = X - X.mean(axis=0)
    deviation = X.std(axis=0)
    # rounding leaves about 1e-16 of the magnitude in a constant column, whatever its unit
    constant = deviation <= 1e-12 * magnitude
    return np.where(constant, 0.0, X / np.where(constant, 1.0, deviation))


def lagged(X: Float[np.ndarray, "sample feature"], delays: tuple[int, ...]) -> Float[np.ndarray, "sample delayed"]:
    """`timing.delay`, and for negative delays the same with time running backwards."""
    return np.hstack([delay(X, (d,)) if d >= 0 else delay(X[::-1], (-d,))[::-1] for d in delays])


def problem(code: str, summary: str, run: Run, **told: str) -> Problem:
    """A problem of this person's run; the file is the first presentation's unless told."""
    return Problem(code, summary, **({"file": run.responses[0]} | told), subject=run.subject)


def told_of(path: Path, name: str, message: str) -> str:
    """What a library said of a file, in one line and by the name that the user gave it."""
    message = message.replace(str(path), name)
    return f"{path.stat().st_size} bytes; {shown(' '.join(message.split()))}"


def why_unreadable(path: Path) -> str:
    """What a file that cannot be read seems to be instead."""
    try:
        with path.open("rb") as file:
            start = file.read(200)
    except OSError as error:
        return str(error.strerror)
    if not start:
        return "the file is empty"
    if b"git-lfs" in start or b"annex/objects" in start:
        return "it is a pointer to content that was not fetched: datalad get, or git lfs pull"
    if b"<html" in start.lower():
        return "it is a web page: the download failed"
    return "it is damaged, or no file of this kind"


def check_shapes(shapes: list[tuple[int, ...]], run: Run) -> None:
    """Presentations of one stimulus must have the same length."""
    if len(set(shapes)) > 1:
        raise StudyError(
            Problem(
                "E-ARRAY-05", f"presentations of run {run.run} differ in shape", file=", ".join(run.responses),
                found=str(shapes), expected="the same samples and targets",
                fix="trim them to the same samples, or give them run labels of their own", subject=run.subject,
            )
        )  # fmt: skip


def known_tr(run: Run, found: float | None, source: str) -> float:
    """The one sample spacing; what `runs.tsv` says and what the file says must agree within 1 ms."""
    if run.tr_s is None and found is None:
        raise StudyError(
            Problem(
                "E-DATA-14", "the time between samples is not known", file="runs.tsv", field="tr_s",
                found=f"nothing for run {run.run}", expected="seconds, such as 2.0", fix="fill in column tr_s", subject=run.subject,
            )
        )  # fmt: skip
    if run.tr_s is not None and found is not None and abs(run.tr_s - found) > 1e-3:
        raise StudyError(
            Problem(
                "E-DATA-15", "two sources disagree on the time between samples", file=source, field="tr_s",
                found=f"{found:g} s in the file, {run.tr_s:g} s in runs.tsv", fix="mend the wrong one", subject=run.subject,
            )
        )  # fmt: skip
    return run.tr_s if run.tr_s is not None else float(found)
