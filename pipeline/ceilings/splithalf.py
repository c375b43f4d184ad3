"""Ceiling from halves of the repeats: how well one half tells the other, stepped up to all of them."""

from itertools import combinations
from math import comb

import numpy as np
from jaxtyping import Bool, Float, Shaped

from pipeline.ceilings.answer import Ceiling, Presentations, of_shares, still
from pipeline.ceilings.repeats import centred, powers, presented
from pipeline.ceilings.resampling import LEAST, Cut, Sums, estimated

_MOST = 126  # splits: all there are of up to eight repeats and of ten, and as many drawn of others


def splithalf(
    Y: Presentations,
    *,
    run: Shaped[np.ndarray, " sample"] | None = None,
    n: int = 1000,
    seed: int = 0,
    block: int | None = None,
) -> Ceiling:
    """Ceiling from the correlation between halves of the repeats (Spearman-Brown).

    The mean over splits of Fisher's z gives r, the correlation of two halves
    of k repeats each; that of all R repeats with R others would be
    (R/k) r / (1 + (R/k - 1) r). An odd number of repeats has halves of
    (R - 1) / 2, and one repeat is left out in turn: Spearman and Brown's
    formula is not about unequal halves.

    It asks what `repeats` asks in another way, and unlike it gives both
    halves the same weight, however strong; the two should agree within .01.

    The interval is studentised (`ceilings.resampling`): z is the mean of
    log[Var(a + b) / Var(a - b)] / 2 for standardised halves a and b. In a
    resample the mean over splits is taken before the logarithm, which changes
    nothing of first order.

    Parameters
    ----------
    Y, run, n, block : as for `repeats`.
    seed : of the resamples, and of the splits where there are more than 126.

    Returns
    -------
    As `repeats`; NaN also where one repeat is constant, for it correlates
    with nothing.

    References
    ----------
    Brown (1910), British Journal of Psychology 3, 296-322.
    Lage-Castellanos et al. (2019), PLoS Computational Biology 15, e1006397.
    """
    Y = presented(Y)
    halves = splits(len(Y), seed)
    ratio, reason = estimated(Y, _of_halves(halves), run=run, n=n, seed=seed, block=block, pull=powers)
    r = (1 - ratio) / (1 + ratio)
    longer = len(Y) / halves[0, 0].sum()
    share = longer * r / (1 + (longer - 1) * r)
    return of_shares(*np.where(still(Y).any(axis=0), np.nan, share), reason)


def splits(n_repeats: int, seed: int = 0) -> Bool[np.ndarray, "split half repeat"]:
    """Which repeats make up both halves: every split once, or 126 different ones drawn where there are more."""
    size = n_repeats // 2
    if comb(n_repeats, size) * comb(n_repeats - size, size) // 2 <= _MOST:
        pairs = [(a, b) for a in combinations(range(n_repeats), size) for b in combinations(range(n_repeats), size)]
        chosen = [(a, b) for a, b in pairs if a < b and not set(a) & set(b)]
    else:
        chosen = list(_drawn(n_repeats, size, np.random.default_rng(seed)))
    return np.array([[np.isin(np.arange(n_repeats), half) for half in pair] for pair in chosen])


def _drawn(n_repeats: int, size: int, rng: np.random.Generator) -> dict[tuple[tuple[int, ...], ...], None]:
    found: dict[tuple[tuple[int, ...], ...], None] = {}
    while len(found) < _MOST:
        order = rng.permutation(n_repeats)[: 2 * size].tolist()
        found[tuple(sorted((tuple(sorted(order[:size])), tuple(sorted(order[size:])))))] = None
    return found


def _of_halves(halves: np.ndarray) -> Sums:
    weights = _weights(halves)

    def sums(Y: np.ndarray, runs: list[np.ndarray], cut: Cut) -> tuple[np.ndarray, np.ndarray]:
        """What each block adds to the variance of the halves' sum and of their difference, in the mean over splits."""
        Y = centred(Y, runs)
        products = np.stack([cut(Y[i] * Y[j]) for i, j in zip(*np.triu_indices(len(Y)), strict=True)])
        return _means(products, weights)

    return sums


def _weights(halves: np.ndarray) -> Float[np.ndarray, "split form pair"]:
    """How the products of two repeats add up to those of half a with itself, b with itself, and a with b."""
    upper = np.triu_indices(halves.shape[2])
    a, b = halves[:, 0].astype(float), halves[:, 1].astype(float)
    forms = [np.einsum("si,sj->sij", x, y) for x, y in ((a, a), (b, b), (a, b))]
    both = [form + form.transpose(0, 2, 1) for form in forms]
    once = np.where(upper[0] == upper[1], 0.5, 1.0)
    return np.stack([form[:, *upper] * once for form in (both[0], both[1], both[2])], axis=1)


def _means(products: np.ndarray, weights: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Shares of the sum's variance, by block, and of the difference's times exp(-2 z), so that their ratio is that."""
    top, bottom, z = np.zeros(products.shape[1:]), np.zeros(products.shape[1:]), 0.0
    for forms in weights:  # one split at a time: all together would be hundreds of times the responses
        aa, bb, ab = np.tensordot(forms, products, axes=1)
        size_a, size_b = np.sqrt(aa.sum(axis=0)), np.sqrt(bb.sum(axis=0))
        both, cross = aa / size_a**2 + bb / size_b**2, 2 * ab / (size_a * size_b)
        r = cross.sum(axis=0) / 2
        plus, minus = np.maximum(1 + r, LEAST), np.maximum(1 - r, LEAST)
        top += (both + cross) / plus
        bottom += (both - cross) / minus
        z = z + np.log(plus / minus) / 2
    return top, bottom * np.exp(-2 * z / len(weights))
