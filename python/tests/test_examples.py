"""The programs of `examples`, with h5live and with stock h5py on the other side."""

import pathlib
import re
import subprocess
import sys

import numpy as np
import pytest

h5py = pytest.importorskip("h5py")

EXAMPLES = pathlib.Path(__file__).resolve().parent.parent / "examples"
# A writer for those who watch: slow enough to be seen growing, and it closes the file at the end.
SLOW_WRITER = """
import sys, time
import numpy as np
import h5live as h5py

f = h5py.File(sys.argv[1], "w", libver="latest")
dset = f.create_dataset("data", chunks=(2,), maxshape=(None,), data=np.arange(4))
f.swmr_mode = True
print("live", flush=True)
sys.stdin.readline()
for i in range(1, 5):
    dset.resize((4 * i + 4,))
    dset[4 * i:] = np.arange(4)
    dset.flush()
    time.sleep(0.05)
f.close()
"""


def source(text, module):
    """A program that imports `module` where it says h5live."""
    assert "import h5live as h5py" in text
    return text.replace("import h5live as h5py", f"import {module} as h5py")


def program(name, module, *args, **kwds):
    """Starts an example."""
    text = (EXAMPLES / name).read_text()
    return start(text if module is None else source(text, module), *args, **kwds)


def start(text, *args, folder):
    path = folder / f"program{len(list(folder.glob('program*')))}.py"
    path.write_text(text)
    pipes = {name: subprocess.PIPE for name in ("stdin", "stdout", "stderr")}
    return subprocess.Popen([sys.executable, str(path), *map(str, args)], cwd=folder, text=True, **pipes)


def finish(process):
    out, err = process.communicate(timeout=120)
    assert process.returncode == 0, err
    return out, err


def shapes(text):
    return [int(rows) for rows in re.findall(r"\((\d+),\)", text)]


@pytest.mark.parametrize("module", ["h5live", "h5py"])
def test_append(tmp_path, module):
    out, _ = finish(program("swmr_append.py", module, folder=tmp_path))
    assert shapes(out) == [4, 8, 12, 16, 20]
    with h5py.File(tmp_path / "swmr.h5") as f:
        assert (f["data"][:] == np.tile([1, 2, 3, 4], 5)).all()


MONITORS = [(reader, writer, spelling) for spelling in ("high", "low") for reader, writer in (("h5live", "h5live"), ("h5live", "h5py"))]


# In h5py itself, the shape does not follow `dset.id.refresh()`: it is remembered.
@pytest.mark.parametrize("reader, writer, spelling", [*MONITORS, ("h5py", "h5live", "high")])
def test_monitor(tmp_path, reader, writer, spelling):
    path = tmp_path / "a.h5"
    writing = start(source(SLOW_WRITER, writer), path, folder=tmp_path)
    assert writing.stdout.readline() == "live\n"
    reading = program("swmr_monitor.py", reader, path, spelling, folder=tmp_path)
    try:
        seen = shapes(reading.stdout.readline())
        writing.stdin.write("go\n")
        writing.stdin.flush()
        while seen[-1] != 20:
            line = reading.stdout.readline()
            assert line, reading.stderr.read()
            seen += shapes(line)
        assert seen[0] == 4 and seen == sorted(seen)
    finally:
        reading.kill()
        reading.communicate()
    finish(writing)


@pytest.mark.parametrize("example", ["swmr_inotify.py", "swmr_asyncio.py"])
@pytest.mark.parametrize("writer", ["h5live", "h5py"])
def test_watching(tmp_path, example, writer):
    path = tmp_path / "a.h5"
    writing = start(source(SLOW_WRITER, writer), path, folder=tmp_path)
    assert writing.stdout.readline() == "live\n"
    watching = program(example, None, path, "data", folder=tmp_path)
    log = []
    while not log or "Read data shape" not in log[-1]:
        log.append(watching.stderr.readline())
        assert log[-1], log
    finish(writing)
    _, rest = finish(watching)
    log = "".join(log) + rest
    assert f"Opening file {path}" in log and "File writer closed file" in log
    seen = shapes(log)
    assert seen[0] == 4 and seen[-1] == 20 and seen == sorted(seen)
    if example == "swmr_inotify.py":
        assert "Reading out dataset [20]" in log


@pytest.mark.parametrize("module", ["h5live", "h5py"])
def test_two_processes(tmp_path, module):
    _, log = finish(program("swmr_multiprocess.py", module, folder=tmp_path))
    for line in ("Creating file swmrmp.h5", "SWMR mode", "Resizing dset shape: (20,)", "Opening file swmrmp.h5", "Sending event"):
        assert line in log
    assert "Read dset shape: (20,)" in log
