"""What a page is made of: the data a caller hands over, and nothing else.

Tables come as they were written (`layers.tsv`, `comparison.tsv`): pages and
files can then never disagree. Texts may hold anything; the pages escape them.
"""

import math
from collections.abc import Mapping, Sequence
from typing import Any, Literal, NamedTuple

import numpy as np
import pandas as pd

from pipeline.problems import Problem
from pipeline.report.meg_parts import NO_ROWS, MegPart

Light = Literal["green", "amber", "red"]

OFF_CLOCK = "W-WORDS-10"  # code of a warning that makes a page red: its scores rest on words at the wrong time


class UsedRun(NamedTuple):
    """One run of a recording, and what of it was used.

    `n_samples`, `duration_s` and the words count the whole run;
    `words_outside` are those whose onset lies before or after it.
    `presentations` is how often the same stimulus was recorded.
    """

    run: str
    split: str
    n_samples: float
    tr_s: float
    duration_s: float
    n_words: float
    words_outside: float
    presentations: float


class AlignedRun(NamedTuple):
    """What shows whether words and responses of one run lie on one clock.

    `onsets`, `durations`, `sample_times_s` are seconds in the run; `word_rate`
    is words per volume and `signal` the response, z-scored, both one value per
    volume. `xcorr[i]` relates the word rate to the signal `lags_s[i]` seconds
    LATER, so a response that follows the words peaks at a lag above 0.
    `expected_s` is the band where the peak should lie: 3 to 8 s for BOLD,
    None where nothing is known.

    `measure` is what `xcorr` holds: a correlation with one signal, or the
    multiple correlation with several components. Words that know nothing of
    the responses stay below `chance` at all lags in 95 % of cases, and peak as
    high as these with probability `p`. `light` is the verdict, None where nothing is expected
    or where it was never judged.
    `envelope` is `xcorr` for the loudness of the sound; `excess` is `xcorr`
    in standard deviations of chance, lag by lag.
    """

    run: str
    onsets: np.ndarray
    durations: np.ndarray
    words: Sequence[str]
    sample_times_s: np.ndarray
    tr_s: float
    word_rate: np.ndarray
    signal: np.ndarray
    signal_name: str
    lags_s: np.ndarray
    xcorr: np.ndarray
    expected_s: tuple[float, float] | None = (3.0, 8.0)
    measure: str = "r"
    chance: np.ndarray | None = None
    p: float = math.nan
    light: Light | None = None
    envelope: np.ndarray | None = None
    excess: np.ndarray | None = None


class AlignedTogether(NamedTuple):
    """All runs of a recording at once: what is too weak in each may be plain in all.

    `excess[i]` is the sum over runs of what lies above chance at lag
    `lags_s[i]`, in standard deviations of that sum. A clock that is wrong in
    every run shows here.
    """

    n_runs: int
    lags_s: np.ndarray
    excess: np.ndarray
    p: float
    light: Light | None
    expected_s: tuple[float, float] | None = (3.0, 8.0)


class LagScan(NamedTuple):
    """The encoding score itself with the words shifted: `r[i]` when the response is read `lags_s[i]` seconds after them.

    `low` and `high` bound an interval; without one nothing is judged beyond
    where the highest score lies.
    """

    model: str
    layer: str
    roi: str
    lags_s: np.ndarray
    r: np.ndarray
    low: np.ndarray | None = None
    high: np.ndarray | None = None
    expected_s: tuple[float, float] | None = (3.0, 8.0)
    unit: str = ""


class QualityPart(NamedTuple):
    """How good one run is: a row of the table, and what was measured in each volume for its picture.

    `fd` (framewise displacement, mm) and `dvars` have one row per
    presentation and one value per volume; `motion` is x, y, z in mm and the
    rotations about them in degrees, of one presentation; `carpet` is
    (row, sample), z-scored. `censored` counts volumes and `dropped` targets,
    both by reason. What nobody measured is None or nan, and `absent` says why
    where somebody knows. `limits` are sentences about what was not done.
    """

    run: str
    tr_s: float
    n_volumes: float
    route: str = ""
    fd_mean: float = math.nan
    fd_max: float = math.nan
    fd_share: float = math.nan
    dvars_median: float = math.nan
    tsnr_median: float = math.nan
    df_left: float = math.nan
    n_confounds: float = math.nan
    censored: Mapping[str, int] = {}
    dropped: Mapping[str, int] = {}
    limits: Sequence[str] = ()
    absent: Mapping[str, str] = {}
    fd: np.ndarray | None = None
    dvars: np.ndarray | None = None
    motion: np.ndarray | None = None
    carpet: np.ndarray | None = None
    tsnr: np.ndarray | None = None
    left_out: np.ndarray | None = None


class Networks(NamedTuple):
    """What the networks of one model know of the stimulus text: their loss on it, in nats per token.

    `loss` is by network: "trained", "seed0" and so on, or the names of the
    checkpoints, which `steps` repeats in the order of training. `ln_vocabulary`
    is the loss of a network that gives every token the same chance. Twins
    come with the trained network they were made beside, where it has weights.
    """

    model: str
    weights: str
    loss: Mapping[str, float]
    ln_vocabulary: float
    steps: Sequence[str] = ()


class Fits(NamedTuple):
    """How the maps of one model were fitted.

    `edge_share` is the share of fits whose alpha was the first or last of the
    grid, `share` that of each of the `alphas`. The columns are those of the
    design of the layer (and network) that has most of each sort:
    `n_constant` never change, `n_repeated` are the same as another. `clipped`
    is the largest share of a target's values that were cut off.
    """

    model: str
    edge_share: float
    alphas: Sequence[float] = ()
    share: Sequence[float] = ()
    n_samples: int = 0
    n_columns: int = 0
    n_constant: int = 0
    n_repeated: int = 0
    clipped: float = 0.0


class RecordingPart(NamedTuple):
    """All that a subject's page says about one recording.

    `ceiling_note` says why there is no valid ceiling; it is empty when there
    is one, and `n_ceiling_valid` of `n_targets` targets then have it.
    `interval_unit` is what the intervals were taken over, in words. `meg` is
    there where the recording is resolved in time; it then stands in the place
    of `aligned`, `quality` and `lag_scans`. `ledger` is `ceilings.tsv`,
    `certificate` is `certificate.tsv`, `partition` is `partition.tsv`.
    """

    label: str
    kind: str
    used: Sequence[UsedRun]
    layers: pd.DataFrame
    comparison: pd.DataFrame
    aligned: Sequence[AlignedRun] = ()
    fits: Sequence[Fits] = ()
    ceiling_note: str = ""
    n_ceiling_valid: int = 0
    n_targets: int = 0
    notes: Sequence[str] = ()
    interval_unit: str = ""
    quality: Sequence[QualityPart] = ()
    lag_scans: Sequence[LagScan] = ()
    together: AlignedTogether | None = None
    meg: MegPart | None = None
    certificate: pd.DataFrame = NO_ROWS
    ledger: pd.DataFrame = NO_ROWS
    partition: pd.DataFrame = NO_ROWS


class SubjectPage(NamedTuple):
    """One subject of one study. `leaky`: a shuffled split was used somewhere."""

    study: str
    subject: str
    recordings: Sequence[RecordingPart]
    warnings: Sequence[Problem] = ()
    provenance: Mapping[str, Any] = {}
    settings_yaml: str = ""
    leaky: bool = False
    tool_version: str = ""
    networks: Sequence[Networks] = ()


class GroupPart(NamedTuple):
    """One recording over subjects.

    `layers` has the columns of `layers.tsv` (r: mean over subjects, r_low and
    r_high over subjects), `comparison` those of `comparison.tsv` with the
    subject as unit. `subjects` holds each subject's own `layers.tsv`.
    `latencies` and `clusters` are those over subjects of a recording that is
    resolved in time, else empty. `certificates` holds each subject's `certificate.tsv`.
    `partition` is that of `group_partition.tsv`.
    """

    label: str
    kind: str
    layers: pd.DataFrame
    comparison: pd.DataFrame
    subjects: Mapping[str, pd.DataFrame]
    ceiling_note: str = ""
    notes: Sequence[str] = ()
    interval_unit: str = "subjects"
    latencies: pd.DataFrame = NO_ROWS
    clusters: pd.DataFrame = NO_ROWS
    certificates: pd.DataFrame = NO_ROWS
    partition: pd.DataFrame = NO_ROWS


class GroupPage(NamedTuple):
    """All subjects of one study. `excluded` and `links` are by subject: the reason, the page's relative address."""

    study: str
    asked: Sequence[str]
    used: Sequence[str]
    excluded: Mapping[str, str]
    recordings: Sequence[GroupPart]
    links: Mapping[str, str] = {}
    warnings: Sequence[Problem] = ()
    provenance: Mapping[str, Any] = {}
    settings_yaml: str = ""
    leaky: bool = False
    tool_version: str = ""
    networks: Sequence[Networks] = ()


class IndexEntry(NamedTuple):
    """One page of the study: its name, relative address, result in a sentence, and traffic light."""

    title: str
    href: str
    result: str
    light: Light | None = None


class IndexPage(NamedTuple):
    """The first page of a study: where everything is."""

    study: str
    entries: Sequence[IndexEntry]
    warnings: Sequence[Problem] = ()
    leaky: bool = False
    tool_version: str = ""
