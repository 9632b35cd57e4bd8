"""Describes HDF5 files as h5py has them, in the form of `h5live describe`: the golden half of a corpus.

Only what h5py can be trusted with is described: a field it cannot give holds {"error": TEXT}, and nothing is expected there.
"""

import hashlib
import json
import os

import h5py
import numpy as np
from h5py import h5d, h5p, h5t


def compact(value):
    return json.dumps(value, separators=(",", ":"), ensure_ascii=True)


def sha256(data):
    return hashlib.sha256(data).hexdigest()


def name_of(value):
    return value.decode("utf-8", "surrogateescape") if isinstance(value, bytes) else str(value)


def guarded(read):
    try:
        return read()
    except Exception as error:  # whatever the reason: there is no expectation then
        return {"error": f"{type(error).__name__}: {error}"}


# Types

ORDERS = {h5t.ORDER_LE: "le", h5t.ORDER_BE: "be"}
CHARACTERS = {h5t.CSET_ASCII: "ascii", h5t.CSET_UTF8: "utf8"}
PADDINGS = {h5t.STR_NULLTERM: "nullterm", h5t.STR_NULLPAD: "nullpad", h5t.STR_SPACEPAD: "spacepad"}
FIELDS = {2: (15, 10, 5, 0, 10), 4: (31, 23, 8, 0, 23), 8: (63, 52, 11, 0, 52)}


def order(t):
    return ORDERS.get(t.get_order(), f"o{t.get_order()}") if t.get_size() > 1 else ""


def bits(t):
    place = (t.get_precision(), t.get_offset())
    return "" if place == (8 * t.get_size(), 0) else "[p%d,o%d]" % place


def notation(t):
    """A type in one line."""
    size, kind = t.get_size(), t.get_class()
    if kind == h5t.INTEGER:
        return f"{'i' if t.get_sign() == h5t.SGN_2 else 'u'}{size}{order(t)}{bits(t)}"
    if kind == h5t.FLOAT:
        fields, short = tuple(t.get_fields()), f"f{size}{order(t)}"
        if fields == FIELDS.get(size) and not bits(t):
            return short
        return f"{short}{bits(t)}[{','.join(map(str, fields))},bias{t.get_ebias()}]"
    if kind == h5t.BITFIELD:
        end = "be" if np.dtype(t.dtype).str[0] == ">" else "le"
        return f"b{size}{end if size > 1 else ''}"
    if kind == h5t.STRING:
        characters = CHARACTERS[t.get_cset()]
        return f"vstr:{characters}" if t.is_variable_str() else f"S{size}:{characters}:{PADDINGS[t.get_strpad()]}"
    if kind == h5t.OPAQUE:
        return f"opaque{size}:{compact(name_of(t.get_tag()))}"
    if kind == h5t.ENUM:
        members = sorted((int(t.get_member_value(i)), name_of(t.get_member_name(i))) for i in range(t.get_nmembers()))
        listed = ",".join(f"{compact(name)}:{value}" for value, name in members)
        return f"enum<{notation(t.get_super())}>{{{listed}}}"
    if kind == h5t.COMPOUND:
        member = lambda i: f"{compact(name_of(t.get_member_name(i)))}@{t.get_member_offset(i)}:{notation(t.get_member_type(i))}"
        return f"{{{','.join(member(i) for i in range(t.get_nmembers()))}}}{size}"
    if kind == h5t.ARRAY:
        return f"({','.join(map(str, t.get_array_dims()))}){notation(t.get_super())}"
    if kind == h5t.VLEN:
        return f"vlen<{notation(t.get_super())}>"
    if kind == h5t.REFERENCE:
        return "ref:obj" if t.equal(h5t.STD_REF_OBJ) else "ref:region" if t.equal(h5t.STD_REF_DSETREG) else "ref:std"
    if kind == h5t.TIME:
        return f"time{size}"
    if kind == getattr(h5t, "COMPLEX", None):
        return f"complex<{notation(t.get_super())}>"
    raise TypeError(f"class {kind}")


# Values


def metadata(dtype, key):
    return (dtype.metadata or {}).get(key)


def little(values, dtype):
    """The elements' bytes, little-endian, as their type has them."""
    values = np.asarray(values)
    if dtype.kind == "b":
        return values.astype("u1").tobytes()
    if dtype.kind in "fc":
        most = 8 if dtype.kind == "f" else 16
        dtype = np.dtype(f"<{dtype.kind}{min(dtype.itemsize, most)}")
    return np.ascontiguousarray(values.astype(dtype.newbyteorder("<"))).tobytes()


class Values:
    def __init__(self, file, paths):
        self.file, self.paths = file, paths

    def digest(self, values, dtype):
        if dtype.subdtype:
            return self.digest(values, dtype.subdtype[0])
        if dtype.names:
            values = np.asarray(values)
            columns = [[name, self.digest(values[name], dtype.fields[name][0])] for name in dtype.names]
            return sha256(compact(columns).encode())
        if dtype.kind in "biufc" and metadata(dtype, "vlen") is None:
            return sha256(little(values, dtype))
        return sha256(compact([self.element(value, dtype) for value in np.asarray(values, dtype=object).ravel()]
                              if dtype.kind == "O" else
                              [self.element(value, dtype) for value in np.asarray(values).ravel()]).encode())

    def element(self, value, dtype):
        if dtype.subdtype:
            return [self.element(each, dtype.subdtype[0]) for each in np.asarray(value).ravel()]
        sequence = metadata(dtype, "vlen")
        if sequence in (str, bytes):
            return "s" + cut(value)
        if sequence is not None:
            # Never written: not even an empty array.
            items = [] if not isinstance(value, np.ndarray) else value
            return [self.element(each, np.dtype(sequence)) for each in items]
        if metadata(dtype, "ref") is not None:
            return self.reference(value)
        if dtype.names:
            return [self.element(value[name], dtype.fields[name][0]) for name in dtype.names]
        if dtype.kind in "iub":
            return int(value)
        if dtype.kind == "f":
            return "x" + little(value, dtype).hex()
        if dtype.kind == "c":
            both = little(value, dtype)
            return ["x" + both[: len(both) // 2].hex(), "x" + both[len(both) // 2 :].hex()]
        if dtype.kind == "S":
            return "s" + cut(value)
        if dtype.kind == "V":
            return "o" + bytes(value.tobytes()).hex()
        raise TypeError(f"no form for {dtype}")

    def reference(self, reference):
        if not reference:
            return "r:null"
        try:
            target = self.file[reference]
        except Exception:
            return "r:invalid"
        path = self.paths.get(identity(target), "?")
        if not isinstance(reference, h5py.RegionReference):
            return f"r:{path}"
        space = h5py.h5r.get_region(reference, self.file.id)
        corners = [[int(at) for at in corner] for corner in space.get_select_bounds()]
        return [f"R:{path}", list(space.shape), int(space.get_select_npoints()), corners]


def cut(value):
    if not value:
        return ""
    data = value.encode("utf-8", "surrogateescape") if isinstance(value, str) else bytes(value)
    return data.split(b"\0")[0].hex()


def as_elements(values, shape, dtype):
    """One entry for each element, also where h5py gives a single object."""
    if dtype.kind == "O" and not shape:
        single = np.empty(1, dtype=object)
        single[0] = values
        return single
    return values


def identity(item):
    return h5py.h5o.get_info(item.id).addr


# Objects


def creation_order(group):
    if not group.id.get_create_plist().get_link_creation_order() & h5p.CRT_ORDER_TRACKED:
        return None
    names = []
    group.id.links.iterate(lambda name: names.append(name_of(name)), idx_type=h5py.h5.INDEX_CRT_ORDER)
    return sha256(compact(names).encode())


def kind_of(item):
    return {h5py.Dataset: "dataset", h5py.Datatype: "datatype"}.get(type(item), "group")


def link_of(group, name):
    """What is said of a link that is not entered; None for a hard link."""
    link = group.get(name, getlink=True)
    if isinstance(link, h5py.SoftLink):
        told = {"kind": "soft", "path": link.path}
    elif isinstance(link, h5py.ExternalLink):
        told = {"kind": "external", "file": link.filename, "path": link.path}
    else:
        return None
    try:
        told["resolves"] = kind_of(group[name])
    except Exception:
        told["resolves"] = "no"
    return told


def attributes(item, values):
    told = {}
    for name in item.attrs:

        def one():
            found = item.attrs.get_id(name)
            dtype, shape = found.dtype, found.shape
            one = {"h5type": notation(found.get_type())}
            value = item.attrs[name]
            if isinstance(value, h5py.Empty):
                return {**one, "shape": None, "digest": "null"}
            digest = values.digest(as_elements(value, shape, dtype), dtype)
            return {**one, "shape": list(shape), "digest": digest}

        told[name] = guarded(one)
    return {"v": told}


LAYOUTS = {h5d.COMPACT: "compact", h5d.CONTIGUOUS: "contiguous", h5d.CHUNKED: "chunked", h5d.VIRTUAL: "virtual"}
FILLS = {h5d.FILL_VALUE_UNDEFINED: "undefined", h5d.FILL_VALUE_DEFAULT: "default", h5d.FILL_VALUE_USER_DEFINED: "user"}


def part(shape):
    """The middle of every axis, every second element of the last one."""
    middle = [slice(dim // 3, max(dim // 3 + 1, dim - dim // 4)) for dim in shape]
    middle[-1] = slice(middle[-1].start, middle[-1].stop, 2)
    return tuple(middle)


def dataset(data, values):
    plist, shape = data.id.get_create_plist(), data.shape
    pipeline = [plist.get_filter(number) for number in range(plist.get_nfilters())]
    told = {
        "shape": None if shape is None else list(shape),
        "maxshape": None if shape is None else list(data.maxshape),
        "chunks": None if data.chunks is None else list(data.chunks),
        "h5type": guarded(lambda: notation(data.id.get_type())),
        "committed": bool(data.id.get_type().committed()),
        "layout": LAYOUTS[plist.get_layout()],
        "filters": [[int(f[0]), int(f[1]), [int(value) for value in f[2]]] for f in pipeline],
        "fill": FILLS[plist.fill_value_defined()],
    }
    files = [plist.get_external(number) for number in range(plist.get_external_count())]
    if files:
        told["external"] = [[name_of(name), int(offset), int(size)] for name, offset, size in files]
    if told["layout"] == "virtual":
        sources = range(plist.get_virtual_count())
        told["sources"] = [[plist.get_virtual_filename(n), plist.get_virtual_dsetname(n)] for n in sources]
    try:
        dtype = data.dtype
    except TypeError as error:  # a type that numpy has not
        return {**told, "digest": {"error": str(error)}}
    if told["fill"] == "user" and not dtype.hasobject:
        told["fill_digest"] = guarded(lambda: values.digest(np.asarray(data.fillvalue), dtype))
    if shape is None:
        return {**told, "digest": "null"}
    read = lambda selection: values.digest(as_elements(data[selection], shape, dtype), dtype)
    told["digest"] = guarded(lambda: read(()))
    if shape and data.size > 1:
        told["part"] = guarded(lambda: read(part(shape)))
    return told


def objects(file):
    """Every object and link by its path: depth first, in the order of the names' bytes."""
    told, paths, found = {}, {}, []
    waiting = [("/", file["/"])]
    while waiting:
        path, item = waiting.pop()
        if identity(item) in paths:
            told[path] = {"kind": "hardlink", "same_as": paths[identity(item)]}
            continue
        paths[identity(item)] = path
        told[path] = {"kind": kind_of(item)}
        found.append((path, item))
        if kind_of(item) != "group":
            continue
        names = sorted(item, key=lambda name: name.encode("utf-8", "surrogateescape"))
        told[path]["nlinks"] = len(names)
        if tracked := creation_order(item):
            told[path]["link_order"] = tracked
        members = []
        for name in names:
            below = f"{path.rstrip('/')}/{name}"
            if link := link_of(item, name):
                told[below] = link
            else:
                members.append((below, item[name]))
        waiting.extend(reversed(members))
    values = Values(file, paths)
    for path, item in found:
        if len(item.attrs):
            told[path]["attrs"] = attributes(item, values)
        if isinstance(item, h5py.Dataset):
            told[path] |= dataset(item, values)
        elif isinstance(item, h5py.Datatype):
            told[path]["h5type"] = notation(item.id)
    return told


def describe(path):
    """The description of the file at `path`, opened as its name says."""
    folder, base = os.path.split(os.path.abspath(path))
    os.chdir(folder)
    driver = {}
    if "%" in base:
        driver = {"driver": "family", "memb_size": 0}
    elif base.endswith("@split"):
        base, driver = base.removesuffix("@split"), {"driver": "split", "meta_ext": b"-m.h5", "raw_ext": b"-r.h5"}
    try:
        with h5py.File(base, "r", **driver) as file:
            return {"open": "ok", "userblock": file.userblock_size, "objects": objects(file)}
    except OSError as error:
        return {"open": {"error": f"OSError: {error}"}}
