"""Twenty thousand words through a small trained network and five random twins: what a study of stories waits for.

The words are those of the texts in BRAINALIGN_DATA/corpora, split at white
space, in ten runs; the network is BRAINALIGN_DATA/lm_stories260K (5 layers of
64, context 512). Everything that `Transformer.activations` does is timed:
reading the tokenizer and the weights, cutting into tokens and checking that,
measuring the loss, and the states of all layers. Imports are not.
"""

import os
import sys
import tempfile
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from common import Goal, digits, interleaved, parser, report, skipped, threads, where

N_WORDS, N_RUNS = 20_000, 10
SEEDS = (0, 1, 2, 3, 4)
SECONDS_A_WORD = 0.4
GOALS = (Goal("20,000 words, trained and 5 random networks, all layers, 2 threads: seconds", "wall_s", at_most=60),)


def main() -> int:
    options = parser(__doc__, reps=3)
    options.set_defaults(threads=2)
    chosen = options.parse_args()
    threads(chosen.threads)
    data = Path(os.environ.get("BRAINALIGN_DATA", ""))
    weights, texts = data / "lm_stories260K", sorted((data / "corpora").glob("*.txt"))
    if not os.environ.get("BRAINALIGN_DATA") or not weights.is_dir() or not texts:
        return skipped("BRAINALIGN_DATA names no folder with lm_stories260K and corpora")
    return report(measured(weights, texts, chosen), GOALS, chosen.scale)


def measured(weights: Path, texts: list[Path], chosen: Any) -> dict[str, Any]:
    from pipeline.models import MODELS

    words = runs(texts, N_WORDS // chosen.scale)
    kinds = {"trained": {}, "random": {"weights": "random", "seeds": SEEDS}}
    models = {name: MODELS["transformer"](name=str(weights), **settings) for name, settings in kinds.items()}
    few = dict(list(words.items())[:1])
    activated(models["trained"], few)  # imports
    methods = {name: partial(activated, model, words) for name, model in models.items()}
    timings = interleaved(methods, chosen.reps)
    wall = sum(timing.wall_s for timing in timings.values())
    counts = timings["random"].result
    return {
        "workload": "stories",
        "reps": chosen.reps,
        "words": N_WORDS // chosen.scale,
        "runs": N_RUNS,
        "networks": 1 + len(SEEDS),
        "tokens": counts["tokens"],
        "output_mib": digits(sum(timing.result["bytes"] for timing in timings.values()) / 2**20),
        "methods": {name: timing.fields() for name, timing in timings.items()},
        "wall_s": digits(wall),
        "ms_per_word_and_network": digits(1e3 * wall / (N_WORDS // chosen.scale) / (1 + len(SEEDS))),
        "where": where(methods["trained"]),
    }


def runs(texts: list[Path], n_words: int) -> dict[str, Any]:
    """Words tables as a dataset gives them: onset and duration in seconds, and the word."""
    from pandas import DataFrame, Series

    words = [word for path in texts for word in path.read_text(encoding="utf-8").split()][:n_words]
    parts = [list(part) for part in np.array_split(np.array(words, dtype=object), N_RUNS)]
    tables = {f"run{i}": Series(part, dtype=object) for i, part in enumerate(parts)}
    return {
        run: DataFrame({"onset": SECONDS_A_WORD * np.arange(len(part)), "duration": SECONDS_A_WORD / 2, "word": part})
        for run, part in tables.items()
    }


def activated(model: Any, words: dict[str, Any]) -> dict[str, int]:
    """Run after run is taken and let go, as the stage does that saves them."""
    counts = {"tokens": 0, "bytes": 0}
    with tempfile.TemporaryDirectory() as folder:
        for answer in model.activations(words, study_dir=Path(folder)):
            counts["tokens"] += answer.facts["n_tokens"]
            counts["bytes"] += answer.values.nbytes
    return counts


if __name__ == "__main__":
    sys.exit(main())
