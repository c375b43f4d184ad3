"""How many targets the study's own test calls significant where there is nothing, and what score nothing has."""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from pipeline.certify.fitting import AsFitted, fit, spread
from pipeline.certify.surrogates import KINDS, Surrogates, surrogates
from pipeline.certify.targetwise import tested

LEVEL = 0.05  # of the per-target test whose false positives are counted
MOST_NOISE = 0.01  # r; a smaller mean score of noise is nobody's finding
FEWEST_DRAWS = 2  # one has no interval
# draws of a null that fits again: p <= .05 is then better than all of them, which noise is in one case of twenty
REFITS = 19
ALL = "all"


class Rate(NamedTuple):
    """What surrogates of one kind (or of all) gave, each draw a unit; NaN where there are none.

    `rate` is the share of targets with p <= .05, `noise` the mean r. The
    intervals of all kinds and of all together hold at once in 95 of 100 studies.
    """

    kind: str
    n: int
    n_targets: int
    rate: float
    rate_low: float
    rate_high: float
    noise: float
    noise_low: float
    noise_high: float
    n_null: int
    reason: str = ""


def certified(found: AsFitted, *, n: int, how: str, n_null: int, seed: int, n_targets: int | None = None) -> list[Rate]:
    """Run the study's pipeline on `n` surrogate recordings of each kind, all side by side in one fit.

    Nothing on the side of the features changes from one surrogate to the
    next: their targets stand as columns of one matrix, so that everything made
    of the features alone is made once.

    Parameters
    ----------
    how, n_null : the study's test of every target and the draws of its null; a null that fits again has 19.
    n_targets : targets of each surrogate, evenly spaced; by default as `fitting.spread`.
    """
    some = spread(found.usable, n_targets)
    samples, Y = found.samples, np.ascontiguousarray(found.samples.Y[:, some])
    if not some.size:
        return [nothing(kind, "no target could be fitted") for kind in (*KINDS, ALL)]
    made = [surrogates(Y, samples.run, kind=kind, n=n, least=found.block, seed=seed) for kind in KINDS]
    drawn = [one.Y for one in made if one.Y is not None]
    if not drawn:
        return [*(nothing(one.kind, one.reason) for one in made), nothing(ALL, made[0].reason)]
    hits, noise, n_null = _judged(found, np.hstack(drawn), how, n_null, seed)
    return _rates(made, hits.reshape(-1, len(some)), noise.reshape(-1, len(some)), n, n_null)


def _judged(
    found: AsFitted, Y: Float[np.ndarray, "sample column"], how: str, n_null: int, seed: int
) -> tuple[Float[np.ndarray, " column"], Float[np.ndarray, " column"], int]:
    """Of each column whether p <= .05 (NaN for a constant one), and its mean r over folds."""
    one = fit(found, Y)
    test = tested(found, Y, one.alpha, how=how, n=n_null if found.held_out else min(n_null, REFITS), seed=seed)
    return np.where(np.isnan(test.p), np.nan, test.p <= LEVEL), test.r, test.n


def _rates(
    made: list[Surrogates], hits: Float[np.ndarray, "draw target"], noise: Float[np.ndarray, "draw target"], n: int, n_null: int
) -> list[Rate]:  # fmt: skip
    parts, at = [], 0
    for one in made:
        if one.Y is None:
            parts.append(nothing(one.kind, one.reason))
            continue
        parts.append(_rate(one.kind, hits[at : at + n], noise[at : at + n], n_null, len(KINDS) + 1))
        at += n
    return [*parts, _rate(ALL, hits, noise, n_null, len(KINDS) + 1)]


def _rate(kind: str, hits: np.ndarray, noise: np.ndarray, n_null: int, n_rows: int) -> Rate:
    known = np.isfinite(hits).all(axis=0)
    hits, noise = hits[:, known], noise[:, known]
    if not known.any():
        return nothing(kind, "every surrogate target is constant in the tested samples")
    level = LEVEL / n_rows
    rate = float(hits.mean())
    low, high = interval(hits.mean(axis=1), level)
    exact = binomial(int(hits.sum()), hits.size, level)  # draws that all agree would have no width
    ends = (max(min(low, exact[0]), 0.0), max(high, exact[1])) if np.isfinite(low) else (np.nan, np.nan)
    of_noise = interval(noise.mean(axis=1), level)
    return Rate(kind, len(hits), int(known.sum()), rate, *ends, float(noise.mean()), *of_noise, n_null)


def interval(values: Float[np.ndarray, " draw"], level: float) -> tuple[float, float]:
    """Student's interval of the mean over independent draws; NaN for a single one."""
    from scipy import special

    if len(values) < FEWEST_DRAWS:
        return np.nan, np.nan
    reach = special.stdtrit(len(values) - 1, 1 - level / 2) * values.std(ddof=1) / np.sqrt(len(values))
    return float(values.mean() - reach), float(values.mean() + reach)


def binomial(hits: int, n: int, level: float) -> tuple[float, float]:
    """Clopper and Pearson's interval of a share of independent trials."""
    from scipy import special

    low = special.betaincinv(hits, n - hits + 1, level / 2) if hits else 0.0
    high = special.betaincinv(hits + 1, n - hits, 1 - level / 2) if hits < n else 1.0
    return float(low), float(high)


def nothing(kind: str, reason: str) -> Rate:
    """A kind that cannot be made, and why."""
    return Rate(kind, 0, 0, *(np.nan,) * 6, 0, reason)


def rate_verdict(rate: Rate) -> str:
    """green: the interval holds 5 %; amber: it does not; none: there is no interval."""
    if not np.isfinite(rate.rate_low):
        return "none"
    return "green" if rate.rate_low <= LEVEL <= rate.rate_high else "amber"


def noise_verdict(rate: Rate) -> str:
    """green: the interval holds 0, or the mean is too small to matter."""
    if not np.isfinite(rate.noise_low):
        return "none"
    return "green" if rate.noise_low <= 0 <= rate.noise_high or abs(rate.noise) <= MOST_NOISE else "amber"


__all__ = ["ALL", "LEVEL", "Rate", "certified", "noise_verdict", "nothing", "rate_verdict"]
