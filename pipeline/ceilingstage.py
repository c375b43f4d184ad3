"""The stage of the ceilings: one person's recording, and where it is asked for those of all others."""

from contextlib import ExitStack
from typing import TYPE_CHECKING

from pipeline import arrays
from pipeline.config import component
from pipeline.jobs import Job
from pipeline.runs import Run

if TYPE_CHECKING:
    import xarray as xr

    from pipeline.amongpeople import People


def ceiling(job: Job) -> None:
    """How well any model could do on one subject's tested runs, and the ledger of all estimates."""
    from pipeline.ledger import ledger
    from pipeline.normalisation import estimate
    from pipeline.samples import regions
    from pipeline.sensors import sensors_of

    runs, settings = job.own_runs(), component("ceiling", job.settings["ceiling"])
    tested = tuple(run.run for run in runs if job.settings["split"] != "given" or run.split == "test")
    with ExitStack() as stack:
        of_people = _recordings(job, {job.subject: runs} if not settings.between else _runs_of_people(job), stack)
        own = {run: ds for run, ds in of_people[job.subject].items() if run in tested}
        first = next(iter(own.values()))
        targets = tuple(map(str, first["target"].values))
        ds = estimate(
            own, tested, settings.kinds, tuple(job.settings["trim_s"]), job.settings["seed"],
            people=_people(job, of_people, runs) if settings.between else None,
            regions=regions(targets, job.dataset.targets(job.out.root), sensors_of(first)),
        )  # fmt: skip
    read = of_people if settings.between else {job.subject: own}
    paths = [job.out.recording(person, job.recording, run) for person, found in read.items() for run in found]
    record, which = job.record("ceiling", *paths, **job.external(*job.targets_file())), (job.subject, job.recording)
    arrays.save(ds, job.out.ceiling(*which), **record)
    arrays.save_table(ledger(ds, *which), job.out.ledger(*which), **record)


def _runs_of_people(job: Job) -> dict[str, list[Run]]:
    """Everybody's runs of this recording, those of the job's own person first."""
    every = job.dataset.runs(job.out.root)
    people = dict.fromkeys([job.subject, *job.settings["people"]])
    return {p: [run for run in every if (run.subject, run.recording) == (p, job.recording)] for p in people}


def _recordings(job: Job, runs: dict[str, list[Run]], stack: ExitStack) -> "dict[str, dict[str, xr.Dataset]]":
    return {
        person: {
            run.run: stack.enter_context(
                arrays.opened(job.out.recording(person, job.recording, run.run), "sample", "target")
            )
            for run in own
        }
        for person, own in runs.items()
    }


def _people(job: Job, recordings: "dict[str, dict[str, xr.Dataset]]", runs: list[Run]) -> "People":
    from pipeline.amongpeople import People

    return People(
        recordings, {run.run: run.split for run in runs}, component("recording", job.settings["recording"]), job.recording,
        component("encoding", job.settings["encoding"]),
    )  # fmt: skip
