"""Do targets mean the same in two people? Only then may their responses be held against each other, target by target."""

import json
from typing import TYPE_CHECKING, Any

from pipeline.sensors import sensors_of

if TYPE_CHECKING:
    import xarray as xr

    from pipeline.recordings import Recording

# spaces in which a voxel or vertex is the same place in everyone (BIDS' standard template identifiers)
_STANDARD = (
    *("MNI", "ICBM", "fsaverage", "fsLR", "onavg", "Talairach", "OASIS", "NIHPD", "NKI", "PNC", "UNCInfant", "IXI549Space"),
    *("DHCP", "dhcp", "WHS"),
)  # fmt: skip
_BY_NAME = ("eeg", "csd", "label")  # electrodes of one cap, and regions of an atlas


def differing(recording: "Recording", label: str, own: "xr.Dataset", other: "xr.Dataset") -> str:
    """Why targets of one name are not the same thing in two people; empty where they are.

    Parameters
    ----------
    recording, label : the settings of the recording and its label in the study.
    own, other : a clean run of each person.
    """
    two = f"the targets of {own.attrs['subject']} and {other.attrs['subject']}"
    why = _why(recording, label, own, other)
    if not why and not set(own["target"].values.tolist()) & set(other["target"].values.tolist()):
        why = "no name of one is a name of the other"
    return f"{two} do not mean the same: {why}" if why else ""


def _why(recording: "Recording", label: str, own: "xr.Dataset", other: "xr.Dataset") -> str:
    common = getattr(recording, "common_targets", None)
    if common is not None:
        fix = f"say recordings.{label}.common_targets: true if they are parcels or electrodes that do"
        return "" if common else f"columns of a matrix may be components of each person's own decomposition; {fix}"
    if sensors_of(own) is not None:
        return _of_channels(own, other)
    return _of_places(own, other) if "space" in own.attrs else "nothing says where they lie"


def _of_channels(own: "xr.Dataset", other: "xr.Dataset") -> str:
    kinds = sorted({str(kind) for ds in (own, other) for kind in ds["channel_kind"].values} - set(_BY_NAME))
    if not kinds:
        return ""
    if set(kinds) & {"mag", "grad", "ref_meg"}:
        return f"each head lies differently under the sensors ({', '.join(kinds)})"
    return f"each person's electrodes ({', '.join(kinds)}) lie in places of their own"


def _of_places(own: "xr.Dataset", other: "xr.Dataset") -> str:
    if "place_target" in own and "place_target" in other:
        return ""  # parcels: people with other masks have the same ones
    spaces = [json.loads(ds.attrs["space"]) for ds in (own, other)]
    name = spaces[0]["name"]
    if not all(str(space["name"]).startswith(_STANDARD) for space in spaces):
        where = f"space {name}, each person's own" if name else "a space that nobody named"
        return f"they lie in {where}; use images in a standard space (MNI152NLin2009cAsym, fsaverage, fsLR), or parcels"
    return (
        ""
        if _mesh(spaces[0]) == _mesh(spaces[1])
        else f"they lie on different grids ({_told(spaces[0])}; {_told(spaces[1])})"
    )


def _mesh(space: dict[str, Any]) -> tuple[Any, ...]:
    """What makes places of one name the same place; an affine to a micrometre."""
    affine = space["affine"]
    rounded = None if affine is None else [[round(value, 3) for value in row] for row in affine]
    return space["kind"], space["name"], space["shape"], rounded, space["n_vertices"]


def _told(space: dict[str, Any]) -> str:
    return f"{space['name']} {space['shape'] or space['n_vertices'] or space['kind']}"
