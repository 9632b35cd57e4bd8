"""Judges files that crashes left behind, one after the other.

`arguments`: files: [{path, wrong (a list, filled here), datasets: [{path, number, content, least, ...}]}]. Each is opened plain and with
swmr=True; every object and attribute is read, and of each dataset the first `least` rows are compared. Leaves the complaints, as
strings, in `result`.
"""


def judge(given, swmr):
    with h5py.File(given["path"], "r", swmr=swmr) as file:

        def look(name, item):
            for value in item.attrs.values():
                np.asarray(value)
            if isinstance(item, h5py.Dataset) and not given["least_only"]:
                item[()]

        look("/", file)
        file.visititems(look)
        for spec in given["datasets"]:
            ds = file[spec["path"]]
            assert ds.shape[0] >= spec["least"], f"{spec['path']} has {ds.shape}, not {spec['least']} rows"
            check(ds, spec, 0, spec["least"])


result = []
for given in arguments["files"]:
    for swmr in (False, True):
        try:
            judge(given, swmr)
        except Exception as error:
            result.append(f"{given['what']}, swmr={swmr}: {type(error).__name__}: {error}")
