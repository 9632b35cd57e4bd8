"""Makes the files that `tests/reading.rs` reads, with h5py: `python make.py`. They are committed; this says what is in them."""
import h5py
import numpy as np


def fill(f):
    g = f.create_group("entry")
    signal = g.create_dataset("signal", data=np.arange(60, dtype="f8").reshape(10, 6), chunks=(4, 4), compression="gzip", shuffle=True)
    signal.attrs["units"] = "mV"
    g.create_dataset("contiguous", data=np.arange(1000, dtype=">i2").reshape(10, 10, 10))
    g.create_dataset("scalar", data=np.int32(-7))
    g.create_dataset("empty", data=h5py.Empty("f4"))
    grow = g.create_dataset("grow", shape=(7, 3), maxshape=(None, 3), chunks=(2, 3), dtype="i4", fillvalue=-1)
    grow[0:5] = np.arange(15).reshape(5, 3)
    both = g.create_dataset("both", shape=(5, 5), maxshape=(None, None), chunks=(2, 2), dtype="u1", compression="gzip")
    both[:] = np.arange(25).reshape(5, 5)
    long = g.create_dataset("long", shape=(100,), maxshape=(None,), chunks=(1,), dtype="i2")
    long[:] = np.arange(100)
    g.create_dataset("fixed", data=np.arange(100, dtype="u4"), chunks=(1,))
    text = f.create_group("text")
    text.create_dataset("variable", data=["one", "", "drei \u00e4"], dtype=h5py.string_dtype())
    text.create_dataset("fixed", data=np.array([b"ab", b"abcd", b""], dtype="S4"))
    sequences = text.create_dataset("sequences", (3,), dtype=h5py.vlen_dtype("i4"))
    sequences[0] = [1, 2, 3]
    sequences[2] = [4]
    kinds = f.create_group("kinds")
    kinds.create_dataset("bool", data=np.array([True, False, True]))
    kinds.create_dataset("complex", data=np.array([1 + 2j, -0.5j]))
    kinds.create_dataset("compound", data=np.array([(1, 2.5, b"x"), (-3, 4.0, b"yz")], dtype=[("a", "i2"), ("b", "f4"), ("c", "S2")]))
    kinds.create_dataset("array", (3,), dtype=np.dtype(("i4", (2,))))[:] = [[1, 2], [3, 4], [5, 6]]
    kinds.create_dataset("half", data=np.array([0.5, -2], dtype="f2"))
    kinds.create_dataset("enum", data=[1, 0, 7], dtype=h5py.enum_dtype({"OFF": 0, "ON": 1}, basetype="u1"))
    f["type"] = np.dtype("i4")
    f["named"] = f["entry/signal"].ref
    f["region"] = np.array([f["entry/signal"].regionref[2:4, 1:3]], dtype=h5py.regionref_dtype)
    links = f.create_group("links")
    links["hard"] = g["signal"]
    links["soft"] = h5py.SoftLink("/entry/signal")
    links["relative"] = h5py.SoftLink("soft")
    links["nowhere"] = h5py.SoftLink("/entry/none")
    links["circle"] = h5py.SoftLink("circle")
    links["other"] = h5py.ExternalLink("other.h5", "/entry/grow")
    many = f.create_group("many")
    for i in range(40):
        many[f"member{i:02}"] = g
        many.attrs[f"attribute{i:02}"] = i


for name, options in [
    ("old.h5", dict(libver="earliest", userblock_size=512)),
    ("new.h5", dict(libver="latest")),
    ("other.h5", dict(libver=("v110", "v110"), track_order=True)),
]:
    with h5py.File(name, "w", **options) as f:
        fill(f)
        if name != "old.h5":
            layout = h5py.VirtualLayout(shape=(4, 6), dtype="f4")
            source = h5py.VirtualSource("new.h5", "entry/signal", shape=(10, 6), dtype="f8")
            layout[0:2] = source[3:5]
            layout[3, 1:4] = source[9, ::2]
            f.create_virtual_dataset("virtual", layout, fillvalue=-5)
