"""What every kind of recording does: clean one run, and lay a design beside it."""

from abc import abstractmethod
from pathlib import Path
from typing import Any, ClassVar, Literal, NamedTuple

import numpy as np
from jaxtyping import Bool, Float

from pipeline.problems import Problem, StudyError, shown
from pipeline.runs import Run
from pipeline.sensors import Sensors
from pipeline.settings import Settings
from pipeline.space import Space
from pipeline.timing import delay


class Header(NamedTuple):
    """What a recording's header tells without reading the data.

    `grid` says in words where the voxels or vertices of an image lie, which
    all runs of a person must share; empty for a plain matrix. Where samples
    are words, `tr_s` is how far apart they usually are, `word_s` how much of
    the recording belongs to each, and `recorded_s` how long it lasts.
    """

    n_samples: int
    n_targets: int | None
    tr_s: float
    grid: str = ""
    word_s: float = 0.0
    recorded_s: float | None = None

    @property
    def length_s(self) -> float:
        """How long the recording lasts."""
        return self.n_samples * self.tr_s if self.recorded_s is None else self.recorded_s


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


class Sensed(NamedTuple):
    """The quality of one MEG, EEG or iEEG run, and what its page shows of it.

    `summary` is what JSON can hold, presentation by presentation. `psd_before`
    and `psd_after` are (channel, frequency) in unit^2/Hz at `freqs_hz`;
    `evoked` (channel, latency) is the mean over kept words, `jitter_s` what is
    left of each trigger after the clocks were matched.
    """

    summary: dict[str, Any]
    freqs_hz: Float[np.ndarray, " frequency"] | None = None
    psd_before: Float[np.ndarray, "channel frequency"] | None = None
    psd_after: Float[np.ndarray, "channel frequency"] | None = None
    evoked: Float[np.ndarray, "channel latency"] | None = None
    evoked_s: Float[np.ndarray, " latency"] | None = None
    jitter_s: Float[np.ndarray, " trigger"] | None = None


class Cleaned(NamedTuple):
    """One run, clean: (presentation, sample, target), z-scored in time unless said otherwise.

    `times_s` is the start of each sample on the words' clock. A target that
    cannot be used is NaN throughout and told in `warnings`. `censored` marks
    samples that no fit and no score may use: the head moved too far in them,
    or the scanner was not steady yet. `space` says where the targets lie in
    the brain, `sensors` which channel and latency each is, `measured` how
    good the run is. Where a sample is a word, `word_s` is how much of the
    recording around its onset belongs to it, and `times_s` are onsets, evenly
    spaced or not.
    """

    responses: Float[np.ndarray, "repeat sample target"]
    times_s: Float[np.ndarray, " sample"]
    tr_s: float
    targets: tuple[str, ...]
    warnings: list[Problem]
    censored: Bool[np.ndarray, " sample"] | None = None
    space: Space | None = None
    measured: "Measured | Sensed | None" = None
    sensors: Sensors | None = None
    word_s: tuple[float, float] | None = None
    unit: str = "z"


class Recording(Settings):
    """A kind of recording, and how words are laid beside its samples."""

    design_settings: ClassVar[frozenset[str]] = frozenset()  # those that change no clean recording
    group_settings: ClassVar[frozenset[str]] = frozenset()  # those that only say what targets mean in several people
    has_places: ClassVar[bool] = False  # True where targets lie in the brain, so that scores can be painted on it
    scans_lags: ClassVar[bool] = True  # False where every lag is a target of its own

    @abstractmethod
    def header(self, run: Run, folder: Path) -> Header:
        """Read the header of each presentation; refuse what cannot be a recording."""

    def check_together(self, runs: list[Run], folder: Path) -> None:
        """Refuse runs of one person that do not fit each other; from headers alone."""
        return None

    def prepare(self, runs: list[Run], folder: Path, workers: int = 1) -> Any:
        """What all runs of one person share, found once and handed to `clean`; None where they share nothing."""
        return None

    @abstractmethod
    def clean(self, run: Run, folder: Path, names: tuple[str, ...], shared: Any = None, workers: int = 1) -> Cleaned:
        """Read and clean every presentation of one run; `names` are the targets', where the data set has them.

        `shared` is what `prepare` found for all runs of the person; without it
        the run stands alone. `workers` is how many processes may work.
        """

    @abstractmethod
    def reach(self, tr_s: float) -> int:
        """How many samples away a word still counts."""

    def realigned(self, run: Run) -> bool:
        """Is the head's motion corrected here?"""
        return False

    def files(self, run: Run, folder: Path) -> list[str]:
        """Names of the files that a run is made of, in the data set; some may be absent (sidecars)."""
        return [*run.responses, *([run.mask] if run.mask else [])]

    def for_clean(self) -> dict[str, Any]:
        """The settings that change the clean recording."""
        return self.dump(without=self.design_settings | self.group_settings)

    def for_design(self) -> dict[str, Any]:
        """The settings that change how words are laid beside it."""
        return {k: v for k, v in self.dump().items() if k in self.design_settings or k in ("kind", "version")}

    def for_people(self) -> dict[str, Any]:
        """The settings that change what is made of several people's recordings together."""
        return {k: v for k, v in self.dump().items() if k in self.group_settings or k in ("kind", "version")}

    @abstractmethod
    def design(
        self,
        features: Float[np.ndarray, "word feature"],
        onsets: Float[np.ndarray, " word"],
        times_s: Float[np.ndarray, " sample"],
        sampled: Literal["event", "state", "signal"] = "event",
    ) -> Float[np.ndarray, "sample column"]:
        """Lay one run's features beside its samples.

        Parameters
        ----------
        features : one row per word.
        onsets : s, on the words' clock.
        times_s : s, start of each sample, or the onset of the word that it is.
        sampled : an event (a word happened) acts from its onset on; a state
            (how far the story is) is always there and hardly changes from one
            sample to the next; a signal (the loudness) is always there and
            changes, its rows are samples of it.
        """


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
