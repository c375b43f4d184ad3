"""What can be wrong with a study, told in the user's words.

A `Problem` is one finding: what, in which file and field, the value that was
found, what would be right and how to mend it. `StudyError` carries one or many
of them, so that all are listed at once and not only the first.
"""

from typing import Literal, NamedTuple

EXIT_OK, EXIT_USAGE, EXIT_DATA, EXIT_MODEL, EXIT_ENVIRONMENT, EXIT_PARTIAL = 0, 2, 3, 4, 5, 6
EXIT_INTERNAL, EXIT_INTERRUPTED = 70, 130

_EXIT_OF_AREA = {"CONFIG": EXIT_USAGE, "MODEL": EXIT_MODEL, "ENV": EXIT_ENVIRONMENT}


class Problem(NamedTuple):
    """One thing that is wrong, or (as a warning) worth a look.

    `code` reads E-<AREA>-<nn> for what stops the work and W-<AREA>-<nn> for
    what goes on with a warning; areas are CONFIG, DATA, WORDS, ARRAY, FMRI,
    SPLIT, MODEL, ENV, CANARY, STAT. `subject` or `model` says whose work it stops; both
    empty means the whole study's.
    """

    code: str
    summary: str
    file: str = ""
    field: str = ""
    found: str = ""
    expected: str = ""
    why: str = ""
    fix: str = ""
    subject: str = ""
    model: str = ""

    @property
    def level(self) -> Literal["error", "warning"]:
        return "error" if self.code.startswith("E-") else "warning"

    @property
    def exit_code(self) -> int:
        return _EXIT_OF_AREA.get(self.code.split("-")[1], EXIT_DATA)

    def __str__(self) -> str:
        # mistakes of a study file are a list of their own: the file first
        rows = [self.summary if self.code == "E-CONFIG-02" else f"{self.code} {self.summary}"]
        for name in ("file", "field", "found", "expected", "why", "fix"):
            if value := getattr(self, name):
                rows.append(f"  {name + ':':<10}{value}")
        return "\n".join(rows)


class StudyError(Exception):
    """The work cannot go on; carries every problem that was found."""

    def __init__(self, *problems: Problem):
        self.problems = problems
        super().__init__("\n".join(str(p) for p in problems))

    @property
    def exit_code(self) -> int:
        return self.problems[0].exit_code if self.problems else EXIT_INTERNAL


def shown(value: object, limit: int = 80) -> str:
    """The value as a person can read it in one line: repr, at most `limit` characters."""
    text = repr(value)
    return text if len(text) <= limit else text[: limit - 1] + "…"
