"""Made-up studies that look like real ones, and a way to look at their pages: `python -m tests.report.examples FOLDER`."""

import sys
import warnings
from collections.abc import Callable
from pathlib import Path

import matplotlib.style
import numpy as np
import pandas as pd
import xarray as xr
from matplotlib.figure import Figure
from scipy.signal import lfilter
from scipy.stats import gamma

from pipeline.aligning import align, together
from pipeline.problems import Problem
from pipeline.report import (
    AlignedRun,
    Fits,
    GroupPage,
    GroupPart,
    IndexEntry,
    IndexPage,
    LagScan,
    Networks,
    QualityPart,
    RecordingPart,
    SubjectPage,
    UsedRun,
    figures,
    group_light,
    group_page,
    group_sentence,
    index_page,
    subject_light,
    subject_page,
    subject_sentence,
)
from pipeline.runs import Run

CONTROLS = {"wordrate": 0.031, "position": 0.036, "oasm": 0.0, "static": 0.058, "surprisal": 0.06}
ROIS = {
    "all": (5012, 1.0),
    "IFG": (310, 1.5),
    "AntTemp": (420, 1.9),
    "PostTemp": (515, 1.7),
    "AngG": (260, 0.9),
    "V1": (300, -0.1),
}
FEW = ("all", "IFG", "V1")
GROUP_ROIS = ("all", "IFG", "AntTemp")
TWINS = {"gpt2untrained": "random"}
FAMILIES = {
    "gpt2untrained": "random",
    "gpt2shuffled": "shuffled",
    "gpt2spectrum": "spectrum",
    "gpt2words": "shuffledwords",
}
STEPS = tuple(f"step{n:06d}" for n in (0, 1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1000, 2000, 4000, 8000, 16000, 143000))
LN_V = float(np.log(50257))
_STORY = (
    "once when i was six years old i saw a magnificent picture in a book about the primeval forest called true stories "
    "it showed a boa constrictor swallowing a wild beast here is a copy of the drawing"
)
TEXT = _STORY.split()


def layers(
    subject="EN057",
    recording="fmri",
    rois=FEW,
    n_layers=13,
    seeds=(0, 1, 2, 3, 4),
    controls=tuple(CONTROLS),
    ceiling=True,
    models=("gpt2",),
    level=0.1,
    seed=0,
    twin_families=TWINS,
    steps=(),
) -> pd.DataFrame:
    """A `layers.tsv` with a hump over layers (for each step, the last one like a model without), flat twins, and controls."""
    rng, rows = np.random.default_rng(seed), []
    for roi in rois:
        n_targets, gain = ROIS.get(roi, (100, 1.0))

        def row(
            model, weights, seed, layer, r, chosen="", half=0.014, gain=gain, roi=roi, n_targets=n_targets, step=""
        ):
            top = 0.205 * max(gain, 0.4) if ceiling else np.nan
            common = {"subject": subject, "recording": recording, "model": model, "weights": weights, "seed": seed}
            scores = {"r": r, "r_low": r - half, "r_high": r + half, "r2": r * abs(r) - 0.002, "ceiling": top}
            kind = {"ceiling_kind": "repeats" if ceiling else "", "fraction": r / top, "n_missing": 12, "n_flat": 0}
            place = {"layer": layer, "roi": roi, "n_targets": n_targets}
            rows.append(common | place | scores | kind | {"chosen": chosen, "step": step})

        depth = np.arange(n_layers) / max(n_layers - 1, 1)
        for i, model in enumerate(models):
            whole = gain * (level * (0.5 + 0.7 * np.sin(np.pi * depth**0.9)) - 0.012 * i)
            for k, step in enumerate(steps or ("",)):
                share = 0.4 + 0.6 * (1 + k) / max(len(steps), 1) if steps else 1.0
                curve = share * whole + rng.normal(0, 0.002, n_layers)
                best = int(np.argmax(curve))
                for layer, r in enumerate(curve):
                    row(model, "trained", "", str(layer), r, step=step)
                row(model, "trained", "", "nested", curve[best] - 0.001, chosen=str(best), step=step)
        for i, (label, weights) in enumerate(twin_families.items() if len(seeds) else ()):
            flat = gain * (0.045 + 0.008 * i + 0.01 * np.exp(-np.arange(n_layers) / 3))
            twins = np.array([flat + rng.normal(0, 0.004, n_layers) for _ in seeds])
            for s, curve in zip(seeds, twins, strict=True):
                for layer, r in enumerate(curve):
                    row(label, weights, str(s), str(layer), r)
                row(label, weights, str(s), "nested", curve[0], chosen="0")
            for layer, r in enumerate(twins.mean(0)):
                row(label, weights, "mean", str(layer), r)
            row(label, weights, "mean", "nested", twins[:, 0].mean())
        for control in controls:
            r = CONTROLS.get(control, 0.02) * gain
            row(control, "", "", "0", r)
            row(control, "", "", "nested", r, chosen="0")
    return pd.DataFrame(rows)


def comparison(
    subject="EN057",
    recording="fmri",
    rois=FEW,
    unit="blocks of 10 volumes",
    n=94,
    twin_families=TWINS,
    n_seeds=5,
    n_below=5,
    n_above_all=None,
) -> pd.DataFrame:
    """A `comparison.tsv`: gpt2 against each family of twins, `n_below` of whose seeds lie below it, and a control."""
    rows = []
    for roi in rois:
        gain = ROIS.get(roi, (100, 1.0))[1]
        for b, r_b in ({label: 0.05 for label in twin_families} | {"wordrate": 0.031}).items():
            difference = gain * (0.12 - r_b)
            ends = {"difference": difference, "low": difference - 0.016, "high": difference + 0.016}
            sides = {"a": "gpt2", "b": b, "layer_a": "7", "layer_b": "0", "r_a": gain * 0.12, "r_b": gain * r_b}
            test = {"p": 0.0005 if gain > 0 else 0.41, "q": 0.0009 if gain > 0 else 0.41, "unit": unit, "n_units": n}
            rank = {"percentile": 100 * n_below / n_seeds, "n_seeds": n_seeds, "n_above_all": n_above_all}
            rank |= {"seed_low": r_b - 0.006, "seed_high": r_b + 0.007} if n_seeds > 1 else {}
            rows.append(
                {"subject": subject, "recording": recording, "roi": roi, "test": "block permutation"}
                | sides
                | ends
                | test
                | (rank if b in twin_families else {})
            )
    return pd.DataFrame(rows)


def networks(steps=(), families=TWINS, seeds=5, stray=None, trained=3.4) -> list[Networks]:
    """Losses of gpt2 (at each step of its training) and of its twins; `stray` is that of the last random seed."""
    falling = np.linspace(LN_V, trained, max(len(steps), 1))
    own = dict(zip(steps, falling, strict=True)) if steps else {"trained": trained}
    found = [Networks("gpt2", "trained", own, LN_V, tuple(steps))]
    level = {"random": 1.002, "shuffled": 1.4, "spectrum": 1.1, "shuffledwords": 0.6}
    for label, weights in families.items():
        loss = {"trained": trained} | {f"seed{s}": LN_V * level[weights] + 0.01 * s for s in range(seeds)}
        loss |= {f"seed{seeds - 1}": stray} if stray and weights == "random" else {}
        found.append(Networks(label, weights, loss, LN_V))
    return found


def aligned(run="1", seconds=560.0, tr_s=2.0, delay_s=5.0, seed=0, expected_s=(3.0, 8.0)) -> AlignedRun:
    """A run whose response follows the words by `delay_s`."""
    rng = np.random.default_rng(seed)
    onsets = (
        np.cumsum(
            rng.gamma(2.0, 0.17, int(seconds * 2.5)) + (rng.random(int(seconds * 2.5)) < 0.08) * rng.gamma(3, 0.6)
        )
        + 0.4
    )
    onsets = onsets[onsets < seconds - 1]
    durations = np.minimum(np.diff(onsets, append=seconds), 0.35) * 0.9
    times = np.arange(0, seconds, tr_s)
    rate = np.histogram(onsets, np.append(times, seconds))[0].astype(float)
    signal = np.interp(times - delay_s, times, rate - rate.mean()) + rng.normal(0, 2.0, len(times))
    signal = (signal - signal.mean()) / signal.std()
    steps = np.arange(-int(20 / tr_s), int(20 / tr_s) + 1)
    z = (rate - rate.mean()) / rate.std()
    xcorr = np.array(
        [np.mean(z[max(0, -k) : len(z) - max(0, k)] * signal[max(0, k) : len(z) + min(0, k)]) for k in steps]
    )
    words = [TEXT[i % len(TEXT)] for i in range(len(onsets))]
    return AlignedRun(
        run,
        onsets,
        durations,
        words,
        times,
        tr_s,
        rate,
        signal,
        "mean of AntTemp and PostTemp",
        steps * tr_s,
        xcorr,
        expected_s,
    )


def drawn(build: Callable[[], Figure]) -> Figure:
    """A figure in the style of the pages, drawn; a warning is an error."""
    with matplotlib.style.context(["default", figures._STYLE]), warnings.catch_warnings():
        warnings.simplefilter("error")
        figure = build()
        figure.canvas.draw()
    return figure


def judged(
    run="1", n=240, tr_s=2.0, shift_s=0.0, effect=0.5, seed=0, roi=False, sound=False, censored=(), text="snippet"
):
    """A run as the check makes it: 24 of 120 targets answer to the words, whose onsets are `shift_s` too late."""
    ds, words, answers = answering(n, tr_s, shift_s=shift_s, effect=effect, seed=seed)
    ds["censored"] = ("sample", np.isin(np.arange(n), censored).astype(np.uint8))
    inside = np.histogram(words["onset"], np.arange(n + 1) * tr_s)[0]
    heard = inside * (1 + 0.3 * np.random.default_rng(seed).normal(size=n)) if sound else None
    told = Run("01", run, "fmri", (f"{run}.npy",), f"{run}.tsv")
    region = {"roi": answers, "roi_name": "auditory cortex"} if roi else {}
    return align(told, ds, words, (3.0, 8.0), text, envelope=heard, **region)


def answering(
    n, tr_s, *, shift_s=0.0, effect=0.5, seed=0, n_targets=120
) -> tuple[xr.Dataset, pd.DataFrame, np.ndarray]:
    """A recording of which a fifth of the targets answers to words in bursts, the words, and which targets do.

    The answer is the canonical double gamma; the noise has memory from
    sample to sample, of each target's own and of six sources that all share.
    """
    rng, length = np.random.default_rng(seed), n * tr_s
    many = int(4 * length)
    onsets = np.cumsum(rng.gamma(2.0, 0.17, many) + (rng.random(many) < 0.06) * rng.gamma(3, 0.8, many))
    onsets = onsets[onsets < length - 1]
    fine, t = np.arange(0, length, 0.1), np.arange(0, 30, 0.1)
    answer = np.convolve(np.histogram(onsets, np.append(fine, length))[0], gamma.pdf(t, 6) - gamma.pdf(t, 16) / 6)
    bold = np.interp((np.arange(n) + 0.5) * tr_s, fine, answer[: len(fine)])
    shared = _remembering(rng, n, 6, 0.7) @ rng.normal(size=(6, n_targets)) * 0.5
    Y = _remembering(rng, n, n_targets, 0.5) + shared
    answers = np.arange(n_targets) < n_targets // 5
    Y = Y / Y.std(axis=0) + effect * answers * ((bold - bold.mean()) / bold.std())[:, None]
    words = [TEXT[i % len(TEXT)] for i in range(len(onsets))]
    table = pd.DataFrame({"onset": onsets + shift_s, "duration": 0.2, "word": words})
    times = {"time": ("sample", np.arange(n) * tr_s)}
    return (
        xr.Dataset({"responses": (("sample", "target"), Y.astype(np.float32))}, times, {"tr_s": tr_s}),
        table,
        answers,
    )


def _remembering(rng, n, columns, memory):
    return lfilter([1], [1, -memory], rng.normal(size=(n + 50, columns)), axis=0)[50:]


def measured(run="1", n=282, tr_s=2.0, seed=0, repeats=1, **changes) -> QualityPart:
    """The quality of a run in which the head jumps twice."""
    rng = np.random.default_rng(seed)
    steps = rng.normal(0, [0.012, 0.02, 0.03, 0.02, 0.015, 0.01], (n, 6))
    steps[n // 3], steps[n // 3 + n // 7] = [0.5, 0.2, 0.6, 0.4, 0.1, 0.2], [-0.4, -0.2, -0.3, 0.1, 0.3, 0.1]
    fd = np.abs(np.vstack([np.zeros(6), steps[1:]]) * np.array([1, 1, 1, 0.87, 0.87, 0.87])).sum(axis=1)
    left_out = fd > 0.5
    carpet = rng.normal(0, 0.6, (300, n)) + np.where(np.arange(300) < 150, 0.8, 0.3)[:, None] * np.sin(np.arange(n) / 9)
    carpet[:, left_out] += 2
    made = QualityPart(
        run=run, tr_s=tr_s, n_volumes=n, route="raw images", fd_mean=float(fd.mean()), fd_max=float(fd.max()),
        fd_share=float((fd > 0.5).mean()), dvars_median=1.31, tsnr_median=61.2, df_left=236, n_confounds=24,
        censored={"moved more than 0.5 mm": int(left_out.sum()), "first volumes": 0}, dropped={"constant": 14, "holds missing values": 3},
        limits=["Raw images: no slice-timing correction, no distortion correction; fMRIPrep is recommended."],
        fd=np.stack([fd] * repeats), dvars=np.stack([1.2 + 0.1 * rng.normal(size=n) + left_out] * repeats),
        motion=np.cumsum(steps, axis=0), carpet=carpet, tsnr=rng.gamma(9, 7, 5000), left_out=left_out,
    )  # fmt: skip
    return made._replace(**changes)


def scanned(peak_s=4.0, clear=True, **changes) -> LagScan:
    """Scores over lags with their highest at `peak_s`."""
    lags_s = np.arange(-20.0, 21, 2)
    r = 0.11 * np.exp(-(((lags_s - peak_s) / 4) ** 2)) + 0.004 * np.cos(lags_s)
    half = 0.02 if clear else 0.2
    return LagScan("gpt2", "7", "all", lags_s, r, r - half, r + half, unit="blocks of 10 volumes")._replace(**changes)


def fits(model: str, edge_share: float, **changes) -> Fits:
    alphas = np.geomspace(1, 1e8, 17)
    share = np.exp(-((np.arange(17) - 9) ** 2) / 12)
    share[-1] = 0
    share *= (1 - edge_share) / share.sum()
    share[-1] = edge_share
    made = Fits(model, edge_share, tuple(alphas), tuple(share), n_samples=846, n_columns=3072)
    return made._replace(**changes)


def part(**changes) -> RecordingPart:
    used = [
        UsedRun(str(i), "test" if i == 3 else "train", 282, 2.0, 564.0, 1530 + i, 2 if i == 2 else 0, 1)
        for i in (1, 2, 3)
    ]
    made = RecordingPart(
        label="fmri",
        kind="fmri",
        used=used,
        layers=layers(),
        comparison=comparison(),
        aligned=[aligned(str(i), seed=i) for i in (1, 2, 3)],
        fits=[fits("gpt2", 0.021), fits("gpt2untrained", 0.034), fits("oasm", 0.41)],
        n_ceiling_valid=4810,
        n_targets=5012,
        notes=["The first 3 volumes of each run were left out: words there have no past to be predicted from."],
        interval_unit="blocks of 10 volumes of the test runs",
    )
    return made._replace(**changes)


def without_ceiling(**changes) -> RecordingPart:
    note = "each run was presented once, and only one subject heard it"
    return part(layers=layers(ceiling=False), ceiling_note=note, n_ceiling_valid=0)._replace(**changes)


WARNINGS = (
    Problem(
        code="W-WORDS-03",
        summary="2 words start after the end of the run; they were left out",
        file="littleprince/run-2_words.tsv",
        field="onset",
        found="571.2 s, 573.0 s",
        expected="below 564.0 s",
        fix="cut the table, or check that the onsets count from the first volume",
        subject="EN057",
    ),
    Problem("W-SPLIT-01", "only 3 runs: intervals are wide", expected="5 runs or more", fix="add runs"),
)
PROVENANCE = {
    "command": "brainalign run configs/littleprince.yaml --subject EN057",
    "versions": {"brainalign": "0.1.0", "numpy": "2.4.6", "torch": "2.13.0", "python": "3.11.9"},
    "settings": {
        "encoding": {"alphas": [1.0, 1e8, 17], "split": "leave_one_run_out", "version": 1},
        "comparison": {"fdr": 0.05},
    },
    "inputs": {"words/run-1_words.tsv": "9f2c" * 16, "sub-EN057/run-1_recording.nc": "03ab" * 16},
    "seed": 0,
}
SETTINGS = 'study: littleprince\nsubjects: ["EN057"]\nencoding: {alphas: [1, 1.0e+8, 17], split: leave_one_run_out}\n'


def page(*parts: RecordingPart, **changes) -> SubjectPage:
    made = SubjectPage("littleprince", "EN057", parts or (part(),), WARNINGS, PROVENANCE, SETTINGS, False, "0.1.0")
    return made._replace(**changes)


def group(n=8, steps=(), twin_families=TWINS, **changes) -> GroupPage:
    names = [f"EN{57 + i:03d}" for i in range(n)]
    rng = np.random.default_rng(3)
    tables = {
        s: layers(s, level=0.1 + rng.normal(0, 0.02), seed=i, rois=GROUP_ROIS, steps=steps, twin_families=twin_families)
        for i, s in enumerate(names)
    }
    both = pd.concat(tables.values())
    keys = ["recording", "model", "weights", "seed", "step", "layer", "roi", "ceiling_kind"]
    numbers = ["n_targets", "r", "r2", "ceiling", "fraction", "n_missing", "n_flat"]
    grouped = both.groupby(keys, sort=False)
    half = 2.36 * grouped["r"].std() / np.sqrt(n)
    mean = grouped[numbers].mean().assign(r_low=lambda t: t["r"] - half, r_high=lambda t: t["r"] + half)
    mean = mean.assign(chosen=grouped["chosen"].agg(lambda c: ", ".join(sorted(set(c) - {""})))).reset_index()
    contrasts = comparison("", "fmri", GROUP_ROIS, "subjects", n, twin_families, n_above_all=n - 1)
    recording = GroupPart("fmri", "fmri", mean, contrasts, tables)
    made = GroupPage(
        study="littleprince",
        asked=[*names, "EN099"],
        used=names,
        excluded={"EN099": "E-FMRI-04: run 2 ends before its words do"},
        recordings=[recording],
        links={s: f"sub-{s}.html" for s in names},
        warnings=WARNINGS,
        provenance=PROVENANCE,
        settings_yaml=SETTINGS,
        tool_version="0.1.0",
    )
    return made._replace(**changes)


def index(*pages: SubjectPage, **changes) -> IndexPage:
    entries = [IndexEntry("Group", "group.html", group_sentence(group()), group_light(group())[0])]
    entries += [
        IndexEntry(f"sub-{p.subject}", f"sub-{p.subject}.html", subject_sentence(p), subject_light(p)[0])
        for p in pages or (page(),)
    ]
    return IndexPage("littleprince", entries, WARNINGS[1:], False, "0.1.0")._replace(**changes)


def main(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    sparse = without_ceiling(
        label="items",
        kind="items",
        layers=layers(rois=("all",), n_layers=1, seeds=(), controls=("wordrate",), ceiling=False),
        comparison=comparison().iloc[:0],
        aligned=(),
        fits=[],
    )
    twice = part(
        layers=layers(models=("gpt2", "llama"), ceiling=False),
        ceiling_note="one presentation",
        aligned=[aligned(delay_s=12.0)],
    )
    families = part(
        layers=layers(rois=tuple(ROIS), twin_families=FAMILIES),
        comparison=comparison(twin_families=FAMILIES, n_below=4),
    )
    training = part(layers=layers(rois=(*ROIS, "PCC", "dmPFC"), steps=STEPS), comparison=comparison())
    off = [judged(str(i), seed=i, shift_s=20.0 * (i == 2), sound=i == 0) for i in range(4)]
    checked = part(
        aligned=off, together=together(off), quality=[measured(str(i), seed=i) for i in range(3)], lag_scans=[scanned()]
    )
    pages = {
        "clock.html": subject_page(page(checked)),
        "sub.html": subject_page(page(part(layers=layers(rois=tuple(ROIS)), comparison=comparison(rois=tuple(ROIS))))),
        "twins.html": subject_page(page(families, networks=networks(families=FAMILIES, stray=8.9))),
        "training.html": subject_page(page(training, networks=networks(STEPS))),
        "sparse.html": subject_page(page(sparse, twice)),
        "leaky.html": subject_page(page(leaky=True)),
        "group.html": group_page(group()),
        "trained.html": group_page(group(steps=STEPS, networks=networks(STEPS))),
        "pair.html": group_page(group(2)),
        "index.html": index_page(index()),
    }
    for file, text in pages.items():
        (folder / file).write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
