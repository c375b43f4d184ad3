"""Listeners in a MEG scanner, of whom the truth is known: when and where each word is answered, and how strongly.

Two pairs of dipoles answer every word. The first does so after 150 ms, by how
long the word before is past: what answers often tires. The second does so
after 400 ms, by what the word means for those to come. Raw files are written
as a scanner would, with triggers; `truth_meg.tsv` tells what was planted.
"""

from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import pandas as pd
from jaxtyping import Float

from pipeline.datasets import simulate_sensors as sensors
from pipeline.datasets.simulate_sensors import Noise
from pipeline.datasets.simulate_stories import SYNTAX, Telling, stream

if TYPE_CHECKING:
    import mne

RECORDING = "meg"
LATENCY_S = MappingProxyType({"rate": 0.15, "meaning": 0.4})  # after word onset, of the maximum of each answer
TRIGGER, CODE = "STI101", 1
_WIDTH_S = 0.08  # of an answer at half its height: a raised cosine
_RECOVERY_S = 0.5
_PULSE = 2  # samples
_FIRST_S = 12.0  # scanners count from when they were started, not from when the file begins
_UNITS = MappingProxyType({"mag": ("fT", 1e15), "grad": ("fT/cm", 1e13)})
_NOISY = 30.0  # times the noise of a good channel


class Scanner(NamedTuple):
    """How the recordings are made.

    `signal_share` holds for each answer at the channel that shows it best, in
    one presentation of the test story, at the latency of its maximum: variance
    over words of that answer, over itself plus that of the noise, both after
    MNE's band-pass (`band_hz`). `lead_s` lies between the start of the file and that of the
    story. By `drift_ppm` the scanner's clock is fast; `dropped` words of each
    presentation, `flat` and `noisy` channels are as words and names say.
    """

    sfreq: float = 200.0
    kinds: tuple[str, ...] = ("mag",)
    every: int = 1
    signal_share: float = 0.3
    band_hz: tuple[float, float] = (0.5, 15.0)
    lead_s: float = 1.0
    drift_ppm: float = 0.0
    dropped: int = 0
    flat: tuple[str, ...] = ()
    noisy: tuple[str, ...] = ()
    digitised: bool = True
    noise: Noise = Noise()


class Listeners(NamedTuple):
    """Who hears the stories in the MEG scanner: the first `stories` of them, and the test story `test_repeats` times."""

    subjects: tuple[str, ...] = ()
    stories: int = 4
    test_repeats: int = 2
    scanner: Scanner = Scanner()


NOBODY = Listeners()


class Spoken(NamedTuple):
    """A story as it is answered: words with their times, and how strongly each pair of dipoles answers each word."""

    words: pd.DataFrame  # onset (s), duration (s), word
    sizes: Float[np.ndarray, "word response"]  # in the order of LATENCY_S
    length_s: float


class Head(NamedTuple):
    """One listener: what the sensors show of each answer and of the brain's other sources."""

    info: "mne.Info"
    answers: Float[np.ndarray, "channel response"]  # T (T/m) at size 1
    brain: Float[np.ndarray, "channel source"]


def spoken(telling: Telling, story_s: float, meaning: str = "verb") -> Spoken:
    """What the listeners' brains make of a story; `meaning` names the state of the grammar that matters.

    By default that is how surely a verb comes next: hardly the same in
    neighbouring words, so that its latency can be told.
    """
    onset = telling.words["onset"].to_numpy()
    rate = 1 - np.exp(-np.diff(onset, prepend=-np.inf) / _RECOVERY_S)
    state = telling.syntax[:, SYNTAX.index(meaning)]
    return Spoken(telling.words, np.column_stack([rate, state - state.min()]), story_s)


def presentations(subject: str, words: Mapping[str, str], plan: Listeners) -> pd.DataFrame:
    """The listener's rows of `runs.tsv`: every run of `words` (run -> table) once, the last one `test_repeats` times."""
    *trained, tested = words
    heard = [(run, "train", 1) for run in trained] + [(tested, "test", k + 1) for k in range(plan.test_repeats)]
    return pd.DataFrame(
        {
            "subject": subject,
            "run": run,
            "recording": RECORDING,
            "responses": f"sub-{subject}/{run}{f'_repeat-{repeat}' if split == 'test' else ''}_meg.fif",
            "words": words[run],
            "split": split,
            "repeat": repeat,
            "start_s": -plan.scanner.lead_s,
        }
        for run, split, repeat in heard
    )


def listen(
    folder: Path,
    rows: pd.DataFrame,
    stories: Mapping[str, Spoken],
    scanner: Scanner,
    seed: int,
    record: Mapping[str, Any],
) -> pd.DataFrame:
    """Write the raw file of each row of one listener; the last run of `stories` is the test story.

    Returns
    -------
    The truth, one row per answer and channel: `latency_s` of the maximum,
    `topography` and `noise_sd` (in `unit`; at the mean size, and after the band-pass), and of the test
    story at that latency `signal_share`, of all answers together, and `ceiling_r`,
    what the best of all models could reach on the mean over presentations
    (see `simulate.truth`). Channels that are flat or noisy have none.
    """
    subject, test = rows["subject"].iloc[0], list(stories)[-1]
    head = _head(subject, stories[test], scanner, seed)
    for row in rows.itertuples():
        rng = stream(seed, "meg", subject, row.run, str(row.repeat))
        sensors.save_raw(_raw(head, stories[row.run], scanner, rng), folder / row.responses, record)
    return _truth(subject, head, stories[test], scanner, int((rows["run"] == test).sum()))


def _head(subject: str, test: Spoken, scanner: Scanner, seed: int) -> Head:
    """Answers get the size that makes `signal_share` true."""
    info = sensors.helmet(scanner.kinds, scanner.every, scanner.sfreq, scanner.digitised)
    brain = sensors.sources(info, scanner.noise.sources, stream(seed, "brain", subject))
    patterns = sensors.topographies(info)
    noise = sensors.variance(info, brain, scanner.noise, _n_times(test, scanner), scanner.band_hz)
    best = (patterns**2 / noise[:, None]).max(axis=0)
    have = _at_latency(test, scanner, np.eye(len(LATENCY_S))).diagonal()
    share = scanner.signal_share
    return Head(info, patterns * np.sqrt(share / (1 - share) / (best * have)), brain)


def _n_times(story: Spoken, scanner: Scanner) -> int:
    return int((story.length_s + 2 * scanner.lead_s) * scanner.sfreq)


def _in_file(onset: np.ndarray, scanner: Scanner) -> Float[np.ndarray, " word"]:
    """s after the start of the file, on the scanner's clock."""
    return (scanner.lead_s + onset) * (1 + scanner.drift_ppm * 1e-6)


def courses(story: Spoken, scanner: Scanner) -> Float[np.ndarray, "response time"]:
    """How strongly each pair of dipoles answers at every sample of a file: answers to neighbouring words add up."""
    found = np.zeros((len(LATENCY_S), _n_times(story, scanner)))
    onset = _in_file(story.words["onset"].to_numpy(), scanner)
    reach = np.arange(-int(_WIDTH_S * scanner.sfreq), int(_WIDTH_S * scanner.sfreq) + 2)
    for row, (latency, sizes) in enumerate(zip(LATENCY_S.values(), story.sizes.T, strict=True)):
        samples = np.floor((onset + latency) * scanner.sfreq).astype(int)[:, None] + reach
        away = (samples / scanner.sfreq - (onset + latency)[:, None]) / _WIDTH_S
        height = np.where(np.abs(away) < 1, 0.5 + 0.5 * np.cos(np.pi * away), 0.0) * sizes[:, None]
        inside = (samples >= 0) & (samples < found.shape[1])
        np.add.at(found[row], samples[inside], height[inside])
    return found


def _at_latency(
    story: Spoken, scanner: Scanner, shown: Float[np.ndarray, "channel response"]
) -> Float[np.ndarray, "channel response"]:
    """Variance over words of what each channel shows at the latency of each answer, after the band-pass, without noise."""
    course = courses(story, scanner)
    gain = sensors.gain(course.shape[1], scanner.sfreq, scanner.band_hz)
    course = np.fft.irfft(np.fft.rfft(course, axis=1) * gain, course.shape[1], axis=1)
    onset, times = _in_file(story.words["onset"].to_numpy(), scanner), np.arange(course.shape[1]) / scanner.sfreq
    read = [np.stack([np.interp(onset + t, times, row) for row in course]) for t in LATENCY_S.values()]
    return np.stack([np.var(shown @ values, axis=1) for values in read], axis=1)


def _raw(head: Head, story: Spoken, scanner: Scanner, rng: np.random.Generator) -> "mne.io.RawArray":
    """One presentation as the scanner keeps it."""
    import mne

    course = courses(story, scanner)
    values = head.answers @ course + sensors.noises(rng, head.info, head.brain, scanner.noise, course.shape[1])
    _spoil(values, head.info["ch_names"], scanner, rng)
    first = int(_FIRST_S * scanner.sfreq)
    raw = mne.io.RawArray(values, head.info.copy(), first_samp=first, copy=None, verbose="ERROR")
    stim = mne.create_info([TRIGGER], scanner.sfreq, "stim")
    pulses = _pulses(story, scanner, course.shape[1], rng)[None]
    raw.add_channels([mne.io.RawArray(pulses, stim, first_samp=first, verbose="ERROR")], force_update_info=True)
    with raw.info._unlock():
        raw.info["line_freq"] = scanner.noise.line_hz
    return raw


def _spoil(
    values: Float[np.ndarray, "channel time"], names: list[str], scanner: Scanner, rng: np.random.Generator
) -> None:
    """Make channels flat or noisy, in place."""
    for name in scanner.flat:
        values[names.index(name)] = 0.0
    for name in scanner.noisy:
        row = values[names.index(name)]
        row += _NOISY * row.std() * rng.standard_normal(len(row))


def _pulses(story: Spoken, scanner: Scanner, n: int, rng: np.random.Generator) -> Float[np.ndarray, " time"]:
    """The trigger channel: one code per word, but for those that were dropped."""
    onset = _in_file(story.words["onset"].to_numpy(), scanner)
    kept = np.sort(rng.permutation(len(onset))[scanner.dropped :])
    starts = np.round(onset[kept] * scanner.sfreq).astype(int)
    pulses = np.zeros(n)
    for later in range(_PULSE):
        pulses[np.minimum(starts + later, n - 1)] = CODE
    return pulses


def _truth(subject: str, head: Head, test: Spoken, scanner: Scanner, n_repeats: int) -> pd.DataFrame:
    names, kinds = head.info["ch_names"], head.info.get_channel_types()
    signal = _at_latency(test, scanner, head.answers)
    noise = sensors.variance(head.info, head.brain, scanner.noise, _n_times(test, scanner), scanner.band_hz)
    share = signal / (signal + noise[:, None])
    share[np.isin(names, scanner.flat + scanner.noisy)] = np.nan
    ceiling = np.sqrt(n_repeats * share / (1 + (n_repeats - 1) * share))
    units, factors = map(np.array, zip(*(_UNITS[kind] for kind in kinds), strict=True))
    shown = head.answers * test.sizes.mean(axis=0) * factors[:, None]
    return pd.concat(
        pd.DataFrame(
            {
                "subject": subject, "response": response, "latency_s": latency, "channel": names, "kind": kinds,
                "topography": shown[:, k], "noise_sd": np.sqrt(noise) * factors, "unit": units, "signal_share": share[:, k], "ceiling_r": ceiling[:, k],
            }
        )
        for k, (response, latency) in enumerate(LATENCY_S.items())
    )  # fmt: skip
