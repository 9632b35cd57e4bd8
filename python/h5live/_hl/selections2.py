"""What reading gives: types by field names, and selections of scalars."""

import numpy as np

from .. import h5s


def read_dtypes(dataset_dtype, names):
    """The type of the result, and that of what is read, when only some fields are asked for."""
    if len(names) == 0:
        return dataset_dtype, dataset_dtype
    if dataset_dtype.names is None:
        raise ValueError("Field names only allowed for compound types")
    if any(name not in dataset_dtype.names for name in names):
        raise ValueError("Field does not appear in this type.")
    format_dtype = np.dtype([(name, dataset_dtype.fields[name][0]) for name in names])
    if len(names) == 1:
        return dataset_dtype.fields[names[0]][0], format_dtype
    return format_dtype, format_dtype


def read_selections_scalar(dsid, args):
    """The shape of the result (None: a scalar), and the selection."""
    if dsid.shape != ():
        raise RuntimeError("Illegal selection function for non-scalar dataset")
    if args == ():
        out_shape = None
    elif args == (Ellipsis,):
        out_shape = ()
    else:
        raise ValueError("Illegal slicing argument for scalar dataspace")
    space = h5s.create(h5s.SCALAR)
    space.select_all()
    return out_shape, space


class ScalarReadSelection:
    """How a scalar dataset is read."""

    def __init__(self, fspace, args):
        if args == ():
            self.mshape = None
        elif args == (Ellipsis,):
            self.mshape = ()
        else:
            raise ValueError("Illegal slicing argument for scalar dataspace")
        self.mspace = h5s.create(h5s.SCALAR)
        self.fspace = fspace

    def __iter__(self):
        self.mspace.select_all()
        yield self.fspace, self.mspace


def select_read(fspace, args):
    """How a dataset with this dataspace is read."""
    if fspace.shape == ():
        return ScalarReadSelection(fspace, args)
    raise NotImplementedError
