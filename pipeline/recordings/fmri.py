"""`kind: fmri`: images of the BOLD answer, cleaned by nilearn."""

import gc
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np
from pydantic import Field, NonNegativeFloat, PositiveFloat

from pipeline.problems import Problem, StudyError, shown
from pipeline.recordings.base import Cleaned, Header, Recording, known_tr, stacked
from pipeline.runs import Run

if TYPE_CHECKING:
    import nibabel as nib


class Fmri(Recording):
    """BOLD images: one sample per volume, one target per voxel of the mask.

    Detrended, high-passed and z-scored per run in one `nilearn.signal.clean`.
    Voxels are named `v<i>x<j>x<k>` by their indices in the image.
    """

    version: ClassVar[int] = 1
    kind: Literal["fmri"] = "fmri"
    high_pass: NonNegativeFloat = Field(
        0.008, description="Hz; slower drifts are removed (128 s, SPM's habit); 0 keeps them"
    )
    smoothing_mm: PositiveFloat | None = Field(
        None, description="mm; full width at half maximum of a Gaussian; none by default"
    )

    def header(self, run: Run, folder: Path) -> Header:
        images = [_opened(folder / name, name, run) for name in run.responses]
        shapes = [image.shape for image in images]
        if len(set(shapes)) > 1:
            raise StudyError(
                _problem("E-FMRI-09", f"presentations of run {run.run} differ in shape", run, found=str(shapes))
            )
        spacings = {_tr(image, folder / name, name, run) for image, name in zip(images, run.responses, strict=True)}
        if len(spacings) > 1:
            raise StudyError(
                _problem("E-FMRI-10", f"presentations of run {run.run} differ in TR", run, found=str(sorted(spacings)))
            )
        mask = _mask(run, folder, images[0])
        return Header(shapes[0][3], int(np.count_nonzero(np.asanyarray(mask.dataobj))), spacings.pop())

    def clean(self, run: Run, folder: Path, names: tuple[str, ...]) -> Cleaned:
        tr_s = self.header(run, folder).tr_s
        mask = _mask(run, folder, _opened(folder / run.responses[0], run.responses[0], run))
        inside = np.asanyarray(mask.dataobj) != 0
        masker = self._masker(mask, tr_s)
        signals = [self._signals(folder / name, name, masker, run) for name in run.responses]
        responses = stacked(signals, run).astype(np.float32)
        targets = tuple(f"v{i}x{j}x{k}" for i, j, k in np.argwhere(inside))
        constant = int((np.ptp(responses, axis=1) == 0).any(axis=0).sum())
        told = (
            [_problem("W-FMRI-06", f"{constant} voxels of the mask are constant; they have no score", run)]
            if constant
            else []
        )
        return Cleaned(responses, run.start_s + tr_s * np.arange(responses.shape[1]), tr_s, targets, told)

    def _masker(self, mask: "nib.Nifti1Image", tr_s: float) -> Any:
        from nilearn.maskers import NiftiMasker

        gc.freeze()  # nilearn collects garbage at every image; what imports left need not be walked each time
        # fitted once: each fit reads and checks the mask anew
        return NiftiMasker(
            mask_img=mask, t_r=tr_s, detrend=True, high_pass=self.high_pass or None,
            standardize="zscore_sample", smoothing_fwhm=self.smoothing_mm,
        ).fit()  # fmt: skip

    def _signals(self, path: Path, name: str, masker: Any, run: Run) -> np.ndarray:
        try:
            return masker.transform(str(path))
        except (OSError, EOFError, ValueError) as error:
            raise StudyError(
                _problem(
                    "E-FMRI-01",
                    "an image cannot be read to its end",
                    run,
                    file=name,
                    found=shown(str(error)),
                    fix="copy the file again",
                )
            ) from error


def _problem(code: str, summary: str, run: Run, **told: str) -> Problem:
    return Problem(code, summary, **({"file": run.responses[0]} | told), subject=run.subject)


def _opened(path: Path, name: str, run: Run) -> Any:
    import nibabel as nib

    try:
        image = nib.load(path)
    except (nib.filebasedimages.ImageFileError, OSError, EOFError) as error:
        raise StudyError(
            _problem(
                "E-FMRI-03",
                "this is no image",
                run,
                file=name,
                found=shown(" ".join(str(error).split())),
                fix="fetch or copy the file again",
            )
        ) from None
    if len(image.shape) != 4:
        raise StudyError(
            _problem(
                "E-FMRI-13",
                "an image over time is wanted",
                run,
                file=name,
                found=f"shape {image.shape}",
                expected="(x, y, z, volume)",
            )
        )
    return image


def _tr(image: Any, path: Path, name: str, run: Run) -> float:
    """Seconds between volumes: the BIDS sidecar's where there is one, else the header's."""
    sidecar = path.with_name(path.name.removesuffix(".gz").removesuffix(".nii") + ".json")
    if sidecar.is_file():
        try:
            found = float(json.loads(sidecar.read_text(encoding="utf-8-sig"))["RepetitionTime"])
        except (ValueError, KeyError, TypeError) as error:
            raise StudyError(
                _problem(
                    "E-FMRI-11",
                    "a sidecar has no readable RepetitionTime",
                    run,
                    file=sidecar.name,
                    found=shown(str(error)),
                    expected='{"RepetitionTime": 2.0}',
                )
            ) from None
        return known_tr(run, found, sidecar.name)
    return known_tr(run, float(image.header.get_zooms()[3]), name)


def _mask(run: Run, folder: Path, image: Any) -> Any:
    import nibabel as nib

    if not run.mask:
        raise StudyError(
            _problem(
                "E-FMRI-07",
                "no mask says which voxels are brain",
                run,
                file="runs.tsv",
                field="mask",
                fix="name a mask image in column `mask`",
            )
        )
    mask = nib.load(folder / run.mask)
    if mask.shape != image.shape[:3] or not np.allclose(mask.affine, image.affine, atol=1e-3):
        raise StudyError(
            _problem(
                "E-FMRI-08", "mask and image do not lie on the same voxels", run, file=run.mask,
                found=f"mask {mask.shape} at {mask.affine[:3, 3].tolist()} mm, image {image.shape[:3]} at {image.affine[:3, 3].tolist()} mm",
                fix="resample the mask onto the image first",
            )
        )  # fmt: skip
    if not np.count_nonzero(np.asanyarray(mask.dataobj)):
        raise StudyError(_problem("E-FMRI-07", "the mask is empty", run, file=run.mask, found="0 voxels"))
    return mask
