"""The methods section of a study, written from the settings that were executed."""

from collections.abc import Mapping
from typing import Any

from pipeline.report.ceiling_text import ceiling_references, ceiling_text
from pipeline.report.meg_text import meg_references
from pipeline.report.modelling import model_text
from pipeline.report.partition_text import partition_references, partition_text
from pipeline.report.recording_text import recording_text
from pipeline.report.trust_text import certificate_references, certificate_text

_SPLITS = {
    "leave_one_run_out": "each run was held out in turn and predicted from all others",
    "given": "the runs marked `test` in the data set were held out once and predicted from those marked `train`",
    "contiguous": "the samples were cut into {folds} contiguous blocks, each held out in turn, and {gap_s:g} s on both sides of a block were left out of its training set",
    "shuffled": "WARNING: samples were shuffled into {folds} folds, so that neighbouring samples stood in training and test; such scores are inflated",
}
_REFERENCES = """\
- Huth, A. G., et al. (2016). Natural speech reveals the semantic maps that tile human cerebral cortex. Nature, 532, 453-458.
- Glover, G. H. (1999). Deconvolution of impulse response in event-related BOLD fMRI. NeuroImage, 9, 416-429.
- Friston, K. J., et al. (1998). Event-related fMRI: characterizing differential responses. NeuroImage, 7, 30-40.
- Power, J. D., et al. (2014). Methods to detect, characterize, and remove motion artifact in resting state fMRI. NeuroImage, 84, 320-341.
- Hadidi, N., Feghhi, E., et al. (2025). Illusions of alignment between large language models and brains. (orthogonal autocorrelated sequences; contiguous splits)
- Sahani, M., & Linden, J. F. (2003). How linear are auditory cortical responses? NeurIPS 15. (signal power)
- Schoppe, O., et al. (2016). Measuring the performance of neural models. Frontiers in Computational Neuroscience, 10, 10. (normalised correlation)
- Ince, R. A. A., et al. (2021). Bayesian inference of population prevalence. eLife, 10, e62461.
- Benjamini, Y., & Hochberg, Y. (1995). Controlling the false discovery rate. JRSS B, 57, 289-300.
"""


def methods_text(told: Mapping[str, Any]) -> str:
    """Markdown, in the past tense, with every number from the settings.

    Parameters
    ----------
    told : the whole study as `Study.told` gives it.
    """
    sections = [
        ("Recordings", _recordings(told)),
        ("Models", _models(told)),
        ("Encoding", _encoding(told["encoding"])),
        ("Ceiling and comparison", _comparison(told)),
        ("Tests of targets, certificate and canaries", certificate_text(told)),
        *([("What the model adds", partition_text(told))] if partition_text(told) else []),
        (
            "References",
            _REFERENCES
            + certificate_references(told)
            + partition_references(told)
            + ceiling_references(told["ceiling"]["kinds"])
            + meg_references(told["recordings"]),
        ),
    ]
    return f"# Methods of the study {told['study']}\n\n" + "\n".join(
        f"## {title}\n\n{text}" for title, text in sections
    )


def _recordings(told: Mapping[str, Any]) -> str:
    splits = told["dataset"].get("splits", ())
    taken = (
        f"Only the runs marked {' or '.join(f'`{s}`' for s in splits)} in the data set were taken.\n" if splits else ""
    )
    return taken + "".join(f"{recording_text(label, of)}\n" for label, of in told["recordings"].items())


def _models(told: Mapping[str, Any]) -> str:
    return "".join(f"- `{label}`: {model_text(of)}\n" for label, of in told["models"].items())


def _encoding(of: Mapping[str, Any]) -> str:
    low, high, count = of["alphas"]
    trim = (
        f" The first {of['trim_s'][0]:g} s and last {of['trim_s'][1]:g} s of each run were left out."
        if any(of["trim_s"])
        else ""
    )
    score = "out-of-sample R2" if of["select"] == "r2" else "Pearson correlation"
    return (
        f"Ridge regression mapped features to each target; {_SPLITS[of['split']].format(**of)}.{trim} The penalty was chosen for each "
        f"target from {count} values between {low:g} and {high:g} (logarithmic) by the mean {score} over {of['inner_folds']} inner folds "
        f"of the training samples; target-side arithmetic was {of['precision']}. Scores are Pearson's r and out-of-sample R2 against the training mean, "
        "averaged over folds and then over targets, neither clipped nor made absolute; responses z-scored per run make the "
        "training mean and the mean of the test run the same null."
        " Features that are states (position, oasm) were interpolated and entered once, without delays. The layer of a model was chosen on the same "
        "inner folds (nested); the profile over all layers is shown beside it.\n"
    )


def _comparison(told: Mapping[str, Any]) -> str:
    of = told["comparison"]
    ceiling = ceiling_text(told["ceiling"]["kinds"])
    return (
        f"{ceiling} Intervals of scores are 95 % block bootstraps over the tested samples ({of['permutations']} draws). "
        f"Paired differences between models at their nested layers were tested by two-sided sign-flips ({of['permutations']} at most), and have their "
        "intervals, over runs where six or more were tested, else over blocks of samples; over people where there were three or more. Of a model with several seeds the mean over seeds "
        "was tested, and the percentile of the other model among the seeds is told; of one with checkpoints, the last was tested. False discovery rate was "
        f"held at {of['fdr']:g} (Benjamini & Hochberg, 1995). Two models were called equivalent where two one-sided sign-flip tests showed their difference "
        f"to be within {of['margin']:g} in r, and a ceiling reached where the whole 95 % interval of ceiling minus score lay below that. "
        "Intervals over people resampled people and the blocks within each; beside models with seeds a second interval counts seeds as a random effect. With "
        "fewer than six people, those with p < .05 of their own were counted, and the prevalence estimated (Ince et al., 2021). "
        f"The root of all random streams was {told['seed']}.\n"
    )
