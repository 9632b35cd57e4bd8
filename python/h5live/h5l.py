"""Links."""

from . import h5t
from ._h5live import Doing
from .h5 import INDEX_NAME, ITER_INC

TYPE_HARD, TYPE_SOFT, TYPE_EXTERNAL = 0, 1, 64

_KINDS = {"hard": TYPE_HARD, "soft": TYPE_SOFT, "external": TYPE_EXTERNAL}


class LinkInfo:
    """What a link is."""

    def __init__(self, target, order=None, name=""):
        kind = target[0]
        self.type = target[1] if kind == "user" else _KINDS[kind]
        self.u = target[1] if kind == "hard" else len(target[-1])
        self.corder_valid = order is not None
        self.corder = order or 0
        self.cset = h5t.CSET_ASCII if name.isascii() else h5t.CSET_UTF8

    def _hash(self):
        return hash((self.type, self.u))


def _split(core, name):
    """The group that has the last name of a path, and that name."""
    path = h5t._text(name).rstrip("/")
    head, slash, last = path.rpartition("/")
    if not slash:
        return core, last
    return core.open(head or "/"), last


def _refuse_other_file(group, target):
    """A link holds an address, which means nothing in another file."""
    if group.is_open and group.file.number != target.file.number:
        raise OSError(f"Unable to create link (interfile hard links are not allowed): the object is in {target.file.path}")


class LinkProxy:
    """The links of a group."""

    def __init__(self, core):
        self._group = core

    def _at(self, name):
        self._require(Doing.LookAtLinks)
        group, last = _split(self._group, name)
        return group.link(last)

    def _require(self, doing):
        if not self._group.is_open:
            raise doing.closed()

    def exists(self, name, lapl=None):
        self._require(Doing.FindLink)
        try:
            self._at(name)
            return True
        except KeyError:
            return False

    def get_info(self, name, index=-1, obj_name=".", **kwds):
        if name is None:
            name, target, order = self._group.links()[index]
            return LinkInfo(target, order, name)
        return LinkInfo(self._at(name), name=h5t._text(name))

    def get_val(self, name, lapl=None):
        target = self._at(name)
        if target[0] == "soft":
            return target[1].encode("utf-8", "surrogateescape")
        if target[0] == "external":
            return tuple(part.encode("utf-8", "surrogateescape") for part in target[1:])
        raise ValueError("Unable to get link value (can't retrieve value for hard link)")

    def create_hard(self, new_name, cur_loc, cur_name, lcpl=None, lapl=None):
        self._require(Doing.CreateHardLink)
        _refuse_other_file(self._group, cur_loc._core)
        self._group.link_hard(h5t._text(new_name), cur_loc._core.open(h5t._text(cur_name)).address)

    def create_soft(self, new_name, target, lcpl=None, lapl=None):
        self._group.link_soft(h5t._text(new_name), h5t._text(target))

    def create_external(self, link_name, file_name, obj_name, lcpl=None, lapl=None):
        self._group.link_external(h5t._text(link_name), h5t._text(file_name), h5t._text(obj_name))

    def move(self, src_name, dst_loc, dst_name, lcpl=None, lapl=None):
        source, target = h5t._text(src_name), h5t._text(dst_name)
        if not target.startswith("/") and dst_loc._core.path != self._group.path:
            target = dst_loc._core.path.rstrip("/") + "/" + target
        self._group.rename(source, target)

    def unlink(self, name, lapl=None):
        self._group.unlink(h5t._text(name))

    def visit(self, func, *, idx_type=INDEX_NAME, order=ITER_INC, obj_name=".", lapl=None, info=False):
        """Calls `func` with every name below the group (and a LinkInfo) until it returns something."""
        group = self._group if obj_name in (".", b".") else self._group.open(h5t._text(obj_name))
        for path, target, number in _walk(group, "", set()):
            args = (path.encode("utf-8", "surrogateescape"),)
            result = func(*args, LinkInfo(target, number)) if info else func(*args)
            if result is not None:
                return result
        return None


def _walk(group, prefix, seen):
    """Every link below a group, each group entered once."""
    seen.add(group.address)
    for name, target, number in sorted(group.links(), key=lambda link: link[0]):
        yield prefix + name, target, number
        if target[0] == "hard" and target[1] not in seen:
            try:
                member = group.open_at(target[1])
            except KeyError:
                continue
            if hasattr(member, "links"):
                yield from _walk(member, prefix + name + "/", seen)
