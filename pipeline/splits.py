"""Which samples train and which test, never sharing a run or a neighbouring moment."""

import numpy as np
from jaxtyping import Float, Int, Shaped

Folds = list[tuple[np.ndarray, np.ndarray]]  # (train, test) row indices


def leave_one_run_out(run: Shaped[np.ndarray, " sample"]) -> Folds:
    """Each run is tested once, by a fit to all others.

    Parameters
    ----------
    run : label of the run of every sample.
    """
    run = np.asarray(run)
    labels = _labels(run)
    if len(labels) < 2:
        raise ValueError(f"leaving one run out needs two runs; there is {len(labels)}: {labels}")
    return [(np.flatnonzero(run != label), np.flatnonzero(run == label)) for label in labels]


def contiguous(n: int, *, folds: int, gap: int = 0) -> Folds:
    """Cut n samples into blocks; each is tested once, by a fit to the rest.

    Parameters
    ----------
    gap : samples left out of training on both sides of the test block, so
        that what lingers (the blood's answer, autocorrelation) does not tell.
    """
    if not 2 <= folds <= n:
        raise ValueError(f"{folds} folds do not fit {n} samples: there must be at least 2 folds and a sample for each")
    if gap < 0:
        raise ValueError(f"gap is {gap}; it must be 0 or more samples")
    rows, found = np.arange(n), []
    for test in np.array_split(rows, folds):
        train = rows[(rows < test[0] - gap) | (rows > test[-1] + gap)]
        if not train.size:
            raise ValueError(f"a gap of {gap} samples leaves no training samples of {n} in {folds} folds")
        found.append((train, test))
    return found


def purged(
    folds: Folds, run: Shaped[np.ndarray, " sample"], time_s: Float[np.ndarray, " sample"], gap_s: float
) -> Folds:
    """Leave out of training what lies closer than `gap_s` to a tested sample of the same run.

    For samples that are epochs around words: neighbouring epochs share parts
    of the recording, so a gap must be counted in seconds and reach over at
    least the length of an epoch.
    """
    return [(train[~_near(train, test, np.asarray(run), time_s, gap_s)], test) for train, test in folds]


def _near(train: np.ndarray, test: np.ndarray, run: np.ndarray, time_s: np.ndarray, gap_s: float) -> np.ndarray:
    near = np.zeros(len(train), bool)
    for label in dict.fromkeys(run[test].tolist()):
        own, tested = run[train] == label, np.sort(time_s[test[run[test] == label]])
        time = time_s[train[own]]
        after = np.searchsorted(tested, time)
        # the nearest tested samples before and after; infinitely far where there is none
        before_s = time - np.append(-np.inf, tested)[after]
        after_s = np.append(tested, np.inf)[after] - time
        near[own] = np.minimum(before_s, after_s) < gap_s
    return near


def given(split: Shaped[np.ndarray, " sample"]) -> Folds:
    """One fold as the data set says: rows marked `train` and `test`; others are in neither."""
    split = np.asarray(split)
    train, test = np.flatnonzero(split == "train"), np.flatnonzero(split == "test")
    if not (train.size and test.size):
        raise ValueError(f"split 'given' needs runs marked train and test; found {_labels(split)}")
    return [(train, test)]


def shuffled(n: int, *, folds: int, seed: int) -> Folds:
    """LEAKY: samples at random into folds. Neighbours stand in training and test, so noise scores well.

    Only to show the leak; a study must say `allow_leaky: true`.
    """
    if not 2 <= folds <= n:
        raise ValueError(f"{folds} folds do not fit {n} samples: there must be at least 2 folds and a sample for each")
    order = np.random.default_rng(seed).permutation(n)
    tests = [np.sort(test) for test in np.array_split(order, folds)]
    return [(np.setdiff1d(order, test), test) for test in tests]


def inner_by_run(train: Int[np.ndarray, " row"], run: Shaped[np.ndarray, " sample"], folds: int) -> Folds:
    """Folds inside the training rows that keep runs whole: at most `folds` groups of neighbouring runs."""
    if folds < 2:
        raise ValueError(f"{folds} inner folds leave nothing to train on: there must be at least 2")
    own = np.asarray(run)[train]
    labels = _labels(own)
    if len(labels) < 2:
        raise ValueError(f"inner folds by run need two training runs; there is {len(labels)}: {labels}")
    groups = np.array_split(np.arange(len(labels)), min(folds, len(labels)))
    tests = [np.isin(own, [labels[i] for i in group]) for group in groups]
    return [(train[~test], train[test]) for test in tests]


def inner_contiguous(train: Int[np.ndarray, " row"], folds: int, gap: int) -> Folds:
    """Contiguous folds inside the training rows."""
    return [(train[a], train[b]) for a, b in contiguous(len(train), folds=folds, gap=gap)]


def _labels(run: np.ndarray) -> list:
    return list(dict.fromkeys(run.tolist()))


SPLITS = {"leave_one_run_out": leave_one_run_out, "contiguous": contiguous, "given": given, "shuffled": shuffled}
