"""The ledger of ceilings: every estimator of every region side by side, what it limits, and why it is not there."""

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    import pandas as pd
    import xarray as xr

COLUMNS = (
    "subject", "recording", "roi", "kind", "unit", "limits", "value", "low", "high", "n_valid", "n_targets", "n_estimated",
    "median", "mean_all", "divides", "consistency", "runs", "reason",
)  # fmt: skip
BETWEEN = ("isc", "shared_response", "schrimpf")  # estimators that need other people's recordings
NONE_ABOVE_ZERO = "no target's interval lies above zero"
TEXT = ("subject", "recording", "roi", "kind", "unit", "limits", "divides", "consistency", "runs", "reason")


def ledger(ceiling: "xr.Dataset", subject: str, recording: str) -> "pd.DataFrame":
    """One row per region and estimator.

    `value` is the mean over the valid targets (those whose interval lies
    above 0), with an interval from blocks that all targets share; `median`
    is over the same. The valid ones are those that turned out high, so
    `mean_all` is the mean over all targets with an estimate. `divides` says
    whether the region's scores are divided by it: the first that may be and
    is valid somewhere. `consistency` compares with the first estimator that
    has values, target by target.

    Parameters
    ----------
    ceiling : what `normalisation.estimate` returned.
    """
    import pandas as pd

    rows = []
    for roi, member in zip(ceiling["roi"].values.astype(str), ceiling["member"].values.astype(bool), strict=True):
        chosen = dividing(ceiling, member)
        told = {"subject": subject, "recording": recording, "roi": str(roi), "n_targets": int(member.sum())}
        for kind in kinds_of(ceiling):
            rows.append(told | _row(ceiling, kind, str(roi), member) | {"divides": "yes" if kind == chosen else "no"})
    return pd.DataFrame(rows, columns=list(COLUMNS))


def kinds_of(ceiling: "xr.Dataset") -> list[str]:
    """The estimators of a dataset, in the order in which they were asked for."""
    found = [str(name) for name in ceiling.data_vars if f"{name}_valid" in ceiling]
    asked = str(ceiling.attrs.get("kinds", "")).split()
    return sorted(found, key=lambda kind: asked.index(kind) if kind in asked else len(asked))


def divides(ceiling: "xr.Dataset", kind: str) -> bool:
    """May scores be divided by it: is it a limit of r, and no mere reproduction?"""
    facts = ceiling[kind].attrs
    return bool(facts.get("normalises", 1)) and facts.get("units", "r") == "r"


def dividing(ceiling: "xr.Dataset", member: np.ndarray) -> str:
    """The first estimator that may divide scores and is valid somewhere in the region; empty where there is none."""
    known = (kind for kind in kinds_of(ceiling) if divides(ceiling, kind))
    return next((kind for kind in known if (ceiling[f"{kind}_valid"].values[member] > 0).any()), "")


def regional_of(ceiling: "xr.Dataset", kind: str, roi: str) -> tuple[float, float, float]:
    """Mean over the valid targets of a region and its interval; NaN where nobody computed it."""
    if f"{kind}_region" not in ceiling or roi not in ceiling["roi"].values:
        return np.nan, np.nan, np.nan
    value, low, high = ceiling[f"{kind}_region"].sel(roi=roi).values.astype(float).tolist()
    return value, low, high


def named(kind: str) -> str:
    """The estimator as tables of scores name it: what lies between people says so."""
    return f"{kind} (between people)" if kind in BETWEEN else kind


def _row(ceiling: "xr.Dataset", kind: str, roi: str, member: np.ndarray) -> dict[str, Any]:
    facts, values = ceiling[kind].attrs, ceiling[kind].values[member].astype(float)
    valid = ceiling[f"{kind}_valid"].values[member] > 0
    known = values[np.isfinite(values)]
    mean, low, high = regional_of(ceiling, kind, roi)
    return {
        "kind": kind, "unit": facts["units"], "limits": facts["limits"], "value": mean, "low": low, "high": high,
        "n_valid": int(valid.sum()), "n_estimated": len(known), "median": np.median(values[valid]) if valid.any() else np.nan,
        "mean_all": known.mean() if len(known) else np.nan, "runs": facts["runs"], "reason": _reason(facts, known, valid),
        "consistency": _consistency(ceiling, kind, member),
    }  # fmt: skip


def _reason(facts: dict[str, Any], known: np.ndarray, valid: np.ndarray) -> str:
    low = f"{NONE_ABOVE_ZERO} (of {len(known)})" if len(known) and not valid.any() else ""
    uneven = not facts.get("normalises", 1)  # then no target is valid whatever its interval
    return "; ".join(filter(None, [str(facts.get("reason", "")), "" if uneven else low]))


def _consistency(ceiling: "xr.Dataset", kind: str, member: np.ndarray) -> str:
    """How far it lies from the first estimator with values, over targets that both have."""
    values = {k: ceiling[k].values[member].astype(float) for k in kinds_of(ceiling)}
    first = next((k for k, v in values.items() if np.isfinite(v).any()), "")
    both = np.isfinite(values[kind]) & np.isfinite(values[first]) if first else np.zeros(int(member.sum()), bool)
    if kind == first or not both.any():
        return ""
    a, b = values[first][both], values[kind][both]
    told = f"{(b - a).mean():+.3f} from {first} in {plural(int(both.sum()))}"
    varies = both.sum() > 2 and a.std() > 0 and b.std() > 0
    return f"{told}, r = {np.corrcoef(a, b)[0, 1]:.2f}" if varies else told


def plural(n: int) -> str:
    return f"{n} target" if n == 1 else f"{n} targets"
