"""The stage that takes apart what a model and its controls explain."""

from contextlib import ExitStack
from typing import TYPE_CHECKING

from pipeline import arrays
from pipeline.config import Study, component
from pipeline.coursestages import opened
from pipeline.jobs import GROUP_PARTITION, PARTITION_TEXT, Job

if TYPE_CHECKING:
    from pathlib import Path


def partition(job: Job) -> None:
    """What a model explains that controls do not, and what they share, in one subject's recording."""
    from pipeline import partition as parts

    which = job.subject, job.recording
    groups = {name: tuple(labels) for name, labels in job.settings["groups"]}
    model, *controls = (label for labels in groups.values() for label in labels)
    path = job.out.scores(*which, model)
    with ExitStack() as stack:
        recordings, activations, inputs = opened(job, stack, [model, *controls])
        scores = stack.enter_context(arrays.opened(path, "layer", "fold", "target"))
        found = parts.partition(
            component("recording", job.settings["recording"]), activations[model], {c: activations[c] for c in controls},
            groups, recordings, {run.run: run.split for run in job.own_runs()}, scores,
            component("encoding", job.settings["encoding"]), shifts=component("partition", job.settings["partition"]).shifts,
            seed=job.settings["draws"], folder=job.out.partition(*which).parent,
        )  # fmt: skip
        draws, seed, rois = job.settings["permutations"], job.settings["draws"], job.settings["rois"]
        table = parts.table(found, scores, *which, rois, draws, seed)
    arrays.save_table(table, job.out.partition(*which), **job.record("partition", *inputs, path))


def over_people(job: Job, study: Study, which: list[tuple[str, str]]) -> "list[Path]":
    """The table of parts over people, where it is asked for; the files it was made from."""
    import pandas as pd

    from pipeline import partition as parts

    paths = [job.out.partition(*one) for one in which] if study.partitioned() else []
    if paths:
        tables = [arrays.load_table(path, text=PARTITION_TEXT) for path in paths]
        found = parts.group(pd.concat(tables, ignore_index=True), study.comparison.permutations, study.seed)
        arrays.save_table(found, job.out.top(GROUP_PARTITION), **job.record("group", *paths))
    return paths
