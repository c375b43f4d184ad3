"""BIDS data sets: runs by their entities, words wherever they are, repetitions by what was heard."""

import shutil
from pathlib import Path

import pytest
from laboratory import DATA
from pydantic import ValidationError

from pipeline.config import Study
from pipeline.datasets import Dataset, bids
from pipeline.datasets.bids import Bids
from pipeline.datasets.bidsfiles import parse, walk
from pipeline.problems import Problem, StudyError
from pipeline.runs import Run

STUDY = Path("study")
STORY = [(1.0, 0.5, "once"), (2.0, 0.5, "upon"), (3.5, 0.25, "a"), (4.0, 1.0, "time")]
OTHER = [(1.0, 0.5, "the"), (2.0, 0.5, "end")]


class Tree:
    """A BIDS data set of empty images, grown file by file."""

    def __init__(self, root: Path):
        self.root, self.derived = root, root / "derivatives" / "fmriprep"

    def file(self, path: str, text: str = "") -> Path:
        target = self.root / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text, encoding="utf-8")
        return target

    def run(self, subject: str, rest: str, session: str = "", events: str | None = None) -> str:
        """A raw image and its events; the stem of their names."""
        stem = f"sub-{subject}_" + (f"ses-{session}_" if session else "") + rest
        place = f"sub-{subject}/" + (f"ses-{session}/" if session else "") + f"func/{stem}"
        self.file(f"{place}_bold.nii.gz")
        if events is not None:
            self.file(f"{place}_events.tsv", events)
        return place

    def prepared(self, place: str, *names: str) -> None:
        for name in names:
            self.file(f"derivatives/fmriprep/{place}_{name}")

    def dataset(self, **settings: object) -> Bids:
        bids._SCANS.clear()  # a new process
        return Bids(root=str(self.root), **settings)

    def runs(self, **settings: object) -> list[Run]:
        return self.dataset(**settings).runs(STUDY)

    def told(self, **settings: object) -> dict[str, Problem]:
        try:
            problems = self.dataset(**settings).problems(STUDY)
        except StudyError as error:
            problems = list(error.problems)
        return {p.code: p for p in problems}


def spoken(words: list[tuple[float, float, str]], later: float = 0.0) -> str:
    rows = [f"{a + later:.4f}\t{d}\tword\t{w}\n" for a, d, w in words]
    return "onset\tduration\ttrial_type\tword\n0.1\t0.1\tcue\tn/a\n" + "".join(rows)


def types(rows: list[tuple[float, float, str]]) -> str:
    return "onset\tduration\ttrial_type\n" + "".join(f"{a}\t{d}\t{t}\n" for a, d, t in rows)


def started(stem: str, at: float) -> str:
    return f"onset\tduration\ttrial_type\tstim_file\n{at}\t60\tstory\t{stem}\n"


def plain(words: list[tuple[float, float, str]]) -> str:
    return "onset\tduration\tword\n" + "".join(f"{a}\t{d}\t{w}\n" for a, d, w in words)


@pytest.fixture
def tree(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Tree:
    monkeypatch.chdir(tmp_path)
    return Tree(tmp_path / "bids")


# -- names and places ---------------------------------------------------------------------------------------------


def test_a_name_is_read_by_its_pairs_and_suffix():
    file = parse("sub-01/func/sub-01_task-story_run-02_hemi-L_space-fsaverage5_bold.func.gii")
    assert file.entities == {"sub": "01", "task": "story", "run": "02", "hemi": "L", "space": "fsaverage5"}
    assert (file.suffix, file.ending, file.folder) == ("bold", ".func.gii", "sub-01/func")


@pytest.mark.parametrize(
    "name",
    ["sub-01_task-a_bold.nii.gz.bak", "sub-01_task_bold.nii.gz", "sub-01_sub-02_bold.nii.gz", "sub-01_task-a b_bold.nii.gz",
     "sub-01_task-a-b_bold.nii.gz", "notes.txt", "sub-01_task-a_bold (copy).nii.gz", "sub-01_task-a_.nii.gz"],
)  # fmt: skip
def test_a_name_that_only_looks_like_one_is_none(name):
    assert parse(name) is None


def test_only_the_places_of_functional_files_are_walked(tree):
    inside = {tree.run("01", "task-a"), tree.run("01", "task-a", session="1")}
    for folder in (
        "derivatives/x",
        "sourcedata",
        "code",
        ".git",
        "sub-01/anat",
        "sub-01/ses-1/meg",
        "sub-01/func/old",
        "stimuli",
    ):
        tree.file(f"{folder}/sub-01/func/sub-01_task-a_bold.nii.gz")
        tree.file(f"{folder}/sub-01_task-a_bold.nii.gz")
    assert {file.path.removesuffix("_bold.nii.gz") for file in walk(tree.root)} == inside


@pytest.mark.parametrize("folder", ["func_old", "functional", "meg2"])
def test_a_folder_whose_name_begins_like_one_of_bids_is_not_entered(tree, folder):
    tree.run("01", "task-story", events=spoken(STORY))
    tree.file(f"sub-01/{folder}/sub-01_task-tale_bold.nii.gz")
    assert [run.run for run in tree.runs()] == ["story"] and tree.told() == {}


# -- runs of people -----------------------------------------------------------------------------------------------


def test_sessions_and_people_without_sessions_live_side_by_side(tree):
    tree.run("01", "task-story", "a", spoken(STORY))
    tree.run("02", "task-story", events=spoken(STORY))
    found = {(run.subject, run.run): run.responses for run in tree.runs()}
    assert found == {
        ("01", "story"): ("sub-01/ses-a/func/sub-01_ses-a_task-story_bold.nii.gz",),
        ("02", "story"): ("sub-02/func/sub-02_task-story_bold.nii.gz",),
    }
    assert all(run.raw and run.recording == "fmri" for run in tree.runs())


def test_people_may_lack_runs_and_sessions(tree):
    for subject, session, number in [("01", "1", "01"), ("01", "2", "02"), ("02", "2", "02"), ("03", "1", "01")]:
        tree.run(subject, f"task-story_run-{number}", session, spoken(STORY if number == "01" else OTHER))
    assert [(r.subject, r.run) for r in tree.runs()] == [
        ("01", "storyrun1"), ("01", "storyrun2"), ("02", "storyrun2"), ("03", "storyrun1")
    ]  # fmt: skip
    assert [(r.subject, r.run) for r in tree.runs(session=["2"])] == [("01", "storyrun2"), ("02", "storyrun2")]


def test_runs_are_in_the_order_of_their_numbers(tree):
    for number in (10, 2, 1):
        tree.run("01", f"task-story_run-{number}", events=spoken([(1.0, 1.0, f"w{number}")]))
    assert [run.run for run in tree.runs()] == ["storyrun1", "storyrun2", "storyrun10"]


def test_tasks_are_chosen_by_label_and_those_without_words_are_told(tree):
    tree.run("01", "task-story", events=spoken(STORY))
    tree.run("01", "task-other", events=spoken(OTHER))
    tree.run("01", "task-rest")
    assert [run.run for run in tree.runs()] == ["other", "story"]
    assert "1 runs of task rest have neither words nor events" in tree.told()["W-DATA-51"].summary
    assert [run.run for run in tree.runs(task=["story"])] == ["story"] and tree.told(task=["story"]) == {}


@pytest.mark.parametrize("entity", ["echo-1", "part-phase"])
def test_echoes_and_parts_are_left_out_by_name(tree, entity):
    tree.run("01", f"task-story_{entity}", events=spoken(STORY))
    tree.run("01", "task-other", events=spoken(OTHER))
    problem = tree.told()["W-FMRI-14"]
    assert entity in problem.file and "not combined here" in problem.why
    assert [run.run for run in tree.runs()] == ["other"]


def test_a_file_in_somebody_elses_folder_is_left_out_by_name(tree):
    tree.run("01", "task-story", events=spoken(STORY))
    tree.file("sub-01/func/sub-02_task-story_bold.nii.gz")
    assert tree.told()["W-FMRI-14"].file == "sub-01/func/sub-02_task-story_bold.nii.gz"
    assert [run.subject for run in tree.runs()] == ["01"]


def test_an_image_that_is_there_twice_is_read_once_and_told(tree):
    place = tree.run("01", "task-story", events=spoken(STORY))
    tree.file(f"{place}_bold.nii")
    assert [run.responses for run in tree.runs()] == [(f"{place}_bold.nii",)]
    assert tree.told()["W-FMRI-14"].file == f"{place}_bold.nii.gz"


def test_links_whose_content_was_not_fetched_are_runs_all_the_same(tree):
    place = tree.run("01", "task-story", events=spoken(STORY))
    (tree.root / f"{place}_bold.nii.gz").unlink()
    (tree.root / f"{place}_bold.nii.gz").symlink_to("../.git/annex/objects/none")
    assert [run.run for run in tree.runs()] == ["story"]


def test_test_names_runs_or_tasks(tree):
    for task, words in (("a", STORY), ("b", OTHER)):
        tree.run("01", f"task-{task}_run-1", events=spoken(words))
    assert {r.run: r.split for r in tree.runs()} == {"arun1": "", "brun1": ""}
    assert {r.run: r.split for r in tree.runs(test=["b"])} == {"arun1": "train", "brun1": "test"}
    assert {r.run: r.split for r in tree.runs(test=["arun1"])} == {"arun1": "test", "brun1": "train"}
    problem = tree.told(test=["brun2"])["E-DATA-52"]
    assert problem.fix == "did you mean 'brun1'?"


# -- words --------------------------------------------------------------------------------------------------------


def test_words_stand_in_the_events(tree):
    place = tree.run("01", "task-story", events=spoken(STORY))
    assert [(r.words, r.events, r.start_s) for r in tree.runs()] == [(f"{place}_events.tsv", "", 0.0)]


def test_a_filled_column_of_words_is_enough(tree):
    place = tree.run("01", "task-story", events="onset\tduration\tword\n1\t1\tso\n")
    tree.run("01", "task-blocks", events="onset\tduration\ttrial_type\tword\n1\t1\tleft\tn/a\n")
    found = {run.run: (run.words, run.events) for run in tree.runs()}
    assert found["story"] == (f"{place}_events.tsv", "")
    assert found["blocks"] == ("", "sub-01/func/sub-01_task-blocks_events.tsv")


def test_events_at_the_top_serve_everybody_unless_somebody_has_others(tree):
    tree.run("01", "task-story")
    tree.run("02", "task-story", events=spoken(OTHER))
    tree.file("task-story_events.tsv", spoken(STORY))
    tree.file("task-storytelling_events.tsv", spoken(OTHER))
    found = {run.subject: run.words for run in tree.runs()}
    assert found == {"01": "task-story_events.tsv", "02": "sub-02/func/sub-02_task-story_events.tsv"}


@pytest.mark.parametrize("ending", [".TextGrid", ".tsv", ".json"])
def test_words_of_a_stimulus_file_start_when_it_does(tree, ending):
    tree.run("01", "task-story_run-1", events=started("audio/my-story_2.wav", 12.5))
    tree.file("stimuli/audio/my-story_2.wav")
    text = {
        ".tsv": plain(STORY),
        ".json": '{"words": [{"word": "so", "start": 1, "end": 2}]}',
        ".TextGrid": '"ooTextFile"\n"TextGrid"\n0 9\n<exists>\n1\n"IntervalTier" "words" 0 9 1\n1 2 "so"\n',
    }[ending]
    tree.file(f"stimuli/my-story_2{ending}", text)
    run = Run(
        "01", "mystory2", "fmri", ("sub-01/func/sub-01_task-story_run-1_bold.nii.gz",), f"stimuli/my-story_2{ending}",
        start_s=-12.5, audio="stimuli/audio/my-story_2.wav", raw=True,
    )  # fmt: skip
    assert tree.runs() == [run]
    assert tree.runs(offset_s=0.25) == [run._replace(start_s=-12.75)]


def test_a_sidecar_of_a_sound_is_no_table_of_words(tree):
    tree.run("01", "task-story", events=started("story.wav", 0))
    tree.file("stimuli/story.json", '{"Description": "a story"}')
    tree.file("stimuli/story.csv", "word,start,end\nso,1,2\n")
    assert [run.words for run in tree.runs()] == ["stimuli/story.csv"]
    assert "W-WORDS-15" in tree.told()


def test_several_stimuli_with_words_in_one_run_are_refused_by_name(tree):
    tree.run("01", "task-story", events=started("a.wav", 0) + "90\t60\tstory\tb.wav\n")
    tree.run("02", "task-story", events=started("a.wav", 0))
    for name in "ab":
        tree.file(f"stimuli/{name}.tsv", plain(STORY))
    problem = tree.told()["E-WORDS-11"]
    assert problem.subject == "01" and "['a.wav', 'b.wav']" in problem.found
    assert [run.subject for run in tree.runs()] == ["02"]  # other people go on


def test_a_pattern_says_where_words_are(tree):
    for subject in ("01", "02"):
        tree.run(subject, "task-story_run-01", "1", started("x.wav", 6.0))
        tree.file(f"aligned/{subject}-1-story-01.tsv", plain(STORY))
    tree.file("stimuli/story/align.csv", "So,so,1.0,2.0\n")
    own = tree.runs(words="aligned/{subject}-{session}-{task}-{run}.tsv")
    assert {(r.run, r.words, r.start_s) for r in own} == {("storyrun1", "aligned/01-1-story-01.tsv", 0.0)}
    shared = tree.runs(words="stimuli/{task}/align.csv")
    assert {(r.run, r.words, r.start_s) for r in shared} == {("storyrun1", "stimuli/story/align.csv", -6.0)}


def test_a_run_without_the_words_its_pattern_names_is_told(tree):
    tree.run("01", "task-story")
    tree.run("02", "task-rest")
    tree.file("stimuli/story.tsv", plain(STORY))
    problem = tree.told(words="stimuli/{task}.tsv")["W-WORDS-23"]
    assert (problem.subject, problem.file) == ("02", "stimuli/rest.tsv")
    assert "E-WORDS-23" in tree.told(words="stimuli/{task}.tsv", task=["story", "rest"])
    assert [run.subject for run in tree.runs(words="stimuli/{task}.tsv")] == ["01"]


@pytest.mark.parametrize("pattern", ["{person}.tsv", "/abs/{task}.tsv", "../{task}.tsv", "{task.__class__}.tsv"])
def test_a_pattern_names_only_what_is_known_and_below_root(pattern):
    with pytest.raises(ValidationError):
        Bids(root="x", words=pattern)


def test_events_without_words_are_the_stimulus(tree):
    place = tree.run("01", "task-blocks", events=types([(1, 2, "left"), (9, 2, "right")]))
    assert [(r.run, r.words, r.events) for r in tree.runs()] == [("blocks", "", f"{place}_events.tsv")]


def test_an_events_table_that_cannot_be_read_is_left_to_its_reader(tree):
    place = tree.run("01", "task-a", events="start\tduration\ttrial_type\n1\t1\tx\n")
    tree.run("02", "task-a", events=types([(1, 2, "left")]))
    assert tree.runs()[0].events == f"{place}_events.tsv"
    assert len({run.run for run in tree.runs()}) == 2


# -- one label is one stimulus ------------------------------------------------------------------------------------


def test_the_same_words_are_one_run_for_everybody(tree):
    tree.run("01", "task-story_run-1", events=spoken(STORY))
    tree.run("02", "task-tale_run-7", events=spoken(STORY, later=3.0))
    first, second = tree.runs()
    assert (first.run, second.run) == ("storyrun1", "storyrun1") and first.words == second.words
    assert (first.start_s, second.start_s) == (0.0, -3.0)  # the second heard it 3 s later on its scanner's clock


def test_a_byte_order_mark_and_windows_line_ends_make_no_other_stimulus(tree):
    tree.run("01", "task-story", events=spoken(STORY))
    place = tree.run("02", "task-story", events="")
    (tree.root / f"{place}_events.tsv").write_bytes(b"\xef\xbb\xbf" + spoken(STORY).replace("\n", "\r\n").encode())
    assert {run.run for run in tree.runs()} == {"story"}


def test_words_heard_again_are_presentations_of_one_run(tree):
    for session in ("1", "2", "10"):
        tree.run("01", "task-story", session, spoken(STORY, later=0.004 * int(session)))
    tree.run("01", "task-other", "2", spoken(OTHER))
    found = {run.run: run.responses for run in tree.runs()}
    assert found["story"] == tuple(
        f"sub-01/ses-{s}/func/sub-01_ses-{s}_task-story_bold.nii.gz" for s in ("1", "2", "10")
    )
    assert len(found) == 2


def test_a_presentation_that_starts_elsewhere_is_left_out_by_name(tree):
    tree.run("01", "task-story_run-1", events=spoken(STORY))
    place = tree.run("01", "task-story_run-2", events=spoken(STORY, later=4.0))
    problem = tree.told()["W-DATA-52"]
    assert problem.file == f"{place}_bold.nii.gz" and "4 s later" in problem.found
    assert [len(run.responses) for run in tree.runs()] == [1]


@pytest.mark.parametrize(("jitter", "n_labels"), [(0.009, 1), (0.05, 2)])
def test_times_agree_to_ten_milliseconds_or_the_stimulus_is_another(tree, jitter, n_labels):
    moved = [(a + jitter * (i == 3), d, w) for i, (a, d, w) in enumerate(STORY)]
    tree.run("01", "task-story", events=spoken(STORY))
    tree.run("02", "task-story", events=spoken(moved))
    assert len({run.run for run in tree.runs()}) == n_labels


def test_a_label_that_is_taken_by_another_text_gets_a_hash(tree):
    tree.run("01", "task-story", events=spoken(STORY))
    tree.run("02", "task-story", events=spoken(OTHER))
    first, second = [run.run for run in tree.runs()]
    assert first == "story" and second.startswith("story") and len(second) == len("story") + 6 and second.isalnum()


def test_long_names_of_stimuli_make_labels_of_fifty_characters(tree):
    for subject, words in (("01", STORY), ("02", OTHER)):
        stem = "a-very_long.name" * 6 + subject
        tree.run(subject, "task-story", events=started(f"{stem}.wav", 0))
        tree.file(f"stimuli/{stem}.tsv", plain(words))
    labels = [run.run for run in tree.runs()]
    assert len(set(labels)) == 2 and all(len(label) == 50 and label.isalnum() for label in labels)


def test_types_of_events_are_the_same_only_in_one_task_and_at_one_time(tree):
    blocks = [(10, 30, "Task"), (70, 30, "Task")]
    tree.run("01", "task-covert", "1", types(blocks))
    tree.run("01", "task-covert", "2", types(blocks))
    tree.run("01", "task-overt", "1", types(blocks))
    tree.run("01", "task-overt", "2", types([(a + 10, d, t) for a, d, t in blocks]))
    found = {run.run: len(run.responses) for run in tree.runs()}
    assert found.pop("covert") == 2 and found.pop("overt") == 1 and list(found.values()) == [1]


def test_labels_do_not_depend_on_who_is_asked_for(tree):
    tree.run("01", "task-story", events=spoken(OTHER))
    tree.run("02", "task-story", events=spoken(STORY))
    everybody, one = (
        Study.model_validate(
            {"study": "s", "dataset": {"kind": "bids", "root": str(tree.root)}, "subjects": subjects,
             "recordings": {"fmri": {"kind": "fmri"}}, "models": {"rate": {"kind": "wordrate"}}}
        ).plan(STUDY) for subjects in ("all", ["02"])
    )  # fmt: skip
    assert everybody.runs["02", "fmri"] == one.runs["02", "fmri"]


# -- fMRIPrep's derivatives ---------------------------------------------------------------------------------------

MNI = "space-MNI152NLin2009cAsym"
VOLUME = (f"{MNI}_res-2_desc-preproc_bold.nii.gz", f"{MNI}_res-2_desc-brain_mask.nii.gz")
SURFACE = ("hemi-L_space-fsaverage5_bold.func.gii", "hemi-R_space-fsaverage5_bold.func.gii")
CIFTI = ("space-fsLR_den-91k_bold.dtseries.nii",)
CONFOUNDS = "desc-confounds_timeseries.tsv"


@pytest.mark.parametrize(
    ("space", "image", "mask"),
    [
        ("MNI152NLin2009cAsym", VOLUME[0], VOLUME[1]),
        ("T1w", "space-T1w_desc-preproc_bold.nii.gz", ""),
        ("func", "desc-preproc_bold.nii.gz", ""),
        ("fsaverage5", SURFACE[0], ""),
        ("fsLR", CIFTI[0], ""),
    ],
)
def test_the_space_picks_volumes_surfaces_or_cifti(tree, space, image, mask):
    place = tree.run("01", "task-story", events=spoken(STORY))
    names = (*VOLUME, *SURFACE, *CIFTI, "space-T1w_desc-preproc_bold.nii.gz", "desc-preproc_bold.nii.gz", CONFOUNDS)
    tree.prepared(place, *names, "space-T1w_desc-smoothAROMAnonaggr_bold.nii.gz", "desc-hmc_boldref.nii.gz")
    (run,) = tree.runs(derivatives=str(tree.derived), space=space)
    prefix = f"derivatives/fmriprep/{place}_"
    assert run.responses == (prefix + image,) and run.mask == (prefix + mask if mask else "")
    assert run.confounds == (prefix + CONFOUNDS,) and run.space == ("" if space == "func" else space) and not run.raw


def test_a_right_hemisphere_alone_is_a_response(tree):
    tree.prepared(tree.run("01", "task-story", events=spoken(STORY)), SURFACE[1])
    assert tree.runs(derivatives=str(tree.derived))[0].responses[0].endswith("_hemi-R_space-fsaverage5_bold.func.gii")


@pytest.mark.parametrize(
    "name", ["space-fsaverage5_hemi-L_bold.func.gii", "hemi-L_space-fsaverage5_desc-preproc_bold.func.gii"]
)
def test_surfaces_are_known_by_their_entities_in_any_order(tree, name):
    tree.prepared(tree.run("01", "task-story", events=spoken(STORY)), name)
    assert tree.runs(derivatives=str(tree.derived))[0].responses[0].endswith(name)


def test_several_spaces_without_a_choice_are_listed(tree):
    for subject in ("01", "02"):
        tree.prepared(tree.run(subject, "task-story", events=spoken(STORY)), *VOLUME, *SURFACE)
    problem = tree.told(derivatives=str(tree.derived))["E-FMRI-14"]
    assert problem.field == "dataset.space" and "fsaverage5, surface (2 runs)" in problem.found
    assert (
        "MNI152NLin2009cAsym res 2, volume (2 runs)" in problem.found
        and "MNI152NLin2009cAsym, fsaverage5" in problem.fix
    )


def test_several_resolutions_of_one_space_are_told_apart_by_res(tree):
    place = tree.run("01", "task-story", events=spoken(STORY))
    tree.prepared(place, *VOLUME, f"{MNI}_desc-preproc_bold.nii.gz")
    settings = {"derivatives": str(tree.derived), "space": "MNI152NLin2009cAsym"}
    problem = tree.told(**settings)["E-FMRI-14"]
    assert problem.field == "dataset.res" and problem.fix == "set dataset.res to one of: 2, native"
    assert tree.runs(**settings, res="2")[0].responses[0].endswith("_res-2_desc-preproc_bold.nii.gz")
    assert tree.runs(**settings, res="native")[0].responses[0].endswith("Asym_desc-preproc_bold.nii.gz")


def test_people_whose_images_lie_in_different_spaces_are_never_mixed(tree):
    tree.prepared(tree.run("01", "task-story", events=spoken(STORY)), *VOLUME)
    tree.prepared(tree.run("02", "task-story", events=spoken(STORY)), "space-T1w_desc-preproc_bold.nii.gz")
    assert "E-FMRI-14" in tree.told(derivatives=str(tree.derived))


def test_a_space_that_is_not_there_is_told_with_those_that_are(tree):
    tree.prepared(tree.run("01", "task-story", events=spoken(STORY)), *VOLUME)
    problem = tree.told(derivatives=str(tree.derived), space="MNI152NLin6Asym")["E-FMRI-14"]
    assert "no image lies in the space" in problem.summary and "MNI152NLin2009cAsym" in problem.fix


def test_runs_without_derivatives_are_left_out_by_name(tree):
    tree.prepared(tree.run("01", "task-story", events=spoken(STORY)), *VOLUME)
    place = tree.run("02", "task-story", events=spoken(STORY))
    problem = tree.told(derivatives=str(tree.derived))["W-DATA-50"]
    assert problem.subject == "02" and place in problem.found
    assert [run.subject for run in tree.runs(derivatives=str(tree.derived))] == ["01"]


def test_a_run_number_with_and_without_zeros_is_the_same_run(tree):
    tree.run("01", "task-story_run-01", events=spoken(STORY))
    tree.prepared("sub-01/func/sub-01_task-story_run-1", *VOLUME, "desc-confounds_regressors.tsv")
    (run,) = tree.runs(derivatives=str(tree.derived))
    assert run.words == "sub-01/func/sub-01_task-story_run-01_events.tsv"
    assert run.confounds[0].endswith("run-1_desc-confounds_regressors.tsv")


def test_confounds_follow_their_presentations(tree):
    for session in ("1", "2"):
        tree.prepared(tree.run("01", "task-story", session, spoken(STORY)), *VOLUME, CONFOUNDS)
    (run,) = tree.runs(derivatives=str(tree.derived))
    assert (
        [name.split("/")[3] for name in run.confounds]
        == [name.split("/")[3] for name in run.responses]
        == ["ses-1", "ses-2"]
    )


def test_confounds_that_one_presentation_lacks_are_told(tree):
    for session, names in (("1", (*VOLUME, CONFOUNDS)), ("2", VOLUME)):
        tree.prepared(tree.run("01", "task-story", session, spoken(STORY)), *names)
    problem = tree.told(derivatives=str(tree.derived))["E-DATA-13"]
    assert problem.subject == "01" and "ses-2" in problem.found


def test_derivatives_may_lie_outside_the_data_set(tree, tmp_path):
    place = tree.run("01", "task-story", events=spoken(STORY))
    tree.prepared(place, *VOLUME)
    shutil.move(tree.derived, tmp_path / "prepared")
    for written in (str(tmp_path / "prepared"), "prepared"):  # absolute, or relative as `root` may be
        (run,) = tree.runs(derivatives=written)
        assert run.responses == (f"../prepared/{place}_{VOLUME[0]}",) and (tree.root / run.responses[0]).is_file()


def test_links_do_not_mislead_the_way_to_the_derivatives(tree, tmp_path):
    place = tree.run("01", "task-story", events=spoken(STORY))
    tree.prepared(place, *VOLUME)
    shutil.move(tree.derived, tmp_path / "prepared")
    (tmp_path / "far" / "away").mkdir(parents=True)
    shutil.move(tree.root, tmp_path / "far" / "away" / "bids")
    tree.root.symlink_to(tmp_path / "far" / "away" / "bids")
    (run,) = tree.runs(derivatives="prepared")
    assert (tree.root / run.responses[0]).is_file()


@pytest.mark.parametrize("wrong", ["derivatives", "derivatives/fmriprp", "nowhere/at/all"])
def test_a_wrong_derivatives_folder_says_what_was_looked_for(tree, wrong):
    tree.prepared(tree.run("01", "task-story", events=spoken(STORY)), *VOLUME)
    problem = tree.told(derivatives=f"bids/{wrong}")["E-FMRI-15"]
    assert "desc-preproc_bold.nii.gz" in problem.expected and wrong in problem.found
    assert "derivatives/fmriprep" in problem.fix or wrong.startswith("nowhere")


def test_a_wrong_root_says_so(tree):
    tree.run("01", "task-story", events=spoken(STORY))
    assert "E-DATA-02" in Tree(tree.root / "no").told()
    tree.file("extra/notes.txt")
    assert "['notes.txt']" in Tree(tree.root / "extra").told()["E-DATA-50"].found


def test_nothing_to_do_names_the_tasks_that_are_there(tree):
    tree.run("01", "task-story", "1", spoken(STORY))
    problem = tree.told(task=["stroy"])["E-DATA-51"]
    assert "['story']" in problem.found and "sessions ['1']" in problem.found


# -- fMRIPrep as a step -------------------------------------------------------------------------------------------

CONTAINER = {"container": "fmriprep.sif", "licence": "licence.txt"}


@pytest.mark.parametrize(
    ("output_space", "names"),
    [
        ("MNI152NLin2009cAsym:res-2", [*VOLUME, CONFOUNDS]),
        ("MNIPediatricAsym:cohort-1:res-1", ["space-MNIPediatricAsym_cohort-1_res-1_desc-preproc_bold.nii.gz",
                                             "space-MNIPediatricAsym_cohort-1_res-1_desc-brain_mask.nii.gz", CONFOUNDS]),
        ("T1w", ["space-T1w_desc-preproc_bold.nii.gz", "space-T1w_desc-brain_mask.nii.gz", CONFOUNDS]),
        ("func", ["desc-preproc_bold.nii.gz", "desc-brain_mask.nii.gz", CONFOUNDS]),
        ("fsaverage5", [*SURFACE, CONFOUNDS]),
        ("fsLR", [*CIFTI, CONFOUNDS]),
    ],
)  # fmt: skip
def test_what_fmriprep_will_make_is_named_beforehand(tree, output_space, names):
    place = tree.run("01", "task-story_run-01", "1", spoken(STORY))
    tree.run("02", "task-story_run-01", "1", spoken(STORY))
    settings = {"derivatives": "prepared", "fmriprep": CONTAINER | {"output_spaces": (output_space,)}}
    dataset = tree.dataset(**settings)
    made = [path.as_posix() for path in dataset.made_by_fmriprep(STUDY, "01")]
    assert made == [f"prepared/{place}_{name}" for name in names]
    assert dataset.problems(STUDY) == []
    run = dataset.runs(STUDY)[0]
    assert run.responses == (f"../prepared/{place}_{names[0]}",) and run.confounds == (
        f"../prepared/{place}_{CONFOUNDS}",
    )
    # made, they are found under the same names
    for name in names:
        (tree.root.parent / "prepared" / f"{place}_{name}").parent.mkdir(parents=True, exist_ok=True)
        (tree.root.parent / "prepared" / f"{place}_{name}").touch()
    assert tree.runs(**settings)[0] == run


def test_the_first_space_of_fmriprep_is_read_unless_another_is_chosen(tree):
    place = tree.run("01", "task-story", events=spoken(STORY))
    settings = {
        "derivatives": str(tree.derived),
        "fmriprep": CONTAINER | {"output_spaces": (MNI[6:], f"{MNI[6:]}:res-2", "T1w")},
    }
    native, t1w = f"{MNI}_desc-preproc_bold.nii.gz", "space-T1w_desc-preproc_bold.nii.gz"
    for _ in ("before", "after"):
        assert tree.runs(**settings)[0].responses[0].endswith(native)
        assert tree.runs(**settings, space=MNI[6:], res="2")[0].responses[0].endswith(VOLUME[0])
        assert tree.runs(**settings, space="T1w")[0].responses[0].endswith(t1w)
        tree.prepared(place, native, t1w, *VOLUME)


def test_predicted_names_are_those_of_a_real_tree():
    layout = DATA / "fmri_small" / "fmriprep_layout_ds054_outputs.txt"
    if not layout.exists():
        pytest.skip("real recordings are not here")
    real = set(layout.read_text().split())
    from pipeline.datasets.bidsruns import Image, files_of, predicted

    raw = Image({"sub": "100185"}, "sub-100185/func/sub-100185_task-machinegame_run-01_bold.nii.gz", "volume")
    for space in ("MNI152NLin2009cAsym:res-2", "T1w", "func"):
        assert set(files_of(predicted(raw, space, None))) <= real


def test_echoes_become_one_image_in_fmriprep(tree):
    for echo in (1, 2):
        tree.run("01", f"task-story_echo-{echo}")
    tree.file("task-story_events.tsv", spoken(STORY))
    dataset = tree.dataset(derivatives="prepared", fmriprep=CONTAINER)
    assert dataset.made_by_fmriprep(STUDY, "01")[0].name == f"sub-01_task-story_{VOLUME[0]}"


def test_nothing_is_expected_from_fmriprep_unless_it_is_set(tree):
    tree.prepared(tree.run("01", "task-story", events=spoken(STORY)), *VOLUME)
    assert tree.dataset(derivatives=str(tree.derived)).made_by_fmriprep(STUDY, "01") == []
    with pytest.raises(ValidationError, match="derivatives"):
        Bids(root="x", fmriprep=CONTAINER)


# -- the table of runs --------------------------------------------------------------------------------------------


def test_the_table_says_what_the_data_set_says(tree):
    for session in ("1", "2"):
        tree.prepared(tree.run("01", "task-story", session, spoken(STORY, later=1 / 3)), *VOLUME, CONFOUNDS)
    tree.prepared(tree.run("02", "task-story", events=spoken(STORY, later=1.23456)), *VOLUME)
    tree.prepared(tree.run("02", "task-blocks", events=types([(1, 1, "left")])), *VOLUME)
    dataset = tree.dataset(derivatives=str(tree.derived), test=["blocks"])
    seen = dataset.runs(STUDY)
    dataset.refresh(STUDY)
    bids._SCANS.clear()
    shutil.move(tree.root / "sub-01", tree.root / "gone")  # a job reads the table and walks nothing
    assert dataset.runs(STUDY) == seen and len(seen) == 3


def test_a_table_of_other_settings_is_not_believed(tree):
    tree.run("01", "task-story", events=spoken(STORY))
    tree.run("01", "task-other", events=spoken(OTHER))
    tree.dataset().refresh(STUDY)
    assert [run.run for run in tree.runs(task=["story"])] == ["story"]


def test_a_table_that_somebody_changed_is_not_believed(tree):
    tree.run("01", "task-story", events=spoken(STORY))
    tree.dataset().refresh(STUDY)
    table = STUDY / "runs.tsv"
    table.write_text(table.read_text().replace("story", "tale"))
    assert [run.run for run in tree.runs()] == ["story"]


def test_the_table_is_written_only_when_the_data_set_changed(tree):
    tree.run("01", "task-story", events=spoken(STORY))
    tree.dataset().refresh(STUDY)
    before = (STUDY / "runs.tsv").stat().st_ino
    tree.dataset().refresh(STUDY)
    assert (STUDY / "runs.tsv").stat().st_ino == before
    tree.run("02", "task-story", events=spoken(STORY))
    dataset = tree.dataset()
    dataset.refresh(STUDY)
    assert [run.subject for run in dataset.runs(STUDY)] == ["01", "02"]


def test_the_table_holds_no_place_of_this_machine(tree, tmp_path, monkeypatch):
    tree.prepared(tree.run("01", "task-story", events=spoken(STORY)), *VOLUME, CONFOUNDS)
    monkeypatch.setenv("LAB", str(tree.root))
    settings = {"root": "${LAB}", "derivatives": "${LAB}/derivatives/fmriprep"}
    Bids(**settings).refresh(STUDY)
    shutil.copytree(tree.root, tmp_path / "elsewhere" / "copy")
    monkeypatch.setenv("LAB", str(tmp_path / "elsewhere" / "copy"))
    Bids(**settings).refresh(tmp_path / "another" / "study")
    for name in ("runs.tsv", ".records/runs.tsv.json"):
        text = (STUDY / name).read_text()
        assert text == (tmp_path / "another" / "study" / name).read_text() and str(tmp_path) not in text


def test_other_data_sets_have_nothing_to_refresh(laboratory):
    dataset = Study.from_yaml(laboratory.study).dataset
    assert isinstance(dataset, Dataset) and dataset.refresh(laboratory.root / "out") is None
    assert not (laboratory.root / "out").exists()


def test_targets_lie_beside_the_people(tree):
    tree.run("01", "task-story", events=spoken(STORY))
    assert tree.dataset().targets(STUDY) is None
    tree.file("targets.tsv", "target\troi\nv1\tIFG\n")
    assert tree.dataset().targets(STUDY)["roi"].tolist() == ["IFG"]


def test_planning_takes_seconds_for_a_thousand_runs(tree):
    """A fiftieth of them here; every table holds 300 words and no two are the same bytes."""
    import time

    tree.run("01", "task-warm", events=types([(1, 1, "up")]))
    tree.dataset().refresh(Path("warm"))  # libraries are imported once
    for number in range(10):
        for subject in ("01", "02"):
            words = [(i + 0.0001 * int(subject), 0.5, f"w{i * number % 97}") for i in range(300)]
            tree.run(subject, f"task-story_run-{number}", events=spoken(words))
    start = time.perf_counter()
    tree.dataset().refresh(STUDY)
    assert len(tree.runs()) == 21
    assert time.perf_counter() - start < 5 * 10 / 50  # five times its share of 10 s: the machine may be busy


# -- real trees ---------------------------------------------------------------------------------------------------

SKELETONS = DATA / "bids_skeletons"
real = pytest.mark.skipif(not SKELETONS.exists(), reason="real recordings are not here")


@real
def test_ds114_has_five_tasks_of_ten_people_in_two_sessions():
    runs = Bids(root=str(SKELETONS / "ds114")).runs(STUDY)
    assert sum(len(run.responses) for run in runs) == 100 and {run.subject for run in runs} == {
        f"{i:02d}" for i in range(1, 11)
    }
    finger = [run for run in runs if run.run == "fingerfootlips"]
    assert len(finger) == 10 and all(len(run.responses) == 2 for run in finger)
    assert {run.events for run in finger} == {"task-fingerfootlips_events.tsv"}
    # everybody pressed at times of their own: no line bisection is that of another
    assert len({run.run for run in runs if run.run.startswith("linebisection")}) == 20


@real
def test_ds000001_fmriprep_has_three_spaces_to_choose_from(tmp_path):
    raw = Tree(tmp_path / "raw")
    for number in (1, 2, 3):
        raw.run("10", f"task-balloonanalogrisktask_run-0{number}", events=types([(number, 1, "pumps"), (9, 1, "cash")]))
    derived = str(SKELETONS / "ds000001-fmriprep")
    problem = raw.told(derivatives=derived)["E-FMRI-14"]
    assert problem.fix == "set dataset.space to one of: MNI152NLin2009cAsym, fsaverage5, fsnative"
    volumes, surfaces = (raw.runs(derivatives=derived, space=s) for s in ("MNI152NLin2009cAsym", "fsaverage5"))
    assert len(volumes) == len(surfaces) == 3
    assert all("hemi-L" in run.responses[0] and not run.mask and run.confounds for run in surfaces)
    assert all((raw.root / name).is_file() for run in volumes for name in (*run.responses, run.mask, *run.confounds))


@real
def test_a_data_set_whose_events_have_no_types_says_what_is_missing():
    with pytest.raises(StudyError) as caught:
        Bids(root=str(SKELETONS / "ds000117"), datatype="func").runs(STUDY)
    codes = {p.code: p for p in caught.value.problems}
    assert "facerecognition" in codes["E-DATA-51"].found and "trial_type" in codes["W-DATA-51"].expected


@pytest.mark.parametrize(
    ("written", "meant"), [("story", ["story"]), ("task-story", ["story"]), (["a", "b"], ["a", "b"])]
)
def test_one_label_may_stand_for_a_list_of_one(written, meant):
    assert Bids(root="x", task=written).dump()["task"] == meant
