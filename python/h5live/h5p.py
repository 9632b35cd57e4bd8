"""Property lists: what is asked for, kept as it was said."""

from . import h5d_constants as _d
from . import h5t, h5z
from ._objects import ObjectID

CRT_ORDER_TRACKED, CRT_ORDER_INDEXED = 1, 2
DEFAULT = None


class PropID(ObjectID):
    """A property list."""

    _defaults = {}

    def __init__(self, values=None):
        super().__init__(0)
        self._values = {**self._defaults, **(values or {})}

    def _is_valid(self):
        return not self._closed

    def copy(self):
        return type(self)(dict(self._values))

    def equal(self, other):
        return type(self) is type(other) and self._values == other._values

    def __eq__(self, other):
        return isinstance(other, PropID) and self.equal(other)

    def __hash__(self):
        return id(self)

    def get_class(self):
        return type(self)


def _pair(name):
    """Methods that set a property, and get it."""

    def setter(self, *values):
        self._values[name] = values[0] if len(values) == 1 else values

    def getter(self):
        return self._values[name]

    return setter, getter


class PropOCID(PropID):
    """Creation of objects."""

    _defaults = {"attr_order": 0, "track_times": True, "attr_phase": (8, 6)}
    set_attr_creation_order, get_attr_creation_order = _pair("attr_order")
    set_obj_track_times, get_obj_track_times = _pair("track_times")
    _set_phase, get_attr_phase_change = _pair("attr_phase")

    def set_attr_phase_change(self, max_compact=8, min_dense=6):
        if max_compact > 65535 or max_compact < min_dense:
            raise ValueError("max compact value must be < 65536 and no less than min dense")
        self._set_phase(max_compact, min_dense)


class PropGCID(PropOCID):
    """Creation of groups."""

    _defaults = {**PropOCID._defaults, "link_order": 0, "local_heap_size": 0, "link_phase": (8, 6), "link_info": (4, 8)}
    set_link_creation_order, get_link_creation_order = _pair("link_order")
    set_local_heap_size_hint, get_local_heap_size_hint = _pair("local_heap_size")
    set_link_phase_change, get_link_phase_change = _pair("link_phase")
    set_est_link_info, get_est_link_info = _pair("link_info")


class PropFCID(PropGCID):
    """Creation of files."""

    _defaults = {
        **PropGCID._defaults,
        "userblock": 0,
        "sizes": (8, 8),
        "sym_k": (16, 4),
        "istore_k": 32,
        "file_space": (0, False, 1),
        "page_size": 4096,
    }
    set_userblock, get_userblock = _pair("userblock")
    set_sizes, get_sizes = _pair("sizes")
    set_sym_k, get_sym_k = _pair("sym_k")
    set_istore_k, get_istore_k = _pair("istore_k")
    set_file_space_strategy, get_file_space_strategy = _pair("file_space")
    set_file_space_page_size, get_file_space_page_size = _pair("page_size")

    def get_version(self):
        return (3, 0, 0, 0)


class PropTCID(PropOCID):
    """Creation of committed datatypes."""


class PropLCID(PropID):
    """Creation of links."""

    _defaults = {"encoding": h5t.CSET_UTF8, "intermediate": False}
    set_char_encoding, get_char_encoding = _pair("encoding")
    set_create_intermediate_group, get_create_intermediate_group = _pair("intermediate")


class PropACID(PropID):
    """Creation of attributes."""

    _defaults = {"encoding": h5t.CSET_UTF8}
    set_char_encoding, get_char_encoding = _pair("encoding")


class PropLAID(PropID):
    """Access through links."""

    _defaults = {"nlinks": 16, "elink_prefix": b"", "elink_flags": 0, "elink_fapl": None}
    set_nlinks, get_nlinks = _pair("nlinks")
    set_elink_prefix, get_elink_prefix = _pair("elink_prefix")
    set_elink_acc_flags, get_elink_acc_flags = _pair("elink_flags")
    set_elink_fapl, get_elink_fapl = _pair("elink_fapl")


class PropCopyID(PropID):
    """Copying objects."""

    _defaults = {"flags": 0}
    set_copy_object, get_copy_object = _pair("flags")


class PropDAID(PropID):
    """Access to datasets."""

    _defaults = {"chunk_cache": (8191, 8388608, 0.75), "efile_prefix": b"", "virtual_prefix": b"", "view": 1, "gap": 0}
    set_chunk_cache, get_chunk_cache = _pair("chunk_cache")
    set_efile_prefix, get_efile_prefix = _pair("efile_prefix")
    set_virtual_prefix, get_virtual_prefix = _pair("virtual_prefix")
    set_virtual_view, get_virtual_view = _pair("view")
    set_virtual_printf_gap, get_virtual_printf_gap = _pair("gap")


class PropDXID(PropID):
    """Transfer of elements."""


class CacheConfig:
    """How libhdf5's cache of metadata would be set; there is none here."""

    def __init__(self):
        self.version, self.enabled = 1, True
        self.rpt_fcn_enabled = self.open_trace_file = self.close_trace_file = False
        self.evictions_enabled = self.set_initial_size = True
        self.initial_size = self.min_size = self.max_size = 0
        self.min_clean_fraction = 0.3


class PropFAID(PropID):
    """Access to files."""

    _defaults = {
        "libver": (0, 5),
        "alignment": (1, 1),
        "locking": (True, True),
        "mdc": None,
        "cache": (0, 8191, 8388608, 0.75),
        "close_degree": 3,
        "sieve": 65536,
        "meta_block": 2048,
        "page_buffer": (0, 0, 0),
        "driver": 0,
        "core": (65536, True),
        "image": None,
        "family": (2147483648, None),
        "fileobj": None,
    }
    set_libver_bounds, get_libver_bounds = _pair("libver")
    set_alignment, get_alignment = _pair("alignment")
    set_file_locking, get_file_locking = _pair("locking")
    set_cache, get_cache = _pair("cache")
    set_fclose_degree, get_fclose_degree = _pair("close_degree")
    set_sieve_buf_size, get_sieve_buf_size = _pair("sieve")
    set_meta_block_size, get_meta_block_size = _pair("meta_block")
    set_page_buffer_size, get_page_buffer_size = _pair("page_buffer")
    set_file_image, get_file_image = _pair("image")
    set_mdc_config, _get_mdc = _pair("mdc")

    def get_mdc_config(self):
        return self._get_mdc() or CacheConfig()

    def get_driver(self):
        return self._values["driver"]

    def _drive(self, number):
        self._values["driver"] = number

    def set_fapl_sec2(self):
        from . import h5fd

        self._drive(h5fd.SEC2)

    def set_fapl_stdio(self):
        from . import h5fd

        self._drive(h5fd.STDIO)

    def set_fapl_core(self, block_size=65536, backing_store=True):
        from . import h5fd

        self._drive(h5fd.CORE)
        self._values["core"] = (block_size, backing_store)

    def get_fapl_core(self):
        return self._values["core"]

    def set_fapl_family(self, memb_size=2147483648, memb_fapl=None):
        from . import h5fd

        self._drive(h5fd.FAMILY)
        self._values["family"] = (memb_size, memb_fapl)

    def get_fapl_family(self):
        return self._values["family"]

    def set_fapl_split(self, meta_ext="-m.h5", meta_plist_id=None, raw_ext="-r.h5", raw_plist_id=None):
        from . import h5fd

        self._drive(h5fd.MULTI)

    def set_fileobj_driver(self, driver, fileobj):
        from . import h5fd

        self._drive(h5fd.fileobj_driver)
        self._values["fileobj"] = fileobj


class PropDCID(PropOCID):
    """Creation of datasets."""

    _defaults = {
        **PropOCID._defaults,
        "layout": _d.CONTIGUOUS,
        "chunk": None,
        "fill": None,
        "fill_time": _d.FILL_TIME_IFSET,
        "alloc_time": _d.ALLOC_TIME_LATE,
        "filters": (),
        "external": (),
        "virtual": (),
        "opts": 0,
    }
    get_layout = _pair("layout")[1]
    set_fill_time, get_fill_time = _pair("fill_time")
    set_alloc_time, get_alloc_time = _pair("alloc_time")
    set_chunk_opts, get_chunk_opts = _pair("opts")

    def set_layout(self, layout):
        self._values["layout"] = layout

    def set_chunk(self, chunksize):
        self._values["layout"], self._values["chunk"] = _d.CHUNKED, tuple(int(dim) for dim in chunksize)

    def get_chunk(self):
        if self._values["chunk"] is None:
            raise ValueError("Unable to get chunk dimensions (not a chunked storage layout)")
        return self._values["chunk"]

    # --- fill value ---

    def fill_value_defined(self):
        fill = self._values["fill"]
        if fill is None:
            return _d.FILL_VALUE_DEFAULT
        return _d.FILL_VALUE_UNDEFINED if fill is False else _d.FILL_VALUE_USER_DEFINED

    def set_fill_value(self, value):
        """`value` is an array of one element, an element, or (for text of any length) bytes."""
        self._values["fill"] = value

    def get_fill_value(self, value):
        fill = self._values["fill"]
        value[...] = 0 if fill is None or fill is False else fill

    # --- filters ---

    def set_filter(self, filter_code, flags=0, values=None):
        filters = tuple(it for it in self._values["filters"] if it[0] != filter_code)
        self._values["filters"] = filters + ((int(filter_code), int(flags), tuple(values or ())),)

    modify_filter = set_filter

    def set_deflate(self, level=5):
        self.set_filter(h5z.FILTER_DEFLATE, h5z.FLAG_OPTIONAL, (int(level),))

    def set_shuffle(self):
        self.set_filter(h5z.FILTER_SHUFFLE, h5z.FLAG_OPTIONAL)

    def set_fletcher32(self):
        self.set_filter(h5z.FILTER_FLETCHER32, h5z.FLAG_MANDATORY)

    def set_scaleoffset(self, scale_type, scale_factor):
        self.set_filter(h5z.FILTER_SCALEOFFSET, h5z.FLAG_OPTIONAL, (int(scale_type), int(scale_factor)))

    def set_szip(self, options, pixels_per_block):
        self.set_filter(h5z.FILTER_SZIP, h5z.FLAG_OPTIONAL, (int(options), int(pixels_per_block)))

    def remove_filter(self, filter_class):
        self._values["filters"] = tuple(it for it in self._values["filters"] if it[0] != filter_class)

    def all_filters_avail(self):
        return all(h5z.filter_avail(code) for code, *_ in self._values["filters"])

    def get_nfilters(self):
        return len(self._values["filters"])

    def get_filter(self, filter_idx):
        code, flags, values, *name = self._values["filters"][filter_idx]
        return (code, flags, tuple(values), (name[0] if name and name[0] else _filter_name(code)).encode())

    def has_filter(self, filter_code):
        return self.get_filter_by_id(filter_code) is not None

    _has_filter = has_filter

    def get_filter_by_id(self, filter_code):
        for code, flags, values, *name in self._values["filters"]:
            if code == filter_code:
                return (flags, tuple(values), (name[0] if name and name[0] else _filter_name(code)).encode())
        return None

    # --- external files ---

    def set_external(self, name, offset, size):
        self._values["external"] += ((name, offset, size),)

    def get_external(self, idx=0):
        return self._values["external"][idx]

    def get_external_count(self):
        return len(self._values["external"])

    # --- virtual datasets ---

    def set_virtual(self, vspace, src_file, src_dset, src_space):
        self._values["layout"] = _d.VIRTUAL
        self._values["virtual"] += ((vspace.copy(), src_file, src_dset, src_space.copy()),)

    def get_virtual_count(self):
        return len(self._values["virtual"])

    def get_virtual_vspace(self, index=0):
        return self._values["virtual"][index][0].copy()

    def get_virtual_srcspace(self, index=0):
        return self._values["virtual"][index][3].copy()

    def get_virtual_filename(self, index=0):
        return h5t._text(self._values["virtual"][index][1])

    def get_virtual_dsetname(self, index=0):
        return h5t._text(self._values["virtual"][index][2])


_FILTER_NAMES = {1: "deflate", 2: "shuffle", 3: "fletcher32", 4: "szip", 5: "nbit", 6: "scaleoffset", 32000: "lzf"}


def _filter_name(code):
    return _FILTER_NAMES.get(code, "")


class PropClassID(ObjectID):
    """A class of property lists."""

    def __init__(self, make):
        super().__init__(id(make))
        self._make = make


FILE_CREATE = PropClassID(PropFCID)
FILE_ACCESS = PropClassID(PropFAID)
DATASET_CREATE = PropClassID(PropDCID)
DATASET_XFER = PropClassID(PropDXID)
DATASET_ACCESS = PropClassID(PropDAID)
OBJECT_COPY = PropClassID(PropCopyID)
LINK_CREATE = PropClassID(PropLCID)
LINK_ACCESS = PropClassID(PropLAID)
GROUP_CREATE = PropClassID(PropGCID)
DATATYPE_CREATE = PropClassID(PropTCID)
OBJECT_CREATE = PropClassID(PropOCID)
ATTRIBUTE_CREATE = PropClassID(PropACID)


def create(cls):
    """An empty property list of a class."""
    if not isinstance(cls, PropClassID):
        raise ValueError("property lists are made of a class of them")
    return cls._make()
