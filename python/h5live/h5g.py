"""Groups."""

import itertools

from . import h5l, h5o, h5p, h5t
from ._h5live import Doing
from ._objects import ObjectID, path_of

LINK_ERROR, LINK_HARD, LINK_SOFT = -1, 0, 1
LINK, GROUP, DATASET, TYPE = 3, 0, 1, 2
UNKNOWN = -1


class GroupStat:
    """What is at a name."""

    def __init__(self, fileno, objno, type_):
        self.fileno, self.objno, self.nlink, self.type = (fileno, 0), (objno, 0), 1, type_
        self.mtime = self.linklen = 0

    def __hash__(self):
        return hash((self.fileno, self.objno))


def _kind_of(id_):
    if isinstance(id_, GroupID):
        return GROUP
    return TYPE if isinstance(id_, h5t.TypeID) else DATASET


class GroupID(ObjectID):
    """A group."""

    def __init__(self, core):
        super().__init__(core)
        self.links = h5l.LinkProxy(core)

    def _name(self):
        return path_of(self._core)

    def _names(self):
        return self._core.names()

    def get_num_objs(self):
        return len(self)

    def get_objname_by_idx(self, idx):
        return self._core.names()[idx].encode("utf-8", "surrogateescape")

    def get_objtype_by_idx(self, idx):
        return get_objinfo(self, self.get_objname_by_idx(idx)).type

    def get_linkval(self, name):
        return self.links.get_val(name)

    def get_create_plist(self):
        plist = h5p.PropGCID()
        if self._core.tracks_order:
            plist.set_link_creation_order(h5p.CRT_ORDER_TRACKED | h5p.CRT_ORDER_INDEXED)
            plist.set_attr_creation_order(h5p.CRT_ORDER_TRACKED | h5p.CRT_ORDER_INDEXED)
        return plist

    def link(self, current_name, new_name, link_type=LINK_HARD, remote=None):
        self._require(Doing.CreateLink)
        if link_type == LINK_SOFT:
            self.links.create_soft(new_name, current_name)
        else:
            self.links.create_hard(new_name, remote or self, current_name)

    def unlink(self, name):
        self.links.unlink(name)

    def move(self, src_name, dst_name, remote=None):
        self.links.move(src_name, remote or self, dst_name)

    def __contains__(self, name):
        return h5t._text(name) in self._core

    def __iter__(self):
        return iter([name.encode("utf-8", "surrogateescape") for name in self._names()])

    def __reversed__(self):
        return reversed(list(self))

    def __len__(self):
        return len(self._core)


def open(loc, name):
    """The group `name` from `loc`."""
    loc._require(Doing.OpenGroup)
    found = h5o.open(loc, name)
    if not isinstance(found, GroupID):
        raise ValueError("Unable to synchronously open group (not a group)")
    return found


_anonymous = itertools.count()


def create(loc, name, lcpl=None, gcpl=None):
    """Creates a group; without a name (None), one that nothing leads to."""
    track = gcpl is not None and gcpl.get_link_creation_order() != 0
    if name is None:
        return _unlinked(loc, lambda hidden: loc._core.create_group(hidden, track_order=track), GroupID)
    return GroupID(loc._core.create_group(h5t._text(name), track_order=track))


def _unlinked(loc, make, wrap):
    """An object that nothing leads to: made under a name that is taken away again."""
    hidden = f".h5live-unlinked-{next(_anonymous)}"
    made = make(hidden)
    root = loc._core
    root.unlink(hidden, True)
    made_id = wrap(made)
    made_id._name = lambda: None
    return made_id


def get_objinfo(obj, name=".", follow_link=True):
    """What is at a name."""
    obj._require(Doing.Look)
    core = obj._core
    if h5t._text(name) != ".":
        if not follow_link:
            group, last = h5l._split(core, name)
            target = group.link(last)
            if target[0] != "hard":
                return GroupStat(core.file.number, 0, LINK)
        core = core.open(h5t._text(name))
    return GroupStat(core.file.number, core.address, _kind_of(h5o._wrap(core)))


def iterate(loc, func, startidx=0, *, obj_name="."):
    """Calls `func` with each name until it returns something."""
    group = loc if obj_name in (".", b".") else open(loc, obj_name)
    for name in group._core.names()[startidx:]:
        result = func(name.encode("utf-8", "surrogateescape"))
        if result is not None:
            return result
    return None


def get_comment(loc, name):
    return b""


def set_comment(loc, name, comment):
    raise NotImplementedError("comments of objects are not written")


class GroupIter:
    """The names of a group."""

    def __init__(self, grp, reversed=False):
        self._names = iter(grp if not reversed else grp.__reversed__())

    def __iter__(self):
        return self

    def __next__(self):
        return next(self._names)
