"""Sound files, and how loud they are."""

import struct
import warnings
from pathlib import Path

import numpy as np
from jaxtyping import Float

from pipeline.problems import Problem, StudyError, shown


def envelope_of(
    path: Path, times_s: Float[np.ndarray, " sample"], tr_s: float, start_s: float = 0.0, name: str = ""
) -> Float[np.ndarray, " sample"]:
    """Loudness of a sound in each sample: root mean square, over channels; silence before it begins and after its end.

    Parameters
    ----------
    times_s : start of each sample on the words' clock.
    start_s : when the sound begins on that clock.
    name : the file as the user wrote it.

    Raises
    ------
    StudyError : E-DATA-40, a file that is missing, cut short or not WAV.
    """
    rate_hz, sound = read(path, name or path.name)
    return loudness(rate_hz, sound, np.asarray(times_s, float) - start_s, tr_s)


def loudness(
    rate_hz: int, sound: np.ndarray, times_s: Float[np.ndarray, " sample"], tr_s: float
) -> Float[np.ndarray, " sample"]:
    """Root mean square of the sound in the `tr_s` from each time on, over channels."""
    power = np.concatenate([[0.0], np.cumsum((sound.astype(float) ** 2).reshape(len(sound), -1).mean(axis=1))])
    borders = np.stack([times_s, times_s + tr_s])
    first, last = np.clip(np.round(borders * rate_hz).astype(int), 0, len(sound))
    return np.sqrt(np.maximum(power[last] - power[first], 0) / (tr_s * rate_hz))


def read(path: Path, name: str) -> tuple[int, np.ndarray]:
    """Sampling rate and values of a WAV file.

    Raises
    ------
    StudyError : E-DATA-40, as `envelope_of`.
    """
    from scipy.io import wavfile

    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("error", message="Reached EOF")  # a file cut short would pass as a short sound
            rate_hz, sound = wavfile.read(path)
    except (OSError, ValueError, wavfile.WavFileWarning, EOFError, struct.error) as error:
        raise StudyError(_unreadable(name, shown(str(error).replace(str(path), name)))) from error
    if rate_hz <= 0 or not len(sound):
        raise StudyError(_unreadable(name, f"{len(sound)} values at {rate_hz} Hz"))
    return rate_hz, sound


def _unreadable(name: str, found: str) -> Problem:
    return Problem(
        "E-DATA-40", "a sound cannot be read", file=name, field="audio", found=found, expected="a whole WAV file, uncompressed",
        why="its loudness is compared with the responses", fix="export it as WAV (PCM), or leave column `audio` empty",
    )  # fmt: skip
