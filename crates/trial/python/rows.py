"""What belongs in the rows of a dataset, and whether it is there."""

STRIDE = 4096


def text(number, row):
    return f"row {row} of {number}" + "·" * (row % 40)


def wanted(ds, spec, start, stop):
    match spec["content"]:
        case "text":
            return [text(spec["number"], row) for row in range(start, stop)]
        case "grid":
            columns = ds.shape[1]
            rows = [formula.values(spec["number"], row * STRIDE, columns, "f8") for row in range(start, stop)]
            return np.array(rows).reshape((stop - start, columns))
        case _:
            return formula.rows(spec["number"], start, stop - start, ds.shape[1:], ds.dtype)


def check(ds, spec, start, stop):
    for at in range(start, stop, 20000):
        end = min(at + 20000, stop)
        found, right = ds[at:end], wanted(ds, spec, at, end)
        if spec["content"] == "text":
            found = [item.decode() for item in found]
            different = [i for i, pair in enumerate(zip(found, right, strict=True)) if pair[0] != pair[1]]
        else:
            assert found.shape == right.shape, (found.shape, right.shape)
            different = np.nonzero((found != right).reshape(len(right), -1).any(axis=1))[0].tolist()
        if different:
            row = different[0]
            raise AssertionError(f"{spec['path']} of {ds.shape}: row {at + row} is {found[row]!r}, not {right[row]!r}")


