"""Random phases: a null whose series are exactly as smooth as the measured ones."""

import numpy as np
from jaxtyping import Complex, Float, Shaped

from pipeline.statistics.against import Corrected, against, check
from pipeline.statistics.blocks import Run, split_runs
from pipeline.statistics.surrogates import check_phases, random_turns

_CELLS = 2**20  # numbers held at once: 8 MB


class Turns:
    """Random phases for every permutation, the same for all targets, each run with its own.

    Attributes
    ----------
    runs : rows of each run.
    turns : for each run, (permutation, frequency) factors of size 1.
    """

    missed = 0.0  # no border is broken

    def __init__(self, runs: list[np.ndarray], n: int, seed: int):
        if n < 1:
            raise ValueError(f"a test of {n} permutations is none: n must be 1 or more")
        check_phases(runs)
        rng = np.random.default_rng(seed)
        self.runs, self.n, self.n_samples = runs, n, sum(map(len, runs))
        self.turns = [random_turns(len(rows), n, rng) for rows in runs]

    def of(
        self, y: Shaped[np.ndarray, "sample target"], start: int, stop: int
    ) -> Float[np.ndarray, "draw sample target"]:
        """Responses with the phases of some permutations."""
        from scipy import fft

        found = np.empty((min(stop, self.n) - start, *y.shape))
        for rows, turns in zip(self.runs, self.turns, strict=True):
            waves = fft.rfft(y[rows], axis=0) * turns[start:stop, :, None]
            found[:, rows] = fft.irfft(waves, len(rows), axis=1)
        return found


def phases(
    Y: Shaped[np.ndarray, "sample target"],
    Y_hat: Shaped[np.ndarray, "sample target"],
    *,
    run: Run = None,
    n: int = 1000,
    seed: int = 0,
    max_statistic: bool = False,
) -> Float[np.ndarray, " target"] | Corrected:
    """p of each target's correlation with its prediction, against the prediction with random phases.

    Each run's prediction keeps its spectrum, so its smoothness survives whole,
    and no block length is to be chosen; what is not Gaussian in it (a
    response to the onset of a story) does not survive. For held-out
    predictions only, as `permute_blocks`.

    Parameters
    ----------
    Y, Y_hat : measured and predicted responses.
    run : run of each sample; each has phases of its own. Of fewer than three samples it has none and is refused.
    n : permutations.
    max_statistic : also correct for all targets, as in `permute_blocks`.

    Returns
    -------
    (b + 1) / (n + 1); NaN and 1 as in `permute_blocks`.

    References
    ----------
    Prichard & Theiler (1994), Physical Review Letters 73, 951-954.
    """
    check(Y, Y_hat)
    drawn = Turns(split_runs(run, len(Y)), n, seed)
    weights = np.hstack([_weights(turns, len(rows)) for turns, rows in zip(drawn.turns, drawn.runs, strict=True)])
    step = max(_CELLS // (n + 3 * len(Y)), 1)
    return against(Y, Y_hat, n, lambda y, p: weights @ _crossed(y, p, drawn.runs), step, max_statistic)


def _weights(turns: Complex[np.ndarray, "permutation frequency"], n: int) -> Float[np.ndarray, "permutation part"]:
    """What turns each frequency's cross spectrum into a sum of products: those between first and last stand for two."""
    count = np.full(turns.shape[1], 2 / n)
    count[0] = 1 / n
    if n % 2 == 0:
        count[-1] = 1 / n
    return np.hstack([turns.real * count, -turns.imag * count])


def _crossed(y: np.ndarray, p: np.ndarray, runs: list[np.ndarray]) -> Float[np.ndarray, "part target"]:
    """Real and imaginary parts of each run's cross spectrum."""
    from scipy import fft

    parts = []
    for rows in runs:
        cross = np.conj(fft.rfft(y[rows], axis=0)) * fft.rfft(p[rows], axis=0)
        parts += [cross.real, cross.imag]
    return np.vstack(parts)
