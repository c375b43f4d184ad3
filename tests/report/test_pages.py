"""What a reader may trust a page to say, and what must never reach one."""

import html
import re
from html.parser import HTMLParser

import numpy as np
import pandas as pd
import pytest

from pipeline.problems import Problem
from pipeline.report import (
    Fits,
    IndexEntry,
    Networks,
    UsedRun,
    group_page,
    index_page,
    subject_light,
    subject_page,
    subject_sentence,
)

from . import examples, meg_examples

PAYLOADS = (
    "<script>alert(1)</script>",
    "\"><img src=x onerror=alert(1)>'",
    "{{7*7}} {% raw %} ${7*7}",
    "</style></title><svg onload=alert(1)>",
    "&lt;b&gt; &amp; ]]> -->",
)


OUR_TAGS = set(
    [
        "html",
        "head",
        "meta",
        "title",
        "style",
        "body",
        "a",
        "div",
        "strong",
        "nav",
        "ul",
        "li",
        "main",
        "header",
        "h1",
        "h2",
        "h3",
        "h4",
        "p",
        "span",
        "section",
        "table",
        "caption",
        "thead",
        "tbody",
        "tr",
        "th",
        "td",
        "figure",
        "figcaption",
        "img",
        "details",
        "summary",
        "dl",
        "dt",
        "dd",
        "pre",
        "code",
        "footer",
        "article",
    ]
)


class Seen(HTMLParser):
    """What a browser makes of a page."""

    def __init__(self, page: str):
        super().__init__()
        self.tags, self.attributes, self.text = set(), set(), ""
        self.feed(page)

    def handle_starttag(self, tag, attrs):
        self.tags.add(tag)
        self.attributes |= {name for name, _ in attrs}

    def handle_data(self, data):
        self.text += data


@pytest.fixture(scope="module")
def drawn():
    return subject_page(examples.page(examples.part(aligned=[examples.aligned()])))


def text_of(page: str) -> str:
    """What a reader sees: no markup, entities as their characters."""
    body = re.sub(r"<style>.*?</style>", "", page, flags=re.S)
    return re.sub(r"\s+", " ", html.unescape(re.sub(r"<[^>]+>", " ", body)))


def hostile_subject(bad: str):
    families = {f"{bad} twin": f"{bad} kind", "gpt2untrained": "random"}
    layers = examples.layers(
        rois=("all", bad),
        n_layers=3,
        seeds=(0,),
        controls=(bad,),
        models=(bad,),
        twin_families=families,
        steps=(bad, "1"),
    )
    layers["ceiling_kind"] = bad
    layers["chosen"] = bad
    comparison = examples.comparison(rois=("all", bad)).assign(a=bad, b=f"{bad} twin", layer_a=bad, unit=bad, test=bad)
    run = examples.aligned()._replace(run=bad, signal_name=bad)
    part = examples.part(
        label=bad,
        kind=bad,
        used=[UsedRun(bad, bad, 1, 1, 1, 1, 1, 1)],
        layers=layers,
        comparison=comparison,
        aligned=[run._replace(words=[bad] * len(run.words))],
        fits=[Fits(bad, 0.5)],
        notes=[bad],
        interval_unit=bad,
    )
    noted = part._replace(ceiling_note=bad)
    sensed = meg_examples.hostile(bad)._replace(layers=layers, comparison=comparison, used=[], fits=[])
    records = {
        "command": bad,
        "versions": {bad: bad},
        "inputs": {bad: bad},
        "settings": {bad: [bad, {bad: bad}]},
        bad: bad,
    }
    problem = Problem(f"W-{bad}-01", *[bad] * 9)
    networks = [Networks(bad, f"{bad} kind", {bad: 1.0, "1": 3.0}, 2.0, (bad, "1")), Networks(bad, bad, {}, 0.0)]
    return examples.page(
        part, noted, sensed, study=bad, subject=bad, warnings=[problem], provenance=records, settings_yaml=bad, tool_version=bad,
        networks=networks,
    )  # fmt: skip


def hostile_group(bad: str):
    page, subject = examples.group(3), hostile_subject(bad)
    part = page.recordings[0]._replace(
        label=bad,
        kind=bad,
        layers=subject.recordings[0].layers,
        comparison=subject.recordings[0].comparison,
        subjects={f"{bad}{i}": subject.recordings[0].layers for i in range(3)},
        latencies=subject.recordings[2].meg.latencies,
        clusters=subject.recordings[2].meg.clusters,
        notes=[bad],
        interval_unit=bad,
        ceiling_note=bad,
    )
    who = {"asked": [bad], "used": [], "excluded": {bad: bad}, "links": {bad: bad}}
    kept = ("study", "warnings", "provenance", "settings_yaml", "tool_version", "networks")
    rest = {key: getattr(subject, key) for key in kept}
    return page._replace(recordings=[part], **who, **rest)


def hostile_index(bad: str):
    warnings = [Problem(f"E-{bad}-01", *[bad] * 9)]
    return examples.index()._replace(
        study=bad, entries=[IndexEntry(bad, bad, bad)], warnings=warnings, tool_version=bad
    )


@pytest.mark.parametrize(
    "section", ["result", "rec0-used", "rec0-alignment", "rec0-profile", "rec0-scores", "rec0-comparisons"]
)
def test_a_subject_page_has_every_section_and_a_link_to_it(drawn, section):
    assert drawn.count(f'id="{section}"') == 1
    assert f'href="#{section}"' in drawn


def test_every_place_the_contents_lead_to_exists_once(drawn):
    places = re.findall(r'href="#([^"]+)"', drawn)
    assert len(places) >= 12
    assert all(drawn.count(f'id="{place}"') == 1 for place in places)


@pytest.mark.parametrize("payload", PAYLOADS)
@pytest.mark.parametrize(
    "make",
    [
        lambda bad: subject_page(hostile_subject(bad)),
        lambda bad: group_page(hostile_group(bad)),
        lambda bad: index_page(hostile_index(bad)),
    ],
)
def test_hostile_text_in_any_field_comes_out_as_text(undrawn, make, payload):
    page = make(payload)
    seen = Seen(page)
    assert seen.tags <= OUR_TAGS
    assert not [name for name in seen.attributes if name.startswith("on")]
    assert payload in seen.text


def test_hostile_text_is_drawn_and_never_read_as_mathematics():
    page = subject_page(hostile_subject(r"$\frac{1}{$ _x \n 狐狸 <script>" + "long" * 40))
    assert "could not be drawn" not in page
    assert page.count("data:image/png") == 17


def test_without_a_valid_ceiling_the_page_never_speaks_of_a_share_of_it(undrawn):
    page = subject_page(examples.page(examples.without_ceiling()))
    assert "% of ceiling" not in text_of(page).replace("\u00a0", " ")
    assert "no valid noise ceiling is available (each run was presented once" in text_of(page)


@pytest.mark.parametrize("change", [{"ceiling_note": "too noisy"}, {"n_ceiling_valid": 0}])
def test_fractions_in_the_table_do_not_make_a_ceiling_valid(undrawn, change):
    page = subject_page(examples.page(examples.part(**change)))
    assert "% of ceiling" not in text_of(page).replace("\u00a0", " ")
    assert "ceiling, repeats 0" not in page


def test_with_a_valid_ceiling_the_share_and_its_reach_are_told():
    sentence = subject_sentence(examples.page())
    assert re.search(r"gpt2 scores r = 0\.1\d\d \[0\.\d{3}, 0\.\d{3}\] \(layer \d, chosen on inner folds\)", sentence)
    assert re.search(r"\d\d\u00a0% of ceiling \(0\.205; repeats; valid in 4810 of 5012 targets\)", sentence)
    assert re.search(r"random twins gpt2untrained 0\.\d+ on average, 0\.\d+ to 0\.\d+ over 5 seeds", sentence)
    assert "best of 5 controls: surprisal 0.060" in sentence


def test_a_control_that_beats_the_model_is_said_to():
    layers = examples.layers(level=0.02)
    assert "surprisal 0.060 [0.046, 0.074], no lower than gpt2" in subject_sentence(
        examples.page(examples.part(layers=layers))
    )


def test_the_best_layer_of_the_scores_on_show_never_stands_for_a_model():
    layers = examples.layers()
    without = layers[~((layers["model"] == "gpt2") & (layers["layer"] == "nested"))]
    assert "gpt2 has no score (n/a)" in subject_sentence(examples.page(examples.part(layers=without)))


@pytest.mark.parametrize(
    "make", [lambda: subject_page(examples.page(leaky=True)), lambda: group_page(examples.group(3, leaky=True))]
)
def test_a_leaky_split_is_on_the_page_and_in_every_figure_and_result(undrawn, make):
    page = make()
    captions = re.findall(r"<figcaption>(.*?)</figcaption>", page, re.S)
    results = re.findall(r'<p class="result">(.*?)</p>', page, re.S)
    assert 'class="leaky" role="alert"' in page and "light red" in page
    assert captions and all(caption.startswith("LEAKY SPLIT") for caption in captions)
    assert results and all(result.startswith("LEAKY SPLIT") for result in results)


def test_an_honest_split_has_no_banner(drawn):
    assert "LEAKY" not in drawn


def test_a_page_asks_nothing_of_the_network_and_runs_nothing(drawn):
    assert not re.findall(r"https?://", drawn)
    assert "<script" not in drawn and "javascript:" not in drawn and "@import" not in drawn and "url(" not in drawn
    assert set(re.findall(r'\ssrc="([^"]{0,15})', drawn)) == {"data:image/png;"}
    assert "default-src 'none'; img-src data:; style-src 'unsafe-inline'" in drawn


def test_the_same_data_give_the_same_bytes_and_a_small_page(drawn):
    assert subject_page(examples.page(examples.part(aligned=[examples.aligned()]))) == drawn
    assert len(drawn.encode()) < 2_000_000


def test_every_figure_says_in_words_what_is_seen_with_its_numbers(drawn):
    alts = [html.unescape(alt) for alt in re.findall(r'<img [^>]*alt="([^"]*)"', drawn)]
    assert len(alts) == 3
    assert re.search(r"peaks at r = 0\.\d{3}, lag \+\d\.\d s: inside 3 to 8 s", alts[0])
    assert re.search(
        r"Region all \(.*?targets.*?\): trained gpt2 0\.\d{3} at layer 0, .* highest 0\.\d{3} .* at the chosen layer",
        alts[1],
    )
    assert all(figure.count("<figcaption>") == 1 for figure in drawn.split("<figure>")[1:])


def test_a_negative_r_is_shown_as_negative(undrawn):
    layers = examples.layers(rois=("all",)).assign(r=-0.0314, r_low=-0.05, r_high=-0.01)
    page = examples.page(examples.part(layers=layers))
    assert "r = −0.031 [−0.050, −0.010]" in subject_sentence(page)
    assert "−0.031 [−0.050, −0.010]" in text_of(subject_page(page))


def test_what_is_missing_is_never_0(undrawn):
    layers = examples.layers(rois=("all",), controls=()).assign(
        r=np.nan, r_low=np.nan, r_high=np.nan, r2=np.nan, n_flat=np.nan
    )
    page = subject_page(examples.page(examples.part(layers=layers)))
    scores = page[page.index('id="rec0-scores"') : page.index('id="rec0-comparisons"')]
    assert "n/a [no interval]" in scores
    assert not re.search(r'<td class="num">0(\.0+)?</td>', scores)
    assert "gpt2 has no score (n/a)" in text_of(page)
    assert subject_light(examples.page(examples.part(layers=layers)))[0] == "red"


@pytest.mark.parametrize("column", ["seed", "layer", "weights"])
def test_a_table_read_back_from_a_file_gives_the_same_page(undrawn, tmp_path, column):
    layers = examples.layers(rois=("all",))
    layers.to_csv(tmp_path / "layers.tsv", sep="\t", index=False, na_rep="n/a")
    read = pd.read_csv(tmp_path / "layers.tsv", sep="\t")
    assert column in read
    assert subject_page(examples.page(examples.part(layers=read))) == subject_page(
        examples.page(examples.part(layers=layers))
    )


@pytest.mark.parametrize(
    "change",
    [
        {"layers": pd.DataFrame(), "comparison": pd.DataFrame()},
        {"layers": examples.layers(seeds=(), controls=(), rois=("IFG",))},
        {"layers": examples.layers(n_layers=1, seeds=(0,))},
        {"layers": examples.layers(rois=("all",)).assign(r=np.nan, r_low=np.nan, r_high=np.nan)},
        {"layers": examples.layers(rois=("all",)).query("weights == ''"), "fits": [Fits("x", float("nan"))]},
        {"used": [], "aligned": [], "notes": [], "fits": [], "interval_unit": "", "n_targets": 0},
        {"aligned": [examples.aligned()._replace(onsets=np.array([]), durations=np.array([]), words=[])]},
        {
            "aligned": [
                examples.aligned()._replace(xcorr=np.full(21, np.nan), signal=np.full(280, np.nan), expected_s=None)
            ]
        },
        {"aligned": [examples.aligned(seconds=30.0, tr_s=0.05)]},
    ],
)
def test_what_is_absent_breaks_no_figure_and_no_page(change):
    part = examples.part(**({"layers": examples.layers(rois=("all",)), "aligned": []} | change))
    page = subject_page(examples.page(part))
    assert "could not be drawn" not in page
    assert 'id="provenance"' in page


def test_a_figure_that_fails_tells_why_and_the_page_goes_on():
    run = examples.aligned()._replace(signal=np.zeros(3))
    page = subject_page(examples.page(examples.part(layers=examples.layers(rois=("all",)), aligned=[run])))
    assert "This figure could not be drawn." in page and "ValueError" in page
    assert 'id="provenance"' in page and "data:image/png" in page


def test_a_response_that_comes_too_late_turns_the_light_amber():
    late = examples.page(examples.part(aligned=[examples.aligned(delay_s=12.0)]), warnings=[])
    assert subject_light(late) == ("amber", "alignment to check in 1 run")
    assert subject_light(late._replace(recordings=[examples.part()])) == ("green", "no warnings")


def test_folders_of_this_machine_do_not_travel_with_a_page(undrawn):
    problem = Problem(
        "E-DATA-01", "cannot read /home/jane doe/secret/run-1.nii.gz", file="file:///srv/lab7/data/words.tsv"
    )
    made = examples.page(
        warnings=[problem],
        settings_yaml="root: /scratch/jdoe/data/raw\n",
        provenance={"inputs": {"/Users/jane/x/a.nc": "00"}},
    )
    page = subject_page(made)
    assert not re.search(r"jane|jdoe|lab7|scratch", page)
    assert "words.tsv" in page and "run-1.nii.gz" in page


def test_a_link_leads_nowhere_but_into_the_study():
    good = IndexEntry("good", "pages/sub-01.html", "")
    bad = [
        IndexEntry("bad", href, "")
        for href in ("javascript:alert(1)", "//evil.example/x", "../up.html", "http://x.y", "/etc/x")
    ]
    page = index_page(examples.index()._replace(entries=[good, *bad], warnings=[]))
    assert re.findall(r'<a href="([^#"][^"]*)"', page) == ["pages/sub-01.html"]


def test_below_three_subjects_nothing_is_inferred(undrawn):
    page = text_of(group_page(examples.group(2)))
    assert "Group inference is refused: N = 2 subjects, and at least 3 are needed" in page
    tables = page[page.index("Comparisons, fmri, N = 2 subjects") : page.index("Each subject's own scores")]
    assert " q " not in tables and "0.001" not in tables and "[" not in tables


def test_a_group_page_says_how_many_and_why_not_all(undrawn):
    page = text_of(group_page(examples.group(8)))
    assert "Subjects, N = 8 used of 9 asked for" in page
    assert "excluded: E-FMRI-04: run 2 ends before its words do" in page
    assert all("N = 8 subjects" in c for c in re.findall(r"Layer profile, [^.]*\.", page))


def test_an_index_leads_to_every_page_with_its_result():
    page = index_page(examples.index())
    assert 'href="group.html"' in page and 'href="sub-EN057.html"' in page
    assert page.count("gpt2 scores r = ") == 2


def test_a_ceiling_of_fewer_targets_than_the_scores_is_never_drawn_without_saying_so(undrawn):
    every = examples.layers(rois=("all",))
    page = subject_page(examples.page(examples.part(layers=every.assign(n_ceiling=every["n_targets"] - 1))))
    assert re.search(r"Region all \(\d+ targets; ceiling: \d+ of them\)", page)
    assert "The ceiling is the mean over the targets where it is valid, scores are means over all" in page
    same = subject_page(examples.page(examples.part(layers=every.assign(n_ceiling=every["n_targets"]))))
    assert "ceiling is the mean over the targets" not in same and "of them)" not in same


def test_of_several_people_the_targets_with_a_ceiling_are_told_as_their_mean(undrawn):
    made = examples.group()
    part = made.recordings[0]
    fewer = part._replace(layers=part.layers.assign(n_ceiling=part.layers["n_targets"] - 0.5))
    page = group_page(made._replace(recordings=[fewer]))
    assert re.search(r"Region \w+ \(\d+ targets; ceiling: \d+\.5 of them on average\)", page)
