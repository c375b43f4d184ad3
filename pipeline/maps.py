"""Scores go back to the brain: NIfTI, GIFTI and CIFTI maps with BIDS-derivatives names and sidecars."""

import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from jaxtyping import Float

from pipeline import arrays
from pipeline.comparison.networks import MEAN, NESTED, Scored, scored
from pipeline.painting import GRAYORDINATES, SURFACE, VOLUME, images
from pipeline.recordings.scans import kind_of
from pipeline.recordings.surfaces import partner, side_of, space_label
from pipeline.runs import Run
from pipeline.samples import ALL
from pipeline.space import HEMISPHERES, Space

if TYPE_CHECKING:
    import xarray as xr


_LAYERS = "Layers"  # ends the label of the maps of all layers
NO_CEILING = "none"


class Maps(NamedTuple):
    """Maps of one kind that stand in one file: `values` as they are, never clipped, nan where there is none.

    `desc` and `stat` are BIDS labels; `about` goes into the sidecar.
    """

    desc: str
    stat: str
    names: tuple[str, ...]
    values: Float[np.ndarray, "map target"]
    about: Mapping[str, Any]


def of_scores(scores: "xr.Dataset", ceiling: "xr.Dataset | None" = None) -> list[Maps]:
    """One model's r at the layer it chose for itself and at every layer, and every ceiling.

    r is the mean over folds, over seeds where there are some, and of
    checkpoints the last. The layer is that of `comparison`: chosen on inner
    folds over all targets.
    """
    tested = scores["fold_of"].values >= 0
    found = _standing(scored(scores, ALL, tested))
    model = str(scores.attrs["model"])
    layers = [s for s in found if s.layer != NESTED]
    nested = found[-1]
    tops = of_ceiling(ceiling) if ceiling is not None else []
    about = (
        {"Model": model, "Units": "1"}
        | _networks(nested)
        | {"Ceilings": [_told_of(top) for top in tops if top.about["NumberOfValidTargets"]]}
    )
    chosen = {"Description": f"r of {model} {_AT_CHOICE}", "LayersChosen": nested.chosen.split()}
    every = {"Description": f"r of {model} {_AT_EVERY}", "Layers": [s.layer for s in layers]}
    maps = [
        Maps(label(model), "r", (NESTED,), nested.r[None], about | chosen),
        Maps(f"{label(model)}{_LAYERS}", "r", tuple(s.layer for s in layers), np.stack([s.r for s in layers]), about | every),
    ]  # fmt: skip
    return maps + tops


def of_ceiling(ceiling: "xr.Dataset") -> list[Maps]:
    """Each ceiling that was asked for; nan where it is not valid, for nothing may be divided by it there."""
    maps = []
    for kind in (str(name) for name in ceiling.data_vars if f"{name}_valid" in ceiling and name != NO_CEILING):
        valid = ceiling[f"{kind}_valid"].values > 0
        facts = ceiling[kind].attrs
        about = {"Description": facts["long_name"], "Units": "1", "NumberOfValidTargets": int(valid.sum())}
        about |= {"WhyNone": facts["reason"]} if facts.get("reason") else {}
        values = np.where(valid, ceiling[kind].values.astype(float), np.nan)
        maps.append(Maps(label(kind), "ceiling", (kind,), values[None], about))
    return maps


def file_name(
    subject: str, recording: str, space: str, desc: str, stat: str, *, hemi: str = "", ending: str = VOLUME
) -> str:
    """`sub-01_hemi-L_space-fsaverage5_recording-fmri_desc-trained_stat-r_statmap.func.gii`, entities in BIDS' order."""
    entities = {"sub": subject, "hemi": hemi, "space": space, "recording": recording, "desc": desc, "stat": stat}
    told = "_".join(f"{entity}-{label(value)}" for entity, value in entities.items() if label(value))
    return f"{told}_statmap{ending}"


def names(
    subject: str, recording: str, run: Run, models: Sequence[str], ceilings: Sequence[str], folder: Path | None = None
) -> list[str]:
    """Every file that `write` will write, known before anything is read: each map of `of_scores`, then its sidecar.

    `folder` is that of the data set, in which the partner of a left
    hemisphere is looked for; without it there is one.
    """
    which = [(desc, "r") for model in models for desc in (label(model), f"{label(model)}{_LAYERS}")]
    which += [(label(kind), "ceiling") for kind in ceilings if kind != NO_CEILING]
    space = space_label(run.responses[0], run)
    found = []
    for desc, stat in which:
        for side, ending in _parts(run.responses[0], folder):
            name = file_name(subject, recording, space, desc, stat, hemi=side, ending=ending)
            found += [name, _sidecar_name(name, ending)]
    return found


def label(text: str) -> str:
    """Letters and digits only: all that BIDS permits in a label."""
    return re.sub(r"[^A-Za-z0-9]", "", text)


def sidecar(maps: Maps, space: Space, sources: Sequence[str] = ()) -> dict[str, Any]:
    """What the JSON beside a map says: what it is, of which model and layers, in which space, made of which files."""
    known = np.isfinite(maps.values).any(axis=0)
    return {
        **maps.about,
        "Maps": list(maps.names),
        "NumberOfTargets": int(known.size),
        "NumberOfTargetsWithoutValue": int((~known).sum()),
        "Space": space.name or "not told",
        "SpaceKind": space.kind,
        "Parcels": bool(space.target_of),
        "MissingValue": "NaN",
        "Sources": list(sources),
    }


def write(
    maps: Sequence[Maps], folder: Path, *, subject: str, recording: str, space: Space, record: Mapping[str, Any]
) -> list[Path]:
    """Write every map and its sidecar into `folder`, the same bytes each time; what was written.

    Parameters
    ----------
    record : stage, settings and inputs, as `arrays.writing` takes them.
    """
    import nibabel as nib

    written = []
    for one in maps:
        told = json.dumps(sidecar(one, space, sorted(record["inputs"])), indent=1, ensure_ascii=False) + "\n"
        for (side, ending), image in images(one.values, one.names, space).items():
            name = file_name(subject, recording, space.name, one.desc, one.stat, hemi=side, ending=ending)
            path, beside = folder / name, folder / _sidecar_name(name, ending)
            with arrays.writing(path, **record) as temp:
                nib.save(image, temp)
            arrays.save_text(told, beside, **record)
            written += [path, beside]
    return written


def _parts(response: str, folder: Path | None) -> list[tuple[str, str]]:
    """Hemisphere and ending of each file that one map of a recording takes."""
    kind = kind_of(response)
    if kind != "surface":
        return [("", GRAYORDINATES if kind == "cifti" else VOLUME)]
    other = partner(response)
    both = bool(other) and (folder is None or (folder / other).is_file())
    return [(side, SURFACE) for side in (HEMISPHERES if both else (side_of(response),))]


def _sidecar_name(name: str, ending: str) -> str:
    return f"{name.removesuffix(ending)}.json"


def _standing(found: list[Scored]) -> list[Scored]:
    """What stands for the model: of seeds their mean, of checkpoints the last."""
    last = found[-1]
    return [s for s in found if (s.seed, s.step) == (last.seed, last.step)]


def _networks(nested: Scored) -> dict[str, str]:
    if nested.seed == MEAN:
        return {"Seeds": "mean over seeds"}
    return {"Checkpoint": nested.step} if nested.step else {}


def _told_of(top: Maps) -> dict[str, Any]:
    mean, n_valid = round(float(np.nanmean(top.values)), 6), top.about["NumberOfValidTargets"]
    return {"Kind": top.names[0], "MeanOverValidTargets": mean, "NumberOfValidTargets": n_valid}


_AT_CHOICE = "on held-out samples at the layer that inner folds chose for all targets, mean over folds"
_AT_EVERY = "on held-out samples at every layer, in order, mean over folds"
