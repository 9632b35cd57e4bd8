"""HDF5 datatypes and values as plain JSON, the language in which Rust and Python talk about them.

A datatype is an object with a `class`:

    {"class": "integer", "size": 4, "signed": true, "order": "le"}      order: "le" or "be"; single bytes are "le"
    {"class": "float", "size": 2, "order": "be"}
    {"class": "enum", "base": INTEGER, "members": [[NAME, VALUE], ...]}
    {"class": "string", "length": 8, "charset": "ascii", "padding": "null-pad"}     length null: variable, and no padding given
    {"class": "compound", "size": 16, "fields": [{"name": .., "offset": .., "type": TYPE}, ...]}
    {"class": "array", "base": TYPE, "dims": [2, 3]}
    {"class": "opaque", "size": 4, "tag": "jpeg"}
    {"class": "complex", "base": FLOAT}                                 stored as the compound (r, i), as h5py does
    {"class": "vlen", "base": TYPE}
    {"class": "reference"}                                              to an object

A value is: a number (floats beyond numbers are "nan", "inf", "-inf"); an enum's number; a string; a list of a compound's fields, of an
array's elements in row-major order, or of a sequence's elements; opaque bytes as hexadecimal; [re, im]; the path a reference leads
to, or null. The values of a dataset are one flat list in row-major order.
"""

import math

import h5py
import numpy as np
from h5py import h5a, h5r, h5s, h5t

PADDINGS = {h5t.STR_NULLTERM: "null-term", h5t.STR_NULLPAD: "null-pad", h5t.STR_SPACEPAD: "space-pad"}
CHARSETS = {h5t.CSET_ASCII: "ascii", h5t.CSET_UTF8: "utf-8"}
BOOLEAN = [["FALSE", 0], ["TRUE", 1]]


# Making types.


def integer(size, signed=True, order="le"):
    return {"class": "integer", "size": size, "signed": signed, "order": "le" if size == 1 else order}


def floating(size, order="le"):
    return {"class": "float", "size": size, "order": order}


def enum(base, members):
    """Members are sorted by name: their order in a file means nothing."""
    return {"class": "enum", "base": base, "members": sorted(members)}


def boolean():
    return enum(integer(1), BOOLEAN)


def string(length, charset="utf-8", padding="null-pad"):
    kind = {"class": "string", "length": length, "charset": charset}
    return kind if length is None else kind | {"padding": padding}


def compound(*fields, size=None):
    """Fields are (name, type) laid out without gaps, or (name, type, offset)."""
    end, laid = 0, []
    for name, kind, *offset in fields:
        start = offset[0] if offset else end
        laid.append({"name": name, "offset": start, "type": kind})
        end = start + size_of(kind)
    return {"class": "compound", "size": size or end, "fields": laid}


def array(base, *dims):
    return {"class": "array", "base": base, "dims": list(dims)}


def opaque(size, tag=""):
    return {"class": "opaque", "size": size, "tag": tag}


def complex_(base):
    return {"class": "complex", "base": base}


def vlen(base):
    return {"class": "vlen", "base": base}


def reference():
    return {"class": "reference"}


# Between plain types, numpy's and HDF5's.


def numpy_dtype(kind):
    """The numpy type that h5py uses for a datatype."""
    order = {"le": "<", "be": ">"}.get(kind.get("order"), "=")
    match kind["class"]:
        case "integer":
            return np.dtype(f"{order}{'i' if kind['signed'] else 'u'}{kind['size']}")
        case "float":
            return np.dtype(f"{order}f{kind['size']}")
        case "enum" if kind["members"] == BOOLEAN:
            return np.dtype(np.bool_)
        case "enum":
            return h5py.enum_dtype(dict(kind["members"]), basetype=numpy_dtype(kind["base"]))
        case "string":
            return h5py.string_dtype(kind["charset"], kind["length"])
        case "compound":
            fields = kind["fields"]
            return np.dtype({
                "names": [field["name"] for field in fields],
                "formats": [numpy_dtype(field["type"]) for field in fields],
                "offsets": [field["offset"] for field in fields],
                "itemsize": kind["size"],
            })
        case "array":
            return np.dtype((numpy_dtype(kind["base"]), tuple(kind["dims"])))
        case "opaque":
            return np.dtype(f"V{kind['size']}")
        case "complex":
            base = kind["base"]
            return np.dtype(f"{'<' if base['order'] == 'le' else '>'}c{2 * base['size']}")
        case "vlen":
            return h5py.vlen_dtype(numpy_dtype(kind["base"]))
        case "reference":
            return h5py.ref_dtype


def size_of(kind):
    """The bytes one element takes in memory; in a compound of numpy's, a reference or a variable-length item is a pointer."""
    return numpy_dtype(kind).itemsize


def type_id(kind):
    """The HDF5 datatype to create a dataset or an attribute with."""
    match kind:
        case {"class": "string", "length": int(length), "padding": padding}:
            made = h5t.C_S1.copy()
            made.set_size(length)
            made.set_strpad(next(code for code, name in PADDINGS.items() if name == padding))
            made.set_cset(next(code for code, name in CHARSETS.items() if name == kind["charset"]))
            return made
        case {"class": "opaque", "tag": tag} if tag:
            made = h5t.create(h5t.OPAQUE, kind["size"])
            made.set_tag(tag.encode())
            return made
        case _:
            return h5t.py_create(numpy_dtype(kind), logical=True)


def describe(made):
    """The plain form of an HDF5 datatype."""
    size = made.get_size()
    match made.get_class():
        case h5t.INTEGER:
            return integer(size, made.get_sign() == h5t.SGN_2, order_of(made))
        case h5t.FLOAT:
            return floating(size, order_of(made))
        case h5t.ENUM:
            count = made.get_nmembers()
            members = [[made.get_member_name(i).decode(), int(made.get_member_value(i))] for i in range(count)]
            return enum(describe(made.get_super()), members)
        case h5t.STRING if made.is_variable_str():
            return string(None, CHARSETS[made.get_cset()])
        case h5t.STRING:
            return string(size, CHARSETS[made.get_cset()], PADDINGS[made.get_strpad()])
        case h5t.COMPOUND:
            fields = [
                {
                    "name": made.get_member_name(i).decode(),
                    "offset": made.get_member_offset(i),
                    "type": describe(made.get_member_type(i)),
                }
                for i in range(made.get_nmembers())
            ]
            bases = [field["type"] for field in fields]
            if [field["name"] for field in fields] == ["r", "i"] and bases[0] == bases[1] and bases[0]["class"] == "float":
                return complex_(bases[0])
            return {"class": "compound", "size": size, "fields": fields}
        case h5t.ARRAY:
            return array(describe(made.get_super()), *made.get_array_dims())
        case h5t.OPAQUE:
            return opaque(size, made.get_tag().decode())
        case h5t.VLEN:
            return vlen(describe(made.get_super()))
        case h5t.REFERENCE:
            return reference()
        case other:
            return {"class": f"unknown {other}", "size": size}


def in_file(kind):
    """The same type as a file stores it: what varies in length, and a reference, has a size of its own there.

    Offsets and sizes of compounds with such fields differ between memory and file, so comparisons leave them out.
    """
    match kind["class"]:
        case "compound" if has_pointers(kind):
            fields = [{"name": f["name"], "type": in_file(f["type"])} for f in kind["fields"]]
            return {"class": "compound", "fields": fields}
        case "array" | "vlen":
            return kind | {"base": in_file(kind["base"])}
        case _:
            return kind


def has_pointers(kind):
    """Whether an element names bytes that lie elsewhere, so that its own bytes mean nothing to others."""
    match kind["class"]:
        case "vlen" | "reference":
            return True
        case "string":
            return kind["length"] is None
        case "compound":
            return any(has_pointers(field["type"]) for field in kind["fields"])
        case "array":
            return has_pointers(kind["base"])
        case _:
            return False


def order_of(made):
    return "be" if made.get_order() == h5t.ORDER_BE else "le"


# Whole datasets and attributes, through h5py's low-level identifiers: nothing is guessed from what Python values look like.


def memory_type(holder, kind):
    """The HDF5 type of a numpy array of this datatype. An opaque type keeps its tag, which numpy does not know."""
    return holder.get_type() if kind["class"] == "opaque" else h5t.py_create(numpy_dtype(kind))


def read_all(holder, kind):
    """Everything in a dataset or an attribute (an h5d or h5a identifier) as an array, or None for a null dataspace."""
    space = holder.get_space()
    if space.get_simple_extent_type() == h5s.NULL:
        return None
    data = np.zeros(space.shape, dtype=numpy_dtype(kind))
    if data.size == 0:
        return data
    if isinstance(holder, h5a.AttrID):
        holder.read(data, mtype=memory_type(holder, kind))
    else:
        holder.read(h5s.ALL, h5s.ALL, data, mtype=memory_type(holder, kind))
    return data


def read_plain(holder, file):
    """Everything in a dataset or an attribute as plain values, or None for a null dataspace."""
    kind = describe(holder.get_type())
    data = read_all(holder, kind)
    return None if data is None else from_numpy(kind, data, file)


# Between plain values and numpy's.


def to_numpy(kind, values, shape, file):
    """An array of plain values, ready to be written to `file` (which references are looked up in)."""
    dtype = numpy_dtype(kind)
    base, dims = (dtype.base, dtype.shape) if kind["class"] == "array" else (dtype, ())
    # Zeros, so that the bytes between the fields of a compound are known.
    made = np.zeros((len(values), *dims), dtype=base)
    if kind["class"] in ("integer", "enum"):
        made[:] = values
    else:
        for i, value in enumerate(values):
            made[i] = element_to_numpy(kind, value, file)
    return made.reshape((*shape, *dims))


def element_to_numpy(kind, value, file):
    match kind["class"]:
        case "float":
            return float(value)
        case "string":
            return value if kind["length"] is None else value.encode()
        case "compound":
            return tuple(element_to_numpy(f["type"], v, file) for f, v in zip(kind["fields"], value, strict=True))
        case "array":
            inner = numpy_dtype(kind["base"])
            made = np.empty(len(value), dtype=inner)
            for i, item in enumerate(value):
                made[i] = element_to_numpy(kind["base"], item, file)
            return made.reshape(kind["dims"])
        case "opaque":
            return np.void(bytes.fromhex(value))
        case "complex":
            return complex(float(value[0]), float(value[1]))
        case "vlen":
            made = np.empty(len(value), dtype=numpy_dtype(kind["base"]))
            for i, item in enumerate(value):
                made[i] = element_to_numpy(kind["base"], item, file)
            return made
        case "reference":
            return h5py.Reference() if value is None else file[value].ref
        case _:
            return value


def from_numpy(kind, data, file):
    """The flat list of plain values in an array that was read from `file` with `read_all`."""
    if kind["class"] == "array":
        outer = data.shape[: data.ndim - len(kind["dims"])]
        return [element_from_numpy(kind, item, file) for item in data.reshape((math.prod(outer), *kind["dims"]))]
    if kind["class"] in ("integer", "enum"):
        return [int(item) for item in data.reshape(-1).tolist()]
    return [element_from_numpy(kind, item, file) for item in data.reshape(-1)]


def element_from_numpy(kind, value, file):
    match kind["class"]:
        case "integer" | "enum":
            return int(value)
        case "float":
            return plain_float(value)
        case "string":
            data = value if isinstance(value, bytes) else value.encode("utf-8", "surrogateescape")
            end = b" " if kind.get("padding") == "space-pad" else b"\0"
            return data.rstrip(end).decode()
        case "compound":
            return [element_from_numpy(field["type"], value[field["name"]], file) for field in kind["fields"]]
        case "array":
            return [element_from_numpy(kind["base"], item, file) for item in np.asarray(value).reshape(-1)]
        case "opaque":
            return bytes(value.tobytes()).hex()
        case "complex":
            return [plain_float(value.real), plain_float(value.imag)]
        case "vlen":
            if "order" in kind["base"]:
                # h5py returns the bytes of the file and calls them native.
                value = np.frombuffer(value.tobytes(), numpy_dtype(kind["base"]))
            return [element_from_numpy(kind["base"], item, file) for item in value]
        case "reference":
            return h5r.get_name(value, file.id).decode() if value else None


def plain_float(value):
    value = float(value)
    if math.isnan(value):
        return "nan"
    return value if math.isfinite(value) else ("inf" if value > 0 else "-inf")
