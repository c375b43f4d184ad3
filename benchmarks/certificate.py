"""The certificate (20 surrogates of each kind) beside the fits it certifies: one trained network and five random twins of one person.

stories is like LeBel's components (21 stories of 290 volumes, 200 targets,
5 layers x 64 features x 4 delays), once with one test story and once with
each story left out in turn; voxels like a small part of a brain (6 stories,
10,000 targets, 6 layers x 256 features). The fits are `encoding.encode` of
both models, as the jobs `encode` call it; the certificate is what the job
`certify` does besides reading and testing the real targets. Both work on
arrays in memory, in one process, in turn.
"""

import sys
from functools import partial
from typing import Any, NamedTuple

import numpy as np
from common import Goal, digits, interleaved, parser, report, threads

TR_S, WORDS_PER_S, SURROGATES, PERMUTATIONS = 2.0, 3.0, 20, 1000


class Shape(NamedTuple):
    stories: int
    volumes: int
    targets: int
    layers: int
    features: int
    seeds: int = 5


SHAPES = {"stories": Shape(21, 290, 200, 5, 64), "voxels": Shape(6, 290, 10_000, 6, 256)}
WORKLOADS = (("stories", "given"), ("stories", "leave_one_run_out"), ("voxels", "given"))
GOALS = (Goal("the certificate: share of the time of the fits it certifies", "share", at_most=0.3),)


def main() -> int:
    options = parser(__doc__, reps=1)
    options.add_argument("--only", choices=[" ".join(one) for one in WORKLOADS])
    chosen = options.parse_args()
    threads(chosen.threads)
    wanted = [one for one in WORKLOADS if chosen.only in (None, " ".join(one))]
    return max(report(measured(*one, chosen), GOALS, chosen.scale) for one in wanted)


def measured(name: str, split: str, chosen: Any) -> dict[str, Any]:
    from pipeline import certify
    from pipeline.encoding import Encoding, encode
    from pipeline.recordings import Arrays

    shape = SHAPES[name]._replace(targets=max(SHAPES[name].targets // chosen.scale, 1))
    recording, settings = Arrays(), Encoding(split=split)
    recordings, trained, twins, splits = made(shape)
    fit = partial(encode, recording, recordings=recordings, split=splits, regions_table=None, settings=settings)
    scores = fit(trained)  # imports, too
    found = certify.as_fitted(recording, trained, recordings, splits, scores, settings)
    certified = partial(certify.certified, found, n=SURROGATES, how="phases", n_null=PERMUTATIONS, seed=0)
    methods = {"fits": lambda: (fit(trained), fit(twins)), "certificate": certified}
    timings = interleaved(methods, chosen.reps)
    every = timings["certificate"].result[-1]
    return {
        "workload": f"{name}, {split}",
        "shape": shape._asdict(),
        "methods": {method: timings[method].fields() for method in methods},
        "share": digits(timings["certificate"].seconds / timings["fits"].seconds),
        "columns": every.n * every.n_targets,
        "false_positives": digits(every.rate),
        "interval": [digits(every.rate_low), digits(every.rate_high)],
    }


def made(shape: Shape) -> tuple[dict, dict, dict, dict]:
    """Smooth noise beside features of words, which is all that time depends on."""
    import xarray as xr

    rng, recordings, models = np.random.default_rng(0), {}, ({}, {})
    names = [f"s{i}" for i in range(shape.stories)]
    for run in names:
        length_s = TR_S * shape.volumes
        onsets = np.sort(rng.uniform(0, length_s, int(WORDS_PER_S * length_s)))
        Y = rng.standard_normal((shape.volumes + 2, shape.targets), np.float32)
        Y = 0.5 * Y[:-2] + Y[1:-1] + 0.5 * Y[2:]
        coords = {"time": ("sample", TR_S * np.arange(shape.volumes)), "target": [f"t{i}" for i in range(Y.shape[1])]}
        recordings[run] = xr.Dataset({"responses": (("sample", "target"), Y)}, coords, {"tr_s": TR_S})
        for model, seeds in zip(models, (0, shape.seeds), strict=True):
            dims = ("seed", "word", "layer", "feature")[0 if seeds else 1 :]
            size = (*([seeds] if seeds else []), len(onsets), shape.layers, shape.features)
            coords = {"onset": ("word", onsets), "layer": list(range(shape.layers))}
            coords |= {"seed": list(range(seeds))} if seeds else {}
            values = (dims, rng.standard_normal(size, np.float32))
            model[run] = xr.Dataset({"activations": values}, coords, {"sampled": "event", "private": 0})
    return recordings, *models, {run: "test" if run == names[-1] else "train" for run in names}


if __name__ == "__main__":
    sys.exit(main())
