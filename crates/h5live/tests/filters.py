"""Datasets through every filter, written and judged by h5py with hdf5plugin.

`plain(path)` writes unfiltered datasets; `filtered(path, plain, cases)` copies them through every filter, each beside what h5py reads of
it; `judge(path, template)` compares what h5live wrote with what it should be.
"""

import hashlib

import h5py
import numpy as np

SHAPES = {
    "one": ((37,), (16,)),
    "two": ((40, 25), (16, 25)),
    "odd": ((9, 11, 10), (4, 5, 7)),
    "thin": ((64, 3), (32, 1)),
    "large": ((90_000,), (70_001,)),
}
TYPES = ["<i4", ">i2", "|u1", "<u8", "<f4", "<f8", ">f8", "|S5", "<i8", "|i1"]


def numbers(count, seed):
    """Slowly changing numbers, which compress, that fit into a byte."""
    random = np.random.default_rng(seed)
    return (40 + 30 * np.sin(np.arange(count) / 50) + random.integers(0, 3, count)).astype("i4")


def plain(path):
    with h5py.File(path, "w") as file:
        for name, (shape, chunks) in SHAPES.items():
            for seed, kind in enumerate(TYPES):
                values = numbers(np.prod(shape), seed)
                if kind == "<f8" and name == "two":
                    values = values / 7 + 0.1
                if kind == "<i4" and name == "odd":
                    values = np.random.default_rng(1).integers(-2**31, 2**31, np.prod(shape))
                values = np.char.mod("%d", values) if kind == "|S5" else values
                data = file.create_dataset(f"{name} {kind}", data=np.asarray(values).astype(kind).reshape(shape))
                data.attrs["chunks"] = chunks
        # Types whose bits do not all count.
        for base, size, precision, offset in [(h5py.h5t.STD_I32LE, 4, 17, 3), (h5py.h5t.STD_U16BE, 2, 9, 0)]:
            kind = base.copy()
            kind.set_precision(precision)
            kind.set_offset(offset)
            space = h5py.h5s.create_simple((50,))
            data = h5py.h5d.create(file.id, f"bits {precision}".encode(), kind, space)
            data.write(h5py.h5s.ALL, h5py.h5s.ALL, np.arange(50, dtype="<i4"))
            h5py.Dataset(data).attrs["chunks"] = (20,)
        data = file.create_dataset("compound", data=np.zeros(30, dtype=[("a", "<i2"), ("b", "<f8", (2,)), ("c", "S3")]))
        data["a"] = np.arange(30)
        data["c"] = b"xyz"
        data.attrs["chunks"] = (30,)


def create(file, name, like, case):
    """A dataset through the case's filter, or none if libhdf5 does not allow it."""
    settings = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
    settings.set_chunk(tuple(int(length) for length in like.attrs["chunks"]))
    for number, values in case["filters"]:
        settings.set_filter(number, h5py.h5z.FLAG_OPTIONAL, tuple(values))
    try:
        return h5py.Dataset(h5py.h5d.create(file.id, name.encode(), like.id.get_type(), like.id.get_space(), settings))
    except Exception as error:
        return str(error)


def raw(data):
    """The bytes as the type of the file has them."""
    kind = data.id.get_type()
    out = np.empty(data.size * kind.get_size(), "u1")
    data.id.read(h5py.h5s.ALL, h5py.h5s.ALL, out, kind)
    return out.tobytes()


def write_raw(data, content):
    data.id.write(h5py.h5s.ALL, h5py.h5s.ALL, np.frombuffer(content, "u1"), data.id.get_type())


def settings_of(data):
    settings = data.id.get_create_plist()
    return [[settings.get_filter(at)[0], list(settings.get_filter(at)[2])] for at in range(settings.get_nfilters())]


def masks(data):
    return [data.id.get_chunk_info(at).filter_mask for at in range(data.id.get_num_chunks())]


def filtered(path, template, cases):
    """Returns for each dataset made: its name, the digest of what it reads as, and its chunks' filter masks."""
    import hdf5plugin  # registers the filters

    made = []
    with h5py.File(template) as source, h5py.File(path, "w") as file:
        for case in cases:
            for name, like in source.items():
                full = f"{case['name']}: {name}"
                data = create(file, full, like, case)
                if isinstance(data, str):
                    continue
                write_raw(data, raw(like))
                made.append(full)
    # Opened again: libhdf5 keeps what it was given until then, not what the filters left of it.
    with h5py.File(path) as file:
        return [[name, hashlib.sha256(raw(file[name])).hexdigest(), masks(file[name])] for name in made]


def judge(path, template, cases):
    """How many datasets were compared, and what is wrong with a file that h5live wrote: each dataset beside what h5live reads of it, "read NAME"."""
    import hdf5plugin

    faults, seen = [], 0
    lossy = {case["name"] for case in cases if case["lossy"]}
    with h5py.File(path) as file, h5py.File(template) as source, h5py.File("own", "w", driver="core", backing_store=False) as own:
        for case in cases:
            for name, like in source.items():
                full = f"{case['name']}: {name}"
                twin = create(own, full, like, case)
                if full not in file:
                    # What is refused here libhdf5 refuses too, or leaves the filter out.
                    if not isinstance(twin, str):
                        write_raw(twin, raw(like))
                        twin.flush()
                        # ZFP would take the bytes of these numbers in the wrong order.
                        if 0 in masks(twin) and not (full.startswith("zfp") and ">" in full):
                            faults.append(f"{full}: libhdf5 can have it")
                    continue
                if isinstance(twin, str):
                    faults.append(f"{full}: libhdf5 cannot have it: {twin}")
                    continue
                seen += 1
                data = file[full]
                wanted = raw(file["read " + full]) if case["lossy"] else raw(like)
                try:
                    if raw(data) != wanted:
                        faults.append(f"{full}: other values")
                except OSError as error:
                    faults.append(f"{full}: {error}")
                if settings_of(data) != settings_of(twin):
                    faults.append(f"{full}: settings {settings_of(data)} instead of {settings_of(twin)}")
    return [seen, faults]
