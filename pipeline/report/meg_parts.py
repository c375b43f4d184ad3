"""What the sections of an MEG, EEG or iEEG recording are made of, and its tables as they are read back."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from jaxtyping import Float

from pipeline.report.rows import tidied
from pipeline.sensors import Sensors

ALL_KINDS = "all"  # the kind of rows that are over every channel
CLUSTER_P = 0.05  # clusters above it are in the table and nowhere marked
NO_ONSETS = "Clusters do not prove onsets: the test says that there is an effect, not when it begins or ends (Sassenhagen & Draschkow, 2019)."

NO_ROWS = pd.DataFrame()

UNITS = {"mag": "fT", "grad": "fT/cm", "eeg": "µV", "seeg": "µV", "ecog": "µV", "dbs": "µV", "csd": "mV/m²"}
MEANS = {
    "mag": "magnetometers",
    "grad": "planar gradiometers",
    "eeg": "EEG electrodes",
    "seeg": "depth electrodes",
    "ecog": "cortical electrodes",
    "label": "labels of the source space",
    "source": "sources",
    ALL_KINDS: "all channels",
}


class SensedRun(NamedTuple):
    """One run as it was sensed: the summary that its cleaning wrote, and what is drawn of it.

    Spectra are (channel, frequency) in unit^2/Hz, `evoked` is the mean over
    kept words, `jitter_s` what is left of each trigger after the clocks were
    matched. What a run does not have is None.
    """

    run: str
    summary: Mapping[str, Any]
    sensors: Sensors | None = None
    freqs_hz: Float[np.ndarray, " frequency"] | None = None
    psd_before: Float[np.ndarray, "channel frequency"] | None = None
    psd_after: Float[np.ndarray, "channel frequency"] | None = None
    evoked: Float[np.ndarray, "channel latency"] | None = None
    evoked_s: Float[np.ndarray, " latency"] | None = None
    jitter_s: Float[np.ndarray, " trigger"] | None = None

    @property
    def presentations(self) -> Sequence[Mapping[str, Any]]:
        return self.summary.get("presentations") or ()


class ChannelScores(NamedTuple):
    """r of one model at the layer chosen on inner folds, for every channel and latency (one where there are none)."""

    model: str
    r: Float[np.ndarray, "channel latency"]


class MegPart(NamedTuple):
    """All that a page shows of a recording resolved in time beside what every recording has.

    The tables come as they were written; one that was not made is empty.
    `scores` holds the trained models (without any: the first control).
    """

    runs: Sequence[SensedRun] = ()
    sensors: Sensors | None = None
    latencies: pd.DataFrame = NO_ROWS
    peaks: pd.DataFrame = NO_ROWS
    clusters: pd.DataFrame = NO_ROWS
    passive: pd.DataFrame = NO_ROWS
    scores: Sequence[ChannelScores] = ()
    beside: pd.DataFrame = NO_ROWS


def unit_of(kind: str) -> str:
    return UNITS.get(kind, "arbitrary unit")


def tidy_latencies(table: pd.DataFrame) -> pd.DataFrame:
    """Scores by latency, with `depth`: the layer's number, nan for the one chosen on inner folds."""
    text = ("model", "weights", "seed", "step", "layer", "kind")
    tidy = tidied(table, text, ("latency", "r", "r_low", "r_high", "n_channels", "n_parts", "ceiling"))
    return tidy.assign(depth=pd.to_numeric(tidy["layer"], errors="coerce").astype(float)).dropna(subset="latency")


def tidy_peaks(table: pd.DataFrame) -> pd.DataFrame:
    return tidied(table, ("model", "weights", "layer", "kind"), ("peak_s", "low_s", "high_s", "r", "n_parts"))


def tidy_clusters(table: pd.DataFrame) -> pd.DataFrame:
    numbers = (
        "start_s",
        "end_s",
        "n_channels",
        "mass",
        "p",
        "n_units",
        "peak_s",
        "smallest_p",
        "n_clusters",
        "n_tested",
    )
    return tidied(table, ("a", "b", "layer", "kind", "channels", "unit"), numbers)


def tidy_passive(table: pd.DataFrame) -> pd.DataFrame:
    return tidied(table, ("model", "passive"), ("latency", "r", "r_low", "r_high", "brain_r")).dropna(subset="latency")


def tidy_beside(table: pd.DataFrame) -> pd.DataFrame:
    numbers = ("n_targets", "of_targets", "r_joint", "r_controls", "adds", "low", "high", "n_parts")
    return tidied(table, ("model", "layer", "controls", "roi"), numbers)


def significant(clusters: pd.DataFrame) -> pd.DataFrame:
    return clusters[clusters["p"] <= CLUSTER_P]
