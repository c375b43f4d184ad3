"""Which channels of a person's recordings are used: picked, the same in every run, and where they lie."""

import difflib
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from jaxtyping import Float

from pipeline.problems import Problem, StudyError
from pipeline.recordings.base import problem
from pipeline.recordings.meg.files import info_of, is_epochs
from pipeline.recordings.meg.kind import Meg
from pipeline.recordings.meg.rates import check_rates
from pipeline.runs import Run

if TYPE_CHECKING:
    import mne

USABLE = ("mag", "grad", "eeg", "seeg", "ecog", "dbs")  # what the brain itself is measured by
_DATA = (("mag", "grad"), ("eeg",), ("seeg", "ecog", "dbs"))  # `data` is the first of these that a file has
_TOLD = 8  # names of channels in one cell of a message


class Channels(NamedTuple):
    """The channels that every run of a person gives, in the order of the first file.

    `loc` is MNE's: place and three directions, m, in head coordinates; in
    those of the device where nobody measured how the head lay in it, NaN where
    the place is not known. `why_no_places` is empty where all places are known.
    """

    names: tuple[str, ...]
    kinds: tuple[str, ...]
    loc: Float[np.ndarray, "channel 12"]
    why_no_places: str


class _File(NamedTuple):
    run: Run
    name: str
    info: "mne.Info"
    picked: list[str]


def channels_of(meg: Meg, runs: Sequence[Run], folder: Path) -> Channels:
    """The picked channels of all presentations of all runs of one person.

    Raises
    ------
    StudyError
        Picks that a file does not have, bad channels that do not exist,
        filters above half of a file's sampling rate, or runs whose rates are
        too low or whose channels differ; every file's problems at once.
    """
    files, problems = [], []
    for run in runs:
        for name in run.responses:
            try:
                info = info_of(meg, folder, name, run)
                files.append(_File(run, name, info, _picked(meg, info, run, name)))
                if not is_epochs(name):
                    check_rates(meg, info["sfreq"], run, name)
            except StudyError as error:
                problems += error.problems
    if problems:
        raise StudyError(*_in_one_table(problems, files))
    names = _shared(meg, files)
    first = files[0].info
    kinds = _kinds(first)
    loc = _where_known([placed(file.info, names) for file in files])
    why = _why_no_places(first, names, loc)
    return Channels(tuple(names), tuple(kinds[name] for name in names), loc, why)


def placed(info: "mne.Info", names: Sequence[str]) -> Float[np.ndarray, "channel 12"]:
    """Where channels lie and how they are turned, in head coordinates; NaN where the file does not know.

    Electrodes are in head coordinates already; coils are in the device's and
    go along with `dev_head_t` where the head was measured in it.
    """
    kinds, index = _kinds(info), {name: i for i, name in enumerate(info["ch_names"])}
    loc = np.array([info["chs"][index[name]]["loc"] for name in names], dtype=float).reshape(-1, 12)
    loc[~loc[:, :3].any(axis=1)] = np.nan  # zeros are MNE's way to say that nobody measured
    if info["dev_head_t"] is not None:
        turn = info["dev_head_t"]["trans"]
        coils = np.array([kinds[name] in ("mag", "grad") for name in names], dtype=bool)
        turned = loc[coils].reshape(-1, 4, 3) @ turn[:3, :3].T
        turned[:, 0] += turn[:3, 3]
        loc[coils] = turned.reshape(-1, 12)
    return loc


def _where_known(locs: list[np.ndarray]) -> np.ndarray:
    """The first file's places; where it knows none, those of the first file that does."""
    found = locs[0].copy()
    for loc in locs[1:]:
        found = np.where(np.isfinite(found), found, loc)
    return found


def _why_no_places(info: "mne.Info", names: list[str], loc: np.ndarray) -> str:
    lost = [name for name, here in zip(names, np.isfinite(loc[:, :3]).all(axis=1), strict=True) if not here]
    if not lost:
        return ""
    cause = "nobody digitised them" if info["dig"] is None else "the digitisation does not name them"
    return f"it is not known where {'the channels' if len(lost) == len(names) else _some(lost)} lie: {cause}"


def _picked(meg: Meg, info: "mne.Info", run: Run, name: str) -> list[str]:
    kinds = _kinds(info)
    wanted, unknown = set(), []
    for pick in meg.picks:
        found = _matching(pick, kinds)
        wanted |= found
        if not found:
            unknown.append(pick)
    if unknown:
        raise StudyError(*(_unknown(pick, kinds, run, name) for pick in unknown))
    return [channel for channel in info["ch_names"] if channel in wanted]


def _matching(pick: str, kinds: dict[str, str]) -> set[str]:
    """Channels that a pick means: all of a type, of MEG, of the data, or the one of that name."""
    present = set(kinds.values())
    group = {
        "data": next((group for group in _DATA if present & set(group)), ()),
        "meg": ("mag", "grad"),
    }.get(pick, (pick,) if pick in USABLE else ())
    return {name for name, kind in kinds.items() if kind in group or (name == pick and kind in USABLE)}


def _unknown(pick: str, kinds: dict[str, str], run: Run, name: str) -> Problem:
    usable = [channel for channel, kind in kinds.items() if kind in USABLE]
    present = [kind for kind in USABLE if kind in kinds.values()]
    near = difflib.get_close_matches(pick, [*usable, *present, "data", "meg"], n=1, cutoff=0.5)
    found = f"{pick!r} is a channel of type {kinds[pick]}" if pick in kinds else f"no channel and no type {pick!r}"
    return problem("E-MEG-07", "channels are picked that the recording does not have", run, file=name, field="picks", found=found,
                   expected=f"a type ({', '.join(present) or 'none: it holds no MEG, EEG or iEEG'}) or names such as {_some(usable, 3)}",
                   fix=f"did you mean {near[0]!r}?" if near else "pick one of these")  # fmt: skip


def _shared(meg: Meg, files: list[_File]) -> list[str]:
    """The channels that all files have, in the first file's order; refuse files that differ unless that is allowed."""
    common = set.intersection(*(set(file.picked) for file in files))
    names = [name for name in files[0].picked if name in common]
    everything = set.union(*(set(file.picked) for file in files))
    kinds = [{name: _kinds(file.info)[name] for name in names} for file in files]
    if any(one != kinds[0] for one in kinds):
        raise StudyError(
            _differing(
                files, "the same name is a channel of another type", [_few_kinds(k, kinds[0]) for k in kinds], ""
            )
        )
    if meg.channels == "common" and names:
        return names
    if everything != common:
        lacking = [
            f"lacks {_some(sorted(everything - set(file.picked)))}" if everything - set(file.picked) else ""
            for file in files
        ]
        rows = [
            f"{len(file.picked)} channels{', ' + row if row else ''}" for file, row in zip(files, lacking, strict=True)
        ]
        fix = (
            f"say channels: common, which leaves {len(names)}"
            if names
            else "no channel is in all of them: check which files belong together"
        )
        raise StudyError(_differing(files, "runs of a person have different channels", rows, fix))
    return names


def _differing(files: list[_File], summary: str, rows: list[str], fix: str) -> Problem:
    table = "; ".join(f"{file.name}: {row}" for file, row in zip(files, rows, strict=True))
    return problem("E-MEG-11", summary, files[0].run, file=f"{len(files)} files", field="channels", found=table,
                   expected="the same channels in every run", why="a fit joins the runs channel by channel",
                   fix=fix or "name the channels alike in all files")  # fmt: skip


def _few_kinds(these: dict[str, str], first: dict[str, str]) -> str:
    other = [f"{name} is {kind}, not {first[name]}" for name, kind in these.items() if kind != first[name]]
    return _some(other) if other else "as the first file"


def _in_one_table(problems: list[Problem], files: list[_File]) -> list[Problem]:
    """Runs that are sampled too slowly are one problem, with the rates of all of them."""
    slow = [p for p in problems if p.code == "E-MEG-10"]
    if len(slow) == 0 or len(files) < 2:
        return problems
    table = "; ".join(f"{file.name}: {file.info['sfreq']:g} Hz" for file in files)
    least = min(file.info["sfreq"] for file in files)
    fix = f"say sfreq: {least:g}, and h_freq below {least / 2:g}, or leave the slow runs out"
    one = slow[0]._replace(file=", ".join(p.file for p in slow), found=table, fix=fix)
    return [one, *(p for p in problems if p.code != "E-MEG-10")]


def _kinds(info: "mne.Info") -> dict[str, str]:
    return dict(zip(info["ch_names"], info.get_channel_types(), strict=True))


def _some(names: Sequence[str], n: int = _TOLD) -> str:
    return ", ".join(names[:n]) + (f" and {len(names) - n} more" if len(names) > n else "")
