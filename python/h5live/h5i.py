"""What an identifier is of."""

from . import h5a, h5d, h5f, h5g, h5s, h5t
from ._h5live import Doing
from ._objects import ObjectID, path_of

BADID, FILE, GROUP, DATATYPE, DATASPACE, DATASET, ATTR = -1, 1, 2, 3, 4, 5, 6
GENPROP_CLS, GENPROP_LST = 10, 11


def get_type(obj):
    """FILE, GROUP, DATATYPE, DATASPACE, DATASET or ATTR."""
    if isinstance(obj, ObjectID):
        obj._require(Doing.Identify)
    for cls, number in (
        (h5f.FileID, FILE),
        (h5g.GroupID, GROUP),
        (h5d.DatasetID, DATASET),
        (h5t.TypeID, DATATYPE),
        (h5s.SpaceID, DATASPACE),
        (h5a.AttrID, ATTR),
    ):
        if isinstance(obj, cls):
            return number
    return BADID


def get_name(obj):
    """The path of an object, as bytes; None if it has none."""
    if not obj.valid:
        return None
    name = obj._name() if hasattr(obj, "_name") else path_of(obj._core) if hasattr(obj._core, "path") else None
    return None if name is None else name.encode("utf-8", "surrogateescape")


def get_file_id(obj):
    """The file an object is in."""
    obj._require(Doing.FindFile)
    return h5f.FileID(obj._core.file)


def get_ref(obj):
    obj._require(Doing.CountReferences)
    return 1


def inc_ref(obj):
    """References are Python's."""
    obj._require(Doing.CountReferences)


def dec_ref(obj):
    """References are Python's."""
    obj._require(Doing.CountReferences)


def wrap_identifier(ident):
    raise TypeError("identifiers of libhdf5 mean nothing here")
