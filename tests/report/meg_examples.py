"""Made-up MEG that looks like real ones, and a way to look at its pages: `python -m tests.report.meg_examples FOLDER`."""

import sys
from functools import cache
from pathlib import Path

import numpy as np
import pandas as pd
from scipy.signal import lfilter

from pipeline.report import (
    ChannelScores,
    GroupPart,
    MegPart,
    RecordingPart,
    SensedRun,
    UsedRun,
    group_page,
    subject_page,
)
from pipeline.sensors import Sensors

from . import examples

_HEAD = np.array([0, 0, 0.045, *[0] * 9])  # m from the helmet's origin up to the head's
TIMES = np.round(np.arange(-0.5, 1.001, 0.02), 3)
KINDS = {"mag": "all", "grad": "all"}
STEPS = (
    ("maxwell", False, "no calibration and cross_talk given"),
    ("notch", True, "50 Hz (line frequency of the file)"),
    ("band-pass", True, "0.1 to 40 Hz (FIR, zero phase)"),
    ("artifacts", True, "ICA: 2 of 41 components follow EOG 061 (r .71, .44); 1 follows ECG"),
    ("resample", True, "1000 to 100 Hz"),
)


@cache
def vectorview(every: int = 1) -> Sensors:
    """Real places of a Vectorview helmet, every so-maniest chip."""
    import mne

    info = mne.channels.read_meg_canonical_info("neuromag", verbose="ERROR")
    info = mne.pick_info(info, mne.pick_types(info, meg=True))
    kept = [i for i in range(len(info["chs"])) if (i // 3) % every == 0]
    kinds = info.get_channel_types()
    return Sensors(
        tuple(info["ch_names"][i].replace(" ", "") for i in kept),
        tuple(kinds[i] for i in kept),
        np.array([info["chs"][i]["loc"] for i in kept], float) + _HEAD,
        tuple(TIMES.tolist()),
    )


def course(times=TIMES, early=0.03, late=0.055, floor=0.004) -> np.ndarray:
    """Scores with a bump at 150 and one at 400 ms."""
    return floor + early * np.exp(-(((times - 0.15) / 0.05) ** 2)) + late * np.exp(-(((times - 0.4) / 0.13) ** 2))


def latencies(kinds=("all", "mag", "grad"), n_layers=7, seeds=(0, 1, 2), times=TIMES, controls=("wordrate",), ceiling=True, model="gpt2", intervals=True) -> pd.DataFrame:  # fmt: skip
    """As `sub-S_recording-C_latencies.tsv`: nested for all, every layer of what stands for a model."""
    rng, rows = np.random.default_rng(0), []

    def add(kind, label, weights, seed, layer, r):
        half = 0.012 if intervals else np.nan
        common = {"subject": "EN057", "recording": "meg", "model": label, "weights": weights, "seed": seed, "step": "", "layer": layer, "kind": kind}  # fmt: skip
        top = 2.1 * course(times) + 0.02 if ceiling else np.full(len(times), np.nan)
        ends = {"r": r, "r_low": r - half, "r_high": r + half, "n_channels": 300, "n_parts": 5, "ceiling": top}
        rows.append(pd.DataFrame(common | {"latency": times} | ends))

    for kind in kinds:
        gain = {"all": 1.0, "mag": 1.1, "grad": 0.9}.get(kind, 1.0)
        for i in range(n_layers):
            r = gain * course(times, late=0.02 + 0.04 * np.sin(np.pi * (i + 1) / (n_layers + 1)))
            add(kind, model, "trained", "", str(i), r + rng.normal(0, 0.002, len(times)))
            add(kind, "gpt2untrained", "random", "mean", str(i), gain * course(times, late=0.012) - 0.002)
        add(kind, model, "trained", "", "nested", gain * course(times))
        for seed in seeds:
            add(kind, "gpt2untrained", "random", str(seed), "nested", gain * course(times, late=0.012 + 0.004 * seed))
        add(kind, "gpt2untrained", "random", "mean", "nested", gain * course(times, late=0.016))
        for control in controls:
            add(kind, control, "", "", "nested", gain * course(times, early=0.026, late=0.003))
    return pd.concat(rows, ignore_index=True)


def peaks(kinds=("all", "mag", "grad"), model="gpt2") -> pd.DataFrame:
    rows = [{"model": model, "weights": "trained", "layer": "nested", "kind": k, "peak_s": 0.4, "low_s": 0.36, "high_s": 0.44, "r": 0.059, "n_parts": 5} for k in kinds]  # fmt: skip
    return pd.DataFrame(rows)


def clusters(sensors=None, p=0.012, model="gpt2", smallest_p=0.002) -> pd.DataFrame:
    sensors = sensors or vectorview()
    left = [n for n, k, at in zip(sensors.names, sensors.kinds, sensors.loc, strict=True) if at[0] < -0.03 and k == "mag"]  # fmt: skip
    common = {
        "layer": "nested",
        "unit": "folds",
        "n_units": 10,
        "smallest_p": smallest_p,
        "mass": 812.0,
        "n_clusters": 3,
    }
    return pd.DataFrame(
        [
            common | {"a": model, "b": "", "kind": "mag", "start_s": 0.24, "end_s": 0.58, "peak_s": 0.4, "n_channels": len(left), "channels": ",".join(left), "p": p},
            common | {"a": model, "b": "gpt2untrained", "kind": "mag", "start_s": 0.3, "end_s": 0.5, "peak_s": 0.42, "n_channels": 8, "channels": ",".join(left[:8]), "p": p},
            common | {"a": model, "b": "wordrate", "kind": "grad", "start_s": 0.3, "end_s": 0.5, "peak_s": 0.42, "n_channels": 8, "channels": "", "p": 0.3},
        ]
    )  # fmt: skip


def passive(model="gpt2", times=TIMES) -> pd.DataFrame:
    r = 0.28 + 0.3 * np.exp(-((times / 0.25) ** 2))
    told = {"model": model, "passive": "static", "latency": times, "r": r, "r_low": r - 0.02, "r_high": r + 0.02}
    return pd.DataFrame(told | {"brain_r": course(times)})


def beside(model="gpt2", controls="wordrate,duration") -> pd.DataFrame:
    rows = [("all", 0.081, 0.049), ("postonset", 0.094, 0.051), ("preonset", 0.032, 0.034)]
    columns = {"subject": "EN057", "recording": "meg", "model": model, "layer": "7", "controls": controls}
    return pd.DataFrame(
        columns | {"roi": roi, "n_targets": 500, "of_targets": 5012, "r_joint": joint, "r_controls": alone, "adds": joint - alone,
                   "low": joint - alone - 0.01, "high": joint - alone + 0.01, "n_parts": 5}
        for roi, joint, alone in rows
    )  # fmt: skip


def summary(run="1", triggers=True, digitised=True, form="epochs", **facts) -> dict:
    bads = {"named": ["MEG2443"], "flat": ["MEG0112"], "nan": [], "noisy": ["MEG1732", "MEG2211"]}
    epochs = {"n_words": 1510, "n_kept": 1402, "n_outside": 3, "n_annotated": 74, "n_rejected": 31, "n_unmarked": 0, "by_channel": {"MEG0121": 22, "MEG1411": 9}}  # fmt: skip
    matched = {"n_triggers": 1512, "n_words": 1510, "n_matched": 1509, "n_extra": 3, "n_missing": 1, "slope_ppm": 11.4, "offset_s": 12.31, "jitter_median_ms": 0.8, "jitter_max_ms": 2.9}  # fmt: skip
    told = {
        "file": f"sub-EN057/meg/sub-EN057_run-{run}_meg.fif", "sfreq_hz": 1000.0, "duration_s": 612.4, "n_channels": 306, "kinds": {"mag": 102, "grad": 204},
        "steps": [{"step": s, "done": d, "told": t} for s, d, t in STEPS], "bads": bads, "annotated_s": 31.2, "nan_samples": 0,
        "triggers": (triggers if isinstance(triggers, dict) else matched) if triggers else None, "epochs": epochs if form == "epochs" else None,
    }  # fmt: skip
    why = "" if digitised else "the file has no digitisation"
    return {"kind": "meg", "form": form, "picks": ["meg"], "digitised": digitised, "why_no_places": why, "presentations": [told | facts]}  # fmt: skip


def sensed(run="1", sensors=None, response=12.0, seed=0, triggers=True, **changes) -> SensedRun:
    """A run whose evoked response is `response` times the noise; 0 for none."""
    sensors = sensors or vectorview()
    rng, n = np.random.default_rng(seed), len(sensors.names)
    size = np.array([40.0 if k == "mag" else 12.0 for k in sensors.kinds])
    hz = np.arange(0, 131.0, 1.0)
    shape = size[:, None] ** 2 / (1 + hz) ** 1.2 * rng.lognormal(0, 0.4, (n, 1)) * rng.lognormal(0, 0.1, (n, len(hz)))
    before = shape * (1 + 60 * np.exp(-(((hz - 50) / 0.7) ** 2)) + 3 * np.exp(-(((hz - 10) / 2) ** 2)))
    after = np.where(hz > 60, np.nan, before / (1 + (hz / 41) ** 40) / (1 + 60 * np.exp(-(((hz - 50) / 0.7) ** 2))))
    noise = lfilter([1], [1, -0.9], rng.normal(size=(8, len(TIMES) + 200)), axis=1)[:, 200:]
    mixed = rng.normal(size=(n, 8)) @ noise
    wave = np.exp(-(((TIMES - 0.13) / 0.035) ** 2)) - 0.6 * np.exp(-(((TIMES - 0.23) / 0.05) ** 2))
    pattern = np.nan_to_num(sensors.loc[:, 0] / 0.1) * rng.normal(1, 0.2, n)
    evoked = (mixed / mixed.std() + response * pattern[:, None] * wave) * size[:, None] / 40
    bad = np.isin(sensors.names, ["MEG2443", "MEG0112", "MEG1732", "MEG2211"])
    evoked[bad], after[bad] = np.nan, np.nan
    jitter = rng.normal(0, 0.0009, 1509) if triggers else None
    made = SensedRun(run, summary(run, triggers), sensors, hz, before, after, evoked, TIMES, jitter)
    return made._replace(**changes)


def scores(sensors=None, model="gpt2", seed=0) -> ChannelScores:
    """A left temporal answer."""
    sensors = sensors or vectorview()
    rng = np.random.default_rng(seed)
    near = np.exp(-(((sensors.loc[:, 0] + 0.08) / 0.06) ** 2) - ((sensors.loc[:, 1] - 0.01) / 0.06) ** 2)
    r = 1.8 * np.nan_to_num(near)[:, None] * course() + rng.normal(0, 0.004, (len(near), len(TIMES)))
    r[np.isin(sensors.names, ["MEG2443", "MEG0112"])] = np.nan
    return ChannelScores(model, r)


def meg(sensors=None, **changes) -> MegPart:
    sensors = sensors or vectorview()
    runs = [sensed(str(i), sensors, seed=i, triggers=i > 1, response=12.0 * (i != 2)) for i in (1, 2, 3)]
    made = MegPart(runs, sensors, latencies(), peaks(), clusters(sensors), passive(), [scores(sensors)], beside())
    return made._replace(**changes)


def part(**changes) -> RecordingPart:
    used = [UsedRun(str(i), "", 1510, float("nan"), 612.4, 1510, 3, 1) for i in (1, 2, 3)]
    layers = examples.layers(recording="meg", rois=("all", "preonset", "postonset", "mag", "grad"))
    made = RecordingPart(
        label="meg", kind="meg", used=used, layers=layers, comparison=examples.comparison(recording="meg", rois=("all", "postonset"), unit="blocks of 10 words"),
        fits=[examples.fits("gpt2", 0.021)], n_ceiling_valid=4810, n_targets=5012, interval_unit="blocks of 10 words of the tested runs", meg=meg(),
    )  # fmt: skip
    return made._replace(**changes)


def bare() -> RecordingPart:
    """Little was saved: no places, no triggers, no spectra, two folds."""
    sensors = Sensors(("E1", "E2"), ("eeg", "eeg"), np.full((2, 12), np.nan))
    told = summary(
        triggers=False, digitised=False, form="continuous", kinds={"eeg": 2}, n_channels=2, steps=[], bads={}
    )
    return part(meg=MegPart([SensedRun("1", told, sensors)], sensors))


def hostile(bad: str) -> RecordingPart:
    """Everything that a file, a channel or a table may name is `bad`."""
    small = vectorview(12)
    names = tuple(f"{bad}{i}" for i in range(len(small.names)))
    sensors = small._replace(names=names, kinds=(*small.kinds[:-1], bad))
    told = summary(
        steps=[{"step": bad, "done": False, "told": bad}],
        file=f"{bad}.fif",
        kinds={bad: 3},
        bads={bad: [bad], "flat": [names[0]]},
    )
    told["presentations"][0]["epochs"]["by_channel"] = {bad: 3}
    told["why_no_places"] = bad
    run = sensed(bad, small)._replace(summary=told, sensors=sensors)
    rows = clusters(vectorview(12), model=bad).assign(b=bad, unit=bad, channels=bad, layer="nested")
    other = MegPart(
        [run],
        sensors,
        latencies(model=bad, kinds=("all", bad)).replace({"wordrate": bad}),
        peaks(kinds=("all", bad), model=bad),
        rows,
        passive(bad).assign(passive=bad),
        [scores(small, bad)],
        beside(bad, bad).assign(roi=bad, layer=bad),
    )
    return part(label=bad, kind=bad, meg=other)


def group_part(n=4) -> GroupPart:
    page = examples.group(n)
    one = clusters(vectorview(6)).assign(unit="subjects", n_units=n, smallest_p=2.0 ** (1 - n))
    return page.recordings[0]._replace(label="meg", kind="meg", latencies=latencies(kinds=("all", "mag")), clusters=one)


def main(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    pages = {
        "meg.html": subject_page(examples.page(part())),
        "bare.html": subject_page(examples.page(bare())),
        "group_meg.html": group_page(examples.group(4)._replace(recordings=[group_part()])),
    }
    for file, text in pages.items():
        (folder / file).write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
