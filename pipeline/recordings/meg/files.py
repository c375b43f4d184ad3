"""Files of MEG, EEG and iEEG: opened by MNE, refused by name where they are damaged, with all that lies beside them."""

import contextlib
import json
import re
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from pipeline.problems import Problem, StudyError
from pipeline.recordings.base import problem, told_of, why_unreadable
from pipeline.recordings.meg.kind import Meg
from pipeline.recordings.meg.whole import check_whole, companions, parts
from pipeline.runs import Run
from pipeline.tables import missing_file, read_text_table

if TYPE_CHECKING:
    import mne

_EPOCHS = re.compile(r"[-_]epo\.fif(\.gz)?$")
_BIDS = re.compile(r"^sub-[A-Za-z0-9]+_(?:[a-z]+-[A-Za-z0-9+]+_)*(meg|eeg|ieeg)\.[A-Za-z]+$")
_TABLES = ("channels.tsv", "events.tsv", "electrodes.tsv", "coordsystem.json", "meg.json", "eeg.json", "ieeg.json")


def is_epochs(name: str) -> bool:
    """Are these epochs that somebody cut already?"""
    return _EPOCHS.search(name) is not None


def files_of(meg: Meg, run: Run, folder: Path) -> list[str]:
    """Names of every file that a run is made of: recordings with their parts, tables, sidecars, calibration.

    Parts and companions without which a recording cannot be read are named
    even where they are absent, sidecars where they exist.
    """
    found = [file for name in run.responses for file in (name, *parts(folder, name), *companions(folder, name))]
    found = [name for name in found if not (folder / name).is_dir()]
    found += [file for name in run.responses for file in sidecars(folder, name)]
    source = [meg.source.forward, meg.source.noise_cov, *meg.source.labels] if meg.source else []
    given = [run.words, run.events, meg.calibration, meg.cross_talk, *source]
    found += [name.replace("{subject}", run.subject) for name in given if name]
    return list(dict.fromkeys(found))


def opened(meg: Meg, folder: Path, name: str, run: Run) -> "mne.io.BaseRaw":
    """A recording whose header was read and whose file is as long as the header says; no sample is held.

    Bad are the channels that the file, its channels.tsv or the study names. In
    a BIDS data set MNE-BIDS adds what the sidecars say: types of channels,
    places of electrodes, events as annotations, line frequency.
    """
    import mne

    path = there(folder, name, run)
    with refused(path, name, run):
        # a recording with active shielding is let in here, and refused later unless Maxwell filtering takes that out
        shielded = {"allow_maxshield": "yes"} if name.endswith((".fif", ".fif.gz")) else {}
        raw = mne.io.read_raw(path, preload=False, verbose="ERROR", **shielded)
    table = channel_table(folder, name)
    if _BIDS.match(PurePosixPath(name).name) and PurePosixPath(name).parent.name in ("meg", "eeg", "ieeg"):
        raw = _with_sidecars(raw, path, name, table, run)
    mark(meg, raw.info, folder, name, run)
    return raw


def info_of(meg: Meg, folder: Path, name: str, run: Run) -> "mne.Info":
    """What the header says of the channels, of a recording or of epochs."""
    import mne

    if not is_epochs(name):
        return opened(meg, folder, name, run).info
    path = there(folder, name, run)
    with refused(path, name, run):
        info = mne.io.read_info(path, verbose="ERROR")
    mark(meg, info, folder, name, run)
    return info


def there(folder: Path, name: str, run: Run) -> Path:
    """The path of a recording that exists, all of it, in a form that MNE reads."""
    from mne.io._read_raw import _get_readers, split_name_ext  # the table of endings has no public name

    path = folder / name
    if not path.exists():
        raise StudyError(missing_file(path, name, "MEG", {"subject": run.subject}))
    if split_name_ext(path)[1] is None:
        raise StudyError(
            problem("E-MEG-04", "MNE reads no files with this ending", run, file=name, found=PurePosixPath(name).suffix or "no ending",
                    expected=" ".join(sorted(_get_readers())), fix="convert it, say to .fif or into a BIDS data set with MNE-BIDS")
        )  # fmt: skip
    if path.is_file() and path.stat().st_size == 0:
        raise StudyError(_unreadable(path, name, run, EOFError("no bytes")))
    if problems := check_whole(folder, name, run):
        raise StudyError(*problems)
    return path


def mark(meg: Meg, info: "mne.Info", folder: Path, name: str, run: Run) -> None:
    """Add the bad channels that channels.tsv and the study name; refuse those that do not exist."""
    table = channel_table(folder, name)
    named = {table: _bad_in(folder, table, run)} if table else {}
    named["the study file"] = list(meg.bads)
    problems = [
        problem("E-MEG-08", "bad channels are named that the recording does not have", run, file=name, field=f"bads in {where}",
                found=", ".join(unknown), expected=f"names such as {', '.join(info['ch_names'][:3])}", fix="mend the names, or leave them out")
        for where, bads in named.items() if (unknown := [bad for bad in bads if bad not in info["ch_names"]])
    ]  # fmt: skip
    if problems:
        raise StudyError(*problems)
    info["bads"] = list(dict.fromkeys([*info["bads"], *(bad for bads in named.values() for bad in bads)]))


def sidecars(folder: Path, name: str) -> list[str]:
    """BIDS tables and JSON files that apply to a recording, outermost first, so that later ones win.

    One further up, or with fewer entities, applies when each of its entities
    is one of the recording's; a table of electrodes may name its space besides.
    """
    own, found = _entities(PurePosixPath(name).name), []
    for place in reversed(_upwards(folder, PurePosixPath(name).parent)) if "sub" in own else ():
        for path in sorted((folder / place).glob("*"), key=lambda p: (len(_entities(p.name)), p.name)):
            its = _entities(path.name)
            its.pop("space", None)
            if path.name.rsplit("_", 1)[-1] in _TABLES and its.items() <= own.items():
                found.append((place / path.name).as_posix())
    return found


def channel_table(folder: Path, name: str) -> str:
    """The channels.tsv that speaks of a recording; empty where there is none."""
    found = [file for file in sidecars(folder, name) if file.endswith("channels.tsv")]
    return found[-1] if found else ""


def line_hz(folder: Path, name: str) -> float | None:
    """The line frequency that the sidecars tell; None where they do not."""
    found = None
    for file in sidecars(folder, name):
        if file.endswith("eg.json"):
            # a sidecar that is no JSON tells nothing here; MNE-BIDS refuses it
            with contextlib.suppress(ValueError, OSError, AttributeError):
                found = json.loads((folder / file).read_text(encoding="utf-8-sig")).get("PowerLineFrequency", found)
    return float(found) if isinstance(found, int | float) else None


@contextlib.contextmanager
def refused(path: Path, name: str, run: Run):
    """What MNE raises for a file, in the user's words; its many readers raise whatever their parsers do."""
    try:
        yield
    except (StudyError, MemoryError):
        raise
    except Exception as error:
        raise StudyError(_unreadable(path, name, run, error)) from error


def _with_sidecars(raw: "mne.io.BaseRaw", path: Path, name: str, table: str, run: Run) -> "mne.io.BaseRaw":
    """The same recording as MNE-BIDS reads it; bad stretches that the file itself marks are kept."""
    import mne_bids

    own = [i for i, text in enumerate(raw.annotations.description) if BAD_SPAN.match(text)]
    kept, bads = raw.annotations[own], raw.info["bads"]
    try:
        at = mne_bids.get_bids_path_from_fname(path, verbose="ERROR")
        raw = mne_bids.read_raw_bids(at, verbose="ERROR")
    except Exception as error:
        raise StudyError(
            problem("E-MEG-06", "the sidecars of a recording do not fit it", run, file=table or name, found=told_of(path, name, str(error)),
                    expected="BIDS sidecars that say of each channel what the file holds", fix="mend the table, or leave it out; bids-validator says more")
        ) from error  # fmt: skip
    here = set(zip(raw.annotations.onset, raw.annotations.description, strict=True))
    for one in kept:
        if (one["onset"], one["description"]) not in here:
            raw.annotations.append(one["onset"], one["duration"], one["description"])
    raw.info["bads"] = list(dict.fromkeys([*bads, *raw.info["bads"]]))
    return raw


# where a recording must not be read: marked bad by MNE or by hand, or where two recordings were joined
BAD_SPAN = re.compile(r"bad|edge\b|boundary$", re.IGNORECASE)


def _bad_in(folder: Path, table: str, run: Run) -> list[str]:
    rows = read_text_table(folder / table, name=table, area="MEG", subject=run.subject)
    if not {"name", "status"} <= set(rows.columns):
        return []
    return rows.loc[rows["status"].str.strip().str.lower() == "bad", "name"].tolist()


def _entities(name: str) -> dict[str, str]:
    return dict(re.findall(r"(?:^|_)([a-z]+)-([A-Za-z0-9+]+)(?=_)", name))


def _upwards(folder: Path, place: PurePosixPath) -> list[PurePosixPath]:
    """The recording's folder and those above it, up to the root of its data set."""
    places = [place]
    while place.name not in ("", "..") and not (folder / place / "dataset_description.json").is_file():
        place = place.parent
        places.append(place)
    return places


def _unreadable(path: Path, name: str, run: Run, error: Exception) -> Problem:
    why = why_unreadable(path) if path.is_file() else "a file in the folder is missing or damaged"
    return problem("E-MEG-01", "MNE cannot read this file", run, file=name, found=told_of(path, name, str(error)),
                   expected="a recording that MNE reads", why=why, fix=f"copy the file again, or: datalad get {name}")  # fmt: skip
