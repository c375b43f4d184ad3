"""Ceiling from a regression between people: how well others' responses predict one's own, fitted as a model is."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Shaped

from pipeline import ridge, splits
from pipeline.ceilings.answer import Ceiling, Presentations, of_correlations, still
from pipeline.ceilings.repeats import centred
from pipeline.ceilings.resampling import Cut, Sums, estimated
from pipeline.ridge.score import FLAT
from pipeline.statistics.blocks import Run, split_runs

Fold = tuple[np.ndarray, np.ndarray]
ALPHAS = np.geomspace(1, 1e8, 17)  # as the encoding's by default


def shared_response(
    own: Shaped[np.ndarray, "sample target"],
    others: Sequence[Shaped[np.ndarray, "sample _"]],
    *,
    folds: Sequence[Fold],
    inner: Sequence[Sequence[Fold]] | None = None,
    alphas: Shaped[np.ndarray, " alpha"] | Sequence[float] = ALPHAS,
    same: bool | None = None,
    select: str = "r2",
    run: Run = None,
    n: int = 1000,
    seed: int = 0,
    block: int | None = None,
    precision: str = "float32",
) -> Ceiling:
    """Ceiling from ridge regression of one person's responses on those of the others.

    Folds, penalties and their choice are those of the models it is compared
    with, and so is the score: the mean over folds of r. The others' responses
    have noise in them, and signal of one person alone is in none of them: a
    lower bound of what a model could reach, also where people's targets
    differ in number and meaning and cannot be laid beside each other.

    Own responses must not have been made with the others' test runs: targets
    such as principal components must come from other data or training runs.

    Parameters
    ----------
    own : responses of one person; others : of everybody else, to the same samples.
    folds, inner, alphas, select, precision : as for `ridge.cross_validate`.
    same : whether target i means the same in all of them. True (by default
        where all have the same number): the mean over others predicts. False:
        all their targets, side by side. Each is standardised run by run.
    run, n, seed, block : as for `repeats`; no block spans two folds. The
        interval is about other test samples, the fits as they are; of several
        folds it is somewhat narrow, for each trains on what others test.

    Returns
    -------
    Of the correlation with `own` on held-out samples. NaN where a target is
    constant in a fold.

    References
    ----------
    Caucheteux & King (2022), Communications Biology 5, 134, Methods.
    """
    found = held_out(
        own, others, folds=folds, inner=inner, alphas=alphas, same=same, select=select, run=run, precision=precision
    )  # fmt: skip
    return of_held_out(found, n=n, seed=seed, block=block)


class HeldOut(NamedTuple):
    """Responses and predictions of the tested samples, fold after fold: (2, tested, target).

    `folds` are the rows of each fold, `run` is a label for each fold and run.
    """

    pairs: Float[np.ndarray, "two tested target"]
    folds: list[np.ndarray]
    run: np.ndarray


def held_out(
    own: Shaped[np.ndarray, "sample target"],
    others: Sequence[Shaped[np.ndarray, "sample _"]],
    *,
    folds: Sequence[Fold],
    inner: Sequence[Sequence[Fold]] | None = None,
    alphas: Shaped[np.ndarray, " alpha"] | Sequence[float] = ALPHAS,
    same: bool | None = None,
    select: str = "r2",
    run: Run = None,
    precision: str = "float32",
) -> HeldOut:
    """What the others' responses predict of the tested samples; arguments as in `shared_response`."""
    X = _design(own, others, same, split_runs(run, len(own)))
    alpha = ridge.cross_validate(
        X, own, folds=folds, inner=inner, alphas=alphas, select=select, precision=precision
    ).alpha  # fmt: skip
    return HeldOut(_held_out(X, own, folds, alpha, precision), *_places(folds, run))


def of_held_out(found: HeldOut, *, n: int = 1000, seed: int = 0, block: int | None = None) -> Ceiling:
    """`shared_response` from predictions that were made before."""
    each = 2 * len(found.folds)  # a mean and a size in every fold
    ratio, reason = estimated(
        found.pairs, _correlation(found.folds), run=found.run, n=n, seed=seed, block=block, taken=each
    )
    return of_correlations(*((1 - ratio) / (1 + ratio)), reason)


def among_people(
    Y: Presentations,
    *,
    person: int = 0,
    run: Run = None,
    n: int = 1000,
    seed: int = 0,
    block: int | None = None,
) -> Ceiling:
    """`shared_response` of one of several people, leaving out one run at a time or else five stretches.

    Parameters
    ----------
    Y : (person, sample, target), or one (sample, target) for each person where targets differ in number.
    """
    if len(Y) < 2:
        raise ValueError(
            f"a ceiling from shared responses needs at least two people with the same stimulus and got {len(Y)}: "
            "without others there is nothing to predict from; choose `repeats` or `none`"
        )
    if not 0 <= person < len(Y):
        raise ValueError(f"person {person} is not among the {len(Y)} people, counted from 0")
    several = run is not None and len(set(run.tolist())) > 1
    n_samples = len(Y[person])
    folds = splits.leave_one_run_out(run) if several else splits.contiguous(n_samples, folds=5, gap=n_samples // 30)
    others = [Y[i] for i in range(len(Y)) if i != person]
    return shared_response(Y[person], others, folds=folds, run=run, n=n, seed=seed, block=block)


def _design(own: np.ndarray, others: Sequence[np.ndarray], same: bool | None, runs: list[np.ndarray]) -> np.ndarray:
    """Mean over others, or all of their targets side by side."""
    if not others:
        raise ValueError("there are no others whose responses could predict; a ceiling of shared responses needs one")
    lengths = [len(part) for part in (own, *others)]
    if len(set(lengths)) > 1:
        raise ValueError(
            f"people have {', '.join(map(str, lengths))} samples; all must have the same ones: "
            "leave out what was not presented to everybody"
        )
    widths = {part.shape[1] for part in (own, *others)}
    if same and len(widths) > 1:
        raise ValueError(
            f"people have {sorted(widths)} targets, so target i cannot mean the same in all: say same=False"
        )
    z = [_standardised(part, runs) for part in others]
    return np.mean(z, axis=0) if same or (same is None and len(widths) == 1) else np.concatenate(z, axis=1)


def _standardised(Y: np.ndarray, runs: list[np.ndarray]) -> np.ndarray:
    Y = centred(Y[None], runs)[0]
    for rows in runs:
        size = Y[rows].std(axis=0)
        Y[rows] /= np.where(size > 0, size, 1)
    return Y


def _held_out(
    X: np.ndarray, own: np.ndarray, folds: Sequence[Fold], alpha: np.ndarray, precision: str
) -> Float[np.ndarray, "two tested target"]:
    """Responses and predictions, fold after fold."""
    predicted = [
        ridge.held_out(X, own, folds=[fold], alpha=alpha[k : k + 1], precision=precision)[fold[1]]
        for k, fold in enumerate(folds)
    ]
    return np.stack([np.concatenate([own[test] for _, test in folds]), np.concatenate(predicted)])


def _places(folds: Sequence[Fold], run: Run) -> tuple[list[np.ndarray], np.ndarray]:
    """Where each fold's samples lie among the tested ones, and a label for each fold and run."""
    sizes = [len(test) for _, test in folds]
    fold = np.repeat(np.arange(len(folds)), sizes)
    own = np.zeros(len(fold), int)
    if run is not None:
        own = np.unique(np.concatenate([run[test] for _, test in folds]), return_inverse=True)[1]
    return [np.flatnonzero(fold == k) for k in range(len(folds))], fold * (own.max() + 1) + own


def _correlation(folds: list[np.ndarray]) -> Sums:
    def sums(pairs: np.ndarray, runs: list[np.ndarray], cut: Cut) -> tuple[np.ndarray, np.ndarray]:
        """What each block adds to 1 + r and to 1 - r, r the mean over folds, each of which counts the same.

        As a correlation depends on both variances, each fold's own r stands
        beside its variances; what is added is nothing in sum.
        """
        missing = np.stack([still(pairs[:1, rows])[0] for rows in folds]).any(axis=0)
        z, own = centred(pairs, folds), np.empty(pairs.shape[1:])
        for rows in folds:
            size = np.sqrt((z[:, rows] ** 2).sum(axis=1, keepdims=True))
            flat = size[1] <= FLAT * size[0]  # a constant prediction explains nothing: r = 0
            size[1] = np.where(flat, np.inf, size[1])
            z[:, rows] /= size * np.sqrt(len(folds))
            own[rows] = np.where(flat, z[0, rows] ** 2, (z[:, rows] ** 2).mean(axis=0))
        product = z[0] * z[1]
        r = product.sum(axis=0)
        for rows in folds:
            product[rows] -= (product[rows].sum(axis=0) * len(folds) - r) * own[rows]
        return cut(own + np.where(missing, np.nan, product)), cut(own - product)

    return sums
