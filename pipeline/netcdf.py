"""Read labelled arrays from the netCDF files that `arrays.save` writes, whole and quickly.

xarray's own reader asks h5netcdf for every dimension of every array many
times over: 0.1 to 0.2 s for a file of a dozen arrays, the most of what a
short job does. Such files keep to a part of netCDF-4 that takes a page:
arrays in one group, named axes (dimension scales of HDF5), text and numbers
as they are. What xarray would read from them, this reads (a test holds every
kind of file against it); anything else is left to xarray.
"""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    import h5py
    import xarray as xr

# what netCDF-4 keeps in HDF5's attributes for itself
_HIDDEN = {"CLASS", "NAME", "DIMENSION_LIST", "REFERENCE_LIST", "_Netcdf4Dimid", "_Netcdf4Coordinates", "_NCProperties"}
_NO_VARIABLE = b"This is a netCDF dimension but not a netCDF variable"


def read(path: Path) -> "xr.Dataset":
    """Every array of a file, in memory.

    Strings become numpy's of fixed length, as xarray has them. Missing
    numbers are NaN already, so their fill value is passed over.
    """
    import h5py
    import xarray as xr

    with h5py.File(path, "r") as file:
        variables = {name: _variable(array) for name, array in file.items() if not _only_an_axis(array)}
        about = _attributes(file)
    beside = {*about.pop("coordinates", "").split()}
    for _, _, own in variables.values():
        beside |= {*own.pop("coordinates", "").split()}
    coords = {name for name, (dims, _, _) in variables.items() if name in beside or dims == (name,)}
    return xr.Dataset(
        {name: variable for name, variable in variables.items() if name not in coords},
        {name: variable for name, variable in variables.items() if name in coords},
        about,
    )


def sizes(path: Path) -> dict[str, int]:
    """How long every axis of a file is; no values are read."""
    import h5py

    with h5py.File(path, "r") as file:
        return {name: len(array) for name, array in file.items() if "CLASS" in array.attrs}


def _only_an_axis(array: "h5py.Dataset") -> bool:
    return array.attrs.get("NAME", b"").startswith(_NO_VARIABLE)


def _variable(array: "h5py.Dataset") -> tuple[tuple[str, ...], np.ndarray, dict[str, Any]]:
    own = array.name.removeprefix("/")
    scales = [array.file[axis[0]].name for axis in array.attrs.get("DIMENSION_LIST", ())]
    dims = tuple(name.removeprefix("/") for name in scales) or (own,) * array.ndim
    values = np.asarray(array[()] if array.dtype.kind != "O" else array.asstr()[()])
    about = {name: told for name, told in _attributes(array).items() if name != "_FillValue"}
    return dims, values.astype(about.pop("dtype", str if values.dtype.kind == "O" else values.dtype)), about


def _attributes(of: "h5py.HLObject") -> dict[str, Any]:
    """Texts as a list, and a list of one as its member, as netCDF has it."""
    found = {name: of.attrs[name] for name in of.attrs if name not in _HIDDEN}
    lists = {name: value.tolist() for name, value in found.items() if getattr(value, "dtype", None) == np.dtype(object)}
    found |= lists
    return {name: value[0] if np.ndim(value) and len(value) == 1 else value for name, value in found.items()}
