"""Run the calibration and write its table.

python -m calibration                  all cells, on all cores; writes docs/calibration.md
python -m calibration --only B6,B7     some of them; prints, writes nothing
"""

import argparse
import sys
import time

from calibration import table


def main(argv: list[str]) -> int:
    """0 where every cell lies within its bound, 1 where one does not, 2 for an id that no cell has."""
    options = argparse.ArgumentParser(prog="python -m calibration", description="Run the calibration.")
    options.add_argument("--only", default="", help="ids of some cells, such as B6,B7")
    options.add_argument("--processes", type=int, default=None, help="all cores by default")
    told = options.parse_args(argv)
    try:
        cells = table.chosen(table.load(), told.only)
    except ValueError as error:
        options.error(str(error))
    start = time.perf_counter()
    found = table.run(cells, told.processes)
    for one, measured, seconds in found:
        print(f"{seconds:7.1f} s {table.row(one, measured)}")
    missed = [one for one, measured, _ in found if not measured.met]
    print(f"{len(found)} cells, {len(missed)} outside their bounds; {time.perf_counter() - start:.0f} s")
    if not told.only:
        table.PAGE.write_text(table.page(found), encoding="utf-8")
    return int(bool(missed))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
