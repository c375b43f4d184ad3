"""The three kinds of page: one for a subject, one for the group, one that leads to them.

Every page is one file that asks nothing of anyone: no script, no request, and
whatever a name or a text holds comes out as text.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import jinja2

from pipeline.report.kinds import is_twin, kind_of
from pipeline.report.networks import networks_sentences, networks_table
from pipeline.report.parts import GroupPage, IndexPage, Networks, SubjectPage
from pipeline.report.result import group_light, group_sentences, subject_light, subject_sentences
from pipeline.report.tables import Table
from pipeline.report.views import GroupView, RecordingView, group_view, recording_view
from pipeline.report.words import name, plural, relative_link, without_folders

_ENVIRONMENT = jinja2.Environment(
    autoescape=True,
    loader=jinja2.PackageLoader("pipeline.report", "."),
    undefined=jinja2.StrictUndefined,
    finalize=without_folders,
    trim_blocks=True,
    lstrip_blocks=True,
)
_ENVIRONMENT.filters.update(plain=name, link=relative_link)
_ENVIRONMENT.globals.update(plural=plural)
_ENVIRONMENT.tests["mapping"] = lambda value: isinstance(value, Mapping)


def subject_page(page: SubjectPage) -> str:
    """One subject: the result in a sentence, what was used, alignment, profiles, tables, warnings, provenance."""
    views = [
        recording_view(part, i, subject=page.subject, leaky=page.leaky, networks=page.networks)
        for i, part in enumerate(page.recordings)
    ]
    light, reason = subject_light(page)
    return _render(
        "subject.html",
        page=page,
        recordings=views,
        light=light,
        reason=reason,
        sentences=subject_sentences(page),
        record=_record(page.provenance),
        **_shared(views, page.networks),
    )


def group_page(page: GroupPage) -> str:
    """All subjects: who is in, the mean beside each of them, comparisons; below three subjects nothing is inferred."""
    views = [group_view(part, i, leaky=page.leaky, networks=page.networks) for i, part in enumerate(page.recordings)]
    light, reason = group_light(page)
    return _render(
        "group.html",
        page=page,
        recordings=views,
        light=light,
        reason=reason,
        sentences=group_sentences(page),
        record=_record(page.provenance),
        subjects=_subjects(page),
        **_shared(views, page.networks),
    )


def index_page(page: IndexPage) -> str:
    """Where everything of a study is, with the result of each page in a line."""
    return _render("index.html", page=page)


def _render(template: str, **values: Any) -> str:
    return _ENVIRONMENT.get_template(template).render(**values)


def _shared(views: Sequence[RecordingView | GroupView], networks: Sequence[Networks]) -> dict[str, Any]:
    """What both kinds of page tell of the networks, and what their reader has to be told."""
    weights = dict.fromkeys(w for view in views for w in view.weights if is_twin(w))
    known = plural(sum(len(one.loss) for one in networks), "network")
    return {
        "any_ceiling": any(view.ceiling.valid for view in views),
        "kinds": [kind_of(w) for w in weights],
        "any_steps": any(view.trajectories for view in views),
        "networks": networks_table(networks, f"Loss of each network on the stimulus text, N = {known}"),
        "networks_told": networks_sentences(networks),
    }


def _subjects(page: GroupPage) -> Sequence[tuple[str, str, str]]:
    """(subject, link or nothing, what became of it), everyone who was asked or named anywhere."""
    everyone = dict.fromkeys([*page.asked, *page.used, *page.excluded])
    rows = []
    for subject in everyone:
        fate = "used" if subject in page.used else f"excluded: {page.excluded.get(subject) or 'no reason was recorded'}"
        rows.append((subject, relative_link(page.links.get(subject, "")), fate))
    return rows


def _record(provenance: Mapping[str, Any]) -> dict[str, Any]:
    """Provenance in the parts a reader looks for; what has no place of its own comes under "other"."""
    known = ("command", "versions", "inputs", "settings")
    tables = {
        "versions": _pairs(provenance.get("versions"), "Versions", ("package", "version")),
        "inputs": _pairs(provenance.get("inputs"), "Inputs and their checksums", ("input", "sha256")),
    }
    other = {key: value for key, value in provenance.items() if key not in known}
    return {
        "command": provenance.get("command", ""),
        "settings": provenance.get("settings", {}),
        "other": other,
    } | tables


def _pairs(values: Any, caption: str, columns: tuple[str, str]) -> Table | None:
    if not isinstance(values, Mapping) or not values:
        return None
    return Table(caption, columns, [[str(key), name(value) or "n/a"] for key, value in values.items()])
