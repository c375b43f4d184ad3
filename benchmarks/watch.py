"""Peak memory of a process, read from outside while it works.

The process prints what it holds before it begins (`told`), waits for a line,
works, and prints again. Until then /proc/PID/status is read every two
milliseconds. RssAnon is the memory the process itself has written; pages of
files that it reads are not in it, for the kernel takes them back when needed.
"""

import json
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

INTERVAL_S = 0.002
MIB = 1024  # /proc counts in KiB


def supported() -> bool:
    return Path("/proc/self/status").exists()


def peaks(command: list[str]) -> dict[str, float]:
    """Peaks in MiB above what the process held before it began."""
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as run:
        assert run.stdin and run.stdout
        before = json.loads(run.stdout.readline())
        peak, done = dict(before), threading.Event()
        watcher = threading.Thread(target=_watch, args=(run.pid, peak, done))
        watcher.start()
        print("go", file=run.stdin, flush=True)
        after = json.loads(run.stdout.readline())
        done.set()
        watcher.join()
    above = {name: (max(peak[name], after[name]) - before[name]) / MIB for name in ("RssAnon", "RssFile", "VmRSS")}
    return {
        "anonymous": above["RssAnon"],
        "file": above["RssFile"],
        "resident": above["VmRSS"],
        "high_water": (after["VmHWM"] - before["VmRSS"]) / MIB,
        "before": before["VmRSS"] / MIB,
    }


def watched(work: Callable[[], Any]) -> Any:
    """In the process itself: say what is held, wait for the word, work, say so again."""
    print(json.dumps(status("self")), flush=True)
    sys.stdin.readline()
    answer = work()
    print(json.dumps(status("self")), flush=True)
    return answer


def status(pid: int | str) -> dict[str, int]:
    """KiB."""
    wanted = ("VmRSS", "VmHWM", "RssAnon", "RssFile")
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except OSError:  # it has just ended
        return {}
    pairs = (line.split(":", 1) for line in lines if ":" in line)
    return {name: int(value.split()[0]) for name, value in pairs if name in wanted}


def _watch(pid: int, peak: dict[str, int], done: threading.Event) -> None:
    while not done.is_set():
        for name, value in status(pid).items():
            peak[name] = max(peak[name], value)
        time.sleep(INTERVAL_S)
