"""What people see: trees in Jupyter, completion of keys, progress, errors."""

import pytest

import h5live
import numpy as np


@pytest.fixture
def file(tmp_path):
    with h5live.File(tmp_path / "a.h5", "w") as f:
        f["entry/signal"] = np.arange(6).reshape(2, 3)
        f["entry/signal"].attrs["units"] = "<counts & more>"
        f["entry/again"] = f["entry/signal"]
        f["entry/loop"] = f["entry"]
        f["entry/gone"] = h5live.SoftLink("/no/where")
        f["table"] = np.zeros(2, [("x", "f4"), ("y", "i2")])
        yield f


def test_trees(file):
    html = file._repr_html_()
    for text in ("<details open>", "signal", "shape (2, 3), int64", "→ /no/where", "&lt;counts &amp; more&gt;", "(as above)"):
        assert text in html
    assert "<counts" not in html
    assert "(2, 3)" in file["entry/signal"]._repr_html_()
    assert "signal" in file["entry"]._repr_html_()
    file.close()
    assert "Closed HDF5 file" in file._repr_html_()


def test_trees_of_large_groups_end(tmp_path):
    with h5live.File(tmp_path / "a.h5", "w") as f:
        for number in range(150):
            f.create_group(f"g{number:03}")
        html = f._repr_html_()
    assert "g099" in html and "g100" not in html and "50 more" in html


def test_keys_are_completed(file):
    assert file._ipython_key_completions_() == ["entry", "table"]
    assert file["entry"]._ipython_key_completions_() == ["again", "gone", "loop", "signal"]
    assert file["table"]._ipython_key_completions_() == ["x", "y"]
    assert file["entry/signal"]._ipython_key_completions_() == []
    assert file["entry/signal"].attrs._ipython_key_completions_() == ["units"]


def test_copies_tell_how_far_they_are(file, capsys):
    data = np.arange(1000, dtype="i4")
    file.create_dataset("g/chunked", data=data, chunks=(100,), compression="gzip")
    file.create_dataset("g/plain", data=data)
    told = []
    file.copy("g", "copy", progress=lambda done, total: told.append((done, total)))
    assert told[-1] == (8000, 8000) and len(told) == 11
    assert [done for done, _ in told] == sorted(done for done, _ in told)
    assert (file["copy/chunked"][:] == data).all() and (file["copy/plain"][:] == data).all()
    # A copy that is done at once shows nothing.
    file.copy("g", "again", progress=True)
    assert capsys.readouterr().err == ""


def test_referenced_objects_know_their_paths(file):
    signal = file["entry/signal"]
    assert file[signal.ref].name in ("/entry/signal", "/entry/again")
    assert file[file["entry"].ref]["signal"].name in ("/entry/signal", "/entry/again")
    assert file[file.ref].name == "/"
    file.move("table", "moved")
    assert file[file["moved"].ref].name == "/moved"
    file.move("moved", "moved again")
    assert file[file["moved again"].ref].name == "/moved again"
    assert file.create_dataset(None, data=1).name is None


def test_swmr_with_a_writing_mode_says_what_to_do(tmp_path):
    with pytest.warns(UserWarning, match="swmr=True only affects read.*f.swmr_mode = True"):
        h5live.File(tmp_path / "a.h5", "w", swmr=True).close()


def test_files_being_created_do_not_pickle(tmp_path):
    import pickle

    with h5live.File(tmp_path / "a.h5", "w") as f:
        f["x"] = np.arange(3)
        for thing in (f, f["x"]):
            with pytest.raises(TypeError, match="swmr_mode = True"):
                pickle.dumps(thing)
        f.swmr_mode = True
        assert (pickle.loads(pickle.dumps(f["x"]))[:] == [0, 1, 2]).all()
    with h5live.File(tmp_path / "a.h5", "r+") as f:
        assert pickle.loads(pickle.dumps(f)).mode == "r+"


def test_groups_are_equal_if_they_are_the_same(file):
    file.create_group("one")
    file.create_group("two")
    assert file["one"] == file["one"] and file["one"] != file["two"]
    assert len({file["one"], file["two"], file["/one"], file, file["/"].file}) == 3


def test_errors_are_of_the_classes_of_h5py(file, tmp_path):
    path = file.filename
    file.close()
    before = open(path, "rb").read()
    with pytest.raises(FileExistsError, match="File exists"):
        h5live.File(path, "x")
    with pytest.raises(IsADirectoryError):
        h5live.File(tmp_path)
    with pytest.raises(FileNotFoundError):
        h5live.File(tmp_path / "none.h5")
    with h5live.File(path) as reader:
        # The file is in use, and stays as it is.
        with pytest.raises(OSError, match="already open"):
            h5live.File(path, "w")
        with pytest.raises(ValueError, match="no write intent"):
            reader.create_group("x")
    h5py = pytest.importorskip("h5py")
    with h5py.File(path):
        with pytest.raises(BlockingIOError, match="unable to lock file"):
            h5live.File(path, "w")
    assert open(path, "rb").read() == before
