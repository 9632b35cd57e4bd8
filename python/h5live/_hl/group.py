"""Groups and links."""

import posixpath
from contextlib import contextmanager

import numpy as np

from .. import _errors, _h5live, h5, h5d, h5g, h5o, h5p, h5r, h5t
from .._h5live import Doing
from . import dataset, datatype
from .base import HLObject, MutableMappingHDF5
from .vds import VDSmap, VirtualLayout, vds_support  # noqa: F401


class Group(MutableMappingHDF5, HLObject):
    """A group: a mapping from names to objects."""

    def __init__(self, bind):
        if not isinstance(bind, h5g.GroupID):
            raise ValueError(f"{bind} is not a GroupID")
        super().__init__(bind)

    # Groups are equal if they are the same one, and not if they hold the same, as mappings otherwise are.
    __eq__ = HLObject.__eq__
    __hash__ = HLObject.__hash__

    # --- creating ---

    def create_group(self, name, track_order=None, *, track_times=False):
        """Creates a group, and those on the way to it that are missing.

        name: its path, or None for a group that nothing leads to.
        track_order: remember the order in which members are created, and list them so.
        """
        if track_order is None:
            track_order = h5.get_config().track_order
        gcpl = None
        if track_order:
            gcpl = h5p.create(h5p.GROUP_CREATE)
            gcpl.set_link_creation_order(h5p.CRT_ORDER_TRACKED | h5p.CRT_ORDER_INDEXED)
        return Group(h5g.create(self.id, None if name is None else self._e(name), gcpl=gcpl))

    def create_dataset(self, name, shape=None, dtype=None, data=None, **kwds):
        """Creates a dataset.

        name: its path, or None for a dataset that nothing leads to.
        shape, dtype, data: two of the three, or data alone.

        chunks: shape of a chunk, True to have one chosen, False for none.
        maxshape: how far it can be resized; None along an axis: without limit.
        compression, compression_opts: 'gzip' with a level, 'lzf', 'szip', a number of a registered filter with its options, or
            an object of hdf5plugin.
        scaleoffset, shuffle, fletcher32: those filters.
        fillvalue, fill_time: what was not written reads as.
        track_times, track_order: what is remembered.
        external: the files that hold the elements.
        allow_unknown_filter: accept a filter that is not known here; chunks must then be written as they are.
        dcpl, dapl, efile_prefix, virtual_prefix, rdcc_nslots, rdcc_nbytes, rdcc_w0: as h5py has them.
        """
        if "track_order" not in kwds:
            kwds["track_order"] = h5.get_config().track_order
        if "efile_prefix" in kwds:
            kwds["efile_prefix"] = self._e(kwds["efile_prefix"])
        if "virtual_prefix" in kwds:
            kwds["virtual_prefix"] = self._e(kwds["virtual_prefix"])
        group = self
        if name is not None and isinstance(name, bytes):
            name = self._d(name)
        dsid = dataset.make_new_dset(group, shape, dtype, data, name, **kwds)
        return dataset.Dataset(dsid)

    def create_virtual_dataset(self, name, layout, fillvalue=None):
        """Creates a dataset that shows parts of others, as a VirtualLayout says."""
        return layout.make_dataset(self, name, fillvalue)

    @contextmanager
    def build_virtual_dataset(self, name, shape, dtype, maxshape=None, fillvalue=None):
        """Gives a VirtualLayout to be filled, and creates the dataset at the end."""
        layout = VirtualLayout(shape, dtype, maxshape, self.file.filename)
        yield layout
        self.create_virtual_dataset(name, layout, fillvalue)

    def require_dataset(self, name, shape, dtype, exact=False, **kwds):
        """The dataset `name`, created if there is none.

        One that is there must have this shape, and a type that `dtype` can be safely cast to (`exact`: this very type).
        """
        if name not in self:
            return self.create_dataset(name, *(shape, dtype), **kwds)
        if isinstance(shape, (int, np.integer)):
            shape = (int(shape),)
        dset = self[name]
        if not isinstance(dset, dataset.Dataset):
            raise TypeError(f"Incompatible object ({type(dset).__name__}) already exists")
        access = {key: value for key, value in kwds.items() if key in dataset.ACCESS_KEYWORDS}
        if access:
            dset = dataset.Dataset(dataset.open_dset(self, self._e(name), **access))
        if shape != dset.shape:
            if "maxshape" not in kwds:
                raise TypeError(f"Shapes do not match (existing {dset.shape} vs new {shape})")
            if dset.maxshape != kwds["maxshape"]:
                raise TypeError(f"Max shapes do not match (existing {dset.maxshape} vs new {kwds['maxshape']})")
        if exact:
            if dtype != dset.dtype:
                raise TypeError(f"Datatypes do not exactly match (existing {dset.dtype} vs new {dtype})")
        elif not np.can_cast(dtype, dset.dtype):
            raise TypeError(f"Datatypes cannot be safely cast (existing {dset.dtype} vs new {dtype})")
        return dset

    def create_dataset_like(self, name, other, **kwupdate):
        """Creates a dataset with the properties of another, but for those given."""
        for key in ("shape", "dtype", "chunks", "compression", "compression_opts", "scaleoffset", "shuffle", "fletcher32", "fillvalue"):
            kwupdate.setdefault(key, getattr(other, key))
        if not isinstance(other, dataset.Dataset):
            raise TypeError("create_dataset_like takes a dataset to be like")
        dcpl = other.id.get_create_plist()
        kwupdate.setdefault("track_order", dcpl.get_attr_creation_order() != 0)
        if "maxshape" not in kwupdate and "shape" in kwupdate and other.maxshape != other.shape:
            kwupdate["maxshape"] = other.maxshape
        return self.create_dataset(name, **kwupdate)

    def require_group(self, name):
        """The group `name`, created if there is none."""
        if name not in self:
            return self.create_group(name)
        grp = self[name]
        if not isinstance(grp, Group):
            raise TypeError(f"Incompatible object ({type(grp).__name__}) already exists")
        return grp

    # --- finding ---

    def __getitem__(self, name):
        """The member at a path, or the object a reference names."""
        if type(name) is str:
            try:
                return _object(self._id._core.open(name))
            except KeyError as error:
                _errors.tell(error)
                raise
        if isinstance(name, h5r.Reference):
            oid = h5r.dereference(name, self.id)
            if oid is None:
                raise ValueError("Invalid HDF5 object reference")
            return _high_level(oid)
        if isinstance(name, (bytes, str)):
            return _object(self._id._core.open(h5t._text(name)))
        raise TypeError(f"Accessing a group is done with bytes or str, not {type(name)}")

    def get(self, name, default=None, getclass=False, getlink=False, elink_mode=None, elink_locking=None, elink_swmr=None):
        """The member at a path, or `default`.

        getclass: its class instead. getlink: the link instead (with getclass: the link's class).
        """
        if elink_mode is not None or elink_locking is not None or elink_swmr is not None:
            return self._get_external(name, default, elink_mode, elink_locking, elink_swmr, getclass, getlink)
        if not (getclass or getlink):
            try:
                return self[name]
            except KeyError:
                return default
        if name not in self and not (getlink and self and self.id.links.exists(self._e(name))):
            return default
        if getclass and not getlink:
            core = self.id._core.open(h5t._text(name))
            return {"Group": Group, "Dataset": dataset.Dataset}.get(type(core).__name__, datatype.Datatype)
        target = self.id.links._at(name)
        kind = target[0]
        if kind == "soft":
            return SoftLink if getclass else SoftLink(target[1])
        if kind == "external":
            return ExternalLink if getclass else ExternalLink(target[1], target[2])
        if kind == "hard":
            return HardLink if getclass else HardLink()
        raise TypeError("Unknown link type")

    def _get_external(self, name, default, mode, locking, swmr, getclass, getlink):
        """What an external link leads to, its file opened as asked for."""
        from .files import File

        own = self.file
        mode = own.mode if mode is None else mode
        swmr = (own.swmr_mode and mode == "r") if swmr is None else swmr
        if mode not in ("r", "r+"):
            raise ValueError("elink_mode must be 'r' or 'r+'")
        if own.mode == "r" and mode != "r":
            raise ValueError("an external link of a file open for reading cannot be opened for writing")
        if own.mode == "r+" and own.swmr_mode and (mode == "r" or swmr is False):
            raise ValueError("the mode of external links cannot be changed while the file is live")
        try:
            target = self.id.links._at(name)
        except KeyError:
            return default
        if target[0] != "external" or getlink:
            return self.get(name, default, getclass, getlink)
        path = target[1] if posixpath.isabs(target[1]) else posixpath.join(posixpath.dirname(own.filename), target[1])
        try:
            found = File(path, mode, swmr=swmr and mode == "r", locking=locking)[target[2]]
            return type(found) if getclass else found
        except (KeyError, FileNotFoundError):
            return default

    def __setitem__(self, name, obj):
        """Gives an object a name here: one of the file, a link, a type to be stored, or data to be stored as a dataset."""
        group = self.id._core
        path = h5t._text(name)
        if isinstance(obj, HLObject):
            h5o.link(obj.id, self.id, path)
        elif isinstance(obj, SoftLink):
            group.link_soft(path, h5t._text(obj.path))
        elif isinstance(obj, ExternalLink):
            group.link_external(path, h5t._text(obj.filename), h5t._text(obj.path))
        elif isinstance(obj, np.dtype):
            h5t.py_create(obj, logical=True).commit(self.id, path)
        else:
            self.id._require(Doing.CreateLink)
            self.create_dataset(name, data=obj)

    def __delitem__(self, name):
        """Takes a name away."""
        self.id.unlink(self._e(name))

    def __len__(self):
        return self.id.get_num_objs()

    def __iter__(self):
        for name in self.id._names():
            yield name

    def __reversed__(self):
        for name in reversed(self.id._names()):
            yield name

    def __contains__(self, name):
        """Whether there is a member at a path."""
        if isinstance(name, (bytes, str)):
            return h5t._text(name) in self.id._core
        if not self:
            return False
        if isinstance(name, h5r.Reference):
            try:
                return h5r.dereference(name, self.id) is not None
            except KeyError:
                return False
        raise TypeError(f"Accessing a group is done with bytes or str, not {type(name)}")

    # --- changing ---

    def copy(
        self,
        source,
        dest,
        name=None,
        shallow=False,
        expand_soft=False,
        expand_external=False,
        expand_refs=False,
        without_attrs=False,
        *,
        progress=None,
    ):
        """Copies an object, and all that is in it, to a path or into a group, of this or another file.

        shallow: the members of a group only. expand_soft, expand_external: what links lead to instead of the links.
        expand_refs: what references lead to as well. without_attrs: no attributes.
        progress: called with the bytes copied and those to be copied; or True for a line on stderr if it takes long.
        """
        if isinstance(source, HLObject):
            source_path = "."
        else:
            source_path, source = source, self
        if isinstance(dest, Group):
            if name is not None:
                dest_path = name
            elif source_path == ".":
                dest_path = posixpath.basename(source.name)
            else:
                dest_path = posixpath.basename(self._d(source[source_path].name) or source_path)
        elif isinstance(dest, HLObject):
            raise TypeError("Destination must be path or Group object")
        else:
            dest_path, dest = dest, self
        flags = 0
        for wanted, flag in (
            (shallow, h5o.COPY_SHALLOW_HIERARCHY_FLAG),
            (expand_soft, h5o.COPY_EXPAND_SOFT_LINK_FLAG),
            (expand_external, h5o.COPY_EXPAND_EXT_LINK_FLAG),
            (expand_refs, h5o.COPY_EXPAND_REFERENCE_FLAG),
            (without_attrs, h5o.COPY_WITHOUT_ATTR_FLAG),
        ):
            flags |= flag if wanted else 0
        copypl = h5p.create(h5p.OBJECT_COPY)
        copypl.set_copy_object(flags)
        h5o.copy(source.id, self._e(source_path), dest.id, self._e(dest_path), copypl, progress=progress)

    def move(self, source, dest):
        """Moves or renames a member."""
        if source == dest:
            return
        self.id.links.move(self._e(source), self.id, self._e(dest))

    # --- walking ---

    def visit(self, func):
        """Calls `func(name)` for every object below until it returns something, and returns that."""
        return h5o.visit(self.id, lambda name: func(self._d(name)))

    def visititems(self, func):
        """Calls `func(name, object)` for every object below until it returns something, and returns that."""
        return h5o.visit(self.id, lambda name: func(self._d(name), self[name]))

    def visit_links(self, func):
        """Calls `func(name)` for every link below until it returns something, and returns that."""
        return self.id.links.visit(lambda name: func(self._d(name)))

    def visititems_links(self, func):
        """Calls `func(name, link)` for every link below until it returns something, and returns that."""
        return self.id.links.visit(lambda name: func(self._d(name), self.get(self._d(name), getlink=True)))

    def __repr__(self):
        if not self:
            return "<Closed HDF5 group>"
        namestr = "(anonymous)" if self.name is None else f'"{self.name}"'
        return f"<HDF5 group {namestr} ({len(self)} members)>"


def _object(core):
    """The Python object for one of the Rust side."""
    kind = type(core)
    if kind is _h5live.Dataset:
        return dataset.Dataset(h5d.DatasetID(core))
    if kind is _h5live.Group:
        return Group(h5g.GroupID(core))
    return datatype.Datatype(h5t._type_id_of(core.datatype, core))


def _high_level(oid):
    """The Python object for an identifier."""
    if isinstance(oid, h5d.DatasetID):
        return dataset.Dataset(oid)
    if isinstance(oid, h5g.GroupID):
        return Group(oid)
    if isinstance(oid, h5t.TypeID):
        return datatype.Datatype(oid)
    raise TypeError("Unknown object type")


class HardLink:
    """A link to an object of the file, as `get(getlink=True)` gives it."""


class SoftLink:
    """A link to a path: assign it to a name to create it."""

    def __init__(self, path):
        self._path = str(path)

    @property
    def path(self):
        return self._path

    def __repr__(self):
        return f'<SoftLink to "{self.path}">'


class ExternalLink:
    """A link to a path in another file: assign it to a name to create it."""

    def __init__(self, filename, path):
        from .compat import filename_decode

        self._filename = filename_decode(filename)
        self._path = path

    @property
    def path(self):
        return self._path

    @property
    def filename(self):
        return self._filename

    def __repr__(self):
        return f'<ExternalLink to "{self.path}" in file "{self.filename}">'


