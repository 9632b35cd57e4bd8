"""Runs the tests of the installed h5py on h5live, and compares with the list of those that must pass.

    python h5py_suite.py            runs them all; fails if one of `h5py_suite.txt` does
    python h5py_suite.py PATTERN    those whose names contain it, with pytest's own report
    python h5py_suite.py --list     prints the names of those that pass, for `h5py_suite.txt`

h5py's wheel brings its tests along (pytest and pytest-mpi are needed too). They are copied to a scratch directory, where `h5py` is
h5live: see `h5live.install_as_h5py`.
"""

import importlib.util
import json
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile

HERE = pathlib.Path(__file__).resolve().parent
MUST_PASS = HERE / "h5py_suite.txt"

PLUGIN = '''
"""Makes h5py mean h5live before a test is imported, and notes how tests end."""
import json, os, pathlib
import h5live

h5live.__path__.append(str(pathlib.Path(__file__).parent / "h5py"))
h5live.install_as_h5py()
_ended = {}

def pytest_runtest_logreport(report):
    name = report.nodeid.split("h5py/tests/")[-1]
    if report.when == "call" or report.failed or report.skipped:
        worst = "failed" if "failed" in (report.outcome, _ended.get(name)) else report.outcome
        _ended[name] = worst

def pytest_sessionfinish():
    pathlib.Path(os.environ["H5LIVE_SUITE_RESULT"]).write_text(json.dumps(_ended))
'''

SETTINGS = """\
[pytest]
addopts = -p h5live_suite_plugin -p no:cacheprovider
markers =
    network: needs a network
    slow: slow
    mpi: needs MPI
    mpi_skip: not with MPI
    parallel_threads_limit: at most so many threads
    thread_unsafe: not in several threads
filterwarnings =
    error
"""


def run(pattern):
    """Runs the tests and returns how each ended."""
    where = importlib.util.find_spec("h5py")
    if where is None:
        sys.exit("h5py must be installed: its tests are run")
    wheel = pathlib.Path(where.submodule_search_locations[0])
    with tempfile.TemporaryDirectory(prefix="h5live-suite-") as scratch:
        scratch = pathlib.Path(scratch)
        shutil.copytree(wheel / "tests", scratch / "h5py" / "tests", ignore=shutil.ignore_patterns("__pycache__"))
        # pytest takes the directory for a package only with this; nothing imports it.
        (scratch / "h5py" / "__init__.py").write_text("from h5live import *\n")
        (scratch / "h5live_suite_plugin.py").write_text(PLUGIN)
        (scratch / "pytest.ini").write_text(SETTINGS)
        result = scratch / "result.json"
        environment = dict(os.environ, H5LIVE_SUITE_RESULT=str(result), PYTHONDONTWRITEBYTECODE="1")
        environment["PYTHONPATH"] = os.pathsep.join([str(scratch), os.environ.get("PYTHONPATH", "")]).rstrip(os.pathsep)
        # Tests that run themselves in another process find the plugin through this.
        command = [sys.executable, "-m", "pytest", "-q", "--no-header", "-c", str(scratch / "pytest.ini"), "--rootdir", str(scratch)]
        command += ["--tb=short", "-k", pattern] if pattern else ["--tb=no"]
        command.append(str(scratch / "h5py" / "tests"))
        done = subprocess.run(command, env=environment, cwd=scratch, stdout=None if pattern else subprocess.PIPE, text=True)
        if not result.exists():
            print(done.stdout or "", file=sys.stderr)
            sys.exit(f"pytest ended with {done.returncode} and no result")
        return json.loads(result.read_text())


def main(arguments):
    listing = "--list" in arguments
    pattern = next((argument for argument in arguments if not argument.startswith("-")), None)
    ended = run(pattern)
    passed = sorted(name for name, how in ended.items() if how == "passed")
    failed = sorted(name for name, how in ended.items() if how == "failed")
    if listing:
        print("\n".join(passed))
        return 0
    print(f"h5py's own tests on h5live: {len(passed)} passed, {len(failed)} failed, {len(ended) - len(passed) - len(failed)} skipped")
    if pattern:
        return bool(failed)
    must = [line.strip() for line in MUST_PASS.read_text().splitlines() if line.strip() and not line.startswith("#")]
    missing = [name for name in must if ended.get(name) not in ("passed", "skipped")]
    if missing:
        print(f"{len(missing)} of the {len(must)} that must pass did not:", *missing, sep="\n  ")
    return bool(missing)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
