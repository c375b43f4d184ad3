"""The work of each rule: load, one call, save. Heavy libraries are imported by the stage that needs them."""

import json
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from pipeline import arrays
from pipeline.ceilingstage import ceiling  # noqa: F401  the verbs find it here
from pipeline.config import Study, component
from pipeline.coursestages import beside, latencies, passive  # noqa: F401  the verbs find them here
from pipeline.jobs import GROUP_COURSES, TABLE_TEXT, Job, expected, in_time, load_tables, load_words
from pipeline.partitionstage import over_people as parts_over_people
from pipeline.partitionstage import partition  # noqa: F401
from pipeline.problems import Problem, StudyError
from pipeline.recordings.recorded import recorded
from pipeline.runs import digest
from pipeline.truststages import certify, refuse_singing  # noqa: F401

WORD = "word"

if TYPE_CHECKING:
    import pandas as pd
    import xarray as xr

    from pipeline.config import Plan
    from pipeline.models import Activations


def simulate(job: Job) -> None:
    """Make the recordings of a synthetic study."""
    job.dataset.simulate(job.out.root)


def train(job: Job) -> None:
    """Train the language model of a synthetic study."""
    job.dataset.train(job.out.root)


def words(job: Job) -> None:
    """The words of every stimulus, checked, sorted and in seconds."""
    from pipeline.words import stimulus

    runs = reversed(job.dataset.runs(job.out.root))  # of those who met a stimulus, the first is asked
    told = {(run.run, table): run for run in runs for table in (run.words, run.events)}
    _read_all("words", job, job.out.words, lambda label, table: stimulus(job.folder, told[label, table])[0])


def events(job: Job) -> None:
    """The event types of every stimulus, checked, sorted and in seconds."""
    from pipeline.words import read_events

    _read_all("events", job, job.out.events, lambda _, table: read_events(job.folder / table, name=table)[0])


def _read_all(stage: str, job: Job, place: Callable[[str], Path], read: Callable[[str, str], "pd.DataFrame"]) -> None:
    """One table for each stimulus; what is wrong with any of them is told at once."""
    problems: list[Problem] = []
    for label, table in zip(job.runs, job.tables, strict=True):
        try:
            arrays.save_table(read(label, table), place(label), **job.record(stage, **job.external(table)))
        except StudyError as error:
            problems += error.problems
    if problems:
        raise StudyError(*problems)


def clean(job: Job) -> None:
    """Every run of one subject's recording, clean."""
    recording = component("recording", job.settings["recording"])
    table = job.dataset.targets(job.out.root)
    names = () if table is None else tuple(dict.fromkeys(table["target"]))
    runs = job.own_runs()
    shared = recording.prepare(runs, job.folder, job.threads)
    for run in runs:
        ds = recorded(recording.clean(run, job.folder, names, shared, job.threads), run)
        files = job.external(*recording.files(run, job.folder), *job.targets_file())
        record = job.record("clean", **files, **{"runs.tsv row": digest(run)})
        arrays.save(ds, job.out.recording(job.subject, job.recording, run.run), **record)


def activate(job: Job) -> None:
    """One model's activations for the words of every run, all layers, seeds and checkpoints."""
    from pipeline import firstuse

    model = component("model", job.settings["model"])
    tables, read = _read_by(model, job)
    files = {f"model:{path.name}": path for path in model.files(job.out.root)}
    for found in model.activations(tables, study_dir=job.out.root):
        firstuse.compare(job, found.facts)
        record = job.record("activate", **read[found.run], **files)
        ds = _featured(found, tables[found.run], model)
        arrays.save(ds, job.out.activations(job.model, found.run), **record)


def _read_by(model: Any, job: Job) -> tuple[dict[str, "pd.DataFrame"], dict[str, dict[str, Path]]]:
    """The table of each run that a model reads, and its file: events where it wants them and there are any, or the sound."""
    if model.reads == "audio":
        return _sounds(model, job)
    of_events = model.reads == "events"
    has_events = {run.run for run in job.dataset.runs(job.out.root) if run.events} if of_events else set()
    paths = {r: job.out.events(r) if r in has_events else job.out.words(r) for r in job.runs}
    read = {run: {job.out.name(path): path} for run, path in paths.items()}
    return {run: load_words(path) for run, path in paths.items()}, read


def _sounds(model: Any, job: Job) -> tuple[dict[str, "pd.DataFrame"], dict[str, dict[str, Path]]]:
    named = {run.run: run.audio for run in reversed(job.dataset.runs(job.out.root)) if run.audio}
    names = {run: named.get(run, "") for run in job.runs}
    tables = {run: model.table(job.folder / name, name, run=run) for run, name in names.items()}
    return tables, {run: job.external(name) for run, name in names.items()}


def _featured(found: "Activations", table: "pd.DataFrame", model: Any) -> "xr.Dataset":
    import xarray as xr

    lead = "seed" if found.seeds else "step"
    dims = (lead, "word", "layer", "feature")[-found.values.ndim :]
    about = {"units": "1", "long_name": "state of the model at each word"}
    ds = xr.Dataset({"activations": (dims, found.values, about)})
    onset = ("word", table["onset"].to_numpy(float), {"units": "s", "long_name": "onset of the word"})
    ds = ds.assign_coords(
        onset=onset,
        text=("word", table[WORD if WORD in table else "trial_type"].to_numpy(str)),
        layer=list(found.layers),
    )
    if lead in dims:
        ds = ds.assign_coords({lead: list(found.seeds or found.steps)})
    if found.context is not None:
        about = {"units": "1", "long_name": "tokens of the text read up to and with the word's last one"}
        ds["context"] = ("word", found.context.astype(np.int32), about)
    ds = ds.assign(_tokens(found))
    return ds.assign_attrs(found.facts, sampled=model.sampled, private=int(model.private))


def _tokens(found: "Activations") -> dict[str, tuple]:
    """The alignment as a table: which characters each token covers, and which word it belongs to."""
    if not found.alignment:
        return {}
    columns = zip(*found.alignment, strict=True)
    _, text, start, end, word = (list(column) for column in columns)
    return {
        "token_text": ("token", np.array(text, str), {"units": "", "long_name": "token as the tokenizer writes it"}),
        "token_start": ("token", np.array(start, np.int32), {"units": "1", "long_name": "first character in the text"}),
        "token_end": ("token", np.array(end, np.int32), {"units": "1", "long_name": "character after its last"}),
        "token_word": (
            "token",
            np.array([-1 if row is None else row for row in word], np.int32),
            {"units": "1", "long_name": "row of the words table it belongs to, -1 for none"},
        ),
    }


def encode(job: Job) -> None:
    """One subject, one model, every layer: scores on the held-out samples."""
    from pipeline.encoding import encode as fit
    from pipeline.scratch import Parts

    runs, settings = job.own_runs(), component("encoding", job.settings["encoding"])
    paths = {
        kind: [place(run.run) for run in runs]
        for kind, place in (
            ("recordings", lambda run: job.out.recording(job.subject, job.recording, run)),
            ("activations", lambda run: job.out.activations(job.model, run)),
        )
    }
    rows = {f"runs.tsv row {run.run}": digest(run) for run in runs}
    record = job.record(
        "encode", *paths["recordings"], *paths["activations"], **job.external(*job.targets_file()), **rows
    )
    output = job.out.scores(job.subject, job.recording, job.model)
    parts = Parts(output, record)
    with ExitStack() as stack:
        recordings, activations = (
            {
                run.run: stack.enter_context(arrays.opened(path, *dims))
                for run, path in zip(runs, paths[kind], strict=True)
            }
            for kind, dims in (("recordings", ("sample", "target")), ("activations", ("word", "layer", "feature")))
        )
        ds = fit(
            component("recording", job.settings["recording"]),
            activations,
            recordings,
            {run.run: run.split for run in runs},
            job.dataset.targets(job.out.root),
            settings,
            job.settings["seed"],
            parts,
        )
    about = {"subject": job.subject, "recording": job.recording, "model": job.model, "leaky": int(settings.leaky)}
    arrays.save(ds.assign_attrs(about), output, **record)
    parts.clear()


def lags(job: Job) -> None:
    """One model's score at every single lag."""
    from pipeline import lagscan

    runs, which = job.own_runs(), (job.subject, job.recording)
    recordings = {run.run: job.out.recording(*which, run.run) for run in runs}
    activations = {run.run: job.out.activations(job.model, run.run) for run in runs}
    scores = job.out.scores(*which, job.model)
    with ExitStack() as stack:
        opened = [
            {run: stack.enter_context(arrays.opened(path)) for run, path in paths.items()}
            for paths in (activations, recordings)
        ]
        found = lagscan.scan(
            component("recording", job.settings["recording"]), *opened, {run.run: run.split for run in runs},
            stack.enter_context(arrays.opened(scores)), component("encoding", job.settings["encoding"]),
        )  # fmt: skip
    record = job.record("lags", *recordings.values(), *activations.values(), scores)
    arrays.save_table(lagscan.table(found, *which, job.model), job.out.lags(*which), **record)


def compare(job: Job) -> None:
    """The layer table and the contrasts of one subject's recording."""
    from pipeline.comparison import compared

    weights = dict(job.settings["weights"])
    paths = {model: job.out.scores(job.subject, job.recording, model) for model in weights}
    scores = {model: arrays.load(path, "layer", "fold", "target") for model, path in paths.items()}
    top = job.out.ceiling(job.subject, job.recording)
    settings = component("comparison", job.settings["comparison"])
    found = compared(
        job.subject, job.recording, scores, weights, arrays.load(top, "target"), settings, job.settings["seed"]
    )
    record = job.record("compare", *paths.values(), top)
    arrays.save_table(found.layers, job.out.layers(job.subject, job.recording), **record)
    arrays.save_table(found.contrasts, job.out.comparison(job.subject, job.recording), **record)
    arrays.save(found.blocks, job.out.blocks(job.subject, job.recording), **record)


def maps(job: Job) -> None:
    """One subject's scores and ceilings, painted on the brain."""
    from pipeline import maps as drawn
    from pipeline.recordings.recorded import space_of

    which, runs = (job.subject, job.recording), job.own_runs()
    first, top = job.out.recording(*which, runs[0].run), job.out.ceiling(*which)
    with arrays.opened(first) as ds:
        space = space_of(ds)
    limits = arrays.load(top, "target")
    whose = {"subject": job.subject, "recording": job.recording, "space": space}
    folder = job.out.map(job.subject, "")
    for model, _ in job.settings["weights"]:
        path = job.out.scores(*which, model)
        found = drawn.of_scores(arrays.load(path, "layer", "fold", "target"), limits)
        of_model = [one for one in found if one.stat == "r"]
        drawn.write(of_model, folder, **whose, record=job.record("maps", path, top, first))
    drawn.write(drawn.of_ceiling(limits), folder, **whose, record=job.record("maps", top, first))


def finish(job: Job) -> None:
    """Say what the study's folder holds: the checksum of every output, and who made it."""
    from pipeline import __version__

    study = Study.from_told(job.settings["study"])
    refuse_singing(study, job.out, study.plan(job.out.root, job.left_out).runs)
    description = {
        "Name": f"brainalign study {job.settings['study']['study']}",
        "BIDSVersion": "1.10.0",
        "DatasetType": "derivative",
        "GeneratedBy": [{"Name": "brainalign", "Version": __version__}],
    }
    path = job.out.top("dataset_description.json")
    arrays.save_text(json.dumps(description, indent=1) + "\n", path, **job.record("finish"))
    files = [p for p in expected(study, job.out, job.left_out) if p.name != "manifest.json"]
    told = {job.out.name(p): arrays.read_record(p)["sha256"] for p in files}
    arrays.save_text(
        json.dumps(told, indent=1, sort_keys=True) + "\n", job.out.top("manifest.json"), **job.record("finish")
    )


def report(job: Job) -> None:
    """One subject's page."""
    from pipeline import pages
    from pipeline.report import subject_page

    page, inputs = pages.of_subject(job)
    arrays.save_text(subject_page(page), job.out.subject_page(job.subject), **job.record("report", *inputs))


def group(job: Job) -> None:
    """The tables, pages and methods text of the study as a whole."""
    from pipeline import pages
    from pipeline.comparison import group as over_people
    from pipeline.report import group_page, index_page
    from pipeline.report.methods import methods_text

    study = Study.from_told(job.settings["study"])
    plan = study.plan(job.out.root, job.left_out)
    layers, contrasts, inputs = load_tables(job, plan.runs)
    settings = component("comparison", job.settings["comparison"])
    blocks = {which: job.out.blocks(*which) for which in plan.runs}
    within = {which: arrays.load(path, "score", "block") for which, path in blocks.items()}
    tables = over_people(layers, contrasts, settings, job.settings["seed"], within)
    record = job.record("group", *inputs, *blocks.values())
    arrays.save_table(tables[0], job.out.top("group_layers.tsv"), **record)
    arrays.save_table(tables[1], job.out.top("group_comparison.tsv"), **record)
    _group_courses(job, study, plan)
    inputs += parts_over_people(job, study, [*plan.runs])
    page = pages.of_group(job, study, layers, *tables, inputs)
    arrays.save_text(group_page(page), job.out.top("group.html"), **record)
    arrays.save_text(index_page(pages.index(page, layers)), job.out.top("index.html"), **record)
    arrays.save_text(methods_text(study.told()), job.out.top("methods.md"), **record)


def _group_courses(job: Job, study: Study, plan: "Plan") -> None:
    """Time courses over people, where recordings are resolved in time."""
    import pandas as pd

    from pipeline import timecourse

    which = in_time(study, plan)
    if not which:
        return
    settings, seed = component("comparison", job.settings["comparison"]), job.settings["seed"]
    weights, over_time, clusters = dict(job.settings["weights"]), [], []
    for label in dict.fromkeys(recording for _, recording in which):
        own = [one for one in which if one[1] == label]
        tables = [arrays.load_table(job.out.latencies(*one), text=TABLE_TEXT) for one in own]
        members = [timecourse.member(arrays.load(job.out.courses(*one), "channel", "latency")) for one in own]
        over_time.append(timecourse.group_latencies(pd.concat(tables, ignore_index=True), settings, seed))
        clusters.append(timecourse.group_clusters(label, members, weights, settings, seed))
    inputs = [place(*one) for one in which for place in (job.out.latencies, job.out.courses)]
    for name, tables in zip(GROUP_COURSES, (over_time, clusters), strict=True):
        path, record = job.out.top(name), job.record("group", *inputs)
        arrays.save_table(pd.concat(tables, ignore_index=True), path, **record)
