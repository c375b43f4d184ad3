"""What the losses of networks prove, and which of them are odd."""

import math

import pytest
import xarray as xr

from pipeline import losses
from pipeline.report import Networks, group_page, subject_light, subject_page
from pipeline.report.networks import networks_sentences, networks_table

from . import examples
from .test_pages import text_of

LN_V = examples.LN_V


def twins(*shares: float, weights: str = "random", trained: float | None = None) -> Networks:
    loss = {"trained": trained * LN_V} if trained is not None else {}
    return Networks("twin", weights, loss | {f"seed{i}": s * LN_V for i, s in enumerate(shares)}, LN_V)


def trained(*shares: float, steps: tuple[str, ...] = ()) -> Networks:
    names = steps or ("trained",)
    return Networks("m", "trained", {n: s * LN_V for n, s in zip(names, shares, strict=True)}, LN_V, steps)


@pytest.mark.parametrize(
    ("networks", "codes"),
    [
        (twins(1.0, 1.049, 0.951), []),
        (twins(1.0, 1.051), ["W-MODEL-01"]),
        (twins(1.0, 0.949), ["W-MODEL-01"]),
        (twins(0.5, float("nan")), ["W-MODEL-01"]),
        (twins(1.4, 1.5, weights="shuffled"), []),
        (twins(1.1, weights="spectrum"), []),
        (twins(0.6, weights="shuffledwords"), []),
        (trained(0.4), []),
        (trained(0.899), []),
        (trained(0.9), ["W-MODEL-02"]),
        (trained(float("nan")), ["W-MODEL-02"]),
        (twins(1.0, trained=0.95), ["W-MODEL-02"]),
        (twins(0.9, trained=0.95), ["W-MODEL-01", "W-MODEL-02"]),
        (trained(1.0, 0.95, 0.4, steps=("step0", "step1", "step2")), []),  # the first steps know nothing yet
        (trained(1.0, 0.95, 0.91, steps=("step0", "step1", "step2")), ["W-MODEL-02"]),
    ],
)
def test_random_twins_are_held_to_ignorance_and_trained_networks_to_knowledge(networks, codes):
    found = losses.problems([networks])
    assert [problem.code for problem in found] == codes
    assert all(problem.level == "warning" and problem.model == networks.model for problem in found)


def test_a_warning_names_the_seeds_and_how_far_off_they_are():
    (problem,) = losses.problems([twins(1.0, 1.2, 0.8)])
    assert problem.found == "seed1 1.20, seed2 0.80" and problem.expected == "0.95 to 1.05"


def test_one_network_beside_several_twins_is_told_of_once():
    beside = [twins(1.0, trained=0.95), twins(1.0, trained=0.95, weights="shuffled"), trained(0.95)]
    assert [(p.code, p.model) for p in losses.problems(beside)] == [("W-MODEL-02", "m")]
    rows = networks_table(beside, "").rows
    assert [row[:3] for row in rows] == [
        ["twin", "seed0", "random twin"],
        ["twin", "seed0", "shuffled-weight twin"],
        ["m", "trained", "trained"],
    ]


def test_the_table_sets_each_loss_against_that_of_knowing_nothing():
    (row,) = networks_table([trained(0.5)], "").rows
    assert row == ["m", "trained", "trained", f"{0.5 * LN_V:.3f}", f"{LN_V:.3f}", "0.500"]


def test_sentences_say_what_is_proven():
    told = networks_sentences([twins(1.0, 1.01, trained=0.3), twins(1.3, 1.5, weights="spectrum")])
    assert (
        told[0]
        == "2 of 2 random twins of twin have a loss within 5 % of ln(vocabulary): they know nothing of the text."
    )
    assert told[1] == "The trained network beside twin has a loss of 0.300 times ln(vocabulary): it predicts this text."
    assert told[2].startswith("Same-spectrum twins twin lie at 1.300 to 1.500 times ln(vocabulary)")
    assert "1 of 2 random twins" in networks_sentences([twins(1.0, 0.8)])[0]
    assert "not seed1 (0.800): see the warnings" in networks_sentences([twins(1.0, 0.8)])[0]
    assert (
        "m (step1) has a loss of 0.950 times ln(vocabulary): it hardly predicts"
        in networks_sentences([trained(1.0, 0.95, steps=("step0", "step1"))])[0]
    )


def test_a_network_without_a_loss_is_named():
    assert networks_sentences([Networks("bert", "trained", {}, 0.0)]) == [
        "No loss was recorded for bert: what has no output over a vocabulary has none."
    ]


def scores(attributes: dict, **coordinates) -> xr.Dataset:
    return xr.Dataset(coords=coordinates, attrs=attributes)


def test_losses_are_read_from_the_facts_of_the_scores():
    one = losses.networks_of("m", scores({"loss": 3.0, "ln_vocabulary": 9.0, "lossless": 1}), "trained")
    assert (dict(one.loss), one.ln_vocabulary) == ({"trained": 3.0}, 9.0)
    facts = {"loss_trained": 3.0, "loss_seed4": 9.1, "loss_seed2": 9.2, "loss_tokens": 2000, "ln_vocabulary": 9.0}
    two = losses.networks_of("t", scores(facts, seed=[2, 4]), "random")
    assert list(two.loss.items()) == [("trained", 3.0), ("seed2", 9.2), ("seed4", 9.1)]
    steps = losses.networks_of(
        "m", scores({"loss_step9": 5.0, "loss_step0": 9.0, "ln_vocabulary": 9.0}, step=["step0", "step9"]), "trained"
    )
    assert (list(steps.loss), steps.steps) == (["step0", "step9"], ["step0", "step9"])


@pytest.mark.parametrize("attributes", [{}, {"loss": 3.0}, {"ln_vocabulary": 9.0}, {"loss": 3.0, "ln_vocabulary": 0.0}])
def test_without_loss_or_vocabulary_nothing_is_claimed(attributes):
    found = losses.networks_of("m", scores(attributes), "trained")
    assert dict(found.loss) == {} and losses.problems([found]) == []
    assert losses.told_of([found, found._replace(weights="")]) == [found]


def test_a_page_has_the_table_of_networks_and_turns_amber_for_an_odd_one(undrawn):
    odd = examples.networks(stray=0.82 * LN_V)
    found = losses.problems(odd)
    page = examples.page(warnings=found, networks=odd)
    assert subject_light(page) == ("amber", "1 warning")
    text = text_of(subject_page(page))
    assert "W-MODEL-01" in text and "not seed4 (0.820): see the warnings." in text
    for seed in range(5):
        assert f"gpt2untrained seed{seed} random twin" in text
    assert math.isclose(LN_V, 10.825, abs_tol=1e-3) and "10.825" in text


def test_a_group_page_has_the_table_of_networks_too(undrawn):
    page = group_page(examples.group(3, networks=examples.networks()))
    assert 'id="networks"' in page and 'href="#networks"' in page
    assert "5 of 5 random twins of gpt2untrained have a loss within 5 % of ln(vocabulary)" in text_of(page)
