"""What the networks of a model know of the stimulus text, from the facts that travel with their scores, and what is odd about it."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from pipeline.problems import Problem
from pipeline.report import Networks
from pipeline.report.networks import NOTHING_KNOWN, WELL_BELOW, each_once, share, strayed, unlearnt

if TYPE_CHECKING:
    import xarray as xr

_MOST_NAMED = 5


def networks_of(model: str, scores: "xr.Dataset", weights: str) -> Networks:
    """The loss of each network of a model; none where none was recorded (a control, a network without output).

    Parameters
    ----------
    scores : what `encoding.encode` returned: `loss` is that of a network that
        stands alone, `loss_<name>` that of "trained", "seed0" or a checkpoint.
    weights : "trained", a kind of twin, or "" for a control, which may be made of a network too.
    """
    steps = [str(step) for step in scores["step"].values] if "step" in scores.dims else []
    seeds = [f"seed{seed}" for seed in scores["seed"].values] if "seed" in scores.dims else []
    nothing = float(scores.attrs.get("ln_vocabulary", 0.0))
    loss = {
        name: scores.attrs[f"loss_{name}"] for name in ("trained", *seeds, *steps) if f"loss_{name}" in scores.attrs
    }
    loss |= {"trained": scores.attrs["loss"]} if "loss" in scores.attrs else {}
    known = {name: float(value) for name, value in loss.items()} if nothing > 0 else {}
    return Networks(model, weights, known, nothing, steps)


def told_of(found: Sequence[Networks]) -> list[Networks]:
    """Those a page speaks of: everything with a loss, and language models without one."""
    return [networks for networks in found if networks.loss or networks.weights]


def problems(found: Sequence[Networks]) -> list[Problem]:
    """Random twins that know something of the text, and trained networks that know nothing; each network once."""
    once = each_once(found)
    return [_astray(n) for n in once if strayed(n)] + [_unlearnt(n, name) for n in once for name in unlearnt(n)]


def _astray(networks: Networks) -> Problem:
    names = strayed(networks)
    shares = ", ".join(f"{name} {share(networks, name):.2f}" for name in names[:_MOST_NAMED])
    more = f" and {len(names) - _MOST_NAMED} more" if len(names) > _MOST_NAMED else ""
    return Problem(
        "W-MODEL-01", "random twins do not know exactly nothing of the text", field="loss / ln(vocabulary)", found=shares + more,
        expected=f"{1 - NOTHING_KNOWN:g} to {1 + NOTHING_KNOWN:g}", model=networks.model,
        why="the family starts from confident guesses, or something of the trained weights was read",
        fix="compare the hashes of the weights in the activations; call what they reach by another name than untrained",
    )  # fmt: skip


def _unlearnt(networks: Networks, name: str) -> Problem:
    return Problem(
        "W-MODEL-02", "a trained network hardly predicts the stimulus text", field="loss / ln(vocabulary)",
        found=f"{name} {share(networks, name):.2f}", expected=f"below {WELL_BELOW:g}", model=networks.model,
        why="another tokenizer than it was trained with, weights that were not read, or text unlike that of its training",
        fix="look at the tokens in the activations, and at language and spelling of the words table",
    )  # fmt: skip
