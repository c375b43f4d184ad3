"""B20: a whole study, from images to tables, ranks models as they were planted."""

import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pandas as pd

from calibration.harness import at_least, cell

_STUDY = """
study: planted
dataset: {{kind: synthetic, stories: 4, test_repeats: 2, story_s: 200, train_steps: 250, seed: {seed}}}
subjects: ["01"]
recordings:
  fmri: {{kind: fmri}}
models:
  trained: {{kind: transformer, name: "${{STUDY}}/simulated/language_model/final"}}
  untrained: {{kind: transformer, name: "${{STUDY}}/simulated/language_model/final", weights: random, seeds: [0, 1]}}
  wordrate: {{kind: wordrate}}
  position: {{kind: position}}
  oasm: {{kind: oasm}}
encoding: {{alphas: [1.0, 1.0e+6, 13], split: given}}
comparison: {{permutations: 100}}
report: {{lag_scan: none}}
"""
_NOTHING = 0.03  # what a model without the stimulus may score


@cell(
    "B20",
    "a whole study of one person: the smallest of r trained - untrained, untrained - the better of word rate and "
    "position, that - oasm (less than 0 where oasm is beyond .03)",
    at_least(0.0),
    seeds=1,
)
def ranking(seed: int) -> float:
    with TemporaryDirectory() as folder:
        study = Path(folder) / "planted.yaml"
        study.write_text(_STUDY.format(seed=seed), encoding="utf-8")
        command = [sys.executable, "-m", "pipeline", "run", str(study), "--out", folder, "--cores", "1"]
        done = subprocess.run(command, capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL)
        if done.returncode:
            raise RuntimeError(f"the study ended with {done.returncode}:\n{done.stdout}{done.stderr}")
        layers = pd.read_csv(
            Path(folder) / "planted" / "sub-01" / "sub-01_recording-fmri_layers.tsv", sep="\t", dtype=str
        )
    return _margin(layers)


def _margin(layers: pd.DataFrame) -> float:
    own = layers[(layers["layer"] == "nested") & (layers["roi"] == "all") & ~layers["seed"].isin(["0", "1"])]
    r = own.set_index("model")["r"].astype(float)
    simple = max(r["wordrate"], r["position"])
    steps = [r["trained"] - r["untrained"], r["untrained"] - simple, simple - r["oasm"]]
    return float(np.min(steps)) if abs(r["oasm"]) <= _NOTHING else -abs(r["oasm"])
