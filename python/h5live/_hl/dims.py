"""Dimension scales."""

import warnings

from .. import h5ds
from ..h5py_warnings import H5pyDeprecationWarning
from . import base, dataset


class DimensionProxy(base.CommonStateObject):
    """One dimension of a dataset: its label and its scales."""

    def __init__(self, id_, dimension):
        self._id = id_
        self._dimension = dimension

    @property
    def label(self):
        """The label of the dimension."""
        return self._d(h5ds.get_label(self._id, self._dimension))

    @label.setter
    def label(self, val):
        h5ds.set_label(self._id, self._dimension, self._e(val))

    def __hash__(self):
        return hash((type(self), self._id, self._dimension))

    def __eq__(self, other):
        return hash(self) == hash(other)

    def __iter__(self):
        yield from self.keys()

    def __len__(self):
        return h5ds.get_num_scales(self._id, self._dimension)

    def _scales(self):
        scales = []
        h5ds.iterate(self._id, self._dimension, scales.append, 0)
        return scales

    def __getitem__(self, item):
        """A scale, by number or by name."""
        scales = self._scales()
        if isinstance(item, int):
            if not scales:
                raise RuntimeError("the dimension has no scales")
            return dataset.Dataset(scales[item])
        for scale in scales:
            if self._d(h5ds.get_scale_name(scale)) == item:
                return dataset.Dataset(scale)
        raise KeyError(item)

    def attach_scale(self, dset):
        """Attaches a dataset as scale."""
        h5ds.attach_scale(self._id, dset.id, self._dimension)

    def detach_scale(self, dset):
        """Detaches a scale."""
        h5ds.detach_scale(self._id, dset.id, self._dimension)

    def items(self):
        """Names and scales."""
        return [(self._d(h5ds.get_scale_name(id_)), dataset.Dataset(id_)) for id_ in self._scales()]

    def keys(self):
        """Names of the scales."""
        return [self._d(h5ds.get_scale_name(id_)) for id_ in self._scales()]

    def values(self):
        """The scales."""
        return [dataset.Dataset(id_) for id_ in self._scales()]

    def __repr__(self):
        if not self._id:
            return "<Dimension of closed HDF5 dataset>"
        return f'<"{self.label}" dimension {self._dimension} of HDF5 dataset at {id(self._id)}>'


class DimensionManager(base.CommonStateObject):
    """The dimensions of a dataset."""

    def __init__(self, parent):
        self._id = parent.id

    def __getitem__(self, index):
        if index > len(self) - 1:
            raise IndexError("Index out of range")
        return DimensionProxy(self._id, index)

    def __len__(self):
        return self._id.rank

    def __iter__(self):
        for i in range(len(self)):
            yield self[i]

    def __repr__(self):
        if not self._id:
            return "<Dimensions of closed HDF5 dataset>"
        return f"<Dimensions of HDF5 object at {id(self._id)}>"

    def create_scale(self, dset, name=""):
        """Makes a dataset a scale."""
        warnings.warn(
            "other_ds.dims.create_scale(ds, name) is deprecated. Use ds.make_scale(name) instead.",
            H5pyDeprecationWarning,
            stacklevel=2,
        )
        dset.make_scale(name)


