"""Datasets."""

import os
from collections import namedtuple

import numpy as np

from . import _convert, h5g, h5p, h5s, h5t
from ._objects import ObjectID, path_of
from .h5d_constants import *  # noqa: F403
from . import h5d_constants as _d
from ._h5live import Doing

StoreInfo = namedtuple("StoreInfo", ["chunk_offset", "filter_mask", "byte_offset", "size"])


class DatasetID(ObjectID):
    """A dataset."""

    def __init__(self, core):
        super().__init__(core)

    def _name(self):
        return path_of(self._core)

    @property
    def dtype(self):
        return self._core.dtype

    @property
    def shape(self):
        return self._core.shape

    @property
    def rank(self):
        return self._core.rank

    def get_type(self):
        committed = self._core.committed_datatype
        core = None if committed is None else self._core.file.root().open_at(committed)
        return h5t._type_id_of(self._core.datatype, core)

    def get_space(self):
        if self._core.is_null:
            return h5s.create(h5s.NULL)
        if self._core.rank == 0:
            return h5s.create(h5s.SCALAR)
        return h5s.create_simple(self._core.shape, self._core.maxshape)

    def get_space_status(self):
        size = self.get_storage_size()
        if size == 0:
            return _d.SPACE_STATUS_NOT_ALLOCATED
        whole = int(np.prod(self._core.shape, dtype="u8")) * self._core.datatype.size
        return _d.SPACE_STATUS_ALLOCATED if size >= whole else _d.SPACE_STATUS_PART_ALLOCATED

    def get_storage_size(self):
        return self._core.storage_size()

    def get_offset(self):
        """Where the elements begin in the file; None if they do not lie in one piece there."""
        return self._core.data_offset()

    def get_create_plist(self):
        """What the dataset was created with."""
        core, plist = self._core, h5p.PropDCID()
        layout = core.layout
        plist._values["layout"] = {
            "compact": _d.COMPACT,
            "chunked": _d.CHUNKED,
            "virtual": _d.VIRTUAL,
        }.get(layout, _d.CONTIGUOUS)
        plist._values["chunk"] = core.chunks
        plist._values["alloc_time"] = {
            "compact": _d.ALLOC_TIME_EARLY,
            "chunked": _d.ALLOC_TIME_INCR,
            "virtual": _d.ALLOC_TIME_INCR,
        }.get(layout, _d.ALLOC_TIME_LATE)
        plist._values["filters"] = tuple(
            (code, 1 if optional else 0, tuple(values), name) for code, optional, values, name in core.filters
        )
        plist._values["fill_time"] = core.fill_time if core.fill_time is not None else _d.FILL_TIME_IFSET
        if core.has_fill_value is None:
            plist._values["fill"] = False
        elif core.has_fill_value:
            plist._values["fill"] = self._fill_value()
        plist._values["external"] = tuple(
            (name.encode("utf-8", "surrogateescape"), at, 2**64 - 1 if size is None else size)
            for name, at, size in core.external_files()
        )
        if layout == "virtual":
            plist._values["virtual"] = tuple(self._virtual_sources())
        if core.tracks_order:
            plist._values["attr_order"] = h5p.CRT_ORDER_TRACKED | h5p.CRT_ORDER_INDEXED
        plist._values["track_times"] = False
        return plist

    def _fill_value(self):
        raw = np.frombuffer(bytearray(self._core.fill_bytes), "u1")
        array = _convert.from_file(self._core.file, self._core.datatype.describe(), raw, ())
        return array[()] if array.shape == () else array

    def _virtual_sources(self):
        dims = self._core.shape
        for (kind, parts), file, name, (source_kind, source_parts), source_dims in self._core.virtual_mappings():
            target = h5s.create_simple(dims, self._core.maxshape)
            target._select_region(kind, _unlimited(parts))
            source = h5s.create_simple(source_dims)
            source._select_region(source_kind, _unlimited(source_parts))
            yield target, "." if file is None else file, name, source

    def get_access_plist(self):
        self._require(Doing.LookAtDataset)
        plist = getattr(self, "_access_plist", None)
        plist = plist.copy() if plist is not None else h5p.PropDAID()
        # Prefixes are given as they are used.
        origin = os.path.dirname(os.path.abspath(os.fsencode(self._core.file.path)))
        for key in ("efile_prefix", "virtual_prefix"):
            prefix = os.fsencode(plist._values[key])
            if prefix.startswith(b"${ORIGIN}"):
                plist._values[key] = origin + prefix[len(b"${ORIGIN}") :]
        return plist

    # --- elements ---

    def read(self, mspace, fspace, arr_obj, mtype=None, dxpl=None):
        """Reads what `fspace` selects to where `mspace` says in an array."""
        self._require(Doing.LookAtDataset)
        selection = self._file_space(fspace)._selection()
        elements = self._elements(selection, selection.whole_shape).reshape(-1)
        elements = elements if elements.dtype == arr_obj.dtype else _convert.cast(elements, arr_obj.dtype)
        if mspace is h5s.ALL or mspace == h5s.ALL:
            arr_obj.reshape(-1)[...] = elements[: arr_obj.size] if elements.size != arr_obj.size else elements
            return
        _in_memory(arr_obj, mspace, elements)

    def write(self, mspace, fspace, arr_obj, mtype=None, dxpl=None):
        """Writes what `mspace` says of an array to what `fspace` selects."""
        self._require(Doing.LookAtDataset)
        selection = self._file_space(fspace)._selection()
        arr_obj = np.asarray(arr_obj)
        if mtype is not None and not arr_obj.dtype.hasobject and arr_obj.dtype.itemsize != mtype.get_size():
            # `mtype` tells what the bytes are, whatever numpy takes them for.
            arr_obj = np.frombuffer(arr_obj.tobytes(), mtype.dtype)
        elements = arr_obj.reshape(-1) if mspace is h5s.ALL or mspace == h5s.ALL else _from_memory(arr_obj, mspace)
        raw = _convert.to_file(self._core.file, self._core.datatype.describe(), elements)
        self._core.write_raw(selection, raw)

    def _file_space(self, space):
        return self.get_space() if space is h5s.ALL or space == h5s.ALL else space

    def _elements(self, selection, shape):
        """The selected elements as an array of their own numpy type."""
        raw = self._core.read_raw(selection)
        return _convert.from_file(self._core.file, self._core.datatype.describe(), raw, shape, self._core.dtype)

    # --- extent ---

    def set_extent(self, shape):
        self._require(Doing.LookAtSpace)
        self._core.resize([int(dim) for dim in shape])

    def extend(self, shape):
        self.set_extent([max(new, now) for new, now in zip(shape, self.shape)])

    def flush(self):
        self._core.flush()

    def refresh(self):
        self._core.refresh()

    # --- chunks ---

    def _chunks(self):
        self._require(Doing.LookAtSpace)
        if self._core.chunks is None:
            raise ValueError("Chunk information is only available for chunked datasets")
        return [StoreInfo(*chunk) for chunk in self._core.chunk_list()]

    def get_num_chunks(self, space=None):
        return len(self._chunks())

    def get_chunk_info(self, index, space=None):
        return self._chunks()[index]

    def get_chunk_info_by_coord(self, coord):
        self._require(Doing.LookAtSpace)
        chunk = self._core.chunks
        start = tuple(at // size * size for at, size in zip(coord, chunk))
        for info in self._chunks():
            if info.chunk_offset == start:
                return info
        return StoreInfo(start, 0, None, 0)

    def chunk_iter(self, func, dxpl=None):
        """Calls `func` with each stored chunk until it returns something."""
        for info in self._chunks():
            result = func(info)
            if result is not None:
                return result
        return None

    def read_direct_chunk(self, offsets, dxpl=None, out=None):
        """A chunk as it is stored: its filter mask, and its bytes."""
        mask, data = self._core.read_chunk([int(at) for at in offsets])
        if out is None:
            return mask, data
        try:
            view = memoryview(out).cast("B")
        except TypeError as error:
            raise ValueError(f"the buffer to read into must be contiguous: {error}") from None
        if view.readonly:
            raise BufferError("the buffer to read into is read-only")
        if len(view) < len(data):
            raise ValueError(f"out buffer is only {len(view)} bytes, {len(data)} bytes required")
        view[: len(data)] = data
        return mask, view[: len(data)]

    def write_direct_chunk(self, offsets, data, filter_mask=0, dxpl=None):
        """Stores a chunk as it is."""
        self._require(Doing.LookAtSpace)
        data = data if isinstance(data, bytes) else memoryview(np.ascontiguousarray(data)).cast("B").tobytes()
        # Bits of filters that there are not mean nothing.
        mask = int(filter_mask) & ((1 << len(self._core.filters)) - 1)
        self._core.write_chunk([int(at) for at in offsets], mask, data)


def _unlimited(parts):
    """Patterns with libhdf5's number where they have no limit."""
    return [tuple(h5s.UNLIMITED if number is None else number for number in part) for part in parts]


def _in_memory(array, space, elements):
    if space._how == "all":
        array.reshape(-1)[...] = elements
    elif space._how == "points":
        array.reshape(space.shape)[tuple(np.array(space._what).T)] = elements
    elif space._how == "slabs":
        places = space._places()
        array.reshape(space.shape)[np.ix_(*places)] = elements.reshape([len(at) for at in places])
    else:
        array.reshape(space.shape)[space._mask()] = elements


def _from_memory(array, space):
    if space._how == "all":
        return array.reshape(-1)
    if space._how == "points":
        return array.reshape(space.shape)[tuple(np.array(space._what).T)]
    if space._how == "slabs":
        return array.reshape(space.shape)[np.ix_(*space._places())].reshape(-1)
    return array.reshape(space.shape)[space._mask()]


def open(loc, name, dapl=None):
    """The dataset `name` from `loc`."""
    loc._require(Doing.OpenDataset)
    found = loc._core.open(h5t._text(name))
    if type(found).__name__ != "Dataset":
        raise KeyError("Unable to synchronously open object (not a dataset)")
    made = DatasetID(found)
    made._access_plist = dapl
    return made


def create(loc, name, tid, space, dcpl=None, lcpl=None, dapl=None):
    """Creates a dataset; without a name (None), one that nothing leads to."""
    shape = None if space._kind == h5s.NULL else list(space._dims)
    how = _properties(loc, tid, space, dcpl)
    if name is None:
        made = h5g._unlinked(loc, lambda hidden: loc._core.create_dataset(hidden, tid._datatype, shape, how), DatasetID)
    else:
        made = DatasetID(loc._core.create_dataset(h5t._text(name), tid._datatype, shape, how))
    made._access_plist = dapl
    return made


def _properties(loc, tid, space, dcpl):
    """What the Rust side is to make of a property list."""
    how = {}
    if space._kind == h5s.SIMPLE and space._max != space._dims:
        how["maxshape"] = [None if dim == h5s.UNLIMITED else dim for dim in space._max]
    # In another file, its address means nothing: a copy of the type is used.
    if tid.committed() and tid._core.file.number == loc._core.file.number:
        how["committed"] = tid._core.address
    if dcpl is None:
        return how
    values = dcpl._values
    if values["layout"] == _d.COMPACT:
        how["compact"] = True
    elif values["layout"] == _d.CHUNKED:
        how["chunks"] = list(values["chunk"])
        if values["alloc_time"] == _d.ALLOC_TIME_EARLY and "maxshape" not in how and not values["filters"]:
            how["early_chunks"] = how.pop("chunks")
    elif values["layout"] == _d.CONTIGUOUS and values["alloc_time"] == _d.ALLOC_TIME_EARLY:
        how["early"] = True
    if values["filters"]:
        how["filters"] = [(code, bool(flags & 1), list(client)) for code, flags, client, *_ in values["filters"]]
    fill = values["fill"]
    if fill is False:
        how["no_fill"] = True
    elif fill is not None:
        desc = tid._desc
        natural = tid.dtype
        fill = np.asarray(fill, dtype=natural) if natural.subdtype is None else np.asarray(fill)
        how["fill"] = _convert.to_file(loc._core.file, desc, fill)
    if values["fill_time"] != _d.FILL_TIME_IFSET:
        how["fill_time"] = values["fill_time"]
    if values["attr_order"]:
        how["track_order"] = True
    if values["external"]:
        how["external"] = [
            (h5t._text(name), at, None if size == h5s.UNLIMITED else size) for name, at, size in values["external"]
        ]
    if values["layout"] == _d.VIRTUAL:
        how["virtual"] = [
            (*target._region_for_mapping(), h5t._text(file), h5t._text(name), *source._region_for_mapping())
            for target, file, name, source in values["virtual"]
        ]
    return how
