"""What the networks of a study are called: trained, or twins that lack something of what training gave."""

from typing import NamedTuple


class Kind(NamedTuple):
    """One kind of twin: its name for one and for several, and what it tells."""

    one: str
    many: str
    meaning: str


def is_twin(weights: str) -> bool:
    """True for networks drawn by seed; trained ones and controls ("") are none."""
    return weights not in ("", "trained")


def kind_of(weights: str) -> Kind:
    """The kind by its name in the tables; one that nobody described is called by it."""
    return _KINDS.get(weights) or Kind(f"{weights} twin", f"{weights} twins", "Networks drawn anew for each seed.")


def named(weights: str, step: str = "") -> str:
    """What a table says of a model's weights; of a model with checkpoints, which one."""
    if is_twin(weights):
        return kind_of(weights).many
    return (weights or "control") + (f" ({step})" if step else "")


_KINDS = {
    "random": Kind(
        "random twin",
        "random twins",
        "The same network before any training, drawn anew for each seed. What they reach is owed to the architecture and "
        "to the timing of the words, not to training.",
    ),
    "shuffled": Kind(
        "shuffled-weight twin",
        "shuffled-weight twins",
        "The trained network with the entries of each weight tensor in random order, drawn anew for each seed. The sizes "
        "of the weights are those of training; what they compute together is lost.",
    ),
    "spectrum": Kind(
        "same-spectrum twin",
        "same-spectrum twins",
        "The singular values of each trained weight matrix with random singular vectors, drawn anew for each seed. How "
        "strongly each layer stretches its input is that of training; which directions it stretches is lost.",
    ),
    "shuffledwords": Kind(
        "reading of shuffled words",
        "readings of shuffled words",
        "The trained network, but it read the words in random order, another one for each seed, and each word kept the "
        "state it had there. What they reach is owed to the words themselves, not to what stood before them.",
    ),
}
