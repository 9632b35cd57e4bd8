"""How fast h5live is beside h5py, called from Python.

    python compare.py [NAME..]      all lines, or those whose name contains one of the words

Each of the two runs in a process of its own, on the same file (written by h5py) or on one written by itself; they take turns, round
by round, and the medians are compared: ratios from one run on one machine. Files go to $H5LIVE_BENCH_DIR, or the system's temporary
directory.
"""

import itertools
import os
import pathlib
import statistics
import subprocess
import sys
import tempfile
import threading
import time

import numpy as np

LINES = {}
ROUNDS = 7


def line(calls):
    """Registers a benchmark: a function that gets a `Bench` and returns what is to be called `calls` times in each round."""

    def register(make):
        LINES[make.__name__.replace("_", "-")] = (make, calls)
        return make

    return register


class Bench:
    """One library with the files that benchmarks use."""

    def __init__(self, module, directory):
        self.h5, self.directory = module, pathlib.Path(directory)
        self.rng = np.random.default_rng(1)

    def shared(self):
        """The file that both read."""
        return self.h5.File(self.directory / "shared.h5", "r")

    def own(self, name):
        """A new file for this library alone."""
        return self.h5.File(self.directory / f"{name}.{self.h5.__name__}.h5", "w", libver="latest")


def make_shared(path):
    """The file that is read, as h5py writes it."""
    import h5py

    rng = np.random.default_rng(0)
    with h5py.File(path, "w") as f:
        f["line"] = np.arange(100_000, dtype="f8")
        f.create_dataset("chunked", data=np.arange(1_000_000, dtype="f8"), chunks=(10_000,))
        f.create_dataset("gzip", data=rng.integers(0, 50, (64, 512, 512), dtype="u2"), chunks=(1, 512, 512), compression="gzip")
        f.create_dataset("plane", data=np.arange(1_000_000, dtype="f8").reshape(1000, 1000), chunks=(100, 100), compression="gzip")
        f.create_dataset("texts", data=[f"text number {number}" for number in range(10_000)], dtype=h5py.string_dtype())
        f["line"].attrs["number"] = 1.5
        f["line"].attrs["text"] = "metres"
        f["line"].attrs["array"] = np.arange(10)
        for number in range(1000):
            f[f"many/{number:04}"] = number


@line(2000)
def element(bench):
    ds = bench.shared()["line"]
    return lambda: ds[4321]


@line(2000)
def slice_of_100(bench):
    ds = bench.shared()["line"]
    return lambda: ds[500:600]


@line(500)
def slice_of_chunked(bench):
    ds = bench.shared()["chunked"]
    return lambda: ds[9_500:10_500]


@line(2000)
def write_element(bench):
    ds = bench.own("write-element").create_dataset("x", data=np.zeros(100_000))

    def write():
        ds[500] = 1.0

    return write


@line(2000)
def write_slice_of_100(bench):
    ds = bench.own("write-slice").create_dataset("x", data=np.zeros(100_000))
    rows = np.arange(100.0)

    def write():
        ds[500:600] = rows

    return write


def _picks(bench, size, dataset="line"):
    ds = bench.shared()[dataset]
    return ds, np.sort(bench.rng.choice(ds.shape[0], size, replace=False))


@line(20)
def mask_of_1000(bench):
    ds, places = _picks(bench, 1_000)
    mask = np.zeros(ds.shape, bool)
    mask[places] = True
    return lambda: ds[mask]


@line(10)
def mask_of_10000(bench):
    ds, places = _picks(bench, 10_000)
    mask = np.zeros(ds.shape, bool)
    mask[places] = True
    return lambda: ds[mask]


@line(20)
def list_of_1000(bench):
    ds, places = _picks(bench, 1_000)
    return lambda: ds[places]


@line(3)
def list_of_10000(bench):
    ds, places = _picks(bench, 10_000)
    return lambda: ds[places]


@line(5)
def list_of_1000_chunked(bench):
    ds, places = _picks(bench, 1_000, "chunked")
    return lambda: ds[places]


@line(3)
def mask_of_two_axes(bench):
    ds = bench.shared()["plane"]
    mask = bench.rng.random(ds.shape) < 0.01
    return lambda: ds[mask]


@line(100)
def rows_of_gzip(bench):
    """One row after the other, many to a chunk."""
    ds = bench.shared()["plane"]
    rows = itertools.cycle(range(ds.shape[0]))
    return lambda: ds[next(rows)]


@line(1000)
def attribute_get_number(bench):
    attrs = bench.shared()["line"].attrs
    return lambda: attrs["number"]


@line(1000)
def attribute_get_text(bench):
    attrs = bench.shared()["line"].attrs
    return lambda: attrs["text"]


@line(1000)
def attribute_get_array(bench):
    attrs = bench.shared()["line"].attrs
    return lambda: attrs["array"]


@line(500)
def attribute_set(bench):
    attrs = bench.own("attribute-set").create_dataset("x", data=0).attrs

    def set_number():
        attrs["number"] = 2.5

    return set_number


@line(500)
def attribute_set_text(bench):
    attrs = bench.own("attribute-set-text").create_dataset("x", data=0).attrs

    def set_text():
        attrs["text"] = "metres"

    return set_text


@line(500)
def attribute_set_array(bench):
    attrs, array = bench.own("attribute-set-array").create_dataset("x", data=0).attrs, np.arange(10)

    def set_array():
        attrs["array"] = array

    return set_array


@line(1000)
def open_dataset(bench):
    f = bench.shared()
    return lambda: f["many/0500"]


@line(3)
def iterate_1000(bench):
    group = bench.shared()["many"]
    return lambda: [item.shape for item in group.values()]


@line(5)
def names_of_1000(bench):
    group = bench.shared()["many"]
    return lambda: list(group)


@line(100)
def open_file(bench):
    def opened():
        bench.shared().close()

    return opened


@line(1)
def texts_10000(bench):
    ds = bench.shared()["texts"]
    return lambda: ds[:]


@line(1)
def gzip_32_MiB(bench):
    ds = bench.shared()["gzip"]
    return lambda: ds[:]


@line(1000)
def append_row(bench):
    f = bench.own("append-row")
    ds = f.create_dataset("x", shape=(0, 16), maxshape=(None, 16), chunks=(1024, 16), dtype="f8")
    f.swmr_mode = True
    row = np.arange(16.0)

    def append():
        n = ds.shape[0]
        ds.resize(n + 1, axis=0)
        ds[n] = row
        ds.flush()

    return append


@line(1000)
def append_number(bench):
    f = bench.own("append-number")
    ds = f.create_dataset("x", shape=(0,), maxshape=(None,), chunks=(4096,), dtype="f8")
    f.swmr_mode = True

    def append():
        n = ds.shape[0]
        ds.resize((n + 1,))
        ds[n:] = 1.5
        ds.flush()

    return append


@line(500)
def append_rows_by_append(bench):
    """h5live's `append` beside what it takes with h5py."""
    f = bench.own("append-method")
    ds = f.create_dataset("x", shape=(0, 16), maxshape=(None, 16), chunks=(1024, 16), dtype="f8")
    f.swmr_mode = True
    row = np.arange(16.0)

    def append():
        ds.append(row)
        ds.flush()

    def resize_and_write():
        n = ds.shape[0]
        ds.resize(n + 1, axis=0)
        ds[n] = row
        ds.flush()

    return append if hasattr(ds, "append") else resize_and_write


@line(50)
def append_frame(bench):
    f = bench.own("append-frame")
    ds = f.create_dataset("x", shape=(0, 512, 512), maxshape=(None, 512, 512), chunks=(1, 512, 512), dtype="u2")
    f.swmr_mode = True
    frame = np.arange(512 * 512, dtype="u2").reshape(512, 512)

    def append():
        n = ds.shape[0]
        ds.resize(n + 1, axis=0)
        ds[n] = frame
        ds.flush()

    return append


def beside_a_long_read(bench, name):
    """A call that reads an element of one file while another thread reads much of another, compressed, again and again."""
    f = bench.own(name)
    ds = f.create_dataset("x", data=np.arange(100.0))
    long = bench.shared()["gzip"]
    # The thread reads as long as the round lasts; what is timed is a call that has nothing to do with it.
    done = threading.Event()

    def reads():
        while not done.is_set():
            long[:16]

    thread = threading.Thread(target=reads, daemon=True)

    def read():
        if not thread.is_alive():
            thread.start()
        return ds[50]

    read.after = done.set
    return read


@line(20)
def read_beside_a_long_read(bench):
    return beside_a_long_read(bench, "beside")


def longest_wait(bench, seconds=5.0):
    """The longest of the calls in some seconds that have nothing to do with what the other thread reads."""
    call, longest = beside_a_long_read(bench, "waits"), 0.0
    call()
    ends = time.perf_counter() + seconds
    while (begun := time.perf_counter()) < ends:
        call()
        longest = max(longest, time.perf_counter() - begun)
    call.after()
    return longest


def work(name, directory):
    """The process of one library: does a round of the line it is told, and says how long a call took."""
    import importlib

    bench, made = Bench(importlib.import_module(name), directory), {}
    for word in sys.stdin:
        word = word.strip()
        if word.startswith("end "):
            called = made.pop(word[4:])
            getattr(called, "after", lambda: None)()
            print("ended", flush=True)
            continue
        if word == "longest wait":
            print(longest_wait(bench), flush=True)
            continue
        make, calls = LINES[word]
        if word not in made:
            made[word] = make(bench)
            made[word]()
        call = made[word]
        begun = time.perf_counter()
        for _ in range(calls):
            call()
        print((time.perf_counter() - begun) / calls, flush=True)


class Contestant:
    """The process of one library."""

    def __init__(self, name, directory):
        command = [sys.executable, __file__, "--work", name, directory]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def ask(self, word):
        self.process.stdin.write(word + "\n")
        self.process.stdin.flush()
        answer = self.process.stdout.readline().strip()
        if not answer:
            sys.exit(f"the process of a contestant ended at {word}")
        return answer

    def end(self):
        self.process.stdin.close()
        self.process.wait()


def microseconds(seconds):
    return f"{seconds * 1e6:10.1f} us" if seconds < 1e-2 else f"{seconds * 1e3:10.1f} ms"


def main(words):
    with tempfile.TemporaryDirectory(prefix="h5live-bench-", dir=os.environ.get("H5LIVE_BENCH_DIR")) as directory:
        make_shared(pathlib.Path(directory) / "shared.h5")
        contestants = {name: Contestant(name, directory) for name in ("h5live", "h5py")}
        ratios = []
        print("medians of rounds taken in turn; ratio = h5py / h5live\n")
        for name in LINES:
            if words and not any(word in name for word in words):
                continue
            took = {contestant: [] for contestant in contestants}
            for _ in range(ROUNDS):
                for contestant, process in contestants.items():
                    took[contestant].append(float(process.ask(name)))
            for process in contestants.values():
                process.ask(f"end {name}")
            ours, theirs = (statistics.median(took[contestant]) for contestant in ("h5live", "h5py"))
            ratios.append(theirs / ours)
            print(f"{name:<28} h5live {microseconds(ours)}   h5py {microseconds(theirs)}   ratio {theirs / ours:6.1f}", flush=True)
        if not words:
            waits = {name: float(process.ask("longest wait")) for name, process in contestants.items()}
            print("\nlongest wait for an element of one file while another thread reads another:", end="")
            print(*(f"   {name} {microseconds(wait).strip()}" for name, wait in waits.items()))
        for process in contestants.values():
            process.end()
        if ratios:
            print(f"\n{len(ratios)} lines: median ratio {statistics.median(ratios):.1f}, least {min(ratios):.1f}")


if __name__ == "__main__":
    if sys.argv[1:2] == ["--work"]:
        work(*sys.argv[2:])
    else:
        main(sys.argv[1:])
