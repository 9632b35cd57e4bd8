"""The other side of a test: h5py, driven line by line.

Reads one JSON object a line from standard input, answers each with one line on standard output:

    {"do": COMMAND, ...arguments}   ->   {"ok": RESULT}   or   {"error": {"kind": .., "message": .., "traceback": ..}}

Commands are the functions marked `@command` below; their parameters are the arguments. Files are named by the number that `open`
answered. Values and types are plain JSON as `plain.py` describes, or files of raw bytes.
"""

import contextlib
import hashlib
import io
import json
import os
import sys
import time
import traceback

import h5py
import numpy as np
from h5py import h5a

import formula
import matrix
import plain

COMMANDS = {}
FILES = {}


def command(function):
    COMMANDS[function.__name__.rstrip("_")] = function
    return function


# Files.


@command
def versions():
    return {"h5py": h5py.__version__, "hdf5": h5py.version.hdf5_version, "numpy": np.__version__, "pid": os.getpid()}


@command
def open_(path, mode="r", swmr=False, libver=None, locking=None):
    given = {} if locking is None else {"locking": locking}
    number = max(FILES, default=0) + 1
    FILES[number] = h5py.File(path, mode, swmr=swmr, libver=tuple(libver) if libver else None, **given)
    return number


@command
def close(file):
    FILES.pop(file).close()


@command
def flush(file, path=None):
    (FILES[file][path] if path else FILES[file]).flush()


@command
def start_swmr(file):
    FILES[file].swmr_mode = True


# What is in a file.


@command
def tree(file):
    """Everything below the root, depth first in each group's order of names. An object with several names is listed once."""
    listed, seen = [], set()

    def visit(path, node):
        info = h5py.h5o.get_info(node.id)
        if (info.fileno, info.addr) in seen:
            listed.append({"path": path, "kind": "hard", "target": node.name})
            return
        seen.add((info.fileno, info.addr))
        listed.append(object_(path, node, FILES[file]))
        if isinstance(node, h5py.Group):
            for name in sorted(node):
                follow(path.rstrip("/") + "/" + name, node, name)

    def follow(path, group, name):
        link = group.get(name, getlink=True)
        if isinstance(link, h5py.SoftLink):
            listed.append({"path": path, "kind": "soft", "target": link.path})
        elif isinstance(link, h5py.ExternalLink):
            listed.append({"path": path, "kind": "external", "file": link.filename, "target": link.path})
        else:
            visit(path, group[name])

    visit("/", FILES[file]["/"])
    return listed


def object_(path, node, file):
    attributes = {}
    if not isinstance(node, h5py.Datatype):
        for name in sorted(node.attrs):
            attribute = h5a.open(node.id, name.encode())
            attributes[name] = {
                "type": plain.in_file(plain.describe(attribute.get_type())),
                "shape": shape_of(attribute),
                "values": plain.read_plain(attribute, file),
            }
    found = {"path": path, "attributes": attributes}
    if isinstance(node, h5py.Dataset):
        return found | {"kind": "dataset"} | properties(node)
    if isinstance(node, h5py.Datatype):
        return found | {"kind": "datatype", "type": plain.in_file(plain.describe(node.id))}
    return found | {"kind": "group"}


def properties(dataset):
    made = dataset.id.get_create_plist()
    return {
        "type": plain.in_file(plain.describe(dataset.id.get_type())),
        "dtype": str(dataset.dtype),
        "shape": shape_of(dataset.id),
        "maxshape": None if dataset.shape is None else list(dataset.maxshape),
        "layout": matrix.LAYOUTS.get(made.get_layout(), "virtual"),
        "chunks": None if dataset.chunks is None else list(dataset.chunks),
        "filters": matrix.filters_of(made),
        "fill": matrix.fill_of(made, plain.describe(dataset.id.get_type()), dataset),
    }


def shape_of(holder):
    space = holder.get_space()
    return None if space.get_simple_extent_type() == h5py.h5s.NULL else list(space.shape)


# One dataset.


@command
def shape(file, path):
    return shape_of(FILES[file][path].id)


@command
def refresh(file, path):
    """Refreshes and answers the shape."""
    dataset = FILES[file][path]
    dataset.refresh()
    return shape_of(dataset.id)


def selected(dataset, select):
    """A selection is null for all, or for each dimension [start, stop] or [start, stop, step]; dimensions not named are whole."""
    return () if select is None else tuple(slice(*part) for part in select)


@command
def read(file, path, select=None):
    """Plain values."""
    dataset = FILES[file][path]
    kind = plain.describe(dataset.id.get_type())
    if select is None:
        return plain.read_plain(dataset.id, FILES[file])
    return plain.from_numpy(kind, np.asarray(dataset[selected(dataset, select)]), FILES[file])


@command
def read_raw(file, path, to, select=None):
    """Bytes in the order of the file's type, into a file: how many, their numpy type and their digest."""
    data = np.ascontiguousarray(FILES[file][path][selected(FILES[file][path], select)])
    data.tofile(to)
    digest = hashlib.sha256(data.data if data.size else b"").hexdigest()
    return {"bytes": data.nbytes, "dtype": str(data.dtype), "shape": list(data.shape), "sha256": digest}


@command
def digest(file, path, select=None):
    data = np.ascontiguousarray(FILES[file][path][selected(FILES[file][path], select)])
    return hashlib.sha256(data.data if data.size else b"").hexdigest()


@command
def attribute(file, path, name):
    found = h5a.open(FILES[file][path].id, name.encode())
    return {
        "type": plain.in_file(plain.describe(found.get_type())),
        "shape": shape_of(found),
        "values": plain.read_plain(found, FILES[file]),
    }


@command
def set_attribute(file, path, name, type, shape, values):
    matrix.write_attribute(FILES[file][path].id, {"name": name, "type": type, "shape": shape, "values": values}, FILES[file])


@command
def create_group(file, path, creation_order=False):
    FILES[file].create_group(path, track_order=creation_order)


@command
def create_dataset(file, path, dtype, shape, maxshape=None, chunks=None, filters=(), fill=None, dataset=None):
    """A dataset of a numpy type; with a `dataset` number, holding that dataset's formula."""
    options = {}
    for item in filters:
        match item["name"]:
            case "deflate":
                options |= {"compression": "gzip", "compression_opts": item["level"]}
            case "lzf":
                options |= {"compression": "lzf"}
            case name:
                options |= {name: True}
    made = FILES[file].create_dataset(
        path,
        shape=tuple(shape),
        maxshape=None if maxshape is None else tuple(maxshape),
        dtype=dtype,
        chunks=None if chunks is None else tuple(chunks),
        fillvalue=fill,
        **options,
    )
    if dataset is not None:
        made[...] = formula.rows(dataset, 0, shape[0], tuple(shape[1:]), dtype)


@command
def write(file, path, values, select=None):
    """Plain values into a selection, in row-major order."""
    dataset = FILES[file][path]
    kind = plain.describe(dataset.id.get_type())
    where = selected(dataset, select)
    extent = dataset.shape if select is None else [len(range(*part.indices(n))) for part, n in zip(where, dataset.shape)]
    extent = [*extent, *dataset.shape[len(extent) :]]
    dataset[where] = plain.to_numpy(kind, values, extent, FILES[file])


@command
def resize(file, path, shape):
    FILES[file][path].resize(tuple(shape))


# The formula.


@command
def append(file, path, dataset, rows, each=1, flush=True):
    """Appends `rows` rows of a dataset's formula, `each` at a time along dimension 0, flushing after each; answers the length."""
    target = FILES[file][path]
    start, end = len(target), len(target) + rows
    for at in range(start, end, each):
        stop = min(at + each, end)
        data = formula.rows(dataset, at, stop - at, target.shape[1:], target.dtype)
        target.resize(stop, axis=0)
        target[at:stop] = data
        if flush:
            target.flush()
    return end


@command
def verify(file, path, dataset, start=0, stop=None):
    """Compares rows with the formula: null, or the first that differs."""
    return first_difference(FILES[file][path], dataset, start, len(FILES[file][path]) if stop is None else stop)


@command
def follow(file, path, dataset, rows, timeout, swmr=True):
    """Refreshes until there are `rows` rows or `timeout` seconds have passed, checking every value that appears and, each time, an
    arbitrary stretch of those seen before.

    A file not opened for SWMR sees a snapshot only: with `swmr` false it is opened anew each time.
    """
    target, seen, looks, lengths = FILES[file][path], 0, 0, 0
    name, end = FILES[file].filename, time.monotonic() + timeout
    while seen < rows and time.monotonic() < end:
        if swmr:
            target.refresh()
        else:
            FILES[file].close()
            FILES[file] = h5py.File(name, "r")
            target = FILES[file][path]
        looks += 1
        now = len(target)
        if now < seen:
            raise AssertionError(f"{path} shrank from {seen} to {now} rows")
        if now > seen:
            lengths += 1
            wrong = first_difference(target, dataset, seen, now)
            if wrong is None and seen:
                start = int(formula.bits(dataset, looks, 1)[0]) % seen
                wrong = first_difference(target, dataset, start, min(start + 100, seen))
            if wrong is not None:
                raise AssertionError(f"{path}: with {seen} rows seen and {now} there: {wrong}")
        seen = now
    return {"rows": seen, "looks": looks, "lengths": lengths}


def first_difference(target, dataset, start, stop):
    for at in range(start, stop, 65536):
        end = min(at + 65536, stop)
        found = target[at:end]
        wanted = formula.rows(dataset, at, end - at, target.shape[1:], target.dtype)
        if len(found) != len(wanted):
            return {"row": at + len(found), "found": None, "wanted": str(wanted[len(found)])[:200]}
        different = np.nonzero((found != wanted).reshape(len(wanted), -1).any(axis=1))[0]
        if len(different):
            row = int(different[0])
            return {"row": at + row, "found": str(found[row])[:200], "wanted": str(wanted[row])[:200]}
    return None


# Anything else.


@command
def run(code, arguments=None):
    """Runs Python with `files`, `h5py`, `np`, `formula`, `plain` and `arguments`, and answers what it leaves in `result`."""
    names = {"files": FILES, "h5py": h5py, "np": np, "formula": formula, "plain": plain, "arguments": arguments, "result": None}
    exec(compile(code, "<test>", "exec"), names)
    return names["result"]


def answer(line):
    request = json.loads(line)
    try:
        return {"ok": COMMANDS[request.pop("do")](**request)}
    except Exception as error:
        return {"error": {"kind": type(error).__name__, "message": str(error), "traceback": traceback.format_exc()}}


def main():
    # Answers have standard output to themselves: whatever else prints goes to standard error.
    answers = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)
    for line in io.TextIOWrapper(sys.stdin.buffer, encoding="utf-8"):
        answers.write(json.dumps(answer(line), allow_nan=False, ensure_ascii=False) + "\n")
    for file in FILES.values():
        with contextlib.suppress(Exception):
            file.close()


if __name__ == "__main__":
    main()
