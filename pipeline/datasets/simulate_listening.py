"""Who listened to what in a simulated BIDS data set, and what their heads did meanwhile: one truth, told in two forms.

Everything follows from the plan and names, so that the raw form and the
derivatives, written apart, tell of the same people.
"""

from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from jaxtyping import Float

from pipeline import arrays
from pipeline.datasets.simulate_heads import AXES, PATCHES, motion
from pipeline.datasets.simulate_signals import Noise, Voxels, cleaning, noise_variance, respond, scaled
from pipeline.datasets.simulate_stories import Telling, stream, tell

TASK = "story"
TRUTH = "sourcedata/truth"  # BIDS readers do not look into sourcedata
HIGH_PASS_HZ = 0.008  # of the cleaning for which the shares of signal hold
NOISE = Noise()
# share of each state in the variance of a patch's signal
_FOLLOWS = MappingProxyType({
    "temporal": {"wordrate": 0.6, "topic": 0.2, "syntax": 0.2},
    "frontal": {"topic": 0.6, "syntax": 0.4},
})  # fmt: skip
_PEAK_S = 6.0  # mean of the blood's first gamma; its maximum lies 1 s earlier


class Plan(NamedTuple):
    """What both forms of the data set share; fields as in `simulate_raw`."""

    subjects: tuple[str, ...]
    stories: int
    story_s: float
    test_repeats: int
    tr_s: float
    signal_share: float
    seed: int
    language_seed: int
    sessions: bool
    missing: tuple[tuple[str, str], ...]


class Listening(NamedTuple):
    """One run as BIDS counts it: one story, heard once by one person."""

    subject: str
    session: str
    run: int
    story: str
    repeat: int

    @property
    def folder(self) -> str:
        return f"sub-{self.subject}/" + (f"ses-{self.session}/" if self.session else "") + "func"

    @property
    def stem(self) -> str:
        session = f"_ses-{self.session}" if self.session else ""
        return f"sub-{self.subject}{session}_task-{TASK}_run-{self.run}"


def listenings(plan: Plan) -> list[Listening]:
    """Every run there is: each story once, then the test story `test_repeats` times, less what is missing.

    With sessions the first half of the runs is session 01; runs are counted on
    through both, so that a run's number says which story it was.
    """
    if plan.stories < 1 or plan.test_repeats < 1:
        raise ValueError(f"{plan.stories} stories and {plan.test_repeats} repeats: there must be at least one of each")
    told = [(f"story{i + 1}", 1) for i in range(plan.stories)]
    told += [(f"story{plan.stories + 1}", k + 1) for k in range(plan.test_repeats)]
    labels = {str(run + 1) for run in range(len(told))}
    unknown = [pair for pair in plan.missing if pair[0] not in plan.subjects or pair[1] not in labels]
    if unknown:
        raise ValueError(
            f"missing runs {unknown} would not be there anyway: subjects {plan.subjects}, runs {sorted(labels)}"
        )
    session = ["01" if 2 * i < len(told) else "02" for i in range(len(told))] if plan.sessions else [""] * len(told)
    return [
        Listening(subject, session[i], i + 1, story, repeat)
        for subject in plan.subjects
        for i, (story, repeat) in enumerate(told)
        if (subject, str(i + 1)) not in plan.missing
    ]


def tell_all(plan: Plan) -> dict[str, Telling]:
    """The stories, in order; the last is the test story."""
    labels = [f"story{i + 1}" for i in range(plan.stories + 1)]
    return {s: tell(s, story_s=plan.story_s, seed=plan.seed, language_seed=plan.language_seed) for s in labels}


def times(plan: Plan, start_s: float) -> Float[np.ndarray, " volume"]:
    """When each volume is the picture of, on the clock of the words."""
    return np.arange(int(plan.story_s / plan.tr_s)) * plan.tr_s + start_s


def courses(
    plan: Plan, tellings: Mapping[str, Telling], subject: str, at: Float[np.ndarray, " volume"]
) -> dict[str, Float[np.ndarray, "volume patch"]]:
    """What the middle of each patch shows of each story, in image units, without noise.

    Weights on topics and on states of syntax are the subject's own. The size
    makes `signal_share` true of the cleaned test story, see `simulate.truth`.
    """
    parts = [_course(stream(plan.seed, "patch", subject, patch), _FOLLOWS[patch], tellings, at) for patch in PATCHES]
    joined = {story: np.concatenate([part[story] for part in parts], axis=1) for story in tellings}
    clean = cleaning(len(at), plan.tr_s, HIGH_PASS_HZ)
    share = np.full(len(PATCHES), plan.signal_share)
    return scaled(joined, share, clean, noise_variance(clean, NOISE, plan.tr_s), test=list(tellings)[-1])


def _course(
    rng: np.random.Generator,
    follows: Mapping[str, float],
    tellings: Mapping[str, Telling],
    at: Float[np.ndarray, " volume"],
) -> dict[str, Float[np.ndarray, "volume 1"]]:
    total = {story: np.zeros((len(at), 1)) for story in tellings}
    for state, share in follows.items():
        n = getattr(next(iter(tellings.values())), state).shape[1]
        weights = np.ones((1, 1)) if n == 1 else rng.standard_normal((1, n))
        drawn = Voxels({state: weights}, np.array([_PEAK_S]), np.ones(1))
        answers = {story: respond(drawn, telling, at) for story, telling in tellings.items()}
        size = np.sqrt(share) / np.std(np.concatenate(list(answers.values())))
        total = {story: total[story] + size * answers[story] for story in tellings}
    return total


def moved(plan: Plan, one: Listening, n_volumes: int) -> Float[np.ndarray, "volume 6"]:
    """How the head moved during a run, see `simulate_heads.motion`."""
    return motion(stream(plan.seed, "motion", one.subject, str(one.run)), n_volumes)


def share_at(plan: Plan, profile: Float[np.ndarray, " place"]) -> Float[np.ndarray, " place"]:
    """Share of signal where a patch has faded to `profile`: its variance goes with the square."""
    ratio = plan.signal_share / (1 - plan.signal_share) * profile**2
    return ratio / (1 + ratio)


def patch_table(
    plan: Plan, targets: list[str], mm: Float[np.ndarray, "place 3"], profile: Float[np.ndarray, "place patch"]
) -> pd.DataFrame:
    """Which targets answer to words, at least by half of what the middle of a patch does, and how strongly.

    `mm` is where they lie in the image's own space.
    """
    strongest = profile.argmax(axis=1)
    rows = np.flatnonzero(profile.max(axis=1) > 0.5)
    names = np.array(list(PATCHES))[strongest[rows]]
    columns = {"target": [targets[i] for i in rows], "patch": names}
    columns |= {axis: mm[rows, k] for k, axis in enumerate("xyz")}
    return pd.DataFrame(columns | {"signal_share": share_at(plan, profile.max(axis=1)[rows])})


def save_truth(
    folder: Path,
    one: Listening,
    motion_of: Float[np.ndarray, "volume 6"],
    course: Float[np.ndarray, "volume patch"],
    record: Mapping[str, Any],
) -> None:
    """Two tables of a run: `motion` (columns AXES), and `response`, the noiseless answer in the middle of each patch."""
    stem = folder / TRUTH / one.stem
    arrays.save_table(pd.DataFrame(motion_of, columns=AXES), stem.with_name(f"{one.stem}_motion.tsv"), **record)
    arrays.save_table(pd.DataFrame(course, columns=list(PATCHES)), stem.with_name(f"{one.stem}_response.tsv"), **record)
