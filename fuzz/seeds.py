"""`seeds.py DIRECTORY`: small files with some of everything, in every version of the format, for fuzzing to start from."""

import sys
from pathlib import Path

import h5py
import numpy as np

FORMATS = {
    "earliest": ("earliest", "v110"),
    "v108": ("v108", "v108"),
    "v110": ("v110", "v110"),
    "latest": ("latest", "latest"),
}


def groups(file):
    file.create_group("a/b/c")
    file["soft"] = h5py.SoftLink("/a/b")
    file["outside"] = h5py.ExternalLink("other.h5", "/x")
    file["hard"] = file["a"]
    file["a"].attrs["text"] = "hello"
    ordered = file.create_group("ordered", track_order=True)
    for number in range(12):
        ordered.create_group(f"member {number}")
        ordered.attrs[f"attribute {number}"] = number


def types(file):
    file["integer"] = np.arange(6, dtype=">i2").reshape(2, 3)
    file["float"] = np.float16(1.5)
    file["text"] = "variable"
    file["fixed"] = np.array([b"ab", b"cde"])
    file["compound"] = np.zeros(2, dtype=[("x", "i4"), ("y", "f8", (2,)), ("s", "S3")])
    file.create_dataset("sequence", (2,), h5py.vlen_dtype("i4"))[0] = [1, 2, 3]
    file.create_dataset("choice", data=1, dtype=h5py.enum_dtype({"no": 0, "yes": 1}))
    file.create_dataset("array", (2,), np.dtype(("i2", (3,))))
    file.create_dataset("to", (2,), h5py.ref_dtype)[0] = file.ref
    file.create_dataset("region", (1,), h5py.regionref_dtype)[0] = file["integer"].regionref[0, :]
    file["named"] = np.dtype("i8")
    file.create_dataset("of named", (3,), file["named"])
    file["opaque"] = np.void(b"abc")
    file["null"] = h5py.Empty("f4")


def layouts(file):
    numbers = np.arange(40, dtype="i4").reshape(8, 5)
    file.create_dataset("fixed", data=numbers, chunks=(3, 2))
    file.create_dataset("filtered", data=numbers, chunks=(3, 5), compression="gzip", shuffle=True, fletcher32=True)
    file.create_dataset("lzf", data=numbers, chunks=(3, 5), compression="lzf")
    file.create_dataset("szip", data=numbers, chunks=(4, 5), compression="szip")
    file.create_dataset("scaled", data=numbers, chunks=(4, 5), scaleoffset=0)
    file.create_dataset("grows", data=numbers, chunks=(2, 5), maxshape=(None, 5))
    file.create_dataset("grows filtered", data=numbers, chunks=(1, 5), maxshape=(None, 5), compression="gzip")
    file.create_dataset("grows both", data=numbers, chunks=(2, 2), maxshape=(None, None))
    file.create_dataset("single", data=numbers, chunks=(8, 5), compression="gzip")
    file.create_dataset("sparse", (1000,), "u1", chunks=(2,), fillvalue=7)[500] = 1
    file.create_dataset("compact", data=numbers[0])
    file.create_dataset("external", (4,), "i4", external=[("raw.bin", 0, 16)])


def many(file):
    for number in range(20):
        file.attrs[f"attribute {number}"] = np.arange(number)
    file.attrs["large"] = np.zeros(9000, "u1")
    for number in range(30):
        file[f"link {number}"] = h5py.SoftLink("/")


def paged(file):
    file.create_dataset("chunks", (3000,), "i4", chunks=(1,), maxshape=(None,))[2500] = 1
    file.create_dataset("fixed chunks", (3000,), "i4", chunks=(1,))[2500] = 1


def virtual(file):
    layout = h5py.VirtualLayout((4, 5), "i4")
    for number in range(4):
        layout[number] = h5py.VirtualSource("other.h5", f"row {number}", (5,))
    file.create_virtual_dataset("virtual", layout, fillvalue=-1)
    layout = h5py.VirtualLayout((4, 5), "i4", maxshape=(None, 5))
    source = h5py.VirtualSource(".", "source", (4, 5), maxshape=(None, 5))
    layout[:] = source
    file.create_dataset("source", data=np.arange(20).reshape(4, 5), maxshape=(None, 5), chunks=(2, 5))
    file.create_virtual_dataset("view", layout)


CONTENTS = [groups, types, layouts, many, paged, virtual]


def main(directory):
    for name, libver in FORMATS.items():
        for content in CONTENTS:
            if content is virtual and name == "v108":
                continue  # virtual datasets came with 1.10
            with h5py.File(directory / f"{content.__name__} {name}.h5", "w", libver=libver) as file:
                content(file)
    for strategy in ["page", "fsm"]:
        with h5py.File(directory / f"{strategy}.h5", "w", fs_strategy=strategy, fs_persist=True, fs_page_size=512) as file:
            groups(file)
            del file["a"], file["hard"]
    with h5py.File(directory / "userblock.h5", "w", userblock_size=512) as file:
        groups(file)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
