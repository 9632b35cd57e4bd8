"""What libraries use of h5py below its classes: sizes of types, private names, exceptions."""

import numpy as np
import pytest

import h5live
from h5live import h5a, h5d, h5s, h5t


@pytest.fixture
def f(tmp_path):
    with h5live.File(tmp_path / "a.h5", "w") as f:
        yield f


def variable_text():
    text = h5t.C_S1.copy()
    text.set_size(h5t.VARIABLE)
    return text


SIZES = [
    ("i4", 4),
    (h5t.ref_dtype, 8),
    (h5t.regionref_dtype, 12),
    (h5t.string_dtype(), 8),
    (h5t.string_dtype(length=5), 5),
    (h5t.vlen_dtype("i4"), 16),
    (np.dtype((h5t.string_dtype(), (3,))), 24),
    ([("a", h5t.string_dtype()), ("b", "i4")], 12),
]


@pytest.mark.parametrize("dtype, size", SIZES, ids=str)
def test_sizes_of_types_are_those_in_memory(f, dtype, size):
    """As libhdf5 tells them: text of any length takes 16 bytes of a file, and is a pointer in memory."""
    assert f.create_dataset("x", (1,), dtype).id.get_type().get_size() == size


def test_members_are_inserted_where_they_are_in_memory(f):
    members = {b"n": (0, h5t.STD_I32LE), b"z": (16, h5t.STD_I64LE), b"s": (8, variable_text())}
    made = h5t.create(h5t.COMPOUND, 24)
    for name, (offset, member) in members.items():
        made.insert(name, offset, member)
    assert made.get_size() == 24
    assert {made.get_member_name(at): made.get_member_offset(at) for at in range(3)} == {k: at for k, (at, _) in members.items()}
    made.set_size(32)
    assert made.get_size() == 32
    space = h5s.create_simple((2,))
    stored = h5live.Dataset(h5d.create(f.id, b"x", made, space))
    rows = np.array([(1, 3, "a"), (2, 4, "bc")], stored.dtype)
    stored[:] = rows
    assert stored[:].tolist() == [(1, 3, b"a"), (2, 4, b"bc")]
    h5a.create(f.id, b"rows", made, space)
    f.attrs.modify("rows", rows)
    assert f.attrs["rows"].tolist() == [(1, 3, b"a"), (2, 4, b"bc")]


def test_an_attribute_of_text_starts_empty(f):
    assert h5a.create(f.id, b"text", variable_text(), h5s.create_simple((2,))).name == b"text"
    assert f.attrs["text"].tolist() == ["", ""]


def test_versions_have_names():
    version = h5live.version.version_tuple
    assert (version.major, version.minor, version.bugfix, version.pre) == version[:4] == (3, 16, 0, None)


def test_private_names_of_how_datasets_are_read(f):
    data = np.arange(12).reshape(3, 4)
    x = f.create_dataset("x", data=data)
    assert x._extent_type == h5s.SIMPLE and x._fast_read_ok and not x._is_empty
    assert not f.create_dataset("text", data="a")._fast_read_ok
    assert f.create_dataset("empty", data=h5live.Empty("f4"))._is_empty
    assert (x._fast_reader.read((1,)) == data[1]).all()
    assert x._selector.apply_args((slice(None), 1)) == (3,)


SELECTIONS = [
    (np.s_[...], ((0, 0), (5, 1), (1, 1), (False, False)), (5, 1)),
    (np.s_[1:4, 0], ((1, 0), (3, 1), (1, 1), (False, True)), (3,)),
    (np.s_[0], ((0, 0), (1, 1), (1, 1), (True, False)), (1,)),
    (np.s_[1::2], ((1, 0), (2, 1), (2, 1), (False, False)), (2, 1)),
]


@pytest.mark.parametrize("index, pattern, shape", SELECTIONS, ids=str)
def test_the_pattern_of_a_selection(index, pattern, shape):
    selection = h5live._hl.selections.select((5, 1), index)
    assert selection._sel == pattern and selection.array_shape == shape
    assert selection.mshape == pattern[1]


def test_a_cached_property_can_be_put_into_a_class():
    class Thing:
        pass

    calls = []
    Thing.later = h5live._hl.base.cached_property(lambda self: calls.append(self) or len(calls))
    Thing.later.func.__name__ = "later"
    thing = Thing()
    assert thing.later == thing.later == 1 and Thing().later == 2


def test_exceptions_are_those_of_h5py(tmp_path):
    f = h5live.File(tmp_path / "a.h5", "w")
    x = f.create_dataset("x", (2, 2), "i4", maxshape=(None, 2))
    with pytest.raises(TypeError, match=r"New shape length \(3\) must match dataset rank \(2\)"):
        x.resize((1, 2, 3))
    f.close()
    with pytest.raises(ValueError, match="Unable to synchronously create group"):
        f.create_group("g")
    with pytest.raises(ValueError, match="Unable to synchronously create dataset"):
        f.create_dataset("y", data=1)


def test_closed_objects_raise_what_h5py_raises(tmp_path):
    """Class and words depend on what is asked."""
    f = h5live.File(tmp_path / "closed.h5", "w")
    x = f.create_dataset("x", data=np.arange(3.0))
    group = f.create_group("group")
    f.close()
    asked = {
        "Invalid file identifier": ["mode", "driver", "libver", "userblock_size", "swmr_mode", "meta_block_size"],
        "Not a file or file object": ["filename"],
    }
    for words, names in asked.items():
        for name in names:
            with pytest.raises(ValueError, match=words):
                getattr(f, name)
    for name in "shape", "size", "ndim", "maxshape", "nbytes":
        with pytest.raises(RuntimeError, match="Unable to synchronously get dataspace"):
            getattr(x, name)
    for name in "dtype", "chunks", "compression", "fillvalue":
        with pytest.raises(ValueError, match="Invalid dataset identifier"):
            getattr(x, name)
    for thing in f, x, group:
        with pytest.raises(ValueError, match="Not an id of a file object"):
            thing.file
    with pytest.raises(RuntimeError, match="Unable to synchronously flush file"):
        f.flush()
    for change in x.flush, x.refresh:
        with pytest.raises(ValueError, match="not a valid dataset identifier"):
            change()
    with pytest.raises(TypeError, match="DatasetID cannot be hashed"):
        hash(x)


def test_settings_of_filters_that_do_not_fit(tmp_path):
    with h5live.File(tmp_path / "szip.h5", "w") as f:
        with pytest.raises(ValueError, match="settings do not fit.*8 pixels per block.*4 elements"):
            f.create_dataset("x", (10,), "i4", chunks=(4,), compression="szip", compression_opts=("nn", 8))
        assert "x" not in f


def test_objects_of_another_file(tmp_path, f):
    """An address means something in its own file only."""
    with h5live.File(tmp_path / "other.h5", "w") as other:
        other["group/x"] = 1
        other["type"] = np.dtype([("a", "i4")])
        with pytest.raises(OSError, match="interfile hard links are not allowed"):
            f["x"] = other["group/x"]
        with pytest.raises(OSError, match="interfile hard links are not allowed"):
            f.id.links.create_hard(b"x", other.id, b"group/x")
        assert "x" not in f
        assert f.create_dataset("x", (2,), other["type"]).dtype == other["type"].dtype
