"""References to objects, and to regions of datasets."""

from ._h5live import Doing

OBJECT, DATASET_REGION = 0, 1


class Reference:
    """A reference to an object of a file."""

    typecode = OBJECT
    typesize = 8

    __slots__ = ("_bytes", "__weakref__")

    def __init__(self, raw=b""):
        self._bytes = bytes(raw) if any(raw) else b""

    def __bool__(self):
        return bool(self._bytes)

    def __eq__(self, other):
        return type(self) is type(other) and self._bytes == other._bytes

    def __hash__(self):
        return hash((type(self), self._bytes))

    def __repr__(self):
        return f"<HDF5 object reference{'' if self else ' (null)'}>"

    def __reduce__(self):
        return type(self), (self._bytes,)

    def _raw(self, size):
        return self._bytes.ljust(size, b"\0")

    @property
    def _address(self):
        return int.from_bytes(self._bytes[:8], "little")


class RegionReference(Reference):
    """A reference to elements of a dataset."""

    # What tells that indexing with it is the package's business.
    _h5live_index = True

    typecode = DATASET_REGION
    typesize = 12

    __slots__ = ()

    def __repr__(self):
        return f"<HDF5 region reference{'' if self else ' (null)'}>"


def _address_of(ref, id_):
    """The address of the object a reference names; None for nothing."""
    if not ref:
        return None
    if isinstance(ref, RegionReference):
        found = id_._core.file.fetch_region(ref._raw(12))
        return None if found is None else found[0]
    return ref._address


def create(id_, name, ref_type, space=None):
    """A reference to the object `name` from `id_`; of type DATASET_REGION, to what `space` selects of it."""
    id_._require(Doing.Look)
    name = name.decode("utf-8", "surrogateescape") if isinstance(name, bytes) else name
    core = id_._core
    if name not in (".", "/") or name == "/":
        opener = core if hasattr(core, "open") else core.file.root()
        core = core if name == "." else _group_of(core, opener).open(name)
    if ref_type == OBJECT:
        return Reference(core.address.to_bytes(8, "little"))
    if ref_type != DATASET_REGION:
        raise ValueError("Unknown reference typecode")
    if space is None:
        raise ValueError("Dataspace required for region reference")
    kind, parts = space._region()
    return RegionReference(core.file.store_region(core.address, kind, parts, space.get_simple_extent_ndims()))


def _group_of(core, opener):
    return opener.root() if type(opener).__name__ == "File" else opener


def dereference(ref, id_):
    """The object a reference names; None for nothing."""
    from . import h5o

    id_._require(Doing.Dereference)
    address = _address_of(ref, id_)
    if address is None:
        return None
    return h5o._wrap(id_._core.file.root().open_at(address))


def get_region(ref, id_):
    """The dataspace, with its selection, that a region reference names."""
    from . import h5s

    id_._require(Doing.Dereference)
    found = id_._core.file.fetch_region(ref._raw(12))
    if found is None:
        return None
    address, (kind, parts) = found
    dataset = id_._core.file.root().open_at(address)
    if dataset.rank == 0:
        space = h5s.create(h5s.SCALAR)
    else:
        space = h5s.create_simple(dataset.shape, tuple(h5s.UNLIMITED if dim is None else dim for dim in dataset.maxshape))
    space._select_region(kind, parts)
    return space


def get_obj_type(ref, id_):
    """h5g's number for the kind of object a reference names."""
    found = dereference(ref, id_)
    if found is None:
        return None
    from . import h5g

    return h5g._kind_of(found)


def get_name(ref, loc):
    """A path to the object a reference names; None for nothing."""
    from . import h5i

    found = dereference(ref, loc)
    return None if found is None else h5i.get_name(found)
