"""What every union of a model and groups of controls explains of one person's tested samples."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from jaxtyping import Float

from pipeline import statistics
from pipeline.comparison.contrasts import Clock, clock_of
from pipeline.encoding import Encoding
from pipeline.joint import Activations, Joint, lay
from pipeline.ridge.partition import Explained, Names, explained, unions

if TYPE_CHECKING:
    import xarray as xr

    from pipeline.recordings import Recording

Groups = Mapping[str, tuple[str, ...]]  # name -> labels of the features in it; the model's group stands first


class Partition(NamedTuple):
    """What every union of groups explains of one person's tested samples.

    fits : of each union of groups, and of each control alone, one per fold.
    shifted : group -> joint R2 with this group's features rolled around their runs, (shift, fold, pool).
    layers : the model's layer in each fold.
    rows : the tested samples of each fold.
    """

    groups: Groups
    fits: dict[Names, list[Explained]]
    shifted: dict[str, Float[np.ndarray, "shift fold pool"]]
    layers: tuple[str, ...]
    rows: list[np.ndarray]


def partition(
    recording: "Recording",
    model: Activations,
    controls: Mapping[str, Activations],
    groups: Groups,
    recordings: Mapping[str, "xr.Dataset"],
    split: Mapping[str, str],
    scores: "xr.Dataset",
    settings: Encoding,
    *,
    shifts: int = 3,
    seed: int = 0,
    folder: Path | None = None,
) -> Partition:
    """Banded ridge from every union of the groups, each model and control with a penalty of its own.

    Each union is fitted anew and chooses its own penalties inside the
    training rows. What a group seems to add by chance, and by the number and
    smoothness of its features, is measured by fitting all of them once more
    with this group's features rolled around each run, by shifts that differ
    between runs and are at least as long as the blocks of an interval.

    Parameters
    ----------
    model, controls, scores, folder : as in `joint.lay`, which chooses the model's layer and the targets.
    groups : two or three; the first holds the model's label, which is none of the controls'.
    shifts : how often features are rolled; 0 for no such measure.
    seed : of the weightings and the shifts that are drawn.
    """
    laid = lay(recording, model, controls, recordings, split, scores, settings, seed, folder)
    member = scores["member"].values.astype(bool)
    single = [frozenset({label}) for labels in groups.values() for label in labels if len(labels) > 1]
    keys = [*unions(tuple(groups)), *single]
    fits: dict[Names, list[Explained]] = {key: [] for key in keys}
    shifted = {name: np.empty((shifts, len(laid.outer), len(member))) for name in groups}
    least = _shortest_shift(laid, clock(scores).block)
    for k in range(len(laid.outer)):
        spaces = {next(iter(groups.values()))[0]: laid.model(k)} | laid.controls
        for key in keys:
            fits[key].append(_fitted(laid, k, member, _of(key, groups, spaces)))
        for j, (name, labels) in enumerate(groups.items()):
            for i in range(shifts):
                rolled = _rolled(spaces, labels, laid.samples.run, least, [seed, i, j])
                one = _fitted(laid, k, member, _of(frozenset(groups), groups, rolled))
                shifted[name][i, k] = one.r2.sum(axis=(0, 2))
    return Partition(groups, fits, shifted, laid.layers, [test for _, test in laid.outer])


def clock(scores: "xr.Dataset") -> Clock:
    """The block length of every interval of the recording's model."""
    return clock_of({"": scores}, scores["fold_of"].values >= 0)


def _shortest_shift(laid: Joint, block: int) -> int:
    """As long as a block, and in runs of less than two blocks half of the shortest."""
    _, sizes = np.unique(laid.samples.run, return_counts=True)
    return max(min(block, int(sizes.min()) // 2), 1)


def _of(key: Names, groups: Groups, spaces: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """The features of some groups, or of one control."""
    wanted = {label for name in key for label in groups.get(name, (name,))}
    return {label: X for label, X in spaces.items() if label in wanted}


def _rolled(
    spaces: Mapping[str, np.ndarray], labels: Sequence[str], run: np.ndarray, least: int, seed: list[int]
) -> dict[str, np.ndarray]:
    """Some features rolled around each run; those of one group together."""
    found = dict(spaces)
    for label in labels:
        rng = np.random.default_rng(seed)
        found[label] = statistics.rolled(spaces[label], run=run, least=least, rng=rng)
    return found


def _fitted(laid: Joint, k: int, member: np.ndarray, spaces: Mapping[str, np.ndarray]) -> Explained:
    columns, y = laid.targets(k)
    return explained(spaces, y, fold=laid.outer[k], inner=laid.inner[k], pools=member[:, columns], **laid.options)
