"""What an MEG, EEG or iEEG recording holds and what was done to it: tables of files, steps, bad channels and epochs."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from pipeline.report.meg_parts import SensedRun
from pipeline.report.tables import Table
from pipeline.report.words import MISSING, count, is_number, number, percent, plural

_MOST_NAMES = 12  # names of channels in a cell of a table; the rest are counted
_MOST_REJECTING = 5
_BADS = {
    "named": "named by the file or the study",
    "flat": "flat",
    "nan": "hold missing values",
    "noisy": "noisy",
}


class Presented(NamedTuple):
    """One file of one run, with what its cleaning told of it."""

    run: str
    file: str
    facts: Mapping[str, Any]

    @property
    def name(self) -> str:
        return self.file.rsplit("/", 1)[-1] or "(no file name)"

    @property
    def bads(self) -> dict[str, list[str]]:
        """Bad channels by reason, only reasons that have some."""
        found = self.facts.get("bads") or {}
        return {str(reason): [str(c) for c in names] for reason, names in found.items() if names}


def presented(runs: Sequence[SensedRun]) -> list[Presented]:
    return [Presented(str(run.run), str(facts.get("file", "")), facts) for run in runs for facts in run.presentations]


def recorded_table(files: Sequence[Presented], caption: str) -> Table:
    """One row per file: what was recorded, and how much of it is marked as bad."""
    columns = ("run", "file", "channels", "Hz", "duration (s)", "bad channels", "bad stretches", "missing samples")
    return Table(caption, columns, [_recorded(one) for one in files], frozenset({3, 4, 6, 7}))


def steps_table(files: Sequence[Presented], caption: str) -> Table:
    """Each step once for all files that tell the same of it, done or skipped, with the reason."""
    found: dict[tuple[str, str, str], list[Presented]] = {}
    for one in files:
        for step in one.facts.get("steps") or ():
            done = "done" if step.get("done") else "skipped"
            found.setdefault((str(step.get("step", "")), done, str(step.get("told", ""))), []).append(one)
    order = list(dict.fromkeys(step for step, _, _ in found))
    keys = sorted(found, key=lambda key: order.index(key[0]))
    rows = [[step, done, told, _whose(found[step, done, told], files)] for step, done, told in keys]
    return Table(caption, ("step", "done or skipped", "how, or why not", "runs"), rows)


def bads_table(files: Sequence[Presented], caption: str) -> Table:
    """Bad channels by reason, once for all files that have the same."""
    found: dict[tuple[str, tuple[str, ...]], list[Presented]] = {}
    for one in files:
        for reason, names in one.bads.items():
            found.setdefault((reason, tuple(names)), []).append(one)
    rows = [
        [_BADS.get(reason, reason), count(len(names)), _listed(names), _whose(own, files)]
        for (reason, names), own in found.items()
    ]
    return Table(caption, ("why", "channels", "names", "runs"), rows, frozenset({1}))


def epochs_table(files: Sequence[Presented], caption: str) -> Table:
    """What became of the words of each file; empty where there are no epochs."""
    rows = [
        [one.run, *(count(epochs.get(key)) for key in _FATES), _kept(epochs), _rejecting(epochs)]
        for one in files
        if (epochs := one.facts.get("epochs"))
    ]
    told = "outside: the epoch leaves the recording; too large: a channel's amplitude lies above the limit"
    names = ("run", *_FATES.values(), "kept (%)", "channels that rejected most (epochs)")
    return Table(f"{caption} ({told})", names, rows, frozenset(range(1, 8)))


def in_short(runs: Sequence[SensedRun]) -> list[str]:
    """What a reader should know before the tables."""
    files = presented(runs)
    told = [
        f"{plural(len(files), 'file')}, {number(_sum(files, lambda f: f.get('duration_s')) / 60, 1)} min in all; "
        f"{plural(len({n for f in files for names in f.bads.values() for n in names}), 'channel')} bad in at least one."
    ]
    epochs = [f.facts["epochs"] for f in files if f.facts.get("epochs")]
    if epochs:
        kept, words = (sum(e.get(key) or 0 for e in epochs) for key in ("n_kept", "n_words"))
        told.append(
            f"{kept} of {plural(words, 'epoch')} kept ({percent(kept / words) if words else MISSING} %); "
            "words without one keep their row and are used in no fit and no score."
        )
    return told


def n_bad(one: Presented) -> int:
    """How many channels are bad, each counted once."""
    return len({name for names in one.bads.values() for name in names})


def _recorded(one: Presented) -> list[str]:
    get = one.facts.get
    kinds = ", ".join(f"{n} {kind}" for kind, n in (get("kinds") or {}).items()) or count(get("n_channels"))
    marked, length = get("annotated_s"), get("duration_s")
    share = marked / length if is_number(marked) and is_number(length) and length > 0 else None
    by_reason = ", ".join(f"{len(names)} {reason}" for reason, names in one.bads.items())
    bad = f"{n_bad(one)} ({by_reason})" if by_reason else "0"
    marks = f"{number(marked, 1)} s ({percent(share)} %)" if is_number(marked) else MISSING
    numbers = [number(get("sfreq_hz"), 1), number(length, 1), bad, marks]
    return [one.run, one.name, kinds, *numbers, count(get("nan_samples"))]


def _whose(own: Sequence[Presented], files: Sequence[Presented]) -> str:
    return "all" if len(own) == len(files) else ", ".join(dict.fromkeys(one.run for one in own))


def _listed(names: Sequence[str]) -> str:
    more = len(names) - _MOST_NAMES
    return ", ".join(names[:_MOST_NAMES]) + (f" and {more} more" if more > 0 else "")


def _kept(epochs: Mapping[str, Any]) -> str:
    kept, words = epochs.get("n_kept"), epochs.get("n_words")
    return percent(kept / words) if is_number(kept) and is_number(words) and words else MISSING


def _rejecting(epochs: Mapping[str, Any]) -> str:
    by_channel = epochs.get("by_channel") or {}
    most = sorted(by_channel.items(), key=lambda pair: (-pair[1], str(pair[0])))[:_MOST_REJECTING]
    return ", ".join(f"{name} ({n})" for name, n in most if n)


def _sum(files: Sequence[Presented], of: Callable[[Mapping[str, Any]], Any]) -> float:
    return float(sum(value for one in files if is_number(value := of(one.facts))))


_FATES = {
    "n_words": "words",
    "n_kept": "kept",
    "n_outside": "outside",
    "n_annotated": "bad stretch",
    "n_rejected": "too large",
    "n_unmarked": "no trigger",
}
