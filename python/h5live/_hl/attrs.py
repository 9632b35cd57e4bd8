"""Attributes."""

import numpy as np

from .. import _convert, _h5live, h5a, h5t
from .._h5live import Doing
from . import base
from .base import Empty
from .datatype import Datatype


class AttributeManager(base.MutableMappingHDF5, base.CommonStateObject):
    """The attributes of an object: a mapping from names to values."""

    def __init__(self, parent):
        self._id = parent.id
        self._core = None

    @property
    def _attributes(self):
        core = self._core
        if core is None:
            core = self._core = self._id._core.attributes()
        return core

    def __getitem__(self, name):
        """The value: a scalar, an array, text, or `Empty`."""
        value = self._attributes.value(name if type(name) is str else h5t._text(name))
        if value is not None:
            return value
        return self._read(h5t._text(name))

    def _read(self, name):
        attr = h5a.AttrID(self._attributes, name)
        if attr._shape is None:
            return Empty(attr.dtype)
        array = attr._value()
        info = h5t.check_string_dtype(attr.dtype)
        if info is not None and info.length is None:
            array = np.array(
                [item.decode("utf-8", "surrogateescape") if isinstance(item, bytes) else item for item in array.flat],
                dtype=object,
            ).reshape(array.shape)
            if array.ndim:
                array = array.astype(attr.dtype)
        return array[()] if array.shape == () else array

    def get_id(self, name):
        """The low-level identifier of an attribute."""
        return h5a.open(self._id, self._e(name))

    def __setitem__(self, name, value):
        """Gives an attribute a new value, of whatever type and shape that has."""
        if not (type(name) is str and self._attributes.set_value(name, value)):
            self.create(name, data=value)

    def __delitem__(self, name):
        self._attributes.delete(h5t._text(name))

    def create(self, name, data, shape=None, dtype=None):
        """Creates an attribute, in place of one there may be, of a shape and type that may be other than those of `data`."""
        self._id._require(Doing.FindAttribute)
        name = h5t._text(name)
        committed = None
        if isinstance(dtype, Datatype):
            committed = dtype.id
            dtype = dtype.dtype
        if isinstance(data, Empty):
            desc = h5t._describe(np.dtype(data.dtype), logical=True)
            self._attributes.set(name, _h5live.Datatype(desc), None, np.empty(0, "u1"))
            return
        if not isinstance(data, Empty):
            data = base.array_for_new_object(data, specified_dtype=None if dtype is None else np.dtype(dtype))
        if shape is None:
            shape = data.shape
        elif isinstance(shape, (int, np.integer)):
            shape = (int(shape),)
        use_dtype = data.dtype if dtype is None else np.dtype(dtype)
        element_shape = ()
        if use_dtype.subdtype is not None:
            # An array type: the last axes of the data are inside the elements.
            _, element_shape = use_dtype.subdtype
            if shape[len(shape) - len(element_shape) :] != element_shape:
                raise ValueError(f"Array dtype shape {element_shape} is incompatible with data shape {shape}")
            shape = shape[: len(shape) - len(element_shape)]
        elif base.product(shape) != base.product(data.shape):
            raise ValueError("Shape of new attribute conflicts with shape of data")
        desc = committed._desc if committed is not None else h5t._describe(use_dtype, logical=True)
        raw = _convert.to_file(self._id._core.file, desc, data.reshape(tuple(shape) + element_shape))
        if committed is not None and committed._core.file.number == self._id._core.file.number:
            self._attributes.set_committed(name, committed._core.address, list(shape), raw)
        else:
            self._attributes.set(name, _h5live.Datatype(desc), list(shape), raw)

    def modify(self, name, value):
        """Changes the value of an attribute and keeps its type and shape; creates it if there is none."""
        name = h5t._text(name)
        if name not in self._attributes:
            self[name] = value
            return
        attr = h5a.AttrID(self._attributes, name)
        if attr._shape is None:
            raise OSError("Empty attributes can't be modified")
        info = h5t.check_string_dtype(attr.dtype)
        dtype = None if info is not None and info.length is not None else attr.dtype
        if dtype is not None and dtype.subdtype is not None:
            dtype = None
        array = np.asarray(value, order="C", dtype=dtype)
        if array.shape != attr.shape and not (array.size == 1 and base.product(attr.shape) == 1):
            base_shape = attr.dtype.subdtype[1] if attr.dtype.subdtype is not None else ()
            if array.shape != attr.shape + base_shape:
                raise TypeError(f"Shape of data is incompatible with existing attribute ({array.shape} vs {attr.shape})")
        elif array.shape != attr.shape:
            array = array.reshape(attr.shape)
        attr.write(array)

    def __len__(self):
        return len(self._attributes)

    def __iter__(self):
        yield from self._attributes.names()

    def __reversed__(self):
        yield from reversed(self._attributes.names())

    def __contains__(self, name):
        return h5t._text(name) in self._attributes

    def __repr__(self):
        if not self._id:
            return "<Attributes of closed HDF5 object>"
        return f"<Attributes of HDF5 object at {id(self._id)}>"


