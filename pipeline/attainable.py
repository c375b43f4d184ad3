"""Which tests a study can have with the people, runs and samples there are, told before any heavy step."""

from pipeline.comparison.settings import ENOUGH_SUBJECTS, FEWEST_RUNS, FEWEST_SUBJECTS, SHORTEST_BLOCK
from pipeline.problems import Problem
from pipeline.report.words import plural


def over_people(n: int) -> list[Problem]:
    """A warning where the people are too few to be the unit of a test, with what remains."""
    if n >= ENOUGH_SUBJECTS:
        return []
    none = n < FEWEST_SUBJECTS
    return [
        Problem(
            "W-STAT-01", "no interval and no test over people" if none else "no test over people can give a p below .05",
            field="subjects", found="1 person" if n == 1 else f"{n} people", expected=f"{FEWEST_SUBJECTS} for an interval, {ENOUGH_SUBJECTS} for such a p",
            why="the smallest p of an exact sign-flip test over n people is 2 / 2^n",
            fix="nothing has to be mended: each person's own tests, over runs or blocks, are told and counted",
        )
    ]  # fmt: skip


def over_time(subject: str, label: str, n_runs: int, n_samples: int) -> list[Problem]:
    """Warnings where the runs that are tested, or even their blocks, are too few to be the units of a person's tests.

    Parameters
    ----------
    n_runs, n_samples : runs and samples that some fold tests.
    """
    if n_runs >= FEWEST_RUNS:
        return []
    found = f"recording {label}: {plural(n_runs, 'run')} tested"
    told = [
        Problem(
            "W-STAT-02", "tests within a person count blocks of samples, not runs", field="encoding.split", found=found,
            expected=f"{FEWEST_RUNS} runs or more, to speak of other stimuli than these", subject=subject,
            fix="nothing has to be mended: say so where the result is told; with many runs, split: leave_one_run_out tests all of them",
        )
    ]  # fmt: skip
    n_blocks = n_samples // SHORTEST_BLOCK
    if n_blocks < FEWEST_RUNS:
        told.append(
            Problem(
                "W-STAT-03", "no test within a person can give a p below .05", field="encoding.split", subject=subject,
                found=f"recording {label}: {n_samples} samples tested, at most {plural(n_blocks, 'block')} of {SHORTEST_BLOCK}",
                expected=f"{FEWEST_RUNS} blocks or more", fix="test more of the recording, by more folds or longer test runs",
            )
        )  # fmt: skip
    return told
