"""What a few people say about people in general: people are the unit, and of networks their seeds too.

Targets and samples of one person are not independent of each other; a test
that pools them over people calls most of nothing significant. So each person
counts once, and below three there is no inference about others, only a count.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Shaped

from pipeline.statistics.blocks import Run, common_length, missed, split_blocks, split_runs
from pipeline.statistics.intervals import Interval, counts, like, sign_flip, students_t, table_of

FEWEST_PEOPLE = 3  # two people's spread tells nothing of others': Student's t of one degree of freedom is 12.7
_CANDIDATES = 4001  # intervals of the right probability among which the shortest is looked for


class Prevalence(NamedTuple):
    """In how many people an effect was found, and in how many it may be.

    Attributes
    ----------
    n_people, n_significant : people with a p, and those with p at most alpha.
    p : chance of so many or more if nobody had an effect (binomial).
    share : most probable share of people that have an effect.
    low, high : shortest interval that holds 95 % of its posterior.
    p_everyone : of the test that nobody lacks the effect: the largest p (conjunction).
    """

    n_people: int
    n_significant: int
    p: float
    share: float
    low: float
    high: float
    p_everyone: float


class Seeds(NamedTuple):
    """A mean over people and over seeds of a network, either of which might have been others.

    Attributes
    ----------
    mean : over people and seeds.
    low, high : 95 % interval for other people AND other seeds.
    standard_error : of the mean, for the same.
    subject_sd, seed_sd, rest_sd : how much people differ, how much seeds do
        (NaN for one seed), and what is left of single values.
    p : sign-flip over people of their means over seeds, two-sided; the seeds are taken as they are.
    smallest_p : what so many people could reach at best.
    n_subjects, n_seeds : how many of each.
    """

    mean: float
    low: float
    high: float
    standard_error: float
    subject_sd: float
    seed_sd: float
    rest_sd: float
    p: float
    smallest_p: float
    n_subjects: int
    n_seeds: int


def prevalence(p: Shaped[np.ndarray, " person"], alpha: float = 0.05) -> Prevalence:
    """How common is an effect that was tested in each person by itself?

    With few people a test of their mean cannot reach 5 %, while each one's own
    may be beyond doubt: then the question is not how large the mean is but how
    many of us have the effect. People with an effect are taken to be found
    always, so that the share is a lower bound; others are found with chance alpha.

    Parameters
    ----------
    p : one per person; missing ones are left out and not counted.
    alpha : level of each person's test.

    References
    ----------
    Ince, Paton, Kay & Schyns (2021), eLife 10, e62461: posterior under an even prior.
    Nichols et al. (2005), NeuroImage 25, 653-660: conjunction.
    """
    from scipy import special

    known = np.asarray(p, float)
    known = known[np.isfinite(known)]
    if not len(known):
        raise ValueError(f"none of {len(p)} people has a p: nothing can be counted")
    if not 0 < alpha < 1:
        raise ValueError(f"alpha={alpha} is no level of a test: it must lie between 0 and 1")
    n, k = len(known), int((known <= alpha).sum())
    chance = float(special.betainc(k, n - k + 1, alpha)) if k else 1.0
    low, high = (_share(end, alpha) for end in _shortest(k + 1, n - k + 1, alpha))
    return Prevalence(n, k, chance, _share(k / n, alpha), low, high, float(known.max()))


def seeds(differences: Shaped[np.ndarray, "person seed"], *, n: int = 10000, seed: int = 0) -> Seeds:
    """The mean of trained - random over people and seeds, and how sure it is for other people and other seeds.

    A random twin is one of many that could have been drawn, and the same one
    in everybody: its luck does not average out over people. So people and
    seeds are crossed random effects, and the variance of the mean is
    subject_sd^2 / S + seed_sd^2 / K + rest_sd^2 / (S K), from mean squares,
    with Satterthwaite's degrees of freedom. People and seeds are independent,
    which samples are not: Student's t is in its place here.

    Parameters
    ----------
    differences : trained less random, for each person (at least three) and
        seed. With one seed the interval is for that seed alone.
    n : most patterns of the sign-flip test.

    References
    ----------
    Searle, Casella & McCulloch (1992), Variance Components, chapter 4.
    """
    table = np.asarray(differences, float)
    n_subjects, n_seeds = table.shape
    _check_people(n_subjects)
    if not n_seeds:
        raise ValueError("there are 0 seeds; at least 1 is needed")
    if not np.isfinite(table).all():
        missing = [tuple(map(int, cell)) for cell in np.argwhere(~np.isfinite(table))]
        raise ValueError(f"differences of (person, seed) {missing} are missing: leave out that person or that seed")
    squares, free = _mean_squares(table)
    variance, df = _of_the_mean(squares, free, table.size)
    error, mean = float(np.sqrt(variance)), float(table.mean())
    reach = error * students_t(df) if error else 0.0
    tested = sign_flip(table.mean(axis=1), n=n, seed=seed)
    return Seeds(
        mean, mean - reach, mean + reach, error, *_spreads(squares, n_subjects, n_seeds),
        float(tested.p), tested.smallest_p, n_subjects, n_seeds,
    )  # fmt: skip


def bootstrap_people(
    values: Sequence[Shaped[np.ndarray, "_ ..."]],
    *,
    run: Sequence[Shaped[np.ndarray, " _"] | None] | None = None,
    block: int | None = None,
    n: int = 1000,
    seed: int = 0,
) -> Interval:
    """The mean over people of their means over samples, and its 95 % interval: people resampled, and blocks within each.

    The spread of people's means already holds what their few samples add to
    it; resampling blocks on top would count that twice. So people's means are
    first drawn together until their spread is that of people alone
    (their variance less that of a mean over blocks, never below 0). The
    quantiles of resamples of three people are those of ten numbers, and too
    narrow where one person stands apart: so the ends are the mean and
    Student's t, for so many people, times the spread over resamples. Where
    people hardly differ, the interval errs on the side of being wide.

    Parameters
    ----------
    values : one series per person, each with a length of its own, or several as columns; at least three people.
    run : run of each sample, per person; no block spans two runs.
    block : samples per block, by default each person's own (the median over columns).
    n : resamples.

    References
    ----------
    Davison & Hinkley (1997), Bootstrap Methods and their Application, section 3.8: resampling at two levels.
    """
    _check_people(len(values))
    rng, people = np.random.default_rng(seed), len(values)
    runs = [None] * people if run is None else run
    parts = [_resampled(table_of(one), own, block, n, rng) for one, own in zip(values, runs, strict=True)]
    means, moved = np.stack([mean for mean, _ in parts]), np.stack([change for _, change in parts])
    within, between = (moved**2).mean(axis=(0, 1)), means.var(axis=0, ddof=1)
    alone = np.maximum(between - within, 0)
    shrink = np.sqrt(alone / np.where(between > 0, between, 1) * people / (people - 1))
    chosen, draw = rng.integers(people, size=(n, people)), rng.integers(n, size=(n, people))
    mean = means.mean(axis=0)
    drawn = (shrink * (means - mean)[chosen] + moved[chosen, draw]).mean(axis=1)
    reach = drawn.std(axis=0) * students_t(people - 1.0)
    return Interval(*(like(np.asarray(values[0]), part) for part in (mean, mean - reach, mean + reach)))


def _resampled(
    series: np.ndarray, run: Run, block: int | None, n: int, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """A person's mean, and by how much it changes over resampled blocks: 0 for a single one."""
    block = common_length(series, run) if block is None else block
    blocks = split_blocks(split_runs(run, len(series)), block)
    mean = series.mean(axis=0)
    if len(blocks) < 2:
        return mean, np.zeros((n, series.shape[1]))
    sums, sizes = np.stack([series[b].sum(axis=0) for b in blocks]), np.array([len(b) for b in blocks], float)
    drawn = counts(len(blocks), n, rng)
    change = drawn @ sums / (drawn @ sizes)[:, None] - mean
    return mean, change * np.sqrt(len(blocks) / (len(blocks) - 1) / (1 - missed(block)))


def _mean_squares(table: np.ndarray) -> tuple[Float[np.ndarray, "3"], Float[np.ndarray, "3"]]:
    """Of people, of seeds and of the rest, and their degrees of freedom."""
    people, seeds_ = table.shape
    by_person, by_seed = (table.mean(axis=axis, keepdims=True) - table.mean() for axis in (1, 0))
    rest = table - table.mean() - by_person - by_seed
    sums = np.array([seeds_ * (by_person**2).sum(), people * (by_seed**2).sum(), (rest**2).sum()])
    free = np.array([people - 1.0, seeds_ - 1.0, (people - 1.0) * (seeds_ - 1.0)])
    return np.divide(sums, free, out=np.zeros(3), where=free > 0), free


def _of_the_mean(squares: np.ndarray, free: np.ndarray, size: int) -> tuple[float, float]:
    """Variance of the mean, with components that come out negative as 0, and its degrees of freedom."""
    shown = squares[:2] > squares[2]
    weights = np.array([*shown, 1 - shown.sum()], float)
    terms = weights * squares
    parts = np.divide(terms**2, free, out=np.zeros(3), where=free > 0)
    total = float(terms.sum())
    return total / size, total**2 / float(parts.sum()) if parts.any() else np.inf


def _spreads(squares: np.ndarray, people: int, seeds_: int) -> tuple[float, float, float]:
    """Standard deviations of people, of seeds and of the rest; what one seed cannot tell is NaN."""
    if seeds_ == 1:
        return float(np.sqrt(squares[0])), np.nan, np.nan
    own = np.sqrt(np.maximum(squares[:2] - squares[2], 0) / (seeds_, people))
    return float(own[0]), float(own[1]), float(np.sqrt(squares[2]))


def _shortest(a: int, b: int, least: float) -> tuple[float, float]:
    """The shortest interval that holds 95 % of a beta distribution cut off below `least`."""
    from scipy import special

    below = special.betainc(a, b, least)
    lower = below + (1 - below) * np.linspace(0, 0.05, _CANDIDATES)
    ends = special.betaincinv(a, b, np.stack([lower, np.minimum(lower + 0.95 * (1 - below), 1)]))
    return tuple(map(float, ends[:, np.argmin(ends[1] - ends[0])]))


def _share(found: float, alpha: float) -> float:
    """Share of people with the effect, where a share `found` of tests is significant."""
    return float(np.clip((found - alpha) / (1 - alpha), 0, 1))


def _check_people(n: int) -> None:
    if n < FEWEST_PEOPLE:
        raise ValueError(
            f"{n} people say nothing about others: inference needs at least {FEWEST_PEOPLE}; "
            "test each person by themselves and count (prevalence)"
        )
