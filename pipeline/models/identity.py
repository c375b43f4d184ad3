"""Are networks under different names different networks, and checkpoints in the order of their training?

Seeds have been ignored, and public checkpoints have served the final weights
under early names; either makes a control, or a trajectory, of nothing.
"""

from itertools import combinations
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float

from pipeline.models.refusals import another_shape, not_a_trajectory, same_network, worse_with_training
from pipeline.models.weights import Network
from pipeline.problems import StudyError

_SAMPLED = 2**20  # parameters of a network by which distances are measured
_DETOUR = 0.95  # a swap that shortens the way by less may be chance
_LEFT = 0.5  # of what the first checkpoint knew of the text, ln(vocabulary) less its loss


class Met(NamedTuple):
    """What is kept of a network when it is gone: its hash, a sample of its parameters, and its loss on the text."""

    sha256: str
    sample: Float[np.ndarray, " parameter"]
    loss: float | None


class Register:
    """Networks met under their names, in order."""

    def __init__(self, model: str):
        self.model = model
        self.met: dict[str, Met] = {}

    def add(self, name: str, network: Network, facts: dict[str, Any]) -> None:
        """Remember a network. Those of one register have the same parameters, else they are no one's twins."""
        loss, sample = facts.get(f"loss_{name}"), _sample(network.model)
        first = next(iter(self.met.values()), None)
        if first and len(first.sample) != len(sample):
            raise StudyError(another_shape(self.model, name, next(iter(self.met))))
        self.met[name] = Met(network.sha256, sample, None if loss is None else float(loss))

    def check(self, *, ordered: bool, chance: float) -> None:
        """Refuse equal networks; and, of checkpoints that should be ordered, an order their weights contradict.

        `chance` is ln(vocabulary), the loss of who knows nothing.
        """
        seen: dict[str, str] = {}
        for name, met in self.met.items():
            if met.sha256 in seen:
                raise StudyError(same_network(self.model, seen[met.sha256], name, met.sha256, ordered))
            seen[met.sha256] = name
        if ordered:
            _check_way(self.model, self.met)
            _check_losses(self.model, self.met, chance)


def _check_way(model: str, met: dict[str, Met]) -> None:
    """Training moves weights away from where they were: two checkpoints that changed places make a detour."""
    names, samples = list(met), [m.sample for m in met.values()]
    apart = np.array([[np.linalg.norm(a - b) for b in samples] for a in samples])
    told = np.arange(len(names))
    found = []
    for i, j in combinations(range(len(names)), 2):
        swapped = told.copy()
        swapped[[i, j]] = j, i
        edges = {k for k in (i - 1, i, j - 1, j) if 0 <= k < len(names) - 1}
        before, after = (sum(apart[way[k], way[k + 1]] for k in edges) for way in (told, swapped))
        found.append((float(after / before), names[i], names[j]))
    if found and min(found)[0] < _DETOUR:
        raise StudyError(not_a_trajectory(model, *min(found)))


def _check_losses(model: str, met: dict[str, Met], chance: float) -> None:
    """Of a way walked backwards the length tells nothing, but what was learned by its end does.

    On a text unlike that of the training the loss may well rise late; that it
    forgets most of what it knew at the first checkpoint is another matter.
    """
    (first, one), (last, other) = next(iter(met.items())), list(met.items())[-1]
    if one.loss is None or other.loss is None or one.loss >= chance:
        return
    if chance - other.loss < _LEFT * (chance - one.loss):
        raise StudyError(worse_with_training(model, first, one.loss, last, other.loss, chance))


def _sample(model: Any) -> Float[np.ndarray, " parameter"]:
    """Every so manieth parameter, the same ones in every network of a family."""
    total = sum(p.numel() for p in model.parameters())
    stride = max(total // _SAMPLED, 1)
    parts = [p.detach().reshape(-1)[::stride].float().cpu().numpy() for _, p in sorted(model.named_parameters())]
    return np.concatenate(parts)
