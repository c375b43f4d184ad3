"""One presentation of a run, from the time series as they were read to clean ones, with what was measured on the way."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Shaped

from pipeline.problems import Problem, StudyError
from pipeline.recordings import quality
from pipeline.recordings.base import Measured, problem
from pipeline.recordings.cleaning import broken, cleaned, flat
from pipeline.recordings.confounds import Confounds
from pipeline.recordings.parcels import averaged
from pipeline.runs import Run

MOST_MISSING = 0.05  # share of voxels with missing values from which a run is refused


class Presentation(NamedTuple):
    """Clean responses (float32, 0 where censored or flat), and what could not be used.

    `holes` counts the values of each target that are not finite, `flat` marks
    targets that do not move.
    """

    responses: Float[np.ndarray, "sample target"]
    holes: Shaped[np.ndarray, " target"]
    flat: Bool[np.ndarray, " target"]
    tsnr: Float[np.ndarray, " target"]
    dvars: Float[np.ndarray, " sample"]
    carpet: Float[np.ndarray, "row sample"]


def present(
    signals: Shaped[np.ndarray, "sample place"],
    tr_s: float,
    confounds: Confounds,
    *,
    high_pass: float | None,
    target_of: tuple[int, ...] = (),
    n_targets: int = 0,
    unmeasured: bool = False,
) -> Presentation:
    """Average places into parcels where asked, measure, and clean; `signals` is overwritten.

    `unmeasured`: a place without any finite value (the medial wall of a
    surface) was never measured, and is no hole.
    """
    holes = broken(signals)
    if target_of:
        still = flat(np.where(holes > 0, 0, signals)) if len(signals) else np.zeros(0, bool)
        signals = averaged(signals, target_of, (holes == 0) & ~still, n_targets)
        holes = broken(signals)
    never = holes == len(signals) if unmeasured else np.zeros(len(holes), bool)
    signals[:, holes > 0] = 0
    still = flat(signals)
    found = cleaned(signals, tr_s, high_pass=high_pass, confounds=confounds.values, censored=confounds.censored)
    found[:, still] = 0
    usable = ~still
    dvars = quality.dvars(signals[:, usable]) if confounds.dvars is None else confounds.dvars
    return Presentation(
        found, np.where(never, 0, holes), still & ((holes == 0) | never), quality.tsnr(signals), dvars,
        quality.carpet(signals[:, usable]),
    )  # fmt: skip


def together(found: Sequence[Presentation]) -> np.ndarray:
    """(presentation, sample, target); a target with a hole in any of them is missing in all."""
    responses = np.stack([p.responses for p in found]) if len(found) > 1 else found[0].responses[None]
    responses[:, :, np.sum([p.holes for p in found], axis=0) > 0] = np.nan
    return responses


def told(found: Sequence[Presentation], targets: tuple[str, ...], run: Run) -> list[Problem]:
    """Warnings for targets that are left out; `StudyError` where they are too many."""
    holes = np.sum([p.holes for p in found], axis=0)
    still = np.any([p.flat for p in found], axis=0) & (holes == 0)
    return _holes_told(holes, targets, run) + _flat_told(still, targets, run)


def measured(
    found: Sequence[Presentation],
    confounds: Sequence[Confounds],
    targets_dropped: dict[str, int],
    *,
    tr_s: float,
    high_pass: float | None,
    route: quality.Route,
) -> Measured:
    """What was measured, over the presentations of a run."""
    fd, motion = ([getattr(c, name) for c in confounds] for name in ("fd_mm", "motion"))
    summary = quality.summary(
        fd_mm=None if any(f is None for f in fd) else np.stack(fd), dvars=np.stack([p.dvars for p in found]),
        tsnr=np.mean([p.tsnr for p in found], axis=0), tr_s=tr_s, high_pass=high_pass,
        n_confounds=max(c.values.shape[1] for c in confounds),
        censored=_censored(confounds),
        targets_dropped=targets_dropped, route=route,
    )  # fmt: skip
    return Measured(
        summary._asdict(),
        None if any(f is None for f in fd) else np.stack(fd),
        np.stack([p.dvars for p in found]),
        None if any(m is None for m in motion) else np.stack(motion),
        np.mean([p.tsnr for p in found], axis=0),
        found[0].carpet,
    )


def _censored(confounds: Sequence[Confounds]) -> dict[str, int]:
    """Volumes that are left out, by reason; one that is bad in any presentation is left out of all."""
    reasons = dict.fromkeys(reason for c in confounds for reason in c.left_out)
    none = np.zeros(len(confounds[0].values), bool)
    return {reason: int(np.any([c.left_out.get(reason, none) for c in confounds], axis=0).sum()) for reason in reasons}


def _holes_told(holes: Shaped[np.ndarray, " target"], targets: tuple[str, ...], run: Run) -> list[Problem]:
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


def _flat_told(still: Bool[np.ndarray, " target"], targets: tuple[str, ...], run: Run) -> list[Problem]:
    if not still.any():
        return []
    count = f"{still.sum()} of {still.size} voxels, such as {targets[int(still.argmax())]}"
    return [
        problem("W-FMRI-06", f"{still.sum()} voxels of the mask are constant; they have no score", run, found=count)
    ]
