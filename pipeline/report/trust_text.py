"""What the methods text says of the tests of targets, the certificate and the canaries."""

from collections.abc import Mapping
from typing import Any

_NULLS = {
    "blocks": "blocks of neighbouring samples (at least ten, more where the responses are smoother) changed places within runs",
    "shifts": "each run was rolled around itself",
    "phases": "each run got random phases and kept its spectrum",
}
_REFERENCES = (
    "- Prichard, D., & Theiler, J. (1994). Generating surrogate data for time series with several simultaneously measured "
    "variables. Physical Review Letters, 73, 951-954.\n"
)


def certificate_text(told: Mapping[str, Any]) -> str:
    """One paragraph each on tests, certificate and canaries, from the settings of the whole study."""
    of, held_out = told["comparison"], told["encoding"]["split"] == "given"
    return f"{_tests(told, of, held_out)}\n\n{_certificate(of, held_out)}\n\n{_CANARIES}\n"


def certificate_references(told: Mapping[str, Any]) -> str:
    """What the certificate stands on, where one was made."""
    of = told["comparison"]
    return _REFERENCES if of["surrogates"] or of["test"] == "phases" else ""


def model_certified(told: Mapping[str, Any]) -> str:
    """The label of the model whose targets were tested."""
    if told["comparison"]["certify"] != "auto":
        return told["comparison"]["certify"]
    trained = [label for label, model in told["models"].items() if _is_trained(model)]
    return next(iter((*trained, *told["models"])))


def _is_trained(model: Mapping[str, Any]) -> bool:
    return (
        model["kind"] == "transformer" and model["weights"] == "trained" and model.get("order", "heard") != "shuffled"
    )


def _tests(told: Mapping[str, Any], of: Mapping[str, Any], held_out: bool) -> str:
    null = (
        f"the held-out prediction was set against nulls in which {_NULLS[of['test']]}"
        if held_out
        else f"the responses were changed ({_NULLS[of['test']]}), every fold was fitted again, and up to 500 evenly spaced targets were tested"
    )
    return (
        f"Of each target the score of `{model_certified(told)}` at the layer chosen on inner folds was tested one-sidedly: {null} "
        f"({of['permutations']} draws, the same for all targets, p = (b + 1) / (n + 1)). The false discovery rate over targets was held at "
        f"{of['fdr']:g}; the p of the best of all targets in each null is given beside it."
    )


def _certificate(of: Mapping[str, Any], held_out: bool) -> str:
    if not of["surrogates"]:
        return "No certificate of the study's own false positives was made."
    fewer = "" if held_out else " (19 draws of the null)"
    return (
        f"The study's own false-positive rate was measured on {of['surrogates']} surrogate recordings of each of three kinds, made from each "
        "person's responses: random phases, rolled runs, and rolled runs in another order. They went through "
        f"the same folds, layers, grid of penalties and test{fewer}, on one target in sixteen (30 to 100 of them, evenly spaced). The share of targets "
        "with p <= .05 and the mean score have intervals over surrogates (Student's t, no narrower than the exact binomial one; Bonferroni over the rows)."
    )


_CANARIES = (
    "Features that cannot know what is tested were fitted like the model: orthogonal autocorrelated sequences (Hadidi et al., 2025), the "
    "model's features of words not yet heard, and its features of another run; and the lag of the highest score was looked at. A study in which "
    "one of these scores above its bound ends with an error."
)
