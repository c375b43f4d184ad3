"""The result of a page in one sentence, and its traffic light, both from the tables only."""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

import pandas as pd

from pipeline.comparison import FEWEST_SUBJECTS, at_last_step
from pipeline.problems import Problem
from pipeline.report.certificate import verdicts
from pipeline.report.kinds import is_twin, kind_of
from pipeline.report.lags import lag_light
from pipeline.report.meg_clock import verdict
from pipeline.report.parts import OFF_CLOCK, GroupPage, GroupPart, Light, RecordingPart, SubjectPage
from pipeline.report.ranks import rank_sentences
from pipeline.report.rows import ALL, at_choice, entries, headline, layer_of, of, tidy_comparison, tidy_layers, twins
from pipeline.report.tables import light_of
from pipeline.report.words import interval, is_number, number, percent, plural

_NO_CEILING = "no valid noise ceiling is available"


class Ceiling(NamedTuple):
    """Whether scores may be related to a ceiling; if not, why; if so, in how many targets."""

    valid: bool
    note: str = ""
    valid_in: str = ""


def ceiling_of(part: RecordingPart | GroupPart, layers: pd.DataFrame) -> Ceiling:
    """Valid only when no note speaks against it and the table really holds fractions."""
    written = bool((layers["ceiling"].notna() & layers["fraction"].notna()).any())
    if part.ceiling_note or not written:
        return Ceiling(False, part.ceiling_note or "no estimator gave one")
    if isinstance(part, GroupPart):
        return Ceiling(True)
    if part.n_ceiling_valid < 1:
        return Ceiling(False, "no target has one")
    return Ceiling(True, valid_in=f"valid in {part.n_ceiling_valid} of {plural(part.n_targets, 'target')}")


def subject_sentence(page: SubjectPage) -> str:
    """What came out for this subject, with its uncertainty: one sentence per recording."""
    return " ".join(subject_sentences(page))


def subject_sentences(page: SubjectPage) -> list[str]:
    return _warned(page.leaky, [_part_sentence(part) for part in page.recordings])


def group_sentence(page: GroupPage) -> str:
    """What came out over subjects; below three subjects it says that nothing can be inferred."""
    return " ".join(group_sentences(page))


def group_sentences(page: GroupPage) -> list[str]:
    return _warned(page.leaky, [_group_part(part) for part in page.recordings])


def subject_light(page: SubjectPage) -> tuple[Light, str]:
    """Red: an error, a leaky split, no score, words on another clock than the responses, or a canary that sings. Amber: a warning, or a clock or a certificate in doubt."""
    lights = [light_of(run) for part in page.recordings for run in part.aligned]
    lights += [verdict(run).light for part in page.recordings if part.meg for run in part.meg.runs]
    all_runs = {part.together.light for part in page.recordings if part.together}
    scanned = {lag_light(scan) for part in page.recordings for scan in part.lag_scans}
    off = lights.count("red") or ("red" in all_runs | scanned) or any(w.code == OFF_CLOCK for w in page.warnings)
    which = f" of {plural(lights.count('red'), 'run')}" if "red" in lights else ""
    red = [f"words and responses{which} do not lie on one clock"] if off else []
    amber = [f"alignment to check in {plural(lights.count('amber'), 'run')}"] if "amber" in lights else []
    told = [verdicts(part.certificate) for part in page.recordings]
    red, amber = [*red, *(r for of, _ in told for r in of)], [*amber, *(a for _, of in told for a in of)]
    scored = any(_scored(part) for part in page.recordings)
    return _light(page.warnings, page.leaky, scored, amber, red)


def group_light(page: GroupPage) -> tuple[Light, str]:
    """Like a subject's; subjects left out, or too few of them, are amber."""
    left = [s for s in page.asked if s not in page.used]
    amber = [f"{plural(len(left), 'subject')} left out"] if left else []
    amber += ["too few subjects for a group inference"] if len(page.used) < FEWEST_SUBJECTS else []
    told = [verdicts(part.certificates) for part in page.recordings]
    red, amber = [r for of, _ in told for r in of], [*amber, *(a for _, of in told for a in of)]
    return _light(page.warnings, page.leaky, any(_scored(part) for part in page.recordings), amber, red)


def too_few(part: GroupPart) -> str:
    """Why nothing is inferred about people in general; empty when there are enough subjects."""
    n = len(part.subjects)
    if n >= FEWEST_SUBJECTS:
        return ""
    return f"Group inference is refused: N = {plural(n, 'subject')}, and at least {FEWEST_SUBJECTS} are needed"


def n_of_each(warnings: Iterable[Problem]) -> tuple[int, int]:
    """(errors, warnings)."""
    levels = [w.level for w in warnings]
    return levels.count("error"), levels.count("warning")


def _warned(leaky: bool, sentences: list[str]) -> list[str]:
    told = sentences or ["No recording was scored."]
    return [f"LEAKY SPLIT, so this is no evidence: {text}" for text in told] if leaky else told


def _light(
    warnings: Sequence[Problem], leaky: bool, scored: bool, amber: list[str], off_clock: Sequence[str] = ()
) -> tuple[Light, str]:
    errors, warned = n_of_each(warnings)
    red = [*off_clock, *(["a leaky split was used"] if leaky else [])]
    red += [] if scored else ["no score"]
    red += [plural(errors, "error")] if errors else []
    amber = amber + ([plural(warned, "warning")] if warned else [])
    light: Light = "red" if red else "amber" if amber else "green"
    return light, "; ".join(red + amber) or "no warnings"


def _scored(part: RecordingPart | GroupPart) -> bool:
    return bool(tidy_layers(part.layers)["r"].notna().any())


def _part_sentence(part: RecordingPart) -> str:
    layers = at_last_step(tidy_layers(part.layers))
    size = f" ({plural(part.n_targets, 'target')})" if part.n_targets else ""
    return " ".join([f"{part.label}{size}: {_body(layers, ceiling_of(part, layers))}.", *_ranks(part, layers)])


def _group_part(part: GroupPart) -> str:
    layers, n = at_last_step(tidy_layers(part.layers)), len(part.subjects)
    who = f"{part.label} (N = {n} subjects): "
    if reason := too_few(part):
        layers = layers.assign(r_low=float("nan"), r_high=float("nan"))
        who = f"{part.label}: {reason}; described only: "
    return " ".join([f"{who}{_body(layers, ceiling_of(part, layers))}.", *_ranks(part, layers)])


def _ranks(part: RecordingPart | GroupPart, layers: pd.DataFrame) -> list[str]:
    return rank_sentences(tidy_comparison(part.comparison), dict(entries(layers)))


def _body(layers: pd.DataFrame, ceiling: Ceiling) -> str:
    trained = [_trained(layers, entry, ceiling) for entry in entries(layers, "trained")]
    parts = trained or ["no trained model was scored"]
    parts += [_twins(layers, entry) for entry in entries(layers) if is_twin(entry[1])]
    parts += [_best_control(layers)]
    parts += [] if ceiling.valid else [f"{_NO_CEILING} ({ceiling.note})"]
    return "; ".join(part for part in parts if part)


def _trained(layers: pd.DataFrame, entry: tuple[str, str], ceiling: Ceiling) -> str:
    row = headline(of(layers, entry, ALL))
    if row is None or not is_number(row["r"]):
        return f"{entry[0]} has no score (n/a) at a layer chosen on inner folds"
    where = f"{_layers(row['chosen'])}, chosen on inner folds" if row["chosen"] else _plain_layer(row)
    step = f" at {row['step']}, its last checkpoint," if row["step"] else ""
    return f"{entry[0]}{step} scores r = {_with_interval(row)} ({where}){_related(row, ceiling)}"


def _layers(chosen: str) -> str:
    return f"layers {chosen}" if "," in chosen else f"layer {chosen}"


def _plain_layer(row: pd.Series) -> str:
    return "layer chosen on inner folds" if row["layer"] == "nested" else f"layer {layer_of(row)}, its only one"


def _with_interval(row: pd.Series) -> str:
    low, high = row["r_low"], row["r_high"]
    zero = ", which includes 0," if is_number(low) and is_number(high) and low <= 0 <= high else ""
    return f"{number(row['r'])} {interval(low, high)}{zero}"


def _related(row: pd.Series, ceiling: Ceiling) -> str:
    if not ceiling.valid:
        return ""
    if not is_number(row["fraction"]):
        return ", not related to a ceiling because none is valid for the whole"
    details = [number(row["ceiling"]), row["ceiling_kind"], ceiling.valid_in]
    return f", {percent(row['fraction'])}\u00a0% of ceiling ({'; '.join(d for d in details if d)})"


def _twins(layers: pd.DataFrame, entry: tuple[str, str]) -> str:
    seeds, kind = twins(at_choice(of(layers, entry, ALL))), kind_of(entry[1])
    if not is_number(seeds.mean):
        return f"{kind.many} {entry[0]} have no score (n/a)"
    if seeds.n_seeds == 1:
        return f"its one {kind.one} ({entry[0]}, 1 seed) {number(seeds.mean)}"
    over = f", {number(seeds.low)} to {number(seeds.high)} over {seeds.n_seeds} seeds" if seeds.n_seeds else ""
    return f"{kind.many} {entry[0]} {number(seeds.mean)} on average{over}"


def _best_control(layers: pd.DataFrame) -> str:
    rows = [(entry[0], headline(of(layers, entry, ALL))) for entry in entries(layers, "")]
    scored = [(label, row) for label, row in rows if row is not None and is_number(row["r"])]
    if not scored:
        return "no control was scored"
    label, row = max(scored, key=lambda pair: pair[1]["r"])
    above = [e[0] for e in entries(layers, "trained") if _below(headline(of(layers, e, ALL)), row["r"])]
    end = f", no lower than {', '.join(above)}" if above else ""
    return f"best of {plural(len(scored), 'control')}: {label} {_with_interval(row).rstrip(',')}{end}"


def _below(row: pd.Series | None, r: float) -> bool:
    return row is not None and is_number(row["r"]) and bool(row["r"] <= r)
