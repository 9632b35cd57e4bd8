"""Opens a file afresh and walks all of it, until `end` exists: every object, all its attributes, all its elements.

`arguments`: path, end, swmr, kinds, forms. Object number n is of kind n modulo forms, a group if there is no such kind. Leaves {walks,
objects, wrong} in `result`. Nothing is forgiven but what libhdf5 does with `swmr=True`, too, to files of its own: it reads no object
header or heap above the end-of-file that it saw when it opened the file.
"""

import os

result = {"walks": 0, "objects": 0, "wrong": []}
before = 0


def walk(file):
    names = sorted(int(name) for name in file["all"])
    assert names == list(range(1, len(names) + 1)), f"objects are {names}"
    assert len(names) >= before, f"{len(names)} objects after {before}"
    for name in names:
        item = file[f"all/{name}"]
        found = {key: int(value) for key, value in item.attrs.items()}
        # The newest may still be coming.
        whole = {f"a{at}": name * 100 + at for at in range(20)}
        assert found == whole, f"attributes of {name} are {found}"
        if name % arguments["forms"] < len(arguments["kinds"]):
            kind = arguments["kinds"][name % arguments["forms"]]
            assert item.shape[0] == 2 * kind["step"], f"all/{name} has {item.shape}"
            check(item, kind | {"path": f"all/{name}", "number": name}, 0, item.shape[0])
        result["objects"] += 1
    return len(names)


while len(result["wrong"]) < 20:
    last = os.path.exists(arguments["end"])
    try:
        with h5py.File(arguments["path"], "r", swmr=arguments["swmr"]) as file:
            before = walk(file)
        result["walks"] += 1
    except Exception as error:
        result["wrong"].append(f"{type(error).__name__}: {error}")
    if last:
        break
