"""The settings of `kind: meg`, and the way of a run from its file to responses around words."""

from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

import numpy as np
from jaxtyping import Float
from pydantic import (
    BeforeValidator,
    Field,
    NonNegativeFloat,
    NonNegativeInt,
    PositiveFloat,
    model_validator,
)

from pipeline.recordings.base import Cleaned, Header, Recording, lagged, zscored
from pipeline.runs import Run
from pipeline.settings import Settings
from pipeline.timing import to_grid

_SAME_S = 1e-6  # s; onsets this close are those of one word


def _several(value: Any) -> Any:
    """One name stands for a list of one."""
    return [value] if isinstance(value, str) else value


Names = Annotated[tuple[str, ...], BeforeValidator(_several)]


class Source(Settings):
    """Where in the brain the sensors' signals come from (dSPM)."""

    forward: str = Field(description="forward solution (-fwd.fif), a file of the data set; {subject} is filled in")
    noise_cov: str | None = Field(
        None, description="noise covariance (-cov.fif), a file of the data set; by default MNE's ad hoc one"
    )
    snr: PositiveFloat = Field(3.0, description="assumed signal-to-noise ratio; lambda2 is one over its square")
    labels: Names = Field((), description="label files (lh.name.label) whose means are the targets; none: every source")


class Meg(Recording):
    """MEG, EEG or iEEG: epochs around words, or the continuous signal beside the words.

    In epochs a sample is a word and a target is a channel at a latency: each
    word's features predict the response around it. In the continuous form a
    sample is a moment of the resampled recording and a target a channel;
    features reach it at delays (a temporal response function). Signals are
    those that MNE's functions leave, in fT, fT/cm and uV. Bad channels are
    missing throughout the run; words whose epochs leave the recording, meet a
    bad annotation or are rejected keep their row and are used nowhere.
    """

    version: ClassVar[int] = 1
    scans_lags: ClassVar[bool] = False
    design_settings: ClassVar[frozenset[str]] = frozenset({"previous_words", "clip", "passive", "beside"})
    kind: Literal["meg"] = "meg"
    form: Literal["epochs", "continuous"] = Field(
        "epochs", description="targets are channels at latencies around words, or channels of the continuous signal"
    )
    picks: Names = Field(
        ("data",),
        description="channel types (meg, mag, grad, eeg, seeg, ecog) or names; data: MEG, else EEG, else iEEG",
    )
    window: tuple[float, float] = Field(
        (-0.5, 1.0), description="s around word onset: latencies of the epochs, or delays of the continuous form"
    )
    l_freq: PositiveFloat | None = Field(0.1, description="Hz; lower edge of the band-pass (MNE's FIR); null: none")
    h_freq: PositiveFloat | None = Field(40.0, description="Hz; upper edge of the band-pass; null: none")
    notch: Literal["auto"] | tuple[PositiveFloat, ...] = Field(
        "auto",
        description="Hz; line frequencies to remove; auto: the file's line frequency and its multiples below h_freq",
    )
    sfreq: PositiveFloat = Field(100.0, description="Hz after filtering; also the step of the latencies")
    maxwell: Literal["auto", "none"] = Field(
        "auto",
        description="Maxwell filter; auto: where calibration and cross_talk are given and the file is not filtered yet",
    )
    calibration: str | None = Field(
        None, description="fine calibration (.dat) of the MEG system, a file of the data set"
    )
    cross_talk: str | None = Field(None, description="cross-talk compensation (.fif), a file of the data set")
    reference: Names = Field(
        ("average",), min_length=1, description="reference of EEG: average, none, or names of channels"
    )
    artifacts: Literal["none", "projectors", "ica"] = Field(
        "none",
        description="eye and heart: nothing, EOG and ECG projectors, or independent components that follow EOG and ECG",
    )
    n_ica: PositiveFloat = Field(0.99, description="components of the ICA: a number, or below 1 the share of variance")
    bads: Names = Field((), description="bad channels beside those that the file and channels.tsv name")
    bad_channels: Literal["missing", "interpolate"] = Field(
        "missing", description="bad channels have no response, or one interpolated from their neighbours"
    )
    most_bad: NonNegativeFloat = Field(0.25, le=1, description="share of bad channels above which a run is refused")
    channels: Literal["same", "common"] = Field(
        "same", description="runs of a person must have the same channels, or those that all have are used"
    )
    previous_words: NonNegativeInt = Field(
        0, description="with epochs: features of so many earlier words stand beside each word's own"
    )
    baseline: tuple[float, float] | None = Field(
        None, description="s around word onset whose mean is subtracted from each epoch; none by default"
    )
    reject: dict[str, PositiveFloat] = Field(
        default_factory=dict,
        description="channel type -> peak-to-peak amplitude (T, T/m, V) above which an epoch is used nowhere",
    )
    clip: PositiveFloat | None = Field(
        20.0, description="robust deviations (of training data) beyond which a value is cut off; null: none"
    )
    align: Literal["onsets", "triggers", "affine"] = Field(
        "onsets",
        description="words lie where the table and start_s say; where triggers say, one each; or some are missing or too many",
    )
    trigger: Names = Field(
        (),
        description="channel of the triggers and, behind colons, their codes (STI101:5); or descriptions of annotations",
    )
    jitter_ms: PositiveFloat = Field(
        10.0,
        description="ms; a run is refused where triggers lie further (median) from the words after the clocks were matched",
    )
    passive: Names = Field(
        (),
        description="models whose features of the word being heard take the brain's place, to see what encoding before onset is worth",
    )
    beside: Names = Field(
        (), description="control models that stand beside each trained one, each with a penalty of its own"
    )
    source: Source | None = Field(None, description="project sensors to sources; targets are then sources or labels")

    @model_validator(mode="after")
    def _consistent(self) -> "Meg":
        start, end = self.window
        if not start < end:
            raise ValueError(f"window {list(self.window)} must end after it starts")
        if self.form == "epochs" and not start <= 0 <= end:
            raise ValueError(f"window {list(self.window)} of the epochs must hold word onset (0)")
        if self.h_freq and self.h_freq > self.sfreq / 2:
            raise ValueError(
                f"h_freq {self.h_freq:g} Hz lies above half of sfreq {self.sfreq:g} Hz: what lies between would fold back; "
                f"say sfreq: {2.5 * self.h_freq:g} or a lower h_freq"
            )
        if self.l_freq and self.h_freq and self.l_freq >= self.h_freq:
            raise ValueError(f"l_freq {self.l_freq:g} Hz must lie below h_freq {self.h_freq:g} Hz")
        if self.align != "onsets" and not self.trigger:
            raise ValueError(
                f"align {self.align!r} needs `trigger`: the channel (STI101) or the annotations that mark words"
            )
        if self.form == "continuous" and self.previous_words:
            raise ValueError("previous_words is for epochs: in the continuous form the delays hold the words before")
        if self.form == "continuous" and (self.reject or self.baseline):
            raise ValueError(
                "reject and baseline are for epochs; in the continuous form mark bad stretches by annotations"
            )
        return self

    @property
    def delays(self) -> tuple[int, ...]:
        """Samples between a word and its effect: words in epochs, moments in the continuous form."""
        if self.form == "epochs":
            return tuple(range(self.previous_words + 1))
        start, end = (round(t * self.sfreq) for t in self.window)
        return tuple(range(start, end + 1))

    def for_design(self) -> dict[str, Any]:
        """As always, with what says where the samples lie; the filter's edges must fit the rate.

        What is fitted besides (`passive`, `beside`) changes no score.
        """
        where = ("form", "window", "sfreq", "l_freq", "h_freq")
        told = super().for_design() | {k: v for k, v in self.dump().items() if k in where}
        return {k: v for k, v in told.items() if k not in ("passive", "beside")}

    def reach(self, tr_s: float) -> int:
        return max(map(abs, self.delays))

    def files(self, run: Run, folder: Path) -> list[str]:
        from pipeline.recordings.meg.files import files_of

        return files_of(self, run, folder)

    def header(self, run: Run, folder: Path) -> Header:
        from pipeline.recordings.meg.steps import header

        return header(self, run, folder)

    def check_together(self, runs: list[Run], folder: Path) -> None:
        self.prepare(runs, folder)

    def prepare(self, runs: list[Run], folder: Path, workers: int = 1) -> Any:
        """The channels of all runs of a person."""
        from pipeline.recordings.meg.steps import channels_of

        return channels_of(self, runs, folder)

    def clean(self, run: Run, folder: Path, names: tuple[str, ...], shared: Any = None, workers: int = 1) -> Cleaned:
        from pipeline.recordings.meg.steps import cleaned

        return cleaned(self, run, folder, shared or self.prepare([run], folder, workers))

    def design(
        self,
        features: Float[np.ndarray, "word feature"],
        onsets: Float[np.ndarray, " word"],
        times_s: Float[np.ndarray, " sample"],
        sampled: Literal["event", "state", "signal"] = "event",
    ) -> Float[np.ndarray, "sample column"]:
        """Features of each word and of those before it, or features on the clock at all delays.

        In epochs, a state is read at the onset of the word, a signal is read
        every 50 ms of the window from there on; in both forms features are
        z-scored inside the run.
        """
        if self.form == "epochs":
            X = self._at_words(features, onsets, times_s, sampled)
            return lagged(zscored(X), self.delays) if sampled == "event" else zscored(X)
        if sampled == "event":  # at the sample nearest to its onset
            X = to_grid(features, onsets, times_s - 0.5 / self.sfreq, how="sum")
        else:
            X = to_grid(features, onsets, times_s, how="linear")
        X = zscored(X)
        return X if sampled == "state" else lagged(X, self.delays)

    def _at_words(self, features: np.ndarray, onsets: np.ndarray, times_s: np.ndarray, sampled: str) -> np.ndarray:
        if sampled == "event":
            return _of_words(features, onsets, times_s)
        later = np.arange(0.0, max(self.window[1], _STEP_S), _STEP_S) if sampled == "signal" else np.zeros(1)
        return np.hstack([_read(features, onsets, times_s + after) for after in later])


def _of_words(features: np.ndarray, onsets: np.ndarray, times_s: np.ndarray) -> np.ndarray:
    """The rows of events whose onset is the word's; 0 for a word without one."""
    nearest = np.clip(np.searchsorted(onsets, times_s - _SAME_S), 0, len(onsets) - 1)
    same = np.abs(onsets[nearest] - times_s) <= _SAME_S
    return np.where(same[:, None], features[nearest], 0.0)


def _read(features: np.ndarray, onsets: np.ndarray, at_s: np.ndarray) -> np.ndarray:
    return np.stack([np.interp(at_s, onsets, column) for column in features.T], axis=1)


_STEP_S = 0.05  # s between the readings of a signal around a word
