"""What is refused before anything is fitted, and the inner folds where the caller gives none."""

from collections.abc import Iterator, Sequence

import numpy as np

Fold = tuple[np.ndarray, np.ndarray]

INNER_FOLDS = 5  # of the training rows, where the caller gives no inner folds and one or two outer ones
_CELLS = 2**20  # values looked at together, so that a check of mapped responses does not read them all into memory


def check_option(name: str, value: str, known: Sequence[str]) -> None:
    """Refuse a choice that does not exist, naming those that do."""
    if value not in known:
        raise ValueError(f"{name}={value!r} is not known; known: {', '.join(map(repr, known))}")


def checked_values(values: np.ndarray, name: str) -> np.ndarray:
    """The values, all finite; refuse others with their count and the first one's place."""
    count, first = 0, ()
    for start, part in _row_blocks(values):
        bad = ~np.isfinite(part)
        if bad.any():
            place = np.argwhere(bad)[0]
            first = first or (start + int(place[0]), *map(int, place[1:]))
            count += int(bad.sum())
    if count:
        raise ValueError(f"{name} holds {count} missing or infinite values, the first at {first}")
    return values


def _row_blocks(values: np.ndarray) -> Iterator[tuple[int, np.ndarray]]:
    step = max(_CELLS // max(values[:1].size, 1), 1)
    return ((start, values[start : start + step]) for start in range(0, len(values), step))


def checked_alphas(alphas: Sequence[float] | np.ndarray) -> np.ndarray:
    """The penalties in ascending order."""
    alphas = np.sort(np.asarray(alphas, float))
    if not (alphas.size and np.isfinite(alphas).all() and alphas[0] > 0):
        raise ValueError(f"alphas are {alphas.tolist()}; there must be at least one, all positive and finite")
    return alphas


def check_folds(folds: Sequence[Fold], n_samples: int) -> None:
    """Refuse folds whose training and test rows meet, or that leave the data."""
    for k, (train, test) in enumerate(folds):
        shared = np.intersect1d(train, test)
        if shared.size:
            raise ValueError(f"fold {k} trains and tests on the same {shared.size} rows, the first is {shared[0]}")
        rows = np.concatenate([np.asarray(train), np.asarray(test)])
        if not len(train) or not len(test) or rows.min() < 0 or rows.max() >= n_samples:
            raise ValueError(
                f"fold {k} trains on {len(train)} and tests on {len(test)} rows; rows must lie in 0 to {n_samples - 1}"
            )


def check_inner(folds: Sequence[Fold], inner: Sequence[Sequence[Fold]], n_alphas: int) -> None:
    """Refuse inner folds that are missing, empty, or reach outside the training rows."""
    if len(inner) != len(folds):
        raise ValueError(f"{len(inner)} sets of inner folds for {len(folds)} folds; there must be one for each")
    for k, (train, _) in enumerate(folds):
        if n_alphas > 1 and not inner[k]:
            raise ValueError(f"fold {k} has no inner folds to choose among {n_alphas} alphas")
        for rows in (np.asarray(part) for pair in inner[k] for part in pair):
            foreign = np.setdiff1d(rows, train)
            if foreign.size:  # alpha would be chosen on test rows
                raise ValueError(
                    f"inner folds of fold {k} hold {foreign.size} rows outside its training rows, the first is "
                    f"{foreign[0]}; give row indices of X, as in folds"
                )
            if not rows.size or len(np.unique(rows)) < len(rows):
                raise ValueError(f"inner folds of fold {k} hold a part that is empty or names a row twice")


def default_inner(folds: Sequence[Fold], k: int) -> list[Fold]:
    """The other folds' test blocks inside the training rows; five contiguous blocks where that leaves none."""
    train = np.asarray(folds[k][0])
    others = [fold for i, fold in enumerate(folds) if i != k]
    # training rows of both folds: a gap that the other fold leaves around its test block is kept
    inner = [(np.intersect1d(train, rows), np.intersect1d(train, test)) for rows, test in others]
    inner = [(rows, test) for rows, test in inner if len(rows) and len(test)]
    return inner or [(np.setdiff1d(train, test), test) for test in np.array_split(train, INNER_FOLDS) if len(test)]
