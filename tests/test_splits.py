"""Folds: every sample tested once, no run on both sides, gaps kept, the same each time."""

import numpy as np
import pytest

from pipeline import splits
from pipeline.splits import SPLITS

RUN = np.repeat(["a", "b", "c", "d"], [7, 5, 9, 6])
N = len(RUN)
MARKS = np.array(["train"] * 12 + ["none"] * 5 + ["test"] * 10)

CALLS = {
    "leave_one_run_out": lambda: splits.leave_one_run_out(RUN),
    "contiguous": lambda: splits.contiguous(N, folds=4, gap=2),
    "given": lambda: splits.given(MARKS),
    "shuffled": lambda: splits.shuffled(N, folds=4, seed=0),
}


def test_every_split_is_tried_here():
    assert set(CALLS) == set(SPLITS)


@pytest.mark.parametrize("name", SPLITS)
def test_no_sample_is_both_trained_and_tested(name):
    assert [np.intersect1d(train, test).tolist() for train, test in CALLS[name]()] == [[]] * len(CALLS[name]())


@pytest.mark.parametrize("name", SPLITS)
def test_rows_are_sorted_and_single(name):
    for rows in (part for fold in CALLS[name]() for part in fold):
        assert np.all(np.diff(rows) > 0)


@pytest.mark.parametrize("name", SPLITS)
def test_the_same_call_gives_the_same_folds(name):
    """LITcoder's folds are unseeded and differ from call to call."""
    for once, again in zip(CALLS[name](), CALLS[name](), strict=True):
        assert np.array_equal(once[0], again[0])
        assert np.array_equal(once[1], again[1])


@pytest.mark.parametrize("name", ["leave_one_run_out", "contiguous", "shuffled"])
def test_every_sample_is_tested_once(name):
    tested = np.concatenate([test for _, test in CALLS[name]()])
    assert np.array_equal(np.sort(tested), np.arange(N))


# --- whole runs ---


def test_no_run_is_in_both_training_and_test():
    for train, test in splits.leave_one_run_out(RUN):
        assert set(RUN[train]) & set(RUN[test]) == set()


def test_each_run_is_tested_in_order_of_appearance():
    run = np.array([2, 2, 0, 0, 1])
    assert [run[test][0] for _, test in splits.leave_one_run_out(run)] == [2, 0, 1]


def test_all_other_runs_train():
    assert [len(train) for train, _ in splits.leave_one_run_out(RUN)] == [20, 22, 18, 21]


def test_a_run_in_two_pieces_stays_together():
    run = np.array([0, 0, 1, 1, 0])
    assert splits.leave_one_run_out(run)[0][1].tolist() == [0, 1, 4]


def test_a_single_run_is_refused():
    with pytest.raises(ValueError, match=r"needs two runs; there is 1: \['a'\]"):
        splits.leave_one_run_out(RUN[:7])


# --- blocks of time ---


@pytest.mark.parametrize("gap", [0, 1, 5])
def test_the_gap_is_kept_on_both_sides(gap):
    nearest = []
    for train, test in splits.contiguous(60, folds=4, gap=gap):
        before, after = train[train < test[0]], train[train > test[-1]]
        nearest += [test[0] - before[-1]] if before.size else []
        nearest += [after[0] - test[-1]] if after.size else []
    assert nearest == [gap + 1] * 6  # two inner folds have two sides, two outer ones have one


def test_test_blocks_have_no_holes():
    for _, test in splits.contiguous(23, folds=4):
        assert np.array_equal(test, np.arange(test[0], test[-1] + 1))


def test_blocks_differ_by_one_sample_at_most():
    sizes = [len(test) for _, test in splits.contiguous(23, folds=4)]
    assert sizes == [6, 6, 6, 5]


@pytest.mark.parametrize("call", [splits.contiguous, splits.shuffled])
def test_folds_given_by_place_are_refused(call):
    """In LITcoder a positional argument made group folds a number of samples to trim."""
    with pytest.raises(TypeError):
        call(N, 4, 1)


@pytest.mark.parametrize("folds", [0, 1, 11])
def test_folds_that_do_not_fit_are_refused_with_both_numbers(folds):
    with pytest.raises(ValueError, match=f"{folds} folds do not fit 10 samples"):
        splits.contiguous(10, folds=folds)


def test_a_negative_gap_is_refused():
    with pytest.raises(ValueError, match="gap is -1"):
        splits.contiguous(10, folds=2, gap=-1)


def test_a_gap_that_leaves_nothing_to_train_on_is_refused():
    with pytest.raises(ValueError, match="a gap of 5 samples leaves no training samples of 10 in 2 folds"):
        splits.contiguous(10, folds=2, gap=5)


# --- as the data set says ---


def test_rows_marked_neither_way_are_in_neither():
    ((train, test),) = splits.given(MARKS)
    assert train.tolist() == list(range(12))
    assert test.tolist() == list(range(17, 27))


@pytest.mark.parametrize("only", ["train", "test"])
def test_marks_of_one_kind_are_refused_with_what_was_found(only):
    with pytest.raises(ValueError, match=rf"needs runs marked train and test; found \['{only}'\]"):
        splits.given(np.array([only] * 5))


# --- at random, to show the leak ---


def test_shuffling_needs_a_seed():
    with pytest.raises(TypeError):
        splits.shuffled(N, folds=4)


def test_another_seed_gives_other_folds():
    one, other = splits.shuffled(N, folds=4, seed=0), splits.shuffled(N, folds=4, seed=1)
    assert not np.array_equal(one[0][1], other[0][1])


def test_shuffled_samples_have_their_neighbours_in_training():
    """The leak itself: nearly every test sample has a neighbour that trains; in blocks only the ends do."""

    def leaking(folds):
        return np.mean([np.isin([t - 1, t + 1], train).any() for train, test in folds for t in test])

    assert leaking(splits.shuffled(200, folds=5, seed=0)) > 0.9
    assert leaking(splits.contiguous(200, folds=5)) == 8 / 200


@pytest.mark.parametrize("folds", [1, 28])
def test_shuffled_folds_that_do_not_fit_are_refused(folds):
    with pytest.raises(ValueError, match=f"{folds} folds do not fit 27 samples"):
        splits.shuffled(N, folds=folds, seed=0)


# --- inside the training rows ---


@pytest.mark.parametrize("folds", [2, 3, 5])
def test_inner_folds_keep_runs_whole(folds):
    for train, _ in splits.leave_one_run_out(RUN):
        for inner_train, inner_test in splits.inner_by_run(train, RUN, folds):
            assert set(RUN[inner_train]) & set(RUN[inner_test]) == set()


@pytest.mark.parametrize(
    "inner",
    [lambda train: splits.inner_by_run(train, RUN, 3), lambda train: splits.inner_contiguous(train, 3, gap=1)],
    ids=["by run", "contiguous"],
)
def test_inner_folds_stay_inside_training_and_test_all_of_it_once(inner):
    for train, _ in splits.leave_one_run_out(RUN):
        found = inner(train)
        assert all(np.isin(rows, train).all() for fold in found for rows in fold)
        assert np.array_equal(np.sort(np.concatenate([test for _, test in found])), train)


def test_more_inner_folds_than_runs_are_one_per_run():
    train = np.arange(21)  # runs a, b, c
    assert len(splits.inner_by_run(train, RUN, 5)) == 3


def test_the_inner_gap_is_kept():
    for inner_train, inner_test in splits.inner_contiguous(np.arange(10, 40), 3, gap=4):
        assert np.abs(inner_train[:, None] - inner_test).min() == 5


def test_inner_folds_of_one_run_are_refused():
    with pytest.raises(ValueError, match=r"needs? two training runs; there is 1: \['a'\]"):
        splits.inner_by_run(np.arange(7), RUN, 3)


@pytest.mark.parametrize("folds", [0, 1])
def test_fewer_than_two_inner_folds_are_refused(folds):
    """One fold would test all of training and train on none."""
    with pytest.raises(ValueError, match=f"{folds} inner folds"):
        splits.inner_by_run(np.arange(N), RUN, folds)
