"""B18: what is not yet said changes nothing before it, and what is tested changes nothing that is fitted."""

from pathlib import Path

import numpy as np

from calibration import forward
from calibration.harness import at_least, at_most, cell
from pipeline import forecast, ridge, splits, timing
from pipeline.comparison import choose_layer
from pipeline.models import MODELS

_DELAYS = (1, 2, 3, 4)
_CAUSAL = (
    "wordrate",
    "wordlength",
    "tokens",
    "frequency",
)  # of one word each; what reads context is tested with networks


def _story(seed: int) -> forward.Story:
    return forward.tell(np.random.default_rng([18, seed]), 120, 5)


def _changed(story: forward.Story) -> forward.Story:
    """The same with another last word."""
    latents, words = story.latents.copy(), story.words.copy()
    latents[-1] += 10
    words.loc[words.index[-1], "word"] = "otherwise"
    return story._replace(latents=latents, words=words)


def _before(story: forward.Story, lobes: int) -> np.ndarray:
    """Rows that end before the last word begins, or that many samples earlier."""
    return story.times_s + forward.TR_S * (1 + lobes) <= story.onsets[-1]


@cell(
    "B18",
    "another last word: largest change in earlier rows on the clock (sum, mean, last, causal, the blood's answer), delayed",
    at_most(0.0),
    quick=2,
)
def clock(seed: int) -> float:
    from pipeline.hrf import answered

    found = []
    one, other = _story(seed), _changed(_story(seed))
    rows = _before(one, 0)
    for how in ("sum", "mean", "last", "causal"):
        X, Z = (timing.delay(timing.to_grid(s.latents, s.onsets, s.times_s, how=how), _DELAYS) for s in (one, other))
        found.append(np.abs(X - Z)[rows].max())
    X, Z = (answered(s.latents, s.onsets, s.times_s, "spm", 1) for s in (one, other))
    return float(max([*found, np.abs(X - Z)[rows].max()]))


@cell("B18", "the same with Lanczos, rows more than its three lobes before the word", at_most(0.0), quick=2)
def lanczos(seed: int) -> float:
    one, other = _story(seed), _changed(_story(seed))
    X, Z = (timing.delay(timing.to_grid(s.latents, s.onsets, s.times_s), _DELAYS) for s in (one, other))
    return float(np.abs(X - Z)[_before(one, 3)].max())


@cell(
    "B18",
    "the same, columns of word rate, length, identity and frequency for every earlier word",
    at_most(0.0),
    quick=2,
)
def models(seed: int) -> float:
    found = []
    for kind in _CAUSAL:
        one, other = (
            next(iter(MODELS[kind]().activations({"a": s.words}, study_dir=Path()))).values
            for s in (_story(seed), _changed(_story(seed)))
        )
        found.append(np.abs(one - other)[:-1].max())
    return float(max(found))


@cell("B18", "the same, windows of words up to 8 ahead, words more than 8 before the last", at_most(0.0), quick=2)
def windows(seed: int) -> float:
    one, other = (forecast.window(s.latents, 8) for s in (_story(seed), _changed(_story(seed))))
    return float(np.abs(one - other)[:-9].max())


@cell("B18", "delays made by rolling the array: change in earlier rows", at_least(1.0), quick=2, naive=True)
def rolled(seed: int) -> float:
    X, Z = (
        np.hstack([np.roll(timing.to_grid(s.latents, s.onsets, s.times_s, how="sum"), d, axis=0) for d in _DELAYS])
        for s in (_story(seed), _changed(_story(seed)))
    )
    return float(np.abs(X - Z)[_before(_story(seed), 0)].max())


@cell(
    "B18",
    "another tested run: largest change of penalties, layer, weights' predictions and banded penalties of its fold",
    at_most(0.0),
    quick=1,
)
def tested(seed: int) -> float:
    rng = np.random.default_rng([18, seed])
    X = np.stack([forward.ar1(rng, 240, 12, 0.5) for _ in range(3)])
    Y = X[1] @ rng.standard_normal((12, 6)) + 3 * rng.standard_normal((240, 6))
    folds = splits.leave_one_run_out(np.repeat(np.arange(4), 60))
    other = Y.copy()
    other[folds[0][1]] = 50 + 9 * rng.standard_normal((60, 6))
    one, two = (_fitted(X, responses, folds[:1]) for responses in (Y, other))
    return float(max(np.abs(a - b).max() for a, b in zip(one, two, strict=True)))


def _fitted(X: np.ndarray, Y: np.ndarray, folds: list) -> tuple[np.ndarray, ...]:
    train, _ = folds[0]
    fit = {"folds": folds, "inner": [splits.inner_by_run(train, np.repeat(np.arange(4), 60), 3)]}
    fit |= {"alphas": np.geomspace(1, 1e5, 11), "precision": "float64"}
    scores = ridge.cross_validate(X, Y, **fit)
    predicted = ridge.held_out(X[0], Y, folds=folds, alpha=scores.alpha[0], precision="float64")[folds[0][1]]
    bands = ridge.banded([X[0], X[1]], Y, n_iter=9, **fit)
    penalties = np.log10(np.where(np.isfinite(bands.alpha), bands.alpha, 1e30))
    return (
        np.log10(scores.alpha),
        scores.inner,
        choose_layer(scores.inner).astype(float),
        predicted,
        penalties,
        bands.inner,
    )
