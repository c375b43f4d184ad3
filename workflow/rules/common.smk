"""The study, its plan, and the input functions; rules then read as prose."""

from os.path import realpath
from pathlib import Path

from pipeline.config import Study
from pipeline.jobs import GROUP_COURSES, GROUP_PARTITION, courses_of, in_time, maps_of
from pipeline.layout import Layout
from pipeline.settings import as_json, expand

STUDY_FILE = Path(
    workflow.config_settings.configfiles[0]
    if workflow.config_settings.configfiles
    else "configs/demo.yaml"
)
# the study is read by its own reader: Snakemake's would take 010 for 8
STUDY = Study.from_yaml(STUDY_FILE, tuple(config.get("changes", ())))
PATHS = Layout(Path(config.get("out", "data/derivatives")) / STUDY.study)
LEFT_OUT = tuple(config.get("left_out", ()))
STUDY.dataset.refresh(PATHS.root)
PLAN = STUDY.plan(PATHS.root, LEFT_OUT)
FOLDER = STUDY.dataset.folder(PATHS.root)
# raw images are realigned volume by volume, side by side; nothing else of a clean job is parallel
THREADS_TO_CLEAN = 8 if STUDY.realigns(PLAN) else 1
MADE_HERE = set(STUDY.dataset.recording_files(PATHS.root))
# stimulus -> the table of its words, or of the events that stand for them; and of its events, where there are any
WORDS = {label: run.words or run.events for label, run in PLAN.stimuli().items()}
EVENTS = {label: run.events for label, run in PLAN.stimuli().items() if run.events}


def settings(stage, recording=""):
    """The JSON of a stage's settings: when it changes, the stage runs again.

    A function of the wildcards and no text, in which `${STUDY}` would be one.
    """

    def of_job(wildcards):
        label = recording or wildcards.get("recording", "")
        model = wildcards.get("model", "")
        people = PLAN.people(label) if stage == "ceiling" else ()
        told = STUDY.for_stage(stage, recording=label, model=model, people=people)
        return as_json(told)

    return of_job


def within(path):
    """A path of the study, with the environment's variables filled in."""
    return Path(expand(path, PATHS.root))


def row_digest(wildcards):
    return PLAN.digest(wildcards.subject, wildcards.recording)


def read_by_model(wildcards):
    """The words of every run, or the events or the sounds for a model that reads these."""
    of_events = STUDY.models[wildcards.model].reads == "events"
    if STUDY.models[wildcards.model].reads == "audio":
        named = {run.audio for run in STUDY.dataset.runs(PATHS.root)} - {""}
        return [FOLDER / name for name in sorted(named)]
    return [
        PATHS.events(label) if of_events and run.events else PATHS.words(label)
        for label, run in PLAN.stimuli().items()
    ]


def made_by_fmriprep(subject):
    return STUDY.dataset.made_by_fmriprep(PATHS.root, subject)


def files_of(recording):
    """The files behind one recording of a subject."""

    def files(wildcards):
        runs = PLAN.runs[wildcards.subject, recording]
        kind = STUDY.recordings[recording]
        paths = dict.fromkeys(
            FOLDER / name for run in runs for name in kind.files(run, FOLDER)
        )
        # the same file may be named in two ways; what is made here is asked for by the name it is made under
        made = {
            realpath(path): path
            for path in {*MADE_HERE, *made_by_fmriprep(wildcards.subject)}
        }
        found = {path: made.get(realpath(path)) for path in paths}
        return [
            maker or path for path, maker in found.items() if maker or path.exists()
        ]

    return files


def rows_of(recording):
    """Follows the subject's rows of runs.tsv; the whole table would tie everybody to everybody."""

    def rows(wildcards):
        return PLAN.digest(wildcards.subject, recording)

    return rows


def files_of_model(wildcards):
    made = STUDY.trained_here(wildcards.model, PATHS.root)
    return made or STUDY.models[wildcards.model].files(PATHS.root)


def recordings_of(wildcards):
    runs = PLAN.labels(wildcards.subject, wildcards.recording)
    return [PATHS.recording(wildcards.subject, wildcards.recording, r) for r in runs]


def recordings_of_people(wildcards):
    """What everybody heard alike, where a ceiling is asked for that lies between people."""
    if not STUDY.ceiling.between:
        return []
    recording = wildcards.recording
    whose = [(subject, recording) for subject in PLAN.people(recording)]
    return [
        PATHS.recording(*which, run) for which in whose for run in PLAN.labels(*which)
    ]


def activations_for(wildcards):
    runs = PLAN.labels(wildcards.subject, wildcards.recording)
    return [PATHS.activations(wildcards.model, run) for run in runs]


def targets_file(wildcards):
    return STUDY.dataset.targets_file(PATHS.root) or []


def scores_of(wildcards):
    return [
        PATHS.scores(wildcards.subject, wildcards.recording, m) for m in STUDY.models
    ]


def scanned_of(wildcards):
    """What the lag scan of a recording reads."""
    return PATHS.scores(wildcards.subject, wildcards.recording, STUDY.scanned())


def activations_scanned(wildcards):
    runs = PLAN.labels(wildcards.subject, wildcards.recording)
    return [PATHS.activations(STUDY.scanned(), run) for run in runs]


def scores_certified(wildcards):
    """What the tests of every target, the certificate and the canaries stand on."""
    return PATHS.scores(wildcards.subject, wildcards.recording, STUDY.certified())


def activations_certified(wildcards):
    runs = PLAN.labels(wildcards.subject, wildcards.recording)
    return [PATHS.activations(STUDY.certified(), run) for run in runs]


def lags_certified(wildcards):
    if not STUDY.scans(wildcards.recording):
        return []
    return PATHS.lags(wildcards.subject, wildcards.recording)


def groups_beside():
    """The model and the controls of the partition."""
    return [label for labels in STUDY.partitioned().values() for label in labels]


def activations_partitioned(wildcards):
    runs = PLAN.labels(wildcards.subject, wildcards.recording)
    return [PATHS.activations(model, run) for model in groups_beside() for run in runs]


def scores_partitioned(wildcards):
    return PATHS.scores(wildcards.subject, wildcards.recording, groups_beside()[0])


def recordings_by_delay(wildcards):
    """What is fitted again at every delay, where channels have no latencies."""
    return recordings_of(wildcards) if STUDY.by_delay(wildcards.recording) else []


def activations_by_delay(wildcards):
    if not STUDY.by_delay(wildcards.recording):
        return []
    runs = PLAN.labels(wildcards.subject, wildcards.recording)
    return [PATHS.activations(model, run) for model in STUDY.models for run in runs]


def activations_heard(wildcards):
    """Features of passive targets, and of the models that predict them."""
    runs = PLAN.labels(wildcards.subject, wildcards.recording)
    both = STUDY.predicting(wildcards.recording), STUDY.passive_of(wildcards.recording)
    models = dict.fromkeys(model for models in both for model in models)
    return [PATHS.activations(model, run) for model in models for run in runs]


def activations_beside(wildcards):
    """Features of trained models, and of the controls that stand beside them."""
    runs = PLAN.labels(wildcards.subject, wildcards.recording)
    models = (*STUDY.trained(), *STUDY.beside_of(wildcards.recording))
    return [PATHS.activations(model, run) for model in models for run in runs]


def scores_beside(wildcards):
    return [
        PATHS.scores(wildcards.subject, wildcards.recording, m) for m in STUDY.trained()
    ]


def scores_predicting(wildcards):
    return [
        PATHS.scores(wildcards.subject, wildcards.recording, m)
        for m in STUDY.predicting(wildcards.recording)
    ]


def pictured():
    """People whose maps have the same names but for the subject, together: recording and names -> subjects."""
    found = {}
    for subject, recording in PLAN.runs:
        which = subject, recording
        own = f"sub-{subject}/func/sub-{subject}_"
        names = [
            str(path).replace(own, own.replace(subject, "{subject}"))
            for path in maps_of(STUDY, PATHS, which, PLAN.runs[which][0])
        ]
        if names:
            found.setdefault((recording, tuple(names)), []).append(subject)
    return found


def first_recording(recording):
    def first(wildcards):
        run = PLAN.labels(wildcards.subject, recording)[0]
        return PATHS.recording(wildcards.subject, recording, run)

    return first


def maps_of_subject(wildcards):
    which = [(wildcards.subject, r) for r in PLAN.recordings(wildcards.subject)]
    return [path for w in which for path in maps_of(STUDY, PATHS, w, PLAN.runs[w][0])]


def tables_of_study(wildcards):
    return [
        table(*which)
        for which in PLAN.runs
        for table in (PATHS.layers, PATHS.comparison, PATHS.certificate, PATHS.blocks)
    ]


def parts_of_study(wildcards):
    """What models and controls explain apart, where it is asked."""
    return [PATHS.partition(*which) for which in PLAN.runs if STUDY.partitioned()]


def group_parts():
    return [PATHS.top(GROUP_PARTITION)] if STUDY.partitioned() else []


def courses_of_study(wildcards):
    return [
        course(*which)
        for which in in_time(STUDY, PLAN)
        for course in (PATHS.latencies, PATHS.courses)
    ]


def group_courses():
    """What the group has besides where recordings are resolved in time."""
    return [PATHS.top(name) for name in GROUP_COURSES] if in_time(STUDY, PLAN) else []


def pages_of_study(wildcards):
    return [PATHS.subject_page(subject) for subject in PLAN.subjects]


def tables_of_subject(wildcards):
    found = []
    for recording in PLAN.recordings(wildcards.subject):
        which = wildcards.subject, recording
        found += [PATHS.layers(*which), PATHS.comparison(*which), PATHS.ceiling(*which)]
        found += [PATHS.recording(*which, run) for run in PLAN.labels(*which)]
        found += [PATHS.scores(*which, model) for model in STUDY.models]
        found += [PATHS.lags(*which)] if STUDY.scans(recording) else []
        found += [PATHS.ledger(*which)]
        found += [PATHS.tests(*which), PATHS.certificate(*which)]
        found += [PATHS.partition(*which)] if STUDY.partitioned() else []
        found += courses_of(STUDY, PATHS, which)
    return found


def words_of_subject(wildcards):
    runs = {
        run: None
        for recording in PLAN.recordings(wildcards.subject)
        for run in PLAN.labels(wildcards.subject, recording)
    }
    return [PATHS.words(run) for run in runs]
