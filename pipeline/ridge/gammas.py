"""Which weightings of feature spaces are tried: points on the simplex."""

import numpy as np
from jaxtyping import Float

DECADES = np.linspace(-4, 4, 17)  # log10 of the ratio of two spaces' gammas; scores hardly move within half a decade
ABSENT = 1e-6  # a drawn gamma below this is 0: the space is dropped


def candidates(n_spaces: int, n_iter: int, seed: int) -> Float[np.ndarray, "candidate space"]:
    """All alike, each alone, all but one, then what lies between; `n_iter` of them at most."""
    if n_iter < 1:
        raise ValueError(f"n_iter is {n_iter}; at least 1 candidate must be tried")
    if n_spaces == 1:
        return np.ones((1, 1))
    alone = np.eye(n_spaces)
    without = (1 - alone) / (n_spaces - 1) if n_spaces > 2 else alone[:0]
    fixed = np.vstack([np.full((1, n_spaces), 1 / n_spaces), alone, without])
    n_more = max(n_iter - len(fixed), 0)
    more = _ratios(n_more) if n_spaces == 2 else _draws(n_spaces, n_more, seed)
    return np.vstack([fixed, more])[:n_iter]


def _ratios(n: int) -> Float[np.ndarray, "candidate 2"]:
    decades = np.linspace(DECADES[0], DECADES[-1], min(n, len(DECADES)) // 2 * 2 + 1)
    first = 1 / (1 + 10.0 ** -decades[decades != 0])  # all alike is there already
    return np.stack([first, 1 - first], axis=1)


def _draws(n_spaces: int, n: int, seed: int) -> Float[np.ndarray, "candidate space"]:
    rng = np.random.default_rng(seed)
    drawn = np.array([rng.dirichlet(np.full(n_spaces, (1.0, 0.1)[i % 2])) for i in range(n)]).reshape(n, n_spaces)
    drawn[drawn < ABSENT] = 0
    drawn = drawn[(drawn > 0).sum(axis=1) > 1]  # each alone is there already
    return drawn / drawn.sum(axis=1, keepdims=True)


def checked_gammas(gammas: np.ndarray, n_spaces: int) -> np.ndarray:
    """Refuse rows that are not on the simplex."""
    gammas = np.asarray(gammas, float)
    if gammas.ndim != 2 or gammas.shape[1] != n_spaces or not len(gammas):
        raise ValueError(
            f"gammas are of shape {gammas.shape}; they must be (candidate, {n_spaces}), one for each space"
        )
    off = ~(np.isfinite(gammas) & (gammas >= 0)).all(axis=1) | ~np.isclose(gammas.sum(axis=1), 1)
    if off.any():
        raise ValueError(f"gammas {gammas[off][0].tolist()} are not on the simplex: none negative, their sum 1")
    return gammas


def scaled(gammas: np.ndarray) -> Float[np.ndarray, "candidate space"]:
    """gamma times the number of spaces kept, which makes those kept alike 1; the fewest spaces first."""
    kept = (gammas > 0).sum(axis=1)
    return (gammas * kept[:, None])[np.argsort(kept, kind="stable")]
