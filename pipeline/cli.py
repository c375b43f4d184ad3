"""The verbs. Each loads, makes one call, and prints or saves; imports are late, so that help is quick."""

import argparse
import json
import os
import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipeline import __version__
from pipeline.problems import EXIT_INTERNAL, EXIT_INTERRUPTED, EXIT_OK, EXIT_PARTIAL, Problem, StudyError

if TYPE_CHECKING:
    from pipeline.config import Study
    from pipeline.jobs import Job
    from pipeline.running import Failure, Order

Arguments = argparse.Namespace


def main(argv: list[str] | None = None) -> int:
    """Run one verb; the exit code tells what kind of thing went wrong."""
    arguments = _parser().parse_args(argv)
    try:
        return arguments.verb(arguments)
    except StudyError as error:
        return _told(error, arguments)
    except KeyboardInterrupt:
        print("stopped; the same command goes on where it stopped", file=sys.stderr)
        return EXIT_INTERRUPTED
    except OSError as error:
        return _told(StudyError(_refused(error)), arguments)
    except Exception as error:
        if getattr(arguments, "debug", True):  # a stage has no such option: its log holds the traceback
            traceback.print_exc()
            return EXIT_INTERNAL
        found = f"{type(error).__name__}: {error}"
        fix = "please report it, with what --debug prints"
        print(Problem("E-INTERNAL-01", "brainalign broke", found=found, fix=fix), file=sys.stderr)
        return EXIT_INTERNAL


def _refused(error: OSError) -> Problem:
    fix = "choose a place that may be written with --out, or free some space; then start the same command again"
    name = Path(str(error.filename)).name if error.filename else ""
    return Problem("E-ENV-05", "the system refused a file", file=name, found=str(error.strerror or error), fix=fix)


def entry() -> None:
    """The console script."""
    sys.exit(main())


def _told(error: StudyError, arguments: Arguments) -> int:
    from pipeline.checks import grouped

    print("\n".join(grouped(error.problems)), file=sys.stderr)
    if hasattr(arguments, "settings"):  # a stage: its log is read by `run`
        for problem in error.problems:
            print(f"@problem {json.dumps(problem._asdict())}", file=sys.stderr)
    return error.exit_code


def _study(arguments: Arguments) -> "tuple[Study, Order]":
    from pipeline.config import Study
    from pipeline.layout import Layout
    from pipeline.running import Order

    changes = tuple(arguments.set)
    if arguments.subject:
        changes = (*changes, f"subjects={json.dumps(arguments.subject)}")
    file, out = Path(arguments.study), Path(arguments.out)
    study = Study.from_yaml(file, changes)
    if (out / study.study).is_dir():
        study.dataset.refresh(out / study.study)  # the runs that exist may have changed since they were written down
    keep_going = study.on_error == "continue"
    order = Order(
        file, out, Layout(out / study.study), getattr(arguments, "cores", 1), getattr(arguments, "profile", "default"),
        changes, (), keep_going, study.allow_download,
    )  # fmt: skip
    return study, order


def check(arguments: Arguments) -> int:
    """List all problems; nothing is computed."""
    from pipeline.checks import check as problems_of
    from pipeline.checks import grouped

    try:
        study, order = _study(arguments)
        problems = problems_of(study, order.paths.root)
    except StudyError as error:
        problems = list(error.problems)
    if arguments.json:
        print(json.dumps([p._asdict() | {"level": p.level} for p in problems], indent=1))
    else:
        errors = sum(p.level == "error" for p in problems)
        print("\n".join([*grouped(problems), f"{errors} errors, {len(problems) - errors} warnings"]))
    return next((p.exit_code for p in problems if p.level == "error"), EXIT_OK)


def plan(arguments: Arguments) -> int:
    """What `run` would do, one line per rule."""
    from pipeline.jobs import stale
    from pipeline.running import jobs

    study, order = _study(arguments)
    rows = jobs(order._replace(stale=stale(study, order.paths)))
    if not rows:
        print("nothing to do")
        return EXIT_OK
    # time, memory and disk are not predicted yet; the columns are there for those who read them
    print("\t".join(("rule", "jobs", "why", "time", "memory", "disk")))
    for rule, count, why in rows:
        print("\t".join((rule, str(count), why, "n/a", "n/a", "n/a")))
    return EXIT_OK


def run(arguments: Arguments) -> int:
    """Check, then the workflow; subjects that fail are left out and told at the end."""
    from pipeline.checks import kept_apart
    from pipeline.running import locked

    study, order = _study(arguments)
    _stopped(study, kept_apart(study, order.paths.root))
    with locked(order.paths):
        return _run(study, order)


def _run(study: "Study", order: "Order") -> int:
    from pipeline.checks import check as problems_of
    from pipeline.checks import grouped
    from pipeline.jobs import stale
    from pipeline.running import run as follow

    problems = problems_of(study, order.paths.root)
    errors = [p for p in problems if p.level == "error"]
    out = _stopped(study, errors)
    if told := grouped(problems):
        print("\n".join(told), file=sys.stderr)
    while True:
        order = order._replace(left_out=tuple(sorted(out)), stale=stale(study, order.paths, tuple(out)))
        if not study.plan(order.paths.root, order.left_out).runs:
            raise StudyError(*errors)
        failures = follow(order, lambda line: print(line, flush=True))
        _tell_failures(failures)
        failed = {f.subject for f in failures if f.subject}
        if not failures or not failed or any(not f.subject for f in failures) or study.on_error == "stop":
            break
        errors += [p for f in failures for p in f.problems]
        out |= failed
    if failures:
        return failures[0].problems[0].exit_code if failures[0].problems[0].code != "E-INTERNAL-01" else EXIT_INTERNAL
    return _ended(study, order, out)


def _stopped(study: "Study", errors: list[Problem]) -> set[str]:
    """The subjects who cannot go on; everything else that is wrong stops the study."""
    whole = [p for p in errors if not p.subject]
    if whole or (errors and study.on_error == "stop"):
        raise StudyError(*(whole or errors))
    return {p.subject for p in errors}


def _tell_failures(failures: "list[Failure]") -> None:
    from pipeline.checks import grouped

    for failure in failures:
        print("\n".join([*grouped(failure.problems), f"  {'log:':<10}{failure.log}"]), file=sys.stderr)


def _ended(study: "Study", order: "Order", out: set[str]) -> int:
    subjects = study.plan(order.paths.root, order.left_out).subjects
    pages = [str(order.paths.subject_page(s)) for s in subjects]
    print("\n".join(["reports:", *(f"  {page}" for page in [*pages, str(order.paths.top("index.html"))])]))
    if not out:
        return EXIT_OK
    print(f"left out, {len(out)} of {len(out) + len(subjects)} subjects: {', '.join(sorted(out))}", file=sys.stderr)
    return EXIT_PARTIAL


def status(arguments: Arguments) -> int:
    """What is done and verified, missing, or not the file that was written."""
    from pipeline.jobs import states

    study, order = _study(arguments)
    found = states(study, order.paths)
    for state in ("done", "missing", "changed"):
        names = [name for name, is_in in found.items() if is_in == state]
        print(f"{state}\t{len(names)}")
        for name in names if state != "done" else ():
            print(f"  {name}")
    return EXIT_OK if set(found.values()) <= {"done"} else EXIT_PARTIAL


def demo(arguments: Arguments) -> int:
    """Simulate a study with known truth, run it, and hold what was found against what was planted."""
    from pipeline.running import REPOSITORY
    from pipeline.truth import told

    arguments.study = str(REPOSITORY / "configs" / "demo.yaml")
    arguments.set, arguments.subject, arguments.profile = [], [], "default"
    code = run(arguments)
    study, order = _study(arguments)
    if code == EXIT_OK:
        print(told(study, order.paths))
    return code


def model_check(arguments: Arguments) -> int:
    """Load one model and let it read a paragraph: is it complete, does it know words? Nothing is downloaded."""
    from pipeline.models.inspection import inspect
    from pipeline.models.remarks import page

    seen = inspect(arguments.name, tokenizer=arguments.tokenizer, revision=arguments.revision)
    if arguments.json:
        problems = [p._asdict() | {"level": p.level} for p in seen.problems]
        print(json.dumps({"verdict": seen.verdict, "facts": seen.facts, "problems": problems}, indent=1))
    else:
        print(page(seen.facts, seen.problems, seen.verdict))
    return next((p.exit_code for p in seen.problems if p.level == "error"), EXIT_OK)


def schema(arguments: Arguments) -> int:
    """Print the JSON schema of a study, for editors."""
    from pipeline.config import schema as described

    print(described(), end="")
    return EXIT_OK


def _stage(name: str) -> Callable[[Arguments], int]:
    def verb(arguments: Arguments) -> int:
        # before numpy is imported: the rule's number of threads reaches every library
        for variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
            os.environ[variable] = str(arguments.threads)
        from pipeline import stages

        getattr(stages, name)(_job(arguments))
        return EXIT_OK

    return verb


def _job(arguments: Arguments) -> "Job":
    from pipeline.jobs import Job
    from pipeline.layout import Layout

    a = arguments
    return Job(
        Layout(a.out),
        json.loads(a.settings),
        a.subject,
        a.recording,
        a.model,
        tuple(a.runs),
        tuple(a.tables),
        tuple(a.left_out),
        tuple(a.subjects),
        a.threads,
    )


STAGES = {
    "simulate": "make the recordings of a synthetic study",
    "train": "train the language model of a synthetic study",
    "words": "read and check the words of every run",
    "events": "read and check the event types of every run",
    "clean": "clean every run of one subject's recording",
    "activate": "extract one model's activations for the words of every run",
    "encode": "fit one model to one subject's recording, every layer",
    "lags": "score one model at every single lag, a check of the clocks",
    "ceiling": "estimate how well any model could do",
    "maps": "paint one subject's scores on the brain",
    "compare": "tabulate layers and contrasts of one subject's recording",
    "latencies": "tabulate scores by latency, peaks and clusters of one subject's recording",
    "passive": "encode a passive target in the place of one subject's brain",
    "beside": "fit controls beside each trained model of one subject's recording",
    "certify": "test every target, and the study itself, on one subject's recording",
    "partition": "take apart what a model and its controls explain in one subject's recording",
    "report": "write one subject's page",
    "group": "write the tables and pages of the whole study",
    "finish": "write the manifest",
}

_EXAMPLES = {
    "demo": "brainalign demo --cores 2",
    "check": "brainalign check configs/demo.yaml",
    "plan": "brainalign plan configs/demo.yaml --set comparison.fdr=0.01",
    "run": "brainalign run configs/demo.yaml --cores 2",
    "status": "brainalign status configs/demo.yaml",
    "schema": "brainalign schema > configs/schema.json",
    "model check": "brainalign model check gpt2 --json",
}


def _parser() -> argparse.ArgumentParser:
    about = "How much of what a brain recording says about language do a network's layers explain?"
    parser = argparse.ArgumentParser(prog="brainalign", description=about, epilog="Start with: brainalign demo")
    parser.add_argument("--version", action="version", version=__version__)
    verbs = parser.add_subparsers(title="verbs", metavar="VERB", required=True)
    for verb in (demo, check, plan, run, status, schema):
        one = _added(verbs, verb.__name__, verb, str(verb.__doc__), _EXAMPLES[verb.__name__])
        one.add_argument("--debug", action="store_true", help="show Python's traceback when something breaks")
        if verb is demo:
            one.add_argument("--out", default="data/derivatives", help="folder for the study's folder")
            one.add_argument("--cores", type=int, default=os.cpu_count() or 1, help="jobs at a time")
        elif verb is not schema:
            _of_study(one, verb in (run, plan))
    verbs.choices["check"].add_argument("--json", action="store_true", help="print the problems as JSON")
    _of_model(verbs)
    for name, about in STAGES.items():
        _of_stage(
            _added(
                verbs,
                name,
                _stage(name),
                f"stage: {about}",
                f"the rules of the workflow call it: see {name} in workflow/rules",
            )
        )
    return parser


def _added(verbs, name: str, verb: Callable, about: str, example: str) -> argparse.ArgumentParser:
    one = verbs.add_parser(name, help=about.splitlines()[0], description=about, epilog=f"example: {example}")
    one.set_defaults(verb=verb)
    return one


def _of_study(one: argparse.ArgumentParser, runs: bool) -> None:
    one.add_argument("study", metavar="STUDY", help="the study's YAML")
    one.add_argument(
        "--set", action="append", default=[], metavar="KEY=VALUE", help="change a setting, such as encoding.folds=4"
    )
    one.add_argument(
        "--subject", action="append", default=[], metavar="S", help="only this subject; may be given again"
    )
    one.add_argument("--out", default="data/derivatives", help="folder for the study's folder")
    if runs:
        one.add_argument("--cores", type=int, default=1, help="jobs at a time")
        one.add_argument("--profile", default="default", help="folder in workflow/profiles")


def _of_model(verbs: Any) -> None:
    about = "look at one language model"
    group = verbs.add_parser("model", help=about, description=about, epilog=f"example: {_EXAMPLES['model check']}")
    subverbs = group.add_subparsers(title="verbs", metavar="VERB", required=True)
    one = _added(subverbs, "check", model_check, str(model_check.__doc__), _EXAMPLES["model check"])
    one.add_argument("name", metavar="NAME_OR_DIR", help="a hub id in the local cache, or a directory")
    one.add_argument("--tokenizer", default="", metavar="T", help="hub id or directory; else beside the weights")
    one.add_argument("--revision", default="", metavar="R", help="commit, tag or branch of a hub id")
    one.add_argument("--json", action="store_true", help="print facts and problems as JSON")
    one.add_argument("--debug", action="store_true", help="show Python's traceback when something breaks")


def _of_stage(one: argparse.ArgumentParser) -> None:
    one.add_argument("--out", required=True, help="the study's own folder")
    one.add_argument("--settings", required=True, help="the stage's settings as JSON")
    one.add_argument("--threads", type=int, default=1)
    for name in ("subject", "recording", "model"):
        one.add_argument(f"--{name}", default="")
    for name in ("runs", "tables", "left-out", "subjects"):
        one.add_argument(f"--{name}", nargs="*", default=[])
