"""Opens the files that apps/tests/readers.rs has written with programs of other people, and computes their cells anew.

The readers: numpy; VTK; netCDF4, the NetCDF library; zarr; h5py, the HDF5 library. Exits with 1 at the first difference.
"""

import sys
from pathlib import Path
from xml.etree import ElementTree

import h5py
import netCDF4
import numpy as np
import vtk
import zarr
from vtk.util.numpy_support import vtk_to_numpy

CELLS = [37, 21, 11]
ORIGIN, SPACING = [0.5, -1.0, 2.0], [0.25, 0.5, 0.125]
WEIGHT = [31, 17, 7]


def expected(kind, axes, step):
    """Cells of u and v, C-ordered [z, y, x]."""
    shape = CELLS[:axes][::-1]
    places = np.indices(shape)[::-1]  # x first
    value = sum(w * p for w, p in zip(WEIGHT, places)) + 3 * step
    scale = 4 if kind in ("float32", "float64") else 1
    return (value % 101 / scale).astype(kind), (value % 100 + 1).astype(float).__truediv__(scale).astype(kind)


def same(what, found, wanted):
    found = np.asarray(found)
    ok = found.shape == wanted.shape and found.dtype.newbyteorder("=") == wanted.dtype and np.array_equal(found, wanted)
    if not ok:
        sys.exit(f"{what}: {found.dtype} {found.shape}, not the {wanted.dtype} {wanted.shape} that were written")


def middles(axis):
    return ORIGIN[axis] + (np.arange(CELLS[axis]) + 0.5) * SPACING[axis]


def image(what, reader, path, axes, wanted):
    """wanted: by name."""
    reader.SetFileName(str(path))
    reader.Update()
    data = reader.GetOutput()
    extent = [end for a in range(3) for end in (0, CELLS[a] if a < axes else 0)]
    if list(data.GetExtent()) != extent or list(data.GetOrigin()) != ORIGIN or list(data.GetSpacing()) != SPACING:
        sys.exit(f"{what}: an image of {data.GetExtent()}, {data.GetOrigin()}, {data.GetSpacing()}")
    if data.GetCellData().GetNumberOfArrays() != len(wanted):
        sys.exit(f"{what}: {data.GetCellData().GetNumberOfArrays()} arrays")
    for name, cells in wanted.items():
        found = vtk_to_numpy(data.GetCellData().GetArray(name))
        same(f"{what} {name}", found.reshape(cells.shape), cells)
    return data


def check(folder):
    name, axes, _ = folder.name.split("-")
    kind = {"f": "float", "i": "int", "u": "uint"}[name[0]] + name[1:]
    axes = int(axes)
    (u0, v0), (u5, v5) = (expected(kind, axes, step) for step in (0, 5))

    same("u.npy", np.load(folder / "u.npy"), u5)
    if axes > 1:
        same("slice.npy", np.load(folder / "slice.npy"), np.take(v5, 6, axis=axes - 2))

    data = image("all.vti", vtk.vtkXMLImageDataReader(), folder / "all.vti", axes, {"u": u5, "v & w": v5})
    time = data.GetFieldData().GetArray("TimeValue")
    if time is None or time.GetValue(0) != 0.625:
        sys.exit("all.vti: another time")

    series = (folder / "series.pvd").read_text()
    times = [float(part.split('"')[0]) for part in series.split('timestep="')[1:]]
    files = [part.split('"')[0] for part in series.split('file="')[1:]]
    if times != [0.0, 0.625]:
        sys.exit(f"series.pvd: times {times}")
    for file, (u, v) in zip(files, [(u0, v0), (u5, v5)]):
        image(file, vtk.vtkXMLPImageDataReader(), folder / file, axes, {"u": u, "v & w": v})

    with netCDF4.Dataset(folder / "all.nc") as data:
        if data.Conventions != "CF-1.8":
            sys.exit("all.nc: no conventions")
        data.set_auto_mask(False)
        same("all.nc time", data["time"][:], np.array([0.625]))
        for axis in range(axes):
            same("all.nc axis", data["xyz"[axis]][:], middles(axis))
        for name, cells in (("u", u5), ("v", v5)):
            if data[name].dimensions != ("time", *"xyz"[:axes][::-1]):
                sys.exit(f"all.nc: {name}{data[name].dimensions}")
            same(f"all.nc {name}", data[name][0], cells)

    store = zarr.open_group(folder / "all.zarr", mode="r")
    same("zarr time", store["time"][:], np.array([0.0, 0.625]))
    same("zarr step", store["step"][:], np.array([0, 5], dtype="uint64"))
    for axis in range(axes):
        same("zarr axis", store["xyz"[axis]][:], middles(axis))
    for name, cells in (("u", [u0, u5]), ("v", [v0, v5])):
        same(f"zarr {name}", store[name][:], np.stack(cells))
        if store[name].metadata.dimension_names != ("time", *"xyz"[:axes][::-1]):
            sys.exit(f"zarr: {name}{store[name].metadata.dimension_names}")

    for step, (u, v) in ((0, (u0, v0)), (5, (u5, v5))):
        with h5py.File(folder / f"all-{step:08}.h5") as data:
            if set(data) != {"u", "v", *"xyz"[:axes]}:
                sys.exit(f"h5: {set(data)}")
            same("h5 u", data["u"][:], u)
            same("h5 v", data["v"][:], v)
            for axis in range(axes):
                same("h5 axis", data["xyz"[axis]][:], middles(axis))
            if data.attrs["time"] != step / 8 or data.attrs["step"] != step or data.attrs["title"].decode() != "a tést":
                sys.exit(f"h5: another moment: {dict(data.attrs)}")
    grids = ElementTree.parse(folder / "all.xdmf").findall("Domain/Grid/Grid")
    if [float(grid.find("Time").get("Value")) for grid in grids] != [0.0, 0.625]:
        sys.exit("xdmf: other times")
    for grid in grids:
        for name, item in zip("uv", grid.findall("Attribute/DataItem"), strict=True):
            file, path = item.text.split(":")
            with h5py.File(folder / file) as data:
                shape = tuple(map(int, item.get("Dimensions").split()))
                if path != f"/{name}" or data[path].shape != shape or data[path].dtype.itemsize != int(item.get("Precision")):
                    sys.exit(f"xdmf: {ElementTree.tostring(item)}")


folders = sorted(Path(sys.argv[1]).iterdir())
for folder in folders:
    check(folder)
print(f"{len(folders)} sets of files are right: npy, vti, pvd, nc, zarr, h5, xdmf")
