"""Writing, checking and dumping one case or tree of `cases.py`."""

import os
import re
import subprocess
import traceback
import zlib

import h5py
import numpy as np
from h5py import h5a, h5d, h5p, h5s

import content
import plain

FILL_TIMES = {"if-set": h5d.FILL_TIME_IFSET, "alloc": h5d.FILL_TIME_ALLOC, "never": h5d.FILL_TIME_NEVER}
LAYOUTS = {h5d.COMPACT: "compact", h5d.CONTIGUOUS: "contiguous", h5d.CHUNKED: "chunked"}
FILTERS = {1: "deflate", 2: "shuffle", 3: "fletcher32", 32000: "lzf"}


def path_of(directory, entry):
    return os.path.join(directory, entry["name"] + ".h5")


def expected(entry):
    """A case's values, unless they are very many, and their bytes as the file's type stores them, unless those are addresses."""
    values = content.values(entry)
    if values is None:
        return {"values": None, "raw": None}
    raw = None if plain.has_pointers(entry["type"]) else plain.to_numpy(entry["type"], values, [len(values)], None)
    if raw is not None and entry["type"].get("padding") == "space-pad":
        raw = np.char.ljust(raw, entry["type"]["length"])
    return {
        "values": values if len(values) <= content.LISTED else None,
        "raw": None if raw is None else raw.tobytes().hex(),
    }


def verdict(judge, directory, entry):
    """What is wrong, as text, or None."""
    try:
        differences = judge(path_of(directory, entry), entry)
    except Exception:
        return traceback.format_exc()
    return "; ".join(differences) or None


# Writing.


def write(directory, entry, bounds=("v110", "v110")):
    ordered = any(item["path"] == "/" and item["creation_order"] for item in entry.get("objects", []))
    with h5py.File(path_of(directory, entry), "w", libver=bounds, track_order=ordered) as file:
        if "objects" in entry:
            write_tree(file, entry)
        else:
            write_case(file, entry)


def write_case(file, entry):
    file.create_group("group/inner")
    kind, shape = entry["type"], entry["shape"]
    made = h5d.create(file.id, b"data", plain.type_id(kind), space_of(shape, entry["maxshape"]), properties(file, entry))
    values = content.values(entry)
    if values is None:
        pass
    elif entry["masks"]:
        write_chunks(made, entry, plain.to_numpy(kind, values, shape, file))
    elif entry["rows"] != 0:
        rows = shape if entry["rows"] is None else [entry["rows"], *shape[1:]]
        part = plain.to_numpy(kind, values[: int(np.prod(rows, dtype=np.int64))], rows, file)
        write_rows(made, kind, rows, part)
    if entry["attribute"]:
        write_attribute(made, {"name": "twin", "type": kind, "shape": shape, "values": values}, file)


def write_rows(made, kind, rows, data):
    if data.size == 0:
        return
    target = made.get_space()
    if rows:
        target.select_hyperslab((0,) * len(rows), tuple(rows))
    source = h5s.create_simple(tuple(rows)) if rows else h5s.create(h5s.SCALAR)
    made.write(source, target, data, mtype=plain.memory_type(made, kind))


def write_chunks(made, entry, data):
    """Chunk by chunk, each through the filters that its mask lets it pass."""
    chunks = entry["layout"]["chunks"]
    grid = [-(-extent // chunk) for extent, chunk in zip(entry["shape"], chunks, strict=True)]
    for place, mask in zip(np.ndindex(*grid), entry["masks"], strict=True):
        start = [index * chunk for index, chunk in zip(place, chunks, strict=True)]
        part = data[tuple(slice(at, at + chunk) for at, chunk in zip(start, chunks, strict=True))]
        whole = np.zeros(chunks, dtype=data.dtype)
        whole[tuple(slice(0, extent) for extent in part.shape)] = part
        made.write_direct_chunk(tuple(start), encode(whole, entry["filters"], mask), mask)


def encode(data, filters, mask):
    size, chunk = data.dtype.itemsize, data.tobytes()
    for position, item in enumerate(filters):
        if mask >> position & 1:
            continue
        match item["name"]:
            case "shuffle":
                chunk = np.frombuffer(chunk, np.uint8).reshape(-1, size).T.tobytes()
            case "deflate":
                chunk = zlib.compress(chunk, item["level"])
            case "fletcher32":
                chunk += fletcher32(chunk).to_bytes(4, "little")
    return chunk


def fletcher32(data):
    """The checksum of the fletcher32 filter: over big-endian 16-bit words."""
    low = high = 0
    for word in np.frombuffer(data + b"\0" * (len(data) % 2), ">u2").tolist():
        low = (low + word) % 65535
        high = (high + low) % 65535
    # The filter folds sums instead of dividing, so that a sum that is a multiple of 65535 ends as 65535, not 0 (unless all is zero).
    fold = lambda total: total or (65535 if any(data) else 0)
    return fold(high) << 16 | fold(low)


def space_of(shape, maxshape):
    if shape is None:
        return h5s.create(h5s.NULL)
    if not shape:
        return h5s.create(h5s.SCALAR)
    return h5s.create_simple(tuple(shape), tuple(h5s.UNLIMITED if extent is None else extent for extent in maxshape))


def properties(file, entry):
    made, layout = h5p.create(h5p.DATASET_CREATE), entry["layout"]
    match layout["kind"]:
        case "compact":
            made.set_layout(h5d.COMPACT)
        case "contiguous":
            made.set_layout(h5d.CONTIGUOUS)
        case "chunked":
            made.set_chunk(tuple(layout["chunks"]))
            if layout["index"] == "implicit":
                made.set_alloc_time(h5d.ALLOC_TIME_EARLY)
    for item in entry["filters"]:
        match item["name"]:
            case "deflate":
                made.set_deflate(item["level"])
            case "shuffle":
                made.set_shuffle()
            case "fletcher32":
                made.set_fletcher32()
            case "lzf":
                made.set_filter(h5py.h5z.FILTER_LZF, h5py.h5z.FLAG_OPTIONAL)
    if entry["fill"] is not None:
        made.set_fill_value(fill_array(entry["type"], entry["fill"], file))
    made.set_fill_time(FILL_TIMES[entry["fill_time"]])
    return made


def fill_array(kind, fill, file):
    """A fill value as h5py wants it: a string always as if it were of variable length."""
    if kind["class"] == "string":
        return np.array(fill, dtype=h5py.string_dtype(kind["charset"]))
    return plain.to_numpy(kind, [fill], [], file)


def write_attribute(holder, attribute, file):
    kind, shape = attribute["type"], attribute["shape"]
    made = h5a.create(holder, attribute["name"].encode(), plain.type_id(kind), space_of(shape, shape))
    if attribute["values"]:
        made.write(plain.to_numpy(kind, attribute["values"], shape, file), mtype=plain.memory_type(made, kind))


def write_tree(file, entry):
    for wanted in entry["objects"]:
        path = wanted["path"]
        made = file if path == "/" else file.create_group(path, track_order=wanted["creation_order"])
        for attribute in wanted["attributes"]:
            write_attribute(made.id, attribute, file)
    for link in entry["links"]:
        match link["kind"]:
            case "hard":
                file[link["path"]] = file[link["target"]]
            case "soft":
                file[link["path"]] = h5py.SoftLink(link["target"])
            case "external":
                file[link["path"]] = h5py.ExternalLink(link["file"], link["target"])


# Checking.


def check(path, entry):
    with h5py.File(path, "r") as file:
        return list(tree_differences(file, entry) if "objects" in entry else case_differences(file, entry))


def differ(what, found, wanted):
    """One difference, shortened to what fits a line, or nothing."""
    if found == wanted or same(found, wanted):
        return
    if isinstance(found, list) and isinstance(wanted, list) and len(found) == len(wanted):
        index = next(i for i in range(len(wanted)) if not same(found[i], wanted[i]))
        what, found, wanted = f"{what}[{index}]", found[index], wanted[index]
    yield f"{what} is {str(found)[:300]} instead of {str(wanted)[:300]}"


def same(found, wanted):
    """Equality that tells 0.0 from -0.0, and 1 from 1.0."""
    return repr(found) == repr(wanted)


def case_differences(file, entry):
    data = file["data"].id
    kind = plain.in_file(entry["type"])
    yield from differ("type", plain.in_file(plain.describe(data.get_type())), kind)
    space = data.get_space()
    if entry["shape"] is None:
        yield from differ("dataspace", space.get_simple_extent_type(), h5s.NULL)
    else:
        yield from differ("shape", list(space.shape), entry["shape"])
        maxshape = [None if extent == h5s.UNLIMITED else extent for extent in space.get_simple_extent_dims(True)]
        yield from differ("maxshape", maxshape, entry["maxshape"])
    yield from property_differences(file, data, entry)
    values = content.values(entry)
    yield from differ("values", plain.read_plain(data, file), values)
    if entry["attribute"]:
        attribute = h5a.open(data, b"twin")
        yield from differ("attribute's type", plain.in_file(plain.describe(attribute.get_type())), kind)
        yield from differ("attribute", plain.read_plain(attribute, file), values)


def property_differences(file, data, entry):
    made, layout = data.get_create_plist(), entry["layout"]
    yield from differ("layout", LAYOUTS.get(made.get_layout()), layout["kind"])
    if layout["kind"] == "chunked":
        yield from differ("chunks", list(made.get_chunk()), layout["chunks"])
    yield from differ("filters", filters_of(made), entry["filters"])
    yield from differ("fill value", fill_of(made, entry["type"], file), entry["fill"])
    if entry["masks"]:
        found = {info.chunk_offset: info.filter_mask for info in map(data.get_chunk_info, range(data.get_num_chunks()))}
        yield from differ("filter masks", [found[place] for place in sorted(found)], entry["masks"])


def filters_of(made):
    """The pipeline of a dataset's creation properties, as cases name it."""
    found = []
    for position in range(made.get_nfilters()):
        code, _, values, _ = made.get_filter(position)
        item = {"name": FILTERS.get(code, f"filter {code}")}
        found.append(item | {"level": values[0]} if code == 1 else item)
    return found


def fill_of(made, kind, file):
    """The fill value that a user gave, or None."""
    if made.fill_value_defined() != h5d.FILL_VALUE_USER_DEFINED or plain.has_pointers(kind):
        return None
    if kind["class"] == "string":
        return plain.element_from_numpy(kind, file["data"].fillvalue, file)
    fill = np.zeros((), dtype=plain.numpy_dtype(kind))
    made.get_fill_value(fill)
    return plain.from_numpy(kind, fill, file)[0]


def tree_differences(file, entry):
    wanted = {"/": {"creation_order": False, "attributes": []}} | {item["path"]: item for item in entry["objects"]}
    links = {link["path"]: link for link in entry["links"]}
    children = {path: [] for path in wanted}
    for path in [item["path"] for item in entry["objects"] if item["path"] != "/"] + list(links):
        parent, _, name = path.rpartition("/")
        children[parent or "/"].append(name)
    for path, item in wanted.items():
        if path not in file:
            yield f"{path} is missing"
            continue
        group = file[path]
        if item["creation_order"]:
            order = h5p.CRT_ORDER_TRACKED if hasattr(h5p, "CRT_ORDER_TRACKED") else 1
            yield from differ(f"{path}: tracked", bool(group.id.get_create_plist().get_link_creation_order() & order), True)
            names = links_in_order(group)
            yield from differ(f"{path}: links", names, children[path])
        else:
            yield from differ(f"{path}: links", sorted(group), sorted(children[path]))
        attributes = {attribute["name"]: attribute for attribute in item["attributes"]}
        yield from differ(f"{path}: attributes", sorted(group.attrs), sorted(attributes))
        for name, attribute in attributes.items():
            if name not in group.attrs:
                continue
            found = h5a.open(group.id, name.encode())
            yield from differ(f"{path}: type of {name}", plain.describe(found.get_type()), attribute["type"])
            yield from differ(f"{path}: shape of {name}", list(found.get_space().shape), attribute["shape"])
            yield from differ(f"{path}: {name}", plain.read_plain(found, file), attribute["values"])
    for path, link in links.items():
        if file.get(path, getlink=True) is None:
            yield f"{path} is missing"
            continue
        if link["kind"] == "hard":
            yield from differ(f"{path} leads to", file[path] == file[link["target"]], True)
            continue
        found = file.get(path, getlink=True)
        yield from differ(f"{path} leads to", found.path, link["target"])
        yield from differ(f"{path} is", type(found).__name__, {"soft": "SoftLink", "external": "ExternalLink"}[link["kind"]])
        if link["kind"] == "external":
            yield from differ(f"{path}: file", found.filename, link["file"])


def links_in_order(group):
    names = []
    group.id.links.iterate(lambda name: names.append(name.decode()), idx_type=h5py.h5.INDEX_CRT_ORDER, order=h5py.h5.ITER_INC)
    return names


# h5dump.


def dump(path, entry):
    if "objects" in entry:
        return list(dumped_tree(path, entry))
    return list(dumped_case(path, entry))


def h5dump(*arguments):
    done = subprocess.run(["h5dump", *arguments], capture_output=True, timeout=60)
    if done.returncode:
        raise RuntimeError(f"h5dump {' '.join(arguments)}: {done.stderr.decode(errors='replace')}")
    return done.stdout.decode(errors="surrogateescape")


def dumped_case(path, entry):
    kind, values = entry["type"], content.values(entry)
    if any(item["name"] == "lzf" for item in entry["filters"]):
        # h5dump has no LZF: only what it says of the file's structure can be had.
        h5dump("-p", "-H", "-d", "/data", path)
        return
    if values and kind["class"] in ("integer", "float") and len(values) > 100:
        yield from dumped_bytes(path, entry, values)
        return
    # Without indices, on endless lines, with as many digits as bring a double back.
    printed = h5dump("-y", "-w", "0", "-m", "%.17g", "-d", "/data", "-A", "0", path)
    start = re.search(r"DATA \{", printed)
    if values is None or not values:
        yield from differ("h5dump's data", start is not None and bool(tokens(data_of(printed, start))), False)
        return
    if start is None:
        yield "h5dump shows no data"
        return
    found = tokens(data_of(printed, start))
    wanted = [token for value in values for token in expected_tokens(kind, value)]
    yield from differ("number of tokens in h5dump", len(found), len(wanted))
    for position, (left, right) in enumerate(zip(found, wanted)):
        if not token_matches(left, right):
            yield f"h5dump's token {position} is {left!r} instead of {right!r}"
            return


def data_of(printed, start):
    return printed[start.end() : printed.rindex("}", 0, printed.rindex("}", 0, printed.rindex("}")))]


def dumped_bytes(path, entry, values):
    """The binary export, compared as bytes."""
    out = path + ".bin"
    h5dump("-d", "/data", "-b", "LE", "-o", out, path)
    with open(out, "rb") as file:
        found = np.frombuffer(file.read(), plain.numpy_dtype(entry["type"]).newbyteorder("<"))
    os.remove(out)
    wanted = plain.to_numpy(entry["type"], values, [len(values)], None)
    yield from differ("h5dump -b", found.tolist(), wanted.tolist())


def tokens(text):
    """The values in h5dump's output: numbers, names and strings, and the parentheses of sequences. Nesting is left to the type."""
    # What a reference leads to is printed below it.
    text = re.sub(r"DATA \{\s*\}", "", text)
    found = re.findall(r'"(?:[^"\\]|\\.)*"|[()]|GROUP \d+ "?[^\s"]+"?|[^\s,{}\[\]()]+', text)
    return [unquoted(token) for token in found]


def unquoted(token):
    if not token.startswith('"'):
        return token
    # Bytes beyond ASCII come as octal numbers of a sign-extended character.
    octal = lambda match: chr(int(match[1], 8) & 0xFF) if match[1].isdigit() else match[1]
    latin = re.sub(r"\\(37777777[0-7]{3}|[0-7]{3}|.)", octal, token[1:-1])
    return '"' + latin.encode("latin-1").decode("utf-8", "replace").rstrip("\0 ")


def expected_tokens(kind, value):
    match kind["class"]:
        case "enum":
            return [next(name for name, number in kind["members"] if number == value)]
        case "string":
            return ['"' + value.rstrip(" ")]
        case "compound":
            return [token for field, item in zip(kind["fields"], value) for token in expected_tokens(field["type"], item)]
        case "array" | "complex":
            return [token for item in value for token in expected_tokens(kind["base"], item)]
        case "vlen":
            return ["(", *(token for item in value for token in expected_tokens(kind["base"], item)), ")"]
        case "opaque":
            return [":".join(re.findall("..", value))]
        case "reference":
            return ["NULL" if value is None else value]
        case _:
            return [value]


def token_matches(found, wanted):
    if isinstance(wanted, str) and wanted not in ("nan", "inf", "-inf"):
        return found == wanted or found.startswith("GROUP") and found.split(" ")[-1].strip('"') == wanted
    if isinstance(wanted, int):
        return int(found) == wanted
    return repr(float(found)) == repr(float(wanted))


def dumped_tree(path, entry):
    """Every object and link is listed, under its path."""
    listed = set(map(tidy, h5dump("-n", "1", path).splitlines()))
    aliases = [link["target"] for link in entry["links"] if link["kind"] == "hard"]
    # What two links lead to is listed below the one that sorts first.
    shown = [item["path"] for item in entry["objects"] if not any(item["path"].startswith(f"{target}/") for target in aliases)]
    wanted = {f"group {path}" for path in ["/", *shown]}
    for link in entry["links"]:
        match link["kind"]:
            case "hard" if link["path"].count("/") == 1:
                wanted.add(f"group {link['path']}")
            case "soft":
                wanted.add(f"link {link['path']}")
            case "external":
                wanted.add(f"ext link {link['path']}")
    yield from differ("objects that h5dump does not list", sorted(wanted - listed), [])


def tidy(line):
    """`KIND PATH` from a line of h5dump's listing of contents, or nothing."""
    match = re.match(r" *(group|link|ext link|dataset) +(/.*?)(?: ->.*)?$", line)
    return f"{match[1]} {match[2]}" if match else ""
