"""Threads, signals, and processes that share files: nobody waits for, or looks like, another."""

import fcntl
import os
import shutil
import signal
import subprocess
import sys
import threading

import numpy as np
import pytest

import h5live

GUARD = 120  # seconds after which a test is given up


@pytest.fixture
def small(tmp_path):
    """A file that has nothing to do with the one under test."""
    path = tmp_path / "small.h5"
    with h5live.File(path, "w") as f:
        f["x"] = np.arange(100)
    return path


@pytest.fixture
def no_switching():
    """Threads get the interpreter only from one that gives it up by itself."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(1000)
    yield
    sys.setswitchinterval(before)


def order_of(call, other):
    """Runs `call` in a thread and `other` here once the thread is about to call; the order in which they ended."""
    begun, ended = threading.Event(), []

    def run():
        begun.set()
        call()
        ended.append("call")

    thread = threading.Thread(target=run)
    thread.start()
    begun.wait(GUARD)
    other()
    ended.append("other")
    thread.join(GUARD)
    return ended


@pytest.mark.parametrize("how", ["gzip", "lzf", None])
def test_reading_gives_up_the_interpreter(tmp_path, small, no_switching, how):
    rng = np.random.default_rng(0)
    with h5live.File(tmp_path / "long.h5", "w") as f:
        f.create_dataset("x", data=rng.integers(0, 99, (64, 1 << 18), dtype="u2"), chunks=(1, 1 << 18), compression=how)
    long, other = h5live.File(tmp_path / "long.h5")["x"], h5live.File(small)["x"]
    # Without another thread in between, which the system may leave waiting for as long as a read takes.
    assert any(order_of(lambda: long[:], lambda: other[50]) == ["other", "call"] for _ in range(10))


def test_what_keeps_the_interpreter_is_seen_to_keep_it(small, no_switching):
    other = h5live.File(small)["x"]
    assert order_of(lambda: sum(range(300_000)), lambda: other[50]) == ["call", "other"]


def test_opening_gives_up_the_interpreter(tmp_path, small):
    """The system makes whoever opens a file that is leased wait until the lease is given up: by the thread that must run meanwhile."""
    path = tmp_path / "leased.h5"
    with h5live.File(path, "w") as f:
        f["x"] = 1
    del f  # a lease is given only to who alone has the file open
    other = h5live.File(small)["x"]
    signal.signal(signal.SIGIO, signal.SIG_IGN)  # how the holder is told
    with open(path, "rb+") as lease:
        try:
            fcntl.fcntl(lease, fcntl.F_SETLEASE, fcntl.F_WRLCK)
        except OSError as error:
            pytest.skip(f"this file system has no leases: {error}")

        events = []

        def give_up():
            assert other[50] == 50
            events.append("other")
            fcntl.fcntl(lease, fcntl.F_SETLEASE, fcntl.F_UNLCK)

        order_of(lambda: (h5live.File(path).close(), events.append("opened")), give_up)
    assert events == ["other", "opened"]


class Slow:
    """A file object whose reads wait, once `gate` is there."""

    def __init__(self, path):
        self.file, self.gate, self.waits = open(path, "rb"), None, threading.Event()

    def __getattr__(self, name):
        return getattr(self.file, name)

    def wait(self):
        if self.gate is not None:
            self.waits.set()
            assert self.gate.wait(GUARD)

    def read(self, *args):
        self.wait()
        return self.file.read(*args)

    def readinto(self, buffer):
        self.wait()
        return self.file.readinto(buffer)


def test_a_read_that_waits_keeps_no_other_file_waiting(tmp_path, small):
    path = tmp_path / "slow.h5"
    with h5live.File(path, "w") as f:
        f["x"] = np.arange(100_000)
    slow = Slow(path)
    dataset, other = h5live.File(slow, "r")["x"], h5live.File(small)["x"]
    slow.gate = threading.Event()

    def other_calls():
        assert slow.waits.wait(GUARD)
        assert other[50] == 50 and other[:].sum() == 4950
        with h5live.File(tmp_path / "new.h5", "w") as f:
            f["y"] = 1
        ended.append("other")
        slow.gate.set()

    ended = []
    thread = threading.Thread(target=lambda: (dataset[:], ended.append("read")))
    thread.start()
    other_calls()
    thread.join(GUARD)
    assert ended == ["other", "read"]


def start(program, *args, **kwds):
    command = [sys.executable, "-c", program, *map(str, args)]
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, **kwds)


WAITS = """
import signal, sys, h5live
# A shell starts what it puts in the background with interrupts ignored, and that is handed down.
signal.signal(signal.SIGINT, signal.default_int_handler)
rows = h5live.follow(sys.argv[1])["x"].follow(start=0)
next(rows)
try:
    print("waits", flush=True)
    next(rows)
except KeyboardInterrupt:
    print("interrupted", rows.ended, flush=True)
"""


def test_ctrl_c_interrupts_a_wait(tmp_path):
    with h5live.File(tmp_path / "live.h5", "w") as f:
        ds = f.create_dataset("x", shape=(0,), maxshape=(None,), dtype="i8")
        f.swmr_mode = True
        ds.append([1])
        ds.flush()
        process = start(WAITS, tmp_path / "live.h5")
        assert process.stdout.readline() == "waits\n"
        process.send_signal(signal.SIGINT)
        out, _ = process.communicate(timeout=GUARD)
    assert out == "interrupted None\n" and process.returncode == 0


FORKS = """
import os, sys, h5live
f = h5live.File(sys.argv[1], "w")
ds = f.create_dataset("x", shape=(0,), maxshape=(None,), dtype="i8")
f.swmr_mode = True
ds.append([1, 2, 3])
ds.flush()
if os.fork():
    print(f"parent {os.getpid()}\\n", end="", flush=True)
    sys.stdin.read()
else:
    try:
        ds.append([4])
        ds.flush()
        wrote = True
    except (OSError, RuntimeError):
        wrote = False
    print(f"child {os.getpid()} {wrote}\\n", end="", flush=True)
    sys.stdin.read()
    os._exit(0)
"""


def test_a_fork_does_not_make_a_dead_writer_look_alive(tmp_path):
    path = tmp_path / "forked.h5"
    process = start(FORKS, path)
    try:
        lines = sorted(process.stdout.readline().split() for _ in range(2))
        assert [line[0] for line in lines] == ["child", "parent"], lines
        _, child, wrote = lines[0]
        f = h5live.follow(path)
        assert f.writer.state == "live" and f.writer.pid == process.pid
        assert wrote == "False"
        process.send_signal(signal.SIGKILL)
        process.wait(GUARD)
        os.kill(int(child), 0)  # it lives
        assert f.writer.state == "died"
        assert f["x"][:].tolist() == [1, 2, 3]
        f.close()
        with h5live.File(path, "r+") as again:
            again["x"].append([5])
        assert h5live.File(path)["x"][:].tolist() == [1, 2, 3, 5]
    finally:
        process.stdin.close()
        process.kill()
        process.wait()


HOLDS = """
import sys, h5live
f = h5live.File(sys.argv[1], "w", locking={"True": True, "False": False}.get(sys.argv[2], sys.argv[2]))
f["x"] = 1
f.flush()
print("holds", flush=True)
sys.stdin.read()
"""


@pytest.mark.parametrize("locking, refused", [(True, True), (False, False), ("best-effort", True)])
def test_locking_holds_for_writers_too(tmp_path, locking, refused):
    environment = {name: value for name, value in os.environ.items() if name != "HDF5_USE_FILE_LOCKING"}
    path = tmp_path / "locked.h5"
    process = start(HOLDS, path, locking, env=environment)
    assert process.stdout.readline() == "holds\n"
    with open(path, "rb") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            was_refused = False
        except BlockingIOError:
            was_refused = True
    process.communicate(timeout=GUARD)
    assert was_refused == refused


def descriptors(path):
    """How many descriptors of this process are of a file."""
    found = 0
    for number in os.listdir("/proc/self/fd"):
        try:
            found += os.path.samefile(f"/proc/self/fd/{number}", path)
        except OSError:
            pass
    return found


@pytest.mark.skipif(not os.path.isdir("/proc/self/fd"), reason="the system does not tell which files are open")
@pytest.mark.parametrize("mode, live", [("r", False), ("r+", False), ("w", False), ("w", True)])
def test_a_closed_file_keeps_no_descriptor(tmp_path, mode, live):
    path = tmp_path / "a.h5"
    with h5live.File(path, "w") as f:
        f["g/x"] = np.arange(10)
    f = h5live.File(path, mode)
    dataset = f["g/x"] if mode != "w" else f.create_dataset("x", data=[1], maxshape=(None,))
    if live:
        f.swmr_mode = True
    assert dataset[0] in (0, 1) and descriptors(path) == 1
    f.close()
    assert descriptors(path) == 0
    with pytest.raises(RuntimeError, match="Unable to synchronously get dataspace"):
        dataset[0]
    # The objects are still there, and others can have the file.
    assert not dataset and h5live.File(path, "r+")


@pytest.mark.skipif(not os.path.isdir("/proc/self/fd"), reason="the system does not tell which files are open")
def test_a_file_whose_identifier_is_closed_keeps_its_descriptor_for_its_objects_only(tmp_path):
    path = tmp_path / "a.h5"
    f = h5live.File(path, "w")
    f["x"] = 1
    f.id.close()
    assert descriptors(path) == 0
    f = h5live.File(path)
    closed, dataset, attributes = f["x"], f["x"], f["x"].attrs
    closed.id.close()
    f.id.close()
    assert descriptors(path) == 1 and dataset[()] == 1
    del dataset
    assert descriptors(path) == 1 and len(attributes) == 0
    del attributes
    assert descriptors(path) == 0
    # Whoever asks for more than the identifier to be closed gets that.
    f = h5live.File(path)
    dataset, again = f["x"], f["x"].file
    f.id.close()
    again.close()
    assert descriptors(path) == 0 and not dataset


def test_what_an_external_link_leads_to_is_closed_too(tmp_path):
    with h5live.File(tmp_path / "b.h5", "w") as f:
        f["x"] = 1
    with h5live.File(tmp_path / "a.h5", "w") as f:
        f["x"] = h5live.ExternalLink("b.h5", "x")
    with h5live.File(tmp_path / "a.h5") as f:
        assert f["x"][()] == 1
    assert descriptors(tmp_path / "b.h5") == 0


@pytest.mark.skipif(shutil.which("strace") is None, reason="strace makes the locks fail")
@pytest.mark.parametrize("locking, warns", [("None", True), ("'best-effort'", True), ("False", False)])
def test_a_filesystem_without_locks_is_warned_of(tmp_path, locking, warns):
    program = f"import h5live; h5live.File('new.h5', 'w', locking={locking})['x'] = 1; print(h5live.File('new.h5')['x'][()])"
    tracer = ["strace", "-f", "-o", os.devnull, "-e", "trace=flock", "-e", "inject=flock:error=ENOLCK", "--"]
    environment = {name: value for name, value in os.environ.items() if name != "HDF5_USE_FILE_LOCKING"}
    done = subprocess.run(
        [*tracer, sys.executable, "-c", program], cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=GUARD
    )
    assert (done.returncode, done.stdout) == (0, "1\n"), done.stderr
    assert ("RuntimeWarning" in done.stderr and "no file locks" in done.stderr) == warns, done.stderr
