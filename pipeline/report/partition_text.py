"""What the methods text says of the variance partition."""

from collections.abc import Mapping
from typing import Any

from pipeline.analyses import Partition
from pipeline.joint import BEST, MOST_TARGETS, N_ITER
from pipeline.partition.table import FEWEST_SHIFTS

_REFERENCES = """\
- de Heer, W. A., et al. (2017). The hierarchical cortical organization of human speech processing. Journal of Neuroscience, 37, 6539-6557. (set partition)
- Dupré la Tour, T., et al. (2022). Feature-space selection with banded ridge regression. NeuroImage, 264, 119728. (product measure)
- Nunez-Elizalde, A. O., Huth, A. G., & Gallant, J. L. (2019). Voxelwise encoding models with non-spherical multivariate normal priors. NeuroImage, 197, 482-492. (banded ridge)
"""


def partition_text(told: Mapping[str, Any]) -> str:
    """One paragraph, or nothing where no partition was asked for.

    Parameters
    ----------
    told : the whole study as `Study.told` gives it.
    """
    asked = told["analyses"].get("partition")
    if asked is None:
        return ""
    settings = Partition.model_validate({key: value for key, value in asked.items() if key != "version"})
    kinds = {label: of["kind"] for label, of in told["models"].items()}
    model, *groups = settings.groups_of({label: _weights(of) for label, of in told["models"].items()}, kinds).items()
    beside = "; ".join(f"{name} ({_listed(labels)})" if labels != (name,) else f"`{name}`" for name, labels in groups)
    n = {1: "one group", 2: "two groups"}[len(groups)]
    return (
        f"What `{model[0]}` explains, at the layer chosen on inner folds, was set against {n} of controls: {beside}. All of them, and every "
        f"union of the groups without the others, were fitted by banded ridge (a penalty for the model and for each control, from {N_ITER} weightings, on the "
        "same inner folds; Nunez-Elizalde et al., 2019). The unique part of a group is the out-of-sample R2 of all together less that of the fit "
        "without it; shared parts follow from all unions (de Heer et al., 2017); the product measure gives each set of features the part of R2 that goes "
        "with its own prediction (Dupré la Tour et al., 2022). No part was clipped. Omega is the percentage of the model's R2 that controls account for, "
        "100 (1 - (R2 of both - R2 of the controls) / R2 of the model), the quotient held between 0 and 1 and the R2 of both at least that of the model, as it was "
        f"defined (Hadidi et al., 2025). {_chance(settings.shifts)} Intervals (95 %) are from resampled blocks of the tested samples, R2 as a ratio of "
        f"sums. Where there were more than {MOST_TARGETS:,} targets, the {BEST} that the model predicted best on the inner folds of each fold were fitted.\n"
    )


def partition_references(told: Mapping[str, Any]) -> str:
    return _REFERENCES if told["analyses"].get("partition") is not None else ""


def _chance(shifts: int) -> str:
    if not shifts:
        return "What rolled features would add by chance was not measured."
    times = "once" if shifts == 1 else f"{shifts} times"
    p = " (p = (b + 1) / (n + 1))" if shifts >= FEWEST_SHIFTS else ""
    return f"Each group was rolled around its runs {times} and all fits made again, to see what as many and as smooth features add by chance{p}."


def _weights(of: Mapping[str, Any]) -> str:
    if of["kind"] != "transformer":
        return ""
    return str(of["weights"]) if of.get("order", "heard") != "shuffled" else "shuffledwords"


def _listed(labels: tuple[str, ...]) -> str:
    return ", ".join(f"`{label}`" for label in labels)
