"""Dataspaces and what is selected of them."""

import json

import numpy as np

from . import _h5live
from ._objects import ObjectID

NO_CLASS, SCALAR, SIMPLE, NULL = -1, 0, 1, 2
SELECT_NOOP, SELECT_SET, SELECT_OR, SELECT_AND, SELECT_XOR, SELECT_NOTB, SELECT_NOTA, SELECT_APPEND, SELECT_PREPEND = (
    -1, 0, 1, 2, 3, 4, 5, 6, 7,
)  # fmt: skip
SEL_NONE, SEL_POINTS, SEL_HYPERSLABS, SEL_ALL = range(4)
UNLIMITED = 2**64 - 1
ALL = 0


class SpaceID(ObjectID):
    """A dataspace: an extent, and which of its elements are selected."""

    def __init__(self, dims, maxdims=None, kind=SIMPLE):
        super().__init__(0)
        self._kind = kind
        self._dims = tuple(int(dim) for dim in dims)
        self._max = self._dims if maxdims is None else tuple(int(dim) for dim in maxdims)
        # Everything, nothing, points, a regular pattern, or any elements as a mask.
        self._how, self._what = "all", None

    # --- extent ---

    @property
    def shape(self):
        return self._dims

    def _is_valid(self):
        return not self._closed

    def copy(self):
        new = SpaceID(self._dims, self._max, self._kind)
        new._how, new._what = self._how, self._what
        return new

    def encode(self):
        return json.dumps((self._dims, self._max, self._kind)).encode()

    def get_simple_extent_type(self):
        return self._kind

    def get_simple_extent_ndims(self):
        return len(self._dims)

    def get_simple_extent_dims(self, maxdims=False):
        if self._kind == NULL:
            return None
        return self._max if maxdims else self._dims

    def get_simple_extent_npoints(self):
        return 0 if self._kind == NULL else int(np.prod(self._dims, dtype="u8"))

    def is_simple(self):
        return True

    def extent_copy(self, source):
        self._dims, self._max, self._kind = source._dims, source._max, source._kind

    def set_extent_simple(self, dims, maxdims=None):
        self.__init__(dims, maxdims)

    def set_extent_none(self):
        self._dims, self._max, self._kind = (), (), NULL

    # --- selection ---

    def get_select_type(self):
        return {"all": SEL_ALL, "none": SEL_NONE, "points": SEL_POINTS}.get(self._how, SEL_HYPERSLABS)

    def select_all(self):
        self._how, self._what = "all", None

    def select_none(self):
        self._how, self._what = "none", None

    def select_valid(self):
        bounds = self._bounds()
        return bounds is None or all(last < dim for last, dim in zip(bounds[1], self._dims))

    def select_hyperslab(self, start, count, stride=None, block=None, op=SELECT_SET):
        rank = len(self._dims)
        ones = (1,) * rank
        parts = [ones if part is None else tuple(int(at) for at in part) for part in (start, stride, count, block)]
        if any(len(part) != rank for part in parts):
            raise TypeError(f"a hyperslab of {rank} dimensions takes as many numbers")
        # One block, however it was said.
        slabs = []
        for at, step, times, length in zip(*parts):
            if times > 1 and step == length:
                slabs.append((at, 1, 1, times * length) if length > 1 or step == 1 else (at, step, times, length))
            else:
                slabs.append((at, step, times, length))
        if op == SELECT_SET:
            self._how, self._what = "slabs", tuple(slabs)
            return
        other = SpaceID(self._dims)
        other._how, other._what = "slabs", tuple(slabs)
        self._combine(other, op)

    def select_elements(self, coords, op=SELECT_SET):
        points = [tuple(int(at) for at in point) for point in np.asarray(coords).reshape(-1, max(len(self._dims), 1))]
        if op == SELECT_SET or self._how != "points":
            self._how, self._what = "points", points
        elif op == SELECT_APPEND:
            self._what = self._what + points
        else:
            self._what = points + self._what

    def select_copy(self, source):
        self._how, self._what = source._how, source._what

    def combine_select(self, other, op=SELECT_OR):
        new = self.copy()
        new._combine(other, op)
        return new

    def modify_select(self, other, op=SELECT_OR):
        self._combine(other, op)

    def combine_hyperslab(self, start, count, stride=None, block=None, op=SELECT_OR):
        new = self.copy()
        new.select_hyperslab(start, count, stride, block, op)
        return new

    def offset_simple(self, offset=None):
        if offset is None:
            return
        offset = tuple(int(by) for by in offset)
        if self._how == "slabs":
            self._what = tuple((at + by, *rest) for (at, *rest), by in zip(self._what, offset))

    def _combine(self, other, op):
        mine, its = self._mask(), other._mask()
        combined = {
            SELECT_SET: lambda: its,
            SELECT_OR: lambda: mine | its,
            SELECT_AND: lambda: mine & its,
            SELECT_XOR: lambda: mine ^ its,
            SELECT_NOTB: lambda: mine & ~its,
            SELECT_NOTA: lambda: ~mine & its,
        }[op]()
        self._how, self._what = "mask", combined

    def _mask(self):
        mask = np.zeros(self._dims, bool)
        if self._how == "all":
            mask[...] = True
        elif self._how == "mask":
            mask[...] = self._what
        elif self._how == "points":
            if self._what:
                mask[tuple(np.array(self._what).T)] = True
        elif self._how == "slabs":
            mask[np.ix_(*self._places())] = True
        return mask

    def _places(self):
        """The selected coordinates along each axis of a regular pattern."""
        return [
            (at + np.arange(times)[:, None] * step + np.arange(length)[None, :]).reshape(-1)
            for at, step, times, length in self._what
        ]

    def _bounds(self):
        if self._how == "all":
            return (0,) * len(self._dims), tuple(dim - 1 for dim in self._dims)
        if self._how == "slabs":
            if any(times * length == 0 for _, _, times, length in self._what):
                return None
            first = tuple(at for at, _, _, _ in self._what)
            return first, tuple(at + (times - 1) * step + length - 1 for at, step, times, length in self._what)
        places = np.array(self._what) if self._how == "points" else np.argwhere(self._mask())
        if not len(places):
            return None
        return tuple(int(at) for at in places.min(axis=0)), tuple(int(at) for at in places.max(axis=0))

    def get_select_bounds(self):
        bounds = self._bounds()
        if bounds is None:
            raise RuntimeError("Unable to get selection bounds (nothing is selected)")
        return bounds

    def get_select_npoints(self):
        if self._how == "all":
            return self.get_simple_extent_npoints()
        if self._how == "none":
            return 0
        if self._how == "points":
            return len(self._what)
        if self._how == "slabs":
            return int(np.prod([times * length for _, _, times, length in self._what], dtype="u8"))
        return int(np.count_nonzero(self._what))

    def get_select_elem_npoints(self):
        return len(self._what)

    def get_select_elem_pointlist(self):
        return np.array(self._what, dtype="u8").reshape(-1, len(self._dims))

    def is_regular_hyperslab(self):
        return self._how == "slabs" or (self._how == "mask" and self._regular_mask() is not None)

    def get_regular_hyperslab(self):
        slabs = self._what if self._how == "slabs" else self._regular_mask()
        if slabs is None:
            raise TypeError("the selection is no regular hyperslab")
        return tuple(zip(*slabs))

    def _regular_mask(self):
        """The selected elements as one block per axis, if they are that."""
        bounds = self._bounds()
        if bounds is None:
            return None
        block = tuple(slice(first, last + 1) for first, last in zip(*bounds))
        if not self._mask()[block].all():
            return None
        return tuple((first, 1, 1, last + 1 - first) for first, last in zip(*bounds))

    def _blocks(self):
        """First and last element of each block of a hyperslab selection."""
        if self._how == "slabs":
            import itertools

            axes = []
            for at, step, times, length in self._what:
                if times > 1 and step == length:
                    axes.append([(at, at + times * length - 1)])
                else:
                    axes.append([(at + step * time, at + step * time + length - 1) for time in range(times)])
            return [tuple(zip(*block)) for block in itertools.product(*axes)]
        regular = self._regular_mask()
        if regular is not None:
            return [(tuple(at for at, *_ in regular), tuple(at + length - 1 for at, _, _, length in regular))]
        return _blocks_of(self._mask())

    def get_select_hyper_nblocks(self):
        return len(self._blocks())

    def get_select_hyper_blocklist(self, start=0, count=None):
        blocks = self._blocks()
        blocks = blocks[start:] if count is None else blocks[start : start + count]
        return np.array(blocks, dtype="u8").reshape(-1, 2, len(self._dims))

    def select_shape_same(self, other):
        mine, its = self._bounds(), other._bounds()
        if mine is None or its is None:
            return mine is its
        cut = lambda mask, bounds: mask[tuple(slice(first, last + 1) for first, last in zip(*bounds))]  # noqa: E731
        one, two = cut(self._mask(), mine), cut(other._mask(), its)
        shape = lambda mask: tuple(dim for dim in mask.shape if dim != 1)  # noqa: E731
        return shape(one) == shape(two) and np.array_equal(one.reshape(shape(one)), two.reshape(shape(two)))

    # --- between this and the Rust side ---

    def _selection(self):
        """What is selected, for the Rust side."""
        if self._how == "slabs":
            return _h5live.Selection.from_slabs([(at, max(step, 1), times, length) for at, step, times, length in self._what])
        if self._how == "all":
            return _h5live.Selection.from_slabs([(0, 1, dim, 1) for dim in self._dims])
        if self._how == "none":
            return _h5live.Selection.from_slabs([(0, 1, 0, 1) for _ in self._dims])
        points = self._what if self._how == "points" else np.argwhere(self._what).tolist()
        return _h5live.Selection.from_points(points)

    def _set_selection(self, selection):
        """Takes what the Rust side has selected."""
        slabs = selection.slabs()
        if slabs is not None:
            self._how, self._what = "slabs", tuple((at, max(step, 1), times, length) for at, step, times, length in slabs)
            return
        points = selection.points()
        if points is not None:
            self._how, self._what = "points", [tuple(point) for point in points]
            return
        lists = selection.lists()
        if lists is None:
            self.select_all()
            return
        mask = np.zeros(self._dims, bool)
        along = [
            at if isinstance(at, list) else (at[0] + np.arange(at[2])[:, None] * at[1] + np.arange(at[3])).reshape(-1)
            for at in lists
        ]
        mask[np.ix_(*along)] = True
        self._how, self._what = "mask", mask

    def _region(self):
        """What is selected, as region references have it."""
        if self._how in ("all", "none"):
            return self._how, []
        if self._how == "points":
            return "points", [list(point) for point in self._what]
        if self._how == "slabs":
            return "slabs", [list(slab) for slab in self._what]
        return "blocks", [list(first) + list(last) for first, last in self._blocks()]

    def _region_for_mapping(self):
        """What is selected, as virtual datasets have it: kind, parts, number of dimensions."""
        kind, parts = self._region()
        if kind == "all":
            # Whatever extent the source will have, this part of it is shown.
            kind, parts = "slabs", [[0, 1, 1, dim] for dim in self._dims]
        return kind, parts, len(self._dims)

    def _select_region(self, kind, parts):
        if kind == "slabs":
            slabs = []
            for (at, step, times, length), dim in zip(parts, self._dims):
                length = dim - at if length is None else length
                times = max(dim - at, 0) // max(step, 1) if times is None else times
                slabs.append((at, step, times, length))
            self._how, self._what = "slabs", tuple(slabs)
        elif kind == "points":
            self._how, self._what = "points", [tuple(point) for point in parts]
        elif kind == "blocks":
            if len(parts) == 1:
                (first, last), = parts
                self._how = "slabs"
                self._what = tuple((at, 1, 1, end - at + 1) for at, end in zip(first, last))
                return
            mask = np.zeros(self._dims, bool)
            for first, last in parts:
                mask[tuple(slice(at, end + 1) for at, end in zip(first, last))] = True
            self._how, self._what = "mask", mask
        else:
            self._how, self._what = kind, None

    def __eq__(self, other):
        return self is other

    def __hash__(self):
        return id(self)

    def __repr__(self):
        return f"<SpaceID {self._dims}>"


def _blocks_of(mask):
    """The elements of a mask as blocks: runs along the last axis, those alike in neighbouring rows together."""
    if mask.ndim == 1:
        edges = np.flatnonzero(np.diff(np.concatenate(([0], mask.astype("i1"), [0]))))
        return [((int(first),), (int(last) - 1,)) for first, last in zip(edges[::2], edges[1::2])]
    blocks, row = [], 0
    while row < len(mask):
        end = row + 1
        if mask[row].any():
            while end < len(mask) and np.array_equal(mask[end], mask[row]):
                end += 1
            inner = _blocks_of(mask[row])
            blocks += [((row, *first), (end - 1, *last)) for first, last in inner]
        row = end
    return blocks


def create(class_code):
    """A dataspace of one element, or of none, or (to be given an extent) a simple one."""
    if class_code not in (SCALAR, NULL, SIMPLE):
        raise ValueError("Illegal class code")
    return SpaceID((), (), class_code)


def create_simple(dims_tpl, max_dims_tpl=None):
    """A dataspace of these dimensions."""
    if max_dims_tpl is not None:
        max_dims_tpl = tuple(UNLIMITED if dim is None or dim == UNLIMITED else dim for dim in max_dims_tpl)
    return SpaceID(dims_tpl, max_dims_tpl)


def decode(buf):
    dims, maxdims, kind = json.loads(buf)
    return SpaceID(dims, maxdims, kind)
