"""Run every benchmark in a process of its own and print claim, goal and measured value.

    python benchmarks/run.py                 all of them, about an hour on one core
    python benchmarks/run.py --only memory   one script; the other results stay as they were
    python benchmarks/run.py --markdown      nothing is run: the last results as the table of docs/performance.md

The JSON lines are kept in benchmarks/results.jsonl, one for each script and workload, the newest of each.
"""

import argparse
import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parent
RESULTS = FOLDER / "results.jsonl"
SCRIPTS = (
    ("ridge", "--workload", "W1s"),
    ("ridge", "--workload", "W2"),
    ("ridge", "--workload", "W3s"),
    ("alphas",),
    ("layers",),
    ("memory",),
    ("permutations",),
    ("certificate",),
    ("extract", "--workload", "12x768"),
    ("extract", "--workload", "6x384"),
    ("stories",),
    ("cleaning",),
    ("motion",),
    ("planning",),
    ("clock",),
    ("latencies",),
    ("meg",),
    ("gpu",),
    ("extract", "--workload", "12x768", "--device", "cuda"),
)
OWN_REPS = (
    "memory",
    "stories",
    "cleaning",
    "motion",
    "planning",
    "clock",
    "latencies",
    "meg",
    "gpu",
    "certificate",
)  # a peak needs no median; the others have their own default
BY_WORKLOAD = ("ridge", "extract")  # called for one workload at a time
PRECISIONS = ("float32", "mixed")


def main() -> int:
    options = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    options.add_argument("--only", help="comma-separated names of scripts")
    options.add_argument("--reps", type=int, default=5)
    options.add_argument("--scale", type=int, default=1, help="divide the number of targets, to try things out")
    options.add_argument("--markdown", action="store_true", help="print the last results, run nothing")
    chosen = options.parse_args()
    if chosen.markdown:
        print(markdown(kept()))
        return 0
    wanted = set(chosen.only.split(",")) if chosen.only else {script for script, *_ in SCRIPTS}
    unknown = wanted - {script for script, *_ in SCRIPTS}
    if unknown:
        options.error(f"{', '.join(sorted(unknown))}: no such script; known: {', '.join(s for s, *_ in SCRIPTS)}")
    failed = [run(script, arguments, chosen) for script, *arguments in SCRIPTS if script in wanted]
    print(table(kept()))
    return int(any(failed))


def run(script: str, arguments: list[str], chosen: argparse.Namespace) -> bool:
    """Whether it failed, by an error or by staying below half of a goal; its lines are kept either way."""
    path = FOLDER / f"{script}.py"
    if not path.exists():
        print(f"{script}: not there", file=sys.stderr)
        return False
    command = [sys.executable, str(path), *arguments, "--scale", str(chosen.scale)]
    command += [] if script in OWN_REPS else ["--reps", str(chosen.reps)]
    print(" ".join([script, *arguments]), end=" ... ", flush=True, file=sys.stderr)
    start = time.perf_counter()
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False)
    print(f"{time.perf_counter() - start:.0f} s, exit status {done.returncode}", file=sys.stderr)
    keep([json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")])
    return done.returncode != 0


def kept() -> list[dict[str, Any]]:
    return [json.loads(line) for line in RESULTS.read_text().splitlines()] if RESULTS.exists() else []


def keep(lines: list[dict[str, Any]]) -> None:
    """The newest lines of each script and workload."""
    again = {_key(line) for line in lines}
    order = [script for script, *_ in SCRIPTS]
    newest = [line for line in kept() if _key(line) not in again] + lines
    ranked = sorted(newest, key=lambda line: order.index(line["script"]) if line["script"] in order else len(order))
    RESULTS.write_text("".join(json.dumps(line) + "\n" for line in ranked))


def _key(line: dict[str, Any]) -> tuple[str, str]:
    return line["script"], line.get("workload", "") if line["script"] in BY_WORKLOAD else ""


def table(lines: list[dict[str, Any]]) -> str:
    """For the terminal."""
    rows = [(g["claim"], _goal(g), _measured(line, g), _verdict(g)) for line in lines for g in _goals(line)]
    widths = [max(len(row[i]) for row in [("",) * 4, *rows]) for i in range(4)]
    text = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
    text += [f"{_name(line)}: skipped, {line['skipped']}" for line in lines if "skipped" in line]
    return "\n".join(text + _reduced(lines))


def markdown(lines: list[dict[str, Any]]) -> str:
    """For docs/performance.md: the goals, then the peers of every workload, then the machine."""
    text = ["| workload | goal | measured | where the time goes |", "|---|---|---|---|"]
    text += [
        f"| {goal['claim']} | {_goal(goal)} | {_measured(line, goal)} ({_verdict(goal)}) | {_where(line, goal['field'])} |"
        for line in lines
        for goal in _goals(line)
    ]
    text += [f"| {_name(line)} | | not run: {line['skipped']} | |" for line in lines if "skipped" in line]
    for line in lines:
        if line["script"] in _TABLES and "skipped" not in line:
            text += ["", *_TABLES[line["script"]](line)]
    text += ["", *_reduced(lines)] + [_machine(line) for line in lines[:1] if "machine" in line]
    return "\n".join(text)


def _reduced(lines: list[dict[str, Any]]) -> list[str]:
    names = sorted({line["script"] for line in lines if line.get("scale", 1) != 1})
    return [f"Run with fewer targets, so no measure of the goals: {', '.join(names)}."] if names else []


def _peers(line: dict[str, Any]) -> list[str]:
    own = [name for name in PRECISIONS if name in line["methods"]]
    text = [
        f"{line['workload']} ({line['shape']['rows']} rows, {line['shape']['features']} features, "
        f"{line['shape']['targets']} targets; plain product {line['yardstick_gflops']} GFLOP/s)",
        "",
        f"| method | CPU s | wall s | repetitions | {' | '.join(f'times {name}' for name in own)} | share of product, of the fewest operations |",
        "|---|---|---|---|" + "---|" * len(own) + "---|",
    ]
    for name, method in line["methods"].items():
        ratios = [_number(line["speedup"][precision].get(name)) for precision in own]
        share = f"{_number(line['yardstick_share'][name])}, {_number(line['yardstick_share_least'][name])}"
        cells = [name, method["cpu_s"], method["wall_s"], method["reps"], *ratios, share]
        text.append("| " + " | ".join(map(str, cells)) + " |")
    return text


def _ways(line: dict[str, Any]) -> list[str]:
    shape, share, own = line["shape"], line["share_read"], list(line["ratio"])
    text = [
        f"{line['workload']} ({shape['layers']} layers of {shape['width']}, {shape['tokens']} tokens in windows of "
        f"{shape['window']}; plain products {', '.join(f'{n} {_number(r)}' for n, r in line['yardstick_gflops'].items())} GFLOP/s)",
        "",
        f"| way | ms per token | repetitions | {' | '.join(f'times {name}' for name in own)} | share of product, with what is read again |",
        "|---|---|---|" + "---|" * len(own) + "---|",
    ]
    for name, method in line["methods"].items():
        ratios = [_number(line["ratio"][precision].get(name)) for precision in own]
        shares = f"{_number(line['share'][name])}, {_number(share[name])}" if name in share else ""
        text.append(
            "| " + " | ".join([name, _number(method["ms_per_token"]), str(method["reps"]), *ratios, shares]) + " |"
        )
    return text


def _name(line: dict[str, Any]) -> str:
    return f"{line['script']} {line.get('workload', '')}".strip()


def _goals(line: dict[str, Any]) -> list[dict[str, Any]]:
    return line.get("goals", [])


def _goal(goal: dict[str, Any]) -> str:
    return f"≥ {_number(goal['at_least'])}" if "at_least" in goal else f"≤ {_number(goal['at_most'])}"


def _measured(line: dict[str, Any], goal: dict[str, Any]) -> str:
    reasons = [reason for name, reason in line.get("not_run", {}).items() if name in goal["field"].split(".")]
    return _number(goal["measured"]) or (f"not run: {reasons[0]}" if reasons else "not measured")


def _verdict(goal: dict[str, Any]) -> str:
    if goal["reached"] is None:
        return "-"
    return "met" if goal["reached"] >= 1 else "short" if goal["reached"] >= 0.5 else "below half"


def _where(line: dict[str, Any], field: str) -> str:
    """The three functions that take most, of the precision the goal is about; a line without precisions has them flat."""
    shares = line.get("where", {})
    named = [name for name in shares if name in field.split(".")]
    nested = any(isinstance(value, dict) for value in shares.values())
    shares = shares[named[0]] if named else next(iter(shares.values())) if nested else shares
    return ", ".join(f"{name} {share:.0%}" for name, share in list(shares.items())[:3])


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.3g}"


def _machine(line: dict[str, Any]) -> str:
    found = line["machine"]
    versions = ", ".join(f"{name} {version}" for name, version in found["versions"].items())
    return (
        f"{found['cpu']}, {found['threads']} thread(s) of {found['cores']} cores, Python {found['python']}, "
        f"{versions}, {'; '.join(found['blas'])}; load {found['load']} at the end."
    )


_TABLES = {"ridge": _peers, "extract": _ways}

if __name__ == "__main__":
    sys.exit(main())
