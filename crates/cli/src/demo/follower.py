"""A reader of the demo in h5py: follows the signal in SWMR mode and checks every value (see values.rs)."""

import json
import sys
import threading
import time

import h5py
import numpy

path, name = sys.argv[1:3]
total = []


def listen():
    """The writer's row count, once it has closed the file: libhdf5 has no way to tell."""
    line = sys.stdin.readline()
    if line.strip():
        total.append(int(line))


def tell(rows, rate=0.0, last=False, error=None):
    print(json.dumps({"rows": rows, "rate": rate, "lag_ms": None, "last": last, "error": error}), flush=True)


def follow():
    dataset = h5py.File(path, "r", libver="latest", swmr=True)[name]
    seen, told, told_rows = 0, time.monotonic(), 0
    while not (total and seen >= total[0]):
        is_over = bool(total)
        dataset.refresh()
        rows = dataset.shape[0]
        if rows < seen:
            raise ValueError(f"{rows} rows after {seen}")
        if rows > seen:
            index = numpy.arange(seen, rows, dtype=numpy.uint64)
            expected = (index * numpy.uint64(2654435761) % numpy.uint64(2**32)).astype("f8") / 256
            found = dataset[seen:rows]
            if not numpy.array_equal(found, expected):
                at = int(numpy.argmax(found != expected))
                raise ValueError(f"row {seen + at} is {found[at]}, not {expected[at]}")
            seen = rows
        elif is_over:
            raise ValueError(f"{seen} rows, and {total[0]} were written")
        else:
            time.sleep(0.005)
        now = time.monotonic()
        if now - told >= 0.2:
            tell(seen, (seen - told_rows) / (now - told))
            told, told_rows = now, seen
    return seen


threading.Thread(target=listen, daemon=True).start()
try:
    tell(follow(), last=True)
except Exception as error:
    tell(0, last=True, error=f"{type(error).__name__}: {error}")
    sys.exit(1)
