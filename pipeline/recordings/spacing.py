"""When each volume was measured: what the sidecar, the header and the table of runs say, which must agree."""

import json
import math
from pathlib import Path
from typing import Any, NamedTuple

from pipeline.problems import StudyError, shown
from pipeline.recordings.base import known_tr, problem
from pipeline.runs import Run
from pipeline.sidecars import own_sidecar, sidecars

LONGEST_TR_S = 60.0


class Spacing(NamedTuple):
    """Seconds between volumes, and of what is before the first: volume k spans shift_s + k tr_s and one TR more."""

    tr_s: float
    shift_s: float = 0.0


def spacing_of(header_tr_s: float | None, folder: Path, name: str, run: Run) -> Spacing:
    """The one spacing of an image; `header_tr_s` is None where the header does not say.

    Slice-timing correction moves each volume to one moment of its TR, which
    fMRIPrep writes as `StartTime`. Volumes are read in the middle of their
    sample, so a volume corrected to its beginning lies half a TR early.
    """
    told = _sidecar(folder, name, run)
    found = {file: _plausible(tr_s, file, run) for file, tr_s in _spacings(told, header_tr_s, name)}
    values = list(found.values())
    if len(values) == 2 and abs(values[0] - values[1]) > 1e-3:
        raise StudyError(
            problem("E-FMRI-10", "sidecar and image disagree on the time between volumes", run, file=", ".join(found),
                    field="RepetitionTime", found=f"{values[0]:g} s in the sidecar, {values[1]:g} s in the image",
                    expected="the same within 1 ms", fix="mend the wrong one")
        )  # fmt: skip
    for file, tr_s in found.items():
        known_tr(run, tr_s, file)
    tr_s = known_tr(run, values[0] if values else None, name)
    start_s = told.content.get("StartTime")
    moved = bool(told.content.get("SliceTimingCorrected")) and isinstance(start_s, (int, float))
    return Spacing(tr_s, float(start_s) - tr_s / 2 if moved else 0.0)


class _Told(NamedTuple):
    """What the sidecars of an image say together, and which of them gave the spacing."""

    content: dict[str, Any]
    file: str


def _spacings(told: _Told, header_tr_s: float | None, name: str) -> list[tuple[str, float]]:
    found = [(told.file, told.content["RepetitionTime"])] if told.file else []
    return found + ([(name, header_tr_s)] if header_tr_s else [])


def _sidecar(folder: Path, name: str, run: Run) -> _Told:
    content: dict[str, Any] = {}
    source = ""
    for file in sidecars(folder, name):
        read = _read(folder / file, file, run)
        source = file if "RepetitionTime" in read else source
        content |= read
    own = own_sidecar(name)
    if (folder / own).is_file() and not source:
        raise StudyError(_unreadable(own, "no RepetitionTime", run))
    return _Told(content, source)


def _read(path: Path, name: str, run: Run) -> dict[str, Any]:
    try:
        told = json.loads(path.read_text(encoding="utf-8-sig"))
        if not isinstance(told, dict):
            raise ValueError("no RepetitionTime")
        return told | ({"RepetitionTime": float(told["RepetitionTime"])} if "RepetitionTime" in told else {})
    except (ValueError, TypeError) as error:
        raise StudyError(_unreadable(name, str(error), run)) from None


def _unreadable(name: str, found: str, run: Run) -> Any:
    return problem("E-FMRI-11", "a sidecar has no readable RepetitionTime", run, file=name, field="RepetitionTime",
                   found=shown(found), expected='{"RepetitionTime": 2.0}', fix="write the seconds between volumes into it")  # fmt: skip


def _plausible(tr_s: float, name: str, run: Run) -> float:
    if 0 < tr_s <= LONGEST_TR_S:
        return tr_s
    milliseconds = LONGEST_TR_S < tr_s < math.inf
    raise StudyError(
        problem("E-FMRI-11", "this is no time between volumes", run, file=name, field="RepetitionTime", found=f"{tr_s:g}",
                expected=f"seconds, more than 0 and at most {LONGEST_TR_S:g}",
                why=f"{tr_s:g} looks like milliseconds" if milliseconds else "",
                fix=f"write {tr_s / 1000:g}" if milliseconds else "write the seconds between volumes")
    )  # fmt: skip
