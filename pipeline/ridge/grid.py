"""A hundred alphas for the price of ten.

A score as a function of log alpha is smooth: alpha enters only through
1 / (s + alpha), whose logistic shape in log alpha cannot bend within less
than about a decade. So scores at a few nodes tell those between.
"""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float

# Nodes for each factor of ten between the smallest and largest alpha. At three decades, worst of 400 targets:
# ten nodes tell the score to 1e-4 (what choosing by it costs: 4e-6), six to 2e-3 (4e-4).
FINE, COARSE = 10 / 3, 7 / 3


class Grid(NamedTuple):
    """Alphas to choose from, nodes where scores are measured, and the weights that lead from these to those.

    `weights` is None where every alpha is measured.
    """

    alphas: Float[np.ndarray, " alpha"]
    nodes: Float[np.ndarray, " node"]
    weights: Float[np.ndarray, "alpha node"] | None

    def spread(self, scores: Float[np.ndarray, "node target"]) -> Float[np.ndarray, "alpha target"]:
        """Scores at every alpha."""
        return scores if self.weights is None else self.weights @ scores


def grid(alphas: Float[np.ndarray, " alpha"], per_decade: float = FINE) -> Grid:
    """Chebyshev's nodes over the logarithm of ascending alphas, stretched to both ends; all alphas where that saves little."""
    low, high = np.log10(alphas[[0, -1]])
    n_nodes = np.ceil(per_decade * (high - low)) if high > low else 0
    if n_nodes < 4 or n_nodes > 0.75 * len(alphas):
        return Grid(alphas, alphas, None)
    n_nodes = int(n_nodes)
    angle = (2 * np.arange(n_nodes) + 1) * np.pi / (2 * n_nodes)
    position = -np.cos(angle) / np.cos(angle[0])
    return Grid(
        alphas,
        10 ** (low + (position + 1) / 2 * (high - low)),
        _barycentric(position, 2 * (np.log10(alphas) - low) / (high - low) - 1),
    )


def _barycentric(nodes: np.ndarray, at: np.ndarray) -> np.ndarray:
    """Weights of the polynomial through all nodes (Berrut & Trefethen 2004, SIAM Review 46, 501-517)."""
    apart = nodes[:, None] - nodes
    np.fill_diagonal(apart, 1)
    own = 1 / apart.prod(axis=1)
    distance = at[:, None] - nodes
    on = np.abs(distance) < 1e-12
    weights = own / np.where(on, 1, distance)
    weights /= weights.sum(axis=1, keepdims=True)
    return np.where(on.any(axis=1, keepdims=True), on, weights)
