"""Makes a small corpus: files of all kinds written with h5py, and what h5py reads from them.

make.py DIR    writes DIR/files, DIR/golden and DIR/tags.json
"""

import json
import os
import random
import sys

import h5py
import numpy as np
from h5py import h5d, h5f, h5p, h5s, h5t

from describe import describe

VERSIONS = ["earliest", "v108", "v110", "v112", "v114", "latest"]
RANDOM = random.Random(4711)
MUTANTS = 40


def numbers(file):
    for order in "<>":
        for code in ["i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8", "f2", "f4", "f8", "c8", "c16"]:
            dtype = np.dtype(order + code)
            file[f"{code}{'le' if order == '<' else 'be'}"] = (np.arange(-3, 24).reshape(3, 9) * 37).astype(dtype)
    file["bool"] = np.array([True, False, True])
    file["special"] = np.array([np.nan, -0.0, np.inf, -np.inf, 5e-324])
    file.create_dataset("enum", data=[0, 7, 1], dtype=h5py.enum_dtype({"OFF": 0, "ON": 1, "BROKEN": 7}, "i2"))
    file["opaque"] = np.array([b"abcde", b"\0\1\2\3\4"], dtype="V5")
    file.create_dataset("array", (4, 2), np.dtype(("i2", (3,))))[...] = np.arange(24, dtype="i2").reshape(4, 2, 3)
    for name, size, precision, offset, sign in [("odd", 4, 17, 5, True), ("odd_be", 2, 11, 2, False)]:
        base = (h5t.STD_I32LE if size == 4 else h5t.STD_U16BE).copy()
        base.set_precision(precision)
        base.set_offset(offset)
        low_level(file, name, base, np.arange(-5 if sign else 0, 20, dtype="i4" if sign else "u2"))
    low_level(file, "f3", three_byte_float(), np.array([0.0, 1.5, -2.25, 1e6, np.inf], "f4"))
    low_level(file, "bitfield", h5t.STD_B16LE, None)
    low_level(file, "time", h5t.UNIX_D32LE, None)


def three_byte_float():
    t = h5t.IEEE_F32LE.copy()
    t.set_fields(23, 16, 7, 0, 16)
    t.set_precision(24)
    t.set_size(3)
    t.set_ebias(63)
    return t


def low_level(file, name, t, data):
    space = h5s.create_simple((4 if data is None else len(data),))
    made = h5d.create(file.id, name.encode(), t, space)
    if data is not None:
        made.write(h5s.ALL, h5s.ALL, np.ascontiguousarray(data))


def strings(file):
    text = ["", "plain", "gr\u00fc\u00dfe", "\U0001f600 smile", "x" * 300]
    file.create_dataset("vlen_utf8", data=text, dtype=h5py.string_dtype())
    file.create_dataset("vlen_ascii", data=[b"a", b"bc"], dtype=h5py.string_dtype("ascii"))
    file.create_dataset("fixed_utf8", data=[t.encode()[:9] for t in text[:2]], dtype=h5py.string_dtype("utf-8", 9))
    file.create_dataset("fixed_ascii", data=np.array([b"abc", b"", b"ab c "], "S6"))
    for name, padding in [("nullterm", h5t.STR_NULLTERM), ("spacepad", h5t.STR_SPACEPAD)]:
        t = h5t.C_S1.copy()
        t.set_size(8)
        t.set_strpad(padding)
        low_level(file, name, t, np.array([b"abc", b"1234567", b" x "], "S8"))
    file["scalar"] = "one"
    file.create_dataset("vlen_chunked", (5,), h5py.string_dtype(), chunks=(2,), maxshape=(None,))[1:4] = text[1:4]


def compounds(file):
    inner = np.dtype([("x", "f4"), ("y", ">i2")])
    dtype = np.dtype([("a", "i1"), ("in", inner), ("m", "f8", (2, 2)), ("s", "S4"), ("e", "?")], align=True)
    data = np.zeros(6, dtype)
    data["a"], data["m"], data["s"], data["in"]["y"] = range(6), np.arange(24).reshape(6, 2, 2), b"ab", range(-3, 3)
    file["nested"] = data
    file.create_dataset("chunked", data=data, chunks=(4,), compression="gzip", shuffle=True)
    swapped = np.dtype({"names": ["late", "early"], "formats": ["i4", "u2"], "offsets": [8, 2], "itemsize": 16})
    file["offsets"] = np.array([(1, 2), (3, 4)], swapped)
    heap = np.dtype([("n", "i4"), ("t", h5py.string_dtype()), ("v", h5py.vlen_dtype(np.dtype("u2"))), ("z", "i8")])
    rows = file.create_dataset("heap", (3,), heap)
    for number in range(3):
        row = np.empty(1, heap)
        row[0] = (number, "t" * number, np.arange(number, dtype="u2"), -number)
        rows[number : number + 1] = row


def sequences(file):
    ragged = file.create_dataset("ragged", (4,), h5py.vlen_dtype(np.dtype("f8")))
    for number in range(3):
        ragged[number] = np.arange(number * 2) / 3
    deep = file.create_dataset("deep", (2,), h5py.vlen_dtype(h5py.vlen_dtype(np.dtype("i4"))))
    deep[0] = np.array([np.arange(2, dtype="i4"), np.arange(3, dtype="i4")], dtype=object)
    pairs = file.create_dataset("pairs", (2,), h5py.vlen_dtype(np.dtype([("a", "i2"), ("b", ">f4")])))
    pairs[1] = np.array([(1, 2.5), (3, -4.5)], [("a", "i2"), ("b", ">f4")])


def layouts(file):
    data = np.arange(35 * 23, dtype="i4").reshape(35, 23)
    file["contiguous"] = data
    plist = h5p.create(h5p.DATASET_CREATE)
    plist.set_layout(h5d.COMPACT)
    made = h5d.create(file.id, b"compact", h5t.NATIVE_INT32, h5s.create_simple((5, 7)), plist)
    made.write(h5s.ALL, h5s.ALL, np.ascontiguousarray(data[:5, :7]))
    file.create_dataset("never_written", (4, 5), "f8", fillvalue=2.5)
    for name, options in {
        "single": {"chunks": data.shape},
        "single_gzip": {"chunks": data.shape, "compression": "gzip"},
        "fixed": {"chunks": (4, 5)},
        "fixed_gzip": {"chunks": (4, 5), "compression": "gzip", "shuffle": True, "fletcher32": True},
        "paged": {"chunks": (1, 1)},
        "extensible": {"chunks": (4, 5), "maxshape": (None, 23)},
        "extensible_lzf": {"chunks": (1, 23), "maxshape": (None, 23), "compression": "lzf"},
        "tree": {"chunks": (4, 5), "maxshape": (None, None)},
        "tree_gzip": {"chunks": (3, 2), "maxshape": (None, None), "compression": 1},
        "second_grows": {"chunks": (5, 4), "maxshape": (35, None)},
        "scale_offset": {"chunks": (8, 8), "scaleoffset": 11},
    }.items():
        file.create_dataset(name, data=data, **options)
    implicit = h5p.create(h5p.DATASET_CREATE)
    implicit.set_chunk((10, 10))
    implicit.set_alloc_time(h5d.ALLOC_TIME_EARLY)
    made = h5d.create(file.id, b"implicit", h5t.NATIVE_INT32, h5s.create_simple(data.shape), implicit)
    made.write(h5s.ALL, h5s.ALL, data)
    for name, filled in [("sparse_fixed", (40, 40)), ("sparse_open", (None, 40))]:
        sparse = file.create_dataset(name, (40, 40), "i2", chunks=(7, 9), maxshape=filled, fillvalue=-7)
        sparse[20:25, 3:30] = 9
    shrunk = file.create_dataset("shrunk", (30, 8), "u1", chunks=(4, 4), maxshape=(None, None))
    shrunk[...] = 3
    shrunk.resize((11, 6))
    file["null"] = h5py.Empty("f4")
    file["scalar"] = 42.5
    file["empty"] = np.zeros((0, 3), "i8")


def groups(file):
    few = file.create_group("few")
    for name in ["b", "a", "\u00e4", "with space"]:
        few[name] = 1
    many = file.create_group("many")
    for number in range(60):
        many[f"member {number}"] = number
    tracked = file.create_group("tracked", track_order=True)
    for name in "zyxabc":
        tracked.create_group(name)
    deep = file
    for number in range(12):
        deep = deep.create_group(f"level{number}")
    deep["back"] = file["/"]
    file["again"] = few
    file["soft"] = h5py.SoftLink("/few/a")
    file["soft_nowhere"] = h5py.SoftLink("nothing/here")
    file["outside"] = h5py.ExternalLink("numbers_latest.h5", "/i4le")
    file["outside_nowhere"] = h5py.ExternalLink("no such file.h5", "/x")
    file["type"] = np.dtype([("a", "i4"), ("b", h5py.string_dtype())])
    file.create_dataset("of_type", (2,), file["type"])


def attributes(file):
    for order in [False, True]:
        group = file.create_group(f"tracked_{order}", track_order=order)
        for number in range(30):
            group.attrs[f"number {number}"] = number / 7
    attrs = file.attrs
    attrs["text"], attrs["texts"], attrs["bytes"] = "gr\u00fc\u00df", ["a", "bc"], np.bytes_(b"fixed")
    attrs["array"], attrs["null"], attrs["empty"] = np.arange(6).reshape(2, 3), h5py.Empty("i2"), np.zeros(0)
    attrs["bool"], attrs["complex"] = True, 1 - 2j
    attrs["compound"] = np.array((1, 2.5), [("a", ">i4"), ("b", "f4")])
    try:
        file["/"].attrs["large"] = np.arange(9000.0)
    except (OSError, RuntimeError):
        pass  # more than an object header of before 1.8 holds
    file["type"] = np.dtype("i2")
    attrs.create("of_type", 5, dtype=file["type"])


def references(file):
    data = file.create_dataset("data", data=np.arange(40).reshape(5, 8))
    group = file.create_group("group")
    file.create_dataset("objects", data=[data.ref, group.ref, h5py.Reference(), file.ref], dtype=h5py.ref_dtype)
    regions = [data.regionref[1:3, 2:6], data.regionref[:, ::2], data.regionref[2, 5], data.regionref[...]]
    file.create_dataset("regions", data=regions, dtype=h5py.regionref_dtype)
    group.attrs["to"] = data.ref


def fill_values(file):
    dtype = np.dtype([("a", "i4"), ("b", "f8")])
    file.create_dataset("compound", (3,), dtype, fillvalue=np.array((3, 4.5), dtype))
    for time in [h5d.FILL_TIME_ALLOC, h5d.FILL_TIME_IFSET]:
        plist = h5p.create(h5p.DATASET_CREATE)
        plist.set_chunk((4,))
        plist.set_fill_time(time)
        plist.set_fill_value(np.array(11, "i2"))
        h5d.create(file.id, f"time{time}".encode(), h5t.NATIVE_INT16, h5s.create_simple((10,)), plist)
    file.create_dataset("text", (2,), "S3", fillvalue=b"xy")


KINDS = [numbers, strings, compounds, sequences, layouts, groups, attributes, references, fill_values]


def plain(files, kinds, versions):
    for version in versions:
        for kind in kinds:
            with h5py.File(f"{files}/{kind.__name__}_{version}.h5", "w", libver=(version, "latest")) as file:
                kind(file)


def low_level_files(files):
    for offset, length in [(4, 4), (8, 4), (4, 8), (2, 4), (16, 8)]:
        plist = h5p.create(h5p.FILE_CREATE)
        plist.set_sizes(offset, length)
        made = h5f.create(f"{files}/sizes_{offset}_{length}.h5".encode(), h5f.ACC_TRUNC, plist)
        with h5py.File(made) as file:
            groups(file)
            strings(file)
            file.create_dataset("gzip", data=np.arange(100).reshape(10, 10), chunks=(3, 4), compression="gzip")
    for version in ["earliest", "latest"]:
        with h5py.File(f"{files}/userblock_{version}.h5", "w", userblock_size=1024, libver=version) as file:
            strings(file)
    for strategy in ["fsm", "page", "aggregate", "none"]:
        options = {"fs_strategy": strategy, "fs_persist": strategy in ("fsm", "page")}
        with h5py.File(f"{files}/space_{strategy}.h5", "w", **options) as file:
            layouts(file)
            del file["contiguous"]


def several_files(files):
    os.chdir(files)
    with h5py.File("family%05d.h5", "w", driver="family", memb_size=8192) as file:
        layouts(file)
    with h5py.File("halves", "w", driver="split", meta_ext=b"-m.h5", raw_ext=b"-r.h5") as file:
        layouts(file)
    with h5py.File("external.h5", "w") as file:
        pieces = [("external.bin", 16, 40), ("external2.bin", 0, h5f.UNLIMITED)]
        file.create_dataset("outside", (8, 4), "i2", external=pieces)[...] = np.arange(32).reshape(8, 4)
        file.create_dataset("short", (50,), "u1", external=[("external2.bin", 4, 100)])
    for number in range(3):
        with h5py.File(f"source{number}.h5", "w") as file:
            file.create_dataset("data", data=np.arange(12) + 100 * number, maxshape=(None,), chunks=(5,))
            file["wide"] = (np.arange(20) + number).reshape(4, 5)
    with h5py.File("virtual.h5", "w", libver="latest") as file:
        stack = h5py.VirtualLayout((4, 12), "i8")
        for number in range(4):  # the last is not there
            stack[number] = h5py.VirtualSource(f"source{number}.h5", "data", (12,))
        file.create_virtual_dataset("stack", stack, fillvalue=-1)
        strided = h5py.VirtualLayout((4, 9), "f4")
        strided[:, ::2] = h5py.VirtualSource("source1.h5", "wide", (4, 5))
        file.create_virtual_dataset("strided", strided, fillvalue=7)
        grows = h5py.VirtualLayout((12,), "i8", maxshape=(None,))
        grows[0 : h5s.UNLIMITED] = h5py.VirtualSource("source0.h5", "data", (12,), maxshape=(None,))[0 : h5s.UNLIMITED]
        file.create_virtual_dataset("grows", grows)
        itself = h5py.VirtualLayout((3,), "i8")
        itself[:] = h5py.VirtualSource(".", "grows", (12,))[2:5]
        file.create_virtual_dataset("itself", itself)


def mutants(files, names):
    """Files with a few bytes changed, or their end missing: nothing is expected of a reader but a clean end."""
    made = []
    for number in range(MUTANTS):
        name = names[number % len(names)]
        with open(f"{files}/{name}", "rb") as file:
            data = bytearray(file.read())
        if number % 5 == 4:
            del data[RANDOM.randrange(len(data)) :]
        for _ in range(RANDOM.randrange(1, 30)):
            if data:
                data[RANDOM.randrange(len(data))] = RANDOM.randrange(256)
        made.append(f"mutant{number}_{name}")
        with open(f"{files}/{made[-1]}", "wb") as file:
            file.write(data)
    return made


def main(directory):
    directory = os.path.abspath(directory)
    files, golden = f"{directory}/files", f"{directory}/golden"
    os.makedirs(files)
    os.makedirs(golden)
    # Files of the latest version first: others lead into them.
    plain(files, KINDS, ["latest", *VERSIONS[:-1]])
    low_level_files(files)
    several_files(files)
    names = [name for name in os.listdir(files) if not name.endswith(".bin")] + ["family%05d.h5", "halves@split"]
    tags = {}
    for name in names:
        described = describe(f"{files}/{name}")
        category = "valid" if described["open"] == "ok" else "unopenable"
        tags[name] = {"category": category, "tags": [name.split("_")[0].removesuffix(".h5")]}
        with open(f"{golden}/{name}.json", "w") as out:
            json.dump(described, out)
    for name in mutants(files, [f"{kind.__name__}_{version}.h5" for kind in KINDS for version in ("earliest", "latest")]):
        tags[name] = {"category": "corrupt", "tags": ["mutant"]}
        with open(f"{golden}/{name}.json", "w") as out:
            json.dump({"open": {"error": "changed on purpose"}}, out)
    with open(f"{directory}/tags.json", "w") as out:
        json.dump({"files": tags}, out)


if __name__ == "__main__":
    main(sys.argv[1])
