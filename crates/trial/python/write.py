"""Appends to datasets in SWMR mode, as h5py's documentation shows it, a flush after each.

`arguments`: path, live (a file made when readers may come), stop (a file that ends the writing), most (publications),
datasets: [{path, number, content, row, chunk, filter, step}]. Leaves the number of publications in `result`; the file stays open as
`files["writer"]`.
"""

import os

STRIDE = 4096


def create(file, spec):
    filters = {"gzip": {"compression": "gzip", "shuffle": True}, "fletcher32": {"fletcher32": True}}.get(spec["filter"], {})
    grid = spec["content"] == "grid"
    row = (3,) if grid else tuple(spec["row"])
    maxshape = (None, None) if grid else (None, *row)
    return file.create_dataset(
        spec["path"], (0, *row), "f8", maxshape=maxshape, chunks=tuple(spec["chunk"]), **filters
    )


def append(ds, spec):
    start, stop = ds.shape[0], ds.shape[0] + spec["step"]
    if spec["content"] != "grid":
        ds.resize(stop, axis=0)
        ds[start:stop] = formula.rows(spec["number"], start, spec["step"], ds.shape[1:], "f8")
        return
    columns = 3 + stop // 16
    before = ds.shape[1]
    ds.resize((stop, columns))
    for row in range(0 if columns > before else start, stop):
        first = before if row < start else 0
        ds[row, first:] = formula.values(spec["number"], row * STRIDE + first, columns - first, "f8")


file = h5py.File(arguments["path"], "w", libver=("v110", "v110"))
datasets = [(create(file, spec), spec) for spec in arguments["datasets"]]
file.swmr_mode = True
files["writer"] = file
with open(arguments["live"], "w"):
    pass
result = 0
while result < arguments["most"] and not os.path.exists(arguments["stop"]):
    for ds, spec in datasets:
        append(ds, spec)
        ds.flush()
    result += 1
