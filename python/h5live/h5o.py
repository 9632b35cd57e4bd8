"""Objects: what they are, copying them, walking through them."""

from . import h5d, h5g, h5l, h5t
from ._h5live import Doing
from .h5 import INDEX_NAME, ITER_INC

TYPE_GROUP, TYPE_DATASET, TYPE_NAMED_DATATYPE = 0, 1, 2
COPY_SHALLOW_HIERARCHY_FLAG, COPY_EXPAND_SOFT_LINK_FLAG, COPY_EXPAND_EXT_LINK_FLAG = 1, 2, 4
COPY_EXPAND_REFERENCE_FLAG, COPY_WITHOUT_ATTR_FLAG, COPY_PRESERVE_NULL_FLAG = 8, 16, 32


def _wrap(core):
    """The identifier for an object of the Rust side."""
    kind = type(core).__name__
    if kind == "Group":
        return h5g.GroupID(core)
    if kind == "Dataset":
        return h5d.DatasetID(core)
    return h5t._type_id_of(core.datatype, core)


def open(loc, name, lapl=None):
    """The object `name` from `loc`."""
    return _wrap(loc._core.open(h5t._text(name)))


class ObjInfo:
    """What an object is."""

    def __init__(self, core):
        kind = type(core).__name__
        self.type = {"Group": TYPE_GROUP, "Dataset": TYPE_DATASET}.get(kind, TYPE_NAMED_DATATYPE)
        self.fileno = core.file.number
        self.addr = core.address
        self.rc = 1
        self.num_attrs = len(core.attributes())
        self.atime = self.mtime = self.ctime = self.btime = 0

    def _hash(self):
        return hash((self.fileno, self.addr))


def get_info(loc, name=None, index=-1, *, obj_name=".", index_type=INDEX_NAME, order=ITER_INC, lapl=None):
    """Kind, file and address of an object: the two last tell objects apart."""
    loc._require(Doing.Look)
    core = loc._core
    if name is not None:
        core = core.open(h5t._text(name))
    elif index >= 0:
        core = core.open(core.names()[index])
    return ObjInfo(core)


def exists_by_name(loc, name, lapl=None):
    loc._require(Doing.Look)
    return h5t._text(name) in loc._core


def link(loc, obj, name, lcpl=None, lapl=None):
    """Gives the object `loc` a name in `obj`."""
    loc._require(Doing.CreateLink)
    h5l._refuse_other_file(obj._core, loc._core)
    obj._core.link_hard(h5t._text(name), loc._core.address)


def set_comment(loc, comment, *, obj_name=".", lapl=None):
    raise NotImplementedError("comments of objects are not written")


def get_comment(loc, comment, *, obj_name=".", lapl=None):
    loc._require(Doing.Look)
    return b""


def visit(loc, func, *, idx_type=INDEX_NAME, order=ITER_INC, obj_name=".", lapl=None, info=False):
    """Calls `func` with the name of every object below (each once, the group itself as '.'), until it returns something."""
    core = loc._core if obj_name in (".", b".") else loc._core.open(h5t._text(obj_name))
    seen = {core.address}
    for name, member in _walk(core, "", seen):
        encoded = name.encode("utf-8", "surrogateescape")
        result = func(encoded, ObjInfo(member)) if info else func(encoded)
        if result is not None:
            return result
    return None


def _walk(group, prefix, seen):
    for name, target, _ in sorted(group.links(), key=lambda link: link[0]):
        if target[0] != "hard" or target[1] in seen:
            continue
        seen.add(target[1])
        member = group.open(name)
        yield prefix + name, member
        if type(member).__name__ == "Group":
            yield from _walk(member, prefix + name + "/", seen)


def copy(src_loc, src_name, dst_loc, dst_name, copypl=None, lcpl=None, *, progress=None):
    """Copies an object and all that is in it, into another file too. progress: as `Group.copy` has it."""
    from ._copy import copy_object

    src_loc._require(Doing.CopyObject)
    dst_loc._require(Doing.CopyObject)
    flags = 0 if copypl is None else copypl.get_copy_object()
    copy_object(src_loc._core, h5t._text(src_name), dst_loc._core, h5t._text(dst_name), flags, progress)
