"""Start Snakemake, follow it, and say what failed in the user's words."""

import json
import os
import re
import socket
import subprocess
import sys
import tempfile
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from pipeline.layout import Layout
from pipeline.problems import Problem, StudyError

REPOSITORY = Path(__file__).parent.parent
_PER_SUBJECT = (
    "fmriprep", "clean", "encode", "lags", "ceiling", "maps", "compare", "latencies", "passive", "beside", "report",
)  # fmt: skip


class Order(NamedTuple):
    """One run of the workflow: which study, where to, and how."""

    study_file: Path
    out: Path  # the folder that holds the study's folder
    paths: Layout
    cores: int = 1
    profile: str = "default"
    changes: tuple[str, ...] = ()
    left_out: tuple[str, ...] = ()
    stale: tuple[Path, ...] = ()  # made under other settings; Snakemake may not know
    keep_going: bool = True
    allow_download: bool = False


class Failure(NamedTuple):
    """A job that failed: its stage, whose it was, its problems and its log."""

    stage: str
    subject: str
    problems: list[Problem]
    log: Path


def command(order: Order, *options: str) -> list[str]:
    """The Snakemake call; the same work as the README's plain one."""
    snakefile = REPOSITORY / "Snakefile"
    if not snakefile.is_file():
        raise StudyError(
            Problem(
                "E-ENV-03",
                "the workflow is not there",
                file="Snakefile",
                fix="install from a checkout: pip install -e .",
            )
        )
    told = {"out": str(order.out), "changes": list(order.changes), "left_out": list(order.left_out)}
    profile = REPOSITORY / "workflow" / "profiles" / order.profile
    # our own lock guards the study; Snakemake's would outlive a killed run
    return [
        sys.executable, "-m", "snakemake", "--snakefile", str(snakefile), "--configfile", str(order.study_file),
        "--cores", str(order.cores), "--workflow-profile", str(profile), "--nolock", "--nocolor",
        *(["--keep-going"] if order.keep_going else []), *options,
        *(["--forcerun", *map(str, order.stale)] if order.stale else []),
        "--config", *(f"{key}={json.dumps(value)}" for key, value in told.items()),
    ]  # fmt: skip


def environment(order: Order) -> dict[str, str]:
    """The jobs' environment: this Python first, and no network unless the study permits it."""
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")])
    offline = {} if order.allow_download else {"HF_HUB_OFFLINE": "1", "TRANSFORMERS_OFFLINE": "1"}
    return os.environ | {"PATH": path, "MPLBACKEND": "Agg", "PYTHONUTF8": "1"} | offline


def run(order: Order, tell: Callable[[str], None]) -> list[Failure]:
    """Run what is missing or out of date; the failures, if any. Output goes to logs/run.log."""
    log = order.paths.log("run")
    log = log.parent.parent / "run.log"
    log.parent.mkdir(parents=True, exist_ok=True)
    progress = _Progress(tell)
    with (
        log.open("a", encoding="utf-8") as handle,
        subprocess.Popen(
            command(order), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=environment(order)
        ) as process,
    ):
        assert process.stdout is not None
        lines = []
        try:
            for line in process.stdout:
                handle.write(line)
                lines.append(line)
                progress.see(line)
        except KeyboardInterrupt:
            process.terminate()
            raise
    failures = list(_failures(lines))
    if process.returncode and not failures:
        tail = "".join(lines[-12:]).strip()
        failures = [
            Failure("workflow", "", [Problem("E-ENV-04", "Snakemake stopped", found=tail, file="logs/run.log")], log)
        ]
    return failures


class _Progress:
    """One line per finished job on a log, one rewritten line on a terminal."""

    _FINISHED = re.compile(r"^Finished jobid: \d+ \(Rule: (\w+)\)")
    _STEPS = re.compile(r"^(\d+) of (\d+) steps")

    def __init__(self, tell: Callable[[str], None]):
        self.tell, self.rule, self.start = tell, "", time.monotonic()

    def see(self, line: str) -> None:
        if match := self._FINISHED.match(line):
            self.rule = stage_of(match[1])
        elif (match := self._STEPS.match(line)) and self.rule:
            self.tell(f"[{int(match[1]):>3}/{match[2]}] {time.monotonic() - self.start:6.1f} s  {self.rule}")
            self.rule = ""


def stage_of(rule: str) -> str:
    """The stage of a rule: `clean2` is a `clean`."""
    return rule.rstrip("0123456789")


def _failures(lines: list[str]) -> Iterator[Failure]:
    """Snakemake's "Error in rule x" blocks, with the problems that the jobs' logs tell."""
    rule, seen = "", set()
    for line in lines:
        if match := re.match(r"^Error in rule (\w+)", line):
            rule = match[1]
        elif rule and (match := re.match(r"^\s+log: (.+?)(?: \(check log file)", line)):
            log, stage = Path(match[1]), stage_of(rule)
            if log not in seen:
                seen.add(log)
                subject = log.stem.split("_")[0] if stage in _PER_SUBJECT else ""
                yield Failure(stage, subject, problems_in(log), log)
            rule = ""


def problems_in(log: Path) -> list[Problem]:
    """What a stage wrote to its log as JSON; an internal error where it wrote nothing."""
    lines = log.read_text(encoding="utf-8", errors="replace").splitlines() if log.exists() else []
    told = [json.loads(line.removeprefix("@problem ")) for line in lines if line.startswith("@problem ")]
    if told:
        return [Problem(**one) for one in told]
    last = next((line for line in reversed(lines) if line.strip()), "nothing was written")
    return [
        Problem("E-INTERNAL-01", "a stage broke", file=log.name, found=last[:300], fix="please report it, with the log")
    ]


def jobs(order: Order) -> list[tuple[str, int, str]]:
    """What `run` would do: rule, number of jobs, and why; from Snakemake's dry run."""
    done = subprocess.run(
        command(order, "--dry-run"), capture_output=True, text=True, env=environment(order), check=False
    )
    text = done.stdout + done.stderr
    if done.returncode:
        raise StudyError(Problem("E-ENV-04", "Snakemake cannot plan this study", found=text.strip()[-1500:]))
    count: Counter[str] = Counter()
    reasons: dict[str, Counter[str]] = defaultdict(Counter)
    rule = ""
    for line in text.splitlines():
        if match := re.match(r"^(?:local)?rule (\w+):", line):
            rule = stage_of(match[1])
            count[rule] += 1
        elif rule and (match := re.match(r"^\s+reason: (.+)", line)):
            reasons[rule][_plainly(match[1])] += 1
    count.pop("all", None)
    return [(rule, n, "; ".join(why for why, _ in reasons[rule].most_common(3))) for rule, n in count.items()]


def _plainly(reason: str) -> str:
    for start, told in _REASONS.items():
        if reason.startswith(start):
            return told
    return reason.split(":")[0]


_REASONS = {
    "Missing output files": "not made yet",
    "Params have changed": "settings changed",
    "Set of input files has changed": "other inputs",
    "Updated input files": "inputs changed",
    "Input files updated by another job": "inputs are made anew",
}


@contextmanager
def locked(paths: Layout) -> Iterator[None]:
    """Only one run at a time writes a study; the lock of a run that died is taken over."""
    lock = paths.root / ".lock"
    lock.parent.mkdir(parents=True, exist_ok=True)
    told = {"pid": os.getpid(), "host": socket.gethostname(), "start": time.strftime("%Y-%m-%d %H:%M:%S")}
    with tempfile.NamedTemporaryFile("w", dir=lock.parent, prefix=".partial-lock-") as file:
        json.dump(told, file)
        file.flush()
        while True:
            try:
                os.link(file.name, lock)  # whole or not at all
                break
            except FileExistsError:
                _refuse_if_alive(lock)
                lock.unlink(missing_ok=True)
    try:
        yield
    finally:
        lock.unlink(missing_ok=True)


def _refuse_if_alive(lock: Path) -> None:
    try:
        told = json.loads(lock.read_text())
        pid, host = int(told["pid"]), str(told["host"])
    except (OSError, ValueError, KeyError, TypeError):
        return  # a run that died while it wrote the lock
    if host == socket.gethostname() and not _alive(pid):
        return
    found = f"process {pid} on {host}, since {told.get('start')}"
    fix = (
        "wait for it, or stop it"
        if host == socket.gethostname()
        else f"if it is gone, delete {lock.name} in the study's folder"
    )
    raise StudyError(Problem("E-ENV-02", "another run is writing this study", found=found, fix=fix))


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
