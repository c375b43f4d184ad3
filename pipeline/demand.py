"""Memory that a run will need, told before anything is read."""

import os
from typing import TYPE_CHECKING

from pipeline.problems import Problem

if TYPE_CHECKING:
    from pipeline.recordings import Header
    from pipeline.runs import Run

LONGEST_USUAL = 20_000  # volumes; over five hours at one per second, so more is rare or a mistake
_FASTEST_VOLUMES_S = 0.1  # samples closer than this are no volumes
SIZES_HELD = 1.2  # of the run's own size; cleaning held 1.19 of it, see docs/performance.md
_GB = 1e9


def cleaning_bytes(n_samples: int, n_targets: int, n_presentations: int = 1) -> float:
    """What cleaning one run holds at most, in bytes: its responses as float32, and a fifth more."""
    return SIZES_HELD * 4.0 * n_samples * n_targets * n_presentations


def too_long(run: "Run", header: "Header", memory: float | None = None) -> list[Problem]:
    """A run that is very long, or larger than half of the machine's `memory` (bytes); its demand is in the message."""
    memory = _memory() if memory is None else memory
    # where the mask is made of the data, the header does not know the targets
    need = cleaning_bytes(header.n_samples, header.n_targets or 0, len(run.responses))
    long = header.n_samples >= LONGEST_USUAL and header.tr_s >= _FASTEST_VOLUMES_S
    if not long and need <= memory / 2:
        return []
    per_thousand = cleaning_bytes(header.n_samples, 1000, len(run.responses)) / _GB
    told = (
        f"about {need / _GB:.1f} GB for {header.n_targets:,} targets"
        if header.n_targets
        else f"about {per_thousand:.2f} GB for every 1,000 voxels of the mask"
    )
    return [
        Problem(
            "W-DATA-53", "a run is very large", file=run.responses[0], found=f"{header.n_samples:,} samples; cleaning it needs {told}",
            expected=f"fewer than {LONGEST_USUAL:,} samples, and half of the {memory / _GB:.0f} GB of this machine",
            fix="give a mask or parcels, split the run, or let fewer jobs run at a time (--cores)", subject=run.subject,
        )
    ]  # fmt: skip


def _memory() -> float:
    return float(os.sysconf("SC_PAGE_SIZE")) * os.sysconf("SC_PHYS_PAGES")
