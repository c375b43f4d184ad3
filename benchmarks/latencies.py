"""Every channel at every latency: 8,000 training words in five runs, 306 channels x 131 latencies, 12 layers x 768 features, one test run.

The recordings and activations are written first, as the workflow writes them;
then the stage `encode` runs in a process of its own, as a rule would call it.
The yardstick is the product of the training features with all targets, in this process, which any ridge needs at least once for each layer.
Memory is the growth of RssAnon from the start on.
"""

import json
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import watch
from common import Goal, digits, hidden, parser, report, skipped, threads

WORDS, RUNS, CHANNELS, LATENCIES, LAYERS, FEATURES = 9600, 6, 306, 131, 12, 768
WINDOW = (-0.3, 1.0)
GOALS = (
    Goal("12 layers of every channel at every latency: minutes", "minutes", at_most=3),
    Goal("their peak memory, GiB", "gib", at_most=4),
)


def main() -> int:
    options = parser(__doc__, reps=1)
    options.add_argument("--settings", help=hidden())
    options.add_argument("--folder", type=Path, help=hidden())
    chosen = options.parse_args()
    threads(chosen.threads)
    if chosen.settings:
        return encode(chosen.folder, chosen.settings)
    if not watch.supported():
        return skipped("memory is read from /proc, which this system does not have")
    with tempfile.TemporaryDirectory() as folder:
        settings = make(Path(folder), chosen.scale)
        command = [sys.executable, __file__, "--threads", str(chosen.threads), "--folder", folder]
        command += ["--settings", settings]
        start = time.perf_counter()
        peak = watch.peaks(command)
        seconds = time.perf_counter() - start
    fields = {
        "workload": f"{WORDS - WORDS // RUNS} words, {CHANNELS // chosen.scale} x {LATENCIES} targets, {LAYERS} x {FEATURES}",
        "minutes": digits(seconds / 60),
        "gib": digits(peak["anonymous"] / 2**10),
        "least_products": digits(seconds / (LAYERS * product(chosen.scale))),
    }
    return report(fields, GOALS, chosen.scale)


def encode(folder: Path, settings: str) -> int:
    """The stage, as its rule calls it."""
    from pipeline import stages
    from pipeline.jobs import Job
    from pipeline.layout import Layout

    job = Job(Layout(folder / "out"), json.loads(settings), subject="01", recording="meg", model="network")
    watch.watched(lambda: stages.encode(job))
    return 0


def product(scale: int) -> float:
    """s of X'Y once, on the training words of a fold."""
    rng, rows = np.random.default_rng(0), WORDS - WORDS // RUNS
    X = rng.standard_normal((rows, FEATURES), np.float32)
    Y = rng.standard_normal((rows, CHANNELS // scale * LATENCIES), np.float32)
    X.T @ Y[:, :1000]
    start = time.perf_counter()
    X.T @ Y
    return time.perf_counter() - start


def make(folder: Path, scale: int) -> str:
    """Noise beside features, in the files of a study; the settings of the stage."""
    import xarray as xr

    from pipeline import arrays
    from pipeline.config import Study
    from pipeline.layout import Layout
    from pipeline.sensors import Sensors, placed

    rng, n = np.random.default_rng(0), WORDS // RUNS
    out, lab = Layout(folder / "out"), folder / "lab"
    lab.mkdir()
    rows = ["subject\trun\trecording\tresponses\twords\tsplit"]
    rows += [f"01\tr{i}\tmeg\tr{i}.fif\tr{i}.tsv\t{'train' if i else 'test'}" for i in range(RUNS)]
    (lab / "runs.tsv").write_text("\n".join(rows) + "\n")
    for i in range(RUNS):  # never read: the stage works on what was cleaned
        for name in (f"r{i}.fif", f"r{i}.tsv"):
            (lab / name).touch()
    study = folder / "study.yaml"
    study.write_text(_STUDY.format(lab=lab, window=list(WINDOW)))
    names = tuple(f"C{i}" for i in range(CHANNELS // scale))
    latencies = tuple(float(t) for t in np.linspace(*WINDOW, LATENCIES))
    sensors = Sensors(names, ("mag",) * len(names), np.ones((len(names), 12)), latencies)
    record = {"stage": "clean", "settings": {}, "inputs": {}}
    for i in range(RUNS):
        onsets = np.cumsum(rng.uniform(0.2, 0.4, n))
        values = rng.standard_normal((n, len(sensors.targets)), np.float32)
        ds = xr.Dataset({"responses": (("sample", "target"), values, {"units": "fT", "long_name": "noise"})})
        ds = placed(ds.assign_coords(time=("sample", onsets, _CLOCK), target=list(sensors.targets)), sensors)
        about = {"subject": "01", "run": f"r{i}", "tr_s": 0.01, "word_start_s": WINDOW[0], "word_end_s": WINDOW[1]}
        arrays.save(ds.assign_attrs(about), out.recording("01", "meg", f"r{i}"), **record)
        values = rng.standard_normal((n, LAYERS, FEATURES), np.float32)
        ds = xr.Dataset({"activations": (("word", "layer", "feature"), values, {"units": "1", "long_name": "noise"})})
        ds = ds.assign_coords(onset=("word", onsets, _CLOCK), layer=list(range(LAYERS)))
        arrays.save(ds.assign_attrs(sampled="event", private=0), out.activations("network", f"r{i}"), **record)
    return json.dumps(Study.from_yaml(study).for_stage("encode", recording="meg", model="network"))


_CLOCK = {"units": "s", "long_name": "onset of the word"}
_STUDY = """\
study: words
dataset: {{kind: manifest, root: {lab}}}
recordings: {{meg: {{kind: meg, window: {window}}}}}
models: {{network: {{kind: tokens}}}}
encoding: {{alphas: [1.0, 1.0e+8, 10], split: given}}
"""

if __name__ == "__main__":
    sys.exit(main())
