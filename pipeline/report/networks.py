"""What the networks of a study know of the stimulus text, and whether that is what their names say."""

from collections.abc import Sequence

from pipeline.report.kinds import is_twin, kind_of, named
from pipeline.report.parts import Networks
from pipeline.report.tables import Table
from pipeline.report.words import is_number, number

NOTHING_KNOWN = 0.05  # a random twin's loss lies within this share of ln(vocabulary)
WELL_BELOW = 0.9  # a trained network's loss lies below this share of it


def strayed(networks: Networks) -> list[str]:
    """Random twins whose loss is not that of a network that knows nothing; other kinds of twin are held to nothing."""
    if networks.weights != "random":
        return []
    return [name for name in _twins(networks) if not abs(share(networks, name) - 1) <= NOTHING_KNOWN]


def unlearnt(networks: Networks) -> list[str]:
    """Trained networks whose loss is hardly below that of one that knows nothing; of checkpoints only the last is asked."""
    asked = [*networks.steps[-1:], "trained"]
    return [name for name in asked if name in networks.loss and not share(networks, name) < WELL_BELOW]


def share(networks: Networks, name: str) -> float:
    """A network's loss as a share of ln(vocabulary)."""
    return networks.loss[name] / networks.ln_vocabulary


def each_once(found: Sequence[Networks]) -> list[Networks]:
    """Without the trained network beside twins where it is told of elsewhere: the same loss to the last digit."""
    met = {value for n in found if not is_twin(n.weights) for value in n.loss.values()}
    kept = []
    for n in found:
        again = is_twin(n.weights) and n.loss.get("trained") in met
        met |= set(n.loss.values())
        kept.append(n._replace(loss={k: v for k, v in n.loss.items() if k != "trained" or not again}))
    return kept


def networks_table(found: Sequence[Networks], caption: str) -> Table:
    """One row per network whose loss was recorded; what stands beside its twins too is told of once."""
    columns = ("model", "network", "kind", "loss (nats per token)", "ln(vocabulary)", "loss / ln(vocabulary)")
    rows = [
        [n.model, name, _kind(n, name), number(loss), number(n.ln_vocabulary), number(share(n, name))]
        for n in each_once(found)
        for name, loss in n.loss.items()
    ]
    return Table(caption, columns, rows, frozenset({3, 4, 5}))


def networks_sentences(found: Sequence[Networks]) -> list[str]:
    """What the losses prove, model by model, and of which none is known."""
    told = [sentence for n in each_once(found) for sentence in (_random(n), _trained(n), _others(n)) if sentence]
    without = [n.model for n in found if not n.loss]
    if without:
        told.append(f"No loss was recorded for {', '.join(without)}: what has no output over a vocabulary has none.")
    return told


def _twins(networks: Networks) -> list[str]:
    return [name for name in networks.loss if name != "trained"] if is_twin(networks.weights) else []


def _kind(networks: Networks, name: str) -> str:
    return kind_of(networks.weights).one if name in _twins(networks) else named("trained")


def _random(networks: Networks) -> str:
    twins, astray = _twins(networks), strayed(networks)
    if networks.weights != "random" or not twins:
        return ""
    near = f"{len(twins) - len(astray)} of {len(twins)} random twins of {networks.model} have a loss within 5 % of ln(vocabulary)"
    if not astray:
        return f"{near}: they know nothing of the text."
    return f"{near}; not {', '.join(f'{name} ({number(share(networks, name))})' for name in astray)}: see the warnings."


def _trained(networks: Networks) -> str:
    """Of checkpoints the last; a network that was only measured beside its twins is told of as well."""
    known = [name for name in (*networks.steps[-1:], "trained") if name in networks.loss]
    if not known:
        return ""
    name, r = known[0], share(networks, known[0])
    who = (
        f"{networks.model} ({name})"
        if name != "trained" or not is_twin(networks.weights)
        else f"The trained network beside {networks.model}"
    )
    if not is_number(r):
        return f"{who} has a loss that is no number."
    told = f"{who} has a loss of {number(r)} times ln(vocabulary)"
    return f"{told}: it predicts this text." if r < WELL_BELOW else f"{told}: it hardly predicts this text."


def _others(networks: Networks) -> str:
    shares = [share(networks, name) for name in _twins(networks)]
    if networks.weights == "random" or not shares:
        return ""
    kind = kind_of(networks.weights).many
    return (
        f"{kind[0].upper()}{kind[1:]} {networks.model} lie at {number(min(shares))} to {number(max(shares))} times ln(vocabulary); "
        "they keep something of training, so nothing is asked of them."
    )
