"""Follows datasets that another process appends to, checking every row that appears and some of those seen before.

`arguments`: path, mode (of h5py, "r" if not given), swmr, end (a file that comes when the writer has done its last publication, and
holds their number; null to look once), limit (seconds), datasets: [{path, number, content, step}], and form: "rows", "arriving",
"shrinking" or "overwriting". Leaves {opens, looks, lengths, errors, seen} in `result`. What cannot be opened or read is counted and
tried again; wrong data raise.
"""

import os
import random
import time


class Reader:
    def __init__(self, given):
        self.given = given
        self.file = None
        self.seen = {}
        self.counts = {"opens": 0, "looks": 0, "lengths": 0, "errors": []}

    def open(self):
        if self.file is None:
            self.file = h5py.File(self.given["path"], self.given.get("mode", "r"), swmr=self.given["swmr"])
            self.counts["opens"] += 1
        return self.file

    def close(self):
        if self.file is not None:
            self.file.close()
            self.file = None

    def look(self):
        getattr(self, self.given["form"])(self.open())

    def rows(self, file):
        for spec in self.given["datasets"]:
            path = spec["path"]
            ds = file[path]
            if self.given["swmr"]:
                ds.refresh()
            now, before = ds.shape[0], self.seen.get(path, 0)
            assert now >= before, f"{path} shrank from {before} to {now} rows"
            assert now % spec["step"] == 0, f"{path} has {now} rows, which is no number of publications"
            if spec["content"] == "grid":
                assert ds.shape[1] == 3 + now // 16, f"{path} has {ds.shape}: rows and columns of different publications"
            if now > before:
                self.counts["lengths"] += 1
                check(ds, spec, before, now)
            if before:
                start = random.randrange(before)
                check(ds, spec, start, min(start + 200, before))
            self.seen[path] = now

    def arriving(self, file):
        here = sorted(int(name) for name in file["all"])
        assert here == list(range(1, len(here) + 1)), f"groups are {here}"
        assert len(here) >= self.seen.get("all", 0), f"{len(here)} groups, {self.seen} before"
        newest = here[-20:] + random.sample(here, min(len(here), 5))
        for step in newest:
            ds, spec = file[f"all/{step}/data"], self.given["datasets"][step % len(self.given["datasets"])]
            rows = 2 * spec["step"]
            assert ds.shape[0] == rows, f"all/{step}/data has {ds.shape}, not {rows} rows"
            check(ds, spec | {"number": step}, 0, rows)
            assert ds.attrs["step"] == step, step
        for name, value in file["all"].attrs.items():
            step = int(name.removeprefix("step "))
            assert value.tolist() == [step] * step, (name, value)
        self.counts["lengths"] += len(here) > self.seen.get("all", 0)
        self.seen["all"] = len(here)

    def shrinking(self, file):
        spec = self.given["datasets"][0]
        ds = file[spec["path"]]
        if self.given["swmr"]:
            ds.refresh()
        now = ds.shape[0]
        assert now in (0, 3, 9, 20, 35), f"{now} rows"
        check(ds, spec | {"number": 0}, 0, min(now, 3))
        self.counts["lengths"] += now != self.seen.get("data")
        self.seen["data"] = now

    def overwriting(self, file):
        spec = self.given["datasets"][0]
        found, right = file[spec["path"]][...], wanted(file[spec["path"]], spec | {"number": 0}, 0, 30)
        for row, value in enumerate(found):
            assert value == right[row] or (value >= 1 and value == int(value)), f"row {row} is {value!r}"
        self.counts["lengths"] += 1

    def run(self):
        given = self.given
        if given["end"] is None:
            self.look()
            self.close()
            return self.counts | {"seen": self.seen}
        deadline = time.monotonic() + given["limit"]
        while True:
            total = None
            if os.path.exists(given["end"]):
                with open(given["end"]) as end:
                    total = int(end.read())
            try:
                self.look()
            except AssertionError:
                raise
            except Exception as error:
                # libhdf5 never reads a heap above the end-of-file that it saw when it opened the file, refreshed or not.
                has_heap = given["swmr"] and any(spec["content"] == "text" for spec in given["datasets"])
                if not (has_heap and ("past end of allocation" in str(error) or "EOA" in str(error))):
                    self.counts["errors"].append(f"{type(error).__name__}: {error}")
                self.close()
                if time.monotonic() > deadline:
                    raise
                continue
            self.counts["looks"] += 1
            if not given["swmr"] or given["form"] == "arriving":
                self.close()
            if total is not None:
                for spec in given["datasets"] if given["form"] == "rows" else []:
                    assert self.seen[spec["path"]] == total * spec["step"], f"{self.seen} after {total} publications"
                if given["form"] == "arriving":
                    assert self.seen["all"] == total, f"{self.seen} after {total} publications"
                self.close()
                return self.counts
            assert time.monotonic() < deadline, "the end never came"


result = Reader(arguments).run()
