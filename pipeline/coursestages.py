"""Stages of recordings that are resolved in time, and of what stands beside a model."""

from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

from pipeline import arrays
from pipeline.config import component
from pipeline.jobs import Job

if TYPE_CHECKING:
    import xarray as xr

    from pipeline.timecourse import Person


def latencies(job: Job) -> None:
    """Scores by latency, peaks and clusters of one subject's recording that is resolved in time."""
    from pipeline import timecourse

    which, draws = (job.subject, job.recording), job.settings["draws"]
    settings = component("comparison", job.settings["comparison"])
    with ExitStack() as stack:
        whose, paths = _person(job, stack)
        record = job.record("latencies", *paths)
        tables = {
            job.out.latencies: timecourse.latencies(whose, settings, draws),
            job.out.peaks: timecourse.peaks(whose, settings, draws),
            job.out.clusters: timecourse.clusters(whose, settings, draws),
        }
    for place, table in tables.items():
        arrays.save_table(table, place(*which), **record)
    arrays.save(timecourse.saved(whose), job.out.courses(*which), **record)


def _person(job: Job, stack: ExitStack) -> "tuple[Person, list[Path]]":
    """The time courses of one person, and the files behind them; in the continuous form models are fitted again."""
    from pipeline import timecourse
    from pipeline.timecourse import delays

    which, weights = (job.subject, job.recording), dict(job.settings["weights"])
    recording = component("recording", job.settings["recording"])
    paths = {model: job.out.scores(*which, model) for model in weights}
    top = job.out.ceiling(*which)
    scores = {model: stack.enter_context(arrays.opened(path, "fold", "target")) for model, path in paths.items()}
    ceiling, inputs = arrays.load(top, "target"), [*paths.values(), top]
    if getattr(recording, "form", "") != "continuous":
        return timecourse.person(*which, scores, weights, ceiling), inputs
    recordings, activations, more = opened(job, stack, list(weights))
    split = {run.run: run.split for run in job.own_runs()}
    found = delays.person(
        *which, recording, activations, recordings, split, scores, weights, ceiling,
        component("encoding", job.settings["encoding"]), job.settings["seed"],
    )  # fmt: skip
    return found, inputs + more


def opened(
    job: Job, stack: ExitStack, models: list[str]
) -> "tuple[dict[str, xr.Dataset], dict[str, dict[str, xr.Dataset]], list[Path]]":
    """The recordings of a subject by run, the activations of some models by run, and their files."""
    runs = [run.run for run in job.own_runs()]
    own = {run: job.out.recording(job.subject, job.recording, run) for run in runs}
    of_models = {model: {run: job.out.activations(model, run) for run in runs} for model in models}
    recordings = {run: stack.enter_context(arrays.opened(path, "sample", "target")) for run, path in own.items()}
    activations = {
        model: {run: stack.enter_context(arrays.opened(path, "word", "layer")) for run, path in paths.items()}
        for model, paths in of_models.items()
    }
    return recordings, activations, [*own.values(), *(path for paths in of_models.values() for path in paths.values())]


def passive(job: Job) -> None:
    """Pre-onset encoding of one subject's recording, and the same of targets that foresee nothing."""
    from pipeline.timecourse import passive as listening

    which, models = (job.subject, job.recording), job.settings["models"]
    recording, encoding, comparison = (
        component(section, job.settings[section]) for section in ("recording", "encoding", "comparison")
    )
    both = list(dict.fromkeys([*models, *job.settings["passive"]]))
    paths = {model: job.out.scores(*which, model) for model in models}
    with ExitStack() as stack:
        recordings, activations, inputs = opened(job, stack, both)
        split = {run.run: run.split for run in job.own_runs()}
        scores = {model: stack.enter_context(arrays.opened(path)) for model, path in paths.items()}
        found = [
            listening.encoded(
                recording, (model, activations[model]), (target, activations[target]), recordings, split, scores[model],
                encoding, job.settings["seed"],
            )
            for model in models
            for target in job.settings["passive"]
        ]  # fmt: skip
    table = listening.table(found, *which, comparison, job.settings["draws"])
    arrays.save_table(table, job.out.passive(*which), **job.record("passive", *inputs, *paths.values()))


def beside(job: Job) -> None:
    """What each trained model adds to the controls of one subject's recording."""
    import pandas as pd

    from pipeline import beside as together

    which, controls = (job.subject, job.recording), tuple(job.settings["beside"])
    recording, encoding, comparison = (
        component(section, job.settings[section]) for section in ("recording", "encoding", "comparison")
    )
    paths, tables = {model: job.out.scores(*which, model) for model in job.settings["models"]}, []
    with ExitStack() as stack:
        recordings, activations, inputs = opened(job, stack, list(dict.fromkeys([*paths, *controls])))
        split, of_controls = {run.run: run.split for run in job.own_runs()}, {c: activations[c] for c in controls}
        for model, path in paths.items():
            scores = stack.enter_context(arrays.opened(path, "layer", "fold", "target"))
            found = together.added(
                recording, activations[model], of_controls, recordings, split, scores, encoding, job.settings["seed"],
                job.out.beside(*which).parent,
            )  # fmt: skip
            draws, seed = comparison.permutations, job.settings["draws"]
            tables.append(together.table(found, scores, *which, model, controls, draws, seed))
    table = pd.concat(tables, ignore_index=True)
    arrays.save_table(table, job.out.beside(*which), **job.record("beside", *inputs, *paths.values()))
