"""Which JSON files speak of an image: its own, and those above it, as BIDS lets them be inherited."""

import re
from pathlib import Path, PurePosixPath

_PAIR = re.compile(r"^([A-Za-z]+)-([A-Za-z0-9]+)$")
_ENDINGS = re.compile(r"\.(nii|nii\.gz|func\.gii|gii|dtseries\.nii|json|tsv)$")


def own_sidecar(name: str) -> str:
    """The sidecar that bears the image's own name."""
    return _stem(name) + ".json"


def sidecars(folder: Path, name: str) -> list[str]:
    """Names of the JSON files that apply to an image, outermost first, so that later ones win.

    A sidecar further up applies when its suffix is the image's and each of its
    entities is one of the image's. The search ends at the folder that holds
    `dataset_description.json`, or at the data set's own.
    """
    found, own = [], own_sidecar(name)
    wanted, suffix = _parsed(own)
    for place in reversed(_upwards(folder, PurePosixPath(name).parent)) if wanted else ():
        for path in sorted((folder / place).glob(f"*{suffix}.json")):
            entities, its = _parsed(path.name)
            if its == suffix and entities.items() <= wanted.items() and path.name != PurePosixPath(own).name:
                found.append((place / path.name).as_posix())
    return found + ([own] if (folder / own).is_file() else [])


def _upwards(folder: Path, place: PurePosixPath) -> list[PurePosixPath]:
    """The image's folder and those above it, up to the root of its data set."""
    places = [place]
    while place.name not in ("", "..") and not (folder / place / "dataset_description.json").is_file():
        place = place.parent
        places.append(place)
    return places


def _parsed(name: str) -> tuple[dict[str, str], str]:
    """Entities and suffix of a BIDS name; no entities for any other name."""
    *pairs, suffix = PurePosixPath(_stem(name)).name.split("_")
    found = [_PAIR.match(pair) for pair in pairs]
    return ({m[1]: m[2] for m in found if m}, suffix) if all(found) else ({}, suffix)


def _stem(name: str) -> str:
    while (shorter := _ENDINGS.sub("", name)) != name:
        name = shorter
    return name
