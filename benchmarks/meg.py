"""Preprocessing of ten minutes of MEG, 306 channels at 1 kHz: wall time, and peak memory in sizes of the recording.

The recording is written first (single precision, a real helmet's layout, white
noise, bad channels of every sort), then opened, checked, filtered and resampled
in a process of its own. The yardstick is plain MNE in another process: the
file loaded, `filter` and `resample`, nothing checked and nothing told. Memory
is the growth of RssAnon from after the imports on; the size of the recording
is that of its samples in double precision, as MNE holds them.
"""

import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import watch
from common import Goal, digits, hidden, parser, report, skipped, threads

MINUTES, SFREQ_HZ, CHANNELS = 10, 1000.0, 306
NAME = "story_raw.fif"
GOALS = (
    Goal("ten minutes of 306 channels at 1 kHz: seconds", "seconds", at_most=180),
    Goal("ten minutes of 306 channels at 1 kHz: over plain filtering and resampling", "over_mne", at_most=3),
    Goal("ten minutes of 306 channels at 1 kHz: peak memory, sizes of the recording", "sizes", at_most=1),
)


def main() -> int:
    options = parser(__doc__, reps=1)
    options.add_argument("--step", choices=("make", "ours", "mne"), help=hidden())
    options.add_argument("--folder", type=Path, help=hidden())
    chosen = options.parse_args()
    threads(chosen.threads)
    if chosen.step:
        return {"make": make, "ours": ours, "mne": plain}[chosen.step](chosen.folder, chosen.scale)
    if not watch.supported():
        return skipped("memory is read from /proc, which this system does not have")
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, __file__, "--threads", str(chosen.threads), "--folder", folder]
        command += ["--scale", str(chosen.scale), "--step"]
        subprocess.run([*command, "make"], check=True)
        found = {step: timed([*command, step]) for step in ("ours", "mne")}
    size = CHANNELS * n_samples(chosen.scale) * 8 / 2**20
    fields = {
        "workload": f"{CHANNELS} channels x {MINUTES / chosen.scale:g} min at {SFREQ_HZ:g} Hz",
        "recording_mib": digits(size),
        "seconds": digits(found["ours"]["seconds"]),
        "sizes": digits(found["ours"]["anonymous"] / size),
        "mne": {"seconds": digits(found["mne"]["seconds"]), "sizes": digits(found["mne"]["anonymous"] / size)},
        "over_mne": digits(found["ours"]["seconds"] / found["mne"]["seconds"]),
    }
    return report(fields, GOALS, chosen.scale)


def n_samples(scale: int) -> int:
    return int(MINUTES * 60 * SFREQ_HZ) // scale


def timed(command: list[str]) -> dict[str, float]:
    start = time.perf_counter()
    return watch.peaks(command) | {"seconds": time.perf_counter() - start}


def make(folder: Path, scale: int) -> int:
    """White noise of plausible size; one channel flat, one with a missing sample, one named as bad."""
    import mne

    info = mne.channels.read_meg_canonical_info("neuromag")
    with info._unlock():  # a real layout at another rate
        info["sfreq"], info["lowpass"], info["line_freq"] = SFREQ_HZ, SFREQ_HZ / 2, 50.0
    rng, values = np.random.default_rng(0), np.empty((CHANNELS, n_samples(scale)))
    for signal, kind in zip(values, info.get_channel_types(), strict=True):
        signal[:] = rng.standard_normal(len(signal), np.float32) * (3e-13 if kind == "mag" else 5e-12)
    values[5], values[7, 1000] = 0.0, np.nan
    raw = mne.io.RawArray(values, info, verbose="ERROR")
    raw.info["bads"] = [raw.ch_names[3]]
    raw.save(folder / NAME, verbose="ERROR")
    return 0


def ours(folder: Path, scale: int) -> int:
    import mne.preprocessing  # noqa: F401  counted as import, not as work

    from pipeline.recordings.meg.channels import channels_of
    from pipeline.recordings.meg.files import opened
    from pipeline.recordings.meg.kind import Meg
    from pipeline.recordings.meg.signal import filtered
    from pipeline.runs import Run

    meg, run = Meg(), Run("01", "story", "meg", (NAME,), "words.tsv")
    signal = watch.watched(
        lambda: filtered(meg, opened(meg, folder, NAME, run), channels_of(meg, [run], folder), run, folder, NAME)
    )
    return int(not np.isfinite(signal.values).all() or signal.bad.sum() != 2)


def plain(folder: Path, scale: int) -> int:
    import mne

    from pipeline.recordings.meg.kind import Meg

    meg = Meg()

    def work() -> "mne.io.BaseRaw":
        raw = mne.io.read_raw(folder / NAME, preload=True, verbose="ERROR")
        raw.filter(meg.l_freq, meg.h_freq, picks="all", verbose="ERROR")
        return raw.resample(meg.sfreq, verbose="ERROR")

    return int(not np.isfinite(watch.watched(work).get_data()[8:]).all())


if __name__ == "__main__":
    sys.exit(main())
