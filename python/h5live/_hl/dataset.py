"""Datasets."""

import posixpath  # noqa: F401
import sys
from collections import namedtuple
from warnings import warn

import numpy as np

from .. import _convert, _selector, h5d, h5ds, h5p, h5r, h5s, h5t, h5z
from .._objects import phil, with_phil  # noqa: F401
from ..h5py_warnings import H5pyDeprecationWarning
from . import base, filters
from . import selections as sel
from . import selections2 as sel2  # noqa: F401
from .base import Empty, HLObject, array_for_new_object, is_empty_dataspace, product  # noqa: F401
from .datatype import Datatype
from .dims import DimensionManager

VDSmap = namedtuple("VDSmap", ("vspace", "file_name", "dset_name", "src_space"))


# Numbers that `compression=` takes as gzip's level, and not as that of a filter.
_LEGACY_GZIP_COMPRESSION_VALS = frozenset(range(10))


# The keywords of `create_dataset` that say how a dataset is opened, and not what it is.
ACCESS_KEYWORDS = frozenset({"dapl", "efile_prefix", "virtual_prefix", "rdcc_nslots", "rdcc_nbytes", "rdcc_w0"})


def make_new_dset(
    parent,
    shape=None,
    dtype=None,
    data=None,
    name=None,
    chunks=None,
    compression=None,
    shuffle=None,
    fletcher32=None,
    maxshape=None,
    compression_opts=None,
    fillvalue=None,
    scaleoffset=None,
    track_times=False,
    external=None,
    track_order=None,
    dcpl=None,
    dapl=None,
    efile_prefix=None,
    virtual_prefix=None,
    allow_unknown_filter=False,
    rdcc_nslots=None,
    rdcc_nbytes=None,
    rdcc_w0=None,
    *,
    fill_time=None,
):
    """Creates a dataset and returns its identifier."""
    if data is not None and not isinstance(data, Empty):
        given = isinstance(dtype, (Datatype, h5t.TypeID))
        wanted = dtype.dtype if given else None if dtype is None else np.dtype(dtype)
        data = array_for_new_object(data, specified_dtype=wanted)
    if shape is None:
        if data is None:
            if dtype is None:
                raise TypeError("One of data, shape or dtype must be specified")
            data = Empty(dtype)
        shape = data.shape
    else:
        shape = (shape,) if isinstance(shape, (int, np.integer)) else tuple(shape)
        if data is not None and product(shape) != product(data.shape):
            raise ValueError("Shape tuple is incompatible with data")
    if isinstance(maxshape, (int, np.integer)):
        maxshape = (int(maxshape),)
    elif maxshape is True:
        maxshape = (None,) * len(shape)
    elif maxshape is not None:
        maxshape = tuple(maxshape)
    _check_chunks(chunks, shape, maxshape)

    if isinstance(dtype, (Datatype, h5t.TypeID)):
        tid = dtype.id if isinstance(dtype, Datatype) else dtype
        dtype = tid.dtype
    else:
        if dtype is None and data is None:
            warn(
                "Creating a dataset without passing data or dtype is deprecated. Pass an explicit dtype. Using dtype='f4' will "
                "keep the current default behaviour.",
                H5pyDeprecationWarning,
                stacklevel=4,
            )
            dtype = np.dtype("=f4")
        elif dtype is None:
            dtype = data.dtype
        else:
            dtype = np.dtype(dtype)
        tid = h5t.py_create(dtype, logical=True)

    if compression is True:
        compression, compression_opts = "gzip", filters.DEFAULT_GZIP if compression_opts is None else compression_opts
    elif type(compression) is int and compression in _LEGACY_GZIP_COMPRESSION_VALS:
        # A number by itself is gzip's level.
        if compression_opts is not None:
            raise TypeError("Conflict in compression options")
        compression, compression_opts = "gzip", compression
    if isinstance(compression, filters.FilterRefBase) or hasattr(compression, "_kwargs"):
        if compression_opts is not None:
            raise TypeError("If compression is a filter object, compression_opts cannot be given")
        options = dict(compression)
        compression, compression_opts = options["compression"], options["compression_opts"]

    options = filters.StorageOptions(
        chunks=chunks,
        compression=compression,
        compression_opts=compression_opts,
        shuffle=shuffle,
        fletcher32=fletcher32,
        maxshape=maxshape,
        scaleoffset=scaleoffset,
        external=external,
        allow_unknown_filter=allow_unknown_filter,
        fill_time=fill_time,
    )
    dcpl = h5p.create(h5p.DATASET_CREATE) if dcpl is None else dcpl.copy()
    options.put_into(dcpl, shape, dtype)
    if fillvalue is not None:
        dcpl.set_fill_value(_fill_value(fillvalue, dtype))
    if track_times not in (None, True, False):
        raise TypeError("track_times must be either True or False")
    dcpl.set_obj_track_times(bool(track_times))
    if track_order is True:
        dcpl.set_attr_creation_order(h5p.CRT_ORDER_TRACKED | h5p.CRT_ORDER_INDEXED)
    if maxshape is not None and shape is not None:
        maxshape = tuple(h5s.UNLIMITED if dim is None else dim for dim in maxshape)
    if any((efile_prefix, virtual_prefix, rdcc_nbytes, rdcc_nslots, rdcc_w0)) or dapl is None:
        dapl = h5p.create(h5p.DATASET_ACCESS) if dapl is None else dapl.copy()
        _set_access(dapl, efile_prefix, virtual_prefix, rdcc_nslots, rdcc_nbytes, rdcc_w0)
    if isinstance(data, Empty):
        space = h5s.create(h5s.NULL)
    elif shape == ():
        space = h5s.create(h5s.SCALAR)
    else:
        space = h5s.create_simple(shape, maxshape)
    dset_id = h5d.create(parent.id, name, tid, space, dcpl=dcpl, dapl=dapl)
    if data is not None and not isinstance(data, Empty) and data.size:
        if len(data.shape) != len(shape) or data.shape != shape:
            extra = tid.dtype.subdtype[1] if tid.dtype.subdtype is not None else ()
            data = data.reshape(shape + (extra if data.size != product(shape) else ()))
        _write_all(dset_id, tid, data)
    return dset_id


def _set_access(dapl, efile_prefix, virtual_prefix, nslots, nbytes, w0):
    if efile_prefix is not None:
        dapl.set_efile_prefix(efile_prefix)
    if virtual_prefix is not None:
        dapl.set_virtual_prefix(virtual_prefix)
    cache = list(dapl.get_chunk_cache())
    for at, value in enumerate((nslots, nbytes, w0)):
        if value is not None:
            cache[at] = value
    dapl.set_chunk_cache(*cache)


def _check_chunks(chunks, shape, maxshape):
    if isinstance(chunks, (int, np.integer)) and not isinstance(chunks, bool):
        chunks = (int(chunks),)
    if not isinstance(chunks, (tuple, list)) or not shape:
        return
    if len(chunks) != len(shape):
        raise ValueError("Chunk shape must have the same number of dimensions as the dataset")
    limits = shape if maxshape is None else maxshape
    if any(limit is not None and chunk > max(limit, dim) for chunk, limit, dim in zip(chunks, limits, shape)):
        raise ValueError(
            "Chunk shape must not be greater than data shape in any dimension. "
            f"{tuple(chunks)} is not compatible with {shape}"
        )


def _fill_value(value, dtype):
    """The fill value as one element of a dataset's type."""
    info = h5t.check_string_dtype(dtype)
    if info is not None:
        if info.length is None:
            return value.encode() if isinstance(value, str) else value
        if isinstance(value, str):
            value = value.encode(info.encoding)
        return np.asarray(value, dtype=dtype)
    if dtype.names is not None and not isinstance(value, np.ndarray):
        if not isinstance(value, (tuple, np.void)):
            raise ValueError(f"the fill value of a compound type is a tuple of its members, not {value!r}")
        return np.array(value, dtype=dtype)
    if dtype.subdtype is not None:
        return np.asarray(value, dtype=dtype.subdtype[0])
    return np.asarray(value, dtype=dtype)


def _write_all(dsid, tid, data):
    """Writes all elements of a new dataset."""
    core = dsid._core
    raw = _convert.to_file(core.file, tid._desc, data)
    core.write_raw(core.select(Ellipsis), raw)


def open_dset(parent, name, dapl=None, efile_prefix=None, virtual_prefix=None, rdcc_nslots=None, rdcc_nbytes=None, rdcc_w0=None, **kwds):
    """The identifier of an existing dataset."""
    dapl = h5p.create(h5p.DATASET_ACCESS) if dapl is None else dapl
    _set_access(dapl, efile_prefix, virtual_prefix, rdcc_nslots, rdcc_nbytes, rdcc_w0)
    return h5d.open(parent.id, name, dapl=dapl)


class AbstractView:
    """A dataset read in some way."""

    _dset = None

    def __init__(self, dset):
        self._dset = dset

    def __len__(self):
        return len(self._dset)

    @property
    def dtype(self):
        raise NotImplementedError

    @property
    def ndim(self):
        return self._dset.ndim

    @property
    def shape(self):
        return self._dset.shape

    @property
    def size(self):
        return self._dset.size

    def __getitem__(self, idx):
        raise NotImplementedError

    def __array__(self, dtype=None, copy=True):
        if copy is False:
            raise ValueError(f"{type(self).__name__}.__array__ received copy=False but memory allocation cannot be avoided on read")
        data = self[()]
        return np.asarray(data, dtype=dtype or self.dtype)


class AsTypeView(AbstractView):
    """A dataset read as another type."""

    def __init__(self, dset, dtype):
        super().__init__(dset)
        self._dtype = np.dtype(dtype)

    @property
    def dtype(self):
        return self._dtype

    def __getitem__(self, idx):
        return self._dset.__getitem__(idx, new_dtype=self._dtype)


class AsStrView(AbstractView):
    """A dataset of text read as str."""

    def __init__(self, dset, encoding, errors="strict"):
        super().__init__(dset)
        self.encoding = encoding
        self.errors = errors

    @property
    def dtype(self):
        return np.dtype(object)

    def __getitem__(self, idx):
        found = self._dset[idx]
        if isinstance(found, bytes):
            return found.decode(self.encoding, self.errors)
        if np.isscalar(found):
            return bytes(found).decode(self.encoding, self.errors)
        texts = [item.decode(self.encoding, self.errors) for item in found.reshape(-1).tolist()]
        out = np.empty(len(texts), dtype=object)
        out[:] = texts
        return out.reshape(found.shape)


class FieldsView(AbstractView):
    """Some fields of a dataset."""

    extract_field = None

    def __init__(self, dset, prior_dtype, names):
        super().__init__(dset)
        if isinstance(names, str):
            self.extract_field = names
            names = [names]
        self.read_dtype = readtime_dtype(prior_dtype, names)

    @property
    def dtype(self):
        found = self.read_dtype
        return found.fields[self.extract_field][0] if self.extract_field is not None else found

    def __getitem__(self, idx):
        data = self._dset.__getitem__(idx, new_dtype=self.read_dtype)
        return data if self.extract_field is None else data[self.extract_field]


def readtime_dtype(basetype, names):
    """A compound type with only some of its fields."""
    if len(names) == 0:
        return basetype
    if basetype.names is None:
        raise ValueError("Field names only allowed for compound types")
    for name in names:
        if name not in basetype.names:
            raise ValueError(f"Field {name} does not appear in this type.")
    return np.dtype([(name, basetype.fields[name][0]) for name in names])


class ChunkIterator:
    """The chunks of a dataset, or the parts of them that lie in a selection, as tuples of slices."""

    def __init__(self, dset, source_sel=None):
        self._shape = dset.shape
        if dset.chunks is None:
            raise TypeError("Chunked dataset required")
        self._layout = dset.chunks
        if source_sel is None:
            source_sel = tuple(slice(0, dim) for dim in self._shape)
        elif not isinstance(source_sel, tuple):
            source_sel = (source_sel,)
        if len(source_sel) != len(self._shape):
            raise ValueError("Invalid selection - selection region must have the same number of dimensions as the dataset")
        self._sel = tuple(self._along(part, dim) for part, dim in zip(source_sel, self._shape))
        self._chunk_index = [part.start // chunk for part, chunk in zip(self._sel, self._layout)]

    @staticmethod
    def _along(part, dim):
        if isinstance(part, slice):
            start, stop, step = part.indices(dim)
            if step != 1:
                raise ValueError("Invalid selection - only slices without a step are possible")
            return slice(start, stop)
        return slice(part, part + 1)

    def __iter__(self):
        return self

    def __next__(self):
        rank = len(self._shape)
        if rank == 0 or self._chunk_index[0] * self._layout[0] >= self._sel[0].stop:
            raise StopIteration()
        found = []
        for part, chunk, at in zip(self._sel, self._layout, self._chunk_index):
            found.append(slice(max(at * chunk, part.start), min((at + 1) * chunk, part.stop), 1))
        axis = rank - 1
        while axis >= 0:
            self._chunk_index[axis] += 1
            if self._chunk_index[axis] * self._layout[axis] < self._sel[axis].stop:
                break
            if axis > 0:
                self._chunk_index[axis] = self._sel[axis].start // self._layout[axis]
            axis -= 1
        return tuple(found)


class Dataset(HLObject):
    """A dataset: an array in the file."""

    def __init__(self, bind, *, readonly=False):
        if not isinstance(bind, h5d.DatasetID):
            raise ValueError(f"{bind} is not a DatasetID")
        super().__init__(bind)
        self._core = bind._core
        self._readonly = readonly

    # --- reading otherwise ---

    def astype(self, dtype):
        """A view that reads as another type: `dataset.astype('f4')[10:20]`."""
        dtype, own = np.dtype(dtype), self._core.dtype
        if dtype.kind == "T":
            info = h5t.check_string_dtype(own)
            if info is None:
                raise TypeError(f"dset.astype({dtype}) can only be used on datasets with an HDF5 string datatype")
        return AsTypeView(self, dtype)

    def asstr(self, encoding=None, errors="strict"):
        """A view that reads text as str: `dataset.asstr()[0]`."""
        info = h5t.check_string_dtype(self.dtype)
        if info is None:
            raise TypeError("dset.asstr() can only be used on datasets with an HDF5 string datatype")
        return AsStrView(self, info.encoding if encoding is None else encoding, errors=errors)

    def fields(self, names, *, _prior_dtype=None):
        """A view of some fields: `dataset.fields(['x', 'y'])[10:20]`; of one, given as str, its values."""
        return FieldsView(self, self.dtype if _prior_dtype is None else _prior_dtype, names)

    # --- what it is ---

    @property
    def dims(self):
        """The scales of its dimensions."""
        return DimensionManager(self)

    @property
    def ndim(self):
        """Number of dimensions."""
        return self.id.rank

    @property
    def shape(self):
        """Its extent; None for a null dataspace."""
        return self._core.shape

    @shape.setter
    def shape(self, shape):
        self.resize(shape)

    @property
    def size(self):
        """Number of elements; None for a null dataspace."""
        shape = self.shape
        return None if shape is None else product(shape)

    @property
    def nbytes(self):
        """Bytes that all elements take in memory."""
        size = self.size
        return 0 if size is None else self.dtype.itemsize * size

    @property
    def dtype(self):
        """The numpy type of its elements."""
        return self.id.dtype

    @property
    def _dcpl(self):
        return self.id.get_create_plist()

    @property
    def _filters(self):
        return filters.get_filters(self._dcpl)

    @property
    def chunks(self):
        """The shape of a chunk; None if it is not chunked."""
        return self._core.chunks

    @property
    def compression(self):
        """'gzip', 'lzf', 'szip', 'unknown' for any other that compresses; or None."""
        found = self._filters
        for name in ("gzip", "lzf", "szip"):
            if name in found:
                return name
        return "unknown" if set(found) - {"shuffle", "fletcher32", "scaleoffset"} else None

    @property
    def compression_opts(self):
        """The options of `compression`."""
        found, name = self._filters, self.compression
        if name == "unknown":
            name = next(name for name in found if name not in ("shuffle", "fletcher32", "scaleoffset"))
        return found.get(name, None)

    @property
    def filter_ids(self):
        """The numbers of its filters."""
        return tuple(code for code, *_ in self._core.filters)

    @property
    def filter_names(self):
        """The names of its filters."""
        return tuple(filters.get_filter_name(code) for code in self.filter_ids)

    @property
    def shuffle(self):
        return "shuffle" in self._filters

    @property
    def fletcher32(self):
        return "fletcher32" in self._filters

    @property
    def scaleoffset(self):
        """The option of the filter; None without it."""
        try:
            return self._filters["scaleoffset"][1]
        except KeyError:
            return None

    @property
    def external(self):
        """The files that hold its elements: name, offset, bytes. None if its own file does."""
        count = self._dcpl.get_external_count()
        if count <= 0:
            return None
        from .compat import filename_decode

        found = [self._dcpl.get_external(at) for at in range(count)]
        return [(filename_decode(name), offset, size) for name, offset, size in found]

    @property
    def maxshape(self):
        """How far it can be resized: None along axes without limit."""
        return None if self._core.is_null else self._core.maxshape

    @property
    def fillvalue(self):
        """What was not written reads as."""
        dcpl = self._dcpl
        fill = dcpl._values["fill"]
        dtype = self.dtype
        if fill is None or fill is False:
            info = h5t.check_string_dtype(dtype)
            if info is not None and info.length is None:
                return b""
            if dtype.kind == "O":
                return _null(dtype)
            return np.zeros((), dtype=dtype)[()]
        return fill

    @property
    def is_virtual(self):
        """Whether it shows other datasets."""
        return self._core.layout == "virtual"

    def virtual_sources(self):
        """The parts of other datasets that it shows."""
        if not self.is_virtual:
            raise RuntimeError("Not a virtual dataset")
        dcpl = self._dcpl
        return [
            VDSmap(
                dcpl.get_virtual_vspace(at),
                dcpl.get_virtual_filename(at),
                dcpl.get_virtual_dsetname(at),
                dcpl.get_virtual_srcspace(at),
            )
            for at in range(dcpl.get_virtual_count())
        ]

    # What follows are h5py's private names for how it reads, which libraries that read in ways of their own ask for.

    @property
    def _extent_type(self):
        return self.id.get_space().get_simple_extent_type()

    @property
    def _is_empty(self):
        return self._extent_type == h5s.NULL

    @property
    def _selector(self):
        return _selector.Selector(self.id.get_space())

    @property
    def _fast_reader(self):
        return _selector.Reader(self.id)

    @property
    def _fast_read_ok(self):
        return self._extent_type == h5s.SIMPLE and isinstance(self.id.get_type(), (h5t.TypeIntegerID, h5t.TypeFloatID))

    @property
    def is_scale(self):
        """Whether it is a dimension scale."""
        return h5ds.is_scale(self._id)

    def make_scale(self, name=""):
        """Makes it a dimension scale."""
        h5ds.set_scale(self._id, self._e(name))

    # --- extent ---

    def resize(self, size, axis=None):
        """Changes its extent: all of it, or along one axis."""
        if self._core.resize_to(size, axis):
            return
        if self.chunks is None:
            raise TypeError("Only chunked datasets can be resized")
        if axis is not None:
            if not (0 <= axis < self.id.rank):
                raise ValueError(f"Invalid axis (0 to {self.id.rank - 1} allowed)")
            try:
                new_len = int(size)
            except TypeError:
                raise TypeError("Argument must be a single int if axis is specified") from None
            size = list(self.shape)
            size[axis] = new_len
        elif isinstance(size, (int, np.integer)):
            size = (size,)
        core = self._core
        size = [int(dim) for dim in size]
        if len(size) != core.rank:
            raise TypeError(f"New shape length ({len(size)}) must match dataset rank ({core.rank})")
        if any(dim < 0 for dim in size):
            raise ValueError(f"Unable to change a dataset's dimensions (negative size in {tuple(size)})")
        core.resize(size)

    def __len__(self):
        return self.len()

    def len(self):
        """The size of the first axis."""
        shape = self.shape
        if not shape:
            raise TypeError("Attempt to take len() of scalar dataset")
        if shape[0] > sys.maxsize:
            raise OverflowError(f"Value {shape[0]} too big for Python's __len__; use Dataset.len() instead")
        return shape[0]

    def __iter__(self):
        """The rows. Reading more than one at a time is faster."""
        shape = self.shape
        if not shape:
            raise TypeError("Can't iterate over a scalar dataset")
        # Chunk by chunk, so that none is decoded twice.
        step = max(self.chunks[0] if self.chunks else 1024, 1)
        row_bytes = max(self.dtype.itemsize * product(shape[1:]), 1)
        step = max(min(step, (1 << 22) // row_bytes), 1)
        for start in range(0, shape[0], step):
            rows = self[start : min(start + step, shape[0])]
            yield from rows

    def iter_chunks(self, sel=None):
        """The chunks, or the parts of them in a selection, as tuples of slices."""
        return ChunkIterator(self, sel)

    # --- elements ---

    def _select(self, args):
        """What an index expression selects."""
        args = args if isinstance(args, tuple) else (args,)
        if len(args) == 1:
            (arg,) = args
            if isinstance(arg, h5r.RegionReference):
                space = h5r.get_region(arg, self.id)
                if space is None or h5r._address_of(arg, self.id) != self._core.address:
                    raise TypeError("Region reference must point to this dataset")
                return space._selection()
            if isinstance(arg, sel.Selection):
                if arg.shape != self.shape:
                    raise TypeError("Mismatched selection shape")
                return arg.id._selection()
        return self._core.select(args)

    def __getitem__(self, args, new_dtype=None):
        """Reads elements: by number, slices, a list, a mask, names of fields, a region reference; as numpy does."""
        if new_dtype is None:
            found = self._core.read(args)
            if found is not None:
                return found
        return self._read(args if isinstance(args, tuple) else (args,), new_dtype)

    def _read(self, args, new_dtype):
        is_null, dtype = self._core.is_null, self.dtype
        if is_null:
            if args in ((Ellipsis,), ()):
                return Empty(dtype)
            raise ValueError("Empty datasets cannot be sliced")
        names = tuple(arg for arg in args if isinstance(arg, (str, bytes)))
        names = tuple(name.decode("utf-8") if isinstance(name, bytes) else name for name in names)
        args = tuple(arg for arg in args if not isinstance(arg, (str, bytes)))
        if names:
            if dtype.names is None:
                raise ValueError("Field names only allowed for compound types")
            missing = [name for name in names if name not in dtype.names]
            if missing:
                raise ValueError(f"Field {missing[0]} does not appear in this type.")
        selection = self._select(args)
        if self._core.rank == 0 and args and isinstance(args[0], h5r.RegionReference):
            # One element is selected, or none.
            selects_none = h5r.get_region(args[0], self.id).get_select_type() == h5s.SEL_NONE
            return Empty(dtype) if selects_none else self[()]
        found = self.id._elements(selection, selection.shape)
        read_type = dtype if new_dtype is None else new_dtype
        if names:
            only = np.dtype([(name, found.dtype.fields[name][0]) for name in names])
            part = np.empty(found.shape, only)
            for name in names:
                part[name] = found[name]
            found = part if len(names) > 1 else part[names[0]]
            if new_dtype is not None:
                found = _convert.cast(found, new_dtype if len(names) > 1 or new_dtype.names is None else new_dtype)
        elif new_dtype is not None and (found.dtype != read_type or found.dtype.kind == "O"):
            found = _as_type(found, new_dtype)
        if selection.is_scalar and found.shape == ():
            return found[()]
        return found

    def __setitem__(self, args, val):
        """Writes elements, given as anything that numpy makes an array of their shape of."""
        core = self._core
        kind = type(val)
        if kind is float or kind is int:
            # One number for all that is selected; what its type would make of it otherwise than libhdf5 is left to `_write`.
            dtype = core.dtype
            fits = dtype.kind == "f" and dtype.itemsize == 8 or kind is int and dtype.kind in "iu" and 0 <= val < 128
            if fits and core.write(args, np.array(val, dtype)):
                return
        elif kind is np.ndarray and core.write(args, val):
            return
        self._write(args if isinstance(args, tuple) else (args,), val)

    def _write(self, args, val):
        dtype = self.dtype
        if self._core.is_null:
            raise TypeError("an empty dataset has no elements to write")
        names = tuple(arg.decode() if isinstance(arg, bytes) else arg for arg in args if isinstance(arg, (str, bytes)))
        args = tuple(arg for arg in args if not isinstance(arg, (str, bytes)))
        vlen = h5t.check_vlen_dtype(dtype)
        selection = self._select(args)
        inner = ()
        base_type = dtype
        if dtype.subdtype is not None:
            base_type, inner = dtype.subdtype
        desc = self._core.datatype.describe()
        if names:
            return self._write_fields(selection, names, val, desc)
        if vlen is not None and vlen not in (str, bytes):
            val = self._sequences(val, vlen, selection)
        elif dtype.names is not None and not isinstance(val, (np.ndarray, np.void)) and not _is_compound(val):
            val = _compound_value(val, dtype)
        elif dtype.kind == "O" and not isinstance(val, np.ndarray):
            val = self._objects(val, vlen)
        elif isinstance(val, Empty):
            raise TypeError("an Empty cannot be written")
        else:
            val = self._numbers(val, base_type)
        shape = selection.shape + inner
        val = self._broadcast(val, selection, shape, inner)
        self._core.write_raw(selection, _convert.to_file(self._core.file, desc, val))

    def _numbers(self, val, dtype):
        """A value as an array, of the dataset's type where numpy leaves the choice."""
        if isinstance(val, (np.ndarray, np.generic)) or hasattr(val, "__array__"):
            return np.asarray(val, order="C")
        if dtype.kind == "S":
            info = h5t.check_string_dtype(dtype)
            if isinstance(val, str):
                val = val.encode(info.encoding if info.encoding == "utf-8" else "utf-8")
            array = np.asarray(val)
            return np.asarray(array, order="C") if array.dtype.kind in "SO" else _encoded(array)
        if dtype.kind == "V" and dtype.names is None:
            return np.asarray(val, dtype=dtype)
        return np.asarray(val, dtype=dtype if dtype.kind not in "b" else None, order="C")

    def _objects(self, val, vlen):
        """Text or references as an object array."""
        if isinstance(val, (str, bytes, h5r.Reference)) or val is None:
            array = np.empty((), object)
            array[()] = val
            return array
        found = np.asarray(val, dtype=object)
        return found

    def _sequences(self, val, vlen, selection):
        """Sequences as an object array."""
        if isinstance(val, np.ndarray) and val.dtype.kind == "O" and val.shape == selection.shape:
            if not (val.shape == () or selection.is_scalar):
                return val
        base_type = np.dtype(vlen) if not isinstance(vlen, np.dtype) else vlen
        if selection.shape == () or (selection.count == 1 and not _is_nested(val)):
            # One sequence.
            one = np.empty((), object)
            if isinstance(val, np.ndarray) and val.dtype.kind == "O" and val.shape == ():
                val = val[()]
            if isinstance(val, np.ndarray) and val.dtype.kind == "O" and val.size == 1 and base_type.kind != "O":
                val = val.reshape(-1)[0]
            one[()] = val if base_type.kind == "O" else np.asarray(val, dtype=base_type)
            return one.reshape((1,) * len(selection.shape)) if selection.shape else one
        if isinstance(val, np.ndarray) and val.dtype.kind != "O" and val.ndim == len(selection.shape):
            # Numbers where sequences should be: one for all.
            if val.ndim == 1 and len(selection.shape) == 1 and val.shape != selection.shape:
                raise TypeError(f"Can't broadcast {val.shape} -> {selection.shape}")
            raise TypeError(f"No conversion path for dtype: {val.dtype!r} to sequences")
        items = list(val)
        array = np.empty(len(items), object)
        for at, item in enumerate(items):
            array[at] = item if base_type.kind == "O" else np.asarray(item, dtype=base_type)
        return array

    def _write_fields(self, selection, names, val, desc):
        dtype = self.dtype
        if dtype.names is None:
            raise TypeError("Illegal slicing argument (not a compound dataset)")
        missing = [name for name in names if name not in dtype.names]
        if missing:
            raise ValueError(f"No such field for indexing: {missing}")
        if len(names) == 1 and not (hasattr(val, "dtype") and val.dtype.names is not None and names[0] in val.dtype.names):
            field = dtype.fields[names[0]][0]
            field_base, inner = field.subdtype if field.subdtype is not None else (field, ())
            val = self._objects(val, None) if field_base.kind == "O" and not isinstance(val, np.ndarray) else np.asarray(val)
            val = self._broadcast(val, selection, selection.shape + inner, inner)
            values = {names[0]: val}
        else:
            val = np.asarray(val)
            if val.dtype.names is None:
                raise TypeError("When writing to several fields, the source must be a compound array")
            values = {name: self._broadcast(val[name], selection, selection.shape, ()) for name in names}
        raw = self._core.read_raw(selection)
        elements = raw.view(_convert.raw_type(desc))
        members = {name: member for name, _, member in desc[2]}
        for name, value in values.items():
            member = members[name]
            target = elements[name]
            value = value.reshape(target.shape)
            _convert.store(self._core.file, _convert._innermost(member), target, value)
        self._core.write_raw(selection, elements.view("u1"))

    def _broadcast(self, val, selection, shape, inner):
        """The value with the shape of what is selected; `inner` are the axes inside an element."""
        val = np.asarray(val)
        if val.shape == shape:
            return val
        if inner:
            if val.shape[max(len(val.shape) - len(inner), 0) :] != inner:
                raise TypeError(
                    f"When writing to array types, last N dimensions have to match (got {val.shape}, but should end in {inner})"
                )
            outer = val.shape[: len(val.shape) - len(inner)]
        else:
            outer = val.shape
        if selection.points() is not None or selection.lists() is not None:
            if product(outer) != 1:
                raise TypeError(f"Can't broadcast {outer} -> {selection.shape}")
            return np.broadcast_to(val.reshape(inner), shape)
        expanded = _expanded(outer, selection)
        return np.broadcast_to(val.reshape(expanded + inner), tuple(selection.whole_shape) + inner).reshape(shape)

    def read_direct(self, dest, source_sel=None, dest_sel=None):
        """Reads into an array: what `source_sel` selects, to where `dest_sel` says."""
        if not dest.flags.c_contiguous:
            raise TypeError("Array must be C-contiguous")
        if self._core.is_null:
            raise TypeError("Empty datasets have no numpy representation")
        selection = self._core.select(Ellipsis) if source_sel is None else self._select(source_sel.args if hasattr(source_sel, "args") else source_sel)
        plain_target = dest_sel is None and dest.dtype == self.dtype and dest.flags.c_contiguous and dest.dtype.kind != "O"
        if plain_target and self._core.is_plain and dest.shape == selection.shape:
            self._core.read_into(selection, dest)
            return
        found = self.id._elements(selection, selection.shape)
        target = dest if dest_sel is None else dest[dest_sel]
        if target.shape != found.shape:
            if _without_ones(target.shape) == _without_ones(found.shape):
                found = found.reshape(target.shape)
            else:
                try:
                    found = np.broadcast_to(found, target.shape)
                except ValueError:
                    raise TypeError(f"Can't broadcast {found.shape} -> {target.shape}") from None
        found = found if found.dtype == dest.dtype else _as_type(found, dest.dtype)
        dest[... if dest_sel is None else dest_sel] = found

    def write_direct(self, source, source_sel=None, dest_sel=None):
        """Writes what `source_sel` says of an array to what `dest_sel` selects."""
        if not source.flags.c_contiguous:
            raise TypeError("Array must be C-contiguous")
        if self._core.is_null:
            raise TypeError("Empty datasets cannot be written to")
        part = source if source_sel is None else source[source_sel]
        selection = self._core.select(Ellipsis) if dest_sel is None else self._select(dest_sel)
        part = self._broadcast(part, selection, selection.shape, ())
        self._core.write_raw(selection, _convert.to_file(self._core.file, self._core.datatype.describe(), part))

    def __array__(self, dtype=None, copy=True):
        """All elements, as numpy wants them."""
        if copy is False:
            raise ValueError("Dataset.__array__ received copy=False but memory allocation cannot be avoided on read")
        if self._core.is_null:
            raise TypeError("Empty datasets have no numpy representation")
        found = self[...]
        return found if dtype is None else found.astype(dtype, copy=False)

    # --- live ---

    def _ipython_key_completions_(self):
        """The names of its fields, of which `dataset["x"]` is one."""
        return list(self.dtype.names or ())

    def append(self, rows):
        """Adds rows at the end of the first axis: one, or an array of them. Readers see them with the next flush or commit."""
        core = self._core
        if type(rows) is np.ndarray and core.append(rows):
            return
        shape = core.shape
        if not shape:
            raise TypeError("a dataset without axes has no rows to append to")
        dtype = self.dtype
        rows = np.asarray(rows, dtype=dtype) if dtype.kind != "O" and dtype.subdtype is None else base.array_for_new_object(rows, dtype)
        inner = dtype.subdtype[1] if dtype.subdtype is not None else ()
        row = shape[1:] + inner
        if rows.shape == row:
            rows = rows.reshape((1,) + row)
        if rows.shape[1:] != row:
            raise TypeError(f"rows of shape {row} were expected, and {rows.shape} was given")
        if core.is_plain:
            core.append_raw(np.ascontiguousarray(rows))
        else:
            core.append_raw(_convert.to_file(core.file, core.datatype.describe(), rows))

    def follow(self, start=None, timeout=None, axis=0):
        """New rows as they are published, from row `start` on (None: from now on): to iterate, or with `async for`.

        Ends when the writer closes the file; raises WriterDied when it died; ends when nothing came for `timeout` seconds.
        """
        from .._live import Follow

        return Follow(self, start, timeout, axis)

    def flush(self):
        """Makes changes visible to readers."""
        self.id.flush()

    def refresh(self):
        """Shows what was published since the last look."""
        self.id.refresh()

    def __repr__(self):
        if not self:
            return "<Closed HDF5 dataset>"
        name = self.name
        if name is None:
            namestr = "(anonymous)"
        else:
            last = name.rstrip("/").rsplit("/", 1)[-1]
            namestr = f'"{last if last else "/"}"'
        return f'<HDF5 dataset {namestr}: shape {self.shape}, type "{self.dtype.str}">'


def _null(dtype):
    """What an object type reads as where nothing was written."""
    ref = h5t.check_ref_dtype(dtype)
    if ref is not None:
        return ref()
    vlen = h5t.check_vlen_dtype(dtype)
    return np.empty(0, vlen if isinstance(vlen, np.dtype) or vlen not in (str, bytes) else object)


def _expanded(source, selection):
    """The shape of a value with an axis for each of the dataset's: of one element where the selection has a number."""
    rest = list(source)
    expanded = []
    for dim, is_number in zip(reversed(selection.whole_shape), reversed(selection.numbers)):
        if is_number or not rest:
            expanded.append(1)
        elif rest[-1] in (1, dim):
            expanded.append(rest.pop())
        else:
            raise TypeError(f"Can't broadcast {source} -> {selection.shape}")
    if any(dim != 1 for dim in rest):
        raise TypeError(f"Can't broadcast {source} -> {selection.shape}")
    return tuple(reversed(expanded))


def _without_ones(shape):
    return tuple(dim for dim in shape if dim != 1)


def _is_nested(val):
    """Whether a value is a sequence of sequences."""
    if isinstance(val, np.ndarray):
        return val.dtype.kind == "O" or val.ndim > 1
    try:
        first = next(iter(val))
    except (TypeError, StopIteration):
        return False
    return isinstance(first, (list, tuple, np.ndarray))


def _is_compound(val):
    return getattr(getattr(val, "dtype", None), "names", None) is not None


def _compound_value(val, dtype):
    """A compound value, or an array of them, from tuples."""
    if isinstance(val, tuple):
        return np.array(val, dtype=dtype)
    return np.array([tuple(item) if isinstance(item, list) else item for item in val] if isinstance(val, list) else val, dtype=dtype)


def _encoded(array):
    """Text as UTF-8."""
    return np.char.encode(array, "utf-8") if array.dtype.kind == "U" else array


def _as_type(array, dtype):
    """Elements as another type, as libhdf5 converts them."""
    if dtype.subdtype is not None:
        base_type, _ = dtype.subdtype
        return _convert.cast(array, base_type)
    if dtype.names is not None and array.dtype.names is not None:
        return _convert.cast(array, dtype)
    return _convert.cast(array, dtype)


