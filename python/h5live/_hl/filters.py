"""Filters and chunks: from keywords to a property list."""

import operator
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import product as _product  # noqa: F401

import numpy as np

from .. import h5d, h5f, h5p, h5z  # noqa: F401
from .base import product
from .compat import filename_encode

_COMP_FILTERS = {
    "gzip": h5z.FILTER_DEFLATE,
    "szip": h5z.FILTER_SZIP,
    "lzf": h5z.FILTER_LZF,
    "shuffle": h5z.FILTER_SHUFFLE,
    "fletcher32": h5z.FILTER_FLETCHER32,
    "scaleoffset": h5z.FILTER_SCALEOFFSET,
}
_FILL_TIME_ENUM = {"alloc": h5d.FILL_TIME_ALLOC, "never": h5d.FILL_TIME_NEVER, "ifset": h5d.FILL_TIME_IFSET}

DEFAULT_GZIP = 4
DEFAULT_SZIP = ("nn", 8)


def _gen_filter_tuples():
    """The names of the filters that can be undone, and of those that can be applied."""
    decode, encode = [], []
    for name, code in _COMP_FILTERS.items():
        if h5z.filter_avail(code):
            info = h5z.get_filter_info(code)
            if info & h5z.FILTER_CONFIG_ENCODE_ENABLED:
                encode.append(name)
            if info & h5z.FILTER_CONFIG_DECODE_ENABLED:
                decode.append(name)
    return tuple(decode), tuple(encode)


decode, encode = _gen_filter_tuples()


def _external_entry(entry):
    """One of the files that hold a dataset's elements: name, offset, bytes."""
    if not isinstance(entry, tuple):
        raise TypeError("Each external entry must be a tuple of (name, offset, size)")
    name, offset, size = entry
    return filename_encode(name), operator.index(offset), operator.index(size)


def _normalize_external(external):
    """The files that hold a dataset's elements, as triples."""
    if external is None:
        return []
    if isinstance(external, (str, bytes)) or hasattr(external, "__fspath__"):
        return [_external_entry((external, 0, h5f.UNLIMITED))]
    return [_external_entry(entry) for entry in external]


class FilterRefBase(Mapping):
    """A filter with its options: what `compression=` takes in place of a name. As a mapping, it is the two keywords."""

    filter_id = None
    filter_options = ()

    @property
    def _kwargs(self):
        return {"compression": self.filter_id, "compression_opts": self.filter_options}

    def __hash__(self):
        return hash((self.filter_id, self.filter_options))

    def __eq__(self, other):
        return isinstance(other, FilterRefBase) and self._kwargs == other._kwargs

    def __len__(self):
        return len(self._kwargs)

    def __iter__(self):
        return iter(self._kwargs)

    def __getitem__(self, item):
        return self._kwargs[item]


class Gzip(FilterRefBase):
    """Deflate, at a level from 0 to 9."""

    filter_id = h5z.FILTER_DEFLATE

    def __init__(self, level=DEFAULT_GZIP):
        self.filter_options = (level,)


@dataclass
class StorageOptions:
    """How the elements of a new dataset are to be stored: the keywords of `create_dataset` that say so."""

    chunks: object = None
    compression: object = None
    compression_opts: object = None
    shuffle: bool = None
    fletcher32: bool = None
    maxshape: tuple = None
    scaleoffset: object = None
    external: object = None
    allow_unknown_filter: bool = False
    fill_time: str = None

    def put_into(self, plist, shape, dtype):
        """Has a property list say this, for a dataset of this shape (None: without elements) and type; what does not go together is refused."""
        self._refuse_for(shape)
        compression, compression_opts = self._compression()
        scaleoffset = None if self.scaleoffset is None else _check_scaleoffset(self.scaleoffset, dtype, self.fletcher32)
        filtered = any((compression is not None, self.shuffle, self.fletcher32, scaleoffset is not None))
        external = _normalize_external(self.external)
        if external and (self.chunks or filtered):
            raise ValueError("external storage cannot be chunked or filtered")
        in_one_piece = external or plist.get_layout() == h5d.VIRTUAL
        chunks = self._chunk_shape(shape, dtype, filtered, in_one_piece)
        if self.fill_time is not None:
            try:
                plist.set_fill_time(_FILL_TIME_ENUM[self.fill_time])
            except KeyError:
                raise ValueError(f"fill_time must be one of {list(_FILL_TIME_ENUM)}, got {self.fill_time!r}") from None
        if chunks is not None:
            plist.set_chunk(chunks)
        # In libhdf5's order: what makes bytes compress better comes before what compresses them.
        if scaleoffset is not None:
            plist.set_scaleoffset(*scaleoffset)
        for item in external:
            plist.set_external(*item)
        if self.shuffle:
            plist.set_shuffle()
        _set_compression(plist, compression, compression_opts)
        if self.fletcher32:
            plist.set_fletcher32()

    def _refuse_for(self, shape):
        if shape:
            chunks = self.chunks
            if isinstance(chunks, (tuple, list)) and len(chunks) != len(shape):
                raise ValueError("Chunk shape must have the same number of dimensions as the dataset")
            return
        kind = "Empty" if shape is None else "Scalar"
        filters = (self.compression, self.compression_opts, self.shuffle, self.fletcher32, self.scaleoffset is not None)
        if any((self.chunks, *filters)):
            raise TypeError(f"{kind} datasets don't support chunk/filter options")
        if self.maxshape:
            raise TypeError(f"{kind} datasets cannot be extended")
        if shape is None and self.external:
            raise TypeError("Empty datasets cannot be external")

    def _compression(self):
        """What compresses, by name or number, and its options; None for nothing."""
        compression, opts = self.compression, self.compression_opts
        if isinstance(compression, FilterRefBase):
            compression, opts = compression.filter_id, compression.filter_options
        if compression is None or compression is False:
            if opts is not None:
                raise TypeError("Compression method must be specified")
            return None, None
        return _check_compression(compression, opts, self.allow_unknown_filter)

    def _chunk_shape(self, shape, dtype, filtered, in_one_piece):
        """The shape of a chunk, chosen where it was not given; None if there are to be no chunks."""
        chunks = self.chunks
        if isinstance(chunks, (int, np.integer)) and not isinstance(chunks, bool):
            return (int(chunks),)
        resizable = self.maxshape not in (None, ())
        if chunks is False and (filtered or resizable):
            raise ValueError("Chunked format required for given storage options")
        if chunks is True or chunks is None and (filtered or resizable and not in_one_piece):
            guessed = guess_chunk(shape, self.maxshape, dtype.itemsize)
            # Axes without elements are taken for longer ones, which those that cannot grow never are.
            limits = self.maxshape or shape
            return tuple(chunk if limit is None else min(chunk, max(limit, 1)) for chunk, limit in zip(guessed, limits))
        return chunks or None


def fill_dcpl(plist, shape, dtype, *options, **named):
    """Puts the `StorageOptions` of these values into a property list, and returns it."""
    StorageOptions(*options, **named).put_into(plist, shape, dtype)
    return plist


def _set_compression(plist, compression, opts):
    if compression == "gzip":
        plist.set_deflate(opts)
    elif compression == "lzf":
        plist.set_filter(h5z.FILTER_LZF, h5z.FLAG_OPTIONAL)
    elif compression == "szip":
        methods = {"ec": h5z.SZIP_EC_OPTION_MASK, "nn": h5z.SZIP_NN_OPTION_MASK}
        plist.set_szip(methods[opts[0]], opts[1])
    elif compression is not None:
        plist.set_filter(compression, h5z.FLAG_OPTIONAL, opts)


def _check_compression(compression, opts, allow_unknown_filter):
    if compression == "gzip":
        opts = DEFAULT_GZIP if opts is None else opts
        if opts not in range(10):
            raise ValueError(f"GZIP setting must be an integer from 0-9, not {opts!r}")
    elif compression == "lzf":
        if opts is not None:
            raise ValueError("LZF compression filter accepts no options")
    elif compression == "szip":
        opts = DEFAULT_SZIP if opts is None else opts
        error = "SZIP options must be a 2-tuple ('ec'|'nn', even integer 0-32)"
        try:
            method, pixels = opts
        except (TypeError, ValueError):
            raise TypeError(error) from None
        if method not in ("ec", "nn") or not (0 < pixels <= 32 and pixels % 2 == 0):
            raise ValueError(error)
    elif isinstance(compression, (int, np.integer)):
        if compression < 0 or compression > h5z.FILTER_MAX:
            raise ValueError(f"Invalid filter number: {compression}")
        if compression == h5z.FILTER_DEFLATE:
            # As libhdf5 takes it: the level is the first of its values.
            return "gzip", tuple(opts or ())[0]
        if not allow_unknown_filter and not h5z.filter_avail(compression):
            raise ValueError(f"Unknown compression filter number: {compression}")
        return int(compression), tuple(int(it) for it in opts) if opts is not None else ()
    else:
        raise ValueError(f'Compression filter "{compression}" is unavailable')
    if compression not in encode:
        raise ValueError(f'Compression filter "{compression}" is unavailable')
    return compression, opts


def _check_scaleoffset(scaleoffset, dtype, fletcher32):
    """The filter's mode and digits or bits."""
    if scaleoffset < 0:
        raise ValueError("scale factor must be >= 0")
    if dtype.kind == "f":
        if scaleoffset is True:
            raise ValueError("integer scaleoffset must be provided for floating point types")
        mode = (h5z.SO_FLOAT_DSCALE, scaleoffset)
    elif dtype.kind in "ui":
        mode = (h5z.SO_INT, h5z.SO_INT_MINBITS_DEFAULT if scaleoffset is True else scaleoffset)
    else:
        raise TypeError("scale-offset filter only supports integer and floating-point types")
    if fletcher32:
        raise ValueError("fletcher32 cannot be used with potentially lossy scale/offset filter")
    return mode


def get_filters(plist):
    """The filters of a property list: names with their options."""
    names = {
        h5z.FILTER_DEFLATE: "gzip",
        h5z.FILTER_SZIP: "szip",
        h5z.FILTER_SHUFFLE: "shuffle",
        h5z.FILTER_FLETCHER32: "fletcher32",
        h5z.FILTER_LZF: "lzf",
        h5z.FILTER_SCALEOFFSET: "scaleoffset",
    }
    pipeline = {}
    for index in range(plist.get_nfilters()):
        code, _, vals, _ = plist.get_filter(index)
        if code == h5z.FILTER_DEFLATE:
            vals = vals[0]
        elif code == h5z.FILTER_SZIP:
            mask, pixels = vals[0:2]
            vals = ("ec" if mask & h5z.SZIP_EC_OPTION_MASK else "nn", pixels)
        elif code == h5z.FILTER_LZF:
            vals = None
        elif len(vals) == 0:
            vals = None
        pipeline[names.get(code, str(code))] = vals
    return pipeline


def get_filter_name(code):
    """A filter's name, for people."""
    return {
        h5z.FILTER_DEFLATE: "gzip",
        h5z.FILTER_SZIP: "szip",
        h5z.FILTER_SHUFFLE: "shuffle",
        h5z.FILTER_FLETCHER32: "fletcher32",
        h5z.FILTER_LZF: "lzf",
        h5z.FILTER_SCALEOFFSET: "scaleoffset",
    }.get(code, str(code))


CHUNK_BASE = 16 * 1024
CHUNK_MIN = 8 * 1024
CHUNK_MAX = 1024 * 1024


def guess_chunk(shape, maxshape, typesize):
    """A chunk shape: from 8 KiB for small datasets to 1 MiB for large ones, halved along one axis after the other."""
    shape = tuple((dim if dim != 0 else 1024) for dim in shape)
    chunks = np.array(shape, dtype="=f8")
    if not np.all(np.isfinite(chunks)):
        raise ValueError("Illegal value in chunk tuple")
    # The larger the dataset, the larger its chunks: twice for every tenfold.
    dset_size = product(chunks) * typesize
    target = CHUNK_BASE * (2 ** np.log10(dset_size / (1024.0 * 1024)))
    target = min(max(target, CHUNK_MIN), CHUNK_MAX)
    axis = 0
    while True:
        chunk_bytes = product(chunks) * typesize
        near_enough = chunk_bytes < target or abs(chunk_bytes - target) / target < 0.5
        if near_enough and chunk_bytes < CHUNK_MAX:
            break
        if product(chunks) == 1:
            break
        chunks[axis % len(shape)] = np.ceil(chunks[axis % len(shape)] / 2.0)
        axis += 1
    return tuple(int(dim) for dim in chunks)


