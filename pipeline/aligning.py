"""Do the responses of a run follow its words? Word rate and signal on one clock, and how far the one lags behind the other."""

from typing import TYPE_CHECKING

import numpy as np

from pipeline.problems import Problem
from pipeline.report import AlignedRun
from pipeline.runs import Run
from pipeline.timing import to_grid

if TYPE_CHECKING:
    import pandas as pd
    import xarray as xr

LAGS_S = 20.0
EXPECTED_S = {"fmri": (3.0, 8.0), "arrays": (3.0, 8.0)}  # where the blood's answer to words should peak


def align(
    run: Run, ds: "xr.Dataset", words: "pd.DataFrame", expected_s: tuple[float, float] | None, show_text: str
) -> AlignedRun:
    """Words and samples of one run on one clock, and how the strongest follower of the word rate lags behind it.

    The signal is the target with the largest correlation, of either sign, at
    any lag: picked for its strength and not for its lag, so the lag is a check.
    """
    times, tr_s = ds["time"].values.astype(float), float(ds.attrs["tr_s"])
    onsets = words["onset"].to_numpy(float)
    rate = to_grid(np.ones((len(onsets), 1)), onsets, times, how="sum")[:, 0]
    Y = np.nan_to_num(ds["responses"].values.astype(float))
    steps = np.arange(-round(LAGS_S / tr_s), round(LAGS_S / tr_s) + 1)
    table = np.stack([_lagged_r(rate, Y, step) for step in steps])
    best = int(np.argmax(np.abs(table).max(axis=0)))
    sign = np.sign(table[np.abs(table[:, best]).argmax(), best]) or 1.0
    name = f"{ds['target'].values[best]}{' (sign turned)' if sign < 0 else ''}"
    return AlignedRun(
        run=run.run, onsets=onsets - times[0], durations=words["duration"].to_numpy(float),
        words=list(words["word"]) if show_text == "snippet" else [""] * len(words), sample_times_s=times - times[0], tr_s=tr_s,
        word_rate=rate, signal=sign * Y[:, best], signal_name=name, lags_s=steps * tr_s, xcorr=sign * table[:, best], expected_s=expected_s,
    )  # fmt: skip


def timing_problems(aligned: AlignedRun, subject: str) -> list[Problem]:
    """Words of another run, or shifted ones, show as a peak in the wrong place."""
    peak = float(aligned.lags_s[np.argmax(np.abs(aligned.xcorr))])
    if aligned.expected_s is None or aligned.expected_s[0] <= peak <= aligned.expected_s[1]:
        return []
    low, high = aligned.expected_s
    return [
        Problem(
            "W-WORDS-09", "responses do not follow the words when they should", file=f"run {aligned.run}", field=aligned.signal_name,
            found=f"the word rate correlates most at a lag of {peak:g} s", expected=f"{low:g} to {high:g} s",
            why="words of another run, a wrong start_s, or a signal too weak to tell", fix="look at the alignment picture", subject=subject,
        )
    ]  # fmt: skip


def _lagged_r(rate: np.ndarray, Y: np.ndarray, step: int) -> np.ndarray:
    """Correlation of the word rate with every target `step` samples later."""
    n = len(rate) - abs(step)
    if n < 10:
        return np.zeros(Y.shape[1])
    x, y = rate[max(-step, 0) :][:n], Y[max(step, 0) :][:n]
    x, y = x - x.mean(), y - y.mean(axis=0)
    scale = np.sqrt((x**2).sum() * (y**2).sum(axis=0))
    return np.divide(x @ y, scale, out=np.zeros(Y.shape[1]), where=scale > 0)
