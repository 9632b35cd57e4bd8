"""h5py's internal names for index expressions, for programs that use them."""

import numpy as np

from . import _h5live


class Selector:
    """Selects of a dataspace what an index expression says."""

    def __init__(self, space):
        self.spaceobj = space

    def make_selection(self, args):
        """Selects, and returns the shape of the result and of the selection."""
        selection = _h5live.Selection.parse(args, list(self.spaceobj.shape))
        self.spaceobj._set_selection(selection)
        return selection.shape, selection.whole_shape

    def apply_args(self, args):
        shape, _ = self.make_selection(args)
        return shape


class Reader:
    """Reads what an index expression says of a dataset."""

    def __init__(self, dsid):
        self.dsid = dsid

    def read(self, args):
        """The elements; for a single one, as numpy gives it."""
        core = self.dsid._core
        found = core.read(args)
        if found is None:
            selection = core.select(args)
            found = self.dsid._elements(selection, selection.shape)
            if selection.is_scalar:
                found = found[()]
        return found


def guess_shape(space):
    """The shape of what a dataspace has selected."""
    from ._hl.selections import guess_shape as guess

    return guess(space)


def convert_bools(bools, dtype="u8"):
    return np.flatnonzero(bools).astype(dtype)


