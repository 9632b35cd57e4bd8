"""Attributes."""

import numpy as np

from . import _convert, h5s, h5t
from ._h5live import Doing
from ._objects import ObjectID
from .h5 import INDEX_NAME, ITER_INC


class AttrInfo:
    """What an attribute is."""

    def __init__(self, datatype, raw, order):
        self.corder_valid = order is not None
        self.corder = order or 0
        self.cset = h5t.CSET_UTF8
        self.data_size = raw.size


class AttrID(ObjectID):
    """An attribute."""

    def __init__(self, attributes, name):
        # An attribute stays open when its object is closed.
        super().__init__(attributes.by_itself())
        self._attributes, self._attribute_name = self._core, name
        self._load()

    def _load(self):
        self._type, self._shape, self._raw, self._committed, self._order = self._attributes.open(self._attribute_name)

    @property
    def name(self):
        return self.get_name()

    @property
    def shape(self):
        self._require(Doing.LookAtAttribute)
        return () if self._shape is None else self._shape

    @property
    def dtype(self):
        return self.get_type().dtype

    def get_name(self, proplist=None):
        self._require(Doing.LookAtAttribute)
        return self._attribute_name.encode("utf-8", "surrogateescape")

    def _name(self):
        return self._attribute_name

    def get_space(self):
        self._require(Doing.LookAtAttribute)
        if self._shape is None:
            return h5s.create(h5s.NULL)
        return h5s.create(h5s.SCALAR) if not self._shape else h5s.create_simple(self._shape)

    def get_type(self):
        self._require(Doing.LookAtAttribute)
        if self._committed is None:
            return h5t._type_id_of(self._type)
        core = self._core.file.root().open_at(self._committed)
        return h5t._type_id_of(self._type, core)

    def get_storage_size(self):
        self._require(Doing.LookAtAttribute)
        return self._raw.size

    def _value(self):
        """The elements as an array of their own numpy type."""
        return _convert.from_file(self._core.file, self._type.describe(), self._raw, self._shape)

    def read(self, arr, mtype=None):
        self._require(Doing.LookAtAttribute)
        arr[...] = _convert.cast(self._value().reshape(arr.shape), arr.dtype) if arr.dtype.kind != "O" else self._value().reshape(arr.shape)

    def write(self, arr, mtype=None):
        self._require(Doing.LookAtAttribute)
        desc = self._type.describe()
        arr = np.asarray(arr)
        raw = _convert.to_file(self._core.file, desc, arr)
        if raw.size != self._raw.size:
            raise TypeError("Array must be C-contiguous and of the attribute's shape")
        self._attributes.set(self._attribute_name, self._type, None if self._shape is None else list(self._shape), raw)
        self._load()


def _owner(loc, obj_name):
    core = loc._core
    name = h5t._text(obj_name)
    return core if name == "." else core.open(name)


def create(loc, name, tid, space, obj_name=b".", lapl=None):
    """Creates an attribute of zeros."""
    loc._require(Doing.CreateAttribute)
    attributes, name = _owner(loc, obj_name).attributes(), h5t._text(name)
    if name in attributes:
        raise OSError(f"Unable to synchronously create attribute (name already exists): {name!r}")
    shape = None if space._kind == h5s.NULL else list(space._dims)
    count = space.get_simple_extent_npoints()
    raw = np.zeros(count * h5t._size(tid._desc), "u1")
    attributes.set(name, tid._datatype, shape, raw)
    return AttrID(attributes, name)


def open(loc, name=None, index=-1, *, obj_name=b".", index_type=INDEX_NAME, order=ITER_INC, lapl=None):
    """The attribute `name`, or the one with the number `index`."""
    attributes = _owner(loc, obj_name).attributes()
    name = attributes.names()[index] if name is None else h5t._text(name)
    return AttrID(attributes, name)


def exists(loc, name, *, obj_name=b".", lapl=None):
    return h5t._text(name) in _owner(loc, obj_name).attributes()


def rename(loc, name, new_name, *, obj_name=b".", lapl=None):
    _owner(loc, obj_name).attributes().rename(h5t._text(name), h5t._text(new_name))


def delete(loc, name=None, index=-1, *, obj_name=b".", index_type=INDEX_NAME, order=ITER_INC, lapl=None):
    attributes = _owner(loc, obj_name).attributes()
    attributes.delete(attributes.names()[index] if name is None else h5t._text(name))


def get_num_attrs(loc):
    return len(loc._core.attributes())


def get_info(loc, name=None, index=-1, *, obj_name=b".", index_type=INDEX_NAME, order=ITER_INC, lapl=None):
    loc._require(Doing.DeleteAttribute)
    found = open(loc, name, index, obj_name=obj_name)
    return AttrInfo(found._type, found._raw, found._order)


def iterate(loc, func, index=0, *, index_type=INDEX_NAME, order=ITER_INC, corder=False, info=False):
    """Calls `func` with each name (and an AttrInfo) until it returns something."""
    names = loc._core.attributes().names()[index:]
    for name in names:
        encoded = name.encode("utf-8", "surrogateescape")
        result = func(encoded, get_info(loc, name)) if info else func(encoded)
        if result is not None:
            return result
    return None
