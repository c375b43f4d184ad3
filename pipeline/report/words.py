"""Numbers and names as people read them. A missing number is n/a, never 0; a negative one keeps its sign."""

import math
import re
from numbers import Real
from typing import Any

from markupsafe import Markup

MISSING = "n/a"

_HOME = re.compile(r"(?:file://)?/(?:home|Users)/[^/\n\"'<>]+")
_ABSOLUTE = re.compile(r"(?:file://|(?<![\w./~…]))(?:[A-Za-z]:)?[/\\](?:[^\s/\\\"'<>:,;]+[/\\])+")
_RELATIVE_LINK = re.compile(r"^[A-Za-z0-9_-][A-Za-z0-9_.-]*(/[A-Za-z0-9_-][A-Za-z0-9_.-]*)*$")


def number(value: Any, digits: int = 3) -> str:
    """A number with a true minus sign; n/a when it is missing or not finite."""
    if not is_number(value):
        return MISSING
    return f"{float(value) + 0.0:.{digits}f}".replace("-", "−")


def count(value: Any) -> str:
    """A whole number; n/a when missing."""
    return number(value, 0) if is_number(value) and float(value) == round(float(value)) else number(value, 1)


def percent(value: Any) -> str:
    """A share of 1 as a percentage, without the sign."""
    return number(100 * float(value), 0) if is_number(value) else MISSING


def probability(value: Any) -> str:
    """A p or q value; the smallest are told as a bound."""
    return "< 0.001" if is_number(value) and 0 <= float(value) < 0.001 else number(value)


def interval(low: Any, high: Any) -> str:
    """[low, high], or what is missing."""
    if not is_number(low) and not is_number(high):
        return "[no interval]"
    return f"[{number(low)}, {number(high)}]"


def is_number(value: Any) -> bool:
    """True for a finite number."""
    return isinstance(value, Real) and math.isfinite(value)


def name(value: Any) -> str:
    """A cell of a table as text: whole numbers without a point, missing as empty."""
    if value is None or value != value or value == MISSING:
        return ""
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)


def plural(n: int, word: str) -> str:
    """1 word, 2 words."""
    return f"{n} {word}" if n == 1 else f"{n} {word}s"


def shorten(text: str, limit: int) -> str:
    """One line of at most `limit` characters; an ellipsis tells what was cut."""
    line = "".join(c if c.isprintable() else " " for c in text)
    return line if len(line) <= limit else line[: limit - 1] + "…"


def without_folders(value: Any) -> Any:
    """Text without the folders of absolute paths: pages travel, and folders name people and machines.

    Applied to whatever a template prints. Our own markup passes untouched,
    and a missing value is n/a.
    """
    if value is None:
        return MISSING
    if isinstance(value, Markup) or not isinstance(value, str):
        return value
    return _ABSOLUTE.sub("…/", _HOME.sub("…", value))


def relative_link(href: str) -> str:
    """The address if it stays inside the study's folder, otherwise nothing: no scheme, no way up, no root."""
    return href if _RELATIVE_LINK.match(href) and len(href) <= 300 else ""
