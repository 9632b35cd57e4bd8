"""Virtual datasets: shown from parts of others."""

import numpy as np
from collections import namedtuple

from .. import h5d, h5p, h5s
from . import selections as sel
from .base import product  # noqa: F401

VDSmap = namedtuple("VDSmap", ("vspace", "file_name", "dset_name", "src_space"))

vds_support = True


def _convert_space_for_key(space, key):
    """Lets a selection grow with its dataset where the key's slices have no end."""
    key = key if isinstance(key, tuple) else (key,)
    if space._how != "slabs":
        return space
    slabs = list(space._what)
    for axis, part in enumerate(key[: len(slabs)]):
        if isinstance(part, slice) and part.stop == h5s.UNLIMITED:
            at, step, _, length = slabs[axis]
            slabs[axis] = (at, max(step, 1), h5s.UNLIMITED, length) if step > 1 else (at, 1, 1, h5s.UNLIMITED)
    space._what = tuple(slabs)
    return space


class VirtualSource:
    """A dataset to be shown, or the part of it that indexing gives."""

    def __init__(self, path_or_dataset, name=None, shape=None, dtype=None, maxshape=None):
        from .dataset import Dataset

        if isinstance(path_or_dataset, Dataset):
            given = {"name": name, "shape": shape, "dtype": dtype, "maxshape": maxshape}
            failed = {key: value for key, value in given.items() if value is not None}
            if failed:
                raise TypeError(f"If a Dataset is passed as the first argument then no other arguments may be passed.  You passed {failed}")
            dset = path_or_dataset
            path, name, shape, dtype, maxshape = dset.file.filename, dset.name, dset.shape, dset.dtype, dset.maxshape
        else:
            path = path_or_dataset
            if name is None:
                raise TypeError("The name parameter is required when specifying a source by path")
            if shape is None:
                raise TypeError("The shape parameter is required when specifying a source by path")
            if isinstance(shape, (int, np.integer)):
                shape = (int(shape),)
            if isinstance(maxshape, (int, np.integer)):
                maxshape = (int(maxshape),)
        self.path, self.name, self.dtype = path, name, dtype
        self.maxshape = shape if maxshape is None else tuple(h5s.UNLIMITED if dim is None else dim for dim in maxshape)
        self.sel = sel.SimpleSelection(shape)
        self._all_selected = True

    @property
    def shape(self):
        """The shape of the part."""
        return self.sel.array_shape

    def __getitem__(self, key):
        if not self._all_selected:
            raise RuntimeError("VirtualSource objects can only be sliced once.")
        part = VirtualSource(self.path, self.name, self.sel.shape, self.dtype, self.maxshape)
        part.sel = sel.select(self.sel.shape, _bounded(key), None)
        _convert_space_for_key(part.sel.id, key)
        part._all_selected = False
        return part


def _bounded(key):
    """A key whose slices end; UNLIMITED means that the part may grow."""
    def bounded(part):
        if isinstance(part, slice) and part.stop == h5s.UNLIMITED:
            return slice(part.start, None, part.step)
        return part

    return tuple(bounded(part) for part in key) if isinstance(key, tuple) else bounded(key)


class VirtualLayout:
    """What a virtual dataset is to show: assign sources to parts of it."""

    def __init__(self, shape, dtype, maxshape=None, filename=None):
        self.shape = (shape,) if isinstance(shape, (int, np.integer)) else tuple(shape)
        self.dtype = dtype
        self.maxshape = (maxshape,) if isinstance(maxshape, (int, np.integer)) else maxshape
        self._filename = filename
        self._src_filenames = set()
        self._sources = []

    def __setitem__(self, key, source):
        chosen = sel.select(self.shape, _bounded(key), dataset=None)
        _convert_space_for_key(chosen.id, key)
        if chosen.array_shape != source.shape and product(chosen.array_shape) != product(source.shape):
            raise ValueError(f"Selections have a different number of elements (virtual layout {chosen.array_shape}, source {source.shape})")
        self._sources.append((chosen.id.copy(), source.path, source.name, source.sel.id.copy()))

    def _source_file_name(self, src_filename, dst_filename):
        return "." if src_filename == dst_filename else str(src_filename)

    def make_dcpl(self, maxshape, filename=None):
        """The property list of the virtual dataset."""
        dcpl = h5p.create(h5p.DATASET_CREATE)
        dcpl.set_layout(h5d.VIRTUAL)
        for target, path, name, source in self._sources:
            dcpl.set_virtual(target, self._source_file_name(path, filename).encode(), name.encode(), source)
        return dcpl

    def make_dataset(self, parent, name, fillvalue=None):
        """Creates the virtual dataset."""
        dcpl = self.make_dcpl(self.maxshape, parent.file.filename)
        return parent.create_dataset(
            name, shape=self.shape, dtype=self.dtype, maxshape=self.maxshape, fillvalue=fillvalue, dcpl=dcpl
        )


