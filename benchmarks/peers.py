"""Other people's ways to the same answer, each in the setting that suits it best.

All get float32 data, the same penalties and folds, and give r on the test
rows. Where one cannot answer the same question, its docstring says so.
"""

import warnings
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from reference import correlation, decomposed
from workloads import Problem

from pipeline.ridge import cross_validate

CHUNK_ROWS = 40  # of the chunk bootstrap, as published for stories at 2 s per volume
N_BOOTSTRAPS = 5  # equal to our inner folds; the authors advise 15 to 30
HIMALAYA_BATCH = 500  # targets; the best of 250, 500, 1000 and all here
HELD_OUT = 0.2  # of the chunks, equal to our inner folds


class Answer(NamedTuple):
    """r and the chosen penalty, (fold, target); no penalty where the method has another one; our engine's ways."""

    r: np.ndarray
    alpha: np.ndarray | None
    path: tuple[str, ...] = ()


def ours(problem: Problem, precision: str) -> Answer:
    """This project."""
    X, Y, folds, inner, alphas = problem
    found = cross_validate(X, Y, folds=folds, inner=inner, alphas=alphas, select="r", precision=precision)
    return Answer(np.asarray(found.r), np.asarray(found.alpha), found.path)


def himalaya_ridge(problem: Problem, backend: str, batch: int | None = None) -> Answer:
    """himalaya's RidgeCV: an SVD per fold, per-target penalties; the same question as ours.

    `batch` targets at a time stay in the cache and are faster than its default, all at once.
    """
    from himalaya.backend import set_backend
    from himalaya.ridge import RidgeCV

    library = set_backend(backend)
    r, alpha = [], []
    for (train, test), inner in zip(problem.folds, problem.inner, strict=True):
        settings = himalaya_settings(problem, len(inner))
        settings["solver_params"] |= {"warn": False, "n_targets_batch": batch}
        model = RidgeCV(fit_intercept=True, **settings).fit(problem.X[train], problem.Y[train])
        r.append(_himalaya_score(library, model, problem.X[test], problem.Y[test]))
        alpha.append(library.to_numpy(model.best_alphas_))
    return Answer(np.stack(r), np.stack(alpha))


def himalaya_kernel(problem: Problem, backend: str) -> Answer:
    """himalaya's KernelRidgeCV, made for fewer rows than features; all but the same question as ours.

    Fitted to data centred by their training means: with its own intercept
    (fit_intercept=True) its float32 predictions are off by 1e-2 in r. The inner
    folds are then not centred again each by its own rows; r does not mind much.
    """
    from himalaya.backend import set_backend
    from himalaya.kernel_ridge import KernelRidgeCV

    library = set_backend(backend)
    X, Y = problem.X, problem.Y
    r, alpha = [], []
    for (train, test), inner in zip(problem.folds, problem.inner, strict=True):
        mean, mean_y = X[train].mean(axis=0), Y[train].mean(axis=0)
        model = KernelRidgeCV(kernel="linear", warn=False, **himalaya_settings(problem, len(inner)))
        model.fit(X[train] - mean, Y[train] - mean_y)
        r.append(_himalaya_score(library, model, X[test] - mean, Y[test]))
        alpha.append(library.to_numpy(model.best_alphas_))
    return Answer(np.stack(r), np.stack(alpha))


def himalaya_settings(problem: Problem, n_inner: int) -> dict[str, Any]:
    from himalaya.scoring import correlation_score
    from sklearn.model_selection import KFold

    alphas = problem.alphas.astype(np.float32)
    return {"alphas": alphas, "cv": KFold(n_inner), "solver_params": {"score_func": correlation_score}}


def _himalaya_score(library: Any, model: Any, X: np.ndarray, Y: np.ndarray) -> np.ndarray:
    from himalaya.scoring import correlation_score

    return library.to_numpy(correlation_score(Y, model.predict(X)))


def sklearn_loop(problem: Problem) -> Answer:
    """What many scripts do: scikit-learn's Ridge for every fold and penalty, then once more for the chosen ones."""
    from sklearn.linear_model import Ridge

    X, Y = problem.X, problem.Y
    r, alpha = [], []
    for (train, test), inner in zip(problem.folds, problem.inner, strict=True):
        score = np.zeros((len(problem.alphas), Y.shape[1]))
        for rows, held in inner:
            for a, penalty in enumerate(problem.alphas):
                score[a] += correlation(Ridge(alpha=penalty).fit(X[rows], Y[rows]).predict(X[held]), Y[held])
        best = score.argmax(axis=0)
        prediction = np.empty((len(test), Y.shape[1]), np.float32)
        for a in np.unique(best):
            own = best == a
            model = Ridge(alpha=problem.alphas[a]).fit(X[train], Y[train][:, own])
            prediction[:, own] = model.predict(X[test]).reshape(len(test), -1)  # one target comes back as a vector
        r.append(correlation(prediction, Y[test]))
        alpha.append(problem.alphas[best])
    return Answer(np.stack(r), np.stack(alpha))


def sklearn_loo(problem: Problem) -> Answer:
    """scikit-learn's RidgeCV, leave-one-out, one penalty per target.

    Another criterion: neighbouring rows of a time series are no independent
    test, so its penalties differ from those of contiguous folds.
    """
    from sklearn.linear_model import RidgeCV

    r, alpha = [], []
    for train, test in problem.folds:
        model = RidgeCV(problem.alphas, alpha_per_target=True).fit(problem.X[train], problem.Y[train])
        r.append(correlation(model.predict(problem.X[test]), problem.Y[test]))
        alpha.append(np.broadcast_to(model.alpha_, problem.Y.shape[1]))
    return Answer(np.stack(r), np.stack(alpha))


def fracridge(problem: Problem) -> Answer:
    """fracridge: ten fractions of the unpenalised length instead of ten penalties; another grid, the same folds."""
    from fracridge import fracridge as fit

    fractions = np.linspace(0.1, 1, len(problem.alphas))

    def predictions(train: np.ndarray, test: np.ndarray, columns: slice) -> np.ndarray:
        """(test, fraction, target)"""
        X, Y = problem.X, problem.Y[:, columns]
        mean, mean_y = X[train].mean(axis=0), Y[train].mean(axis=0)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # directions without variance
            weights, _ = fit(X[train] - mean, Y[train] - mean_y, fractions)
        return np.tensordot(X[test] - mean, weights, axes=1) + mean_y

    def scores(train: np.ndarray, test: np.ndarray) -> np.ndarray:
        """(fraction, target); some targets at a time, for the weights of all fractions fill the memory"""
        parts = []
        for start in range(0, problem.Y.shape[1], 2500):
            columns = slice(start, start + 2500)
            found = predictions(train, test, columns)
            parts.append([correlation(found[:, f], problem.Y[test, columns]) for f in range(len(fractions))])
        return np.concatenate([np.stack(part) for part in parts], axis=1)

    r = []
    for (train, test), inner in zip(problem.folds, problem.inner, strict=True):
        best = sum(scores(rows, held) for rows, held in inner).argmax(axis=0)
        r.append(np.take_along_axis(scores(train, test), best[None], axis=0)[0])
    return Answer(np.stack(r), None)


def huth(problem: Problem) -> Answer:
    """The recipe of the Huth lab: random chunks held out again and again, one SVD for each such bootstrap.

    Written from the description, not from their code: chunks of 40
    consecutive rows are held out at random, the rest is decomposed, every
    penalty predicts the chunks, and the penalty with the best mean correlation
    over the bootstraps is used for one last fit to all training rows. Random
    chunks are other folds than ours: the penalties need not agree.

    References
    ----------
    Huth et al. (2016), Nature 532, 453-458, Methods.
    """
    Y, alphas = problem.Y, problem.alphas
    rng = np.random.default_rng(0)
    r, alpha = [], []
    for train, test in problem.folds:
        score = np.zeros((len(alphas), Y.shape[1]))
        for _ in range(N_BOOTSTRAPS):
            chunks = np.array_split(train, max(len(train) // CHUNK_ROWS, 2))
            held = set(rng.permutation(len(chunks))[: max(round(HELD_OUT * len(chunks)), 1)].tolist())
            out = np.concatenate([rows for i, rows in enumerate(chunks) if i in held])
            left, values, right = decomposed(problem.X, Y, np.setdiff1d(train, out), out)
            for a, penalty in enumerate(alphas):
                score[a] += correlation((left * _shrink(values, penalty)) @ right, Y[out])
        best = score.argmax(axis=0)
        left, values, right = decomposed(problem.X, Y, train, test)
        prediction = np.empty((len(test), Y.shape[1]), np.float32)
        for a in np.unique(best):
            own = best == a
            prediction[:, own] = (left * _shrink(values, alphas[a])) @ right[:, own]
        r.append(correlation(prediction, Y[test]))
        alpha.append(alphas[best])
    return Answer(np.stack(r), np.stack(alpha))


def _shrink(values: np.ndarray, alpha: float) -> np.ndarray:
    return (values / (values**2 + alpha)).astype(values.dtype)


METHODS: dict[str, Callable[[Problem], Answer]] = {
    "float32": lambda problem: ours(problem, "float32"),
    "mixed": lambda problem: ours(problem, "mixed"),
    "himalaya_torch": lambda problem: himalaya_ridge(problem, "torch"),
    "himalaya_torch_batched": lambda problem: himalaya_ridge(problem, "torch", HIMALAYA_BATCH),
    "himalaya_numpy": lambda problem: himalaya_ridge(problem, "numpy"),
    "kernel_torch": lambda problem: himalaya_kernel(problem, "torch"),
    "sklearn_loop": sklearn_loop,
    "sklearn_loo": sklearn_loo,
    "fracridge": fracridge,
    "huth": huth,
}
SLOW = ("sklearn_loop", "sklearn_loo", "fracridge", "huth")
