"""What the methods section says of ceilings, and the papers they are from."""

from collections.abc import Sequence

_DIVIDES = (
    " Estimates have 95 % intervals by block bootstrap over the tested samples; a target counts as having a ceiling where the interval "
    "lies above zero. Scores of a region were divided, unclipped, by the mean ceiling over these targets, of the first estimator of this list "
    "that was valid there; the interval of the share joins those of score and ceiling (Donner & Zou, 2012), that of a region's mean ceiling "
    "leaves out blocks in turn (Künsch, 1989)."
)
_SENTENCES = {
    "repeats": "The ceiling of the correlation with the mean of repeated presentations was estimated from the signal power "
    "(Sahani & Linden, 2003; Schoppe et al., 2016)",
    "splithalf": "The ceiling of the correlation with the mean of repeated presentations was estimated from the correlation between "
    "halves of them, stepped up to their number (Brown, 1910; Spearman, 1910)",
    "nsd": "The noise ceiling of the Natural Scenes Dataset was estimated from the variance over presentations of a sample, without its "
    "clipping at zero (Allen et al., 2022); it takes samples for independent",
    "isc": "What a person shares with others, target by target, was estimated from the correlation with all other people, extrapolated to a "
    "mean of others without noise (Nastase et al., 2019); it was made only where targets mean the same in everyone",
    "shared_response": "What other people's responses predict of a person's was estimated by ridge regression with the folds and penalties of the "
    "models, from the mean of the others where targets mean the same in everyone, else from all of their targets side by side (Caucheteux & King, 2022): a lower "
    "bound of what can be shared, on the runs and samples that all of these people have",
    "schrimpf": "The extrapolation over numbers of people of Schrimpf et al. (2021) was computed for reproduction only: its asymptote is "
    "known to be too low, and no score was divided by it",
}
_REFERENCES = {
    "splithalf": (
        "Brown, W. (1910). Some experimental results in the correlation of mental abilities. British Journal of Psychology, 3, 296-322.",
        "Spearman, C. (1910). Correlation calculated from faulty data. British Journal of Psychology, 3, 271-295.",
    ),
    "nsd": (
        "Allen, E. J., et al. (2022). A massive 7T fMRI dataset to bridge cognitive neuroscience and artificial intelligence. Nature Neuroscience, 25, 116-126.",
    ),
    "isc": (
        "Nastase, S. A., et al. (2019). Measuring shared responses across subjects using intersubject correlation. Social Cognitive and Affective Neuroscience, 14, 667-685.",
    ),
    "shared_response": (
        "Caucheteux, C., & King, J.-R. (2022). Brains and algorithms partially converge in natural language processing. Communications Biology, 5, 134.",
    ),
    "schrimpf": (
        "Schrimpf, M., et al. (2021). The neural architecture of language: Integrative modeling converges on predictive processing. PNAS, 118(45), e2105646118.",
    ),
}
_OF_ALL = (
    "Donner, A., & Zou, G. Y. (2012). Closed-form confidence intervals for functions of the normal mean and standard deviation. Statistical Methods in Medical Research, 21, 347-359.",
    "Künsch, H. R. (1989). The jackknife and the bootstrap for general stationary observations. Annals of Statistics, 17, 1217-1241.",
)


def ceiling_text(kinds: Sequence[str]) -> str:
    """Every estimator in the order in which it was asked for."""
    sentences = [f"{_SENTENCES[kind]}." for kind in kinds if kind in _SENTENCES]
    return " ".join(sentences) + _DIVIDES if sentences else "No noise ceiling was estimated."


def ceiling_references(kinds: Sequence[str]) -> str:
    """Markdown; those of `repeats` stand among the references of every study."""
    asked = [kind for kind in kinds if kind in _SENTENCES]
    found = [paper for kind in asked for paper in _REFERENCES.get(kind, ())]
    return "".join(f"- {paper}\n" for paper in [*found, *(_OF_ALL if asked else ())])
