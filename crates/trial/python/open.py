"""Opens a file again and again until `end` exists, and each time compares some rows.

`arguments`: path, end, swmr, seed, datasets, and arriving: what each of the objects below "all" is. Leaves {opens, rows, errors, wrong}
in `result`: errors are counted by what they say, wrong data are not forgiven.
"""

import os
import random
import re

random.seed(arguments["seed"])
seen = {}
result = {"opens": 0, "rows": 0, "errors": {}, "wrong": []}


def look(file):
    specs = arguments["datasets"]
    for spec in [specs[0], *random.sample(specs, 3)]:
        ds = file[spec["path"]]
        rows, before = ds.shape[0], seen.get(spec["path"], 0)
        assert rows >= before, f"{spec['path']} shrank from {before} to {rows} rows"
        seen[spec["path"]] = rows
        tail = max(0, rows - 60)
        start = random.randrange(rows) if rows else 0
        for first, last in ((tail, rows), (start, min(rows, start + 40))):
            check(ds, spec, first, last)
            result["rows"] += last - first
    names = sorted(int(name) for name in file["all"])
    assert names == list(range(1, len(names) + 1)), f"objects are {names}"
    assert len(names) >= seen.get("all", 0), f"{len(names)} objects after {seen['all']}"
    seen["all"] = len(names)
    for name in names[-2:]:
        ds = file[f"all/{name}/data"]
        assert ds.attrs["step"] == name and ds.shape == (6,), f"all/{name}/data has {ds.shape}, {dict(ds.attrs)}"
        check(ds, arguments["arriving"] | {"number": name}, 0, 6)


while not os.path.exists(arguments["end"]) and len(result["wrong"]) < 20:
    result["opens"] += 1
    try:
        with h5py.File(arguments["path"], "r", swmr=arguments["swmr"]) as file:
            look(file)
    except AssertionError as error:
        result["wrong"].append(str(error))
    except Exception as error:
        # Numbers are of the moment.
        text = re.sub(r"0x[0-9a-f]+|\d+", "N", f"{type(error).__name__}: {error}")
        result["errors"][text] = result["errors"].get(text, 0) + 1
