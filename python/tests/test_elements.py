"""Reading and writing elements, attributes and rows: what is done the short way gives what the long way gives."""

import numpy as np
import pytest

import h5live

LAYOUTS = {
    "contiguous": {},
    "chunked": {"chunks": (7, 5, 3)},
    "gzip": {"chunks": (7, 5, 3), "compression": "gzip"},
    "unwritten": {"chunks": (2, 2, 2), "fillvalue": 9},
}


@pytest.fixture(params=LAYOUTS)
def cube(tmp_path, request):
    """A dataset of three axes, and what is in it."""
    data = np.arange(20 * 11 * 13, dtype="i4").reshape(20, 11, 13)
    with h5live.File(tmp_path / "cube.h5", "w") as f:
        if request.param == "unwritten":
            yield f.create_dataset("x", shape=data.shape, dtype="i4", **LAYOUTS[request.param]), np.full_like(data, 9)
        else:
            yield f.create_dataset("x", data=data, **LAYOUTS[request.param]), data


def masks(shape):
    rng = np.random.default_rng(0)
    for density in (0, 0.001, 0.1, 0.9, 1):
        yield rng.random(shape) < density
    block = np.zeros(shape, bool)
    block[3:9, 2:4, 5:12] = True
    yield block
    corners = np.zeros(shape, bool)
    corners[0, 0, 0] = corners[-1, -1, -1] = corners[0, -1, 0] = True
    yield corners
    yield np.asfortranarray(corners)


def test_masks_of_several_axes(cube):
    dataset, data = cube
    data = data.copy()
    for number, mask in enumerate(masks(data.shape)):
        found = dataset[mask]
        assert found.dtype == data.dtype and np.array_equal(found, data[mask])
        values = np.arange(mask.sum(), dtype="i4") * 10 + number
        dataset[mask] = values
        data[mask] = values
        assert np.array_equal(dataset[:], data)
        dataset[mask] = -number
        data[mask] = -number
        assert np.array_equal(dataset[:], data)


def test_masks_of_rows_that_are_long(tmp_path):
    """Rows that are more than is read over a gap, and chunks of more than is read at once."""
    wide = np.arange(4 * 50_000, dtype="f8").reshape(4, 50_000)
    with h5live.File(tmp_path / "wide.h5", "w") as f:
        one_piece = f.create_dataset("one_piece", data=wide)
        chunked = f.create_dataset("chunked", data=wide, chunks=(1, 999))
        large = f.create_dataset("large", shape=(4, 3 << 21), chunks=(4, 1 << 21), dtype="f8", fillvalue=2)
        mask = np.zeros(wide.shape, bool)
        mask[1, [0, 3, 49_999]] = mask[3, 20_000] = True
        assert np.array_equal(one_piece[mask], wide[mask]) and np.array_equal(chunked[mask], wide[mask])
        mask = np.zeros(large.shape, bool)
        mask[2, 17] = mask[3, -1] = True
        large[3, -1] = 5
        assert large[mask].tolist() == [2, 5]


def test_masks_of_other_shapes_are_refused(cube):
    dataset, data = cube
    with pytest.raises(TypeError, match="incompatible shape"):
        dataset[np.ones(data.shape[:2], bool)]
    with pytest.raises(TypeError, match="incompatible shape"):
        dataset[np.ones((20, 13, 11), bool)]


@pytest.mark.parametrize("dtype", ["i1", "<u2", "<i4", ">i4", "f4", ">f8", "f2", "?", "S3", "c8", [("a", "i4"), ("b", "f8")]])
def test_elements_and_small_arrays(tmp_path, dtype):
    data = np.zeros(50, dtype)
    data.view("u1")[:] = np.arange(data.nbytes, dtype="u1") % 2
    with h5live.File(tmp_path / "a.h5", "w") as f:
        dataset = f.create_dataset("x", data=data)
        assert dataset[7] == data[7] and type(dataset[7]) is type(data[7]) and dataset[7].dtype == data[7].dtype
        assert dataset[3:9].dtype == data.dtype and np.array_equal(dataset[3:9], data[3:9])
        assert dataset[9:9].shape == (0,) and dataset[9:9].dtype == data.dtype
        f.attrs["array"], f.attrs["scalar"] = data, data[7]
        assert f.attrs["array"].dtype == data.dtype and np.array_equal(f.attrs["array"], data)
        assert f.attrs["scalar"] == data[7] and type(f.attrs["scalar"]) is type(data[7])


def test_enumerations_keep_their_names(tmp_path):
    dtype = h5live.enum_dtype({"RED": 0, "BLUE": 4}, basetype="u1")
    with h5live.File(tmp_path / "a.h5", "w") as f:
        f.create_dataset("x", data=np.array([0, 4], "u1"), dtype=dtype)
        f.attrs.create("x", data=np.array([0, 4], "u1"), dtype=dtype)
        for found in (f["x"][:], f.attrs["x"]):
            assert h5live.check_enum_dtype(found.dtype) == {"RED": 0, "BLUE": 4} and found.tolist() == [0, 4]
        f.attrs["again"] = f["x"][:]
        assert h5live.check_enum_dtype(f.attrs["again"].dtype) == {"RED": 0, "BLUE": 4}


VALUES = [1.5, -3, 2**63, True, "text", "ä", "", b"bytes", np.float32(2), np.arange(6).reshape(2, 3), np.zeros((0, 3), ">i2"), np.array(5.0)]


@pytest.mark.parametrize("value", VALUES, ids=repr)
def test_attributes_are_stored_as_when_created(tmp_path, value):
    with h5live.File(tmp_path / "a.h5", "w") as f:
        f.attrs["short"] = 0
        f.attrs["short"] = value
        f.attrs.create("long", data=value)
        short, long = (h5live.h5a.open(f.id, name) for name in (b"short", b"long"))
        assert short.get_type() == long.get_type() and short.shape == long.shape
        found = f.attrs["short"]
        assert type(found) is type(f.attrs["long"]) and np.array_equal(found, f.attrs["long"])
        assert np.array_equal(found, np.asarray(value)) or found in (value, value.decode())


def test_text_with_a_nul_is_refused(tmp_path):
    with h5live.File(tmp_path / "a.h5", "w") as f, pytest.raises(ValueError, match="embedded NULLs"):
        f.attrs["x"] = "a\0b"


@pytest.mark.parametrize("rows", [np.arange(3.0), np.arange(6.0).reshape(2, 3), [1, 2, 3], np.arange(3), np.arange(6.0).reshape(3, 2).T])
def test_append(tmp_path, rows):
    with h5live.File(tmp_path / "a.h5", "w") as f:
        dataset = f.create_dataset("x", shape=(0, 3), maxshape=(None, 3), dtype="f8")
        dataset.append(rows)
        dataset.append(rows)
        expected = np.asarray(rows, "f8").reshape(-1, 3)
        assert np.array_equal(dataset[:], np.concatenate([expected, expected]))
        for wrong in (np.arange(2.0), np.zeros((1, 1, 3)), np.zeros((3, 2))):
            with pytest.raises(TypeError, match="rows of shape"):
                dataset.append(wrong)


def test_append_to_one_axis_and_to_none(tmp_path):
    with h5live.File(tmp_path / "a.h5", "w") as f:
        dataset = f.create_dataset("x", shape=(0,), maxshape=(None,), dtype="f8")
        for rows in (1.5, np.float64(2), np.array(3.0), [4, 5], np.array([])):
            dataset.append(rows)
        assert dataset[:].tolist() == [1.5, 2, 3, 4, 5]
        with pytest.raises(TypeError):
            f.create_dataset("scalar", data=1.0).append(np.array(1.0))


def test_chunks_that_are_read_in_parts_follow_what_is_written(tmp_path):
    data = np.arange(1000)
    with h5live.File(tmp_path / "a.h5", "w") as f:
        dataset = f.create_dataset("x", data=data, chunks=(100,), maxshape=(None,), compression="gzip")
        for at in (150, 151, 250):
            assert dataset[at] == at
        dataset[150] = -1
        assert dataset[150] == -1 and dataset[151] == 151
        dataset.resize((120,))
        dataset.resize((1000,))
        assert dataset[150] == 0 and dataset[110] == 110
        dataset.append(np.array([7]))
        assert dataset[1000] == 7 and dataset[[110, 150, 1000]].tolist() == [110, 0, 7]


def test_a_commit_holds_back_every_flush(tmp_path):
    with h5live.File(tmp_path / "a.h5", "w") as f:
        dataset = f.create_dataset("x", shape=(0,), maxshape=(None,), dtype="i8")
        f.swmr_mode = True
        before = f.last_commit
        with f.commit():
            dataset.append([1])
            for flush in (dataset.flush, dataset.id.flush, f.flush, f.id.flush, lambda: h5live.h5f.flush(f.id)):
                flush()
                assert f.last_commit == before
            with f.commit():
                dataset.append([2])
            assert f.last_commit == before
        assert f.last_commit == before + 1


def test_attributes_of_committed_types(tmp_path):
    with h5live.File(tmp_path / "a.h5", "w") as f:
        f["t"] = np.dtype("u8")
        f["s"] = h5live.string_dtype()
        f.attrs.create("x", 42, dtype=f["t"])
        f.attrs.create("text", "ä", dtype=f["s"])
        f.attrs.create("x", [1, 2], dtype=f["t"])
        with h5live.File(tmp_path / "b.h5", "w") as other:
            other.attrs.create("x", 7, dtype=f["t"])
            assert other.attrs["x"] == 7 and not h5live.h5a.open(other.id, b"x").get_type().committed()
    h5py = pytest.importorskip("h5py")
    for library in (h5live, h5py):
        with library.File(tmp_path / "a.h5") as f:
            assert f.attrs["x"].tolist() == [1, 2] and f.attrs["text"] == "ä"
            found = library.h5a.open(f.id, b"x").get_type()
            assert found.committed() and found == f["t"].id


def test_compressed_datasets_without_elements(tmp_path):
    with h5live.File(tmp_path / "a.h5", "w") as f:
        f.create_dataset("x", data=np.zeros((0, 5)), compression="gzip")
        f.create_dataset("y", shape=(0,), maxshape=(None,), dtype="i4", compression="gzip")
    h5py = pytest.importorskip("h5py")
    with h5py.File(tmp_path / "a.h5") as f:
        assert f["x"].shape == (0, 5) and f["x"][:].shape == (0, 5) and f["y"].chunks == (1024,)


def test_a_file_in_memory_over_one_without_bytes(tmp_path):
    (tmp_path / "a.h5").touch()
    with h5live.File(tmp_path / "a.h5", "r+", driver="core", backing_store=False) as f:
        f["x"] = 1
        assert list(f) == ["x"]
    assert (tmp_path / "a.h5").stat().st_size == 0


def test_number_types_that_packages_add_to_numpy(tmp_path):
    """They are stored as opaque bytes and read as such, as h5py does."""
    ml_dtypes = pytest.importorskip("ml_dtypes")
    bfloat16 = np.dtype(ml_dtypes.bfloat16)
    data = np.array([[0, 1, 0.5], [-2, 3, 4]]).astype(bfloat16)
    pairs = np.zeros(2, [("number", bfloat16), ("count", "i4")])
    pairs["number"] = [1, -2]
    with h5live.File(tmp_path / "numbers.h5", "w") as f:
        f["array"] = data
        f["column"] = data[:, 1]
        f["scalar"] = data[1, 0]
        f["pairs"] = pairs
        f.attrs["array"] = data
        f.create_dataset("later", data.shape, bfloat16, chunks=(1, 2), compression="gzip")[...] = data
        assert f["array"].dtype == "V2" and f["array"].id.get_type().get_class() == h5live.h5t.OPAQUE
        for found in f["array"][:], f["later"][:], f.attrs["array"]:
            assert found.dtype == "V2" and np.array_equal(found.view(bfloat16), data)
        assert np.array_equal(f["column"][:].view(bfloat16), data[:, 1])
        assert f["scalar"][()].tobytes() == data[1, 0].tobytes()
        assert f["pairs"][:].tobytes() == pairs.tobytes()
