"""What groups, datasets and types have in common."""

import os
import posixpath
from collections.abc import ItemsView, KeysView, Mapping, MutableMapping, ValuesView

import numpy as np

from .. import _pickle, h5a, h5d, h5g, h5i, h5o, h5p, h5r, h5s, h5t, version  # noqa: F401
from .._h5live import Doing
from .._objects import phil, with_phil  # noqa: F401
from ..h5f import is_hdf5 as _is_hdf5
from .compat import filename_decode, filename_encode  # noqa: F401


def is_hdf5(fname):
    """Whether a file is there and looks like one of HDF5."""
    return _is_hdf5(os.path.abspath(os.fspath(fname)))


class cached_property:
    """A property that is computed once for each object.

    Other than functools' one it takes its name from the function, so that it can be put into a class that is there already.
    """

    def __init__(self, func):
        self.func, self.__doc__ = func, func.__doc__

    def __get__(self, obj, owner=None):
        if obj is None:
            return self
        found = obj.__dict__[self.func.__name__] = self.func(obj)
        return found


def product(nums):
    """The product of numbers, in Python's integers."""
    prod = 1
    for num in nums:
        prod *= num
    return prod


def find_item_type(data):
    return h5t.find_item_type(data)


def guess_dtype(data):
    """The type for an object that numpy would not give a useful one; None to leave it to numpy."""
    if isinstance(data, h5r.RegionReference):
        return h5t.regionref_dtype
    if isinstance(data, h5r.Reference):
        return h5t.ref_dtype
    if type(data) is bytes:
        return h5t.string_dtype(encoding="ascii")
    if type(data) is str:
        return h5t.string_dtype()
    return None


_ITEM_TYPES = {
    str: h5t.string_dtype(),
    bytes: h5t.string_dtype(encoding="ascii"),
    h5r.Reference: h5t.ref_dtype,
    h5r.RegionReference: h5t.regionref_dtype,
}


def is_float16_np_array(array):
    return hasattr(array, "dtype") and array.dtype == np.float16


def array_for_new_object(data, specified_dtype=None):
    """The array that a new dataset or attribute is to hold."""
    as_dtype = guess_dtype(data) if specified_dtype is None else specified_dtype
    if specified_dtype is None:
        # Lists of text: strings of any length rather than numpy's fixed ones. And references.
        as_dtype = as_dtype or _ITEM_TYPES.get(find_item_type(data))
    elif isinstance(specified_dtype, np.dtype) and specified_dtype.kind == "S" and not isinstance(data, (bytes, str)):
        # Text that is not ASCII cannot be made fixed bytes by numpy.
        info = h5t.check_string_dtype(specified_dtype)
        if info.encoding == "utf-8" and find_item_type(data) is str:
            data = np.char.encode(np.asarray(data, dtype="U"), "utf-8")
    if as_dtype is not None and isinstance(as_dtype, np.dtype) and as_dtype.kind == "S" and isinstance(data, str):
        data = data.encode("utf-8")
    if isinstance(as_dtype, np.dtype) and as_dtype.subdtype is not None:
        as_dtype = as_dtype.subdtype[0]
    if as_dtype is not None and h5t.check_vlen_dtype(as_dtype) not in (None, str, bytes):
        return _sequences(data, as_dtype)
    data = np.asarray(data, order="C", dtype=as_dtype)
    if as_dtype is not None and data.dtype == as_dtype and data.dtype.kind != "T":
        # The type as it was given has its metadata.
        data = data.view(dtype=as_dtype)
    return data


def _sequences(data, dtype):
    """An object array of sequences."""
    if isinstance(data, np.ndarray) and data.dtype.kind == "O":
        return data.view(dtype)
    items = list(data)
    base = h5t.check_vlen_dtype(dtype)
    array = np.empty(len(items), dtype)
    for at, item in enumerate(items):
        array[at] = np.asarray(item, dtype=base if isinstance(base, np.dtype) and base.kind != "O" else None)
    return array


def default_lapl():
    lapl = h5p.create(h5p.LINK_ACCESS)
    return lapl


def default_lcpl():
    lcpl = h5p.create(h5p.LINK_CREATE)
    lcpl.set_create_intermediate_group(True)
    return lcpl


dlapl = default_lapl()
dlcpl = default_lcpl()


def is_empty_dataspace(obj):
    """Whether an object's dataspace is null."""
    return obj.get_space().get_simple_extent_type() == h5s.NULL


class CommonStateObject:
    """How names go to and from the file."""

    @property
    def _lapl(self):
        return dlapl

    @property
    def _lcpl(self):
        return dlcpl

    def _e(self, name, lcpl=None):
        """A name as the file has it."""
        if not isinstance(name, (str, bytes)):
            raise TypeError(f"A name must be str or bytes, not {type(name)}")
        if isinstance(name, str):
            try:
                encoded = name.encode("ascii")
                coding = h5t.CSET_ASCII
            except UnicodeEncodeError:
                encoded = name.encode("utf-8", "surrogateescape")
                coding = h5t.CSET_UTF8
        else:
            try:
                name.decode("ascii")
                coding = h5t.CSET_ASCII
            except UnicodeDecodeError:
                coding = h5t.CSET_UTF8
            encoded = bytes(name)
        if not lcpl:
            return encoded
        made = dlcpl.copy()
        made.set_char_encoding(coding)
        return encoded, made

    def _d(self, name):
        """A name as Python has it."""
        if name is None or isinstance(name, str):
            return name
        try:
            return name.decode("utf8")
        except UnicodeDecodeError:
            return name


class _RegionProxy:
    """`dataset.regionref`: makes region references by index, and tells what one selects."""

    def __init__(self, obj):
        self.obj = obj
        self.id = obj.id

    def __getitem__(self, args):
        if not isinstance(self.id, h5d.DatasetID):
            raise TypeError("Region references can only be made to datasets")
        from . import selections

        selection = selections.select(self.id.shape, args, dataset=self.obj)
        return h5r.create(self.id, b".", h5r.DATASET_REGION, selection.id)

    def shape(self, ref):
        """The shape of the dataset a reference is to."""
        return h5r.get_region(ref, self.id).shape

    def selection(self, ref):
        """The shape of what a reference selects."""
        from . import selections

        return selections.guess_shape(h5r.get_region(ref, self.id))


class HLObject(CommonStateObject):
    """A file, group, dataset or committed datatype."""

    def __init__(self, oid):
        self._id = oid

    @property
    def file(self):
        """The file it is in."""
        from . import files

        self.id._require(Doing.FindFile)
        return files.File._of(self.id)

    @property
    def name(self):
        """Its path; None if nothing leads to it."""
        return self._d(h5i.get_name(self.id))

    @property
    def parent(self):
        """The group it is in, by its path."""
        if self.name is None:
            raise ValueError("Parent of an anonymous object is undefined")
        return self.file[posixpath.dirname(self.name)]

    @property
    def id(self):
        """The low-level identifier."""
        return self._id

    @property
    def ref(self):
        """A reference to it."""
        return h5r.create(self.id, b".", h5r.OBJECT)

    @property
    def regionref(self):
        """Makes region references: `dataset.regionref[10:20]`."""
        return _RegionProxy(self)

    @property
    def attrs(self):
        """Its attributes."""
        from . import attrs

        return attrs.AttributeManager(self)

    def __hash__(self):
        return hash(self.id)

    def __eq__(self, other):
        if hasattr(other, "id"):
            return self.id == other.id
        return NotImplemented

    def __bool__(self):
        return bool(self.id)

    def _repr_html_(self):
        """Itself and what is in it, for Jupyter."""
        from . import html

        return html.tree(self)

    def __reduce__(self):
        """By file and path: what is unpickled in another process is opened there."""
        if self.name is None:
            raise TypeError("an object that nothing leads to cannot be pickled")
        return _pickle.open_object, (self.file, self.name, getattr(self, "shape", None))


class KeysViewHDF5(KeysView):
    def __str__(self):
        return f"<KeysViewHDF5 {list(self)}>"

    __repr__ = __str__

    def __reversed__(self):
        yield from reversed(self._mapping)


class ValuesViewHDF5(ValuesView):
    """The members of a group, or the values of attributes."""

    def __contains__(self, value):
        return any(value == self._mapping.get(key) for key in self._mapping)

    def __iter__(self):
        for key in self._mapping:
            yield self._mapping.get(key)

    def __reversed__(self):
        for key in reversed(self._mapping):
            yield self._mapping.get(key)


class ItemsViewHDF5(ItemsView):
    """Names with the members of a group, or with the values of attributes."""

    def __contains__(self, item):
        key, val = item
        return key in self._mapping and val == self._mapping.get(key)

    def __iter__(self):
        for key in self._mapping:
            yield (key, self._mapping.get(key))

    def __reversed__(self):
        for key in reversed(self._mapping):
            yield (key, self._mapping.get(key))


class MappingHDF5(Mapping):
    """Names to objects."""

    def keys(self):
        return KeysViewHDF5(self)

    def values(self):
        return ValuesViewHDF5(self)

    def items(self):
        return ItemsViewHDF5(self)

    def _ipython_key_completions_(self):
        return sorted(self.keys())


class MutableMappingHDF5(MappingHDF5, MutableMapping):
    """Names to objects, which can be changed."""


class Empty:
    """A value of a type, and no element: a null dataspace."""

    shape = None
    size = None

    def __init__(self, dtype):
        self._dtype = np.dtype(dtype)

    @property
    def dtype(self):
        return self._dtype

    def __eq__(self, other):
        return isinstance(other, Empty) and self.dtype == other.dtype

    __hash__ = None

    def __repr__(self):
        return f"Empty(dtype={self.dtype!r})"
