"""What every kind of recording does: clean one run, and lay a design beside it."""

from abc import abstractmethod
from pathlib import Path
from typing import Any, ClassVar, Literal, NamedTuple

import numpy as np
from jaxtyping import Bool, Float
from pydantic import Field, PositiveFloat, field_validator, model_validator

from pipeline.hrf import HRFS, LENGTH_S, answered
from pipeline.problems import Problem, StudyError, shown
from pipeline.runs import Run
from pipeline.settings import Settings
from pipeline.space import Space
from pipeline.timing import FILTERS, delay, to_grid


class Header(NamedTuple):
    """What a recording's header tells without reading the data.

    `grid` says in words where the voxels or vertices of an image lie, which
    all runs of a person must share; empty for a plain matrix.
    """

    n_samples: int
    n_targets: int | None
    tr_s: float
    grid: str = ""


class Measured(NamedTuple):
    """The quality of one run: what was measured in each volume and target, and a summary that JSON can hold.

    `motion` holds translations (mm) along and rotations (degrees) about x, y
    and z; `fd_mm` framewise displacement. What nobody measured is None.
    """

    summary: dict[str, Any]
    fd_mm: Float[np.ndarray, "repeat sample"] | None = None
    dvars: Float[np.ndarray, "repeat sample"] | None = None
    motion: Float[np.ndarray, "repeat sample axis"] | None = None
    tsnr: Float[np.ndarray, " target"] | None = None
    carpet: Float[np.ndarray, "row sample"] | None = None


class Cleaned(NamedTuple):
    """One run, clean: (presentation, sample, target), z-scored in time unless said otherwise.

    `times_s` is the start of each sample on the words' clock. A target that
    cannot be used is NaN throughout and told in `warnings`. `censored` marks
    samples that no fit and no score may use: the head moved too far in them,
    or the scanner was not steady yet. `space` says where the targets lie in
    the brain, `measured` how good the run is.
    """

    responses: Float[np.ndarray, "repeat sample target"]
    times_s: Float[np.ndarray, " sample"]
    tr_s: float
    targets: tuple[str, ...]
    warnings: list[Problem]
    censored: Bool[np.ndarray, " sample"] | None = None
    space: Space | None = None
    measured: Measured | None = None


class Recording(Settings):
    """A kind of recording sampled at a fixed rate, and how words meet its clock."""

    design_settings: ClassVar[frozenset[str]] = frozenset({"how", "cutoff_hz", "delays", "derivatives"})

    has_places: ClassVar[bool] = False  # True where targets lie in the brain, so that scores can be painted on it

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

    @abstractmethod
    def header(self, run: Run, folder: Path) -> Header:
        """Read the header of each presentation; refuse what cannot be a recording."""

    def prepare(self, runs: list[Run], folder: Path, workers: int = 1) -> Any:
        """What all runs of one person share, found once and handed to `clean`; None where they share nothing."""
        return None

    @abstractmethod
    def clean(self, run: Run, folder: Path, names: tuple[str, ...], shared: Any = None, workers: int = 1) -> Cleaned:
        """Read and clean every presentation of one run; `names` are the targets', where the data set has them.

        `shared` is what `prepare` found for all runs of the person; without it
        the run stands alone. `workers` is how many processes may work.
        """

    def reach(self, tr_s: float) -> int:
        """How many samples away a word still counts: the longest delay, or the length of the blood's answer."""
        return max(map(abs, self.delays)) + (round(LENGTH_S / tr_s) if self.how in HRFS else 0)

    def realigned(self, run: Run) -> bool:
        """Is the head's motion corrected here?"""
        return False

    def files(self, run: Run, folder: Path) -> list[str]:
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
        how = "linear" if sampled == "state" else self.how
        middle = times_s + np.diff(times_s[:2]).sum() / 2
        if how in HRFS:
            return answered(features, onsets, middle, how, self.derivatives)
        cutoff = self.cutoff_hz if how in FILTERS else None
        return to_grid(features, onsets, middle if how in (*FILTERS, "linear") else times_s, how=how, cutoff_hz=cutoff)


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
