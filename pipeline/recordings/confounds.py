"""What is regressed out of a run, and which of its volumes are left out: from a table that fMRIPrep wrote.

nilearn chooses the columns; what it passes over in silence (a column that is
not there, a gap in the middle, a table of another length) is refused here.
"""

import json
import tempfile
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Literal, NamedTuple

import numpy as np
from jaxtyping import Bool, Float

from pipeline.problems import Problem, StudyError, shown
from pipeline.recordings.base import problem
from pipeline.runs import Run
from pipeline.tables import missing_file, number, read_text_table, rows_told

if TYPE_CHECKING:
    import pandas as pd

Component = Literal["motion", "wm_csf", "global_signal", "compcor", "high_pass", "scrub", "non_steady_state"]
Terms = Literal["basic", "power2", "derivatives", "full"]

_MOTION = ("trans_x", "trans_y", "trans_z", "rot_x", "rot_y", "rot_z")
_NEEDED = {
    "motion": _MOTION,
    "wm_csf": ("csf", "white_matter"),
    "global_signal": ("global_signal",),
    "compcor": ("a_comp_cor_00", "cosine00"),
    "high_pass": ("cosine00",),
    "scrub": ("framewise_displacement", "std_dvars"),
}
SUFFIXES = {"basic": ("",), "power2": ("", "_power2"), "derivatives": ("", "_derivative1"),
             "full": ("", "_power2", "_derivative1", "_derivative1_power2")}  # fmt: skip
_UNSTEADY, MOVED = "not steady yet", "head moved (scrubbed)"
_OLD = "FramewiseDisplacement"  # a column of fMRIPrep before 1.2
# nilearn finds a table by the name of its image; any laboratory's name is read under this one
_IMAGE, _TABLE = "sub-1_task-1_space-T1w_desc-preproc_bold.nii.gz", "sub-1_task-1_desc-confounds_timeseries"


class Confounds(NamedTuple):
    """Columns to regress out (sample, column) with their names, and why volumes are left out, by reason."""

    values: Float[np.ndarray, "sample column"]
    names: tuple[str, ...]
    left_out: Mapping[str, Bool[np.ndarray, " sample"]]
    fd_mm: Float[np.ndarray, " sample"] | None = None
    dvars: Float[np.ndarray, " sample"] | None = None
    motion: Float[np.ndarray, "sample axis"] | None = None

    @property
    def censored(self) -> Bool[np.ndarray, " sample"]:
        """Volumes that are left out for any reason."""
        return np.any([np.zeros(len(self.values), bool), *self.left_out.values()], axis=0)


class Strategy(NamedTuple):
    """Which components are regressed out, and how; names and meanings are nilearn's."""

    components: tuple[str, ...]
    motion: Terms
    wm_csf: Terms
    global_signal: Terms
    n_compcor: int
    fd_threshold_mm: float
    std_dvars_threshold: float
    shortest_stretch: int


def none(n_volumes: int) -> Confounds:
    """Nothing to regress out, nothing left out."""
    return Confounds(np.zeros((n_volumes, 0)), (), {})


def read(folder: Path, name: str, strategy: Strategy, n_volumes: int, run: Run) -> Confounds:
    """Choose and check the confounds of one presentation.

    Raises `StudyError` for a table that is not there, has another length than
    the image, lacks a column of the strategy, or has a gap after its first row.
    """
    if not (folder / name).is_file():
        raise StudyError(missing_file(folder / name, name, "FMRI", {"subject": run.subject}))
    table = read_text_table(folder / name, name=name, area="FMRI", subject=run.subject)
    if found := _unusable(folder, name, table, strategy, n_volumes, run):
        raise StudyError(*found)
    frame, kept = _chosen(folder / name, strategy, n_volumes)
    _refuse_gaps(frame, name, run)
    numbers = {c: _column(table, c, n_volumes) for c in (*_MOTION, "framewise_displacement", "std_dvars")}
    motion = np.stack([numbers[c] for c in _MOTION], axis=1)
    motion[:, 3:] = np.degrees(motion[:, 3:])
    return Confounds(
        frame.to_numpy(float), tuple(frame.columns), _left_out(table, kept, n_volumes, strategy),
        *(v if np.isfinite(v).any() else None for v in (numbers["framewise_displacement"], numbers["std_dvars"], motion)),
    )  # fmt: skip


def _unusable(
    folder: Path, name: str, table: "pd.DataFrame", strategy: Strategy, n_volumes: int, run: Run
) -> list[Problem]:
    if _OLD in table.columns:
        return [
            problem("E-FMRI-43", "confounds of an fMRIPrep that is too old", run, file=name, found=f"column {_OLD!r}",
                    expected="columns such as framewise_displacement (fMRIPrep 1.2 or later)", fix="run a newer fMRIPrep")
        ]  # fmt: skip
    found = []
    if len(table) != n_volumes:
        found.append(
            problem("E-FMRI-12", "confounds and image differ in length", run, file=f"{name}, {run.responses[0]}",
                    found=f"{len(table)} rows, {n_volumes} volumes", expected="one row per volume",
                    why="one of them was cut, or belongs to another run", fix="use the table that was written with the image")
        )  # fmt: skip
    lacking = [c for c in _needed(strategy) if c not in table.columns]
    if lacking:
        found.append(
            problem("E-FMRI-40", "confounds lack columns of the strategy", run, file=name, field=", ".join(lacking),
                    found=f"{len(table.columns)} columns, {_version(folder, name)}", expected=f"columns of {', '.join(strategy.components)}",
                    fix="leave the component out of `confounds`, or write the columns with fMRIPrep")
        )  # fmt: skip
    return found


def _needed(strategy: Strategy) -> list[str]:
    wanted: list[str] = []
    for component in strategy.components:
        terms = getattr(strategy, component) if component in ("motion", "wm_csf", "global_signal") else ""
        wanted += [c + suffix for c in _NEEDED.get(component, ()) for suffix in SUFFIXES.get(terms, ("",))]
    return list(dict.fromkeys(wanted))


def _version(folder: Path, name: str) -> str:
    """What wrote the table, by the description of the data set above it."""
    for place in (folder / name).parents:
        description = place / "dataset_description.json"
        if description.is_file():
            try:
                by = json.loads(description.read_text(encoding="utf-8"))["GeneratedBy"][0]
                return f"{by['Name']} {by['Version']}"
            except (ValueError, KeyError, IndexError, TypeError):
                break
    return "written by an unknown version"


def _chosen(path: Path, strategy: Strategy, n: int) -> tuple["pd.DataFrame", np.ndarray | None]:
    """nilearn's choice of columns, and the volumes that it keeps (None: all)."""
    import pandas as pd
    from nilearn.interfaces.fmriprep import load_confounds

    # CompCor was computed behind a high-pass, so nilearn wants the cosines beside it; ours is in the same `clean`
    compcor = "compcor" in strategy.components and "high_pass" not in strategy.components
    components = [c for c in (*strategy.components, *(["high_pass"] if compcor else [])) if c != "non_steady_state"]
    if not components:
        return pd.DataFrame(index=range(n)), None
    with tempfile.TemporaryDirectory() as place, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        image = _as_nilearn_wants_it(Path(place), path)
        frame, kept = load_confounds(
            str(image), strategy=components, motion=strategy.motion, wm_csf=strategy.wm_csf,
            global_signal=strategy.global_signal, n_compcor=strategy.n_compcor, fd_threshold=strategy.fd_threshold_mm,
            std_dvars_threshold=strategy.std_dvars_threshold, scrub=strategy.shortest_stretch,
        )  # fmt: skip
    if compcor:
        frame = frame[[c for c in frame.columns if not c.startswith("cosine")]]
    return frame, kept


def _as_nilearn_wants_it(place: Path, path: Path) -> Path:
    (place / f"{_TABLE}.tsv").symlink_to(path.resolve())
    if (about := path.with_suffix(".json")).is_file():
        (place / f"{_TABLE}.json").symlink_to(about.resolve())
    (place / _IMAGE).touch()
    return place / _IMAGE


def _refuse_gaps(frame: "pd.DataFrame", name: str, run: Run) -> None:
    gaps = np.argwhere(~np.isfinite(frame.to_numpy(float)))
    if not len(gaps):
        return
    row, column = gaps[0]
    raise StudyError(
        problem("E-FMRI-39", "confounds have a gap", run, file=name, field=f"{frame.columns[column]}, {rows_told([int(row)])}",
                found=f"n/a, in {len(gaps)} cells", expected="a number in every row but the first",
                why="nilearn fills the first row only", fix="leave that component out of `confounds`, or mend the table")
    )  # fmt: skip


def _left_out(table: "pd.DataFrame", kept: np.ndarray | None, n: int, strategy: Strategy) -> dict[str, np.ndarray]:
    """Volumes that are left out, each with the first reason that holds."""
    found: dict[str, np.ndarray] = {}
    unsteady = [c for c in table.columns if c.startswith("non_steady_state")]
    if unsteady and "non_steady_state" in strategy.components:
        found[_UNSTEADY] = (table[unsteady].map(number) == 1).any(axis=1).to_numpy(bool)
    if "scrub" in strategy.components and kept is not None:
        dropped = np.ones(n, bool)
        dropped[np.asarray(kept, int)] = False
        found[MOVED] = dropped & ~found.get(_UNSTEADY, np.zeros(n, bool))
    return {reason: volumes for reason, volumes in found.items() if volumes.any()}


def _column(table: "pd.DataFrame", name: str, n: int) -> np.ndarray:
    return table[name].map(number).to_numpy(float) if name in table.columns else np.full(n, np.nan)


def check_freedom(confounds: Confounds, df_left: float, name: str, run: Run) -> list[Problem]:
    """Refuse a run from which everything would be taken away; warn where much is."""
    n, dropped, columns = len(confounds.values), int(confounds.censored.sum()), confounds.values.shape[1]
    kept = n - dropped
    told = f"{columns} confounds, {kept} of {n} volumes kept, {df_left:.0f} degrees of freedom left"
    fix = "use fewer components (motion: basic, n_compcor: 5), or leave the run out"
    if kept < n * FEWEST_KEPT:
        return [
            problem("E-FMRI-42", "too many volumes are left out", run, file=name, found=told, expected=f"at least {FEWEST_KEPT:.0%} kept",
                    fix="raise fd_threshold_mm, take `scrub` out of `confounds`, or leave the run out")
        ]  # fmt: skip
    if df_left < 1:
        return [problem("E-FMRI-41", "confounds take away all of the signal", run, file=name, found=told, fix=fix)]
    found = []
    if df_left < kept * (1 - MOST_TAKEN):
        found = [problem("W-FMRI-41", "confounds take away much of the signal", run, file=name, found=told, fix=fix)]
    if dropped:
        reasons = ", ".join(f"{int(v.sum())} {reason}" for reason, v in confounds.left_out.items())
        found.append(
            problem("W-FMRI-42", "volumes are left out", run, file=name, found=shown(f"{reasons}, of {n}", 120))
        )
    return found


FEWEST_KEPT = 0.5  # share of volumes below which a run says more about its gaps than about the story
MOST_TAKEN = 0.4  # share of degrees of freedom from which a run is worth a warning
