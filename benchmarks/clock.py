"""Is a run whose words are 20 s late or early seen? On the LeBel recordings, run by run: by the other runs' followers, and by components.

Counts red verdicts over both people and all runs, with the words as they are
(each would be a false alarm) and with those of the one run moved. Needs
BRAINALIGN_DATA.
"""

import os
import sys
from pathlib import Path

from common import Goal, parser, report, skipped, threads

GOALS = (
    Goal("clock: share of moved runs that are red", "followers.moved", at_least=0.9),
    Goal("clock: share of runs that are red as they are", "followers.as_they_are", at_most=0.01),
)


def main() -> int:
    options = parser(__doc__, reps=1)
    chosen = options.parse_args()
    threads(chosen.threads)
    root = Path(os.environ.get("BRAINALIGN_DATA", "data/raw")) / "lebel"
    if not root.is_dir():
        return skipped("the LeBel recordings are not there; set BRAINALIGN_DATA")
    found = {name: {"as_they_are": 0, "moved": 0} for name in ("followers", "components")}
    n = 0
    for runs in people(root):
        for name, counts in counted(runs).items():
            for key, red in counts.items():
                found[name][key] += red
        n += len(runs)
    shares = {name: {"as_they_are": c["as_they_are"] / n, "moved": c["moved"] / (2 * n)} for name, c in found.items()}
    return report({"workload": f"{n} runs, each moved by 20 s both ways", "red": found} | shares, GOALS, chosen.scale)


def people(root: Path) -> list[list[tuple]]:
    from pipeline.datasets.manifest import Manifest
    from pipeline.recordings.matrix import Arrays
    from pipeline.recordings.recorded import recorded
    from pipeline.words import stimulus

    runs = Manifest(root=str(root)).runs(Path())
    return [
        [(r, recorded(Arrays().clean(r, root, ()), r), stimulus(root, r)[0]) for r in runs if r.subject == subject]
        for subject in sorted({run.subject for run in runs})
    ]


def counted(runs: list[tuple]) -> dict[str, dict[str, int]]:
    from pipeline.aligning import EXPECTED_S, align, followed
    from pipeline.followers import weights

    profiles = [followed(ds, words) for _, ds, words in runs]
    found = {name: {"as_they_are": 0, "moved": 0} for name in ("followers", "components")}
    for i, (run, ds, words) in enumerate(runs):
        for name, by in (("followers", weights(profiles, i)), ("components", None)):
            for shift, key in ((0.0, "as_they_are"), (20.0, "moved"), (-20.0, "moved")):
                late = words.assign(onset=words["onset"] + shift)
                found[name][key] += align(run, ds, late, EXPECTED_S["fmri"], "none", weights=by).light == "red"
    return found


if __name__ == "__main__":
    sys.exit(main())
