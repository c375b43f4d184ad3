"""Weights that change under the same name: their hash is kept at first use, and compared ever after.

A flipped bit loads like any other, and a checkpoint fetched anew under an old
name would go unnoticed: every file it came from looks whole.
"""

import json
from collections.abc import Mapping
from typing import Any

from pipeline import arrays
from pipeline.jobs import Job
from pipeline.models.refusals import changed_since
from pipeline.problems import StudyError

_HASH = "weights_sha256"


def compare(job: Job, facts: Mapping[str, Any]) -> None:
    """Keep the hash of every network read from files, or refuse one that is not what it was.

    Networks made from a seed follow from these; what the study trains itself
    may be trained anew; and with `sha256` the study says what it wants.
    """
    settings = job.settings["model"]
    names = {k: str(v) for k, v in facts.items() if k.startswith(_HASH) and not k.startswith(f"{_HASH}_seed")}
    # the hash of word vectors is over the table alone
    source = json.dumps([settings.get(name, "") for name in ("kind", "name", "file", "revision")])
    if not names or "${STUDY}" in source:
        return
    path = job.out.weights(job.model)
    known = json.loads(arrays.load_text(path)) if path.exists() else {}
    before = known.get(source, {})
    moved = [name for name, value in names.items() if before.get(name, value) != value]
    if moved and not settings.get("sha256"):
        raise StudyError(changed_since(source, moved[0], names[moved[0]], before[moved[0]], path.name))
    if names != before:
        text = json.dumps(known | {source: before | names}, indent=1, sort_keys=True) + "\n"
        arrays.save_text(text, path, stage="activate", settings={}, inputs={})
