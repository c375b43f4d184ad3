"""What a certificate is saved as: p by target in one file, rows that people read in another."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from jaxtyping import Float, Int

from pipeline import statistics
from pipeline.certify.canaries import Canary
from pipeline.certify.certificate import LEVEL, MOST_NOISE, Rate, noise_verdict, rate_verdict
from pipeline.certify.fitting import AsFitted
from pipeline.certify.targetwise import Tested
from pipeline.sensors import carried

if TYPE_CHECKING:
    import pandas as pd
    import xarray as xr

COLUMNS = (
    "subject", "recording", "section", "name", "measure", "value", "low", "high", "bound", "verdict", "n", "n_targets", "model",
    "layer", "reason",
)  # fmt: skip


class TargetTests(NamedTuple):
    """The tests of the study's own responses: which targets were tested (`where`), and what came out; or why none was."""

    where: Int[np.ndarray, " tested"]
    found: Tested | None
    how: str
    reason: str = ""


def saved(tests: TargetTests, found: AsFitted, scores: "xr.Dataset", model: str, fdr: float) -> "xr.Dataset":
    """p, q (Benjamini-Hochberg over the tested targets) and the p of the best of all, by target; NaN where not tested."""
    import xarray as xr

    values = dict.fromkeys(_LONG, np.full(scores.sizes["target"], np.nan))
    if tests.found is not None:
        one = tests.found
        own = {"r": one.r, "p": one.p, "q": statistics.fdr(one.p), "p_max": one.p_max}
        values = {name: _placed(part, tests.where, scores.sizes["target"]) for name, part in own.items()}
    ds = xr.Dataset(
        {name: ("target", part, {"units": "1", "long_name": _LONG[name]}) for name, part in values.items()}
        | {"member": scores["member"].variable},
        {"target": scores["target"].values.astype(str), "roi": scores["roi"].values.astype(str)},
    )
    about = {
        "model": model, "layer": " ".join(dict.fromkeys(found.names)), "test": tests.how, "block": found.block, "fdr": fdr,
        "refitted": int(not found.held_out), "n": tests.found.n if tests.found else 0, "reason": tests.reason,
        "smallest_p": tests.found.smallest_p if tests.found else np.nan,
    }  # fmt: skip
    return carried(scores, ds.assign_attrs(about))


def table(
    tests: "xr.Dataset", rates: Sequence[Rate], canaries: Sequence[Canary], subject: str, recording: str
) -> "pd.DataFrame":
    """One row per region tested, two per kind of surrogate (false positives and noise), one per canary."""
    import pandas as pd

    whose = {"subject": subject, "recording": recording, "model": tests.attrs["model"], "layer": tests.attrs["layer"]}
    rows = [*_of_tests(tests), *(row for rate in rates for row in _of_rate(rate)), *map(_of_canary, canaries)]
    return pd.DataFrame([whose | row for row in rows], columns=list(COLUMNS))


def _of_tests(tests: "xr.Dataset") -> list[dict]:
    """How many targets are significant, and (`bound`) how many of them are expected to be false."""
    rows, q, fdr = [], tests["q"].values, float(tests.attrs["fdr"])
    for roi, member in zip(tests["roi"].values.astype(str), tests["member"].values.astype(bool), strict=True):
        known = np.isfinite(q[member])
        count = int((q[member][known] <= fdr).sum())
        value = {"value": count, "bound": fdr * count} if known.any() else {}
        rows.append({
            "section": "tests", "name": roi, "measure": "significant targets", **value, "verdict": "none",
            "n": int(tests.attrs["n"]), "n_targets": int(known.sum()), "reason": "" if known.any() else tests.attrs["reason"],
        })  # fmt: skip
    return rows


def _of_rate(rate: Rate) -> list[dict]:
    whose = {
        "section": "certificate",
        "name": rate.kind,
        "n": rate.n,
        "n_targets": rate.n_targets,
        "reason": rate.reason,
    }
    return [
        whose | {"measure": "false positives", "value": rate.rate, "low": rate.rate_low, "high": rate.rate_high, "bound": LEVEL,
                 "verdict": rate_verdict(rate)},
        whose | {"measure": "noise score", "value": rate.noise, "low": rate.noise_low, "high": rate.noise_high, "bound": MOST_NOISE,
                 "verdict": noise_verdict(rate)},
    ]  # fmt: skip


def _of_canary(canary: Canary) -> dict:
    return {
        "section": "canary", "name": canary.name, "measure": canary.measure, "value": canary.r, "low": canary.low,
        "high": canary.high, "bound": canary.bound, "verdict": canary.verdict, "n_targets": canary.n_targets,
        "reason": canary.reason,
    }  # fmt: skip


def _placed(values: Float[np.ndarray, " tested"], where: Int[np.ndarray, " tested"], n: int) -> np.ndarray:
    found = np.full(n, np.nan)
    found[where] = values
    return found


_LONG: Mapping[str, str] = {
    "r": "score of the target at the layers chosen on inner folds",
    "p": "one-sided p of the score, (b + 1) / (n + 1)",
    "q": "p corrected for the number of tested targets (Benjamini-Hochberg)",
    "p_max": "p of the score against the best of all tested targets in each null (family-wise)",
}
