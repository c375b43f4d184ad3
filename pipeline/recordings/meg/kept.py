"""Which words of a presentation are kept: rejected and counted by reason, nothing dropped silently."""

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from jaxtyping import Bool, Float

from pipeline.problems import Problem, StudyError
from pipeline.recordings.base import problem
from pipeline.recordings.meg.channels import Channels
from pipeline.recordings.meg.kind import Meg
from pipeline.recordings.meg.signal import UNITS
from pipeline.runs import Run

if TYPE_CHECKING:
    import pandas as pd

FEWEST = 30  # words below which nothing can be fitted and tested
_TOLD = 5  # words and channels that a message names


class Cut(NamedTuple):
    """What of one presentation belongs to its words, or beside them.

    In epochs `responses` is (word, channel x latency), channel by channel, in
    the continuous form (moment, channel). Channels that are bad are NaN throughout; what is `censored`
    is 0 elsewhere and used nowhere. `facts` counts the words by what became of
    them, `evoked` is the mean over those that were kept.
    """

    responses: Float[np.ndarray, "sample target"]
    censored: Bool[np.ndarray, " sample"]
    facts: dict[str, Any]
    warnings: list[Problem]
    evoked: Float[np.ndarray, "channel latency"]


def finished(
    meg: Meg,
    epochs: Float[np.ndarray, "word channel latency"],
    level: Float[np.ndarray, "word channel"] | None,
    bad: Bool[np.ndarray, " channel"],
    channels: Channels,
    words: "pd.DataFrame",
    *,
    known: Bool[np.ndarray, " word"],
    inside: Bool[np.ndarray, " word"],
    annotated: Bool[np.ndarray, " word"],
    run: Run,
    name: str,
) -> Cut:
    """Reject epochs, count them by reason, subtract the baseline (`level`) and average; `epochs` is overwritten.

    A word counts for the first reason that holds: its time is not known, its
    window leaves the recording, meets a bad stretch, or it is rejected.
    """
    usable = known & inside & ~annotated
    over = _over(meg, epochs, bad, channels, usable, run, name)
    rejected = over.any(axis=1)
    by_channel = {channels.names[i]: int(n) for i, n in enumerate(over.sum(axis=0)) if n}
    facts = counted(known, inside, annotated, rejected, by_channel)
    refuse_few(facts, FEWEST, run, name)
    censored = ~usable | rejected
    if level is not None:
        epochs -= level[:, :, None]
    epochs[censored] = 0
    # the sum in double precision: a mean of thousands in single precision loses its last digits
    evoked = (epochs.sum(axis=0, dtype=float) / facts["n_kept"]).astype(np.float32)
    epochs[:, bad] = np.nan
    evoked[bad] = np.nan
    told = [*outside_told(meg, words, known & ~inside, run, name), *left_out_told(facts, run, name)]
    return Cut(epochs.reshape(len(epochs), -1), censored, facts, told, evoked)


def counted(
    known: np.ndarray, inside: np.ndarray, annotated: np.ndarray, rejected: np.ndarray, by_channel: dict[str, int]
) -> dict[str, Any]:
    """Words by what became of them, each counted once."""
    kept = known & inside & ~annotated & ~rejected
    return {
        "n_words": len(known), "n_kept": int(kept.sum()), "n_outside": int((known & ~inside).sum()),
        "n_annotated": int((known & inside & annotated).sum()), "n_rejected": int(rejected.sum()), "n_unmarked": int((~known).sum()),
        "by_channel": by_channel,
    }  # fmt: skip


def refuse_few(facts: dict[str, Any], fewest: int, run: Run, name: str) -> None:
    if facts["n_kept"] >= fewest:
        return
    raise StudyError(
        problem(
            "E-MEG-41", "too few epochs are left", run, file=name, found=_reasons(facts), expected=f"at least {fewest} of {facts['n_words']} words",
            why="a model cannot be fitted and tested on so few", fix="raise `reject`, check the annotations and the alignment, or leave the run out",
        )
    )  # fmt: skip


def left_out_told(facts: dict[str, Any], run: Run, name: str) -> list[Problem]:
    if not facts["n_annotated"] + facts["n_rejected"]:
        return []
    worst = sorted(facts["by_channel"].items(), key=lambda item: -item[1])[:_TOLD]
    told = f"; most often for {', '.join(f'{channel} ({n} words)' for channel, n in worst)}" if worst else ""
    return [
        problem("W-MEG-40", "words are left out for bad stretches or large amplitudes", run, file=name, found=_reasons(facts) + told,
                why="they keep their rows and are used nowhere", fix="a channel that is named often may be bad: name it in `bads`" if worst else "")
    ]  # fmt: skip


def outside_told(
    meg: Meg, words: "pd.DataFrame", outside: Bool[np.ndarray, " word"], run: Run, name: str
) -> list[Problem]:
    if not outside.any():
        return []
    rows = np.flatnonzero(outside)
    first = ", ".join(f"word {i + 1} at {words['onset'].iloc[i]:.3f} s" for i in rows[:_TOLD])
    return [
        problem("W-MEG-42", f"the windows of {len(rows)} words leave the recording", run, file=name, field="window",
                found=f"{len(rows)} of {len(words)} words, window {meg.window[0]:g} to {meg.window[1]:g} s; the first: {first}",
                why="they keep their rows and are used nowhere", fix="" if len(rows) < FEWEST else "check `start_s`, the alignment, and that words and recording belong together")
    ]  # fmt: skip


def _reasons(facts: dict[str, Any]) -> str:
    reasons = {
        "n_outside": "outside the recording", "n_annotated": "in bad stretches", "n_rejected": "rejected", "n_unmarked": "without an epoch",
    }  # fmt: skip
    told = [f"{facts[key]} {reason}" for key, reason in reasons.items() if facts[key]]
    return f"{facts['n_kept']} of {facts['n_words']} words kept" + (f"; {', '.join(told)}" if told else "")


def _over(
    meg: Meg, epochs: np.ndarray, bad: np.ndarray, channels: Channels, usable: np.ndarray, run: Run, name: str
) -> np.ndarray:
    """(word, channel): which good channels of which usable words move further than `reject` lets them."""
    over = np.zeros(epochs.shape[:2], bool)
    for kind, limit in meg.reject.items():
        if kind not in channels.kinds:
            raise StudyError(_unknown_kind(kind, channels, run, name))
        which = np.flatnonzero((np.array(channels.kinds) == kind) & ~bad)
        most = np.zeros((len(epochs), len(which)))
        for word in np.flatnonzero(usable):
            most[word] = np.ptp(epochs[word, which], axis=1)
        over[:, which] = most > limit * UNITS[kind][1]
        n_left = int((usable & ~over.any(axis=1)).sum())
        if n_left < FEWEST <= usable.sum() or n_left == 0 < usable.sum():
            raise StudyError(_nearly_all_rejected(kind, limit, most[usable].max(axis=1), n_left, run, name))
    return over


def _unknown_kind(kind: str, channels: Channels, run: Run, name: str) -> Problem:
    return problem(
        "E-MEG-44", "reject names a channel type that is not used", run, file=name, field="reject", found=kind,
        expected=", ".join(dict.fromkeys(channels.kinds)), fix="name one of these, or change `picks`",
    )  # fmt: skip


def _nearly_all_rejected(
    kind: str, limit: float, most: Float[np.ndarray, " word"], n_left: int, run: Run, name: str
) -> Problem:
    """`most`: of each word the largest peak-to-peak amplitude of its good channels, in the units inside."""
    unit, factor = UNITS[kind]
    low, middle, high = np.percentile(most, [5, 50, 95])
    return problem(
        "E-MEG-40", "every epoch is rejected" if not n_left else "nearly every epoch is rejected", run, file=name, field=f"reject.{kind}",
        found=f"{n_left} of {len(most)} epochs stay below {limit:g} ({limit * factor:.4g} {unit}); their largest peak-to-peak amplitudes are "
        f"{low:.4g}, {middle:.4g} and {high:.4g} {unit} (5, 50 and 95 % of the epochs)",
        expected=f"a threshold that at least {FEWEST} epochs stay below",
        why="the threshold is meant for another unit, or a channel is bad and not marked as such",
        fix=f"say reject: {{{kind}: {_rounded_up(high / factor):g}}}, mark bad channels in `bads`, or leave reject out",
    )  # fmt: skip


def _rounded_up(value: float) -> float:
    """Two digits, no smaller than the value."""
    step = 10.0 ** (np.floor(np.log10(value)) - 1)
    return float(np.ceil(value / step) * step)
