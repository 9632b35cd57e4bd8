"""Datatypes: h5py's low-level type objects, and numpy types for what HDF5 has and numpy has not."""

import sys
from collections import namedtuple

import numpy as np

from . import _h5live, h5
from ._h5live import Doing
from ._objects import ObjectID
from .h5r import Reference, RegionReference

# Classes, with libhdf5's numbers.
NO_CLASS = -1
INTEGER, FLOAT, TIME, STRING, BITFIELD, OPAQUE, COMPOUND, REFERENCE, ENUM, VLEN, ARRAY, COMPLEX = range(12)

ORDER_LE, ORDER_BE, ORDER_VAX, ORDER_MIXED, ORDER_NONE = range(5)
SGN_NONE, SGN_2 = range(2)
NORM_IMPLIED, NORM_MSBSET, NORM_NONE = range(3)
STR_NULLTERM, STR_NULLPAD, STR_SPACEPAD = range(3)
CSET_ASCII, CSET_UTF8 = range(2)
PAD_ZERO, PAD_ONE, PAD_BACKGROUND = range(3)
DIR_DEFAULT, DIR_ASCEND, DIR_DESCEND = range(3)
BKG_NO, BKG_TEMP, BKG_YES = range(3)
VARIABLE = 2**64 - 1

_ORDERS = {"<": ORDER_LE, ">": ORDER_BE, "vax": ORDER_VAX}
_ORDER_NAMES = {number: name for name, number in _ORDERS.items()}
_NATIVE = "<" if sys.byteorder == "little" else ">"

string_info = namedtuple("string_info", ["encoding", "length"])


# --- numpy types for HDF5's own -----------------------------------------------------------------------------------------


def string_dtype(encoding="utf-8", length=None):
    """The numpy type of HDF5 strings: of any length, or of `length` bytes. `encoding` is 'utf-8' or 'ascii'."""
    encoding = {"utf8": "utf-8"}.get(encoding, encoding)
    if encoding not in ("ascii", "utf-8"):
        raise ValueError(f"Invalid encoding ({encoding!r}); 'utf-8' or 'ascii' allowed")
    if isinstance(length, (int, np.integer)):
        return np.dtype("|S" + str(int(length)), metadata={"h5py_encoding": encoding})
    if length is None:
        return np.dtype("O", metadata={"vlen": str if encoding == "utf-8" else bytes})
    raise TypeError(f"length must be integer or None (got {length!r})")


def vlen_dtype(basetype):
    """The numpy type of sequences of any length of `basetype`."""
    return np.dtype("O", metadata={"vlen": basetype})


def enum_dtype(values_dict, basetype=np.uint8):
    """The numpy type of an enumeration: names and their numbers, on an integer type."""
    dt = np.dtype(basetype)
    if not np.issubdtype(dt, np.integer):
        raise TypeError("Only integers can be used as enum bases")
    return np.dtype(dt, metadata={"enum": values_dict})


def opaque_dtype(np_dtype):
    """A numpy type that is stored as opaque bytes with its name as tag: for times, which HDF5 does not have."""
    dt = np.dtype(np_dtype)
    if np.issubdtype(dt, np.object_):
        raise TypeError("Cannot store numpy object arrays as opaque data")
    if dt.names is not None:
        raise TypeError("Cannot store numpy structured arrays as opaque data")
    if dt.subdtype is not None:
        raise TypeError("Cannot store numpy sub-array dtype as opaque data")
    if dt.itemsize == 0:
        raise TypeError("dtype for opaque data must have explicit size")
    return np.dtype(dt, metadata={"h5py_opaque": True})


ref_dtype = np.dtype("O", metadata={"ref": Reference})
regionref_dtype = np.dtype("O", metadata={"ref": RegionReference})


def special_dtype(**kwds):
    """As h5py's: one of vlen=, enum=(base, names), ref=."""
    if len(kwds) != 1:
        raise TypeError("Exactly one keyword may be provided")
    name, val = kwds.popitem()
    if name == "vlen":
        return np.dtype("O", metadata={"vlen": val})
    if name == "enum":
        try:
            dt, enum_vals = val
        except TypeError:
            raise TypeError("Enums must be created from a 2-tuple (basetype, values_dict)") from None
        return enum_dtype(enum_vals, dt)
    if name == "ref":
        if val not in (Reference, RegionReference):
            raise ValueError("Ref class must be Reference or RegionReference")
        return ref_dtype if val is Reference else regionref_dtype
    raise TypeError(f'Unknown special type "{name}"')


def _meta(dt, key):
    try:
        return dt.metadata.get(key, None)
    except AttributeError:
        return None


def check_vlen_dtype(dt):
    """The type of the parts of a sequence type; None for any other."""
    return _meta(dt, "vlen")


def check_string_dtype(dt):
    """Encoding and length (None: any) of a string type; None for any other."""
    vlen_kind = check_vlen_dtype(dt)
    if vlen_kind is str:
        return string_info("utf-8", None)
    if vlen_kind is bytes:
        return string_info("ascii", None)
    if getattr(dt, "kind", None) == "S":
        return string_info(_meta(dt, "h5py_encoding") or "ascii", dt.itemsize)
    if getattr(dt, "kind", None) == "T":
        return string_info("utf-8", None)
    return None


def check_enum_dtype(dt):
    """The names and numbers of an enumeration; None for any other type."""
    return _meta(dt, "enum")


def check_opaque_dtype(dt):
    """Whether the type is stored as opaque bytes."""
    return bool(_meta(dt, "h5py_opaque"))


def check_ref_dtype(dt):
    """Reference or RegionReference; None for any other type."""
    return _meta(dt, "ref")


def check_complex_dtype(dt, names=None):
    """The complex type that a type, itself or as compound of two parts, stands for; None for any other."""
    names = names or h5.get_config().complex_names
    dt = np.dtype(dt)
    if dt.kind == "c":
        return dt
    if dt.names is None or dt.names != tuple(names):
        return None
    first, second = (dt.fields[name][0] for name in names)
    if first != second or first.kind != "f" or first.itemsize == 2:
        return None
    return np.dtype(f"{first.byteorder}c{2 * first.itemsize}")


def complex_compat_dtype(complex_dtype, names=None):
    """The compound type that complex numbers are stored as."""
    names = names or h5.get_config().complex_names
    dt = np.dtype(complex_dtype)
    if dt.kind != "c":
        raise TypeError(f"dtype must be a complex dtype, not {dt}")
    part = np.dtype(f"{dt.byteorder}f{dt.itemsize // 2}")
    return np.dtype([(names[0], part), (names[1], part)])


def check_dtype(**kwds):
    """As h5py's: one of vlen=, enum=, ref= with a numpy type."""
    if len(kwds) != 1:
        raise TypeError("Exactly one keyword may be provided")
    name, dt = kwds.popitem()
    if name not in ("vlen", "enum", "ref"):
        raise ValueError(f'Unknown special type "{name}"')
    return _meta(dt, name)


def find_item_type(data):
    """The type that all items of nested lists, or of an object array, have; None if there is no such."""
    if isinstance(data, (list, tuple)):
        found = {find_item_type(item) for item in data}
        return found.pop() if len(found) == 1 else None
    if isinstance(data, np.ndarray):
        if data.dtype.kind != "O" or data.dtype.metadata:
            return None
        found = {type(item) for item in data.flat}
        return found.pop() if len(found) == 1 else None
    return type(data)


# --- from descriptions to numpy types -----------------------------------------------------------------------------------


def _numpy_type(desc):
    """The numpy type for a datatype, and whether its elements are the same bytes in memory as in the file."""
    return _READERS[desc[0]](*desc[1:])


def _read_integer(size, order, signed, offset, precision):
    letter = "i" if signed else "u"
    plain = size in (1, 2, 4, 8) and offset == 0 and precision == size * 8
    wide = next((width for width in (1, 2, 4, 8) if width >= size), 8)
    return np.dtype(f"{order}{letter}{wide}"), plain


_IEEE = {
    # size: precision, (sign, exponent offset and bits, mantissa offset and bits), bias, normalization
    2: (16, (15, 10, 5, 0, 10), 15, "implied"),
    4: (32, (31, 23, 8, 0, 23), 127, "implied"),
    8: (64, (63, 52, 11, 0, 52), 1023, "implied"),
}


def _long_double():
    """How numpy's longdouble is described; None where it is no more than a double."""
    info = np.finfo(np.longdouble)
    size = np.dtype(np.longdouble).itemsize
    if info.nmant == 63:
        return ("float", size, "<", 0, 80, (79, 64, 15, 0, 64), 16383, "none")
    if info.nmant == 112:
        return ("float", size, "<", 0, 128, (127, 112, 15, 0, 112), 16383, "implied")
    return None


def _read_float(size, order, offset, precision, fields, bias, normalization):
    if order == "vax":
        return np.dtype("<f8"), False
    if _IEEE.get(size) == (precision, fields, bias, normalization) and offset == 0:
        return np.dtype(f"{order}f{size}"), True
    if ("float", size, "<", offset, precision, fields, bias, normalization) == _long_double() and order == "<":
        return np.dtype(np.longdouble), True
    # The smallest type that has every value.
    _, _, exponent_bits, _, mantissa_bits = fields
    least, most = -bias + 1, (1 << exponent_bits) - 2 - bias
    for width, (_, (_, _, bits, _, mantissa), its_bias, _) in _IEEE.items():
        if mantissa_bits <= mantissa and least >= 1 - its_bias and most <= (1 << bits) - 2 - its_bias:
            return np.dtype(f"{order}f{width}"), False
    return np.dtype(f"{order}f8"), False


def _read_string(size, padding, cset):
    encoding = "utf-8" if cset == CSET_UTF8 else "ascii"
    return string_dtype(encoding, size), padding == STR_NULLPAD


def _read_opaque(size, tag):
    if tag.startswith("NUMPY:"):
        dt = np.dtype(tag[6:])
        return np.dtype(dt, metadata={"h5py_opaque": True}), dt.itemsize == size
    return np.dtype(f"V{size}"), True


def _read_compound(size, members):
    names = h5.get_config().complex_names
    if len(members) == 2 and tuple(name for name, _, _ in members) == tuple(names):
        (_, first_at, first), (_, second_at, second) = members
        if first == second and first[0] == "float" and second_at >= first_at:
            dt, plain = _numpy_type(first)
            if dt.kind == "f" and dt.itemsize in (4, 8, np.dtype(np.longdouble).itemsize):
                packed = first_at == 0 and second_at == dt.itemsize and size == 2 * dt.itemsize
                return np.dtype(f"{dt.byteorder}c{2 * dt.itemsize}"), plain and packed
    found = [(name, at, *_numpy_type(member)) for name, at, member in members]
    plain = all(is_plain for _, _, _, is_plain in found)
    formats = [dt for _, _, dt, _ in found]
    if all(dt.itemsize == _size(member) for dt, (_, _, member) in zip(formats, members)):
        spec = {"offsets": [at for _, at, _, _ in found], "itemsize": size}
        ends = [at + dt.itemsize for at, dt in zip(spec["offsets"], formats)]
        if max(ends, default=0) > size:
            spec = {}
    else:
        spec, plain = {}, False
    return np.dtype({"names": [name for name, _, _, _ in found], "formats": formats, **spec}), plain and bool(spec)


def _read_enum(base, members):
    dt, plain = _numpy_type(base)
    values = dict(members)
    names = tuple(name.decode() if isinstance(name, bytes) else name for name in h5.get_config().bool_names)
    if dt.itemsize == 1 and len(values) == 2 and values == dict(zip(names, (0, 1))):
        return np.dtype("bool"), plain
    return enum_dtype(values, dt), plain


def _read_array(dims, base):
    dt, plain = _numpy_type(base)
    return np.dtype((dt, dims)), plain


def _read_reference(kind, size):
    if kind == "object":
        return ref_dtype, False
    if kind == "region":
        return regionref_dtype, False
    return np.dtype(f"V{size}"), True


def _read_time(size, order, precision):
    raise TypeError("No NumPy equivalent for TypeTimeID exists")


def _read_complex(part):
    dt, plain = _numpy_type(part)
    if dt.itemsize == 2:
        return np.dtype(f"{dt.byteorder}c8"), False
    return np.dtype(f"{dt.byteorder}c{2 * dt.itemsize}"), plain


_READERS = {
    "integer": _read_integer,
    "float": _read_float,
    "time": _read_time,
    "string": _read_string,
    "bitfield": lambda size, order, offset, precision: _read_integer(size, order, False, offset, precision),
    "opaque": _read_opaque,
    "compound": _read_compound,
    "reference": _read_reference,
    "enum": _read_enum,
    "vlen": lambda base: (vlen_dtype(_numpy_type(base)[0]), False),
    "vlen string": lambda padding, cset: (string_dtype("utf-8" if cset == CSET_UTF8 else "ascii"), False),
    "array": _read_array,
    "complex": _read_complex,
}


def _size(desc):
    """Bytes of an element in the file."""
    kind = desc[0]
    if kind in ("vlen", "vlen string"):
        return 16
    if kind == "reference":
        return desc[2]
    if kind == "enum":
        return _size(desc[1])
    if kind == "array":
        return int(np.prod(desc[1], dtype="u8")) * _size(desc[2])
    if kind == "complex":
        return 2 * _size(desc[1])
    return desc[1]


def _memory_size(desc):
    """Bytes of an element in the memory of libhdf5, which is the size that it tells: text of any length is a pointer there."""
    if desc[0] == "vlen string":
        return 8
    if desc[0] == "array":
        return int(np.prod(desc[1], dtype="u8")) * _memory_size(desc[2])
    if desc[0] == "compound":
        return desc[1] - sum(_growth(member) for _, _, member in desc[2])
    return _size(desc)


def _growth(desc):
    """How many bytes more an element takes in the file than in memory."""
    return _size(desc) - _memory_size(desc)


# --- from numpy types to descriptions -----------------------------------------------------------------------------------


def _order_of(dt):
    return {"=": _NATIVE, "|": "<"}.get(dt.byteorder, dt.byteorder)


def _describe_integer(dt):
    return ("integer", dt.itemsize, _order_of(dt), dt.kind == "i", 0, dt.itemsize * 8)


def _describe_float(dt):
    if dt.itemsize in _IEEE:
        precision, fields, bias, normalization = _IEEE[dt.itemsize]
        return ("float", dt.itemsize, _order_of(dt), 0, precision, fields, bias, normalization)
    found = _long_double()
    if found is None or found[1] != dt.itemsize:
        raise TypeError(f"Unsupported float size ({dt})")
    return found


def _describe(dt, logical=False, aligned=False):
    """The description of the datatype for a numpy type.

    `logical` asks for what the type means rather than for what is in memory: enumerations, references, strings of any length.
    """
    kind = dt.kind
    if logical and check_opaque_dtype(dt):
        return ("opaque", dt.itemsize, "NUMPY:" + dt.descr[0][1])
    if logical and dt.subdtype is None and check_enum_dtype(dt) is not None:
        values = sorted(check_enum_dtype(dt).items(), key=lambda item: item[1])
        return ("enum", _describe_integer(dt), tuple((_text(name), int(value)) for name, value in values))
    if dt.subdtype is not None:
        base, shape = dt.subdtype
        return ("array", tuple(shape), _describe(base, logical, aligned))
    if kind in "iu":
        return _describe_integer(dt)
    if kind == "f":
        return _describe_float(dt)
    if kind == "b":
        names = h5.get_config().bool_names
        members = tuple((_text(name), value) for value, name in enumerate(names))
        return ("enum", ("integer", 1, "<", True, 0, 8), members)
    if kind == "c":
        part = _describe_float(np.dtype(f"{_order_of(dt)}f{dt.itemsize // 2}"))
        names = h5.get_config().complex_names
        return ("compound", dt.itemsize, tuple((_text(name), at, part) for name, at in zip(names, (0, _size(part)))))
    if kind == "S":
        info = check_string_dtype(dt)
        if dt.itemsize == 0:
            raise TypeError("Fixed-length strings of length 0 cannot be stored")
        cset = CSET_UTF8 if info is not None and info.encoding == "utf-8" else CSET_ASCII
        return ("string", dt.itemsize, STR_NULLPAD, cset)
    if kind == "T":
        return ("vlen string", STR_NULLTERM, CSET_UTF8)
    if dt.names is not None:
        return _describe_compound(dt, logical, aligned)
    if kind == "V":
        return ("opaque", dt.itemsize, "")
    if kind == "O":
        return _describe_object(dt, logical)
    raise TypeError(f"No conversion path for dtype: {dt!r}")


def _describe_compound(dt, logical, aligned):
    found, shift = {}, 0
    for name in sorted(dt.names, key=lambda name: dt.fields[name][1]):
        field, offset = dt.fields[name][:2]
        member = _describe(field, logical, aligned)
        found[name] = (_text(name), offset + shift, member)
        # Objects are pointers in memory and something else in the file: what follows moves.
        if logical:
            shift += _size(member) - field.itemsize
    if shift and dt.isalignedstruct:
        raise TypeError("an aligned compound type with objects cannot be stored: their size is another one in the file")
    return ("compound", dt.itemsize + shift, tuple(found[name] for name in dt.names))


def _describe_object(dt, logical):
    vlen = check_vlen_dtype(dt)
    if vlen is not None:
        if vlen is str:
            return ("vlen string", STR_NULLTERM, CSET_UTF8)
        if vlen is bytes:
            return ("vlen string", STR_NULLTERM, CSET_ASCII)
        return ("vlen", _describe(np.dtype(vlen), logical))
    ref = check_ref_dtype(dt)
    if ref is Reference:
        return ("reference", "object", 8)
    if ref is RegionReference:
        return ("reference", "region", 12)
    raise TypeError(f"Object dtype {dt!r} has no native HDF5 equivalent")


def _text(name):
    """A name as str; bytes that are not UTF-8 become surrogates."""
    if not isinstance(name, (str, bytes)):
        raise TypeError(f"A name must be str or bytes, not {type(name)}")
    return name.decode("utf-8", "surrogateescape") if isinstance(name, bytes) else name


# --- h5py's type objects ------------------------------------------------------------------------------------------------


class TypeID(ObjectID):
    """A datatype, of the file or of the program."""

    def __init__(self, desc, core=None, committed=None):
        super().__init__(committed)
        self._description = desc
        self._core_type = core

    @property
    def _desc(self):
        """What datatype it is, in the words of the Rust side."""
        self._require(Doing.LookAtType)
        return self._description

    @property
    def _datatype(self):
        """The datatype as the Rust side has it."""
        self._require(Doing.LookAtType)
        if self._core_type is None:
            self._core_type = _h5live.Datatype(self._desc)
        return self._core_type

    def _change(self, desc):
        self._description, self._core_type = desc, None

    def _set(self, at, value):
        self._change(self._desc[:at] + (value,) + self._desc[at + 1 :])

    @property
    def dtype(self):
        return self.py_dtype()

    def py_dtype(self):
        self._require(Doing.TakeType)
        return _numpy_type(self._desc)[0]

    def get_class(self):
        return _CLASSES[self._desc[0]]

    def get_size(self):
        return _memory_size(self._desc)

    def set_size(self, size):
        raise TypeError(f"the size of {type(self).__name__} cannot be set")

    def copy(self):
        return _type_id(self._desc)

    def lock(self):
        """Nothing to do: what is stored is always the type at that moment."""
        self._require(Doing.LookAtType)

    def close(self):
        self._close()

    def equal(self, other):
        return self == other

    def get_super(self):
        self._require(Doing.LookAtType)
        raise TypeError("Unable to get super type (not a derived type)")

    def detect_class(self, number):
        return number in _classes_in(self._desc)

    def encode(self):
        return self._datatype.encode()

    def commit(self, group, name, lcpl=None):
        self._require(Doing.CreateDatatype)
        try:
            core = group._core.commit_datatype(_text(name), self._datatype)
        except ValueError as error:
            raise (KeyError if "name already exists" in str(error) else ValueError)(*error.args) from None
        self._core = core

    def committed(self):
        self._require(Doing.LookAtType)
        return self._core is not None

    def get_create_plist(self):
        from . import h5p

        self._require(Doing.LookAtType)
        return h5p.PropTCID()

    def __eq__(self, other):
        return isinstance(other, TypeID) and self._desc == other._desc

    def __ne__(self, other):
        return not self == other

    def __hash__(self):
        self._require(Doing.HashType)
        return hash(self._desc)

    def __copy__(self):
        return self.copy()

    def __reduce__(self):
        return decode, (self.encode(),)

    def _is_valid(self):
        return not self._closed and (self._core is None or self._core.is_open)


def _classes_in(desc):
    yield _CLASSES[desc[0]]
    if desc[0] == "compound":
        for _, _, member in desc[2]:
            yield from _classes_in(member)
    elif desc[0] in ("array", "vlen", "enum"):
        yield from _classes_in(desc[2] if desc[0] == "array" else desc[1])


class TypeArrayID(TypeID):
    """An array of a fixed shape."""

    def get_array_ndims(self):
        return len(self._desc[1])

    def get_array_dims(self):
        return tuple(self._desc[1])

    def get_super(self):
        return _type_id(self._desc[2])


class TypeOpaqueID(TypeID):
    """Bytes with a tag."""

    def get_tag(self):
        return self._desc[2].encode()

    def set_tag(self, tag):
        self._set(2, _text(tag))

    def set_size(self, size):
        self._set(1, int(size))


class TypeStringID(TypeID):
    """Text, of a fixed or of any length."""

    def is_variable_str(self):
        return self._desc[0] == "vlen string"

    def get_cset(self):
        return self._desc[-1]

    def set_cset(self, cset):
        self._set(len(self._desc) - 1, int(cset))

    def get_strpad(self):
        return self._desc[-2]

    def set_strpad(self, pad):
        self._set(len(self._desc) - 2, int(pad))

    def set_size(self, size):
        if size == VARIABLE or size == -1:
            self._change(("vlen string", self._desc[-2], self._desc[-1]))
        else:
            self._change(("string", int(size), self._desc[-2], self._desc[-1]))


class TypeVlenID(TypeID):
    """A sequence of any length."""

    def get_super(self):
        return _type_id(self._desc[1])


class TypeTimeID(TypeID):
    """A time, which nothing understands."""


class TypeReferenceID(TypeID):
    """A reference."""


class TypeAtomicID(TypeID):
    """Numbers and bit fields."""

    def get_order(self):
        self._require(Doing.TakeType)
        return _ORDERS[self._desc[2]]

    def set_order(self, order):
        self._set(2, _ORDER_NAMES[order])

    def get_offset(self):
        return self._desc[self._BITS]

    def set_offset(self, offset):
        self._set(self._BITS, int(offset))

    def get_precision(self):
        return self._desc[self._BITS + 1]

    def set_precision(self, precision):
        self._set(self._BITS + 1, int(precision))

    def get_pad(self):
        return (PAD_ZERO, PAD_ZERO)

    def set_pad(self, lsb, msb):
        if (lsb, msb) != (PAD_ZERO, PAD_ZERO):
            raise NotImplementedError("bits that do not count are written as zeros")

    def set_size(self, size):
        self._set(1, int(size))
        self._set(self._BITS + 1, int(size) * 8)


class TypeIntegerID(TypeAtomicID):
    """An integer."""

    _BITS = 4

    def get_sign(self):
        return SGN_2 if self._desc[3] else SGN_NONE

    def set_sign(self, sign):
        self._set(3, sign == SGN_2)


class TypeFloatID(TypeAtomicID):
    """A floating-point number."""

    _BITS = 3
    _NORMS = {"implied": NORM_IMPLIED, "set": NORM_MSBSET, "none": NORM_NONE}

    def get_fields(self):
        return self._desc[5]

    def set_fields(self, spos, epos, esize, mpos, msize):
        self._set(5, (spos, epos, esize, mpos, msize))

    def set_size(self, size):
        self._set(1, int(size))
        self._set(4, min(self._desc[4], int(size) * 8))

    def get_ebias(self):
        return self._desc[6]

    def set_ebias(self, bias):
        self._set(6, int(bias))

    def get_norm(self):
        return self._NORMS[self._desc[7]]

    def set_norm(self, norm):
        self._set(7, next(name for name, number in self._NORMS.items() if number == norm))

    def get_inpad(self):
        return PAD_ZERO

    def set_inpad(self, pad):
        if pad != PAD_ZERO:
            raise NotImplementedError("bits that do not count are written as zeros")


class TypeBitfieldID(TypeAtomicID):
    """Bits without a value."""

    _BITS = 3


class TypeComplexID(TypeID):
    """A complex number of HDF5 2.0."""

    def get_super(self):
        return _type_id(self._desc[1])


class TypeCompositeID(TypeID):
    """What has members."""

    def _members(self):
        return self._desc[2]

    def get_nmembers(self):
        return len(self._members())

    def get_member_name(self, member):
        return self._member(member)[0].encode("utf-8", "surrogateescape")

    def _member(self, member):
        if not 0 <= member < self.get_nmembers():
            raise TypeError(f"Member {member} of {self.get_nmembers()}")
        return self._members()[member]

    def get_member_index(self, name):
        names = [member[0] for member in self._members()]
        try:
            return names.index(_text(name))
        except ValueError:
            raise KeyError(f"No such member: {name!r}") from None


class TypeEnumID(TypeCompositeID):
    """Integers with names."""

    def enum_insert(self, name, value):
        self._set(2, self._members() + ((_text(name), int(value)),))

    def enum_nameof(self, value):
        for name, number in self._members():
            if number == value:
                return name.encode()
        raise ValueError(f"No name for {value}")

    def enum_valueof(self, name):
        return self._members()[self.get_member_index(name)][1]

    def get_member_value(self, member):
        return self._member(member)[1]

    def get_super(self):
        return _type_id(self._desc[1])


class TypeCompoundID(TypeCompositeID):
    """Named members, each at its own place."""

    def get_member_class(self, member):
        return _CLASSES[self._member(member)[2][0]]

    # Programs see offsets and sizes as they are in memory, the description has those of the file.

    def get_member_offset(self, member):
        at = self._member(member)[1]
        return at - sum(_growth(part) for _, start, part in self._members() if start < at)

    def get_member_type(self, member):
        return _type_id(self._member(member)[2])

    def insert(self, name, offset, field):
        offset, growth = int(offset), _growth(field._desc)
        offsets = [self.get_member_offset(member) for member in range(self.get_nmembers())]
        before = sum(_growth(part) for at, (_, _, part) in zip(offsets, self._members()) if at < offset)
        moved = tuple((text, start + growth * (at > offset), part) for at, (text, start, part) in zip(offsets, self._members()))
        self._change(("compound", self._desc[1] + growth, moved + ((_text(name), offset + before, field._desc),)))

    def pack(self):
        at, members = 0, []
        for name, _, member in self._members():
            members.append((name, at, member))
            at += _size(member)
        self._change(("compound", at, tuple(members)))

    def set_size(self, size):
        self._set(1, int(size) + _growth(self._desc))


_CLASSES = {
    "integer": INTEGER,
    "float": FLOAT,
    "time": TIME,
    "string": STRING,
    "vlen string": STRING,
    "bitfield": BITFIELD,
    "opaque": OPAQUE,
    "compound": COMPOUND,
    "reference": REFERENCE,
    "enum": ENUM,
    "vlen": VLEN,
    "array": ARRAY,
    "complex": COMPLEX,
}

_TYPE_IDS = {
    INTEGER: TypeIntegerID,
    FLOAT: TypeFloatID,
    TIME: TypeTimeID,
    STRING: TypeStringID,
    BITFIELD: TypeBitfieldID,
    OPAQUE: TypeOpaqueID,
    COMPOUND: TypeCompoundID,
    REFERENCE: TypeReferenceID,
    ENUM: TypeEnumID,
    VLEN: TypeVlenID,
    ARRAY: TypeArrayID,
    COMPLEX: TypeComplexID,
}


def _type_id(desc, committed=None):
    return _TYPE_IDS[_CLASSES[desc[0]]](desc, committed=committed)


def _type_id_of(core, committed=None):
    """The type object for a datatype of the Rust side."""
    made = _type_id(core.describe(), committed)
    made._core_type = core
    return made


def py_create(dtype, logical=False, aligned=False):
    """The datatype for a numpy type; `logical`: what it means rather than what it is in memory."""
    dt = dtype if isinstance(dtype, np.dtype) else np.dtype(dtype)
    return _type_id(_describe(dt, logical, aligned))


def create(classtype, size):
    """An empty compound or opaque type."""
    if classtype == COMPOUND:
        return TypeCompoundID(("compound", int(size), ()))
    if classtype == OPAQUE:
        return TypeOpaqueID(("opaque", int(size), ""))
    raise ValueError("Class must be COMPOUND or OPAQUE")


def enum_create(base):
    return TypeEnumID(("enum", base._desc, ()))


def vlen_create(base):
    return TypeVlenID(("vlen", base._desc))


def array_create(base, dims):
    return TypeArrayID(("array", tuple(int(dim) for dim in dims), base._desc))


def open(group, name):
    """The committed datatype `name` of a group."""
    group._require(Doing.OpenDatatype)
    core = group._core.open(_text(name))
    return _type_id_of(core.datatype, core)


def decode(buf):
    return _type_id_of(_h5live.Datatype.decode(bytes(buf)))


def get_config():
    return h5.get_config()


def convert(src, dst, n, buf, bkg=None, dxpl=None):
    raise NotImplementedError("h5t.convert: use numpy's astype")


def find(src, dst):
    """How elements would be converted; None where they cannot be."""
    return None


def _predefine():
    names = globals()
    for size in (1, 2, 4, 8):
        for letter, sign in (("i", "I"), ("u", "U"), ("u", "B")):
            for order, suffix in (("<", "LE"), (">", "BE")):
                desc = _describe_integer(np.dtype(f"{order}{letter}{size}"))
                desc = desc[:2] + (order,) + desc[3:]
                if sign == "B":
                    desc = ("bitfield", size, order, 0, size * 8)
                names[f"STD_{sign}{size * 8}{suffix}"] = _type_id(desc)
    for size in (2, 4, 8):
        for order, suffix in (("<", "LE"), (">", "BE")):
            names[f"IEEE_F{size * 8}{suffix}"] = _type_id(_describe_float(np.dtype(f"{order}f{size}")))
            if size > 2:
                part = _describe_float(np.dtype(f"{order}f{size}"))
                names[f"COMPLEX_IEEE_F{size * 8}{suffix}"] = _type_id(("complex", part))
    for name, code in (
        ("INT8", "i1"), ("UINT8", "u1"), ("INT16", "i2"), ("UINT16", "u2"), ("INT32", "i4"), ("UINT32", "u4"),
        ("INT64", "i8"), ("UINT64", "u8"), ("FLOAT", "f4"), ("DOUBLE", "f8"), ("LDOUBLE", "g"), ("INT", "i"),
        ("UINT", "I"), ("LONG", "l"), ("ULONG", "L"), ("SHORT", "h"), ("USHORT", "H"), ("SCHAR", "b"), ("UCHAR", "B"),
        ("LLONG", "q"), ("ULLONG", "Q"), ("FLOAT16", "f2"),
    ):  # fmt: skip
        names[f"NATIVE_{name}"] = py_create(np.dtype(code))
    names["NATIVE_CHAR"] = names["NATIVE_SCHAR"]
    for size in (1, 2, 4, 8):
        names[f"NATIVE_B{size * 8}"] = names[f"STD_B{size * 8}LE"]
    names["C_S1"] = TypeStringID(("string", 1, STR_NULLTERM, CSET_ASCII))
    names["FORTRAN_S1"] = TypeStringID(("string", 1, STR_SPACEPAD, CSET_ASCII))
    names["STD_REF_OBJ"] = TypeReferenceID(("reference", "object", 8))
    names["STD_REF_DSETREG"] = TypeReferenceID(("reference", "region", 12))
    names["NATIVE_OPAQUE"] = TypeOpaqueID(("opaque", 1, ""))
    names["PYTHON_OBJECT"] = TypeOpaqueID(("opaque", np.dtype("O").itemsize, "PYTHON:OBJECT"))


_predefine()
