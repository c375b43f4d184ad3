"""MEG, EEG and iEEG in BIDS form: recordings by their names, their words, and what mne-bids-pipeline made of them.

Data sets are written by MNE-BIDS where their content counts, and as empty files
where only names do.
"""

import shutil
import time
from pathlib import Path

import numpy as np
import pytest
from laboratory import DATA
from pydantic import ValidationError

from pipeline import arrays
from pipeline.datasets import bids
from pipeline.datasets.bids import Bids
from pipeline.datasets.bidsfiles import SENSED, SIGNALS, parse
from pipeline.datasets.manifest import COLUMNS, Manifest
from pipeline.problems import Problem, StudyError
from pipeline.recordings.meg.kind import Meg
from pipeline.runs import Run

STUDY = Path("study")
STORY = [(1.0, 0.5, "once"), (2.0, 0.5, "upon"), (3.5, 0.25, "a"), (4.0, 1.0, "time")]
OTHER = [(1.0, 0.5, "the"), (2.0, 0.5, "end")]
PIPELINE = "derivatives/mne-bids-pipeline"


class Tree:
    """A BIDS data set, grown file by file."""

    def __init__(self, root: Path):
        self.root, self.derived = root, root / PIPELINE

    def file(self, path: str, text: str = "") -> str:
        target = self.root / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text, encoding="utf-8")
        return path

    def run(self, stem: str, ending: str = "meg.fif", words: list | None = STORY) -> str:
        """An empty recording and its events; the place and stem of their names."""
        folders = [pair for pair in stem.split("_") if pair.startswith(("sub-", "ses-"))]
        place = "/".join([*folders, ending.partition(".")[0], stem])
        self.file(f"{place}_{ending}")
        if words is not None:
            self.file(f"{place}_events.tsv", spoken(words))
        return place

    def prepared(self, place: str, *endings: str) -> None:
        for ending in endings:
            self.file(f"{PIPELINE}/{place}_{ending}")

    def dataset(self, **settings: object) -> Bids:
        bids._SCANS.clear()  # a new process
        return Bids(root=str(self.root), **settings)

    def runs(self, **settings: object) -> list[Run]:
        return self.dataset(**settings).runs(STUDY)

    def responses(self, **settings: object) -> list[str]:
        return [name for run in self.runs(**settings) for name in run.responses]

    def told(self, **settings: object) -> dict[str, Problem]:
        try:
            problems = self.dataset(**settings).problems(STUDY)
        except StudyError as error:
            problems = list(error.problems)
        return {p.code: p for p in problems}

    def written(self, raw: object, datatype: str = "meg", **settings: object) -> Path:
        """A recording as MNE-BIDS writes it."""
        import mne_bids

        form = {} if datatype != "meg" else {"allow_preload": True, "format": "FIF"}
        split = {"extra_params": {"split_size": settings.pop("split_size")}} if "split_size" in settings else {}
        path = mne_bids.BIDSPath(root=self.root, datatype=datatype, **settings)
        what = {"extra_columns_descriptions": {"word": "what was said"}} if raw.annotations else {}
        return mne_bids.write_raw_bids(raw, path, verbose="ERROR", **form, **split, **what).fpath


def spoken(words: list[tuple[float, float, str]], later: float = 0.0) -> str:
    rows = [f"{a + later:.4f}\t{d}\tword\t{w}\n" for a, d, w in words]
    return "onset\tduration\ttrial_type\tword\n" + "".join(rows)


def annotated(raw: object, words: list[tuple[float, float, str]] = STORY) -> object:
    """A recording whose annotations are words."""
    import mne

    onsets, durations, texts = zip(*words, strict=True)
    said = [{"word": text} for text in texts]
    return raw.set_annotations(mne.Annotations(onsets, durations, ["word"] * len(words), extras=said))


def magnetic(words: list[tuple[float, float, str]] = STORY, n: int = 1200) -> object:
    """Three channels of MEG and one of triggers, 200 Hz."""
    import mne

    info = mne.create_info(["MEG0111", "MEG0112", "MEG0113", "STI101"], 200.0, ["mag", "grad", "grad", "stim"])
    info["line_freq"] = 50
    values = np.random.default_rng(0).normal(scale=1e-12, size=(4, n))
    return annotated(mne.io.RawArray(values, info, verbose="ERROR"), words)


def brainvision(folder: Path, names: tuple[str, ...], kind: str = "eeg", n: int = 1200) -> object:
    """A recording in Brain Vision's form, 200 Hz, values in uV."""
    import mne

    folder.mkdir(parents=True, exist_ok=True)
    channels = "\n".join(f"Ch{i}={name},,1,µV" for i, name in enumerate(names, 1))
    (folder / "x.vhdr").write_text(
        "Brain Vision Data Exchange Header File Version 1.0\n\n[Common Infos]\nCodepage=UTF-8\nDataFile=x.eeg\n"
        "MarkerFile=x.vmrk\nDataFormat=BINARY\nDataOrientation=MULTIPLEXED\n"
        f"NumberOfChannels={len(names)}\nSamplingInterval=5000\n\n[Binary Infos]\nBinaryFormat=IEEE_FLOAT_32\n\n"
        f"[Channel Infos]\n{channels}\n",
        encoding="utf-8",
    )
    (folder / "x.vmrk").write_text(
        "Brain Vision Data Exchange Marker File, Version 1.0\n\n[Common Infos]\nCodepage=UTF-8\nDataFile=x.eeg\n\n"
        "[Marker Infos]\nMk1=New Segment,,1,1,0,20200101000000000000\n",
        encoding="utf-8",
    )
    values = np.random.default_rng(0).normal(scale=20.0, size=(n, len(names)))
    (folder / "x.eeg").write_bytes(values.astype("<f4").tobytes())
    raw = mne.io.read_raw_brainvision(folder / "x.vhdr", verbose="ERROR")
    raw.set_channel_types(dict.fromkeys(names, kind), verbose="ERROR")
    raw.info["line_freq"] = 60
    return raw


@pytest.fixture
def tree(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Tree:
    monkeypatch.chdir(tmp_path)
    return Tree(tmp_path / "bids")


# -- names --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("datatype", SENSED)
@pytest.mark.parametrize("ending", SIGNALS)
def test_every_form_that_mne_reads_is_a_recording(tree, datatype, ending):
    place = tree.run("sub-01_task-story", f"{datatype}{ending}")
    assert tree.responses() == [f"{place}_{datatype}{ending}"]


def test_endings_are_those_of_mne_bids():
    from mne_bids.config import ALLOWED_DATATYPE_EXTENSIONS

    from pipeline.datasets.bidsfiles import UNREAD

    known = {end for datatype in SENSED for end in ALLOWED_DATATYPE_EXTENSIONS[datatype]}
    assert known - {".pdf"} <= {*SIGNALS, *UNREAD}  # the folders of .pdf files have no ending, and are told
    from mne.io._read_raw import _get_supported

    assert set(SIGNALS) <= set(_get_supported())


@pytest.mark.parametrize(
    "name",
    ["sub-01/ses-02/meg/sub-01_ses-02_task-story_acq-x_run-03_proc-sss_split-02_meg.fif", "sub-a/eeg/sub-a_task-b_eeg.vhdr",
     "sub-01/ieeg/sub-01_task-b_run-1_ieeg.edf", "sub-01/meg/sub-01_task-b_meg.ds"],
)  # fmt: skip
def test_entities_are_those_that_mne_bids_reads(name):
    import mne_bids

    keys = {"subject": "sub", "session": "ses", "acquisition": "acq", "processing": "proc"}
    path = mne_bids.get_bids_path_from_fname(name, check=True, verbose="ERROR")
    theirs = {keys.get(key, key): value for key, value in path.entities.items() if value is not None}
    file = parse(name)
    assert file.entities == theirs
    assert (file.suffix, file.ending, file.datatype) == (path.suffix, path.extension, path.datatype)


@pytest.mark.parametrize("ending", ["meg.ds", "eeg.mff", "ieeg.mefd"])
def test_a_recording_that_is_a_folder_is_one_response(tree, ending):
    place = tree.run("sub-01_task-story", "meg.json" if ending.startswith("meg") else ending.split(".")[0] + ".json")
    tree.file(f"{place}_{ending}/inside/sub-01_task-other_meg.fif")
    assert tree.responses() == [f"{place}_{ending}"]


def test_links_whose_content_was_not_fetched_are_runs_all_the_same(tree):
    place = tree.run("sub-01_task-story")
    (tree.root / f"{place}_meg.fif").unlink()
    (tree.root / f"{place}_meg.fif").symlink_to("../.git/annex/objects/none")
    assert tree.responses() == [f"{place}_meg.fif"]


@pytest.mark.parametrize(
    "stray",
    ["sub-01_task-story_meg.fif.gz", "sub-01_task-story_meg-1.fif", "sub-01_story_meg.fif", "sub-01_task-story_MEG.fif",
     "sub-01_task-story_meg (copy).fif", "sub-01_task-story_raw.fif", "sub-01_task-tale_meg.FIF", "sub-01_task-tale_eeg.fif",
     "sub-02_task-tale_meg.fif", "sub-01_task-tale_meg.raw", "recording.fif", "sub-01_task-tale_run-01_meg/c,rf"],
)  # fmt: skip
def test_a_recording_of_another_name_or_form_is_told(tree, stray):
    place = tree.run("sub-01_task-story")
    tree.file(f"sub-01/meg/{stray}")
    problem = tree.told()["W-DATA-60"]
    assert problem.file == f"sub-01/meg/{stray.partition('/')[0]}" and problem.why and problem.fix
    assert problem.subject == ("02" if stray.startswith("sub-02") else "01")
    assert tree.responses() == [f"{place}_meg.fif"]


def test_what_lies_beside_a_recording_is_none(tree):
    tree.run("sub-01_task-story")
    for name in (
        "acq-crosstalk_meg.fif", "acq-calibration_meg.dat", "task-story_markers.sqd", "headshape.pos", "coordsystem.json",
        "task-story_channels.tsv", "task-story_meg.json", "headshape.fif",
    ):  # fmt: skip
        tree.file(f"sub-01/meg/sub-01_{name}")
    tree.file("sub-emptyroom/ses-20200101/meg/sub-emptyroom_ses-20200101_task-noise_meg.fif")
    assert tree.responses() == ["sub-01/meg/sub-01_task-story_meg.fif"] and tree.told() == {}


def test_companions_of_brain_vision_and_eeglab_are_no_recordings(tree):
    for ending in ("eeg.vhdr", "eeg.eeg", "eeg.vmrk"):
        tree.run("sub-01_task-story", ending)
    for ending in ("eeg.set", "eeg.fdt"):
        tree.run("sub-02_task-story", ending)
    assert tree.responses() == ["sub-01/eeg/sub-01_task-story_eeg.vhdr", "sub-02/eeg/sub-02_task-story_eeg.set"]
    assert tree.told() == {}


def test_a_recording_in_two_forms_is_read_once_and_told(tree):
    place = tree.run("sub-01_task-story", "eeg.edf")
    tree.run("sub-01_task-story", "eeg.set")
    assert tree.responses() == [f"{place}_eeg.set"]
    problem = tree.told()["W-DATA-60"]
    assert problem.file == f"{place}_eeg.edf" and f"{place}_eeg.set" in problem.why


# -- runs ---------------------------------------------------------------------------------------------------------


def test_people_may_lack_sessions_runs_and_tasks(tree):
    """Written by MNE-BIDS; what is found is what MNE-BIDS finds, and the table says it cell by cell."""
    import mne_bids

    for subject, session, run, task, words in [
        ("01", "1", "01", "story", STORY), ("01", "2", "02", "story", OTHER), ("01", "2", None, "rest", []),
        ("02", None, "02", "story", OTHER), ("03", "1", "01", "tale", STORY),
    ]:  # fmt: skip
        raw = magnetic(words or STORY)
        tree.written(raw if words else raw.set_annotations(None), subject=subject, session=session, run=run, task=task)
    dataset = tree.dataset(test=["storyrun2"])
    dataset.refresh(STUDY)
    table = arrays.load_table(STUDY / "runs.tsv", text=COLUMNS)
    story, other = ("sub-01/ses-{0}/meg/sub-01_ses-{0}_task-story_run-0{0}_{1}".format(n, "{}") for n in "12")
    told = {
        ("01", "storyrun1", "1", "story", "train", story.format("meg.fif"), story.format("events.tsv")),
        ("01", "storyrun2", "2", "story", "test", other.format("meg.fif"), other.format("events.tsv")),
        ("02", "storyrun2", "n/a", "story", "test", "sub-02/meg/sub-02_task-story_run-02_meg.fif", other.format("events.tsv")),
        ("03", "storyrun1", "1", "tale", "train", "sub-03/ses-1/meg/sub-03_ses-1_task-tale_run-01_meg.fif", story.format("events.tsv")),
    }  # fmt: skip
    names = ["subject", "run", "session", "task", "split", "responses", "words"]
    assert set(table[names].itertuples(index=False, name=None)) == told and len(table) == len(told)
    rest = table.drop(columns=names).drop_duplicates().to_dict("records")
    common = {"recording": "meg", "raw": "yes", "repeat": "1", "start_s": "0.0"}
    assert rest == [dict.fromkeys(set(COLUMNS) - set(names), "n/a") | common]
    theirs = mne_bids.find_matching_paths(tree.root, datatypes="meg", suffixes="meg", extensions=".fif")
    silent = [path for path in theirs if path.task == "rest"]
    assert {path.fpath.relative_to(tree.root).as_posix() for path in theirs if path not in silent} == set(
        table["responses"]
    )
    assert silent[0].fpath.name in dataset.problems(STUDY)[0].found


def test_a_split_recording_is_one_run_of_its_first_part(tree):
    """As MNE-BIDS splits it; MNE reads the whole from the first part."""
    import mne

    tree.written(magnetic(n=150_000), subject="01", task="story", split_size="2MB")
    parts = sorted(path.name for path in (tree.root / "sub-01" / "meg").glob("*_meg.fif"))
    assert parts[0].endswith("_split-01_meg.fif") and len(parts) > 2
    (name,) = tree.responses()
    assert name == f"sub-01/meg/{parts[0]}" and tree.told() == {}
    assert mne.io.read_raw_fif(tree.root / name, verbose="ERROR").n_times == 150_000


@pytest.mark.parametrize("gone", [1, 2])
def test_a_missing_part_is_told_by_name(tree, gone):
    tree.run("sub-02_task-story")
    for part in (1, 2, 3):
        tree.run(f"sub-01_task-story_split-0{part}")
    (tree.root / f"sub-01/meg/sub-01_task-story_split-0{gone}_meg.fif").unlink()
    problem = tree.told()["E-DATA-64"]
    assert problem.file == f"sub-01/meg/sub-01_task-story_split-0{gone}_meg.fif" and problem.subject == "01"
    assert "02" in {run.subject for run in tree.runs()}


def test_words_heard_again_are_presentations_of_one_run(tree):
    for session in ("1", "2", "10"):
        tree.run(f"sub-01_ses-{session}_task-story")
    (run,) = tree.runs()
    assert run.responses == tuple(f"sub-01/ses-{s}/meg/sub-01_ses-{s}_task-story_meg.fif" for s in ("1", "2", "10"))


def test_presentations_may_start_at_different_times(tree):
    """Somebody starts the recording by hand: each presentation keeps its own start, in the table as well."""
    for session, later in (("1", 0.0), ("2", 7.25)):
        place = tree.run(f"sub-01_ses-{session}_task-story", words=None)
        tree.file(f"{place}_events.tsv", spoken(STORY, later))
    (run,) = tree.runs()
    assert run.start_s == 0.0 and run.starts_s == (0.0, -7.25) and tree.told() == {}
    assert [(one.responses, one.start_s) for one in run.presentations] == [
        ((f"sub-01/ses-{session}/meg/sub-01_ses-{session}_task-story_meg.fif",), start) for session, start in (("1", 0.0), ("2", -7.25))
    ]  # fmt: skip
    dataset = tree.dataset()
    dataset.refresh(STUDY)
    bids._SCANS.clear()
    assert dataset.runs(STUDY) == [run]


@pytest.mark.parametrize("form", ["epochs", "continuous"])
def test_presentations_that_start_at_different_times_are_laid_over_one_another(tree, form):
    """A field of 2 pT from 100 to 150 ms after each word, in noise of 0.1 pT; the second recording started 7 s earlier."""
    import mne

    rng = np.random.default_rng(0)
    onsets = 3 + np.cumsum(rng.uniform(0.4, 0.8, 80)).round(2)
    for session, later in (("1", 0.0), ("2", 7.0)):
        values = rng.normal(scale=1e-13, size=(2, 16_000))
        for onset in onsets:
            values[:, round((onset + later + 0.1) * 200) : round((onset + later + 0.15) * 200)] += 2e-12
        raw = mne.io.RawArray(values, mne.create_info(["MEG0111", "MEG0121"], 200.0, "mag"), verbose="ERROR")
        raw.info["line_freq"] = 50
        said = [(onset + later, 0.2, f"w{i}") for i, onset in enumerate(onsets)]
        tree.written(annotated(raw, said), subject="01", session=session, task="story")
    (run,) = tree.runs()
    meg = Meg(form=form, picks="mag", window=(-0.2, 0.6), l_freq=0.5)
    cleaned = meg.clean(run, tree.root, ())
    first, second = (values[~cleaned.censored] for values in cleaned.responses)
    share = 1 - np.var(first - second) / np.var(first) / 2  # that both have; laid elsewhere it is about 0
    assert share > 0.9


def test_presentations_of_different_parts_of_a_story_are_refused_by_name(tmp_path):
    """Of two recordings that are one run, the first holds the first half of its words and the second the other."""
    import mne

    for name in ("a", "b"):
        values = np.random.default_rng(0).normal(scale=1e-13, size=(2, 30 * 100))
        raw = mne.io.RawArray(values, mne.create_info(["MEG0111", "MEG0121"], 100.0, "mag"), verbose="ERROR")
        raw.save(tmp_path / f"{name}_raw.fif", verbose="ERROR")
    words = [f"{1 + 0.7 * i:.2f}\t0.1\tw{i}" for i in range(85)]
    (tmp_path / "words.tsv").write_text("\n".join(["onset\tduration\tword", *words]) + "\n")
    run = Run("01", "story", "meg", ("a_raw.fif", "b_raw.fif"), "words.tsv", starts_s=(0.0, 31.0))
    with pytest.raises(StudyError) as refused:
        Meg(form="continuous", picks="mag", window=(0.0, 0.5), l_freq=0.5).clean(run, tmp_path, ())
    (problem,) = refused.value.problems
    assert problem.code == "E-MEG-71" and problem.file == "a_raw.fif, b_raw.fif" and "[0.0, 31.0] s" in problem.found


def test_a_pattern_says_where_words_are(tree):
    tree.run("sub-01_ses-1_task-story_run-01", "eeg.vhdr", None)
    tree.file("aligned/01-1-story-01.tsv", "onset\tduration\tword\n1\t0.5\tonce\n")
    (run,) = tree.runs(words="aligned/{subject}-{session}-{task}-{run}.tsv")
    assert run.words == "aligned/01-1-story-01.tsv"


def test_words_of_a_stimulus_start_when_it_does(tree):
    place = tree.run("sub-01_task-story", "eeg.vhdr", None)
    tree.file(f"{place}_events.tsv", "onset\tduration\ttrial_type\tstim_file\n12.5\t60\tstory\ttale.wav\n")
    tree.file(
        "stimuli/tale.TextGrid", '"ooTextFile"\n"TextGrid"\n0 9\n<exists>\n1\n"IntervalTier" "words" 0 9 1\n1 2 "so"\n'
    )
    (run,) = tree.runs()
    assert (run.words, run.start_s, run.run) == ("stimuli/tale.TextGrid", -12.5, "tale")


@pytest.mark.parametrize("datatype", SENSED)
def test_events_further_up_serve_everybody(tree, datatype):
    tree.run("sub-01_ses-1_task-story", f"{datatype}.edf", None)
    tree.run("sub-02_task-story", f"{datatype}.edf", OTHER)
    tree.file("task-story_events.tsv", spoken(STORY))
    found = {run.subject: run.words for run in tree.runs()}
    assert found == {"01": "task-story_events.tsv", "02": f"sub-02/{datatype}/sub-02_task-story_events.tsv"}


def test_events_of_a_processed_recording_are_its_own(tree):
    place = tree.run("sub-01_task-story_proc-sss")
    assert [run.words for run in tree.runs()] == [f"{place}_events.tsv"]


# -- which kind ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("ending", "label"), [("meg.fif", "meg"), ("eeg.vhdr", "eeg"), ("ieeg.edf", "ieeg"), ("bold.nii.gz", "fmri")]
)
def test_the_only_kind_is_found_unasked_and_names_the_recording(tree, ending, label):
    place = tree.run("sub-01_task-story", ending)
    if label == "fmri":
        shutil.move(tree.root / "sub-01" / "bold", tree.root / "sub-01" / "func")
        place = place.replace("/bold/", "/func/")
    (run,) = tree.runs()
    assert run == Run("01", "story", label, (f"{place}_{ending}",), f"{place}_events.tsv", raw=True)
    assert [run.recording for run in tree.runs(recording="mine")] == ["mine"]


def both(tree: Tree) -> Tree:
    """One person in the scanner, and again in MEG in another session."""
    tree.run("sub-01_ses-meg_task-story")
    tree.file("sub-01/ses-mri/func/sub-01_ses-mri_task-story_bold.nii.gz")
    tree.file("task-story_events.tsv", spoken(STORY))
    return tree


def test_a_data_set_of_several_kinds_asks_which_is_meant(tree):
    both(tree)
    problem = tree.told()["E-DATA-60"]
    assert (problem.field, problem.found) == ("dataset.datatype", "func (1 files), meg (1 files)")
    assert problem.fix == "set dataset.datatype to one of: func, meg"
    assert [name.split("/")[2] for name in tree.responses(datatype="func")] == ["func"]
    assert [name.split("/")[2] for name in tree.responses(datatype="meg")] == ["meg"]


def test_sessions_and_derivatives_may_leave_only_one_kind(tree):
    both(tree)
    assert [run.recording for run in tree.runs(session="meg")] == ["meg"]
    assert [run.recording for run in tree.runs(session="mri")] == ["fmri"]
    tree.file("derivatives/fmriprep/sub-01/ses-mri/func/sub-01_ses-mri_task-story_space-T1w_desc-preproc_bold.nii.gz")
    tree.prepared("sub-01/ses-meg/meg/sub-01_ses-meg_task-story", "proc-filt_raw.fif")
    assert [run.recording for run in tree.runs(derivatives=str(tree.derived))] == ["meg"]
    assert [run.recording for run in tree.runs(derivatives=str(tree.root / "derivatives" / "fmriprep"))] == ["fmri"]


def test_a_kind_that_is_not_there_is_told_with_where_it_would_lie(tree):
    tree.run("sub-01_task-story")
    problem = tree.told(datatype="ieeg")["E-DATA-51"]
    assert "*_ieeg recordings in sub-*/[ses-*/]ieeg" in problem.expected and "'story'" in problem.found


@pytest.mark.parametrize(
    "settings",
    [{"datatype": "meg", "space": "T1w"}, {"datatype": "eeg", "res": "2"}, {"datatype": "func", "proc": "clean"},
     {"datatype": "pet"}, {"proc": "clean", "space": "T1w"}, {"proc": "../x"}, {"proc": "a_b_c"}],
)  # fmt: skip
def test_settings_of_another_kind_are_refused(settings):
    with pytest.raises(ValidationError):
        Bids(root="x", **settings)


# -- mne-bids-pipeline --------------------------------------------------------------------------------------------

KINDS = ("proc-filt_raw.fif", "proc-clean_raw.fif", "proc-clean_epo.fif", "epo.fif", "proc-ica_ica.fif", "ave.fif")


def test_the_kinds_of_a_pipeline_are_listed_to_choose_from(tree):
    tree.prepared(tree.run("sub-01_ses-a_task-story"), *KINDS)
    settings = {"derivatives": str(tree.derived)}
    problem = tree.told(**settings)["E-DATA-61"]
    assert problem.found == "clean_epo (1 runs); clean_raw (1 runs); epo (1 runs); filt_raw (1 runs)"
    assert problem.fix == "set dataset.proc to one of: clean_epo, clean_raw, epo, filt_raw"
    assert "clean_epo, clean_raw" in tree.told(**settings, proc="clean")["E-DATA-61"].fix
    absent = tree.told(**settings, proc="sss")["E-DATA-61"]
    assert "no recording is of the kind" in absent.summary and "filt_raw" in absent.fix


@pytest.mark.parametrize(
    ("proc", "ending"),
    [("clean_epo", "proc-clean_epo.fif"), ("clean_raw", "proc-clean_raw.fif"), ("filt", "proc-filt_raw.fif"),
     ("proc-filt_raw", "proc-filt_raw.fif"), ("epo", "epo.fif")],
)  # fmt: skip
def test_prepared_recordings_have_the_words_of_the_raw_ones(tree, proc, ending):
    place = tree.run("sub-01_ses-a_task-story_run-01")
    tree.prepared(place, *KINDS)
    words = f"{place}_events.tsv"
    (run,) = tree.runs(derivatives=str(tree.derived), proc=proc)
    assert run == Run("01", "storyrun1", "meg", (f"{PIPELINE}/{place}_{ending}",), words)
    assert tree.told(derivatives=str(tree.derived), proc=proc) == {}


def test_the_only_kind_need_not_be_named(tree):
    tree.prepared(tree.run("sub-01_task-story", "eeg.vhdr"), "proc-filt_raw.fif")
    assert tree.responses(derivatives=str(tree.derived)) == [
        f"{PIPELINE}/sub-01/eeg/sub-01_task-story_proc-filt_raw.fif"
    ]


def test_split_derivatives_are_one_run(tree):
    place = tree.run("sub-01_task-story_split-01")
    tree.run("sub-01_task-story_split-02")
    stem = place.removesuffix("_split-01")
    tree.prepared(stem, "proc-filt_split-01_raw.fif", "proc-filt_split-02_raw.fif")
    assert tree.responses(derivatives=str(tree.derived)) == [f"{PIPELINE}/{stem}_proc-filt_split-01_raw.fif"]


def test_runs_that_were_not_prepared_are_left_out_by_name(tree):
    tree.prepared(tree.run("sub-01_task-story"), "proc-filt_raw.fif")
    place = tree.run("sub-02_task-story")
    tree.prepared(place, "proc-clean_epo.fif")
    problem = tree.told(derivatives=str(tree.derived), proc="filt")["W-DATA-50"]
    assert problem.subject == "02" and place in problem.found and "mne-bids-pipeline" in problem.fix


def test_people_whose_recordings_were_prepared_differently_are_never_mixed(tree):
    tree.prepared(tree.run("sub-01_task-story"), "proc-filt_raw.fif")
    tree.prepared(tree.run("sub-02_task-story"), "proc-clean_raw.fif")
    assert "E-DATA-61" in tree.told(derivatives=str(tree.derived))


def test_epochs_without_a_run_are_those_of_the_tasks_only_run(tree):
    place = tree.run("sub-01_task-story_run-01")
    tree.prepared("sub-01/meg/sub-01_task-story", "proc-clean_epo.fif")
    (run,) = tree.runs(derivatives=str(tree.derived))
    assert (run.run, run.words) == ("storyrun1", f"{place}_events.tsv")
    tree.file("said/01-story-01.tsv", "onset\tduration\tword\n1\t0.5\tonce\n")  # run-01, as the recording is called
    (run,) = tree.runs(derivatives=str(tree.derived), words="said/{subject}-{task}-{run}.tsv")
    assert run.words == "said/01-story-01.tsv"


def test_epochs_of_several_runs_in_one_file_are_refused_by_name(tree):
    for number, words in (("01", STORY), ("02", OTHER)):
        tree.prepared(tree.run(f"sub-01_task-story_run-{number}", words=words), "proc-filt_raw.fif")
    tree.prepared("sub-01/meg/sub-01_task-story", "proc-clean_epo.fif")
    problem = tree.told(derivatives=str(tree.derived), proc="clean")["E-DATA-62"]
    assert problem.file == "sub-01/meg/sub-01_task-story_proc-clean_epo.fif" and "of 2 runs" in problem.found
    assert [run.run for run in tree.runs(derivatives=str(tree.derived), proc="filt")] == ["storyrun1", "storyrun2"]


def test_a_processing_of_the_maker_is_chosen_like_any_other(tree):
    place = tree.run("sub-01_task-story")
    tree.run("sub-01_task-story_proc-sss", words=None)
    assert tree.told()["E-DATA-61"].fix == "set dataset.proc to one of: meg, sss_meg"
    assert tree.responses(proc="meg") == [f"{place}_meg.fif"]
    (run,) = tree.runs(proc="sss")
    assert run.responses == (f"{place}_proc-sss_meg.fif",) and run.words == f"{place}_events.tsv"


@pytest.mark.parametrize("wrong", ["derivatives", "derivatives/mne-bids-pipelin", "nowhere/at/all"])
def test_a_wrong_derivatives_folder_says_what_was_looked_for(tree, wrong):
    tree.prepared(tree.run("sub-01_task-story"), "proc-filt_raw.fif")
    problem = tree.told(derivatives=f"bids/{wrong}")["E-DATA-63"]
    assert "*_proc-clean_epo.fif" in problem.expected and wrong in problem.found
    assert PIPELINE in problem.fix or wrong.startswith("nowhere")


# -- the files themselves -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("datatype", SENSED)
def test_what_is_read_is_what_mne_bids_reads(tree, tmp_path, datatype):
    """Bad channels, types, line frequency, sampling rate, places of electrodes, annotations."""
    import mne
    import mne_bids

    from pipeline.recordings.meg.files import opened

    raw = (
        magnetic() if datatype == "meg" else brainvision(tmp_path, ("Fz", "Cz", "Pz"), datatype.replace("ieeg", "ecog"))
    )
    if datatype == "eeg":
        raw.set_montage("standard_1020", verbose="ERROR")
    if datatype == "ieeg":
        places = {"Fz": (0.01, 0.02, 0.03), "Cz": (0.02, 0.01, 0.03), "Pz": (0.03, 0.02, 0.01)}
        raw.set_montage(mne.channels.make_dig_montage(places, coord_frame="mni_tal"), verbose="ERROR")
    raw.info["bads"] = [raw.ch_names[1]]
    annotated(raw)
    tree.written(raw, datatype, subject="01", task="story")
    (run,) = tree.runs()
    ours = opened(Meg(), tree.root, run.responses[0], run)
    path = mne_bids.BIDSPath(root=tree.root, subject="01", task="story", datatype=datatype, suffix=datatype)
    theirs = mne_bids.read_raw_bids(path, verbose="ERROR")
    assert ours.info["bads"] == theirs.info["bads"] == raw.info["bads"]
    for field in ("sfreq", "line_freq", "ch_names"):
        assert ours.info[field] == theirs.info[field] == raw.info[field]
    assert ours.get_channel_types() == theirs.get_channel_types()
    where, their_where = (np.array([c["loc"] for c in r.info["chs"]]) for r in (ours, theirs))
    np.testing.assert_array_equal(where, their_where)
    if datatype != "meg":  # electrodes were placed, so that the comparison says something
        assert np.isfinite(where[:, :3]).all() and where[:, :3].any(axis=1).all()
    np.testing.assert_array_equal(ours.annotations.onset, theirs.annotations.onset)
    np.testing.assert_array_equal(ours.get_data(), theirs.get_data())


def test_what_is_found_in_derivatives_is_what_mne_bids_names_and_mne_reads(tree):
    """Filtered recordings and epochs, saved under the names that MNE-BIDS gives, one of them in parts."""
    import mne
    import mne_bids

    for run, words in (("01", STORY), ("02", OTHER)):
        tree.written(magnetic(words, n=150_000), subject="01", session="a", task=f"t{run}", run=run)
        path = mne_bids.BIDSPath(root=tree.derived, subject="01", session="a", task=f"t{run}", run=run, datatype="meg",
                                 suffix="raw", processing="filt", extension=".fif", check=False)  # fmt: skip
        path.mkdir()
        raw = magnetic(words, n=150_000).filter(None, 40.0, verbose="ERROR")
        raw.save(path.fpath, split_naming="bids", split_size="2MB" if run == "01" else "2GB", verbose="ERROR")
        events, _ = mne.events_from_annotations(raw, verbose="ERROR")
        epochs = mne.Epochs(raw, events, tmin=-0.2, tmax=0.5, preload=True, verbose="ERROR")
        epochs.save(path.update(suffix="epo", processing="clean", run=None).fpath, verbose="ERROR")
    first, second = tree.runs(derivatives=str(tree.derived), proc="filt")
    assert first.responses[0].endswith("_run-01_proc-filt_split-01_raw.fif") and second.run == "t02run2"
    assert [mne.io.read_raw_fif(tree.root / run.responses[0], verbose="ERROR").n_times for run in (first, second)] == [
        150_000
    ] * 2
    first, second = tree.runs(derivatives=str(tree.derived), proc="clean")
    cut = [mne.read_epochs(tree.root / run.responses[0], verbose="ERROR") for run in (first, second)]
    assert [len(epochs) for epochs in cut] == [4, 2] and first.words.endswith("ses-a_task-t01_run-01_events.tsv")
    assert tree.told(derivatives=str(tree.derived), proc="clean") == {}


@pytest.mark.parametrize("ending", ["meg.fif", "eeg.vhdr", "eeg.set", "eeg.edf", "ieeg.edf"])
def test_an_empty_file_is_refused_by_name(tree, ending):
    place = tree.run("sub-01_task-story", ending)
    (run,) = tree.runs()
    with pytest.raises(StudyError) as caught:
        Meg().header(run, tree.root)
    (problem,) = caught.value.problems
    assert problem.file == f"{place}_{ending}" and problem.subject == "01"


def test_a_folder_may_be_a_response_of_a_manifest(tmp_path):
    for name in ("a.ds/a.meg4", "b.mff/signal1.bin", "w.tsv", "d/x.npy"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    rows = [f"01\t{name[0]}\tmeg\t{name}\tw.tsv\n" for name in ("a.ds", "b.mff", "c.ds", "d")]
    (tmp_path / "runs.tsv").write_text("subject\trun\trecording\tresponses\twords\n" + "".join(rows))
    problems = Manifest(root=str(tmp_path)).problems(STUDY)
    assert [p.file for p in problems] == ["c.ds", "d"] and {p.code for p in problems} == {"E-DATA-23"}


def test_planning_takes_seconds_for_a_thousand_runs(tree):
    """A fiftieth of them here, with the companions that recordings have; in time of the processor, as the machine may be busy."""
    tree.run("sub-01_task-warm", "eeg.vhdr")
    tree.dataset().refresh(Path("warm"))  # libraries are imported once
    for number in range(10):
        for subject in ("01", "02"):
            words = [(i + 0.0001 * int(subject), 0.5, f"w{i * number % 97}") for i in range(300)]
            place = tree.run(f"sub-{subject}_task-story_run-{number}", "eeg.vhdr", words)
            for ending in ("eeg.eeg", "eeg.vmrk", "eeg.json", "channels.tsv", "electrodes.tsv", "coordsystem.json"):
                tree.file(f"{place}_{ending}")
    start = time.process_time()
    tree.dataset().refresh(STUDY)
    assert len(tree.runs()) == 21
    assert time.process_time() - start < 5 * 10 / 50  # five times its share of 10 s


# -- real data sets -----------------------------------------------------------------------------------------------

TINY, SKELETONS = DATA / "meg_eeg" / "tiny_bids", DATA / "bids_skeletons"


@pytest.mark.skipif(not TINY.exists(), reason="real recordings are not here")
def test_the_tiny_data_set_of_mne_bids_has_one_run_of_eeg():
    bids._SCANS.clear()
    dataset = Bids(root=str(TINY))
    stem = "sub-01/ses-eeg/eeg/sub-01_ses-eeg_task-rest"
    (run,) = dataset.runs(STUDY)
    assert run == Run("01", "rest", "eeg", (f"{stem}_eeg.vhdr",), "", events=f"{stem}_events.tsv", raw=True)
    assert dataset.problems(STUDY) == []


@pytest.mark.skipif(not SKELETONS.exists(), reason="real recordings are not here")
def test_a_real_data_set_of_both_kinds_asks_and_its_empty_files_are_refused_by_name(tmp_path):
    root = SKELETONS / "ds000117"
    bids._SCANS.clear()
    with pytest.raises(StudyError) as caught:
        Bids(root=str(root)).runs(STUDY)
    assert caught.value.problems[0].found == "func (18 files), meg (12 files)"
    copy = Tree(tmp_path / "bids")
    shutil.copytree(root, copy.root)
    for table in copy.root.rglob("*_events.tsv"):
        table.chmod(0o644)
        table.write_text(table.read_text().replace("stim_type", "trial_type"))
    runs = copy.runs(datatype="meg")
    assert len(runs) == 12 and {run.subject for run in runs} == {"01", "02"}
    with pytest.raises(StudyError) as caught:
        Meg().header(runs[0], copy.root)
    assert caught.value.problems[0].file == runs[0].responses[0]
