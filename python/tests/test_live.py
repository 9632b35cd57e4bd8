"""Writers and followers in separate processes."""

import asyncio
import multiprocessing
import pickle
import subprocess
import sys
import time

import numpy as np
import pytest

import h5live

h5py = pytest.importorskip("h5py")
SPAWN = multiprocessing.get_context("spawn")


def write(path, ready, count, strict=False):
    """Appends `count` rows to two datasets, both in each commit."""
    with h5live.File(path, "w", strict=strict) as f:
        signal = f.create_dataset("entry/signal", shape=(0, 4), maxshape=(None, 4), chunks=(8, 4), dtype="f8")
        key = f.create_dataset("key", shape=(0,), maxshape=(None,), dtype="i8")
        f.swmr_mode = True
        ready.set()
        for number in range(count):
            with f.commit():
                signal.append(np.full((1, 4), number))
                signal.flush()  # which publishes nothing inside a commit
                key.append([number])
            if number == 10:
                f.create_group("late").attrs["x"] = "new"
            time.sleep(0.005)


@pytest.fixture
def writer(tmp_path):
    """Starts a writer, and gives its process and the file."""
    started = []

    def start(count, **kwds):
        path, ready = tmp_path / f"{len(started)}.h5", SPAWN.Event()
        process = SPAWN.Process(target=write, args=(path, ready, count), kwargs=kwds)
        process.start()
        started.append(process)
        assert ready.wait(60)
        return process, path

    yield start
    for process in started:
        process.kill()
        process.join()


def test_every_row_is_told_once_and_datasets_stay_together(writer):
    process, path = writer(60)
    f = h5live.follow(path)
    assert f.writer.state == "live" and f.writer.pid == process.pid and f.writer.age >= 0
    following = f["entry/signal"].follow(start=0, timeout=30)
    seen = 0
    for rows in following:
        assert (rows == np.arange(seen, seen + len(rows))[:, None]).all()
        seen += len(rows)
        f.refresh()
        assert len(f["entry/signal"]) == len(f["key"])
    assert (seen, following.ended, f.writer.state) == (60, "closed", "closed")
    assert h5live.File(path)["late"].attrs["x"] == "new"


def test_h5py_reads_along(writer):
    _, path = writer(60)
    for swmr in (False, True):
        with h5py.File(path, "r", swmr=swmr) as f:
            rows = f["entry/signal"][:]
            assert (rows == np.arange(len(rows))[:, None]).all()


def test_strict_files_refuse_who_did_not_ask_for_swmr(writer):
    _, path = writer(60, strict=True)
    with pytest.raises(OSError, match="already open"):
        h5py.File(path, "r")
    with h5py.File(path, "r", swmr=True) as f:
        assert "key" in f


def test_async_for(writer):
    _, path = writer(60)

    async def count():
        return sum([len(rows) async for rows in h5live.follow(path)["entry/signal"]])

    assert asyncio.run(count()) == 60


def test_a_dead_writer_is_told_from_one_that_waits(writer):
    process, path = writer(10**6)
    f = h5live.follow(path)
    process.kill()
    with pytest.raises(h5live.WriterDied, match=str(process.pid)):
        list(f["key"])
    assert f.writer.state == "died"
    f.close()
    with h5live.File(path, "r+") as again:
        count = len(again["key"])
        again["key"].append([count])
        assert again["key"][-1] == count


def test_a_wait_ends_when_nothing_comes(tmp_path):
    with h5live.File(tmp_path / "a.h5", "w") as f:
        data = f.create_dataset("d", (0,), maxshape=(None,), dtype="i4")
        f.swmr_mode = True
        # Another process follows: here, reader and writer would be one.
        code = "import h5live, sys; f = h5live.follow(sys.argv[1])['d'].follow(timeout=0.2); list(f); print(f.ended)"
        done = subprocess.run([sys.executable, "-c", code, str(f.filename)], capture_output=True, text=True)
        assert done.stdout.strip() == "timeout", done.stderr
        data.append([1])


def test_a_libhdf5_writer_is_followed(tmp_path):
    with h5py.File(tmp_path / "a.h5", "w", libver="latest") as f:
        data = f.create_dataset("d", (0,), maxshape=(None,), dtype="i4", chunks=(4,))
        f.swmr_mode = True
        reader = h5live.File(tmp_path / "a.h5", "r", swmr=True)
        dataset = reader["d"]
        for count in range(1, 20):
            data.resize((count,))
            data[count - 1] = count
            data.flush()
            (dataset.refresh if count % 2 else dataset.id.refresh)()
            assert dataset.shape == (count,) and dataset[-1] == count


def test_files_groups_and_datasets_pickle(tmp_path):
    with h5live.File(tmp_path / "a.h5", "w") as f:
        f["g/x"] = np.arange(5)
    f = h5live.File(tmp_path / "a.h5")
    for thing in (f, f["g"], f["g/x"]):
        again = pickle.loads(pickle.dumps(thing))
        assert type(again) is type(thing) and again.name == thing.name
    with SPAWN.Pool(1) as pool:
        assert pool.apply(np.sum, (f["g/x"],)) == 10


def test_an_open_file_is_not_emptied(writer):
    _, path = writer(200)
    with pytest.raises(BlockingIOError, match="open for writing by pid"):
        h5live.File(path, "w")
    assert "key" in h5live.File(path)
