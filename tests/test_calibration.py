"""A few seeds of every quick cell of the calibration, and the page that shows all of them."""

import numpy as np
import pytest

from calibration import __main__ as command
from calibration import table
from calibration.harness import CELLS, Bound, Cell, at_least, at_most, cell, measure, summary, within

ALL = table.load()
QUICK = [one for one in ALL if one.quick]


@pytest.mark.parametrize("one", QUICK, ids=lambda one: f"{one.id}-{one.name}")
def test_a_few_seeds_lie_within_the_bound(one: Cell):
    found = measure(one, one.quick)
    assert found.met, f"{found.mean:.4g}, must be {one.bound}"


def test_the_page_shows_the_rows_of_the_code_and_each_is_met():
    rows = [line for line in table.PAGE.read_text(encoding="utf-8").splitlines() if line.startswith("| B")]
    assert [row for row in rows if not row.endswith("| yes |")] == []
    shown = [(" |".join(row.split(" |")[:3]) + " |", row.split("|")[5].strip()) for row in rows]
    assert shown == [(table.labels(one), str(one.seeds)) for one in ALL]


@pytest.mark.parametrize(
    ("bound", "inside", "outside"),
    [(at_most(0.05), 0.05, 0.051), (at_least(0.2), 0.2, 0.199), (within(0.01, 0.5), 0.49, 0.52)],
)
def test_a_bound_holds_at_its_end_and_not_beyond(bound: Bound, inside: float, outside: float):
    assert bound.holds(inside) and not bound.holds(outside) and not bound.holds(np.nan)


def test_a_row_is_the_mean_and_its_standard_error():
    one = Cell("B1", "a die", lambda seed: float(seed), within(0.6, 2), 20, 0, True)
    found = summary(one, [1.0, 2.0, 4.0])
    assert found.mean == pytest.approx(7 / 3) and found.error == pytest.approx(np.sqrt(7 / 9))
    assert table.row(one, found) == "| B1 | *a die* | 1.4 to 2.6 | 2.333 ± 0.88 | 3 | yes |"


def test_a_seed_without_a_number_fails_its_cell():
    one = Cell("B1", "nothing", lambda seed: np.nan if seed == 1 else 0.0, within(1), 20, 0, False)
    assert not measure(one, 3).met


@pytest.mark.parametrize(
    ("id", "name", "bound", "seeds", "told"),
    [
        ("6", "a cell", at_most(1), 20, "must be B and a number"),
        ("B6", "r or |r|", at_most(1), 20, "would end a column"),
        ("B6", "a cell", Bound(-np.inf, np.inf), 20, "cannot be missed"),
        ("B6", "a cell", at_most(1), 19, "at least 20"),
        (ALL[0].id, ALL[0].name, at_most(1), 20, "twice"),
    ],
)
def test_a_cell_that_proves_nothing_is_refused(id: str, name: str, bound: Bound, seeds: int, told: str):
    before = list(CELLS)
    with pytest.raises(ValueError, match=told):
        cell(id, name, bound, seeds=seeds)
    assert before == CELLS


def test_cells_of_one_number_and_seed_run_together_and_each_keeps_its_own_values(monkeypatch):
    seen: list[float] = []

    def first(seed: int) -> float:
        seen.append(seed)
        return float(seed)

    def second(seed: int) -> float:
        return float(seen[-1] == seed)  # only where the first of the same seed has just run in this process

    cells = [
        Cell("B99", "first", first, within(0, 9.5), 20, 0, False),
        Cell("B99", "second", second, at_least(1), 20, 0, False),
    ]
    monkeypatch.setattr(table, "load", lambda: cells)
    found = table.run(cells, 2)
    assert [measured.met for _, measured, _ in found] == [True, True] and all(seconds >= 0 for *_, seconds in found)


def test_a_cell_outside_its_bound_is_an_error_and_a_part_of_the_table_writes_nothing(monkeypatch, capsys):
    before = table.PAGE.read_bytes()
    monkeypatch.setattr(table, "load", lambda: [Cell("B99", "too much", lambda seed: 2.0, at_most(1), 20, 0, False)])
    assert command.main(["--only", "B99", "--processes", "1"]) == 1
    assert "| B99 | too much | ≤ 1 | 2 ± 0 | 20 | **no** |" in capsys.readouterr().out
    assert table.PAGE.read_bytes() == before


def test_an_unknown_id_is_said_with_those_that_are_known(capsys):
    with pytest.raises(SystemExit) as stopped:
        command.main(["--only", "B999"])
    assert stopped.value.code == 2 and "no cell is called B999" in capsys.readouterr().err
