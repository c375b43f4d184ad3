"""The study, its plan, and the input functions; rules then read as prose."""

from pathlib import Path

from pipeline.config import Study
from pipeline.layout import Layout
from pipeline.settings import as_json

STUDY_FILE = Path(
    workflow.config_settings.configfiles[0]
    if workflow.config_settings.configfiles
    else "configs/demo.yaml"
)
# the study is read by its own reader: Snakemake's would take 010 for 8
STUDY = Study.from_yaml(STUDY_FILE, tuple(config.get("changes", ())))
PATHS = Layout(Path(config.get("out", "data/derivatives")) / STUDY.study)
LEFT_OUT = tuple(config.get("left_out", ()))
PLAN = STUDY.plan(PATHS.root, LEFT_OUT)
FOLDER = STUDY.dataset.folder(PATHS.root)
MADE_HERE = set(STUDY.dataset.recording_files(PATHS.root))


def settings(stage, recording=""):
    """The JSON of a stage's settings: when it changes, the stage runs again.

    A function of the wildcards and no text, in which `${STUDY}` would be one.
    """

    def of_job(wildcards):
        label = recording or wildcards.get("recording", "")
        model = wildcards.get("model", "")
        return as_json(STUDY.for_stage(stage, recording=label, model=model))

    return of_job


def row_digest(wildcards):
    return PLAN.digest(wildcards.subject, wildcards.recording)


def name_of_words(wildcards):
    return PLAN.stimuli()[wildcards.run].words


def words_of_run(wildcards):
    return FOLDER / name_of_words(wildcards)


def files_of(recording):
    """The files behind one recording of a subject."""

    def files(wildcards):
        runs = PLAN.runs[wildcards.subject, recording]
        kind = STUDY.recordings[recording]
        paths = dict.fromkeys(FOLDER / name for run in runs for name in kind.files(run))
        return [path for path in paths if path.exists() or path in MADE_HERE]

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


def activations_for(wildcards):
    runs = PLAN.labels(wildcards.subject, wildcards.recording)
    return [PATHS.activations(wildcards.model, run) for run in runs]


def targets_file(wildcards):
    return STUDY.dataset.targets_file(PATHS.root) or []


def scores_of(wildcards):
    return [
        PATHS.scores(wildcards.subject, wildcards.recording, m) for m in STUDY.models
    ]


def tables_of_study(wildcards):
    return [
        table(*which)
        for which in PLAN.runs
        for table in (PATHS.layers, PATHS.comparison)
    ]


def pages_of_study(wildcards):
    return [PATHS.subject_page(subject) for subject in PLAN.subjects]


def tables_of_subject(wildcards):
    found = []
    for recording in PLAN.recordings(wildcards.subject):
        which = wildcards.subject, recording
        found += [PATHS.layers(*which), PATHS.comparison(*which), PATHS.ceiling(*which)]
        found += [PATHS.recording(*which, run) for run in PLAN.labels(*which)]
        found += [PATHS.scores(*which, model) for model in STUDY.models]
    return found


def words_of_subject(wildcards):
    runs = {
        run: None
        for recording in PLAN.recordings(wildcards.subject)
        for run in PLAN.labels(wildcards.subject, recording)
    }
    return [PATHS.words(run) for run in runs]
