"""The stage that holds a study against itself: tests of every target, false positives on surrogates, canaries."""

from collections.abc import Iterable
from contextlib import ExitStack
from typing import TYPE_CHECKING

import numpy as np

from pipeline import arrays, signs
from pipeline.config import Study, component
from pipeline.coursestages import opened
from pipeline.jobs import Job
from pipeline.layout import Layout
from pipeline.problems import Problem, StudyError
from pipeline.report.certificate import TEXT
from pipeline.report.lags import lag_light, lag_peak

if TYPE_CHECKING:
    from pipeline.certify import AsFitted, Canary, Rate
    from pipeline.certify.tables import TargetTests

MOST_REFITTED = (
    500  # targets with a p where every null is a fit: an even spread, for a choice by score would not be blind
)


def certify(job: Job) -> None:
    """One subject's recording: a p for every target, the certificate, and the canaries."""
    from pipeline import certify as trust

    which, model = (job.subject, job.recording), job.settings["model"]
    comparison = component("comparison", job.settings["comparison"])
    path = job.out.scores(*which, model)
    with ExitStack() as stack:
        recordings, activations, inputs = opened(job, stack, [model])
        scores = stack.enter_context(arrays.opened(path, "layer", "fold", "target"))
        found = trust.as_fitted(
            component("recording", job.settings["recording"]), activations[model], recordings,
            {run.run: run.split for run in job.own_runs()}, scores, component("encoding", job.settings["encoding"]),
            job.settings["seed"], job.out.certificate(*which).parent,
        )  # fmt: skip
        tests = trust.saved(_tests(found, comparison, job.settings["draws"]), found, scores, model, comparison.fdr)
        canaries = trust.sung(found, draws=comparison.permutations, seed=job.settings["draws"])
        table = trust.table(tests, _rates(found, comparison, job.settings["draws"]), canaries + _lag(job), *which)
    inputs += [path, *([job.out.lags(*which)] if job.settings["lags"] else [])]
    record = job.record("certify", *inputs)
    arrays.save(tests, job.out.tests(*which), **record)
    arrays.save_table(table, job.out.certificate(*which), **record)


def _tests(found: "AsFitted", comparison, seed: int) -> "TargetTests":
    from pipeline import certify as trust
    from pipeline.certify.tables import TargetTests

    where = np.flatnonzero(found.usable) if found.held_out else trust.spread(found.usable, MOST_REFITTED)
    if not where.size:
        return TargetTests(where, None, comparison.test, "no target could be fitted")
    try:
        Y, alpha = found.samples.Y[:, where], found.alpha[:, where]
        one = trust.tested(found, Y, alpha, how=comparison.test, n=comparison.permutations, seed=seed)
    except ValueError as error:  # runs too short for the null
        return TargetTests(where, None, comparison.test, str(error))
    return TargetTests(where, one, comparison.test)


def _rates(found: "AsFitted", comparison, seed: int) -> "list[Rate]":
    from pipeline import certify as trust

    if not comparison.surrogates:
        return [trust.nothing("all", "comparison.surrogates is 0: no certificate was asked for")]
    try:
        return trust.certified(
            found, n=comparison.surrogates, how=comparison.test, n_null=comparison.permutations, seed=seed
        )
    except ValueError as error:
        return [trust.nothing("all", str(error))]


def _lag(job: Job) -> "list[Canary]":
    """The score at every single lag must peak where a response is expected; from the lag scan, where there is one."""
    from pipeline.certify import Canary

    silent = Canary("lag", "peak (s)", np.nan, np.nan, np.nan, np.nan, "none")
    if not job.settings["lags"]:
        return [silent._replace(reason="there is no lag scan of this recording")]
    scan = signs.scan_of(job.out.lags(job.subject, job.recording), job.settings["recording"]["kind"])
    light, (lag_s, _) = lag_light(scan), lag_peak(scan)
    if light is None or scan.expected_s is None:
        return [silent._replace(r=lag_s, reason="no one lag is expected of such a recording")]
    low, high = scan.expected_s
    if light == "amber":
        return [silent._replace(r=lag_s, low=low, high=high, reason="no clear peak, so that nothing can be said")]
    return [silent._replace(r=lag_s, low=low, high=high, verdict=light)]


def refuse_singing(study: Study, out: Layout, which: Iterable[tuple[str, str]]) -> None:
    """Stop a study in which a canary sings; with a split that is meant to leak they do, and the pages say so.

    Raises
    ------
    StudyError : E-CANARY-01 for every canary above its bound.
    """
    if study.leaky():
        return
    problems = [p for one in which for p in _singing(out, *one)]
    if problems:
        raise StudyError(*problems)


def _singing(out: Layout, subject: str, recording: str) -> list[Problem]:
    path = out.certificate(subject, recording)
    table = arrays.load_table(path, text=TEXT)
    red = table[(table["section"] == "canary") & (table["verdict"] == "red")]
    return [
        Problem(
            "E-CANARY-01", f"canary {row.name} sings in {recording}", file=out.name(path), found=_found(row), expected=_expected(row),
            why=_WHY[row.name], fix=f"{_FIX[row.name]}; sub-{subject}.html shows it under Certificate and canaries", subject=subject,
        )
        for row in red.itertuples(index=False)
    ]  # fmt: skip


def _found(row) -> str:
    if row.name == "lag":
        return f"the score peaks at {row.value:g} s"
    return f"{row.measure} = {row.value:.3f} [{row.low:.3f}, {row.high:.3f}]"


def _expected(row) -> str:
    return f"{row.low:g} to {row.high:g} s" if row.name == "lag" else f"at most {row.bound:g}"


_WHY = {
    "oasm": "slow sequences that hold nothing of the stimulus predict the tested samples, so training samples lie too near to them",
    "future": "words that nobody has heard yet explain the responses better than those that were heard",
    "story": "another run's words explain the responses, so something other than the words does",
    "lag": "words and responses do not lie on one clock",
}
_FIX = {
    "oasm": "split by runs (encoding.split: leave_one_run_out), or leave a longer gap (encoding.gap_s)",
    "future": "look for a shift between words and responses: start_s in runs.tsv, slices cut off, the sign of a lag",
    "story": "look for test samples beside training samples, and for responses that were filtered or normalised over all runs",
    "lag": "look for a shift between words and responses: start_s in runs.tsv, volumes cut off at the start",
}
