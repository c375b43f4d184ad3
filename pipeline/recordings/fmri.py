"""`kind: fmri`: images and surfaces of the BOLD answer, cleaned by nilearn."""

from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

import numpy as np
from jaxtyping import Float
from pydantic import BeforeValidator, Field, NonNegativeFloat, NonNegativeInt, PositiveFloat, PositiveInt

from pipeline.problems import Problem, StudyError
from pipeline.recordings import confounds as regressors
from pipeline.recordings import quality, raw
from pipeline.recordings.base import Cleaned, Header, problem
from pipeline.recordings.cleaning import high_passed
from pipeline.recordings.confounds import Component, Confounds, Terms
from pipeline.recordings.masks import Masking
from pipeline.recordings.ongrid import OnGrid
from pipeline.recordings.parcels import parcels
from pipeline.recordings.presentation import Presentation, measured, present, together, told
from pipeline.recordings.raw import Moved
from pipeline.recordings.scans import Scan, kind_of, scans_of
from pipeline.recordings.shared import Shared, shared_of, smoothed, volumes_of
from pipeline.recordings.surfaces import partner
from pipeline.runs import Run
from pipeline.sidecars import own_sidecar, sidecars
from pipeline.space import Space


def _several(value: Any) -> Any:
    """One component stands for a list of one, `none` for an empty list."""
    return value if not isinstance(value, str) else [] if value == "none" else [value]


class Fmri(OnGrid):
    """BOLD: one sample per volume; a target per voxel of the mask, vertex of the surface, or parcel.

    Drifts and confounds leave in one `nilearn.signal.clean` per presentation,
    which also z-scores. Voxels are named `v<i>x<j>x<k>` by their indices in the
    image, vertices `L<n>` and `R<n>`. A target with a value that is not finite
    is missing throughout; a constant one is 0. Censored volumes are no samples.
    """

    version: ClassVar[int] = 3
    has_places: ClassVar[bool] = True
    kind: Literal["fmri"] = "fmri"
    design_settings: ClassVar[frozenset[str]] = OnGrid.design_settings | {"filter_features"}
    high_pass: NonNegativeFloat = Field(
        0.008, description="Hz; slower drifts are removed by cosines (128 s, SPM's habit); 0 keeps them"
    )
    smoothing_mm: PositiveFloat | None = Field(
        None, description="mm; full width at half maximum of a Gaussian, volumes only; none by default"
    )
    confounds: Annotated[tuple[Component, ...], BeforeValidator(_several)] = Field(
        ("motion", "wm_csf", "non_steady_state"),
        description="what is regressed out or left out where a run has confounds; names as in nilearn's load_confounds",
    )
    motion: Terms = Field("full", description="head motion: basic 6 regressors, power2 or derivatives 12, full 24")
    wm_csf: Terms = Field(
        "basic", description="means of white matter and fluid: basic 2, power2 or derivatives 4, full 8"
    )
    global_signal: Terms = Field("basic", description="mean of the brain: basic 1, power2 or derivatives 2, full 4")
    n_compcor: PositiveInt = Field(
        5, description="components of anatomical CompCor; of high variance where no fMRIPrep ran"
    )
    fd_threshold_mm: PositiveFloat = Field(
        0.5, description="mm of framewise displacement above which `scrub` drops a volume"
    )
    std_dvars_threshold: PositiveFloat = Field(1.5, description="standardised DVARS above which `scrub` drops a volume")
    shortest_stretch: NonNegativeInt = Field(
        5, description="volumes; shorter stretches between scrubbed ones are dropped too (Power et al. 2014)"
    )
    mask: str | None = Field(None, description="mask of all runs, a file of the data set; by default each run's own")
    mask_space: Literal["run", "template"] = Field(
        "run", description="where `mask` lies: on the images, or in MNI152 space, onto which raw images are registered"
    )
    resample_mask: bool = Field(False, description="permit a mask on other voxels; nearest neighbour")
    parcels: str | None = Field(
        None, description="image of labels on the same voxels or vertices: targets are the means of parcels"
    )
    correct_motion: bool | None = Field(
        None, description="realign the volumes here; by default where the data set is raw, without fMRIPrep"
    )
    filter_features: bool = Field(False, description="high-pass the features of the words as the responses were")

    def header(self, run: Run, folder: Path) -> Header:
        scans = scans_of(run, folder)
        first, shared = scans[0], self._shared([run], folder, header_only=True)
        self._refuse_smoothed_surface(run)
        for scan, name in zip(scans, self._tables(run), strict=True):
            if name:
                self._freedom(self._read_confounds(folder, name, scan, run), scan.spacing.tr_s, name, run)
        n_places = len(first.space.places) if shared.inside is None else int(shared.inside.sum())
        if self.parcels and n_places:  # names of places take a while, and a plain count needs none
            n_places = len(self._parcels(folder, shared.places(first), shared, run)[0])
        return Header(first.n_samples, n_places or None, first.spacing.tr_s, first.grid)

    def files(self, run: Run, folder: Path) -> list[str]:
        found = [*run.responses, *(other for name in run.responses if (other := partner(name)))]
        # an image's own sidecar is named also while it is still to be made: a second run finds the same inputs
        found += [file for name in run.responses for file in (*sidecars(folder, name), own_sidecar(name))]
        atlas = self.parcels or ""
        found += [name for name in (self.mask or run.mask, atlas, atlas and partner(atlas), *run.confounds) if name]
        found += [str(Path(name).with_suffix(".json")) for name in run.confounds]
        return list(dict.fromkeys(found))

    def prepare(self, runs: list[Run], folder: Path, workers: int = 1) -> Shared:
        """What all runs of a person share: voxels that every mask holds, and where heads are moved to."""
        return self._shared(runs, folder, workers=workers)

    def clean(
        self, run: Run, folder: Path, names: tuple[str, ...], shared: Shared | None = None, workers: int = 1
    ) -> Cleaned:
        shared = shared or self.prepare([run], folder, workers)
        scans = scans_of(run, folder)
        tr_s, space = scans[0].spacing.tr_s, shared.places(scans[0])
        labels, target_of = self._parcels(folder, space, shared, run)
        found, taken, notes = [], [], [*shared.told]
        for scan, name in zip(scans, self._tables(run), strict=True):
            moved = raw.moved(scan, shared.reference, folder, run, workers) if self.realigned(run) else None
            confounds = self._confounds(scan, name, moved, shared, folder, run)
            notes += self._freedom(confounds, tr_s, name or scan.name, run)
            signals = self._signals(scan, moved, shared, folder, run)
            found.append(
                present(signals, tr_s, confounds, high_pass=self.high_pass or None, target_of=target_of, n_targets=len(labels),
                        unmeasured=bool(target_of) or space.kind != "volume")
            )  # fmt: skip
            notes += scan.warnings
            taken.append(confounds)
        notes += told(found, labels, run)
        notes += raw.no_tissue(self._strategy(), run) if self.realigned(run) and not run.confounds else []
        space = space._replace(target_of=target_of)
        return self._assembled(run, scans, found, taken, labels, space, notes)

    def _assembled(
        self, run: Run, scans: list[Scan], found: list[Presentation], taken: list[Confounds], labels: tuple[str, ...],
        space: Space, notes: list[Problem],
    ) -> Cleaned:  # fmt: skip
        responses = together(found)
        censored = np.any([c.censored for c in taken], axis=0)
        responses[:, censored] = 0
        tr_s, shift_s = scans[0].spacing
        dropped = {
            "not finite": int((np.sum([p.holes for p in found], axis=0) > 0).sum()),
            "constant or not measured": int(np.any([p.flat for p in found], axis=0).sum()),
        }
        about = measured(
            found, taken, {k: n for k, n in dropped.items() if n}, tr_s=tr_s, high_pass=self.high_pass or None,
            route=self._route(run),
        )  # fmt: skip
        times = run.start_s + shift_s + tr_s * np.arange(responses.shape[1])
        return Cleaned(responses, times, tr_s, labels, list(dict.fromkeys(notes)), censored, space, about)

    def for_design(self) -> dict[str, Any]:
        return super().for_design() | ({"high_pass": self.high_pass} if self.filter_features else {})

    def filtered(self, X: Float[np.ndarray, "sample feature"], tr_s: float) -> Float[np.ndarray, "sample feature"]:
        """Features as the responses are: without what is slower than the high-pass."""
        return high_passed(X, tr_s, self.high_pass) if self.filter_features and self.high_pass else X

    def _parcels(self, folder: Path, space: Space, shared: Shared, run: Run) -> tuple[tuple[str, ...], tuple[int, ...]]:
        """Names of the targets, and of parcels the target of each place."""
        return parcels(folder, self.parcels, space, shared.inside, run) if self.parcels else (space.places, ())

    def _refuse_smoothed_surface(self, run: Run) -> None:
        if self.smoothing_mm is not None and kind_of(run.responses[0]) != "volume":
            raise StudyError(
                problem("E-FMRI-18", "surfaces are not smoothed here", run, field="smoothing_mm", found=f"{self.smoothing_mm} mm",
                        why="a surface must be smoothed along itself, by its mesh", fix="leave smoothing_mm out, or smooth before")
            )  # fmt: skip

    def realigned(self, run: Run) -> bool:
        """Is the head's motion corrected here?"""
        wanted = run.raw if self.correct_motion is None else self.correct_motion
        return wanted and kind_of(run.responses[0]) == "volume"

    def _shared(self, runs: list[Run], folder: Path, *, workers: int = 1, header_only: bool = False) -> Shared:
        masking = Masking(self.mask, self.mask_space, self.resample_mask, self.parcels is not None)
        realigned = self.realigned(runs[0])
        return shared_of(runs, folder, masking, realigned=realigned, workers=workers, header_only=header_only)

    def _route(self, run: Run) -> quality.Route:
        return (
            "raw, motion corrected here"
            if self.realigned(run)
            else "fMRIPrep derivatives"
            if run.confounds
            else "as given"
        )

    def _tables(self, run: Run) -> tuple[str, ...]:
        return run.confounds or ("",) * len(run.responses)

    def _strategy(self) -> regressors.Strategy:
        return regressors.Strategy(
            self.confounds, self.motion, self.wm_csf, self.global_signal, self.n_compcor, self.fd_threshold_mm,
            self.std_dvars_threshold, self.shortest_stretch,
        )  # fmt: skip

    def _read_confounds(self, folder: Path, name: str, scan: Scan, run: Run) -> Confounds:
        return regressors.read(folder, name, self._strategy(), scan.n_samples, run)

    def _confounds(
        self, scan: Scan, name: str, moved: Moved | None, shared: Shared, folder: Path, run: Run
    ) -> Confounds:
        if name:
            return self._read_confounds(folder, name, scan, run)
        return raw.confounds_of(moved, self._strategy(), shared.inside) if moved else regressors.none(scan.n_samples)

    def _freedom(self, confounds: Confounds, tr_s: float, name: str, run: Run) -> list[Problem]:
        n, n_censored = len(confounds.values), int(confounds.censored.sum())
        left = quality.df_left(n, confounds.values.shape[1], self.high_pass or None, tr_s, n_censored)
        problems = regressors.check_freedom(confounds, left, name, run)
        if stops := [p for p in problems if p.level == "error"]:
            raise StudyError(*stops)
        return problems

    def _signals(self, scan: Scan, moved: Moved | None, shared: Shared, folder: Path, run: Run) -> np.ndarray:
        """Time series of the places, as they were measured or with the head held still, smoothed where asked."""
        if self.smoothing_mm is None:
            return scan.read(shared.inside) if moved is None else moved.volumes[shared.inside].T
        self._refuse_smoothed_surface(run)
        volumes = volumes_of(scan, folder, run) if moved is None else moved.volumes
        return smoothed(scan, volumes, shared.inside, self.smoothing_mm)
