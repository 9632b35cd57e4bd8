"""Selections, as objects."""

import numpy as np

from .. import _h5live, h5r, h5s
from .base import product


def select(shape, args, dataset=None):
    """What an index expression selects of a dataset of this shape."""
    if not isinstance(args, tuple):
        args = (args,)
    if len(args) == 1:
        arg = args[0]
        if isinstance(arg, Selection):
            if arg.shape != shape:
                raise TypeError("Mismatched selection shape")
            return arg
        if isinstance(arg, np.ndarray) and arg.dtype.kind == "b":
            if arg.shape != shape:
                raise TypeError("Boolean indexing array has incompatible shape")
            return PointSelection.from_mask(arg)
        if isinstance(arg, h5r.RegionReference):
            if dataset is None:
                raise TypeError("Cannot apply a region reference without a dataset")
            space = h5r.get_region(arg, dataset.id)
            if shape != space.shape:
                raise TypeError("Reference shape does not match dataset shape")
            return Selection(shape, spaceid=space)
    if len(args) == 1 and isinstance(args[0], tuple):
        args = (list(args[0]),)
    chosen = _h5live.Selection.parse(args, list(shape))
    space = h5s.create_simple(shape) if shape else h5s.create(h5s.SCALAR)
    space._set_selection(chosen)
    if chosen.lists() is not None:
        return FancySelection(shape, space, chosen.whole_shape, array_shape=chosen.shape)
    return SimpleSelection(shape, space, _hyperslab(chosen))


def _hyperslab(chosen):
    """What one pattern per axis selects, as a `SimpleSelection` has it."""
    slabs = chosen.slabs()
    rank = len(chosen.whole_shape)
    start = (0,) * rank if slabs is None else tuple(at for at, *_ in slabs)
    step = (1,) * rank if slabs is None else tuple(step if times > 1 else 1 for _, step, times, _ in slabs)
    return start, chosen.whole_shape, step, chosen.numbers


class Selection:
    """Elements of a dataset of some shape."""

    # What tells that indexing with it is the package's business.
    _h5live_index = True

    def __init__(self, shape, spaceid=None):
        if spaceid is not None:
            self._id = spaceid
            self._shape = spaceid.shape
        else:
            shape = tuple(shape)
            self._shape = shape
            self._id = h5s.create_simple(shape, (h5s.UNLIMITED,) * len(shape))
            self._id.select_all()

    @property
    def id(self):
        """The dataspace with its selection."""
        return self._id

    @property
    def shape(self):
        """The shape of the whole."""
        return self._shape

    @property
    def nselect(self):
        """How many elements are selected."""
        return self._id.get_select_npoints()

    @property
    def mshape(self):
        """The shape of the selection, with an axis for each of the dataset's where it is regular."""
        return guess_shape(self._id)

    @property
    def array_shape(self):
        """The shape of the array that reading gives."""
        return self.mshape

    def expand_shape(self, source_shape):
        """A shape that data of `source_shape` can be given to be broadcast."""
        raise NotImplementedError

    def broadcast(self, source_shape):
        """The dataspaces to which data of `source_shape` are to be written one after the other."""
        if self.array_shape != source_shape and product(source_shape) != self.nselect:
            raise TypeError(f"Broadcasting is not supported for complex selections: {source_shape} -> {self.array_shape}")
        yield self._id

    def __getitem__(self, args):
        raise NotImplementedError("This class does not support indexing")


class PointSelection(Selection):
    """Single elements, in an order."""

    def __init__(self, shape, spaceid=None, points=None):
        super().__init__(shape, spaceid)
        if points is not None and len(points) > 0:
            self._id.select_elements(points)

    def _perform_selection(self, points, op):
        points = np.asarray(points, order="C", dtype="u8")
        if len(points.shape) == 1:
            points = points.reshape((1, points.shape[0]))
        self._id.select_elements(points, op)

    @classmethod
    def from_mask(cls, mask, spaceid=None):
        if not (isinstance(mask, np.ndarray) and mask.dtype.kind == "b"):
            raise TypeError("PointSelection.from_mask only works with bool arrays")
        chosen = cls(mask.shape, spaceid)
        points = np.transpose(mask.nonzero())
        if len(points):
            chosen.set(points)
        else:
            chosen._id.select_none()
        return chosen

    @property
    def mshape(self):
        return (self.nselect,)

    def append(self, points):
        self._perform_selection(points, h5s.SELECT_APPEND)

    def prepend(self, points):
        self._perform_selection(points, h5s.SELECT_PREPEND)

    def set(self, points):
        self._perform_selection(points, h5s.SELECT_SET)


class SimpleSelection(Selection):
    """One pattern per axis."""

    def __init__(self, shape, spaceid=None, hyperslab=None):
        """`hyperslab` has for each axis where it starts, how many there are, how far apart, and whether a number was given."""
        super().__init__(shape, spaceid)
        rank = len(self._shape)
        # In the form h5py has it, since libraries that read chunks by themselves look here.
        self._sel = ((0,) * rank, self._shape, (1,) * rank, (False,) * rank) if hyperslab is None else hyperslab

    @property
    def mshape(self):
        return self._sel[1]

    @property
    def array_shape(self):
        _, count, _, numbers = self._sel
        return tuple(dim for dim, number in zip(count, numbers) if not number)

    def expand_shape(self, source_shape):
        """`source_shape` with axes of one element where the selection has numbers."""
        _, count, _, numbers = self._sel
        source = list(source_shape)
        expanded = []
        for dim, number in zip(reversed(count), reversed(numbers)):
            if number or not source:
                expanded.append(1)
            elif source[-1] in (1, dim):
                expanded.append(source.pop())
            else:
                raise TypeError(f"Can't broadcast {source_shape} -> {self.array_shape}")
        if any(dim > 1 for dim in source):
            raise TypeError(f"Can't broadcast {source_shape} -> {self.array_shape}")
        return tuple(reversed(expanded))

    def broadcast(self, source_shape):
        yield self._id


class FancySelection(Selection):
    """A list along one axis, patterns along the others."""

    def __init__(self, shape, spaceid=None, mshape=None, array_shape=None):
        super().__init__(shape, spaceid)
        self._mshape = self._shape if mshape is None else tuple(mshape)
        self._array_shape = self._mshape if array_shape is None else tuple(array_shape)

    @property
    def mshape(self):
        return self._mshape

    @property
    def array_shape(self):
        return self._array_shape

    def expand_shape(self, source_shape):
        if not source_shape == self.array_shape:
            raise TypeError("Broadcasting is not supported for complex selections")
        return source_shape

    def broadcast(self, source_shape):
        if not source_shape == self.array_shape:
            raise TypeError("Broadcasting is not supported for complex selections")
        yield self._id


def guess_shape(space):
    """The shape of what a dataspace has selected: of the box it fills, else of one axis."""
    kind = space.get_simple_extent_type()
    if kind == h5s.NULL:
        return None
    if kind == h5s.SCALAR:
        return ()
    how = space.get_select_type()
    if how == h5s.SEL_NONE:
        return (0,) * len(space.shape)
    if how == h5s.SEL_ALL:
        return space.shape
    if how == h5s.SEL_POINTS:
        return (space.get_select_npoints(),)
    if space._how == "slabs":
        return tuple(times * length for _, _, times, length in space._what)
    mask = space._mask()
    along = [np.unique(at) for at in mask.nonzero()]
    shape = tuple(len(at) for at in along)
    if product(shape) == space.get_select_npoints():
        return shape
    return (space.get_select_npoints(),)
