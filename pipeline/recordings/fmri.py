"""`kind: fmri`: images of the BOLD answer, cleaned by nilearn."""

import json
import math
from pathlib import Path
from typing import Any, ClassVar, Literal, NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Shaped
from pydantic import Field, NonNegativeFloat, PositiveFloat

from pipeline.problems import Problem, StudyError, shown
from pipeline.recordings.base import Cleaned, Header, Recording, known_tr, problem
from pipeline.recordings.images import mask_of, opened_over_time, voxels
from pipeline.runs import Run

MOST_MISSING = 0.05  # share of voxels with missing values from which a run is refused
FEWEST_VOLUMES = 30
FLAT = 1e-6  # range over magnitude; a float32 voxel that moves by its last digit only is constant
LONGEST_TR_S = 60.0


class Fmri(Recording):
    """BOLD images: one sample per volume, one target per voxel of the mask.

    Detrended, high-passed and z-scored per run in one `nilearn.signal.clean`.
    Voxels are named `v<i>x<j>x<k>` by their indices in the image. A voxel with
    a value that is not finite is missing throughout; a constant one is 0.
    """

    version: ClassVar[int] = 2
    kind: Literal["fmri"] = "fmri"
    high_pass: NonNegativeFloat = Field(
        0.008, description="Hz; slower drifts are removed (128 s, SPM's habit); 0 keeps them"
    )
    smoothing_mm: PositiveFloat | None = Field(
        None, description="mm; full width at half maximum of a Gaussian; none by default"
    )

    def header(self, run: Run, folder: Path) -> Header:
        scan = _scan(run, folder)
        return Header(scan.images[0].shape[3], int(scan.inside.sum()), scan.tr_s)

    def files(self, run: Run) -> list[str]:
        return [*super().files(run), *map(_sidecar, run.responses)]

    def clean(self, run: Run, folder: Path, names: tuple[str, ...]) -> Cleaned:
        images, inside, tr_s = _scan(run, folder)
        targets = tuple(f"v{i}x{j}x{k}" for i, j, k in np.argwhere(inside))
        read = [self._read(image, folder, name, inside, run) for image, name in zip(images, run.responses, strict=True)]
        holes = np.sum([holes for _, holes in read], axis=0)
        warnings = _holes_told(holes, targets, run)
        flat = np.stack([_flat(signals) for signals, _ in read]) & (holes == 0)
        warnings += _flat_told(flat.any(axis=0), targets, run)
        responses = np.stack([self._cleaned(signals, tr_s) for signals, _ in read])
        responses = np.where(flat[:, None], np.float32(0), responses)
        responses[:, :, holes > 0] = np.nan
        return Cleaned(responses, run.start_s + tr_s * np.arange(responses.shape[1]), tr_s, targets, warnings)

    def _read(
        self, image: Any, folder: Path, name: str, inside: Bool[np.ndarray, "x y z"], run: Run
    ) -> tuple[Float[np.ndarray, "sample voxel"], Shaped[np.ndarray, " voxel"]]:
        """Signals of the voxels in the mask, and how many values of each are not finite; such a voxel is 0."""
        values = voxels(image, folder, name, run)
        holes = np.count_nonzero(~np.isfinite(values[inside]), axis=1)
        if self.smoothing_mm is not None:
            values = _smoothed(values, image.affine, self.smoothing_mm)
        signals = values[inside].T
        signals[:, holes > 0] = 0
        return signals.astype(signals.dtype.newbyteorder("="), copy=False), holes

    def _cleaned(self, signals: Float[np.ndarray, "sample voxel"], tr_s: float) -> Float[np.ndarray, "sample voxel"]:
        from nilearn.signal import clean

        high_pass = self.high_pass or None
        cleaned = clean(signals, detrend=True, standardize="zscore_sample", t_r=tr_s, high_pass=high_pass)
        return cleaned.astype(np.float32)


class _Scan(NamedTuple):
    """The images of one run, one per presentation, that lie on one mask and tick alike."""

    images: list[Any]
    inside: Bool[np.ndarray, "x y z"]
    tr_s: float


def _scan(run: Run, folder: Path) -> _Scan:
    images = [opened_over_time(folder, name, run) for name in run.responses]
    shapes = [image.shape for image in images]
    together = ", ".join(run.responses)
    if len(set(shapes)) > 1:
        raise StudyError(
            problem("E-FMRI-09", f"presentations of run {run.run} differ in shape", run, file=together, found=str(shapes),
                    expected="the same voxels and volumes", fix="trim them alike, or give them run labels of their own")
        )  # fmt: skip
    if shapes[0][3] < FEWEST_VOLUMES:
        raise StudyError(
            problem("E-FMRI-16", "a run is too short to be scored", run, found=f"{shapes[0][3]} volumes",
                    expected=f"at least {FEWEST_VOLUMES}", fix="leave the run out")
        )  # fmt: skip
    spacings = [_tr(image, folder, name, run) for image, name in zip(images, run.responses, strict=True)]
    if max(spacings) - min(spacings) > 1e-3:
        raise StudyError(
            problem("E-FMRI-10", f"presentations of run {run.run} differ in TR", run, file=together,
                    found=f"{spacings} s", expected="one TR", fix="give them run labels of their own")
        )  # fmt: skip
    return _Scan(images, mask_of(run, folder, images), spacings[0])


def _sidecar(name: str) -> str:
    return name.removesuffix(".gz").removesuffix(".nii") + ".json"


def _tr(image: Any, folder: Path, name: str, run: Run) -> float:
    """Seconds between volumes: the sidecar's, the image header's and the table's, which must agree."""
    sidecar = _sidecar(name)
    told = {sidecar: _sidecar_tr(folder / sidecar, sidecar, run), name: _header_tr(image, name, run)}
    known = {file: tr_s for file, tr_s in told.items() if tr_s is not None}
    values = list(known.values())
    if len(values) == 2 and abs(values[0] - values[1]) > 1e-3:
        raise StudyError(
            problem("E-FMRI-10", "sidecar and image disagree on the time between volumes", run, file=f"{sidecar}, {name}",
                    field="RepetitionTime", found=f"{values[0]:g} s in the sidecar, {values[1]:g} s in the image",
                    expected="the same within 1 ms", fix="mend the wrong one")
        )  # fmt: skip
    for file, tr_s in known.items():
        known_tr(run, tr_s, file)
    return known_tr(run, values[0] if values else None, name)


def _sidecar_tr(path: Path, name: str, run: Run) -> float | None:
    if not path.is_file():
        return None
    try:
        told = json.loads(path.read_text(encoding="utf-8-sig"))
        if not isinstance(told, dict) or "RepetitionTime" not in told:
            raise ValueError("no RepetitionTime")
        return _plausible(float(told["RepetitionTime"]), name, run)
    except (ValueError, TypeError) as error:
        raise StudyError(
            problem("E-FMRI-11", "a sidecar has no readable RepetitionTime", run, file=name, field="RepetitionTime",
                    found=shown(str(error)), expected='{"RepetitionTime": 2.0}', fix="write the seconds between volumes into it")
        ) from None  # fmt: skip


def _header_tr(image: Any, name: str, run: Run) -> float | None:
    """0 is how NIfTI says "not known"; the header is float32, so 0.72 is 0.7200000286 without rounding."""
    unit = {"msec": 1e-3, "usec": 1e-6}.get(image.header.get_xyzt_units()[1], 1.0)
    found = round(float(image.header.get_zooms()[3]) * unit, 6)
    return _plausible(found, name, run) if found else None


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


def _smoothed(
    values: Float[np.ndarray, "x y z sample"], affine: Float[np.ndarray, "4 4"], fwhm_mm: float
) -> Float[np.ndarray, "x y z sample"]:
    """A voxel with holes is 0 all the time, so that no neighbour sees it come and go."""
    from nibabel import Nifti1Image
    from nilearn.image import smooth_img

    whole = np.isfinite(values).all(axis=3, keepdims=True)
    return np.asarray(smooth_img(Nifti1Image(np.where(whole, values, 0), affine), fwhm_mm).dataobj)


def _flat(signals: Float[np.ndarray, "sample voxel"]) -> Bool[np.ndarray, " voxel"]:
    # nilearn would divide the rounding that detrending leaves by itself: noise of deviation 1
    return np.ptp(signals, axis=0) <= FLAT * np.abs(signals).max(axis=0)


def _holes_told(holes: Shaped[np.ndarray, " voxel"], targets: tuple[str, ...], run: Run) -> list[Problem]:
    bad = holes > 0
    if not bad.any():
        return []
    count = f"{holes.sum()} values in {bad.sum()} of {bad.size} voxels, such as {targets[int(bad.argmax())]}"
    if bad.mean() > MOST_MISSING:
        raise StudyError(
            problem("E-FMRI-05", "too many voxels of the mask hold NaN or infinite values", run, found=count,
                    expected=f"at most {MOST_MISSING:.0%}", why="the mask may reach beyond the field of view",
                    fix="use a mask of voxels that were measured")
        )  # fmt: skip
    return [
        problem("W-FMRI-05", "voxels with NaN or infinite values are left out and counted as missing", run, found=count)
    ]


def _flat_told(flat: Bool[np.ndarray, " voxel"], targets: tuple[str, ...], run: Run) -> list[Problem]:
    if not flat.any():
        return []
    count = f"{flat.sum()} of {flat.size} voxels, such as {targets[int(flat.argmax())]}"
    return [problem("W-FMRI-06", f"{flat.sum()} voxels of the mask are constant; they have no score", run, found=count)]
