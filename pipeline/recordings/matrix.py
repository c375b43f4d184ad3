"""`kind: arrays`: recordings that are clean already, as a sample x target matrix at a fixed rate."""

from pathlib import Path
from typing import Any, ClassVar, Literal

import numpy as np
from pydantic import Field

from pipeline.problems import Problem, StudyError, shown
from pipeline.recordings.base import (
    Cleaned,
    Header,
    check_shapes,
    known_tr,
    problem,
    told_of,
    why_unreadable,
    zscored,
)
from pipeline.recordings.ongrid import OnGrid
from pipeline.runs import Run
from pipeline.tables import missing_file, number, read_text_table

MOST_MISSING = 0.05  # share of targets with missing values from which a run is refused
FEWEST_SAMPLES = 30


class Arrays(OnGrid):
    """Responses that somebody cleaned before: .npy, .h5, .nc, .tsv or .csv."""

    version: ClassVar[int] = 1
    group_settings: ClassVar[frozenset[str]] = frozenset({"common_targets"})
    kind: Literal["arrays"] = "arrays"
    standardize: bool = Field(True, description="z-score each target in each run and presentation")
    common_targets: bool = Field(
        False,
        description="do columns of one name mean the same in everyone? Parcels and electrodes do, components of each person's "
        "own decomposition do not; what people share target by target (`isc`) needs it",
    )

    def header(self, run: Run, folder: Path) -> Header:
        shapes = [_READERS[_ending(name, run)](folder / name, name, run, True)[0] for name in run.responses]
        first = shapes[0]
        check_shapes(shapes, run)
        if first[0] < FEWEST_SAMPLES:
            raise StudyError(
                problem(
                    "E-ARRAY-06",
                    "a run is too short to be scored",
                    run,
                    found=f"{first[0]} samples",
                    expected=f"at least {FEWEST_SAMPLES}",
                )
            )
        return Header(first[0], first[1], known_tr(run, None, run.responses[0]))

    def clean(self, run: Run, folder: Path, names: tuple[str, ...], shared: Any = None, workers: int = 1) -> Cleaned:
        tr_s = self.header(run, folder).tr_s
        read = [_READERS[_ending(name, run)](folder / name, name, run, False) for name in run.responses]
        check_shapes([values.shape for values, _ in read], run)
        responses = np.stack([values for values, _ in read]).astype(np.float64)
        targets = _target_names(_own_names([own for _, own in read], run), names, responses.shape[2], run)
        responses, warnings = _without_missing(responses, targets, run)
        if self.standardize:
            responses = np.stack([zscored(r) for r in responses])
        times_s = run.start_s + tr_s * np.arange(responses.shape[1])
        return Cleaned(responses.astype(np.float32), times_s, tr_s, targets, warnings)


def _ending(name: str, run: Run) -> str:
    ending = Path(name).suffix.lower()
    if ending in _READERS:
        return ending
    fix = "use `kind: fmri` for images" if name.endswith((".nii", ".nii.gz")) else "save the matrix as .npy or .tsv"
    raise StudyError(
        problem(
            "E-ARRAY-01",
            "this format holds no sample x target matrix",
            run,
            file=name,
            found=shown(ending),
            expected=", ".join(_READERS),
            fix=fix,
        )
    )


def _own_names(named: list[tuple[str, ...]], run: Run) -> tuple[str, ...]:
    """The names that the files give; presentations must give the same in the same order."""
    given = sorted(set(named), key=named.index)
    if len(given) > 1:
        raise StudyError(
            problem("E-ARRAY-05", f"presentations of run {run.run} differ in their targets", run, file=", ".join(run.responses),
                    found=shown([names[:3] for names in given]), expected="the same names in the same order",
                    fix="put the columns of every presentation into one order")
        )  # fmt: skip
    return given[0]


def _target_names(own: tuple[str, ...], named: tuple[str, ...], n_targets: int, run: Run) -> tuple[str, ...]:
    if own:
        return own
    if named and len(named) != n_targets:
        raise StudyError(
            problem(
                "E-ARRAY-04", "targets.tsv and the responses differ in the number of targets", run,
                found=f"{len(named)} names, {n_targets} columns", fix="name every column once, in order (a target in several regions stays one name)",
            )
        )  # fmt: skip
    return named or tuple(f"t{i}" for i in range(n_targets))


def _without_missing(responses: np.ndarray, targets: tuple[str, ...], run: Run) -> tuple[np.ndarray, list[Problem]]:
    """Targets with a missing value become missing throughout; many of them stop the run."""
    bad = ~np.isfinite(responses).all(axis=(0, 1))
    if not bad.any():
        return responses, []
    count = f"{bad.sum()} of {bad.size} targets, such as {targets[int(bad.argmax())]!r}"
    if bad.mean() > MOST_MISSING:
        raise StudyError(
            problem(
                "E-ARRAY-03",
                "too many targets hold NaN or infinite values",
                run,
                found=count,
                expected=f"at most {MOST_MISSING:.0%}",
                fix="interpolate the samples, or leave these targets out",
            )
        )
    warning = problem(
        "W-ARRAY-03", "targets with NaN or infinite values are left out and counted as missing", run, found=count
    )
    return np.where(bad, np.nan, responses), [warning]


def _matrix(values: Any, name: str, run: Run) -> Any:
    """A 2-D matrix of numbers, or a refusal."""
    if values.dtype.kind not in "fiu":
        raise StudyError(
            problem(
                "E-ARRAY-02",
                "responses are no numbers",
                run,
                file=name,
                found=str(values.dtype),
                expected="float or integer",
                fix="save plain numbers; pickled objects are never read",
            )
        )
    if values.ndim != 2 or 0 in values.shape:
        raise StudyError(
            problem(
                "E-ARRAY-02",
                "responses are no sample x target matrix",
                run,
                file=name,
                found=f"shape {values.shape}",
                expected="(sample, target)",
            )
        )
    return values


def _npy(path: Path, name: str, run: Run, header: bool) -> tuple[Any, tuple[str, ...]]:
    try:
        values = np.lib.format.open_memmap(path, mode="r")
    except (ValueError, OSError, EOFError, OverflowError) as error:
        raise StudyError(_unreadable(path, name, run, error)) from None
    values = _matrix(values, name, run)
    return (values.shape if header else np.asarray(values)), ()


def _h5(path: Path, name: str, run: Run, header: bool) -> tuple[Any, tuple[str, ...]]:
    import h5py

    try:
        with h5py.File(path, "r") as file:
            tables = [v for v in file.values() if isinstance(v, h5py.Dataset) and v.ndim == 2]
            if len(tables) != 1:
                found = f"{len(tables)} two-dimensional data sets among {sorted(file)}"
                raise StudyError(
                    problem(
                        "E-ARRAY-02",
                        "the file must hold one matrix",
                        run,
                        file=name,
                        found=shown(found),
                        expected="one sample x target data set",
                    )
                )
            values = _matrix(tables[0], name, run)
            return (values.shape if header else values[()]), ()
    except OSError as error:
        raise StudyError(_unreadable(path, name, run, error)) from None


def _nc(path: Path, name: str, run: Run, header: bool) -> tuple[Any, tuple[str, ...]]:
    import xarray as xr

    try:
        with xr.open_dataset(path, engine="h5netcdf") as ds:
            tables = [v for v in ds.data_vars.values() if set(v.dims) == {"sample", "target"}]
            if len(tables) != 1:
                raise StudyError(
                    problem(
                        "E-ARRAY-02",
                        "the file must hold one array with axes sample and target",
                        run,
                        file=name,
                        found=shown({n: v.dims for n, v in ds.data_vars.items()}),
                    )
                )
            values = _matrix(tables[0].transpose("sample", "target"), name, run)
            own = tuple(map(str, ds["target"].values)) if "target" in ds.coords else ()
            return (values.shape if header else values.values), own
    except (OSError, ValueError) as error:
        raise StudyError(_unreadable(path, name, run, error)) from None


def _table(path: Path, name: str, run: Run, header: bool) -> tuple[Any, tuple[str, ...]]:
    frame = read_text_table(path, name=name, area="ARRAY", subject=run.subject)
    if all(number(cell) == number(cell) for cell in frame.columns):
        raise StudyError(
            problem("E-ARRAY-02", "the first line holds numbers", run, file=name, found=shown(list(frame.columns[:5])),
                    expected="names of the targets in the first line", why="the first sample would be lost",
                    fix="put a line of names above the numbers, or save the matrix as .npy")
        )  # fmt: skip
    values = frame.map(number).to_numpy(float)
    text = np.isnan(values) & ~frame.isin(["n/a", "nan", "NaN", ""]).to_numpy()
    if text.any():
        row, column = np.argwhere(text)[0]
        raise StudyError(
            problem(
                "E-ARRAY-02",
                "responses are no numbers",
                run,
                file=name,
                field=f"{frame.columns[column]}, row {row + 2}",
                found=shown(frame.iloc[row, column]),
                expected="numbers below one line of target names",
            )
        )
    values = _matrix(values, name, run)
    return (values.shape if header else values), tuple(frame.columns)


def _unreadable(path: Path, name: str, run: Run, error: Exception) -> Problem:
    if not path.is_file():
        return missing_file(path, name, "ARRAY", {"subject": run.subject})
    return problem(
        "E-ARRAY-07",
        "responses cannot be read",
        run,
        file=name,
        found=told_of(path, name, str(error)),
        why=why_unreadable(path),
        fix="copy or fetch the file again",
    )


_READERS = {".npy": _npy, ".h5": _h5, ".hf5": _h5, ".hdf5": _h5, ".nc": _nc, ".tsv": _table, ".csv": _table}
