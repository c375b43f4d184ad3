"""The base of everything that can be chosen in a study, and how its mistakes are told."""

import difflib
import json
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, ClassVar, NamedTuple, Union, get_args, get_origin

import yaml
from pydantic import BaseModel, ConfigDict, Discriminator, StringConstraints, Tag, ValidationError

from pipeline.problems import Problem, StudyError, shown

Label = Annotated[
    str, StringConstraints(pattern=r"^[A-Za-z0-9]+$", max_length=50)
]  # several of them make one file name

_VARIABLE = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)(?::-([^}]*))?\}")
_INTEGER = re.compile(r"^[-+]?[0-9]+$")
_FLOAT = re.compile(r"^[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?$|^[-+]?\.(inf|Inf|INF)$|^\.(nan|NaN|NAN)$")
_MOST_NODES = 100_000  # aliases can make a small file expand without end


class Settings(BaseModel):
    """Choices of one component: frozen, described, and closed to unknown keys.

    `version` goes up whenever the component's results change for the same
    settings; it travels with the settings into every job and record, so old
    results are computed again.
    """

    # built when it is first used: a job has use for three components of thirty, and building all took a sixth of its start
    model_config = ConfigDict(extra="forbid", frozen=True, defer_build=True)
    version: ClassVar[int] = 1

    def dump(self, *, without: frozenset[str] = frozenset()) -> dict[str, Any]:
        """The settings and the component's version as plain JSON values."""
        return self.model_dump(mode="json", exclude=set(without)) | {"version": self.version}


def one_of(table: Mapping[str, type[Settings]]) -> Any:
    """The type "any component of this table", told apart by its `kind`."""

    def kind_of(value: Any) -> Any:
        return value.get("kind") if isinstance(value, dict) else getattr(value, "kind", None)

    # subscripting Union with a tuple: the members are known only when the table is
    members = tuple(Annotated[component, Tag(kind)] for kind, component in table.items())
    return Annotated[Union[members], Discriminator(kind_of)]  # noqa: UP007


def build(table: Mapping[str, type[Settings]], settings: dict[str, Any]) -> Any:
    """The component that `dump` described; a version of another release is refused."""
    component = table[settings["kind"]]
    if settings.get("version", component.version) != component.version:
        raise StudyError(
            Problem(
                "E-CONFIG-10",
                f"{settings['kind']}: settings of another release",
                found=f"version {settings['version']}",
                expected=f"version {component.version}",
                fix="start the run again with this release: it plans its jobs anew",
            )
        )
    return component.model_validate({k: v for k, v in settings.items() if k != "version"})


def expand(text: str, study_dir: Path | str = "") -> str:
    """Fill `${NAME}` and `${NAME:-default}` from the environment; `${STUDY}` is the study's own folder.

    Settings keep the text as written, so that no record depends on where a
    study lies; this is called where a path is opened.
    """

    def value(match: re.Match[str]) -> str:
        name, default = match.groups()
        known = str(study_dir) if name == "STUDY" and study_dir else os.environ.get(name) or default
        if known is None:
            raise StudyError(
                Problem(
                    "E-CONFIG-03",
                    "a path names an environment variable that is not set",
                    field=name,
                    found=shown(text),
                    fix=f"export {name}=/path/to/it, or write ${{{name}:-default}} in the study",
                )
            )
        return known

    return _VARIABLE.sub(value, text)


class Source(NamedTuple):
    """A YAML file as data, with the line and the written text of every value."""

    data: dict[str, Any]
    lines: dict[tuple[str | int, ...], int]
    texts: dict[tuple[str | int, ...], str]


def read_yaml(path: Path) -> Source:
    """Read YAML as data only: numbers by YAML 1.2, no tags, no duplicate keys.

    PyYAML's own constructor follows YAML 1.1, where 010 is 8, `off` is False
    and 1e-3 is text; only its parser is used here.
    """
    try:
        root = yaml.compose(path.read_text(encoding="utf-8-sig"), Loader=yaml.SafeLoader)
    except FileNotFoundError:
        raise _unreadable(path, f"not found; looked in {path.parent.resolve().name}/") from None
    except (yaml.YAMLError, UnicodeDecodeError, OSError) as error:
        raise _unreadable(path, " ".join(str(error).split())) from None
    source = Source({}, {}, {})
    problems: list[str] = []
    data = _plain(root, (), source, problems) if root is not None else {}
    if not isinstance(data, dict):
        problems.append(f"the file holds {shown(data)}; a study is a list of `name: value` lines")
    if problems:
        raise StudyError(told(path, problems))
    return Source(data, source.lines, source.texts)


def _unreadable(path: Path, reason: str) -> StudyError:
    return StudyError(Problem("E-CONFIG-01", "the study cannot be read", file=str(path), found=reason))


def told(path: Path | str, lines: list[str]) -> Problem:
    """All mistakes of one study file as one problem, the way people read them."""
    count = f"{len(lines)} problem" + "s" * (len(lines) != 1)
    return Problem("E-CONFIG-02", f"{path}: {count}\n" + "\n".join(f"  {line}" for line in lines))


def _plain(node: yaml.Node, path: tuple[str | int, ...], source: Source, problems: list[str]) -> Any:
    source.lines[path] = node.start_mark.line + 1
    if len(source.lines) > _MOST_NODES:
        raise StudyError(Problem("E-CONFIG-01", f"more than {_MOST_NODES} values: this is no study file"))
    if not node.tag.startswith("tag:yaml.org,2002:") or ":python/" in node.tag:
        problems.append(f"{dotted(path)} (line {source.lines[path]}): the tag {node.tag!r} is not allowed")
        return None
    if isinstance(node, yaml.MappingNode):
        return _mapping(node, path, source, problems)
    if isinstance(node, yaml.SequenceNode):
        return [_plain(item, (*path, i), source, problems) for i, item in enumerate(node.value)]
    source.texts[path] = node.value
    return _scalar(node.value) if node.style is None else node.value


def _mapping(node: yaml.MappingNode, path: tuple, source: Source, problems: list[str]) -> dict[str, Any]:
    result: dict[str, Any] = {}
    for key_node, value_node in node.value:
        key, line = str(key_node.value), key_node.start_mark.line + 1
        if key in result:
            first = source.lines[(*path, key)]
            problems.append(f"{dotted((*path, key))} (line {line}): set twice; the first is in line {first}")
            continue
        result[key] = _plain(value_node, (*path, key), source, problems)
        source.lines[(*path, key)] = line
    return result


def _scalar(text: str) -> Any:
    if text in ("", "~", "null"):
        return None
    if text in ("true", "false"):
        return text == "true"
    if _INTEGER.match(text) and len(text) <= 40:
        return int(text)
    return float(text.replace(".inf", "inf").replace(".nan", "nan")) if _FLOAT.match(text) else text


def plain(node: yaml.Node, path: tuple[str | int, ...], source: Source) -> Any:
    """The value of a parsed YAML node; mistakes in it are a ValueError."""
    problems: list[str] = []
    value = _plain(node, path, source, problems)
    if problems:
        raise ValueError("; ".join(problems))
    return value


def dotted(path: tuple[str | int, ...]) -> str:
    """`("models", "gpt2", "seeds", 0)` as `models.gpt2.seeds[0]`."""
    return "".join(f"[{p}]" if isinstance(p, int) else f".{p}" for p in path).lstrip(".")


def explain(error: ValidationError, root: type[Settings], source: Source) -> list[str]:
    """Every mistake in the user's words: where, which line, what would be right."""
    return list(dict.fromkeys(_told(e, root, source) for e in error.errors()))


def _told(error: dict[str, Any], root: type[Settings], source: Source) -> str:
    path = _path_in(source.data, error["loc"])
    line = next((source.lines[path[:n]] for n in range(len(path), -1, -1) if path[:n] in source.lines), 1)
    return f"{dotted(path) or 'study'} (line {line}): {_reason(error, path, root, source)}"


def _path_in(data: Any, loc: tuple[str | int, ...]) -> tuple[str | int, ...]:
    """pydantic's location without the names of union members, which are not in the file."""
    path: list[str | int] = []
    for i, step in enumerate(loc):
        known = (isinstance(data, dict) and step in data) or (isinstance(data, list) and isinstance(step, int))
        if not known and i < len(loc) - 1:
            continue
        if not known and isinstance(data, dict) and step == data.get("kind"):
            continue
        path.append(step)
        data = data[step] if known else None
    return tuple(path)


def _reason(error: dict[str, Any], path: tuple, root: type[Settings], source: Source) -> str:
    kind, value, context = error["type"], error["input"], error.get("ctx", {})
    if kind == "extra_forbidden":
        return f"unknown setting{_nearest(str(path[-1]), known_settings(root, source.data, path[:-1]))}"
    if kind == "missing":
        return "is missing; it has no default"
    if kind.startswith("union_tag"):
        tag = value.get("kind") if isinstance(value, dict) else value
        names = known_kinds(root, path)
        if tag is None:
            return f"has no 'kind'; known: {', '.join(map(repr, sorted(names)))}"
        return f"kind {tag!r} is not known; known: {', '.join(map(repr, sorted(names)))}{_nearest(str(tag), names, listed=True)}"
    if kind == "literal_error":
        names = re.findall(r"'([^']+)'", context["expected"])
        return f"{value!r} is not known; known: {', '.join(map(repr, sorted(names)))}{_nearest(str(value), names, listed=True)}"
    if kind == "string_type" and isinstance(value, int | float) and not isinstance(value, bool):
        text = source.texts.get(path, str(value))
        return f'{text} is a number in YAML; quote it: "{text}"'
    if kind == "string_pattern_mismatch":
        return f"{shown(value)} is no label; use letters and digits only (A-Z, a-z, 0-9)"
    message = error["msg"].removeprefix("Value error, ").removeprefix("Input ")
    return f"{shown(value)}: {message}" if not kind.startswith("value_error") else message


def _nearest(name: str, names: list[str], *, listed: bool = False) -> str:
    near = difflib.get_close_matches(name, names, n=1, cutoff=0.6)
    if near:
        return f"; did you mean {near[0]!r}?"
    return f"; known: {', '.join(sorted(names))}" if names and not listed else ""


def known_kinds(root: type[Settings], path: tuple[str | int, ...]) -> list[str]:
    """The kinds of component that may stand at `path`, a section or an entry of one."""
    annotation = root.model_fields[str(path[0])].annotation
    union = get_args(annotation)[1] if get_origin(annotation) is dict else annotation
    union = get_args(union)[0] if get_origin(union) is Annotated else union
    members = [get_args(m)[0] if get_origin(m) is Annotated else m for m in get_args(union) or (union,)]
    return [m.model_fields["kind"].default for m in members if hasattr(m, "model_fields") and "kind" in m.model_fields]


def known_settings(root: type[Settings], data: Any, path: tuple[str | int, ...]) -> list[str]:
    """Names of the settings that the component at `path` has."""
    component: Any = root
    for step in path:
        data = data[step] if isinstance(data, dict | list) else None
        if isinstance(component, type) and issubclass(component, BaseModel):
            component = component.model_fields[step].annotation
            if get_origin(component) is dict:
                continue
        elif get_origin(component) is dict:
            component = get_args(component)[1]
        component = _member(component, data)
    return list(component.model_fields) if hasattr(component, "model_fields") else []


def _member(annotation: Any, data: Any) -> Any:
    if get_origin(annotation) is Annotated:
        annotation = get_args(annotation)[0]
    for option in get_args(annotation):
        bare = get_args(option)[0] if get_origin(option) is Annotated else option
        fields = getattr(bare, "model_fields", {})
        wanted = data.get("kind") if isinstance(data, dict) else None
        if fields and ("kind" not in fields or fields["kind"].default == wanted):
            return bare
    return annotation


def as_json(value: Any) -> str:
    """JSON with sorted keys and no spaces: the same settings are the same text."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
